"""How long a rewrite is beside its original."""

from __future__ import annotations

import numpy as np

from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check


@check(
    version=1,
    source="RePro's length reward (at most 1.25 times the characters of the original); ours otherwise",
    signals=[
        Signal(
            "len_ratio_bytes",
            "bytes of the rewrite per byte of the original",
            "UTF-8 bytes of the rewrite divided by those of the original.",
            "two_sided",
            (0.0, None),
        ),
    ],
)
def size(original: Batch, rewrite: Batch) -> Columns:
    """Length of the rewrite relative to its original."""
    before, after = np.diff(original.offsets), np.diff(rewrite.offsets)
    return {"len_ratio_bytes": np.where(before > 0, after / np.maximum(before, 1), np.nan)}
