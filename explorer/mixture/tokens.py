"""Whose tokens a mixture counts: those of the tokenizer asked for, words, or else the best the corpus knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.corpus.columns import Tokens
from explorer.corpus.sidecars import Sidecar
from explorer.errors import ManifestError
from explorer.registry import find

if TYPE_CHECKING:
    from collections.abc import Callable

    from explorer.corpus.corpus import Corpus
    from explorer.engine.progress import Progress

COUNT, WORD_COUNT = "n_tokens", "n_words"
WORDS = "words"  # in place of a tokenizer: budgets in words, as BabyLM's (white space ends a word)


def count(corpus: Corpus, tokenizer: str | None, on_progress: Callable[[Progress], None] | None = None) -> tuple[Tokens, Sidecar | None]:
    """Tokens of every document, and the computed signal they come from (None: a column of the corpus, or an estimate).

    With a tokenizer its counts are used whatever columns the corpus has; those that are missing are computed first. ``words`` counts
    words between white space instead, exactly.

    Raises:
        SignalError: the tokenizer cannot be loaded.
        ManifestError: its counts could not be computed for every document.

    """
    if tokenizer is None:
        tokens = corpus.columns.tokens()
        side = corpus.coverage().of(COUNT)
        return tokens, side if side is not None and tokens.label == f"tokenizer {side.parameters.get('tokenizer')}" else None
    signal = WORD_COUNT if tokenizer == WORDS else COUNT
    side = _counted(corpus, signal, tokenizer)
    if side is None:
        parameters = None if signal == WORD_COUNT else {find(COUNT).name: {"tokenizer": tokenizer}}
        corpus.score(signal, parameters=parameters, on_progress=on_progress)
        side = _counted(corpus, signal, tokenizer)
    if side is None:
        raise ManifestError(
            f"Tokens of {tokenizer!r} are not known for all {len(corpus):,} documents. Score them first: explorer score PATH -s {signal}, or leave out the tokenizer to use an estimate."
        )
    pieces = [side.read(shard, [signal])[signal].to_numpy().astype(np.float64) for shard in corpus.shards]
    label = WORDS if signal == WORD_COUNT else f"tokenizer {tokenizer}"
    return Tokens(np.nan_to_num(np.concatenate([np.zeros(0), *pieces])), label, False), side


def _counted(corpus: Corpus, signal: str, tokenizer: str) -> Sidecar | None:
    for side in reversed(corpus.coverage().sidecars):
        fits = signal == WORD_COUNT or side.parameters.get("tokenizer") == tokenizer
        if signal in side.columns and fits and sum(side.scored_rows(s) for s in corpus.shards) == len(corpus):
            return side
    return None
