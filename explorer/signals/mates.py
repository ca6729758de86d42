"""MATES' data influence model: how much one training step on a document would lower the loss on a reference task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from explorer.errors import ModelError
from explorer.models import sequence
from explorer.models.sequence import Classifier, Piece
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

_UNCHECKED = (
    "Not checked against the released weights (get them with: hf download yuzc19/bert-base-uncased-data-influence-model-lambada). "
    "Holds for the checkpoint of the language model that it was trained for, and goes stale as that model trains on. "
    "Reads the first 1,024 tokens alone."
)


def halves(piece: Piece, length: int) -> list[Piece]:
    """A text's tokens cut in two after ``length``; one piece where the second half would be padding alone."""
    ends = [(0, length), (length, len(piece.ids))]
    return [Piece(piece.ids[a:b], piece.types[a:b], len(piece.ids[a:b])) for a, b in ends if len(piece.ids[a:b])]


def predicted(rater: Classifier, texts: list[str], max_length: int) -> np.ndarray:
    """The regression head over the mean of the last hidden states of all tokens of two halves, float32 [n].

    Each half is encoded by itself, with positions from 0; [CLS] stands before the first and [SEP] after the last token alone. A
    half that is all padding adds nothing to the mean, so it is not run.
    """
    length = rater.checked(max_length // 2) or max_length // 2
    parts = [halves(pieces[0], length) if pieces[0].text else [] for pieces in rater.encode(texts, 2 * length)]
    document = np.repeat(np.arange(len(texts)), [len(p) for p in parts])
    flat = [piece for pieces in parts for piece in pieces]
    if not flat:
        return np.full(len(texts), np.nan, np.float32)
    sums = rater.run(flat, _summed)
    total = np.zeros((len(texts), sums.shape[1]))
    np.add.at(total, document, sums)
    n = np.bincount(document, [len(p.ids) for p in flat], len(texts))
    mean = np.divide(total, n[:, None], out=np.full(total.shape, np.nan), where=n[:, None] > 0)
    head = rater.network.classifier
    weight, bias = (x.detach().float().cpu().numpy() for x in (head.weight, head.bias))
    return (mean @ weight[0] + bias[0]).astype(np.float32)


def _summed(network: Any, inputs: dict[str, Any]) -> Any:
    """Sum of the last hidden states over attended tokens, float32 [rows, d]."""
    states = network.base_model(**inputs).last_hidden_state.float()
    return states.masked_fill(~inputs["attention_mask"].bool()[..., None], 0.0).sum(dim=1)


def _load(model: str, revision: str | None, pickled: bool, dtype: str) -> Classifier:
    rater = sequence.load(model, revision, pickled=pickled, dtype=dtype)
    sequence.expect_outputs(rater, 1, "A data influence model")
    base = rater.network.base_model_prefix
    head = sorted(name for name, _ in rater.network.named_parameters() if not name.startswith(f"{base}."))
    if head != ["classifier.bias", "classifier.weight"]:
        raise ModelError(
            f"Model {model!r} is no data influence model: its head is {', '.join(head)}. "
            "MATES' is a BERT with one linear layer called classifier. Name such a model."
        )
    return rater


@family(
    version=1,
    source="Yu et al. 2024 (MATES), arXiv:2406.06046; cxcscmu/MATES, src/select_data/modeling_data_influence_model.py",
    signals=[
        Signal(
            "mates_pred_ref_loss_z", "standard deviations", "Predicted loss on the reference task after one training step on the document, in standard deviations of the loss that the model was trained to predict.",
            "lower_is_better", (None, None), "float32", f"{_UNCHECKED} Lower is more useful.",
        ),
        Signal(
            "mates_score", "standard deviations", "Minus mates_pred_ref_loss_z: predicted influence of the document, higher is more useful.",
            "higher_is_better", (None, None), "float32", _UNCHECKED,
        ),
        Signal(
            "mates_checkpoint", "name", "The language model's checkpoint that the score is for, as the parameter checkpoint names it.",
            dtype="string", misleads="Scores of different checkpoints answer different questions.",
        ),
    ],
)  # fmt: skip
def mates(
    batch: Batch,
    *,
    model: str = "yuzc19/bert-base-uncased-data-influence-model-lambada",
    revision: str | None = None,
    checkpoint: str | None = None,
    max_length: int = 1024,
    pickled: bool = False,
    dtype: str = "auto",
) -> Columns:
    """Predicted influence of a document's first 1,024 tokens on a reference task; undefined for a blank document.

    A BERT with one linear layer on the mean over the tokens of two halves. transformers' own BertForSequenceClassification loads the
    same weights but reads the first token instead, and gives wrong numbers.

    Args:
        batch: documents.
        model: hub id or folder of a data influence model.
        revision: commit of a hub id.
        checkpoint: of the language model that the influence is for, kept beside the scores.
        max_length: tokens that are read, [CLS] and [SEP] among them, in two halves.
        pickled: whether weights that are not safetensors may be loaded; they can run code.
        dtype: "auto" (float32 on a CPU, half precision on a GPU), "float32", "bfloat16" or "float16".

    Raises:
        ModelError: the model is not on this machine, or is no data influence model.

    """
    places, texts = sequence.judged(batch)
    loss = np.full(len(batch), np.nan, np.float32)
    if texts:
        loss = sequence.placed(predicted(_load(model, revision, pickled, dtype), texts, max_length), places, len(batch))
    named = [None if np.isnan(value) else checkpoint for value in loss.tolist()]
    return {"mates_pred_ref_loss_z": loss, "mates_score": -loss, "mates_checkpoint": pa.array(named, pa.string())}
