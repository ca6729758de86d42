"""Which document of a group stays: the first, the longest, the newest, the best by a score, or the most wanted source's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from explorer.errors import SignalError
from explorer.primitives.swar import kernel

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

RULES = {
    "first": "the lowest document number",
    "last": "the highest document number",
    "longest": "most bytes of text",
    "newest": "latest date",
    "oldest": "earliest date",
    "highest:SIGNAL": "highest value of a signal or number column",
    "lowest:SIGNAL": "lowest value of a signal or number column",
    "source:A,B": "the first of these sources that the group has, then any other",
}


def keepers(group: np.ndarray, worth: np.ndarray | None = None) -> np.ndarray:
    """One document a group: the one of highest worth, of equals the lowest number.

    Args:
        group: int64 [n], the same number below n for documents of one group, -1 where in none.
        worth: float64 [n], NaN below everything; None keeps the lowest number.

    Returns:
        bool [n]; True also for a document alone in its group, False where ``group`` is -1.

    """
    keep = group >= 0
    if len(group):
        values = np.zeros(0) if worth is None else np.asarray(worth, np.float64)
        _best(group, values, np.full(len(group), -1, np.int64), keep)
    return keep


@kernel
def _best(group, worth, best, keep):  # type: ignore[no-untyped-def]
    """Clear ``keep`` where another of the group is better; ``best`` holds -1 and becomes each group's best so far. One pass."""
    for i in range(len(group)):
        g = group[i]
        if g < 0:
            continue
        known = best[g]
        if known < 0:
            best[g] = i
        # numbers rise, so an equal comes too late; a NaN is better than nothing
        elif len(worth) and (worth[i] > worth[known] or (np.isnan(worth[known]) and not np.isnan(worth[i]))):
            keep[known] = False
            best[g] = i
        else:
            keep[i] = False


def check(corpus: Corpus, rule: str) -> None:
    """Refuse a keeper rule that cannot be applied, before anything long begins.

    Raises:
        SignalError, ColumnNotFoundError: as `worth`.

    """
    if rule != "longest":  # the one rule that reads texts, and that needs nothing
        worth(corpus, rule)


def worth(corpus: Corpus, rule: str) -> np.ndarray | None:
    """What a keeper rule goes by, float64 [n], higher stays; NaN where it has no answer. None for "first".

    Args:
        corpus: whose documents.
        rule: one of `RULES`: "first", "last", "longest", "newest", "oldest", "highest:gopher_n_words", "source:wikipedia,books".

    Raises:
        SignalError: no such rule, or it needs a role or a value that the corpus lacks.
        ColumnNotFoundError: the rule names a column that is not there.

    """
    name, _, argument = rule.partition(":")
    if rule == "first":
        return None
    if rule == "last":
        return np.arange(len(corpus), dtype=np.float64)
    if rule == "longest":
        from explorer.duplicates.store import text_bytes

        return text_bytes(corpus).astype(np.float64)
    if rule in ("newest", "oldest"):
        return _dates(corpus, rule) * (1 if rule == "newest" else -1)
    if name in ("highest", "lowest") and argument:
        values = corpus.columns.numbers(argument).astype(np.float64)
        return values if name == "highest" else -values
    if name == "source" and argument:
        return _sources(corpus, [s.strip() for s in argument.split(",")])
    raise SignalError(f"No keeper rule is called {rule!r}. Rules: {', '.join(RULES)}. Choose one of them.")


def _dates(corpus: Corpus, rule: str) -> np.ndarray:
    """Dates as numbers that order as they do; text is compared as it is written, which orders ISO dates."""
    column = corpus.roles.date
    if column is None:
        raise SignalError(
            f"The keeper rule {rule!r} needs a date, and no column of the corpus is one. Columns: {', '.join(corpus.schema.names)}. Name it when opening the corpus (date=COLUMN), or choose another rule."
        )
    pieces = [
        pl.Series("date", shard.open().read(columns=[column])[column])
        if column in shard.schema.names
        else pl.Series("date", [None] * shard.rows)
        for shard in corpus.shards
    ]
    frame = pl.concat([piece.to_frame() for piece in pieces], how="vertical_relaxed")
    dates = frame["date"]
    if dates.dtype == pl.String:
        dates = dates.str.strip_chars()
        dates = dates.set(~dates.str.contains(r"^\d{4}").fill_null(False), None).rank("dense")
    elif dates.dtype.is_temporal():
        dates = dates.to_physical()
    return dates.cast(pl.Float64).to_numpy()


def _sources(corpus: Corpus, wanted: list[str]) -> np.ndarray:
    groups = corpus.columns.groups("source", most=1 << 15)
    missing = [name for name in wanted if name not in groups.labels]
    if missing:
        known = ", ".join(map(repr, groups.labels[:12]))
        raise SignalError(f"No document comes from source {missing[0]!r}. Sources: {known}. Name some of them, the most wanted first.")
    rank = np.full(len(groups.labels), -len(wanted), np.float64)
    for place, name in enumerate(wanted):
        rank[groups.labels.index(name)] = -place
    return rank[groups.codes]
