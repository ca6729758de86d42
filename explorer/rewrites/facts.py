"""The facts of a document: numbers, dates, times, names, links, code and quotations, each with its place and a value that can be compared.

A fact's key is of what it says, not of how it is written: 1,000 is one thousand, 3 March 1931 is 1931-03-03, U.S. is United States. The grammar
is in ``explorer.rewrites.grammar``; which facts of one text stand in another is told by ``explorer.rewrites.compare``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.folded import LONGEST, term_tables
from explorer.primitives.swar import kernel
from explorer.rewrites import lexicon as lx
from explorer.rewrites.grammar import dates as dt
from explorer.rewrites.grammar import marks as mk
from explorer.rewrites.grammar import names as na
from explorer.rewrites.grammar import numbers as nm
from explorer.rewrites.grammar import pieces as pc
from explorer.rewrites.grammar.items import is_label, items
from explorer.rewrites.grammar.pieces import glued, mixed, sign_at, tagged

# Kinds of facts.
NUMBER, DATE, TIME, NAME, LINK, CODE, QUOTE = (np.int64(k) for k in range(7))
KINDS = ("number", "date", "time", "name", "link", "code", "quote")

# Bits of a fact's flags.
FAINT = 1  # no fact to be counted, but it can stand for one of the other text ("twice", a capital at the beginning of a sentence)
REPEATED = 2  # the same fact stands earlier in the document
LONE_YEAR = 4  # a year that nothing but its four digits tells
UNIT = 8
PER = 16
LOOSE = 32  # "degrees": may be of any scale
WHOLE = 64  # a date that is year, month or day in the ordinary sense, not a decade, century or weekday
ACRONYM = 64  # a name in capitals (the bit is WHOLE of dates)
WORDED = 128  # an identifier: letters with digits

# Tags of keys, so that no two kinds meet.
_OF_VALUE, _OF_MEASURE, _OF_MEASURE_PER, _OF_IDENTIFIER, _OF_LINK, _OF_CODE, _OF_QUOTE, _OF_SURNAME, _OF_DEGREES = (
    np.int64(k) for k in range(31, 40)
)
_CODE, _FLAGS, _FIRST, _END, _TERM, _HASH = pc.CODE, pc.FLAGS, pc.FIRST, pc.END, pc.TERM, pc.HASH
_MOST = np.int64(1) << 62
_WORDED = np.int64(WORDED)
_NIL, _NO_KEY = np.int64(0), np.uint64(0)

# Columns of a fact while it is read; those of `Facts` in the same order.
_KIND, _BITS, _START, _STOP, _FROM, _TO, _KEY, _VALUE, _BARE, _SECOND, _MANTISSA, _EXPONENT, _UNIT = range(13)
_COLUMNS = 13


class Facts(NamedTuple):
    """The facts of a batch, document after document, in reading order.

    Attributes:
        offsets: int64 [n + 1]; document d has facts ``offsets[d]:offsets[d + 1]``.
        kind: uint8, NUMBER to QUOTE.
        flags: uint8, the bits above.
        start, end: int64, its bytes in ``batch.data``.
        first, last: int64, its terms ``first:last``.
        key: uint64, of its value with everything it says: number, unit and what it is per; year, month and day; all parts of a name.
        value: uint64, of a number without "per", of an acronym's or name's initials (0 for none), of other facts the key.
        bare: uint64, of a number without its unit, of others 0.
        second: uint64, the bare key or date key of another reading, 0 for none.
        mantissa, exponent: int64, a number's value; exponent 1000 + d: divided by d. Of dates year, and month * 32 + day.
        unit: int64, row of the unit in the lexicon, its power and the row of what it is per, nine bits, two and nine; 0 for none.
        part_offsets: int64 [facts + 1]; fact f has ``parts[part_offsets[f]:part_offsets[f + 1]]``.
        parts: uint64, of each of a name's words its key and that of its root.
    """

    offsets: np.ndarray
    kind: np.ndarray
    flags: np.ndarray
    start: np.ndarray
    end: np.ndarray
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
def value_key(m, e):  # type: ignore[no-untyped-def]
    """Key of a number without a unit."""
    return mixed(_OF_VALUE, m, e)


@kernel
def _code_key(pieces, a, b):  # type: ignore[no-untyped-def]
    """Key of the code that the pieces ``a:b`` are."""
    return tagged(_OF_CODE, mk.content_key(pieces, a, b, mk.ALL))


@kernel
def _measure(got, sheet):  # type: ignore[no-untyped-def]
    """Keys of a number with its unit, converted to the base of its dimension: (all of it, without what it is per)."""
    m, e, row, power, per = got[nm.MANTISSA], got[nm.EXPONENT], got[nm.UNIT], got[nm.POWER], got[nm.PER]
    if row == 0:
        key = value_key(m, e)
        return key, key
    dimension = sheet[row, lx.DIMENSION]
    factor = sheet[row, lx.FACTOR]
    for _ in range(power):
        if m < _MOST // factor and -m < _MOST // factor:
            m *= factor
            e += sheet[row, lx.POWER_OF_TEN]
        else:  # too long to convert: what it is in this unit alone
            dimension += 1000 * row
    m, e = nm.settle(m, e)
    value = mixed(_OF_MEASURE, m, e * 1_000_003 + dimension * 4 + power)
    return tagged(_OF_MEASURE_PER + (per << 8), value) if per else value, value


@kernel
def _write(rows, f, pieces, kind, flags, begin, stop, key, value, bare, second):  # type: ignore[no-untyped-def]
    rows[f, _KIND], rows[f, _BITS] = kind, flags
    rows[f, _START], rows[f, _STOP] = pieces[begin, _FIRST], pieces[stop - 1, _END]
    rows[f, _FROM], rows[f, _TO] = pieces[begin, _TERM], pieces[stop - 1, _TERM] + 1
    rows[f, _KEY], rows[f, _VALUE], rows[f, _BARE], rows[f, _SECOND] = np.int64(key), np.int64(value), np.int64(bare), np.int64(second)
    rows[f, _MANTISSA], rows[f, _EXPONENT], rows[f, _UNIT] = 0, 0, 0


@kernel
def _put_number(rows, f, pieces, sheet, got):  # type: ignore[no-untyped-def]
    key, value = _measure(got, sheet)
    bare = value_key(got[nm.MANTISSA], got[nm.EXPONENT])
    second = value_key(got[nm.OTHER], got[nm.OTHER_EXPONENT]) if got[nm.SORT] & nm.SECOND else np.uint64(0)
    row = got[nm.UNIT]
    loose = row != 0 and row == sheet[lx.DEGREE, lx.SPECIAL]
    if loose or (row != 0 and (row == sheet[lx.CELSIUS, lx.SPECIAL] or row == sheet[lx.FAHRENHEIT, lx.SPECIAL])):
        second = tagged(_OF_DEGREES, bare)
    flags = (UNIT if row else 0) | (PER if got[nm.PER] else 0) | (LOOSE if loose else 0)
    flags |= FAINT if got[nm.SORT] & nm.WEAK else 0
    _write(rows, f, pieces, NUMBER, flags, got[nm.BEGIN], got[nm.STOP], key, value, bare, second)
    rows[f, _MANTISSA], rows[f, _EXPONENT] = got[nm.MANTISSA], got[nm.EXPONENT]
    rows[f, _UNIT] = row | got[nm.POWER] << 9 | got[nm.PER] << 11


@kernel
def _put_date(rows, f, pieces, sort, got):  # type: ignore[no-untyped-def]
    year, month, day = got[dt.YEAR], got[dt.MONTH], got[dt.DAY]
    second = np.uint64(0)
    kind, flags, bare = DATE, 0, np.uint64(0)
    if sort == dt.DATE:
        key = dt.date_key(year, month, day)
        flags = WHOLE
        if got[dt.SORT] & dt.SWAPPED:
            second = dt.date_key(year, day, month)
        if month == 0 and year > 0:
            flags |= LONE_YEAR
            bare = value_key(*nm.settle(year, np.int64(0)))
    elif sort == dt.TIME:
        kind, key = TIME, mixed(sort, got[dt.MINUTES], _NIL)
        if got[dt.SORT] & dt.BARE_HOUR:
            second = mixed(sort, (got[dt.MINUTES] + 720) % 1440, _NIL)
        hour = got[dt.MINUTES] // 60
        bare = value_key(*nm.settle(np.int64((hour + 11) % 12 + 1), np.int64(0))) if got[dt.MINUTES] % 60 == 0 else np.uint64(0)
    else:
        key = mixed(sort, year, day)
        if sort == dt.DECADE and year % 100 == 0:  # "the 1800s" may be the nineteenth century
            second = mixed(dt.CENTURY, year // 100 + 1, _NIL)
    _write(rows, f, pieces, kind, flags, got[dt.BEGIN], got[dt.STOP], key, key, bare, second)
    rows[f, _MANTISSA], rows[f, _EXPONENT] = (got[dt.MINUTES], 0) if kind == TIME else (year, month * 32 + day)


@kernel
def _inherit(rows, f, begin, data, pieces, got, sheet):  # type: ignore[no-untyped-def]
    """In "5 to 8 kilometres" the number before has the unit, too: f was written last, and number f - 1 before it without a unit."""
    if rows[f - 1, _KIND] != NUMBER or rows[f - 1, _UNIT] or not rows[f, _UNIT]:
        return
    between = begin - 1
    if between < 1 or rows[f - 1, _STOP] != pieces[between - 1, _END]:
        return
    if not (pc.is_dash(data, pieces, between, begin) or pieces[between, _CODE] & (lx.TO | lx.AND)):
        return
    got[nm.MANTISSA], got[nm.EXPONENT] = rows[f - 1, _MANTISSA], rows[f - 1, _EXPONENT]
    key, value = _measure(got, sheet)
    rows[f - 1, _KEY], rows[f - 1, _VALUE] = np.int64(key), np.int64(value)
    rows[f - 1, _UNIT] = rows[f, _UNIT]
    rows[f - 1, _BITS] |= rows[f, _BITS] & (UNIT | PER | LOOSE)


@kernel
def _numeric(data, pieces, p, n, sheet, fold, rows, f, got):  # type: ignore[no-untyped-def]
    """Write the number, date or time at piece p as fact f; returns (piece to go on from, facts written)."""
    flags = pieces[p, _FLAGS]
    if flags & tm.NUMBER:
        skipped = items(data, pieces, p, n)
        if skipped:
            if skipped == 1 and p + 1 < n:
                pieces[p + 1, _FLAGS] |= tm.START  # "## 2 Methods": the heading's first word
            return p + skipped, f
    sort = dt.read_date(data, pieces, p, n, sheet, got)
    if sort != dt.NOTHING:
        _put_date(rows, f, pieces, sort, got)
        stop, year = got[dt.STOP], got[dt.YEAR]
        if sort == dt.DATE and got[dt.MONTH] == 0 and pc.is_dash(data, pieces, stop, n):
            short = dt.short_year(data, pieces, stop + 1, n, year)
            if short:  # "1636–37"
                got[dt.YEAR], got[dt.BEGIN], got[dt.STOP], got[dt.SORT] = short, stop + 1, stop + 2, 0
                _put_date(rows, f + 1, pieces, sort, got)
                return stop + 2, f + 2
        return stop, f + 1
    q = nm.read_number(data, pieces, p, n, sheet, fold, got)
    if q == p:
        return p, f
    if got[nm.SORT] & nm.DOTTED_DATE:
        got[dt.BEGIN], got[dt.SORT] = p, dt.SWAPPED if got[dt.DAY] <= 12 else 0
        _put_date(rows, f, pieces, dt.DATE, got)
        return q, f + 1
    if got[nm.SORT] & nm.VERSION:
        key = _code_key(pieces, p, p + 1)
        _write(rows, f, pieces, CODE, _NIL, p, p + 1, key, key, np.uint64(0), np.uint64(0))
        return p + 1, f + 1
    _put_number(rows, f, pieces, sheet, got)
    if f > 0:
        _inherit(rows, f, got[nm.BEGIN], data, pieces, got, sheet)
    return q, f + 1


@kernel
def _may_mark(c):  # type: ignore[no-untyped-def]
    """Whether a sign that begins with this byte may open code or a quotation."""
    return c == 96 or c == 34 or c >= 128


@kernel
def _marked(data, pieces, p, n, rows, f, buffer, after_quote, got):  # type: ignore[no-untyped-def]
    """Write the link, code or quotation at piece p; returns (piece to go on from, facts written, end of the quotation we are in)."""
    none = np.uint64(0)
    if pieces[p, _FLAGS] & tm.LINK:
        key = tagged(_OF_LINK, mk.link_key(data, pieces[p, _FIRST], pieces[p, _END], buffer))
        _write(rows, f, pieces, LINK, _NIL, p, p + 1, key, key, none, none)
        return p + 1, f + 1, after_quote
    if data[pieces[p, _FIRST]] == 96:
        a, b = mk.backticked(data, pieces, p, n)
        if b > a:
            key = _code_key(pieces, a, b)
            _write(rows, f, pieces, CODE, _NIL, a, b, key, key, np.uint64(pieces[a, pc.STEM]) if b == a + 1 else none, none)
            return b + 1, f + 1, after_quote
    elif p >= after_quote:
        a, b, close = mk.quotation(data, pieces, p, n)
        if b > a:
            key = tagged(_OF_QUOTE, mk.content_key(pieces, a, b, mk.SPOKEN))
            _write(rows, f, pieces, QUOTE, _NIL, a, b, key, key, none, none)
            return p + 1, f + 1, close + 1
        after_quote = max(after_quote, close + 1)
    return p + 1, f, after_quote


@kernel
def _worded(data, pieces, p, n, extensions, rows, f):  # type: ignore[no-untyped-def]
    """Write the identifier at piece p (code, or letters with digits); returns (piece to go on from, facts written)."""
    none = np.uint64(0)
    stop = mk.identifier_end(data, pieces, p, n, extensions)
    if stop > p:
        key = _code_key(pieces, p, stop)
        _write(rows, f, pieces, CODE, _NIL, p, stop, key, key, np.uint64(pieces[p, pc.STEM]) if stop == p + 1 else none, none)
        return stop, f + 1
    if pieces[p, _FLAGS] & tm.DIGITS and not is_label(data, pieces, p):
        key = mixed(_OF_IDENTIFIER, pieces[p, _HASH], _NIL)
        _write(rows, f, pieces, NUMBER, _WORDED, p, p + 1, key, key, key, none)
        return p + 1, f + 1
    return p, f


@kernel
def _named(data, pieces, p, n, german, phrases, rows, f, parts, got):  # type: ignore[no-untyped-def]
    """Write the name at piece p, and the Roman numeral at its end as a number; returns (piece to go on from, facts written)."""
    begin, end = na.read_name(data, pieces, p, n, german, phrases, parts, got)
    stop = max(end, p + 1)
    if end > begin:
        key = np.uint64(got[na.KEY])
        value = np.uint64(got[na.INITIALS])
        bits = (FAINT if got[na.FAINT] else 0) | (ACRONYM if got[na.ACRONYM] else 0)
        _write(rows, f, pieces, NAME, bits, begin, end, key, value, np.uint64(0), np.uint64(0))
        f += 1
    else:
        stop = na.run_end(data, pieces, p, n) if na.begins(pieces, p) else p + 1
    last = stop - 1
    roman = 0
    if stop - p >= 2 and pieces[last, _FLAGS] & tm.CAPITAL and last > p:
        size = pieces[last, _END] - pieces[last, _FIRST]
        if (size > 1 and pieces[last, _FLAGS] & tm.CAPITALS) or (size == 1 and data[pieces[last, _FIRST]] != 73):
            roman = na.is_roman(data, pieces[last, _FIRST], pieces[last, _END])
    if not roman and stop < n and pieces[stop, _END] - pieces[stop, _FIRST] == 1 and data[pieces[stop, _FIRST]] == 73:
        last = stop
        roman = 1 if pieces[stop - 1, _CODE] & lx.GENERIC and not pieces[stop, _FLAGS] & tm.START else 0
        stop += roman
    if roman:
        key = value_key(*nm.settle(np.int64(roman), np.int64(0)))
        _write(rows, f, pieces, NUMBER, _NIL, last, last + 1, key, key, key, np.uint64(0))
        rows[f, _MANTISSA], rows[f, _EXPONENT] = nm.settle(np.int64(roman), np.int64(0))
        f += 1
    return stop, f


@kernel
def _seen(slots, stamps, stamp, key):  # type: ignore[no-untyped-def]
    """Whether a key was given before under this stamp; it is from now on."""
    mask = len(slots) - 1
    slot = np.int64(key & np.uint64(mask))
    while stamps[slot] == stamp:
        if slots[slot] == key:
            return True
        slot = (slot + 1) & mask
    slots[slot], stamps[slot] = key, stamp
    return False


_NUMERIC = lx.NUMBER | lx.ORDINAL | lx.WEAK | lx.NOON | lx.ARTICLE
_DATED = lx.MONTH_MASK << lx.MONTH_SHIFT | lx.WEEKDAY_MASK << lx.WEEKDAY_SHIFT


@kernel
def _document(data, pieces, n, german, sheet, phrases, extensions, fold, rows, f, part_offsets, parts, scratch):  # type: ignore[no-untyped-def]
    """Write the facts of a document's pieces from number f on; returns the number after them, -1 where there is no room.

    Invariant: all facts that begin before piece p are written, and no two of one kind overlap.
    """
    got, buffer, names = scratch
    p = after_quote = np.int64(0)
    while p < n:
        if f + 4 > len(rows):
            return -1
        flags, code = pieces[p, _FLAGS], pieces[p, _CODE]
        before, q = f, p
        got[na.PARTS] = 0
        if flags & tm.NUMBER or (code & (_NUMERIC | _DATED) and flags & tm.WORD):
            q, f = _numeric(data, pieces, p, n, sheet, fold, rows, f, got)
            got[na.PARTS] = 0
        elif flags & tm.LINK or (flags & tm.SIGN and _may_mark(data[pieces[p, _FIRST]])):
            q, f, after_quote = _marked(data, pieces, p, n, rows, f, buffer, after_quote, got)
            got[na.PARTS] = 0
        if q == p and flags & tm.WORD:
            mark = sign_at(data, pieces, p + 1, n)
            call = (mark == 40 or mark == 46) and glued(pieces, p + 1, n) and glued(pieces, p + 2, n)
            if flags & (tm.DIGITS | tm.SNAKE) or call:
                q, f = _worded(data, pieces, p, n, extensions, rows, f)
                got[na.PARTS] = 0
            if q == p and flags & tm.CAPITAL:
                got[na.PARTS] = 0
                q, f = _named(data, pieces, p, n, german, phrases, rows, f, names, got)
        for k in range(before, f):
            at = part_offsets[k]
            if rows[k, _KIND] == NAME:
                for j in range(2 * got[na.PARTS]):
                    parts[at + j] = names[j]
                at += 2 * got[na.PARTS]
            part_offsets[k + 1] = at
        p = max(q, p + 1)
    return f


@kernel
def _mark_repeats(rows, f, end, part_offsets, parts, slots, stamps, stamp):  # type: ignore[no-untyped-def]
    """Mark the facts ``f:end`` of a document that it has said before; a single name is a repeat of a longer one that ends in it."""
    for k in range(f, end):
        if rows[k, _BITS] & FAINT:
            continue
        kind, a, b = rows[k, _KIND], part_offsets[k], part_offsets[k + 1]
        repeated = _seen(slots, stamps, stamp, np.uint64(rows[k, _KEY]) ^ np.uint64(kind))
        if kind == NAME:
            known = _seen(slots, stamps, stamp, tagged(_OF_SURNAME, parts[b - 2]))
            repeated = repeated or (known and b - a == 2)
        if repeated:
            rows[k, _BITS] |= REPEATED


@kernel
def _scan(data, offsets, columns, languages, lexicon, folding, pieces, fact_offsets, rows, part_offsets, parts, scratch, seen):  # type: ignore[no-untyped-def]
    """Write the facts of all documents; returns how many, -1 where there was no room."""
    keys, bitmap, _, sheet, phrases, extensions = lexicon
    f = np.int64(0)
    fact_offsets[0] = part_offsets[0] = 0
    for d in range(len(offsets) - 1):
        salt, german = lx.language_salt(languages[d]), languages[d] == lx.GERMAN
        n = pc.lay_out(data, offsets[d], offsets[d + 1], columns, folding, salt, keys, bitmap, pieces)
        begin = f
        f = _document(data, pieces, n, german, sheet, phrases, extensions, folding[0], rows, f, part_offsets, parts, scratch)
        if f < 0:
            return f
        _mark_repeats(rows, begin, f, part_offsets, parts, seen[0], seen[1], d + 1)
        fact_offsets[d + 1] = f
    return f


def folding() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `part_hashes` folds words with, and room to do it in."""
    tables = term_tables()
    return tables.fold, tables.several, np.empty(LONGEST, np.uint8)


@primitive
def facts(batch: Batch) -> Facts:
    """Facts of every document."""
    t, c = tm.terms(batch), lx.codes(batch)
    n, total = len(batch), len(t.start)
    longest = int(np.diff(t.offsets).max(initial=0))
    hyphens = int(np.count_nonzero(t.flags & tm.HYPHEN))
    most = longest + pc.MOST_PARTS * hyphens
    pieces = np.empty((most + 1, pc.COLUMNS), np.int64)
    slots = 16
    while slots < 8 * most:
        slots *= 2
    seen, stamps = np.empty(slots, np.uint64), np.zeros(slots, np.int64)
    scratch = (np.zeros(nm.GOT, np.int64), np.empty(4096, np.uint8), np.empty(2 * na.MOST_PARTS, np.uint64))
    parts = np.empty(2 * (total + pc.MOST_PARTS * hyphens + na.MOST_PARTS), np.uint64)
    offsets = np.empty(n + 1, np.int64)
    for room in (total // 4 + 1024, 2 * (total + pc.MOST_PARTS * hyphens) + 8):
        rows = np.empty((room, _COLUMNS), np.int64)
        part_offsets = np.zeros(room + 1, np.int64)
        f = _scan(
            tm.frozen(batch.data)[0], t.offsets, (t.start, t.size, t.hash, t.stem, t.flags, c.code), c.language, tuple(lx.lexicon()), folding(),
            pieces, offsets, rows, part_offsets, parts, scratch, (seen, stamps),
        )  # fmt: skip
        if f >= 0:
            break
        stamps[:] = 0
    rows = rows[:f]
    whole = [np.ascontiguousarray(rows[:, k]) for k in range(_COLUMNS)]
    kind, flags = (whole[k].astype(np.uint8) for k in (_KIND, _BITS))
    key, value, bare, second = (whole[k].view(np.uint64) for k in (_KEY, _VALUE, _BARE, _SECOND))
    start, end, first, last = whole[_START : _TO + 1]
    mantissa, exponent, unit = whole[_MANTISSA:]
    return Facts(
        offsets, kind, flags, start, end, first, last, key, value, bare, second, mantissa, exponent, unit, part_offsets[: f + 1], parts
    )  # fmt: skip
