"""MaxText: Parquet of one mixed sequence a stage, and the settings with which its grain pipeline reads it in order.

MaxText's mixture file (``grain_train_mixture_config_path``) is honoured for ArrayRecord only: with ``grain_file_type: parquet`` it is
passed over without a word. So the sequence is mixed here.

Source: ``src/maxtext/input_pipeline/grain_data_processing.py`` and ``configs/base.yml`` of AI-Hypercomputer/maxtext, commit e591f30.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from explorer.exporters.base import Loss, exporter, inside
from explorer.exporters.ordered import open_sources
from explorer.exporters.premixed import Premixed, losses_mixed, write_premixed
from explorer.exporters.start import stage_file, whole_numbers, write_start
from explorer.manifest.model import Manifest


@exporter("maxtext", about="MaxText settings for its grain pipeline over one mixed sequence of Parquet a stage")
def maxtext(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    sequence_length: int | None = None,
    rows_per_file: int | None = None,
) -> Iterable[Loss]:
    """Write ``maxtext.yml`` and ``mix-00000.parquet`` …; several stages have ``maxtext-<stage>.yml`` and a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        sequence_length: tokens a sequence; None: the manifest's.
        rows_per_file: None: files of about 256 MB of uncompressed text. With more hosts than files, hosts share a file's rows.

    """
    whole_numbers(sequence_length=sequence_length)
    lengths = {stage.name: sequence_length or stage.sequence_length or manifest.sequence_length for stage in manifest.stages}
    sources = open_sources(manifest, root, blank=True)
    stages = [write_premixed(sources, stage, folder, rows_per_file=rows_per_file) for stage in manifest.stages]
    commands = []
    for stage in stages:
        name = stage_file(manifest, "maxtext", stage.stage, ".yml")
        said = _settings(stage, lengths[stage.stage])
        inside(folder, name).write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
        commands.append(
            f"python -m maxtext.trainers.pre_train.train {name} run_name=NAME tokenizer_path=TOKENIZER base_output_directory=DIR"
        )
    write_start(
        folder,
        "maxtext",
        commands,
        "base_config names MaxText's base.yml: put the path of yours there.",
        "Leave grain_train_mixture_config_path empty: MaxText passes over it for Parquet.",
        "Each stage continues from the checkpoint of the one before." if len(stages) > 1 else "",
    )
    found = losses_mixed(manifest, stages)
    if any(len(stage.files) > 1 for stage in stages):
        reason = "on one host; several hosts read different files, each of them mixed in the same shares"
        found["order"] = Loss("order", "exact", f"{found['order'].reason}, {reason}")
    found["epochs"] = Loss("epochs", "exact", "num_epoch: 1 over files that hold every pass; MaxText also stops at its own steps")
    if len(stages) > 1:
        found["stages"] = Loss("stages", "exact", f"{len(stages)} settings, one a stage: run them in order")
    if None not in lengths.values():
        found["sequence_length"] = Loss("sequence_length", "exact", "max_target_length")
    return found.values()


def _settings(stage: Premixed, length: int | None) -> dict[str, Any]:
    pattern = f"{Path(stage.files[0]).parent.as_posix()}/mix-*.parquet".removeprefix("./")
    said: dict[str, Any] = {
        "base_config": "base.yml",
        "dataset_type": "grain",
        "grain_file_type": "parquet",
        "grain_train_files": pattern,
        "grain_worker_count": 1,
        "grain_num_threads": 1,  # files one after another, not in turns
        "enable_data_shuffling": False,
        "num_epoch": 1,
        "train_data_columns": ["text"],
        "tokenize_train_data": True,
        "packing": True,
        "grain_packing_type": "concat_then_split",  # first_fit leaves the order and pads
    }
    return said | ({"max_target_length": length} if length else {})
