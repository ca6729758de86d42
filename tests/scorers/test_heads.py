"""Heads and judging: the same model in fewer numbers, groups never parted, nothing judged on what it was trained on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from explorer.scorers.evaluation import HeldOut, held_out, judge_classes, logistic, mended, platt, reliability
from explorer.scorers.heads import fit, folds, rotated
from explorer.scorers.intervals import placements


def drawn(n, d, seed=0, shift=1.0):
    random = np.random.default_rng(seed)
    yes = random.random(n) < 0.5
    x = random.normal(size=(n, d))
    x[:, 0] += shift * (2 * yes - 1)
    return x / np.linalg.norm(x, axis=1, keepdims=True), yes


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kind", ["logistic", "ridge"])
def test_turning_changes_nothing_but_the_time(sparse, kind):
    x, yes = drawn(40, 300)
    target = yes if kind == "logistic" else x[:, 0] * 2 + 1
    turned, back = rotated(csr_matrix(x) if sparse else x)
    assert turned.shape[1] <= 40
    assert turned @ turned.T == pytest.approx(x @ x.T, abs=1e-8)
    head = fit(kind, turned, target, np.arange(40))
    weights = back(head.coefficients)
    fresh, _ = drawn(10, 300, seed=9)
    if kind == "logistic":
        plain = LogisticRegression(C=head.strength, max_iter=10_000, tol=1e-10).fit(x, target)
        assert fresh @ weights + head.intercept == pytest.approx(plain.decision_function(fresh), abs=1e-3)
    assert turned @ head.coefficients == pytest.approx(x @ weights, abs=1e-8)


def test_folds_keep_groups_together_and_spread_classes():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), random.integers(1, 4, 40))
    yes = groups % 3 == 0
    seen = np.zeros(len(groups), int)
    for train, test in folds(yes, groups, 5, 1):
        assert not set(groups[train]) & set(groups[test])
        assert 2 <= len(set(groups[test][yes[test]])) <= 3, "14 groups of a class over 5 parts"
        seen[test] += 1
    assert (seen == 1).all()
    assert len(folds(np.arange(20) < 3, np.arange(20), 5, 0)) == 3, "no more parts than a class has groups"


def test_copies_in_one_group_do_not_leak():
    """Labels without any sense, each document there three times: a memory of texts must score as chance."""
    x, _ = drawn(60, 400, shift=0.0)
    yes = np.random.default_rng(5).random(60) < 0.5
    copies = np.repeat(np.arange(60), 3)
    x3, yes3 = x[copies], yes[copies]

    def nearest(train, test, seed):
        return yes3[train][(x3[test] @ x3[train].T).argmax(1)].astype(float)

    apart = held_out(nearest, yes3, np.arange(180), repeats=3, holdout=0.25, seed=0)
    together = held_out(nearest, yes3, copies, repeats=3, holdout=0.25, seed=0)
    assert apart.auc > 0.95, "without groups the leak would look like skill"
    assert 0.3 < together.auc < 0.7


def test_no_document_is_judged_by_a_model_that_saw_it():
    yes = np.arange(100) % 2 == 0
    trained_on = []

    def predict(train, test, seed):
        assert not set(train) & set(test)
        trained_on.append(len(train))
        return np.random.default_rng(len(trained_on)).random(len(test))

    found = held_out(predict, yes, np.arange(100), repeats=4, holdout=0.25, seed=0)
    assert len(trained_on) == 20
    assert np.isfinite(found.scores).all()
    assert "repeated 4 times" in found.how
    many = np.arange(2400) % 2 == 0
    once = held_out(predict, many, np.arange(2400), repeats=4, holdout=0.25, seed=0)
    assert len(trained_on) == 21
    assert np.isfinite(once.scores).sum() == 600


def toward_the_mean(x, yes):
    """The direction from one class's mean to the other's: a head that costs nothing to train."""
    return x[yes].mean(0) - x[~yes].mean(0)


@pytest.mark.parametrize("shift", [0.0, 0.7, 1.5])
def test_interval_covers_what_the_final_model_reaches(shift):
    """40 labels, 20 numbers a document: the interval holds the final model's area on 2,000 fresh documents in 95 % of samples."""
    held, trials, groups = 0, 60, np.arange(40)
    for seed in range(trials):
        x, yes = drawn(40, 20, seed, shift)
        fresh, truth = drawn(2000, 20, 1000 + seed, shift)
        found = held_out(lambda a, b, s, x=x, y=yes: x[b] @ toward_the_mean(x[a], y[a]), yes, groups, repeats=3, holdout=0.25, seed=seed)
        figures = judge_classes(found, logistic(found.scores), yes, groups)
        area = placements(fresh @ toward_the_mean(x, yes), truth)[truth].mean()
        held += figures["auc_low"] <= area <= figures["auc_high"]
    assert held >= 0.9 * trials, f"{held} of {trials}"


def test_reliability_counts_and_platt_mends():
    random = np.random.default_rng(0)
    value = random.normal(0, 2, 4000)
    yes = random.random(4000) < logistic(0.5 * value - 1)  # the model is twice too sure, and biased
    slope, offset = platt(value, yes)
    assert (slope, offset) == (pytest.approx(0.5, abs=0.08), pytest.approx(-1, abs=0.12))
    assert platt(-value, yes) is None, "a score that ranks the wrong way is not mended"
    line, probability = mended(value, yes, np.arange(4000), 0)
    assert line is not None
    table = reliability(probability, yes)
    assert sum(row["n"] for row in table) == 4000
    assert sum(row["observed_low"] <= row["predicted"] <= row["observed_high"] for row in table) >= 8
    raw = reliability(logistic(value), yes)
    assert sum(row["observed_low"] <= row["predicted"] <= row["observed_high"] for row in raw) <= 4
    few, plain = mended(value[:30], yes[:30], np.arange(30), 0)
    assert few is None
    assert plain == pytest.approx(logistic(value[:30]))


def test_a_group_counts_once_for_the_interval():
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.3] * 5)
    yes = np.array([True, True, True, False, False, False] * 5)
    alone = judge_classes(HeldOut(scores, 1.0, "", 1.0), scores, yes, np.arange(30))
    copies = judge_classes(HeldOut(scores, 1.0, "", 1.0), scores, yes, np.tile(np.arange(6), 5))
    assert copies["auc_low"] < alone["auc_low"]
