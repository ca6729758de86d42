"""A corpus with planted duplicates, written out so that a reader can say which documents are the same."""

import numpy as np

WORDS = [f"{a}{b}{c}" for a in "bcdfgklm" for b in "aeiou" for c in "nrstxyz"]


def passage(seed, length=120):
    return " ".join(np.random.default_rng(seed).choice(WORDS, length))


def changed(text, *places):
    words = text.split()
    for k in places:
        words[k] = "altered"
    return " ".join(words)


BASE = passage(1)
DOCUMENTS = [
    ("a0", BASE, "web", "2020-01-05", 1),  # 0
    ("a1", changed(BASE, 60), "books", "2024-03-01", 5),  # 1: near 0
    ("b0", passage(2), "web", "2021-01-01", 2),  # 2: alone
    ("a2", BASE.upper() + "!!", "wiki", "2019", 3),  # 3: 0 when normalised
    ("c0", passage(3), "web", None, None),  # 4
    ("c1", passage(3), "books", "2022-05-05", 9),  # 5: 4 exactly
    ("short", "two words", "web", "2020-01-01", 1),  # 6: too short
    ("short2", "Two words.", "web", "2020-01-01", 1),  # 7: 6 when normalised
    ("null", None, "web", "2020-01-01", 1),  # 8
    ("empty", "", "web", "2020-01-01", 1),  # 9
    ("empty2", "", "wiki", "2020-01-01", 1),  # 10: 9 exactly
    ("marks", "... !!!", "web", "2020-01-01", 1),  # 11: nothing left when normalised
    ("d0", passage(4), "web", "2020-01-01", 1),  # 12: alone
    ("a3", BASE, "web", "2018-01-01", 2),  # 13: 0 exactly
]
EXACT = [0, 1, 2, 3, 4, 4, 6, 7, None, 9, 9, 11, 12, 0]
NORMALISED = [0, 1, 2, 0, 4, 4, 6, 6, None, None, None, None, 12, 0]
NEAR = [0, 0, 2, 0, 4, 4, None, None, None, None, None, None, 12, 0]


def numbers(column):
    """A column with None where it is undefined."""
    return [None if np.isnan(v) else int(v) for v in column]
