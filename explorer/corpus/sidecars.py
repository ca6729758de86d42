"""Computed columns beside the source: one small Parquet file a family and shard, aligned with the shard row by row.

While a shard is being scored its row groups are *parts*; when all are there they are joined into the shard's file. A part or a
shard's file appears by rename, so whatever is there is whole, and a killed job loses at most the row groups in flight.

    signals/<family>@<version>-<parameters hash>/family.json
    signals/<family>@<version>-<parameters hash>/<shard>-<fingerprint>.parquet
    signals/<family>@<version>-<parameters hash>/<shard>-<fingerprint>.parts/00007.parquet
    signals/<family>@<version>-<parameters hash>/<shard>-<fingerprint>.pieces/<first row>-<rows>-<random>.parquet

A *piece* holds any rows of a shard (column ``_row``): what is on the screen, a selection, a sample, or the next documents of a job
whose model is slow. Learned families also keep the hash of each text (column ``_text``), so that no text is run twice.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.corpus.workspace import Workspace, locked, unwritable, write_atomically, write_json
from explorer.errors import WorkspaceError
from explorer.registry import Family, Signal

ARROW = {"float32": pa.float32(), "int64": pa.int64(), "string": pa.string()}
ROWS_A_GROUP = 131_072
ROW, TEXT = "_row", "_text"  # beside the values of a piece: row inside the shard, 16-byte hash of the text
MANY_PIECES = 32  # small ones in a shard before they are merged


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

    def pieces_folder(self, shard: Shard) -> Path:
        """The folder of a shard's pieces, there until the shard is finished."""
        return self.folder / f"{shard.sidecar_name}.pieces"

    def pieces(self, shard: Shard) -> list[Path]:
        """Files of the shard's pieces, in the order of their first rows; none once it is finished."""
        return [] if self.finished(shard) else sorted(self.pieces_folder(shard).glob("[0-9]*.parquet"))

    def there(self, shard: Shard) -> np.ndarray:
        """Whether each row of the shard has been computed, bool [rows]."""
        found = np.full(shard.rows, self.finished(shard))
        if not self.finished(shard):
            first = 0
            for i, group in enumerate(shard.row_groups):
                found[first : first + group.rows] = not self.lacks(shard, i)
                first += group.rows
            for path in self.pieces(shard):
                found[piece_rows(path)] = True
        return found

    def place(self, shard: Shard, row: int) -> tuple[Path, int] | None:
        """The file that holds a row of the shard and the row's number in it; None where it has not been computed."""
        if self.finished(shard):
            return self.shard_path(shard), row
        for path in self.pieces(shard):
            rows = piece_rows(path)
            at = int(np.searchsorted(rows, row))
            if at < len(rows) and rows[at] == row:
                return path, at
        group = 0
        while row >= shard.row_groups[group].rows:
            row, group = row - shard.row_groups[group].rows, group + 1
        path = self.part_path(shard, group)
        return (path, row) if path.exists() else None

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
        if self.pieces(shard):
            return int(self.there(shard).sum())
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
        patches = [t for path in self.pieces(shard) if (t := _piece(path, [ROW, *columns])) is not None]
        if self.finished(shard):  # joined, and the parts removed, while they were read
            return _checked(self.shard_path(shard), shard, columns)
        return _patched(_fill(pieces, shard, columns), patches)


def sidecar(
    workspace: Workspace,
    family: Family,
    text: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    corpus: str = "",
    kind: str = "signals",
) -> Sidecar:
    """Where a family with these parameters keeps (or would keep) its columns; ``corpus``: see `Family.key`."""
    folder = workspace.path / kind / family.key(parameters, text, corpus)
    return Sidecar(folder, family.title, family.version, family.parameters(parameters), tuple(s.name for s in family.signals))


def present(workspace: Workspace, text: str, kind: str = "signals", of: Sequence[str] = ()) -> list[Sidecar]:
    """All families that have been computed in a workspace for this text column, latest last.

    Those that read more than a document's own text (duplicates, clusters; checks, which read its original) only where they were
    computed for this very corpus and these very originals, the fingerprints ``of``.
    """
    found = []
    for record in (workspace.path / kind).glob("*/family.json"):
        try:
            said = json.loads(record.read_text(encoding="utf-8"))
            if said["text"] != text or ("corpus" in said and said["corpus"] not in of):
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


def declare(side: Sidecar, text: str, *, again: bool = False, corpus: str = "") -> None:
    """Write the record that says what a sidecar folder holds, for which corpus where that matters, and whether it is computed again."""
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
    } | ({"corpus": corpus} if corpus else {})
    write_json(side.folder / "family.json", record)


def forget(side: Sidecar, shard: Shard, rows: np.ndarray | None = None) -> None:
    """Remove what was computed for a shard, or for these rows of it; the other rows are kept in a piece.

    Raises:
        WorkspaceError: it cannot be removed.

    """
    keep = np.zeros(shard.rows, bool)
    if rows is not None:
        keep = side.there(shard)
        keep[rows] = False
    try:
        kept = _rows_of(side, shard, np.flatnonzero(keep)) if keep.any() else None
        side.shard_path(shard).unlink(missing_ok=True)
        for folder in (side.part_path(shard, 0).parent, side.pieces_folder(shard)):
            if folder.exists():
                shutil.rmtree(folder)
        if kept is not None:
            _write_piece(side, shard, np.flatnonzero(keep), kept)
    except OSError as error:
        raise unwritable(side.folder, error) from error


def write_part(side: Sidecar, shard: Shard, row_group: int, table: pa.Table) -> None:
    """Keep the columns of one row group, unless another process has finished the shard meanwhile; an only row group is the shard."""
    if len(shard.row_groups) == 1:
        write_shard(side, shard, table)
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
    write_shard(side, shard, table)
    shutil.rmtree(parts, ignore_errors=True)
    shutil.rmtree(side.pieces_folder(shard), ignore_errors=True)


def _rows_of(side: Sidecar, shard: Shard, rows: np.ndarray) -> pa.Table:
    """What is kept of some rows, the hashes of their texts with it where there are any."""
    columns = list(side.columns)
    files = [side.shard_path(shard)] if side.finished(shard) else side.pieces(shard)
    if files and all(TEXT in pq.read_schema(path).names for path in files):
        columns.append(TEXT)
    return side.read(shard, columns).take(pa.array(rows)).replace_schema_metadata()


def piece_rows(path: Path) -> np.ndarray:
    """The rows that a piece holds, int64; none where it has been merged into another meanwhile."""
    try:
        return _piece_rows(path)
    except (OSError, pa.ArrowException):
        return np.zeros(0, np.int64)


@lru_cache(maxsize=4096)
def _piece_rows(path: Path) -> np.ndarray:
    """A piece is never changed, and its name is never used again."""
    rows = pq.ParquetFile(path).read(columns=[ROW])[ROW].to_numpy()
    rows.flags.writeable = False
    return rows


def write_piece(side: Sidecar, shard: Shard, rows: np.ndarray, table: pa.Table) -> Path | None:
    """Keep the columns of some rows of a shard, ascending; those that another process has kept meanwhile are left out.

    Returns:
        The file; None where nothing was left to keep.

    """
    new = ~side.there(shard)[rows]
    if not new.any():
        return None
    try:
        return _write_piece(side, shard, rows[new], table.filter(pa.array(new)))
    except WorkspaceError:
        if not side.finished(shard):  # else another process has joined the shard, and these rows are in it
            raise
        return None


def _write_piece(side: Sidecar, shard: Shard, rows: np.ndarray, table: pa.Table) -> Path:
    path = side.pieces_folder(shard) / f"{rows[0]:09d}-{len(rows):06d}-{uuid.uuid4().hex[:8]}.parquet"
    table = table.append_column(ROW, pa.array(rows, pa.int64()))
    write_atomically(path, lambda p: pq.write_table(table, p, compression="zstd", use_dictionary=_repeating(table.schema)))
    return path


def _repeating(schema: pa.Schema) -> list[str]:
    """Columns worth a dictionary: not vectors, whose numbers seldom repeat (reading half a million takes 3.4 instead of 8.9 CPU-s)."""
    return [f.name for f in schema if not pa.types.is_fixed_size_list(f.type)]


def merge_pieces(side: Sidecar, shard: Shard) -> None:
    """Make one piece of many small ones."""
    with locked(side.folder.with_name(f".{side.folder.name}.lock")):
        small = [p for p in side.pieces(shard) if int(p.name.split("-")[1]) < ROWS_A_GROUP // 4]
        if len(small) < MANY_PIECES:
            return
        table = pa.concat_tables([pq.ParquetFile(p).read() for p in small], promote_options="default")
        table = table.take(pa.array(np.unique(table[ROW].to_numpy(), return_index=True)[1]))
        _write_piece(side, shard, table[ROW].to_numpy(), table.drop_columns(ROW))
        for old in small:
            old.unlink(missing_ok=True)


def join_pieces(side: Sidecar, shard: Shard) -> None:
    """Make the shard's file from its pieces, block by block, then remove them; nothing happens while rows are missing."""
    with locked(side.folder.with_name(f".{side.folder.name}.lock")):
        if side.finished(shard) or not side.pieces(shard) or not side.there(shard).all():
            return  # or another process came first
        write_atomically(side.shard_path(shard), lambda path: _join(side, shard, path))
        shutil.rmtree(side.pieces_folder(shard), ignore_errors=True)
        shutil.rmtree(side.part_path(shard, 0).parent, ignore_errors=True)


def _join(side: Sidecar, shard: Shard, path: Path) -> None:
    paths = side.pieces(shard)
    rows = [piece_rows(p) for p in paths]
    spans = [(r[0], r[-1]) if len(r) else (0, -1) for r in rows]
    whole = side.read(shard, side.columns) if any(side.part_path(shard, i).exists() for i in range(len(shard.row_groups))) else None
    schema = pa.unify_schemas([pq.read_schema(p).remove_metadata() for p in paths])
    schema = schema.remove(schema.get_field_index(ROW))
    said = {**_said(side, shard, shard.rows), "explorer.nulls": json.dumps(_nulls_of(paths, schema.names), sort_keys=True)}
    schema = schema.with_metadata(said)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=_repeating(schema)) as writer:
        for start in range(0, shard.rows, ROWS_A_GROUP):
            stop = min(start + ROWS_A_GROUP, shard.rows)
            here = [p for p, (low, high) in zip(paths, spans, strict=True) if low < stop and high >= start]
            blocks = [_between(p, start, stop) for p in here]
            if whole is not None:  # some row groups lie in parts
                there = whole.slice(start, stop - start)
                blocks.append(there.append_column(ROW, pa.array(np.arange(start, stop), pa.int64())))
            block = pa.concat_tables(blocks, promote_options="default")
            order = np.unique(block[ROW].to_numpy(), return_index=True)[1]
            if len(order) != stop - start:
                raise WorkspaceError(
                    f"{stop - start - len(order):,} rows of {shard.path!r} are missing from {str(side.folder)!r}. "
                    "They were removed while it was joined. Score again to fill them in."
                )
            writer.write_table(block.take(pa.array(order)).select(schema.names).cast(schema), row_group_size=ROWS_A_GROUP)


def _between(path: Path, start: int, stop: int) -> pa.Table:
    table = pq.ParquetFile(path).read()
    rows = table[ROW].to_numpy()
    return table.filter(pa.array((rows >= start) & (rows < stop))).replace_schema_metadata()


def _nulls_of(paths: Sequence[Path], names: Sequence[str]) -> dict[str, int]:
    """Nulls a column over all pieces, from their footers."""
    counts = dict.fromkeys((n for n in names if n != TEXT), 0)
    for path in paths:
        footer = pq.read_metadata(path)
        for g in range(footer.num_row_groups):
            for c in range(footer.num_columns):
                column = footer.row_group(g).column(c)
                name = column.path_in_schema.split(".")[0]
                if name in counts and column.statistics is not None and column.statistics.has_null_count:
                    counts[name] += column.statistics.null_count
    return counts


def _piece(path: Path, columns: Sequence[str]) -> pa.Table | None:
    try:
        return pq.ParquetFile(path).read(columns=list(columns))
    except (OSError, pa.ArrowException):
        return None


def _patched(table: pa.Table, patches: Sequence[pa.Table]) -> pa.Table:
    """The table with the rows of the pieces in their places."""
    if not patches:
        return table
    patch = pa.concat_tables(patches)
    places = np.full(table.num_rows, -1, np.int64)
    places[patch[ROW].to_numpy()] = np.arange(patch.num_rows)
    import pyarrow.compute as pc

    mask = pa.array(places >= 0)
    taken = patch.drop_columns(ROW).take(pa.array(np.maximum(places, 0)))
    return pa.table({n: pc.if_else(mask, taken[n], table[n].cast(taken[n].type)) for n in table.column_names})


def _said(side: Sidecar, shard: Shard, rows: int) -> dict[str, str]:
    return {
        "explorer.family": side.family,
        "explorer.version": str(side.version),
        "explorer.parameters": json.dumps(dict(side.parameters), sort_keys=True, default=str),
        "explorer.fingerprint": shard.fingerprint,
        "explorer.rows": str(rows),
    }


def write_shard(side: Sidecar, shard: Shard, table: pa.Table) -> None:
    """Write a shard's finished file: a column a signal, a row a document."""
    nulls = {name: table[name].null_count for name in table.column_names}
    said = {**_said(side, shard, table.num_rows), "explorer.nulls": json.dumps(nulls, sort_keys=True)}
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
        columns[signal.name] = column if signal.dtype == "vector" else column.cast(ARROW[signal.dtype])
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
    pieces: Mapping[str, tuple[Path, ...]]
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> _Listing:
        finished, parts, pieces, folders = set(), {}, {}, [folder]
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                stem, dot, ending = entry.name.rpartition(".")
                if dot and ending == "parquet":
                    finished.add(stem)
                elif dot and ending == "parts":
                    folders.append(folder / entry.name)
                    with suppress(OSError):
                        parts[stem] = frozenset(n.removesuffix(".parquet") for n in os.listdir(entry.path) if not n.startswith("."))
                elif dot and ending == "pieces":
                    folders.append(folder / entry.name)
                    pieces[stem] = tuple(sorted(Path(entry.path).glob("[0-9]*.parquet")))
        return cls(frozenset(finished), parts, pieces, tuple(folders))

    def rows(self, shard: Shard) -> int:
        """Rows of a shard that have been computed."""
        if shard.sidecar_name in self.finished:
            return shard.rows
        there = self.parts.get(shard.sidecar_name, frozenset())
        pieces = self.pieces.get(shard.sidecar_name, ())
        if not pieces:
            return sum(g.rows for i, g in enumerate(shard.row_groups) if f"{i:05d}" in there) if there else 0
        known = np.zeros(shard.rows, bool)
        first = 0
        for i, group in enumerate(shard.row_groups):
            known[first : first + group.rows] = f"{i:05d}" in there
            first += group.rows
        for path in pieces:
            known[piece_rows(path)] = True
        return int(known.sum())

    def any(self, shard: Shard) -> bool:
        """Whether anything of a shard has been computed."""
        name = shard.sidecar_name
        return name in self.finished or bool(self.pieces.get(name)) or (name in self.parts and self.rows(shard) > 0)


class Coverage:
    """How much of a corpus each computed signal covers, and which sidecar gives a signal, as the workspace was when this was made.

    Every folder is listed once. A computed signal takes its name from a column of the files that has the same one, capitals or not:
    the column is then called ``<name>_column`` wherever signals can be named too (`renamed`).
    """

    def __init__(self, workspace: Workspace, shards: Sequence[Shard], text: str, of: Sequence[str] = ()) -> None:
        self.shards = tuple(shards)
        self._looked = time.time_ns()
        top = workspace.path / "signals"
        found = [(side, _Listing.of(side.folder)) for side in present(workspace, text, of=of)]
        # those without a record yet too: it may be written in a moment, and their own folder is then all that changes
        begun = sorted(str(p) for p in top.glob("*") if p.is_dir())
        self._folders = (top, *map(Path, begun), *(folder for _, listing in found for folder in listing.folders[1:]))
        self._modified = _modified(self._folders)
        self._rows: dict[Path, int] = {}
        self.sidecars: list[Sidecar] = []
        for side, listing in found:
            if any(map(listing.any, self.shards)):
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
