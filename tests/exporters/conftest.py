"""Small corpora with known ids and tokens."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import explorer as ex


def write_corpus(folder: Path, name: str, documents: int, *, files: int = 2, tokens: int = 10) -> None:
    """``documents`` documents ``name-0`` …, each with ``tokens`` + its number % 3 tokens, score q = number / documents."""
    folder.mkdir(parents=True, exist_ok=True)
    per = -(-documents // files)
    for f in range(files):
        numbers = list(range(f * per, min(documents, (f + 1) * per)))
        table = pa.table(
            {
                "id": [f"{name}-{i}" for i in numbers],
                "text": [f"{name} text number {i} é" for i in numbers],
                "tokens": pa.array([tokens + i % 3 for i in numbers], pa.int32()),
                "q": pa.array([i / documents for i in numbers], pa.float64()),
            }
        )
        pq.write_table(table, folder / f"part-{f}.parquet", row_group_size=7)


@pytest.fixture
def corpora(tmp_path: Path) -> dict[str, ex.Corpus]:
    """web of 60 documents (660 tokens) and code of 30 (330 tokens), two files each."""
    for name, n in (("web", 60), ("code", 30)):
        write_corpus(tmp_path / "data" / name, name, n)
    return {name: ex.open_corpus(tmp_path / "data" / name, workspace=tmp_path / "ws") for name in ("web", "code")}
