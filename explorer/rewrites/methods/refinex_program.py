"""RefineX: the deletions of a refined text as a program that can be run on its original, and nothing else of it.

An expert model refines a text end to end; of the shortest edit script from the original to its answer only the deletions are kept, as calls

    remove_lines(first, last)   lines numbered from 1, both included
    remove_str(line, "text")    executed only where the text stands exactly once in that line
    keep_all()

so that a small model can be taught them, and so that nothing is ever put in: the result is a subsequence of the original. The script is
over words by default: deletions are whole words or lines. The paper's is over characters, which leaves splinters where a word was replaced
(an expert who mends "brigde" leaves "brige", because the letter put in is dropped and the one taken out is not).

A shortest script is not unique; two libraries may delete different, equally many words.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from explorer.rewrites.methods.edit_script import Level, Span, align, line_bounds, merged

_LINES = re.compile(r"remove_lines\(\s*(-?\d{1,18})\s*,\s*(-?\d{1,18})\s*\)\s*$")
_STRING = re.compile(r"remove_str\(\s*(-?\d{1,18})\s*,\s*(\".*\")\s*\)\s*$")


@dataclass(frozen=True)
class RemoveLines:
    """Lines ``first`` to ``last``, numbered from 1, go."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"remove_lines({self.first}, {self.last})"


@dataclass(frozen=True)
class RemoveStr:
    """``text`` goes from a line, numbered from 1, if it stands there exactly once."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"remove_str({self.line}, {json.dumps(self.text, ensure_ascii=False)})"


Operation = RemoveLines | RemoveStr


@dataclass(frozen=True)
class Program:
    """A deletion program.

    Attributes:
        operations: calls, in the order of the text; none means keep_all().
        lost: characters of the original that are deleted by the edit script and not by any call: the text stands more than once in its
            line, or two lines would be joined.

    """

    operations: tuple[Operation, ...]
    lost: int

    def __str__(self) -> str:
        return to_text(self.operations)


def program(original: str, refined: str, *, level: Level = "words") -> Program | None:
    r"""The deletions that lead from a text towards its refined form, as calls; None where the texts are too long to align.

    Example:
        >>> str(program("Home | Login\nThe old mill stands.", "The mill stands."))
        'remove_lines(1, 1)\nremove_str(2, "old ")'

    """
    found = align(original, refined, level=level)
    return None if found is None else as_program(original, found.deleted)


def as_program(text: str, deleted: Iterable[Span]) -> Program:
    """Deleted spans (in order, apart from each other) as calls; what no call can say is counted as lost."""
    starts, ends = line_bounds(text)
    gone: list[int] = []
    inside: list[tuple[int, int, int]] = []
    lost = 0
    for begin, end in deleted:
        first, last = bisect_right(starts, begin) - 1, bisect_right(starts, end) - 1
        head = (last, starts[last], end)
        if first == last:
            inside.append((first, begin, end))
        elif begin == starts[first]:
            gone += range(first, last)
            inside.append(head)
        elif end == ends[last]:
            inside.append((first, begin, ends[first]))
            gone += range(first + 1, last + 1)
        else:  # the rest of one line and the beginning of another would be joined: the line end between them stays
            inside += [(first, begin, ends[first]), head]
            gone += range(first + 1, last)
            lost += 1
    operations: list[tuple[int, int, Operation]] = []
    for run in _runs(gone):
        operations.append((run[0], 0, RemoveLines(run[0] + 1, run[1] + 1)))
    for line, begin, end in inside:
        if begin == end:
            continue
        said = _once(text, (starts[line], ends[line]), (begin, end))
        if said is None:
            lost += end - begin
        else:
            operations.append((line, said[0], RemoveStr(line + 1, text[said[0] : said[1]])))
    return Program(tuple(o for *_, o in sorted(operations, key=lambda o: o[:2])), lost)


def execute(operations: Sequence[Operation], text: str) -> str:
    r"""Run a program. Calls look at the text as it was given; lines that do not exist, and a text that does not stand once, are left alone.

    Example:
        >>> execute([RemoveLines(1, 1), RemoveStr(2, "old ")], "Home\nThe old mill")
        'The mill'

    """
    lines = text.split("\n")
    gone, inside = _sorted_out(operations, len(lines))
    return "\n".join(
        _without(line, [s for s in (_place(line, o) for o in inside.get(number, ())) if s])
        for number, line in enumerate(lines, 1)
        if not gone[number]
    )


def spans(operations: Sequence[Operation], text: str) -> list[Span]:
    """The characters [begin, end) of a text that a program removes, in order, neighbours joined."""
    lines = text.split("\n")
    gone, inside = _sorted_out(operations, len(lines))
    found: list[Span] = []
    begin = 0
    kept_before = False
    for number, line in enumerate(lines, 1):
        end = begin + len(line)
        if gone[number]:
            # a line goes with the line end before it where some line before it stays, else with the one after it
            found.append((begin - 1, end) if kept_before else (begin, min(end + 1, len(text))))
        else:
            kept_before = True
            found += [(begin + a, begin + b) for a, b in (s for s in (_place(line, o) for o in inside.get(number, ())) if s)]
        begin = end + 1
    return merged(found)


def apply_spans(deleted: Iterable[Span], text: str) -> str:
    """A text without some of its characters."""
    return _without(text, list(deleted))


def to_text(operations: Sequence[Operation]) -> str:
    """A program as text, a call a line."""
    return "\n".join(map(str, operations)) or "keep_all()"


def parse(text: str) -> tuple[list[Operation], list[str]]:
    """A program from its text; nothing is evaluated.

    Returns:
        The calls, and the lines that are none.

    """
    operations: list[Operation] = []
    unread: list[str] = []
    for line in text.split("\n"):
        call = line.strip()
        if not call or call == "keep_all()":
            continue
        try:
            if found := _LINES.match(call):
                operations.append(RemoveLines(int(found[1]), int(found[2])))
            elif found := _STRING.match(call):
                operations.append(RemoveStr(int(found[1]), json.loads(found[2])))
            else:
                unread.append(line)
        except ValueError:
            unread.append(line)
    return operations, unread


def _runs(numbers: Iterable[int]) -> list[Span]:
    """Runs of neighbouring numbers (first, last)."""
    runs = [[k for _, k in run] for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    return [(run[0], run[-1]) for run in runs]


def _once(text: str, line: Span, span: Span) -> Span | None:
    """The span, or the same deletion one blank further left or right, if its text stands exactly once in the line; else None."""
    begin, end = span
    choices = [(begin, end)]
    if begin > line[0] and text[begin - 1] == text[end - 1]:
        choices.append((begin - 1, end - 1))
    if end < line[1] and text[begin] == text[end]:
        choices.append((begin + 1, end + 1))
    whole = text[line[0] : line[1]]
    return next((c for c in choices if _count(whole, text[c[0] : c[1]]) == 1), None)


def _count(line: str, text: str) -> int:
    """How often a text stands in a line, overlaps counted; 2 for more."""
    at = line.find(text)
    return 0 if at < 0 else 1 if line.find(text, at + 1) < 0 else 2


def _sorted_out(operations: Sequence[Operation], lines: int) -> tuple[bytearray, dict[int, list[str]]]:
    """Whether each line, numbered from 1, goes; and what goes from the others."""
    gone = bytearray(lines + 1)
    inside: dict[int, list[str]] = {}
    ranges = [(o.first, o.last + 1) for o in operations if isinstance(o, RemoveLines) and o.first <= o.last]
    for begin, end in merged(ranges):
        begin, end = max(begin, 1), min(end, lines + 1)
        gone[begin:end] = b"\1" * max(0, end - begin)
    for operation in operations:
        if isinstance(operation, RemoveStr) and operation.text:
            inside.setdefault(operation.line, []).append(operation.text)
    return gone, inside


def _place(line: str, text: str) -> Span | None:
    at = line.find(text)
    return (at, at + len(text)) if at >= 0 and _count(line, text) == 1 else None


def _without(text: str, deleted: Sequence[Span]) -> str:
    pieces, at = [], 0
    for begin, end in merged(deleted):
        pieces.append(text[at:begin])
        at = end
    return "".join(pieces) + text[at:]
