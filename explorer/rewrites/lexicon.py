"""What a word can be in a fact (a number, a unit, a month, a title …), as one code a term that kernels read.

The words are data, in ``lexicon.json`` beside this file. Several languages share a table: each has its keys mixed with a salt of its own,
and a document is looked up under the language that its commonest words tell.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.folded import folded_hash, hash_plain
from explorer.primitives.swar import SEED, hash_finish, hash_step, kernel

# Roles of a word: bits 0-27 of its code.
_ROLES = [
    "number",
    "scale",
    "ordinal",
    "weak",
    "part",
    "title",
    "particle",
    "generic",
    "label",
    "bc",
    "ad",
    "per",
    "percent",
    "am",
    "pm",
    "oclock",
    "noon",
    "article",
    "and",
    "to",
    "power",
    "dating",
    "clock",
    "function",
    "common",
    "month_before",
    "not_number",
    "united",
]
(
    NUMBER, SCALE, ORDINAL, WEAK, PART, TITLE, PARTICLE, GENERIC, LABEL, BC, AD, PER, PERCENT, AM, PM, OCLOCK, NOON, ARTICLE, AND, TO, POWER,
    DATING, CLOCK, FUNCTION, COMMON, MONTH_BEFORE, NOT_NUMBER, UNITED,
) = (1 << bit for bit in range(len(_ROLES)))  # fmt: skip
# Fields above them; 0 is none.
VALUE_SHIFT, VALUE_MASK = 28, 511  # number: row of `Lexicon.mantissa` and `exponent`
UNIT_SHIFT, UNIT_MASK = 37, 511  # row of the columns `unit_…`
MONTH_SHIFT, MONTH_MASK = 46, 15
WEEKDAY_SHIFT, WEEKDAY_MASK = 50, 7
GROUP_SHIFT, GROUP_MASK = 53, 511  # words that stand for one another in names

ENGLISH, GERMAN = 0, 1
_TOLD_BY = 400  # terms at the beginning of a document that tell its language
_SALT = np.uint64(0x9E3779B97F4A7C15)
_48, _51, _7, _1 = np.uint64(48), np.uint64(51), np.uint64(7), np.uint64(1)


class Lexicon(NamedTuple):
    """What kernels look up."""

    keys: np.ndarray  # uint64 [2**k, 2]: salted hash, code; a code of 0 is an empty row
    bitmap: np.ndarray  # uint8 [8192]: bit (salted hash >> 48) is set for every key
    telling: np.ndarray  # uint64 [2**k, 2]: hash, language + 1
    sheet: np.ndarray  # int64 [512, columns]: values of number words, units, units of one letter, by the columns below
    phrases: np.ndarray  # uint64 [2**k, 2]: two words (`phrase_key`) that are a group together, the group
    extensions: np.ndarray  # uint64 [2**k, 2]: hashes of file endings


class Codes(NamedTuple):
    """``code`` int64 [terms], 0 where a word is nothing in particular; ``language`` uint8 [n], ENGLISH where nothing tells it."""

    code: np.ndarray
    language: np.ndarray


# Columns of `Lexicon.sheet`: by a number word's row its value, whole number times power of ten; by a unit's row its dimension (units of one
# dimension can be converted), whole factor and power of ten; by an ASCII letter's byte the row of its unit; by one of the names below its row.
MANTISSA, EXPONENT, DIMENSION, FACTOR, POWER_OF_TEN, LETTER, SPECIAL = range(7)
_SHEET = (512, 7)
# Units that the grammar names itself.
_SPECIAL = ("percent", "degree", "celsius", "fahrenheit", "kph", "mph", "km", "mile", "hour", "century", "year", "#ordinal")
PERCENT_UNIT, DEGREE, CELSIUS, FAHRENHEIT, KPH, MPH, KILOMETRE, MILE, HOUR, CENTURY, YEAR, ORDINAL_UNIT = range(12)


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(word, value) for word, _, value in (item.rpartition("=") for item in text.split())]


def _decimal(value: str) -> tuple[int, int]:
    """A decimal number as whole number and power of ten, without zeros at the end."""
    if value.endswith("e900"):
        return int(value[:-4]), 900
    whole, _, part = value.partition(".")
    mantissa, exponent = int(whole + part), -len(part)
    while mantissa and mantissa % 10 == 0:
        mantissa, exponent = mantissa // 10, exponent + 1
    return mantissa, exponent if mantissa else 0


@cache
def words() -> dict[str, Any]:
    """The lexicon as it is written."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("lexicon.json").read_text(encoding="utf-8"))
    return found


@cache
def lexicon() -> Lexicon:
    """The lexicon as the kernels read it, built once a process."""
    said = words()
    languages: list[str] = said["languages"]
    values: dict[tuple[int, int], int] = {(0, 0): 0}
    everywhere: dict[str, int] = {}  # in every language
    own: dict[str, dict[str, int]] = {language: {} for language in languages}

    def add(table: dict[str, int], word: str, roles: int, value: tuple[int, int] | None = None, **fields: int) -> None:
        code = table.get(word, 0) | roles
        if value is not None:
            code = code & ~(VALUE_MASK << VALUE_SHIFT) | values.setdefault(value, len(values)) << VALUE_SHIFT
        for name, shift in (("unit", UNIT_SHIFT), ("month", MONTH_SHIFT), ("weekday", WEEKDAY_SHIFT), ("group", GROUP_SHIFT)):
            code |= fields.get(name, 0) << shift
        table[word] = code

    for language in languages:
        table = own[language]
        for word in said["function"][language].split():
            add(table, word, FUNCTION | COMMON)
        for role, name in ((WEAK, "weak"), (NUMBER, "numbers")):
            for word, value in _pairs(said[name][language]):
                add(table, word, role, _decimal(value))
        for word, value in _pairs(said["scales"][language]):
            add(table, word, SCALE, (1, int(value)))
        for word, value in _pairs(said["months"][language]):
            add(table, word, 0, month=int(value))
        for word, value in _pairs(said["weekdays"][language]):
            add(table, word, 0, weekday=int(value))
    for name, role in (("parts", PART), ("ordinals", ORDINAL)):
        for word, value in _pairs(said[name]):
            known = own["en"].get(word, 0)
            add(own["en"], word, role | (WEAK if word in ("first", "second") else 0), None if known & WEAK else _decimal(value))
    for line in said["common"]:
        for word in line.split():
            add(own["en"], word, COMMON)
    for role, listed in said["roles"].items():
        for word in listed.split():
            add(everywhere, word, 1 << _ROLES.index(role) if role in _ROLES else 0)
    for word, power in (("square", 2), ("sq", 2), ("cubic", 3), ("cu", 3)):
        add(everywhere, word, POWER, (power, 0))
    for word, minutes in (("noon", 720), ("midday", 720), ("midnight", 0)):
        add(everywhere, word, NOON, (minutes, 0))
    groups = {}
    for number, line in enumerate(said["same"], 1):
        for word in line.split():
            add(own["en"], word, 0, group=number)
            groups[word] = number
    dimensions: dict[str, int] = {}
    unit_rows = [(0, 1, 0)]
    for dimension, factor, exponent, names in said["units"]:
        unit_rows.append((dimensions.setdefault(dimension, len(dimensions) + 1), factor, exponent))
        for word in names.split():
            if not everywhere.get(word, 0) >> UNIT_SHIFT & UNIT_MASK:
                add(everywhere, word, 0, unit=len(unit_rows) - 1)

    def unit(word: str) -> int:
        return everywhere[word] >> UNIT_SHIFT & UNIT_MASK

    sheet = np.zeros(_SHEET, np.int64)
    sheet[: len(values), [MANTISSA, EXPONENT]] = list(values)
    sheet[: len(unit_rows), [DIMENSION, FACTOR, POWER_OF_TEN]] = unit_rows
    for letter, word in said["letters"].items():
        if letter.isascii():
            sheet[ord(letter), LETTER] = unit(word)
    sheet[: len(_SPECIAL), SPECIAL] = [*map(unit, _SPECIAL)]
    entries = []
    for number, language in enumerate(languages):
        for word in {**everywhere, **own[language]}:
            merged = _merged(everywhere.get(word, 0), own[language].get(word, 0))
            entries.append((folded_hash(word) ^ (number * int(_SALT) & 0xFFFFFFFFFFFFFFFF), merged))
    bitmap = np.zeros(8192, np.uint8)
    for key, _ in entries:
        bitmap[key >> 51] |= 1 << (key >> 48 & 7)
    telling = [(folded_hash(word), number + 1) for number, language in enumerate(languages) for word in said["telling"][language].split()]
    phrases = hashed(
        [(int(phrase_key(np.uint64(folded_hash(a)), np.uint64(folded_hash(b)))), groups[c]) for a, b, c in map(str.split, said["phrases"])]
    )
    endings = hashed([(folded_hash(word), 1) for word in said["extensions"].split()])
    return Lexicon(hashed(entries), bitmap, hashed(telling), sheet, phrases, endings)


def _merged(one: int, other: int) -> int:
    """Two codes of a word together; where both have a field the second's counts."""
    merged = (one | other) & ((1 << VALUE_SHIFT) - 1)
    for shift, mask in (
        (VALUE_SHIFT, VALUE_MASK),
        (UNIT_SHIFT, UNIT_MASK),
        (MONTH_SHIFT, MONTH_MASK),
        (WEEKDAY_SHIFT, WEEKDAY_MASK),
        (GROUP_SHIFT, GROUP_MASK),
    ):
        merged |= ((other >> shift & mask) or (one >> shift & mask)) << shift
    return merged


def hashed(entries: list[tuple[int, int]]) -> np.ndarray:
    """(key, value) as an open-addressing table, at most half full; a value is never 0, and the first of a key counts."""
    size = 16
    while size < 2 * len(entries):
        size *= 2
    table = np.zeros((size, 2), np.uint64)
    for key, value in entries:
        slot = key % size
        while table[slot, 1] and table[slot, 0] != key:
            slot = (slot + 1) % size
        if not table[slot, 1] and value:
            table[slot] = key, value
    return table


@kernel
def found(table, key):  # type: ignore[no-untyped-def]
    """The value of a key in a table made by `hashed`, 0 where there is none."""
    slot = np.int64(key & np.uint64(len(table) - 1))
    while table[slot, 1] != 0:
        if table[slot, 0] == key:
            return np.int64(table[slot, 1])
        slot = (slot + 1) & (len(table) - 1)
    return np.int64(0)


@kernel
def phrase_key(one, other):  # type: ignore[no-untyped-def]
    """Key of two words that follow each other, by their hashes."""
    return hash_finish(hash_step(hash_step(SEED, np.uint64(one)), np.uint64(other)), 2)


@kernel
def word_code(keys, bitmap, salt, h):  # type: ignore[no-untyped-def]
    """The code of the word with this hash in the language of this salt."""
    key = h ^ salt
    if not (bitmap[key >> _51] >> ((key >> _48) & _7)) & 1:
        return np.int64(0)
    return found(keys, key)


@kernel
def language_salt(language):  # type: ignore[no-untyped-def]
    """What a language's hashes are mixed with; 0 for English."""
    return np.uint64(language) * _SALT


@kernel
def _look_up(data, offsets, start, size, hashes, flags, keys, bitmap, telling, votes, codes, languages):  # type: ignore[no-untyped-def]
    for d in range(len(offsets) - 1):
        first, end = offsets[d], offsets[d + 1]
        votes[:] = 0
        for t in range(first, min(end, first + _TOLD_BY)):
            if flags[t] & tm.WORD:
                votes[found(telling, hashes[t])] += 1
        best = 0
        for k in range(1, len(votes) - 1):
            if votes[k + 1] > votes[best + 1]:
                best = k
        languages[d] = best
        salt = language_salt(best)
        for t in range(first, end):
            h = hashes[t]
            if flags[t] & tm.POSSESSIVE:  # "France's" is looked up as "France"
                stop = start[t] + size[t] - (2 if data[start[t] + size[t] - 2] == 39 else 4)
                if flags[t] & tm.SNAKE == 0:
                    h = hash_plain(data, start[t], stop)
            codes[t] = word_code(keys, bitmap, salt, h) if flags[t] & (tm.WORD | tm.SIGN) else 0


@primitive
def codes(batch: Batch) -> Codes:
    """What every term can be in a fact."""
    found_terms, table = tm.terms(batch), lexicon()
    code, language = np.empty(len(found_terms.start), np.int64), np.empty(len(batch), np.uint8)
    votes = np.zeros(len(words()["languages"]) + 1, np.int64)
    _look_up(
        tm.frozen(batch.data)[0],
        found_terms.offsets,
        found_terms.start,
        found_terms.size,
        found_terms.hash,
        found_terms.flags,
        table.keys,
        table.bitmap,
        table.telling,
        votes,
        code,
        language,
    )
    return Codes(code, language)
