"""Read the texts of a corpus from end to end in threads, a bounded number of row groups in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from explorer.corpus.files import Shard
from explorer.corpus.roles import is_text
from explorer.errors import CorpusError
from explorer.primitives.batch import Batch

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

SLICE = 16 << 20  # bytes of text in one batch, about
SLICE_ROWS = 65_536


def each_batch(
    corpus: Corpus,
    work: Callable[[int, Batch], None],
    *,
    only: np.ndarray | None = None,
    workers: int | None = None,
    on_rows: Callable[[int], None] = lambda done: None,
) -> None:
    """Hand every document to ``work``, in threads and in any order of batches.

    Args:
        corpus: what to read.
        work: called as ``work(first, batch)``: the batch holds documents ``first, first + 1, …``. It may write to shared arrays at
            the places of its own documents; what it raises ends the reading.
        only: bool [len(corpus)]; row groups without a True are skipped (their neighbours in a row group are read along).
        workers: threads; the machine's processors by default.
        on_rows: called in the calling thread with the documents done so far; what it raises ends the reading.

    Raises:
        CorpusError: a row group cannot be read.

    """
    tasks = iter(
        [
            (shard, group, first, size.rows)
            for shard in corpus.shards
            for (group, size), first in zip(enumerate(shard.row_groups), _firsts(shard), strict=True)
            if size.rows and (only is None or only[first : first + size.rows].any())
        ]
    )
    workers = workers or os.cpu_count() or 1

    def run(shard: Shard, group: int, first: int, rows: int) -> int:
        for batch in read_row_group(corpus, shard, group):
            work(first, batch)
            first += len(batch)
        return rows

    pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
    pending: set[Future[int]] = set()
    done = 0
    try:
        while True:
            while len(pending) < workers and (task := next(tasks, None)) is not None:
                pending.add(pool.submit(run, *task))
            if not pending:
                return
            ended, pending = wait(pending, return_when=FIRST_COMPLETED)
            done += sum(future.result() for future in ended)
            on_rows(done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def read_row_group(corpus: Corpus, shard: Shard, row_group: int) -> Iterator[Batch]:
    """The texts of a row group, in slices of about 16 MB; all null where the file has no text column.

    Raises:
        CorpusError: the column is not text in this file, or the row group is damaged.

    """
    group, text = shard.row_groups[row_group], corpus.roles.text
    if text not in shard.schema.names:
        yield Batch(pa.nulls(group.rows, pa.large_string()))
        return
    kind = shard.schema.field(text).type
    if not is_text(kind):
        raise CorpusError(
            f"Column {text!r} of {shard.path!r} is {kind}, not text. All documents are needed. Rewrite that file with a string column, or leave it out."
        )
    size = group.sizes.get(text, 0)
    rows = max(1, min(group.rows, SLICE_ROWS, int(group.rows * SLICE / size) if size > SLICE else group.rows))
    file = shard.open()
    try:
        for piece in file.iter_batches(batch_size=rows, row_groups=[row_group], columns=[text]):
            column = piece.column(0)
            yield Batch(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column)
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(
            f"Row group {row_group} of {shard.path!r} cannot be read: {error}. All documents are needed. The file is damaged there; restore it, or leave it out."
        ) from error


def text_bytes(corpus: Corpus) -> np.ndarray:
    """UTF-8 bytes of every text, int64 [n], 0 where null: from the score ``n_bytes`` if it covers all, else by reading the texts once."""
    coverage = corpus.coverage()
    if coverage.of("n_bytes") is not None and coverage.scored_rows("n_bytes") == len(corpus):
        return np.nan_to_num(corpus.columns.numbers("n_bytes")).astype(np.int64)
    sizes = np.zeros(len(corpus), np.int64)

    def measure(first: int, batch: Batch) -> None:
        sizes[first : first + len(batch)] = np.diff(batch.offsets)

    each_batch(corpus, measure)
    return sizes


def _firsts(shard: Shard) -> list[int]:
    """Number of the first document of each row group."""
    return (shard.first_row + np.cumsum([0, *(g.rows for g in shard.row_groups)])[:-1]).tolist()
