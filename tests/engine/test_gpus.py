"""Several processes, each with a device and rows of its own: the same values as one, a failure told once, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("sentence_transformers")

from models.tiny import model

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.engine import gpus
from explorer.engine.local import score
from explorer.engine.progress import Progress
from explorer.errors import ModelError

TEXTS = [f"Document {i} tells of {subject}." for i in range(50) for subject in ("the sea", "cooking")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(model(tmp_path_factory.mktemp("models") / "tiny", "bert", head="base"))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    for k in range(2):
        pq.write_table(pa.table({"text": [*TEXTS[k::2], None]}), tmp_path / f"{k}.parquet", row_group_size=20)
    return open_corpus(tmp_path, workspace=tmp_path / "w")


def children() -> set[int]:
    import psutil

    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it may have ended meanwhile
            if "explorer.engine.gpus" in " ".join(process.cmdline()):
                found.add(process.pid)
    return found


@pytest.mark.thorough
def test_two_processes_give_what_one_gives(corpus: Corpus, tiny: str, tmp_path: Path) -> None:
    seen: list[Progress] = []
    report = corpus.embed(tiny, device="cpu", workers=2, on_progress=seen.append)
    assert (report.rows, report.computed, report.reused, report.nulls, report.cancelled) == (102, 102, 0, {"embedding": 2}, False)
    assert report.device.startswith("2 processes on CPU, 1 thread")
    done = [p.done_rows for p in seen]
    assert done == sorted(done)
    assert (seen[-1].state, seen[-1].done_rows) == ("done", 102)
    assert len({n for n in done if 0 < n < 102}) >= 1  # both are seen while they work
    assert not list(corpus.workspace.path.rglob("*.pieces"))  # files are joined
    other = open_corpus(list(corpus.paths), workspace=tmp_path / "other")
    other.embed(tiny, device="cpu", on_progress=lambda _: None)
    np.testing.assert_array_equal(corpus.embeddings().rows, other.embeddings().rows)
    np.testing.assert_allclose(corpus.embeddings().matrix, other.embeddings().matrix, atol=2e-3)
    assert corpus.embed(tiny, device="cpu", workers=2, on_progress=lambda _: None).reused == 102
    assert not children()


@pytest.mark.thorough
def test_a_learned_family_in_two_processes(corpus: Corpus, tmp_path: Path) -> None:
    rater = str(model(tmp_path / "rater", "bert", labels=1))
    report = score(corpus, ["classifier"], parameters={"classifier": {"model": rater}}, device="cpu", workers=2, rows=range(5, 95))
    assert (report.rows, report.computed) == (90, 90)
    column = next(name for name in report.nulls if name.startswith("classifier"))
    there = corpus.coverage().scored_rows(column)
    assert there == 90


@pytest.mark.thorough
def test_a_failure_is_told_once_and_what_was_done_is_kept(corpus: Corpus, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "spread", lambda *given: ["cpu", "cuda:7"])
    monkeypatch.setattr("explorer.embeddings.embed.spread", lambda *given: ["cpu", "cuda:7"])
    with pytest.raises(
        ModelError, match=r"^tiny@\w+ failed in process 2 of 2 \(cuda:7\): Device 'cuda.*What the others finished is kept\.$"
    ):
        corpus.embed(tiny, device="cpu", on_progress=lambda _: None)
    assert not children()
    monkeypatch.undo()
    kept = corpus.embed(tiny, device="cpu", on_progress=lambda _: None).reused
    assert kept in range(0, 52)


def test_a_process_that_is_killed(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "GRACE", 20.0)

    def kill_one(progress: Progress) -> None:
        if progress.state == "running" and (alive := children()):
            os.kill(min(alive), signal.SIGKILL)

    with pytest.raises(ValueError, match=r"failed in process \d of 2 \(cpu\): it ended with code -9.*What the others finished is kept"):
        corpus.embed(device="cpu", workers=2, on_progress=kill_one)
    assert not children()


@pytest.mark.thorough
def test_cancel_stops_all_after_their_piece(corpus: Corpus, tiny: str) -> None:
    stop = threading.Event()
    report = corpus.embed(tiny, device="cpu", workers=2, cancel=stop, on_progress=lambda p: stop.set())
    assert report.cancelled or report.computed == 102
    assert not children()
    assert corpus.embed(tiny, device="cpu", on_progress=lambda _: None).reused == report.computed


@pytest.mark.thorough
def test_none_outlives_a_parent_that_was_killed(corpus: Corpus) -> None:
    import psutil

    command = ["embed", *corpus.paths, "--workspace", str(corpus.workspace.path), "--device", "cpu", "--workers", "2"]
    parent = subprocess.Popen([sys.executable, "-m", "explorer", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    below: list[psutil.Process] = []
    while len(below) < 2 and time.monotonic() < until:
        time.sleep(0.02)
        below = [p for p in psutil.Process(parent.pid).children() if "explorer.engine.gpus" in " ".join(p.cmdline())]
    assert len(below) == 2
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(below, timeout=120)
    assert not alive


def test_which_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_gpus", lambda: 0)
    assert gpus.spread("auto", None, 10**6) == ["auto"]
    assert gpus.spread("cpu", 3, 10) == ["cpu", "cpu", "cpu"]
    monkeypatch.setattr(gpus, "_gpus", lambda: 4)
    assert gpus.spread("auto", None, 10**6) == ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]
    assert gpus.spread("cuda", 2, 10) == ["cuda:0", "cuda:1"]
    assert gpus.spread("auto", None, 20) == ["auto"]  # each would have to load the model for a handful
    assert gpus.spread("auto", 1, 10**6) == ["auto"]
    assert gpus.spread("cuda:1", None, 10**6) == ["cuda:1"]
    assert gpus.spread("cpu", None, 10**6) == ["cpu"]
    monkeypatch.setattr(gpus, "_gpus", lambda: 1)
    assert gpus.spread("auto", None, 10**6) == ["auto"]
