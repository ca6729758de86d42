import zlib

import numpy as np
import pytest
from known_heuristics import DOCUMENTS, TEXTS

from explorer.primitives.batch import Batch
from explorer.registry import families


def test_known_answers_within_what_builds_of_zlib_differ_by():
    ratios = families()["compression"].compute(Batch.of(TEXTS))["zlib_ratio"]
    np.testing.assert_allclose(ratios, [d["zlib6"] / d["bytes"] for d in DOCUMENTS.values()], rtol=0.03)


def test_any_bytes_and_every_level():
    raw = [b"\x00\xff" * 500, "日本".encode(), b"", None, b"a"]
    for level in (1, 6, 9):
        ratios = families()["compression"].compute(Batch.of(raw), level=level)["zlib_ratio"]
        assert np.isnan(ratios[[2, 3]]).all()
        for d in (0, 1, 4):
            assert ratios[d] == pytest.approx(len(zlib.compress(raw[d], level)) / len(raw[d]))
