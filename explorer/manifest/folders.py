"""Finished folders: built under another name, flushed, renamed; and files found, hashed and named relative to such a folder."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import shutil
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from explorer.corpus.files import Shard, read_footers
from explorer.errors import ExplorerError
from explorer.manifest.model import SourceFile

CHUNK = 1 << 22
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_building: set[str] = set()  # folders that threads of this process are writing now; a container's processes often share one PID over time


@contextmanager
def new_folder(out: Path, *, what: str, ours: Callable[[Path], bool], error: type[ExplorerError]) -> Iterator[Path]:
    """A temporary folder beside ``out`` that takes its name when the block ends well, and is removed when it does not.

    ``out`` may be absent, empty, or hold an earlier result (``ours``), which is replaced as a whole; it is looked at again when the
    block ends, so that what somebody else put there meanwhile stays. A killed process leaves a hidden ``.NAME.HOST-PID-ID.partial``,
    which the next run on the same machine removes, or ``….replaced.partial``, the earlier result, which it puts back if ``out`` is gone.

    Raises:
        ExplorerError: of the type ``error``: ``out`` holds something else, or cannot be written.

    """
    check_replaceable(out, what=what, ours=ours, error=error)
    host = socket.gethostname().split(".")[0] or "host"
    mine = f".{out.name}.{host}-{os.getpid()}-{uuid.uuid4().hex}"
    temporary, old = out.with_name(f"{mine}.partial"), out.with_name(f"{mine}.replaced.partial")
    _building.add(mine)
    finished = False
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(out, host)
        temporary.mkdir()
        yield temporary
        for path in [*temporary.rglob("*"), temporary]:
            _flush(path)
        check_replaceable(out, what=what, ours=ours, error=error)
        if out.exists():
            os.replace(out, old)
            check_replaceable(old, what=what, ours=ours, error=error)  # out of everybody's way: nothing can be added between look and swap
        os.replace(temporary, out)
        finished = True
        _flush(out.parent)
    except OSError as problem:
        raise unwritable(out, problem, error) from problem
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if finished:
            shutil.rmtree(old, ignore_errors=True)
        elif old.exists() and not out.exists():
            os.replace(old, out)
        _building.discard(mine)


def check_replaceable(out: Path, *, what: str, ours: Callable[[Path], bool], error: type[ExplorerError]) -> None:
    """Refuse a path that is a file, or a folder that holds anything but an earlier result."""
    if out.exists() and not out.is_dir():
        raise error(f"{str(out)!r} is a file. {what} is a folder. Give --out a new or empty folder.")
    if out.is_dir() and any(out.iterdir()) and not ours(out):
        held = ", ".join(sorted(p.name for p in out.iterdir())[:4])
        raise error(
            f"{str(out)!r} is not empty and is not {what}: it holds {held}. It was left as it is. Give --out a new or empty folder."
        )


def unwritable(path: Path, problem: OSError, error: type[ExplorerError]) -> ExplorerError:
    """The one message for a folder that refuses a write."""
    if problem.errno in FULL or "No space left" in str(problem):
        return error(
            f"The disk is full: {str(path)!r} could not be written. Nothing of it was left behind. Free space or give --out a folder on another disk."
        )
    return error(
        f"{str(path)!r} could not be written: {problem.strerror or problem}. Nothing of it was left behind. Give --out a folder you may write to."
    )


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear_leftovers(out: Path, host: str) -> None:
    """Remove what killed processes left beside ``out``; an earlier result that they had moved aside is put back when ``out`` is absent."""
    mine = re.compile(rf"(?P<stem>{re.escape(f'.{out.name}.{host}')}-(?P<process>\d+)(-[0-9a-f]{{32}})?)(?P<replaced>\.replaced)?\.partial")
    for path in sorted(out.parent.glob(f".{glob.escape(out.name)}.{glob.escape(host)}-*.partial")):
        found = mine.fullmatch(path.name)
        if found is None or found["stem"] in _building:
            continue
        process = int(found["process"])
        if process != os.getpid() and _alive(process):
            continue
        if found["replaced"] and not out.exists():
            os.replace(path, out)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(process))


def sha256(path: str | os.PathLike[str]) -> str:
    """Sha256 of a local file or fsspec URL, hex digits."""
    import fsspec

    name, seen = os.fspath(path), hashlib.sha256()
    with fsspec.open(name, "rb").open() if "://" in name else open(name, "rb") as file:
        while chunk := file.read(CHUNK):
            seen.update(chunk)
    return seen.hexdigest()


def hash_all(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Sha256 of every file, several at a time."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(sha256, paths))


def relative(path: str, folder: Path) -> str:
    """How a manifest in ``folder`` names a file: POSIX, relative to the folder; a URL as it is."""
    if "://" in path:
        return path
    parent, name = os.path.split(path)  # the file's own name is kept: in download caches it is a link to a blob without one
    return Path(os.path.relpath(os.path.join(os.path.realpath(parent), name), os.path.realpath(folder))).as_posix()


def locate(file: SourceFile, folder: Path | None, root: str | os.PathLike[str] | None = None) -> str | None:
    """Where a source file is now, or None: at its path relative to the manifest, else under ``root`` by the longest matching tail."""
    if "://" in file.path:
        return file.path
    beside = os.path.normpath(os.path.join(os.path.realpath(folder or "."), file.path))
    if root is None:
        return beside if os.path.isfile(beside) else None
    tail = [part for part in Path(file.path).parts if part != ".."]
    for start in range(len(tail)):
        candidate = os.path.join(os.fspath(root), *tail[start:])
        if os.path.isfile(candidate):
            return os.path.abspath(candidate)
    return beside if os.path.isfile(beside) else None


def footer(path: str) -> Shard | None:
    """The shard as its footer describes it now; None when it is no readable Parquet."""
    shards, _ = read_footers([path])
    return shards[0] if shards else None
