"""How values are spread: against numpy and against brute force on small columns."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.corpus.columns import Groups
from explorer.corpus.distribution import (
    agreement,
    bin_edges,
    drawn,
    histogram_by,
    is_skewed,
    neighbours,
    rank_correlations,
    spread,
    telling,
)

NAN = float("nan")
columns = st.lists(st.one_of(st.integers(-3, 3).map(float), st.just(NAN)), max_size=40).map(lambda v: np.array(v, np.float32))


def test_figures_leave_out_what_is_undefined():
    found = spread(np.array([1, 2, NAN, 3, 0], np.float32))
    assert (found.documents, found.nulls, found.mean, found.minimum, found.maximum, found.zeros) == (5, 1, 1.5, 0, 3, 1)
    assert found.quantiles[0.5] == 1.5
    nothing = spread(np.array([NAN, NAN]))
    assert (nothing.nulls, nothing.mean, nothing.quantiles) == (2, None, {})


def test_skewed_is_a_long_upper_tail_without_negatives():
    values = np.geomspace(1, 1e6, 1000)
    assert is_skewed(spread(values))
    assert not is_skewed(spread(-values))
    assert not is_skewed(spread(np.linspace(1, 2, 100)))
    assert not is_skewed(spread(np.array([NAN])))


@given(columns)
def test_telling_documents_are_those_of_a_full_sort(values):
    found = telling(values, 4)
    rows = np.flatnonzero(~np.isnan(values))
    order = rows[np.lexsort((rows, values[rows]))]
    n = min(4, len(order))
    middle = max(0, len(order) // 2 - n // 2)
    assert found["lowest"].tolist() == order[:n].tolist()
    assert found["around the median"].tolist() == order[middle : middle + n].tolist()
    assert found["highest"].tolist() == rows[np.lexsort((rows, -values[rows]))][:n].tolist()


@given(columns)
def test_every_document_is_in_one_bin(values):
    edges = bin_edges(values, 7)
    groups = Groups("g", (np.arange(len(values)) % 2).astype(np.uint8), ("a", "b"))
    counts = histogram_by(values, groups, edges)
    assert (np.diff(edges) > 0).all()
    assert counts.sum() == np.count_nonzero(~np.isnan(values))
    assert counts[1].sum() == np.count_nonzero(~np.isnan(values[1::2]))


def spearman(a, b):
    both = ~np.isnan(a) & ~np.isnan(b)
    frame = pl.DataFrame({"a": a[both], "b": b[both]})
    if both.sum() < 3 or frame["a"].n_unique() < 2 or frame["b"].n_unique() < 2:
        return NAN
    return frame.select(pl.corr("a", "b", method="spearman")).item()


@given(st.integers(0, 10_000))
def test_rank_correlations_are_spearmans_pair_by_pair(seed):
    rng = np.random.default_rng(seed)
    made = [np.where(rng.random(12) < rng.choice([0, 0.2, 0.8]), NAN, rng.integers(0, 5, 12)).astype(np.float32) for _ in range(5)]
    found = rank_correlations(made)
    for i, j in itertools.product(range(5), repeat=2):
        assert found[i, j] == pytest.approx(spearman(made[i], made[j]), nan_ok=True, abs=1e-6)


def test_agreement_on_all_documents_and_on_a_sample():
    rng = np.random.default_rng(0)
    a = rng.normal(size=5000)
    b = a + rng.normal(scale=0.5, size=5000)
    b[:10] = NAN
    whole, part = agreement(a, b), agreement(a, b, most=1000)
    assert (whole.documents, whole.compared, part.documents, part.compared) == (4990, 4990, 4990, 1000)
    assert whole.spearman == pytest.approx(spearman(a, b))
    assert part.spearman == pytest.approx(whole.spearman, abs=0.05)
    assert agreement(a, b, most=1000).higher_in_first.tolist() == part.higher_in_first.tolist()  # seeded
    assert agreement(a, a).top_overlap == 1
    assert agreement(a, np.ones(5000)).spearman is None
    assert agreement(a[:2], b[20:22]).spearman is None


def test_a_sample_is_seeded_uniform_and_never_larger_than_the_whole():
    assert drawn(5, 10).tolist() == [0, 1, 2, 3, 4]
    rows = drawn(1000, 100)
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    assert rows.tolist() == drawn(1000, 100).tolist() != drawn(1000, 100, seed=1).tolist()


def test_like_columns_stand_together():
    found = np.array([[1, 0, 0.9, NAN], [0, 1, 0.1, NAN], [0.9, 0.1, 1, NAN], [NAN, NAN, NAN, NAN]])
    order = neighbours(found)
    assert sorted(order) == [0, 1, 2, 3]
    assert abs(order.index(0) - order.index(2)) == 1
    assert order[-1] == 3
    assert neighbours(np.zeros((0, 0))) == []
