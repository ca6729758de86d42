"""DuckDB over the corpus: trusted queries of ours, and a locked room for SQL that a user typed.

DuckDB 2 executes lazily and a cursor shared by threads gives wrong answers, so every call here takes a cursor of its own.
User SQL never runs as a statement: it is the argument of ``query(?)``, which accepts a single SELECT only, on a connection that
can reach no file but the corpus and the sidecars and whose settings are locked.
"""

from __future__ import annotations

import difflib
import json
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.corpus.sidecars import ROW, Coverage, Sidecar
from explorer.errors import ExplorerError, SelectionError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

SAFE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}


# What reads the clock although DuckDB's catalog calls it constant or says nothing: names without brackets, macros, and age(t).
CLOCK_WORDS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
CLOCK_FUNCTIONS = frozenset({"ago", "current_localtime", "current_localtimestamp", "pg_conf_load_time", "pg_postmaster_start_time"})


@dataclass(frozen=True)
class QueryResult:
    """Rows of a user's query, and whether more were left behind."""

    rows: pl.DataFrame
    truncated: bool
    limit: int


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as an SQL string."""
    return "'" + value.replace("'", "''") + "'"


def file_literal(path: str) -> str:
    """A file's name as an SQL string that DuckDB does not take for a pattern: a[1].parquet is one file, not a1.parquet."""
    return literal(path if "://" in path else re.sub(r"([\[*?])", r"[\1]", path))


def read_parquet(paths: Iterable[str], *options: str) -> str:
    """``read_parquet(...)`` over exactly these files; folder names such as lang=en do not become columns."""
    files = ", ".join(map(file_literal, paths))
    return f"read_parquet([{files}], {', '.join(['hive_partitioning = false', *options])})"


def shorten(text: str, most: int = 80) -> str:
    """A user's text for a message: one line, cut in the middle of nowhere if need be."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def source_sql(shards: Sequence[Shard], *, union_by_name: bool) -> str:
    """``read_parquet(...)`` over the shards, in their order."""
    return read_parquet((s.path for s in shards), f"union_by_name = {str(union_by_name).lower()}")


def corpus_sql(shards: Sequence[Shard], coverage: Coverage, signals: Iterable[str]) -> str:
    """SELECT of every column of the corpus, ``_row`` (its number in the corpus) and the signals asked for, row-aligned.

    Only shards whose sidecar is finished or partly there contribute values; other rows are null.
    """
    union = len({s.schema for s in shards}) > 1
    firsts = ", ".join(str(s.first_row) for s in shards)
    names = {name for s in shards for name in s.schema.names}
    row = "_row" if "_row" not in names else "_row_"
    other = ", ".join(f"{quote(name)} AS {quote(other)}" for name, other in coverage.renamed.items())
    sql = f"SELECT c.* EXCLUDE (file_index, file_row_number){f' RENAME ({other})' if other else ''}, ([{firsts}])[c.file_index::BIGINT + 1] + c.file_row_number AS {row}"
    joins = ""
    wanted: dict[Path, list[str]] = {}
    for name in signals:
        side = coverage.of(name)
        if side is not None:
            wanted.setdefault(side.folder, []).append(name)
    for n, (folder, columns) in enumerate(wanted.items()):
        side = next(s for s in coverage.sidecars if s.folder == folder)
        joins += (
            f" LEFT JOIN ({_values_sql(side, shards, columns)}) s{n} ON s{n}.r = ([{firsts}])[c.file_index::BIGINT + 1] + c.file_row_number"
        )
        sql += "".join(f", s{n}.{quote(c)}" for c in columns)
    return f"{sql} FROM (SELECT *, file_index, file_row_number FROM {source_sql(shards, union_by_name=union)}) c{joins}"


def _values_sql(side: Sidecar, shards: Sequence[Shard], columns: Sequence[str]) -> str:
    """SELECT of a family's columns and ``r``, the document's number in the corpus."""
    inner = ", ".join(quote(c) for c in columns)
    aligned, loose = _aligned(side, shards), _loose(side, shards)
    selects = []
    for files, row in ((aligned, "file_row_number"), (loose, quote(ROW))):
        if files:
            starts = ", ".join(str(first) for _, first in files)
            selects.append(f"SELECT {inner}, ([{starts}])[file_index::BIGINT + 1] + {row} AS r FROM {read_parquet(p for p, _ in files)}")
    if not loose:
        return selects[0]
    # two processes may have computed a document at the same moment
    values = ", ".join(f"any_value({quote(c)}) AS {quote(c)}" for c in columns)
    return f"SELECT {values}, r FROM ({' UNION ALL '.join(selects)}) GROUP BY r"


def _files(side: Sidecar, shards: Sequence[Shard]) -> list[str]:
    """Every file that holds a family's columns."""
    return [path for path, _ in (*_aligned(side, shards), *_loose(side, shards))]


def _loose(side: Sidecar, shards: Sequence[Shard]) -> list[tuple[str, int]]:
    """Pieces, which say themselves what row a value belongs to, and the corpus row that their shard begins with."""
    return [(str(path), s.first_row) for s in shards for path in side.pieces(s)]


def _aligned(side: Sidecar, shards: Sequence[Shard]) -> list[tuple[str, int]]:
    """Files that hold a family's columns row by row, finished shards or parts, and the corpus row that each begins with."""
    pieces = []
    for shard in shards:
        if side.finished(shard):
            pieces.append((str(side.shard_path(shard)), shard.first_row))
        else:
            first = shard.first_row
            for i, group in enumerate(shard.row_groups):
                if side.part_path(shard, i).exists():
                    pieces.append((str(side.part_path(shard, i)), first))
                first += group.rows
    return pieces


class Database:
    """One in-memory DuckDB for a corpus."""

    def __init__(self, corpus: Corpus, threads: int | None = None) -> None:
        self._corpus = corpus
        config = dict(SAFE) | ({"threads": str(threads)} if threads else {})
        self._connection = duckdb.connect(config=config)
        for scheme in {s.path.split("://", 1)[0] for s in corpus.shards if s.remote}:
            import fsspec

            self._connection.register_filesystem(fsspec.filesystem(scheme))

    def frame(self, sql: str, parameters: Sequence[object] | dict[str, object] | None = None) -> pl.DataFrame:
        """Run a query of ours (never a user's) and return all its rows."""
        cursor = self._connection.cursor()
        try:
            return cursor.sql(sql, params=parameters).pl() if parameters else cursor.sql(sql).pl()
        finally:
            cursor.close()

    def write(self, sql: str, path: str) -> None:
        """Run a query of ours and write its rows to a Parquet file, batch by batch, in their order."""
        cursor = self._connection.cursor()
        try:
            rows = cursor.sql(sql).to_arrow_reader(100_000)
            with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
                for batch in rows:
                    writer.write_batch(batch)
        finally:
            cursor.close()

    def source(self) -> str:
        """``read_parquet(...)`` over the corpus."""
        shards = self._corpus.shards
        return source_sql(shards, union_by_name=len({s.schema for s in shards}) > 1)

    def ask(self, sql: str, *, limit: int = 1000, seconds: float = 30.0) -> QueryResult:
        """Run one SELECT that a user typed, over the view ``corpus``.

        Args:
            sql: a single SELECT; tables are ``corpus`` alone.
            limit: rows returned at most; ``truncated`` says whether there were more.
            seconds: time after which the query is stopped.

        Raises:
            SelectionError: the text is no single SELECT, names what is not there, reaches outside the corpus, or takes too long.

        """
        text = sql.strip().rstrip(";").strip()
        if not text:
            raise SelectionError("The query is empty. Write one SELECT over the table corpus, such as: SELECT count(*) FROM corpus")
        rows = self._locked(text, f"SELECT * FROM query($q) LIMIT {int(limit) + 1}", seconds)
        return QueryResult(rows.head(limit), rows.height > limit, limit)

    def matching_rows(self, predicate: str, *, seconds: float = 120.0) -> pl.Series:
        """Numbers of the documents for which a user's predicate is true (null counts as false), ascending."""
        wrapper = "SELECT CAST(matched AS BIGINT) AS matched FROM query($q) ORDER BY matched"
        return self._locked(self._where(predicate), wrapper, seconds)["matched"]

    def check(self, predicate: str) -> None:
        """Refuse a predicate that could not be run; no document is read.

        Raises:
            SelectionError: it is no single steady expression, or names what is not there.
        """
        self._locked(self._where(predicate), "SELECT matched FROM query($q) LIMIT 0", 10.0)

    def _where(self, predicate: str) -> str:
        """The SELECT of a predicate's documents, once the predicate is known to be one expression that gives the same each time."""
        if not predicate.strip():
            raise SelectionError(
                "The predicate is empty. Write what must be true of a kept document, such as: language = 'en' AND length(text) > 200"
            )
        predicate = predicate.strip().rstrip(";").strip()
        try:
            duckdb.SQLExpression(predicate)  # one whole expression: no bracket, comment or semicolon in it can leave the WHERE
        except duckdb.Error as error:
            said = str(error).strip().split("\n")[0]
            raise SelectionError(
                f"The predicate {shorten(predicate)!r} is not one SQL expression: {said}. Write what must be true of a kept document, such as: language = 'en'"
            ) from error
        unsteady = _unsteady(predicate, [*self._corpus.schema.names, *self._corpus.coverage().columns()])
        if unsteady:
            raise SelectionError(
                f"The predicate {shorten(predicate)!r} uses {unsteady}, which answers otherwise each time. A selection must keep the same documents whenever it is made. "
                "Write dates out, such as DATE '2024-01-31', and draw at random with a seeded sampler: sample: {method: nested_subset, fraction: 0.1, seed: 0}"
            )
        row = "_row" if "_row" not in self._corpus.schema.names else "_row_"
        return f"SELECT {row} AS matched FROM corpus WHERE (\n{predicate}\n)"

    def _locked(self, text: str, wrapper: str, seconds: float) -> pl.DataFrame:
        corpus = self._corpus
        if any(s.remote for s in corpus.shards):
            raise SelectionError(
                "SQL on remote files is not available: the locked connection reaches local files only. Copy the shards you look at to this machine."
            )
        coverage = corpus.coverage()
        signals = _mentioned(text, coverage.columns())
        view = corpus_sql(corpus.shards, coverage, signals)
        connection = duckdb.connect(config=dict(SAFE) | {"max_execution_time": str(int(seconds * 1000)), "memory_limit": "4GB"})
        timer = threading.Timer(seconds + 2, connection.interrupt)
        try:
            sides = {side.folder: side for name in signals if (side := coverage.of(name)) is not None}
            files = [s.path for s in corpus.shards] + [path for side in sides.values() for path in _files(side, corpus.shards)]
            # The files themselves, not their folders: what else lies there stays unseen. A name is checked as it is written in the view too.
            allowed = dict.fromkeys([*map(literal, files), *map(file_literal, files)])
            connection.execute(f"SET allowed_paths = [{', '.join(allowed)}]")
            connection.execute("SET max_temp_directory_size = '4GB'")
            # Parquet statistics leave NaN out; with them DuckDB proves x <= 5 for a NaN and keeps it.
            connection.execute("SET disabled_optimizers = 'statistics_propagation'")
            connection.execute(f"CREATE TEMP VIEW corpus AS {view}")
            connection.execute("SET python_enable_replacements = false")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            timer.start()
            return connection.sql(wrapper, params={"q": text}).pl()
        except duckdb.Error as error:
            raise _explain(error, corpus, seconds) from error
        finally:
            timer.cancel()
            connection.close()


def _unsteady(predicate: str, columns: Iterable[str]) -> str:
    """What makes a predicate answer otherwise when it is asked again: a volatile function, the clock, an unseeded sample; "" for nothing."""
    with duckdb.connect(config=dict(SAFE)) as connection:
        ((said,),) = connection.execute("SELECT json_serialize_sql($q)", {"q": f"SELECT 1 FROM corpus WHERE (\n{predicate}\n)"}).fetchall()
    try:
        tree = json.loads(said)
    except RecursionError as error:
        raise SelectionError(
            f"The predicate {shorten(predicate)!r} is nested too deeply to be checked. A few hundred levels are allowed. Split it, or score a signal and filter on it."
        ) from error
    if tree.get("error"):
        raise SelectionError(
            f"The predicate {shorten(predicate)!r} cannot run: {shorten(tree.get('error_message', ''), 300)}. Write what must be true of a kept document, such as: language = 'en'"
        )
    there = {name.lower() for name in columns}
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            function = str(node.get("function_name") or "").lower()
            if function in _volatile() or (function == "age" and len(node.get("arguments") or ()) == 1):
                return f"{function}()"
            names = list(node.get("column_names") or ())
            if len(names) == 1 and (word := names[0].lower()) in CLOCK_WORDS and word not in there:
                return word
            if isinstance(sample := node.get("sample"), dict) and not sample.get("repeatable"):
                return "a sample without a seed"
        nodes += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return ""


@cache
def _volatile() -> frozenset[str]:
    """Functions whose answer depends on more than their arguments, by DuckDB's own catalog."""
    with duckdb.connect(config=dict(SAFE)) as connection:
        named = connection.execute("SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'").fetchall()
    return CLOCK_FUNCTIONS | {name for (name,) in named}


def _mentioned(text: str, signals: Sequence[str]) -> list[str]:
    """Signals a query can need: those it names, or all when it selects every column (count(*) does not)."""
    if re.search(r"(?<!\()\s*\*(?!\s*\))", text) and re.search(r"(^|[\s,.])\*", text):
        return list(signals)
    words = set(re.findall(r"\w+", text.lower()))
    return [s for s in signals if s.lower() in words]


def _explain(error: duckdb.Error, corpus: Corpus, seconds: float) -> ExplorerError:
    said = str(error).strip().split("\n\n")[0].replace("\n", " ")
    if "invalid unicode" in said.lower() or "invalid string encoding" in said.lower():
        return SelectionError(
            f"DuckDB refuses a text of this corpus because it is not valid UTF-8: {said}. Filter by signals instead of SQL, or re-encode that file."
        )
    if isinstance(error, duckdb.InterruptException):
        return SelectionError(f"The query was stopped after {seconds:g} s. Add a WHERE or a LIMIT, or score a signal and filter on it.")
    if isinstance(error, duckdb.PermissionException) or "disabled" in said or "permission" in said.lower():
        return SelectionError(f"The query reaches outside the corpus: {said}. Only the table corpus can be read here.")
    if "regex" in said.lower() or said.startswith("Invalid Input Error: missing"):
        return SelectionError(
            f"The regular expression cannot be read: {said.removeprefix('Invalid Input Error: ')}. It is RE2: close its brackets, and write \\ before a character that is meant as it is."
        )
    names = [*corpus.schema.names, *corpus.coverage().columns()]
    missing = re.search(r'"([^"]+)" not found', said)
    if missing:
        near = difflib.get_close_matches(missing[1], names, 3)
        hint = f"Did you mean {', '.join(near)}?" if near else f"The files' columns: {', '.join(corpus.schema.names)}."
        return SelectionError(f"There is no column {missing[1]!r}. {hint} Signals count as columns once they are computed.")
    return SelectionError(
        f"The query cannot run: {said}. Write SQL over the table corpus; the files' columns: {', '.join(corpus.schema.names)}."
    )
