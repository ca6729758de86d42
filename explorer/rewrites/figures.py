"""What the audit says of many pairs: by method, style, source and length; gain against faithfulness; rules against human verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from explorer.registry import Signal, fitting
from explorer.rewrites.pairs import Pairs
from explorer.scorers.intervals import wilson

BINS = 10
GROUPS = ("method", "style", "original source", "original language", "length")
LENGTHS = (50, 100, 200, 400, 800, 1600)  # words of the original that a group of lengths ends at


def faults(pairs: Pairs) -> list[Signal]:
    """Computed checks that count something wrong: where they are above their lowest value, something was found."""
    computed = set(pairs.coverage().columns())
    return [
        s
        for family in fitting(pairs).values()
        if family.of_pairs
        for s in family.signals
        if s.name in computed and s.direction == "lower_is_better" and s.dtype != "string" and (s.unit == "0 or 1" or s.dtype == "int64")
    ]


def up(pairs: Pairs, fault: Signal) -> np.ndarray:
    """Where a fault was found, bool [n]; False where it was not looked for."""
    with np.errstate(invalid="ignore"):
        return pairs.columns.numbers(fault.name) > (fault.range[0] or 0.0)


def groups(pairs: Pairs, by: str, most: int = 20) -> tuple[np.ndarray, list[str]]:
    """Which group each pair is in, int64 [n], and what the groups are called; -1 for a pair without an original.

    Args:
        pairs: the pairs.
        by: one of `GROUPS`, or a column of the rewrites.
        most: groups told apart; the rest are one.

    """
    if by == "length":
        words = pairs.columns.numbers("original_words")
        codes = np.searchsorted(LENGTHS, np.nan_to_num(words), side="left")
        labels = [
            f"up to {LENGTHS[0]} words",
            *(f"{a + 1} to {b}" for a, b in pairwise(LENGTHS)),
            f"more than {LENGTHS[-1]}",
        ]
        return np.where(np.isnan(words), -1, codes), labels
    if by.startswith("original "):
        theirs = pairs.originals.columns.groups(by.removeprefix("original "), most)
        rows = pairs.match.rows
        return np.where(rows >= 0, theirs.codes[np.maximum(rows, 0)].astype(np.int64), -1), list(theirs.labels)
    column = getattr(pairs.roles, by, None) or by
    ours = pairs.columns.groups(column, most)
    return ours.codes.astype(np.int64), list(ours.labels)


def possible(pairs: Pairs) -> list[str]:
    """Ways to group these pairs."""
    found = [role for role in ("method", "style") if getattr(pairs.roles, role)]
    found += ["original source"]
    found += ["original language"] if pairs.originals.roles.language or pairs.originals.coverage().of("lang") else []
    return found + (["length"] if pairs.coverage().of("original_words") else [])


def breakdown(pairs: Pairs, by: str, *, signal: str = "faithfulness", below: float = 0.8, among: np.ndarray | None = None) -> pl.DataFrame:
    """A group a row: pairs, a signal's quartiles and histogram, and the share of pairs with each fault.

    Args:
        pairs: the pairs.
        by: see `groups`.
        signal: whose distribution is given, of range 0 to 1 for the histogram; left out where it is not computed.
        below: the share of pairs under this value is given.
        among: bool [n], the pairs that count; all by default.

    Returns:
        Columns ``group, pairs``, then ``scored, mean, p25, median, p75, below, histogram`` and one share a fault (of the pairs that it
        was computed for), groups without a pair left out, largest first (lengths in order).

    """
    codes, labels = groups(pairs, by)
    there = codes >= 0 if among is None else (codes >= 0) & among
    computed = pairs.coverage().of(signal) is not None
    values = pairs.columns.numbers(signal).astype(np.float64) if computed else np.full(len(pairs), np.nan)
    known = faults(pairs)
    columns: dict[str, list[object]] = {}
    counts = np.bincount(codes[there], minlength=len(labels))
    found = {fault.name: _shares(pairs, fault, codes, there, len(labels)) for fault in known}
    order = [i for i in (range(len(labels)) if by == "length" else np.argsort(-counts, kind="stable")) if counts[i]]
    for i in order:
        mine = there & (codes == i)
        scored = values[mine & np.isfinite(values)]
        q = np.quantile(scored, [0.25, 0.5, 0.75]) if len(scored) else [None] * 3
        row: dict[str, object] = {"group": labels[i], "pairs": int(counts[i])}
        if computed:
            row |= {"scored": len(scored), "mean": float(scored.mean()) if len(scored) else None, "p25": q[0], "median": q[1], "p75": q[2]}
            row |= {"below": float((scored < below).mean()) if len(scored) else None}
            row |= {"histogram": np.histogram(np.clip(scored, 0, 1), BINS, (0, 1))[0].tolist()}
        row |= {name: shares[i] for name, shares in found.items()}
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return pl.DataFrame(columns, strict=False)


def _shares(pairs: Pairs, fault: Signal, codes: np.ndarray, there: np.ndarray, groups_: int) -> list[float | None]:
    """Share of each group's pairs in which a fault was found, of those that it was looked for in."""
    looked = there & np.isfinite(pairs.columns.numbers(fault.name))
    of = np.bincount(codes[looked], minlength=groups_)
    found = np.bincount(codes[looked & up(pairs, fault)], minlength=groups_)
    return [float(f / n) if n else None for f, n in zip(found.tolist(), of.tolist(), strict=True)]


@dataclass(frozen=True)
class Rule:
    """How well a rule agrees with human verdicts.

    Attributes:
        rule: in words ("numbers_changed > 0").
        judged: pairs with a verdict that the rule was computed for.
        up: of them, those that the rule holds against.
        rejected: of those, the ones that people rejected; ``precision`` is their share with its 95 % interval (Wilson).
        all_rejected: rejected pairs among the judged; ``recall`` is the share of them that the rule is up for.
    """

    rule: str
    judged: int
    up: int
    rejected: int
    all_rejected: int
    precision: tuple[float, float, float]
    recall: tuple[float, float, float]


def rules(
    pairs: Pairs, verdicts: pl.DataFrame, thresholds: Sequence[tuple[str, float]] = (("faithfulness", 0.8), ("faithfulness", 0.5))
) -> list[Rule]:
    """Each check against what people said: of the pairs it holds something against, how many they rejected, and how many it finds.

    Args:
        pairs: the pairs.
        verdicts: columns ``row`` and ``label``; "accept" and "reject" count, anything else is left out.
        thresholds: (signal, value): rules "below value" on computed signals.

    Returns:
        Rules that are up for at least one judged pair, most precise first.

    """
    judged = verdicts.filter(pl.col("label").is_in(["accept", "reject"]))
    rows, bad = judged["row"].to_numpy(), (judged["label"] == "reject").to_numpy()
    found = []
    every: list[tuple[str, np.ndarray, np.ndarray]] = []
    for fault in faults(pairs):
        every.append(
            (f"{fault.name} > {fault.range[0] or 0:g}", up(pairs, fault)[rows], np.isfinite(pairs.columns.numbers(fault.name)[rows]))
        )
    for name, value in thresholds:
        if pairs.coverage().of(name) is not None:
            numbers = pairs.columns.numbers(name)[rows]
            with np.errstate(invalid="ignore"):
                every.append((f"{name} < {value:g}", numbers < value, np.isfinite(numbers)))
    for rule, holds, known in every:
        n, hits, total = int((holds & known).sum()), int((holds & known & bad).sum()), int((known & bad).sum())
        if n:
            precision = (hits / n, *wilson(hits, n))
            recall = (hits / total, *wilson(hits, total)) if total else (float("nan"),) * 3
            found.append(Rule(rule, int(known.sum()), n, hits, total, precision, recall))
    return sorted(found, key=lambda r: (-r.precision[0], -r.up))
