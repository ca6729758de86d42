"""What is said when a file is no longer what was scored, and what is left out of a corpus because the product wrote it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.corpus.convert import import_jsonl
from explorer.corpus.corpus import Corpus, open_corpus
from explorer.engine.local import score
from explorer.errors import CorpusError
from explorer.manifest.write import mix

Write = Callable[..., Path]


def kinds(corpus: Corpus) -> list[str]:
    return [p.kind for p in corpus.problems if "scored" in p.kind]


def test_a_change_is_said_until_that_family_is_scored_again(write_parquet: Write, tmp_path: Path) -> None:
    def opened(n: int) -> Corpus:
        path = write_parquet("a.parquet", {"text": [f"Document {i}." for i in range(n)]}, row_group_size=10)
        return open_corpus(path, workspace=tmp_path / "w")

    corpus = opened(20)
    score(corpus, ["length"])
    assert kinds(corpus) == []
    corpus = opened(30)
    score(corpus, ["compression"])
    assert kinds(open_corpus(corpus.shards[0].path, workspace=tmp_path / "w")) == ["changed since scored"]
    score(corpus, ["length"])
    assert kinds(open_corpus(corpus.shards[0].path, workspace=tmp_path / "w")) == []


def test_a_file_that_was_not_finished_is_not_recorded(tiny_corpus: Corpus) -> None:
    score(tiny_corpus, ["length"], limit=10)
    assert tiny_corpus.workspace.read_json("scored.json") == {"files": {}}


def test_a_file_modified_under_the_same_footer_is_said_and_scored_again(write_parquet: Write, tmp_path: Path) -> None:
    path = write_parquet("a.parquet", {"text": ["One."] * 3})
    corpus = open_corpus(path, workspace=tmp_path / "w")
    score(corpus, ["length"])
    os.utime(path, (1_700_000_000, 1_700_000_000))
    corpus = open_corpus(path, workspace=tmp_path / "w")
    assert kinds(corpus) == ["modified since scored"]
    assert corpus.coverage().scored_rows("n_bytes") == 3
    score(corpus, ["length"])  # nothing to compute: what is kept was made of the file as it was
    assert kinds(open_corpus(path, workspace=tmp_path / "w")) == ["modified since scored"]
    assert score(corpus, ["length"], again=True).computed == 3
    assert kinds(open_corpus(path, workspace=tmp_path / "w")) == []


@pytest.mark.parametrize("said", ["{PATH: 0123456789abcdef}", "[]", "{files: 3}", "{files: {PATH: 7}}", "{files: {PATH: {x: null}}}"])
def test_a_record_of_another_form_is_ignored(write_parquet: Write, tmp_path: Path, said: str) -> None:
    import yaml

    path = write_parquet("a.parquet", {"text": ["One."] * 3})
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "scored.json").write_text(json.dumps(yaml.safe_load(said.replace("PATH", str(path)))))
    corpus = open_corpus(path, workspace=tmp_path / "w")
    assert kinds(corpus) == []
    score(corpus, ["length"])
    assert kinds(open_corpus(path, workspace=tmp_path / "w")) == []
    assert len(corpus.workspace.read_json("scored.json")["files"][str(path)]) >= 1


def test_what_the_product_wrote_is_no_corpus_unless_named(tiny_files: Path) -> None:
    corpus = open_corpus(tiny_files, workspace=tiny_files / "space")
    score(corpus, ["length"])
    mix({"s": corpus.select("true")}, out=tiny_files / "mixed")
    (tiny_files / "exported").mkdir()
    (tiny_files / "exported" / "x.provenance.json").write_text("{}")
    (tiny_files / "exported" / "x.parquet").write_bytes((tiny_files / "0-web.parquet").read_bytes())
    (tiny_files / "theirs").mkdir()
    (tiny_files / "theirs" / "manifest.json").write_text('{"version": 1}')  # another tool's
    (tiny_files / "theirs" / "y.parquet").write_bytes((tiny_files / "0-web.parquet").read_bytes())
    for given in (tiny_files, tiny_files / "**" / "*.parquet"):
        again = open_corpus(given, workspace=tiny_files / "space")
        assert [s.name for s in again.shards] == ["0-web.parquet", "1-books.parquet", "y.parquet"]
        assert {Path(p).parent.name for p in again.left_out} > {"exported", "mixed"}
        assert next(p for p in again.problems if p.kind == "own files").count == len(again.left_out)
    for named in (tiny_files / "exported", tiny_files / "exported" / "x.parquet", tiny_files / "exported" / "*.parquet"):
        assert [s.name for s in open_corpus(named, workspace=tiny_files / "space").shards] == ["x.parquet"]


def test_an_import_leaves_no_earlier_shard_behind(tmp_path: Path) -> None:
    source, out = tmp_path / "a.jsonl", tmp_path / "out"

    def lines(n: int, bad: str = "") -> None:
        source.write_text("\n".join(json.dumps({"text": f"Document {i}."}) for i in range(n)) + bad)

    lines(100, "\nnot json")
    assert len(import_jsonl(source, out, rows_per_group=10, shard_bytes=500).files) > 1
    assert (out / "a.rejected.txt").exists()
    (out / "a-other.parquet").write_bytes(b"another's")
    lines(10)
    with pytest.raises(CorpusError, match="exists already"):
        import_jsonl(source, out)
    import_jsonl(source, out, overwrite=True)
    assert sorted(p.name for p in out.iterdir()) == ["a-other.parquet", "a.parquet"]
