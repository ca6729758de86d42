"""WRAP's four styles: whether a rewrite has what its declared style promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba as nb
import numpy as np
import pyarrow as pa

from explorer.primitives.batch import Batch, primitive
from explorer.primitives.swar import ONES, equal_bytes, kernel, load_upto, lowest_set_byte
from explorer.registry import Columns, Signal, family
from explorer.rewrites.methods.complexity import common_share, counts, sentence_words

# What prompts and datasets call the four styles; the first that stands in the declared style counts.
STYLES = {
    "qa": ("qa", "q&a", "q_a", "question"),
    "easy": ("easy", "toddler", "simple", "child"),
    "hard": ("hard", "terse", "abstruse", "scholar"),
    "medium": ("medium", "wiki"),
}
SENTENCE = (8.0, 40.0)  # words a sentence of encyclopedic English; ours
COLONS, WIDE = ONES * np.uint64(0x3A), ONES * np.uint64(0x9A)

_RULES = (
    "ours but for the tendency, which WRAP's prompts ask for. easy: sentences not longer than the original's and no fewer common words. "
    "hard: fewer common words. qa: turns that begin with Question and alternate with Answer. medium: no turns, and "
    f"{SENTENCE[0]:g} to {SENTENCE[1]:g} words a sentence."
)
_LIST = "Which words are common is a list (parameter common): the bundled one is small and of old prose; count your originals for figures to publish."
_SENTENCES = "Sentences end at their marks: lists and verse without any are one long sentence."


def style_of(declared: str | None) -> str | None:
    """Which of WRAP's styles (easy, medium, hard, qa) a declared one means; None for another.

    Example:
        >>> style_of("wrap-easy"), style_of("guided")
        ('easy', None)

    """
    said = (declared or "").lower()
    return next((style for style, names in STYLES.items() if any(name in said for name in names)), None)


class Turns(NamedTuple):
    """Questions and answers of each document, by their labels.

    Attributes:
        pairs: int64 [n], questions that an answer follows at once.
        any: bool [n], whether there is a label at all.
        alternate: bool [n], whether questions and answers take turns, from a question to an answer.
    """

    pairs: np.ndarray
    any: np.ndarray
    alternate: np.ndarray


@nb.njit(nogil=True, cache=True, inline="always")
def _letter(byte):  # type: ignore[no-untyped-def]
    return 97 <= (byte | 32) <= 122


@nb.njit(nogil=True, cache=True, inline="always")
def _word(byte):  # type: ignore[no-untyped-def]
    return 97 <= (byte | 32) <= 122 or 48 <= byte <= 57 or byte == 95 or byte >= 128


@kernel
def _label(data, start, i):  # type: ignore[no-untyped-def]
    """The label that ends before byte i: 1 for a question, 2 for an answer, 0 for none. "Question 3**", or "Q3" at the start of a line."""
    k = i - 1
    marks = 0
    while k >= start and marks < 3 and not _word(data[k]) and data[k] != 10:
        k -= 1
        marks += 1
    while k >= start and 48 <= data[k] <= 57:
        k -= 1
    while k >= start and (data[k] == 32 or data[k] == 35):  # "Question #3"
        k -= 1
    last = k
    while k >= start and last - k < 9 and _letter(data[k]):
        k -= 1
    if k >= start and _word(data[k]):
        return 0
    size, first = last - k, data[k + 1] | 32 if last > k else 0
    if size == 8 and first == 113:
        kind, spelt = 1, data[k + 2] | 32 == 117 and data[k + 3] | 32 == 101 and data[k + 5] | 32 == 116 and data[last] | 32 == 110
    elif size == 6 and first == 97:
        kind, spelt = 2, data[k + 2] | 32 == 110 and data[k + 3] | 32 == 115 and data[k + 4] | 32 == 119 and data[last] | 32 == 114
    else:
        kind, spelt = 1 if first == 113 else 2, size == 1 and (first == 113 or first == 97)
        while spelt and k >= start and data[k] != 10:
            spelt = not _word(data[k])
            k -= 1
    return kind if spelt else 0


@kernel
def _turns(data, offsets, pairs, some, alternate):  # type: ignore[no-untyped-def]
    """Fill the arrays of `Turns`."""
    for d in range(len(offsets) - 1):
        start, i, end = offsets[d], offsets[d], offsets[d + 1]
        before = 2  # as if an answer stood before the first question
        alternate[d] = True
        while i < end:
            v = load_upto(data, i, end)
            k = lowest_set_byte(equal_bytes(v, COLONS) | equal_bytes(v, WIDE))
            i += k
            if k == 8 or i >= end:
                continue
            # U+FF1A ends in 9A
            if data[i] == 58 or (i - start >= 2 and data[i - 1] == 0xBC and data[i - 2] == 0xEF):
                kind = _label(data, start, i if data[i] == 58 else i - 2)
                if kind:
                    some[d] = True
                    alternate[d] = alternate[d] and kind != before
                    pairs[d] += kind == 2 and before == 1
                    before = kind
            i += 1
        alternate[d] = alternate[d] and some[d] and before == 2


@primitive
def turns(batch: Batch) -> Turns:
    """Questions and answers of every document."""
    n = len(batch)
    found = Turns(np.zeros(n, np.int64), np.zeros(n, bool), np.zeros(n, bool))
    _turns(batch.data, batch.offsets, *found)
    return found


def style_ok(
    styles: Sequence[str | None], sentence_before: np.ndarray, sentence_after: np.ndarray, common_gain: np.ndarray, said: Turns
) -> np.ndarray:
    """1 where a rewrite has what its style promises, 0 where not; NaN for another style and where a figure is undefined.

    Args:
        styles: easy, medium, hard, qa or None.
        sentence_before: mean words a sentence of the original.
        sentence_after: that of the rewrite.
        common_gain: share of common words of the rewrite minus that of its original.
        said: turns of the rewrite, see `turns`.

    """
    asked = np.array([s or "" for s in styles], dtype="<U6")
    with np.errstate(invalid="ignore"):
        rules = {
            "easy": ((sentence_after <= sentence_before) & (common_gain >= 0), sentence_after + sentence_before + common_gain),
            "hard": (common_gain < 0, common_gain),
            "qa": (said.alternate, np.zeros(len(asked))),
            "medium": (~said.any & (sentence_after >= SENTENCE[0]) & (sentence_after <= SENTENCE[1]), sentence_after),
        }
    ok = np.full(len(asked), np.nan)
    for style, (passes, needs) in rules.items():
        ok = np.where((asked == style) & ~np.isnan(needs), passes, ok)
    return ok


@family(
    version=1,
    source="Maini et al. 2024 (WRAP), arXiv:2401.16380: the styles; the tests are ours",
    scope="pair",
    reads=("text", "original", "style"),
    audit=False,
    signals=[
        Signal("wrap_sentence_ratio", "words a sentence of the rewrite per word a sentence of the original", "Mean length of the rewrite's sentences over that of its original's.", "two_sided", (0, None), misleads=_SENTENCES),
        Signal("wrap_word_len_ratio", "letters a word of the rewrite per letter a word of the original", "Mean length of the rewrite's words over that of its original's.", "two_sided", (0, None), misleads="Names and numbers count as words."),
        Signal("wrap_common_gain", "fraction of words", "Share of common words in the rewrite minus that in its original.", "two_sided", (-1, 1), misleads=_LIST),
        Signal("wrap_qa_turns", "turns", "Questions that an answer follows at once, by their labels (“Question:”, “Q:”, “Answer:”, “A:”).", "descriptive", (0, None), "int64", "Labels are English."),
        Signal("wrap_style", "style", "Which of WRAP's styles the declared one means: easy, medium, hard or qa.", dtype="string", misleads="By words in the style's name; null for other styles and where none is declared."),
        Signal("wrap_style_ok", "0 or 1", "1 where the rewrite has what its style promises.", "higher_is_better", (0, 1), source=_RULES, misleads=f"Tells the wrong form, never the wrong content. {_LIST} {_SENTENCES}"),
    ],
)  # fmt: skip
def wrap(original: Batch, rewrite: Batch, *, common: str = "") -> Columns:
    """Sentence length, word length, common words and turns of a rewrite against its original, and whether its declared style has been met.

    WRAP has no filter after rewriting. That a style brings no knowledge of its own in is another question: look at rewrites that are near
    their original in meaning and still have numbers or names that it has not.

    Args:
        original: the originals.
        rewrite: the rewrites; their style is the column that plays this role.
        common: a file of common words, one a line; the bundled list of 2,000 if empty.

    Raises:
        SignalError: the file of common words cannot be used.

    """
    before, after = counts(original), counts(rewrite)
    long_before, long_after = sentence_words(original), sentence_words(rewrite)
    gain = common_share(rewrite, common) - common_share(original, common)
    said = turns(rewrite)
    declared = rewrite.columns.get("style")
    names = [None] * len(rewrite) if declared is None else _text(declared)
    styles = [style_of(name) for name in names]
    with np.errstate(divide="ignore", invalid="ignore"):
        letters = (after.chars / after.words) / (before.chars / before.words)
        ratio = long_after / long_before
    return {
        "wrap_sentence_ratio": ratio,
        "wrap_word_len_ratio": letters,
        "wrap_common_gain": gain,
        "wrap_qa_turns": said.pairs,
        "wrap_style": pa.array(styles, pa.string()),
        "wrap_style_ok": style_ok(styles, long_before, long_after, gain, said),
    }


def _text(column: pa.Array) -> list[str | None]:
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return column.cast(pa.string()).to_pylist()
