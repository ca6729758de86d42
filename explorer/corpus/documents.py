"""Fetch chosen documents by their number: only the row groups they lie in are touched."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from explorer.corpus.database import quote, read_parquet
from explorer.corpus.files import Shard
from explorer.errors import CorpusError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus


def locate(shards: Sequence[Shard], row: int) -> tuple[int, int]:
    """(shard number, row inside the shard) of a document."""
    firsts = [s.first_row for s in shards]
    # empty shards share a first row with their successor; bisect_right then lands on the last of them, which holds the row
    shard = bisect_right(firsts, row) - 1
    if row < 0 or shard < 0 or row - firsts[shard] >= shards[shard].rows:
        total = sum(s.rows for s in shards)
        raise CorpusError(
            f"Document {row:,} does not exist. The corpus has {total:,} documents, numbered from 0. Open the corpus again if files were replaced."
        )
    return shard, row - firsts[shard]


def fetch(corpus: Corpus, rows: Sequence[int] | np.ndarray, columns: Sequence[str]) -> pl.DataFrame:
    """The columns of these documents in the order asked for, with ``_row``; text that is not UTF-8 is shown with U+FFFD.

    Args:
        corpus: where to look.
        rows: numbers of documents in the corpus, repeats allowed.
        columns: columns of the source files, also under the name they have beside a signal (`Coverage.renamed`). Never a signal.

    Returns:
        A frame of ``len(rows)`` rows.

    """
    own = {other: name for name, other in corpus.coverage().renamed.items()}
    if any(c in own for c in columns):
        frame = fetch(corpus, rows, list(dict.fromkeys(own.get(c, c) for c in columns)))
        return frame.select("_row", *(pl.col(own.get(c, c)).alias(c) for c in columns))
    wanted = [int(r) for r in rows]
    by_shard: dict[int, list[int]] = {}
    for row in sorted(set(wanted)):
        shard, inner = locate(corpus.shards, row)
        by_shard.setdefault(shard, []).append(inner)
    pieces = [_fetch_from(corpus, corpus.shards[n], inner, columns) for n, inner in by_shard.items()]
    if not pieces:
        return pl.DataFrame(schema={"_row": pl.Int64, **dict.fromkeys(columns, pl.String)})
    found = pl.concat(pieces, how="diagonal_relaxed")
    return pl.DataFrame({"_row": wanted}).join(found, on="_row", how="left", maintain_order="left").select("_row", *columns)


def _fetch_from(corpus: Corpus, shard: Shard, inner: Sequence[int], columns: Sequence[str]) -> pl.DataFrame:
    here = [c for c in columns if c in shard.schema.names]
    names = ", ".join(["file_row_number", *(quote(c) for c in here)])
    numbers = ", ".join(map(str, inner))
    try:
        frame = corpus.database.frame(f"SELECT {names} FROM {read_parquet([shard.path])} WHERE file_row_number IN ({numbers})")
        frame = frame.with_columns(_row=pl.col("file_row_number") + shard.first_row).drop("file_row_number")
    except (duckdb.Error, pa.ArrowException, pl.exceptions.PolarsError):
        frame = _fetch_by_row_group(shard, inner, here)
    missing = [c for c in columns if c not in frame.columns]
    return frame.with_columns(pl.lit(None).alias(c) for c in missing) if missing else frame


def _fetch_by_row_group(shard: Shard, inner: Sequence[int], columns: Sequence[str]) -> pl.DataFrame:
    """Slower way that survives invalid UTF-8: whole row groups through Arrow, bytes decoded with replacement."""
    file = shard.open()
    starts = np.cumsum([0, *(g.rows for g in shard.row_groups)])
    pieces = []
    for group in sorted({int(np.searchsorted(starts, r, side="right")) - 1 for r in inner}):
        here = [r - int(starts[group]) for r in inner if starts[group] <= r < starts[group + 1]]
        try:
            table = file.read_row_group(group, columns=list(columns)).take(here)
        except (OSError, pa.ArrowException) as error:
            raise CorpusError(
                f"Row group {group} of {shard.path!r} cannot be read: {error}. The file is damaged there; restore it, or leave it out."
            ) from error
        data = {name: _decoded(table[name]) for name in columns}
        pieces.append(pl.DataFrame({"_row": [shard.first_row + int(starts[group]) + h for h in here], **data}, strict=False))
    return pl.concat(pieces, how="vertical_relaxed")


def _decoded(column: pa.ChunkedArray) -> list[object]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        raw = column.cast(pa.large_binary()).to_pylist()
        return [None if v is None else v.decode("utf-8", "replace") for v in raw]
    return column.to_pylist()
