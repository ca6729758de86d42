"""How much of a text's meaning stands in another, token by token, by an encoder's contextual states.

Each token of a text looks for the token of the other whose state is nearest (cosine), as BERTScore does. What is lost or added shows as
tokens that find nothing near. A long text is encoded in windows of whole sentences that begin anew with a paragraph, so that the same
paragraph has the same states wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from explorer.embeddings.encoders import unit
from explorer.primitives.batch import Batch
from explorer.primitives.folded import folded_hash
from explorer.primitives.terms import PARAGRAPH, sentences, terms

if TYPE_CHECKING:
    from explorer.embeddings.sentence import SentenceEncoder

AROUND = 2  # tokens on either side that a state is averaged with
PARAGRAPH_FROM = 48  # tokens a window needs before the end of a paragraph ends it
FEWEST = 3  # tokens: a sentence or clause of no more is not looked at by itself
CLAUSES = ", ; : ( ) [ ] — – ， 、 ； ： （ ） and but or which who whom whose because although though while when where since so"  # what begins one
AT_ONCE = 100_000  # tokens whose states are held together: 150 MB of 384 numbers each
BLOCK = 4_000_000  # similarities computed together
_CLAUSES = np.array([folded_hash(part) for part in CLAUSES.split()], np.uint64)


@dataclass(frozen=True)
class Meaning:
    """What was compared, float32 [n] each; NaN where a text has no token.

    Attributes:
        cosine: of both texts' mean states.
        kept: 1 less the root mean square of (1 - r) over the original's tokens, r being the cosine with the nearest token of the rewrite: a
            few lost words weigh more than many that are slightly changed.
        supported: the same over the rewrite's tokens.
        weakest_kept: the lowest mean of r over a sentence of the original.
        weakest_supported: the same over the rewrite's sentences.
        weakest_clause: the same over the rewrite's clauses: what stands between the signs and words of `CLAUSES`.
        recall, precision: means over tokens without averaging over neighbours: BERTScore's.
        truncated: bool; whether a text has more tokens than were read.
    """

    cosine: np.ndarray
    kept: np.ndarray
    supported: np.ndarray
    weakest_kept: np.ndarray
    weakest_supported: np.ndarray
    weakest_clause: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    truncated: np.ndarray


@dataclass(frozen=True)
class Reading:
    """One text: its tokens' states of unit length, averaged over neighbours (``around``) and as they are; its sentences and clauses; its direction."""

    around: np.ndarray
    states: np.ndarray
    sentence: np.ndarray
    clause: np.ndarray
    direction: np.ndarray
    truncated: bool


def meaning(original: Batch, rewrite: Batch, encoder: SentenceEncoder, *, most: int = 8192) -> Meaning:
    """Compare each rewrite with its original.

    Args:
        original: n texts.
        rewrite: n texts.
        encoder: whose states.
        most: tokens read of each text.

    Raises:
        ModelError: the encoder makes its tokens itself.

    """
    columns = np.full((8, len(rewrite)), np.nan, np.float32)
    truncated = np.zeros(len(rewrite), bool)
    for rows, before, after in _readings(original, rewrite, encoder, most):
        for d, a, b in zip(rows, before, after, strict=True):
            truncated[d] = a.truncated or b.truncated
            if len(a.states) and len(b.states):
                columns[:, d] = _compared(a, b)
    cosine, kept, supported, weakest_kept, weakest_supported, weakest_clause, recall, precision = columns
    return Meaning(cosine, kept, supported, weakest_kept, weakest_supported, weakest_clause, recall, precision, truncated)


def _compared(a: Reading, b: Reading) -> tuple[float, ...]:
    r, p = nearest(a.around, b.around)
    plain_r, plain_p = nearest(a.states, b.states)
    kept, supported = (1 - np.sqrt(np.mean((1 - v) ** 2)) for v in (r, p))
    return (
        float(a.direction @ b.direction), kept, supported, _weakest(r, a.sentence), _weakest(p, b.sentence), _weakest(p, b.clause),
        float(plain_r.mean()), float(plain_p.mean()),
    )  # fmt: skip


def nearest(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of ``a`` its highest cosine with a row of ``b``, and for each of ``b`` with one of ``a``; in blocks, not all at once."""
    best_a, best_b = np.empty(len(a), np.float32), np.full(len(b), -1, np.float32)
    step = max(1, BLOCK // max(1, len(b)))
    for i in range(0, len(a), step):
        block = a[i : i + step] @ b.T
        best_a[i : i + step] = block.max(1)
        np.maximum(best_b, block.max(0), out=best_b)
    return best_a, best_b


def _weakest(values: np.ndarray, sentence: np.ndarray) -> float:
    """Lowest mean of a sentence or clause; of those with more than `FEWEST` tokens where there are any."""
    n = np.bincount(sentence)
    means = np.bincount(sentence, values)[n > 0] / n[n > 0]
    long = n[n > 0] > FEWEST
    return float(means[long].min() if long.any() else means.min())


# --- reading ---------------------------------------------------------------------------------------------------------------


def _readings(
    original: Batch, rewrite: Batch, encoder: SentenceEncoder, most: int
) -> Iterator[tuple[list[int], list[Reading], list[Reading]]]:
    """Pairs with both texts' states, so many at once as memory holds; a text that stands several times is read once."""
    sides = (Side(original), Side(rewrite))
    valid = np.flatnonzero(original.valid & rewrite.valid)
    sizes = np.array([sum(side.size(d, most) for side in sides) for d in valid.tolist()], np.int64)
    for part in np.split(valid, np.flatnonzero(np.diff(np.cumsum(sizes) // AT_ONCE)) + 1):
        rows = part.tolist()
        wanted = {key: (side, d) for d in rows for side in sides for key in [side.text(d)]}
        read = dict(zip(wanted, _read(list(wanted.values()), encoder, most), strict=True))
        yield rows, *([read[side.text(d)] for d in rows] for side in sides)


class Side:
    """The texts of one batch with their sentences and paragraphs, in characters."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._texts = batch.texts()
        self._terms, self._sentences = terms(batch), sentences(batch)
        self._clauses = np.isin(self._terms.hash, _CLAUSES)

    def text(self, d: int) -> str:
        """Document d, which is not null."""
        text = self._texts[d]
        assert text is not None
        return text

    def size(self, d: int, most: int) -> int:
        """Tokens of a text, about."""
        return min(most, len(self.text(d)) // 4 + 1)

    def begins(self, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Characters that sentences, that paragraphs and that clauses begin with, ascending."""
        t, batch = self._terms, self._batch
        first = batch.offsets[d]
        a, b = t.sentence_offsets[d], t.sentence_offsets[d + 1]
        starts = self._sentences.start[a:b] - first
        those = slice(t.offsets[d], t.offsets[d + 1])
        paragraphs = t.start[those][(t.flags[those] & PARAGRAPH) != 0] - first
        clauses = np.union1d(t.start[those][self._clauses[those]] - first, starts)
        data = batch.data[first : batch.offsets[d + 1]]
        if data.size and data.max() >= 128:
            before = np.concatenate([[0], np.cumsum((data & 0xC0) != 0x80)])  # characters before each byte
            starts, paragraphs, clauses = before[starts], before[paragraphs], before[clauses]
        return starts, paragraphs, clauses


def _read(texts: Sequence[tuple[Side, int]], encoder: SentenceEncoder, most: int) -> list[Reading]:
    tokens = encoder.tokens([side.text(d) for side, d in texts], most)
    plans = []
    for (side, d), (ids, at) in zip(texts, tokens, strict=True):
        starts, paragraphs, clauses = side.begins(d)
        sentence, clause = (np.maximum(np.searchsorted(begins, at, side="right") - 1, 0) for begins in (starts, clauses))
        plans.append((ids, sentence, clause, cuts(len(ids), sentence, np.searchsorted(at, paragraphs), encoder.room)))
    pieces = [ids[a:b] for ids, _, _, bounds in plans for a, b in bounds]
    states = iter(encoder.states(pieces)) if pieces else iter(())
    found = []
    for (side, d), (ids, sentence, clause, bounds) in zip(texts, plans, strict=True):
        windows = [next(states) for _ in bounds]
        if not windows:
            none = np.zeros((0, encoder.dimension), np.float32)
            found.append(Reading(none, none, sentence, clause, np.zeros(encoder.dimension, np.float32), False))
            continue
        plain = unit(np.concatenate(windows))
        around = unit(np.concatenate([_averaged(w) for w in windows]))
        direction = unit(np.concatenate(windows).mean(0, keepdims=True))[0]
        found.append(Reading(around, plain, sentence, clause, direction, len(ids) == most and len(side.text(d)) > most))
    return found


def cuts(n: int, sentence: np.ndarray, paragraphs: np.ndarray, room: int) -> list[tuple[int, int]]:
    """Windows of consecutive tokens: whole sentences, at most ``room`` tokens, anew with a paragraph once there are `PARAGRAPH_FROM`.

    Args:
        n: tokens.
        sentence: number of each token's sentence, ascending.
        paragraphs: tokens that paragraphs begin with, ascending.
        room: tokens that the encoder sees at once.

    """
    found, a = [], 0
    while a < n:
        b = min(a + room, n)
        at = np.searchsorted(paragraphs, a + PARAGRAPH_FROM)
        if at < len(paragraphs) and paragraphs[at] <= b:
            b = int(paragraphs[at])
        elif b < n:
            begin = int(np.searchsorted(sentence, sentence[b]))  # of the sentence that the window would cut
            b = begin if begin > a + room // 4 else b
        found.append((a, b))
        a = b
    return found


def _averaged(states: np.ndarray) -> np.ndarray:
    """Each state averaged with those of its neighbours in the window."""
    total = np.concatenate([np.zeros((1, states.shape[1])), np.cumsum(states, 0, dtype=np.float64)])
    t = np.arange(len(states))
    low, high = np.maximum(t - AROUND, 0), np.minimum(t + AROUND + 1, len(states))
    return ((total[high] - total[low]) / (high - low)[:, None]).astype(np.float32)
