"""Do two scorers agree, where do they not, and whom does each of them favour?

Everything goes by ranks among the documents that have both values, ties sharing their mean rank, so that scorers on different scales
compare. All documents are ranked, by one sort a column. The highest share p of a column is cut fractionally inside a tie: of t equal
documents of which c fit, each counts c / t, which is what cutting the tie by lot gives on average, and exactly p of them are in.

Intervals are at 95 % and say what the figure could be if these documents are a random sample of those it is meant for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from explorer.corpus.columns import Groups
from explorer.corpus.distribution import drawn
from explorer.errors import ColumnNotFoundError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

Z = 1.959963984540054  # 97.5 % quantile of the normal distribution
SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
MOST = 50_000_000  # documents that are ranked; of more, a seeded sample
FEWEST = 5  # documents that the highest share must hold to be worth a figure


class Interval(NamedTuple):
    """A figure and the 95 % interval around it."""

    value: float
    low: float
    high: float


class Overlap(NamedTuple):
    """How much of the highest share of one column is in the highest share of the other.

    Attributes:
        p: that share of the documents.
        k: that many documents.
        shared: of them, how many are in both; fractional where the cut goes through a tie.
        share: shared / k, with its Wilson interval.
        chance: the same if the columns knew nothing of each other (p), and the interval in which 95 % of shuffles lie.
    """

    p: float
    k: int
    shared: float
    share: Interval
    chance: Interval

    @property
    def beyond_chance(self) -> bool:
        """Whether more, or less, is shared than in 95 % of shuffles."""
        return not self.chance.low <= self.share.value <= self.chance.high


@dataclass(frozen=True, eq=False)
class Ranked:
    """Two columns as ranks over the documents that have both.

    Attributes:
        rows: int64 [m], numbers of these documents, ascending.
        first, second: float64 [m], ranks from 1 (lowest), ties sharing their mean.
        documents: how many have both; more than m where a seeded sample was ranked.
        only_first, only_second, neither: how many lack one value, or both.
    """

    rows: np.ndarray
    first: np.ndarray
    second: np.ndarray
    documents: int
    only_first: int
    only_second: int
    neither: int

    @property
    def sampled(self) -> bool:
        """Whether a sample was ranked."""
        return len(self.rows) < self.documents


def ranked(first: np.ndarray, second: np.ndarray, *, turned: tuple[bool, bool] = (False, False), most: int = MOST, seed: int = 0) -> Ranked:
    """Rank two columns over the documents that have both values.

    Args:
        first: float [n], NaN where undefined.
        second: the same for the other column.
        turned: whether low is good in the first and in the second: its ranks are then turned round.
        most: documents that are ranked; of more, a sample.
        seed: draws the sample.

    """
    a, b = ~np.isnan(first), ~np.isnan(second)
    both = a & b
    rows = np.flatnonzero(both)
    documents = len(rows)
    rows = rows[drawn(documents, most, seed=seed)] if documents > most else rows
    one, other = (_ranks(-v if turn else v) for v, turn in zip((first[rows], second[rows]), turned, strict=True))
    n_a, n_b = int(a.sum()), int(b.sum())
    return Ranked(rows, one, other, documents, n_a - documents, n_b - documents, len(first) - n_a - n_b + documents)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean, float64 [n]; no NaN."""
    order, ordered = _sorted(_keys(values))
    return _ranks_in(order, ordered, np.zeros(1, np.int64))


def _keys(values: np.ndarray) -> np.ndarray:
    """Values that order as these do: float32 as uint32, which sorts with its place packed beside it, five times as fast as argsort."""
    if values.dtype != np.float32:
        return values
    bits = (values + np.float32(0)).view(np.uint32)  # -0 becomes 0
    return bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def _sorted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the keys in ascending order, of equal ones the lowest first, and the keys in that order."""
    if keys.dtype != np.uint32 or len(keys) >= 1 << 32:
        order = np.argsort(keys, kind="stable")
        return order, keys[order]
    packed = keys.astype(np.uint64) << np.uint64(32)
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64(0xFFFFFFFF)).astype(np.int64), (packed >> np.uint64(32)).astype(np.uint32)


def _ranks_in(order: np.ndarray, ordered: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Mean ranks of values that are sorted inside consecutive groups, each beginning at one of ``starts``; in the order of the rows."""
    n = len(ordered)
    new = np.ones(n, bool)
    new[1:] = ordered[1:] != ordered[:-1]
    new[starts[starts < n]] = True
    edges = np.append(np.flatnonzero(new), n)
    mean = (edges[:-1] + edges[1:] + 1) / 2  # of the places start + 1 … end
    base = starts[np.searchsorted(starts, edges[:-1], side="right") - 1]
    out = np.empty(n)
    out[order] = np.repeat(mean - base, np.diff(edges))
    return out


def spearman(pair: Ranked) -> Interval | None:
    """Spearman's rank correlation; None for fewer than three documents or where a column is the same everywhere.

    Interval by Fisher's transformation with the variance of Bonett and Wright 2000 (Psychometrika 65), (1 + r^2 / 2) / (n - 3); below
    four documents it is -1 to 1.
    """
    n = len(pair.rows)
    if n < 3:
        return None
    a, b = pair.first - (n + 1) / 2, pair.second - (n + 1) / 2
    return _interval(_correlation(float(a @ b), float(a @ a), float(b @ b)), n)


def _correlation(ab: float, aa: float, bb: float) -> float:
    return float(np.clip(ab / np.sqrt(aa * bb), -1, 1)) if aa > 0 and bb > 0 else np.nan


def _interval(r: float, n: int) -> Interval | None:
    if np.isnan(r):
        return None
    if n < 4:
        return Interval(r, -1.0, 1.0)
    with np.errstate(divide="ignore"):
        centre, half = np.arctanh(r), Z * np.sqrt((1 + r * r / 2) / (n - 3))
    return Interval(r, float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; (0, 1) where n is 0."""
    if n <= 0:
        return 0.0, 1.0
    p, z2 = successes / n, Z * Z
    centre, half = (p + z2 / (2 * n)) / (1 + z2 / n), Z * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def membership(ranks: np.ndarray, p: float) -> np.ndarray:
    """How far each document is in the highest share ``p`` (of documents, rounded, at least one), float64 [n], 0 to 1.

    1 above the cut, 0 below; documents tied at the cut share what is left.
    """
    n = len(ranks)
    if not n:
        return np.zeros(0)
    k = _top(n, p)
    at = np.partition(ranks, n - k)[n - k]
    inside = (ranks > at).astype(np.float64)
    tied = ranks == at
    inside[tied] = (k - inside.sum()) / np.count_nonzero(tied)
    return inside


def _top(n: int, p: float) -> int:
    return min(n, max(1, round(p * n)))


def overlap(pair: Ranked, p: float) -> Overlap | None:
    """How much the highest share ``p`` of both columns have in common; None without a document.

    By chance: the mean over all shuffles of one column is k / m, and their variance is the product of both columns' sums of squares
    of membership about the mean, divided by m - 1 (without ties, the hypergeometric's).
    """
    m = len(pair.rows)
    if not m:
        return None
    k = _top(m, p)
    a, b = membership(pair.first, p), membership(pair.second, p)
    shared = float(a @ b)
    mean = k / m
    spread = (float(a @ a) - k * mean) * (float(b @ b) - k * mean)
    half = Z * float(np.sqrt(max(0.0, spread) / (m - 1))) / k if m > 1 else 0.0
    chance = Interval(mean, max(0.0, mean - half), min(1.0, mean + half))
    return Overlap(p, k, shared, Interval(shared / k, *wilson(shared, k)), chance)


def overlaps(pair: Ranked, shares: Sequence[float] = SHARES) -> list[Overlap]:
    """`overlap` for several shares, leaving out those that hold fewer than `FEWEST` documents."""
    found = (overlap(pair, p) for p in shares if p * len(pair.rows) >= FEWEST)
    return [o for o in found if o is not None]


def disagreements(pair: Ranked, n: int = 10, *, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the documents on which the ranks differ most: (high in the first, low in the second) and the other way round.

    Args:
        pair: the ranks.
        n: documents each way; fewer where fewer are ranked higher that way.
        among: bool [m], documents (of ``pair.rows``) to look among; all by default.

    Returns:
        int64 twice, largest difference first, of equal differences the lowest number first.

    """
    difference = pair.first - pair.second
    if among is not None:
        difference = np.where(among, difference, 0)
    return pair.rows[_largest(difference, n)], pair.rows[_largest(-difference, n)]


def _largest(values: np.ndarray, n: int) -> np.ndarray:
    """Places of the n largest positive values, largest first, of equal ones the lowest place."""
    positive = int(np.count_nonzero(values > 0))
    n = min(n, positive)
    if not n:
        return np.zeros(0, np.int64)
    at = np.partition(values, len(values) - n)[len(values) - n]
    places = np.flatnonzero(values >= at)
    return places[np.lexsort((places, -values[places]))][:n]


def by_group(pair: Ranked, groups: Groups, p: float = 0.1) -> pl.DataFrame:
    """Agreement inside each group, ranked anew among its own documents.

    A correlation over all documents can come from the groups alone (both scorers prefer books), or hide that they disagree in one.

    Args:
        pair: the ranks.
        groups: of all documents of the corpus.
        p: highest share whose overlap is given.

    Returns:
        A row a group with documents: ``group``, ``documents``, ``spearman``, ``low``, ``high``, ``overlap`` (null where undefined), and
        ``difference``: mean of the first rank minus the second over all documents, as a share of them; positive where the first
        favours the group.

    """
    codes = groups.codes[pair.rows]
    counts = np.bincount(codes, minlength=len(groups.labels))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if len(counts) else np.zeros(1, np.int64)
    inside = []
    for ranks in (pair.first, pair.second):
        doubled = (2 * ranks).astype(np.uint32)  # whole numbers
        order, _ = _sorted(doubled)
        order = order[np.argsort(codes[order], kind="stable")]
        inside.append(_ranks_in(order, doubled[order], np.unique(starts)))
    middle = (counts[codes] + 1) / 2
    a, b = inside[0] - middle, inside[1] - middle
    k = len(counts)
    ab, aa, bb = (np.bincount(codes, w, minlength=k) for w in (a * b, a * a, b * b))
    difference = np.bincount(codes, pair.first - pair.second, minlength=k)
    members = np.argsort(codes, kind="stable")
    lines = []
    for i in np.flatnonzero(counts):
        n = int(counts[i])
        here = members[starts[i] : starts[i] + n]
        rho = _interval(_correlation(ab[i], aa[i], bb[i]), n) if n >= 3 else None
        part = Ranked(pair.rows[here], inside[0][here], inside[1][here], n, 0, 0, 0)
        shared = overlap(part, p) if n * p >= 1 else None
        lines.append(
            (groups.labels[i], n, *(rho or (None,) * 3), shared.share.value if shared else None, float(difference[i]) / n / len(pair.rows))
        )
    floats = dict.fromkeys(("spearman", "low", "high", "overlap", "difference"), pl.Float64)
    return pl.DataFrame(lines, schema={"group": pl.String, "documents": pl.Int64, **floats}, orient="row")


def density(pair: Ranked, bins: int = 40) -> np.ndarray:
    """Documents int64 [bins, bins] by rank in the first (rows) and in the second (columns), in steps of equal numbers of documents.

    Two columns that know nothing of each other fill all cells alike; two that agree fill the diagonal.
    """
    m = max(1, len(pair.rows))
    x, y = (np.minimum((bins * (r - 0.5) / m).astype(np.int64), bins - 1) for r in (pair.first, pair.second))
    return np.bincount(x * bins + y, minlength=bins * bins).reshape(bins, bins)


# --- whom a scorer favours -----------------------------------------------------------------------------------------------------


def bias(values: np.ndarray, groups: Groups, p: float = 0.1, *, turned: bool = False) -> pl.DataFrame:
    """Of each group, the share of documents that the highest share ``p`` of a column keeps, against the share of all that it keeps.

    Args:
        values: float [n], NaN where undefined; those documents are counted, and are no part of the pool.
        groups: of the same documents.
        p: the share kept.
        turned: whether low is good.

    Returns:
        A row a group: ``group``, ``documents`` (with a value), ``undefined``, ``kept`` (fractional inside a tie), ``kept_share`` with
        its Wilson interval ``low`` and ``high``, and ``ratio``: kept_share over the pool's; null where the group has no value.

    """
    rows = np.flatnonzero(~np.isnan(values))
    codes = groups.codes[rows]
    k = len(groups.labels)
    inside = membership(-values[rows] if turned else values[rows], p)
    documents, kept = np.bincount(codes, minlength=k)[:k], np.bincount(codes, inside, minlength=k)[:k]
    everything = np.bincount(groups.codes, minlength=k)[:k]
    pool = float(kept.sum()) / max(1, len(rows))
    bounds = [wilson(float(s), float(n)) if n else (None, None) for s, n in zip(kept, documents, strict=True)]
    frame = pl.DataFrame(
        {
            "group": pl.Series(list(groups.labels), dtype=pl.String),
            "documents": documents.astype(np.int64),
            "undefined": (everything - documents).astype(np.int64),
            "kept": kept.astype(np.float64),
            "low": pl.Series([b[0] for b in bounds], dtype=pl.Float64),
            "high": pl.Series([b[1] for b in bounds], dtype=pl.Float64),
        }
    )
    share = pl.when(pl.col("documents") > 0).then(pl.col("kept") / pl.col("documents"))
    frame = frame.with_columns(kept_share=share).with_columns(ratio=pl.col("kept_share") / (pool or None))
    return frame.select("group", "documents", "undefined", "kept", "kept_share", "low", "high", "ratio")


def pools(corpus: Corpus, most: int = 24) -> list[Groups]:
    """The groups that `bias` looks at: sources, languages, years where the corpus has them, and tenths by length in tokens."""
    from explorer.selection.compare import length_groups

    found = []
    for by in ("source", "language", "year"):
        try:
            groups = corpus.columns.groups(by, most)
        except ColumnNotFoundError:
            continue  # nothing tells such groups apart here
        if len(groups.labels) > 1:
            found.append(groups)
    lengths, _ = length_groups(corpus)
    return [*found, lengths] if len(lengths.labels) > 1 else found


def with_length(corpus: Corpus, values: np.ndarray, *, turned: bool = False) -> Interval | None:
    """Spearman's rank correlation of a column with the documents' length in tokens: how much of a score is length."""
    return spearman(ranked(values, corpus.columns.tokens().values, turned=(turned, False)))
