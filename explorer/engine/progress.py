"""What a run says while it goes on, and what it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """How far a job is. ``rate`` and ``remaining`` come from the rows of this run alone; ``doing`` names what is not yet scoring.

    ``of`` says which families are being computed, and ``device`` on what.
    """

    state: str
    done_rows: int
    total_rows: int
    reused_rows: int
    done_bytes: int
    seconds: float
    doing: str = ""
    of: str = ""
    device: str = ""

    @property
    def rate(self) -> float | None:
        """Documents a second, None before the first row group is done."""
        fresh = self.done_rows - self.reused_rows
        return fresh / self.seconds if fresh > 0 and self.seconds > 0 else None

    @property
    def remaining(self) -> float | None:
        """Seconds left at this rate, None while unknown."""
        rate = self.rate
        return (self.total_rows - self.done_rows) / rate if rate else None


@dataclass(frozen=True)
class ScoreReport:
    """What a scoring run did.

    Attributes:
        families: what was computed.
        rows: documents asked for.
        computed, reused: documents for which something was computed now, and those for which all was there already.
        same: of the computed, documents whose text had been scored elsewhere, so that no model was run.
        seconds: of the run.
        text_bytes: of the computed documents.
        nulls: documents without a value, a signal.
        cancelled: whether it was stopped before the end.
        device: what models ran on; empty where none did.
        unanswered: documents that could not be asked (an endpoint failed); the next run asks them again.

    """

    families: tuple[str, ...]
    rows: int
    computed: int
    reused: int
    seconds: float
    text_bytes: int
    nulls: Mapping[str, int] = field(default_factory=dict)
    cancelled: bool = False
    same: int = 0
    device: str = ""
    unanswered: int = 0

    def __str__(self) -> str:
        said = f"{', '.join(self.families)}: {self.computed:,} documents computed, {self.reused:,} of {self.rows:,} were there already, in {self.seconds:.1f} s"
        said += f" on {self.device}" if self.device else ""
        said += f" ({self.same:,} repeat a text that was scored before)" if self.same else ""
        said += f"; {self.unanswered:,} could not be asked, run it again to ask them" if self.unanswered else ""
        return f"{said}; stopped before the end, run it again to carry on" if self.cancelled else said


def together(reports: Sequence[ScoreReport]) -> ScoreReport:
    """Several runs as one."""
    if len(reports) == 1:
        return reports[0]
    rows, computed = max((r.rows for r in reports), default=0), max((r.computed for r in reports), default=0)
    return ScoreReport(
        families=tuple(name for r in reports for name in r.families),
        rows=rows,
        computed=computed,
        reused=rows - computed,
        seconds=sum(r.seconds for r in reports),
        text_bytes=sum(r.text_bytes for r in reports),
        nulls={name: n for r in reports for name, n in r.nulls.items()},
        cancelled=any(r.cancelled for r in reports),
        same=sum(r.same for r in reports),
        device=next((r.device for r in reports if r.device), ""),
        unanswered=sum(r.unanswered for r in reports),
    )
