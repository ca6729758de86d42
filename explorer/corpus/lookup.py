"""Texts of any documents in any order, from row groups that are decoded once and kept while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from explorer.corpus.files import Shard
from explorer.corpus.reading import read_row_group

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

ROOM = 512 * 1024**2  # bytes of text kept, all threads together


class Lookup:
    """Documents of a corpus by number. Threads may share one: a row group that two of them ask for is decoded once."""

    def __init__(self, corpus: Corpus, room: int = ROOM) -> None:
        self._corpus, self._room = corpus, room
        groups = [(shard, g) for shard in corpus.shards for g in range(len(shard.row_groups))]
        self._groups: list[tuple[Shard, int]] = groups
        self._starts = np.cumsum([0, *(shard.row_groups[g].rows for shard, g in groups)])
        self._kept: OrderedDict[int, pa.Array] = OrderedDict()
        self._loading: dict[int, threading.Lock] = {}
        self._lock = threading.Lock()

    def take(self, rows: np.ndarray) -> pa.Array:
        """The texts of these documents as large_binary [n], in the order asked for; null for -1 and where the text is null.

        Args:
            rows: int64 [n], numbers of documents, -1 for none.

        Raises:
            CorpusError: a row group cannot be read.

        """
        places = np.full(len(rows), -1, np.int64)
        parts: list[pa.Array] = []
        at = 0
        there = np.flatnonzero(rows >= 0)
        group = np.searchsorted(self._starts, rows[there], side="right") - 1
        for g in np.unique(group).tolist():
            here = there[group == g]
            inner, where = np.unique(rows[here] - self._starts[g], return_inverse=True)
            parts.append(self._texts(g).take(pa.array(inner)))
            places[here] = at + where
            at += len(inner)
        texts = pa.concat_arrays(parts) if parts else pa.nulls(0, pa.large_binary())
        return texts.take(pa.array(np.maximum(places, 0), mask=places < 0))

    def _texts(self, g: int) -> pa.Array:
        """The text column of a row group."""
        with self._lock:
            if g in self._kept:
                self._kept.move_to_end(g)
                return self._kept[g]
            loading = self._loading.setdefault(g, threading.Lock())
        with loading:
            with self._lock:
                if g in self._kept:
                    return self._kept[g]
            column = pa.concat_arrays([batch.array for batch in read_row_group(self._corpus, *self._groups[g])])
            with self._lock:
                self._kept[g] = column
                self._loading.pop(g, None)
                while len(self._kept) > 1 and sum(a.nbytes for a in self._kept.values()) > self._room:
                    self._kept.popitem(last=False)
        return column
