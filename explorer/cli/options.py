"""Options that every command which opens a corpus takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus
    from explorer.rewrites.place import Place

ROLES = ("text", "id", "source", "date", "url", "language", "tokens", "original", "method", "style")
Command = Callable[..., Any]


def workspace_option(command: Command) -> Command:
    """Add ``--workspace``."""
    about = "Folder for everything computed [default: EXPLORER_WORKSPACE or .explorer]."
    return click.option("--workspace", type=click.Path(file_okay=False), metavar="DIR", help=about)(command)


def role_options(command: Command) -> Command:
    """Add ``--text COLUMN`` and its like."""
    for role in reversed(ROLES):
        about = f"Column that holds the {role} instead of the one detected{'' if role == 'text' else ' (empty: none)'}."
        command = click.option(f"--{role}", f"role_{role}", metavar="COLUMN", help=about)(command)
    return command


def originals_options(command: Command) -> Command:
    """Add ``--originals`` and ``--on``: the PATHs are then rewrites."""
    about = "Column that says which original a rewrite is of; ORIGINALS=REWRITES where its names differ [default: the originals' id]."
    command = click.option("--on", metavar="COLUMN", help=about)(command)
    about = "Files that the PATHs were rewritten from; repeatable. The documents are then pairs."
    return click.option("--originals", multiple=True, metavar="PATH", help=about)(command)


def corpus_options(command: Command) -> Command:
    """Add ``PATH…``, ``--workspace``, the originals and the roles."""
    command = originals_options(role_options(workspace_option(command)))
    return click.argument("paths", nargs=-1, required=True, metavar="PATH...")(command)


def scope_options(command: Command) -> Command:
    """Add ``--filters``, ``--sample`` and ``--seed``: which documents to run on."""
    command = click.option("--seed", type=int, default=0, help="Of the sample [default: 0].")(command)
    about = "Only so many of them, drawn from every source in proportion."
    command = click.option("--sample", type=click.IntRange(1), metavar="N", help=about)(command)
    kind = click.Path(exists=True, dir_okay=False)
    return click.option("--filters", type=kind, metavar="FILE", help="Only the documents that pass a filters file.")(command)


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")(command)


def given_roles(options: dict[str, Any]) -> dict[str, str]:
    """The roles named on the command line; "" takes a role away."""
    return {role: options[f"role_{role}"] for role in ROLES if options.get(f"role_{role}") is not None}


def opened(paths: tuple[str, ...], workspace: str | None, options: dict[str, Any]) -> Corpus:
    """The corpus a command was given; files left out of it are named on stderr."""
    from explorer.cli.output import note
    from explorer.rewrites.pairs import Pairs

    corpus = place(paths, workspace, options).open()
    if isinstance(corpus, Pairs):
        note(corpus.match.report.said())
    for problem in corpus.problems:
        if problem.severity == "error" or problem.kind == "changed since scored":
            note(f"{problem.severity}: {problem.message}")
    return corpus


def place(paths: tuple[str, ...], workspace: str | None, options: dict[str, Any]) -> Place:
    """What a command was asked to open."""
    from explorer.rewrites.place import Place

    on = tuple(part.strip() for part in (options.get("on") or "").split("=", 1) if part.strip())
    return Place(paths, workspace, tuple(given_roles(options).items()), tuple(options.get("originals") or ()), on)
