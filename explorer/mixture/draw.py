"""A source as an endless sequence: its kept documents in a seeded order, pass after pass; stages take consecutive pieces of it.

So a document comes again only when every other has come as often, whatever the stages are, and the copies of a stage are the
difference of two places in the sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from explorer.errors import ManifestError
from explorer.mixture.amounts import Taken, Target


@dataclass(frozen=True)
class Draw:
    """The sequence of one source.

    Attributes:
        tokens: float64 [n], tokens of each kept document.
        seeded: gives int64 [n], positions of the kept documents in a seeded random order; called when a place inside a pass is
            first asked for.

    """

    tokens: np.ndarray
    seeded: Callable[[], np.ndarray]

    @cached_property
    def order(self) -> np.ndarray:
        """int64 [n], positions in the order in which every pass takes them."""
        return self.seeded()

    @cached_property
    def running(self) -> np.ndarray:
        """float64 [n], tokens of a pass up to and with each document of `order`."""
        return np.cumsum(self.tokens[self.order])

    @cached_property
    def total(self) -> float:
        """Tokens of one pass."""
        return float(self.tokens.sum())

    def tokens_at(self, place: int) -> float:
        """Tokens of the first ``place`` documents of the sequence."""
        whole, part = divmod(place, len(self.tokens))
        return whole * self.total + (float(self.running[part - 1]) if part else 0.0)

    def nearest(self, tokens: float) -> int:
        """How many documents of the sequence come nearest to ``tokens``; of two that are as near, the fewer."""
        n = len(self.tokens)
        whole = int(tokens / self.total + 1e-9)
        rest, part = max(0.0, tokens - whole * self.total), 0
        if rest > 1e-9 * self.total:
            part = min(int(np.searchsorted(self.running, rest, side="left")), n - 1)
            short = rest - (float(self.running[part - 1]) if part else 0.0)
            part += int(float(self.running[part]) - rest < short)
        return whole * n + part

    def copies(self, place: int) -> np.ndarray:
        """How often each kept document comes among the first ``place`` of the sequence: int32 [n].

        Raises:
            ManifestError: more often than a number of 32 bits holds.

        """
        n = len(self.tokens)
        whole, part = divmod(place, n)
        if whole + (part > 0) > np.iinfo(np.int32).max:
            raise ManifestError(
                f"{whole:,} epochs are too many: a document can be repeated at most {np.iinfo(np.int32).max:,} times. Lower the amount."
            )
        times = np.full(n, whole, np.int32)
        if part:
            times[self.order[:part]] += 1
        return times

    def advance(self, place: int, taken: Taken, target: Target) -> tuple[int, Taken]:
        """The place after a stage that starts at ``place``, and what the stages so far were to take.

        Targets are added up before they are rounded to documents, so that many small stages do not drift. A target in documents is
        met exactly, one in tokens with or without the last document, whichever is nearer.
        """
        if target.documents is not None:
            documents = taken.documents + target.documents
            end = max(place, round(documents))
            return end, Taken(documents, self.tokens_at(end))
        tokens = taken.tokens + target.tokens
        end = max(place, self.nearest(tokens))
        return end, Taken(float(end), tokens)
