"""Groups of duplicates read back for a page, a command or a notebook: whole columns at a time, never a loop over documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from explorer.duplicates.store import tokens_of
from explorer.errors import SignalError
from explorer.primitives.swar import kernel

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus


class Kind(NamedTuple):
    """The columns of one kind of duplicates, and the family that computes them."""

    family: str
    group: str
    size: str
    keep: str


KINDS = {
    "exact": Kind("exact_duplicates", "exact_group", "exact_group_size", "exact_keep"),
    "normalised": Kind("exact_duplicates", "normalised_group", "normalised_group_size", "normalised_keep"),
    "minhash": Kind("minhash", "minhash_cluster_id", "minhash_cluster_size", "minhash_keep"),
    "semantic": Kind("semantic_duplicates", "semantic_group", "semantic_group_size", "semantic_keep"),
}
SORTS = ("size", "savings", "similarity")
SHOWN = 5  # documents of a group that are named beside it


@dataclass(frozen=True, eq=False)
class Grouping:
    """All groups of two documents or more of one kind.

    Attributes:
        kind: "exact", "normalised", "minhash" or "semantic", with ":alias" where there is one.
        columns: the names of its columns.
        group: int64 [n], -1 where undefined.
        keep: bool [n], False for a document that its group can do without; True where undefined.
        rows: int64 [k], documents in groups, by group, then by number.
        starts: int64 [g + 1]; group i is ``rows[starts[i]:starts[i + 1]]``, and its name is its first.
        pairs_file: compared pairs; None for kinds whose documents are simply the same.

    """

    kind: str
    columns: Kind
    group: np.ndarray
    keep: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    pairs_file: Path | None

    @property
    def names(self) -> np.ndarray:
        """int64 [g], the lowest document number of each group."""
        return self.rows[self.starts[:-1]]

    @cached_property
    def similarity(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest similarity among each group's compared pairs, float64 [g]."""
        g = len(self.starts) - 1
        lowest, highest = np.ones(g), np.ones(g)
        if self.pairs_file is not None and g:
            table = pq.ParquetFile(self.pairs_file).read(columns=["group", "similarity"])
            groups, values = table["group"].to_numpy(), table["similarity"].to_numpy().astype(np.float64)
            lowest[:] = highest[:] = np.nan
            if len(groups):
                first = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
                at = np.searchsorted(self.names, groups[first])
                lowest[at], highest[at] = np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)
        return lowest, highest


_known: WeakKeyDictionary[Corpus, dict[str, tuple[object, Grouping]]] = WeakKeyDictionary()


def grouping(corpus: Corpus, kind: str) -> Grouping:
    """The groups of one kind; kept until the columns are computed again.

    Args:
        corpus: whose.
        kind: one of `KINDS`; ``minhash:mine`` for a family that was computed under an alias.

    Raises:
        SignalError: no such kind, or it has not been computed for the whole corpus.

    """
    base, _, alias = kind.partition(":")
    if base not in KINDS:
        raise SignalError(f"No kind of duplicates is called {kind!r}. Kinds: {', '.join(KINDS)}. Choose one of them.")
    columns = KINDS[base]
    if alias:
        columns = columns._replace(
            family=f"{columns.family}:{alias}", **{f: f"{getattr(columns, f)}_{alias}" for f in ("group", "size", "keep")}
        )
    coverage = corpus.coverage()
    side = coverage.of(columns.group)
    if side is None or coverage.scored_rows(columns.group) < len(corpus):
        done = coverage.scored_rows(columns.group)
        raise SignalError(
            f"Duplicates of kind {kind!r} have not been searched ({done:,} of {len(corpus):,} documents). They need the whole corpus. Search them: explorer score PATH -s {columns.family}"
        )
    stamp = (coverage.stamp_of(columns.group), coverage.stamp_of(columns.keep))
    mine = _known.setdefault(corpus, {})
    if kind not in mine or mine[kind][0] != stamp:
        group = _whole(corpus.columns.numbers(columns.group))
        keep = corpus.columns.numbers(columns.keep) != 0
        compared = side.folder / "pairs.parquet"
        mine[kind] = (stamp, _grouping(kind, columns, group, keep, compared if compared.exists() else None))
    return mine[kind][1]


def _whole(values: np.ndarray) -> np.ndarray:
    """A float column of whole numbers as int64, -1 where NaN."""
    return np.where(np.isnan(values), -1, values).astype(np.int64)


def _grouping(kind: str, columns: Kind, group: np.ndarray, keep: np.ndarray, pairs_file: Path | None) -> Grouping:
    counts = np.bincount(group[group >= 0], minlength=len(group))
    starts = np.concatenate([[0], np.cumsum(counts[counts > 1])]).astype(np.int64)
    place = np.where(counts > 1, np.cumsum(np.where(counts > 1, counts, 0)) - counts, -1)
    rows = np.empty(int(starts[-1]), np.int64)
    _deal(group, place, rows)
    return Grouping(kind, columns, group, keep, rows, starts, pairs_file)


@kernel
def _deal(group, place, rows):  # type: ignore[no-untyped-def]
    """Write each document at its group's next place (a counting sort); -1: in no group of two. ``place`` is used up."""
    for i in range(len(group)):
        g = group[i]
        if g >= 0 and place[g] >= 0:
            rows[place[g]] = i
            place[g] += 1


class Within(NamedTuple):
    """Groups among some of the documents: those that still have two."""

    rows: np.ndarray
    starts: np.ndarray
    which: np.ndarray  # int64 [g'], the place of each group in the whole grouping


def _within(found: Grouping, mask: np.ndarray | None) -> Within:
    if mask is None:
        return Within(found.rows, found.starts, np.arange(len(found.starts) - 1))
    number = np.repeat(np.arange(len(found.starts) - 1), np.diff(found.starts))
    inside = mask[found.rows]
    counts = np.bincount(number[inside], minlength=len(found.starts) - 1)
    which = np.flatnonzero(counts > 1)
    stays = inside & (counts[number] > 1)
    return Within(found.rows[stays], np.concatenate([[0], np.cumsum(counts[which])]).astype(np.int64), which)


def count(corpus: Corpus, kind: str, within: np.ndarray | None = None) -> int:
    """How many groups there are among all documents, or among those of a mask (bool [n])."""
    return len(_within(grouping(corpus, kind), within).which)


def groups(
    corpus: Corpus,
    kind: str,
    limit: int = 50,
    offset: int = 0,
    sort: str = "size",
    *,
    within: np.ndarray | None = None,
    keep: np.ndarray | None = None,
) -> pl.DataFrame:
    """A page of groups.

    Args:
        corpus: whose.
        kind: one of `KINDS`.
        limit: groups at most.
        offset: groups passed over.
        sort: "size" (documents), "savings" (tokens of those that go), "similarity" (lowest compared first: where mistakes are); equals
            by the group's number.
        within: bool [n]; only these documents count, and groups of two of them or more.
        keep: bool [n]; which documents stay, instead of the computed column (`explorer.duplicates.keepers.keepers`).

    Returns:
        A row a group: ``group``, ``documents``, ``kept`` (document number), ``tokens``, ``tokens_saved``, ``lowest`` and ``highest``
        similarity of its compared pairs, ``ids`` (the users' own, of the first five), ``sources`` and how many ``documents`` each has.

    Raises:
        SignalError: an unknown kind or order, or it has not been computed.

    """
    if sort not in SORTS:
        raise SignalError(f"Groups cannot be sorted by {sort!r}. Orders: {', '.join(SORTS)}. Choose one of them.")
    found = grouping(corpus, kind)
    here = _within(found, within)
    rows, starts = here.rows, here.starts[:-1]
    tokens = tokens_of(corpus).values
    stays = (found.keep if keep is None else keep)[rows]
    if len(starts):
        documents = np.diff(here.starts)
        all_tokens = np.add.reduceat(tokens[rows], starts)
        saved = np.add.reduceat(np.where(stays, 0, tokens[rows]), starts)
        kept = np.maximum.reduceat(np.where(stays, rows, -1), starts)
    else:
        documents = kept = np.zeros(0, np.int64)
        all_tokens = saved = np.zeros(0)
    lowest, highest = (side[here.which] for side in found.similarity)
    by: Callable[[], np.ndarray] = {
        "size": lambda: -documents,
        "savings": lambda: -saved,
        "similarity": lambda: np.nan_to_num(lowest, nan=2),
    }[sort]
    order = np.lexsort((found.names[here.which], by()))[offset : offset + limit]
    members = [rows[here.starts[i] : here.starts[i + 1]] for i in order]
    frame = pl.DataFrame(
        {
            "group": found.names[here.which][order],
            "documents": documents[order].astype(np.int64),
            "kept": pl.Series(kept[order].astype(np.int64)),
            "tokens": all_tokens[order],
            "tokens_saved": saved[order],
            "lowest": lowest[order],
            "highest": highest[order],
        }
    )
    return frame.with_columns(
        pl.when(pl.col("kept") >= 0).then("kept"),
        pl.Series("ids", _ids(corpus, [m[:SHOWN] for m in members]), dtype=pl.List(pl.String)),
        pl.Series("sources", _sources(corpus, members), dtype=pl.List(pl.Struct({"source": pl.String, "documents": pl.Int64}))),
    )


def _ids(corpus: Corpus, members: Sequence[np.ndarray]) -> list[list[str]]:
    """The users' own ids of these documents, their numbers where the corpus has no ids."""
    flat = np.concatenate(members) if members else np.zeros(0, np.int64)
    if corpus.roles.id is None or not len(flat):
        return [[str(r) for r in m] for m in members]
    ids = [str(row) if value is None else str(value) for row, value in corpus.documents(flat, [corpus.roles.id]).iter_rows()]
    ends = np.cumsum([len(m) for m in members])
    return [ids[end - len(m) : end] for end, m in zip(ends, members, strict=True)]


def _sources(corpus: Corpus, members: Sequence[np.ndarray]) -> list[list[dict[str, object]]]:
    """The sources of each group and how many documents each has, most first."""
    known = corpus.columns.groups("source", most=1 << 15)
    answer = []
    for rows in members:
        codes, counts = np.unique(known.codes[rows], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        answer.append([{"source": known.labels[codes[i]], "documents": int(counts[i])} for i in order])
    return answer


def members(
    corpus: Corpus, kind: str, group: int, limit: int = 200, *, keep: np.ndarray | None = None, kept_first: bool = False
) -> pl.DataFrame:
    """The documents of a group by number: ``row``, ``id``, ``source``, ``tokens``, ``keep`` and the highest compared ``similarity``.

    Args:
        corpus: whose.
        kind: one of `KINDS`.
        group: its lowest document number.
        limit: documents at most.
        keep: bool [n]; which documents stay, instead of the computed column.
        kept_first: the document that stays comes before the others, also where ``limit`` would leave it out.

    Raises:
        SignalError: there is no such group.

    """
    found = grouping(corpus, kind)
    at = int(np.searchsorted(found.names, group))
    if at >= len(found.names) or found.names[at] != group:
        raise SignalError(
            f"No group of {kind!r} duplicates is called {group!r}. A group is called by its lowest document number, and has two documents or more. List them with: groups(corpus, {kind!r})"
        )
    rows = found.rows[found.starts[at] : found.starts[at + 1]]
    stays = (found.keep if keep is None else keep)[rows]
    listed = (np.argsort(~stays, kind="stable") if kept_first else np.arange(len(rows)))[:limit]
    known = corpus.columns.groups("source", most=1 << 15)
    similar = np.ones(len(rows))
    if found.pairs_file is not None:
        similar[:] = np.nan
        compared = _pairs(found, group)
        for side in ("row_a", "row_b"):
            best = compared.group_by(side).agg(pl.col("similarity").max())
            place = np.searchsorted(rows, best[side].to_numpy())
            there = (place < len(rows)) & (rows[np.minimum(place, len(rows) - 1)] == best[side].to_numpy())
            similar[place[there]] = np.fmax(similar[place[there]], best["similarity"].to_numpy()[there])
    rows = rows[listed]
    return pl.DataFrame(
        {
            "row": rows,
            "id": _ids(corpus, [rows])[0],
            "source": [known.labels[c] for c in known.codes[rows]],
            "tokens": tokens_of(corpus).values[rows],
            "keep": stays[listed],
            "similarity": pl.Series(similar[listed], nan_to_null=True),
        }
    )


def pairs(corpus: Corpus, kind: str, group: int, limit: int = 200) -> pl.DataFrame:
    """The compared pairs of a group, least alike first: ``row_a``, ``id_a``, ``row_b``, ``id_b``, ``similarity``.

    A pair that is not listed was not compared; documents with the same words are compared with the first of them alone. For kinds
    whose documents are the same, the first is paired with each other one, similarity 1.
    """
    found = grouping(corpus, kind)
    if found.pairs_file is None:
        rows = members(corpus, kind, group, limit + 1)["row"].to_numpy()
        frame = pl.DataFrame({"row_a": np.full(len(rows) - 1, rows[0]), "row_b": rows[1:], "similarity": np.ones(len(rows) - 1)})
    else:
        frame = _pairs(found, group).sort("similarity", "row_a", "row_b").head(limit)
    ids = [_ids(corpus, [frame[side].to_numpy()])[0] for side in ("row_a", "row_b")]
    named = frame.with_columns(pl.Series("id_a", ids[0], dtype=pl.String), pl.Series("id_b", ids[1], dtype=pl.String))
    return named.select("row_a", "id_a", "row_b", "id_b", "similarity")


def _pairs(found: Grouping, group: int) -> pl.DataFrame:
    """Row groups whose statistics exclude the group are not read: the file is sorted by it."""
    columns = ["row_a", "row_b", "similarity"]
    table = pq.read_table(found.pairs_file, columns=columns, filters=[("group", "=", int(group))])
    return pl.DataFrame({c: table[c].to_numpy() for c in columns})


def report(corpus: Corpus, kind: str) -> dict[str, Any]:
    """The counts that the method left, for its module's ``explain``; empty where they are gone.

    Raises:
        SignalError: an unknown kind, or it has not been computed.

    """
    side = corpus.coverage().of(grouping(corpus, kind).columns.group)
    try:
        return dict(json.loads((side.folder / "report.json").read_text(encoding="utf-8"))) if side else {}
    except (OSError, ValueError):
        return {}
