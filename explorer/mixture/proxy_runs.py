"""Small runs that differ in their mixture alone: which to train, and reading what came of them.

Source of the proposals: Liu et al. 2024, RegMix, arXiv:2407.01492; settings from github.com/sail-sg/regmix, mixture_config/synthesize_mixture.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from explorer.errors import MixtureError
from explorer.mixture.tables import numbers

ROUNDING = 0.01  # published weights are rounded: their sums run from 0.996 to 1.003
TEMPERATURE = 0.5  # the prior is raised to it, so that small domains are seen
STRENGTHS = np.logspace(-1, np.log10(5.0), 15)  # of the Dirichlet distributions: from nearly one domain a run to nearly the prior
MOST_OF_PRIOR = 15.0  # a weight is at most so many times the domain's share
GRID = 2e-4  # weights are multiples of it; RegMix: at least 100 examples of a domain in a run of 512,000


@dataclass(frozen=True)
class Runs:
    """Proxy runs that differ in their mixture alone.

    Attributes:
        domains: names of the domains (or of the scores that are combined).
        weights: float64 [runs, domains]; each row adds up to 1, give or take the rounding of the table.
        loss: float64 [runs], lower is better.
        target: what the loss is called.
        left_out: rows of the table without a loss or with a missing weight.

    """

    domains: tuple[str, ...]
    weights: np.ndarray
    loss: np.ndarray
    target: str
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.loss)


def read_runs(
    table: pl.DataFrame,
    target: str,
    domains: Sequence[str] | None = None,
    *,
    higher_is_better: bool = False,
    any_sum: bool = False,
) -> Runs:
    """Runs of a table with one row a run.

    Args:
        table: a column a domain with its weight, and the loss.
        target: column of the loss.
        domains: columns of the weights; by default every other column of fractions between 0 and 1, which must then add up to 1.
        higher_is_better: the target is an accuracy; its sign is turned.
        any_sum: weights in named columns may add up to anything above 0 and are divided by it.

    Raises:
        ColumnNotFoundError: a named column is not there.
        MixtureError: the weights are no mixtures.

    """
    names = list(domains) if domains is not None else _fractions(table, target)
    any_sum = any_sum and domains is not None  # the sum is what tells weights from other fractions
    if len(names) < 2 or len(set(names)) < len(names):
        raise MixtureError(
            f"Weights were found in {', '.join(map(repr, names)) or 'no column'}. A mixture has two domains or more, each once. Name them: domains="
        )
    values = numbers(table, [*names, target], "the table of runs", "Name the columns: target=, domains=").to_numpy()
    known = np.isfinite(values).all(1)
    weights, loss = values[known, :-1], values[known, -1]
    sums = weights.sum(1)
    wrong = (weights < 0).any(1) | (sums <= 0 if any_sum else np.abs(sums - 1) > ROUNDING)
    if wrong.any():
        row = int(np.flatnonzero(known)[np.flatnonzero(wrong)[0]])
        allowed = "above 0" if any_sum else f"1, give or take {ROUNDING}"
        raise MixtureError(
            f"The weights of row {row} add up to {sums[wrong][0]:.4g} or one is below 0. They are at least 0 and add up to {allowed}. "
            f"Weights were read from {', '.join(map(repr, names))}; name others: domains="
        )
    shares = weights / sums[:, None] if any_sum else weights
    left_out = int((~known).sum())
    if higher_is_better:
        return Runs(tuple(names), shares, -loss, f"minus {target}", left_out)
    return Runs(tuple(names), shares, loss, target, left_out)


def _fractions(table: pl.DataFrame, target: str) -> list[str]:
    found = []
    for name, dtype in table.schema.items():
        if name != target and dtype.is_float():
            low, high = table[name].drop_nulls().drop_nans().min(), table[name].drop_nulls().drop_nans().max()
            if low is not None and high is not None and float(low) >= 0 and float(high) <= 1:  # type: ignore[arg-type]
                found.append(name)
    return found


def reach(weight: np.ndarray, runs: np.ndarray) -> tuple[float, float]:
    """Total variation distances of a mixture from the runs' convex hull and from the nearest run; 0 to 1.

    The first is the optimum of a linear programme: the smallest half sum of |weight - mixture of runs|.
    """
    from scipy.optimize import linprog

    n, d = runs.shape
    nearest = float(np.abs(runs - weight).sum(1).min() / 2)
    # Unknowns: a share of each run, then how far the weights fall short of and exceed the mixture of runs.
    equal = np.block([[runs.T, np.eye(d), -np.eye(d)], [np.ones((1, n)), np.zeros((1, 2 * d))]])
    done = linprog(np.r_[np.zeros(n), np.full(2 * d, 0.5)], A_eq=equal, b_eq=np.r_[weight, 1.0], method="highs")
    return (max(0.0, float(done.fun)) if done.success else nearest), nearest


def shares_of(given: Mapping[str, float], domains: tuple[str, ...], what: str) -> np.ndarray:
    """Values of a mapping in the order of the domains; every domain must have one, none below 0 and not all 0."""
    lacking = [name for name in domains if name not in given]
    if lacking:
        raise MixtureError(f"{what} lacks {', '.join(map(repr, lacking))}. It names every domain: {', '.join(domains)}. Add them.")
    values = np.array([given[name] for name in domains], np.float64)
    if not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise MixtureError(f"{what} has a value below 0, or nothing above it. Shares and tokens are at least 0. Correct them.")
    return values


def propose_runs(prior: Mapping[str, float], count: int, *, seed: int = 42) -> pl.DataFrame:
    """Mixtures to train small models on: a row a run, ``run`` and a weight for each domain.

    Drawn from Dirichlet distributions around the prior at temperature 0.5, of fifteen strengths from 0.1 to 5; a mixture that gives a domain
    more than 15 times its share is drawn again; weights are rounded to multiples of 0.0002 and no mixture comes twice. The distribution is
    the authors', the draws are not. Every row adds up to 1 exactly but for the last bits: what rounding left goes to the largest weight.

    Args:
        prior: share or tokens of each domain, all above 0.
        count: runs; RegMix trained 512 for 17 domains.
        seed: of the draws.

    Raises:
        MixtureError: fewer than 2 domains, one without a share, or fewer than ``count`` different mixtures.

    """
    domains = tuple(prior)
    share = shares_of(prior, domains, "prior")
    if len(domains) < 2 or (share <= 0).any() or count < 1:
        raise MixtureError(f"{count} runs over {len(domains)} domains cannot be drawn. It takes 2 domains, each with a share above 0.")
    share = share / share.sum()
    smooth = share**TEMPERATURE / (share**TEMPERATURE).sum()
    rng = np.random.default_rng(seed)
    found: dict[bytes, np.ndarray] = {}
    for _ in range(100 * count):
        drawn = rng.dirichlet(smooth * rng.choice(STRENGTHS))
        if not np.isfinite(drawn).all() or (drawn > np.minimum(1.0, MOST_OF_PRIOR * share)).any():
            continue
        steps = np.where(drawn < GRID, 0.0, drawn)
        steps = np.round(steps / steps.sum() / GRID).astype(np.int64)
        steps[steps.argmax()] += round(1 / GRID) - steps.sum()
        found.setdefault(steps.tobytes(), steps * GRID)
        if len(found) == count:
            return pl.DataFrame({"run": np.arange(count), **dict(zip(domains, np.stack(list(found.values())).T, strict=True))})
    raise MixtureError(f"Only {len(found):,} different mixtures were found, {count:,} were asked for. Ask for fewer.")
