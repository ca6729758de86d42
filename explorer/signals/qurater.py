"""QuRating's rater: writing style, required expertise, facts and trivia, educational value."""

from __future__ import annotations

import numpy as np

from explorer.models import sequence
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

CRITERIA = {  # in the order of the model's outputs
    "writing_style": "how polished and beautiful the writing is",
    "required_expertise": "how much expertise and prior knowledge a reader needs",
    "facts_and_trivia": "how many facts and trivia the text holds",
    "educational_value": "how clear and useful the text is for teaching",
}
_UNCHECKED = (
    "Not checked against the released weights (get them with: hf download princeton-nlp/QuRater-1.3B). A logit has no unit: it orders texts "
    "of one run, and only differences mean something. Trained on pairs of English passages of at most 512 tokens."
)


@family(
    version=1,
    source="Wettig et al. 2024 (QuRating), arXiv:2402.09739; princeton-nlp/QuRating, data_tools/qurater_annotate.py",
    signals=[
        Signal(
            f"qurater_{name}", "logit", f"QuRater's rating of {meaning}: mean over the text's pieces of 512 tokens, weighted by their tokens.",
            "higher_is_better", (None, None), "float32", _UNCHECKED,
        )
        for name, meaning in CRITERIA.items()
    ],
)  # fmt: skip
def qurater(
    batch: Batch,
    *,
    model: str = "princeton-nlp/QuRater-1.3B",
    revision: str | None = None,
    max_length: int = 512,
    pickled: bool = False,
    dtype: str = "auto",
) -> Columns:
    """Four qualities of a whole document by QuRater, a Llama of 1.3B parameters; undefined for a blank document.

    The text is tokenised without special tokens and cut every 512 tokens; a document's score is the mean of its pieces' logits
    weighted by their tokens. A GPU is advised: a document of 1,000 tokens takes some 2.6 TFLOP.

    Args:
        batch: documents.
        model: hub id or folder of a model with four outputs in the order of the columns.
        revision: commit of a hub id.
        max_length: tokens of a piece.
        pickled: whether weights that are not safetensors may be loaded; they can run code.
        dtype: "auto" (float32 on a CPU, half precision on a GPU), "float32", "bfloat16" or "float16".

    Raises:
        ModelError: the model is not on this machine, or has not four outputs.

    """
    places, texts = sequence.judged(batch)
    scores = np.full((len(batch), len(CRITERIA)), np.nan, np.float32)
    if texts:
        rater = sequence.load(model, revision, pickled=pickled, dtype=dtype)
        sequence.expect_outputs(rater, len(CRITERIA), "QuRater")
        chunks = rater.chunks(texts, length=max_length, special_tokens=False)
        scores = sequence.placed(chunks.mean(chunks.logits), places, len(batch))
    return {f"qurater_{name}": scores[:, i] for i, name in enumerate(CRITERIA)}
