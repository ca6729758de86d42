"""Intervals against published values, plain definitions and their own promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from explorer.scorers.intervals import auc_interval, placements, resampling, spearman_interval, wilson


def test_auc_interval_is_newcombes_method_5():
    """Both ends solve Newcombe's equation: their own standard error reaches the observed area."""
    m, n, auc = 58, 51, 0.893
    half = (m + n) / 2 - 1
    for end in auc_interval(auc, m, n):
        variance = end * (1 - end) / (m * n) * (1 + half * ((1 - end) / (2 - end) + end / (1 + end)))
        assert abs(auc - end) == pytest.approx(1.959964 * math.sqrt(variance), abs=1e-6)
    low, high = auc_interval(1.0, 20, 20)
    assert high == 1.0
    assert 0.8 < low < 0.95, "a perfect order of few documents is not taken for certainty"
    assert auc_interval(0.0, 20, 20) == pytest.approx((0.0, 1 - low), abs=1e-6)
    assert all(map(math.isnan, auc_interval(0.7, 0, 20)))


def test_auc_interval_holds_for_a_fixed_score():
    """Normal scores of two classes: 95 % intervals hold the true area in 95 % of 500 samples, at small sizes and high areas."""
    random = np.random.default_rng(0)
    for shift, m, n in ((0.0, 20, 20), (1.2, 20, 20), (2.5, 16, 24), (1.2, 8, 60)):
        truth = norm.cdf(shift / math.sqrt(2))
        held = 0
        for _ in range(500):
            scores = np.concatenate([random.normal(shift, 1, m), random.normal(0, 1, n)])
            yes = np.arange(m + n) < m
            low, high = auc_interval(float(placements(scores, yes)[yes].mean()), m, n)
            held += low <= truth <= high
        assert 0.92 <= held / 500 <= 0.998, (shift, m, n, held)


def test_placements_average_to_the_area_with_ties():
    random = np.random.default_rng(1)
    scores, yes = random.integers(0, 5, 60).astype(float), random.random(60) < 0.4
    found = placements(scores, yes)
    assert found[yes].mean() == pytest.approx(roc_auc_score(yes, scores))
    assert found[~yes].mean() == pytest.approx(roc_auc_score(yes, scores))
    assert np.isnan(placements(scores, np.ones(60, bool))).all()


def test_resampling_is_nadeau_and_bengios_factor():
    # their corrected variance of ten parts of a tenth: (1/10 + 1/9) instead of 1/10
    assert resampling(10, 0.1) == pytest.approx((1 / 10 + 1 / 9) * 10)
    assert resampling(1, 0.25) == pytest.approx(1 + 1 / 3)


def test_spearman_and_wilson_against_known_values():
    low, high = spearman_interval(0.5, 30)
    z = math.atanh(0.5)
    half = 1.959964 * math.sqrt((1 + 0.125) / 27)
    assert (low, high) == (pytest.approx(math.tanh(z - half)), pytest.approx(math.tanh(z + half)))
    assert all(map(math.isnan, spearman_interval(0.9, 4)))
    # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3
    assert wilson(81, 263) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))
    assert wilson(15, 148) == (pytest.approx(0.0624, abs=5e-5), pytest.approx(0.1605, abs=5e-5))
    assert wilson(0, 20) == (0.0, pytest.approx(0.1611, abs=5e-5))
    assert wilson(1, 29) == (pytest.approx(0.0061, abs=5e-5), pytest.approx(0.1718, abs=5e-5))
