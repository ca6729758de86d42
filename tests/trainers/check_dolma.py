"""Run dolma's own mixer on an export and count what it wrote: ``check_dolma.py EXPORT`` (dolma==1.2.1)."""

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from counting import Read

export, read = Path(sys.argv[1]).absolute(), Read()
command = str(Path(sys.executable).parent / "dolma")
with tempfile.TemporaryDirectory() as scratch:
    folder = Path(scratch) / "export"
    shutil.copytree(export, folder)
    commands = [line.split() for line in (folder / "README.txt").read_text().splitlines() if line.startswith("    dolma")]
    for _, *arguments in commands:
        done = subprocess.run([command, *arguments], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"dolma {' '.join(arguments)} failed: {done.stderr[-2000:]}")
        stage = Path(arguments[1]).stem.removeprefix("mixer").removeprefix("-")
        for file in sorted((folder / f"mixed-{stage}".removesuffix("-")).rglob("*.gz")):
            with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
                for document in map(json.loads, lines):
                    read.add(stage or "all", document["source"], document["text"])
sys.exit(read.report({"dolma": version("dolma")}))
