"""Near-duplicates held against published tools: speed from text to groups, error of the estimate, and the LSH curve.

    python benchmarks/duplicates.py FILES... [--megabytes 12] [--peer-megabytes 1.5] [--peers rensa,datasketch,datatrove]
                                    [--peer-python datatrove=/path/bin/python] [--rounds 5] [--pairs 20000]

FILES are Parquet with a ``text`` column. Texts are in memory before any clock starts; the unit is MB of UTF-8 per CPU-second of one
process. All find groups with FineWeb's parameters (5-grams, 14 bands of 8). Rounds alternate ours and the peers.

rensa and datasketch take shingles, which their user makes in Python: here once plainly (``text.lower().split()``, the fastest there
is) and once with FineWeb's normalisation. datatrove runs its own steps (signatures, buckets, clusters) under ``--peer-python``.
A peer is skipped, and said so, when it cannot be imported.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NGRAM, BANDS, ROWS = 5, 14, 8
PERMUTATIONS = BANDS * ROWS
RATES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)  # of words replaced, for the error of the estimate
NEAR_RATES = (0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08)  # for the curve: where it rises


def shingles(words: list[str]) -> list[str]:
    return [" ".join(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)]


def plain(text: str) -> list[str]:
    return text.lower().split()


def as_fineweb(text: str) -> list[str]:
    from explorer.duplicates.normalise import simplify

    return simplify(text).split()


def components(n: int, links: list[tuple[int, int]]) -> list[int]:
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in links:
        a, b = sorted((root(a), root(b)))
        parent[b] = a
    return [root(i) for i in range(n)]


def rensa(texts: list[str], words: Callable[[str], list[str]]) -> list[int]:
    from rensa import RMinHash, RMinHashLSH

    sketches = RMinHash.from_token_sets([shingles(words(t)) for t in texts], PERMUTATIONS, 42)
    index = RMinHashLSH(threshold=0.72, num_perm=PERMUTATIONS, num_bands=BANDS)
    index.insert_many(sketches)
    return components(len(texts), [(i, j) for i, found in enumerate(index.query_all(sketches)) for j in found if j > i])


def datasketch(texts: list[str], words: Callable[[str], list[str]]) -> list[int]:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
    sketches = MinHash.bulk([[s.encode() for s in shingles(words(t))] for t in texts], num_perm=PERMUTATIONS)
    for i, sketch in enumerate(sketches):
        index.insert(i, sketch)
    return components(len(texts), [(i, j) for i, sketch in enumerate(sketches) for j in index.query(sketch) if j > i])


PEERS = {"rensa": rensa, "datasketch": datasketch}


def datatrove_main(source: str) -> None:
    """Run datatrove's steps once over a Parquet file; print CPU seconds and its groups as JSON."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.utils.hashing import HashConfig
    from loguru import logger

    logger.remove()
    texts = pq.read_table(source, columns=["text"])["text"].to_pylist()
    config = MinhashConfig(n_grams=NGRAM, num_buckets=BANDS, hashes_per_bucket=ROWS, hash_config=HashConfig(precision=64, hash_fc="sha1"))
    with tempfile.TemporaryDirectory() as folder:
        sign = MinhashDedupSignature(f"{folder}/signatures", config=config)
        sign.get_shingles(texts[0])  # the tokenizer is loaded before the clock starts
        start = time.process_time()
        sign.run((Document(text=t, id=str(i)) for i, t in enumerate(texts)), 0, 1)
        for bucket in range(BANDS):
            MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config).run(None, bucket, BANDS)
        MinhashDedupCluster(f"{folder}/buckets", f"{folder}/clusters", config=config, save_cluster_id=True).run(None, 0, 1)
        cpu = time.process_time() - start
        found = list(Path(f"{folder}/clusters").glob("*.clusters"))
        pairs = np.fromfile(found[0], "<u4").reshape(-1, 2).tolist() if found else []
    groups: dict[int, list[int]] = {}
    for document, cluster in pairs:
        groups.setdefault(cluster, []).append(document)
    print(json.dumps({"cpu": cpu, "groups": sorted(sorted(g) for g in groups.values())}))


def as_groups(labels: list[int] | np.ndarray) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for i, label in enumerate(labels):
        if label >= 0:
            found.setdefault(int(label), []).append(i)
    return sorted(g for g in found.values() if len(g) > 1)


def altered(text: str) -> str:
    """The text with every 97th word replaced: most of its shingles stay."""
    return " ".join("altered" if k % 97 == 50 else word for k, word in enumerate(text.split(" ")))


def timed(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def speed(texts: list[str], arguments: argparse.Namespace) -> None:
    from explorer.duplicates.minhash import SCHEMES
    from explorer.duplicates.near import group_batch
    from explorer.primitives.batch import Batch

    scheme = SCHEMES["fineweb"]

    def ours(some: list[str], reference: bool = False) -> Callable[[], object]:
        array = pa.array(some, pa.large_string())
        return lambda: group_batch(Batch(array), scheme, reference=reference)

    for reference in (False, True):  # compile
        ours(texts[:50], reference)()
    size = sum(len(t.encode()) for t in texts) / 1e6
    few: list[str] = []
    few_size = 0.0
    for text in texts:
        if few_size < arguments.peer_megabytes:
            few.append(text)
            few_size += len(text.encode()) / 1e6
    few += [altered(text) for text in few[::3]]  # so that there is something to find
    few_size = sum(len(t.encode()) for t in few) / 1e6
    print(
        f"{len(texts):,} documents, {size:.1f} MB ({len(few):,} documents, {few_size:.1f} MB for datatrove); {arguments.rounds} rounds.\n"
    )
    print(
        "| from text to groups, FineWeb's parameters | peer MB / CPU-s | ours MB / CPU-s | ratio (median of pairs; lowest, highest) | groups: peer, ours |"
    )
    print("|---|---|---|---|---|")
    peers = [p for p in arguments.peers.split(",") if p]
    cases = [
        (p, label, words) for p in peers if p in PEERS for label, words in (("words by split()", plain), ("FineWeb's words", as_fineweb))
    ]
    for name, label, words in cases:
        try:
            PEERS[name](texts[:3], words)
        except ImportError as error:
            print(f"| {name}: not measured: {error} | | | | |")
            continue
        found: list[list[int]] = []
        measured = [
            (timed(lambda: found.append(PEERS[name](texts, words))), timed(ours(texts)))  # noqa: B023 (called at once)
            for _ in range(arguments.rounds)
        ]
        line(
            f"{name}, {label}", size, measured, f"{len(as_groups(found[0]))}, {len(as_groups(group_batch(Batch.of(texts), scheme).group))}"
        )
    if "datatrove" in peers:
        python = dict(item.split("=", 1) for item in arguments.peer_python).get("datatrove", sys.executable)
        with tempfile.TemporaryDirectory() as folder:
            source = str(Path(folder) / "texts.parquet")
            pq.write_table(pa.table({"text": few}), source)
            pairs: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
            theirs: list[list[int]] = []
            for _ in range(arguments.rounds):
                answer = subprocess.run([python, __file__, source, "--peer", "datatrove"], capture_output=True, text=True)
                if answer.returncode:
                    print(f"| datatrove: not measured: {answer.stderr.strip().splitlines()[-1]} | | | | |")
                    return
                said = json.loads(answer.stdout.splitlines()[-1])
                theirs = said["groups"]
                for reference in pairs:
                    pairs[reference].append((said["cpu"], timed(ours(few, reference))))
        for reference, label in ((False, "datatrove, its words and sha1"), (True, "datatrove, and ours with its hashes")):
            mine = as_groups(group_batch(Batch.of(few), scheme, reference=reference).group)
            line(label, few_size, pairs[reference], f"{len(theirs)}, {len(mine)}{' (the same)' if mine == theirs else ''}")


def line(label: str, size: float, measured: list[tuple[float, float]], groups: str) -> None:
    ratios = sorted(a / b for a, b in measured)
    theirs, mine = (size / statistics.median(x) for x in zip(*measured, strict=True))
    print(
        f"| {label} | {theirs:.2f} | {mine:.0f} | {statistics.median(ratios):.1f}x ({ratios[0]:.1f}, {ratios[-1]:.1f}) | {groups} |",
        flush=True,
    )


def planted(texts: list[str], count: int, rates: tuple[float, ...], length: int, seed: int) -> tuple[list[str], list[str]]:
    """Pairs of texts of ``length`` words: a passage of real words, and the same with a share of the words replaced by others.

    Only words of ASCII letters that every tokenizer leaves whole, so that all tools see the same shingles.
    """
    from explorer.duplicates.normalise import normalised
    from explorer.primitives.batch import Batch
    from explorer.primitives.words import words

    seen = dict.fromkeys(w for t in texts for w in as_fineweb(t) if w.isascii() and w.isalpha())
    vocabulary = list(seen)
    whole = np.diff(words(normalised(Batch.of(vocabulary))).offsets) == 1
    good = {w for w, ok in zip(vocabulary, whole, strict=True) if ok}
    running = np.array([w for t in texts for w in as_fineweb(t) if w in good])
    rng = np.random.default_rng(seed)
    left, right = [], []
    for k in range(count):
        at = int(rng.integers(len(running) - length))
        passage = running[at : at + length]
        changed = np.where(rng.random(length) < rates[k % len(rates)], rng.choice(running, length), passage)
        left.append(" ".join(passage))
        right.append(" ".join(changed))
    return left, right


def true_jaccard(left: list[str], right: list[str]) -> np.ndarray:
    values = []
    for a, b in zip(left, right, strict=True):
        one, other = set(shingles(a.split())), set(shingles(b.split()))
        values.append(len(one & other) / len(one | other))
    return np.array(values)


def accuracy(texts: list[str], count: int) -> None:
    from explorer.duplicates.minhash import SCHEMES, jaccard, shingle_sets, signatures
    from explorer.primitives.batch import Batch

    left, right = planted(texts, count, RATES, 300, 0)
    exact = true_jaccard(left, right)
    batch = Batch.of([*left, *right])
    print(
        f"\n{count:,} pairs of 300 words, {RATES[0]:.0%} to {RATES[-1]:.0%} of the words replaced, Jaccard {exact.min():.2f} to {exact.max():.2f}, {PERMUTATIONS} permutations.\n"
    )
    print("| estimate of Jaccard | RMSE | bias |\n|---|---|---|")
    estimates: dict[str, np.ndarray] = {}
    for label, reference in (("ours", False), ("ours, datatrove's hashes", True)):
        minima, _ = signatures(batch, SCHEMES["fineweb"], reference=reference)
        estimates[label] = (minima[:count] == minima[count:]).mean(1)
    try:
        from datasketch import MinHash

        sketches = MinHash.bulk([[s.encode() for s in shingles(t.split())] for t in (*left, *right)], num_perm=PERMUTATIONS)
        estimates["datasketch"] = np.array([sketches[i].jaccard(sketches[count + i]) for i in range(count)])
    except ImportError as error:
        print(f"| datasketch: not measured: {error} | | |")
    try:
        from rensa import CMinHash, RMinHash

        for kind in (RMinHash, CMinHash):
            made = kind.from_token_sets([shingles(t.split()) for t in (*left, *right)], PERMUTATIONS, 42)
            estimates[f"rensa {kind.__name__}"] = np.array([made[i].jaccard(made[count + i]) for i in range(count)])
    except ImportError as error:
        print(f"| rensa: not measured: {error} | | |")
    for label, estimate in estimates.items():
        print(f"| {label} | {math.sqrt(np.mean((estimate - exact) ** 2)):.5f} | {np.mean(estimate - exact):+.5f} |")
    print(f"| expected of {PERMUTATIONS} independent permutations | {math.sqrt(np.mean(exact * (1 - exact)) / PERMUTATIONS):.5f} | 0 |")
    places = np.arange(2 * count)
    shingle_counts = np.full(2 * count, 300 - NGRAM + 1)
    verified = jaccard(places[:count], places[count:], *shingle_sets(batch, NGRAM, places, shingle_counts))
    print(f"\nOur exact comparison differs from Python's sets by at most {np.abs(verified - exact).max():.1e}.")


def curve(texts: list[str], count: int) -> None:
    from scipy.stats import binom

    from explorer.duplicates.minhash import SCHEMES, candidate_probability, sketch
    from explorer.primitives.batch import Batch

    left, right = planted(texts, count, NEAR_RATES, 200, 1)
    exact = true_jaccard(left, right)
    batch = Batch.of([*left, *right])
    for label, reference in (("ours", False), ("ours, datatrove's hashes", True)):
        keys = sketch(batch, SCHEMES["fineweb"], reference=reference).keys
        shared = (keys[:, :count] == keys[:, count:]).any(0)
        print(f"\nLSH curve, {count:,} pairs of 200 words, {label}; 14 bands of 8.\n")
        print("| true Jaccard | pairs | candidates | curve | 99 % interval of the curve | inside |\n|---|---|---|---|---|---|")
        inside = bins = 0
        for low in np.arange(0.3, 1.0, 0.05):
            here = (exact >= low) & (exact < low + 0.05)
            n = int(here.sum())
            if n < 50:
                continue
            expected = float(candidate_probability(exact[here], SCHEMES["fineweb"]).mean())
            a, b = binom.interval(0.99, n, expected)
            found = int(shared[here].sum())
            bins += 1
            inside += a <= found <= b
            print(
                f"| {low:.2f} to {low + 0.05:.2f} | {n:,} | {found / n:.4f} | {expected:.4f} | {a / n:.4f} to {b / n:.4f} | {'yes' if a <= found <= b else 'NO'} |"
            )
        print(f"\n{inside} of {bins} bins inside.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--megabytes", type=float, default=12.0)
    parser.add_argument("--peer-megabytes", type=float, default=1.5)
    parser.add_argument("--peers", default="rensa,datasketch,datatrove")
    parser.add_argument("--peer-python", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        datatrove_main(arguments.files[0])
        return
    texts: list[str] = []
    size = 0
    for file in arguments.files:
        for text in pq.read_table(file, columns=["text"])["text"].to_pylist():
            if size < arguments.megabytes * 1e6 and text is not None:
                texts.append(text)
                size += len(text.encode())
    speed(texts, arguments)
    accuracy(texts, min(arguments.pairs, 4_000))
    curve(texts, arguments.pairs)


if __name__ == "__main__":
    main()
