"""Mixtures that change during a run, step by step: read, checked, and compared with simple ones.

A trajectory gives each domain a weight at each step, with the scores that the model had there, as a learned mixing agent or a hand-written
schedule leaves behind. Nothing is learned here: the agent of the source below has no published code, and its trajectories are yours to bring.

Source: Yang et al. 2025, Data Mixing Agent, arXiv:2507.15640 (random trajectories of 80 steps over 52 domains).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, get_args

import numpy as np
import polars as pl

from explorer.errors import ColumnNotFoundError, MixtureError
from explorer.mixture.proxy_runs import ROUNDING, shares_of
from explorer.mixture.tables import numbers

PREFIX, TRAJECTORY = "w_", "trajectory_id"
Shape = Literal["constant", "linear", "cosine", "anneal"]


@dataclass(frozen=True)
class Trajectories:
    """Trajectories as they are drawn.

    Attributes:
        table: a row a trajectory, step and domain: ``trajectory, step, domain, weight, tokens`` (read of the domain so far), ``epochs`` (the
            same a token that there is); null without tokens or what is available.
        steps: a row a trajectory and step: ``trajectory, step, change`` (total variation distance from the step before; null at the first),
            ``tokens`` (so far) and the metrics.
        summary: a row a trajectory: ``trajectory, steps, tokens, mean_change, largest_change``, and of each metric its ``_first``, ``_last``
            and ``_change``.
        domains: their names.
        metrics: columns of scores.

    """

    table: pl.DataFrame
    steps: pl.DataFrame
    summary: pl.DataFrame
    domains: tuple[str, ...]
    metrics: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.summary.height:,} trajectories over {len(self.domains)} domains, {self.steps.height:,} steps"

    def _repr_html_(self) -> str:
        return f"<b>{escape(str(self))}</b>{self.summary._repr_html_()}"


def read_trajectories(
    table: pl.DataFrame,
    domains: Sequence[str] | None = None,
    *,
    trajectory: str = TRAJECTORY,
    step: str = "step",
    tokens: str | None = None,
    metrics: Sequence[str] = (),
    available_tokens: Mapping[str, float] | None = None,
) -> Trajectories:
    """Trajectories of a table with a row a trajectory and step.

    Args:
        table: weights, and what else is named below.
        domains: columns of the weights; by default those whose names start with ``w_``, which is left off.
        trajectory: column that names a trajectory; where the default is not there, all rows are of one.
        step: column that orders its steps.
        tokens: column of the tokens read in each step; None for no count.
        metrics: columns of scores to carry along.
        available_tokens: tokens that there are of each domain, for epochs.

    Raises:
        ColumnNotFoundError: a column is not there.
        MixtureError: weights below 0 or that do not add up to 1, steps that are no numbers or times or come twice, or an unknown weight.

    """
    columns = list(domains) if domains is not None else [name for name in table.columns if name.startswith(PREFIX)]
    if len(columns) < 2:
        raise MixtureError(
            f"Weights were found in {', '.join(map(repr, columns)) or 'no column'}. A mixture has two or more domains, in columns that start with {PREFIX!r} or are named. Name them: domains="
        )
    wanted = dict.fromkeys([*columns, *metrics, *([tokens] if tokens else [])])
    next_step = "Name the columns: trajectory=, step=, domains=, tokens=, metrics="
    values = numbers(table, wanted, "the table of steps", next_step)
    for name in (step, *([trajectory] if trajectory != TRAJECTORY else [])):
        if name not in table.columns:
            raise ColumnNotFoundError.named(name, "the table of steps", table.columns, next_step)
    kind = table[step].dtype
    if not (kind.is_numeric() or kind.is_temporal()):
        raise MixtureError(
            f"Column {step!r} of the table of steps holds {kind}. Steps are numbers or times, which say what comes first. Convert it or name another: step="
        )
    if not table.height:
        raise MixtureError("The table of steps is empty. A trajectory has a row a step. Give a table with rows.")
    named = pl.col(trajectory).cast(pl.String) if trajectory in table.columns else pl.lit("1")
    keys = table.select(named.alias("trajectory"), pl.col(step).alias("step"))
    rows = pl.concat([keys, values], how="horizontal").sort("trajectory", "step", maintain_order=True)
    weights = rows.select(columns).fill_null(np.nan).to_numpy()
    wrong = ~((weights >= 0).all(1) & (np.abs(weights.sum(1) - 1) <= ROUNDING))
    twice = rows.select(pl.struct("trajectory", "step").is_duplicated()).to_series().to_numpy()
    if (wrong | twice).any():
        at = rows.row(int(np.flatnonzero(wrong | twice)[0]), named=True)
        raise MixtureError(
            f"Step {at['step']} of trajectory {at['trajectory']!r} comes twice, has a weight below 0 or missing, or its weights do not add up to 1. Every step has one mixture. Correct it."
        )
    weights = weights / weights.sum(1, keepdims=True)
    names = tuple(columns) if domains is not None else tuple(name.removeprefix(PREFIX) for name in columns)
    first = (rows["trajectory"] != rows["trajectory"].shift(1)).fill_null(True).to_numpy()
    change = np.r_[np.nan, np.abs(np.diff(weights, axis=0)).sum(1) / 2]
    change[first] = np.nan
    size = rows[tokens].fill_null(np.nan).to_numpy() if tokens else np.full(len(weights), np.nan)
    so_far = pl.col("tokens").cum_sum().over("trajectory")
    keys = rows.select("trajectory", "step")
    wide = keys.with_columns(
        pl.Series("change", change), pl.Series("tokens", size), *(rows[m] for m in metrics)
    ).with_columns(so_far)  # fmt: skip
    there = shares_of(available_tokens, names, "available_tokens") if available_tokens is not None else np.full(len(names), np.nan)
    long = pl.concat(
        keys.with_columns(pl.lit(name).alias("domain"), pl.Series("weight", weights[:, i]), pl.Series("tokens", weights[:, i] * size))
        .with_columns(so_far)
        .with_columns((pl.col("tokens") / (there[i] if there[i] > 0 else np.nan)).alias("epochs"))
        for i, name in enumerate(names)
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    wide = wide.with_columns(pl.col(pl.Float64).fill_nan(None))
    return Trajectories(long, wide, _summary(wide, metrics), names, tuple(metrics))


def _summary(steps: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    scores = [
        expression
        for m in metrics
        for expression in (
            pl.col(m).first().alias(f"{m}_first"),
            pl.col(m).last().alias(f"{m}_last"),
            (pl.col(m).last() - pl.col(m).first()).alias(f"{m}_change"),
        )
    ]
    return steps.group_by("trajectory", maintain_order=True).agg(
        pl.len().alias("steps"),
        pl.col("tokens").last(),
        pl.col("change").mean().alias("mean_change"),
        pl.col("change").max().alias("largest_change"),
        *scores,
    )


def simple_trajectory(
    start: Mapping[str, float],
    end: Mapping[str, float] | None = None,
    *,
    steps: int = 80,
    shape: Shape = "linear",
    anneal_from: float = 0.8,
) -> pl.DataFrame:
    """A hand-written trajectory to hold others against: ``trajectory_id, step`` and a column ``w_<domain>`` each, as `read_trajectories` reads.

    Args:
        start: weight of each domain at the first step, of any sum.
        end: at the last; by default as at the start.
        steps: how many.
        shape: "constant" (the start throughout), "linear" or "cosine" from start to end, "anneal" (the start, then linear to the end).
        anneal_from: share of the run after which "anneal" begins to move.

    Raises:
        MixtureError: different domains at start and end, weights that are none, an unknown shape, or fewer than 2 steps.

    """
    if shape not in get_args(Shape) or steps < 2 or not 0 <= anneal_from < 1:
        raise MixtureError(
            f"Shape {shape!r} in {steps} steps is not known. Shapes: {', '.join(get_args(Shape))}, in 2 steps or more, anneal_from below 1. Choose one."
        )
    domains = tuple(start)
    goal = start if end is None else end
    if set(goal) != set(domains) or len(domains) < 2:
        raise MixtureError(f"The start has {', '.join(domains)}, the end {', '.join(goal)}. Both name the same two or more domains.")
    first, last = shares_of(start, domains, "start"), shares_of(goal, domains, "end")
    t = np.linspace(0, 1, steps)
    moved = {
        "constant": 0 * t,
        "linear": t,
        "cosine": (1 - np.cos(np.pi * t)) / 2,
        "anneal": np.clip((t - anneal_from) / (1 - anneal_from), 0, 1),
    }[shape]
    weights = (1 - moved)[:, None] * first / first.sum() + moved[:, None] * last / last.sum()
    columns = {f"{PREFIX}{name}": weights[:, i] for i, name in enumerate(domains)}
    return pl.DataFrame({TRAJECTORY: [shape] * steps, "step": np.arange(steps), **columns})
