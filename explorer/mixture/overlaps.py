"""Documents that several sources of a mixture have: by id, and by the bytes of their text. Such documents are read more often than a source says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from explorer.corpus.reading import each_batch
from explorer.mixture.counted import Counted
from explorer.mixture.identities import kept_ids
from explorer.primitives.batch import Batch


@dataclass(frozen=True)
class Overlap:
    """What two sources have in common.

    Attributes:
        one, two: names of the sources.
        same_id, same_text: documents of ``one`` with an id, or a text, that ``two`` has too; a text that is empty or null is not counted.
        documents, tokens: documents of ``one`` with either.

    """

    one: str
    two: str
    same_id: int
    same_text: int
    documents: int
    tokens: float

    @property
    def message(self) -> str:
        """One line for a reader."""
        if not self.same_text:
            return f"{self.same_id:,} documents of {self.one} have an id that {self.two} has too, with another text ({self.tokens:,.0f} tokens). If they tell the same, they are seen more often than the epochs say."
        ids = f"; {self.same_id:,} have the same id" if not self.same_id == self.same_text == self.documents else ""
        return f"{self.documents:,} documents of {self.one} ({self.tokens:,.0f} tokens) are in {self.two} too: {self.same_text:,} have the same text{ids}. They are seen more often than the epochs say."


def overlaps(counted: Mapping[str, Counted], used: Mapping[str, np.ndarray] | None = None) -> tuple[Overlap, ...]:
    """What every two sources have in common; reads the ids and texts of all of them once, 16 bytes a document in memory. Compared are
    64-bit hashes: among ten million documents of each source one is taken for another's with probability 5e-6.

    Args:
        counted: the sources.
        used: bool [n] a source, kept documents that are looked at; None: all.

    """
    if len(counted) < 2:
        return ()
    ids, texts = {}, {}
    for name, source in counted.items():
        ids[name], texts[name] = _ids(source), _texts(source)
    return tuple(_compared(counted, used, ids, texts))


def _compared(
    counted: Mapping[str, Counted],
    used: Mapping[str, np.ndarray] | None,
    ids: Mapping[str, np.ndarray],
    texts: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Iterator[Overlap]:
    for one, two in itertools.combinations(counted, 2):
        a = np.ones(len(ids[one]), bool) if used is None else used[one]
        b = np.ones(len(ids[two]), bool) if used is None else used[two]
        (text_a, there_a), (text_b, there_b) = texts[one], texts[two]
        by_id = a & np.isin(ids[one], ids[two][b])
        by_text = a & there_a & np.isin(text_a, text_b[b & there_b])
        either = by_id | by_text
        if either.any():
            yield Overlap(one, two, int(by_id.sum()), int(by_text.sum()), int(either.sum()), float(counted[one].tokens[either].sum()))


def _ids(source: Counted) -> np.ndarray:
    corpus = source.selection.corpus
    found = np.empty(len(source.kept), np.uint64)
    for part in kept_ids(corpus.shards, id_column=source.identity.column, text=corpus.roles.text, kept=source.kept):
        found[part.start : part.start + len(part.ids)] = _hashed(Batch(part.ids.cast(pa.large_string())))
    return found


def _texts(source: Counted) -> tuple[np.ndarray, np.ndarray]:
    """Hash of every kept document's text, and whether it has one."""
    corpus = source.selection.corpus
    found, there = np.empty(len(source.kept), np.uint64), np.zeros(len(source.kept), bool)
    only = np.zeros(len(corpus), bool)
    only[source.kept] = True

    def work(first: int, batch: Batch) -> None:
        a, b = np.searchsorted(source.kept, [first, first + len(batch)])
        rows = source.kept[a:b] - first
        found[a:b] = _hashed(batch)[rows]
        there[a:b] = (np.diff(batch.offsets) > 0)[rows]

    each_batch(corpus, work, only=only)
    return found, there


def _hashed(batch: Batch) -> np.ndarray:
    from explorer.duplicates.exact import hashes

    return hashes(batch).high
