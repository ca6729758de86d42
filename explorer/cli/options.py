"""Options that every command which opens a corpus takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

ROLES = ("text", "id", "source", "date", "url", "language", "tokens")
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


def corpus_options(command: Command) -> Command:
    """Add ``PATH…``, ``--workspace`` and the roles."""
    command = role_options(workspace_option(command))
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
    from explorer.corpus.corpus import open_corpus

    corpus = open_corpus(paths, workspace=workspace, **{role: column or None for role, column in given_roles(options).items()})
    for problem in corpus.problems:
        if problem.severity == "error" or problem.kind == "changed since scored":
            note(f"{problem.severity}: {problem.message}")
    return corpus


def again(paths: tuple[str, ...], workspace: str | None, options: dict[str, Any]) -> str:
    """The part of a command line that opens the same corpus, quoted for a shell."""
    import shlex

    words = list(paths)
    if workspace:
        words += ["--workspace", workspace]
    for role, column in given_roles(options).items():
        words += [f"--{role}", column]
    return shlex.join(words)
