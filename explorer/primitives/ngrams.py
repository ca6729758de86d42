"""Exact n-gram repetition of each document's tokens, as Gopher's rules measure it (lengths 2-10), in one pass over the levels.

An n-gram can occur twice only where both (n-1)-grams inside it occur twice. So level n looks only at positions whose (n-1)-gram
and whose neighbour's (n-1)-gram survived level n-1, and identifies an n-gram by the pair of their numbers: a pair of 32-bit
numbers is an exact 64-bit key, so the only hash that can confuse anything is the token's own (V different tokens in a document:
about V**2 / 2**65, for a million 3e-8).
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from explorer.primitives.batch import Batch, primitive
from explorer.primitives.swar import kernel
from explorer.primitives.words import words

TOP = (2, 3, 4)
DUPLICATED = (5, 6, 7, 8, 9, 10)
MIX = np.uint64(0x9E3779B97F4A7C15)
_32 = np.uint64(32)


class Ngrams(NamedTuple):
    """Code points per document, int64.

    Attributes:
        top: [n, 3]; for n = 2, 3, 4 the length of the most frequent n-gram (tokens joined by a space; the first of equals)
            times its count; a count of 1 counts too. 0 where the document has fewer than n tokens.
        duplicated: [n, 6]; for n = 5 to 10 what a greedy scan from the left covers: an n-gram seen before adds the lengths of its
            tokens and is jumped over, any other is remembered and one token is stepped over.
    """

    top: np.ndarray
    duplicated: np.ndarray


@kernel
def _number(key, keys, table, shift, distinct):  # type: ignore[no-untyped-def]
    """The number of ``key`` among the distinct keys so far; ``distinct`` itself when it is new, and it is then stored."""
    mask = len(table) - 1
    slot = np.int64((key * MIX) >> np.uint64(shift)) & mask
    while True:
        number = table[slot] - 1
        if number < 0:
            table[slot] = distinct + 1
            keys[distinct] = key
            return distinct
        if keys[number] == key:
            return number
        slot = (slot + 1) & mask


@kernel
def _document(hashes, chars, first, last, keys, counts, number, position, spans, table, top, duplicated):  # type: ignore[no-untyped-def]
    """Fill ``top`` and ``duplicated`` of the document whose tokens are ``first:last``.

    Invariant at the head of level n: ``position[:alive]`` are, in order, the positions whose (n-1)-gram occurs at least twice and
    ``number[:alive]`` say which it is; ``spans[p]`` is the length in code points of the (n-1)-gram at position p.
    """
    m = last - first
    for k in range(3):
        top[k] = 0
    for k in range(6):
        duplicated[k] = 0
    if m < 2:
        return
    size = 16
    shift = 60
    while size < 2 * m:
        size *= 2
        shift -= 1
    # Level 1: number the tokens.
    for k in range(size):
        table[k] = 0
    distinct = 0
    for p in range(m):
        new = _number(hashes[first + p], keys, table[:size], shift, distinct)
        number[p] = new
        position[p] = p
        spans[p] = chars[first + p]
        if new == distinct:
            counts[new] = 1
            distinct += 1
        else:
            counts[new] += 1
    alive = 0
    for p in range(m):
        if counts[number[p]] > 1:
            number[alive] = number[p]
            position[alive] = p
            alive += 1
    whole = spans[0]  # length of the first n-gram, which is the most frequent one when none occurs twice
    for n in range(2, 11):
        if n > m:
            break
        whole += chars[first + n - 1]
        # Candidates: both (n-1)-grams inside are alive. They move to the front; number[k + 1] is read before it is overwritten.
        size = 16
        shift = 60
        while size < 2 * alive:
            size *= 2
            shift -= 1
        for k in range(size):
            table[k] = 0
        distinct = candidates = 0
        for k in range(alive - 1):
            p = position[k]
            if position[k + 1] == p + 1:
                key = (np.uint64(number[k]) << _32) | np.uint64(number[k + 1])
                new = _number(key, keys, table[:size], shift, distinct)
                if new == distinct:
                    counts[new] = 1
                    distinct += 1
                else:
                    counts[new] += 1
                number[candidates] = new
                position[candidates] = p
                spans[p] += chars[first + p + n - 1]
                candidates += 1
        if n <= 4:
            # Numbers rise with first occurrence, so the first largest count is Counter.most_common(1).
            best = np.int32(1)
            which = -1
            for k in range(distinct):
                if counts[k] > best:
                    best = counts[k]
                    which = k
            length = whole
            if which >= 0:
                for k in range(candidates):
                    if number[k] == which:
                        length = spans[position[k]]
                        break
            top[n - 2] = np.int64(best) * (length + n - 1)
        else:
            covered = 0
            free = 0  # positions before it are inside an n-gram that was jumped over
            for k in range(candidates):
                p = position[k]
                if p >= free and counts[number[k]] != 1:
                    if counts[number[k]] < 0:  # seen at a position the scan stopped at
                        covered += spans[p]
                        free = p + n
                    else:
                        counts[number[k]] = -counts[number[k]]
            duplicated[n - 5] = covered
        alive = 0
        for k in range(candidates):
            if counts[number[k]] != 1:
                number[alive] = number[k]
                position[alive] = position[k]
                alive += 1


@nb.njit(nogil=True, cache=True)
def _count(offsets, hashes, chars):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    top, duplicated = np.zeros((n, 3), np.int64), np.zeros((n, 6), np.int64)
    most = 1
    for d in range(n):
        most = max(most, offsets[d + 1] - offsets[d])
    size = 16
    while size < 2 * most:
        size *= 2
    keys, counts, number = np.empty(most, np.uint64), np.empty(most, np.int32), np.empty(most, np.int32)
    position, spans, table = np.empty(most, np.int32), np.empty(most, np.int64), np.empty(size, np.int32)
    for d in range(n):
        _document(hashes, chars, offsets[d], offsets[d + 1], keys, counts, number, position, spans, table, top[d], duplicated[d])
    return top, duplicated


@primitive
def ngrams(batch: Batch) -> Ngrams:
    """Most frequent and duplicated n-grams of each document's words."""
    tokens = words(batch)
    return Ngrams(*_count(tokens.offsets, tokens.hash, tokens.chars))
