"""Vectors that were computed, read back: all of a corpus as one matrix of half precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.corpus.sidecars import ROW, Sidecar, present
from explorer.errors import EmbeddingError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus
    from explorer.embeddings.encoders import Encoder

COLUMN = "embedding"
SHARE_OF_MEMORY = 0.5  # of what is free: more vectors than that are refused, not swapped


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
        """The model, to embed a query with."""
        from explorer.embeddings.encoders import load

        return load(**self.parameters)

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
            dimension = pq.read_schema(files[0]).field(COLUMN).type.list_size
            found.append(Stored(side.parameters["model"], side.parameters["revision"], dimension, rows, len(corpus), side))
    return found


def embeddings(corpus: Corpus, model: str | None = None) -> Embeddings:
    """The vectors of a model, or of the one that was computed last.

    Raises:
        EmbeddingError: there are none, or they do not fit into memory.

    """
    there = stored(corpus)
    fitting = [s for s in there if model is None or model in (s.model, s.side.folder.name)]
    if not fitting:
        names = ", ".join(repr(s.model) for s in there) or "none"
        asked = f" by {model!r}" if model else ""
        raise EmbeddingError(
            f"0 of {len(corpus):,} documents are embedded{asked}. Embedded with: {names}. Make them with: explorer embed PATH{f' --model {model}' if model else ''}"
        )
    chosen = fitting[-1]
    needed, free = chosen.rows * chosen.dimension * 2, psutil.virtual_memory().available
    if needed > SHARE_OF_MEMORY * free:
        raise EmbeddingError(
            f"{chosen.rows:,} vectors of {chosen.dimension} numbers need {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB of memory are free. "
            "Half of what is free may be used. Open fewer files, or a machine with more memory."
        )
    pieces = [(rows + s.first_row, values) for s in corpus.shards for rows, values in _read(chosen.side, s)]
    rows = np.concatenate([r for r, _ in pieces]) if pieces else np.zeros(0, np.int64)
    matrix = np.concatenate([v for _, v in pieces]) if pieces else np.zeros((0, chosen.dimension), np.float16)
    del pieces
    order = np.unique(rows, return_index=True)[1]
    if len(order) != len(rows) or (np.diff(order) < 0).any():
        rows, matrix = rows[order], matrix[order]
    side = chosen.side
    return Embeddings(
        rows, matrix, chosen.model, chosen.revision, dict(side.parameters), len(corpus), (f"{side.folder.name}#{side.run}", chosen.rows)
    )


def _files(side: Sidecar, shard: Shard) -> list[Path]:
    return [side.shard_path(shard)] if side.finished(shard) else side.pieces(shard)


def _read(side: Sidecar, shard: Shard) -> list[tuple[np.ndarray, np.ndarray]]:
    """(rows inside the shard, vectors) of every file; documents without a vector are left out."""
    found = []
    for path in _files(side, shard):
        file = pq.ParquetFile(path)
        table = file.read(columns=[c for c in (COLUMN, ROW) if c in file.schema_arrow.names])
        rows = table[ROW].to_numpy() if ROW in table.column_names else np.arange(table.num_rows)
        for column, at in zip(table[COLUMN].chunks, np.cumsum([0, *(len(c) for c in table[COLUMN].chunks)]), strict=False):
            there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
            size = column.type.list_size
            flat = column.values.slice(column.offset * size, len(column) * size)
            values = np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(-1, size)
            found.append((rows[at : at + len(column)][there].astype(np.int64), values[there] if not there.all() else values))
    return found
