"""Find documents by what their text says: row numbers first, texts only of the few that are shown."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from explorer.corpus.database import literal, quote
from explorer.corpus.roles import is_number
from explorer.errors import SelectionError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

Mode = Literal["contains", "regex", "meaning"]
Rows = Sequence[int] | np.ndarray

SECONDS = 60.0  # after which a search is given up


@dataclass(frozen=True)
class Search:
    """What to look for and in which order to show it.

    Attributes:
        text: what the document's text must hold; empty for every document.
        mode: "contains" takes it as it is written, "regex" as a regular expression (RE2: no look-around, no back references),
            "meaning" as a query over embeddings (`explorer.embeddings.meaning`), which asks for no word of the text.
        match_case: whether capitals count.
        where: a further SQL predicate over columns and signals.
        sort: a column or computed signal; None for the corpus' order.
        descending: largest first. Undefined values come last either way.
        ties: a number by which equal numbers are ordered, the lowest first; None for the corpus' order.

    """

    text: str = ""
    mode: Mode = "contains"
    match_case: bool = False
    where: str = ""
    sort: str | None = None
    descending: bool = True
    ties: str | None = None

    def predicate(self, column: str) -> str:
        """The search as SQL over a text column; empty when every document matches."""
        parts = []
        if self.mode == "meaning":
            pass
        elif self.text and self.mode == "regex":
            parts.append(f"regexp_matches({quote(column)}, {literal(self.text)}, '{'c' if self.match_case else 'i'}')")
        elif self.text and self.match_case:
            parts.append(f"contains({quote(column)}, {literal(self.text)})")
        elif self.text:
            parts.append(f"contains(lower({quote(column)}), lower({literal(self.text)}))")
        parts += [f"(\n{self.where}\n)"] if self.where.strip() else []
        return " AND ".join(parts)


@dataclass(frozen=True)
class Found:
    """Documents that match, in the order asked for.

    Attributes:
        rows: their numbers.
        seconds: how long it took.
        scores: float32, the cosine of each with the query, of a search by meaning; else None.
        searched: how many documents had a vector and could have been found.
        model: what made the vectors.

    """

    rows: Rows
    seconds: float
    scores: np.ndarray | None = None
    searched: int = 0
    model: str = ""


def search(corpus: Corpus, what: Search, within: np.ndarray | None = None, *, seconds: float = SECONDS) -> Found:
    """Find documents.

    Args:
        corpus: where to look.
        what: text, predicate and order.
        within: numbers of the documents to look among (a selection's rows); None for all.
        seconds: time after which it is given up.

    Raises:
        SelectionError: the expression or predicate cannot be run, or it takes too long.
        ColumnNotFoundError, SignalError: the column to sort by is not there.

    """
    started = time.monotonic()
    predicate = what.predicate(corpus.roles.text)
    rows: Rows = range(len(corpus)) if within is None else within
    if predicate:
        matching = corpus.database.matching_rows(predicate, seconds=seconds).to_numpy()
        rows = matching if within is None else within[np.isin(within, matching, assume_unique=True)]
    if what.sort and what.ties:
        rows = _sorted(corpus, np.asarray(rows, np.int64), what.ties, False)
    if what.sort:
        rows = _sorted(corpus, np.asarray(rows, np.int64), what.sort, what.descending)
    return Found(rows, time.monotonic() - started)


def sortable(corpus: Corpus) -> list[str]:
    """Columns and computed signals that documents can be sorted by."""
    renamed = corpus.coverage().renamed
    own = [renamed.get(f.name, f.name) for f in corpus.schema if _has_order(f.type) and f.name != corpus.roles.text]
    return list(dict.fromkeys([*corpus.columns.numeric(), *own]))


def hits(text: str, what: Search, most: int = 2000) -> list[tuple[int, int]]:
    """Where a document's text holds what was looked for: (first character, character after the last), at most ``most``.

    A regular expression that Python's engine does not know, or one that could take it very long, marks nothing.
    """
    if not what.text or what.mode == "meaning":
        return []
    if what.mode == "contains":
        flags = 0 if what.match_case else re.IGNORECASE
        found = re.finditer(re.escape(what.text), text, flags)
        return [m.span() for m, _ in zip(found, range(most), strict=False)]
    import polars as pl

    # Rust's engine, like DuckDB's RE2, takes time linear in the text; Python's own can take exponential time. It gives no places,
    # so each match is put between two noncharacters that the text does not hold, and these are found again.
    opening, closing = [c for c in map(chr, range(0xFDD0, 0xFDF0)) if c not in text][:2]
    pattern = what.text if what.match_case else f"(?i){what.text}"
    try:
        marked = pl.Series([text.encode("utf-8", "replace").decode()]).str.replace_all(pattern, f"{opening}${{0}}{closing}").item()
    except pl.exceptions.PolarsError:
        return []
    spans: list[tuple[int, int]] = []
    end = 0
    for seen, piece in enumerate(marked.split(opening)[1:]):
        before = marked.index(opening, end)
        length = piece.index(closing)
        start = before - 2 * seen
        if length:
            spans.append((start, start + length))
        end = before + 1 + length + 1
        if len(spans) >= most:
            break
    return spans


def _sorted(corpus: Corpus, rows: np.ndarray, column: str, descending: bool) -> np.ndarray:
    """Rows by a column's value, undefined last, equal values as they come."""
    if column in corpus.columns.numeric():
        values = corpus.columns.numbers(column)[rows].astype(np.float64)
        return rows[np.argsort(-values if descending else values, kind="stable")]
    _, column = corpus.coverage().meant(column)
    if column not in corpus.schema.names:
        known = ", ".join(sortable(corpus))
        raise SelectionError(f"Documents cannot be sorted by {column!r}. Columns: {known}. Choose one of them.")
    firsts = ", ".join(str(s.first_row) for s in corpus.shards)
    number = f"([{firsts}])[file_index::BIGINT + 1] + file_row_number"
    order = "DESC" if descending else "ASC"
    sql = f"SELECT {number} AS r FROM (SELECT {quote(column)} AS v, file_index, file_row_number FROM {corpus.database.source()}) ORDER BY v {order} NULLS LAST, r"
    everything = corpus.database.frame(sql)["r"].to_numpy()
    if len(rows) == len(everything):
        return everything
    wanted = np.zeros(len(corpus), bool)
    wanted[rows] = True
    return everything[wanted[everything]]


def _has_order(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return (
        is_number(kind)
        or pa.types.is_temporal(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )
