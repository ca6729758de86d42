"""This folder's mix as litdata streams; needs this folder and ``pip install litdata pyarrow polars`` only.

from litdata_mix import stream
data = stream()                     # or stream("STAGE"); rows of id, text and source, in order

``litdata.CombinedStreamingDataset`` draws weighted streams by chance and ends with the first that is used up; here the sources are
mixed already, in their shares of tokens.
"""

import json
from pathlib import Path
from typing import Any

from litdata import StreamingDataset
from litdata.streaming.item_loader import ParquetLoader

FOLDER = Path(__file__).resolve().parent
MIX = json.loads((FOLDER / "mix.json").read_text(encoding="utf-8"))


def stream(stage: str | None = None, *, shuffle: bool = False, **options: Any) -> StreamingDataset:
    """The documents of a stage (default: the first), in order unless shuffled. Further options go to ``litdata.StreamingDataset``."""
    known = {item["name"]: item for item in MIX["stages"]}
    if stage is not None and stage not in known:
        raise ValueError(f"There is no stage {stage!r}. Stages: {', '.join(known)}. Name one of them.")
    said = known[stage] if stage is not None else MIX["stages"][0]
    found = StreamingDataset(str(FOLDER / said["folder"]), item_loader=ParquetLoader(), shuffle=shuffle, **options)
    if len(found) != said["documents"]:
        raise ValueError(f"Stage {said['name']} has {len(found)} documents, mix.json says {said['documents']}. Verify the folder.")
    return found
