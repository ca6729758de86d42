"""RedPajama-v2's figures of each document in one pass over the bytes: raw words, sentences, lines and normalised words.

Raw words are NLTK's WordPunct tokens (runs of \\w, and runs of what is neither \\w nor space); normalised words are what
``normalised.normalise`` leaves between spaces; lines keep their newline and break at "\\n" alone.
"""

from __future__ import annotations

import string
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numba as nb
import numpy as np

from explorer.primitives import normalised as t
from explorer.primitives import unicode as u
from explorer.primitives.rps_repetition import N_REPETITION, extend, repetition

# Figures of a document, columns of ``doc``.
(
    CHARS,
    RAW_WORDS,
    NO_ALPHA_WORDS,
    CAPS_WORDS,
    STOP_WORDS,
    SENTENCES,
    SYMBOLS,
    CURLY,
    LINES,
    ELLIPSIS_LINES,
    WORDS,
    WORD_CHARS,
    LOREM,
    BLOCKED,
) = range(14)
N_DOC = BLOCKED + 1

# Line signals, columns of ``line_sum`` (over lines) and ``line_weighted`` (times the characters of the line, newline included).
TERMINAL, JAVASCRIPT, NUM_WORDS, NUMERIC, UPPERCASE, BULLET = range(6)
N_LINE = BULLET + 1

# What a byte is. Control characters are neither space nor \w, and are no punctuation that normalising removes.
_ALNUM, _UNDERSCORE, _PUNCT, _CONTROL, _SPACE, _NEWLINE, _HIGH = range(7)
_CLASS = np.full(256, _HIGH, np.uint8)
_CLASS[:128] = _CONTROL
_CLASS[[ord(c) for c in string.punctuation]] = _PUNCT
_CLASS[[ord(c) for c in string.ascii_letters + string.digits]] = _ALNUM
_CLASS[ord("_")] = _UNDERSCORE
_CLASS[[9, 11, 12, 13, 28, 29, 30, 31, 32]] = _SPACE
_CLASS[10] = _NEWLINE
_LOWER = np.arange(256, dtype=np.uint64)
_LOWER[65:91] += 32
# Flags of a raw word, gathered by "or".
_HAS_ALPHA, _HAS_UPPER, _HAS_OTHER_CASE = 1, 2, 4
_FLAGS = np.zeros(256, np.uint8)
_FLAGS[65:91] = _HAS_ALPHA | _HAS_UPPER
_FLAGS[97:123] = _HAS_ALPHA | _HAS_OTHER_CASE
# Counts of a line, gathered by one addition: digits in the low half, capitals in the high half.
_TALLY = np.zeros(256, np.int64)
_TALLY[48:58] = 1
_TALLY[65:91] = 1 << 32
_LOW_HALF = (1 << 32) - 1

_JAVASCRIPT_HASH = t.hash_word(np.array([ord(c) for c in "javascript"], np.int32))
_LOREM_BYTES = np.frombuffer(b"lorem", np.uint8)
_IPSUM_BYTES = np.frombuffer(b"ipsum", np.uint8)
_BULLETS = np.array([0x2022, 0x2023, 0x25B6, 0x25C0, 0x25E6, 0x25A0, 0x25A1, 0x25AA, 0x25AB, 0x2013])
_PENDING = 64  # combining marks after one letter that are put in order; longer runs are hashed as they come


class WordSet(NamedTuple):
    """A set of raw words for exact look-up: open addressing on the last eight bytes and the length."""

    keys: np.ndarray  # uint64 [power of two], the last eight bytes, big-endian
    sizes: np.ndarray  # int64, length in bytes; 0 where the slot is empty
    starts: np.ndarray  # int64, where the word begins in ``data``
    data: np.ndarray  # uint8


@nb.njit(nogil=True, cache=True, inline="always")
def _slot(key, size):  # type: ignore[no-untyped-def]
    h = (key ^ np.uint64(size)) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(h >> np.uint64(40))


def word_set(words: frozenset[str]) -> WordSet:
    """Build the set; the empty set has no slots and is never looked into."""
    encoded = sorted(w.encode() for w in words if w)
    size = 1 << max(4, (4 * len(encoded)).bit_length()) if encoded else 0
    keys, sizes, starts = np.zeros(size, np.uint64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    data = bytearray()
    for word in encoded:
        key = np.uint64(int.from_bytes(word[-8:], "big"))
        j = int(_slot(key, len(word))) & (size - 1)
        while sizes[j]:
            j = (j + 1) & (size - 1)
        keys[j], sizes[j], starts[j] = key, len(word), len(data)
        data += word
    return WordSet(keys, sizes, starts, np.frombuffer(bytes(data) + b"\0", np.uint8))


@cache
def english_stop_words() -> frozenset[str]:
    """RedPajama-v2's English stop words (stopwords-json, Apache-2.0)."""
    return read_words(Path(__file__).with_name("rps_stop_words_en.txt"))


def read_words(path: Path) -> frozenset[str]:
    """One word or phrase a line; blank lines and lines that start with "# " are skipped."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# "))
    return frozenset(line for line in lines if line)


class PhraseSet(NamedTuple):
    """A set of normalised phrases as n-gram hashes."""

    hashes: np.ndarray  # uint64, sorted
    sizes: np.ndarray  # int64, the different numbers of words


def phrase_set(phrases: frozenset[str]) -> PhraseSet:
    """Hashes of phrases, words separated by one space, matched as they are written (RedPajama-v2 does not normalise its list)."""
    hashes = []
    for phrase in phrases:
        h = np.uint64(0)
        for k, word in enumerate(phrase.split(" ")):
            points = np.array([ord(c) for c in word], np.int32)
            h = extend(h, t.hash_word(points)) if k else t.hash_word(points)
        hashes.append(h)
    return PhraseSet(np.sort(np.array(hashes, np.uint64)), np.array(sorted({1 + p.count(" ") for p in phrases}), np.int64))


@nb.njit(nogil=True, cache=True)
def _in_set(data, start, size, key, keys, sizes, starts, letters):  # type: ignore[no-untyped-def]
    mask = len(keys) - 1
    j = _slot(key, size) & mask
    while sizes[j]:
        if sizes[j] == size and keys[j] == key:
            same = True
            for k in range(size - 8):
                if letters[starts[j] + k] != data[start + k]:
                    same = False
            if same:
                return True
        j = (j + 1) & mask
    return False


@nb.njit(nogil=True, cache=True)
def _ends_with(data, start, end, word):  # type: ignore[no-untyped-def]
    """Whether the bytes before ``end``, ASCII punctuation left out and lower-cased, end in ``word``."""
    k = len(word) - 1
    i = end - 1
    while i >= start and k >= 0:
        c = _CLASS[data[i]]
        if c != _PUNCT and c != _UNDERSCORE:
            if _LOWER[data[i]] != word[k]:
                return False
            k -= 1
        i -= 1
    return k < 0


@nb.njit(nogil=True, cache=True)
def _starts_with(data, start, end, word):  # type: ignore[no-untyped-def]
    """Whether the bytes from ``start``, ASCII punctuation left out and lower-cased, begin with ``word``."""
    k = 0
    i = start
    while i < end and k < len(word):
        c = _CLASS[data[i]]
        if c != _PUNCT and c != _UNDERSCORE:
            if _LOWER[data[i]] != word[k]:
                return False
            k += 1
        i += 1
    return k == len(word)


@nb.njit(nogil=True, cache=True)
def _is_final_sigma(data, start, i, after, end, kind):  # type: ignore[no-untyped-def]
    """Whether the capital sigma at ``i`` ends a word: a cased letter before it and none behind (Python's rule for lower-casing).

    ASCII punctuation, which is removed before, and combining marks are looked past.
    """
    j = i
    before = False
    while j > start:
        j -= 1
        while j > start and data[j] & 0xC0 == 0x80:
            j -= 1
        point, _ = u.decode(data, j, end)
        if not (kind[point] & t.MARK or (point < 128 and _CLASS[point] in (_PUNCT, _UNDERSCORE))):
            before = kind[point] & (t.UPPER | t.NOT_UPPER) != 0
            break
    if not before:
        return False
    j = after
    while j < end:
        point, j = u.decode(data, j, end)
        if not (kind[point] & t.MARK or (point < 128 and _CLASS[point] in (_PUNCT, _UNDERSCORE))):
            return kind[point] & (t.UPPER | t.NOT_UPPER) == 0
    return True


@nb.njit(nogil=True, cache=True)
def _push(point, h, pending, ranks, n_pending, rank):  # type: ignore[no-untyped-def]
    """Add one normalised code point to a word: marks wait in the order of their combining class, a letter lets them go.

    Returns the hash state and the number of marks waiting.
    """
    if rank == 0 or n_pending == _PENDING:
        for k in range(n_pending):
            h = t.absorb(h, pending[k])
        n_pending = 0
        if rank == 0:
            return t.absorb(h, point), 0
    k = n_pending
    while k > 0 and ranks[k - 1] > rank:
        pending[k], ranks[k] = pending[k - 1], ranks[k - 1]
        k -= 1
    pending[k], ranks[k] = point, rank
    return h, n_pending + 1


@nb.njit(nogil=True, cache=True)
def scan(
    data,
    offsets,
    target,
    several,
    combining,
    kind,
    keys,
    sizes,
    starts,
    letters,
    blocked,
    blocked_sizes,
    doc,
    line_sum,
    line_weighted,
    repeats,
):  # type: ignore[no-untyped-def]
    """Fill the rows of ``doc``, ``line_sum``, ``line_weighted`` and ``repeats`` for every document.

    Invariants at the head of the byte loop: all code points before ``i`` are counted; ``raw`` says whether a raw word (1) or a run
    of punctuation (2) is open, which began at ``raw_start``; ``length`` code points of an open normalised word are in ``h`` and
    ``pending``.
    """
    room = 4096
    words, lengths = np.empty(room, np.uint64), np.empty(room, np.int32)
    hashes, slots, places, level = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.uint8)
    table, counts = np.empty(2 * room, np.uint64), np.empty(2 * room, np.int32)
    pending, ranks = np.empty(_PENDING, np.int32), np.empty(_PENDING, np.int32)
    use_stop_words = len(keys) > 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        if i == end:
            continue
        out = doc[d]
        n = 0
        chars = 0
        n_raw = n_no_alpha = n_caps = n_stop = n_sentences = n_symbols = n_curly = n_lorem = 0
        n_lines = n_ellipsis = 0
        word_chars = 0
        # The open raw word, the open normalised word, the open sentence, the open line.
        raw = 0
        raw_start = i
        key = np.uint64(0)
        flags = 0
        h = t.WORD_SEED
        length = 0
        word_start = i
        n_pending = 0
        lorem = False
        in_sentence = False
        line_start, line_chars, line_words, line_word_chars, line_javascript = i, 0, 0, 0, 0
        first_text, last_text = -1, i
        tally = np.int64(0)
        while True:
            at_end = i >= end
            c = _NEWLINE if at_end else np.int64(_CLASS[data[i]])
            if c == _ALNUM:
                begin = i
                if raw != 1:
                    raw, raw_start, flags, key = 1, i, 0, np.uint64(0)
                    n_raw += 1
                if not in_sentence:
                    in_sentence = True
                    n_sentences += 1
                if length == 0:
                    word_start = i
                if n_pending:
                    for k in range(n_pending):
                        h = t.absorb(h, pending[k])
                    n_pending = 0
                while True:
                    b = data[i]
                    h = (h ^ _LOWER[b]) * np.uint64(0x9FB21C651E98DF25)
                    key = (key << np.uint64(8)) | np.uint64(b)
                    flags |= _FLAGS[b]
                    tally += _TALLY[b]
                    i += 1
                    if i >= end or _CLASS[data[i]] != _ALNUM:
                        break
                length += i - begin
                line_chars += i - begin
                if first_text < 0:
                    first_text = begin
                last_text = i
                continue
            point = np.int64(0)
            after = i + 1
            bits = 0
            if c == _HIGH:
                point, after = u.decode(data, i, end)
                bits = kind[point]
                if bits & t.SPACE:
                    c = _SPACE
            word_character = c == _UNDERSCORE or (c == _HIGH and bits & t.WORD)
            if raw == 1 and not word_character:
                if not flags & _HAS_ALPHA:
                    n_no_alpha += 1
                if flags & (_HAS_UPPER | _HAS_OTHER_CASE) == _HAS_UPPER:
                    n_caps += 1
                if use_stop_words and _in_set(data, raw_start, i - raw_start, key, keys, sizes, starts, letters):
                    n_stop += 1
                raw = 0
            if c in (_SPACE, _NEWLINE):
                raw = 0
                if length:
                    for k in range(n_pending):
                        h = t.absorb(h, pending[k])
                    n_pending = 0
                    if n == room:
                        words, lengths = (
                            np.concatenate((words, np.empty(room, np.uint64))),
                            np.concatenate((lengths, np.empty(room, np.int32))),
                        )
                        room *= 2
                    h = t.finish(h)
                    words[n], lengths[n] = h, length
                    n += 1
                    line_words += 1
                    line_word_chars += length
                    if lorem and length >= 5 and _starts_with(data, word_start, i, _IPSUM_BYTES):
                        n_lorem += 1
                    lorem = length >= 5 and _ends_with(data, word_start, i, _LOREM_BYTES)
                    if h == _JAVASCRIPT_HASH:
                        line_javascript += 1
                    h = t.WORD_SEED
                    length = 0
                if c == _SPACE:
                    line_chars += 1
                    i = after
                    continue
                if at_end and i == line_start:
                    break
                # The line is complete.
                if not at_end:
                    line_chars += 1
                    i += 1
                terminal = bullet = 0.0
                if first_text >= 0:
                    last = data[last_text - 1]
                    third = last_text - 3 >= first_text
                    if last == 46:
                        terminal = 1.0
                        if third and data[last_text - 2] == 46 and data[last_text - 3] == 46:
                            n_ellipsis += 1
                    elif last == 33 or last == 63:
                        terminal = 1.0
                    elif third and data[last_text - 3] == 0xE2 and data[last_text - 2] == 0x80:
                        if last == 0x9D:  # right double quotation mark
                            terminal = 1.0
                        elif last == 0xA6:  # horizontal ellipsis
                            n_ellipsis += 1
                    if data[first_text] == 0xE2:
                        first_point, _ = u.decode(data, first_text, end)
                        for b in _BULLETS:
                            if first_point == b:
                                bullet = 1.0
                normal_chars = line_word_chars + max(line_words - 1, 0)
                numeric = (tally & _LOW_HALF) / normal_chars if normal_chars else 0.0
                upper = (tally >> 32) / line_chars
                sums, weighted = line_sum[d], line_weighted[d]
                sums[TERMINAL] += terminal
                sums[JAVASCRIPT] += line_javascript
                sums[NUM_WORDS] += line_words
                sums[NUMERIC] += numeric
                sums[UPPERCASE] += upper
                sums[BULLET] += bullet
                weighted[TERMINAL] += terminal * line_chars
                weighted[JAVASCRIPT] += line_javascript * line_chars
                weighted[NUM_WORDS] += line_words * line_chars
                weighted[NUMERIC] += numeric * line_chars
                weighted[UPPERCASE] += upper * line_chars
                weighted[BULLET] += bullet * line_chars
                n_lines += 1
                chars += line_chars
                word_chars += line_word_chars
                line_start, line_chars, line_words, line_word_chars, line_javascript = i, 0, 0, 0, 0
                first_text, last_text = -1, i
                tally = np.int64(0)
                if at_end:
                    break
                continue
            # Text that is not an ASCII letter or digit.
            if first_text < 0:
                first_text = i
            if word_character:
                if raw != 1:
                    raw, raw_start, flags, key = 1, i, 0, np.uint64(0)
                    n_raw += 1
                if not in_sentence:
                    in_sentence = True
                    n_sentences += 1
                for k in range(i, after):
                    key = (key << np.uint64(8)) | np.uint64(data[k])
                if bits & t.UPPER:
                    flags |= _HAS_UPPER
                    tally += 1 << 32
                elif bits & t.NOT_UPPER:
                    flags |= _HAS_OTHER_CASE
            else:
                if raw != 2:
                    raw = 2
                    n_raw += 1
                    n_no_alpha += 1
                    flags = 0
                # A run of punctuation holds no \w, but it may hold cased symbols (circled letters): they make it "all caps".
                if bits & t.UPPER:
                    if not flags & (_HAS_UPPER | _HAS_OTHER_CASE):
                        n_caps += 1
                    flags |= _HAS_UPPER
                    tally += 1 << 32
                elif bits & t.NOT_UPPER:
                    if flags & (_HAS_UPPER | _HAS_OTHER_CASE) == _HAS_UPPER:
                        n_caps -= 1
                    flags |= _HAS_OTHER_CASE
            if c == _PUNCT:
                b = data[i]
                if b == 46:
                    in_sentence = False
                    while after < end and data[after] == 46:
                        after += 1
                    n_symbols += (after - i) // 3
                    line_chars += after - i
                    i = after
                    last_text = i
                    continue
                if b == 33 or b == 63:
                    in_sentence = False
                elif b == 35:
                    n_symbols += 1
                elif b == 123 or b == 125:
                    n_curly += 1
            elif c == _CONTROL:
                if length == 0:
                    word_start = i
                h, n_pending = _push(np.int64(data[i]), h, pending, ranks, n_pending, 0)
                length += 1
            elif c == _HIGH:
                if point == 0x2026:
                    n_symbols += 1
                if length == 0:
                    word_start = i
                sigma = point == t.CAPITAL_SIGMA and length > 0 and _is_final_sigma(data, offsets[d], i, after, end, kind)
                to = t.FINAL_SIGMA if sigma else np.int64(target[point])
                if to >= 0:
                    h, n_pending = _push(to, h, pending, ranks, n_pending, combining[to])
                    length += 1
                    tally += 1 if kind[to] & t.NUMERIC else 0
                else:
                    at = -1 - to
                    for k in range(at + 1, at + 1 + several[at]):
                        to = np.int64(several[k])
                        h, n_pending = _push(to, h, pending, ranks, n_pending, combining[to])
                        length += 1
                        tally += 1 if kind[to] & t.NUMERIC else 0
            line_chars += 1
            i = after
            last_text = i
        out[CHARS] = chars
        out[RAW_WORDS] = n_raw
        out[NO_ALPHA_WORDS] = n_no_alpha
        out[CAPS_WORDS] = n_caps
        out[STOP_WORDS] = n_stop
        out[SENTENCES] = n_sentences
        out[SYMBOLS] = n_symbols
        out[CURLY] = n_curly
        out[LINES] = n_lines
        out[ELLIPSIS_LINES] = n_ellipsis
        out[WORDS] = n
        out[WORD_CHARS] = word_chars
        out[LOREM] = n_lorem
        if n == 0:
            continue
        if n > len(hashes):
            hashes, slots, places = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.int32)
            level = np.empty(room, np.uint8)
            table, counts = np.empty(2 * room, np.uint64), np.empty(2 * room, np.int32)
        repetition(words, lengths, n, repeats[d], hashes, slots, places, level, table, counts)
        n_blocked = 0
        for size in blocked_sizes:
            for k in range(n - size + 1):
                g = words[k]
                for m in range(1, size):
                    g = extend(g, words[k + m])
                at = np.searchsorted(blocked, g)
                if at < len(blocked) and blocked[at] == g:
                    n_blocked += 1
        out[BLOCKED] = n_blocked
