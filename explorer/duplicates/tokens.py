"""Hashes of the normalised words, without writing the normalised text down: ``words(normalised(batch)).hash``, several times faster.

Nine words in ten are a run of ASCII letters that the tokenizer leaves whole. They are hashed where they stand. Every other piece
between white space or punctuation is normalised into a buffer of its own and cut by the tokenizer afterwards, since how a piece is
cut depends on nothing outside it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numba as nb
import numpy as np
import pyarrow as pa

from explorer.duplicates.normalise import BREAK, GROWTH, piece, tables
from explorer.primitives import english as en
from explorer.primitives import unicode as u
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.swar import HIGH, SEED, ascii_letters, hash_bytes, hash_finish, hash_step, kernel, load_upto, lowest_set_byte
from explorer.primitives.words import words

SEEN = 65_536  # slots of the memo of pieces, direct-mapped
_HIGH, _SEED, _BREAK = HIGH, SEED, BREAK
_1, _2, _7, _48, _51 = np.uint64(1), np.uint64(2), np.uint64(7), np.uint64(48), np.uint64(51)
_ZERO = np.uint64(0x30)
# Added to a byte below 128, the first sets its high bit from "0" on and the second from ":" on.
_FROM_0 = np.uint64(0x0101010101010101 * (128 - 48))
_FROM_COLON = np.uint64(0x0101010101010101 * (128 - 58))
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)


class Tokens(NamedTuple):
    """Normalised words: document d has ``hash[offsets[d]:offsets[d + 1]]`` (uint64; offsets int64 [n + 1])."""

    offsets: np.ndarray
    hash: np.ndarray


@cache
def exceptions() -> np.ndarray:
    """Bit (hash >> 48) is set for every string that the tokenizer cuts by an exception: uint8 [8192], as in `english.Tables`."""
    table = en.tables().exceptions
    keys = table[(table[:, en.SHAPE] & np.uint64(0xFF)) != 0, en.KEY]
    bitmap = np.zeros(8192, np.uint8)
    np.bitwise_or.at(bitmap, (keys >> _51).astype(np.int64), (_1 << ((keys >> _48) & _7)).astype(np.uint8))
    return bitmap


@nb.njit(nogil=True, cache=True, inline="always")
def _digits(v):  # type: ignore[no-untyped-def]
    """High bit of every byte of ``v`` that is 0-9."""
    low = v & _LOW7
    return (low + _FROM_0) & ~(low + _FROM_COLON) & ~v & _HIGH


@kernel
def _past_plain_number(data, i, end):  # type: ignore[no-untyped-def]
    """Where a number of ASCII digits ends that begins at ``i`` and has an ASCII separator or nothing behind it; else 0."""
    while i < end and 48 <= data[i] <= 57:
        i += 1
    if i + 1 < end and (data[i] == 46 or data[i] == 44) and 48 <= data[i + 1] <= 57:
        i += 1
        while i < end and 48 <= data[i] <= 57:
            i += 1
    if i >= end:
        return i
    byte = data[i]
    if byte == 46 or byte == 44:  # a digit of another script may follow
        return i if i + 1 >= end or data[i + 1] < 128 else 0
    return 0 if byte >= 128 or 48 <= byte <= 57 or 97 <= byte | 32 <= 122 else i


@kernel
def _scan(data, offsets, tables, bitmap, hashes, ends, side, side_ends, at, which, seen, seen_piece):  # type: ignore[no-untyped-def]
    """Hash plain words; put every other piece into ``side`` and leave a place for it in ``hashes``.

    Invariant at the head of the loop: ``hashes[:t]`` are the pieces before byte ``i``, and ``i`` is inside none. A word whose hash
    the bitmap of exceptions does not turn away is put aside too (one in fifty that need not be). Piece ``which[k]`` of those in
    ``side`` belongs at ``hashes[at[k]]``; what ``seen`` remembers is not put aside again.

    Returns:
        (words and places written, places, pieces put aside).

    """
    kind = tables[0]
    t = places = pieces = o = np.int64(0)
    zero = hash_finish(hash_step(_SEED, _ZERO), 1)
    ends[0] = side_ends[0] = 0
    for d in range(len(offsets) - 1):
        begin, end = offsets[d], offsets[d + 1]
        i = begin
        while i < end:
            start = i
            h = _SEED
            while True:
                v = load_upto(data, i, end)
                letters = ascii_letters(v)
                k = lowest_set_byte(~letters & _HIGH)
                low = v | ((letters & ~(v << _2)) >> _2)
                if k < 8:
                    break
                h = hash_step(h, low)
                i += 8
            if k > 0:
                h = hash_step(h, low & ((_1 << np.uint64(8 * k)) - _1))
                i += k
            elif i == start:
                skipped = lowest_set_byte(letters | _digits(v) | (v & _HIGH))  # every other ASCII character separates
                if skipped > 0:
                    i += skipped
                    continue
                if data[i] < 128:
                    stop = _past_plain_number(data, i, end)
                    if stop > 0:
                        hashes[t] = zero
                        t += 1
                        i = stop
                        continue
            separated = i >= end
            after = i + 1
            if not separated:
                point = np.int64(data[i])
                if point < 128:
                    separated = not 48 <= point <= 57
                else:
                    point, after = u.decode(data, i, end)
                    separated = kind[point] & _BREAK != 0
            if separated:
                if i == start:
                    i = after
                    continue
                h = hash_finish(h, i - start)
                if not (bitmap[h >> _51] >> ((h >> _48) & _7)) & 1:
                    hashes[t] = h
                    t += 1
                    i = after
                    continue
            first = o
            i, o = piece(data, begin, start, end, tables, side, o)
            if o == first:  # nothing but marks that are dropped
                continue
            if o == first + 1 and side[first] == 48:
                hashes[t] = zero
                o = first
            else:
                h = hash_bytes(side, first, o)
                slot = h & np.uint64(len(seen) - 1)
                if seen[slot] == h and seen_piece[slot] > 0:
                    o = first
                else:
                    pieces += 1
                    side_ends[pieces] = o
                    seen[slot], seen_piece[slot] = h, pieces
                at[places] = t
                which[places] = seen_piece[slot] - 1
                places += 1
            t += 1
        ends[d + 1] = t
    return t, places, pieces


@kernel
def _merge(hashes, ends, at, which, side_offsets, side_hashes, out, out_ends):  # type: ignore[no-untyped-def]
    """Put the words of the pieces in their places; a piece may be several words, or none."""
    t = np.int64(0)
    k = 0
    out_ends[0] = 0
    for d in range(len(ends) - 1):
        for place in range(ends[d], ends[d + 1]):
            if k < len(at) and at[k] == place:
                for j in range(side_offsets[which[k]], side_offsets[which[k] + 1]):
                    out[t] = side_hashes[j]
                    t += 1
                k += 1
            else:
                out[t] = hashes[place]
                t += 1
        out_ends[d + 1] = t


@primitive
def tokens(batch: Batch) -> Tokens:
    """Hashes of every document's words after FineWeb's normalisation, as spaCy's English tokenizer cuts them."""
    data, offsets = batch.data, batch.offsets
    n, size = len(batch), int(offsets[-1] - offsets[0])
    room = size // 2 + n + 1  # a piece and what ends it take two bytes
    # only what is written of these becomes memory
    hashes, ends = np.empty(room, np.uint64), np.empty(n + 1, np.int64)
    side, side_ends = np.empty(GROWTH * size + 16, np.uint8), np.empty(room + 1, np.int64)
    at, which = np.empty(room, np.int64), np.empty(room, np.int64)
    seen = np.zeros(SEEN, np.uint64), np.zeros(SEEN, np.int64)
    count, places, pieces = _scan(data, offsets, tuple(tables()), exceptions(), hashes, ends, side, side_ends, at, which, *seen)
    at, which, side_ends = at[:places], which[:places], side_ends[: pieces + 1]
    buffers = [None, pa.py_buffer(side_ends), pa.py_buffer(side[: int(side_ends[-1]) + 8])]
    cut = words(Batch(pa.LargeBinaryArray.from_buffers(pa.large_binary(), pieces, buffers)))
    out = np.empty(count - places + int(np.diff(cut.offsets)[which].sum()), np.uint64)
    out_ends = np.empty(n + 1, np.int64)
    _merge(hashes, ends, at, which, cut.offsets, cut.hash, out, out_ends)
    return Tokens(out_ends, out)
