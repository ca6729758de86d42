import numpy as np
import pytest

from explorer.primitives.batch import Batch
from explorer.registry import families


def test_counted_by_hand():
    texts = ["one two\nthree\n", "é 日本\n\n\nb", b"a\xff\xffb", "", "\n", "x"]
    values = {name: np.asarray(v).tolist() for name, v in families()["length"].compute(Batch.of(texts)).items()}
    assert values["n_bytes"] == [14, 13, 4, 0, 1, 1]
    assert values["n_chars"] == [14, 8, 4, 0, 1, 1]
    assert values["n_words"] == [3, 3, 1, 0, 0, 1]
    assert values["n_lines"] == [2, 4, 1, 0, 1, 1]
    assert values["n_paragraphs"] == [1, 2, 1, 0, 0, 1]
    assert values["mean_line_chars"][:3] == [6.0, 2.5, 4.0]
    assert np.isnan(values["mean_line_chars"][3:5]).all()
    assert values["tokens_estimate"] == [3.5, 3.25, 1.0, 0.0, 0.25, 0.25]
    assert values["n_invalid_utf8"] == [0, 0, 2, 0, 0, 0]


@pytest.mark.parametrize("family", ["length", "gopher_quality", "gopher_repetition", "fineweb", "compression"])
def test_values_have_the_registered_names_types_and_ranges(family, edge_documents):
    known = families()[family]
    values = known.compute(Batch.of(edge_documents))
    assert list(values) == [s.name for s in known.signals]
    for s in known.signals:
        column = np.asarray(values[s.name])
        assert column.dtype == np.dtype(s.dtype), s.name
        assert len(column) == len(edge_documents)
        low, high = s.range
        defined = column[~np.isnan(column)]
        assert low is None or (defined >= low).all(), s.name
        assert high is None or (defined <= high).all(), s.name
        assert s.unit
        assert s.about.endswith(".")
        assert s.source
    for d, text in enumerate(edge_documents):
        alone = known.compute(Batch.of([text]))
        for name, column in values.items():
            np.testing.assert_array_equal(column[d], alone[name][0], err_msg=name)
