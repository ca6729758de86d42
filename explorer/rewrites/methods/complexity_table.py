"""How plain rewrites are beside their originals, method by method: vocabulary, sentences, common words, reading ease."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from explorer.primitives.batch import Batch
from explorer.primitives.plain_words import plain_words
from explorer.rewrites.methods.complexity import common_share, counts, flesch
from explorer.rewrites.walk import each_piece

if TYPE_CHECKING:
    from explorer.rewrites.pairs import Pairs

BLOCK = 10_000  # words
BEFORE, AFTER = "original", "rewrite"


class Vocabulary:
    """Different words in each ten thousand that follow one another, the texts of a group read as one."""

    def __init__(self, block: int = BLOCK) -> None:
        self.block, self._open, self._full = block, [np.zeros(0, np.uint64)], list[int]()

    def add(self, hashes: np.ndarray) -> None:
        """The words of more texts."""
        every = np.concatenate([*self._open, hashes])
        whole = len(every) // self.block * self.block
        self._full += [len(np.unique(block)) for block in every[:whole].reshape(-1, self.block)]
        self._open = [every[whole:].copy()]

    @property
    def per_block(self) -> float | None:
        """Mean different words in a full block; None where there is none."""
        return float(np.mean(self._full)) if self._full else None


def complexity_table(pairs: Pairs, by: str = "style", *, common: str = "", block: int = BLOCK) -> pl.DataFrame:
    """Originals and their rewrites side by side, a row a group and side; pairs that lack a text are left out.

    Args:
        pairs: the pairs.
        by: "style", "source" or a column of the rewrites.
        common: a file of common words, one a line; the bundled list if empty.
        block: words in which different ones are counted.

    Returns:
        ``group``, ``side`` ("original" or "rewrite"), ``texts``, ``words``, ``vocabulary`` (mean of different words in each ``block`` words
        that follow one another; null below one full block), ``sentence_words``, ``common_share``, ``flesch``: of all texts of the group
        together, long ones weighing more.

    """
    groups = pairs.columns.groups(pairs.roles.style or "source" if by == "style" else by, 50)
    sums: dict[tuple[int, str], np.ndarray] = {}
    words: dict[tuple[int, str], Vocabulary] = {}
    for piece in each_piece(pairs):
        before, after = Batch(piece.originals), Batch(piece.rewrites)
        there = before.valid & after.valid
        codes = groups.codes[piece.first : piece.first + len(there)]
        for side, batch in ((BEFORE, before), (AFTER, after)):
            found, common_words = counts(batch), np.nan_to_num(common_share(batch, common))
            rows = np.stack([np.ones(len(batch)), found.words, found.sentences, found.syllables, found.words * common_words], 1)
            tokens = plain_words(batch)
            for code in np.unique(codes[there]).tolist():
                here = there & (codes == code)
                key = (code, side)
                sums[key] = sums.get(key, np.zeros(5)) + rows[here].sum(0)
                inside = np.repeat(here, np.diff(tokens.offsets))
                words.setdefault(key, Vocabulary(block)).add(tokens.hash[inside])
    table = []
    for (code, side), (texts, n, sentences, syllables, common_words) in sorted(sums.items(), key=lambda kv: (kv[0][0], kv[0][1])):
        ease = float(flesch(np.array([n]), np.array([sentences]), np.array([syllables]))[0])
        some = n > 0
        table.append(
            (
                groups.labels[code],
                side,
                int(texts),
                int(n),
                words[code, side].per_block,
                n / sentences if some else None,
                common_words / n if some else None,
                ease if some else None,
            )
        )
    kinds = {"group": pl.String, "side": pl.String, "texts": pl.Int64, "words": pl.Int64}
    return pl.DataFrame(
        table, schema={**kinds, **dict.fromkeys(("vocabulary", "sentence_words", "common_share", "flesch"), pl.Float64)}, orient="row"
    )


def rank_frequency(pairs: Pairs, *, points: int = 60) -> pl.DataFrame:
    """How words are spread, before and after: the share of all words that the k-th most frequent one makes up.

    Args:
        pairs: the pairs.
        points: ranks in the answer, evenly apart on a logarithmic scale.

    Returns:
        ``side``, ``rank`` (from 1), ``frequency`` (fraction of words), ``cumulative`` (that of this and all more frequent words together).

    """
    tally = {BEFORE: (np.zeros(0, np.uint64), np.zeros(0, np.int64)), AFTER: (np.zeros(0, np.uint64), np.zeros(0, np.int64))}
    for piece in each_piece(pairs):
        for side, texts in ((BEFORE, piece.originals), (AFTER, piece.rewrites)):
            keys, times = tally[side]
            every, inverse = np.unique(np.concatenate([keys, plain_words(Batch(texts)).hash]), return_inverse=True)
            n = len(keys)
            tally[side] = every, np.bincount(inverse[:n], times, len(every)) + np.bincount(inverse[n:], minlength=len(every))
    frames = []
    for side, (_, times) in tally.items():
        if not len(times):
            continue
        falling = np.sort(times)[::-1] / times.sum()
        ranks = np.unique(np.geomspace(1, len(falling), points).astype(np.int64))
        frames.append(
            pl.DataFrame({"side": side, "rank": ranks, "frequency": falling[ranks - 1], "cumulative": np.cumsum(falling)[ranks - 1]})
        )
    return (
        pl.concat(frames)
        if frames
        else pl.DataFrame(schema={"side": pl.String, "rank": pl.Int64, "frequency": pl.Float64, "cumulative": pl.Float64})
    )
