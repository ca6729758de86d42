"""How trainers are started on an exported folder of Parquet files: text to copy, and what of it was run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Start:
    """One trainer's snippet.

    Attributes:
        trainer: its name.
        text, language: what to copy.
        checked: what of it was run, against which version.
        beware: what the trainer does that one may not expect.
    """

    trainer: str
    text: str
    language: str
    checked: str
    beware: str = ""


def starts(folder: Path, mix: Mapping[str, Any], *, tokenizer: str | None = None) -> list[Start]:
    """Snippets for a folder and its ``mix.json``."""
    parts = [part for stage in mix["stages"] for part in stage["sources"]]
    sources = {p["name"]: [str(folder / name) for q in parts if q["name"] == p["name"] for name in q["files"]] for p in parts}
    documents = {name: sum(p["documents"] for p in parts if p["name"] == name) for name in sources}
    text = mix["text"]
    files = [name for names in sources.values() for name in names]
    return [
        Start(
            "HF datasets, TRL",
            f"import sys\n\nsys.path.insert(0, {str(folder)!r})\nfrom load_mix import load_mix\n\ndataset = load_mix()"
            f"  # exactly the manifest, in order\n# TRL: SFTTrainer(model, train_dataset=dataset, args=SFTConfig(dataset_text_field={text!r}, packing=True, max_length=4096))",
            "python",
            "Loaded with datasets by this product's tests: same documents, same order. The line for TRL was not run.",
            "SFTTrainer shuffles unless its sampler is replaced; the order of the manifest is then lost.",
        ),
        Start(
            "axolotl",
            _yaml(
                {
                    "pretraining_dataset": [
                        {
                            "path": "parquet",
                            "data_files": files[0] if len(files) == 1 else str(folder / "*.parquet"),
                            "text_column": text,
                            "type": "pretrain",
                        }
                    ],
                    "max_steps": 1000,
                }
            ),
            "yaml",
            "The keys were validated by axolotl 0.19.0's own classes; a training run was not made.",
            "Only the first entry of the list is used, without a word, so all files stand in one pattern; max_steps is yours to set.",
        ),
        Start(
            "LLaMA-Factory",
            "# dataset_info.json\n"
            + json.dumps({Path(name).stem: {"file_name": Path(name).name, "columns": {"prompt": text}} for name in files}, indent=2)
            + "\n\n# train.yaml\n"
            + _yaml(
                {
                    "stage": "pt",
                    "dataset": ",".join(Path(name).stem for name in files),
                    "dataset_dir": str(folder),
                    "mix_strategy": "concat",
                }
            ),
            "yaml",
            "These keys were read by LLaMA-Factory 0.9.5's own parser and loader over Parquet files of this shape.",
            "It shuffles before training; repeats and weights are in the files already, so leave interleave_probs out.",
        ),
        Start(
            "levanter",
            _yaml(
                {
                    "data": {
                        "tokenizer": tokenizer or "YOUR/TOKENIZER",
                        "components": {
                            name: {"source": {"type": "url", "train_urls": urls, "format": {"type": "text", "text_key": text}}}
                            for name, urls in sources.items()
                        },
                        "train_weights": documents,
                    }
                }
            ),
            "yaml",
            "A block of this form was parsed by marin-levanter 0.2.20 and its mixture counted; the text was not tokenised.",
            "Its weights are of packed sequences, so of tokens: with several sources set train_weights to their tokens, and mixture_block_size above 1 / the smallest share.",
        ),
    ]


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=1000)
