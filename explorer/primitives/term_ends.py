"""Where a term ends that begins at a byte: words, numbers, links and e-mail addresses."""

from __future__ import annotations

import numpy as np

from explorer.primitives import unicode as u
from explorer.primitives.folded import BARE, DOMAIN, IGNORED, TO_LOWER, decoded, known_as
from explorer.primitives.swar import (
    HIGH,
    SEED,
    ascii_letters,
    hash_bytes,
    hash_finish,
    hash_step,
    kernel,
    load_upto,
    lowest_set_byte,
    popcount,
)

# Bits of a term's flags. The first five say what it is; exactly one of them is set.
WORD, NUMBER, SIGN, UNSPACED, LINK = 1, 2, 4, 8, 16
CAPITAL = 32  # begins with a capital
CAPITALS = 64  # two letters or more, none of them small
DIGITS = 128  # has a digit
START = 256  # a capital is due here whatever the word: first word of a sentence, line, quotation, or after a colon
LINE = 512  # first term of a line
GLUED = 1024  # no white space before it
HYPHEN = 2048  # a hyphen inside
DOTTED = 4096  # letters with full stops
POSSESSIVE = 8192  # ends in 's
SNAKE = 16384  # an underscore inside
PARAGRAPH = 32768  # first term after a blank line, or of the text
KIND = WORD | NUMBER | SIGN | UNSPACED | LINK

_ALPHA, _LETTERLIKE, _DECIMAL, _UPPER = u.ALPHA, u.ALPHA | u.MARK, u.DECIMAL, u.UPPER


@kernel
def is_letter(c):  # type: ignore[no-untyped-def]
    """Whether a byte is an ASCII letter."""
    return 97 <= (c | 32) <= 122


@kernel
def is_digit(c):  # type: ignore[no-untyped-def]
    """Whether a byte is an ASCII digit."""
    return 48 <= c <= 57


@kernel
def letter_at(data, i, end, kinds):  # type: ignore[no-untyped-def]
    """Whether a letter of a script that divides words stands at byte i."""
    if i >= end:
        return False
    if data[i] < 128:
        return is_letter(data[i])
    point, _ = decoded(data, i, end)
    return kinds[point] & _ALPHA != 0 and kinds[point] & BARE == 0


@kernel
def letters_end(data, i, end):  # type: ignore[no-untyped-def]
    """The ASCII letters from byte i on: (end, hash as `hash_plain` has it, how many are capitals).

    Invariant: ``h`` has absorbed ``data[i:j]``, all of it whole blocks of eight.
    """
    h = SEED
    j = i
    capitals = np.int64(0)
    while True:
        v = load_upto(data, j, end)
        n = lowest_set_byte(~ascii_letters(v) & HIGH)
        if n > 0:
            kept = ~np.uint64(0) >> np.uint64(64 - 8 * n)
            capitals += popcount(~v & TO_LOWER & kept)
            h = hash_step(h, (v | TO_LOWER) & kept)
            j += n
        if n < 8:
            break
    return j, hash_finish(h, j - i), capitals


@kernel
def goes_on(data, j, end):  # type: ignore[no-untyped-def]
    """Whether a word may go on at byte j, its first byte that is no ASCII letter; only these words need `word_end` or `link_end`."""
    if j >= end:
        return False
    c = data[j]
    if c == 46 or c == 58:
        return j + 1 < end and (is_letter(data[j + 1]) or is_digit(data[j + 1]) or data[j + 1] == 47)
    return c >= 128 or c == 39 or c == 45 or c == 95 or is_digit(c)


@kernel
def word_end(data, i, end, kinds):  # type: ignore[no-untyped-def]
    """The word that begins at byte i: (end, flags, whether ASCII alone tells its hash).

    Invariant: ``data[i:j]`` is a word, and an apostrophe, hyphen or underscore is taken only together with the letter after it.
    """
    flags = WORD
    plain = True
    j = i
    while j < end:
        c = data[j]
        if c < 128:
            letters = lowest_set_byte(~ascii_letters(load_upto(data, j, end)) & np.uint64(0x8080808080808080))
            if letters > 0:
                j += letters
                continue
            if is_digit(c):
                flags |= DIGITS
                j += 1
            elif (c == 39 or c == 45) and j > i and letter_at(data, j + 1, end, kinds):
                if c == 45:
                    flags |= HYPHEN
                j += 1
            elif c == 95 and j + 1 < end and (is_letter(data[j + 1]) or is_digit(data[j + 1]) or data[j + 1] == 95):
                flags |= SNAKE
                plain = False
                j += 1
            else:
                break
            continue
        point, k = decoded(data, j, end)
        bits = kinds[point]
        if bits & BARE:
            break
        if bits & _LETTERLIKE or bits & IGNORED:
            plain = False
        elif bits & _DECIMAL:
            plain = False
            flags |= DIGITS
        elif (point == 0x2019 or point == 0xFF07 or point == 0x2010 or point == 0x2011) and letter_at(data, k, end, kinds):
            plain = False
            if point == 0x2010 or point == 0x2011:
                flags |= HYPHEN
        else:
            break
        j = k
    if j == i + 1 and j + 1 < end and data[j] == 46 and is_letter(data[j + 1]):  # letters with full stops
        k = j
        while k + 1 < end and data[k] == 46 and is_letter(data[k + 1]) and not (k + 2 < end and letter_at(data, k + 2, end, kinds)):
            k += 2
        if k > j:
            return (k + 1 if k < end and data[k] == 46 else k), flags | DOTTED, False
    return j, flags, plain


@kernel
def capitals_of(data, a, b, kinds):  # type: ignore[no-untyped-def]
    """CAPITAL, CAPITALS and POSSESSIVE of the word ``data[a:b]``. "NASA's" counts as capitals."""
    flags = 0
    if b - a >= 3 and data[b - 1] | 32 == 115 and (data[b - 2] == 39 or (data[b - 2] == 0x99 and data[b - 3] == 0x80)):
        flags = POSSESSIVE
        b -= 2 if data[b - 2] == 39 else 4
    letters = 0
    first = a
    while a < b:
        if data[a] < 128:
            bits = kinds[data[a]]
            a += 1
        else:
            point, a = decoded(data, a, b)
            bits = kinds[point]
        if bits & _UPPER:
            if letters == 0 and not flags & CAPITAL:
                flags |= CAPITAL
            letters += 1
        elif bits & _ALPHA:
            return flags  # a small letter, or one of a script without capitals
        elif a == first + 1:
            return flags
    return flags | CAPITALS if letters >= 2 else flags


@kernel
def _url_end(data, i, end, kinds):  # type: ignore[no-untyped-def]
    """Where the link that begins at byte i ends: at white space or a bracket, without the punctuation of the sentence around it."""
    j = i
    while j < end:
        c = data[j]
        if c <= 32 or c == 34 or c == 60 or c == 62 or c == 92 or c == 94 or c == 96 or 123 <= c <= 127:
            break
        if c < 128:
            j += 1
            continue
        point, k = decoded(data, j, end)
        if kinds[point] & _ALPHA == 0 or kinds[point] & BARE:
            break
        j = k
    opened = 0
    for k in range(i, j):
        opened += 1 if data[k] == 40 else (-1 if data[k] == 41 else 0)
    while j > i + 1:
        c = data[j - 1]
        if c == 41 and opened < 0:
            opened += 1
        elif not (c == 46 or c == 44 or c == 59 or c == 58 or c == 33 or c == 63 or c == 39 or c == 42 or c == 93 or c == 40):
            break
        j -= 1
    return j


@kernel
def _host_end(data, i, end, kinds, keys, known):  # type: ignore[no-untyped-def]
    """End of a host name with a usual ending ("example.com") at byte i, or i. Two letters ("co.uk") need a third label or a slash."""
    j = label = i
    labels = 0
    while j < end:
        c = data[j]
        if is_letter(c) or is_digit(c) or c == 45:
            j += 1
        elif c == 46 and j > label and j + 1 < end and (is_letter(data[j + 1]) or is_digit(data[j + 1])):
            labels += 1
            j += 1
            label = j
        else:
            break
    if labels == 0 or not known_as(keys, known, hash_bytes(data, label, j)) & DOMAIN:
        return i
    if j - label == 2 and labels < 2 and not (j < end and data[j] == 47):
        return i
    return j


@kernel
def link_end(data, i, stop, end, kinds, keys, known):  # type: ignore[no-untyped-def]
    """End of the link that the word ``data[i:stop]`` begins, or i."""
    if stop + 1 >= end:
        return i
    c = data[stop]
    if c == 58:  # scheme://
        if stop + 3 < end and data[stop + 1] == 47 and data[stop + 2] == 47 and data[stop + 3] > 32:
            return _url_end(data, i, end, kinds)
    elif c == 46 and stop - i == 3 and data[i] | 32 == 119 and data[i + 1] | 32 == 119 and data[i + 2] | 32 == 119:
        if is_letter(data[stop + 1]) or is_digit(data[stop + 1]):
            return _url_end(data, i, end, kinds)
    elif c == 46 and is_letter(data[stop + 1]):
        host = _host_end(data, i, end, kinds, keys, known)
        if host > i and host < end and data[host] == 64:
            return i  # an address: the sign "@" sees to it
        return host if host == i or host >= end or data[host] != 47 else _url_end(data, i, end, kinds)
    return i


@kernel
def _local(c):  # type: ignore[no-untyped-def]
    """Whether a byte may stand before the "@" of an e-mail address."""
    return is_letter(c) or is_digit(c) or c == 46 or c == 95 or c == 37 or c == 43 or c == 45


@kernel
def address_at(data, first, i, end):  # type: ignore[no-untyped-def]
    """(start, end) of the e-mail address around the "@" at byte i, or (i, i)."""
    a, b = i, i + 1
    while a > first and _local(data[a - 1]):
        a -= 1
    while a < i and data[a] == 46:
        a += 1
    dots = 0
    while b < end and (is_letter(data[b]) or is_digit(data[b]) or data[b] == 45 or (data[b] == 46 and data[b - 1] != 46)):
        dots += data[b] == 46
        b += 1
    while b > i + 1 and not is_letter(data[b - 1]) and not is_digit(data[b - 1]):
        dots -= data[b - 1] == 46
        b -= 1
    return (a, b) if a < i and b > i + 1 and dots > 0 else (i, i)


@kernel
def number_end(data, i, end, kinds):  # type: ignore[no-untyped-def]
    """(end, whether it is ASCII) of the number at byte i: digits, and "." or "," between digits."""
    plain = True
    j = i
    while j < end:
        c = data[j]
        if is_digit(c):
            j += 1
        elif (c == 46 or c == 44) and j + 1 < end and is_digit(data[j + 1]):
            j += 2
        elif c < 128:
            break
        else:
            point, k = decoded(data, j, end)
            if not kinds[point] & _DECIMAL:
                if point != 0x66B and point != 0x66C:  # Arabic decimal and thousands separators
                    break
                after, _ = decoded(data, k, end) if k < end else (np.int64(0), k)
                if not kinds[after] & _DECIMAL:
                    break
            plain = False
            j = k
    return j, plain
