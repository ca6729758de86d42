"""ReWire's delimiters: whether a generation can be taken apart into reasoning and text, and whether any of it leaked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from explorer.primitives.batch import Batch, primitive
from explorer.primitives.characters import characters, count_code_points
from explorer.primitives.swar import ONES, equal_bytes, kernel, load_upto, lowest_set_byte
from explorer.registry import Columns, Signal, check
from explorer.rewrites.prompting.prompts import IMPROVED, THINKING

DELIMITERS = (*THINKING, *IMPROVED)
OPEN = ONES * np.uint64(ord("<"))

_NONE = "Null where there is no delimiter: the text was taken out already, or comes from another method."


class Parsed(NamedTuple):
    """Where the parts of each generation are.

    Attributes:
        delimiters: int64 [n], how many delimiters stand in the text.
        whole: bool [n], whether all four stand in it, each once, in their order, capitals aside.
        thinking, improved: int64 [n, 2], bytes [begin, end) in ``batch.data`` between a part's delimiters, white space at its ends
            aside; (-1, -1) where the part is not there once, begun and ended.
    """

    delimiters: np.ndarray
    whole: np.ndarray
    thinking: np.ndarray
    improved: np.ndarray


@kernel
def _delimiter(data, i, end, words, ends):  # type: ignore[no-untyped-def]
    """Which delimiter begins at byte i, capitals aside; -1 for none."""
    for kind in range(len(ends) - 1):
        first, size = ends[kind], ends[kind + 1] - ends[kind]
        if i + size > end:
            continue
        k = 0
        while k < size:
            byte = data[i + k]
            if 65 <= byte <= 90:
                byte += 32
            if byte != words[first + k]:
                break
            k += 1
        if k == size:
            return kind
    return -1


@kernel
def _next(data, i, end):  # type: ignore[no-untyped-def]
    """The next "<" from byte i on, eight bytes at a time; ``end`` where there is none."""
    while i < end:
        k = lowest_set_byte(equal_bytes(load_upto(data, i, end), OPEN))
        if k < 8:
            return i + k
        i += 8
    return end


@kernel
def _strip(data, begin, end, out):  # type: ignore[no-untyped-def]
    while begin < end and (data[begin] == 32 or 9 <= data[begin] <= 13):
        begin += 1
    while end > begin and (data[end - 1] == 32 or 9 <= data[end - 1] <= 13):
        end -= 1
    out[0], out[1] = begin, end


@kernel
def _parse(data, offsets, words, ends, count, first, delimiters, whole, thinking, improved):  # type: ignore[no-untyped-def]
    """Fill the arrays of `Parsed`; ``count`` and ``first`` are scratch, a place a delimiter."""
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        for kind in range(4):
            count[kind] = 0
        while True:
            i = _next(data, i, end)
            if i == end:
                break
            kind = _delimiter(data, i, end, words, ends)
            if kind >= 0:
                if count[kind] == 0:
                    first[kind] = i
                count[kind] += 1
                i += ends[kind + 1] - ends[kind]
            else:
                i += 1
        delimiters[d] = count[0] + count[1] + count[2] + count[3]
        if count[0] == 1 and count[1] == 1 and first[0] < first[1]:
            _strip(data, first[0] + ends[1] - ends[0], first[1], thinking[d])
        if count[2] == 1 and count[3] == 1 and first[2] < first[3]:
            _strip(data, first[2] + ends[3] - ends[2], first[3], improved[d])
        whole[d] = thinking[d, 0] >= 0 and improved[d, 0] >= 0 and first[1] < first[2]


@primitive
def parsed(batch: Batch) -> Parsed:
    """The parts of every document of a batch."""
    n = len(batch)
    found = Parsed(np.zeros(n, np.int64), np.zeros(n, bool), np.full((n, 2), -1, np.int64), np.full((n, 2), -1, np.int64))
    words = np.frombuffer("".join(DELIMITERS).encode(), np.uint8)
    ends = np.cumsum([0, *map(len, DELIMITERS)])
    _parse(batch.data, batch.offsets, words, ends, np.zeros(4, np.int64), np.zeros(4, np.int64), *found)
    return found


@kernel
def _count(data, spans, out):  # type: ignore[no-untyped-def]
    for d in range(len(spans)):
        if spans[d, 0] >= 0:
            out[d] = count_code_points(data, spans[d, 0], spans[d, 1])


def _chars(batch: Batch, spans: np.ndarray) -> np.ndarray:
    """Code points of the spans, NaN where there is none."""
    counts = np.full(len(spans), np.nan)
    _count(batch.data, spans, counts)
    return counts


def rewire_text(batch: Batch, *, strict: bool = True) -> pa.Array:
    """The improved texts without their delimiters, large_binary [n]; null where a generation cannot be taken apart.

    Args:
        batch: generations.
        strict: all four delimiters must be there in order; else the improved part is enough. A text without any delimiter is given as
            it is: it was taken out already.

    Example:
        >>> rewire_text(Batch.of(["<thinking starts>Hm.<thinking ends> <improved response starts> A mill. <improved response ends>"]))[0]
        <pyarrow.LargeBinaryScalar: b'A mill.'>

    """
    found = parsed(batch)
    there = found.whole if strict else found.improved[:, 0] >= 0
    plain = batch.array.to_pylist() if len(batch) else []
    begins, ends = found.improved[:, 0].tolist(), found.improved[:, 1].tolist()
    return pa.array(
        [
            text if text is None or not marks else bytes(batch.data[begin:end]) if ok else None
            for text, marks, ok, begin, end in zip(plain, found.delimiters.tolist(), there.tolist(), begins, ends, strict=True)
        ],
        pa.large_binary(),
    )


@check(
    version=1,
    source="Nguyen et al. 2025 (ReWire), arXiv:2506.04689, appendix B: delimiters of the prompt",
    signals=[
        Signal("rewire_delimiters", "delimiters", "Delimiters of ReWire's prompt that stand in the text: more than 0 must not be trained on as it is.", "lower_is_better", (0, None), "int64",
               "Reasoning leaked without its delimiters is not seen; see flag_reasoning."),
        Signal("rewire_parse_ok", "0 or 1", "1 where all four delimiters stand in the text, each once and in their order, so that reasoning and text come apart.", "higher_is_better", (0, 1),
               misleads=f"{_NONE} A generation cut at its last token lacks the closing delimiter."),
        Signal("rewire_thinking_chars", "characters", "Characters of the reasoning between its delimiters.", "descriptive", (0, None), misleads=_NONE),
        Signal("rewire_text_chars", "characters", "Characters of the improved text between its delimiters.", "descriptive", (0, None), misleads=_NONE),
        Signal("rewire_len_ratio", "characters of the improved text per character of the original", "Length of the improved text, without reasoning and delimiters, in lengths of the original.", "two_sided", (0, None),
               misleads=f"{_NONE} The prompt asks for a text that is not shorter."),
    ],
)  # fmt: skip
def rewire(original: Batch, rewrite: Batch) -> Columns:
    """Reasoning and improved text of a guided rewrite, and delimiters that were left in. `rewire_text` gives the texts themselves."""
    found = parsed(rewrite)
    text = _chars(rewrite, found.improved)
    before = characters(original).code_points
    with np.errstate(invalid="ignore"):
        ratio = np.where(before > 0, text / np.maximum(before, 1), np.nan)
    return {
        "rewire_delimiters": found.delimiters,
        "rewire_parse_ok": np.where(found.delimiters > 0, found.whole.astype(np.float64), np.nan),
        "rewire_thinking_chars": _chars(rewrite, found.thinking),
        "rewire_text_chars": text,
        "rewire_len_ratio": ratio,
    }
