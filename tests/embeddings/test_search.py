"""The answer is exact: what a full sort of all cosines gives, whatever the vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.embeddings.search import Index, direction, index_of, neighbours, search, similar
from explorer.errors import EmbeddingError


@dataclass(frozen=True, eq=False)
class Vectors:
    rows: np.ndarray
    matrix: np.ndarray


def vectors(m: int, d: int = 24, seed: int = 0, *, first: int = 0, every: int = 1, spread: float = 1.0) -> Vectors:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0, 1, d) * (1 - spread) + rng.normal(0, 1, (m, d)) * spread
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return Vectors(first + every * np.arange(m), matrix.astype(np.float16))


def cosines(matrix: np.ndarray, query: np.ndarray) -> np.ndarray:
    rows = matrix.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)).astype(np.float32)


def brute(of: Vectors, query: np.ndarray, n: int, keep: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    score = cosines(of.matrix, query)
    there = np.flatnonzero(np.isfinite(score) if keep is None else np.isfinite(score) & keep)
    order = there[np.lexsort((of.rows[there], -score[there]))][:n]
    return of.rows[order], score[order]


@settings(max_examples=60)
@given(
    m=st.integers(1, 400),
    d=st.integers(1, 40),
    n=st.integers(1, 60),
    seed=st.integers(0, 10_000),
    spread=st.sampled_from([1.0, 0.3, 0.02]),
    copies=st.booleans(),
)
def test_it_is_what_sorting_all_cosines_gives(m: int, d: int, n: int, seed: int, spread: float, copies: bool) -> None:
    of = vectors(m, d, seed, spread=spread)
    if copies:
        of.matrix[m // 2 :] = of.matrix[0]
    query = np.random.default_rng(seed + 1).normal(0, 1, d)
    found = search(of, query, n)
    rows, scores = brute(of, query, n)
    np.testing.assert_allclose(found.scores, scores, atol=2e-7)
    np.testing.assert_allclose(found.scores, cosines(of.matrix, query)[found.rows], atol=2e-7)
    assert len(set(found.rows.tolist())) == min(n, m)
    # sums in another order differ in the last digit: only rows that are that close may change places
    moved = found.rows != rows
    assert np.abs(found.scores[moved] - scores[moved]).max(initial=0) < 2e-7


def test_it_is_exact_beyond_one_piece_and_reads_few_candidates() -> None:
    of = vectors(150_000, 16, 3, spread=0.5)
    index = Index.build(of.matrix)
    query = direction(of.matrix[77_777])
    candidates = index._candidates(query, 20, index.usable)
    assert 20 <= len(candidates) < 2_000
    found, scores = index.nearest(query, 20)
    assert set(found.tolist()) <= set(candidates.tolist())
    np.testing.assert_array_equal(scores, brute(of, query, 20)[1])
    assert found[0] == 77_777
    assert index.nbytes == 150_000 * (16 + 4 + 4 + 8)


def test_no_cosine_is_further_off_than_its_bound() -> None:
    of = vectors(3_000, 48, 5)
    index = Index.build(of.matrix)
    unit = of.matrix.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    lost = np.linalg.norm(unit - index.codes * index.step[:, None].astype(np.float64), axis=1)
    assert (lost <= index.error).all()
    assert lost.max() > 0.5 * index.error.max() > 0


def test_equal_scores_come_in_the_order_of_document_numbers() -> None:
    of = Vectors(np.arange(5, 205, 2), np.tile(np.float16([0.6, 0.8]), (100, 1)))
    found = search(of, np.array([1.0, 0.0]), 7)
    assert found.rows.tolist() == [5, 7, 9, 11, 13, 15, 17]
    np.testing.assert_allclose(found.scores, 0.6, atol=1e-3)


def test_a_vector_without_direction_is_never_returned() -> None:
    of = vectors(10)
    of.matrix[2], of.matrix[5, 3], of.matrix[7, 0] = 0, np.nan, np.inf
    found = search(of, of.matrix[0], 50)
    assert sorted(found.rows.tolist()) == [0, 1, 3, 4, 6, 8, 9]
    assert found.searched == 7


def test_within_takes_numbers_or_a_mask_of_the_corpus_and_exclude_takes_away() -> None:
    of = vectors(300, first=10, every=3)
    query = of.matrix[50].astype(np.float64)
    chosen = of.rows[::7]
    mask = np.zeros(1_000, bool)
    mask[chosen] = True
    keep = np.isin(of.rows, chosen)
    expected = brute(of, query, 12, keep)[0]
    with_strangers = np.concatenate([chosen[::-1], [0, 999, 11]])  # documents without a vector are simply not found
    for within in (chosen, mask, with_strangers):
        found = search(of, query, 12, within=within)
        assert found.rows.tolist() == expected.tolist()
        assert found.searched == len(chosen)
    rest = search(of, query, 12, within=mask, exclude=expected[:3])
    assert rest.rows.tolist() == brute(of, query, 15, keep)[0][3:].tolist()
    nothing = search(of, query, 12, within=np.zeros(1_000, bool))
    assert len(nothing) == 0
    assert nothing.searched == 0


def test_more_like_these_leaves_the_examples_out_and_keeps_away_from_others() -> None:
    rng = np.random.default_rng(0)
    left, right = np.eye(8)[0], np.eye(8)[1]
    matrix = np.concatenate([left + right * 0.6 + rng.normal(0, 0.05, (20, 8)), left + rng.normal(0, 0.05, (20, 8))]).astype(np.float16)
    of = Vectors(np.arange(40), matrix)
    alike = similar(of, [0, 20], 10)
    assert not {0, 20} & set(alike.rows.tolist())
    assert np.all(np.diff(alike.scores) <= 0)
    only = similar(of, 20, 15, unlike=[0, 1])
    assert set(only.rows.tolist()) <= set(range(21, 40))
    both = direction(matrix[[0, 20]], matrix[1])
    assert np.linalg.norm(both) == pytest.approx(1)
    assert both @ left > direction(matrix[[0, 20]]) @ left


def test_the_index_is_built_once() -> None:
    of = vectors(50)
    search(of, of.matrix[0])
    assert index_of(of) is index_of(of)
    assert index_of(vectors(50)) is not index_of(of)


def test_what_cannot_be_searched_for_is_said() -> None:
    of = vectors(10, 24)
    with pytest.raises(EmbeddingError, match="no direction"):
        search(of, np.zeros(24))
    with pytest.raises(EmbeddingError, match="no direction"):
        search(of, np.full(24, np.nan))
    with pytest.raises(EmbeddingError, match=r"has 7 dimensions\. These vectors have 24"):
        search(of, np.ones(7))
    with pytest.raises(EmbeddingError, match=r"Document 4,444 has no vector\. 10 documents"):
        similar(of, 4_444)
    with pytest.raises(EmbeddingError, match=r"mask covers 5 documents\. Document 9"):
        search(of, np.ones(24), within=np.ones(5, bool))
    with pytest.raises(EmbeddingError, match="0 results"):
        search(of, np.ones(24), 0)


@pytest.mark.parametrize("m", [0, 1, 2])
def test_very_few_vectors(m: int) -> None:
    of = vectors(m, 4)
    found = search(of, np.ones(4), 5)
    assert len(found) == m == found.searched
    index, near = neighbours(of.matrix, 3)
    assert index.shape == near.shape == (m, 3)
    assert (index[:, 1:] == -1).all()
    assert np.isnan(near[:, 1:]).all()


def test_neighbours_are_those_of_a_full_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.embeddings.search._BLOCK", 256)  # several blocks both ways
    of = vectors(1_000, 12, 9)
    of.matrix[[3, 400]] = [np.nan], [0]
    index, near = neighbours(of.matrix, 8)
    for i in (0, 255, 256, 511, 999):
        score = cosines(of.matrix, of.matrix[i].astype(np.float64))
        score[i] = np.nan
        order = np.argsort(-np.where(np.isnan(score), -9, score), kind="stable")[:8]
        np.testing.assert_allclose(near[i], score[order], atol=1e-6)
        assert i not in index[i]
    assert not np.isin(index, [3, 400]).any()
    assert (index[[3, 400]] == -1).all()
    assert np.isnan(near[3]).all()
