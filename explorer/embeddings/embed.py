"""Embed a corpus: the same pieces, resume and reuse as any learned signal, in vectors of half precision."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from explorer.corpus.corpus import Corpus
from explorer.corpus.sidecars import Sidecar, declare, forget, sidecar
from explorer.corpus.workspace import remove_leftovers
from explorer.embeddings.encoders import load
from explorer.engine.pieces import score_pieces
from explorer.engine.progress import Progress, ScoreReport
from explorer.models import device as devices
from explorer.models.hub import MINILM, resolve, short
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Family, Signal

COLUMN = "embedding"


def embed(
    corpus: Corpus,
    model: str | None = None,
    *,
    revision: str | None = None,
    rows: Sequence[int] | np.ndarray | None = None,
    again: bool = False,
    device: str = "auto",
    on_progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
    **options: Any,
) -> ScoreReport:
    """Compute the vector of every document that lacks one.

    Args:
        corpus: the corpus.
        model: sentence-transformers or model2vec model: hub id, folder or bundled name; all-MiniLM-L6-v2 by default.
        revision: of a hub id.
        rows: numbers of documents; all by default.
        again: compute them anew.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        on_progress: called after each piece.
        cancel: when set, no further piece is begun.
        **options: of the encoder: ``max_length``, ``prefix``, ``pooling``, ``dimension``, ``dtype``; see `explorer.embeddings.encoders.load`.

    Raises:
        ModelError: the model or device is not here.

    """
    family, side = embedding_family(corpus, model, revision, **options)
    declare(side, corpus.roles.text, again=again)
    remove_leftovers(side.folder)
    for shard in corpus.shards if again else []:
        forget(side, shard)
    wanted = None if rows is None else np.unique(np.asarray(rows, np.int64))
    with devices.using(device):
        about = devices.current().about
        return score_pieces(corpus, family, side, wanted, device=about, on_progress=on_progress or (lambda _: None), cancel=cancel)


def embedding_family(corpus: Corpus, model: str | None = None, revision: str | None = None, **options: Any) -> tuple[Family, Sidecar]:
    """The family that a model's vectors are, and where they are kept."""
    resolved = resolve(model or MINILM, revision)
    settings = {"model": resolved.name, "revision": resolved.revision, **options}

    def vectors(batch: Batch, **parameters: Any) -> Columns:
        encoder = load(**parameters)
        texts = [text if text is not None else "" for text in batch.texts()]
        values = encoder.encode(texts).astype(np.float16)
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), pa.float16())
        column = pa.FixedSizeListArray.from_arrays(flat, encoder.dimension)
        # a text without a word has no direction
        there = np.array([bool(t.strip()) for t in texts]) & np.isfinite(values).all(1) & values.any(1)
        return {COLUMN: column if there.all() else _blanked(column, there)}

    name = re.sub(r"[^\w.-]+", "-", Path(resolved.name).name if Path(resolved.name).exists() else resolved.name.split("/")[-1]).strip("-.")
    about = Signal(COLUMN, "unit vector", "The direction of the text in the model's space.", dtype="vector")
    family = Family(f"{name}@{short(resolved.revision)}", 1, "sentence-transformers", (about,), vectors, defaults=settings)
    return family, sidecar(corpus.workspace, family, corpus.roles.text, settings, kind="embeddings")


def _blanked(column: pa.FixedSizeListArray, there: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(column.values, column.type.list_size, mask=pa.array(~there))
