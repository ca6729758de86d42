"""Opening many small files: footers only, and what the first looks at a corpus cost. Run: python benchmarks/opening.py [FILES]"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.corpus import open_corpus
from explorer.engine.local import score

BUDGET_SECONDS = 2.0  # for 1,000 files


def best_of(times: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest run."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def main(files: int = 1_000) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        for i in range(files):
            texts = [f"document {i} {j} " * 20 for j in range(20)]
            pq.write_table(
                pa.table({"id": [f"{i}-{j}" for j in range(20)], "text": texts, "source": ["web"] * 20}), data / f"{i:05d}.parquet"
            )
        workspace = Path(folder) / "workspace"
        corpus = open_corpus(data, workspace=workspace)
        seconds = {
            "open": best_of(3, lambda: open_corpus(data, workspace=workspace)),
            "problems": best_of(1, lambda: corpus.problems),
            "count by source (DuckDB)": best_of(
                3, lambda: corpus.database.frame(f"SELECT source, count(*) FROM {corpus.database.source()} GROUP BY 1")
            ),
            "score pii": best_of(1, lambda: score(corpus, ["pii"])),
            "coverage": best_of(3, lambda: corpus.coverage().columns()),
            "load a signal": best_of(1, lambda: corpus.columns.numbers("pii_n_email")),
            "load it again": best_of(3, lambda: corpus.columns.numbers("pii_n_email")),
        }
    print(json.dumps({"files": files, "seconds": {k: round(v, 4) for k, v in seconds.items()}}, indent=1))
    if seconds["open"] > BUDGET_SECONDS * files / 1_000:
        print(
            f"Opening took {seconds['open']:.2f} s; the budget for {files:,} files is {BUDGET_SECONDS * files / 1_000:.2f} s.",
            file=sys.stderr,
        )
        sys.exit(1)
    return seconds


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
