"""Commands that put corpora together: a mixture, a trainer's files, and the proof that they are still true."""

from __future__ import annotations

from pathlib import Path

import click

from explorer.cli.options import json_option, workspace_option


@click.command()
@click.argument("recipe", type=click.Path(dir_okay=False, path_type=Path), metavar="RECIPE.yaml")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Folder for the manifest.")
@workspace_option
@json_option
def mix(recipe: Path, out: Path, workspace: str | None, as_json: bool) -> None:
    """Mix sources into a manifest: what a model will see, how often, in which order."""


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path), metavar="MANIFEST")
def export(manifest: Path) -> None:
    """Write a manifest as a trainer's own files."""


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="MANIFEST_OR_DIR")
def verify(path: Path) -> None:
    """Hash and count again what a manifest names; exit code 1 when something changed."""
