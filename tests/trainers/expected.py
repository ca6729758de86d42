"""What a manifest promises, in the form in which the checks of this folder report what a trainer read: ``expected.py MANIFEST``."""

import sys
import tempfile
from pathlib import Path

from counting import Read

from explorer.exporters.ordered import batches, open_part, open_sources
from explorer.manifest.model import Manifest, read_manifest


def expected(manifest: Manifest) -> Read:
    """Every document that is emitted, in order."""
    sources, read = open_sources(manifest), Read()
    for stage in manifest.stages:
        for component in stage.components:
            with tempfile.TemporaryDirectory() as scratch:
                for batch in batches(open_part(sources, component), Path(scratch)):
                    for text in batch.column(sources.text).to_pylist():
                        read.add(stage.name, component.source, text or "")
    return read


if __name__ == "__main__":
    sys.exit(expected(read_manifest(sys.argv[1])).report({"manifest": sys.argv[1]}))
