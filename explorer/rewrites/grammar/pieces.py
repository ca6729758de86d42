"""A document's terms as the grammar of facts reads them: hyphenated words opened where a number or name is in them, headings marked."""

from __future__ import annotations

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.folded import hash_folded, hash_plain, stem_end
from explorer.primitives.swar import SEED, hash_finish, hash_step, kernel
from explorer.rewrites import lexicon as lx
from explorer.rewrites.lexicon import word_code

# Columns of a piece: its term, its bytes, its code in the lexicon, the flags of its term and the bits below, its hash and stem.
TERM, FIRST, END, CODE, FLAGS, HASH, STEM = range(7)
COLUMNS = 7
JOINED = 1 << 16  # a hyphen ties it to the piece before
LOUD = 1 << 17  # in a heading or a line of capitals: its capital says nothing
MOST_PARTS = 8  # a word with more hyphens than that stays whole
_HEADING = 14  # words of a line that can be a heading, at most

_OPENS = lx.NUMBER | lx.SCALE | lx.ORDINAL | lx.PART
_WORD, _NUMBER, _SIGN, _LINE, _GLUED = tm.WORD, tm.NUMBER, tm.SIGN, tm.LINE, tm.GLUED
_CAPITAL, _CAPITALS, _HYPHEN, _START = tm.CAPITAL, tm.CAPITALS, tm.HYPHEN, tm.START


@kernel
def digit_at(data, i):  # type: ignore[no-untyped-def]
    """The ASCII digit at byte i as a number."""
    return np.int64(data[i]) - 48


# Numba compiles a function anew for every literal that it is called with, so what is passed to kernels here and in the modules around are
# constants of type int64.


@kernel
def mixed(tag, x, y):  # type: ignore[no-untyped-def]
    """A 64-bit key of two integers and what they are."""
    return hash_finish(hash_step(hash_step(SEED, np.uint64(x)), np.uint64(y)), tag)


@kernel
def tagged(tag, key):  # type: ignore[no-untyped-def]
    """Another key of what has a key: it is looked for as something else."""
    return hash_finish(hash_step(SEED, key), tag)


@kernel
def part_hashes(data, a, b, folding):  # type: ignore[no-untyped-def]
    """(hash, stem) of the part ``data[a:b]`` of a word, as `terms` has them of a whole one."""
    fold, several, buffer = folding
    for i in range(a, b):
        if data[i] >= 128:
            return hash_folded(data, a, b, fold, several, buffer)
    return hash_plain(data, a, b), hash_plain(data, a, stem_end(data, a, b))


@kernel
def _opened(data, t, start, size, flags, folding, keys, bitmap, salt, pieces, n):  # type: ignore[no-untyped-def]
    """Write the parts of a hyphenated term if a number, a unit or a capital is in them; returns the new number of pieces, or n."""
    first, end = start[t], start[t] + size[t]
    m = n
    wanted = False
    begin = first
    for i in range(first, end + 1):
        if i < end and data[i] != 45:
            continue
        if m - n == MOST_PARTS or i == begin:
            return n
        h, stem = part_hashes(data, begin, i, folding)
        code = word_code(keys, bitmap, salt, h)
        upper = 65 <= data[begin] <= 90
        kind = np.int64(flags[t]) & ~(_CAPITAL | _CAPITALS)
        if upper:
            kind |= _CAPITAL
            capitals = True
            for k in range(begin, i):
                capitals = capitals and 65 <= data[k] <= 90
            kind |= _CAPITALS if capitals and i - begin > 1 else 0
        if m > n:
            kind = (kind & ~(_START | _LINE)) | _GLUED | JOINED
        wanted = wanted or upper or code & _OPENS != 0 or code >> lx.UNIT_SHIFT & lx.UNIT_MASK != 0
        pieces[m, TERM], pieces[m, FIRST], pieces[m, END], pieces[m, CODE], pieces[m, FLAGS] = t, begin, i, code, kind
        pieces[m, HASH], pieces[m, STEM] = np.int64(h), np.int64(stem)
        m += 1
        begin = i + 1
    return m if wanted else n


@kernel
def _mark_line(pieces, a, b, whole):  # type: ignore[no-untyped-def]
    """Mark the pieces of a line as LOUD if it is one of capitals, or a heading in title case."""
    words = shouted = long = raised = 0
    for p in range(a, b):
        flags = pieces[p, FLAGS]
        if flags & _WORD and not flags & JOINED:
            words += 1
            shouted += flags & _CAPITALS != 0
            if pieces[p, END] - pieces[p, FIRST] >= 4:
                long += 1
                raised += flags & _CAPITAL != 0
    sentence = b > a and pieces[b - 1, FLAGS] & _SIGN and pieces[b - 1, END] - pieces[b - 1, FIRST] == 1
    loud = words >= 3 and 10 * shouted >= 8 * words
    heading = not whole and not sentence and 2 <= words <= _HEADING and long >= 2 and 10 * raised >= 8 * long
    if loud or heading:
        for p in range(a, b):
            pieces[p, FLAGS] |= LOUD


@kernel
def lay_out(data, first, end, columns, folding, salt, keys, bitmap, pieces):  # type: ignore[no-untyped-def]
    """Write the pieces of the terms ``first:end``; returns how many.

    Invariant: pieces before ``n`` are those of the terms before t, in order, and lines before the one at ``line`` are marked.
    """
    start, size, hashes, stems, flags, codes = columns
    n = line = np.int64(0)
    lines = np.int64(0)
    for t in range(first, end):
        if flags[t] & _LINE:
            if n > line:
                _mark_line(pieces, line, n, t >= end)
            lines += n > line
            line = n
        m = n
        unit = codes[t] >> lx.UNIT_SHIFT & lx.UNIT_MASK
        if flags[t] & _HYPHEN and unit == 0:
            m = _opened(data, t, start, size, flags, folding, keys, bitmap, salt, pieces, n)
        if m == n:
            pieces[n, TERM], pieces[n, FIRST], pieces[n, END] = t, start[t], start[t] + size[t]
            pieces[n, CODE], pieces[n, FLAGS] = codes[t], flags[t]
            pieces[n, HASH], pieces[n, STEM] = np.int64(hashes[t]), np.int64(stems[t])
            m = n + 1
        n = m
    if n > line:
        _mark_line(pieces, line, n, lines == 0)
    return n


@kernel
def sign_at(data, pieces, p, n):  # type: ignore[no-untyped-def]
    """The ASCII byte of the sign that is piece p, 0 where it is none, several or not ASCII."""
    if p < 0 or p >= n or not pieces[p, FLAGS] & _SIGN or pieces[p, END] - pieces[p, FIRST] != 1:
        return 0
    return np.int64(data[pieces[p, FIRST]])


@kernel
def glued(pieces, p, n):  # type: ignore[no-untyped-def]
    """Whether piece p stands right after the one before it."""
    return 0 < p < n and pieces[p, FLAGS] & _GLUED != 0


@kernel
def point_at(data, pieces, p, n):  # type: ignore[no-untyped-def]
    """The code point that piece p begins with, 0 past the end."""
    if p < 0 or p >= n:
        return np.int64(0)
    i = pieces[p, FIRST]
    c = np.int64(data[i])
    if c < 0x80:
        return c
    size = pieces[p, END] - i
    if 0xC2 <= c < 0xE0 and size >= 2:
        return (c & 0x1F) << 6 | np.int64(data[i + 1]) & 0x3F
    if 0xE0 <= c < 0xF0 and size >= 3:
        return (c & 0x0F) << 12 | (np.int64(data[i + 1]) & 0x3F) << 6 | np.int64(data[i + 2]) & 0x3F
    return np.int64(0xFFFD)


@kernel
def is_dash(data, pieces, p, n):  # type: ignore[no-untyped-def]
    """Whether piece p is a hyphen or a dash that can stand between two numbers."""
    c = point_at(data, pieces, p, n)
    return pieces[p, FLAGS] & _SIGN != 0 and (c == 45 or 0x2010 <= c <= 0x2015 or c == 0x2212 or c == 0x7E) if p < n else False
