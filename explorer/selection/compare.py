"""Several filters over one corpus side by side, and one filter's effect on groups: what each keeps, and whom it treats unlike the rest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numba as nb
import numpy as np
import polars as pl

from explorer.corpus.columns import Groups
from explorer.corpus.corpus import Corpus
from explorer.selection.filters import Filters
from explorer.selection.selection import Selection


@dataclass(frozen=True)
class Comparison:
    """Filters side by side.

    Attributes:
        kept: a row a filter: filters, documents, share, tokens, token_share; shares are null for a corpus without documents or tokens.
        overlap: float64 [filters, filters], share of the row's documents that the column keeps too; NaN where the row keeps none. Two
            filters that know nothing of each other overlap by the column's own share.
        estimated: whether tokens are an estimate.
    """

    kept: pl.DataFrame
    overlap: np.ndarray
    estimated: bool


def compare(corpus: Corpus, filters: Mapping[str, Filters]) -> Comparison:
    """What each of several filters keeps, and how much two of them agree.

    Raises:
        SignalError, ColumnNotFoundError: one of them reads what is not there.
    """
    tokens = corpus.columns.tokens()
    n = len(corpus)
    total = float(tokens.values.sum())
    masks = np.zeros((len(filters), n), bool)
    for i, chosen in enumerate(filters.values()):
        masks[i] = Selection(corpus, chosen).mask()
    both = np.array([[np.count_nonzero(a & b) for b in masks] for a in masks], np.int64).reshape(len(filters), len(filters))
    documents = both.diagonal()
    kept_tokens = [float(tokens.values[mask].sum()) for mask in masks]
    kept = pl.DataFrame(
        {
            "filters": list(filters),
            "documents": documents,
            "share": [int(d) / n if n else None for d in documents],
            "tokens": kept_tokens,
            "token_share": [t / total if total else None for t in kept_tokens],
        },
        schema={"filters": pl.String, "documents": pl.Int64, "share": pl.Float64, "tokens": pl.Float64, "token_share": pl.Float64},
    )
    with np.errstate(invalid="ignore"):
        overlap = np.where(documents[:, None] > 0, both / np.maximum(1, documents[:, None]), np.nan)
    return Comparison(kept, overlap, tokens.estimated)


def kept_by(selection: Selection, groups: Groups) -> pl.DataFrame:
    """Kept share by group.

    Returns:
        A row a group: ``group``, ``documents``, ``kept_documents``, ``kept_share``, ``tokens``, ``kept_tokens``, ``kept_token_share``;
        a share is null for a group without documents or tokens.
    """
    n = len(groups.labels)
    documents, tokens = _tally(groups.codes, selection.mask(), selection.corpus.columns.tokens().values, max(1, n))
    return pl.DataFrame(
        {
            "group": pl.Series(list(groups.labels), dtype=pl.String),
            "documents": documents[0, :n],
            "kept_documents": documents[1, :n],
            "tokens": tokens[0, :n],
            "kept_tokens": tokens[1, :n],
        }
    ).with_columns(
        kept_share=pl.when(pl.col("documents") > 0).then(pl.col("kept_documents") / pl.col("documents")),
        kept_token_share=pl.when(pl.col("tokens") > 0).then(pl.col("kept_tokens") / pl.col("tokens")),
    )


def length_groups(corpus: Corpus, parts: int = 10) -> tuple[Groups, np.ndarray]:
    """Documents in groups of about equal size from shortest to longest, by tokens, and the groups' edges in tokens [groups + 1].

    Documents of one length are never told apart, so there are fewer groups where many share one.
    """
    tokens = corpus.columns.tokens().values
    if not len(tokens):
        return Groups("length", np.zeros(0, np.uint8), ()), np.zeros(1)
    edges = np.unique(np.quantile(tokens, np.linspace(0, 1, parts + 1), method="nearest"))
    if len(edges) == 1:
        edges = np.array([edges[0], edges[0]])
    codes = np.clip(np.searchsorted(edges, tokens, side="right") - 1, 0, len(edges) - 2).astype(np.uint8)
    return Groups("length", codes, tuple(f"{a:g} to {b:g}" for a, b in itertools.pairwise(edges))), edges


@nb.njit(nogil=True, cache=True)
def _tally(codes, kept, tokens, n):  # type: ignore[no-untyped-def]
    """Documents and tokens [2, groups]: of all rows, and of the kept ones."""
    documents, sums = np.zeros((2, n), np.int64), np.zeros((2, n))
    for i in range(len(codes)):
        g, t = codes[i], tokens[i]
        documents[0, g] += 1
        sums[0, g] += t
        if kept[i]:
            documents[1, g] += 1
            sums[1, g] += t
    return documents, sums
