"""Learning rates as published, and what each part of the quality gets of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import MixtureError
from explorer.mixture.curriculum import learning_rates, quality_over_run, step_mass


@pytest.mark.parametrize(
    ("final", "values"),
    [
        (1e-5, {0: 0.003, 79: 0.003, 80: 0.003, 85: 0.001505, 90: 0.0008857507242522228, 95: 0.00041058404268452857}),
        (1e-3, {80: 0.003, 90: 0.0015857864376269048}),
    ],
)
def test_wsd_decays_by_the_square_root(final: float, values: dict[int, float]) -> None:
    rates = learning_rates("wsd", 100, peak=3e-3, final=final, decay_start=80)
    assert [rates[t] for t in values] == pytest.approx(list(values.values()))


def test_other_schedules_and_the_warm_up() -> None:
    cosine = learning_rates("cosine", 100, peak=2.0, final=1.0, warmup=20)
    assert cosine[:20] == pytest.approx(np.arange(1, 21) / 10)
    assert (cosine[20], cosine[60]) == pytest.approx((2.0, 1.5))
    assert learning_rates("linear", 4, final=0.0).tolist() == [1.0, 0.75, 0.5, 0.25]
    assert learning_rates("constant", 3, final=0.5).tolist() == [1.0] * 3
    with pytest.raises(MixtureError, match=r"'step' is not known\. Schedules: constant, linear, cosine, wsd"):
        learning_rates("step", 10)  # type: ignore[arg-type]
    with pytest.raises(MixtureError, match="decay_start=10"):
        learning_rates("wsd", 10, decay_start=10)


def test_the_best_tenth_loses_most_where_the_rate_decays() -> None:
    rates = learning_rates("linear", 1000)
    up = step_mass(rates, quality_over_run("ascending"))
    # The area under a falling line over the last tenth: 0.1² of the triangle.
    assert up.table["step_share"].to_list() == pytest.approx([(19 - 2 * i) / 100 for i in range(10)], abs=1e-3)
    assert up.table["ratio"][-1] == pytest.approx(0.1, abs=0.01)
    assert "The best 10.0% of the tokens get 1.0%" in str(up)
    down = step_mass(rates, quality_over_run("descending"))
    assert down.table["step_share"].to_list() == pytest.approx(up.table["step_share"].to_list()[::-1], abs=1e-9)
    folded = step_mass(rates, quality_over_run("folded", passes=4))
    assert up.table["ratio"][-1] < folded.table["ratio"][-1] < 1
    for flat in (step_mass(rates, quality_over_run("shuffled")), step_mass(np.ones(50), quality_over_run("ascending"))):
        assert flat.table["ratio"].to_list() == pytest.approx([1] * 10, abs=0.06)


def test_tokens_count_equal_qualities_stay_together_and_undefined_ones_apart() -> None:
    quality = np.array([1.0, 1.0, 2.0, np.nan, 3.0])
    found = step_mass(np.array([3.0, 1.0]), quality, np.array([1.0, 1.0, 2.0, 2.0, 2.0]), parts=3)
    assert found.table.rows() == [
        (1, 1.0, 1.0, 2, 0.25, pytest.approx(0.375), pytest.approx(1.5)),
        (2, 2.0, 2.0, 1, 0.25, pytest.approx(0.375), pytest.approx(1.5)),
        (3, 3.0, 3.0, 1, 0.25, pytest.approx(0.125), pytest.approx(0.5)),
        (None, None, None, 1, 0.25, pytest.approx(0.125), pytest.approx(0.5)),
    ]
    assert str(step_mass(np.ones(2), np.array([np.nan]))) == "No document has a quality."
    with pytest.raises(MixtureError, match="add up to nothing"):
        step_mass(np.ones(2), np.array([]))
    with pytest.raises(MixtureError, match="Orders: ascending"):
        quality_over_run("random")  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan"))), min_size=1, max_size=40), st.integers(2, 12), st.integers(1, 30))
def test_shares_add_up(quality: list[float], parts: int, steps: int) -> None:
    found = step_mass(learning_rates("constant", steps), np.array(quality), parts=parts).table
    assert found["token_share"].sum() == pytest.approx(1)
    assert found["step_share"].sum() == pytest.approx(1)
    assert found["documents"].sum() == len(quality)
    assert found["ratio"].to_list() == pytest.approx([1] * found.height)  # a constant rate favours no one
