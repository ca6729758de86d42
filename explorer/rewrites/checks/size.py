"""How long a rewrite is beside its original."""

from __future__ import annotations

import numpy as np

from explorer.primitives.batch import Batch
from explorer.primitives.plain_words import plain_words
from explorer.registry import Columns, Signal, check

SUMMARY = "There is no lower bound in RePro's reward: a summary of half the length passes it. Cut on both sides."


@check(
    version=1,
    source="RePro's length reward (at most 1.25 times the original's length); ours otherwise",
    signals=[
        Signal("len_ratio_bytes", "bytes of the rewrite per byte of the original", "UTF-8 bytes of the rewrite divided by those of the original.", "two_sided", (0.0, None), misleads=SUMMARY),
        Signal("len_ratio_words", "words of the rewrite per word of the original", "Words of the rewrite divided by those of the original.", "two_sided", (0.0, None), misleads=SUMMARY),
        Signal("original_words", "words", "Words of the original.", range=(0.0, None), dtype="int64"),
        Signal("rewrite_words", "words", "Words of the rewrite.", range=(0.0, None), dtype="int64"),
    ],
)  # fmt: skip
def size(original: Batch, rewrite: Batch) -> Columns:
    """Length of the rewrite relative to its original, in bytes and in words (runs of letters and digits; Han and kana each by itself)."""
    before, after = np.diff(original.offsets), np.diff(rewrite.offsets)
    words_before, words_after = (np.diff(plain_words(batch).offsets) for batch in (original, rewrite))
    return {
        "len_ratio_bytes": np.where(before > 0, after / np.maximum(before, 1), np.nan),
        "len_ratio_words": np.where(words_before > 0, words_after / np.maximum(words_before, 1), np.nan),
        "original_words": words_before,
        "rewrite_words": words_after,
    }
