"""Prove a manifest or an export: hash again, count again, name every document again, choose again; and say what changed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.corpus.corpus import Corpus
from explorer.corpus.files import Shard
from explorer.corpus.roles import Roles
from explorer.corpus.workspace import Workspace
from explorer.errors import ExplorerError, ManifestError
from explorer.manifest import rows
from explorer.manifest.amounts import effective_tokens
from explorer.manifest.folders import footer, hash_all, locate, sha256
from explorer.manifest.model import FILE, Component, Manifest, Source, SourceFile, digest, load, manifest_path
from explorer.manifest.tokens import count
from explorer.manifest.write import plan
from explorer.rewrites.pairs import Pairs
from explorer.selection.filters import Filters
from explorer.selection.selection import Selection, select

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
    whole = True
    for stage in manifest.stages:
        for component in stage.components:
            checks = list(_component(manifest, component, shards))
            whole = whole and not any(c.status == "failed" for c in checks)
            yield from checks
    yield _totals(manifest)
    yield (
        _choice(manifest, shards, originals, workspace)
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


def _component(manifest: Manifest, component: Component, shards: Mapping[str, list[Shard | None]]) -> Iterator[Check]:
    name = component.source
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
    source = next((s for s in manifest.sources if s.name == name), None)
    if source is None:
        yield Check(f"{name}: counts", "failed", "the manifest has no such source")
        return
    yield _counts(component, source, table)
    yield _ids(source, table, shards[name])


def _counts(component: Component, source: Source, table: pa.Table) -> Check:
    repeat, tokens = table["repeat"].to_numpy(), table["tokens"].to_numpy()
    emitted = float((tokens * repeat).sum())
    said = component.resolved
    pairs = [
        ("documents", said.documents, int(repeat.sum(dtype=np.int64))),
        ("unique documents", component.selection.documents, table.num_rows),
        ("tokens", said.tokens, emitted),
        ("epochs", said.epochs, emitted / source.unique_tokens if source.unique_tokens else None),
        ("effective tokens", said.effective_tokens, effective_tokens(emitted, source.unique_tokens)),
        ("documents of the files", source.documents, sum(f.rows for f in source.files)),
    ]
    wrong = [f"{what} are {_say(now)}, the manifest says {_say(was)}" for what, was, now in pairs if not _same(was, now)]
    if table.num_rows and (repeat.min() < 1 or not np.array_equal(table["rank"].to_numpy(), np.arange(table.num_rows))):
        wrong.append("the rows are not in the order of their rank, or one has no copy")
    return Check(
        f"{component.source}: counts",
        "failed" if wrong else "ok",
        "; ".join(wrong) or f"{said.documents:,} documents, {said.tokens:,.0f} tokens, {table.num_rows:,} different documents",
    )


def _same(was: float | None, now: float | None) -> bool:
    return was == now if was is None or now is None else math.isclose(was, now, rel_tol=1e-9)


def _say(value: float | None) -> str:
    return "undefined" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _ids(source: Source, table: pa.Table, shards: list[Shard | None]) -> Check:
    """Compare the id of every chosen document with what stands at its place in the source now."""
    name = f"{source.name}: ids"
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
            for batch in rows.identities(shard, source.id_column, source.roles["text"]):
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


def _totals(manifest: Manifest) -> Check:
    parts = [c for stage in manifest.stages for c in stage.components]
    said = manifest.totals
    pairs: list[tuple[str, float, float]] = [
        ("documents", said.documents, sum(c.resolved.documents for c in parts)),
        ("tokens", said.tokens, sum(c.resolved.tokens for c in parts)),
        ("effective tokens", said.effective_tokens, sum(c.resolved.effective_tokens for c in parts)),
    ]
    for stage in manifest.stages:
        pairs.append((f"documents of stage {stage.name}", stage.documents, sum(c.resolved.documents for c in stage.components)))
        pairs.append((f"tokens of stage {stage.name}", stage.tokens, sum(c.resolved.tokens for c in stage.components)))
        if stage.tokens:
            pairs += [(f"weight of {c.source}", c.resolved.weight or 0.0, c.resolved.tokens / stage.tokens) for c in stage.components]
    wrong = [f"{what} add up to {_say(now)}, the manifest says {_say(was)}" for what, was, now in pairs if not _same(was, now)]
    return Check("totals", "failed" if wrong else "ok", "; ".join(wrong) or f"{said.documents:,} documents, {said.tokens:,.0f} tokens")


def _choice(
    manifest: Manifest,
    shards: Mapping[str, list[Shard | None]],
    originals: Mapping[str, list[Shard | None]],
    workspace: str | os.PathLike[str] | Workspace | None,
) -> Check:
    """Select, divide and order again, and compare with the selection files; skipped where the signals are not as they were."""
    name = "choice"
    if len(manifest.stages) != 1:
        return Check(name, "skipped", f"this version makes the choice of one stage again; the manifest has {len(manifest.stages)}")
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace or _workspace_of(manifest))
    chosen: dict[str, Selection] = {}
    for source in manifest.sources:
        if None in shards[source.name] or None in originals.get(source.name, []):
            return Check(name, "skipped", f"{source.name} has files that are missing or have other rows")
        try:
            corpus = _opened(source, shards[source.name], originals.get(source.name, []), space)
        except ExplorerError as error:
            return Check(name, "skipped", f"{source.name} cannot be opened again: {error}")
        why = _unlike(corpus, source, manifest.tokenizer.name)
        if why:
            return Check(name, "skipped", f"{why}; looked in {space.path}")
        filters = Filters.from_dict({"filters": list(source.filters), "where": source.where, "sample": source.sample})
        try:
            chosen[source.name] = select(corpus, filters)
        except ExplorerError as error:
            return Check(name, "skipped", f"{source.name} cannot be selected again: {error}")
    parts = {c.source: c for c in manifest.stages[0].components}
    try:
        plans, _ = plan(
            {n: chosen[n] for n in parts},
            {n: c.given for n, c in parts.items()},
            budget_tokens=manifest.budget_tokens,
            max_epochs={n: c.max_epochs for n, c in parts.items()},
            orders={n: c.order for n, c in parts.items()},
            seed=manifest.seed,
            tokenizer=manifest.tokenizer.name,
        )
    except ExplorerError as error:
        return Check(name, "failed", f"the same filters and amounts cannot be met any more: {error}")
    wrong = []
    for item in plans:
        table = pq.read_table(
            (manifest.folder or Path()) / parts[item.name].selection.path, columns=["file", "row", "repeat", "tokens"], partitioning=None
        )
        firsts = np.array([s.first_row for s in item.selection.corpus.shards], np.int64)
        was = firsts[table["file"].to_numpy()] + table["row"].to_numpy()
        used = item.repeat > 0
        order = np.argsort(item.rank[used], kind="stable")
        now = item.kept[used][order]
        if not np.array_equal(was, now):
            gone, new = len(np.setdiff1d(was, now)), len(np.setdiff1d(now, was))
            wrong.append(f"{item.name}: {gone:,} documents would no longer be chosen, {new:,} others would, or their order differs")
        elif not np.array_equal(table["repeat"].to_numpy(), item.repeat[used][order]):
            wrong.append(f"{item.name}: documents would be repeated otherwise")
        elif not np.allclose(table["tokens"].to_numpy(), item.tokens[used][order], rtol=1e-9):
            wrong.append(f"{item.name}: documents have other numbers of tokens")
    return Check(
        name,
        "failed" if wrong else "ok",
        "; ".join(wrong) or "the same filters, amounts and seed choose the same documents in the same order",
    )


def _opened(source: Source, shards: Sequence[Shard | None], originals: Sequence[Shard | None], space: Workspace) -> Corpus:
    """A source's documents as they were opened: a corpus, or pairs."""
    corpus = _corpus(shards, source.roles, space)
    if source.originals is None:
        return corpus
    theirs = _corpus(originals or shards, source.originals.roles, space)
    on = source.originals.on
    return Pairs(corpus.shards, (), corpus.roles, space, corpus.paths, originals=theirs, on=(on[0], on[1]) if on else None)


def _corpus(shards: Sequence[Shard | None], said: Mapping[str, str], space: Workspace) -> Corpus:
    files = tuple(s for s in shards if s is not None)
    roles = {f.name: said.get(f.name) for f in fields(Roles)}
    return Corpus(files, (), Roles(**roles), space, tuple(s.path for s in files))  # type: ignore[arg-type]  # text is there


def _workspace_of(manifest: Manifest) -> Path | None:
    folder = manifest.folder
    return folder.parent.parent if folder is not None and folder.parent.name == "manifests" else None


def _unlike(corpus: Corpus, source: Source, tokenizer: str | None) -> str:
    """Why the choice cannot be made again with this workspace; empty when it can."""
    coverage = corpus.coverage()
    for used in source.signals:
        sides = [s for s in coverage.sidecars if used.name in s.columns] if tokenizer else [s for s in [coverage.of(used.name)] if s]
        fitting = [s for s in sides if s.version == used.version and dict(s.parameters) == dict(used.parameters)]
        if not fitting:
            return f"signal {used.name} of {source.name} is not computed in version {used.version} with the same parameters"
        done = sum(fitting[-1].scored_rows(s) for s in corpus.shards)
        if done < len(corpus):
            return f"signal {used.name} of {source.name} is computed for {done:,} of {len(corpus):,} documents"
    if tokenizer is None:
        label = count(corpus, None)[0].label
        if label != source.tokens_label:
            return f"tokens of {source.name} would be counted by {label!r}, they were by {source.tokens_label!r}"
    return ""


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
    there -= {p.name for p in folder.glob(SIGNED)}
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
