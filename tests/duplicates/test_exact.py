"""Documents that are the same, byte for byte and normalised."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import DOCUMENTS, EXACT, NORMALISED

from explorer.duplicates.exact import exact_duplicates, explain, group_equal, hashes
from explorer.primitives.batch import Batch


def test_planted_groups(make_corpus):
    found = exact_duplicates(make_corpus())
    assert [None if g < 0 else int(g) for g in found.columns["exact"]] == EXACT
    assert [None if g < 0 else int(g) for g in found.columns["normalised"]] == NORMALISED
    assert found.report["exact"] == {"groups": 3, "in_groups": 6, "largest": 2}
    assert found.report["normalised"] == {"groups": 3, "in_groups": 7, "largest": 3}
    said = explain(found.report)
    assert "Byte for byte: 3 groups hold 6 of 14 documents, the largest 2" in said
    assert "1 null texts are not compared; 3 have nothing left to compare when normalised" in said


def test_nothing_is_explained(make_corpus):
    said = explain(exact_duplicates(make_corpus([DOCUMENTS[0], DOCUMENTS[2]])).report)
    assert said.startswith("Byte for byte: 0 duplicates among 2 documents, all their 128-bit hashes differ")


@settings(max_examples=200)
@given(st.lists(st.none() | st.binary(max_size=20), max_size=12))
def test_groups_are_those_of_a_dictionary(documents):
    batch = Batch.of([*documents, *documents])
    first = {}
    for i, text in enumerate([*documents, *documents]):
        first.setdefault(text, i)
    expected = [-1 if t is None else first[t] for t in [*documents, *documents]]
    assert group_equal(hashes(batch), batch.valid).tolist() == expected


def test_hashes_of_neighbouring_texts_differ_in_both_halves():
    texts = [b"\x00" * n for n in range(40)] + [bytes([i]) * 9 for i in range(1, 256)] + [b"a" * 7 + bytes([i]) for i in range(256)]
    found = hashes(Batch.of(texts))
    assert len(set(found.high.tolist())) == len(set(found.low.tolist())) == len(set(texts))
    bits = np.unpackbits(np.frombuffer(np.stack([found.high, found.low], 1).tobytes(), np.uint8)).reshape(len(texts), 128)
    assert (np.abs(bits.mean(0) - 0.5) < 0.12).all()
