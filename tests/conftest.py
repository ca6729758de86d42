"""Fixtures that many tests share; documents with known defects are written out so that a reader can count them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from explorer.corpus.corpus import Corpus, open_corpus

# A busy machine is no fault of the code; and what passed in CI passes there again: new examples are searched for at home.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")), max_examples=25 if os.environ.get("CI") else 100)
settings.load_profile("house")

EDGE_TEXTS: list[str | None] = [
    "The quick brown fox jumps over the lazy dog. It was not amused, and said so.",
    "",
    "   \n\t ",
    "word",
    None,
    "日本語の文章です。句読点もあります。",
    "a\x00b NUL inside",
    "مرحبا \u202egnp.exe\u202c bidi",
    "<script>alert('x')</script> [red]markup[/red] \x1b[31mred",
    "long " * 2_000,
    "same line\nsame line\nsame line",
    "👩‍👩‍👧‍👦 e\u0301 combining",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a browser is required (in CI), a browser test that was skipped has failed."""
    report = yield
    if report.skipped and item.get_closest_marker("browser") and os.environ.get("EXPLORER_REQUIRE_BROWSER"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but EXPLORER_REQUIRE_BROWSER is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def edge_documents() -> list[str | None]:
    """Texts that break naive code: empty, blank, one word, null, CJK, NUL, bidi, markup, long, repeated, combining."""
    return list(EDGE_TEXTS)


@pytest.fixture
def write_parquet(tmp_path: Path) -> Callable[..., Path]:
    """Write a table (or columns) below the test's folder."""

    def write(name: str, columns: pa.Table | dict[str, object], **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, path, **options)
        return path

    return write


@pytest.fixture
def tiny_files(write_parquet: Callable[..., Path]) -> Path:
    """Two files of 30 documents in row groups of 10, from two sources; documents 0 and 30 are the edge of each file."""
    for number, source in enumerate(("web", "books")):
        rows = range(30 * number, 30 * number + 30)
        columns = {
            "id": [f"d{i:03d}" for i in rows],
            "text": [f"Document {i} tells of the weather and of the sea.\n" * (1 + i % 4) for i in rows],
            "source": [source] * 30,
            "stars": pa.array([i % 5 if i % 7 else None for i in rows], pa.int8()),
        }
        write_parquet(f"data/{number}-{source}.parquet", columns, row_group_size=10)
    return write_parquet("data/.hidden.parquet", {"text": ["not ours"]}).parent


@pytest.fixture
def tiny_corpus(tiny_files: Path, tmp_path: Path) -> Corpus:
    """`tiny_files`, opened."""
    return open_corpus(tiny_files, workspace=tmp_path / "workspace")


def write_numbered(folder: Path, name: str, documents: int, *, files: int = 2, tokens: int = 10) -> None:
    """Write ``documents`` documents ``name-0`` …, each with ``tokens`` + its number % 3 tokens, score q = number / documents."""
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
def corpora(tmp_path: Path) -> dict[str, Corpus]:
    """web of 60 documents (660 tokens) and code of 30 (330 tokens), two files each."""
    for name, n in (("web", 60), ("code", 30)):
        write_numbered(tmp_path / "data" / name, name, n)
    return {name: open_corpus(tmp_path / "data" / name, workspace=tmp_path / "ws") for name in ("web", "code")}
