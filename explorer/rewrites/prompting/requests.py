"""Rewrites made elsewhere: files of requests for a server or a provider's batch service, and what came back as a file of rewrites.

    asked = write_requests(corpus, None, prompts["wrap-medium"], "requests", model_name="mistral-7b-instruct")
    …                                        # vllm run-batch, or a provider's batch service: a file of answers for each file
    report = read_answers("requests", ["answers.jsonl"], "rewrites.parquet")

Requests are lines of JSON as OpenAI's batch service takes them. ``custom_id`` is the key of a rewrite (`Settings.key`), the document's row
and the number of the piece, so that answers may come in any order, from several files, more than once, or not at all.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.errors import CorpusError, ModelError
from explorer.rewrites.prompting.answers import DOCUMENTS, MANIFEST, Answers, read_answers
from explorer.rewrites.prompting.chunks import ESTIMATE, Counter, split
from explorer.rewrites.prompting.prompts import AS_PUBLISHED, Prompt
from explorer.rewrites.prompting.written import Document, Settings, each_document, id_field

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus
    from explorer.engine.progress import Progress

__all__ = ["Answers", "Requests", "read_answers", "write_requests"]

URL = "/v1/chat/completions"
LINES = 50_000  # requests a file, and bytes of one: what OpenAI's batch service takes
PART_BYTES = 100_000_000


@dataclass(frozen=True)
class Requests:
    """What was written.

    Attributes:
        folder: with ``requests-00000.jsonl`` …, to be sent; ``documents.parquet`` and ``requests.json``, which are needed to
            read the answers.
        settings: how the documents are to be rewritten.
        documents, requests, files: how many.
        blank: documents without text, for which nothing is asked.
        tokens: of all pieces, without the prompt; ``estimated`` says whether they were not counted.

    """

    folder: Path
    settings: Settings
    documents: int
    requests: int
    files: int
    blank: int
    tokens: int
    estimated: bool

    def __str__(self) -> str:
        about = "about " if self.estimated else ""
        said = f"{self.requests:,} requests for {self.documents:,} documents in {self.files:,} files, {about}{self.tokens:,} tokens of text"
        return f"{said}; {self.blank:,} documents have no text" if self.blank else said


def write_requests(
    corpus: Corpus,
    rows: Sequence[int] | np.ndarray | None,
    prompt: Prompt,
    out: str | os.PathLike[str],
    *,
    model_name: str,
    chunk_tokens: int | None = AS_PUBLISHED,
    seed: int = 0,
    temperature: float | None = None,
    top_p: float | None = None,
    max_new_tokens: int | None = None,
    counter: Counter = ESTIMATE,
    lines: int = LINES,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> Requests | None:
    """Write requests for any number of documents; a few of them are in memory at a time.

    Args:
        corpus: whose documents.
        rows: their numbers; None for all.
        prompt: what the model is to be told.
        out: new or empty folder; it appears when all is written.
        model_name: under which the model is served.
        chunk_tokens: longest piece of a document, None for whole documents; by default the prompt's own.
        seed: of the draws, for servers that heed it.
        temperature: by default as the prompt was published; so are the next two.
        top_p: left out of the requests where it is 1.
        max_new_tokens: most tokens of an answer.
        counter: how tokens are counted (`explorer.rewrites.prompting.chunks.counter`); by default estimated from words.
        lines: requests in a file, at most; a file is also ended at 100 MB.
        on_progress: called as documents are written.
        cancel: when set, nothing is written.

    Returns:
        What was written; None when it was cancelled.

    Raises:
        CorpusError: the folder holds something, or cannot be written.
        ModelError: no model was named, or a parameter does not fit.

    """
    from explorer.engine.progress import Progress
    from explorer.manifest.folders import new_folder

    folder = Path(out)
    if not model_name:
        raise ModelError("No model was named. Requests carry the name under which a model is served. Name it: --endpoint-model NAME.")
    if lines < 1:
        raise ModelError(f"lines {lines} does not fit. A file has at least one request. OpenAI's batch service takes {LINES:,}.")
    if (folder / MANIFEST).exists():
        raise CorpusError(
            f"{str(folder)!r} holds requests already, whose answers could not be read without it. It was left as it is. Name a new folder."
        )
    how: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens, "seed": seed}
    settings = Settings.of(prompt, model_name, "", counter.name, {}, chunk_tokens=chunk_tokens, **how)
    total = len(corpus) if rows is None else len(np.unique(np.asarray(rows, np.int64)))
    started = time.monotonic()
    progress = Progress("running", 0, total, 0, 0, 0.0, of="documents")
    try:
        with (
            new_folder(folder, what="a folder of requests", ours=lambda path: False, error=CorpusError) as temporary,
            closing(_Writer(temporary, corpus, settings, counter, lines)) as writer,
        ):
            for documents in each_document(corpus, rows, size=4096):
                if cancel is not None and cancel.is_set():
                    raise _Cancelled
                writer.add(documents)
                progress = replace(progress, done_rows=writer.documents, done_bytes=writer.bytes, seconds=time.monotonic() - started)
                on_progress(progress)
            made = writer.made(folder, counter.estimated)
            record = {
                "version": 1,
                "settings": settings.to_dict(),
                **{name: getattr(made, name) for name in ("documents", "requests", "files", "blank")},
                "corpus": {"paths": list(corpus.paths), "fingerprint": corpus.fingerprint, "id": corpus.roles.id},
            }
            (temporary / MANIFEST).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except _Cancelled:
        return None
    on_progress(replace(progress, state="done"))
    return made


class _Cancelled(Exception):
    """Leaves the folder as if nothing had been written."""


class _Writer:
    """Requests in parts, and beside them what is needed to read their answers."""

    def __init__(self, folder: Path, corpus: Corpus, settings: Settings, counter: Counter, lines: int) -> None:
        self._folder, self._settings, self._counter, self._lines = folder, settings, counter, lines
        self.documents = self.requests = self.files = self.blank = self.tokens = self.bytes = 0
        self._in_part = self._part_bytes = 0
        self._file: Any = None
        self._id = id_field(corpus)
        columns = [pa.field("row", pa.int64()), pa.field("key", pa.string()), pa.field("gaps", pa.list_(pa.string()))]
        # without an id a rewrite can only be opened with its original beside it
        columns.append(pa.field("id", self._id.type) if self._id is not None else pa.field("original", pa.string()))
        self._schema = pa.schema(columns, metadata={"id": self._id.name if self._id is not None else ""})
        self._index = pq.ParquetWriter(folder / DOCUMENTS, self._schema, compression="zstd")

    def add(self, documents: Sequence[Document]) -> None:
        """Requests for some documents."""
        index = []
        for document in documents:
            text = document.text or ""
            chunks = split(text, self._settings.chunk_tokens, self._counter)
            key = self._settings.key(document)
            row = {"row": document.row, "key": key, "gaps": list(chunks.gaps)}
            index.append({**row, "id": document.id} if self._id is not None else {**row, "original": document.text})
            for k, chunk in enumerate(chunks.texts):
                self._request(f"{key}-{document.row}-{k}", self._settings.prompt.messages(chunk))
            self.blank += not chunks.texts
            self.tokens += sum(chunks.tokens)
            self.bytes += len(text.encode("utf-8", "replace"))
        self.documents += len(documents)
        self._index.write_table(pa.Table.from_pylist(index, schema=self._schema))

    def _request(self, name: str, messages: list[dict[str, str]]) -> None:
        sampling = self._settings.sampling
        body: dict[str, Any] = {"model": self._settings.model, "messages": messages, "temperature": sampling.temperature}
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        body |= {"max_tokens": sampling.max_new_tokens, "seed": sampling.seed}
        # ASCII escapes carry every text, a lone surrogate too
        line = json.dumps({"custom_id": name, "method": "POST", "url": URL, "body": body}, ensure_ascii=True) + "\n"
        if self._file is None or self._in_part >= self._lines or self._part_bytes + len(line) > PART_BYTES:
            self._end_part()
            self._file = open(self._folder / f"requests-{self.files:05d}.jsonl", "w", encoding="ascii", newline="\n")  # noqa: SIM115
            self.files += 1
            self._in_part = self._part_bytes = 0
        self._file.write(line)
        self._in_part += 1
        self._part_bytes += len(line)
        self.requests += 1

    def _end_part(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def made(self, folder: Path, estimated: bool) -> Requests:
        """What was written."""
        return Requests(folder, self._settings, self.documents, self.requests, self.files, self.blank, self.tokens, estimated)

    def close(self) -> None:
        """End the files."""
        self._end_part()
        self._index.close()
