"""torchtitan 0.3.0: a Python module that registers one mixed sequence of Parquet a stage, for torchtitan has no file for datasets.

Its own interleaving draws packed sources by chance, so a short run misses the shares; the sequence is mixed here instead.

Source: torchtitan 0.3.0, ``hf_datasets/text_datasets.py``. Later versions replace that module; the registration then fails to import.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from explorer.exporters.base import Loss, exporter
from explorer.exporters.ordered import open_sources
from explorer.exporters.premixed import losses_mixed, write_module, write_premixed
from explorer.exporters.start import write_start
from explorer.manifest.model import Manifest

MODULE = "torchtitan_mix.py"


@exporter("torchtitan", about="A Python module for torchtitan 0.3.0 over one mixed sequence of Parquet a stage")
def torchtitan(
    manifest: Manifest, folder: Path, *, root: str | os.PathLike[str] | None = None, rows_per_file: int | None = None
) -> Iterable[Loss]:
    """Write ``torchtitan_mix.py``, ``mix.json`` and ``mix-00000.parquet`` …; several stages lie in a folder each.

    Args:
        manifest: what to emit.
        folder: an empty folder.
        root: where source files are looked for first.
        rows_per_file: None: files of about 256 MB of uncompressed text.

    """
    sources = open_sources(manifest, root, blank=True)
    stages = [write_premixed(sources, stage, folder, rows_per_file=rows_per_file) for stage in manifest.stages]
    write_module(manifest, stages, folder, MODULE)
    write_start(
        folder,
        "torchtitan",
        ["PYTHONPATH=$PWD:$PYTHONPATH torchrun … -m torchtitan.train …"],
        "In your config function: import torchtitan_mix; config.dataloader = torchtitan_mix.dataloader()",
        "A stage is dataloader('NAME'), a run of its own from the checkpoint of the one before." if len(stages) > 1 else "",
        "Written for torchtitan 0.3.0. Ranks read every n-th document, each in order.",
    )
    found = losses_mixed(manifest, stages)
    found["epochs"] = Loss("epochs", "exact", "infinite=False ends with the files, which hold every pass")
    if len(stages) > 1:
        found["stages"] = Loss("stages", "exact", f"{len(stages)} datasets, one a stage: run them in order")
    return found.values()
