"""What a reader is shown of one pair: every fact lost, added, changed or exchanged and every statement turned round, with its place in both texts.

The same kernels as the columns, on a batch of one pair; offsets are characters of the texts as they are given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from explorer.primitives.batch import Batch
from explorer.rewrites import compare as cp
from explorer.rewrites import exchanges as ex
from explorer.rewrites import facts as fa
from explorer.rewrites import polarity as po

Verdict = Literal["lost", "added", "changed", "exchanged", "flip"]
Span = tuple[int, int]
_LONGEST = 80  # characters of a quoted place in the sentence about it


@dataclass(frozen=True)
class Finding:
    """One difference in what two texts state.

    Attributes:
        kind: "number", "date", "time", "name", "link", "code", "quote", or of a flip "negation", "modality", "quantifier", "antonym".
        verdict: what became of it.
        left: characters [begin, end) of the original, None where it was added.
        right: characters [begin, end) of the rewrite, None where it was lost.
        said: one plain sentence.

    """

    kind: str
    verdict: Verdict
    left: Span | None
    right: Span | None
    said: str


def findings(original: str | bytes, rewrite: str | bytes) -> list[Finding]:
    """Differences in facts and polarity between a text and its rewrite, in reading order.

    Args:
        original: the text; bytes are decoded as UTF-8 first, what is none becoming U+FFFD.
        rewrite: the rewritten text.

    """
    texts = [t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in (original, rewrite)]
    left, right = (Batch.of([t]) for t in texts)
    ends = [_character_ends(t) for t in texts]

    def span(side: int, start: int, end: int) -> Span:
        first, last = np.searchsorted(ends[side], (start, end), side="right")
        return int(first), int(max(last, first + 1) if ends[side][-1] < end else last)

    found: list[tuple[float, Finding]] = []
    for kind, verdict, before, after in (*_of_facts(left, right), *_of_places(left, right), *_of_polarity(left, right)):
        places = (None if before is None else span(0, *before), None if after is None else span(1, *after))
        said = " → ".join(_quoted(t, place) for t, place in zip(texts, places, strict=True) if place)
        verb = "turned round" if verdict == "flip" else verdict
        finding = Finding(kind, verdict, places[0], places[1], f"{kind} {verb}: {said}")
        # where one text has no place for it, that of the other tells how far the reader is
        at = places[0][0] / max(len(texts[0]), 1) if places[0] else places[1][0] / max(len(texts[1]), 1) if places[1] else 0.0
        found.append((at, finding))
    return [finding for _, finding in sorted(found, key=lambda item: (item[0], item[1].left or item[1].right or (0, 0), item[1].kind))]


_Place = tuple[int, int] | None


def _of_facts(left: Batch, right: Batch) -> Iterator[tuple[str, Verdict, _Place, _Place]]:
    """(kind, verdict, bytes in the original, bytes in the rewrite) of every fact that is not kept."""
    compared, ours, theirs = cp.compared(left, right), fa.facts(left), fa.facts(right)
    for f in np.flatnonzero(compared.original >= cp.GONE).tolist():
        place, g = (int(ours.start[f]), int(ours.end[f])), int(compared.original_partner[f])
        if compared.original[f] == cp.CHANGED:
            yield fa.KINDS[ours.kind[f]], "changed", place, (int(theirs.start[g]), int(theirs.end[g]))
        else:
            yield fa.KINDS[ours.kind[f]], "lost", place, None
    for g in np.flatnonzero(compared.rewrite == cp.GONE).tolist():
        yield fa.KINDS[theirs.kind[g]], "added", None, (int(theirs.start[g]), int(theirs.end[g]))


def _of_places(left: Batch, right: Batch) -> Iterator[tuple[str, Verdict, _Place, _Place]]:
    found, ours, theirs = ex.exchanges(left, right), fa.facts(left), fa.facts(right)
    for f, g in zip(found.original.tolist(), found.rewrite.tolist(), strict=True):
        yield fa.KINDS[ours.kind[f]], "exchanged", (int(ours.start[f]), int(ours.end[f])), (int(theirs.start[g]), int(theirs.end[g]))


def _of_polarity(left: Batch, right: Batch) -> Iterator[tuple[str, Verdict, _Place, _Place]]:
    flips = po.flips(left, right)
    for kind, (a, b), (c, d) in zip(flips.kind.tolist(), flips.left.tolist(), flips.right.tolist(), strict=True):
        yield po.KINDS[kind], "flip", (a, b), (c, d)


def _character_ends(text: str) -> np.ndarray:
    """The byte after each character of a text in UTF-8, counted from its beginning."""
    points: np.ndarray = np.fromiter(map(ord, text), np.int64, len(text))
    return np.cumsum(1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)) if len(text) else np.zeros(1, np.int64)


def _quoted(text: str, place: Span) -> str:
    said = " ".join(text[place[0] : place[1]].split())
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
