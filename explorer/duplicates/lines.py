"""Lines that stand in many documents: menus, licence headers, cookie notices; exact lines, white space at both ends aside.

Two passes: the first counts in how many documents each line stands, the second measures every document against the repeated ones.
What is counted is dealt by the lines' hashes into parts that are counted one at a time, so memory does not grow with the corpus'
lines (parts go to temporary files when they are large); only lines that stand in several documents are kept.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numba as nb
import numpy as np
import pyarrow as pa

from explorer.corpus.reading import each_batch
from explorer.corpus.workspace import unwritable
from explorer.duplicates.progress import Step, silent
from explorer.duplicates.store import Found, load, save
from explorer.errors import SignalError
from explorer.primitives import unicode as u
from explorer.primitives.batch import Batch
from explorer.primitives.swar import hash_bytes, kernel

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

PARTS = 64  # a power of two
HELD = 1 << 25  # bytes of hashes in memory before they go to files
TOP = 1000  # repeated lines that are listed with their text
LONGEST_SHOWN = 2_000  # bytes of a listed line
_58, _MIX = np.uint64(58), np.uint64(0x9E3779B97F4A7C15)
_SPACE = u.SPACE
_1 = np.uint64(1)


@nb.njit(nogil=True, cache=True, inline="always")
def _trimmed(data, start, end, classes):  # type: ignore[no-untyped-def]
    """The bytes of a line without the white space at both ends: (start, end), equal where nothing is left."""
    while start < end:
        point, after = np.int64(data[start]), start + 1
        if point >= 128:
            point, after = u.decode(data, start, end)
        if not classes[point] & _SPACE:
            break
        start = after
    while end > start:
        back = end - 1
        while back > start and end - back < 4 and data[back] & 0xC0 == 0x80:
            back -= 1
        point, after = u.decode(data, back, end)
        if after != end or not classes[point] & _SPACE:
            break
        end = back
    return start, end


@kernel
def _line(data, i, end):  # type: ignore[no-untyped-def]
    """Where the line that begins at ``i`` ends."""
    while i < end and data[i] != 10:
        i += 1
    return i


@nb.njit(nogil=True, cache=True)
def _hashes(data, offsets, classes, shortest):  # type: ignore[no-untyped-def]
    """Hashes of every document's different lines of at least ``shortest`` bytes, document after document; never 0."""
    room = 1024
    out = np.empty(room, np.uint64)
    n = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        first = n
        while i < end:
            stop = _line(data, i, end)
            a, b = _trimmed(data, i, stop, classes)
            if b > a and b - a >= shortest:
                if n == room:
                    room *= 2
                    larger = np.empty(room, np.uint64)
                    larger[:n] = out
                    out = larger
                out[n] = hash_bytes(data, a, b) | _1
                n += 1
            i = stop + 1
        out[first:n].sort()
        kept = first
        for k in range(first, n):
            if k == first or out[k] != out[kept - 1]:
                out[kept] = out[k]
                kept += 1
        n = kept
    return out[:n].copy()


@kernel
def _insert(keys, counts, table, values):  # type: ignore[no-untyped-def]
    """Fill an open-addressing table; its length is a power of two and more than twice the keys."""
    mask = np.uint64(len(table) - 1)
    for k in range(len(keys)):
        slot = ((keys[k] * _MIX) >> np.uint64(20)) & mask
        while table[slot] != 0:
            slot = (slot + _1) & mask
        table[slot] = keys[k]
        values[slot] = counts[k]


@kernel
def _slot(table, key):  # type: ignore[no-untyped-def]
    """Where the key is in the table, -1 when it is not there."""
    mask = np.uint64(len(table) - 1)
    slot = ((key * _MIX) >> np.uint64(20)) & mask
    while table[slot] != 0:
        if table[slot] == key:
            return np.int64(slot)
        slot = (slot + _1) & mask
    return np.int64(-1)


@kernel
def _measure(data, offsets, classes, shortest, most, table, values, lengths, lines, shared, chars, boilerplate, widest):  # type: ignore[no-untyped-def]
    """Measure every document's lines against the table; see `repeated_lines` for the columns."""
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            stop = _line(data, i, end)
            a, b = _trimmed(data, i, stop, classes)
            if b > a:
                length = 0
                for k in range(a, b):
                    length += 1 if data[k] & 0xC0 != 0x80 else 0
                lines[d] += 1
                chars[d] += length
                if b - a >= shortest:
                    slot = _slot(table, hash_bytes(data, a, b) | _1)
                    if slot >= 0:
                        count = np.int64(values[slot])
                        lengths[slot] = length  # threads that meet here write the same
                        shared[d] += 1
                        widest[d] = max(widest[d], count - 1)
                        if count > most:
                            boilerplate[d] += length
            i = stop + 1


@nb.njit(nogil=True, cache=True)
def _places(data, offsets, classes, shortest, table, values, n):  # type: ignore[no-untyped-def]
    """Of the n lines that the table numbers: document, start and end of the first occurrence (-1: none here), and how many there are."""
    found = np.full((n, 4), -1, np.int64)
    found[:, 3] = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            stop = _line(data, i, end)
            a, b = _trimmed(data, i, stop, classes)
            if b > a and b - a >= shortest:
                slot = _slot(table, hash_bytes(data, a, b) | _1)
                if slot >= 0:
                    k = values[slot]
                    if found[k, 0] < 0:
                        found[k, 0], found[k, 1], found[k, 2] = d, a, b
                    found[k, 3] += 1
            i = stop + 1
    return found


class _Parts:
    """Hashes dealt into `PARTS` by their leading bits, in memory and above `HELD` bytes in files that go with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lists: list[list[np.ndarray]] = [[] for _ in range(PARTS)]
        self._files: list[IO[bytes]] = []
        self._held = 0
        self._lock = threading.Lock()

    def add(self, hashes: np.ndarray) -> None:
        part = (hashes >> _58).astype(np.uint8)
        order = np.argsort(part, kind="stable")
        pieces = np.split(hashes[order], np.searchsorted(part[order], np.arange(1, PARTS)))
        with self._lock:
            for known, piece in zip(self._lists, pieces, strict=True):
                known.append(piece)
            self._held += hashes.nbytes
            if self._held > HELD:
                self._flush()

    def _flush(self) -> None:
        try:
            if not self._files:
                self._files = [tempfile.TemporaryFile(dir=self._folder) for _ in range(PARTS)]  # noqa: SIM115 (closed in repeated)
            for file, pieces in zip(self._files, self._lists, strict=True):
                for piece in pieces:
                    file.write(piece.tobytes())
                pieces.clear()
        except OSError as error:
            raise unwritable(self._folder, error) from error
        self._held = 0

    def repeated(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Hashes that were added more than once, how often, and how many different hashes there are."""
        keys, counts, different = [], [], 0
        for number in range(PARTS):
            pieces = self._lists[number]
            if self._files:
                self._files[number].seek(0)
                pieces = [np.frombuffer(self._files[number].read(), np.uint64), *pieces]
            found, times = np.unique(np.concatenate(pieces) if pieces else np.zeros(0, np.uint64), return_counts=True)
            different += len(found)
            keys.append(found[times > 1])
            counts.append(times[times > 1])
        for file in self._files:
            file.close()
        return np.concatenate(keys), np.concatenate(counts).astype(np.int32), different


def _table(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = 1 << max(4, (2 * len(keys) + 1).bit_length())
    table, at = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    _insert(keys, values.astype(np.int32), table, at)
    return table, at


def repeated_lines(corpus: Corpus, *, more_than: int = 6, shortest: int = 1, workers: int | None = None, step: Step = silent) -> Found:
    r"""Measure how much of every document is lines that other documents have too.

    A line is what stands between newlines ("\\n"), without white space at its ends; blank lines do not count.

    Args:
        corpus: what to search.
        more_than: a line that stands in more documents than this is boilerplate.
        shortest: lines of fewer bytes are in nobody's way and never repeated.
        workers: threads.
        step: told how far it is.

    Returns:
        Columns ``lines`` (non-blank lines), ``shared`` (those that stand in another document too), ``widest`` (the most other
        documents that one of them stands in), int64, and ``boilerplate`` (characters in boilerplate, of all characters in lines),
        float32; NaN or -1 where the text is null or blank. The 1,000 lines of most documents times characters lie in ``lines.parquet``
        (line, documents, occurrences, characters, row: the first document that has it).

    Raises:
        SignalError: a parameter is out of range.
        CorpusError: a row group cannot be read.

    """
    if more_than < 1 or shortest < 1:
        raise SignalError(
            f"more_than={more_than!r}, shortest={shortest!r} is out of range. Both are whole numbers from 1. Try more_than=6, shortest=1."
        )
    parameters = {"more_than": more_than, "shortest": shortest}
    known = load(corpus, "lines", parameters)
    if known:
        return known
    n = len(corpus)
    classes = u.classes()
    parts = _Parts(corpus.workspace.folder("duplicates"))

    def collect(first: int, batch: Batch) -> None:
        parts.add(_hashes(batch.data, batch.offsets, classes, shortest))

    each_batch(corpus, collect, workers=workers, on_rows=lambda done: step(done // 2, n, "counting lines"))
    keys, counts, different = parts.repeated()
    table, values = _table(keys, counts)
    step(n // 2, n, f"{len(keys):,} of {different:,} different lines stand in several documents")

    lines, shared, widest = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    chars, boilerplate = np.zeros(n, np.int64), np.zeros(n, np.int64)

    lengths = np.zeros(len(table), np.int32)

    def measure(first: int, batch: Batch) -> None:
        here = slice(first, first + len(batch))
        columns = (lengths, lines[here], shared[here], chars[here], boilerplate[here], widest[here])
        _measure(batch.data, batch.offsets, classes, shortest, more_than, table, values, *columns)

    each_batch(corpus, measure, workers=workers, on_rows=lambda done: step(n // 2 + done // 2, n, "measuring documents"))
    none = lines == 0
    share = np.where(none, np.nan, boilerplate / np.maximum(chars, 1)).astype(np.float32)
    columns = {name: np.where(none, -1, v) for name, v in (("lines", lines), ("shared", shared), ("widest", widest))}
    report: dict[str, Any] = {
        "documents": n,
        "blank": int(none.sum()),
        "lines": int(lines.sum()),
        "different": different,
        "repeated": len(keys),
        "boilerplate_lines": int((counts > more_than).sum()),
        "most_documents": int(counts.max(initial=1)) if different else 0,
        "with_boilerplate": int((boilerplate > 0).sum()),
        "boilerplate_characters": int(boilerplate.sum()),
        "characters": int(chars.sum()),
    }
    slots = np.flatnonzero(table)
    best = slots[np.lexsort((table[slots], -(lengths[slots] * values[slots].astype(np.int64))))[:TOP]]
    top = _listed(corpus, table[best], values[best], lengths[best], shortest, workers, step)
    return save(corpus, "lines", parameters, {**columns, "boilerplate": share}, report, {"lines": top})


def _listed(
    corpus: Corpus, keys: np.ndarray, counts: np.ndarray, lengths: np.ndarray, shortest: int, workers: int | None, step: Step
) -> pa.Table:
    """These lines with their text, in the order given."""
    n = len(keys)
    table, values = _table(keys, np.arange(n))
    classes = u.classes()
    first_row = np.full(n, len(corpus), np.int64)
    occurrences = np.zeros(n, np.int64)
    texts: list[bytes] = [b""] * n
    lock = threading.Lock()

    def find(first: int, batch: Batch) -> None:
        found = _places(batch.data, batch.offsets, classes, shortest, table, values, n)
        with lock:
            occurrences[:] += found[:, 3]
            for k in np.flatnonzero((found[:, 0] >= 0) & (first + found[:, 0] < first_row)):
                row, start, end, _ = found[k]
                first_row[k] = first + row
                texts[k] = batch.data[start : min(end, start + LONGEST_SHOWN)].tobytes()

    if n:
        step(len(corpus), len(corpus), "looking up the most repeated lines")
        each_batch(corpus, find, workers=workers)
    return pa.table(
        {
            "line": pa.array([text.decode("utf-8", "replace") for text in texts], pa.string()),
            "documents": counts.astype(np.int64),
            "occurrences": occurrences,
            "characters": occurrences * lengths,
            "row": first_row,
        }
    )


def explain(report: dict[str, Any]) -> str:
    """What was found, and why nothing where it is nothing."""
    n, more_than = report["documents"], report["parameters"]["more_than"]
    aside = f" {report['blank']:,} documents are null or blank." if report["blank"] else ""
    if report["with_boilerplate"]:
        share = report["boilerplate_characters"] / max(report["characters"], 1)
        return f"{report['boilerplate_lines']:,} lines stand in more than {more_than} documents; they make {share:.1%} of all text and touch {report['with_boilerplate']:,} of {n:,} documents.{aside}"
    if not report["lines"]:
        return f"0 repeated lines: none of the {n:,} documents has a line that is not blank.{aside}"
    return f"0 boilerplate lines among {report['different']:,} different ones in {n:,} documents: the most repeated stands in {report['most_documents']:,}, and boilerplate is what stands in more than {more_than}.{aside}"
