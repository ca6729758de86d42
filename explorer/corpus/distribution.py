"""How the values of a column are spread: figures, histograms by group, telling documents, agreement of two columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from explorer.corpus.columns import Groups

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Spread:
    """Figures of one column; all of them None when no document has a value."""

    documents: int
    nulls: int
    mean: float | None
    minimum: float | None
    maximum: float | None
    quantiles: dict[float, float]
    zeros: int


def spread(values: np.ndarray) -> Spread:
    """Figures of a column, NaN left out and counted."""
    defined = values[~np.isnan(values)]
    nulls = len(values) - len(defined)
    if not len(defined):
        return Spread(len(values), nulls, None, None, None, {}, 0)
    quantiles = dict(zip(QUANTILES, (float(q) for q in np.quantile(defined, QUANTILES)), strict=True))
    return Spread(
        len(values),
        nulls,
        float(defined.mean(dtype=np.float64)),
        float(defined.min()),
        float(defined.max()),
        quantiles,
        int((defined == 0).sum()),
    )


def is_skewed(values: np.ndarray) -> bool:
    """Whether a logarithmic axis shows more: no value is negative and the upper tail is more than ten times the median."""
    figures = spread(values)
    if figures.minimum is None or figures.minimum < 0:
        return False
    middle, high = figures.quantiles[0.5], figures.quantiles[0.99]
    return high > 10 * middle > 0


def bin_edges(values: np.ndarray, bins: int = 60, *, log: bool = False) -> np.ndarray:
    """Edges of equal width between the extremes (equal ratio when ``log``); whole numbers with few values get a bin each."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return np.array([0.0, 1.0])
    low, high = float(defined.min()), float(defined.max())
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    if high - low <= bins and bool((defined == np.round(defined)).all()):
        return np.arange(low - 0.5, high + 1)
    if log:
        positive = defined[defined > 0]
        if len(positive):
            return np.geomspace(float(positive.min()), high, bins + 1)
    return np.linspace(low, high, bins + 1)


def histogram_by(values: np.ndarray, groups: Groups, edges: np.ndarray) -> np.ndarray:
    """Documents int64 [groups, bins]; values outside the edges (zeros of a logarithmic axis) fall into the nearest bin."""
    n, bins = len(groups.labels), len(edges) - 1
    defined = ~np.isnan(values)
    codes = np.clip(np.searchsorted(edges, values[defined], side="right") - 1, 0, bins - 1)
    return np.bincount(groups.codes[defined].astype(np.int64) * bins + codes, minlength=n * bins).reshape(n, bins)


def telling(values: np.ndarray, n: int = 10) -> dict[str, np.ndarray]:
    """Numbers of the n lowest documents, n around the median and n highest; ties by number, null left out."""
    rows = np.flatnonzero(~np.isnan(values))
    order = rows[np.lexsort((rows, values[rows]))]
    middle = max(0, len(order) // 2 - n // 2)
    return {"lowest": order[:n], "around the median": order[middle : middle + n], "highest": order[::-1][:n]}


@dataclass(frozen=True)
class Agreement:
    """How two columns rank the documents that have both.

    Attributes:
        documents: that have both values.
        spearman: rank correlation; None for fewer than three documents or a constant column.
        top_overlap: share of the top ``top`` of one that is in the top of the other; ``top`` itself by chance.
        top: that share.
        higher_in_first, higher_in_second: rows with the largest difference of ranks, either way round.
    """

    documents: int
    spearman: float | None
    top_overlap: float | None
    top: float
    higher_in_first: np.ndarray
    higher_in_second: np.ndarray


def agreement(first: np.ndarray, second: np.ndarray, *, top: float = 0.1, n: int = 5) -> Agreement:
    """Compare two columns by ranks (ties share their mean rank)."""
    rows = np.flatnonzero(~np.isnan(first) & ~np.isnan(second))
    none = np.zeros(0, np.int64)
    if len(rows) < 3:
        return Agreement(len(rows), None, None, top, none, none)
    ranks = pl.DataFrame({"a": first[rows], "b": second[rows]}).select(pl.all().rank("average") / len(rows))
    a, b = ranks["a"].to_numpy(), ranks["b"].to_numpy()
    correlation = None if np.ptp(a) == 0 or np.ptp(b) == 0 else float(np.corrcoef(a, b)[0, 1])
    k = max(1, int(top * len(rows)))
    best_a, best_b = np.argsort(-a, kind="stable")[:k], np.argsort(-b, kind="stable")[:k]
    difference = a - b
    order = np.argsort(difference, kind="stable")
    return Agreement(len(rows), correlation, len(np.intersect1d(best_a, best_b)) / k, top, rows[order[::-1][:n]], rows[order[:n]])
