"""OLMo-core: a source mixture YAML a stage and headerless ``.npy`` files, one large file a source.

A ``.npy`` of OLMo-core is the raw ids (``ndarray.tofile``), not what ``numpy.save`` writes, whose header would be read as tokens. Its
instances never cross files and the rest of a file is left out, so files are few and large. OLMo-core refuses keys it does not know:
what belongs to the run stands in ``run.yaml``.

Source: ``src/olmo_core/data/source_mixture.py`` of OLMo-core 3.0.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

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
    prefix,
    read_record,
    shares,
    token_losses,
    write_raw,
    write_record,
)
from explorer.exporters.start import whole_number, write_start
from explorer.manifest.model import Manifest, Stage


@exporter(
    "olmo-core",
    about="OLMo-core: a source mixture YAML for each stage and raw .npy files of token ids",
    recount=lambda folder: _recount(folder),
)
def olmo_core(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    tokenizer: str | None = None,
    eos: str | int | None = "auto",
    sequence_length: int | None = None,
    global_batch_size: int | None = None,
    at: str = "",
    cache: str | None = None,
) -> Iterable[Loss]:
    """Write ``<source>.npy``, ``mix.yaml`` (a SourceMixtureList) and ``run.yaml`` (what goes beside it); stages in a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        tokenizer: whose ids are written; None: the manifest's; where it has none either, only the recipe is written.
        eos: id or text of the token that ends a document; ``auto`` finds it, ``none`` appends nothing.
        sequence_length: tokens of an instance; None: the stage's or the manifest's.
        global_batch_size: in tokens, as OLMo-core counts it; None: one sequence, so that no token is left out.
        at: folder that the trainer finds the files in; '' for paths relative to it.
        cache: folder in which encoded parts are kept, so that a run that was stopped goes on.

    """
    runs = {stage.name: _run(manifest, stage, sequence_length, global_batch_size) for stage in manifest.stages}
    with encoded(manifest, folder, root=root, tokenizer=tokenizer, eos=eos, cache=cache) as made:
        parts = []
        for stage, component, stem in components(manifest):
            tokens = component.resolved.tokens
            if made.encoder is not None:
                tokens = write_raw(inside(folder, f"{stem}.npy"), made.ids(component))
            parts.append(Part(stage.name, component.source, stem, tokens, component.resolved.documents))
        written = by_stage(parts)
        commands = []
        for stage in manifest.stages:
            if stage.name in written:
                where = prefix(manifest, stage)
                requested = _write_stage(folder / where, written[stage.name], runs[stage.name], made, folder_prefix(at))
                commands.append(
                    f"SourceMixtureList.from_yaml({f'{folder_prefix(at)}{where}mix.yaml'!r})   # {stage.name}: requested_tokens={requested}, and the rest of run.yaml"
                )
        write_record(folder, made, parts, runs=runs)
        write_start(
            folder,
            "olmo-core",
            commands,
            "Give the list to SourceMixtureDatasetConfig(source_list=…, requested_tokens=…, global_batch_size=…, seed=…) and that to",
            "NumpyFSLDatasetConfig(source_mixture_config=…, sequence_length=…, dtype=…), with the values of run.yaml.",
            "Each stage is a run of its own that loads the checkpoint of the one before." if len(commands) > 1 else "",
            at=at,
        )
        return _losses(made, parts, runs)


def _run(manifest: Manifest, stage: Stage, length: int | None, batch: int | None) -> dict[str, Any]:
    length = length_of(manifest, stage, length)
    batch = whole_number("global_batch_size", length if batch is None else batch, "it is the tokens of a step")
    if batch % length:
        raise ExportError(
            f"global_batch_size is {batch:,}, no multiple of the sequence_length {length:,}. OLMo-core counts it in tokens. Set a multiple."
        )
    return {"sequence_length": length, "global_batch_size": batch, "seed": manifest.seed}


def _write_stage(where: Path, parts: list[Part], run: dict[str, Any], made: Encoded, before: str) -> int:
    """``mix.yaml`` and ``run.yaml`` of a stage; the tokens that it can request."""
    where.mkdir(exist_ok=True)
    available = sum(int(p.tokens) for p in parts)
    # What is left over at the end of each file is no instance, so that many are never there.
    instances = sum(int(p.tokens) // run["sequence_length"] for p in parts)
    requested = min(available, instances * run["sequence_length"]) // run["global_batch_size"] * run["global_batch_size"]
    if made.encoder is not None and not requested:
        raise ExportError(
            f"Stage {parts[0].stage!r} has {available:,} tokens, less than one batch of {run['global_batch_size']:,}. OLMo-core would have nothing to train on. Set a smaller global_batch_size or sequence_length."
        )
    ratio = shares(parts)
    sources = [
        {
            "source_name": p.source,
            "target_ratio": ratio[p.source],
            "paths": [f"{before}{p.stem}.npy"],
            "max_repetition_ratio": 1.0,
            "max_source_fraction": 1.0,
        }
        for p in parts
    ]
    run.update({"requested_tokens": requested})
    if made.encoder is not None:
        run.update({"dtype": made.encoder.dtype.name, "vocab_size": made.encoder.vocabulary, "eos_token_id": made.encoder.end})
    (where / "mix.yaml").write_text(yaml.safe_dump({"sources": sources}, sort_keys=False, allow_unicode=True), encoding="utf-8")
    (where / "run.yaml").write_text(yaml.safe_dump(run, sort_keys=True), encoding="utf-8")
    return int(requested)


def _losses(made: Encoded, parts: list[Part], runs: dict[str, dict[str, Any]]) -> Iterable[Loss]:
    found = token_losses(made, parts)
    manifest = made.sources.manifest
    found["order"] = Loss("order", "dropped", "the files are in the order of the selection, but OLMo-core shuffles instances")
    found["stages"] = Loss("stages", "exact", "one stage" if len(manifest.stages) == 1 else "one mixture a stage; each is a run of its own")
    lengths = ", ".join(str(n) for n in dict.fromkeys(run["sequence_length"] for run in runs.values()))
    if made.encoder is None:
        found["sequence_length"] = Loss("sequence_length", "exact", f"{lengths} tokens")
        return found.values()
    left = sum(int(p.tokens) for p in parts) - sum(run.get("requested_tokens", 0) for run in runs.values())
    found["sequence_length"] = (
        Loss("sequence_length", "exact", f"{lengths} tokens")
        if not left
        else Loss(
            "sequence_length", "approximated", f"{lengths} tokens; {left:,} tokens that fill no instance or batch are not requested", left
        )
    )
    return found.values()


def _recount(folder: Path) -> Iterator[Counted]:
    said, parts = read_record(folder)
    for part in parts:
        yield count_raw(folder, part, ".npy", said["dtype"], sequence=said["runs"][part.stage]["sequence_length"])
