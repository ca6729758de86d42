"""Statements that a rewrite turns round."""

from __future__ import annotations

import numpy as np

from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check
from explorer.rewrites import polarity as po

_ENGLISH = "Only what both texts say in the same words is compared, sentence by sentence; a reversal in other words is not seen."
_SIGNALS = {
    "negation": (
        "negation_flips",
        'Words or clauses that are negated (not, no, never, nothing, without) in one text and not in the other, where the sentences tell the same; "no longer", "not yet" and "has not" against "still" and "now".',
        f"Negation by other means (unless, instead of, fails to, un-) counts as negation on the other side. English, and the negators of six other languages. {_ENGLISH}",
    ),
    "modality": (
        "modality_flips",
        "Words that may, might, could or probably do something in one text and must, will or certainly do it in the other.",
        f"A hedge that is left out is no flip. English only. {_ENGLISH}",
    ),
    "quantifier": (
        "quantifier_flips",
        "Words that all and some or few, many and few, always and rarely stand before; numbers that are a lower bound in one text and an upper bound in the other.",
        f"All and most, some and few are taken for the same. English only. {_ENGLISH}",
    ),
    "antonym": (
        "antonym_flips",
        "Opposites of a list (increase and decrease, true and false, before and after) in the same surroundings.",
        f"A hundred pairs of common words. Two things compared the other way round are let pass. English only. {_ENGLISH}",
    ),
}


@check(
    version=2,
    source="ours",
    signals=[
        Signal(name, "flips", about, "lower_is_better", (0.0, None), "int64", misleads) for name, about, misleads in _SIGNALS.values()
    ],
)
def polarity(original: Batch, rewrite: Batch) -> Columns:
    """Statements turned round: negation, modality, quantity and opposites that differ in sentences that tell the same."""
    found = po.flips(original, rewrite)
    n = len(found.offsets) - 1
    place = np.repeat(np.arange(n), np.diff(found.offsets)) * len(po.KINDS) + found.kind
    counts = np.bincount(place, minlength=n * len(po.KINDS)).reshape(n, len(po.KINDS))
    return {_SIGNALS[kind][0]: counts[:, k] for k, kind in enumerate(po.KINDS)}
