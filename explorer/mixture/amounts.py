"""The arithmetic of a mixture: from one amount a source to tokens and epochs; pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from explorer.errors import ManifestError

R_STAR = 15.387756  # Muennighoff et al. 2023, arXiv:2305.16264; constant of the published fit (huggingface/datablations)
MANY_EPOCHS, TOO_MANY_EPOCHS = 4.0, 16.0
AMOUNTS = ("weight", "epochs", "tokens", "documents")
Verdict = Literal["fine", "worn", "spent"]


@dataclass(frozen=True)
class Given:
    """The amount that was asked for: exactly one of the four; all None where nothing was said (every kept document once)."""

    weight: float | None = None
    epochs: float | None = None
    tokens: float | None = None
    documents: int | None = None


@dataclass(frozen=True)
class Unique:
    """Kept documents of a source, each once, and their tokens."""

    documents: int
    tokens: float


class Taken(NamedTuple):
    """What earlier stages were to take of a source, repeats counted; fractions of a document are targets, not yet rounded."""

    documents: float = 0.0
    tokens: float = 0.0


@dataclass(frozen=True)
class Target:
    """What a source shall give: a number of ``documents`` (rounded when all stages up to this one are added up) where that was asked
    for, else ``tokens``.
    """

    given: Given
    tokens: float
    documents: float | None = None


@dataclass(frozen=True)
class Wear:
    """How often a source's tokens are read, what that is worth, and whether it is too often.

    Attributes:
        epochs: tokens read a unique token; None where the source has no tokens.
        effective_tokens: tokens of fresh data they are worth.
        verdict: ``fine`` up to 4 epochs, ``worn`` up to 16, ``spent`` beyond; None where epochs are.

    """

    epochs: float | None
    effective_tokens: float
    verdict: Verdict | None


def effective_tokens(tokens: float, unique: float) -> float:
    """Tokens of fresh data that ``tokens`` drawn from ``unique`` ones are worth.

    ``U + U R (1 - exp(-r / R))`` with ``r = D / U - 1`` repeats and R = 15.387756; up to one epoch every token counts in full.

    Source: Muennighoff et al. 2023, Scaling Data-Constrained Language Models, equation 5, arXiv:2305.16264.
    """
    if tokens <= unique or unique <= 0:
        return tokens
    repeats = tokens / unique - 1
    return unique + unique * R_STAR * (1 - math.exp(-repeats / R_STAR))


def wear(tokens: float, unique: float) -> Wear:
    """How worn a source is after ``tokens`` were read of its ``unique`` ones.

    4 epochs are where the published law still gives 93 of 100 tokens their full worth; past 16, more than its constant R, another
    pass hardly adds. Both limits are this product's reading of the law, which itself has no such steps.
    """
    if unique <= 0:
        return Wear(None, tokens, None)
    epochs = tokens / unique
    near = 1 + 1e-9
    verdict: Verdict = "fine" if epochs <= MANY_EPOCHS * near else "worn" if epochs <= TOO_MANY_EPOCHS * near else "spent"
    return Wear(epochs, effective_tokens(tokens, unique), verdict)


def targets(
    unique: Mapping[str, Unique],
    given: Mapping[str, Given],
    *,
    budget_tokens: float | None = None,
    max_epochs: Mapping[str, float | None] | None = None,
    share: float = 1.0,
    taken: Mapping[str, Taken] | None = None,
) -> tuple[dict[str, Target], list[str]]:
    """Tokens or documents that each source shall give to one stage, and what a reader must be told.

    - ``epochs`` and ``documents`` are passes over, and a number of, documents; ``tokens`` is a number of tokens.
    - ``weight`` sources divide what the others leave of the budget in proportion to their weights. Without a budget they take as
      much as they can until the first of them has been seen ``max_epochs`` times (once unless given).
    - Nothing given for any source: ``share`` of every kept document's one pass; with a budget, equal epochs that meet it.
    - A weight's target beyond ``max_epochs`` is cut to it, and said so; the rest is not given to other sources.

    Args:
        unique: kept documents and tokens of each source of the stage.
        given: the amount asked for.
        budget_tokens: of the stage.
        max_epochs: passes allowed at most, earlier stages counted.
        share: the stage's part of the run.
        taken: what earlier stages take of each source.

    Raises:
        ManifestError: an amount for some sources and none for others, more than one for a source, an amount out of range, a source
            that keeps nothing, or an explicit amount beyond ``max_epochs``.

    """
    caps, before = dict(max_epochs or {}), taken or {}
    for name, kept in unique.items():
        _check(name, kept, given.get(name, Given()), caps.get(name))
    asked = {name: _only(name, given.get(name, Given())) for name in unique}
    silent = [name for name, amount in asked.items() if amount is None]
    warnings: list[str] = []
    if silent and len(silent) < len(asked):
        raise ManifestError(
            f"Source {silent[0]!r} has no amount while others have one. Every source takes exactly one of {', '.join(AMOUNTS)}. Give it one, for example epochs: 1"
        )
    left = {name: _left(kept, caps.get(name), before.get(name, Taken())) for name, kept in unique.items()}
    if silent:
        return _nothing_given(unique, budget_tokens, caps, left, share, warnings), warnings
    found: dict[str, Target] = {}
    for name, kept in unique.items():
        amount, value = asked[name] or ("", 0.0)
        if amount == "weight":
            continue
        done = before.get(name, Taken())
        if amount == "epochs":
            found[name], passes = Target(given[name], value * kept.tokens, value * kept.documents), value + done.documents / kept.documents
        elif amount == "documents":
            passes = (value + done.documents) / kept.documents
            found[name] = Target(given[name], kept.tokens * value / kept.documents, value)
        else:
            passes = (value + done.tokens) / kept.tokens
            found[name] = Target(given[name], value)
        limit = caps.get(name)
        if limit is not None and passes > limit * (1 + 1e-9):
            all_stages = " with the stages before" if done.documents else ""
            raise ManifestError(
                f"Source {name!r} is asked for {value:,g} {amount}, which is {passes:.4g} epochs{all_stages}. Its max_epochs is {limit:g}. Lower the amount or raise max_epochs."
            )
    weighted = {name: float(pair[1]) for name, pair in asked.items() if pair and pair[0] == "weight"}
    fixed = sum(t.tokens for t in found.values())
    if weighted:
        _divide(weighted, unique, given, budget_tokens, fixed, caps, left, found, warnings)
    total = sum(t.tokens for t in found.values())
    if budget_tokens is not None and not weighted and not math.isclose(total, budget_tokens, rel_tol=0.005):
        warnings.append(f"The sources come to {total:,.0f} tokens; the budget is {budget_tokens:,.0f}. No source has a weight to fill it.")
    return {name: found[name] for name in unique}, warnings


def _left(kept: Unique, limit: float | None, taken: Taken) -> float:
    """Tokens that ``max_epochs`` leaves after earlier stages."""
    return math.inf if limit is None else max(0.0, limit * kept.tokens - taken.tokens)


def _nothing_given(
    unique: Mapping[str, Unique],
    budget: float | None,
    caps: Mapping[str, float | None],
    left: Mapping[str, float],
    share: float,
    warnings: list[str],
) -> dict[str, Target]:
    if budget is None:
        return {name: Target(Given(), share * kept.tokens, share * kept.documents) for name, kept in unique.items()}
    empty = next((name for name, kept in unique.items() if kept.tokens <= 0), None)
    if empty is not None:
        raise ManifestError(
            f"Source {empty!r} cannot share a token budget: its kept documents have no tokens. Leave it out, or give every source documents or epochs instead of budget_tokens."
        )
    total = sum(kept.tokens for kept in unique.values())
    found = {name: Target(Given(), budget * kept.tokens / total) for name, kept in unique.items()}
    return {name: _capped(name, target, unique[name], caps.get(name), left[name], warnings) for name, target in found.items()}


def _divide(
    weighted: Mapping[str, float],
    unique: Mapping[str, Unique],
    given: Mapping[str, Given],
    budget: float | None,
    fixed: float,
    caps: Mapping[str, float | None],
    left: Mapping[str, float],
    found: dict[str, Target],
    warnings: list[str],
) -> None:
    total = sum(weighted.values())
    if not math.isclose(total, 1.0, abs_tol=1e-6) and len(weighted) == len(unique):
        warnings.append(f"The weights add up to {total:g}; they were divided by it.")
    if budget is not None:
        rest = budget - fixed
        if rest <= 0:
            raise ManifestError(
                f"Nothing is left of the budget of {budget:,.0f} tokens for the weighted sources ({', '.join(weighted)}): the others take {fixed:,.0f}. Raise budget_tokens or lower the others."
            )
    else:
        rest = min(unique[name].tokens * (caps.get(name) or 1.0) / weight for name, weight in weighted.items()) * total
        warnings.append(
            f"No budget_tokens is given: the weighted sources come to {rest:,.0f} tokens, the most before one of them passes its max_epochs (1 unless given)."
        )
    for name, weight in weighted.items():
        target = Target(given[name], rest * weight / total)
        found[name] = _capped(name, target, unique[name], caps.get(name), left[name], warnings)


def _capped(name: str, target: Target, kept: Unique, limit: float | None, left: float, warnings: list[str]) -> Target:
    if limit is None or target.tokens <= left + 1e-9 * limit * kept.tokens:
        return target
    warnings.append(
        f"{name} was asked for {target.tokens:,.0f} tokens, {target.tokens / kept.tokens:.4g} epochs; max_epochs {limit:g} leaves {left:,.0f}. The other sources were not raised."
    )
    return Target(target.given, left)


def _only(name: str, given: Given) -> tuple[str, float] | None:
    said = [(amount, float(getattr(given, amount))) for amount in AMOUNTS if getattr(given, amount) is not None]
    if len(said) > 1:
        raise ManifestError(
            f"Source {name!r} has {' and '.join(amount for amount, _ in said)}. Every source takes exactly one of {', '.join(AMOUNTS)}. Remove the others."
        )
    return said[0] if said else None


def _check(name: str, kept: Unique, given: Given, limit: float | None) -> None:
    if kept.documents == 0:
        raise ManifestError(f"Source {name!r} keeps no document. A source needs at least one. Loosen its filters or leave it out.")
    for amount in (*AMOUNTS, "max_epochs"):
        value = limit if amount == "max_epochs" else getattr(given, amount)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
            raise ManifestError(
                f"Source {name!r} has {amount} {value!r}. It must be a number above 0. Correct it, or leave the source out."
            )
        if amount == "documents" and value != int(value):
            raise ManifestError(f"Source {name!r} has documents {value!r}. It must be a whole number. Round it, or give epochs.")
        if amount in ("weight", "tokens") and kept.tokens <= 0:
            raise ManifestError(f"Source {name!r} has {amount}, but its kept documents have no tokens. Give documents or epochs instead.")
