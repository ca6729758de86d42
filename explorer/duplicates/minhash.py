"""Near-duplicates by MinHash: word n-grams, signatures, and banded keys of which an equal one makes two documents candidates.

Two documents whose sets of n-grams have Jaccard similarity s agree in each of the permutations' minima with probability s, in a
whole band of r with s^r, and in at least one of b bands with 1 - (1 - s^r)^b (`candidate_probability`).

Shingles are n-grams of datatrove's words: FineWeb's normalisation (`normalise`), then spaCy's English tokenizer. Two ways to hash:

- fast: n-grams by a polynomial over the words' 64-bit hashes, permutations by 32-bit multiplications that vectorise;
- reference: sha1 of the n-gram's text (64 bits), ``(a x + b) mod (2^61 - 1)`` with numpy's ``RandomState(1)`` and the products
  wrapped to 64 bits before the modulus, as in datatrove: its signatures, number for number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numba as nb
import numpy as np
import pyarrow as pa

from explorer.duplicates.normalise import normalised
from explorer.duplicates.tokens import tokens
from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.primitives.swar import SEED, hash_finish, hash_step, kernel
from explorer.primitives.words import word_spans, words

MERSENNE = np.uint64((1 << 61) - 1)
NONE = np.uint64(0xFFFFFFFFFFFFFFFF)
_BLOCK = 2048  # n-grams whose hashes lie in the first cache while all permutations pass over them
_C = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
_LARGEST = np.uint32(0xFFFFFFFF)
_SEED = SEED


@dataclass(frozen=True)
class Scheme:
    """What makes two documents candidates: ``ngram`` words a shingle, ``bands`` bands of ``rows`` permutations each."""

    ngram: int
    bands: int
    rows: int

    @property
    def permutations(self) -> int:
        """Permutations used: rows times bands."""
        return self.bands * self.rows

    @property
    def midpoint(self) -> float:
        """The similarity at which the curve is steepest, about: (1 / bands) ^ (1 / rows)."""
        return float((1 / self.bands) ** (1 / self.rows))


# FineWeb: Penedo et al. 2024, arXiv:2406.17557; datatrove 0.10.1. RedPajama-v2: together.ai, 13-grams, 128 permutations, of which
# 14 x 9 = 126, 9 x 13 = 117 and 5 x 25 = 125 are used.
SCHEMES = {
    "fineweb": Scheme(5, 14, 8),
    "redpajama-0.7": Scheme(13, 14, 9),
    "redpajama-0.8": Scheme(13, 9, 13),
    "redpajama-0.9": Scheme(13, 5, 25),
    "redpajama-1.0": Scheme(13, 1, 128),
}


def scheme(name: str) -> Scheme:
    """The published scheme with this name.

    Raises:
        SignalError: there is none.

    """
    if name not in SCHEMES:
        raise SignalError(
            f"No MinHash preset is called {name!r}. Presets: {', '.join(SCHEMES)}. Choose one of them: -p minhash.preset=fineweb"
        )
    return SCHEMES[name]


def candidate_probability(similarity: np.ndarray | float, scheme: Scheme) -> np.ndarray:
    """Probability that two documents of this Jaccard similarity share a band: 1 - (1 - s^rows)^bands."""
    return 1 - (1 - np.asarray(similarity, np.float64) ** scheme.rows) ** scheme.bands


class Sketches(NamedTuple):
    """What is kept of each document of a batch.

    Attributes:
        shingles: int32 [n]; n-grams, repeats counted; 0 where the document has fewer than n words.
        content: uint64 [n]; hash of all its words in order: equal for documents whose normalised words are the same.
        keys: uint64 [bands, n]; hash of the minima of each band; undefined where there is no n-gram.
    """

    shingles: np.ndarray
    content: np.ndarray
    keys: np.ndarray


# --- shingles ---------------------------------------------------------------------------------------------------------------------


@nb.njit(nogil=True, cache=True, inline="always")
def _mix(h):  # type: ignore[no-untyped-def]
    """SplitMix64's finaliser: every bit of the answer depends on every bit given."""
    h = (h ^ (h >> _30)) * _M1
    h = (h ^ (h >> _27)) * _M2
    return h ^ (h >> _31)


@kernel
def _shingle(hashes, at, ngram):  # type: ignore[no-untyped-def]
    """Hash of the n-gram of words that begins at word ``at``."""
    h = np.uint64(0)
    for k in range(at, at + ngram):
        h = h * _C + hashes[k]
    return _mix(h)


@kernel
def _content(hashes, first, last):  # type: ignore[no-untyped-def]
    h = _SEED
    for k in range(first, last):
        h = hash_step(h, hashes[k])
    return _mix(hash_finish(h, last - first))


# --- fast -------------------------------------------------------------------------------------------------------------------------


@cache
def _multipliers(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Odd 32-bit multipliers, two a permutation; numpy's RandomState never changes."""
    drawn = np.random.RandomState(seed).randint(0, 1 << 32, dtype=np.uint64, size=(2, count)).astype(np.uint32)
    return drawn[0] | np.uint32(1), drawn[1] | np.uint32(1)


@kernel
def _fast_signature(hashes, first, m, ngram, a, b, x, y, out):  # type: ignore[no-untyped-def]
    """Minima of all permutations over the m n-grams that begin at words ``first, first + 1, …``; ``x`` and ``y`` are scratch.

    A permutation maps the halves of a hash to 32 bits. The loop over n-grams is the inner one: eight of them are one vector.
    """
    for p in range(len(a)):
        out[p] = _LARGEST
    done = 0
    while done < m:
        size = min(len(x), m - done)
        for k in range(size):
            h = _shingle(hashes, first + done + k, ngram)
            x[k] = np.uint32(h)
            y[k] = np.uint32(h >> _32)
        for p in range(len(a)):
            low = out[p]
            one, two = a[p], b[p]
            for k in range(size):
                # Each step is cut to 32 bits: numba computes in 64, and only so are eight n-grams one vector.
                v = np.uint32(np.uint32(x[k] * one) + np.uint32(y[k] * two))
                v = np.uint32(np.uint32(v ^ (v >> np.uint32(15))) * np.uint32(0x2C1B3C6D))
                low = min(low, v)
            out[p] = low
        done += size


@kernel
def _fast(hashes, offsets, ngram, rows, a, b, x, y, signature, shingles, content, keys, signatures):  # type: ignore[no-untyped-def]
    for d in range(len(offsets) - 1):
        first, last = offsets[d], offsets[d + 1]
        content[d] = _content(hashes, first, last)
        m = max(last - first - ngram + 1, 0)
        shingles[d] = m
        if m == 0:
            continue
        _fast_signature(hashes, first, m, ngram, a, b, x, y, signature)
        for band in range(len(keys)):
            h = _SEED
            for k in range(band * rows, band * rows + rows):
                h = hash_step(h, np.uint64(signature[k]))
            keys[band, d] = _mix(h)
        if len(signatures):
            for p in range(len(a)):
                signatures[d, p] = signature[p]


# --- reference --------------------------------------------------------------------------------------------------------------------


@cache
def reference_parameters(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The reference's a and b, uint64 [count]."""
    random = np.random.RandomState(seed)
    a = random.randint(1, MERSENNE, dtype=np.uint64, size=(1, count))
    b = random.randint(0, MERSENNE, dtype=np.uint64, size=(1, count))
    return a[0], b[0]


@nb.njit(nogil=True, cache=True, inline="always")
def _rotated(v, n):  # type: ignore[no-untyped-def]
    return np.uint32(np.uint32(v << np.uint32(n)) | np.uint32(v >> np.uint32(32 - n)))


@kernel
def _sha1(message, size, w):  # type: ignore[no-untyped-def]
    """The first eight bytes of the SHA-1 of ``message[:size]`` as a little-endian uint64; ``message`` has 72 bytes more than ``size``."""
    total = (size + 72) // 64 * 64
    message[size] = 0x80
    for k in range(size + 1, total - 8):
        message[k] = 0
    for k in range(8):
        message[total - 1 - k] = (8 * size >> (8 * k)) & 0xFF
    h0, h1, h2 = np.uint32(0x67452301), np.uint32(0xEFCDAB89), np.uint32(0x98BADCFE)
    h3, h4 = np.uint32(0x10325476), np.uint32(0xC3D2E1F0)
    for at in range(0, total, 64):
        for k in range(16):
            j = at + 4 * k
            w[k] = (
                (np.uint32(message[j]) << np.uint32(24))
                | (np.uint32(message[j + 1]) << np.uint32(16))
                | (np.uint32(message[j + 2]) << np.uint32(8))
                | np.uint32(message[j + 3])
            )
        for k in range(16, 80):
            w[k] = _rotated(np.uint32(w[k - 3] ^ w[k - 8] ^ w[k - 14] ^ w[k - 16]), 1)
        a, b, c, d, e = h0, h1, h2, h3, h4
        for k in range(80):
            if k < 20:
                f, constant = (b & c) | (~b & d), np.uint32(0x5A827999)
            elif k < 40:
                f, constant = b ^ c ^ d, np.uint32(0x6ED9EBA1)
            elif k < 60:
                f, constant = (b & c) | (b & d) | (c & d), np.uint32(0x8F1BBCDC)
            else:
                f, constant = b ^ c ^ d, np.uint32(0xCA62C1D6)
            t = np.uint32(_rotated(a, 5) + np.uint32(f) + e + constant + w[k])
            e, d, c, b, a = d, c, _rotated(b, 30), a, t
        h0, h1, h2 = np.uint32(h0 + a), np.uint32(h1 + b), np.uint32(h2 + c)
        h3, h4 = np.uint32(h3 + d), np.uint32(h4 + e)
    low = ((h0 & np.uint32(0xFF)) << np.uint32(24)) | ((h0 & np.uint32(0xFF00)) << np.uint32(8)) | ((h0 >> np.uint32(8)) & np.uint32(0xFF00)) | (h0 >> np.uint32(24))  # fmt: skip
    high = ((h1 & np.uint32(0xFF)) << np.uint32(24)) | ((h1 & np.uint32(0xFF00)) << np.uint32(8)) | ((h1 >> np.uint32(8)) & np.uint32(0xFF00)) | (h1 >> np.uint32(24))  # fmt: skip
    return (np.uint64(np.uint32(high)) << _32) | np.uint64(np.uint32(low))


@kernel
def _reference(data, start, size, hashes, offsets, ngram, rows, a, b, message, w, signature, shingles, content, keys, signatures):  # type: ignore[no-untyped-def]
    for d in range(len(offsets) - 1):
        first, last = offsets[d], offsets[d + 1]
        content[d] = _content(hashes, first, last)
        m = max(last - first - ngram + 1, 0)
        shingles[d] = m
        if m == 0:
            continue
        for p in range(len(a)):
            signature[p] = NONE
        for at in range(first, first + m):
            n = 0
            for k in range(at, at + ngram):
                if k > at:
                    message[n] = 32
                    n += 1
                for j in range(start[k], start[k] + size[k]):
                    message[n] = data[j]
                    n += 1
            h = _sha1(message, n, w)
            for p in range(len(a)):
                signature[p] = min(signature[p], (h * a[p] + b[p]) % MERSENNE)
        for band in range(len(keys)):
            h = _SEED
            for k in range(band * rows, band * rows + rows):
                h = hash_step(h, signature[k])
            keys[band, d] = _mix(h)
        if len(signatures):
            for p in range(len(a)):
                signatures[d, p] = signature[p]


# --- what others call -------------------------------------------------------------------------------------------------------------


def sketch(batch: Batch, scheme: Scheme, *, reference: bool = False, seed: int = 1) -> Sketches:
    """Band keys of every document of a batch; see `Sketches`."""
    return _sketch(batch, scheme, reference, seed, False)[0]


def signatures(batch: Batch, scheme: Scheme, *, reference: bool = False, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """All minima of every document.

    Returns:
        [n, permutations], uint32 (fast) or uint64 (reference), and the n-grams of each document: a row without any is undefined.

    """
    sketches, minima = _sketch(batch, scheme, reference, seed, True)
    return minima, sketches.shingles


def _sketch(batch: Batch, scheme: Scheme, reference: bool, seed: int, keep: bool) -> tuple[Sketches, np.ndarray]:
    n, count = len(batch), scheme.permutations
    found = Sketches(np.zeros(n, np.int32), np.zeros(n, np.uint64), np.zeros((scheme.bands, n), np.uint64))
    dtype = np.uint64 if reference else np.uint32
    minima = np.empty((n if keep else 0, count), dtype)
    signature = np.empty(count, dtype)
    if not reference:
        hashed = tokens(batch)
        a, b = _multipliers(count, seed)
        x, y = np.empty(_BLOCK, np.uint32), np.empty(_BLOCK, np.uint32)
        _fast(hashed.hash, hashed.offsets, scheme.ngram, scheme.rows, a, b, x, y, signature, *found, minima)
        return found, minima
    text = normalised(batch)
    spelled = words(text)
    spans = word_spans(text)
    a, b = reference_parameters(count, seed)
    message = np.empty(scheme.ngram * (int(spans.size.max(initial=0)) + 1) + 72, np.uint8)
    _reference(
        text.data, spans.start, spans.size, spelled.hash, spelled.offsets, scheme.ngram, scheme.rows, a, b,
        message, np.empty(80, np.uint32), signature, *found, minima,
    )  # fmt: skip
    return found, minima


@nb.njit(nogil=True, cache=True)
def _fill(hashes, offsets, ngram, starts, out, sizes):  # type: ignore[no-untyped-def]
    """The sorted different n-grams of document k from ``out[starts[k]]`` on; ``sizes[k]`` says how many."""
    for k in range(len(starts)):
        first, last = offsets[k], offsets[k + 1]
        m = max(last - first - ngram + 1, 0)
        at = starts[k]
        for j in range(m):
            out[at + j] = _shingle(hashes, first + j, ngram)
        out[at : at + m].sort()
        n = 0
        for j in range(m):
            if j == 0 or out[at + j] != out[at + n - 1]:
                out[at + n] = out[at + j]
                n += 1
        sizes[k] = n


def part(batch: Batch, places: np.ndarray) -> Batch:
    """Some documents of a batch as a batch; nulls become empty."""
    whole = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(batch), [None, pa.py_buffer(batch.offsets), pa.py_buffer(batch.data)])
    return Batch(whole.take(pa.array(places)))


def fill_shingle_sets(batch: Batch, ngram: int, wanted: np.ndarray, starts: np.ndarray, out: np.ndarray, sizes: np.ndarray) -> None:
    """Write the sorted different n-gram hashes of some documents of a batch to ``out``; there must be room for repeats.

    Args:
        batch: the texts.
        ngram: words of a shingle.
        wanted: int64 [k], places in the batch.
        starts: int64 [k], where in ``out`` each begins.
        out: uint64.
        sizes: int64 [k], out.

    """
    hashed = tokens(part(batch, wanted))
    _fill(hashed.hash, hashed.offsets, ngram, starts, out, sizes)


@kernel
def _jaccard(a, b, starts, sizes, shingles, out):  # type: ignore[no-untyped-def]
    for k in range(len(a)):
        i, j = starts[a[k]], starts[b[k]]
        end_i, end_j = i + sizes[a[k]], j + sizes[b[k]]
        both = 0
        while i < end_i and j < end_j:
            x, y = shingles[i], shingles[j]
            both += 1 if x == y else 0
            i += 1 if x <= y else 0
            j += 1 if y <= x else 0
        union = sizes[a[k]] + sizes[b[k]] - both
        out[k] = both / union if sizes[a[k]] and sizes[b[k]] else np.nan


def jaccard(a: np.ndarray, b: np.ndarray, starts: np.ndarray, sizes: np.ndarray, shingles: np.ndarray) -> np.ndarray:
    """Jaccard similarity of pairs of shingle sets, float64 [pairs]; NaN where one is empty.

    Exact but for hashes of different n-grams that are equal (about 2^-64 a pair of n-grams).

    Args:
        a: int64 [pairs], places in ``starts`` and ``sizes``.
        b: int64 [pairs], the same.
        starts: int64 [k], where each set begins in ``shingles``.
        sizes: int64 [k].
        shingles: uint64, sorted inside each set.

    """
    out = np.empty(len(a), np.float64)
    _jaccard(a, b, starts, sizes, shingles, out)
    return out


def shingle_sets(batch: Batch, ngram: int, places: np.ndarray, shingles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sets of n-grams of some documents of a batch, as `jaccard` takes them: (starts, sizes, hashes); ``shingles`` counts repeats."""
    room = shingles.astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(room)])[:-1]
    sizes, sets = np.zeros(len(places), np.int64), np.empty(int(room.sum()), np.uint64)
    fill_shingle_sets(batch, ngram, places, starts, sets, sizes)
    return starts, sizes, sets


def similarities(texts: Sequence[str | None], ngram: int = 5) -> np.ndarray:
    """Exact Jaccard similarity of all pairs of a few texts, float64 [n, n]; NaN where a text has fewer than ``ngram`` words."""
    batch = Batch.of(texts)
    n = len(batch)
    shingles = np.maximum(np.diff(tokens(batch).offsets) - ngram + 1, 0)
    starts, sizes, sets = shingle_sets(batch, ngram, np.arange(n), shingles)
    a, b = np.divmod(np.arange(n * n), n)
    return jaccard(a, b, starts, sizes, sets).reshape(n, n)
