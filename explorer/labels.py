"""What people think of documents: labels with notes, kept in the workspace beside everything computed, and taken back at will.

A label belongs to a document, and a document is known by its text (blake2b, 16 bytes, of its UTF-8) and its id. Where it was seen
(a shard's fingerprint, the row in it and the text column) is kept as well, so that labels are found at once while files stay as they are, and
found again by their text when the corpus has been written anew in other shards.

    labels = Labels(corpus.workspace)
    labels.set(corpus, [12, 40], "good")        # one call is one step of undo, however many documents
    labels.undo()
    labels.of(corpus)                           # row, label, note, annotator, created, id, text_hash

Everything lies in one SQLite file (``labels.sqlite``, write-ahead log), which processes and threads may use at the same time.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from explorer.corpus.documents import locate
from explorer.corpus.files import Shard
from explorer.corpus.workspace import Workspace, unwritable, write_atomically
from explorer.errors import ColumnNotFoundError, CorpusError, ExplorerError, WorkspaceError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

FILE = "labels.sqlite"
DEFAULTS = ("good", "bad", "unsure")
VERDICTS = ("accept", "reject", "not sure")  # on a rewrite
STEPS = 1000  # how many can be taken back
MOST_LABEL, MOST_NOTE = 60, 10_000  # characters
FEW = 64  # documents that are fetched singly; for more, whole row groups are read
LOOK = 256 * 1024**2  # bytes of text that `Labels.of` reads unasked to find labels again
VERSION = 2

_TABLES = """
CREATE TABLE IF NOT EXISTS documents (
    document INTEGER PRIMARY KEY, text BLOB NOT NULL, id TEXT NOT NULL, size INTEGER NOT NULL,
    label TEXT, note TEXT NOT NULL DEFAULT '', annotator TEXT NOT NULL DEFAULT '', created REAL NOT NULL DEFAULT 0,
    step INTEGER NOT NULL DEFAULT 0, UNIQUE (text, id));
CREATE TABLE IF NOT EXISTS places (
    shard TEXT NOT NULL, row INTEGER NOT NULL, text TEXT NOT NULL, document INTEGER NOT NULL, PRIMARY KEY (shard, row, text)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS places_of ON places (document);
CREATE TABLE IF NOT EXISTS searched (shard TEXT NOT NULL, text TEXT NOT NULL, upto INTEGER NOT NULL, PRIMARY KEY (shard, text)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS steps (
    step INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, annotator TEXT NOT NULL, created REAL NOT NULL, undone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS changes (
    step INTEGER NOT NULL, document INTEGER NOT NULL,
    label_before TEXT, note_before TEXT, annotator_before TEXT, created_before REAL, step_before INTEGER, label TEXT, note TEXT,
    PRIMARY KEY (step, document)) WITHOUT ROWID;
"""

_FRAME: dict[str, Any] = {
    "row": pl.Int64,
    "label": pl.String,
    "note": pl.String,
    "annotator": pl.String,
    "created": pl.Datetime("ms", "UTC"),
    "id": pl.String,
    "text_hash": pl.String,
}


@dataclass(frozen=True)
class Step:
    """One change of labels, which undo takes back as a whole.

    Attributes:
        what: in words ("good: 12 documents").
        documents: how many it was asked for.
        changed: how many carry another label or note now.
        left: how many stayed as they were although they were asked for, because somebody has changed them since.
        without_text: how many have no text (null) and so cannot be labelled.

    """

    what: str
    documents: int
    changed: int
    left: int = 0
    without_text: int = 0


@dataclass(frozen=True)
class Found:
    """What looking for the workspace's labels in a corpus gave.

    Attributes:
        placed: labelled documents that are in this corpus.
        found: of these, how many were found by their text just now.
        changed: not here under their text, but their id is: the text was edited since.
        absent: neither text nor id is here: labelled in another corpus, or removed from this one.
        unsearched: not looked for yet, since that reads every text.

    """

    placed: int
    found: int = 0
    changed: int = 0
    absent: int = 0
    unsearched: int = 0

    def __str__(self) -> str:
        said = [f"{self.placed:,} labelled documents are in this corpus"]
        said += [f"{self.found:,} of them were found again by their text"] if self.found else []
        said += [f"{self.changed:,} more are here by id, but with another text than was labelled"] if self.changed else []
        said += [f"{self.absent:,} more are not here"] if self.absent else []
        said += [f"{self.unsearched:,} more were not looked for by text yet (explorer labels find)"] if self.unsearched else []
        return "; ".join(said) + "."


def text_hash(text: str | bytes) -> bytes:
    """A text's identity: blake2b, 16 bytes, of its UTF-8."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, digest_size=16).digest()


class Labels:
    """The labels of a workspace, as one annotator sees and changes them; each call opens the file anew, so threads may share it."""

    def __init__(self, workspace: Workspace | str | Path, annotator: str = "") -> None:
        self.workspace = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
        self.annotator = annotator
        self.path = self.workspace.path / FILE

    # --- change ------------------------------------------------------------------------------------------------------------

    def set(self, corpus: Corpus, rows: Sequence[int] | np.ndarray, label: str | None, *, note: str | None = None) -> Step:
        """Give documents a label, all in one step.

        Args:
            corpus: where they are.
            rows: numbers of documents.
            label: any short text, such as good, bad or unsure; None takes their labels away.
            note: a remark; None keeps the one that is there.

        Raises:
            WorkspaceError: the label or note is unfit, or the file cannot be written.
            CorpusError: a document does not exist.

        """
        label, note = checked_label(label), _checked_note(note)
        known = identities(corpus, rows)
        there = known.filter(pl.col("text").is_not_null())
        what = f"{'label removed' if label is None else label}: {there.height:,} {'document' if there.height == 1 else 'documents'}"
        changed = self._change(
            ((r["text"], r["id"], r["size"], r["shard"], r["inner"], label, note) for r in there.iter_rows(named=True)),
            what,
            corpus.roles.text,
        )
        return Step(what, there.height, changed, 0, known.height - there.height)

    def undo(self) -> Step | None:
        """Take back this annotator's last step; None when there is none. Labels that others changed since are left alone."""
        return self._step_back(True)

    def redo(self) -> Step | None:
        """Do again what was taken back last; None when there is nothing."""
        return self._step_back(False)

    def next_undo(self) -> str | None:
        """What `undo` would take back, in words."""
        return self._next("SELECT what FROM steps WHERE annotator = ? AND NOT undone ORDER BY step DESC LIMIT 1")

    def next_redo(self) -> str | None:
        """What `redo` would do again, in words."""
        return self._next("SELECT what FROM steps WHERE annotator = ? AND undone ORDER BY step LIMIT 1")

    def _next(self, query: str) -> str | None:
        if not self.path.exists():
            return None
        with self._open() as connection:
            found = connection.execute(query, (self.annotator,)).fetchone()
        return found[0] if found else None

    def _change(self, items: Iterable[tuple[Any, ...]], what: str, column: str) -> int:
        """Write labels of documents: (text hash, id, bytes, shard or None, row or None, label, note or None keeps); how many changed.

        ``column`` holds the texts of those that have a row.
        """
        now = time.time()
        with self._open(write=True) as connection:
            connection.execute(
                "CREATE TEMP TABLE incoming (text BLOB, id TEXT, size INTEGER, shard TEXT, row INTEGER, label TEXT, note TEXT)"
            )
            connection.executemany("INSERT INTO incoming VALUES (?, ?, ?, ?, ?, ?, ?)", items)
            connection.execute("INSERT OR IGNORE INTO documents (text, id, size) SELECT text, id, size FROM incoming")
            connection.execute(
                "INSERT OR REPLACE INTO places SELECT i.shard, i.row, ?, d.document FROM incoming i JOIN documents d USING (text, id) WHERE i.shard IS NOT NULL",
                (column,),
            )
            connection.execute(
                "DELETE FROM changes WHERE step IN (SELECT step FROM steps WHERE annotator = ? AND undone)", (self.annotator,)
            )
            connection.execute("DELETE FROM steps WHERE annotator = ? AND undone", (self.annotator,))
            step = connection.execute(
                "INSERT INTO steps (what, annotator, created) VALUES (?, ?, ?)", (what, self.annotator, now)
            ).lastrowid
            # Of several lines for one document the last one counts.
            connection.execute(
                """INSERT INTO changes
                SELECT ?, d.document, d.label, d.note, d.annotator, d.created, d.step, i.label, coalesce(i.note, d.note)
                FROM (SELECT text, id, label, note, max(rowid) FROM incoming GROUP BY text, id) i JOIN documents d USING (text, id)
                WHERE d.label IS NOT i.label OR d.note IS NOT coalesce(i.note, d.note)""",
                (step,),
            )
            changed = connection.execute(
                """UPDATE documents SET label = c.label, note = c.note, annotator = ?, created = ?, step = c.step
                FROM changes c WHERE c.step = ? AND c.document = documents.document""",
                (self.annotator, now, step),
            ).rowcount
            if not changed:
                connection.execute("DELETE FROM steps WHERE step = ?", (step,))
            old = "step <= (SELECT max(step) FROM steps) - ?"
            connection.execute(f"DELETE FROM changes WHERE {old}", (STEPS,))
            connection.execute(f"DELETE FROM steps WHERE {old}", (STEPS,))
            connection.execute("DROP TABLE incoming")
        return int(changed)

    def _step_back(self, undo: bool) -> Step | None:
        if not self.path.exists():
            return None
        with self._open(write=True) as connection:
            order = "NOT undone ORDER BY step DESC" if undo else "undone ORDER BY step"
            found = connection.execute(
                f"SELECT step, what FROM steps WHERE annotator = ? AND {order} LIMIT 1", (self.annotator,)
            ).fetchone()
            if found is None:
                return None
            step, what = found
            documents = connection.execute("SELECT count(*) FROM changes WHERE step = ?", (step,)).fetchone()[0]
            if undo:
                changed = connection.execute(
                    """UPDATE documents SET label = c.label_before, note = c.note_before, annotator = c.annotator_before,
                    created = c.created_before, step = c.step_before
                    FROM changes c WHERE c.step = ? AND c.document = documents.document AND documents.step = c.step""",
                    (step,),
                ).rowcount
            else:
                changed = connection.execute(
                    """UPDATE documents SET label = c.label, note = c.note, annotator = ?, created = ?, step = c.step
                    FROM changes c WHERE c.step = ? AND c.document = documents.document AND documents.step = c.step_before""",
                    (self.annotator, time.time(), step),
                ).rowcount
            connection.execute("UPDATE steps SET undone = ? WHERE step = ?", (int(undo), step))
        return Step(what, documents, changed, documents - changed)

    # --- look --------------------------------------------------------------------------------------------------------------

    def of(self, corpus: Corpus, *, look: bool | None = None) -> pl.DataFrame:
        """The labelled documents of a corpus.

        Args:
            corpus: the corpus.
            look: also look by text for labels that were given elsewhere (see `find`); by default where that reads at most 256 MB.

        Returns:
            row (number of the document, ascending), label, note, annotator, created, id, text_hash (hex).

        """
        if not self.path.exists():
            return pl.DataFrame(schema=_FRAME)
        if look or (look is None and sum(_text_size(corpus, s) for s in self._unsearched(corpus)) <= LOOK):
            self.find(corpus)
        with self._open() as connection:
            found = connection.execute(
                """SELECT p.shard, p.row, d.label, d.note, d.annotator, d.created, d.id, d.text
                FROM places p JOIN documents d USING (document)
                WHERE d.label IS NOT NULL AND p.shard IN (SELECT value FROM json_each(?)) AND p.text = ?""",
                _here(corpus),
            ).fetchall()
        if not found:
            return pl.DataFrame(schema=_FRAME)
        columns = ["shard", "inner", "label", "note", "annotator", "created", "id", "text"]
        frame = pl.DataFrame(dict(zip(columns, zip(*found, strict=True), strict=True)))
        shards = pl.DataFrame(
            {
                "shard": [s.fingerprint for s in corpus.shards],
                "first": [s.first_row for s in corpus.shards],
                "rows": [s.rows for s in corpus.shards],
            }
        )
        placed = frame.join(shards, on="shard").filter(pl.col("inner") < pl.col("rows"))
        return placed.select(
            (pl.col("first") + pl.col("inner")).alias("row"),
            "label",
            "note",
            "annotator",
            (pl.col("created") * 1000).cast(pl.Int64).cast(pl.Datetime("ms", "UTC")).alias("created"),
            "id",
            pl.col("text").bin.encode("hex").alias("text_hash"),
        ).sort("row")

    def counts(self, corpus: Corpus | None = None) -> dict[str, int]:
        """Documents a label, most frequent first: those of a corpus (found so far), or all of the workspace."""
        if not self.path.exists():
            return {}
        if corpus is not None:
            frame = self.of(corpus, look=False)["label"].value_counts(sort=True)
            return dict(zip(frame["label"].to_list(), frame["count"].to_list(), strict=True))
        with self._open() as connection:
            query = "SELECT label, count(*) FROM documents WHERE label IS NOT NULL GROUP BY label ORDER BY count(*) DESC, label"
            return dict(connection.execute(query).fetchall())

    def find(
        self, corpus: Corpus, *, on_progress: Callable[[int, int], None] | None = None, cancel: threading.Event | None = None
    ) -> Found:
        """Look by text for labelled documents that were seen elsewhere; a file is searched once for a label, and that is remembered.

        Only texts as long as a wanted one are hashed. Of several rows with the same text the one with the same id is taken, else
        the first.

        Args:
            corpus: where to look.
            on_progress: called with the documents looked at and their total after each batch.
            cancel: when set, stop; nothing is remembered then.

        """
        if not self.path.exists():
            return Found(0)
        shards = self._unsearched(corpus)
        with self._open() as connection:
            # Documents whose label was taken away count too: it may be given back by undo.
            wanted = connection.execute(
                """SELECT document, text, id, size FROM documents d
                WHERE NOT EXISTS (SELECT 1 FROM places p WHERE p.document = d.document AND p.shard IN (SELECT value FROM json_each(?)) AND p.text = ?)""",
                _here(corpus),
            ).fetchall()
            last = connection.execute("SELECT coalesce(max(document), 0) FROM documents").fetchone()[0]
        hits: dict[int, tuple[bool, str, int]] = {}
        if shards and wanted:
            by_text: dict[bytes, list[tuple[int, str]]] = {}
            for document, text, ident, _ in wanted:
                by_text.setdefault(text, []).append((document, ident))
            lengths = {size for *_, size in wanted}
            sizes = None if -1 in lengths else pa.array(sorted(lengths), pa.int64())
            looked = 0
            for shard in shards:
                for first, texts, ids in _read(corpus, shard):
                    if cancel is not None and cancel.is_set():
                        return self.found(corpus)
                    alike = _of_length(texts, sizes)
                    for i in alike.tolist():
                        for document, ident in by_text.get(text_hash(texts[i].as_py()), ()):
                            same = bool(ident) and ids is not None and ids[i].as_py() == ident
                            if document not in hits or (same and not hits[document][0]):
                                hits[document] = (same, shard.fingerprint, first + i)
                    looked += len(texts)
                    if on_progress is not None:
                        on_progress(looked, sum(s.rows for s in shards))
        if shards:
            with self._open(write=True) as connection:
                connection.executemany(
                    "INSERT OR IGNORE INTO places VALUES (?, ?, ?, ?)",
                    [(shard, row, corpus.roles.text, document) for document, (_, shard, row) in hits.items()],
                )
                connection.executemany(
                    "INSERT INTO searched VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET upto = max(upto, excluded.upto)",
                    [(s.fingerprint, corpus.roles.text, last) for s in shards],
                )
        return self.found(corpus, len(hits))

    def found(self, corpus: Corpus, found: int = 0) -> Found:
        """How many of the workspace's labels are in this corpus, and what is known of the others."""
        if not self.path.exists():
            return Found(0)
        with self._open() as connection:
            rest = connection.execute(
                """SELECT document, id FROM documents d WHERE label IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM places p WHERE p.document = d.document AND p.shard IN (SELECT value FROM json_each(?)) AND p.text = ?)""",
                _here(corpus),
            ).fetchall()
            total = connection.execute("SELECT count(*) FROM documents WHERE label IS NOT NULL").fetchone()[0]
            upto = dict(connection.execute("SELECT shard, upto FROM searched WHERE text = ?", (corpus.roles.text,)).fetchall())
        least = min((upto.get(s.fingerprint, 0) for s in corpus.shards), default=0)
        missing = [(document, ident) for document, ident in rest if document <= least]
        ids = {ident for _, ident in missing if ident}
        present = _present(corpus, ids) if ids else set()
        changed = sum(ident in present for _, ident in missing if ident)
        return Found(total - len(rest), found, changed, len(missing) - changed, len(rest) - len(missing))

    def _unsearched(self, corpus: Corpus) -> list[Shard]:
        """Files in which a label without a place in this corpus was not looked for yet."""
        with self._open() as connection:
            last = connection.execute(
                """SELECT coalesce(max(document), 0) FROM documents d WHERE label IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM places p WHERE p.document = d.document AND p.shard IN (SELECT value FROM json_each(?)) AND p.text = ?)""",
                _here(corpus),
            ).fetchone()[0]
            upto = dict(connection.execute("SELECT shard, upto FROM searched WHERE text = ?", (corpus.roles.text,)).fetchall())
        return [s for s in corpus.shards if upto.get(s.fingerprint, 0) < last]

    def stamp(self) -> tuple[int, ...]:
        """Changes whenever a label does; a key for whatever is cached from them."""
        if not self.path.exists():
            return (0,)
        with self._open() as connection:
            query = "SELECT coalesce(max(step), 0), coalesce(sum(step * undone), 0), (SELECT count(*) FROM places) FROM steps"
            return tuple(connection.execute(query).fetchone())

    # --- files -------------------------------------------------------------------------------------------------------------

    def export(self, path: str | Path, corpus: Corpus | None = None) -> int:
        """Write the labels as CSV or Parquet, by the file's ending: id, text_hash, label, note, annotator, created; how many.

        Args:
            path: the file, .csv or .parquet.
            corpus: only its documents, with their number as ``row``; else every label of the workspace.

        """
        path = Path(path)
        if corpus is not None:
            frame = self.of(corpus)
        else:
            rows = []
            if self.path.exists():
                with self._open() as connection:
                    query = "SELECT label, note, annotator, created, id, lower(hex(text)) FROM documents WHERE label IS NOT NULL ORDER BY document"
                    rows = connection.execute(query).fetchall()
            schema = {name: kind for name, kind in _FRAME.items() if name not in ("row", "created")}
            columns = dict(zip(("label", "note", "annotator", "created", "id", "text_hash"), zip(*rows, strict=True), strict=False))
            frame = pl.DataFrame({name: columns.get(name, ()) for name in schema}, schema=schema).with_columns(
                (pl.Series("created", columns.get("created", ()), pl.Float64) * 1000).cast(pl.Int64).cast(pl.Datetime("ms", "UTC"))
            )
        order = ["row", "id", "text_hash", "label", "note", "annotator", "created"]
        frame = frame.select([c for c in order if c in frame.columns])
        if path.suffix.lower() == ".csv":
            write_atomically(path, lambda temporary: frame.write_csv(temporary))
        elif path.suffix.lower() == ".parquet":
            write_atomically(path, lambda temporary: frame.write_parquet(temporary))
        else:
            raise WorkspaceError(f"{str(path)!r} is neither .csv nor .parquet. Labels are written as one of these. Choose such an ending.")
        return frame.height

    def load(self, path: str | Path, corpus: Corpus | None = None) -> tuple[Step, tuple[str, ...]]:
        """Read labels from CSV or Parquet as one step: a column ``label``, and ``text_hash``, ``id`` or ``row`` to say of what.

        ``text_hash`` alone needs no corpus: such labels are found by `find` wherever their text is. ``id`` and ``row`` are looked
        up in the corpus; ``note`` is taken when it is there.

        Returns:
            What changed, and which ids were not found.

        Raises:
            WorkspaceError: the file cannot be read, or lacks these columns, or holds an unfit label.

        """
        frame = _read_table(Path(path))
        if "label" not in frame.columns:
            raise ColumnNotFoundError.named("label", repr(str(path)), frame.columns, "Rename the column that holds the labels to label.")
        frame = frame.filter(pl.col("label").is_not_null()).with_columns(pl.col("label").cast(pl.String))
        notes = frame["note"].cast(pl.String).to_list() if "note" in frame.columns else [None] * frame.height
        labels = [checked_label(label) for label in frame["label"].to_list()]
        notes = [_checked_note(note) for note in notes]
        if "text_hash" in frame.columns and frame["text_hash"].null_count() == 0:
            ids = [i or "" for i in frame["id"].cast(pl.String).to_list()] if "id" in frame.columns else [""] * frame.height
            hashes = [_hash_of(h) for h in frame["text_hash"].to_list()]
            what = f"import of {len(labels):,} labels from {Path(path).name}"
            known = self._known(hashes)
            items = []
            for h, i, label, note in zip(hashes, ids, labels, notes, strict=True):
                # an unknown size is -1: such a label is looked for among texts of every length; without an id it is for every
                # document of this text that is known
                there = known.get(h, {}) or {i: -1}
                items += [(h, j, size, None, None, label, note) for j, size in ({i: there.get(i, -1)} if i else there).items()]
            return Step(what, len(labels), self._change(items, what, "")), ()
        if corpus is None or not {"id", "row"} & set(frame.columns):
            raise WorkspaceError(
                f"{str(path)!r} does not say which documents its labels are of. It needs a column text_hash, or id or row together with a corpus. Columns: {', '.join(map(repr, frame.columns))}. Name the corpus."
            )
        if "id" in frame.columns:
            rows_of = _rows_of(corpus, {str(i) for i in frame["id"].to_list() if i is not None})
            rows = [rows_of.get(str(i)) if i is not None else None for i in frame["id"].to_list()]
        else:
            rows = [int(r) if r is not None and 0 <= int(r) < len(corpus) else None for r in frame["row"].to_list()]
        named = frame["id" if "id" in frame.columns else "row"].to_list()
        unknown = tuple(str(n) for n, row in zip(named, rows, strict=True) if row is None)
        records = {r["row"]: r for r in identities(corpus, [r for r in rows if r is not None]).iter_rows(named=True)}
        items = []
        for row, label, note in zip(rows, labels, notes, strict=True):
            r = records.get(row)
            if r is not None and r["text"] is not None:
                items.append((r["text"], r["id"], r["size"], r["shard"], r["inner"], label, note))
        what = f"import of {len(items):,} labels from {Path(path).name}"
        return Step(what, len(labels), self._change(items, what, corpus.roles.text), 0, len(labels) - len(unknown) - len(items)), unknown

    def _known(self, texts: Sequence[bytes]) -> dict[bytes, dict[str, int]]:
        """Ids and bytes of the documents known for each text."""
        if not self.path.exists():
            return {}
        found: dict[bytes, dict[str, int]] = {}
        with self._open() as connection:
            for text in set(texts):
                there = connection.execute("SELECT id, size FROM documents WHERE text = ?", (text,)).fetchall()
                found[text] = dict(there)
        return found

    # --- the file ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if write or not self.path.exists():
                self.workspace.folder()
            connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(self.path, error) from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise WorkspaceError(
                    f"{str(self.path)!r} was written by a newer version of this package (format {version}, known: {VERSION}). Update the package, or choose another workspace."
                )
            if version < VERSION:
                connection.execute("BEGIN IMMEDIATE")
                # Format 1 did not say which text column a place is in. Such places are forgotten, and found again by their text. Asked
                # anew, since another process may have done it meanwhile.
                if connection.execute("PRAGMA user_version").fetchone()[0] == 1:
                    connection.execute("DROP TABLE places")
                    connection.execute("DELETE FROM searched")
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
                connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error
        finally:
            if connection.in_transaction:
                connection.rollback()
            connection.close()


def identities(corpus: Corpus, rows: Sequence[int] | np.ndarray) -> pl.DataFrame:
    """What documents are known by: row, shard, inner, text (hash; null where the text is null), size (bytes), id ("" without one).

    Each document once, ascending.

    Raises:
        CorpusError: a document does not exist.

    """
    wanted = np.unique(np.asarray(rows, np.int64))
    if len(wanted):
        locate(corpus.shards, int(wanted[0]))
        locate(corpus.shards, int(wanted[-1]))
    shard_of = np.searchsorted(np.array([s.first_row + s.rows for s in corpus.shards], np.int64), wanted, side="right")
    few = _fetched(corpus, wanted) if len(wanted) <= FEW else {}

    def known(n: int) -> list[tuple[Any, ...]]:
        """(row, shard, inner, text hash, bytes, id) of the documents wanted of one file."""
        shard = corpus.shards[n]
        inner = wanted[shard_of == n] - shard.first_row
        quick = [(i, *few[row]) for i in inner.tolist() if (row := i + shard.first_row) in few]
        slow = np.array([i for i in inner.tolist() if i + shard.first_row not in few], np.int64)
        return [
            (shard.first_row + i, shard.fingerprint, i, None if text is None else text_hash(text), len(text or b""), ident)
            for i, text, ident in heapq.merge(quick, _taken(corpus, shard, slow), key=lambda item: item[0])
        ]

    with ThreadPoolExecutor(4) as pool:  # decoding and hashing release the interpreter's lock
        found = [item for items in pool.map(known, np.unique(shard_of).tolist()) for item in items]
    kinds: dict[str, Any] = {"row": pl.Int64, "shard": pl.String, "inner": pl.Int64, "text": pl.Binary, "size": pl.Int64, "id": pl.String}
    return pl.DataFrame(dict(zip(kinds, zip(*found, strict=True), strict=False)), schema=kinds) if found else pl.DataFrame(schema=kinds)


def _fetched(corpus: Corpus, rows: np.ndarray) -> dict[int, tuple[bytes, str]]:
    """Texts and ids of few documents; those whose text is null, or may have been mended for showing, are left to the slow way."""
    roles = corpus.roles
    frame = corpus.documents(rows, list(dict.fromkeys([roles.text, *([roles.id] if roles.id else [])])))
    found = {}
    for record in frame.iter_rows(named=True):
        text = record[roles.text]
        if isinstance(text, str) and "\ufffd" not in text:
            found[record["_row"]] = (text.encode(), _id(record[roles.id]) if roles.id else "")
    return found


def _taken(corpus: Corpus, shard: Shard, inner: np.ndarray) -> Iterator[tuple[int, bytes | None, str]]:
    """(row in the shard, text, id) of chosen rows, ascending; only row groups that hold one are read."""
    if not len(inner):
        return
    starts = np.cumsum([0, *(g.rows for g in shard.row_groups)])
    groups = [g for g in range(len(shard.row_groups)) if np.searchsorted(inner, starts[g]) < np.searchsorted(inner, starts[g + 1])]
    for first, texts, ids in _read(corpus, shard, groups):
        for i in inner[np.searchsorted(inner, first) : np.searchsorted(inner, first + len(texts))].tolist():
            yield i, texts[i - first].as_py(), "" if ids is None else _id(ids[i - first].as_py())


def _read(corpus: Corpus, shard: Shard, groups: Sequence[int] | None = None) -> Iterator[tuple[int, pa.Array, pa.Array | None]]:
    """(first row in the shard, texts as bytes, ids as text) in batches, in order."""
    roles = corpus.roles
    starts = np.cumsum([0, *(g.rows for g in shard.row_groups)])
    chosen = list(range(len(shard.row_groups))) if groups is None else list(groups)
    if roles.text not in shard.schema.names:
        for g in chosen:
            yield int(starts[g]), pa.nulls(shard.row_groups[g].rows, pa.large_binary()), None
        return
    columns = [roles.text] + ([roles.id] if roles.id and roles.id in shard.schema.names and roles.id != roles.text else [])
    file = shard.open()
    try:
        for g in chosen:
            at = int(starts[g])
            for batch in file.iter_batches(batch_size=4096, row_groups=[g], columns=columns):
                ids = _plain(batch.column(columns[1])).cast(pa.large_string()) if len(columns) > 1 else None
                yield at, _plain(batch.column(columns[0])).cast(pa.large_binary()), ids
                at += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{shard.path!r} cannot be read: {error}. Restore the file, or leave it out; then do the same again.") from error


def _of_length(texts: pa.Array, sizes: pa.Array | None) -> np.ndarray:
    """Indices of texts that are as long as one of these, of all texts that are there for None."""
    alike = texts.is_valid() if sizes is None else pc.fill_null(pc.is_in(pc.binary_length(texts).cast(pa.int64()), sizes), False)
    return np.flatnonzero(alike.to_numpy(zero_copy_only=False))


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _id(value: object) -> str:
    return "" if value is None else str(value)


def _rows_of(corpus: Corpus, ids: set[str]) -> dict[str, int]:
    """The first document with each id; one read of the id column."""
    if not corpus.roles.id:
        raise ColumnNotFoundError.named(
            "id", "the corpus, as an id", corpus.schema.names, "Say which column holds the ids: --id COLUMN, or import by row or text_hash."
        )
    found: dict[str, int] = {}
    wanted = pa.array(sorted(ids), pa.large_string())
    for shard in corpus.shards:
        if corpus.roles.id not in shard.schema.names:
            continue
        at = shard.first_row
        for batch in shard.open().iter_batches(batch_size=65_536, columns=[corpus.roles.id]):
            column = _plain(batch.column(0)).cast(pa.large_string())
            for i in np.flatnonzero(pc.fill_null(pc.is_in(column, wanted), False).to_numpy(zero_copy_only=False)).tolist():
                found.setdefault(column[i].as_py(), at + i)
            at += batch.num_rows
    return found


def _present(corpus: Corpus, ids: set[str]) -> set[str]:
    """Which of these ids the corpus has."""
    return set(_rows_of(corpus, ids)) if corpus.roles.id else set()


def _here(corpus: Corpus) -> tuple[str, str]:
    """Which places are in a corpus, for a query: its shards' fingerprints as JSON, and its text column."""
    return json.dumps(sorted({s.fingerprint for s in corpus.shards})), corpus.roles.text


def _text_size(corpus: Corpus, shard: Shard) -> int:
    return sum(g.sizes.get(corpus.roles.text, 0) for g in shard.row_groups)


def checked_label(label: str | None) -> str | None:
    """A label without white space around it; None stays None.

    Raises:
        WorkspaceError: it is empty, too long, or holds what cannot be seen.

    """
    if label is None:
        return None
    label = str(label).strip()
    if not label or len(label) > MOST_LABEL or not label.isprintable():
        raise WorkspaceError(
            f"{label[:80]!r} cannot be a label. A label is a text of 1 to {MOST_LABEL} visible characters. Use good, bad, unsure or a word of your own."
        )
    return label


def _checked_note(note: str | None) -> str | None:
    if note is None:
        return None
    if len(note) > MOST_NOTE:
        raise WorkspaceError(f"The note has {len(note):,} characters. {MOST_NOTE:,} are allowed. Shorten it.")
    return note.encode("utf-8", "replace").decode()


def _hash_of(value: object) -> bytes:
    try:
        raw = value if isinstance(value, bytes) else bytes.fromhex(str(value))
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise WorkspaceError(f"{str(value)[:60]!r} is no text hash. It is blake2b with 16 bytes of the UTF-8 text, as 32 hex digits.")
    return raw


def _read_table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() == ".csv":
            return pl.read_csv(path, infer_schema=False)
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError, ValueError) as error:
        said = str(error).strip().split("\n")[0]
        raise WorkspaceError(f"{str(path)!r} cannot be read as labels: {said}. Labels come as .csv or .parquet.") from error


def _unusable(path: Path, error: Exception) -> ExplorerError:
    if isinstance(error, OSError):
        return unwritable(path, error)
    said = str(error)
    if "locked" in said or "busy" in said:
        return WorkspaceError(f"{str(path)!r} is held by another process for more than a minute. Labels wait for each other. Try again.")
    if "readonly" in said or "unable to open" in said:
        return WorkspaceError(
            f"{str(path)!r} cannot be written: {said}. The workspace must be a folder you may write to. Choose one with --workspace DIR or EXPLORER_WORKSPACE."
        )
    if "full" in said:
        return WorkspaceError(f"The disk is full: {str(path)!r} could not be written. Nothing was changed. Free space, then try again.")
    return WorkspaceError(f"{str(path)!r} cannot be used: {said}. Move the file away, or restore it from a copy; scores are not affected.")


def shares(counts: Mapping[str, int]) -> str:
    """Counts of labels in words: "23 good, 17 bad"."""
    return ", ".join(f"{n:,} {label}" for label, n in counts.items()) or "none"
