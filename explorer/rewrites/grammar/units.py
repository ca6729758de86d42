"""Units of measurement after a number: words, signs, "°C", "per cent", "square metres", "km²"."""

from __future__ import annotations

from explorer.primitives import terms as tm
from explorer.primitives.folded import decoded
from explorer.primitives.swar import kernel
from explorer.rewrites import lexicon as lx
from explorer.rewrites.grammar import pieces as pc
from explorer.rewrites.grammar.pieces import glued, point_at

_CODE, _FLAGS, _FIRST, _END = pc.CODE, pc.FLAGS, pc.FIRST, pc.END
_WORD, _SIGN, _DIGITS, _CAPITAL = tm.WORD, tm.SIGN, tm.DIGITS, tm.CAPITAL


@kernel
def value_row(code):  # type: ignore[no-untyped-def]
    """Row of a number word's value."""
    return code >> lx.VALUE_SHIFT & lx.VALUE_MASK


@kernel
def unit_row(code):  # type: ignore[no-untyped-def]
    """Row of a unit, 0 for none."""
    return code >> lx.UNIT_SHIFT & lx.UNIT_MASK


@kernel
def raised(data, pieces, p):  # type: ignore[no-untyped-def]
    """Value of the raised number that is piece p ("⁻³⁴"); 99 where it is none."""
    value, sign, i, digits = 0, 1, pieces[p, _FIRST], 0
    while i < pieces[p, _END]:
        c, i = decoded(data, i, pieces[p, _END])
        if c == 0x207B:
            sign = -1
        elif c == 0x207A:
            continue
        else:
            d = c - 0x2070
            if c == 0xB9:
                d = 1
            elif c == 0xB2 or c == 0xB3:
                d = c - 0xB0
            if d < 0 or d > 9 or digits == 3:
                return 99
            value = value * 10 + d
            digits += 1
    return sign * value if digits else 99


@kernel
def unit_at(data, pieces, q, n, sheet):  # type: ignore[no-untyped-def]
    """(piece after it, row, power) of a unit at piece q; (q, 0, 0) where there is none."""
    if q >= n or pieces[q, _FLAGS] & tm.PARAGRAPH:
        return q, 0, 0
    code, flags = pieces[q, _CODE], pieces[q, _FLAGS]
    c = point_at(data, pieces, q, n)
    if flags & _SIGN:
        if c == 37:
            return q + 1, sheet[lx.PERCENT_UNIT, lx.SPECIAL], 1
        if c == 0xB0 or c == 0xBA:
            k = q + 1
            if k < n and pieces[k, _END] - pieces[k, _FIRST] == 1:
                d = point_at(data, pieces, k, n)
                if d == 67 or d == 70:
                    return k + 1, sheet[lx.CELSIUS if d == 67 else lx.FAHRENHEIT, lx.SPECIAL], 1
            return k, sheet[lx.DEGREE, lx.SPECIAL], 1
        if c == 0x2103 or c == 0x2109:
            return q + 1, sheet[lx.CELSIUS if c == 0x2103 else lx.FAHRENHEIT, lx.SPECIAL], 1
        if unit_row(code):
            return q + 1, unit_row(code), 1
        if c == 45 and glued(pieces, q, n) and glued(pieces, q + 1, n) and unit_row(pieces[q + 1, _CODE]):  # "110-metre"
            return q + 2, unit_row(pieces[q + 1, _CODE]), 1
        return q, 0, 0
    if not flags & _WORD:
        return q, 0, 0
    if code & lx.PER and q + 1 < n and pieces[q + 1, _CODE] & lx.PERCENT:
        return q + 2, sheet[lx.PERCENT_UNIT, lx.SPECIAL], 1
    if code & lx.POWER:
        k, row, _ = unit_at(data, pieces, q + 1, n, sheet) if q + 1 < n and pieces[q + 1, _FLAGS] & _WORD else (q, 0, 0)
        return (k, row, sheet[value_row(code), lx.MANTISSA]) if row else (q, 0, 0)
    row = unit_row(code)
    if pieces[q, _END] - pieces[q, _FIRST] == 1:
        row = sheet[c, lx.LETTER] if c < 128 else 0
    elif row and flags & _CAPITAL and not flags & tm.CAPITALS and code & lx.COMMON and not flags & tm.GLUED:
        row = 0  # "20 Marks", "5 Stones": a name
    if row == 0:
        return q, 0, 0
    k = q + 1
    if row == sheet[lx.DEGREE, lx.SPECIAL] and k < n:
        after = unit_row(pieces[k, _CODE])
        d = point_at(data, pieces, k, n)
        if after == sheet[lx.CELSIUS, lx.SPECIAL] or after == sheet[lx.FAHRENHEIT, lx.SPECIAL]:
            return k + 1, after, 1
        if pieces[k, _END] - pieces[k, _FIRST] == 1 and (d == 67 or d == 70):
            return k + 1, sheet[lx.CELSIUS if d == 67 else lx.FAHRENHEIT, lx.SPECIAL], 1
    if k < n and pieces[k, _FLAGS] & _SIGN and pieces[k, _FLAGS] & _DIGITS:
        power = raised(data, pieces, k)
        if power == 2 or power == 3:
            return k + 1, row, power
    return k, row, 1
