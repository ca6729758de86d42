"""Tokens of running English text, cut where spaCy's blank English tokenizer cuts (datatrove's word definition).

A text is split at whitespace; each piece then goes through the tokenizer's rules, in its order:

1. exceptions ("don't" -> "do" "n't", "Mr." stays whole), looked up before anything is stripped and after each strip;
2. affixes: prefixes ("(", "$"), suffixes (",", "'s", "km" after a digit, "." after a lower-case letter), from both ends at once;
3. what is left stays whole if it is a URL or an e-mail address, else is cut at infixes ("-" between letters, "...");
4. neighbours that together spell an exception are joined again (":" ")" -> ":)").

Whitespace itself is never a token (datatrove strips it). A word of ASCII letters, with at most one mark after it, takes a
fast way that gives the same answer; that is nine words in ten.

Known differences: a piece of more than a megabyte (a blob without white space) stays one token, so that memory is bounded; and
step 4 looks inside one piece, where spaCy also notices matches across a single space and, though it never joins those, lets them
block an overlapping shorter one.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from explorer.primitives import english as en
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.swar import HIGH, SEED, ascii_letters, hash_bytes, hash_finish, hash_step, kernel, load_upto, lowest_set_byte
from explorer.primitives.unicode import decode

HAS_LETTER, NOT_SYMBOL, STOP_SHIFT = 1, 2, 4  # flags of a token; the high four bits number the stop word (1-8)

ALPHA, LOWER, UPPER, PREFIX, SUFFIX, ICON = en.ALPHA, en.LOWER, en.UPPER, en.PREFIX, en.SUFFIX, en.ICON
QUOTE, BEFORE_DOT, CURRENCY, SPACE, LETTER = en.QUOTE, en.BEFORE_DOT, en.CURRENCY, en.SPACE, en.LETTER
SYMBOL, ACTIVE, DIGIT, WORD = en.SYMBOL, en.ACTIVE, en.DIGIT, en.WORD
KEY, SHAPE, CUTS = en.KEY, en.SHAPE, en.CUTS
BEGINS, FINISHES, JOINS = en.BEGINS, en.FINISHES, en.JOINS
PIECES, WIDTH_SHIFT, JOINED_SHIFT, STOP_FIELD, UNIT_SHIFT = 0xFF, en.WIDTH_SHIFT, en.JOINED_SHIFT, en.STOP_SHIFT, en.UNIT_SHIFT
LONGEST, LONGEST_UNIT, MOST_JOINED = en.LONGEST, en.LONGEST_UNIT, en.MOST_JOINED
HIGH_BITS, EMPTY = HIGH, SEED
SPACES_PLUS_ONE = np.uint64(0x2121212121212121)
LONGEST_PIECE = 1 << 20  # bytes without white space past which nothing is cut: a blob, one token
SEEN = 16384  # slots of the memo of pieces, direct-mapped: 400 KB, within a core's second cache
_1, _48, _51, _7 = np.uint64(1), np.uint64(48), np.uint64(51), np.uint64(7)


class Words(NamedTuple):
    """The tokens of a batch, document after document.

    Attributes:
        offsets: int64 [n + 1]; document d has tokens ``offsets[d]:offsets[d + 1]``.
        chars: int32 [tokens], its code points.
        flags: uint8 [tokens]; HAS_LETTER, NOT_SYMBOL, and the stop word's number in the bits from STOP_SHIFT.
        hash: uint64 [tokens], :func:`explorer.primitives.swar.hash_bytes` of its bytes.
    """

    offsets: np.ndarray
    chars: np.ndarray
    flags: np.ndarray
    hash: np.ndarray


class Spans(NamedTuple):
    """Where the tokens of :func:`words` are: byte ``start`` in ``batch.data`` (int64) and ``size`` in bytes (int32)."""

    start: np.ndarray
    size: np.ndarray


@kernel
def _shape(exceptions, bitmap, h):  # type: ignore[no-untyped-def]
    """SHAPE of the table's row with this hash, 0 when there is none. The bitmap turns away about 49 of 50 words."""
    if not (bitmap[h >> _51] >> ((h >> _48) & _7)) & 1:
        return 0
    slot = h & np.uint64(len(exceptions) - 1)
    while exceptions[slot, SHAPE] != 0:
        if exceptions[slot, KEY] == h:
            return np.int64(exceptions[slot, SHAPE])
        slot = (slot + _1) & np.uint64(len(exceptions) - 1)
    return 0


@kernel
def _cuts(exceptions, h):  # type: ignore[no-untyped-def]
    """CUTS of the table's row with this hash, which is there."""
    slot = h & np.uint64(len(exceptions) - 1)
    while exceptions[slot, KEY] != h:
        slot = (slot + _1) & np.uint64(len(exceptions) - 1)
    return exceptions[slot, CUTS]


@kernel
def _exception(exceptions, bitmap, ends, data, start, end):  # type: ignore[no-untyped-def]
    """SHAPE of the exception spelt by these bytes, 0 when they spell none."""
    if end - start > LONGEST or end <= start:
        return 0
    if not ((ends[data[start], BEGINS] & ends[data[end - 1], FINISHES]) >> np.uint32(end - start)) & np.uint32(1):
        return 0
    shape = _shape(exceptions, bitmap, hash_bytes(data, start, end))
    return shape if shape & PIECES else 0


@kernel
def _prefix(point, kind, a, b):  # type: ignore[no-untyped-def]
    """Code points of the prefix of ``point[a:b]``; 0 when it has none."""
    if a >= b:
        return 0
    c = point[a]
    if c == 0x2E:  # two dots or more
        k = a
        while k < b and point[k] == 0x2E:
            k += 1
        return k - a if k - a >= 2 else 0
    if c == 0x2B:  # "+" unless a digit follows
        return 0 if a + 1 < b and kind[a + 1] & DIGIT else 1
    if kind[a] & PREFIX:
        return 1
    if a + 1 < b and point[a + 1] == 0x24 and (c == 0x41 or c == 0x43):  # A$ C$
        return 2
    if a + 2 < b and c == 0x55 and point[a + 1] == 0x53 and point[a + 2] == 0x24:  # US$
        return 3
    return 0


@kernel
def _suffix(exceptions, bitmap, data, point, kind, at, a, b):  # type: ignore[no-untyped-def]
    """Code points of the longest suffix of ``point[a:b]``; 0 when it has none (a search for the leftmost match that ends at b)."""
    if a >= b:
        return 0
    longest = 0
    c = point[b - 1]
    # Units and currencies after a digit: the longest first, since the leftmost match wins.
    for n in range(min(LONGEST_UNIT, b - a - 1), 0, -1):
        if not kind[b - n - 1] & DIGIT:
            continue
        if (n == 1 and kind[b - 1] & CURRENCY) or (_shape(exceptions, bitmap, hash_bytes(data, at[b - n], at[b])) >> UNIT_SHIFT) & 1:
            longest = n
            break
    if c == 0x2E:
        k = b
        while k > a and point[k - 1] == 0x2E:
            k -= 1
        if b - k >= 2:
            return b - k
        if b - a >= 2 and kind[b - 2] & BEFORE_DOT:
            return 1
        if b - a >= 3 and kind[b - 2] & UPPER and kind[b - 3] & UPPER:
            return 1
        if b - a >= 3 and point[b - 3] == 0xB0 and (point[b - 2] | 0x20) in (0x63, 0x66, 0x6B):  # °C. °F. °K.
            return 1
        return longest
    if (c == 0x73 or c == 0x53) and b - a >= 2 and (point[b - 2] == 0x27 or point[b - 2] == 0x2019):  # 's ’s 'S ’S
        return 2
    if longest:
        return longest
    if kind[b - 1] & SUFFIX:
        return 1
    if c == 0x2B and b - a >= 2 and kind[b - 2] & DIGIT:
        return 1
    return 0


@kernel
def _host_character(c):  # type: ignore[no-untyped-def]
    return (0x61 <= c <= 0x7A) or (0x41 <= c <= 0x5A) or (0x30 <= c <= 0x39) or (0xA1 <= c <= 0xFFFF)


@kernel
def _number(point, a, b):  # type: ignore[no-untyped-def]
    """Value of one to three ASCII digits, or -1."""
    if not 1 <= b - a <= 3:
        return -1
    value = 0
    for k in range(a, b):
        if not 0x30 <= point[k] <= 0x39:
            return -1
        value = value * 10 + point[k] - 0x30
    return value


@kernel
def _is_address(point, a, b):  # type: ignore[no-untyped-def]
    """A public IPv4 address in dotted form, as the URL rule has it (private networks are not)."""
    address = dots = 0
    first = a
    for k in range(a, b + 1):
        if k == b or point[k] == 0x2E:
            value = _number(point, first, k)
            zero_led = k - first > 1 and point[first] == 0x30
            if dots > 3 or value < 0 or value > 255 or (zero_led and (dots in (0, 3) or k - first == 3)):
                return False
            address = (address << 8) | value
            dots += 1
            first = k + 1
    one, two, last = address >> 24, address >> 16, address & 0xFF
    if dots != 4 or not 1 <= one <= 223 or not 1 <= last <= 254:
        return False
    return not (one == 10 or one == 127 or two == 0xA9FE or two == 0xC0A8 or 0xAC10 <= two <= 0xAC1F)


@kernel
def _is_host(point, kind, a, b):  # type: ignore[no-untyped-def]
    """Host, then optionally a port and a path, from a to b exactly."""
    e = a  # the host runs to the first character that neither a label nor a dot may hold
    while e < b and (point[e] == 0x2E or point[e] == 0x5F or point[e] == 0x2D or _host_character(point[e])):
        e += 1
    rest = e
    if rest < b and point[rest] == 0x3A:
        k = rest + 1
        while k < b and k - rest <= 5 and 0x30 <= point[k] <= 0x39:
            k += 1
        if k - rest - 1 < 2:
            return False
        rest = k
    if rest < b and not (point[rest] == 0x2F or point[rest] == 0x3F or point[rest] == 0x23):
        return False
    dot = e - 1
    while dot >= a and point[dot] != 0x2E:
        dot -= 1
    if dot <= a or e == a:
        return False
    domain = 2 <= e - dot - 1 <= 63
    for k in range(dot + 1, e):
        domain = domain and (kind[k] & LOWER) != 0
    first = a
    for k in range(a, dot + 1):
        if not domain:
            break
        if point[k] == 0x2E:  # a label is 1-64 characters and neither begins nor ends with - or _
            domain = 1 <= k - first <= 64 and _host_character(point[first]) and _host_character(point[k - 1])
            first = k + 1
    return domain or _is_address(point, a, e)


@kernel
def _is_url(point, kind, a, b):  # type: ignore[no-untyped-def]
    """Whether ``point[a:b]`` is a URL or an e-mail address that stays one token. Linear in its length."""
    dotted = False
    for k in range(a + 1, b - 1):
        if point[k] == 0x2E:
            dotted = True
            break
    if not dotted:
        return False
    if _is_host(point, kind, a, b):
        return True
    colon = a  # scheme://
    while colon < b and (kind[colon] & WORD or point[colon] == 0x2B or point[colon] == 0x2D or point[colon] == 0x2E):
        colon += 1
    if (
        colon - a >= 2
        and colon + 2 < b
        and point[colon] == 0x3A
        and point[colon + 1] == 0x2F
        and point[colon + 2] == 0x2F
        and _is_host(point, kind, colon + 3, b)
    ):
        return True
    for k in range(a + 1, b):  # user@  # noqa: SIM110 (numba compiles no generators)
        if point[k] == 0x40 and _is_host(point, kind, k + 1, b):
            return True
    return False


@kernel
def _infix(point, kind, a, b, k):  # type: ignore[no-untyped-def]
    """Code points of the infix that begins at k inside ``point[a:b]``; 0 when none does."""
    c = point[k]
    if c == 0x2E:
        n = k
        while n < b and point[n] == 0x2E:
            n += 1
        if n - k >= 2:
            return n - k
        return 1 if k > a and k + 1 < b and kind[k - 1] & (LOWER | QUOTE) and kind[k + 1] & (UPPER | QUOTE) else 0
    if c == 0x2026 or kind[k] & ICON:
        return 1
    if k == a or k + 1 >= b:
        return 0
    before, after = kind[k - 1], kind[k + 1]
    if (c == 0x2B or c == 0x2D or c == 0x2A or c == 0x5E) and before & DIGIT and (after & DIGIT or point[k + 1] == 0x2D):  # + - * ^
        return 1
    if c == 0x2C:
        return 1 if before & ALPHA and after & ALPHA else 0
    if before & (ALPHA | DIGIT):
        if c == 0x2D or c == 0x2013 or c == 0x2014 or c == 0x7E:  # - – — ~ and their doublings
            if after & ALPHA:
                return 1
            longest = 3 if c == 0x2D else 2 if c == 0x2014 else 1
            for n in range(2, longest + 1):
                if k + n >= b or point[k + n - 1] != c:
                    return 0
                if kind[k + n] & ALPHA:
                    return n
            return 0
        if (c == 0x3A or c == 0x3C or c == 0x3E or c == 0x3D or c == 0x2F) and after & ALPHA:  # : < > = /
            return 1
    return 0


@kernel
def _joined(exceptions, bitmap, data, first, cut, i, n):  # type: ignore[no-untyped-def]
    """SHAPE of the exception that tokens i to i + n - 1 spell, cut as the plain rules would cut it; 0 when they spell none."""
    end = cut[i + n - 1]
    if end - first > LONGEST:
        return 0
    h = hash_bytes(data, first, end)
    shape = _shape(exceptions, bitmap, h)
    if (shape >> JOINED_SHIFT) & 0xFF != n:
        return 0
    cuts = np.uint64(0)
    for k in range(i, i + n):
        cuts |= _1 << np.uint64(cut[k] - first - 1)
    return shape if cuts == _cuts(exceptions, h) else 0


@kernel
def _rejoin(exceptions, bitmap, ends, data, start, cut, tokens, old, chosen, length, blocked):  # type: ignore[no-untyped-def]
    """Join neighbours that together spell an exception, and cut that exception as it is to be cut; returns the number of tokens.

    Invariant: ``cut[:tokens]`` are the ends of consecutive tokens that begin at byte ``start``. Longest matches win, then the
    leftmost; a match that overlaps an earlier one blocks its tokens all the same (as in spaCy). The last four arrays are scratch.
    """
    widest = 0
    for i in range(tokens - 1):  # most pieces hold nothing to join
        first = start if i == 0 else cut[i - 1]
        lengths = np.int64(ends[data[first], JOINS])
        for n in range(2, min(MOST_JOINED, tokens - i) + 1):
            if (lengths >> n) & 1 and _joined(exceptions, bitmap, data, first, cut, i, n):
                widest = max(widest, n)
    if widest == 0:
        return tokens
    for i in range(tokens):
        old[i], chosen[i], blocked[i] = cut[i], 0, 0
    for n in range(widest, 1, -1):
        for i in range(tokens - n + 1):
            shape = _joined(exceptions, bitmap, data, start if i == 0 else cut[i - 1], cut, i, n)
            if shape:
                if not blocked[i] and not blocked[i + n - 1]:
                    chosen[i], length[i] = shape, n
                for k in range(i, i + n):
                    blocked[k] = 1
    out = i = 0
    while i < tokens:
        if chosen[i]:  # an exception never has more tokens than the plain rules gave, so `out` never passes i
            at = start if i == 0 else old[i - 1]
            for k in range(chosen[i] & PIECES):
                at += (chosen[i] >> (WIDTH_SHIFT + 8 * k)) & 0xFF
                cut[out] = at
                out += 1
            i += length[i]
        else:
            cut[out] = old[i]
            out += 1
            i += 1
    return out


@kernel
def _split(data, n, tables, scratch):  # type: ignore[no-untyped-def]
    """Cut the whitespace-separated piece of n code points that ``scratch`` holds; returns the number of tokens.

    The ends of the tokens (bytes) are left in ``cut``; the tokens tile the piece.
    """
    _, exceptions, bitmap, ends = tables
    point, kind, at, cut, tail, chosen, length, blocked = scratch
    a, b, tokens, suffixes = 0, n, 0, 0
    last = -1
    while a < b and b - a != last:
        if _exception(exceptions, bitmap, ends, data, at[a], at[b]):
            break
        last = b - a
        p = _prefix(point, kind, a, b)
        if p and a + p < b and _exception(exceptions, bitmap, ends, data, at[a + p], at[b]):
            a += p
            cut[tokens] = at[a]
            tokens += 1
            break
        s = _suffix(exceptions, bitmap, data, point, kind, at, a + p, b)
        if s and b - s > a and _exception(exceptions, bitmap, ends, data, at[a], at[b - s]):
            tail[suffixes] = at[b]
            suffixes += 1
            b -= s
            break
        if p:
            a += p
            cut[tokens] = at[a]
            tokens += 1
        if s:
            tail[suffixes] = at[b]
            suffixes += 1
            b -= s
    if a < b:
        shape = _exception(exceptions, bitmap, ends, data, at[a], at[b])
        if shape:
            byte = at[a]
            for k in range(shape & PIECES):
                byte += (shape >> (WIDTH_SHIFT + 8 * k)) & 0xFF
                cut[tokens] = byte
                tokens += 1
        elif _is_url(point, kind, a, b):
            cut[tokens] = at[b]
            tokens += 1
        else:
            first = a  # start of the token that is open
            k = a
            while k < b:
                wide = _infix(point, kind, a, b, k) if kind[k] & ACTIVE else 0
                if wide == 0:
                    k += 1
                    continue
                if k > a:  # an infix at the very beginning is no split
                    if k > first:
                        cut[tokens] = at[k]
                        tokens += 1
                    cut[tokens] = at[k + wide]
                    tokens += 1
                    first = k + wide
                k += wide
            if first < b:
                cut[tokens] = at[b]
                tokens += 1
    for k in range(suffixes - 1, -1, -1):
        cut[tokens] = tail[k]
        tokens += 1
    return _rejoin(exceptions, bitmap, ends, data, at[0], cut, tokens, tail, chosen, length, blocked) if tokens > 1 else tokens


@kernel
def _measure(data, i, end, classes):  # type: ignore[no-untyped-def]
    """Code points and flags of ``data[i:end]`` as one token."""
    count = bits = 0
    while i < end:
        c, i = decode(data, i, end)
        bits |= HAS_LETTER if classes[c] & LETTER else 0
        bits |= 0 if classes[c] & SYMBOL else NOT_SYMBOL
        count += 1
    return count, bits


@kernel
def _document(data, i, end, tables, t, columns, scratch, seen):  # type: ignore[no-untyped-def]
    """Write the tokens of ``data[i:end]`` from index t on, until the document ends or an array is too small.

    Invariant: at the loop's head i is the first byte of a piece or of whitespace, and tokens [0, t) are complete; so the caller
    can grow the arrays and go on from what is returned.

    Args:
        data: the batch's bytes.
        i: first byte to read.
        end: the document's end.
        tables: classes, exceptions, bitmap and ends of :class:`explorer.primitives.english.Tables`.
        t: index of the next token.
        columns: out, the arrays of :class:`Words` and :class:`Spans`; those of the latter are empty when nobody asks.
        scratch: arrays for one piece, from :func:`_scratch`.
        seen: the memo of pieces: hash, first token, number of tokens.

    Returns:
        (first byte not read, tokens written, bytes of a piece that did not fit, or 0).

    """
    classes, exceptions, bitmap, ends = tables
    chars, flags, hashes, start, size = columns
    point, kind, at, cut, _, _, _, _ = scratch
    seen_hash, seen_token, seen_count = seen
    room, longest_piece = len(chars), len(point)
    spans = len(start) > 0
    while i < end:
        byte = data[i]
        if byte < 128 and classes[byte] & SPACE:
            i += 1
            continue
        if t + 4 > room:
            return i, t, 0
        s = i
        h = EMPTY
        while True:  # ASCII letters, eight bytes a step; load_upto pads with zeros past the document, which are not letters
            v = load_upto(data, i, end)
            k = lowest_set_byte(~ascii_letters(v) & HIGH_BITS)
            if k < 8:
                break
            h = hash_step(h, v)
            i += 8
        known = h
        if k > 0:
            h = hash_step(h, v & ((_1 << np.uint64(8 * k)) - _1))
            i += k
        letters = i - s
        if letters > 0:
            # mark: the one ASCII mark that ends the piece ("word," "word." "USA." but not "A."), or 0.
            mark = np.int64(0)
            plain = i == end
            if not plain and data[i] < 128:
                mark = np.int64(data[i])
                if classes[mark] & SPACE:
                    plain = True
                    mark = np.int64(0)
                elif i + 1 == end or (data[i + 1] < 128 and classes[data[i + 1]] & SPACE):
                    if classes[mark] & SUFFIX:
                        plain = True
                    elif mark == 0x2E:
                        before = classes[data[i - 1]]
                        plain = (before & BEFORE_DOT) != 0 or (
                            letters >= 2 and (before & UPPER) != 0 and (classes[data[i - 2]] & UPPER) != 0
                        )
            if plain and mark:
                plain = _exception(exceptions, bitmap, ends, data, s, i + 1) == 0
            shape = 0
            if plain:
                h = hash_finish(h, letters)
                shape = _shape(exceptions, bitmap, h)
                # What an exception is cut into may join with the mark ("id." -> "i" "d" "." -> "i" "d."): the slow way.
                plain = mark == 0 or shape & PIECES == 0
            if plain:
                if shape & PIECES == 0:
                    if spans:
                        start[t] = s
                        size[t] = letters
                    chars[t] = letters
                    hashes[t] = h
                    flags[t] = HAS_LETTER | NOT_SYMBOL | ((shape >> STOP_FIELD) & 0xFF) << STOP_SHIFT
                    t += 1
                else:
                    first = s
                    for k in range(shape & PIECES):
                        width = (shape >> (WIDTH_SHIFT + 8 * k)) & 0xFF
                        if spans:
                            start[t] = first
                            size[t] = width
                        chars[t] = width
                        hashes[t] = hash_bytes(data, first, first + width)
                        flags[t] = HAS_LETTER | NOT_SYMBOL
                        t += 1
                        first += width
                if mark:
                    if spans:
                        start[t] = i
                        size[t] = 1
                    chars[t] = 1
                    hashes[t] = hash_finish(hash_step(EMPTY, np.uint64(mark)), 1)
                    flags[t] = 0 if classes[mark] & SYMBOL else NOT_SYMBOL
                    t += 1
                    i += 1
                continue
        # Any other piece. Find its end, hashing on: `i - k` is where the block begins that is not in `known` yet.
        i -= k
        h = known
        while True:
            v = load_upto(data, i, end)
            # Bytes up to the space character, or outside ASCII (padding past the document is zero, so it stops too).
            k = lowest_set_byte((v | ~((v | HIGH_BITS) - SPACES_PLUS_ONE)) & HIGH_BITS)
            if k < 8:
                break
            h = hash_step(h, v)
            i += 8
        if k > 0:
            h = hash_step(h, v & ((_1 << np.uint64(8 * k)) - _1))
            i += k
        if i == end or (data[i] < 128 and classes[data[i]] & SPACE):
            h = hash_finish(h, i - s)
        else:
            after = i
            while i < end:
                c, after = np.int64(data[i]), i + 1
                if c >= 128:
                    c, after = decode(data, i, end)
                if classes[c] & SPACE:
                    break
                i = after
            if i == s:  # a space outside ASCII
                i = after
                continue
            h = hash_bytes(data, s, i)
        # The same piece is cut the same way everywhere: copy what was written when it was last seen in this call.
        slot = h & np.uint64(len(seen_hash) - 1)
        if seen_hash[slot] == h and seen_count[slot] > 0:
            source, tokens = seen_token[slot], seen_count[slot]
            if t + tokens > room:
                return s, t, i - s
            for k in range(tokens):
                chars[t + k] = chars[source + k]
                hashes[t + k] = hashes[source + k]
                flags[t + k] = flags[source + k]
            if spans:
                for k in range(tokens):
                    start[t + k] = start[source + k] + s - start[source]
                    size[t + k] = size[source + k]
            t += tokens
            continue
        if i - s > LONGEST_PIECE:
            if t + 1 > room:
                return s, t, 1
            chars[t], bits = _measure(data, s, i, classes)
            hashes[t] = h
            flags[t] = bits
            if spans:
                start[t] = s
                size[t] = i - s
            t += 1
            continue
        # Decode it, then cut it by the rules.
        if i - s > longest_piece or t + i - s > room:
            return s, t, i - s
        q = s
        m = 0
        held = 0
        while q < i:
            c, after = np.int64(data[q]), q + 1
            if c >= 128:
                c, after = decode(data, q, i)
            bits = classes[c]
            point[m] = c
            kind[m] = bits
            at[m] = q
            held |= bits
            m += 1
            q = after
        at[m] = i
        if held & (ACTIVE | DIGIT) or i - s <= LONGEST:
            tokens = _split(data, m, tables, scratch)
        else:
            cut[0] = i
            tokens = 1
        seen_hash[slot] = h
        seen_token[slot] = t
        seen_count[slot] = tokens
        first, q = s, 0
        for k in range(tokens):
            last = cut[k]
            bits = 0
            r = q
            while at[r] < last:
                bits |= HAS_LETTER if kind[r] & LETTER else 0
                bits |= 0 if kind[r] & SYMBOL else NOT_SYMBOL
                r += 1
            h = hash_bytes(data, first, last)
            if spans:
                start[t] = first
                size[t] = last - first
            chars[t] = r - q
            hashes[t] = h
            flags[t] = bits | ((_shape(exceptions, bitmap, h) >> STOP_FIELD) & 0xFF) << STOP_SHIFT
            t += 1
            first, q = last, r
    return i, t, 0


@nb.njit(nogil=True, cache=True)
def _grown(array, size):  # type: ignore[no-untyped-def]
    larger = np.empty(size, array.dtype)
    larger[: len(array)] = array
    return larger


@nb.njit(nogil=True, cache=True)
def _scratch(n):  # type: ignore[no-untyped-def]
    """Arrays for one piece of up to n bytes.

    Returns:
        point: its code points; kind: their class bits; at: first byte of each, and the end; cut: ends of tokens, in order;
        tail: ends of suffixes, innermost last; chosen, length, blocked: for :func:`_rejoin`.

    """
    integers = np.empty((5, n + 1), np.int64)
    point, kind, blocked = np.empty(n, np.int32), np.empty(n, np.uint16), np.empty(n, np.uint8)
    return point, kind, integers[0], integers[1], integers[2], integers[3], integers[4], blocked


@nb.njit(nogil=True, cache=True)
def _tokenise(data, offsets, tables, spans):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    room = (offsets[n] - offsets[0]) // 4 + 64
    wide = room if spans else 0
    columns = (
        np.empty(room, np.int32),
        np.empty(room, np.uint8),
        np.empty(room, np.uint64),
        np.empty(wide, np.int64),
        np.empty(wide, np.int32),
    )
    token_offsets = np.zeros(n + 1, np.int64)
    longest_piece = 256
    scratch = _scratch(longest_piece)
    seen = (np.zeros(SEEN, np.uint64), np.zeros(SEEN, np.int64), np.zeros(SEEN, np.int64))
    t = 0
    for d in range(n):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            i, t, piece = _document(data, i, end, tables, t, columns, scratch, seen)
            if i < end:
                if piece > longest_piece:
                    longest_piece = 2 * piece
                    scratch = _scratch(longest_piece)
                if t + piece + 4 > room:
                    room = max(room + room // 2, t + piece + 64)
                    chars, flags, hashes, start, size = columns
                    wide = room if spans else 0
                    columns = (_grown(chars, room), _grown(flags, room), _grown(hashes, room), _grown(start, wide), _grown(size, wide))
        token_offsets[d + 1] = t
    chars, flags, hashes, start, size = columns
    return token_offsets, chars[:t], flags[:t], hashes[:t], start[:t], size[:t]


@primitive
def words(batch: Batch) -> Words:
    """Tokens of every document as spaCy's blank English tokenizer cuts them, without whitespace tokens."""
    return Words(*_tokenise(batch.data, batch.offsets, tuple(en.tables()), False)[:4])


@primitive
def word_spans(batch: Batch) -> Spans:
    """Where each token of :func:`words` is (kept apart: memory that the signals do not need costs them a third of their time)."""
    return Spans(*_tokenise(batch.data, batch.offsets, tuple(en.tables()), True)[4:])
