"""DSIR: how much more likely a document's words are in a reference set than in the corpus, by hashed word n-grams.

The two distributions are fitted once, with `fit`, and kept in a small file:

    >>> from explorer.signals.dsir import fit
    >>> fit(target="wikipedia/", source="my_corpus/", path="wiki.npz")
    >>> corpus.score(["dsir:wiki"], parameters={"dsir:wiki": {"model": "wiki.npz"}})

Source: Xie et al. 2023 (arXiv:2302.03169), with the words and constants of RedPajama-v2's importance_weights.py. Buckets come from
this library's own hash, since Python's changes between processes: files and values are not interchangeable with either's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numba as nb
import numpy as np

from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.primitives.normalised import SPACE, WORD, normal_tables
from explorer.primitives.swar import SEED, hash_bytes, hash_finish, hash_step, kernel
from explorer.primitives.unicode import decode
from explorer.registry import Columns, Signal, family

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

BUCKETS = 10_000
SMOOTHING = 1e-8  # added to each probability; a bucket that one side has never seen is worth about 16 nats
FORMAT = 1  # of the file; rises when words or hashes change
_SLICE = 1024  # texts hashed at once

Texts = "Corpus | Iterable[str | None] | str | Path"


class Fitted(NamedTuple):
    """Counts of features in each bucket, int64 [buckets]."""

    target: np.ndarray
    source: np.ndarray


@kernel
def _features(data, start, end, kind, buckets, counts):  # type: ignore[no-untyped-def]
    """Add one document's words and pairs of neighbours to ``counts``; returns how many these are."""
    n = 0
    before = np.uint64(0)
    i = start
    while i < end:
        point, after = decode(data, i, end)
        k = kind[point]
        if k & SPACE:
            i = after
            continue
        word = k & WORD
        first = i
        i = after
        while i < end:
            point, after = decode(data, i, end)
            k = kind[point]
            if (k & SPACE) or (k & WORD) != word:
                break
            i = after
        h = hash_bytes(data, first, i)
        counts[np.int64(h % np.uint64(buckets))] += 1
        if n:
            pair = hash_finish(hash_step(hash_step(SEED, before), h), 16)
            counts[np.int64(pair % np.uint64(buckets))] += 1
            n += 1
        n += 1
        before = h
    return n


@nb.njit(nogil=True, cache=True)
def _totals(data, offsets, kind, buckets):  # type: ignore[no-untyped-def]
    counts = np.zeros(buckets, np.int64)
    for d in range(len(offsets) - 1):
        _features(data, offsets[d], offsets[d + 1], kind, buckets, counts)
    return counts


@nb.njit(nogil=True, cache=True)
def _importance(data, offsets, kind, difference):  # type: ignore[no-untyped-def]
    n = len(offsets) - 1
    score, features = np.zeros(n), np.zeros(n, np.int64)
    counts = np.zeros(len(difference), np.int64)
    for d in range(n):
        counts[:] = 0
        features[d] = _features(data, offsets[d], offsets[d + 1], kind, len(difference), counts)
        for b in range(len(difference)):
            if counts[b]:
                score[d] += counts[b] * difference[b]
    return score, features


def log_ratio(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """ln(p_target + 1e-8) - ln(p_source + 1e-8) of each bucket, from counts, float64."""
    return np.log(target / target.sum() + SMOOTHING) - np.log(source / source.sum() + SMOOTHING)


def count(texts: Corpus | Iterable[str | None] | str | Path, buckets: int = BUCKETS) -> np.ndarray:
    """How often each bucket is hit by the words and pairs of all texts, int64 [buckets].

    Args:
        texts: a corpus, its path (Parquet files or a folder; or a .txt file, one document), or texts.
        buckets: their number.

    """
    kind = normal_tables().kind
    if isinstance(texts, str | Path) and Path(texts).suffix == ".txt":
        try:
            texts = [Path(texts).expanduser().read_text(encoding="utf-8", errors="replace")]
        except OSError as error:
            raise SignalError(f"Reference file {str(texts)!r} cannot be read ({error.strerror}). Check the path.") from error
    if isinstance(texts, str | Path):
        from explorer.corpus.corpus import open_corpus

        texts = open_corpus(texts)
    total = np.zeros(buckets, np.int64)
    if hasattr(texts, "shards"):
        from explorer.corpus.reading import each_batch

        lock = threading.Lock()

        def work(first: int, batch: Batch) -> None:
            found = _totals(batch.data, batch.offsets, kind, buckets)
            with lock:
                total[:] += found

        each_batch(texts, work)  # type: ignore[arg-type]
        return total
    for part in _slices(texts):
        total += _totals(part.data, part.offsets, kind, buckets)
    return total


def _slices(texts: Iterable[str | None]) -> Iterator[Batch]:
    waiting: list[str | None] = []
    for text in texts:
        waiting.append(text)
        if len(waiting) == _SLICE:
            yield Batch.of(waiting)
            waiting = []
    if waiting:
        yield Batch.of(waiting)


def fit(
    target: Corpus | Iterable[str | None] | str | Path,
    source: Corpus | Iterable[str | None] | str | Path,
    path: str | Path,
    *,
    buckets: int = BUCKETS,
) -> Fitted:
    """Count words and pairs of a reference set and of the corpus it is compared with, and write both to a file.

    Args:
        target: what documents should be like: a corpus, the path of one (Parquet, a folder, a .txt file as one document), or texts.
        source: what they are drawn from, usually the corpus to be scored.
        path: the file to write, ending in .npz; some 30 KB.
        buckets: into which words and pairs are hashed; 10,000 in DSIR and RedPajama-v2.

    Returns:
        The counts.

    Raises:
        SignalError: one of the two has no word.
        CorpusError: one of the two cannot be read.

    """
    if buckets < 2:
        raise SignalError(f"buckets {buckets} is too few. 10,000 is usual, 2 the least. Choose more.")
    if Path(path).suffix != ".npz":
        raise SignalError(f"{str(path)!r} does not end in .npz, as files of distributions do. Name it so.")
    fitted = Fitted(count(target, buckets), count(source, buckets))
    for name, counts in fitted._asdict().items():
        if not counts.sum():
            raise SignalError(f"The {name} has no word in any of its texts. Importance compares words of both. Give it texts.")
    from explorer.corpus.workspace import write_atomically

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, format=np.int64(FORMAT), target=fitted.target, source=fitted.source)

    write_atomically(Path(path).expanduser(), write)
    return fitted


@lru_cache(maxsize=8)
def _difference(path: str, modified: int) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as file:
            version, target, source = int(file["format"]), file["target"], file["source"]
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise SignalError(
            f"{path!r} holds no fitted distributions ({error}). They are written by explorer.signals.dsir.fit. Fit them again."
        ) from error
    if version != FORMAT:
        raise SignalError(f"{path!r} was fitted by another version (format {version}, now {FORMAT}). Its hashes differ. Fit it again.")
    return log_ratio(target, source)


_LENGTH = "RedPajama-v2's and Meta-rater's columns of this kind were made with another hash: values are not interchangeable."


@family(
    version=1,
    source="Xie et al. 2023 (DSIR, arXiv:2302.03169); words and constants of RedPajama-v2's importance_weights.py, without its length term",
    signals=[
        Signal(
            "dsir",
            "nats",
            "Sum over the document's words and pairs of neighbouring words of ln(p_target + 1e-8) - ln(p_source + 1e-8) of their bucket.",
            "higher_is_better",
            misleads="Grows with length, in both directions: compare dsir_mean across lengths. DSIR samples by it (Gumbel top-k), it does not cut. "
            + _LENGTH,
        ),
        Signal(
            "dsir_mean",
            "nats per feature",
            "dsir divided by the number of words and pairs.",
            "higher_is_better",
            (-20, 20),
            misleads="Short documents scatter widely; buckets that one side has never seen weigh 16 nats each. " + _LENGTH,
        ),
    ],
)
def dsir(batch: Batch, *, model: str = "") -> Columns:
    """How much more likely a document's words are in a reference set than in the corpus (log importance weight).

    Words are runs of letters, digits and _, and runs of other signs, in their own case. Words and pairs of neighbours are hashed into
    the buckets of the fitted file. Null for a document without a word. Fit the distributions first, with ``explorer.signals.dsir.fit``.

    Args:
        batch: documents.
        model: required: the .npz file that ``fit`` wrote.

    Raises:
        SignalError: no file was given, or it holds no distributions.

    """
    if not model:
        raise SignalError(
            "No fitted distributions were given. Importance is towards a reference set, so there is no default. "
            "Fit one: explorer.signals.dsir.fit(target, source, 'reference.npz'); then set model to that file."
        )
    path = Path(model).expanduser()
    if not path.is_file():
        raise SignalError(f"File {model!r} does not exist. It is what explorer.signals.dsir.fit wrote. Check the path.")
    score, features = _importance(batch.data, batch.offsets, normal_tables().kind, _difference(str(path), path.stat().st_mtime_ns))
    score = np.where(features > 0, score, np.nan)
    return {"dsir": score, "dsir_mean": score / np.maximum(features, 1)}
