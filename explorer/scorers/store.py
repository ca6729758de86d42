"""Trained scorers: kept in the workspace, loaded, applied to a corpus, and taken elsewhere.

    scorers/<name>/scorer.json   what it is, what it learned from, how good it is
    scorers/<name>/head.npz      weights (arrays only), or
    scorers/<name>/model.bin     fastText's own file

A folder appears, and is replaced, whole. Nothing in it can run code when it is read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from explorer.corpus.workspace import Workspace, locked, unwritable, write_atomically, write_text
from explorer.errors import EmbeddingError, ModelError
from explorer.scorers import words
from explorer.scorers.evaluation import logistic, logit

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus
    from explorer.corpus.sidecars import Sidecar

VERSION = 1
RECORD, HEAD, BINARY = "scorer.json", "head.npz", "model.bin"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
BATCH = 512  # texts turned into words at once
ROWS = 65_536  # vectors scored at once


@dataclass(frozen=True)
class Scorer:
    """A trained scorer.

    Attributes:
        name: also the end of its column, ``scorer_<name>``.
        kind: "logistic", "ridge" or "fasttext".
        features: what it reads: "embeddings", "words" or "fasttext".
        source: what it learned from, in words.
        n: documents it learned from, each text once.
        classes: documents a label.
        positive: the label whose probability it gives; empty when it gives a number.
        encoder: settings of the encoder, model and revision among them; empty for words and fastText.
        strength: inverse penalty of the head.
        platt: slope and offset that mend its probabilities, None where they were left as they are.
        centre, spread: mean and standard deviation of the numbers it learned; it gives (number - centre) / spread.
        parameters: of fastText, or of the words.
        metrics: how good it is on documents it was not trained on; see `explorer.scorers.evaluation`.
        telling: words for and against, and how they were found.
        mistakes: held-out documents on which it was most wrong: row, target, score.
        notes: what was left out, and what to keep in mind.
        made: when, ISO 8601.
        corpus: fingerprint of the corpus it learned from.
        version: of this record.
        folder: where it lies.

    """

    name: str
    kind: str
    features: str
    source: str
    n: int
    classes: Mapping[str, int] = field(default_factory=dict)
    positive: str = ""
    encoder: Mapping[str, Any] = field(default_factory=dict)
    strength: float | None = None
    platt: tuple[float, float] | None = None
    centre: float = 0.0
    spread: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    telling: Mapping[str, Any] = field(default_factory=dict)
    mistakes: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    made: str = ""
    corpus: str = ""
    version: int = VERSION
    folder: Path | None = field(default=None, compare=False)

    @property
    def column(self) -> str:
        """The column that it fills."""
        return f"scorer_{self.name}"

    @property
    def signal(self) -> str:
        """What it is called when signals are scored."""
        return f"scorer:{self.name}"

    @property
    def reads(self) -> str:
        """What it reads, in words."""
        if self.features == "embeddings":
            return f"embeddings of {self.encoder.get('model')}"
        return "words and word pairs (TF-IDF)" if self.features == "words" else "fastText's own word vectors"

    def __str__(self) -> str:
        m = {name: "undefined" if v is None else f"{v:.3f}" if isinstance(v, float) else v for name, v in self.metrics.items()}
        if self.positive:
            judged = f"AUC {m['auc']} (95 % {m['auc_low']} to {m['auc_high']}), average precision {m['average_precision']} where {m['base_rate']} are {self.positive}, Brier {m['brier']}"
        else:
            judged = f"Spearman {m['spearman']} (95 % {m['spearman_low']} to {m['spearman_high']}), mean error {m['mae']} spreads"
        lines = [f"{self.name}: {self.kind} on {self.reads}, from {self.n:,} documents ({self.source})", f"{judged}; {m['how']}"]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def predict(self, texts: Sequence[str | None] | None = None, *, vectors: np.ndarray | None = None) -> np.ndarray:
        """Scores, float32 [n]: the probability of the positive class, or the number in spreads; NaN for null and blank texts.

        Args:
            texts: documents.
            vectors: their embeddings [n, d] by this scorer's encoder, instead; a row with NaN has none.

        Raises:
            ModelError: neither or both are given, or the scorer does not read vectors.

        """
        if (texts is None) == (vectors is None):
            raise ModelError("A scorer predicts from texts or from vectors. Give one of them. Example: scorer.predict(['a text'])")
        if vectors is not None:
            if self.features != "embeddings":
                raise ModelError(f"Scorer {self.name!r} reads {self.reads}, not embeddings. Give texts.")
            return self._from_vectors(np.asarray(vectors))
        assert texts is not None
        there = [i for i, text in enumerate(texts) if text and text.strip()]
        scores = np.full(len(texts), np.nan, np.float32)
        chosen = [texts[i] or "" for i in there]
        if not chosen:
            return scores
        if self.features == "fasttext":
            from explorer.models import fasttext

            p = fasttext.load(self._file(BINARY)).probability(chosen, self.parameters["label"])
            scores[there] = p if self.platt is None else self._finished(logit(p.astype(np.float64)))
        elif self.features == "embeddings":
            from explorer.embeddings.encoders import load as load_encoder

            scores[there] = self._from_vectors(load_encoder(**self.encoder).encode(chosen))
        else:
            head = self._head()
            for start in range(0, len(chosen), BATCH):
                part = words.weighted(words.counts(chosen[start : start + BATCH]), head["inverse"])
                scores[there[start : start + BATCH]] = self._finished(
                    np.asarray(part @ head["coefficients"]).ravel() + float(head["intercept"])
                )
        return scores

    def _from_vectors(self, vectors: np.ndarray) -> np.ndarray:
        head = self._head()
        weights = head["coefficients"].astype(np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != len(weights):
            raise ModelError(
                f"Scorer {self.name!r} reads vectors of {len(weights)} numbers, and {'x'.join(map(str, vectors.shape))} were given. Embed with {self.encoder.get('model')!r}."
            )
        scores = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), ROWS):
            part = vectors[start : start + ROWS].astype(np.float32)
            scores[start : start + ROWS] = self._finished((part @ weights).astype(np.float64) + float(head["intercept"]))
        return scores

    def _finished(self, value: np.ndarray) -> np.ndarray:
        """The score from the head's linear value."""
        if not self.positive:
            return value.astype(np.float32)
        slope, offset = self.platt or (1.0, 0.0)
        return logistic(slope * value + offset).astype(np.float32)

    def _file(self, name: str) -> Path:
        if self.folder is None:
            raise ModelError(f"Scorer {self.name!r} was not saved, so it has no weights. Load it from its workspace.")
        return self.folder / name

    def _head(self) -> dict[str, np.ndarray]:
        path = self._file(HEAD)
        try:
            status = path.stat()
            return _arrays(str(path), status.st_size, status.st_mtime_ns)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"The weights of scorer {self.name!r} cannot be read: {error}. Train it again.") from error


@lru_cache(maxsize=8)
def _arrays(path: str, size: int, changed: int) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


# --- the workspace ---------------------------------------------------------------------------------------------------------


def folder(workspace: Workspace | str | os.PathLike[str], name: str) -> Path:
    """Where a scorer of this name lies, or would lie.

    Raises:
        ModelError: the name cannot end a column's name.

    """
    if not NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} cannot name a scorer. Small letters, digits and _ are allowed, at most 40, a letter first. Example: readable_prose"
        )
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    return space.path / "scorers" / name


def names(workspace: Workspace | str | os.PathLike[str]) -> list[str]:
    """The scorers of a workspace, the latest first."""
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    found = [p for p in (space.path / "scorers").glob(f"*/{RECORD}") if NAME.fullmatch(p.parent.name)]
    return [p.parent.name for p in sorted(found, key=lambda p: (-p.stat().st_mtime, p.parent.name))]


def load(place: str | os.PathLike[str], workspace: Workspace | str | os.PathLike[str] | None = None) -> Scorer:
    """A scorer from its folder, or by its name in a workspace.

    Raises:
        ModelError: there is none, or its record cannot be read.

    """
    path = Path(place).expanduser() if workspace is None else folder(workspace, str(place))
    for attempt in range(2):
        try:
            said = json.loads((path / RECORD).read_text(encoding="utf-8"))
            break
        except FileNotFoundError as error:
            if attempt:  # a scorer that is trained anew is away for the instant in which the folders change places
                there = ", ".join(names(path.parent.parent)) or "none"
                raise ModelError(
                    f"There is no scorer {str(path)!r}. Scorers beside it: {there}. Train one: explorer train PATH --name {path.name}"
                ) from error
            time.sleep(0.05)
        except (OSError, ValueError) as error:
            raise ModelError(f"The scorer {str(path)!r} cannot be read: {error}. Train it again.") from error
    if not isinstance(said, dict) or said.get("version", 0) > VERSION:
        raise ModelError(f"The scorer {str(path)!r} was made by a newer version of this package. Update it, or train the scorer again.")
    known = {f.name for f in fields(Scorer)} - {"folder"}
    try:
        scorer = Scorer(**{k: v for k, v in said.items() if k in known})
    except TypeError as error:
        raise ModelError(f"The scorer {str(path)!r} lacks a part: {error}. Train it again.") from error
    return replace(scorer, platt=tuple(scorer.platt) if scorer.platt else None, folder=path.absolute())  # type: ignore[arg-type]


def save(workspace: Workspace, scorer: Scorer, write_weights: Callable[[Path], None]) -> Scorer:
    """Keep a scorer: its folder is filled aside, then takes the place of the one of this name."""
    final = folder(workspace, scorer.name)
    aside = final.with_name(f".{scorer.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        aside.mkdir(parents=True)
        write_weights(aside)
        record = {k: v for k, v in asdict(scorer).items() if k != "folder"}
        write_text(aside / RECORD, json.dumps(_finite(record), indent=1, ensure_ascii=False) + "\n")
        with locked(final.parent / ".lock"):
            old = aside.with_name(f"{aside.name}.old")
            if final.exists():
                os.rename(final, old)
            os.rename(aside, final)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise unwritable(final, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return load(final)


def _finite(value: Any) -> Any:
    """JSON knows no NaN: undefined figures are null in the file, NaN in memory only where they are computed."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def delete(workspace: Workspace | str | os.PathLike[str], name: str) -> None:
    """Remove a scorer; columns that it filled stay."""
    place = load(name, workspace).folder
    assert place is not None
    shutil.rmtree(place)


# --- to a corpus -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Applied:
    """What applying a scorer did: ``scored`` of ``documents`` have a score, ``without_vector`` have none to score."""

    column: str
    documents: int
    scored: int
    without_vector: int = 0
    how: str = ""
    cancelled: bool = False

    def __str__(self) -> str:
        said = f"{self.column}: {self.scored:,} of {self.documents:,} documents scored {self.how}".rstrip()
        if self.without_vector:
            said += f"; {self.without_vector:,} are not embedded (explorer embed, then apply it again)"
        return said


def apply(
    corpus: Corpus,
    name: str,
    rows: Sequence[int] | np.ndarray | None = None,
    *,
    on_progress: Callable[..., None] | None = None,
    cancel: threading.Event | None = None,
) -> Applied:
    """Fill the column ``scorer_<name>``.

    A scorer on embeddings uses the stored vectors of the corpus, all in one go; documents that are not embedded are left to a later
    call. Others, and chosen rows, are scored like any learned signal: in pieces, resumable, a text never twice.

    Args:
        corpus: the corpus.
        name: of a scorer in its workspace.
        rows: numbers of documents; all by default.
        on_progress: called with `explorer.engine.progress.Progress`.
        cancel: stops it in good order.

    Raises:
        ModelError: there is no such scorer.
        EmbeddingError: the corpus has no vector of the model it reads.

    """
    from explorer.corpus.sidecars import sidecar
    from explorer.registry import find

    scorer = load(name, corpus.workspace)
    where = str(scorer.folder)
    side = sidecar(corpus.workspace, find(scorer.signal), corpus.roles.text, {"model": where})
    if scorer.features == "embeddings" and rows is None:
        from explorer.embeddings.store import embeddings, stored

        # Asked before the vectors are read, so that none of these can have one that came too late.
        sides = [s.side for s in stored(corpus) if dict(s.side.parameters) == dict(scorer.encoder)]
        looked = [sides[-1].there(shard) if sides else np.zeros(shard.rows, bool) for shard in corpus.shards]
        found = embeddings(corpus, scorer.encoder.get("model"))
        if found.parameters != dict(scorer.encoder):
            raise EmbeddingError(
                f"Scorer {name!r} reads {scorer.encoder}, and the corpus is embedded with {found.parameters}. Both must be the same. Embed the corpus that way, or train the scorer again."
            )
        values = np.full(len(corpus), np.nan, np.float32)
        values[found.rows] = scorer.predict(vectors=found.matrix)
        _keep(corpus, scorer, side, values, looked)
        n = int(np.isfinite(_scores(corpus, scorer, side)).sum())
        return Applied(scorer.column, len(corpus), n, len(corpus) - len(found.rows), "from their stored embeddings")
    from explorer.engine.local import score

    report = score(corpus, [scorer.signal], parameters={scorer.signal: {"model": where}}, rows=rows, on_progress=on_progress, cancel=cancel)
    asked = np.arange(len(corpus)) if rows is None else np.unique(np.asarray(rows, np.int64))
    wanted, done = len(asked), report.computed + report.reused
    cancelled = report.cancelled or (cancel is not None and cancel.is_set() and done < wanted)
    how = "before it was stopped; apply it again to carry on" if cancelled else f"in {report.seconds:.1f} s"
    n = int(np.isfinite(_scores(corpus, scorer, side)[asked]).sum())
    return Applied(scorer.column, wanted, n, 0, how, cancelled)


def _keep(corpus: Corpus, scorer: Scorer, side: Sidecar, values: np.ndarray, looked: Sequence[np.ndarray]) -> None:
    """Keep the scores of documents that have been looked at; those of blank texts are null, and all others stay to be scored."""
    from explorer.corpus.sidecars import ROWS_A_GROUP, TEXT, declare, join_pieces, write_piece

    corpus.workspace.folder("signals", side.folder.name)
    declare(side, corpus.roles.text)
    for shard, there in zip(corpus.shards, looked, strict=True):
        here = values[shard.first_row : shard.first_row + shard.rows]
        new = np.flatnonzero((there | np.isfinite(here)) & ~side.there(shard))
        for start in range(0, len(new), ROWS_A_GROUP):
            inner = new[start : start + ROWS_A_GROUP]
            column = pa.array(here[inner], pa.float32(), mask=~np.isfinite(here[inner]))
            # Texts are not read here, so their hashes are unknown; the column is there since all pieces of a shard have the same.
            write_piece(side, shard, inner, pa.table({scorer.column: column, TEXT: pa.nulls(len(inner), pa.binary())}))
        if side.pieces(shard) and side.there(shard).all():
            join_pieces(side, shard)


def _scores(corpus: Corpus, scorer: Scorer, side: Sidecar) -> np.ndarray:
    """What is kept of this scorer's own column, float [documents], NaN where there is none."""
    parts = [side.read(shard, [scorer.column])[scorer.column].to_numpy() for shard in corpus.shards]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


# --- to elsewhere ----------------------------------------------------------------------------------------------------------


def export(scorer: Scorer, path: str | os.PathLike[str]) -> list[Path]:
    """Write a scorer for pipelines, with a text beside it that says how to use it.

    fastText: the ``.bin`` that fastText, datatrove and DCLM load. Others: ``.npz`` (arrays) and ``.json`` (record and formula).

    Returns:
        The files written.

    """
    target = Path(path).expanduser()
    if scorer.features == "fasttext":
        target = target if target.suffix == ".bin" else target.with_name(target.name + ".bin")
        weights = scorer._file(BINARY)
        write_atomically(target, lambda temporary: _copy(weights, temporary))
        guide = target.with_suffix(".txt")
        write_text(guide, usage(scorer, target.name))
        return [target, guide]
    target = target if target.suffix == ".npz" else target.with_name(target.name + ".npz")
    weights = scorer._file(HEAD)
    write_atomically(target, lambda temporary: _copy(weights, temporary))
    record = {k: v for k, v in asdict(scorer).items() if k not in ("folder", "mistakes")} | {"formula": usage(scorer, target.name)}
    described = target.with_suffix(".json")
    write_text(described, json.dumps(_finite(record), indent=1, ensure_ascii=False) + "\n")
    return [target, described]


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def usage(scorer: Scorer, file: str) -> str:
    """How to get this scorer's numbers outside this package."""
    mend = f"logistic({scorer.platt[0]:.9g} * log(p / (1 - p)) + {scorer.platt[1]:.9g})" if scorer.platt else ""
    if scorer.features == "fasttext":
        label = scorer.parameters["label"]
        return "\n".join(
            [
                f"{file}: a fastText classifier; p is the probability of __label__{label}.",
                "Line feeds must become spaces before it reads a text; a text without words has no score.",
                "",
                "Python:",
                f"  model = fasttext.load_model({file!r})",
                f"  labels, p = model.predict(text.replace('\\n', ' '), k=-1)   # p of __label__{label}",
                "",
                "datatrove (its default deletes line feeds and so joins words; say newline_replacement):",
                f"  FastTextClassifierFilter({file!r}, keep_labels=[({label!r}, 0.5)], newline_replacement=' ')",
                "",
                "DCLM (baselines): its fastText enricher takes p where the label is not __label__cc, and 1 - p where it is; set the label there",
                f"  to __label__{scorer.parameters['other']}, and cut on the share you want to keep.",
                *(["", f"The score in this package is mended to be a probability: {mend}. The order is the same."] if mend else []),
                "",
            ]
        )
    value = "x @ coefficients + intercept"
    if scorer.positive:
        slope, offset = scorer.platt or (1.0, 0.0)
        value = f"1 / (1 + exp(-({slope:.9g} * ({value}) + {offset:.9g})))"
    if scorer.features == "embeddings":
        reads = f"x = embedding of the text, unit length, by {scorer.encoder.get('model')} revision {scorer.encoder.get('revision')}"
    else:
        reads = (
            f"x = words and word pairs of the first {words.CHARACTERS:,} characters, by scikit-learn: HashingVectorizer(n_features={words.FEATURES}, ngram_range=(1, 2), "
            f"token_pattern={words.TOKEN!r}, alternate_sign=False, norm=None); 1 + log of each count, times inverse, then rows of unit length"
        )
    number = "" if scorer.positive else f"; the number itself is score * {scorer.spread:.9g} + {scorer.centre:.9g}"
    return f"score = {value}; {reads}{number}. Arrays lie in {file}."
