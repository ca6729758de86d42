"""What a code point is, as one table that kernels index, and a UTF-8 decoder that survives any bytes.

The table holds Python's own answers (``str.isalpha`` and so on), so a kernel and its plain-Python twin cannot disagree about
a character. It is built from NumPy's string predicates on first use, in a few hundredths of a second, and never imported.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numba as nb
import numpy as np

ALPHA = 1  # str.isalpha: letters of any script (categories L*)
UPPER = 2  # str.isupper of the one character
LOWER = 4  # str.islower of the one character
SPACE = 8  # str.isspace: what str.split() and str.strip() remove
DECIMAL = 16  # str.isdecimal: category Nd, what \d matches
DIGIT = 32  # str.isdigit: decimals, superscripts, circled digits
NUMERIC = 64  # str.isnumeric: digits, fractions, Roman and Han numerals
PUNCTUATION = 128  # general category P*
SYMBOL = 256  # general category S* (currency, mathematics, emoji)
MARK = 512  # general category M* (combining marks)
LINE_BREAK = 1024  # what str.splitlines() breaks at
CONTROL = 2048  # general category C* that is assigned (Cc, Cf, Co, Cs)

ALPHANUMERIC = ALPHA | DECIMAL | DIGIT | NUMERIC  # any of these bits: str.isalnum

CODE_POINTS = 0x110000
REPLACEMENT = 0xFFFD
LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"

# Letters, digits and spaces have their bits from NumPy; only the rest is asked for its general category, and only where
# anything is assigned that can be a mark, punctuation, symbol or control (the CJK and private planes hold none).
_CATEGORISED = (
    (0x0, 0x3400),
    (0x4DC0, 0x4E00),
    (0xA000, 0xAC00),
    (0xD7A4, 0xE001),
    (0xF8FF, 0x17000),
    (0x18AFF, 0x20000),
    (0xE0000, 0xE0200),
)
_MAJOR = {"P": PUNCTUATION, "S": SYMBOL, "M": MARK, "C": CONTROL}


@cache
def classes() -> np.ndarray:
    """The class bits of every code point: uint16 [0x110000], read-only. ``classes()[ord("é")] & ALPHA``."""
    points = np.arange(CODE_POINTS, dtype=np.uint32)
    characters = points.view("<U1") if points.dtype.byteorder in "=<" else points.astype("<u4").view("<U1")
    table = np.zeros(CODE_POINTS, np.uint16)
    for bit, predicate in (
        (ALPHA, np.char.isalpha),
        (UPPER, np.char.isupper),
        (LOWER, np.char.islower),
        (SPACE, np.char.isspace),
        (DECIMAL, np.char.isdecimal),
        (DIGIT, np.char.isdigit),
        (NUMERIC, np.char.isnumeric),
    ):
        table[predicate(characters)] |= bit
    for first, stop in _CATEGORISED:
        for point in np.flatnonzero((table[first:stop] & ALPHA) == 0) + first:
            category = unicodedata.category(chr(point))
            if category != "Cn":
                table[point] |= _MAJOR.get(category[0], 0)
    table[[ord(c) for c in LINE_BREAKS]] |= LINE_BREAK
    table.flags.writeable = False
    return table


@nb.njit(nogil=True, cache=True, inline="always")
def decode(data, i, end):  # type: ignore[no-untyped-def]
    """The code point at byte ``i`` of ``data[:end]`` and the index of the next one, as ``bytes.decode("utf-8", "replace")`` reads it.

    Invariant: ``i < next <= end`` for ``i < end``, whatever the bytes. An ill-formed sequence is one U+FFFD and takes its
    longest well-formed beginning (Unicode's "maximal subpart"; surrogates and overlong forms are ill-formed), so the number
    of code points equals ``len()`` of what Python decodes.

    Args:
        data: uint8, UTF-8 bytes.
        i: index of a first byte, ``i < end``.
        end: index after the last byte of the document.

    Returns:
        (code point, next index).
    """
    lead = np.int64(data[i])
    i += 1
    if lead < 0x80:
        return lead, i
    if lead < 0xC2 or lead > 0xF4:
        return np.int64(REPLACEMENT), i
    # Bounds of the second byte exclude overlong forms (E0, F0), surrogates (ED) and what lies beyond U+10FFFF (F4).
    low, high = 0x80, 0xBF
    if lead < 0xE0:
        more, point = 1, lead & 0x1F
    elif lead < 0xF0:
        more, point = 2, lead & 0x0F
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
    else:
        more, point = 3, lead & 0x07
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
    for _ in range(more):
        if i >= end or data[i] < low or data[i] > high:
            return np.int64(REPLACEMENT), i
        point = (point << 6) | (np.int64(data[i]) & 0x3F)
        i += 1
        low, high = 0x80, 0xBF
    return point, i
