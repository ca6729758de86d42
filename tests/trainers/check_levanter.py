"""Let levanter itself parse an export, tokenize it and mix it, and count tokens: ``check_levanter.py EXPORT``.

The export names a tokenizer, a folder in whose tokens a source can be read (web17), a batch size and a length. marin-levanter==0.2.20.*, CPU.
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
from counting import report, source_of
from haliax import Axis
from levanter.main.train_lm import TrainLmConfig
from levanter.schedule import BatchSchedule
from tokenizers import Tokenizer

export = Path(sys.argv[1]).absolute()
os.chdir(export)
with tempfile.TemporaryDirectory() as scratch:
    config = draccus.parse(TrainLmConfig, config_path=str(export / "levanter.yaml"), args=["--data.cache_dir", scratch])
    batch, length, steps = config.trainer.train_batch_size, config.train_seq_len, config.trainer.num_train_steps
    data = config.data.train_set(Axis("position", length), BatchSchedule(batch), key=jax.random.PRNGKey(config.trainer.seed))
    weights = config.data.train_weights
    starts = [start for start, _ in weights] if isinstance(weights, list) else [0]
    vocabulary = Tokenizer.from_file(f"{config.data.tokenizer}/tokenizer.json").get_vocab()
    names = {number: source_of(word) for word, number in vocabulary.items()}
    said = {}
    for start, end in pairwise([*starts, steps]):
        rows = asyncio.run(data.get_batch(list(range(start * batch, end * batch))))
        kinds = Counter(Counter(names[i] for i in np.asarray(row.tokens.array).tolist()).most_common(1)[0][0] for row in rows)
        said[f"from step {start}"] = {name: {"share": round(n / len(rows), 6), "sequences": n} for name, n in sorted(kinds.items())}
sys.exit(report({"marin-levanter": version("marin-levanter")}, "sequences", said, weights=weights))
