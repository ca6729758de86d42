"""Families of corpus scope (duplicates, clusters, a map): computed for all documents at once, kept row by row like any signal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from explorer.corpus.corpus import Corpus
from explorer.corpus.sidecars import Sidecar, declare, forget, sidecar, to_table, write_shard
from explorer.engine.progress import Progress, ScoreReport
from explorer.registry import Cancelled, CorpusRun, Family


def score_whole(
    corpus: Corpus,
    family: Family,
    parameters: Mapping[str, Any] | None = None,
    *,
    again: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> ScoreReport:
    """Compute a family of corpus scope unless it is there for this corpus as it is now."""
    n, stop = len(corpus), cancel or threading.Event()
    side = sidecar(corpus.workspace, family, corpus.roles.text, parameters, corpus=identity(corpus, family, parameters))
    started = time.monotonic()
    if all(map(side.finished, corpus.shards)) and not again:
        on_progress(Progress("done", n, n, n, 0, 0.0, "", family.title))
        return ScoreReport((family.title,), n, 0, n, 0.0, 0)

    def tell(done: int, total: int, doing: str) -> None:
        on_progress(Progress("running", done, total, 0, 0, time.monotonic() - started, doing, family.title))

    corpus.workspace.folder("signals", side.folder.name)
    tell(0, n, f"preparing {family.title}")
    try:
        columns = family.compute(CorpusRun(corpus, side.folder, tell, stop), **side.parameters)
    except Cancelled:
        on_progress(Progress("cancelled", 0, n, 0, 0, time.monotonic() - started, "", family.title))
        return ScoreReport((family.title,), n, 0, 0, time.monotonic() - started, 0, cancelled=True)
    nulls = write_columns(corpus, family, side, columns, again=again)
    seconds = time.monotonic() - started
    on_progress(Progress("done", n, n, 0, corpus.text_size, seconds, "", family.title))
    return ScoreReport((family.title,), n, n, 0, seconds, corpus.text_size, nulls)


def identity(corpus: Corpus, family: Family, parameters: Mapping[str, Any] | None = None) -> str:
    """What decides the answer beside the parameters: the corpus, and the vectors or the signal that the family reads."""
    given = family.parameters(parameters)
    said = [corpus.fingerprint]
    if "embeddings" in given:
        from explorer.embeddings.store import latest

        read = latest(corpus, given["embeddings"] or None)
        said += [f"{read.side.folder.name} {read.side.run} {read.rows}"] if read else []
    # a parameter may name a signal that is read ("edu_score", "highest:edu_score"): its values of now, on both sides where there are two
    for side in (corpus, *([corpus.compared_with] if corpus.compared_with is not None else [])):
        coverage = side.coverage()
        for value in given.values():
            name = str(value).rpartition(":")[2]
            if isinstance(value, str) and coverage.of(name) is not None:
                said.append(str(coverage.stamp_of(name)))
    return " ".join(said)


def write_columns(corpus: Corpus, family: Family, side: Sidecar, columns: Mapping[str, Any], *, again: bool = True) -> dict[str, int]:
    """Keep columns that hold a value for every document, replacing what was there; the nulls of each."""
    table = to_table(family.signals, columns, np.ones(len(corpus), bool)).replace_schema_metadata()
    if table.num_rows != len(corpus):
        raise ValueError(f"{family.title} gave {table.num_rows:,} values for {len(corpus):,} documents")
    for shard in corpus.shards:  # all of the old before any of the new: a kill leaves rows missing, never two runs mixed
        forget(side, shard)
    for shard in corpus.shards:
        write_shard(side, shard, pa.table(table.slice(shard.first_row, shard.rows)))
    # last, since it is what tells others that there are new values
    declare(side, corpus.roles.text, again=again, corpus=corpus.fingerprint if family.whole else "")
    return {name: table[name].null_count for name in table.column_names}
