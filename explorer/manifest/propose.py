"""The recipe of a mix that holds one selection: what a page, or a user who has only filtered, hands to ``explorer mix``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from explorer.corpus.corpus import Corpus
from explorer.corpus.roles import detect
from explorer.corpus.workspace import write_text
from explorer.errors import ManifestError
from explorer.rewrites.pairs import Pairs
from explorer.rewrites.place import Place
from explorer.selection.selection import Selection


def propose_recipe(
    selection: Selection,
    *,
    name: str,
    source: str = "corpus",
    epochs: float | None = None,
    tokens: float | None = None,
    order: str = "natural",
    seed: int = 0,
    sequence_length: int | None = None,
    tokenizer: str | None = None,
) -> dict[str, Any]:
    """A recipe with the selection as its only source, every kept document once unless an amount is given.

    Args:
        selection: which documents.
        name: of the mix.
        source: name of the source in it.
        epochs: passes over the kept documents; excludes ``tokens``.
        tokens: tokens that the kept documents give; excludes ``epochs``.
        order: of documents, as in `explorer.manifest.mix`.
        seed: of every random choice.
        sequence_length: noted for exporters.
        tokenizer: whose tokens to count.

    Raises:
        ManifestError: both amounts are given.
    """
    if epochs is not None and tokens is not None:
        raise ManifestError("Both epochs and tokens were given. A source takes one amount. Leave one of them out.")
    corpus = selection.corpus
    # The recipe is written far from where the corpus was opened, and read from anywhere.
    item = source_of(corpus)
    if selection.filters:
        item["filters"] = selection.filters.to_dict()
    item |= {key: value for key, value in (("epochs", epochs), ("tokens", tokens)) if value is not None}
    item |= {"order": order} if order != "natural" else {}
    said: dict[str, Any] = {"name": name, "seed": seed, "sources": {source: item}}
    return said | {key: value for key, value in (("sequence_length", sequence_length), ("tokenizer", tokenizer)) if value is not None}


def source_of(corpus: Corpus) -> dict[str, Any]:
    """A source of a recipe that opens this corpus, or these pairs, from anywhere."""
    if not isinstance(corpus, Pairs):
        return {"corpus": _paths(corpus), "roles": _roles(corpus)}
    place = Place.of(corpus)
    roles: dict[str, str | None] = {role: column or None for role, column in place.roles}
    if corpus.on is None:
        return {"pairs": _paths(corpus)[0] if len(corpus.paths) == 1 else _paths(corpus), "roles": roles}
    return {"pairs": [_paths(corpus.originals), _paths(corpus)], "on": list(corpus.on), "roles": roles}


def _paths(corpus: Corpus) -> list[str]:
    return [path if "://" in path else os.path.abspath(os.path.expanduser(path)) for path in corpus.paths]


def _roles(corpus: Corpus) -> dict[str, str | None]:
    """Column of every role that is played; null where one would be detected that was taken away."""
    assigned = corpus.roles.assigned()
    detected = detect(corpus.shards, {"text": corpus.roles.text}).assigned()
    return assigned | {role: None for role in detected if role not in assigned}


def write_recipe(recipe: dict[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a recipe as YAML."""
    target = Path(path)
    write_text(target, yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=140))
    return target
