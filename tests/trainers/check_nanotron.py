"""Load an export for nanotron with its own code and count the mix that comes out.

Needs a checkout of nanotron (NANOTRON=<checkout>) and ``torch datatrove==0.10.1 dacite transformers pyyaml pybind11`` in the
environment it runs in, nothing else of this repository::

    NANOTRON=… python tests/trainers/check_nanotron.py EXPORT_FOLDER

Packages that want a GPU are replaced by empty ones; the configuration and data code is nanotron's. With datatrove 0.10.1 its default loader
fails, so its older one is asked for (``use_old_brrr_dataloader``). Wrong is a source that is not read in order, each sequence once.
"""

import importlib.abc
import importlib.machinery
import json
import os
import sys
import tempfile
import types
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from unittest.mock import MagicMock

sys.path.insert(0, os.path.join(os.environ["NANOTRON"], "src"))


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Packages that need a GPU."""

    names = ("flash_attn", "triton", "grouped_gemm", "functorch_dummy", "boto3", "botocore", "s3fs", "lighteval")

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self.names else None

    def create_module(self, spec):
        module = MagicMock(name=spec.name)
        module.__spec__, module.__path__, module.__version__ = spec, [], "2.7.0"
        return module

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Absent())

import dacite
import numpy as np
import torch.distributed as dist
import yaml
from counting import report
from nanotron.config.config import DatasetStageArgs, NanosetDatasetsArgs
from nanotron.data.tokenized_bytes import get_tb_datasets


def main() -> int:
    """Count every stage."""
    os.chdir(sys.argv[1])
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]  # nanotron's Makefile asks python3 for pybind11
    dist.init_process_group("gloo", init_method="file://" + tempfile.mktemp(), rank=0, world_size=1)
    record = json.loads(Path("tokens.json").read_text())
    written = yaml.safe_load(Path("data_stages.yaml").read_text())["data_stages"]
    for stage in written:
        stage["data"]["dataset"]["use_old_brrr_dataloader"] = True
        stage["data"]["dataset"]["return_positions"] = False
    config = dacite.Config(cast=[Path], strict_unions_match=True, strict=True)
    stages = [dacite.from_dict(DatasetStageArgs, stage, config=config) for stage in written]
    said, wrong, start = {}, [], 1
    for stage in stages:
        assert isinstance(stage.data.dataset, NanosetDatasetsArgs), stage
        assert stage.start_training_step == start, stage
        length, steps = stage.sequence_length, record["steps"][stage.name]
        start += steps
        context = types.SimpleNamespace(world_pg=dist.group.WORLD)
        data, _ = get_tb_datasets(
            stage.data.dataset,
            length,
            global_batch_size=record["batch_size"],
            train_steps=steps,
            current_iteration=0,
            parallel_context=context,
            eos_token_id=record["eos"]["id"],
            seed=stage.data.seed,
            last_stages_consumed_tokens_per_dataset_folder={},
        )
        parts = {p["source"]: p for p in record["parts"] if p["stage"] == stage.name and p["tokens"]}
        place, alike = defaultdict(list), 0
        for name, part in parts.items():
            ids = np.fromfile(f"{part['stem']}.ds", record["dtype"]).astype(np.int64)
            for i, row in enumerate(ids[: len(ids) // (length + 1) * (length + 1)].reshape(-1, length + 1)):
                place[row.tobytes()].append((name, i))
                alike += place[row.tobytes()][0][0] != name
        assert alike < 0.001 * len(data), f"{alike} sequences are alike in two sources, so they cannot be told apart"
        read = defaultdict(list)
        for i in range(len(data)):
            row = np.asarray(data[i]["input_ids"], np.int64).tobytes()
            name = place[row][0][0]
            read[name].append(next((j for n, j in place[row] if n == name and j == len(read[name])), -1))
        for name in parts:
            if read[name] != list(range(len(read[name]))):
                wrong.append(f"{stage.name}: {name} is not read in order, each sequence once")
            said.setdefault(stage.name, {})[name] = {"share": round(len(read[name]) / len(data), 6), "sequences": len(read[name])}
    return report({"datatrove": version("datatrove")}, "sequences", said, wrong)


if __name__ == "__main__":
    sys.exit(main())
