"""Threshold tuning at ten million documents: our kernels against DuckDB and polars, in memory, in one run.

    python benchmarks/thresholds.py [--rows 10000000] [--repeats 9]

Twelve skewed signals, ten sources, six to eight active cuts that change at every repetition so that nothing can be cached. Every
count is compared between the engines before a time is reported. Sums of tokens are whole numbers, so they must be equal too.
"""

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable

import duckdb
import numpy as np
import polars as pl

from explorer.selection.curves import choose_edges, code_range, histogram, leave_one_out, passes, quantise
from explorer.selection.selection import by_code

SIGNALS, SOURCES = 12, 10


def corpus(rows: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Heavy-tailed, bounded, zero-heavy and partly null columns; tokens follow the first; seeded."""
    rng = np.random.default_rng(20)
    source = rng.choice(SOURCES, rows, p=np.arange(1, SOURCES + 1) / 55).astype("u1")
    columns = []
    for k in range(SIGNALS):
        if k % 4 == 0:
            values = rng.lognormal(5.5 + source / 20, 1.3).astype("f4")
        elif k % 4 == 1:
            values = rng.beta(9 - source / 3, 2).astype("f4")
        elif k % 4 == 2:
            values = rng.beta(1, 6, rows).astype("f4")
            values[rng.random(rows, dtype="f4") < 0.7] = 0
        else:
            values = rng.standard_normal(rows, dtype="f4")
            values[rng.random(rows, dtype="f4") < 0.01] = np.nan
        columns.append(values)
    return columns, source, np.round(columns[0] * 1.3).astype("f4")


def bounds_of(columns: list[np.ndarray], turn: int) -> list[tuple[float | None, float | None]]:
    """Cuts of one turn: a lower one on even signals' heads, an upper one on tails, some columns free."""
    bounds: list[tuple[float | None, float | None]] = []
    for k, values in enumerate(columns):
        sample = values[: 1 << 16]
        sample = sample[~np.isnan(sample)]
        if k % 4 == 3 and k != 3:
            bounds.append((None, None))
        elif k % 4 == 2:
            bounds.append((None, round(float(np.quantile(sample, 0.95 + 0.004 * (turn % 10))), 4)))
        else:
            bounds.append((round(float(np.quantile(sample, 0.02 + 0.006 * (turn % 13))), 4), None))
    return bounds


def where(bounds: list[tuple[float | None, float | None]], skip: int = -1) -> str:
    """The same cuts as SQL; a null passes only where there is no cut."""
    parts = [
        f"s{k} {sign} {value!r}::float"
        for k, pair in enumerate(bounds)
        if k != skip
        for sign, value in zip((">=", "<="), pair, strict=True)
        if value is not None
    ]
    return " and ".join(parts) or "true"


def expression(bounds: list[tuple[float | None, float | None]], skip: int = -1) -> pl.Expr:
    parts = [pl.col(f"s{k}") >= pl.lit(pair[0], pl.Float32) for k, pair in enumerate(bounds) if k != skip and pair[0] is not None]
    parts += [pl.col(f"s{k}") <= pl.lit(pair[1], pl.Float32) for k, pair in enumerate(bounds) if k != skip and pair[1] is not None]
    return pl.all_horizontal(parts) if parts else pl.lit(True)


def timed(run: Callable[[], object]) -> tuple[object, float]:
    started = time.perf_counter()
    return run(), (time.perf_counter() - started) * 1e3


def megabytes() -> float:
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * resource.getpagesize() / 1e6


def line(task: str, engine: str, times: list[float], ours: list[float]) -> str:
    p95 = float(np.quantile(times, 0.95))
    return (
        f"| {task} | {engine} | {statistics.median(times):,.0f} | {p95:,.0f} | {statistics.median(times) / statistics.median(ours):.1f}× |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    asked = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    columns, source, tokens = corpus(asked.rows)

    turns = [bounds_of(columns, turn) for turn in range(asked.repeats + 1)]  # the first warms every engine up
    keeps = [sorted({v for bounds in turns for v in bounds[k] if v is not None}) for k in range(SIGNALS)]
    before = megabytes()
    edges = [choose_edges(c, keep) for c, keep in zip(columns, keeps, strict=True)]
    codes = [quantise(c, e) for c, e in zip(columns, edges, strict=True)]
    every = [histogram(c, source, tokens, SOURCES) for c in codes]
    ours_mb = megabytes() - before

    before = megabytes()
    frame = pl.DataFrame(
        {f"s{k}": pl.Series(v).fill_nan(None) for k, v in enumerate(columns)}
        | {f"c{k}": v for k, v in enumerate(codes)}
        | {"source": source, "tokens": tokens}
    )
    polars_mb = megabytes() - before
    before = megabytes()
    con = duckdb.connect(config={"threads": threads})
    con.execute("create table t as select * from frame")
    duckdb_mb = megabytes() - before

    times: dict[tuple[str, str], list[float]] = {}

    def note(task: str, engine: str, ms: float, turn: int) -> None:
        if turn:
            times.setdefault((task, engine), []).append(ms)

    grouped = (pl.len().alias("documents"), pl.col("tokens").cast(pl.Float64).sum().alias("tokens_sum"))
    for turn, bounds in enumerate(turns):
        low, high = zip(*(code_range(e, *b) for e, b in zip(edges, bounds, strict=True)), strict=True)
        null_passes = [b == (None, None) for b in bounds]

        task = "kept documents and tokens by source"

        def kept_by_source(low: tuple = low, high: tuple = high, null_passes: list = null_passes) -> tuple[np.ndarray, np.ndarray]:
            sums = by_code(source, tokens, passes(codes, low, high, len(source), null_passes=null_passes), SOURCES)
            return sums[1], sums[3]

        (documents, weights), ms = timed(kept_by_source)
        note(task, "ours", ms, turn)
        query = f"select source, count(*), sum(tokens::double) from t where {where(bounds)} group by 1 order by 1"
        answer, ms = timed(lambda: con.execute(query).fetchall())  # noqa: B023
        note(task, "DuckDB", ms, turn)
        table, ms = timed(lambda: frame.lazy().filter(expression(bounds)).group_by("source").agg(*grouped).sort("source").collect())  # noqa: B023
        note(task, "polars", ms, turn)
        ours = [(s, int(documents[s]), float(weights[s])) for s in range(SOURCES)]
        assert ours == answer == table.rows(), f"counts differ in turn {turn}"

        task = "all curves, other cuts applied"
        curves, ms = timed(lambda: leave_one_out(codes, low, high, source, tokens, SOURCES, null_passes=null_passes, unconditioned=every))  # noqa: B023
        note(task, "ours", ms, turn)
        assert curves.kept_documents.tolist() == documents.tolist()
        if turn > 3:  # the peers take seconds here: three repetitions after the warm-up
            continue

        def by_duckdb(bounds: list = bounds) -> list:
            return [
                con.execute(
                    f"select c{k}, source, count(*), sum(tokens::double) from t where {where(bounds, k)} group by 1, 2"
                ).fetchnumpy()
                for k in range(SIGNALS)
            ]

        def by_polars(bounds: list = bounds) -> list:
            return pl.collect_all(
                [frame.lazy().filter(expression(bounds, k)).group_by(f"c{k}", "source").agg(*grouped) for k in range(SIGNALS)]
            )

        parts, ms = timed(by_duckdb)
        note(task, "DuckDB, one query a cut", ms, turn)
        frames, ms = timed(by_polars)
        note(task, "polars, one query a cut", ms, turn)
        for k in range(SIGNALS):
            for peer in ([np.asarray(column) for column in parts[k].values()], [frames[k][name].to_numpy() for name in frames[k].columns]):
                expected = np.zeros((256, SOURCES)), np.zeros((256, SOURCES))
                expected[0][peer[0], peer[1]], expected[1][peer[0], peer[1]] = peer[2], peer[3]
                assert np.array_equal(expected[0], curves.documents[k]), f"documents of curve {k} differ in turn {turn}"
                assert np.array_equal(expected[1], curves.tokens[k]), f"tokens of curve {k} differ in turn {turn}"

    task = "quantise one column to 254 edges or fewer"
    for turn in range(asked.repeats + 1):
        values, at = columns[turn % SIGNALS], edges[turn % SIGNALS]
        mine, ms = timed(lambda: quantise(values, at))  # noqa: B023
        note(task, "ours", ms, turn)
        if turn <= 3:
            theirs, ms = timed(lambda: np.searchsorted(at, values, side="right"))  # noqa: B023
            note(task, "NumPy searchsorted", ms, turn)
            assert np.array_equal(mine, np.where(np.isnan(values), 255, theirs))
        _, ms = timed(lambda: choose_edges(values, keeps[0][:4]))  # noqa: B023
        note("choose its edges", "ours", ms, turn)

    print(
        f"{asked.rows:,} rows × {SIGNALS} signals × {SOURCES} sources, {threads} threads, load {os.getloadavg()[0]:.1f}; kept in the last turn: {int(documents.sum()):,}"
    )
    print(f"duckdb {duckdb.__version__}, polars {pl.__version__}, numpy {np.__version__}. Counts and token sums equal in every turn.\n")
    print("| task | engine | p50 ms | p95 ms | to ours |\n|---|---|---:|---:|---:|")
    for task, engine in times:
        print(line(task, engine, times[task, engine], times[task, "ours"]))
    print(
        f"\nMemory: codes and histograms {ours_mb:,.0f} MB beside the float32 columns, DuckDB table {duckdb_mb:,.0f} MB, polars copy {polars_mb:,.0f} MB;"
    )
    print(f"peak of the process with all of them {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB.")


if __name__ == "__main__":
    main()
