"""A classifier of one's own: which number it gives, and the whole way through the engine with nothing run twice."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("transformers")

from models.tiny import TEXTS, model, plain

from explorer.corpus.corpus import open_corpus
from explorer.engine import pieces
from explorer.engine.local import score, score_texts
from explorer.engine.progress import Progress
from explorer.errors import ModelError
from explorer.models import sequence
from explorer.signals.classifier import chosen, points


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits.astype(np.float64))
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def spam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("own") / "spam", "roberta", labels=["ham", "spam", "7"])


def said(path: Path, **parameters: object) -> list[float | None]:
    return score_texts(TEXTS, ["classifier"], {"classifier": {"model": str(path), **parameters}})["classifier"].to_pylist()


def test_probability_logit_and_expectation(spam: Path) -> None:
    logits = plain(spam, TEXTS, max_length=64)
    np.testing.assert_allclose(said(spam, label="spam"), softmax(logits)[:, 1], atol=1e-5)
    np.testing.assert_allclose(said(spam, label="SPAM", output="probability"), softmax(logits)[:, 1], atol=1e-5)
    np.testing.assert_allclose(said(spam, label=0, output="logit"), logits[:, 0], atol=1e-5)
    np.testing.assert_allclose(said(spam, output="expectation"), softmax(logits) @ [0, 1, 2], atol=1e-5)
    short = plain(spam, TEXTS, max_length=9)
    np.testing.assert_allclose(said(spam, label="ham", max_length=9), softmax(short)[:, 0], atol=1e-5)
    assert score_texts([None, "", " "], ["classifier"], {"classifier": {"model": str(spam), "label": "ham"}})["classifier"].null_count == 3


def test_labels_that_do_not_exclude_each_other_and_regressions(tmp_path: Path) -> None:
    several = model(tmp_path / "several", "bert", labels=["news", "ad"], problem="multi_label_classification")
    np.testing.assert_allclose(said(several, label="ad"), 1 / (1 + np.exp(-plain(several, TEXTS, max_length=64)[:, 1])), atol=1e-5)
    with pytest.raises(ModelError, match="no common expectation"):
        said(several, output="expectation")
    value = model(tmp_path / "value", "bert", labels=1)
    np.testing.assert_allclose(said(value), plain(value, TEXTS, max_length=64)[:, 0], atol=1e-5)
    with pytest.raises(ModelError, match=r"is a regression: it gives values, not probabilities. Allowed: auto, logit"):
        said(value, output="probability")


def test_which_output_a_label_names() -> None:
    assert chosen(["a", "A", "b"], "A", "m") == 1
    assert chosen(["1", "2", "3"], "2", "m") == 1  # a name before a number
    assert chosen(["x", "y"], 1, "m") == 1
    assert chosen(["only"], None, "m") == 0
    for label, words in (
        (None, "No label was named, and 'm' has several outputs"),
        ("z", "Label 'z' is not among"),
        ("2", "Label '2' is not"),
    ):
        with pytest.raises(ModelError, match=rf"{words}.* Labels: 'x', 'y'\. Set label to one of them"):
            chosen(["x", "y"], label, "m")
    assert points(["1", "2.5", "10"]).tolist() == [1, 2.5, 10]
    assert points(["1 star", "2 stars"]).tolist() == [0, 1]


def test_what_is_missing_is_said(spam: Path) -> None:
    with pytest.raises(ModelError, match=r"No model was named for 'classifier'\. .*classifier:spam\.model=PATH"):
        score_texts(["text"], ["classifier"])
    with pytest.raises(ModelError, match=r"Output 'percent' is unknown\. Known: auto, probability"):
        said(spam, label="spam", output="percent")
    with pytest.raises(ModelError, match=r"has several outputs\. Labels: 'ham', 'spam', '7'"):
        said(spam)


def test_through_the_engine_each_text_is_read_once(spam: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str | None] = [f"{TEXTS[i % len(TEXTS)]} number {i}" for i in range(48)] + [None, "", "  \n", TEXTS[0], TEXTS[0]]
    (tmp_path / "c").mkdir()
    for i, part in enumerate(np.array_split(np.array(texts, object), 2)):
        pq.write_table(pa.table({"text": pa.array(list(part), pa.string())}), tmp_path / "c" / f"{i}.parquet", row_group_size=10)
    corpus = open_corpus(tmp_path / "c", workspace=tmp_path / "w")
    corpus_texts = corpus.documents(range(len(corpus)), ["text"])["text"].to_list()
    parameters = {"classifier:spam": {"model": str(spam), "label": "spam"}}
    rater, read = sequence.load(str(spam)), []
    forward = rater.network.forward

    def counted(**inputs: object) -> object:
        read.append(len(inputs["input_ids"]))  # type: ignore[arg-type]
        return forward(**inputs)

    monkeypatch.setattr(rater.network, "forward", counted)
    monkeypatch.setattr(pieces, "FIRST_PIECE", 5)
    monkeypatch.setattr(pieces, "MOST_ROWS", 5)

    seen = score(corpus, ["classifier:spam"], parameters=parameters, rows=[3, 30, 7])
    assert (seen.computed, sum(read)) == (3, 3)
    values = corpus.columns.numbers("classifier_spam")
    assert np.flatnonzero(~np.isnan(values)).tolist() == [3, 7, 30]

    stop = threading.Event()

    def interrupt(progress: Progress) -> None:
        if progress.done_rows >= 20:
            stop.set()

    first = score(corpus, ["classifier:spam"], parameters=parameters, on_progress=interrupt, cancel=stop)
    assert first.cancelled
    assert sum(read) < 40
    rest = score(corpus, ["classifier:spam"], parameters=parameters)
    assert rest.reused == 3 + first.computed
    assert sum(read) == 48 + 1  # TEXTS[0] stands twice, and what is blank is never read
    judged = [i for i, text in enumerate(corpus_texts) if text and text.strip()]
    expected = np.full(len(corpus), np.nan, np.float32)
    expected[judged] = softmax(plain(spam, [corpus_texts[i] for i in judged], max_length=64))[:, 1]
    np.testing.assert_allclose(corpus.columns.numbers("classifier_spam"), expected, atol=1e-5)
    assert rest.nulls["classifier_spam"] == 3

    again = score(corpus, ["classifier:spam"], parameters=parameters)
    assert (again.computed, sum(read)) == (0, 49)
    model(spam, "roberta", labels=["ham", "spam", "7"], seed=5)  # the same path, other weights
    other = score(corpus, ["classifier:spam"], parameters=parameters)
    assert other.computed == len(corpus)
