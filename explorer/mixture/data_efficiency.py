"""Data efficiency: how many times the data would the baseline need to reach a method's loss?

The baseline's losses over tokens give its data law ``L = A / D^alpha + E``. Inverted, it says how many tokens D' would have been needed for
the method's loss at D tokens: the method's data efficiency is D' / D. A loss at or below E is beyond any amount of the baseline's data.

The interval is a bootstrap of the law's residuals (they are drawn again, the law is fitted and inverted again): it holds what the scatter of the
baseline says, not that of the method's own losses, nor that the law might be another one.

Source: Kim et al. 2025, Pre-training under infinite compute, arXiv:2509.14786, which reports 2.29 for a regularised recipe and 5.17 with ensembles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import numpy as np
import polars as pl

from explorer.errors import MixtureError
from explorer.mixture.power_law import LIMIT, PowerLaw, fit_power_law, power_laws
from explorer.mixture.tables import numbers

FEWEST = 5  # three parameters and two residuals to draw from
FLATTEST = 0.01  # smallest alpha that is looked at


@dataclass(frozen=True)
class DataEfficiency:
    """Efficiencies, and the law they stand on.

    Attributes:
        table: a row a loss of the method: ``tokens, loss, equivalent_tokens`` (D'; null where the loss is at or below E), ``efficiency, low,
            high`` (the interval; null where it has no bound), ``beyond`` (how many times outside the baseline's tokens D' lies; 1 inside).
        law: the baseline's, with s = -alpha, over tokens.
        interval: share of resamples between low and high.
        resamples: how many gave a law that falls.

    """

    table: pl.DataFrame
    law: PowerLaw
    interval: float
    resamples: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before quoting it."""
        said = []
        if self.law.at_limit:
            said.append("The baseline does not determine its exponent: measure it over a wider range of tokens.")
        if self.law.b < 0:
            said.append(f"The baseline's asymptote comes out at {self.law.b:.3g}, below 0: measure it over a wider range of tokens.")
        for row in self.table.iter_rows(named=True):
            if row["equivalent_tokens"] is None:
                said.append(f"Loss {row['loss']:g} is at or below the baseline's asymptote {self.law.b:.4g}: no amount of data reaches it.")
            elif row["beyond"] > 1:
                said.append(
                    f"Loss {row['loss']:g} lies outside the baseline's: D' is {row['beyond']:.2f} times outside the range of tokens it was measured at."
                )
        return tuple(said)

    def __str__(self) -> str:
        law = f"{self.law.a:.4g} / D^{-self.law.s:.4g} + {self.law.b:.4g}"
        r2 = "undefined" if self.law.r2 is None else f"{self.law.r2:.4f}"
        return f"Baseline loss = {law} from {self.law.points} losses at {self.law.low:,.4g} to {self.law.high:,.4g} tokens (R² {r2})"

    def _repr_html_(self) -> str:
        warnings = "".join(f"<li>{escape(w)}</li>" for w in self.warnings)
        return f"<b>{escape(str(self))}</b><ul>{warnings}</ul>{self.table._repr_html_()}"


def data_efficiency(
    baseline: pl.DataFrame,
    method: pl.DataFrame,
    *,
    tokens: str = "tokens",
    loss: str = "loss",
    interval: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> DataEfficiency:
    """Data efficiency of each loss of a method.

    Args:
        baseline: losses of the baseline at several numbers of tokens.
        method: losses of the method.
        tokens: column of the number of tokens, in both; in any one unit.
        loss: column of the losses, in both.
        interval: share of the resamples that the interval holds.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ColumnNotFoundError: a column is not there.
        MixtureError: fewer than 5 losses of the baseline or 3 numbers of tokens, or a baseline whose loss does not fall.

    """
    if not 0 < interval < 1 or resamples < 100:
        raise MixtureError(f"interval={interval}, resamples={resamples} cannot be used. Between 0 and 1, and at least 100. Correct them.")
    x, y = _columns(baseline, tokens, loss, "the baseline")
    if len(x) < FEWEST:
        raise MixtureError(f"{len(x)} losses of the baseline are too few for its law and an interval. It takes {FEWEST}. Measure more.")
    law = fit_power_law(x, y, low=-LIMIT, high=-FLATTEST)
    if law.a <= 0:
        raise MixtureError("The baseline's loss does not fall with its tokens, so there is no law to invert. Check its columns and units.")
    residuals = y - law(x)
    residuals = (residuals - residuals.mean()) * math.sqrt(len(x) / (len(x) - 3))
    drawn = residuals[np.random.default_rng(seed).integers(0, len(x), (resamples, len(x)))]
    a, s, b = power_laws(x, law(x) + drawn, low=-LIMIT, high=-FLATTEST)
    falls = a > 0
    a, s, b = a[falls], s[falls], b[falls]
    edges = (1 - interval) / 2, (1 + interval) / 2
    rows = []
    for size, reached in zip(*_columns(method, tokens, loss, "the method"), strict=True):
        same = float(equivalent_tokens(reached, law.a, law.s, law.b))
        # Between two resamples without a bound there is nothing to interpolate, so the interval ends at resamples themselves.
        low, high = np.quantile(equivalent_tokens(reached, a, s, b), edges, method="closest_observation") if len(a) else (math.nan,) * 2
        beyond = max(1.0, same / law.high, law.low / same) if math.isfinite(same) else math.nan
        rows.append((size, reached, same, same / size, low / size, high / size, beyond))
    names = ("tokens", "loss", "equivalent_tokens", "efficiency", "low", "high", "beyond")
    table = pl.DataFrame([[v if math.isfinite(v) else None for v in row] for row in rows], dict.fromkeys(names, pl.Float64), orient="row")
    return DataEfficiency(table, law, interval, len(a))


def equivalent_tokens(loss: float, a: np.ndarray | float, s: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """Tokens at which ``a D^s + b`` (a > 0, s < 0) is ``loss``; infinite where it never is."""
    gap = loss - np.asarray(b, np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(gap > 0, (np.asarray(a) / gap) ** (-1 / np.asarray(s)), np.inf)


def _columns(table: pl.DataFrame, tokens: str, loss: str, what: str) -> tuple[np.ndarray, np.ndarray]:
    known = numbers(table, (tokens, loss), f"the table of {what}", "Name the columns: tokens=, loss=").drop_nulls()
    sizes = known[tokens].to_numpy()
    if (sizes <= 0).any():
        raise MixtureError(f"A loss of {what} is at {sizes.min()} tokens. Tokens are above 0. Leave that row out.")
    losses = known[loss].to_numpy()
    if not (np.isfinite(sizes).all() and np.isfinite(losses).all()):
        raise MixtureError(f"A loss of {what} is infinite, or at infinite tokens. Both are finite numbers. Leave that row out.")
    return sizes, losses
