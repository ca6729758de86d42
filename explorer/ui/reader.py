"""A document as HTML that shows exactly what is in it: markup as text, invisible characters as signs, spans marked.

Everything that comes from a document is escaped here, and nowhere else does it become HTML.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WINDOW = 20_000  # characters shown at once

_KEEP = frozenset("\n\t")
_SHORT = {
    0x00AD: "SHY", 0x061C: "ALM", 0x180E: "MVS", 0x200B: "ZWSP", 0x200C: "ZWNJ", 0x200D: "ZWJ", 0x200E: "LRM", 0x200F: "RLM",
    0x2028: "LS", 0x2029: "PS", 0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF", 0x202D: "LRO", 0x202E: "RLO", 0x2060: "WJ",
    0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0xFEFF: "BOM", 0x034F: "CGJ", 0x115F: "HCF", 0x1160: "HJF",
    0x3164: "HF", 0xFFA0: "HHF", 0x2061: "FA", 0x2062: "IT", 0x2063: "IS", 0x2064: "IP",
}  # fmt: skip
_HARMLESS = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")  # wanted in some scripts, emoji and typesetting


@dataclass(frozen=True)
class Span:
    """A stretch of characters worth seeing: ``kind`` is "hit", "email", "ip" or "repeat"."""

    start: int
    end: int
    kind: str


def glyph(character: str) -> str | None:
    """The sign for a character that cannot be seen or that changes how others are shown; None for all others.

    Controls except line feed and tab, zero-width and bidirectional characters, tags, fillers, and lone surrogates. Zero-width
    joiners count too: in emoji they are harmless, in copied text they are not.
    """
    code = ord(character)
    if character in _KEEP or 0x20 <= code < 0x7F:
        return None
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if code in _SHORT:
        return f"[{_SHORT[code]}]"
    if 0xE0000 <= code <= 0xE007F:
        return f"[TAG {chr(code - 0xE0000)}]" if 0xE0020 <= code < 0xE007F else f"[U+{code:04X}]"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"[U+{code:04X}]"
    return None


def text_html(text: str, spans: Sequence[Span] = (), start: int = 0, length: int = WINDOW, *, signs: bool = True) -> str:
    """A window of a document as HTML: escaped, invisible characters as signs, spans as ``<mark>``.

    Args:
        text: the whole document.
        spans: what to mark, in characters of the whole document; they may overlap.
        start: first character shown.
        length: how many are shown at most.
        signs: draw invisible characters; bidirectional controls and C0 controls are drawn in any case.

    """
    end = min(len(text), start + length)
    here = [s for s in spans if s.start < end and s.end > start and s.end > s.start]
    cuts = sorted({start, end, *(max(start, s.start) for s in here), *(min(end, s.end) for s in here)})
    pieces = []
    active: list[Span] = []
    waiting = sorted(here, key=lambda s: s.start)
    at = 0
    for left, right in itertools.pairwise(cuts):
        while at < len(waiting) and waiting[at].start <= left:
            active.append(waiting[at])
            at += 1
        active = [s for s in active if s.end > left]
        inside = _visible(text[left:right], signs)
        kinds = " ".join(sorted({s.kind for s in active}))
        pieces.append(f'<mark class="{escape(kinds, quote=True)}">{inside}</mark>' if kinds else inside)
    return "".join(pieces)


def count_invisible(text: str) -> int:
    """How many characters are drawn as signs."""
    return 0 if text.isascii() and text.isprintable() else sum(glyph(c) is not None for c in text)


def repeated_lines(text: str, most: int = 5000) -> list[Span]:
    """Lines of a document that occurred earlier in it, white space around them aside; blank lines do not count."""
    seen: set[str] = set()
    spans: list[Span] = []
    at = 0
    for line in text.split("\n"):
        said = line.strip()
        if said and said in seen:
            spans.append(Span(at, at + len(line), "repeat"))
            if len(spans) >= most:
                break
        seen.add(said)
        at += len(line) + 1
    return spans


def snippet(text: str | None, first_hit: tuple[int, int] | None = None, length: int = 220) -> list[tuple[str, bool]]:
    """A line of a document for a list, as pieces (text, is a hit): its beginning, or what stands around the first hit.

    White space is folded and invisible characters become signs; the pieces are plain text, not HTML.
    """
    if text is None:
        return [("no text (null)", False)]
    start = 0 if first_hit is None else max(0, first_hit[0] - 40)
    part = text[start : start + length]
    if first_hit is None:
        return [(_folded(part) or "no visible text", False)]
    left, right = first_hit[0] - start, min(first_hit[1] - start, length)
    pieces = [
        (("… " if start else "") + _folded(part[:left], keep_end=True), False),
        (_folded(part[left:right]), True),
        (_folded(part[right:], keep_start=True), False),
    ]
    return [piece for piece in pieces if piece[0]]


def _folded(text: str, *, keep_start: bool = False, keep_end: bool = False) -> str:
    said = "".join(glyph(c) or c for c in " ".join(text.split()))
    return (" " if keep_start and text[:1].isspace() else "") + said + (" " if keep_end and text[-1:].isspace() else "")


def _visible(text: str, signs: bool) -> str:
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return escape(text)
    pieces = []
    for character in text:
        sign = glyph(character)
        if sign is None or (not signs and character in _HARMLESS):
            pieces.append(escape(character))
        else:
            name = unicodedata.name(character, "control character")
            pieces.append(f'<span class="glyph" title="U+{ord(character):04X} {escape(name)}">{escape(sign)}</span>')
    return "".join(pieces)
