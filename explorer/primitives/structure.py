"""The form of a document: headings, lists, code blocks, tables, quotes and paragraphs, as Markdown writes them.

Lines are pieces between newlines; what a line is follows from its first characters (CommonMark, read generously: models write lists
with any bullet). A block is a run of lines of one kind, blank lines ending it; items of a list are one block across blank lines.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from explorer.primitives.batch import Batch, primitive
from explorer.primitives.swar import kernel

BLANK, TEXT, HEADING, ITEM, FENCE, ROW, QUOTE, UNDERLINE = range(8)
KINDS = ("headings", "list_items", "lists", "code_blocks", "table_rows", "tables", "quotes", "paragraphs")
HEADINGS, LIST_ITEMS, LISTS, CODE_BLOCKS, TABLE_ROWS, TABLES, QUOTES, PARAGRAPHS = range(8)
BLOCKS = (HEADINGS, LISTS, CODE_BLOCKS, TABLES, QUOTES, PARAGRAPHS)  # what a document is a sequence of


class Structure(NamedTuple):
    """Counts per document, int64 [n, 8], a column each of `KINDS`."""

    counts: np.ndarray


@kernel
def _kind(data, i, end):  # type: ignore[no-untyped-def]
    """What the line ``data[i:end]`` is by itself."""
    while i < end and (data[i] == 32 or data[i] == 9):
        i += 1
    stop = end
    while stop > i and (data[stop - 1] == 32 or data[stop - 1] == 9 or data[stop - 1] == 13):
        stop -= 1
    n = stop - i
    if n == 0:
        return BLANK
    first = data[i]
    if first == 35:  # "#" to "######", then a blank
        k = 1
        while k < n and data[i + k] == 35:
            k += 1
        return HEADING if k <= 6 and (k == n or data[i + k] == 32 or data[i + k] == 9) else TEXT
    if first == 96 or first == 126:  # "```", "~~~"
        return FENCE if n >= 3 and data[i + 1] == first and data[i + 2] == first else TEXT
    if first == 124:  # "| a | b |"
        return ROW if n >= 3 and data[stop - 1] == 124 else TEXT
    if first == 62:
        return QUOTE
    if first == 61 or first == 45 or first == 42 or first == 95:  # "===", "---", "***", "___"
        k = 1
        while k < n and data[i + k] == first:
            k += 1
        if k == n and n >= 3:
            return UNDERLINE if first == 61 else BLANK  # a rule divides as a blank line does
    if first == 45 or first == 42 or first == 43:  # "- ", "* ", "+ "
        return ITEM if n >= 2 and (data[i + 1] == 32 or data[i + 1] == 9) else TEXT
    if first == 0xE2 and n >= 4 and data[i + 1] == 0x80 and (data[i + 2] == 0xA2 or data[i + 2] == 0x93 or data[i + 2] == 0x94):
        return ITEM if data[i + 3] == 32 else TEXT  # "• ", "– ", "— "
    if 48 <= first <= 57:  # "1. ", "12) "
        k = 1
        while k < n and k <= 3 and 48 <= data[i + k] <= 57:
            k += 1
        if k + 1 < n and k <= 3 and (data[i + k] == 46 or data[i + k] == 41) and data[i + k + 1] == 32:
            return ITEM
    return TEXT


@nb.njit(nogil=True, cache=True)
def _count(data, offsets):  # type: ignore[no-untyped-def]
    """Invariant at each line: ``open_`` is the kind of the block that this line may go on with, BLANK for none."""
    n = len(offsets) - 1
    out = np.zeros((n, 8), np.int64)
    for d in range(n):
        i, end = offsets[d], offsets[d + 1]
        open_, list_open, fenced = BLANK, False, np.uint8(0)
        while i < end:
            stop = i
            while stop < end and data[stop] != 10:
                stop += 1
            kind = _kind(data, i, stop)
            indented = i < stop and (data[i] == 32 or data[i] == 9)
            mark = np.uint8(0)
            if kind == FENCE:
                at = i
                while data[at] == 32 or data[at] == 9:
                    at += 1
                mark = data[at]
            if fenced:
                if kind == FENCE and mark == fenced:
                    fenced = np.uint8(0)
                open_ = BLANK
            elif kind == FENCE:
                out[d, CODE_BLOCKS] += 1
                fenced, open_, list_open = mark, BLANK, False
            elif kind == BLANK:
                open_ = BLANK
            elif kind == UNDERLINE:
                if open_ == TEXT:  # the paragraph before was a heading
                    out[d, PARAGRAPHS] -= 1
                    out[d, HEADINGS] += 1
                open_ = BLANK
            elif kind == ITEM:
                out[d, LIST_ITEMS] += 1
                out[d, LISTS] += not list_open
                open_, list_open = ITEM, True
            elif kind == HEADING:
                out[d, HEADINGS] += 1
                open_, list_open = BLANK, False
            elif kind == ROW:
                out[d, TABLE_ROWS] += 1
                out[d, TABLES] += open_ != ROW
                open_, list_open = ROW, False
            elif kind == QUOTE:
                out[d, QUOTES] += open_ != QUOTE
                open_, list_open = QUOTE, False
            elif open_ == ITEM or open_ == QUOTE or (list_open and indented):  # noqa: SIM109 (numba)
                pass  # a line that its item or quote goes on in
            else:
                out[d, PARAGRAPHS] += open_ != TEXT
                open_, list_open = TEXT, False
            i = stop + 1
    return out


@primitive
def structure(batch: Batch) -> Structure:
    """Blocks of every document by kind."""
    return Structure(_count(batch.data, batch.offsets))
