"""Whether a natural-language-inference model finds each text's sentences entailed, or contradicted, by the other text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from explorer.errors import ModelError
from explorer.models import sequence
from explorer.models.sequence import Classifier
from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check

LABELS = ("entailment", "neutral", "contradiction")
LONGEST = 512  # tokens of a sequence, where the model takes more: what such models are trained on
AT_ONCE = 4096  # sequences whose texts are held together
FEWEST = 3  # words: a sentence of fewer is asked about only where a text has no longer one
SPOKEN = tm.WORD | tm.NUMBER | tm.UNSPACED
MISLEADS = "The model decides: such models are trained on short premises, take word overlap for entailment and read English best. Not checked against released weights."
WEAKEST = f"One sentence of many decides: a sentence that only leads over to the next is easily the weakest. {MISLEADS}"


@check(
    version=1,
    source="the model that the parameter names, a premise in windows of whole sentences as in SummaC (Laban et al. 2022, arXiv:2111.09525)",
    signals=[
        Signal("entailed", "probability", "The rewrite's sentence that the original entails least: its probability of entailment.", "higher_is_better", (0.0, 1.0), misleads=WEAKEST),
        Signal("entailed_back", "probability", "The original's sentence that the rewrite entails least.", "higher_is_better", (0.0, 1.0), misleads=f"A summary leaves sentences out rightly. {WEAKEST}"),
        Signal("contradicted", "probability", "The rewrite's sentence that the original contradicts most: its probability of contradiction.", "lower_is_better", (0.0, 1.0), misleads=MISLEADS),
        Signal("entailment_truncated", "0 or 1", "Whether a sentence of either text was too long to be read whole.", "descriptive", (0.0, 1.0), "int64"),
    ],
    audit=False,
)  # fmt: skip
def entailment(
    original: Batch,
    rewrite: Batch,
    *,
    model: str = "",
    revision: str | None = None,
    max_length: int | None = None,
    pickled: bool = False,
    dtype: str = "auto",
) -> Columns:
    """Entailment of the rewrite's sentences by the original, of the original's by the rewrite, and contradiction, by a model of yours.

    Each sentence of one text is the hypothesis, the other text the premise: whole where it fits beside the longest of them, else in windows of
    whole sentences of which the one that entails (or contradicts) most counts. A pair costs as many sequences as both texts have sentences, times windows: use a GPU, or
    a sample. No model is included, and the check was not held against released weights: try one on pairs that you know.

    Args:
        original: what was rewritten.
        rewrite: what became of it.
        model: required: hub id or folder of a cross-encoder whose labels are entailment, neutral and contradiction, such as
            "cross-encoder/nli-deberta-v3-small" (hf download cross-encoder/nli-deberta-v3-small).
        revision: commit of a hub id.
        max_length: tokens of premise and hypothesis together; by default what the model can take, at most 512.
        pickled: whether weights that are not safetensors may be loaded; they can run code.
        dtype: "auto" (float32 on a CPU, half precision on a GPU), "float32", "bfloat16" or "float16".

    Raises:
        ModelError: no model was named, it is not on this machine, or its labels are others.

    """
    if not model:
        raise ModelError(
            "No model was named for 'entailment'. It takes a folder or a hub id of a cross-encoder with the labels entailment, neutral and contradiction. "
            "Set model, for example: hf download cross-encoder/nli-deberta-v3-small, then -p entailment.model=cross-encoder/nli-deberta-v3-small"
        )
    judge = sequence.load(model, revision, pickled=pickled, dtype=dtype)
    order = outputs(judge)
    length = max_length if max_length is not None else min(judge.longest or LONGEST, LONGEST)
    ours, theirs = (Sentences(batch, judge) for batch in (original, rewrite))
    rows = [d for d in np.flatnonzero(original.valid & rewrite.valid).tolist() if ours.telling(d) and theirs.telling(d)]
    entailed, contradicted, cut = _asked(rows, ours, theirs, judge, order, length)
    back, _, cut_back = _asked(rows, theirs, ours, judge, order, length)
    known = np.isfinite(entailed) & np.isfinite(back)
    return {
        "entailed": entailed,
        "entailed_back": back,
        "contradicted": contradicted,
        "entailment_truncated": np.where(known, np.fmax(cut, cut_back), np.nan),
    }


def _asked(
    rows: Sequence[int], premises: Sentences, hypotheses: Sentences, judge: Classifier, order: Sequence[int], length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lowest entailment of a document's sentences, highest contradiction, whether a text was cut), float32 [n] each; NaN where none was asked."""
    entails, contradicts, cuts = (np.full(hypotheses.count, np.nan, np.float32) for _ in range(3))  # by sentence
    for numbers, first, second in _questions(rows, premises, hypotheses, length - judge.framing):
        logits, cut = judge.pairs(first, second, max_length=length)
        likely = sequence.softmax(logits)[:, order].astype(np.float32)
        # of a premise's windows the one that says most
        for values, of in ((entails, likely[:, 0]), (contradicts, likely[:, 2]), (cuts, cut)):
            np.fmax.at(values, numbers, of)
    low, high, some = (np.full(hypotheses.documents, np.nan, np.float32) for _ in range(3))
    np.fmin.at(low, hypotheses.document, entails)
    np.fmax.at(high, hypotheses.document, contradicts)
    np.fmax.at(some, hypotheses.document, cuts)
    return low, high, some


def outputs(judge: Classifier) -> list[int]:
    """Which outputs of a model are entailment, neutral and contradiction, by the names that its configuration gives them.

    Raises:
        ModelError: they have other names, or there are more.

    """
    names = [label.strip().casefold() for label in judge.labels]
    if sorted(names) != sorted(LABELS) or judge.problem != "single_label_classification":
        raise ModelError(
            f"Model {judge.name!r} has the labels {', '.join(map(repr, judge.labels[:8]))}. A model of entailment has exactly {', '.join(LABELS)} (id2label in its "
            "config.json, in any order and case). Name such a model, or correct its config.json if you know which output is which."
        )
    return [names.index(label) for label in LABELS]


class Sentences:
    """The sentences of a batch as texts, and windows of them that fit a model.

    Attributes:
        documents: number of documents.
        count: number of sentences.
        document: int64 [count], which document each is of.
        judge: the model whose tokens are counted.

    """

    def __init__(self, batch: Batch, judge: Classifier) -> None:
        terms, self._spans = tm.terms(batch), tm.sentences(batch)
        spoken = np.concatenate([[0], np.cumsum((terms.flags & SPOKEN) != 0)])
        self._words = np.diff(spoken[terms.sentence_terms])
        self._data, self.judge = batch.data, judge
        self.documents, self.count = len(batch), len(self._words)
        self.document = np.repeat(np.arange(self.documents), np.diff(self._spans.offsets))

    def text(self, first: int, last: int) -> str:
        """The sentences ``first:last`` of one document."""
        return self._data[self._spans.start[first] : self._spans.end[last - 1]].tobytes().decode("utf-8", "replace")

    def telling(self, d: int) -> list[int]:
        """Numbers of a document's sentences of `FEWEST` words or more; of all that have any where there is none so long."""
        a, b = self._spans.offsets[d : d + 2]
        words = self._words[a:b]
        return (a + np.flatnonzero(words >= min(FEWEST, max(1, words.max(initial=0))))).tolist()

    def windows(self, d: int, length: int, beside: int) -> list[str]:
        """A document whole where it leaves room for ``beside`` tokens in a sequence, else as runs of sentences of at most half of it.

        A sentence that is longer is a run of its own.
        """
        a, b = self._spans.offsets[d : d + 2].tolist()
        sizes = self.judge.sizes([self.text(s, s + 1) for s in range(a, b)])
        if sum(sizes) + beside <= length:
            return [self.text(a, b)]
        bounds, size = [a], 0
        for s, tokens in enumerate(sizes, a):
            if s > bounds[-1] and size + tokens > length // 2:
                bounds.append(s)
                size = 0
            size += tokens
        return [self.text(first, last) for first, last in pairwise([*bounds, b]) if last > first]


def _questions(
    rows: Sequence[int], premises: Sentences, hypotheses: Sentences, length: int
) -> Iterator[tuple[list[int], list[str], list[str]]]:
    """(number of the hypothesis, premise, hypothesis) as columns, `AT_ONCE` at a time; ``length`` without special tokens."""
    numbers: list[int] = []
    first: list[str] = []
    second: list[str] = []
    for d in rows:
        told = hypotheses.telling(d)
        texts = [hypotheses.text(s, s + 1) for s in told]
        for premise in premises.windows(d, length, max(hypotheses.judge.sizes(texts))):
            for s, text in zip(told, texts, strict=True):
                numbers.append(s)
                first.append(premise)
                second.append(text)
                if len(numbers) == AT_ONCE:
                    yield numbers, first, second
                    numbers, first, second = [], [], []
    if numbers:
        yield numbers, first, second
