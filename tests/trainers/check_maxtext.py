"""Read an export with MaxText's own grain functions: ``MAXTEXT=CHECKOUT check_maxtext.py EXPORT`` (grain==0.2.18).

MaxText itself needs a full JAX stack, so its functions for Parquet are taken out of its source files and run as they are, with the
settings of the export; ``first_tenth`` is the mix in the first tenth of the documents.
"""

import ast
import functools
import glob
import json
import math
import os
import sys
from collections import Counter
from concurrent import futures
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import grain
import grain.python as grain_python
import yaml
from counting import Read

export = Path(sys.argv[1]).absolute()
source = Path(os.environ["MAXTEXT"]).absolute() / "src" / "maxtext" / "input_pipeline"


class Grain:
    """`import grain.python as grain` of MaxText, with what lies in `grain` itself."""

    def __getattr__(self, name):
        return getattr(grain_python, name) if hasattr(grain_python, name) else getattr(grain, name)


def lifted(file, names, known):
    """Functions and classes of a source file, run in a namespace that holds ``known``."""
    body = [item for item in ast.parse((source / file).read_text()).body if getattr(item, "name", "") in names]
    space = dict(known)
    exec(compile(ast.Module(body, []), file, "exec"), space)
    return SimpleNamespace(**{name: space[name] for name in names})


known = {"grain": Grain(), "math": math, "functools": functools, "glob": glob, "Path": Path, "json": json, "futures": futures}
utils = lifted("input_pipeline_utils.py", ["make_parquet_iter_dataset", "compute_file_sharding"], known)
known |= {"input_pipeline_utils": utils, "max_logging": SimpleNamespace(log=lambda *_: None, warning=print)}
maxtext = lifted("grain_data_processing.py", ["get_datasets", "find_data_files"], known)

os.chdir(export)
read, early = Read(), {}
for name in [line.split()[3] for line in (export / "README.txt").read_text().splitlines() if line.startswith("    python -m maxtext")]:
    said = yaml.safe_load(Path(name).read_text())
    stage = Path(name).stem.removeprefix("maxtext").removeprefix("-") or "all"
    data = maxtext.get_datasets(
        said["grain_train_files"],
        said["grain_file_type"],
        said["enable_data_shuffling"],
        0,
        100,
        said["num_epoch"],
        0,
        1,
        said["grain_worker_count"],
        said["grain_num_threads"],
        500,
        16,
    )
    words, rows = Counter(), []
    for row in data:
        text = row["text"] if isinstance(row["text"], str) else row["text"].decode()
        kind = row["source"] if isinstance(row["source"], str) else row["source"].decode()
        read.add(stage, kind, text)
        rows.append((kind, len(text.split())))
    for kind, count in rows[: len(rows) // 10]:
        words[kind] += count
    early[stage] = {kind: round(count / words.total(), 5) for kind, count in sorted(words.items())}
sys.exit(read.report({"grain": version("grain")}, first_tenth=early))
