"""Detoxify's classifiers: sigmoid of each output, over windows, by whatever of the two sets of names the model uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")

from models.tiny import TEXTS, model

from explorer.engine.local import score_texts
from explorer.errors import ModelError
from explorer.signals.toxicity import KINDS, kinds

JIGSAW = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]


def test_names_of_both_sets_and_any_spelling() -> None:
    assert list(kinds(JIGSAW)) == list(KINDS)
    assert kinds(["Identity Attack", "sexual_explicit", "Severe-Toxicity", "toxicity"]) == {
        "identity_attack": 0,
        "severe_toxicity": 2,
        "toxicity": 3,
    }
    assert kinds(["LABEL_0", "LABEL_1"]) == {}


@pytest.mark.parametrize("kind", ["bert", "albert", "roberta"])
def test_highest_and_mean_of_the_windows(tmp_path: Path, kind: str) -> None:
    import torch
    import transformers

    path = model(tmp_path / kind, kind, labels=JIGSAW, problem="multi_label_classification")
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(path).eval()
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    highest, mean, windows = [], [], []
    for text in TEXTS:
        parts = torch.tensor(tokenizer(text, add_special_tokens=False).input_ids).split(16 - 2)
        with torch.no_grad():
            rows = [torch.sigmoid(network(torch.tensor([[first, *p.tolist(), last]])).logits[0]).numpy() for p in parts]
        highest.append(np.max(rows, axis=0))
        mean.append(np.average(rows, axis=0, weights=[len(p) for p in parts]))
        windows.append(len(rows))
    assert max(windows) > 5
    got = score_texts([*TEXTS, None, " "], ["toxicity"], {"toxicity": {"model": str(path), "max_length": 16}})
    assert len(got.column_names) == 12
    for i, name in enumerate(KINDS):
        np.testing.assert_allclose(got[f"tox_{name}_max"].to_pylist()[: len(TEXTS)], np.stack(highest)[:, i], atol=1e-5)
        np.testing.assert_allclose(got[f"tox_{name}_mean"].to_pylist()[: len(TEXTS)], np.stack(mean)[:, i], atol=1e-5)
        assert got[f"tox_{name}_max"].to_pylist()[len(TEXTS) :] == [None, None]


def test_a_kind_that_the_model_does_not_rate_is_null_and_one_without_toxicity_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path / "two", "bert", labels=["obscene", "toxicity"])
    got = score_texts(["text"], ["toxicity"], {"toxicity": {"model": str(path), "max_length": 16}})
    assert {name for name in got.column_names if got[name].null_count == 0} == {
        f"tox_{k}_{p}" for k in ("obscene", "toxicity") for p in ("max", "mean")
    }
    other = model(tmp_path / "spam", "bert", labels=["ham", "spam"])
    with pytest.raises(ModelError, match=r"no output for toxicity\. Its outputs: 'ham', 'spam'\. .*'classifier'"):
        score_texts(["text"], ["toxicity"], {"toxicity": {"model": str(other), "max_length": 16}})
