"""Curriculum and learning rate: how much of the training each tenth of the quality really gets.

Sorting documents by ascending quality shows the best ones last, when the learning rate has decayed, so that they move the model least. What a
document gets is the sum of the learning rate over the steps that it is read in, as a share of the whole run's. The remedies reported are to end
the decay early (at a third of the peak) or not to decay and to average the last checkpoints.

That share is our reading of the papers' point, not a quantity they report.

Source: Luo et al. 2025, How Learning Rate Decay Wastes Your Best Data in Curriculum-Based LLM Pretraining, arXiv:2511.18903.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Literal, get_args

import numpy as np
import polars as pl

from explorer.errors import MixtureError

Schedule = Literal["constant", "linear", "cosine", "wsd"]
Order = Literal["ascending", "descending", "folded", "shuffled"]


def learning_rates(
    schedule: Schedule, steps: int, *, peak: float = 1.0, final: float = 0.0, warmup: int = 0, decay_start: int | None = None
) -> np.ndarray:
    """Learning rate at each step: float64 [steps].

    - ``constant``: the peak.
    - ``linear``, ``cosine``: from the peak at the end of the warm-up to ``final`` at the end.
    - ``wsd``: the peak until ``decay_start``, then ``peak (1 - sqrt r) + final sqrt r`` with r from 0 to 1.

    Args:
        schedule: its name.
        steps: of the run.
        peak: highest rate.
        final: rate at the end.
        warmup: steps in which the rate rises linearly to the peak.
        decay_start: step at which ``wsd`` starts to decay; by default after 0.8 of the steps.

    Raises:
        MixtureError: an unknown schedule or a number out of range.

    """
    if schedule not in get_args(Schedule):
        raise MixtureError(f"Schedule {schedule!r} is not known. Schedules: {', '.join(get_args(Schedule))}. Choose one.")
    start = warmup if schedule != "wsd" else math.floor(0.8 * steps) if decay_start is None else decay_start
    if not (steps >= 1 and 0 <= warmup <= start < steps and peak > 0 and final >= 0):
        raise MixtureError(
            f"steps={steps}, warmup={warmup}, decay_start={start}, peak={peak:g}, final={final:g} is no schedule. "
            f"0 <= warmup <= decay_start < steps, peak above 0, final at least 0. Correct them."
        )
    t = np.arange(steps, dtype=np.float64)
    rates = decayed(schedule, np.clip((t - start) / (steps - start), 0.0, 1.0), peak, final)
    return np.where(t < warmup, peak * (t + 1) / max(warmup, 1), rates)


def decayed(schedule: Schedule, r: np.ndarray, peak: float, final: float) -> np.ndarray:
    """Learning rate after the share ``r`` of the decay: float64 like r."""
    left = {"constant": 1 + 0 * r, "linear": 1 - r, "cosine": (1 + np.cos(np.pi * r)) / 2, "wsd": 1 - np.sqrt(r)}[schedule]
    return final + (peak - final) * left if schedule != "constant" else peak * left


@dataclass(frozen=True)
class StepMass:
    """What each part of the quality gets of the training.

    Attributes:
        table: a row a part, from the lowest quality to the highest, documents without a quality last: ``part`` (1 to the number of parts; null
            for those), ``lowest, highest`` (quality), ``documents``, ``token_share``, ``step_share`` (of the summed learning rate) and
            ``ratio`` (of the two; 1 is as much as if shuffled).
        parts: into how many parts of equal tokens the quality was divided; equal qualities stay in one part, so some may be missing.

    """

    table: pl.DataFrame
    parts: int

    def __str__(self) -> str:
        rows = self.table.drop_nulls("part")
        if not rows.height:
            return "No document has a quality."
        best = rows.row(-1, named=True)
        return f"The best {best['token_share']:.1%} of the tokens get {best['step_share']:.1%} of the summed learning rate ({best['ratio']:.2f} of their part)"

    def _repr_html_(self) -> str:
        return f"<b>{escape(str(self))}</b>{self.table._repr_html_()}"


def step_mass(rates: np.ndarray, quality: np.ndarray, tokens: np.ndarray | None = None, *, parts: int = 10) -> StepMass:
    """Share of the summed learning rate that each part of the quality gets.

    Args:
        rates: float [steps], learning rate of each step; steps read equally many tokens.
        quality: float [n], quality of the documents in the order in which they are read, repeats included; NaN where undefined.
        tokens: float [n], of each; all alike by default.
        parts: of equal tokens; 10 are deciles.

    Raises:
        MixtureError: no document or step, rates or tokens below 0 or all 0, or arrays that do not fit.

    """
    quality = np.asarray(quality, np.float64)
    size = np.ones(len(quality)) if tokens is None else np.asarray(tokens, np.float64)
    rates = np.asarray(rates, np.float64)
    if size.shape != quality.shape or not (size >= 0).all() or not (rates >= 0).all() or not size.sum() > 0 or not rates.sum() > 0:
        raise MixtureError("The documents or the learning rates add up to nothing, or some are below 0 or missing. Give both, as many tokens as qualities.")  # fmt: skip
    if parts < 2:
        raise MixtureError(f"parts={parts} divides nothing. It takes 2 or more. Deciles are 10.")
    ends = np.cumsum(size) / size.sum()
    summed = np.interp(ends, np.linspace(0, 1, len(rates) + 1), np.r_[0, np.cumsum(rates)] / rates.sum())
    mass = np.diff(summed, prepend=0.0)
    known = np.isfinite(quality)
    part = np.full(len(quality), parts)
    if known.any():
        values, place = np.unique(quality[known], return_inverse=True)
        each = np.bincount(place, size[known], len(values))
        middle = (np.cumsum(each) - each / 2) / max(each.sum(), 1e-300)
        part[known] = np.minimum((middle * parts).astype(np.int64), parts - 1)[place]
    rows = []
    for i in np.unique(part):
        here = part == i
        defined = i < parts
        share, got = float(size[here].sum() / size.sum()), float(mass[here].sum())
        low, high = (float(quality[here].min()), float(quality[here].max())) if defined else (None, None)
        rows.append((int(i) + 1 if defined else None, low, high, int(here.sum()), share, got, got / share if share else None))
    schema = {"part": pl.Int64, "lowest": pl.Float64, "highest": pl.Float64, "documents": pl.Int64}
    schema |= {"token_share": pl.Float64, "step_share": pl.Float64, "ratio": pl.Float64}
    return StepMass(pl.DataFrame(rows, schema=schema, orient="row"), parts)


def quality_over_run(order: Order, documents: int = 10_000, *, passes: int = 3, seed: int = 0) -> np.ndarray:
    """Quality, as a rank from 0 to 1, of equally long documents in the order they are read: float64 [documents].

    For a schedule to be looked at without a corpus. ``folded`` sorts ascending ``passes`` times, each over every ``passes``-th document.

    Raises:
        MixtureError: an unknown order, or fewer documents or passes than 1.

    """
    if order not in get_args(Order) or documents < 1 or passes < 1:
        raise MixtureError(
            f"Order {order!r} of {documents} documents in {passes} passes is not known. Orders: {', '.join(get_args(Order))}. Choose one."
        )
    rank = (np.arange(documents) + 0.5) / documents
    if order == "shuffled":
        return np.random.default_rng(seed).permutation(rank)
    if order == "folded":
        return np.concatenate([rank[i::passes] for i in range(passes)])
    return rank[::-1] if order == "descending" else rank
