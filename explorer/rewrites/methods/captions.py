"""CapsFusion: a caption made of two, the one found with an image and one that a model wrote, and what of each is in it.

Found captions know names and numbers and are badly written; made ones are well written, know nothing, and are all alike. A fused caption should
have the names and numbers of the first in the sentences of the second, and nothing of its own. All of it is counted on text alone.

Words are `plain_words`: runs of letters and digits, capitals aside. A *number* is a word of digits, commas and points between them. An *entity
word* is a word with a digit in it, or one that begins with a capital and is no function word; of a caption's first word the capital counts
only with a second one inside, and in a caption of capitals alone none does.
"""

from __future__ import annotations

from functools import cache

import numba as nb
import numpy as np

from explorer.primitives import unicode as u
from explorer.primitives.batch import Batch
from explorer.primitives.plain_words import plain_words
from explorer.primitives.swar import SEED, hash_finish, hash_step, kernel
from explorer.primitives.unicode import decode
from explorer.rewrites.methods.ends import ended

FUNCTION_WORDS = [
    "a",
    "an",
    "the",
    "this",
    "that",
    "these",
    "those",
    "and",
    "or",
    "but",
    "nor",
    "of",
    "in",
    "on",
    "at",
    "by",
    "for",
    "from",
    "to",
    "into",
    "onto",
    "over",
    "under",
    "with",
    "without",
    "within",
    "as",
    "is",
    "are",
    "was",
    "were",
    "be",
    "been",
    "being",
    "it",
    "its",
    "he",
    "she",
    "they",
    "them",
    "his",
    "her",
    "their",
    "i",
    "you",
    "we",
    "my",
    "your",
    "our",
    "not",
    "no",
    "do",
    "does",
    "did",
    "has",
    "have",
    "had",
    "will",
    "would",
    "can",
    "could",
    "may",
    "might",
    "shall",
    "should",
    "there",
    "here",
    "who",
    "which",
    "what",
    "when",
    "where",
    "how",
    "than",
    "then",
    "so",
    "if",
    "up",
    "down",
    "out",
    "off",
    "about",
    "after",
    "before",
    "between",
    "through",
    "during",
    "while",
    "near",
]
COPIED, JOINED_LENGTH = 0.9, 0.9  # of the words of each caption, and of their lengths together: a caption so made is the two in a row
COLUMNS = (
    "caps_number_recall", "caps_entity_recall", "caps_entity_in_synthetic", "caps_raw_copied", "caps_synthetic_copied",
    "caps_unseen_frac", "caps_len_ratio", "caps_concat_like", "caps_well_formed",
)  # fmt: skip

RAW, SYNTHETIC, FUSED, ENTITY, FUNCTION = 1, 2, 4, 8, 16
UPPER, LOWER, ALPHA, DIGIT = u.UPPER, u.LOWER, u.ALPHA, u.DECIMAL
MIX = np.uint64(0x9E3779B97F4A7C15)
_32 = np.uint64(32)


@kernel
def _slot(key, keys, bits, mask):  # type: ignore[no-untyped-def]
    """Place of a key, or of the free place where it belongs: one without bits."""
    slot = np.int64((key * MIX) >> _32) & mask
    while bits[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def _looks(data, i, end, classes):  # type: ignore[no-untyped-def]
    """Of a word: whether it begins with a capital, whether it has another one, a small letter, a digit (bits 1, 2, 4, 8)."""
    looks = 0
    first = True
    while i < end:
        point, i = decode(data, i, end)
        kind = classes[point]
        if kind & UPPER:
            looks |= 1 if first else 2
        if kind & LOWER:
            looks |= 4
        if kind & DIGIT:
            looks |= 8
        first = False
    return looks


@kernel
def _insert(data, words, d, bit, classes, function, table):  # type: ignore[no-untyped-def]
    """Put the words of one caption into the table; those of names get ENTITY where it is the raw one. Returns how many there are."""
    offsets, hashes, starts, ends = words
    keys, bits, mask = table
    function_keys, function_bits = function
    first, last = offsets[d], offsets[d + 1]
    shouted = True
    for t in range(first, last):
        shouted = shouted and not _looks(data, starts[t], ends[t], classes) & 4
    for t in range(first, last):
        slot = _slot(hashes[t], keys, bits, mask)
        keys[slot] = hashes[t]
        bits[slot] |= bit
        if function_bits[_slot(hashes[t], function_keys, function_bits, len(function_keys) - 1)]:
            bits[slot] |= FUNCTION
        elif bit == RAW:
            looks = _looks(data, starts[t], ends[t], classes)
            if looks & 8 or (looks & 1 and not shouted and (t > first or looks & 2)):
                bits[slot] |= ENTITY
    return last - first


@kernel
def _numbers(data, words, d, stop, bit, table):  # type: ignore[no-untyped-def]
    """Put the numbers of one caption, which ends at byte ``stop``, into the table: words of digits, points between them, commas left out."""
    offsets, _, starts, ends = words
    keys, bits, mask = table
    done = np.int64(0)
    for t in range(offsets[d], offsets[d + 1]):
        i = starts[t]
        if i < done or not 48 <= data[i] <= 57:
            continue
        h, n = SEED, 0
        while i < stop and (48 <= data[i] <= 57 or ((data[i] == 46 or data[i] == 44) and i + 1 < stop and 48 <= data[i + 1] <= 57)):
            if data[i] != 44:
                h = hash_step(h, np.uint64(data[i]))
                n += 1
            i += 1
        last = t
        while last + 1 < offsets[d + 1] and ends[last] < i:
            last += 1
        if ends[last] != i:
            continue  # the 12 of "12a"
        done = i
        h = hash_finish(h, n)
        slot = _slot(h, keys, bits, mask)
        keys[slot] = h
        bits[slot] |= bit


@kernel
def _share(part, whole):  # type: ignore[no-untyped-def]
    return part / whole if whole > 0 else np.nan


@nb.njit(nogil=True, cache=True)
def _count(texts, offsets, words, valid, classes, function, ended, out):  # type: ignore[no-untyped-def]
    """Fill a row of COLUMNS for each triple."""
    n = len(out)
    most = np.int64(1)
    for d in range(n):
        size = np.int64(0)
        for k in range(3):
            size += offsets[k][d + 1] - offsets[k][d]
        most = max(most, size)
    room = 16
    while room < most + 2:  # a word has two bytes with the blank after it
        room *= 2
    keys, bits = np.empty(room, np.uint64), np.zeros(room, np.uint8)
    for d in range(n):
        total = np.int64(0)
        for k in range(3):
            total += words[k][0][d + 1] - words[k][0][d]
        slots = 16
        while slots < 2 * total + 2 and slots < room:
            slots *= 2
        bits[:slots] = 0
        table = (keys, bits, slots - 1)
        counts = (
            _insert(texts[0], words[0], d, RAW, classes, function, table),
            _insert(texts[1], words[1], d, SYNTHETIC, classes, function, table),
            _insert(texts[2], words[2], d, FUSED, classes, function, table),
        )
        r = s = f = rf = sf = names = names_f = names_s = content = unseen = 0
        for k in range(slots):
            b = bits[k]
            if b == 0:
                continue
            r += b & RAW != 0
            s += b & SYNTHETIC != 0
            f += b & FUSED != 0
            rf += b & RAW != 0 and b & FUSED != 0
            sf += b & SYNTHETIC != 0 and b & FUSED != 0
            if b & ENTITY:
                names += 1
                names_f += b & FUSED != 0
                names_s += b & SYNTHETIC != 0
            if b & FUSED and not b & FUNCTION:
                content += 1
                unseen += b & RAW == 0 and b & SYNTHETIC == 0
        bits[:slots] = 0
        _numbers(texts[0], words[0], d, offsets[0][d + 1], RAW, table)
        _numbers(texts[2], words[2], d, offsets[2][d + 1], FUSED, table)
        numbers = numbers_f = 0
        for k in range(slots):
            numbers += bits[k] & RAW != 0
            numbers_f += bits[k] & RAW != 0 and bits[k] & FUSED != 0
        has_r, has_s, has_f = valid[0][d], valid[1][d], valid[2][d]
        row = out[d]
        if has_r and has_f:
            row[0], row[1], row[3] = _share(numbers_f, numbers), _share(names_f, names), _share(rf, r)
        if has_r and has_s:
            row[2] = _share(names_s, names)
        if has_s and has_f:
            row[4] = _share(sf, s)
        if has_r and has_s and has_f:
            row[5] = _share(unseen, content)
            both = counts[0] + counts[1]
            row[6] = _share(counts[2], both)
            if r > 0 and s > 0:
                row[7] = rf >= COPIED * r and sf >= COPIED * s and counts[2] >= JOINED_LENGTH * both
        if has_f and f > 0:
            at = words[2][2][words[2][0][d]]
            point, _ = decode(texts[2], at, offsets[2][d + 1])
            opened = at - offsets[2][d] <= 4 and not classes[point] & LOWER
            row[8] = opened and ended[d] and counts[2] >= 4


@cache
def _function_words() -> tuple[np.ndarray, np.ndarray]:
    hashes = plain_words(Batch.of(FUNCTION_WORDS)).hash
    keys, bits = np.zeros(512, np.uint64), np.zeros(512, np.uint8)
    for h in hashes:
        slot = _slot(h, keys, bits, 511)
        keys[slot], bits[slot] = h, 1
    return keys, bits


def caption_columns(raw: Batch, synthetic: Batch, fused: Batch) -> dict[str, np.ndarray]:
    """What of the raw and the synthetic caption stands in the fused one; float64 [n] each, NaN where undefined.

    Returns:
        - ``caps_number_recall``, ``caps_entity_recall``: share of the raw caption's different numbers and entity words in the fused one;
        - ``caps_entity_in_synthetic``: of its entity words those in the synthetic one: what was known before fusing;
        - ``caps_raw_copied``, ``caps_synthetic_copied``: share of each caption's different words in the fused one;
        - ``caps_unseen_frac``: share of the fused caption's different words, function words aside, that are in neither;
        - ``caps_len_ratio``: words of the fused caption over those of both together;
        - ``caps_concat_like``: 1 where nine tenths of the words of each are there at nine tenths of their length together: no fusion;
        - ``caps_well_formed``: 1 where the fused caption begins with no small letter, ends with a sentence's mark and has four words or more.

    """
    batches = (raw, synthetic, fused)
    out = np.full((len(fused), len(COLUMNS)), np.nan)
    _count(
        tuple(b.data for b in batches), tuple(b.offsets for b in batches), tuple(tuple(plain_words(b)) for b in batches),
        tuple(b.valid for b in batches), u.classes(), _function_words(), ended(fused), out,
    )  # fmt: skip
    return {name: out[:, k] for k, name in enumerate(COLUMNS)}
