"""fastText classifiers: load a ``.bin``, train one, score texts, and say which words tell.

Three things go wrong with fastText in pipelines, and all are taken care of here. It refuses a line feed, so texts become one line
with *spaces* (deleting line feeds, as one widespread filter does, joins words that training kept apart). It answers an empty text
with the labels' prior, which is no judgement: such a text is undefined. And a word that begins with ``__label__`` in a training
text would be taken for a label.

Source: Joulin et al. 2016, arXiv:1607.01759; DCLM (Li et al. 2024, arXiv:2406.11794) for word bigrams and one minus p.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from explorer.errors import ModelError

PREFIX = "__label__"
MOST_BUCKETS = 2_000_000  # fastText's default for word bigrams; 800 MB at 100 dimensions
LEAST_BYTES = 36 * 1024**2  # of the input matrix, see `_fit`
PERTURB = -6  # glibc's option M_PERTURB: the complement of its value fills every block that malloc gives out
WILD = 1e4  # no weight of a sane model comes near
FEW_WORDS = 5_000_000  # below this, fastText's 5 epochs at rate 0.1 leave a classifier at the prior
SMALL = 20_000  # texts up to which one thread trains, so that the same texts give the same model


@dataclass(frozen=True)
class Classifier:
    """A trained model and the labels that it tells apart."""

    model: Any
    labels: tuple[str, ...]
    path: str = ""

    def probability(self, texts: Sequence[str | None], label: str) -> np.ndarray:
        """p(label) of each text, float32 [n] in 0 to 1; NaN where the text is null or blank.

        Args:
            texts: any number of documents, of any length; line ends are taken as spaces.
            label: with or without ``__label__``.

        Raises:
            ModelError: the model does not know the label.

        """
        wanted = PREFIX + label.removeprefix(PREFIX)
        if wanted.removeprefix(PREFIX) not in self.labels:
            raise ModelError(
                f"Label {label!r} is not in the fastText model {self.path!r}. Labels: {', '.join(map(repr, self.labels[:20]))}. Name one of them."
            )
        scores = np.full(len(texts), np.nan, np.float32)
        for i, text in enumerate(texts):
            line = one_line(text)
            if line:
                # The C++ call itself: the wrapper's conversion to an array fails under numpy 2 in some builds of the package.
                found = self.model.f.predict(line + "\n", -1, 0.0, "replace")
                scores[i] = next((p for p, name in found if name == wanted), 0.0)
        return np.clip(scores, 0.0, 1.0)  # rounding in the softmax gives 1.00001

    def top(self, texts: Sequence[str | None]) -> list[tuple[str, float] | None]:
        """The most probable label of each text and its p; None where the text is null or blank."""
        answers: list[tuple[str, float] | None] = []
        for text in texts:
            line = one_line(text)
            found = self.model.f.predict(line + "\n", 1, 0.0, "replace") if line else []
            answers.append((found[0][1].removeprefix(PREFIX), min(1.0, max(0.0, float(found[0][0])))) if found else None)
        return answers

    def telling(self, label: str, most: int = 30) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
        """Words that speak for a label and words that speak against it, with their weight, strongest first.

        A word's weight is its vector times the difference between the label's output vector and the mean of the others': what it
        adds to the difference of logits in a text of that word alone (as in PreSelect's ``feature.py``).
        """
        words, counts = self.model.get_words(include_freq=True, on_unicode_error="replace")
        at = self.labels.index(label.removeprefix(PREFIX))
        out = self.model.get_output_matrix()
        direction = out[at] - np.delete(out, at, axis=0).mean(axis=0)
        vectors = np.array([self.model.get_input_vector(i) for i in range(len(words))])
        weights = vectors @ direction
        # fastText's own end-of-line mark is no word; and what occurs once or twice tells of one document
        shown = [i for i in np.argsort(-weights) if words[i] != "</s>" and counts[i] >= (3 if len(words) > 200 else 1)]
        pro = [(words[i], float(weights[i])) for i in shown[:most] if weights[i] > 0]
        con = [(words[i], float(weights[i])) for i in shown[::-1][:most] if weights[i] < 0]
        return pro, con


def one_line(text: str | None) -> str:
    """A text as fastText reads it: line feeds become spaces, as pipelines do it; empty for null and blank texts."""
    if text is None:
        return ""
    line = text.replace("\n", " ").strip()  # what else fastText takes for blanks it parts words at by itself
    return line if line.isascii() else line.encode("utf-8", "replace").decode()  # a lone surrogate cannot be handed over


def load(path: str | os.PathLike[str]) -> Classifier:
    """A fastText model from its ``.bin`` (or ``.ftz``) file; the last few stay in memory.

    Raises:
        ModelError: the file is missing or no fastText classifier.
        MissingExtraError: fastText is not installed.

    """
    place = Path(path).expanduser().absolute()
    try:
        status = place.stat()
    except OSError as error:
        raise ModelError(
            f"The fastText model {str(path)!r} is not there ({error.strerror}). A model is one .bin or .ftz file. Give its path."
        ) from error
    with _lock:
        return _loaded(str(place), status.st_size, status.st_mtime_ns)


_lock = threading.Lock()
_training = threading.Lock()


@lru_cache(maxsize=4)
def _loaded(path: str, size: int, changed: int) -> Classifier:
    with open(path, "rb") as file:
        if int.from_bytes(file.read(4), "little") != 793712314:  # the library leaves the process on some files that it cannot read
            raise ModelError(
                f"{path!r} is no fastText model: its first bytes are not fastText's. Models end in .bin or .ftz. Name another."
            )
    try:
        model = _fasttext().load_model(path)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ModelError(
            f"{path!r} cannot be read as a fastText model: {error}. It may be cut short. Copy or download it again."
        ) from error
    return _classifier(model, path)


def _classifier(model: Any, path: str = "") -> Classifier:
    try:
        labels = tuple(label.removeprefix(PREFIX) for label in model.get_labels(on_unicode_error="replace"))
    except (ValueError, RuntimeError):
        labels = ()
    if not labels or "supervised" not in str(model.f.getArgs().model):
        raise ModelError(f"{path!r} holds word vectors, not a classifier. A classifier was trained with labels. Name another model.")
    return Classifier(model, labels, path)


def train(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    word_ngrams: int = 2,
    dimension: int = 100,
    epochs: int | None = None,
    learning_rate: float | None = None,
    buckets: int | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> tuple[Classifier, dict[str, Any]]:
    """Train a classifier on labelled texts.

    Args:
        texts: documents; blank ones are left out.
        labels: one a text, without white space.
        word_ngrams: 2, as DCLM and PreSelect.
        dimension: of word vectors; 100 is fastText's default.
        epochs: passes over the texts; by default fastText's 5, and more for few texts, which would else leave it at the prior.
        learning_rate: by default fastText's 0.1, and 1.0 for few texts (on 40 to 1,000 reviews measured best with the epochs above).
        buckets: for hashed bigrams; by default as many as the texts have, at most fastText's 2,000,000.
        seed: of the starting vectors.
        threads: by default one for up to 20,000 texts (the same texts then give the same model), else the machine's processors.

    Returns:
        The classifier, and the parameters used, by fastText's names.

    """
    lines = [(label, one_line(text)) for text, label in zip(texts, labels, strict=True)]
    lines = [(label, line) for label, line in lines if line]
    if not lines:
        raise ModelError("No text was left to train on: all are blank. fastText needs words. Label documents that have text.")
    words = sum(line.count(" ") + 1 for _, line in lines)
    parameters = {
        "wordNgrams": word_ngrams,
        "dim": dimension,
        "epoch": epochs or max(5, min(50, 4 * FEW_WORDS // max(1, words))),
        "lr": learning_rate or (1.0 if words < FEW_WORDS else 0.1),
        "bucket": buckets or max(LEAST_BYTES // (4 * dimension), min(MOST_BUCKETS, words)),
        "minCount": 1,
        "seed": seed,
        "thread": threads or (1 if len(lines) <= SMALL else os.cpu_count() or 1),
    }
    with tempfile.TemporaryDirectory(prefix="fasttext-") as folder:
        path = os.path.join(folder, "train.txt")
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            for label, line in lines:
                file.write(f"{PREFIX}{label} {line.replace(PREFIX, '__label_')}\n")
        model = _fit(path, parameters)
    return _classifier(model), {name: value for name, value in parameters.items() if name != "thread"}


def _fit(path: str, parameters: dict[str, Any]) -> Any:
    """Train, and make sure that the starting vectors were what they should be.

    fastText fills a tenth of the input matrix a thread and leaves the rest as the memory came: with fewer than eleven threads, part
    of the vectors start from whatever lay there. Zeros serve as well as small random numbers, and glibc gives them when asked to.
    Other systems give them in large blocks, which are mostly fresh; hence `LEAST_BYTES`. Where values of any size or NaN appear
    after all, eleven threads fill everything.
    """
    fasttext = _fasttext()
    for threads in (parameters["thread"], 11):
        try:
            with _zeroed():
                model = fasttext.train_supervised(path, **parameters | {"thread": threads, "verbose": 0})
        except RuntimeError as error:
            if threads == 11 or "NaN" not in str(error):
                raise ModelError(f"fastText could not be trained: {error}. Its learning rate may be too high. Lower it.") from error
            continue
        matrix = model.get_input_matrix()
        if np.abs(matrix).max(initial=0.0) < WILD:  # false for NaN too
            return model
    raise ModelError("fastText's weights grew beyond all bounds. The learning rate is too high for these texts. Lower it.")


@contextmanager
def _zeroed() -> Iterator[None]:
    """New blocks of memory hold zeros meanwhile, in all threads, where the C library is glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        yield
        return
    with _training:
        mallopt(PERTURB, 0xFF)
        try:
            yield
        finally:
            mallopt(PERTURB, 0)


def save(classifier: Classifier, path: Path) -> None:
    """Write a classifier as a ``.bin`` that fastText itself reads."""
    classifier.model.save_model(str(path))


def _fasttext() -> Any:
    from explorer.models.extra import fasttext

    return fasttext
