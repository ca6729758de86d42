"""Leaner (TinyHelen): whether a rewrite is simpler than its original."""

from __future__ import annotations

from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check
from explorer.rewrites.methods.complexity import common_share, flesch_of, sentence_words

_SYLLABLES = "Syllables are counted by a rule for English (see explorer/rewrites/complexity.py); null where fewer than half of the words begin with a Latin letter. Shorter is not clearer."
_SENTENCES = "Sentences end at their marks, and at blank lines: lists and verse without any are one long sentence, and so is Chinese or Japanese, which has no blanks."
_LIST = (
    "The bundled list is small and of old prose; for a figure to publish, count your own (parameter common). Names are not common words."
)


def _both(name: str, unit: str, about: str, misleads: str, range: tuple[float | None, float | None]) -> list[Signal]:
    return [
        Signal(f"leaner_{name}_before", unit, f"{about}, of the original.", "descriptive", range, misleads=misleads),
        Signal(f"leaner_{name}_after", unit, f"{about}, of the rewrite.", "descriptive", range, misleads=misleads),
    ]


@check(
    version=1,
    source="Yang et al. 2025 (TinyHelen), arXiv:2501.00522, whose rewrites use some 2,000 common words; Flesch 1948, reading ease",
    audit=False,
    signals=[
        *_both("flesch", "points", "Flesch's reading ease, 206.835 - 1.015 words / sentences - 84.6 syllables / words", _SYLLABLES, (None, 122.0)),
        *_both("sentence_words", "words a sentence", "Mean words a sentence", _SENTENCES, (0, None)),
        *_both("common_share", "fraction of words", "Share of words that are on the list of common ones", _LIST, (0, 1)),
        Signal("leaner_flesch_gain", "points", "Reading ease of the rewrite minus that of its original.", "higher_is_better", misleads=_SYLLABLES),
    ],
)  # fmt: skip
def leaner(original: Batch, rewrite: Batch, *, common: str = "") -> Columns:
    """Reading ease, sentence length and share of common words, before and after.

    Vocabulary is a figure of a corpus, not of a text: `explorer.rewrites.methods.complexity_table.complexity_table`.

    Args:
        original: the originals.
        rewrite: the rewrites.
        common: a file of common words, one a line; the bundled list of 2,000 if empty.

    Raises:
        SignalError: the file of common words cannot be used.

    """
    before, after = flesch_of(original), flesch_of(rewrite)
    return {
        "leaner_flesch_before": before,
        "leaner_flesch_after": after,
        "leaner_sentence_words_before": sentence_words(original),
        "leaner_sentence_words_after": sentence_words(rewrite),
        "leaner_common_share_before": common_share(original, common),
        "leaner_common_share_after": common_share(rewrite, common),
        "leaner_flesch_gain": after - before,
    }
