"""Which documents to run a model on: what a selection keeps, a sample of it, or all."""

from __future__ import annotations

import numpy as np

from explorer.corpus.corpus import Corpus
from explorer.errors import SelectionError
from explorer.selection.filters import Filters


def scope(
    corpus: Corpus, filters: Filters | None = None, sample: int | None = None, *, seed: int = 0, per: str = "source"
) -> np.ndarray | None:
    """Numbers of the documents in a scope, ascending; None for all of them.

    Args:
        corpus: the corpus.
        filters: only documents that pass these.
        sample: so many of them, each stratum in proportion and every one at least once where the number allows.
        seed: of the sample.
        per: the strata: "source", "language", "year" or a column.

    Raises:
        SelectionError: nothing passes the filters.

    """
    rows = None
    if filters:
        rows = np.sort(corpus.select(filters).rows())
        if not len(rows):
            raise SelectionError(f"0 of {len(corpus):,} documents pass the filters, so there is nothing to run on. Loosen them.")
    if sample is None:
        return rows
    among = np.arange(len(corpus)) if rows is None else rows
    if sample >= len(among):
        return rows
    return among[stratified(corpus.columns.strata(per)[among], sample, np.random.default_rng(seed))]


def stratified(strata: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Positions of ``n`` documents drawn in proportion to their strata (largest remainders), ascending.

    Args:
        strata: group code of each document [m], n <= m.
        n: how many.
        random: source of chance.

    """
    codes, inverse, counts = np.unique(strata, return_inverse=True, return_counts=True)
    exact = n * counts / counts.sum()
    quota = np.floor(exact).astype(np.int64)
    if n >= len(codes):
        quota = np.maximum(quota, 1)
    remainder = exact - quota
    while quota.sum() != n:
        step = 1 if quota.sum() < n else -1
        open_to = (quota < counts) if step > 0 else (quota > (1 if n >= len(codes) else 0))
        best = int(np.argmax(np.where(open_to, step * remainder, -np.inf)))
        quota[best] += step
        remainder[best] -= step
    order = np.argsort(inverse, kind="stable")
    starts = np.cumsum(counts) - counts
    drawn = [order[s : s + c][random.choice(c, q, replace=False)] for s, c, q in zip(starts, counts, quota, strict=True) if q]
    return np.sort(np.concatenate(drawn)) if drawn else np.zeros(0, np.int64)
