"""Find Parquet files and read their footers, nothing else: opening a thousand files touches a thousand tails."""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.errors import CorpusError

MAGIC = b"PAR1"
ROW_NUMBERS = ("file_row_number", "file_index")  # columns that DuckDB adds to every file
TAIL = 64 * 1024  # most footers fit; a longer one costs a second read


@dataclass(frozen=True)
class RowGroup:
    """One row group of a shard: ``rows`` documents, ``sizes`` uncompressed bytes a top-level column, ``nulls`` where the footer says."""

    rows: int
    sizes: dict[str, int]
    nulls: dict[str, int | None]


@dataclass(frozen=True)
class Shard:
    """One Parquet file as its footer describes it.

    Attributes:
        path: absolute local path, or a URL for a remote file.
        size: bytes of the file.
        rows: documents in it.
        first_row: number of its first document in the corpus (shards are ordered by path).
        fingerprint: sha256 (16 hex digits) of footer bytes and file size. The footer holds every column chunk's place, size and
            statistics, so nearly every rewritten file has another one, and copying or touching a file keeps it. An edit that changes
            neither lengths nor statistics keeps it too; scores therefore also remember when a file was modified, and manifests hash
            the whole file.
        schema: Arrow schema.
        row_groups: what the footer says of each.
        page_index: whether readers can skip pages inside a row group.

    """

    path: str
    size: int
    rows: int
    first_row: int
    fingerprint: str
    schema: pa.Schema
    row_groups: tuple[RowGroup, ...]
    page_index: bool

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    @property
    def remote(self) -> bool:
        """True when the file is not on this machine's file system."""
        return "://" in self.path

    @property
    def sidecar_name(self) -> str:
        """Name under which what is computed about this shard is kept; it carries the fingerprint, so stale scores cannot be picked up."""
        stem = self.name.removesuffix(".parquet").encode()[:150].decode(errors="ignore")  # file systems stop at 255 bytes
        return f"{stem}-{self.fingerprint[:12]}"

    def open(self, dictionary: Sequence[str] = ()) -> pq.ParquetFile:
        """The file opened for reading columns and row groups, some as dictionaries; one clear message when it cannot be."""
        try:
            source = fsspec.open(self.path, "rb").open() if self.remote else self.path
            return pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True, read_dictionary=list(dictionary))
        except (OSError, pa.ArrowInvalid, ValueError) as error:
            raise CorpusError(
                f"{self.path!r} cannot be read any more: {error}. Check that the file is still there and whole, then open the corpus again."
            ) from error


@dataclass(frozen=True)
class Unreadable:
    """A file that was found but is no readable Parquet, and why."""

    path: str
    reason: str


def find(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """All Parquet files named by files, folders (searched deeply), globs and fsspec URLs; sorted, each once.

    Raises:
        CorpusError: a path matches nothing.

    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise CorpusError("No path was given. Name Parquet files, a folder or a glob such as 'data/*.parquet'. See: explorer info --help")
    found: list[str] = []
    for path in given:
        found += _expand(os.fspath(path))
    return sorted(dict.fromkeys(found))


def _expand(path: str) -> list[str]:
    if "://" in path and not path.startswith("file://"):
        return _expand_remote(path)
    path = os.path.expanduser(path.removeprefix("file://"))
    if os.path.isdir(path):
        found = [str(p) for p in Path(path).rglob("*.parquet") if not any(part.startswith(".") for part in p.relative_to(path).parts)]
        why = "is a folder without .parquet files"
    elif os.path.exists(path):
        found, why = [path], ""
    else:
        found = glob.glob(path, recursive=True) if glob.has_magic(path) else []
        why = "matches no file" if glob.has_magic(path) else "does not exist"
    if not found:
        raise CorpusError(
            f"{path!r} {why}. Name Parquet files, a folder or a glob. For JSON Lines, convert first: explorer import {path} --out DIR"
        )
    return [os.path.abspath(p) for p in found if not os.path.isdir(p)]  # a dangling link is reported as unreadable, not skipped


def _expand_remote(path: str) -> list[str]:
    scheme = path.split("://", 1)[0]
    try:
        filesystem, inner = fsspec.core.url_to_fs(path)
        if filesystem.isdir(inner):
            inner = inner.rstrip("/") + "/**/*.parquet"
        found = filesystem.glob(inner) if glob.has_magic(inner) else [inner] if filesystem.exists(inner) else []
    except (OSError, ValueError, ImportError) as error:
        raise CorpusError(
            f"{path!r} cannot be listed: {error}. Check the address and credentials, and that fsspec's package for {scheme!r} is installed."
        ) from error
    if not found:
        raise CorpusError(f"{path!r} matches no file. Name a Parquet file, a folder or a glob.")
    return [filesystem.unstrip_protocol(p) for p in found]


def without_own(found: Sequence[str], given: Sequence[str], workspace: Path) -> tuple[list[str], list[str]]:
    """The files found, parted into a corpus and what the product wrote itself: the workspace's, and results of mixes and exports.

    What lies in such a folder is a corpus only for who named that folder, or something in it.
    """
    starts = {_start(path) for path in given if "://" not in path or path.startswith("file://")}

    @cache
    def own(folder: str) -> bool:
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return (
            folder == str(workspace)
            or ("manifest.json" in names and _is_manifest(folder))
            or any(n.endswith(".provenance.json") for n in names)
        )

    def named(path: str) -> bool:
        for folder in (path, *map(str, Path(path).parents)):
            if folder in starts:
                return True
            if folder != path and own(folder):
                return False
        return True

    kept = [p for p in found if "://" in p or named(p)]
    there = set(kept)
    return kept, [p for p in found if p not in there]


def _start(path: str) -> str:
    """The file or folder that a path names, of a glob the folder before its first pattern."""
    path = os.path.expanduser(path.removeprefix("file://"))
    if not os.path.exists(path) and glob.has_magic(path):
        parts = path.split("/")
        path = "/".join(itertools.takewhile(lambda part: not glob.has_magic(part), parts)) or ("/" if path.startswith("/") else ".")
    return os.path.abspath(path)


def _is_manifest(folder: str) -> bool:
    """Whether manifest.json is one of ours; other tools write files of this name too."""
    try:
        said = json.loads(Path(folder, "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and {"stages", "totals"} <= said.keys()


def check_names(shards: Sequence[Shard]) -> None:
    """Refuse files whose columns SQL would confuse, with each other or with the numbers DuckDB gives to rows.

    Raises:
        CorpusError: such a column.

    """
    for shard in {s.schema: s for s in reversed(shards)}.values():
        known: dict[str, str] = {}
        for name in shard.schema.names:
            if name.lower() in ROW_NUMBERS:
                raise CorpusError(
                    f"Column {name!r} of {shard.path!r} hides the number by which DuckDB finds a document. Columns must not be called {' or '.join(ROW_NUMBERS)}. Rename that column."
                )
            if name.lower() in known:
                raise CorpusError(
                    f"Columns {known[name.lower()]!r} and {name!r} of {shard.path!r} cannot be told apart in SQL. Names must differ in more than capitals. Rename one of them."
                )
            known[name.lower()] = name


def read_footers(paths: list[str]) -> tuple[list[Shard], list[Unreadable]]:
    """Shards in the order of ``paths``, and the files whose footer could not be read."""
    with ThreadPoolExecutor(16) as pool:
        read = list(pool.map(_read_footer, paths))
    shards: list[Shard] = []
    first_row = 0
    for item in read:
        if isinstance(item, Shard):
            shards.append(Shard(**{**item.__dict__, "first_row": first_row}))
            first_row += item.rows
    return shards, [item for item in read if isinstance(item, Unreadable)]


def _read_footer(path: str) -> Shard | Unreadable:
    try:
        path.encode()  # a name that is not valid UTF-8 could not be given to DuckDB or written to a record
        tail, size = _tail(path)
        metadata = pq.read_metadata(pa.BufferReader(tail))
        schema = metadata.schema.to_arrow_schema()
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        return Unreadable(path, reason)
    groups = []
    page_index = metadata.num_row_groups > 0
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        sizes: dict[str, int] = {}
        nulls: dict[str, int | None] = {}
        for j in range(group.num_columns):
            column = group.column(j)
            name = column.path_in_schema.split(".", 1)[0]
            sizes[name] = sizes.get(name, 0) + column.total_uncompressed_size
            statistics = column.statistics
            nulls[name] = statistics.null_count if statistics is not None and statistics.has_null_count else None
            page_index = page_index and column.has_offset_index
        groups.append(RowGroup(group.num_rows, sizes, nulls))
    digest = hashlib.sha256(tail[_footer_start(tail) :] + str(size).encode()).hexdigest()[:16]
    return Shard(path, size, metadata.num_rows, 0, digest, schema, tuple(groups), page_index)


def _footer_start(tail: bytes) -> int:
    return len(tail) - 8 - int.from_bytes(tail[-8:-4], "little")


def _tail(path: str) -> tuple[bytes, int]:
    """The file's end, at least the whole footer, and the file's size."""
    with fsspec.open(path, "rb").open() if "://" in path else open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            raise ValueError("the file is empty (0 bytes)")
        if size < 12:
            raise ValueError(f"the file has only {size} bytes, too few for Parquet")
        file.seek(max(0, size - TAIL))
        tail = file.read()
        if tail[-4:] != MAGIC:
            raise ValueError("it does not end in Parquet's mark 'PAR1': it is truncated or of another format")
        start = _footer_start(tail)
        if start < 0:
            needed = len(tail) - start
            if needed > size:
                raise ValueError("its footer is longer than the file: it is corrupt")
            file.seek(size - needed)
            tail = file.read()
        return tail, size
