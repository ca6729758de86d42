"""Several filters over one corpus side by side: what each keeps, and how much two of them agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from explorer.corpus.corpus import Corpus
from explorer.selection.filters import Filters
from explorer.selection.selection import Selection


def compare(corpus: Corpus, filters: Mapping[str, Filters]) -> pl.DataFrame:
    """A row a filter: documents and tokens kept with their shares, and its overlap with each of the others.

    The overlap with another filter is the share of *this* filter's documents that the other keeps too; null where this one keeps
    none. By chance it would be the other's kept share.
    """
    tokens = corpus.columns.tokens().values
    masks = {name: Selection(corpus, f).mask() for name, f in filters.items()}
    total, n = float(tokens.sum()), len(corpus)
    rows = []
    for name, mask in masks.items():
        kept = int(mask.sum())
        overlap = {f"also in {other}": int((mask & theirs).sum()) / kept if kept else None for other, theirs in masks.items()}
        kept_tokens = float(tokens[mask].sum())
        rows.append(
            {
                "filters": name,
                "documents": kept,
                "share": kept / n if n else None,
                "tokens": kept_tokens,
                "token_share": kept_tokens / total if total else None,
                **overlap,
            }
        )
    return pl.DataFrame(rows)


def kept_by_length(selection: Selection, deciles: int = 10) -> pl.DataFrame:
    """Kept share by length: documents in equal groups from shortest to longest, by tokens.

    Returns:
        A row a group: ``tokens_from``, ``tokens_to``, ``documents``, ``kept_documents``, ``kept_share``.
    """
    tokens = selection.corpus.columns.tokens().values
    edges = np.unique(np.quantile(tokens, np.linspace(0, 1, deciles + 1))) if len(tokens) else np.zeros(1)
    codes = np.clip(np.searchsorted(edges, tokens, side="right") - 1, 0, max(0, len(edges) - 2))
    groups = max(1, len(edges) - 1)
    documents = np.bincount(codes, minlength=groups)
    kept = np.bincount(codes[selection.mask()], minlength=groups)
    upper = edges[1:] if len(edges) > 1 else edges
    return pl.DataFrame({"tokens_from": edges[:groups], "tokens_to": upper, "documents": documents, "kept_documents": kept}).with_columns(
        kept_share=pl.when(pl.col("documents") > 0).then(pl.col("kept_documents") / pl.col("documents"))
    )
