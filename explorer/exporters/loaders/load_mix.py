"""Load an exported mix with Hugging Face ``datasets``; needs this folder and ``pip install datasets`` only.

from load_mix import load_mix
mix = load_mix()                      # exactly the manifest: stage after stage, source after source, in order, repeats included
mix = load_mix(interleaved=True)      # the same documents, sources drawn in turn by their probabilities; stages still in order
mix = load_mix(stages=["anneal"])     # some of the stages
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datasets import concatenate_datasets, interleave_datasets, load_dataset


def load_mix(
    folder: str | Path | None = None,
    *,
    stages: Iterable[str] | None = None,
    interleaved: bool = False,
    streaming: bool = False,
    stopping_strategy: str | None = None,
    **options: Any,
) -> Any:
    """The mix in ``folder`` (default: this file's) as a Dataset, or an IterableDataset when streaming.

    Probabilities are a document's, not a token's: repeats are in the files already, so drawing by them keeps the mix. With the
    default strategy each document comes exactly as often as the manifest says; "first_exhausted" stops early, "all_exhausted"
    repeats the smaller sources. Further options go to ``datasets.load_dataset``.
    """
    folder = Path(folder or __file__).resolve()
    folder = folder if folder.is_dir() else folder.parent
    mix = json.loads((folder / "mix.json").read_text(encoding="utf-8"))
    names = [stage["name"] for stage in mix["stages"]]
    wanted = names if stages is None else list(stages)
    for name in wanted:
        if name not in names:
            raise ValueError(f"The mix has no stage {name!r}. Stages: {', '.join(names)}. Name some of them.")
    loaded = []
    for stage in mix["stages"]:
        if stage["name"] not in wanted:
            continue
        parts = []
        for source in stage["sources"]:
            files = [str(folder / name) for name in source["files"]]
            parts.append(load_dataset("parquet", data_files={"train": files}, split="train", streaming=streaming, **options))
            if not streaming and len(parts[-1]) != source["documents"]:
                raise ValueError(
                    f"{source['name']} has {len(parts[-1])} documents, mix.json says {source['documents']}. Verify the folder."
                )
        if interleaved and len(parts) > 1:
            strategy = stopping_strategy or mix["stopping_strategy"]
            parts = [interleave_datasets(parts, probabilities=stage["probabilities"], seed=mix["seed"], stopping_strategy=strategy)]
        loaded += parts
    return loaded[0] if len(loaded) == 1 else concatenate_datasets(loaded)
