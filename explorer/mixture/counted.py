"""The sources of a mixture opened, selected and counted: what is slow, done once, so that amounts can be tried at the speed of a slider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from explorer.corpus.columns import Tokens
from explorer.corpus.corpus import Corpus
from explorer.corpus.identity import Identity, identity
from explorer.corpus.sidecars import Sidecar
from explorer.errors import ManifestError
from explorer.mixture.amounts import Unique
from explorer.mixture.draw import Draw
from explorer.mixture.identities import seeded_order
from explorer.mixture.model import NAME
from explorer.mixture.orders import arrange, parse_order
from explorer.mixture.tokens import count
from explorer.selection.selection import Selection, select

if TYPE_CHECKING:
    from explorer.engine.progress import Progress


@dataclass(frozen=True)
class Counted:
    """The kept documents of one source and their tokens.

    Attributes:
        counted: tokens of all documents of the corpus.
        counter: the computed signal they come from, if they do.
        kept: int64 [n], numbers of the kept documents in the corpus, ascending.
        tokens: float64 [n], of the kept documents.

    """

    name: str
    selection: Selection
    identity: Identity
    counted: Tokens
    counter: Sidecar | None
    kept: np.ndarray
    tokens: np.ndarray
    _draws: dict[int, Draw] = field(default_factory=dict, compare=False, repr=False)  # of the last seed
    _shuffled: dict[int, np.ndarray] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def unique(self) -> Unique:
        """Documents and tokens, each once."""
        return Unique(len(self.kept), float(self.tokens.sum()))

    def draw(self, seed: int) -> Draw:
        """The documents as the endless sequence that stages take from; kept for the last seed."""
        if seed not in self._draws:
            made = Draw(self.tokens, lambda: self._seeded(f"{seed}:pass:"))
            self._draws.clear()
            self._draws[seed] = made
        return self._draws[seed]

    def shuffled(self, seed: int) -> np.ndarray:
        """int64 [n], positions in the random order called ``shuffled``; kept for the last seed."""
        if seed not in self._shuffled:
            made = self._seeded(f"{seed}:order:")
            self._shuffled.clear()
            self._shuffled[seed] = made
        return self._shuffled[seed]

    def _seeded(self, salt: str) -> np.ndarray:
        return seeded_order(self.selection.corpus, self.identity.column, self.kept, salt)

    def places(self, order: str, seed: int, used: np.ndarray) -> np.ndarray:
        """Positions into ``kept`` of the documents that are ``used``, in the order asked for.

        Args:
            order: its name.
            seed: of random orders.
            used: bool [n].

        Returns:
            int64 [m], m the documents used.

        """
        asked = parse_order(order, self.name)
        if asked.how == "natural":
            return np.flatnonzero(used)
        if not asked.column:
            whole = self.shuffled(seed) if asked.how == "shuffled" else np.searchsorted(self.kept, self.selection.rows())
            return whole[used[whole]]
        chosen = np.flatnonzero(used)
        values = self.selection.corpus.columns.numbers(asked.column)[self.kept[chosen]].astype(np.float64)

        def random() -> np.ndarray:
            whole = self.shuffled(seed)
            return np.searchsorted(chosen, whole[used[whole]])

        return chosen[arrange(asked, values, random)]


def count_sources(
    sources: Mapping[str, Selection | Corpus], tokenizer: str | None = None, on_progress: Callable[[Progress], None] | None = None
) -> dict[str, Counted]:
    """Count the kept documents of every source.

    Args:
        sources: by name; a corpus means all its documents.
        tokenizer: whose tokens; None: the corpus' own count, or an estimate. ``words`` counts words.
        on_progress: told how far a count is that was not computed yet; None: a bar where there is a terminal.

    Raises:
        ManifestError: a name that cannot be one, or something that is no source.
        SignalError: the tokenizer cannot be loaded.

    """
    found = {}
    for name, selection in _selections(sources).items():
        tokens, counter = count(selection.corpus, tokenizer, on_progress)
        kept = np.sort(selection.rows()).astype(np.int64)
        found[name] = Counted(name, selection, identity(selection.corpus), tokens, counter, kept, tokens.values[kept])
    return found


def _selections(sources: Mapping[str, Selection | Corpus]) -> dict[str, Selection]:
    if not isinstance(sources, Mapping) or not sources:
        raise ManifestError("No source was given. A mix needs at least one. Give a mapping such as {'web': corpus.select(...)}")
    chosen: dict[str, Selection] = {}
    for name, what in sources.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ManifestError(f"A source is called {name!r}. Names hold letters, digits, '.', '_' and '-'. Rename it.")
        if name.lower() in {n.lower() for n in chosen}:
            raise ManifestError(f"Two sources are called {name!r} but for capitals, which some disks do not tell apart. Rename one.")
        if isinstance(what, Corpus):
            what = select(what)
        if not isinstance(what, Selection):
            raise ManifestError(f"Source {name!r} is a {type(what).__name__}. Sources are selections or corpora. Pass corpus.select(...).")
        chosen[name] = what
    return chosen
