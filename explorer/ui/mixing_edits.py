"""What the Mixture page's controls do to a mixture: a frozen value in, another out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from explorer.errors import ManifestError
from explorer.mixture.amounts import AMOUNTS, Given
from explorer.mixture.model import NAME, Mixture, SourcePlan, StagePlan
from explorer.mixture.presets import Preset

LAST = 0.2  # share of the run that a new last stage takes
_LETTERS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


@dataclass(frozen=True)
class At:
    """Which amounts are edited: the sources' own (``stage`` None), a stage's, or those that a stage's ramp goes to."""

    stage: int | None = None
    to: bool = False


def amount_of(text: str, what: str = "The budget") -> float | None:
    """A number of tokens as one writes it: ``20B``, ``1.5e9``, ``500 M``, ``1,000,000``; None for nothing.

    Raises:
        ManifestError: it is no number above 0.

    """
    if not text.strip():
        return None
    found = re.fullmatch(r"\s*([0-9][0-9_,\s]*(?:\.[0-9]+)?|\.[0-9]+)(e\+?[0-9]{1,2})?\s*([kmbgt]?)\s*(?:tokens)?\s*", text, re.IGNORECASE)
    value = float(re.sub(r"[_,\s]", "", found[1]) + (found[2] or "")) * _LETTERS[found[3].lower()] if found else 0.0
    if not value > 0:
        raise ManifestError(f"{what} is {text!r}. It is a number above 0, such as 20B, 1.5e9 or 1,000,000. Correct it or leave it empty.")
    return value


def said_amount(value: float | None) -> str:
    """The same the other way round, exact."""
    if value is None:
        return ""
    for letter, factor in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor and float(said := f"{value / factor:.4g}") * factor == value and "e" not in said:
            return f"{said}{letter}"
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """A name that a source or stage can have and no other has."""
    known = {name.lower() for name in taken}
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-._")[:40] or "source"
    number, name = 1, stem
    while name.lower() in known:
        number += 1
        name = f"{stem}-{number}"
    return name


def check_name(name: str, taken: Iterable[str], what: str) -> str:
    """The name, if a source or stage can have it.

    Raises:
        ManifestError: it cannot be one, or another has it.

    """
    if not NAME.fullmatch(name):
        raise ManifestError(f"{name!r} cannot name a {what}. Names hold letters, digits, '.', '_' and '-'. Choose another.")
    if name.lower() in {other.lower() for other in taken}:
        raise ManifestError(f"There is a {what} called {name!r} already. Every {what} has a name of its own. Choose another.")
    return name


# --- amounts ---------------------------------------------------------------------------------------------------------------


def given_of(mixture: Mixture, at: At, name: str) -> Given | None:
    """The amount of a source; None where the stage leaves it out."""
    if at.stage is None:
        return mixture.source(name).given
    stage = mixture.stages[at.stage]
    if at.to:
        return Given(weight=stage.to_weights[name]) if name in stage.to_weights else None
    if not stage.given:
        return mixture.source(name).given
    return stage.given.get(name)


def with_given(mixture: Mixture, at: At, name: str, given: Given | None) -> Mixture:
    """Another amount for a source; None leaves it out of the stage."""
    if at.stage is None:
        return with_source(mixture, name, given=given or Given())
    stage = mixture.stages[at.stage]
    if at.to:
        weights = {n: w for n, w in stage.to_weights.items() if n != name}
        weights |= {name: given.weight} if given is not None and given.weight is not None else {}
        return with_stage(mixture, at.stage, to_weights=_ordered(weights, mixture))
    amounts = dict(stage.given) or {s.name: s.given for s in mixture.sources}
    amounts.pop(name, None)
    amounts |= {name: given} if given is not None else {}
    return with_stage(mixture, at.stage, given=_ordered(amounts, mixture))


def kind_of(given: Given | None) -> str:
    """Which amount it is; "" where nothing is said."""
    return next((a for a in AMOUNTS if given is not None and getattr(given, a) is not None), "")


def amount(kind: str, value: float) -> Given:
    """An amount of a kind; documents are whole."""
    if kind == "documents":
        return Given(documents=int(value))
    return Given(weight=value) if kind == "weight" else Given(epochs=value) if kind == "epochs" else Given(tokens=value)


def by_weights(mixture: Mixture, tokens: Mapping[str, float]) -> Mixture:
    """The same amounts as weights and a budget: what stages can share."""
    total = sum(tokens.values())
    if not total:
        raise ManifestError("The sources hold no tokens, so there is nothing to weigh. Add a source whose documents have text.")
    shares = {n: max(1e-4, round(t / total, 4)) for n, t in tokens.items()}
    sources = tuple(replace(s, given=Given(weight=shares[s.name])) for s in mixture.sources)
    return replace(mixture, sources=sources, budget_tokens=mixture.budget_tokens or float(round(total)))


def to_one(mixture: Mixture, at: At) -> Mixture:
    """Weights divided by their sum."""
    weights = {s.name: g.weight for s in mixture.sources if (g := given_of(mixture, at, s.name)) and g.weight is not None}
    total = sum(weights.values())
    for name, weight in weights.items():
        mixture = with_given(mixture, at, name, Given(weight=weight / total))
    return mixture


# --- sources ---------------------------------------------------------------------------------------------------------------


def with_source(mixture: Mixture, name: str, /, **changes: Any) -> Mixture:
    """Another setting of a source."""
    return replace(mixture, sources=tuple(replace(s, **changes) if s.name == name else s for s in mixture.sources))


def add_source(mixture: Mixture, name: str, data: Mapping[str, Any]) -> Mixture:
    """One more source, with an amount of the kind the others have, in every stage."""
    kinds = {kind_of(s.given) for s in mixture.sources}
    weights = [s.given.weight for s in mixture.sources if s.given.weight]
    typical = Given(weight=round(sum(weights) / len(weights), 4)) if weights else Given() if kinds <= {""} else Given(epochs=1.0)
    source = SourcePlan(name, data, typical if not mixture.stages else Given())
    stages = tuple(
        replace(
            stage,
            given={**stage.given, name: Given(weight=0.1)} if stage.given else stage.given,
            to_weights={**stage.to_weights, name: 0.1} if stage.to_weights else stage.to_weights,
        )
        for stage in mixture.stages
    )
    return replace(mixture, sources=(*mixture.sources, source), stages=stages)


def divide_source(mixture: Mixture, name: str, parts: Mapping[str, tuple[Mapping[str, Any], float]]) -> Mixture:
    """Several sources in the place of one, together with its amounts.

    Args:
        mixture: the mixture.
        name: of the source that is divided.
        parts: for each new source, how it is opened and its share of the old one's tokens.

    """

    def among(amounts: Mapping[str, Any], cut: Callable[[Any, float], Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for n, amount in amounts.items():
            found |= {new: cut(amount, part) for new, (_, part) in parts.items()} if n == name else {n: amount}
        return found

    sources: list[SourcePlan] = []
    for source in mixture.sources:
        if source.name == name:
            sources += [replace(source, name=n, data=data, given=_cut(source.given, part)) for n, (data, part) in parts.items()]
        else:
            sources.append(source)
    stages = tuple(
        replace(
            stage,
            given=among(stage.given, _cut),
            to_weights=among(stage.to_weights, lambda w, part: w * part),
            order=among(stage.order, lambda o, _: o) if isinstance(stage.order, Mapping) else stage.order,
            transforms=among(stage.transforms, lambda t, _: t),
        )
        for stage in mixture.stages
    )
    return replace(mixture, sources=tuple(sources), stages=stages)


def _cut(given: Given, part: float) -> Given:
    """A part of an amount; epochs are the same for every part."""
    kind = kind_of(given)
    if kind in ("", "epochs"):
        return given
    if kind == "documents":
        return amount(kind, max(1, round((given.documents or 1) * part)))
    return amount(kind, max(1e-6, float(getattr(given, kind)) * part))


def remove_source(mixture: Mixture, name: str) -> Mixture:
    """Without a source, in no stage."""
    return _renamed(replace(mixture, sources=tuple(s for s in mixture.sources if s.name != name)), {name: None})


def rename_source(mixture: Mixture, name: str, to: str) -> Mixture:
    """A source under another name, in every stage."""
    check_name(to, (s.name for s in mixture.sources if s.name != name), "source")
    return _renamed(with_source(mixture, name, name=to), {name: to})


def _renamed(mixture: Mixture, names: Mapping[str, str | None]) -> Mixture:
    def again(said: Any) -> Any:
        return {to: v for n, v in said.items() if (to := names.get(n, n)) is not None} if isinstance(said, Mapping) else said

    stages = tuple(
        replace(
            s,
            given=again(s.given),
            to_weights=again(s.to_weights),
            order=again(s.order),
            transforms=again(s.transforms),
        )
        for s in mixture.stages
    )
    return replace(mixture, stages=stages)


# --- stages ----------------------------------------------------------------------------------------------------------------


def with_stage(mixture: Mixture, number: int, /, **changes: Any) -> Mixture:
    """Another setting of a stage."""
    return replace(mixture, stages=tuple(replace(s, **changes) if i == number else s for i, s in enumerate(mixture.stages)))


def add_stage(mixture: Mixture, tokens: Mapping[str, float]) -> Mixture:
    """One more stage at the end; the first time, the whole run becomes a first stage, its amounts weights of a budget."""
    if not mixture.stages:
        mixture = by_weights(mixture, tokens)
        given = {s.name: s.given for s in mixture.sources}
        stages = (StagePlan("main", 1.0 - LAST, given=given), StagePlan("anneal", LAST, given=dict(given)))
        return replace(mixture, sources=tuple(replace(s, given=Given()) for s in mixture.sources), stages=stages)
    last = mixture.stages[-1]
    given = {n: Given(weight=w) for n, w in last.to_weights.items()} or dict(last.given)
    name = free_name(f"stage-{len(mixture.stages) + 1}", (s.name for s in mixture.stages))
    return _shared(replace(mixture, stages=(*mixture.stages, StagePlan(name, 0.0, given=given))), len(mixture.stages), LAST)


def remove_stage(mixture: Mixture, number: int) -> Mixture:
    """Without a stage; the others take its share. Of two, the one that stays becomes the whole run where all sources are in it."""
    left = tuple(s for i, s in enumerate(mixture.stages) if i != number)
    if len(left) == 1 and left[0].schedule == "constant" and all(s.name in left[0].given for s in mixture.sources):
        stage = left[0]
        sources = tuple(replace(s, given=stage.given[s.name]) for s in mixture.sources)
        return replace(
            mixture,
            sources=sources,
            stages=(),
            sequence_length=stage.sequence_length or mixture.sequence_length,
            budget_tokens=stage.budget_tokens or mixture.budget_tokens,
        )
    return _shared(replace(mixture, stages=left))


def set_share(mixture: Mixture, number: int, share: float) -> Mixture:
    """A stage's share of the run; the others are scaled so that all add up to 1."""
    return _shared(mixture, number, min(0.99, max(0.01, share)))


def set_schedule(mixture: Mixture, number: int, schedule: str) -> Mixture:
    """A constant stage, or a ramp: at first one that ends where the next stage, or all sources in equal parts, begins."""
    stage = mixture.stages[number]
    if schedule == "constant":
        return with_stage(mixture, number, schedule=schedule, to_weights={}, steps=1)
    goal = dict(stage.to_weights)
    if not goal:
        following = mixture.stages[number + 1].given if number + 1 < len(mixture.stages) else {}
        goal = {n: g.weight for n, g in following.items() if g.weight is not None} or {s.name: 0.5 for s in mixture.sources}
    return with_stage(mixture, number, schedule=schedule, to_weights=goal, steps=max(2, stage.steps if stage.steps > 1 else 5))


def _shared(mixture: Mixture, number: int | None = None, share: float = 0.0) -> Mixture:
    """Shares that add up to 1; one of them as given."""
    shares = {i: s.share for i, s in enumerate(mixture.stages) if s.share is not None}
    others = {i: s for i, s in shares.items() if i != number}
    if not others:
        shares = dict.fromkeys(shares, 1.0)
    else:
        total, rest = sum(others.values()), 1.0 - (share if number in shares else 0.0)
        scaled = {i: rest * (s / total if total else 1 / len(others)) for i, s in others.items()}
        shares |= {i: round(s, 6) if s > 1e-3 else s for i, s in scaled.items()}
        if number in shares:
            shares[number] = share
        shares[max(scaled, key=scaled.__getitem__)] += 1.0 - sum(shares.values())
    return replace(mixture, stages=tuple(replace(s, share=shares.get(i)) for i, s in enumerate(mixture.stages)))


# --- starting points -------------------------------------------------------------------------------------------------------


def from_preset(mixture: Mixture, preset: Preset, stand_ins: Mapping[str, str]) -> Mixture:
    """The mixture's sources in the proportions and stages of a published one.

    Args:
        mixture: whose sources, and whose budget, are kept.
        preset: the published one.
        stand_ins: which of our sources stands for a published one; those that are not named are left out, the rest grow in proportion.

    Raises:
        ManifestError: a stage is left without sources.

    """
    stages = []
    for stage in preset.stages:
        amounts: dict[str, float] = {}
        for source in stage.sources:
            if source.name in stand_ins:
                amounts[stand_ins[source.name]] = amounts.get(stand_ins[source.name], 0.0) + source.amount
        if not amounts:
            raise ManifestError(
                f"Stage {stage.name!r} of {preset.name} would hold nothing: none of {', '.join(s.name for s in stage.sources)} has a stand-in. Choose one for it."
            )
        total = sum(amounts.values())
        stages.append(StagePlan(stage.name, stage.amount / preset.amount, given={n: Given(weight=a / total) for n, a in amounts.items()}))
    used = {n for stage in stages for n in stage.given}
    sources = tuple(replace(s, given=Given()) for s in mixture.sources if s.name in used)
    if len(stages) == 1:
        sources = tuple(replace(s, given=stages[0].given[s.name]) for s in sources)
    return replace(mixture, sources=sources, stages=tuple(stages) if len(stages) > 1 else ())


def _ordered(amounts: Mapping[str, Any], mixture: Mixture) -> dict[str, Any]:
    return {s.name: amounts[s.name] for s in mixture.sources if s.name in amounts}
