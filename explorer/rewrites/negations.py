"""What one text denies and the other says."""

from __future__ import annotations

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.folded import folded_hash
from explorer.primitives.swar import kernel
from explorer.rewrites import cues as cu
from explorer.rewrites.cues import field
from explorer.rewrites.statements import (
    NOWHERE,
    REACH,
    asks,
    clause,
    find,
    governed,
    is_word,
    negated_near,
    negators,
    next_governed,
    shared,
)

_NOT, _NEVER = (np.uint64(folded_hash(word)) for word in ("not", "never"))
_NEIGHBOURS = 3  # sentences on each side of one in which what it leaves out may be said


@kernel
def _denied_nearby(a, b, ours, y, low, high, theirs):  # type: ignore[no-untyped-def]
    """Whether a content word of the terms ``a:b`` stands near a negation in sentence y or in one of its neighbours among ``low:high``."""
    for k in range(a, b):
        if not is_word(k, ours):
            continue
        for s in range(max(low, y - _NEIGHBOURS), min(high, y + _NEIGHBOURS + 1)):
            m = find(ours.stems[k], s, theirs, NOWHERE)
            while m >= 0:
                if negated_near(m, s, theirs):
                    return True
                m = find(ours.stems[k], s, theirs, m)
    return False


@kernel
def _quantified(k, y, side):  # type: ignore[no-untyped-def]
    """Whether many, some, all, often or always stands before term k of sentence y."""
    for m in range(max(side.sentences[y], k - REACH), k):
        if field(side.cues[m], cu.QUANTITY) >= cu.SOME and not side.cues[m] & 3 and governed(m, side.sentences[y + 1], side) == k:
            return True
    return False


@kernel
def _corrected(s, side):  # type: ignore[no-untyped-def]
    """(content word that is denied, content word put in its place) of "not X but Y" in sentence s, -1 where it is not so built."""
    end = side.sentences[s + 1]
    for t in range(side.sentences[s], end):
        if side.cues[t] & 3 != cu.NO:
            continue
        for k in range(t + 2, end):
            if side.cues[k] & cu.CORRECTS:
                return governed(t, end, side), governed(k, end, side)
    return np.int64(-1), np.int64(-1)


@kernel
def exchanged(x, ours, near, theirs, hit):  # type: ignore[no-untyped-def]
    """Whether sentence x says "not A but B" and a near one "not B but A"."""
    a, b = _corrected(x, ours)
    if a < 0 or b < 0:
        return False
    for j in range(len(near)):
        if near[j] < 0:
            continue
        c, d = _corrected(near[j], theirs)
        if c >= 0 and d >= 0 and ours.stems[a] == theirs.stems[d] and ours.stems[b] == theirs.stems[c] and ours.stems[a] != ours.stems[b]:
            hit[0], hit[1], hit[2], hit[3], hit[4] = a, a + 1, c, c + 1, near[j]
            return True
    return False


@kernel
def _denies_twice(a, b, cues):  # type: ignore[no-untyped-def]
    """Whether a clause has two negations: "no way except the stairs" is "only by the stairs"."""
    n = 0
    for k in range(a, b):
        n += cues[k] & 3 != 0
    return n > 1


@kernel
def _without(t, x, ours, y, theirs):  # type: ignore[no-untyped-def]
    """Where sentence y has the words before and after the negator at term t side by side, without a negation near them; -1 where it has not."""
    if t <= ours.sentences[x] or t + 1 >= ours.sentences[x + 1] or (ours.flags[t - 1] | ours.flags[t + 1]) & tm.SIGN:
        return -1
    for k in range(theirs.sentences[y], theirs.sentences[y + 1] - 1):
        if theirs.stems[k] == ours.stems[t - 1] and theirs.stems[k + 1] == ours.stems[t + 1]:
            return -1 if negated_near(k, y, theirs) else k
    return -1


@kernel
def negation(t, x, ours, near, low, high, theirs, hit):  # type: ignore[no-untyped-def]
    """Whether what the negator at term t of sentence x says stands without negation in a near sentence; where, in ``hit``.

    The near sentence must have fewer negators than x and share the clause: half of its content words and two of them, or all; and no neighbour
    may deny what the clause says. What is governed must be there, or half of what follows the negator.
    """
    a, b = clause(t, x, ours)
    if asks(x, ours) or _denies_twice(a, b, ours.cues):
        return False
    for j in range(len(near)):
        k = _without(t, x, ours, near[j], theirs) if near[j] >= 0 else -1
        if k >= 0:
            hit[0], hit[1], hit[2], hit[3], hit[4] = t - 1, t + 2, k, k + 2, near[j]
            return True
    first = governed(t, ours.sentences[x + 1], ours)
    if first < 0:
        return False
    second = next_governed(first, ours.sentences[x + 1], ours)
    for j in range(len(near)):
        y = near[j]
        if y < 0 or negators(y, theirs) >= negators(x, ours) or asks(y, theirs):
            continue
        for g in (first, second):
            k = find(ours.stems[g], y, theirs, NOWHERE) if g >= 0 else -1
            if k >= 0 and _quantified(k, y, theirs):  # "no fish", "many fish"
                hit[0], hit[1], hit[2], hit[3], hit[4] = t, g + 1, k, k + 1, y
                return True
        n, there = shared(a, b, ours, y, theirs)
        if not (there == n or (there >= 2 and 2 * there >= n)) or _denied_nearby(a, b, ours, y, low, high, theirs):
            continue
        for g in (first, second):
            k = find(ours.stems[g], y, theirs, NOWHERE) if g >= 0 else -1
            if k >= 0:
                hit[0], hit[1], hit[2], hit[3], hit[4] = t, g + 1, k, k + 1, y
                return True
        n, there = shared(t, b, ours, y, theirs)
        if there < 2 or 2 * there < n:
            continue
        begin = end = -1
        for k in range(t, b):
            m = find(ours.stems[k], y, theirs, NOWHERE) if is_word(k, ours) else -1
            if m >= 0:
                begin = m if begin < 0 else min(begin, m)
                end = max(end, m + 1)
        hit[0], hit[1], hit[2], hit[3], hit[4] = t, b, begin, end, y
        return True
    return False


@kernel
def _put_off(t, a, b, side):  # type: ignore[no-untyped-def]
    """What contradicts the negator at term t of the clause ``a:b``: `STILL` after "no longer", `ALREADY` after "not yet" or "has not", else 0.

    "Has no doctor" is not "has not"; "not cheap yet good" is not "not yet", nor does "yet" stand before what it denies.
    """
    if t + 1 < b and side.cues[t + 1] & cu.LONGER:
        return cu.STILL
    perfect = t > a and side.cues[t - 1] & cu.PERFECT and (side.stems[t] == _NOT or side.stems[t] == _NEVER)
    yet = (t + 1 < b and side.cues[t + 1] & cu.YET) or (t + 1 < b and side.cues[b - 1] & cu.YET)
    return cu.ALREADY if perfect or yet or side.cues[t] & cu.PERFECT else 0


@kernel
def outdated(t, x, low, high, ours, near, theirs, hit):  # type: ignore[no-untyped-def]
    """Whether "still" or "now" at term t of sentence x, which denies nothing, stands against "no longer", "not yet" or "has not" of a near sentence.

    Two content words must be in both sentences, and the neighbours of x among ``low:high`` must not deny what the near one denies.
    """
    said = ours.cues[t] & (cu.STILL | cu.ALREADY)
    for k in range(ours.sentences[x], ours.sentences[x + 1]):
        if ours.cues[k] & 3:
            return False
    if asks(x, ours):
        return False
    for j in range(len(near)):
        y = near[j]
        if y < 0 or asks(y, theirs) or shared(ours.sentences[x], ours.sentences[x + 1], ours, y, theirs)[1] < 2:
            continue
        denied = -1
        for k in range(theirs.sentences[y], theirs.sentences[y + 1]):
            if theirs.cues[k] & said:  # "was not there then and is there now"
                denied = -1
                break
            if theirs.cues[k] & 3 != cu.NO:
                continue
            a, b = clause(k, y, theirs)
            if (
                _put_off(k, a, b, theirs) == said
                and not _denies_twice(a, b, theirs.cues)
                and not _denied_nearby(a, b, theirs, x, low, high, ours)
            ):
                denied = k
        if denied >= 0:
            _, b = clause(denied, y, theirs)
            hit[0], hit[1], hit[2], hit[3], hit[4] = t, t + 1, denied, b, y
            return True
    return False
