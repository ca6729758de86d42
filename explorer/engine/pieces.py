"""Score any rows of a corpus in small pieces: what is on the screen, a selection, a sample, or all of it with a slow model.

A piece takes some seconds, appears whole and is kept: killing a job loses one piece at most, and results are seen as they land.
A text is run once: rows with the same text share an answer, and the hash kept beside each value finds texts that were scored
before, in another file or before the file was rewritten.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.corpus import Corpus
from explorer.corpus.database import read_parquet
from explorer.corpus.files import Shard
from explorer.corpus.roles import is_text
from explorer.corpus.sidecars import MANY_PIECES, TEXT, Sidecar, forget, join_pieces, merge_pieces, to_table, write_piece
from explorer.engine.progress import Progress, ScoreReport
from explorer.errors import CorpusError, ExplorerError, SignalError
from explorer.primitives.batch import Batch
from explorer.registry import UNANSWERED, Family

FIRST_PIECE = 4  # rows; the next ones follow the rate, and a slow model may take seconds a document
PIECE_SECONDS = 8.0  # what a kill may lose
MOST_ROWS = 16_384
MOST_BYTES = 64 * 1024**2  # text of a piece
READ_ROWS = 1024  # rows decoded at once while looking for those wanted


def score_pieces(
    corpus: Corpus,
    family: Family,
    side: Sidecar,
    rows: np.ndarray | None,
    *,
    join: bool = True,
    again: bool = False,
    device: str = "",
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> ScoreReport:
    """Compute a family for the rows that lack it, piece by piece.

    Args:
        corpus: the corpus.
        family: of document scope.
        side: where its values are kept.
        rows: numbers of documents; None for all.
        join: whether pieces are made into files; one of several processes leaves that to its parent.
        again: remove what is there for these rows first, and run every text anew.
        device: what it runs on, said in the progress and the report.
        on_progress: called after each piece.
        cancel: when set, no further piece is begun.

    Raises:
        CorpusError, SignalError: a file cannot be read, or the family failed; what was finished is kept.

    """
    stop = cancel or threading.Event()
    tell = on_progress
    if again:
        forget_rows(corpus, side, rows)
    since = time.time_ns() if again else 0
    wanted = wanted_rows(corpus, side, rows)
    total = len(corpus) if rows is None else len(rows)
    left = sum(len(inner) for _, inner in wanted)
    reused = done = total - left
    same, unanswered, done_bytes, size = 0, 0, 0, FIRST_PIECE
    nulls = dict.fromkeys((s.name for s in family.signals), 0)
    started = time.monotonic()
    tell(Progress("running", done, total, reused, 0, 0.0, f"loading {family.title}" if left else "", family.title, device))
    for shard, inner in wanted:
        reader = _Reader(corpus, shard, inner, sorted(set(family.reads) - {"text", "original"}))
        for n in itertools.count():
            if join and n % MANY_PIECES == 0:
                merge_pieces(side, shard)
            piece = None if stop.is_set() else reader.take(size)
            if piece is None:
                break
            begun = time.monotonic()
            here, batch = piece
            if family.of_pairs:
                corpus.with_originals(batch, shard.first_row + here)
            table, ran, answered = _piece(family, side, batch, shard, since)
            if not answered.all():
                unanswered += int((~answered).sum())
                here, table = here[answered], table.filter(pa.array(answered))
            if len(here):
                write_piece(side, shard, here, table)
            same += max(0, int((family.defined(batch) & answered).sum()) - ran)
            done += len(here)
            done_bytes += int(batch.offsets[-1] - batch.offsets[0])
            for name in nulls:
                nulls[name] += table[name].null_count
            # a piece of repeated texts says nothing about the rate
            size = _next_size(len(batch), time.monotonic() - begun) if ran > len(batch) // 2 else size
            tell(Progress("running", done, total, reused, done_bytes, time.monotonic() - started, "", family.title, device))
    for shard in corpus.shards if join else ():  # also those of a run that was killed before it joined them
        join_pieces(side, shard)
    cancelled = stop.is_set() and done + unanswered < total
    seconds = time.monotonic() - started
    tell(Progress("cancelled" if cancelled else "done", done, total, reused, done_bytes, seconds, "", family.title, device))
    return ScoreReport((family.title,), total, done - reused, reused, seconds, done_bytes, nulls, cancelled, same, device, unanswered)


def forget_rows(corpus: Corpus, side: Sidecar, rows: np.ndarray | None) -> None:
    """Remove what a family has computed for these documents, None for all."""
    for shard in corpus.shards:
        if rows is None:
            forget(side, shard)
            continue
        inner = rows[(rows >= shard.first_row) & (rows < shard.first_row + shard.rows)] - shard.first_row
        if len(inner):
            forget(side, shard, None if len(inner) == shard.rows else inner)


def wanted_rows(corpus: Corpus, side: Sidecar, rows: np.ndarray | None) -> list[tuple[Shard, np.ndarray]]:
    """Rows inside each shard that are asked for and not there."""
    found = []
    for shard in corpus.shards:
        if rows is None:
            inner = np.arange(shard.rows)
        else:
            inner = np.unique(rows[(rows >= shard.first_row) & (rows < shard.first_row + shard.rows)]) - shard.first_row
        inner = inner[~side.there(shard)[inner]]
        if len(inner):
            found.append((shard, inner))
    return found


def _next_size(rows: int, seconds: float) -> int:
    """Rows of the next piece: as many as take the time of one, at most four times as many as before."""
    fitting = int(rows * PIECE_SECONDS / max(seconds, 1e-3))
    return max(1, min(fitting, 4 * rows, MOST_ROWS))


def _piece(family: Family, side: Sidecar, batch: Batch, shard: Shard, since: int = 0) -> tuple[pa.Table, int, np.ndarray]:
    """Values of the family for a batch with the texts' hashes, how many texts were run, and which rows have an answer."""
    hashes = _pair_hashes(batch) if family.of_pairs else text_hashes(batch)
    known = _known(side, hashes, since)
    first: dict[bytes, int] = {}
    for i, h in enumerate(hashes):
        if h is not None and h not in known:
            first.setdefault(h, i)
    chosen = np.fromiter(first.values(), np.int64, len(first))
    try:
        fresh, answered = _computed(family, side, batch, chosen)
    except (ExplorerError, ImportError, MemoryError):
        raise
    except Exception as error:
        raise SignalError(
            f"Signal family {family.title!r} failed on {shard.path!r}: {type(error).__name__}: {error}. What was scored before is kept. Please report it with this file."
        ) from error
    places = {h: i for i, h in enumerate(first)}
    parts = [fresh]
    if known:
        old = pa.concat_tables([t for t, _ in known.values()]) if known else fresh.slice(0, 0)
        places |= {h: len(fresh) + i for i, h in enumerate(known)}
        parts.append(old.cast(fresh.schema))
    pool = pa.concat_tables(parts)
    where = pa.array([None if h is None else places[h] for h in hashes], pa.int64())
    table = pool.take(where)
    places_of = np.array([-1 if h is None else places[h] for h in hashes])
    there = (places_of < 0) | (places_of >= len(answered)) | np.append(answered, True)[np.minimum(places_of, len(answered))]
    return table.append_column(TEXT, pa.array(hashes, pa.binary())), len(chosen), there


def _computed(family: Family, side: Sidecar, batch: Batch, chosen: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Values of chosen documents, and which of them could be asked at all."""
    part = batch.take(chosen)
    columns = dict(family.run(part, **side.parameters))
    unanswered = np.asarray(columns.pop(UNANSWERED, np.zeros(len(part), bool)), bool)
    return to_table(family.signals, columns, family.defined(part)), ~unanswered


def text_hashes(batch: Batch) -> list[bytes | None]:
    """16 bytes of BLAKE2b over the UTF-8 bytes of each text; None for null."""
    view = batch.data.data
    o = batch.offsets
    return [hashlib.blake2b(view[o[i] : o[i + 1]], digest_size=16).digest() if ok else None for i, ok in enumerate(batch.valid)]


def _pair_hashes(batch: Batch) -> list[bytes | None]:
    """The same of an original and its rewrite together; None where one of them is null."""
    both = zip(text_hashes(batch.original), text_hashes(batch), strict=True)
    return [None if a is None or b is None else hashlib.blake2b(a + b, digest_size=16).digest() for a, b in both]


def _known(side: Sidecar, hashes: Sequence[bytes | None], since: int = 0) -> dict[bytes, tuple[pa.Table, int]]:
    """Values of the texts that this family has scored before (``since``: ns since 1970), wherever that was: one row a hash."""
    try:
        return _found(side, hashes, since)
    except (OSError, duckdb.IOException):
        return {}  # a piece was merged or joined under our hands: those texts are run again, which costs time and nothing else


def _found(side: Sidecar, hashes: Sequence[bytes | None], since: int) -> dict[bytes, tuple[pa.Table, int]]:
    paths = [*side.folder.glob("*.parquet"), *side.folder.glob("*.pieces/[0-9]*.parquet")]
    files = [str(p) for p in paths if (not since or p.stat().st_mtime_ns >= since) and TEXT in _names(str(p))]
    wanted = pa.table({"h": pa.array(sorted({h for h in hashes if h is not None}), pa.binary())})
    if not files or not len(wanted):
        return {}
    with duckdb.connect() as connection:
        connection.register("wanted", wanted)
        found = connection.sql(
            f"SELECT {TEXT} AS h, min(struct_pack(f := filename, r := file_row_number)) AS place "
            f"FROM {read_parquet(files)} SEMI JOIN wanted ON {TEXT} = h GROUP BY 1"
        ).fetchall()
    by_file: dict[str, list[tuple[int, bytes]]] = {}
    for h, place in found:
        by_file.setdefault(place["f"], []).append((place["r"], bytes(h)))
    return {h: pair for path, entries in by_file.items() for h, pair in _taken(Path(path), sorted(entries), side.columns)}


def _names(path: str) -> tuple[str, ...]:
    try:
        return _schema_names(path, os.stat(path).st_mtime_ns)
    except (OSError, pa.ArrowException):
        return ()


@lru_cache(maxsize=4096)
def _schema_names(path: str, changed: int) -> tuple[str, ...]:
    return tuple(pq.read_schema(path).names)


def _taken(path: Path, entries: Sequence[tuple[int, bytes]], columns: Sequence[str]) -> Iterator[tuple[bytes, tuple[pa.Table, int]]]:
    """Rows of a sidecar file, one table of a row each; only their row groups are read."""
    file = pq.ParquetFile(path)
    first = 0
    for g in range(file.num_row_groups):
        rows = file.metadata.row_group(g).num_rows
        here = [(r - first, h) for r, h in entries if first <= r < first + rows]
        if here:
            table = file.read_row_group(g, columns=list(columns)).replace_schema_metadata()
            for r, h in here:
                yield h, (table.slice(r, 1), r)
        first += rows


class _Reader:
    """Chosen rows of a shard with their text, a piece at a time; a row group is decoded in small batches, never whole."""

    def __init__(self, corpus: Corpus, shard: Shard, rows: np.ndarray, roles: Sequence[str]) -> None:
        self._shard, self._rows = shard, rows
        assigned = corpus.roles.assigned()
        self._columns = {role: assigned[role] for role in ("text", *roles) if assigned.get(role) in shard.schema.names}
        if "text" in self._columns and not is_text(kind := shard.schema.field(self._columns["text"]).type):
            raise CorpusError(
                f"Column {self._columns['text']!r} of {shard.path!r} is {kind}, not text. The other files are scored. Rewrite that file with a string column, or leave it out."
            )
        self._batches = self._wanted()
        self._waiting: list[tuple[np.ndarray, pa.Table]] = []

    def take(self, most: int) -> tuple[np.ndarray, Batch] | None:
        """The next rows, at most so many and 64 MB of text, and their documents; None at the end."""
        while sum(len(rows) for rows, _ in self._waiting) < most and sum(t.nbytes for _, t in self._waiting) < MOST_BYTES:
            more = next(self._batches, None)
            if more is None:
                break
            self._waiting.append(more)
        if not self._waiting:
            return None
        rows = np.concatenate([r for r, _ in self._waiting])
        table = pa.concat_tables([t for _, t in self._waiting])
        here = min(most, len(rows))
        if table.nbytes > 2 * MOST_BYTES:
            here = max(1, min(here, int(len(rows) * MOST_BYTES / table.nbytes)))
        self._waiting = [(rows[here:], table.slice(here))] if here < len(rows) else []
        table = table.slice(0, here)
        text = table["text"] if "text" in table.column_names else pa.nulls(here, pa.large_string())
        return rows[:here], Batch(text, {n: table[n].combine_chunks() for n in table.column_names if n not in ("text", "_")})

    def _wanted(self) -> Iterator[tuple[np.ndarray, pa.Table]]:
        first = 0
        file = self._shard.open()
        for g, group in enumerate(self._shard.row_groups):
            inner = self._rows[(self._rows >= first) & (self._rows < first + group.rows)] - first
            if len(inner):
                yield from ((rows + first, table) for rows, table in self._of_group(file, g, group.rows, inner))
            first += group.rows

    def _of_group(self, file: pq.ParquetFile, group: int, size: int, inner: np.ndarray) -> Iterator[tuple[np.ndarray, pa.Table]]:
        if not self._columns:
            yield inner, pa.table({"_": pa.nulls(len(inner))})
            return
        at = 0
        names = sorted(set(self._columns.values()))
        try:
            for batch in file.iter_batches(batch_size=min(READ_ROWS, size), row_groups=[group], columns=names):
                here = inner[(inner >= at) & (inner < at + batch.num_rows)]
                if len(here):
                    taken = pa.table(batch).take(pa.array(here - at))
                    yield here, pa.table({role: _plain(taken[column]) for role, column in self._columns.items()})
                at += batch.num_rows
                if len(inner) and at > inner[-1]:
                    return
        except (OSError, pa.ArrowException) as error:
            raise CorpusError(
                f"Row group {group} of {self._shard.path!r} cannot be read: {error}. The file is damaged there; restore it, or leave it out. What was scored is kept."
            ) from error


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column.cast(pa.large_binary() if is_text(kind) else kind)
