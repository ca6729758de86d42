"""The app as Streamlit runs it, on corpora of every kind, without a browser."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., AppTest]:
    """Start the app with the arguments a user would give after ``--``; the workspace is the test's own."""
    import streamlit as st
    from streamlit.runtime.pages_manager import PagesManager

    st.cache_data.clear()
    st.cache_resource.clear()
    # AppTest starts every run in Streamlit's own pages/ mode; a server leaves it with the first st.navigation.
    original = PagesManager.__init__

    def init(self: PagesManager, *arguments: object, **settings: object) -> None:
        original(self, *arguments, **settings)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", init)

    def start(*arguments: object, workspace: Path | None = None) -> AppTest:
        monkeypatch.setattr(sys, "argv", [str(APP), *map(str, arguments), "--workspace", str(workspace or tmp_path / "workspace")])
        return AppTest.from_file(str(APP), default_timeout=120)

    return start


@pytest.fixture
def small_corpus(tmp_path: Path) -> Path:
    """Eight documents with every problem that texts can have, and something to search for."""
    table = pa.table(
        {
            "id": ["a", "b", "c", "d", "e", "f", "f", "h"],
            "text": [
                "The king of Spain.\nA second line.\nThe king of Spain.",
                "Nothing to see here.",
                "",
                None,
                "   \n ",
                "Nothing to see here.",
                "<script>alert(1)</script> \u202e hidden <b>bold</b> ![x](http://evil.example/x.png)",
                "Write to king@example.org, KING of nowhere.",
            ],
            "source": ["books", "web", "web", "web", "web", "web", "web", None],
            "language": ["en", "en", "en", "en", "en", "en", "en", "de"],
            "date": pa.array(["2019-01-01", "2020-05-05", "2020-01-01", None, "2021-01-01", "2020-01-01", "2019-01-01", "2022-01-01"]),
            "score": pa.array([0.9, 0.1, None, 0.4, 0.5, 0.6, 0.7, 0.8], pa.float32()),
        }
    )
    path = tmp_path / "small.parquet"
    pq.write_table(table, path, row_group_size=3)
    return path


@pytest.fixture
def bare_corpus(tmp_path: Path) -> Path:
    """Nothing but texts, under a name that no detection knows."""
    path = tmp_path / "bare.parquet"
    pq.write_table(pa.table({"prose": ["one two three", "four five six", "seven"]}), path)
    return path


@pytest.fixture
def empty_corpus(tmp_path: Path) -> Path:
    """A file with a schema and no row."""
    path = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string()), "id": pa.array([], pa.string())}), path)
    return path


def html(at: AppTest) -> str:
    """Everything the page drew as HTML."""
    return "\n".join(block.value for block in at.html)
