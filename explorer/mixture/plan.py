"""What each stage takes of each source: pieces of the sources' endless sequences. What is previewed and what is written come from here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from explorer.errors import ManifestError
from explorer.mixture.amounts import MANY_EPOCHS, TOO_MANY_EPOCHS, Given, Taken, effective_tokens, targets
from explorer.mixture.counted import Counted
from explorer.mixture.model import NAME, Mixture
from explorer.mixture.orders import parse_order
from explorer.mixture.stages import Ask, asks, check_sizes
from explorer.mixture.transforms import Transform


@dataclass(frozen=True)
class Part:
    """One source's part of a stage: documents ``start`` to ``end`` of its sequence (`explorer.mixture.draw`)."""

    source: str
    given: Given
    target_tokens: float
    start: int
    end: int
    order: str
    transform: Transform


@dataclass(frozen=True)
class Planned:
    """One stage; ``share`` is its part of the run's tokens, ``budget_tokens`` what it was to hold (None: its amounts say so)."""

    name: str
    share: float
    budget_tokens: float | None
    sequence_length: int | None
    parts: tuple[Part, ...]


def plan(mixture: Mixture, counted: Mapping[str, Counted], staged: Sequence[Ask] | None = None) -> tuple[tuple[Planned, ...], list[str]]:
    """Decide what every stage takes of every source.

    Args:
        mixture: what is asked for.
        counted: its sources.
        staged: constant stages to take instead of the mixture's own.

    Returns:
        The stages, and what a reader must be told.

    Raises:
        ManifestError: an amount, order, stage or setting that cannot be met or understood.

    """
    _check(mixture, counted)
    counted = {s.name: counted[s.name] for s in mixture.sources}
    staged, warnings = asks(mixture) if staged is None else (staged, [])
    for ask in staged:
        for name, order in ask.orders.items():
            parse_order(order, name)
    caps = {s.name: s.max_epochs for s in mixture.sources}
    staged = _sized(staged, counted, caps, warnings)
    place = dict.fromkeys(counted, 0)
    taken = dict.fromkeys(counted, Taken())
    rows: list[tuple[Ask, list[Part]]] = []
    for ask in staged:
        found, said = targets(
            {n: counted[n].unique for n in ask.given},
            ask.given,
            budget_tokens=ask.budget_tokens,
            max_epochs=caps,
            share=1.0 if ask.share is None else ask.share,
            taken=taken,
        )
        told = f"Stage {ask.name}: " if len(staged) > 1 else ""
        warnings += [told + text for text in said]
        parts = []
        for name, target in found.items():
            start = place[name]
            place[name], taken[name] = counted[name].draw(mixture.seed).advance(start, taken[name], target)
            parts.append(Part(name, target.given, target.tokens, start, place[name], ask.orders[name], ask.transforms[name]))
            if place[name] == start:
                warnings.append(
                    f"{told}{name} comes to 0 documents: its amount is less than half of one. Raise it or leave the source out."
                )
        rows.append((ask, parts))
    for name, source in counted.items():
        warnings += _told(source, place[name], mixture.seed)
    total = sum(part.target_tokens for _, parts in rows for part in parts)
    return tuple(_planned(ask, parts, total) for ask, parts in rows), warnings


def lay_out(part: Part, source: Counted, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The documents of a part of a stage.

    Returns:
        ``repeat`` int32 [n], how often each kept document comes, and ``rank`` int64 [n], its place in the order, -1 where it does not.

    """
    draw = source.draw(seed)
    repeat = draw.copies(part.end)
    if part.start:
        repeat -= draw.copies(part.start)
    place = source.places(part.order, seed, repeat > 0)
    rank = np.full(len(repeat), -1, np.int64)
    rank[place] = np.arange(len(place))
    return repeat, rank


def _planned(ask: Ask, parts: list[Part], total: float) -> Planned:
    asked = sum(part.target_tokens for part in parts)
    share = ask.share if ask.share is not None else asked / total if total else 0.0
    budget = None if ask.budget_tokens is None else float(ask.budget_tokens)
    return Planned(ask.name, float(share), budget, ask.sequence_length, tuple(parts))


def _sized(staged: Sequence[Ask], counted: Mapping[str, Counted], caps: Mapping[str, float | None], warnings: list[str]) -> Sequence[Ask]:
    """Sizes of several stages of weighted sources without a budget: the most before a source passes its ``max_epochs``."""
    open_ended = [
        a for a in staged if a.share is not None and a.budget_tokens is None and any(g.weight is not None for g in a.given.values())
    ]
    if len(staged) == 1 or not open_ended:
        return staged
    if any(g.weight is None for a in staged for g in a.given.values()) or len(open_ended) < len(staged):
        raise ManifestError(
            f"Stage {open_ended[0].name!r} divides a budget by weights, and there is none. Give budget_tokens, or every source of every stage a weight and every stage a share."
        )
    parts = dict.fromkeys(counted, 0.0)
    for ask in staged:
        weights = {n: float(g.weight or 0.0) for n, g in ask.given.items()}
        for n, w in weights.items():
            parts[n] += (ask.share or 0.0) * w / sum(weights.values())
    whole = min(counted[n].unique.tokens * (caps.get(n) or 1.0) / part for n, part in parts.items() if part > 0)
    warnings.append(
        f"No budget_tokens is given: the stages come to {whole:,.0f} tokens, the most before a source passes its max_epochs (1 unless given)."
    )
    return [replace(ask, budget_tokens=(ask.share or 0.0) * whole) for ask in staged]


def _told(source: Counted, place: int, seed: int) -> Iterable[str]:
    """What a reader must be told of a source over the whole run."""
    name, unique = source.name, source.unique
    epochs = source.draw(seed).tokens_at(place) / unique.tokens if unique.tokens else 0.0
    worth = effective_tokens(epochs, 1.0) / epochs if epochs else 1.0
    if epochs > TOO_MANY_EPOCHS:
        yield f"{name} is repeated {epochs:.3g} times; past {TOO_MANY_EPOCHS:g} epochs a token is hardly worth reading again ({worth:.0%} of fresh ones overall)."
    elif epochs > MANY_EPOCHS + 1e-9:
        yield f"{name} is repeated {epochs:.3g} times; past {MANY_EPOCHS:g} epochs tokens are worth clearly less than fresh ones ({worth:.0%} overall)."
    if source.counted.estimated:
        yield f"Tokens of {name} are an estimate ({source.counted.label})."
    if source.identity.column is None:
        yield f"Documents of {name} are named by the sha256 of their text: {source.identity.why}."


def _check(mixture: Mixture, counted: Mapping[str, Counted]) -> None:
    if not NAME.fullmatch(mixture.name):
        raise ManifestError(f"The name {mixture.name!r} cannot name a folder. Use letters, digits, '.', '_' and '-'. Rename the mix.")
    if isinstance(mixture.seed, bool) or not isinstance(mixture.seed, int):
        raise ManifestError(f"The seed is {mixture.seed!r}. It must be a whole number. Give one.")
    check_sizes("", budget_tokens=mixture.budget_tokens, sequence_length=mixture.sequence_length)
    missing = next((s.name for s in mixture.sources if s.name not in counted), None)
    if missing is not None:
        raise ManifestError(f"Source {missing!r} was not counted. Counted: {', '.join(counted)}. Count the sources of this mixture first.")
