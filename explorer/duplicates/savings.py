"""What dropping duplicates saves: documents, tokens and bytes, by source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from explorer.duplicates.store import text_bytes, tokens_of

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

TOTAL = "(all)"


def savings(corpus: Corpus, keep: np.ndarray, *, by: str = "source", within: np.ndarray | None = None, most: int = 50) -> pl.DataFrame:
    """What goes when only documents to keep stay.

    Args:
        corpus: whose documents.
        keep: bool [n], False for a document that goes (`explorer.duplicates.groups.Grouping.keep`, or `keepers`).
        by: what rows are made of: "source", "language", "year" or a column, as `Columns.groups` takes it.
        within: bool [n]; count only these documents.
        most: largest groups kept apart, the rest as one row.

    Returns:
        A row a source, most tokens saved first, and one named "(all)" at the end: ``documents``, ``documents_saved``, ``tokens``,
        ``tokens_saved``, ``bytes``, ``bytes_saved``, and ``tokens_saved_fraction`` (null where there are no tokens).

    """
    known = corpus.columns.groups(by, most=most)
    codes = known.codes.astype(np.int64)
    here = np.ones(len(corpus), bool) if within is None else within
    gone = here & ~keep
    labels = list(known.labels)
    k = len(labels)
    tokens, sizes = tokens_of(corpus).values, text_bytes(corpus)

    def total(mask: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        found = np.bincount(codes[mask], None if weights is None else weights[mask], minlength=k)
        return np.append(found, found.sum())

    frame = pl.DataFrame(
        {
            "source": [*labels, TOTAL],
            "documents": total(here, None).astype(np.int64),
            "documents_saved": total(gone, None).astype(np.int64),
            "tokens": total(here, tokens),
            "tokens_saved": total(gone, tokens),
            "bytes": total(here, sizes).astype(np.int64),
            "bytes_saved": total(gone, sizes).astype(np.int64),
        }
    )
    frame = frame.with_columns(tokens_saved_fraction=pl.when(pl.col("tokens") > 0).then(pl.col("tokens_saved") / pl.col("tokens")))
    rows = frame.filter(pl.int_range(pl.len()) < k, pl.col("documents") > 0).sort("tokens_saved", "source", descending=[True, False])
    return pl.concat([rows, frame.tail(1)])


def shared_sources(corpus: Corpus, group: np.ndarray, *, by: str = "source", most: int = 50) -> pl.DataFrame:
    """Groups that reach over two sources: which sources repeat each other.

    Args:
        corpus: whose documents.
        group: int64 [n], as `explorer.duplicates.groups.Grouping.group`.
        by: as in `savings`.
        most: largest sources kept apart.

    Returns:
        ``source_a``, ``source_b`` (in the order of their names) and ``groups`` that have a document of both, most first.

    """
    known = corpus.columns.groups(by, most=most)
    rows = np.flatnonzero(group >= 0)
    k = len(known.labels)
    cells = np.unique(group[rows] * k + known.codes[rows].astype(np.int64))  # (group, source), each once
    of, source = np.divmod(cells, max(k, 1))
    counts = np.zeros((k, k), np.int64)
    first = np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]])) if len(of) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(first, len(of)))
    for size in np.unique(sizes[sizes > 1]):  # groups over the same number of sources at once
        at = first[sizes == size]
        for i in range(size - 1):
            for j in range(i + 1, size):
                np.add.at(counts, (source[at + i], source[at + j]), 1)
    counts += counts.T
    a, b = np.nonzero(np.triu(counts, 1))
    names = [sorted((known.labels[i], known.labels[j])) for i, j in zip(a, b, strict=True)]
    frame = pl.DataFrame({"source_a": [n[0] for n in names], "source_b": [n[1] for n in names], "groups": counts[a, b]}, schema_overrides={"source_a": pl.String, "source_b": pl.String, "groups": pl.Int64})  # fmt: skip
    return frame.sort("groups", "source_a", "source_b", descending=[True, False, False])
