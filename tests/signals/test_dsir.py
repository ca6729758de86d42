"""Importance by hashed word n-grams: the toy's numbers, the words counted one by one in Python, and files."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.corpus.corpus import open_corpus
from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.primitives.swar import SEED, hash_bytes, hash_finish, hash_step
from explorer.signals.dsir import BUCKETS, count, dsir, fit, log_ratio

TARGET = ["The theorem follows from the lemma.", "A proof by induction, as above.", "Let x be a prime number; then x > 1."]
SOURCE = ["Buy cheap shoes online!", "The weather is fine, the shop is open.", "Click here to log in.", None, ""]


@pytest.fixture
def fitted(tmp_path: Path) -> str:
    fit(TARGET, SOURCE, tmp_path / "maths.npz")
    return str(tmp_path / "maths.npz")


def buckets_of(text: str) -> list[int]:
    """Words as NLTK's WordPunctTokenizer cuts them, and their neighbours in pairs."""
    hashes = []
    for word in re.findall(r"\w+|[^\w\s]+", text):
        raw = np.frombuffer(word.encode(), np.uint8)
        hashes.append(hash_bytes(raw, 0, len(raw)))
    pairs = [hash_finish(np.uint64(hash_step(np.uint64(hash_step(SEED, np.uint64(a))), np.uint64(b))), 16) for a, b in pairwise(hashes)]
    return [int(h) % BUCKETS for h in (*hashes, *pairs)]


def test_the_toy() -> None:
    difference = log_ratio(np.array([8, 1, 1, 0]), np.array([2, 4, 3, 1]))
    np.testing.assert_allclose(difference, [1.386294323619892, -1.3862942861198952, -1.0986122220014471, -16.118095750958318], rtol=1e-12)
    document = np.array([2, 1, 0, 1])
    assert document @ difference == pytest.approx(-14.731801389838429, rel=1e-12)
    assert document @ difference / document.sum() == pytest.approx(-3.6829503474596073, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", " \n", "word", "a b", "Let x_1 > 2, i.e. naïve Ünïcode!", "日本語の文 e\u0301", "…—“a”", "a\u00a0b\u2028c"]
)
def test_words_and_pairs_are_those_of_the_definition(text: str) -> None:
    found = count([text])
    assert {int(b): int(found[b]) for b in np.flatnonzero(found)} == Counter(buckets_of(text))


def test_importance_is_the_sum_over_the_documents_features(fitted: str) -> None:
    difference = log_ratio(count(TARGET), count(SOURCE))
    texts = ["The proof is above.", "Buy shoes online!", "theorem"]
    columns = dsir(Batch.of(texts), model=fitted)
    for text, score, mean in zip(texts, columns["dsir"], columns["dsir_mean"], strict=True):
        expected = [difference[b] for b in buckets_of(text)]
        assert score == pytest.approx(sum(expected), rel=1e-9)
        assert mean == pytest.approx(np.mean(expected), rel=1e-9)
    assert columns["dsir_mean"][0] > columns["dsir_mean"][1]


def test_a_document_without_a_word_is_undefined(fitted: str) -> None:
    columns = dsir(Batch.of(["", " \n\t", None, "word"]), model=fitted)
    assert np.isnan(columns["dsir"]).tolist() == np.isnan(columns["dsir_mean"]).tolist() == [True, True, True, False]


def test_a_document_does_not_depend_on_its_neighbours(fitted: str) -> None:
    texts = [*TARGET, *SOURCE, b"caf\xe9 \xff word"]
    together = dsir(Batch.of(texts), model=fitted)["dsir"]
    alone = [dsir(Batch.of([t]), model=fitted)["dsir"][0] for t in texts]
    np.testing.assert_array_equal(together, alone)
    assert dsir(Batch.of([]), model=fitted)["dsir"].shape == (0,)


def test_a_corpus_its_path_and_its_texts_are_counted_alike(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    pq.write_table(pa.table({"text": SOURCE}), folder / "a.parquet", row_group_size=2)
    expected = count(SOURCE)
    assert expected.sum() == sum(len(buckets_of(t)) for t in SOURCE if t)
    np.testing.assert_array_equal(count(folder), expected)
    np.testing.assert_array_equal(count(open_corpus(folder, workspace=tmp_path / "w")), expected)
    (tmp_path / "one.txt").write_text(TARGET[0])
    np.testing.assert_array_equal(count(tmp_path / "one.txt"), count(TARGET[:1]))


def test_through_the_engine_and_the_same_text_never_twice(tmp_path: Path, fitted: str) -> None:
    (tmp_path / "c").mkdir()
    pq.write_table(pa.table({"text": TARGET + SOURCE}), tmp_path / "c" / "a.parquet")
    corpus = open_corpus(tmp_path / "c", workspace=tmp_path / "w")
    report = corpus.score(["dsir:maths"], parameters={"dsir:maths": {"model": fitted}})
    assert (report.computed, report.nulls["dsir_maths"]) == (8, 2)
    values = corpus.columns.numbers("dsir_mean_maths")
    assert np.nanmin(values[:3]) > np.nanmax(values[3:6])
    # other distributions in the same file are another score
    fit(SOURCE, TARGET, fitted)
    assert corpus.score(["dsir:maths"], parameters={"dsir:maths": {"model": fitted}}).computed == 8


def test_files_that_cannot_be_used(tmp_path: Path, fitted: str) -> None:
    batch = Batch.of(["a"])
    with pytest.raises(SignalError, match=r"No fitted distributions were given\. .* set model to that file"):
        dsir(batch)
    with pytest.raises(SignalError, match="does not exist"):
        dsir(batch, model=str(tmp_path / "none.npz"))
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(SignalError, match="holds no fitted distributions"):
        dsir(batch, model=str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "old.npz", format=np.int64(0), target=np.ones(3, np.int64), source=np.ones(3, np.int64))
    with pytest.raises(SignalError, match="was fitted by another version"):
        dsir(batch, model=str(tmp_path / "old.npz"))
    with pytest.raises(SignalError, match="The target has no word"):
        fit([""], SOURCE, tmp_path / "x.npz")
    with pytest.raises(SignalError, match=r"does not end in \.npz"):
        fit(TARGET, SOURCE, tmp_path / "x.bin")
    with pytest.raises(SignalError, match="buckets 1 is too few"):
        fit(TARGET, SOURCE, tmp_path / "x.npz", buckets=1)
    assert not (tmp_path / "x.npz").exists()
