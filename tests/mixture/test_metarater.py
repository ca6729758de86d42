"""Weights of quality scores from runs, and the score they add up to."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from explorer.errors import MixtureError
from explorer.mixture.metarater import PUBLISHED, combine, score_runs, score_weights


def test_weights_of_any_size_are_learned_from_runs() -> None:
    rng = np.random.default_rng(3)
    raw = rng.random((40, 3)) * 7
    share = raw / raw.sum(1, keepdims=True)
    table = pl.DataFrame({"edu": raw[:, 0], "dclm": raw[:, 1], "clean": raw[:, 2], "loss": 3 - share[:, 0] + 0.5 * share[:, 2]})
    advice = score_weights(score_runs(table, "loss", ["edu", "dclm", "clean"]), method="linear", samples=5000, top=50)
    assert advice.weights["edu"] > 0.8
    assert advice.regression.spearman == pytest.approx(1)
    accuracy = table.with_columns(accuracy=-pl.col("loss"))
    same = score_weights(
        score_runs(accuracy, "accuracy", ["edu", "dclm", "clean"], higher_is_better=True), method="linear", samples=5000, top=50
    )
    assert same.weights == pytest.approx(advice.weights)
    assert "minus accuracy" in str(same)


def test_scores_are_made_comparable_before_they_are_added() -> None:
    words, edu = np.array([100.0, 2000.0, 300.0, 400.0]), np.array([1.0, 2.0, 5.0, np.nan])
    found = combine({"words": words, "edu": edu}, {"words": 0.5, "edu": 0.5})
    z = (words - 700) / words.std(), (edu - edu[:3].mean()) / edu[:3].std()
    np.testing.assert_allclose(found.values[:3], 0.5 * (z[0] + z[1])[:3])
    assert np.isnan(found.values[3])
    assert found.table["undefined"].to_list() == [0, 1]
    assert found.table["variance_share"].sum() == pytest.approx(1)
    raw = combine({"words": words, "edu": edu}, {"words": 0.5, "edu": 0.5}, scale="raw")
    assert raw.table["variance_share"][0] > 0.999  # what happens to the published example
    assert "words makes 100% of the variance" in str(raw)
    ranks = combine({"words": words, "edu": edu}, {"words": 0.0, "edu": 2.0}, scale="rank")
    np.testing.assert_allclose(ranks.values[:3], 2 * np.array([1 / 6, 3 / 6, 5 / 6]))


def test_constant_scores_say_nothing_and_strays_are_refused() -> None:
    flat = combine({"a": np.ones(3), "b": np.ones(3)}, {"a": 1.0, "b": 1.0})
    assert flat.table["variance_share"].to_list() == [None, None]
    with pytest.raises(MixtureError, match="'b' has only a score or only a weight"):
        combine({"a": np.ones(3)}, {"a": 1.0, "b": 1.0})
    with pytest.raises(MixtureError, match="different lengths"):
        combine({"a": np.ones(3), "b": np.ones(2)}, {"a": 1.0, "b": 1.0})


def test_the_published_weights_are_all_there() -> None:
    assert len(PUBLISHED) == 25
    assert sum(PUBLISHED.values()) == pytest.approx(1, abs=0.01)
