"""Mix selections into a manifest: a folder with ``manifest.json`` and one selection file a source, or a stage and source."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from explorer import __version__
from explorer.corpus.corpus import Corpus
from explorer.corpus.files import Shard
from explorer.errors import ManifestError
from explorer.manifest import rows
from explorer.manifest.folders import footer, hash_all, new_folder, relative
from explorer.manifest.model import (
    FILE,
    Component,
    Manifest,
    Originals,
    Provenance,
    Resolved,
    SelectionFile,
    SignalUsed,
    Source,
    SourceFile,
    Stage,
    Tokenizer,
    Totals,
    digest,
)
from explorer.mixture.amounts import Given, effective_tokens
from explorer.mixture.counted import Counted, count_sources
from explorer.mixture.identities import kept_ids
from explorer.mixture.model import Mixture, SourcePlan, StagePlan, stage_of
from explorer.mixture.orders import parse_order
from explorer.mixture.overlaps import overlaps
from explorer.mixture.plan import Part, Planned, lay_out, plan
from explorer.mixture.tokens import COUNT, WORD_COUNT, WORDS
from explorer.mixture.transforms import transform
from explorer.rewrites.pairs import Pairs
from explorer.selection.selection import Selection

Amount = float | Mapping[str, float] | None


def mix(
    sources: Mapping[str, Selection | Corpus],
    *,
    budget_tokens: float | None = None,
    weights: Mapping[str, float] | None = None,
    epochs: Amount = None,
    tokens: Amount = None,
    documents: Mapping[str, int] | int | None = None,
    max_epochs: Amount = None,
    order: str | Mapping[str, str] = "natural",
    transforms: Mapping[str, Any] | None = None,
    stages: Sequence[StagePlan | Mapping[str, Any]] | None = None,
    seed: int = 0,
    sequence_length: int | None = None,
    tokenizer: str | None = None,
    name: str = "mix",
    out: str | os.PathLike[str] | None = None,
) -> Manifest:
    """Mix selections of documents and write the manifest that says exactly which, how often and in which order.

    Each source takes at most one of weight, epochs, tokens and documents. Nothing given: every kept document once, or with a budget
    equal epochs of all. Weights are shares of the tokens that the other sources leave of the budget; see
    `explorer.mixture.amounts.targets`. Fractional epochs are whole passes and one partial pass over a seeded random choice.

    Stages follow each other and continue: a document that one stage took comes again only when every kept document of its source has
    come as often.

    Args:
        sources: what is mixed, by name (letters, digits, ``. _ -``); a corpus means all its documents.
        budget_tokens: tokens of the whole mix, repeats counted.
        weights: share of tokens a source; divided by their sum.
        epochs: passes over a source's kept documents, fractions allowed; one number for all sources, or by source.
        tokens: tokens a source gives.
        documents: documents a source gives, exactly.
        max_epochs: passes allowed at most over all stages.
        order: of documents inside a source and stage: ``natural``, ``shuffled``, ``sampled`` (a sampler's order of choice), ``ascending
            NAME`` or ``descending NAME`` of a signal or numeric column, ``folded NAME K`` (K ascending passes over every K-th document)
            or ``buckets NAME K`` (K ascending buckets, shuffled inside), undefined last; one for all sources, or by source.
        transforms: what is to be done to a source's texts, by source; see `explorer.mixture.transforms`.
        stages: `StagePlan` values, or mappings as in a recipe; None: one stage.
        seed: of every random choice.
        sequence_length: tokens a training sequence holds; noted for exporters.
        tokenizer: whose tokens to count (computed if need be), or ``words``; None: the corpus' own count, or an estimate that is marked
            as such.
        name: of the mix.
        out: folder to write; None: ``manifests/<name>`` in the first source's workspace. An earlier manifest there is replaced.

    Returns:
        The manifest, as `read_manifest` gives it.

    Raises:
        ManifestError: an amount that cannot be met or understood, a source that keeps nothing, a file that changed since it was
            opened, or a folder that holds something else.

    """
    counted = count_sources(sources, tokenizer)
    asked = {"weights": weights, "epochs": epochs, "tokens": tokens, "documents": documents, "max_epochs": max_epochs}
    for what, amount in {**asked, "order": order, "transforms": transforms}.items():
        _known(what, amount, counted)
    mixture = Mixture(
        name=name,
        sources=tuple(
            SourcePlan(
                n,
                given=Given(_of(weights, n), _of(epochs, n), _of(tokens, n), _of(documents, n)),
                max_epochs=_of(max_epochs, n),
                order=order if isinstance(order, str) else order.get(n, "natural"),
                transform=transform((transforms or {}).get(n), f"Source {n!r}"),
            )
            for n in counted
        ),
        stages=tuple(stage_of(stage, number) for number, stage in enumerate(stages or (), 1)),
        seed=seed,
        budget_tokens=budget_tokens,
        sequence_length=sequence_length,
        tokenizer=tokenizer,
    )
    return write_mixture(mixture, counted, out)


def write_mixture(mixture: Mixture, counted: Mapping[str, Counted], out: str | os.PathLike[str] | None = None) -> Manifest:
    """Write the manifest of a mixture whose sources are counted; see `mix`."""
    counted = {s.name: counted[s.name] for s in mixture.sources if s.name in counted}
    stages, warnings = plan(mixture, counted)
    told = (f"{n}: {w}" for n, source in counted.items() for w in source.selection.summary().warnings)
    warnings = [*told, *warnings]
    folder = Path(out).expanduser() if out is not None else _default_folder(mixture, counted)
    folder = folder.absolute()
    with new_folder(folder, what="a manifest", ours=_is_manifest, error=ManifestError) as temporary:
        manifest = _write(mixture, counted, stages, warnings, temporary, folder)
    return replace(manifest, folder=folder)


def _default_folder(mixture: Mixture, counted: Mapping[str, Counted]) -> Path:
    return next(iter(counted.values())).selection.corpus.workspace.path / "manifests" / mixture.name


@dataclass(frozen=True)
class Draft:
    """A part of a stage as written, its selection file not yet hashed."""

    stage: Planned
    part: Part
    path: Path
    documents: int
    different: int
    tokens: float


def _write(
    mixture: Mixture,
    counted: Mapping[str, Counted],
    stages: Sequence[Planned],
    warnings: list[str],
    temporary: Path,
    folder: Path,
) -> Manifest:
    sources: list[Source] = []
    drafts: list[Draft] = []
    hashes: dict[str, str] = {}
    paths = _paths(stages)
    seen: dict[str, np.ndarray] = {}
    for name, source in counted.items():
        missing = [s.path for s in _all_shards(source.selection.corpus) if s.path not in hashes]
        hashes.update(zip(missing, _hashed(source, missing), strict=True))
        parts = [(stage, part) for stage in stages for part in stage.parts if part.source == name]
        drafts += _selections(source, parts, {key: temporary / path for key, path in paths.items()}, mixture.seed)
        sources.append(_source(source, [part for _, part in parts], hashes, folder))
        seen[name] = source.draw(mixture.seed).copies(parts[-1][1].end) > 0
    components = _components(drafts, mixture, counted)
    done = tuple(_stage(stage, components[stage.name]) for stage in stages)
    totals = Totals(
        documents=sum(stage.documents for stage in done),
        tokens=sum(stage.tokens for stage in done),
        unique_documents=sum(int(used.sum()) for used in seen.values()),
        unique_tokens=sum(float(counted[n].tokens[used].sum()) for n, used in seen.items()),
        effective_tokens=sum(c.resolved.effective_tokens for stage in done for c in stage.components),
    )
    labels = list(dict.fromkeys(source.counted.label for source in counted.values()))
    if len(labels) > 1:
        warnings = [
            *warnings,
            f"The sources count tokens differently ({'; '.join(labels)}): shares between them compare unlike numbers. Name a tokenizer.",
        ]
    manifest = Manifest(
        name=mixture.name,
        seed=mixture.seed,
        tokenizer=Tokenizer(mixture.tokenizer, "; ".join(labels), any(source.counted.estimated for source in counted.values())),
        sequence_length=mixture.sequence_length,
        budget_tokens=None if mixture.budget_tokens is None else float(mixture.budget_tokens),
        sources=tuple(sources),
        stages=done,
        totals=totals,
        warnings=(*warnings, *(found.message for found in overlaps(counted, seen))),
        provenance=Provenance("corpus-explorer", __version__),
    )
    manifest = replace(manifest, hash=digest(manifest.to_dict()))
    (temporary / FILE).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _paths(stages: Sequence[Planned]) -> dict[tuple[str, str], str]:
    """Selection file of each stage and source: named by the source, and by the stage where there are several.

    Raises:
        ManifestError: two of them would have one name.

    """
    several = len(stages) > 1
    found = {
        (stage.name, part.source): f"selection-{stage.name}-{part.source}.parquet" if several else f"selection-{part.source}.parquet"
        for stage in stages
        for part in stage.parts
    }
    taken: dict[str, tuple[str, str]] = {}
    for key, path in found.items():
        other = taken.setdefault(path.lower(), key)
        if other != key:
            raise ManifestError(
                f"Stage {key[0]!r} with source {key[1]!r} and stage {other[0]!r} with source {other[1]!r} would both write {path}. A selection file is called selection-STAGE-SOURCE.parquet. Rename one."
            )
    return found


def _selections(
    source: Counted, parts: Sequence[tuple[Planned, Part]], paths: Mapping[tuple[str, str], Path], seed: int
) -> Iterable[Draft]:
    """Write the selection files of one source; its ids are read once."""
    corpus = source.selection.corpus
    found = kept_ids(corpus.shards, id_column=source.identity.column, text=corpus.roles.text, kept=source.kept)
    folder = paths[(parts[0][0].name, source.name)].parent
    aside: AbstractContextManager[Any] = rows.kept_aside(found, folder / ".ids") if len(parts) > 1 else nullcontext(lambda: found)
    with aside as ids:
        for stage, part in parts:
            repeat, rank = lay_out(part, source, seed)
            path = paths[(stage.name, source.name)]
            batches = rows.selection_batches(ids(), copies=repeat, rank=rank, tokens=source.tokens)
            rows.write_selection(path, batches, in_order=part.order == "natural")
            tokens = float((source.tokens * repeat).sum())
            yield Draft(stage, part, path, int(repeat.sum(dtype=np.int64)), int((repeat > 0).sum()), tokens)


def _components(drafts: Sequence[Draft], mixture: Mixture, counted: Mapping[str, Counted]) -> dict[str, list[Component]]:
    """Components by stage, each stage's in the order of the sources."""
    totals: dict[str, float] = {}
    for draft in drafts:
        totals[draft.stage.name] = totals.get(draft.stage.name, 0.0) + draft.tokens
    read = dict.fromkeys(counted, 0.0)
    found: dict[str, list[Component]] = {}
    for draft, sha in zip(drafts, hash_all(draft.path for draft in drafts), strict=True):
        name, part, total, unique = draft.part.source, draft.part, totals[draft.stage.name], counted[draft.part.source].unique.tokens
        before, read[name] = read[name], read[name] + draft.tokens
        resolved = Resolved(
            target_tokens=part.target_tokens,
            documents=draft.documents,
            tokens=draft.tokens,
            weight=draft.tokens / total if total else None,
            epochs=draft.tokens / unique if unique else None,
            effective_tokens=effective_tokens(read[name], unique) - effective_tokens(before, unique),
        )
        selection = SelectionFile(draft.path.name, sha, draft.different)
        limit = mixture.source(name).max_epochs
        component = Component(
            name, part.given, resolved, selection, limit, part.order, part.transform.name, dict(part.transform.parameters)
        )
        found.setdefault(draft.stage.name, []).append(component)
    return found


def _stage(stage: Planned, components: Sequence[Component]) -> Stage:
    return Stage(
        stage.name,
        stage.share,
        sum(c.resolved.tokens for c in components),
        sum(c.resolved.documents for c in components),
        tuple(components),
        stage.budget_tokens,
        stage.sequence_length,
    )


def _hashed(item: Counted, paths: list[str]) -> list[str]:
    """Sha256 of source files, after making sure that they still are what was opened."""
    shards = {s.path: s for s in _all_shards(item.selection.corpus)}
    try:
        found = hash_all(paths)
    except OSError as error:
        raise ManifestError(f"A file of {item.name!r} cannot be read any more: {error}. Restore it and open the corpus again.") from error
    for path in paths:
        now = footer(path)
        if now is None or now.fingerprint != shards[path].fingerprint:
            raise ManifestError(
                f"{path!r} changed since the corpus was opened. Its selection no longer fits it. Open the corpus again and select anew."
            )
    return found


def _source(item: Counted, parts: Sequence[Part], hashes: Mapping[str, str], folder: Path) -> Source:
    corpus, filters = item.selection.corpus, item.selection.filters
    return Source(
        name=item.name,
        files=_files(corpus, hashes, folder),
        roles=corpus.roles.assigned(),
        id_column=item.identity.column,
        documents=len(corpus),
        tokens=float(item.counted.values.sum()),
        unique_documents=len(item.kept),
        unique_tokens=float(item.tokens.sum()),
        tokens_label=item.counted.label,
        estimated=item.counted.estimated,
        recipe=filters.name,
        filters=tuple(t.to_dict() for t in filters.filters),
        where=filters.where,
        sample=filters.sample.to_dict() if filters.sample else None,
        signals=_signals(item, parts),
        originals=_originals(corpus, hashes, folder) if isinstance(corpus, Pairs) else None,
    )


def _files(corpus: Corpus, hashes: Mapping[str, str], folder: Path) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(relative(s.path, folder), hashes[s.path], s.fingerprint, s.rows, s.size) for s in corpus.shards)


def _originals(pairs: Pairs, hashes: Mapping[str, str], folder: Path) -> Originals:
    files = _files(pairs.originals, hashes, folder) if pairs.on else ()
    return Originals(files, pairs.on or (), pairs.originals.roles.assigned())


def _all_shards(corpus: Corpus) -> list[Shard]:
    """Files of a source, those of the originals after those of rewrites."""
    shards = {s.path: s for s in corpus.shards}
    if isinstance(corpus, Pairs):
        shards |= {s.path: s for s in corpus.originals.shards if s.path not in shards}
    return list(shards.values())


def _signals(item: Counted, parts: Sequence[Part]) -> tuple[SignalUsed, ...]:
    coverage = item.selection.corpus.coverage()
    words = set(re.findall(r"\w+", item.selection.filters.where))
    names = [*item.selection.filters.signals, *(c for c in coverage.columns() if c in words)]
    names += [column for part in parts if (column := parse_order(part.order, item.name).column)]
    found = {name: side for name in names if (side := coverage.of(name)) is not None}
    if item.counter is not None:
        found[WORD_COUNT if item.counted.label == WORDS else COUNT] = item.counter
    return tuple(SignalUsed(name, side.family, side.version, dict(side.parameters)) for name, side in sorted(found.items()))


def _known(what: str, amount: Any, chosen: Mapping[str, Any]) -> None:
    unknown = sorted(set(amount) - set(chosen)) if isinstance(amount, Mapping) else []
    if unknown:
        raise ManifestError(f"{what} names the source {unknown[0]!r}. Sources: {', '.join(chosen)}. Correct the name.")


def _of(amount: Any, name: str) -> Any:
    return amount.get(name) if isinstance(amount, Mapping) else amount


def _is_manifest(folder: Path) -> bool:
    names = [p.name for p in folder.iterdir()]
    return FILE in names and all(n == FILE or re.fullmatch(r"selection-.*\.parquet", n) for n in names)
