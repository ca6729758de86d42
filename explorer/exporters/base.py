"""The registry of exporters, what one reports, and the one way an export reaches its folder: whole, hashed and signed, or not at all."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from explorer import __version__
from explorer.errors import ExplorerError, ExportError
from explorer.manifest.folders import check_replaceable, hash_all, locate, new_folder
from explorer.manifest.model import Manifest, check_names, digest, read_manifest
from explorer.manifest.verify import Check

SCHEMA = "corpus-explorer/export/1"
SUFFIX = ".provenance.json"
NEUTRAL = {
    "selection": "which documents",
    "repeat": "copies of a document",
    "order": "order of documents inside a source",
    "weight": "share of tokens a source has",
    "epochs": "passes, budgets and max_epochs",
    "stages": "stages one after another",
    "loss_weight": "weight of a document's loss",
    "transform": "what is done to the text",
    "tokenizer": "whose tokens",
    "sequence_length": "tokens a training sequence holds",
}


@dataclass(frozen=True)
class Loss:
    """What became of one field of the manifest: ``exact``, ``approximated`` (by ``number``, as ``reason`` says) or ``dropped``."""

    field: str
    how: Literal["exact", "approximated", "dropped"]
    reason: str
    number: float | None = None


@dataclass(frozen=True)
class LossReport:
    """One `Loss` a neutral field: what a trainer's files keep of the manifest and what they cannot say."""

    items: tuple[Loss, ...]

    @property
    def lossless(self) -> bool:
        """Whether every field is exact."""
        return all(item.how == "exact" for item in self.items)

    def of(self, field: str) -> Loss:
        """What became of one field."""
        return next(item for item in self.items if item.field == field)

    def __str__(self) -> str:
        return "\n".join(f"{item.field:<16}{item.how:<13}{item.reason}" for item in self.items)

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(f"<tr><td>{escape(i.field)}</td><td>{i.how}</td><td>{escape(i.reason)}</td></tr>" for i in self.items)
        return f"<table>{rows}</table>"


@dataclass(frozen=True)
class ExportReport:
    """A finished export: its folder, the files in it (provenance last), and what was lost."""

    exporter: str
    folder: Path
    files: tuple[Path, ...]
    loss: LossReport

    def _repr_html_(self) -> str:
        from html import escape

        return f"<b>{len(self.files)} files in {escape(str(self.folder))}</b>{self.loss._repr_html_()}"


@dataclass(frozen=True)
class Counted:
    """What the files of an export hold of one source in one stage, counted from the files alone.

    Attributes:
        stage, source: whose part.
        documents: emitted, repeats counted; None where the format does not tell documents apart.
        tokens: ids in the files, those that end a document included; None where the files hold text.
        sequences: training sequences of a fixed length; None where the trainer cuts them.

    """

    stage: str
    source: str
    documents: int | None
    tokens: int | None = None
    sequences: int | None = None


Write = Callable[..., Iterable[Loss]]
Recount = Callable[[Path], Iterable[Counted]]


@dataclass(frozen=True)
class Exporter:
    """How one trainer's files are written: a function ``(manifest, folder, *, root, options) -> losses``; and counted again, by ``recount``."""

    name: str
    about: str
    extra: str | None
    write: Write
    recount: Recount | None = None
    links: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Options and their defaults, from the function's signature."""
        parameters = inspect.signature(self.write).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "root"}


_exporters: dict[str, Exporter] = {}


def exporter(
    name: str, *, about: str, extra: str | None = None, recount: Recount | None = None, links: bool = False
) -> Callable[[Write], Write]:
    """Register ``(manifest, folder, *, root, option=default, …) -> losses`` as the exporter ``name``.

    The function writes its files into ``folder`` (empty, private, renamed when all is done), computes no new decision, and gives one
    `Loss` for each field in `NEUTRAL`. ``root`` is where source files are looked for first; ``extra`` is the installable extra of the
    package that loads the result. ``recount`` counts what finished files hold without the trainer; its counts go into the provenance
    record, and `explorer.exporters.recounted` compares them again later. ``links`` allows links to files of the user's.
    """

    def register(write: Write) -> Write:
        known = _exporters.get(name)
        if known is not None and known.write.__module__ != write.__module__:
            raise ExportError(
                f"Exporter {name!r} is already registered by {known.write.__module__}. Choose another name in {write.__module__}."
            )
        _exporters[name] = Exporter(name, about, extra, write, recount, links)
        return write

    return register


@cache
def _discover() -> None:
    """Import every module of ``explorer.exporters``; there is no list to forget."""
    import explorer.exporters as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"explorer.exporters.{module.name}")


def exporters() -> dict[str, Exporter]:
    """All registered exporters by name."""
    _discover()
    return dict(sorted(_exporters.items()))


def export(
    manifest: Manifest | str | os.PathLike[str],
    *,
    to: str,
    out: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    check_sources: bool = True,
    **options: Any,
) -> ExportReport:
    """Write a trainer's own files for a manifest.

    Args:
        manifest: a manifest, its folder or its ``manifest.json``.
        to: name of the exporter; see `exporters`.
        out: folder to write: absent, empty, or an earlier export, which is replaced.
        root: folder under which source files are looked for when they are no longer where the manifest says.
        check_sources: compare the sha256 of every source file with the manifest's first, which reads them once more. Without it only
            their footers are compared, which do not change with every edit; the report says so.
        **options: of the exporter.

    Returns:
        The files, and what the trainer's format cannot say.

    Raises:
        ManifestError: the manifest is missing, was edited, or holds names that could lead out of the folder.
        ExportError: the exporter or an option is unknown, a source file is missing or changed, or ``out`` cannot be used. Nothing is
            left of a failed export.

    """
    known = exporters()
    if to not in known:
        raise ExportError(f"There is no exporter {to!r}. Exporters: {', '.join(known)}. Name one of them.")
    chosen = known[to]
    for option in options:
        if option not in chosen.options:
            raise ExportError(
                f"Exporter {to!r} has no option {option!r}. Options: {', '.join(chosen.options) or 'none'}. Remove or rename it."
            )
    if not isinstance(manifest, Manifest):
        manifest = read_manifest(manifest)
    check_names(manifest)
    _refuse_empty(manifest)
    folder = Path(out).expanduser().absolute()
    _refuse_sources(manifest, folder, root)
    check_replaceable(folder, what="an export of ours", ours=is_export, error=ExportError)
    if check_sources:
        _check_sources(manifest, root)
    with new_folder(folder, what="an export of ours", ours=is_export, error=ExportError) as temporary:
        try:
            report = LossReport(tuple(chosen.write(manifest, temporary, root=root, **options)))
        except pa.ArrowException as error:
            raise ExportError(
                f"The export to {to!r} failed: {str(error).splitlines()[0]}. Nothing was left behind. Check the sources with: explorer verify MANIFEST"
            ) from error
        missing = [name for name in NEUTRAL if name not in {item.field for item in report.items}]
        if missing:
            raise ExportError(
                f"Exporter {to!r} does not say what becomes of {missing[0]!r}. Every neutral field must be reported. Mend the exporter."
            )
        if not check_sources:
            report = LossReport(tuple(_unchecked(item) if item.field == "selection" else item for item in report.items))
        report = LossReport(tuple(_overridden(item, manifest, options.get("sequence_length")) for item in report.items))
        counts = tuple(chosen.recount(temporary)) if chosen.recount else ()
        _check_counts(chosen, manifest, counts)
        names, links = _written(chosen, temporary)
        _sign(chosen, manifest, temporary, names, report, {**chosen.options, **options}, counts, links)
    files = tuple(folder / name for name in [*sorted([*names, *links]), f"{to}{SUFFIX}"])
    return ExportReport(to, folder, files, report)


def inside(folder: Path, name: str) -> Path:
    """Where an exporter writes the file ``name`` (POSIX, relative): in its folder and nowhere else.

    Raises:
        ExportError: the name is absolute, or leads out of the folder.

    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or path.resolve() == folder.resolve():
        raise ExportError(
            f"An export would write {name!r}. Its files lie in its own folder. Rename the source in the recipe and mix again."
        )
    return path


def _written(chosen: Exporter, folder: Path) -> tuple[list[str], dict[str, int]]:
    """Every file of an export, relative to its folder, and every link with the bytes of what it names.

    Links are for the few exporters that say so, of files of the user's that are too large to copy: what they name is not hashed.
    """
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*")}
    links = {name: p for name, p in sorted(paths.items()) if p.is_symlink()}
    if links and not chosen.links:
        raise ExportError(f"The exporter made the link {next(iter(links))!r}. An export holds files only. Mend the exporter.")
    return sorted(n for n, p in paths.items() if p.is_file() and n not in links), {n: p.stat().st_size for n, p in links.items()}


def _check_counts(chosen: Exporter, manifest: Manifest, counts: Iterable[Counted]) -> None:
    """Refuse an export whose files hold another number of documents than the manifest; one that holds none at all is a recipe only."""
    parts = {(stage.name, c.source): c.resolved.documents for stage in manifest.stages for c in stage.components}
    counts = tuple(counts)
    there = {(item.stage, item.source) for item in counts}
    lost = next((key for key, documents in parts.items() if documents and key not in there), None) if counts else None
    if lost is not None:
        raise ExportError(
            f"The files for {chosen.name!r} hold nothing of {lost[1]!r} in stage {lost[0]!r}, the manifest {parts[lost]} documents. Nothing was left behind. Check the manifest: explorer verify MANIFEST"
        )
    for item in counts:
        wanted = parts.get((item.stage, item.source))
        if wanted is None or item.documents not in (None, wanted):
            raise ExportError(
                f"The files for {chosen.name!r} hold {item.documents} documents of {item.source!r} in stage {item.stage!r}, the manifest {wanted}. Nothing was left behind. Check the manifest: explorer verify MANIFEST"
            )


def recounted(folder: str | os.PathLike[str]) -> list[Check]:
    """Count the files of an export again, without the trainer, and compare with its provenance record: one check a source and stage.

    Raises:
        ExportError: there is no export in the folder.

    """
    place = Path(folder).expanduser()
    if not is_export(place):
        raise ExportError(f"{str(place)!r} is no finished export. Its folder holds one file *{SUFFIX}. Name such a folder.")
    record = next(iter(place.glob(f"*{SUFFIX}")))
    try:
        said = json.loads(record.read_text(encoding="utf-8"))
        was, links, trainer = [Counted(**item) for item in said.get("counts", [])], dict(said.get("links", {})), str(said["exporter"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        edited = f"{record.name} was edited: {type(error).__name__} {error}. Restore it, or export again"
        return [Check("provenance record", "failed", edited)]
    checks = []
    for name, size in links.items():
        there = (place / name).stat().st_size if (place / name).exists() else None
        problem = "" if there == size else "is gone" if there is None else f"has {there:,} bytes, had {size:,}"
        checks.append(Check(f"{trainer}: link", "failed" if problem else "ok", f"{name}: what it names {problem or 'has the same size'}"))
    chosen = exporters().get(trainer)
    if chosen is None or chosen.recount is None:
        return checks
    try:
        now = list(chosen.recount(place))
    except (OSError, ValueError, KeyError, TypeError, ExplorerError) as error:
        return [*checks, Check(f"{chosen.name}: counts", "failed", f"the files cannot be counted: {type(error).__name__} {error}")]
    for old, new in zip_longest(was, now):
        item = old or new
        name = f"{chosen.name}: counts of {item.source} in {item.stage}"
        if old == new:
            said_ = [f"{n:,} {what}" for n, what in ((new.documents, "documents"), (new.tokens, "tokens")) if n is not None]
            checks.append(Check(name, "ok", ", ".join(said_)))
        else:
            checks.append(Check(name, "failed", f"the files hold {new or 'nothing'}, the record says {old or 'nothing'}"))
    return checks


def _refuse_empty(manifest: Manifest) -> None:
    """Refuse a stage of no document, for which most trainers have no files and some no word."""
    empty = next((s.name for s in manifest.stages if not any(c.resolved.documents for c in s.components)), None)
    if empty is not None:
        raise ExportError(
            f"Stage {empty!r} of the manifest comes to 0 documents. A stage that is exported has one or more. Raise its amounts or leave it out, and mix again."
        )


def _overridden(item: Loss, manifest: Manifest, length: int | None) -> Loss:
    """What became of the manifest's sequence length where an option gives another."""
    asked = sorted({stage.sequence_length or manifest.sequence_length or 0 for stage in manifest.stages} - {0, length})
    if item.field != "sequence_length" or item.how != "exact" or length is None or not asked:
        return item
    return Loss(item.field, "dropped", f"{length} by the option sequence_length; the manifest asks for {', '.join(map(str, asked))}")


def _unchecked(loss: Loss) -> Loss:
    return replace(loss, reason=f"{loss.reason}; sources were not hashed, only their footers compared (check_sources=False)")


def _check_sources(manifest: Manifest, root: str | os.PathLike[str] | None) -> None:
    """Refuse sources whose bytes are not those that were mixed; one that is missing is left for the exporter to name."""
    files = [file for source in manifest.sources for file in source.files]
    found = [(path, file) for file in files if (path := locate(file, manifest.folder, root)) is not None]
    paths = list(dict.fromkeys(path for path, _ in found))  # sources may share a file: read it once
    try:
        hashes = dict(zip(paths, hash_all(paths), strict=True))
    except OSError as error:
        raise ExportError(f"A source file cannot be read: {error}. Restore it, or say where the files are now: --root DIR") from error
    for path, file in found:
        if (actual := hashes[path]) != file.sha256:
            raise ExportError(
                f"{path!r} is not the file that was mixed: its sha256 was {file.sha256[:12]}, is {actual[:12]}. Restore it or mix again. See what changed: explorer verify MANIFEST"
            )


def _sign(
    chosen: Exporter,
    manifest: Manifest,
    folder: Path,
    names: list[str],
    report: LossReport,
    options: Mapping[str, Any],
    counts: Iterable[Counted],
    links: Mapping[str, int],
) -> None:
    """Write what was exported, from which manifest and with which hashes; the last file of an export."""
    hashes = hash_all(folder / name for name in names)
    said: dict[str, Any] = {
        "schema": SCHEMA,
        "exporter": chosen.name,
        "options": dict(options),
        "manifest": {"name": manifest.name, "hash": manifest.hash},
        "provenance": {"tool": "corpus-explorer", "version": __version__},
        "files": [{"path": name, "sha256": sha, "bytes": (folder / name).stat().st_size} for name, sha in zip(names, hashes, strict=True)],
        "loss": [asdict(item) for item in report.items],
        "counts": [asdict(item) for item in counts],
        "links": dict(links),
    }
    said["hash"] = digest(said)
    text = json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / f"{chosen.name}{SUFFIX}").write_text(text, encoding="utf-8")


def is_export(folder: Path) -> bool:
    """Whether ``folder`` holds one export of ours and nothing that it did not write."""
    signed = list(folder.glob(f"*{SUFFIX}"))
    if len(signed) != 1:
        return False
    try:
        said = json.loads(signed[0].read_text(encoding="utf-8"))
        written = {*(item["path"] for item in said["files"]), *said.get("links", ())} if said["schema"] == SCHEMA else set()
    except (OSError, ValueError, KeyError, TypeError):
        return False
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir() and p.parent.name != "__pycache__"}
    return bool(written) and there <= written | {signed[0].name}


def _refuse_sources(manifest: Manifest, folder: Path, root: str | os.PathLike[str] | None) -> None:
    target = os.path.realpath(folder)
    for source in manifest.sources:
        for file in source.files:
            path = locate(file, manifest.folder, root)
            if path is not None and "://" not in path and os.path.commonpath([target, os.path.realpath(path)]) == target:
                raise ExportError(
                    f"{str(folder)!r} holds the source file {path!r}. Sources are never written over. Give --out another folder."
                )
    if manifest.folder is not None and os.path.commonpath([target, os.path.realpath(manifest.folder)]) == target:
        raise ExportError(f"{str(folder)!r} holds the manifest itself. An export goes to a folder of its own. Give --out another folder.")
