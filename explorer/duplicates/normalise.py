"""FineWeb's normalisation before near-duplicate detection: what datatrove's ``simplify_text`` leaves, byte for byte.

In its order: lower-case; a number (digits of any script, one decimal separator inside) becomes "0"; punctuation and control
characters become spaces; white space collapses; accents go (canonical decomposition, non-spacing marks dropped).

``simplify`` is the definition; the kernel is held to it. Known difference: where two combining marks that are not non-spacing
stand behind one letter (Hangul tone marks, musical stems), Unicode would put them in order and the kernel leaves them as they are.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from explorer.primitives import unicode as u
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.normalised import CAPITAL_SIGMA, normal_tables
from explorer.primitives.swar import HIGH, ascii_letters, kernel, load_upto, lowest_set_byte

# datatrove 0.10.1, utils/text.py. No other ASCII mark is left: all 32 are in it.
PUNCTUATION = "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»" + "".join(
    map(chr, [*range(0, 9), 11, 12, *range(13, 32), *range(127, 160)])
)
DECIMAL_SEPARATORS = ".,،٫⎖⎗⎘"

_TO_SPACES = str.maketrans(PUNCTUATION, " " * len(PUNCTUATION))
_NUMBERS = re.compile(rf"\d+(?:[{DECIMAL_SEPARATORS}]\d+)?")  # \d is category Nd
_SPACES = re.compile(r"\s+")

# What becomes of a code point, as bits.
BREAK, NUMBER, SEPARATOR, DROPPED, CASED, IGNORABLE = 1, 2, 4, 8, 16, 32
# All characters that have case, or that the rule for the final sigma looks past, lie in these ranges.
_CASED_RANGES = ((0, 0x3400), (0xA000, 0xAC00), (0xD7A4, 0xE000), (0xF8FF, 0x17000), (0x18AFF, 0x20000), (0xE0000, 0xE0200))
GROWTH = 3  # bytes written for one byte read, at most: a Hangul syllable becomes three letters, an invalid byte U+FFFD

_1, _2, _32 = np.uint64(1), np.uint64(2), np.uint64(0x2020202020202020)
_HIGH = HIGH
_CAPITAL_SIGMA = CAPITAL_SIGMA
_FINAL_SIGMA = 0x3C2


def simplify(text: str) -> str:
    """The normalised text of one document, as datatrove 0.10.1's ``simplify_text`` gives it."""
    text = _NUMBERS.sub("0", text.lower()).translate(_TO_SPACES)
    text = _SPACES.sub(" ", text.strip())
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn").strip()


class Tables(NamedTuple):
    """One code point at a time: what it is, and its lower case decomposed."""

    kind: np.ndarray  # uint8 [0x110000]
    target: np.ndarray  # int32 [0x110000], as in explorer.primitives.normalised
    several: np.ndarray  # int32


@cache
def tables() -> Tables:
    """The tables, built once a process in about 0.2 s."""
    classes = u.classes()
    kind = np.zeros(u.CODE_POINTS, np.uint8)
    kind[[ord(c) for c in PUNCTUATION]] = BREAK
    kind[(classes & u.SPACE) != 0] = BREAK
    kind[(classes & u.DECIMAL) != 0] = NUMBER  # the full-width one is a number before it is punctuation
    kind[[ord(c) for c in DECIMAL_SEPARATORS]] |= SEPARATOR
    marks = np.flatnonzero(classes & u.MARK)
    kind[[p for p in marks if unicodedata.category(chr(p)) == "Mn"]] |= DROPPED
    for first, stop in _CASED_RANGES:
        for point in range(first, stop):
            # Python's own answer: the sigma is a final one unless a cased letter follows it, ignorable characters apart.
            if f"aΣ{chr(point)}".lower()[1] == "σ":
                kind[point] |= CASED
            elif f"aΣ{chr(point)}a".lower()[1] == "σ":
                kind[point] |= IGNORABLE
    kind.flags.writeable = False
    normal = normal_tables()
    return Tables(kind, normal.target, normal.several)


@intrinsic
def _store64(typingctx, data, i, value):  # type: ignore[no-untyped-def]
    """``data[i:i + 8] = value``, little-endian. The caller guarantees ``i + 8 <= len(data)``."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        builder.store(arguments[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), codegen


@kernel
def _encode(point, out, o):  # type: ignore[no-untyped-def]
    """Write a code point as UTF-8; the new length."""
    if point < 0x80:
        out[o] = point
        return o + 1
    if point < 0x800:
        out[o] = 0xC0 | (point >> 6)
        out[o + 1] = 0x80 | (point & 0x3F)
        return o + 2
    if point < 0x10000:
        out[o] = 0xE0 | (point >> 12)
        out[o + 1] = 0x80 | ((point >> 6) & 0x3F)
        out[o + 2] = 0x80 | (point & 0x3F)
        return o + 3
    out[o] = 0xF0 | (point >> 18)
    out[o + 1] = 0x80 | ((point >> 12) & 0x3F)
    out[o + 2] = 0x80 | ((point >> 6) & 0x3F)
    out[o + 3] = 0x80 | (point & 0x3F)
    return o + 4


@kernel
def _is_final_sigma(data, start, i, after, end, kind):  # type: ignore[no-untyped-def]
    """Whether the capital sigma at ``i`` ends a word: a cased letter before it and none behind (Python's rule for lower-casing)."""
    j = i
    before = False
    while j > start:
        j -= 1
        while j > start and data[j] & 0xC0 == 0x80:
            j -= 1
        point, _ = u.decode(data, j, i)
        if not kind[point] & IGNORABLE:
            before = kind[point] & CASED != 0
            break
    if not before:
        return False
    j = after
    while j < end:
        point, j = u.decode(data, j, end)
        if not kind[point] & IGNORABLE:
            return kind[point] & CASED == 0
    return True


@kernel
def _past_number(data, i, end, kind):  # type: ignore[no-untyped-def]
    """The first byte at or after ``i`` that is no decimal digit."""
    while i < end:
        point, after = u.decode(data, i, end)
        if not kind[point] & NUMBER:
            break
        i = after
    return i


@kernel
def piece(data, begin, i, end, tables, out, o):  # type: ignore[no-untyped-def]
    """Write what becomes of the characters from ``i`` to the next white space or punctuation, or to ``end``.

    Args:
        data: bytes.
        begin: where the document begins.
        i: where to begin.
        end: where the document ends.
        tables: as a tuple.
        out: has eight bytes more than three for one read.
        o: where to write.

    Returns:
        (first byte not read, bytes written).

    """
    kind, target, several = tables
    while i < end:
        v = load_upto(data, i, end)
        letters = ascii_letters(v)
        k = lowest_set_byte(~letters & _HIGH)
        if k > 0:
            _store64(out, o, v | ((letters & ~(v << _2)) >> _2))
            o += k
            i += k
            if k == 8 or i >= end:
                continue
        point, after = np.int64(data[i]), i + 1
        if point >= 128:
            point, after = u.decode(data, i, end)
        bits = kind[point]
        if bits & BREAK:
            break
        if bits & NUMBER:
            out[o] = 48
            o += 1
            i = _past_number(data, after, end, kind)
            if i < end:
                point, after = u.decode(data, i, end)
                if kind[point] & SEPARATOR:
                    past = _past_number(data, after, end, kind)
                    if past > after:
                        i = past
            continue
        if point == _CAPITAL_SIGMA and _is_final_sigma(data, begin, i, after, end, kind):
            o = _encode(np.int64(_FINAL_SIGMA), out, o)
            i = after
            continue
        i = after
        becomes = np.int64(target[point])
        if becomes >= 0:
            if not kind[becomes] & DROPPED:
                o = _encode(becomes, out, o)
            continue
        at = -1 - becomes
        for n in range(at + 1, at + 1 + several[at]):
            becomes = np.int64(several[n])
            if not kind[becomes] & DROPPED:
                o = _encode(becomes, out, o)
    return i, o


@kernel
def _normalise(data, offsets, tables, out, ends):  # type: ignore[no-untyped-def]
    """Write the normalised documents one after another; ``ends[d + 1]`` is where document d ends.

    Invariant at the head of the loop: all bytes before ``i`` are done, and ``gap`` says whether white space or punctuation stands
    between what was read last and what comes next. ``out`` has three times the bytes of ``data``, and more than eight more.
    """
    kind = tables[0]
    o = np.int64(0)
    ends[0] = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        first = o
        gap = 0
        while i < end:
            point, after = np.int64(data[i]), i + 1
            if point >= 128:
                point, after = u.decode(data, i, end)
            if kind[point] & BREAK:
                gap = 1
                i = after
                continue
            if gap and o > first:
                out[o] = 32
                o += 1
            gap = 0
            i, o = piece(data, offsets[d], i, end, tables, out, o)
        while o > first and out[o - 1] == 32:  # marks that were dropped stood alone at the end
            o -= 1
        ends[d + 1] = o
    return o


@primitive
def normalised(batch: Batch) -> Batch:
    """The batch with every document normalised; ill-formed UTF-8 is read as U+FFFD, a null stays empty and null."""
    data, offsets = batch.data, batch.offsets
    out = np.empty(GROWTH * int(offsets[-1] - offsets[0]) + 16, np.uint8)  # only what is written becomes memory
    ends = np.empty(len(offsets), np.int64)
    size = _normalise(data, offsets, tuple(tables()), out, ends)
    array = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(batch), [None, pa.py_buffer(ends), pa.py_buffer(out[: size + 8])])
    made = Batch(array)
    made.valid = batch.valid
    return made
