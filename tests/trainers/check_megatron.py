"""Load an export for Megatron-Core with its own code and count the mix that comes out.

Needs ``torch`` and ``megatron-core==0.16.1`` in the environment it runs in, nothing else of this repository::

    python tests/trainers/check_megatron.py EXPORT_FOLDER [LENGTH] [--samples 1000]

``share`` is of the form ``blend.txt``, ``share of per_split`` of ``per_split.json``.
"""

import argparse
import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch.distributed as dist
from counting import report
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset
from megatron.core.datasets.utils import get_blend_from_list


class Tokens:
    """The part of a tokenizer that GPTDataset touches."""

    eod, pad, vocab_size = 0, 1, 1 << 20

    def __init__(self):
        self.unique_identifiers = {"class": "Tokens"}


def build(blend, per_split, length, samples):
    """The training split as Megatron builds it."""
    config = GPTDatasetConfig(
        random_seed=1,
        sequence_length=length,
        blend=blend,
        blend_per_split=per_split,
        split=None if per_split else "100,0,0",
        path_to_cache=tempfile.mkdtemp(),
        tokenizer=Tokens(),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
    )
    sizes = [samples, None, None] if per_split else [samples, 0, 0]
    return BlendedMegatronDatasetBuilder(GPTDataset, sizes, lambda: True, config).build()[0]


def main() -> int:
    """Count every stage."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("length", type=int, nargs="?", default=64)
    arguments.add_argument("--samples", type=int, default=1000)
    given = arguments.parse_args()
    os.chdir(given.folder)
    dist.init_process_group("gloo", init_method="file://" + tempfile.mktemp(), rank=0, world_size=1)
    record = json.loads(Path("tokens.json").read_text())
    stages = list(dict.fromkeys(p["stage"] for p in record["parts"]))
    said = {}
    for stage in stages:
        parts = [p for p in record["parts"] if p["stage"] == stage and p["tokens"]]
        place = Path(stage if len(stages) > 1 else ".")
        blend = get_blend_from_list((place / "blend.txt").read_text().split())
        args = (place / "data_path.txt").read_text().split()
        splits = json.loads((place / "per_split.json").read_text())
        per_split = [get_blend_from_list(splits[k]) for k in ("train", "valid", "test")]
        assert args[0] == "--data-path", args
        assert get_blend_from_list(args[1:-2]) == blend == per_split[0], "the three forms differ"
        found = {}
        for form, data in (
            ("blend", build(blend, None, given.length, given.samples)),
            ("per_split", build(None, per_split, given.length, given.samples)),
        ):
            which = np.asarray(data.dataset_index) if hasattr(data, "dataset_index") else np.zeros(len(data), np.int64)
            found[form] = np.bincount(which, minlength=len(parts)) / len(which)
            assert len(data[0]["tokens"]) == given.length
        for i, part in enumerate(parts):
            held = IndexedDataset(part["stem"])
            assert len(held.document_indices) - 1 == part["documents"], part
            assert int(held.sequence_lengths.sum()) == part["tokens"], part
            assert all(int(t.max()) < Tokens.vocab_size for t in (held[0], held[len(held) - 1])), part
            said.setdefault(stage, {})[part["source"]] = {
                "share": round(float(found["blend"][i]), 6),
                "share of per_split": round(float(found["per_split"][i]), 6),
                "documents": part["documents"],
                "tokens": part["tokens"],
            }
    return report({"megatron-core": version("megatron-core")}, "sequences", said)


if __name__ == "__main__":
    sys.exit(main())
