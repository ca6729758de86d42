"""Materialised Parquet: exactly the chosen documents, in order, repeats included; what nearly every trainer reads.

Beside the files lie ``mix.json`` and ``load_mix.py``, which load them with Hugging Face ``datasets``. The bytes depend on the
manifest and the options alone: rows a file and a row group follow from the footers, codec and level are fixed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from explorer.corpus.files import Shard
from explorer.errors import ExportError
from explorer.exporters.base import Loss, exporter, inside
from explorer.exporters.documents import Emitted, ascending, open_source, row_bytes, selection_path, sequence
from explorer.manifest.model import Component, Manifest, Source
from explorer.manifest.rows import regrouped

FILE_BYTES = 256 << 20
GROUP_BYTES = 64 << 20
MOST_BUCKETS = 400  # files open at once while sorting
LOADER = Path(__file__).parent / "loaders" / "load_mix.py"


@dataclass
class Shape:
    """How documents of one source become rows of the output; counts what had to be mended.

    Attributes:
        schema: of every emitted file, the same for all sources.
        names: emitted column → the source's column; one that is missing is null.
        name: of the source, for the column ``source`` when only text is emitted.
        ids: identity of each row of the selection file, when it is emitted as a column.

    """

    schema: pa.Schema
    names: dict[str, str]
    name: str
    text: str
    ids: pa.Array | None = None
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
        return pa.record_batch([said.get(f.name, batch.column(i)) for i, f in enumerate(self.schema)], schema=self.schema)


@exporter("parquet", about="Parquet files of exactly the chosen documents, with a loader for Hugging Face datasets", extra="hf")
def parquet(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    columns: str = "all",
    rows_per_file: int | None = None,
) -> Iterable[Loss]:
    """Write ``<source>-00000.parquet`` …, ``mix.json`` and ``load_mix.py``.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        columns: ``all`` columns of the sources (a source that lacks one gets nulls), or ``text``: text, stable id and source name.
        rows_per_file: None: files of about 256 MB of uncompressed data.

    """
    if columns not in ("all", "text"):
        raise ExportError(f"columns is {columns!r}. It is 'all' or 'text'. Choose one.")
    if rows_per_file is not None and (isinstance(rows_per_file, bool) or not isinstance(rows_per_file, int) or rows_per_file < 1):
        raise ExportError(f"rows_per_file is {rows_per_file!r}. It must be a whole number above 0. Leave it out for files of about 256 MB.")
    if len(manifest.stages) != 1:
        raise ExportError(f"The manifest has {len(manifest.stages)} stages. This exporter writes one. Mix a manifest for each stage.")
    shards = {source.name: open_source(manifest, source, root) for source in manifest.sources}
    schema, text = _schema(manifest.sources, shards, columns)
    written: list[dict[str, Any]] = []
    mended: dict[str, int] = {}
    weighted = False
    for component in manifest.stages[0].components:
        if component.transform != "none":
            raise ExportError(
                f"Source {component.source!r} has the transform {component.transform!r}. This exporter knows none. Mix without it."
            )
        source, path = manifest.source(component.source), selection_path(manifest, component)
        shape = _shape(source, shards[source.name], schema, text, columns, path)
        documents = sequence(path)
        files = _emit(folder, component, shards[source.name], documents, shape, rows_per_file)
        weighted = weighted or pc.any(pc.not_equal(pq.read_table(path, columns=["weight"], partitioning=None)["weight"], 1)).as_py() is True
        mended[source.name] = shape.mended
        if files:
            part = {"name": source.name, "files": files, "documents": len(documents), "tokens": component.resolved.tokens}
            written.append(part)
    _write_loader(folder, manifest, text, written)
    return _losses(manifest, mended, weighted)


def _losses(manifest: Manifest, mended: dict[str, int], weighted: bool) -> list[Loss]:
    broken = sum(mended.values())
    which = ", ".join(f"{count:,} of {name}" for name, count in mended.items() if count)
    asked = max(
        (abs(c.resolved.tokens / c.resolved.target_tokens - 1) for c in manifest.stages[0].components if c.resolved.target_tokens),
        default=0.0,
    )
    return [
        Loss("selection", "exact", "exactly the chosen documents are in the files")
        if not broken
        else Loss("selection", "approximated", f"texts that are not valid UTF-8 were mended with U+FFFD: {which}", broken),
        Loss("repeat", "exact", "repeated documents are repeated in the files, one pass after another"),
        Loss("order", "exact", "files are in the order of the selection; trainers that shuffle lose it"),
        Loss("weight", "exact", f"realised as whole documents; furthest from the asked tokens by {asked:.2%}"),
        Loss("epochs", "exact", "whole and partial passes are in the files"),
        Loss("stages", "exact", "one stage"),
        Loss("loss_weight", "dropped", "the files carry no loss weights; those of the selection differ from 1")
        if weighted
        else Loss("loss_weight", "exact", "every weight is 1"),
        Loss("transform", "exact", "none is asked for"),
        Loss("tokenizer", "dropped", "the files hold text; the trainer chooses the tokenizer"),
        Loss("sequence_length", "dropped", "the files hold whole documents; the trainer chooses the length"),
    ]


def _write_loader(folder: Path, manifest: Manifest, text: str, written: list[dict[str, Any]]) -> None:
    total = sum(part["documents"] for part in written)
    said = {
        "schema": "corpus-explorer/mix/1",
        "name": manifest.name,
        "manifest": manifest.hash,
        "seed": manifest.seed,
        "text": text,
        "sources": written,
        "probabilities": [part["documents"] / total for part in written],
        "stopping_strategy": "all_exhausted_without_replacement",
    }
    text_ = json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "mix.json").write_text(text_, encoding="utf-8")
    shutil.copyfile(LOADER, folder / LOADER.name)


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


def _shape(source: Source, shards: Sequence[Shard], schema: pa.Schema, text: str, columns: str, path: Path) -> Shape:
    column = source.roles["text"]
    if columns == "text":
        ids = pq.read_table(path, columns=["id"], partitioning=None)["id"].cast(pa.large_string()).combine_chunks()
        return Shape(schema, {text: column}, source.name, column, ids)
    there = {name for shard in shards for name in shard.schema.names}
    names = {f.name: f.name for f in schema if f.name in there and f.name not in (text, column)}
    return Shape(schema, {**names, text: column}, source.name, column)


def _emit(
    folder: Path, component: Component, shards: Sequence[Shard], documents: Emitted, shape: Shape, rows_per_file: int | None
) -> list[str]:
    """Write one source's files and return their names."""
    size = row_bytes(shards, shape.columns)
    group = int(min(131_072, max(256, GROUP_BYTES // size)))
    per_file = rows_per_file or max(1, round(FILE_BYTES / size / group)) * group
    group = min(group, per_file)
    count = -(-len(documents) // per_file)
    names = [f"{component.source}-{i:05d}.parquet" for i in range(count)]
    workers = max(1, min(count, os.cpu_count() or 1, 8))
    rows = _natural if component.order == "natural" else _sorted(folder, shards, documents, shape, per_file)

    def write(part: np.ndarray) -> None:
        """Consecutive files, from one pass over the documents that go into them."""
        begin, end = int(part[0]) * per_file, min(len(documents), (int(part[-1]) + 1) * per_file)
        groups = [[min(group, stop - a) for a in range(start, stop, group)] for start, stop in _spans(begin, end, per_file)]
        tables = regrouped(rows(shards, documents, shape, begin, end), shape.schema, chain.from_iterable(groups))
        for number, sizes in zip(part, groups, strict=True):
            with pq.ParquetWriter(inside(folder, names[number]), shape.schema, compression="zstd", compression_level=3) as writer:
                for table in islice(tables, len(sizes)):
                    writer.write_table(table, row_group_size=group)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(write, [part for part in np.array_split(np.arange(count), workers) if len(part)]))
    shutil.rmtree(folder / ".sorting", ignore_errors=True)
    return names


def _spans(begin: int, end: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(end, start + size)) for start in range(begin, end, size)]


Rows = Callable[[Sequence[Shard], Emitted, Shape, int, int], Iterator[pa.RecordBatch]]


def _natural(shards: Sequence[Shard], documents: Emitted, shape: Shape, begin: int, end: int) -> Iterator[pa.RecordBatch]:
    """Emitted documents ``begin`` to ``end`` when they stand as in the files: each pass is one ascending run."""
    file, row, index = documents.file[begin:end], documents.row[begin:end], documents.index[begin:end]
    cuts = [0, *(np.flatnonzero(np.diff(index) <= 0) + 1).tolist(), len(index)]
    for a, b in pairwise(cuts):
        for position, batch in ascending(shards, file[a:b], row[a:b], shape.columns, shape.prepare):
            yield shape.labelled(batch, index[a + position : a + position + batch.num_rows])


def _sorted(folder: Path, shards: Sequence[Shard], documents: Emitted, shape: Shape, per_file: int) -> Rows:
    """Bring documents into any order with memory for a few output files.

    One pass over the sources deals each document into a bucket by its place in the output; a bucket, some whole output files, is then
    sorted in memory. Texts are held as large strings there, which cannot overflow.
    """
    count = -(-len(documents) // per_file)
    a_bucket = -(-count // MOST_BUCKETS) * per_file
    place = folder / ".sorting"
    place.mkdir(exist_ok=True)
    large = pa.schema([*(pa.field(f.name, _large(f.type)) for f in shape.schema), pa.field("_position", pa.int64())])
    by_document = np.lexsort((documents.row, documents.file))
    file, row = documents.file[by_document], documents.row[by_document]
    sinks = [pa.ipc.new_stream(str(place / f"{i:05d}.arrow"), large) for i in range(-(-len(documents) // a_bucket))]
    try:
        for start, batch in ascending(shards, file, row, shape.columns, shape.prepare):
            positions = by_document[start : start + batch.num_rows]
            batch = shape.labelled(batch, documents.index[positions])
            bucket = positions // a_bucket
            order = np.argsort(bucket, kind="stable")
            edges = np.flatnonzero(np.diff(bucket[order], prepend=-1))
            for a, b in zip(edges, [*edges[1:], len(order)], strict=True):
                here = order[a:b]
                taken = batch.take(pa.array(here))
                columns = [taken.column(i).cast(f.type) for i, f in enumerate(list(large)[:-1])]
                sinks[bucket[here[0]]].write_batch(pa.record_batch([*columns, pa.array(positions[here])], schema=large))
    finally:
        for sink in sinks:
            sink.close()

    def rows(shards: Sequence[Shard], documents: Emitted, shape: Shape, begin: int, end: int) -> Iterator[pa.RecordBatch]:
        for number in range(begin // a_bucket, -(-end // a_bucket)):
            with pa.OSFile(str(place / f"{number:05d}.arrow")) as source:
                table = pa.ipc.open_stream(source).read_all()
            where = np.empty(table.num_rows, np.int64)
            where[table["_position"].to_numpy() - number * a_bucket] = np.arange(table.num_rows)
            low, high = max(0, begin - number * a_bucket), min(table.num_rows, end - number * a_bucket)
            table = table.drop_columns(["_position"]).combine_chunks()
            step = 4096
            for a in range(low, high, step):
                taken = table.take(pa.array(where[a : min(high, a + step)])).combine_chunks()
                yield from taken.cast(shape.schema).to_batches()

    return rows


def _large(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary(kind) else kind
