"""What a manifest promises, in the form in which the checks of this folder report what a trainer read: ``expected.py MANIFEST``."""

import sys
import tempfile
from pathlib import Path

from counting import Read

from explorer.exporters.ordered import batches, open_part, open_sources
from explorer.manifest.model import read_manifest

manifest = read_manifest(sys.argv[1])
sources, read = open_sources(manifest), Read()
for stage in manifest.stages:
    for component in stage.components:
        with tempfile.TemporaryDirectory() as scratch:
            for batch in batches(open_part(sources, component), Path(scratch)):
                for text in batch.column(sources.text).to_pylist():
                    read.add(stage.name, component.source, text or "")
read.print(manifest=manifest.name)
