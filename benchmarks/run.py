"""Run every benchmark and write RESULTS.md beside this file, with the machine's description.

    python benchmarks/run.py [FILES…] [--only duplicates,search] [--peer-python datatrove=/path/bin/python] [--peer-python nemo=…]

Without FILES the heuristics are timed on the larger sample (`explorer sample DIR --from-python`). A peer that is missing is said to be
missing. Figures of a busy machine are poor: the load is written beside them.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import duckdb
import numba
import polars as pl
import psutil
import pyarrow as pa

import explorer
from explorer.sample import write_python_corpus

HERE = Path(__file__).parent
TEXT_BYTES = 60_000_000


def machine() -> str:
    """What the figures were measured on."""
    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{date.today()} · {model or platform.machine()} · {os.cpu_count()} cores · {psutil.virtual_memory().total / 2**30:.0f} GiB · "
        f"Python {platform.python_version()}, duckdb {duckdb.__version__}, polars {pl.__version__}, pyarrow {pa.__version__}, "
        f"numba {numba.__version__} · corpus-explorer {explorer.__version__} · load average before the run {load}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def section(title: str, *command: str) -> str:
    """One script's output under a heading, with the machine as it was then; a failing script fails the run."""
    print(f"running {title} …", file=sys.stderr, flush=True)
    head = machine()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{title} ended with {done.returncode}:\n{done.stderr[-2000:]}", file=sys.stderr)
    said = done.stdout.strip()
    if not said:
        raise SystemExit(f"{title} said nothing.")
    return f"## {title}\n\n{head}\n\n" + (f"```json\n{said}\n```\n" if said.startswith("{") else f"{said}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--peer-python", action="append", default=[])
    parser.add_argument("--only", default="", help="Names of sections; the others stay as they are in RESULTS.md.")
    given = parser.parse_args()
    peers = [part for peer in given.peer_python for part in ("--peer-python", peer)]
    with tempfile.TemporaryDirectory() as folder:
        files = given.files or [str(path) for path in write_python_corpus(Path(folder) / "python", max_bytes=TEXT_BYTES)]
        sections = {
            "heuristics": ("Heuristic signals against their references", "heuristics.py", *files, "--peers", "datatrove,nemo", *peers),
            "thresholds": ("Threshold tuning at 10 million documents", "thresholds.py"),
            "opening": ("Opening 1,000 files", "opening.py"),
            "embedding": ("Embedding against plain encode", "embedding.py", *files),
            "duplicates": ("Near-duplicates from text to groups", "duplicates.py", *files, *peers),
            "pairs": ("Checks of rewrites", "pairs.py", *files),
            "export": ("Exports", "export.py", *files),
            "search": ("Search by meaning over a million vectors", "semantic_search.py"),
            "map": ("The map in a browser", "map.py"),
        }
        chosen = [name.strip() for name in given.only.split(",") if name.strip()] or list(sections)
        results = HERE / "RESULTS.md"
        known = dict(_sections(results.read_text(encoding="utf-8"))) if given.only and results.exists() else {}
        for name in chosen:
            title, script, *rest = sections[name]
            known[title] = section(title, str(HERE / script), *rest)
            results.write_text("# Results\n\n" + "\n".join(known.values()), encoding="utf-8")


def _sections(page: str) -> list[tuple[str, str]]:
    """Title and text of each section of a page of results."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    return [(part.split("\n", 1)[0].removeprefix("## "), part.rstrip("\n") + "\n") for part in parts]


if __name__ == "__main__":
    main()
