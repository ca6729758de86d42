"""Thresholds tuned live: columns coded once, every curve of every cut refreshed in one pass when a cut was moved.

A page asks for `tuned` after each change. What it costs is one pass over bytes; columns are coded again only when a bound is set
that is no edge yet (a typed value), and then only that column.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from explorer.corpus.columns import Groups, Tokens
from explorer.corpus.corpus import Corpus
from explorer.selection.curves import NULL, Curves, Histogram, choose_edges, code_range, first_reason, histogram, leave_one_out, quantise
from explorer.selection.recipes import recipes
from explorer.selection.threshold import Threshold


@dataclass(frozen=True)
class PublishedCut:
    """A bound that a shipped recipe sets on a signal."""

    value: float
    side: Literal["minimum", "maximum"]
    recipe: str
    source: str


@dataclass(frozen=True)
class Tuned:
    """Everything the numbers of a filters page are made of, for one set of thresholds.

    Attributes:
        thresholds: in order; a disabled one takes part with everything passing.
        edges: per threshold, the values its handle can rest at are among these.
        curves: per threshold, what each position keeps with the others fixed.
        first_documents, first_tokens: [thresholds + 1, groups], dropped first by each; the last row is what is kept.
        groups, tokens: what the curves are counted by.
    """

    thresholds: tuple[Threshold, ...]
    edges: tuple[np.ndarray, ...]
    curves: Curves
    first_documents: np.ndarray
    first_tokens: np.ndarray
    groups: Groups
    tokens: Tokens


@dataclass
class _Coded:
    stamp: tuple[int, str]
    keep: frozenset[float]
    edges: np.ndarray
    codes: np.ndarray


class Tuning:
    """Coded columns of one corpus; share one between sessions, it is thread-safe."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._coded: dict[str, _Coded] = {}
        self._histograms: dict[tuple[object, ...], Histogram] = {}
        self._admitted: tuple[tuple[object, ...], np.ndarray] | None = None
        self._lock = threading.RLock()

    def tuned(
        self, thresholds: Sequence[Threshold], *, where: str = "", by: str = "source", disabled: frozenset[int] = frozenset()
    ) -> Tuned:
        """Curves, funnel and totals for these thresholds.

        Args:
            thresholds: in the order in which the first failing one is a document's reason.
            where: SQL predicate; documents it excludes are in no figure.
            by: groups of the counts: "source", "language", "year" or a column.
            disabled: positions of thresholds that take no part for now.

        Raises:
            SignalError, ColumnNotFoundError: a threshold reads what is not there.
        """
        corpus = self._corpus
        groups, tokens = corpus.columns.groups(by), corpus.columns.tokens()
        with self._lock:
            coded = [self._code(t) for t in thresholds]
            base = self._base(where)
            ranges = [
                (0, NULL - 1) if i in disabled else code_range(c.edges, t.minimum, t.maximum, exclusive=t.exclusive)
                for i, (t, c) in enumerate(zip(thresholds, coded, strict=True))
            ]
            passing = [i in disabled or t.nulls == "keep" for i, t in enumerate(thresholds)]
            context = (by, where, tokens.label, corpus.coverage().stamp())
            plain = [self._histogram(t.signal, c, groups, tokens, base, context) for t, c in zip(thresholds, coded, strict=True)]
        n = len(groups.labels)
        codes = [c.codes for c in coded]
        low, high = [r[0] for r in ranges], [r[1] for r in ranges]
        curves = leave_one_out(codes, low, high, groups.codes, tokens.values, n, base=base, null_passes=passing, unconditioned=plain)
        first_documents, first_tokens = first_reason(codes, low, high, groups.codes, tokens.values, n, base=base, null_passes=passing)
        return Tuned(tuple(thresholds), tuple(c.edges for c in coded), curves, first_documents, first_tokens, groups, tokens)

    def _code(self, threshold: Threshold) -> _Coded:
        values = self._corpus.columns.numbers(threshold.signal)
        side = self._corpus.coverage().of(threshold.signal)
        stamp = (self._corpus.coverage().scored_rows(threshold.signal), str(side.folder) if side else "")
        bounds = {b for b in (threshold.minimum, threshold.maximum) if b is not None and np.isfinite(b)}
        wanted = bounds | {p.value for p in published(threshold.signal)}
        known = self._coded.get(threshold.signal)
        if known is None or known.stamp != stamp or not bounds <= known.keep:
            if known is not None and known.stamp == stamp and len(known.keep) < 60:
                wanted |= known.keep  # cuts set before stay exact positions
            edges = choose_edges(values, sorted(wanted))
            known = self._coded[threshold.signal] = _Coded(stamp, frozenset(wanted), edges, quantise(values, edges))
        return known

    def _base(self, where: str) -> np.ndarray | None:
        if not where:
            return None
        key = (where, self._corpus.coverage().stamp())
        if self._admitted is None or self._admitted[0] != key:
            admitted = np.zeros(len(self._corpus), bool)
            admitted[self._corpus.database.matching_rows(where).to_numpy()] = True
            self._admitted = (key, admitted)
        return self._admitted[1]

    def _histogram(
        self, signal: str, coded: _Coded, groups: Groups, tokens: Tokens, base: np.ndarray | None, context: tuple[object, ...]
    ) -> Histogram:
        key = (signal, coded.stamp, coded.keep, context)
        if key not in self._histograms:
            if len(self._histograms) > 200:
                self._histograms.clear()
            self._histograms[key] = histogram(coded.codes, groups.codes, tokens.values, len(groups.labels), base=base)
        return self._histograms[key]


@cache
def published(signal: str) -> tuple[PublishedCut, ...]:
    """Bounds that shipped recipes set on a signal, each value once a side."""
    found: dict[tuple[float, str], PublishedCut] = {}
    for name, recipe in recipes.items():
        for threshold in recipe.filters:
            if threshold.signal != signal:
                continue
            bounds: list[tuple[Literal["minimum", "maximum"], float | None]] = [
                ("minimum", threshold.minimum),
                ("maximum", threshold.maximum),
            ]
            for side, value in bounds:
                if value is not None:
                    known = found.get((value, side))
                    label = f"{known.recipe}, {name}" if known else name
                    found[value, side] = PublishedCut(value, side, label, known.source if known else threshold.source or recipe.source)
    return tuple(found.values())
