"""Mixtures that change during a run, and published ones."""

from __future__ import annotations

import polars as pl
import pytest

from explorer.errors import ColumnNotFoundError, MixtureError
from explorer.mixture.presets import PRESETS, preset
from explorer.mixture.trajectories import read_trajectories, simple_trajectory

TABLE = pl.DataFrame(
    {
        "trajectory_id": ["b", "a", "a", "a", "b"],
        "step": [1, 3, 1, 2, 2],
        "w_web": [0.5, 0.2, 1.0, 0.6, 0.5],
        "w_math": [0.5, 0.8, 0.0, 0.4, 0.5],
        "read": [10.0, 20.0, 10.0, 10.0, 10.0],
        "mmlu": [0.3, 0.5, 0.2, 0.4, 0.3],
    }
)


def test_steps_are_ordered_summed_and_measured() -> None:
    found = read_trajectories(TABLE, tokens="read", metrics=["mmlu"], available_tokens={"web": 10, "math": 100})
    assert found.steps.filter(pl.col("trajectory") == "a").rows() == [
        ("a", 1, None, 10.0, 0.2),
        ("a", 2, pytest.approx(0.4), 20.0, 0.4),
        ("a", 3, pytest.approx(0.4), 40.0, 0.5),
    ]
    web = found.table.filter((pl.col("trajectory") == "a") & (pl.col("domain") == "web"))
    assert web["tokens"].to_list() == pytest.approx([10, 16, 20])
    assert web["epochs"].to_list() == pytest.approx([1, 1.6, 2.0])
    assert found.summary.row(0, named=True) == {
        "trajectory": "a", "steps": 3, "tokens": 40.0, "mean_change": pytest.approx(0.4), "largest_change": pytest.approx(0.4),
        "mmlu_first": 0.2, "mmlu_last": 0.5, "mmlu_change": pytest.approx(0.3),
    }  # fmt: skip
    assert found.summary["largest_change"].to_list()[1] == 0
    bare = read_trajectories(TABLE)
    assert bare.table["tokens"].null_count() == bare.table["epochs"].null_count() == 10


def test_simple_trajectories_are_read_back() -> None:
    start, end = {"web": 3, "math": 1}, {"math": 1, "web": 1}
    shapes = pl.concat([simple_trajectory(start, end, steps=5, shape=shape) for shape in ("constant", "linear", "cosine", "anneal")])
    found = read_trajectories(shapes)
    math = {key[0]: part["weight"].to_list() for key, part in found.table.filter(pl.col("domain") == "math").group_by("trajectory")}
    assert math["constant"] == [0.25] * 5
    assert math["linear"] == pytest.approx([0.25, 0.3125, 0.375, 0.4375, 0.5])
    assert math["cosine"] == pytest.approx([0.25, 0.28661165, 0.375, 0.46338835, 0.5])
    assert math["anneal"] == pytest.approx([0.25, 0.25, 0.25, 0.25, 0.5])


def test_what_is_no_mixture_is_refused_by_step() -> None:
    with pytest.raises(MixtureError, match="Step 2 of trajectory 'a'"):
        read_trajectories(TABLE.with_columns(w_web=pl.when(pl.col("step") == 2).then(0.9).otherwise("w_web")))
    with pytest.raises(MixtureError, match="comes twice"):
        read_trajectories(pl.concat([TABLE, TABLE]))
    with pytest.raises(MixtureError, match="no column"):
        read_trajectories(TABLE.drop("w_web", "w_math"))
    with pytest.raises(ColumnNotFoundError, match="'tokens' is not in the table of steps"):
        read_trajectories(TABLE, tokens="tokens")
    with pytest.raises(ColumnNotFoundError, match="'run' is not in the table of steps"):
        read_trajectories(TABLE, trajectory="run")
    with pytest.raises(MixtureError, match=r"'step' of the table of steps holds String\. Steps are numbers or times"):
        read_trajectories(TABLE.with_columns(pl.col("step").cast(pl.String)))
    with pytest.raises(MixtureError, match="is empty"):
        read_trajectories(TABLE.head(0))
    with pytest.raises(MixtureError, match="Both name the same"):
        simple_trajectory({"a": 1, "b": 1}, {"a": 1, "c": 1})


def test_presets_are_the_published_tallies() -> None:
    totals = {name: round(found.amount / 1e9, 3) for name, found in PRESETS.items()}
    assert totals["dolmino-50b"] == 51.47
    assert totals["dolmino-100b"] == 112.94
    assert totals["dolmino-300b"] == 311.42
    assert [stage.amount / 1e9 for stage in preset("crystal").stages] == pytest.approx([345, 927, 110])
    shares = preset("dolmino-50b").stages[0].weights
    assert (shares["dclm"], shares["flan"]) == pytest.approx((0.472, 0.166), abs=5e-4)
    assert preset("babylm-strict-small").table["share"].to_list()[:2] == pytest.approx([0.30, 0.15])
    for found in PRESETS.values():
        assert all(sum(stage.weights.values()) == pytest.approx(1) for stage in found.stages)
        assert (found.table["amount"] > 0).all()
        assert found.source
    with pytest.raises(MixtureError, match=r"No preset is called 'dolmino'\. Presets: dolmino-50b"):
        preset("dolmino")
