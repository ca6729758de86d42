"""JSON Lines become Parquet with every value, every line accounted for."""

from __future__ import annotations

import bz2
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.corpus.convert import import_jsonl
from explorer.corpus.corpus import open_corpus
from explorer.errors import CorpusError, WorkspaceError


def lines(path: Path, documents: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(d) + "\n" for d in documents), encoding="utf-8")
    return path


def converted(path: Path, tmp_path: Path, **options: Any) -> list[dict[str, Any]]:
    done = import_jsonl(path, tmp_path / "out", **options)
    return [row for file in done.files for row in pq.read_table(file).to_pylist()]


def test_values_keep_their_types(tmp_path: Path) -> None:
    documents = [
        {"text": "2024-01-01 00:00:00", "n": 1, "share": 1, "ok": True, "tags": ["a"], "meta": {"x": 1}, "nothing": None},
        {"text": None, "n": -(2**62), "share": 0.5, "ok": None, "tags": [], "meta": {"y": "z"}, "late": "here"},
    ]
    done = import_jsonl(lines(tmp_path / "a.jsonl", documents), tmp_path / "out", rows_per_group=1)
    table = pq.read_table(done.files[0])
    kinds = {f.name: str(f.type) for f in table.schema}
    assert kinds == {
        "text": "string",  # it looks like a date and stays a text
        "n": "int64",
        "share": "double",
        "ok": "bool",
        "tags": "list<element: string>",
        "meta": "struct<x: int64, y: string>",
        "nothing": "string",
        "late": "string",
    }
    assert table["meta"].to_pylist() == [{"x": 1, "y": None}, {"x": None, "y": "z"}]
    assert table["late"].to_pylist() == [None, "here"]
    assert done.notes == ()


@pytest.mark.parametrize("rows", [1, 10])
def test_values_without_a_common_type_are_kept_as_text_and_said(tmp_path: Path, rows: int) -> None:
    documents = [
        {"v": 1, "big": 2**60, "huge": 1, "e": {}},
        {"v": "one", "big": 0.5, "huge": 2**70},
        {"v": {"x": [1]}, "big": None, "huge": None},
    ]
    done = import_jsonl(lines(tmp_path / "a.jsonl", documents), tmp_path / "out", rows_per_group=rows)
    table = pq.read_table(done.files[0])
    assert table["v"].to_pylist() == ["1", "one", '{"x": [1]}']
    assert table["big"].to_pylist() == ["1152921504606846976", "0.5", None]
    assert table["huge"].to_pylist() == ["1", "1180591620717411303424", None]
    assert table["e"].to_pylist() == ["{}", None, None]
    assert len(done.notes) == 4
    assert "values of 'v' have no common type" in " ".join(done.notes)


def test_bad_lines_are_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "first"}\r\n\n{"text": \n[1, 2]\n{"text": "caf\xe9"}\n"a"\n{"text": "last"}')
    done = import_jsonl(path, tmp_path / "out")
    assert [row["text"] for row in pq.read_table(done.files[0]).to_pylist()] == ["first", "last"]
    assert [(r.line, r.reason.split(":")[0]) for r in done.rejected] == [
        (3, "Expecting value"),
        (4, "a JSON list, not an object"),
        (5, "not valid UTF-8"),
        (6, "a JSON str, not an object"),
    ]
    kept = (tmp_path / "out" / "a.rejected.txt").read_text()
    assert f"{path}:5: not valid UTF-8\n" in kept
    assert '{"text": "caf\\xe9"}' in kept
    assert len(open_corpus(tmp_path / "out")) == 2


def test_half_characters_are_replaced_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a\\ud800b \\ud83d\\ude00 \\\\ud800", "meta": {"k": ["\\uDC00"]}}\n')
    done = import_jsonl(path, tmp_path / "out")
    [row] = pq.read_table(done.files[0]).to_pylist()
    assert row == {"text": "a\ufffdb 😀 \\ud800", "meta": {"k": ["\ufffd"]}}
    assert done.notes == (f"{str(path)!r}: half characters (lone surrogates) were replaced by U+FFFD.",)


def test_packed_files_folders_and_equal_names(tmp_path: Path) -> None:
    raw = b'{"text": "packed"}\n'
    lines(tmp_path / "in" / "a.jsonl", [{"text": "plain"}])
    (tmp_path / "in" / "b.ndjson.gz").write_bytes(gzip.compress(raw) + gzip.compress(raw))  # members one after another
    (tmp_path / "in" / "c.json.bz2").write_bytes(bz2.compress(raw))
    (tmp_path / "in" / "d.jsonl.zst").write_bytes(pa.Codec("zstd").compress(raw).to_pybytes())
    (tmp_path / "in" / "notes.md").write_text("other")
    lines(tmp_path / "in" / "deep" / "a.jsonl", [{"text": "deep"}])
    done = import_jsonl(tmp_path / "in", tmp_path / "out")
    assert done.rows == 6
    names = {f.name: pq.read_table(f)["text"].to_pylist() for f in done.files}
    assert names == {
        "in-a.parquet": ["plain"],
        "in-b.parquet": ["packed", "packed"],
        "in-c.parquet": ["packed"],
        "in-d.parquet": ["packed"],
        "deep-a.parquet": ["deep"],
    }


def test_a_packed_file_that_is_cut_off_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"text": "%d %s"}\n' % (i, os.urandom(20).hex().encode()) for i in range(5000)))[:-2000])
    with pytest.raises(CorpusError, match=r"a.jsonl.gz' cannot be read beyond line [\d,]+: .*cut off or damaged"):
        import_jsonl(path, tmp_path / "out")
    assert not list(tmp_path.glob("out/*.parquet"))


def test_large_files_become_shards_of_small_row_groups_with_page_index(tmp_path: Path) -> None:
    documents = [{"id": i, "text": f"document {i} " * 20} for i in range(1000)]
    path = lines(tmp_path / "a.jsonl", documents)
    done = import_jsonl(path, tmp_path / "out", rows_per_group=100, shard_bytes=path.stat().st_size // 3)
    assert [f.name for f in done.files] == [f"a-{i:05d}.parquet" for i in range(len(done.files))]
    assert len(done.files) in (3, 4)
    assert [row["id"] for f in done.files for row in pq.read_table(f).to_pylist()] == list(range(1000))
    corpus = open_corpus(tmp_path / "out")
    assert all(s.page_index and max(g.rows for g in s.row_groups) == 100 for s in corpus.shards)
    assert pq.ParquetFile(done.files[0]).metadata.row_group(0).column(0).compression == "ZSTD"


def test_nothing_is_replaced_unless_asked_and_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lines(tmp_path / "a.jsonl", [{"text": "one"}])
    import_jsonl(path, tmp_path / "out")
    lines(path, [{"text": "two"}])
    with pytest.raises(CorpusError, match=r"a.parquet' exists already. It was not replaced. .*--overwrite"):
        import_jsonl(path, tmp_path / "out")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(WorkspaceError, match="The disk is full"):
            import_jsonl(path, tmp_path / "out", overwrite=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.parquet"]
    assert pq.read_table(tmp_path / "out" / "a.parquet")["text"].to_pylist() == ["one"]
    assert converted(path, tmp_path, overwrite=True) == [{"text": "two"}]


def test_an_empty_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n\n")
    done = import_jsonl(tmp_path / "a.jsonl", tmp_path / "out")
    assert (done.files, done.rows) == ((), 0)
    assert "holds no document; no file was written" in done.notes[0]
    with pytest.raises(CorpusError, match="names no JSON Lines file"):
        import_jsonl(tmp_path / "*.ndjson", tmp_path / "out")


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    documents=st.lists(st.dictionaries(st.sampled_from("abc"), scalars, min_size=1, max_size=3), min_size=1, max_size=8),
    rows=st.integers(1, 9),
)
def test_every_value_comes_back(tmp_path_factory: pytest.TempPathFactory, documents: list[dict[str, Any]], rows: int) -> None:
    tmp_path = tmp_path_factory.mktemp("any")
    found = converted(lines(tmp_path / "a.jsonl", documents), tmp_path, rows_per_group=rows)
    assert len(found) == len(documents)
    for document, row in zip(documents, found, strict=True):
        for name, value in row.items():
            before = document.get(name)
            as_text = isinstance(value, str) and not isinstance(before, str)
            assert (json.loads(value) if as_text else value) == before
