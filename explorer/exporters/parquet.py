"""Materialised Parquet: exactly the chosen documents, in order, repeats included; what nearly every trainer reads.

Beside the files lie ``mix.json`` and ``load_mix.py``, which load them with Hugging Face ``datasets``. The bytes depend on the
manifest and the options alone: rows a file and a row group follow from the footers, codec and level are fixed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from explorer.exporters.base import Counted, Loss, exporter, inside
from explorer.exporters.ordered import Written, losses, open_sources, write_sources
from explorer.manifest.model import Manifest

LOADER = Path(__file__).parent / "loaders" / "load_mix.py"


@exporter(
    "parquet",
    about="Parquet files of exactly the chosen documents, with a loader for Hugging Face datasets",
    extra="hf",
    recount=lambda folder: _recount(folder),
)
def parquet(
    manifest: Manifest,
    folder: Path,
    *,
    root: str | os.PathLike[str] | None = None,
    columns: str = "all",
    rows_per_file: int | None = None,
) -> Iterable[Loss]:
    """Write ``<source>-00000.parquet`` …, ``mix.json`` and ``load_mix.py``; several stages lie in a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        columns: ``all`` columns of the sources (a source that lacks one gets nulls), or ``text``: text, stable id and source name.
        rows_per_file: None: files of about 256 MB of uncompressed data.

    """
    sources = open_sources(manifest, root, columns=columns)
    stages = {stage.name: write_sources(sources, stage, folder, rows_per_file=rows_per_file) for stage in manifest.stages}
    said = {
        "schema": "corpus-explorer/mix/2",
        "name": manifest.name,
        "manifest": manifest.hash,
        "seed": manifest.seed,
        "text": sources.text,
        "stages": [_stage(name, written) for name, written in stages.items()],
        "stopping_strategy": "all_exhausted_without_replacement",
    }
    text = json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "mix.json").write_text(text, encoding="utf-8")
    shutil.copyfile(LOADER, folder / LOADER.name)
    return losses(manifest, [part for written in stages.values() for part in written]).values()


def _stage(name: str, written: Sequence[Written]) -> dict[str, Any]:
    total = sum(part.documents for part in written)
    return {
        "name": name,
        "sources": [{"name": p.source, "files": list(p.files), "documents": p.documents, "tokens": p.tokens} for p in written],
        "probabilities": [part.documents / total for part in written],
    }


def _recount(folder: Path) -> Iterator[Counted]:
    for stage in json.loads((folder / "mix.json").read_text(encoding="utf-8"))["stages"]:
        for part in stage["sources"]:
            documents = sum(pq.read_metadata(inside(folder, name)).num_rows for name in part["files"])
            yield Counted(stage["name"], part["name"], documents)
