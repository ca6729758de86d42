r"""RedPajama-v2's figures of each document in one pass over the bytes: raw words, sentences, lines and normalised words.

Raw words are NLTK's WordPunct tokens (runs of \w, and runs of what is neither \w nor space); normalised words are what
``normalised.normalise`` leaves between spaces; lines keep their newline and break at "\n" alone.
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
from explorer.primitives.rps_repetition import capacity, extend, repetition
from explorer.primitives.swar import (
    HIGH,
    SEED,
    ascii_letters,
    hash_bytes,
    hash_finish,
    hash_step,
    kernel,
    load_upto,
    lowest_set_byte,
    popcount,
)

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
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[65:91] += 32
# Flags of a raw word, gathered by "or".
_HAS_ALPHA, _HAS_UPPER, _HAS_OTHER_CASE = 1, 2, 4
_HIGH_BITS, _START = HIGH, SEED
_ONE, _20, _32, _56 = np.uint64(1), np.uint64(20), np.uint64(32), np.uint64(56)
# Added to a byte below 128, the first sets its high bit from "0" on and the second from ":" on.
_FROM_0 = np.uint64(0x0101010101010101 * (128 - 48))
_FROM_COLON = np.uint64(0x0101010101010101 * (128 - 58))
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)

_LOREM_BYTES = np.frombuffer(b"lorem", np.uint8)
_IPSUM_BYTES = np.frombuffer(b"ipsum", np.uint8)
_BULLETS = np.array([0x2022, 0x2023, 0x25B6, 0x25C0, 0x25E6, 0x25A0, 0x25A1, 0x25AA, 0x25AB, 0x2013])
_PENDING = 64  # combining marks after one letter that are put in order; longer runs are hashed as they come


class WordSet(NamedTuple):
    """A set of raw words for look-up without a loop: a word lies in one of the four places of its bucket, or nowhere."""

    marks: np.ndarray  # uint64 [4 x buckets], ``_mark`` of the word; 0 where the place is empty
    seed: np.uint64  # odd, chosen so that no bucket gets more than four words


@nb.njit(nogil=True, cache=True, _nrt=False, inline="always")
def _mark(data, start, end, seed):  # type: ignore[no-untyped-def]
    r"""Different for any two words of \w of up to eight bytes (a bijection of bytes and size); a 64-bit hash of longer words."""
    size = end - start
    mark = (load_upto(data, start, end) ^ (np.uint64(size) << _56)) * seed if size <= 8 else hash_bytes(data, start, end) * seed
    return mark ^ (mark >> _32)


@nb.njit(nogil=True, cache=True)
def _marks(letters: np.ndarray, ends: np.ndarray, seed: np.uint64) -> np.ndarray:
    marks = np.empty(len(ends) - 1, np.uint64)
    for k in range(len(marks)):
        marks[k] = _mark(letters, ends[k], ends[k + 1], seed)
    return marks


def encode_points(word: str) -> bytes:
    """A normalised word as the kernel spells it for hashing: ASCII as it is, other code points as three bytes above 127."""
    out = bytearray()
    for point in map(ord, word):
        out += bytes([point]) if point < 128 else bytes([0x80 | point >> 14, 0x80 | (point >> 7) & 0x7F, 0x80 | point & 0x7F])
    return bytes(out)


def hash_word(word: str) -> np.uint64:
    """Hash of a word that is already normalised."""
    spelled = encode_points(word)
    return np.uint64(hash_bytes(np.frombuffer(spelled + bytes(8), np.uint8), 0, len(spelled)) | 1)


def word_set(words: frozenset[str]) -> WordSet:
    """Build the set; the empty set has no places and is never looked into."""
    encoded = sorted(w.encode() for w in words if w)
    n = len(encoded)
    if n == 0:
        return WordSet(np.zeros(0, np.uint64), _ONE)
    letters = np.frombuffer(b"".join(encoded) + bytes(8), np.uint8)
    ends = np.cumsum([0, *map(len, encoded)])
    # With n ** 1.25 / 3.3 buckets about one bucket in the whole table is expected to get five words: a few seeds are enough.
    buckets = 1 << int(n**1.25 / 3.3).bit_length()
    rng = np.random.default_rng(0)
    while True:
        for _ in range(32):
            seed = rng.integers(1 << 63, 1 << 64, dtype=np.uint64) | _ONE
            marks = _marks(letters, ends, seed)
            bucket = (marks >> _20).astype(np.int64) & (buckets - 1)
            if np.bincount(bucket).max() > 4:
                continue
            table = np.zeros(4 * buckets, np.uint64)
            order = np.argsort(bucket, kind="stable")
            rank = np.arange(n) - np.searchsorted(bucket[order], bucket[order])
            table[4 * bucket[order] + rank] = marks[order]
            return WordSet(table, seed)
        buckets *= 2


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
            h = np.uint64(extend(h, hash_word(word))) if k else hash_word(word)
        hashes.append(h)
    return PhraseSet(np.sort(np.array(hashes, np.uint64)), np.array(sorted({1 + p.count(" ") for p in phrases}), np.int64))


_JAVASCRIPT_HASH = hash_word("javascript")


@kernel
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


@kernel
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


@kernel
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


@kernel
def _append(point, spelled, n):  # type: ignore[no-untyped-def]
    """Write one code point at ``spelled[n:]`` as ``encode_points`` does; the new length."""
    if point < 128:
        spelled[n] = point
        return n + 1
    spelled[n] = 0x80 | (point >> 14)
    spelled[n + 1] = 0x80 | ((point >> 7) & 0x7F)
    spelled[n + 2] = 0x80 | (point & 0x7F)
    return n + 3


@kernel
def _flush(spelled, n, pending, n_pending):  # type: ignore[no-untyped-def]
    """Write the combining marks that wait; the new length."""
    for k in range(n_pending):
        n = _append(pending[k], spelled, n)
    return n


@kernel
def _push(point, rank, spelled, n, pending, ranks, n_pending):  # type: ignore[no-untyped-def]
    """Add one normalised code point: marks wait in the order of their combining class, anything else lets them go.

    Returns the bytes written and the number of marks that wait.
    """
    if rank == 0 or n_pending == _PENDING:
        n = _flush(spelled, n, pending, n_pending)
        n_pending = 0
        if rank == 0:
            return _append(point, spelled, n), 0
    k = n_pending
    while k > 0 and ranks[k - 1] > rank:
        pending[k], ranks[k] = pending[k - 1], ranks[k - 1]
        k -= 1
    pending[k], ranks[k] = point, rank
    return n, n_pending + 1


@kernel
def _copy_lowered(data, start, end, spelled, n):  # type: ignore[no-untyped-def]
    """Write a run of ASCII letters and digits in lower case; the new length."""
    for k in range(start, end):
        spelled[n] = _LOWER[data[k]]
        n += 1
    return n


class Scratch(NamedTuple):
    """Working space of one call, for the largest document of the batch; only the pages that are used become real memory."""

    words: np.ndarray  # uint64, hashes of the document's normalised words
    lengths: np.ndarray  # int32, their lengths in code points
    hashes: np.ndarray  # uint64, of the n-gram that starts at a word
    slots: np.ndarray  # int32
    places: np.ndarray  # int32
    level: np.ndarray  # uint8
    table: np.ndarray  # uint64
    counts: np.ndarray  # int32
    spelled: np.ndarray  # uint8, a normalised word that is not one run of ASCII letters
    pending: np.ndarray  # int32
    ranks: np.ndarray  # int32


def scratch(offsets: np.ndarray) -> Scratch:
    """Working space for these documents."""
    longest = int(np.diff(offsets).max(initial=0))
    n = (longest + 1) // 2 + 1  # words need a byte and a space
    slots = capacity(n)
    return Scratch(
        np.empty(n, np.uint64),
        np.empty(n, np.int32),
        np.empty(n, np.uint64),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.uint8),
        np.empty(slots, np.uint64),
        np.empty(slots, np.int32),
        # Two bytes of UTF-8 decompose into at most three code points, which are spelled with nine bytes.
        np.empty(5 * longest + 3 * _PENDING + 8, np.uint8),
        np.empty(_PENDING, np.int32),
        np.empty(_PENDING, np.int32),
    )


@kernel
def scan(data, offsets, tables, stop, block, work, doc, line_sum, line_weighted, repeats):  # type: ignore[no-untyped-def]
    """Fill the rows of ``doc``, ``line_sum``, ``line_weighted`` and ``repeats`` for every document.

    Invariants at the head of the byte loop: all code points before ``i`` are counted. ``raw`` says whether a raw word (1) or a run
    of punctuation (2) is open; the word began at ``raw_start``. An open normalised word has ``length`` code points; as long as it
    is one run of ASCII letters and digits (``n_spelled`` is 0) it is ``data[word_start:word_end]`` with hash state ``h``; once
    anything else belongs to it, it is ``spelled[:n_spelled]`` and the marks in ``pending``.
    """
    target, several, combining, kind = tables
    marks, seed = stop
    blocked, blocked_sizes = block
    words, lengths, hashes, slots, places, level, table, counts, spelled, pending, ranks = work
    use_stop_words = len(marks) > 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        if i == end:
            continue
        n = 0
        chars = 0
        n_raw = n_no_alpha = n_caps = n_stop = n_sentences = n_symbols = n_curly = n_lorem = 0
        n_lines = n_ellipsis = 0
        word_chars = 0
        # The open raw word, the open normalised word, the open sentence, the open line.
        raw = 0
        raw_start = i
        flags = 0
        h = _START
        length = 0
        word_start = word_end = i
        n_spelled = n_pending = 0
        lorem = False
        in_sentence = False
        line_start, line_chars, line_words, line_word_chars, line_javascript = i, 0, 0, 0, 0
        line_upper = line_numeric = 0
        first_text, last_text = -1, i
        while True:
            at_end = i >= end
            c = _NEWLINE if at_end else np.int64(_CLASS[data[i]])
            if c == _ALNUM:
                begin = i
                if raw != 1:
                    raw, raw_start, flags = 1, i, 0
                    n_raw += 1
                if not in_sentence:
                    in_sentence = True
                    n_sentences += 1
                if length == 0:
                    word_start = i
                    h = _START
                # Eight bytes at a time; load_upto pads with zeros, which are neither letters nor digits.
                while True:
                    v = load_upto(data, i, end)
                    low = v & _LOW7
                    alphabetic = ascii_letters(v)
                    digits = (low + _FROM_0) & ~(low + _FROM_COLON) & ~v & _HIGH_BITS
                    k = lowest_set_byte(~(alphabetic | digits) & _HIGH_BITS)
                    if k < 8:
                        if k == 0:
                            break
                        mask = (_ONE << np.uint64(8 * k)) - _ONE
                        v &= mask
                        alphabetic &= mask
                        digits &= mask
                    capitals = alphabetic & ~(v << np.uint64(2))
                    flags |= (alphabetic != 0) * _HAS_ALPHA | (capitals != 0) * _HAS_UPPER | (capitals != alphabetic) * _HAS_OTHER_CASE
                    line_upper += popcount(capitals)
                    line_numeric += popcount(digits)
                    h = hash_step(h, v | (capitals >> np.uint64(2)))
                    i += k
                    if k < 8:
                        break
                if length:
                    # The word goes on after something that normalising removed or changed.
                    if n_spelled == 0 and n_pending == 0:
                        n_spelled = _copy_lowered(data, word_start, word_end, spelled, 0)
                    n_spelled = _flush(spelled, n_spelled, pending, n_pending)
                    n_pending = 0
                    n_spelled = _copy_lowered(data, begin, i, spelled, n_spelled)
                word_end = i
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
            word_character = c == _UNDERSCORE or (c == _HIGH and bits & t.WORD != 0)
            if raw == 1 and not word_character:
                if not flags & _HAS_ALPHA:
                    n_no_alpha += 1
                if flags & (_HAS_UPPER | _HAS_OTHER_CASE) == _HAS_UPPER:
                    n_caps += 1
                if use_stop_words:
                    # No branch: whether the next word is a stop word cannot be predicted.
                    mark = _mark(data, raw_start, i, seed)
                    p = 4 * (np.int64(mark >> _20) & ((len(marks) >> 2) - 1))
                    n_stop += int((marks[p] == mark) | (marks[p + 1] == mark) | (marks[p + 2] == mark) | (marks[p + 3] == mark))
                raw = 0
            if c == _SPACE or c == _NEWLINE:  # noqa: SIM109 (a tuple costs a loop here)
                raw = 0
                if length:
                    if n_spelled or n_pending:
                        n_spelled = _flush(spelled, n_spelled, pending, n_pending)
                        h = hash_bytes(spelled, 0, n_spelled)
                        n_spelled = n_pending = 0
                    else:
                        h = hash_finish(h, length)
                    h |= _ONE  # 0 marks an empty slot
                    words[n], lengths[n] = h, length
                    n += 1
                    line_words += 1
                    line_word_chars += length
                    if lorem and length >= 5 and _starts_with(data, word_start, i, _IPSUM_BYTES):
                        n_lorem += 1
                    lorem = (
                        length >= 5
                        and (data[i - 1] | 32 == 109 or _CLASS[data[i - 1]] != _ALNUM)
                        and _ends_with(data, word_start, i, _LOREM_BYTES)
                    )
                    if h == _JAVASCRIPT_HASH:
                        line_javascript += 1
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
                numeric = line_numeric / normal_chars if normal_chars else 0.0
                upper = line_upper / line_chars
                line_sum[d, TERMINAL] += terminal
                line_sum[d, JAVASCRIPT] += line_javascript
                line_sum[d, NUM_WORDS] += line_words
                line_sum[d, NUMERIC] += numeric
                line_sum[d, UPPERCASE] += upper
                line_sum[d, BULLET] += bullet
                line_weighted[d, TERMINAL] += terminal * line_chars
                line_weighted[d, JAVASCRIPT] += line_javascript * line_chars
                line_weighted[d, NUM_WORDS] += line_words * line_chars
                line_weighted[d, NUMERIC] += numeric * line_chars
                line_weighted[d, UPPERCASE] += upper * line_chars
                line_weighted[d, BULLET] += bullet * line_chars
                n_lines += 1
                chars += line_chars
                word_chars += line_word_chars
                line_start, line_chars, line_words, line_word_chars, line_javascript = i, 0, 0, 0, 0
                line_upper = line_numeric = 0
                first_text, last_text = -1, i
                if at_end:
                    break
                continue
            # Text that is not an ASCII letter or digit.
            if first_text < 0:
                first_text = i
            if word_character:
                if raw != 1:
                    raw, raw_start, flags = 1, i, 0
                    n_raw += 1
                if not in_sentence:
                    in_sentence = True
                    n_sentences += 1
                if bits & t.UPPER:
                    flags |= _HAS_UPPER
                    line_upper += 1
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
                    line_upper += 1
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
            elif c == _CONTROL or c == _HIGH:  # noqa: SIM109
                if length == 0:
                    word_start = i
                elif n_spelled == 0 and n_pending == 0:
                    n_spelled = _copy_lowered(data, word_start, word_end, spelled, 0)
                if c == _CONTROL:
                    n_spelled, n_pending = _push(np.int64(data[i]), 0, spelled, n_spelled, pending, ranks, n_pending)
                    length += 1
                else:
                    if point == 0x2026:
                        n_symbols += 1
                    sigma = point == t.CAPITAL_SIGMA and length > 0 and _is_final_sigma(data, offsets[d], i, after, end, kind)
                    to = t.FINAL_SIGMA if sigma else np.int64(target[point])
                    if to >= 0:
                        n_spelled, n_pending = _push(to, np.int64(combining[to]), spelled, n_spelled, pending, ranks, n_pending)
                        length += 1
                        line_numeric += 1 if kind[to] & t.NUMERIC else 0
                    else:
                        at = -1 - to
                        for k in range(at + 1, at + 1 + several[at]):
                            to = np.int64(several[k])
                            n_spelled, n_pending = _push(to, np.int64(combining[to]), spelled, n_spelled, pending, ranks, n_pending)
                            length += 1
                            line_numeric += 1 if kind[to] & t.NUMERIC else 0
            line_chars += 1
            i = after
            last_text = i
        doc[d, CHARS] = chars
        doc[d, RAW_WORDS] = n_raw
        doc[d, NO_ALPHA_WORDS] = n_no_alpha
        doc[d, CAPS_WORDS] = n_caps
        doc[d, STOP_WORDS] = n_stop
        doc[d, SENTENCES] = n_sentences
        doc[d, SYMBOLS] = n_symbols
        doc[d, CURLY] = n_curly
        doc[d, LINES] = n_lines
        doc[d, ELLIPSIS_LINES] = n_ellipsis
        doc[d, WORDS] = n
        doc[d, WORD_CHARS] = word_chars
        doc[d, LOREM] = n_lorem
        if n == 0:
            continue
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
        doc[d, BLOCKED] = n_blocked
