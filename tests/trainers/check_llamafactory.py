"""Load an export with LLaMA-Factory's own argument parser, loader and merger: ``check_llamafactory.py EXPORT`` (llamafactory==0.9.5).

Run it in an environment without torchvision; an empty torchaudio stands in, which the text path does not use.
"""

import importlib.machinery
import json
import os
import sys
import tempfile
import types
from importlib.metadata import version
from pathlib import Path

export, out = Path(sys.argv[1]).absolute(), sys.stdout
sys.stdout = sys.stderr  # the trainer logs to both
scratch = tempfile.TemporaryDirectory()
os.environ |= {"HF_DATASETS_CACHE": scratch.name, "HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1"}
try:
    import torchaudio  # noqa: F401
except Exception:
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    sys.modules["torchaudio"].__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
import pyarrow.parquet as pq
import yaml
from counting import Read, owners
from llamafactory.data.data_utils import merge_dataset
from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams.data_args import DataArguments
from llamafactory.hparams.finetuning_args import FinetuningArguments
from llamafactory.hparams.model_args import ModelArguments
from transformers import HfArgumentParser

names = [line.split()[2] for line in (export / "README.txt").read_text().splitlines() if line.startswith("    llamafactory-cli")]
os.chdir(export)
read, said = Read(), {}
for name in names:
    given = yaml.safe_load(Path(name).read_text())
    rest = {key: given.pop(key) for key in ("do_train", "num_train_epochs", "seed")}
    parser = HfArgumentParser((DataArguments, ModelArguments, FinetuningArguments))
    data, model, tuning = parser.parse_dict({**given, "template": "default", "model_name_or_path": "none", "cache_dir": scratch.name})
    training = types.SimpleNamespace(seed=rest["seed"], do_train=True, should_log=False, local_process_index=0, process_index=0)
    sets = [_load_single_dataset(of, model, data, training) for of in get_dataset_list(data.dataset, data.dataset_dir)]
    merged = merge_dataset(sets, data, seed=rest["seed"])
    stage = Path(name).stem.removeprefix("llamafactory").removeprefix("-") or "all"
    files = [json.loads(Path("dataset_info.json").read_text())[of]["file_name"] for of in given["dataset"].split(",")]
    tables = [pq.read_table(file, columns=["text", "source"]).to_pylist() for file in files]
    owner = owners((row["text"], row["source"]) for table in tables for row in table)
    for row in merged:
        text = row["_prompt"][0]["content"]
        read.add(stage, owner[text], text)
    said[stage] = {"disable_shuffling": tuning.disable_shuffling, "packing": data.packing, "cutoff_len": data.cutoff_len}
sys.stdout = out
sys.exit(read.report({"llamafactory": version("llamafactory")}, said=said))
