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

FILTER_BITS = 65536  # bitmap that answers most "is this an exception?" with no


class Tables(NamedTuple):
    """Everything the word kernel looks up.

    ``keys``/``values`` is an open-addressing table from :func:`explorer.primitives.swar.hash_bytes` of a string to its entry.
    Entry e has ``pieces[e]`` tokens (0: not an exception) of ``piece_bytes[e]``; ``cuts[e]`` tells at which bytes the plain
    rules would split it (bit b: after byte b + 1; 0: the plain rules never produce it); ``stop[e]`` is 1-8 for a stop word.
    """

    classes: np.ndarray  # uint16 [0x110000]
    bitmap: np.ndarray  # uint8 [FILTER_BITS / 8], indexed by the top 16 bits of a hash
    keys: np.ndarray  # uint64 [2**k]
    values: np.ndarray  # int16 [2**k], -1 where empty
    pieces: np.ndarray  # int8 [entries]
    piece_bytes: np.ndarray  # int8 [entries, 3]
    cuts: np.ndarray  # uint64 [entries]
    cut_count: np.ndarray  # int8 [entries], tokens the plain rules give; 0 where `cuts` is 0
    stop: np.ndarray  # uint8 [entries]
    longest: int  # bytes of the longest exception
    suffix_keys: np.ndarray  # uint64, hashes of units and currencies that are split off after a digit
    longest_suffix: int  # code points of the longest of them


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

    def key(text: str) -> np.uint64:
        raw = np.frombuffer(text.encode(), np.uint8)
        return np.uint64(hash_bytes(raw, 0, len(raw)))

    entries: dict[str, int] = {}
    exceptions = [line.split(" ") for line in stored["exceptions"]]
    for text in ["".join(e) for e in exceptions] + list(STOP_WORDS):
        entries.setdefault(text, len(entries))
    count = len(entries)
    pieces, piece_bytes = np.zeros(count, np.int8), np.zeros((count, 3), np.int8)
    cuts, cut_count, stop = np.zeros(count, np.uint64), np.zeros(count, np.int8), np.zeros(count, np.uint8)
    for exception in exceptions:
        e = entries["".join(exception)]
        pieces[e] = len(exception)
        piece_bytes[e, : len(exception)] = [len(p.encode()) for p in exception]
    for line in stored["rejoined"]:
        parts = line.split(" ")
        e = entries["".join(parts)]
        ends = np.cumsum([len(p.encode()) for p in parts])
        cuts[e] = np.bitwise_or.reduce(np.uint64(1) << (ends - 1).astype(np.uint64))
        cut_count[e] = len(parts)
    for number, word in enumerate(STOP_WORDS, 1):
        stop[entries[word]] = number

    size = 4096
    keys, values = np.zeros(size, np.uint64), np.full(size, -1, np.int16)
    bitmap = np.zeros(FILTER_BITS // 8, np.uint8)
    for text, e in entries.items():
        h = int(key(text))
        slot = h % size
        while values[slot] >= 0:
            slot = (slot + 1) % size
        keys[slot], values[slot] = h, e
        bitmap[h >> 51] |= 1 << ((h >> 48) & 7)
    units = stored["units"]
    # A unit counts as a suffix only after a digit; the currencies of several letters likewise.
    suffix_keys = np.array(sorted(key(s) for s in [*units, *stored["currencies"]]), np.uint64)
    longest = max(len(t.encode()) for t in entries)
    return Tables(
        classes, bitmap, keys, values, pieces, piece_bytes, cuts, cut_count, stop, longest, suffix_keys, max(len(s) for s in units)
    )
