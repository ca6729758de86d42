"""What a manifest promises, in the form in which the checks of this folder report what a trainer read: ``expected.py MANIFEST [FILE]``.

FILE is written, for the checks' variable ``TEXT_TOKENS``: how many tokens the manifest counts for each text.
"""

import json
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from counting import Read, digest

from explorer.exporters.documents import selection_path
from explorer.exporters.ordered import batches, open_part, open_sources
from explorer.manifest.model import Manifest, read_manifest


def expected(manifest: Manifest) -> Read:
    """Every document that is emitted, in order; ``tokens`` has those of every text."""
    tokens: dict[str, float] = {}
    sources, read = open_sources(manifest), Read(tokens)
    for stage in manifest.stages:
        for component in stage.components:
            part = open_part(sources, component)
            counted = pq.read_table(selection_path(manifest, component), columns=["tokens"], partitioning=None)["tokens"].to_numpy()
            sizes = iter(counted[part.documents.index].tolist())
            with tempfile.TemporaryDirectory() as scratch:
                for batch in batches(part, Path(scratch)):
                    for text in batch.column(sources.text).to_pylist():
                        tokens[digest(text or "")] = next(sizes)
                        read.add(stage.name, component.source, text)
    return read


if __name__ == "__main__":
    found = expected(read_manifest(sys.argv[1]))
    if sys.argv[2:]:
        Path(sys.argv[2]).write_text(json.dumps(found.tokens), encoding="utf-8")
    sys.exit(found.report({"manifest": sys.argv[1]}))
