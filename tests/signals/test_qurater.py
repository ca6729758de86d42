"""QuRater: four outputs in order, no special tokens, the whole text in pieces weighted by their tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")

from models.tiny import TEXTS, model

from explorer.engine.local import score_texts
from explorer.errors import ModelError
from explorer.registry import find
from explorer.signals.qurater import CRITERIA


def test_the_mean_of_the_pieces_weighted_by_their_tokens(tmp_path: Path) -> None:
    import torch
    import transformers

    path = model(tmp_path / "qurater", "llama", labels=4)
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(path).eval()
    assert network.config.pad_token_id is None  # as the released model's; the reference sets one by hand
    expected, pieces = [], []
    for text in TEXTS:
        ids = torch.tensor(tokenizer(text, add_special_tokens=False).input_ids)
        with torch.no_grad():
            logits = [network(part[None]).logits[0].numpy() for part in ids.split(24)]
        expected.append(np.average(logits, axis=0, weights=[len(part) for part in ids.split(24)]))
        pieces.append(len(logits))
    assert max(pieces) > 3
    got = score_texts([*TEXTS, None, "", "\n"], ["qurater"], {"qurater": {"model": str(path), "max_length": 24}})
    assert got.column_names == [f"qurater_{name}" for name in CRITERIA]
    for i, name in enumerate(got.column_names):
        np.testing.assert_allclose(got[name].to_pylist()[: len(TEXTS)], np.stack(expected)[:, i], atol=1e-5)
        assert got[name].to_pylist()[len(TEXTS) :] == [None] * 3
    assert [s.name for s in find("qurater").signals] == [
        "qurater_writing_style",
        "qurater_required_expertise",
        "qurater_facts_and_trivia",
        "qurater_educational_value",
    ]


def test_another_head_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path / "two", "llama", labels=2)
    with pytest.raises(ModelError, match=r"has 2 outputs .*QuRater has 4"):
        score_texts(["text"], ["qurater"], {"qurater": {"model": str(path), "max_length": 24}})
