"""The optional packages that run models, loaded when first used, with one message where they are missing.

from explorer.models.extra import torch, transformers
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from explorer.errors import MissingExtraError

PACKAGES = {
    "torch": "to run models",
    "transformers": "to run models",
    "sentence_transformers": "to embed texts",
    "huggingface_hub": "to find models",
    "model2vec": "to embed texts with static vectors",
    "fasttext": "to run and train fastText classifiers",
    "gguf": "to read GGUF weights",
    "httpx": "to ask a model behind an endpoint",
}


def __getattr__(name: str) -> Any:
    if name not in PACKAGES:
        raise AttributeError(name)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MissingExtraError(name, PACKAGES[name], "models") from error
