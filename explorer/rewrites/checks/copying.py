"""How much of a rewrite is taken over word by word, and how much of it is new."""

from __future__ import annotations

import numpy as np

from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check
from explorer.rewrites import copying as words

ROUGE = "Lin 2004, ROUGE; counted as rouge_score 0.1.2 does, without stemming, its tokenizer carried on to all scripts"
STYLE = "A good paraphrase says the same in other words and scores low; a copy with one number changed scores high."
_FRACTION: tuple[float | None, float | None] = (0.0, 1.0)


def _signal(name: str, about: str, unit: str, direction: str = "two_sided", misleads: str = STYLE, source: str = "") -> Signal:
    return Signal(name, unit, about, direction, _FRACTION, misleads=misleads, source=source)  # type: ignore[arg-type]


@check(
    version=1,
    source="ours, after the copying and novelty columns of rewriting pipelines",
    signals=[
        _signal("rouge1_recall", "Words of the original that the rewrite has, each as often as in the text that has it less often.", "fraction of the original's words", source=ROUGE),
        _signal("rouge1_precision", "The same counted on the rewrite's words.", "fraction of the rewrite's words", source=ROUGE),
        _signal("rouge2_recall", "The same for neighbouring words (bigrams).", "fraction of the original's bigrams", source=ROUGE),
        _signal("rouge2_precision", "The same for the rewrite's bigrams.", "fraction of the rewrite's bigrams", source=ROUGE),
        _signal("rouge_l_recall", "Words of the longest common subsequence.", "fraction of the original's words", source=ROUGE),
        _signal("rouge_l_precision", "Words of the longest common subsequence.", "fraction of the rewrite's words", source=ROUGE),
        _signal("novel_word_frac", "Words of the rewrite that stand nowhere in the original.", "fraction of the rewrite's words"),
        _signal("copied_8gram_frac", "Stretches of eight words of the rewrite that stand in the original.", "fraction of the rewrite's 8-grams"),
        _signal("kept_8gram_frac", "Stretches of eight words of the original that stand in the rewrite.", "fraction of the original's 8-grams"),
        _signal("longest_copied_frac", "Words of the longest stretch that stands in both texts.", "fraction of the rewrite's words"),
        _signal("scrambled_frac", "Neighbouring words of the rewrite that both stand in the original, but nowhere there in this order within three words.", "fraction of the rewrite's bigrams", "lower_is_better", "Some words change places in any paraphrase; shuffled words, or two names that changed places, show as more."),
    ],
)  # fmt: skip
def copying(original: Batch, rewrite: Batch) -> Columns:
    """Overlap of words and word sequences in both directions, by ROUGE and by what is copied outright.

    Words are runs of letters and digits, lower-cased; a Han, kana or hangul character is a word. Undefined where the text that a
    fraction is of has no such word or n-gram; the subsequence also where the product of both lengths passes 17 billion words.
    """
    found = words.copying(original, rewrite)
    a, b, n = found.original, found.rewrite, words.LONG
    ordered = np.where(found.common >= 0, found.common.astype(float), np.nan)
    return {
        "rouge1_recall": _over(found.shared1, a),
        "rouge1_precision": _over(found.shared1, b),
        "rouge2_recall": _over(found.shared2, a - 1),
        "rouge2_precision": _over(found.shared2, b - 1),
        "rouge_l_recall": _over(ordered, a),
        "rouge_l_precision": _over(ordered, b),
        "novel_word_frac": _over(found.novel, b),
        "copied_8gram_frac": _over(found.copied, b - n + 1),
        "kept_8gram_frac": _over(found.kept, a - n + 1),
        "longest_copied_frac": _over(found.longest, b),
        "scrambled_frac": _over(found.scrambled, b - 1),
    }


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
