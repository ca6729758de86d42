"""Per-document sums over the tokens."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

from explorer.primitives import words as w
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.swar import popcount

HAS_LETTER, NOT_SYMBOL, STOP_SHIFT = w.HAS_LETTER, w.NOT_SYMBOL, w.STOP_SHIFT


class WordCounts(NamedTuple):
    """Counts per document, int64 [n] each."""

    tokens: np.ndarray
    words: np.ndarray  # tokens with a character outside datatrove's punctuation set
    word_chars: np.ndarray  # their code points
    with_letter: np.ndarray  # tokens with an alphabetic character
    stop_words: np.ndarray  # different stop words, of eight


@nb.njit(nogil=True, cache=True)
def _count(offsets: np.ndarray, chars: np.ndarray, flags: np.ndarray) -> Any:
    n = len(offsets) - 1
    words, word_chars, letters, stops = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for d in range(n):
        count = total = alphabetic = np.int64(0)
        seen = np.int64(0)  # bit s: stop word s occurred; bit 0 is set by every other token
        for t in range(offsets[d], offsets[d + 1]):
            f = np.int64(flags[t])
            word = (f >> 1) & 1
            count += word
            total += word * chars[t]
            alphabetic += f & 1
            seen |= np.int64(1) << (f >> STOP_SHIFT)
        words[d], word_chars[d], letters[d], stops[d] = count, total, alphabetic, popcount(np.uint64(seen & ~1))
    return words, word_chars, letters, stops


@primitive
def word_counts(batch: Batch) -> WordCounts:
    """Tokens, words, letters and stop words of each document."""
    tokens = w.words(batch)
    return WordCounts(np.diff(tokens.offsets), *_count(tokens.offsets, tokens.chars, tokens.flags))
