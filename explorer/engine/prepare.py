"""Compile every kernel now instead of at its first use: ``python -m explorer.engine.prepare``, once an installation.

Numba keeps what it compiled beside the modules (or in the user's cache folder when that cannot be written), so a set-up that ends
with this makes the first score, the first drag of a cut and the first test as quick as all others.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from explorer.engine.local import Progress


def prepare() -> float:
    """Compile what documents and what pairs need; returns the seconds it took.

    In one process: numba's cache takes no lock, and two that write it at once can mistake each other's files.
    """
    started = time.monotonic()
    _documents()
    _pairs()
    return time.monotonic() - started


def _documents() -> None:
    """Score, select from and tune a corpus of one document in a temporary folder."""
    from explorer.corpus.corpus import open_corpus
    from explorer.engine.local import score
    from explorer.selection.recipes import recipes
    from explorer.selection.tuning import Tuning

    with tempfile.TemporaryDirectory() as folder:
        corpus = open_corpus(_one(folder), workspace=Path(folder) / "workspace")
        score(corpus, ["heuristics", "exact_duplicates", "minhash", "repeated_lines"], on_progress=_show)
        filters = recipes["gopher"]
        corpus.select(filters).summary()
        Tuning(corpus).tuned(filters.filters)


def _pairs() -> None:
    """Audit a pair of one document with itself."""
    from explorer.corpus.corpus import open_corpus
    from explorer.engine.local import score
    from explorer.rewrites.pairs import open_pairs

    with tempfile.TemporaryDirectory() as folder:
        file = _one(folder)
        score(open_pairs(open_corpus(file, workspace=Path(folder) / "workspace"), file, on="id"), ["audit"], on_progress=_show)


def _one(folder: str) -> Path:
    file = Path(folder) / "one.parquet"
    pq.write_table(pa.table({"id": ["one"], "text": ["A first document. It has two sentences, and é."], "edu": [1.0]}), file)
    return file


def _show(progress: Progress) -> None:
    if progress.doing:
        print(progress.doing, file=sys.stderr)


if __name__ == "__main__":
    print(f"All kernels are compiled ({prepare():.0f} s).", file=sys.stderr)
