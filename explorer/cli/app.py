"""``explorer app``: start the pages on a corpus."""

from __future__ import annotations

import glob
import os
import sys
from pathlib import Path
from typing import Any

import click

from explorer.cli.options import given_roles, originals_options, role_options, workspace_option
from explorer.errors import ExplorerError


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@workspace_option
@click.option("--port", type=click.IntRange(1, 65535), help="Port on this machine [default: the first free one from 8501].")
@click.option("--rewrites", multiple=True, metavar="PATH", help="Rewrites of the documents in the PATHs; repeatable.")
@originals_options
@role_options
def app(paths: tuple[str, ...], workspace: str | None, port: int | None, rewrites: tuple[str, ...], **options: Any) -> None:
    """Start the app; without a PATH it opens the sample corpus and its rewrites.

    \b
    explorer app data/web --rewrites data/rewrites --on id
    explorer app pairs.parquet --original raw_text --text rephrased
    """  # noqa: D301
    from explorer.corpus.files import find

    originals, on = options["originals"] or (), options["on"]
    for named in (paths, rewrites, originals):
        if named:
            find(named)  # a wrong path is said here and not in the browser
    others = [f"--rewrites={absolute(p)}" for p in rewrites] + [f"--originals={absolute(p)}" for p in originals]
    line = command_line(paths, workspace, port, given_roles(options)) + others + ([f"--on={on}"] if on else [])
    sys.stdout.flush()
    os.execv(line[0], line)  # this process becomes the server, so Ctrl-C and signals reach it as they are


def command_line(paths: tuple[str, ...], workspace: str | None, port: int | None, roles: dict[str, str]) -> list[str]:
    """The server's command line; paths made absolute, globs and URLs kept as patterns and URLs."""
    from explorer.corpus.workspace import Workspace

    line = [sys.executable, "-m", "streamlit", "run", str(app_file())]
    line += ["--server.address=127.0.0.1", "--server.headless=true", "--browser.gatherUsageStats=false"]
    line += [f"--server.port={port}"] if port else []
    line += ["--", *map(absolute, paths), "--workspace", str(Workspace(workspace).path)]
    return line + [f"--{role}={column}" for role, column in roles.items()]


def absolute(path: str) -> str:
    """An absolute path; a URL as it is. A glob stays one (its magic is not touched)."""
    if "://" in path:
        return path
    return os.path.abspath(os.path.expanduser(path)) if not glob.has_magic(path) else os.path.join(os.getcwd(), os.path.expanduser(path))


def app_file() -> Path:
    """The app's entry file, in the installed package or in the checkout."""
    package = Path(__file__).resolve().parent.parent
    places = [package / "_app" / "app.py", package.parent / "app.py"]
    for place in places:
        if place.is_file():
            return place
    raise ExplorerError(
        f"The app's pages were not found at {' or '.join(repr(str(p)) for p in places)}. They come with the package. Install corpus-explorer again."
    )
