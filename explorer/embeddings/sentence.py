"""Sentence-transformers models, run faster than their own ``encode`` and with the same vectors.

    texts ── first tokens only, a window ahead of the computing ──► batches of like length by tokens ──► the model's own modules

What makes it faster: a long document is not tokenised beyond what the model reads (`explorer.models.beginnings`), a batch is as large
as fits the processor's caches or fills a GPU, not 32 texts whatever their length, padding is nearly nothing, and on a CPU batches run
beside each other (`explorer.models.streams`). What makes it the same: every module of the model (transformer, pooling, dense layers,
normalisation) is called as it is; only its tokens are made here. A model whose first module is not a transformer of text with a fast
tokenizer makes its tokens itself. ``benchmarks/embedding.py`` holds it against plain ``encode``.

In half precision only the transformer's weights are halved; token vectors are pooled and projected in float32.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from explorer.embeddings.encoders import shortened, unit
from explorer.errors import ModelError
from explorer.models import batching
from explorer.models.beginnings import CHARS_A_TOKEN, beginning, first_tokens, groups
from explorer.models.device import Device
from explorer.models.streams import streams

BUDGET = {"cpu": 1024, "cuda": 65_536, "mps": 8192}  # padded tokens of a batch; measured for the CPU, see the benchmark
MULTIPLE = {"cpu": 1, "cuda": 8, "mps": 8}  # tokens that a batch is padded to
WINDOW, FIRST_WINDOW = 4096, 512  # texts sorted by length together; the first are few so that computing begins at once
MOST_ROWS = 8192  # texts of a batch
DEFAULT_LENGTH = 512  # tokens at once where a model's configuration sets no limit
DOCUMENTS, QUERIES = ("document", "passage", "corpus"), ("query",)  # names of prompts, in sentence-transformers' order


class SentenceEncoder:
    """An `explorer.embeddings.encoders.Encoder` over a sentence-transformers folder, or a transformer that is to be mean-pooled.

    Attributes:
        model: the ``SentenceTransformer``.
        network: its transformer, None where its first module is something else.
        budget: padded tokens of a batch.

    """

    def __init__(
        self,
        path: str,
        name: str,
        revision: str,
        device: Device,
        dtype: str = "float32",
        *,
        prefix: str | None = None,
        query_prefix: str | None = None,
        pooling: str | None = None,
        dimension: int | None = None,
        max_length: int | None = None,
    ) -> None:
        self.name, self.revision, self.device = name, revision, device
        self.model = model = _model(path, name, device)
        first = model[0]
        self._tokens = _tokenizer(first)
        self.network = None if self._tokens is None else _network(first)
        self._poolings = [m for m in model if type(m).__name__ == "Pooling"]
        if pooling is not None:
            _pool(self._poolings, pooling, name)
        self.prefix = _prompt(model, DOCUMENTS) if prefix is None else prefix
        self.query_prefix = _prompt(model, QUERIES) if query_prefix is None else query_prefix
        self.max_length = self._longest(max_length)
        for weight in first.parameters():
            if weight.is_floating_point():  # buffers stay as they are: rotary frequencies need float32
                weight.data = weight.data.to(_torch_dtype(dtype))
        for module in list(model)[1:]:
            module.float()
        self.budget = BUDGET[device.kind]
        said = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension  # its name before 6.0
        self._cut = dimension
        self.dimension = shortened(name, int(said() or self._raw(self._prepare(["a"], "")).shape[1]), dimension)
        self.about: dict[str, Any] = {
            "model": name,
            "revision": revision,
            "dimension": self.dimension,
            "max_length": self.max_length,
            "prefix": self.prefix,
            "query_prefix": self.query_prefix,
            "pooling": [_mode(m) for m in self._poolings] or None,
            "modules": [type(m).__name__ for m in model],
            "dtype": dtype,
        }

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [n, d], unit length."""
        return self._vectors(texts, self.prefix)

    def encode_query(self, text: str) -> np.ndarray:
        """float32 [d]: a query, with the model's prefix for queries."""
        return self._vectors([text], self.query_prefix)[0]

    def vocabulary(self) -> tuple[Any, np.ndarray]:
        """The tokenizer, and the model's vector of each of its tokens by itself, float32 [v, whole dimension].

        Raises:
            ModelError: the model makes its tokens itself.

        """
        if self._tokens is None:
            raise ModelError(f"Model {self.name!r} has no fast tokenizer, so its tokens have no vectors of their own. Name another model.")
        before, after = self._frame
        size = self._tokens.get_vocab_size()
        pieces = [np.stack([np.concatenate([before, [t], after]), np.zeros(len(before) + len(after) + 1, np.int64)]) for t in range(size)]
        return self._tokens, self._raw(pieces)

    def tokens(self, texts: Sequence[str], most: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The first ``most`` tokens of each text, special ones left out: ids int64 [t], and the character that each begins with.

        Raises:
            ModelError: the model makes its tokens itself.

        """
        if self._tokens is None:
            raise ModelError(f"Model {self.name!r} has no fast tokenizer, so its tokens cannot be told apart. Name another model.")
        parts = {i: beginning(text, CHARS_A_TOKEN * most) for i, text in enumerate(texts)}
        each = groups(range(len(texts)), parts)
        found = [e for group in each for e in self._tokens.encode_batch([parts[i] for i in group], add_special_tokens=False)]
        return [(np.array(e.ids[:most], np.int64), np.array([a for a, _ in e.offsets[:most]], np.int64)) for e in found]

    def states(self, pieces: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The transformer's last hidden state of each token, float32 [t, d] a piece.

        Args:
            pieces: ids of consecutive tokens, at most `room` of them; each piece is framed with special tokens, which have no state here.

        """
        from explorer.models.extra import torch

        before, after = self._frame
        framed = [
            np.stack([np.concatenate([before, ids, after]), np.zeros(len(before) + len(ids) + len(after), np.int64)]) for ids in pieces
        ]

        def forward(places: np.ndarray) -> Any:
            with torch.inference_mode():
                features = self._features([framed[i] for i in places.tolist()])
                return places, self.model[0](features)["token_embeddings"].float()

        def split(begun: Any) -> np.ndarray:
            places, states = begun.result() if hasattr(begun, "result") else begun
            values = states.cpu().numpy()
            out = np.empty(len(places), object)
            for row, i in enumerate(places.tolist()):
                out[row] = values[row, len(before) : len(before) + len(pieces[i])]
            return out

        lengths = [p.shape[1] for p in framed]
        if self.device.kind != "cpu":
            return list(batching.run(lengths, forward, self.budget, MOST_ROWS, finish=split, multiple=MULTIPLE[self.device.kind]))
        pool, n = streams()
        budget = max(64, min(self.budget, -(-sum(lengths) // n)))
        return list(batching.run(lengths, lambda places: pool.submit(forward, places), budget, finish=split, ahead=n))

    @property
    def room(self) -> int:
        """Tokens of text that the transformer sees at once."""
        before, after = self._frame
        return (self.max_length or DEFAULT_LENGTH) - len(before) - len(after)

    @cached_property
    def _frame(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the special tokens that stand before and after a text."""
        like = self._tokens.encode("a")
        special = np.array(like.special_tokens_mask, bool)
        ids = np.array(like.ids, np.int64)
        return ids[: int(special.argmin())], ids[len(ids) - int(special[::-1].argmin()) :]

    def _vectors(self, texts: Sequence[str], prefix: str) -> np.ndarray:
        """Vectors in the order of the texts; the next window's tokens are made while one is computed."""
        result = np.zeros((len(texts), self.dimension), np.float32)
        bounds = [0, *range(FIRST_WINDOW, len(texts), WINDOW), len(texts)]
        windows = [range(a, b) for a, b in pairwise(bounds) if a < b]
        with ThreadPoolExecutor(1, "tokens") as ahead:
            prepared = [ahead.submit(self._prepare, [texts[i] for i in window], prefix) for window in windows[:1]]
            for k, window in enumerate(windows):
                pieces = prepared.pop().result()
                if k + 1 < len(windows):
                    prepared.append(ahead.submit(self._prepare, [texts[i] for i in windows[k + 1]], prefix))
                result[window.start : window.stop] = unit(self._raw(pieces, prefix), self._cut)
        return result

    def _prepare(self, texts: Sequence[str], prefix: str) -> list[Any]:
        """For each text its token ids [2, t] with their types, or the text and its length where the model makes its tokens itself."""
        whole = [prefix + text for text in texts] if prefix else list(texts)
        # the tokenizer takes no lone surrogate
        whole = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in whole]
        if self._tokens is None:
            return [(text, len(text) // 4 + 1) for text in whole]
        return [np.array([e.ids, e.type_ids], np.int64) for e in first_tokens(self._tokens, whole, self.max_length)]

    def _raw(self, pieces: Sequence[Any], prefix: str = "") -> np.ndarray:
        """The model's own vectors, float32 [n, whole dimension]."""
        from explorer.models.extra import torch

        lengths = [min(p[1], self.max_length or p[1]) if self._tokens is None else p.shape[1] for p in pieces]
        skipped = self._prompt_tokens(prefix)

        def forward(places: np.ndarray) -> Any:
            with torch.inference_mode():
                chosen = [pieces[i] for i in places.tolist()]
                features = self._features(chosen) if self._tokens is not None else self._own_features([p[0] for p in chosen])
                if skipped:
                    features["prompt_length"] = skipped
                for module in self.model:
                    features = module(features)
                    if "token_embeddings" in features:
                        features["token_embeddings"] = features["token_embeddings"].float()
                return features["sentence_embedding"].float()

        multiple = MULTIPLE[self.device.kind]
        if self.device.kind != "cpu":
            finish = _fetched
            return batching.run(lengths, forward, self.budget, MOST_ROWS, finish=finish, multiple=multiple)
        pool, n = streams()
        return batching.run(
            lengths,
            lambda places: pool.submit(forward, places),
            # few texts are divided among the streams too
            max(64, min(self.budget, -(-sum(lengths) // n))),
            finish=lambda future: future.result().numpy(),
            ahead=n,
        )

    def _features(self, pieces: Sequence[np.ndarray]) -> dict[str, Any]:
        """Token ids of a batch, padded on the right."""
        from explorer.models.extra import torch

        multiple = MULTIPLE[self.device.kind]
        longest = -(-max(p.shape[1] for p in pieces) // multiple) * multiple
        longest = max(1, min(longest, self.max_length or longest))
        ids = np.full((len(pieces), longest), self._padding, np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        for row, piece in enumerate(pieces):
            n = piece.shape[1]
            ids[row, :n], types[row, :n], mask[row, :n] = piece[0], piece[1], 1
        arrays = {"input_ids": ids, "attention_mask": mask} | ({"token_type_ids": types} if self._types else {})
        return {name: self._there(torch.from_numpy(array)) for name, array in arrays.items()}

    def _own_features(self, texts: list[str]) -> dict[str, Any]:
        """What the model's first module makes of texts."""
        make = getattr(self.model, "preprocess", None) or self.model.tokenize
        return {name: self._there(value) if hasattr(value, "to") else value for name, value in make(texts).items()}

    def _there(self, tensor: Any) -> Any:
        if self.device.kind == "cuda":
            return tensor.pin_memory().to(self.device.name, non_blocking=True)
        return tensor.to(self.device.name)

    def _prompt_tokens(self, prefix: str) -> int:
        """Tokens of the prefix that a model leaves out of its pooling (INSTRUCTOR does); 0 where it pools over all."""
        if not prefix or self._tokens is None or all(getattr(m, "include_prompt", True) for m in self._poolings):
            return 0
        encoding = first_tokens(self._tokens, [prefix], None)[0]
        return len(encoding) - int(bool(len(encoding)) and encoding.special_tokens_mask[-1])

    @property
    def _types(self) -> bool:
        return "token_type_ids" in self.model[0].tokenizer.model_input_names

    @property
    def _padding(self) -> int:
        pad = self.model[0].tokenizer.pad_token_id
        return 0 if pad is None else int(pad)  # behind the mask, whatever it is

    def _longest(self, asked: int | None) -> int | None:
        """Tokens read of a text: those asked for, else those that the model's configuration says; None for all."""
        said = self.model[0].max_seq_length if hasattr(self.model[0], "max_seq_length") else None
        said = int(said) if said is not None and 0 < said < 10**9 else None
        if self._tokens is None:
            if asked is not None:
                raise ModelError(f"Model {self.name!r} cuts its texts itself, at {said or 'no'} tokens. Leave max_length out.")
            return said
        most = _table(self.network)
        special = self._tokens.num_special_tokens_to_add(False)
        if asked is not None and (asked <= special or (most is not None and asked > most)):
            raise ModelError(
                f"Model {self.name!r} cannot read {asked:,} tokens at once. It takes at least {special + 1:,}{f' and at most {most:,}' if most else ''}, special tokens among them. "
                "Choose a number among them."
            )
        return asked or min((n for n in (said, most) if n is not None), default=None)


def _model(path: str, name: str, device: Device) -> Any:
    from explorer.models.extra import sentence_transformers

    with _quiet():
        try:
            model = sentence_transformers.SentenceTransformer(
                path, device=device.name, trust_remote_code=False, local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError) as error:
            if batching.out_of_memory(error):
                raise
            line = next((x.strip() for x in str(error).splitlines() if x.strip()), type(error).__name__)
            raise ModelError(
                f"Model {name!r} cannot be loaded as an encoder ({line}). It is a folder of sentence-transformers, transformers or model2vec with safetensors weights; "
                "a model that needs code of its own is not run. Name another model."
            ) from error
    return model.eval()


def _tokenizer(first: Any) -> Any:
    """The fast tokenizer of a transformer of text, without truncation and padding; None where the model has to make its own tokens."""
    tokenizer = getattr(first, "tokenizer", None)
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if type(first).__name__ != "Transformer" or tokenizer is None or fast is None or tokenizer.truncation_side != "right":
        return None
    if "message" in getattr(first, "modality_config", {}) or getattr(first, "query_expansion", None) is not None:
        return None  # texts go through a chat template, or queries are filled up
    if getattr(first, "do_lower_case", False) and "Lowercase" not in str(fast.normalizer):
        return None
    fast.no_truncation()
    fast.no_padding()
    return fast


def _network(first: Any) -> Any:
    return getattr(first, "model", None) or first.auto_model


def _table(network: Any) -> int | None:
    """Rows of a transformer's table of positions (RoBERTa's begins after the padding), else the length its configuration names."""
    for name, module in network.named_modules():
        if name.endswith(("position_embeddings", "wpe")) and hasattr(module, "num_embeddings"):
            taken = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings - taken)
    limit = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return int(limit) if limit and 0 < limit < 10**9 else None


def _pool(poolings: Sequence[Any], wanted: str, name: str) -> None:
    if len(poolings) != 1:
        raise ModelError(f"Model {name!r} has {len(poolings)} pooling layers. One can be replaced. Leave pooling out.")
    module = poolings[0]
    if hasattr(module, "pooling_mode"):
        before = module.pooling_output_dimension
        module.pooling_mode = wanted
        module.pooling_output_dimension = getattr(module, "embedding_dimension", before)
        if module.pooling_output_dimension != before:
            raise ModelError(
                f"Model {name!r} joins {_mode(module)} poolings of {before:,} numbers. One alone gives fewer. Leave pooling out."
            )
        return
    for mode in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"):
        setattr(module, f"pooling_mode_{mode}", mode.split("_")[0] == wanted and "sqrt" not in mode)


def _mode(pooling: Any) -> str:
    mode = getattr(pooling, "pooling_mode", None) or pooling.get_pooling_mode_str()
    return mode if isinstance(mode, str) else "+".join(mode)


def _prompt(model: Any, names: Sequence[str]) -> str:
    """The prompt that a model's configuration has for documents or queries; where it leaves one empty the next name counts."""
    prompts = getattr(model, "prompts", None) or {}
    return next((prompts[name] for name in (*names, getattr(model, "default_prompt_name", None)) if prompts.get(name)), "")


def _torch_dtype(name: str) -> Any:
    from explorer.models.extra import torch

    return getattr(torch, name)


def _fetched(tensor: Any) -> np.ndarray:
    return tensor.cpu().numpy()


@contextmanager
def _quiet() -> Iterator[None]:
    """No bar of loading and no word about a pooling that was added."""
    from explorer.models.extra import transformers

    said = transformers.utils.logging
    level, bars = said.get_verbosity(), said.is_progress_bar_enabled()
    own = logging.getLogger("sentence_transformers")
    before = own.level
    said.set_verbosity_error()
    said.disable_progress_bar()
    own.setLevel(logging.ERROR)
    try:
        yield
    finally:
        said.set_verbosity(level)
        own.setLevel(before)
        if bars:
            said.enable_progress_bar()
