"""Pairs from end to end, with columns of the rewrites' files: for what is no signal but still needs every pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from explorer.errors import ColumnNotFoundError, CorpusError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus
    from explorer.rewrites.pairs import Pairs

ROWS = 4096


class Piece(NamedTuple):
    """Some pairs that follow one another, from number ``first`` on.

    Attributes:
        first: number of the first pair.
        originals, rewrites: large_binary [n], null where there is none.
        columns: other columns of the rewrites' files, by name.
    """

    first: int
    originals: pa.Array
    rewrites: pa.Array
    columns: Mapping[str, pa.Array]

    def texts(self) -> Iterator[tuple[str | None, str | None]]:
        """(original, rewrite) as text; what is not UTF-8 becomes U+FFFD."""
        return zip(texts_of(self.originals), texts_of(self.rewrites), strict=True)


def texts_of(column: pa.Array) -> list[str | None]:
    """A column of text as Python strings; what is not UTF-8 becomes U+FFFD."""
    return [decoded(v) for v in column.cast(pa.large_binary()).to_pylist()]


def decoded(value: bytes | None) -> str | None:
    """Text of bytes; what is not UTF-8 becomes U+FFFD."""
    return None if value is None else value.decode("utf-8", "replace")


def each_piece(pairs: Pairs, columns: Sequence[str] = (), rows: int = ROWS) -> Iterator[Piece]:
    """Every pair in order, a few thousand at a time.

    Args:
        pairs: the pairs.
        columns: columns of the rewrites' files to read along; null in a file that lacks one.
        rows: pairs in a piece, at most.

    Raises:
        ColumnNotFoundError: no file has one of the columns.
        CorpusError: a row group cannot be read.

    """
    text = pairs.roles.text
    for column in columns:
        need(pairs, column)
    for shard in pairs.shards:
        first = shard.first_row
        there = [c for c in dict.fromkeys((text, *columns)) if c in shard.schema.names]
        try:
            for batch in shard.open().iter_batches(batch_size=rows, columns=there):
                numbers = np.arange(first, first + batch.num_rows)
                found = {name: _plain(batch.column(name)) for name in there}
                empty = pa.nulls(batch.num_rows)
                rewrites = found[text].cast(pa.large_binary()) if text in found else empty.cast(pa.large_binary())
                yield Piece(first, pairs.original_texts(numbers), rewrites, {c: found.get(c, empty) for c in columns})
                first += batch.num_rows
        except (OSError, pa.ArrowException) as error:
            raise CorpusError(
                f"{shard.path!r} cannot be read: {error}. All pairs are needed. Restore the file, or leave it out."
            ) from error


def need(corpus: Corpus, column: str) -> None:
    """Make sure that some file of the corpus has a column.

    Raises:
        ColumnNotFoundError: it is not there.

    """
    if column not in corpus.schema.names:
        raise ColumnNotFoundError.named(column, "the rewrites", corpus.schema.names, "Name the column that holds it.")


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
