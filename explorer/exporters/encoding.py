"""The tokenizer of an export: which ids its texts become, what ends a document, and how many bytes an id takes.

Ids are those of `explorer.signals.tokens`, so that an export holds the tokens that the manifest counted: no special tokens, no
truncation. The end-of-document token is appended to every document, the empty ones included, unless it is turned off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.errors import ExportError
from explorer.manifest.model import Manifest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

AUTO = "auto"
# Asked for in this order where the tokenizer's own configuration names no end of text.
ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "<|eot_id|>")


@dataclass(frozen=True)
class Encoder:
    """A tokenizer as an export uses it.

    Attributes:
        name: as it was asked for.
        tokenizer: a ``tokenizers.Tokenizer``.
        end: id that ends a document; None where none is appended.
        end_token: its text.
        vocabulary: the highest id + 1.
        fingerprint: sha256 of the tokenizer and the end, so that the same one gives the same tokens.

    """

    name: str
    tokenizer: Tokenizer
    end: int | None
    end_token: str
    vocabulary: int
    fingerprint: str

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """uint16 where every id fits, else uint32."""
        return np.dtype(np.uint16 if self.vocabulary <= 1 << 16 else np.uint32)

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of all texts, one after another, [m], and how many each has, int64 [n]; the end of a document is among them."""
        found = [e.ids for e in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        if self.end is not None:
            for ids in found:
                ids.append(self.end)
        lengths = np.fromiter(map(len, found), np.int64, len(found))
        return np.fromiter(chain.from_iterable(found), self.dtype, int(lengths.sum())), lengths


def encoder(manifest: Manifest, tokenizer: str | None, end: str | int | None) -> Encoder | None:
    """The tokenizer that was asked for, else the manifest's; None where neither names one.

    Args:
        manifest: whose tokenizer is used where none is given.
        tokenizer: path of a tokenizer.json, of a folder that holds one, or an id on the Hugging Face hub.
        end: id or text of the token that ends a document; ``auto`` finds it, None appends nothing.

    Raises:
        SignalError: the tokenizer cannot be loaded.
        ExportError: the end of a document is not a token of it, or cannot be found.

    """
    from explorer.signals.tokens import load_tokenizer

    name = tokenizer or manifest.tokenizer.model
    if name is None:
        return None
    loaded = load_tokenizer(name)
    known = loaded.get_vocab(with_added_tokens=True)
    number = _end(loaded, name, known, end)
    seen = hashlib.sha256(f"{number}:".encode() + loaded.to_str().encode()).hexdigest()
    text = next((t for t, i in known.items() if i == number), "")
    return Encoder(name, loaded, number, text, max(known.values(), default=0) + 1, seen)


def _end(loaded: Tokenizer, name: str, known: dict[str, int], end: str | int | None) -> int | None:
    if end is None or end == "none":
        return None
    if isinstance(end, int) and not isinstance(end, bool):
        if end not in known.values():
            raise ExportError(f"eos is {end}. The tokenizer {name!r} has no such id. Give one of its ids or tokens: -o eos=TOKEN")
        return end
    if not isinstance(end, str):
        raise ExportError(
            f"eos is {end!r}. It is a token, an id or none. On the command line put a token with brackets in quotes: -o 'eos=\"[SEP]\"'"
        )
    if end != AUTO:
        if end not in known:
            raise ExportError(f"eos is {end!r}. The tokenizer {name!r} has no such token. Give one of its tokens or an id: -o eos=TOKEN")
        return known[end]
    said = _configured(name)
    found = next((known[t] for t in ([said] if said else ENDS) if t in known), None)
    if found is None:
        raise ExportError(
            f"The tokenizer {name!r} does not say which token ends a document. Trainers tell documents apart by it. Name it, or append none: -o eos=TOKEN or -o eos=none"
        )
    return found


def _configured(name: str) -> str | None:
    """``eos_token`` of the tokenizer_config.json beside a local tokenizer."""
    path = Path(name).expanduser()
    file = (path if path.is_dir() else path.parent) / "tokenizer_config.json"
    if not path.exists() or not file.is_file():
        return None
    try:
        said = json.loads(file.read_text(encoding="utf-8")).get("eos_token")
    except (OSError, ValueError, AttributeError) as error:
        raise ExportError(f"{str(file)!r} cannot be read: {error}. Mend it, or name the end of a document: -o eos=TOKEN") from error
    return said.get("content") if isinstance(said, dict) else said
