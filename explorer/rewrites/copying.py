"""What a rewrite takes over from its original word by word: overlap, order, and the longest stretch copied.

Everything is counted on `plain_words`. N-grams are compared by a polynomial hash of their words' 64-bit hashes, so two different ones
are taken for the same with probability about 2**-64.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from explorer.primitives.batch import Batch, pair_primitive, primitive
from explorer.primitives.plain_words import plain_words
from explorer.primitives.swar import kernel

LONG = 8  # words of a stretch that is hardly the same by chance
REACH = 3  # words after one among which the next may stand and is still in order
REPEATED = 10  # words of a stretch that a text seldom says twice
MOST_CELLS = 1 << 34  # words of one text times those of the other that are brought into one order: two texts of 130,000 words
MIX = np.uint64(0x9E3779B97F4A7C15)
BASE = np.uint64(0xD1342543DE82EF95)
_1 = np.uint64(1)


class Copying(NamedTuple):
    """Counts of words and n-grams a pair, int64 [n] each.

    Attributes:
        original, rewrite: words of each text.
        shared1, shared2: unigrams and bigrams in both, each as often as in the text that has it less often.
        common: words of the longest common subsequence; -1 where the texts are too long to bring into one order.
        novel: words of the rewrite, each time they stand there, that the original has nowhere.
        copied, kept: 8-grams of the rewrite that stand in the original, and of the original that stand in the rewrite.
        longest: words of the longest stretch that stands in both.
        scrambled: neighbours in the rewrite that both stand in the original, but nowhere there the second one within `REACH` words after
            the first.
    """

    original: np.ndarray
    rewrite: np.ndarray
    shared1: np.ndarray
    shared2: np.ndarray
    common: np.ndarray
    novel: np.ndarray
    copied: np.ndarray
    kept: np.ndarray
    longest: np.ndarray
    scrambled: np.ndarray


@nb.njit(nogil=True, cache=True, inline="always")
def _slot(key, keys, used, mask):  # type: ignore[no-untyped-def]
    """Place of ``key`` in an open-addressed table, or of the free place where it belongs."""
    slot = np.int64((key * MIX) >> np.uint64(32)) & mask
    while used[slot] and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def _grams(hashes, first, n, k, out):  # type: ignore[no-untyped-def]
    """Hash of each k-gram of the words ``first:first + n``; returns how many there are.

    Invariant: ``h`` is the polynomial in ``BASE`` of the k words that end at word i.
    """
    if n < k:
        return 0
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
    return n - k + 1


@kernel
def _clear(used, size):  # type: ignore[no-untyped-def]
    for s in range(size):
        used[s] = 0


@kernel
def _shared(a, na, b, nb_, keys, used, counts, size):  # type: ignore[no-untyped-def]
    """Items in both lists (each as often as in the one that has it less often), and those of ``b`` that ``a`` has nowhere."""
    _clear(used, size)
    mask = size - 1
    for i in range(na):
        s = _slot(a[i], keys, used, mask)
        if not used[s]:
            used[s], keys[s], counts[s] = 1, a[i], 0
        counts[s] += 1
    shared = novel = 0
    for i in range(nb_):
        s = _slot(b[i], keys, used, mask)
        if not used[s]:
            novel += 1
        elif counts[s] > 0:
            counts[s] -= 1
            shared += 1
    return shared, novel


@kernel
def _found(a, na, b, nb_, keys, used, size):  # type: ignore[no-untyped-def]
    """How many items of ``b`` stand in ``a``."""
    _clear(used, size)
    mask = size - 1
    for i in range(na):
        s = _slot(a[i], keys, used, mask)
        used[s], keys[s] = 1, a[i]
    found = 0
    for i in range(nb_):
        found += used[_slot(b[i], keys, used, mask)]
    return found


@kernel
def _scrambled(a, na, b, nb_, there, keys, used, words, pairs):  # type: ignore[no-untyped-def]
    """Neighbours of ``b`` that are both in ``a`` and nowhere in their order; tables of ``words`` and ``pairs`` entries do, one after the other."""
    _clear(used, words)
    for i in range(na):
        s = _slot(a[i], keys, used, words - 1)
        used[s], keys[s] = 1, a[i]
    for i in range(nb_):
        there[i] = used[_slot(b[i], keys, used, words - 1)]
    _clear(used, pairs)
    for i in range(na):
        for j in range(i + 1, min(i + 1 + REACH, na)):
            pair = a[i] * BASE + a[j]
            s = _slot(pair, keys, used, pairs - 1)
            used[s], keys[s] = 1, pair
    found = 0
    for i in range(nb_ - 1):
        if there[i] and there[i + 1]:
            found += 1 - used[_slot(b[i] * BASE + b[i + 1], keys, used, pairs - 1)]
    return found


@kernel
def _subsequence(a, na, b, nb_, keys, used, counts, size, rows, state):  # type: ignore[no-untyped-def]
    """Length of the longest common subsequence (Hyyrö 2004, bit-parallel): one bit a word of ``a``, one step a word of ``b``.

    ``rows[j * width:(j + 1) * width]`` are the places of the j-th different word of ``a`` that ``b`` may ask for. Invariant: after word i
    of ``b`` the number of zero bits in ``state[:width]`` is the length for ``b[:i + 1]``.
    """
    _clear(used, size)
    mask = size - 1
    width = (na + 63) // 64
    distinct = 0
    for i in range(na):
        s = _slot(a[i], keys, used, mask)
        if not used[s]:
            used[s], keys[s], counts[s] = 1, a[i], distinct
            for k in range(width):
                rows[distinct * width + k] = 0
            distinct += 1
        rows[counts[s] * width + i // 64] |= _1 << np.uint64(i % 64)
    for k in range(width):
        state[k] = ~np.uint64(0)
    for i in range(nb_):
        s = _slot(b[i], keys, used, mask)
        if not used[s]:
            continue
        at = counts[s] * width
        carry = np.uint64(0)
        for k in range(width):
            v = state[k]
            met = v & rows[at + k]
            total = v + met
            over = total < v
            with_carry = total + carry
            over = over or with_carry < total
            state[k] = with_carry | (v - met)
            carry = _1 if over else np.uint64(0)
    length = np.int64(0)
    for i in range(na):
        length += 1 - np.int64((state[i // 64] >> np.uint64(i % 64)) & _1)
    return length


@kernel
def _longest(a, b, first_a, na, first_b, nb_, grams_a, grams_b, keys, used, size):  # type: ignore[no-untyped-def]
    """Words of the longest stretch in both: whether there is one of k words falls with k, so k is found by halving."""
    low, high = 0, min(na, nb_)
    while low < high:
        k = (low + high + 1) // 2
        if _found(grams_a, _grams(a, first_a, na, k, grams_a), grams_b, _grams(b, first_b, nb_, k, grams_b), keys, used, size) > 0:
            low = k
        else:
            high = k - 1
    return low


@nb.njit(nogil=True, cache=True)
def _count(oa, ha, ob, hb):  # type: ignore[no-untyped-def]
    n = len(oa) - 1
    out = np.zeros((8, n), np.int64)
    most_a = most_b = rows_size = np.int64(1)
    for d in range(n):
        na, nb_ = oa[d + 1] - oa[d], ob[d + 1] - ob[d]
        most_a, most_b = max(most_a, na), max(most_b, nb_)
        short, long = min(na, nb_), max(na, nb_)
        if short * long <= MOST_CELLS:
            rows_size = max(rows_size, short * ((short + 63) // 64))
    size = 16
    while size < 2 * max(REACH * most_a, most_b):
        size *= 2
    keys, used, counts = np.empty(size, np.uint64), np.zeros(size, np.uint8), np.empty(size, np.int32)
    grams_a, grams_b = np.empty(most_a, np.uint64), np.empty(most_b, np.uint64)
    rows, state = np.empty(rows_size, np.uint64), np.empty((max(most_a, most_b) + 63) // 64, np.uint64)
    for d in range(n):
        fa, na, fb, nb_ = oa[d], oa[d + 1] - oa[d], ob[d], ob[d + 1] - ob[d]
        table = 16
        while table < 2 * max(na, nb_):
            table *= 2
        a, b = ha[fa : fa + na], hb[fb : fb + nb_]
        out[0, d], out[3, d] = _shared(a, na, b, nb_, keys, used, counts, table)
        two_a, two_b = _grams(ha, fa, na, 2, grams_a), _grams(hb, fb, nb_, 2, grams_b)
        out[1, d], _ = _shared(grams_a, two_a, grams_b, two_b, keys, used, counts, table)
        if min(na, nb_) * max(na, nb_) > MOST_CELLS:
            out[2, d] = -1
        elif na <= nb_:
            out[2, d] = _subsequence(a, na, b, nb_, keys, used, counts, table, rows, state)
        else:
            out[2, d] = _subsequence(b, nb_, a, na, keys, used, counts, table, rows, state)
        long_a, long_b = _grams(ha, fa, na, LONG, grams_a), _grams(hb, fb, nb_, LONG, grams_b)
        out[4, d] = _found(grams_a, long_a, grams_b, long_b, keys, used, table)
        out[5, d] = _found(grams_b, long_b, grams_a, long_a, keys, used, table)
        out[6, d] = _longest(ha, hb, fa, na, fb, nb_, grams_a, grams_b, keys, used, table)
        pairs = table
        while pairs < 2 * REACH * na:
            pairs *= 2
        out[7, d] = _scrambled(a, na, b, nb_, grams_b, keys, used, table, pairs)
    return out


@nb.njit(nogil=True, cache=True)
def _repeated(offsets, hashes, k):  # type: ignore[no-untyped-def]
    """Words of each document that lie in a k-gram which stood before, each once; the scan steps over what it has counted."""
    n = len(offsets) - 1
    most = np.int64(1)
    for d in range(n):
        most = max(most, offsets[d + 1] - offsets[d])
    size = 16
    while size < 2 * most:
        size *= 2
    keys, used, grams = np.empty(size, np.uint64), np.zeros(size, np.uint8), np.empty(most, np.uint64)
    out = np.zeros(n, np.int64)
    for d in range(n):
        m = offsets[d + 1] - offsets[d]
        table = 16
        while table < 2 * m:
            table *= 2
        _clear(used, table)
        count, free = _grams(hashes, offsets[d], m, k, grams), 0
        for i in range(count):
            s = _slot(grams[i], keys, used, table - 1)
            if not used[s]:
                used[s], keys[s] = 1, grams[i]
            elif i >= free:
                out[d] += k
                free = i + k
    return out


@primitive
def repeated(batch: Batch) -> np.ndarray:
    """Share of each document's words that lie in a stretch of ten words which stood in it before, float64 [n]; 0 without words."""
    found = plain_words(batch)
    return _repeated(found.offsets, found.hash, REPEATED) / np.maximum(np.diff(found.offsets), 1)


@pair_primitive
def copying(original: Batch, rewrite: Batch) -> Copying:
    """What each rewrite of a batch takes over from its original."""
    a, b = plain_words(original), plain_words(rewrite)
    return Copying(np.diff(a.offsets), np.diff(b.offsets), *_count(a.offsets, a.hash, b.offsets, b.hash))
