"""Toxicity by Detoxify's classifiers: probabilities of six kinds of abuse in the worst and in the average window of a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.errors import ModelError
from explorer.models import sequence
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

KINDS = {
    "toxicity": "rude, disrespectful or otherwise toxic",
    "severe_toxicity": "very hateful or aggressive",
    "obscene": "obscene",
    "threat": "a threat",
    "insult": "an insult",
    "identity_attack": "hateful about who somebody is",
}
# The same by the names of the Jigsaw data, which some models keep.
ALSO = {"toxic": "toxicity", "severe_toxic": "severe_toxicity", "identity_hate": "identity_attack"}
_MISLEADS = (
    "Rates swear words whatever the intent, and texts in or about minority dialects and identities too high: look at rates by source, "
    "and never drop by it alone. Trained on comments of a few sentences, not on documents. "
    "Not checked against the released weights (get them with: hf download unitary/toxic-bert)."
)


def kinds(labels: Sequence[str]) -> dict[str, int]:
    """Which output of a model rates which of `KINDS`, by the names that its configuration gives."""
    plain = [label.strip().lower().replace("-", "_").replace(" ", "_") for label in labels]
    return {name: i for i, label in enumerate(plain) if (name := ALSO.get(label, label)) in KINDS}


@family(
    version=1,
    source="Hanu and Unitary team 2020 (Detoxify), github.com/unitaryai/detoxify; windows, their maximum and mean are ours",
    signals=[
        Signal(
            f"tox_{name}_{pooled}", "probability", f"Probability that the text is {meaning}: {how}.",
            "lower_is_better", (0, 1), "float32", _MISLEADS,
        )
        for pooled, how in (("max", "the highest of its windows of 512 tokens"), ("mean", "mean of its windows of 512 tokens, weighted by their tokens"))
        for name, meaning in KINDS.items()
    ],
)  # fmt: skip
def toxicity(
    batch: Batch,
    *,
    model: str = "unitary/toxic-bert",
    revision: str | None = None,
    max_length: int = 512,
    pickled: bool = False,
    dtype: str = "auto",
) -> Columns:
    """Toxicity of a whole document, window by window, by a Detoxify classifier; undefined for a blank document.

    Each output is a probability of its own (sigmoid); several may be high. Outputs that are not among the columns are left out, and
    a column that the model has no output for is undefined; the family "classifier" reads any output.

    Args:
        batch: documents.
        model: hub id or folder of a model whose outputs are named as Detoxify's or as the Jigsaw data's.
        revision: commit of a hub id.
        max_length: tokens of a window, [CLS] and [SEP] among them.
        pickled: whether weights that are not safetensors may be loaded; they can run code.
        dtype: "auto" (float32 on a CPU, half precision on a GPU), "float32", "bfloat16" or "float16".

    Raises:
        ModelError: the model is not on this machine, or none of its outputs is called toxicity.

    """
    places, texts = sequence.judged(batch)
    columns = {f"tox_{name}_{pooled}": np.full(len(batch), np.nan, np.float32) for pooled in ("max", "mean") for name in KINDS}
    if texts:
        rater = sequence.load(model, revision, pickled=pickled, dtype=dtype)
        outputs = kinds(rater.labels)
        if "toxicity" not in outputs:
            raise ModelError(
                f"Model {model!r} has no output for toxicity. Its outputs: {', '.join(map(repr, rater.labels[:20]))}. "
                "Name one whose outputs are called as Detoxify's, or use the family 'classifier'."
            )
        chunks = rater.chunks(texts, length=max_length)
        probability = sequence.sigmoid(chunks.logits).astype(np.float32)
        for pooled, values in (("max", chunks.highest(probability)), ("mean", chunks.mean(probability))):
            for name, i in outputs.items():
                columns[f"tox_{name}_{pooled}"] = sequence.placed(values[:, i], places, len(batch))
    return columns
