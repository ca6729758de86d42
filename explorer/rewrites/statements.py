"""What kernels that compare statements ask of a sentence: what a cue governs, where a word stands, whether it is denied, what two sentences share.

Every kernel here takes a text as one `Side`, sentences by their number and terms by theirs; -1 is "nowhere".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.swar import kernel
from explorer.rewrites import cues as cu
from explorer.rewrites import lexicon as lx
from explorer.rewrites.align import is_content
from explorer.rewrites.facts import NUMBER, facts

NOWHERE = np.int64(-1)
REACH = 5  # terms after a cue among which what it governs stands
_BEFORE, _AFTER = 7, 4  # terms around a word among which a negation is about it


class Side(NamedTuple):
    """A batch as these kernels read it, by term."""

    stems: np.ndarray  # uint64
    flags: np.ndarray  # uint16
    words: np.ndarray  # int64: codes of the lexicon
    size: np.ndarray  # int32
    cues: np.ndarray  # int64: codes of `cues`
    sentences: np.ndarray  # int64: first term of each sentence, and the end
    start: np.ndarray  # int64
    numbers: np.ndarray  # uint64: key of the number that begins at a term, 0 for none


@primitive
def side(batch: Batch) -> Side:
    """One text of each pair."""
    t, f = tm.terms(batch), facts(batch)
    numbers = np.zeros(len(t.start), np.uint64)
    of = (f.kind == NUMBER) & (f.bare != 0)
    numbers[f.first[of]] = f.bare[of]
    return Side(t.stem, t.flags, lx.codes(batch).code, t.size, cu.cues(batch), t.sentence_terms, t.start, numbers)


@kernel
def is_word(t, side):  # type: ignore[no-untyped-def]
    """Whether term t bears content and is no cue itself."""
    return is_content(side.flags[t], side.words[t], side.size[t]) and not side.cues[t] & cu.GRADES


@kernel
def governed(t, end, side):  # type: ignore[no-untyped-def]
    """The first content word that the cue at term t governs, -1 where there is none: before the clause ends."""
    for k in range(t + 1, min(end, t + 1 + REACH)):
        if side.flags[k] & tm.SIGN:
            break
        if is_word(k, side):
            return k
    return -1


@kernel
def next_governed(g, end, side):  # type: ignore[no-untyped-def]
    """The content word after g, with at most an article or "of" between them; -1 where there is none."""
    k = g + 1
    while k < end and k <= g + 2 and side.words[k] & (lx.ARTICLE | lx.PARTICLE | lx.DATING) and side.words[k] & lx.FUNCTION:
        k += 1
    # "the" is a function word and nothing else
    if k == g + 1 and k < end and side.words[k] & lx.FUNCTION and side.size[k] == 3 and not side.flags[k] & tm.SIGN:
        k += 1
    return k if k < end and not side.flags[k] & tm.SIGN and is_word(k, side) else -1


@kernel
def find(stem, s, side, after):  # type: ignore[no-untyped-def]
    """The first term after ``after`` in sentence s with a stem, -1 where there is none."""
    for t in range(max(side.sentences[s], after + 1), side.sentences[s + 1]):
        if side.stems[t] == stem and not side.flags[t] & tm.SIGN:
            return t
    return -1


@kernel
def negated_near(t, s, side):  # type: ignore[no-untyped-def]
    """Whether a negation, or what is almost one, stands near term t in sentence s."""
    for k in range(max(side.sentences[s], t - _BEFORE), min(side.sentences[s + 1], t + _AFTER + 1)):  # noqa: SIM110 (numba compiles no generators)
        if side.cues[k] & 3:
            return True
    return False


@kernel
def negators(s, side):  # type: ignore[no-untyped-def]
    """How many negators sentence s has."""
    n = 0
    for k in range(side.sentences[s], side.sentences[s + 1]):
        n += side.cues[k] & 3 == cu.NO
    return n


@kernel
def asks(s, side):  # type: ignore[no-untyped-def]
    """Whether sentence s is a question: what it denies nobody claims."""
    for k in range(max(side.sentences[s], side.sentences[s + 1] - 2), side.sentences[s + 1]):
        if side.cues[k] == cu.QUESTION and side.flags[k] & tm.SIGN:
            return True
    return False


@kernel
def shared(a, b, ours, s, theirs):  # type: ignore[no-untyped-def]
    """(content words among the terms ``a:b``, how many of them sentence s has)."""
    n = there = 0
    for k in range(a, b):
        if is_word(k, ours):
            n += 1
            there += find(ours.stems[k], s, theirs, NOWHERE) >= 0
    return n, there


@kernel
def clause(t, x, side):  # type: ignore[no-untyped-def]
    """Terms of the clause around term t: between punctuation marks and words that join clauses."""
    a = t
    while a > side.sentences[x] and not side.flags[a - 1] & tm.SIGN and not side.words[a - 1] & lx.AND:
        a -= 1
    b = t + 1
    while b < side.sentences[x + 1] and not side.flags[b] & tm.SIGN and not side.words[b] & lx.AND:
        b += 1
    return a, b
