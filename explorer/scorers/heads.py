"""Linear heads: L2-regularised logistic and ridge regression, their strength chosen by cross-validation.

Features are rows of unit length (embeddings, or TF-IDF of words), so one grid of strengths serves both. With fewer documents than
features the problem is turned into the space that the documents span, which changes nothing but the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

STRENGTHS = tuple(
    float(x) for x in 10.0 ** np.linspace(-1.5, 3, 10)
)  # inverse penalties tried; at the ends the head is constant or overfits
ROTATE = 600  # documents up to which they are turned into their own span
FEW = 100  # documents up to which the strength is chosen with care: 5 parts and every strength, else 3 and every second


@dataclass(frozen=True)
class Head:
    """``features @ coefficients + intercept``; through the logistic function where ``kind`` is "logistic"."""

    kind: str
    coefficients: np.ndarray
    intercept: float
    strength: float

    def decide(self, features: Any) -> np.ndarray:
        """The linear value, float64 [n]."""
        return np.asarray(features @ self.coefficients).ravel() + self.intercept


def fit(kind: str, features: Any, target: np.ndarray, groups: np.ndarray, seed: int = 0) -> Head:
    """Fit a head; its strength is the one with the least loss on documents left out (log loss, squared error).

    Args:
        kind: "logistic" or "ridge".
        features: float [n, d], dense or a sparse matrix.
        target: bool or float [n].
        groups: int [n]; documents of one group are never parted between fitting and judging.
        seed: of the folds.

    """
    strength = _chosen(kind, features, target, groups, seed)
    coefficients, intercept = _solve(kind, features, target, strength)
    return Head(kind, coefficients, intercept, strength)


def _chosen(kind: str, features: Any, target: np.ndarray, groups: np.ndarray, seed: int) -> float:
    few = len(target) <= FEW
    strengths = STRENGTHS if few else STRENGTHS[1::2]
    losses = np.zeros(len(strengths))
    for train, test in folds(target if kind == "logistic" else None, groups, 5 if few else 3, seed):
        if kind == "logistic" and len(np.unique(target[train])) < 2:
            continue
        for i, strength in enumerate(strengths):
            coefficients, intercept = _solve(kind, features[train], target[train], strength)
            value = np.asarray(features[test] @ coefficients).ravel() + intercept
            if kind == "logistic":
                losses[i] += np.logaddexp(0, np.where(target[test], -value, value)).sum()
            else:
                losses[i] += ((value - target[test]) ** 2).sum()
    return strengths[int(np.argmin(losses))]


def _solve(kind: str, features: Any, target: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    from scipy.sparse import issparse
    from sklearn.linear_model import LogisticRegression, Ridge

    if kind == "ridge":
        model = Ridge(alpha=1 / strength, solver="sparse_cg" if issparse(features) else "auto", random_state=0).fit(features, target)
        return np.asarray(model.coef_, np.float64).ravel(), float(model.intercept_)
    if issparse(features):
        model = LogisticRegression(C=strength, solver="liblinear", dual=True, max_iter=2000, tol=1e-3, random_state=0)
    else:
        model = LogisticRegression(C=strength, solver="newton-cholesky" if features.shape[1] <= 1024 else "lbfgs", max_iter=1000)
    model.fit(features, target)
    return np.asarray(model.coef_, np.float64).ravel(), float(model.intercept_[0])


def rotated(features: Any) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """The same documents in the coordinates of their own span, and the way back for coefficients.

    A penalised linear model is the same in both, and training in few numbers a document takes a fraction of the time. It looks at no
    target, so it may be done once, before documents are left out.
    """
    n, d = features.shape
    if n >= d or n > ROTATE:
        return features, lambda coefficients: coefficients
    gram = features @ features.T
    gram = np.asarray(gram.todense() if hasattr(gram, "todense") else gram, np.float64)
    values, vectors = np.linalg.eigh(gram)
    kept = values > values.max(initial=0.0) * 1e-10
    lengths = np.sqrt(values[kept])
    inverse = vectors[:, kept] / lengths
    return vectors[:, kept] * lengths, lambda coefficients: np.asarray(features.T @ (inverse @ coefficients)).ravel()


def folds(classes: np.ndarray | None, groups: np.ndarray, n: int, seed: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Pairs (train, test) of indices: each document is in one test, groups stay together, classes (if any) are spread evenly.

    Args:
        classes: bool [n], or None where there are none.
        groups: int [n].
        n: how many parts; fewer where a class has fewer groups.
        seed: of the order.

    """
    random = np.random.default_rng(seed)
    names, first, member = np.unique(groups, return_index=True, return_inverse=True)
    part = np.zeros(len(names), np.int64)
    kinds = np.zeros(len(names), bool) if classes is None else classes[first]
    parts = min(n, *(int((kinds == kind).sum()) for kind in np.unique(kinds)))
    start = 0
    for kind in np.unique(kinds):
        of_kind = random.permutation(np.flatnonzero(kinds == kind))
        part[of_kind] = (start + np.arange(len(of_kind))) % parts
        start += len(of_kind)  # the next class begins where this one ended, so that parts stay of one size
    of_document = part[member]
    return [(np.flatnonzero(of_document != i), np.flatnonzero(of_document == i)) for i in range(parts) if parts > 1]
