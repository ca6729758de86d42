"""Documents brought into any order with bounded memory: dealt into buckets on disk by their place in the output, each sorted in memory.

A bucket holds `BUCKET_BYTES`, and never more than twice that unless it is a single document, whatever the corpus and however uneven its
documents: one that comes out larger is dealt again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from explorer.exporters.documents import BATCH_BYTES

BUCKET_BYTES = 64 << 20
MOST_BUCKETS = 400  # files open at once
PLACE = "_position"

Rows = Callable[[int, int], Iterator[pa.RecordBatch]]
Bucket = tuple[int, int, Path]  # documents of these places, in a file


def by_place(batches: Iterable[tuple[np.ndarray, pa.RecordBatch]], schema: pa.Schema, count: int, size: float, folder: Path) -> Rows:
    """A function that gives the documents of places ``begin`` to ``end``, in order, in batches of about 16 MB; threads may share it.

    Args:
        batches: places in the output, int64 [m], and documents [m] of the ``schema``.
        schema: of the documents. Texts are held as large strings in the buckets, which cannot overflow.
        count: how many documents there are; their places are 0 to ``count`` - 1.
        size: bytes of all of them, roughly.
        folder: where the buckets lie while the function is used.

    """
    large = pa.schema([*(pa.field(f.name, _large(f.type)) for f in schema), pa.field(PLACE, pa.int64())])

    def placed() -> Iterator[pa.RecordBatch]:
        for places, batch in batches:
            columns = [batch.column(i).cast(f.type) for i, f in enumerate(list(large)[:-1])]
            yield pa.record_batch([*columns, pa.array(places)], schema=large)

    buckets = dealt(placed(), large, folder, 0, count, int(size))

    def rows(begin: int, end: int) -> Iterator[pa.RecordBatch]:
        for first, last, path in buckets:
            if last <= begin or end <= first:
                continue
            with pa.OSFile(str(path)) as source:
                table = pa.ipc.open_stream(source).read_all()
            where = np.empty(table.num_rows, np.int64)
            where[table[PLACE].to_numpy() - first] = np.arange(table.num_rows)
            table = table.drop_columns([PLACE]).combine_chunks()
            step = max(1, min(4096, BATCH_BYTES * len(where) // max(1, table.nbytes)))
            low, high = max(begin, first) - first, min(end, last) - first
            for a in range(low, high, step):
                taken = table.take(pa.array(where[a : min(high, a + step)])).combine_chunks()
                yield from taken.cast(schema).to_batches()

    return rows


def dealt(batches: Iterable[pa.RecordBatch], schema: pa.Schema, folder: Path, begin: int, end: int, size: int) -> list[Bucket]:
    """Deal the documents of places ``begin`` to ``end``, about ``size`` bytes, into buckets; their last column is the place."""
    if begin == end:
        return []
    width = -(-(end - begin) // min(end - begin, MOST_BUCKETS, max(1, size // BUCKET_BYTES)))
    buckets = [(a, min(end, a + width), folder / f"{a}-{min(end, a + width)}.arrow") for a in range(begin, end, width)]
    sinks = [pa.ipc.new_stream(str(path), schema) for _, _, path in buckets]
    try:
        for batch in batches:
            bucket = (batch.column(batch.num_columns - 1).to_numpy() - begin) // width
            order = np.argsort(bucket, kind="stable")
            edges = np.flatnonzero(np.diff(bucket[order], prepend=-1))
            for here in np.split(order, edges[1:]):
                sinks[bucket[here[0]]].write_batch(batch.take(pa.array(here)))
    finally:
        for sink in sinks:
            sink.close()
    found = []
    for a, b, path in buckets:
        held = path.stat().st_size
        if held <= 2 * BUCKET_BYTES or b - a == 1:
            found.append((a, b, path))
            continue
        with pa.OSFile(str(path)) as source:
            found += dealt(pa.ipc.open_stream(source), schema, folder, a, b, held)
        path.unlink()
    return found


def _large(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary(kind) else kind
