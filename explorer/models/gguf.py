"""GGUF weights, converted once to a folder that transformers loads in seconds.

A quantised file stays what it is: SmolLM2-135M-Instruct in Q4_1 is not the released bf16 model, and its losses differ a little from it.
The converted folder holds exactly the numbers that the quantised blocks stand for, as float32.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from explorer.errors import MissingExtraError, ModelError
from explorer.models.hub import cache_folder
from explorer.registry import content

VERSION = 1  # rises when the same file would be converted to something else
ABANDONED = 3600.0  # seconds after which a half-written conversion belongs to a process that was killed

# Tokenizers that take digits one by one before byte-pair encoding ("tokenizer.ggml.pre"), which transformers does not read from
# the file: without it, runs of spaces before a number are cut otherwise than in training. The list is llama.cpp's.
SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")


def converted(path: str | os.PathLike[str]) -> Path:
    """Folder with the model of a GGUF file as safetensors, its configuration and its tokenizer.

    It is written once into `explorer.models.hub.cache_folder`, under the file's name and hash, and appears there whole or not at all.

    Args:
        path: a ``.gguf`` file.

    Raises:
        ModelError: the file is not there, is no GGUF file, or holds an architecture that transformers does not know.
        MissingExtraError: a package that reads GGUF files is not installed.

    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise ModelError(f"GGUF file {str(path)!r} does not exist. It is one file that ends in .gguf. Check the path.")
    with file.open("rb") as raw:
        if raw.read(4) != b"GGUF":
            raise ModelError(
                f"{str(path)!r} is no GGUF file: it does not begin with 'GGUF'. It may be cut short. Copy or download it again."
            )
    target = cache_folder() / "gguf" / f"{file.stem}-{content(str(file))}-{VERSION}"
    if target.is_dir():
        return target
    _clear(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}-{time.time_ns()}")
    started = time.monotonic()
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise ModelError(
            f"{file.name} cannot be converted: {partial.parent} cannot be written ({error.strerror}). Set EXPLORER_CACHE to a folder that can."
        ) from error
    try:
        with _telling(f"converting {file.name} once (half a minute or so for 135 million parameters) …"):
            _convert(file, partial)
        partial.rename(target)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and target.is_dir():
            return target  # another process was faster
        if isinstance(error, OSError):
            raise ModelError(
                f"{file.name} could not be converted into {target.parent}: {error}. Free some space, or set EXPLORER_CACHE."
            ) from error
        raise
    print(f"converted {file.name} in {time.monotonic() - started:.0f} s: {target}", file=sys.stderr)
    return target


def _convert(file: Path, folder: Path) -> None:
    from explorer.models.extra import gguf, torch, transformers

    if find_spec("accelerate") is None:
        raise MissingExtraError("accelerate", "to read GGUF weights", "models")
    try:
        with quiet(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                file.parent, gguf_file=file.name, dtype=torch.float32, **_dequantized(transformers)
            )
    except (ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise ModelError(
            f"{file.name} cannot be read as a language model: {error}. Architectures that transformers reads from GGUF work. "
            "Use the model's safetensors folder instead."
        ) from error
    # transformers takes the weights for packed ones, even where it has unpacked them, and would refuse to write them
    for holder, name in ((model, "hf_quantizer"), (model.config, "quantization_config")):
        if hasattr(holder, name):
            delattr(holder, name)
    model.is_quantized = False
    pre = gguf.GGUFReader(str(file)).fields.get("tokenizer.ggml.pre")
    if pre is not None and pre.contents() in SINGLE_DIGITS:
        from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

        tokenizer.backend_tokenizer.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    with quiet(transformers):
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder, safe_serialization=True)


def _dequantized(transformers: Any) -> dict[str, Any]:
    """What asks transformers to unpack the blocks; its versions before 5.20 always do."""
    config = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": config(dequantize=True)} if config else {}


@contextmanager
def _telling(line: str) -> Iterator[None]:
    """Say on stderr what is going on: this is the one step that takes long without a bar."""
    print(line, file=sys.stderr, flush=True)
    yield


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """No bars of transformers inside."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _clear(target: Path) -> None:
    """Remove what killed conversions of the same file left."""
    for left in target.parent.glob(f".{target.name}.*"):
        try:
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue
