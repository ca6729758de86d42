"""Samplers against the published rules' known answers; the numbers here came from the reference code."""

import hashlib
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import SelectionError
from explorer.selection.samplers import (
    Sample,
    draw,
    gumbel_keys,
    gumbel_topk,
    nested_subset,
    ranked,
    stratified_budget,
    token_budget,
    top_fraction_docs,
    top_fraction_size,
)


def key_of(seed: int, name: str) -> int:
    return int(hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()[:16], 16)


def order(n: int) -> np.ndarray:
    """Keys that break ties by position."""
    return np.arange(n, dtype=np.uint64)


def uniform(gumbel: list[float]) -> np.ndarray:
    """The uniform noise that gives this Gumbel noise."""
    return np.exp(-np.exp(-np.array(gumbel)))


# 20 documents, every fourth is code; keys are the first 64 bits of sha256("0:<id>").
IDS = [f"doc{i:03d}" for i in range(20)]
STRATA = np.array([0 if i % 4 == 0 else 1 for i in range(20)])
NESTED = {
    0.1: "000 003 013",
    0.2: "000 003 013 015",
    0.5: "000 001 002 003 004 008 009 010 013 015 017",
    1.0: " ".join(f"{i:03d}" for i in range(20)),
}


@pytest.mark.parametrize("fraction", NESTED)
def test_nested_subsets_known_answer(fraction: float) -> None:
    keys = np.array([key_of(0, name) for name in IDS], np.uint64)
    chosen = nested_subset(keys, STRATA, fraction)
    assert sorted(IDS[i] for i in chosen) == [f"doc{n}" for n in NESTED[fraction].split()]


@given(st.integers(1, 60), st.integers(1, 4), st.lists(st.floats(0.001, 1), min_size=2, max_size=5), st.integers(0, 2**32))
@settings(deadline=None)
def test_smaller_nested_subsets_are_contained_in_larger_ones(n: int, groups: int, fractions: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys, strata = rng.integers(0, 2**64, n, np.uint64), rng.integers(0, groups, n)
    subsets = [set(nested_subset(keys, strata, f).tolist()) for f in sorted(fractions)]
    for smaller, larger in itertools.pairwise(subsets):
        assert smaller <= larger
    for subset, fraction in zip(subsets, sorted(fractions), strict=True):
        for group in range(groups):
            size = int((strata == group).sum())
            assert abs(len([i for i in subset if strata[i] == group]) - fraction * size) < 1 + 1e-6


SCORE = np.array([0.1, 2.0, -1.0, 0.7, 1.5, 0.7])
TOKENS = np.array([100.0, 300, 50, 200, 400, 100])


@pytest.mark.parametrize(
    ("budget", "chosen", "total"), [(300, [1], 300), (500, [1, 4], 700), (700, [1, 4], 700), (1000, [1, 3, 4, 5], 1000)]
)
def test_token_budget_known_answer(budget: float, chosen: list[int], total: float) -> None:
    found = token_budget(SCORE, order(6), TOKENS, budget)
    assert sorted(found.tolist()) == chosen
    assert TOKENS[found].sum() == total


def test_token_budget_breaks_ties_by_key() -> None:
    assert token_budget(SCORE, order(6), TOKENS, 1000).tolist() == [1, 4, 3, 5]
    assert token_budget(SCORE, order(6)[::-1].copy(), TOKENS, 1000).tolist() == [1, 4, 5, 3]


def test_token_budget_takes_all_where_it_is_not_reached() -> None:
    assert len(token_budget(SCORE, order(6), TOKENS, 1e9)) == 6
    assert token_budget(np.zeros(0), order(0), np.zeros(0), 10).tolist() == []


CHARS = np.array([100.0, 900, 500, 500, 500, 500, 500, 500, 500, 500])
QUALITY = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])


@pytest.mark.parametrize(("fraction", "threshold"), [(0.1, 0.8), (0.2, 0.7), (0.3, 0.6), (0.5, 0.4)])
def test_top_fraction_size_known_answer(fraction: float, threshold: float) -> None:
    found = top_fraction_size(QUALITY, order(10), CHARS, fraction)
    assert QUALITY[found].min() == threshold
    assert QUALITY[found].tolist() == sorted((q for q in QUALITY if q >= threshold), reverse=True)


@pytest.mark.parametrize(
    ("n", "fraction", "kept"), [(10, 0.5, 5), (10, 0.25, 2), (3, 0.5, 1), (10, 0.3, 3), (100, 0.29, 29), (1, 0.5, 0), (7, 1.0, 7)]
)
def test_top_fraction_docs_keeps_the_floor(n: int, fraction: float, kept: int) -> None:
    score = np.arange(n, dtype=float)
    assert top_fraction_docs(score, order(n), fraction).tolist() == list(range(n))[::-1][:kept]
    assert top_fraction_docs(score, order(n), fraction, descending=False).tolist() == list(range(n))[:kept]


# MATES and QuRating. The predicted reference loss is lower where better, so its negative is maximised.
LOSS = np.array([0.2, -1.0, 0.5, 1.5, -0.3, 0.0, 2.0, -2.0])
NOISE = [
    -0.013159932702447984,
    1.1570300134758764,
    3.173983808415261,
    4.0944001210118826,
    -0.5176579323473599,
    -0.8916051928463679,
    0.0693293740734485,
    -0.26809432949246265,
]
INCLUSION = [0.1909, 0.9094, 0.1055, 0.0145, 0.4961, 0.2796, 0.0051, 0.999]
FIRST_PICK = [0.010169, 0.112099, 0.005581, 0.000755, 0.027643, 0.015171, 0.000278, 0.828304]


def test_gumbel_topk_known_answer() -> None:
    assert sorted(gumbel_topk(-LOSS, order(8), 0.5, uniform(NOISE), 3).tolist()) == [1, 2, 7]


def test_qurating_known_answer() -> None:
    noise = [0.7565810534288353, -1.101980420444563, -0.27516330885803314, 0.09108232065594087, 1.7741659244981616, 1.774334419574403]
    keys = gumbel_keys(SCORE, 2.0, uniform(noise))
    assert np.allclose(keys, SCORE / 2.0 + noise)
    assert gumbel_topk(SCORE, order(6), 2.0, uniform(noise), 6).tolist() == [4, 5, 0, 3, 1, 2]


def test_gumbel_topk_includes_as_often_as_published() -> None:
    """The seeded noise, 40,000 seeds: standard error at most 0.0025."""
    rounds, names = 40_000, [f"d{i}" for i in range(8)]
    sample = Sample("gumbel_topk", by="x", documents=3, temperature=0.5)
    included, first = np.zeros(8), np.zeros(8)
    for seed in range(rounds):
        keys = np.array([key_of(seed, name) for name in names], np.uint64)
        chosen = draw(sample, score=-LOSS, key=keys, tokens=np.ones(8), strata=np.zeros(8, np.uint8))
        included[chosen] += 1
        first[chosen[0]] += 1
    assert np.abs(included / rounds - INCLUSION).max() < 0.01
    assert np.abs(first / rounds - FIRST_PICK).max() < 0.01


def test_gumbel_with_a_token_budget_keeps_the_crossing_document() -> None:
    keys = np.array([key_of(1, name) for name in IDS[:6]], np.uint64)
    sample = Sample("gumbel_topk", by="x", tokens=500, seed=1)
    chosen = draw(sample, score=SCORE, key=keys, tokens=TOKENS, strata=np.zeros(6, np.uint8))
    assert TOKENS[chosen].sum() >= 500
    assert TOKENS[chosen[:-1]].sum() < 500


def test_stratified_budget_divides_as_in_the_corpus_or_equally() -> None:
    strata = np.array([0, 0, 0, 1, 1, 1])  # 450 and 700 tokens
    corpus = stratified_budget(SCORE, order(6), TOKENS, strata, 575)
    for group in (0, 1):
        here = np.flatnonzero(strata == group)
        alone = token_budget(SCORE[here], order(3), TOKENS[here], 575 * TOKENS[here].sum() / 1150)
        assert set(here[alone]) == {i for i in corpus if strata[i] == group}
    equal = stratified_budget(SCORE, order(6), TOKENS, strata, 200, shares="equal")
    assert sorted(equal.tolist()) == [1, 4]


def test_a_document_without_a_score_is_never_chosen_by_score() -> None:
    score = np.array([np.nan, 1.0, np.nan, 3.0])
    assert ranked(score, order(4)).tolist() == [3, 1]
    assert top_fraction_docs(score, order(4), 1.0).tolist() == [3, 1]
    assert token_budget(score, order(4), np.ones(4), 10).tolist() == [3, 1]
    assert top_fraction_size(score, order(4), np.ones(4), 1.0).tolist() == [3, 1]
    assert gumbel_topk(score, order(4), 1.0, np.full(4, 0.5), 4).tolist() == [3, 1]


METHODS = [
    Sample("top_fraction_docs", by="s", fraction=0.4, seed=3),
    Sample("top_fraction_size", by="s", fraction=0.4, seed=3),
    Sample("token_budget", by="s", tokens=900, seed=3),
    Sample("token_budget", tokens=900, seed=3),
    Sample("token_budget", by="s", tokens=900, seed=3, descending=False),
    Sample("stratified_budget", by="s", tokens=900, per="source", seed=3),
    Sample("stratified_budget", by="s", tokens=900, per="source", shares="equal", seed=3),
    Sample("gumbel_topk", by="s", documents=11, seed=3),
    Sample("gumbel_topk", by="s", tokens=900, temperature=2.0, seed=3),
    Sample("nested_subset", fraction=0.3, per="source", seed=3),
    Sample("nested_subset", fraction=0.3, seed=3),
]


@pytest.mark.parametrize("sample", METHODS, ids=lambda s: f"{s.method}-{s.shares}-{s.by}-{s.descending}-{s.tokens}-{s.per}")
def test_the_choice_does_not_depend_on_the_order_of_documents(sample: Sample) -> None:
    rng = np.random.default_rng(5)
    n = 60
    names = np.array([f"doc{i}" for i in range(n)])
    keys = np.array([key_of(sample.seed, name) for name in names], np.uint64)
    score, tokens, strata = rng.integers(0, 6, n).astype(float), rng.integers(1, 80, n).astype(float), rng.integers(0, 3, n)
    chosen = []
    for turn in (np.arange(n), rng.permutation(n), np.arange(n)[::-1]):
        found = draw(sample, score=score[turn] if sample.by else None, key=keys[turn], tokens=tokens[turn], strata=strata[turn])
        assert len(set(found.tolist())) == len(found)
        chosen.append(names[turn][found].tolist())
    assert chosen[0]
    assert len(chosen[0]) < n
    assert chosen[0] == chosen[1] == chosen[2]


def test_another_seed_is_another_choice() -> None:
    chosen = []
    for seed in (0, 1):
        keys = np.array([key_of(seed, name) for name in IDS], np.uint64)
        chosen.append(sorted(nested_subset(keys, np.zeros(20), 0.3).tolist()))
    assert chosen[0] != chosen[1]
    assert len(chosen[0]) == len(chosen[1]) == math.ceil(0.3 * 20)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Sample("best"), "Sampler 'best' is not known. Samplers: top_fraction_docs, top_fraction_size, token_budget"),  # type: ignore[arg-type]
        (lambda: Sample("token_budget"), "Sampler 'token_budget' lacks 'tokens'."),
        (lambda: Sample("nested_subset"), "Sampler 'nested_subset' lacks 'fraction'."),
        (lambda: Sample("top_fraction_docs", fraction=0.1), "lacks 'by', the score to rank by."),
        (lambda: Sample("gumbel_topk", by="x"), "takes exactly one of tokens and documents"),
        (lambda: Sample("gumbel_topk", by="x", tokens=1, documents=1), "takes exactly one of tokens and documents"),
        (lambda: Sample("stratified_budget", tokens=1), "lacks 'per', the column of its strata"),
        (lambda: Sample("nested_subset", fraction=10), "It must be above 0 and at most 1. Write 10 % as 0.1."),
        (lambda: Sample("nested_subset", fraction=0), "It must be above 0 and at most 1."),
        (lambda: Sample("token_budget", tokens=-1), "The sampler's tokens is -1.0. It must be above 0."),
        (lambda: Sample("token_budget", tokens=float("nan")), "The sampler's tokens is nan. It must be a number."),
        (lambda: Sample("gumbel_topk", by="x", documents=1.5), "The sampler's documents is 1.5. It must be a whole number."),  # type: ignore[arg-type]
        (lambda: Sample("gumbel_topk", by="x", documents=1, temperature=0), "It must be above 0. QuRating uses 1 or 2, MATES 0.5."),
        (lambda: Sample("token_budget", tokens=1, shares="fair"), "They are 'corpus' or 'equal'."),  # type: ignore[arg-type]
        (lambda: Sample("token_budget", tokens=1, by=5), "The sampler's by is 5. It must be the name of a column."),  # type: ignore[arg-type]
        (lambda: Sample("token_budget", tokens=1, descending="no"), "The sampler's descending is 'no'."),  # type: ignore[arg-type]
        (lambda: Sample.from_dict({"tokens": 1}), "It must be a mapping with 'method'."),
        (
            lambda: Sample.from_dict({"method": "token_budget", "budget": 1}),
            "The sample has an unknown key 'budget'. Keys: method, by, fraction",
        ),
    ],
)
def test_messages(build: Callable[[], Sample], said: str) -> None:
    with pytest.raises(SelectionError) as raised:
        build()
    assert said in str(raised.value)


def test_yaml_reads_2e9_as_text_and_it_counts() -> None:
    assert Sample.from_dict({"method": "token_budget", "tokens": "2e9", "seed": "7"}) == Sample("token_budget", tokens=2e9, seed=7)
