"""Find documents by what they mean: a query in words, or documents like others, among those of a selection."""

from __future__ import annotations

import time

import numpy as np

from explorer.corpus.corpus import Corpus
from explorer.corpus.search import Found
from explorer.embeddings.search import Hits, search, similar
from explorer.errors import EmbeddingError, SelectionError

MOST = 200  # results of a search in words: further down, the order says little


def by_meaning(corpus: Corpus, query: str, n: int = MOST, *, within: np.ndarray | None = None, model: str | None = None) -> Found:
    """The documents nearest to a query, best first, with their cosines.

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
    found = search(vectors, vectors.encoder().encode_query(query), n, within=within)
    return _found(found, started, within)


def like(corpus: Corpus, rows: int | list[int], n: int = MOST, *, within: np.ndarray | None = None, model: str | None = None) -> Found:
    """The documents nearest to one or several others, best first, these left out.

    Raises:
        EmbeddingError: nothing is embedded, or none of the examples is.

    """
    started = time.monotonic()
    return _found(similar(corpus.embeddings(model), rows, n, within=within), started, within)


def _found(hits: Hits, started: float, within: np.ndarray | None) -> Found:
    if not hits.searched:
        among = "none of the documents to look among" if within is not None else "no document"
        raise EmbeddingError(f"0 results: {among} has a vector. Embed them first: explorer embed PATH --filters FILE, or look among all.")
    return Found(hits.rows, time.monotonic() - started, hits.scores, hits.searched)
