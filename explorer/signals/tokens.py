"""Exact token counts with the tokenizer of the model to be trained."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

# What is encoded in one call: enough for every core, little enough that the encodings (some 500 bytes a token) fit anywhere.
CHUNK_CHARS = 1_000_000

_NEXT = "Set tokenizer to a tokenizer.json, to a folder that holds one, or to a Hugging Face id such as 'EleutherAI/gpt-neox-20b'."


def load_tokenizer(tokenizer: str | None) -> Any:
    """A ``tokenizers.Tokenizer`` that neither truncates nor pads.

    Args:
        tokenizer: path of a tokenizer.json, of a folder that holds one, or an id on the Hugging Face hub.

    Raises:
        SignalError: nothing was given, the file is missing or malformed, or the hub cannot give it.
    """
    if not tokenizer:
        raise SignalError(
            f"No tokenizer was given (tokenizer is {tokenizer!r}). Token counts depend on it, so there is no default. {_NEXT}"
        )
    path = Path(tokenizer).expanduser()
    if path.is_dir():
        path /= "tokenizer.json"
        if not path.is_file():
            raise SignalError(f"Folder {tokenizer!r} holds no tokenizer.json. {_NEXT}")
    if path.is_file():
        return _from_file(str(path), path.stat().st_mtime_ns)
    if path.suffix == ".json" or path.is_absolute() or tokenizer.startswith((".", "~")):
        raise SignalError(f"Tokenizer file {tokenizer!r} does not exist. {_NEXT}")
    return _from_hub(tokenizer)


def _whole(tokenizer: Any) -> Any:
    """Without the truncation and padding that sentence encoders store in their tokenizer.json."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@lru_cache(maxsize=4)
def _from_file(path: str, modified: int) -> Any:
    from tokenizers import Tokenizer

    try:
        return _whole(Tokenizer.from_file(path))
    except Exception as error:  # the binding raises bare Exception
        raise SignalError(
            f"Tokenizer file {path!r} cannot be read ({error}). It has to be a tokenizer.json of the tokenizers library. {_NEXT}"
        ) from error


@lru_cache(maxsize=4)
def _from_hub(name: str) -> Any:
    from tokenizers import Tokenizer

    try:
        return _whole(Tokenizer.from_pretrained(name))
    except Exception as error:  # the binding raises bare Exception
        raise SignalError(
            f"Tokenizer {name!r} is no local path and could not be loaded from the Hugging Face hub ({error}). "
            "Download its tokenizer.json where the hub can be reached. Then set tokenizer to that file."
        ) from error


@family(
    version=1,
    source="Hugging Face tokenizers, encode without special tokens",
    signals=[
        Signal(
            "n_tokens",
            "tokens",
            "Number of tokens of the text by the given tokenizer, without special tokens, truncation or padding.",
            "two_sided",
            (0, None),
            "int64",
            "Counts of different tokenizers cannot be compared; trainers add an end-of-document token for each document.",
        )
    ],
)
def tokens(batch: Batch, *, tokenizer: str | None = None) -> Columns:
    """Number of tokens of a document, exactly as the given tokenizer counts them.

    A document is always encoded in one piece, so that no token is cut at a seam; the batch is encoded in chunks of at most
    about a million characters (or one longer document) to bound memory, which is some 100 bytes a byte of text. Invalid UTF-8 is read as U+FFFD.

    Args:
        batch: documents.
        tokenizer: required: path of a tokenizer.json, of a folder that holds one, or an id on the Hugging Face hub.

    Returns:
        int64, 0 for the empty text.

    Raises:
        SignalError: no tokenizer was given, or it cannot be loaded.
    """
    encode = load_tokenizer(tokenizer).encode_batch_fast
    texts = [text or "" for text in batch.texts()]
    counts = np.zeros(len(texts), np.int64)
    first = 0
    while first < len(texts):
        stop, size = first, 0
        while stop < len(texts) and (stop == first or size + len(texts[stop]) <= CHUNK_CHARS):
            size += len(texts[stop])
            stop += 1
        counts[first:stop] = [len(encoding) for encoding in encode(texts[first:stop], add_special_tokens=False)]
        first = stop
    return {"n_tokens": counts}
