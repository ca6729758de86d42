"""Vectors read back: the right ones at the right numbers, from files and pieces, and a clear word when that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.corpus.sidecars import TEXT, Sidecar, declare, join_pieces, sidecar, write_piece
from explorer.embeddings.store import COLUMN, embeddings, stored
from explorer.errors import EmbeddingError
from explorer.registry import Family, Signal

D = 8


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    for i, n in enumerate((700, 300)):
        pq.write_table(pa.table({"text": [f"document {i} {k}" for k in range(n)]}), tmp_path / f"{i}.parquet", row_group_size=100)
    return open_corpus(tmp_path, workspace=tmp_path / "w")


@pytest.fixture
def matrix() -> np.ndarray:
    values = np.random.default_rng(0).standard_normal((1000, D)).astype(np.float32)
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)


def side_of(corpus: Corpus) -> Sidecar:
    settings = {"model": "test", "revision": "1"}
    family = Family("test@1", 1, "tests", (Signal(COLUMN, "", "", dtype="vector"),), lambda: {}, defaults=settings)
    side = sidecar(corpus.workspace, family, corpus.roles.text, settings, kind="embeddings")
    declare(side, corpus.roles.text)
    return side


def keep(corpus: Corpus, side: Sidecar, matrix: np.ndarray, rows: np.ndarray, absent: frozenset[int] = frozenset()) -> None:
    for shard in corpus.shards:
        here = rows[(rows >= shard.first_row) & (rows < shard.first_row + shard.rows)]
        if len(here):
            gone = pa.array([int(r) in absent for r in here])
            column = pa.FixedSizeListArray.from_arrays(pa.array(matrix[here].reshape(-1), pa.float16()), D, mask=gone)
            table = pa.table({COLUMN: column, TEXT: pa.array([b"x" * 16] * len(here), pa.binary())})
            write_piece(side, shard, here - shard.first_row, table)


def test_files_and_pieces_in_any_order_with_gaps(corpus: Corpus, matrix: np.ndarray) -> None:
    side = side_of(corpus)
    order = np.random.default_rng(1).permutation(1000)
    some = np.sort(order[:400])
    keep(corpus, side, matrix, some[200:], frozenset({int(some[250])}))
    keep(corpus, side, matrix, some[:200])
    found = embeddings(corpus)
    expected = np.delete(some, 250)
    np.testing.assert_array_equal(found.rows, expected)
    np.testing.assert_array_equal(found.matrix, matrix[expected])
    assert (found.dimension, found.total, len(found)) == (D, 1000, 399)
    np.testing.assert_array_equal(found.of([int(expected[7])])[0], matrix[expected[7]].astype(np.float32))
    assert np.isnan(found.of([int(some[250])])).all()
    before = found.stamp
    keep(corpus, side, matrix, np.arange(1000))
    for shard in corpus.shards:
        join_pieces(side, shard)
    whole = embeddings(corpus, "test")
    np.testing.assert_array_equal(whole.rows, np.delete(np.arange(1000), some[250]))
    np.testing.assert_array_equal(whole.matrix, matrix[whole.rows])
    assert whole.stamp != before
    assert stored(corpus)[0].rows == 1000


def test_none_names_the_command(corpus: Corpus) -> None:
    with pytest.raises(
        EmbeddingError, match=r"0 of 1,000 documents are embedded\. Embedded with: none\. Make them with: explorer embed PATH$"
    ):
        embeddings(corpus)
    side = side_of(corpus)
    keep(corpus, side, np.ones((1000, D), np.float16), np.arange(5))
    with pytest.raises(EmbeddingError, match=r"embedded by 'other'\. Embedded with: 'test'\. .* --model other"):
        embeddings(corpus, "other")


def test_what_does_not_fit_is_refused(corpus: Corpus, matrix: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    side = side_of(corpus)
    keep(corpus, side, matrix, np.arange(1000))
    needed = 1000 * D * 2
    real = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: real._replace(available=2 * needed - 2))
    with pytest.raises(
        EmbeddingError, match=r"1,000 vectors of 8 numbers need 0\.0 GB, and 0\.0 GB of memory are free\. Half of what is free"
    ):
        embeddings(corpus)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: real._replace(available=2 * needed))
    assert len(embeddings(corpus)) == 1000


def test_a_damaged_file_is_named_with_what_to_do(corpus: Corpus, matrix: np.ndarray) -> None:
    side = side_of(corpus)
    keep(corpus, side, matrix, np.arange(1000))
    for shard in corpus.shards:
        join_pieces(side, shard)
    path = side.shard_path(corpus.shards[1])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EmbeddingError, match=rf"The vectors in '{path}' cannot be read .*Delete it, and run explorer embed again"):
        embeddings(corpus)
    at = len(whole) // 4
    path.write_bytes(whole[:4] + b"\x00" * at + whole[4 + at :])
    with pytest.raises(EmbeddingError, match="cannot be read"):
        embeddings(corpus)
    path.unlink()
    assert len(embeddings(corpus)) == 700
