"""What a method found in a corpus, kept in the workspace: another keeper rule, a page or a later run reads it and computes nothing.

duplicates/<method>-<hash of parameters and corpus>/groups.parquet   a row a document
duplicates/<method>-<hash of parameters and corpus>/pairs.parquet    group, row_a, row_b, similarity; sorted
duplicates/<method>-<hash of parameters and corpus>/report.json      counts, written last
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.corpus import reading
from explorer.corpus.columns import BYTES_A_TOKEN, Tokens
from explorer.corpus.scored import modified
from explorer.corpus.workspace import write_atomically, write_json

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

VERSION = 1  # rises when any method's answer changes
ROWS_A_GROUP = 131_072


@dataclass(frozen=True)
class Found:
    """What a method found.

    Attributes:
        method: "exact", "minhash", "lines" or "semantic".
        columns: by name one value a document, NaN or -1 where undefined; groups are named by their lowest document number.
        report: counts, as JSON holds them.
        folder: where it is kept, with ``pairs.parquet`` where the method compares pairs.

    """

    method: str
    columns: Mapping[str, np.ndarray]
    report: Mapping[str, Any]
    folder: Path


def folder_of(corpus: Corpus, method: str, parameters: Mapping[str, Any]) -> Path:
    """Where a method keeps what it finds in this corpus as it is now."""
    files = [[shard.path, shard.fingerprint, modified(shard)] for shard in corpus.shards]
    identity = json.dumps([VERSION, corpus.roles.text, files, parameters], sort_keys=True, default=str)
    return corpus.workspace.path / "duplicates" / f"{method}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def load(corpus: Corpus, method: str, parameters: Mapping[str, Any]) -> Found | None:
    """What was found before, None when nothing whole is there."""
    folder = folder_of(corpus, method, parameters)
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        table = pq.ParquetFile(folder / "groups.parquet").read()
    except (OSError, ValueError, pa.ArrowException):
        return None
    if table.num_rows != len(corpus):
        return None
    return Found(method, {name: table[name].to_numpy() for name in table.column_names}, report, folder)


def save(
    corpus: Corpus,
    method: str,
    parameters: Mapping[str, Any],
    columns: Mapping[str, np.ndarray],
    report: Mapping[str, Any],
    tables: Mapping[str, pa.Table] | None = None,
) -> Found:
    """Keep what was found; ``tables`` are further files, by their names without ending.

    Raises:
        WorkspaceError: the workspace cannot be written.

    """
    folder = folder_of(corpus, method, parameters)
    for name, table in {"groups": pa.table(dict(columns)), **(tables or {})}.items():
        write_atomically(folder / f"{name}.parquet", partial(pq.write_table, table, compression="zstd", row_group_size=ROWS_A_GROUP))
    report = {**report, "parameters": dict(parameters)}
    write_json(folder / "report.json", report)
    return Found(method, columns, report, folder)


def hand_over(found: Found, folder: Path) -> None:
    """Put the pairs, lines and counts beside the columns that a family makes of them, without a copy where links can be made.

    Raises:
        WorkspaceError: the folder cannot be written.

    """

    def link(source: Path, path: Path) -> None:
        try:
            os.link(source, path)
        except OSError:
            shutil.copyfile(source, path)

    for name in ("pairs.parquet", "lines.parquet", "report.json"):
        if (found.folder / name).exists():
            write_atomically(folder / name, partial(link, found.folder / name))


_bytes: WeakKeyDictionary[Corpus, np.ndarray] = WeakKeyDictionary()


def text_bytes(corpus: Corpus) -> np.ndarray:
    """UTF-8 bytes of every text, int64 [n], 0 where null: as a method or the score ``n_bytes`` has left it, else by reading all texts."""
    if corpus not in _bytes:
        known = load(corpus, "bytes", {})
        _bytes[corpus] = known.columns["bytes"] if known else keep_bytes(corpus, reading.text_bytes(corpus))
    return _bytes[corpus]


def keep_bytes(corpus: Corpus, sizes: np.ndarray) -> np.ndarray:
    """Keep what `text_bytes` answers, by one who has read all texts anyway."""
    if load(corpus, "bytes", {}) is None:
        save(corpus, "bytes", {}, {"bytes": sizes}, {})
    return sizes


def tokens_of(corpus: Corpus) -> Tokens:
    """Tokens of each document as `Columns.tokens` counts them; an estimate is made from the bytes that are known, no text is read."""
    coverage = corpus.coverage()
    counted = corpus.roles.tokens or any(coverage.of(s) and coverage.scored_rows(s) == len(corpus) for s in ("n_tokens", "n_bytes"))
    return corpus.columns.tokens() if counted else Tokens(text_bytes(corpus) / BYTES_A_TOKEN, "bytes / 4", True)


def pairs_table(group: np.ndarray, a: np.ndarray, b: np.ndarray, similarity: np.ndarray) -> pa.Table:
    """Compared pairs of documents, sorted by group, then by their numbers; ``group`` is by document."""
    order = np.lexsort((b, a, group[a]))
    return pa.table({"group": group[a[order]], "row_a": a[order], "row_b": b[order], "similarity": similarity[order].astype(np.float32)})
