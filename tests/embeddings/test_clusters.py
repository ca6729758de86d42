"""Two levels of planted themes are found again, nested and numbered from the largest."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from explorer.embeddings.clusters import CENTRAL, Clusters, cluster, default_counts, spherical_kmeans
from explorer.errors import EmbeddingError


def planted(m: int = 3_000, groups: int = 4, each: int = 5, d: int = 48, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, their fine theme, their group."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (groups, d))
    fine = np.repeat(coarse, each, 0) + rng.normal(0, 0.45, (groups * each, d))
    theme = rng.integers(0, groups * each, m)
    matrix = fine[theme] + rng.normal(0, 0.12, (m, d))
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float16), theme, theme // each


def well_formed(found: Clusters, m: int) -> None:
    """Nested, numbered without gaps, groups by size, clusters by size inside their group."""
    there = found.fine >= 0
    assert found.fine.shape == found.top.shape == (m,)
    assert ((found.top >= 0) == there).all()
    np.testing.assert_array_equal(found.top[there], found.parents[found.fine[there]])
    assert set(found.fine[there].tolist()) == set(range(len(found.parents)))
    assert (np.diff(found.parents) >= 0).all()
    assert (np.diff(np.bincount(found.top[there])) <= 0).all()
    sizes = np.bincount(found.fine[there], minlength=len(found.parents))
    for group in np.unique(found.parents):
        assert (np.diff(sizes[found.parents == group]) <= 0).all()
    for labels, central in ((found.fine, found.central), (found.top, found.top_central)):
        for c, places in enumerate(central):
            size = int((labels == c).sum())
            assert (places >= 0).sum() == min(CENTRAL, size)
            assert (labels[places[places >= 0]] == c).all()


def test_planted_themes_are_found_on_both_levels() -> None:
    matrix, theme, group = planted()
    found = cluster(matrix, fine=20, top=4)
    well_formed(found, len(matrix))
    assert adjusted_rand_score(theme, found.fine) > 0.9
    assert adjusted_rand_score(group, found.top) > 0.9


def test_central_documents_are_the_nearest_to_the_centre() -> None:
    matrix, _, _ = planted(500)
    found = cluster(matrix, fine=20, top=4)
    for c in range(len(found.parents)):
        members = np.flatnonzero(found.fine == c)
        cosine = matrix[members].astype(np.float64) @ found.centres[c] / np.linalg.norm(matrix[members].astype(np.float64), axis=1)
        assert set(found.central[c][:3].tolist()) == set(members[np.argsort(-cosine, kind="stable")[:3]].tolist()) or len(members) < 3


def test_a_seed_gives_the_same_clusters_from_a_sample_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.embeddings.clusters._SAMPLE_A_CLUSTER", 20)
    monkeypatch.setattr("explorer.embeddings.clusters._BLOCK", 500)
    matrix, theme, _ = planted(6_000)
    one, two = (cluster(matrix, fine=20, top=4, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.fine, two.fine)
    np.testing.assert_array_equal(one.top, two.top)
    assert adjusted_rand_score(theme, one.fine) > 0.85


def test_vectors_without_direction_are_in_no_cluster() -> None:
    matrix, _, _ = planted(400)
    matrix[[0, 9]] = [np.nan], [0]
    found = cluster(matrix)
    well_formed(found, 400)
    assert np.flatnonzero(found.fine < 0).tolist() == [0, 9]


@pytest.mark.parametrize("m", [0, 1, 2, 7])
def test_very_few_vectors(m: int) -> None:
    matrix, _, _ = planted(10)
    found = cluster(matrix[:m])
    well_formed(found, m)
    assert len(found.parents) == (0 if m == 0 else default_counts(m)[1])


def test_equal_vectors_are_one_cluster_however_many_are_wanted() -> None:
    found = cluster(np.tile(np.float16([0.6, 0.8, 0.0]), (200, 1)), fine=12, top=3)
    well_formed(found, 200)
    assert len(found.parents) == 1
    assert found.central.tolist() == [[0, 1, 2, 3, 4]]
    nothing = cluster(np.full((5, 3), np.nan, np.float16))
    assert (nothing.fine == -1).all()
    assert len(nothing.parents) == 0


def test_weights_pull_the_centres() -> None:
    vectors = np.float32([[1, 0], [0.8, 0.6], [0, 1]])
    heavy = spherical_kmeans(vectors, 1, np.random.default_rng(0), weights=np.array([100.0, 1.0, 1.0]))
    light = spherical_kmeans(vectors, 1, np.random.default_rng(0))
    np.testing.assert_allclose(heavy[0], [100.8, 1.6] / np.linalg.norm([100.8, 1.6]), rtol=1e-5)
    np.testing.assert_allclose(light[0], [1.8, 1.6] / np.linalg.norm([1.8, 1.6]), rtol=1e-5)


def test_numbers_that_make_no_sense_are_refused() -> None:
    assert default_counts(8_000) == (13, 45)
    assert default_counts(10**8) == (45, 500)
    matrix, _, _ = planted(100)
    assert len(cluster(matrix, top=9).parents) >= 9
    for fine, top in ((0, 1), (3, 4), (5, 0)):
        with pytest.raises(EmbeddingError, match="clusters in"):
            cluster(matrix, fine=fine, top=top)
