"""What a manifest holds by group of the corpus it was made from: documents and tokens, every repeat counted."""

from __future__ import annotations

import numpy as np
import polars as pl

from explorer.corpus.corpus import Corpus
from explorer.manifest.model import Manifest


def by_group(manifest: Manifest, corpus: Corpus, by: str = "source", most: int = 50) -> pl.DataFrame | None:
    """Documents and tokens of a manifest by a group of its corpus.

    Args:
        manifest: with its folder.
        corpus: the one it was made from.
        by: "source", "language", "year" or a column.
        most: groups told apart.

    Returns:
        A row a group, in the groups' order: ``group``, ``documents``, ``unique_documents``, ``tokens``, ``share`` of the tokens (null
        where there are none); None when some source of the manifest is not this corpus as it is now.
    """
    now = [shard.fingerprint for shard in corpus.shards]
    if manifest.folder is None or any([f.fingerprint for f in source.files] != now for source in manifest.sources):
        return None
    groups = corpus.columns.groups(by, most)
    starts = np.concatenate([[0], np.cumsum([shard.rows for shard in corpus.shards])])
    n = max(1, len(groups.labels))
    documents, tokens, unique = np.zeros(n), np.zeros(n), np.zeros(len(corpus), bool)
    for component in (c for stage in manifest.stages for c in stage.components):
        frame = pl.read_parquet(manifest.folder / component.selection.path, columns=["file", "row", "repeat", "tokens"], glob=False)
        rows = starts[frame["file"].to_numpy()] + frame["row"].to_numpy()
        codes, repeat = groups.codes[rows], frame["repeat"].to_numpy()
        documents += np.bincount(codes, weights=repeat, minlength=n)
        tokens += np.bincount(codes, weights=repeat * frame["tokens"].to_numpy(), minlength=n)
        unique[rows] = True
    found = pl.DataFrame(
        {
            "group": pl.Series(list(groups.labels), dtype=pl.String),
            "documents": documents[: len(groups.labels)].astype(np.int64),
            "unique_documents": np.bincount(groups.codes[unique], minlength=n)[: len(groups.labels)],
            "tokens": tokens[: len(groups.labels)],
        }
    )
    return found.with_columns(share=pl.when(pl.col("tokens").sum() > 0).then(pl.col("tokens") / pl.col("tokens").sum()))
