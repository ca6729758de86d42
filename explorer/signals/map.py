"""Where documents lie on a map of their meaning, and which cluster they belong to: both from their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.registry import Columns, CorpusRun, Signal, corpus_family

if TYPE_CHECKING:
    from explorer.embeddings.store import Embeddings

RECORD = "embeddings.json"
"""File beside the columns that says which embeddings they were made from, and how many documents had one."""

_NO_VECTOR = "Null for a document that had no embedding when it was computed; embed more and compute it again."
_MAP_MISLEADS = f"Only nearness means something: islands may lie anywhere, and empty room is no distance. {_NO_VECTOR}"
_CLUSTER_MISLEADS = (
    f"Every document is put into the nearest cluster, however far it is; borders between clusters are not gaps. {_NO_VECTOR}"
)


@corpus_family(
    version=1,
    source="McInnes, Healy, Melville 2018, UMAP, arXiv:1802.03426, on a seeded sample of landmarks; or principal components",
    signals=[
        Signal("map_x", "map units", "First coordinate on the map of meaning.", misleads=_MAP_MISLEADS),
        Signal("map_y", "map units", "Second coordinate on the map of meaning.", misleads=_MAP_MISLEADS),
    ],
)
def map(run: CorpusRun, *, method: str = "umap", seed: int = 0, landmarks: int = 30_000, embeddings: str | None = None) -> Columns:
    """Place documents on a map, those about the same thing side by side.

    Args:
        run: the corpus, and whom to tell.
        method: "umap", or "pca" for one that is there at once.
        seed: decides the sample and the layout; the same seed gives the same map.
        landmarks: documents that are laid out against each other; the others are placed by them.
        embeddings: model of the embeddings; those computed last when left out.

    Returns:
        float32 [documents], null without an embedding.

    """
    from explorer.embeddings.projection import project

    vectors = run.corpus.embeddings(embeddings)
    places = project(vectors.matrix, method, seed=seed, landmarks=landmarks, tell=run.step)  # type: ignore[arg-type]
    _record(run, vectors, method=method)
    columns = {}
    for axis, name in enumerate(("map_x", "map_y")):
        columns[name] = np.full(len(run.corpus), np.nan, np.float32)
        columns[name][vectors.rows] = places[:, axis]
    return columns


@corpus_family(
    version=1,
    source="Spherical k-means (Dhillon and Modha 2001) on two levels; titles by c-TF-IDF (Grootendorst 2022, arXiv:2203.05794)",
    signals=[
        Signal(
            "cluster_top",
            "number of a group",
            "Group of clusters the document lies in, 0 the largest.",
            dtype="int64",
            misleads=_CLUSTER_MISLEADS,
        ),
        Signal(
            "cluster",
            "number of a cluster",
            "Cluster the document lies in; clusters of one group have following numbers.",
            dtype="int64",
            misleads=_CLUSTER_MISLEADS,
        ),
    ],
)
def clusters(run: CorpusRun, *, fine: int | None = None, top: int | None = None, seed: int = 0, embeddings: str | None = None) -> Columns:
    """Group documents by meaning on two nested levels, and title each group from its own words.

    Args:
        run: the corpus, where titles are written, and whom to tell.
        fine: clusters wanted; half the root of the number of documents, at most 500, when left out.
        top: groups of clusters wanted; about two roots of the clusters when left out.
        seed: decides samples and first centres; the same seed gives the same clusters.
        embeddings: model of the embeddings; those computed last when left out.

    Returns:
        int64 [documents], null without an embedding.

    """
    from explorer.embeddings.clusters import cluster
    from explorer.embeddings.titles import title_clusters, write_titles

    vectors = run.corpus.embeddings(embeddings)
    found = cluster(vectors.matrix, fine=fine, top=top, seed=seed, tell=run.step)
    write_titles(run.folder, title_clusters(run.corpus, vectors.rows, found, seed=seed, tell=run.step))
    _record(run, vectors, clusters=len(found.parents))
    columns = {}
    for name, labels in (("cluster_top", found.top), ("cluster", found.fine)):
        columns[name] = np.full(len(run.corpus), np.nan)
        columns[name][vectors.rows] = np.where(labels < 0, np.nan, labels)
    return columns


def _record(run: CorpusRun, vectors: Embeddings, **more: Any) -> None:
    from explorer.corpus.workspace import write_json

    said = {"model": vectors.model, "revision": vectors.revision, "dimension": vectors.dimension}
    write_json(run.folder / RECORD, {**said, **more, "documents": len(run.corpus), "with_vector": len(vectors.rows)})
