"""Sentences as spaCy's blank English pipeline with its ``sentencizer`` counts them, which is what datatrove's C4 filter counts.

A sentence ends at a token that is a sentence-final mark (".", "!", "?" and their kin in other scripts) and a new one starts at
the next token that is not punctuation. So the question is where the tokenizer makes a token of a mark: never in "e.g." or
"Mr.", at the end of a word past closing quotes and brackets, and inside "end.Next". The rules below are that part of spaCy's
tokenizer; what cannot change a count (contractions, units, hyphens) is left out. The character classes and the abbreviations are
spaCy's own, in ``english.json``.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from explorer.primitives import unicode as u
from explorer.primitives.swar import HIGH, ONES, equal_bytes, kernel, load_upto, lowest_set_byte

# spaCy's Sentencizer.default_punct_chars, as inclusive ranges of code points.
_FINAL = (
    "21 2e 3f 589 61f 6d4 700-702 7f9 964-965 104a-104b 1362 1367-1368 166e 1735-1736 1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b "
    "1b5e-1b5f 1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e 2e3c 3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f a9c8-a9c9 "
    "aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f ff61 10a56-10a57 11047-11048 110be-110c1 11141-11143 111c5-111c6 111cd "
    "111de-111df 11238-11239 1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 1173c-1173e 11a42-11a43 11a9b-11a9c "
    "11c41-11c42 16a6e-16a6f 16af5 16b37-16b38 16b44 1bc9f 1da88"
)

PREFIX, SUFFIX, BEFORE_DOT, LOWERCASE, UPPERCASE, QUOTE, ICON, FINAL, PUNCTUATION, SPACE, LETTER = (1 << bit for bit in range(11))

_HIGH_BITS = HIGH
_DOTS, _EXCLAMATIONS, _QUESTIONS = (ONES * np.uint64(ord(mark)) for mark in ".!?")

# What a token does to the sentence: nothing, ends it, starts the next one.
_NEUTRAL, _ENDS, _STARTS = 0, 1, 2

MAX_WORD = 1024  # words of more code points are taken as one token: C4 drops the line anyway
_MAX_ABBREVIATION = 8

# The same classes for single bytes, for the scan over words without a mark: bytes from 128 on are decoded.
_BYTE_SPACE, _BYTE_FINAL, _BYTE_TEXT, _BYTE_HIGH = 1, 2, 4, 8
_BYTES = np.full(256, _BYTE_HIGH, np.uint8)
_BYTES[:128] = [
    _BYTE_SPACE
    if chr(b).isspace()
    else _BYTE_FINAL
    if chr(b) in ".!?"
    else 0
    if unicodedata.category(chr(b)).startswith("P")
    else _BYTE_TEXT
    for b in range(128)
]


class SentenceTables(NamedTuple):
    """What the kernel looks up: class bits by code point, and the hashes of the abbreviations that keep their full stop."""

    classes: np.ndarray  # uint16 [0x110000]
    abbreviations: np.ndarray  # uint64, sorted


def _ranges(text: str) -> np.ndarray:
    """Code points of "41-5a c0 ..."."""
    bounds = [part.split("-") for part in text.split()]
    return np.concatenate([np.arange(int(b[0], 16), int(b[-1], 16) + 1) for b in bounds])


@kernel
def _hash(points, start, end):  # type: ignore[no-untyped-def]
    h = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        h = (h ^ np.uint64(points[i])) * np.uint64(0x100000001B3)
    return h


@cache
def sentence_tables() -> SentenceTables:
    """The tables, built once a process."""
    english = json.loads(Path(__file__).with_name("english.json").read_text(encoding="utf-8"))
    classes = np.zeros(u.CODE_POINTS, np.uint16)
    for bit, name in (
        (PREFIX, "prefix"),
        (SUFFIX, "suffix"),
        (BEFORE_DOT, "before_dot"),
        (LOWERCASE, "lower"),
        (UPPERCASE, "upper"),
        (QUOTE, "quote"),
        (ICON, "icon"),
    ):
        classes[_ranges(english["classes"][name])] |= bit
    classes[_ranges(_FINAL)] |= FINAL
    ours = u.classes()
    for bit, theirs in ((PUNCTUATION, u.PUNCTUATION), (SPACE, u.SPACE), (LETTER, u.ALPHA)):
        classes[(ours & theirs) != 0] |= bit
    # The exceptions are given as their tokens; only those that keep a mark inside a token matter here.
    whole = {"".join(exception.split(" ")) for exception in english["exceptions"] if set(".!?") & set(exception)}
    hashes = [_hash(np.array([ord(c) for c in word], np.int32), 0, len(word)) for word in whole if not word.startswith("°")]
    classes.flags.writeable = False
    return SentenceTables(classes, np.sort(np.array(hashes, np.uint64)))


@kernel
def _is_abbreviation(points, start, end, abbreviations):  # type: ignore[no-untyped-def]
    if end - start < 2 or end - start > _MAX_ABBREVIATION:
        return False
    h = _hash(points, start, end)
    at = np.searchsorted(abbreviations, h)
    return at < len(abbreviations) and abbreviations[at] == h


@kernel
def _is_url(points, start, end, classes):  # type: ignore[no-untyped-def]
    """Near enough to spaCy's URL pattern: a scheme, or a host whose last label is two or more lower-case letters."""
    host = end
    for i in range(start, end):
        p = points[i]
        if p == 58 and i + 2 < end and points[i + 1] == 47 and points[i + 2] == 47:  # "://"
            return True
        if host == end and (p == 47 or p == 58 or p == 63 or p == 35):  # / : ? #
            host = i
    for i in range(host - 1, start - 1, -1):
        p = points[i]
        if p == 46:
            return host - 1 - i >= 2 and i > start
        if not classes[p] & LOWERCASE:
            return False
    return False


@kernel
def _kind(points, start, end, classes):  # type: ignore[no-untyped-def]
    """What the token ``points[start:end]`` does."""
    if end - start == 1 and classes[points[start]] & FINAL:
        return _ENDS
    for i in range(start, end):
        if not classes[points[i]] & PUNCTUATION:
            return _STARTS
    return _NEUTRAL


@kernel
def _advance(kind, count, ended):  # type: ignore[no-untyped-def]
    """The sentencizer's step: (sentences so far, whether the last one has ended)."""
    if kind == _ENDS:
        return count, True
    if kind == _STARTS and ended:
        return count + 1, False
    return count, ended


@kernel
def _word(points, n, classes, abbreviations, stack, count, ended):  # type: ignore[no-untyped-def]
    """Take the tokens of one whitespace-separated word: prefixes, then the core split at infixes, then suffixes.

    Invariant: everything before ``low`` has been taken, everything from ``high`` on lies on the stack (last token first).
    """
    low, high, depth = 0, n, 0
    while low < high:
        if _is_abbreviation(points, low, high, abbreviations):
            break
        p = points[low]
        prefix = 0
        if p == 46:  # "..": an ellipsis is one token, a single leading full stop stays with the word
            run = 1
            while low + run < high and points[low + run] == 46:
                run += 1
            prefix = run if run >= 2 else 0
        elif p == 43:  # "+", unless a digit follows
            prefix = 0 if low + 1 < high and 48 <= points[low + 1] <= 57 else 1
        elif classes[p] & PREFIX:
            prefix = 1
        if prefix and _is_abbreviation(points, low + prefix, high, abbreviations):
            count, ended = _advance(_kind(points, low, low + prefix, classes), count, ended)
            low += prefix
            break
        suffix = 0
        start = low + prefix
        if high > start:
            q = points[high - 1]
            if q == 46:
                run = 1
                while high - run > start and points[high - 1 - run] == 46:
                    run += 1
                if run >= 2:
                    suffix = run
                elif high - 2 >= start:
                    before = classes[points[high - 2]]
                    twice = high - 3 >= start and before & UPPERCASE and classes[points[high - 3]] & UPPERCASE
                    degree = high - 3 >= start and points[high - 3] == 0xB0
                    suffix = 1 if before & BEFORE_DOT or twice or degree else 0
            elif (q == 115 or q == 83) and high - 2 >= start and (points[high - 2] == 39 or points[high - 2] == 0x2019):
                suffix = 2  # 's
            elif classes[q] & SUFFIX:
                suffix = 1
        if prefix == 0 and suffix == 0:
            break
        if prefix:
            count, ended = _advance(_kind(points, low, low + prefix, classes), count, ended)
            low += prefix
        if suffix:
            kind = _kind(points, high - suffix, high, classes)
            if kind == _ENDS and points[high - 1] == 46:
                # "and/Mr." is split at "/", and then spaCy joins "Mr" and "." again.
                at = high - 1
                while at > low and (classes[points[at - 1]] & LETTER or points[at - 1] == 46):
                    at -= 1
                if at > low and _is_abbreviation(points, at, high, abbreviations):
                    kind = _STARTS
            stack[depth] = kind
            depth += 1
            high -= suffix
    if low < high:
        if _is_abbreviation(points, low, high, abbreviations) or _is_url(points, low, high, classes):
            count, ended = _advance(_kind(points, low, high, classes), count, ended)
        else:
            piece = low
            i = low
            while i < high:
                p = points[i]
                width = 0
                if p == 0x2026 or classes[p] & ICON:
                    width = 1
                elif p == 46:
                    run = 1
                    while i + run < high and points[i + run] == 46:
                        run += 1
                    if run >= 2:
                        width = run
                    elif low < i < high - 1:
                        left, right = classes[points[i - 1]], classes[points[i + 1]]
                        width = 1 if left & (LOWERCASE | QUOTE) and right & (UPPERCASE | QUOTE) else 0
                if width == 0:
                    i += 1
                    continue
                if i > piece:
                    count, ended = _advance(_kind(points, piece, i, classes), count, ended)
                count, ended = _advance(_kind(points, i, i + width, classes), count, ended)
                i += width
                piece = i
            if piece < high:
                count, ended = _advance(_kind(points, piece, high, classes), count, ended)
    while depth > 0:
        depth -= 1
        count, ended = _advance(stack[depth], count, ended)
    return count, ended


@kernel
def _next_mark(data, i, end):  # type: ignore[no-untyped-def]
    """The first byte from ``i`` on that is ".", "!", "?" or not ASCII, eight bytes at a time; ``end`` where there is none."""
    while i < end:
        v = load_upto(data, i, end)
        k = lowest_set_byte(equal_bytes(v, _DOTS) | equal_bytes(v, _EXCLAMATIONS) | equal_bytes(v, _QUESTIONS) | (v & _HIGH_BITS))
        if k < 8:
            return i + k
        i += 8
    return end


@kernel
def count_sentences(data, start, end, classes, abbreviations, points, stack):  # type: ignore[no-untyped-def]
    """Number of sentences in ``data[start:end]``, at least 1.

    Words without a sentence-final mark (most) are skipped over byte by byte; only the others are split into tokens.

    Args:
        data: uint8, UTF-8 (any bytes).
        start: first byte of a line or text.
        end: the byte after its last.
        classes: ``sentence_tables()``.
        abbreviations: ``sentence_tables()``.
        points: int32 [MAX_WORD], scratch.
        stack: uint8 [MAX_WORD], scratch.
    """
    count, ended = 1, False
    i = start
    while i < end:
        if not ended:
            # Until a sentence ends, only a word with a mark counts: go to the next one.
            mark = _next_mark(data, i, end)
            if mark == end:
                break
            while mark > i and not _BYTES[data[mark - 1]] & _BYTE_SPACE:
                mark -= 1
            i = mark
        # A run of whitespace is a token of its own, except for the single space between words.
        first = i
        while i < end:
            bits = _BYTES[data[i]]
            if bits & _BYTE_HIGH:
                point, after = u.decode(data, i, end)
                if not classes[point] & SPACE:
                    break
                i = after
            elif bits & _BYTE_SPACE:
                i += 1
            else:
                break
        if ended and (i - first > 1 or (i > first and data[first] != 32)):
            count, ended = count + 1, False
        word = i
        seen = 0
        while i < end:
            bits = _BYTES[data[i]]
            if bits & (_BYTE_SPACE | _BYTE_HIGH):
                if bits & _BYTE_SPACE:
                    break
                point, after = u.decode(data, i, end)
                of_point = classes[point]
                if of_point & SPACE:
                    break
                if of_point & FINAL:
                    bits |= _BYTE_FINAL
                if not of_point & PUNCTUATION:
                    bits |= _BYTE_TEXT
                i = after
            else:
                i += 1
            seen |= bits
        n = 0
        if seen & _BYTE_FINAL:
            at = word
            while at < i and n < MAX_WORD:
                points[n], at = u.decode(data, at, end)
                n += 1
            if at < i:
                n = 0
        if n:
            count, ended = _word(points, n, classes, abbreviations, stack, count, ended)
        elif seen & _BYTE_TEXT and ended:
            count, ended = count + 1, False
    return count


def sentence_count(text: str) -> int:
    """Number of sentences in one text, at least 1; what the kernel counts, for one string."""
    tables = sentence_tables()
    data = np.frombuffer(text.encode("utf-8", "replace") + b"\0", np.uint8)
    points, stack = np.empty(MAX_WORD, np.int32), np.empty(MAX_WORD, np.uint8)
    return int(count_sentences(data, 0, len(data) - 1, tables.classes, tables.abbreviations, points, stack))
