"""A query against a million vectors: our index, numpy, torch and faiss in turn, in one run.

    python benchmarks/semantic_search.py [--rows 1000000] [--dimension 384] [--repeats 15]

Synthetic vectors of unit length around 500 centres, float16 as they are stored; queries are vectors with a little noise. Before a time
is reported, our answer is compared with numpy's full sort. A package that is missing is said to be missing.
"""

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np

from explorer.embeddings.search import Index, unit_rows

N = 10


def vectors(m: int, d: int, seed: int = 0) -> np.ndarray:
    """float16 [m, d]: 500 centres of 24 dimensions, noise inside and outside of those."""
    rng = np.random.default_rng(seed)
    centres, basis = rng.normal(0, 1, (500, 24)), rng.normal(0, 1, (24, d))
    found = np.empty((m, d), np.float16)
    for start in range(0, m, 50_000):
        size = min(50_000, m - start)
        inner = centres[rng.integers(0, 500, size)] + 0.5 * rng.standard_normal((size, 24), dtype=np.float32)
        block = inner @ basis + 0.5 * rng.standard_normal((size, d), dtype=np.float32)
        found[start : start + size] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=15)
    asked = parser.parse_args()
    matrix = vectors(asked.rows, asked.dimension)
    rng = np.random.default_rng(1)
    queries = unit_rows(
        matrix[rng.choice(asked.rows, asked.repeats + 1)].astype(np.float32)
        + 0.02 * rng.standard_normal((asked.repeats + 1, asked.dimension))
    )[0]
    Index.build(matrix[:100]).nearest(queries[0], 5)  # compiles
    started = time.perf_counter()
    index = Index.build(matrix)
    built = time.perf_counter() - started
    single = unit_rows(matrix)[0]
    half = np.sort(rng.choice(asked.rows, asked.rows // 2, replace=False))

    def numpy_scan(query: np.ndarray) -> np.ndarray:
        score = single @ query
        best = np.argpartition(-score, N)[:N]
        return best[np.argsort(-score[best])]

    engines: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "this index, exact": lambda q: index.nearest(q, N)[0],
        "this index, 1,000 results": lambda q: index.nearest(q, 1_000)[0],
        "this index, within a random half": lambda q: index.nearest(q, N, half)[0],
        "numpy float32": numpy_scan,
    }
    missing = []
    try:
        import torch

        tensor = torch.from_numpy(single)
        engines["torch float32"] = lambda q: torch.topk(tensor @ torch.from_numpy(q), N).indices.numpy()
    except ImportError:
        missing.append("torch")
    try:
        import faiss

        quantised = faiss.IndexScalarQuantizer(asked.dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
        quantised.train(single[:: max(1, asked.rows // 100_000)])
        quantised.add(single)
        engines["faiss SQ8 flat"] = lambda q: quantised.search(q[None], N)[1][0]
    except ImportError:
        missing.append("faiss-cpu")

    times: dict[str, list[float]] = {name: [] for name in engines}
    cpu: dict[str, list[float]] = {name: [] for name in engines}
    kept: dict[str, list[float]] = {name: [] for name in engines}
    for turn, query in enumerate(queries):  # the first warms every engine up
        true = set(numpy_scan(query).tolist())
        for name, run in engines.items():
            used, started = time.process_time(), time.perf_counter()
            found = run(query)
            took, used = time.perf_counter() - started, time.process_time() - used
            if turn:
                times[name].append(took * 1e3)
                cpu[name].append(used * 1e3)
                kept[name].append(len(true & set(found[:N].tolist())) / N)
    # float32 rounds two cosines that differ in the 8th digit either way: all but such ties must agree
    if np.mean(kept["this index, exact"]) < 0.995:
        raise SystemExit(f"the index kept {np.mean(kept['this index, exact']):.3f} of numpy's answers")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{asked.rows:,} x {asked.dimension}, {len(queries) - 1} queries, {os.cpu_count()} cores, load {load}. Index built in {built:.1f} s, "
        f"{index.nbytes / 1e6:,.0f} MB beside {matrix.nbytes / 1e6:,.0f} MB of float16 (peak of the run with all peers {peak:.1f} GB)."
    )
    print(f"\n| one query, best {N} | p50 ms | max ms | CPU ms | kept of numpy's {N} |\n|---|---|---|---|---|")
    for name in engines:
        same = "" if "half" in name else f"{np.mean(kept[name]):.3f}"
        print(f"| {name} | {statistics.median(times[name]):.0f} | {max(times[name]):.0f} | {statistics.median(cpu[name]):.0f} | {same} |")
    for name in missing:
        print(f"\n{name} is not installed: not compared.")


if __name__ == "__main__":
    main()
