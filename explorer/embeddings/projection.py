"""A map of the vectors: two numbers a document, such that documents that lie side by side are about the same thing.

``pca`` is there at once: the two directions in which the vectors differ most, exact for any number of them. It shows what is big.
``umap`` (McInnes, Healy, Melville 2018, arXiv:1802.03426) keeps neighbours together, and takes from seconds to minutes:

    vectors ── seeded sample ──► landmarks ── exact nearest neighbours ──► weighted graph ── layout ──► their places
    every other vector ── its nearest landmarks, by cells ──► their weighted mean ── a short layout, landmarks fixed ──► its place

The layout is our own kernel. All points of an epoch are moved from where everything stood at its beginning, so the same seed gives
the same map with any number of threads, progress can be told and the work can be stopped; umap-learn, with a seed, runs on one
thread and tells nothing. ``benchmarks/projection.py`` holds the two, PaCMAP and PCA against each other on the same neighbours.

Distances on a map are not similarities: islands may lie anywhere, and the room between them means little. Ask `search` instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

import numba as nb
import numpy as np

from explorer.embeddings.clusters import spherical_kmeans
from explorer.embeddings.search import NOWHERE, in_threads, keep_best, neighbours, unit_rows
from explorer.errors import EmbeddingError

Method = Literal["pca", "umap"]
METHODS: tuple[Method, ...] = ("pca", "umap")
LANDMARKS = 30_000
NEIGHBOURS = 15
FEWEST = 2 * NEIGHBOURS  # vectors below which a graph of neighbours is the whole of them, and PCA is drawn instead

_A, _B = 1.932808, 0.790495  # of 1 / (1 + a d^2b), fitted to a minimum distance of 0 at spread 1 (umap-learn: find_ab_params(1, 0))
_EPOCHS_FEW, _EPOCHS_MANY, _MANY = 500, 200, 10_000  # umap-learn's own
_PLACING_EPOCHS = 30
_PLACING_NEIGHBOURS = 5
_PROBES = 4  # cells of landmarks that a vector is compared with
_NEGATIVES = 5  # points that a point is pushed away from for each neighbour it is drawn to
_BLOCK = 1 << 14

Tell = Callable[[int, int, str], None]


def _silent(done: int, total: int, doing: str) -> None:
    pass


def project(matrix: np.ndarray, method: Method = "pca", *, seed: int = 0, landmarks: int = LANDMARKS, tell: Tell = _silent) -> np.ndarray:
    """Coordinates on a map.

    Args:
        matrix: [m, d], any float type; read in blocks, so it may be memory-mapped.
        method: "pca" or "umap"; fewer than `FEWEST` vectors are drawn by PCA in any case.
        seed: decides the sample and what is drawn at random in the layout.
        landmarks: vectors that are laid out against each other; beyond that many, the others are placed by them.
        tell: called with (steps done, steps, what is being done); an exception it raises ends the work.

    Returns:
        float32 [m, 2], NaN for a vector without direction. PCA is in units of cosine; UMAP has none.

    Raises:
        EmbeddingError: an unknown method, or fewer landmarks than a graph needs.

    """
    if method not in METHODS:
        raise EmbeddingError(f"Projection {method!r} is not known. Known: {', '.join(map(repr, METHODS))}. Choose one of them.")
    if landmarks < FEWEST:
        raise EmbeddingError(
            f"{landmarks:,} landmarks were asked for. At least {FEWEST} are needed. Leave `landmarks` out for {LANDMARKS:,}."
        )
    flat = pca(matrix, tell=tell)
    there = np.flatnonzero(~np.isnan(flat[:, 0]))
    if method == "pca" or len(there) < FEWEST:
        return flat
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(there, landmarks, replace=False)) if len(there) > landmarks else there
    fixed = unit_rows(matrix[chosen])[0]
    places = _lay_out(fixed, flat[chosen], seed, tell)
    found = np.full((len(matrix), 2), np.nan, np.float32)
    found[chosen] = places
    rest = np.setdiff1d(there, chosen, assume_unique=True)
    if len(rest):
        _place(matrix, rest, fixed, places, found, seed, tell)
    return found


def pca(matrix: np.ndarray, *, tell: Tell = _silent) -> np.ndarray:
    """The two principal components of unit vectors, from their covariance; exact, and the larger numbers of each axis point up.

    Args:
        matrix: [m, d].
        tell: as in `project`.

    Returns:
        float32 [m, 2], mean 0; NaN for a vector without direction, 0 along an axis that has no spread.

    """
    m, d = matrix.shape
    total, square, count = np.zeros(d), np.zeros((d, d)), 0
    found = np.full((m, 2), np.nan, np.float32)
    for start in range(0, m, _BLOCK):
        block, fine = unit_rows(matrix[start : start + _BLOCK])
        total += block.sum(0, dtype=np.float64)
        square += block.T @ block
        count += int(fine.sum())
        tell(min(start + _BLOCK, m), 2 * m, "measuring directions")
    if not count:
        return found
    mean = total / count
    spread, axes = np.linalg.eigh(square / count - np.outer(mean, mean))
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    axes[:, spread[::-1][:2] < 1e-7] = 0.0  # nothing but rounding
    for start in range(0, m, _BLOCK):
        block, fine = unit_rows(matrix[start : start + _BLOCK])
        places = (block - mean.astype(np.float32)) @ axes.astype(np.float32)
        found[start : start + _BLOCK, : axes.shape[1]] = np.where(fine[:, None], places, np.nan)
        tell(m + min(start + _BLOCK, m), 2 * m, "drawing the first map")
    if axes.shape[1] < 2:  # vectors of one number
        found[:, 1] = np.where(np.isnan(found[:, 0]), np.nan, 0)
    return found


def _lay_out(vectors: np.ndarray, start: np.ndarray, seed: int, tell: Tell) -> np.ndarray:
    """Places of unit vectors by UMAP's layout, begun from ``start`` [n, 2]; float32 [n, 2]."""
    n = len(vectors)
    # umap counts a point among its own neighbours
    index, cosines = neighbours(vectors, NEIGHBOURS - 1, tell=lambda done, total: tell(done, total, f"comparing {n:,} documents"))
    graph = _graph(index, 1.0 - cosines)
    epochs = _EPOCHS_FEW if n <= _MANY else _EPOCHS_MANY
    # as wide as umap begins, and equal vectors a hair apart so that they can be told from each other
    places = start / max(float(np.abs(start).max()), 1e-12) * 10 + np.random.default_rng(seed).normal(0, 1e-3, (n, 2))
    places = np.ascontiguousarray(places, np.float32)
    weights = (graph.data / graph.data.max()).astype(np.float32)
    for epoch in range(epochs):
        _move(places, places.copy(), graph.indptr, graph.indices, weights, epoch, epochs, 1.0, 2, seed)
        tell(epoch + 1, epochs, f"laying out {n:,} documents")
    return places


def _place(matrix: np.ndarray, rest: np.ndarray, fixed: np.ndarray, places: np.ndarray, found: np.ndarray, seed: int, tell: Tell) -> None:
    """Fill ``found`` for the rows ``rest`` from the landmarks ``fixed`` and their ``places``."""
    cells = _Cells(fixed, seed)
    for start in range(0, len(rest), 1 << 16):
        rows = rest[start : start + (1 << 16)]
        index, cosines = cells.nearest(unit_rows(matrix[rows])[0], _PLACING_NEIGHBOURS)
        members = _memberships(1.0 - cosines)
        mean = np.einsum("ij,ijk->ik", members / members.sum(1, keepdims=True), places[index]).astype(np.float32)
        indptr = np.arange(len(rows) + 1, dtype=np.int32) * index.shape[1]
        weights = (members / members.max(1, keepdims=True)).astype(np.float32).ravel()
        for epoch in range(_PLACING_EPOCHS):
            _move(mean, places, indptr, index.ravel(), weights, epoch, _PLACING_EPOCHS, 0.25, 1, seed + start + 1)
        found[rows] = mean
        tell(start + len(rows), len(rest), "placing the other documents")


class _Cells:
    """Landmarks in cells of k-means, so that a vector is compared with those of a few cells only."""

    def __init__(self, fixed: np.ndarray, seed: int) -> None:
        self.centres = spherical_kmeans(fixed, max(1, round(np.sqrt(len(fixed)))), np.random.default_rng(seed), iterations=10)
        cell = np.concatenate([(fixed[a : a + _BLOCK] @ self.centres.T).argmax(1) for a in range(0, len(fixed), _BLOCK)])
        self.order = np.argsort(cell, kind="stable")
        self.vectors = np.ascontiguousarray(fixed[self.order])
        self.starts = np.searchsorted(cell[self.order], np.arange(len(self.centres) + 1))

    def nearest(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest landmarks in the cells nearest to each vector: (int32 [n, k], float32 [n, k]), best first.

        Where those cells hold fewer than k, the nearest landmark stands for the missing ones.
        """
        n, probes = len(vectors), min(_PROBES, len(self.centres))
        near = np.argpartition(-(vectors @ self.centres.T), probes - 1, axis=1)[:, :probes]
        index, cosines = np.full((n, k), -1, np.int32), np.full((n, k), -np.inf, np.float32)

        for c in range(len(self.centres)):
            who = np.flatnonzero((near == c).any(1))
            best, where = cosines[who], index[who]
            first, stop = int(self.starts[c]), int(self.starts[c + 1])
            keep_best(vectors[who] @ self.vectors[first:stop].T, NOWHERE, first, best, where)
            cosines[who], index[who] = best, where
        missing = index < 0
        index, cosines = np.where(missing, index[:, :1], index), np.where(missing, cosines[:, :1], cosines)
        return self.order[index].astype(np.int32), cosines


def _graph(index: np.ndarray, distance: np.ndarray):  # type: ignore[no-untyped-def]
    """UMAP's fuzzy graph of nearest neighbours, symmetric, as a scipy CSR matrix."""
    from scipy.sparse import csr_matrix

    n, k = index.shape
    there = index >= 0
    members = np.where(there, _memberships(np.where(there, distance, np.inf)), 0)
    directed = csr_matrix((members.ravel(), np.where(there, index, 0).ravel(), np.arange(n + 1) * k), shape=(n, n))
    directed.eliminate_zeros()
    other = directed.T.tocsr()
    graph = (directed + other - directed.multiply(other)).tocsr()
    graph.sort_indices()
    return graph


def _memberships(distance: np.ndarray) -> np.ndarray:
    """How much each neighbour counts, [n, k]: exp(-(d - nearest) / s), s such that they add up to log2 of their number."""
    return in_rows(_fill_memberships, np.ascontiguousarray(np.maximum(distance, 0), np.float64))


def in_rows(fill: Callable[[np.ndarray, np.ndarray], None], rows: np.ndarray) -> np.ndarray:
    """An array like ``rows`` that ``fill(rows, out)`` has filled, some rows a thread."""
    out = np.zeros_like(rows)
    in_threads(lambda a: fill(rows[a : a + _BLOCK], out[a : a + _BLOCK]), range(0, len(rows), _BLOCK))
    return out


def _move(
    places: np.ndarray,
    others: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    weights: np.ndarray,
    epoch: int,
    epochs: int,
    first_step: float,
    pulls: int,
    seed: int,
) -> None:
    """One epoch for every row of ``places``, against ``others`` as they stood before it."""
    step = first_step * (1.0 - epoch / epochs)
    size = max(1_024, -(-len(places) // (os.cpu_count() or 1)))

    def move(start: int) -> None:
        _move_some(places, others, indptr, indices, weights, start, min(start + size, len(places)), epoch, epochs, step, pulls, seed)

    in_threads(move, range(0, len(places), size))


# --- kernels -----------------------------------------------------------------------------------------------------------------

_kernel = nb.njit(nogil=True, cache=True, _nrt=False)


@_kernel
def _fill_memberships(distance, out):  # type: ignore[no-untyped-def]
    """Search the width s of each row by halving."""
    for i in range(distance.shape[0]):
        k = 0
        nearest = np.inf
        for j in range(distance.shape[1]):
            if np.isfinite(distance[i, j]):
                k += 1
                if 0.0 < distance[i, j] < nearest:
                    nearest = distance[i, j]
        if k == 0:
            continue
        if not np.isfinite(nearest):  # all at distance 0
            nearest = 0.0
        wanted = np.log2(k + 1.0)
        low, high, width = 0.0, np.inf, 1.0
        for _ in range(64):
            total = 0.0
            for j in range(distance.shape[1]):
                if np.isfinite(distance[i, j]):
                    total += np.exp(-max(0.0, distance[i, j] - nearest) / width)
            if abs(total - wanted) < 1e-5:
                break
            if total > wanted:
                high = width
                width = (low + high) / 2.0
            else:
                low = width
                width = width * 2.0 if high == np.inf else (low + high) / 2.0
        width = max(width, 1e-6)
        for j in range(distance.shape[1]):
            if np.isfinite(distance[i, j]):
                out[i, j] = np.exp(-max(0.0, distance[i, j] - nearest) / width)


@_kernel
def _move_some(places, others, indptr, indices, weights, start, stop, epoch, epochs, step, pulls, seed):  # type: ignore[no-untyped-def]
    """Draw points to their neighbours and push them from points drawn at random; gradients and clipping are umap-learn's.

    An edge of weight w (the heaviest is 1) has its turn in a share w of the epochs. umap-learn moves both ends of an edge and meets
    it from both; here a point moves itself only, twice as often.
    """
    count = others.shape[0]
    own = places.shape[0] == count
    for i in range(start, stop):
        x, y = places[i, 0], places[i, 1]
        state = (
            np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
            + np.uint64(epoch) * np.uint64(0xBF58476D1CE4E5B9)
            + np.uint64(i + 1) * np.uint64(0x94D049BB133111EB)
        )
        for e in range(indptr[i], indptr[i + 1]):
            if np.floor((epoch + 1) * weights[e]) <= np.floor(epoch * weights[e]):
                continue
            j = indices[e]
            for _ in range(pulls):
                dx, dy = x - others[j, 0], y - others[j, 1]
                square = dx * dx + dy * dy
                if square > 0.0:
                    power = np.exp(_B * np.log(square))
                    pull = -2.0 * _A * _B * (power / square) / (1.0 + _A * power)
                    x += step * min(max(pull * dx, -4.0), 4.0)
                    y += step * min(max(pull * dy, -4.0), 4.0)
            for _ in range(_NEGATIVES):
                # xorshift64*, seeded by point and epoch: the same whichever thread comes by
                state ^= state >> np.uint64(12)
                state ^= state << np.uint64(25)
                state ^= state >> np.uint64(27)
                drawn = np.int64((state * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(33)) % count
                if own and drawn == i:
                    continue
                dx, dy = x - others[drawn, 0], y - others[drawn, 1]
                square = dx * dx + dy * dy
                if square > 0.0:
                    push = 2.0 * _B / ((0.001 + square) * (1.0 + _A * np.exp(_B * np.log(square))))
                    x += step * min(max(push * dx, -4.0), 4.0)
                    y += step * min(max(push * dy, -4.0), 4.0)
        places[i, 0], places[i, 1] = x, y
