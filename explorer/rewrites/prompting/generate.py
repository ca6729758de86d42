"""Documents rewritten now, by a model on this machine or behind an endpoint.

    made = rewrite(corpus, [3, 14, 15], prompts["wrap-medium"])
    made.pairs().score()                  # the audit, at once
    made.save("rewrites.parquet")         # opens with open_pairs(originals, "rewrites.parquet", on="id")

With ``out`` every document is kept as soon as it is rewritten, and the same call carries on where one was stopped. For more documents
than one waits for, write requests for a server and read its answers (`explorer.rewrites.prompting.requests`).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.errors import ModelError
from explorer.models import causal, generation
from explorer.models.causal import Causal
from explorer.models.endpoint import Answer, Endpoint, current_limits
from explorer.models.generation import Generation
from explorer.models.sampled import SampledAnswer, sampled
from explorer.rewrites.prompting.chunks import ESTIMATE, Chunks, Counter, joined, split
from explorer.rewrites.prompting.generated import Generated
from explorer.rewrites.prompting.kept import Kept
from explorer.rewrites.prompting.prompts import AS_PUBLISHED, Prompt
from explorer.rewrites.prompting.written import Document, Piece, Rewritten, Settings, assemble, each_document

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus
    from explorer.engine.progress import Progress

__all__ = ["Generated", "rewrite"]

AT_ONCE = 8  # batches of pieces that are put in order of length together; and requests of an endpoint, times its concurrency
STOPPED = "cancelled"


def rewrite(
    corpus: Corpus,
    rows: Sequence[int] | np.ndarray | None,
    prompt: Prompt,
    *,
    model: str | Causal | None = None,
    revision: str | None = None,
    endpoint: Endpoint | None = None,
    chunk_tokens: int | None = AS_PUBLISHED,
    seed: int = 0,
    temperature: float | None = None,
    top_p: float | None = None,
    max_new_tokens: int | None = None,
    counter: Counter | None = None,
    out: str | os.PathLike[str] | None = None,
    on_text: Callable[[int, str], None] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> Generated:
    """Rewrite documents.

    Args:
        corpus: whose documents.
        rows: their numbers; None for all.
        prompt: what the model is told (`explorer.rewrites.prompting.prompts`).
        model: a causal language model as `explorer.models.causal.load` takes it, or one that it gave; by default the one that comes as
            a package, which is small enough to make real mistakes.
        revision: of a hub id.
        endpoint: a served model instead (`explorer.models.endpoint.connect`): texts are sent to it.
        chunk_tokens: longest piece of a document that is rewritten at once, None for whole documents; by default the prompt's own.
        seed: of the draws. A server need not heed it.
        temperature: how tokens are chosen (`explorer.models.generation.Sampling`); by default as the prompt was published.
        top_p: the same.
        max_new_tokens: most tokens of the answer to one piece; by default the prompt's own.
        counter: how tokens of pieces are counted; by default with the model's own tokenizer, for an endpoint estimated from words.
        out: file of rewrites to write or to add to; what is in it, or was begun for it, is not asked for again.
        on_text: called with (row, text so far) while a document is rewritten, from this thread.
        on_progress: called as documents are done.
        cancel: when set, it ends after the token in hand; what is finished is kept.

    Raises:
        ModelError: the model is not here, or the endpoint answered nobody.
        CorpusError: ``out`` holds rewrites that were made otherwise.

    """
    how: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens, "seed": seed}
    how["chunk_tokens"] = chunk_tokens
    writer: Causal | Endpoint
    if endpoint is not None:
        writer, counts = endpoint, counter or ESTIMATE
        settings = Settings.of(prompt, endpoint.model, "", counts.name, {"base_url": endpoint.base_url}, **how)
    else:
        writer = lm = model if isinstance(model, Causal) else causal.load(model or causal.DEFAULT, revision)
        counts = counter or Counter(lm.name, lambda texts: [len(lm.encode(text)) for text in texts])
        settings = Settings.of(prompt, lm.name, lm.revision, counts.name, {"dtype": lm.dtype}, **how)
    run = _Run(corpus, settings, counts, writer, on_text, on_progress, cancel or threading.Event())
    return run.all(rows, None if out is None else Path(out))


class _Run:
    """One call of `rewrite`."""

    def __init__(
        self,
        corpus: Corpus,
        settings: Settings,
        counts: Counter,
        writer: Causal | Endpoint,
        on_text: Callable[[int, str], None] | None,
        on_progress: Callable[[Progress], None],
        cancel: threading.Event,
    ) -> None:
        self._corpus, self._settings, self._counts, self._writer = corpus, settings, counts, writer
        self._on_text, self._on_progress, self._cancel = on_text, on_progress, cancel
        self._device = writer.device.about if isinstance(writer, Causal) else writer.base_url
        self._done: dict[int, Rewritten] = {}
        self._reused = self._bytes = self._total = 0
        self._started = time.monotonic()

    def all(self, rows: Sequence[int] | np.ndarray | None, out: Path | None) -> Generated:
        kept = Kept(out, self._settings) if out is not None else None
        self._total = len(self._corpus) if rows is None else len(np.unique(np.asarray(rows, np.int64)))
        problem, before = "", 0
        self._tell("running")
        for group in self._groups(rows):
            todo = []
            for document, chunks in group:
                known = kept.take(self._settings.key(document), document) if kept is not None else None
                if known is not None:
                    self._done[document.row] = known
                    self._reused += 1
                    before += known.completion_tokens or 0
                else:
                    todo.append((document, chunks))
            if problem or self._cancel.is_set():
                self._leave(todo, problem or STOPPED)
                continue
            try:
                self._write(todo, kept)
            except ModelError as error:
                if isinstance(self._writer, Causal) or not any(d.error is None for d in self._done.values()):
                    raise
                problem = str(error)
                self._leave([t for t in todo if t[0].row not in self._done], problem)
        order = sorted(self._done) if rows is None else dict.fromkeys(int(r) for r in rows)
        cancelled = any(_stopped(d) for d in self._done.values())
        made = Generated(
            self._corpus,
            self._settings,
            tuple(self._done[row] for row in order),
            self._reused,
            time.monotonic() - self._started,
            self._device,
            cancelled,
            problem,
            before,
        )
        if kept is not None and not cancelled and not problem:
            kept.finish(made.table())
        self._tell("cancelled" if cancelled else "done")
        return made

    def _groups(self, rows: Sequence[int] | np.ndarray | None) -> Iterator[list[tuple[Document, Chunks]]]:
        """Documents in pieces, so many at once that batches of like length can be made of them."""
        at_once = generation.ROWS[self._writer.device.kind] if isinstance(self._writer, Causal) else current_limits().concurrency
        group: list[tuple[Document, Chunks]] = []
        for documents in each_document(self._corpus, rows):
            for document in documents:
                group.append((document, split(document.text or "", self._settings.chunk_tokens, self._counts)))
                if sum(len(chunks.texts) or 1 for _, chunks in group) >= AT_ONCE * at_once:
                    yield group
                    group = []
        if group:
            yield group

    def _write(self, todo: Sequence[tuple[Document, Chunks]], kept: Kept | None) -> None:
        """Rewrite some documents; each is done when its last piece is."""
        pieces: dict[int, list[Piece | None]] = {document.row: [None] * len(chunks.texts) for document, chunks in todo}
        sofar: dict[int, list[str]] = {document.row: [""] * len(chunks.texts) for document, chunks in todo}
        of = [(document, chunks, k) for document, chunks in todo for k in range(len(chunks.texts))]
        conversations = [self._settings.prompt.messages(chunks.texts[k]) for _, chunks, k in of]

        def show(place: int, text: str) -> None:
            document, chunks, k = of[place]
            sofar[document.row][k] = text
            if self._on_text is not None:
                self._on_text(document.row, joined(chunks.gaps, sofar[document.row]))

        def keep(document: Document, chunks: Chunks, found: Sequence[Piece]) -> None:
            made = assemble(self._settings, document, chunks.gaps, found)
            self._done[document.row] = made
            if kept is not None and made.error is None:
                kept.add(made)
            self._bytes += len((document.text or "").encode("utf-8", "replace"))
            self._tell("running")

        def take(place: int, piece: Piece) -> None:
            document, chunks, k = of[place]
            pieces[document.row][k] = piece
            found = [p for p in pieces[document.row] if p is not None]
            if len(found) == len(chunks.texts):
                keep(document, chunks, found)

        for document, chunks in todo:
            if not chunks.texts:
                keep(document, chunks, [])
        if isinstance(writer := self._writer, Causal):
            generation.generate(
                writer,
                conversations,
                self._settings.sampling,
                on_text=show if self._on_text is not None else None,
                on_done=lambda place, found: take(place, _piece(found, writer)),
                cancel=self._cancel,
            )
            return

        def answered(place: int, answer: Answer) -> None:
            if answer.text:
                show(place, answer.text)
            take(place, _answered(answer))

        answers = sampled(writer, conversations, self._settings.sampling, on_answer=answered, cancel=self._cancel)
        for place, (document, _, k) in enumerate(of):
            if pieces[document.row][k] is None:  # cancelled before it was sent
                take(place, _answered(answers[place]))

    def _leave(self, todo: Sequence[tuple[Document, Chunks]], why: str) -> None:
        for document, chunks in todo:
            self._done[document.row] = assemble(self._settings, document, chunks.gaps, [Piece(None, "", why)] * len(chunks.texts))

    def _tell(self, state: str) -> None:
        from explorer.engine.progress import Progress

        done = sum(not _stopped(d) for d in self._done.values()) if state != "running" else len(self._done)
        seconds = time.monotonic() - self._started
        self._on_progress(Progress(state, done, self._total, self._reused, self._bytes, seconds, of="documents", device=self._device))


def _piece(found: Generation, lm: Causal) -> Piece:
    problem = ""
    if found.finish == generation.NO_ROOM:
        problem = f"the prompt has {found.prompt_tokens:,} tokens, and the model takes {lm.positions:,} with its answer; choose fewer chunk_tokens"
    elif found.finish == generation.CANCELLED:
        problem = STOPPED
    answer = None if found.finish == generation.NO_ROOM else found.text
    return Piece(answer, found.finish, problem, found.prompt_tokens, found.completion_tokens, found.seconds)


def _answered(answer: Answer) -> Piece:
    drawn = answer if isinstance(answer, SampledAnswer) else SampledAnswer()
    return Piece(answer.text or None, drawn.finish, answer.problem, answer.prompt_tokens, answer.completion_tokens, drawn.seconds or None)


def _stopped(made: Rewritten) -> bool:
    return made.error is not None and made.error.endswith(STOPPED)
