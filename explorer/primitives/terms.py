"""Terms of running text, with what one sees of a word without knowing any: capitals, digits, signs, lines, sentences.

One tokenisation for all that compares a rewrite with its original. A term is one of

* a *word*: letters and marks of a script that divides words, with digits ("H2O"), apostrophes ("don't"), hyphens ("co-operate") and
  underscores inside it, or letters with full stops ("U.S.", "e.g.", the last full stop included);
* a *number*: decimal digits with "." or "," between digits; what follows without a blank ("3rd", "5km") is a term of its own;
* an *unspaced* character: Han, kana, Thai and other scripts that do not divide words, with the marks on it;
* a *link*: a URL, a host name with a usual ending, an e-mail address;
* a *sign*: a run of one and the same other character ("...", "##", "€").

Words are compared by the hash of their folded form and by a stem (`explorer.primitives.folded`).

A sentence ends at a sentence mark that white space follows, unless the next word is small or what stands before the mark is an
abbreviation ("Dr."), an initial, a list number or a day ("15. August"); at a CJK mark; at a blank line; and at a line's end where the line is
short or ended, or where a list item or heading begins. So prose wrapped at a column stays in its sentences.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.primitives import unicode as u
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.folded import (
    AFTER_DAY,
    BARE,
    CLOSER,
    IGNORED,
    LONGEST,
    MAY,
    NEVER,
    STARTER,
    TERMINAL,
    decoded,
    hash_folded,
    hash_plain,
    known_as,
    stem_end,
    term_tables,
)
from explorer.primitives.swar import hash_bytes, kernel
from explorer.primitives.term_ends import CAPITAL as CAPITAL
from explorer.primitives.term_ends import CAPITALS as CAPITALS
from explorer.primitives.term_ends import DIGITS as DIGITS
from explorer.primitives.term_ends import DOTTED as DOTTED
from explorer.primitives.term_ends import GLUED as GLUED
from explorer.primitives.term_ends import HYPHEN as HYPHEN
from explorer.primitives.term_ends import KIND as KIND
from explorer.primitives.term_ends import LINE as LINE
from explorer.primitives.term_ends import LINK as LINK
from explorer.primitives.term_ends import NUMBER as NUMBER
from explorer.primitives.term_ends import PARAGRAPH as PARAGRAPH
from explorer.primitives.term_ends import POSSESSIVE as POSSESSIVE
from explorer.primitives.term_ends import SIGN as SIGN
from explorer.primitives.term_ends import SNAKE as SNAKE
from explorer.primitives.term_ends import START as START
from explorer.primitives.term_ends import UNSPACED as UNSPACED
from explorer.primitives.term_ends import WORD as WORD
from explorer.primitives.term_ends import (
    address_at,
    capitals_of,
    goes_on,
    is_digit,
    letters_end,
    link_end,
    number_end,
    word_end,
)

_ALPHA, _DECIMAL, _SPACE, _BREAK = u.ALPHA, u.DECIMAL, u.SPACE, u.LINE_BREAK
_LOWER, _MARK, _CONTROL, _RAISED = u.LOWER, u.MARK, u.CONTROL, u.DIGIT
_HARD = 0x3000  # a sentence mark from here on ends a sentence without a blank after it
_WIDE = 50  # bytes of a line that was perhaps wrapped
# What the sentence marks so far do to the next term: nothing, begin a sentence, begin one if a blank is between, if it is also a word that begins
# sentences ("The"), if it is no month.
_GOES_ON, _ENDS, _ENDS_SPACED, _ENDS_BEFORE_STARTER, _ENDS_BEFORE_ALL_BUT_MONTHS = (np.int64(k) for k in range(5))


class Terms(NamedTuple):
    """The terms of a batch, document after document.

    Attributes:
        offsets: int64 [n + 1]; document d has terms ``offsets[d]:offsets[d + 1]``.
        start: int64 [terms], its first byte in ``batch.data``.
        size: int32 [terms], its bytes.
        hash: uint64 [terms], of its folded form.
        stem: uint64 [terms], of its folded form without accents and endings; as ``hash`` for all but words.
        flags: uint16 [terms], the bits above.
        sentence_offsets: int64 [n + 1]; document d has sentences ``sentence_offsets[d]:sentence_offsets[d + 1]``.
        sentence_terms: int64 [sentences + 1]; sentence s has terms ``sentence_terms[s]:sentence_terms[s + 1]``.
    """

    offsets: np.ndarray
    start: np.ndarray
    size: np.ndarray
    hash: np.ndarray
    stem: np.ndarray
    flags: np.ndarray
    sentence_offsets: np.ndarray
    sentence_terms: np.ndarray

    @property
    def sentence(self) -> np.ndarray:
        """int64 [terms]: number of the sentence that each term stands in, counted through the batch."""
        return np.repeat(np.arange(len(self.sentence_terms) - 1), np.diff(self.sentence_terms))


class Sentences(NamedTuple):
    """Byte ranges of sentences: document d has ``offsets[d]:offsets[d + 1]``, each ``start`` to ``end`` in ``batch.data``."""

    offsets: np.ndarray
    start: np.ndarray
    end: np.ndarray


@kernel
def _is_item(data, i, end, point):  # type: ignore[no-untyped-def]
    """Whether a list item, heading, quotation or table row begins at byte i of a line."""
    if point == 45 or point == 42 or point == 35 or point == 62 or point == 124 or point == 43 or point == 0x2022 or point == 0x2013:
        return True
    if is_digit(data[i]):
        j = i
        while j < end and j - i < 4 and is_digit(data[j]):
            j += 1
        return j - i < 4 and j + 1 < end and (data[j] == 46 or data[j] == 41) and data[j + 1] <= 32
    return False


@kernel
def _ending(i, t, first, run, point, start, size, hashes, flags, keys, known):  # type: ignore[no-untyped-def]
    """What the sentence mark at byte i, of ``run`` characters, does; t terms were written before it."""
    if point >= _HARD:
        return _ENDS
    if point != 46 or run > 1 or t == first or start[t - 1] + size[t - 1] != i:
        return _ENDS_SPACED
    if flags[t - 1] & WORD:
        word = known_as(keys, known, hashes[t - 1])
        if word & NEVER:
            return _GOES_ON
        # a single letter is an initial, unless it is a unit
        initial = size[t - 1] == 1 and not flags[t - 1] & GLUED and not (t - 2 >= first and flags[t - 2] & NUMBER)
        return _ENDS_BEFORE_STARTER if word & MAY or initial else _ENDS_SPACED
    if flags[t - 1] & NUMBER and size[t - 1] <= 2:
        return _GOES_ON if flags[t - 1] & LINE else _ENDS_BEFORE_ALL_BUT_MONTHS
    return _ENDS_SPACED


@kernel
def _opens(point, spaced):  # type: ignore[no-untyped-def]
    """Whether a capital is due after a sign: a colon, a table's bar, an opening quotation mark, a dash between blanks."""
    if point == 58 or point == 124 or point == 0x201C or point == 0x2018 or point == 0xAB or point == 0x201E or point == 0x2039:
        return True
    return spaced and (point == 34 or point == 39 or point == 45 or point == 0x2013 or point == 0x2014)


@kernel
def _sign_end(data, stop, end, point, bits, kinds):  # type: ignore[no-untyped-def]
    """(end, flags) of the run of one sign, or of the raised number, whose first character ends at ``stop``."""
    kind = SIGN | DIGITS if bits & _RAISED else SIGN
    raised = bits & _RAISED or 0x207A <= point <= 0x207B
    while stop < end:
        more, k = np.int64(data[stop]), stop + 1
        if more >= 128:
            more, k = decoded(data, stop, end)
        if more != point and not kinds[more] & (_MARK | IGNORED) and not (raised and kinds[more] & _RAISED):
            break
        if kinds[more] & _RAISED:
            kind |= DIGITS
        stop = k
    return stop, kind


@kernel
def _read(data, i, end, point, stop, bits, tables, buffer):  # type: ignore[no-untyped-def]
    """The term that begins at byte i with a character that ends at ``stop``: (end, flags, hash, stem)."""
    kinds, fold, several, keys, known = tables
    if bits & _ALPHA and not bits & BARE:
        stop, kind, plain = word_end(data, i, end, kinds)
        if stop < end and (data[stop] == 58 or data[stop] == 46):
            link = link_end(data, i, stop, end, kinds, keys, known)
            if link > i:
                h = hash_bytes(data, i, link)
                return link, LINK, h, h
        kind |= capitals_of(data, i, stop, kinds)
        if plain:
            return stop, kind, hash_plain(data, i, stop), hash_plain(data, i, stem_end(data, i, stop))
        h, stem = hash_folded(data, i, stop, fold, several, buffer)
        return stop, kind, h, stem
    if bits & _DECIMAL:
        stop, plain = number_end(data, i, end, kinds)
        h = hash_bytes(data, i, stop) if plain else hash_folded(data, i, stop, fold, several, buffer)[0]
        return stop, NUMBER | DIGITS, h, h
    kind = UNSPACED
    if not bits & BARE:
        stop, kind = _sign_end(data, stop, end, point, bits, kinds)
    else:
        while stop < end and data[stop] >= 128:
            mark, k = decoded(data, stop, end)
            if not kinds[mark] & _MARK:
                break
            stop = k
    h = hash_bytes(data, i, stop)
    return stop, kind, h, h


@kernel
def _begins(ended, spaced, small, closes, h, keys, known):  # type: ignore[no-untyped-def]
    """Whether a sentence begins with the term after the sentence marks ``ended``, on the same line."""
    if ended == _ENDS:
        return not closes
    if not spaced or small:
        return False
    if ended == _ENDS_BEFORE_STARTER:
        return known_as(keys, known, h) & STARTER != 0
    return not closes and not (ended == _ENDS_BEFORE_ALL_BUT_MONTHS and known_as(keys, known, h) & AFTER_DAY)


@kernel
def _document(data, begin, end, tables, buffer, t, s, start, size, hashes, stems, flags, sentence_terms):  # type: ignore[no-untyped-def]
    """Write the terms and sentences of ``data[begin:end]`` from number t and s on; returns (t, s), t = -1 where there is no room.

    Invariant at the head of the loop: all terms that end at or before byte i are written; ``spaced`` and ``breaks`` tell of the white space
    since the last of them, ``ended`` of the sentence marks, ``due`` whether the next word begins something.
    """
    kinds, _, _, keys, known = tables
    first, room = t, len(start)
    i = line = linked = begin  # ``linked``: the end of the last link
    spaced, due, ended, breaks, width, last = True, True, _GOES_ON, 2, 0, np.int64(0)
    while i < end:
        point, after = np.int64(data[i]), i + 1
        if point >= 128:
            point, after = decoded(data, i, end)
        bits = kinds[point]
        if bits & (_SPACE | IGNORED | _CONTROL):
            if bits & _BREAK and not (point == 13 and after < end and data[after] == 10):
                width = i - line if breaks == 0 else width
                breaks += 1
                line = after
            spaced = spaced or bits & IGNORED == 0
            i = after
            continue
        if t + 1 >= room:
            return -1, s
        a, b = address_at(data, linked, i, end) if point == 64 else (i, i)
        if b > a:  # an e-mail address takes back the terms before its "@", and what was known of the first of them
            stop, kind, h = b, LINK, hash_bytes(data, a, b)
            stem = h
            while t > first and start[t - 1] >= a:
                t -= 1
                kind = LINK | flags[t] & (LINE | PARAGRAPH | START)
                spaced = not flags[t] & GLUED
            breaks, ended = 0, _GOES_ON
            i = a
            while s > 0 and sentence_terms[s - 1] > t:
                s -= 1
        else:
            stop, capitals, kind = after, np.int64(0), 0
            h = stem = np.uint64(0)
            if point < 128 and bits & _ALPHA:
                stop, h, capitals = letters_end(data, i, end)
                if not goes_on(data, stop, end):  # nine words in ten: ASCII letters
                    kind = WORD
                    if capitals > 0:
                        kind |= CAPITAL if point < 97 else 0
                        kind |= CAPITALS if capitals == stop - i and capitals > 1 else 0
                    cut = stem_end(data, i, stop)
                    stem = h if cut == stop else hash_plain(data, i, cut)
            if kind == 0:
                stop, kind, h, stem = _read(data, i, end, point, after, bits, tables, buffer)
        if breaks > 0 or ended > 0:
            small, closes = bits & _LOWER != 0, kind & SIGN != 0 and bits & (CLOSER | TERMINAL) != 0
            if breaks > 0:
                kind |= LINE if breaks == 1 else LINE | PARAGRAPH
                starts = breaks > 1 or _is_item(data, i, end, point) or (not small and (width < _WIDE or ended > 0 or last == 58))
            else:
                starts = _begins(ended, spaced, small, closes, h, keys, known)
            if starts:
                sentence_terms[s] = t
                s += 1
                due = True
            if not closes or starts:
                ended = _GOES_ON
        if not spaced:
            kind |= GLUED
        if kind & SIGN:
            if bits & TERMINAL:
                ended = _ending(i, t, first, stop - i if point < 128 else 1, point, start, size, hashes, flags, keys, known)
            due = due or _opens(point, spaced)
        elif kind & NUMBER:  # a list number changes nothing
            due = due and kind & LINE != 0 and stop < end and (data[stop] == 46 or data[stop] == 41)
        else:
            kind |= START if due else 0
            due = False
            if kind & DOTTED and data[stop - 1] == 46:
                ended = _ENDS_BEFORE_STARTER
        start[t], size[t], hashes[t], stems[t], flags[t] = i, stop - i, h, stem, kind
        t += 1
        linked = stop if kind & LINK else linked
        i, spaced, breaks, last = stop, False, 0, point
    return t, s


@kernel
def _scan(data, offsets, tables, buffer, term_offsets, start, size, hashes, stems, flags, sentence_offsets, sentence_terms):  # type: ignore[no-untyped-def]
    """Write the terms of all documents; returns how many there are, -1 where there was no room."""
    t = s = np.int64(0)
    term_offsets[0] = sentence_offsets[0] = 0
    for d in range(len(offsets) - 1):
        t, s = _document(data, offsets[d], offsets[d + 1], tables, buffer, t, s, start, size, hashes, stems, flags, sentence_terms)
        if t < 0:
            return t
        term_offsets[d + 1] = t
        sentence_offsets[d + 1] = s
    sentence_terms[s] = t
    return t


def frozen(*arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays as read-only ones, which Arrow's are: kernels are compiled for these, and an empty batch must not have them compiled anew."""
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views


@primitive
def terms(batch: Batch) -> Terms:
    """Terms and sentences of every document."""
    n, size = len(batch), int(batch.offsets[-1] - batch.offsets[0])
    offsets, sentence_offsets, buffer = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64), np.empty(LONGEST, np.uint8)
    tables = tuple(term_tables())
    for room in (size // 3 + 1024, size + 2):  # most text has a term in five bytes, a text of signs one in each
        columns = [np.empty(room, kind) for kind in (np.int64, np.int32, np.uint64, np.uint64, np.uint16)]
        sentence_terms = np.empty(room + 1, np.int64)
        t = _scan(*frozen(batch.data, batch.offsets), tables, buffer, offsets, *columns, sentence_offsets, sentence_terms)
        if t >= 0:
            break
    start, width, hashes, stems, flags = (column[:t] for column in columns)
    return Terms(offsets, start, width, hashes, stems, flags, sentence_offsets, sentence_terms[: sentence_offsets[-1] + 1])


@primitive
def sentences(batch: Batch) -> Sentences:
    """Where the sentences of every document are, without the white space around them."""
    found = terms(batch)
    first, last = found.sentence_terms[:-1], found.sentence_terms[1:] - 1
    return Sentences(found.sentence_offsets, found.start[first], found.start[last] + found.size[last])
