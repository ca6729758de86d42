"""One stage as one sequence of documents, already mixed: for trainers that weight nothing, weight by chance, or read one set of files.

Each source keeps its own order; a document's turn comes where the middle of its tokens falls in its source, so that every stretch of
the sequence holds the sources in the shares of the whole. Nothing in it is drawn: the same manifest gives the same sequence.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.exporters.base import Loss, inside
from explorer.exporters.documents import BATCH_BYTES, row_bytes, selection_path
from explorer.exporters.ordered import FILE_BYTES, GROUP_BYTES, Part, Sources, Written, batches, losses, open_part
from explorer.exporters.start import whole_numbers
from explorer.manifest.model import Manifest, Stage
from explorer.manifest.rows import regrouped

LOADERS = Path(__file__).parent / "loaders"


@dataclass(frozen=True)
class Premixed:
    """A stage as files: ``files`` relative to the export's folder, in order, with ``rows`` each; ``parts`` says what came from each source."""

    stage: str
    files: tuple[str, ...]
    rows: tuple[int, ...]
    parts: tuple[Written, ...]

    @property
    def documents(self) -> int:
        """Documents of the stage, repeats counted."""
        return sum(self.rows)


def turns(tokens: Sequence[np.ndarray]) -> np.ndarray:
    """Whose turn it is: number of the source for each document of the mixed sequence, int16 [sum of lengths].

    Args:
        tokens: float64 [m] for each source, tokens of its documents in its order; where all are 0 documents count alike.

    """
    places = []
    for lengths in tokens:
        lengths = lengths if lengths.sum() > 0 else np.ones(len(lengths))
        places.append((np.cumsum(lengths) - lengths / 2) / lengths.sum())
    whose = np.repeat(np.arange(len(tokens), dtype=np.int16), [len(lengths) for lengths in tokens])
    return whose[np.argsort(np.concatenate([np.zeros(0), *places]), kind="stable")]


def mixed(sources: Sources, parts: Sequence[Part], scratch: Path) -> Iterator[pa.RecordBatch]:
    """Every document of these parts in the mixed sequence, in batches of about 16 MB; ``scratch`` holds what sorting needs meanwhile."""
    whose = turns([_tokens(sources, part) for part in parts])
    size = max((row_bytes(part.shards, part.shape.columns) for part in parts), default=1.0)
    block = int(min(65_536, max(64, BATCH_BYTES // size)))
    starts = np.arange(0, len(whose), block)
    counts = np.array([np.bincount(whose[a : a + block], minlength=len(parts)) for a in starts]).reshape(len(starts), len(parts))
    streams = []
    for number, part in enumerate(parts):
        place = scratch / f".premixed-{number}"
        place.mkdir()
        taken = counts[:, number]
        streams.append(regrouped(batches(part, place), part.shape.schema, taken[taken > 0].tolist()))
    for start, taken in zip(starts, counts, strict=True):
        table = pa.concat_tables([next(streams[number]) for number in np.flatnonzero(taken)])
        by_source = np.argsort(whose[start : start + block], kind="stable")
        back = np.empty(len(by_source), np.int64)
        back[by_source] = np.arange(len(by_source))
        yield from table.take(pa.array(back)).combine_chunks().to_batches()
    for number in range(len(parts)):
        shutil.rmtree(scratch / f".premixed-{number}")


def write_premixed(sources: Sources, stage: Stage, folder: Path, *, rows_per_file: int | None = None) -> Premixed:
    """Write the mixed sequence of a stage as Parquet: ``mix-00000.parquet`` …, in a folder named for the stage where there are several.

    Args:
        sources: opened with ``columns="text", blank=True``; rows hold id, text and source.
        stage: one of the manifest's.
        folder: of the export.
        rows_per_file: None: files of about 256 MB of uncompressed text.

    """
    whole_numbers(rows_per_file=rows_per_file)
    parts = [part for component in stage.components if len(part := open_part(sources, component))]
    prefix = f"{stage.name}/" if len(sources.manifest.stages) > 1 else ""
    inside(folder, f"{prefix}mix-00000.parquet").parent.mkdir(exist_ok=True)
    total = sum(len(part) for part in parts)
    size = sum(row_bytes(part.shards, part.shape.columns) * len(part) for part in parts) / max(1, total)
    group = int(min(131_072, max(256, GROUP_BYTES // max(1.0, size))))
    per_file = rows_per_file or max(1, round(FILE_BYTES / max(1.0, size) / group)) * group
    rows = [min(per_file, total - a) for a in range(0, total, per_file)]
    names = [f"{prefix}mix-{number:05d}.parquet" for number in range(len(rows))]
    groups = [[min(group, count - a) for a in range(0, count, group)] for count in rows]
    tables = regrouped(mixed(sources, parts, folder), sources.schema, [count for of in groups for count in of])
    for name, of in zip(names, groups, strict=True):
        with pq.ParquetWriter(inside(folder, name), sources.schema, compression="zstd", compression_level=3) as writer:
            for _ in of:
                writer.write_table(next(tables), row_group_size=group)
    assert next(tables, None) is None
    return Premixed(stage.name, tuple(names), tuple(rows), tuple(_written(stage, part) for part in parts))


def _tokens(sources: Sources, part: Part) -> np.ndarray:
    path = selection_path(sources.manifest, part.component)
    tokens: np.ndarray = pq.read_table(path, columns=["tokens"], partitioning=None)["tokens"].to_numpy()
    return tokens[part.documents.index]


def _written(stage: Stage, part: Part) -> Written:
    name, tokens = part.component.source, part.component.resolved.tokens
    return Written(stage.name, name, (), len(part), tokens, part.shape.mended, part.weighted)


def losses_mixed(manifest: Manifest, stages: Sequence[Premixed]) -> dict[str, Loss]:
    """`losses` of a mixed sequence that a trainer reads from its beginning to its end."""
    found = losses(manifest, [part for stage in stages for part in stage.parts])
    found["order"] = Loss("order", "exact", "each source in its order; sources take turns so that any stretch holds their shares of tokens")
    return found


def write_module(manifest: Manifest, stages: Sequence[Premixed], folder: Path, module: str) -> None:
    """Write ``mix.json``, which lists the stages and their files, and the Python module that gives them to a trainer."""
    said = {
        "schema": "corpus-explorer/premixed/1",
        "name": manifest.name,
        "manifest": manifest.hash,
        "seed": manifest.seed,
        "stages": [
            {"name": s.stage, "folder": PurePosixPath(s.files[0]).parent.as_posix(), "files": list(s.files), "documents": s.documents}
            for s in stages
        ],
    }
    (folder / "mix.json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.copyfile(LOADERS / module, folder / module)
