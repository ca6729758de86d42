"""LLaMA-Factory: ``dataset_info.json`` and a configuration a stage, over Parquet of exactly the chosen documents.

Its probabilities are those of documents: a source of weight w in tokens is drawn with p = (w / mean tokens a document) / sum, which
over files that hold the repeats is its share of the rows. Joined (``concat``) every row comes once: the mix is exact without them, and
``num_samples`` is not needed.

Source: LLaMA-Factory 0.9.5, ``data/parser.py``, ``data/loader.py`` and ``data/data_utils.py`` (``merge_dataset``), ``train/pt/trainer.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from explorer.errors import ExportError
from explorer.exporters.base import Loss, exporter, inside
from explorer.exporters.ordered import losses, open_sources, write_sources
from explorer.exporters.premixed import losses_mixed, write_premixed
from explorer.exporters.start import stage_file, whole_numbers, write_start
from explorer.manifest.model import Manifest

STRATEGIES = ("concat", "interleave_under", "interleave_over")


@exporter(
    "llamafactory", about="LLaMA-Factory dataset_info.json and a pretraining configuration a stage, over Parquet of the chosen documents"
)
def llamafactory(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    shuffle: bool = True,
    mix_strategy: str = "concat",
    sequence_length: int | None = None,
    rows_per_file: int | None = None,
) -> Iterable[Loss]:
    """Write ``dataset_info.json``, ``llamafactory.yaml`` and Parquet; several stages have ``llamafactory-<stage>.yaml`` and a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        shuffle: whether the trainer shuffles, as it is used to. Without it one mixed sequence is written, and read in order.
        mix_strategy: ``concat`` reads every document once. ``interleave_under`` draws sources by probability until the first is used
            up, ``interleave_over`` until all are, the others repeated.
        sequence_length: tokens a sequence; None: the manifest's.
        rows_per_file: None: files of about 256 MB of uncompressed text.

    """
    whole_numbers(sequence_length=sequence_length)
    if mix_strategy not in STRATEGIES:
        raise ExportError(f"mix_strategy is {mix_strategy!r}. Strategies: {', '.join(STRATEGIES)}. Choose one.")
    if mix_strategy != "concat" and not shuffle:
        raise ExportError(
            f"mix_strategy {mix_strategy!r} draws sources by chance; without shuffle the order is fixed. Leave out one of them."
        )
    lengths = {stage.name: sequence_length or stage.sequence_length or manifest.sequence_length for stage in manifest.stages}
    sources = open_sources(manifest, root, blank=True)
    if shuffle:
        parts = {stage.name: write_sources(sources, stage, folder, rows_per_file=rows_per_file) for stage in manifest.stages}
        files = {name: [file for part in of for file in part.files] for name, of in parts.items()}
        found = losses(manifest, [part for of in parts.values() for part in of])
    else:
        mixed = [write_premixed(sources, stage, folder, rows_per_file=rows_per_file) for stage in manifest.stages]
        files = {stage.stage: list(stage.files) for stage in mixed}
        found = losses_mixed(manifest, mixed)
    info: dict[str, Any] = {}
    commands = []
    for stage, names in files.items():
        rows = {_dataset(name): pq.read_metadata(folder / name).num_rows for name in names}
        info |= {_dataset(name): {"file_name": name, "columns": {"prompt": "text"}} for name in names}
        said = _configuration(rows, mix_strategy, shuffle, lengths[stage], manifest.seed)
        file = stage_file(manifest, "llamafactory", stage)
        inside(folder, file).write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
        commands.append(f"llamafactory-cli train {file} model_name_or_path=MODEL template=TEMPLATE output_dir=DIR")
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_start(folder, "llamafactory", commands, "Each stage starts from the model that the one before wrote." if len(files) > 1 else "")
    if shuffle:
        found["order"] = Loss("order", "dropped", "the trainer shuffles; with shuffle=false one mixed sequence is read in order")
    if mix_strategy != "concat":
        reason = f"sources drawn by probability with seed {manifest.seed}: about one in the square root of the documents drawn off"
        drawn = min(sum(pq.read_metadata(folder / name).num_rows for name in names) for names in files.values())
        found["weight"] = Loss("weight", "approximated", reason, drawn**-0.5 / 2)
        how = "ends with the first source used up" if mix_strategy == "interleave_under" else "repeats sources until all are used up"
        found["epochs"] = Loss("epochs", "dropped", f"{mix_strategy} {how}")
    if len(files) > 1:
        found["stages"] = Loss("stages", "exact", f"{len(files)} configurations, one a stage: run them in order")
    if None not in lengths.values():
        found["sequence_length"] = Loss(
            "sequence_length", "exact", "cutoff_len, one more than the length: LLaMA-Factory takes one off where it packs"
        )
    return found.values()


def _dataset(file: str) -> str:
    """Name of a file in ``dataset_info.json``: a directory would be read in no certain order, so each file is a dataset."""
    return file.removesuffix(".parquet").replace("/", "-")


def _configuration(rows: Mapping[str, int], strategy: str, shuffle: bool, length: int | None, seed: int) -> dict[str, Any]:
    said: dict[str, Any] = {
        "stage": "pt",
        "do_train": True,
        "dataset_dir": ".",
        "dataset": ",".join(rows),
        "mix_strategy": strategy,
        "packing": True,
        "num_train_epochs": 1.0,
        "seed": seed,
    }
    if strategy != "concat" and len(rows) > 1:
        total = sum(rows.values())
        said["interleave_probs"] = ",".join(repr(count / total) for count in rows.values())
    if not shuffle:
        said["disable_shuffling"] = True
    return said | ({"cutoff_len": length + 1} if length else {})  # packing takes one off, data_args.py
