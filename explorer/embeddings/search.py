"""Search by meaning: the vectors that lie nearest to a query, exactly, without an index that has to be trained.

A scan of one million vectors is bound by memory, so the index keeps one byte a number instead of two or four:

    matrix float16 [m, d] ── build ──► codes int8 [m, d], step float32 [m], error float32 [m]
    query ──► codes int16 [d] ──► one pass over the bytes ──► approximate cosine a[i], off by at most error[i]
         ──► candidates: a[i] + error[i] >= n-th largest of a - error ──► exact cosines from the float16 rows ──► n best

``error[i]`` is the length of what rounding took from row i. By Cauchy and Schwarz no cosine is off by more than that, so whatever is
not a candidate cannot be among the n best: the answer is exact, not approximate with a recall. On one million MiniLM vectors the
candidates of ten results are a few hundred to a few thousand rows. ``benchmarks/semantic_search.py`` holds it against numpy, torch and
faiss.

A cosine is that of the stored numbers: rows are divided by their own length, so vectors need not be of unit length. Rows that hold a
NaN, an infinity or nothing but zeros have no direction; they are never returned.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

import numba as nb
import numpy as np

from explorer.errors import EmbeddingError

_CHUNK = 1 << 16  # rows a thread takes at a time
_BLOCK = 1 << 13  # rows that are held as float32 at a time
_LEVELS = 127  # of a number of a row, on either side of zero
_ROUNDING = 2e-6  # more than what float32 can lose between a bound and a cosine

NOWHERE = -(1 << 40)
"""First row for `keep_best` where rows and columns are not the same vectors, so that none is its own neighbour."""

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Vectors(Protocol):
    """What is searched: `explorer.embeddings.store.Embeddings`, or anything hashable with these.

    Attributes:
        rows: int64 [m], ascending numbers of the documents that have a vector.
        matrix: float16 [m, d].

    """

    @property
    def rows(self) -> np.ndarray:
        """Numbers of the documents."""
        ...

    @property
    def matrix(self) -> np.ndarray:
        """A vector a row."""
        ...


@dataclass(frozen=True)
class Hits:
    """The nearest documents, best first; equal scores in the order of their numbers.

    Attributes:
        rows: int64 [k], numbers of documents.
        scores: float32 [k], cosines, -1 to 1.
        searched: vectors that could have been found: those with a direction that the filters let through. 0 explains an empty answer.

    """

    rows: np.ndarray
    scores: np.ndarray
    searched: int

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Index:
    """One byte a number of every vector, with a bound on what that loses; d + 8 bytes a vector, 0.4 GB for a million of 384.

    Attributes:
        matrix: float16 (or float32) [m, d], the vectors themselves; candidates are read from it, so it may be memory-mapped.
        codes: int8 [m, d].
        step: float32 [m]; ``codes[i] * step[i]`` is row i divided by its length, but for rounding.
        error: float32 [m]; the length of the difference of those two, rounded up.
        usable: int64 [u], positions of the rows that have a direction.

    """

    matrix: np.ndarray
    codes: np.ndarray
    step: np.ndarray
    error: np.ndarray
    usable: np.ndarray

    @classmethod
    def build(cls, matrix: np.ndarray) -> Index:
        """Round every vector; about 2 seconds for a million of 384 on two cores.

        Raises:
            EmbeddingError: not a matrix [m, d].

        """
        if matrix.ndim != 2:
            raise EmbeddingError(
                f"Vectors have shape {matrix.shape}. An index needs a matrix [documents, dimension]. Give one vector a row."
            )
        m, d = matrix.shape
        codes, step, error = np.zeros((m, d), np.int8), np.zeros(m, np.float32), np.zeros(m, np.float32)
        usable = np.zeros(m, bool)

        def fill(start: int) -> None:
            part = slice(start, start + _BLOCK)
            _round_rows(np.ascontiguousarray(matrix[part], np.float32), codes[part], step[part], error[part], usable[part])

        in_threads(fill, range(0, m, _BLOCK))
        return cls(matrix, codes, step, error, np.flatnonzero(usable))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def nbytes(self) -> int:
        """Memory beside the vectors themselves."""
        return self.codes.nbytes + self.step.nbytes + self.error.nbytes + self.usable.nbytes

    def nearest(self, query: np.ndarray, n: int, positions: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Positions and cosines of the ``n`` nearest vectors, best first, equal cosines by position.

        Args:
            query: [d], of any length but 0.
            n: how many; fewer come back where there are fewer.
            positions: int64, ascending: search only these; they must have a direction (be in ``usable``). None for all.

        Returns:
            (int64 [k], float32 [k]).

        """
        among = self.usable if positions is None else positions
        unit = direction(query)
        if len(unit) != self.codes.shape[1]:
            raise EmbeddingError(
                f"The query has {len(unit)} dimensions. These vectors have {self.codes.shape[1]}. Encode it with the model that made them."
            )
        among = among[self._candidates(unit, min(n, len(among)), among)] if n < len(among) else among
        cosines = self.cosines(among, unit)
        best = np.lexsort((among, -cosines))[:n]
        return among[best], cosines[best]

    def _candidates(self, unit: np.ndarray, n: int, among: np.ndarray) -> np.ndarray:
        """Places in ``among`` of the vectors that may be one of the n best."""
        # as fine as a sum of d products still fits into 32 bits
        levels = min(32_767, (2**31 - 1) // (_LEVELS * len(unit)))
        query_step = float(np.abs(unit).max()) / levels
        codes = np.rint(unit / query_step).astype(np.int16)
        lost = float(np.linalg.norm(unit - codes * query_step))

        def scan(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            part = among[start : start + _CHUNK]
            best = np.full(n, -np.inf, np.float32)
            kept, highest = np.empty(len(part), np.int64), np.empty(len(part), np.float32)
            count = _scan(self.codes, self.step, self.error, codes, query_step, lost + _ROUNDING, part, best, kept, highest)
            return best, kept[:count] + start, highest[:count]

        pieces = in_threads(scan, range(0, len(among), _CHUNK))
        best, kept, highest = (np.concatenate(column) for column in zip(*pieces, strict=True))
        cut = np.partition(best, len(best) - n)[-n]
        return kept[highest >= cut]

    def cosines(self, positions: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Cosines of chosen vectors with a unit vector, summed in double precision, float32 [k]; the same for equal vectors."""
        found = np.empty(len(positions), np.float32)

        def score(start: int) -> None:
            part = slice(start, start + _BLOCK)
            _cosines(self.matrix[positions[part]].astype(np.float32), unit, found[part])

        in_threads(score, range(0, len(positions), _BLOCK))
        return found


def search(
    embeddings: Vectors,
    query: np.ndarray,
    n: int = 50,
    *,
    unlike: np.ndarray | None = None,
    within: np.ndarray | None = None,
    exclude: Iterable[int] = (),
) -> Hits:
    """The ``n`` documents whose vectors have the largest cosine with a query; exact.

    Args:
        embeddings: the vectors, of `Corpus.embeddings`.
        query: [d], or several examples [q, d], of which the mean direction is searched.
        n: how many.
        unlike: [d] or [u, d], examples of what is not wanted; see `direction`.
        within: search only these documents: their numbers, or a bool for every document of the corpus (a selection's mask).
        exclude: numbers of documents that are not returned.

    Returns:
        Hits, best first.

    Raises:
        EmbeddingError: a query without direction or of another dimension, ``n`` below 1, a mask that is too short.

    """
    if n < 1:
        raise EmbeddingError(f"{n} results were asked for. At least 1 is possible. Give n=1 or more.")
    unit = direction(query, unlike)
    index = index_of(embeddings)
    positions = _allowed(index, embeddings.rows, within, exclude)
    found, scores = index.nearest(unit, n, positions)
    return Hits(np.asarray(embeddings.rows)[found], scores, len(index.usable if positions is None else positions))


def similar(
    embeddings: Vectors,
    rows: int | Sequence[int] | np.ndarray,
    n: int = 50,
    *,
    unlike: Sequence[int] | np.ndarray = (),
    within: np.ndarray | None = None,
    exclude: Iterable[int] = (),
) -> Hits:
    """More documents like these (and not like those), by their number; none of them is returned itself.

    Args:
        embeddings: the vectors.
        rows: one document or several examples.
        n: how many.
        unlike: documents that are examples of what is not wanted.
        within: as in `search`.
        exclude: as in `search`.

    Raises:
        EmbeddingError: none of the examples has a vector.

    """
    like = np.atleast_1d(np.asarray(rows, np.int64))
    against = np.atleast_1d(np.asarray(unlike, np.int64))
    known = {int(r) for r in (*like, *against, *exclude)}
    return search(
        embeddings,
        _vectors_of(embeddings, like),
        n,
        unlike=_vectors_of(embeddings, against) if len(against) else None,
        within=within,
        exclude=known,
    )


def direction(like: np.ndarray, unlike: np.ndarray | None = None, *, weight: float = 0.5) -> np.ndarray:
    """One unit vector that points to examples and away from others.

    The mean of the unit vectors of ``like``, less ``weight`` times that of ``unlike`` (Rocchio's relevance feedback, with its weights 1
    and ``weight``; Salton's book recommends a smaller one for what is not wanted).

    Args:
        like: [d] or [q, d]; rows without a direction (NaN, zero) are left out.
        unlike: [d] or [u, d], or None.
        weight: of ``unlike``.

    Returns:
        float64 [d].

    Raises:
        EmbeddingError: nothing is left to search for.

    """
    toward = _mean_direction(like)
    if toward is not None and unlike is not None and len(unlike):
        away = _mean_direction(unlike)
        if away is not None and len(away) == len(toward):
            toward = toward - weight * away
    length = 0.0 if toward is None else float(np.linalg.norm(toward))
    if toward is None or length < 1e-9:
        raise EmbeddingError(
            "The query has no direction: its vector is missing, zero or not a number. A text of some words, or a document that has been embedded, is needed. Ask for something else."
        )
    return toward / length


def neighbours(
    matrix: np.ndarray, k: int, *, tell: Callable[[int, int], None] | None = None, cancel: threading.Event | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest rows of every row, itself left out: exact but for float32 rounding, by blocks.

    Work grows with m squared (20 s for 50,000 rows of 384 on two cores), memory does not: about 0.1 GB beside the answer.

    Args:
        matrix: [m, d], any float type.
        k: how many.
        tell: called with (rows done, rows).
        cancel: set to stop; what has been found is then returned.

    Returns:
        (int32 [m, k], float32 [m, k]): positions and cosines, best first. -1 and NaN where there are fewer than k, and for all of a
        row that has no direction.

    """
    m = len(matrix)
    index = np.full((m, k), -1, np.int32)
    cosines = np.full((m, k), -np.inf, np.float32)
    queries, others = _BLOCK // 4, _BLOCK
    for first in range(0, m, queries):
        if cancel is not None and cancel.is_set():
            break
        block, fine = unit_rows(matrix[first : first + queries])
        best, where = cosines[first : first + queries], index[first : first + queries]
        for start in range(0, m, others):
            other, other_fine = unit_rows(matrix[start : start + others])
            found = block @ other.T
            found[:, ~other_fine] = -np.inf
            rows = -(-len(block) // (os.cpu_count() or 1))

            def keep(at: int, start: int = start, rows: int = rows, found: np.ndarray = found, best=best, where=where, first=first) -> None:  # type: ignore[no-untyped-def]
                part = slice(at, at + rows)
                keep_best(found[part], first + at, start, best[part], where[part])

            in_threads(keep, range(0, len(block), rows))
        where[~fine] = -1
        if tell is not None:
            tell(min(first + queries, m), m)
    cosines[index < 0] = np.nan
    return index, cosines


# --- one index a set of vectors ----------------------------------------------------------------------------------------------

_indexes: WeakKeyDictionary[Vectors, Index] = WeakKeyDictionary()
_lock = threading.Lock()


def index_of(embeddings: Vectors) -> Index:
    """The index of these vectors, built when first asked for and kept as long as they are; threads that ask together wait for one."""
    with _lock:
        found = _indexes.get(embeddings)
        if found is None:
            found = _indexes[embeddings] = Index.build(embeddings.matrix)
        return found


def _allowed(index: Index, rows: np.ndarray, within: np.ndarray | None, exclude: Iterable[int]) -> np.ndarray | None:
    """Positions that may be returned; None for all that have a direction."""
    out = np.fromiter((int(r) for r in exclude), np.int64)
    if within is None and not len(out):
        return None
    allowed = index.usable
    here = np.asarray(rows)[allowed]
    keep = np.ones(len(allowed), bool)
    if within is not None:
        chosen = np.asarray(within)
        if chosen.dtype == bool:
            if len(here) and len(chosen) <= here[-1]:
                raise EmbeddingError(
                    f"The mask covers {len(chosen):,} documents. Document {int(here[-1]):,} has a vector too. Give one value a document of the corpus, or their numbers."
                )
            keep &= chosen[here]
        else:
            keep &= _is_in(here, chosen.astype(np.int64))
    if len(out):
        keep &= ~_is_in(here, out)
    return allowed[keep]


def _is_in(ascending: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which of some ascending numbers are among ``values``; faster than a set when the values are few."""
    found = np.zeros(len(ascending), bool)
    at = np.searchsorted(ascending, values)
    hit = (at < len(ascending)) & (values >= 0)
    hit[hit] = ascending[at[hit]] == values[hit]
    found[at[hit]] = True
    return found


def _vectors_of(embeddings: Vectors, rows: np.ndarray) -> np.ndarray:
    """Vectors of documents by number, float32 [k, d]; those without one are left out."""
    known = np.asarray(embeddings.rows)
    at = np.searchsorted(known, rows)
    there = at < len(known)
    there[there] = known[at[there]] == rows[there]
    if not there.any():
        numbers = ", ".join(f"{int(r):,}" for r in rows[:5])
        raise EmbeddingError(
            f"Document {numbers} has no vector. {len(known):,} documents have one. Embed it first: explorer embed, or choose another example."
        )
    return np.asarray(embeddings.matrix[at[there]], np.float32)


def _mean_direction(vectors: np.ndarray) -> np.ndarray | None:
    """Mean of the unit vectors of the rows that have a direction, float64 [d]."""
    rows = np.atleast_2d(np.asarray(vectors, np.float64))
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    fine = np.isfinite(length) & (length > 0)
    return (rows[fine] / length[fine, None]).mean(0) if fine.any() else None


def unit_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows as float32 divided by their length, and which of them have one; the others become zero."""
    block = np.ascontiguousarray(rows, np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
    fine = np.isfinite(length) & (length > 0)
    if fine.all():
        return block / length[:, None].astype(np.float32), fine
    return np.where(fine[:, None], block, 0) / np.where(fine, length, 1)[:, None].astype(np.float32), fine


def in_threads(work: Callable[[Piece], Result], pieces: Sequence[Piece]) -> list[Result]:
    """``work`` of every piece, on all cores where there are several pieces; the work must release the GIL to gain by it."""
    workers = min(len(pieces), os.cpu_count() or 1)
    if workers < 2:
        return [work(p) for p in pieces]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, pieces))


# --- kernels -----------------------------------------------------------------------------------------------------------------

_kernel = nb.njit(nogil=True, cache=True, _nrt=False)
# Sums may be reordered, so that they are done eight at a time; the order is the same for every row, so equal rows get equal sums.
_summing_kernel = nb.njit(nogil=True, cache=True, _nrt=False, fastmath={"reassoc", "nsz", "contract"})


@_kernel
def _round_rows(rows, codes, step, error, usable):  # type: ignore[no-untyped-def]
    """Fill codes, step, error and usable for float32 rows [b, d]."""
    for i in range(rows.shape[0]):
        total, largest = 0.0, 0.0
        for j in range(rows.shape[1]):
            value = float(rows[i, j])
            total += value * value
            largest = max(largest, abs(value))
        usable[i] = np.isfinite(total) and total > 0.0
        if not usable[i]:
            continue
        length = np.sqrt(total)
        width = np.float32(largest / _LEVELS / length)
        lost = 0.0
        for j in range(rows.shape[1]):
            value = float(rows[i, j]) / length
            code = min(max(np.rint(value / width), -127.0), 127.0)
            codes[i, j] = np.int8(code)
            left = value - code * float(width)
            lost += left * left
        step[i] = width
        error[i] = np.float32(np.sqrt(lost) * (1 + 1e-6))


@_kernel
def _scan(codes, step, error, query, query_step, lost, positions, best, kept, highest):  # type: ignore[no-untyped-def]
    """Find the rows that may be among the best: their places in ``positions`` and the most that their cosine can be.

    Products are of 16 bits and summed in 32, which compiles to one multiply-add of sixteen numbers. ``best`` is a heap of the largest
    lower bounds seen so far, its smallest first: a row that cannot reach that is passed over.
    """
    d, n, count = codes.shape[1], best.shape[0], 0
    for k in range(positions.shape[0]):
        i = positions[k]
        total = np.int32(0)
        for j in range(d):
            total += np.int32(codes[i, j]) * np.int32(query[j])
        near = float(total) * float(step[i]) * query_step
        # |x·q - x'·q'| <= |x - x'| |q| + |x'| |q - q'|, and |x'| <= 1 + error
        off = float(error[i]) + (1.0 + float(error[i])) * lost
        if near + off < best[0]:
            continue
        kept[count] = k
        highest[count] = near + off
        count += 1
        low = near - off
        if low <= best[0]:
            continue
        at = 0
        while True:
            child = 2 * at + 1
            if child + 1 < n and best[child + 1] < best[child]:
                child += 1
            if child >= n or best[child] >= low:
                break
            best[at] = best[child]
            at = child
        best[at] = low
    return count


@_summing_kernel
def _cosines(rows, unit, out):  # type: ignore[no-untyped-def]
    """Cosines of float32 rows [b, d] with a float64 unit vector [d]."""
    for i in range(rows.shape[0]):
        total, square = 0.0, 0.0
        for j in range(rows.shape[1]):
            value = float(rows[i, j])
            total += value * unit[j]
            square += value * value
        out[i] = total / np.sqrt(square)


@_kernel
def keep_best(found, first_row, first_column, best, where):  # type: ignore[no-untyped-def]
    """Merge a block of cosines into the sorted k best of each row; a row is not its own neighbour, equal cosines stay in order."""
    k = best.shape[1]
    for i in range(found.shape[0]):
        worst = best[i, k - 1]
        for j in range(found.shape[1]):
            value = found[i, j]
            if value > worst and first_row + i != first_column + j:
                at = k - 1
                while at > 0 and best[i, at - 1] < value:
                    best[i, at] = best[i, at - 1]
                    where[i, at] = where[i, at - 1]
                    at -= 1
                best[i, at] = value
                where[i, at] = first_column + j
                worst = best[i, k - 1]
