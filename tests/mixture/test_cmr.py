"""The critical mixture ratio: the card's example, curves that are known, and questions that cannot be answered."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from explorer.errors import ColumnNotFoundError, MixtureError
from explorer.mixture.cmr import UNIT, critical_ratio, crossing
from explorer.mixture.power_law import fit_power_law, fit_two_powers, power_laws

RATIOS = (1 / 8, 1 / 4, 1 / 3, 1 / 2)
STEPS = (10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0)


def losses(ratios=RATIOS, steps=STEPS) -> pl.DataFrame:
    """General loss up by 0.06 R T^0.5 - 0.01 T^0.3, domain loss down by R log T."""
    rows = [(r, 0.0, 2.5, 3.0) for r in ratios]
    rows += [(r, t * UNIT, 2.5 + 0.06 * r * t**0.5 - 0.01 * t**0.3, 3.0 - 0.2 * r * t**0.2) for r in ratios for t in steps]
    return pl.DataFrame(rows, schema=["ratio", "tokens", "general_loss", "domain_loss"], orient="row").sample(
        fraction=1, shuffle=True, seed=1
    )


def test_the_known_answer() -> None:
    general, domain = np.array([0.01, 0.03, 0.06, 0.12]), np.array([-0.1, -0.2, -0.3, -0.4])
    assert crossing(np.array(RATIOS), general, domain) == pytest.approx((0.3055555555555556, 0.25, 1 / 3))
    assert crossing(np.array(RATIOS), general, domain, 0.2) == (None, 0.5, None)
    assert crossing(np.array(RATIOS), general, domain, 0.001) == (None, None, 0.125)
    assert crossing(np.array(RATIOS), general * 0, np.array([-0.1, -0.1, 0.1, 0.1])) == pytest.approx((0.25 + 1 / 24, 0.25, 1 / 3))


def test_a_power_law_is_found_from_its_own_points() -> None:
    t = np.array([10.0, 20.0, 40.0, 60.0, 80.0, 100.0])
    y = np.array(
        [0.105594321575479, 0.14572270086699937, 0.19867241478865563, 0.23717603983775212, 0.26853998118144273, 0.29547867224009666]
    )
    law = fit_power_law(t, y)
    assert (law.a, law.s, law.b) == pytest.approx((0.05, 0.4, -0.02), abs=1e-6)
    assert law.r2 == pytest.approx(1)
    assert not law.at_limit
    many = power_laws(t, np.stack([y, 2 * y, y[::-1]]))
    assert many[1][:2] == pytest.approx([0.4, 0.4], abs=1e-6)
    rising_then_falling = 0.3 * t**0.5 - 0.05 * t**0.9 + 0.01
    two = fit_two_powers(t, rising_then_falling)
    np.testing.assert_allclose(two(np.array([15.0, 70.0, 150.0])), [0.3 * v**0.5 - 0.05 * v**0.9 + 0.01 for v in (15, 70, 150)], atol=1e-3)
    assert fit_power_law(t, np.log(t)).s == pytest.approx(0, abs=1e-3)  # between powers lies the logarithm
    assert fit_power_law(t, np.exp(t / 10)).at_limit


def test_the_ratio_is_between_the_measured_ones_and_falls_with_tokens() -> None:
    found = critical_ratio(losses())
    t = 100.0
    true = (0.05 + 0.01 * t**0.3) / (0.06 * t**0.5)
    assert found.tokens == 100 * UNIT
    assert found.ratio == pytest.approx(true, abs=1e-9)  # the rise is linear in R
    assert found.replay == pytest.approx(1 - true)
    assert (found.at_least, found.below) == (RATIOS[0], RATIOS[1])
    assert found.over_tokens["tokens"].to_list() == [s * UNIT for s in STEPS]
    assert found.over_tokens["ratio"].to_list()[:2] == [pytest.approx(0.369, abs=1e-3), pytest.approx(0.278, abs=2e-3)]
    assert found.law.r2 > 0.99
    assert found.sensitivity["ratio"].drop_nulls().is_sorted()
    assert found.table["feasible"].to_list() == [True, False, False, False]
    assert not found.warnings
    assert "Critical mixture ratio" in found._repr_html_()


def test_beyond_the_runs_it_is_read_from_curves_and_said_so() -> None:
    found = critical_ratio(losses(), at_tokens=150 * UNIT)
    true = (0.05 + 0.01 * 150**0.3) / (0.06 * 150**0.5)
    assert found.ratio is None or found.ratio == pytest.approx(true, abs=0.01)
    assert found.beyond == pytest.approx(1.5)
    assert "1.50 times the longest run" in found.warnings[0]
    with pytest.raises(MixtureError, match="up to 40,000,000,000 can be read from curves"):
        critical_ratio(losses(), at_tokens=201 * UNIT)


def test_few_points_answer_only_for_what_was_measured() -> None:
    few = losses(steps=(10.0, 100.0))
    found = critical_ratio(few)
    assert found.ratio is not None
    assert found.law is None
    assert found.table["general_r2"].to_list() == [None] * 4
    assert "No curve for ratio" in found.warnings[0]
    with pytest.raises(MixtureError, match=r"has too few points for a curve. .* ask about one of: 2,000,000,000, 20,000,000,000"):
        critical_ratio(few, at_tokens=50 * UNIT)


def test_all_or_no_ratio_feasible_is_no_number() -> None:
    every = critical_ratio(losses(), epsilon=10)
    assert (every.ratio, every.at_least, every.below, every.replay) == (None, 0.5, None, None)
    assert "Every ratio up to 0.5 is feasible" in str(every)
    none = critical_ratio(losses(), epsilon=-1)
    assert (none.ratio, none.at_least) == (None, None)
    assert "No measured ratio is feasible" in str(none)


def test_tables_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(MixtureError, match="It takes 0 \\(the model it started from\\)"):
        critical_ratio(losses().filter(pl.col("tokens") > 0))
    with pytest.raises(MixtureError, match="It takes 2 or more"):
        critical_ratio(losses(ratios=(0.5,)))
    with pytest.raises(ColumnNotFoundError, match="'general' is not in the table of losses"):
        critical_ratio(losses(), general="general")
    with pytest.raises(MixtureError, match="4 points at 3 sizes"):
        fit_power_law(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    with pytest.raises(MixtureError, match="x must be above 0"):
        fit_power_law(np.arange(5.0), np.arange(5.0))
