"""How well a document compresses: low is repetitive, high is short, dense or random."""

from __future__ import annotations

import zlib

import numpy as np

from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family


@family(
    version=1,
    source="zlib (RFC 1950, DEFLATE); used as a redundancy signal in pretraining data audits",
    signals=[
        Signal(
            "zlib_ratio", "compressed bytes per byte", "Bytes of the zlib-compressed text (header and checksum included) divided by bytes of the text.",
            "two_sided", (0, None), "float32",
            "Falls with length: below about 2 KB compare only documents of like length. Builds of zlib differ by a few bytes.",
        ),
    ],
)  # fmt: skip
def compression(batch: Batch, *, level: int = 6) -> Columns:
    """Size after zlib compression as a fraction of the size before; undefined for an empty document.

    Args:
        batch: `text`, n documents.
        level: of zlib, 1 to 9; 6 is its own default.
    """
    sizes = np.diff(batch.offsets)
    # zlib reads Arrow's own buffer (no copy) and releases the GIL for documents of more than a few KB.
    view = batch.data.data
    values = np.full(len(batch), np.nan, np.float32)
    for d in np.flatnonzero(sizes):
        values[d] = len(zlib.compress(view[batch.offsets[d] : batch.offsets[d + 1]], level)) / sizes[d]
    return {"zlib_ratio": values}
