"""Several texts from one source: what each of them still adds to those before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from explorer.registry import Columns, CorpusRun, Signal, check

if TYPE_CHECKING:
    from explorer.primitives.batch import Batch
    from explorer.rewrites.pairs import Pairs

ROWS = 16_384  # texts read at once; all texts of a source are
_ORDER = "The order is that of the rewrites in their files; null for a rewrite without an original."


@check(
    version=1,
    source="Yang et al. 2024 (EntiGraph), arXiv:2409.07431: many texts from one source; the measure of diversity is ours",
    scope="pairs",
    audit=False,
    signals=[
        Signal("generation", "number", "Which of the texts made from its original a rewrite is, from 1.", "descriptive", (1, None), "int64", _ORDER),
        Signal("generations", "texts", "How many texts were made from its original.", "descriptive", (1, None), "int64", _ORDER),
        Signal(
            "novel_gram_frac", "fraction of word 5-grams",
            "Different stretches of five words (parameter words) that no text made from the same original before it had, of all different ones of the text.",
            "higher_is_better", (0, 1),
            misleads=f"1 for the first text of each original. Falls as generations grow even where each says something of its own; what is invented is new too. Null for a text of fewer words. {_ORDER}",
        ),
    ],
)  # fmt: skip
def generations(run: CorpusRun, *, words: int = 5) -> Columns:
    """How much each text adds to the texts that were made from the same original before it: the diversity of many rewrites of one document.

    `explorer.rewrites.methods.entigraph.diversity_curve` draws it against the number of texts.

    Args:
        run: the pairs.
        words: length of the stretches of words that are compared.

    """
    pairs = cast("Pairs", run.corpus)
    n, rows = len(pairs), pairs.match.rows
    number, many, novel = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    order = np.argsort(rows, kind="stable")
    order = order[rows[order] >= 0]
    first, size = np.unique(rows[order], return_index=True, return_counts=True)[1:]
    number[order] = np.arange(len(order)) - np.repeat(first, size) + 1
    many[order] = np.repeat(size, size)
    from explorer.rewrites.methods.novelty import novel_grams

    for done, chosen, texts in _of_sources(pairs, order, first):
        run.step(done, n, "comparing the texts of each original")
        different, new = novel_grams(texts, rows[chosen], words)
        novel[chosen] = np.where((different > 0) & texts.valid, new / np.maximum(different, 1), np.nan)
    return {"generation": number, "generations": many, "novel_gram_frac": novel}


def _of_sources(pairs: Pairs, order: np.ndarray, first: np.ndarray) -> Iterator[tuple[int, np.ndarray, Batch]]:
    """Texts by original, some thousand at a time, those of an original together: (texts done, their numbers, they themselves)."""
    from explorer.corpus.lookup import Lookup
    from explorer.primitives.batch import Batch

    lookup = Lookup(pairs)
    ends = np.append(first[1:], len(order))
    at = 0
    while at < len(order):
        stop = int(ends[max(np.searchsorted(ends, at + ROWS, side="right") - 1, np.searchsorted(ends, at, side="right"))])
        chosen = order[at:stop]
        yield at, chosen, Batch(lookup.take(chosen))
        at = stop
