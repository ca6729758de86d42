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

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.corpus.database import SAFE, literal, quote, read_parquet
from explorer.corpus.files import Shard
from explorer.errors import ManifestError

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
BATCH = 1 << 16


def connect() -> duckdb.DuckDBPyConnection:
    """DuckDB in memory for our own queries."""
    return duckdb.connect(config=dict(SAFE))


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


def identities(shard: Shard, id_column: str | None, text: str) -> Iterator[pa.RecordBatch]:
    """(row, id) of every document of a file, in order; the same identity that samplers and labels use.

    Raises:
        ManifestError: the id column cannot be read as text.

    """
    if shard.rows == 0:
        return
    names = shard.schema.names
    if (id_column or text) not in names:
        ids = pa.nulls(shard.rows, pa.string()) if id_column else pa.array([hashlib.sha256(b"").hexdigest()] * shard.rows)
        yield pa.record_batch({"row": pa.array(np.arange(shard.rows)), "id": ids})
        return
    expression = f"CAST({quote(id_column)} AS VARCHAR)" if id_column else f"sha256(coalesce({quote(text)}, ''))"
    connection = connect()
    if shard.remote:
        import fsspec

        connection.register_filesystem(fsspec.filesystem(shard.path.split("://", 1)[0]))
    done = 0
    try:
        reader = connection.sql(f"SELECT {expression} AS id FROM {read_parquet([shard.path])}").to_arrow_reader(BATCH)
        for batch in reader:
            yield pa.record_batch({"row": pa.array(np.arange(done, done + batch.num_rows)), "id": batch.column(0).cast(pa.string())})
            done += batch.num_rows
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if id_column:
            raise ManifestError(
                f"Column {id_column!r} of {shard.path!r} cannot name documents: {str(error).splitlines()[0]}. Ids must be readable as text. Open the corpus with id=None to name documents by their text."
            ) from error
        yield from _hashed(shard, text, done)
    finally:
        connection.close()


def _hashed(shard: Shard, text: str, done: int) -> Iterator[pa.RecordBatch]:
    """Sha256 of texts that DuckDB refuses because they are not UTF-8: the same digest, over the bytes as they are."""
    start = 0
    for batch in shard.open().iter_batches(batch_size=4096, columns=[text]):
        column = batch.column(0)
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        skip = max(0, done - start)
        if skip < batch.num_rows:
            raw = column.slice(skip).cast(pa.large_binary()).to_pylist()
            digests = [hashlib.sha256(value or b"").hexdigest() for value in raw]
            yield pa.record_batch({"row": pa.array(np.arange(start + skip, start + batch.num_rows)), "id": pa.array(digests)})
        start += batch.num_rows


def selection_batches(
    shards: Sequence[Shard],
    *,
    id_column: str | None,
    text: str,
    kept: np.ndarray,
    copies: np.ndarray,
    rank: np.ndarray,
    tokens: np.ndarray,
) -> Iterator[pa.RecordBatch]:
    """Rows of a selection file in the order of the source files.

    Args:
        shards: the source files.
        id_column: column that names a document, None for the sha256 of its text.
        text: column of the text.
        kept: int64 [n], numbers of the documents in the corpus, ascending.
        copies: int32 [n], how often each is emitted.
        rank: int64 [n], place of each in the order.
        tokens: float64 [n].

    Raises:
        ManifestError: a kept document has no id.

    """
    for number, shard in enumerate(shards):
        begin, end = np.searchsorted(kept, [shard.first_row, shard.first_row + shard.rows])
        if begin == end:
            continue
        for batch in identities(shard, id_column, text):
            if batch.num_rows == 0:
                continue
            low = shard.first_row + batch.column(0)[0].as_py()
            a, b = np.searchsorted(kept, [low, low + batch.num_rows])
            if a == b:
                continue
            ids = batch.column(1).take(pa.array(kept[a:b] - low))
            if ids.null_count:
                where = int(kept[a + pc.index(ids.is_null(), True).as_py()]) - shard.first_row
                raise ManifestError(
                    f"Row {where:,} of {shard.path!r} has no id in column {id_column!r}. Every kept document needs one. Open the corpus with id=None to name documents by their text."
                )
            columns = {
                "file": pa.array(np.full(b - a, number, np.int32)),
                "row": pa.array(kept[a:b] - shard.first_row),
                "id": ids,
                "repeat": pa.array(copies[a:b]),
                "weight": pa.array(np.ones(b - a, np.float32)),
                "rank": pa.array(rank[a:b]),
                "tokens": pa.array(tokens[a:b]),
            }
            yield pa.record_batch(list(columns.values()), schema=SCHEMA)


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


def seeded_keys(ids: Iterable[pa.RecordBatch], salt: str) -> np.ndarray:
    """uint64 keys, one a document in the order given: the first 64 bits of sha256(salt + id), whose order is a random one."""
    connection = connect()
    pieces = [np.zeros(0, np.uint64)]
    try:
        for batch in ids:
            connection.register("given", pa.Table.from_batches([batch]))
            key = f"('0x' || substr(sha256({literal(salt)} || id), 1, 16))::UBIGINT"
            pieces.append(connection.sql(f"SELECT {key} AS k FROM given").fetchnumpy()["k"])
            connection.unregister("given")
    finally:
        connection.close()
    return np.concatenate(pieces)
