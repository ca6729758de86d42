"""Laws of data: repeats against the authors' own numbers, data efficiency against a law that is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from explorer.errors import ColumnNotFoundError, MixtureError
from explorer.mixture.data_constrained import repeated_loss, repeats
from explorer.mixture.data_efficiency import data_efficiency

SIZES = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
LAW = 2.0 * SIZES**-0.3 + 3.0


def table(sizes, losses) -> pl.DataFrame:
    return pl.DataFrame({"tokens": sizes, "loss": losses})


@pytest.mark.parametrize(
    ("parameters", "tokens", "unique", "loss"),
    [
        (1e9, 25e9, 25e9, 2.538409), (1e9, 100e9, 25e9, 2.419527), (1e9, 100e9, 100e9, 2.414543),
        (8.7e9, 178e9, 25e9, 2.226848), (2.8e9, 55e9, 55e9, 2.354404), (2.8e9, 55e9, 13.75e9, 2.377776),
    ],
)  # fmt: skip
def test_losses_are_the_published_laws(parameters: float, tokens: float, unique: float, loss: float) -> None:
    assert repeated_loss(parameters, tokens, unique) == pytest.approx(loss, abs=1e-6)


def test_epochs_are_worth_what_is_published() -> None:
    found = repeats(1e9, epochs=(1, 4, 16.387756, 100), parameters=1e9)
    assert found.table["efficiency"].to_list() == pytest.approx([1, 0.931418, 0.654569, 0.16363], abs=1e-6)
    assert found.table["verdict"].to_list() == ["fine", "fine", "spent", "spent"]
    assert found.table["next_token"].to_list()[:3] == pytest.approx([1, np.exp(-3 / 15.387756), np.exp(-1)])
    assert found.ceiling == pytest.approx(16.387756e9)
    assert found.table["loss"].is_sorted(descending=True)
    assert (found.table["loss"] >= found.table["fresh_loss"]).all()
    assert repeats(1e9).table["loss"].null_count() == 8
    with pytest.raises(MixtureError, match="above 0"):
        repeats(0)
    with pytest.raises(MixtureError, match="is not defined"):
        repeated_loss(1e9, 1e9, 0)


def test_the_known_efficiency() -> None:
    found = data_efficiency(table(SIZES, LAW), table([0.2], [5.991313193385524]))
    assert (found.law.a, -found.law.s, found.law.b) == pytest.approx((2, 0.3, 3), abs=1e-5)
    row = found.table.row(0, named=True)
    assert row["equivalent_tokens"] == pytest.approx(0.2613527238126403, abs=1e-6)
    assert row["efficiency"] == pytest.approx(1.3067636190632015, abs=1e-6)
    assert (row["low"], row["high"]) == pytest.approx((row["efficiency"], row["efficiency"]), abs=1e-4)  # no scatter, no width
    assert row["beyond"] == 1
    assert not found.warnings


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    sizes = np.repeat(np.geomspace(0.05, 1.6, 6), 2)
    held = 0
    for trial in range(40):
        noisy = 2 * sizes**-0.3 + 3 + rng.normal(0, 0.02, len(sizes))
        row = data_efficiency(table(sizes, noisy), table([0.2], [2 * 0.4**-0.3 + 3]), resamples=100, seed=trial).table.row(0, named=True)
        held += row["low"] <= 2 <= row["high"]
    assert 34 <= held <= 40  # 0.95 of 40 is 38


def test_seeds_repeat_and_wider_scatter_widens() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 5)
    method = table([0.2], [6.0])

    def width(scale: float, seed: int = 0) -> float:
        row = data_efficiency(table(SIZES, LAW + scale * noise), method, seed=seed).table.row(0, named=True)
        return row["high"] - row["low"]

    assert width(0.01) == width(0.01) != width(0.01, seed=1)
    assert width(0.03) > 2 * width(0.01) > 0


def test_what_no_amount_of_data_reaches_is_null_and_extrapolation_is_said() -> None:
    found = data_efficiency(table(SIZES, LAW), table([0.2, 0.2, 0.2], [2.9, 4.5, 10.0]))
    assert found.table["efficiency"][0] is None
    assert found.table["high"][0] is None
    assert "at or below the baseline's asymptote" in found.warnings[0]
    assert found.table["beyond"].to_list()[1:] == pytest.approx([(2 / 1.5) ** (1 / 0.3) / 0.8, 0.05 / (2 / 7) ** (1 / 0.3)], rel=1e-3)
    assert "times outside the range" in found.warnings[1]


def test_baselines_that_carry_no_law_are_refused() -> None:
    with pytest.raises(MixtureError, match="4 losses of the baseline"):
        data_efficiency(table(SIZES[:4], LAW[:4]), table([0.2], [6.0]))
    with pytest.raises(MixtureError, match="does not fall"):
        data_efficiency(table(SIZES, LAW[::-1]), table([0.2], [6.0]))
    with pytest.raises(ColumnNotFoundError, match="table of the method"):
        data_efficiency(table(SIZES, LAW), pl.DataFrame({"tokens": [1.0]}))
    for sizes, losses in (([0.2], [np.inf]), ([np.inf], [6.0])):
        with pytest.raises(MixtureError, match="A loss of the method is infinite, or at infinite tokens"):
            data_efficiency(table(SIZES, LAW), table(sizes, losses))
    with pytest.raises(MixtureError, match=r"is at 0\.0 tokens"):
        data_efficiency(table(np.r_[0.0, SIZES], np.r_[9.0, LAW]), table([0.2], [6.0]))
