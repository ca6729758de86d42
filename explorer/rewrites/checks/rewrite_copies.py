"""Rewrites that stand more than once: a generator that gives the same answer to different documents was not reading them."""

from __future__ import annotations

import numpy as np

from explorer.corpus.reading import each_batch
from explorer.duplicates.exact import Hashes, group_equal, hashes
from explorer.primitives.batch import Batch
from explorer.registry import Columns, CorpusRun, Signal, check
from explorer.rewrites.pairs import Pairs


@check(
    version=1,
    source="ours",
    signals=[
        Signal("rewrite_copies", "rewrites", "How many rewrites have the same bytes as this one, itself among them.", "lower_is_better", (1.0, None), "int64"),
        Signal("rewritten_alike", "originals", "Of how many different originals that same rewrite was made.", "lower_is_better", (1.0, None), "int64", misleads="Originals that are copies of one another count each."),
    ],
    scope="pairs",
)  # fmt: skip
def rewrite_copies(run: CorpusRun) -> Columns:
    """Equal rewrites over all pairs, byte for byte; undefined where a rewrite is null or has no original."""
    pairs = run.corpus
    assert isinstance(pairs, Pairs)
    n = len(pairs)
    found, there = Hashes(np.zeros(n, np.uint64), np.zeros(n, np.uint64)), np.zeros(n, bool)

    def hash_them(first: int, batch: Batch) -> None:
        here = slice(first, first + len(batch))
        found.high[here], found.low[here] = hashes(batch)
        there[here] = batch.valid

    each_batch(pairs, hash_them, on_rows=lambda done: run.step(done, n, "reading the rewrites"))
    group = group_equal(found, there & (pairs.match.rows >= 0))
    known = group >= 0
    copies = np.bincount(group[known], minlength=n)
    different = np.unique(np.column_stack([group[known], pairs.match.rows[known]]), axis=0)[:, 0] if known.any() else np.zeros(0, np.int64)
    originals = np.bincount(different, minlength=n)
    at = np.maximum(group, 0)
    return {
        "rewrite_copies": np.where(known, copies[at], np.nan),
        "rewritten_alike": np.where(known, originals[at], np.nan),
    }
