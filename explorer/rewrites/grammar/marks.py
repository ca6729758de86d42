"""Links, code and quotations: what a rewrite must carry over letter by letter."""

from __future__ import annotations

import numpy as np

from explorer.primitives import terms as tm
from explorer.primitives.swar import SEED, hash_bytes, hash_finish, hash_step, kernel
from explorer.rewrites.grammar import pieces as pc
from explorer.rewrites.grammar.pieces import glued, point_at, sign_at
from explorer.rewrites.lexicon import found

_FLAGS, _FIRST, _END, _HASH = pc.FLAGS, pc.FIRST, pc.END, pc.HASH
_WORD, _NUMBER, _SIGN, _UNSPACED = tm.WORD, tm.NUMBER, tm.SIGN, tm.UNSPACED
_SPOKEN = _WORD | _NUMBER | _UNSPACED
MOST_QUOTED = 400  # pieces of a quotation
_MOST_CODE = 4000  # pieces of a code block
FEWEST_WORDS = 3  # of a quotation: fewer are a title or a scare quote
_FEWEST_UNSPACED = 6
ALL, SPOKEN = np.int64(0), np.int64(1)  # which pieces make the key of a content
_MAY_QUOTE = (0x22, 0x201C, 0x201E, 0xAB, 0xBB, 0x300C, 0x300E)


@kernel
def link_key(data, a, b, buffer):  # type: ignore[no-untyped-def]
    """Key of the link ``data[a:b]``: small letters, without scheme, "www." and a slash at the end."""
    for i in range(a, b - 3):
        if data[i] == 58 and data[i + 1] == 47 and data[i + 2] == 47:
            a = i + 3
            break
        if not (97 <= data[i] | 32 <= 122):
            break
    if b - a > 4 and data[a] | 32 == 119 and data[a + 1] | 32 == 119 and data[a + 2] | 32 == 119 and data[a + 3] == 46:
        a += 4
    if b > a + 1 and data[b - 1] == 47:
        b -= 1
    if b - a > len(buffer):
        return hash_bytes(data, a, b)
    for i in range(a, b):
        buffer[i - a] = data[i] + 32 if 65 <= data[i] <= 90 else data[i]
    return hash_bytes(buffer, 0, b - a)


@kernel
def content_key(pieces, a, b, spoken):  # type: ignore[no-untyped-def]
    """Key of the pieces ``a:b`` one after another, blanks between them left out; of words and numbers only where ``spoken``."""
    key = SEED
    n = 0
    for p in range(a, b):
        if not spoken or pieces[p, _FLAGS] & _SPOKEN:
            key = hash_step(key, np.uint64(pieces[p, _HASH]))
            n += 1
    return hash_finish(key, n)


@kernel
def backticked(data, pieces, p, n):  # type: ignore[no-untyped-def]
    """(first piece, piece after the last) of the code between the backticks that begin at piece p, (p, p) where they do not end."""
    width = pieces[p, _END] - pieces[p, _FIRST]
    fence = width >= 3
    for q in range(p + 1, min(n, p + (_MOST_CODE if fence else MOST_QUOTED))):
        if pieces[q, _FLAGS] & tm.PARAGRAPH and not fence:
            break
        if pieces[q, _FLAGS] & _SIGN and data[pieces[q, _FIRST]] == 96 and pieces[q, _END] - pieces[q, _FIRST] == width:
            a = p + 1
            # the language that follows a fence belongs to the fence
            if fence and a < q and pieces[a, _FLAGS] & _WORD and glued(pieces, a, n) and q > a + 1 and pieces[a + 1, _FLAGS] & tm.LINE:
                a += 1
            return a, q
    return p, p


@kernel
def identifier_end(data, pieces, p, n, extensions):  # type: ignore[no-untyped-def]
    """The piece after the identifier, call or file name that is piece p ("foo_bar", "open()", "main.py"), p where it is none."""
    flags = pieces[p, _FLAGS]
    q = p
    if flags & tm.SNAKE:
        q = p + 1
    while q + 2 <= n and sign_at(data, pieces, q, n) == 46 and glued(pieces, q, n) and glued(pieces, q + 1, n) and q > p:
        if not pieces[q + 1, _FLAGS] & _WORD:
            break
        q += 2
    dotted = q == p and sign_at(data, pieces, p + 1, n) == 46 and glued(pieces, p + 1, n) and glued(pieces, p + 2, n)
    if dotted and flags & tm.DIGITS and data[pieces[p, _FIRST]] | 32 == 118 and pieces[p + 2, _FLAGS] & _NUMBER:  # v1.2.3
        return p + 3
    k = max(q, p + 1)
    if sign_at(data, pieces, k, n) == 40 and glued(pieces, k, n) and sign_at(data, pieces, k + 1, n) == 41 and glued(pieces, k + 1, n):
        return k + 2
    if dotted and pieces[p + 2, _FLAGS] & (_WORD | tm.CAPITAL) == _WORD and found(extensions, np.uint64(pieces[p + 2, _HASH])):
        return p + 3
    return q


@kernel
def quotation(data, pieces, p, n):  # type: ignore[no-untyped-def]
    """(first piece, piece after the last, piece of the closing mark) of the quotation that the mark at piece p opens, (p, p, p) for none."""
    c = point_at(data, pieces, p, n)
    if c == 0x22:
        if pieces[p, _END] - pieces[p, _FIRST] != 1:
            return p, p, p
        close, other = 0x22, 0x22
    elif c == 0x201C:
        close, other = 0x201D, 0x201D
    elif c == 0x201E:
        close, other = 0x201C, 0x201D
    elif c == 0xAB:
        close, other = 0xBB, 0xBB
    elif c == 0xBB:
        close, other = 0xAB, 0xAB
    elif c == 0x300C or c == 0x300E:
        close, other = c + 1, c + 1
    else:
        return p, p, p
    words = unspaced = 0
    for q in range(p + 1, min(n, p + MOST_QUOTED)):
        flags = pieces[q, _FLAGS]
        if flags & tm.PARAGRAPH:
            break
        if flags & _SIGN:
            d = point_at(data, pieces, q, n)
            if d in (close, other):
                enough = words >= FEWEST_WORDS or unspaced >= _FEWEST_UNSPACED
                return (p + 1, q, q) if enough else (p, p, q)
        elif flags & _UNSPACED:
            unspaced += 1
        elif flags & _SPOKEN:
            words += 1
    return p, p, p
