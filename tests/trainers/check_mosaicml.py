"""Load an export for MosaicML Streaming with its own code and count the mix that comes out.

Needs ``torch`` and ``mosaicml-streaming==0.13.0`` in the environment it runs in, nothing else of this repository::

    python tests/trainers/check_mosaicml.py EXPORT_FOLDER

Streams are made as llm-foundry makes them (``Stream(**values)`` for each entry of ``streams``); llm-foundry itself is not needed, and its
curriculum callback is not run: its datasets are loaded one after another. ``share`` is of ``train.yaml``, ``share by proportion`` of 1,000
rows drawn by ``streams.yaml``. Wrong is a row that is lost or repeated, and another order.
"""

import importlib.machinery
import json
import os
import sys
import types
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import yaml
from counting import owners, report

try:
    import torchvision  # noqa: F401
except Exception:  # it is imported by streaming, not used for tokens, and PyPI's build does not load beside a CPU-only torch
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]

    class Missing(types.ModuleType):
        """A module that has every name."""

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = Missing(name)
        sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)

from streaming import Stream, StreamingDataset
from streaming.base.util import clean_stale_shared_memory


def rows_of(dataset, streams=None, **more):
    """Every row that a dataset of the YAML gives in one epoch."""
    clean_stale_shared_memory()
    made = [Stream(**values) for values in (streams or dataset["streams"]).values()]
    given = {"shuffle": dataset["shuffle"], "shuffle_seed": dataset["shuffle_seed"], **more}
    return [row["tokens"] for row in StreamingDataset(streams=made, batch_size=1, num_canonical_nodes=1, **given)]


def main() -> int:
    """Count every stage, as ``train.yaml`` has it and by the proportions of ``streams.yaml`` over 1,000 rows."""
    os.chdir(sys.argv[1])
    record = json.loads(Path("tokens.json").read_text())
    train = yaml.safe_load(Path("train.yaml").read_text())
    proportions = yaml.safe_load(Path("streams.yaml").read_text())
    curriculum = train.get("callbacks", {}).get("curriculum_learning", {"schedule": []})
    datasets = [train["train_loader"]["dataset"], *(item["dataset"] for item in curriculum["schedule"])]
    durations = [curriculum.get("duration", train["max_duration"]), *(item["duration"] for item in curriculum["schedule"])]
    stages = list(dict.fromkeys(p["stage"] for p in record["parts"] if p["tokens"]))
    assert sum(int(d.removesuffix("tok")) for d in durations) == int(train["max_duration"].removesuffix("tok"))
    said, wrong = {}, []
    for stage, dataset, duration in zip(stages, datasets, durations, strict=True):
        rows = rows_of(dataset)
        length = dataset["max_seq_len"]
        if {len(row) for row in rows} != {length} or len(rows) * length != int(duration.removesuffix("tok")):
            wrong.append(f"{stage}: rows of {length} are not as many as the duration")
        alone = [
            (row.tobytes(), name)
            for name, values in dataset["streams"].items()
            for row in rows_of({**dataset, "shuffle": False}, {name: values})
        ]
        owner, order = owners(alone), [row for row, _ in alone]
        if Counter(row.tobytes() for row in rows) != Counter(order):
            wrong.append(f"{stage}: a row is lost or repeated")
        if not dataset["shuffle"] and [row.tobytes() for row in rows] != order:
            wrong.append(f"{stage}: rows are not in order")
        found = Counter(owner[row.tobytes()] for row in rows)
        drawn = Counter(owner[row.tobytes()] for row in rows_of(dataset, proportions[stage], epoch_size=1000))
        for part in (p for p in record["parts"] if p["stage"] == stage and p["tokens"]):
            name = part["source"]
            said.setdefault(stage, {})[name] = {
                "share": round(found[name] / len(rows), 6),
                "share by proportion": drawn[name] / 1000,
                "rows": found[name],
            }
            assert np.dtype(record["dtype"]).itemsize == rows[0].dtype.itemsize, rows[0].dtype
    return report({"mosaicml-streaming": version("mosaicml-streaming")}, "sequences", said, wrong)


if __name__ == "__main__":
    sys.exit(main())
