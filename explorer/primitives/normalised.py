"""RedPajama-v2's normalised text as tables: drop ASCII punctuation, lower-case, collapse whitespace, decompose (NFD).

Lower-casing and canonical decomposition of one code point are looked up, so a kernel can hash a normalised word without ever
writing it down. Two things depend on the neighbours and are left to the kernel: the final sigma, and the order of combining
marks after one letter (by canonical combining class).
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np

from explorer.primitives import unicode as u

WORD, SPACE, UPPER, NOT_UPPER, NUMERIC, MARK = 1, 2, 4, 8, 16, 32

CAPITAL_SIGMA, SIGMA, FINAL_SIGMA = 0x3A3, 0x3C3, 0x3C2

# Everything outside these ranges (Han, private use, unassigned planes) is its own lower case and decomposition, class 0.
_CHANGING = ((0, 0x3400), (0xA000, 0xD7A4), (0xF900, 0x17000), (0x1BC00, 0x1F200), (0x2F800, 0x2FA20))

_PUNCTUATION = str.maketrans("", "", string.punctuation)


class NormalTables(NamedTuple):
    """One code point at a time: what becomes of it, and what it is."""

    target: np.ndarray  # int32 [0x110000]: the code point it becomes, or -1 - k where it becomes several
    several: np.ndarray  # int32: at k, a length and that many code points
    combining: np.ndarray  # uint8 [0x110000]: canonical combining class, 0 for letters
    kind: np.ndarray  # uint8 [0x110000]: WORD (re's \\w), SPACE, UPPER, NOT_UPPER (cased, but str.isupper is false), NUMERIC, MARK


@cache
def normal_tables() -> NormalTables:
    """The tables, built once a process in about 0.1 s."""
    target = np.arange(u.CODE_POINTS, dtype=np.int32)
    combining = np.zeros(u.CODE_POINTS, np.uint8)
    classes = u.classes()
    kind = np.zeros(u.CODE_POINTS, np.uint8)
    for bit, theirs in (
        (WORD, u.ALPHANUMERIC),
        (SPACE, u.SPACE),
        (UPPER, u.UPPER),
        (NOT_UPPER, u.LOWER),
        (NUMERIC, u.NUMERIC),
        (MARK, u.MARK),
    ):
        kind[(classes & theirs) != 0] |= bit
    kind[ord("_")] |= WORD
    several: list[int] = []
    for first, stop in _CHANGING:
        for point in range(first, stop):
            character = chr(point)
            combining[point] = unicodedata.combining(character)
            if unicodedata.category(character) == "Lt":
                kind[point] |= NOT_UPPER
            normal = unicodedata.normalize("NFD", character.lower())
            if len(normal) == 1:
                target[point] = ord(normal)
            else:
                target[point] = -1 - len(several)
                several += [len(normal), *map(ord, normal)]
    tables = NormalTables(target, np.array(several, np.int32), combining, kind)
    for table in tables:
        table.flags.writeable = False
    return tables


def normalise(text: str) -> str:
    """RedPajama-v2's normalised text of one string; the definition that the tables and kernels are held to."""
    text = re.sub(r"\s+", " ", text.translate(_PUNCTUATION).lower().strip())
    return unicodedata.normalize("NFD", text)
