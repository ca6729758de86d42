"""Dolma: every document of the sources as its toolkit reads it, our decision as attributes, and a mixer configuration that applies it.

Source: the toolkit's own format (allenai/dolma 1.2.1, ``python/dolma/cli/mixer.py``, ``docs/data-format.md``). The mixer filters and
cannot repeat; a document that is emitted k times passes k streams, one a pass.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from explorer.corpus.files import Shard
from explorer.errors import ExportError
from explorer.exporters.base import Loss, exporter, inside
from explorer.exporters.documents import ascending, open_source, selection_path
from explorer.exporters.ordered import Shape, losses, refuse_transform
from explorer.exporters.start import write_start
from explorer.manifest.model import Component, Manifest, Source
from explorer.mixture.identities import identities

MOST_PASSES = 64
OUTPUT_BYTES = 1 << 30
LEVEL = 6
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("source", pa.string())])


@exporter("dolma", about="Dolma documents of whole sources, the decision on each as attributes, and a mixer configuration a stage")
def dolma(manifest: Manifest, folder: Path, *, root: str | os.PathLike[str] | None = None) -> Iterable[Loss]:
    """Write ``corpus/documents/<source>/…jsonl.gz``, ``corpus/attributes/mix/<source>/…jsonl.gz`` and ``mixer.yaml``; several stages have one each.

    An attribute is ``mix__copies``: ``[[0, characters, copies]]``, copies 0 for a document that is left out; and ``mix__loss_weight``.
    A document without text has the text "".

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.

    """
    several = len(manifest.stages) > 1
    shards = {source.name: open_source(manifest, source, root) for source in manifest.sources}
    kinds = {stage.name: f"mix-{stage.name}" if several else "mix" for stage in manifest.stages}
    decided = {stage.name: {c.source: _decision(manifest, c) for c in stage.components} for stage in manifest.stages}
    passes = {name: _passes(decisions) for name, decisions in decided.items()}
    mended = {
        source.name: _write_source(
            source, shards[source.name], {kinds[name]: of[source.name] for name, of in decided.items() if source.name in of}, folder
        )
        for source in manifest.sources
    }
    commands = []
    for stage, kind in kinds.items():
        name = kind.replace("mix", "mixer", 1) + ".yaml"
        said = _mixer(passes[stage], attributes=kind, out=kind.replace("mix", "mixed", 1))
        inside(folder, name).write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
        commands.append(f"dolma -c {name} mix")
    write_start(
        folder,
        "dolma",
        commands,
        "The chosen documents appear in mixed/ (one folder a stage), pass after pass. Tokenize them in the order of their names.",
        "More processes in the configuration are faster; they change the order of files, not which documents are in them.",
    )
    return _losses(manifest, mended, [d for of in decided.values() for d in of.values()], max(max(of.values()) for of in passes.values()))


def _passes(decisions: Mapping[str, Decision]) -> dict[str, int]:
    """How often the most repeated document of each source comes."""
    found = {name: int(decision.repeat.max(initial=0)) for name, decision in decisions.items()}
    name = max(found, key=lambda name: found[name])
    if found[name] > MOST_PASSES:
        raise ExportError(
            f"A document of {name!r} is emitted {found[name]:,} times. Dolma's mixer reads all documents once a pass, and {MOST_PASSES} passes are the most here. Export to parquet instead."
        )
    return found


def _mixer(passes: Mapping[str, int], *, attributes: str, out: str) -> dict[str, Any]:
    """The mixer's configuration: one stream a pass, over the sources that have one."""
    streams = [
        {
            "name": f"pass-{number:02d}",
            "documents": [f"corpus/documents/{source}/*.jsonl.gz" for source, most in passes.items() if most >= number],
            "attributes": [attributes],
            "filter": {"syntax": "jq", "include": [f".attributes.mix__copies[0][2] >= {number}"], "exclude": []},
            "output": {"path": f"{out}/pass-{number:02d}", "max_size_in_bytes": OUTPUT_BYTES, "discard_fields": ["attributes"]},
        }
        for number in range(1, max(passes.values()) + 1)
    ]
    work = {"input": f"{out}.work/input", "output": f"{out}.work/output"}
    return {"streams": streams, "work_dir": work, "processes": 1, "shuffle": False}


@dataclass(frozen=True)
class Decision:
    """What becomes of a source's documents in one stage, by file: ``file`` int32 [n] ascending, with ``row``, ``repeat`` and ``weight``."""

    file: np.ndarray
    row: np.ndarray
    repeat: np.ndarray
    weight: np.ndarray

    def of(self, number: int, documents: int) -> tuple[np.ndarray, np.ndarray]:
        """Copies and loss weight of every document of a file: float64 [documents], copies 0 and weight 1 where it is not chosen."""
        here = slice(*np.searchsorted(self.file, [number, number + 1]))
        copies, weight = np.zeros(documents), np.ones(documents)
        copies[self.row[here]], weight[self.row[here]] = self.repeat[here], self.weight[here]
        return copies, weight


def _decision(manifest: Manifest, component: Component) -> Decision:
    refuse_transform(component)
    table = pq.read_table(selection_path(manifest, component), columns=["file", "row", "repeat", "weight"], partitioning=None)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    by_file = np.argsort(columns["file"], kind="stable")
    return Decision(**{name: values[by_file] for name, values in columns.items()})


def _write_source(source: Source, shards: Sequence[Shard], decisions: Mapping[str, Decision], folder: Path) -> int:
    """Documents and attributes of one source, one file of each for each of its files; returns how many texts were mended."""
    shape = Shape(SCHEMA, {"text": source.roles["text"]}, source.name, source.roles["text"])
    places = [inside(folder, f"corpus/{kind}/{source.name}") for kind in ("documents", *(f"attributes/{name}" for name in decisions))]
    for place in places:
        place.mkdir(parents=True)

    def write(number: int) -> None:
        shard = shards[number]
        columns = [decision.of(number, shard.rows) for decision in decisions.values()]
        with ExitStack() as stack:
            files = [stack.enter_context((place / f"{number:05d}.jsonl.gz").open("wb")) for place in places]
            sinks = [cast(IO[bytes], stack.enter_context(gzip.GzipFile("", "wb", LEVEL, file, mtime=0))) for file in files]
            for start, batch in _documents(shard, source, shape):
                pl.DataFrame(batch).write_ndjson(sinks[0])
                for sink, (copies, weight) in zip(sinks[1:], columns, strict=True):
                    here = slice(start, start + batch.num_rows)
                    pl.DataFrame(_attributed(batch, mix__copies=copies[here], mix__loss_weight=weight[here])).write_ndjson(sink)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        list(pool.map(write, range(len(shards))))
    return shape.mended


def _documents(shard: Shard, source: Source, shape: Shape) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(first row, documents) of a whole file; the ids of one file are held at once."""
    ids = pa.chunked_array([batch.column("id") for batch in identities(shard, source.id_column, source.roles["text"])], pa.string())
    rows = np.arange(shard.rows)
    for start, batch in ascending((shard,), np.zeros(shard.rows, np.int32), rows, shape.columns, shape.prepare):
        n = batch.num_rows
        text = batch.column("text").fill_null("")
        yield start, pa.record_batch([ids.slice(start, n).combine_chunks(), text, pa.array([source.name] * n)], schema=SCHEMA)


def _attributed(batch: pa.RecordBatch, **attributes: np.ndarray) -> pa.RecordBatch:
    """Attribute rows: each value as one span over the whole text, ``[[0, characters, value]]``."""
    n, ends = batch.num_rows, pc.utf8_length(batch.column("text")).to_numpy()
    spans = {}
    for name, values in attributes.items():
        flat = np.column_stack([np.zeros(n), ends, values]).ravel()
        one = pa.ListArray.from_arrays(pa.array(np.arange(0, 3 * n + 1, 3, dtype=np.int32)), pa.array(flat))
        spans[name] = pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32)), one)
    fields = pa.StructArray.from_arrays(list(spans.values()), names=list(spans))
    return pa.record_batch({"id": batch.column("id"), "attributes": fields})


def _losses(manifest: Manifest, mended: Mapping[str, int], decisions: Iterable[Decision], passes: int) -> Iterable[Loss]:
    found = losses(manifest, [])
    broken = sum(mended.values())
    if broken:
        which = ", ".join(f"{count:,} of {name}" for name, count in mended.items() if count)
        found["selection"] = Loss("selection", "approximated", f"texts that are not valid UTF-8 were mended with U+FFFD: {which}", broken)
    else:
        found["selection"] = Loss("selection", "exact", "mix__copies says of every document whether it is chosen; the mixer reads that")
    found["repeat"] = Loss("repeat", "exact", "one pass" if passes < 2 else f"{passes} streams, one a pass: the mixer itself cannot repeat")
    ordered = [c.source for stage in manifest.stages for c in stage.components if c.order != "natural"]
    found["order"] = (
        Loss("order", "dropped", f"the mixer keeps the order of the files; {', '.join(dict.fromkeys(ordered))} asks for another")
        if ordered
        else Loss("order", "exact", "the order of the files, as long as the configuration says shuffle: false and processes: 1")
    )
    if any((decision.weight != 1).any() for decision in decisions):
        reason = "mix__loss_weight holds them; the mixer passes attributes on to nobody"
        found["loss_weight"] = Loss("loss_weight", "dropped", reason)
    several = len(manifest.stages)
    found["stages"] = Loss("stages", "exact", "one stage" if several == 1 else f"{several} configurations, one a stage: run them in order")
    return found.values()
