"""Two texts side by side, word by word: what both have, what only one has; drawn as inert HTML.

A word carries the white space behind it, so that the words of a text put together are the text. The longest common subsequence of
the words is exact (rapidfuzz, bit-parallel). It takes time and memory by the product of both lengths: texts of more than `MOST_WORDS`
are first aligned at the lines, then at the sentences, that occur once in both (patience), and words are compared between those.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple

import streamlit as st

from explorer.ui.format import counted, share, short
from explorer.ui.reader import Span as Mark
from explorer.ui.reader import glyph, text_html

MOST_WORDS = 20_000  # words a side that are compared at once: 0.2 s and 50 MB
APART = 0.3  # of the characters in common: with fewer, the words that differ are not marked where facts are
MOST_TO_DRAW = 3_000_000  # characters of one text
WINDOW = 40_000  # characters of both texts drawn at once
CONTEXT = 160  # characters of an unchanged stretch that stay on either side of a change when it is folded
STYLE = Path(__file__).with_suffix(".css")

Op = Literal["equal", "delete", "insert", "replace"]
Span = tuple[int, int]
Way = Callable[[Sequence[str]], list[Span]]  # cuts a list of words into units

# Scripts that write no blank between words: one character with its marks is a word.
_CJK = "\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MARKS = "\u0300-\u036f\u3099\u309a\ufe00-\ufe0f\U000e0100-\U000e01ef"
_SIGNS = "!-/:-@\\[-`{-~\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf\u2010-\u2027\u2030-\u205e\u3001-\u3004\u3008-\u3020\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_LETTERS = rf"[^\s{_CJK}{_SIGNS}]+"
_WORD = re.compile(rf"(?:{_LETTERS}(?:['’\-_]{_LETTERS}|(?<=\d)[.,](?=\d){_LETTERS})*|[{_CJK}][{_MARKS}]*|([{_SIGNS}])\1*)\s*|\s+")


class Edit(NamedTuple):
    """A stretch of the left text (characters) and what stands for it on the right; one of them is empty for insert and delete."""

    op: Op
    left: Span
    right: Span


@dataclass(frozen=True)
class Diff:
    """How one text becomes another.

    Attributes:
        edits: in order, covering both texts without a gap; no two neighbours have the same ``op``.
        aligned: whether lines or sentences were aligned before words, because the texts are too long to compare at once.
        unresolved: characters of both texts that stand in stretches too long to compare and count as changed.

    """

    edits: tuple[Edit, ...]
    aligned: bool
    unresolved: int

    @property
    def changes(self) -> int:
        """Stretches that differ."""
        return sum(e.op != "equal" for e in self.edits)

    @property
    def common(self) -> float | None:
        """Characters that both have, of all characters of both; None when there are none."""
        total = sum(b - a for e in self.edits for a, b in (e.left, e.right))
        return sum(b - a for e in self.edits if e.op == "equal" for a, b in (e.left, e.right)) / total if total else None


def words(text: str) -> list[str]:
    """The words, numbers and signs of a text, each with the white space behind it; put together they are the text."""
    return [found.group() for found in _WORD.finditer(text)]


def diff(left: str, right: str, *, smooth: bool = True, most: int = MOST_WORDS) -> Diff:
    """Compare two texts word by word.

    Args:
        left: the one text.
        right: the other.
        smooth: take an equal stretch of at most half the length of the changes on both its sides as changed too, so that a replaced
            sentence is one change even where both have a comma in it.
        most: words a side that are compared at once.

    """
    if left == right:
        return Diff((Edit("equal", (0, len(left)), (0, len(right))),) if left else (), False, 0)
    work = _Work(most)
    work.compare(words(left), words(right), [_lines, _sentences])
    edits = _joined(work.found)
    if smooth:
        edits = _joined(_smoothed(edits))
    return Diff(tuple(edits), work.aligned, work.unresolved)


class _Work:
    """Walks both texts from left to right and notes what it finds as (equal, characters left, characters right)."""

    def __init__(self, most: int) -> None:
        self.found: list[tuple[bool, int, int]] = []
        self.aligned = False
        self.unresolved = 0
        self._most = most

    def compare(self, a: Sequence[str], b: Sequence[str], ways: Sequence[Way]) -> None:
        """Compare two lists of words; ``ways`` are what is left to cut them by when they are too long."""
        shorter = min(len(a), len(b))
        head = next((i for i in range(shorter) if a[i] != b[i]), shorter)
        tail = next((i for i in range(shorter - head) if a[-1 - i] != b[-1 - i]), shorter - head)
        self._note(True, a[:head], b[:head])
        self._middle(a[head : len(a) - tail], b[head : len(b) - tail], ways)
        self._note(True, a[len(a) - tail :], b[len(b) - tail :])

    def _middle(self, a: Sequence[str], b: Sequence[str], ways: Sequence[Way]) -> None:
        from rapidfuzz.distance import LCSseq

        if not a or not b:
            self._note(False, a, b)
        elif max(len(a), len(b)) <= self._most:
            for op in LCSseq.opcodes(a, b):
                self._note(op.tag == "equal", a[op.src_start : op.src_end], b[op.dest_start : op.dest_end])
        elif ways:
            self.aligned = True
            self._by_units(a, b, ways[0](a), ways[0](b), ways[1:])
        else:
            self.unresolved += sum(map(len, a)) + sum(map(len, b))
            self._note(False, a, b)

    def _by_units(
        self,
        a: Sequence[str],
        b: Sequence[str],
        units_a: list[Span],
        units_b: list[Span],
        ways: Sequence[Way],
    ) -> None:
        """Compare what lies between the units (lines, sentences) that both have once, in the same order."""
        said_a = ["".join(a[i:j]) for i, j in units_a]
        said_b = ["".join(b[i:j]) for i, j in units_b]
        at_a = at_b = 0
        for i, j in [*_anchors(said_a, said_b), (len(units_a), len(units_b))]:
            (start_a, end_a) = units_a[i] if i < len(units_a) else (len(a), len(a))
            (start_b, end_b) = units_b[j] if j < len(units_b) else (len(b), len(b))
            self.compare(a[at_a:start_a], b[at_b:start_b], ways)
            self._note(True, a[start_a:end_a], b[start_b:end_b])
            at_a, at_b = end_a, end_b

    def _note(self, equal: bool, a: Sequence[str], b: Sequence[str]) -> None:
        if a or b:
            self.found.append((equal, sum(map(len, a)), sum(map(len, b))))


def _lines(words: Sequence[str]) -> list[Span]:
    """Places of the lines in a list of words; a line ends with the word that a newline follows."""
    ends = [i + 1 for i, word in enumerate(words) if "\n" in word]
    return _spans(ends, len(words))


def _sentences(words: Sequence[str]) -> list[Span]:
    ends = [i + 1 for i, word in enumerate(words) if word[0] in ".!?。！？"]
    return _spans(ends, len(words))


def _spans(ends: list[int], n: int) -> list[Span]:
    ends = ends if ends and ends[-1] == n else [*ends, n]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _anchors(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the units that stand once in both, the most of them that keep one order (longest increasing subsequence)."""
    once_a = {unit for unit, n in Counter(a).items() if n == 1 and not unit.isspace()}
    once_b = {unit for unit, n in Counter(b).items() if n == 1}
    places = {unit: j for j, unit in enumerate(b) if unit in once_b}
    both = [(i, places[unit]) for i, unit in enumerate(a) if unit in once_a and unit in places]
    tails: list[int] = []  # the lowest last place of an increasing run of each length
    at: list[int] = []  # which pair that is
    before: list[int] = []
    for k, (_, j) in enumerate(both):
        length = bisect_left(tails, j)
        before.append(at[length - 1] if length else -1)
        tails[length : length + 1], at[length : length + 1] = [j], [k]
    chosen = []
    k = at[-1] if at else -1
    while k >= 0:
        chosen.append(both[k])
        k = before[k]
    return chosen[::-1]


def _joined(found: Sequence[tuple[bool, int, int]] | Sequence[Edit]) -> list[Edit]:
    """Neighbours of one kind as one edit, with their places in both texts."""
    pieces = [(e.op == "equal", e.left[1] - e.left[0], e.right[1] - e.right[0]) if isinstance(e, Edit) else e for e in found]
    edits: list[Edit] = []
    x = y = 0
    for equal, run in groupby((p for p in pieces if p[1] or p[2]), key=lambda p: p[0]):
        sizes = list(run)
        n, m = sum(p[1] for p in sizes), sum(p[2] for p in sizes)
        op: Op = "equal" if equal else "replace" if n and m else "delete" if n else "insert"
        edits.append(Edit(op, (x, x + n), (y, y + m)))
        x, y = x + n, y + m
    return edits


def _smoothed(edits: list[Edit]) -> list[tuple[bool, int, int]]:
    """Equal stretches between two changes that are both at least twice as long become changes."""
    out: list[tuple[bool, int, int]] = []
    for k, edit in enumerate(edits):
        n, m = edit.left[1] - edit.left[0], edit.right[1] - edit.right[0]
        equal = edit.op == "equal"
        if equal and 0 < k < len(edits) - 1:
            before, after = edits[k - 1], edits[k + 1]
            equal = 2 * n > min(max(e.left[1] - e.left[0], e.right[1] - e.right[0]) for e in (before, after))
        out.append((equal, n, m))
    return out


# --- drawing ---------------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A line of the picture: what stands on each side as (op, start, end), and characters folded away after it."""

    left: list[tuple[Op, int, int]]
    right: list[tuple[Op, int, int]]
    folded: int


def rows(left: str, right: str, found: Diff, *, fold: bool = True) -> list[Row]:
    """The picture's rows: both texts are cut at the newlines that both have, so that the same line stands at the same height.

    Args:
        left: the one text.
        right: the other.
        found: how they differ.
        fold: leave out the middle of long stretches that are the same.

    """
    out: list[Row] = []
    here = Row([], [], 0)
    for k, edit in enumerate(found.edits):
        if edit.op != "equal":
            for side, (a, b) in ((here.left, edit.left), (here.right, edit.right)):
                if b > a:
                    side.append((edit.op, a, b))
            continue
        for a, b, skip in _shown(left, edit.left, k == 0, k == len(found.edits) - 1, fold):
            shift = edit.right[0] - edit.left[0]
            at = a
            while at < b:
                cut = left.find("\n", at, b) + 1 or b
                here.left.append(("equal", at, cut))
                here.right.append(("equal", at + shift, cut + shift))
                if left[cut - 1] == "\n":
                    out.append(here)
                    here = Row([], [], 0)
                at = cut
            if skip:
                out.append(Row(here.left, here.right, skip))
                here = Row([], [], 0)
    if here.left or here.right:
        out.append(here)
    return out


def _shown(text: str, span: Span, first: bool, last: bool, fold: bool) -> list[tuple[int, int, int]]:
    """The parts of an equal stretch that are drawn, each with the number of characters left out after it."""
    start, end = span
    if not fold or end - start <= 4 * CONTEXT or (first and last):
        return [(start, end, 0)]
    head = start if first else text.rfind(" ", start, start + CONTEXT) + 1 or start + CONTEXT
    tail = end if last else text.find(" ", end - CONTEXT, end) + 1 or end - CONTEXT
    return [(start, head, tail - head), (tail, end, 0)]


def parts(drawn: Sequence[Row], window: int = WINDOW) -> list[list[Row]]:
    """The rows in windows of about so many characters of both texts."""
    out: list[list[Row]] = []
    room = 0
    for row in (piece for whole in drawn for piece in _cut(whole, window)):
        size = sum(b - a for _, a, b in (*row.left, *row.right))
        if not out or size > room:
            out.append([])
            room = window
        out[-1].append(row)
        room -= size
    return out


def _cut(row: Row, window: int) -> list[Row]:
    """A row of more than a window (a text without newlines) as several."""
    size = sum(b - a for _, a, b in (*row.left, *row.right))
    if size <= window:
        return [row]
    pieces = -(-size // window)
    sides = [_share(row.left, pieces), _share(row.right, pieces)]
    return [Row(a, b, row.folded if k == pieces - 1 else 0) for k, (a, b) in enumerate(zip(*sides, strict=True))]


def _share(side: list[tuple[Op, int, int]], pieces: int) -> list[list[tuple[Op, int, int]]]:
    """A side dealt into so many consecutive parts of about equal length."""
    each = max(1, -(-sum(b - a for _, a, b in side) // pieces))
    out: list[list[tuple[Op, int, int]]] = [[] for _ in range(pieces)]
    k, room = 0, each
    for op, a, b in side:
        while a < b:
            take = min(room, b - a)
            out[k].append((op, a, a + take))
            a, room = a + take, room - take
            if not room and k < pieces - 1:
                k, room = k + 1, each
    return out


def side_by_side(
    left: str | None,
    right: str | None,
    *,
    names: tuple[str, str] = ("left", "right"),
    found: Diff | None = None,
    fold: bool = True,
    part: int = 0,
    marks: tuple[Sequence[Mark], Sequence[Mark]] = ((), ()),
    apart: bool = False,
) -> str:
    """Two texts as HTML beside each other: escaped, struck through what only the left has, underlined what only the right has.

    Args:
        left: the one text; None draws "no text".
        right: the other.
        names: what stands over each, as plain text.
        found: how they differ, where that is known already.
        fold: leave out the middle of long stretches that are the same.
        part: which window of a long comparison (`parts`).
        marks: stretches of each text to mark beside the differences.
        apart: leave the differences unmarked.

    Returns:
        HTML that needs the style in `STYLE` and contains nothing of the texts but text.

    """
    a, b = left or "", right or ""
    found = found or diff(a, b)
    windows = parts(rows(a, b, found, fold=fold))
    body = []
    for row in windows[min(part, len(windows) - 1)] if windows else []:
        for text, side, tag, spans in ((a, row.left, "del", marks[0]), (b, row.right, "ins", marks[1])):
            inside = "".join(_run(text, op, start, end, tag, spans) for op, start, end in side)
            body.append(f'<div dir="auto">{inside}</div>')
        if row.folded:
            body.append(f'<p class="fold">{row.folded:,} characters are the same in both</p>')
    heads = "".join(
        f"<h4>{text_html(name)}{'' if text is not None else ' <i>no text (null)</i>'}</h4>"
        for name, text in zip(names, (left, right), strict=True)
    )
    label = escape(inert(f"{names[0]} beside {names[1]}: differences by word"), quote=True)
    return f'<div class="diff{" apart" if apart else ""}" role="region" aria-label="{label}" tabindex="0">{heads}{"".join(body)}</div>'


def inert(text: str) -> str:
    """A text for a label: as it is written, with signs for what cannot be seen."""
    return "".join(glyph(c) or c for c in text)


def _run(text: str, op: Op, start: int, end: int, tag: str, spans: Sequence[Mark]) -> str:
    """A stretch as HTML; white space behind a change is marked only where it is all that changes."""
    if op == "equal":
        return text_html(text, spans, start, end - start)
    stop = start + len(text[start:end].rstrip()) if op == "replace" else end
    stop = stop if stop > start else end
    marked = f"<{tag}>{text_html(text, spans, start, stop - start)}</{tag}>"
    return marked + (text_html(text, spans, stop, end - stop) if end > stop else "")


def draw(
    left: str | None,
    right: str | None,
    names: tuple[str, str],
    *,
    fold: bool,
    key: str,
    marks: tuple[Sequence[Mark], Sequence[Mark]] = ((), ()),
) -> None:
    """Two texts side by side with a sentence on how much differs, and a pager where they are long."""
    if max(len(left or ""), len(right or "")) > MOST_TO_DRAW:
        st.info(
            f"Texts beyond {short(MOST_TO_DRAW)} characters are not compared here. Read them on the Documents page.",
            icon=":material/article:",
        )
        return
    found = _diff(left or "", right or "")
    windows = len(parts(rows(left or "", right or "", found, fold=fold)))
    part = min(max(1, int(st.session_state.get(key, 1))), max(1, windows))
    common = found.common
    if left is None or right is None:
        said = "A null text has nothing to compare."
    elif not found.changes:
        said = "Both texts are the same, byte for byte." if left else "Both texts are empty."
    else:
        said = f"{counted(found.changes, 'change')}; {share(common or 0.0)} of the characters are in both. <del>Only left</del> · <ins>only right</ins>"
    apart = common is not None and 0 < common < APART and any(marks)
    if apart:
        said = f"{share(common or 0.0)} of the characters are in both: told anew, so that only facts are marked."
    if found.aligned:
        said += f" · longer than {short(MOST_WORDS)} words: aligned by lines and sentences first"
    if found.unresolved:
        said += f", {short(found.unresolved)} characters taken as changed without a closer look"
    st.html(f'<p class="quiet diff-said">{said}</p>')
    st.html(side_by_side(left, right, names=names, found=found, fold=fold, part=part - 1, marks=marks, apart=apart))
    if windows > 1:
        st.pagination(windows, default=part, key=key, max_visible_pages=7)


@st.cache_resource(max_entries=32, show_spinner="Comparing …")
def _diff(left: str, right: str) -> Diff:
    return diff(left, right)
