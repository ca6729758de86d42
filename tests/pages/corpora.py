"""Corpora that pages must bear: hostile names, markup in values, numbers that are not."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HOSTILE = "<img src=x onerror=alert(1)> **b** [l](javascript:1) $x$ `c` ' \" %{x}"


def hostile_corpus(folder: Path) -> Path:
    """Five documents whose columns, sources and values are markup, quotes and infinities."""
    table = pa.table(
        {
            "text": ["one two", "<script>alert(1)</script>", None, "\u202egnp", "six"],
            "source": [HOSTILE, "'; DROP TABLE corpus; --", None, "<b>bold</b>", HOSTILE],
            HOSTILE: pa.array([1.0, 2.0, None, float("inf"), float("nan")], pa.float64()),
            "all null": pa.array([None] * 5, pa.float32()),
            "constant": pa.array([3] * 5, pa.int64()),
        }
    )
    path = folder / "hostile.parquet"
    pq.write_table(table, path)
    return path
