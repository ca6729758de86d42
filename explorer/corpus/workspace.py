"""The folder for everything computed; sources are never written to."""

from __future__ import annotations

import errno
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from explorer.errors import WorkspaceError

DEFAULT = ".explorer"


class Workspace:
    """A folder with ``signals/ selections/ manifests/ jobs/`` and what later parts add; created when first written to."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path or os.environ.get("EXPLORER_WORKSPACE") or DEFAULT).expanduser().absolute()

    def __repr__(self) -> str:
        return f"Workspace({str(self.path)!r})"

    def folder(self, *parts: str) -> Path:
        """A folder inside the workspace, made if need be."""
        folder = self.path.joinpath(*parts)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        return folder

    def read_json(self, *parts: str) -> Any:
        """A JSON file of the workspace; None when it is missing or unreadable (it is then written anew)."""
        try:
            return json.loads(self.path.joinpath(*parts).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def unwritable(path: Path, error: OSError) -> WorkspaceError:
    """The one message for a workspace that refuses a write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return WorkspaceError(
            f"The disk is full: {str(path)!r} could not be written. What was finished before is kept. Free space or choose another workspace with --workspace, then run the same command again: it carries on."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return WorkspaceError(
            f"{str(path)!r} cannot be written: {error.strerror}. The workspace must be a folder you may write to. Choose one with --workspace DIR or EXPLORER_WORKSPACE."
        )
    return WorkspaceError(f"{str(path)!r} could not be written: {error.strerror or error}. Choose another workspace with --workspace DIR.")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time through; the lock goes with its process, however that ends."""
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "ab")  # noqa: SIM115
    except OSError as error:
        raise unwritable(path, error) from error
    with file:
        with suppress(OSError):  # a file system without locks: the window in which two writers meet is then open, but small
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to disk, then rename it: readers see all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes; one younger than an hour may be somebody's work in progress."""
    before = time.time() - 3600
    for path in folder.rglob(".*.tmp"):
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys sorted."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
