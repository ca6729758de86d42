"""Models that turn texts into vectors of unit length: sentence-transformers models, and static vectors of tokens (model2vec)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from explorer.errors import ModelError
from explorer.models import device as devices
from explorer.models.hub import MINILM, Resolved, resolve

STATIC = "static:"  # before a model's name: the static vectors made from it
DTYPES = ("auto", "float32", "bfloat16", "float16")
POOLINGS = ("mean", "cls", "lasttoken", "max")


class Encoder(Protocol):
    """Texts to vectors.

    Attributes:
        name: what the user called it.
        revision: a commit, or a hash of the model's files.
        dimension: numbers a vector.
        about: its settings as they are in force: prefixes, pooling, longest text, precision and the like.

    """

    name: str
    revision: str
    dimension: int
    about: dict[str, Any]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, d], unit length; zeros where a text has no token, NaN where the model gives no finite number."""

    def encode_query(self, text: str) -> np.ndarray:
        """float32 [d]: a query, with the model's prefix for queries."""


def load(
    model: str = MINILM,
    revision: str | None = None,
    *,
    prefix: str | None = None,
    query_prefix: str | None = None,
    pooling: str | None = None,
    dimension: int | None = None,
    max_length: int | None = None,
    dtype: str = "auto",
) -> Encoder:
    """The encoder, loaded once a process and device.

    Args:
        model: sentence-transformers or model2vec model: hub id, folder or bundled name; ``static:NAME`` is made from NAME.
        revision: commit, branch or tag of a hub id.
        prefix: put before documents; by default what the model's own configuration says ("passage: " and the like).
        query_prefix: the same for queries.
        pooling: of `POOLINGS`, in place of the model's own.
        dimension: numbers kept of each vector, which then has unit length again (Matryoshka models); by default all.
        max_length: tokens read of a text, special ones among them; by default what the model's own configuration says.
        dtype: "auto" is the device's fast precision: bfloat16 where its matrix units take that, else float32 on a CPU.

    Raises:
        ModelError: the model is not here, cannot be used for this, or cannot do what the settings ask.

    """
    if pooling is not None and pooling not in POOLINGS:
        raise ModelError(f"Pooling {pooling!r} is unknown. Known: {', '.join(POOLINGS)}. Choose one, or leave it to the model.")
    for name, value in (("dimension", dimension), ("max_length", max_length)):
        if value is not None and value < 1:
            raise ModelError(f"{name} is {value}. It is 1 or more. Give a larger one, or leave it to the model.")
    found = resolved(model, revision)
    device = _CPU if is_static(found.path) else devices.current()
    settings = (prefix, query_prefix, pooling, dimension, max_length, precision(found, dtype, device))
    with _lock:
        return _loaded(str(found.path), found.name, found.revision, device, *settings)


def resolved(model: str, revision: str | None = None, tell: Callable[[str], None] = lambda words: None) -> Resolved:
    """Where a model is; static vectors of another are made when they are first asked for.

    Raises:
        ModelError: it is not on this machine and the hub cannot give it.

    """
    if not model.startswith(STATIC):
        return resolve(model, revision)
    from explorer.embeddings.static import distilled

    return distilled(resolve(model.removeprefix(STATIC), revision), model, tell)


def precision(found: Resolved, dtype: str, device: devices.Device) -> str:
    """The precision that "auto" is on a device.

    Raises:
        ModelError: there is no such precision.

    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown. Known: {', '.join(DTYPES)}. Choose one of them.")
    if is_static(found.path):
        return "float32"
    return device.fast if dtype == "auto" else dtype


def is_static(folder: Path) -> bool:
    """Whether a folder holds model2vec's static vectors."""
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type") == "model2vec"
    except (OSError, ValueError, AttributeError):
        return False


_lock = threading.Lock()
# Static vectors run no model: to ask torch for a device would take the seconds that it takes to load.
_CPU = devices.Device("cpu", "cpu", "float32", "CPU")


@lru_cache(maxsize=2)
def _loaded(
    path: str,
    name: str,
    revision: str,
    device: devices.Device,
    prefix: str | None,
    query_prefix: str | None,
    pooling: str | None,
    dimension: int | None,
    max_length: int | None,
    dtype: str,
) -> Encoder:
    if is_static(Path(path)):
        from explorer.embeddings.static import StaticEncoder

        if pooling not in (None, "mean"):
            raise ModelError(
                f"Model {name!r} has static vectors, which are averaged. Pooling {pooling!r} needs a model of sentences. Leave it out."
            )
        return StaticEncoder(path, name, revision, prefix=prefix, query_prefix=query_prefix, dimension=dimension, max_length=max_length)
    from explorer.embeddings.sentence import SentenceEncoder

    return SentenceEncoder(
        path,
        name,
        revision,
        device,
        dtype,
        prefix=prefix,
        query_prefix=query_prefix,
        pooling=pooling,
        dimension=dimension,
        max_length=max_length,
    )


def unit(values: np.ndarray, dimension: int | None = None) -> np.ndarray:
    """float32 [n, d]: rows, or their first numbers, divided by their length; a row of zeros stays one."""
    kept = np.asarray(values if dimension is None else values[:, :dimension], np.float32)
    length = np.linalg.norm(kept, axis=1, keepdims=True)
    return np.divide(kept, length, out=np.zeros_like(kept), where=length != 0)


def shortened(name: str, whole: int, dimension: int | None) -> int:
    """Numbers that are kept of vectors of ``whole``.

    Raises:
        ModelError: more than there are.

    """
    if dimension is not None and dimension > whole:
        raise ModelError(f"dimension is {dimension:,}, and model {name!r} gives vectors of {whole:,} numbers. Give that or fewer.")
    return dimension or whole
