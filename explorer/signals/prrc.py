"""Meta-rater's four raters: professionalism, readability, reasoning and cleanliness, 0 to 5 each.

Four models, so four families: each is scored, resumed and kept by itself, and only one model is in memory at a time.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from explorer.models import sequence
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

CLASSES = 6  # points 0 to 5
DIMENSIONS = {
    "professionalism": "how much expertise and technical knowledge a reader needs",
    "readability": "how easy the text is to understand: clear, coherent, well written",
    "reasoning": "how complex its logic and analysis are",
    "cleanliness": "how well-formed and free of noise the text is; language and length are meant not to matter",
}
MODEL = "opendatalab/meta-rater-{dimension}-rating"


def rating(logits: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """The most probable of the classes 0 to 5, int64 [n], and their softmax expectation, float32 [n]; null where a logit is NaN.

    Args:
        logits: float32 [n, 6].
    """
    undefined = np.isnan(logits).any(axis=1)
    points = np.argmax(logits, axis=1).astype(np.int64)  # of NaN it gives a place too, which the mask takes away
    expected = sequence.softmax(logits) @ np.arange(logits.shape[1])
    return pa.array(points, mask=undefined), expected.astype(np.float32)


def _register(dimension: str, meaning: str) -> None:
    unchecked = (
        f"Not checked against the released weights (get them with: hf download {MODEL.format(dimension=dimension)}). "
        "Judges the first 2,048 tokens alone. Trained on ratings that a language model gave to English web text."
    )
    name = f"prrc_{dimension}"

    def compute(
        batch: Batch,
        *,
        model: str = MODEL.format(dimension=dimension),
        revision: str | None = None,
        max_length: int = 2048,
        pickled: bool = False,
        dtype: str = "auto",
    ) -> Columns:
        places, texts = sequence.judged(batch)
        logits = np.full((len(batch), CLASSES), np.nan, np.float32)
        if texts:
            rater = sequence.load(model, revision, pickled=pickled, dtype=dtype)
            sequence.expect_outputs(rater, CLASSES, f"Meta-rater's {dimension} rater")
            logits = sequence.placed(rater.logits(texts, max_length=max_length), places, len(batch))
        points, expected = rating(logits)
        return {name: points, f"{name}_ev": expected}

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = f"""Meta-rater's rating of {dimension}: {meaning}; undefined for a blank document.

    Args:
        batch: documents.
        model: hub id or folder of a model with 6 classes (ModernBERT-base).
        revision: commit of a hub id.
        max_length: tokens that are read; the released rater was trained on 2,048 and takes up to 8,192.
        pickled: whether weights that are not safetensors may be loaded; they can run code.
        dtype: "auto" (float32 on a CPU, half precision on a GPU), "float32", "bfloat16" or "float16".

    Raises:
        ModelError: the model is not on this machine, or has not 6 outputs.
    """
    family(
        version=1,
        source="Zhuang et al. 2025 (Meta-rater), arXiv:2504.14194; opendatalab/Meta-rater",
        signals=[
            Signal(
                name, "points of 5", f"The most probable of the classes 0 to 5: {meaning}.",
                "higher_is_better", (0, 5), "int64",
                f"{unchecked} Six values tie: rank by {name}_ev.",
            ),
            Signal(
                f"{name}_ev", "points of 5", f"Mean of the classes 0 to 5 weighted by their probabilities: {meaning}.",
                "higher_is_better", (0, 5), "float32",
                f"{unchecked} The published rating is the most probable class, {name}.",
            ),
        ],
    )(compute)  # fmt: skip


for _dimension, _meaning in DIMENSIONS.items():
    _register(_dimension, _meaning)
