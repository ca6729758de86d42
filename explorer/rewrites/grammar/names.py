"""Names: runs of capitalised words that are not capitalised for another reason.

A name's *parts* are its words without titles ("Dr."), particles ("von"), generic words ("University") and initials; the last part stands for
the whole when only a surname or the like is repeated. Parts are compared by stem, so that "Reye's" is "Reye"; peoples and countries by group, so
that "French" is "France".
"""

from __future__ import annotations

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.folded import hash_plain
from explorer.primitives.swar import SEED, hash_finish, hash_step, kernel
from explorer.rewrites import lexicon as lx
from explorer.rewrites.grammar import pieces as pc
from explorer.rewrites.grammar.pieces import glued, mixed, point_at, sign_at, tagged
from explorer.rewrites.lexicon import found, phrase_key

# What was read, in `got`.
KEY, INITIALS, PARTS, FAINT, ACRONYM = range(5)
MOST_PARTS = 8
MOST_WORDS = 12  # a longer run of capitals is cut

_GROUP, _INITIALS, _ROOT = np.int64(21), np.int64(22), np.int64(23)  # tags of keys
_NOTHING = np.int64(0)
_REAL, _EVERY = np.int64(0), np.int64(1)  # which words of a run are taken for parts
_CODE, _FLAGS, _FIRST, _END, _STEM = pc.CODE, pc.FLAGS, pc.FIRST, pc.END, pc.STEM
_WORD, _SIGN, _CAPITAL, _CAPITALS, _START = tm.WORD, tm.SIGN, tm.CAPITAL, tm.CAPITALS, tm.START
_ABSENT = lx.TITLE | lx.PARTICLE | lx.GENERIC | lx.LABEL
_DATED = lx.MONTH_MASK << lx.MONTH_SHIFT | lx.WEEKDAY_MASK << lx.WEEKDAY_SHIFT


@kernel
def group_of(code):  # type: ignore[no-untyped-def]
    """The group of words that stand for one another in names, 0 for none."""
    return code >> lx.GROUP_SHIFT & lx.GROUP_MASK


@kernel
def group_key(group):  # type: ignore[no-untyped-def]
    """Key of a name's part that belongs to a group."""
    return mixed(_GROUP, group, _NOTHING)


@kernel
def initials_key(letters, n):  # type: ignore[no-untyped-def]
    """Key of an acronym: its letters, five bits each, and how many."""
    return mixed(_INITIALS, letters, n)


@kernel
def part_key(pieces, p):  # type: ignore[no-untyped-def]
    """Key of the part of a name that is piece p."""
    code = pieces[p, _CODE]
    group = group_of(code)
    # "us" and "un" are words, too
    if group and (pieces[p, _END] - pieces[p, _FIRST] > 2 or pieces[p, _FLAGS] & (_CAPITALS | tm.DOTTED)):
        return group_key(group)
    return np.uint64(pieces[p, _STEM])


@kernel
def root_key(data, a, b):  # type: ignore[no-untyped-def]
    """Key of a capitalised word without the ending that makes a people or an adjective of a place, 0 where it has none.

    "Californian", "Californians" and "California" have one root. At least four bytes stay.
    """
    if b - a > 3 and data[b - 1] == 115 and data[b - 2] == 39:
        b -= 2
    end = b
    if end - a > 5 and data[end - 1] == 115:  # s
        end -= 1
    if end - a > 4 and data[end - 1] == 110:  # n
        end -= 1
    elif end - a > 6 and data[end - 1] == 101 and data[end - 2] == 115 and data[end - 3] == 101:  # ese
        end -= 3
    if end - a > 4 and data[end - 1] == 97:  # a
        end -= 1
    if end - a > 4 and (data[end - 1] == 105 or data[end - 1] == 101):  # i, e
        end -= 1
    return tagged(_ROOT, hash_plain(data, a, end))


@kernel
def acronym_of(data, a, b):  # type: ignore[no-untyped-def]
    """Key of the capitals ``data[a:b]`` as an acronym, full stops left out; 0 where they are none of two to eight letters."""
    letters = n = np.int64(0)
    for i in range(a, b):
        c = np.int64(data[i])
        if 65 <= c <= 90:
            letters = letters * 32 + c - 64
            n += 1
        elif c != 46:
            break
    return initials_key(letters, n) if 2 <= n <= 8 else np.uint64(0)


@kernel
def is_roman(data, a, b):  # type: ignore[no-untyped-def]
    """Value of the Roman numeral ``data[a:b]`` in capitals (I to XXXIX, as kings and wars are counted), 0 where it is none."""
    tens = ones = 0
    i = a
    while i < b and data[i] == 88 and tens < 3:
        tens += 1
        i += 1
    rest = b - i
    if rest == 2 and data[i] == 73 and data[i + 1] == 88:
        ones = 9
    elif rest == 2 and data[i] == 73 and data[i + 1] == 86:
        ones = 4
    else:
        if i < b and data[i] == 86:
            ones = 5
            i += 1
        while i < b and data[i] == 73 and ones % 5 < 3:
            ones += 1
            i += 1
        if i < b:
            return 0
    return 10 * tens + ones


@kernel
def begins(pieces, p):  # type: ignore[no-untyped-def]
    """Whether piece p can stand in a name: a capitalised word that is no function word, month or weekday."""
    flags, code = pieces[p, _FLAGS], pieces[p, _CODE]
    if not flags & _WORD or not flags & _CAPITAL or flags & (tm.SNAKE | tm.DIGITS):
        return False
    if code & (lx.NUMBER | lx.ORDINAL | lx.SCALE) and not flags & _CAPITALS:
        return False
    # "US" and "IT" are names in capitals, "The" is none
    return not (code & _DATED) and not (code & lx.FUNCTION and not (flags & _CAPITALS and group_of(code)))


@kernel
def run_end(data, pieces, p, n):  # type: ignore[no-untyped-def]
    """The piece after the run of capitalised words that begins at piece p.

    Invariant: pieces ``p:q`` are words of the name, initials' and titles' full stops, "&", and particles between its words.
    """
    q = p + 1
    words = 1
    while q < n and words < MOST_WORDS:
        if pieces[q - 1, _FLAGS] & tm.POSSESSIVE:
            break
        if begins(pieces, q) and not pieces[q, _FLAGS] & (_START | tm.PARAGRAPH):
            q += 1
            words += 1
            continue
        c = sign_at(data, pieces, q, n)
        before = pieces[q - 1, _CODE]
        short = pieces[q - 1, _END] - pieces[q - 1, _FIRST] == 1
        stop = c == 46 and glued(pieces, q, n) and (short or before & lx.TITLE)
        joins = q + 1 < n and (stop or c == 38 or (pieces[q, _CODE] & lx.PARTICLE and not pieces[q, _FLAGS] & _SIGN))
        if not joins:
            break
        k = q + 1
        if k + 1 < n and not stop and pieces[k, _CODE] & lx.PARTICLE and not pieces[k, _FLAGS] & _CAPITAL:  # "de la"
            k += 1
        if not begins(pieces, k) or pieces[k, _FLAGS] & (tm.PARAGRAPH | _START):
            break
        if stop and short and pieces[k, _CODE] & lx.COMMON:  # "vitamin C. People"
            break
        q = k + 1
        words += 1
    return q


@kernel
def _is_part(pieces, q, begin, end, loud):  # type: ignore[no-untyped-def]
    """Whether piece q of the run ``begin:end`` is one of the name's parts."""
    code, flags = pieces[q, _CODE], pieces[q, _FLAGS]
    size = pieces[q, _END] - pieces[q, _FIRST]
    if not flags & _WORD or size == 1 or (loud and code & lx.COMMON):
        return False
    if code & _ABSENT and not (flags & _CAPITALS and size > 2):
        return False
    return not (flags & tm.DOTTED and not group_of(code) and end > begin + 1)  # "J.R.R."


@kernel
def _parts(data, pieces, begin, end, loud, every, phrases, parts):  # type: ignore[no-untyped-def]
    """Write the key and root of each part of the run ``begin:end``, of ``every`` word where it has no part; returns how many."""
    n = 0
    q = begin
    while q < end and n < MOST_PARTS:
        if q + 1 < end:
            group = found(phrases, phrase_key(pieces[q, pc.HASH], pieces[q + 1, pc.HASH]))
            if group:  # "United States"
                parts[2 * n] = parts[2 * n + 1] = group_key(group)
                n += 1
                q += 2
                continue
        roman = q > begin and pieces[q, _FLAGS] & _CAPITALS and is_roman(data, pieces[q, _FIRST], pieces[q, _END])
        if not roman and ((every and pieces[q, _FLAGS] & _WORD) or _is_part(pieces, q, begin, end, loud)):
            parts[2 * n] = part_key(pieces, q)
            parts[2 * n + 1] = root_key(data, pieces[q, _FIRST], pieces[q, _END])
            n += 1
        q += 1
    return n


@kernel
def read_name(data, pieces, p, n, german, phrases, parts, got):  # type: ignore[no-untyped-def]
    """Read the name that begins at piece p into ``got`` and ``parts``; returns (first piece, piece after it), (p, p) where there is none.

    ``got[FAINT]`` is 1 where the capitals may have another reason (they begin a sentence or stand in a heading), so that it is no fact.
    """
    if not begins(pieces, p):
        return p, p
    begin = p
    end = run_end(data, pieces, p, n)
    if pieces[p, _FLAGS] & _START and pieces[p, _CODE] & lx.COMMON and not pieces[p, _FLAGS] & _CAPITALS:
        begin = p + 1  # "When Hokusai": the first word belongs to the sentence
        while begin < end and not begins(pieces, begin):
            begin += 1
        if begin == end:
            return p, p
    flags, loud = pieces[begin, _FLAGS], pieces[begin, _FLAGS] & pc.LOUD != 0
    found_parts = _parts(data, pieces, begin, end, loud, _REAL, phrases, parts)
    generic = found_parts == 0
    if generic:
        if flags & _START:
            return p, p
        found_parts = _parts(data, pieces, begin, end, loud, _EVERY, phrases, parts)
        if found_parts == 0:
            return p, p
    letters = heads = 0
    for q in range(begin, end):
        if pieces[q, _FLAGS] & _CAPITAL and heads < 8:
            letters = letters * 32 + (point_at(data, pieces, q, n) - 64 & 31)
            heads += 1
    key = SEED
    for k in range(found_parts):
        key = hash_step(key, parts[2 * k])
    got[KEY], got[PARTS] = np.int64(hash_finish(key, found_parts)), found_parts
    got[INITIALS] = np.int64(initials_key(letters, heads)) if heads >= 2 else 0
    capitals = flags & (_CAPITALS | tm.DOTTED) != 0
    got[ACRONYM] = heads == 1 and capitals
    if heads == 1 and capitals:
        got[INITIALS] = np.int64(acronym_of(data, pieces[begin, _FIRST], pieces[begin, _END]))
        got[FAINT] = loud or (pieces[begin, _CODE] & lx.COMMON and not group_of(pieces[begin, _CODE]))
    else:
        mark = point_at(data, pieces, p - 1, n)
        quoted = mark == 0x22 or mark == 0x201C or mark == 0x201E or mark == 0xAB
        initial = p > 1 and sign_at(data, pieces, p - 1, n) == 46 and pieces[p - 2, _END] - pieces[p - 2, _FIRST] == 1
        due = (flags & _START and not quoted) or (initial and pieces[begin, _CODE] & lx.COMMON)
        got[FAINT] = loud or generic or (heads == 1 and due)
    if german and not capitals:
        got[FAINT] = 1  # every noun has a capital there
    return begin, end
