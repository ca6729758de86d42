"""Whether a fact of one text stands in the other: the set of everything that a text states, and what is looked for in it.

A text's set holds keys of its words (stems, groups of names, acronyms), of its facts and of what they contain: the year of a date, a number without
its unit. Sets of all pairs share one table; an entry counts only under the stamp of its pair, so that nothing is ever cleared.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.swar import kernel
from explorer.rewrites import facts as fa
from explorer.rewrites.align import place
from explorer.rewrites.grammar import names as na
from explorer.rewrites.grammar.dates import date_key
from explorer.rewrites.grammar.pieces import part_hashes, tagged
from explorer.rewrites.lexicon import found, phrase_key, word_code

# What a key stands for, so that a bare 12 is not taken for 12 metres.
_BARE, _WITH_UNIT, _WITHOUT_PER, _WITH_PER, _SECOND, _THREE, _DEGREES, _LETTERS, _HOUR = (np.int64(k) for k in range(41, 50))
ANY_PART, EVERY_PART = np.int64(0), np.int64(1)  # of a name must stand in the other text
_FAINT, _UNIT, _PER, _LOOSE, _WHOLE, _LONE_YEAR = fa.FAINT, fa.UNIT, fa.PER, fa.LOOSE, fa.WHOLE, fa.LONE_YEAR
_SPOKEN = tm.WORD | tm.NUMBER | tm.UNSPACED


class Text(NamedTuple):
    """The terms of a batch as these kernels read them."""

    start: np.ndarray
    size: np.ndarray
    hashes: np.ndarray
    stems: np.ndarray
    flags: np.ndarray
    codes: np.ndarray  # of the lexicon
    sentences: np.ndarray  # first term of each, and the end


class Stated(NamedTuple):
    """The facts of a batch as these kernels read them; as in `Facts`."""

    kind: np.ndarray
    flags: np.ndarray
    first: np.ndarray
    last: np.ndarray
    key: np.ndarray
    value: np.ndarray
    bare: np.ndarray
    second: np.ndarray
    mantissa: np.ndarray
    exponent: np.ndarray
    unit: np.ndarray
    part_offsets: np.ndarray
    parts: np.ndarray


@kernel
def has(table, stamp, key):  # type: ignore[no-untyped-def]
    """Whether a text's set has a key."""
    keys, stamps = table
    return stamps[place(keys, stamps, stamp, key)] == stamp


@kernel
def _add(table, stamp, key):  # type: ignore[no-untyped-def]
    keys, stamps = table
    slot = place(keys, stamps, stamp, key)
    keys[slot], stamps[slot] = key, stamp


@kernel
def _add_group(code, size, flags, table, stamp):  # type: ignore[no-untyped-def]
    """Put the group of names that a word belongs to into the set; "us" and "un" are words, too."""
    group = na.group_of(code)
    if group and (size > 2 or flags & (tm.CAPITALS | tm.DOTTED)):
        _add(table, stamp, na.group_key(group))


@kernel
def _add_parts(data, a, b, flags, lexicon, folding, salt, table, stamp):  # type: ignore[no-untyped-def]
    """Put the parts of the hyphenated word ``data[a:b]`` into the set."""
    begin = a
    for i in range(a, b + 1):
        if i < b and data[i] != 45:
            continue
        h, stem = part_hashes(data, begin, i, folding)
        _add(table, stamp, stem)
        if i > begin and 65 <= data[begin] <= 90:
            _add(table, stamp, na.root_key(data, begin, i))
            _add_group(word_code(lexicon[0], lexicon[1], salt, h), i - begin, flags, table, stamp)
        begin = i + 1


@kernel
def add_words(data, first, end, text, lexicon, folding, salt, table, stamp):  # type: ignore[no-untyped-def]
    """Put the words ``first:end`` of a text into its set: stems, roots and groups of names, acronyms, parts of hyphenated words."""
    phrases = lexicon[4]
    for t in range(first, end):
        has_flags, a, b = text.flags[t], text.start[t], text.start[t] + text.size[t]
        if not has_flags & (tm.WORD | tm.UNSPACED):
            continue
        _add(table, stamp, text.stems[t])
        _add_group(text.codes[t], b - a, has_flags, table, stamp)
        if has_flags & (tm.CAPITALS | tm.DOTTED):
            key = na.acronym_of(data, a, b)
            if key:
                _add(table, stamp, key)
        if has_flags & tm.CAPITAL:
            _add(table, stamp, na.root_key(data, a, b))
            if t + 1 < end and text.flags[t + 1] & tm.CAPITAL:
                group = found(phrases, phrase_key(text.hashes[t], text.hashes[t + 1]))
                if group:
                    _add(table, stamp, na.group_key(group))
        if has_flags & tm.HYPHEN:
            _add_parts(data, a, b, has_flags, lexicon, folding, salt, table, stamp)


@kernel
def _add_dates(year, month, day, table, stamp):  # type: ignore[no-untyped-def]
    """Put a date and what it contains into the set: year and month, year, month and day, month."""
    _add(table, stamp, date_key(year, month, day))
    if day:
        _add(table, stamp, date_key(year, month, np.int64(0)))
        _add(table, stamp, date_key(np.int64(0), month, day))
    if month:
        _add(table, stamp, date_key(np.int64(0), month, np.int64(0)))
        _add(table, stamp, date_key(year, np.int64(0), np.int64(0)))


@kernel
def add_facts(a, b, facts, table, stamp):  # type: ignore[no-untyped-def]
    """Put the facts ``a:b`` into the set of their text, but for bare numbers."""
    for f in range(a, b):
        kind, flags = facts.kind[f], facts.flags[f]
        _add(table, stamp, facts.key[f])
        if kind == fa.NUMBER and flags & _UNIT:
            _add(table, stamp, tagged(_WITH_UNIT, facts.bare[f]))
            _add(table, stamp, tagged(_WITH_PER if flags & _PER else _WITHOUT_PER, facts.value[f]))
        elif kind == fa.DATE and flags & _WHOLE:
            _add_dates(facts.mantissa[f], facts.exponent[f] >> 5, facts.exponent[f] & 31, table, stamp)
        elif kind == fa.NAME and facts.value[f] and not flags & fa.ACRONYM:
            _add(table, stamp, tagged(_LETTERS, facts.value[f]))
        if facts.second[f]:
            _add(table, stamp, tagged(_DEGREES if flags & _LOOSE else _SECOND, facts.second[f]))
            if kind == fa.DATE:
                _add(table, stamp, facts.second[f])


@kernel
def add_bare(a, b, facts, table, other, stamp):  # type: ignore[no-untyped-def]
    """Put bare numbers into the set, but for those that stand in the other text just so: these are accounted for already."""
    for f in range(a, b):
        if facts.bare[f] == 0 or facts.flags[f] & _UNIT:
            continue
        if facts.kind[f] == fa.TIME:
            _add(table, stamp, tagged(_HOUR, facts.bare[f]))
        elif not has(other, stamp, facts.key[f]):
            _add(table, stamp, tagged(_BARE, facts.bare[f]))


@kernel
def add_threes(first, end, text, table, stamp):  # type: ignore[no-untyped-def]
    """Put every three words in a row of a text into its set."""
    one = two = np.uint64(0)
    n = 0
    for t in range(first, end):
        if text.flags[t] & _SPOKEN:
            n += 1
            if n >= 3:
                _add(table, stamp, tagged(_THREE, phrase_key(phrase_key(one, two), text.hashes[t])))
            one, two = two, text.hashes[t]


@kernel
def _quoted(first, end, text, table, stamp):  # type: ignore[no-untyped-def]
    """Whether all rows of three words of a quotation stand in a text."""
    one = two = np.uint64(0)
    n = 0
    for t in range(first, end):
        if text.flags[t] & _SPOKEN:
            n += 1
            if n >= 3 and not has(table, stamp, tagged(_THREE, phrase_key(phrase_key(one, two), text.hashes[t]))):
                return False
            one, two = two, text.hashes[t]
    return n >= 3


@kernel
def _number(f, facts, table, stamp):  # type: ignore[no-untyped-def]
    """Whether a number stands in a text: with its unit, or one of the two without a unit and the other not accounted for, or read otherwise."""
    flags, bare, second = facts.flags[f], facts.bare[f], facts.second[f]
    if has(table, stamp, facts.key[f]) or has(table, stamp, tagged(_BARE, bare)) or has(table, stamp, tagged(_SECOND, bare)):
        return True
    if flags & _UNIT:
        if has(table, stamp, tagged(_WITHOUT_PER if flags & _PER else _WITH_PER, facts.value[f])):
            return True
        # degrees of some scale and of no scale
        return second != 0 and has(table, stamp, tagged(_SECOND if flags & _LOOSE else _DEGREES, second))
    if has(table, stamp, tagged(_WITH_UNIT, bare)) or has(table, stamp, tagged(_HOUR, bare)):
        return True
    if second == 0:
        return False
    return has(table, stamp, tagged(_BARE, second)) or has(table, stamp, second) or has(table, stamp, tagged(_WITH_UNIT, second))


@kernel
def _date(f, facts, table, stamp):  # type: ignore[no-untyped-def]
    """Whether a date stands in a text: as it is, inside a fuller one, or its day and its year apart."""
    flags, second, bare = facts.flags[f], facts.second[f], facts.bare[f]
    if has(table, stamp, facts.key[f]) or (second and has(table, stamp, second)):
        return True
    if not flags & _WHOLE:
        return False
    if flags & _LONE_YEAR and (has(table, stamp, tagged(_BARE, bare)) or has(table, stamp, bare)):
        return True
    year, month, day, none = facts.mantissa[f], facts.exponent[f] >> 5, facts.exponent[f] & 31, np.int64(0)
    if month == 0 or year == 0:
        return False
    return has(table, stamp, date_key(none, month, day)) and has(table, stamp, date_key(year, none, none))


@kernel
def _name(f, facts, whole, table, stamp):  # type: ignore[no-untyped-def]
    """Whether a name stands in a text: all of its parts where ``whole``, else its last part or two thirds of them.

    An acronym stands, too, where a name has its initials, and a name where its initials are an acronym.
    """
    letters = facts.value[f]
    if letters and has(table, stamp, tagged(_LETTERS, letters) if facts.flags[f] & fa.ACRONYM else letters):
        return True
    a, b = facts.part_offsets[f], facts.part_offsets[f + 1]
    n = 0
    last = False
    for k in range(a, b, 2):
        last = has(table, stamp, facts.parts[k]) or has(table, stamp, facts.parts[k + 1])
        n += 2 * last
    return n == b - a if whole else 3 * n >= 2 * (b - a) or last


@kernel
def stands(f, facts, text, whole, table, stamp):  # type: ignore[no-untyped-def]
    """Whether fact f stands in the text with this set; ``whole`` asks for all parts of a name."""
    kind, key, second, bare = facts.kind[f], facts.key[f], facts.second[f], facts.bare[f]
    if kind == fa.NUMBER:
        return _number(f, facts, table, stamp)
    if kind == fa.DATE:
        return _date(f, facts, table, stamp)
    if kind == fa.NAME:
        return _name(f, facts, whole, table, stamp)
    if has(table, stamp, key):
        return True
    if kind == fa.TIME:  # "10:30" may be in the evening, "10 am" is also said as 10
        if has(table, stamp, tagged(_SECOND, key)) or (second != 0 and has(table, stamp, second)):
            return True
        return bare != 0 and has(table, stamp, tagged(_BARE, bare))
    if kind == fa.QUOTE:
        return _quoted(facts.first[f], facts.last[f], text, table, stamp)
    return bare != 0 and has(table, stamp, bare)
