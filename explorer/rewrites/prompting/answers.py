"""Answers to files of requests, joined into a file of rewrites; every request and every answer is accounted for."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.database import literal
from explorer.corpus.workspace import write_atomically
from explorer.errors import CorpusError
from explorer.rewrites.prompting.answer_lines import EXAMPLES, answer_files, collect
from explorer.rewrites.prompting.written import CUT, Document, Piece, Rewritten, Settings, assemble, schema, table, write

if TYPE_CHECKING:
    from explorer.engine.progress import Progress

MANIFEST, DOCUMENTS = "requests.json", "documents.parquet"
ROWS = 4096  # documents handled at once
MISSING = "no answer came"


@dataclass(frozen=True)
class Answers:
    """What came back. Of the requests, ``answered + failed + missing`` are all.

    Attributes:
        path: the file of rewrites; it has a row for each document.
        documents, rewritten: how many were asked about, and how many have a rewrite.
        requests: how many were written.
        answered: requests with an answer.
        truncated: of these, answers that were cut at the most tokens, or by a filter.
        unusable: of these, answers that are no rewrite (empty, or without the marks that the prompt asked for).
        failed: requests that the server could not answer, and ``reasons`` why.
        missing: requests of which the answers say nothing.
        duplicated: requests that were answered more than once; the first answer without a failure was taken.
        unknown: answers to something that was not asked, and ``unreadable`` lines that are no answer.
        examples: some of each, by name: ids, or file and line.
        models: what the answers say which model gave them, with counts; empty where they are silent.

    """

    path: Path
    documents: int
    rewritten: int
    requests: int
    answered: int
    truncated: int
    unusable: int
    failed: int
    missing: int
    duplicated: int
    unknown: int
    unreadable: int
    reasons: dict[str, int]
    examples: dict[str, tuple[str, ...]]
    models: dict[str, int]

    def __str__(self) -> str:
        said = f"{self.rewritten:,} of {self.documents:,} documents have a rewrite; {self.answered:,} of {self.requests:,} requests were answered"
        for name, about in (
            ("truncated", "cut short"),
            ("unusable", "no rewrite"),
            ("failed", "failed"),
            ("missing", "missing"),
            ("duplicated", "answered more than once"),
            ("unknown", "answers to nothing that was asked"),
            ("unreadable", "lines that are no answer"),
        ):
            if n := getattr(self, name):
                said += f"; {n:,} {about}"
                if found := self.examples.get(name):
                    said += f" ({', '.join(found)}{', …' if n > len(found) else ''})"
        return said


def read_answers(
    requests: str | os.PathLike[str],
    answers: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    again: str | os.PathLike[str] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Answers:
    """Join answers to the documents that were asked about, and write the rewrites.

    Lines of answers are what OpenAI's batch service writes (its output and its errors), as vLLM does too, or plain
    ``{"custom_id": …, "text": …}``, with ``finish_reason`` and ``error`` where there are any.

    Args:
        requests: the folder that `write_requests` made.
        answers: files of lines, folders that hold ``*.jsonl``, or globs; in any order.
        out: the file of rewrites, which must not exist; `open_pairs(ORIGINALS, out, on=ID)` opens it.
        again: a file for the requests that failed or are missing, to be sent once more.
        on_progress: called as answers are read and documents are joined.

    Raises:
        CorpusError: the folder holds no requests, a file of answers is not there, or ``out`` exists.

    """
    from explorer.engine.progress import Progress

    folder, target = Path(requests), Path(out)
    record, settings = _record(folder)
    files = answer_files(answers)
    for path in (target, *([Path(again)] if again else [])):
        if path.exists():
            raise CorpusError(f"{str(path)!r} exists. It was left as it is, as it may hold answers that were paid for. Name another file.")
    wanted: set[str] | None = set() if again else None
    started = time.monotonic()
    total = int(record["documents"])

    def tell(doing: str = "", done: int = 0, state: str = "running") -> None:
        on_progress(Progress(state, done, total, 0, 0, time.monotonic() - started, doing, of="documents"))

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        collected = Path(scratch) / "answers.parquet"
        seen = collect(files, collected, lambda n: tell(f"read {n:,} answers"))
        with _Join(folder / DOCUMENTS, collected, Path(scratch)) as join:
            count = _Count(settings, wanted)
            id_name = join.id_name
            into = schema(settings, pa.field(id_name, join.id_type) if id_name else None, originals=not id_name)

            def tables() -> Iterator[pa.Table]:
                group: list[Rewritten] = []
                for document, gaps, key, pieces in join.documents():
                    group.append(count.one(document, gaps, key, pieces))
                    if len(group) >= ROWS:
                        yield table(settings, group, into, id_name)
                        group = []
                        tell(done=count.documents)
                yield table(settings, group, into, id_name)

            write(target, tables(), into)
            duplicated, unknown = join.duplicated(), join.unknown()
    if again and wanted is not None:
        _ask_again(folder, wanted, Path(again))
    tell(done=count.documents, state="done")
    examples = {**count.examples, "duplicated": duplicated[1], "unknown": unknown[1], "unreadable": tuple(seen.unreadable)}
    return Answers(
        path=target,
        documents=count.documents,
        rewritten=count.rewritten,
        requests=int(record["requests"]),
        answered=count.answered,
        truncated=count.truncated,
        unusable=count.unusable,
        failed=count.failed,
        missing=count.missing,
        duplicated=duplicated[0],
        unknown=unknown[0],
        unreadable=seen.unreadable_lines,
        reasons=dict(count.reasons.most_common()),
        examples={name: found for name, found in examples.items() if found},
        models=dict(seen.models.most_common()),
    )


class _Join:
    """The documents that were asked about, each with the answers to its pieces."""

    def __init__(self, documents: Path, answers: Path, scratch: Path) -> None:
        said = pq.read_schema(documents)
        self.id_name = (said.metadata or {}).get(b"id", b"").decode()
        self.id_type = said.field("id").type if self.id_name else pa.string()
        self._own = "id" if self.id_name else "original"
        self._connection = duckdb.connect(config={"temp_directory": str(scratch)})
        for name, path in (("documents", documents), ("answers", answers)):
            self._connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({literal(str(path))})")
        self._connection.execute(
            "CREATE TABLE fitting AS SELECT seq, row, k, problem = '' AND answer <> '' AS good "
            "FROM answers JOIN documents USING (row, key) WHERE k < len(gaps)"
        )
        self._connection.execute(
            "CREATE TABLE chosen AS SELECT row, k, coalesce(min(seq) FILTER (WHERE good), min(seq)) AS seq, count(*) AS n "
            "FROM fitting GROUP BY row, k"
        )

    def __enter__(self) -> _Join:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def documents(self) -> Iterator[tuple[Document, list[str], str, dict[int, Piece]]]:
        """(document, gaps, key, what came for each piece), in the order of the corpus; a document's text where it has no id."""
        reader = self._connection.sql(
            f"SELECT d.row AS row, d.key AS key, d.gaps AS gaps, d.{self._own} AS own, a.k AS k, answer, finish, problem, "
            "prompt_tokens, completion_tokens FROM documents d LEFT JOIN (answers a JOIN chosen c USING (seq)) ON d.row = a.row ORDER BY d.row, a.k"
        ).to_arrow_reader(ROWS)
        now: tuple[Document, list[str], str, dict[int, Piece]] | None = None
        for batch in reader:
            for r in batch.to_pylist():
                if now is None or now[0].row != r["row"]:
                    if now is not None:
                        yield now
                    document = Document(r["row"], r["own"], None) if self.id_name else Document(r["row"], None, r["own"])
                    now = document, r["gaps"], r["key"], {}
                if r["k"] is not None:
                    now[3][r["k"]] = Piece(r["answer"], r["finish"] or "", r["problem"], r["prompt_tokens"], r["completion_tokens"])
        if now is not None:
            yield now

    def duplicated(self) -> tuple[int, tuple[str, ...]]:
        """Requests with several answers, and some of them."""
        return self._found("SELECT custom_id, c.seq AS seq FROM chosen c JOIN answers USING (seq) WHERE n > 1")

    def unknown(self) -> tuple[int, tuple[str, ...]]:
        """Answers to what was not asked, and some of them."""
        return self._found("SELECT custom_id, seq FROM answers ANTI JOIN fitting USING (seq)")

    def _found(self, query: str) -> tuple[int, tuple[str, ...]]:
        [(n,)] = self._connection.sql(f"SELECT count(*) FROM ({query})").fetchall()
        some = self._connection.sql(f"SELECT custom_id FROM ({query}) ORDER BY seq LIMIT {EXAMPLES}").fetchall()
        return int(n), tuple(str(name) for (name,) in some)


class _Count:
    """What became of every request."""

    def __init__(self, settings: Settings, again: set[str] | None) -> None:
        self._settings, self._again = settings, again
        self.documents = self.rewritten = self.answered = self.truncated = self.unusable = self.failed = self.missing = 0
        self.reasons: Tally[str] = Tally()
        self.examples: dict[str, tuple[str, ...]] = {}

    def one(self, document: Document, gaps: list[str], key: str, came: dict[int, Piece]) -> Rewritten:
        """A document's rewrite, counted."""
        pieces = [came.get(k, Piece(None, "", MISSING)) for k in range(len(gaps))]
        for k, piece in enumerate(pieces):
            name = f"{key}-{document.row}-{k}"
            if piece.problem:
                self._add("failed" if k in came else "missing", name)
                if k in came:
                    self.reasons[piece.problem] += 1
                if self._again is not None:
                    self._again.add(name)
                continue
            self.answered += 1
            if piece.finish in CUT:
                self._add("truncated", name)
            if self._settings.prompt.read(piece.answer or "")[0] is None:
                self._add("unusable", name)
        made = assemble(self._settings, document, gaps, pieces, key)
        self.documents += 1
        self.rewritten += made.rewrite is not None
        return made

    def _add(self, what: str, name: str) -> None:
        setattr(self, what, getattr(self, what) + 1)
        if len(self.examples.get(what, ())) < EXAMPLES:
            self.examples[what] = (*self.examples.get(what, ()), name)


def _record(folder: Path) -> tuple[dict[str, Any], Settings]:
    """The record of a folder of requests."""
    try:
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if record["version"] != 1 or not (folder / DOCUMENTS).is_file():
            raise ValueError("another version")
        return record, Settings.from_dict(record["settings"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CorpusError(
            f"{str(folder)!r} holds no requests: {MANIFEST} and {DOCUMENTS}, which were written with them, are not there or not whole. "
            "Name the folder that the requests were written to."
        ) from error


def _ask_again(folder: Path, names: set[str], out: Path) -> None:
    """Copy the requests of these ids."""

    def fill(temporary: Path) -> None:
        with open(temporary, "w", encoding="ascii", newline="\n") as target:
            for path in sorted(folder.glob("requests-*.jsonl")):
                with open(path, encoding="ascii", newline="\n") as file:
                    target.writelines(line for line in file if json.loads(line)["custom_id"] in names)

    write_atomically(out, fill)
