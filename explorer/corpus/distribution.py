"""How the values of a column are spread: figures, histograms by group, telling documents, agreement of two columns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
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
    with np.errstate(invalid="ignore"):  # between infinities
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


def is_skewed(figures: Spread) -> bool:
    """Whether a logarithmic axis shows more: no value is negative and the upper tail is more than ten times the median."""
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
    """Numbers of the n lowest documents, n around the median and n highest; of equal values the first document, null left out."""
    defined = int(np.count_nonzero(~np.isnan(values)))
    n = min(n, defined)
    middle = max(0, defined // 2 - n // 2)
    if not n:
        none = np.zeros(0, np.int64)
        return {"lowest": none, "around the median": none, "highest": none}
    ranks = sorted({n - 1, middle, middle + n - 1, defined - n})
    at = np.partition(values, ranks)  # NaN comes last
    return {
        "lowest": _first(values, -np.inf, at[n - 1], 0, n),
        "around the median": _first(values, at[middle], at[middle + n - 1], middle, n),
        "highest": _first(-values, -np.inf, -at[defined - n], 0, n),
    }


def _first(values: np.ndarray, low: float, high: float, skip: int, n: int) -> np.ndarray:
    """Rows ranked ``skip`` to ``skip + n`` by (value, row), which are known to lie between two values."""
    rows = np.flatnonzero((values >= low) & (values <= high))
    below = int(np.count_nonzero(values < low))
    return rows[np.argsort(values[rows], kind="stable")][skip - below : skip - below + n]


@dataclass(frozen=True)
class Agreement:
    """How two columns rank the documents that have both.

    Attributes:
        documents: that have both values.
        compared: of these, how many were ranked; fewer than ``documents`` means a seeded sample.
        spearman: rank correlation; None for fewer than three documents or a constant column.
        top_overlap: share of the top ``top`` of one that is in the top of the other; ``top`` itself by chance.
        top: that share.
        higher_in_first, higher_in_second: rows with the largest difference of ranks, either way round.
    """

    documents: int
    compared: int
    spearman: float | None
    top_overlap: float | None
    top: float
    higher_in_first: np.ndarray
    higher_in_second: np.ndarray


def agreement(first: np.ndarray, second: np.ndarray, *, top: float = 0.1, n: int = 5, most: int = 500_000, seed: int = 0) -> Agreement:
    """Compare two columns by ranks (ties share their mean rank), on at most ``most`` documents drawn with ``seed``."""
    both = np.flatnonzero(~np.isnan(first) & ~np.isnan(second))
    rows = both if len(both) <= most else both[_drawn(len(both), most, seed)]
    none = np.zeros(0, np.int64)
    if len(rows) < 3:
        return Agreement(len(both), len(rows), None, None, top, none, none)
    a, b = _ranks(first[rows]) / len(rows), _ranks(second[rows]) / len(rows)
    correlation = None if np.ptp(a) == 0 or np.ptp(b) == 0 else float(np.corrcoef(a, b)[0, 1])
    k = max(1, int(top * len(rows)))
    best_a, best_b = np.argsort(-a, kind="stable")[:k], np.argsort(-b, kind="stable")[:k]
    difference = a - b
    order = np.argsort(difference, kind="stable")
    overlap = len(np.intersect1d(best_a, best_b)) / k
    return Agreement(len(both), len(rows), correlation, overlap, top, rows[order[::-1][:n]], rows[order[:n]])


def drawn(total: int, most: int, *, seed: int = 0) -> np.ndarray:
    """Rows of a seeded uniform sample without replacement, ascending; all of them when there are no more than ``most``."""
    return np.arange(total) if total <= most else _drawn(total, most, seed)


def rank_correlations(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Spearman's rank correlation of every two columns, float64 [columns, columns].

    Each pair is ranked over the documents that have both values; NaN where there are fewer than three, or a column is constant there.
    """
    k = len(columns)
    found = np.full((k, k), np.nan)
    # Columns that are undefined in the same documents are ranked together: a family usually is.
    alike: dict[bytes, list[int]] = {}
    defined = [~np.isnan(column) for column in columns]
    for i, mask in enumerate(defined):
        alike.setdefault(mask.tobytes(), []).append(i)
    for ours, theirs in itertools.combinations_with_replacement(alike.values(), 2):
        both = defined[ours[0]] & defined[theirs[0]]
        if np.count_nonzero(both) < 3:
            continue
        ranks = {i: _ranks(columns[i][both]) for i in {*ours, *theirs}}
        varied = [i for i in ranks if np.ptp(ranks[i]) > 0]
        if not varied:
            continue
        part = np.full((k, k), np.nan)
        part[np.ix_(varied, varied)] = np.corrcoef(np.array([ranks[i] for i in varied])).reshape(len(varied), len(varied))
        for one, other in ((ours, theirs), (theirs, ours)):
            found[np.ix_(one, other)] = part[np.ix_(one, other)]
    return found


def neighbours(correlations: np.ndarray) -> list[int]:
    """An order of columns in which like ones stand together: each is followed by the one left that is most like it, whatever the sign."""
    strength = np.nan_to_num(np.abs(correlations), nan=-1.0)
    left = list(range(len(strength)))
    order: list[int] = []
    while left:
        last = order[-1] if order else int(np.argmax(strength.sum(0)))
        best = max(left, key=lambda i: strength[last, i]) if order else last
        order.append(best)
        left.remove(best)
    return order


def _drawn(total: int, most: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).choice(total, most, replace=False, shuffle=False))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean."""
    return pl.Series(values).rank("average").to_numpy()
