"""Semantic duplicates against numpy's own products."""

import numpy as np
import pytest

from explorer.duplicates.components import roots, unite
from explorer.duplicates.semantic import ALSO, KEPT, compare, explain, label


def vectors(m, seed=0, copies=0.15):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((m, 48))
    k = int(m * copies)
    x[rng.integers(0, m, k)] = x[rng.integers(0, m, k)] + rng.uniform(0.02, 0.5, (k, 1)) * rng.standard_normal((k, 48))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)


def plain(matrix, threshold):
    x = matrix.astype(np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    cosine = x @ x.T
    a, b = np.nonzero(np.triu(cosine >= threshold, 1))
    parent = np.arange(len(x))
    unite(parent, a, b)
    np.fill_diagonal(cosine, -2)
    return roots(parent), cosine, set(zip(a.tolist(), b.tolist(), strict=True))


@pytest.mark.parametrize("m", [2, 50, 5000])
def test_all_pairs(m):
    matrix = vectors(m)
    found = compare(matrix, 0.95)
    group, cosine, pairs = plain(matrix, 0.95)
    np.testing.assert_array_equal(found.group, group)
    np.testing.assert_array_equal(found.loose, plain(matrix, ALSO)[0])
    np.testing.assert_allclose(found.nearest, cosine.max(1), atol=2e-6)
    assert found.missed is None
    assert set(zip(found.a.tolist(), found.b.tolist(), strict=True)) == pairs
    np.testing.assert_allclose(found.cosine, cosine[found.a, found.b], atol=2e-6)


def test_cells_miss_little_and_say_how_much():
    matrix = vectors(6000, copies=0.3)
    found, every = compare(matrix, 0.95, exact=100), compare(matrix, 0.95)
    together, there = found.missed
    assert there > 50
    assert together / there > 0.95
    assert (found.group == every.group).mean() > 0.99
    assert set(zip(found.a.tolist(), found.b.tolist(), strict=True)) <= set(zip(every.a.tolist(), every.b.tolist(), strict=True))


def test_a_thousand_copies_are_one_group_with_few_pairs():
    matrix = np.repeat(vectors(3, copies=0), [1500, 2, 1], axis=0)
    found = compare(matrix, 0.95)
    assert found.group.tolist() == [0] * 1500 + [1500] * 2 + [1502]
    assert len(found.a) <= 1502 * KEPT
    assert found.nearest[0] == pytest.approx(1, abs=1e-6)
    assert (found.cosine <= 1).all()


def test_vectors_without_direction_have_no_group():
    matrix = vectors(6, copies=0)
    matrix[2] = 0
    matrix[4] = np.nan
    found = compare(matrix, 0.95)
    assert found.usable.tolist() == [True, True, False, True, False, True]
    assert np.isnan(found.nearest[[2, 4]]).all()
    assert found.group.tolist() == list(range(6))
    empty = compare(np.zeros((0, 8), np.float16), 0.95)
    assert len(empty.group) == len(empty.a) == 0


def test_nothing_is_explained():
    report = {"documents": 5, "without": 1, "sample": None, "closest": 0.8123, "parameters": {"threshold": 0.95}, "at": {"0.95": {"groups": 0, "in_groups": 0, "largest": 1}, "0.90": {"groups": 0, "in_groups": 0, "largest": 1}}}  # fmt: skip
    assert (
        explain(report)
        == "0 semantic duplicates among 4 documents at a cosine of 0.95: the closest pair has cosine 0.812. 1 documents have no vector: embed them to compare them."
    )
    report["at"] = {"0.95": {"groups": 1, "in_groups": 2, "largest": 2}, "0.90": {"groups": 2, "in_groups": 4, "largest": 2}}
    assert explain(report).startswith("1 groups hold 2 of 4 documents at a cosine of 0.95, the largest 2 (at 0.90: 2 groups of 4).")


def test_thresholds_that_two_decimals_confuse_are_counted_apart():
    assert [label(t) for t in (0.9, 0.904, 0.95, 1, np.float64(0.896))] == ["0.90", "0.904", "0.95", "1.00", "0.896"]
    counts = {"0.904": {"groups": 1, "in_groups": 2, "largest": 2}, "0.90": {"groups": 3, "in_groups": 9, "largest": 3}}
    report = {"documents": 9, "without": 0, "sample": None, "closest": 0.91, "parameters": {"threshold": 0.904}, "at": counts}
    assert explain(report) == "1 groups hold 2 of 9 documents at a cosine of 0.904, the largest 2 (at 0.90: 3 groups of 9)."
