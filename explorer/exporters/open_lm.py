"""open_lm and DCLM: token shards of one mixed sequence a stage, and the one ``manifest.jsonl`` over them.

open_lm's weights over several manifests are not honoured: it adds a shard of every source until the largest share is met, and reads
them all. So the sources are mixed here and it is given one manifest. Shards are equally large but for the last, as it asks.

Source: mlfoundations/open_lm commit 9bb92ef, ``open_lm/file_utils.py`` (``get_string_for_epoch``, ``get_metadata_file``: a manifest
without a newline at its end loses its last shard), ``open_lm/data.py``.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from explorer.errors import ExportError
from explorer.exporters.base import Loss, exporter, inside
from explorer.exporters.encoding import Encoder, encoder
from explorer.exporters.ordered import FILE_BYTES, Part, Sources, Written, losses, open_part, open_sources
from explorer.exporters.premixed import mixed
from explorer.exporters.start import whole_numbers, write_start
from explorer.manifest.model import Manifest, Stage

LEVEL = 6
CALL_BYTES = 1_000_000  # of text encoded in one call: an encoding takes 500 bytes a token


@dataclass(frozen=True)
class Sharded:
    """A stage as shards: sequences in each, what the sequences hold of each source in ids, and ids at the end that fill none."""

    stage: str
    sequences: tuple[int, ...]
    left: int
    parts: tuple[Written, ...]


@exporter("open-lm", about="open_lm and DCLM token shards of one mixed sequence a stage, with its manifest.jsonl")
def open_lm(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    tokenizer: str | None = None,
    eos: str | int | None = "auto",
    sequence_length: int | None = None,
    sequences_per_shard: int = 2048,
) -> Iterable[Loss]:
    """Write ``manifest.jsonl`` and ``00000000.tar`` …, each sample ``json.gz``: a list of sequence_length + 1 ids; stages in a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        tokenizer: whose ids are written; None: the manifest's. Where it has none either, the mixed texts are written for open_lm's own
            tokenizing script.
        eos: id or text of the token that ends a document; ``auto`` finds it, ``none`` appends nothing.
        sequence_length: tokens a sequence; None: the manifest's.
        sequences_per_shard: open_lm gives each worker of each GPU as many shards: there must be enough of them.

    """
    whole_numbers(sequence_length=sequence_length, sequences_per_shard=sequences_per_shard)
    use = encoder(manifest, tokenizer, eos)
    sources = open_sources(manifest, root, blank=True)
    if use is None:
        return _write_texts(sources, folder)
    lengths = [sequence_length or stage.sequence_length or manifest.sequence_length for stage in manifest.stages]
    if None in lengths:
        raise ExportError("open_lm reads sequences of one length, and the manifest has none. Give sequence_length=TOKENS.")
    several = len(manifest.stages) > 1
    stages = []
    for stage, length in zip(manifest.stages, lengths, strict=True):
        place = inside(folder, stage.name) if several else folder
        place.mkdir(exist_ok=True)
        stages.append(_write(sources, stage, place, use, length or 0, sequences_per_shard))
    commands = [
        f"torchrun … -m open_lm.main --dataset-manifest {f'{stage.stage}/' if several else ''}manifest.jsonl --data-key json.gz --train-num-samples {sum(stage.sequences) * (length or 0)} --epochs 1"
        for stage, length in zip(stages, lengths, strict=True)
    ]
    write_start(
        folder,
        "open-lm",
        commands,
        f"The model's configuration says seq_len {', '.join(str(n) for n in dict.fromkeys(lengths))} and a vocab_size of at least {use.vocabulary}.",
        "open_lm gives each worker of each GPU the same number of shards and drops what is over; it shuffles inside its buffer.",
        "Each stage starts from the checkpoint of the one before." if several else "",
    )
    return _losses(manifest, stages, use)


def _write(sources: Sources, stage: Stage, folder: Path, use: Encoder, length: int, per_shard: int) -> Sharded:
    parts = [part for component in stage.components if len(part := open_part(sources, component))]
    ids = _ids(mixed(sources, parts, folder), sources.text, use)
    sequences: list[int] = []
    left = 0
    for rows, rest in _blocks(ids, use.dtype, length + 1, per_shard):
        left = rest
        if len(rows):
            _write_shard(folder / f"{len(sequences):08d}.tar", rows)
            sequences.append(len(rows))
    if not sequences:
        raise ExportError(
            f"Stage {stage.name!r} has {left:,} tokens, less than one sequence of {length:,}. Lower sequence_length or mix more documents."
        )
    lines = [json.dumps({"shard": f"{number:08d}", "num_sequences": count}) for number, count in enumerate(sequences)]
    (folder / "manifest.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return Sharded(stage.name, tuple(sequences), left, tuple(_part(stage, part) for part in parts))


def _write_texts(sources: Sources, folder: Path) -> Iterable[Loss]:
    """The mixed sequence as ``text/mix-00000.jsonl.gz`` … and how open_lm makes shards of it."""
    several = len(sources.manifest.stages) > 1
    written, commands = [], []
    for stage in sources.manifest.stages:
        name = f"text/{stage.name}" if several else "text"
        place = inside(folder, name)
        place.mkdir(parents=True)
        parts = [part for component in stage.components if len(part := open_part(sources, component))]
        number, held = 0, 0
        for batch in mixed(sources, parts, place):
            number, held = (number + 1, 0) if held > FILE_BYTES else (number, held)
            with (place / f"mix-{number:05d}.jsonl.gz").open("ab") as file, gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as member:
                pl.DataFrame(batch).write_ndjson(cast(IO[bytes], member))
            held += batch.nbytes
        written += [_part(stage, part) for part in parts]
        length = stage.sequence_length or sources.manifest.sequence_length or "LENGTH"
        commands.append(
            f"python -m open_lm.datapreprocess.ray.tokenize_shuffle --input {name} --output DIR --seqlen {length} --tokenizer TOKENIZER"
        )
    write_start(
        folder,
        "open-lm",
        commands,
        "Only texts were written, for no tokenizer is named. The script writes the shards and their manifest.jsonl.",
    )
    found = losses(sources.manifest, written)
    found["order"] = Loss("order", "dropped", "open_lm's tokenizing script shuffles")
    return found.values()


def _part(stage: Stage, part: Part) -> Written:
    return Written(stage.name, part.component.source, (), len(part), part.component.resolved.tokens, part.shape.mended, part.weighted)


def _ids(batches: Iterator[pa.RecordBatch], text: str, use: Encoder) -> Iterator[np.ndarray]:
    for batch in batches:
        texts = batch.column(text).fill_null("")
        call = np.cumsum(pc.binary_length(texts).to_numpy()) // CALL_BYTES
        for a, b in pairwise([0, *(np.flatnonzero(np.diff(call)) + 1).tolist(), len(texts)]):
            yield use.encode(texts.slice(a, b - a).to_pylist())[0]


def _blocks(ids: Iterable[np.ndarray], dtype: np.dtype[np.unsignedinteger], width: int, rows: int) -> Iterator[tuple[np.ndarray, int]]:
    """(sequences [at most ``rows``, ``width``], ids held over), one after another; what fills no sequence at the end is left."""
    held = np.zeros(0, dtype)
    for some in ids:
        held = np.concatenate([held, some])
        while len(held) >= width * rows:
            yield held[: width * rows].reshape(rows, width), 0
            held = held[width * rows :]
    count = len(held) // width
    yield held[: count * width].reshape(count, width), len(held) - count * width


def _write_shard(path: Path, rows: np.ndarray) -> None:
    """One tar of samples, the same bytes for the same ids."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as shard:
        for number, ids in enumerate(rows.tolist()):
            sample = gzip.compress(json.dumps(ids, separators=(",", ":")).encode(), LEVEL, mtime=0)
            about = tarfile.TarInfo(f"{path.stem}_{number:06d}.json.gz")
            about.size = len(sample)
            shard.addfile(about, io.BytesIO(sample))


def _losses(manifest: Manifest, stages: Sequence[Sharded], use: Encoder) -> Iterable[Loss]:
    found = losses(manifest, [part for stage in stages for part in stage.parts])
    uneven = any(count < stage.sequences[0] for stage in stages for count in stage.sequences)
    found["order"] = Loss("order", "dropped", "the shards are in order; open_lm shuffles samples while it reads")
    left = sum(stage.left for stage in stages)
    reason = f"{left:,} ids at the end fill no sequence" + ("; the last shard is smaller, and open_lm may leave it out" if uneven else "")
    found["epochs"] = (
        Loss("epochs", "approximated", reason, left) if left or uneven else Loss("epochs", "exact", "every pass is in the shards")
    )
    if len(stages) > 1:
        found["stages"] = Loss("stages", "exact", f"{len(stages)} manifests, one a stage: a run each, in order")
    end = "nothing ends a document" if use.end is None else f"{use.end_token} ({use.end}) ends every document"
    found["tokenizer"] = Loss("tokenizer", "exact", f"{use.name}; {end}")
    found["sequence_length"] = Loss("sequence_length", "exact", "a sample holds one id more, the last target")
    return found.values()
