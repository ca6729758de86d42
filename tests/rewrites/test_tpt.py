"""Thinking beside its document: length, copying, truncation, and the tokens that it adds to a mix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.engine.local import score_texts
from explorer.errors import SelectionError
from explorer.primitives.batch import Batch
from explorer.rewrites.checks.tpt import thinking, tpt_text
from explorer.rewrites.methods.augmented import augmented_tokens
from explorer.rewrites.methods.ends import ended
from explorer.rewrites.methods.novelty import copied_grams, novel_grams
from explorer.rewrites.pairs import Pairs, open_pairs
from explorer.sample import sample_corpus_files, sample_rewrites_file

DOCUMENT = "The river begins in the hills above the old town and ends in the sea."


def row(document: str | bytes | None, text: str | bytes | None) -> dict[str, float | None]:
    found = score_texts([text], ["tpt"], originals=[document]).to_pylist()[0]  # type: ignore[list-item]
    return {name.removeprefix("tpt_"): value for name, value in found.items()}


def test_thinking_alone_and_joined_give_the_same() -> None:
    thought = "First: the river begins in the hills above the old town, they say. Why there"
    alone, joined = row(DOCUMENT, thought), row(DOCUMENT, DOCUMENT + thought)
    assert (alone.pop("joined"), joined.pop("joined")) == (0, 1)
    assert alone == joined
    assert alone["len_ratio"] == pytest.approx(len(thought) / len(DOCUMENT))
    assert alone["copied_frac"] == pytest.approx(3 / 8)  # 15 words are 8 stretches of eight: three of the ten words copied
    assert alone["truncated"] == 1
    assert row(DOCUMENT, tpt_text(DOCUMENT, "Yes."))["truncated"] == 0


def test_undefined_is_null() -> None:
    assert set(row(None, "x").values()) == {None}
    assert row("", "x.") == {"joined": 0, "len_ratio": None, "copied_frac": None, "truncated": 0}
    assert row("x", "") == {"joined": 0, "len_ratio": 0, "copied_frac": None, "truncated": None}
    assert row("x", "x") == {"joined": 1, "len_ratio": 0, "copied_frac": None, "truncated": None}


@pytest.mark.parametrize(
    ("text", "whole"),
    [("It ends.", True), ("“It ends.”  \n", True), ("**It ends!**", True), ("It ends…", True), ("它结束了。", True), ("It en", False), ("x = 3", False),
     ("", False), (" \n", False), (None, False), ("...", True), ('"', False), (b"ends.\xff", False), ("\u202eends.", True), ("ends.\u202c", False)],
)  # fmt: skip
def test_the_end_of_a_text(text: str | bytes | None, whole: bool) -> None:
    assert ended(Batch.of([text])).tolist() == [whole]


def test_a_document_must_be_there_byte_for_byte() -> None:
    batch, joined = thinking(Batch.of(["ab", "ab", b"\xff\xfe", "long text"]), Batch.of(["abc", " abc", b"\xff\xfe x", "long"]))
    assert joined.tolist() == [True, False, True, False]
    assert batch.array.to_pylist() == [b"c", b" abc", b" x", b"long"]


def test_copied_stretches() -> None:
    every, found = copied_grams(Batch.of(["a b c d", "", "a b", "x"]), Batch.of(["a b c x a b", "a b", "", "A B"]), 2)
    assert every.tolist() == [5, 1, 0, 1]
    assert found.tolist() == [3, 0, 0, 0]  # a b, b c, a b


def test_new_stretches() -> None:
    texts = Batch.of(["a b c", "a b c", "b c d b c", "a b c", "x", None, "a b"])
    different, new = novel_grams(texts, np.array([0, 0, 0, 7, 7, 9, 9]), 2)
    assert different.tolist() == [2, 2, 3, 2, 0, 0, 1]  # b c stands twice in the third and counts once
    assert new.tolist() == [2, 0, 2, 2, 0, 0, 1]
    different, new = novel_grams(texts, np.zeros(7, np.int64), 2, most_grams=6)
    assert different.tolist() == [2, 2, -1, -1, -1, 0, -1], "past the limit nothing is known"


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    originals = {"id": ["a", "b", "c"], "text": ["t"] * 3, "source": ["maths", "web", "web"], "n_tokens": [100, 50, 150]}
    texts = {"id": ["a", "b", "b", "zz"], "rewrite": ["x"] * 4, "n_tokens": [300, 50, 25, 1000]}
    pq.write_table(pa.table(originals), tmp_path / "o.parquet")
    pq.write_table(pa.table(texts), tmp_path / "r.parquet")
    return open_pairs(tmp_path / "o.parquet", tmp_path / "r.parquet", workspace=tmp_path / "w")


def test_augmented_tokens(pairs: Pairs) -> None:
    table = augmented_tokens(pairs, budget=1150)
    names = ["group", "pairs", "document_tokens", "thinking_tokens", "augmented_tokens", "multiplier"]
    assert sorted(table.select(names).rows()) == [
        ("all", 3, 200, 375, 575, 2.875),
        ("maths", 1, 100, 300, 400, 4.0),
        ("web", 2, 100, 75, 175, 1.75),
    ]
    shares = {g: (b, a) for g, b, a in table.select("group", "share_before", "share_after").iter_rows()}
    assert shares["maths"] == (0.5, pytest.approx(400 / 575)), "what is thought about longer weighs more"
    assert table["epochs"].unique().to_list() == [2.0]
    joined = augmented_tokens(pairs, joined=True)
    assert joined.filter(group="web").select(names[2:5]).row(0) == (100, -25, 75), "texts that cannot hold their document show"
    with pytest.raises(SelectionError, match="It counts tokens to train on"):
        augmented_tokens(pairs, budget=0)


def test_on_the_sample(tmp_path: Path) -> None:
    sample = open_pairs(sample_corpus_files(), sample_rewrites_file(), on="id", workspace=tmp_path)
    sample.score("tpt")
    copied = sample.columns.numbers("tpt_copied_frac")
    assert 0 <= np.nanmin(copied) < 0.05
    assert np.nanmax(copied) > 0.9
    assert np.nansum(sample.columns.numbers("tpt_joined")) >= 6, "verbatim copies hold their document, and no thinking"
    table = augmented_tokens(sample)
    assert table.filter(group="all")["pairs"].to_list() == [239]
    assert 1 < table.filter(group="all")["multiplier"][0] < 3
