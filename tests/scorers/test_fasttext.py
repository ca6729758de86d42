"""fastText's pitfalls: line feeds, empty texts, labels inside texts, memory that was not its own, files that are no models."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.errors import ModelError
from explorer.models import fasttext

GOOD, BAD = "good fine nice tidy", "bad poor ugly broken"


@pytest.fixture(scope="module")
def trained():
    texts = [f"{GOOD if i % 2 else BAD} word{i}\nline two" for i in range(200)]
    return fasttext.train(texts, ["hq" if i % 2 else "cc" for i in range(200)])


def test_probability_of_one_label_and_its_complement(trained):
    model, used = trained
    assert used["wordNgrams"] == 2
    p = model.probability(["good fine nice", "bad poor ugly"], "hq")
    assert p.dtype == np.float32
    assert p[0] > 0.9 > 0.1 > p[1]
    assert model.probability(["good fine"], "hq") + model.probability(["good fine"], "__label__cc") == pytest.approx(1, abs=1e-4)
    assert ((p >= 0) & (p <= 1)).all(), "fastText's own softmax gives 1.00001"
    label, top = model.top(["bad poor ugly"])[0]
    assert (label, top) == ("cc", pytest.approx(1 - p[1], abs=1e-4))
    with pytest.raises(ModelError, match=r"Labels: '(hq|cc)', '(hq|cc)'"):
        model.probability(["x"], "spam")


def test_line_feeds_are_spaces_and_blank_texts_have_no_answer(trained):
    model, _ = trained
    one, two = model.probability(["good\nfine\nnice", "good fine nice"], "hq")
    assert one == two
    joined = model.probability(["goodfinenice"], "hq")[0]
    assert abs(joined - two) > 0.2, "deleting line feeds would join words into unknown ones"
    assert np.isnan(model.probability([None, "", " \n\t "], "hq")).all()
    assert model.top([None, ""]) == [None, None]
    assert np.isfinite(model.probability(["a\x00b", "lone \ud800 surrogate", "x" * 100_000], "hq")).all()


def test_a_label_inside_a_text_is_a_word():
    texts = [f"{GOOD if i % 2 else BAD} __label__hq __label__new {i}" for i in range(60)]
    model, _ = fasttext.train(texts, ["hq" if i % 2 else "cc" for i in range(60)])
    assert set(model.labels) == {"hq", "cc"}
    assert model.probability([BAD], "hq")[0] < 0.3


def test_the_same_texts_give_the_same_model_whatever_lay_in_memory(trained):
    texts = [f"{GOOD if i % 2 else BAD} word{i}" for i in range(60)]
    labels = ["hq" if i % 2 else "cc" for i in range(60)]
    asked = ["good nice", "poor", "word3 word5"]
    np.ones(7_500_000, np.float32)  # freed at once: glibc keeps blocks of up to this size from now on
    found = []
    for value in (0.0, np.nan, 1e30, 0.3):
        waste = [np.full(250_000, value, np.float32) for _ in range(200)]  # freed memory that a careless model would start from
        last = np.full(250_000, value, np.float32)  # what lies before it is not given back to the system
        del waste
        found.append(fasttext.train(texts, labels)[0].probability(asked, "hq"))
        del last
    assert np.array_equal(found, [found[0]] * 4)


def test_telling_words(trained):
    pro, con = trained[0].telling("hq", 4)
    assert {word for word, _ in pro} == set(GOOD.split())
    assert {word for word, _ in con} == set(BAD.split())
    assert [w for _, w in pro] == sorted((w for _, w in pro), reverse=True)


def test_a_model_is_saved_and_loaded_and_other_files_are_refused(trained, tmp_path):
    model, _ = trained
    path = tmp_path / "m.bin"
    fasttext.save(model, path)
    again = fasttext.load(path)
    assert again.labels == model.labels
    assert np.array_equal(again.probability([GOOD, BAD], "hq"), model.probability([GOOD, BAD], "hq"))
    assert fasttext.load(path) is again, "kept in memory"
    (tmp_path / "no.bin").write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(ModelError, match="no fastText model"):
        fasttext.load(tmp_path / "no.bin")
    with pytest.raises(ModelError, match="is not there"):
        fasttext.load(tmp_path / "absent.bin")
    with pytest.raises(ModelError, match="all are blank"):
        fasttext.train(["", None], ["a", "b"])
