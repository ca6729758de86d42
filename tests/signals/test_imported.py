"""Somebody else's table as a signal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.errors import ColumnNotFoundError, SignalError


@pytest.fixture
def corpus(write_parquet: Callable[..., Path], tmp_path: Path) -> Corpus:
    return open_corpus(write_parquet("a.parquet", {"id": [1, 2, 3], "text": ["one", "two", "three"]}), workspace=tmp_path / "w")


def score(corpus: Corpus, table: Path, name: str = "imported", **given: str) -> list[float | None]:
    corpus.score(name, parameters={name: {"table": str(table), **given}})
    column = name.replace(":", "_")
    return corpus.sql(f"SELECT {column} FROM corpus ORDER BY _row")[column].to_list()


def test_joined_by_id_and_null_where_the_table_has_none(corpus: Corpus, tmp_path: Path) -> None:
    pl.DataFrame({"id": ["3", "1", "9", "1"], "loss": [0.5, 2.0, 7.0, 2.0]}).write_parquet(tmp_path / "t.parquet")
    assert score(corpus, tmp_path / "t.parquet", "imported:loss") == [2.0, None, 0.5]
    (tmp_path / "t.csv").write_text("doc,kept,note\n1,true,x\n2,false,y\n")
    assert score(corpus, tmp_path / "t.csv", "imported:kept", on="doc", column="kept") == [1.0, 0.0, None]
    assert corpus.select("imported_kept = 1").rows().tolist() == [0]


def test_a_changed_table_is_another_signal(corpus: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,x\n1,5\n")
    assert score(corpus, path) == [5.0, None, None]
    path.write_text("id,x\n1,60\n2,7\n")
    assert score(corpus, path) == [60.0, 7.0, None]


def test_texts_without_ids_are_joined_by_their_hash(write_parquet: Callable[..., Path], tmp_path: Path) -> None:
    from hashlib import sha256

    corpus = open_corpus(write_parquet("b.parquet", {"text": ["one", "two"]}), workspace=tmp_path / "w")
    (tmp_path / "t.csv").write_text(f"id,x\n{sha256(b'two').hexdigest()},3\n")
    assert score(corpus, tmp_path / "t.csv") == [None, 3.0]


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("id,x\n1,1\n1,2\n", {}, "different values for the id '1'"),
        ("id,x\n8,1\n", {}, "0 of 3 documents are in 't.csv'"),
        ("id,x,y\n1,1,2\n", {}, "2 columns of numbers: 'x', 'y'. Name one"),
        ("id,x\n1,a\n", {"column": "x"}, "'x' of the table is VARCHAR, not a number"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(corpus: Corpus, tmp_path: Path, text: str, given: dict, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SignalError, match=said):
        score(corpus, tmp_path / "t.csv", **given)


def test_columns_that_are_not_there(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,x\n1,1\n")
    with pytest.raises(ColumnNotFoundError, match=r"Column 'id' is not in the table. Columns: 'name', 'x'. Name its column of ids"):
        score(corpus, tmp_path / "t.csv")
    with pytest.raises(ColumnNotFoundError, match="Column 'z' is not in the table"):
        score(corpus, tmp_path / "t.csv", on="name", column="z")
    with pytest.raises(SignalError, match="is no file"):
        score(corpus, tmp_path / "nowhere.csv")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(SignalError, match="cannot be read as a table"):
        score(corpus, tmp_path / "t.parquet")
