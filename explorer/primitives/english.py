"""Character classes and exceptions of spaCy's blank English tokenizer, as arrays that kernels index.

``english.json`` beside this file is written by ``benchmarks/english_tables.py`` from spaCy (MIT licence) and datatrove
(Apache-2.0); a test regenerates it where both are installed.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from explorer.errors import SignalError
from explorer.primitives import unicode as u

# Bits of a code point in `Tables.classes`.
ALPHA = 1  # spaCy's ALPHA (cased Latin, Greek, Cyrillic and most uncased scripts)
LOWER = 2  # its ALPHA_LOWER (uncased scripts are in both LOWER and UPPER)
UPPER = 4
PREFIX = 8  # split off at the beginning of a word
SUFFIX = 16  # split off at the end of a word
ICON = 32  # split wherever it stands
QUOTE = 64  # may stand beside a splitting full stop
BEFORE_DOT = 128  # a final full stop after it is split off
CURRENCY = 256  # split off after a digit
SPACE = 512  # str.isspace
LETTER = 1024  # str.isalpha
SYMBOL = 2048  # datatrove's PUNCTUATION_SET: a token of these alone is not a word
TERMINAL = 4096  # datatrove's TERMINAL_PUNCTUATION: ends a sentence in some script
ACTIVE = 8192  # a word holding none of these is one token (unless it is an exception)
DIGIT = 16384  # 0-9 only, as the tokenizer's rules have it
WORD = 32768  # \w: str.isalnum or an underscore

LONGEST = 29  # bytes of the longest exception
LONGEST_UNIT = 5  # code points of the longest unit or currency
MOST_JOINED = 11  # tokens of the longest exception that plain rules take apart

# Columns of `Tables.exceptions` and the fields packed into SHAPE. A row whose SHAPE is 0 is empty.
KEY, SHAPE, CUTS = 0, 1, 2
# Columns of `Tables.ends`: bit n of a byte's row is set where some exception of n bytes begins with it, where some exception of n
# bytes ends with it, and where some n tokens that can be joined again begin with it.
BEGINS, FINISHES, JOINS = 0, 1, 2
PIECES_BITS, WIDTH_SHIFT, JOINED_SHIFT, STOP_SHIFT, UNIT_SHIFT = 8, 8, 32, 40, 48


class Tables(NamedTuple):
    """What the word kernel looks up.

    ``exceptions`` is an open-addressing table; a row's KEY is :func:`explorer.primitives.swar.hash_bytes` of a string. SHAPE
    packs how it is cut (bits 0-7: number of tokens, 0 where it is no exception; then three widths in bytes), into how many
    tokens the plain rules would cut it (bits 32-39; 0: they never produce it), the number of a stop word (bits 40-47, from 1)
    and whether it is a unit or currency that is split off after a digit (bit 48). CUTS tells where the plain rules cut (bit b:
    after byte b + 1).
    """

    classes: np.ndarray  # uint16 [0x110000]
    exceptions: np.ndarray  # uint64 [2**k, 3]
    bitmap: np.ndarray  # uint8 [8192]: bit (hash >> 48) is set for every key, so that most words need no look-up
    ends: np.ndarray  # uint32 [256, 3], columns BEGINS, FINISHES, JOINS: most strings are told from exceptions without a hash


STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # Rae et al. 2021, case-sensitive as in datatrove


@cache
def tables() -> Tables:
    """Read ``english.json`` and lay it out for the kernels (once a process)."""
    from explorer.primitives.swar import hash_bytes

    stored = json.loads(Path(__file__).with_name("english.json").read_text("ascii"))
    unicode_classes = u.classes()
    classes = np.zeros(u.CODE_POINTS, np.uint16)
    for bit, source in ((SPACE, u.SPACE), (LETTER, u.ALPHA), (WORD, u.ALPHANUMERIC)):
        classes[(unicode_classes & source) != 0] |= bit
    classes[ord("_")] |= WORD
    classes[ord("0") : ord("9") + 1] |= DIGIT
    named = {
        "alpha": ALPHA, "lower": LOWER, "upper": UPPER, "prefix": PREFIX, "suffix": SUFFIX, "icon": ICON, "quote": QUOTE,
        "before_dot": BEFORE_DOT, "currency": CURRENCY, "gopher_punctuation": SYMBOL, "terminal": TERMINAL,
    }  # fmt: skip
    for name, bit in named.items():
        for part in stored["classes"][name].split():
            first, _, last = part.partition("-")
            classes[int(first, 16) : int(last or first, 16) + 1] |= bit
    active = (classes & (PREFIX | SUFFIX | ICON | CURRENCY)) != 0
    active[[ord(c) for c in ".,-~–—:<>=/+*^"]] = True
    classes[active] |= ACTIVE

    def key(text: str) -> int:
        raw = np.frombuffer(text.encode(), np.uint8)
        return int(hash_bytes(raw, 0, len(raw)))

    shapes: dict[str, list[int]] = {}
    exceptions = [line.split(" ") for line in stored["exceptions"]]
    ends = np.zeros((256, 3), np.uint32)
    for pieces in exceptions:
        widths = [len(p.encode()) for p in pieces]
        shape = len(pieces) | sum(w << (WIDTH_SHIFT + 8 * k) for k, w in enumerate(widths))
        shapes["".join(pieces)] = [shape, 0]
        raw = "".join(pieces).encode()
        ends[raw[0], BEGINS] |= np.uint32(1 << len(raw))
        ends[raw[-1], FINISHES] |= np.uint32(1 << len(raw))
    for line in stored["rejoined"]:
        parts = line.split(" ")
        text = "".join(parts)
        shapes[text][0] |= len(parts) << JOINED_SHIFT
        shapes[text][1] = sum(1 << (len("".join(parts[: k + 1]).encode()) - 1) for k in range(len(parts)))
        ends[text.encode()[0], JOINS] |= np.uint32(1 << len(parts))
    for number, word in enumerate(STOP_WORDS, 1):
        shapes.setdefault(word, [0, 0])[0] |= number << STOP_SHIFT
    units = stored["units"] + stored["currencies"]
    for unit in units:
        shapes.setdefault(unit, [0, 0])[0] |= 1 << UNIT_SHIFT
    limits = (max(len("".join(e).encode()) for e in exceptions), max(map(len, units)), max(len(r.split(" ")) for r in stored["rejoined"]))
    if limits != (LONGEST, LONGEST_UNIT, MOST_JOINED):
        raise SignalError(
            f"english.json does not fit the kernels' limits {limits}. They hold {(LONGEST, LONGEST_UNIT, MOST_JOINED)}. Set them to the file's."
        )

    table = np.zeros((4096, 3), np.uint64)
    bitmap = np.zeros(8192, np.uint8)
    for text, (shape, cuts) in shapes.items():
        h = key(text)
        slot = h % len(table)
        while table[slot, SHAPE]:
            slot = (slot + 1) % len(table)
        table[slot] = h, shape, cuts
        bitmap[h >> 51] |= 1 << ((h >> 48) & 7)
    return Tables(classes, table, bitmap, ends)
