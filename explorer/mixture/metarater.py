"""Meta-rater: one weight a quality score, learned from small runs, and the score that they add up to.

Runs differ in the weights with which the scores were added up to choose their data. A regression predicts the loss from the weights, many
weights are tried on it, and the best are averaged: RegMix, with scores in the place of domains. Since choosing the top documents by a
weighted sum does not change when all weights are doubled, weights are divided by their sum.

The authors name neither the regression's settings nor how scores of different units were made comparable. RegMix's settings and z-scores are
used here, and that choice is ours. Their published example multiplies raw columns, where a word count outweighs everything.

Source: Zhuang et al. 2025, Meta-rater, arXiv:2504.14194; published weights from the card of the annotated SlimPajama.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, get_args

import numpy as np
import polars as pl

from explorer.errors import MixtureError
from explorer.mixture.proxy_runs import Runs, read_runs
from explorer.mixture.regmix import SAMPLES, SEED, TOP, Advice, Method, best_mixture, fit

Scale = Literal["zscore", "rank", "raw"]

PUBLISHED: Mapping[str, float] = {
    "qurating_educational": 0.0564, "fraction_no_alphabet": 0.0493, "fineweb_edu": 0.0493, "lines_uppercase": 0.0488,
    "qurating_facts_trivia": 0.0477, "top_3gram": 0.0473, "lines_terminal_punctuation": 0.0473, "top_2gram": 0.0471, "dsir_wiki": 0.0469,
    "lines_numerical": 0.0460, "sentences": 0.0458, "dsir_math": 0.0448, "prrc_reasoning": 0.0444, "unique_words": 0.0432,
    "words": 0.0423, "unigram_entropy": 0.0422, "dsir_books": 0.0414, "prrc_professionalism": 0.0405, "fluency": 0.0402,
    "prrc_readability": 0.0393, "qurating_required_expertise": 0.0373, "no_advertisement": 0.0368, "prrc_cleanliness": 0.0117,
    "mean_word_length": 0.0065, "qurating_writing_style": 0.0005,
}  # fmt: skip
"""Weights of the 25 scores as published; all are positive, repetition's included."""


def score_runs(table: pl.DataFrame, target: str, scores: Sequence[str] | None = None, *, higher_is_better: bool = False) -> Runs:
    """Runs of a table: a row a run, a column a score with its weight (at least 0; of any sum where the scores are named), and the loss; see `read_runs`."""
    return read_runs(table, target, scores, higher_is_better=higher_is_better, any_sum=True)


def score_weights(
    runs: Runs, *, method: Method = "trees", samples: int = SAMPLES, top: int = TOP, folds: int = 5, seed: int = SEED
) -> Advice:
    """Weights with the lowest predicted loss; in the result the scores stand in the column ``domain``.

    Tries are drawn evenly from all weights that add up to 1.

    Raises:
        MixtureError: too few runs.

    """
    regression = fit(runs, method=method, folds=folds, seed=seed)
    even = dict.fromkeys(runs.domains, 1.0)
    return best_mixture(regression, prior=even, strength=float(len(even)), samples=samples, top=top, seed=seed)


@dataclass(frozen=True)
class Combined:
    """One score a document.

    Attributes:
        values: float64 [n]; NaN where one of the scores with a weight is undefined.
        table: a row a score: ``score, weight, variance_share`` (what of the combined score's variance comes with it; they add up to 1, and
            one below 0 works against the others), ``undefined`` (documents without it).
        scale: how the scores were made comparable.

    """

    values: np.ndarray
    table: pl.DataFrame
    scale: Scale

    def __str__(self) -> str:
        known = int(np.isfinite(self.values).sum())
        first = self.table.sort("variance_share", descending=True, nulls_last=True).row(0, named=True)
        share = "" if first["variance_share"] is None else f"; {first['score']} makes {first['variance_share']:.0%} of the variance"
        return f"{known:,} of {len(self.values):,} documents have a combined score of {self.table.height} ({self.scale}){share}"

    def _repr_html_(self) -> str:
        return f"<b>{escape(str(self))}</b>{self.table._repr_html_()}"


def combine(scores: Mapping[str, np.ndarray], weights: Mapping[str, float], *, scale: Scale = "zscore") -> Combined:
    """Weighted sum of quality scores.

    Args:
        scores: a column a score, float [n], NaN where undefined; all turned so that higher is better.
        weights: of each of them.
        scale: "zscore", "rank" (share of the defined values that are lower, ties half) or "raw" (as in the published example).

    Raises:
        MixtureError: a score without a weight or a weight without a score, columns of different lengths, an unknown scale.

    """
    if scale not in get_args(Scale):
        raise MixtureError(f"Scale {scale!r} is not known. Scales: {', '.join(get_args(Scale))}. Choose one.")
    unmatched = sorted(set(scores) ^ set(weights))
    if unmatched or not scores:
        raise MixtureError(
            f"{', '.join(map(repr, unmatched)) or 'Nothing'} has only a score or only a weight. Every score has one weight. Scores: {', '.join(scores)}; weights: {', '.join(weights)}."
        )
    if len({len(column) for column in scores.values()}) > 1 or not np.isfinite(list(weights.values())).all():
        raise MixtureError("The scores are of different lengths or a weight is not finite. Each has a value (or NaN) a document.")
    used = [name for name in scores if weights[name]]
    defined = np.all([np.isfinite(scores[name]) for name in used], axis=0) if used else np.ones(len(next(iter(scores.values()))), bool)
    total = np.zeros(len(defined))
    for name in used:
        total += weights[name] * _scaled(scores[name], scale)
    known = total[defined]
    spread = float(known.var()) if len(known) else 0.0
    rows: list[tuple[str, float, float | None, int]] = []
    for name, column in scores.items():
        share = None
        if name in used and spread:  # scaled a second time: millions of documents times 25 scores are not held at once
            part = weights[name] * _scaled(column, scale)[defined]
            share = float(np.mean((part - part.mean()) * (known - known.mean()))) / spread
        rows.append((name, float(weights[name]), share, int((~np.isfinite(column)).sum())))
    schema = {"score": pl.String, "weight": pl.Float64, "variance_share": pl.Float64, "undefined": pl.Int64}
    return Combined(np.where(defined, total, np.nan), pl.DataFrame(rows, schema=schema, orient="row"), scale)


def _scaled(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Values made comparable over those that are defined; a constant column becomes 0 (or 0.5 as a rank)."""
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    if scale == "raw" or not known.any():
        return values
    if scale == "zscore":
        spread = values[known].std()
        return (values - values[known].mean()) / (spread if spread else 1.0)
    from scipy.stats import rankdata

    ranks = np.full(len(values), np.nan)
    ranks[known] = (rankdata(values[known]) - 0.5) / known.sum()
    return ranks
