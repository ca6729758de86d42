"""Whether a text ends as a sentence does."""

from __future__ import annotations

import numpy as np

from explorer.primitives import english as en
from explorer.primitives.batch import Batch, primitive
from explorer.primitives.lines import _last, _strip
from explorer.primitives.swar import kernel

CLOSING = "\"'”’»)]}*_`"  # may stand after the mark that ends a text
TERMINAL, SPACE = en.TERMINAL, en.SPACE
ELLIPSIS = 0x2026


@kernel
def _ended(data, offsets, classes, closing, out):  # type: ignore[no-untyped-def]
    for d in range(len(offsets) - 1):
        start, end = _strip(data, offsets[d], offsets[d + 1], classes)
        while end > start:
            point, before = _last(data, start, end)
            if point >= len(closing) or not closing[point]:
                break
            end = before
        if end > start:
            point, _ = _last(data, start, end)
            out[d] = (classes[point] & TERMINAL) != 0 or point == ELLIPSIS


@primitive
def ended(batch: Batch) -> np.ndarray:
    """Whether each text ends with a mark that ends a sentence in some script, closing quotes and brackets aside: bool [n]; False if blank."""
    closing = np.zeros(0x2020, bool)
    closing[[ord(c) for c in CLOSING]] = True
    out = np.zeros(len(batch), bool)
    _ended(batch.data, batch.offsets, en.tables().classes, closing, out)
    return out
