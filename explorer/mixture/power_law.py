"""Least squares of ``y = a x^s + b`` and of ``y = a x^s + c x^t + b``, by a search over the exponents alone.

For given exponents the rest is linear, so only they are searched: a grid, then a refinement around its best point. The answer does not
depend on a starting point, and a thousand resamples are fitted at once. Source: Golub and Pereyra 1973, variable projection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from explorer.errors import MixtureError

LIMIT = 3.0  # exponents are looked for within ±LIMIT
_GRID = 241
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class PowerLaw:
    """``y = a x^s + b``, or ``y = a x^s + c x^t + b``, and the data it stands on.

    Attributes:
        a, s, b: the first term and the constant.
        c, t: the second term; 0 and 1 where there is none.
        r2: share of the variance explained; None where all y are equal.
        rmse: root of the mean squared residual.
        points: how many were fitted.
        low, high: the range of x they cover.
        at_limit: the best exponent is the last one looked at, so the data do not determine it.

    """

    a: float
    s: float
    b: float
    c: float
    t: float
    r2: float | None
    rmse: float
    points: int
    low: float
    high: float
    at_limit: bool

    def __call__(self, x: np.ndarray | float) -> np.ndarray:
        """Values at x."""
        x = np.asarray(x, np.float64)
        return self.a * x**self.s + (self.c * x**self.t if self.c else 0.0) + self.b


def fit_power_law(x: np.ndarray, y: np.ndarray, *, low: float = -LIMIT, high: float = LIMIT) -> PowerLaw:
    """Fit ``y = a x^s + b`` with ``low <= s <= high``.

    Args:
        x: float [n], above 0.
        y: float [n].
        low: smallest exponent that is looked at.
        high: the largest.

    Raises:
        MixtureError: fewer than 4 points or fewer than 3 different x (three parameters would pass through any three), or x at or below 0.

    """
    x, y = _checked(x, y, 4, 3)
    a, s, b = (float(v[0]) for v in power_laws(x, y[None], low=low, high=high))
    return _law(x, y, a, s, b, 0.0, 1.0, _ends(s, low, high))


def power_laws(x: np.ndarray, y: np.ndarray, *, low: float = -LIMIT, high: float = LIMIT) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``a, s, b`` of the best ``a x^s + b`` for each row of y at the same x.

    Args:
        x: float [n], above 0.
        y: float [rows, n].
        low: smallest exponent that is looked at.
        high: the largest.

    Returns:
        float64 [rows], three times.

    """
    scale = math.exp(float(np.log(x).mean()))
    u = np.log(x / scale)
    grid = np.linspace(low, high, _GRID)
    bases = _centred(_basis(u, grid))
    bases /= np.maximum(np.linalg.norm(bases, axis=1, keepdims=True), 1e-300)
    best = np.abs(_centred(y) @ bases.T).argmax(1)  # the longest projection leaves the smallest residual
    left, right = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID - 1)]
    for _ in range(40):
        one, two = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
        lower = _residual(u, y, one) < _residual(u, y, two)
        left, right = np.where(lower, left, one), np.where(lower, two, right)
    s = (left + right) / 2
    s = np.where(np.abs(s) < 1e-6, 1e-6, s)  # at 0 the law is a logarithm
    slope, middle = _linear(_basis(u, s), y)
    return slope / s * scale**-s, s, middle - slope / s


def fit_two_powers(x: np.ndarray, y: np.ndarray) -> PowerLaw:
    """Fit ``y = a x^s + c x^t + b`` with s < t, both within ±3.

    The five parameters are badly determined by few points: at least six are asked for, and values between the points can be trusted more
    than the parameters.

    Raises:
        MixtureError: fewer than 6 different x, or x at or below 0.

    """
    x, y = _checked(x, y, 6, 6)
    scale = math.exp(float(np.log(x).mean()))
    u = np.log(x / scale)
    axis = np.linspace(-LIMIT, LIMIT, 49)
    first, second = (axis[i] for i in np.triu_indices(len(axis), 1))
    radius = float(axis[1] - axis[0])
    around = np.linspace(-1, 1, 11)
    while True:
        at = int(_two_residuals(u, y, first, second).argmin())
        s, t = sorted((float(first[at]), float(second[at])))
        if radius < 1e-10:
            break
        first, second = (v.ravel() for v in np.meshgrid(s + radius * around, t + radius * around))
        first, second = np.clip(first, -LIMIT, LIMIT), np.clip(second, -LIMIT, LIMIT)
        apart = np.abs(first - second) > 1e-6
        first, second = np.r_[s, first[apart]], np.r_[t, second[apart]]
        radius *= 0.7
    s, t = (v if abs(v) > 1e-6 else 1e-6 for v in (s, t))
    design = np.stack([*_basis(u, np.array([s, t])), np.ones(len(u))], axis=1)
    one, two, middle = np.linalg.lstsq(design, y, rcond=None)[0]
    a, c = one / s * scale**-s, two / t * scale**-t
    b = middle - one / s - two / t
    return _law(x, y, float(a), s, float(b), float(c), t, _ends(s, -LIMIT, LIMIT) or _ends(t, -LIMIT, LIMIT))


def _basis(u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """``(x^s - 1) / s`` for each s, which turns into log x at 0: [rows, n]."""
    s = np.where(np.abs(s) < 1e-12, 1e-12, s)[:, None]
    return np.expm1(s * u[None]) / s


def _centred(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(1, keepdims=True)


def _two_residuals(u: np.ndarray, y: np.ndarray, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Squared error of the best ``a x^s + c x^t + b`` for each pair of exponents: what is left of y after two projections."""
    one, two, rest = _centred(_basis(u, s)), _centred(_basis(u, t)), np.broadcast_to(y - y.mean(), (len(s), len(u)))
    one = one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-300)
    for _ in range(2):  # the second time takes out what rounding left of nearly equal powers
        two = two - (two * one).sum(1, keepdims=True) * one
        two = two / np.maximum(np.linalg.norm(two, axis=1, keepdims=True), 1e-300)
    for basis in (one, two):
        rest = rest - (rest * basis).sum(1, keepdims=True) * basis
    return (rest**2).sum(1)


def _linear(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and intercept of each row."""
    centre = _centred(z)
    slope = (centre * _centred(y)).sum(1) / np.maximum((centre**2).sum(1), 1e-300)
    return slope, y.mean(1) - slope * z.mean(1)


def _residual(u: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
    z = _basis(u, s)
    slope, middle = _linear(z, y)
    return ((slope[:, None] * z + middle[:, None] - y) ** 2).sum(1)


def _law(x: np.ndarray, y: np.ndarray, a: float, s: float, b: float, c: float, t: float, at_limit: bool) -> PowerLaw:
    law = PowerLaw(a, s, b, c, t, None, 0.0, len(x), float(x.min()), float(x.max()), at_limit)
    wrong, spread = float(((law(x) - y) ** 2).sum()), float(((y - y.mean()) ** 2).sum())
    r2 = 1 - wrong / spread if spread else None
    return PowerLaw(a, s, b, c, t, r2, math.sqrt(wrong / len(x)), law.points, law.low, law.high, at_limit)


def _ends(s: float, low: float, high: float) -> bool:
    return min(s - low, high - s) < 1e-4 * (high - low)


def _checked(x: np.ndarray, y: np.ndarray, points: int, different: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise MixtureError("A power law is fitted to as many finite x as y. Leave out rows that lack a value.")
    if (x <= 0).any():
        raise MixtureError(f"A power law has no value at {x.min():g}. x must be above 0. Leave such rows out.")
    if len(x) < points or len(np.unique(x)) < different:
        raise MixtureError(
            f"{len(x)} points at {len(np.unique(x))} different sizes do not determine the law. It takes {points} points at {different} sizes. Measure more."
        )
    return x, y
