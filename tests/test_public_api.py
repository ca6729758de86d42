"""What ``import explorer as ex`` offers, and the names that scripts and notebooks rely on."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

import explorer as ex
from explorer.cli import cli

CONTRACT = {"open_corpus", "Threshold", "recipes", "mix", "export", "Filters", "score_texts", "families", "ExplorerError"}


def test_every_public_name_is_there_and_listed() -> None:
    for name in ex.__all__:
        assert getattr(ex, name) is not None
    assert set(dir(ex)) == set(ex.__all__)
    assert set(ex.__all__) >= CONTRACT


@pytest.mark.parametrize("name", sorted(set(ex.__all__) - {"__version__"}))
def test_every_public_name_is_documented_and_is_its_homes_own(name: str) -> None:
    value = getattr(ex, name)
    assert value is getattr(import_module(ex._HOME[name]), name)
    assert inspect.getdoc(value if callable(value) else type(value))


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'explorer' has no attribute 'opne_corpus'"):
        _ = ex.opne_corpus


def test_the_corpus_has_the_methods_of_the_contract() -> None:
    for name in ("score", "select", "sql", "documents", "coverage", "_repr_html_"):
        assert callable(getattr(ex.Corpus, name))


def test_the_commands_of_the_contract_are_there_and_documented() -> None:
    commands = {"app", "info", "signals", "score", "select", "recipes", "mix", "export", "verify", "sample", "import", "jobs"}
    commands |= {"embed", "search", "labels", "train", "scorers", "rewrite", "pairs", "advise"}
    assert set(cli.commands) == commands
    for command in cli.commands.values():
        assert command.help
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or getattr(parameter, "help", None), (command.name, parameter.name)


def test_role_options_are_the_roles() -> None:
    from dataclasses import fields

    from explorer.cli.options import ROLES
    from explorer.corpus.roles import Roles

    assert tuple(f.name for f in fields(Roles)) == ROLES
