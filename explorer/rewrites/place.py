"""How a corpus is opened, said once: by a command, a page, a notebook, a job and a child process."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.corpus.roles import Roles, detect
from explorer.rewrites.pairs import Pairs, is_pair_file, open_pairs, roles_of


@dataclass(frozen=True)
class Place:
    """What to open.

    Attributes:
        paths: files, folders and globs: of documents, or of rewrites.
        workspace: folder for what is computed, None for the default.
        roles: columns given by hand, "" takes a role away. ``original`` is the originals' text: in the same rows, or in ``originals``.
        originals: what the rewrites were made from, where that lies in files of its own.
        on: the column that both have, or its name in the originals and in the rewrites.

    """

    paths: tuple[str, ...]
    workspace: str | None = None
    roles: tuple[tuple[str, str], ...] = ()
    originals: tuple[str, ...] = ()
    on: tuple[str, ...] = ()

    def open(self) -> Corpus:
        """The corpus: pairs where originals are named, or where the files hold both texts.

        Raises:
            CorpusError: it cannot be opened.

        """
        roles = {role: column or None for role, column in self.roles}
        if self.originals:
            on = None if not self.on else self.on[0] if len(self.on) == 1 else (self.on[0], self.on[1])
            return open_pairs(self.originals, self.paths, on=on, workspace=self.workspace, **roles)
        if roles.get("original"):
            return open_pairs(self.paths, workspace=self.workspace, **roles)
        corpus = open_corpus(self.paths, workspace=self.workspace, **roles)
        if "original" not in roles and "text" not in roles and is_pair_file(corpus):
            return open_pairs(self.paths, workspace=self.workspace, **roles)
        return corpus

    def arguments(self) -> list[str]:
        """The words of a command that open it: ``PATH… --originals … --workspace …``."""
        words = [*self.paths]
        for path in self.originals:
            words += ["--originals", path]
        if self.on:
            words += ["--on", "=".join(self.on)]
        if self.workspace:
            words += ["--workspace", self.workspace]
        return words + [f"--{role}={column}" for role, column in self.roles]

    def command(self) -> str:
        """The same, quoted for a shell."""
        return shlex.join(self.arguments())

    def python(self) -> str:
        """A Python expression that opens it."""
        given = [f"workspace={self.workspace!r}"] if self.workspace else []
        given += [f"{role}={column or None!r}" for role, column in self.roles]
        if self.originals:
            on = [] if not self.on else [f"on={self.on[0] if len(self.on) == 1 else self.on!r}"]
            return f"ex.open_pairs({', '.join([repr(list(self.originals)), repr(list(self.paths)), *on, *given])})"
        name = "open_pairs" if any(role == "original" and column for role, column in self.roles) else "open_corpus"
        return f"ex.{name}({', '.join([repr(list(self.paths)), *given])})"

    @classmethod
    def of(cls, corpus: Corpus) -> Place:
        """How an open corpus is opened again with the roles it has now: every assigned one, "" for one that detection would assign."""
        workspace = str(corpus.workspace.path)
        if not isinstance(corpus, Pairs):
            return cls(corpus.paths, workspace, _given(detect(corpus.shards), corpus.roles))
        plain, theirs = Corpus(corpus.shards, (), detect(corpus.shards), corpus.workspace, ()), corpus.originals
        roles = tuple(r for r in _given(roles_of(plain, {}), corpus.roles) if r[0] != "original")
        roles = (*roles, ("original", theirs.roles.text))
        return cls(corpus.paths, workspace, roles, () if corpus.on is None else theirs.paths, corpus.on or ())


def _given(found: Roles, now: Roles) -> tuple[tuple[str, str], ...]:
    """Roles to say so that the same ones come out."""
    return tuple((dict.fromkeys(found.assigned(), "") | now.assigned()).items())
