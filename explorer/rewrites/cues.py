"""Words that turn a statement round, as one code a term: negators, modal words, quantifiers, comparisons with a number, opposites.

The words are data, in ``polarity.json`` beside this file; here they are told from their harmless neighbours: "not only" negates nothing, "a few" is
not few, "at least" is no superlative, "more than" compares only before a number, and May is a month.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.folded import folded_hash
from explorer.primitives.swar import kernel
from explorer.rewrites import lexicon as lx
from explorer.rewrites.lexicon import found, hashed, language_salt

# Fields of a code: shift and mask. 0 is none in all of them.
NEGATION, _AFTER_NO, MODALITY, QUANTITY, COMPARISON = (np.int64(k) for k in (0, 2, 3, 5, 8))
_FEW, _AT, _THAN, _NO = 1 << 10, 1 << 11, 1 << 12, 1 << 13
OPPOSITE, OPPOSITE_2, RELATION = (np.int64(k) for k in (16, 24, 32))  # twice the number of the pair, plus the side
NO, ALMOST_NO = 1, 2  # NEGATION
POSSIBLE, CERTAIN = 1, 2  # MODALITY
SCARCE, SOME, MANY, ALL = 1, 2, 3, 4  # QUANTITY
MORE, LESS = 1, 2  # COMPARISON
QUESTION, CORRECTS = 1 << 40, 1 << 41  # the sign "?"; "but" of "not X but Y"
STILL, ALREADY, YET, LONGER, PERFECT = (1 << bit for bit in range(42, 47))  # "still"; "now"; "not yet"; "no longer"; "has not"
GRADES = 3 | 3 << MODALITY | 7 << QUANTITY | 3 << COMPARISON  # what is a cue, but for opposites
_MASKS = {NEGATION: 3, _AFTER_NO: 1, MODALITY: 3, QUANTITY: 7, COMPARISON: 3, OPPOSITE: 255, OPPOSITE_2: 255, RELATION: 31}
_NUMERAL = lx.NUMBER | lx.SCALE


@kernel
def field(code, shift):  # type: ignore[no-untyped-def]
    """A field of a code, by its shift."""
    if shift >= OPPOSITE:
        return code >> shift & 255
    if shift == QUANTITY:
        return code >> shift & 7
    return code >> shift & (1 if shift == _AFTER_NO else 3)


@cache
def polarity_table() -> np.ndarray:
    """The words as an open-addressing table: hash mixed with the language's salt, code."""
    said: dict[str, Any] = json.loads(Path(__file__).with_name("polarity.json").read_text(encoding="utf-8"))
    languages: list[str] = lx.words()["languages"]
    codes: dict[tuple[str, int], int] = {}

    def add(words: str, shift: np.int64, value: int, language: int = 0) -> None:
        for word in words.split():
            code = codes.get((word, language), 0)
            if shift == OPPOSITE and code >> OPPOSITE & _MASKS[OPPOSITE]:
                shift_here = OPPOSITE_2
            else:
                shift_here = shift
            if not code >> shift_here & _MASKS.get(shift_here, 1):
                codes[word, language] = code | value << int(shift_here)

    for name, value in (("no", NO), ("almost_no", ALMOST_NO)):
        for language, words in said[name].items():
            add(words, NEGATION, value, languages.index(language))
    for name, shift, value in (
        ("possible", MODALITY, POSSIBLE), ("certain", MODALITY, CERTAIN), ("all", QUANTITY, ALL), ("many", QUANTITY, MANY),
        ("some", QUANTITY, SOME), ("few_", QUANTITY, SCARCE), ("more", COMPARISON, MORE), ("less", COMPARISON, LESS), ("after_no", _AFTER_NO, 1),
    ):  # fmt: skip
        add(said[name], shift, value)
    for shift, name in ((OPPOSITE, "opposites"), (RELATION, "relations")):
        for number, line in enumerate(said[name], 1):
            for side, words in enumerate(line.split("|")):
                add(words, shift, 2 * number + side)
    for word, bit in (("few", _FEW), ("little", _FEW), ("at", _AT), ("than", _THAN), ("no", _NO), ("not", _NO)):
        codes[word, 0] = codes.get((word, 0), 0) | bit
    for name, bit in (("still", STILL), ("already", ALREADY), ("yet", YET), ("longer", LONGER), ("perfect", PERFECT)):
        for word in said[name].split():
            codes[word, 0] = codes.get((word, 0), 0) | bit
    for language, words in said["corrects"].items():
        for word in words.split():
            codes[word, languages.index(language)] = codes.get((word, languages.index(language)), 0) | CORRECTS
    return hashed([(folded_hash(word) ^ int(language_salt(language)), code) for (word, language), code in codes.items()])


@kernel
def _negative_form(data, a, b):  # type: ignore[no-untyped-def]
    """Whether a word is negative by its form: un-, non-, -less."""
    n = b - a
    if n < 6:
        return False
    if data[b - 4] == 108 and data[b - 3] == 101 and data[b - 2] == 115 and data[b - 1] == 115:
        return True
    first, second, third, fourth = data[a] | 32, data[a + 1], data[a + 2], data[a + 3]
    if first == 110 and second == 111 and third == 110:
        return fourth == 45
    if first != 117 or second != 110:
        return False
    # under, until, unless, unit, union, universe, uniform, unique
    return not (third == 100 or third == 116 or third == 108 or third == 105)


@kernel
def _numeral(t, end, flags, words):  # type: ignore[no-untyped-def]
    return t < end and (flags[t] & tm.NUMBER != 0 or words[t] & _NUMERAL != 0)


@kernel
def _resolve(data, t, first, end, start, size, flags, words, raw):  # type: ignore[no-untyped-def]
    """The code of term t among its neighbours."""
    code = np.int64(raw[t])
    before = np.int64(raw[t - 1]) if t > first else np.int64(0)
    after = np.int64(raw[t + 1]) if t + 1 < end else np.int64(0)
    if flags[t] & tm.CAPITAL and not flags[t] & tm.START and code >> MODALITY & 3:  # May, Will
        return np.int64(0)
    keep = code
    than = 1 if after & _THAN else 0
    compares = code >> COMPARISON & 3
    if compares:
        near = t + 1 + than
        numeral = _numeral(near, end, flags, words) or (
            than == 1 and near < end and words[near] & lx.ARTICLE and _numeral(near + 1, end, flags, words)
        )
        if not numeral:
            keep &= ~(3 << COMPARISON)
        else:
            keep &= ~(255 << OPPOSITE | 255 << OPPOSITE_2 | 3 | 31 << RELATION)
            if before & _NO:
                keep = keep & ~(3 << COMPARISON) | (3 - compares) << COMPARISON
    if before & _AT and code >> NEGATION & 3 and not code & _FEW:  # "at least"
        keep = keep & ~3 | MORE << COMPARISON if _numeral(t + 1, end, flags, words) else keep & ~3
    if before & _AT and code >> QUANTITY & 7 == MANY:  # "at most"
        keep = keep & ~(7 << QUANTITY) | (LESS << COMPARISON if _numeral(t + 1, end, flags, words) else 0)
    if code & _FEW and t > first and words[t - 1] & lx.ARTICLE:  # "a few"
        keep = keep & ~(3 | 7 << QUANTITY) | SOME << QUANTITY
    no_more_than = after >> COMPARISON & 3 and t + 2 < end and np.int64(raw[t + 2]) & _THAN
    if code >> NEGATION & 3 == NO and (after >> _AFTER_NO & 1 or no_more_than):  # "not only"
        keep &= ~3
    if before & _NO:  # "no longer" is not long
        keep &= ~(255 << OPPOSITE | 255 << OPPOSITE_2)
    return keep & ~(1 << _AFTER_NO | _FEW | _AT | _THAN | _NO)


@kernel
def _scan(data, offsets, start, size, hashes, flags, words, languages, table, raw, codes):  # type: ignore[no-untyped-def]
    for d in range(len(offsets) - 1):
        first, end = offsets[d], offsets[d + 1]
        salt = language_salt(languages[d])
        for t in range(first, end):
            raw[t] = found(table, hashes[t] ^ salt) if flags[t] & tm.WORD else 0
            if flags[t] & tm.SIGN and data[start[t]] == 63:
                raw[t] = QUESTION
        for t in range(first, end):
            if raw[t] == 0:  # nearly all words
                negative = flags[t] & tm.WORD and _negative_form(data, start[t], start[t] + size[t])
                codes[t] = ALMOST_NO if negative else 0
                continue
            codes[t] = _resolve(data, t, first, end, start, size, flags, words, raw)


@primitive
def cues(batch: Batch) -> np.ndarray:
    """Int64 [terms]: what each term does to the statement it stands in; read it with `field`."""
    terms, codes = tm.terms(batch), lx.codes(batch)
    raw, resolved = np.empty(len(terms.start), np.int64), np.empty(len(terms.start), np.int64)
    _scan(
        tm.frozen(batch.data)[0], terms.offsets, terms.start, terms.size, terms.hash, terms.flags, codes.code, codes.language, polarity_table(), raw, resolved
    )  # fmt: skip
    return resolved
