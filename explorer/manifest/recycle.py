"""Budgeted recycling: what is good of the originals, and the best of the rewrites to fill what is left, as a recipe for a mixture.

RePro (2025) keeps originals whose quality passes a cut, scores rewrites by the same classifier, and lowers their cut until both sides hold
the same tokens. ReWire (Nguyen et al. 2025) keeps the best tenth of the originals by one classifier and the best tenth of the rewrites by
another, and mixes them half and half. Both are: organic above a cut, recycled by score until a budget is full, and a weight for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.errors import SelectionError
from explorer.manifest.propose import source_of
from explorer.rewrites.pairs import Pairs
from explorer.selection.selection import select
from explorer.selection.threshold import Threshold

ORIGINAL_SCORE = "quality_original"


@dataclass(frozen=True)
class Recycled:
    """A recipe and what it comes to.

    Attributes:
        recipe: for ``explorer mix`` and `explorer.manifest.recipe`.
        organic, recycled: documents and tokens of each side.
        cut: the lowest score of a rewrite that is taken; None where none is.
        rescued: of the rewrites taken, how many are of originals that are not kept themselves.
    """

    recipe: dict[str, Any]
    organic: tuple[int, float]
    recycled: tuple[int, float]
    cut: float | None
    rescued: int

    def __str__(self) -> str:
        cut = f" with a score of {self.cut:.4g} or more" if self.cut is not None else ""
        share = self.rescued / self.recycled[0] if self.recycled[0] else 0.0
        return (
            f"{self.organic[0]:,} originals ({self.organic[1]:,.0f} tokens) and {self.recycled[0]:,} rewrites{cut} ({self.recycled[1]:,.0f} tokens); "
            f"{share:.1%} of the rewrites are of originals that are not kept"
        )


def recycle(
    pairs: Pairs,
    by: str,
    *,
    minimum: float | None = None,
    fraction: float | None = None,
    tokens: float | None = None,
    rewrite_by: str | None = None,
    trust: str = "faithfulness >= 0.8",
    only_rescued: bool = False,
    weights: tuple[float, float] | None = None,
    budget_tokens: float | None = None,
    name: str = "recycled",
) -> Recycled:
    """A recipe of originals above a cut and of the best rewrites that fill a budget.

    Args:
        pairs: rewrites with their originals; both sides have been scored.
        by: signal that higher is better for, computed on the originals and, unless ``rewrite_by`` says otherwise, on the rewrites.
        minimum: originals with this score or more are kept (RePro: 0.018112 of DCLM's classifier) …
        fraction: … or this share of them, the best (ReWire: 0.1).
        tokens: rewrites are taken from the best down until they hold so many; by default as many as the originals that are kept (RePro).
            With ``fraction`` and no ``tokens``, the same share of the rewrites (ReWire).
        rewrite_by: the signal that ranks rewrites, where another is used (ReWire trains one on rewrites).
        trust: predicate that a rewrite must fulfil to be taken at all; "" for none.
        only_rescued: take no rewrite of an original that is kept itself.
        weights: shares of organic and recycled tokens in the mixture (ReWire: 0.5, 0.5; at 3B 0.6, 0.4); by default what there is.
        budget_tokens: of the mixture.
        name: of the mix.

    Raises:
        SelectionError: not exactly one of ``minimum`` and ``fraction``, or nothing is left.
        SignalError, ColumnNotFoundError: a score has not been computed.

    """
    if (minimum is None) == (fraction is None):
        raise SelectionError("Recycling needs one cut for the originals. Give minimum (a score) or fraction (a share of them), not both.")
    if fraction is not None and not 0 < fraction <= 1:
        raise SelectionError(f"fraction is {fraction!r}. It is a share of the originals, above 0 and at most 1. Correct it.")
    theirs = pairs.originals
    scores = theirs.columns.numbers(by).astype(np.float64)
    if fraction is not None:
        known = np.sort(scores[np.isfinite(scores)])[::-1]
        if not len(known):
            raise SelectionError(f"0 of {len(theirs):,} originals have a {by}. Score them first: explorer score ORIGINALS -s {by}")
        minimum = float(known[max(1, round(fraction * len(known))) - 1])
    organic = select(theirs, Threshold(by, minimum=minimum))
    kept_tokens = float(theirs.columns.tokens().values[organic.rows()].sum())
    ranked = rewrite_by or by
    where = _where(pairs, by, float(minimum or 0.0), trust, only_rescued)
    order, values = _ranked(pairs, select(pairs, where or None).rows(), ranked)
    held = np.cumsum(pairs.columns.tokens().values[order])
    if tokens is None and fraction is not None:
        rank = pairs.columns.numbers(ranked)
        count = min(len(order), max(1, round(fraction * int(np.isfinite(rank).sum()))))
    else:
        wanted = kept_tokens if tokens is None else tokens
        count = min(len(order), int(np.searchsorted(held, wanted, side="left")) + 1)  # the document that crosses the budget is taken
    if not count or not len(organic):
        what = "originals" if not len(organic) else "rewrites"
        raise SelectionError(
            f"0 {what} pass: {by} ≥ {minimum:.4g}{f', {trust}' if trust else ''}. Lower the cut, or loosen what rewrites must fulfil."
        )
    cut = float(values[count - 1])
    taken = order[:count]
    match = pairs.match.rows[taken]
    rescued = int((~organic.mask()[match[match >= 0]]).sum())
    recipe = _recipe(pairs, by, float(minimum or 0.0), ranked, cut, where, weights, budget_tokens, name)
    return Recycled(recipe, (len(organic), kept_tokens), (count, float(held[count - 1])), cut, rescued)


def _where(pairs: Pairs, by: str, minimum: float, trust: str, only_rescued: bool) -> str:
    """What a rewrite must fulfil to be taken at all, as SQL."""
    parts = [f"({trust})"] if trust else []
    if only_rescued:
        if ORIGINAL_SCORE not in pairs.columns.numeric():
            raise SelectionError(
                f"only_rescued asks what originals scored. Compute it beside the rewrites: pairs.score('gain', parameters={{'gain': {{'by': {by!r}}}}})"
            )
        parts.append(f"{ORIGINAL_SCORE} < {minimum!r}")
    return " AND ".join(parts)


def _ranked(pairs: Pairs, rows: np.ndarray, by: str) -> tuple[np.ndarray, np.ndarray]:
    """Rewrites with a score, best first, ties in the order of the files; and the scores."""
    values = pairs.columns.numbers(by)[rows].astype(np.float64)
    there = np.isfinite(values)
    rows, values = rows[there], values[there]
    order = np.argsort(-values, kind="stable")
    return rows[order], values[order]


def _recipe(
    pairs: Pairs,
    by: str,
    minimum: float,
    ranked: str,
    cut: float,
    where: str,
    weights: tuple[float, float] | None,
    budget: float | None,
    name: str,
) -> dict[str, Any]:
    recycled: dict[str, Any] = {"filters": [{"signal": ranked, "minimum": cut}]} | ({"where": where} if where else {})
    sources: dict[str, dict[str, Any]] = {
        "organic": {**source_of(pairs.originals), "filters": [{"signal": by, "minimum": minimum}]},
        "recycled": {**source_of(pairs), **recycled},
    }
    if weights is not None:
        for source, weight in zip(sources.values(), weights, strict=True):
            source["weight"] = weight
    return {"name": name, "sources": sources} | ({"budget_tokens": budget} if budget is not None else {})
