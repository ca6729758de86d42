"""Words as ROUGE counts them: runs of letters and digits, lower-cased.

The tokenizer of ``rouge_score`` without a stemmer, carried on to all scripts: on ASCII text both give the same words. Han, kana and
hangul syllables stand each for themselves, since no blanks divide their words; combining marks stay with their letter.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numba as nb
import numpy as np

from explorer.primitives import unicode as u
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.normalised import normal_tables
from explorer.primitives.swar import K1, SEED, hash_finish, kernel

WORD, SINGLE, MARK = 1, 2, 4
_SINGLE = ((0x3040, 0x3100), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xF900, 0xFB00), (0x20000, 0x32000))
_32 = np.uint64(32)


class PlainWords(NamedTuple):
    """Words of all documents: document d has words ``offsets[d]:offsets[d + 1]``.

    Attributes:
        offsets: int64 [n + 1].
        hash: uint64, of the lower-cased word.
        start, end: int64, its bytes in ``batch.data``.
    """

    offsets: np.ndarray
    hash: np.ndarray
    start: np.ndarray
    end: np.ndarray


@cache
def word_table() -> np.ndarray:
    """uint8 [0x110000]: WORD for letters and digits, SINGLE for those that are a word each, MARK for combining marks."""
    classes = u.classes()
    table = np.zeros(u.CODE_POINTS, np.uint8)
    table[(classes & u.ALPHANUMERIC) != 0] = WORD
    table[(classes & u.MARK) != 0] = MARK
    for first, stop in _SINGLE:
        inside = table[first:stop]
        inside[inside == WORD] = SINGLE
    table.flags.writeable = False
    return table


@nb.njit(nogil=True, cache=True, inline="always")
def _absorb(h, point):  # type: ignore[no-untyped-def]
    h = (h ^ np.uint64(point)) * K1
    return h ^ (h >> _32)


@kernel
def _scan(data, offsets, table, lower, several, ends, hashes, starts, stops):  # type: ignore[no-untyped-def]
    """Write the words of all documents; returns how many there are.

    Invariant at the head of the inner loop: ``i`` is the first byte of a character, and all words before it are written.
    """
    t = np.int64(0)
    ends[0] = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        begin = np.int64(-1)  # first byte of the word that is open, -1 for none
        h, n = SEED, np.int64(0)
        while i < end:
            at = i
            point, i = np.int64(data[i]), i + 1
            if point >= 128:
                point, i = u.decode(data, at, end)
            kind = table[point]
            if kind == SINGLE or kind == 0:
                if begin >= 0:
                    hashes[t], starts[t], stops[t] = hash_finish(h, n), begin, at
                    t += 1
                    begin = np.int64(-1)
                if kind == SINGLE:
                    hashes[t], starts[t], stops[t] = hash_finish(_absorb(SEED, point), 1), at, i
                    t += 1
                continue
            if kind == MARK and begin < 0:
                continue  # a mark without its letter
            if begin < 0:
                begin, h, n = at, SEED, np.int64(0)
            small = np.int64(lower[point])
            if small >= 0:
                h = _absorb(h, small)
                n += 1
            else:
                k = -1 - small
                for j in range(several[k]):
                    h = _absorb(h, several[k + 1 + j])
                n += several[k]
        if begin >= 0:
            hashes[t], starts[t], stops[t] = hash_finish(h, n), begin, end
            t += 1
        ends[d + 1] = t
    return t


@primitive
def plain_words(batch: Batch) -> PlainWords:
    """Words of every document."""
    tables = normal_tables()
    size = int(batch.offsets[-1] - batch.offsets[0]) + 1
    ends = np.empty(len(batch) + 1, np.int64)
    # a word takes a byte at least, and one that separates it from the next unless it stands for itself (three bytes)
    hashes, starts, stops = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int64)
    n = _scan(batch.data, batch.offsets, word_table(), tables.target, tables.several, ends, hashes, starts, stops)
    return PlainWords(ends, hashes[:n].copy(), starts[:n].copy(), stops[:n].copy())
