"""fastText raters on a small classifier that is trained here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fasttext")

from explorer.errors import ExplorerError, ModelError, SignalError
from explorer.models import fasttext
from explorer.primitives.batch import Batch
from explorer.signals.dclm import DCLM, dclm, fasttext_rater

GOOD = "Here is why: the answer follows from the definition, step by step, and each step is explained."
BAD = "buy cheap shoes online today click here for more deals sign up newsletter"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    texts, labels = [], []
    for source, label in ((GOOD, "hq"), (BAD, "cc")):
        words = source.split()
        for _ in range(100):
            texts.append(" ".join(rng.choice(words, 12)))
            labels.append(label)
    classifier, _ = fasttext.train(texts, labels, dimension=10, seed=1)
    path = tmp_path_factory.mktemp("ft") / "dclm.bin"
    fasttext.save(classifier, path)
    return path


def score(texts: list[str | None], model: Path) -> np.ndarray:
    return dclm(Batch.of(texts), model=str(model))["dclm_score"]


def test_one_minus_p_where_the_low_label_wins(model: Path) -> None:
    classifier = fasttext.load(model)
    top = classifier.top([GOOD, BAD])
    assert top[0] is not None
    assert top[1] is not None
    assert (top[0][0], top[1][0]) == ("hq", "cc")
    found = score([GOOD, BAD], model)
    np.testing.assert_allclose(found, [top[0][1], 1 - top[1][1]], atol=1e-6)
    assert found[1] < 0.5 < found[0]
    np.testing.assert_allclose(found, classifier.probability([GOOD, BAD], "hq"), atol=1e-4)  # the same, with two labels
    assert found.dtype == np.float32
    assert (found.min(), found.max()) >= (0, 0)
    assert found.max() <= 1


def test_line_ends_are_spaces(model: Path) -> None:
    assert score([GOOD.replace(" ", "\n")], model) == score([GOOD], model)
    assert score([GOOD.replace(" ", "\r\n\n")], model) == score([GOOD], model)
    assert score([GOOD.replace(" ", "")], model) != score([GOOD], model)


def test_a_blank_text_is_undefined(model: Path) -> None:
    assert np.isnan(score(["", " \n\t", None], model)).all()
    assert np.isnan(fasttext_rater(Batch.of(["", None]), model=str(model), label="hq")["fasttext_rater"]).all()


def test_any_label_of_any_model(model: Path) -> None:
    batch = Batch.of([GOOD, BAD])
    high, low = (fasttext_rater(batch, model=str(model), label=label)["fasttext_rater"] for label in ("__label__hq", "cc"))
    np.testing.assert_allclose(high + low, 1, atol=1e-3)
    np.testing.assert_array_equal(fasttext_rater(batch, model=str(model.parent), label="hq")["fasttext_rater"], high)  # its folder
    with pytest.raises(ExplorerError, match=r"Label '1' is not in the fastText model .* Labels: "):
        fasttext_rater(batch, model=str(model))


def test_a_model_of_another_kind(model: Path, tmp_path: Path) -> None:
    classifier, _ = fasttext.train([GOOD, BAD] * 4, ["1", "0"] * 4, dimension=4)
    fasttext.save(classifier, tmp_path / "other.bin")
    with pytest.raises(SignalError, match=r"has no label '__label__cc', .* Use the family fasttext_rater"):
        score([GOOD], tmp_path / "other.bin")


def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SignalError, match="No fastText model was named"):
        fasttext_rater(Batch.of(["a"]))
    with pytest.raises(SignalError, match=r"Which file of .* is not clear .* none"):
        fasttext_rater(Batch.of(["a"]), model=str(tmp_path))
    with pytest.raises(ModelError, match="does not exist"):
        score(["a"], tmp_path / "none.bin")
    huggingface_hub = pytest.importorskip("huggingface_hub")

    def nowhere(*args: object, **kwargs: object) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("offline")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", nowhere)
    with pytest.raises(ModelError, match=rf"Model '{DCLM}' is not on this machine .* run: hf download {DCLM}"):
        dclm(Batch.of(["a"]))
