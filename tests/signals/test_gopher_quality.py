import numpy as np
import pytest
from known_heuristics import TEXTS, expected

from explorer.primitives.batch import Batch
from explorer.registry import families

SIGNALS = [s.name for s in families()["gopher_quality"].signals]


@pytest.mark.parametrize("name", SIGNALS)
def test_known_answers_of_datatrove(name):
    values = families()["gopher_quality"].compute(Batch.of(TEXTS))[name]
    np.testing.assert_allclose(values, expected(name), atol=1e-6, rtol=1e-6)


def test_counted_by_hand():
    text = "- The cat... sat.\n# have #\nto and to…\n"
    values = families()["gopher_quality"].compute(Batch.of([text]))
    # tokens: - The cat ... sat . # have # to and to …   (13); words: The cat sat have to and to (7)
    assert values["gopher_n_words"][0] == 7
    assert values["gopher_mean_word_len"][0] == pytest.approx((3 + 3 + 3 + 4 + 2 + 3 + 2) / 7)
    assert values["gopher_hash_ratio"][0] == pytest.approx(2 / 13)
    assert values["gopher_ellipsis_ratio"][0] == pytest.approx(2 / 13)
    assert values["gopher_bullet_line_frac"][0] == pytest.approx(1 / 3)
    assert values["gopher_ellipsis_line_frac"][0] == pytest.approx(1 / 3)
    assert values["gopher_alpha_word_frac"][0] == pytest.approx(7 / 13)
    assert values["gopher_stop_words"][0] == 3  # have, to, and; "The" is not "the"


def test_ratios_of_nothing_are_undefined(edge_documents):
    values = families()["gopher_quality"].compute(Batch.of(edge_documents))
    empty, blank = edge_documents.index(""), edge_documents.index("   \n\t ")
    for row in (empty, blank):
        assert values["gopher_n_words"][row] == 0
        assert np.isnan(
            [values[n][row] for n in ("gopher_mean_word_len", "gopher_hash_ratio", "gopher_ellipsis_ratio", "gopher_alpha_word_frac")]
        ).all()
    assert np.isnan(values["gopher_bullet_line_frac"][empty])
    assert values["gopher_bullet_line_frac"][blank] == 0
