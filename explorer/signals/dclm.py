"""fastText quality classifiers: DCLM's, and any other by its file and label (PreSelect's, your own)."""

from __future__ import annotations

import numpy as np

from explorer.errors import ModelError, SignalError
from explorer.models import fasttext
from explorer.models.hub import resolve
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

DCLM = "mlfoundations/fasttext-oh-eli5"
DCLM_FILE = "openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train.bin"
LOW = "cc"  # DCLM's label of what is not wanted

_MISLEADS = (
    "It knows words and pairs of words, not meaning: style and subject decide, and a text of a few words is judged by these alone. "
    "A published threshold keeps another share of another corpus."
)


def load(model: str, revision: str | None, file: str | None) -> fasttext.Classifier:
    """A fastText classifier from a file, a folder that holds one, or a hub repository and the file in it.

    Raises:
        SignalError: no model was named, or the file in it is not.
        ModelError: it is not here.

    """
    if not model:
        raise SignalError(
            "No fastText model was named. Models differ in what they call good, so there is no default. Set model to a .bin file, or to a hub "
            "id with the name of its .bin in file."
        )
    path = resolve(model, revision, file=file or "").path
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix in (".bin", ".ftz"))
        chosen = file if file in inside else inside[0] if len(inside) == 1 and not file else None
        if chosen is None:
            raise SignalError(
                f"Which file of {model!r} is the fastText model is not clear (file is {file!r}). Its .bin and .ftz files: {', '.join(map(repr, inside)) or 'none'}. Set file to one."
            )
        path /= chosen
    if not path.is_file():
        raise ModelError(f"fastText model {str(path)!r} does not exist. It is one .bin or .ftz file. Check model and file.")
    return fasttext.load(path)


@family(
    version=1,
    source="Li et al. 2024 (DCLM, arXiv:2406.11794), mlfoundations/dclm fastText filter; not checked against the released weights",
    signals=[
        Signal(
            "dclm_score",
            "probability",
            "p of the best label where that is not __label__cc, else 1 - p: with two labels, the probability of being like instruction data "
            "and good answers on Reddit rather than like RefinedWeb.",
            "higher_is_better",
            (0, 1),
            misleads=_MISLEADS + " DCLM keeps above 0.018112, the best tenth of its own pool; the best tenth of yours is the safer cut.",
        )
    ],
)
def dclm(batch: Batch, *, model: str = DCLM, revision: str | None = None, file: str | None = DCLM_FILE) -> Columns:
    """Probability that a text is like instruction data and well-liked answers, by DCLM's fastText classifier.

    Line ends become spaces, as in training. Null for a blank text, to which fastText would answer with its labels' frequency. Where the
    hub cannot be reached, fetch the file elsewhere (``hf download mlfoundations/fasttext-oh-eli5``) and set model to its path.

    Args:
        batch: documents.
        model: a hub id, a folder, or the .bin itself; any fastText model with the label __label__cc.
        revision: commit, branch or tag of a hub id.
        file: name of the .bin in a hub repository or folder.

    Raises:
        SignalError: the model has no label __label__cc.
        ModelError: it is not here and the hub cannot give it.

    """
    classifier = load(model, revision, file)
    if LOW not in classifier.labels:
        raise SignalError(
            f"Model {model!r} has no label '__label__{LOW}', which DCLM's has. Labels: {', '.join(map(repr, classifier.labels[:20]))}. "
            "Use the family fasttext_rater with one of them as label."
        )
    found = classifier.top(batch.texts())
    scores = [np.nan if f is None else 1.0 - f[1] if f[0] == LOW else f[1] for f in found]
    return {"dclm_score": np.clip(np.array(scores, np.float32), 0.0, 1.0)}


@family(
    version=1,
    source="Joulin et al. 2016 (fastText, arXiv:1607.01759)",
    signals=[
        Signal(
            "fasttext_rater",
            "probability",
            "p(label) by the given fastText classifier.",
            "higher_is_better",
            (0, 1),
            misleads=_MISLEADS + " What a high value means is what the model was trained for.",
        )
    ],
)
def fasttext_rater(batch: Batch, *, model: str = "", revision: str | None = None, file: str | None = None, label: str = "1") -> Columns:
    """Probability of one label by any fastText classifier.

    Line ends become spaces. Null for a blank text. PreSelect's classifier, for example, is ``hkust-nlp/preselect-fasttext-classifier``
    with label "1" (its authors keep the best tenth of all characters). Give it a name of its own: ``fasttext_rater:preselect``.

    Args:
        batch: documents.
        model: required: a .bin or .ftz file, a folder that holds one, or a hub id.
        revision: commit, branch or tag of a hub id.
        file: name of the file in a hub repository or folder.
        label: whose probability, with or without ``__label__``.

    Raises:
        SignalError: no model was named, or the model does not know the label.
        ModelError: it is not here and the hub cannot give it.

    """
    return {"fasttext_rater": load(model, revision, file).probability(batch.texts(), label)}
