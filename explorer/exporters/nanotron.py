"""nanotron: ``data_stages`` that start at a step, and folders of ids as datatrove writes them (``.ds``, ``.ds.index``, ``.ds.metadata``).

nanotron reads each folder in order, sequence after sequence of ``sequence_length`` + 1 ids, and starts again where it ends. Every stage has
folders of its own: resuming in the folder of an earlier stage would depend on how that one was rounded to steps.

Source: ``src/nanotron/config/config.py`` (DatasetStageArgs, NanosetDatasetsArgs) and ``data/tokenized_bytes.py`` of nanotron 2411b02.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
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
    count_raw,
    encoded,
    folder_prefix,
    length_of,
    read_record,
    shares,
    token_losses,
    write_raw,
    write_record,
)
from explorer.exporters.start import whole_number, write_start
from explorer.manifest.model import Manifest


@exporter(
    "nanotron",
    about="nanotron: data_stages by step and folders of datatrove token files, read in the order of the selection",
    recount=lambda folder: _recount(folder),
)
def nanotron(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    tokenizer: str | None = None,
    eos: str | int | None = "auto",
    sequence_length: int | None = None,
    batch_size: int | None = None,
    at: str = "",
    cache: str | None = None,
) -> Iterable[Loss]:
    """Write ``<source>/000_<source>.ds`` with its index and metadata, and ``data_stages.yaml``; stages in a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        tokenizer: whose ids are written, and which nanotron loads by this name; None: the manifest's; where it has none either, only the
            recipe is written.
        eos: id or text of the token that ends a document; ``auto`` finds it, ``none`` appends nothing.
        sequence_length: tokens of a sequence; None: the stage's or the manifest's.
        batch_size: sequences of a step over all workers, which turns tokens into steps.
        at: folder that the trainer finds the files in; '' for paths relative to it.
        cache: folder in which encoded parts are kept, so that a run that was stopped goes on.

    """
    lengths = {stage.name: length_of(manifest, stage, sequence_length) for stage in manifest.stages}
    batch = whole_number("batch_size", batch_size, "nanotron's stages start at a step of so many sequences")
    with encoded(manifest, folder, root=root, tokenizer=tokenizer, eos=eos, cache=cache) as made:
        parts = []
        for stage, component, stem in components(manifest):
            name = f"{stem}/000_{component.source}.ds"
            tokens = component.resolved.tokens
            if made.encoder is not None:
                path = inside(folder, name)
                tokens = write_raw(path, made.ids(component), path.with_name(f"{path.name}.index"))
                about = f"{made.encoder.name}|{made.encoder.dtype.itemsize}\n{tokens}\n{_human(tokens)}\n"
                path.with_name(f"{path.name}.metadata").write_text(about, encoding="utf-8")
            parts.append(Part(stage.name, component.source, name.removesuffix(".ds"), tokens, component.resolved.documents))
        steps = {name: _steps(name, found, lengths[name], batch) for name, found in by_stage(parts).items()}
        _write_stages(folder, made, parts, steps, lengths, folder_prefix(at))
        write_record(folder, made, parts, sequence_length=lengths, batch_size=batch, steps=steps)
        write_start(
            folder,
            "nanotron",
            ["python run_train.py --config-file YOUR.yaml   # with the list data_stages of data_stages.yaml in it"],
            f"Set tokens.train_steps to {sum(steps.values())} and the batch to {batch} sequences over all workers (micro_batch_size × batch_accumulation_per_replica × dp).",
            "A folder that runs out starts again without a word, so more steps than these repeat documents.",
            at=at,
        )
        return _losses(made, parts, steps, lengths, batch)


def _human(tokens: float) -> str:
    for unit in ("", "K", "M", "B"):
        if tokens < 1000:
            return f"{tokens:.2f} {unit}".strip()
        tokens /= 1000
    return f"{tokens:.2f} T"


def _steps(name: str, parts: list[Part], length: int, batch: int) -> int:
    """Whole steps that a stage's sequences fill."""
    steps = sum(int(p.tokens) // (length + 1) for p in parts) // batch
    if not steps:
        raise ExportError(
            f"Stage {name!r} has fewer than {batch:,} sequences of {length + 1:,} tokens, so less than one step. nanotron could not start it. Set a smaller batch_size or sequence_length."
        )
    return steps


def _write_stages(folder: Path, made: Encoded, parts: list[Part], steps: dict[str, int], lengths: dict[str, int], before: str) -> None:
    manifest, use = made.sources.manifest, made.encoder
    said: list[dict[str, Any]] = []
    start = 1
    for name, found in by_stage(parts).items():
        dataset: dict[str, Any] = {
            "dataset_folder": [f"{before}{p.stem.rpartition('/')[0]}" for p in found],
            # Shares of whole sequences: no folder is then asked for one more than it has, which would be its first one again.
            "dataset_weights": list(shares([replace(p, tokens=p.tokens // (lengths[name] + 1)) for p in found]).values()),
            "shuffle_files": False,
        }
        if use is not None:
            dataset |= {"tokenizer_name": use.name, "vocab_size": use.vocabulary, "token_size_in_bytes": use.dtype.itemsize}
        data = {"seed": manifest.seed, "num_loading_workers": 1, "dataset": dataset}
        said.append({"name": name, "start_training_step": start, "data": data, "sequence_length": lengths[name]})
        start += steps[name]
    (folder / "data_stages.yaml").write_text(yaml.safe_dump({"data_stages": said}, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _losses(made: Encoded, parts: list[Part], steps: dict[str, int], lengths: dict[str, int], batch: int) -> Iterable[Loss]:
    found = token_losses(made, parts)
    said = ", ".join(str(n) for n in dict.fromkeys(lengths.values()))
    left = sum(int(p.tokens) for p in parts) - sum(steps[s] * batch * (lengths[s] + 1) for s in steps)
    found["stages"] = Loss("stages", "exact", f"each starts at its step; {sum(steps.values()):,} steps of {batch:,} sequences")
    if made.encoder is not None:
        found["order"] = Loss("order", "exact", "each source is read in the order of the selection, sources mixed by weight")
        found["sequence_length"] = Loss("sequence_length", "exact", f"{said} tokens")
        if left:
            found["sequence_length"] = Loss(
                "sequence_length", "approximated", f"{said} tokens; {left:,} tokens that fill no sequence or step are left out", left
            )
    return found.values()


def _recount(folder: Path) -> Iterator[Counted]:
    said, parts = read_record(folder)
    for part in parts:
        ends = np.memmap(folder / f"{part.stem}.ds.index", np.uint64, "r")
        counted = count_raw(folder, part, ".ds", said["dtype"], documents=len(ends), sequence=said["sequence_length"][part.stage] + 1)
        if int(ends[-1]) != counted.tokens:
            raise ValueError(f"{part.stem}.ds.index ends at id {int(ends[-1]):,}, the file holds {counted.tokens:,}")
        yield counted
