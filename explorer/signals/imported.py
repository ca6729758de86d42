"""A column of somebody else's table as a signal: scores, losses, verdicts or decisions that were made elsewhere, joined by id."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from explorer.corpus.corpus import Corpus
from explorer.corpus.database import literal, quote
from explorer.corpus.identity import identity, identity_sql
from explorer.errors import ColumnNotFoundError, SignalError
from explorer.registry import Columns, CorpusRun, Signal, corpus_family

ROW = "row"
KEYS = ("id", "doc_id", "document_id", "pair_id", "key")


@corpus_family(
    version=1,
    source="a table of the user's",
    signals=[
        Signal(
            "imported", "the table's own", "The column of a table, joined to the documents by their id.", misleads="As good as the table."
        )
    ],
)
def imported(run: CorpusRun, *, table: str = "", column: str = "", on: str = "") -> Columns:
    """A numeric column of a Parquet or CSV file, joined by id; undefined for documents that the table does not have.

    A document is known by its id where ids are unique, else by the sha256 of its text, as in manifests. Give each table a name of its
    own: ``-s imported:decision`` makes the column ``imported_decision``.

    Args:
        run: the corpus.
        table: a Parquet or CSV file.
        column: its column of numbers (or of true and false); may be left out where there is only one beside the ids.
        on: its column of ids; by default the one called like the corpus' id column, or ``id``. "row": its column ``row`` has the documents' numbers in
            the corpus, from 0, as tables of decisions have; for corpora without unique ids.

    Raises:
        SignalError: the table cannot be read, an id stands twice with different values, or it has none of the documents.
        ColumnNotFoundError: it has no such column.

    """
    corpus, path = run.corpus, Path(table).expanduser()
    if not table or not path.is_file():
        raise SignalError(f"{table!r} is no file. Name a Parquet or CSV file with ids and numbers: -p imported.table=FILE")
    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    run.step(0, len(corpus), f"joining {path.name}")
    with duckdb.connect() as connection:
        try:
            source = f"{reader}({literal(str(path))})"
            described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
            names = {name: kind for name, kind, *_ in described}
            key = _key(on, identity(corpus).column, names)
            value = _value(column, key, names)
            frame = connection.sql(
                f"SELECT CAST({quote(key)} AS VARCHAR) AS id, min({quote(value)})::DOUBLE AS low, max({quote(value)})::DOUBLE AS high FROM {source} WHERE {quote(key)} IS NOT NULL GROUP BY 1"
            ).to_arrow_table()
            connection.register("frame", frame)
            twice = connection.sql("SELECT id FROM frame WHERE low <> high LIMIT 1").fetchall()
            if twice:
                raise SignalError(
                    f"{path.name!r} has different values for the id {twice[0][0]!r}. Every id needs one value. Name the table of one run, or take their mean first."
                )
            rows = pa.array(np.arange(len(corpus)))
            by_row = on == ROW and identity(corpus).column != ROW
            ids = rows.cast(pa.string()) if by_row else _identities(corpus)
            documents = pa.table({"row": rows, "id": ids})
            connection.register("documents", documents)
            found = connection.sql("SELECT d.row, f.low AS value FROM documents d JOIN frame f USING (id)").pl()
        except duckdb.Error as error:
            raise SignalError(
                f"{str(path)!r} cannot be read as a table: {str(error).splitlines()[0]}. Parquet and CSV with a header are read."
            ) from error
    if not found.height:
        raise SignalError(
            f"0 of {len(corpus):,} documents are in {path.name!r}: none of its ids in {key!r} is the id of a document ({identity(corpus).column or 'sha256 of the text'}). Name the column of ids: -p imported.on=COLUMN"
        )
    values = np.full(len(corpus), np.nan)
    values[found["row"].to_numpy()] = found["value"].to_numpy()
    return {"imported": values}


def _identities(corpus: Corpus) -> pa.Array:
    return corpus.database.frame(f"SELECT {identity_sql(corpus)} AS id FROM {corpus.database.source()}")["id"].to_arrow()


def _key(on: str, own: str | None, names: dict[str, str]) -> str:
    if on and on not in names:
        raise ColumnNotFoundError.named(on, "the table", names, "Name its column of ids: -p imported.on=COLUMN")
    key = on or next((name for name in (own, *KEYS) if name and name in names), "")
    if not key:
        raise ColumnNotFoundError.named(own or "id", "the table", names, "Name its column of ids: -p imported.on=COLUMN")
    return key


def _value(column: str, key: str, names: dict[str, str]) -> str:
    if column and column not in names:
        raise ColumnNotFoundError.named(column, "the table", names, "Name its column of numbers: -p imported.column=COLUMN")
    numbers = [
        n
        for n, kind in names.items()
        if n not in (key, ROW)
        and kind.split("(")[0]
        in (
            "TINYINT",
            "SMALLINT",
            "INTEGER",
            "BIGINT",
            "HUGEINT",
            "UTINYINT",
            "USMALLINT",
            "UINTEGER",
            "UBIGINT",
            "FLOAT",
            "DOUBLE",
            "DECIMAL",
            "BOOLEAN",
        )
    ]
    if column and column not in numbers:
        raise SignalError(
            f"Column {column!r} of the table is {names[column]}, not a number. Columns of numbers: {', '.join(map(repr, numbers)) or 'none'}. Name one of them."
        )
    if column:
        return column
    if len(numbers) != 1:
        raise SignalError(
            f"The table has {len(numbers)} columns of numbers: {', '.join(map(repr, numbers)) or 'none'}. Name one: -p imported.column=COLUMN"
        )
    return numbers[0]
