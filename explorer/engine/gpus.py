"""Several devices at once: a process for each, with rows of its own, all writing pieces into the same folder.

    parent ── task, one JSON line on stdin ──► process k of n: rows of the blocks k, k + n, … ──► pieces
           ◄── progress, one JSON line a piece on stdout ──

A process stops after the piece in hand when its stdin is closed, so none outlives a parent that was killed. When one fails the others
are stopped, what all of them have finished is kept, and the failure is told once. Files are joined by the parent alone.

A text that occurs in rows of two processes may be run by both when neither has finished it; what one has written the other reuses.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from explorer import errors
from explorer.corpus.corpus import Corpus
from explorer.corpus.sidecars import Sidecar, sidecar
from explorer.engine.pieces import score_pieces, wanted_rows
from explorer.engine.progress import Progress, ScoreReport
from explorer.errors import ExplorerError, SignalError
from explorer.registry import Family

BLOCK = 512  # rows that stay together: what lies in one row group is decoded by few processes
WORTH = 2000  # rows below which no further process is started unless they are asked for: each has to load the model
GRACE = 60.0  # seconds that a process has for the piece in hand when it is to stop


def spread(device: str, workers: int | None, rows: int) -> list[str]:
    """The devices that processes are started on, in order; one name means that this process does the work itself.

    Args:
        device: "auto" or "cuda" takes every GPU there is; "cuda:1", "cpu" and "mps" are taken as often as there are workers.
        workers: processes; None for one a GPU where that is worth while.
        rows: documents to run on.
    """
    if device in ("auto", "cuda"):
        gpus = _gpus()
        if gpus:
            n = workers if workers is not None else gpus if rows >= WORTH else 1
            return [device] if n == 1 else [f"cuda:{k % gpus}" for k in range(n)]
    return [device] * (workers or 1)


def _gpus() -> int:
    try:
        from explorer.models.extra import torch
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def score_in_processes(
    corpus: Corpus,
    family: Family,
    side: Sidecar,
    task: Mapping[str, Any],
    rows: np.ndarray | None,
    devices: Sequence[str],
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> ScoreReport:
    """Compute a learned family for the rows that lack it, by a process on each of the devices.

    Args:
        corpus: the corpus.
        family: of document scope, learned.
        side: where its values are kept.
        task: how another process finds the same family: ``{"score": title, "parameters": {…}}``, or ``{"embed": {…}}`` with
            the parameters of `explorer.embeddings.embed.embedding_family`.
        rows: numbers of documents; None for all.
        devices: one a process, such as "cuda:0".
        on_progress: called when a process has finished a piece.
        cancel: when set, each process stops after its piece.

    Raises:
        ExplorerError: of the kind that the first process to fail raised; what was finished is kept.

    """
    from explorer.rewrites.place import Place

    stop = cancel or threading.Event()
    missing = np.concatenate([np.zeros(0, np.int64), *(shard.first_row + inner for shard, inner in wanted_rows(corpus, side, rows))])
    total = len(corpus) if rows is None else len(rows)
    n = min(len(devices), max(1, len(missing)))
    if n == 1 or stop.is_set():
        return score_pieces(corpus, family, side, rows, device=devices[0], on_progress=on_progress, cancel=stop)
    block = int(np.clip(len(missing) // (8 * n), 1, BLOCK))
    owner = np.arange(len(missing)) // block % n
    reused, started = total - len(missing), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="explorer-") as folder:
        children = []
        for k, device in enumerate(devices[:n]):
            np.save(Path(folder) / f"{k}.npy", missing[owner == k])
            said = {
                "place": asdict(Place.of(corpus)),
                "fingerprint": corpus.fingerprint,
                "folder": side.folder.name,
                "rows": str(Path(folder) / f"{k}.npy"),
                "device": device,
                **task,
            }
            children.append(_Child(said, Path(folder) / f"{k}.txt", n))

        def tell(state: str = "running") -> None:
            done = reused + sum(c.done for c in children)
            loading = next((c.doing for c in children if c.doing), "") if done == reused else ""
            about = ", ".join(dict.fromkeys(c.about for c in children if c.about))
            seconds = time.monotonic() - started
            size = sum(c.bytes for c in children)
            on_progress(
                Progress(state, done, total, reused, size, seconds, loading, family.title, f"{n} processes on {about}" if about else "")
            )

        try:
            _follow(children, stop, tell)
        finally:
            for child in children:
                child.end()
    failed = next((c for c in children if c.error), None)
    if failed is not None:
        tell("failed")
        number = children.index(failed) + 1
        raise failed.kind(
            f"{family.title} failed in process {number} of {n} ({failed.device}): {failed.error} What the others finished is kept."
        )
    seconds = time.monotonic() - started
    last = score_pieces(corpus, family, side, rows, cancel=stop)  # joins the files; it computes what was lost meanwhile, if anything
    computed = sum(c.done for c in children) + last.computed
    tell("cancelled" if last.cancelled else "done")
    names = {s.name for s in family.signals}
    return ScoreReport(
        families=(family.title,),
        rows=total,
        computed=computed,
        reused=reused,
        seconds=seconds,
        text_bytes=sum(c.bytes for c in children) + last.text_bytes,
        nulls={name: sum(c.nulls.get(name, 0) for c in children) + last.nulls.get(name, 0) for name in names},
        cancelled=last.cancelled,
        same=sum(c.same for c in children) + last.same,
        device=f"{n} processes on " + ", ".join(dict.fromkeys(c.about or c.device for c in children)),
    )


def _follow(children: Sequence[_Child], stop: threading.Event, tell: Callable[[], None]) -> None:
    """Pass progress on until all have ended; stop all when that is asked for or one has failed."""
    asked = False
    while any(child.running for child in children):
        for child in children:
            child.hear()
        tell()
        if not asked and (stop.is_set() or any(child.error for child in children)):
            asked = True
            for child in children:
                child.ask_to_stop()
        if asked and all(not c.running or c.overdue for c in children):
            return
        time.sleep(0.05)


class _Child:
    """A process, what it was told and what it has said."""

    def __init__(self, task: Mapping[str, Any], log: Path, of: int) -> None:
        self.device = str(task["device"])
        self.done = self.bytes = self.same = 0
        self.nulls: dict[str, int] = {}
        self.doing = self.about = self.error = ""
        self.kind: type[ExplorerError] = SignalError
        self._log, self._asked = log, 0.0
        self._ended = False
        share = str(max(1, (os.cpu_count() or 1) // of))
        paths = os.pathsep.join(p for p in sys.path if p)
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": share, "RAYON_NUM_THREADS": share}
        with open(log, "wb") as errors_of_it:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "explorer.engine.gpus"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors_of_it,
                env=environment,
                text=True,
                start_new_session=True,  # Ctrl-C is for the parent, which lets the piece in hand be finished
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._said: queue.Queue[str | None] = queue.Queue()
        self._listener = threading.Thread(target=_listen, args=(self._process.stdout, self._said), daemon=True)
        self._listener.start()
        with suppress(BrokenPipeError):  # it has ended already; its log says why
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()

    @property
    def running(self) -> bool:
        return not self._ended

    @property
    def overdue(self) -> bool:
        return bool(self._asked) and time.monotonic() - self._asked > GRACE

    def hear(self) -> None:
        """Take in what it has said since."""
        while not self._ended:
            try:
                line = self._said.get_nowait()
            except queue.Empty:
                return
            if line is None:
                self._ended = True
                if code := self._process.wait():
                    self._failed({} if self.error else {"error": self._last_words(code)})
                return
            said = json.loads(line)
            if "error" in said:
                self._failed(said)
            else:
                self.done, self.bytes, self.doing, self.about = said["done"], said["bytes"], said["doing"], said["about"]
                self.same, self.nulls = said.get("same", self.same), said.get("nulls", self.nulls)

    def ask_to_stop(self) -> None:
        """Let it finish its piece."""
        self._asked = self._asked or time.monotonic()
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def end(self) -> None:
        """Leave nothing behind."""
        self.ask_to_stop()
        if self._process.poll() is None:
            try:
                self._process.wait(timeout=0 if self.overdue else GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._listener.join(timeout=5)
        self.hear()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _failed(self, said: Mapping[str, str]) -> None:
        if said:
            self.error = said["error"].rstrip()
            kind = getattr(errors, said.get("kind", ""), SignalError)
            self.kind = kind if isinstance(kind, type) and issubclass(kind, ExplorerError) else SignalError

    def _last_words(self, code: int) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if self._log.exists() else []
        return f"it ended with code {code}{f' ({lines[-1].strip()})' if lines else ''}. The machine may have run out of memory; try fewer --workers."


def _listen(stream: IO[str], into: queue.Queue[str | None]) -> None:
    try:
        for line in stream:
            into.put(line)
    except ValueError:  # closed under our hands: the parent has given it up
        pass
    into.put(None)


def _work(task: Mapping[str, Any], stop: threading.Event, say: Callable[[Mapping[str, Any]], None]) -> None:
    """What a process does: the same as the parent would, for its rows."""
    from explorer.models import device as devices
    from explorer.rewrites.place import Place

    said = task["place"]
    roles = tuple((role, column) for role, column in said["roles"])
    corpus = Place(tuple(said["paths"]), said["workspace"], roles, tuple(said["originals"]), tuple(said["on"])).open()
    if corpus.fingerprint != task["fingerprint"]:
        raise SignalError("The files changed while the processes were started. Run the command again.")
    with devices.using(task["device"]):
        family, side = _family(corpus, task)
        if side.folder.name != task["folder"]:
            raise SignalError(f"{family.title!r} is not the same in another process ({side.folder.name!r}). Use one worker.")
        about = devices.current().about

        def tell(progress: Progress) -> None:
            done = progress.done_rows - progress.reused_rows
            say({"done": done, "bytes": progress.done_bytes, "doing": progress.doing, "about": about})

        report = score_pieces(corpus, family, side, np.load(task["rows"]), join=False, device=about, on_progress=tell, cancel=stop)
    say(
        {
            "done": report.computed,
            "bytes": report.text_bytes,
            "doing": "",
            "about": about,
            "same": report.same,
            "nulls": dict(report.nulls),
        }
    )


def _family(corpus: Corpus, task: Mapping[str, Any]) -> tuple[Family, Sidecar]:
    if "embed" in task:
        from explorer.embeddings.embed import embedding_family

        return embedding_family(corpus, **task["embed"])
    from explorer.engine.local import key_beside
    from explorer.registry import find

    family = find(task["score"])
    return family, sidecar(corpus.workspace, family, corpus.roles.text, task["parameters"], corpus=key_beside(corpus, family))


def main() -> None:
    """The entry of a process: a task on stdin, progress on stdout."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no progress
    stop = threading.Event()

    def say(words: Mapping[str, Any]) -> None:
        try:
            stream.write(json.dumps(words) + "\n")
            stream.flush()
        except BrokenPipeError:
            stop.set()  # the parent is gone

    task = json.loads(sys.stdin.readline())

    def wait_for_the_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    try:
        _work(task, stop, say)
    except (ExplorerError, ImportError, MemoryError) as error:
        say({"error": str(error) or type(error).__name__, "kind": type(error).__name__})
        code = 1
    else:
        code = 0
    os._exit(code)  # the thread that waits on stdin would keep the interpreter


if __name__ == "__main__":
    main()
