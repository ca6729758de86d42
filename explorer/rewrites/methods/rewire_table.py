"""ReWire's question to any rewriting: how much of what is kept comes from documents that a filter on the raw text would have dropped?"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from explorer.errors import SelectionError

if TYPE_CHECKING:
    from explorer.rewrites.pairs import Pairs
    from explorer.selection.filters import Filters
    from explorer.selection.threshold import Threshold

KEPT, DROPPED, NONE = "kept", "dropped", "no original"


@dataclass(frozen=True)
class RescueTable:
    """Raw filter against rewrite filter.

    Attributes:
        table: a row for each of raw kept, raw dropped and no original, with the rewrites kept and with those dropped: ``raw``,
            ``rewritten``, ``rewrites``, ``rewrite_tokens``, ``originals`` (different ones), ``original_tokens`` (each original once).
        raw, rewritten: the rules, as a reader would write them.
        raw_kept_tokens, raw_kept_documents: of the originals, rewritten or not, that the raw filter keeps.
        tokens_labels: whose tokens: of the originals, of the rewrites.
        most: rewrites of the original that has most.

    An original with several rewrites is counted as often in ``rewrites``, and once in ``originals`` of each cell that one of its rewrites
    is in: these do not add up where rewrites of one original part ways.

    """

    table: pl.DataFrame
    raw: str
    rewritten: str
    raw_kept_documents: int
    raw_kept_tokens: float
    tokens_labels: tuple[str, str]
    most: int

    def _of(self, raw: str, rewritten: str, column: str) -> float:
        return float(self.table.filter((pl.col("raw") == raw) & (pl.col("rewritten") == rewritten))[column].sum())

    def _share(self, column: str) -> float | None:
        rescued, known = self._of(DROPPED, KEPT, column), self._of(KEPT, KEPT, column)
        return rescued / (rescued + known) if rescued + known else None

    @property
    def rescued_share(self) -> float | None:
        """Of the kept rewrites that have an original, the share whose original is dropped; None where no rewrite is kept. ReWire: 0.82."""
        return self._share("rewrites")

    @property
    def rescued_token_share(self) -> float | None:
        """The same in tokens of the rewrites."""
        return self._share("rewrite_tokens")

    @property
    def synthetic_share(self) -> float | None:
        """Share of the rewrites' tokens in a mix of the raw documents kept and the rewrites kept, each once; ReWire mixes 1:1."""
        made = sum(self._of(raw, KEPT, "rewrite_tokens") for raw in (KEPT, DROPPED, NONE))
        return made / (made + self.raw_kept_tokens) if made + self.raw_kept_tokens else None

    def __str__(self) -> str:
        if self.rescued_share is None:
            return f"No rewrite that has an original is kept by {self.rewritten}."
        rewrites = self._of(DROPPED, KEPT, "rewrites") + self._of(KEPT, KEPT, "rewrites")
        return (
            f"{self.rescued_share:.1%} of {rewrites:,.0f} kept rewrites come from originals that {self.raw} drops "
            f"({self.rescued_token_share or 0:.1%} of their tokens)"
        )

    def __repr__(self) -> str:
        return f"RescueTable({self})"

    def _repr_html_(self) -> str:
        many = f"<li>Up to {self.most:,} rewrites an original: an original may stand in several rows.</li>" if self.most > 1 else ""
        labels = f"<li>Tokens of originals: {escape(self.tokens_labels[0])}; of rewrites: {escape(self.tokens_labels[1])}.</li>"
        mixed = "" if self.synthetic_share is None else f"<li>Mixed once each, {self.synthetic_share:.1%} of the tokens are rewritten.</li>"
        return f"<b>{escape(str(self))}</b><ul>{mixed}{labels}{many}</ul>{self.table._repr_html_()}"


def rescue_table(
    pairs: Pairs, raw: Filters | Threshold | str, rewritten: Filters | Threshold | str, *, counted: np.ndarray | None = None
) -> RescueTable:
    """Which rewrites two filters keep: one on the originals, one on the rewrites.

    Args:
        pairs: rewrites with their originals.
        raw: filters over the originals and their signals.
        rewritten: filters over the rewrites, their signals and checks.
        counted: bool [len(pairs)], the rewrites to count (of one method, say); all by default.

    Raises:
        SignalError, ColumnNotFoundError: a filter reads what has not been computed or does not exist.

    """
    kept_raw, kept_rewrites = pairs.originals.select(raw), pairs.select(rewritten)
    originals, rewrites = pairs.originals.columns.tokens(), pairs.columns.tokens()
    rows, raw_mask, made = pairs.match.rows, kept_raw.mask(), kept_rewrites.mask()
    wanted = np.ones(len(rows), bool) if counted is None else np.asarray(counted)
    if wanted.dtype != bool or wanted.shape != rows.shape:
        raise SelectionError(
            f"counted is {wanted.dtype} of shape {wanted.shape}. It must be a bool for each of {len(rows):,} rewrites. Give a mask."
        )
    there = rows >= 0
    of_raw = there & raw_mask[np.maximum(rows, 0)] if len(raw_mask) else np.zeros(len(rows), bool)
    cells = []
    for name, where in ((KEPT, of_raw), (DROPPED, there & ~of_raw), (NONE, ~there)):
        for outcome, side in ((KEPT, made), (DROPPED, ~made)):
            cell = where & side & wanted
            different = np.unique(rows[cell & there])
            sums = float(rewrites.values[cell].sum()), float(originals.values[different].sum())
            cells.append((name, outcome, int(cell.sum()), sums[0], len(different), sums[1]))
    columns = ("raw", "rewritten", "rewrites", "rewrite_tokens", "originals", "original_tokens")
    return RescueTable(
        pl.DataFrame(
            cells, schema=dict(zip(columns, (pl.String, pl.String, pl.Int64, pl.Float64, pl.Int64, pl.Float64), strict=True)), orient="row"
        ),
        "; ".join(kept_raw.rules) or "nothing",
        "; ".join(kept_rewrites.rules) or "nothing",
        int(raw_mask.sum()),
        float(originals.values[raw_mask].sum()),
        (originals.label, rewrites.label),
        pairs.match.report.most,
    )
