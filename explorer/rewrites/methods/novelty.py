"""What is new in a text: its word n-grams against those of its original, or of all texts made from that original before it.

N-grams are compared by a polynomial hash of their words' 64-bit hashes: two different ones are taken for the same with probability about
2**-64.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from explorer.primitives.batch import Batch
from explorer.primitives.plain_words import plain_words
from explorer.primitives.swar import kernel

MOST_GRAMS = 1 << 27  # of one group, held at once (some 3 GB); texts past it are undefined
BASE, MIX = np.uint64(0xD1342543DE82EF95), np.uint64(0x9E3779B97F4A7C15)
_1, _32 = np.uint64(1), np.uint64(32)


@kernel
def _grams(hashes, first, n, k, out):  # type: ignore[no-untyped-def]
    """Hash of each k-gram of the words ``first:first + n``; returns how many there are.

    Invariant: after word i, ``h`` is the polynomial in ``BASE`` of the k words that end there.
    """
    power = _1
    for _ in range(k - 1):
        power *= BASE
    h = np.uint64(0)
    for i in range(n):
        if i >= k:
            h -= power * hashes[first + i - k]
        h = h * BASE + hashes[first + i]
        if i >= k - 1:
            out[i - k + 1] = h
    return max(n - k + 1, 0)


@nb.njit(nogil=True, cache=True, inline="always")
def _slot(key, keys, seen, mask):  # type: ignore[no-untyped-def]
    slot = np.int64((key * MIX) >> _32) & mask
    while seen[slot] >= 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@nb.njit(nogil=True, cache=True)
def _size(items):  # type: ignore[no-untyped-def]
    size = 16
    while size < 2 * items:
        size *= 2
    return size


@nb.njit(nogil=True, cache=True)
def _copied(oa, ha, ob, hb, k, every, found):  # type: ignore[no-untyped-def]
    """Of each pair, the second text's k-grams, and those that stand in the first."""
    most = np.int64(1)
    for d in range(len(oa) - 1):
        most = max(most, oa[d + 1] - oa[d], ob[d + 1] - ob[d])
    grams = np.empty(most, np.uint64)
    keys, seen = np.empty(_size(most), np.uint64), np.full(_size(most), -1, np.int8)
    for d in range(len(oa) - 1):
        n = _grams(ha, oa[d], oa[d + 1] - oa[d], k, grams)
        size = _size(n)
        seen[:size] = -1
        for i in range(n):
            s = _slot(grams[i], keys, seen, size - 1)
            keys[s], seen[s] = grams[i], 1
        n = _grams(hb, ob[d], ob[d + 1] - ob[d], k, grams)
        every[d] = n
        for i in range(n):
            found[d] += seen[_slot(grams[i], keys, seen, size - 1)] >= 0


def copied_grams(original: Batch, text: Batch, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Word n-grams of length ``k`` of each text, and how many of them stand in its original: int64 [n] each."""
    a, b = plain_words(original), plain_words(text)
    every, found = np.zeros(len(text), np.int64), np.zeros(len(text), np.int64)
    _copied(a.offsets, a.hash, b.offsets, b.hash, k, every, found)
    return every, found


@nb.njit(nogil=True, cache=True)
def _novel(offsets, hashes, groups, k, most_grams, different, new):  # type: ignore[no-untyped-def]
    """Of each text its different k-grams, and those that no text of its group before it had. Texts of a group are neighbours."""
    n = len(offsets) - 1
    first = 0
    while first < n:
        stop = first
        total, longest = np.int64(0), np.int64(1)
        while stop < n and groups[stop] == groups[first]:
            words = offsets[stop + 1] - offsets[stop]
            if total + words <= most_grams:
                total += words
                longest = max(longest, words)
            stop += 1
        size = _size(total)
        keys, seen, grams = np.empty(size, np.uint64), np.full(size, -1, np.int32), np.empty(longest, np.uint64)
        held = np.int64(0)
        for d in range(first, stop):
            words = offsets[d + 1] - offsets[d]
            if held + words > most_grams:
                different[d] = new[d] = -1
                continue
            held += words
            for i in range(_grams(hashes, offsets[d], words, k, grams)):
                s = _slot(grams[i], keys, seen, size - 1)
                if seen[s] < 0:
                    keys[s] = grams[i]
                    new[d] += 1
                    different[d] += 1
                elif seen[s] != d - first:
                    different[d] += 1
                seen[s] = d - first
        first = stop


def novel_grams(texts: Batch, groups: np.ndarray, k: int, *, most_grams: int = MOST_GRAMS) -> tuple[np.ndarray, np.ndarray]:
    """Different word n-grams of length ``k`` of each text, and those that no text of its group before it had.

    Args:
        texts: n texts, those of a group one after the other.
        groups: int64 [n], numbers of the groups.
        k: words of an n-gram.
        most_grams: words of a group that are looked at; later texts are -1 in both.

    """
    words = plain_words(texts)
    different, new = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    _novel(words.offsets, words.hash, groups, k, most_grams, different, new)
    return different, new
