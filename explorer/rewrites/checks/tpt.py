"""TPT (thinking augmented pre-training): what a document's thinking adds to it, and what it copies."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from explorer.primitives.batch import Batch, pair_primitive
from explorer.primitives.swar import kernel
from explorer.registry import Columns, Signal, check
from explorer.rewrites.methods.ends import ended
from explorer.rewrites.methods.novelty import copied_grams

GRAM = 8

_JOINED = "Where the text begins with its document, byte for byte, the rest of it is taken for the thinking."


@kernel
def _begins(data, offsets, before, before_offsets, out):  # type: ignore[no-untyped-def]
    """Bytes of the document that a text begins with: all of it, or none."""
    for d in range(len(offsets) - 1):
        size = before_offsets[d + 1] - before_offsets[d]
        if size > offsets[d + 1] - offsets[d]:
            continue
        k = 0
        while k < size and data[offsets[d] + k] == before[before_offsets[d] + k]:
            k += 1
        out[d] = size if k == size else 0


@pair_primitive
def thinking(original: Batch, rewrite: Batch) -> tuple[Batch, np.ndarray]:
    """The thinking of each pair, without the document where the text begins with it; and whether it does, bool [n]."""
    size = np.zeros(len(rewrite), np.int64)
    _begins(rewrite.data, rewrite.offsets, original.data, original.offsets, size)
    joined = size > 0
    if not joined.any():
        return rewrite, joined
    cut = [None if text is None else text[n:] for text, n in zip(rewrite.array.to_pylist(), size.tolist(), strict=True)]
    return Batch(pa.array(cut, pa.large_binary())), joined


def tpt_text(document: str, thought: str, separator: str = "\n\n") -> str:
    r"""The text that is trained on: the document, then its thinking. The paper joins them and names no separator.

    Example:
        >>> tpt_text("2 + 2 = 4.", "Two and two.")
        '2 + 2 = 4.\n\nTwo and two.'

    """
    return f"{document}{separator}{thought}"


@check(
    version=1,
    source="Wang et al. 2025 (thinking augmented pre-training), arXiv:2509.20186: x = [document; thinking]; n-grams and truncation are ours",
    audit=False,
    signals=[
        Signal("tpt_joined", "0 or 1", "1 where the text begins with its document, so that it is document and thinking in one.", "descriptive", (0, 1), misleads="White space counts: a document that was stripped before joining is not recognised."),
        Signal("tpt_len_ratio", "bytes of thinking per byte of the document", "Length of the thinking in lengths of its document. Thinking is longer for mathematics and for harder texts.", "two_sided", (0, None), misleads=f"Bytes, not tokens; for tokens see augmented_tokens. {_JOINED}"),
        Signal("tpt_copied_frac", f"fraction of the thinking's {GRAM}-grams", f"Stretches of {GRAM} words of the thinking that stand in the document.", "lower_is_better", (0, 1), misleads=f"Quoting what is explained is no fault; null for a thinking of fewer than {GRAM} words. {_JOINED}"),
        Signal("tpt_truncated", "0 or 1", "1 where the thinking does not end with a mark that ends a sentence: cut at its last token.", "lower_is_better", (0, 1), misleads="Formulas, code and lists may end without one."),
    ],
)  # fmt: skip
def tpt(original: Batch, rewrite: Batch) -> Columns:
    """Length, copying and truncation of the thinking that was generated for each document.

    Repetition: score the texts with gopher_repetition. Language: the check language_switch. Which sources get how many more tokens:
    `explorer.rewrites.methods.augmented.augmented_tokens`.
    """
    thought, joined = thinking(original, rewrite)
    before, after = np.diff(original.offsets), np.diff(thought.offsets)
    every, found = copied_grams(original, thought, GRAM)
    return {
        "tpt_joined": joined.astype(np.float64),
        "tpt_len_ratio": np.where(before > 0, after / np.maximum(before, 1), np.nan),
        "tpt_copied_frac": np.where(every > 0, found / np.maximum(every, 1), np.nan),
        "tpt_truncated": np.where(after > 0, ~ended(thought), np.nan),
    }
