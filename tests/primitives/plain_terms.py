"""Terms and sentences in plain Python, character by character, as `explorer.primitives.terms` defines them: the twin that the kernels are held to.

Links are left out: texts that are compared hold none.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import explorer.primitives.folded as fo
from explorer.primitives import terms as tm

KNOWN = {name: set(words.split()) for name, words in json.loads(Path(fo.__file__).with_name("terms.json").read_text("utf-8")).items()}
NO_WIDTH = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
TERMINAL = ".!?…‼⁇⁈⁉؟۔।॥։።。！？｡．"
CLOSERS = ")]}\"'’”»›」』）"
BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
OPENERS = ":|“‘«„‹"
SPACED_OPENERS = "\"'-–—"
RANGES = (
    (0xE00, 0xF00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x2E80, 0x2FE0), (0x3005, 0x3008), (0x3021, 0x302A), (0x3040, 0x3100),
    (0x31F0, 0x3200), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0xFF66, 0xFF9E), (0x20000, 0x32000),
)  # fmt: skip


def is_bare(c: str) -> bool:
    return (c.isalpha() or c.isnumeric()) and any(a <= ord(c) < b for a, b in RANGES)


def is_letter(c: str) -> bool:
    return c.isalpha() and not is_bare(c)


def is_mark(c: str) -> bool:
    return unicodedata.category(c)[0] == "M"


def is_blank(c: str) -> bool:
    return c.isspace() or c in NO_WIDTH or unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs")


def fold(word: str) -> str:
    for old, new in zip(
        "ﬀﬁﬂﬃﬄßÆæŒœØøŁłĐđı", ("ff", "fi", "fl", "ffi", "ffl", "ss", "ae", "ae", "oe", "oe", "o", "o", "l", "l", "d", "d", "i"), strict=True
    ):
        word = word.replace(old, new)
    out = []
    for c in word:
        if c in NO_WIDTH or c == ".":
            continue
        if 0xFF01 <= ord(c) < 0xFF5F and c != "＇":
            c = chr(ord(c) - 0xFEE0)
        if c in "’ʼ＇":
            c = "'"
        elif c in "‐‑":
            c = "-"
        elif c.isdecimal():
            c = str(unicodedata.decimal(c))
        elif c == "ς":
            c = "σ"
        out.append(unicodedata.normalize("NFD", c.lower()))
    return "".join(out)


def stem(word: str) -> str:
    """Of a folded word; cut byte by byte, as the kernel does, so that only ASCII endings are cut."""
    w = "".join(c for c in word if not 0x300 <= ord(c) < 0x370).encode()
    if len(w) >= 4 and w.endswith(b"'s"):
        w = w[:-2]
    if len(w) < 4:
        return w.decode()
    if w.endswith(b"s") and not w.endswith((b"ss", b"us", b"is")):
        w = w[:-1]
    cut = (
        3 if w.endswith(b"ing") and len(w) >= 6 else 2 if (w.endswith(b"ed") and len(w) >= 5) or (w.endswith(b"ly") and len(w) >= 6) else 0
    )
    if cut and set(w[:-cut]) & set(b"aeiouy"):
        w = w[:-cut]
        if len(w) >= 4 and w[-1] == w[-2] and w[-1] not in b"aeosl":
            w = w[:-1]
    if len(w) >= 4 and w.endswith(b"e"):
        w = w[:-1]
    if len(w) >= 4 and w.endswith((b"i", b"y")):
        w = w[:-1]
    return w.decode()


def word_end(text: str, i: int) -> tuple[int, bool]:
    """End of the word at i, and whether it is letters with full stops."""
    j = i
    while j < len(text):
        c = text[j]
        if is_bare(c):
            break
        follows = j + 1 < len(text) and is_letter(text[j + 1])
        if (
            c.isalpha()
            or is_mark(c)
            or c in NO_WIDTH
            or c.isdecimal()
            or (c in "'’＇-‐‑" and j > i and follows)
            or (c == "_" and j + 1 < len(text) and (text[j + 1].isascii() and (text[j + 1].isalnum() or text[j + 1] == "_")))
        ):
            j += 1
        else:
            break
    k = j
    if j == i + 1 and text[i].isascii():
        while k + 1 < len(text) and text[k] == "." and text[k + 1].isascii() and text[k + 1].isalpha():
            if k + 2 < len(text) and is_letter(text[k + 2]):
                break
            k += 2
    if k > j:
        return (k + 1 if k < len(text) and text[k] == "." else k), True
    return j, False


def number_end(text: str, i: int) -> int:
    j = i
    while j < len(text):
        c = text[j]
        after = text[j + 1 : j + 2]
        if c.isdecimal():
            j += 1
        elif c in ".," and after.isascii() and after.isdecimal():
            j += 2
        elif c in "٫٬" and after.isdecimal():
            j += 1
        else:
            break
    return j


def sign_end(text: str, i: int) -> int:
    raised = text[i].isdigit() or text[i] in "⁺⁻"
    j = i + 1
    while j < len(text):
        c = text[j]
        if c != text[i] and not is_mark(c) and c not in NO_WIDTH and not (raised and c.isdigit()):
            break
        j += 1
    return j


def terms(text: str) -> list[tuple[int, int, int, str, str]]:
    """(begin, end, flags, folded form, stem) of every term; flags without POSSESSIVE. A sentence's first term has bit 1 << 20."""
    found: list[tuple[int, int, int, str, str]] = []
    i = line = 0
    spaced, due, ended, breaks, width, last = True, True, 0, 2, 0, ""
    while i < len(text):
        c = text[i]
        if is_blank(c):
            if c in BREAKS and not (c == "\r" and text[i + 1 : i + 2] == "\n"):
                width = len(text[line:i].encode()) if breaks == 0 else width
                breaks, line = breaks + 1, i + 1
            spaced = spaced or c not in NO_WIDTH
            i += 1
            continue
        dotted = False
        if is_letter(c):
            end, dotted = word_end(text, i)
            kind = tm.WORD
        elif c.isdecimal():
            end, kind = number_end(text, i), tm.NUMBER | tm.DIGITS
        elif is_bare(c):
            end, kind = i + 1, tm.UNSPACED
            while end < len(text) and is_mark(text[end]):
                end += 1
        else:
            end, kind = sign_end(text, i), tm.SIGN
            if any(d.isdigit() for d in text[i:end]):
                kind |= tm.DIGITS
        said = text[i:end]
        folded = fold(said) if kind & tm.WORD or (kind & tm.NUMBER and not said.isascii()) else said
        if kind & tm.WORD:
            kind |= tm.DOTTED if dotted else 0
            kind |= tm.HYPHEN if any(d in said for d in "-‐‑") else 0
            kind |= tm.SNAKE if "_" in said else 0
            kind |= tm.DIGITS if any(d.isdecimal() for d in said) else 0
            kind |= tm.CAPITAL if said[0].isupper() else 0
        small, closes = c.islower(), bool(kind & tm.SIGN) and c in CLOSERS + TERMINAL
        starts = False
        if breaks:
            kind |= tm.LINE if breaks == 1 else tm.LINE | tm.PARAGRAPH
            starts = breaks > 1 or is_item(text, i) or (not small and (width < 50 or ended > 0 or last == ":"))
        elif ended == 1:
            starts = not closes
        elif ended == 2:
            starts = spaced and not small and not closes
        elif ended == 3:
            starts = spaced and not small and folded in KNOWN["starters"]
        elif ended == 4:
            starts = spaced and not small and not closes and folded not in KNOWN["after_day"]
        if starts:
            due = True
        if not closes or starts:
            ended = 0
        kind |= 0 if spaced else tm.GLUED
        if kind & tm.SIGN:
            if c in TERMINAL:
                ended = ending(text, i, end, found)
            due = due or c in OPENERS or (spaced and c in SPACED_OPENERS)
        elif kind & tm.NUMBER:
            due = due and bool(kind & tm.LINE) and text[end : end + 1] in (".", ")") and end < len(text)
        else:
            kind |= tm.START if due else 0
            due = False
            if dotted and said.endswith("."):
                ended = 3
        found.append((i, end, kind | (1 << 20 if starts else 0), folded, stem(folded) if kind & tm.WORD else folded))
        i, spaced, breaks, last = end, False, 0, c
    return found


def is_item(text: str, i: int) -> bool:
    if text[i] in "-*#>|+•–":
        return True
    j = i
    while j < len(text) and j - i < 4 and text[j].isascii() and text[j].isdecimal():
        j += 1
    return 0 < j - i < 4 and text[j : j + 1] in (".", ")") and j < len(text) and text[j + 1 : j + 2] != "" and text[j + 1] <= " "


def ending(text: str, i: int, end: int, found: list[tuple[int, int, int, str, str]]) -> int:
    if ord(text[i]) >= 0x3000:
        return 1
    run = len(text[i:end].encode()) if text[i].isascii() else 1
    if text[i] != "." or run > 1 or not found or found[-1][1] != i:
        return 2
    begin, stop, kind, folded, _ = found[-1]
    size = len(text[begin:stop].encode())
    if kind & tm.WORD:
        if folded in KNOWN["never_ends"]:
            return 0
        initial = size == 1 and not kind & tm.GLUED and not (len(found) > 1 and found[-2][2] & tm.NUMBER)
        return 3 if folded in KNOWN["may_end"] or initial else 2
    if kind & tm.NUMBER and size <= 2:
        return 0 if kind & tm.LINE else 4
    return 2
