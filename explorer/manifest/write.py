"""Mix selections into a manifest: a folder with ``manifest.json`` and one selection file a source."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from explorer import __version__
from explorer.corpus.columns import Tokens
from explorer.corpus.corpus import Corpus
from explorer.corpus.database import read_parquet
from explorer.corpus.files import Shard
from explorer.corpus.identity import identity
from explorer.corpus.sidecars import Sidecar
from explorer.errors import ManifestError
from explorer.manifest import amounts, rows
from explorer.manifest.folders import footer, hash_all, new_folder, relative
from explorer.manifest.model import (
    FILE,
    NAME,
    Component,
    Given,
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
from explorer.manifest.tokens import COUNT, count
from explorer.rewrites.pairs import Pairs
from explorer.selection.selection import Selection, select

if TYPE_CHECKING:
    from explorer.corpus.identity import Identity

ORDERS = "natural, shuffled, sampled, 'ascending NAME', 'descending NAME'"
Amount = float | Mapping[str, float] | None


@dataclass(frozen=True)
class Plan:
    """Everything decided about one source before anything is written; arrays are aligned with ``kept``.

    Attributes:
        kept: int64 [n], numbers of the kept documents in the corpus, ascending.
        tokens: float64 [n].
        repeat: int32 [n], 0 where the amount leaves a document out.
        rank: int64 [n], place of each emitted document in the order; -1 where it is left out.

    """

    name: str
    selection: Selection
    identity: Identity
    counted: Tokens
    counter: Sidecar | None
    target: amounts.Target
    order: str
    max_epochs: float | None
    kept: np.ndarray
    tokens: np.ndarray
    repeat: np.ndarray
    rank: np.ndarray

    def batches(self) -> Iterable[pa.RecordBatch]:
        """Rows of the selection file, in the order of the source files."""
        used = self.repeat > 0
        corpus = self.selection.corpus
        return rows.selection_batches(
            corpus.shards,
            id_column=self.identity.column,
            text=corpus.roles.text,
            kept=self.kept[used],
            copies=self.repeat[used],
            rank=self.rank[used],
            tokens=self.tokens[used],
        )


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
    seed: int = 0,
    sequence_length: int | None = None,
    tokenizer: str | None = None,
    name: str = "mix",
    out: str | os.PathLike[str] | None = None,
) -> Manifest:
    """Mix selections of documents and write the manifest that says exactly which, how often and in which order.

    Each source takes at most one of weight, epochs, tokens and documents. Nothing given: every kept document once, or with a budget
    equal epochs of all. Weights are shares of the tokens that the other sources leave of the budget; see
    `explorer.manifest.amounts.targets`. Fractional epochs are whole passes and one partial pass over a seeded random choice.

    Args:
        sources: what is mixed, by name (letters, digits, ``. _ -``); a corpus means all its documents.
        budget_tokens: tokens of the whole mix, repeats counted.
        weights: share of tokens a source; divided by their sum.
        epochs: passes over a source's kept documents, fractions allowed; one number for all sources, or by source.
        tokens: tokens a source gives.
        documents: documents a source gives, exactly.
        max_epochs: passes allowed at most.
        order: of documents inside a source: ``natural``, ``shuffled``, ``sampled`` (a sampler's order of choice), ``ascending NAME``
            or ``descending NAME`` of a signal or numeric column (undefined last); one for all sources, or by source.
        seed: of every random choice.
        sequence_length: tokens a training sequence holds; noted for exporters.
        tokenizer: whose tokens to count (computed if need be); None: the corpus' own count, or an estimate that is marked as such.
        name: of the mix.
        out: folder to write; None: ``manifests/<name>`` in the first source's workspace. An earlier manifest there is replaced.

    Returns:
        The manifest, as `read_manifest` gives it.

    Raises:
        ManifestError: an amount that cannot be met or understood, a source that keeps nothing, a file that changed since it was
            opened, or a folder that holds something else.

    """
    chosen = _selections(sources)
    if not NAME.fullmatch(name):
        raise ManifestError(f"The name {name!r} cannot name a folder. Use letters, digits, '.', '_' and '-'. Rename the mix.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ManifestError(f"The seed is {seed!r}. It must be a whole number. Give one.")
    for what, value in (("budget_tokens", budget_tokens), ("sequence_length", sequence_length)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf):
            raise ManifestError(f"{what} is {value!r}. It must be a number above 0. Correct it or leave it out.")
    given = _given(chosen, weights=weights, epochs=epochs, tokens=tokens, documents=documents)
    limits = {n: _of(max_epochs, n) for n in chosen}
    _known("max_epochs", max_epochs, chosen)
    _known("order", order, chosen)
    orders = {n: order if isinstance(order, str) else order.get(n, "natural") for n in chosen}
    plans, warnings = plan(chosen, given, budget_tokens=budget_tokens, max_epochs=limits, orders=orders, seed=seed, tokenizer=tokenizer)
    told = (f"{n}: {w}" for n, selection in chosen.items() for w in selection.summary().warnings)
    warnings = [*told, *warnings]
    folder = Path(out).expanduser() if out is not None else next(iter(chosen.values())).corpus.workspace.path / "manifests" / name
    folder = folder.absolute()
    with new_folder(folder, what="a manifest", ours=_is_manifest, error=ManifestError) as temporary:
        manifest = _write(plans, warnings, temporary, folder, name, seed, sequence_length, tokenizer, budget_tokens)
    return replace(manifest, folder=folder)


def plan(
    chosen: Mapping[str, Selection],
    given: Mapping[str, Given],
    *,
    budget_tokens: float | None,
    max_epochs: Mapping[str, float | None],
    orders: Mapping[str, str],
    seed: int,
    tokenizer: str | None,
) -> tuple[list[Plan], list[str]]:
    """Decide copies and order of every kept document; reads what it needs of the corpora and writes nothing."""
    counted = {name: count(selection.corpus, tokenizer) for name, selection in chosen.items()}
    kept = {name: np.sort(selection.rows()).astype(np.int64) for name, selection in chosen.items()}
    held = {name: counted[name][0].values[kept[name]] for name in chosen}
    unique = {name: amounts.Unique(len(kept[name]), float(held[name].sum())) for name in chosen}
    targets, warnings = amounts.targets(unique, given, budget_tokens=budget_tokens, max_epochs=max_epochs)
    plans = []
    for name, selection in chosen.items():
        named = identity(selection.corpus)
        target, n = targets[name], len(kept[name])
        whole = target.documents is not None and target.documents % n == 0
        drawn = np.arange(n) if whole else _seeded(selection.corpus, named, kept[name], f"{seed}:pass:")
        repeat = amounts.copies(target, held[name], drawn)
        place = _places(selection, named, kept[name], orders[name], seed, name)
        rank = np.full(n, -1, np.int64)
        emitted = place[repeat[place] > 0]
        rank[emitted] = np.arange(len(emitted))
        tokens, counter = counted[name]
        plans.append(
            Plan(name, selection, named, tokens, counter, target, orders[name], max_epochs.get(name), kept[name], held[name], repeat, rank)
        )
        if not len(emitted):
            warnings.append(f"{name} comes to 0 documents: its amount is less than half of one. Raise it or leave the source out.")
        warnings += _told(name, named, tokens, unique[name], repeat, held[name])
    return plans, warnings


def _told(name: str, named: Identity, tokens: Tokens, unique: amounts.Unique, repeat: np.ndarray, held: np.ndarray) -> Iterable[str]:
    epochs = float((held * repeat).sum()) / unique.tokens if unique.tokens else 0.0
    worth = amounts.effective_tokens(epochs, 1.0) / epochs if epochs else 1.0
    if epochs > amounts.TOO_MANY_EPOCHS:
        yield f"{name} is repeated {epochs:.3g} times; past {amounts.TOO_MANY_EPOCHS:g} epochs a token is hardly worth reading again ({worth:.0%} of fresh ones overall)."
    elif epochs > amounts.MANY_EPOCHS + 1e-9:
        yield f"{name} is repeated {epochs:.3g} times; past {amounts.MANY_EPOCHS:g} epochs tokens are worth clearly less than fresh ones ({worth:.0%} overall)."
    if tokens.estimated:
        yield f"Tokens of {name} are an estimate ({tokens.label})."
    if named.column is None:
        yield f"Documents of {name} are named by the sha256 of their text: {named.why}."


def _write(
    plans: list[Plan],
    warnings: list[str],
    temporary: Path,
    folder: Path,
    name: str,
    seed: int,
    sequence_length: int | None,
    tokenizer: str | None,
    budget_tokens: float | None,
) -> Manifest:
    sources: list[Source] = []
    drafts: list[tuple[Plan, Path]] = []
    hashes: dict[str, str] = {}
    for item in plans:
        paths = [s.path for s in _all_shards(item.selection.corpus)]
        missing = [p for p in paths if p not in hashes]
        hashes.update(zip(missing, _hashed(item, missing), strict=True))
        path = temporary / f"selection-{item.name}.parquet"
        natural = item.order == "natural"
        rows.write_selection(path, item.batches(), in_order=natural)
        sources.append(_source(item, hashes, folder))
        drafts.append((item, path))
    digests = hash_all(path for _, path in drafts)
    emitted = {item.name: float((item.tokens * item.repeat).sum()) for item in plans}
    total = sum(emitted.values())
    components = tuple(_component(item, path, sha, emitted[item.name], total) for (item, path), sha in zip(drafts, digests, strict=True))
    stage = Stage("all", 1.0, total, sum(c.resolved.documents for c in components), components)
    totals = Totals(
        documents=stage.documents,
        tokens=total,
        unique_documents=sum(c.selection.documents for c in components),
        unique_tokens=sum(float(item.tokens[item.repeat > 0].sum()) for item in plans),
        effective_tokens=sum(c.resolved.effective_tokens for c in components),
    )
    labels = list(dict.fromkeys(item.counted.label for item in plans))
    if len(labels) > 1:
        warnings = [
            *warnings,
            f"The sources count tokens differently ({'; '.join(labels)}): shares between them compare unlike numbers. Name a tokenizer.",
        ]
    manifest = Manifest(
        name=name,
        seed=seed,
        tokenizer=Tokenizer(tokenizer, "; ".join(labels), any(item.counted.estimated for item in plans)),
        sequence_length=sequence_length,
        budget_tokens=None if budget_tokens is None else float(budget_tokens),
        sources=tuple(sources),
        stages=(stage,),
        totals=totals,
        warnings=(*warnings, *_overlaps(drafts)),
        provenance=Provenance("corpus-explorer", __version__),
    )
    manifest = replace(manifest, hash=digest(manifest.to_dict()))
    (temporary / FILE).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _hashed(item: Plan, paths: list[str]) -> list[str]:
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


def _source(item: Plan, hashes: Mapping[str, str], folder: Path) -> Source:
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
        signals=_signals(item),
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


def _signals(item: Plan) -> tuple[SignalUsed, ...]:
    coverage = item.selection.corpus.coverage()
    words = set(re.findall(r"\w+", item.selection.filters.where))
    names = [*item.selection.filters.signals, *(c for c in coverage.columns() if c in words)]
    names += item.order.split(maxsplit=1)[1:]
    found = {name: side for name in names if (side := coverage.of(name)) is not None}
    if item.counter is not None:
        found[COUNT] = item.counter
    return tuple(SignalUsed(name, side.family, side.version, dict(side.parameters)) for name, side in sorted(found.items()))


def _component(item: Plan, path: Path, sha: str, emitted: float, total: float) -> Component:
    unique = float(item.tokens.sum())
    resolved = Resolved(
        target_tokens=item.target.tokens,
        documents=int(item.repeat.sum(dtype=np.int64)),
        tokens=emitted,
        weight=emitted / total if total else None,
        epochs=emitted / unique if unique else None,
        effective_tokens=amounts.effective_tokens(emitted, unique),
    )
    selection = SelectionFile(path.name, sha, int((item.repeat > 0).sum()))
    return Component(item.name, item.target.given, resolved, selection, item.max_epochs, item.order)


def _overlaps(drafts: list[tuple[Plan, Path]]) -> Iterable[str]:
    """Ids that two sources have in common: those documents are seen more often than either source says."""
    connection = rows.connect()
    try:
        for (one, a), (two, b) in itertools.combinations(drafts, 2):
            query = f"SELECT count(*) FROM {read_parquet([str(a)])} SEMI JOIN {read_parquet([str(b)])} USING (id)"
            ((shared,),) = connection.sql(query).fetchall()
            if shared:
                yield f"{shared:,} documents of {one.name} have an id that {two.name} has too. If they are the same texts, they are seen more often than the epochs say."
    finally:
        connection.close()


def _seeded(corpus: Corpus, named: Identity, kept: np.ndarray, salt: str) -> np.ndarray:
    """Positions in a random order that depends on the seed and the documents' identities alone."""
    ones = np.ones(len(kept), np.int32)
    batches = rows.selection_batches(
        corpus.shards, id_column=named.column, text=corpus.roles.text, kept=kept, copies=ones, rank=kept, tokens=ones.astype(np.float64)
    )
    return np.argsort(rows.seeded_keys(batches, salt), kind="stable")


def _places(selection: Selection, named: Identity, kept: np.ndarray, order: str, seed: int, name: str) -> np.ndarray:
    """Positions into ``kept`` in the order that was asked for."""
    how, _, column = order.partition(" ")
    if order == "natural":
        return np.arange(len(kept))
    if order == "shuffled":
        return _seeded(selection.corpus, named, kept, f"{seed}:order:")
    if order == "sampled":
        return np.searchsorted(kept, selection.rows())
    if how in ("ascending", "descending") and column:
        values = selection.corpus.columns.numbers(column)[kept].astype(np.float64)
        return np.argsort(values if how == "ascending" else -values, kind="stable")
    raise ManifestError(f"Source {name!r} has the order {order!r}. Orders: {ORDERS}. Choose one.")


def _selections(sources: Mapping[str, Selection | Corpus]) -> dict[str, Selection]:
    if not isinstance(sources, Mapping) or not sources:
        raise ManifestError("No source was given. A mix needs at least one. Give a mapping such as {'web': corpus.select(...)}")
    chosen: dict[str, Selection] = {}
    for name, what in sources.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ManifestError(f"A source is called {name!r}. Names hold letters, digits, '.', '_' and '-'. Rename it.")
        if name.lower() in {n.lower() for n in chosen}:
            raise ManifestError(f"Two sources are called {name!r} but for capitals, which some disks do not tell apart. Rename one.")
        if isinstance(what, Corpus):
            what = select(what)
        if not isinstance(what, Selection):
            raise ManifestError(f"Source {name!r} is a {type(what).__name__}. Sources are selections or corpora. Pass corpus.select(...).")
        chosen[name] = what
    return chosen


def _given(chosen: Mapping[str, Selection], **asked: Any) -> dict[str, Given]:
    for what, amount in asked.items():
        _known(what, amount, chosen)
    singular = {"weights": "weight"}
    return {name: Given(**{singular.get(what, what): _of(amount, name) for what, amount in asked.items()}) for name in chosen}


def _known(what: str, amount: Any, chosen: Mapping[str, Selection]) -> None:
    unknown = sorted(set(amount) - set(chosen)) if isinstance(amount, Mapping) else []
    if unknown:
        raise ManifestError(f"{what} names the source {unknown[0]!r}. Sources: {', '.join(chosen)}. Correct the name.")


def _of(amount: Any, name: str) -> Any:
    return amount.get(name) if isinstance(amount, Mapping) else amount


def _is_manifest(folder: Path) -> bool:
    names = [p.name for p in folder.iterdir()]
    return FILE in names and all(n == FILE or re.fullmatch(r"selection-.*\.parquet", n) for n in names)
