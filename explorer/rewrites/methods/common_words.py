"""Lists of common words: read from a file, or counted in a corpus.

The bundled list holds the 2,000 words that stand in most of the English prose documents of the sample corpus (old books, speeches, a small
encyclopedia, news, recipes, a forum, web pages), and in at least two of these sources: enough to tell plain from rare words, not a
reference. No list came with the papers. For a figure to publish, count your own originals:
``save(common_words(pairs.originals), "common.txt")``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.corpus.workspace import write_text
from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.primitives.plain_words import plain_words

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

TOP = 2000
SAMPLE_BYTES = 64 << 20  # of text that is counted: ten million words or more


def load(path: str | os.PathLike[str]) -> list[str]:
    """The words of a file, one a line; blank lines and lines that begin with # aside.

    Raises:
        SignalError: it cannot be read, or holds no word, or a line holds several.

    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SignalError(
            f"The list of common words {os.fspath(path)!r} cannot be read: {error}. Name a text file with one word a line."
        ) from error
    words = [w for line in lines if (w := line.strip()) and not w.startswith("#")]
    if not words:
        raise SignalError(f"The list of common words {os.fspath(path)!r} holds no word. It needs one word a line. Name another file.")
    counts = np.diff(plain_words(Batch.of(words)).offsets)
    odd = next((w for w, n in zip(words, counts, strict=True) if n != 1), None)
    if odd is not None:
        raise SignalError(f"Line {odd!r} of {os.fspath(path)!r} is not one word. Letters and digits alone make a word. Correct the line.")
    return words


def save(words: list[str], path: str | os.PathLike[str], about: str = "") -> Path:
    """Write words to a file, one a line, after a line that says what they are."""
    target = Path(path)
    write_text(target, "".join(f"# {line}\n" for line in about.splitlines()) + "\n".join(words) + "\n")
    return target


def common_words(
    corpus: Corpus, n: int = TOP, *, only: np.ndarray | None = None, sources: int = 1, most_bytes: int = SAMPLE_BYTES
) -> list[str]:
    """The words that stand in most documents of a corpus; of equal ones those that stand there more often, then by alphabet.

    Documents are counted, not occurrences, so that a long story about one man does not make his name a common word.

    Args:
        corpus: the corpus.
        n: how many words.
        only: bool [len(corpus)], the documents to count; all by default.
        sources: of how many sources at least a word must stand in documents.
        most_bytes: of text that is read, in row groups spread evenly over the corpus.

    """
    texts = list(_sample(corpus, only, most_bytes))
    keys, documents, times = _tally([batch for batch, _ in texts])
    order = np.lexsort((-times, -documents))
    if sources > 1:
        groups = corpus.columns.strata("source")
        many = _spread([(batch, groups[rows]) for batch, rows in texts], sources)
        order = order[np.isin(keys[order], many)]
    order = order[: 4 * n]  # some are numbers
    known: dict[int, str] = {}
    for batch, _ in texts:
        words = plain_words(batch)
        at = np.flatnonzero(np.isin(words.hash, keys[order]))
        hashes, first = np.unique(words.hash[at], return_index=True)
        for h, k in zip(hashes.tolist(), at[first].tolist(), strict=True):
            known.setdefault(h, bytes(batch.data[words.start[k] : words.end[k]]).decode("utf-8", "replace").lower())
    ranked = [(-documents[k], -times[k], known[int(keys[k])]) for k in order.tolist()]
    return [word for _, _, word in sorted(ranked) if word.isalpha()][:n]


def _sample(corpus: Corpus, only: np.ndarray | None, most_bytes: int) -> Iterator[tuple[Batch, np.ndarray]]:
    """Texts and their numbers, in row groups spread evenly over the corpus."""
    from explorer.corpus.reading import read_row_group

    groups = [(s, g, s.first_row + sum(x.rows for x in s.row_groups[:g])) for s in corpus.shards for g in range(len(s.row_groups))]
    step = max(1.0, corpus.text_size / most_bytes)
    for k in sorted({int(i * step) for i in range(len(groups)) if i * step < len(groups)}):
        shard, group, at = groups[k]
        for batch in read_row_group(corpus, shard, group):
            here = np.arange(len(batch)) if only is None else np.flatnonzero(only[at : at + len(batch)])
            yield batch.take(here), here + at
            at += len(batch)


def _pairs(batch: Batch, of: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Words sorted by hash and what they are of, and whether each is the first of its kind."""
    words = plain_words(batch)
    belongs = np.repeat(of, np.diff(words.offsets))
    order = np.lexsort((belongs, words.hash))
    h, d = words.hash[order], belongs[order]
    new = np.ones(len(h), bool)
    new[1:] = (h[1:] != h[:-1]) | (d[1:] != d[:-1])
    return h, d, new


def _tally(batches: list[Batch]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different words (hashes), the documents that each stands in, and how often it stands there."""
    keys, documents, times = np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    for batch in batches:
        h, _, new = _pairs(batch, np.arange(len(batch)))
        every, inverse = np.unique(np.concatenate([keys, h]), return_inverse=True)
        n = len(keys)
        docs = np.bincount(inverse[:n], documents, len(every)) + np.bincount(inverse[n:], new, len(every))
        total = np.bincount(inverse[:n], times, len(every)) + np.bincount(inverse[n:], minlength=len(every))
        keys, documents, times = every, docs.astype(np.int64), total.astype(np.int64)
    return keys, documents, times


def _spread(batches: list[tuple[Batch, np.ndarray]], least: int) -> np.ndarray:
    """Words (hashes) that stand in documents of at least so many groups."""
    found = [(h[new], d[new]) for h, d, new in (_pairs(batch, groups) for batch, groups in batches)]
    h, d = (np.concatenate([f[k] for f in found]) if found else np.zeros(0, np.uint64) for k in (0, 1))
    order = np.lexsort((d, h))
    h, d = h[order], d[order]
    new = np.ones(len(h), bool)
    new[1:] = (h[1:] != h[:-1]) | (d[1:] != d[:-1])
    keys, groups = np.unique(h[new], return_counts=True)
    return keys[groups >= least]
