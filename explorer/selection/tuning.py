"""Thresholds tuned live: columns coded once, every curve of every cut refreshed in one pass when a cut was moved.

A page asks for `tuned` after each change. What it costs is one pass over bytes; a column is coded again only when a bound is set
that is no edge yet (a typed value), and what was asked for before is answered from memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from explorer.corpus.columns import Groups, Tokens
from explorer.corpus.corpus import Corpus
from explorer.corpus.sidecars import Coverage
from explorer.errors import SelectionError
from explorer.selection.curves import NULL, Curves, Histogram, choose_edges, code_range, histogram, leave_one_out, quantise
from explorer.selection.recipes import recipes
from explorer.selection.threshold import Threshold

MOST_KEPT = 60  # exact positions a column's edges hold besides those that follow its distribution
MOST_ANSWERS = 8  # answers remembered: switching a rule off and on again, Undo, a tab
MOST_HISTOGRAMS = 200


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
        groups, tokens: what the curves are counted by.
        all_tokens: of the whole corpus, whatever the predicate says.
    """

    thresholds: tuple[Threshold, ...]
    edges: tuple[np.ndarray, ...]
    curves: Curves
    groups: Groups
    tokens: Tokens
    all_tokens: float


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
        self._answers: OrderedDict[tuple[object, ...], Tuned] = OrderedDict()
        self._all_tokens: tuple[Tokens, float] | None = None
        self._work = threading.Lock()  # columns are coded by one thread at a time
        self._memory = threading.Lock()  # never held while anything is read or computed: what is known is answered at once

    def tuned(
        self, thresholds: Sequence[Threshold], *, where: str = "", by: str = "source", disabled: frozenset[int] = frozenset()
    ) -> Tuned:
        """Curves and totals for these thresholds.

        Args:
            thresholds: the rules, in order.
            where: SQL predicate; documents it excludes are kept by no position of a cut, but count in what a rule drops alone and in
                the totals, as in `Selection.summary`.
            by: groups of the counts: "source", "language", "year" or a column.
            disabled: positions of thresholds that take no part for now.

        Raises:
            SignalError, ColumnNotFoundError: a threshold reads what is not there.
            QueryError: the predicate cannot be run.
        """
        corpus = self._corpus
        coverage = corpus.coverage()
        groups, tokens = corpus.columns.groups(by), corpus.columns.tokens()
        context = (by, tokens.label, coverage.stamp())
        question = (tuple(thresholds), where, disabled, context)
        if (known := self._remembered(question)) is not None:
            return known
        base = self._base(where, coverage)
        with self._work:
            if (known := self._remembered(question)) is not None:  # another session asked the same while this one waited
                return known
            coded = [self._code(t, coverage) for t in thresholds]
            ranges = [
                (0, NULL - 1) if i in disabled else code_range(c.edges, t.minimum, t.maximum, exclusive=t.exclusive)
                for i, (t, c) in enumerate(zip(thresholds, coded, strict=True))
            ]
            plain = [self._histogram(t.signal, c, groups, tokens, context) for t, c in zip(thresholds, coded, strict=True)]
            curves = leave_one_out(
                [c.codes for c in coded],
                [low for low, _ in ranges],
                [high for _, high in ranges],
                groups.codes,
                tokens.values,
                max(1, len(groups.labels)),
                base=base,
                null_passes=[i in disabled or t.nulls == "keep" for i, t in enumerate(thresholds)],
                unconditioned=plain,
            )
            answer = Tuned(tuple(thresholds), tuple(c.edges for c in coded), curves, groups, tokens, self._sum(tokens))
            with self._memory:
                self._answers[question] = answer
                if len(self._answers) > MOST_ANSWERS:
                    self._answers.popitem(last=False)
            return answer

    def _remembered(self, question: tuple[object, ...]) -> Tuned | None:
        with self._memory:
            if question in self._answers:
                self._answers.move_to_end(question)
            return self._answers.get(question)

    def _code(self, threshold: Threshold, coverage: Coverage) -> _Coded:
        side = coverage.of(threshold.signal)
        stamp = (coverage.scored_rows(threshold.signal), str(side.folder) if side else "")
        known = self._coded.get(threshold.signal)
        if known is not None and known.stamp == stamp and _fits(threshold, known.edges):
            return known
        values = self._corpus.columns.numbers(threshold.signal)
        wanted = {b for b in (threshold.minimum, threshold.maximum) if b is not None and np.isfinite(b)}
        wanted |= {p.value for p in published(threshold.signal)}
        if known is not None and known.stamp == stamp and len(wanted | known.keep) <= MOST_KEPT:
            wanted |= known.keep  # cuts set before stay exact positions
        edges = choose_edges(values, sorted(wanted))
        known = self._coded[threshold.signal] = _Coded(stamp, frozenset(wanted), edges, quantise(values, edges))
        return known

    def _sum(self, tokens: Tokens) -> float:
        if self._all_tokens is None or self._all_tokens[0] is not tokens:
            self._all_tokens = (tokens, float(tokens.values.sum()))
        return self._all_tokens[1]

    def _base(self, where: str, coverage: Coverage) -> np.ndarray | None:
        if not where:
            return None
        key, known = (where, coverage.stamp()), self._admitted
        if known is not None and known[0] == key:
            return known[1]
        admitted = np.zeros(len(self._corpus), bool)
        admitted[self._corpus.database.matching_rows(where).to_numpy()] = True
        self._admitted = (key, admitted)
        return admitted

    def _histogram(self, signal: str, coded: _Coded, groups: Groups, tokens: Tokens, context: tuple[object, ...]) -> Histogram:
        key = (signal, coded.stamp, coded.keep, context)
        if key not in self._histograms:
            if len(self._histograms) > MOST_HISTOGRAMS:
                self._histograms.clear()
            self._histograms[key] = histogram(coded.codes, groups.codes, tokens.values, max(1, len(groups.labels)))
        return self._histograms[key]


def _fits(threshold: Threshold, edges: np.ndarray) -> bool:
    """Whether the bounds are among a column's positions, so that counting by its codes is exact."""
    try:
        code_range(edges, threshold.minimum, threshold.maximum, exclusive=threshold.exclusive)
    except SelectionError:
        return False
    return True


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
