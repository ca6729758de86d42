"""Load an exported mix with Hugging Face ``datasets``; needs this folder and ``pip install datasets`` only.

from load_mix import load_mix
mix = load_mix()                      # exactly the manifest: source after source, in order, repeats included
mix = load_mix(interleaved=True)      # the same documents, sources drawn in turn by their probabilities
"""

import json
from pathlib import Path
from typing import Any

from datasets import concatenate_datasets, interleave_datasets, load_dataset


def load_mix(
    folder: str | Path | None = None,
    *,
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
    parts = []
    for source in mix["sources"]:
        files = [str(folder / name) for name in source["files"]]
        parts.append(load_dataset("parquet", data_files={"train": files}, split="train", streaming=streaming, **options))
        if not streaming and len(parts[-1]) != source["documents"]:
            raise ValueError(f"{source['name']} has {len(parts[-1])} documents, mix.json says {source['documents']}. Verify the folder.")
    if len(parts) == 1:
        return parts[0]
    if not interleaved:
        return concatenate_datasets(parts)
    strategy = stopping_strategy or mix["stopping_strategy"]
    return interleave_datasets(parts, probabilities=mix["probabilities"], seed=mix["seed"], stopping_strategy=strategy)
