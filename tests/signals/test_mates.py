"""MATES' data influence model: the mean over two halves encoded by themselves, never the first token's state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")

from models.tiny import TEXTS, model, plain

from explorer.engine.local import score_texts
from explorer.errors import ModelError

HALF = 32
LONG = [" ".join(TEXTS), TEXTS[0] * 9, "river " * (2 * HALF), "river " * (HALF - 1), "river " * HALF]


def reference(path: Path, texts: list[str]) -> np.ndarray:
    """As MATES' own class: padded to two halves, reshaped, masked mean over both, one linear layer."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(path).eval()
    batch = tokenizer(texts, padding="max_length", truncation=True, max_length=2 * HALF, return_tensors="pt")
    ids, mask = batch["input_ids"], batch["attention_mask"]
    assert ids.shape == (len(texts), 2 * HALF)
    with torch.no_grad():
        states = network.bert(ids.reshape(-1, HALF), attention_mask=mask.reshape(-1, HALF)).last_hidden_state
        states = states.reshape(len(texts), 2 * HALF, -1).masked_fill(~mask[..., None].bool(), 0.0)
        return network.classifier(states.sum(dim=1) / mask.sum(dim=1)[..., None])[:, 0].numpy()


@pytest.fixture(scope="module")
def rater(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("mates") / "bert", "bert", labels=1, longest=HALF, problem="regression")


def test_agrees_with_the_reference_on_long_and_short_texts(rater: Path) -> None:
    texts = [*TEXTS, *LONG]
    expected = reference(rater, texts)
    parameters = {"mates": {"model": str(rater), "max_length": 2 * HALF, "checkpoint": "pythia-410m@40000"}}
    got = score_texts([*texts, None, " "], ["mates"], parameters)
    np.testing.assert_allclose(got["mates_pred_ref_loss_z"].to_pylist()[: len(texts)], expected, atol=1e-5)
    np.testing.assert_allclose(got["mates_score"].to_pylist()[: len(texts)], -expected, atol=1e-5)
    assert got["mates_checkpoint"].to_pylist() == ["pythia-410m@40000"] * len(texts) + [None, None]
    assert got["mates_score"].to_pylist()[len(texts) :] == [None, None]
    # The second half of these is all padding, which is not run; transformers' pooling of the first token is something else.
    first_token = plain(rater, TEXTS, max_length=HALF)[:, 0]
    assert np.abs(first_token - expected[: len(TEXTS)]).min() > 1e-3


def test_a_text_alone_or_in_a_batch(rater: Path) -> None:
    parameters = {"mates": {"model": str(rater), "max_length": 2 * HALF}}
    texts = [*LONG, *TEXTS]
    together = score_texts(texts, ["mates"], parameters)["mates_score"].to_pylist()
    alone = [score_texts([text], ["mates"], parameters)["mates_score"][0].as_py() for text in texts]
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert score_texts(["x"], ["mates"], parameters)["mates_checkpoint"].to_pylist() == [None]


def test_another_head_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path / "roberta", "roberta", labels=1)
    with pytest.raises(ModelError, match=r"is no data influence model: its head is classifier.dense.bias, .*one linear layer"):
        score_texts(["text"], ["mates"], {"mates": {"model": str(path), "max_length": 64}})
