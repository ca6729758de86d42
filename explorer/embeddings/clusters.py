"""Groups of documents about the same thing, on two levels: k-means on directions, then the groups' centres grouped in turn.

    vectors ── spherical k-means on a sample ──► fine clusters ── weighted k-means of their centres ──► coarse groups
            ── every vector to the nearest centre, in blocks ──► fine [m], top [m]

Every fine cluster lies in exactly one coarse group. Groups are numbered from the largest; fine clusters too inside their group, and
their numbers run on through all groups, so that cluster 0 is the largest of group 0. The same vectors, numbers and seed give the same
clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from explorer.embeddings.search import unit_rows
from explorer.errors import EmbeddingError

CENTRAL = 5  # documents that stand for a cluster
_BLOCK = 1 << 14  # rows that are held as float32 at a time
_SAMPLE_A_CLUSTER = 256  # vectors a centre is found from; more move it little (faiss takes as many)
_MOST_SAMPLED = 100_000  # vectors that centres are found from, 150 MB of 384 numbers
_MOST_SEEDED = 20_000  # of these, the ones that first centres are chosen from
_ITERATIONS = 30
_RESTARTS = 10  # for the coarse level, which is small

Tell = Callable[[int, int, str], None]


def _silent(done: int, total: int, doing: str) -> None:
    pass


@dataclass(frozen=True)
class Clusters:
    """Two nested levels over m vectors.

    Attributes:
        fine: int64 [m], 0 to k - 1; -1 for a vector without direction.
        top: int64 [m], 0 to t - 1; -1 for a vector without direction.
        parents: int64 [k], the group that each fine cluster lies in.
        centres: float32 [k, d], unit vectors.
        central: int64 [k, CENTRAL], positions of the vectors nearest to each centre, nearest first; -1 where there are fewer.
        top_central: int64 [t, CENTRAL], the same for the groups.

    """

    fine: np.ndarray
    top: np.ndarray
    parents: np.ndarray
    centres: np.ndarray
    central: np.ndarray
    top_central: np.ndarray


def default_counts(m: int) -> tuple[int, int]:
    """(groups, fine clusters) for m vectors: half the root of m, at most 500, and about two roots of that.

    8,000 vectors give 13 groups of 45 clusters, 140,000 give 27 of 187, a million and more 45 of 500: as many titles as can be read.
    """
    fine = int(np.clip(round(np.sqrt(m) / 2), 1, 500))
    return int(np.clip(round(2 * np.sqrt(fine)), 1, fine)), fine


def cluster(matrix: np.ndarray, *, fine: int | None = None, top: int | None = None, seed: int = 0, tell: Tell = _silent) -> Clusters:
    """Find two nested levels of clusters.

    Args:
        matrix: [m, d], any float type; read in blocks, so it may be memory-mapped.
        fine: clusters wanted, `default_counts` when None; fewer come out where fewer vectors are different.
        top: groups wanted of these, `default_counts` when None.
        seed: decides the sample and the first centres.
        tell: called with (vectors done, vectors, what is being done).

    Returns:
        Clusters of m vectors.

    Raises:
        EmbeddingError: a number of clusters below 1, or more groups than clusters.

    """
    fine_wanted, top_wanted = _counts(len(matrix), fine, top)
    rng = np.random.default_rng(seed)
    m, d = matrix.shape
    # rows without direction have no place in the sample, but who they are is known only when they are read
    few = min(m, _MOST_SAMPLED, max(_SAMPLE_A_CLUSTER * fine_wanted, 2_000))
    at = np.sort(rng.choice(m, few, replace=False)) if few < m else np.arange(m)
    sample, usable = unit_rows(matrix[at])
    sample = sample[usable]
    if not len(sample):
        nothing = np.full(m, -1, np.int64)
        none = np.full((0, CENTRAL), -1, np.int64)
        return Clusters(nothing, nothing.copy(), np.zeros(0, np.int64), np.zeros((0, d), np.float32), none, none)
    tell(0, m, f"finding {fine_wanted:,} clusters in {len(sample):,} vectors")
    centres = spherical_kmeans(sample, fine_wanted, rng)
    labels, near = _assign(matrix, centres, tell)
    kept, sizes = np.unique(labels[labels >= 0], return_counts=True)
    centres = centres[kept]
    groups = _group(centres, sizes.astype(np.float64), min(top_wanted, len(kept)), rng)
    return _ordered(matrix, np.searchsorted(kept, labels), labels >= 0, near, groups, centres)


def spherical_kmeans(
    vectors: np.ndarray, k: int, rng: np.random.Generator, *, weights: np.ndarray | None = None, iterations: int = _ITERATIONS
) -> np.ndarray:
    """Centres of k-means on unit vectors: each is the direction of its members' mean (Dhillon and Modha 2001).

    First centres are drawn with probability proportional to the weighted squared distance from those drawn before (greedy k-means++,
    Arthur and Vassilvitskii 2007). A centre that loses all its members takes the vector that lies farthest from its own.

    Args:
        vectors: float32 [n, d], unit vectors.
        k: centres wanted; fewer come back where fewer vectors are different.
        rng: what is drawn from.
        weights: float64 [n], of each vector; None for equal ones.
        iterations: at most so many; it ends earlier when less than one vector in a thousand changes its cluster.

    Returns:
        float32 [k' <= k, d], unit vectors.

    """
    from scipy.sparse import csr_matrix

    n = len(vectors)
    mass = np.ones(n) if weights is None else weights
    few = rng.choice(n, _MOST_SEEDED, replace=False) if n > _MOST_SEEDED else np.arange(n)
    centres = _first_centres(vectors[few], mass[few], k, rng)
    before = np.full(n, -1, np.int64)
    for _ in range(iterations):
        labels, near = _nearest(vectors, centres)
        members = csr_matrix((mass.astype(np.float32), labels, np.arange(n + 1)), shape=(n, len(centres)))
        sums = np.asarray(members.T @ vectors)
        length = np.linalg.norm(sums, axis=1)
        empty = np.flatnonzero(length < 1e-6)
        if len(empty):
            farthest = np.argsort(near, kind="stable")[: len(empty)]
            sums[empty], length[empty] = vectors[farthest], 1
        centres = (sums / length[:, None]).astype(np.float32)
        if (labels != before).mean() < 0.001 and not len(empty):
            break
        before = labels
    return centres


def _counts(m: int, fine: int | None, top: int | None) -> tuple[int, int]:
    wanted = fine if fine is not None else max(default_counts(m)[1], top or 1)
    groups = top if top is not None else min(wanted, int(np.clip(round(2 * np.sqrt(max(wanted, 1))), 1, max(wanted, 1))))
    if wanted < 1 or groups < 1 or groups > wanted:
        raise EmbeddingError(
            f"{wanted:,} clusters in {groups:,} groups were asked for. Both have to be 1 or more, and a group holds at least one cluster. Give fewer groups or more clusters."
        )
    return wanted, groups


def _first_centres(vectors: np.ndarray, mass: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Greedy k-means++: of a few draws the one that leaves the least distance."""
    draws = 2 + int(np.log(k))
    chosen = [int(rng.choice(len(vectors), p=mass / mass.sum()))]
    distance = _distance(vectors, vectors[chosen])[:, 0]
    while len(chosen) < k:
        chances = np.cumsum(distance * mass)
        if chances[-1] <= 0:
            break
        drawn = np.searchsorted(chances, rng.random(draws) * chances[-1], side="right").clip(0, len(vectors) - 1)
        left = np.minimum(distance[:, None], _distance(vectors, vectors[drawn]))
        best = int((mass @ left).argmin())
        chosen.append(int(drawn[best]))
        distance = np.ascontiguousarray(left[:, best])
    return vectors[chosen]


def _distance(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Half the squared distance between unit vectors, [n, c]; 0 where only rounding keeps them apart."""
    found = 1.0 - vectors @ centres.T
    found[found < 1e-6] = 0.0
    return found


def _nearest(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each unit vector, the first of equals, and its cosine."""
    labels, near = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        part = slice(start, start + _BLOCK)
        found = vectors[part] @ centres.T
        labels[part] = found.argmax(1)
        near[part] = np.take_along_axis(found, labels[part, None], 1)[:, 0]
    return labels, near


def _assign(matrix: np.ndarray, centres: np.ndarray, tell: Tell) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of every row, -1 for one without direction, and its cosine."""
    m = len(matrix)
    labels, near = np.full(m, -1, np.int64), np.full(m, -np.inf, np.float32)
    for start in range(0, m, _BLOCK):
        part = slice(start, start + _BLOCK)
        block, usable = unit_rows(matrix[part])
        found, cosine = _nearest(block, centres)
        labels[part] = np.where(usable, found, -1)
        near[part] = np.where(usable, cosine, -np.inf)
        tell(min(start + _BLOCK, m), m, "putting every document into its cluster")
    return labels, near


def _group(centres: np.ndarray, sizes: np.ndarray, groups: int, rng: np.random.Generator) -> np.ndarray:
    """The group of each centre: the best of some runs of weighted k-means."""
    best, most = np.zeros(len(centres), np.int64), -np.inf
    for _ in range(_RESTARTS):
        labels, near = _nearest(centres, spherical_kmeans(centres, groups, rng, weights=sizes))
        total = float(near @ sizes)
        if total > most + 1e-9:
            best, most = labels, total
    return best


def _ordered(
    matrix: np.ndarray, labels: np.ndarray, there: np.ndarray, near: np.ndarray, groups: np.ndarray, centres: np.ndarray
) -> Clusters:
    """Number groups and clusters from the largest."""
    sizes = np.bincount(labels[there], minlength=len(centres))
    groups = np.unique(groups, return_inverse=True)[1]  # without those that have lost all their members
    rank = np.argsort(np.argsort(-np.bincount(groups, weights=sizes), kind="stable"))
    tops = rank[groups]
    order = np.lexsort((np.arange(len(centres)), -sizes, tops))
    number = np.empty(len(centres), np.int64)
    number[order] = np.arange(len(centres))
    fine = np.where(there, number[np.where(there, labels, 0)], -1)
    parents, centres = tops[order], centres[order]
    top = np.where(there, parents[np.where(there, fine, 0)], -1)
    # a group's own documents nearest to its centre, which is the mean of its clusters' by size
    members = np.zeros((int(parents.max()) + 1, len(centres)), np.float32)
    members[parents, np.arange(len(centres))] = sizes[order]
    top_centres = members @ centres
    top_near = _own_cosines(matrix, top, top_centres / np.linalg.norm(top_centres, axis=1, keepdims=True))
    return Clusters(fine, top, parents, centres, _central(fine, near, len(centres)), _central(top, top_near, len(members)))


def _own_cosines(matrix: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    near = np.full(len(matrix), -np.inf, np.float32)
    for start in range(0, len(matrix), _BLOCK):
        part = slice(start, start + _BLOCK)
        block, usable = unit_rows(matrix[part])
        near[part][usable] = np.einsum("ij,ij->i", block[usable], centres[labels[part][usable]])
    return near


def _central(labels: np.ndarray, near: np.ndarray, count: int) -> np.ndarray:
    """Positions of the members nearest to each centre, int64 [count, CENTRAL]."""
    order = np.lexsort((np.arange(len(labels)), -near, labels))
    order = order[labels[order] >= 0]
    starts = np.searchsorted(labels[order], np.arange(count + 1))
    found = np.full((count, CENTRAL), -1, np.int64)
    for c in range(count):
        here = order[starts[c] : starts[c + 1]][:CENTRAL]
        found[c, : len(here)] = here
    return found
