"""Words of one text for which the other has their contrary: may and must, many and few, more and less, opposites, before and after."""

from __future__ import annotations

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.folded import folded_hash
from explorer.primitives.swar import kernel
from explorer.rewrites import cues as cu
from explorer.rewrites.cues import field
from explorer.rewrites.statements import governed, is_word

_WINDOW = 5  # terms around an opposite whose content must be shared
_THAN = np.uint64(folded_hash("than"))


@kernel
def _contrary(kind, one, other):  # type: ignore[no-untyped-def]
    """Whether two values of a field exclude each other: may and must, many and few, more and less."""
    return abs(one - other) >= 2 if kind == cu.QUANTITY else one != other


@kernel
def _object(t, shift, end, side):  # type: ignore[no-untyped-def]
    """What the cue at term t is about: the number after a comparison, else the first content word."""
    if shift == cu.COMPARISON:
        for k in range(t + 1, min(end, t + 4)):
            if side.numbers[k]:
                return k
        return -1
    return governed(t, end, side)


@kernel
def _beside(t, x, ours, k, y, theirs):  # type: ignore[no-untyped-def]
    """Whether the two words before, or the two after, term t of sentence x are those beside term k of sentence y."""
    for step in (-1, 1):
        if not (
            ours.sentences[x] <= t + 2 * step < ours.sentences[x + 1] and theirs.sentences[y] <= k + 2 * step < theirs.sentences[y + 1]
        ):
            continue
        signs = (ours.flags[t + step] | ours.flags[t + 2 * step]) & tm.SIGN
        if not signs and ours.stems[t + step] == theirs.stems[k + step] and ours.stems[t + 2 * step] == theirs.stems[k + 2 * step]:
            return True
    return False


@kernel
def graded(t, x, shift, ours, near, theirs, hit):  # type: ignore[no-untyped-def]
    """Whether a near sentence has a contrary cue of the kind at ``shift`` that governs the same word as the one at term t."""
    value = field(ours.cues[t], shift)
    g = _object(t, shift, ours.sentences[x + 1], ours)
    found = False
    for j in range(len(near)):
        y = near[j]
        if y < 0:
            continue
        for k in range(theirs.sentences[y], theirs.sentences[y + 1]):
            other = field(theirs.cues[k], shift)
            if not other:
                continue
            h = _object(k, shift, theirs.sentences[y + 1], theirs)
            if h >= 0 and g >= 0:
                same = theirs.numbers[h] == ours.numbers[g] if shift == cu.COMPARISON else theirs.stems[h] == ours.stems[g]
            else:
                same = False
            if not same and (shift == cu.COMPARISON or not _beside(t, x, ours, k, y, theirs)):
                continue
            if not _contrary(shift, value, other):
                return False
            if not found:
                hit[0], hit[1], hit[2], hit[3], hit[4] = t, max(g, t) + 1, k, max(h, k) + 1, y
                found = True
    return found


@kernel
def _sides(code, y_code):  # type: ignore[no-untyped-def]
    """1 where two words are opposites, 2 where they are on the same side of a pair, else 0."""
    for shift in (cu.OPPOSITE, cu.OPPOSITE_2):
        one = field(code, shift)
        if one == 0:
            continue
        for y_shift in (cu.OPPOSITE, cu.OPPOSITE_2):
            other = field(y_code, y_shift)
            if one == other:
                return 2
            if other and one >> 1 == other >> 1:
                return 1
    return 0


@kernel
def _no_before(t, low, cues):  # type: ignore[no-untyped-def]
    """Whether a negation, or what is almost one, stands before term t."""
    for k in range(max(low, t - 4), t):  # noqa: SIM110 (numba compiles no generators)
        if cues[k] & 3:
            return True
    return False


@kernel
def _than_after(t, end, side):  # type: ignore[no-untyped-def]
    """Whether "than" follows within three terms."""
    for k in range(t + 1, min(end, t + 4)):  # noqa: SIM110 (numba compiles no generators)
        if side.size[k] == 4 and side.stems[k] == _THAN:
            return True
    return False


@kernel
def _same_place(t, low, high, ours, k, y, theirs):  # type: ignore[no-untyped-def]
    """Whether the words around term t are those around term k: the next or the last content word, or two of those near.

    Of "larger than the foam" what is compared with must be the same: the foam larger than the mountain is the mountain smaller than the foam.
    """
    y_low, y_high = theirs.sentences[y], theirs.sentences[y + 1]
    g, h = governed(t, high, ours), governed(k, y_high, theirs)
    same_next = g >= 0 and h >= 0 and ours.stems[g] == theirs.stems[h]
    compares = _than_after(t, high, ours) or _than_after(k, y_high, theirs)
    if compares:
        return same_next
    shared = 0
    for i in range(max(low, t - _WINDOW), min(high, t + _WINDOW + 1)):
        if i != t and is_word(i, ours):
            for m in range(max(y_low, k - _WINDOW), min(y_high, k + _WINDOW + 1)):
                if m != k and theirs.stems[m] == ours.stems[i]:
                    shared += 1
                    break
    return shared >= 2 or (same_next and shared >= 1)


@kernel
def opposite(t, x, ours, near, theirs, hit):  # type: ignore[no-untyped-def]
    """Whether a near sentence says the opposite of the word at term t in the same surroundings."""
    low, high = ours.sentences[x], ours.sentences[x + 1]
    for k in range(low, high):
        if k != t and _sides(ours.cues[t], ours.cues[k]) == 1:  # both are said here: "from small to large"
            return False
    found = False
    for j in range(len(near)):
        y = near[j]
        if y < 0:
            continue
        for k in range(theirs.sentences[y], theirs.sentences[y + 1]):
            sides = _sides(ours.cues[t], theirs.cues[k])
            if sides == 2:
                return False
            if sides == 0 or found:
                continue
            if (_no_before(t, low, ours.cues) != _no_before(k, theirs.sentences[y], theirs.cues)) or not _same_place(
                t, low, high, ours, k, y, theirs
            ):
                continue
            hit[0], hit[1], hit[2], hit[3], hit[4] = t, t + 1, k, k + 1, y
            found = True
    return found


@kernel
def related(t, x, ours, near, theirs, hit):  # type: ignore[no-untyped-def]
    """Whether a near sentence has the contrary preposition before the same word: before for after, above for below."""
    value = field(ours.cues[t], cu.RELATION)
    g = governed(t, ours.sentences[x + 1], ours)
    if g < 0:
        return False
    found = False
    for j in range(len(near)):
        y = near[j]
        if y < 0:
            continue
        for k in range(theirs.sentences[y], theirs.sentences[y + 1]):
            other = field(theirs.cues[k], cu.RELATION)
            if other == 0 or other >> 1 != value >> 1:
                continue
            h = governed(k, theirs.sentences[y + 1], theirs)
            if h < 0 or theirs.stems[h] != ours.stems[g]:
                continue
            if other == value:
                return False
            hit[0], hit[1], hit[2], hit[3], hit[4] = t, g + 1, k, h + 1, y
            found = True
    return found
