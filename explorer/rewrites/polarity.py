"""Statements that a rewrite turns round: negation, modality, quantity and opposites, found in sentences that tell the same.

A cue *governs* the content words after it. A flip is a word that both sentences have and that is governed by a cue in one and by no such cue, or by a
contrary one, in the other. Sentences are matched by their content words, so what is said in altogether other words is not seen, but for "has not been
replaced" against "now".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch, pair_primitive
from explorer.primitives.swar import kernel
from explorer.rewrites import cues as cu
from explorer.rewrites.align import ALIKE, alignments
from explorer.rewrites.contraries import graded, opposite, related
from explorer.rewrites.cues import field
from explorer.rewrites.negations import exchanged, negation, outdated
from explorer.rewrites.statements import side

KINDS = ("negation", "modality", "quantifier", "antonym")
NEGATION, MODALITY, QUANTIFIER, ANTONYM = (np.int64(k) for k in range(4))
_FROM_REWRITE, _FROM_ORIGINAL = np.int64(0), np.int64(1)


class Flips(NamedTuple):
    """Statements turned round: pair d has flips ``offsets[d]:offsets[d + 1]``.

    Attributes:
        offsets: int64 [n + 1].
        kind: uint8, NEGATION to ANTONYM.
        left: int64 [flips, 2], bytes of the words in the original's ``batch.data``; from the cue to what it governs where it is there.
        right: int64 [flips, 2], of the rewrite's.
        sentences: int64 [flips, 2], numbers of the sentences in their batches.
    """

    offsets: np.ndarray
    kind: np.ndarray
    left: np.ndarray
    right: np.ndarray
    sentences: np.ndarray


@kernel
def _write(f, kind, x, swap, hit, ours, theirs, out):  # type: ignore[no-untyped-def]
    """Write a flip: what was found in the rewrite is on the right, whichever text the search began in."""
    kinds, left, right, pair = out
    if f >= len(kinds):
        return
    kinds[f] = kind
    near, far = (left, right) if swap else (right, left)
    near[f, 0], near[f, 1] = ours.start[hit[0]], ours.start[hit[1] - 1] + ours.size[hit[1] - 1]
    far[f, 0], far[f, 1] = theirs.start[hit[2]], theirs.start[hit[3] - 1] + theirs.size[hit[3] - 1]
    pair[f, 0], pair[f, 1] = (x, hit[4]) if swap else (hit[4], x)


@kernel
def _written(since, f, swap, first, end, out):  # type: ignore[no-untyped-def]
    """Whether one of the flips from ``since`` to f is a negation that stands in these bytes of the text, which is the original with ``swap``."""
    kinds, left, right, _ = out
    text = left if swap else right
    for g in range(since, min(f, len(kinds))):  # noqa: SIM110 (numba compiles no generators)
        if kinds[g] == NEGATION and text[g, 0] < end and first < text[g, 1]:
            return True
    return False


@kernel
def _denies(t, x, first, last, low, high, swap, ours, theirs, near, hit, since, f, out):  # type: ignore[no-untyped-def]
    """Whether a statement is turned round by the negator, the "still" or the "now" at term t; once, from whichever side it is seen first."""
    code = ours.cues[t]
    if code & 3 == cu.NO:
        return negation(t, x, ours, near, low, high, theirs, hit) and not _written(
            since, f, swap, ours.start[t], ours.start[t] + ours.size[t], out
        )
    if not code & (cu.STILL | cu.ALREADY) or not outdated(t, x, first, last, ours, near, theirs, hit):
        return False
    return not _written(since, f, not swap, theirs.start[hit[2]], theirs.start[hit[2]] + theirs.size[hit[2]], out)


@kernel
def _turned(t, x, near, ours, theirs, hit):  # type: ignore[no-untyped-def]
    """Kind of the flip, other than of negation, that the word at term t of sentence x is part of; -1 for none."""
    code = ours.cues[t]
    if field(code, cu.MODALITY) and graded(t, x, cu.MODALITY, ours, near, theirs, hit):
        return MODALITY
    for shift in (cu.QUANTITY, cu.COMPARISON):
        if field(code, shift) and graded(t, x, shift, ours, near, theirs, hit):
            return QUANTIFIER
    if field(code, cu.OPPOSITE) and opposite(t, x, ours, near, theirs, hit):
        return ANTONYM
    if field(code, cu.RELATION) and related(t, x, ours, near, theirs, hit):
        return ANTONYM
    return -1


@kernel
def _one_way(first, last, low, high, swap, ours, theirs, aligned, near, hit, since, f, out):  # type: ignore[no-untyped-def]
    """Look for flips from the sentences ``first:last`` of one text; negations both ways, the others from the rewrite alone.

    Invariant: all flips found from the sentences before x are written or counted, ``f`` is how many there are, those of this pair from
    ``since``.
    """
    nearest, share = aligned
    for x in range(first, last):
        for j in range(2):
            near[j] = nearest[x, j] if share[x, j] >= ALIKE else -1
        if near[0] < 0:
            continue
        if not swap and exchanged(x, ours, near, theirs, hit):
            _write(f, NEGATION, x, swap, hit, ours, theirs, out)
            f += 1
        for t in range(ours.sentences[x], ours.sentences[x + 1]):
            if ours.cues[t] == 0:
                continue
            if _denies(t, x, first, last, low, high, swap, ours, theirs, near, hit, since, f, out):
                _write(f, NEGATION, x, swap, hit, ours, theirs, out)
                f += 1
            kind = -1 if swap else _turned(t, x, near, ours, theirs, hit)
            if kind >= 0:
                _write(f, kind, x, swap, hit, ours, theirs, out)
                f += 1
    return f


@kernel
def _scan(a_offsets, a, b_offsets, b, a_aligned, b_aligned, near, hit, offsets, out):  # type: ignore[no-untyped-def]
    """Find the flips of all pairs; returns how many there are, of which as many are written as there is room for."""
    f = np.int64(0)
    offsets[0] = 0
    for d in range(len(a_offsets) - 1):
        i, j, k, m = a_offsets[d], a_offsets[d + 1], b_offsets[d], b_offsets[d + 1]
        since = f
        f = _one_way(k, m, i, j, _FROM_REWRITE, b, a, b_aligned, near, hit, since, f, out)
        f = _one_way(i, j, k, m, _FROM_ORIGINAL, a, b, a_aligned, near, hit, since, f, out)
        offsets[d + 1] = f
    return f


@pair_primitive
def flips(original: Batch, rewrite: Batch) -> Flips:
    """Statements that are turned round in each pair."""
    aligned = alignments(original, rewrite)
    texts = tm.terms(original).sentence_offsets, side(original), tm.terms(rewrite).sentence_offsets, side(rewrite)
    scratch = np.empty(2, np.int64), np.empty(5, np.int64)
    offsets = np.empty(len(original) + 1, np.int64)
    room = 64 + len(original)
    while True:
        kinds = np.empty(room, np.uint8)
        left, right, pair = (np.empty((room, 2), np.int64) for _ in range(3))
        out = kinds, left, right, pair
        n = int(_scan(*texts, tuple(aligned.original), tuple(aligned.rewrite), *scratch, offsets, out))
        if n <= room:
            return Flips(offsets, kinds[:n], left[:n], right[:n], pair[:n])
        room = n
