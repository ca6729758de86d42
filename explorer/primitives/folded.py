"""Words in their folded form: what two ways of writing one word have in common, as a hash, and the stem.

Folded is lower case, full width as ASCII, curly apostrophes and hyphens as straight ones, canonically decomposed, soft hyphens and joiners left
out, no full stops ("U.S.A." is "usa"). The stem drops accents, "'s" and the commonest English endings by cutting the word off, so that "stopped"
and "stops" meet; it is meant for overlap, not for reading.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from explorer.primitives import unicode as u
from explorer.primitives.normalised import normal_tables
from explorer.primitives.swar import SEED, hash_bytes, hash_finish, hash_step, kernel, load_upto

# Bits of a code point beside those of `unicode.classes`: unspaced script, no width, ends a sentence, closes a quotation.
BARE, IGNORED, TERMINAL, CLOSER = 4096, 8192, 16384, 32768
_BARE_RANGES = (
    (0xE00, 0xF00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x2E80, 0x2FE0), (0x3005, 0x3008), (0x3021, 0x302A), (0x3040, 0x3100),
    (0x31F0, 0x3200), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0xFF66, 0xFF9E), (0x20000, 0x32000),
)  # fmt: skip
_NO_WIDTH = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_TERMINALS = ".!?…‼⁇⁈⁉؟۔।॥։።。！？｡．"
_CLOSERS = ")]}\"'’”»›」』）"
_APOSTROPHES, _HYPHENS = "'’ʼ＇", "-‐‑"
NEVER, MAY, STARTER, DOMAIN, AFTER_DAY = 1, 2, 4, 8, 16  # bits of `TermTables.known`
LONGEST = 256  # bytes of a folded word; longer ones are hashed as they stand
_WITHOUT_MARKS, _WITH_MARKS = np.int64(0), np.int64(1)
TO_LOWER = np.uint64(0x2020202020202020)


class TermTables(NamedTuple):
    """What the kernel looks up."""

    kinds: np.ndarray  # uint16 [0x110000]: class bits
    fold: np.ndarray  # int32 [0x110000]: folded code point, or -1 - k where it becomes several (or none)
    several: np.ndarray  # int32: at k, a length and that many code points
    keys: np.ndarray  # uint64 [2**k]: hashes of the words of terms.json, open addressing; 0 is empty
    known: np.ndarray  # uint8: what they are


@cache
def term_tables() -> TermTables:
    """The tables, built once a process."""
    normal = normal_tables()
    kinds, fold = u.classes().copy(), normal.target.copy()
    for first, stop in _BARE_RANGES:
        inside = kinds[first:stop]
        inside[(inside & (u.ALPHA | u.NUMERIC)) != 0] |= BARE
    for characters, bit in ((_NO_WIDTH, IGNORED), (_TERMINALS, TERMINAL), (_CLOSERS, CLOSER)):
        kinds[[ord(c) for c in characters]] |= bit
    fold[0xFF01:0xFF5F] = normal.target[0x21:0x7F]  # full width
    for point in np.flatnonzero(kinds & u.DECIMAL):
        fold[point] = ord("0") + unicodedata.decimal(chr(point))
    fold[[ord(c) for c in _APOSTROPHES]] = ord("'")
    fold[[ord(c) for c in _HYPHENS]] = ord("-")
    fold[0x3C2] = 0x3C3  # final sigma
    several = normal.several.tolist()
    for characters, become in (
        (_NO_WIDTH, ""), ("ﬀ", "ff"), ("ﬁ", "fi"), ("ﬂ", "fl"), ("ﬃ", "ffi"), ("ﬄ", "ffl"), ("ß", "ss"), ("Ææ", "ae"), ("Œœ", "oe"),
        ("Øø", "o"), ("Łł", "l"), ("Đđ", "d"), ("ı", "i"),
    ):  # fmt: skip
        fold[[ord(c) for c in characters]] = -1 - len(several)
        several += [len(become), *map(ord, become)]
    keys, known = np.zeros(1024, np.uint64), np.zeros(1024, np.uint8)
    words = json.loads(Path(__file__).with_name("terms.json").read_text(encoding="utf-8"))
    for name, bit in (("never_ends", NEVER), ("may_end", MAY), ("starters", STARTER), ("domains", DOMAIN), ("after_day", AFTER_DAY)):
        for word in words[name].split():
            h = folded_hash(word)
            slot = h % len(keys)
            while keys[slot] not in (0, h):
                slot = (slot + 1) % len(keys)
            keys[slot] = h
            known[slot] |= bit
    return TermTables(kinds, fold, np.array(several, np.int32), keys, known)


def folded_hash(word: str) -> int:
    """Hash of a word that is written in its folded form already (lower case, no full stops); what lexicons are keyed by."""
    raw = np.frombuffer(unicodedata.normalize("NFD", word.lower()).encode(), np.uint8)
    return int(hash_bytes(raw, 0, len(raw)))


@kernel
def decoded(data, i, end):  # type: ignore[no-untyped-def]
    """`unicode.decode`, compiled once instead of wherever it is called."""
    return u.decode(data, i, end)


@kernel
def known_as(keys, known, h):  # type: ignore[no-untyped-def]
    """What a word is by ``terms.json``: bits NEVER to AFTER_DAY."""
    slot = np.int64(h & np.uint64(len(keys) - 1))
    while keys[slot] != 0:
        if keys[slot] == h:
            return np.int64(known[slot])
        slot = (slot + 1) & (len(keys) - 1)
    return np.int64(0)


@kernel
def stem_end(data, a, b):  # type: ignore[no-untyped-def]
    """Where the stem of the folded word ``data[a:b]`` ends (capitals are read as small).

    Cut off, in this order: "'s"; "s" but not of "ss", "us", "is"; "ing", "ed", "ly" where three bytes and a vowel stay, and one of the double
    consonants before it; "e"; "i" or "y". At least three bytes stay.
    """
    if b - a >= 4 and data[b - 1] | 32 == 115 and data[b - 2] == 39:
        b -= 2
    if b - a < 4:
        return b
    last, before = data[b - 1] | 32, data[b - 2] | 32
    if last == 115 and before != 115 and before != 117 and before != 105:
        b -= 1
    cut = 0
    last, before = data[b - 1] | 32, data[b - 2] | 32
    if last == 103 and before == 110 and b - a >= 6 and data[b - 3] | 32 == 105:
        cut = 3
    elif (last == 100 and before == 101 and b - a >= 5) or (last == 121 and before == 108 and b - a >= 6):
        cut = 2
    if cut:
        vowel = False
        for k in range(a, b - cut):
            c = data[k] | 32
            vowel = vowel or c == 97 or c == 101 or c == 105 or c == 111 or c == 117 or c == 121
        if vowel:
            b -= cut
            c = data[b - 1] | 32
            if b - a >= 4 and c == data[b - 2] | 32 and c != 97 and c != 101 and c != 111 and c != 115 and c != 108:
                b -= 1
    if b - a >= 4 and data[b - 1] | 32 == 101:
        b -= 1
    if b - a >= 4 and (data[b - 1] | 32 == 105 or data[b - 1] | 32 == 121):
        b -= 1
    return b


@kernel
def hash_plain(data, a, b):  # type: ignore[no-untyped-def]
    """Hash of ASCII letters, digits, "'" and "-" as small letters: setting bit 32 of each byte changes nothing else."""
    h = SEED
    i = a
    while i < b:
        v = load_upto(data, i, b)
        small = TO_LOWER
        if b - i < 8:
            small &= (np.uint64(1) << np.uint64(8 * (b - i))) - np.uint64(1)
        h = hash_step(h, v | small)
        i += 8
    return hash_finish(h, b - a)


@kernel
def _put(buffer, m, point):  # type: ignore[no-untyped-def]
    """Append a code point as UTF-8; returns the new length, or -1 where there is no room."""
    if m < 0 or m + 4 > len(buffer):
        return -1
    if point < 0x80:
        buffer[m] = point
        return m + 1
    if point < 0x800:
        buffer[m], buffer[m + 1] = 0xC0 | point >> 6, 0x80 | point & 63
        return m + 2
    if point < 0x10000:
        buffer[m], buffer[m + 1], buffer[m + 2] = 0xE0 | point >> 12, 0x80 | point >> 6 & 63, 0x80 | point & 63
        return m + 3
    buffer[m], buffer[m + 1] = 0xF0 | point >> 18, 0x80 | point >> 12 & 63
    buffer[m + 2], buffer[m + 3] = 0x80 | point >> 6 & 63, 0x80 | point & 63
    return m + 4


@kernel
def _folded(data, a, b, fold, several, marks, buffer):  # type: ignore[no-untyped-def]
    """Write ``data[a:b]`` folded into ``buffer``, accents only where ``marks`` is not 0; returns its bytes, -1 where there is no room."""
    m = 0
    i = a
    while i < b and m >= 0:
        point, i = decoded(data, i, b)
        if point == 46 or (marks == 0 and 0x300 <= point < 0x370):
            continue
        to = np.int64(fold[point])
        if to >= 0:
            m = _put(buffer, m, to)
            continue
        for k in range(-to, -to + several[-1 - to]):
            if marks or not 0x300 <= several[k] < 0x370:
                m = _put(buffer, m, np.int64(several[k]))
    return m


@kernel
def hash_folded(data, a, b, fold, several, buffer):  # type: ignore[no-untyped-def]
    """(hash, stem) of ``data[a:b]`` folded; of the bytes as they stand where it is too long."""
    m = _folded(data, a, b, fold, several, _WITH_MARKS, buffer)
    if m < 0:
        h = hash_bytes(data, a, b)
        return h, h
    h = hash_bytes(buffer, 0, m)
    m = _folded(data, a, b, fold, several, _WITHOUT_MARKS, buffer)
    return h, hash_bytes(buffer, 0, stem_end(buffer, 0, m))
