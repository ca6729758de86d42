"""RegMix: from the losses of many small runs on random mixtures to a mixture for the large run.

    runs (weights a domain, one loss) ── fit ──► Regression ── best_mixture ──► Advice

The regression is RegMix's: boosted trees, 1,000 of them with a learning rate of 0.01, leaves of at least 20 runs. The authors use LightGBM
and stop early on the held-out runs; here it is scikit-learn's histogram trees, which have the same defaults, without early stopping, so that
no run both stops the fit and judges it. On the authors' 512 runs and 256 held-out ones the rank correlations of all 13 losses lie within
0.002 of the published ones (Pile-CC 0.990 against 0.989, Ubuntu IRC 0.968 against 0.969), and the mixture advised for Pile-CC has 0.901 of
it and 0.049 of Ubuntu IRC (published: 0.891 and 0.061; dividing the rounded weights by their sums moves both by as much).

What it rests on: the order of mixtures must be the same for large models as for small ones, which the runs themselves cannot show.

Source: Liu et al. 2024, RegMix, arXiv:2407.01492; settings from github.com/sail-sg/regmix, regression_fitting/regression.ipynb.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Literal, Protocol, get_args

import numpy as np
import polars as pl

from explorer.errors import MixtureError
from explorer.mixture.amounts import effective_tokens
from explorer.mixture.proxy_runs import Runs, reach, shares_of
from explorer.scorers.intervals import spearman_interval

Method = Literal["trees", "linear"]
TREES, LEARNING_RATE, LEAF = 1000, 0.01, 20  # LEAF: of both libraries' defaults
FOLDS = 5
FEWEST = {"trees": 80, "linear": 5}  # trees: half of the runs, the fewest a fit sees, can be split once; linear: so many more than domains
SAMPLES, TOP, SEED = 100_000, 128, 42
WEAK = 0.8  # ours: below it the order of mixtures is too uncertain to follow
STEP = 0.05  # by which a domain is raised to see what it does to the loss


class Model(Protocol):
    """What a fit needs of a regression."""

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """Losses of mixtures: float64 [n] from [n, domains]."""


@dataclass(frozen=True)
class Regression:
    """A loss as a function of the mixture, and how far it can be believed.

    Attributes:
        runs: what it was fitted to.
        method: boosted trees or least squares.
        spearman: rank correlation of predicted and true losses, each predicted by a fit without it; None where the losses or the
            predictions are all equal, and without folds.
        interval: 95 % interval of it; None where it is undefined.
        rmse: root of the mean squared error of the same predictions; None without folds.

    """

    runs: Runs
    method: Method
    spearman: float | None
    interval: tuple[float, float] | None
    rmse: float | None
    model: Model = field(repr=False)

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """Losses of mixtures: float64 [n] from float [n, domains]."""
        return np.asarray(self.model.predict(np.asarray(weights, np.float64)), np.float64)

    def __str__(self) -> str:
        low, high = self.interval or (math.nan, math.nan)
        judged = "not judged on runs left out"
        if self.rmse is not None:
            rho = "undefined" if self.spearman is None else f"{self.spearman:.3f} (95 % interval {low:.3f} to {high:.3f})"
            judged = f"rank correlation on runs left out {rho}, error {self.rmse:.4g}"
        return (
            f"{self.method} on {len(self.runs):,} runs of {len(self.runs.domains)} domains, {self.runs.target} from {self.runs.loss.min():.4g} "
            f"to {self.runs.loss.max():.4g}: {judged}"
        )

    def _repr_html_(self) -> str:
        return f"<b>{escape(str(self))}</b>"


def fit(
    runs: Runs, *, method: Method = "trees", trees: int = TREES, learning_rate: float = LEARNING_RATE, folds: int = FOLDS, seed: int = SEED
) -> Regression:
    """Fit the regression, and one more a fold, which leaves out the fold's runs and predicts them, to judge it.

    Six fits of 1,000 trees to 512 runs took 12 s of one core; `best_mixture` with 100,000 samples another 16 s.

    Args:
        runs: what was trained.
        method: "trees" (RegMix) or "linear", least squares, for too few runs to grow trees on.
        trees: how many are boosted.
        learning_rate: of the boosting; times the number of trees it should stay near 10.
        folds: parts that the runs are divided into; 0 leaves the judging to `held_out`.
        seed: of the folds.

    Raises:
        MixtureError: too few runs for the method, or an unknown method.

    """
    if method not in get_args(Method):
        raise MixtureError(f"Method {method!r} is not known. Methods: {', '.join(get_args(Method))}. Choose one.")
    fewest = FEWEST["trees"] if method == "trees" else len(runs.domains) + FEWEST["linear"]
    if len(runs) < fewest:
        other = f" or use the linear method ({len(runs.domains) + FEWEST['linear']} runs)" if method == "trees" else ""
        raise MixtureError(
            f"{len(runs)} runs are too few for {method} over {len(runs.domains)} domains. It takes {fewest}; RegMix used 512. Train more{other}."
        )
    if folds and not 2 <= folds <= FOLDS:
        raise MixtureError(f"folds={folds} leaves no sound share of the runs out. folds is 2 to {FOLDS}, or 0 for none. Choose one.")

    def model(chosen: np.ndarray) -> Model:
        return _model(runs.weights[chosen], runs.loss[chosen], method, trees, learning_rate)

    whole = model(np.ones(len(runs), bool))
    if not folds:
        return Regression(runs, method, None, None, None, whole)
    fold = np.random.default_rng(seed).permutation(len(runs)) % folds
    guessed = np.empty(len(runs))
    for i in range(folds):
        guessed[fold == i] = model(fold != i).predict(runs.weights[fold == i])
    return Regression(runs, method, *_agreement(guessed, runs.loss), whole)


@dataclass(frozen=True)
class HeldOut:
    """How a regression does on runs that had no part in it: rank correlation, its 95 % interval, error, and how many runs."""

    runs: int
    spearman: float | None
    interval: tuple[float, float] | None
    rmse: float


def held_out(regression: Regression, runs: Runs) -> HeldOut:
    """Judge a regression by other runs, of a larger model for example (whose losses it can only rank).

    Raises:
        MixtureError: the runs are of other domains.

    """
    if runs.domains != regression.runs.domains:
        raise MixtureError(
            f"The held-out runs have the domains {', '.join(runs.domains)}. They must be {', '.join(regression.runs.domains)}, in that order. Name them."
        )
    rho, interval, rmse = _agreement(regression.predict(runs.weights), runs.loss)
    return HeldOut(len(runs), rho, interval, rmse)


def _model(weights: np.ndarray, loss: np.ndarray, method: Method, trees: int, learning_rate: float) -> Model:
    if method == "linear":
        from sklearn.linear_model import LinearRegression

        return LinearRegression().fit(weights, loss)
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    trees_of = HistGradientBoostingRegressor(
        learning_rate=learning_rate, max_iter=trees, min_samples_leaf=LEAF, early_stopping=False, random_state=SEED
    )
    with threadpool_limits(1, "openmp"):  # a few hundred runs: threads that wait for each other at every node take longer
        return trees_of.fit(weights, loss)


def _agreement(guessed: np.ndarray, true: np.ndarray) -> tuple[float | None, tuple[float, float] | None, float]:
    from scipy.stats import spearmanr

    rmse = float(np.sqrt(((guessed - true) ** 2).mean())) if len(true) else math.nan
    if len(true) < 3 or np.ptp(guessed) == 0 or np.ptp(true) == 0:
        return None, None, rmse
    rho = float(spearmanr(guessed, true)[0])
    low, high = spearman_interval(rho, len(true))
    return rho, None if math.isnan(low) else (low, high), rmse


@dataclass(frozen=True)
class Advice:
    """A mixture that the regression believes in.

    Attributes:
        table: a row a domain: ``domain, prior, weight, spread`` (standard deviation among the best samples), ``lowest, highest`` (weight in
            any run), ``beyond`` (how far the weight lies outside them), ``loss_change`` (predicted, when the domain gets 0.05 more and the
            others shrink in proportion), ``tokens, epochs, effective_tokens`` (null without a budget and what is available).
        regression: what predicts.
        predicted, predicted_prior: losses of the advised mixture and of the prior.
        best_sample: lowest predicted loss among the samples; the mean of the best ones need not reach it.
        distance: total variation distance to the nearest mixture that the runs span (their convex hull); 0 where it lies inside. It is the
            share of the training data for which the advice goes beyond what was tried.
        nearest_run: the same distance to the nearest single run.
        samples, top: mixtures tried, and how many of the best were averaged.

    """

    table: pl.DataFrame
    regression: Regression
    predicted: float
    predicted_prior: float
    best_sample: float
    distance: float
    nearest_run: float
    samples: int
    top: int

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each domain; they add up to 1."""
        return dict(self.table.select("domain", "weight").iter_rows())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before following the advice."""
        said = []
        beyond = self.table.filter(pl.col("beyond") > 0).sort("beyond", descending=True)
        for row in beyond.iter_rows(named=True):
            said.append(
                f"{row['domain']}: weight {row['weight']:.4f} lies {row['beyond']:.4f} outside what the runs tried ({row['lowest']:.4f} to {row['highest']:.4f})."
            )
        if self.distance > 0.005:
            said.append(
                f"The mixture lies outside what the runs span: {self.distance:.3f} of the data would have to be moved to come back. Train a run there."
            )
        rho = self.regression.spearman
        if self.regression.rmse is None:
            said.append("The regression was not judged on runs it has not seen.")
        elif rho is None or rho < WEAK:
            said.append(f"The rank correlation on runs left out is {'undefined' if rho is None else f'{rho:.2f}'}: more runs are needed.")
        if not self.predicted < self.predicted_prior:
            said.append("The prior is predicted to be as good or better.")
        for row in self.table.filter(pl.col("epochs") > 4).iter_rows(named=True):
            said.append(f"{row['domain']}: {row['epochs']:.1f} epochs. Repeats beyond 4 are worth less and less.")
        return tuple(said)

    def __str__(self) -> str:
        top = self.table.sort("weight", descending=True).head(3)
        largest = ", ".join(f"{name} {weight:.3f}" for name, weight in top.select("domain", "weight").iter_rows())
        return f"{largest} …: predicted {self.regression.runs.target} {self.predicted:.4g} (prior {self.predicted_prior:.4g}); {self.regression}"

    def _repr_html_(self) -> str:
        warnings = "".join(f"<li>{escape(w)}</li>" for w in self.warnings)
        return f"<b>{escape(str(self))}</b><ul>{warnings}</ul>{self.table._repr_html_()}"


def best_mixture(
    regression: Regression,
    *,
    prior: Mapping[str, float] | None = None,
    strength: float = 1.0,
    available_tokens: Mapping[str, float] | None = None,
    budget_tokens: float | None = None,
    max_epochs: float | None = None,
    samples: int = SAMPLES,
    top: int = TOP,
    seed: int = SEED,
) -> Advice:
    """Draw mixtures around a prior, predict each, and average the best.

    Args:
        regression: from `fit`.
        prior: share of each domain, the parameters of the Dirichlet distribution once they add up to 1; by default the shares of
            ``available_tokens``, else the mean of the runs. A domain of share 0 gets none.
        strength: what the shares are multiplied with: the higher, the nearer to the prior.
        available_tokens: tokens there are of each domain.
        budget_tokens: tokens of the large run; with the above it gives epochs.
        max_epochs: mixtures that repeat a domain more often are not drawn; needs both.
        samples: mixtures to try.
        top: how many of the best to average.
        seed: of the draw; 42 draws what the authors drew.

    Raises:
        MixtureError: a domain is missing from a mapping, a share is below 0, or ``max_epochs`` leaves too few mixtures.

    """
    domains = regression.runs.domains
    if samples < top or top < 1:
        raise MixtureError(f"top={top} of samples={samples} cannot be averaged. top is at least 1 and at most samples. Raise samples.")
    numbers = {"strength": strength, "budget_tokens": budget_tokens, "max_epochs": max_epochs}
    wrong = next((f"{name}={value:g}" for name, value in numbers.items() if value is not None and not value > 0), None)
    if wrong is not None:
        raise MixtureError(f"{wrong} cannot be used. It must be above 0. Correct it.")
    available = None if available_tokens is None else shares_of(available_tokens, domains, "available_tokens")
    shares = (
        shares_of(prior, domains, "prior") if prior is not None else regression.runs.weights.mean(0) if available is None else available
    )
    shares = shares / shares.sum()
    most = np.ones(len(domains))
    if max_epochs is not None:
        if available is None or budget_tokens is None:
            raise MixtureError("max_epochs needs available_tokens and budget_tokens to count epochs. Give both.")
        most = np.minimum(1.0, max_epochs * available / budget_tokens)
    tried = _draw(domains, shares * strength, most, samples, top, seed)
    losses = regression.predict(tried)
    best = np.argsort(losses, kind="stable")[:top]
    weight = tried[best].mean(0)
    advice = Advice(
        pl.DataFrame(), regression, float(regression.predict(weight[None])[0]), float(regression.predict(shares[None])[0]),
        float(losses[best[0]]), *reach(weight, regression.runs.weights), len(tried), top,
    )  # fmt: skip
    return replace(advice, table=_table(regression, shares, weight, tried[best].std(0), available, budget_tokens))


def _table(
    regression: Regression, prior: np.ndarray, weight: np.ndarray, spread: np.ndarray, available: np.ndarray | None, budget: float | None
) -> pl.DataFrame:
    runs = regression.runs
    low, high = runs.weights.min(0), runs.weights.max(0)
    tokens = None if budget is None else weight * budget
    known = tokens is not None and available is not None
    epochs = [t / a if a > 0 else None for t, a in zip(tokens, available, strict=True)] if known else None  # type: ignore[arg-type]
    worth = [effective_tokens(t, a) if a > 0 else None for t, a in zip(tokens, available, strict=True)] if known else None  # type: ignore[arg-type]
    columns: dict[str, object] = {
        "domain": runs.domains,
        "prior": prior,
        "weight": weight,
        "spread": spread,
        "lowest": low,
        "highest": high,
        "beyond": np.maximum(0.0, np.maximum(weight - high, low - weight)),
        "loss_change": sensitivity(regression, weight),
        "tokens": tokens,
        "epochs": epochs,
        "effective_tokens": worth,
    }
    schema = {name: pl.String if name == "domain" else pl.Float64 for name in columns}
    filled = {name: [None] * len(weight) if value is None else value for name, value in columns.items()}
    return pl.DataFrame(filled, schema=schema).with_columns(pl.col(pl.Float64).fill_nan(None))


def sensitivity(regression: Regression, weight: np.ndarray, step: float = STEP) -> np.ndarray:
    """Change of the predicted loss when a domain gets ``step`` more and the others shrink in proportion: float64 [domains].

    NaN for a domain that has no room.
    """
    n = len(weight)
    rest = np.where(weight < 1, (1 - weight - step) / np.maximum(1 - weight, 1e-300), np.nan)
    moved = weight[None] * rest[:, None]
    moved[np.arange(n), np.arange(n)] = weight + step
    change = regression.predict(np.nan_to_num(moved)) - regression.predict(weight[None])
    return np.where(weight + step <= 1, change, np.nan)


def _draw(domains: tuple[str, ...], prior: np.ndarray, most: np.ndarray, samples: int, top: int, seed: int) -> np.ndarray:
    """``samples`` mixtures from Dirichlet(prior), whose weights stay below ``most``: float64 [n, domains]; ten times as many are tried."""
    there = np.flatnonzero(prior > 0)
    rng = np.random.RandomState(seed)  # the authors' generator: the same mixtures are drawn
    kept, found = [], 0
    for _ in range(10):
        drawn = np.zeros((samples, len(prior)))
        drawn[:, there] = rng.dirichlet(prior[there], samples)
        drawn = drawn[np.isfinite(drawn).all(1) & (drawn <= most + 1e-12).all(1)]
        kept.append(drawn)
        found += len(drawn)
        if found >= samples:
            break
    needed = min(samples, 10 * top)
    if found < needed:
        tight = int(np.argmin(np.where(prior > 0, most / np.maximum(prior, 1e-300), np.inf)))
        raise MixtureError(
            f"{found:,} of {10 * samples:,} mixtures stay within max_epochs; {needed:,} are needed. The tightest is "
            f"{domains[tight]}, which may have {most[tight]:.3f} of the mixture. Raise max_epochs, lower budget_tokens or top."
        )
    return np.concatenate(kept)[:samples]
