"""Groups out of pairs: connected components, each called by its lowest document number."""

from __future__ import annotations

import numpy as np

from explorer.primitives.swar import kernel


@kernel
def _unite(a, b, parent):  # type: ignore[no-untyped-def]
    """Invariant: ``parent[i] <= i``, so a component's root is its lowest member whatever the order of the pairs."""
    for k in range(len(a)):
        i, j = a[k], b[k]
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        while parent[j] != j:
            parent[j] = parent[parent[j]]
            j = parent[j]
        if i < j:
            parent[j] = i
        elif j < i:
            parent[i] = j


@kernel
def _flatten(parent):  # type: ignore[no-untyped-def]
    for i in range(len(parent)):
        parent[i] = parent[parent[i]]


def unite(parent: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Join the components of ``a[k]`` and ``b[k]`` for every k; ``parent`` is int64 and begins as ``arange(n)``."""
    _unite(a, b, parent)


def roots(parent: np.ndarray) -> np.ndarray:
    """The lowest member of each one's component; flattens ``parent`` in place."""
    _flatten(parent)
    return parent


def sizes(group: np.ndarray) -> np.ndarray:
    """How many documents each one's group has, int64 [n]; 0 where ``group`` is -1 (in no group, not even alone)."""
    counts = np.bincount(group[group >= 0], minlength=len(group))
    return np.where(group >= 0, counts[np.maximum(group, 0)], 0)
