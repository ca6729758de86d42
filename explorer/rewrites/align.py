"""Which sentences of two texts tell the same: for each sentence of one the two of the other that share most of its content words.

A word counts for less the more sentences of the other text have it. Order plays no part: a rewrite may tell things in another order, split a
sentence or join two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch, pair_primitive
from explorer.primitives.swar import kernel
from explorer.rewrites import lexicon as lx

ALIKE = np.float32(0.25)  # of a sentence's content that another must have to tell the same
NEAREST = 2  # sentences that are found for each
_NEAR = 256  # terms back that a word is looked for
_COMMONEST = 32  # sentences: a word in more of them tells nothing
_CONTENT = tm.WORD | tm.NUMBER | tm.UNSPACED


class Alignment(NamedTuple):
    """For each sentence of one text the nearest of the other, best first.

    Attributes:
        sentence: int64 [sentences, 2], numbers of the other batch's sentences, -1 where nothing is shared.
        share: float32 [sentences, 2], weight of the content words found there among that of all, 0-1.
    """

    sentence: np.ndarray
    share: np.ndarray


class Alignments(NamedTuple):
    """``rewrite``: for each sentence of the rewrite those of the original; ``original``: the other way."""

    original: Alignment
    rewrite: Alignment


class _Text(NamedTuple):
    """The terms of a batch as these kernels read them."""

    stems: np.ndarray
    flags: np.ndarray
    codes: np.ndarray  # of the lexicon
    size: np.ndarray
    sentences: np.ndarray  # first term of each, and the end


@kernel
def is_content(flags, code, size):  # type: ignore[no-untyped-def]
    """Whether a term bears content: no sign, no function word, no single letter."""
    return flags & _CONTENT != 0 and code & lx.FUNCTION == 0 and (size > 1 or flags & tm.WORD == 0)


@kernel
def slots_for(entries):  # type: ignore[no-untyped-def]
    """Slots of an open-addressing table that stays at most half full: a power of two."""
    slots = 16
    while slots < 2 * entries + 2:
        slots *= 2
    return slots


@kernel
def place(keys, stamps, stamp, key):  # type: ignore[no-untyped-def]
    """Slot of a key in a table whose entries count only under this stamp, or of the free one where it belongs."""
    mask = len(keys) - 1
    slot = np.int64(key & np.uint64(mask))
    while stamps[slot] == stamp and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def _index(first, last, text, index):  # type: ignore[no-untyped-def]
    """Note for each content word of the sentences ``first:last`` which of them have it, as a chain from ``heads``."""
    keys, stamps, stamp, heads, counts, chain, owner = index
    n = 0
    for s in range(first, last):
        for t in range(text.sentences[s], text.sentences[s + 1]):
            if not is_content(text.flags[t], text.codes[t], text.size[t]):
                continue
            slot = place(keys, stamps, stamp, text.stems[t])
            if stamps[slot] != stamp:
                stamps[slot], keys[slot], heads[slot], counts[slot] = stamp, text.stems[t], -1, 0
            if heads[slot] >= 0 and owner[heads[slot]] == s:
                continue
            chain[n], owner[n] = heads[slot], s
            heads[slot] = n
            counts[slot] += 1
            n += 1


@kernel
def _nearest(s, base, text, index, seen, scores, touched, sentence, share):  # type: ignore[no-untyped-def]
    """Find the nearest sentences of sentence s.

    Invariant: ``scores`` is zero but for the sentences in ``touched``, and zero everywhere afterwards.
    """
    keys, stamps, stamp, heads, counts, chain, owner = index
    total = np.float32(0)
    n = 0
    for t in range(text.sentences[s], text.sentences[s + 1]):
        if not is_content(text.flags[t], text.codes[t], text.size[t]):
            continue
        slot = place(keys, stamps, stamp, text.stems[t])
        if stamps[slot] != stamp:  # not in the other text; said again a little later it counts once, as a word of both does
            again = False
            for b in range(max(text.sentences[s], t - _NEAR), t):
                again = again or text.stems[b] == text.stems[t]
            total += np.float32(0 if again else 1)
            continue
        if seen[slot] == s or counts[slot] > _COMMONEST:
            continue
        seen[slot] = s
        weight = np.float32(1) / np.float32(counts[slot])
        total += weight
        k = heads[slot]
        while k >= 0:
            other = owner[k] - base
            if scores[other] == 0:
                touched[n] = other
                n += 1
            scores[other] += weight
            k = chain[k]
    sentence[s, 0] = sentence[s, 1] = -1
    share[s, 0] = share[s, 1] = np.float32(0)
    for k in range(n):
        other, value = base + touched[k], scores[touched[k]] / total
        # of equals the first in the text
        if value > share[s, 0] or (value == share[s, 0] and other < sentence[s, 0]):
            sentence[s, 1], share[s, 1] = sentence[s, 0], share[s, 0]
            sentence[s, 0], share[s, 0] = other, value
        elif value > share[s, 1] or (value == share[s, 1] and other < sentence[s, 1]):
            sentence[s, 1], share[s, 1] = other, value
        scores[touched[k]] = 0


@kernel
def _align(offsets, text, other_offsets, other, table, lists, scores, touched, sentence, share):  # type: ignore[no-untyped-def]
    keys, stamps, heads, counts, seen = table
    for d in range(len(offsets) - 1):
        base, end = other_offsets[d], other_offsets[d + 1]
        # of the common table as much as this pair needs: what is small stays in the processor's cache
        n = slots_for(other.sentences[end] - other.sentences[base])
        index = (keys[:n], stamps[:n], d + 1, heads[:n], counts[:n], lists[0], lists[1])
        _index(base, end, other, index)
        for s in range(offsets[d], offsets[d + 1]):
            _nearest(s, base, text, index, seen, scores, touched, sentence, share)


def _one_way(batch: Batch, other: Batch) -> Alignment:
    ours, theirs = tm.terms(batch), tm.terms(other)
    texts = [_Text(t.stem, t.flags, lx.codes(b).code, t.size, t.sentence_terms) for b, t in ((batch, ours), (other, theirs))]
    longest = int(np.diff(theirs.offsets).max(initial=0))
    sentences = int(np.diff(theirs.sentence_offsets).max(initial=0))
    slots = int(slots_for(longest))
    table = np.empty(slots, np.uint64), *(np.full(slots, value, np.int64) for value in (0, 0, 0, -1))
    lists = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    count = len(ours.sentence_terms) - 1
    sentence, share = np.empty((count, NEAREST), np.int64), np.empty((count, NEAREST), np.float32)
    scores, touched = np.zeros(sentences + 1, np.float32), np.empty(sentences + 1, np.int64)
    _align(ours.sentence_offsets, texts[0], theirs.sentence_offsets, texts[1], table, lists, scores, touched, sentence, share)
    return Alignment(sentence, share)


@pair_primitive
def alignments(original: Batch, rewrite: Batch) -> Alignments:
    """The nearest sentences of each sentence, both ways."""
    return Alignments(_one_way(original, rewrite), _one_way(rewrite, original))
