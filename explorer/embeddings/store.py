"""Vectors that were computed, read back: all of a corpus as one matrix of half precision."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.corpus.sidecars import ROW, Sidecar, present
from explorer.errors import EmbeddingError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus
    from explorer.embeddings.encoders import Encoder

COLUMN = "embedding"
SHARE_OF_MEMORY = 0.5  # of what is free: more vectors than that are refused, not swapped
_BLOCK = 1 << 14  # rows moved at once


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors of one model for the documents of a corpus that have one.

    Attributes:
        rows: int64 [m], ascending: numbers of the documents that have a vector.
        matrix: float16 [m, d], unit length.
        model, revision: what made them.
        parameters: all of the encoder's settings.
        total: documents of the corpus.
        stamp: changes when vectors are added.

    """

    rows: np.ndarray
    matrix: np.ndarray
    model: str
    revision: str
    parameters: dict[str, Any]
    total: int
    stamp: tuple[str, int]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Embeddings({len(self):,} of {self.total:,} documents, {self.dimension} dimensions, model={self.model!r})"

    @property
    def dimension(self) -> int:
        """Numbers a vector."""
        return int(self.matrix.shape[1])

    def encoder(self) -> Encoder:
        """The model, to embed a query with, in the precision that is fast here.

        Raises:
            ModelError: it is not on this machine.
            EmbeddingError: it is not the one that made these vectors any more.

        """
        from explorer.embeddings.encoders import load

        found = load(**{**self.parameters, "dtype": "auto"})
        if found.revision != self.revision:
            raise EmbeddingError(
                f"Model {self.model!r} has changed since these vectors were made (revision {found.revision[:12]}, then {self.revision[:12]}). "
                "Queries would be compared with another model's vectors. Embed again, or restore the model."
            )
        return found

    @cached_property
    def places(self) -> np.ndarray:
        """int64 [total]: where a document's vector stands in the matrix, -1 where it has none."""
        found = np.full(self.total, -1, np.int64)
        found[self.rows] = np.arange(len(self.rows))
        return found

    def of(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """float32 [k, d]: vectors of these documents, NaN for one that has none."""
        places = self.places[np.asarray(rows, np.int64)]
        found = self.matrix[np.maximum(places, 0)].astype(np.float32) if len(self) else np.zeros((len(places), self.dimension), np.float32)
        found[places < 0] = np.nan
        return found


@dataclass(frozen=True)
class Stored:
    """What a workspace holds of one model: ``rows`` of ``total`` documents of the corpus have been embedded."""

    model: str
    revision: str
    dimension: int
    rows: int
    total: int
    side: Sidecar


def stored(corpus: Corpus) -> list[Stored]:
    """Every model that documents of the corpus have been embedded with, the latest last; no vector is read."""
    found = []
    for side in present(corpus.workspace, corpus.roles.text, "embeddings"):
        rows = sum(side.scored_rows(s) for s in corpus.shards)
        files = [path for s in corpus.shards for path in _files(side, s)]
        if rows and files:
            try:
                dimension = pq.read_schema(files[0]).field(COLUMN).type.list_size
            except FileNotFoundError:  # merged or joined meanwhile: the next look finds it
                continue
            except (OSError, KeyError, pa.ArrowException) as error:
                raise _damaged(files[0], error) from error
            found.append(Stored(side.parameters["model"], side.parameters["revision"], dimension, rows, len(corpus), side))
    return found


def blank(corpus: Corpus, there: Stored) -> int:
    """How many of ``there.rows`` have no vector, since they hold no text; from the files' footers, which count a null list as one null."""
    none = 0
    for shard in corpus.shards:
        for path in _files(there.side, shard):
            footer = pq.read_metadata(path)
            place = next(i for i in range(footer.num_columns) if footer.schema.column(i).path.partition(".")[0] == COLUMN)
            counted = (footer.row_group(g).column(place).statistics for g in range(footer.num_row_groups))
            none += sum(s.null_count for s in counted if s is not None)
    return none


def latest(corpus: Corpus, model: str | None = None) -> Stored | None:
    """What is stored of a model (its name, folder or path), or of the one that was computed last; None where that is nothing."""
    named = {model, str(Path(model).expanduser().absolute())} if model else set()
    return next((s for s in reversed(stored(corpus)) if model is None or named & {s.model, s.side.folder.name}), None)


def embeddings(corpus: Corpus, model: str | None = None) -> Embeddings:
    """The vectors of a model, or of the one that was computed last.

    Raises:
        EmbeddingError: there are none, or they do not fit into memory.

    """
    chosen = latest(corpus, model)
    if chosen is None:
        names = ", ".join(repr(s.model) for s in stored(corpus)) or "none"
        asked = f" by {model!r}" if model else ""
        raise EmbeddingError(
            f"0 of {len(corpus):,} documents are embedded{asked}. Embedded with: {names}. Make them with: explorer embed PATH{f' --model {model}' if model else ''}"
        )
    needed, free = chosen.rows * chosen.dimension * 2, psutil.virtual_memory().available
    if needed > SHARE_OF_MEMORY * free:
        raise EmbeddingError(
            f"{chosen.rows:,} vectors of {chosen.dimension} numbers need {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB of memory are free. "
            "Half of what is free may be used. Open fewer files, embed with a smaller dimension, or use a machine with more memory."
        )
    side = chosen.side
    rows, matrix = _matrix([part for s in corpus.shards for part in _parts(side, s, chosen.dimension)], chosen.dimension)
    return Embeddings(
        rows, matrix, chosen.model, chosen.revision, dict(side.parameters), len(corpus), (f"{side.folder.name}#{side.run}", chosen.rows)
    )


@dataclass(frozen=True)
class _Part:
    """A row group of a sidecar file; its first row in the file is row ``first`` of the corpus, unless the file names its rows."""

    path: Path
    group: int
    rows: int
    first: int
    shard: Shard


def _parts(side: Sidecar, shard: Shard, dimension: int) -> list[_Part]:
    found = []
    for path in _files(side, shard):
        try:
            footer = pq.read_metadata(path)
            kind = footer.schema.to_arrow_schema().field(COLUMN).type
        except FileNotFoundError:
            continue  # merged into another meanwhile
        except (OSError, KeyError, pa.ArrowException) as error:
            raise _damaged(path, error) from error
        if kind.list_size != dimension:
            raise _damaged(path, ValueError(f"vectors of {kind.list_size} numbers, not {dimension}"))
        first = shard.first_row
        for group in range(footer.num_row_groups):
            found.append(_Part(path, group, footer.row_group(group).num_rows, first, shard))
            first += footer.row_group(group).num_rows
    return found


def _matrix(parts: Sequence[_Part], dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the documents that have a vector, ascending, and the vectors; row groups are read side by side into one matrix."""
    ends = np.cumsum([part.rows for part in parts]) if parts else np.zeros(0, np.int64)
    total = int(ends[-1]) if len(ends) else 0
    rows, matrix = np.full(total, -1, np.int64), np.empty((total, dimension), np.float16)

    def fill(part: _Part, end: int) -> None:
        here, values, there = _read(part)
        at = slice(end - part.rows, end)
        rows[at] = np.where(there, here, -1)
        matrix[at] = values

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "vectors") as pool:
        for _ in pool.map(fill, parts, ends.tolist()):
            pass
    kept = np.flatnonzero(rows >= 0)
    if len(kept) == total and (np.diff(rows) > 0).all():
        return rows, matrix
    kept = kept[np.unique(rows[kept], return_index=True)[1]]
    if (np.diff(kept) > 0).all():  # only gaps: close them where the vectors are, without a second matrix
        for start in range(0, len(kept), _BLOCK):
            stop = min(start + _BLOCK, len(kept))
            matrix[start:stop] = matrix[kept[start:stop]]
        return rows[kept], matrix[: len(kept)]
    return rows[kept], matrix[kept]


def _read(part: _Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Document numbers, vectors and whether there is one, of a row group."""
    try:
        file = pq.ParquetFile(part.path)
        table = file.read_row_group(part.group, columns=[c for c in (COLUMN, ROW) if c in file.schema_arrow.names], use_threads=False)
        column = table[COLUMN].combine_chunks()
    except (OSError, pa.ArrowException) as error:
        raise _damaged(part.path, error) from error
    size = column.type.list_size
    flat = column.values.slice(column.offset * size, len(column) * size)
    values = np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(-1, size)
    there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool)
    if ROW in table.column_names:
        return table[ROW].to_numpy() + part.shard.first_row, values, there
    return np.arange(part.first, part.first + len(column)), values, there


def _files(side: Sidecar, shard: Shard) -> list[Path]:
    return [side.shard_path(shard)] if side.finished(shard) else side.pieces(shard)


def _damaged(path: Path, error: Exception) -> EmbeddingError:
    return EmbeddingError(
        f"The vectors in {str(path)!r} cannot be read ({error}). The file is damaged; the other files are whole. Delete it, and run explorer embed again: only its documents are computed."
    )
