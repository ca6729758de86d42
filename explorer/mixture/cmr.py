"""Critical mixture ratio: the most new-domain data that continual pretraining bears before the model forgets.

A trained model is trained on with a share R of domain data and 1 - R of general data, for several R. With the changes of both losses since the
start, a ratio is feasible at T tokens if the domain loss has fallen and the general loss has risen by at most epsilon; the critical ratio is
the largest feasible one. Each run's losses follow power laws of T (the domain's one power, the general one two: it rises, then falls),
and so does the critical ratio itself.

What it leaves out: tasks (only losses are looked at), and why epsilon should be 0.05, hence the table of other ones.

Source: Gu et al. 2024, CMR Scaling Law, arXiv:2407.17467. Their fitted constants do not carry over to other data: fit your own runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import polars as pl

from explorer.errors import MixtureError
from explorer.mixture.power_law import PowerLaw, fit_power_law, fit_two_powers
from explorer.mixture.tables import numbers

EPSILON = 0.05
UNIT = 2e8  # tokens; the authors count T in 0.2 billion
FARTHEST = 2.0  # times the tokens of the longest run: beyond it curves of runs say nothing


@dataclass(frozen=True)
class Curve:
    """Changes of one ratio's losses.

    Attributes:
        ratio: share of domain data.
        tokens: float64 [points], ascending, above 0.
        general: float64 [points], change of the general loss since the start.
        domain: float64 [points], change of the domain loss.
        general_law, domain_law: fitted curves over tokens / 2e8; None where there are fewer than 6 points (general) or 4 (domain).

    """

    ratio: float
    tokens: np.ndarray
    general: np.ndarray
    domain: np.ndarray
    general_law: PowerLaw | None
    domain_law: PowerLaw | None

    def at(self, tokens: float) -> tuple[float, float] | None:
        """Changes of the general and the domain loss: as measured where they were, else from the curves; None without both curves."""
        here = np.flatnonzero(np.isclose(self.tokens, tokens, rtol=1e-9))
        if len(here):
            return float(self.general[here[0]]), float(self.domain[here[0]])
        if self.general_law is None or self.domain_law is None:
            return None
        return float(self.general_law(tokens / UNIT)), float(self.domain_law(tokens / UNIT))


@dataclass(frozen=True)
class CriticalRatio:
    """The critical ratio after a number of tokens, and what it stands on.

    Attributes:
        ratio: the critical ratio; None where no ratio is feasible or all are.
        at_least: the largest measured ratio that is feasible; None where none is.
        below: the next measured ratio, which is not; None where all up to the largest are feasible.
        tokens: after how many.
        epsilon: rise of the general loss that is put up with.
        beyond: how many times the longest run that is; above 1 it is read from the curves.
        table: a row a measured ratio: ``ratio, general_change, domain_change, feasible, points, general_r2, domain_r2``.
        sensitivity: the critical ratio at other epsilons: ``epsilon, ratio``.
        over_tokens: the critical ratio at each number of tokens that all runs were measured at: ``tokens, ratio``.
        law: ``ratio = a (tokens / 2e8)^s + b`` through them; None with fewer than 4.
        curves: of each ratio.

    """

    ratio: float | None
    at_least: float | None
    below: float | None
    tokens: float
    epsilon: float
    beyond: float
    table: pl.DataFrame
    sensitivity: pl.DataFrame
    over_tokens: pl.DataFrame
    law: PowerLaw | None
    curves: tuple[Curve, ...]

    @property
    def replay(self) -> float | None:
        """Share of general data that goes with it."""
        return None if self.ratio is None else 1 - self.ratio

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before following it."""
        said = []
        if self.beyond > 1 + 1e-9:
            said.append(f"{self.tokens:,.0f} tokens is {self.beyond:.2f} times the longest run: read from fitted curves.")
        lost = [f"{curve.ratio:g}" for curve in self.curves if curve.general_law is None or curve.domain_law is None]
        if lost:
            said.append(f"No curve for ratio {', '.join(lost)}: it takes 6 points. Only measured numbers of tokens can be asked about.")
        poor = [f"{c.ratio:g}" for c in self.curves if c.general_law is not None and (c.general_law.r2 is None or c.general_law.r2 < 0.9)]
        if poor:
            said.append(f"The general loss of ratio {', '.join(poor)} does not follow the law well (R² below 0.9).")
        return tuple(said)

    def __str__(self) -> str:
        where = f"after {self.tokens:,.0f} tokens, general loss up by at most {self.epsilon:g}"
        if self.ratio is not None:
            return f"Critical mixture ratio {self.ratio:.3f} (between {self.at_least:g} and {self.below:g}), {where}; {len(self.curves)} ratios"
        if self.at_least is not None:
            return f"Every ratio up to {self.at_least:g} is feasible {where}: the critical one was not reached. Train a run with more domain data"
        return f"No measured ratio is feasible {where}. Train a run with less domain data, or for longer"

    def _repr_html_(self) -> str:
        warnings = "".join(f"<li>{escape(w)}</li>" for w in self.warnings)
        return f"<b>{escape(str(self))}</b><ul>{warnings}</ul>{self.table._repr_html_()}{self.sensitivity._repr_html_()}"


def crossing(
    ratios: np.ndarray, general: np.ndarray, domain: np.ndarray, epsilon: float = EPSILON
) -> tuple[float | None, float | None, float | None]:
    """The critical ratio, the largest feasible measured one, and the next; linear between them.

    Args:
        ratios: float [n], ascending.
        general: float [n], change of the general loss.
        domain: float [n], change of the domain loss.
        epsilon: rise of the general loss that is allowed.

    """
    feasible = np.flatnonzero((general <= epsilon) & (domain < 0))
    if not len(feasible):
        return None, None, float(ratios[0])
    i = int(feasible[-1])
    if i == len(ratios) - 1:
        return None, float(ratios[i]), None
    steps = [1.0]
    if general[i + 1] > epsilon:
        steps.append((epsilon - general[i]) / (general[i + 1] - general[i]))
    if domain[i + 1] >= 0:
        steps.append(-domain[i] / (domain[i + 1] - domain[i]))
    return float(ratios[i] + min(steps) * (ratios[i + 1] - ratios[i])), float(ratios[i]), float(ratios[i + 1])


def critical_ratio(
    table: pl.DataFrame,
    *,
    ratio: str = "ratio",
    tokens: str = "tokens",
    general: str = "general_loss",
    domain: str = "domain_loss",
    epsilon: float = EPSILON,
    at_tokens: float | None = None,
) -> CriticalRatio:
    """The critical mixture ratio of runs of one model.

    Args:
        table: a row a measurement; each ratio needs one at 0 tokens, the model that it started from.
        ratio: column of the share of domain data.
        tokens: column of the tokens trained on since the start.
        general: column of the loss on general text.
        domain: column of the loss on the domain's text.
        epsilon: rise of the general loss that is put up with.
        at_tokens: after how many tokens; by default the most that all ratios were measured at.

    Raises:
        ColumnNotFoundError: a column is not there.
        MixtureError: fewer than 2 ratios, no start, no number of tokens in common, or a question beyond twice the longest run.

    """
    columns = (ratio, tokens, general, domain)
    known = numbers(table, columns, "the table of losses", "Name the columns: ratio=, tokens=, general=, domain=").drop_nulls()
    curves = _curves(known.to_numpy())
    shared = sorted(set.intersection(*(set(curve.tokens) for curve in curves)))
    if at_tokens is None:
        if not shared:
            raise MixtureError("No number of tokens was measured for every ratio. Give at_tokens=, which the curves are then asked about.")
        at_tokens = shared[-1]
    longest = min(float(curve.tokens[-1]) for curve in curves)
    if not 0 < at_tokens <= FARTHEST * longest * (1 + 1e-9):
        raise MixtureError(
            f"{at_tokens:,.0f} tokens cannot be asked about. The runs reach {longest:,.0f}; up to {FARTHEST * longest:,.0f} can be read from curves. Train longer."
        )
    read = [curve.at(at_tokens) for curve in curves]
    lacking = [f"{curve.ratio:g}" for curve, found in zip(curves, read, strict=True) if found is None]
    if lacking:
        raise MixtureError(
            f"Ratio {', '.join(lacking)} was not measured after {at_tokens:,.0f} tokens and has too few points for a curve. It takes 6. Measure it, or ask about one of: {', '.join(f'{t:,.0f}' for t in shared) or 'none'}."
        )
    values = np.array([found for found in read if found is not None])
    ratios = np.array([curve.ratio for curve in curves])
    found, at_least, below = crossing(ratios, values[:, 0], values[:, 1], epsilon)
    over = []
    for t in shared:
        changes = np.array([curve.at(t) for curve in curves])
        over.append((t, crossing(ratios, changes[:, 0], changes[:, 1], epsilon)[0]))
    measured = [(t / UNIT, r) for t, r in over if r is not None]
    law = fit_power_law(*np.array(measured).T) if len(measured) >= 4 else None
    rows = [
        (c.ratio, g, d, bool(g <= epsilon and d < 0), len(c.tokens), c.general_law and c.general_law.r2, c.domain_law and c.domain_law.r2)
        for c, (g, d) in zip(curves, values, strict=True)
    ]
    schema = {"ratio": pl.Float64, "general_change": pl.Float64, "domain_change": pl.Float64, "feasible": pl.Boolean}
    schema |= {"points": pl.Int64, "general_r2": pl.Float64, "domain_r2": pl.Float64}
    others = [(epsilon * by, crossing(ratios, values[:, 0], values[:, 1], epsilon * by)[0]) for by in (0.25, 0.5, 1.0, 2.0, 4.0)]
    return CriticalRatio(
        found, at_least, below, at_tokens, epsilon, at_tokens / longest,
        pl.DataFrame(rows, schema=schema, orient="row"),
        pl.DataFrame(others, schema={"epsilon": pl.Float64, "ratio": pl.Float64}, orient="row"),
        pl.DataFrame(over, schema={"tokens": pl.Float64, "ratio": pl.Float64}, orient="row"),
        law, curves,
    )  # fmt: skip


def _curves(rows: np.ndarray) -> tuple[Curve, ...]:
    """A curve a ratio, ascending."""
    ratios = np.unique(rows[:, 0])
    if len(ratios) < 2 or (ratios <= 0).any() or (ratios > 1).any():
        raise MixtureError(
            f"The ratios are {', '.join(f'{r:g}' for r in ratios) or 'none'}. It takes 2 or more, above 0 and at most 1. Train at other ratios."
        )
    curves = []
    for ratio in ratios:
        mine = rows[rows[:, 0] == ratio]
        mine = mine[np.argsort(mine[:, 1], kind="stable")]
        t = mine[:, 1]
        if t[0] != 0 or len(t) < 2 or len(np.unique(t)) < len(t):
            raise MixtureError(
                f"Ratio {ratio:g} was measured at {', '.join(f'{v:,.0f}' for v in t)} tokens. It takes 0 (the model it started from) and others, each once. Add the row of 0 tokens."
            )
        general, domain = mine[1:, 2] - mine[0, 2], mine[1:, 3] - mine[0, 3]
        at = t[1:] / UNIT
        curves.append(
            Curve(
                float(ratio), t[1:], general, domain,
                fit_two_powers(at, general) if len(at) >= 6 else None,
                fit_power_law(at, domain) if len(at) >= 4 else None,
            )
        )  # fmt: skip
    return tuple(curves)
