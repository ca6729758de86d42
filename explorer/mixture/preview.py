"""What a mixture comes to, before anything is written: documents, tokens, epochs and their worth by stage and source.

The slow part is done once (`count_mixture`: selecting, counting, and one seeded order of each source when it is first needed); a preview
after that looks up places in the sources' sequences, and its time does not depend on how many documents there are.

    mixture = load_mixture("recipe.yaml")
    counted = count_mixture(mixture)
    preview(mixture, counted).table()
    preview(replace(mixture, budget_tokens=2e9), counted).warnings
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from explorer.corpus.workspace import Workspace
from explorer.mixture.amounts import Given, Verdict, effective_tokens, wear
from explorer.mixture.counted import Counted, count_sources
from explorer.mixture.model import Mixture
from explorer.mixture.plan import Part, Planned, plan
from explorer.mixture.sources import open_sources, tokenizer_of

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class PartPreview:
    """One source in one stage.

    Attributes:
        given: the amount asked for.
        target_tokens: tokens asked for, after ``max_epochs``.
        documents, tokens: emitted, every repeat counted.
        different: documents, each once.
        weight: share of the stage's tokens; None where the stage has none.
        epochs: passes of this stage; None where the source has no tokens.
        effective_tokens: what they are worth after what earlier stages read.
        order, transform: as asked for.

    """

    source: str
    given: Given
    target_tokens: float
    documents: int
    different: int
    tokens: float
    weight: float | None
    epochs: float | None
    effective_tokens: float
    order: str
    transform: str


@dataclass(frozen=True)
class StagePreview:
    """One constant stage; a ramp gives several."""

    name: str
    share: float
    documents: int
    tokens: float
    sequence_length: int | None
    parts: tuple[PartPreview, ...]


@dataclass(frozen=True)
class SourcePreview:
    """One source over the whole run.

    Attributes:
        kept_documents, kept_tokens: that it has, each once.
        documents, tokens: emitted, every repeat counted.
        different: documents emitted, each once.
        epochs: passes; None where the source has no tokens.
        effective_tokens: what they are worth as fresh tokens.
        verdict: ``fine`` up to 4 epochs, ``worn`` up to 16, ``spent`` beyond.
        estimated: whether its tokens are an estimate.

    """

    name: str
    kept_documents: int
    kept_tokens: float
    documents: int
    different: int
    tokens: float
    epochs: float | None
    effective_tokens: float
    verdict: Verdict | None
    estimated: bool


@dataclass(frozen=True)
class Preview:
    """What a mixture comes to; ``unique_documents`` and ``unique_tokens`` count each document of a source once over all stages."""

    stages: tuple[StagePreview, ...]
    sources: tuple[SourcePreview, ...]
    documents: int
    tokens: float
    unique_documents: int
    unique_tokens: float
    effective_tokens: float
    warnings: tuple[str, ...]

    def table(self) -> pl.DataFrame:
        """A row a stage and source."""
        import polars as pl

        rows = []
        for stage in self.stages:
            for part in stage.parts:
                amount = next(((k, v) for k, v in asdict(part.given).items() if v is not None), (None, None))
                said = {k: v for k, v in asdict(part).items() if k != "given"}
                rows.append({"stage": stage.name, **said, "amount": amount[0], "asked": None if amount[1] is None else float(amount[1])})
        return pl.DataFrame(rows, infer_schema_length=None)

    def _repr_html_(self) -> str:
        warnings = "".join(f"<li>{_escaped(w)}</li>" for w in self.warnings)
        return f"{self.table()._repr_html_()}<ul>{warnings}</ul>"


def count_mixture(mixture: Mixture, *, workspace: str | os.PathLike[str] | Workspace | None = None) -> dict[str, Counted]:
    """Open, select and count the sources of a mixture.

    Raises:
        ManifestError: a source is not understood.
        CorpusError, SelectionError, SignalError: it cannot be opened, selected from or counted.

    """
    return count_sources(open_sources(mixture, workspace=workspace), tokenizer_of(mixture))


def preview(mixture: Mixture, counted: Mapping[str, Counted] | None = None) -> Preview:
    """What `explorer.mix` would write for this mixture, without writing it.

    Args:
        mixture: what is asked for; stages, amounts, budget, orders and seed may differ from call to call.
        counted: its sources; None: they are opened and counted now.

    Raises:
        ManifestError: what is asked for cannot be met or understood.

    """
    counted = count_mixture(mixture) if counted is None else counted
    planned, warnings = plan(mixture, counted)
    stages = tuple(_stage(stage, counted, mixture.seed) for stage in planned)
    ends = {part.source: part.end for stage in planned for part in stage.parts}
    sources = tuple(_source(counted[s.name], ends[s.name], mixture.seed) for s in mixture.sources)
    return Preview(
        stages,
        sources,
        sum(s.documents for s in sources),
        sum(s.tokens for s in sources),
        sum(s.different for s in sources),
        sum(counted[s.name].draw(mixture.seed).tokens_at(s.different) for s in sources),
        sum(s.effective_tokens for s in sources),
        tuple(warnings),
    )


def _stage(stage: Planned, counted: Mapping[str, Counted], seed: int) -> StagePreview:
    tokens = [_tokens(part, counted[part.source], seed) for part in stage.parts]
    total = sum(tokens)
    parts = tuple(_part(part, counted[part.source], held, total, seed) for part, held in zip(stage.parts, tokens, strict=True))
    return StagePreview(stage.name, stage.share, sum(p.documents for p in parts), total, stage.sequence_length, parts)


def _part(part: Part, source: Counted, tokens: float, total: float, seed: int) -> PartPreview:
    before, unique = source.draw(seed).tokens_at(part.start), source.unique
    return PartPreview(
        part.source,
        part.given,
        part.target_tokens,
        part.end - part.start,
        min(part.end - part.start, unique.documents),
        tokens,
        tokens / total if total else None,
        tokens / unique.tokens if unique.tokens else None,
        effective_tokens(before + tokens, unique.tokens) - effective_tokens(before, unique.tokens),
        part.order,
        part.transform.name,
    )


def _tokens(part: Part, source: Counted, seed: int) -> float:
    draw = source.draw(seed)
    return draw.tokens_at(part.end) - draw.tokens_at(part.start)


def _source(source: Counted, end: int, seed: int) -> SourcePreview:
    unique, tokens = source.unique, source.draw(seed).tokens_at(end)
    worn = wear(tokens, unique.tokens)
    return SourcePreview(
        source.name,
        unique.documents,
        unique.tokens,
        end,
        min(end, unique.documents),
        tokens,
        worn.epochs,
        worn.effective_tokens,
        worn.verdict,
        source.counted.estimated,
    )


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)
