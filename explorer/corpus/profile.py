"""Figures that need a look at the documents: problems no footer knows of, and lengths; exact where cheap, sampled beyond.

Up to `EXACT_TEXT` bytes of text every document is read. Beyond that, whole row groups are drawn by seed until `SAMPLE_TEXT` bytes
are covered, and every count comes with the 95 % interval that the differences between the drawn row groups give.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from explorer.corpus.columns import EPOCH_END
from explorer.corpus.database import literal, quote
from explorer.corpus.files import Shard
from explorer.corpus.roles import is_text
from explorer.errors import CorpusError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

EXACT_TEXT = 2 * 1024**3  # uncompressed bytes
SAMPLE_TEXT = 256 * 1024**2
BINS_A_DECADE = 8
LONGEST = 10  # decades of bytes in the histogram


@dataclass(frozen=True)
class Estimate:
    """A count of documents; ``low`` and ``high`` bound it with 95 % confidence and equal it when it is exact."""

    count: float
    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether every document was looked at."""
        return self.low == self.high


@dataclass(frozen=True)
class Lengths:
    """Documents by length in UTF-8 bytes.

    Attributes:
        edges: [bins + 1], ascending, eight a decade from 1 byte; a document of 0 bytes is in no bin.
        documents: [bins], scaled to the whole corpus when sampled.
        median: bytes, None without a document that has text.
        longest: bytes, of what was read.

    """

    edges: np.ndarray
    documents: np.ndarray
    median: float | None
    longest: int


@dataclass(frozen=True)
class Profile:
    """What was found in the texts.

    Attributes:
        rows, read_rows: documents of the corpus, and those that were read.
        null, empty, blank: documents without text, with text of no character, and with nothing but white space.
        lengths: the distribution of lengths.

    """

    rows: int
    read_rows: int
    null: Estimate
    empty: Estimate
    blank: Estimate
    lengths: Lengths

    @property
    def sampled(self) -> bool:
        """Whether the figures come from a part of the corpus."""
        return self.read_rows < self.rows


@dataclass(frozen=True)
class Repeats:
    """Values that occur more than once.

    Attributes:
        column: what was compared.
        values: how many values occur more than once.
        documents: documents beyond the first of each value (what removing duplicates would drop).

    """

    column: str
    values: int
    documents: int


def profile(corpus: Corpus, *, exact_text: int = EXACT_TEXT, sample_text: int = SAMPLE_TEXT, seed: int = 0) -> Profile:
    """Read the texts, or a seeded draw of row groups when there are more than ``exact_text`` bytes of them.

    Args:
        corpus: what to read.
        exact_text: uncompressed bytes of text up to which everything is read.
        sample_text: bytes read otherwise.
        seed: of the draw.

    Raises:
        CorpusError: a row group cannot be read.

    """
    groups = [(shard, i) for shard in corpus.shards for i in range(len(shard.row_groups)) if shard.row_groups[i].rows]
    chosen = groups
    if corpus.text_size > exact_text:
        order = random.Random(seed).sample(range(len(groups)), len(groups))
        sizes = np.cumsum([groups[i][0].row_groups[groups[i][1]].sizes.get(corpus.roles.text, 0) for i in order])
        chosen = [groups[i] for i in order[: max(2, int(np.searchsorted(sizes, sample_text)) + 1)]]
    edges = np.logspace(0, LONGEST, LONGEST * BINS_A_DECADE + 1)
    counts, bins, spread, longest = [], np.zeros(len(edges) - 1), [], 0
    for shard, i in chosen:
        lengths, row = _look(shard, i, corpus.roles.text)
        counts.append(row)
        if len(lengths):
            bins += np.histogram(lengths, edges)[0]
            longest = max(longest, int(lengths.max()))
            spread.append(lengths)
    rows = np.array([s.row_groups[i].rows for s, i in chosen], float)
    total, read = len(corpus), int(rows.sum())
    found = np.array(counts, float).reshape(-1, 3)
    null, empty, blank = (_estimate(found[:, j], rows, total) for j in range(3))
    median = float(np.median(np.concatenate(spread))) if spread else None
    return Profile(total, read, null, empty, blank, Lengths(edges, bins * (total / read if read else 0), median, longest))


@dataclass(frozen=True)
class Breakdown:
    """Documents and tokens of each group, largest first (years in order, "other" and "(none)" last).

    Attributes:
        by: what was grouped by.
        column: the column or signal that it came from; None when files' folders stand in for a source.
        labels: names of the groups.
        documents: int64 [groups].
        tokens: float64 [groups], None when nobody has counted them and they were not asked for.
        estimated: whether tokens are bytes / 4.

    """

    by: str
    column: str | None
    labels: tuple[str, ...]
    documents: np.ndarray
    tokens: np.ndarray | None
    estimated: bool


def breakdown(corpus: Corpus, by: str, *, most: int = 12, with_tokens: bool = True) -> Breakdown | None:
    """Documents and tokens by "source", "language", "year" or a column; None when the corpus has nothing to group by."""
    column = group_column(corpus, by)
    if column is None and by != "source":
        return None
    groups = corpus.columns.groups(by, most)
    n = len(groups.labels)
    documents = np.bincount(groups.codes, minlength=n).astype(np.int64)
    tokens = corpus.columns.tokens() if with_tokens else None
    weights = np.bincount(groups.codes, weights=tokens.values, minlength=n) if tokens else None
    last = {groups.rest: 1, "(none)": 2}
    order = sorted(range(n), key=lambda i: (last.get(groups.labels[i], 0), groups.labels[i] if by == "year" else "", -documents[i]))
    return Breakdown(
        by,
        column,
        tuple(groups.labels[i] for i in order),
        documents[order],
        weights[order] if weights is not None else None,
        bool(tokens and tokens.estimated),
    )


def group_column(corpus: Corpus, by: str) -> str | None:
    """The column or computed signal behind a grouping, None when there is none."""
    if by not in ("source", "language", "year"):
        return corpus.coverage().meant(by)[1]
    return _role(corpus, by) or ("lang" if by == "language" and corpus.coverage().of("lang") else None)


def _role(corpus: Corpus, by: str) -> str | None:
    return {"source": corpus.roles.source, "language": corpus.roles.language, "year": corpus.roles.date}.get(by)


def group_sql(corpus: Corpus, by: str, label: str) -> str | None:
    """A predicate for the documents of one group; None where none can be said ("other", or folders instead of a source)."""
    column = group_column(corpus, by)
    if column is None or label in ("other", "(all other)"):
        return None
    coverage = corpus.coverage()
    role = _role(corpus, by)  # a column of the files, even one that is called like a signal
    of_files = role is not None or coverage.meant(column if by == "language" else by)[0] is None
    kind = corpus.schema.field(column).type if of_files else pa.string()
    name = quote(coverage.renamed.get(column, column) if of_files else column)
    if by == "year":
        name = _year_sql(name, kind)
        return f"{name} IS NULL" if label == "(none)" else f"{name} = {int(label)}"
    if label == "(none)":
        return f"{name} IS NULL"
    return f"{name} = {literal(label)}" if of_files and is_text(kind) else f"CAST({name} AS VARCHAR) = {literal(label)}"


def _year_sql(name: str, kind: pa.DataType) -> str:
    """The year of a date as `Columns.groups` takes it."""
    if pa.types.is_temporal(kind):
        return f"year({name})"
    text = f"CAST({name} AS VARCHAR)"
    number = f"CAST({name} AS BIGINT)" if pa.types.is_integer(kind) else f"TRY_CAST(regexp_extract({text}, '^\\d{{5,18}}$') AS BIGINT)"
    scales = ((EPOCH_END, "* 1000000"), (EPOCH_END * 10**3, "* 1000"), (EPOCH_END * 10**6, "* 1"))
    since = " ".join(f"WHEN {number} < {end} THEN year(make_timestamp({number} {scale}))" for end, scale in scales)
    year = (
        f"CASE WHEN {number} BETWEEN 10000000 AND 99999999 AND {number} // 100 % 100 BETWEEN 1 AND 12 AND {number} % 100 BETWEEN 1 AND 31 THEN {number} // 10000 "
        f"WHEN {number} <= 99999999 THEN {number} {since} ELSE year(make_timestamp({number} // 1000)) END"
    )
    year = f"(SELECT y FROM (SELECT {year} AS y) WHERE y BETWEEN 1900 AND 2100)"
    if pa.types.is_integer(kind):
        return year
    return f"coalesce(TRY_CAST(regexp_extract({text}, '^(\\d{{4}})($|\\D|\\d{{4}}\\D)', 1) AS BIGINT), {year})"


def repeats(corpus: Corpus, what: Literal["id", "text"]) -> Repeats | None:
    """Ids, or whole texts, that occur more than once; None when the corpus has no id column. Null and empty texts do not count.

    Texts are compared by 64-bit hashes: among ten million different ones, a false repeat has a chance of 3 in a million.
    """
    column = corpus.roles.id if what == "id" else corpus.roles.text
    if column is None:
        return None
    name = quote(column)
    value, there = (name, f"{name} IS NOT NULL") if what == "id" else (f"hash({name})", f"{name} IS NOT NULL AND {name} <> ''")
    counted = f"SELECT count(*) AS n FROM (SELECT {value} AS v FROM {corpus.database.source()} WHERE {there}) GROUP BY v HAVING n > 1"
    values, documents = corpus.database.frame(f"SELECT count(*), coalesce(sum(n - 1), 0)::BIGINT FROM ({counted})").row(0)
    return Repeats(column, values, documents)


def repeated_rows(corpus: Corpus, what: Literal["id", "text"], limit: int = 1000) -> pl.Series:
    """Numbers of documents whose id or text another document has too, equal ones together, most frequent first."""
    column = corpus.roles.id if what == "id" else corpus.roles.text
    if column is None:
        return pl.Series("_row", [], pl.Int64)
    name = quote(column)
    value, there = (name, f"{name} IS NOT NULL") if what == "id" else (f"hash({name})", f"{name} IS NOT NULL AND {name} <> ''")
    firsts = ", ".join(str(s.first_row) for s in corpus.shards)
    sql = (
        f"SELECT ([{firsts}])[file_index::BIGINT + 1] + file_row_number AS _row, count(*) OVER (PARTITION BY {value}) AS n, {value} AS v "
        f"FROM (SELECT {name}, file_index, file_row_number FROM {corpus.database.source()}) WHERE {there} QUALIFY n > 1 ORDER BY n DESC, v, _row LIMIT {int(limit)}"
    )
    return corpus.database.frame(sql)["_row"]


def _look(shard: Shard, group: int, text: str) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Lengths in bytes of the texts that have any, and how many are null, empty and blank."""
    rows = shard.row_groups[group].rows
    if text not in shard.schema.names:
        return np.zeros(0, np.int64), (rows, 0, 0)
    lengths, null, blank = [], 0, 0
    file = shard.open()
    try:
        for batch in file.iter_batches(batch_size=8192, row_groups=[group], columns=[text]):
            column = batch.column(0)
            column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            null += column.null_count
            column = column.drop_null()
            n_bytes = pc.binary_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
            lengths.append(n_bytes)
            blank += _count_blank(column.filter(pa.array(n_bytes > 0)))
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"Row group {group} of {shard.path!r} cannot be read: {error}. Restore the file, or leave it out.") from error
    found = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
    return found[found > 0], (null, int((found == 0).sum()), blank)


def _count_blank(column: pa.Array) -> int:
    """How many texts hold nothing but white space, as Unicode defines it."""
    try:
        return int(pc.sum(pc.utf8_is_space(column)).as_py() or 0)
    except pa.ArrowInvalid:  # not valid UTF-8 somewhere in this batch
        return sum(not value.decode("utf-8", "replace").strip() for value in column.cast(pa.large_binary()).to_pylist())


def _estimate(found: np.ndarray, rows: np.ndarray, total: int) -> Estimate:
    """Scale counts of drawn row groups to the corpus: ratio estimator, interval from the groups' differences (Cochran 1977, 6.3)."""
    read = rows.sum()
    if read >= total or not read:
        return Estimate(float(found.sum()), float(found.sum()), float(found.sum()))
    ratio = found.sum() / read
    n = len(rows)
    rest = found - ratio * rows
    variance = (rest**2).sum() / (n - 1) / n / (rows.mean() ** 2) * (1 - read / total) if n > 1 else float("nan")
    # no drawn document has it: "rule of three", 3 / n bounds the share with 95 % confidence
    half = 1.96 * math.sqrt(variance) if found.sum() else 3 / read
    low = max(float(found.sum()), total * (ratio - half)) if found.sum() else 0.0
    return Estimate(float(ratio * total), float(low), float(min(total, total * (ratio + half))))
