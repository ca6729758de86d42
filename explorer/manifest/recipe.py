"""A mix as a YAML file: the recipe that ``explorer mix`` reads. Paths in it are relative to the recipe's folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.corpus.roles import Roles
from explorer.corpus.workspace import Workspace
from explorer.errors import ManifestError
from explorer.manifest.model import AMOUNTS, Manifest
from explorer.manifest.write import mix
from explorer.rewrites.pairs import open_pairs
from explorer.selection.filters import Filters
from explorer.selection.recipes import recipes
from explorer.selection.selection import Selection, select

KEYS = ("name", "seed", "budget_tokens", "sequence_length", "tokenizer", "sources", "stages")
SOURCE_KEYS = ("corpus", "pairs", "on", "filters", "where", "roles", *AMOUNTS, "max_epochs", "order")
STAGE_KEYS = ("name", "share", "weights", "order")


def mix_recipe(
    path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, *, workspace: str | os.PathLike[str] | Workspace | None = None
) -> Manifest:
    """Read a recipe and mix it; see ``docs/manifest.md`` for its fields.

    Args:
        path: the YAML file.
        out: folder of the manifest; None: ``manifests/<name>`` in the workspace.
        workspace: where the sources' signals are (default: ``EXPLORER_WORKSPACE`` or ``.explorer``).

    Raises:
        ManifestError: the recipe is not understood, or cannot be met.
        CorpusError, SelectionError, SignalError: a source cannot be opened or selected from.

    """
    file = Path(path).expanduser()
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ManifestError(
            f"Recipe {str(file)!r} cannot be read: {str(error).splitlines()[0]}. Name a YAML file. See: explorer mix --help"
        ) from error
    _keys(said, KEYS, f"Recipe {str(file)!r}")
    listed = said.get("sources")
    if not isinstance(listed, dict) or not listed:
        raise ManifestError(
            f"Recipe {str(file)!r} has no sources. It needs 'sources', a mapping from names to what is read. See: explorer mix --help"
        )
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    base = file.absolute().parent
    sources = {str(name): _source(str(name), item, base, space) for name, item in listed.items()}
    stage = _stage(said.get("stages"), list(sources))
    asked = {
        amount: {n: _number(listed[n][amount], f"{n}: {amount}") for n in sources if listed[n].get(amount) is not None}
        for amount in AMOUNTS
    }
    if stage.get("weights"):
        asked["weight"] = {str(n): _number(w, f"weights: {n}") for n, w in stage["weights"].items()}
    order = {n: str(listed[n].get("order") or stage.get("order") or "natural") for n in sources}
    return mix(
        sources,
        budget_tokens=_number(said.get("budget_tokens"), "budget_tokens"),
        weights=asked["weight"],
        epochs=asked["epochs"],
        tokens=asked["tokens"],
        documents=asked["documents"],
        max_epochs={n: _number(listed[n]["max_epochs"], f"{n}: max_epochs") for n in sources if listed[n].get("max_epochs") is not None},
        order=order,
        seed=said.get("seed", 0),
        sequence_length=said.get("sequence_length"),
        tokenizer=_tokenizer(said.get("tokenizer"), base),
        name=str(said.get("name") or file.stem),
        out=out,
    )


def _source(name: str, item: Any, base: Path, space: Workspace) -> Selection:
    if isinstance(item, dict):
        item = {"on" if key is True else key: value for key, value in item.items()}  # YAML 1.1 reads a bare on as true
    _keys(item, SOURCE_KEYS, f"Source {name!r}")
    roles = _roles(name, item.get("roles"))
    corpus: Corpus = _pairs(name, item, base, space, roles) if "pairs" in item else _corpus(name, item, base, space, roles)
    filters = _filters(name, item.get("filters"), base)
    if item.get("where"):
        filters = filters | Filters(where=str(item["where"]))
    return select(corpus, filters)


def _corpus(name: str, item: dict[str, Any], base: Path, space: Workspace, roles: dict[str, str | None]) -> Corpus:
    paths = item.get("corpus")
    if not paths or not isinstance(paths, str | list):
        raise ManifestError(
            f"Source {name!r} has no corpus. It needs 'corpus', Parquet files, a folder, a glob or a list of them, or 'pairs'. Add it."
        )
    if "on" in item:
        raise ManifestError(
            f"Source {name!r} has 'on', which joins rewrites to originals. It needs 'pairs: [ORIGINALS, REWRITES]'. Add them."
        )
    return open_corpus(_listed(paths, base), workspace=space, **roles)


def _pairs(name: str, item: dict[str, Any], base: Path, space: Workspace, roles: dict[str, str | None]) -> Corpus:
    """Rewrites with their originals: ``pairs: [ORIGINALS, REWRITES]`` with ``on``, or one file whose rows hold both texts."""
    said, on = item["pairs"], item.get("on")
    if "corpus" in item:
        raise ManifestError(f"Source {name!r} has both 'corpus' and 'pairs'. A source is one of them. Remove the other.")
    columns = [on] if isinstance(on, str) else on
    if on is not None and not (isinstance(columns, list) and len(columns) in (1, 2) and all(isinstance(c, str) for c in columns)):
        raise ManifestError(f"Source {name!r} has on: {on!r}. It is a column, or [ORIGINALS' COLUMN, REWRITES' COLUMN]. Correct it.")
    if isinstance(said, str):
        return open_pairs(_listed(said, base), workspace=space, **roles)
    if not isinstance(said, list) or len(said) != 2 or not all(said):
        raise ManifestError(
            f"Source {name!r} has pairs: {said!r}. It is [ORIGINALS, REWRITES], each a path or a list of them, or one path. Correct it."
        )
    joined = None if not columns else columns[0] if len(columns) == 1 else (columns[0], columns[1])
    return open_pairs(_listed(said[0], base), _listed(said[1], base), on=joined, workspace=space, **roles)


def _listed(paths: Any, base: Path) -> list[str]:
    return [_found(str(p), base) for p in ([paths] if isinstance(paths, str) else paths)]


def _roles(name: str, said: Any) -> dict[str, str | None]:
    """Columns of roles; null (or empty) takes a role away that would be detected."""
    known = [f.name for f in fields(Roles)]
    if said is not None and not (isinstance(said, dict) and all(column is None or isinstance(column, str) for column in said.values())):
        raise ManifestError(
            f"Source {name!r} has roles {said!r}. They must be a mapping such as {{text: content, id: null}}. Correct them."
        )
    unknown = next((role for role in said or {} if role not in known), None)
    if unknown is not None:
        raise ManifestError(f"Source {name!r} has the role {unknown!r}. Roles: {', '.join(known)}. Correct its name.")
    return {role: column or None for role, column in (said or {}).items()}


def _filters(name: str, said: Any, base: Path) -> Filters:
    if said is None:
        return Filters()
    if isinstance(said, dict):
        return Filters.from_dict(said)
    if isinstance(said, list):
        return Filters.from_dict({"filters": said})
    if not isinstance(said, str):
        raise ManifestError(
            f"Source {name!r} has filters {said!r}. They must be a filters file, a recipe's name or a list of filters. Correct them."
        )
    file = _found(said, base)
    return Filters.load(file) if os.path.exists(file) or said.endswith((".yaml", ".yml")) else recipes[said]


def _found(path: str, base: Path) -> str:
    """A path of the recipe: beside the recipe, else (when only that exists) in the current folder; absolute paths and URLs as they are."""
    if "://" in path or os.path.isabs(os.path.expanduser(path)):
        return os.path.expanduser(path)
    beside = str(base / path)
    there = bool(glob.glob(beside, recursive=True)) or os.path.exists(beside)
    here = bool(glob.glob(path, recursive=True)) or os.path.exists(path)
    return path if here and not there else beside


def _tokenizer(said: Any, base: Path) -> str | None:
    if said is None:
        return None
    beside = base / str(said)
    return str(beside) if beside.exists() and not Path(str(said)).exists() else str(said)


def _stage(said: Any, sources: list[str]) -> dict[str, Any]:
    if said is None:
        return {}
    if not isinstance(said, list) or not all(isinstance(s, dict) for s in said):
        raise ManifestError(f"stages is {said!r}. It must be a list of stages such as {{name: all, share: 1}}. Correct it or leave it out.")
    if len(said) > 1:
        names = ", ".join(repr(str(s.get("name"))) for s in said)
        raise ManifestError(
            f"The recipe has {len(said)} stages ({names}). This version mixes one. Keep one, or write a recipe for each stage."
        )
    stage = said[0] if said else {}
    _keys(stage, STAGE_KEYS, "The stage")
    if stage.get("share") is not None and _number(stage["share"], "share") != 1:
        raise ManifestError(f"The only stage has share {stage['share']!r}. One stage takes the whole budget. Remove the share or write 1.")
    unknown = sorted(set(stage.get("weights") or {}) - set(sources))
    if unknown:
        raise ManifestError(f"The stage's weights name the source {unknown[0]!r}. Sources: {', '.join(sources)}. Correct the name.")
    return stage


def _keys(said: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(said, Mapping):
        raise ManifestError(f"{where} is {said!r}. It must be a mapping with the keys {', '.join(known)}. See: explorer mix --help")
    unknown = sorted(str(k) for k in said if k not in known)
    if unknown:
        raise ManifestError(f"{where} has an unknown key {unknown[0]!r}. Keys: {', '.join(known)}. Remove or rename it.")


def _number(said: Any, where: str) -> Any:
    """YAML 1.1 reads ``2e9`` as text; numbers written so are meant as numbers. Anything else is left for `mix` to refuse."""
    if isinstance(said, str):
        try:
            return float(said.replace("_", ""))
        except ValueError as error:
            raise ManifestError(f"{where} is {said!r}. It must be a number. Correct it.") from error
    return said
