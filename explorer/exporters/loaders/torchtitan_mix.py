"""This folder's mix as datasets of torchtitan 0.3.0; needs torchtitan and this folder only.

In a config function::

    import sys; sys.path.insert(0, "THIS FOLDER")
    import torchtitan_mix
    config.dataloader = torchtitan_mix.dataloader()          # or dataloader("STAGE")

torchtitan draws weighted sources by chance; here the sources are mixed already, in their shares of tokens, and read in order.
"""

import json
from pathlib import Path
from typing import Any

from datasets import load_dataset
from torchtitan.hf_datasets import DatasetConfig
from torchtitan.hf_datasets.text_datasets import DATASETS, HuggingFaceTextDataLoader

FOLDER = Path(__file__).resolve().parent
MIX = json.loads((FOLDER / "mix.json").read_text(encoding="utf-8"))


def _name(stage: str) -> str:
    return f"{MIX['name']}-{stage}-{MIX['manifest'][:12]}".lower()  # torchtitan looks names up in lower case


def _load(stage: str) -> Any:
    said = next(item for item in MIX["stages"] if item["name"] == stage)
    found = load_dataset("parquet", data_files={"train": [str(FOLDER / name) for name in said["files"]]}, split="train")
    if len(found) != said["documents"]:
        raise ValueError(f"Stage {stage} has {len(found)} documents, mix.json says {said['documents']}. Verify the folder.")
    return found


for _stage in (item["name"] for item in MIX["stages"]):
    DATASETS[_name(_stage)] = DatasetConfig(path=_stage, loader=_load, sample_processor=lambda sample: sample["text"])


def dataloader(stage: str | None = None, *, infinite: bool = False, **options: Any) -> HuggingFaceTextDataLoader.Config:
    """Configuration of torchtitan's own text loader for a stage (default: the first). Infinite, it shuffles from the second pass on."""
    known = [item["name"] for item in MIX["stages"]]
    if stage is not None and stage not in known:
        raise ValueError(f"There is no stage {stage!r}. Stages: {', '.join(known)}. Name one of them.")
    return HuggingFaceTextDataLoader.Config(dataset=_name(stage or known[0]), infinite=infinite, **options)
