"""RefinedWeb's line-wise corrections and page figures, as DCLM's baseline recipe applies them."""

from __future__ import annotations

import re
from typing import Literal

import numba as nb
import numpy as np

from explorer.primitives import unicode as u
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

Rule = Literal["uppercase", "numeric", "counter", "short", "boilerplate"]

# dclm_baseline_refinedweb.yaml of mlfoundations/dclm.
MAX_UPPERCASE_RATIO = 0.5
MAX_NUMERIC_RATIO = 0.999999
MIN_LINE_WORDS = 2
MAX_BOILERPLATE_WORDS = 10
_COUNTER_NOUNS = (
    "likes",
    "shares",
    "comments",
    "retweets",
    "reposts",
    "quotes",
    "bookmarks",
    "upvotes",
    "downvotes",
    "downloads",
    "views",
    "followers",
)

_COUNTER = re.compile(rf"^\W*\d(?:,|\.|\d)*(?:k|m|b)?\s+(?:{'|'.join(_COUNTER_NOUNS)})\W*$")
# In this order; the full stops of "Read more..." are any three characters in the recipe, and so they are here.
_BOILERPLATE = (re.compile(r"\s?items in cart", re.I), re.compile(r"\s?read more...$", re.I), re.compile(r"^sign-in\s?", re.I))
_TOKEN = re.compile(r"[^ \n\r\t\v\f\0]+")


def _edit_line(line: str) -> tuple[str | None, Rule | None]:
    """The line after the edits, or None with the rule that drops it."""
    if not line:
        return line, None
    if sum(map(str.isupper, line)) / len(line) > MAX_UPPERCASE_RATIO:
        return None, "uppercase"
    if sum(map(str.isdigit, line)) / len(line) > MAX_NUMERIC_RATIO:
        return None, "numeric"
    if _COUNTER.search(line.lower()):
        return None, "counter"
    if len(line.split()) < MIN_LINE_WORDS:
        return None, "short"
    for pattern in _BOILERPLATE:
        if len(line.split()) <= MAX_BOILERPLATE_WORDS:
            edited = pattern.sub("", line)
            if line and (not edited or edited.isspace()):
                return None, "boilerplate"
            line = edited
    return line, None


def refinedweb_edit(text: str) -> str:
    """The text after RefinedWeb's line-wise corrections, for reading and diffing: the readable twin of the kernel.

    Args:
        text: one document.

    Returns:
        The surviving lines, edited; empty where none survives. The page is stripped, and runs of newlines are cut to two.
    """
    lines = re.sub(r"\n{3,}", "\n\n", text).strip().split("\n")
    kept = (_edit_line(line)[0] for line in lines)
    # Only whitespace that separates words for the counter too, so that the last strip cannot make a word of "\x1cword".
    return "\n".join(line for line in kept if line is not None).strip(" \n\r\t\v\f")


def count_words(text: str) -> int:
    """Words as DCLM counts them: fastText tokens (split at ASCII whitespace and NUL) that start with a letter or digit."""
    return sum(token[0].isalnum() for token in _TOKEN.findall(text))


# Columns of the kernel's result.
(
    _WORDS,
    _TOKENS,
    _TOKEN_CHARS,
    _NON_ALPHA,
    _STOP_WORDS,
    _SYMBOLS,
    _LINES,
    _BULLETS,
    _ELLIPSES,
    _UPPERCASE,
    _NUMERIC,
    _COUNTERS,
    _SHORT,
    _EMPTIED,
    _EDITED,
    _REMOVED,
) = range(16)

_NOUN_BYTES = np.frombuffer("".join(_COUNTER_NOUNS).encode(), np.uint8)
_NOUN_ENDS = np.cumsum([0, *map(len, _COUNTER_NOUNS)])
_ITEMS = np.frombuffer(b"items in cart", np.uint8)
_READ_MORE = np.frombuffer(b"read more", np.uint8)
_SIGN_IN = np.frombuffer(b"sign-in", np.uint8)
_STOP = np.array(
    sorted(int.from_bytes(b"\1" + w, "big") for w in (b"the", b"be", b"to", b"of", b"and", b"that", b"have", b"with")), np.int64
)


@nb.njit(nogil=True, cache=True)
def _is_at(data, i, end, word):  # type: ignore[no-untyped-def]
    """Whether ``word`` (lower-case ASCII) stands at ``data[i:end]`` in any case."""
    if end - i < len(word):
        return False
    for k in range(len(word)):
        b = data[i + k]
        if 65 <= b <= 90:
            b |= 32
        if b != word[k]:
            return False
    return True


@nb.njit(nogil=True, cache=True)
def _is_stop_word(key):  # type: ignore[no-untyped-def]
    for word in _STOP:  # noqa: SIM110 (numba has no generator expressions)
        if word == key:
            return True
    return False


@nb.njit(nogil=True, cache=True)
def _is_token_end(b):  # type: ignore[no-untyped-def]
    """Where fastText's reader ends a token: space, tab to carriage return, NUL."""
    return b == 32 or 9 <= b <= 13 or b == 0


@nb.njit(nogil=True, cache=True)
def _count_words(data, start, end, classes):  # type: ignore[no-untyped-def]
    """Tokens between ASCII whitespace (or NUL) that start with a letter or digit."""
    n = 0
    i = start
    while i < end:
        if _is_token_end(data[i]):
            i += 1
            continue
        point, _ = u.decode(data, i, end)
        if classes[point] & u.ALPHANUMERIC:
            n += 1
        while i < end and not _is_token_end(data[i]):
            i += 1
    return n


@nb.njit(nogil=True, cache=True)
def _split_count(data, start, end, classes):  # type: ignore[no-untyped-def]
    """``len(text.split())`` of a byte range."""
    n = 0
    inside = False
    i = start
    while i < end:
        point, i = u.decode(data, i, end)
        space = classes[point] & u.SPACE != 0
        if not space and not inside:
            n += 1
        inside = not space
    return n


@nb.njit(nogil=True, cache=True)
def _is_counter(data, start, end, classes):  # type: ignore[no-untyped-def]
    """Whether the lower-cased line matches ``_COUNTER``; every step of that pattern is forced."""
    i = start
    while True:
        if i >= end:
            return False
        point, after = u.decode(data, i, end)
        bits = classes[point]
        if bits & u.DECIMAL:
            break
        if bits & u.ALPHANUMERIC or point == 95:
            return False
        i = after
    while i < end:
        point, after = u.decode(data, i, end)
        if not (classes[point] & u.DECIMAL or point == 44 or point == 46):
            break
        i = after
    if i < end and (data[i] | 32) in (107, 109, 98):
        i += 1
    spaces = i
    while i < end:
        point, after = u.decode(data, i, end)
        if not classes[point] & u.SPACE:
            break
        i = after
    if i == spaces:
        return False
    noun = 0
    for k in range(len(_NOUN_ENDS) - 1):
        if _is_at(data, i, end, _NOUN_BYTES[_NOUN_ENDS[k] : _NOUN_ENDS[k + 1]]):
            noun = _NOUN_ENDS[k + 1] - _NOUN_ENDS[k]
            break
    if noun == 0:
        return False
    i += noun
    while i < end:
        point, i = u.decode(data, i, end)
        if classes[point] & u.ALPHANUMERIC or point == 95:
            return False
    return True


@nb.njit(nogil=True, cache=True)
def _back(data, i, start):  # type: ignore[no-untyped-def]
    """Index of the code point before ``i``."""
    i -= 1
    while i > start and data[i] & 0xC0 == 0x80:
        i -= 1
    return i


@nb.njit(nogil=True, cache=True)
def _space_before(data, i, start, end, classes):  # type: ignore[no-untyped-def]
    """``i``, or the index of the one whitespace character before it."""
    if i > start:
        j = _back(data, i, start)
        point, after = u.decode(data, j, end)
        if after == i and classes[point] & u.SPACE:
            return j
    return i


@nb.njit(nogil=True, cache=True)
def _boilerplate(data, end, classes):  # type: ignore[no-untyped-def]
    """Apply the three substring edits to the line ``data[:end]`` in place.

    Returns the new end and how many edits removed something; an end of -1 where an edit leaves nothing.
    """
    edits = 0
    for rule in range(3):
        if _split_count(data, 0, end, classes) > MAX_BOILERPLATE_WORDS:
            continue
        n = end
        if rule == 0:
            n = 0
            i = 0
            while i < end:
                if _is_at(data, i, end, _ITEMS):
                    # The optional whitespace before the phrase has been copied already, unless a removal ended there.
                    n = _space_before(data, n, 0, n, classes) if n and i and data[i - 1] == data[n - 1] else n
                    i += len(_ITEMS)
                    continue
                data[n] = data[i]
                n += 1
                i += 1
        elif rule == 1:
            i = end
            k = 0
            while k < 3 and i > 0:
                i = _back(data, i, 0)
                k += 1
            i -= len(_READ_MORE)
            if k == 3 and i >= 0 and _is_at(data, i, end, _READ_MORE):
                n = _space_before(data, i, 0, end, classes)
        elif _is_at(data, 0, end, _SIGN_IN):
            i = len(_SIGN_IN)
            if i < end:
                point, after = u.decode(data, i, end)
                if classes[point] & u.SPACE:
                    i = after
            n = end - i
            for k in range(n):
                data[k] = data[i + k]
        if n == end:
            continue
        edits += 1
        if _split_count(data, 0, n, classes) == 0:
            return -1, edits
        end = n
    return end, edits


@nb.njit(nogil=True, cache=True)
def _pages(data, offsets, classes, out):  # type: ignore[no-untyped-def]
    """Page figures and line edits of every document, one line at a time.

    Invariant: at the head of the line loop every line before ``i`` is counted. The page's own whitespace at both ends is left
    out of the first and the last line's edits, as the recipe strips the page.
    """
    line = np.empty(4096, np.uint8)
    for d in range(len(offsets) - 1):
        start, stop = offsets[d], offsets[d + 1]
        # The stripped page, for the edits.
        first, last = start, stop
        while first < stop:
            point, after = u.decode(data, first, stop)
            if not classes[point] & u.SPACE:
                break
            first = after
        while last > first:
            j = _back(data, last, first)
            point, after = u.decode(data, j, stop)
            if after != last or not classes[point] & u.SPACE:
                break
            last = j
        row = out[d]
        n_dots = n_spaced = 0
        i = start
        while i < stop:
            begin = i
            chars = upper = digits = 0
            n_words = n_tokens = 0
            text_start, text_end = -1, i
            in_word = in_token = False
            alpha = False
            word_chars = 0
            key = np.int64(1)  # a leading 1, so that NUL bytes count
            edit_chars = edit_upper = edit_digits = 0
            while i < stop and data[i] != 10:
                at = i
                if data[i] < 0x80:
                    point, i = np.int64(data[i]), i + 1
                else:
                    point, i = u.decode(data, i, stop)
                bits = classes[point]
                chars += 1
                if bits & u.UPPER:
                    upper += 1
                if bits & u.DIGIT:
                    digits += 1
                if first <= at < last:
                    edit_chars, edit_upper, edit_digits = (
                        edit_chars + 1,
                        edit_upper + (bits & u.UPPER != 0),
                        edit_digits + (bits & u.DIGIT != 0),
                    )
                if point == 35 or point == 0x2026:
                    row[_SYMBOLS] += 1
                if point == 46:
                    # "..." and ". . ." without overlap, each counted by itself.
                    n_dots += 1
                    if n_dots == 3:
                        row[_SYMBOLS] += 1
                        n_dots = 0
                    if n_spaced == 0 or (data[at - 1] == 32 and data[at - 2] == 46):
                        n_spaced += 1
                    else:
                        n_spaced = 1
                    if n_spaced == 3:
                        row[_SYMBOLS] += 1
                        n_spaced = 0
                else:
                    n_dots = 0
                    if point != 32:
                        n_spaced = 0
                if bits & u.SPACE:
                    if in_word:
                        row[_NON_ALPHA] += not alpha
                        row[_TOKEN_CHARS] += word_chars
                        if word_chars <= 4 and _is_stop_word(key):
                            row[_STOP_WORDS] += 1
                        in_word = False
                else:
                    if text_start < 0:
                        text_start = at
                    text_end = i
                    if not in_word:
                        in_word = True
                        n_words += 1
                        alpha = False
                        word_chars = 0
                        key = np.int64(1)  # a leading 1, so that NUL bytes count
                    word_chars += 1
                    key = (key << 8) | ((point | 32) if bits & u.ALPHA and point < 128 else (point if point < 128 else 0xFF))
                    alpha |= bits & u.ALPHA != 0
                if point == 32 or 9 <= point <= 13 or point == 0:
                    in_token = False
                elif not in_token:
                    in_token = True
                    if bits & u.ALPHANUMERIC:
                        n_tokens += 1
            end = i
            if in_word:
                row[_NON_ALPHA] += not alpha
                row[_TOKEN_CHARS] += word_chars
                if word_chars <= 4 and _is_stop_word(key):
                    row[_STOP_WORDS] += 1
            if i < stop:
                n_dots = n_spaced = 0
            i += 1
            row[_WORDS] += n_words
            row[_TOKENS] += n_tokens
            if text_start >= 0:
                row[_LINES] += 1
                point, _ = u.decode(data, text_start, end)
                row[_BULLETS] += point in (0x25CF, 0x2022, 42, 45)
                tail = text_end - text_start
                if (
                    (tail >= 3 and data[text_end - 1] == 46 and data[text_end - 2] == 46 and data[text_end - 3] == 46)
                    or (tail >= 3 and data[text_end - 1] == 0xA6 and data[text_end - 2] == 0x80 and data[text_end - 3] == 0xE2)
                    or (
                        tail >= 5
                        and data[text_end - 1] == 46
                        and data[text_end - 2] == 32
                        and data[text_end - 3] == 46
                        and data[text_end - 4] == 32
                        and data[text_end - 5] == 46
                    )
                ):
                    row[_ELLIPSES] += 1
            # The edits see the line without the page's outer whitespace.
            low, high = max(begin, first), min(end, last)
            if high <= low:
                row[_REMOVED] += n_tokens
                continue
            if low > begin or high < end:
                # Stripping can turn "\x1cword" (no word: it starts with a control character) into a word.
                stripped = _count_words(data, low, high, classes)
                row[_REMOVED] += n_tokens - stripped
                n_tokens = stripped
            if edit_upper / edit_chars > MAX_UPPERCASE_RATIO:
                row[_UPPERCASE] += 1
                row[_REMOVED] += n_tokens
            elif edit_digits / edit_chars > MAX_NUMERIC_RATIO:
                row[_NUMERIC] += 1
                row[_REMOVED] += n_tokens
            elif n_words <= 12 and _is_counter(data, low, high, classes):
                row[_COUNTERS] += 1
                row[_REMOVED] += n_tokens
            elif n_words < MIN_LINE_WORDS:
                row[_SHORT] += 1
                row[_REMOVED] += n_tokens
            elif n_words <= MAX_BOILERPLATE_WORDS:
                size = high - low
                if size > len(line):
                    line = np.empty(2 * size, np.uint8)
                for k in range(size):
                    line[k] = data[low + k]
                size, edits = _boilerplate(line, size, classes)
                if size < 0:
                    row[_EMPTIED] += 1
                    row[_REMOVED] += n_tokens
                elif edits:
                    row[_EDITED] += 1
                    row[_REMOVED] += n_tokens - _count_words(line, 0, size, classes)


_EDIT = "Line edit of the recipe, applied after the rules before it."

_SIGNALS = [
    Signal(
        "rw_n_words",
        "words",
        "Tokens between ASCII whitespace that start with a letter or digit; the recipe keeps 50 to 100000.",
        "two_sided",
        (0, None),
        "int64",
    ),
    Signal(
        "rw_mean_word_length",
        "characters",
        "Mean length of whitespace-separated words, punctuation included; kept from 3 to 10.",
        "two_sided",
        (0.0, None),
    ),
    Signal(
        "rw_symbol_word_ratio",
        "symbols a word",
        'Occurrences of "#", "...", ". . ." and "\u2026" over whitespace-separated words; kept up to 0.1.',
        "lower_is_better",
        (0.0, None),
        misleads="Headings in Markdown and comments in code are hashes.",
    ),
    Signal(
        "rw_bullet_line_frac",
        "fraction of lines",
        "Share of non-blank lines that start with \u25cf, \u2022, * or -; kept up to 0.9.",
        "lower_is_better",
        (0.0, 1.0),
    ),
    Signal(
        "rw_ellipsis_line_frac",
        "fraction of lines",
        'Share of non-blank lines that end in "...", ". . ." or "\u2026"; kept up to 0.3.',
        "lower_is_better",
        (0.0, 1.0),
    ),
    Signal(
        "rw_non_alpha_word_frac",
        "fraction of words",
        "Share of whitespace-separated words without a letter of any script; kept up to 0.2.",
        "lower_is_better",
        (0.0, 1.0),
    ),
    Signal(
        "rw_n_stop_words",
        "words",
        "Occurrences of the, be, to, of, and, that, have, with as whole words in any case; the recipe asks for 2.",
        "higher_is_better",
        (0, None),
        "int64",
        "English only; a word with punctuation attached does not count.",
    ),
    Signal(
        "rw_n_lines_dropped_uppercase",
        "lines",
        "Lines of which more than half the characters are upper-case.",
        "lower_is_better",
        (0, None),
        "int64",
        _EDIT,
    ),
    Signal("rw_n_lines_dropped_numeric", "lines", "Lines of digits alone.", "lower_is_better", (0, None), "int64", _EDIT),
    Signal(
        "rw_n_lines_dropped_counter",
        "lines",
        'Lines that are a counter ("3 likes", "1.2k views").',
        "lower_is_better",
        (0, None),
        "int64",
        _EDIT,
    ),
    Signal(
        "rw_n_lines_dropped_short", "lines", "Lines of one word (or of whitespace alone).", "lower_is_better", (0, None), "int64", _EDIT
    ),
    Signal(
        "rw_n_lines_dropped_boilerplate",
        "lines",
        'Lines of at most 10 words that are empty once "items in cart", a final "Read more..." or a leading "Sign-in" is cut.',
        "lower_is_better",
        (0, None),
        "int64",
        _EDIT,
    ),
    Signal(
        "rw_n_lines_edited",
        "lines",
        "Lines of at most 10 words from which one of these phrases was cut and text is left.",
        "lower_is_better",
        (0, None),
        "int64",
        _EDIT,
    ),
    Signal(
        "rw_word_removal_ratio",
        "fraction of words",
        "Share of the page's words (rw_n_words) that the line edits remove; the recipe drops a page above 0.05.",
        "lower_is_better",
        (None, 1.0),
        misleads="Short pages, poems, tables and glossaries lose one-word lines and soon pass 5%.",
    ),
]


@family(
    version=1,
    source="Penedo et al. 2023 (RefinedWeb, arXiv:2306.01116, G.2) as mlfoundations/dclm dclm_baseline_refinedweb.yaml implements it (arXiv:2406.11794)",
    signals=_SIGNALS,
)
def refinedweb(batch: Batch) -> Columns:
    r"""RefinedWeb's page figures and the words its line-wise corrections remove, as in DCLM's baseline recipe.

    Line edits in order, on lines between "\n": upper-case over half, digits alone, counters, one-word lines (these four drop
    the line), then in lines of at most 10 words "items in cart", a final "Read more..." and a leading "Sign-in" are cut out.
    Where ours differs: the page is stripped once before the edits (the recipe strips it after each), URLs are not cut out
    before (that needs the list of top-level domains), and the recipe's repetition filters are left to other families.

    Returns:
        Counts as int64; shares null where there is nothing to divide by (no word, no line).
    """
    out = np.zeros((len(batch), _REMOVED + 1), np.int64)
    _pages(batch.data, batch.offsets, u.classes(), out)

    def over(column: int, total: int) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(out[:, total] > 0, out[:, column] / out[:, total], np.nan)

    return {
        "rw_n_words": out[:, _TOKENS],
        "rw_mean_word_length": over(_TOKEN_CHARS, _WORDS),
        "rw_symbol_word_ratio": over(_SYMBOLS, _WORDS),
        "rw_bullet_line_frac": over(_BULLETS, _LINES),
        "rw_ellipsis_line_frac": over(_ELLIPSES, _LINES),
        "rw_non_alpha_word_frac": over(_NON_ALPHA, _WORDS),
        "rw_n_stop_words": out[:, _STOP_WORDS],
        "rw_n_lines_dropped_uppercase": out[:, _UPPERCASE],
        "rw_n_lines_dropped_numeric": out[:, _NUMERIC],
        "rw_n_lines_dropped_counter": out[:, _COUNTERS],
        "rw_n_lines_dropped_short": out[:, _SHORT],
        "rw_n_lines_dropped_boilerplate": out[:, _EMPTIED],
        "rw_n_lines_edited": out[:, _EDITED],
        "rw_word_removal_ratio": over(_REMOVED, _TOKENS),
    }
