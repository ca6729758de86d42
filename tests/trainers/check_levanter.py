"""Let levanter itself parse an export, tokenize it and mix it, and count sequences: ``check_levanter.py EXPORT``.

The export names a tokenizer, a batch size and a length. A sequence is of the component that has it. marin-levanter==0.2.20.*, CPU.
"""

import asyncio
import os
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
import draccus
import jax
import numpy as np
import pyarrow.parquet as pq
from counting import owners, report
from haliax import Axis
from levanter.main.train_lm import TrainLmConfig
from levanter.schedule import BatchSchedule


def rows(data, places):
    """Sequences of a dataset as bytes."""
    return [np.asarray(getattr(row.tokens, "array", row.tokens)).tobytes() for row in asyncio.run(data.get_batch(list(places)))]


export = Path(sys.argv[1]).absolute()
os.chdir(export)
with tempfile.TemporaryDirectory() as scratch:
    config = draccus.parse(TrainLmConfig, config_path=str(export / "levanter.yaml"), args=["--data.cache_dir", scratch])
    batch, length, steps = config.trainer.train_batch_size, config.train_seq_len, config.trainer.num_train_steps
    position, key = Axis("position", length), jax.random.PRNGKey(config.trainer.seed)
    data = config.data.train_set(position, BatchSchedule(batch), key=key)
    alone = config.data.train_sets(position, key=key)
    weights = config.data.train_weights
    stages = weights if isinstance(weights, list) else [(0, weights)]
    said = {}
    for (start, of), (end, _) in pairwise([*stages, (steps, {})]):
        files = {name: config.data.components[name].source.train_urls[0] for name in of}
        sources = {name: pq.read_table(file, columns=["source"])["source"][0].as_py() for name, file in files.items()}
        held = {name: rows(alone[name], range(asyncio.run(alone[name].async_len()))) for name in of}
        owner = owners((row, sources[name]) for name, found in held.items() for row in found)
        drawn = rows(data, range(start * batch, end * batch))
        kinds = Counter(owner[row] for row in drawn)
        said[f"from step {start}"] = {name: {"share": round(n / len(drawn), 6), "sequences": n} for name, n in sorted(kinds.items())}
sys.exit(report({"marin-levanter": version("marin-levanter")}, "sequences", said, weights=weights))
