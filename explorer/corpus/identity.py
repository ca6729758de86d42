"""A document's stable identity: its id when ids are unique, else a hash of its text; and seeded keys made from it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from explorer.corpus.database import literal, quote
from explorer.errors import SelectionError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

MOST_SEEDS = 3  # of which the keys are kept, 8 bytes a document each


@dataclass(frozen=True)
class Identity:
    """How documents of a corpus are named: by a unique id ``column``, or by the sha256 of their text (``column`` None), and why."""

    column: str | None
    why: str

    @property
    def sql(self) -> str:
        """SQL over the corpus' columns that gives the identity as text."""
        return f"CAST({quote(self.column)} AS VARCHAR)" if self.column else ""


def identity(corpus: Corpus) -> Identity:
    """Choose the identity of a corpus' documents; the id column is read once to see whether it is unique."""
    cached = corpus.__dict__.get("_identity")
    if cached is None:
        cached = corpus.__dict__["_identity"] = _choose(corpus)
    return cached


def _choose(corpus: Corpus) -> Identity:
    column = corpus.roles.id
    if column is None:
        return Identity(None, "there is no id column")
    counts = corpus.database.frame(f"SELECT count(*) AS n, count(DISTINCT {quote(column)}) AS d FROM {corpus.database.source()}")
    n, distinct = counts.row(0)
    if n == distinct:
        return Identity(column, "ids are unique")
    return Identity(None, f"column {column!r} has {distinct:,} different values in {n:,} documents")


def identity_sql(corpus: Corpus) -> str:
    """SQL over the corpus' columns for the identity of each document."""
    return identity(corpus).sql or f"sha256(coalesce({quote(corpus.roles.text)}, ''))"


def keys(corpus: Corpus, seed: int) -> np.ndarray:
    """uint64 [n]: the first 64 bits of sha256("seed:identity"); the same for a document wherever it is stored.

    They are kept for the last few seeds, read-only: hashing reads every id or text of the corpus.

    Raises:
        SelectionError: the identity is the text and a text is not valid UTF-8.

    """
    known: _Known = corpus.__dict__.setdefault("_keys", _Known())
    with known.lock:
        if seed not in known.keys:
            known.keys[seed] = _hashed(corpus, seed)
            known.keys[seed].flags.writeable = False
        known.keys.move_to_end(seed)
        while len(known.keys) > MOST_SEEDS:
            known.keys.popitem(last=False)
        return known.keys[seed]


@dataclass
class _Known:
    """Keys of a corpus by seed; the lock lets one thread hash while others wait for its answer."""

    keys: OrderedDict[int, np.ndarray] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _hashed(corpus: Corpus, seed: int) -> np.ndarray:
    sql = f"SELECT ('0x' || substr(sha256({literal(f'{seed}:')} || {identity_sql(corpus)}), 1, 16))::UBIGINT AS k FROM {corpus.database.source()}"
    try:
        return corpus.database.frame(sql)["k"].to_numpy(allow_copy=True).copy()
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        raise SelectionError(
            f"Documents cannot be named by their text: {said}. Sampling needs unique ids or valid UTF-8. Name a unique id column: id=COLUMN."
        ) from error
