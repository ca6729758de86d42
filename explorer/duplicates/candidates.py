"""Candidate pairs out of band keys: documents that share a key in at least one band."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from explorer.primitives.swar import kernel

WHOLE = 64  # documents that share a key and are still paired each with each (2,016 pairs)
_32 = np.uint64(32)


class Candidates(NamedTuple):
    """Pairs of places, ``a < b``, each once, in ascending order.

    Attributes:
        a: int64 [pairs].
        b: int64 [pairs].
        thinned: keys shared by more than `WHOLE` documents; of these, pairs with the first and of neighbours alone are listed.
            That leaves the components what they are.
    """

    a: np.ndarray
    b: np.ndarray
    thinned: int


@kernel
def _pairs(order, starts, ends, out):  # type: ignore[no-untyped-def]
    """Write the pairs of every run of equal keys as ``a << 32 | b``; returns their number (``out`` may be empty to count)."""
    n = 0
    write = len(out) > 0
    for r in range(len(starts)):
        first, last = starts[r], ends[r]
        whole = last - first <= WHOLE
        for i in range(first, last - 1):
            stop = last if whole or i == first else i + 2
            if write:
                for j in range(i + 1, stop):
                    out[n + j - i - 1] = (np.uint64(order[i]) << _32) | np.uint64(order[j])
            n += stop - i - 1
    return n


def candidates(band: Callable[[int], np.ndarray], bands: int, on_band: Callable[[int], None] = lambda done: None) -> Candidates:
    """All pairs that share a key in a band.

    Args:
        band: gives the keys of one band, uint64 [n]; one band is in memory at a time.
        bands: how many there are.
        on_band: called with the bands done.

    """
    found = np.zeros(0, np.uint64)
    thinned = 0
    for number in range(bands):
        keys = band(number)
        order = np.argsort(keys, kind="stable")  # documents that share a key stay in ascending order
        ordered = keys[order]
        edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])) if len(keys) else np.zeros(1, np.int64)
        runs = np.flatnonzero(np.diff(edges) > 1)
        starts, ends = edges[runs], edges[runs + 1]
        thinned += int((ends - starts > WHOLE).sum())
        packed = np.empty(_pairs(order, starts, ends, np.zeros(0, np.uint64)), np.uint64)
        if len(packed):
            _pairs(order, starts, ends, packed)
            found = np.unique(np.concatenate([found, packed]))
        on_band(number + 1)
    return Candidates((found >> _32).astype(np.int64), (found & np.uint64(0xFFFFFFFF)).astype(np.int64), thinned)
