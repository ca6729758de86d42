"""RegMix on the authors' own runs, which lie beside this file: the published figures, and what it must not do silently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import ColumnNotFoundError, MixtureError
from explorer.mixture.proxy_runs import Runs, propose_runs, reach, read_runs
from explorer.mixture.regmix import best_mixture, fit, held_out

TABLE = pl.read_csv(Path(__file__).parent / "regmix_runs.csv", comment_prefix="#")
DOMAINS = tuple(TABLE.columns[1:-2])
TABLE = TABLE.with_columns(pl.col(DOMAINS) / 1000)
# Token shares of The Pile, as in the authors' notebook.
PRIOR = (0.11328527, 0.07960865, 0.00391349, 0.1853759, 0.05108136, 0.01596293, 0.10175077, 0.00370752, 0.06652935, 0.00175077, 0.02708548,
         0.23686921, 0.01184346, 0.00792997, 0.00803296, 0.03882595, 0.04644696)  # fmt: skip


def runs(split: str, target: str = "pile_cc_loss") -> Runs:
    return read_runs(TABLE.filter(pl.col("split") == split), target, DOMAINS)


@pytest.fixture(scope="module")
def pile_cc():
    return fit(runs("train"), trees=250, learning_rate=0.04, folds=0)  # a quarter of the trees, for time


def test_trees_rank_the_held_out_runs_as_published(pile_cc) -> None:
    found = held_out(pile_cc, runs("test"))
    assert found.runs == 256
    assert found.spearman == pytest.approx(0.9892, abs=0.003)  # published, with LightGBM
    low, high = found.interval
    assert low < found.spearman < high < 1


@pytest.mark.parametrize(("target", "published"), [("pile_cc_loss", 0.9021), ("ubuntu_irc_loss", 0.7663)])
def test_least_squares_does_as_reported(target: str, published: float) -> None:
    fitted = fit(runs("train", target), method="linear")
    assert held_out(fitted, runs("test", target)).spearman == pytest.approx(published, abs=0.002)
    assert fitted.spearman == pytest.approx(published, abs=0.06)  # of runs left out of the others
    assert f"{fitted.spearman:.3f}" in str(fitted)


def test_the_advised_mixture_is_the_published_one(pile_cc) -> None:
    advice = best_mixture(pile_cc, prior=dict(zip(DOMAINS, PRIOR, strict=True)), samples=20_000, top=26)
    assert advice.weights["pile_cc"] == pytest.approx(0.890924, abs=0.03)
    assert advice.weights["ubuntu_irc"] == pytest.approx(0.061429, abs=0.02)
    assert sum(advice.weights.values()) == pytest.approx(1)
    assert advice.best_sample <= advice.predicted < advice.predicted_prior
    assert 0 < advice.distance < advice.nearest_run
    assert any("outside what the runs span" in warning for warning in advice.warnings)
    assert "was not judged" in " ".join(advice.warnings)
    change = dict(advice.table.select("domain", "loss_change").iter_rows())
    assert change["github"] > 0
    assert "<table" in advice._repr_html_()


def linear_runs(n: int = 40, seed: int = 0) -> Runs:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(3), n)
    return Runs(("a", "b", "c"), weights, weights @ np.array([1.0, 2.0, 3.0]), "loss")


def test_epochs_are_counted_and_capped() -> None:
    there = {"a": 1e9, "b": 4e9, "c": 5e9}
    free = best_mixture(fit(linear_runs(), method="linear"), available_tokens=there, budget_tokens=10e9, samples=2000, top=20)
    assert free.weights["a"] > 0.6
    row = free.table.row(0, named=True)
    assert row["epochs"] == pytest.approx(row["weight"] * 10)
    assert row["effective_tokens"] < row["tokens"]
    assert any("epochs. Repeats" in warning for warning in free.warnings)
    capped = best_mixture(
        fit(linear_runs(), method="linear"), available_tokens=there, budget_tokens=10e9, max_epochs=2, samples=2000, top=20
    )
    assert capped.table["epochs"].max() <= 2
    assert free.predicted < capped.predicted < capped.predicted_prior
    with pytest.raises(MixtureError, match="The tightest is a, which may have"):
        best_mixture(fit(linear_runs(), method="linear"), available_tokens=there, budget_tokens=10e9, max_epochs=1.0, samples=2000, top=200)
    with pytest.raises(MixtureError, match="budget_tokens=0 cannot be used"):
        best_mixture(fit(linear_runs(), method="linear"), available_tokens=there, budget_tokens=0)


def test_a_domain_without_a_share_gets_none_and_a_full_one_cannot_grow() -> None:
    advice = best_mixture(fit(linear_runs(), method="linear"), prior={"a": 1, "b": 1, "c": 0}, samples=500, top=1)
    assert advice.weights["c"] == 0
    assert advice.weights["a"] > 0.99
    assert advice.table["loss_change"][0] is None
    assert "a: weight" in advice.warnings[0]  # beyond what any run tried


def test_the_hull_of_the_runs_is_measured_by_hand() -> None:
    tried = np.array([[0.8, 0.2, 0.0], [0.2, 0.8, 0.0]])
    assert reach(np.array([0.5, 0.5, 0.0]), tried) == pytest.approx((0, 0.3), abs=1e-9)
    assert reach(np.array([1.0, 0.0, 0.0]), tried) == pytest.approx((0.2, 0.2), abs=1e-9)
    assert reach(np.array([0.25, 0.25, 0.5]), tried) == pytest.approx((0.5, 0.55), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(1, 20), st.integers(0, 2**31))
def test_mixtures_of_runs_lie_inside_them(domains: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tried = rng.dirichlet(np.ones(domains), n)
    inside, nearest = reach(rng.dirichlet(np.ones(n)) @ tried, tried)
    assert inside == pytest.approx(0, abs=1e-7)
    assert 0 <= nearest <= 1


def test_proposed_runs_are_mixtures_of_all_kinds() -> None:
    prior = dict(zip(DOMAINS, PRIOR, strict=True))
    proposed = propose_runs(prior, 200, seed=1)
    weights = proposed.drop("run").to_numpy()
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(weights / 2e-4, np.round(weights / 2e-4), atol=1e-6)
    assert len(np.unique(weights, axis=0)) == 200
    assert (weights.max(0) <= np.minimum(1, 15 * np.array(PRIOR)) + 0.01).all()
    assert weights.max() > 0.9  # nearly one domain alone
    assert proposed.equals(propose_runs(prior, 200, seed=1))
    assert not proposed.equals(propose_runs(prior, 200, seed=2))
    assert read_runs(proposed.with_columns(loss=pl.lit(2.0)), "loss").domains == DOMAINS


def test_bad_runs_are_refused_with_the_next_step() -> None:
    table = pl.DataFrame({"run": [0, 1], "a": [0.5, 0.2], "b": [0.5, 0.7], "loss": [2.0, 3.0], "name": ["x", "y"]})
    with pytest.raises(MixtureError, match=r"weights of row 1 add up to 0\.9 .* domains="):
        read_runs(table, "loss")
    assert read_runs(table, "loss", ["a", "b"], any_sum=True).weights[1] == pytest.approx([2 / 9, 7 / 9])
    with pytest.raises(ColumnNotFoundError, match="'perplexity' is not in the table of runs"):
        read_runs(table, "perplexity")
    with pytest.raises(MixtureError, match="'name' of the table of runs holds String"):
        read_runs(table, "loss", ["a", "name"])
    with pytest.raises(MixtureError, match="two domains or more"):
        read_runs(table, "loss", ["a"])
    nulls = pl.DataFrame({"a": [0.5, 1.0, None], "b": [0.5, 0.0, 1.0], "loss": [2.0, None, 1.0]})
    left = read_runs(nulls, "loss")
    assert (len(left), left.left_out) == (1, 2)


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(MixtureError, match=r"40 runs are too few for trees over 3 domains. It takes 80; .* linear method \(8 runs\)"):
        fit(linear_runs())
    with pytest.raises(MixtureError, match="It takes 8"):
        fit(linear_runs(7), method="linear")
    flat = Runs(("a", "b"), np.random.default_rng(0).dirichlet([1, 1], 20), np.ones(20), "loss")
    advice = best_mixture(fit(flat, method="linear"), samples=100, top=10)
    assert advice.regression.spearman is None
    assert "correlation on runs left out is undefined" in " ".join(advice.warnings)
    with pytest.raises(MixtureError, match="held-out runs have the domains a, b"):
        held_out(fit(linear_runs(), method="linear"), flat)
