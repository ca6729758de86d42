"""Models that turn texts into vectors of unit length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from explorer.models import device as devices
from explorer.models.hub import MINILM, resolve


class Encoder(Protocol):
    """Texts to vectors."""

    name: str
    revision: str
    dimension: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, d], unit length."""

    def encode_query(self, text: str) -> np.ndarray:
        """float32 [d]: a query, with the model's prefix for queries."""


def load(model: str = MINILM, revision: str | None = None, **options: Any) -> Encoder:
    """The encoder, loaded once a process and device."""
    resolved = resolve(model, revision)
    return _loaded(str(resolved.path), resolved.name, resolved.revision, devices.current().name)


@lru_cache(maxsize=2)
def _loaded(path: str, name: str, revision: str, device: str) -> Encoder:
    return _Sentence(path, name, revision, device)


class _Sentence:
    def __init__(self, path: str, name: str, revision: str, device: str) -> None:
        from explorer.models.extra import sentence_transformers

        self._model = sentence_transformers.SentenceTransformer(path, device=device, trust_remote_code=False)
        self.name, self.revision = name, revision
        self.dimension = int(self._model.get_sentence_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False), np.float32)

    def encode_query(self, text: str) -> np.ndarray:
        return self.encode([text])[0]
