"""Untie the Knots: documents of a packed training sequence cut into parts and all parts shuffled, for long contexts.

Source: Tian et al. 2024, Untie the Knots, arXiv:2409.04774; the same draws as the authors' ``gpt_dataset_utk.py`` (rgtjf/Untie-the-Knots)
without its sort task and its mode of 1,024-token pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.errors import ManifestError

SEED = 47


def knotted(
    tokens: np.ndarray,
    *,
    index: int,
    end: int,
    markers: Sequence[int],
    probabilities: Sequence[float],
    keep_order: bool = False,
    seed: int = SEED,
) -> np.ndarray:
    """Cut the documents of one packed sequence into parts, mark the cuts, shuffle all parts, and cut the result to the old length.

    The last part of the last document stays last. Markers lengthen the sequence, so that as many tokens are lost at its end.

    Args:
        tokens: int64 [n], documents one after another, each ended by ``end`` (the last one may be cut off).
        index: number of the sequence; with the seed it decides every draw.
        end: the token that ends a document.
        markers: two a cut: what ends the part before it and what begins the part after it.
        probabilities: of one part a document, two, three …; they add up to 1.
        keep_order: whether parts of a document stay in their order.
        seed: of all sequences.

    Returns:
        int64 [n].

    Raises:
        ManifestError: too few markers for the most parts.

    """
    if len(markers) < 2 * (len(probabilities) - 1):
        raise ManifestError(
            f"{len(probabilities)} parts need {2 * (len(probabilities) - 1)} markers; there are {len(markers)}. Two stand at every cut. Give more, or fewer parts."
        )
    if not len(tokens):
        return np.zeros(0, np.int64)
    rng = np.random.Generator(np.random.MT19937(seed * 100_000 + index))
    ends = np.flatnonzero(tokens == end) + 1
    documents = [d for d in np.split(tokens, ends) if len(d)]
    parts = [_cut(d, int(rng.choice(len(probabilities), 1, p=probabilities)[0]) + 1, markers) for d in documents]
    counts = [len(p) for p in parts]
    counts[-1] -= 1
    places = np.arange(sum(counts))
    rng.shuffle(places)
    arranged: list[np.ndarray] = [tokens[:0]] * len(places)
    start = 0
    for pieces, count in zip(parts, counts, strict=True):
        own = places[start : start + count]
        for place, piece in zip(np.sort(own) if keep_order else own, pieces[:count], strict=True):
            arranged[place] = piece
        start += count
    return np.concatenate([*arranged, parts[-1][-1]])[: len(tokens)].astype(np.int64)


def _cut(document: np.ndarray, parts: int, markers: Sequence[int]) -> list[np.ndarray]:
    """Equal parts of a document, the last one with what is left; one that is shorter than ``parts`` stays whole."""
    if parts == 1 or len(document) < parts:
        return [document]
    pieces = np.split(document, [len(document) // parts * i for i in range(1, parts)])
    return [
        np.concatenate([markers[2 * i - 1 : 2 * i] if i else [], piece, markers[2 * i : 2 * i + 1] if i < parts - 1 else []])
        for i, piece in enumerate(pieces)
    ]
