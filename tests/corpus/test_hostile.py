"""Data that is wrong or means harm: invalid UTF-8, markup, a document of 100 MB, scores of another file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.corpus.workspace import Workspace
from explorer.errors import CorpusError, SelectionError, WorkspaceError

Write = Callable[..., Path]


def quiet(_: object) -> None:
    """No bar in tests."""


def invalid_utf8() -> pa.Array:
    raw = [b"good", b"caf\xe9 a@example.com", b"\xff\xfe\x00", "end ü".encode()]
    return pa.array(raw, pa.binary()).view(pa.string())


def test_invalid_utf8_is_scored_and_shown_with_replacement_characters(write_parquet: Write, tmp_path: Path) -> None:
    path = write_parquet("bad.parquet", {"id": ["a", "b", "c", "d"], "text": invalid_utf8()})
    corpus = open_corpus(path, workspace=tmp_path / "w")
    corpus.score(["pii", "language"], on_progress=quiet)
    assert corpus.columns.numbers("pii_n_email").tolist() == [0, 1, 0, 0]
    shown = corpus.documents([3, 1, 2, 0], ["text", "id"])
    assert shown["text"].to_list() == ["end ü", "caf\ufffd a@example.com", "\ufffd\ufffd\x00", "good"]
    assert shown["id"].to_list() == ["d", "b", "c", "a"]
    with pytest.raises(SelectionError, match="not valid UTF-8"):
        corpus.sql("SELECT max(text) FROM corpus WHERE length(text) > 0")


def test_markup_in_names_and_values_never_reaches_a_notebook_as_markup(write_parquet: Write, tmp_path: Path) -> None:
    attack = "<img src=x onerror=alert(1)>"
    table = pa.table({attack: ["1"], "text": [attack], "source": [attack]})
    corpus = open_corpus(write_parquet(f"data/{attack}.parquet", table), workspace=tmp_path / "w", id=attack)
    for shown in (corpus._repr_html_(), corpus.select("true")._repr_html_(), corpus.documents([0])._repr_html_()):
        assert "<img" not in shown
        assert "&lt;img" in shown


def test_a_document_of_100_mb_is_scored_in_bounded_memory(write_parquet: Write, tmp_path: Path) -> None:
    size = 100_000_000
    sentence = b"All work and no play makes a dull corpus. "
    text = (sentence * (size // len(sentence) + 1))[:size].decode()
    path = write_parquet("big.parquet", {"id": ["small", "huge", "last"], "text": ["a@example.com", text, "end"]}, compression="zstd")
    del text
    script = f"""
import resource
from explorer.corpus.corpus import open_corpus
from explorer.corpus.workspace import Workspace
from explorer.engine.local import score, score_texts
score_texts(["warm the kernels up"], ["length"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
corpus = open_corpus({str(path)!r}, workspace={str(tmp_path / "w")!r})
score(corpus, ["length"], workers=2)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024)
print(corpus.columns.numbers("n_bytes").tolist())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    grown, values = done.stdout.splitlines()
    assert values == f"[13.0, {size}.0, 3.0]"
    assert int(grown) < 6 * size  # decoded page, Arrow's copy and the batch


def test_a_file_that_changed_since_it_was_scored_is_said_and_not_joined(tiny_files: Path, tmp_path: Path) -> None:
    corpus = open_corpus(tiny_files, workspace=tmp_path / "w")
    corpus.score("pii", on_progress=quiet)
    path = tiny_files / "1-books.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "text", pa.array(["now a@example.com"] * 30)), path, row_group_size=10)
    again = open_corpus(tiny_files, workspace=tmp_path / "w")
    [problem] = [p for p in again.problems if p.kind == "changed since scored"]
    assert problem.message.startswith("1 files changed since they were scored (1-books.parquet). Their old scores are not used")
    values = again.columns.numbers("pii_n_email")
    assert values[:30].tolist() == [0] * 30
    assert np.isnan(values[30:]).all()
    assert again.sql("SELECT count(pii_n_email) AS n FROM corpus")["n"].to_list() == [30]
    report = again.score("pii", on_progress=quiet)
    assert (report.computed, report.reused) == (30, 30)
    assert again.columns.numbers("pii_n_email")[30:].tolist() == [1] * 30
    assert not [p for p in open_corpus(tiny_files, workspace=tmp_path / "w").problems if p.kind == "changed since scored"]


def test_a_sidecar_under_the_wrong_name_is_refused(tiny_corpus: Corpus) -> None:
    tiny_corpus.score("pii", on_progress=quiet)
    side = tiny_corpus.coverage().of("pii_n_email")
    assert side is not None
    first, second = (side.shard_path(s) for s in tiny_corpus.shards)
    second.write_bytes(first.read_bytes())
    with pytest.raises(WorkspaceError, match=r"do not belong to .*1-books.parquet' as it is now.*Delete that file and score again"):
        tiny_corpus.columns.numbers("pii_n_email")
    second.write_bytes(b"PAR1 nonsense")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        tiny_corpus.columns.numbers("pii_n_email")


def test_scores_of_one_text_column_are_not_those_of_another(write_parquet: Write, tmp_path: Path) -> None:
    path = write_parquet("two.parquet", {"text": ["a@example.com"], "summary": ["none"]})
    open_corpus(path, workspace=tmp_path / "w").score("pii", on_progress=quiet)
    other = open_corpus(path, workspace=tmp_path / "w", text="summary")
    assert other.coverage().columns() == []
    other.score("pii", on_progress=quiet)
    assert other.columns.numbers("pii_n_email").tolist() == [0]
    assert open_corpus(path, workspace=tmp_path / "w").columns.numbers("pii_n_email").tolist() == [1]


def test_a_record_that_was_cut_off_counts_as_not_computed(tiny_corpus: Corpus) -> None:
    tiny_corpus.score("pii", on_progress=quiet)
    side = tiny_corpus.coverage().of("pii_n_email")
    assert side is not None
    (side.folder / "family.json").write_text('{"family": "pi')
    assert tiny_corpus.coverage().columns() == []
    report = tiny_corpus.score("pii", on_progress=quiet)
    assert report.computed == 0
    assert tiny_corpus.coverage().columns() == ["pii_n_email", "pii_n_ip"]


def test_documents_that_do_not_exist_are_refused(tiny_corpus: Corpus) -> None:
    for row in (-1, 60):
        with pytest.raises(CorpusError, match="The corpus has 60 documents, numbered from 0"):
            tiny_corpus.documents([row])
    assert tiny_corpus.documents([59, 0, 59], ["id"])["id"].to_list() == ["d059", "d000", "d059"]
    assert tiny_corpus.documents([]).is_empty()


@pytest.mark.parametrize("place", ["file", "locked"])
def test_a_workspace_that_cannot_be_written_says_so(tiny_files: Path, tmp_path: Path, place: str) -> None:
    if place == "file":
        (tmp_path / "w").write_text("not a folder")
    elif os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    else:
        (tmp_path / "w").mkdir(mode=0o555)
    corpus = open_corpus(tiny_files, workspace=tmp_path / "w")
    with pytest.raises(WorkspaceError, match=r"w/signals' .*--workspace"):
        corpus.score("pii", on_progress=quiet)


def test_permission_refused_names_the_place_and_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(WorkspaceError, match=r"cannot be written: Permission denied. The workspace must be a folder you may write to"):
        Workspace(tmp_path / "w").folder("signals")
