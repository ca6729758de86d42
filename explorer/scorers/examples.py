"""What a scorer learns from: documents with a label or a value, each text once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.roles import is_number
from explorer.errors import ColumnNotFoundError, ModelError
from explorer.labels import Labels, text_hash

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

LEAST = 5  # documents a class, and a fifth of them is left out at a time
POSITIVE, LEFT_OUT = "good", ("unsure",)
KINDS = ("logistic", "ridge", "fasttext")
BATCH = 2048  # documents whose texts are fetched at once


@dataclass(frozen=True)
class Examples:
    """Documents to learn from, each text once.

    Attributes:
        rows: int64 [n], ascending.
        texts: their texts.
        target: bool [n] (is it the positive class) or float64 [n].
        groups: int64 [n]; texts that differ in white space or capitals alone share one.
        classes: documents a label, copies and unused labels included.
        positive: the label that counts as one; empty for a number.
        source: where the target comes from, in words.
        notes: what was left out, and why.

    """

    rows: np.ndarray
    texts: list[str]
    target: np.ndarray
    groups: np.ndarray
    classes: dict[str, int]
    positive: str
    source: str
    notes: tuple[str, ...]

    @property
    def binary(self) -> bool:
        """Whether the target is a class."""
        return self.target.dtype == bool


def collect(
    corpus: Corpus, kind: str | None, labels: pl.DataFrame | None, column: str | None, positive: str | None, most: int, seed: int
) -> tuple[str, Examples]:
    """The kind of scorer that fits, and its examples.

    Raises:
        ModelError: nothing can be learned from these: one class, too few documents, a number for a classifier.
        ColumnNotFoundError: there is no such column.

    """
    if kind is not None and kind not in KINDS:
        raise ModelError(f"{kind!r} is no kind of scorer. Kinds: {', '.join(KINDS)}. Name one of them, or none.")
    if labels is not None and column is not None:
        raise ModelError("Labels and a column were both given. A scorer learns from one of them. Leave one out.")
    notes: list[str] = []
    if column is not None:
        rows, values = _column(corpus, column)
        source, hashes = f"column {column}", None
    else:
        frame = labels if labels is not None else Labels(corpus.workspace).of(corpus)
        lacking = {"row", "label"} - set(frame.columns)
        if lacking:
            raise ColumnNotFoundError.named(sorted(lacking)[0], "the labels", frame.columns, "Labels are a frame with row and label.")
        rows, values = frame["row"].to_numpy(), frame["label"].cast(pl.String)
        source = "labels"
        hashes = dict(zip(frame["row"].to_list(), frame["text_hash"].to_list(), strict=True)) if "text_hash" in frame.columns else None
        if not len(rows):
            raise ModelError(
                "No document of this corpus is labelled. A scorer needs at least 5 of each of two labels; 40 in all are a good start. Label some on the Labels page, or with: explorer labels import FILE"
            )
    kind, target, classes, positive = _target(kind, values, positive, source, column, notes)
    used = np.isfinite(target)
    rows, target = rows[used], target[used]
    if len(rows) > most:
        chosen = _thinned(target, most, seed, kind != "ridge")
        notes.append(f"learned from {most:,} of {len(rows):,} documents, drawn at random")
        rows, target = rows[chosen], target[chosen]
    order = np.argsort(rows, kind="stable")
    return kind, _distinct(corpus, rows[order], target[order], kind != "ridge", hashes, classes, positive, source, notes)


def _target(
    kind: str | None, values: np.ndarray | pl.Series, positive: str | None, source: str, column: str | None, notes: list[str]
) -> tuple[str, np.ndarray, dict[str, int], str]:
    """(kind, float target with NaN for what is not used, documents a label, positive label) from floats, or texts with nulls."""
    if isinstance(values, np.ndarray):
        finite = np.isfinite(values)
        there = values[finite]
        distinct = np.unique(there)
        if kind == "ridge" or (kind is None and len(distinct) > 2):
            _enough_numbers(there, source)
            return "ridge", values.astype(np.float64), {}, ""
        if len(distinct) > 2:
            raise ModelError(
                f"{source.capitalize()} has {len(distinct):,} different values. A {kind} scorer tells two classes apart. Use kind ridge, which learns the value itself, or a column of 0 and 1."
            )
        written = pl.Series([*(f"{v:g}" for v in distinct), None], dtype=pl.String)
        values = written.gather(np.where(finite, np.searchsorted(distinct, values), len(distinct)))
    counted = values.alias("label").drop_nulls().to_frame().group_by("label", maintain_order=True).len()
    classes = dict(counted.sort("len", descending=True, maintain_order=True).iter_rows())
    if kind == "ridge":
        numbers = _numbers(values)
        if numbers is not None:
            _enough_numbers(numbers[np.isfinite(numbers)], source)
            return kind, numbers, classes, ""
        raise ModelError(
            f"{source.capitalize()} hold{'s' if column else ''} words such as {next(iter(classes))!r}, and ridge learns numbers. Label with numbers (0 to 5), or use kind logistic, which tells classes apart."
        )
    wanted = positive if positive is not None else next((p for p in (POSITIVE, "1", "true") if p in classes), None)
    names = ", ".join(f"{name!r} ({n:,})" for name, n in list(classes.items())[:12]) or "none"
    if wanted is None or (wanted not in classes and len(classes) > 1):
        raise ModelError(f"Which of the labels counts as 1 is not known. Labels: {names}. Name one: positive=… (--positive NAME)")
    ignored = {name for name in LEFT_OUT if name != wanted and len(classes) > 2} if column is None else set()
    left = {name: n for name, n in classes.items() if name in ignored}
    if left:
        notes.append(f"{', '.join(f'{n:,} {name}' for name, n in left.items())} left out")
    used = values.is_not_null() & ~values.is_in(sorted(ignored)).fill_null(False)
    target = np.where(used.to_numpy(), (values == wanted).fill_null(False).to_numpy(), np.nan)
    yes, no = int((target == 1).sum()), int((target == 0).sum())
    if min(yes, no) < LEAST:
        which = "only one class" if not (yes and no) else f"too few: {yes:,} are {wanted}, {no:,} are not"
        raise ModelError(
            f"{source.capitalize()} give{'s' if column is not None else ''} {which}. Labels: {names}. At least {LEAST} of each class are needed, and 40 in all are a good start. Label more documents."
        )
    return kind or "logistic", target, classes, wanted


def _numbers(values: pl.Series) -> np.ndarray | None:
    """Labels that are numbers (ratings from 0 to 5) as numbers, NaN for null; None when some are not."""
    numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
    return None if numbers.null_count() > values.null_count() else numbers.fill_null(np.nan).to_numpy()


def _enough_numbers(values: np.ndarray, source: str) -> None:
    if len(values) < 4 * LEAST:
        raise ModelError(
            f"{source.capitalize()} has a value for {len(values):,} documents. At least {4 * LEAST} are needed. Give more of them one."
        )
    if np.ptp(values) == 0:
        raise ModelError(
            f"{source.capitalize()} has the one value {values[0]:g}. Nothing can be learned from it. Choose a column that varies."
        )


def _column(corpus: Corpus, column: str) -> tuple[np.ndarray, np.ndarray | pl.Series]:
    """(rows, values) of a column or signal: floats, or texts with nulls."""
    rows = np.arange(len(corpus))
    if column in corpus.columns.numeric():
        return rows, corpus.columns.numbers(column).astype(np.float64)
    side, name = corpus.coverage().meant(column)
    if side is None and name not in corpus.schema.names:
        present = [*corpus.schema.names, *corpus.coverage().columns()]
        raise ColumnNotFoundError.named(column, "the corpus", present, "Name a column of the files or a computed signal.")
    pieces = []
    for shard in corpus.shards:
        if side is not None:
            piece = side.read(shard, [name])[name].combine_chunks()
        elif name in shard.schema.names:
            piece = (
                pq.read_table(shard.path, columns=[name])[name].combine_chunks()
                if not shard.remote
                else shard.open().read([name])[name].combine_chunks()
            )
        else:
            piece = pa.nulls(shard.rows, pa.string())
        if isinstance(piece, pa.ChunkedArray):
            piece = piece.combine_chunks()
        if pa.types.is_nested(piece.type) or is_number(piece.type):
            raise ModelError(
                f"Column {column!r} is {piece.type}. A scorer learns from numbers, texts and truth values. Choose another column."
            )
        pieces.append(piece.cast(pa.large_string()))
    return rows, pl.Series(column, pa.chunked_array(pieces, pa.large_string()))


def _thinned(target: np.ndarray, most: int, seed: int, classes: bool) -> np.ndarray:
    """Indices of ``most`` examples; of two classes, the smaller one is thinned only where it alone is more than half."""
    random = np.random.default_rng(seed)
    if not classes:
        return np.sort(random.choice(len(target), most, replace=False))
    small, large = sorted((np.flatnonzero(target == 1), np.flatnonzero(target == 0)), key=len)
    n = min(len(small), most // 2)
    return np.sort(np.concatenate([random.choice(small, n, replace=False), random.choice(large, most - n, replace=False)]))


def _distinct(
    corpus: Corpus,
    rows: np.ndarray,
    target: np.ndarray,
    classes: bool,
    hashes: dict[int, str] | None,
    counts: dict[str, int],
    positive: str,
    source: str,
    notes: list[str],
) -> Examples:
    """Each text once, with what its copies say on average; those that contradict each other evenly are left out."""
    texts: dict[bytes, tuple[int, str]] = {}
    said: dict[bytes, list[float]] = {}
    blank = edited = 0
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        found = corpus.documents(part, [corpus.roles.text])[corpus.roles.text].to_list()
        for row, value, text in zip(part.tolist(), target[start : start + BATCH].tolist(), found, strict=True):
            if not text or not text.strip():
                blank += 1
                continue
            digest = text_hash(text)
            if hashes is not None and "\ufffd" not in text and hashes.get(row, digest.hex()) != digest.hex():
                edited += 1
                continue
            texts.setdefault(digest, (row, text))
            said.setdefault(digest, []).append(value)
    copies = sum(map(len, said.values())) - len(said)
    means = {digest: float(np.mean(values)) for digest, values in said.items()}
    torn = [digest for digest, mean in means.items() if classes and mean == 0.5]
    for digest in torn:
        del means[digest]
    notes += [f"{blank:,} without text left out"] if blank else []
    notes += [f"{edited:,} left out because their text is another than was labelled"] if edited else []
    notes += [f"{copies:,} copies of the same text counted with it"] if copies else []
    notes += [f"{len(torn):,} texts left out because their copies carry both labels"] if torn else []
    kept = list(means)
    values = np.array([means[digest] for digest in kept])
    final = values > 0.5 if classes else values
    if classes and min(int(final.sum()), int((~final).sum())) < LEAST:
        raise ModelError(
            f"Too few different texts are left: {int(final.sum()):,} {positive} and {int((~final).sum()):,} others ({'; '.join(notes)}). At least {LEAST} of each are needed. Label more documents."
        )
    if not classes:
        _enough_numbers(final, source)
    words = [texts[digest][1] for digest in kept]
    examples = Examples(
        np.array([texts[digest][0] for digest in kept], np.int64), words, final, groups(words), counts, positive, source, tuple(notes)
    )
    enough_groups(examples)
    return examples


def enough_groups(examples: Examples) -> None:
    """Refuse examples that cannot be judged on texts they do not learn from: parts of them are left out group by group.

    Raises:
        ModelError: a class has fewer than 5 groups; there are fewer than 5 for a number.

    """
    # A group of both classes counts for that of its first text, as where parts are made (`explorer.scorers.heads.folds`).
    first = examples.target[np.unique(examples.groups, return_index=True)[1]]
    yes = int(first.sum()) if examples.binary else len(first)
    others = len(first) - yes if examples.binary else yes
    if min(yes, others) >= LEAST:
        return
    have = f"{yes:,} {examples.positive} and {others:,} others" if examples.binary else f"{yes:,}"
    each = " of each class" if examples.binary else ""
    raise ModelError(
        f"Too few different texts can be learned from: {have}, where those that differ in white space or capitals alone count once. At least {LEAST}{each} are needed, since a part of them is left out to judge on. {'Label more documents.' if examples.source == 'labels' else 'Choose a column that holds a value for more texts.'}"
    )


def groups(texts: Sequence[str]) -> np.ndarray:
    """int64 [n]: texts that differ in white space or capitals alone have one number."""
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(text_hash(" ".join(text.lower().split())), len(known)) for text in texts], np.int64)
