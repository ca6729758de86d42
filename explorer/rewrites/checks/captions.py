"""Captions of images: CapsFusion's fused captions against the two they were made of, and ALIP's weights from three similarities."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from explorer.registry import Columns, CorpusRun, Signal, check

if TYPE_CHECKING:
    from explorer.rewrites.pairs import Pairs

_NAMES = (
    "Names are told by their capitals (see explorer/rewrites/captions.py): captions in capitals alone have none, titles count every word."
)
_WORDS = "Words are compared as they stand: cat and cats differ, so do colour and color."
_FRACTION = (0.0, 1.0)


def _caption(name: str, unit: str, about: str, direction: str, misleads: str, range: tuple[float, float | None] = _FRACTION) -> Signal:
    return Signal(f"caps_{name}", unit, about, direction, range, misleads=misleads)  # type: ignore[arg-type]


@check(
    version=1,
    source="Yu et al. 2023 (CapsFusion), arXiv:2310.20550: raw, synthetic and fused captions; the measures are ours",
    scope="pairs",
    audit=False,
    signals=[
        _caption("number_recall", "fraction of numbers", "Different numbers of the raw caption that stand in the fused one.", "higher_is_better", "Null where the raw caption has none. Article numbers are numbers too, and are better lost."),
        _caption("entity_recall", "fraction of entity words", "Different words of names in the raw caption that stand in the fused one.", "higher_is_better", _NAMES),
        _caption("entity_in_synthetic", "fraction of entity words", "Different words of names in the raw caption that stand in the synthetic one: what a model knew from the image alone.", "descriptive", _NAMES),
        _caption("raw_copied", "fraction of words", "Different words of the raw caption that stand in the fused one.", "descriptive", _WORDS),
        _caption("synthetic_copied", "fraction of words", "Different words of the synthetic caption that stand in the fused one.", "descriptive", _WORDS),
        _caption("unseen_frac", "fraction of words", "Different words of the fused caption, function words aside, that stand in neither of the others.", "lower_is_better", f"Inflected forms and synonyms count as unseen. {_WORDS}"),
        _caption("len_ratio", "words per word of both captions", "Words of the fused caption over those of raw and synthetic caption together.", "two_sided", _WORDS, (0.0, None)),
        _caption("concat_like", "0 or 1", "1 where nine tenths of the words of both captions are there at nine tenths of their length together: joined, not fused.", "lower_is_better", "Short captions that share their words may be fused well and be flagged."),
        _caption("well_formed", "0 or 1", "1 where the fused caption begins with a capital or digit, ends with a sentence's mark and has four words or more.", "higher_is_better", "A sentence by its looks alone; grammar is not checked."),
    ],
)  # fmt: skip
def capsfusion(run: CorpusRun, *, synthetic: str = "laion_coco") -> Columns:
    """What of the raw caption (the original) and of a synthetic one stands in the fused caption (the rewrite).

    How alike the captions of each kind are: `explorer.rewrites.methods.caption_diversity.structure_diversity`.

    Args:
        run: pairs of raw and fused captions: open_pairs(PATH, original="laion_2b", rewrite="capsfusion").
        synthetic: column of the rewrites' files that holds the synthetic captions.

    Raises:
        ColumnNotFoundError: it is not there.

    """
    from explorer.primitives.batch import Batch
    from explorer.rewrites.methods.captions import COLUMNS, caption_columns
    from explorer.rewrites.walk import each_piece

    pairs = cast("Pairs", run.corpus)
    found = {name: np.full(len(pairs), np.nan) for name in COLUMNS}
    for piece in each_piece(pairs, [synthetic], rows=65_536):
        run.step(piece.first, len(pairs), "comparing captions")
        columns = caption_columns(Batch(piece.originals), Batch(piece.columns[synthetic]), Batch(piece.rewrites))
        for name, values in columns.items():
            found[name][piece.first : piece.first + len(values)] = values
    return found


_TOWER = "All three cosines must be of one model with one text tower. A pair weight is not capped and may pass 1."


@check(
    version=1,
    source="Yang et al. 2023 (ALIP), arXiv:2308.08428; deepglint/ALIP train.py; the corpus' mean in the place of the running one is ours",
    scope="pairs",
    audit=False,
    signals=[
        Signal("alip_lcg", "weight", "Sample weight: min(1, exp(s - mean)²) of the cosine of found text and made caption.", "higher_is_better", (0, 1), misleads=_TOWER),
        Signal("alip_dcg_text", "weight", "Weight of image and found text: exp(s - mean)² of their cosine; 1 where the sample weight is 1.", "higher_is_better", (0, None), misleads=_TOWER),
        Signal("alip_dcg_caption", "weight", "Weight of image and made caption: exp(s - mean)² of their cosine; 1 where the sample weight is 1.", "higher_is_better", (0, None), misleads=_TOWER),
    ],
)  # fmt: skip
def alip(
    run: CorpusRun, *, text_caption: str = "cos_text_caption", image_text: str = "cos_image_text", image_caption: str = "cos_image_caption"
) -> Columns:
    """ALIP's weights of images with a found text and a made caption, from three columns of cosines; nothing is embedded here.

    Args:
        run: pairs of found texts and made captions.
        text_caption: column of the cosine of found text and made caption.
        image_text: column of the cosine of image and found text.
        image_caption: column of the cosine of image and made caption.

    Raises:
        SignalError, ColumnNotFoundError: a column has not been computed or does not exist.

    """
    from explorer.rewrites.methods.alip import gates, means

    cosines = [run.corpus.columns.numbers(name).astype(np.float64) for name in (text_caption, image_text, image_caption)]
    found = gates(cosines[0], cosines[1], cosines[2], means(cosines[0], cosines[1], cosines[2]))
    return {f"alip_{name}": values for name, values in found._asdict().items()}
