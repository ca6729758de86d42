"""Rewrites with their originals: a corpus of rewrites in which each document knows the text it was made from.

A pair is addressed like a document: by the file and row of the rewrite. So whatever is done with documents is done with pairs too:
scores, jobs, thresholds, selections, labels, manifests. Only checks read both texts.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.corpus.database import corpus_sql, quote
from explorer.corpus.lookup import Lookup
from explorer.corpus.roles import METHOD, ORIGINAL, REWRITE, STYLE, Roles, by_name, is_text
from explorer.corpus.workspace import Workspace, write_atomically
from explorer.errors import ColumnNotFoundError, CorpusError
from explorer.primitives.batch import Batch
from explorer.rewrites.matching import Match, load_match

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
KEYS = ("original_id", "doc_id", "document_id", "source_id", "parent_id", "id")  # of a rewrite: which document it is of


@dataclass(frozen=True, eq=False)
class Pairs(Corpus):
    """A corpus of rewrites; ``originals`` are what they were made from.

    Attributes:
        originals: the documents that were rewritten; the same files, read by another column, where a file holds both texts.
        on: columns that say which original a rewrite is of, in the originals and in the rewrites; None where a row holds both texts.

    """

    originals: Corpus = field(kw_only=True)
    on: tuple[str, str] | None = field(kw_only=True)

    def __repr__(self) -> str:
        return f"Pairs({len(self):,} rewrites of {len(self.originals):,} originals, {self.match.report.said()})"

    @cached_property
    def pairing(self) -> str:
        """What decides which original a rewrite is compared with: the originals as they are now, and the columns joined on."""
        said = [self.originals.fingerprint, *(self.on or ("same row",))]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]

    @property
    def compared_with(self) -> Corpus:
        """The originals."""
        return self.originals

    @cached_property
    def fingerprint(self) -> str:
        """Identity of rewrites and originals as they are now."""
        return hashlib.sha256(f"{self._of_files()}\n{self.pairing}".encode()).hexdigest()[:16]

    @cached_property
    def match(self) -> Match:
        """Which original each rewrite is of, and a report of what did not match."""
        return load_match(self)

    @cached_property
    def _texts(self) -> Lookup:
        return Lookup(self.originals)

    def original_texts(self, rows: np.ndarray) -> pa.Array:
        """The originals of these rewrites, large_binary [n]; null where a rewrite has none.

        Args:
            rows: int64 [n], numbers of rewrites.

        """
        return self._texts.take(self.match.rows[rows])

    def with_originals(self, batch: Batch, rows: np.ndarray) -> Batch:
        """A batch of these rewrites that knows what they were made from."""
        batch.columns["original"] = self.original_texts(rows)
        return batch

    def texts(self, rows: Sequence[int] | np.ndarray) -> list[tuple[str | None, str | None]]:
        """(original, rewrite) of chosen pairs; text that is not UTF-8 is shown with U+FFFD, and a text that is not there is None."""
        wanted = np.asarray(rows, np.int64)
        rewrites = self.documents(wanted, [self.roles.text])[self.roles.text].to_list()
        originals = self.original_texts(wanted).to_pylist()
        return [(None if o is None else o.decode("utf-8", "replace"), r) for o, r in zip(originals, rewrites, strict=True)]

    def score(self, signals: str | Iterable[str] = ("audit", "faithfulness"), **how: Any) -> Any:
        """Compute checks and signals for every pair that lacks them; "audit" are all checks that need no model."""
        return super().score(signals, **how)

    def write_checks(self, path: str | os.PathLike[str]) -> None:
        """Write one row a pair as Parquet: its number (``_row``), its columns but the texts, and all that was computed.

        Args:
            path: file to write, replaced once it is whole.

        """
        coverage = self.coverage()
        texts = {self.roles.text, self.roles.original} if self.on is None else {self.roles.text}
        left_out = ", ".join(quote(name) for name in sorted(t for t in texts if t))
        target = Path(path).expanduser().absolute()
        real = os.path.realpath(target)
        local = [s.path for s in (*self.shards, *self.originals.shards) if not s.remote]
        if any(real == os.path.realpath(p) or (target.exists() and os.path.exists(p) and os.path.samefile(p, target)) for p in local):
            raise CorpusError(f"{str(path)!r} is one of the files that are audited. Sources are never written to. Name another file.")
        sql = f"SELECT * EXCLUDE ({left_out}) FROM ({corpus_sql(self.shards, coverage, coverage.columns())})"
        write_atomically(target, lambda p: self.database.write(sql, str(p)))


def open_pairs(
    originals: Paths | Corpus,
    rewrites: Paths | None = None,
    *,
    on: str | tuple[str, str] | None = None,
    workspace: str | os.PathLike[str] | Workspace | None = None,
    rewrite: str | None = None,
    **roles: str | None,
) -> Pairs:
    """Open rewrites with their originals: two corpora joined on a column, or one whose rows hold both texts.

    Args:
        originals: files, folders or globs of the originals, or a corpus; of the pairs, when ``rewrites`` is left out.
        rewrites: files, folders or globs of the rewrites; one original may have many.
        on: column that says which original a rewrite is of; a pair of names where it is called otherwise in the originals and in
            the rewrites. Left out: the originals' id column, under that name or another usual one in the rewrites.
        workspace: folder for what is computed.
        rewrite: column of the rewritten text, overriding detection.
        **roles: columns of the rewrites for other roles (``method="recipe"``); ``original=`` is the column of the original text, in
            the same rows or in the originals.

    Raises:
        CorpusError: nothing was found, or not one rewrite has an original.
        ColumnNotFoundError: a column to join on, or one of the texts, is not there.

    """
    if rewrite is not None:
        roles["text"] = rewrite
    if rewrites is None:
        if isinstance(originals, Corpus):
            raise CorpusError(
                "A corpus alone is no pairs. Name the rewrites, or the files whose rows hold both texts: open_pairs('pairs.parquet')"
            )
        return _of_one(originals, workspace, roles)
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    theirs = roles.pop("original", None)
    documents = (
        originals if isinstance(originals, Corpus) else open_corpus(originals, workspace=space, **({"text": theirs} if theirs else {}))
    )
    made = _opened(rewrites, space, {**roles, "original": None})
    pairs = Pairs(**_fields(made), originals=documents, on=_joined_on(documents, made, on))
    if len(pairs) and not pairs.match.report.matched:
        raise CorpusError(
            f"0 of {len(pairs):,} rewrites have an original: {pairs.match.report.said()}. Name the columns that hold the same ids: on=(ORIGINALS' COLUMN, REWRITES' COLUMN), by command --on ORIGINALS=REWRITES."
        )
    return pairs


def _of_one(paths: Paths, workspace: str | os.PathLike[str] | Workspace | None, roles: dict[str, str | None]) -> Pairs:
    made = _opened(paths, workspace, roles)
    column = made.roles.original
    if column is None:
        raise ColumnNotFoundError.named(
            "original",
            "the files, as the text that was rewritten",
            made.schema.names,
            "Name it: original=COLUMN (command: --original COLUMN), or name the originals' files: --originals PATH",
        )
    documents = Corpus(**{**_fields(made), "roles": replace(made.roles, text=column, original=None)})
    return Pairs(**_fields(made), originals=documents, on=None)


def _opened(paths: Paths, workspace: str | os.PathLike[str] | Workspace | None, roles: Mapping[str, str | None]) -> Corpus:
    """A corpus of rewrites, its own roles detected."""
    made = open_corpus(paths, workspace=workspace, **roles)
    return replace(made, roles=roles_of(made, roles))


def roles_of(made: Corpus, given: Mapping[str, str | None]) -> Roles:
    """Roles of a file of rewrites: the text is the rewrite, and what tells methods apart is its source where it names no other."""
    schema, found = made.schema, made.roles
    rewrite = None if "text" in given else by_name(REWRITE, "text", schema)
    roles = replace(found, text=rewrite or found.text)
    for role, names in (("original", ORIGINAL), ("method", METHOD), ("style", STYLE)):
        column = by_name(names, role, schema)
        # of two texts of which neither is called a rewrite, nothing says which one is
        if role not in given and column != roles.text and (role != "original" or rewrite or "text" in given):
            roles = replace(roles, **{role: column})  # type: ignore[arg-type]
    return roles if "source" in given or found.source else replace(roles, source=roles.method or roles.style)


def _joined_on(originals: Corpus, rewrites: Corpus, on: str | tuple[str, str] | None) -> tuple[str, str]:
    """The columns that say which original a rewrite is of, in the originals and in the rewrites."""
    if isinstance(on, str):
        theirs = on if on in originals.schema.names else originals.roles.id
        pair = (theirs or on, on)
    elif on is not None:
        pair = (on[0], on[1])
    else:
        theirs = originals.roles.id
        if theirs is None:
            raise ColumnNotFoundError.named(
                "id",
                "the originals, as what rewrites refer to",
                originals.schema.names,
                "Name the column that both have: on=COLUMN (command: --on COLUMN)",
            )
        ours = next((c for c in (*KEYS[:-1], theirs, "id") if c in rewrites.schema.names), None)
        if ours is None:
            raise ColumnNotFoundError.named(
                theirs,
                "the rewrites",
                rewrites.schema.names,
                "Name the column that says which original a rewrite is of: on=(ORIGINALS' COLUMN, REWRITES' COLUMN), by command --on ORIGINALS=REWRITES",
            )
        pair = (theirs, ours)
    for column, corpus, whose in ((pair[0], originals, "originals"), (pair[1], rewrites, "rewrites")):
        if column not in corpus.schema.names:
            raise ColumnNotFoundError.named(
                column,
                f"the {whose}",
                corpus.schema.names,
                "Name the columns to join on: on=(ORIGINALS' COLUMN, REWRITES' COLUMN), by command --on ORIGINALS=REWRITES",
            )
    return pair


def _fields(corpus: Corpus) -> dict[str, Any]:
    return {name: getattr(corpus, name) for name in ("shards", "unreadable", "roles", "workspace", "paths", "left_out")}


def is_pair_file(corpus: Corpus) -> bool:
    """Whether a corpus that was opened as documents has rows that hold both a rewrite and its original."""
    schema = corpus.schema
    rewrite, original = by_name(REWRITE, "text", schema), by_name(ORIGINAL, "original", schema)
    return (
        rewrite is not None
        and original is not None
        and rewrite != original
        and all(is_text(schema.field(c).type) for c in (rewrite, original))
    )
