"""Levanter: Parquet of exactly the chosen documents, one component a source and stage, with weights by training step.

Weights are shares of training sequences. The mixture is deterministic: every block of ``mixture_block_size`` sequences holds the
same number of each component, weight × block rounded down, the rest to the largest; a weight below 1 / block is no sequence at all.

Source: ``levanter/data/mixture.py`` (``MixtureDataset``) and ``levanter/data/text/datasets.py`` (``LmDataConfig``) of marin-levanter 0.2.20.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from explorer.errors import ExportError
from explorer.exporters.base import Loss, exporter
from explorer.exporters.ordered import Written, losses, open_sources, write_sources
from explorer.exporters.start import whole_numbers, write_start
from explorer.manifest.model import Manifest

BLOCK = 2048
MOST_BLOCK = (1 << 16) - 1  # levanter packs a place in a block into 16 bits


@dataclass(frozen=True)
class Step:
    """A stage in training steps: ``start``, ``steps`` (None: not known), and its ``weights`` by source."""

    start: int
    steps: int | None
    weights: Mapping[str, float]


@exporter("levanter", about="Levanter configuration with weights by training step, over Parquet of exactly the chosen documents")
def levanter(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
    sequence_length: int | None = None,
    tokenizer: str | None = None,
    block_size: int | None = None,
    shuffle: bool = False,
    rows_per_file: int | None = None,
) -> Iterable[Loss]:
    """Write ``levanter.yaml`` and ``<source>-00000.parquet`` …; several stages lie in a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        batch_size: sequences a training step; with the length it turns tokens into steps. Several stages need it.
        sequence_length: tokens a sequence in the whole run; None: that of all stages, or where they differ the manifest's.
        tokenizer: the trainer's, a name or path; None: the one the manifest counted with.
        block_size: sequences in which the mix is exact; None: 2048, or what fits the stages.
        shuffle: whether levanter shuffles each source; without it sequences come in the order of the files.
        rows_per_file: None: files of about 256 MB of uncompressed text.

    """
    lengths = list(dict.fromkeys(stage.sequence_length or manifest.sequence_length for stage in manifest.stages))
    length = sequence_length if sequence_length is not None else lengths[0] if len(lengths) == 1 else manifest.sequence_length
    whole_numbers(batch_size=batch_size, sequence_length=length, block_size=block_size)
    several = len(manifest.stages) > 1
    if several and (batch_size is None or length is None):
        raise ExportError(
            f"The manifest has {len(manifest.stages)} stages. Levanter changes weights by training step. Give batch_size=SEQUENCES and, where the manifest has none, sequence_length=TOKENS."
        )
    weights = {s.name: {c.source: c.resolved.weight or 0.0 for c in s.components if c.resolved.documents} for s in manifest.stages}
    tokens = [stage.tokens for stage in manifest.stages]
    _refuse_empty(weights)
    block, plan = _plan(weights, tokens, batch_size, length, block_size)
    sources = open_sources(manifest, root, blank=True)
    written = [part for stage in manifest.stages for part in write_sources(sources, stage, folder, rows_per_file=rows_per_file)]
    named = tokenizer or manifest.tokenizer.model
    said = _configuration(manifest, written, plan, block, named, batch_size, length, shuffle)
    (folder / "levanter.yaml").write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
    write_start(
        folder,
        "levanter",
        ["python -m levanter.main.train_lm --config_path levanter.yaml" + ("" if named else " --data.tokenizer TOKENIZER")],
        "Model, optimizer and checkpoints are yours: add them to levanter.yaml or to the command.",
        "" if named else "Levanter takes gpt2's tokenizer where none is named.",
        "Levanter keeps the tokens in cache/, under the manifest's hash.",
    )
    found = _losses(
        manifest, written, plan, block, batch_size, None if batch_size is None or length is None else batch_size * length, named, shuffle
    )
    if length is not None:
        asked = ", ".join(str(of or "none") for of in lengths)
        found["sequence_length"] = (
            Loss("sequence_length", "exact", "train_seq_len")
            if len(lengths) == 1
            else Loss("sequence_length", "dropped", f"levanter has one length for the whole run: {length}; the stages ask for {asked}")
        )
    return found.values()


def realised(weights: Mapping[str, float], block: int) -> dict[str, int]:
    """Sequences of each component in a block, as levanter counts them from these weights."""
    total = sum(weights.values())
    counts = {name: int(weight / total * block) for name, weight in weights.items()}
    counts[max(counts, key=lambda name: counts[name])] += block - sum(counts.values())
    return counts


def _plan(
    weights: Mapping[str, Mapping[str, float]], tokens: Sequence[float], batch: int | None, length: int | None, block: int | None
) -> tuple[int, list[Step]]:
    """The block and the stages in steps; every stage begins where a block does."""
    steps = [] if batch is None or length is None else [max(1, round(n / (batch * length))) for n in tokens]
    if block is None:
        block = BLOCK if not steps or batch is None else batch * _steps_a_block(weights, steps, batch)
    if block > MOST_BLOCK:
        raise ExportError(f"block_size is {block:,}. Levanter takes {MOST_BLOCK:,} at most. Lower block_size or batch_size.")
    a_block = 1
    if len(steps) > 1 and batch is not None:
        a_block, rest = divmod(block, batch)
        if rest:
            raise ExportError(
                f"block_size is {block}, batch_size {batch}. A stage begins with a step and with a block. Make block_size a multiple of {batch}."
            )
    ends = _ends(steps, a_block) if steps else [0] * len(tokens)
    plan = []
    for start, end, (stage, shares) in zip([0, *ends], ends, weights.items(), strict=False):
        _check(stage, shares, block, batch if len(steps) > 1 and batch is not None else 1)
        plan.append(Step(start, end - start if steps else None, shares))
    return block, plan


def _ends(steps: Sequence[int], a_block: int) -> list[int]:
    """Last step of each stage, all but the last where a block of ``a_block`` steps ends."""
    ends: list[int] = []
    for number, end in enumerate(itertools.accumulate(steps)):
        before = ends[-1] if ends else 0
        last = number == len(steps) - 1
        ends.append(max(before + 1, end) if last else max(before + a_block, round(end / a_block) * a_block))
    return ends


def _steps_a_block(weights: Mapping[str, Mapping[str, float]], steps: Sequence[int], batch: int) -> int:
    """How many steps make a block: where rounding weights to it and starts of stages to it, together, moves the mix least."""

    def moved(a_block: int) -> float:
        ends = _ends(steps, a_block)
        late = max(abs((end - start) / asked - 1) for start, end, asked in zip([0, *ends], ends, steps, strict=False))
        block = batch * a_block
        lost = any(not count for shares in weights.values() for count in realised(shares, block).values())
        return late + max(_rounding(shares, block) for shares in weights.values()) + _unfinished(ends, a_block, batch) + lost

    return min(range(1, max(1, BLOCK // batch) + 1), key=moved)


def _unfinished(ends: Sequence[int], a_block: int, batch: int) -> float:
    """How far the last stage's shares may be off for its last, unfinished block, whose sequences come by chance (a standard error)."""
    start = ends[-2] if len(ends) > 1 else 0
    rest = (ends[-1] - start) % a_block * batch
    return float(0.5 * rest**0.5 / ((ends[-1] - start) * batch))


def _rounding(shares: Mapping[str, float], block: int) -> float:
    """How far the share of a component is from its weight, at most."""
    return max(abs(count / block - shares[source]) for source, count in realised(shares, block).items())


def _refuse_empty(weights: Mapping[str, Mapping[str, float]]) -> None:
    for stage, shares in weights.items():
        empty = next((source for source, share in shares.items() if not share), None)
        if empty is not None:
            raise ExportError(
                f"Source {empty!r} has no tokens in stage {stage!r}. Levanter weights by tokens and would not read it. Leave it out and mix again."
            )


def _check(stage: str, shares: Mapping[str, float], block: int, multiple: int) -> None:
    """Refuse a stage in which a source would come to no sequence at all; blocks are to be a ``multiple``."""
    lost = next((source for source, count in realised(shares, block).items() if not count), None)
    if lost is not None:
        enough = -(-(int(1 / shares[lost]) + 1) // multiple) * multiple
        larger = f"Give block_size={enough} or more, or mix" if enough <= MOST_BLOCK else f"A block has {MOST_BLOCK:,} at most. Mix"
        raise ExportError(
            f"Source {lost!r} has the weight {shares[lost]:.3g} in stage {stage!r}, less than one sequence in a block of {block:,}: levanter would leave it out. {larger} without the source."
        )


def _configuration(
    manifest: Manifest,
    written: Sequence[Written],
    plan: Sequence[Step],
    block: int,
    tokenizer: str | None,
    batch: int | None,
    length: int | None,
    shuffle: bool,
) -> dict[str, Any]:
    several = len(manifest.stages) > 1
    name = {(part.stage, part.source): f"{part.stage}-{part.source}" if several else part.source for part in written}
    components = {
        name[part.stage, part.source]: {
            "source": {"type": "url", "train_urls": list(part.files)},
            "format": {"type": "text", "text_key": "text"},
        }
        for part in written
    }
    weights = [
        [step.start, {name[stage.name, source]: weight for source, weight in step.weights.items()}]
        for stage, step in zip(manifest.stages, plan, strict=True)
    ]
    data: dict[str, Any] = {"tokenizer": tokenizer} if tokenizer else {}
    data |= {
        "cache_dir": f"cache/{manifest.hash[:12]}",
        "shuffle": shuffle,
        "components": components,
        "train_weights": weights if several else weights[0][1],
        "mixture_block_size": block,
        "stop_strategy": "restart",
    }
    said: dict[str, Any] = {"data": data}
    if batch is not None:
        said["trainer"] = {"train_batch_size": batch, "seed": manifest.seed}
        if plan[-1].steps is not None:
            said["trainer"]["num_train_steps"] = plan[-1].start + plan[-1].steps
    if length is not None:
        said["train_seq_len"] = length
    return said


def _losses(
    manifest: Manifest,
    written: Sequence[Written],
    plan: Sequence[Step],
    block: int,
    batch: int | None,
    tokens_a_step: int | None,
    tokenizer: str | None,
    shuffle: bool,
) -> dict[str, Loss]:
    found = losses(manifest, written)
    furthest = max(_rounding(step.weights, block) for step in plan)
    if batch is not None and plan[-1].steps is not None:
        furthest += _unfinished([step.start + (step.steps or 0) for step in plan], max(1, block // batch), batch)
    reason = f"shares of training sequences, rounded to a block of {block:,} and by chance in the last, unfinished one: furthest from the manifest's by about {furthest:.2%}"
    found["weight"] = Loss("weight", "approximated", reason, furthest) if furthest > 1e-9 else Loss("weight", "exact", reason)
    found["order"] = (
        Loss("order", "dropped", "levanter shuffles the sequences of each source (shuffle: true)")
        if shuffle
        else Loss("order", "exact", "sequences of a source come in the order of its files; sources take turns by chance inside a block")
    )
    if tokens_a_step is None:
        lost = "without batch_size and sequence_length the number of steps is left to the trainer, and levanter begins a source anew when it is read"
        found["epochs"] = Loss("epochs", "dropped", lost)
    else:
        moved = max(
            abs((step.steps or 0) * tokens_a_step / max(stage.tokens, 1.0) - 1) for step, stage in zip(plan, manifest.stages, strict=True)
        )
        reason = f"whole steps; furthest from a stage's tokens by {moved:.2%}. The trainer's tokens, ends of documents included, may differ from the manifest's; levanter begins a source anew when it is read"
        found["epochs"] = Loss("epochs", "approximated", reason, moved)
        if len(plan) > 1:
            starts = ", ".join(str(step.start) for step in plan)
            found["stages"] = Loss("stages", "exact", f"by training step: they begin at {starts}")
    if tokenizer:
        found["tokenizer"] = Loss("tokenizer", "exact", f"data.tokenizer is {tokenizer}")
    else:
        found["tokenizer"] = Loss("tokenizer", "dropped", "none is named: levanter takes gpt2's unless --data.tokenizer says another")
    return found
