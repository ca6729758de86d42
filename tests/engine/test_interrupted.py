"""Killed, cancelled, out of disk: what was finished stays, and the result is the same bytes as without the accident."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.cli import run
from explorer.corpus.corpus import Corpus, open_corpus
from explorer.engine.local import score
from explorer.errors import WorkspaceError


def sidecars(workspace: Path) -> dict[str, str]:
    """Every file of scores and its hash."""
    files = [p for p in (workspace / "signals").rglob("*") if p.is_file()]
    return {str(p.relative_to(workspace)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def long_work(tmp_path: Path) -> Path:
    """Documents that take language identification some seconds, in 60 row groups of two files."""
    for n in range(2):
        texts = [f"Document {i} of file {n}. " + "The sea was calm and the wind was fair, so they sailed on. " * 60 for i in range(300)]
        path = tmp_path / "data" / f"{n}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"text": texts}), path, row_group_size=10)
    return path.parent


def started(data: Path, workspace: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "explorer", "score", str(data), "-s", "language,pii", "--workspace", str(workspace), "--workers", "2"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_parts(workspace: Path, least: int = 3) -> int:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        parts = len(list(workspace.glob("signals/language*/*.parts/0*.parquet")))
        if parts >= least:
            return parts
        time.sleep(0.02)
    raise AssertionError("no part appeared within a minute")


def test_kill_9_loses_nothing_that_was_finished_and_the_result_is_the_same_bytes(long_work: Path, tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = started(long_work, killed)
    parts = wait_for_parts(killed)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    corpus = open_corpus(long_work, workspace=killed)
    kept = corpus.coverage().scored_rows("lang")
    assert 10 * parts <= kept < 600
    report = score(corpus, ["language", "pii"])
    assert report.reused >= 10 * (parts - 2)  # a row group in flight a thread may lack its second family
    score(open_corpus(long_work, workspace=whole), ["language", "pii"])
    assert sidecars(killed) == sidecars(whole)


@pytest.mark.parametrize("polite", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_polite_stop_says_what_is_kept_and_carries_on(long_work: Path, tmp_path: Path, polite: signal.Signals) -> None:
    process = started(long_work, tmp_path / "w")
    wait_for_parts(tmp_path / "w")
    process.send_signal(polite)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.strip().endswith("documents are scored and kept. Run the same command again to carry on.")
    corpus = open_corpus(long_work, workspace=tmp_path / "w")
    assert 0 < corpus.coverage().scored_rows("lang") < 600
    assert not list((tmp_path / "w").rglob("*.tmp"))


def test_what_killed_writers_left_is_removed_once_it_is_old(tiny_corpus: Corpus) -> None:
    score(tiny_corpus, ["pii"], limit=10)
    side = tiny_corpus.coverage().of("pii_n_email")
    assert side is not None
    parts = side.part_path(tiny_corpus.shards[0], 0).parent
    old, young = parts / ".00001.parquet.123-abc.tmp", side.folder / ".x.parquet.124-abc.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    score(tiny_corpus, ["pii"], limit=20)
    assert not old.exists()
    assert young.exists()


def test_parts_joined_while_they_are_read_are_not_taken_for_missing(tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    score(tiny_corpus, ["pii"], limit=20)
    side = tiny_corpus.coverage().of("pii_n_email")
    assert side is not None
    shard, real, calls = tiny_corpus.shards[0], pq.ParquetFile, iter(range(100))

    def finishing(path: Path, **options: object) -> pq.ParquetFile:
        if next(calls) == 0:  # the reader has seen parts and is about to open the first of them
            score(tiny_corpus, ["pii"])
        return real(path, **options)

    monkeypatch.setattr(pq, "ParquetFile", finishing)
    assert side.read(shard, ["pii_n_email"])["pii_n_email"].to_pylist() == [0] * 30


def fail_from(monkeypatch: pytest.MonkeyPatch, count: int, code: int) -> None:
    """From the count-th file on, nothing more fits on the disk."""
    real, calls = os.fsync, iter(range(10**9))

    def fsync(descriptor: int) -> None:
        if next(calls) >= count:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
@pytest.mark.parametrize("after", [0, 3, 8])
def test_a_full_disk_keeps_finished_parts_and_the_resumed_result_is_the_same_bytes(
    tiny_corpus: Corpus, tmp_path: Path, after: int, code: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_from(patch, after, code)
        with pytest.raises(
            WorkspaceError,
            match=r"The disk is full: .* What was finished before is kept. Free space or choose another workspace with --workspace",
        ):
            score(tiny_corpus, ["pii"], workers=1)
    assert not list(tiny_corpus.workspace.path.rglob("*.tmp"))
    kept = tiny_corpus.coverage().scored_rows("pii_n_email")
    assert kept == {0: 0, 3: 20, 8: 60}[after]
    assert score(tiny_corpus, ["pii"], workers=1).reused == kept
    other = open_corpus(list(tiny_corpus.paths), workspace=tmp_path / "other")
    score(other, ["pii"])
    assert sidecars(tiny_corpus.workspace.path) == sidecars(other.workspace.path)


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk needs the superuser of a Linux machine")
def test_a_disk_that_is_really_full(long_work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine allows no mounts")
    try:
        assert run(["score", str(long_work), "-s", "pii", "--workspace", str(disk / "w"), "--workers", "1"]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.strip().splitlines()[-1].startswith("Error: The disk is full: ")
        kept = open_corpus(long_work, workspace=disk / "w").coverage().scored_rows("pii_n_email")
        assert 0 < kept < 600
        assert not list(disk.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        report = score(open_corpus(long_work, workspace=disk / "w"), ["pii"])
        assert report.reused == kept
        score(open_corpus(long_work, workspace=tmp_path / "other"), ["pii"])
        assert sidecars(disk / "w") == sidecars(tmp_path / "other")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.thorough
def test_two_processes_on_one_workspace_agree(long_work: Path, tmp_path: Path) -> None:
    pair = [started(long_work, tmp_path / "w") for _ in range(2)]
    for process in pair:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    score(open_corpus(long_work, workspace=tmp_path / "other"), ["language", "pii"])
    assert sidecars(tmp_path / "w") == sidecars(tmp_path / "other")
