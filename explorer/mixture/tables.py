"""Columns of numbers from a table that a user brings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from explorer.errors import ColumnNotFoundError, MixtureError


def read_table(path: Path) -> pl.DataFrame:
    """A table of numbers; a column of a CSV file is what all of its rows can be read as."""
    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema_length=None, comment_prefix="#")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise MixtureError(
            f"{path} cannot be read as a table: {str(error).partition(chr(10))[0]}. A .parquet file or a CSV file with a header is read."
        ) from error


def numbers(table: pl.DataFrame, columns: Iterable[str], what: str, next_step: str) -> pl.DataFrame:
    """The columns as float64; what is undefined (null or NaN) is null.

    Args:
        table: the user's.
        columns: names, in the order wanted.
        what: what the table is called in a message.
        next_step: what to do when a column is not there.

    Raises:
        ColumnNotFoundError: a column is not there.
        MixtureError: a column holds no numbers.

    """
    names = list(columns)
    for name in names:
        if name not in table.columns:
            raise ColumnNotFoundError.named(name, what, table.columns, next_step)
        if not (table[name].dtype.is_numeric() or table[name].dtype == pl.Null):
            raise MixtureError(f"Column {name!r} of {what} holds {table[name].dtype}. It must hold numbers. Convert it or name another.")
    return table.select(pl.col(names).cast(pl.Float64).fill_nan(None))
