"""Read an export with open_lm's own manifest reader and loader: ``OPEN_LM=CHECKOUT check_open_lm.py EXPORT`` (webdataset==0.2.86).

Its GPU packages are stood in for; the data code is its own. The export was given ``tokenizer``, a folder in whose tokens a source can be
read (web17), and ``sequence_length``. Counts the ids that the loader gives in one epoch with one worker.
"""

import importlib.abc
import importlib.machinery
import json
import logging
import os
import shlex
import sys
import types
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from unittest.mock import MagicMock

from counting import report, source_of

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
export, checkout = Path(sys.argv[1]).absolute(), Path(os.environ["OPEN_LM"]).absolute()
package = types.ModuleType("open_lm")
package.__path__ = [str(checkout / "open_lm")]
sys.modules["open_lm"] = package
GPU = (
    "xformers",
    "composer",
    "llmfoundry",
    "wandb",
    "boto3",
    "botocore",
    "multiprocess",
    "transformers",
    "open_lm.model",
    "open_lm.attention",
)


class Stand(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Empty modules for what needs a GPU."""

    def find_spec(self, name, path=None, target=None):
        known = name in GPU or name.split(".")[0] in GPU
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec):
        module = MagicMock(name=spec.name)
        module.__spec__, module.__path__ = spec, []
        return module

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Stand())
from open_lm.data import get_wds_dataset
from open_lm.file_utils import get_metadata_file, get_string_for_epoch
from open_lm.params import parse_args

options = json.loads((export / "open-lm.provenance.json").read_text())["options"]
vocabulary = json.loads((Path(options["tokenizer"]) / "tokenizer.json").read_text())["model"]["vocab"]
names = {number: source_of(word) for word, number in vocabulary.items()}
commands = [line for line in (export / "README.txt").read_text().splitlines() if line.startswith("    torchrun")]
os.chdir(export)
said, wrong = {}, []
for command in commands:
    words = shlex.split(command)
    a = parse_args([*words[words.index("open_lm.main") + 1 :], "--workers", "1"])
    listed = get_metadata_file(a.dataset_manifest[0])
    total = sum(shard["num_sequences"] for shard in listed)
    shards, samples, _ = get_string_for_epoch(total, [0], [str(export / a.dataset_manifest[0])], None, 1, 1)
    a.train_data, a.train_num_samples, a.per_gpu_batch_size, a.global_batch_size = shards, total, 1, 1
    a.world_size, a.rank, a.distributed, a.seed, a.dataset_resampled = 1, 0, False, 0, False
    a.seq_len, a.vocab_size = options["sequence_length"], len(names)
    info = get_wds_dataset(a, True, 0, True, None, data_key=a.data_key, force_num_samples=samples)
    counts, sequences, widths = Counter(), 0, set()
    for batch in info.dataloader:
        for row in batch[0]:
            counts.update(names[int(i)] for i in row[:-1])
            sequences += 1
            widths.add(len(row))
    stage = str(Path(a.dataset_manifest[0]).parent)
    if sequences != total or widths != {options["sequence_length"] + 1}:
        wrong.append(f"{stage}: {sequences} sequences of {sorted(widths)} ids were read, {total} are listed")
    ids = {name: count for name, count in sorted(counts.items()) if name.isalpha()}
    said[stage] = {name: {"share": round(count / sum(ids.values()), 6), "ids": count} for name, count in ids.items()}
sys.exit(report({"webdataset": version("webdataset")}, "tokens", said, wrong))
