"""Which original each rewrite is of: one join of two id columns, kept in the workspace, with a report of what did not match."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.database import quote
from explorer.corpus.workspace import write_atomically
from explorer.errors import CorpusError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus
    from explorer.rewrites.pairs import Pairs

EXAMPLES = 5


@dataclass(frozen=True)
class MatchReport:
    """What was joined, and what was not.

    Attributes:
        pairs: rewrites in all.
        matched: those with an original.
        without_id: rewrites whose id is null.
        unknown: rewrites whose id no original has; ``examples`` are some of those ids.
        originals: documents among the originals.
        rewritten: those with at least one rewrite.
        most: rewrites of the document that has most.
        repeated: originals left aside because another one before them has the same id.

    """

    pairs: int
    matched: int
    without_id: int
    unknown: int
    originals: int
    rewritten: int
    most: int
    repeated: int
    examples: tuple[str, ...]

    def said(self) -> str:
        """The report in a sentence."""
        parts = [f"{self.matched:,} of {self.pairs:,} rewrites have an original"]
        if self.without_id:
            parts.append(f"{self.without_id:,} have no id")
        if self.unknown:
            parts.append(
                f"{self.unknown:,} have an id that no original has ({', '.join(map(repr, self.examples))}{', …' if self.unknown > len(self.examples) else ''})"
            )
        if self.repeated:
            parts.append(f"{self.repeated:,} originals repeat an id; the first of each was taken")
        parts.append(f"{self.originals - self.rewritten:,} of {self.originals:,} originals were not rewritten")
        if self.most > 1:
            parts.append(f"up to {self.most:,} rewrites an original")
        elif self.repeated:
            parts.append("originals that repeat an id, each rewritten once at most, look like rewrites: are both sides exchanged?")
        return "; ".join(parts)


@dataclass(frozen=True, eq=False)
class Match:
    """Original of each rewrite, int64 [n]: its number among the originals, -1 for none; and what is to be said about it."""

    rows: np.ndarray
    report: MatchReport


def load_match(pairs: Pairs) -> Match:
    """The match of some pairs: as kept in the workspace, else made and kept there.

    Raises:
        CorpusError: an id column cannot be read.

    """
    if pairs.on is None:
        n = len(pairs)
        return Match(np.arange(n), MatchReport(n, n, 0, 0, n, n, min(n, 1), 0, ()))
    folder = pairs.workspace.path / "pairs"
    path = folder / f"{pairs.fingerprint}.parquet"
    try:
        table = pq.read_table(path, partitioning=None)
        said = json.loads(table.schema.metadata[b"explorer.report"])
        return Match(table["original"].to_numpy(), MatchReport(**{**said, "examples": tuple(said["examples"])}))
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        pass  # not there, or not whole: it is made anew
    match = join(pairs.originals, pairs, pairs.on)
    pairs.workspace.folder("pairs")
    said = json.dumps(asdict(match.report), sort_keys=True)
    table = pa.table({"original": match.rows}).replace_schema_metadata({"explorer.report": said})
    write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))
    return match


def join(originals: Corpus, rewrites: Corpus, on: tuple[str, str]) -> Match:
    """Join rewrites to originals by id; ids are compared as text, and of equal ones among the originals the first counts.

    Args:
        originals: the documents.
        rewrites: what became of them.
        on: the id's column in each.

    Raises:
        CorpusError: an id column cannot be read.

    """
    left, right = _ids(originals, on[0]), _ids(rewrites, on[1])
    try:
        with duckdb.connect() as connection:
            connection.register("originals", left)
            connection.register("rewrites", right)
            connection.execute(
                "CREATE TEMP TABLE first AS SELECT id, min(row) AS row, count(*) AS n FROM originals WHERE id IS NOT NULL GROUP BY id"
            )
            found = connection.sql("SELECT r.row AS rewrite, f.row AS original FROM rewrites r JOIN first f USING (id)").pl()
            counted = connection.sql("SELECT coalesce(sum(n - 1), 0)::BIGINT FROM first").fetchall()[0][0]
            unknown = connection.sql(
                f"SELECT id FROM rewrites r ANTI JOIN first USING (id) WHERE id IS NOT NULL ORDER BY row LIMIT {EXAMPLES}"
            ).fetchall()
    except duckdb.Error as error:
        raise CorpusError(
            f"The ids cannot be joined: {str(error).splitlines()[0]}. Name other columns: on=(ORIGINALS' COLUMN, REWRITES' COLUMN), by command --on ORIGINALS=REWRITES."
        ) from error
    n = len(rewrites)
    rows = np.full(n, -1, np.int64)
    rows[found["rewrite"].to_numpy()] = found["original"].to_numpy()
    matched = int((rows >= 0).sum())
    without = right["id"].null_count
    times = np.bincount(rows[rows >= 0], minlength=max(1, len(originals)))
    report = MatchReport(
        n,
        matched,
        without,
        n - matched - without,
        len(originals),
        int((times > 0).sum()),
        int(times.max()),
        int(counted),
        tuple(str(i) for (i,) in unknown),
    )
    return Match(rows, report)


def _ids(corpus: Corpus, column: str) -> pa.Table:
    """``row`` and ``id`` (as text) of every document."""
    frame = corpus.database.frame(f"SELECT CAST({quote(column)} AS VARCHAR) AS id FROM {corpus.database.source()}")
    return pa.table({"row": pa.array(np.arange(frame.height)), "id": frame["id"].to_arrow()})
