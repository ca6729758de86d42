"""Untie the Knots against what the authors' own code gave."""

import numpy as np
import pytest

from explorer.errors import ManifestError
from explorer.mixture.knots import knotted

SEQUENCE = np.array([11, 12, 13, 14, 15, 16, 0, 21, 22, 23, 24, 0, 31, 32, 33, 34, 35, 36, 37, 38, 39, 0])
MARKERS = [101, 102, 103, 104, 105, 106]


@pytest.mark.parametrize(
    ("index", "keep_order", "probabilities", "expected"),  # gpt_dataset_utk.py, functions run unchanged, seed 47
    [
        (0, True, [0, 1, 0], [31, 32, 33, 34, 35, 101, 11, 12, 13, 101, 21, 22, 101, 102, 23, 24, 0, 102, 14, 15, 16, 0]),
        (0, False, [0, 1, 0], [31, 32, 33, 34, 35, 101, 102, 14, 15, 16, 0, 102, 23, 24, 0, 21, 22, 101, 11, 12, 13, 101]),
        (1, True, [0, 1, 0], [11, 12, 13, 101, 102, 14, 15, 16, 0, 21, 22, 101, 102, 23, 24, 0, 31, 32, 33, 34, 35, 101]),
        (2, True, [0, 1, 0], [21, 22, 101, 11, 12, 13, 101, 31, 32, 33, 34, 35, 101, 102, 14, 15, 16, 0, 102, 23, 24, 0]),
        (3, False, [0, 1, 0], [102, 14, 15, 16, 0, 102, 23, 24, 0, 21, 22, 101, 31, 32, 33, 34, 35, 101, 11, 12, 13, 101]),
        (0, False, [1, 0, 0], [21, 22, 23, 24, 0, 11, 12, 13, 14, 15, 16, 0, 31, 32, 33, 34, 35, 36, 37, 38, 39, 0]),
    ],
)
def test_parts_are_shuffled_as_the_authors_code_does(index, keep_order, probabilities, expected) -> None:
    found = knotted(SEQUENCE, index=index, end=0, markers=MARKERS, probabilities=probabilities, keep_order=keep_order)
    assert found.tolist() == expected


def test_too_few_markers_are_refused() -> None:
    with pytest.raises(ManifestError, match="3 parts need 4 markers; there are 2"):
        knotted(SEQUENCE, index=0, end=0, markers=[101, 102], probabilities=[0, 0, 1])
    assert knotted(SEQUENCE[:0], index=0, end=0, markers=[], probabilities=[1]).tolist() == []
