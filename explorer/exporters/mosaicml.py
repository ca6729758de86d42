"""MosaicML Streaming and llm-foundry: MDS shards of packed sequences, and the YAML that streams them.

Ids are packed, document after document, into sequences of one length: a row of a column ``tokens`` whose type and shape are fixed, so that
a shard is a header and the ids as they are. Each stream is told to give exactly the rows it has (``choose``); later stages are datasets
of llm-foundry's curriculum callback.

Source: ``streaming/base/format/mds/writer.py`` of mosaicml-streaming 0.13.0; ``llmfoundry/data/text_data.py`` and
``callbacks/curriculum_learning_callback.py`` of llm-foundry.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from explorer.errors import ExportError
from explorer.exporters.base import Counted, Loss, exporter, inside
from explorer.exporters.blend import (
    Encoded,
    Part,
    by_stage,
    components,
    encoded,
    folder_prefix,
    length_of,
    read_record,
    shares,
    token_losses,
    write_record,
)
from explorer.exporters.start import write_start
from explorer.manifest.model import Manifest

SHARD_BYTES = 1 << 26
STORED = {"uint16": "uint16", "uint32": "int32"}  # the same bytes, as older torch knows no uint32; ids are far below 2**31
Ids = Iterator[tuple[np.ndarray, np.ndarray]]


@exporter(
    "mosaicml",
    about="MosaicML Streaming and llm-foundry: MDS shards of packed sequences and the streams YAML, stages as a curriculum",
    recount=lambda folder: _recount(folder),
)
def mosaicml(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    tokenizer: str | None = None,
    eos: str | int | None = "auto",
    sequence_length: int | None = None,
    shuffle: bool = True,
    at: str = "",
    cache: str | None = None,
) -> Iterable[Loss]:
    """Write ``<source>/index.json`` and shards, and ``train.yaml``; stages in a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        tokenizer: whose ids are written; None: the manifest's; where it has none either, only the recipe is written.
        eos: id or text of the token that ends a document; ``auto`` finds it, ``none`` appends nothing.
        sequence_length: tokens of a row; None: the stage's or the manifest's.
        shuffle: whether the trainer mixes the rows of all streams; without it it reads one stream after another, each in order.
        at: folder that the trainer finds the files in; '' for paths relative to it.
        cache: folder in which encoded parts are kept, so that a run that was stopped goes on.

    """
    if not isinstance(shuffle, bool):
        raise ExportError(f"shuffle is {shuffle!r}. It is true or false. Choose one.")
    lengths = {stage.name: length_of(manifest, stage, sequence_length) for stage in manifest.stages}
    with encoded(manifest, folder, root=root, tokenizer=tokenizer, eos=eos, cache=cache) as made:
        parts, rows, left = [], {}, 0
        for stage, component, stem in components(manifest):
            tokens, length = component.resolved.tokens, lengths[stage.name]
            if made.encoder is not None:
                rows[stem], rest = write_mds(inside(folder, stem), made.ids(component), length, made.encoder.dtype.name)
                tokens, left = rows[stem] * length, left + rest
                if not rows[stem]:
                    raise ExportError(
                        f"{component.source!r} has {rest:,} tokens in stage {stage.name!r}, less than one sequence of {length:,}. Its rows would be none. Set a smaller sequence_length, or mix without it."
                    )
            parts.append(Part(stage.name, component.source, stem, tokens, component.resolved.documents))
        _write_yaml(folder, made, parts, rows, lengths, shuffle, folder_prefix(at))
        write_record(folder, made, parts, sequence_length=lengths)
        write_start(
            folder,
            "mosaicml",
            ["composer llm-foundry/scripts/train/train.py YOUR.yaml   # with the parts of train.yaml in it"],
            "Every stream gives each of its rows once (choose); for shares of a run of another length replace choose by proportion, see streams.yaml.",
            at=at,
        )
        return _losses(made, parts, left, lengths, shuffle)


def write_mds(folder: Path, ids: Ids, length: int, dtype: str) -> tuple[int, int]:
    """Pack ids into rows of ``length`` and write them as MDS shards and ``index.json``; (rows, ids left over)."""
    folder.mkdir(parents=True, exist_ok=True)
    width = np.dtype(dtype).itemsize * length
    kind = f"ndarray:{STORED[dtype]}:{length}"
    config = {
        "column_encodings": [kind],
        "column_names": ["tokens"],
        "column_sizes": [width],
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": SHARD_BYTES,
        "version": 2,
    }
    said = json.dumps(config, sort_keys=True).encode()
    fixed = 8 + len(said)  # the number of rows, the last offset, the configuration
    most = max(1, (SHARD_BYTES - fixed) // (width + 4))
    shards: list[dict[str, Any]] = []
    held = np.zeros(0, dtype)
    pieces: list[np.ndarray] = []
    size = 0

    def write(rows: np.ndarray) -> None:
        name = f"shard.{len(shards):05}.mds"
        count = len(rows) // length
        offsets = np.arange(count + 1, dtype=np.uint64) * width + 4 + 4 * (count + 1) + len(said)
        with (folder / name).open("wb") as file:
            file.write(np.uint32(count).tobytes() + offsets.astype(np.uint32).tobytes() + said)
            rows.tofile(file)
        raw = {"basename": name, "bytes": (folder / name).stat().st_size, "hashes": {}}
        shards.append({**config, "raw_data": raw, "samples": count, "zip_data": None})

    for some, _ in ids:
        pieces.append(some)
        size += len(some)
        if size >= most * length:
            held = np.concatenate(pieces)
            while len(held) >= most * length:
                write(held[: most * length])
                held = held[most * length :]
            pieces, size = [held], len(held)
    held = np.concatenate([np.zeros(0, dtype), *pieces])
    last = len(held) // length
    if last:
        write(held[: last * length])
    index = {"version": 2, "shards": shards}
    (folder / "index.json").write_text(json.dumps(index, sort_keys=True), encoding="utf-8")
    return sum(s["samples"] for s in shards), len(held) - last * length


def _write_yaml(
    folder: Path, made: Encoded, parts: list[Part], rows: dict[str, int], lengths: dict[str, int], shuffle: bool, before: str
) -> None:
    """``train.yaml``: loader, curriculum and durations, with ``choose``; ``streams.yaml``: the same streams by ``proportion``."""
    manifest, use = made.sources.manifest, made.encoder
    datasets, proportions, durations = {}, {}, {}
    for stage, found in by_stage(parts).items():
        share = shares(found)
        local = {p.source: f"{before}{p.stem}" for p in found}
        chosen = {
            p.source: {"local": local[p.source], **({"choose": rows[p.stem]} if use else {"proportion": share[p.source]})} for p in found
        }
        datasets[stage] = {
            "streams": chosen,
            "max_seq_len": lengths[stage],
            "shuffle": shuffle,
            "shuffle_seed": manifest.seed,
            **({"eos_token_id": use.end} if use and use.end is not None else {}),
        }
        proportions[stage] = {p.source: {"local": local[p.source], "proportion": share[p.source]} for p in found}
        durations[stage] = f"{int(sum(p.tokens for p in found))}tok"
    first, *later = datasets
    said: dict[str, Any] = {
        "max_duration": f"{sum(int(d.removesuffix('tok')) for d in durations.values())}tok",
        "train_loader": {"name": "text", "dataset": datasets[first], "drop_last": False, "num_workers": 8},
    }
    if later:
        schedule = [{"duration": durations[name], "dataset": datasets[name]} for name in later]
        said["callbacks"] = {"curriculum_learning": {"duration": durations[first], "schedule": schedule}}
    (folder / "train.yaml").write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
    (folder / "streams.yaml").write_text(yaml.safe_dump(proportions, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _losses(made: Encoded, parts: list[Part], left: int, lengths: dict[str, int], shuffle: bool) -> Iterable[Loss]:
    found = token_losses(made, parts, left=left)
    stages = len(lengths)
    found["stages"] = Loss("stages", "exact", "one stage" if stages == 1 else f"{stages} datasets of the curriculum callback, by tokens")
    found["order"] = (
        Loss(
            "order",
            "dropped",
            "shuffle is on: the rows of all streams are mixed; shuffle=false keeps their order, one stream after another",
        )
        if shuffle
        else Loss("order", "exact", "shuffle is off: one stream is read after another, rows in the order of the selection")
    )
    said = ", ".join(str(n) for n in dict.fromkeys(lengths.values()))
    if made.encoder is None:
        found["order"] = Loss("order", "dropped", "recipe only: no tokenizer was named")
    found["sequence_length"] = Loss("sequence_length", "exact", f"rows of {said} tokens")
    if left:
        found["sequence_length"] = Loss(
            "sequence_length",
            "approximated",
            f"rows of {said} tokens; {left:,} tokens at the ends of sources fill no row and are left out",
            left,
        )
    return found.values()


def _recount(folder: Path) -> Iterator[Counted]:
    said, parts = read_record(folder)
    for part in parts:
        length = said["sequence_length"][part.stage]
        index = json.loads((folder / part.stem / "index.json").read_text(encoding="utf-8"))
        for shard in index["shards"]:
            path = inside(folder, f"{part.stem}/{shard['raw_data']['basename']}")
            with path.open("rb") as file:
                count = int(np.frombuffer(file.read(4), np.uint32)[0])
                offsets = np.frombuffer(file.read(4 * (count + 1)), np.uint32)
            if count != shard["samples"] or int(offsets[-1]) != path.stat().st_size != shard["raw_data"]["bytes"]:
                raise ValueError(f"{path.name} of {part.stem} is not as index.json says")
        rows = sum(shard["samples"] for shard in index["shards"])
        yield Counted(part.stage, part.source, None, rows * length, rows)
