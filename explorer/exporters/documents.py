"""What a manifest emits, for exporters to write: its source files found again, and the chosen documents in their order.

A source is emitted pass by pass: every document with ``repeat`` ≥ 1 by rank, then those with ``repeat`` ≥ 2 by rank, and so on; a
fractional epoch is the last, partial pass. Stages follow each other, and in a stage the components stand in the manifest's order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.errors import ExportError
from explorer.manifest.folders import footer, locate, sha256
from explorer.manifest.model import Component, Manifest, Source

BATCH_BYTES = 16 << 20


@dataclass(frozen=True)
class Emitted:
    """Documents of one component as emitted: ``file`` int32 [m] and ``row`` int64 [m], and ``index`` int64 [m] into the selection file."""

    file: np.ndarray
    row: np.ndarray
    index: np.ndarray

    def __len__(self) -> int:
        return len(self.row)


def open_source(manifest: Manifest, source: Source, root: str | os.PathLike[str] | None = None) -> tuple[Shard, ...]:
    """The source's files where they are now, numbered as in the manifest.

    Raises:
        ExportError: a file is missing, or is not the one that was mixed.

    """
    shards, first = [], 0
    for file in source.files:
        path = locate(file, manifest.folder, root)
        shard = footer(path) if path is not None else None
        if path is None or shard is None:
            raise ExportError(
                f"Source file {file.path!r} of {source.name!r} is not there. It is looked for relative to the manifest's folder. Say where the files are now: --root DIR"
            )
        if shard.fingerprint != file.fingerprint:
            raise ExportError(
                f"{path!r} of {source.name!r} is not the file that was mixed. Its footer differs. See what changed: explorer verify MANIFEST"
            )
        shards.append(replace(shard, first_row=first))
        first += shard.rows
    return tuple(shards)


def selection_path(manifest: Manifest, component: Component) -> Path:
    """The component's selection file, after checking that it is the one the manifest names."""
    path = (manifest.folder or Path()) / component.selection.path
    if not path.is_file():
        raise ExportError(f"Selection file {str(path)!r} is missing. A manifest's folder holds one a source. Restore it or mix again.")
    if sha256(path) != component.selection.sha256:
        raise ExportError(f"Selection file {str(path)!r} was changed. Its sha256 differs from the manifest's. Restore it or mix again.")
    return path


def sequence(path: Path) -> Emitted:
    """The documents of a selection file in the order and number in which they are emitted."""
    table = pq.read_table(path, columns=["file", "row", "repeat"], partitioning=None)
    file, row, repeat = (table[name].to_numpy() for name in ("file", "row", "repeat"))
    if not len(repeat) or int(repeat.max()) == 1:
        return Emitted(file, row, np.arange(len(row)))
    index = np.concatenate([np.flatnonzero(repeat > p) for p in range(int(repeat.max()))])
    return Emitted(file[index], row[index], index)


def numbers(path: Path, first: np.ndarray) -> Iterator[np.ndarray]:
    """Numbers in the source of the documents of a selection file as they are emitted, in batches: `sequence` without holding it.

    Args:
        path: the selection file.
        first: int64, number of the first document of each source file.

    Returns:
        int64 batches of about a hundred thousand.

    """
    done, passes = 0, 1
    with pq.ParquetFile(path) as opened:
        while done < passes:
            for batch in opened.iter_batches(1 << 17, columns=["file", "row", "repeat"]):
                file, row, repeat = (batch.column(i).to_numpy() for i in range(3))
                if done == 0:
                    passes = max(passes, int(repeat.max(initial=1)))
                found = first[file] + row
                yield found if done == 0 else found[repeat > done]
            done += 1


def loss_weighted(path: Path) -> bool:
    """Whether a document of a selection file has a loss weight other than 1."""
    with pq.ParquetFile(path) as opened:
        return any(pc.any(pc.not_equal(batch.column(0), 1)).as_py() for batch in opened.iter_batches(1 << 17, columns=["weight"]))


def row_bytes(shards: Sequence[Shard], columns: Sequence[str]) -> float:
    """Mean uncompressed bytes of a row in these columns, from the footers; at least 1."""
    total = sum(group.sizes.get(name, 0) for s in shards for group in s.row_groups for name in columns)
    return max(1.0, total / max(1, sum(s.rows for s in shards)))


Prepare = Callable[[pa.RecordBatch, Shard], pa.RecordBatch]


def ascending(
    shards: Sequence[Shard], file: np.ndarray, row: np.ndarray, columns: Sequence[str], prepare: Prepare
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(position, documents) of a run whose (file, row) never go down; a document named twice comes twice.

    Only row groups that hold a document are read, in batches of about 16 MB. ``prepare`` makes the emitted columns of them.
    """
    size = int(min(65_536, max(64, BATCH_BYTES // row_bytes(shards, columns))))
    for number in np.unique(file):
        shard = shards[number]
        here = [name for name in columns if name in shard.schema.names]
        start, end = np.searchsorted(file, [number, number + 1])
        wanted = row[start:end]
        with shard.open() as opened:
            first = 0
            for group, held in enumerate(shard.row_groups):
                a, b = np.searchsorted(wanted, [first, first + held.rows])
                if a < b:
                    yield from _group(opened, shard, group, first, wanted[a:b], int(start + a), here, size, prepare)
                first += held.rows


def _group(
    opened: pq.ParquetFile,
    shard: Shard,
    group: int,
    first: int,
    wanted: np.ndarray,
    position: int,
    columns: Sequence[str],
    size: int,
    prepare: Prepare,
) -> Iterator[tuple[int, pa.RecordBatch]]:
    batches = opened.iter_batches(batch_size=size, row_groups=[group], columns=list(columns))
    done = 0
    while done < len(wanted):
        try:
            batch = next(batches)
        except (OSError, pa.ArrowException, StopIteration) as error:
            raise ExportError(
                f"Row group {group} of {shard.path!r} cannot be read: {error}. The file is damaged there. Restore it, or mix again without it."
            ) from error
        stop = int(np.searchsorted(wanted, first + batch.num_rows))
        if stop > done:
            rows = wanted[done:stop] - first
            solid = rows[-1] - rows[0] + 1 == len(rows) and (len(rows) < 2 or bool((np.diff(rows) == 1).all()))
            taken = batch.slice(int(rows[0]), len(rows)) if solid else batch.take(pa.array(rows))
            yield position + done, prepare(taken, shard)
            done = stop
        first += batch.num_rows
