"""Score a corpus on this machine, resumable after a kill; what is already there is never computed again.

Heuristics go row group by row group, in threads (kernels release the GIL): each row group becomes one part file a family
(`explorer.corpus.sidecars`), and memory is bounded by the row groups in flight, very large ones read in slices. Learned families,
and any family asked for chosen rows only, go piece by piece (`explorer.engine.pieces`); those of corpus scope see it all
(`explorer.engine.whole`).
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from explorer.corpus.corpus import Corpus
from explorer.corpus.files import Shard
from explorer.corpus.roles import is_text
from explorer.corpus.scored import modified, remember
from explorer.corpus.sidecars import Sidecar, declare, forget, join_parts, sidecar, to_table, write_part
from explorer.corpus.workspace import remove_leftovers
from explorer.engine.gpus import score_in_processes, spread
from explorer.engine.pieces import forget_rows, score_pieces
from explorer.engine.progress import Progress, ScoreReport, together
from explorer.engine.whole import score_whole
from explorer.errors import CorpusError, ExplorerError, SignalError
from explorer.primitives.batch import Batch
from explorer.registry import Family, families, find

SLICE = 16 * 1024**2  # text bytes computed at once by a worker; the n-gram kernels need about 20 times as much
SLICE_ROWS = 32_768  # rows computed at once: footers say too little of dictionary-encoded text
HEURISTICS = "heuristics"  # every family that needs neither a model nor a tokenizer
AUDIT = "audit"  # every check that a pair is given unless others are named


@dataclass(frozen=True)
class _Task:
    shard: Shard
    row_group: int
    wanted: tuple[tuple[Family, Sidecar], ...]


_Scored = tuple[int, dict[str, int]]  # text bytes read; nulls a signal


def score(
    corpus: Corpus,
    names: Sequence[str],
    *,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    rows: Sequence[int] | np.ndarray | None = None,
    workers: int | None = None,
    limit: int | None = None,
    again: bool = False,
    device: str = "auto",
    on_progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> ScoreReport:
    """Compute families of signals for every document that lacks them.

    Args:
        corpus: the corpus to score.
        names: families, single signals (the signal's whole family is computed, since it costs the same), "heuristics"
            (every family that needs neither a model nor a tokenizer), "audit" (every check that pairs are given), or "family:alias"
            (beside itself, with other parameters).
        parameters: by family name as given in ``names``, its keyword parameters.
        rows: numbers of the documents to score; all by default.
        workers: threads of heuristics, the machine's processors by default; processes of a model, by default one for every GPU.
        limit: only the row groups that hold the first ``limit`` documents.
        again: remove what these families have computed for the files in question first, and compute it anew.
        device: what models run on: "auto", "cpu", "cuda", "cuda:1" or "mps".
        on_progress: called after each row group or piece.
        cancel: when set, no further one is started and the report says so.

    Returns:
        What was computed and what was there already.

    Raises:
        SignalError: an unknown name or parameter, or a family failed on a document.
        ModelError: a model is not on this machine, or the device is not there.
        WorkspaceError: the workspace cannot be written; what was finished before is kept.
        CorpusError: row groups could not be read; raised at the end, when all others have been computed and kept.

    """
    from explorer.models import device as devices
    from explorer.models.hub import settled

    chosen = _families(names)
    unknown = set(parameters or {}) - {f.title for f in chosen}
    if unknown:
        raise SignalError(
            f"Parameters were given for {sorted(unknown)[0]!r}, which is not scored. Scored: {', '.join(f.title for f in chosen)}. Add it to the signals or leave its parameters out."
        )
    given = {f.title: (parameters or {}).get(f.title) or {} for f in chosen}
    tell, stop = on_progress or (lambda _: None), cancel or threading.Event()
    asked = None if rows is None else np.unique(np.asarray(rows, np.int64))
    if asked is not None and len(asked) and (asked[0] < 0 or asked[-1] >= len(corpus)):
        raise SignalError(
            f"Document {int(asked[0] if asked[0] < 0 else asked[-1]):,} does not exist. The corpus has {len(corpus):,}, numbered from 0. Name rows among them."
        )
    if asked is None and limit is not None:
        asked_learned: np.ndarray | None = np.arange(min(limit, len(corpus)))
    else:
        asked_learned = asked
    kernels = [f for f in chosen if not (f.whole or f.learned) and asked is None]
    by_piece = [f for f in chosen if not f.whole and (f.learned or asked is not None)]
    reports = []
    if kernels:
        reports.append(_score_row_groups(corpus, kernels, given, workers, limit, again, tell, stop))
    for family in by_piece:
        if stop.is_set():
            break
        with devices.using(device):
            own = _of_workspace(corpus, family, given[family.title])
            wanted = settled(family.parameters(own)) if family.learned else own
            side = sidecar(corpus.workspace, family, corpus.roles.text, wanted, corpus=key_beside(corpus, family))
            side.folder.parent.mkdir(parents=True, exist_ok=True)
            declare(side, corpus.roles.text, again=again, corpus=corpus.pairing if family.of_pairs else "")
            remove_leftovers(side.folder)
            count = len(corpus) if asked_learned is None else len(asked_learned)
            names = spread(device, workers, count) if family.learned else [device]
            if len(names) > 1:
                if again:
                    forget_rows(corpus, side, asked_learned)
                task = {"score": family.title, "parameters": dict(side.parameters)}
                reports.append(score_in_processes(corpus, family, side, task, asked_learned, names, on_progress=tell, cancel=stop))
            else:
                about = devices.current().about if family.learned else ""
                reports.append(score_pieces(corpus, family, side, asked_learned, again=again, device=about, on_progress=tell, cancel=stop))
        remember(corpus.workspace, [(side, s) for s in corpus.shards if side.finished(s)], {})
    for family in (f for f in chosen if f.whole):
        if stop.is_set():
            break
        with devices.using(device):
            reports.append(score_whole(corpus, family, given[family.title], again=again, on_progress=tell, cancel=stop))
    return together(reports)


def _of_workspace(corpus: Corpus, family: Family, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """``scorer:mine`` means the scorer "mine" that was trained in this workspace, unless a folder is given."""
    if family.name != "scorer" or not family.alias or given.get("model"):
        return given
    from explorer.scorers import folder

    return {**given, "model": str(folder(corpus.workspace, family.alias))}


def _score_row_groups(
    corpus: Corpus,
    chosen: Sequence[Family],
    given: Mapping[str, Mapping[str, Any]],
    workers: int | None,
    limit: int | None,
    again: bool,
    tell: Callable[[Progress], None],
    stop: threading.Event,
) -> ScoreReport:
    """Heuristics over all documents, row group by row group."""
    names = ", ".join(f.title for f in chosen)
    sides = [(f, sidecar(corpus.workspace, f, corpus.roles.text, given[f.title], corpus=key_beside(corpus, f))) for f in chosen]
    corpus.workspace.folder("signals")
    for family, side in sides:
        declare(side, corpus.roles.text, again=again, corpus=corpus.pairing if family.of_pairs else "")
        remove_leftovers(side.folder)
        for shard in _first_shards(corpus, limit) if again else []:
            forget(side, shard)
    times = {(side.folder.name, s.path): modified(s) for s in corpus.shards for _, side in sides if not side.finished(s)}
    tasks, total, reused = _plan(corpus, sides, limit)
    done, done_bytes, nulls = reused, 0, dict.fromkeys((s.name for f in chosen for s in f.signals), 0)
    for family, side in sides if tasks else []:
        tell(
            Progress("running", done, total, reused, 0, 0.0, f"preparing {family.name} (kernels are compiled once an installation)", names)
        )
        if not stop.is_set():
            family.run(Batch.of(["A first document."], ["An original."]), **side.parameters)
    started = time.monotonic()
    tell(Progress("running", done, total, reused, 0, 0.0, "", names))
    left = Counter(task.shard.path for task in tasks)
    damaged: list[CorpusError] = []
    for task, outcome in _run(corpus, tasks, workers or os.cpu_count() or 1, stop):
        if isinstance(outcome, CorpusError):
            damaged.append(outcome)
        else:
            size, found = outcome
            done += task.shard.row_groups[task.row_group].rows
            done_bytes += size
            for name, count in found.items():
                nulls[name] += count
        left[task.shard.path] -= 1
        if not left[task.shard.path]:
            _finish(task.shard, sides)
        tell(Progress("running", done, total, reused, done_bytes, time.monotonic() - started, "", names))
    for shard in corpus.shards:
        _finish(shard, sides)
    remember(corpus.workspace, [(side, s) for s in corpus.shards for _, side in sides if side.finished(s)], times)
    seconds = time.monotonic() - started
    if damaged:
        tell(Progress("failed", done, total, reused, done_bytes, seconds, "", names))
        raise _summed_up(damaged, done, total)
    cancelled = stop.is_set() and done < total
    tell(Progress("cancelled" if cancelled else "done", done, total, reused, done_bytes, seconds, "", names))
    return ScoreReport(tuple(f.name for f in chosen), total, done - reused, reused, seconds, done_bytes, nulls, cancelled)


def score_texts(
    texts: Sequence[str | None],
    names: Sequence[str],
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    originals: Sequence[str | None] | None = None,
) -> pa.Table:
    """The same signals for a few texts at once, nothing stored: what is on the screen, a rewrite just made, a notebook cell.

    Args:
        texts: n documents.
        names: families or signals; checks among them where ``originals`` are given, what each text was rewritten from.
        parameters: by family name.
        originals: n texts.

    """
    batch, tables = Batch.of(texts, originals), []
    for family in _families(names):
        if family.whole:
            raise SignalError(
                f"{family.title!r} compares all documents of a corpus, not a few texts. Score the corpus: corpus.score({family.title!r})"
            )
        if family.of_pairs and originals is None:
            raise SignalError(
                f"{family.title!r} compares rewrites with their originals. Give them too: score_texts(rewrites, names, originals=originals)"
            )
        tables.append(_compute(family, batch, family.parameters((parameters or {}).get(family.title))))
    return pa.table({name: t[name] for t in tables for name in t.column_names})


def score_sample(
    corpus: Corpus, names: Sequence[str], n: int, *, seed: int = 0, parameters: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[int, pa.Table]:
    """The same signals for a seeded sample of documents, nothing stored.

    Returns:
        How many documents were drawn, and their values in ascending order of document number.
    """
    total = len(corpus)
    rows = np.sort(np.random.default_rng(seed).choice(total, min(n, total), replace=False)) if total else np.zeros(0, np.int64)
    texts = corpus.documents(rows, [corpus.roles.text])[corpus.roles.text].to_list()
    return len(rows), score_texts(texts, names, parameters)


def _families(names: Sequence[str]) -> list[Family]:
    if not names:
        raise SignalError("No signal was named. Name families or signals, such as gopher_quality. List them with: explorer signals")
    chosen: dict[str, Family] = {}
    for name in names:
        for item in heuristics() if name == HEURISTICS else audit() if name == AUDIT else [find(name)]:
            chosen[item.title] = item
    return list(chosen.values())


def heuristics() -> list[Family]:
    """The families that read text alone and take neither a model nor a tokenizer."""
    return [
        f for f in families().values() if f.scope == "document" and f.reads == ("text",) and not {"model", "tokenizer"} & set(f.defaults)
    ]


def audit() -> list[Family]:
    """The checks that every pair of a rewrite and its original is given."""
    return [f for f in families().values() if f.audit]


def key_beside(corpus: Corpus, family: Family) -> str:
    """What decides a check's answer beside the rewrites' own texts: the originals, and which columns play the other roles it reads."""
    if not family.of_pairs:
        return ""
    if not corpus.pairing:
        corpus.with_originals(Batch.of([]), np.zeros(0, np.int64))  # says why not
    others = sorted(set(family.reads) - {"text", "original"})
    return " ".join([corpus.pairing, *(f"{role}={getattr(corpus.roles, role)}" for role in others)])


def _first_shards(corpus: Corpus, limit: int | None) -> list[Shard]:
    """The files that hold the first ``limit`` documents."""
    return [s for s in corpus.shards if limit is None or s.first_row < limit]


def _finish(shard: Shard, sides: Sequence[tuple[Family, Sidecar]]) -> None:
    """Join the parts of a shard where all of them are there."""
    for family, side in sides:
        if not side.finished(shard) and not side.missing(shard):
            join_parts(side, shard, family.signals)


def _summed_up(damaged: Sequence[CorpusError], done: int, total: int) -> CorpusError:
    if len(damaged) == 1:
        return damaged[0]
    said = str(damaged[0]).removesuffix(" What was scored is kept.")
    return CorpusError(f"{said} {len(damaged) - 1} more row groups failed. {done:,} of {total:,} documents are scored and kept.")


def _plan(corpus: Corpus, sides: Sequence[tuple[Family, Sidecar]], limit: int | None) -> tuple[list[_Task], int, int]:
    tasks: list[_Task] = []
    total, reused = 0, 0
    for shard in corpus.shards:
        missing = [(family, side, set(side.missing(shard))) for family, side in sides]
        for i, group in enumerate(shard.row_groups):
            if limit is not None and total >= limit:
                return tasks, total, reused
            total += group.rows
            wanted = tuple((family, side) for family, side, lacking in missing if i in lacking)
            if wanted:
                tasks.append(_Task(shard, i, wanted))
            else:
                reused += group.rows
    return tasks, total, reused


def _run(corpus: Corpus, tasks: Sequence[_Task], workers: int, stop: threading.Event) -> Iterator[tuple[_Task, _Scored | CorpusError]]:
    """Tasks as they end, a damaged row group with its error; at most ``workers`` row groups are in memory."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="score")
    pending: dict[Future[_Scored], _Task] = {}
    left = iter(tasks)
    try:
        while True:
            while len(pending) < workers and not stop.is_set() and (task := next(left, None)) is not None:
                pending[pool.submit(_score_row_group, corpus, task)] = task
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                task = pending.pop(future)
                error = future.exception()
                yield task, error if isinstance(error, CorpusError) else future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _score_row_group(corpus: Corpus, task: _Task) -> _Scored:
    # Asked again: a second process may be scoring the same corpus.
    wanted = [(family, side) for family, side in task.wanted if side.lacks(task.shard, task.row_group)]
    tables: dict[str, list[pa.Table]] = {family.name: [] for family, _ in wanted}
    if not wanted:
        return 0, {}
    size = 0
    reads = {r for family, _ in wanted for r in family.reads}
    at = task.shard.first_row + sum(g.rows for g in task.shard.row_groups[: task.row_group])
    for batch in _batches(corpus, task.shard, task.row_group, reads):
        size += int(batch.offsets[-1] - batch.offsets[0])
        if "original" in reads:
            corpus.with_originals(batch, np.arange(at, at + len(batch)))
        at += len(batch)
        for family, side in wanted:
            try:
                tables[family.name].append(_compute(family, batch, dict(side.parameters)))
            except (ExplorerError, ImportError, MemoryError):
                raise
            except Exception as error:
                raise SignalError(
                    f"Signal family {family.name!r} failed on row group {task.row_group} of {task.shard.path!r}: {error}. The other row groups are kept. Please report it with this file."
                ) from error
    nulls: dict[str, int] = {}
    for family, side in wanted:
        table = pa.concat_tables(tables[family.name])
        write_part(side, task.shard, task.row_group, table)
        nulls |= {name: table[name].null_count for name in table.column_names}
    return size, nulls


def _compute(family: Family, batch: Batch, parameters: Mapping[str, Any]) -> pa.Table:
    """The family's columns for a batch, null where a document, or the original that it is compared with, is null."""
    return to_table(family.signals, family.run(batch, **parameters), family.defined(batch))


def _batches(corpus: Corpus, shard: Shard, row_group: int, reads: set[str]) -> Iterator[Batch]:
    """The documents of a row group, in slices of about 16 MB of text."""
    group = shard.row_groups[row_group]
    roles = {role: column for role, column in corpus.roles.assigned().items() if role in reads and column in shard.schema.names}
    if "text" not in roles:
        yield Batch(pa.nulls(group.rows, pa.large_string()))
        return
    kind = shard.schema.field(roles["text"]).type
    if not is_text(kind):
        raise CorpusError(
            f"Column {roles['text']!r} of {shard.path!r} is {kind}, not text. The other files are scored. Rewrite that file with a string column, or leave it out."
        )
    size = group.sizes.get(roles["text"], 0)
    rows = max(1, min(group.rows, SLICE_ROWS, int(group.rows * SLICE / size) if size > SLICE else group.rows))
    file = shard.open()
    try:
        if group.rows == 0:
            yield Batch(pa.array([], pa.large_string()))
            return
        for piece in file.iter_batches(batch_size=rows, row_groups=[row_group], columns=sorted(set(roles.values()))):
            text = piece.column(roles["text"])
            text = text.dictionary_decode() if pa.types.is_dictionary(text.type) else text
            yield Batch(text, {role: piece.column(column) for role, column in roles.items() if role != "text"})
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(
            f"Row group {row_group} of {shard.path!r} cannot be read: {error}. The file is damaged there; restore it, or leave it out. What was scored is kept."
        ) from error
