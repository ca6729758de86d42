"""Dates, years, decades, centuries, weekdays and times of day.

A date is year, month and day, 0 where it does not say; its key is of all three. What is written with numbers alone and may be read two ways
(3/4/1931) has both readings. Years before our era are negative.
"""

from __future__ import annotations

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.swar import kernel
from explorer.rewrites import lexicon as lx
from explorer.rewrites.grammar import numbers as nm
from explorer.rewrites.grammar import pieces as pc
from explorer.rewrites.grammar.pieces import digit_at, glued, is_dash, mixed, point_at, sign_at
from explorer.rewrites.grammar.units import unit_at, unit_row, value_row

# What was read.
NOTHING, DATE, DECADE, CENTURY, WEEKDAY, TIME = (np.int64(k) for k in range(6))
YEAR, MONTH, DAY, MINUTES, BEGIN, STOP, SORT = nm.YEAR, nm.MONTH, nm.DAY, nm.MINUTES, nm.BEGIN, nm.STOP, nm.SORT
SWAPPED = nm.SECOND  # bit of SORT: day and month may be exchanged
BARE_HOUR = nm.TWO_DIGITS  # bit of SORT: nothing says whether morning or afternoon
_LONE_YEAR = nm.PLAIN

_CODE, _FLAGS, _FIRST, _END = pc.CODE, pc.FLAGS, pc.FIRST, pc.END
_NUMBER, _WORD, _SIGN, _CAPITAL, _UNSPACED = tm.NUMBER, tm.WORD, tm.SIGN, tm.CAPITAL, tm.UNSPACED
_YEAR_SIGN, _MONTH_SIGN, _DAY_SIGN, _DAY_SIGN_2, _BEFORE, _ERA = 0x5E74, 0x6708, 0x65E5, 0x53F7, 0x524D, 0x5143  # 年 月 日 号 前 元
_KOREAN_YEAR, _KOREAN_MONTH, _KOREAN_DAY = 0xB144, 0xC6D4, 0xC77C  # 년 월 일
_FIRST_YEAR, _LAST_YEAR = np.int64(1000), np.int64(2199)  # of a year that stands alone in four digits
_DAYS, _HOURS, _SIXTY, _HUNDRED, _ANY = np.int64(31), np.int64(24), np.int64(59), np.int64(99), np.int64(9999)  # most of a number


@kernel
def date_key(year, month, day):  # type: ignore[no-untyped-def]
    """Key of a date, 0 for what it does not say."""
    return mixed(DATE, year, month * 32 + day)


@kernel
def _month(pieces, p, n):  # type: ignore[no-untyped-def]
    """Number of the month that piece p names, 0 for none. "May" and "March" need their capital."""
    if p >= n:
        return np.int64(0)
    month = pieces[p, _CODE] >> lx.MONTH_SHIFT & lx.MONTH_MASK
    small = not pieces[p, _FLAGS] & _CAPITAL and pieces[p, _CODE] & lx.COMMON
    return np.int64(0) if small else month


@kernel
def _whole(data, pieces, p, n, most):  # type: ignore[no-untyped-def]
    """Value of piece p as a whole number of at most four ASCII digits and at most ``most``, -1 where it is none."""
    if p >= n or not pieces[p, _FLAGS] & _NUMBER:
        return -1
    a, b = pieces[p, _FIRST], pieces[p, _END]
    if b - a > 4:
        return -1
    value = 0
    for i in range(a, b):
        if not 48 <= data[i] <= 57:
            return -1
        value = value * 10 + digit_at(data, i)
    return value if value <= most else -1


@kernel
def _era(data, pieces, p, q, n):  # type: ignore[no-untyped-def]
    """(piece after the era, -1 before it, 1 in it, 0 not said) of "BC", "AD", "v. Chr." at piece q, or "AD" before piece p."""
    if q < n and pieces[q, _FLAGS] & _WORD and pieces[q, _FLAGS] & (tm.CAPITALS | tm.DOTTED):
        if pieces[q, _CODE] & lx.BC:
            return q + 1, -1
        if pieces[q, _CODE] & lx.AD:
            return q + 1, 1
    if q + 3 < n and sign_at(data, pieces, q + 1, n) == 46 and pieces[q + 2, _END] - pieces[q + 2, _FIRST] == 3:  # v. Chr.
        c = point_at(data, pieces, q, n)
        if pieces[q, _END] - pieces[q, _FIRST] == 1 and (c == 118 or c == 110) and point_at(data, pieces, q + 2, n) == 67:
            return q + (4 if sign_at(data, pieces, q + 3, n) == 46 else 3), -1 if c == 118 else 1
    if p > 0 and pieces[p - 1, _CODE] & lx.AD and pieces[p - 1, _FLAGS] & (tm.CAPITALS | tm.DOTTED):
        return q, 1
    return q, 0


@kernel
def _year_after(data, pieces, q, n):  # type: ignore[no-untyped-def]
    """(piece after it, year) of a year that follows a month or day, maybe after a comma or "of"; (q, 0) where there is none."""
    k = q
    if sign_at(data, pieces, k, n) == 44 or (k < n and pieces[k, _CODE] & lx.DATING and pieces[k, _CODE] & lx.FUNCTION):
        k += 1
    year = _whole(data, pieces, k, n, _LAST_YEAR)
    if year >= 32 and not (k + 1 < n and sign_at(data, pieces, k + 1, n) == 58 and glued(pieces, k + 2, n)):
        after, era = _era(data, pieces, k, k + 1, n)
        if era or year >= 1000 or k == q:
            return after, -year if era < 0 else year
    return q, 0


@kernel
def _ordinal_mark(data, pieces, q, n):  # type: ignore[no-untyped-def]
    """The piece after "st", "nd", "rd", "th", "º" or "." that is glued to a day."""
    if not glued(pieces, q, n):
        return q
    a, b = pieces[q, _FIRST], pieces[q, _END]
    if pieces[q, _FLAGS] & _WORD and b - a == 2 and nm.is_ordinal(data[a] | 32, data[a + 1] | 32):
        return q + 1
    c = point_at(data, pieces, q, n)
    return q + 1 if pieces[q, _FLAGS] & _SIGN and (c == 46 or c == 0xBA) and b - a <= 2 else q


@kernel
def _numeric(data, pieces, p, n, got):  # type: ignore[no-untyped-def]
    """1931-03-03, 3/3/1931, 3.3.1931: returns the piece after it, p where it is none."""
    if (
        p + 4 >= n
        or not glued(pieces, p + 1, n)
        or not glued(pieces, p + 2, n)
        or not glued(pieces, p + 3, n)
        or not glued(pieces, p + 4, n)
    ):
        return p
    mark = sign_at(data, pieces, p + 1, n)
    if mark != sign_at(data, pieces, p + 3, n) or not (mark == 45 or mark == 47 or mark == 46):
        return p
    x, y, z = _whole(data, pieces, p, n, _ANY), _whole(data, pieces, p + 2, n, _DAYS), _whole(data, pieces, p + 4, n, _ANY)
    if x < 1 or y < 1 or z < 1:
        return p
    if _FIRST_YEAR <= x <= _LAST_YEAR and y <= 12 and z <= 31:
        got[YEAR], got[MONTH], got[DAY] = x, y, z
    elif x <= 31 and (_FIRST_YEAR <= z <= _LAST_YEAR or (z <= 99 and mark == 47 and pieces[p + 4, _END] - pieces[p + 4, _FIRST] == 2)):
        if z <= 99:
            z += 2000 if z < 40 else 1900
        if x > 12 and y > 12:
            return p
        day, month = (x, y) if x > 12 else (y, x)  # 8/15: month first, and so where nothing tells
        got[YEAR], got[MONTH], got[DAY] = z, month, day
        if x <= 12 and y <= 12 and x != y:
            got[SORT] = SWAPPED
    else:
        return p
    return p + 5


@kernel
def _marked(data, pieces, p, n, got):  # type: ignore[no-untyped-def]
    """公元105年8月3日, 2019년 8월 3일: returns the piece after it, p where it is none."""
    q = p
    found = False
    while q + 1 < n and glued(pieces, q + 1, n):
        value = _whole(data, pieces, q, n, _ANY)
        c = point_at(data, pieces, q + 1, n)
        if value < 1:
            break
        if c in (_YEAR_SIGN, _KOREAN_YEAR) and q == p:
            before = p > 0 and point_at(data, pieces, p - 1, n) == _BEFORE
            if before and not (p > 1 and point_at(data, pieces, p - 2, n) == _ERA):
                before = False
            # "10 years" is written the same way: a year alone has three digits or an era
            era = p > 0 and (before or point_at(data, pieces, p - 1, n) == _ERA)
            if value < 100 and not era:
                break
            got[YEAR] = -value if before else value
        elif c in (_MONTH_SIGN, _KOREAN_MONTH) and value <= 12 and got[MONTH] == 0:
            got[MONTH] = value
        elif c in (_DAY_SIGN, _DAY_SIGN_2, _KOREAN_DAY) and value <= 31 and got[MONTH]:
            got[DAY] = value
        else:
            break
        found = True
        q += 2
        if got[DAY]:
            break
    return q if found else p


@kernel
def _time(data, pieces, p, n, got):  # type: ignore[no-untyped-def]
    """10:30, 10 a.m., 6.30 pm, 14h30, 10 o'clock: returns the piece after it, p where it is none."""
    a, b = pieces[p, _FIRST], pieces[p, _END]
    hour, minute, q = _whole(data, pieces, p, n, _HOURS), 0, p + 1
    explicit = False
    if hour < 0 and 4 <= b - a <= 5 and data[b - 3] == 46 and pieces[p, _FLAGS] & _NUMBER:  # 6.30
        hour, minute = 0, digit_at(data, b - 2) * 10 + digit_at(data, b - 1)
        for i in range(a, b - 3):
            hour = hour * 10 + digit_at(data, i)
        if hour > 24 or minute > 59:
            return p
    elif hour < 0 or b - a > 2:
        return p
    elif glued(pieces, q, n) and glued(pieces, q + 1, n):
        c = point_at(data, pieces, q, n)
        if (c == 58 or (c | 32 == 104 and pieces[q, _END] - pieces[q, _FIRST] == 1)) and pieces[q + 1, _END] - pieces[q + 1, _FIRST] == 2:
            minute = _whole(data, pieces, q + 1, n, _SIXTY)
            if minute < 0:
                return p
            explicit = True
            q += 2
            if sign_at(data, pieces, q, n) == 58 and glued(pieces, q, n) and glued(pieces, q + 1, n):
                if _whole(data, pieces, q + 1, n, _SIXTY) < 0:
                    return p
                q += 2
    half = 0
    if q < n and pieces[q, _FLAGS] & _WORD:
        code = pieces[q, _CODE]
        if code & (lx.AM | lx.PM) and 1 <= hour <= 12:
            half = 1 if code & lx.AM else 2
            q += 1
        elif code & lx.OCLOCK:
            explicit = True
            q += 1
    if not half and not explicit:
        return p
    if half:
        hour = hour % 12 + (12 if half == 2 else 0)
    got[MINUTES] = hour % 24 * 60 + minute
    got[SORT] = BARE_HOUR if not half and hour <= 12 else 0
    return q


@kernel
def _is_year(data, pieces, p, q, n, sheet):  # type: ignore[no-untyped-def]
    """Whether the four digits that are piece p are a year by what stands around them: no unit or plural noun after, no currency before."""
    if p > 0:
        code = pieces[p - 1, _CODE]
        if unit_row(code) and pieces[p - 1, _FLAGS] & _SIGN and glued(pieces, p, n):
            return False
        if code & lx.DATING and not code & lx.AND:
            after, row, _ = unit_at(data, pieces, q, n, sheet)
            return row == 0 or after == q
    after, row, _ = unit_at(data, pieces, q, n, sheet)
    if row and not (row == sheet[lx.YEAR, lx.SPECIAL] or row == sheet[lx.CENTURY, lx.SPECIAL]):
        return False
    if q < n and pieces[q, _FLAGS] & _WORD and not pieces[q, _CODE] & lx.FUNCTION:
        if pieces[q, _CODE] & lx.SCALE:
            return False
        last = data[pieces[q, _END] - 1]
        return not (last == 115 and pieces[q, _END] - pieces[q, _FIRST] > 3 and not pieces[q, _FLAGS] & (_CAPITAL | tm.START))
    return True


@kernel
def read_date(data, pieces, p, n, sheet, got):  # type: ignore[no-untyped-def]
    """Read the date or time that begins at piece p into ``got``; returns what it is, its end in ``got[STOP]``."""
    got[YEAR] = got[MONTH] = got[DAY] = got[MINUTES] = got[SORT] = 0
    got[BEGIN] = p
    flags = pieces[p, _FLAGS]
    if flags & _WORD:
        return _from_word(data, pieces, p, n, sheet, got)
    if not flags & _NUMBER:
        return NOTHING
    q = _numeric(data, pieces, p, n, got)
    if q == p:
        q = _marked(data, pieces, p, n, got)
    if q == p:
        q = _time(data, pieces, p, n, got)
        if q > p:
            got[STOP] = q
            return TIME
    if q > p:
        got[STOP] = q
        return DATE
    day = _whole(data, pieces, p, n, _DAYS)
    if day >= 1:
        k = _ordinal_mark(data, pieces, p + 1, n)
        of = k < n and pieces[k, _CODE] & lx.DATING and pieces[k, _CODE] & lx.FUNCTION
        month = _month(pieces, k, n)
        if month == 0 and of:
            month = _month(pieces, k + 1, n)
            k += month > 0
        if month:
            stop = k + 1
            if sign_at(data, pieces, stop, n) == 46 and glued(pieces, stop, n) and pieces[k, _END] - pieces[k, _FIRST] <= 4:
                stop += 1  # "Sept."
            after, year = _year_after(data, pieces, stop, n)
            got[YEAR], got[MONTH], got[DAY], got[STOP] = year, month, day, after if year else k + 1
            return DATE
        if k > p + 1 or pieces[min(k, n - 1), _FLAGS] & pc.JOINED:
            after = k + 1 if is_dash(data, pieces, k, n) else k
            if after < n and unit_row(pieces[after, _CODE]) == sheet[lx.CENTURY, lx.SPECIAL]:
                return _century(data, pieces, p, after + 1, n, day, got)
    value = _whole(data, pieces, p, n, _LAST_YEAR)
    if value < 1 or pieces[p, _END] - pieces[p, _FIRST] < 2 - (value < 10):
        return NOTHING
    q = p + 1
    four = pieces[p, _END] - pieces[p, _FIRST] == 4
    if four and value % 10 == 0 and _decade_mark(data, pieces, q, n):
        got[YEAR], got[STOP] = value, _decade_mark(data, pieces, q, n)
        return DECADE
    if value % 10 == 0 and 20 <= value <= 90 and p > 0 and _decade_mark(data, pieces, q, n):  # "the '80s"
        mark = point_at(data, pieces, p - 1, n)
        if mark == 39 or mark == 0x2019 or mark == 0x2018 or pieces[p - 1, _CODE] & lx.MONTH_BEFORE:
            got[YEAR], got[STOP] = 1900 + value, _decade_mark(data, pieces, q, n)
            return DECADE
    after, era = _era(data, pieces, p, q, n)
    joins = is_dash(data, pieces, q, n) or (q < n and pieces[q, _CODE] & (lx.TO | lx.AND) and pieces[q, _FLAGS] & _WORD)
    if era == 0 and joins and _whole(data, pieces, q + 1, n, _LAST_YEAR) > 0:
        era = min(_era(data, pieces, q + 1, q + 2, n)[1], 0)  # "447–432 BC", "447 and 432 BC"
        after = q
    if era:
        got[YEAR], got[STOP] = era * value, after
        if after == q and era > 0 and p > 0 and pieces[p - 1, _CODE] & lx.AD:
            got[BEGIN] = p - 1
        return DATE
    if four and value >= _FIRST_YEAR and _is_year(data, pieces, p, q, n, sheet):
        got[YEAR], got[STOP], got[SORT] = value, q, _LONE_YEAR
        return DATE
    return NOTHING


@kernel
def short_year(data, pieces, p, n, year):  # type: ignore[no-untyped-def]
    """The year that piece p means in "1636–37" after ``year``, 0 where it means none."""
    value = _whole(data, pieces, p, n, _HUNDRED)
    if value < 0 or pieces[p, _END] - pieces[p, _FIRST] != 2 or not glued(pieces, p, n) or year < _FIRST_YEAR:
        return 0
    full = year - year % 100 + value
    return full if full > year else 0


@kernel
def _decade_mark(data, pieces, q, n):  # type: ignore[no-untyped-def]
    """The piece after the "s" or "'s" that makes a decade of a year, 0 where there is none."""
    if glued(pieces, q, n) and pieces[q, _END] - pieces[q, _FIRST] == 1 and data[pieces[q, _FIRST]] == 115:
        return q + 1
    c = point_at(data, pieces, q, n)
    if not (c == 39 or c == 0x2019) or not glued(pieces, q + 1, n):  # "1940's", "1940 's" where texts are cut into words
        return 0
    return q + 2 if pieces[q + 1, _END] - pieces[q + 1, _FIRST] == 1 and data[pieces[q + 1, _FIRST]] == 115 else 0


@kernel
def _century(data, pieces, p, q, n, number, got):  # type: ignore[no-untyped-def]
    after, era = _era(data, pieces, p, q, n)
    got[YEAR], got[STOP] = -number if era < 0 else number, after
    return CENTURY


@kernel
def _from_word(data, pieces, p, n, sheet, got):  # type: ignore[no-untyped-def]
    """A date that begins with a word: a month, a weekday, "sixteenth century", "noon"."""
    code, flags = pieces[p, _CODE], pieces[p, _FLAGS]
    weekday = code >> lx.WEEKDAY_SHIFT & lx.WEEKDAY_MASK
    if weekday:
        got[DAY], got[STOP] = weekday, p + 1
        return WEEKDAY
    if code & lx.NOON:
        got[MINUTES], got[STOP] = sheet[value_row(code), lx.MANTISSA] * nm.ten_to(sheet[value_row(code), lx.EXPONENT]), p + 1
        return TIME
    if code & (lx.ORDINAL | lx.WEAK | lx.NUMBER):
        row = value_row(code)
        value = sheet[row, lx.MANTISSA] * nm.ten_to(sheet[row, lx.EXPONENT]) if 0 <= sheet[row, lx.EXPONENT] < 3 else 0
        q = p + 1
        if code & lx.NUMBER and q < n and pieces[q, _FLAGS] & pc.JOINED and pieces[q, _CODE] & (lx.ORDINAL | lx.WEAK):  # "twenty-first"
            value += sheet[value_row(pieces[q, _CODE]), lx.MANTISSA]
            q += 1
        elif code & lx.NUMBER:
            return NOTHING
        after = q + 1 if is_dash(data, pieces, q, n) and glued(pieces, q, n) else q
        if after < n and unit_row(pieces[after, _CODE]) == sheet[lx.CENTURY, lx.SPECIAL] and 1 <= value <= 40:
            return _century(data, pieces, p, after + 1, n, value, got)
        if 1 <= value <= 31 and q + 1 < n and pieces[q, _CODE] & lx.DATING:
            month = _month(pieces, q + 1, n)
            if month:
                after, year = _year_after(data, pieces, q + 2, n)
                got[YEAR], got[MONTH], got[DAY], got[STOP] = year, month, value, after
                return DATE
        return NOTHING
    month = _month(pieces, p, n)
    if month == 0:
        return NOTHING
    q = p + 1
    short = pieces[p, _END] - pieces[p, _FIRST] <= 4
    if sign_at(data, pieces, q, n) == 46 and glued(pieces, q, n) and short:
        q += 1
    day = _whole(data, pieces, q, n, _DAYS)
    if day >= 1:
        k = _ordinal_mark(data, pieces, q + 1, n) if sign_at(data, pieces, q + 1, n) != 46 else q + 1
        clock = sign_at(data, pieces, k, n) == 58
        if not clock:
            after, year = _year_after(data, pieces, k, n)
            got[YEAR], got[MONTH], got[DAY], got[STOP] = year, month, day, after
            return DATE
    after, year = _year_after(data, pieces, q, n)
    if year:
        got[YEAR], got[MONTH], got[STOP] = year, month, after
        return DATE
    # a month alone: "May" and "March" are words too, and "Jan." and "Mar." need a number
    size = pieces[p, _END] - pieces[p, _FIRST]
    before = p > 0 and pieces[p - 1, _CODE] & lx.MONTH_BEFORE and flags & _CAPITAL
    named = flags & _CAPITAL and not flags & tm.START and not (p > 0 and pieces[p - 1, _FLAGS] & _CAPITAL)
    if code & lx.COMMON:
        if not before and not named:
            return NOTHING
    elif size <= 4 and not (size == 4 and flags & _CAPITAL and (month == 6 or month == 7)) and not before:
        return NOTHING
    got[MONTH], got[STOP] = month, p + 1
    return DATE
