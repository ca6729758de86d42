"""FineWeb-Edu's classifier: how useful a text would be for teaching, 0 to 5."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from explorer.models import sequence
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

_UNCHECKED = (
    "Not checked against the released weights (get them with: hf download HuggingFaceFW/fineweb-edu-classifier). "
    "Judges the first 512 tokens alone; trained on English web pages, so it rates code, poetry and other languages low."
)


def int_score(score: np.ndarray) -> pa.Array:
    """Scores as FineWeb-Edu's whole numbers, int64: clipped to 0 to 5 and rounded, halves to even, so that 3 begins above 2.5."""
    return pa.array(np.rint(np.clip(np.nan_to_num(score), 0, 5)).astype(np.int64), mask=np.isnan(score))


@family(
    version=1,
    source="Penedo et al. 2024 (FineWeb-Edu), arXiv:2406.17557; huggingface/cosmopedia, classification/run_edu_bert.py",
    signals=[
        Signal(
            "edu_score", "points of 5", "Educational value as FineWeb-Edu's regression head gives it: meant as 0 to 5, not clipped.",
            "higher_is_better", (None, None), "float32", _UNCHECKED,
        ),
        Signal(
            "edu_int_score", "points of 5", "edu_score clipped to 0 to 5 and rounded, halves to even; FineWeb-Edu keeps 3 and more, which is a score above 2.5.",
            "higher_is_better", (0, 5), "int64",
            f"{_UNCHECKED} Half precision moves documents across a cut: those near it on a GPU may differ from a CPU's.",
        ),
    ],
)  # fmt: skip
def fineweb_edu(
    batch: Batch,
    *,
    model: str = "HuggingFaceFW/fineweb-edu-classifier",
    revision: str | None = None,
    max_length: int = 512,
    pickled: bool = False,
    dtype: str = "auto",
) -> Columns:
    """Educational value of a document's first 512 tokens by FineWeb-Edu's classifier; undefined for a blank document.

    Args:
        batch: documents.
        model: hub id or folder of a model with one regression output (Snowflake/snowflake-arctic-embed-m with a linear head).
        revision: commit of a hub id.
        max_length: tokens that are read.
        pickled: whether weights that are not safetensors may be loaded; they can run code.
        dtype: "auto" (float32 on a CPU, half precision on a GPU), "float32", "bfloat16" or "float16".

    Raises:
        ModelError: the model is not on this machine, or has not one output.

    """
    places, texts = sequence.judged(batch)
    if not texts:
        score = np.full(len(batch), np.nan, np.float32)
    else:
        rater = sequence.load(model, revision, pickled=pickled, dtype=dtype)
        sequence.expect_outputs(rater, 1, "FineWeb-Edu's classifier")
        score = sequence.placed(rater.logits(texts, max_length=max_length)[:, 0], places, len(batch))
    return {"edu_score": score, "edu_int_score": int_score(score)}
