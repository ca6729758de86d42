"""Tokens of documents that are trained on together with what was generated for them, source by source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from explorer.errors import SelectionError

if TYPE_CHECKING:
    from explorer.rewrites.pairs import Pairs


def augmented_tokens(pairs: Pairs, by: str = "source", *, joined: bool = False, budget: float | None = None) -> pl.DataFrame:
    """What augmentation does to the mix: the tokens of a group grow by its multiplier, and its epochs must be counted on the grown ones.

    A document with several thinkings is trained on once with each, and counted so.

    Args:
        pairs: documents with the thinking generated for each.
        by: "source" (of the documents, or of the thinkings where the documents have none), or a column of the documents.
        joined: whether the texts hold their document already (see the signal tpt_joined).
        budget: tokens to train on in all; gives the epochs over everything.

    Returns:
        A row a group and one for all: ``group``, ``pairs``, ``document_tokens``, ``thinking_tokens``, ``augmented_tokens``,
        ``multiplier`` (augmented / document tokens), ``share_before`` and ``share_after`` (of all tokens), ``tokens`` (whose they are),
        and ``epochs`` with a budget.

    Raises:
        SelectionError: the budget is not positive.

    """
    if budget is not None and not budget > 0:
        raise SelectionError(f"budget is {budget!r}. It counts tokens to train on. Give a number above 0.")
    rows = pairs.match.rows
    there = rows >= 0
    of = pairs.originals.columns
    groups = of.groups(by, 50)
    documents, texts = of.tokens(), pairs.columns.tokens()
    before = documents.values[rows[there]]
    after = texts.values[there] + (0 if joined else before)
    codes = groups.codes[rows[there]]
    n = len(groups.labels)
    sums = [np.bincount(codes, weights, n) for weights in (np.ones(len(codes)), before, after - before, after)]
    table = pl.DataFrame(
        {
            "group": [*groups.labels, "all"],
            **{
                name: np.append(column, column.sum())
                for name, column in zip(("pairs", "document_tokens", "thinking_tokens", "augmented_tokens"), sums, strict=True)
            },
        }
    ).filter((pl.col("pairs") > 0) | (pl.col("group") == "all"))
    whole = {name: float(column.sum()) for name, column in zip(("before", "after"), (before, after), strict=True)}

    def over(column: str, total: pl.Expr) -> pl.Expr:
        return pl.when(total > 0).then(pl.col(column) / total)

    label = documents.label if documents.label == texts.label else f"documents: {documents.label}; texts: {texts.label}"
    table = table.with_columns(
        pl.col("pairs").cast(pl.Int64),
        over("augmented_tokens", pl.col("document_tokens")).alias("multiplier"),
        over("document_tokens", pl.lit(whole["before"])).alias("share_before"),
        over("augmented_tokens", pl.lit(whole["after"])).alias("share_after"),
        pl.lit(label).alias("tokens"),
    )
    return (
        table
        if budget is None
        else table.with_columns(pl.lit(budget / whole["after"] if whole["after"] else None, pl.Float64).alias("epochs"))
    )
