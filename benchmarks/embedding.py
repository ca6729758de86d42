"""Time embedding against plain ``SentenceTransformer.encode``, on the same documents in the same run.

    python benchmarks/embedding.py FILES... [--model all-MiniLM-L6-v2] [--device auto] [--documents N] [--rounds 3] [--budgets 512,1024]
                                   [--no-static]

FILES are Parquet with a ``text`` column; N documents are drawn from all of them (96 on a CPU, 20,000 on a GPU), once whole and once cut
at 400 characters. Texts are in memory and models are loaded and warm before any clock starts. Rounds alternate all ways of encoding, so
that a busy machine slows each; ratios are medians over rounds of plain seconds divided by ours, by the wall and by the processor time
of the process, which others on the machine disturb less. ``encode`` is called as a user would: a list of texts, all else at its default.

The share of peak counts what a text's tokens need (two operations a weight and token, and attention), not padding, and divides by the
best rate of a matrix product (rows x hidden x 4 hidden) on the same device in the same precision, measured in the same rounds. On a GPU
both go by the wall; on a CPU by processor time, the product on one thread, since two threads that wait for each other spin.
Neighbours are the ten nearest of each document among the others by cosine, and the share of them that plain ``encode`` finds too.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow.parquet as pq

Timed = dict[str, list[tuple[float, float]]]  # (wall, processor) seconds of each round


def drawn(files: list[str], n: int) -> list[str]:
    """So many documents of each file, from row groups spread over it."""
    texts: list[str] = []
    for file in files:
        parquet = pq.ParquetFile(file)
        wanted = -(-n // len(files))
        groups = np.unique(np.linspace(0, parquet.num_row_groups - 1, 8).astype(int))
        found = [t for g in groups for t in parquet.read_row_group(int(g), columns=["text"])["text"].to_pylist() if t and not t.isspace()]
        texts += [found[i] for i in np.random.default_rng(0).permutation(len(found))[:wanted]]
    return [texts[i] for i in np.random.default_rng(1).permutation(len(texts))[:n]]


def needed(encoder: Any, texts: list[str]) -> tuple[float, int]:
    """Operations and tokens of the texts, padding left out."""
    import torch

    lengths = np.array([p.shape[1] for p in encoder._prepare(texts, encoder.prefix)], np.float64)
    config = encoder.network.config.get_text_config()
    weights = sum(
        m.weight.numel() for name, m in encoder.network.named_modules() if isinstance(m, torch.nn.Linear) and "pooler" not in name
    )
    attention = 4 * config.num_hidden_layers * config.hidden_size
    return float((2 * weights * lengths + attention * lengths**2).sum()), int(lengths.sum())


def product(device: str, dtype: str, hidden: int) -> Callable[[], float]:
    """A function that gives operations a second of a matrix product: of one thread's processor time, or of a GPU's wall time."""
    import torch

    kind = getattr(torch, dtype)
    on_cpu = not device.startswith("cuda")
    rows, times, clock = (2048, 20, time.process_time) if on_cpu else (65_536, 200, time.perf_counter)
    a, b = torch.randn(rows, hidden, device=device).to(kind), torch.randn(hidden, 4 * hidden, device=device).to(kind)

    def measure() -> float:
        threads = torch.get_num_threads()
        torch.set_num_threads(1 if on_cpu else threads)
        with torch.inference_mode():
            torch.mm(a, b)
            wait(device)
            start = clock()
            for _ in range(times):
                torch.mm(a, b)
            wait(device)
            seconds = clock() - start
        torch.set_num_threads(threads)
        return 2 * rows * hidden * 4 * hidden * times / seconds

    return measure


def wait(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def neighbours(vectors: np.ndarray, most: int = 2000) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = unit[:most] @ unit.T
    cosines[np.arange(len(cosines)), np.arange(len(cosines))] = -2
    return np.argpartition(-cosines, 10, axis=1)[:, :10]


def kept(vectors: np.ndarray, reference: np.ndarray) -> float:
    pairs = zip(neighbours(vectors), neighbours(reference), strict=True)
    return float(np.mean([len(set(a.tolist()) & set(b.tolist())) / 10 for a, b in pairs]))


def clocked(run: Callable[[], np.ndarray], device: str) -> tuple[np.ndarray, float, float]:
    wait(device)
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    wait(device)
    return found, time.perf_counter() - wall, time.process_time() - cpu


def with_budget(encoder: Any, budget: int, texts: list[str]) -> np.ndarray:
    default, encoder.budget = encoder.budget, budget
    try:
        return encoder.encode(texts)
    finally:
        encoder.budget = default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--documents", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budgets", default="", help="Padded tokens of a batch, beside the default.")
    parser.add_argument("--no-static", action="store_true", help="Leave out static vectors, which take a minute to make the first time.")
    arguments = parser.parse_args()

    import torch

    from explorer.embeddings.encoders import load
    from explorer.embeddings.sentence import SentenceEncoder
    from explorer.models import device as devices
    from explorer.models.extra import sentence_transformers
    from explorer.models.hub import resolve

    warnings.simplefilter("ignore", DeprecationWarning)
    device = devices.pick(arguments.device)
    whole = drawn(arguments.files, arguments.documents or (96 if device.kind == "cpu" else 20_000))
    precisions = list(dict.fromkeys(["float32", device.fast]))
    path = resolve(arguments.model).path
    with devices.using(arguments.device):
        ours = {dtype: load(arguments.model, dtype=dtype) for dtype in precisions}
        static = None if arguments.no_static else load(f"static:{arguments.model}")
    plain = {"float32": sentence_transformers.SentenceTransformer(str(path), device=device.name)}
    if device.kind == "cuda":  # a user with a GPU may ask for half precision as well
        plain[device.fast] = sentence_transformers.SentenceTransformer(
            str(path), device=device.name, model_kwargs={"dtype": getattr(torch, device.fast)}
        )
    hidden = ours["float32"].network.config.hidden_size
    peak = {dtype: product(device.name, dtype, hidden) for dtype in precisions}
    budgets = [int(b) for b in arguments.budgets.split(",") if b]
    print(f"{arguments.model} on {device.about} ({platform.machine()}), torch {torch.__version__}, {arguments.rounds} rounds, medians.\n")

    for title, texts in (("whole documents", whole), ("the same, cut at 400 characters", [t[:400] for t in whole])):
        operations, tokens = needed(ours["float32"], texts)
        print(
            f"\n**{title}**: {len(texts):,} documents, {sum(len(t) for t in texts) / len(texts):,.0f} characters and {tokens / len(texts):,.0f} tokens read on average\n"
        )
        ways: dict[str, tuple[Callable[[list[str]], np.ndarray], str]] = {}
        for dtype, peer in plain.items():
            ways[f"SentenceTransformer.encode, {dtype}"] = (partial(peer.encode, show_progress_bar=False), dtype)
        for dtype, encoder in ours.items():
            assert isinstance(encoder, SentenceEncoder)
            for budget in dict.fromkeys([encoder.budget, *budgets]):
                ways[f"explorer, {dtype}{f', budget {budget:,}' if budget != encoder.budget else ''}"] = (
                    partial(with_budget, encoder, budget),
                    dtype,
                )
        if static is not None:
            ways["explorer, static vectors"] = (static.encode, "")
        timed: Timed = {}
        found: dict[str, np.ndarray] = {}
        rates: dict[str, list[float]] = {}
        for run, _ in ways.values():
            if device.kind == "cpu":
                break
            run(texts)  # kernels are chosen for each shape when it is first seen
        for _ in range(arguments.rounds):
            for name, (run, _) in ways.items():
                found[name], wall, cpu = clocked(partial(run, texts), device.name)
                timed.setdefault(name, []).append((wall, cpu))
            for dtype, measure in peak.items():
                rates.setdefault(dtype, []).append(measure())
        first = next(iter(ways))
        print(
            "| way | documents/s | documents/CPU-s | faster by the wall | by processor time | TFLOP a second | share of matmul | neighbours kept | largest difference |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for name, (_, dtype) in ways.items():
            wall, cpu = (statistics.median(seconds) for seconds in zip(*timed[name], strict=True))
            ratios = [statistics.median(a[k] / b[k] for a, b in zip(timed[first], timed[name], strict=True)) for k in (0, 1)]
            per_second = operations / (cpu if device.kind == "cpu" else wall)
            share = f"{per_second / 1e12:.3f} | {per_second / max(rates[dtype]):.0%}" if dtype else "- | -"
            same = found[name].shape == found[first].shape
            difference = f"{np.abs(found[name] - found[first]).max():.1g}" if same else "-"
            print(
                f"| {name} | {len(texts) / wall:,.1f} | {len(texts) / cpu:,.1f} | {ratios[0]:.2f}x | {ratios[1]:.2f}x | {share} "
                f"| {kept(found[name], found[first]):.3f} | {difference} |"
            )
        said = ", ".join(f"{dtype} {max(values) / 1e12:.3f} TFLOP a second" for dtype, values in rates.items())
        print(f"\nmatmul {2048 if device.kind == 'cpu' else 65_536} x {hidden} x {4 * hidden}: {said}")
    if device.fast == "float32":
        print("\nThis processor has no matrix units for bfloat16, so half precision is not measured.")


if __name__ == "__main__":
    main()
