"""A manifest's choice made again: the same filters, amounts, orders and seed, compared with its selection files row by row."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from explorer.corpus.corpus import Corpus
from explorer.corpus.files import Shard
from explorer.corpus.roles import Roles
from explorer.corpus.workspace import Workspace
from explorer.errors import ExplorerError
from explorer.manifest.model import Component, Manifest, Source, Stage
from explorer.mixture.counted import Counted, count_sources
from explorer.mixture.model import Mixture, SourcePlan
from explorer.mixture.plan import lay_out, plan
from explorer.mixture.stages import Ask
from explorer.mixture.tokens import count
from explorer.mixture.transforms import Transform
from explorer.rewrites.pairs import Pairs
from explorer.selection.filters import Filters
from explorer.selection.selection import Selection, select


def chosen_again(
    manifest: Manifest,
    shards: Mapping[str, list[Shard | None]],
    originals: Mapping[str, list[Shard | None]],
    workspace: str | os.PathLike[str] | Workspace | None,
) -> tuple[Literal["ok", "failed", "skipped"], str]:
    """Select, divide and order again, and compare with the selection files; skipped where the signals are not as they were.

    Args:
        manifest: with its folder.
        shards: files of each source as they are now, None where one is missing.
        originals: of rewrites, the same.
        workspace: where the signals are; None: the workspace the manifest lies in, else the default one.

    """
    space = workspace if isinstance(workspace, Workspace) else Workspace(workspace or _workspace_of(manifest))
    chosen: dict[str, Selection] = {}
    for source in manifest.sources:
        if None in shards[source.name] or None in originals.get(source.name, []):
            return ("skipped", f"{source.name} has files that are missing or have other rows")
        try:
            corpus = _opened(source, shards[source.name], originals.get(source.name, []), space)
        except ExplorerError as error:
            return ("skipped", f"{source.name} cannot be opened again: {error}")
        why = _unlike(corpus, source, manifest.tokenizer.name)
        if why:
            return ("skipped", f"{why}; looked in {space.path}")
        filters = Filters.from_dict({"filters": list(source.filters), "where": source.where, "sample": source.sample})
        try:
            chosen[source.name] = select(corpus, filters)
        except ExplorerError as error:
            return ("skipped", f"{source.name} cannot be selected again: {error}")
    mixture = Mixture(manifest.name, tuple(SourcePlan(n, max_epochs=_limit(manifest, n)) for n in chosen), seed=manifest.seed)
    try:
        counted = count_sources(chosen, manifest.tokenizer.name)
        stages, _ = plan(mixture, counted, [_ask(stage) for stage in manifest.stages])
    except ExplorerError as error:
        return ("failed", f"the same filters and amounts cannot be met any more: {error}")
    wrong = []
    for stage, planned in zip(manifest.stages, stages, strict=True):
        for component, part in zip(stage.components, planned.parts, strict=True):
            held = counted[component.source]
            problem = _unlike_selection(manifest, component, held, *lay_out(part, held, manifest.seed))
            if problem:
                wrong.append(f"{f'{stage.name}/' if len(stages) > 1 else ''}{component.source}: {problem}")
    return (
        "failed" if wrong else "ok",
        "; ".join(wrong) or "the same filters, amounts and seed choose the same documents in the same order",
    )


def _limit(manifest: Manifest, name: str) -> float | None:
    return next((c.max_epochs for stage in manifest.stages for c in stage.components if c.source == name), None)


def _ask(stage: Stage) -> Ask:
    """What was asked of a stage."""
    return Ask(
        stage.name,
        stage.share,
        stage.budget_tokens,
        {c.source: c.given for c in stage.components},
        {c.source: c.order for c in stage.components},
        {c.source: Transform(c.transform, c.transform_parameters) for c in stage.components},
    )


def _unlike_selection(manifest: Manifest, component: Component, source: Counted, repeat: np.ndarray, rank: np.ndarray) -> str:
    """How a selection file differs from what would be chosen now; empty when it does not."""
    path = (manifest.folder or Path()) / component.selection.path
    table = pq.read_table(path, columns=["file", "row", "repeat", "tokens"], partitioning=None)
    firsts = np.array([s.first_row for s in source.selection.corpus.shards], np.int64)
    was = firsts[table["file"].to_numpy()] + table["row"].to_numpy()
    used = np.flatnonzero(repeat)
    order = used[np.argsort(rank[used], kind="stable")]
    now = source.kept[order]
    if not np.array_equal(was, now):
        gone, new = len(np.setdiff1d(was, now)), len(np.setdiff1d(now, was))
        return f"{gone:,} documents would no longer be chosen, {new:,} others would, or their order differs"
    if not np.array_equal(table["repeat"].to_numpy(), repeat[order]):
        return "documents would be repeated otherwise"
    if not np.allclose(table["tokens"].to_numpy(), source.tokens[order], rtol=1e-9):
        return "documents have other numbers of tokens"
    return ""


def _opened(source: Source, shards: Sequence[Shard | None], originals: Sequence[Shard | None], space: Workspace) -> Corpus:
    """A source's documents as they were opened: a corpus, or pairs."""
    corpus = _corpus(shards, source.roles, space)
    if source.originals is None:
        return corpus
    theirs = _corpus(originals or shards, source.originals.roles, space)
    on = source.originals.on
    return Pairs(corpus.shards, (), corpus.roles, space, corpus.paths, originals=theirs, on=(on[0], on[1]) if on else None)


def _corpus(shards: Sequence[Shard | None], said: Mapping[str, str], space: Workspace) -> Corpus:
    files = tuple(s for s in shards if s is not None)
    roles = {f.name: said.get(f.name) for f in fields(Roles)}
    return Corpus(files, (), Roles(**roles), space, tuple(s.path for s in files))  # type: ignore[arg-type]  # text is there


def _workspace_of(manifest: Manifest) -> Path | None:
    folder = manifest.folder
    return folder.parent.parent if folder is not None and folder.parent.name == "manifests" else None


def _unlike(corpus: Corpus, source: Source, tokenizer: str | None) -> str:
    """Why the choice cannot be made again with this workspace; empty when it can."""
    coverage = corpus.coverage()
    for used in source.signals:
        sides = [s for s in coverage.sidecars if used.name in s.columns] if tokenizer else [s for s in [coverage.of(used.name)] if s]
        fitting = [s for s in sides if s.version == used.version and dict(s.parameters) == dict(used.parameters)]
        if not fitting:
            return f"signal {used.name} of {source.name} is not computed in version {used.version} with the same parameters"
        done = sum(fitting[-1].scored_rows(s) for s in corpus.shards)
        if done < len(corpus):
            return f"signal {used.name} of {source.name} is computed for {done:,} of {len(corpus):,} documents"
    if tokenizer is None:
        label = count(corpus, None)[0].label
        if label != source.tokens_label:
            return f"tokens of {source.name} would be counted by {label!r}, they were by {source.tokens_label!r}"
    return ""
