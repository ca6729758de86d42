"""Computed columns beside the source: one small Parquet file a family and shard, aligned with the shard row by row.

While a shard is being scored its row groups are *parts*; when all are there they are joined into the shard's file. A part or a
shard's file appears by rename, so whatever is there is whole, and a killed job loses at most the row groups in flight.

    signals/<family>@<version>-<parameters hash>/family.json
    signals/<family>@<version>-<parameters hash>/<shard>-<fingerprint>.parquet
    signals/<family>@<version>-<parameters hash>/<shard>-<fingerprint>.parts/00007.parquet
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.corpus.workspace import Workspace, unwritable, write_atomically, write_json
from explorer.errors import WorkspaceError
from explorer.registry import Family, Signal

ARROW = {"float32": pa.float32(), "int64": pa.int64(), "string": pa.string()}
ROWS_A_GROUP = 131_072


@dataclass(frozen=True)
class Sidecar:
    """What one family, with one set of parameters, has computed for the shards of a corpus; ``run`` grows when that is done again."""

    folder: Path
    family: str
    version: int
    parameters: Mapping[str, Any]
    columns: tuple[str, ...]
    run: int = 0

    def shard_path(self, shard: Shard) -> Path:
        """The finished file of a shard."""
        return self.folder / f"{shard.sidecar_name}.parquet"

    def part_path(self, shard: Shard, row_group: int) -> Path:
        """The file of one row group, there until its shard is finished."""
        return self.folder / f"{shard.sidecar_name}.parts" / f"{row_group:05d}.parquet"

    def finished(self, shard: Shard) -> bool:
        """Whether every row group of the shard has been computed and joined."""
        return self.shard_path(shard).exists()

    def missing(self, shard: Shard) -> list[int]:
        """Row groups still to compute, parts that cannot be read among them."""
        if self.finished(shard):
            return []
        return [i for i in range(len(shard.row_groups)) if self.lacks(shard, i)]

    def lacks(self, shard: Shard, row_group: int) -> bool:
        """Whether a row group is still to compute; another process may have done it since ``missing`` was asked."""
        if self.finished(shard):
            return False
        return not _whole(self.part_path(shard, row_group), shard.row_groups[row_group].rows)

    def scored_rows(self, shard: Shard) -> int:
        """Rows of the shard that have been computed."""
        if self.finished(shard):
            return shard.rows
        folder = self.part_path(shard, 0).parent
        if not folder.is_dir():
            return 0
        there = {p.stem for p in folder.glob("[0-9]*.parquet")}
        return sum(g.rows for i, g in enumerate(shard.row_groups) if f"{i:05d}" in there)

    def read(self, shard: Shard, columns: Sequence[str]) -> pa.Table:
        """The columns of a shard, all its rows, null where not computed.

        Raises:
            WorkspaceError: the file does not belong to this shard or cannot be read.

        """
        if self.finished(shard):
            return _checked(self.shard_path(shard), shard, columns)
        pieces = []
        for i, group in enumerate(shard.row_groups):
            path = self.part_path(shard, i)
            try:
                pieces.append(pq.ParquetFile(path).read(columns=list(columns)))
            except (OSError, pa.ArrowException):
                pieces.append(None if group.rows else pa.table({}))
        if self.finished(shard):  # joined, and the parts removed, while they were read
            return _checked(self.shard_path(shard), shard, columns)
        return _fill(pieces, shard, columns)


def sidecar(workspace: Workspace, family: Family, text: str, parameters: Mapping[str, Any] | None = None) -> Sidecar:
    """Where a family with these parameters keeps (or would keep) its columns."""
    folder = workspace.path / "signals" / family.key(parameters, text)
    return Sidecar(folder, family.name, family.version, family.parameters(parameters), tuple(s.name for s in family.signals))


def present(workspace: Workspace, text: str) -> list[Sidecar]:
    """All families that have been computed in a workspace for this text column, latest last."""
    found = []
    for record in (workspace.path / "signals").glob("*/family.json"):
        try:
            said = json.loads(record.read_text(encoding="utf-8"))
            if said["text"] != text:
                continue
            found.append(
                (
                    record.stat().st_mtime,
                    Sidecar(record.parent, said["family"], said["version"], said["parameters"], tuple(said["columns"]), said.get("run", 0)),
                )
            )
        except (OSError, ValueError, KeyError):
            continue  # half a record is no record: the family counts as not computed, and scoring writes it anew
    return [item for _, item in sorted(found, key=lambda pair: (pair[0], pair[1].folder.name))]


def declare(side: Sidecar, text: str, *, again: bool = False) -> None:
    """Write the record that says what a sidecar folder holds, and whether it is computed again."""
    try:
        run = json.loads((side.folder / "family.json").read_text(encoding="utf-8")).get("run", 0)
    except (OSError, ValueError, AttributeError):
        run = 0
    record = {
        "family": side.family,
        "version": side.version,
        "parameters": dict(side.parameters),
        "columns": list(side.columns),
        "text": text,
        "run": run + again,
    }
    write_json(side.folder / "family.json", record)


def forget(side: Sidecar, shard: Shard) -> None:
    """Remove what was computed for a shard.

    Raises:
        WorkspaceError: it cannot be removed.

    """
    try:
        side.shard_path(shard).unlink(missing_ok=True)
        if side.part_path(shard, 0).parent.exists():
            shutil.rmtree(side.part_path(shard, 0).parent)
    except OSError as error:
        raise unwritable(side.folder, error) from error


def write_part(side: Sidecar, shard: Shard, row_group: int, table: pa.Table) -> None:
    """Keep the columns of one row group, unless another process has finished the shard meanwhile; an only row group is the shard."""
    if len(shard.row_groups) == 1:
        _write_shard(side, shard, table)
        return
    try:
        write_atomically(side.part_path(shard, row_group), lambda path: pq.write_table(table, path, compression="zstd"))
    except WorkspaceError:
        if not side.finished(shard):  # else the parts' folder was removed under our hands, and nothing is lost
            raise


def join_parts(side: Sidecar, shard: Shard, signals: Sequence[Signal]) -> None:
    """Make the shard's file from its parts, then remove them; the same parts give the same bytes, whoever joins them."""
    parts = side.part_path(shard, 0).parent
    try:
        tables = [pq.ParquetFile(side.part_path(shard, i)).read() for i in range(len(shard.row_groups))]
    except FileNotFoundError:
        if side.finished(shard):  # another process came first
            return
        raise
    table = pa.concat_tables(tables) if tables else pa.schema([(s.name, ARROW[s.dtype]) for s in signals]).empty_table()
    _write_shard(side, shard, table)
    shutil.rmtree(parts, ignore_errors=True)


def _write_shard(side: Sidecar, shard: Shard, table: pa.Table) -> None:
    said = {
        "explorer.family": side.family,
        "explorer.version": str(side.version),
        "explorer.parameters": json.dumps(side.parameters, sort_keys=True, default=str),
        "explorer.fingerprint": shard.fingerprint,
        "explorer.rows": str(table.num_rows),
        "explorer.nulls": json.dumps({name: table[name].null_count for name in table.column_names}, sort_keys=True),
    }
    table = table.combine_chunks().replace_schema_metadata(said)
    write_atomically(side.shard_path(shard), lambda path: pq.write_table(table, path, compression="zstd", row_group_size=ROWS_A_GROUP))


def to_table(signals: Sequence[Signal], values: Mapping[str, Any], valid: np.ndarray) -> pa.Table:
    """One column a signal in its declared type; NaN, infinities and null documents become null."""
    columns = {}
    for signal in signals:
        column = values[signal.name]
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if not isinstance(column, pa.Array):
            column = np.asarray(column)
            undefined = ~valid
            if column.dtype.kind == "f":
                undefined = undefined | ~np.isfinite(column)
                column = np.where(undefined, 0, column) if signal.dtype == "int64" else column
            column = pa.array(column, mask=undefined)
        elif not valid.all():
            import pyarrow.compute as pc

            column = pc.if_else(pa.array(valid), column, pa.scalar(None, column.type))
        columns[signal.name] = column.cast(ARROW[signal.dtype])
    return pa.table(columns)


def _whole(path: Path, rows: int) -> bool:
    try:
        return pq.read_metadata(path).num_rows == rows
    except (OSError, pa.ArrowException):
        return False


def _checked(path: Path, shard: Shard, columns: Sequence[str]) -> pa.Table:
    try:
        file = pq.ParquetFile(path)
        said = (file.metadata.metadata or {}).get(b"explorer.fingerprint", b"").decode()
        if said != shard.fingerprint or file.metadata.num_rows != shard.rows:
            raise WorkspaceError(
                f"Scores {str(path)!r} do not belong to {shard.path!r} as it is now ({file.metadata.num_rows:,} rows scored, {shard.rows:,} in the file). They were not used. Delete that file and score again."
            )
        return file.read(columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise WorkspaceError(
            f"Scores {str(path)!r} cannot be read: {error}. Delete that file and score again; nothing else is affected."
        ) from error


def _fill(pieces: Sequence[pa.Table | None], shard: Shard, columns: Sequence[str]) -> pa.Table:
    """Null rows for the row groups that are not there."""
    there = next((p for p in pieces if p is not None and p.num_columns), None)
    if there is None:
        return pa.table({name: pa.nulls(shard.rows, pa.float32()) for name in columns})
    blank = [pa.table({name: pa.nulls(g.rows, there.schema.field(name).type) for name in columns}) for g in shard.row_groups]
    return pa.concat_tables([p if p is not None and p.num_columns else b for p, b in zip(pieces, blank, strict=True)])


@dataclass(frozen=True)
class _Listing:
    """What lies in a sidecar folder: names of finished shards, and of the parts of those that are not."""

    finished: frozenset[str]
    parts: Mapping[str, frozenset[str]]
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> _Listing:
        finished, parts, folders = set(), {}, [folder]
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                stem, dot, ending = entry.name.rpartition(".")
                if dot and ending == "parquet":
                    finished.add(stem)
                elif dot and ending == "parts":
                    folders.append(folder / entry.name)
                    with suppress(OSError):
                        parts[stem] = frozenset(n.removesuffix(".parquet") for n in os.listdir(entry.path) if not n.startswith("."))
        return cls(frozenset(finished), parts, tuple(folders))

    def rows(self, shard: Shard) -> int:
        """Rows of a shard that have been computed."""
        if shard.sidecar_name in self.finished:
            return shard.rows
        there = self.parts.get(shard.sidecar_name)
        return sum(g.rows for i, g in enumerate(shard.row_groups) if f"{i:05d}" in there) if there else 0


class Coverage:
    """How much of a corpus each computed signal covers, and which sidecar gives a signal, as the workspace was when this was made.

    Every folder is listed once. A computed signal takes its name from a column of the files that has the same one, capitals or not:
    the column is then called ``<name>_column`` wherever signals can be named too (`renamed`).
    """

    def __init__(self, workspace: Workspace, shards: Sequence[Shard], text: str) -> None:
        self.shards = tuple(shards)
        self._looked = time.time_ns()
        top = workspace.path / "signals"
        found = [(side, _Listing.of(side.folder)) for side in present(workspace, text)]
        self._folders = (top, *(folder for _, listing in found for folder in listing.folders))
        self._modified = _modified(self._folders)
        self._rows: dict[Path, int] = {}
        self.sidecars: list[Sidecar] = []
        for side, listing in found:
            if any(s.sidecar_name in listing.finished or (s.sidecar_name in listing.parts and listing.rows(s)) for s in self.shards):
                self.sidecars.append(side)
                self._rows[side.folder] = sum(map(listing.rows, self.shards))
        self._by_column: dict[str, Sidecar] = {}
        for side in self.sidecars:
            for name in side.columns:
                known = self._by_column.get(name)
                if known is None or self._rows[side.folder] >= self._rows[known.folder]:
                    self._by_column[name] = side

    def current(self) -> bool:
        """Whether the workspace is as it was; a folder that was changed in the second before it was listed may have changed since."""
        return _modified(self._folders) == self._modified and max(self._modified) < self._looked - 10**9

    @cached_property
    def rows(self) -> int:
        """Rows of the corpus."""
        return sum(s.rows for s in self.shards)

    @cached_property
    def renamed(self) -> dict[str, str]:
        """Columns of the files that have the name of a computed signal, and what they are called beside it."""
        own = list(dict.fromkeys(name for schema in {id(s.schema): s.schema for s in self.shards}.values() for name in schema.names))
        computed = {name.lower() for name in self._by_column}
        taken = computed | {name.lower() for name in own}
        found = {}
        for name in own:
            if name.lower() in computed:
                other = f"{name}_column"
                while other.lower() in taken:
                    other += "_"
                taken.add(other.lower())
                found[name] = other
        return found

    def meant(self, name: str) -> tuple[Sidecar | None, str]:
        """What a name stands for: a signal (its sidecar and its name there), else a column of the files (None and its name there)."""
        for signal, side in self._by_column.items():
            if signal == name or (signal.lower() == name.lower() and any(own.lower() == name.lower() for own in self.renamed)):
                return side, signal
        return None, next((own for own, other in self.renamed.items() if other.lower() == name.lower()), name)

    def of(self, column: str) -> Sidecar | None:
        """The sidecar that holds a signal: of several sets of parameters the most complete, and of these the one computed last."""
        return self._by_column.get(column)

    def columns(self) -> list[str]:
        """Every computed signal, in the order computed."""
        return list(self._by_column)

    def scored_rows(self, column: str) -> int:
        """Rows of the corpus for which a signal was computed (null answers count: they were computed)."""
        side = self.of(column)
        return self._rows[side.folder] if side else 0

    def stamp(self) -> tuple[tuple[str, int], ...]:
        """Changes whenever a row group is added; a key for whatever is cached from the sidecars."""
        return tuple((f"{side.folder.name}#{side.run}", self._rows[side.folder]) for side in self.sidecars)

    def stamp_of(self, column: str) -> tuple[str, int]:
        """The same for one signal; ("", 0) for what has not been computed."""
        side = self.of(column)
        return (f"{side.folder.name}#{side.run}", self._rows[side.folder]) if side else ("", 0)


def _modified(folders: Sequence[Path]) -> tuple[int, ...]:
    found = []
    for folder in folders:
        try:
            found.append(os.stat(folder).st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)
