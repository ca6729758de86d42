"""Load an export with its own loader and Hugging Face datasets, in order and interleaved: ``check_parquet.py EXPORT`` (datasets==5.2.0).

The export is one of ``columns: text``.
"""

import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from counting import Read

scratch = tempfile.TemporaryDirectory()
os.environ |= {"HF_DATASETS_CACHE": scratch.name, "HF_HUB_OFFLINE": "1"}
export, out = Path(sys.argv[1]).absolute(), sys.stdout
sys.stdout = sys.stderr
sys.path.insert(0, str(export))
sys.dont_write_bytecode = True
import json

from load_mix import load_mix

read, drawn, wrong = Read(), Read(), []
for stage in json.loads((export / "mix.json").read_text())["stages"]:
    for row in load_mix(stages=[stage["name"]]):
        read.add(stage["name"], row["source"], row["text"])
    for row in load_mix(stages=[stage["name"]], interleaved=True):
        drawn.add(stage["name"], row["source"], row["text"])
if read.stages() != drawn.stages():
    wrong.append("interleaved, a source's documents are other ones or in another order")
sys.stdout = out
sys.exit(read.report({"datasets": version("datasets")}, wrong))
