"""Whose tokens a manifest counts: those of the tokenizer asked for, else the best the corpus knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.corpus.columns import Tokens
from explorer.corpus.sidecars import Sidecar
from explorer.errors import ManifestError
from explorer.registry import find

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

COUNT = "n_tokens"


def count(corpus: Corpus, tokenizer: str | None) -> tuple[Tokens, Sidecar | None]:
    """Tokens of every document, and the computed signal they come from (None: a column of the corpus, or an estimate).

    With a tokenizer its counts are used whatever columns the corpus has; those that are missing are computed first.

    Raises:
        SignalError: the tokenizer cannot be loaded.
        ManifestError: its counts could not be computed for every document.

    """
    if tokenizer is None:
        tokens = corpus.columns.tokens()
        side = corpus.coverage().of(COUNT)
        return tokens, side if side is not None and tokens.label == f"tokenizer {side.parameters.get('tokenizer')}" else None
    side = _counted(corpus, tokenizer)
    if side is None:
        family = find(COUNT)
        corpus.score(COUNT, parameters={family.name: {"tokenizer": tokenizer}})
        side = _counted(corpus, tokenizer)
    if side is None:
        raise ManifestError(
            f"Tokens of {tokenizer!r} are not known for all {len(corpus):,} documents. Score them first: explorer score PATH -s {COUNT}, or leave out the tokenizer to use an estimate."
        )
    pieces = [side.read(shard, [COUNT])[COUNT].to_numpy().astype(np.float64) for shard in corpus.shards]
    return Tokens(np.nan_to_num(np.concatenate([np.zeros(0), *pieces])), f"tokenizer {tokenizer}", False), side


def _counted(corpus: Corpus, tokenizer: str) -> Sidecar | None:
    for side in reversed(corpus.coverage().sidecars):
        if (
            COUNT in side.columns
            and side.parameters.get("tokenizer") == tokenizer
            and sum(side.scored_rows(s) for s in corpus.shards) == len(corpus)
        ):
            return side
    return None
