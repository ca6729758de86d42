"""Exact duplicates: documents with the same bytes, and documents that are the same after normalisation, by 128-bit hashes.

Among V different documents two share a hash with probability about V^2 / 2^129: for ten billion, 1.5e-19.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from explorer.corpus.reading import each_batch
from explorer.duplicates.components import sizes
from explorer.duplicates.normalise import normalised
from explorer.duplicates.progress import Step, silent
from explorer.duplicates.store import Found, keep_bytes, load, save
from explorer.primitives.batch import Batch
from explorer.primitives.swar import K1, K2, SEED, kernel, load_upto

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

_K1, _K2, _SEED = K1, K2, SEED
_K3, _K4 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_29, _31, _32 = np.uint64(29), np.uint64(31), np.uint64(32)


class Hashes(NamedTuple):
    """128 bits a document: uint64 [n] twice."""

    high: np.ndarray
    low: np.ndarray


@kernel
def _hash(data, offsets, high, low):  # type: ignore[no-untyped-def]
    """Two 64-bit hashes with multipliers and shifts of their own, in one pass."""
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        size = np.uint64(end - i)
        g, h = _SEED, ~_SEED
        while i < end:
            v = load_upto(data, i, end)
            g = (g ^ v) * _K1
            g ^= g >> _32
            h = (h ^ v) * _K3
            h ^= h >> _29
            i += 8
        g = (g ^ size) * _K2
        h = (h ^ size) * _K4
        high[d] = g ^ (g >> _32)
        low[d] = h ^ (h >> _31)


def hashes(batch: Batch) -> Hashes:
    """Hashes of the documents' bytes."""
    found = Hashes(np.empty(len(batch), np.uint64), np.empty(len(batch), np.uint64))
    _hash(batch.data, batch.offsets, *found)
    return found


def group_equal(hashes: Hashes, defined: np.ndarray) -> np.ndarray:
    """Groups of equal hashes, int64 [n]: the lowest document number that has the same; -1 where not ``defined``."""
    group = np.full(len(defined), -1, np.int64)
    rows = np.flatnonzero(defined)
    if not len(rows):
        return group
    order = np.lexsort((rows, hashes.low[rows], hashes.high[rows]))
    rows = rows[order]
    new = np.ones(len(rows), bool)
    new[1:] = (hashes.high[rows[1:]] != hashes.high[rows[:-1]]) | (hashes.low[rows[1:]] != hashes.low[rows[:-1]])
    group[rows] = rows[new][np.cumsum(new) - 1]
    return group


def exact_duplicates(corpus: Corpus, *, workers: int | None = None, step: Step = silent) -> Found:
    """Groups of documents that are the same, byte for byte and after FineWeb's normalisation.

    Returns:
        Columns ``exact`` (-1 where the text is null) and ``normalised`` (-1 also where nothing is left of a text: it had neither
        letters nor digits nor other symbols than punctuation), int64 [n].

    Raises:
        CorpusError: a row group cannot be read.

    """
    known = load(corpus, "exact", {})
    if known:
        return known
    n = len(corpus)
    raw = Hashes(np.empty(n, np.uint64), np.empty(n, np.uint64))
    plain = Hashes(np.empty(n, np.uint64), np.empty(n, np.uint64))
    valid, empty, size = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, np.int64)

    def work(first: int, batch: Batch) -> None:
        here = slice(first, first + len(batch))
        text = normalised(batch)
        raw.high[here], raw.low[here] = hashes(batch)
        plain.high[here], plain.low[here] = hashes(text)
        valid[here], empty[here], size[here] = batch.valid, np.diff(text.offsets) == 0, np.diff(batch.offsets)

    step(0, n, "reading documents")
    each_batch(corpus, work, workers=workers, on_rows=lambda done: step(done, n, "reading documents"))
    keep_bytes(corpus, size)
    columns = {"exact": group_equal(raw, valid), "normalised": group_equal(plain, valid & ~empty)}
    report: dict[str, Any] = {"documents": n, "null": int((~valid).sum()), "blank": int((valid & empty).sum())}
    for name, group in columns.items():
        group_sizes = sizes(group)
        report[name] = {
            "groups": int(np.unique(group[group_sizes > 1]).size),
            "in_groups": int((group_sizes > 1).sum()),
            "largest": int(group_sizes.max(initial=0)),
        }
    return save(corpus, "exact", {}, columns, report)


def explain(report: dict[str, Any]) -> str:
    """What was found, and why nothing where it is nothing."""
    n, null, blank = report["documents"], report["null"], report["blank"]
    said = []
    for name, what in (
        ("exact", "byte for byte"),
        ("normalised", "after lower-casing and without punctuation and accents, numbers all alike"),
    ):
        found = report[name]
        if found["groups"]:
            said.append(
                f"{what}: {found['groups']:,} groups hold {found['in_groups']:,} of {n:,} documents, the largest {found['largest']:,}"
            )
        else:
            compared = n - null - (blank if name == "normalised" else 0)
            said.append(f"{what}: 0 duplicates among {compared:,} documents, all their 128-bit hashes differ")
    aside = [f"{null:,} null texts are not compared"] * bool(null) + [f"{blank:,} have nothing left to compare when normalised"] * bool(
        blank
    )
    text = "; ".join([*said, *aside])
    return text[0].upper() + text[1:] + "."
