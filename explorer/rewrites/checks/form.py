"""Whether a rewrite keeps the form of its original: headings, lists, code, tables, paragraphs."""

from __future__ import annotations

import numpy as np

from explorer.primitives.batch import Batch
from explorer.primitives.structure import BLOCKS, KINDS, structure
from explorer.registry import Columns, Signal, check

COUNTED = ("headings", "list_items", "code_blocks", "table_rows", "quotes", "paragraphs")
MARKDOWN = "Form is read as Markdown: HTML, LaTeX and indented code are paragraphs."


@check(
    version=1,
    source="ours: a deterministic reading of RePro's structure reward (same multiset of block types) by CommonMark's rules for lines",
    signals=[
        *(
            Signal(f"{kind}_change", kind.replace("_", " "), f"{kind.replace('_', ' ').capitalize()} of the rewrite minus those of the original.", "two_sided", dtype="int64", misleads=MARKDOWN)
            for kind in COUNTED
        ),
        Signal("structure_similarity", "fraction of blocks", "Blocks (headings, lists, code blocks, tables, quotes, paragraphs) that both texts have, of those that either has: the sum of the smaller over the sum of the larger counts.", "higher_is_better", (0.0, 1.0), misleads=MARKDOWN),
        Signal("structure_same", "0 or 1", "1 where both texts have the same number of blocks of each kind.", "higher_is_better", (0.0, 1.0), misleads=f"{MARKDOWN} Two paragraphs made one are another structure."),
    ],
)  # fmt: skip
def form(original: Batch, rewrite: Batch) -> Columns:
    """Blocks by kind in the rewrite against the original; undefined for similarity where neither text has a block."""
    before, after = structure(original).counts, structure(rewrite).counts
    blocks = list(BLOCKS)
    fewer, more = np.minimum(before, after)[:, blocks].sum(1), np.maximum(before, after)[:, blocks].sum(1)
    similarity = np.where(more > 0, fewer / np.maximum(more, 1), np.nan)
    change = {f"{kind}_change": (after - before)[:, KINDS.index(kind)] for kind in COUNTED}
    return {**change, "structure_similarity": similarity, "structure_same": np.where(more > 0, (fewer == more).astype(float), np.nan)}
