"""What the app was asked to open: ``streamlit run app.py -- PATH… --workspace DIR --text COLUMN --rewrites PATH --on COLUMN``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NoReturn

from explorer.corpus.roles import Roles
from explorer.errors import CorpusError
from explorer.rewrites.place import Place

ROLES = tuple(f.name for f in fields(Roles))
OF_PAIRS = ("original", "method", "style")  # roles that only rewrites have


@dataclass(frozen=True)
class Sides:
    """Documents and the rewrites made of them; one of them may not be there. ``at`` is the one looked at first."""

    documents: Place | None
    rewrites: Place | None = None
    at: str = "documents"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CorpusError(
            f"The app was started with arguments it does not know: {message}. Allowed: PATH…, --workspace DIR, "
            f"--rewrites PATH, --originals PATH, --on COLUMN, {', '.join(f'--{role} COLUMN' for role in ROLES)}. See: explorer app --help"
        )


def read(arguments: Sequence[str], app: Path) -> Sides:
    """What is named by the arguments after ``--``; without a path, the sample corpus beside ``app`` with its rewrites.

    Raises:
        CorpusError: an unknown argument, or no path and no sample corpus.

    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--workspace")
    parser.add_argument("--rewrites", action="append", default=[])
    parser.add_argument("--originals", action="append", default=[])
    parser.add_argument("--on", default="")
    for role in ROLES:
        parser.add_argument(f"--{role}")
    given = parser.parse_intermixed_args(list(arguments))
    roles = tuple((role, value) for role in ROLES if (value := getattr(given, role)) is not None)
    if not given.paths:
        place = Place(sample_paths(app), given.workspace, roles)
        rewrites = app.parent / "sample_data" / "rewrites.parquet"
        return Sides(place, Place((str(rewrites),), given.workspace, (), place.paths, ("id",)) if rewrites.exists() else None)
    on = tuple(part.strip() for part in given.on.split("=", 1) if part.strip())
    place = Place(tuple(given.paths), given.workspace, roles, tuple(given.originals), on)
    if given.rewrites:
        text = tuple(("original", column) for role, column in roles if role == "text" and column)
        return Sides(place, Place(tuple(given.rewrites), given.workspace, text, place.paths, on))
    return sides_of(place)


def sides_of(place: Place) -> Sides:
    """A place with the other side that follows from it: rewrites name their originals."""
    if place.originals:
        text = tuple(("text", column) for role, column in place.roles if role == "original" and column)
        return Sides(Place(place.originals, place.workspace, text), place, "rewrites")
    column = dict(place.roles).get("original")
    if column:
        return Sides(replace(place, roles=(("text", column),)), place, "rewrites")
    return Sides(place)


def sample_paths(app: Path) -> tuple[str, ...]:
    """The sample corpus that travels with the app, without its rewrites."""
    folder = app.parent / "sample_data"
    if (folder / "corpus").is_dir():
        return (str(folder / "corpus"),)
    shards = sorted(str(p) for p in folder.glob("*.parquet") if p.name != "rewrites.parquet")
    if not shards:
        raise CorpusError(
            f"No path was given and the sample corpus is not at {str(folder)!r}. Name Parquet files, a folder or a glob. "
            "Start with: explorer app PATH"
        )
    return tuple(shards)
