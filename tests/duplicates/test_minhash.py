"""Signatures against the reference's known answers and plain Python; estimates and candidates against what theory says."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from explorer.duplicates.minhash import (
    MERSENNE,
    SCHEMES,
    Scheme,
    candidate_probability,
    reference_parameters,
    scheme,
    signatures,
    similarities,
    sketch,
)
from explorer.duplicates.normalise import normalised, simplify
from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.primitives.words import word_spans, words

HERE = Path(__file__).parent
KNOWN = json.loads((HERE / "known_minhash_fineweb.json").read_text())
CURVE = json.loads((HERE / "known_lsh_curve.json").read_text())
FINEWEB = SCHEMES["fineweb"]
VOCABULARY = [f"{a}{b}{c}" for a in "bcdfgklm" for b in "aeiou" for c in "nrstxyz"]


def planted(pairs, rates, length=200, seed=0):
    """Texts, the same with a share of the words replaced, and the true Jaccard similarity of their sets of 5-grams."""
    rng = np.random.default_rng(seed)
    left, right, true = [], [], []
    for k in range(pairs):
        a = rng.choice(VOCABULARY, length)
        b = np.where(rng.random(length) < rates[k % len(rates)], rng.choice(VOCABULARY, length), a)
        one, other = ({tuple(t[i : i + 5]) for i in range(length - 4)} for t in (a, b))
        left.append(" ".join(a)), right.append(" ".join(b))
        true.append(len(one & other) / len(one | other))
    return left, right, np.array(true)


def test_known_answers_of_the_reference():
    batch = Batch.of(list(KNOWN["texts"].values()))
    minima, shingles = signatures(batch, FINEWEB, reference=True)
    assert shingles.tolist() == KNOWN["n_shingles"]
    assert minima[0, :8].tolist() == [int(x) for x in KNOWN["first_band_of_a"]]
    keys = sketch(batch, FINEWEB, reference=True).keys
    exact = similarities(list(KNOWN["texts"].values()))
    for name, k in (("a_b", 1), ("a_c", 2), ("a_d", 3)):
        pair = KNOWN["pairs"][name]
        assert exact[0, k] == pytest.approx(pair["jaccard_5gram"], abs=1e-6)
        assert (minima[0] == minima[k]).mean() == pytest.approx(pair["minhash_estimate_112"], abs=1e-6)
        assert (keys[:, 0] == keys[:, k]).sum() == pair["bands_equal_of_14"]
    assert simplify(KNOWN["texts"]["a"])[:120] == KNOWN["simplified_a_first_120"]


def test_known_curve():
    for similarity, probability in CURVE["fineweb_14x8"].items():
        assert candidate_probability(float(similarity), FINEWEB) == pytest.approx(probability, abs=1e-6)
    for level, layout in CURVE["rpv2"].items():
        assert (SCHEMES[f"redpajama-{level}"].bands, SCHEMES[f"redpajama-{level}"].rows) == tuple(map(int, layout.split("x")))
        assert SCHEMES[f"redpajama-{level}"].ngram == 13
    assert candidate_probability(0.8, SCHEMES["redpajama-0.8"]) == pytest.approx(CURVE["rpv2_curve_0.8_at_0.8"])
    assert FINEWEB.midpoint == pytest.approx(CURVE["threshold_approx"])


@pytest.mark.parametrize("reference", [False, True])
def test_signatures_are_those_of_plain_python(reference):
    documents = [
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich",
        "a b c d e",
        "a b c d",
        "x" * 300 + " b c d e f",
        None,
        "don't you 3km",
    ]
    small = Scheme(5, 3, 4)
    minima, shingles = signatures(Batch.of(documents), small, reference=reference)
    for d, text in enumerate(documents):
        batch = normalised(Batch.of([text]))
        spans = word_spans(batch)
        spelled = [batch.data[s : s + n].tobytes() for s, n in zip(spans.start, spans.size, strict=True)]
        grams = [spelled[i : i + 5] for i in range(len(spelled) - 4)]
        assert shingles[d] == len(grams)
        if not grams:
            continue
        if reference:
            a, b = (v.astype(object) for v in reference_parameters(12))
            hashes = [struct.unpack("<Q", hashlib.sha1(b" ".join(g)).digest()[:8])[0] for g in grams]
            expected = [min((h * int(x) + int(y)) % 2**64 % int(MERSENNE) for h in hashes) for x, y in zip(a, b, strict=True)]
        else:
            expected = fast_twin(words(batch).hash.tolist(), 12)
        assert minima[d].tolist() == expected


def fast_twin(hashes, count):
    """The fast signature in Python's own integers."""
    drawn = np.random.RandomState(1).randint(0, 1 << 32, dtype=np.uint64, size=(2, count))
    low = [2**32 - 1] * count
    for i in range(len(hashes) - 4):
        h = 0
        for w in hashes[i : i + 5]:
            h = (h * 0x9E3779B97F4A7C15 + w) % 2**64
        h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        h = (h ^ h >> 27) * 0x94D049BB133111EB % 2**64
        h ^= h >> 31
        for p in range(count):
            v = ((h % 2**32) * (int(drawn[0, p]) | 1) + (h >> 32) * (int(drawn[1, p]) | 1)) % 2**32
            low[p] = min(low[p], (v ^ v >> 15) * 0x2C1B3C6D % 2**32)
    return low


def test_the_reference_hash_is_sha1_for_messages_of_any_length():
    one = Scheme(1, 1, 1)
    for size in (1, 54, 55, 56, 57, 63, 64, 65, 119, 120, 121, 1000):
        minima, _ = signatures(Batch.of(["b" * size]), one, reference=True)
        a, b = reference_parameters(1)
        h = struct.unpack("<Q", hashlib.sha1(b"b" * size).digest()[:8])[0]
        assert int(minima[0, 0]) == (h * int(a[0]) + int(b[0])) % 2**64 % int(MERSENNE)


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.thorough
def test_estimates_and_candidates_follow_theory(reference):
    left, right, true = planted(6000 if not reference else 1500, (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 0.5))
    n = len(true)
    batch = Batch.of([*left, *right])
    minima, _ = signatures(batch, FINEWEB, reference=reference)
    estimate = (minima[:n] == minima[n:]).mean(1)
    expected = np.sqrt((true * (1 - true)).mean() / 112)
    assert np.sqrt(((estimate - true) ** 2).mean()) < 1.08 * expected
    assert abs((estimate - true).mean()) < 4 * np.sqrt((true * (1 - true)).sum() / 112) / n
    keys = sketch(batch, FINEWEB, reference=reference).keys
    shared = (keys[:, :n] == keys[:, n:]).any(0)
    checked = 0
    for low in np.arange(0.3, 1, 0.1):
        here = (true >= low) & (true < low + 0.1)
        chance = candidate_probability(true[here], FINEWEB).mean()
        a, b = binom.interval(0.9999, int(here.sum()), chance)
        assert a <= shared[here].sum() <= b, low
        checked += int(here.sum())
    assert checked > 300
    assert shared[true == 1].all()


def test_exact_similarity_is_that_of_sets():
    left, right, true = planted(60, (0.0, 0.02, 0.2, 1.0), length=40)
    for a, b, expected in zip(left, right, true, strict=True):
        assert similarities([a, b])[0, 1] == pytest.approx(expected, abs=1e-12)
    assert similarities(["a b c d e a b c d e a b c d e", "a b c d e a b c d e"])[0, 1] == 1  # sets: repeats do not count
    assert np.isnan(similarities(["a b c d", "a b c d"])).all()
    assert similarities([]).shape == (0, 0)


def test_answers_do_not_depend_on_the_batch():
    left, right, _ = planted(20, (0.1,))
    texts = [None, *left, "", *right]
    whole = sketch(Batch.of(texts), FINEWEB)
    for d, text in enumerate(texts):
        alone = sketch(Batch.of([text]), FINEWEB)
        assert alone.shingles[0] == whole.shingles[d]
        assert alone.content[0] == whole.content[d]
        np.testing.assert_array_equal(alone.keys[:, 0], whole.keys[:, d])


def test_unknown_preset():
    with pytest.raises(SignalError, match=r"No MinHash preset is called .gopher.\. Presets: fineweb, redpajama-0.7"):
        scheme("gopher")
