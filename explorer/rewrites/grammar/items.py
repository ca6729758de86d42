"""Numbers that count what the author lists, not what the text is about: items, sections, footnotes, questions."""

from __future__ import annotations

from explorer.primitives import terms as tm
from explorer.primitives.swar import kernel
from explorer.rewrites import lexicon as lx
from explorer.rewrites.grammar import pieces as pc
from explorer.rewrites.grammar.pieces import glued, sign_at

_CODE, _FLAGS, _FIRST, _END = pc.CODE, pc.FLAGS, pc.FIRST, pc.END


@kernel
def items(data, pieces, p, n):  # type: ignore[no-untyped-def]
    """Pieces to skip where the number that is piece p numbers an item, a section, a footnote or a question; 0 where it is a fact."""
    if pieces[p, _END] - pieces[p, _FIRST] > 3 and not pieces[p, _FLAGS] & tm.LINE:
        return 0
    after = sign_at(data, pieces, p + 1, n)
    close = (after == 46 or after == 41) and glued(pieces, p + 1, n)
    if pieces[p, _FLAGS] & tm.LINE:
        apart = after == 46 and p + 2 < n and pieces[p + 2, _FLAGS] & tm.CAPITAL  # "1 . The": where texts are cut into words
        if (close or apart) and not glued(pieces, p + 2, n) and pieces[p, _END] - pieces[p, _FIRST] <= 3:
            return 2
        section = False
        for i in range(pieces[p, _FIRST], pieces[p, _END]):
            section = section or data[i] == 46
        if section and p + 1 < n and pieces[p + 1, _FLAGS] & tm.CAPITAL:
            return 1
    if p > 0:
        before = sign_at(data, pieces, p - 1, n)
        if before == 91 and after == 93 and glued(pieces, p, n) and glued(pieces, p + 1, n):  # [12]
            return 2
        if before == 40 and after == 41 and pieces[p - 1, _FLAGS] & tm.LINE:  # (1)
            return 2
        if pieces[p - 1, _CODE] & lx.LABEL and pieces[p - 1, _FLAGS] & (tm.START | tm.LINE):  # Question 1
            return 1
        if data[pieces[p - 1, _FIRST]] == 35 and pieces[p - 1, _FLAGS] & tm.LINE:  # ## 2 Methods
            return 1
    return 0


@kernel
def is_label(data, pieces, p):  # type: ignore[no-untyped-def]
    """Whether a word with digits only numbers a question or an answer: Q1, A12."""
    a, b = pieces[p, _FIRST], pieces[p, _END]
    if b - a > 3 or not (data[a] | 32 == 113 or data[a] | 32 == 97) or not pieces[p, _FLAGS] & tm.START:
        return False
    return all_digits(data, a + 1, b)


@kernel
def all_digits(data, a, b):  # type: ignore[no-untyped-def]
    """Whether ``data[a:b]`` are ASCII digits."""
    for i in range(a, b):
        if not 48 <= data[i] <= 57:
            return False
    return b > a
