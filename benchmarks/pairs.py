"""Checks of pairs of 300 words, by family, one core; faithfulness beside plain `SentenceTransformer.encode` of the same texts; a diff of 5,000 words.

python benchmarks/pairs.py FILES
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.engine.local import audit
from explorer.models.hub import MINILM, resolve
from explorer.primitives.batch import Batch
from explorer.registry import find
from explorer.rewrites.corruptions import KINDS, corrupt
from explorer.ui.diff import diff, rows

WORDS, PAIRS, OF_MODEL = 300, 4_000, 150


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """Processor seconds of the best of some runs; the first compiles."""
    work()
    found = []
    for _ in range(times):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def pairs(files: list[str]) -> tuple[list[str], list[str]]:
    """Pieces of 300 words, and the same with every tenth word left out, sentences in another order, and a planted error."""
    rng = np.random.default_rng(0)
    words: list[str] = []
    for file in files:
        for text in pq.read_table(file, columns=["text"])["text"].to_pylist():
            words += (text or "").split(" ")
        if len(words) > WORDS * PAIRS:
            break
    originals = [" ".join(words[i : i + WORDS]) for i in range(0, min(len(words), WORDS * PAIRS) - WORDS, WORDS)]
    rewrites = []
    for i, text in enumerate(originals):
        parts = text.split(". ")
        rng.shuffle(parts)
        told = " ".join(w for w in ". ".join(parts).split(" ") if rng.random() > 0.1)
        planted = corrupt(told, KINDS[i % len(KINDS)], rng, originals[:50])
        rewrites.append(planted.text if planted else told)
    return originals, rewrites


def batch(originals: list[str], rewrites: list[str]) -> tuple[Batch, Batch]:
    return Batch.of(originals), Batch.of(rewrites)


def main(files: list[str]) -> None:
    originals, rewrites = pairs(files)
    n, said = len(originals), {}
    lexical = [f for f in audit() if f.scope == "pair"]

    def run(families: list) -> Callable[[], object]:
        def work() -> None:
            after = Batch.of(rewrites)
            after.columns["original"] = pa.array([t.encode() for t in originals], pa.large_binary())
            for family in families:
                family.run(after)

        return work

    said["pairs"], said["words a text"] = n, WORDS
    for family in lexical:
        said[f"{family.name}, pairs a CPU-second"] = round(n / seconds(run([family])))
    said["all of them together, pairs a CPU-second"] = round(n / seconds(run(lexical)))
    few = originals[:OF_MODEL], rewrites[:OF_MODEL]
    model = seconds(lambda: find("faithfulness").compute(*batch(*few)), 2)
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(resolve(MINILM).path), device="cpu")
    said["faithfulness, pairs a CPU-second"] = round(OF_MODEL / model, 1)
    said["its CPU time as a multiple of plain encode of both texts (256 tokens each at most)"] = round(
        model / seconds(lambda: plain.encode([*few[0], *few[1]]), 2), 2
    )
    a, b = (" ".join(side[:17]) for side in (originals, rewrites))
    said["a diff of 5,000 words, seconds"] = round(seconds(lambda: rows(a, b, diff(a, b), fold=False)), 3)
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
