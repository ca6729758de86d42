"""Agreement of two scorers: hand-computed ranks, scipy's correlation, overlap at chance, fractional ties, bias by group."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.corpus.columns import Groups
from explorer.selection import agreement as a

NAN = np.nan


def groups(codes, *labels):
    return Groups("source", np.array(codes, np.uint8), labels)


def test_ranks_over_documents_that_have_both():
    first = np.array([0.5, NAN, 0.1, 0.9, 0.5, 0.2], np.float32)
    second = np.array([3.0, 1.0, NAN, 2.0, 1.0, NAN])
    pair = a.ranked(first, second)
    assert pair.rows.tolist() == [0, 3, 4]
    assert pair.first.tolist() == [1.5, 3, 1.5]
    assert pair.second.tolist() == [3, 2, 1]
    assert (pair.documents, pair.only_first, pair.only_second, pair.neither) == (3, 2, 1, 0)
    assert not pair.sampled


def test_low_is_good_turns_the_ranks():
    pair = a.ranked(np.array([1.0, 2, 3]), np.array([1.0, 2, 3]), turned=(False, True))
    assert a.spearman(pair).value == -1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ties", [False, True])
def test_spearman_is_scipys(dtype, ties):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    x = rng.normal(size=5000)
    y = 0.5 * x + rng.normal(size=5000)
    if ties:
        x, y = np.round(x), np.round(2 * y)
    x[0] = -0.0
    x, y = x.astype(dtype), y.astype(dtype)
    pair = a.ranked(x, y)
    assert pair.first == pytest.approx(stats.rankdata(x))
    assert a.spearman(pair).value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_infinities_are_ranked_at_the_ends():
    assert a.ranked(np.array([np.inf, 0, -np.inf, 1], np.float32), np.zeros(4)).first.tolist() == [4, 2, 1, 3]


def test_spearman_by_hand_and_where_it_is_undefined():
    pair = a.ranked(np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 4, 3, 5]))
    assert a.spearman(pair).value == pytest.approx(1 - 6 * 4 / (5 * 24))  # 1 - 6 sum d^2 / (n (n^2 - 1))
    assert a.spearman(a.ranked(np.array([1.0, 2]), np.array([1.0, 2]))) is None
    assert a.spearman(a.ranked(np.array([1.0, 1, 1]), np.array([1.0, 2, 3]))) is None
    assert a.spearman(a.ranked(np.full(4, NAN), np.ones(4))) is None
    assert a.spearman(a.ranked(np.array([1.0, 2, 3]), np.array([1.0, 3, 2]))) == (0.5, -1, 1)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    rho = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of two normals with correlation 0.6
    inside = 0
    for _ in range(400):
        x = rng.normal(size=300)
        found = a.spearman(a.ranked(x, 0.6 * x + 0.8 * rng.normal(size=300)))
        inside += found.low <= rho <= found.high
    assert 0.92 < inside / 400 < 0.98


def test_overlap_by_hand():
    first, second = np.arange(10.0), np.array([0.0, 1, 2, 3, 4, 9, 6, 7, 8, 5])
    found = a.overlap(a.ranked(first, second), 0.3)  # the best of one 7, 8, 9, of the other 5, 8, 7
    assert (found.k, found.shared, found.share.value, found.chance.value) == (3, 2, pytest.approx(2 / 3), 0.3)
    assert a.overlap(a.ranked(first, -first), 0.3).shared == 0
    assert a.overlap(a.ranked(first, first), 0.3).share.value == 1


def test_ties_at_the_cut_are_shared_out():
    ratings = np.array([0.0, 1, 1, 1, 2])
    assert a.membership(ratings, 0.4).tolist() == [0, 1 / 3, 1 / 3, 1 / 3, 1]
    assert a.membership(np.ones(8), 0.25).tolist() == [0.25] * 8
    constant = a.overlap(a.ranked(np.ones(100), np.arange(100.0)), 0.1)
    assert constant.share.value == pytest.approx(0.1)  # exactly chance
    assert not constant.beyond_chance
    assert a.membership(np.zeros(0), 0.5).tolist() == []


def test_tied_overlap_is_the_mean_over_lots():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 4, 60).astype(float), rng.integers(0, 3, 60).astype(float)
    found = a.overlap(a.ranked(x, y), 0.2).shared
    drawn = []
    for _ in range(4000):
        best = [set(np.lexsort((rng.random(60), -v))[:12].tolist()) for v in (x, y)]
        drawn.append(len(best[0] & best[1]))
    assert found == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(4000))


def test_random_scorers_overlap_at_chance_within_the_interval():
    rng = np.random.default_rng(5)
    for p in (0.01, 0.1, 0.5):
        inside = [not a.overlap(a.ranked(rng.random(2000), rng.random(2000)), p).beyond_chance for _ in range(200)]
        assert 0.88 <= np.mean(inside) <= 1
    far = a.overlap(a.ranked(np.arange(2000.0), np.arange(2000.0) + rng.normal(0, 300, 2000)), 0.1)
    assert far.beyond_chance


def test_chance_has_the_hypergeometric_spread():
    stats = pytest.importorskip("scipy.stats")
    pair = a.ranked(np.arange(200.0), np.random.default_rng(0).permutation(200).astype(float))
    chance = a.overlap(pair, 0.2).chance
    assert (chance.high - chance.low) / 2 == pytest.approx(a.Z * stats.hypergeom(200, 40, 40).std() / 40)


def test_wilson():
    assert a.wilson(0, 0) == (0, 1)
    low, high = a.wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4901625, abs=1e-6), pytest.approx(0.9433178, abs=1e-6))


def test_shares_that_hold_too_few_are_left_out():
    pair = a.ranked(np.arange(60.0), np.arange(60.0))
    assert [o.p for o in a.overlaps(pair)] == [0.1, 0.2, 0.5]


def test_disagreements_are_ordered_and_one_sided():
    first, second = np.array([0.0, 1, 2, 3, NAN, 4]), np.array([4.0, 1, 2, 3, 9, 0])
    one, other = a.disagreements(a.ranked(first, second))
    assert one.tolist() == [5]
    assert other.tolist() == [0]
    pair = a.ranked(np.array([4.0, 3, 2, 1]), np.array([1.0, 2, 3, 4]))
    assert [w.tolist() for w in a.disagreements(pair)] == [[0, 1], [3, 2]]
    assert [w.tolist() for w in a.disagreements(pair, among=np.array([False, True, True, True]))] == [[1], [3, 2]]
    same = a.ranked(np.arange(4.0), np.arange(4.0))
    assert [w.tolist() for w in a.disagreements(same)] == [[], []]
    tied = a.ranked(np.array([2.0, 2, 1, 1]), np.array([1.0, 1, 2, 2]))
    assert [w.tolist() for w in a.disagreements(tied, 1)] == [[0], [2]]


def test_inside_groups_the_correlation_can_be_the_opposite():
    # both prefer group b, and inside each group they disagree completely
    first, second = np.array([1.0, 2, 3, 4, 11, 12, 13, 14]), np.array([4.0, 3, 2, 1, 14, 13, 12, 11])
    pair = a.ranked(first, second)
    assert a.spearman(pair).value > 0.5
    frame = a.by_group(pair, groups([0] * 4 + [1] * 4, "a", "b"), 0.25)
    assert frame["group"].to_list() == ["a", "b"]
    assert frame["spearman"].to_list() == [-1, -1]
    assert frame["overlap"].to_list() == [0, 0]
    assert frame["difference"].to_list() == [0, 0]


def test_groups_are_ranked_as_if_alone():
    rng = np.random.default_rng(2)
    n = 3000
    codes = rng.choice([0, 2, 3], n)  # group 1 is empty, group 3 is not the last label's
    x, y = np.round(rng.normal(size=n), 1).astype(np.float32), rng.normal(size=n) + codes
    x[::5] = NAN
    frame = a.by_group(a.ranked(x, y), groups(codes, "a", "none", "c", "d"), 0.2)
    assert frame["group"].to_list() == ["a", "c", "d"]
    for i, code in enumerate((0, 2, 3)):
        alone = a.ranked(x[codes == code], y[codes == code])
        rho = a.spearman(alone)
        assert frame.row(i)[:6] == ("acd"[i], len(alone.rows), *map(pytest.approx, (*rho, a.overlap(alone, 0.2).share.value)))


def test_small_groups_have_no_figures():
    frame = a.by_group(a.ranked(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 3, 5])), groups([0, 0, 0, 1], "a", "b"), 0.5)
    assert frame.filter(group="b").select("spearman", "overlap").row(0) == (None, None)
    empty = a.by_group(a.ranked(np.full(3, NAN), np.ones(3)), groups([0, 0, 0], "a"))
    assert empty.height == 0


def test_density_counts_every_document_and_its_margins_are_even():
    rng = np.random.default_rng(0)
    pair = a.ranked(rng.random(1000), rng.random(1000))
    cells = a.density(pair, 10)
    assert cells.sum(0).tolist() == cells.sum(1).tolist() == [100] * 10
    assert np.trace(a.density(a.ranked(np.arange(1000.0), np.arange(1000.0)), 10)) == 1000


def test_a_sample_is_drawn_by_seed_and_said():
    x = np.random.default_rng(0).random(10_000)
    pair = a.ranked(x, x, most=500, seed=4)
    assert pair.sampled
    assert pair.documents == 10_000
    assert len(pair.rows) == 500
    assert a.ranked(x, x, most=500, seed=4).rows.tolist() == pair.rows.tolist()


def test_bias_by_hand():
    values = np.array([9.0, 8, 1, 2, 3, NAN, 7, 0])
    frame = a.bias(values, groups([0, 0, 1, 1, 1, 1, 2, 2], "web", "books", "code"), 3 / 7)  # 9, 8, 7 of seven with a value
    assert frame["documents"].to_list() == [2, 3, 2]
    assert frame["undefined"].to_list() == [0, 1, 0]
    assert frame["kept"].to_list() == [2, 0, 1]
    assert frame["kept_share"].to_list() == [1, 0, 0.5]
    assert frame["ratio"].to_list() == pytest.approx([7 / 3, 0, 7 / 6])
    low = a.bias(values, groups([0, 0, 1, 1, 1, 1, 2, 2], "web", "books", "code"), 3 / 7, turned=True)
    assert low["kept"].to_list() == [0, 2, 1]  # 0, 1, 2


def test_bias_of_a_group_without_a_value_is_null():
    frame = a.bias(np.array([1.0, NAN]), groups([0, 1], "a", "b"))
    assert frame.filter(group="b").select("kept_share", "low", "high", "ratio").row(0) == (None,) * 4
    nothing = a.bias(np.full(2, NAN), groups([0, 1], "a", "b"))
    assert nothing["ratio"].to_list() == [None, None]


def test_pools_and_length_of_the_sample_corpus(tmp_path):
    from pathlib import Path

    from explorer.corpus.corpus import open_corpus

    corpus = open_corpus(Path(__file__).parents[2] / "sample_data" / "corpus", workspace=tmp_path)
    assert [g.by for g in a.pools(corpus)] == ["source", "language", "year", "length"]
    stats = pytest.importorskip("scipy.stats")
    values = corpus.columns.numbers("edu_rating")
    there = ~np.isnan(values)
    expected = stats.spearmanr(values[there], corpus.columns.tokens().values[there]).statistic
    assert a.with_length(corpus, values).value == pytest.approx(expected)
