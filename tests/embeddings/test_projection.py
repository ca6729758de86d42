"""A map keeps neighbours: measured on vectors whose neighbourhoods are planted."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.embeddings.projection import FEWEST, pca, project
from explorer.embeddings.search import neighbours
from explorer.errors import EmbeddingError


def planted(m: int, topics: int = 20, d: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (topics, d))
    topic = np.arange(m) % topics
    matrix = centres[topic] + rng.normal(0, 0.35, (m, d))
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float16), topic


def topic_kept(places: np.ndarray, topic: np.ndarray, k: int = 10) -> float:
    """Share of a point's k nearest on the map that are of its topic."""
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :k]
    return float((topic[near] == topic[:, None]).mean())


def neighbours_kept(matrix: np.ndarray, places: np.ndarray, k: int = 10) -> float:
    true = neighbours(matrix, k)[0]
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :k]
    return float(np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(true, near, strict=True)]))


def test_the_layout_keeps_neighbours_that_pca_mixes() -> None:
    matrix, topic = planted(800, topics=40)
    flat, laid = project(matrix, "pca"), project(matrix, "umap", seed=1)
    assert topic_kept(flat, topic) < 0.6
    assert topic_kept(laid, topic) > 0.95
    assert neighbours_kept(matrix, laid) > 1.7 * neighbours_kept(matrix, flat)


def test_documents_beyond_the_landmarks_are_placed_beside_their_own() -> None:
    matrix, topic = planted(1_500)
    places = project(matrix, "umap", seed=2, landmarks=300)
    assert np.isfinite(places).all()
    assert topic_kept(places, topic) > 0.9


@pytest.mark.thorough
def test_a_seed_gives_one_map_and_another_seed_another(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, _ = planted(2_500, seed=4)
    first = project(matrix, "umap", seed=3, landmarks=1_500)
    monkeypatch.setattr("os.cpu_count", lambda: 5)  # the layout does not depend on how many threads share it
    np.testing.assert_array_equal(first, project(matrix, "umap", seed=3, landmarks=1_500))
    assert not np.allclose(first, project(matrix, "umap", seed=4, landmarks=1_500))


def test_pca_is_the_plane_of_most_variance_and_its_signs_are_fixed() -> None:
    matrix, _ = planted(400, seed=6)
    unit = matrix.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    centred = unit - unit.mean(0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    places = pca(matrix)
    for axis in range(2):
        expected = centred @ axes[axis]
        sign = np.sign(axes[axis][np.abs(axes[axis]).argmax()])
        np.testing.assert_allclose(places[:, axis], sign * expected, atol=1e-5)
    np.testing.assert_allclose((places.astype(np.float64) ** 2).sum(0), sizes[:2] ** 2, rtol=1e-4)


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_a_vector_without_direction_has_no_place(method: str) -> None:
    matrix, _ = planted(200)
    matrix[[0, 7, 199]] = [0], [np.nan], [np.inf]
    places = project(matrix, method)  # type: ignore[arg-type]
    assert np.flatnonzero(np.isnan(places).any(1)).tolist() == [0, 7, 199]


@pytest.mark.parametrize("method", ["pca", "umap"])
@pytest.mark.parametrize("m", [0, 1, 2, FEWEST])
def test_few_or_equal_vectors_have_finite_places(method: str, m: int) -> None:
    matrix, _ = planted(max(m, 1))
    assert project(matrix[:m], method).shape == (m, 2)  # type: ignore[arg-type]
    assert np.isfinite(project(matrix[:m], method)).all()  # type: ignore[arg-type]
    alike = project(np.repeat(matrix[:1], m, 0), method)  # type: ignore[arg-type]
    assert np.isfinite(alike).all()
    if method == "pca":
        assert (alike == 0).all()


def test_many_equal_vectors_do_not_break_the_layout() -> None:
    matrix, topic = planted(300, topics=3)
    matrix[:] = matrix[topic]
    places = project(matrix, "umap", landmarks=150)
    assert np.isfinite(places).all()
    assert topic_kept(places, topic) > 0.9


def test_it_tells_how_far_it_is_and_can_be_ended() -> None:
    matrix, _ = planted(400)
    said: list[tuple[int, int, str]] = []
    project(matrix, "umap", landmarks=100, tell=lambda *step: said.append(step))
    assert {doing for _, _, doing in said} >= {"laying out 100 documents", "placing the other documents"}
    assert all(0 <= done <= total for done, total, _ in said)

    class Ended(Exception):
        pass

    def end(done: int, total: int, doing: str) -> None:
        if doing.startswith("laying out"):
            raise Ended

    with pytest.raises(Ended):
        project(matrix, "umap", tell=end)


def test_unknown_methods_and_too_few_landmarks_are_refused() -> None:
    with pytest.raises(EmbeddingError, match=r"'tsne' is not known\. Known: 'pca', 'umap'"):
        project(planted(50)[0], "tsne")  # type: ignore[arg-type]
    with pytest.raises(EmbeddingError, match="5 landmarks"):
        project(planted(50)[0], "umap", landmarks=5)
