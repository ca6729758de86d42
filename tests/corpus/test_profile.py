"""Problems and lengths against documents that can be counted by eye, and sampling against the whole."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.corpus.corpus import open_corpus
from explorer.corpus.profile import breakdown, group_sql, profile, repeated_rows, repeats

TEXTS = ["aaaa", "", None, " \t\n", "\u3000\u2003", "aaaa", "b" * 1000, "é", "c", "aaaa"]


@pytest.fixture
def corpus(write_parquet, tmp_path):
    path = write_parquet(
        "docs.parquet",
        {
            "id": [f"d{i}" for i in range(9)] + ["d0"],
            "text": TEXTS,
            "source": ["web"] * 4 + ["books"] * 3 + [None] * 3,
            "date": ["2019-03-01", "2019", None, "no date", "2020-01-01", "2020", "2021", "2021", "2021", ""],
        },
        row_group_size=3,
    )
    return open_corpus(path, workspace=tmp_path / "w")


def test_counts_are_exact_when_everything_is_read(corpus):
    found = profile(corpus)
    assert not found.sampled
    assert (found.null.count, found.empty.count, found.blank.count) == (1, 1, 2)
    assert found.null.exact
    lengths = sorted(len(t.encode()) for t in TEXTS if t)
    assert found.lengths.documents.sum() == len(lengths)
    assert found.lengths.median == np.median(lengths)
    assert found.lengths.longest == 1000


def test_repeats_leave_null_and_empty_out(corpus):
    ids, texts = repeats(corpus, "id"), repeats(corpus, "text")
    assert (ids.values, ids.documents) == (1, 1)
    assert (texts.values, texts.documents) == (1, 2)
    assert repeated_rows(corpus, "text").to_list() == [0, 5, 9]
    assert repeated_rows(corpus, "id").to_list() == [0, 9]


@pytest.mark.parametrize("by", ["source", "year", "id"])
def test_a_group_s_predicate_selects_the_group(corpus, by):
    found = breakdown(corpus, by)
    assert found.documents.sum() == len(corpus)
    assert found.tokens.sum() == pytest.approx(corpus.columns.tokens().values.sum())
    for label, n in zip(found.labels, found.documents, strict=True):
        predicate = group_sql(corpus, by, label)
        if label != "other":
            assert len(corpus.select(predicate)) == n, label
        else:
            assert predicate is None


def test_a_sample_is_scaled_and_its_interval_holds_the_truth(write_parquet, tmp_path):
    rng = np.random.default_rng(7)
    texts = [None if r < 0.1 else "" if r < 0.13 else "word " * int(1 + 40 * r) for r in rng.random(20_000)]
    corpus = open_corpus(write_parquet("many.parquet", {"text": texts}, row_group_size=200), workspace=tmp_path / "w")
    whole = profile(corpus)
    inside = 0
    for seed in range(20):
        part = profile(corpus, exact_text=1, sample_text=corpus.text_size // 4, seed=seed)
        assert part.sampled
        assert part.read_rows < 12_000
        assert part.lengths.documents.sum() == pytest.approx(whole.lengths.documents.sum(), rel=0.05)
        inside += part.null.low <= whole.null.count <= part.null.high
    assert inside >= 16  # 95 % intervals: fewer than 16 of 20 has a chance of about 0.3 %


def test_nothing_seen_in_a_sample_is_not_called_zero(write_parquet, tmp_path):
    corpus = open_corpus(write_parquet("few.parquet", {"text": ["word"] * 5_000}, row_group_size=50), workspace=tmp_path / "w")
    found = profile(corpus, exact_text=1, sample_text=1, seed=1)
    assert found.null.count == 0
    assert found.null.high > 0
    assert not found.null.exact


def test_an_empty_corpus_has_a_profile(write_parquet, tmp_path):
    import pyarrow as pa

    corpus = open_corpus(write_parquet("none.parquet", {"text": pa.array([], pa.string())}), workspace=tmp_path / "w")
    found = profile(corpus)
    assert (found.rows, found.null.count, found.lengths.median) == (0, 0, None)


def test_invalid_utf8_is_counted_and_not_fatal(write_parquet, tmp_path):
    import pyarrow as pa

    bad = pa.array([b"\xff\xfe ok", b"  ", b"fine"]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, bad.buffers())
    corpus = open_corpus(write_parquet("bad.parquet", pa.table({"text": text})), workspace=tmp_path / "w")
    assert profile(corpus).blank.count == 1
