"""Read an export with torchtitan's own text loader, packed: ``check_torchtitan.py EXPORT [LENGTH]`` (torchtitan==0.3.0, CPU).

The tokenizer gives every word its source's number: a document's first word is its source's name. Reports the sources' shares of the
tokens in all sequences and the largest gap to them in the first 1,000 sequences.
"""

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

scratch = tempfile.TemporaryDirectory()
os.environ["HF_DATASETS_CACHE"] = scratch.name
export, length = Path(sys.argv[1]).absolute(), int((sys.argv[2:] or ["1024"])[0])
out, sys.stdout = sys.stdout, sys.stderr
sys.dont_write_bytecode = True
sys.path.insert(0, str(export))
import torchtitan_mix
from torchtitan.hf_datasets.text_datasets import HuggingFaceTextDataLoader


class Words:
    """A tokenizer in torchtitan's sense."""

    bos_id, eos_id = 0, 0

    def __init__(self):
        self.names = ["end"]

    def encode(self, text, add_bos=True, add_eos=True):
        words = text.split()
        if words[0] not in self.names:
            self.names.append(words[0])
        return [0, *([self.names.index(words[0])] * len(words)), 0]


said = {}
for stage in torchtitan_mix.MIX["stages"]:
    words = Words()
    config = torchtitan_mix.dataloader(stage["name"])
    loader = HuggingFaceTextDataLoader(config, dp_world_size=1, dp_rank=0, tokenizer=words, seq_len=length, local_batch_size=1)
    rows = [np.bincount(batch["input"].numpy().ravel(), minlength=16) for batch, _ in loader]
    counts = np.array(rows)[:, 1 : len(words.names)]
    shares, early = counts.sum(0) / counts.sum(), counts[:1000].sum(0) / counts[:1000].sum()
    said[stage["name"]] = {
        "sequences": len(rows),
        "share": dict(zip(words.names[1:], shares.round(5).tolist(), strict=True)),
        "furthest in 1000 sequences": round(float(np.abs(early - shares).max()), 5),
        "furthest in 100 sequences": round(float(np.abs(counts[:100].sum(0) / counts[:100].sum() - shares).max()), 5),
    }
print(json.dumps({"torchtitan": version("torchtitan"), "stages": said}, indent=1), file=out)
