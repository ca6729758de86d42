"""The stable identity of every kept document, read in batches; and random orders that depend on identities and a seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from explorer.corpus.corpus import Corpus
from explorer.corpus.database import SAFE, literal, quote, read_parquet
from explorer.corpus.files import Shard
from explorer.errors import ManifestError

BATCH = 1 << 16


class Identified(NamedTuple):
    """Ids of the kept documents ``start`` … of a source, all of the file with this number; ``rows`` int64 are their places in it."""

    start: int
    file: int
    rows: np.ndarray
    ids: pa.Array


def connect() -> duckdb.DuckDBPyConnection:
    """DuckDB in memory for our own queries, with settings of its own."""
    return duckdb.connect(config=dict(SAFE))


@cache
def _shared() -> duckdb.DuckDBPyConnection:
    return connect()


def cursor() -> duckdb.DuckDBPyConnection:
    """A connection for reading; opening a database for each of thousands of files would take longer than the files."""
    return _shared().cursor()


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
    connection = connect() if shard.remote else cursor()
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


def kept_ids(shards: Sequence[Shard], *, id_column: str | None, text: str, kept: np.ndarray) -> Iterator[Identified]:
    """Ids of the kept documents in the order of the source files.

    Args:
        shards: the source files.
        id_column: column that names a document, None for the sha256 of its text.
        text: column of the text.
        kept: int64 [n], numbers of the documents in the corpus, ascending.

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
            a, b = (int(i) for i in np.searchsorted(kept, [low, low + batch.num_rows]))
            if a == b:
                continue
            ids = batch.column(1).take(pa.array(kept[a:b] - low))
            if ids.null_count:
                where = int(kept[a + pc.index(ids.is_null(), True).as_py()]) - shard.first_row
                raise ManifestError(
                    f"Row {where:,} of {shard.path!r} has no id in column {id_column!r}. Every kept document needs one. Open the corpus with id=None to name documents by their text."
                )
            yield Identified(a, number, kept[a:b] - shard.first_row, ids)


def seeded_keys(ids: Iterable[pa.Array], salt: str) -> np.ndarray:
    """uint64 keys, one a document in the order given: the first 64 bits of sha256(salt + id), whose order is a random one."""
    connection = cursor()
    pieces = [np.zeros(0, np.uint64)]
    try:
        for batch in ids:
            connection.register("given", pa.table({"id": batch}))
            key = f"('0x' || substr(sha256({literal(salt)} || id), 1, 16))::UBIGINT"
            pieces.append(connection.sql(f"SELECT {key} AS k FROM given").fetchnumpy()["k"])
            connection.unregister("given")
    finally:
        connection.close()
    return np.concatenate(pieces)


def seeded_order(corpus: Corpus, id_column: str | None, kept: np.ndarray, salt: str) -> np.ndarray:
    """int64 [n], positions of the kept documents in a random order that depends on the salt and their identities alone."""
    found = kept_ids(corpus.shards, id_column=id_column, text=corpus.roles.text, kept=kept)
    return np.argsort(seeded_keys((part.ids for part in found), salt), kind="stable")
