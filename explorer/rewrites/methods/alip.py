"""ALIP's gates: how much an image with two captions, the one that was found and the one that was made, should weigh in training.

From three cosines of one image's unit embeddings under one CLIP-like model, found text with made caption (s_tc), image with text (s_it), image
with caption (s_ic), and a running mean H of each:

    sample weight (LCG)  = min(1, exp(s_tc - H_tc)²)
    pair weights (DCG)   = exp(s - H)² of image-text and of image-caption, not capped; but 1 where the sample weight is not below 1

In training H starts at 1 and takes 0.01 of each batch's mean, so that for some hundred steps it lies far above any cosine and everything
weighs little. Over a corpus that lies there as a whole, H is the corpus' mean (ours).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MOMENTUM = 0.99
START = 1.0


class Gates(NamedTuple):
    """Weights of each item, float64 [n]; NaN where a cosine is."""

    lcg: np.ndarray
    dcg_text: np.ndarray
    dcg_caption: np.ndarray


class Means(NamedTuple):
    """H of text-caption, image-text and image-caption similarity."""

    text_caption: float
    image_text: float
    image_caption: float


def running(
    before: Means, text_caption: np.ndarray, image_text: np.ndarray, image_caption: np.ndarray, momentum: float = MOMENTUM
) -> Means:
    """H after one more batch: ``momentum`` of what it was and the rest of the batch's mean, as the trainer keeps it."""
    batch = (text_caption, image_text, image_caption)
    return Means(*(momentum * h + (1 - momentum) * float(np.nanmean(s)) for h, s in zip(before, batch, strict=True)))


def means(text_caption: np.ndarray, image_text: np.ndarray, image_caption: np.ndarray) -> Means:
    """H of a corpus that lies there as a whole: its means; NaN where there is no cosine."""
    return Means(*(float(np.nanmean(s)) if np.isfinite(s).any() else float("nan") for s in (text_caption, image_text, image_caption)))


def gates(text_caption: np.ndarray, image_text: np.ndarray, image_caption: np.ndarray, about: Means) -> Gates:
    """The weights of each item.

    Args:
        text_caption: cosines of found text and made caption.
        image_text: cosines of image and found text.
        image_caption: cosines of image and made caption.
        about: H.

    Example:
        >>> s = np.array([0.9, 0.5, 0.2]), np.array([0.30, 0.25, 0.10]), np.array([0.35, 0.20, 0.30])
        >>> gates(*s, means(*s)).lcg.round(6).tolist()
        [1.0, 0.935507, 0.513417]

    """
    sample, text, caption = (
        np.exp(np.asarray(s, np.float64) - h) ** 2 for s, h in zip((text_caption, image_text, image_caption), about, strict=True)
    )
    undefined = np.isnan(sample)
    with np.errstate(invalid="ignore"):
        below = sample < 1
    return Gates(
        np.where(undefined, np.nan, np.minimum(sample, 1.0)),
        np.where(undefined | np.isnan(text), np.nan, np.where(below, text, 1.0)),
        np.where(undefined | np.isnan(caption), np.nan, np.where(below, caption, 1.0)),
    )
