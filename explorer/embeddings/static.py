"""Static vectors (model2vec): a text is the mean of its tokens' vectors, and no network is run.

Fast and coarse. `distil` makes such a model from a sentence-transformers one, offline, once, by model2vec's recipe: each token of the
vocabulary is run through the model by itself, and the vectors are reduced by PCA and weighted by how rare a token is (Tulkens and van
Dongen 2024, https://github.com/MinishLab/model2vec). Order and context of words are lost. Of the ten nearest neighbours that
all-MiniLM-L6-v2 finds, its static vectors find three (0.30 on 240 documents of books, code and the web): they tell a theme well enough
for a first map, not which documents say the same. They take a hundredth of the processor time. ``benchmarks/embedding.py`` measures
both.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.embeddings.encoders import shortened, unit
from explorer.errors import EmbeddingError, ModelError
from explorer.models import device as devices
from explorer.models.beginnings import first_tokens
from explorer.models.hub import Resolved, cache_folder, short

if TYPE_CHECKING:
    from explorer.embeddings.sentence import SentenceEncoder

DIMENSION = 256  # principal components kept, as model2vec does
SIF = 1e-4  # the same; larger weights common tokens more
MAX_LENGTH = 512  # tokens read of a text
RECIPE = 1  # grows when `distil` makes other vectors of the same model
WINDOW = 256  # texts whose tokens are in memory


class StaticEncoder:
    """An `explorer.embeddings.encoders.Encoder` over a model2vec folder."""

    def __init__(
        self,
        path: str,
        name: str,
        revision: str,
        *,
        prefix: str | None = None,
        query_prefix: str | None = None,
        dimension: int | None = None,
        max_length: int | None = None,
    ) -> None:
        from explorer.models.extra import model2vec

        try:
            model = model2vec.StaticModel.from_pretrained(path, force_download=False)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"Model {name!r} cannot be loaded as static vectors ({error}). Make or copy its folder again.") from error
        self.name, self.revision = name, revision
        self.prefix, self.query_prefix = prefix or "", query_prefix or ""
        self.max_length = max_length or model.max_length
        vectors = np.asarray(model.embedding, np.float32)
        if model.token_mapping is not None:
            vectors = vectors[np.asarray(model.token_mapping)]
        if model.weights is not None:
            vectors = vectors * np.asarray(model.weights, np.float32)[:, None]
        self._vectors, self._unknown = vectors, model.unk_token_id
        self._tokens = model.tokenizer
        self._tokens.no_truncation()
        self._tokens.no_padding()
        self._cut = dimension
        self.dimension = shortened(name, int(vectors.shape[1]), dimension)
        self.about: dict[str, Any] = {
            "model": name,
            "revision": revision,
            "dimension": self.dimension,
            "max_length": self.max_length,
            "prefix": self.prefix,
            "query_prefix": self.query_prefix,
            "pooling": ["mean"],
            "modules": ["StaticModel"],
            "dtype": "float32",
        }

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, d], unit length; zeros where no token of a text is known."""
        return self._encoded(texts, self.prefix)

    def encode_query(self, text: str) -> np.ndarray:
        """float32 [d]."""
        return self._encoded([text], self.query_prefix)[0]

    def _encoded(self, texts: Sequence[str], prefix: str) -> np.ndarray:
        means = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        windows = [range(start, min(start + WINDOW, len(texts))) for start in range(0, len(texts), WINDOW)]
        with ThreadPoolExecutor(1, "tokens") as ahead:  # the next window's tokens are made while this one's are averaged
            prepared = [ahead.submit(self._ids, [prefix + texts[i] for i in w]) for w in windows[:1]]
            for k, window in enumerate(windows):
                every = prepared.pop().result()
                if k + 1 < len(windows):
                    prepared.append(ahead.submit(self._ids, [prefix + texts[i] for i in windows[k + 1]]))
                for i, ids in zip(window, every, strict=True):
                    if len(ids):
                        means[i] = self._vectors[ids].mean(axis=0)
        return unit(means, self._cut)

    def _ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        whole = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
        every = [np.array(e.ids, np.int64) for e in first_tokens(self._tokens, whole, self.max_length, special_tokens=False)]
        return every if self._unknown is None else [ids[ids != self._unknown] for ids in every]


def distilled(source: Resolved, name: str, tell: Callable[[str], None] = lambda words: None) -> Resolved:
    """Static vectors of a model, made when they are first asked for and kept in the user's cache.

    Args:
        source: the sentence-transformers model.
        name: what the user called the static one.
        tell: called before the work, which takes about a minute.
    """
    from explorer.embeddings.sentence import SentenceEncoder

    folder = cache_folder() / "static" / f"{Path(source.name).name}@{short(source.revision)}-{RECIPE}"
    if not folder.exists():
        tell(f"making static vectors of {source.name} (once, about a minute)")
        distil(SentenceEncoder(str(source.path), source.name, source.revision, devices.current()), folder)
    return Resolved(folder, f"{source.revision}-static{RECIPE}", name)


def distil(model: SentenceEncoder, folder: Path, *, dimension: int = DIMENSION) -> Path:
    """Make static vectors from a model, offline.

    Args:
        model: an encoder whose texts go through a transformer with a fast tokenizer.
        folder: where they are kept, in model2vec's form; it appears whole.
        dimension: principal components kept.

    Raises:
        ModelError: the model has no tokenizer of its own.
        EmbeddingError: the folder cannot be written.

    """
    from explorer.models.extra import model2vec

    tokenizer, vectors = model.vocabulary()
    vectors = weighted(principal(vectors, dimension)).astype(np.float16)
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "hidden_dim": int(vectors.shape[1]), "base_model": model.name}
    made = model2vec.StaticModel(vectors, tokenizer, config, normalize=True, max_length=MAX_LENGTH, base_model_name=Path(model.name).name)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        made.save_pretrained(temporary)
        if not folder.exists():
            os.replace(temporary, folder)  # else another process has made it meanwhile: the same vectors
    except OSError as error:
        if not folder.exists():
            raise EmbeddingError(
                f"Static vectors could not be kept in {str(folder)!r}: {error.strerror}. Free space, or set EXPLORER_CACHE to a folder that can be written."
            ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def principal(vectors: np.ndarray, dimension: int) -> np.ndarray:
    """The vectors' first principal components, float64 [v, dimension or fewer]; each points to where its largest value is positive."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    found = centred @ directions[:, ::-1][:, :dimension]
    return found * np.sign(found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])])


def weighted(vectors: np.ndarray, a: float = SIF) -> np.ndarray:
    """Vectors times how rare their token is: a / (a + p), p by Zipf's law from the token's rank in the vocabulary (Arora et al. 2017)."""
    shares = 1 / np.arange(2, len(vectors) + 2)
    return vectors * (a / (a + shares / shares.sum()))[:, None]
