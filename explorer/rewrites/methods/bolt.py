"""BoLT: which of several latent thoughts to train on, by how likely they make the text.

For a prefix and the suffix that follows it a model writes k latents Z. Each has two log-probabilities: ``gen`` = log q(Z | prefix, suffix),
of writing it, and ``joint`` = log p(Z, suffix | prefix), of it and the suffix under the model that sees the prefix alone. Then

    log w = joint - gen            importance weight
    P(choose) = softmax(log w)     over the samples of one prefix and suffix; one is drawn
    ELBO_k = logsumexp(first k log w) - log k
    ESS = 1 / sum(P²)              effective sample size: 1 where one sample takes all

The joint log-probability must count the tokens after the prefix only, and a suffix that was cut to fit the model makes weights of another
text: the count of cut tokens is carried along where the table has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import polars as pl

from explorer.errors import ColumnNotFoundError, SelectionError
from explorer.primitives.swar import kernel

SEED = 42  # of the draw, as in ryoungj/BoLT


@dataclass(frozen=True)
class Importance:
    """Weighed samples.

    Attributes:
        samples: the table given, with ``log_importance_weight``, ``bolt_select_prob`` and ``bolt_selected`` (whether the draw took it; one
            of each group).
        groups: a row a group in the order of their first samples: the group's column, ``samples`` (those with a weight), ``undefined``,
            ``elbo_k`` for each k asked for (null where the group has fewer samples or one of the first k has no weight), ``ess``,
            ``best_prob`` (of the likeliest) and, where given, ``truncated`` (samples whose suffix was cut).

    """

    samples: pl.DataFrame
    groups: pl.DataFrame

    def __str__(self) -> str:
        ess = self.groups["ess"].drop_nulls()
        if not len(ess):
            return f"{self.samples.height:,} samples of {self.groups.height:,} texts; none has a weight."
        mean, alone = float(ess.to_numpy().mean()), int((self.groups["best_prob"] > 0.99).sum())
        return (
            f"{self.samples.height:,} samples of {self.groups.height:,} texts; effective sample size {mean:.2f} on average; "
            f"in {alone:,} texts one sample has more than 0.99 of the weight"
        )

    def _repr_html_(self) -> str:
        return f"<b>{escape(str(self))}</b>{self.groups._repr_html_()}"


def importance(
    samples: pl.DataFrame,
    *,
    group: str = "prompt",
    gen: str = "gen_logprob",
    joint: str = "joint_logprob",
    truncated: str | None = None,
    elbo: Sequence[int] = (1, 2, 4),
    seed: int = SEED,
) -> Importance:
    """Weigh the samples of each text and draw one.

    The draw is BoLT's: one uniform number a group, in the order in which groups first stand in the table, so that the same seed takes the
    same samples as its ``apply_monte_carlo``.

    Args:
        samples: a row a sample.
        group: column that says which prefix and suffix a sample is of; null is no group, and such samples have no weight.
        gen: column of log q(Z | prefix, suffix).
        joint: column of log p(Z, suffix | prefix).
        truncated: column of the suffix tokens that were cut; None if the table has none.
        elbo: numbers of samples to estimate the ELBO from, in the order of the table.
        seed: of the draw.

    Raises:
        ColumnNotFoundError: a column is not there.
        SelectionError: a number of samples below 1.

    """
    for column in (group, gen, joint, *([truncated] if truncated else [])):
        if column not in samples.columns:
            raise ColumnNotFoundError.named(column, "the samples", samples.columns, "Name it: group=, gen=, joint= or truncated=COLUMN")
    if any(k < 1 for k in elbo):
        raise SelectionError(
            f"elbo={tuple(elbo)!r} asks for an ELBO of {min(elbo)} samples. It is estimated from 1 or more. Give such numbers."
        )
    weight = (samples[joint].cast(pl.Float64) - samples[gen].cast(pl.Float64)).fill_null(np.nan).to_numpy()
    weight = np.where(weight == np.inf, np.nan, weight)  # a latent of no probability that was written all the same
    names = samples[group].unique(maintain_order=True).drop_nulls()
    of = samples.select(group).with_row_index("_row").join(
        pl.DataFrame({group: names, "_group": np.arange(len(names))}), on=group, how="left", maintain_order="left"
    )["_group"].fill_null(-1).to_numpy()  # fmt: skip
    weight = np.where(of >= 0, weight, np.nan)
    order = np.argsort(of, kind="stable")
    order = order[of[order] >= 0]
    starts = np.searchsorted(of[order], np.arange(len(names)))
    probability = np.full(len(weight), np.nan)
    selected = np.zeros(len(weight), bool)
    uniform = np.random.default_rng(seed).random(len(names))
    columns = _columns(weight[order], of[order], starts, len(names), elbo)
    shares = columns.pop("probability")
    probability[order] = shares
    chosen = np.full(len(names), -1, np.int64)
    _draw(shares, starts, uniform, chosen)
    selected[order[chosen[chosen >= 0]]] = True
    if truncated:
        cut = (samples[truncated].fill_null(0) > 0).to_numpy()
        columns["truncated"] = np.bincount(of[order], cut[order], len(names)).astype(np.int64)
    return Importance(
        samples.with_columns(
            pl.Series("log_importance_weight", weight).fill_nan(None),
            pl.Series("bolt_select_prob", probability).fill_nan(None),
            pl.Series("bolt_selected", selected),
        ),
        pl.DataFrame({group: names, **columns}).with_columns(pl.col(pl.Float64).fill_nan(None)),
    )


def _columns(weight: np.ndarray, of: np.ndarray, starts: np.ndarray, n: int, elbo: Sequence[int]) -> dict[str, np.ndarray]:
    """Figures of each group from its samples' weights, which stand one after the other; and ``probability`` of each sample."""
    known = ~np.isnan(weight)
    top = np.full(n, -np.inf)
    np.maximum.at(top, of, np.where(known, weight, -np.inf))
    finite = np.where(np.isfinite(top), top, 0.0)
    mass = np.where(known, np.exp(np.where(known, weight, 0.0) - finite[of]), 0.0)
    total = np.bincount(of, mass, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        probability = np.where(known & (total[of] > 0), mass / total[of], np.nan)
        squares = np.bincount(of, np.nan_to_num(probability) ** 2, n)
        columns: dict[str, np.ndarray] = {
            "samples": np.bincount(of, known, n).astype(np.int64),
            "undefined": np.bincount(of, ~known, n).astype(np.int64),
        }
        place = np.arange(len(of)) - starts[of] if n else np.zeros(0, np.int64)
        for k in elbo:
            first = place < k
            enough = np.bincount(of[first], known[first], n) == k
            sums = np.bincount(of[first], mass[first], n)
            columns[f"elbo_{k}"] = np.where(enough & (sums > 0), finite + np.log(sums) - np.log(k), np.nan)
        best = np.zeros(n)
        np.maximum.at(best, of, np.nan_to_num(probability))
        columns["ess"] = np.where(total > 0, 1 / squares, np.nan)
        columns["best_prob"] = np.where(total > 0, best, np.nan)
    return {**columns, "probability": probability}


@kernel
def _draw(probability, starts, uniform, out):  # type: ignore[no-untyped-def]
    """Place of the sample that each group's uniform number falls on, as NumPy's choice finds it; -1 for a group without a weight."""
    for g in range(len(starts)):
        first, stop = starts[g], starts[g + 1] if g + 1 < len(starts) else len(probability)
        total = 0.0
        for i in range(first, stop):
            total += 0.0 if np.isnan(probability[i]) else probability[i]
        reached = 0.0
        if total > 0.0:
            for i in range(first, stop):
                reached += 0.0 if np.isnan(probability[i]) else probability[i]
                if reached / total > uniform[g]:
                    out[g] = i
                    break
