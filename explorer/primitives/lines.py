r"""Lines, paragraphs and their repeats, for every definition of "line" the published heuristics use, in one scan.

- *segments*: the non-empty pieces between newlines. Gopher's repetition rules split at ``\n+`` and so see these (and an empty
  piece before a leading and after a trailing newline); FineWeb's rules see those that are not blank.
- *lines*: ``str.splitlines()``, which also breaks at ``\r`` and eight rarer characters; Gopher's quality rules.
- *paragraphs*: pieces between two or more newlines of the stripped text (``\n{2,}``).

Repeats are found by 64-bit hashes (see :mod:`explorer.primitives.swar` for the probability that two segments are confused).
The bytes are hashed: two segments that are not UTF-8 and read alike (U+FFFD) but differ in their bytes are different.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from explorer.primitives import english as en
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.characters import count_code_points
from explorer.primitives.swar import (
    HIGH,
    SEED,
    equal_bytes,
    hash_bytes,
    hash_finish,
    hash_step,
    kernel,
    load_upto,
    lowest_set_byte,
    popcount,
)
from explorer.primitives.unicode import REPLACEMENT, decode

SPACE, TERMINAL = en.SPACE, en.TERMINAL
HIGH_BITS, EMPTY = HIGH, SEED
NEWLINES, DOTS, HASHES = (np.uint64(ord(c) * 0x0101010101010101) for c in "\n.#")
CONTROLS = np.uint64(0x2020202020202020)  # bytes below the space character
TABS = np.uint64(0x0909090909090909)
_1 = np.uint64(1)

# Columns of the counts, one row a document.
COLUMNS = (
    "newlines", "segments", "segment_repeats", "segment_repeat_chars",
    "filled", "filled_chars", "filled_terminal", "filled_short", "filled_repeat_chars",
    "lines", "bullet_lines", "ellipsis_lines",
    "hashes", "ellipses",
    "paragraphs", "paragraph_repeats", "paragraph_repeat_chars", "blocks",
)  # fmt: skip
N_COLUMNS = len(COLUMNS)


class Lines(NamedTuple):
    """Counts per document, int64 [n] each; characters are code points."""

    newlines: np.ndarray
    segments: np.ndarray  # pieces of re.split("\n+", text)
    segment_repeats: np.ndarray  # second and later copies
    segment_repeat_chars: np.ndarray
    filled: np.ndarray  # pieces of text.split("\n") that are not blank
    filled_chars: np.ndarray
    filled_terminal: np.ndarray  # of them, ending in terminal punctuation of any script
    filled_short: np.ndarray  # of them, at most 30 characters
    filled_repeat_chars: np.ndarray
    lines: np.ndarray  # text.splitlines()
    bullet_lines: np.ndarray  # beginning with "•" or "-" after white space
    ellipsis_lines: np.ndarray  # ending with "..." or "…" before white space
    hashes: np.ndarray  # text.count("#")
    ellipses: np.ndarray  # text.count("...") + text.count("…")
    paragraphs: np.ndarray  # pieces of re.split("\n{2,}", text.strip())
    paragraph_repeats: np.ndarray
    paragraph_repeat_chars: np.ndarray
    blocks: np.ndarray  # runs of lines that are not blank


@kernel
def _last(data, start, end):  # type: ignore[no-untyped-def]
    """The last code point of ``data[start:end]`` (not empty) and the index of its first byte."""
    k = end - 1
    while k > start and end - k < 4 and (data[k] & 0xC0) == 0x80:
        k -= 1
    c, after = decode(data, k, end)
    if after == end:
        return c, k
    return np.int64(REPLACEMENT), end - 1


@kernel
def _strip(data, start, end, classes):  # type: ignore[no-untyped-def]
    """``str.strip()``: the byte range without white space at both ends; empty ranges are (end, end)."""
    while start < end:
        c, after = decode(data, start, end)
        if not classes[c] & SPACE:
            break
        start = after
    while end > start:
        c, before = _last(data, start, end)
        if not classes[c] & SPACE:
            break
        end = before
    return start, end


@kernel
def _line(data, start, end, classes):  # type: ignore[no-untyped-def]
    """Of one line: 1 if it begins with a bullet, plus 2 if it ends with an ellipsis."""
    start, end = _strip(data, start, end, classes)
    if start == end:
        return 0
    found = 0
    c, _ = decode(data, start, end)
    if c == 0x2022 or c == 0x2D:
        found = 1
    c, _ = _last(data, start, end)
    if c == 0x2026 or (c == 0x2E and end - start >= 3 and data[end - 2] == 0x2E and data[end - 3] == 0x2E):
        found |= 2
    return found


@kernel
def _breaks_line(c):  # type: ignore[no-untyped-def]
    """What ``str.splitlines()`` breaks at besides the newline."""
    return c == 13 or c == 11 or c == 12 or 28 <= c <= 30 or c == 0x85 or c == 0x2028 or c == 0x2029


@kernel
def _insert(table, hashes, count, h):  # type: ignore[no-untyped-def]
    """Put h into the set; True when it was there. ``table`` holds 1 + an index into ``hashes``, 0 where free."""
    mask = np.uint64(len(table) - 1)
    slot = h & mask
    while table[slot] != 0:
        if hashes[table[slot] - 1] == h:
            return True
        slot = (slot + _1) & mask
    hashes[count] = h
    table[slot] = count + 1
    return False


@kernel
def _document(data, begin, end, classes, table, hashes, row):  # type: ignore[no-untyped-def]
    """Fill one row of COLUMNS but the paragraphs; ``table`` is zeroed and larger than twice the segments (newlines + 1).

    Returns whether the document has an empty line; without one it is a single paragraph.
    """
    newlines = segments = repeats = repeat_chars = filled = filled_chars = terminal = short = filled_repeat_chars = 0
    lines = bullets = ellipsis_lines = marks = ellipses = blocks = 0
    distinct = 0
    dots = 0  # length of the run of dots that is open
    in_block = False
    hollow = False  # two newlines follow one another somewhere
    s = begin
    i = begin
    while s < end:
        # Invariant: s is the first byte of a segment that may be empty; everything before s is counted.
        h = EMPTY
        unusual = np.uint64(0)  # a high bit for every byte outside ASCII, a low one for control characters but tab
        while True:
            v = load_upto(data, i, end)
            newline = equal_bytes(v, NEWLINES)
            k = lowest_set_byte(newline)
            width = min(k, end - i)
            if width < 8:  # the segment ends in this block: look only at its bytes
                v &= (_1 << np.uint64(8 * width)) - _1
                inside = HIGH_BITS & ((_1 << np.uint64(8 * width)) - _1)
            else:
                inside = HIGH_BITS
            if width > 0:
                h = hash_step(h, v)
            unusual |= v & HIGH_BITS
            unusual |= (~((v | HIGH_BITS) - CONTROLS) & inside & ~equal_bytes(v, TABS)) >> np.uint64(7)
            marks += popcount(equal_bytes(v, HASHES))
            full_stops = equal_bytes(v, DOTS)
            if full_stops:
                for b in range(width):
                    if (full_stops >> np.uint64(8 * b + 7)) & _1:
                        dots += 1
                    else:
                        ellipses += dots // 3
                        dots = 0
            elif width > 0:
                ellipses += dots // 3
                dots = 0
            i += width
            if width < 8:
                break
        ellipses += dots // 3
        dots = 0
        length = i - s
        h = hash_finish(h, length)
        at_newline = i < end
        chars = length
        if unusual & HIGH_BITS:
            chars = count_code_points(data, s, i)
        # One line of splitlines() ends at this newline, unless other breaks cut it into more.
        if unusual:
            q = first = s
            while q < i:
                c, after = np.int64(data[q]), q + 1
                if c >= 128:
                    c, after = decode(data, q, i)
                    if c == 0x2026:
                        ellipses += 1
                if _breaks_line(c):
                    found = _line(data, first, q, classes)
                    bullets += found & 1
                    ellipsis_lines += found >> 1
                    lines += 1
                    if c == 13 and after < i and data[after] == 10:
                        after += 1
                    first = after
                q = after
            crlf = at_newline and length > 0 and data[i - 1] == 13  # "\r\n" is one break, counted at "\r"
            if first < i or (at_newline and not crlf):
                found = _line(data, first, i, classes)
                bullets += found & 1
                ellipsis_lines += found >> 1
                lines += 1
        else:
            if length > 0:
                found = _line(data, s, i, classes)
                bullets += found & 1
                ellipsis_lines += found >> 1
            if length > 0 or at_newline:
                lines += 1
        if length > 0:
            segments += 1
            again = _insert(table, hashes, distinct, h)
            if again:
                repeats += 1
                repeat_chars += chars
            else:
                distinct += 1
            a, b = _strip(data, s, i, classes)
            if a < b:
                filled += 1
                filled_chars += chars
                if chars <= 30:
                    short += 1
                c, _ = _last(data, s, i)
                if classes[c] & TERMINAL:
                    terminal += 1
                if again:
                    filled_repeat_chars += chars
                if not in_block:
                    blocks += 1
                in_block = True
            else:
                in_block = False
        else:
            in_block = False
            hollow = True
        if at_newline:
            newlines += 1
            i += 1
        s = i
    if newlines > 0:
        # re.split leaves an empty piece before a leading newline and after a trailing one; the second of two is a repeat.
        empty = (1 if data[begin] == 10 else 0) + (1 if data[end - 1] == 10 else 0)
        if segments == 0:
            empty = 2
        segments += empty
        repeats += 1 if empty == 2 else 0
    elif begin == end:
        segments = 1
    row[0], row[1], row[2], row[3] = newlines, segments, repeats, repeat_chars
    row[4], row[5], row[6], row[7], row[8] = filled, filled_chars, terminal, short, filled_repeat_chars
    row[9], row[10], row[11], row[12], row[13] = lines, bullets, ellipsis_lines, marks, ellipses
    row[17] = blocks
    return hollow


@kernel
def _paragraphs(data, begin, end, classes, table, hashes, row):  # type: ignore[no-untyped-def]
    """Fill the paragraph columns; ``table`` is zeroed and larger than twice the paragraphs."""
    begin, end = _strip(data, begin, end, classes)
    paragraphs = repeats = repeat_chars = 0
    s = i = begin
    while True:
        # Invariant: s is the first byte of a paragraph; the stripped text neither begins nor ends with a newline.
        while i < end:
            v = load_upto(data, i, end)
            k = lowest_set_byte(equal_bytes(v, NEWLINES))
            i += min(k, end - i)
            if k < 8:
                if data[i + 1] == 10:
                    break
                i += 1
        if _insert(table, hashes, paragraphs - repeats, hash_bytes(data, s, i)):
            repeats += 1
            repeat_chars += count_code_points(data, s, i)
        paragraphs += 1
        if i >= end:
            break
        while data[i] == 10:
            i += 1
        s = i
    row[14], row[15], row[16] = paragraphs, repeats, repeat_chars


@nb.njit(nogil=True, cache=True)
def _count(data, offsets, classes):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    rows = np.zeros((n, N_COLUMNS), np.int64)
    size = 64
    table, hashes = np.zeros(size, np.int32), np.empty(size, np.uint64)
    for d in range(n):
        begin, end = offsets[d], offsets[d + 1]
        newlines = 0
        for i in range(begin, end, 8):
            newlines += popcount(equal_bytes(load_upto(data, i, end), NEWLINES))
        while size < 2 * (newlines + 2):
            size *= 2
        if size > len(table):
            table, hashes = np.zeros(size, np.int32), np.empty(size, np.uint64)
        # A small document uses the table's beginning only, so that clearing costs what the document costs.
        small = 64
        while small < 2 * (newlines + 2):
            small *= 2
        table[:small] = 0
        if _document(data, begin, end, classes, table[:small], hashes, rows[d]):
            table[:small] = 0
            _paragraphs(data, begin, end, classes, table[:small], hashes, rows[d])
        else:
            rows[d, 14] = 1
    return rows


@primitive
def lines(batch: Batch) -> Lines:
    """Line, paragraph and repeat counts of each document."""
    return Lines(*_count(batch.data, batch.offsets, en.tables().classes).T)
