"""Load an export for OLMo-core with its own code and count the mix that comes out.

Needs ``torch`` and ``ai2-olmo-core==3.0.0`` in the environment it runs in, nothing else of this repository::

    python tests/trainers/check_olmo_core.py EXPORT_FOLDER
"""

import json
import os
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import yaml
from counting import owners, report
from olmo_core.data import NumpyFSLDatasetConfig, TokenizerConfig
from olmo_core.data.source_mixture import SourceMixtureDatasetConfig, SourceMixtureList


def main() -> int:
    """Count every stage."""
    os.chdir(sys.argv[1])
    record = json.loads(Path("tokens.json").read_text())
    stages = list(dict.fromkeys(p["stage"] for p in record["parts"]))
    said = {}
    for stage in stages:
        parts = [p for p in record["parts"] if p["stage"] == stage and p["tokens"]]
        place = Path(stage if len(stages) > 1 else ".")
        run = yaml.safe_load((place / "run.yaml").read_text())
        sources = SourceMixtureList.from_yaml(str(place / "mix.yaml"))
        sources.validate()
        length = run["sequence_length"]
        mixture = SourceMixtureDatasetConfig(
            source_list=sources,
            requested_tokens=run["requested_tokens"],
            global_batch_size=run["global_batch_size"],
            seed=run["seed"],
            render_tables=False,
            quiet=True,
        )
        tokens = TokenizerConfig(vocab_size=run["vocab_size"], eos_token_id=run["eos_token_id"], pad_token_id=run["eos_token_id"])
        data = NumpyFSLDatasetConfig(
            source_mixture_config=mixture, sequence_length=length, tokenizer=tokens, work_dir=tempfile.mkdtemp(), dtype=run["dtype"]
        ).build()
        data.prepare()
        rows = []  # the instances that each source's file is cut into
        for part in parts:
            ids = np.fromfile(f"{part['stem']}.npy", run["dtype"])
            assert len(ids) == part["tokens"], part
            cut = ids[: len(ids) // length * length].reshape(-1, length).astype(np.int64)
            rows += [(row.tobytes(), part["source"]) for row in cut]
        owner = owners(rows)
        found = Counter(owner[data[i]["input_ids"].numpy().astype(np.int64).tobytes()] for i in range(len(data)))
        for part in parts:
            count = found[part["source"]]
            said.setdefault(stage, {})[part["source"]] = {"share": round(count / len(data), 6), "instances": count}
    return report({"ai2-olmo-core": version("ai2-olmo-core")}, "sequences", said)


if __name__ == "__main__":
    sys.exit(main())
