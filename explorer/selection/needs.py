"""Which signals a selection reads that have not been computed, and the families that would compute them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from explorer.corpus.corpus import Corpus
from explorer.registry import families, find_signal
from explorer.selection.filters import Filters

_LITERAL = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Needs:
    """What is lacking before filters can be applied to a corpus.

    Attributes:
        families: to compute, each once, in registry order.
        signals: registered signals that are not computed for any document.
        unknown: names that are neither signals nor columns of the corpus; only the user can supply them.
    """

    families: tuple[str, ...]
    signals: tuple[str, ...]
    unknown: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.signals or self.unknown)


def signals_read(corpus: Corpus, filters: Filters) -> tuple[str, ...]:
    """Columns that thresholds and sampler read, and the signals, computed or registered, that the predicate and the strata name.

    Text literals and comments of the predicate do not count; its names do in any case, as in SQL, unless a column of the corpus is meant.
    """
    computed, own = set(corpus.coverage().columns()), {name.lower() for name in corpus.schema.names}
    words = re.findall(r"\w+", _LITERAL.sub(" ", filters.where))
    if filters.sample and filters.sample.per:
        by_signal = filters.sample.per == "language" and corpus.roles.language is None
        words.append("lang" if by_signal else filters.sample.per)
    named = [word if word in computed or find_signal(word) else word.lower() for word in words]
    named = [name for name in named if name in computed or (find_signal(name) and name.lower() not in own)]
    return tuple(dict.fromkeys([*filters.signals, *named]))


def needs(corpus: Corpus, filters: Filters) -> Needs:
    """Compare what filters read with what the corpus has."""
    there = {*corpus.schema.names, *corpus.coverage().columns()}
    lacking = [name for name in signals_read(corpus, filters) if name not in there]
    # how a family under an alias was set up is not known from its name
    known = {name: s.family for name in lacking if (s := find_signal(name)) and ":" not in s.family}
    unknown = tuple(name for name in lacking if name not in known)
    return Needs(tuple(name for name in families() if name in known.values()), tuple(known), unknown)
