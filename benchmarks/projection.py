"""Maps of the same vectors: what each keeps of the neighbours, and what it costs.

    python benchmarks/projection.py VECTORS.npy|N [--rows 10000] [--landmarks 30000] [--peers umap,pacmap]

VECTORS.npy holds a matrix [m, d] of real embeddings; a number makes that many synthetic ones. ``neighbours`` is the mean share of the
10 nearest vectors that are among the 10 nearest on the map; ``trust`` is scikit-learn's trustworthiness of 5,000 points. Peers are given
our exact neighbours, so that layouts are compared; their imports (which compile) are timed apart.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from explorer.embeddings.projection import NEIGHBOURS, pca, project
from explorer.embeddings.search import neighbours, unit_rows

K, ASKED = 10, 4_000


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def kept(true: np.ndarray, places: np.ndarray) -> float:
    from sklearn.neighbors import KDTree

    asked = np.random.default_rng(1).choice(len(places), min(ASKED, len(places)), replace=False)
    found = KDTree(places).query(places[asked], K + 1)[1][:, 1:]
    return float(np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(true[asked, :K], found, strict=True)]))


def trust(matrix: np.ndarray, places: np.ndarray) -> float:
    from sklearn.manifold import trustworthiness

    asked = np.random.default_rng(2).choice(len(places), min(5_000, len(places)), replace=False)
    return float(trustworthiness(matrix[asked], places[asked], n_neighbors=K))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("vectors")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--landmarks", type=int, default=30_000)
    parser.add_argument("--peers", default="umap,pacmap")
    asked = parser.parse_args()
    if Path(asked.vectors).is_file():
        matrix = np.load(asked.vectors, mmap_mode="r")
    else:
        from semantic_search import vectors

        matrix = vectors(int(asked.vectors), 384)
    few = np.sort(np.random.default_rng(0).choice(len(matrix), min(asked.rows, len(matrix)), replace=False))
    unit, usable = unit_rows(matrix[few])
    unit = unit[usable]
    n = len(unit)
    project(unit[:200], "umap")  # compiles
    measured = n <= 100_000  # exact neighbours of more take too long to be worth a figure
    index, cosines = neighbours(unit, NEIGHBOURS) if measured else (np.zeros((n, 0), int), np.zeros((n, 0)))
    print(f"{n:,} vectors of {unit.shape[1]}, {os.cpu_count()} cores, load {', '.join(f'{v:.1f}' for v in os.getloadavg())}.\n")
    print("| map | CPU s | wall s | neighbours | trust |\n|---|---|---|---|---|")

    def line(name: str, run: Callable[[], np.ndarray]) -> None:
        used, started = cpu(), time.perf_counter()
        places = np.asarray(run(), np.float32)
        used, took = cpu() - used, time.perf_counter() - started
        quality = f"{kept(index, places):.3f} | {trust(unit, places):.3f}" if measured else " | "
        print(f"| {name} | {used:.1f} | {took:.1f} | {quality} |", flush=True)

    line("PCA", lambda: pca(unit))
    if n <= asked.landmarks:
        line("this layout, all of them (neighbours included)", lambda: project(unit, "umap"))
    else:
        line(f"this layout, {asked.landmarks:,} landmarks", lambda: project(unit, "umap", landmarks=asked.landmarks))
    for peer in filter(None, asked.peers.split(",")):
        used = cpu()
        try:
            module = __import__(peer)
        except ImportError:
            print(f"\n{peer} is not installed: not compared.")
            continue
        print(f"| import of {peer} | {cpu() - used:.1f} | | | |")
        if peer == "umap":
            own = np.concatenate([np.arange(n)[:, None], index], 1)[:, :NEIGHBOURS].astype(np.int32)
            far = np.concatenate([np.zeros((n, 1)), 1 - cosines], 1)[:, :NEIGHBOURS].astype(np.float32)
            flat = pca(unit)
            init = flat / np.abs(flat).max() * 10
            layout = module.UMAP(precomputed_knn=(own, far), random_state=0, n_jobs=1, min_dist=0.0, init=init, metric="cosine")
            line("umap-learn (neighbours given)", lambda layout=layout: layout.fit_transform(unit))
        else:
            pairs = np.stack([np.repeat(np.arange(n), K), index[:, :K].ravel()], 1).astype(np.int32)
            for kind in ("PaCMAP", "LocalMAP"):
                made = getattr(module, kind)(random_state=0, n_neighbors=K, pair_neighbors=pairs)
                line(f"{kind} (neighbours given)", lambda made=made: made.fit_transform(unit, init="pca"))


if __name__ == "__main__":
    main()
