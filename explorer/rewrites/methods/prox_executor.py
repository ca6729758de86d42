r"""ProX: what becomes of a document under the program that a refining model wrote for it.

A program is text, one call a line: ``remove_lines(line_start=0, line_end=2)`` (from 0, both ends included),
``normalize(source_str="…", target_str="…")``, ``keep_all()``. It is read as ProX's own executor reads it (GAIR-NLP/ProX,
``utils/chunk_utils.py``), its oddities among it, and never evaluated as Python:

- arguments end at the first ``)`` and are cut at every comma, so that a comma in ``source_str`` makes three arguments and the call is
  passed over without an error, and a ``)`` cuts the string short;
- a call that is not known is passed over without an error;
- strings are replaced first, everywhere; then lines are removed;
- errors are calls that cannot be read, and intervals (after touching ones are joined) that reach beyond the last line. From two errors on
  the program is ignored;
- what is left with at most 5 % of the words, or with ten words or fewer, is dropped; the second even where nothing was removed, so that
  ``keep_all()`` drops every document of ten words or fewer.

Two differences: a blank document, on which the script fails with a division by zero, is ``undefined``; and numbers of lines may be as large
as they like.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

Outcome = Literal["unchanged", "edited", "dropped_doc", "dropped_ratio", "dropped_short", "reverted_errors", "undefined"]
MOST_ERRORS = 2  # from so many on a program is ignored
MOST_REMOVED = 0.95  # of the words
SHORT = 10  # words


@dataclass(frozen=True)
class ProxResult:
    """What a program made of a document.

    Attributes:
        text: the text that stays; empty where the document is dropped.
        outcome: what happened to the document.
        errors: as ProX counts them.
        removed_word_fraction: 1 - words that stay / words that were there; None for a blank document.
        intervals: lines removed by ``remove_lines``, from 0, both ends included, touching ones joined, cut at the last line.
        lines: numbers of all lines removed, ``remove_lines(all=True)`` counted, whether or not the program was then ignored.
        replacements: (string, what took its place) of every ``normalize`` that was read.
        ignored: lines that asked for something and got nothing without an error: unknown calls, a ``normalize`` with a comma in it, a
            string that is not in the text.

    """

    text: str
    outcome: Outcome
    errors: int
    removed_word_fraction: float | None
    intervals: tuple[tuple[int, int], ...]
    lines: tuple[int, ...]
    replacements: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]


@dataclass
class _Run:
    """A program being executed: the text so far, and what was found."""

    text: str
    everything: bool = False
    intervals: list[tuple[int, int]] = field(default_factory=list)
    replacements: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    errors: int = 0

    def call(self, line: str) -> None:
        if line.startswith("remove_lines"):
            if "all=True" in line:
                self.everything = True
            else:
                self._remove(line)
        elif line.startswith("normalize"):
            self._normalise(line)
        elif line.strip() and not line.strip().startswith("keep_all"):
            self.ignored.append(line)

    def _arguments(self, line: str) -> list[str] | None:
        start, end = line.find("("), line.find(")")
        if start < 0:
            self.errors += 1
            return None
        if end < 0:
            self.errors += 1  # and the last character is lost
        return line[start + 1 : end].split(",")

    def _remove(self, line: str) -> None:
        arguments = self._arguments(line)
        if arguments is None:
            return
        try:
            first, last = int(arguments[0].split("=")[1]), int(arguments[1].split("=")[1])
        except (IndexError, ValueError):
            self.errors += 1
            return
        self.intervals.append((first, last))

    def _normalise(self, line: str) -> None:
        arguments = self._arguments(line)
        if arguments is None:
            return
        if len(arguments) > 2:
            self.ignored.append(line)
            return
        values = [a.split("=") for a in arguments]
        if any(len(v) < 2 for v in values):
            self.errors += 1
            return
        source, *target = [v[1].strip('"') for v in values]
        before = self.text
        if not target or source not in ("", " "):
            self.text = self.text.replace(source, target[0] if target else "") if source else self.text
        self.replacements.append((source, target[0] if target else ""))
        if self.text == before:
            self.ignored.append(line)


def execute(
    text: str, program: str, *, most_errors: int = MOST_ERRORS, most_removed: float = MOST_REMOVED, least_kept: float = 0.0
) -> ProxResult:
    """Execute the joined programs of a document's chunks.

    Args:
        text: the document.
        program: one call a line.
        most_errors: from so many errors on the program is ignored.
        most_removed: a document of which so much (of the words) or more is removed is dropped.
        least_kept: a program that keeps a smaller share of the words is ignored; ProX's own value is 0.

    """
    run = _Run(text)
    for line in program.strip(" ").split("\n"):
        run.call(line)
    lines = run.text.split("\n")
    intervals = []
    for first, last in _joined(run.intervals):
        if last >= len(lines) or first >= len(lines):
            run.errors += 1
        if first < len(lines):
            intervals.append((first, min(last, len(lines) - 1)))
    gone = range(len(lines)) if run.everything else [i for first, last in intervals for i in range(max(first, 0), last + 1)]
    kept = run.text
    if gone:
        removed = set(gone)
        kept = "\n".join(line for i, line in enumerate(lines) if i not in removed)
    before, after = len(text.split()), len(kept.split())
    outcome, result = _decide(text, kept, before, after, run.errors, (most_errors, most_removed, least_kept))
    words = {"unchanged": after, "edited": after, "reverted_errors": before}.get(outcome, 0)
    fraction = 1 - words / before if before else None
    return ProxResult(result, outcome, run.errors, fraction, tuple(intervals), tuple(gone), tuple(run.replacements), tuple(run.ignored))


def _decide(text: str, kept: str, before: int, after: int, errors: int, limits: tuple[int, float, float]) -> tuple[Outcome, str]:
    most_errors, most_removed, least_kept = limits
    if not before:
        return "undefined", text
    if after / before <= 1 - most_removed and errors < most_errors:
        return "dropped_ratio", ""
    if after <= SHORT:
        return "dropped_short", ""
    if after / before >= least_kept and errors < most_errors:
        return ("unchanged" if kept == text else "edited"), kept
    return "reverted_errors", text


def execute_document(text: str, document_program: str | None, chunk_program: str | None) -> ProxResult:
    """Execute the program for the whole document, then that for its chunks where the document stays.

    Args:
        text: the document.
        document_program: drops the document where "drop" stands anywhere in it; None where there is none.
        chunk_program: see `execute`; None where there is none.

    """
    if document_program is not None and "drop" in document_program:
        return ProxResult("", "dropped_doc", 0, 1.0 if text.split() else None, (), (), (), ())
    return execute(text, "keep_all()" if chunk_program is None else chunk_program)


def _joined(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Intervals in the order of their starts, joined where they touch, as ProX joins them."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(intervals, key=lambda i: i[0]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def removed_lines(programs: Iterable[tuple[str | None, str | None]], most: int = 100) -> pl.DataFrame:
    """The lines that programs remove most often.

    Args:
        programs: (document, program); a pair that lacks one is passed over.
        most: lines in the answer.

    Returns:
        ``line`` (without white space at its ends), ``documents`` that it was removed from, ``times`` it was removed; blank lines aside.

    """
    documents: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for text, program in programs:
        if text is None or program is None:
            continue
        result = execute(text, program)
        if result.outcome in ("unchanged", "reverted_errors", "undefined"):
            continue
        lines = text.split("\n")
        gone = [lines[i].strip() for i in result.lines]
        times.update(line for line in gone if line)
        documents.update({line for line in gone if line})
    rows = sorted(documents, key=lambda line: (-documents[line], -times[line], line))[:most]
    return pl.DataFrame(
        {"line": rows, "documents": [documents[r] for r in rows], "times": [times[r] for r in rows]},
        schema={"line": pl.String, "documents": pl.Int64, "times": pl.Int64},
    )
