"""Facts that stand in another's place: what the original says of one number, date or name the rewrite says of another that both texts know.

A fact's *place* is told by its neighbours: the nearest content word before and after it in its clause, with the little words between. A list
("Ann, Bob and Carl won") has one place for all its members. A fact of the rewrite is exchanged where sentences that tell the same have another
fact of its kind in that place, and neither of the two stands there in both texts. So "20 sacks and 30 bags" is not "30 sacks and 20 bags",
and "Bob was not paid" is not "Ann did not get a penny", while "Ann invaded Bob" may be "Bob was invaded by Ann".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch, pair_primitive, primitive
from explorer.primitives.folded import folded_hash
from explorer.primitives.swar import hash_step, kernel
from explorer.rewrites import compare as cp
from explorer.rewrites import cues as cu
from explorer.rewrites import facts as fa
from explorer.rewrites import lexicon as lx
from explorer.rewrites.align import ALIKE, alignments, is_content
from explorer.rewrites.stands import Stated

_REACH = 4  # terms beside a fact among which its neighbour stands
_MOST = 256  # facts of a text up to which they are compared
_BEFORE, _AFTER, _DENIED = 0, 1, 2
_THE, _THIS, _THAT = (np.uint64(folded_hash(word)) for word in ("the", "this", "that"))
_NONE = np.uint64(0)


class Exchanges(NamedTuple):
    """Facts in another's place: pair d has ``offsets[d]:offsets[d + 1]``.

    Attributes:
        looked: bool [n], whether the pair was looked at: not where a text has more than 256 facts.
        offsets: int64 [n + 1].
        kind: uint8, as of `Facts`.
        original, rewrite: int64, number of the fact in each text's `Facts`.
    """

    looked: np.ndarray
    offsets: np.ndarray
    kind: np.ndarray
    original: np.ndarray
    rewrite: np.ndarray


class Places(NamedTuple):
    """Where each fact of a batch stands.

    Attributes:
        word: uint64 [facts, 2], stem of the content word before and after it, 0 for none.
        between: uint64 [facts, 2], hash of the words between, articles left out.
        denied: bool [facts], whether the verb that follows is negated.
        sentence: int64 [facts].
    """

    word: np.ndarray
    between: np.ndarray
    denied: np.ndarray
    sentence: np.ndarray


@kernel
def _joins(t, kind, data, start, flags, codes):  # type: ignore[no-untyped-def]
    """Whether term t joins members of a list: a comma, a dash, "&", "and", "or", an article; between numbers "to", too."""
    if flags[t] & tm.SIGN:
        return data[start[t]] == 44 or data[start[t]] == 45 or data[start[t]] == 38
    return codes[t] & (lx.AND | lx.ARTICLE | (0 if kind == fa.NAME else lx.TO)) != 0


@kernel
def _next_member(f, b, end, facts, data, start, flags, codes, hashes):  # type: ignore[no-untyped-def]
    """The fact before b of the same kind that follows fact f in a list; f where there is none."""
    kind, first, last = facts
    t = last[f]
    joined = False
    while t != end and (_joins(t, kind[f], data, start, flags, codes) or hashes[t] == _THE):
        joined = joined or hashes[t] != _THE
        t += 1
    if not joined:
        return f
    for g in range(f + 1, b):
        if first[g] > t:
            return f
        if first[g] == t and kind[g] == kind[f]:
            return g
    return f


@kernel
def _neighbour(t, step, end, kind, size, hashes, stems, flags, codes, cues):  # type: ignore[no-untyped-def]
    """(stem of the first content word from term t on, hash of the words before it, whether a negation is among them).

    A capitalised word right beside a name belongs to it: "St Mary's Hospital".
    """
    between, denied = _NONE, False
    for step_ in range(_REACH):
        if t == end or flags[t] & tm.SIGN:
            break
        if is_content(flags[t], codes[t], size[t]):
            if step_ == 0 and kind == fa.NAME and flags[t] & tm.CAPITAL:
                break
            return stems[t], between, denied
        denied = denied or cues[t] & 3 == cu.NO
        if not codes[t] & lx.ARTICLE and hashes[t] != _THE and hashes[t] != _THIS and hashes[t] != _THAT:
            between = hash_step(between, hashes[t])
        t += step
    return _NONE, between, denied


@kernel
def _place(data, fact_offsets, sentence_offsets, sentences, facts, terms, codes, cues, ends, places):  # type: ignore[no-untyped-def]
    kind, first, last = facts
    start, size, hashes, stems, flags = terms
    word, between, denied, sentence = places
    heads, tails = ends  # of the list that each fact stands in
    for d in range(len(fact_offsets) - 1):
        a, b = fact_offsets[d], fact_offsets[d + 1]
        s = sentence_offsets[d]
        for f in range(a, b):
            heads[f] = f
        for f in range(a, b):
            while s + 1 < sentence_offsets[d + 1] and sentences[s + 1] <= first[f]:
                s += 1
            sentence[f] = s
            tails[f] = _next_member(f, b, sentences[s + 1], facts, data, start, flags, codes, hashes)
            heads[tails[f]] = heads[f]
        for f in range(b - 1, a - 1, -1):
            tails[f] = tails[tails[f]]
            begin, end = sentences[sentence[f]] - 1, sentences[sentence[f] + 1]
            word[f, _BEFORE], between[f, _BEFORE], _ = _neighbour(
                first[heads[f]] - 1, -1, begin, kind[f], size, hashes, stems, flags, codes, cues
            )
            word[f, _AFTER], between[f, _AFTER], denied[f] = _neighbour(
                last[tails[f]], 1, end, kind[f], size, hashes, stems, flags, codes, cues
            )


@primitive
def places(batch: Batch) -> Places:
    """Where each fact of a batch stands."""
    t, f, codes = tm.terms(batch), fa.facts(batch), lx.codes(batch)
    n = len(f.kind)
    found = Places(np.empty((n, 2), np.uint64), np.empty((n, 2), np.uint64), np.empty(n, bool), np.empty(n, np.int64))
    _place(
        tm.frozen(batch.data)[0], f.offsets, t.sentence_offsets, t.sentence_terms, (f.kind, f.first, f.last),
        (t.start, t.size, t.hash, t.stem, t.flags), codes.code, cu.cues(batch), (np.empty(n, np.int64), np.empty(n, np.int64)), tuple(found),
    )  # fmt: skip
    return found


@kernel
def _share_part(f, ours, g, theirs):  # type: ignore[no-untyped-def]
    """Whether two names have a word, or its root, in common."""
    for i in range(ours.part_offsets[f], ours.part_offsets[f + 1]):
        for j in range(theirs.part_offsets[g], theirs.part_offsets[g + 1]):
            if ours.parts[i] == theirs.parts[j]:
                return True
    return False


@kernel
def _same(f, ours, g, theirs):  # type: ignore[no-untyped-def]
    """Whether two facts of a kind may be the same value."""
    if ours.key[f] == theirs.key[g] or (ours.value[f] != 0 and ours.value[f] == theirs.value[g]):
        return True
    kind, flags = ours.kind[f], ours.flags[f] & theirs.flags[g]
    if kind == fa.NAME:
        return _share_part(f, ours, g, theirs)
    if kind == fa.DATE and flags & fa.WHOLE:
        one, other = ours.exponent[f], theirs.exponent[g]
        years = ours.mantissa[f] and theirs.mantissa[g] and ours.mantissa[f] != theirs.mantissa[g]
        months = one >> 5 and other >> 5 and one >> 5 != other >> 5
        days = one & 31 and other & 31 and one & 31 != other & 31
        return not (years or months or days)
    if ours.bare[f] != 0 and (ours.bare[f] == theirs.bare[g] or ours.bare[f] == theirs.second[g]):
        return True
    second = ours.second[f]
    return second != 0 and (second == theirs.bare[g] or second == theirs.key[g])


@kernel
def _like(f, ours, g, theirs):  # type: ignore[no-untyped-def]
    """Whether two facts can stand in one place: of one kind, both with a unit or neither, no faint number."""
    if ours.kind[f] != theirs.kind[g]:
        return False
    one, other = ours.flags[f], theirs.flags[g]
    if ours.kind[f] == fa.NAME:
        return True
    if (one | other) & fa.FAINT:
        return False
    if ours.kind[f] == fa.DATE:
        return (one ^ other) & fa.WHOLE == 0
    return (one ^ other) & (fa.UNIT | fa.WORDED) == 0 and (not one & fa.UNIT or ours.unit[f] == theirs.unit[g])


@kernel
def _alike(f, our_places, g, their_places):  # type: ignore[no-untyped-def]
    """How many neighbours two places have in common whatever is between; a negation counts as one."""
    word, _, denied, _ = our_places
    other_word, _, other_denied, _ = their_places
    n = 1 if denied[f] and other_denied[g] else 0
    for side in (_BEFORE, _AFTER):
        n += word[f, side] != 0 and word[f, side] == other_word[g, side]
    return n


@kernel
def _place_of(f, our_places, g, their_places):  # type: ignore[no-untyped-def]
    """In which way two facts stand in one place: `_BEFORE` or `_AFTER` the same word with the same words between, `_DENIED` both, or -1."""
    word, between, denied, _ = our_places
    other_word, other_between, other_denied, _ = their_places
    place = _DENIED if denied[f] and other_denied[g] else -1
    for side in (_AFTER, _BEFORE):
        if word[f, side] != 0 and word[f, side] == other_word[g, side]:
            if between[f, side] != other_between[g, side]:  # "engineers at", "engineers in"
                return -1
            place = side
    return place


@kernel
def _shortened(f, place, ours, our_places, a, b, g, theirs):  # type: ignore[no-untyped-def]
    """Whether leaving fact f out, or turning its word round, brings its sentence's mention of fact g into its place.

    "The U.S. state of Maine", "Maine"; "the Tuscany region of Italy", "the region of Tuscany in Italy". A number without a word of its own may
    count what another does: "12 types against three in us", "we have three types".
    """
    for h in range(a, b):
        if h == f or our_places[3][h] != our_places[3][f] or ours.kind[h] != ours.kind[f] or not _same(h, ours, g, theirs):
            continue
        if (h > f if place == _BEFORE else h < f) or our_places[0][h, 1 - place] == our_places[0][f, place]:
            return True
        if place == _AFTER and ours.kind[f] == fa.NUMBER and (not our_places[0][h, _AFTER] or our_places[1][h, _AFTER]):
            return True
    return False


@kernel
def _told(f, ours, our_places, a, b, g, c, d, theirs, their_places):  # type: ignore[no-untyped-def]
    """Whether the place that fact g has in the original is told of: of fact f, so that the two change places, or of g once more."""
    for h in range(a, b):
        if ours.kind[h] != ours.kind[f] or not _same(h, ours, g, theirs):
            continue
        for k in range(c, d):
            if k == g or theirs.kind[k] != ours.kind[f] or _place_of(h, our_places, k, their_places) < 0:
                continue
            if _same(f, ours, k, theirs) or _same(h, ours, k, theirs):
                return True
    return False


@kernel
def _held(f, ours, our_places, near, a, b, theirs, their_places):  # type: ignore[no-untyped-def]
    """How alike the place of fact f and that of the same one among ``a:b`` are, at best, in the sentences ``near``."""
    best = 0
    for g in range(a, b):
        s = their_places[3][g]
        if (s == near[0] or s == near[1]) and ours.kind[f] == theirs.kind[g] and _same(f, ours, g, theirs):
            best = max(best, _alike(f, our_places, g, their_places))
    return best


@kernel
def _known(f, ours, a, b, theirs):  # type: ignore[no-untyped-def]
    """Whether a fact stands anywhere among the facts ``a:b``, and not only as a capital that begins a sentence."""
    for g in range(a, b):  # noqa: SIM110 (numba compiles no generators)
        if ours.kind[f] == theirs.kind[g] and not theirs.flags[g] & fa.FAINT and _same(f, ours, g, theirs):
            return True
    return False


@kernel
def _one_person(f, ours, g, theirs, a, b, c, d):  # type: ignore[no-untyped-def]
    """Whether two names are parts of one that stands in either text: "Barack" and "Obama"."""
    if ours.kind[f] != fa.NAME:
        return False
    for h in range(a, b):
        if ours.kind[h] == fa.NAME and _share_part(f, ours, h, ours) and _share_part(h, ours, g, theirs):
            return True
    for h in range(c, d):  # noqa: SIM110 (numba compiles no generators)
        if theirs.kind[h] == fa.NAME and _share_part(f, ours, h, theirs) and _share_part(h, theirs, g, theirs):
            return True
    return False


@kernel
def _scan(one, other, looked, offsets, out):  # type: ignore[no-untyped-def]
    """Find the exchanged facts of all pairs; returns how many there are. No fact is in two of them."""
    a_offsets, ours, our_places, a_near, a_verdicts = one
    b_offsets, theirs, their_places, b_near, b_share, b_verdicts = other
    kinds, left, right, used = out
    n = 0
    offsets[0] = 0
    for p in range(len(a_offsets) - 1):
        a, b, c, d = a_offsets[p], a_offsets[p + 1], b_offsets[p], b_offsets[p + 1]
        offsets[p + 1] = n
        looked[p] = b - a <= _MOST and d - c <= _MOST
        if not looked[p]:
            continue
        for g in range(c, d):
            if theirs.kind[g] not in (fa.NUMBER, fa.DATE, fa.TIME, fa.NAME) or b_verdicts[g] >= cp.GONE:
                continue
            x = their_places[3][g]
            if b_share[x, 0] < ALIKE:
                continue
            held = _held(g, theirs, their_places, b_near[x], a, b, ours, our_places)
            for f in range(a, b):
                s = our_places[3][f]
                j = 0 if s == b_near[x, 0] else 1
                if s != b_near[x, j] or b_share[x, j] < ALIKE or used[f] or a_verdicts[f] == cp.CHANGED or not _like(f, ours, g, theirs):
                    continue
                place, alike = _place_of(f, our_places, g, their_places), _alike(f, our_places, g, their_places)
                if place < 0 or alike <= held or _same(f, ours, g, theirs):
                    continue
                if alike <= _held(f, ours, our_places, a_near[s], c, d, theirs, their_places):
                    continue
                if not (_known(f, ours, a, b, ours) and _known(g, theirs, a, b, ours)) or _one_person(f, ours, g, theirs, a, b, c, d):
                    continue
                if (
                    place != _DENIED
                    and _shortened(f, place, ours, our_places, a, b, g, theirs)
                    and not _told(f, ours, our_places, a, b, g, c, d, theirs, their_places)
                ):
                    continue
                kinds[n], left[n], right[n], used[f] = ours.kind[f], f, g, True
                n += 1
                break
        offsets[p + 1] = n
    return n


def _side(batch: Batch) -> tuple[np.ndarray, Stated, tuple[np.ndarray, ...]]:
    f = fa.facts(batch)
    stated = Stated(
        f.kind, f.flags, f.first, f.last, f.key, f.value, f.bare, f.second, f.mantissa, f.exponent, f.unit, f.part_offsets, f.parts
    )  # fmt: skip
    return f.offsets, stated, tuple(places(batch))


@pair_primitive
def exchanges(original: Batch, rewrite: Batch) -> Exchanges:
    """Facts of each pair that stand in another's place."""
    aligned, compared = alignments(original, rewrite), cp.compared(original, rewrite)
    ours, theirs = _side(original), _side(rewrite)
    count = len(fa.facts(original).kind)
    room = min(count, len(fa.facts(rewrite).kind))
    kinds, left, right = np.empty(room, np.uint8), np.empty(room, np.int64), np.empty(room, np.int64)
    looked, offsets = np.empty(len(original), bool), np.empty(len(original) + 1, np.int64)
    n = int(
        _scan(
            (*ours, aligned.original.sentence, compared.original), (*theirs, *aligned.rewrite, compared.rewrite),
            looked, offsets, (kinds, left, right, np.zeros(count, bool)),
        )
    )  # fmt: skip
    return Exchanges(looked, offsets, kinds[:n], left[:n], right[:n])
