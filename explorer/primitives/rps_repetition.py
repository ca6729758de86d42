"""Repeated words and n-grams of one document, as RedPajama-v2 counts them; exact, and pruned level by level.

An n-gram can repeat only where the (n-1)-grams at its first and at its second word both repeat. So level n looks only at the
places that survived level n-1, which in ordinary prose is next to nothing from the fourth level on.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from explorer.primitives.swar import kernel

MAX_N = 10
_C = np.uint64(0x9E3779B97F4A7C15)

# x * ln(x) for the counts that occur most.
_X_LOG_X = np.array([0.0, *(x * math.log(x) for x in range(1, 1024))])

# Results of one document, columns of ``out``.
UNIQUE, ENTROPY, TOP2, TOP3, TOP4, DUPE5 = range(6)
N_REPETITION = DUPE5 + 6


@nb.njit(nogil=True, cache=True, inline="always")
def extend(h, word):  # type: ignore[no-untyped-def]
    """Hash of an n-gram that is one word longer; never 0."""
    h = h * _C + word
    h = (h ^ (h >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (h ^ (h >> np.uint64(32))) | np.uint64(1)


@nb.njit(nogil=True, cache=True)
def capacity(n: int) -> int:
    """A power of two, at least twice ``n``."""
    capacity = 16
    while capacity < 2 * n:
        capacity *= 2
    return capacity


@kernel
def repetition(words, lengths, n, out, scratch_hash, scratch_slot, scratch_at, level, table, counts):  # type: ignore[no-untyped-def]
    """Fill one document's row of ``out`` from its words.

    Args:
        words: uint64 [>= n], hashes of the normalised words.
        lengths: int32 [>= n], their lengths in code points.
        n: number of words, at least 1.
        out: float64 [N_REPETITION]: unique words, unigram entropy (nats), characters in the top 2-, 3-, 4-gram times its count, and
            characters covered by repeated 5- to 10-grams.
        scratch_hash: uint64 [>= n].
        scratch_slot: int32 [>= n].
        scratch_at: int32 [>= n].
        level: uint8 [>= n].
        table: uint64 [>= capacity(n)].
        counts: int32 [>= capacity(n)].
    """
    size = capacity(n)
    mask = np.int64(size - 1)
    table[:size] = 0
    unique = 0
    for k in range(n):
        h = words[k]
        j = np.int64(h >> np.uint64(20)) & mask
        while table[j] != 0 and table[j] != h:
            j = (j + 1) & mask
        if table[j] == 0:
            table[j] = h
            counts[j] = 0
            unique += 1
        counts[j] += 1
        scratch_slot[k] = j
    # sum c ln c over different words equals the sum of ln c over all words; only repeated words contribute.
    total = 0.0
    alive = 0
    for k in range(n):
        c = counts[scratch_slot[k]]
        if c > 1:
            level[k] = 1
            scratch_hash[k] = words[k]
            scratch_at[alive] = k
            alive += 1
            total += _X_LOG_X[c] / c if c < 1024 else math.log(c)
        else:
            level[k] = 0
    out[UNIQUE] = unique
    out[ENTROPY] = max(math.log(n) - total / n, 0.0)

    for g in range(2, MAX_N + 1):
        # The candidates: places whose (g-1)-gram repeats, and the next place's too.
        m = 0
        for a in range(alive):
            k = scratch_at[a]
            if k + g <= n and level[k + 1] >= g - 1:
                scratch_at[m] = k
                m += 1
        if m < 2:
            break
        size = capacity(m)
        mask = np.int64(size - 1)
        table[:size] = 0
        for a in range(m):
            k = scratch_at[a]
            h = extend(scratch_hash[k], words[k + g - 1])
            scratch_hash[k] = h
            j = np.int64(h >> np.uint64(20)) & mask
            while table[j] != 0 and table[j] != h:
                j = (j + 1) & mask
            if table[j] == 0:
                table[j] = h
                counts[j] = 0
            counts[j] += 1
            scratch_slot[a] = j
        alive = 0
        best, best_at = 1, -1
        covered = 0  # words before this one are counted
        chars = 0
        for a in range(m):
            c = counts[scratch_slot[a]]
            if c < 2:
                continue
            k = scratch_at[a]
            level[k] = g
            scratch_at[alive] = k
            alive += 1
            if g <= 4:
                if c > best:  # the first of the most frequent, as Counter.most_common breaks ties
                    best, best_at = c, k
            else:
                for w in range(max(k, covered), k + g):
                    chars += lengths[w]
                covered = k + g
        if g <= 4:
            if best_at >= 0:
                for w in range(best_at, best_at + g):
                    chars += lengths[w]
                out[TOP2 + g - 2] = chars * best
        else:
            out[DUPE5 + g - 5] = chars
