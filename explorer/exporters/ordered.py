"""Chosen documents in the order and number in which they are emitted: as Arrow batches in bounded memory, or as Parquet files.

Exporters that hand text to a trainer begin here::

    sources = open_sources(manifest, root, columns="text")
    for stage in manifest.stages:
        parts = write_sources(sources, stage, folder)

One component's documents one after another are `batches`. A text that is to be changed before it is written has its one place in
`refuse_transform`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice, pairwise
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.errors import ExportError
from explorer.exporters.base import Loss, inside
from explorer.exporters.documents import Emitted, ascending, loss_weighted, open_source, row_bytes, selection_path, sequence
from explorer.exporters.sorting import Rows, by_place
from explorer.exporters.start import whole_numbers
from explorer.manifest.model import Component, Manifest, Source, Stage
from explorer.manifest.rows import regrouped

FILE_BYTES = 256 << 20
GROUP_BYTES = 64 << 20
NOTICED = 0.005  # of the tokens asked for: what whole documents miss by more is an approximation


@dataclass
class Shape:
    """How documents of one source become rows of the output; counts what had to be mended.

    Attributes:
        schema: of every emitted file, the same for all sources.
        names: emitted column → the source's column; one that is missing is null.
        name: of the source, for the column ``source`` when only text is emitted.
        ids: identity of each row of the selection file, when it is emitted as a column.
        blank: whether a document without text becomes "".
        mended: texts so far that were not UTF-8.

    """

    schema: pa.Schema
    names: dict[str, str]
    name: str
    text: str
    ids: pa.Array | None = None
    blank: bool = False
    mended: int = 0
    lock: Lock = field(default_factory=Lock)

    @property
    def columns(self) -> list[str]:
        """Columns to read."""
        return list(self.names.values())

    def prepare(self, batch: pa.RecordBatch, shard: Shard) -> pa.RecordBatch:
        """Columns of the source in the output's types, text that is not UTF-8 mended with U+FFFD."""
        columns = []
        for item in self.schema:
            name = self.names.get(item.name)
            if name is None or name not in batch.schema.names:
                columns.append(pa.nulls(batch.num_rows, item.type))
                continue
            column = batch.column(batch.schema.get_field_index(name))
            if pa.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            columns.append(self._typed(self._valid(column, name, shard), item, shard))
        return pa.record_batch(columns, schema=self.schema)

    def _valid(self, column: pa.Array, name: str, shard: Shard) -> pa.Array:
        try:
            column.validate(full=True)
            return column
        except pa.ArrowInvalid as error:
            if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
                raise ExportError(
                    f"Column {name!r} of {shard.path!r} holds values that are not valid: {str(error).splitlines()[0]}. Only whole strings can be mended. Export the text alone: columns=text"
                ) from error
        raw = column.cast(pa.large_binary()).to_pylist()
        mended = [None if v is None else v.decode("utf-8", "replace") for v in raw]
        if name == self.text:
            broken = sum(v is not None and v != m.encode() for v, m in zip(raw, mended, strict=True) if m is not None)
            with self.lock:
                self.mended += broken
        return pa.array(mended, column.type)

    def _typed(self, column: pa.Array, item: pa.Field, shard: Shard) -> pa.Array:
        if column.type == item.type:
            return column
        try:
            return column.cast(item.type)
        except pa.ArrowException as error:
            raise ExportError(
                f"Column {item.name!r} of {shard.path!r} cannot become {item.type}: {str(error).splitlines()[0]}. Sources disagree about its type. Export the text alone: columns=text"
            ) from error

    def labelled(self, batch: pa.RecordBatch, index: np.ndarray) -> pa.RecordBatch:
        """The same rows with their identity and source, when those are emitted."""
        if self.ids is None:
            return batch
        ids = self.ids.take(pa.array(index)).cast(pa.string())
        source = pa.array([self.name]).take(pa.array(np.zeros(batch.num_rows, np.int8)))
        said = {"id": ids, "source": source}
        if self.blank:
            said["text"] = batch.column("text").fill_null("")
        return pa.record_batch([said.get(f.name, batch.column(i)) for i, f in enumerate(self.schema)], schema=self.schema)


@dataclass(frozen=True)
class Sources:
    """The source files of a manifest, found and checked; and the one ``schema`` with its ``text`` column in which documents are emitted."""

    manifest: Manifest
    shards: Mapping[str, tuple[Shard, ...]]
    schema: pa.Schema
    text: str
    columns: str
    blank: bool = False


@dataclass(frozen=True)
class Part:
    """One component, opened: its ``documents`` as emitted and how they become rows; ``weighted`` says that a loss weight differs from 1."""

    component: Component
    documents: Emitted
    shards: tuple[Shard, ...]
    shape: Shape
    weighted: bool

    def __len__(self) -> int:
        return len(self.documents)


@dataclass(frozen=True)
class Written:
    """One source's part of a stage as files.

    Attributes:
        stage, source: whose part.
        files: relative to the export's folder, POSIX, in order.
        documents: emitted, repeats counted.
        tokens: as the manifest counts them.
        mended: texts that were not UTF-8 and hold U+FFFD now.
        weighted: whether a loss weight differs from 1.

    """

    stage: str
    source: str
    files: tuple[str, ...]
    documents: int
    tokens: float
    mended: int
    weighted: bool


def open_sources(manifest: Manifest, root: str | os.PathLike[str] | None = None, *, columns: str = "text", blank: bool = False) -> Sources:
    """Find every source file of a manifest again.

    Args:
        manifest: what to emit.
        root: where source files are looked for first.
        columns: ``all`` columns of the sources (a source that lacks one gets nulls), or ``text``: stable id, text and source name.
        blank: whether a document without text becomes "", for trainers that fail on null.

    Raises:
        ExportError: a file is missing or changed, or the sources cannot share one schema.

    """
    if columns not in ("all", "text"):
        raise ExportError(f"columns is {columns!r}. It is 'all' or 'text'. Choose one.")
    shards = {source.name: open_source(manifest, source, root) for source in manifest.sources}
    schema, text = _schema(manifest.sources, shards, columns)
    return Sources(manifest, shards, schema, text, columns, blank)


def open_part(sources: Sources, component: Component) -> Part:
    """The documents of a component as they are emitted, repeats included.

    Raises:
        ExportError: the selection file is missing or changed, or the component has a transform that is not known.

    """
    refuse_transform(component)
    path = selection_path(sources.manifest, component)
    source, shards = sources.manifest.source(component.source), sources.shards[component.source]
    column = source.roles["text"]
    if sources.columns == "text":
        ids = pq.read_table(path, columns=["id"], partitioning=None)["id"].cast(pa.large_string()).combine_chunks()
        shape = Shape(sources.schema, {sources.text: column}, source.name, column, ids, blank=sources.blank)
    else:
        there = {name for shard in shards for name in shard.schema.names}
        names = {f.name: f.name for f in sources.schema if f.name in there and f.name not in (sources.text, column)}
        shape = Shape(sources.schema, {**names, sources.text: column}, source.name, column)
    return Part(component, sequence(path), shards, shape, loss_weighted(path))


def refuse_transform(component: Component) -> None:
    """Refuse a component whose texts are to be changed: the one place where a transform, batch of texts to batch of texts, would be chosen.

    Raises:
        ExportError: the transform is not ``none``.

    """
    if component.transform != "none":
        raise ExportError(
            f"Source {component.source!r} has the transform {component.transform!r}. Exporters know none yet: they write texts as they are. Mix without it."
        )


def batches(part: Part, scratch: Path) -> Iterator[pa.RecordBatch]:
    """Every emitted document of a part, in order, in batches of bounded size; ``scratch`` holds what sorting needs while it runs."""
    rows = _rows(part, scratch)
    yield from rows(0, len(part))
    shutil.rmtree(scratch / ".sorting", ignore_errors=True)


def write_sources(
    sources: Sources, stage: Stage, folder: Path, *, rows_per_file: int | None = None, in_folder: bool | None = None
) -> tuple[Written, ...]:
    """Write the chosen documents of a stage as Parquet, one source after another: ``<source>-00000.parquet`` …

    Args:
        sources: as `open_sources` gives them.
        stage: one of the manifest's.
        folder: of the export.
        rows_per_file: None: files of about 256 MB of uncompressed data.
        in_folder: whether the files lie in a folder named for the stage; None: only where the manifest has several stages.

    Returns:
        What was written, in the manifest's order; a source that comes to no document has no files and is left out.

    """
    whole_numbers(rows_per_file=rows_per_file)
    prefix = ""
    if len(sources.manifest.stages) > 1 if in_folder is None else in_folder:
        prefix = f"{stage.name}/"
        inside(folder, stage.name).mkdir(exist_ok=True)
    written = []
    for component in stage.components:
        part = open_part(sources, component)
        files = _emit(folder, f"{prefix}{component.source}", part, rows_per_file)
        if files:
            done = component.resolved
            written.append(Written(stage.name, component.source, tuple(files), len(part), done.tokens, part.shape.mended, part.weighted))
    return tuple(written)


def losses(manifest: Manifest, written: Iterable[Written]) -> dict[str, Loss]:
    """What becomes of each neutral field in files that hold exactly the emitted documents; an exporter changes what its trainer loses."""
    written = list(written)
    broken = sum(w.mended for w in written)
    which = ", ".join(f"{w.mended:,} of {w.source}" for w in written if w.mended)
    parts = [c.resolved for stage in manifest.stages for c in stage.components]
    asked = max((abs(r.tokens / r.target_tokens - 1) for r in parts if r.target_tokens), default=0.0)
    stages = len(manifest.stages)
    found = [
        Loss("selection", "exact", "exactly the chosen documents are in the files")
        if not broken
        else Loss("selection", "approximated", f"texts that are not valid UTF-8 were mended with U+FFFD: {which}", broken),
        Loss("repeat", "exact", "repeated documents are repeated in the files, one pass after another"),
        Loss("order", "exact", "files are in the order of the selection; trainers that shuffle lose it"),
        Loss("weight", "exact", "the documents that the manifest resolved its amounts to")
        if asked < NOTICED
        else Loss("weight", "approximated", f"whole documents; the source furthest from the asked tokens by {asked:.2%}", asked),
        Loss("epochs", "exact", "whole and partial passes are in the files"),
        Loss("stages", "exact", "one stage" if stages == 1 else f"{stages} stages, one after another"),
        Loss("loss_weight", "dropped", "the files carry no loss weights; those of the selection differ from 1")
        if any(w.weighted for w in written)
        else Loss("loss_weight", "exact", "every weight is 1"),
        Loss("transform", "exact", "none is asked for"),
        Loss("tokenizer", "dropped", "the files hold text; the trainer chooses the tokenizer"),
        Loss("sequence_length", "dropped", "the files hold whole documents; the trainer chooses the length"),
    ]
    return {item.field: item for item in found}


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _schema(sources: Sequence[Source], shards: dict[str, tuple[Shard, ...]], columns: str) -> tuple[pa.Schema, str]:
    """One schema for all files of the export, and the name of its text column."""
    if columns == "text":
        return pa.schema([("id", pa.string()), ("text", pa.large_string()), ("source", pa.string())]), "text"
    texts = {source.roles["text"] for source in sources}
    text = texts.pop() if len(texts) == 1 else "text"
    schemas = []
    for source in sources:
        for shard in shards[source.name]:
            if source.roles["text"] != text and text in shard.schema.names:
                raise ExportError(
                    f"Source {source.name!r} has its text in {source.roles['text']!r} and something else in {text!r}, where other sources have theirs. One mix needs one text column. Export the text alone: columns=text"
                )
            renamed = {source.roles["text"]: text}
            schemas.append(pa.schema([pa.field(renamed.get(f.name, f.name), _plain(f.type)) for f in shard.schema]))
    try:
        merged = pa.unify_schemas(list(dict.fromkeys(schemas)), promote_options="permissive")
    except (pa.ArrowException, TypeError) as error:
        raise ExportError(
            f"The files disagree about a column's type: {str(error).splitlines()[0]}. One mix needs one type a column. Export the text alone: columns=text"
        ) from error
    return merged, text


def _emit(folder: Path, stem: str, part: Part, rows_per_file: int | None) -> list[str]:
    """Write one part's files and return their names; each of at most 8 threads holds a row group, sized for documents of mean length."""
    schema = part.shape.schema
    size = row_bytes(part.shards, part.shape.columns)
    group = int(min(131_072, max(256, GROUP_BYTES // size)))
    per_file = rows_per_file or max(1, round(FILE_BYTES / size / group)) * group
    group = min(group, per_file)
    count = -(-len(part) // per_file)
    names = [f"{stem}-{i:05d}.parquet" for i in range(count)]
    workers = max(1, min(count, os.cpu_count() or 1, 8))
    rows = _rows(part, folder)

    def write(numbers: np.ndarray) -> None:
        """Consecutive files, from one pass over the documents that go into them."""
        begin, end = int(numbers[0]) * per_file, min(len(part), (int(numbers[-1]) + 1) * per_file)
        groups = [[min(group, stop - a) for a in range(start, stop, group)] for start, stop in _spans(begin, end, per_file)]
        tables = regrouped(rows(begin, end), schema, chain.from_iterable(groups))
        for number, sizes in zip(numbers, groups, strict=True):
            with pq.ParquetWriter(inside(folder, names[number]), schema, compression="zstd", compression_level=3) as writer:
                for table in islice(tables, len(sizes)):
                    writer.write_table(table, row_group_size=group)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(write, [numbers for numbers in np.array_split(np.arange(count), workers) if len(numbers)]))
    shutil.rmtree(folder / ".sorting", ignore_errors=True)
    return names


def _spans(begin: int, end: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(end, start + size)) for start in range(begin, end, size)]


def _rows(part: Part, scratch: Path) -> Rows:
    """A function that gives emitted documents ``begin`` to ``end``; sorted documents are held in ``scratch``."""
    return partial(_natural, part) if part.component.order == "natural" else _sorted(part, scratch)


def _natural(part: Part, begin: int, end: int) -> Iterator[pa.RecordBatch]:
    """Emitted documents ``begin`` to ``end`` when they stand as in the files: each pass is one ascending run."""
    documents, shape = part.documents, part.shape
    file, row, index = documents.file[begin:end], documents.row[begin:end], documents.index[begin:end]
    cuts = [0, *(np.flatnonzero(np.diff(index) <= 0) + 1).tolist(), len(index)]
    for a, b in pairwise(cuts):
        for position, batch in ascending(part.shards, file[a:b], row[a:b], shape.columns, shape.prepare):
            yield shape.labelled(batch, index[a + position : a + position + batch.num_rows])


def _sorted(part: Part, scratch: Path) -> Rows:
    documents, shape = part.documents, part.shape
    by_document = np.lexsort((documents.row, documents.file))
    file, row = documents.file[by_document], documents.row[by_document]

    def read() -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """(places in the output, documents), in the order of the files."""
        for start, batch in ascending(part.shards, file, row, shape.columns, shape.prepare):
            places = by_document[start : start + batch.num_rows]
            yield places, shape.labelled(batch, documents.index[places])

    place = scratch / ".sorting"
    place.mkdir(exist_ok=True)
    return by_place(read(), shape.schema, len(documents), row_bytes(part.shards, shape.columns) * len(documents), place)
