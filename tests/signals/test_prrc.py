"""Meta-rater's raters: six classes, the most probable one and the expectation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")

from models.tiny import TEXTS, model, plain

from explorer.engine.local import score_texts
from explorer.errors import ModelError
from explorer.registry import find
from explorer.signals.prrc import DIMENSIONS, rating


def test_the_most_probable_class_and_the_expectation() -> None:
    logits = np.array([[0.1, 0.2, 1.0, 2.0, 1.8, -1.0], [np.nan] * 6, [0, 0, 0, 0, 0, 50.0]], np.float32)
    points, expected = rating(logits)
    assert points.to_pylist() == [3, None, 5]
    np.testing.assert_allclose(expected, [2.9102883447634906, np.nan, 5.0], rtol=1e-6)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_each_dimension_is_a_family_with_its_own_model(tmp_path: Path, dimension: str) -> None:
    path = model(tmp_path / dimension, "modernbert", labels=6, seed=len(dimension))
    name = f"prrc_{dimension}"
    got = score_texts([*TEXTS, None, "  "], [name], {name: {"model": str(path), "max_length": 40}})
    logits = plain(path, TEXTS, max_length=40).astype(np.float64)
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert got[name].to_pylist() == [*logits.argmax(axis=1).tolist(), None, None]
    np.testing.assert_allclose(got[f"{name}_ev"].to_pylist()[: len(TEXTS)], probability @ np.arange(6), atol=1e-5)
    assert got[f"{name}_ev"].to_pylist()[len(TEXTS) :] == [None, None]
    assert len(set(got[name].to_pylist())) > 2
    family = find(name)
    assert family.learned
    assert family.defaults["model"] == f"opendatalab/meta-rater-{dimension}-rating"
    assert family.defaults["max_length"] == 2048
    assert dimension in family.about


def test_another_head_is_refused(tmp_path: Path) -> None:
    path = model(tmp_path / "one", "modernbert", labels=1)
    with pytest.raises(ModelError, match=r"has 1 outputs .*Meta-rater's reasoning rater has 6"):
        score_texts(["text"], ["prrc_reasoning"], {"prrc_reasoning": {"model": str(path), "max_length": 16}})
