"""Selection files: one row a chosen document, in order; written and read in batches, so memory does not grow with the corpus.

file int32     number of the source file in the manifest's list
row int64      number of the document in that file
id string      stable identity: the id column's value, else sha256 of the text
repeat int32   how often the document is emitted, at least 1
weight float32 weight of its loss; 1 unless a method says otherwise
rank int64     its place in the order; rows are sorted by it
tokens double  tokens of the document
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.database import literal, read_parquet
from explorer.mixture.identities import BATCH, Identified, connect

SCHEMA = pa.schema(
    [
        pa.field("file", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("repeat", pa.int32(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("rank", pa.int64(), nullable=False),
        pa.field("tokens", pa.float64(), nullable=False),
    ]
)
ENCODING = {
    "use_dictionary": ["file", "repeat", "weight", "tokens"],
    "column_encoding": {"row": "DELTA_BINARY_PACKED", "rank": "DELTA_BINARY_PACKED"},
}  # ids, rows and ranks are all different: building a dictionary of them is wasted work
ROWS_A_GROUP = 1 << 17


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, rows_a_group: int = ROWS_A_GROUP) -> int:
    """Write Parquet whose bytes depend on the rows alone, not on how they were batched: fixed codec, level and rows a row group."""
    written = 0
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=3, **ENCODING) as writer:
        for table in regrouped(batches, schema, repeat(rows_a_group)):
            writer.write_table(table, row_group_size=rows_a_group)
            written += table.num_rows
    return written


def regrouped(batches: Iterable[pa.RecordBatch], schema: pa.Schema, sizes: Iterable[int]) -> Iterator[pa.Table]:
    """The same rows in tables of these sizes, one after another; the last one is what is left."""
    held: list[pa.RecordBatch] = []
    count, wanted = 0, iter(sizes)
    rows = next(wanted, 0)
    for batch in batches:
        while rows and count + batch.num_rows >= rows:
            take = rows - count
            yield pa.Table.from_batches([*held, batch.slice(0, take)], schema)
            batch, held, count, rows = batch.slice(take), [], 0, next(wanted, 0)
        if batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    if held:
        yield pa.Table.from_batches(held, schema)


def selection_batches(found: Iterable[Identified], *, copies: np.ndarray, rank: np.ndarray, tokens: np.ndarray) -> Iterator[pa.RecordBatch]:
    """Rows of a selection file in the order of the source files.

    Args:
        found: identities of the kept documents.
        copies: int32 [n], how often each is emitted; 0 leaves it out.
        rank: int64 [n], place of each in the order.
        tokens: float64 [n].

    """
    for part in found:
        here = slice(part.start, part.start + len(part.rows))
        used = np.flatnonzero(copies[here])
        if not len(used):
            continue
        columns = [
            pa.array(np.full(len(used), part.file, np.int32)),
            pa.array(part.rows[used]),
            part.ids.take(pa.array(used)) if len(used) < len(part.rows) else part.ids,
            pa.array(copies[here][used]),
            pa.array(np.ones(len(used), np.float32)),
            pa.array(rank[here][used]),
            pa.array(tokens[here][used]),
        ]
        yield pa.record_batch(columns, schema=SCHEMA)


@contextmanager
def kept_aside(found: Iterable[Identified], path: Path) -> Iterator[Callable[[], Iterator[Identified]]]:
    """Identities read once and kept in a file, to be gone through several times; the file is removed at the end."""
    schema = pa.schema({"start": pa.int64(), "file": pa.int32(), "row": pa.int64(), "id": pa.string()})
    try:
        with (
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer,
        ):
            for part in found:
                n = len(part.rows)
                columns = [np.full(n, part.start, np.int64), np.full(n, part.file, np.int32), part.rows, part.ids.cast(pa.string())]
                writer.write_batch(pa.record_batch([pa.array(c) if isinstance(c, np.ndarray) else c for c in columns], schema=schema))

        def again() -> Iterator[Identified]:
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
                for number in range(reader.num_record_batches):
                    batch = reader.get_batch(number)
                    yield Identified(batch["start"][0].as_py(), batch["file"][0].as_py(), batch["row"].to_numpy(), batch["id"])

        yield again
    finally:
        path.unlink(missing_ok=True)


def write_selection(path: Path, batches: Iterable[pa.RecordBatch], *, in_order: bool) -> None:
    """Write a selection file sorted by rank; ``in_order`` says that the batches already are."""
    if in_order:
        write_batches(path, SCHEMA, batches)
        return
    unsorted = path.with_name(f".{path.name}.unsorted")
    write_batches(unsorted, SCHEMA, batches)
    connection = connect()
    try:
        connection.execute(f"SET temp_directory = {literal(str(path.parent / '.sorting'))}")
        reader = connection.sql(f"SELECT * FROM {read_parquet([str(unsorted)])} ORDER BY rank").to_arrow_reader(BATCH)
        write_batches(path, SCHEMA, (_typed(batch) for batch in reader))
    finally:
        connection.close()
        unsorted.unlink(missing_ok=True)


def _typed(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch([batch.column(f.name).cast(f.type) for f in SCHEMA], schema=SCHEMA)
