"""A scorer that the user trained: see `explorer.scorers`."""

from __future__ import annotations

from explorer.errors import ModelError
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

SOURCE = "a scorer of this workspace, trained on labels or on a column (explorer train)"


@family(
    version=1,
    source=SOURCE,
    signals=[
        Signal(
            "scorer",
            "probability, or spreads",
            "What a scorer trained here gives: the probability of its positive label, or a number in standard deviations from its mean.",
            "higher_is_better",
            misleads="It has seen few documents, of this corpus alone. Read its mistakes, and what lies on both sides of a cut, before it decides.",
        )
    ],
)
def scorer(batch: Batch, *, model: str = "") -> Columns:
    """The score that a model trained on your own labels gives.

    Definition: see the scorer's record (``scorer.json``): a linear head on embeddings or on TF-IDF of words, or fastText. Null for
    documents without text.

    Args:
        batch: documents.
        model: folder of the scorer, such as ``.explorer/scorers/mine``.

    Returns:
        float32, 0 to 1 for a classifier, unbounded for a regression.

    Raises:
        ModelError: the folder is not named, or holds no scorer.

    """
    from explorer.scorers import load

    if not model:
        raise ModelError(
            "No scorer is named. A scorer is trained from labels (explorer train PATH --name mine) and then scored by its name. Write: -s scorer:mine"
        )
    return {"scorer": load(model).predict(batch.texts())}
