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
from explorer.corpus.sidecars import Sidecar, declare, sidecar
from explorer.corpus.workspace import remove_leftovers, write_json
from explorer.embeddings.encoders import load, precision, resolved
from explorer.engine.gpus import score_in_processes, spread
from explorer.engine.pieces import forget_rows, score_pieces
from explorer.engine.progress import Progress, ScoreReport
from explorer.errors import EmbeddingError
from explorer.models import device as devices
from explorer.models.hub import MINILM, short
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Family, Signal

COLUMN = "embedding"
SETTINGS = "encoder.json"  # beside the vectors: the encoder's settings as they were in force
OPTIONS = ("prefix", "query_prefix", "pooling", "dimension", "max_length", "dtype")


def embed(
    corpus: Corpus,
    model: str | None = None,
    *,
    revision: str | None = None,
    rows: Sequence[int] | np.ndarray | None = None,
    limit: int | None = None,
    again: bool = False,
    device: str = "auto",
    workers: int | None = None,
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
        limit: only the first so many documents, where no rows are named.
        again: compute them anew.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        workers: processes, each with a device of its own; by default one for every GPU there is, and one without.
        on_progress: called after each piece.
        cancel: when set, no further piece is begun.
        **options: of the encoder: ``max_length``, ``prefix``, ``query_prefix``, ``pooling``, ``dimension``, ``dtype``; see
            `explorer.embeddings.encoders.load`.

    Raises:
        ModelError: the model or device is not here.
        EmbeddingError: an option or document that does not exist.

    """
    tell = on_progress or (lambda _: None)
    wanted = None if rows is None else np.unique(np.asarray(rows, np.int64))
    if wanted is None and limit is not None:
        wanted = np.arange(min(limit, len(corpus)))
    if wanted is not None and len(wanted) and (wanted[0] < 0 or wanted[-1] >= len(corpus)):
        raise EmbeddingError(
            f"Document {int(wanted[0] if wanted[0] < 0 else wanted[-1]):,} does not exist. The corpus has {len(corpus):,}, numbered from 0. Name rows among them."
        )

    def say(words: str) -> None:
        tell(Progress("running", 0, len(corpus) if wanted is None else len(wanted), 0, 0, 0.0, words, model or MINILM))

    with devices.using(device):
        family, side = embedding_family(corpus, model, revision, tell=say, **options)
        declare(side, corpus.roles.text, again=again)
        remove_leftovers(side.folder)
        names = spread(device, workers, len(corpus) if wanted is None else len(wanted))
        if len(names) > 1:
            if again:
                forget_rows(corpus, side, wanted)
            task = {"embed": {**side.parameters}}
            return score_in_processes(corpus, family, side, task, wanted, names, on_progress=tell, cancel=cancel)
        return score_pieces(corpus, family, side, wanted, again=again, device=devices.current().about, on_progress=tell, cancel=cancel)


def embedding_family(
    corpus: Corpus,
    model: str | None = None,
    revision: str | None = None,
    *,
    tell: Callable[[str], None] = lambda words: None,
    **options: Any,
) -> tuple[Family, Sidecar]:
    """The family that a model's vectors are, and where they are kept: one place for each model, revision and set of options.

    The precision is one of them: what "auto" means is decided here, by the device.

    Raises:
        ModelError: the model is not here.
        EmbeddingError: an option that there is not.

    """
    unknown = set(options) - set(OPTIONS)
    if unknown:
        raise EmbeddingError(f"Encoders have no option {sorted(unknown)[0]!r}. Options: {', '.join(OPTIONS)}. Leave it out.")
    found = resolved(model or MINILM, revision, tell)
    # a relative path would mean another folder, or none, when vectors are read elsewhere
    name = str(Path(found.name).expanduser().absolute()) if Path(found.name).expanduser().exists() else found.name
    settings = {"model": name, "revision": found.revision} | {k: v for k, v in options.items() if v is not None}
    settings["dtype"] = precision(found, settings.get("dtype", "auto"), devices.current())

    def vectors(batch: Batch, **parameters: Any) -> Columns:
        encoder = load(**parameters)
        if not (side.folder / SETTINGS).exists():
            write_json(side.folder / SETTINGS, encoder.about)
        texts = [text or "" for text in batch.texts()]
        there = np.array([not (t.isspace() or not t) for t in texts], bool)
        values = np.zeros((len(texts), encoder.dimension), np.float32)
        values[there] = encoder.encode([t for t, judged in zip(texts, there, strict=True) if judged])
        there &= np.isfinite(values).all(1) & values.any(1)  # a text without a known token has no direction
        values[~there] = 0
        flat = pa.array(values.astype(np.float16).reshape(-1), pa.float16())
        return {COLUMN: pa.FixedSizeListArray.from_arrays(flat, encoder.dimension, mask=None if there.all() else pa.array(~there))}

    label = re.sub(r"[^\w.-]+", "-", Path(name).name if Path(name).exists() else name.replace("static:", "static-").split("/")[-1])
    about = Signal(COLUMN, "unit vector", "The direction of the text in the model's space.", dtype="vector")
    title = f"{label.strip('-.')}@{short(found.revision)}"
    family = Family(title, 1, "sentence-transformers", (about,), vectors, defaults=settings)
    side = sidecar(corpus.workspace, family, corpus.roles.text, settings, kind="embeddings")
    return family, side
