"""Numbers with their units: in digits, in words, with scale words, fractions and powers of ten, exact to the last digit.

A value is a whole number times a power of ten, zeros at its end taken into the power, so that 4.2 million and 4,200,000 are the same two
integers. What cannot be written so (1/3) keeps its denominator beside ``FRACTION``.
"""

from __future__ import annotations

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.folded import decoded
from explorer.primitives.swar import hash_bytes, kernel
from explorer.rewrites import lexicon as lx
from explorer.rewrites.grammar import pieces as pc
from explorer.rewrites.grammar.pieces import digit_at, glued, is_dash, point_at, sign_at
from explorer.rewrites.grammar.units import raised, unit_at, unit_row, value_row

# What was read, in `got`: value, second reading, unit (row, power, row of "per"), what kind of number, and the pieces it takes.
MANTISSA, EXPONENT, OTHER, OTHER_EXPONENT, UNIT, POWER, PER, SORT, BEGIN, STOP, YEAR, MONTH, DAY, MINUTES = range(14)
GOT = 14
# Bits of SORT.
PLAIN = 1  # digits alone, no separator: perhaps a year
ORDINAL = 2
WEAK = 4  # "twice", "one": no fact of its own
SCALED = 8  # a scale word stands with it
VERSION = 16  # 1.2.3
SECOND = 32  # there is a second reading
TWO_DIGITS = 64  # at most two digits
DOTTED_DATE = 128  # dd.mm.yyyy; YEAR, MONTH and DAY are set
NEGATIVE = 256

VAGUE = 900  # exponent of "a few": no number at all
FRACTION = 1000  # exponent FRACTION + d: the value is mantissa / d
_MOST = np.int64(10) ** 18
_HUNDREDTHS = np.int64(-2)
_CODE, _FLAGS, _HASH, _FIRST, _END = pc.CODE, pc.FLAGS, pc.HASH, pc.FIRST, pc.END
_NUMBER, _WORD, _SIGN, _DIGITS, _CAPITAL, _LINE = tm.NUMBER, tm.WORD, tm.SIGN, tm.DIGITS, tm.CAPITAL, tm.LINE
_COUNTS = lx.NUMBER | lx.ORDINAL


@kernel
def settle(m, e):  # type: ignore[no-untyped-def]
    """(m, e) without zeros at the end of m; fractions stay."""
    if m == 0:
        return np.int64(0), np.int64(0)
    while m % 10 == 0 and e < FRACTION:
        m //= 10
        e += 1
    return m, e


@kernel
def ten_to(n):  # type: ignore[no-untyped-def]
    """10 to the n, n from 0 to 18."""
    power = np.int64(1)
    for _ in range(n):
        power *= 10
    return power


@kernel
def _digits(data, a, b, kinds_fold, got):  # type: ignore[no-untyped-def]
    """Read the digits, "." and "," of ``data[a:b]`` into ``got``.

    Groups of three after "," are thousands; the last of two different separators is the decimal one; a single "." is a decimal point and,
    where three digits follow, perhaps a thousands separator: then that is the second reading, as for a single "," the decimal one.
    """
    m = np.int64(0)
    digits = commas = dots = 0
    since = groups_of_three = before_first = 0
    last = -1  # digits after the last separator are counted in `since`
    separator = 0
    long = False
    i = a
    while i < b:
        c, i = decoded(data, i, b)
        c = np.int64(kinds_fold[c])
        if c == 44 or c == 46 or c == 0x66B or c == 0x66C:
            comma = c == 44 or c == 0x66C
            if commas + dots == 0:
                before_first = digits
            elif since == 3:
                groups_of_three += 1
            commas += comma
            dots += not comma
            last = separator
            separator = 44 if comma else 46
            since = 0
            continue
        if m >= _MOST // 10:
            long = True
        else:
            m = m * 10 + (c - 48)
        digits += 1
        since += 1
    marks = commas + dots
    three = groups_of_three + (since == 3)
    grouped = marks > 0 and three == marks and 1 <= before_first <= 3 and data[a] != 48
    got[SORT] = TWO_DIGITS if digits <= 2 else 0
    got[EXPONENT] = 0
    if long:  # too long to be read as a number: what it is, not how much
        m = np.int64(hash_bytes(data, a, b) >> np.uint64(2))
    elif marks == 0:
        got[SORT] |= PLAIN
    elif commas > 0 and dots > 0:
        if marks - 1 == groups_of_three and ((separator == 46 and dots == 1) or (separator == 44 and commas == 1)):
            got[EXPONENT] = -since
        elif not grouped:
            got[SORT] |= VERSION
    elif marks == 1:
        decimal = separator == 46 or not grouped
        got[EXPONENT] = -since if decimal else 0
        if grouped:
            got[OTHER], got[OTHER_EXPONENT] = settle(m, 0 if decimal else -since)
            got[SORT] |= SECOND
    elif not grouped and dots > 0:
        got[SORT] |= VERSION
        if dots == 2:
            _dotted_date(data, a, b, got)
    got[MANTISSA], got[EXPONENT] = settle(m, got[EXPONENT])
    return last


@kernel
def _dotted_date(data, a, b, got):  # type: ignore[no-untyped-def]
    """Whether ``data[a:b]`` is dd.mm.yyyy."""
    field = value = 0
    parts0 = parts1 = 0
    for i in range(a, b):
        if data[i] == 46:
            if field == 0:
                parts0 = value
            else:
                parts1 = value
            field += 1
            value = 0
        elif 48 <= data[i] <= 57 and value < 100000:
            value = value * 10 + digit_at(data, i)
        else:
            return
    if 1 <= parts0 <= 31 and 1 <= parts1 <= 12 and 1000 <= value <= 2199:
        got[DAY], got[MONTH], got[YEAR] = parts0, parts1, value
        got[SORT] |= DOTTED_DATE


@kernel
def _grouped(data, pieces, p, n):  # type: ignore[no-untyped-def]
    """Last of the pieces that are groups of three digits after p ("2 000 000"), p where there are none."""
    size = pieces[p, _END] - pieces[p, _FIRST]
    if size > 3 or data[pieces[p, _FIRST]] == 48:
        return p
    q = p
    while q + 1 < n and pieces[q + 1, _FLAGS] & _NUMBER and not pieces[q + 1, _FLAGS] & (_LINE | tm.GLUED):
        a, b = pieces[q + 1, _FIRST], pieces[q + 1, _END]
        gap = a - pieces[q, _END]
        group = b - a == 3 or (b - a > 4 and (data[a + 3] == 44 or data[a + 3] == 46))
        if gap > 3 or not group or (gap == 1 and data[a - 1] != 32):
            break
        q += 1
        if b - a > 3:
            break
    return q


@kernel
def _in_words(pieces, p, n, sheet, got):  # type: ignore[no-untyped-def]
    """Read a number in words from piece p on ("two hundred and fifty thousand"); returns the piece after it, p where there is none.

    Invariant: the value read so far is ``total + current``, and ``total`` holds what thousands and more have closed.
    """
    total = current = np.int64(0)
    q = p
    last = np.int64(1000)  # each word must be smaller than the one before it, until a scale word
    stop = p
    ordinal = False
    down = 0
    scaled = False
    if pieces[p, _CODE] & lx.ARTICLE:  # "a hundred"
        if p + 1 >= n or not pieces[p + 1, _CODE] & lx.SCALE or sheet[value_row(pieces[p + 1, _CODE]), lx.EXPONENT] < 0:
            return p
        current, q = np.int64(1), p + 1
        last = np.int64(0)
    while q < n and not ordinal:
        code = pieces[q, _CODE]
        if q > p and pieces[q, _FLAGS] & _SIGN:
            break
        row = value_row(code)
        if code & _COUNTS and sheet[row, lx.EXPONENT] >= 0:
            v = sheet[row, lx.MANTISSA] * ten_to(sheet[row, lx.EXPONENT])
            if v >= last or (last < 20 and last < 1000):
                break
            current += v
            last = v if v >= 20 else np.int64(0)
            ordinal = code & lx.ORDINAL != 0
        elif code & lx.SCALE and q > p:
            e = sheet[row, lx.EXPONENT]
            scaled = True
            if e < 0:
                down = e
                stop = q + 1
                break
            if e == 2:
                if current == 0 or current >= 100:
                    break
                current *= 100
            else:
                if current == 0 or current >= _MOST // ten_to(min(e, 17)):
                    break
                total += current * ten_to(e)
                current = np.int64(0)
            last = np.int64(100)
        elif code & lx.AND and scaled and q + 1 < n and pieces[q + 1, _CODE] & _COUNTS and last == 100:
            q += 1
            continue
        else:
            break
        q += 1
        stop = q
    if stop == p:
        return p
    got[MANTISSA], got[EXPONENT] = settle(total + current, down)
    got[SORT] = (ORDINAL if ordinal else 0) | (SCALED if scaled else 0)
    return stop


@kernel
def _part(pieces, q, n, sheet, got):  # type: ignore[no-untyped-def]
    """A fraction's lower half in words at piece q, after its upper half was read ("two thirds"); returns the piece after it."""
    if q >= n or not pieces[q, _CODE] & lx.PART or got[EXPONENT] != 0 or got[MANTISSA] > 99:
        return q
    row = value_row(pieces[q, _CODE])
    below = sheet[row, lx.MANTISSA] if sheet[row, lx.EXPONENT] == 0 else (4 if sheet[row, lx.MANTISSA] == 25 else 2)
    _divide(got, below)
    return q + 1


@kernel
def _divide(got, below):  # type: ignore[no-untyped-def]
    """Divide the whole number that was read by ``below``."""
    m = got[MANTISSA] * ten_to(max(got[EXPONENT], 0))
    e = 0
    while e > -6 and m % below != 0 and m < _MOST // 10:
        m *= 10
        e -= 1
    if m % below == 0:
        got[MANTISSA], got[EXPONENT] = settle(m // below, e)
    else:
        got[MANTISSA], got[EXPONENT] = got[MANTISSA], FRACTION + below
    got[SORT] &= ~PLAIN


@kernel
def _power_of_ten(data, pieces, q, n):  # type: ignore[no-untyped-def]
    """(piece after it, exponent) of "10⁶" or "10^6" at piece q; (q, 0) where there is none."""
    if q >= n or not pieces[q, _FLAGS] & _NUMBER or pieces[q, _END] - pieces[q, _FIRST] != 2 or not glued(pieces, q + 1, n):
        return q, 0
    if data[pieces[q, _FIRST]] != 49 or data[pieces[q, _FIRST] + 1] != 48:
        return q, 0
    if pieces[q + 1, _FLAGS] & _SIGN and pieces[q + 1, _FLAGS] & _DIGITS:
        e = raised(data, pieces, q + 1)
        return (q + 2, e) if e != 99 else (q, 0)
    if sign_at(data, pieces, q + 1, n) == 94 and glued(pieces, q + 2, n):
        k, sign = q + 2, 1
        if is_dash(data, pieces, k, n) and glued(pieces, k + 1, n):
            k, sign = k + 1, -1
        a, b = pieces[k, _FIRST], pieces[k, _END]
        if pieces[k, _FLAGS] & _NUMBER and b - a <= 2:
            value = 0
            for i in range(a, b):
                value = value * 10 + digit_at(data, i)
            return k + 1, sign * value
    return q, 0


@kernel
def _e_notation(data, pieces, q, n):  # type: ignore[no-untyped-def]
    """(piece after it, exponent) of the "e23" or "e-34" glued to a number; (q, 0) where there is none."""
    if not glued(pieces, q, n) or not pieces[q, _FLAGS] & _WORD or data[pieces[q, _FIRST]] | 32 != 101:
        return q, 0
    k, a, sign = q, pieces[q, _FIRST] + 1, 1
    if a == pieces[q, _END] and glued(pieces, q + 1, n) and glued(pieces, q + 2, n) and pieces[q + 2, _FLAGS] & _NUMBER:
        mark = sign_at(data, pieces, q + 1, n)
        if mark != 45 and mark != 43:
            return q, 0
        k, a, sign = q + 2, pieces[q + 2, _FIRST], -1 if mark == 45 else 1
    b = pieces[k, _END]
    if b == a or b - a > 3:
        return q, 0
    value = 0
    for i in range(a, b):
        if not 48 <= data[i] <= 57:
            return q, 0
        value = value * 10 + digit_at(data, i)
    return k + 1, sign * value


@kernel
def _with_unit(data, pieces, q, n, sheet, got):  # type: ignore[no-untyped-def]
    """Read the unit, and what it is per, at piece q after a number; returns the piece after them."""
    k, row, power = unit_at(data, pieces, q, n, sheet)
    if row == 0:
        return q
    per = 0
    if row == sheet[lx.KPH, lx.SPECIAL] or row == sheet[lx.MPH, lx.SPECIAL]:
        row, per = sheet[lx.KILOMETRE if row == sheet[lx.KPH, lx.SPECIAL] else lx.MILE, lx.SPECIAL], sheet[lx.HOUR, lx.SPECIAL]
    elif k + 1 < n:
        slash = sign_at(data, pieces, k, n) == 47 and glued(pieces, k + 1, n)
        if slash or (pieces[k, _CODE] & (lx.PER | lx.ARTICLE) and not pieces[k, _FLAGS] & _SIGN):
            after, below, _ = unit_at(data, pieces, k + 1, n, sheet)
            if below and below != sheet[lx.PERCENT_UNIT, lx.SPECIAL]:
                k, per = after, below
    got[UNIT], got[POWER], got[PER] = row, power, per
    return k


@kernel
def read_number(data, pieces, p, n, sheet, fold, got):  # type: ignore[no-untyped-def]
    """Read the number that begins at piece p into ``got``; returns the piece after it, p where there is none."""
    got[UNIT] = got[POWER] = got[PER] = got[SORT] = 0
    code, flags = pieces[p, _CODE], pieces[p, _FLAGS]
    q = p
    got[BEGIN] = p
    if flags & _NUMBER:
        after, e = _power_of_ten(data, pieces, p, n)
        if after > p:
            got[MANTISSA], got[EXPONENT], got[SORT] = 1, e, SCALED
            q = after
        else:
            last = _grouped(data, pieces, p, n)
            _digits(data, pieces[p, _FIRST], pieces[p, _END], fold, got)
            if last > p:
                _joined_groups(data, pieces, p, last, fold, got)
            q = last + 1
            q = _after_digits(data, pieces, p, q, n, sheet, fold, got)
        if p > 0:
            before = point_at(data, pieces, p - 1, n)
            minus = before == 0x2212 or (before == 45 and not glued(pieces, p - 1, n))
            if minus and glued(pieces, p, n) and not (p > 1 and pieces[p - 2, _FLAGS] & _NUMBER):
                got[MANTISSA] = -got[MANTISSA]
                got[SORT] = (got[SORT] | NEGATIVE) & ~PLAIN
                got[BEGIN] = p - 1
            elif unit_row(pieces[p - 1, _CODE]) and glued(pieces, p, n) and pieces[p - 1, _FLAGS] & _SIGN:
                got[UNIT], got[POWER], got[BEGIN] = unit_row(pieces[p - 1, _CODE]), 1, p - 1
    elif code & (lx.NUMBER | lx.ORDINAL | lx.ARTICLE):
        q = _in_words(pieces, p, n, sheet, got)
        whole = q
        if q > p and not got[SORT] & SCALED:
            q = _part(pieces, q, n, sheet, got)
        elif q == p and code & lx.ARTICLE and p + 1 < n and pieces[p + 1, _CODE] & lx.PART and not pieces[p + 1, _CODE] & lx.WEAK:
            got[MANTISSA], got[EXPONENT], got[SORT] = 1, 0, 0
            q = _part(pieces, p + 1, n, sheet, got)
        if q == p and code & lx.ARTICLE:
            return _article(data, pieces, p, n, sheet, got)
        if q == whole and q == p + 1 and (code & lx.WEAK or (got[MANTISSA] <= 2 and got[EXPONENT] == 0)):
            got[SORT] |= WEAK  # "one", "two", "first", "second": what texts count without saying so
    elif code & lx.WEAK and flags & _WORD:
        row = value_row(code)
        if sheet[row, lx.EXPONENT] >= VAGUE:  # "a few", "several": only with a unit
            q, got[UNIT], got[POWER] = unit_at(data, pieces, p + 1, n, sheet)
            got[MANTISSA], got[EXPONENT], got[SORT], got[STOP] = 1, VAGUE, WEAK, q
            return q if got[UNIT] else p
        got[MANTISSA], got[EXPONENT], got[SORT] = sheet[row, lx.MANTISSA], sheet[row, lx.EXPONENT], WEAK
        q = p + 1
        k, unit, _ = unit_at(data, pieces, q, n, sheet)
        if got[EXPONENT] < 0 and q < n and pieces[q, _CODE] & lx.ARTICLE:  # "half a litre", "half an hour"
            k, unit, _ = unit_at(data, pieces, q + 1, n, sheet)
        if unit and k > q and sheet[row, lx.EXPONENT] < 0:
            got[UNIT], got[POWER] = unit, 1
            q = k
        got[STOP] = q
        return q
    if q == p:
        return p
    if q + 2 < n and pieces[q, _CODE] & lx.AND and pieces[q + 1, _CODE] & lx.ARTICLE and got[EXPONENT] == 0:  # "two and a half"
        row = value_row(pieces[q + 2, _CODE])
        if pieces[q + 2, _CODE] & lx.PART and sheet[row, lx.EXPONENT] < 0:
            got[MANTISSA], got[EXPONENT] = (
                got[MANTISSA] * ten_to(-sheet[row, lx.EXPONENT]) + sheet[row, lx.MANTISSA],
                sheet[row, lx.EXPONENT],
            )
            got[SORT] &= ~(PLAIN | WEAK)
            q += 3
    if got[SORT] & ORDINAL:
        got[UNIT], got[POWER] = sheet[lx.ORDINAL_UNIT, lx.SPECIAL], 1
    if got[UNIT] == 0 and not got[SORT] & VERSION:
        after = _with_unit(data, pieces, q, n, sheet, got)
        if after > q:
            q = after
            got[SORT] &= ~WEAK
    got[STOP] = q
    return q


@kernel
def _article(data, pieces, p, n, sheet, got):  # type: ignore[no-untyped-def]
    """One of a unit: "a week" is one week, but no fact of its own."""
    k, row, power = unit_at(data, pieces, p + 1, n, sheet)
    if row == 0:
        return p
    got[MANTISSA], got[EXPONENT], got[SORT], got[UNIT], got[POWER], got[STOP] = 1, 0, WEAK, row, power, k
    return k


@kernel
def _joined_groups(data, pieces, p, last, fold, got):  # type: ignore[no-untyped-def]
    """The value of "2 000 000": the groups after p are appended to what was read."""
    m = got[MANTISSA] * ten_to(got[EXPONENT])
    e = 0
    for q in range(p + 1, last + 1):
        decimals = -1
        i = pieces[q, _FIRST]
        while i < pieces[q, _END]:
            c, i = decoded(data, i, pieces[q, _END])
            c = np.int64(fold[c])
            if 48 <= c <= 57 and m < _MOST // 10:
                m = m * 10 + c - 48
                decimals += decimals >= 0
            elif c == 44 or c == 46:
                decimals = 0
        e = -max(decimals, 0)
    got[MANTISSA], got[EXPONENT] = settle(m, e)
    got[SORT] = 0


@kernel
def _after_digits(data, pieces, p, q, n, sheet, fold, got):  # type: ignore[no-untyped-def]
    """What can follow digits and belongs to the number: "rd", "½", "/2", "× 10⁶", "million"; returns the piece after it."""
    if got[SORT] & VERSION:
        return q
    if glued(pieces, q, n):
        a, b = pieces[q, _FIRST], pieces[q, _END]
        if pieces[q, _FLAGS] & _WORD and b - a == 2 and is_ordinal(data[a] | 32, data[a + 1] | 32):
            got[SORT] = (got[SORT] | ORDINAL) & ~PLAIN
            return q + 1
        c = point_at(data, pieces, q, n)
        if 0xBC <= c <= 0xBE and got[EXPONENT] >= 0:  # ¼ ½ ¾
            quarters = c - 0xBB  # ¼ ½ ¾ follow each other
            got[MANTISSA], got[EXPONENT] = settle(got[MANTISSA] * ten_to(got[EXPONENT]) * 100 + 25 * quarters, _HUNDREDTHS)
            got[SORT] &= ~PLAIN
            return q + 1
        if c == 47 and glued(pieces, q + 1, n) and pieces[q + 1, _FLAGS] & _NUMBER and got[SORT] & TWO_DIGITS and q == p + 1:
            a, b = pieces[q + 1, _FIRST], pieces[q + 1, _END]
            below = 0
            for i in range(a, min(b, a + 4)):
                below = below * 10 + digit_at(data, i) if 48 <= data[i] <= 57 else 9999
            above = got[MANTISSA] * ten_to(max(got[EXPONENT], 0))
            common = (2 <= below <= 6) or below == 8 or below == 10 or below == 12 or below == 16 or below == 100
            if b - a <= 3 and common and above < below and sign_at(data, pieces, q + 2, n) != 47:
                _divide(got, below)
                return q + 2
            return q
        if (
            pieces[q, _FLAGS] & _WORD
            and b - a == 1
            and (data[a] == 107 or (p > 0 and unit_row(pieces[p - 1, _CODE]) and data[a] | 32 == 109))
        ):
            got[MANTISSA], got[EXPONENT] = settle(got[MANTISSA], got[EXPONENT] + (3 if data[a] == 107 else 6))  # "5k", "£3m"
            got[SORT] = (got[SORT] | SCALED) & ~PLAIN
            return q + 1
    if (
        got[SORT] & PLAIN
        and q + 2 < n
        and pieces[q, _FLAGS] & _NUMBER
        and sign_at(data, pieces, q + 1, n) == 47
        and glued(pieces, q + 1, n)
    ):
        a = pieces[q, _FIRST]  # "1 1/2"
        if pieces[q, _END] - a == 1 and pieces[q + 2, _END] - pieces[q + 2, _FIRST] == 1 and glued(pieces, q + 2, n):
            above, below = digit_at(data, a), digit_at(data, pieces[q + 2, _FIRST])
            if 0 < above < below and got[MANTISSA] < 1000 and (below == 2 or below == 4 or below == 8 or below == 5):
                got[MANTISSA] = got[MANTISSA] * ten_to(max(got[EXPONENT], 0)) * below + above
                got[EXPONENT] = 0
                _divide(got, below)
                return q + 3
    c = point_at(data, pieces, q, n)
    if 0xBC <= c <= 0xBE and got[SORT] & PLAIN:  # "1 ½"
        got[MANTISSA], got[EXPONENT] = settle(got[MANTISSA] * ten_to(got[EXPONENT]) * 100 + 25 * (c - 0xBB), _HUNDREDTHS)
        got[SORT] &= ~PLAIN
        return q + 1
    after, e = _e_notation(data, pieces, q, n)
    if after > q and got[EXPONENT] < FRACTION:
        got[EXPONENT] += e
        got[SORT] = (got[SORT] | SCALED) & ~PLAIN
        return after
    if c == 0xD7 or ((c == 120 or c == 42) and q < n and pieces[q, _END] - pieces[q, _FIRST] == 1):
        after, e = _power_of_ten(data, pieces, q + 1, n)
        if after > q + 1:
            got[EXPONENT] += e if got[EXPONENT] < FRACTION else 0
            got[SORT] = (got[SORT] | SCALED) & ~PLAIN
            return after
    k = q + 1 if is_dash(data, pieces, q, n) and glued(pieces, q, n) and glued(pieces, q + 1, n) else q
    while k < n and pieces[k, _CODE] & lx.SCALE and pieces[k, _FLAGS] & _WORD and got[EXPONENT] < FRACTION:
        got[EXPONENT] += sheet[value_row(pieces[k, _CODE]), lx.EXPONENT]
        got[OTHER_EXPONENT] += sheet[value_row(pieces[k, _CODE]), lx.EXPONENT]
        got[SORT] = (got[SORT] | SCALED) & ~PLAIN
        k += 1
        q = k
    return q


@kernel
def is_ordinal(a, b):  # type: ignore[no-untyped-def]
    """Whether two small letters are st, nd, rd or th."""
    return (a == 115 and b == 116) or (a == 110 and b == 100) or (a == 114 and b == 100) or (a == 116 and b == 104)
