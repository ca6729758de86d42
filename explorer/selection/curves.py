"""Leave-one-out curves: ONE pass over the rows answers every drag of every cut.

A *cut* is a closed range of codes of one column. A row that passes all cuts counts in every cut's curve; a row that fails
exactly one cut counts in that cut's curve alone; a row that fails two or more counts nowhere. So, with the other cuts fixed,
the documents and tokens that cut k keeps at any position are a sum over a stretch of its curve, and the rows that only
cut k drops are the sum over the rest of it.

    values ── choose_edges ──► edges ── quantise ──► codes uint8 ──┐
    minimum, maximum ── code_range ──► low, high ──────────────────┴── leave_one_out ──► Curves

Codes: edges ``e[0] < e[1] < …`` split a column into half-open bins, and a value's code is the number of edges at or below it:
code c holds ``e[c-1] <= v < e[c]``. Code 255 (`NULL`) is a value that is undefined (NaN). Hence ``v >= t`` is exact when t is
an edge and ``v <= t`` when the next float after t is one; `choose_edges` puts both there for every value it is told to keep.
Thresholds are compared in the column's own precision: 0.8 against a float32 column means float32(0.8).

Kernels are serial, release the GIL and run in plain threads: numba's own parallel regions abort the process when two
sessions of an app enter them at once on the default threading layer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numba as nb
import numpy as np

from explorer.errors import SelectionError

NULL = 255
"""The code of an undefined value."""
SLOTS = 256
"""Codes a curve has room for: 255 bins and `NULL`."""

Side = Literal["minimum", "maximum", "both"]
Part = TypeVar("Part")

_CHUNK = 1 << 16  # rows a kernel call sees: its scratch stays in the second-level cache
_MOST_CUTS = 250  # failures of a row are counted in a byte
_SAMPLE = 200_000  # rows that decide where the edges lie


# --- edges and codes -------------------------------------------------------------------------------------------------------


def choose_edges(values: np.ndarray, keep: Sequence[float] = (), bins: int = 254, *, side: Side = "both") -> np.ndarray:
    """Bin edges of a column: every value to keep exactly, the rest where the data is.

    Most edges are quantiles of an evenly spaced sample; some are spread evenly over the range (linearly and, for positive
    columns, by ratio), because a published cut often lies where almost no document is. They are rounded to as few digits as
    keep them apart, so that a cut that is dragged there reads 0.812 and not 0.81234569.

    Args:
        values: the column, any numeric dtype; NaN is null.
        keep: values that must be exact cuts, from below and from above (published, current and typed ones).
        bins: the largest number of bins, at most 255.
        side: which cuts the free edges serve: ``v >= t`` needs an edge at t, ``v <= t`` one just above t. "both" makes a pair
            of each and so has half as many positions.

    Returns:
        Edges, ascending, in the column's precision (float64 for integers); at most ``bins - 1``, perhaps none.

    Raises:
        SelectionError: a value to keep is NaN, or there are more of them than bins.

    """
    if not 1 <= bins <= NULL:
        raise SelectionError(f"{bins} bins do not fit a byte. Between 1 and {NULL} are allowed. Ask for fewer.")
    values = _floating(values)
    wanted = _cast(keep, values.dtype)
    if np.isnan(wanted).any():
        raise SelectionError("A cut at NaN keeps nothing. A cut is a number. Leave the side empty for no cut.")
    required = np.unique(np.concatenate([wanted, _after(wanted)]))
    room = bins - 1 - len(required)
    if room < 0:
        raise SelectionError(
            f"{len(wanted)} exact cuts do not fit {bins} bins. At most {(bins - 1) // 2} are allowed. Remove some published cuts."
        )
    free = _readable_positions(values, room // 2 if side == "both" else room)
    if side == "both":
        free = np.concatenate([free, _after(free)])
    elif side == "maximum":
        free = _after(free)
    return np.unique(np.concatenate([required, free]))


def quantise(values: np.ndarray, edges: np.ndarray, *, threads: int | None = None) -> np.ndarray:
    """Codes of a column: the number of edges at or below each value, `NULL` for NaN.

    Args:
        values: the column, in the precision the edges were chosen in.
        edges: ascending, at most 254, as `choose_edges` gives them.
        threads: how many to use; all cores by default.

    Returns:
        uint8 [rows].

    """
    if len(edges) >= NULL:
        raise SelectionError(f"{len(edges)} edges do not fit a byte. At most {NULL - 1} are allowed. Choose edges with fewer bins.")
    values = _floating(values)
    codes = np.empty(len(values), np.uint8)
    # Padding to 255 with +inf makes the search eight steps without a branch; the padding itself is never counted.
    padded = np.full(NULL, np.inf, values.dtype)
    padded[: len(edges)] = edges

    def work(chunks: Iterator[slice]) -> None:
        for chunk in chunks:
            _quantise(values[chunk], padded, len(edges), codes[chunk])

    _spread(work, len(values), threads)
    return codes


def code_range(
    edges: np.ndarray, minimum: float | None = None, maximum: float | None = None, *, exclusive: bool = False
) -> tuple[int, int]:
    """Lowest and highest code that a threshold keeps; low > high when it keeps nothing.

    Args:
        edges: the column's edges.
        minimum: lower bound, None for none.
        maximum: upper bound, None for none.
        exclusive: the bounds themselves are dropped (``v > minimum``, ``v < maximum``).

    Raises:
        SelectionError: a bound is not an edge, so that its count would not be exact.

    """
    low, high = 0, NULL - 1
    if minimum is not None:
        edge = _cast([minimum], edges.dtype)
        if not (np.isneginf(edge[0]) and not exclusive):
            low = _find(edges, _after(edge)[0] if exclusive else edge[0], minimum) + 1
    if maximum is not None:
        edge = _cast([maximum], edges.dtype)
        if not (np.isposinf(edge[0]) and not exclusive):
            high = _find(edges, edge[0] if exclusive else _after(edge)[0], maximum)
    return low, high


def positions(edges: np.ndarray, side: Literal["minimum", "maximum"], *, exclusive: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The values a handle can rest at and the code that each gives.

    Of the two neighbouring floats that a pair of edges stands for, only the one a person would write is offered.

    Returns:
        values float64 [n], ascending, with the shortest decimals that mean the same float; codes int64 [n] (the `low` of a
        minimum or the `high` of a maximum).

    """
    index = np.arange(len(edges))
    if (side == "minimum") != exclusive:  # the cut is at the edge itself
        twin = np.zeros(len(edges), bool)
        twin[1:] = edges[1:] == _after(edges[:-1])
        values = edges
    else:  # the cut is at the float before the edge
        twin = np.zeros(len(edges), bool)
        twin[:-1] = edges[1:] == _after(edges[:-1])
        values = np.nextafter(edges, edges.dtype.type(-np.inf))
    codes = index + 1 if side == "minimum" else index
    return decimals(values[~twin]), codes[~twin]


def decimals(values: np.ndarray) -> np.ndarray:
    """The shortest decimals that round to these floats, as float64: float32(0.8) gives 0.8, not 0.800000011920929."""
    return values.astype(np.float64) if values.dtype == np.float64 else np.array([float(str(v)) for v in values], np.float64)


def _floating(values: np.ndarray) -> np.ndarray:
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _cast(values: Sequence[float], dtype: np.dtype) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float64).reshape(-1).astype(dtype) + dtype.type(0)  # + 0 turns -0 into 0


def _after(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        return np.nextafter(values, values.dtype.type(np.inf))


def _find(edges: np.ndarray, edge: np.floating, value: float) -> int:
    at = int(np.searchsorted(edges, edge))
    if at == len(edges) or edges[at] != edge:
        raise SelectionError(
            f"A cut at {value!r} is not an edge of this column's bins. Its counts would not be exact. Pass it to choose_edges in `keep`."
        )
    return at


def _readable_positions(values: np.ndarray, count: int) -> np.ndarray:
    """At most `count` values worth cutting at, ascending and unique."""
    sample = values[:: max(1, len(values) // _SAMPLE)]
    sample = sample[np.isfinite(sample)]
    if len(sample) < 1_000:  # mostly null: the sample would miss what little there is
        sample = values[np.isfinite(values)]
        sample = sample[:: max(1, len(sample) // _SAMPLE)]
    if count < 1 or not len(sample):
        return values[:0]
    finite = np.isfinite(values)
    ends = np.array([np.min(values, where=finite, initial=np.inf), np.max(values, where=finite, initial=-np.inf)], values.dtype)
    distinct = np.unique(np.concatenate([sample, ends])) + values.dtype.type(0)
    if len(distinct) <= count:
        return np.unique(distinct)
    if count < 8:
        return np.unique(np.quantile(sample, np.linspace(0, 1, count), method="nearest"))
    lowest, highest = float(ends[0]), float(ends[1])
    even = count // 8
    free = [
        np.quantile(sample, np.linspace(0, 1, count - 2 - 2 * even), method="nearest").astype(np.float64),
        np.linspace(lowest, highest, even),
    ]
    positive = sample[sample > 0]
    if len(positive):
        free.append(np.geomspace(float(positive.min()), float(positive.max()), even))
    wanted = np.unique(np.concatenate(free))
    wanted = wanted[(wanted >= lowest) & (wanted <= highest)]
    if not (sample % 1).any():
        wanted = np.unique(np.round(wanted))
    for digits in range(3, 10):
        rounded = np.unique(_round(wanted, digits))
        if len(rounded) >= 0.85 * len(wanted):
            wanted = rounded
            break
    inner = np.unique(_cast(list(wanted), values.dtype))
    spread = np.unique(np.linspace(0, len(inner) - 1, min(count - 2, len(inner))).astype(int))
    return np.unique(np.concatenate([ends, inner[spread]]))


def _round(values: np.ndarray, digits: int) -> np.ndarray:
    """To so many significant digits."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = 10.0 ** (digits - 1 - np.floor(np.log10(np.abs(values))))
        rounded = np.round(values * scale) / scale
    return np.where(np.isfinite(rounded), rounded, values)


# --- curves ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Histogram:
    """Documents and tokens of one column by code and group, no cut applied.

    Attributes:
        documents: int64 [256, groups].
        tokens: float64 [256, groups].

    """

    documents: np.ndarray
    tokens: np.ndarray


@dataclass(frozen=True)
class Curves:
    """What every position of every cut keeps, the other cuts fixed.

    Attributes:
        low, high: uint8 [cuts], the codes that pass.
        null_passes: bool [cuts].
        documents, tokens: int64 and float64 [cuts, 256, groups]: rows that pass every *other* cut, by code; slot 255 is null.
        unconditioned: the same with no cut applied, one a cut.
        kept_documents, kept_tokens: [groups], rows that pass every cut.
        total_documents, total_tokens: [groups], rows of the unconditioned histograms.

    """

    low: np.ndarray
    high: np.ndarray
    null_passes: np.ndarray
    documents: np.ndarray
    tokens: np.ndarray
    unconditioned: tuple[Histogram, ...]
    kept_documents: np.ndarray
    kept_tokens: np.ndarray
    total_documents: np.ndarray
    total_tokens: np.ndarray

    @cached_property
    def fails(self) -> np.ndarray:
        """Per cut, bool [cuts, 256]: the codes that each cut drops."""
        code = np.arange(SLOTS)
        outside = (code < self.low[:, None]) | (code > self.high[:, None])
        outside[:, NULL] = ~self.null_passes
        return outside

    @cached_property
    def only_this(self) -> tuple[np.ndarray, np.ndarray]:
        """Documents and tokens [cuts] that fail exactly this cut: what switching it off would bring back."""
        return (self.documents.sum(2) * self.fails).sum(1), (self.tokens.sum(2) * self.fails).sum(1)

    @cached_property
    def alone(self) -> tuple[np.ndarray, np.ndarray]:
        """Documents and tokens [cuts] that fail this cut, whatever the others say."""
        documents = [int(h.documents.sum(1)[f].sum()) for h, f in zip(self.unconditioned, self.fails, strict=True)]
        tokens = [float(h.tokens.sum(1)[f].sum()) for h, f in zip(self.unconditioned, self.fails, strict=True)]
        return np.array(documents, np.int64), np.array(tokens, np.float64)

    @cached_property
    def nulls(self) -> np.ndarray:
        """Documents [cuts] whose value is undefined."""
        return np.array([h.documents[NULL].sum() for h in self.unconditioned], np.int64)


def leave_one_out(
    codes: Sequence[np.ndarray] | np.ndarray,
    low: Sequence[int] | np.ndarray,
    high: Sequence[int] | np.ndarray,
    group: np.ndarray,
    tokens: np.ndarray,
    n_groups: int,
    *,
    base: np.ndarray | None = None,
    null_passes: Sequence[bool] | np.ndarray | None = None,
    unconditioned: Sequence[Histogram] | None = None,
    threads: int | None = None,
) -> Curves:
    """Every cut's curve from one pass over the rows.

    Args:
        codes: uint8 [cuts][rows], as `quantise` gives them.
        low: [cuts], lowest code that passes, as `code_range` gives it; 0 for a cut that is switched off.
        high: [cuts], highest code that passes; 254 for a cut that is switched off.
        group: uint8 or uint16 [rows], below `n_groups`.
        tokens: float32 or float64 [rows]; NaN adds nothing to a sum. Sums are made in float64: exact for whole tokens.
        n_groups: how many groups there are.
        base: bool [rows], False for rows that are excluded before any cut; None for all rows.
        null_passes: bool [cuts], whether an undefined value passes; by default it does not.
        unconditioned: one `histogram` a cut by the same group, when the caller has kept them (they do not depend on the cuts); made
            here with the base otherwise. Totals and what a cut drops alone count the rows they were made of.
        threads: how many to use; all cores by default.

    Returns:
        The curves, with totals.

    Raises:
        SelectionError: lengths differ, or a group is out of range.

    """
    cuts = _Cuts.of(codes, low, high, null_passes, len(group))
    _check_rows(group, tokens, n_groups, base)
    if unconditioned is None:
        unconditioned = [histogram(column, group, tokens, n_groups, base=base, threads=threads) for column in cuts.codes]

    def work(chunks: Iterator[slice]) -> tuple[np.ndarray, np.ndarray]:
        sums, kept = np.zeros((len(cuts), SLOTS, n_groups, 2)), np.zeros((n_groups, 2))
        scratch = _Scratch(len(cuts))
        for chunk in chunks:
            failed, which = scratch.failures(cuts, chunk, base)
            starts = _survivors(failed, which, group[chunk], tokens[chunk], scratch.rows, scratch.groups, scratch.tokens, scratch.starts)
            _total(scratch.groups, scratch.tokens, starts[1], kept)
            for k, column in enumerate(cuts.codes):
                _accumulate(column[chunk], scratch.rows, scratch.groups, scratch.tokens, starts[1], starts[k + 1], starts[k + 2], sums[k])
        return sums, kept

    parts = _spread(work, len(group), threads)
    sums, kept = np.sum([p[0] for p in parts], axis=0), np.sum([p[1] for p in parts], axis=0)
    total = (
        histogram(np.zeros(len(group), np.uint8), group, tokens, n_groups, base=base, threads=threads)
        if not unconditioned
        else unconditioned[0]
    )
    return Curves(
        cuts.low,
        cuts.high,
        cuts.null_passes,
        sums[..., 0].astype(np.int64),
        np.ascontiguousarray(sums[..., 1]),
        tuple(unconditioned),
        kept[:, 0].astype(np.int64),
        kept[:, 1].copy(),
        total.documents.sum(0),
        total.tokens.sum(0),
    )


def histogram(
    codes: np.ndarray, group: np.ndarray, tokens: np.ndarray, n_groups: int, *, base: np.ndarray | None = None, threads: int | None = None
) -> Histogram:
    """Documents and tokens of one column by code and group, no cut applied. Arguments as in `leave_one_out`."""
    _check_rows(group, tokens, n_groups, base)

    def work(chunks: Iterator[slice]) -> np.ndarray:
        sums = np.zeros((SLOTS, n_groups, 2))
        for chunk in chunks:
            _histogram(codes[chunk], group[chunk], tokens[chunk], _admitted(base, chunk), sums)
        return sums

    sums = np.sum(_spread(work, len(group), threads), axis=0)
    return Histogram(sums[..., 0].astype(np.int64), np.ascontiguousarray(sums[..., 1]))


def passes(
    codes: Sequence[np.ndarray] | np.ndarray,
    low: Sequence[int] | np.ndarray,
    high: Sequence[int] | np.ndarray,
    rows: int,
    *,
    base: np.ndarray | None = None,
    null_passes: Sequence[bool] | np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Bool [rows], True where a row is admitted by the base and passes every cut. Arguments as in `leave_one_out`."""
    cuts = _Cuts.of(codes, low, high, null_passes, rows)
    kept = np.empty(rows, bool)

    def work(chunks: Iterator[slice]) -> None:
        scratch = _Scratch(len(cuts))
        for chunk in chunks:
            np.equal(scratch.failures(cuts, chunk, base)[0], 0, out=kept[chunk])

    _spread(work, rows, threads)
    return kept


# --- rows in chunks, one accumulator a thread --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cuts:
    """Checked columns of codes and the ranges they must lie in."""

    codes: list[np.ndarray]
    low: np.ndarray
    high: np.ndarray
    null_passes: np.ndarray

    @classmethod
    def of(
        cls,
        codes: Sequence[np.ndarray] | np.ndarray,
        low: Sequence[int] | np.ndarray,
        high: Sequence[int] | np.ndarray,
        null_passes: Sequence[bool] | np.ndarray | None,
        rows: int,
    ) -> _Cuts:
        columns = list(codes)
        nulls = np.zeros(len(columns), bool) if null_passes is None else np.asarray(null_passes, bool)
        if not len(columns) == len(low) == len(high) == len(nulls):
            raise SelectionError(
                f"{len(columns)} columns of codes, {len(low)} low and {len(high)} high ends do not match. One of each a cut is needed. Check the rules."
            )
        if len(columns) > _MOST_CUTS:
            raise SelectionError(
                f"{len(columns)} cuts are too many to count in a byte. At most {_MOST_CUTS} are allowed. Remove some rules."
            )
        for column in columns:
            if column.dtype != np.uint8 or len(column) != rows:
                raise SelectionError(
                    f"A column of codes has {len(column)} rows of {column.dtype}. {rows} rows of uint8 are needed. Quantise it again."
                )
        bounds = np.array([low, high], np.int64).reshape(2, -1)
        if ((bounds < 0) | (bounds >= NULL)).any():
            raise SelectionError(
                f"A cut at codes {bounds.T.tolist()} is out of range. Codes run from 0 to {NULL - 1}. Take them from code_range."
            )
        return cls(columns, bounds[0].astype(np.uint8), bounds[1].astype(np.uint8), nulls)

    def __len__(self) -> int:
        return len(self.codes)


class _Scratch:
    """One thread's working arrays for a chunk of rows."""

    def __init__(self, cuts: int) -> None:
        self.failed = np.empty(_CHUNK, np.uint8)
        self.which = np.empty(_CHUNK, np.uint8)
        self.rows = np.empty(_CHUNK, np.int32)
        self.groups = np.empty(_CHUNK, np.uint16)
        self.tokens = np.empty(_CHUNK, np.float64)
        self.starts = np.zeros(cuts + 2, np.int64)

    def failures(self, cuts: _Cuts, chunk: slice, base: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """How many cuts each row fails (two more where the base excludes it) and the one seen last."""
        size = chunk.stop - chunk.start
        failed, which = self.failed[:size], self.which[:size]
        if base is None:
            failed[:] = 0
        else:
            np.multiply(~base[chunk], np.uint8(2), out=failed)
        forgive = cuts.null_passes.astype(np.uint8) * np.uint8(255)
        for k in range(len(cuts)):
            _count_failures(cuts.codes[k][chunk], cuts.low[k], cuts.high[k], forgive[k], np.uint8(k), failed, which)
        return failed, which


def _admitted(base: np.ndarray | None, chunk: slice) -> np.ndarray:
    """The base's rows of a chunk; empty stands for all."""
    return np.ones(0, bool) if base is None else base[chunk]


def _check_rows(group: np.ndarray, tokens: np.ndarray, n_groups: int, base: np.ndarray | None) -> None:
    rows = len(group)
    if len(tokens) != rows or (base is not None and len(base) != rows):
        raise SelectionError(
            f"{rows} groups, {len(tokens)} token counts and {rows if base is None else len(base)} base rows do not match. One of each a row is needed. Load the columns again."
        )
    if group.dtype not in (np.uint8, np.uint16) or not 0 < n_groups <= 1 << 16 or (rows and int(group.max()) >= n_groups):
        raise SelectionError(
            f"Groups of {group.dtype} do not fit {n_groups} names. Codes 0 to {n_groups - 1} as uint8 or uint16 are allowed. Encode the column again."
        )


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _spread(work: Callable[[Iterator[slice]], Part], rows: int, threads: int | None) -> list[Part]:
    """Run `work` once a thread; all draw their chunks from one iterator, so that a slow core holds nobody up."""
    chunks = [slice(start, min(start + _CHUNK, rows)) for start in range(0, rows, _CHUNK)]
    count = max(1, min(threads or _threads(), len(chunks)))
    shared = iter(chunks)  # a list's iterator hands each item out once, to any thread
    if count == 1:
        return [work(shared)]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, [shared] * count))


# --- kernels ---------------------------------------------------------------------------------------------------------------


@nb.njit(nogil=True, cache=True)
def _quantise(values: np.ndarray, edges: np.ndarray, n_edges: int, codes: np.ndarray) -> None:
    """codes[i] = how many of the 255 ascending, padded edges are at or below values[i]: eight halvings, none a branch."""
    for i in range(values.size):
        v = values[i]
        at = np.int64(0)
        at += np.int64(128) * (edges[at + 127] <= v)
        at += np.int64(64) * (edges[at + 63] <= v)
        at += np.int64(32) * (edges[at + 31] <= v)
        at += np.int64(16) * (edges[at + 15] <= v)
        at += np.int64(8) * (edges[at + 7] <= v)
        at += np.int64(4) * (edges[at + 3] <= v)
        at += np.int64(2) * (edges[at + 1] <= v)
        at += np.int64(1) * (edges[at] <= v)
        at = min(at, np.int64(n_edges))  # +inf also passes the padding
        codes[i] = np.uint8(at) if v == v else np.uint8(NULL)


@nb.njit(nogil=True, cache=True)
def _count_failures(codes: np.ndarray, low: int, high: int, forgive_null: int, cut: int, failed: np.ndarray, which: np.ndarray) -> None:
    """Add 1 to failed[i] and note the cut where codes[i] lies outside low … high; 255 is outside unless `forgive_null` (255 or 0).

    Everything stays in bytes and nothing branches, so that 64 rows fit one instruction: a branch here costs 30 times as much.
    """
    for i in range(codes.size):
        c = codes[i]
        forgiven = np.uint8(-np.int8(c == NULL)) & forgive_null
        outside = np.uint8((np.uint8(-np.int8(c < low)) | np.uint8(-np.int8(c > high))) & ~forgiven)  # 255 or 0
        failed[i] = np.uint8(failed[i] - outside)
        which[i] = np.uint8((which[i] & ~outside) | (cut & outside))


@nb.njit(nogil=True, cache=True)
def _survivors(
    failed: np.ndarray,
    which: np.ndarray,
    group: np.ndarray,
    tokens: np.ndarray,
    rows: np.ndarray,
    groups: np.ndarray,
    weights: np.ndarray,
    starts: np.ndarray,
) -> np.ndarray:
    """List the rows that pass all cuts, then those that fail one, cut by cut; starts[k + 1] is where cut k's rows begin."""
    starts[:] = 0
    for i in range(len(failed)):
        if failed[i] == 0:
            starts[0] += 1
        elif failed[i] == 1:
            starts[which[i] + 1] += 1
    filled = 0
    for k in range(len(starts)):
        size = starts[k]
        starts[k] = filled
        filled += size
    for i in range(len(failed)):
        if failed[i] < 2:
            slot = 0 if failed[i] == 0 else which[i] + 1
            at = starts[slot]
            rows[at] = i
            groups[at] = group[i]
            weights[at] = tokens[i] if tokens[i] == tokens[i] else 0.0
            starts[slot] = at + 1
    for k in range(len(starts) - 1, 0, -1):  # filling moved each start to the next one's place
        starts[k] = starts[k - 1]
    starts[0] = 0
    return starts


@nb.njit(nogil=True, cache=True)
def _total(groups: np.ndarray, weights: np.ndarray, n: int, kept: np.ndarray) -> None:
    """Add the first n rows to their groups."""
    for j in range(n):
        kept[groups[j], 0] += 1
        kept[groups[j], 1] += weights[j]


@nb.njit(nogil=True, cache=True)
def _accumulate(
    codes: np.ndarray, rows: np.ndarray, groups: np.ndarray, weights: np.ndarray, n_passing: int, start: int, stop: int, sums: np.ndarray
) -> None:
    """Add the rows that pass all cuts and the stretch that fails this one alone; count and sum share a cache line."""
    for j in range(n_passing):
        cell = sums[codes[rows[j]], groups[j]]
        cell[0] += 1
        cell[1] += weights[j]
    for j in range(start, stop):
        cell = sums[codes[rows[j]], groups[j]]
        cell[0] += 1
        cell[1] += weights[j]


@nb.njit(nogil=True, cache=True)
def _histogram(codes: np.ndarray, group: np.ndarray, tokens: np.ndarray, admitted: np.ndarray, sums: np.ndarray) -> None:
    """Add the admitted rows to their code and group."""
    everything = len(admitted) == 0
    for i in range(len(codes)):
        if everything or admitted[i]:
            sums[codes[i], group[i], 0] += 1
            if tokens[i] == tokens[i]:
                sums[codes[i], group[i], 1] += tokens[i]
