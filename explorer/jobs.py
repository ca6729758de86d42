"""Long work as a process of its own, running our own command; its record lies in the workspace and outlives whoever started it.

    jobs/<id>/job.json        what was started, where and as which process
    jobs/<id>/progress.json   how far it is, and how it ended; the last word of the job itself
    jobs/<id>/cancel          there when somebody asked it to stop
    jobs/<id>/log.txt         everything it printed

Whoever looks (a page, another browser, the command, after a restart or a crash) reads these files, so there is no list to lose.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from explorer.corpus.workspace import Workspace, locked, unwritable, write_json, write_text
from explorer.errors import JobError

State = Literal["queued", "running", "done", "failed", "cancelled", "died"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "died")

GRACE = 20.0  # seconds between asking a job to stop and ending it
STARTING = 15.0  # seconds in which a job without a process is still being started
SAME_PROCESS = 2.0  # seconds by which two readings of one process' start may differ
PROGRESS_EVERY = 0.34  # seconds between two records of progress


@dataclass(frozen=True)
class JobProgress:
    """How far a job is.

    Attributes:
        state: "running", or how it ended.
        done, total: documents.
        rate: documents a second in this run, None while unknown.
        remaining: seconds left at this rate, None while unknown.
        error: the one message of a job that failed.
        doing: what it does before there is a rate; empty otherwise.
        updated: seconds since the epoch.
        device: what its model runs on; empty without one.
        memory: bytes that it holds, of the GPU where it uses one.

    """

    state: State = "queued"
    done: int = 0
    total: int = 0
    rate: float | None = None
    remaining: float | None = None
    error: str = ""
    updated: float = 0.0
    doing: str = ""
    device: str = ""
    memory: int = 0


@dataclass(frozen=True)
class Job:
    """One command that runs, or ran, in the background; every property looks at its files anew."""

    folder: Path
    command: tuple[str, ...]
    label: str
    started: float
    directory: str

    @property
    def id(self) -> str:
        """Name of the job's folder."""
        return self.folder.name

    @property
    def workspace(self) -> Path:
        """The workspace it belongs to."""
        return self.folder.parent.parent

    @property
    def progress(self) -> JobProgress:
        """What the job last said of itself."""
        said = Workspace(self.folder).read_json("progress.json")
        known = {k: v for k, v in said.items() if k in JobProgress.__dataclass_fields__} if isinstance(said, dict) else {}
        return JobProgress(**known)

    @property
    def state(self) -> State:
        """Where the job is; "died" when its process is gone without a last word."""
        state = self.progress.state
        if state in ENDED:
            return state
        if self._process() is not None:
            return state
        state = self.progress.state  # its last word may have come between the two looks
        if state in ENDED:
            return state
        if "pid" not in self._record() and time.time() - self.started < STARTING:
            return "queued"
        return "cancelled" if self._cancel_file.exists() else "died"

    @property
    def error(self) -> str:
        """Why it ended without success, in one message; empty otherwise."""
        state = self.state
        if state == "died":
            last = self.log_tail(1)
            return (
                f"Job {self.id!r} ended without a word: it was killed, ran out of memory, or the machine restarted. "
                f"What it finished is kept. Resume it to carry on.{f' Its last line: {last}' if last else ''}"
            )
        return self.progress.error if state == "failed" else ""

    def log_tail(self, lines: int = 30) -> str:
        """The last lines that it printed."""
        try:
            with open(self.folder / "log.txt", "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 200 * lines))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def cancel(self) -> None:
        """Ask the job to stop: it finishes the row groups in flight and keeps them. After 20 s it is ended."""
        if self.state in ENDED:
            return
        asked_before = self._cancel_file.exists()
        write_text(self._cancel_file, f"{time.time()}\n")
        process = self._process()
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
        if not asked_before:
            threading.Thread(target=self._end, args=(GRACE,), name=f"end {self.id}", daemon=True).start()

    def wait(self, seconds: float | None = None) -> State:
        """Wait until it has ended, at most so long; its state then."""
        until = time.monotonic() + (seconds if seconds is not None else float("inf"))
        while (state := self.state) not in ENDED and time.monotonic() < until:
            time.sleep(0.05)
        return state

    @property
    def _cancel_file(self) -> Path:
        return self.folder / "cancel"

    def _record(self) -> dict[str, Any]:
        return Workspace(self.folder).read_json("job.json") or {}

    def _process(self) -> int | None:
        """The job's process while it lives; a process of the same number that started at another time is another's."""
        import psutil

        record = self._record()
        try:
            process = psutil.Process(record["pid"])
            same = abs(process.create_time() - record["created"]) < SAME_PROCESS
            return int(process.pid) if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, KeyError, TypeError, ValueError):
            return None

    def _end(self, after: float) -> None:
        if self.wait(after) not in ENDED and (process := self._process()) is not None:
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)  # the job leads its session, so what it started ends with it


def start(workspace: str | os.PathLike[str] | Workspace, command: Sequence[str], label: str) -> Job:
    """Run ``explorer <command…>`` in the background.

    Args:
        workspace: where its record is kept; also the command's workspace unless the command names another.
        command: the arguments after ``explorer``, such as ``["score", "data/", "-s", "length"]``.
        label: what people are shown.

    Returns:
        The new job; or the one that is running the same command from the same folder already, so that nothing is done twice.

    Raises:
        JobError: the process could not be started.
        WorkspaceError: the workspace cannot be written.

    """
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    arguments, directory = tuple(map(str, command)), os.getcwd()
    with locked(space.path / "jobs" / ".lock"):
        for job in jobs(space):
            if (job.command, job.directory) == (arguments, directory) and job.state not in ENDED:
                return job
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:6]}"
        job = Job(space.path / "jobs" / name, arguments, label, time.time(), directory)
        try:
            return _launch(job)
        except JobError:
            shutil.rmtree(job.folder, ignore_errors=True)
            raise


def jobs(workspace: str | os.PathLike[str] | Workspace) -> list[Job]:
    """All jobs of a workspace, newest first."""
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    found = []
    for record in (space.path / "jobs").glob("*/job.json"):
        said = Workspace(record.parent).read_json("job.json")
        with suppress(KeyError, TypeError, ValueError):  # a record that somebody damaged is no job that could be shown
            found.append(Job(record.parent, tuple(said["command"]), str(said["label"]), float(said["started"]), str(said["directory"])))
    return sorted(found, key=lambda job: (job.started, job.id), reverse=True)


def find(workspace: str | os.PathLike[str] | Workspace, job_id: str) -> Job:
    """The job with this id, or the only one whose id begins so.

    Raises:
        JobError: there is none, or several.

    """
    known = jobs(workspace)
    matching = [job for job in known if job.id == job_id] or [job for job in known if job_id and job.id.startswith(job_id)]
    if len(matching) != 1:
        names = ", ".join(job.id for job in known[:8]) or "none"
        raise JobError(
            f"{'No job' if not matching else 'More than one job'} is called {job_id!r}. Jobs: {names}. List them with: explorer jobs"
        )
    return matching[0]


def resume(job: Job) -> Job:
    """Run the command of a job that has ended once more, under the same id; it carries on from what is there.

    Raises:
        JobError: it could not be started.

    """
    with locked(job.workspace / "jobs" / ".lock"):
        if job.state not in ENDED:
            return job
        for name in ("progress.json", "cancel"):
            (job.folder / name).unlink(missing_ok=True)
        return _launch(Job(job.folder, job.command, job.label, time.time(), job.directory))


def forget(job: Job) -> None:
    """Remove the record of a job that has ended; what it computed stays.

    Raises:
        JobError: it is still running.

    """
    if job.state not in ENDED:
        raise JobError(f"Job {job.id!r} is still {job.state}. Only jobs that have ended can be forgotten. Cancel it first.")
    shutil.rmtree(job.folder, ignore_errors=True)


def _launch(job: Job) -> Job:
    record = {"command": list(job.command), "label": job.label, "started": job.started, "directory": job.directory}
    write_json(job.folder / "job.json", record)
    package = Path(__file__).resolve().parent.parent
    environment = dict(os.environ) | {"EXPLORER_WORKSPACE": str(job.workspace), "PYTHONUNBUFFERED": "1"}
    if package.name not in ("site-packages", "dist-packages"):  # a checkout that was never installed
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH", "")]))
    # -P: a file of the user's folder named like a module of ours or of the standard library must not be imported.
    line = [sys.executable, "-P", "-m", "explorer", "--job", str(job.folder), *job.command]
    try:
        with open(job.folder / "log.txt", "ab") as log:
            process = subprocess.Popen(
                line,
                cwd=job.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        if error.filename and str(error.filename).startswith(str(job.folder)):
            raise unwritable(job.folder, error) from error
        raise JobError(
            f"Job {job.label!r} could not be started: {error}. Run it in a terminal: explorer {' '.join(job.command)}"
        ) from error
    threading.Thread(target=process.wait, name=f"job {job.id}", daemon=True).start()  # no zombie while this process lives
    write_json(job.folder / "job.json", record | {"pid": process.pid, "created": _created(process.pid)})
    return job


def _created(pid: int) -> float:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:  # it has ended already
        return 0.0


def _memory() -> int:
    """Bytes this process holds: of the GPU where it uses one, else of the machine."""
    import psutil

    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.memory_reserved():
        return int(torch.cuda.memory_reserved())
    return int(psutil.Process().memory_info().rss)


class Reporter:
    """The job's own side: writes its progress, at most about three times a second, and its last word."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "progress.json"
        self._last = 0.0
        self._now = JobProgress("running", updated=time.time())
        self._write()

    def show(self, done: int, total: int, rate: float | None, remaining: float | None, doing: str = "", device: str = "") -> None:
        """Say how far it is."""
        if time.monotonic() - self._last >= PROGRESS_EVERY or done == total:
            self._now = JobProgress("running", done, total, rate, remaining, "", time.time(), doing, device, _memory())
            self._write()
        else:
            self._now = replace(self._now, done=done, total=total, rate=rate, remaining=remaining, doing=doing)

    def end(self, state: State, error: str = "") -> None:
        """Say how it ended; nothing is written after this."""
        self._now = replace(self._now, state=state, remaining=None, error=error, updated=time.time(), doing="")
        self._write()

    def _write(self) -> None:
        self._last = time.monotonic()
        write_json(self._path, asdict(self._now))
