"""What is found, opened, left out and said about it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.corpus.corpus import open_corpus
from explorer.corpus.files import find, read_footers
from explorer.errors import ColumnNotFoundError, CorpusError

Write = Callable[..., Path]


def test_files_folders_and_globs_name_the_same_documents_once(tiny_files: Path) -> None:
    everything = find(tiny_files)
    assert [Path(p).name for p in everything] == ["0-web.parquet", "1-books.parquet"]
    roundabout = tiny_files / ".." / "data" / "0-web.parquet"
    assert find([tiny_files, tiny_files / "*.parquet", roundabout, everything[1], everything[1]]) == everything
    assert find(str(tiny_files.parent / "**" / "*.parquet")) == everything


def test_a_folder_with_other_files_gives_its_parquet_alone(tiny_files: Path) -> None:
    (tiny_files / "README.md").write_text("text")
    (tiny_files / "_SUCCESS").write_bytes(b"")
    (tiny_files / "table.parquet").mkdir()  # Spark writes folders of this name
    (tiny_files / "table.parquet" / "part-0.parquet").write_bytes((tiny_files / "0-web.parquet").read_bytes())
    assert [Path(p).name for p in find(tiny_files)] == ["0-web.parquet", "1-books.parquet", "part-0.parquet"]


@pytest.mark.parametrize(
    ("path", "said"),
    [("nowhere", "does not exist"), ("nothing-*.parquet", "matches no file"), ("empty", "is a folder without .parquet files")],
)
def test_a_path_that_matches_nothing_is_said(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=said) as error:
        open_corpus(tmp_path / path)
    assert path in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        "it's; DROP TABLE.parquet",
        'qu"ote.parquet',
        "a b\tc.parquet",
        "日本語 ünï.parquet",
        "[draft]*?.parquet",
        "%s{x}.parquet",
        "-rf.parquet",
        "n" * 240 + ".parquet",
    ],
)
def test_any_file_name_is_opened_scored_and_queried(write_parquet: Write, tmp_path: Path, name: str) -> None:
    path = write_parquet(f"data/{name}", {"id": ["a", "b"], "text": ["write to a@example.com", "x"]})
    corpus = open_corpus(path, workspace=tmp_path / "w")
    corpus.score("pii", on_progress=lambda _: None)
    assert corpus.sql("SELECT id, pii_n_email FROM corpus ORDER BY _row").rows() == [("a", 1), ("b", 0)]
    assert corpus.documents([1], ["text"])["text"].to_list() == ["x"]


def test_a_name_that_looks_like_a_pattern_is_not_one(write_parquet: Write, tmp_path: Path) -> None:
    path = write_parquet("data/a[1].parquet", {"id": ["right"], "text": ["x"]})
    write_parquet("data/a1.parquet", {"id": ["wrong"], "text": ["y"]})
    corpus = open_corpus(path, workspace=tmp_path / "w")
    assert corpus.sql("SELECT id FROM corpus")["id"].to_list() == ["right"]
    assert corpus.documents([0], ["id"])["id"].to_list() == ["right"]


def test_folders_like_hive_partitions_add_no_column(write_parquet: Write, tmp_path: Path) -> None:
    path = write_parquet("data/language=en/part.parquet", {"text": ["x"], "language": ["de"]})
    corpus = open_corpus(path, workspace=tmp_path / "w")
    assert corpus.sql("SELECT * FROM corpus").columns == ["text", "language", "_row"]
    assert corpus.sql("SELECT language FROM corpus")["language"].to_list() == ["de"]


def test_a_name_that_is_not_utf8_is_left_out_and_said(write_parquet: Write, tmp_path: Path) -> None:
    path = write_parquet("data/good.parquet", {"text": ["x"]})
    os.link(path, os.fsencode(path.parent) + b"/caf\xe9.parquet")
    corpus = open_corpus(path.parent, workspace=tmp_path / "w")
    assert len(corpus) == 1
    assert any(p.kind == "unreadable file" and "caf" in p.message and p.message.isprintable() for p in corpus.problems)


def cut(path: Path, keep: float) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: p.write_bytes(b""), "the file is empty \\(0 bytes\\)"),
        (lambda p: p.write_bytes(b"PAR1"), "only 4 bytes"),
        (lambda p: cut(p, 0.5), "truncated or of another format"),
        (lambda p: p.write_bytes(p.read_bytes()[:-8] + b"\xff\xff\xff\x7fPAR1"), "footer is longer than the file"),
        (lambda p: p.write_bytes(b"PAR1" + b"\x00" * 100 + b"\x50\x00\x00\x00PAR1"), "."),
        (lambda p: p.write_text('{"text": "json"}\n' * 10), "another format"),
    ],
    ids=["0 bytes", "4 bytes", "cut", "footer length", "footer bytes", "json"],
)
def test_a_broken_file_is_left_out_and_said(tiny_files: Path, tmp_path: Path, damage: Callable[[Path], object], said: str) -> None:
    broken = tiny_files / "1-books.parquet"
    damage(broken)
    corpus = open_corpus(tiny_files, workspace=tmp_path / "w")
    assert len(corpus) == 30
    [problem] = [p for p in corpus.problems if p.kind == "unreadable file"]
    assert problem.severity == "error"
    assert "1-books.parquet" in problem.message
    with pytest.raises(CorpusError, match=said) as error:
        open_corpus(broken)
    assert str(error.value).startswith("No readable Parquet among 1 files")


def test_a_dangling_link_is_said(tiny_files: Path, tmp_path: Path) -> None:
    (tiny_files / "gone.parquet").symlink_to(tmp_path / "nothing.parquet")
    corpus = open_corpus(tiny_files, workspace=tmp_path / "w")
    assert [u.path.endswith("gone.parquet") for u in corpus.unreadable] == [True]


def test_no_text_column_names_the_columns_and_the_next_step(write_parquet: Write) -> None:
    path = write_parquet("n.parquet", {"n": [1], "x": [0.5]})
    with pytest.raises(ColumnNotFoundError, match=r"No column holds text. Columns: 'n' \(int64\), 'x' \(double\).*--text COLUMN"):
        open_corpus(path)
    with pytest.raises(ColumnNotFoundError, match=r"Column 'body' is not in the corpus. Columns: 'n', 'x'"):
        open_corpus(path, text="body")
    with pytest.raises(CorpusError, match="Column 'n' cannot be the text: its type is int64"):
        open_corpus(path, text="n")
    with pytest.raises(CorpusError, match=r"'title' is no role. Roles: text, id"):
        open_corpus(path, title="n")


def no_row_groups(path: Path) -> None:
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])):
        pass


def test_files_without_rows_are_opened_and_scored(write_parquet: Write, tmp_path: Path) -> None:
    write_parquet("data/a.parquet", {"text": pa.array([], pa.string())})
    no_row_groups(tmp_path / "data" / "b.parquet")
    write_parquet("data/c.parquet", {"text": ["a@example.com"]})
    corpus = open_corpus(tmp_path / "data", workspace=tmp_path / "w")
    corpus.score("pii", on_progress=lambda _: None)
    assert corpus.columns.numbers("pii_n_email").tolist() == [1]
    assert corpus.documents([0], ["text"])["text"].to_list() == ["a@example.com"]
    assert any(p.message == "2 files hold no rows." for p in corpus.problems)


def test_a_corpus_of_no_documents_at_all(tmp_path: Path) -> None:
    no_row_groups(tmp_path / "b.parquet")
    corpus = open_corpus(tmp_path, workspace=tmp_path / "w")
    assert len(corpus) == 0
    corpus.score("pii", on_progress=lambda _: None)
    assert corpus.columns.numbers("pii_n_email").tolist() == []
    assert corpus.select("true").summary().kept_documents == 0


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_every_text_type_is_the_text(write_parquet: Write, tmp_path: Path, kind: pa.DataType) -> None:
    texts = ["a@example.com b@example.org", None, "", "none"] * 5
    plain = pa.array(texts, pa.string())
    path = write_parquet(
        "t.parquet", {"text": plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain.cast(kind)}, row_group_size=7
    )
    corpus = open_corpus(path, workspace=tmp_path / "w")
    corpus.score("pii", on_progress=lambda _: None)
    assert corpus.sql("SELECT pii_n_email AS n FROM corpus ORDER BY _row")["n"].to_list() == [2, None, 0, 0] * 5
    assert corpus.documents(range(4), ["text"])["text"].to_list() == texts[:4]


def test_nulls_and_edge_texts_are_counted_and_shown(write_parquet: Write, tmp_path: Path, edge_documents: list[str | None]) -> None:
    corpus = open_corpus(write_parquet("e.parquet", {"text": pa.array(edge_documents)}), workspace=tmp_path / "w")
    assert any(p.kind == "null text" and p.count == 1 for p in corpus.problems)
    assert corpus.documents(range(len(edge_documents)), ["text"])["text"].to_list() == edge_documents


def test_mixed_schemas_are_said_and_nothing_is_lost(write_parquet: Write, tmp_path: Path) -> None:
    write_parquet("data/a.parquet", {"text": ["a@example.com"], "n": [1], "extra": ["x"]})
    write_parquet("data/b.parquet", {"text": ["none"], "n": pa.array([2.5])})
    write_parquet("data/c.parquet", {"body": ["no text here"], "n": pa.array([None], pa.int8())})
    corpus = open_corpus(tmp_path / "data", workspace=tmp_path / "w")
    said = {p.kind: p.message for p in corpus.problems if p.severity != "note"}
    assert said["missing column"] == "Column 'text' is not in 1 of 3 files; it is null there."
    assert "'n' has different types in different files: double, int64, int8" in said["mixed types"]
    corpus.score("pii", on_progress=lambda _: None)
    assert corpus.sql("SELECT n, extra, pii_n_email FROM corpus ORDER BY _row").rows() == [
        (1.0, "x", 1),
        (2.5, None, 0),
        (None, None, None),
    ]
    assert [v if v == v else None for v in corpus.columns.numbers("n").tolist()] == [1.0, 2.5, None]


def test_a_text_column_of_another_type_in_one_file_keeps_the_others(write_parquet: Write, tmp_path: Path) -> None:
    good = write_parquet("data/a.parquet", {"text": ["a@example.com"]})
    write_parquet("data/z.parquet", {"text": pa.array([1, 2])})
    both = open_corpus(tmp_path / "data", workspace=tmp_path / "w")
    with pytest.raises(CorpusError, match=r"Column 'text' of '.*z.parquet' is int64, not text. The other files are scored"):
        both.score("pii", on_progress=lambda _: None)
    assert open_corpus(good, workspace=tmp_path / "w").columns.numbers("pii_n_email").tolist() == [1]


def test_fingerprints_follow_content_and_not_place_or_time(tiny_files: Path, tmp_path: Path) -> None:
    path = tiny_files / "0-web.parquet"
    [before], _ = read_footers([str(path)])
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(path.read_bytes())
    os.utime(path, (1, 1))
    [after, moved], _ = read_footers([str(path), str(copy)])
    assert before.fingerprint == after.fingerprint == moved.fingerprint
    table = pq.read_table(path)
    changed = table.set_column(1, "text", pa.array([*table["text"].to_pylist()[:-1], "changed"]))
    pq.write_table(changed, path, row_group_size=10)
    [other], _ = read_footers([str(path)])
    assert other.fingerprint != before.fingerprint


def test_a_file_replaced_while_open_says_so(tiny_files: Path, tmp_path: Path) -> None:
    corpus = open_corpus(tiny_files, workspace=tmp_path / "w")
    (tiny_files / "0-web.parquet").unlink()
    with pytest.raises(CorpusError, match=r"0-web.parquet' cannot be read any more"):
        corpus.documents([3], ["text"])
    assert corpus.documents([31], ["id"])["id"].to_list() == ["d031"]


def test_a_huge_row_group_is_said(tiny_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.corpus.problems.HUGE_ROW_GROUP", 100)
    corpus = open_corpus(tiny_files, workspace=tmp_path / "w")
    assert any(p.kind == "huge row groups" and p.count == 2 and "25,000 rows" in p.message for p in corpus.problems)
