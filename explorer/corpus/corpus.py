"""A corpus: Parquet files read in place, the roles of their columns, and a workspace for what is computed about them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from explorer.corpus import scored
from explorer.corpus.database import Database
from explorer.corpus.documents import fetch
from explorer.corpus.files import Shard, Unreadable, check_names, find, read_footers, without_own
from explorer.corpus.problems import Problem, from_footers, left_out, name_clashes
from explorer.corpus.roles import Roles, detect, merged_schema
from explorer.corpus.sidecars import Coverage
from explorer.corpus.workspace import Workspace
from explorer.errors import CorpusError

if TYPE_CHECKING:
    from explorer.corpus.columns import Columns
    from explorer.corpus.search import Found, Mode
    from explorer.embeddings.store import Embeddings
    from explorer.engine.progress import Progress, ScoreReport
    from explorer.primitives.batch import Batch
    from explorer.selection.filters import Filters
    from explorer.selection.selection import Selection
    from explorer.selection.threshold import Threshold


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents of one or many Parquet files, numbered from 0 in the order of their sorted paths.

    Opening reads footers only. Nothing is copied, and source files are never written to.
    """

    shards: tuple[Shard, ...]
    unreadable: tuple[Unreadable, ...]
    roles: Roles
    workspace: Workspace
    paths: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(s.rows for s in self.shards)

    def __repr__(self) -> str:
        return f"Corpus({len(self):,} documents in {len(self.shards):,} files, text={self.roles.text!r})"

    def _repr_html_(self) -> str:
        from html import escape

        roles = " · ".join(f"{role} = <code>{escape(column)}</code>" for role, column in self.roles.assigned().items())
        problems = "".join(f"<li>{escape(p.message)}</li>" for p in self.problems if p.severity != "note")
        return f"<b>{len(self):,} documents</b> in {len(self.shards):,} files, {self.size / 1e6:,.1f} MB<br>{roles}<ul>{problems}</ul>"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(s.size for s in self.shards)

    @property
    def text_size(self) -> int:
        """Uncompressed bytes of the text column, from the footers."""
        return sum(g.sizes.get(self.roles.text, 0) for s in self.shards for g in s.row_groups)

    @cached_property
    def schema(self) -> pa.Schema:
        """Every column of any file."""
        return merged_schema(self.shards)

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the corpus as it is now: all shards' fingerprints and the text column."""
        return self._of_files()

    def _of_files(self) -> str:
        said = "\n".join([self.roles.text, *(f"{s.name} {s.fingerprint}" for s in self.shards)])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def pairing(self) -> str:
        """What decides which original a document is compared with where the documents are rewrites; else ""."""
        return ""

    @property
    def compared_with(self) -> Corpus | None:
        """The originals where the documents are rewrites; else None."""
        return None

    def with_originals(self, batch: Batch, rows: np.ndarray) -> Batch:
        """A batch of these documents that knows what each was rewritten from.

        Raises:
            CorpusError: the documents are no rewrites.

        """
        raise CorpusError(
            "A check compares rewrites with their originals, and this corpus has none. Open it as pairs: ex.open_pairs(ORIGINALS, REWRITES), or add --originals PATH to the command."
        )

    @cached_property
    def problems(self) -> list[Problem]:
        """What the footers say is wrong, and scores in the workspace that no longer fit their file."""
        return [
            *from_footers(self.shards, self.unreadable, self.roles),
            *left_out(self.left_out),
            *name_clashes(self.coverage().renamed),
            *scored.problems(self.workspace, self.shards, self.coverage()),
        ]

    @cached_property
    def database(self) -> Database:
        """DuckDB over the files."""
        return Database(self)

    def coverage(self) -> Coverage:
        """What has been computed so far (looked up anew when the workspace has changed: jobs add to it)."""
        if not self._coverages or not self._coverages[0].current():
            self._coverages[:] = [Coverage(self.workspace, self.shards, self.roles.text, (self.fingerprint, self.pairing))]
        return self._coverages[0]

    @cached_property
    def _coverages(self) -> list[Coverage]:
        return []

    @cached_property
    def columns(self) -> Columns:
        """Signal and number columns as arrays in memory, loaded when first asked for."""
        from explorer.corpus.columns import Columns

        return Columns(self)

    def documents(self, rows: Sequence[int] | np.ndarray, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Chosen documents by number, in the order asked for; all columns that can be shown unless named."""
        if columns is None:
            columns = [f.name for f in self.schema if not (pa.types.is_binary(f.type) or pa.types.is_large_binary(f.type))]
        return fetch(self, rows, columns)

    def sql(self, query: str, *, limit: int = 1000) -> pl.DataFrame:
        """Rows of one SELECT over the view ``corpus`` (the files' columns, ``_row`` and every signal computed)."""
        return self.database.ask(query, limit=limit).rows

    def score(
        self,
        signals: str | Iterable[str],
        *,
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        **how: Any,
    ) -> ScoreReport:
        """Compute signals for every document that lacks them; see `explorer.engine.local.score` for ``rows``, ``device`` and the like."""
        from explorer.engine.bars import progress_bar
        from explorer.engine.local import score

        names = [signals] if isinstance(signals, str) else list(signals)
        if on_progress is not None:
            return score(self, names, parameters=parameters, on_progress=on_progress, **how)
        with progress_bar("scoring") as show:
            return score(self, names, parameters=parameters, on_progress=show, **how)

    def embed(self, model: str | None = None, *, on_progress: Callable[[Progress], None] | None = None, **how: Any) -> ScoreReport:
        """Compute a vector for every document that lacks one; see `explorer.embeddings.embed.embed`."""
        from explorer.embeddings.embed import embed
        from explorer.engine.bars import progress_bar

        if on_progress is not None:
            return embed(self, model, on_progress=on_progress, **how)
        with progress_bar("embedding") as show:
            return embed(self, model, on_progress=show, **how)

    def embeddings(self, model: str | None = None) -> Embeddings:
        """The vectors that `embed` computed, of the model used last unless one is named."""
        from explorer.embeddings.store import embeddings, stored

        now = tuple((s.side.folder.name, s.side.run, s.rows) for s in stored(self))
        known = self._vectors.get(model)
        if known is None or known[0] != now:
            self._vectors.clear()  # two sets of vectors are seldom needed, and are large
            known = self._vectors[model] = (now, embeddings(self, model))
        return known[1]

    @cached_property
    def _vectors(self) -> dict[str | None, tuple[object, Embeddings]]:
        return {}

    def search(
        self, text: str, *, mode: Mode = "contains", n: int = 20, within: Selection | np.ndarray | None = None, match_case: bool = False
    ) -> pl.DataFrame:
        """The first documents that hold a text or match an expression, or those nearest to it in meaning.

        Args:
            text: what to look for.
            mode: "contains", "regex" (RE2) or "meaning" (needs `embed`).
            n: how many.
            within: a selection or numbers of documents to look among.
            match_case: whether capitals count.

        Returns:
            ``_row``, ``score`` (the cosine; null unless by meaning), and the columns of the files.

        """
        from explorer.corpus.search import Search, search
        from explorer.embeddings.meaning import by_meaning

        rows = None if within is None else within if isinstance(within, np.ndarray) else np.sort(within.rows())
        if mode == "meaning":
            found = by_meaning(self, text, n, within=rows)
        else:
            found = search(self, Search(text, mode, match_case), rows)
        return self._ranked(found, n)

    def similar(self, rows: int | list[int], *, n: int = 20, within: Selection | np.ndarray | None = None) -> pl.DataFrame:
        """The documents most like one or several others; as `search`."""
        from explorer.embeddings.meaning import like

        among = None if within is None else within if isinstance(within, np.ndarray) else np.sort(within.rows())
        return self._ranked(like(self, rows, n, within=among), n)

    def _ranked(self, found: Found, n: int) -> pl.DataFrame:
        scores = pl.Series("score", found.scores[:n] if found.scores is not None else [None] * len(found.rows[:n]), pl.Float32)
        return self.documents(np.asarray(found.rows[:n], np.int64)).insert_column(1, scores)

    def select(self, what: str | Filters | Threshold | Iterable[Threshold] | None = None) -> Selection:
        """The documents that pass a recipe, thresholds, or a predicate such as ``"faithfulness >= 0.8"``."""
        from explorer.selection.selection import select

        return select(self, what)


def open_corpus(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    workspace: str | os.PathLike[str] | Workspace | None = None,
    **roles: str | None,
) -> Corpus:
    """Open Parquet files, folders, globs or fsspec URLs as one corpus; only footers are read.

    Args:
        paths: one or several files, folders (searched deeply), globs, or URLs.
        workspace: folder for what is computed (default: ``EXPLORER_WORKSPACE`` or ``.explorer``).
        **roles: column for a role, overriding detection: ``text="content"``, ``source="subset"``; ``id=None`` takes a role away.

    Raises:
        CorpusError: nothing was found, no file can be read, or column names cannot be told apart in SQL.
        ColumnNotFoundError: no column holds text, or an override names one that is not there.

    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    found, own = without_own(find(given), [os.fspath(p) for p in given], space.path)
    if not found:
        raise CorpusError(
            f"{len(own)} Parquet files were found, all in a workspace or a folder that a mix or an export wrote. They are no corpus unless named. Name that folder itself, or another: {os.path.dirname(own[0])!r}"
        )
    shards, unreadable = read_footers(found)
    if not shards:
        reasons = "; ".join(f"{u.path!r}: {u.reason}" for u in unreadable[:3])
        raise CorpusError(f"No readable Parquet among {len(unreadable)} files. {reasons}. Restore the files or name others.")
    check_names(shards)
    return Corpus(tuple(shards), tuple(unreadable), detect(shards, roles), space, tuple(os.fspath(p) for p in given), tuple(own))
