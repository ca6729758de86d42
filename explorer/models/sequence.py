"""Models with a classification or regression head: one loader and one batched forward pass for all raters.

Weights are safetensors unless the user says otherwise, no code of a model's repository is run, and a checkpoint without a trained
head is refused (transformers would draw a random one). A text's answer does not depend on its neighbours: padding is masked exactly.
On the CPU everything is float32. On a GPU the network runs in the device's fast half precision and the head in float32, so that
scores are not rounded to the 8 bits of bfloat16.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np

from explorer.errors import ModelError
from explorer.models import batching
from explorer.models import device as devices
from explorer.models.hub import PICKLED, resolve
from explorer.primitives.batch import Batch

Problem = Literal["regression", "single_label_classification", "multi_label_classification"]
DTYPES = ("auto", "float32", "bfloat16", "float16")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
BUDGET = {"cpu": 4096, "cuda": 65_536, "mps": 8192}  # padded tokens of a batch; halved where the device has no memory for them

CHARS_AT_ONCE = 1_000_000  # encoded in one call: enough for every core, little enough that the encodings fit anywhere
CHARS_A_TOKEN = 8  # of a text's beginning that is encoded first when only so many tokens are wanted
SLACK = 32  # tokens before a cut that are not trusted

_WORD_END = re.compile(r"(?<=\S)(?=\s)")


@dataclass(frozen=True)
class Chunks:
    """Outputs for consecutive pieces of texts.

    Attributes:
        logits: float32 [m, k], one row a piece.
        document: int64 [m], which text a piece is of, ascending.
        tokens: int64 [m], tokens of the text in a piece.
        n: number of texts.

    """

    logits: np.ndarray
    document: np.ndarray
    tokens: np.ndarray
    n: int

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over a text's pieces weighted by their tokens, float32 [n, k]; NaN for a text without tokens."""
        total = np.zeros((self.n, values.shape[1]))
        np.add.at(total, self.document, values.astype(np.float64) * self.tokens[:, None])
        weight = np.bincount(self.document, self.tokens, self.n)
        return np.divide(total, weight[:, None], out=np.full(total.shape, np.nan), where=weight[:, None] > 0).astype(np.float32)

    def highest(self, values: np.ndarray) -> np.ndarray:
        """Highest value of a text's pieces, float32 [n, k]; NaN for a text without tokens."""
        best = np.full((self.n, values.shape[1]), -np.inf, np.float32)
        np.maximum.at(best, self.document, values)
        best[np.bincount(self.document, minlength=self.n) == 0] = np.nan
        return best


class Classifier:
    """A model with a head, its tokenizer, and what its configuration says of its outputs.

    Attributes:
        network: the transformers model, on its device, in evaluation mode.
        name: what the user called it.
        labels: name of each output, in order.
        problem: what the outputs mean, by the configuration (one output is a regression).
        longest: tokens that the model can take, special ones among them; None where it sets no limit.
        device: what it runs on.
        dtype: of the network's weights; the head's are float32.

    """

    def __init__(self, network: Any, tokenizer: Any, name: str, device: devices.Device, dtype: str) -> None:
        config = network.config
        self.network, self.name, self.device, self.dtype = network, name, device, dtype
        self.labels = tuple(str(config.id2label[i]) for i in range(config.num_labels))
        self.problem: Problem = config.problem_type or ("regression" if config.num_labels == 1 else "single_label_classification")
        self.longest = _longest(network, tokenizer)
        self._tokens = tokenizer.backend_tokenizer
        self._tokens.no_truncation()
        self._tokens.no_padding()
        self._left = tokenizer.truncation_side == "left"
        self._types = "token_type_ids" in tokenizer.model_input_names
        self._text_config = config.get_text_config()
        self._pad = self._text_config.pad_token_id
        self._lock = threading.Lock()

    def logits(self, texts: Sequence[str], *, max_length: int | None = None, special_tokens: bool = True) -> np.ndarray:
        """Outputs for the beginning of each text.

        Args:
            texts: n documents.
            max_length: tokens that are read, special ones among them; by default as many as the model can take.
            special_tokens: whether the tokenizer frames a text as it does by default ([CLS] … [SEP], <s> …).

        Returns:
            float32 [n, k]; NaN for a text without tokens, and where the model gives no finite number.

        Raises:
            ModelError: max_length is more than the model can take, or the device has no memory for one text.

        """
        pieces = [first for first, *_ in self.encode(texts, self.checked(max_length), special_tokens=special_tokens)]
        return self.run(pieces, _logits)

    def chunks(self, texts: Sequence[str], *, length: int, special_tokens: bool = True) -> Chunks:
        """Outputs for consecutive pieces that together are the whole of each text.

        Args:
            texts: n documents.
            length: tokens of a piece, special ones among them; the last piece of a text may be shorter.
            special_tokens: whether each piece is framed as a text of its own.
        """
        size = self.checked(length)
        assert size is not None
        cut = self.encode(texts, size, special_tokens=special_tokens, whole=True)
        document = np.repeat(np.arange(len(cut)), [sum(p.text > 0 for p in pieces) for pieces in cut])
        flat = [piece for pieces in cut for piece in pieces if piece.text]
        return Chunks(self.run(flat, _logits), document, np.array([p.text for p in flat], np.int64), len(texts))

    @property
    def framing(self) -> int:
        """Special tokens that frame two texts read together."""
        return int(self._tokens.num_special_tokens_to_add(True))

    def sizes(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones not among them."""
        return [len(encoding) for encoding in self._tokens.encode_batch_fast(list(texts), add_special_tokens=False)]

    def pairs(self, first: Sequence[str], second: Sequence[str], *, max_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Outputs for pairs of texts that the model reads together, framed as the tokenizer frames a pair.

        Args:
            first: n texts, such as premises.
            second: n texts, such as hypotheses.
            max_length: tokens that are read, special ones among them. Where both are longer the second text loses its end beyond half of
                them, then the first.

        Returns:
            float32 [n, k], NaN for a pair without tokens; bool [n], whether a text lost its end.

        Raises:
            ModelError: max_length is more than the model can take, or leaves no token for each text.

        """
        self.checked(max_length)
        room = max_length - self.framing
        if room < 2:
            raise ModelError(
                f"Model {self.name!r} cannot read two texts in {max_length:,} tokens. {self.framing} special ones frame a pair. Choose {self.framing + 2} or more."
            )
        pieces, cut = [], np.zeros(len(first), bool)
        for i, (one, other) in enumerate(zip(first, second, strict=True)):
            a, b = (self._tokens.encode(text, add_special_tokens=False) for text in (one, other))
            whole = len(a) + len(b)
            if whole > room:
                b.truncate(max(room // 2, room - len(a)))
                a.truncate(room - len(b))
            framed = self._tokens.post_process(a, b, add_special_tokens=True)
            pieces.append(Piece(np.array(framed.ids, np.int32), np.array(framed.type_ids, np.int32), len(a) + len(b)))
            cut[i] = whole > room
        return self.run(pieces, _logits), cut

    def checked(self, max_length: int | None) -> int | None:
        """A number of tokens that the model can take."""
        if max_length is None:
            return self.longest
        most = "" if self.longest is None else f" and at most {self.longest:,}"
        special = self._tokens.num_special_tokens_to_add(False)
        if max_length <= special or (self.longest is not None and max_length > self.longest):
            raise ModelError(
                f"Model {self.name!r} cannot read {max_length:,} tokens at once. It takes at least {special + 1}{most}, special tokens among them. "
                "Choose a number among them."
            )
        return max_length

    def encode(self, texts: Sequence[str], length: int | None, *, special_tokens: bool = True, whole: bool = False) -> list[list[Piece]]:
        """Token ids of each text, cut into pieces of ``length``: all of them if ``whole``, else the first alone.

        A long text is encoded only as far as needed: up to the end of a word, with tokens to spare (white space divides tokens, so
        those before the last few are the same as if the text had been encoded whole).
        """
        result: list[list[Piece]] = [[] for _ in texts]
        room = None if length is None else length - (self._tokens.num_special_tokens_to_add(False) if special_tokens else 0)
        waiting = list(range(len(texts)))
        most = None if whole or room is None or self._left else CHARS_A_TOKEN * room
        while waiting:
            parts = {i: _beginning(texts[i], most) for i in waiting}
            short = []
            for group in _groups(waiting, parts):
                for i, encoding in zip(
                    group, self._tokens.encode_batch_fast([parts[i] for i in group], add_special_tokens=False), strict=True
                ):
                    if room is not None and len(parts[i]) < len(texts[i]) and len(encoding) < room + SLACK:
                        short.append(i)
                    else:
                        result[i] = self._cut(encoding, room, special_tokens, whole)
            waiting, most = short, most and 4 * most
        return result

    def _cut(self, encoding: Any, room: int | None, special_tokens: bool, whole: bool) -> list[Piece]:
        if room is not None and len(encoding) > room:
            encoding.truncate(room, direction="left" if self._left and not whole else "right")
        cut = []
        for part in [encoding, *encoding.overflowing] if whole else [encoding]:
            n = len(part)
            framed = self._tokens.post_process(part, add_special_tokens=special_tokens)
            cut.append(Piece(np.array(framed.ids, np.int32), np.array(framed.type_ids, np.int32), n))
        return cut

    def run(self, pieces: Sequence[Piece], read: Callable[[Any, dict[str, Any]], Any]) -> np.ndarray:
        """``read(network, inputs)`` over all pieces in batches of like length.

        Args:
            pieces: m token sequences.
            read: a tensor [rows, …] from the network and its inputs (input_ids, attention_mask, token_type_ids where it takes them).

        Returns:
            float32 [m, …] in the order of the pieces; NaN for a piece without tokens of text, and where the answer is not finite.

        """
        from explorer.models.extra import torch

        there = np.flatnonzero([p.text > 0 for p in pieces])
        lengths = np.array([len(pieces[i].ids) for i in there.tolist()], np.int64)

        def forward(places: np.ndarray) -> np.ndarray:
            with self._lock, torch.inference_mode():  # the lock: two pages may ask the same model at once
                return read(self.network, self._inputs([pieces[i] for i in there[places].tolist()])).float().cpu().numpy()

        values = batching.run(lengths, forward, BUDGET[self.device.kind])
        if not len(there):
            return np.full((len(pieces), len(self.labels)), np.nan, np.float32)
        result = np.full((len(pieces), *values.shape[1:]), np.nan, np.float32)
        result[there] = np.where(np.isfinite(values), values, np.nan)
        return result

    def _inputs(self, pieces: Sequence[Piece]) -> dict[str, Any]:
        from explorer.models.extra import torch

        longest = max(len(p.ids) for p in pieces)
        ids = np.full((len(pieces), longest), self._padding(pieces), np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        for row, piece in enumerate(pieces):
            n = len(piece.ids)
            ids[row, :n], types[row, :n], mask[row, :n] = piece.ids, piece.types, 1
        arrays = {"input_ids": ids, "attention_mask": mask} | ({"token_type_ids": types} if self._types else {})
        return {name: torch.from_numpy(array).to(self.device.name) for name, array in arrays.items()}

    def _padding(self, pieces: Sequence[Piece]) -> int:
        """The id that pads a batch.

        Decoders with a head read the last token that is not padding, so a model whose configuration names no padding gets one that
        none of these texts ends with: the last token is then found whatever it is.
        """
        if self._pad is not None:
            return int(self._pad)
        ends = {int(p.ids[-1]) for p in pieces}
        pad = next(i for i in count() if i not in ends)
        self._text_config.pad_token_id = pad
        return pad


@dataclass(frozen=True)
class Piece:
    """Token ids of a text or of a part of it, special tokens among them; ``text`` counts those that are of the text."""

    ids: np.ndarray
    types: np.ndarray
    text: int


def load(model: str, revision: str | None = None, *, pickled: bool = False, dtype: str = "auto") -> Classifier:
    """A model with a classification or regression head; the last two stay in memory.

    Args:
        model: a folder, or a hub id such as "org/name".
        revision: commit, branch or tag of a hub id.
        pickled: whether weights that are not safetensors may be loaded; they can run code.
        dtype: "auto" is float32 on a CPU and the device's fast half precision elsewhere.

    Raises:
        ModelError: it is not on this machine and the hub cannot give it; it has no such head, no tokenizer, or only pickled weights.

    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown. Known: {', '.join(DTYPES)}. Choose one of them.")
    resolved = resolve(model, revision, pickled=pickled)
    device = devices.current()
    chosen = dtype if dtype != "auto" else "float32" if device.kind == "cpu" else device.fast
    with _lock:
        return _loaded(str(resolved.path), resolved.name, resolved.revision, pickled, chosen, device)


_lock = threading.Lock()


@lru_cache(maxsize=2)
def _loaded(path: str, name: str, revision: str, pickled: bool, dtype: str, device: devices.Device) -> Classifier:
    from explorer.models.extra import torch, transformers

    folder = Path(path)
    _check_files(folder, name, pickled)
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    with _quiet():
        try:
            config = transformers.AutoConfig.from_pretrained(path, **options)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"The configuration of {name!r} cannot be used ({_first_line(error)}). A model needs a config.json of an architecture that transformers knows "
                "without code of its own. Name another model, or update transformers."
            ) from error
        try:
            network, report = transformers.AutoModelForSequenceClassification.from_pretrained(
                path,
                config=config,
                dtype=torch.float32,
                use_safetensors=None if pickled else True,
                output_loading_info=True,
                **options,
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            if batching.out_of_memory(error):
                raise
            raise ModelError(
                f"Model {name!r} cannot be loaded as a classifier ({_first_line(error)}). Its architecture is {_architecture(config)}. "
                "Name a model with a sequence-classification or regression head."
            ) from error
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(path, **options)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelError(
                f"The tokenizer of {name!r} cannot be loaded ({_first_line(error)}). Its files lie beside the weights (tokenizer.json). "
                "Copy those of the model it was trained from into its folder."
            ) from error
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"Model {name!r} has no trained head: weights for {', '.join(missing[:3])} are not in its files. Its architecture is {_architecture(config)}. "
            "Name a model with a sequence-classification or regression head."
        )
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ModelError(
            f"The tokenizer of {name!r} has no tokenizer.json. Others are too slow for a corpus. Save it as a fast one with transformers."
        )
    network.config.use_cache = False  # decoders would keep keys and values that nobody reads
    if dtype != "float32":
        _halve(network, getattr(torch, dtype))
    return Classifier(network.to(device.name).eval(), tokenizer, name, device, dtype)


def _check_files(folder: Path, name: str, pickled: bool) -> None:
    if not folder.is_dir():
        raise ModelError(
            f"Model {name!r} is a file. A model is a folder with config.json, a tokenizer and weights. Give the folder that it lies in."
        )
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZERS):
        raise ModelError(  # transformers would make one without a vocabulary
            f"Model {name!r} has no tokenizer in {str(folder)!r}. Its files lie beside the weights: {', '.join(TOKENIZERS)}. "
            "Copy those of the model it was trained from into its folder."
        )
    if any(folder.glob("*.safetensors")):
        return
    others = sorted({p.name for pattern in PICKLED for p in folder.glob(pattern)})
    if others and not pickled:
        raise ModelError(
            f"Model {name!r} has no safetensors weights, only {', '.join(map(repr, others[:3]))}. Pickled weights can run code when they are loaded. "
            "If you trust them, say pickled=true."
        )
    if not others:
        raise ModelError(
            f"Model {name!r} has no weights in {str(folder)!r}. A model is a folder with config.json, a tokenizer and *.safetensors; a hub repository that has "
            "pickled weights alone needs pickled=true. Complete the folder, or say so if you trust them."
        )


def _longest(network: Any, tokenizer: Any) -> int | None:
    """Tokens the model can take: rows of its position table (RoBERTa's begins after the padding), else what the configuration says."""
    for name, module in network.named_modules():
        if name.endswith(("position_embeddings", "wpe")) and hasattr(module, "num_embeddings"):
            taken = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings - taken)
    limits = [getattr(network.config.get_text_config(), "max_position_embeddings", None), tokenizer.model_max_length]
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < 10**9]
    return min(known, default=None)


def _halve(network: Any, dtype: Any) -> None:
    """Let all but the head compute in half precision, which would give scores in steps of a hundredth.

    Buffers stay as they are: rotary frequencies need float32.
    """
    from explorer.models.extra import torch

    inside = {id(module) for module in network.base_model.modules()}
    outputs = network.config.num_labels
    linear = [m for m in network.modules() if isinstance(m, torch.nn.Linear) and id(m) not in inside and m.out_features == outputs]
    kept = {id(weight) for head in linear[-1:] for weight in head.parameters()}
    for weight in network.parameters():
        if id(weight) not in kept:
            weight.data = weight.data.to(dtype)
    for head in linear[-1:]:
        head.register_forward_pre_hook(lambda module, inputs: tuple(x.float() for x in inputs))


def _logits(network: Any, inputs: dict[str, Any]) -> Any:
    return network(**inputs).logits


def judged(batch: Batch) -> tuple[np.ndarray, list[str]]:
    """Places and texts of the documents that can be judged: neither null nor blank."""
    texts = batch.texts()
    places = np.array([i for i, text in enumerate(texts) if text is not None and not text.isspace() and text], np.int64)
    return places, [texts[i] or "" for i in places]


def placed(values: np.ndarray, places: np.ndarray, n: int) -> np.ndarray:
    """Values of the judged documents [m, …] among all n, float32; NaN elsewhere."""
    result = np.full((n, *values.shape[1:]), np.nan, np.float32)
    result[places] = values
    return result


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of exclusive classes, float64 [n, k]."""
    raised = np.exp(logits.astype(np.float64) - np.max(logits, axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of classes of which several may hold, float64 [n, k]."""
    return 0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))  # does not overflow


def expect_outputs(classifier: Classifier, outputs: int, of: str) -> None:
    """Refuse a model whose head is not the one that a rater is known by."""
    if len(classifier.labels) != outputs:
        raise ModelError(
            f"Model {classifier.name!r} has {len(classifier.labels)} outputs ({', '.join(map(repr, classifier.labels[:8]))}). {of} has {outputs}. "
            "Name such a model; the family 'classifier' takes any."
        )


def _beginning(text: str, most: int | None) -> str:
    """At least ``most`` characters of a text, up to the end of a word."""
    if most is None or len(text) <= most:
        return text
    end = _WORD_END.search(text, most)
    return text if end is None else text[: end.start()]


def _groups(order: Sequence[int], parts: dict[int, str]) -> Iterator[list[int]]:
    """Texts of together about a million characters."""
    group: list[int] = []
    size = 0
    for i in order:
        if group and size + len(parts[i]) > CHARS_AT_ONCE:
            yield group
            group, size = [], 0
        group.append(i)
        size += len(parts[i])
    if group:
        yield group


def _architecture(config: Any) -> str:
    return ", ".join(getattr(config, "architectures", None) or []) or f"not named (model_type {getattr(config, 'model_type', '')!r})"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bars and tables: what is wrong is said by our own errors."""
    from transformers.utils import logging as chatter

    bars, level = chatter.is_progress_bar_enabled(), chatter.get_verbosity()
    chatter.disable_progress_bar()
    chatter.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        chatter.set_verbosity(level)
        if bars:
            chatter.enable_progress_bar()
