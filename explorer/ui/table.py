"""The list of documents beside the reader: dense, keyboard first, never loses its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_table = st.components.v2.component(
    "corpus_explorer_documents",
    html='<div id="frame" tabindex="0" role="region" aria-label="Documents; J and K or the arrow keys open the next and the previous one"><div id="head"></div><div id="list" role="listbox" aria-label="Documents"></div></div>',
    js=(_HERE / "table.js").read_text(encoding="utf-8"),
    css=(_HERE / "table.css").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Line:
    """One document of the list: its number, group, snippet pieces (text, is a hit), figures, and whether it is kept."""

    row: int
    group: str
    tip: str
    snippet: Sequence[tuple[str, bool]]
    cells: Sequence[str]
    kept: bool | None = None


@dataclass(frozen=True)
class Column:
    """A column of figures: its name and what it says."""

    name: str
    tip: str = ""


def document_list(
    lines: Sequence[Line],
    columns: Sequence[Column],
    *,
    key: str,
    opened: int | None,
    page: int,
    pages: int,
    group: str,
    title: str,
    on_open: Callable[[], None],
    on_page: Callable[[], None],
) -> None:
    """Draw the list.

    Args:
        lines: the documents of this page.
        columns: figures shown beside each.
        key: of the component; callbacks read ``st.session_state[key].opened`` (a document's number) and ``.page`` (-1 or 1).
        opened: the document in the reader.
        page: number of this page, from 1.
        pages: how many there are.
        group: heading of the first column.
        title: heading of the texts.
        on_open: called when a document is chosen.
        on_page: called when the keys walk off either end.

    """
    _table(
        key=key,
        data={
            "rows": [asdict(line) for line in lines],
            "columns": [asdict(column) for column in columns],
            "open": opened,
            "page": page,
            "pages": pages,
            "group": group,
            "title": title,
        },
        on_opened_change=on_open,
        on_page_change=on_page,
    )
