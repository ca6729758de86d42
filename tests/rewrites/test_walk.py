"""Pairs read from end to end, with columns beside their texts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.errors import ColumnNotFoundError
from explorer.rewrites.pairs import open_pairs
from explorer.rewrites.walk import each_piece, texts_of


def test_every_pair_in_order_with_its_columns(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    pq.write_table(pa.table({"id": ["a", "b", "c"], "text": ["A", None, "\u202eC"]}), tmp_path / "o.parquet")
    style = pa.array(["x", "x", None]).dictionary_encode()
    pq.write_table(pa.table({"id": ["b", "a", "zz"], "rewrite": ["1", None, "3"], "style": style}), tmp_path / "r" / "0.parquet")
    pq.write_table(pa.table({"id": ["c"], "rewrite": ["4"]}), tmp_path / "r" / "1.parquet")
    pairs = open_pairs(tmp_path / "o.parquet", tmp_path / "r", workspace=tmp_path / "w")
    pieces = list(each_piece(pairs, ["style"], rows=2))
    assert [p.first for p in pieces] == [0, 2, 3]
    assert [pair for p in pieces for pair in p.texts()] == [(None, "1"), ("A", None), (None, "3"), ("\u202eC", "4")]
    assert [v for p in pieces for v in texts_of(p.columns["style"])] == ["x", "x", None, None]
    with pytest.raises(ColumnNotFoundError, match=r"Column 'no' is not in the rewrites\. Columns: .* Name the column that holds it"):
        next(each_piece(pairs, ["no"]))
