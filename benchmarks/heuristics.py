"""Time the heuristic signal families against published tools, on the same documents in the same run.

    python benchmarks/heuristics.py FILES... [--peers datatrove,nemo] [--peer-python datatrove=/path/bin/python]
                                    [--megabytes 8] [--peer-megabytes 1.5] [--rounds 5]

FILES are Parquet with a ``text`` column. Texts are in memory before any clock starts. The unit is MB of UTF-8 per CPU-second of one
process (all its threads), the median of the rounds; rounds alternate ours and the peers, so that a busy machine slows both. Two
threads are timed by the wall against one thread, alternating too.
A peer runs under ``--peer-python`` (default: this interpreter) and is skipped, and said so, when it cannot be imported there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WITHOUT_ZLIB = ["gopher_quality", "gopher_repetition", "fineweb"]
SETS = {
    "H1 + H2 + H4 (Gopher quality, Gopher repetition, FineWeb)": WITHOUT_ZLIB,
    "H1 + H2 + H4 + H5 (with RedPajama)": [*WITHOUT_ZLIB, "redpajama"],
    "H1 + H2 + H4 + H5 + H8 (with zlib level 6)": [*WITHOUT_ZLIB, "redpajama", "compression"],
}
MODEL_FAMILIES = {"language", "tokens"}


def datatrove_four(texts: list[str]) -> Callable[[], None]:
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
    from datatrove.utils import text as helpers

    filters = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(), FineWebQualityFilter()]

    def run() -> None:
        for text in texts:
            for one in filters:
                helpers.split_into_parts.cache_clear()  # each filter of a pipeline sees the whole shard before the next one starts
                one.filter(Document(text=text, id="0"))

    return run


def nemo_all(texts: list[str]) -> Callable[[], None]:
    from nemo_curator.stages.text.filters.heuristic import repetition
    from nemo_curator.stages.text.filters.heuristic import string as words

    names = [
        "NonAlphaNumericFilter", "SymbolsToWordsFilter", "NumbersFilter", "UrlsFilter", "BulletsFilter", "WhiteSpaceFilter", "ParenthesesFilter",
        "LongWordFilter", "WordCountFilter", "MeanWordLengthFilter", "PunctuationFilter", "EllipsisFilter", "CommonEnglishWordsFilter",
        "WordsWithoutAlphabetsFilter", "BoilerPlateStringFilter", "RepeatedLinesFilter", "RepeatedParagraphsFilter", "RepeatedLinesByCharFilter",
        "RepeatedParagraphsByCharFilter", "RepeatingTopNGramsFilter", "RepeatingDuplicateNGramsFilter",
    ]  # fmt: skip
    filters = [getattr(words if hasattr(words, name) else repetition, name)() for name in names]

    def run() -> None:
        for text in texts:
            for one in filters:
                one.keep_document(one.score_document(text))

    return run


PEERS = {
    "datatrove": ("datatrove, its four filters (Gopher x2, C4, FineWeb)", datatrove_four),
    "nemo": ("NeMo Curator, 21 document filters", nemo_all),
}


def peer_main(name: str, source: str) -> None:
    """Run one peer once over a Parquet file; print CPU seconds (start-up and a first document are not timed) as JSON."""
    texts = pq.read_table(source, columns=["text"])["text"].to_pylist()
    run = PEERS[name][1](texts)
    PEERS[name][1](texts[:3])()
    start = time.process_time()
    run()
    print(json.dumps({"cpu": time.process_time() - start}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--peers", default="")
    parser.add_argument("--peer-python", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--megabytes", type=float, default=8.0)
    parser.add_argument("--peer-megabytes", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        peer_main(arguments.peer, arguments.files[0])
        return

    from explorer.primitives.batch import Batch
    from explorer.registry import families

    texts: list[str] = []
    size = 0
    for file in arguments.files:
        for text in pq.read_table(file, columns=["text"])["text"].to_pylist():
            if size < arguments.megabytes * 1e6 and text is not None:
                texts.append(text)
                size += len(text.encode())
    array = pa.array(texts, pa.large_string())
    megabytes = size / 1e6
    known = families()

    def score(names: list[str], part: pa.Array | None = None) -> None:
        batch = Batch(array if part is None else part)
        for name in names:
            known[name].compute(batch)

    def cpu(names: list[str]) -> float:
        start = time.process_time()
        score(names)
        return time.process_time() - start

    heuristics = [n for n in known if n not in MODEL_FAMILIES and set(known[n].reads) == {"text"}]
    sets = {title: names for title, names in SETS.items() if set(names) <= set(known)}
    score(heuristics)  # compile, build the tables
    timed: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for name in heuristics:
            timed.setdefault(name, []).append(cpu([name]))
        for title, names in sets.items():
            timed.setdefault(title, []).append(cpu(names))
    print(f"{len(texts):,} documents, {megabytes:.1f} MB, {arguments.rounds} rounds, medians.\n")
    print("| family, alone | MB / CPU-s | documents / CPU-s |\n|---|---|---|")
    for name in [*heuristics, *sets]:
        seconds = statistics.median(timed[name])
        print(f"| {'**' + name + '**' if name in sets else name} | {megabytes / seconds:.1f} | {len(texts) / seconds:,.0f} |")

    print("\n| set | 1 thread, MB/s | 2 threads, MB/s | speed-up (median of pairs) |\n|---|---|---|---|")
    step = max(1, len(texts) // 16)
    parts = [array.slice(k, step) for k in range(0, len(texts), step)]
    for title, names in sets.items():
        walls: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(arguments.rounds):
            for threads in (1, 2):
                with ThreadPoolExecutor(threads) as pool:
                    start = time.perf_counter()
                    list(pool.map(lambda part, names=names: score(names, part), parts))  # type: ignore[misc]
                    walls[threads].append(time.perf_counter() - start)
        ratio = statistics.median(a / b for a, b in zip(walls[1], walls[2], strict=True))
        print(f"| {title} | {megabytes / statistics.median(walls[1]):.1f} | {megabytes / statistics.median(walls[2]):.1f} | {ratio:.2f}x |")

    pythons = dict(item.split("=", 1) for item in arguments.peer_python)
    for name in filter(None, arguments.peers.split(",")):
        print(f"\n| {PEERS[name][0]} | peer MB / CPU-s | ours MB / CPU-s | ratio (median of pairs; lowest, highest) |\n|---|---|---|---|")
        few: list[str] = []
        few_size = 0
        for text in texts:
            if few_size < arguments.peer_megabytes * 1e6:
                few.append(text)
                few_size += len(text.encode())
        with tempfile.TemporaryDirectory() as folder:
            source = str(Path(folder) / "texts.parquet")
            pq.write_table(pa.table({"text": few}), source)
            small = pa.array(few, pa.large_string())
            pairs: dict[str, list[tuple[float, float]]] = {}
            for _ in range(arguments.rounds):
                answer = subprocess.run(
                    [pythons.get(name, sys.executable), __file__, source, "--peer", name], capture_output=True, text=True
                )
                if answer.returncode:
                    print(f"| {name}: not measured: {answer.stderr.strip().splitlines()[-1]} | | | |")
                    break
                theirs = json.loads(answer.stdout.splitlines()[-1])["cpu"]
                for title, names in sets.items():
                    start = time.process_time()
                    score(names, small)
                    pairs.setdefault(title, []).append((theirs, time.process_time() - start))
            for title, measured in pairs.items():
                ratios = sorted(a / b for a, b in measured)
                theirs, mine = (few_size / 1e6 / statistics.median(x) for x in zip(*measured, strict=True))
                print(f"| {title} | {theirs:.2f} | {mine:.1f} | {statistics.median(ratios):.0f}x ({ratios[0]:.0f}, {ratios[-1]:.0f}) |")


if __name__ == "__main__":
    main()
