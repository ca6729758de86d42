"""How a trainer is started on an export: a ``README.txt`` beside its files, never inside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from explorer.errors import ExportError
from explorer.manifest.model import Manifest

START = "README.txt"


def write_start(folder: Path, trainer: str, commands: Iterable[str], *notes: str, at: str = "") -> None:
    """Write what is to be run in the folder, and what to know before; ``at`` is where the trainer finds the files, '' for relative paths."""
    where = f"Paths lead to {at}: the files must be there." if at else "Paths are relative: run this in this folder."
    lines = [f"For {trainer}. {where}", "", *(f"    {command}" for command in commands), ""]
    lines += [note for note in notes if note]
    lines += [f"What the files keep of the manifest and what they cannot say: the list 'loss' in {trainer}.provenance.json."]
    (folder / START).write_text("\n".join(lines) + "\n", encoding="utf-8")


def whole_number(name: str, value: object, why: str = "") -> int:
    """An option that must be a whole number above 0, refused where it is none; ``why`` it is needed."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ExportError(f"{name} is {value!r}. It must be a whole number above 0{why and f': {why}'}. Set it: -o {name}=NUMBER")
    return value


def whole_numbers(**options: object) -> None:
    """Refuse options that are given and are no whole number above 0."""
    for name, value in options.items():
        if value is not None:
            whole_number(name, value)


def stage_file(manifest: Manifest, stem: str, stage: str, suffix: str = ".yaml") -> str:
    """Name of a stage's own file: ``stem.yaml``, with the stage's name where there are several."""
    return f"{stem}{suffix}" if len(manifest.stages) == 1 else f"{stem}-{stage}{suffix}"
