import numpy as np
import pytest
from known_heuristics import TEXTS, expected

from explorer.primitives.batch import Batch
from explorer.registry import families

SIGNALS = [s.name for s in families()["fineweb"].signals]


@pytest.mark.parametrize("name", SIGNALS)
def test_known_answers_of_datatrove(name):
    values = families()["fineweb"].compute(Batch.of(TEXTS))[name]
    np.testing.assert_allclose(values, expected(name), atol=1e-6, rtol=1e-6)


def test_counted_by_hand():
    text = 'Ends here.\nNot here\n \nEnds here.\nquoted."\n日本。' + "x" * 40 + "!"
    values = families()["fineweb"].compute(Batch.of([text]))
    assert values["fw_line_punct_ratio"][0] == pytest.approx(3 / 5)  # a closing quote is no terminal punctuation
    assert values["fw_short_line_ratio"][0] == pytest.approx(4 / 5)
    assert values["fw_char_dup_ratio"][0] == pytest.approx(10 / len(text.replace("\n", "")))
    assert values["fw_newline_word_ratio"][0] == pytest.approx(5 / 13)  # Ends here . Not here Ends here . quoted . " 日本。xxx !


def test_undefined_without_a_filled_line():
    values = families()["fineweb"].compute(Batch.of(["", " \n\n\t", None]))
    for name in SIGNALS:
        assert np.isnan(values[name]).all(), name
