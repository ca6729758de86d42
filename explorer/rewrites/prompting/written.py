"""Rewrites as they are kept: how they were made, one row a document, a Parquet file that `open_pairs` opens with its originals.

A row is there for every document that was asked for, also where no rewrite came of it: ``rewrite`` is then null and ``error`` says why.
``answer`` holds what the model wrote where the rewrite is not all of it (reasoning, delimiters, an answer that is no rewrite).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.documents import locate
from explorer.corpus.workspace import write_atomically
from explorer.errors import CorpusError
from explorer.models.generation import Sampling
from explorer.rewrites.prompting.chunks import joined
from explorer.rewrites.prompting.prompts import AS_PUBLISHED, Prompt

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

METADATA = b"explorer.rewrites"
ORIGINAL_ID = "original_id"  # what the originals' id is called where its own name is one of ours
CUT = ("length", "content_filter")  # ways to finish that leave a text incomplete
_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("rewrite", pa.string()),
    ("method", pa.string()),
    ("style", pa.string()),
    ("prompt_id", pa.string()),
    ("generator_model", pa.string()),
    ("generator_revision", pa.string()),
    ("seed", pa.int64()),
    ("parameters", pa.string()),
    ("finish", pa.string()),
    ("chunks", pa.int32()),
    ("prompt_tokens", pa.int64()),
    ("completion_tokens", pa.int64()),
    ("seconds", pa.float64()),
    ("answer", pa.string()),
    ("error", pa.string()),
]


@dataclass(frozen=True)
class Settings:
    """All that decides what a document becomes.

    Attributes:
        prompt: what the model is told.
        model: its name; ``revision`` is empty where a server does not say it.
        sampling: how tokens are chosen.
        chunk_tokens: longest piece of a document, None for whole documents; ``counted_by`` is the tokenizer, or "estimate".
        place: where it ran: ``{"dtype": …}`` here, ``{"base_url": …}`` of a server, nothing for requests that are answered elsewhere.

    """

    prompt: Prompt
    model: str
    revision: str
    sampling: Sampling
    chunk_tokens: int | None
    counted_by: str
    place: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        prompt: Prompt,
        model: str,
        revision: str,
        counted_by: str,
        place: dict[str, str],
        *,
        chunk_tokens: int | None = AS_PUBLISHED,
        temperature: float | None = None,
        top_p: float | None = None,
        max_new_tokens: int | None = None,
        seed: int = 0,
    ) -> Settings:
        """Settings in which what is not given is as the prompt was published.

        Raises:
            ModelError: a value out of range.

        """
        sampling = Sampling(
            float(prompt.temperature if temperature is None else temperature),
            float(prompt.top_p if top_p is None else top_p),
            prompt.max_new_tokens if max_new_tokens is None else max_new_tokens,
            seed,
        )
        limit = prompt.chunk_tokens if chunk_tokens == AS_PUBLISHED else chunk_tokens
        return cls(prompt, model, revision, sampling, limit, counted_by, place)

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything beside prompt, model and seed, by name."""
        said = {k: v for k, v in asdict(self.sampling).items() if k != "seed"}
        return {**said, "chunk_tokens": self.chunk_tokens, "counted_by": self.counted_by, **self.place}

    @cached_property
    def digest(self) -> str:
        """Identity of the settings."""
        said = [self.prompt.id, self.model, self.revision, self.sampling.seed, self.parameters]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    def key(self, document: Document) -> str:
        """Identity of the rewrite of a document: its id, its text and the settings. The same text under the same id has the same key."""
        said = json.dumps([self.digest, None if document.id is None else str(document.id), document.text], ensure_ascii=True)
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """A record."""
        return {**asdict(self), "prompt": self.prompt.to_dict()}

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> Settings:
        """From its record."""
        return cls(**{**said, "prompt": Prompt.from_dict(said["prompt"]), "sampling": Sampling(**said["sampling"])})

    def said(self) -> str:
        """In a line, for people."""
        return f"prompt {self.prompt.id}, model {self.model}, seed {self.sampling.seed}, {json.dumps(self.parameters)}"


class Document(NamedTuple):
    """A document of a corpus; ``id`` is None where the corpus has no ids."""

    row: int
    id: Any
    text: str | None


class Piece(NamedTuple):
    """What became of one piece of a document.

    Attributes:
        answer: what the model wrote; None where nothing came.
        finish: how it ended: "stop", "length", or what the server calls it.
        problem: why nothing came, or why it is of no use; empty when all is well.

    """

    answer: str | None
    finish: str = ""
    problem: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Rewritten:
    """What became of a document.

    Attributes:
        row: its number in the corpus; ``id`` and ``original`` are its own.
        key: identity of the rewrite (`Settings.key`).
        rewrite: None where there is none, and ``error`` says why.
        answer: all that the model wrote, where the rewrite is not all of it.
        finish: "stop"; "length" where a piece was cut at the most tokens.
        chunks: pieces that it was rewritten in.
        prompt_tokens, completion_tokens: of all pieces; None where nobody counted.
        seconds: that its slowest piece took, from the begin of its batch or request.

    """

    row: int
    id: Any
    key: str
    original: str | None
    rewrite: str | None
    answer: str | None
    finish: str
    chunks: int
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None
    error: str | None

    @property
    def pair_id(self) -> str:
        """Id of the rewrite."""
        return f"{self.key}-{self.row}"

    @property
    def cut(self) -> bool:
        """Whether the rewrite, or a part of it, ends before its end."""
        return self.finish in CUT


def assemble(settings: Settings, document: Document, gaps: Sequence[str], pieces: Sequence[Piece], key: str | None = None) -> Rewritten:
    """A document's rewrite from what became of its pieces."""
    read = [_read(settings.prompt, piece) for piece in pieces]
    problems = {k: problem for k, (text, problem) in enumerate(read) if text is None}
    if not pieces:
        error: str | None = "the document has no text"
    elif len(problems) == len(pieces) and len(set(problems.values())) == 1:
        error = problems[0]
    else:
        error = "; ".join(f"piece {k + 1} of {len(pieces)}: {problem}" for k, problem in problems.items()) or None
    rewrite = None if error else joined(gaps, [text or "" for text, _ in read])
    answer = joined(gaps, [p.answer or "" for p in pieces]) or None
    finish = [p.finish for p in pieces]
    return Rewritten(
        document.row,
        document.id,
        key or settings.key(document),
        document.text,
        rewrite,
        None if answer == rewrite else answer,
        next((f for f in finish if f != "stop"), "stop") if pieces else "",
        len(pieces),
        _sum([p.prompt_tokens for p in pieces]),
        _sum([p.completion_tokens for p in pieces]),
        max((p.seconds for p in pieces if p.seconds is not None), default=None),
        error,
    )


def _read(prompt: Prompt, piece: Piece) -> tuple[str | None, str]:
    if piece.problem or piece.answer is None:
        return None, piece.problem or "no answer"
    text, problem = prompt.read(piece.answer)
    return text, f"{problem} (it was cut at the most tokens)" if problem and piece.finish == "length" else problem


def _sum(values: Sequence[Any]) -> Any:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def each_document(corpus: Corpus, rows: Sequence[int] | np.ndarray | None = None, size: int = 1024) -> Iterator[list[Document]]:
    """Documents in the order of the corpus, a few at a time; each row once, text that is not UTF-8 with U+FFFD.

    Args:
        corpus: where to read.
        rows: numbers of documents; None for all.
        size: most documents read at once.

    Raises:
        CorpusError: a row is not there, or a file cannot be read.

    """
    wanted = None if rows is None else np.unique(np.asarray(rows, np.int64))
    if wanted is not None and len(wanted):
        for end in (wanted[0], wanted[-1]):
            locate(corpus.shards, int(end))
    roles = [corpus.roles.text, *([corpus.roles.id] if corpus.roles.id else [])]
    for shard in corpus.shards:
        first = shard.first_row
        columns = [c for c in roles if c in shard.schema.names]
        for g, group in enumerate(shard.row_groups):
            begin, first = first, first + group.rows
            if wanted is not None and np.searchsorted(wanted, begin) == np.searchsorted(wanted, first):
                continue
            try:
                for batch in shard.open().iter_batches(batch_size=size, row_groups=[g], columns=columns):
                    stop = begin + batch.num_rows
                    here = np.arange(begin, stop) if wanted is None else wanted[slice(*np.searchsorted(wanted, [begin, stop]))]
                    if len(here):
                        yield _documents(batch.take(pa.array(here - begin)), here, corpus)
                    begin = stop
            except (OSError, pa.ArrowException) as error:
                raise CorpusError(
                    f"Row group {g} of {shard.path!r} cannot be read: {error}. The file is damaged there; restore it, or leave it out."
                ) from error


def _documents(batch: pa.RecordBatch, rows: np.ndarray, corpus: Corpus) -> list[Document]:
    def values(column: str | None) -> list[Any]:
        if column is None or column not in batch.schema.names:
            return [None] * batch.num_rows
        found = batch.column(column)
        found = found.dictionary_decode() if pa.types.is_dictionary(found.type) else found
        if pa.types.is_string(found.type) or pa.types.is_large_string(found.type) or pa.types.is_string_view(found.type):
            return [None if v is None else v.decode("utf-8", "replace") for v in found.cast(pa.large_binary()).to_pylist()]
        return list(found.to_pylist())

    return [Document(*d) for d in zip(rows.tolist(), values(corpus.roles.id), values(corpus.roles.text), strict=True)]


def id_field(corpus: Corpus) -> pa.Field | None:
    """The column that says which original a rewrite is of: named and typed as the originals' id; None where they have none."""
    column = corpus.roles.id
    if column is None:
        return None
    kind = corpus.schema.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    ours = {"pair_id", "original", *(name for name, _ in _COLUMNS)}
    return pa.field(ORIGINAL_ID if column in ours else column, kind)


def schema(settings: Settings, id_column: pa.Field | None, *, originals: bool) -> pa.Schema:
    """Columns of a file of rewrites; its metadata hold the settings."""
    columns = [pa.field("pair_id", pa.string()), *([id_column] if id_column is not None else [])]
    columns += [pa.field("original", pa.string())] if originals else []
    columns += [pa.field(name, kind) for name, kind in _COLUMNS]
    return pa.schema(columns, metadata={METADATA: json.dumps(settings.to_dict(), sort_keys=True).encode()})


def table(settings: Settings, documents: Iterable[Rewritten], into: pa.Schema, id_name: str | None) -> pa.Table:
    """Rewrites as rows."""
    common = {
        "method": settings.prompt.name,
        "style": settings.prompt.style or None,
        "prompt_id": settings.prompt.id,
        "generator_model": settings.model,
        "generator_revision": settings.revision or None,
        "seed": settings.sampling.seed,
        "parameters": json.dumps(settings.parameters, sort_keys=True),
    }
    rows = [
        {**asdict(replace(d, finish=d.finish or None)), **common, "pair_id": d.pair_id, **({id_name: d.id} if id_name else {})}  # type: ignore[arg-type]
        for d in documents
    ]
    return pa.Table.from_pylist([{k: _storable(v) for k, v in row.items()} for row in rows], schema=into)


def _storable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value  # a lone surrogate is no UTF-8


def write(path: Path, tables: Iterable[pa.Table], into: pa.Schema) -> None:
    """Write a file of rewrites: all of it or nothing."""

    def fill(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, into, compression="zstd") as writer:
            for part in tables:
                writer.write_table(part)

    write_atomically(path, fill)


def settings_of(path: Path) -> Settings | None:
    """The settings that a file of rewrites was made with; None where it does not say."""
    try:
        said = json.loads((pq.read_schema(path).metadata or {})[METADATA])
        return Settings.from_dict(said)
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None
