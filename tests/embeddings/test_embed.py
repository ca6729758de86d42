"""Embedding a corpus: what has no words has no vector, no text is run twice, and a kill loses one piece at most."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("sentence_transformers")

from models.tiny import model

from explorer.cli import run
from explorer.cli.embedding import numbered
from explorer.corpus.corpus import Corpus, open_corpus
from explorer.embeddings import embed as module
from explorer.embeddings.encoders import load
from explorer.embeddings.sentence import SentenceEncoder
from explorer.embeddings.store import stored
from explorer.engine.progress import Progress
from explorer.errors import EmbeddingError, ModelError, SelectionError
from explorer.models import device as devices

TEXTS = [f"Document {i} tells of {subject}." for i in range(10) for subject in ("the sea", "cooking", "space flight", "medicine")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(model(tmp_path_factory.mktemp("models") / "tiny", "bert", head="base"))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that a model was run on."""
    seen: list[str] = []
    own = SentenceEncoder.encode

    def encode(self: SentenceEncoder, texts: Sequence[str]) -> np.ndarray:
        seen.extend(texts)
        return own(self, texts)

    monkeypatch.setattr(SentenceEncoder, "encode", encode)
    return seen


def corpus_of(folder: Path, texts: Sequence[str | bytes | None], *, name: str = "a", **columns: Any) -> Corpus:
    folder.mkdir(parents=True, exist_ok=True)
    raw = [t.encode() if isinstance(t, str) else t for t in texts]
    pq.write_table(
        pa.table({"text": pa.array(raw, pa.binary()).view(pa.string()), **columns}), folder / f"{name}.parquet", row_group_size=16
    )
    return open_corpus(folder, workspace=folder / "w", text="text")


def vectors(corpus: Corpus, n: int | None = None) -> np.ndarray:
    return corpus.embeddings().of(np.arange(len(corpus) if n is None else n))


def test_what_is_stored_is_what_the_model_says(tmp_path: Path, tiny: str) -> None:
    corpus = corpus_of(tmp_path / "c", TEXTS)
    report = corpus.embed(tiny, on_progress=lambda _: None)
    assert (report.rows, report.computed, report.reused, report.nulls) == (40, 40, 0, {"embedding": 0})
    np.testing.assert_allclose(vectors(corpus), load(tiny).encode(TEXTS), atol=2e-3)  # kept in half precision
    there = stored(corpus)[0]
    assert (there.model, there.dimension, there.rows) == (tiny, 32, 40)
    said = json.loads((there.side.folder / "encoder.json").read_text())
    assert said == load(tiny).about | {"model": tiny}
    assert {"prefix", "query_prefix", "pooling", "dimension", "max_length", "revision", "dtype"} <= set(said)


def test_documents_without_words_have_no_vector_and_strange_ones_do(tmp_path: Path, tiny: str, runs: list[str]) -> None:
    texts = ["words", None, "", " \n\t\u3000", b"\xff\xfe invalid \x80 bytes", "a\x00b", "The sea was calm. " * 300_000]
    corpus = corpus_of(tmp_path / "c", texts)
    start = time.process_time()
    report = corpus.embed(tiny, on_progress=lambda _: None)
    assert time.process_time() - start < 20  # five megabytes are not tokenised
    assert report.nulls == {"embedding": 3}
    found = vectors(corpus)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True, True, False, False, False]
    assert "\ufffd\ufffd invalid \ufffd bytes" in runs
    assert corpus.embeddings().rows.tolist() == [0, 4, 5, 6]


def test_no_text_is_run_twice(tmp_path: Path, tiny: str, runs: list[str]) -> None:
    corpus = corpus_of(tmp_path / "c", [*TEXTS, *TEXTS[:10], None])
    first = corpus.embed(tiny, rows=range(5), on_progress=lambda _: None)
    assert (first.rows, first.computed, sorted(runs)) == (5, 5, sorted(TEXTS[:5]))
    report = corpus.embed(tiny, on_progress=lambda _: None)
    assert (report.rows, report.computed, report.reused, report.same) == (51, 46, 5, 10)
    assert sorted(runs) == sorted(TEXTS)
    assert corpus.embed(tiny, on_progress=lambda _: None).reused == 51
    other = corpus_of(tmp_path / "c", [*TEXTS[::-1], "something new"], name="b")
    later = other.embed(tiny, on_progress=lambda _: None)
    assert (later.computed, later.reused) == (41, 51)
    assert sorted(runs) == sorted([*TEXTS, "something new"])
    np.testing.assert_array_equal(vectors(other)[51:91], vectors(other)[:40][::-1])


def test_another_model_revision_or_option_is_another_place(tmp_path: Path, tiny: str, runs: list[str]) -> None:
    corpus = corpus_of(tmp_path / "c", TEXTS[:4])
    for options in ({}, {"dimension": 8}, {"prefix": "about: "}, {"max_length": 8}, {"pooling": "cls"}, {"dtype": "bfloat16"}):
        assert corpus.embed(tiny, on_progress=lambda _: None, **options).computed == 4
    assert len(stored(corpus)) == 6
    assert len(runs) == 24
    assert corpus.embed(tiny, dtype="float32", device="cpu", on_progress=lambda _: None).reused == 4  # what "auto" is here
    np.testing.assert_allclose(np.linalg.norm(vectors(corpus), axis=1), 1, atol=2e-3)
    other = model(tmp_path / "changed", "bert", head="base")
    corpus.embed(str(other), on_progress=lambda _: None)
    weights = model(tmp_path / "again", "bert", head="base", seed=1) / "model.safetensors"
    (other / "model.safetensors").write_bytes(weights.read_bytes())
    with pytest.raises(EmbeddingError, match=r"has changed since these vectors were made .*Embed again, or restore the model"):
        corpus.embeddings().encoder()
    assert corpus.embed(str(other), on_progress=lambda _: None).computed == 4


def test_limits_samples_and_what_is_refused(tmp_path: Path, tiny: str) -> None:
    corpus = corpus_of(tmp_path / "c", TEXTS)
    assert corpus.embed(tiny, limit=7, on_progress=lambda _: None).rows == 7
    assert corpus.embeddings().rows.tolist() == list(range(7))
    with pytest.raises(EmbeddingError, match=r"Document 40 does not exist\. The corpus has 40, numbered from 0"):
        corpus.embed(tiny, rows=[40])
    with pytest.raises(EmbeddingError, match=r"Encoders have no option 'lenght'\. Options: prefix, query_prefix"):
        corpus.embed(tiny, lenght=3)
    with pytest.raises(ModelError, match="Device 'gpu' is unknown"):
        corpus.embed(tiny, device="gpu")


def test_cancel_keeps_what_is_done(tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr("explorer.engine.pieces.FIRST_PIECE", 8)
    monkeypatch.setattr("explorer.engine.pieces.PIECE_SECONDS", 1e-9)
    corpus, stop, seen = corpus_of(tmp_path / "c", TEXTS), threading.Event(), []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.done_rows >= 16:
            stop.set()

    report = corpus.embed(tiny, on_progress=watch, cancel=stop)
    assert report.cancelled
    assert len(corpus.embeddings()) == report.computed == 16
    assert seen[-1].state == "cancelled"
    assert seen[0].doing.startswith("loading")
    assert devices.pick("auto").about in seen[-1].device
    assert corpus.embed(tiny, on_progress=lambda _: None).reused == 16


def test_a_relative_folder_is_the_same_model_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model(tmp_path / "here" / "little", "bert", head="base")
    corpus = corpus_of(tmp_path / "c", TEXTS[:4])
    monkeypatch.chdir(tmp_path / "here")
    corpus.embed("little", on_progress=lambda _: None)
    assert len(corpus.embeddings("little")) == 4
    monkeypatch.chdir(tmp_path)
    assert corpus.embeddings().encoder().encode_query("sea").shape == (32,)


def command(folder: Path, model_: str, *options: str) -> list[str]:
    return ["embed", str(folder / "a.parquet"), "--workspace", str(folder / "w"), "--text", "text", "--model", model_, *options]


def test_kill_9_loses_one_piece_at_most(tmp_path: Path, runs: list[str]) -> None:
    """A real process with the real model, killed as soon as something is kept."""
    texts = [f"{i}. The ship left the harbour in the morning and came back at night with fish." for i in range(400)]
    corpus = corpus_of(tmp_path / "c", texts)
    process = subprocess.Popen(
        [sys.executable, "-m", "explorer", *command(tmp_path / "c", "all-MiniLM-L6-v2", "--device", "cpu")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 180
    while not (pieces := list((tmp_path / "c" / "w").glob("embeddings/*/*.pieces/0*.parquet"))) and process.poll() is None:
        assert time.monotonic() < until, "no piece appeared"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert pieces
    kept = corpus.embeddings()
    assert 1 <= len(kept) < 400
    # pieces follow each other, so all before the last one kept is there: what was lost is what came after it
    assert kept.rows.tolist() == list(range(len(kept)))
    report = corpus.embed(device="cpu", on_progress=lambda _: None)
    assert (report.reused, report.computed) == (len(kept), 400 - len(kept))
    assert runs == texts[len(kept) :]
    assert not list((tmp_path / "c" / "w").rglob("*.pieces"))
    np.testing.assert_allclose(vectors(corpus)[::97], load().encode(texts[::97]), atol=2e-3)


def test_the_command(tmp_path: Path, tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    corpus_of(tmp_path / "c", [*TEXTS, None], source=["a"] * 21 + ["b"] * 20)
    folder = tmp_path / "c"
    assert run(command(folder, tiny, "--rows", "0-3,20", "--json")) == 0
    said = json.loads(capsys.readouterr().out)
    assert {k: said[k] for k in ("documents", "computed", "model", "dimension")} == {
        "documents": 5,
        "computed": 5,
        "model": tiny,
        "dimension": 32,
    }
    assert run(command(folder, tiny, "--sample", "10", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 10
    assert run(command(folder, tiny)) == 0
    out = capsys.readouterr().out
    assert "without a vector (null or blank text): 1" in out
    assert f"41 of 41 documents are embedded with {tiny} (32 dimensions)" in out
    assert run(command(folder, tiny, "--rows", "x")) == 2
    assert "Rows 'x' cannot be read" in capsys.readouterr().err
    assert run(command(folder, tiny, "--rows", "1", "--sample", "2")) == 2
    assert run(command(folder, str(tmp_path / "nowhere"))) == 2
    assert "does not exist. It is a folder or file, or a hub id" in capsys.readouterr().err


def test_numbers_of_rows() -> None:
    assert numbered("0-3, 7,2-4").tolist() == [0, 1, 2, 3, 4, 7]
    for wrong in ("", "3-1", "1-2-3", "a", "-1"):
        with pytest.raises(SelectionError, match="cannot be read"):
            numbered(wrong)


def test_the_options_are_those_of_the_encoder() -> None:
    import inspect

    assert {p.name for p in inspect.signature(load).parameters.values() if p.kind is p.KEYWORD_ONLY} == set(module.OPTIONS)
    assert os.path.basename(module.SETTINGS) == module.SETTINGS
