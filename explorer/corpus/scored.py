"""Which file, as it was then, each family has scored: how a later opening tells that a file has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from explorer.corpus.files import Shard
from explorer.corpus.problems import Problem
from explorer.corpus.sidecars import Coverage, Sidecar
from explorer.corpus.workspace import Workspace, locked, write_json

FILE = "scored.json"  # {"files": {path: {sidecar folder: [fingerprint, modification time in ns or null]}}}


def modified(shard: Shard) -> int | None:
    """When a local file was last modified, ns since 1970; None where nobody can say."""
    try:
        return None if shard.remote else os.stat(shard.path).st_mtime_ns
    except OSError:
        return None


def remember(workspace: Workspace, finished: Iterable[tuple[Sidecar, Shard]], times: Mapping[tuple[str, str], int | None]) -> None:
    """Record finished shards; ``times`` holds those computed just now, by (sidecar folder, path), with their files' modification time."""
    with locked(workspace.path / "scored.lock"):
        files = _files(workspace)
        for side, shard in finished:
            key = (side.folder.name, shard.path)
            families = files.setdefault(shard.path, {})
            if key in times:
                families[side.folder.name] = [shard.fingerprint, times[key]]
            elif _entry(families, side.folder.name)[0] != shard.fingerprint:
                families[side.folder.name] = [shard.fingerprint, None]
        write_json(workspace.path / FILE, {"files": files})


def problems(workspace: Workspace, shards: Sequence[Shard], coverage: Coverage) -> list[Problem]:
    """Files that are no longer what was scored."""
    files = _files(workspace)
    changed, touched = [], []
    for shard in shards:
        families = files.get(shard.path, {})
        entries = {folder: _entry(families, folder) for folder in families}
        here = {side.folder.name for side in coverage.sidecars if side.finished(shard)} if entries else set()
        if any(fingerprint not in ("", shard.fingerprint) and folder not in here for folder, (fingerprint, _) in entries.items()):
            changed.append(shard.name)
        now = modified(shard)
        if any(f == shard.fingerprint and then not in (None, now) and folder in here for folder, (f, then) in entries.items()):
            touched.append(shard.name)
    found = []
    if changed:
        message = f"{len(changed)} files changed since they were scored ({', '.join(changed[:5])}). Their old scores are not used; score again to fill them in."
        found.append(Problem("changed since scored", "warning", len(changed), message, tuple(changed)))
    if touched:
        message = f"{len(touched)} files were modified since they were scored ({', '.join(touched[:5])}), but their footers are the same: it may be only a copy. Their scores are shown; if texts were changed, compute them anew with: explorer score PATH -s FAMILY --again"
        found.append(Problem("modified since scored", "warning", len(touched), message, tuple(touched)))
    return found


def _files(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """The record; empty where there is none, or one of an older form."""
    said = workspace.read_json(FILE)
    files = said.get("files") if isinstance(said, dict) else None
    return {path: known for path, known in files.items() if isinstance(known, dict)} if isinstance(files, dict) else {}


def _entry(families: Mapping[str, Any], folder: str) -> tuple[str, int | None]:
    entry = families.get(folder)
    return (entry[0], entry[1]) if isinstance(entry, list) and len(entry) == 2 else ("", None)
