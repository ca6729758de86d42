"""How good a scorer is, measured on documents it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.scorers.heads import folds
from explorer.scorers.intervals import auc_interval, placements, resampling, spearman_interval, wilson

FOLDS = 5
MANY = 2000  # examples from which one part is held out instead
CALIBRATE, CALIBRATE_CLASS = 40, 10  # examples in all and of each class from which probabilities are mended (Platt)
Predict = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """Scores of documents that the model which gave them had not seen.

    Attributes:
        scores: float64 [n], mean over repeats; NaN for documents that were only trained on.
        auc: mean area under the ROC curve inside parts, NaN for numbers.
        how: in words.
        inflation: of the variance, since models were trained anew; see `explorer.scorers.intervals.resampling`.

    """

    scores: np.ndarray
    auc: float
    how: str
    inflation: float


def held_out(
    predict: Predict,
    target: np.ndarray,
    groups: np.ndarray,
    *,
    repeats: int,
    holdout: float,
    seed: int,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> HeldOut:
    """Scores of documents left out of training.

    Up to 2,000 examples: repeated cross-validation, five parts with both classes spread evenly. The area under the curve is taken
    inside each part, since scores of two parts come from two models, and averaged. More: one part is held out once.

    Args:
        predict: (training indices, test indices, seed) -> scores of the tests.
        target: bool or float64 [n].
        groups: int64 [n], never parted.
        repeats: how often the parts are drawn.
        holdout: share held out where there are many.
        seed: of the parts.
        tell: called with the models trained so far and in all.

    """
    classes = target if target.dtype == bool else None
    n = len(target)
    if n >= MANY:
        parts = folds(classes, groups, max(2, round(1 / holdout)), seed)[:1]
        rounds = [parts]
        how = f"{len(parts[0][1]):,} documents held out, chosen at random"
        inflation = resampling(1, len(parts[0][1]) / n)
    else:
        rounds = [list(folds(classes, groups, FOLDS, seed + r)) for r in range(repeats)]
        how = f"{len(rounds[0])}-fold cross-validation{f', repeated {repeats} times' if repeats > 1 else ''}"
        inflation = resampling(len(rounds[0]), 1 / len(rounds[0]))
    sums, times = np.zeros(n), np.zeros(n)
    shares, shared = np.zeros(n), np.zeros(n)
    done, total = 0, sum(map(len, rounds))
    for parts in rounds:
        for train, test in parts:
            scores = predict(train, test, seed)
            sums[test] += scores
            times[test] += 1
            if classes is not None:
                place = placements(scores, classes[test])
                there = np.isfinite(place)
                shares[test[there]] += place[there]
                shared[test[there]] += 1
            done += 1
            tell(done, total)
    with np.errstate(invalid="ignore"):
        mean = sums / times
        place = shares / shared
    auc = float(np.nanmean(place[target])) if classes is not None and np.isfinite(place[target]).any() else math.nan
    return HeldOut(mean, auc, how, inflation)


def judge_classes(found: HeldOut, probability: np.ndarray, target: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Figures of a classifier on what was held out.

    Args:
        found: held-out scores.
        probability: float64 [n], the held-out probabilities (calibrated ones where that was done), NaN where not held out.
        target: bool [n].
        groups: int64 [n]; a group counts once for the interval.

    """
    from sklearn.metrics import average_precision_score

    there = np.isfinite(found.scores)
    yes, scores, p = target[there], found.scores[there], probability[there]
    positives, negatives = len(np.unique(groups[there][yes])), len(np.unique(groups[there][~yes]))
    low, high = auc_interval(found.auc, positives, negatives, found.inflation)
    rate = float(yes.mean())
    return {
        "how": found.how,
        "n": int(there.sum()),
        "positives": int(yes.sum()),
        "negatives": int((~yes).sum()),
        "auc": found.auc,
        "auc_low": low,
        "auc_high": high,
        "average_precision": float(average_precision_score(yes, scores)),
        "base_rate": rate,
        "accuracy": float(((p >= 0.5) == yes).mean()),
        "brier": float(((p - yes) ** 2).mean()),
        "brier_base": rate * (1 - rate),
        "reliability": reliability(p, yes),
    }


def judge_numbers(found: HeldOut, target: np.ndarray) -> dict[str, Any]:
    """Figures of a regression on what was held out."""
    from scipy.stats import pearsonr, spearmanr

    there = np.isfinite(found.scores)
    scores, values = found.scores[there], target[there]
    flat = np.ptp(scores) == 0 or np.ptp(values) == 0
    rho = math.nan if flat else float(spearmanr(scores, values).statistic)
    low, high = spearman_interval(rho, len(values), found.inflation)
    return {
        "how": found.how,
        "n": int(there.sum()),
        "spearman": rho,
        "spearman_low": low,
        "spearman_high": high,
        "pearson": math.nan if flat else float(pearsonr(scores, values).statistic),
        "mae": float(np.abs(scores - values).mean()),
        "mae_base": float(np.abs(values - np.median(values)).mean()),
        "r2": float(1 - ((scores - values) ** 2).sum() / ((values - values.mean()) ** 2).sum()) if np.ptp(values) else math.nan,
    }


def reliability(p: np.ndarray, yes: np.ndarray) -> list[dict[str, float]]:
    """Documents by predicted probability, in parts of equal size: what was predicted, and what share was so (Wilson interval)."""
    order = np.argsort(p, kind="stable")
    bins = np.array_split(order, int(np.clip(len(p) // 10, 2, 10)))
    table = []
    for part in bins:
        hits = int(yes[part].sum())
        low, high = wilson(hits, len(part))
        table.append(
            {"n": len(part), "predicted": float(p[part].mean()), "observed": hits / len(part), "observed_low": low, "observed_high": high}
        )
    return table


def logit(p: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), p kept off 0 and 1 by 1e-6."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def logistic(value: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-value)), without overflow."""
    return np.exp(-np.logaddexp(0, -np.asarray(value, np.float64)))


def platt(value: np.ndarray, yes: np.ndarray) -> tuple[float, float] | None:
    """Slope and offset by which ``logistic(slope * value + offset)`` is the best probability; None where the slope is not positive.

    Source: Platt 1999, with his targets (n + 1) / (n + 2) in place of 1, and 1 / (n + 2) in place of 0.
    """
    from scipy.optimize import minimize

    n_yes, n_no = int(yes.sum()), int((~yes).sum())
    aim = np.where(yes, (n_yes + 1) / (n_yes + 2), 1 / (n_no + 2))

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        z = at[0] * value + at[1]
        slope = logistic(z) - aim
        return float((np.logaddexp(0, z) - aim * z).sum()), np.array([(slope * value).sum(), slope.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS")
    slope, offset = map(float, found.x)
    return (slope, offset) if np.isfinite(slope) and slope > 0 else None


def mended(value: np.ndarray, target: np.ndarray, groups: np.ndarray, seed: int) -> tuple[tuple[float, float] | None, np.ndarray]:
    """Platt's mending from held-out logits, and the probabilities it gives to documents that it was not fitted on.

    Args:
        value: float64 [n], held-out logits; NaN where not held out.
        target: bool [n].
        groups: int64 [n].
        seed: of the parts.

    Returns:
        (slope, offset), None where there are too few documents, or groups of them to part; and float64 [n].

    """
    there = np.flatnonzero(np.isfinite(value))
    plain = logistic(value)
    yes = target[there]
    if len(there) < CALIBRATE or min(int(yes.sum()), int((~yes).sum())) < CALIBRATE_CLASS:
        return None, plain
    final, parts = platt(value[there], yes), folds(yes, groups[there], FOLDS, seed)
    if final is None or not parts:
        return None, plain
    probability = plain.copy()
    for train, test in parts:
        part = platt(value[there][train], yes[train]) or final
        probability[there[test]] = logistic(part[0] * value[there[test]] + part[1])
    return final, probability
