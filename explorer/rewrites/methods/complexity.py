"""How plain a text is: words a sentence, syllables a word, and how many of its words are common ones.

Words are `plain_words`; sentences are counted as `explorer.primitives.sentences` counts them, in every paragraph (text between blank lines)
anew; syllables by a rule, since a dictionary of them would know English names no better:

    groups of neighbouring vowels (a, e, i, o, u, y, accents aside), less one for a silent ending: -e after a consonant (not -le after
    another), -ed after a consonant that is not d or t, -es after a consonant that is not c, g, h, s, x or z (nor -led or -les after a
    consonant); an e with an accent is heard. At least one; a number is one syllable.

Reading ease is Flesch's formula (1948): 206.835 - 1.015 words / sentences - 84.6 syllables / words.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numba as nb
import numpy as np

from explorer.primitives.batch import Batch, primitive
from explorer.primitives.normalised import normal_tables
from explorer.primitives.plain_words import plain_words
from explorer.primitives.sentences import MAX_WORD, count_sentences, sentence_tables
from explorer.primitives.swar import kernel
from explorer.primitives.unicode import decode

FLESCH = (206.835, 1.015, 84.6)
LEAST_LATIN = 0.5  # of the words: below it a text is not English by any reading, and Flesch's formula is about English
BUNDLED = Path(__file__).with_name("common_words_en.txt")
MIX = np.uint64(0x9E3779B97F4A7C15)
_32 = np.uint64(32)


class Counts(NamedTuple):
    """Counts per document, int64 [n] each."""

    words: np.ndarray
    sentences: np.ndarray  # in paragraphs with a word
    syllables: np.ndarray
    chars: np.ndarray  # code points of the words, as lower-cased and decomposed
    latin: np.ndarray  # words that begin with a Latin letter, accents aside


@nb.njit(nogil=True, cache=True, inline="always")
def _vowel(c):  # type: ignore[no-untyped-def]
    return c == 97 or c == 101 or c == 105 or c == 111 or c == 117 or c == 121


@kernel
def _syllables(letters, n):  # type: ignore[no-untyped-def]
    """Syllables of a word given as lower-case code points."""
    groups = 0
    open_ = False
    for k in range(n):
        vowel = _vowel(letters[k])
        if vowel and not open_:
            groups += 1
        open_ = vowel
    end = n
    last = letters[n - 1]
    if n >= 3 and letters[n - 2] == 101 and (last == 100 or last == 115):  # -ed -es
        end = n - 1
    if groups > 1 and end >= 3 and letters[end - 1] == 101 and not _vowel(letters[end - 2]):
        before = letters[end - 2]
        silent = not (before == 108 and not _vowel(letters[end - 3]))  # -le after a consonant is heard
        if end < n and last == 100:
            silent = silent and before != 100 and before != 116
        elif end < n:
            silent = silent and before != 99 and before != 103 and before != 104 and before != 115 and before != 120 and before != 122
        if silent:
            groups -= 1
    return max(groups, 1)


@kernel
def _words(data, offsets, starts, ends, lower, several, letters, syllables, chars, latin):  # type: ignore[no-untyped-def]
    """Sums over the words of each document; ``letters`` is scratch."""
    for d in range(len(offsets) - 1):
        for t in range(offsets[d], offsets[d + 1]):
            i, end = starts[t], ends[t]
            n = 0
            while i < end:
                point = np.int64(data[i])
                if point < 128:
                    i += 1
                else:
                    point, i = decode(data, i, end)
                small = np.int64(lower[point])
                if small < 0:
                    small = np.int64(several[-small])  # the letter without its accents
                    if _vowel(small):
                        small = np.int64(97)  # an e with an accent is never silent
                if n < len(letters):
                    letters[n] = small
                n += 1
            syllables[d] += _syllables(letters, min(n, len(letters)))
            chars[d] += n
            latin[d] += 1 if 97 <= letters[0] <= 122 else 0


@kernel
def _sentences(data, offsets, word_offsets, starts, classes, abbreviations, points, stack, out):  # type: ignore[no-untyped-def]
    """Sentences of each document, paragraph by paragraph."""
    for d in range(len(offsets) - 1):
        t, last = word_offsets[d], word_offsets[d + 1]
        i, end = offsets[d], offsets[d + 1]
        while t < last:
            stop = i  # the paragraph ends at a blank line
            while stop < end:
                if data[stop] == 10:
                    k = stop + 1
                    while k < end and (data[k] == 32 or data[k] == 9 or data[k] == 13):
                        k += 1
                    if k < end and data[k] == 10:
                        break
                stop += 1
            here = t
            while t < last and starts[t] < stop:
                t += 1
            if t > here:
                out[d] += count_sentences(data, i, stop, classes, abbreviations, points, stack)
            i = stop + 1


@primitive
def counts(batch: Batch) -> Counts:
    """Words, sentences and syllables of every document."""
    n, words, tables, normal = len(batch), plain_words(batch), sentence_tables(), normal_tables()
    found = Counts(np.diff(words.offsets), *(np.zeros(n, np.int64) for _ in range(4)))
    _words(
        batch.data, words.offsets, words.start, words.end, normal.target, normal.several, np.empty(256, np.int64),
        found.syllables, found.chars, found.latin,
    )  # fmt: skip
    points, stack = np.empty(MAX_WORD, np.int32), np.empty(MAX_WORD, np.uint8)
    _sentences(batch.data, batch.offsets, words.offsets, words.start, tables.classes, tables.abbreviations, points, stack, found.sentences)
    return found


def flesch(words: np.ndarray, sentences: np.ndarray, syllables: np.ndarray) -> np.ndarray:
    """Flesch's reading ease; NaN where there is no word. 60 to 70 is plain English, below 30 is hard, above 90 very easy.

    Example:
        >>> round(float(flesch(np.array([100]), np.array([5]), np.array([140]))[0]), 3)
        68.095

    """
    base, per_word, per_syllable = FLESCH
    with np.errstate(divide="ignore", invalid="ignore"):
        value = base - per_word * np.asarray(words) / sentences - per_syllable * np.asarray(syllables) / words
    return np.where((np.asarray(words) > 0) & (np.asarray(sentences) > 0), value, np.nan)


def flesch_of(batch: Batch) -> np.ndarray:
    """Reading ease of every document; NaN also where fewer than half of the words begin with a Latin letter."""
    found = counts(batch)
    return np.where(found.latin >= LEAST_LATIN * found.words, flesch(found.words, found.sentences, found.syllables), np.nan)


def sentence_words(batch: Batch) -> np.ndarray:
    """Mean words a sentence; NaN where there is no word."""
    found = counts(batch)
    return np.where(found.sentences > 0, found.words / np.maximum(found.sentences, 1), np.nan)


@kernel
def _among(offsets, hashes, table, out):  # type: ignore[no-untyped-def]
    mask = len(table) - 1
    for d in range(len(offsets) - 1):
        for t in range(offsets[d], offsets[d + 1]):
            slot = np.int64((hashes[t] * MIX) >> _32) & mask
            while table[slot] != 0 and table[slot] != hashes[t]:
                slot = (slot + 1) & mask
            out[d] += table[slot] == hashes[t]


@kernel
def _fill(hashes, table):  # type: ignore[no-untyped-def]
    mask = len(table) - 1
    for h in hashes:
        slot = np.int64((h * MIX) >> _32) & mask
        while table[slot] != 0 and table[slot] != h:
            slot = (slot + 1) & mask
        table[slot] = h


@lru_cache(maxsize=8)
def _table(path: str, changed: int) -> np.ndarray:
    from explorer.rewrites.methods.common_words import load

    hashes = plain_words(Batch.of(load(path))).hash
    table = np.zeros(1 << max(4, int(4 * len(hashes)).bit_length()), np.uint64)
    _fill(hashes, table)
    return table


def common_share(batch: Batch, path: str = "") -> np.ndarray:
    """Share of a document's words that are on a list of common ones; NaN where there is no word.

    Args:
        batch: documents.
        path: a file of words, one a line; the bundled list if empty.

    """
    file = Path(path).expanduser() if path else BUNDLED
    words = plain_words(batch)
    found = np.zeros(len(batch), np.int64)
    _among(words.offsets, words.hash, _table(str(file), file.stat().st_mtime_ns if file.exists() else 0), found)
    total = np.diff(words.offsets)
    return np.where(total > 0, found / np.maximum(total, 1), np.nan)
