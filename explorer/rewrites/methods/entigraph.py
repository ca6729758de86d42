"""EntiGraph: texts about the entities of a source document, one for each pair and for many triples of them.

How many there can be, how many of them were written, and whether the last one still says anything that the first had not said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from explorer.errors import CorpusError

if TYPE_CHECKING:
    from explorer.rewrites.pairs import Pairs

NEAR_DUPLICATE = 0.2  # a text with at most this share of new 5-grams repeats those before it
_WORD = re.compile(r"[^\W_]+")
_MOST_ENTITIES = 2000  # pairs of more are not counted


class Relations(NamedTuple):
    """How many texts the method can write about n entities."""

    entities: int
    pairs: int
    triples: int


@dataclass(frozen=True)
class Coverage:
    """Which entities of one source its texts are about.

    Attributes:
        entities: entities with a word in them, each once, capitals aside.
        mentioned: those that stand in some text.
        pairs: pairs of entities; None for more than 2,000 entities.
        paired: pairs that stand together in some text.
        texts, words: texts that were looked at, and their words.
        mentions: texts that each entity stands in.

    """

    entities: int
    mentioned: int
    pairs: int | None
    paired: int | None
    texts: int
    words: int
    mentions: Mapping[str, int]

    @property
    def entity_coverage(self) -> float | None:
        """Share of the entities that are mentioned; None without entities."""
        return self.mentioned / self.entities if self.entities else None

    @property
    def pair_coverage(self) -> float | None:
        """Share of the pairs that stand together in some text; None without pairs."""
        return None if not self.pairs or self.paired is None else self.paired / self.pairs


def relations(entities: int) -> Relations:
    """Pairs and triples of so many entities: n (n - 1) / 2 and n (n - 1) (n - 2) / 6.

    Example:
        >>> relations(10)
        Relations(entities=10, pairs=45, triples=120)

    """
    n = entities
    return Relations(n, n * (n - 1) // 2, n * (n - 1) * (n - 2) // 6)


def released(content: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Entities and texts of one file of the released corpus: the list of entities is its first item and no text, as in the authors' code.

    Raises:
        CorpusError: it has another form.

    """
    if not content or not isinstance(content[0], list) or any(isinstance(text, list) for text in content[1:]):
        raise CorpusError(
            "The file is none of EntiGraph's. It must be a list: a list of entities, then texts. Give its content as read from JSON."
        )
    return [e for e in content[0] if isinstance(e, str)], [t for t in content[1:] if isinstance(t, str) and t]


def coverage(entities: Sequence[str], texts: Sequence[str | None]) -> Coverage:
    """Which entities, and which pairs of them, the texts of one source mention.

    An entity is mentioned where its words stand in the text one after the other, capitals, accents' form and signs aside. Names that are
    told another way ("he", "the miller") are not seen, so both shares are lower bounds.
    """
    names = {plain: name for name in reversed(list(entities)) if (plain := _plain(name)).strip()}
    words = 0
    masks: dict[str, int] = dict.fromkeys(names, 0)
    together: set[tuple[str, str]] = set()
    few = len(names) <= _MOST_ENTITIES
    there = [t for t in texts if t is not None]
    for text in there:
        plain = _plain(text)
        words += len(plain.split())
        here = sorted(name for name in names if name in plain)
        for name in here:
            masks[name] += 1
        if few:
            together.update(combinations(here, 2))
    return Coverage(
        len(names),
        sum(1 for n in masks.values() if n),
        relations(len(names)).pairs if few else None,
        len(together) if few else None,
        len(there),
        words,
        {names[plain]: n for plain, n in masks.items()},
    )


def _plain(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.lower()))} "


def coverage_table(pairs: Pairs, entities: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Coverage of every source that has a list of entities.

    Args:
        pairs: the texts with their sources.
        entities: id of a source document -> its entities.

    Returns:
        A row a source: ``id``, ``entities``, ``texts``, ``words``, ``entity_coverage``, ``pair_coverage``, ``texts_per_pair`` (texts over
        the pairs that the method asks for). Sources without a text are there, with no coverage.

    Raises:
        CorpusError: the sources have no id column.

    """
    from explorer.corpus.lookup import Lookup

    column = pairs.on[0] if pairs.on else pairs.originals.roles.id
    if column is None:
        raise CorpusError("The originals have no id column, so no list of entities can be theirs. Name it: open_pairs(…, on=COLUMN).")
    ids = pairs.originals.documents(np.arange(len(pairs.originals)), [column])[column].cast(pl.String).to_list()
    place: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name is not None:
            place.setdefault(name, row)  # of equal ids the first counts, as in the match
    order = np.argsort(pairs.match.rows, kind="stable")
    sorted_rows = pairs.match.rows[order]
    lookup = Lookup(pairs)
    rows = []
    for name, named in entities.items():
        at = place.get(str(name))
        chosen = order[:0] if at is None else order[slice(*np.searchsorted(sorted_rows, [at, at + 1]))]
        texts = [None if t is None else t.decode("utf-8", "replace") for t in lookup.take(chosen).to_pylist()]
        found = coverage(named, texts)
        some = found.texts > 0
        rows.append(
            (
                str(name),
                found.entities,
                found.texts,
                found.words,
                found.entity_coverage if some else None,
                found.pair_coverage if some else None,
                found.texts / found.pairs if found.pairs else None,
            )
        )
    names = ("id", "entities", "texts", "words", "entity_coverage", "pair_coverage", "texts_per_pair")
    kinds = (pl.String, pl.Int64, pl.Int64, pl.Int64, pl.Float64, pl.Float64, pl.Float64)
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def diversity_curve(pairs: Pairs, *, near_duplicate: float = NEAR_DUPLICATE) -> pl.DataFrame:
    """What the k-th text made from a source still adds, over all sources.

    Args:
        pairs: pairs that were scored with ``generations``.
        near_duplicate: a text with at most so large a share of new stretches of words repeats those before it.

    Returns:
        A row a k: ``generation``, ``sources`` that have so many texts, ``novel`` (mean share of new stretches in the k-th), ``low`` and
        ``high`` (5th and 95th percentile), ``near_duplicates`` (share of k-th texts that repeat; null for the first).

    Raises:
        SignalError: ``generations`` has not been computed.

    """
    number, novel = pairs.columns.numbers("generation"), pairs.columns.numbers("novel_gram_frac")
    frame = pl.DataFrame({"generation": number, "novel": novel}).filter(pl.col("novel").is_not_nan() & pl.col("generation").is_not_nan())
    found = frame.group_by(pl.col("generation").cast(pl.Int64)).agg(
        pl.len().cast(pl.Int64).alias("sources"),
        pl.col("novel").cast(pl.Float64).mean(),
        pl.col("novel").cast(pl.Float64).quantile(0.05, "linear").alias("low"),
        pl.col("novel").cast(pl.Float64).quantile(0.95, "linear").alias("high"),
        (pl.col("novel") <= near_duplicate).mean().alias("near_duplicates"),
    )
    first = pl.when(pl.col("generation") > 1).then(pl.col("near_duplicates"))
    return found.with_columns(first.alias("near_duplicates")).sort("generation")
