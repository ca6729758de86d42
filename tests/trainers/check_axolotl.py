"""Load an export with axolotl's own schema, dataset loader and merger: ``check_axolotl.py EXPORT`` (axolotl==0.19.0, CPU)."""

import os
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.filterwarnings("ignore")
scratch = tempfile.TemporaryDirectory()
os.environ |= {"HF_DATASETS_CACHE": scratch.name, "HF_HUB_OFFLINE": "1"}
export, out = Path(sys.argv[1]).absolute(), sys.stdout
sys.stdout = sys.stderr
import yaml
from axolotl.utils.data.shared import load_dataset_with_config, merge_datasets
from axolotl.utils.dict import DictDefault
from axolotl.utils.schemas.datasets import SFTDataset
from counting import Read

os.chdir(export)
read, said = Read(), {}
for line in (export / "README.txt").read_text().splitlines():
    if not line.startswith("    axolotl train"):
        continue
    name = line.split()[-1]
    config = DictDefault(yaml.safe_load(Path(name).read_text()))
    stage = Path(name).stem.removeprefix("axolotl").removeprefix("-") or "all"
    entries = [DictDefault(SFTDataset(**entry).model_dump(exclude_none=True)) for entry in config.datasets]
    merged = merge_datasets([load_dataset_with_config(entry, False) for entry in entries], config)
    for row in merged:
        read.add(stage, row["source"], row["text"])
    said[stage] = [entry.type for entry in entries]
sys.stdout = out
sys.exit(read.report({"axolotl": version("axolotl")}, types=said))
