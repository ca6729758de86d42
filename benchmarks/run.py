"""Run every benchmark and write RESULTS.md beside this file, with the machine's description.

    python benchmarks/run.py [FILES…] [--peer-python datatrove=/path/bin/python] [--peer-python nemo=/path/bin/python]

Without FILES the heuristics are timed on the larger sample (`explorer sample DIR --from-python`). A peer that is missing is said to be
missing. Figures of a busy machine are poor: the load is written beside them.
"""

from __future__ import annotations

import argparse
import os
import platform
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
    """One script's output under a heading; a failing script fails the run."""
    print(f"running {title} …", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{title} failed:\n{done.stderr}")
    said = done.stdout.strip()
    return f"## {title}\n\n" + (f"```json\n{said}\n```\n" if said.startswith("{") else f"{said}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--peer-python", action="append", default=[])
    given = parser.parse_args()
    peers = [part for peer in given.peer_python for part in ("--peer-python", peer)]
    head = machine()
    with tempfile.TemporaryDirectory() as folder:
        files = given.files or [str(path) for path in write_python_corpus(Path(folder) / "python", max_bytes=TEXT_BYTES)]
        parts = [
            section("Heuristic signals against their references", str(HERE / "heuristics.py"), *files, "--peers", "datatrove,nemo", *peers),
            section("Threshold tuning at 10 million documents", str(HERE / "thresholds.py")),
            section("Opening 1,000 files", str(HERE / "opening.py")),
        ]
    (HERE / "RESULTS.md").write_text(f"# Results\n\n{head}\n\n" + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
