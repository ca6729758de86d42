"""Which facts of an original its rewrite keeps, loses, changes, and which it adds.

A fact is kept where its value stands anywhere in the other text, however written and whatever around it: a year inside a date, a surname
without its first name, a number in words. What is not kept is *lost*, what the original does not have is *added*; a lost and an added fact of one
kind that play the same role (the same words or unit around them, or sentences that tell the same) are together one *changed* fact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch, pair_primitive
from explorer.primitives.swar import kernel
from explorer.rewrites import facts as fa
from explorer.rewrites import lexicon as lx
from explorer.rewrites.align import alignments, is_content, slots_for
from explorer.rewrites.stands import ANY_PART, EVERY_PART, Stated, Text, add_bare, add_facts, add_threes, add_words, stands

# Verdicts on a fact. A repeated or faint one is not counted unless it is half of a changed one.
UNCOUNTED, KEPT, GONE, CHANGED = range(4)

_MOST = 64  # facts of a kind on a side that are paired as changed; beyond them they stay lost and added
_FEW = 256  # facts of a text up to which mentions are counted
_NEAR = 6  # terms on each side among which context is looked for
_CONTEXT = 8  # content words of a context, at most
_KEYS_OF_WORD, _KEYS_OF_FACT, _KEYS_OF_PART = 6, 8, 3  # entries that one makes in its text's set, at most
_FAINT, _REPEATED, _UNIT, _WHOLE = fa.FAINT, fa.REPEATED, fa.UNIT, fa.WHOLE


class Compared(NamedTuple):
    """A verdict on each fact of both texts, and of a changed one the number of its counterpart (-1 for none).

    Attributes:
        original: uint8 [facts of the originals]; GONE is lost.
        rewrite: uint8 [facts of the rewrites]; GONE is added.
        original_partner, rewrite_partner: int64.
    """

    original: np.ndarray
    rewrite: np.ndarray
    original_partner: np.ndarray
    rewrite_partner: np.ndarray


@kernel
def _judge(a, b, facts, text, whole, table, stamp, verdicts, partners):  # type: ignore[no-untyped-def]
    """Write whether each of the facts ``a:b`` stands in the other text. A faint one that does not is GONE for now, too."""
    for f in range(a, b):
        partners[f] = -1
        if facts.flags[f] & _REPEATED:
            verdicts[f] = UNCOUNTED
        else:
            verdicts[f] = KEPT if stands(f, facts, text, whole, table, stamp) else GONE


@kernel
def sentence_of(sentences, low, high, t):  # type: ignore[no-untyped-def]
    """Number of the sentence among ``low:high`` that term t stands in; ``sentences`` are their first terms."""
    while high - low > 1:
        middle = (low + high) // 2
        if sentences[middle] <= t:
            low = middle
        else:
            high = middle
    return low


@kernel
def _context(first, last, low, high, text, out):  # type: ignore[no-untyped-def]
    """Write the stems of the content words near the terms ``first:last``, inside ``low:high``, nearest first; returns how many."""
    n = 0
    for step in range(1, _NEAR + 1):
        for t in (first - step, last - 1 + step):
            if low <= t < high and n < _CONTEXT and is_content(text.flags[t], text.codes[t], text.size[t]):
                out[n] = text.stems[t]
                n += 1
    return n


@kernel
def _surplus(f, a, b, key, c, d, other_key):  # type: ignore[no-untyped-def]
    """Whether a fact of ``a:b`` is said more often in its text than in the other, whose facts are ``c:d``."""
    more = 0
    for k in range(a, b):
        more += key[k] == key[f]
    for k in range(c, d):
        more -= other_key[k] == key[f]
    return more > 0


@kernel
def _gather(a, b, c, d, sort, facts, other_key, verdicts, low, high, text, out):  # type: ignore[no-untyped-def]
    """Collect the facts of a kind that are gone or said too often, with their sentences and contexts; returns how many."""
    chosen, sentences, contexts, counts = out
    n = 0
    for f in range(a, b):
        if facts.kind[f] != sort or n == _MOST:
            continue
        again = facts.flags[f] & _REPEATED and b - a <= _FEW and _surplus(f, a, b, facts.key, c, d, other_key)
        if verdicts[f] == GONE or again:
            s = sentence_of(text.sentences, low, high, facts.first[f])
            chosen[n], sentences[n] = f, s
            counts[n] = _context(facts.first[f], facts.last[f], text.sentences[s], text.sentences[s + 1], text, contexts[n])
            n += 1
    return n


@kernel
def _likeness(f, g, one, n_one, other, n_other, ours, theirs, aligned):  # type: ignore[no-untyped-def]
    """How much two facts play the same role; 0 where they do not.

    One point for their sentences telling the same, two for each content word they have near them in common, two for the same unit,
    two for the same number with another unit. Where one is faint four points are needed, where one is merely said too often five. Of two such
    facts none is wrong, but "a kilometre" for "a metre" is.
    """
    kind, flags_a, flags_b = ours.kind[f], ours.flags[f], theirs.flags[g]
    either, same_value = flags_a | flags_b, ours.bare[f] == theirs.bare[g]
    units = kind == fa.NUMBER and flags_a & flags_b & _UNIT != 0
    unsure = flags_a & (_FAINT | _REPEATED) and flags_b & (_FAINT | _REPEATED)
    if unsure and not (units and same_value and ours.unit[f] != theirs.unit[g]):
        return 0
    if (flags_a ^ flags_b) & fa.WORDED or (kind == fa.DATE and (flags_a ^ flags_b) & _WHOLE):
        return 0
    shared = 0
    for i in range(n_one):
        for j in range(n_other):
            if one[i] == other[j]:
                shared += 1
                break
    points = (1 if aligned else 0) + 2 * shared
    if units and ours.unit[f] == theirs.unit[g]:
        points += 2
    if kind == fa.NUMBER and same_value:
        points += 2
    needed = 5 if either & _REPEATED else (4 if either & _FAINT else 1)
    return points if points >= needed else 0


@kernel
def _pair(sort, ours, theirs, nearest, scratch, points):  # type: ignore[no-untyped-def]
    """Pair lost and added facts of a kind, the most alike first, then the nearest in their texts, then in reading order.

    Invariant: a fact that is paired has no points left, so each is in one pair at most.
    """
    a, b, low_a, high_a, facts_a, text_a, verdicts_a, partners_a = ours
    c, d, low_b, high_b, facts_b, text_b, verdicts_b, partners_b = theirs
    out_a, out_b = scratch
    n = _gather(a, b, c, d, sort, facts_a, facts_b.key, verdicts_a, low_a, high_a, text_a, out_a)
    m = _gather(c, d, a, b, sort, facts_b, facts_a.key, verdicts_b, low_b, high_b, text_b, out_b) if n else 0
    if m == 0:
        return
    chosen_a, sentences_a, contexts_a, counts_a = out_a
    chosen_b, sentences_b, contexts_b, counts_b = out_b
    first_a, first_b = text_a.sentences[low_a], text_b.sentences[low_b]
    span_a, span_b = max(text_a.sentences[high_a] - first_a, 1), max(text_b.sentences[high_b] - first_b, 1)
    for i in range(n):
        f = chosen_a[i]
        for j in range(m):
            g, s = chosen_b[j], sentences_b[j]
            aligned = nearest[s, 0] == sentences_a[i] or nearest[s, 1] == sentences_a[i]
            like = _likeness(f, g, contexts_a[i], counts_a[i], contexts_b[j], counts_b[j], facts_a, facts_b, aligned)
            # the nearer, the more: less than a point for all of it
            apart = abs((facts_a.first[f] - first_a) / span_a - (facts_b.first[g] - first_b) / span_b)
            points[i, j] = 1000 * like + 999 - int(999 * apart) if like else 0
    while True:
        best, x, y = np.int64(0), 0, 0
        for i in range(n):
            for j in range(m):
                if points[i, j] > best:
                    best, x, y = points[i, j], i, j
        if best == 0:
            return
        f, g = chosen_a[x], chosen_b[y]
        verdicts_a[f] = verdicts_b[g] = CHANGED
        partners_a[f], partners_b[g] = g, f
        for j in range(m):
            points[x, j] = 0
        for i in range(n):
            points[i, y] = 0


@kernel
def _fill(data, first, end, a, b, text, facts, lexicon, folding, salt, table, stamp):  # type: ignore[no-untyped-def]
    """Put what a text states into its set; returns whether it quotes anything."""
    add_words(data, first, end, text, lexicon, folding, salt, table, stamp)
    add_facts(a, b, facts, table, stamp)
    quotes = False
    for f in range(a, b):
        quotes = quotes or facts.kind[f] == fa.QUOTE
    return quotes


@kernel
def _forget_faint(a, b, facts, verdicts):  # type: ignore[no-untyped-def]
    """A faint fact that stands for nothing in the other text is not counted."""
    for f in range(a, b):
        if facts.flags[f] & _FAINT and verdicts[f] != CHANGED:
            verdicts[f] = UNCOUNTED


@kernel
def _entries(first, end, facts, text):  # type: ignore[no-untyped-def]
    """Entries that the terms ``first:end`` and this many facts make in their text's set, at most."""
    entries = _KEYS_OF_WORD * (end - first) + _KEYS_OF_FACT * facts
    for t in range(first, end):
        if text.flags[t] & tm.HYPHEN:
            entries += _KEYS_OF_PART * (text.size[t] // 2 + 1)
    return entries


@kernel
def _most_slots(term_offsets, fact_offsets, text):  # type: ignore[no-untyped-def]
    """Slots for the largest set of a batch."""
    most = 0
    for d in range(len(term_offsets) - 1):
        most = max(most, _entries(term_offsets[d], term_offsets[d + 1], fact_offsets[d + 1] - fact_offsets[d], text))
    return slots_for(most)


@kernel
def _compare(ours, theirs, lexicon, folding, nearest, scratch, points):  # type: ignore[no-untyped-def]
    """Judge the facts of all pairs: whether each stands in the other text, then which lost and added ones are one changed fact."""
    data_a, terms_a, sentences_a, offsets_a, languages_a, text_a, facts_a, keys_a, stamps_a, verdicts_a, partners_a = ours
    data_b, terms_b, sentences_b, offsets_b, languages_b, text_b, facts_b, keys_b, stamps_b, verdicts_b, partners_b = theirs
    for p in range(len(terms_a) - 1):
        a, b, c, d = offsets_a[p], offsets_a[p + 1], offsets_b[p], offsets_b[p + 1]
        if a == b and c == d:
            continue
        stamp = p + 1
        i, j, k, m = terms_a[p], terms_a[p + 1], terms_b[p], terms_b[p + 1]
        # of the common table as much as this pair needs: what is small stays in the processor's cache
        slots_a, slots_b = slots_for(_entries(i, j, b - a, text_a)), slots_for(_entries(k, m, d - c, text_b))
        set_a, set_b = (keys_a[:slots_a], stamps_a[:slots_a]), (keys_b[:slots_b], stamps_b[:slots_b])
        quotes = _fill(data_a, i, j, a, b, text_a, facts_a, lexicon, folding, lx.language_salt(languages_a[p]), set_a, stamp)
        quotes |= _fill(data_b, k, m, c, d, text_b, facts_b, lexicon, folding, lx.language_salt(languages_b[p]), set_b, stamp)
        add_bare(a, b, facts_a, set_a, set_b, stamp)
        add_bare(c, d, facts_b, set_b, set_a, stamp)
        if quotes:
            add_threes(i, j, text_a, set_a, stamp)
            add_threes(k, m, text_b, set_b, stamp)
        _judge(a, b, facts_a, text_a, ANY_PART, set_b, stamp, verdicts_a, partners_a)
        _judge(c, d, facts_b, text_b, EVERY_PART, set_a, stamp, verdicts_b, partners_b)
        for sort in range(fa.QUOTE + 1):
            _pair(
                sort,
                (a, b, sentences_a[p], sentences_a[p + 1], facts_a, text_a, verdicts_a, partners_a),
                (c, d, sentences_b[p], sentences_b[p + 1], facts_b, text_b, verdicts_b, partners_b),
                nearest, scratch, points,
            )  # fmt: skip
        _forget_faint(a, b, facts_a, verdicts_a)
        _forget_faint(c, d, facts_b, verdicts_b)


def _side(batch: Batch) -> tuple[object, ...]:
    """One text of each pair, an empty set for what it states, and room for the verdicts."""
    t, f, codes = tm.terms(batch), fa.facts(batch), lx.codes(batch)
    text = Text(t.start, t.size, t.hash, t.stem, t.flags, codes.code, t.sentence_terms)
    stated = Stated(
        f.kind, f.flags, f.first, f.last, f.key, f.value, f.bare, f.second, f.mantissa, f.exponent, f.unit, f.part_offsets, f.parts
    )  # fmt: skip
    slots = int(_most_slots(t.offsets, f.offsets, text))
    keys, stamps = np.empty(slots, np.uint64), np.zeros(slots, np.int64)
    verdicts, partners = np.empty(len(f.kind), np.uint8), np.empty(len(f.kind), np.int64)
    return (
        tm.frozen(batch.data)[0],
        t.offsets,
        t.sentence_offsets,
        f.offsets,
        codes.language,
        text,
        stated,
        keys,
        stamps,
        verdicts,
        partners,
    )


@pair_primitive
def compared(original: Batch, rewrite: Batch) -> Compared:
    """Verdicts on the facts of all pairs."""
    ours, theirs = _side(original), _side(rewrite)
    scratch = tuple(
        (np.empty(_MOST, np.int64), np.empty(_MOST, np.int64), np.empty((_MOST, _CONTEXT), np.uint64), np.empty(_MOST, np.int64))
        for _ in range(2)
    )
    nearest = alignments(original, rewrite).rewrite.sentence
    _compare(ours, theirs, tuple(lx.lexicon()), fa.folding(), nearest, scratch, np.empty((_MOST, _MOST), np.int64))
    (*_, verdicts_a, partners_a), (*_, verdicts_b, partners_b) = ours, theirs
    return Compared(verdicts_a, verdicts_b, partners_a, partners_b)  # type: ignore[arg-type]
