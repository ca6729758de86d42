"""The shortest edit script between two texts, over words and line ends or over characters, and what it deletes and puts in."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["words", "characters"]
Span = tuple[int, int]
MOST_CELLS = 1 << 31  # units of one text times those of the other that are aligned: two texts of 46,000 words, some seconds
_TOKEN = re.compile(r"\n|[^\s]+")


@dataclass(frozen=True)
class Alignment:
    """The shortest edit script from an original to a refined text, sorted out.

    Attributes:
        deleted: characters [begin, end) of the original that are deleted, in order, neighbours joined; whole words and lines unless aligned
            by characters, and then no two lines are joined.
        inserted, replaced: characters of the refined text that were put in, and that took the place of others; blanks aside when aligned
            by words.
        longest_change: of the stretches that were put in or that took the place of others, the characters of the longest.
        distance: edits, in words and line ends or in characters.
        lengths: characters of the original and the refined text that ``inserted`` and ``replaced`` are counted among.

    """

    deleted: tuple[Span, ...]
    inserted: int
    replaced: int
    longest_change: int
    distance: int
    lengths: tuple[int, int]


def align(original: str, refined: str, *, level: Level = "words") -> Alignment | None:
    """Align two texts by their shortest edit script; None where they are too long for it.

    White space inside a line is no word: a text that differs in it alone has an empty script. Line ends count as words.

    Args:
        original: a text.
        refined: what became of it.
        level: "words", or "characters" as in the paper.

    Example:
        >>> align("Log in. The mill stands.", "The mill stands.").deleted
        ((0, 8),)

    """
    from rapidfuzz.distance import Levenshtein

    characters = level == "characters"
    spans_a = [] if characters else [m.span() for m in _TOKEN.finditer(original)]
    spans_b = [] if characters else [m.span() for m in _TOKEN.finditer(refined)]
    units_a: Sequence[str] = original if characters else [original[a:b] for a, b in spans_a]
    units_b: Sequence[str] = refined if characters else [refined[a:b] for a, b in spans_b]
    if len(units_a) * len(units_b) > MOST_CELLS:
        return None
    deleted: list[Span] = []  # of units
    inserted = replaced = longest = distance = 0
    for step in Levenshtein.opcodes(units_a, units_b):
        if step.tag == "delete":
            deleted.append((step.src_start, step.src_end))
            distance += step.src_end - step.src_start
        elif step.tag != "equal":
            made = sum(map(len, units_b[step.dest_start : step.dest_end]))
            inserted, replaced = (inserted + made, replaced) if step.tag == "insert" else (inserted, replaced + made)
            longest = max(longest, made)
            distance += step.dest_end - step.dest_start
    found = merged(deleted) if characters else _apart(original, merged(_word_spans(original, spans_a, deleted)))
    lengths = (len(original), len(refined)) if characters else (len(original), sum(map(len, units_b)))
    return Alignment(tuple(found), inserted, replaced, longest, distance, lengths)


def line_bounds(text: str) -> tuple[list[int], list[int]]:
    """Where each line begins, and where it ends before its line end."""
    starts = [0, *(m.end() for m in re.finditer("\n", text))]
    return starts, [*(s - 1 for s in starts[1:]), len(text)]


def _apart(text: str, deleted: Sequence[Span]) -> list[Span]:
    """The spans without the line ends whose loss would join the rest of one line and the beginning of another."""
    starts, ends = line_bounds(text)
    found: list[Span] = []
    for begin, end in deleted:
        first, last = bisect_right(starts, begin) - 1, bisect_right(starts, end) - 1
        if first < last and begin != starts[first] and end != ends[last]:
            found += [(begin, ends[last - 1]), (starts[last], end)]
        else:
            found.append((begin, end))
    return [s for s in found if s[0] < s[1]]


def merged(found: Iterable[Span]) -> list[Span]:
    """Spans in order, those joined that touch, empty ones left out."""
    joined: list[Span] = []
    for begin, end in sorted(found):
        if begin == end:
            continue
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def _word_spans(text: str, tokens: Sequence[Span], deleted: Sequence[Span]) -> list[Span]:
    """Deleted runs of words and line ends as characters: words go with the blanks after them, at a line's end with those before them."""
    found: list[Span] = []
    for first, stop in deleted:
        k = first
        while k < stop:
            begin, end = tokens[k]
            if text[begin:end] == "\n":
                blank = k == 0 or text[slice(*tokens[k - 1])] == "\n"  # nothing but white space in this line
                found.append((tokens[k - 1][1] if blank and k else 0 if blank else begin, end))
                k += 1
                continue
            last = k
            while last + 1 < stop and text[slice(*tokens[last + 1])] != "\n":
                last += 1
            opens = k == 0 or text[slice(*tokens[k - 1])] == "\n"
            closes = last + 1 == len(tokens) or text[slice(*tokens[last + 1])] == "\n"
            if opens and closes:  # all of the line, with its indentation
                begin = tokens[k - 1][1] if k else 0
                end = len(text) if last + 1 == len(tokens) else tokens[last + 1][0]
            elif closes:
                begin, end = tokens[k - 1][1], tokens[last][1]
            else:
                end = tokens[last + 1][0]
            found.append((begin, end))
            k = last + 1
    return found
