"""A manifest as frozen values: what is mixed, from which files, in which amounts; and its one canonical spelling in JSON.

``manifest.json`` is the JSON of `Manifest` without ``folder``. Its ``hash`` is the sha256 of the canonical JSON of every other
field. Nothing in it depends on when, where or by whom it was written: files are named relative to the manifest's folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from explorer.errors import ManifestError
from explorer.mixture.amounts import Given
from explorer.mixture.model import NAME
from explorer.mixture.tokens import WORDS

SCHEMA, FIRST_SCHEMA = "corpus-explorer/manifest/2", "corpus-explorer/manifest/1"
FILE = "manifest.json"

# What the published JSON Schema says beyond the type (`explorer.manifest.schema`).
Name = Annotated[str, {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"}]
Sha256 = Annotated[str, {"pattern": "^[0-9a-f]{64}$"}]
Count = Annotated[int, {"minimum": 0}]
Roles = Annotated[Mapping[str, str], {"required": ["text"], "additionalProperties": {"type": "string"}}]
Filter = Annotated[Mapping[str, Any], {"required": ["signal"]}]


@dataclass(frozen=True)
class SourceFile:
    """One source file: ``path`` relative to the manifest's folder (or a URL), its ``sha256``, and what its footer says."""

    path: str
    sha256: Sha256
    fingerprint: str
    rows: Count
    bytes: Count


@dataclass(frozen=True)
class SignalUsed:
    """A computed signal that a filter, a sampler, an order or a token count read."""

    name: str
    family: str
    version: int
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Tokenizer:
    """Whose tokens the manifest counts: ``name`` as it was asked for (None: not asked), the label shown, and whether they are ≈."""

    name: str | None
    label: str
    estimated: bool

    @property
    def model(self) -> str | None:
        """The tokenizer that trainers and exports can load; None where none was asked for, or words are counted."""
        return None if self.name == WORDS else self.name


@dataclass(frozen=True)
class Originals:
    """What the documents of a source were rewritten from: ``files`` (none where a row holds both texts), the columns that both are joined
    ``on`` (in the originals, in the rewrites), and the originals' roles.
    """

    files: tuple[SourceFile, ...]
    on: tuple[str, ...]
    roles: Roles


@dataclass(frozen=True)
class Source:
    """One set of files and the documents of it that are kept.

    Attributes:
        name: its name in stages and file names.
        files: in the order in which selections number them.
        roles: column of each role that is played (``text``, ``id``, …).
        id_column: column that names a document; None where a document is named by the sha256 of its text.
        documents, tokens: of all files.
        unique_documents, unique_tokens: of the kept documents, each once.
        tokens_label, estimated: whose tokens, and whether they are an estimate.
        recipe: name of the filters, if they have one.
        filters: thresholds in order, as in a filters file.
        where: SQL predicate, empty for none.
        sample: sampler as in a filters file, None for none.
        signals: computed signals that were read to choose, count or order documents.
        originals: of rewrites; None for other documents.

    """

    name: Name
    files: tuple[SourceFile, ...]
    roles: Roles
    id_column: str | None
    documents: Count
    tokens: float
    unique_documents: Count
    unique_tokens: float
    tokens_label: str
    estimated: bool
    recipe: str = ""
    filters: tuple[Filter, ...] = ()
    where: str = ""
    sample: Mapping[str, Any] | None = None
    signals: tuple[SignalUsed, ...] = ()
    originals: Originals | None = None


@dataclass(frozen=True)
class Resolved:
    """What one component comes to, in its own stage.

    Attributes:
        target_tokens: tokens asked for, after ``max_epochs``.
        documents, tokens: emitted, every repeat counted; exact sums over the selection file.
        weight: share of the stage's tokens, None where the stage has none.
        epochs: tokens emitted a unique token, None where the source has no tokens.
        effective_tokens: what they are worth as fresh tokens after what earlier stages read (Muennighoff et al. 2023), at most ``tokens``.

    """

    target_tokens: float
    documents: Count
    tokens: float
    weight: float | None
    epochs: float | None
    effective_tokens: float


@dataclass(frozen=True)
class SelectionFile:
    """The documents of a component: one row each, ``repeat`` saying how often; ``documents`` counts rows, not repeats."""

    path: Name
    sha256: Sha256
    documents: Count


@dataclass(frozen=True)
class Component:
    """One source's part of a stage.

    Attributes:
        source: name of a `Source`.
        given, resolved: the amount asked for, and what it comes to.
        selection: the documents.
        max_epochs: passes allowed at most over all stages; None for no limit.
        order: ``natural`` (as in the files), ``shuffled``, ``sampled`` (a sampler's order of choice), ``ascending NAME``,
            ``descending NAME``, ``folded NAME K`` or ``buckets NAME K``.
        transform: what is to be done to a document's text (`explorer.mixture.transforms`); ``none`` for nothing.
        transform_parameters: its settings, all of them.

    """

    source: Name
    given: Given
    resolved: Resolved
    selection: SelectionFile
    max_epochs: float | None = None
    order: str = "natural"
    transform: str = "none"
    transform_parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """Components that are seen together; stages follow each other, and documents continue: what one stage read, the next does not
    read again until every kept document of the source was read as often.

    Attributes:
        share: its part of the run's tokens as asked for.
        tokens, documents: emitted, every repeat counted.
        budget_tokens: what it was to hold; None where the amounts of its components say so.
        sequence_length: tokens a training sequence holds; None for the manifest's.

    """

    name: Name
    share: float
    tokens: float
    documents: Count
    components: tuple[Component, ...]
    budget_tokens: float | None = None
    sequence_length: int | None = None


@dataclass(frozen=True)
class Totals:
    """Sums over all stages; ``unique_*`` count each document of a source once."""

    documents: Count
    tokens: float
    unique_documents: Count
    unique_tokens: float
    effective_tokens: float


@dataclass(frozen=True)
class Provenance:
    """What made the manifest."""

    tool: str
    version: str


@dataclass(frozen=True)
class Manifest:
    """A mixture: sources, the stages that draw from them, and everything needed to make it again and to prove it.

    Attributes:
        folder: where ``manifest.json`` lies; not part of the manifest (not written, hashed or compared).

    """

    name: Name
    seed: int
    tokenizer: Tokenizer
    sequence_length: int | None
    budget_tokens: float | None
    sources: tuple[Source, ...]
    stages: tuple[Stage, ...]
    totals: Totals
    warnings: tuple[str, ...]
    provenance: Provenance
    schema: str = SCHEMA
    hash: Sha256 = ""
    folder: Path | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        about = "≈ " if self.tokenizer.estimated else ""
        names = ", ".join(s.name for s in self.sources)
        return f"Manifest({self.name!r}: {self.totals.documents:,} documents, {about}{self.totals.tokens:,.0f} tokens of {names}; {self.hash[:12]})"

    def _repr_html_(self) -> str:
        from html import escape

        header = "<tr><th>stage</th><th>source</th><th>documents</th><th>tokens</th><th>weight</th><th>epochs</th></tr>"
        rows = ""
        for stage in self.stages:
            for part in stage.components:
                done = part.resolved
                cells = (stage.name, part.source, f"{done.documents:,}", f"{done.tokens:,.0f}", _number(done.weight), _number(done.epochs))
                rows += "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>"
        warnings = "".join(f"<li>{escape(w)}</li>" for w in self.warnings)
        return f"<b>{escape(repr(self))}</b><table>{header}{rows}</table><ul>{warnings}</ul>"

    def source(self, name: str) -> Source:
        """The source with this name."""
        found = next((s for s in self.sources if s.name == name), None)
        if found is None:
            names = ", ".join(s.name for s in self.sources)
            raise ManifestError(f"The manifest has no source {name!r}. Sources: {names}. Name one of them.")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, ``folder`` left out."""
        said = _plain(self)
        del said["folder"]
        return said

    def to_json(self) -> str:
        """The text of ``manifest.json``: keys sorted, indented, one newline at the end; the same manifest gives the same bytes."""
        return json.dumps(self.to_dict(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def canonical(said: Mapping[str, Any]) -> bytes:
    """Canonical JSON: UTF-8, keys sorted, no spaces, numbers in Python's shortest form, ``hash`` left out."""
    without = {key: value for key, value in said.items() if key != "hash"}
    return json.dumps(without, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(said: Mapping[str, Any]) -> str:
    """The manifest's ``hash``: sha256 of its canonical JSON."""
    return hashlib.sha256(canonical(said)).hexdigest()


def manifest_path(path: str | os.PathLike[str]) -> Path:
    """``manifest.json`` itself, given it or its folder."""
    given = Path(path).expanduser()
    return given / FILE if given.is_dir() else given


def load(path: str | os.PathLike[str]) -> tuple[Manifest, dict[str, Any]]:
    """A manifest and the JSON it was read from; the hash is not looked at.

    Raises:
        ManifestError: the file is missing, no JSON, or no manifest of this schema.

    """
    file = manifest_path(path)
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ManifestError(
            f"{str(file)!r} does not exist. A finished manifest is a folder with {FILE}. Name one, or make it: explorer mix RECIPE.yaml --out DIR"
        ) from error
    except (OSError, ValueError) as error:
        raise ManifestError(f"{str(file)!r} cannot be read as JSON: {error}. Restore the file or mix again.") from error
    if not isinstance(said, dict) or said.get("schema") not in (SCHEMA, FIRST_SCHEMA):
        schema = said.get("schema") if isinstance(said, dict) else None
        raise ManifestError(
            f"{str(file)!r} has the schema {schema!r}. This version reads {SCHEMA!r} and {FIRST_SCHEMA!r}. Use the version of Corpus Explorer that wrote it, or mix again."
        )
    return from_dict(said, folder=file.absolute().parent, where=str(file)), said


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read ``manifest.json`` (or the folder that holds it) and check its hash.

    Raises:
        ManifestError: it is missing, malformed, or was edited after it was written.

    """
    manifest, said = load(path)
    actual = digest(said)
    if actual != manifest.hash:
        raise ManifestError(
            f"{str(manifest_path(path))!r} was edited: its hash says {manifest.hash[:12]!r}, its content {actual[:12]!r}. Restore it, or change the recipe and mix again."
        )
    return manifest


def from_dict(said: Mapping[str, Any], *, folder: Path | None = None, where: str = "the manifest") -> Manifest:
    """A manifest from plain JSON data; missing, unknown and mistyped fields are refused by name, and so are unsafe names."""
    manifest: Manifest = _build(Manifest, _migrated(said), where)
    check_names(manifest, where=where)
    return Manifest(**{**{f.name: getattr(manifest, f.name) for f in fields(Manifest)}, "folder": folder})


def _migrated(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Data of the first schema, which had one stage, as this one spells it; ``hash`` stays that of the first."""
    if said.get("schema") != FIRST_SCHEMA or not isinstance(said.get("stages"), list):
        return said
    more = {"budget_tokens": said.get("budget_tokens"), "sequence_length": None}
    stages = [{**stage, **more} if isinstance(stage, Mapping) else stage for stage in said["stages"]]
    return {**said, "schema": SCHEMA, "stages": stages}


def check_names(manifest: Manifest, *, where: str = "the manifest") -> None:
    """Refuse names that could lead out of a folder: what a manifest calls things becomes part of file names, and it may be anyone's.

    Raises:
        ManifestError: a name holds more than letters, digits, ``.``, ``_`` and ``-``, or two sources share one but for capitals.

    """
    named = [("name", manifest.name), *(("source", s.name) for s in manifest.sources), *(("stage", s.name) for s in manifest.stages)]
    groups = [[s.name for s in manifest.sources]]
    steps = [s.name.lower() for s in manifest.stages]
    for stage in manifest.stages:
        named += [("component", c.source) for c in stage.components] + [("selection file", c.selection.path) for c in stage.components]
        groups.append([c.source for c in stage.components])
    for what, name in named:
        if not NAME.fullmatch(name):
            raise ManifestError(
                f"{where} has the {what} {name!r}. Names begin with a letter or digit and hold letters, digits, '.', '_' and '-'. Mix again instead of editing it."
            )
    if len(set(steps)) < len(steps):
        raise ManifestError(f"{where} has two stages of one name. Stages differ by more than capitals. Mix again instead of editing it.")
    for names in groups:
        lower = [name.lower() for name in names]
        twice = next((name for name in names if lower.count(name.lower()) > 1), None)
        if twice is not None:
            raise ManifestError(
                f"{where} has the source {twice!r} twice. Sources differ by more than capitals, and a stage has each once. Mix again instead of editing it."
            )


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str | os.PathLike) or value is None:
        return value if value is None else os.fspath(value)
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: Any, said: Any, where: str) -> Any:
    """Rebuild a value of this type; the types of the dataclasses' fields are the schema."""
    if is_dataclass(kind):
        if not isinstance(said, Mapping):
            raise _wrong(where, said, "an object")
        known = {f.name: f for f in fields(kind) if f.name != "folder"}
        for name in said:
            if name not in known:
                raise ManifestError(f"{where} has an unknown field {name!r}. Fields: {', '.join(known)}. Mix again instead of editing it.")
        for name in known:
            if name not in said:
                raise ManifestError(f"{where} lacks the field {name!r}. Fields: {', '.join(known)}. Mix again instead of editing it.")
        hints = _hints(kind)  # type: ignore[arg-type]
        return kind(**{name: _build(hints[name], said[name], f"{where}: {name}") for name in known})  # type: ignore[operator]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        if said is None:
            return None
        return _build(next(a for a in arguments if a is not type(None)), said, where)
    if origin is tuple:
        if not isinstance(said, list):
            raise _wrong(where, said, "a list")
        return tuple(_build(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(said))
    if origin is not None:
        if not isinstance(said, Mapping):
            raise _wrong(where, said, "an object")
        return dict(said)
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(said, accepted) or (isinstance(said, bool) and kind is not bool):
        raise _wrong(where, said, {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}[kind.__name__])
    return said


def _wrong(where: str, said: Any, allowed: str) -> ManifestError:
    return ManifestError(f"{where} is {said!r}. It must be {allowed}. Mix again instead of editing it.")
