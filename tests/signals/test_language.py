"""Language identification by fastText."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.signals.language import language

TEXTS = [
    "The farmers have used the water of the river for more than three hundred years.",
    "Les habitants de la ville\nutilisent l'eau de la rivière depuis trois cents ans.",
    "Die Bauern nutzen das Wasser des Flusses seit mehr als dreihundert Jahren.",
    "農民は三百年以上にわたって川の水を利用してきました。",
]


def test_names_the_language() -> None:
    result = language(Batch.of(TEXTS))
    assert result["lang"].to_pylist() == ["en", "fr", "de", "ja"]
    assert (result["lang_score"] > 0.65).all()
    assert (result["lang_second_score"] < result["lang_score"]).all()
    assert all(a != b for a, b in zip(result["lang"].to_pylist(), result["lang_second"].to_pylist(), strict=True))


def test_equals_the_model_on_the_whole_text_as_one_line() -> None:
    import fasttext

    from explorer.signals.language import model_path

    model = fasttext.load_model(str(model_path(None)))
    text = TEXTS[1] * 50
    labels, probabilities = model.predict(text.replace("\n", " "), k=2)
    result = language(Batch.of([text]))
    assert [result["lang"][0].as_py(), result["lang_second"][0].as_py()] == [label.removeprefix("__label__") for label in labels]
    np.testing.assert_allclose([result["lang_score"][0], result["lang_second_score"][0]], np.minimum(probabilities, 1), rtol=0, atol=0)


def test_blank_text_has_no_language() -> None:
    result = language(Batch.of(["", " \n\t", None]))
    assert result["lang"].null_count == result["lang_second"].null_count == 3
    assert np.isnan(result["lang_score"]).all()


def test_max_chars_reads_only_the_beginning() -> None:
    text = TEXTS[0] + " " + TEXTS[2] * 40
    assert language(Batch.of([text]))["lang"][0].as_py() == "de"
    assert language(Batch.of([text]), max_chars=len(TEXTS[0]))["lang"][0].as_py() == "en"


def test_says_what_is_wrong_with_the_model(tmp_path: Path) -> None:
    with pytest.raises(SignalError, match=r"'/no/lid.bin' is not a file. .* packaged lid.176.ftz"):
        language(Batch.of(TEXTS), model="/no/lid.bin")
    broken = tmp_path / "lid.bin"
    broken.write_bytes(b"not a model")
    with pytest.raises(SignalError, match="cannot be loaded"):
        language(Batch.of(TEXTS), model=str(broken))
    with pytest.raises(SignalError, match="max_chars is 0"):
        language(Batch.of(TEXTS), max_chars=0)
