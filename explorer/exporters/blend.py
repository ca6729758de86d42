"""What tokenised exports share beside the ids: options, weights, the record of what lies where, and what becomes of the manifest's fields.

Without a tokenizer such an export is a recipe only: the trainer's mixture with the paths at which it expects the token files, and weights
from the manifest's own counts.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from explorer.errors import ExportError
from explorer.exporters.base import Counted, Loss, inside
from explorer.exporters.documents import loss_weighted, selection_path
from explorer.exporters.encoding import Encoder, encoder
from explorer.exporters.ordered import Sources, open_sources, refuse_transform
from explorer.exporters.start import whole_number
from explorer.exporters.tokenised import Tokens, discard, emitted, stream, tokenise
from explorer.manifest.model import Component, Manifest, Stage

RECORD = "tokens.json"
SCHEMA = "corpus-explorer/tokens/1"


@dataclass(frozen=True)
class Part:
    """One source in one stage: ``stem``, the path of its files without an ending; and what was written there.

    Attributes:
        tokens: ids in its files, or the manifest's count where there are none.
        documents: emitted.

    """

    stage: str
    source: str
    stem: str
    tokens: float
    documents: int


@dataclass(frozen=True)
class Encoded:
    """The token ids of a manifest; ``encoder`` is None where only a recipe is written."""

    sources: Sources
    encoder: Encoder | None
    tokens: Mapping[str, Tokens] = field(default_factory=dict)

    def ids(self, component: Component) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(ids, lengths of documents) that a component emits, in order."""
        shards = self.sources.shards[component.source]
        return stream(self.tokens[component.source], emitted(self.sources.manifest, component, shards))


@contextmanager
def encoded(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None,
    tokenizer: str | None,
    eos: str | int | None,
    cache: str | None,
    only: Sequence[str] | None = None,
) -> Iterator[Encoded]:
    """The token ids of every document that is emitted, of the sources ``only``, while the block runs."""
    chosen = None if only is not None and not only else encoder(manifest, tokenizer, eos)
    if chosen is None and cache is not None:
        raise ExportError("cache is given, but no tokenizer. Without one nothing is encoded. Name it: -o tokenizer=NAME")
    sources = open_sources(manifest, root)
    scratch = folder / ".tokens"
    scratch.mkdir()
    try:
        yield Encoded(sources, chosen, tokenise(sources, chosen, scratch, cache=cache, only=only) if chosen else {})
    finally:
        discard(scratch)


def components(manifest: Manifest) -> Iterator[tuple[Stage, Component, str]]:
    """(stage, component, stem) of everything that is emitted; stages have a folder each where there are several.

    Raises:
        ExportError: a component has a transform.

    """
    for stage in manifest.stages:
        for component in stage.components:
            refuse_transform(component)
            if component.resolved.documents:
                yield stage, component, f"{prefix(manifest, stage)}{component.source}"


def prefix(manifest: Manifest, stage: Stage) -> str:
    """Folder of a stage's files with a slash, empty where the manifest has one stage."""
    return f"{stage.name}/" if len(manifest.stages) > 1 else ""


def write_raw(path: Path, ids: Iterator[tuple[np.ndarray, np.ndarray]], ends: Path | None = None) -> int:
    """Write ids one after another, and where documents end (uint64, in ids) if ``ends`` is given; how many ids there are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with path.open("wb") as file, (ends or Path(os.devnull)).open("wb") as index:
        for some, lengths in ids:
            some.tofile(file)
            if ends is not None:
                (done + np.cumsum(lengths)).astype(np.uint64).tofile(index)
            done += len(some)
    return done


def shares(parts: Sequence[Part]) -> dict[str, float]:
    """Share of the tokens by source, adding up to 1 as exactly as float64 can; sources without tokens are left out.

    Raises:
        ExportError: there is no token at all.

    """
    held = {part.source: part.tokens for part in parts if part.tokens > 0}
    total = math.fsum(held.values())
    if not total:
        raise ExportError("The stage has no tokens: every document is empty. There is nothing to weigh. Mix documents that hold text.")
    found = {name: tokens / total for name, tokens in held.items()}
    largest = max(found, key=lambda name: found[name])
    found[largest] = 1.0 - math.fsum(share for name, share in found.items() if name != largest)
    return found


def by_stage(parts: Sequence[Part]) -> dict[str, list[Part]]:
    """The parts of each stage, in order; those without tokens are left out."""
    found: dict[str, list[Part]] = {}
    for part in parts:
        if part.tokens > 0:
            found.setdefault(part.stage, []).append(part)
    return found


def write_record(folder: Path, made: Encoded, parts: Sequence[Part], **more: Any) -> None:
    """Write ``tokens.json``: what lies where, whose ids these are, and the shares asked for and written."""
    use = made.encoder
    asked = {(s.name, c.source): c.resolved.weight for s in made.sources.manifest.stages for c in s.components}
    written = {name: shares(found) for name, found in by_stage(parts).items()}
    said = {
        "schema": SCHEMA,
        "manifest": made.sources.manifest.hash,
        "recipe_only": use is None,
        "tokenizer": None if use is None else {"name": use.name, "fingerprint": use.fingerprint, "vocabulary": use.vocabulary},
        "eos": None if use is None or use.end is None else {"id": use.end, "token": use.end_token},
        "dtype": None if use is None else use.dtype.name,
        "parts": [{**asdict(p), "share": written.get(p.stage, {}).get(p.source, 0.0), "asked": asked[p.stage, p.source]} for p in parts],
        **more,
    }
    (folder / RECORD).write_text(json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_record(folder: Path) -> tuple[dict[str, Any], list[Part]]:
    """``tokens.json`` of an export, and its parts; none where it is a recipe only."""
    said = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    names = Part.__dataclass_fields__
    parts = [] if said["recipe_only"] else [Part(**{k: v for k, v in item.items() if k in names}) for item in said["parts"]]
    for part in parts:
        inside(folder, part.stem)
    return said, parts


def count_raw(folder: Path, part: Part, ending: str, dtype: str, *, documents: int | None = None, sequence: int | None = None) -> Counted:
    """Count a file of raw ids by its size."""
    width = np.dtype(dtype).itemsize
    size = (folder / f"{part.stem}{ending}").stat().st_size
    if size % width:
        raise ValueError(f"{part.stem}{ending} has {size} bytes, no whole number of ids of {width}")
    return Counted(part.stage, part.source, documents, size // width, None if sequence is None else size // width // sequence)


def length_of(manifest: Manifest, stage: Stage, value: int | None) -> int:
    """Tokens of a training sequence: as given, else the stage's, else the manifest's."""
    found = value if value is not None else stage.sequence_length or manifest.sequence_length
    return whole_number("sequence_length", found, "the tokens are cut by it")


def folder_prefix(at: str) -> str:
    """What is put before paths in a trainer's files: nothing (relative paths), or the folder ``at`` with a slash."""
    return f"{at.rstrip('/')}/" if at else ""


def token_losses(made: Encoded, parts: Sequence[Part], *, left: int = 0, recipe: bool | None = None) -> dict[str, Loss]:
    """What becomes of each neutral field where the ids of every emitted document are in the files; an exporter changes what its trainer
    loses. ``left`` counts ids that were not written because they fill no sequence; ``recipe`` says that no
    ids are there, None: because there is no tokenizer.
    """
    manifest, use = made.sources.manifest, made.encoder
    written = [*components(manifest)]
    weighted = any(loss_weighted(selection_path(manifest, c)) for _, c, _ in written)
    mended = {name: held.mended for name, held in made.tokens.items() if held.mended}
    asked = {(s.name, c.source): c.resolved.weight or 0.0 for s, c, _ in written}
    off = max(
        (abs(share - asked[stage, name]) for stage, found in by_stage(parts).items() for name, share in shares(found).items()), default=0.0
    )
    stages = len(manifest.stages)
    found = [
        Loss("selection", "exact", "exactly the chosen documents are in the files"),
        Loss("repeat", "exact", "repeated documents are repeated in the files, one pass after another"),
        Loss("order", "exact", "documents are in the order of the selection"),
        Loss("weight", "exact", "shares of the ids in the files")
        if off < 5e-7
        else Loss(
            "weight",
            "approximated",
            f"shares are those of the ids in the files, at most {off:.2g} from the manifest's, which count no ends of documents",
            off,
        ),
        Loss("epochs", "exact", "whole and partial passes are in the files"),
        Loss("stages", "exact", "one stage" if stages == 1 else f"{stages} stages, each with files of its own"),
        Loss("loss_weight", "dropped", "the files carry no loss weights; those of the selection differ from 1")
        if weighted
        else Loss("loss_weight", "exact", "every weight is 1"),
        Loss("transform", "exact", "none is asked for"),
    ]
    if mended:
        which = ", ".join(f"{count:,} of {name}" for name, count in mended.items())
        found[0] = Loss(
            "selection", "approximated", f"texts that are not valid UTF-8 were encoded with U+FFFD: {which}", sum(mended.values())
        )
    if use is None if recipe is None else recipe:
        missing = "recipe only: no tokenizer was named, so no ids were written; put token files of exactly the chosen documents at the paths named"
        found[:5] = [Loss(name, "dropped", missing) for name in ("selection", "repeat", "order", "weight", "epochs")]
        found[3] = Loss("weight", "exact", f"shares of tokens as the manifest counts them ({manifest.tokenizer.label})")
        if manifest.tokenizer.estimated:
            found[3] = Loss("weight", "dropped", f"shares of an estimate ({manifest.tokenizer.label}) stand in their place")
        found.append(Loss("tokenizer", "dropped", "recipe only: no tokenizer was named"))
    elif use is None:
        found.append(Loss("tokenizer", "exact", "ids are those of the tokens given, whichever tokenizer made them"))
    else:
        end = "none is appended" if use.end is None else f"id {use.end} ends every document"
        whose = f"ids of {use.name}; {end}"
        difference = left + sum(p.tokens - (p.documents if use.end is not None else 0) for p in parts) - manifest.totals.tokens
        found.append(
            Loss("tokenizer", "exact", whose)
            if abs(difference) < 0.5
            else Loss(
                "tokenizer",
                "approximated",
                f"{whose}; without ends they are {difference:+,.0f} from the manifest's count ({manifest.tokenizer.label})",
                difference,
            )
        )
    found.append(Loss("sequence_length", "dropped", "the files hold whole documents; the trainer cuts them"))
    return {item.field: item for item in found}
