"""Semantic duplicates: documents whose embeddings have a cosine of at least a threshold, and what they chain to.

Up to `EXACT` vectors every pair is compared. Beyond, only vectors that share a cell: each lies in the cells of its two nearest
k-means centres. What that misses is measured: a sample of documents is compared with all others, and the share of their pairs that
the cells found is reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numba as nb
import numpy as np

from explorer.duplicates.components import roots, sizes, unite
from explorer.duplicates.progress import Step, silent
from explorer.duplicates.store import Found, load, pairs_table, save
from explorer.errors import SignalError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

EXACT = 100_000  # vectors that are compared each with each: 5 thousand million pairs, under a minute on two cores
ALSO = 0.90  # groups are counted at this threshold too
A_CELL = 1_000  # vectors a cell, about
MOST_CELLS = 4_000
SAMPLED = 500  # documents that are compared with all others to measure what the cells miss
KEPT = 16  # pairs kept a document; all pairs group
_BLOCK = 2_048


class Pairs(NamedTuple):
    """What comparing vectors gave.

    Attributes:
        group: int64 [m], lowest place in each one's group at the threshold.
        loose: int64 [m], the same at `ALSO`.
        nearest: float32 [m], highest cosine with a vector it was compared with, NaN where with none.
        a, b: int64 [pairs], places of pairs at the threshold, ``a < b``; of each place at most the `KEPT` most alike.
        cosine: float32 [pairs].
        usable: bool [m], False for a vector without direction (zeros): it has no cosine and no group.
        missed: None where all pairs were compared; else (pairs found, pairs there are) of the sample.
    """

    group: np.ndarray
    loose: np.ndarray
    nearest: np.ndarray
    a: np.ndarray
    b: np.ndarray
    cosine: np.ndarray
    usable: np.ndarray
    missed: tuple[int, int] | None


def compare(matrix: np.ndarray, threshold: float, *, exact: int = EXACT, seed: int = 0, step: Step = silent) -> Pairs:
    """Pairs of vectors with a cosine of at least ``threshold``.

    Args:
        matrix: [m, d], any float type; vectors of any length but 0 (those have no direction and no pairs).
        threshold: cosine.
        exact: vectors up to which every pair is compared.
        seed: decides the cells and the sample.
        step: told how far it is.

    """
    m = len(matrix)
    parent, loose = np.arange(m), np.arange(m)
    nearest = np.full(m, -2, np.float32)
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    low = min(threshold, ALSO)
    done = 0
    cells = [np.arange(m)] if m <= exact else _cells(matrix, seed, step)
    work = sum(len(c) for c in cells)
    for cell in cells:
        for a, b, cosine, best in _within(matrix, cell, low):
            np.maximum.at(nearest, best[0], best[1])
            unite(loose, *_at_least(ALSO, a, b, cosine)[:2])
            a, b, cosine = _at_least(threshold, a, b, cosine)
            unite(parent, a, b)
            kept.append(_most_alike(a, b, cosine))
        done += len(cell)
        step(m * done // max(work, 1), m, "comparing vectors")
    a, b, cosine = (np.concatenate(column) for column in zip(*kept, strict=True)) if kept else (np.zeros(0, np.int64),) * 2 + (np.zeros(0, np.float32),)  # fmt: skip
    _, first = np.unique(a * m + b, return_index=True)  # a pair may share two cells
    a, b, cosine = _most_alike(a[first], b[first], cosine[first])
    usable = np.concatenate([_unit(matrix[i : i + 8 * _BLOCK]).any(1) for i in range(0, m, 8 * _BLOCK)] or [np.zeros(0, bool)])
    nearest[(nearest < -1) | ~usable] = np.nan
    group = roots(parent)
    missed = None if m <= exact else _missed(matrix, group, threshold, seed)
    return Pairs(group, roots(loose), nearest, a, b, cosine, usable, missed)


def _unit(matrix: np.ndarray) -> np.ndarray:
    """Rows as float32 of length 1; a row without direction becomes zeros, whose cosine with anything is 0."""
    rows = np.nan_to_num(np.asarray(matrix, np.float32), nan=0, posinf=0, neginf=0)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


def _at_least(threshold: float, a: np.ndarray, b: np.ndarray, cosine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    enough = cosine >= threshold
    return a[enough], b[enough], cosine[enough]


def _most_alike(a: np.ndarray, b: np.ndarray, cosine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The `KEPT` pairs of highest cosine of each a, in ascending order."""
    order = np.lexsort((b, -cosine, a))
    a, b, cosine = a[order], b[order], cosine[order]
    rank = np.arange(len(a)) - np.searchsorted(a, a)
    few = rank < KEPT
    a, b, cosine = a[few], b[few], cosine[few]
    order = np.lexsort((b, a))
    return a[order], b[order], cosine[order]


@nb.njit(nogil=True, cache=True, fastmath={"nnan", "nsz"})
def _scan(cosine, diagonal, low, row_best, column_best, x, y):  # type: ignore[no-untyped-def]
    """Places of a block where the cosine is at least ``low`` (above the diagonal of a square one), and the best of rows and columns.

    Writes as many places as there is room for; returns how many there are.
    """
    n = 0
    for r in range(cosine.shape[0]):
        first = r + 1 if diagonal else 0
        best = np.float32(-2)
        for c in range(first, cosine.shape[1]):
            best = max(best, cosine[r, c])
            column_best[c] = max(column_best[c], cosine[r, c])
        row_best[r] = best
        if best >= low:
            for c in range(first, cosine.shape[1]):
                if cosine[r, c] >= low:
                    if n < len(x):
                        x[n], y[n] = r, c
                    n += 1
    return n


def _scanned(cosine: np.ndarray, diagonal: bool, low: float) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    rows, columns = np.full(len(cosine), -2, np.float32), np.full(cosine.shape[1], -2, np.float32)
    x, y = np.empty(4096, np.int64), np.empty(4096, np.int64)
    n = _scan(cosine, diagonal, np.float32(low), rows, columns, x, y)
    if n > len(x):
        x, y = np.empty(n, np.int64), np.empty(n, np.int64)
        _scan(cosine, diagonal, np.float32(low), rows, columns, x, y)
    return x[:n], y[:n], (np.minimum(rows, 1), np.minimum(columns, 1))


def _within(
    matrix: np.ndarray, places: np.ndarray, low: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """All pairs of these places with a cosine of at least ``low``, block by block, and the highest cosine each one has met."""
    places = np.sort(places)
    for i in range(0, len(places), _BLOCK):
        one = places[i : i + _BLOCK]
        left = _unit(matrix[one])
        for j in range(i, len(places), _BLOCK):
            other = places[j : j + _BLOCK]
            right = left if i == j else _unit(matrix[other])
            cosine = left @ right.T
            x, y, best = _scanned(cosine, i == j, low)
            met = np.concatenate([one, other]), np.concatenate(best)
            yield one[x], other[y], np.minimum(cosine[x, y], 1), met


def _cells(matrix: np.ndarray, seed: int, step: Step) -> list[np.ndarray]:
    """Places by the cells of their two nearest centres."""
    from explorer.embeddings.clusters import spherical_kmeans

    m = len(matrix)
    rng = np.random.default_rng(seed)
    count = int(np.clip(m // A_CELL, 1, MOST_CELLS))
    few = np.sort(rng.choice(m, min(m, 30 * count), replace=False))
    step(0, m, f"finding {count:,} cells")
    sample = _unit(matrix[few])
    centres = spherical_kmeans(sample[sample.any(1)], count, rng)
    two = np.empty((m, min(2, len(centres))), np.int64)
    for i in range(0, m, 8 * _BLOCK):
        cosine = _unit(matrix[i : i + 8 * _BLOCK]) @ centres.T
        two[i : i + 8 * _BLOCK] = np.argpartition(-cosine, two.shape[1] - 1, axis=1)[:, : two.shape[1]]
    cell = two.ravel()
    order = np.argsort(cell, kind="stable")
    place = order // two.shape[1]
    return [np.unique(c) for c in np.split(place, np.searchsorted(cell[order], np.arange(1, len(centres)))) if len(c) > 1]


def _missed(matrix: np.ndarray, group: np.ndarray, threshold: float, seed: int) -> tuple[int, int]:
    """(pairs whose two are in one group, all pairs at the threshold) of a sample of documents compared with all."""
    m = len(matrix)
    sample = np.sort(np.random.default_rng(seed + 1).choice(m, min(SAMPLED, m), replace=False))
    left = _unit(matrix[sample])
    there = together = 0
    for j in range(0, m, 8 * _BLOCK):
        cosine = left @ _unit(matrix[j : j + 8 * _BLOCK]).T
        x, y = np.nonzero(cosine >= threshold)
        other = sample[x] != y + j
        there += int(other.sum())
        together += int((group[sample[x[other]]] == group[y[other] + j]).sum())
    return together, there


def semantic_duplicates(corpus: Corpus, *, threshold: float = 0.95, vectors: str = "", seed: int = 0, step: Step = silent) -> Found:
    """Groups of documents whose embeddings lie close.

    Args:
        corpus: what to search; it must have been embedded.
        threshold: cosine from which two documents are duplicates.
        vectors: the model whose embeddings are compared; the one computed last by default.
        seed: decides the cells above `EXACT` vectors.
        step: told how far it is.

    Returns:
        Columns ``group`` (int64, lowest document number, -1 for a document without a vector) and ``similarity`` (float32, the highest
        cosine with a document it was compared with).

    Raises:
        SignalError: ``threshold`` is no cosine that could tell duplicates.
        EmbeddingError: the corpus has not been embedded.

    """
    from explorer.embeddings.store import embeddings

    if not 0 < threshold <= 1:
        raise SignalError(f"threshold={threshold!r} is no cosine of duplicates. It lies above 0 and up to 1. Try 0.95.")
    there = embeddings(corpus, vectors or None)
    parameters = {"threshold": threshold, "vectors": list(there.stamp), "seed": seed}
    known = load(corpus, "semantic", parameters)
    if known:
        return known
    n, rows = len(corpus), there.rows
    found = compare(there.matrix, threshold, seed=seed, step=step)
    group, similarity = np.full(n, -1, np.int64), np.full(n, np.nan, np.float32)
    group[rows], similarity[rows] = np.where(found.usable, rows[found.group], -1), found.nearest
    report: dict[str, Any] = {
        "documents": n,
        "without": n - int(found.usable.sum()),
        "model": there.model,
        "compared": "all pairs" if found.missed is None else "pairs that share a cell",
        "sample": found.missed,
        "closest": float(np.nanmax(found.nearest)) if np.isfinite(found.nearest).any() else None,
        "at": {},
    }
    for at, places in ((threshold, found.group), (ALSO, found.loose)):
        size = sizes(places)
        report["at"][label(at)] = {
            "groups": int(np.unique(places[size > 1]).size),
            "in_groups": int((size > 1).sum()),
            "largest": int(size.max(initial=0)),
        }
    tables = {"pairs": pairs_table(group, rows[found.a], rows[found.b], found.cosine)}
    return save(corpus, "semantic", parameters, {"group": group, "similarity": similarity}, report, tables)


def label(threshold: float) -> str:
    """A threshold as the report names it: with two decimals, and with all it has where two would make it another."""
    short = f"{threshold:.2f}"
    return short if float(short) == threshold else repr(float(threshold))


def explain(report: dict[str, Any]) -> str:
    """What was found, and why nothing where it is nothing."""
    n, threshold = report["documents"], label(report["parameters"]["threshold"])
    compared = n - report["without"]
    aside = f" {report['without']:,} documents have no vector: embed them to compare them." if report["without"] else ""
    if report["sample"] is not None:
        together, there = report["sample"]
        aside += f" Only vectors that share a cell were compared: of {there:,} pairs of a sample, {together:,} were found."
    here = report["at"][threshold]
    if here["groups"]:
        others = "; ".join(f"at {at}: {v['groups']:,} groups of {v['in_groups']:,}" for at, v in report["at"].items() if at != threshold)
        return f"{here['groups']:,} groups hold {here['in_groups']:,} of {compared:,} documents at a cosine of {threshold}, the largest {here['largest']:,}{f' ({others})' if others else ''}.{aside}"
    if compared < 2:
        return f"0 semantic duplicates: {compared:,} of {n:,} documents have a vector.{aside}"
    closest = f"the closest pair has cosine {report['closest']:.3f}" if report["closest"] is not None else "no vector has a direction"
    return f"0 semantic duplicates among {compared:,} documents at a cosine of {threshold}: {closest}.{aside}"
