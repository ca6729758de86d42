"""Scorers where a corpus is partly embedded, a class says one thing only, or the first values of a column mislead."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer import scorers
from explorer.corpus.corpus import open_corpus
from explorer.engine.local import score
from explorer.errors import ModelError
from explorer.scorers.evaluation import MANY, mended
from explorer.scorers.examples import collect

MINILM = "all-MiniLM-L6-v2"
SEA, LAND = ["ship", "sail", "harbour", "anchor", "tide"], ["field", "plough", "barn", "wheat", "cart"]


def opened(tmp_path, texts, **columns):
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"text": texts, **columns}), path)
    return open_corpus(path, workspace=tmp_path / "ws")


@pytest.mark.thorough
def test_documents_that_are_not_embedded_stay_to_be_scored(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(SEA if i % 2 else LAND, 12)) for i in range(60)]
    texts[25] = "  "
    corpus = opened(tmp_path, texts)
    corpus.embed(MINILM, rows=range(30))
    labels = pl.DataFrame({"row": range(20), "label": ["good", "bad"] * 10})
    made = scorers.train(corpus, "mine", labels=labels)
    done = scorers.apply(corpus, "mine")
    assert (done.documents, done.scored, done.without_vector) == (60, 29, 31)
    assert corpus.coverage().scored_rows("scorer_mine") == 30, "a blank text is done, one without a vector is not"
    stored = corpus.columns.numbers("scorer_mine")

    done = scorers.apply(corpus, "mine", rows=[25, 40, 41])
    assert (done.documents, done.scored) == (3, 2)
    report = score(corpus, ["scorer:mine"], parameters={"scorer:mine": {"model": str(made.folder)}}, rows=list(range(30, 50)))
    assert (report.computed, report.reused) == (18, 2)
    corpus.embed(MINILM)
    done = scorers.apply(corpus, "mine")
    assert (done.documents, done.scored) == (60, 59)
    values = corpus.columns.numbers("scorer_mine")
    assert np.array_equal(np.flatnonzero(np.isnan(values)), [25])
    assert np.array_equal(values[:30], stored[:30], equal_nan=True), "what was there stays"
    assert values == pytest.approx(made.predict(texts), abs=0.01, nan_ok=True)
    assert corpus.coverage().scored_rows("scorer_mine") == 60


@pytest.mark.parametrize("many", [20, MANY])
def test_a_class_that_says_one_thing_only_is_refused(tmp_path, many):
    good = [f"{SEA[i % 5]} {i}" for i in range(many)]
    bad = ["the  barn", "The barn", "THE barn", "the BARN", "the barn ", " the barn"]
    corpus = opened(tmp_path, good + bad)
    labels = pl.DataFrame({"row": range(many + 6), "label": ["good"] * many + ["bad"] * 6})
    with pytest.raises(ModelError, match=rf"{many:,} good and 1 others, .*At least 5 of each class .*Label more documents\."):
        scorers.train(corpus, "mine", labels=labels)


def test_a_number_of_one_text_is_refused(tmp_path):
    texts = ["".join(c.upper() if i >> k & 1 else c for k, c in enumerate("barns")) for i in range(30)]
    corpus = opened(tmp_path, texts, y=[float(i) for i in range(30)])
    with pytest.raises(ModelError, match=r"can be learned from: 1, .*Choose a column"):
        scorers.train(corpus, "mine", column="y")


def test_probabilities_of_a_class_with_one_group_are_left_as_they_are():
    random = np.random.default_rng(0)
    yes = np.arange(60) < 20
    value = random.normal(size=60) + yes
    assert mended(value, yes, np.where(yes, 0, np.arange(60)), 0)[0] is None
    assert mended(value, yes, np.arange(60), 0)[0] is not None


def test_every_value_of_a_column_decides_what_is_learned(tmp_path):
    values = np.concatenate([np.tile([0.0, 1.0], 60_000), np.full(50_000, 0.7)])
    corpus = opened(tmp_path, [f"{SEA[i % 5]} {i % 997}" for i in range(len(values))], q=values)
    kind, examples = collect(corpus, None, None, "q", None, 100, 0)
    assert kind == "ridge"
    assert not examples.binary
    with pytest.raises(ModelError, match="3 different values"):
        collect(corpus, "logistic", None, "q", None, 100, 0)


def test_classes_are_counted_however_they_are_written(tmp_path):
    n = 40
    columns = {
        "number": [1.0, 0.0, 0.0, None] * 10,
        "truth": [True, False, False, None] * 10,
        "word": pa.array(["1", "0", "0", None] * 10).dictionary_encode(),
    }
    corpus = opened(tmp_path, [f"{SEA[i % 5]} {i}" for i in range(n)], **columns)
    for column in columns:
        _, examples = collect(corpus, "logistic", None, column, None, 1000, 0)
        assert list(examples.classes.values()) == [20, 10]
        assert examples.positive in ("1", "true")
        assert examples.rows.tolist() == [i for i in range(n) if i % 4 != 3]
        assert examples.target.tolist() == [i % 4 == 0 for i in range(n) if i % 4 != 3]


@pytest.mark.thorough
def test_mistakes_on_another_corpus_are_not_asked_about(tmp_path):
    from explorer.ui import labels as page

    texts = [f"{(SEA if i % 2 else LAND)[i // 2 % 5]} {i}" for i in range(40)]
    corpus = opened(tmp_path, texts)
    labels = pl.DataFrame({"row": range(40), "label": ["good", "bad"] * 20})
    made = scorers.train(corpus, "mine", labels=labels)
    assert page._drawn(corpus, page.WRONG, ("mine",), 0).tolist() == [m["row"] for m in made.mistakes]
    pq.write_table(pa.table({"text": texts[::-1]}), tmp_path / "other.parquet")
    other = open_corpus(tmp_path / "other.parquet", workspace=tmp_path / "ws")
    assert page._drawn(other, page.WRONG, ("mine",), 0).tolist() == []
    assert "another corpus" in page.why_empty(other, page.WRONG, ("mine",))
