"""What becomes of each document after the audit: its original, its rewrite, both, or neither; written so that mixtures can use it.

A rewrite is accepted where a person accepted it, rejected where a person rejected it, and else judged by a selection of pairs. The
decision on a document follows from its accepted rewrites. Both are one table, which `explorer.signals.imported` makes a signal of the
originals and of the rewrites: what a mixture keeps of each side is then a threshold like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from explorer.corpus.corpus import Corpus
from explorer.corpus.database import quote
from explorer.corpus.workspace import write_atomically
from explorer.errors import CorpusError
from explorer.rewrites.pairs import Pairs

Accepted = Literal["rewrite", "both"]
Rejected = Literal["original", "drop"]
DECISIONS = ("original", "rewrite", "both", "drop")


@dataclass(frozen=True)
class Decisions:
    """What was decided.

    Attributes:
        documents: a row an original: ``row, id`` (null where there is no id column), ``decision, rewrites`` (how many are accepted),
            ``reason``.
        pairs: a row a rewrite: ``row, id, original`` (its id, null for none), ``accepted`` (0 or 1), ``reason``.
        counts: documents by decision, in the order of `DECISIONS`.
    """

    documents: pl.DataFrame
    pairs: pl.DataFrame

    @property
    def counts(self) -> dict[str, int]:
        """Originals by decision."""
        found = dict(self.documents["decision"].value_counts().iter_rows())
        return {decision: int(found.get(decision, 0)) for decision in DECISIONS}

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Write ``originals.parquet`` and ``rewrites.parquet``, each with ``row, id, keep, decision, reason``.

        They are tables to score with ``imported``: ``on="row"`` where ids are not unique, or are missing.
        """
        paths = Path(folder) / "originals.parquet", Path(folder) / "rewrites.parquet"
        for path, frame, side in zip(paths, (self.documents, self.pairs), ("original", "rewrite"), strict=True):
            table = _side(frame, side)
            write_atomically(path, table.write_parquet)
        return paths


def decide(
    pairs: Pairs,
    passing: np.ndarray,
    verdicts: pl.DataFrame | None = None,
    *,
    accepted: Accepted = "rewrite",
    rejected: Rejected = "original",
    best: str | None = None,
) -> Decisions:
    """Decide for every original and every rewrite.

    Args:
        pairs: the pairs.
        passing: bool [n], which rewrites a selection keeps; a person's verdict goes before it.
        verdicts: columns ``row`` and ``label``: "accept" and "reject" count, anything else does not.
        accepted: what a document with an accepted rewrite becomes: the rewrite alone, or both.
        rejected: what one without becomes: its original, or nothing.
        best: a signal; of several accepted rewrites of a document only the one with its highest value stays.

    Raises:
        CorpusError: ``passing`` is not of these pairs.

    """
    if len(passing) != len(pairs):
        raise CorpusError(f"The selection is of {len(passing):,} pairs, these are {len(pairs):,}. Select among these pairs.")
    keep, reason = np.asarray(passing, bool).copy(), np.where(passing, "passes the filters", "fails the filters").astype(object)
    if verdicts is not None and verdicts.height:
        for label, value, words in (("accept", True, "accepted by a person"), ("reject", False, "rejected by a person")):
            rows = verdicts.filter(pl.col("label") == label)["row"].to_numpy()
            keep[rows], reason[rows] = value, words
    match = pairs.match.rows
    alone = match < 0
    keep[alone], reason[alone] = False, "has no original"
    if best is not None:
        _only_best(pairs.columns.numbers(best).astype(np.float64), match, keep, reason, best)
    times = np.bincount(match[keep], minlength=len(pairs.originals))
    rewritten = np.bincount(match[~alone], minlength=len(pairs.originals)) > 0
    decision = np.where(times > 0, accepted, rejected).astype(object)
    why = np.where(times > 0, "a rewrite is accepted", np.where(rewritten, "no rewrite is accepted", "was not rewritten")).astype(object)
    theirs, ours = _ids(pairs.originals), _ids(pairs)
    documents = pl.DataFrame(
        {"row": np.arange(len(theirs)), "id": theirs, "decision": decision.tolist(), "rewrites": times, "reason": why.tolist()}
    )
    of = pl.select(pl.when(pl.Series(~alone)).then(theirs.gather(np.maximum(match, 0)))).to_series()
    table = pl.DataFrame(
        {"row": np.arange(len(ours)), "id": ours, "original": of, "accepted": keep.astype(np.int8), "reason": reason.tolist()}
    )
    return Decisions(documents, table)


def _only_best(values: np.ndarray, match: np.ndarray, keep: np.ndarray, reason: np.ndarray, by: str) -> None:
    """Leave of each original's accepted rewrites the one with the highest value, the first of equals; undefined is lowest."""
    rows = np.flatnonzero(keep)
    order = rows[np.lexsort((rows, -np.nan_to_num(values[rows], nan=-np.inf), match[rows]))]
    later = order[1:][match[order[1:]] == match[order[:-1]]]
    keep[later], reason[later] = False, f"another rewrite has a higher {by}"


def _ids(corpus: Corpus) -> pl.Series:
    if corpus.roles.id is None:
        return pl.Series("id", [None], pl.String).new_from_index(0, len(corpus))
    return corpus.database.frame(f"SELECT CAST({quote(corpus.roles.id)} AS VARCHAR) AS id FROM {corpus.database.source()}")["id"]


def _side(frame: pl.DataFrame, side: str) -> pl.DataFrame:
    keep = pl.col("accepted") if side == "rewrite" else pl.col("decision").is_in(["original", "both"]).cast(pl.Int8)
    decision = pl.when(pl.col("accepted") == 1).then(pl.lit("keep")).otherwise(pl.lit("drop")) if side == "rewrite" else pl.col("decision")
    return frame.select("row", "id", keep=keep, decision=decision, reason=pl.col("reason"))
