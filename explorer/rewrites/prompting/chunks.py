"""Documents in pieces that a model rewrites well, and the answers as one text again.

WRAP cuts inputs to 300 tokens, since longer ones lose information. A document is cut where it has the best place for it: between
paragraphs, else between sentences or lines, else between words; into few pieces of about the same length, so that none is a scrap. What stands between two pieces is kept, and put between their rewrites.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from explorer.errors import ExplorerError

WORD_TOKENS = 1.3  # tokens of an English word with the tokenizers in use
TOKEN_BYTES = 5  # and at least one in so many bytes: scripts without spaces have few words
LEAST = 0.6  # of an even share, which a piece is not shorter than for the sake of a better place

PARAGRAPH, SENTENCE, WORD, CHARACTER = 3, 2, 1, 0  # where a cut is best, and worse

_GAP = re.compile(r"\s+")
# a line's end, or white space after a mark that ends a sentence, and perhaps a quotation
_BREAK = re.compile(r"\n\s*|(?:(?<=[.!?…。！？])|(?<=[.!?…。！？][\"'”’»)\]]))\s+")
_NO_END = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Prof|vs|etc|e\.g|i\.e|No|Fig|cf|ca|approx))\.\Z")
_WIDE_END = re.compile(r"(?<=[。！？])(?=[^\s。！？」』”）])")

Count = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Counter:
    """How tokens are counted.

    Attributes:
        name: the tokenizer's name, or "estimate".
        count: tokens of each of several texts.
        estimated: whether they are not counted but estimated from words.

    """

    name: str
    count: Count
    estimated: bool = False


class Chunks(NamedTuple):
    """A document in pieces: ``lead + texts[0] + gaps[0] + texts[1] + …`` is the document.

    Attributes:
        lead: white space before the first piece.
        texts: the pieces, no white space around them; none for a blank document.
        gaps: what follows each piece: the white space where it was cut, and at the end of the document.
        tokens: tokens of each piece.

    """

    lead: str
    texts: tuple[str, ...]
    gaps: tuple[str, ...]
    tokens: tuple[int, ...]


def estimated(texts: Sequence[str]) -> list[int]:
    """Tokens of texts, estimated: 1.3 a word, and at least one in five bytes."""
    return [max(math.ceil(WORD_TOKENS * len(t.split())), math.ceil(len(t.encode("utf-8", "replace")) / TOKEN_BYTES)) for t in texts]


ESTIMATE = Counter("estimate", estimated, estimated=True)


def counter(tokenizer: str | None) -> Counter:
    """Counts with a tokenizer (a tokenizer.json, a folder that holds one, a model that comes as a package, a hub id); None estimates.

    Raises:
        SignalError, ModelError: there is no such tokenizer.

    """
    if tokenizer is None:
        return ESTIMATE
    return _counter(tokenizer)


@lru_cache(maxsize=4)
def _counter(tokenizer: str) -> Counter:
    from explorer.models.hub import PACKAGED, resolve
    from explorer.signals.tokens import load_tokenizer

    found = load_tokenizer(str(resolve(tokenizer).path) if tokenizer in PACKAGED else tokenizer)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(e) for e in found.encode_batch_fast(list(texts), add_special_tokens=False)]

    return Counter(tokenizer, count)


def split(text: str, limit: int | None, counter: Counter = ESTIMATE) -> Chunks:
    """A document in pieces of at most ``limit`` tokens; one piece when None.

    A piece of one character is not cut further, even where it has more tokens than that.

    Raises:
        ExplorerError: the limit is no number of tokens.

    """
    if limit is not None and limit < 1:
        raise ExplorerError(
            f"chunk_tokens {limit} does not fit. It is a number of tokens from 1, or none for whole documents. WRAP uses 300."
        )
    core = text.strip()
    if not core:
        return Chunks(text, (), (), ())
    lead = text[: len(text) - len(text.lstrip())]
    tail = text[len(lead) + len(core) :]
    whole = counter.count([core])[0]
    if limit is None or whole <= limit:
        return Chunks(lead, (core,), (tail,), (whole,))
    bounds = _cuts(core, limit, counter)
    pieces = [core[a:b] for a, b in zip([0, *bounds], [*bounds, len(core)], strict=True)]
    texts = tuple(p.strip() for p in pieces)
    gaps = tuple(p[len(p.rstrip()) :] for p in pieces[:-1])
    return Chunks(lead, texts, (*gaps, tail), tuple(counter.count(texts)))


def join(chunks: Chunks, answers: Sequence[str]) -> str:
    """Answers, one for each piece, as one text: between them stands what stood between the pieces; nothing around them.

    Raises:
        ExplorerError: there are not as many answers as pieces.

    """
    return joined(chunks.gaps, answers)


def joined(gaps: Sequence[str], answers: Sequence[str]) -> str:
    """As `join`, from the gaps alone."""
    if len(answers) != len(gaps):
        raise ExplorerError(f"{len(answers)} answers do not fit {len(gaps)} pieces. Each piece has one answer. Give them in order.")
    return "".join(part for answer, gap in zip(answers, gaps, strict=True) for part in (answer.strip(), gap)).strip()


def _cuts(core: str, limit: int, counter: Counter) -> list[int]:
    """Where pieces end, the last one's end left out; the white space between two belongs to the first."""
    units = _units(core, limit, counter)
    ends = [end for end, _, _ in units]
    upto = np.cumsum([0, *(size for _, _, size in units)])
    cuts: list[int] = []
    first = 0  # unit that the next piece begins with
    while True:
        begin = ends[first - 1] if first else 0
        left = int(upto[-1] - upto[first])
        even = left / -(-left // limit)
        # the last unit that fits; and as units are not always as many tokens together as one by one, looked at together
        last = max(first + 1, int(np.searchsorted(upto, upto[first] + limit, side="right")) - 1)
        while last > first + 1 and counter.count([core[begin : ends[last - 1]].strip()])[0] > limit:
            last -= 1
        if last == len(units):
            return cuts
        fitting = range(first + 1, last + 1)
        long_enough = [u for u in fitting if upto[u] - upto[first] >= LEAST * even] or [last]
        first = max(long_enough, key=lambda u: (units[u - 1][1], -abs(upto[u] - upto[first] - even)))
        cuts.append(ends[first - 1])


def _units(core: str, limit: int, counter: Counter) -> list[tuple[int, int, int]]:
    """(end, how good a cut is there, tokens) of each unit that pieces are made of: sentences and lines, of long ones the words."""
    sentences = _sentences(core)
    found = []
    start = 0
    for (end, rank), size in zip(sentences, _sizes(core, [end for end, _ in sentences], counter), strict=True):
        if size <= limit:
            found.append((end, rank, size))
        else:
            words = [*(gap.end() for gap in _GAP.finditer(core, start, end) if gap.end() < end), end]
            spans = zip([start, *words[:-1]], words, strict=True)
            parts = [part for a, b in spans for part in _parts(core, a, b, rank if b == end else WORD, limit, counter)]
            found += [(*part, n) for part, n in zip(parts, _sizes(core, [b for b, _ in parts], counter, start), strict=True)]
        start = end
    return found


def _sizes(core: str, ends: Sequence[int], counter: Counter, start: int = 0) -> list[int]:
    """Tokens of each unit; white space before a unit counts to it, as tokenizers have it."""
    bare = [start, *(len(core[a:b].rstrip()) + a for a, b in zip([start, *ends[:-1]], ends, strict=True))]
    return counter.count([core[a:b] for a, b in pairwise(bare)])


def _parts(core: str, start: int, end: int, rank: int, limit: int, counter: Counter) -> list[tuple[int, int]]:
    """(end, rank) of a word; one that is longer than the limit is halved until its parts fit, at sentence ends of scripts without spaces."""
    word = core[start:end].rstrip()
    if len(word) <= 1 or counter.count([word])[0] <= limit:
        return [(end, rank)]
    half = start + len(word) // 2
    wide = [m.start() for m in _WIDE_END.finditer(core, start + 1, start + len(word))]
    middle = min(wide, key=lambda at: abs(at - half)) if wide else half
    return [
        *_parts(core, start, middle, SENTENCE if wide else CHARACTER, limit, counter),
        *_parts(core, middle, end, rank, limit, counter),
    ]


def _sentences(core: str) -> list[tuple[int, int]]:
    """(end, rank) of each sentence or line with the white space after it."""
    found = []
    start = 0
    for gap in _BREAK.finditer(core):
        if gap[0].count("\n") > 1:
            rank = PARAGRAPH
        elif "\n" in gap[0] or not _NO_END.search(core, max(start, gap.start() - 8), gap.start()):
            rank = SENTENCE
        else:
            continue
        found.append((gap.end(), rank))
        start = gap.end()
    return [*found, (len(core), PARAGRAPH)]
