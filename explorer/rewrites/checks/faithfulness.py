"""Whether a rewrite says what its original says, as one number, and what the number is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explorer.errors import ModelError
from explorer.models.hub import MINILM
from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check
from explorer.rewrites import compare as cp
from explorer.rewrites import exchanges as ex
from explorer.rewrites import facts as fa
from explorer.rewrites import polarity as po
from explorer.rewrites.copying import copying
from explorer.rewrites.cues import NO, cues
from explorer.rewrites.meaning import Meaning, meaning

# Log-odds: fitted to human ratings of 13 data sets and to controlled corruptions, rounded; errors of fact then made to weigh half as much
# again, since raters forgive a single one. docs/rewrites.md has the fit and what the number is worth on which data.
INTERCEPT = -3.5
WEIGHTS = {
    "meaning kept": 4.0, "meaning supported": 2.5, "scrambled": -1.0, "weakest sentence kept": -2.0, "weakest sentence supported": -1.0,
    "numbers added": -4.0, "numbers lost": -0.8, "names added": -1.8, "names lost": -0.6, "statements turned round": -2.5,
}  # fmt: skip
ENOUGH = 0.7  # of a sentence's meaning: less counts against the whole text
STRANGERS = 0.2  # how much of the meaning of a text is found in one that has nothing to do with it


def _sigma(z: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(z)))


_BEST, _WORST = (float(_sigma(INTERCEPT + found * (WEIGHTS["meaning kept"] + WEIGHTS["meaning supported"]))) for found in (1.0, STRANGERS))

_READ = "One swapped number in a thousand words lowers it by 0.1: read the counts of facts beside it. A reversal of roles in other words, of all and some, of may and must is hardly seen. An English encoder: indicative elsewhere."
_TOKENS = "A preamble or a heading that was added counts as unsupported, list numbers and markup too."
_SENTENCE = "A sentence that only leads over to the next is easily the weakest one; the encoder reads English best."
_PLAIN = "Of the last layer of the encoder named, without idf and rescaling; figures published for other encoders are on other scales."


@dataclass(frozen=True)
class Parts:
    """What the number is made of, float64 [n] each; counts and meanings as the columns of their names."""

    kept: np.ndarray
    supported: np.ndarray
    weakest_kept: np.ndarray
    weakest_supported: np.ndarray
    scrambled: np.ndarray
    numbers_added: np.ndarray
    numbers_lost: np.ndarray
    names_added: np.ndarray
    names_lost: np.ndarray
    flips: np.ndarray
    numbers: tuple[np.ndarray, np.ndarray]  # of the original, of the rewrite
    names: tuple[np.ndarray, np.ndarray]
    negators: np.ndarray  # of both

    def contributions(self) -> dict[str, np.ndarray]:
        """What each part adds to the log-odds, float64 [n]."""

        def share(faults: np.ndarray, of: np.ndarray) -> np.ndarray:
            return faults / (1 + faults + of / 5)  # saturates with the faults, and a long text may have more of them

        values = (
            self.kept, self.supported, self.scrambled, np.maximum(0, ENOUGH - self.weakest_kept), np.maximum(0, ENOUGH - self.weakest_supported),
            share(self.numbers_added, self.numbers[1]), share(self.numbers_lost, self.numbers[0]),
            share(self.names_added, self.names[1]), share(self.names_lost, self.names[0]), share(self.flips, self.negators),
        )  # fmt: skip
        return {name: weight * value for (name, weight), value in zip(WEIGHTS.items(), values, strict=True)}

    def number(self) -> np.ndarray:
        """Faithfulness, float64 [n], 0 to 1; NaN where a part is."""
        z = INTERCEPT + sum(self.contributions().values())
        return np.clip((_sigma(z) - _WORST) / (_BEST - _WORST), 0, 1)


def _signal(name: str, unit: str, about: str, misleads: str) -> Signal:
    return Signal(name, unit, about, "higher_is_better", (-1.0 if name == "meaning_cosine" else 0.0, 1.0), misleads=misleads)


@check(
    version=2,
    source="ours, fitted to human ratings of simplifications and paraphrases (docs/rewrites.md); tokens are matched as by BERTScore (Zhang et al. 2020, arXiv:1904.09675)",
    signals=[
        _signal("faithfulness", "0 to 1", "Whether the rewrite says what the original says, from all that follows, numbers and names lost, added and exchanged, statements turned round and word order: from 0.8 on a reader calls it faithful, below 0.5 unfaithful, below 0.1 it is another text.", _READ),
        _signal("meaning_cosine", "cosine", "Cosine of both texts' mean token states.", "Texts on one subject are near each other whatever they say of it."),
        _signal("meaning_kept", "0 to 1", "How near the original's tokens find one in the rewrite: 1 less the root mean square of 1 minus the cosine.", _TOKENS),
        _signal("meaning_supported", "0 to 1", "How near the rewrite's tokens find one in the original.", _TOKENS),
        _signal("weakest_kept", "cosine", "The original's sentence that the rewrite has least of: its tokens' mean cosine with the nearest.", _SENTENCE),
        _signal("weakest_supported", "cosine", "The rewrite's sentence that the original has least of.", _SENTENCE),
        _signal("weakest_clause", "cosine", "The rewrite's clause that the original has least of: a short invention in a long sentence lowers it.", "Clauses are what stands between commas, other signs and words such as and, but, which (English); an aside that was reworded is easily the weakest one."),
        _signal("bertscore_recall", "cosine", "Mean cosine of the original's tokens with the nearest of the rewrite.", _PLAIN),
        _signal("bertscore_precision", "cosine", "Mean cosine of the rewrite's tokens with the nearest of the original.", _PLAIN),
        _signal("bertscore_f1", "cosine", "Harmonic mean of both.", _PLAIN),
        Signal("meaning_truncated", "0 or 1", "Whether a text has more tokens than max_tokens; what follows them was not looked at for meaning.", "descriptive", (0, 1), "int64"),
    ],
    audit=False,
)  # fmt: skip
def faithfulness(
    original: Batch, rewrite: Batch, *, model: str = MINILM, revision: str | None = None, max_tokens: int = 8192, dtype: str = "auto"
) -> Columns:
    """Meaning kept and supported, token by token through an encoder, and one number from it and from the checks of facts and polarity.

    The number's constants are for the default encoder; with another one read the parts. Exactly 1 where both texts have the same words
    in the same order; undefined where one has no token. A CPU reads some thousand tokens a second and core.

    Args:
        original: what was rewritten.
        rewrite: what became of it.
        model: a sentence-transformers folder or hub id.
        revision: commit, branch or tag of a hub id.
        max_tokens: read of each text.
        dtype: "auto" (float32 on a CPU, half precision on a GPU), "float32", "bfloat16" or "float16".

    Raises:
        ModelError: the encoder is not here, or makes its tokens itself.

    """
    from explorer.embeddings import encoders
    from explorer.embeddings.sentence import SentenceEncoder

    encoder = encoders.load(model, revision, dtype=dtype)
    if not isinstance(encoder, SentenceEncoder):
        raise ModelError(f"Model {model!r} has no token states. It is a sentence-transformers model that has a transformer. Name another.")
    found = meaning(original, rewrite, encoder, most=max_tokens)
    known = np.isfinite(found.kept)
    number = np.where(_same_words(original, rewrite), 1.0, parts(original, rewrite, found).number())
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = 2 * found.precision * found.recall / (found.precision + found.recall)
    return {
        "faithfulness": np.where(known, number, np.nan),
        "meaning_cosine": found.cosine,
        "meaning_kept": found.kept,
        "meaning_supported": found.supported,
        "weakest_kept": found.weakest_kept,
        "weakest_supported": found.weakest_supported,
        "weakest_clause": found.weakest_clause,
        "bertscore_recall": found.recall,
        "bertscore_precision": found.precision,
        "bertscore_f1": f1,
        "meaning_truncated": np.where(known, found.truncated, np.nan),
    }


def parts(original: Batch, rewrite: Batch, found: Meaning) -> Parts:
    """What the number is made of: what was found of meaning, and what the checks of copying, facts and polarity count."""
    ours, theirs, compared = fa.facts(original), fa.facts(rewrite), cp.compared(original, rewrite)
    numbers, names = (fa.NUMBER, fa.DATE, fa.TIME), (fa.NAME,)

    exchanged = ex.exchanges(original, rewrite)

    def faults(facts: fa.Facts, verdicts: np.ndarray, elsewhere: np.ndarray, kinds: tuple[np.int64, ...]) -> np.ndarray:
        wrong = verdicts >= cp.GONE
        wrong[_different(facts, elsewhere)] = True
        return _count(facts, np.isin(facts.kind, kinds) & wrong)  # a changed or exchanged one is lost and added, however often it is said

    def all_of(facts: fa.Facts, kinds: tuple[np.int64, ...]) -> np.ndarray:
        return _count(facts, np.isin(facts.kind, kinds) & ((facts.flags & (fa.FAINT | fa.REPEATED)) == 0))

    words = copying(original, rewrite)
    return Parts(
        found.kept,
        found.supported,
        found.weakest_kept,
        found.weakest_supported,
        words.scrambled / np.maximum(words.rewrite - 1, 1),
        faults(theirs, compared.rewrite, exchanged.rewrite, numbers),
        faults(ours, compared.original, exchanged.original, numbers),
        faults(theirs, compared.rewrite, exchanged.rewrite, names),
        faults(ours, compared.original, exchanged.original, names),
        np.diff(po.flips(original, rewrite).offsets),
        (all_of(ours, numbers), all_of(theirs, numbers)),
        (all_of(ours, names), all_of(theirs, names)),
        _negators(original) + _negators(rewrite),
    )


def _different(facts: fa.Facts, these: np.ndarray) -> np.ndarray:
    """One of these facts for each value of a document."""
    document = np.searchsorted(facts.offsets, these, side="right").astype(np.uint64)
    return these[np.unique(np.stack([document, facts.key[these]]), axis=1, return_index=True)[1]]


def _count(facts: fa.Facts, these: np.ndarray) -> np.ndarray:
    """How many of these facts each document has."""
    return np.diff(np.concatenate([[0], np.cumsum(these)])[facts.offsets])


def _negators(batch: Batch) -> np.ndarray:
    return np.diff(np.concatenate([[0], np.cumsum((cues(batch) & 3) == NO)])[tm.terms(batch).offsets])


def _same_words(original: Batch, rewrite: Batch) -> np.ndarray:
    """Whether both texts have the same words in the same order, bool [n]."""
    return np.array(
        [a is not None and b is not None and a.split() == b.split() for a, b in zip(original.texts(), rewrite.texts(), strict=True)], bool
    )
