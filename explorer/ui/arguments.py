"""What the app was asked to open: ``streamlit run app.py -- PATH… --workspace DIR --text COLUMN``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from explorer.corpus.roles import Roles
from explorer.errors import CorpusError
from explorer.rewrites.place import Place

ROLES = tuple(f.name for f in fields(Roles))
OF_PAIRS = ("original", "method", "style")  # roles that only rewrites have


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CorpusError(
            f"The app was started with arguments it does not know: {message}. Allowed: PATH…, --workspace DIR, "
            f"{', '.join(f'--{role} COLUMN' for role in ROLES)}. See: explorer app --help"
        )


def read(arguments: Sequence[str], app: Path) -> Place:
    """The place named by the arguments after ``--``; without a path, the sample corpus beside ``app``.

    Raises:
        CorpusError: an unknown argument, or no path and no sample corpus.

    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--workspace")
    for role in ROLES:
        parser.add_argument(f"--{role}")
    given = parser.parse_intermixed_args(list(arguments))
    roles = tuple((role, value) for role in ROLES if (value := getattr(given, role)) is not None)
    return Place(tuple(given.paths) or sample_paths(app), given.workspace, roles)


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
