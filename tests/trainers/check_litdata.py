"""Stream an export with litdata and hold its index against litdata's own: ``check_litdata.py EXPORT`` (litdata==0.2.76, pyarrow, polars)."""

import json
import logging
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from counting import Read

scratch = tempfile.TemporaryDirectory()
os.environ["DATA_OPTIMIZER_CACHE_FOLDER"] = scratch.name
logging.disable(logging.WARNING)
export, out = Path(sys.argv[1]).absolute(), sys.stdout
sys.stdout = sys.stderr
sys.path.insert(0, str(export))
sys.dont_write_bytecode = True
import litdata
import litdata_mix

read, wrong = Read(), []
for stage in litdata_mix.MIX["stages"]:
    for row in litdata_mix.stream(stage["name"]):
        read.add(stage["name"], row["source"], row["text"])
    ours = json.loads((export / stage["folder"] / "index.json").read_text())
    copy = Path(scratch.name) / "copy" / stage["name"]
    shutil.copytree(export / stage["folder"], copy, ignore=shutil.ignore_patterns("index.json"))
    litdata.index_parquet_dataset(str(copy))
    theirs = json.loads((copy / "index.json").read_text())
    for index in (ours, theirs):
        index["chunks"].sort(key=lambda chunk: chunk["filename"])
        del index["updated_at"]
    if ours != theirs:
        wrong.append(f"{stage['name']}: the index is not the one that litdata writes")
sys.stdout = out
sys.exit(read.report({"litdata": version("litdata")}, wrong))
