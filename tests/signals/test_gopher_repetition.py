import numpy as np
import pytest
from known_heuristics import TEXTS, expected

from explorer.primitives.batch import Batch
from explorer.registry import families

SIGNALS = [s.name for s in families()["gopher_repetition"].signals]


@pytest.mark.parametrize("name", SIGNALS)
def test_known_answers_of_datatrove(name):
    values = families()["gopher_repetition"].compute(Batch.of(TEXTS))[name]
    np.testing.assert_allclose(values, expected(name), atol=1e-6, rtol=1e-6)


def test_counted_by_hand():
    text = "ab\nab\n\nab\n\nab\n\ncd\nab"  # lines ab ab ab ab cd ab; paragraphs "ab\nab", ab, ab, "cd\nab"
    values = families()["gopher_repetition"].compute(Batch.of([text]))
    assert values["rep_dup_line_frac"][0] == pytest.approx(4 / 6)
    assert values["rep_dup_line_char_frac"][0] == pytest.approx(8 / len(text))
    assert values["rep_dup_para_frac"][0] == pytest.approx(1 / 4)
    assert values["rep_dup_para_char_frac"][0] == pytest.approx(2 / len(text))
    assert values["rep_top2_char_frac"][0] == pytest.approx(3 * len("ab ab") / len(text))  # ab-ab three times, overlapping


def test_what_an_empty_or_tiny_document_leaves_undefined():
    values = families()["gopher_repetition"].compute(Batch.of(["", "word", "two words", " \n "]))
    for name in SIGNALS:
        assert np.isnan(values[name][0]), name
    top2, dup5 = values["rep_top2_char_frac"], values["rep_dup5_char_frac"]
    assert np.isnan(top2[1])  # no 2-gram at all
    assert top2[2] == 1.0
    assert np.isnan(values["rep_top3_char_frac"][2])
    assert np.isnan(top2[3])
    assert dup5[1:].tolist() == [0, 0, 0]
