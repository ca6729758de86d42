"""A classifier of one's own: any model with a sequence-classification or regression head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.errors import ModelError
from explorer.models import sequence
from explorer.models.sequence import Classifier
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

OUTPUTS = ("auto", "probability", "logit", "expectation")


def chosen(labels: Sequence[str], label: str | int | None, model: str) -> int:
    """The output that a label names, by its name or else its number.

    Raises:
        ModelError: there is no such output, or none was named and there are several.

    """
    names = [name.casefold() for name in labels]
    wanted = "" if label is None else str(label).strip()
    if wanted in labels:
        return list(labels).index(wanted)
    if names.count(wanted.casefold()) == 1:
        return names.index(wanted.casefold())
    if wanted.isdecimal() and int(wanted) < len(labels):
        return int(wanted)
    if not wanted and len(labels) == 1:
        return 0
    said = f"Label {label!r} is not among the outputs of {model!r}" if wanted else f"No label was named, and {model!r} has several outputs"
    raise ModelError(f"{said}. Labels: {', '.join(map(repr, labels[:20]))}. Set label to one of them, or to its number from 0.")


def points(labels: Sequence[str]) -> np.ndarray:
    """What each class counts in an expectation, float64 [k]: the number its name is, or else its place from 0."""
    try:
        return np.array([float(label) for label in labels])
    except ValueError:
        return np.arange(len(labels), dtype=np.float64)


def score(rater: Classifier, logits: np.ndarray, label: str | int | None, output: str) -> np.ndarray:
    """One number a text from a model's outputs, float32 [n].

    Args:
        rater: the model, for its labels and what they mean.
        logits: float32 [n, k].
        label: the output wanted.
        output: see `classifier`.

    Raises:
        ModelError: the model's outputs do not mean that.

    """
    if output not in OUTPUTS:
        raise ModelError(f"Output {output!r} is unknown. Known: {', '.join(OUTPUTS)}. Choose one of them.")
    if output == "auto":
        output = "logit" if rater.problem == "regression" else "probability"
    if output == "logit":
        return logits[:, chosen(rater.labels, label, rater.name)]
    if rater.problem == "regression":
        raise ModelError(
            f"Model {rater.name!r} is a regression: it gives values, not probabilities. Allowed: auto, logit. Set output to one of them."
        )
    if output == "expectation":
        if rater.problem != "single_label_classification":
            raise ModelError(
                f"Model {rater.name!r} gives each label a probability of its own, which have no common expectation. Allowed: auto, probability, logit. "
                "Set output to one of them."
            )
        return (sequence.softmax(logits) @ points(rater.labels)).astype(np.float32)
    place = chosen(rater.labels, label, rater.name)
    probability = sequence.softmax(logits) if rater.problem == "single_label_classification" else sequence.sigmoid(logits)
    return probability[:, place].astype(np.float32)


@family(
    version=1,
    source="the model that the parameter names, read through transformers' AutoModelForSequenceClassification",
    signals=[
        Signal(
            "classifier", "by the model", "What the model that you named says of the document: a probability of one label, a raw output, or the expected class.",
            "two_sided", (None, None), "float32",
            "As good as the model. Judges the beginning alone, as far as max_length.",
        ),
    ],
)  # fmt: skip
def classifier(
    batch: Batch,
    *,
    model: str = "",
    revision: str | None = None,
    label: str | int | None = None,
    output: str = "auto",
    max_length: int | None = None,
    pickled: bool = False,
    dtype: str = "auto",
) -> Columns:
    """What a model of your own says of a document's beginning; undefined for a blank document.

    Give it a name after a colon to keep several beside each other:
    explorer score DATA -s classifier:spam -p classifier:spam.model=PATH -p classifier:spam.label=spam

    Args:
        batch: documents.
        model: required: hub id or folder of a model with a sequence-classification or regression head.
        revision: commit of a hub id.
        label: which output, by the name that the model's configuration gives it, or by its number from 0; needless where there is one.
        output: "probability" of the label (softmax, or sigmoid where the configuration says multi_label_classification), "logit" (the
            raw output, the value of a regression), "expectation" (mean class weighted by probability, classes counted by their names
            where those are numbers and else from 0), or "auto" (a regression's value, else the label's probability).
        max_length: tokens that are read; by default as many as the model can take.
        pickled: whether weights that are not safetensors may be loaded; they can run code.
        dtype: "auto" (float32 on a CPU, half precision on a GPU), "float32", "bfloat16" or "float16".

    Raises:
        ModelError: no model was named, it is not on this machine, or it has no such label.

    """
    if not model:
        raise ModelError(
            "No model was named for 'classifier'. It takes a folder or a hub id of a model with a sequence-classification or regression head. "
            "Set model, for example: -s classifier:spam -p classifier:spam.model=PATH -p classifier:spam.label=spam"
        )
    places, texts = sequence.judged(batch)
    if not texts:
        return {"classifier": np.full(len(batch), np.nan, np.float32)}
    rater = sequence.load(model, revision, pickled=pickled, dtype=dtype)
    chosen_score = score(rater, rater.logits(texts, max_length=max_length), label, output)
    return {"classifier": sequence.placed(chosen_score, places, len(batch))}
