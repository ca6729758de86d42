"""A sample for trying a model on: every source in proportion, none forgotten, the same for a seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.corpus.corpus import Corpus
from explorer.errors import SelectionError
from explorer.selection.filters import as_filters
from explorer.selection.scope import scope, stratified


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.data())
def test_quotas_follow_the_strata(codes: list[int], data: st.DataObject) -> None:
    strata = np.array(codes)
    n = data.draw(st.integers(0, len(codes)))
    rows = stratified(strata, n, np.random.default_rng(data.draw(st.integers(0, 9))))
    assert len(rows) == n == len(set(rows.tolist()))
    assert (np.diff(rows) > 0).all()
    counts = np.bincount(strata, minlength=6)
    drawn = np.bincount(strata[rows], minlength=6)
    assert (drawn <= counts).all()
    if n >= (counts > 0).sum():
        assert (drawn[counts > 0] >= 1).all()
    assert (drawn <= np.ceil(n * counts / len(codes)) + 1).all()


def test_scopes(tiny_corpus: Corpus) -> None:
    n = len(tiny_corpus)
    assert scope(tiny_corpus) is None
    assert scope(tiny_corpus, sample=n + 1) is None
    first = scope(tiny_corpus, sample=7, seed=3)
    again = scope(tiny_corpus, sample=7, seed=3)
    other = scope(tiny_corpus, sample=7, seed=4)
    assert first is not None and again is not None and other is not None  # noqa: PT018
    assert first.tolist() == again.tolist() != other.tolist()
    some = scope(tiny_corpus, as_filters("_row >= 10"), sample=5)
    assert some is not None
    assert len(some) == 5
    assert some.min() >= 10
    with pytest.raises(SelectionError, match=r"0 of 60 documents pass the filters"):
        scope(tiny_corpus, as_filters("_row < 0"))
