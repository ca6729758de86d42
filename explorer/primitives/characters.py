"""Code points, ill-formed sequences and whitespace-separated words of each document, in one pass."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from explorer.primitives import unicode as u
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.swar import HIGH, ascii_spaces, load64, popcount

SPACE, HIGH_BITS = u.SPACE, HIGH


class Characters(NamedTuple):
    """Counts per document, int64 [n] each."""

    code_points: np.ndarray  # len() of the decoded text
    ill_formed: np.ndarray  # sequences that are not UTF-8, each decoded as one U+FFFD
    words: np.ndarray  # len(text.split())


@nb.njit(nogil=True, cache=True)
def count_code_points(data, i, end):  # type: ignore[no-untyped-def]
    """``len(bytes(data[i:end]).decode("utf-8", "replace"))``.

    Invariant: at the loop's head, ``count`` code points end before ``i`` and one starts at ``i``. Eight ASCII bytes are eight
    code points; anything else is decoded.
    """
    count = 0
    while i < end:
        if i + 8 <= end and (load64(data, i) & HIGH_BITS) == 0:
            count += 8
            i += 8
        else:
            _, i = u.decode(data, i, end)
            count += 1
    return count


@nb.njit(nogil=True, cache=True)
def _count(data, offsets, classes):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    points, ill, words = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    space = np.zeros(128, np.uint8)
    for c in range(128):
        space[c] = 1 if classes[c] & SPACE else 0
    for d in range(n):
        i, end = offsets[d], offsets[d + 1]
        p = b = w = np.int64(0)
        after_space = np.int64(1)  # a word starts where a non-space follows a space or the beginning
        while i < end:
            if i + 8 <= end:
                v = load64(data, i)
                if (v & HIGH_BITS) == 0:
                    spaces = ascii_spaces(v)
                    before = (spaces << np.uint64(8)) | (np.uint64(after_space) << np.uint64(7))
                    w += popcount(~spaces & before & HIGH_BITS)
                    after_space = np.int64(spaces >> np.uint64(63))
                    p += 8
                    i += 8
                    continue
            byte = data[i]
            if byte < 128:
                i += 1
                s = np.int64(space[byte])
            else:
                point, after = u.decode(data, i, end)
                # A real U+FFFD is EF BF BD; any other way to decode to it is ill-formed.
                if point == u.REPLACEMENT and not (after - i == 3 and data[i] == 0xEF and data[i + 1] == 0xBF and data[i + 2] == 0xBD):
                    b += 1
                i = after
                s = np.int64(1 if classes[point] & SPACE else 0)
            p += 1
            w += after_space & (1 - s)
            after_space = s
        points[d], ill[d], words[d] = p, b, w
    return points, ill, words


@primitive
def characters(batch: Batch) -> Characters:
    """Code points, ill-formed UTF-8 sequences and whitespace-separated words of each document."""
    return Characters(*_count(batch.data, batch.offsets, u.classes()))
