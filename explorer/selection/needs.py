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


def needs(corpus: Corpus, filters: Filters) -> Needs:
    """Compare what filters read with what the corpus has.

    Names in the predicate, outside its text literals and comments, and the sampler's strata count when they are registered signals.
    """
    there = {*corpus.schema.names, *corpus.coverage().columns()}
    per = [filters.sample.per] if filters.sample and filters.sample.per else []
    named = [word for word in [*re.findall(r"\w+", _LITERAL.sub(" ", filters.where)), *per] if find_signal(word)]
    read = [*filters.signals, *named]
    lacking = [name for name in dict.fromkeys(read) if name not in there]
    signals = tuple(name for name in lacking if find_signal(name))
    wanted = {s.family for name in signals if (s := find_signal(name))}
    return Needs(tuple(name for name in families() if name in wanted), signals, tuple(name for name in lacking if not find_signal(name)))
