"""Near-duplicates of a corpus: sketch every document, pair those that share a band, compare the pairs exactly, group them.

The texts are read once for the sketches, and the row groups that hold a candidate once more for the exact comparison.
Documents whose normalised words are the same are one document until they are grouped: they cannot be told apart by any band.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from explorer.corpus.reading import each_batch
from explorer.duplicates.candidates import candidates
from explorer.duplicates.components import roots, sizes, unite
from explorer.duplicates.minhash import Scheme, Sketches, candidate_probability, fill_shingle_sets, jaccard, shingle_sets, sketch
from explorer.duplicates.progress import Step, silent
from explorer.duplicates.scratch import scratch
from explorer.duplicates.store import Found, keep_bytes, load, pairs_table, save
from explorer.errors import SignalError
from explorer.primitives.batch import Batch

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus


def near_duplicates(
    corpus: Corpus,
    scheme: Scheme,
    *,
    reference: bool = False,
    verify: float = 0.0,
    workers: int | None = None,
    step: Step = silent,
) -> Found:
    """Groups of near-duplicates by MinHash.

    Args:
        corpus: what to search.
        scheme: words a shingle, bands and permutations.
        reference: hash as datatrove does (sha1, modulus of a Mersenne prime): its very candidates, about ten times slower.
        verify: pairs below this exact Jaccard similarity join no group. 0: every candidate pair does, as in FineWeb. Where more than
            64 different documents share a band, each is compared with the first of them and its neighbour alone.
        workers: threads.
        step: told how far it is.

    Returns:
        Columns ``group`` (int64; lowest document number; -1 where null or fewer than ``scheme.ngram`` words) and ``similarity``
        (float32; the highest exact Jaccard similarity with a document it was compared with, NaN where it was with none). The pairs
        lie in ``pairs.parquet``; of documents with the same words, each is compared with the first alone (similarity 1).

    Raises:
        SignalError: ``verify`` is not between 0 and 1.
        CorpusError: a row group cannot be read.

    """
    if not 0 <= verify <= 1:
        raise SignalError(f"verify={verify!r} is no Jaccard similarity. It lies between 0 (group all candidates) and 1. Try 0.7.")
    parameters = {"ngram": scheme.ngram, "bands": scheme.bands, "rows": scheme.rows, "reference": reference, "verify": verify}
    known = load(corpus, "minhash", parameters)
    if known:
        return known
    n = len(corpus)
    sketches, valid = _read(corpus, scheme, reference, workers, step)
    found = link(
        sketches,
        valid,
        scheme,
        lambda a, b: _compare(corpus, scheme, a, b, sketches.shingles, workers, lambda said: step(n, n, said)),
        verify=verify,
        on_band=lambda done: step(n, n, f"grouping: band {done} of {scheme.bands}"),
    )
    tables = {"pairs": pairs_table(found.group, found.a, found.b, found.jaccard)}
    return save(corpus, "minhash", parameters, {"group": found.group, "similarity": found.similarity}, found.report, tables)


class Groups(NamedTuple):
    """Near-duplicates of n documents.

    Attributes:
        group: int64 [n], lowest document number of each one's group; -1 where null or too short.
        similarity: float32 [n], highest exact Jaccard similarity with a document it was compared with; NaN where with none.
        a, b: int64 [pairs], pairs that joined a group, ``a < b``.
        jaccard: float64 [pairs], their exact similarity.
        report: counts.
    """

    group: np.ndarray
    similarity: np.ndarray
    a: np.ndarray
    b: np.ndarray
    jaccard: np.ndarray
    report: dict[str, Any]


def link(
    sketches: Sketches,
    valid: np.ndarray,
    scheme: Scheme,
    compare: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    verify: float = 0.0,
    on_band: Callable[[int], None] = lambda done: None,
) -> Groups:
    """Group sketched documents.

    Args:
        sketches: of all documents.
        valid: bool [n], False for null.
        scheme: what they were sketched with.
        compare: gives the exact Jaccard similarity of pairs of documents.
        verify: as in `near_duplicates`.
        on_band: called with the bands done.

    """
    n = len(valid)
    rows = np.flatnonzero(valid & (sketches.shingles > 0))
    _, first, which = np.unique(sketches.content[rows], return_index=True, return_inverse=True)
    same_as = rows[first[which]]  # the lowest document with the same words
    distinct = rows[np.sort(first)]
    found = candidates(lambda band: np.ascontiguousarray(sketches.keys[band][distinct]), scheme.bands, on_band)
    a, b = distinct[found.a], distinct[found.b]
    similarity = compare(a, b)

    copies, originals = rows[same_as != rows], same_as[same_as != rows]
    parent = np.arange(n)
    unite(parent, originals, copies)
    close = similarity >= verify
    unite(parent, a[close], b[close])
    group = np.full(n, -1, np.int64)
    group[rows] = roots(parent)[rows]

    best = np.full(n, -1, np.float32)
    for side in (a, b):
        np.maximum.at(best, side, similarity.astype(np.float32))
    for side in (originals, copies):
        best[side] = 1
    best[best < 0] = np.nan

    all_a, all_b = np.concatenate([a[close], originals]), np.concatenate([b[close], copies])
    jaccard = np.concatenate([similarity[close], np.ones(len(copies))])
    group_sizes = sizes(group)
    report: dict[str, Any] = {
        "documents": n,
        "null": int((~valid).sum()),
        "short": int((valid & (sketches.shingles == 0)).sum()),
        "same_words": len(copies),
        "candidates": len(a),
        "thinned": found.thinned,
        "refused": int((~close).sum()),
        "closest_refused": float(similarity[~close].max()) if (~close).any() else None,
        "lowest_similarity": float(jaccard.min()) if len(jaccard) else None,
        "similarities": np.histogram(jaccard, 20, (0, 1))[0].tolist(),
        "groups": int(np.unique(group[group_sizes > 1]).size),
        "in_groups": int((group_sizes > 1).sum()),
        "largest": int(group_sizes.max(initial=0)),
        "curve": {f"{s:.2f}": round(float(candidate_probability(s, scheme)), 6) for s in (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)},
    }
    return Groups(group, best, all_a, all_b, jaccard, report)


def group_batch(batch: Batch, scheme: Scheme, *, reference: bool = False, verify: float = 0.0) -> Groups:
    """Near-duplicates among a few texts in memory (a notebook, a rewrite set); as `near_duplicates`, nothing kept."""
    sketches = sketch(batch, scheme, reference=reference)

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        members, places = np.unique(np.concatenate([a, b]), return_inverse=True)
        starts, counts, sets = shingle_sets(batch, scheme.ngram, members, sketches.shingles[members])
        return jaccard(places[: len(a)], places[len(a) :], starts, counts, sets)

    return link(sketches, batch.valid, scheme, compare, verify=verify)


def _read(corpus: Corpus, scheme: Scheme, reference: bool, workers: int | None, step: Step) -> tuple[Sketches, np.ndarray]:
    """Sketches of all documents, and which are not null."""
    n = len(corpus)
    keys = scratch((scheme.bands, n), np.uint64, corpus.workspace.folder("duplicates"))
    sketches = Sketches(np.zeros(n, np.int32), np.zeros(n, np.uint64), keys)
    valid, sizes = np.zeros(n, bool), np.zeros(n, np.int64)

    def work(first: int, batch: Batch) -> None:
        here = slice(first, first + len(batch))
        found = sketch(batch, scheme, reference=reference)
        valid[here], sizes[here] = batch.valid, np.diff(batch.offsets)
        sketches.shingles[here], sketches.content[here] = found.shingles, found.content
        sketches.keys[:, here] = found.keys

    doing = "reading documents"
    step(0, n, f"{doing} (kernels are compiled once an installation)")
    each_batch(corpus, work, workers=workers, on_rows=lambda done: step(done, n, doing))
    keep_bytes(corpus, sizes)
    return sketches, valid


def _compare(
    corpus: Corpus,
    scheme: Scheme,
    a: np.ndarray,
    b: np.ndarray,
    shingles: np.ndarray,
    workers: int | None,
    say: Callable[[str], None],
) -> np.ndarray:
    """Exact Jaccard similarity of these pairs of documents, float64 [pairs]; only the row groups they lie in are read."""
    if not len(a):
        return np.zeros(0)
    members = np.unique(np.concatenate([a, b]))
    room = shingles[members].astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(room)])[:-1]
    sets = scratch(int(room.sum()), np.uint64, corpus.workspace.folder("duplicates"))
    counts = np.zeros(len(members), np.int64)
    wanted = np.zeros(len(corpus), bool)
    wanted[members] = True
    doing = f"comparing {len(a):,} pairs of {len(members):,} documents exactly"
    say(doing)

    def work(first: int, batch: Batch) -> None:
        low, high = np.searchsorted(members, [first, first + len(batch)])
        if low < high:
            fill_shingle_sets(batch, scheme.ngram, members[low:high] - first, starts[low:high], sets, counts[low:high])

    each_batch(corpus, work, only=wanted, workers=workers, on_rows=lambda _: say(doing))
    return jaccard(np.searchsorted(members, a), np.searchsorted(members, b), starts, counts, sets)


def explain(report: dict[str, Any], scheme: Scheme) -> str:
    """What was found in one or two sentences, and why nothing where it is nothing."""
    n, short, null = report["documents"], report["short"], report["null"]
    left_out = [f"{short:,} have fewer than {scheme.ngram} words"] * bool(short) + [f"{null:,} are null"] * bool(null)
    aside = f" {' and '.join(left_out)}: they are not compared (exact duplicates among them are another family)." if left_out else ""
    if report["groups"]:
        said = f"{report['groups']:,} groups hold {report['in_groups']:,} of {n:,} documents; the largest has {report['largest']:,}."
        lowest = f" Pairs compared exactly: {report['candidates'] + report['same_words']:,}; the least alike of those grouped have Jaccard similarity {report['lowest_similarity']:.2f}."
        return said + lowest + aside
    if n - short - null < 2:
        return f"0 near-duplicates among {n:,} documents: fewer than two can be compared.{aside}"
    if report["refused"]:
        return f"0 near-duplicates among {n:,} documents: {report['refused']:,} candidate pairs were compared exactly, and the closest has Jaccard similarity {report['closest_refused']:.2f}, below the limit.{aside}"
    chance = candidate_probability(np.array([0.5, 0.8]), scheme)
    return f"0 near-duplicates among {n:,} documents: no two share any of the {scheme.bands} bands. A pair of Jaccard similarity 0.8 would with probability {chance[1]:.1%}, one of 0.5 with {chance[0]:.1%}.{aside}"
