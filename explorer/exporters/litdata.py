"""litdata: one mixed sequence of Parquet a stage with litdata's own index, and a Python module that streams it.

litdata's weighted mixing draws streams by chance and ends with the first that is used up; the sequence is mixed here instead. The
index names the files in order: litdata's own indexer takes them as the folder lists them.

Source: litdata 0.2.76, ``streaming/writer.py`` (``index_parquet_dataset``), ``utilities/parquet.py``, ``streaming/combined.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from explorer.exporters.base import Loss, exporter, inside
from explorer.exporters.ordered import Sources, open_sources
from explorer.exporters.premixed import Premixed, losses_mixed, write_module, write_premixed
from explorer.exporters.start import write_start
from explorer.manifest.model import Manifest

MODULE = "litdata_mix.py"


@exporter("litdata", about="litdata index and a Python module over one mixed sequence of Parquet a stage")
def litdata(
    manifest: Manifest, folder: Path, *, root: str | os.PathLike[str] | None = None, rows_per_file: int | None = None
) -> Iterable[Loss]:
    """Write ``litdata_mix.py``, ``mix.json``, ``index.json`` and ``mix-00000.parquet`` …; several stages lie in a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        rows_per_file: None: files of about 256 MB of uncompressed text. litdata deals whole files to workers.

    """
    sources = open_sources(manifest, root, blank=True)
    stages = [write_premixed(sources, stage, folder, rows_per_file=rows_per_file) for stage in manifest.stages]
    for stage in stages:
        _write_index(sources, stage, folder)
    write_module(manifest, stages, folder, MODULE)
    write_start(
        folder,
        "litdata",
        ['python -c "from litdata_mix import stream; print(next(iter(stream())))"'],
        "In your data module: from litdata_mix import stream" + ("; a stage is stream('NAME')" if len(stages) > 1 else ""),
        "litgpt takes no weights either; give it the stream in a data module of yours.",
    )
    found = losses_mixed(manifest, stages)
    found["order"] = Loss("order", "exact", f"{found['order'].reason}; several workers read different files, each mixed in the same shares")
    if len(stages) > 1:
        found["stages"] = Loss("stages", "exact", f"{len(stages)} streams, one a stage: read them in order")
    return found.values()


def _write_index(sources: Sources, stage: Premixed, folder: Path) -> None:
    """The ``index.json`` that litdata's indexer would write, but for the order of files and the time."""
    chunks = [
        {"chunk_bytes": (folder / name).stat().st_size, "chunk_size": rows, "dim": None, "filename": PurePosixPath(name).name}
        for name, rows in zip(stage.files, stage.rows, strict=True)
    ]
    config = {
        "chunk_bytes": None,
        "chunk_size": None,
        "compression": None,
        "data_format": [str(field.type) for field in sources.schema],
        "data_spec": None,
        "encryption": None,
        "item_loader": "ParquetLoader",
        "types": None,
    }
    said = json.dumps({"chunks": chunks, "config": config, "updated_at": "0"}, sort_keys=True)
    inside(folder, f"{PurePosixPath(stage.files[0]).parent.as_posix()}/index.json").write_text(said, encoding="utf-8")
