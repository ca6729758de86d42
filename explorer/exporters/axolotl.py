"""Axolotl: a configuration a stage over one mixed sequence of Parquet, for axolotl weights nothing and reads one pretraining dataset.

Documents go in as ``completion`` rows: cut into sequences, nothing dropped, in order. Its streaming reader (``pretraining_dataset``)
takes the first list entry only and cuts each document off at the sequence length; it is used when asked for.

Source: axolotl 0.19.0, ``utils/data/sft.py``, ``utils/data/streaming.py``, ``prompt_strategies/completion.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

from explorer.errors import ExportError
from explorer.exporters.base import Loss, exporter, inside
from explorer.exporters.documents import selection_path
from explorer.exporters.ordered import open_sources
from explorer.exporters.premixed import Premixed, losses_mixed, write_premixed
from explorer.exporters.start import stage_file, whole_numbers, write_start
from explorer.manifest.model import Manifest, Stage

SPECIAL = 2  # end and padding, for which the streaming reader leaves room
MOST_PIECES = 64  # sequences that the completion reader cuts a document into


@exporter("axolotl", about="Axolotl configuration over one mixed sequence of Parquet a stage, order kept")
def axolotl(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    sequence_length: int | None = None,
    streaming: bool = False,
    rows_per_file: int | None = None,
) -> Iterable[Loss]:
    """Write ``axolotl.yaml`` and ``mix-00000.parquet`` …; several stages have ``axolotl-<stage>.yaml`` and a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        sequence_length: tokens a sequence; None: the manifest's.
        streaming: read while training instead of tokenizing first; documents longer than a sequence are then cut off.
        rows_per_file: None: files of about 256 MB of uncompressed text.

    """
    whole_numbers(sequence_length=sequence_length)
    lengths = {stage.name: sequence_length or stage.sequence_length or manifest.sequence_length for stage in manifest.stages}
    if streaming and None in lengths.values():
        raise ExportError("Streaming cuts documents at the sequence length, and the manifest has none. Give sequence_length=TOKENS.")
    sources = open_sources(manifest, root, blank=True)
    stages = [write_premixed(sources, stage, folder, rows_per_file=rows_per_file) for stage in manifest.stages]
    commands = []
    for stage in stages:
        name = stage_file(manifest, "axolotl", stage.stage)
        said = _configuration(manifest, stage, lengths[stage.stage], streaming)
        inside(folder, name).write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
        commands.append(f"axolotl train {name}")
    write_start(
        folder,
        "axolotl",
        commands,
        "Add base_model, output_dir and the rest of the run to each configuration.",
        "Streaming needs max_steps in the configuration." if streaming else "",
        "Each stage starts from the checkpoint of the one before." if len(stages) > 1 else "",
    )
    return _losses(manifest, stages, lengths, streaming)


def _configuration(manifest: Manifest, stage: Premixed, length: int | None, streaming: bool) -> dict[str, Any]:
    files = list(stage.files)
    said: dict[str, Any] = {}
    if streaming:
        pattern = f"{Path(files[0]).parent.as_posix()}/mix-*.parquet" if len(files) > 1 else files[0]
        said["pretraining_dataset"] = [
            {"path": "parquet", "data_files": pattern, "split": "train", "text_column": "text", "type": "pretrain"}
        ]
        said |= {"streaming": True, "pretraining_sample_concatenation": True, "sample_packing": False}
    else:
        # A local folder: "parquet" as a path is looked for on the hub first.
        local = {"path": ".", "ds_type": "parquet", "data_files": files, "split": "train"}
        said["datasets"] = [{**local, "type": "completion", "field": "text"}]
        said |= {"curriculum_sampling": True, "sample_packing": True, "sample_packing_sequentially": True, "num_epochs": 1}
    said |= {"shuffle_merged_datasets": False, "seed": manifest.seed}
    return said | ({"sequence_len": length} if length else {})


def _losses(manifest: Manifest, stages: list[Premixed], lengths: dict[str, int | None], streaming: bool) -> Iterable[Loss]:
    found = losses_mixed(manifest, stages)
    if len(stages) > 1:
        found["stages"] = Loss("stages", "exact", f"{len(stages)} configurations, one a stage: run them in order")
    if None not in lengths.values():
        found["sequence_length"] = Loss("sequence_length", "exact", "sequence_len")
    cut = sum(
        _longer(manifest, stage, length - SPECIAL if streaming else length * MOST_PIECES)
        for stage in manifest.stages
        if (length := lengths[stage.name])
    )
    if cut:
        where = "sequence_len - 2" if streaming else f"{MOST_PIECES} times sequence_len"
        reason = f"axolotl cuts a document off at {where} tokens; {cut:,} emitted documents are longer by the manifest's count"
        found["selection"] = Loss("selection", "approximated", reason, cut)
    if streaming:
        found["epochs"] = Loss("epochs", "dropped", "axolotl stops at max_steps, which is left to you")
    return found.values()


def _longer(manifest: Manifest, stage: Stage, tokens: int) -> int:
    """Emitted documents of more than so many tokens."""
    count = 0
    for component in stage.components:
        table = pq.read_table(selection_path(manifest, component), columns=["tokens", "repeat"], partitioning=None)
        count += int(np.sum(table["repeat"].to_numpy()[table["tokens"].to_numpy() > tokens]))
    return count
