"""Prove a manifest or an export: hash again, count again, name every document again, choose again; and say what changed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.corpus.workspace import Workspace
from explorer.errors import ExplorerError, ManifestError
from explorer.manifest import rows
from explorer.manifest.choice import chosen_again
from explorer.manifest.folders import footer, hash_all, locate, sha256
from explorer.manifest.model import FILE, Component, Manifest, Source, SourceFile, digest, load, manifest_path
from explorer.mixture.amounts import effective_tokens
from explorer.mixture.identities import identities

SIGNED = "*.provenance.json"
MOST_NAMED = 5


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: ``ok``, ``failed``, or ``skipped`` because it could not be looked at here."""

    name: str
    status: Literal["ok", "failed", "skipped"]
    message: str


@dataclass(frozen=True)
class VerifyReport:
    """What holds and what does not; ``ok`` is False as soon as one check failed."""

    path: Path
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed (what was skipped is not known to hold)."""
        return not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(c for c in self.checks if c.status == "failed")

    @property
    def messages(self) -> tuple[str, ...]:
        """One line a check."""
        return tuple(f"{c.status:<8}{c.name}: {c.message}" for c in self.checks)

    def __str__(self) -> str:
        return "\n".join(self.messages)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {"path": str(self.path), "ok": self.ok, "checks": [dict(c.__dict__) for c in self.checks]}

    def _repr_html_(self) -> str:
        from html import escape

        lines = "".join(f"<tr><td>{c.status}</td><td>{escape(c.name)}</td><td>{escape(c.message)}</td></tr>" for c in self.checks)
        return f"<b>{'holds' if self.ok else 'does not hold'}</b><table>{lines}</table>"


def verify(
    path: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    workspace: str | os.PathLike[str] | Workspace | None = None,
) -> VerifyReport:
    """Check a manifest (its folder or ``manifest.json``) or the folder of an export.

    A manifest: its own hash; sha256 of every source and selection file; documents, tokens and copies recounted; the id of every
    chosen document compared with the source; and, when the signals are in the workspace as they were, the whole choice made again and
    compared row by row. An export: every file against its provenance record.

    Args:
        path: what to check.
        root: folder under which source files are looked for first.
        workspace: where the signals are; None: the workspace the manifest lies in, else the default one.

    Raises:
        ManifestError: there is neither a manifest nor an export at ``path``.

    """
    place = Path(path).expanduser()
    signed = sorted(place.glob(SIGNED)) if place.is_dir() else []
    if signed and not (place / FILE).exists():
        return VerifyReport(place, tuple(check for record in signed for check in _export(record)))
    if not manifest_path(place).is_file():
        raise ManifestError(
            f"{str(place)!r} is neither a manifest nor an export. A manifest's folder holds {FILE}, an export's a file {SIGNED}. Name one of them."
        )
    try:
        manifest, said = load(place)
    except ManifestError as error:
        return VerifyReport(place, (Check("manifest", "failed", str(error)),))
    return VerifyReport(place, tuple(_manifest(manifest, said, root, workspace)))


def _manifest(
    manifest: Manifest, said: Mapping[str, Any], root: str | os.PathLike[str] | None, workspace: str | os.PathLike[str] | Workspace | None
) -> Iterator[Check]:
    actual = digest(said)
    same = actual == manifest.hash
    yield Check(
        "manifest",
        "ok" if same else "failed",
        f"hash {manifest.hash[:12]}"
        if same
        else f"{FILE} was edited: it says hash {manifest.hash[:12]!r}, its content has {actual[:12]!r}",
    )
    shards: dict[str, list[Shard | None]] = {}
    originals: dict[str, list[Shard | None]] = {}
    for source in manifest.sources:
        shards[source.name], checks = _files(manifest, f"{source.name}: files", source.files, root)
        yield from checks
        if source.originals is not None and source.originals.files:
            originals[source.name], checks = _files(manifest, f"{source.name}: originals", source.originals.files, root)
            yield from checks
    whole, seen = True, _Seen()
    for stage in manifest.stages:
        for component in stage.components:
            title = component.source if len(manifest.stages) == 1 else f"{stage.name}/{component.source}"
            checks = list(_component(manifest, component, title, shards, seen))
            whole = whole and not any(c.status == "failed" for c in checks)
            yield from checks
    yield _totals(manifest, seen if whole else None)
    yield (
        Check("choice", *chosen_again(manifest, shards, originals, workspace))
        if whole
        else Check("choice", "skipped", "a selection file does not hold, see above")
    )


def _files(
    manifest: Manifest, name: str, files: Sequence[SourceFile], root: str | os.PathLike[str] | None
) -> tuple[list[Shard | None], list[Check]]:
    """A source's files as they are now (None: missing or unreadable; first rows as in the manifest), and what is said of them."""
    paths = [locate(file, manifest.folder, root) for file in files]
    hashes = iter(_hashes([p for p in paths if p is not None]))
    problems, shards, first = [], [], 0
    for file, path in zip(files, paths, strict=True):
        actual = next(hashes) if path is not None else None
        now = footer(path) if path is not None and actual is not None else None
        if actual is None:
            problems.append(f"{file.path} is missing; say where it is now: --root DIR")
        elif actual != file.sha256:
            how = "its footer too" if now is None or now.fingerprint != file.fingerprint else "its footer is as it was"
            problems.append(f"{file.path} changed: sha256 was {file.sha256[:12]}, is {actual[:12]} ({how})")
        fits = now is not None and now.rows == file.rows
        shards.append(Shard(**{**now.__dict__, "first_row": first}) if now is not None and fits else None)
        first += file.rows
    if not problems:
        size = sum(f.bytes for f in files)
        return shards, [Check(name, "ok", f"{len(files):,} files, {size:,} bytes, every sha256 as in the manifest")]
    checks = [Check(name, "failed", problem) for problem in problems[:MOST_NAMED]]
    if len(problems) > MOST_NAMED:
        checks.append(Check(name, "failed", f"{len(problems) - MOST_NAMED:,} more files are missing or changed"))
    return shards, checks


def _hashes(paths: list[str]) -> list[str | None]:
    try:
        return list(hash_all(paths))
    except OSError:
        return [_hash_or_none(path) for path in paths]


def _hash_or_none(path: str) -> str | None:
    try:
        return sha256(path)
    except OSError:
        return None


@dataclass
class _Seen:
    """What the selection files read so far hold: tokens by source, repeats counted, and which documents, each once."""

    tokens: dict[str, float] = field(default_factory=dict)
    rows: dict[str, np.ndarray] = field(default_factory=dict)
    unique_tokens: float = 0.0

    @property
    def unique_documents(self) -> int:
        return sum(int(rows.sum()) for rows in self.rows.values())

    def add(self, source: Source, table: pa.Table, emitted: float) -> None:
        firsts = np.concatenate([[0], np.cumsum([f.rows for f in source.files])])
        seen = self.rows.setdefault(source.name, np.zeros(firsts[-1], bool))
        file, row = table["file"].to_numpy(), table["row"].to_numpy()
        inside = (file >= 0) & (file < len(source.files)) & (row >= 0)
        number = firsts[file[inside]] + row[inside]
        inside[inside] &= number < firsts[-1]
        number = number[number < firsts[-1]]
        self.unique_tokens += float(table["tokens"].to_numpy()[inside][~seen[number]].sum())
        seen[number] = True
        self.tokens[source.name] = self.tokens.get(source.name, 0.0) + emitted


def _component(
    manifest: Manifest, component: Component, name: str, shards: Mapping[str, list[Shard | None]], seen: _Seen
) -> Iterator[Check]:
    path = (manifest.folder or Path()) / component.selection.path
    actual = _hash_or_none(str(path))
    if actual is None:
        yield Check(f"{name}: selection", "failed", f"{component.selection.path} is missing")
        return
    if actual != component.selection.sha256:
        yield Check(
            f"{name}: selection",
            "failed",
            f"{component.selection.path} changed: sha256 was {component.selection.sha256[:12]}, is {actual[:12]}",
        )
    else:
        yield Check(f"{name}: selection", "ok", f"{component.selection.path} as written")
    try:
        table = pq.read_table(path, partitioning=None)
        if not table.schema.equals(rows.SCHEMA):
            raise pa.ArrowInvalid("its columns are not those of a selection file")
    except (OSError, pa.ArrowException) as error:
        yield Check(f"{name}: counts", "failed", f"{component.selection.path} cannot be read: {str(error).splitlines()[0]}")
        return
    source = next((s for s in manifest.sources if s.name == component.source), None)
    if source is None:
        yield Check(f"{name}: counts", "failed", "the manifest has no such source")
        return
    yield _counts(component, source, table, name, seen)
    yield _ids(source, table, shards[source.name], f"{name}: ids")


def _counts(component: Component, source: Source, table: pa.Table, name: str, seen: _Seen) -> Check:
    repeat, tokens = table["repeat"].to_numpy(), table["tokens"].to_numpy()
    emitted = float((tokens * repeat).sum())
    before, unique = seen.tokens.get(source.name, 0.0), source.unique_tokens
    seen.add(source, table, emitted)
    said = component.resolved
    pairs = [
        ("documents", said.documents, int(repeat.sum(dtype=np.int64))),
        ("unique documents", component.selection.documents, table.num_rows),
        ("tokens", said.tokens, emitted),
        ("epochs", said.epochs, emitted / unique if unique else None),
        ("effective tokens", said.effective_tokens, effective_tokens(before + emitted, unique) - effective_tokens(before, unique)),
        ("documents of the files", source.documents, sum(f.rows for f in source.files)),
    ]
    wrong = [f"{what} are {_say(now)}, the manifest says {_say(was)}" for what, was, now in pairs if not _same(was, now)]
    if table.num_rows and (repeat.min() < 1 or not np.array_equal(table["rank"].to_numpy(), np.arange(table.num_rows))):
        wrong.append("the rows are not in the order of their rank, or one has no copy")
    return Check(
        f"{name}: counts",
        "failed" if wrong else "ok",
        "; ".join(wrong) or f"{said.documents:,} documents, {said.tokens:,.0f} tokens, {table.num_rows:,} different documents",
    )


def _same(was: float | None, now: float | None) -> bool:
    return was == now if was is None or now is None else math.isclose(was, now, rel_tol=1e-9)


def _say(value: float | None) -> str:
    return "undefined" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _ids(source: Source, table: pa.Table, shards: list[Shard | None], name: str) -> Check:
    """Compare the id of every chosen document with what stands at its place in the source now."""
    file, row = table["file"].to_numpy(), table["row"].to_numpy()
    sizes = np.array([f.rows for f in source.files], np.int64)
    inside = (file >= 0) & (file < len(sizes)) & (row >= 0)
    inside[inside] &= row[inside] < sizes[file[inside]]
    if not inside.all():
        bad = int(np.argmin(inside))
        return Check(name, "failed", f"the selection names row {row[bad]:,} of file {file[bad]}, which the manifest's files do not have")
    order = np.lexsort((row, file))
    file, row = file[order], row[order]
    ids = table["id"].cast(pa.large_string()).combine_chunks()
    if len(row) and not ((np.diff(file) > 0) | (np.diff(row) > 0)).all():
        return Check(name, "failed", "the selection names a document twice; copies are counted in repeat")
    ids = ids.take(pa.array(order)) if not np.array_equal(order, np.arange(len(order))) else ids
    compared, changed, missing, first = 0, 0, 0, ""
    for number, shard in enumerate(shards):
        start, end = (int(i) for i in np.searchsorted(file, [number, number + 1]))
        if shard is None:
            missing += end - start
            continue
        if start == end:
            continue
        try:
            for batch in identities(shard, source.id_column, source.roles["text"]):
                low = batch.column(0)[0].as_py()
                a, b = (start + int(i) for i in np.searchsorted(row[start:end], [low, low + batch.num_rows]))
                now = batch.column(1).take(pa.array(row[a:b] - low)).cast(pa.large_string())
                same = pc.fill_null(pc.equal(ids.slice(a, b - a), now), False)
                wrong = (b - a) - int(pc.sum(same).as_py() or 0)
                if wrong and not first:
                    at = pc.index(same, False).as_py()
                    first = f"{source.files[number].path} row {row[a + at]:,} is {now[at].as_py()!r}, was {ids[a + at].as_py()!r}"
                compared, changed = compared + b - a, changed + wrong
        except ExplorerError as error:
            return Check(name, "failed", str(error))
    if changed:
        return Check(name, "failed", f"{changed:,} of {compared:,} documents are others than those chosen; first: {first}")
    if missing:
        return Check(
            name, "skipped", f"{missing:,} documents lie in files that are missing or have other rows; the other {compared:,} are as chosen"
        )
    return Check(name, "ok", f"all {compared:,} documents are the ones chosen")


def _totals(manifest: Manifest, seen: _Seen | None) -> Check:
    """Add the components up; ``seen`` counts documents once over all stages, None where some selection file does not hold."""
    parts = [c for stage in manifest.stages for c in stage.components]
    said = manifest.totals
    pairs: list[tuple[str, float, float]] = [
        ("documents", said.documents, sum(c.resolved.documents for c in parts)),
        ("tokens", said.tokens, sum(c.resolved.tokens for c in parts)),
        ("effective tokens", said.effective_tokens, sum(c.resolved.effective_tokens for c in parts)),
    ]
    if seen is not None:
        pairs += [
            ("different documents", said.unique_documents, seen.unique_documents),
            ("tokens of different documents", said.unique_tokens, seen.unique_tokens),
        ]
    for stage in manifest.stages:
        pairs.append((f"documents of stage {stage.name}", stage.documents, sum(c.resolved.documents for c in stage.components)))
        pairs.append((f"tokens of stage {stage.name}", stage.tokens, sum(c.resolved.tokens for c in stage.components)))
        if stage.tokens:
            pairs += [(f"weight of {c.source}", c.resolved.weight or 0.0, c.resolved.tokens / stage.tokens) for c in stage.components]
    wrong = [f"{what} add up to {_say(now)}, the manifest says {_say(was)}" for what, was, now in pairs if not _same(was, now)]
    return Check("totals", "failed" if wrong else "ok", "; ".join(wrong) or f"{said.documents:,} documents, {said.tokens:,.0f} tokens")


def _export(record: Path) -> Iterable[Check]:
    folder = record.parent
    try:
        said = json.loads(record.read_text(encoding="utf-8"))
        listed = {item["path"]: item for item in said["files"]}
        same = digest(said) == said["hash"]
        title, manifest = said["exporter"], said["manifest"]["hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Check(record.name, "failed", f"the record cannot be read: {type(error).__name__} {error}")
        return
    yield Check(
        record.name, "ok" if same else "failed", f"of manifest {manifest[:12]}" if same else "the record was edited: its hash differs"
    )
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.parent.name != "__pycache__"}
    there -= {p.name for p in folder.glob(SIGNED)} | set(said.get("links", ()))  # what links name is the user's, and not hashed
    problems = [f"{name} is missing" for name in sorted(set(listed) - there)]
    present = sorted(set(listed) & there)
    for name, actual in zip(present, _hashes([str(folder / n) for n in present]), strict=True):
        if actual != listed[name]["sha256"]:
            problems.append(f"{name} changed: sha256 was {listed[name]['sha256'][:12]}, is {(actual or 'unreadable')[:12]}")
    problems += [f"{name} is not part of the export" for name in sorted(there - set(listed))]
    for problem in problems[:MOST_NAMED]:
        yield Check(f"{title}: files", "failed", problem)
    if len(problems) > MOST_NAMED:
        yield Check(f"{title}: files", "failed", f"{len(problems) - MOST_NAMED:,} more files are missing, changed or foreign")
    if not problems:
        yield Check(f"{title}: files", "ok", f"{len(listed):,} files, every sha256 as written")
