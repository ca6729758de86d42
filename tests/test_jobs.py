"""Background jobs: found again by whoever looks, never started twice, stopped in good order, never lost without a word."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer import jobs
from explorer.corpus.corpus import open_corpus
from explorer.errors import JobError, WorkspaceError
from explorer.jobs import Job

MINUTE = 60.0


@pytest.fixture
def slow_files(tmp_path: Path) -> Path:
    """Many row groups of language identification: some seconds of work."""
    texts = [f"Document {i}. " + "The sea was calm and the wind was fair, so they sailed on. " * 100 for i in range(600)]
    path = tmp_path / "slow" / "slow.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"text": texts}), path, row_group_size=10)
    return path.parent


@pytest.fixture
def slow(slow_files: Path, tmp_path: Path) -> Iterator[Job]:
    """A job that has begun to compute."""
    job = jobs.start(tmp_path / "w", ["score", str(slow_files), "-s", "language", "--workers", "1"], "score language")
    until = time.monotonic() + MINUTE
    while not job.progress.done and job.state not in jobs.ENDED and time.monotonic() < until:
        time.sleep(0.02)
    assert job.state == "running", (job.state, job.log_tail())
    yield job
    if job.state not in jobs.ENDED:
        job._end(0)
        job.wait(MINUTE)


def test_a_job_runs_to_its_end_and_its_record_says_so(tiny_files: Path, tmp_path: Path) -> None:
    job = jobs.start(tmp_path / "w", ["score", str(tiny_files), "-s", "pii"], "score pii")
    assert job.state in ("queued", "running")
    assert job.wait(MINUTE) == "done"
    assert (job.progress.done, job.progress.total, job.progress.remaining, job.error) == (60, 60, None, "")
    assert "60 documents computed" in job.log_tail()
    assert open_corpus(tiny_files, workspace=tmp_path / "w").coverage().scored_rows("pii_n_email") == 60
    [again] = jobs.jobs(tmp_path / "w")
    assert (again.id, again.command, again.label, again.state) == (job.id, job.command, "score pii", "done")


def test_a_job_that_fails_says_why_in_one_message(tiny_files: Path, tmp_path: Path) -> None:
    job = jobs.start(tmp_path / "w", ["score", str(tiny_files), "-s", "nope"], "bad")
    assert job.wait(MINUTE) == "failed"
    assert job.error.startswith("No signal or family is called 'nope'.")
    usage = jobs.start(tmp_path / "w", ["score", str(tiny_files)], "usage")
    assert usage.wait(MINUTE) == "failed"
    assert "Missing option '-s'" in usage.error
    assert [j.id for j in jobs.jobs(tmp_path / "w")] == [usage.id, job.id]


@pytest.mark.thorough
def test_the_same_command_is_not_started_twice(slow: Job) -> None:
    same = jobs.start(slow.workspace, list(slow.command), "again")
    assert same.id == slow.id
    other = jobs.start(slow.workspace, ["signals", "pii"], "another command")
    assert other.id != slow.id
    assert other.wait(MINUTE) == "done"
    assert len(jobs.jobs(slow.workspace)) == 2


def test_a_cancelled_job_keeps_what_was_done_and_can_be_resumed(slow: Job, slow_files: Path) -> None:
    begun = time.monotonic()
    slow.cancel()
    assert slow.wait(MINUTE) == "cancelled"
    assert time.monotonic() - begun < jobs.GRACE
    kept = open_corpus(slow_files, workspace=slow.workspace).coverage().scored_rows("lang")
    assert kept == slow.progress.done < 600
    assert "documents are scored and kept" in slow.log_tail()
    slow.cancel()  # nothing left to cancel
    resumed = jobs.resume(slow)
    assert resumed.id == slow.id
    assert resumed.wait(2 * MINUTE) == "done"
    assert resumed.progress.done == 600
    assert f"{600 - kept:,} documents computed, {kept:,} of 600 were there already" in resumed.log_tail()


@pytest.mark.thorough
def test_a_job_that_was_killed_is_told_from_one_that_runs(slow: Job, slow_files: Path) -> None:
    os.kill(slow._record()["pid"], signal.SIGKILL)
    assert slow.wait(MINUTE) == "died"
    assert f"Job {slow.id!r} ended without a word" in slow.error
    assert "Resume it" in slow.error
    assert jobs.resume(slow).wait(2 * MINUTE) == "done"
    assert slow.error == ""
    assert open_corpus(slow_files, workspace=slow.workspace).coverage().scored_rows("lang") == 600


def test_a_job_that_does_not_stop_is_ended(slow: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "GRACE", 0.2)
    monkeypatch.setattr(os, "kill", lambda *_: None)  # it does not hear the polite signal
    slow.cancel()
    assert slow.wait(MINUTE) == "cancelled"


def test_a_job_outlives_whoever_started_it(slow_files: Path, tmp_path: Path) -> None:
    script = f"from explorer import jobs; print(jobs.start({str(tmp_path / 'w')!r}, ['score', {str(slow_files)!r}, '-s', 'pii'], 'x').id)"
    started = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    [job] = jobs.jobs(tmp_path / "w")
    assert job.id == started.stdout.strip()
    assert job.wait(MINUTE) == "done"
    assert job.progress.done == 600


def record(workspace: Path, name: str, **said: object) -> Path:
    folder = workspace / "jobs" / name
    folder.mkdir(parents=True)
    base = {"command": ["score"], "label": name, "started": 1.0, "directory": "/"}
    (folder / "job.json").write_text(json.dumps(base | said))
    return folder


def test_a_number_that_now_belongs_to_another_process_is_not_the_job(tmp_path: Path) -> None:
    record(tmp_path, "old", pid=os.getpid(), created=12345.0)
    record(tmp_path, "none")
    (record(tmp_path, "broken") / "job.json").write_text('{"command": [')
    assert {job.id: job.state for job in jobs.jobs(tmp_path)} == {"old": "died", "none": "died"}
    [old] = [job for job in jobs.jobs(tmp_path) if job.id == "old"]
    old.cancel()  # must not reach this process
    assert old.state == "died"


def test_a_record_cut_off_in_the_middle_is_survived(tmp_path: Path) -> None:
    (record(tmp_path, "half", pid=1, created=0.0) / "progress.json").write_text('{"state": "run')
    [job] = jobs.jobs(tmp_path)
    assert job.state == "died"
    assert job.log_tail() == ""


@pytest.mark.thorough
def test_only_ended_jobs_are_forgotten(slow: Job) -> None:
    with pytest.raises(JobError, match=r"is still running. Only jobs that have ended can be forgotten. Cancel it first"):
        jobs.forget(slow)
    slow.cancel()
    slow.wait(MINUTE)
    jobs.forget(slow)
    assert jobs.jobs(slow.workspace) == []


def test_jobs_are_found_by_id_or_its_beginning(tmp_path: Path) -> None:
    for name in ("20260101-a", "20260101-b", "20260202-c"):
        record(tmp_path, name)
    assert jobs.find(tmp_path, "20260101-b").id == "20260101-b"
    assert jobs.find(tmp_path, "202602").id == "20260202-c"
    with pytest.raises(JobError, match=r"More than one job is called '20260101'. Jobs: .*20260101-a"):
        jobs.find(tmp_path, "20260101")
    with pytest.raises(JobError, match=r"No job is called 'x'"):
        jobs.find(tmp_path, "x")
    assert jobs.jobs(tmp_path / "nothing here") == []


def test_a_workspace_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("a file")
    with pytest.raises(WorkspaceError, match="--workspace"):
        jobs.start(tmp_path / "w", ["signals"], "x")


def test_a_folder_that_is_gone_is_said_and_leaves_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getcwd", lambda: str(tmp_path / "gone"))
    with pytest.raises(JobError, match=r"Job 'x' could not be started: .*gone"):
        jobs.start(tmp_path / "w", ["signals"], "x")
    assert jobs.jobs(tmp_path / "w") == []


def test_modules_in_the_users_folder_do_not_shadow_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    (tmp_path / "click.py").write_text("raise SystemExit('the wrong click')")
    monkeypatch.chdir(tmp_path)
    job = jobs.start(tmp_path / "w", ["signals", "pii"], "x")
    assert job.wait(MINUTE) == "done", job.log_tail()
