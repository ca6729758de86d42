"""Let levanter itself parse an export, tokenize it and mix it, and count tokens: ``check_levanter.py EXPORT TOKENIZER [BATCH LENGTH STEPS]``.

TOKENIZER: a folder with a ``tokenizer.json`` in which a source can be told by its tokens' texts (each document holds its own first word
only). marin-levanter==0.2.20.*, CPU.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
import draccus
import jax
import numpy as np
from haliax import Axis
from levanter.main.train_lm import TrainLmConfig
from levanter.schedule import BatchSchedule
from tokenizers import Tokenizer

export, tokenizer = Path(sys.argv[1]).absolute(), str(Path(sys.argv[2]).absolute())
given = [int(value) for value in sys.argv[3:]]
os.chdir(export)
with tempfile.TemporaryDirectory() as scratch:
    arguments = ["--data.tokenizer", tokenizer, "--data.cache_dir", scratch]
    config = draccus.parse(TrainLmConfig, config_path=str(export / "levanter.yaml"), args=arguments)
    batch, length, steps = given or (config.trainer.train_batch_size, config.train_seq_len, config.trainer.num_train_steps)
    data = config.data.train_set(Axis("position", length), BatchSchedule(batch), key=jax.random.PRNGKey(config.trainer.seed))
    weights = config.data.train_weights
    starts = [start for start, _ in weights] if isinstance(weights, list) else [0]
    names = {number: word for word, number in Tokenizer.from_file(f"{tokenizer}/tokenizer.json").get_vocab().items()}
    said = {}
    for number, start in enumerate(starts):
        end = [*starts, steps][number + 1]
        rows = asyncio.run(data.get_batch(list(range(start * batch, end * batch))))
        kinds = Counter(names[Counter(np.asarray(row.tokens.array).tolist()).most_common(1)[0][0]] for row in rows)
        said[f"from step {start}"] = {
            "sequences": len(rows),
            "by most frequent token": {k: n / len(rows) for k, n in sorted(kinds.items())},
        }
print(json.dumps({"marin-levanter": version("marin-levanter"), "weights": weights, "stages": said}, indent=1))
