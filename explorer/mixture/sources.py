"""The sources of a mixture, opened as its recipe says: corpora or pairs, filtered. Relative paths start from the recipe's folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.corpus.roles import Roles
from explorer.corpus.workspace import Workspace
from explorer.errors import ManifestError
from explorer.mixture.model import Mixture
from explorer.mixture.tokens import WORDS
from explorer.rewrites.pairs import open_pairs
from explorer.selection.filters import Filters
from explorer.selection.recipes import recipes
from explorer.selection.selection import Selection, select


def open_sources(mixture: Mixture, *, workspace: str | os.PathLike[str] | Workspace | None = None) -> dict[str, Selection]:
    """Open and select every source of a mixture.

    Args:
        mixture: what names them.
        workspace: where their signals are (default: ``EXPLORER_WORKSPACE`` or ``.explorer``).

    Raises:
        ManifestError: a source is not understood.
        CorpusError, SelectionError, SignalError: it cannot be opened or selected from.

    """
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    base = mixture.base or Path.cwd()
    return {source.name: _source(source.name, source.data, base, space) for source in mixture.sources}


def tokenizer_of(mixture: Mixture) -> str | None:
    """Whose tokens a mixture counts: a path (beside its recipe, else in the current folder) as an absolute one, any other name as it is."""
    if mixture.tokenizer is None or mixture.tokenizer == WORDS:
        return mixture.tokenizer
    path = _found(mixture.tokenizer, mixture.base or Path.cwd())
    return os.path.abspath(path) if os.path.exists(path) else mixture.tokenizer


def _source(name: str, item: Mapping[str, Any], base: Path, space: Workspace) -> Selection:
    roles = _roles(name, item.get("roles"))
    corpus: Corpus = _pairs(name, item, base, space, roles) if "pairs" in item else _corpus(name, item, base, space, roles)
    filters = _filters(name, item.get("filters"), base)
    if item.get("where"):
        filters = filters | Filters(where=str(item["where"]))
    return select(corpus, filters)


def _corpus(name: str, item: Mapping[str, Any], base: Path, space: Workspace, roles: dict[str, str | None]) -> Corpus:
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


def _pairs(name: str, item: Mapping[str, Any], base: Path, space: Workspace, roles: dict[str, str | None]) -> Corpus:
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
