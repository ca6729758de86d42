"""Find documents by what they mean: a query in words, or documents like others, among those of a selection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from explorer.corpus.corpus import Corpus
from explorer.corpus.search import Found
from explorer.embeddings.search import Hits, search, similar
from explorer.errors import EmbeddingError, SelectionError

if TYPE_CHECKING:
    from explorer.embeddings.store import Embeddings

COPIES = 4  # times as many are looked up, since copies are left out
MOST = 200  # results of a search in words: further down, the order says little


def by_meaning(corpus: Corpus, query: str, n: int = MOST, *, within: np.ndarray | None = None, model: str | None = None) -> Found:
    """The documents nearest to a query, best first, with their cosines; of those with the very same vector only the first.

    Args:
        corpus: whose embeddings are searched.
        query: words, a sentence, a paragraph.
        n: how many.
        within: numbers of the documents to look among, or a bool for every document; None for all.
        model: the embeddings; those computed last unless named.

    Raises:
        EmbeddingError: nothing is embedded, or none of ``within`` is.
        SelectionError: the query is empty.

    """
    if not query.strip():
        raise SelectionError("The query is empty. Write what the documents should be about, such as: how vaccines work")
    started = time.monotonic()
    vectors = corpus.embeddings(model)
    found = search(vectors, vectors.encoder().encode_query(query), COPIES * n, within=within)
    return _found(found, started, within, vectors, n)


def like(corpus: Corpus, rows: int | list[int], n: int = MOST, *, within: np.ndarray | None = None, model: str | None = None) -> Found:
    """The documents nearest to one or several others, best first, these left out.

    Raises:
        EmbeddingError: nothing is embedded, or none of the examples is.

    """
    started = time.monotonic()
    vectors = corpus.embeddings(model)
    return _found(similar(vectors, rows, COPIES * n, within=within), started, within, vectors, n)


def _found(hits: Hits, started: float, within: np.ndarray | None, vectors: Embeddings, n: int) -> Found:
    if not hits.searched:
        among = "none of the documents to look among" if within is not None else "no document"
        raise EmbeddingError(f"0 results: {among} has a vector. Embed them first: explorer embed PATH --filters FILE, or look among all.")
    # the same text, capitals apart, has the same vector: one of them says it all
    places = vectors.places[hits.rows]
    _, first = np.unique(vectors.matrix[places].view(np.uint16), axis=0, return_index=True)
    kept = np.sort(first)[:n]
    return Found(hits.rows[kept], time.monotonic() - started, hits.scores[kept], hits.searched, vectors.model)
