"""Train a scorer: collect what it learns from, judge it on what it did not see, then learn from everything and keep it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from explorer.errors import EmbeddingError, ModelError
from explorer.scorers import words
from explorer.scorers.evaluation import CALIBRATE, CALIBRATE_CLASS, HeldOut, Predict, held_out, judge_classes, judge_numbers, logit, mended
from explorer.scorers.examples import Examples, collect, enough_groups
from explorer.scorers.heads import Head, fit, rotated
from explorer.scorers.store import BINARY, HEAD, Scorer, folder, save

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

MOST = {"logistic": 20_000, "ridge": 20_000, "fasttext": 50_000}  # documents learned from
MOST_ENCODED = 2000  # documents that are embedded for training when no vector of them is stored
SAMPLE = 2000  # documents of the corpus that inverse frequencies and telling words are taken from
MISTAKES = 12

Tell = Callable[[int, int, str], None]


@dataclass(frozen=True)
class _Trained:
    """What a kind of training hands back."""

    found: HeldOut
    fields: dict[str, Any]
    write: Callable[[Path], None]
    telling: dict[str, Any]


def train(
    corpus: Corpus,
    name: str,
    *,
    kind: str | None = None,
    labels: pl.DataFrame | None = None,
    column: str | None = None,
    model: str | None = None,
    positive: str | None = None,
    holdout: float = 0.25,
    seed: int = 0,
    on_progress: Tell | None = None,
) -> Scorer:
    """Train a scorer from labels or from a column, and keep it in the workspace.

    Args:
        corpus: the corpus, and with it the workspace.
        name: of the scorer; its column will be ``scorer_<name>``.
        kind: "logistic" (two classes) or "ridge" (a number) on embeddings or words, or "fasttext" (two classes); by default the
            first of them that fits.
        labels: a frame with row and label; by default those of the workspace.
        column: learn from a column or signal instead: 0 and 1 (as PreSelect), a number such as a loss or a rating (as MATES).
        model: encoder whose embeddings are read, or "words" for none. By default the embeddings that the corpus has, else words.
        positive: the label that counts as 1; "good", "1" or "true" where there is one. The other labels count as 0, "unsure" not.
        holdout: share held out for judging where there are 2,000 examples or more; fewer are cross-validated.
        seed: of every random choice.
        on_progress: called with (done, total, what is being done).

    Returns:
        The scorer, with figures on documents that it was not trained on.

    Raises:
        ModelError: nothing can be learned from these: one class, fewer than 5 a class, a number for a classifier.
        ColumnNotFoundError: there is no such column.

    """
    tell = on_progress or (lambda done, total, doing: None)
    folder(corpus.workspace, name)
    if not 0.05 <= holdout <= 0.5:
        raise ModelError(f"holdout is {holdout:g}. It is a share from 0.05 to 0.5. Leave it out for a quarter.")
    tell(0, 1, "reading the labelled documents")
    most = MOST[kind] if kind in MOST else MOST["logistic"]
    kind, examples = collect(corpus, kind, labels, column, positive, most, seed)
    notes = list(examples.notes)
    if kind == "fasttext":
        trained = _fasttext(examples, holdout, seed, tell)
    else:
        from sklearn import config_context
        from threadpoolctl import threadpool_limits

        vectors: np.ndarray | None = None
        encoder: dict[str, Any] = {}
        if model != "words":
            vectors, encoder, examples = _vectors(corpus, examples, model, notes, tell)
        # hundreds of tiny problems: threads cost more than they bring, and so do sklearn's own checks of what is checked here
        with threadpool_limits(1, "blas"), config_context(skip_parameter_validation=True, assume_finite=True):
            trained = _linear(corpus, kind, examples, vectors, encoder, holdout, seed, tell)
    target = examples.target
    found, platt = trained.found, None
    if examples.binary:
        value = found.scores if kind != "fasttext" else logit(found.scores)
        platt, probability = mended(value, target, examples.groups, seed)
        metrics = judge_classes(found, probability, target, examples.groups)
        shown, aim = probability, target.astype(float)
        if platt is None:
            notes.append(
                f"probabilities are as the model gives them: mending them takes {CALIBRATE} labels, {CALIBRATE_CLASS} of each class, and a score that ranks"
            )
        notes.append(
            "shares and probabilities are those of the labelled documents; in the corpus the share of the positive class may be another"
        )
    else:
        aim = (target - trained.fields["centre"]) / trained.fields["spread"]
        shown = found.scores
        metrics = judge_numbers(found, aim)
    wrong = np.abs(shown - aim)
    worst = np.argsort(-np.where(np.isfinite(wrong), wrong, -1), kind="stable")[:MISTAKES]
    mistakes = [{"row": int(examples.rows[i]), "target": float(aim[i]), "score": float(shown[i])} for i in worst if np.isfinite(wrong[i])]
    scorer = Scorer(
        name=name,
        kind=kind,
        source=examples.source,
        n=len(target),
        classes=examples.classes,
        positive=examples.positive,
        platt=platt,
        metrics=metrics,
        telling=trained.telling,
        mistakes=mistakes,
        notes=notes,
        made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        corpus=corpus.fingerprint,
        **trained.fields,
    )
    return save(corpus.workspace, scorer, trained.write)


# --- linear heads ----------------------------------------------------------------------------------------------------------


def _linear(
    corpus: Corpus,
    kind: str,
    examples: Examples,
    vectors: np.ndarray | None,
    encoder: dict[str, Any],
    holdout: float,
    seed: int,
    tell: Tell,
) -> _Trained:
    inverse = None
    if vectors is None:
        tell(0, 1, "counting words")
        counted = words.counts(examples.texts)
        inverse = words.inverse_frequency(_stacked(counted, words.counts(_sample(corpus, seed)[1])))
        features: Any = words.weighted(counted, inverse)
    else:
        features = vectors.astype(np.float64)
    centre, spread = (0.0, 1.0) if examples.binary else (float(examples.target.mean()), float(examples.target.std()))
    target = examples.target if examples.binary else (examples.target - centre) / spread

    turned, back = rotated(features)

    def predict(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        return fit(kind, turned[train], target[train], examples.groups[train], seed).decide(turned[test])

    found = _judged(predict, examples, target, holdout, seed, tell, repeats=5 if len(target) < 100 else 2 if len(target) < 600 else 1)
    tell(len(examples.rows), len(examples.rows), "learning from everything")
    head = fit(kind, turned, target, examples.groups, seed)
    head = replace(head, coefficients=back(head.coefficients))
    fields = {
        "features": "words" if vectors is None else "embeddings",
        "encoder": encoder,
        "strength": head.strength,
        "centre": centre,
        "spread": spread,
        "parameters": {"characters": words.CHARACTERS, "features": words.FEATURES} if vectors is None else {},
    }
    telling = _telling(corpus, examples, head, features, vectors, encoder, seed)

    def write(place: Path) -> None:
        arrays: dict[str, Any] = {"coefficients": head.coefficients, "intercept": np.array(head.intercept)}
        if inverse is not None:
            arrays["inverse"] = inverse
        np.savez_compressed(place / HEAD, **arrays)

    return _Trained(found, fields, write, telling)


def _vectors(
    corpus: Corpus, examples: Examples, model: str | None, notes: list[str], tell: Tell
) -> tuple[np.ndarray | None, dict[str, Any], Examples]:
    """Embeddings of the examples: stored ones, and fresh ones for a few; None where nothing is embedded and none was asked for."""
    from explorer.embeddings.embed import embedding_family
    from explorer.embeddings.encoders import load
    from explorer.embeddings.store import embeddings

    try:
        stored = embeddings(corpus, model)
        encoder, vectors = dict(stored.parameters), stored.of(examples.rows)
    except EmbeddingError:
        if model is None:
            notes.append(
                "learned from words, since no document is embedded; embeddings may rank topics better (explorer embed), words often style: try both"
            )
            return None, {}, examples
        encoder, vectors = dict(embedding_family(corpus, model)[1].parameters), np.zeros((0, 0), np.float32)
    missing = np.flatnonzero(~np.isfinite(vectors[:, 0])) if vectors.size else np.arange(len(examples.rows))
    if len(missing) > MOST_ENCODED:
        there = np.setdiff1d(np.arange(len(examples.rows)), missing)
        if len(there) < MOST_ENCODED:
            raise EmbeddingError(
                f"{len(missing):,} of {len(examples.rows):,} documents to learn from are not embedded with {encoder.get('model')!r}. At most {MOST_ENCODED:,} are embedded on the spot. Embed the corpus first: explorer embed PATH"
            )
        notes.append(f"{len(missing):,} documents left out because they are not embedded")
        kept = _subset(examples, there)
        enough_groups(kept)
        return vectors[there], encoder, kept
    if len(missing):
        tell(0, 1, f"embedding {len(missing):,} documents")
        fresh = load(**encoder).encode([examples.texts[i] for i in missing])
        if not vectors.size:
            vectors = np.zeros((len(examples.rows), fresh.shape[1]), np.float32)
        vectors[missing] = fresh
        if len(missing) == len(examples.rows):
            notes.append("only the labelled documents were embedded; embed the corpus before applying the scorer to all of it")
    return vectors, encoder, examples


def _subset(examples: Examples, kept: np.ndarray) -> Examples:
    return replace(
        examples,
        rows=examples.rows[kept],
        texts=[examples.texts[i] for i in kept],
        target=examples.target[kept],
        groups=examples.groups[kept],
    )


def _stacked(first: Any, second: Any) -> Any:
    from scipy.sparse import vstack

    return vstack([first, second]).tocsr()


def _sample(corpus: Corpus, seed: int, among: np.ndarray | None = None) -> tuple[np.ndarray, list[str]]:
    """Numbers and texts of up to 2,000 documents drawn at random."""
    random = np.random.default_rng(seed)
    pool = np.arange(len(corpus)) if among is None else among
    rows = np.sort(random.choice(pool, min(SAMPLE, len(pool)), replace=False))
    texts = []
    for start in range(0, len(rows), 256):
        found = corpus.documents(rows[start : start + 256], [corpus.roles.text])[corpus.roles.text]
        texts += [(text or "")[: words.CHARACTERS] for text in found.to_list()]
    return rows, texts


def _telling(
    corpus: Corpus,
    examples: Examples,
    head: Head,
    features: Any,
    vectors: np.ndarray | None,
    encoder: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    if vectors is None:
        pro, con = words.by_weight(examples.texts, features, head.coefficients)
        how = f"weight of the word times its spread over the {len(examples.texts):,} documents learned from"
        return {"how": how, "for": pro, "against": con}
    from explorer.embeddings.store import embeddings

    texts, scores = examples.texts, head.decide(vectors)
    how = f"correlation of the word's presence with the score over the {len(texts):,} documents learned from"
    try:
        stored = embeddings(corpus, encoder.get("model"))
    except EmbeddingError:
        stored = None
    if stored is not None and stored.parameters == encoder and len(stored) >= 200:
        rows, texts = _sample(corpus, seed, stored.rows)
        scores = head.decide(stored.of(rows))
        how = f"correlation of the word's presence with the score over {len(rows):,} documents of the corpus"
    pro, con = words.by_correlation(texts, scores)
    return {"how": how, "for": pro, "against": con}


# --- fastText --------------------------------------------------------------------------------------------------------------


def _fasttext(examples: Examples, holdout: float, seed: int, tell: Tell) -> _Trained:
    from explorer.models import fasttext

    others = [label for label in examples.classes if label != examples.positive and label != "unsure"]
    yes = _label(examples.positive)
    no = _label(others[0]) if len(others) == 1 and _label(others[0]) != yes else f"not_{yes}"
    said = [yes if y else no for y in examples.target]

    def predict(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        model, _ = fasttext.train([examples.texts[i] for i in train], [said[i] for i in train], seed=seed)
        return model.probability([examples.texts[i] for i in test], yes).astype(np.float64)

    found = _judged(predict, examples, examples.target, holdout, seed, tell, repeats=2 if len(said) < 200 else 1)
    tell(len(examples.rows), len(examples.rows), "learning from everything")
    model, parameters = fasttext.train(examples.texts, said, seed=seed)
    pro, con = model.telling(yes)
    telling = {"how": "the word's vector times the difference of the classes' vectors", "for": pro, "against": con}
    fields = {"features": "fasttext", "parameters": parameters | {"label": yes, "other": no}}
    return _Trained(found, fields, lambda place: fasttext.save(model, place / BINARY), telling)


def _label(name: str) -> str:
    """A label as one word, which fastText needs."""
    return "_".join(name.split()).removeprefix("__label__") or "label"


def _judged(predict: Predict, examples: Examples, target: np.ndarray, holdout: float, seed: int, tell: Tell, repeats: int) -> HeldOut:
    def show(done: int, total: int) -> None:
        tell(len(target) * done // total, len(target), "judging on documents left out")

    return held_out(predict, target, examples.groups, repeats=repeats, holdout=holdout, seed=seed, tell=show)
