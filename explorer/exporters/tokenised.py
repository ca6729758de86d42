"""Every chosen document of a source as token ids, each once; what all tokenised exports are made of.

Texts are read in the order of the files, whatever the order of the mix: nothing is sorted and no document is encoded twice. Orders,
passes and stages are then pointers into the ids. Ids are encoded in parts of about 64 MB of text; a part is a file that appears when it
is whole, named by everything that determines it, so that a run that was stopped goes on from the parts in ``cache``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.errors import ExportError
from explorer.exporters.documents import ascending, numbers, row_bytes, selection_path
from explorer.exporters.encoding import Encoder
from explorer.exporters.ordered import Shape, Sources, refuse_transform
from explorer.manifest.model import Component, Manifest

PART_BYTES = 64 << 20
CHUNK_CHARS = 1_000_000  # encoded in one call: enough for every core, and its encodings (500 bytes a token) fit anywhere
GATHER = 1 << 20  # tokens brought into order at once
T = TypeVar("T")


@dataclass(frozen=True)
class Tokens:
    """Token ids of a source's chosen documents, in the order of the files.

    Attributes:
        path: the ids, raw, little-endian.
        dtype: of an id.
        number: int64 [n], numbers of the documents in the source, ascending.
        starts: int64 [n + 1], where each document's ids begin in the file, in ids.
        mended: texts that were not UTF-8 and were encoded with U+FFFD.

    """

    path: Path
    dtype: np.dtype[np.unsignedinteger]
    number: np.ndarray
    starts: np.ndarray
    mended: int

    def places(self, documents: np.ndarray) -> np.ndarray:
        """Which of the stored documents these numbers are: int64 [m]."""
        return np.searchsorted(self.number, documents)

    def lengths(self, documents: np.ndarray) -> np.ndarray:
        """Ids that each of these documents has: int64 [m]."""
        place = self.places(documents)
        return self.starts[place + 1] - self.starts[place]


def tokenise(
    sources: Sources,
    encoder: Encoder,
    scratch: Path,
    *,
    cache: str | os.PathLike[str] | None = None,
    only: Sequence[str] | None = None,
) -> dict[str, Tokens]:
    """Encode every document that a manifest emits, source by source.

    Args:
        sources: as `explorer.exporters.ordered.open_sources` gives them, of columns ``text``.
        encoder: the tokenizer.
        scratch: folder for the ids.
        only: names of the sources that are encoded; None: all.
        cache: folder in which finished parts are kept and looked for first; None: they are not kept.

    Raises:
        ExportError: a source cannot be read, a component has a transform, or the cache cannot be written.

    """
    parts = Path(cache).expanduser() if cache is not None else scratch / "parts"
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"cache is {str(parts)!r}, which cannot be written: {error}. It is a folder of your own. Name another."
        ) from error
    found = {}
    for source in sources.manifest.sources:
        if only is not None and source.name not in only:
            continue
        chosen = _chosen(sources, source.name)
        if len(chosen):
            found[source.name] = _source(sources, source.name, chosen, encoder, scratch, parts, keep=cache is not None)
    return found


def _chosen(sources: Sources, name: str) -> np.ndarray:
    """Numbers of the documents of a source that any stage emits, ascending: int64 [n]."""
    pieces = [np.zeros(0, np.int64)]
    for stage in sources.manifest.stages:
        for component in stage.components:
            if component.source == name:
                refuse_transform(component)
                table = pq.read_table(selection_path(sources.manifest, component), columns=["file", "row"], partitioning=None)
                pieces.append(first_rows(sources.shards[name])[table["file"].to_numpy()] + table["row"].to_numpy())
    joined = np.concatenate(pieces)
    return np.unique(joined) if len(pieces) > 2 else np.sort(joined)


def first_rows(shards: Sequence[Shard]) -> np.ndarray:
    """Number of the first document of each file: int64."""
    return np.array([s.first_row for s in shards], np.int64)


def _source(sources: Sources, name: str, chosen: np.ndarray, encoder: Encoder, scratch: Path, parts: Path, *, keep: bool) -> Tokens:
    source, shards = sources.manifest.source(name), sources.shards[name]
    text = source.roles["text"]
    shape = Shape(pa.schema([("text", pa.large_string())]), {"text": text}, name, text)
    shas = ":".join(f.sha256 for f in source.files)
    per_part = max(1, int(PART_BYTES // row_bytes(shards, [text])))
    path = scratch / f"{name}.tokens"
    lengths = np.zeros(len(chosen), np.int64)
    mended = 0
    with path.open("wb") as whole:
        for begin in range(0, len(chosen), per_part):
            wanted = chosen[begin : begin + per_part]
            key = hashlib.sha256(f"{encoder.fingerprint}:{shas}:{text}:".encode() + wanted.tobytes()).hexdigest()[:32]
            part = parts / f"{key}.npz"
            if not _is_whole(part):
                _encode(shards, shape, wanted, encoder, part)
            with np.load(part) as held:
                lengths[begin : begin + len(wanted)] = held["lengths"]
                mended += int(held["mended"])
                held["ids"].tofile(whole)
            if not keep:
                part.unlink()
    return Tokens(path, encoder.dtype, chosen, np.concatenate([[0], np.cumsum(lengths)]), mended)


def _is_whole(part: Path) -> bool:
    """Whether a part is there and was not damaged since: its checksums hold."""
    try:
        with zipfile.ZipFile(part) as held:
            return held.testzip() is None and set(held.namelist()) == {"ids.npy", "lengths.npy", "mended.npy"}
    except (OSError, zipfile.BadZipFile):
        return False


def _encode(shards: Sequence[Shard], shape: Shape, wanted: np.ndarray, encoder: Encoder, part: Path) -> None:
    """Encode some documents and leave them in ``part``, which is there only when it is whole."""
    first = first_rows(shards)
    file = np.searchsorted(first, wanted, side="right") - 1
    before = shape.mended
    batches = (batch for _, batch in ascending(shards, file.astype(np.int32), wanted - first[file], shape.columns, shape.prepare))
    ids, lengths = [np.zeros(0, encoder.dtype)], [np.zeros(0, np.int64)]
    for texts in ahead(_chunks(batches)):
        some, count = encoder.encode(texts)
        ids.append(some)
        lengths.append(count)
    building = part.with_name(f".{part.name}.{os.getpid()}.partial")
    with building.open("wb") as file_:
        np.savez(file_, ids=np.concatenate(ids), lengths=np.concatenate(lengths), mended=np.int64(shape.mended - before))
    os.replace(building, part)


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[list[str]]:
    """Texts in lists of at most about a million characters, or one longer text; null is the empty text."""
    held: list[str] = []
    size = 0
    for batch in batches:
        for text in batch.column(0).to_pylist():
            if held and size + len(text or "") > CHUNK_CHARS:
                yield held
                held, size = [], 0
            held.append(text or "")
            size += len(held[-1])
    if held:
        yield held


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one made while this one is used."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item


def emitted(manifest: Manifest, component: Component, shards: Sequence[Shard]) -> Iterator[np.ndarray]:
    """Numbers in the source of the documents that a component emits, in order, repeats included: int64 batches."""
    return numbers(selection_path(manifest, component), first_rows(shards))


def stream(tokens: Tokens, documents: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(ids [m], lengths int64 [d]) of documents in any order, about a million ids at a time; a document is never cut."""
    held = np.memmap(tokens.path, tokens.dtype, mode="r") if tokens.starts[-1] else np.zeros(0, tokens.dtype)
    for batch in documents:
        place = tokens.places(batch)
        starts = tokens.starts[place]
        lengths = tokens.starts[place + 1] - starts
        group = np.cumsum(lengths) // GATHER
        cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(batch)]
        for a, b in pairwise(cuts):
            yield _gather(held, starts[a:b], lengths[a:b]), lengths[a:b]


def _gather(held: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    if not len(starts):
        return held[:0]
    if (starts[1:] == starts[:-1] + lengths[:-1]).all():
        return held[starts[0] : starts[-1] + lengths[-1]]
    before = np.cumsum(lengths) - lengths
    return held[np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))]


def discard(scratch: Path) -> None:
    """Remove what was needed on the way."""
    shutil.rmtree(scratch, ignore_errors=True)
