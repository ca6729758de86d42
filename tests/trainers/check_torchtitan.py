"""Read an export with torchtitan's own text loader, packed: ``check_torchtitan.py EXPORT [LENGTH]`` (torchtitan==0.3.0, CPU).

The tokenizer gives every text its source's number, as often as the text has tokens. ``share early`` is of the first 1,000 sequences.
"""

import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from counting import Read, owners, report

scratch = tempfile.TemporaryDirectory()
os.environ["HF_DATASETS_CACHE"] = scratch.name
export, length = Path(sys.argv[1]).absolute(), int((sys.argv[2:] or ["64"])[0])
out, sys.stdout = sys.stdout, sys.stderr
sys.dont_write_bytecode = True
sys.path.insert(0, str(export))
import torchtitan_mix
from torchtitan.hf_datasets.text_datasets import HuggingFaceTextDataLoader


class Words:
    """A tokenizer in torchtitan's sense."""

    bos_id, eos_id = 0, 0

    def __init__(self, texts):
        self.owner, self.read = owners(texts), Read()
        self.names = ["end", *sorted(set(self.owner.values()))]

    def encode(self, text, add_bos=True, add_eos=True):
        return [0, *([self.names.index(self.owner[text])] * round(self.read.size(text))), 0]


said, unknown = {}, 0
for stage in torchtitan_mix.MIX["stages"]:
    tables = [pq.read_table(file, columns=["text", "source"]).to_pylist() for file in sorted((export / stage["folder"]).glob("*.parquet"))]
    words = Words((row["text"], row["source"]) for table in tables for row in table)
    config = torchtitan_mix.dataloader(stage["name"])
    loader = HuggingFaceTextDataLoader(config, dp_world_size=1, dp_rank=0, tokenizer=words, seq_len=length, local_batch_size=1)
    rows = [np.bincount(batch["input"].numpy().ravel(), minlength=len(words.names)) for batch, _ in loader]
    counts = np.array(rows)[:, 1:]
    shares, early = counts.sum(0) / counts.sum(), counts[:1000].sum(0) / counts[:1000].sum()
    said[stage["name"]] = {
        name: {"share": round(float(shares[i]), 6), "share early": round(float(early[i]), 6), "tokens": int(counts[:, i].sum())}
        for i, name in enumerate(words.names[1:])
    }
    unknown += words.read.unknown
sys.stdout = out
wrong = [f"{unknown} texts are not the manifest's"] if unknown else []
sys.exit(report({"torchtitan": version("torchtitan")}, "tokens", said, wrong))
