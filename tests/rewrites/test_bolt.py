"""BoLT's importance weights against the published example, and the draw against NumPy's own as the authors call it."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest
from scipy.special import logsumexp

from explorer.errors import ColumnNotFoundError, SelectionError
from explorer.rewrites.methods.bolt import importance

GEN, JOINT = [-40.0, -35.0, -50.0, -42.0], [-120.0, -116.5, -131.0, -121.0]


def table(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame({"prompt": ["p"] * 4, "gen_logprob": GEN, "joint_logprob": JOINT, **columns})


def test_the_published_example() -> None:
    found = importance(table())
    assert found.samples["log_importance_weight"].to_list() == [-80.0, -81.5, -81.0, -79.0]
    assert found.samples["bolt_select_prob"].to_list() == pytest.approx([0.23205671, 0.05177885, 0.08536889, 0.63079554], abs=1e-8)
    row = found.groups.row(0, named=True)
    assert (row["samples"], row["undefined"], row["elbo_1"]) == (4, 0, -80.0)
    assert row["elbo_2"] == pytest.approx(-80.4917339, abs=1e-7)
    assert row["elbo_4"] == pytest.approx(-79.92552087, abs=1e-8)
    assert row["ess"] == pytest.approx(1 / (0.23205671**2 + 0.05177885**2 + 0.08536889**2 + 0.63079554**2), rel=1e-6)
    assert row["best_prob"] == pytest.approx(0.63079554)
    assert found.samples["bolt_selected"].sum() == 1


def test_the_draw_is_that_of_the_authors() -> None:
    rng = np.random.default_rng(7)
    n, k = 200, 5
    samples = pl.DataFrame(
        {
            "prompt": np.repeat([f"p{i}" for i in range(n)], k),
            "gen_logprob": rng.normal(-40, 2, n * k),
            "joint_logprob": rng.normal(-90, 2, n * k),
        }
    )
    draw = np.random.default_rng(42)  # rng.choice(outs, p=...) once a text
    weights = (samples["joint_logprob"] - samples["gen_logprob"]).to_numpy().reshape(n, k)
    expected = []
    for w in weights:
        p = np.exp(w - w.max())
        expected.append(int(draw.choice(k, p=p / p.sum())))
    found = importance(samples, elbo=(1, 5))
    assert found.samples["bolt_selected"].to_numpy().reshape(n, k).argmax(1).tolist() == expected
    np.testing.assert_allclose(found.groups["elbo_5"], logsumexp(weights, axis=1) - np.log(5))
    again = importance(samples, seed=1).samples["bolt_selected"].to_numpy().reshape(n, k).argmax(1).tolist()
    assert again != expected


def test_groups_may_be_mixed() -> None:
    mixed = pl.DataFrame({"text": [3, 1, 3, 1, None], "q": [-1.0, -2.0, -1.0, -2.0, -1.0], "p": [-2.0, -2.0, -2.0, -5.0, -1.0]})
    found = importance(mixed, group="text", gen="q", joint="p", elbo=(2, 3))
    assert found.groups["text"].to_list() == [3, 1], "in the order of their first samples"
    assert found.groups["ess"].to_list() == pytest.approx([2.0, 1 / (0.95257413**2 + 0.04742587**2)], rel=1e-6)
    assert found.groups["elbo_3"].to_list() == [None, None], "no ELBO of three from two samples"
    assert found.samples["bolt_select_prob"].to_list()[4] is None
    assert found.samples["bolt_selected"].to_list()[4] is False


def test_what_has_no_weight_is_never_drawn() -> None:
    samples = table().with_columns(pl.Series("joint_logprob", [None, float("nan"), -np.inf, -100.0]))
    found = importance(samples)
    assert found.samples["log_importance_weight"].to_list() == [None, None, -np.inf, -58.0]
    assert found.samples["bolt_select_prob"].to_list() == [None, None, 0.0, 1.0]
    assert found.samples["bolt_selected"].to_list() == [False, False, False, True]
    row = found.groups.row(0, named=True)
    assert (row["samples"], row["undefined"], row["elbo_1"], row["ess"], row["best_prob"]) == (2, 2, None, 1.0, 1.0)
    none = importance(table().with_columns(pl.lit(None, pl.Float64).alias("gen_logprob")))
    assert none.samples["bolt_selected"].sum() == 0
    assert none.groups["ess"].to_list() == [None]
    assert "none has a weight" in str(none)
    certain = importance(table().with_columns(pl.Series("gen_logprob", [-np.inf, -35.0, -50.0, -42.0])))
    assert certain.samples["log_importance_weight"].to_list()[0] is None, "written although it has no probability"


def test_very_small_probabilities_do_not_vanish() -> None:
    far = table().with_columns(pl.col("joint_logprob") - 1e6)
    assert importance(far).samples["bolt_select_prob"].to_list() == pytest.approx(
        [0.23205671, 0.05177885, 0.08536889, 0.63079554], abs=1e-6
    )


def test_cut_suffixes_are_counted() -> None:
    found = importance(table(n_suffix_truncated=[0, 3, None, 1]), truncated="n_suffix_truncated")
    assert found.groups["truncated"].to_list() == [2]
    assert "effective sample size" in found._repr_html_()


def test_an_empty_table_and_wrong_names() -> None:
    empty = importance(table().head(0))
    assert empty.groups.height == 0
    assert empty.samples.columns[-1] == "bolt_selected"
    with pytest.raises(ColumnNotFoundError, match="Column 'gen_logprob' is not in the samples"):
        importance(pl.DataFrame({"prompt": ["a"]}))
    with pytest.raises(SelectionError, match="estimated from 1 or more"):
        importance(table(), elbo=(0,))


def test_a_million_samples() -> None:
    rng = np.random.default_rng(0)
    n = 1_000_000
    samples = pl.DataFrame({"prompt": np.arange(n) // 8, "gen_logprob": rng.normal(-40, 2, n), "joint_logprob": rng.normal(-90, 2, n)})
    started = time.monotonic()
    found = importance(samples)
    assert time.monotonic() - started < 30
    assert found.samples["bolt_selected"].sum() == n // 8
