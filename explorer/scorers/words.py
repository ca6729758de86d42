"""Words as features, and words as an explanation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

FEATURES = 2**18
CHARACTERS = 20_000  # of a document that are read: topic and quality show early, and time is bounded
# A run of letters and digits; scripts written without spaces count each character, pairs of them being the second kind of feature.
TOKEN = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+"


@cache
def _vectorizer() -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        n_features=FEATURES, ngram_range=(1, 2), token_pattern=TOKEN, alternate_sign=False, norm=None, lowercase=True, dtype=np.float32
    )


def counts(texts: Sequence[str]) -> Any:
    """1 + log of how often each word and word pair occurs, hashed; sparse float32 [n, 262144]."""
    matrix = _vectorizer().transform([text[:CHARACTERS] for text in texts])
    matrix.data = 1 + np.log(matrix.data)
    return matrix


def inverse_frequency(matrix: Any) -> np.ndarray:
    """log((1 + n) / (1 + documents with it)) + 1 of each feature, float32 [262144]."""
    n = matrix.shape[0]
    frequency = np.bincount(matrix.indices, minlength=FEATURES)
    return (np.log((1 + n) / (1 + frequency)) + 1).astype(np.float32)


def weighted(matrix: Any, inverse: np.ndarray) -> Any:
    """Counts times inverse frequencies, rows of unit length."""
    from sklearn.preprocessing import normalize

    return normalize(matrix.multiply(inverse).tocsr(), copy=False)


Telling = tuple[list[tuple[str, float]], list[tuple[str, float]]]


def by_weight(texts: Sequence[str], features: Any, coefficients: np.ndarray, most: int = 30) -> Telling:
    """Words and pairs that move the scores of these texts most: coefficient times the spread of the feature over the texts.

    Args:
        texts: documents.
        features: their words, as `weighted` gives them.
        coefficients: float64 [262144].
        most: words at each end.

    """
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

    cut = [text[:CHARACTERS] for text in texts]
    counter = CountVectorizer(ngram_range=(1, 2), token_pattern=TOKEN, binary=True, lowercase=True)
    try:
        present = counter.fit_transform(cut)
    except ValueError:  # no word in any text
        return [], []
    frequency = np.asarray(present.sum(axis=0)).ravel()
    words = counter.get_feature_names_out()[frequency >= max(2, len(cut) // 50)]
    if not len(words):
        return [], []
    one = HashingVectorizer(n_features=FEATURES, analyzer=lambda word: [word], alternate_sign=False, norm=None)
    at = one.transform(words).indices
    mean = np.asarray(features.mean(axis=0)).ravel()[at]
    square = np.asarray(features.multiply(features).mean(axis=0)).ravel()[at]
    return _ends(words, coefficients[at] * np.sqrt(np.maximum(0, square - mean**2)), most)


def by_correlation(texts: Sequence[str], scores: np.ndarray, most: int = 30) -> Telling:
    """Words whose presence goes with high and with low scores (correlation over these documents)."""
    from sklearn.feature_extraction.text import CountVectorizer

    there = np.flatnonzero(np.isfinite(scores))
    cut = [texts[i][:CHARACTERS] for i in there.tolist()]
    least = max(3, len(cut) // 100)
    counter = CountVectorizer(token_pattern=TOKEN, binary=True, lowercase=True, dtype=np.float64)
    try:
        present = counter.fit_transform(cut)
    except ValueError:
        return [], []
    n, frequency = len(cut), np.asarray(present.sum(axis=0)).ravel()
    usable = (frequency >= least) & (frequency <= n - least)
    if not usable.any() or scores[there].std() == 0:
        return [], []
    centred = (scores[there] - scores[there].mean()) / scores[there].std()
    share = frequency[usable] / n
    correlation = np.asarray(present[:, usable].T @ centred).ravel() / n / np.sqrt(share * (1 - share))
    return _ends(counter.get_feature_names_out()[usable], correlation, most)


def _ends(words: np.ndarray, weights: np.ndarray, most: int) -> Telling:
    order = np.argsort(-weights, kind="stable")
    pro = [(str(words[i]), float(weights[i])) for i in order[:most] if weights[i] > 0]
    con = [(str(words[i]), float(weights[i])) for i in order[::-1][:most] if weights[i] < 0]
    return pro, con
