"""From the stages that were asked for to constant ones: ramps taken apart, the budget divided, the sources' own amounts filled in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from explorer.errors import ManifestError
from explorer.mixture.amounts import AMOUNTS, Given
from explorer.mixture.model import NAME, SCHEDULES, Mixture, StagePlan
from explorer.mixture.transforms import Transform

MOST_STEPS = 1000


@dataclass(frozen=True)
class Ask:
    """One constant stage as asked for.

    Attributes:
        share: its part of the run; None where its amounts say how much it holds.
        budget_tokens: tokens to hold; None where its amounts, or what the sources have, decide.
        given: amount of each source that is in it.

    """

    name: str
    share: float | None
    budget_tokens: float | None
    given: Mapping[str, Given]
    orders: Mapping[str, str]
    transforms: Mapping[str, Transform]
    sequence_length: int | None = None


def asks(mixture: Mixture) -> tuple[list[Ask], list[str]]:
    """Constant stages of a mixture, in order, and what a reader must be told.

    Raises:
        ManifestError: two stages share a name, a source or schedule is not known, the shares do not add up to 1, or a stage has no
            size.

    """
    _check(mixture)
    if not mixture.stages:
        return [_ask(mixture, StagePlan("all", 1.0), mixture.budget_tokens)], []
    stages = mixture.stages
    if len(stages) == 1 and stages[0].share is None and stages[0].budget_tokens is None:
        stages = (replace(stages[0], share=1.0),)
    plans = [part for stage in stages for part in _constant(stage, mixture)]
    _unlike_names(plans)
    shared = [p for p in plans if p.share is not None]
    fixed = sum(p.budget_tokens for p in plans if p.budget_tokens is not None)
    total = sum(p.share for p in shared if p.share is not None)
    if shared and not math.isclose(total, 1.0, abs_tol=1e-6):
        alone = " One stage takes the whole budget." if len(stages) == 1 else ""
        raise ManifestError(
            f"The stages' shares add up to {total:g}. Shares are parts of what stages with budget_tokens leave of the budget, and add up to 1.{alone} Correct them."
        )
    warnings: list[str] = []
    rest = None if mixture.budget_tokens is None else mixture.budget_tokens - fixed
    if shared and rest is not None and rest <= 0:
        raise ManifestError(
            f"Nothing is left of the budget of {mixture.budget_tokens:,.0f} tokens for the stage {shared[0].name!r}: the stages with budget_tokens take {fixed:,.0f}. Raise budget_tokens or lower theirs."
        )
    if not shared and rest is not None and fixed and not math.isclose(rest, 0, abs_tol=0.005 * fixed):
        warnings.append(
            f"The stages come to {fixed:,.0f} tokens; the budget is {mixture.budget_tokens:,.0f}. No stage has a share to fill it."
        )
    found = []
    for p in plans:
        budget = p.budget_tokens if p.share is None else None if rest is None else p.share * rest
        ask = _ask(mixture, p, budget)
        amounts = [_amounts(g) for g in ask.given.values()]
        if p.share is None and budget is None and not all(a and "weight" not in a for a in amounts):
            raise ManifestError(
                f"Stage {p.name!r} has no size. Give it a share of the budget, budget_tokens, or every one of its sources epochs, tokens or documents."
            )
        found.append(ask)
    unused = next((s.name for s in mixture.sources if all(s.name not in ask.given for ask in found)), None)
    if unused is not None:
        raise ManifestError(f"Source {unused!r} is in no stage. A stage has the sources it gives an amount. Give it one, or leave it out.")
    return found, warnings


def _ask(mixture: Mixture, stage: StagePlan, budget: float | None) -> Ask:
    given = {s.name: stage.given[s.name] if stage.given else s.given for s in mixture.sources if not stage.given or s.name in stage.given}
    own = {s.name: s for s in mixture.sources}
    orders = stage.order if isinstance(stage.order, Mapping) else {}
    everywhere = stage.order if isinstance(stage.order, str) else None
    return Ask(
        stage.name,
        stage.share,
        budget,
        given,
        {n: orders.get(n, everywhere or own[n].order) for n in given},
        {n: stage.transforms.get(n, own[n].transform) for n in given},
        stage.sequence_length,
    )


def _constant(stage: StagePlan, mixture: Mixture) -> Iterator[StagePlan]:
    """The stage itself, or the steps of a ramp: equal parts whose weights go from the first ones to ``to_weights``, both included."""
    if stage.schedule == "constant":
        yield stage
        return
    start = _shares({n: g.weight for n, g in (stage.given or {s.name: s.given for s in mixture.sources}).items()}, stage.name)
    end, k = _shares(stage.to_weights, stage.name), stage.steps
    for i in range(k):
        t = i / (k - 1)
        t = (1 - math.cos(math.pi * t)) / 2 if stage.schedule == "cosine" else t
        weights = {n: (1 - t) * start.get(n, 0.0) + t * end.get(n, 0.0) for n in dict.fromkeys([*start, *end])}
        yield replace(
            stage,
            name=f"{stage.name}-{i + 1}",
            share=None if stage.share is None else stage.share / k,
            budget_tokens=None if stage.budget_tokens is None else stage.budget_tokens / k,
            given={n: Given(weight=w) for n, w in weights.items() if w > 0},
            schedule="constant",
            to_weights={},
            steps=1,
        )


def check_sizes(where: str, **sizes: Any) -> None:
    """Refuse a size that is no number above 0, and a ``sequence_length`` that is not whole."""
    for what, value in sizes.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ManifestError(f"{where}{what} is {value!r}. It must be a number above 0. Correct it or leave it out.")
        if what == "sequence_length" and not isinstance(value, int):
            raise ManifestError(f"{where}{what} is {value!r}. It must be a whole number. Correct it or leave it out.")


def _shares(weights: Mapping[str, Any], stage: str) -> dict[str, float]:
    for name, value in weights.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ManifestError(
                f"Stage {stage!r} goes from and to weights, but {name!r} has {value!r}. Weights of a ramp are numbers from 0 up. Give every source one."
            )
    total = sum(weights.values())
    if not total > 0:
        raise ManifestError(f"Stage {stage!r} has no weights to go from or to. It needs weights and to_weights. Give both.")
    return {name: value / total for name, value in weights.items()}


def _check(mixture: Mixture) -> None:
    names = [s.name for s in mixture.sources]
    for stage in mixture.stages:
        where = f"Stage {stage.name!r}"
        if not NAME.fullmatch(stage.name):
            raise ManifestError(f"A stage is called {stage.name!r}. Names hold letters, digits, '.', '_' and '-'. Rename it.")
        orders = stage.order if isinstance(stage.order, Mapping) else {}
        for what in (stage.given, stage.to_weights, orders, stage.transforms):
            unknown = next((n for n in what if n not in names), None)
            if unknown is not None:
                raise ManifestError(f"{where} names the source {unknown!r}. Sources: {', '.join(names)}. Correct the name.")
        here = dict.fromkeys([*stage.given, *stage.to_weights]) if stage.given else names
        for setting, said in (("an order", orders), ("a transform", stage.transforms)):
            idle = next((n for n in said if n not in here), None)
            if idle is not None:
                raise ManifestError(
                    f"{where} has {setting} for {idle!r}, which it does not read. It reads {', '.join(here)}. Give {idle!r} an amount there, or remove the setting."
                )
        check_sizes(f"{where}: ", share=stage.share, budget_tokens=stage.budget_tokens, sequence_length=stage.sequence_length)
        if stage.share is not None and stage.budget_tokens is not None:
            raise ManifestError(f"{where} has a share and budget_tokens. A stage has one of them. Remove the other.")
        if stage.schedule not in SCHEDULES:
            raise ManifestError(f"{where} has the schedule {stage.schedule!r}. Schedules: {', '.join(SCHEDULES)}. Choose one.")
        ramp = stage.schedule != "constant"
        if isinstance(stage.steps, bool) or not isinstance(stage.steps, int) or not (2 if ramp else 1) <= stage.steps <= MOST_STEPS:
            raise ManifestError(f"{where} has steps {stage.steps!r}. A ramp has 2 to {MOST_STEPS} steps. Correct it.")
        if not ramp and (stage.to_weights or stage.steps != 1):
            raise ManifestError(
                f"{where} has to_weights or steps but a constant schedule. Give schedule: linear or cosine, or remove them."
            )
    whole_run = next(((s.name, a) for s in mixture.sources for a in _amounts(s.given) if a != "weight"), None)
    if len(mixture.stages) > 1 and whole_run is not None:
        raise ManifestError(
            f"Source {whole_run[0]!r} has {whole_run[1]} of its own and there are {len(mixture.stages)} stages. With several stages a source may have a weight; {whole_run[1]} stand in a stage, for example {whole_run[1]}: {{{whole_run[0]}: …}}. Move it."
        )


def _unlike_names(plans: list[StagePlan]) -> None:
    lower = [p.name.lower() for p in plans]
    twice = next((p.name for p in plans if lower.count(p.name.lower()) > 1), None)
    if twice is not None:
        raise ManifestError(
            f"Two stages are called {twice!r}, or differ only by capitals. A stage's name is part of file names. Rename one."
        )


def _amounts(given: Given) -> list[str]:
    return [amount for amount in AMOUNTS if getattr(given, amount) is not None]
