"""FineWeb-Edu's classifier: one regression output, the first tokens alone, and its rounding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")

from models.tiny import TEXTS, model, plain

from explorer.engine.local import score_texts
from explorer.errors import ModelError
from explorer.signals.fineweb_edu import int_score

# Python's round(min(max(score, 0), 5)), as the reference does it.
KNOWN = {-0.4: 0, 0.49: 0, 0.5: 0, 1.5: 2, 2.49: 2, 2.5: 2, 2.51: 3, 3.5: 4, 4.5: 4, 5.7: 5}


def test_scores_are_clipped_and_rounded_with_halves_to_even() -> None:
    got = int_score(np.array([*KNOWN, np.nan], np.float32)).to_pylist()
    assert got == [*KNOWN.values(), None]
    assert [score for score, points in KNOWN.items() if points >= 3] == [2.51, 3.5, 4.5, 5.7]


def test_reads_the_regression_head_over_the_first_tokens(tmp_path: Path) -> None:
    path = model(tmp_path / "edu", "bert", labels=1)
    texts = [*TEXTS, None, "", " \n\t\u3000"]
    got = score_texts(texts, ["fineweb_edu"], {"fineweb_edu": {"model": str(path), "max_length": 20}})
    expected = plain(path, TEXTS, max_length=20)[:, 0]
    np.testing.assert_allclose(got["edu_score"].to_pylist()[: len(TEXTS)], expected, atol=1e-5)
    assert got["edu_int_score"].to_pylist()[: len(TEXTS)] == [round(max(0, min(float(x), 5))) for x in expected]
    assert got["edu_score"].to_pylist()[len(TEXTS) :] == [None] * 3
    assert got["edu_int_score"].to_pylist()[len(TEXTS) :] == [None] * 3
    assert str(got["edu_int_score"].type) == "int64"


def test_another_head_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path / "six", "bert", labels=6)
    with pytest.raises(ModelError, match=r"has 6 outputs \('LABEL_0', .*FineWeb-Edu's classifier has 1\. .*'classifier' takes any"):
        score_texts(["text"], ["fineweb_edu"], {"fineweb_edu": {"model": str(path)}})


def test_nothing_to_judge_needs_no_model() -> None:
    parameters = {"fineweb_edu": {"model": "/nowhere"}}
    assert score_texts([None, " "], ["fineweb_edu"], parameters)["edu_score"].null_count == 2
    with pytest.raises(ModelError, match="'/nowhere' does not exist"):
        score_texts(["text"], ["fineweb_edu"], parameters)


def test_512_tokens_of_a_model_that_takes_no_more(tmp_path: Path) -> None:
    path = model(tmp_path / "short", "bert", labels=1, longest=64)
    with pytest.raises(ModelError, match=r"cannot read 512 tokens at once\. It takes at least 3 and at most 64"):
        score_texts(["text"], ["fineweb_edu"], {"fineweb_edu": {"model": str(path)}})
    assert json.loads((path / "config.json").read_text())["max_position_embeddings"] == 64
