"""Repeated lines: which stand in many documents, how much of each source they make, and where one can be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.database import literal, quote
from explorer.corpus.sidecars import Sidecar
from explorer.duplicates.lines import LONGEST_SHOWN
from explorer.ui import rules, state
from explorer.ui.format import exact, share, short
from explorer.ui.frame import go, heading
from explorer.ui.reader import Span, text_html
from explorer.ui.state import corpus_key

SIGNAL = "repeated_line_char_frac"
AROUND = 400  # characters drawn on either side of a line


def repeated_lines(corpus: Corpus, side: Sidecar) -> None:
    """Draw the lines that take most room, one of them in its first document, and boilerplate by source."""
    try:
        table = pl.DataFrame(pl.from_arrow(pq.read_table(side.folder / "lines.parquet")))
    except (OSError, pa.ArrowException):
        st.info("The list of lines is gone from the workspace. Search again to have it back.", icon=":material/search_off:")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        heading("Lines by the room they take", f"the first {exact(table.height)} by documents × characters; white space at both ends aside")
        chosen = _table(table)
    with right:
        heading("Boilerplate by source", f"lines in more than {side.parameters.get('more_than')} documents, of all text")
        _by_source(corpus, side)
    if chosen is not None:
        _example(corpus, table.row(chosen, named=True))


def _table(table: pl.DataFrame) -> int | None:
    """Draw the lines; the place of the one to read."""
    if table.is_empty():
        st.caption("No line stands in two documents.")
        return None
    number = st.column_config.NumberColumn
    picked = st.dataframe(
        table.select("line", "documents", "occurrences", "characters"),
        key="dup_lines",
        hide_index=True,
        height=420,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "line": st.column_config.TextColumn("Line", width="large"),
            "documents": number("Documents", format="localized", help="documents that have the line"),
            "occurrences": number("Times", format="localized", help="how often it stands in all documents together"),
            "characters": number("Characters", format="localized", help="of all its occurrences"),
        },
    )
    rows = picked.selection.rows
    return rows[0] if rows and rows[0] < table.height else 0


def _by_source(corpus: Corpus, side: Sidecar) -> None:
    _, _, alias = side.family.partition(":")
    column = SIGNAL + (f"_{alias}" if alias else "")
    frame, estimated = _shares((corpus_key(corpus), column), corpus, column)
    sign = "≈ " if estimated else ""
    st.dataframe(
        frame,
        key="dup_lines_sources",
        hide_index=True,
        width="stretch",
        height=min(34 + 31 * frame.height, 380),
        column_config={
            "source": st.column_config.TextColumn("Source", pinned=True),
            "documents": st.column_config.NumberColumn("Documents", format="localized"),
            "touched": st.column_config.ProgressColumn("have some", format="percent", min_value=0, max_value=1, width="small"),
            "mostly": st.column_config.ProgressColumn("are half of it", format="percent", min_value=0, max_value=1, width="small"),
            "share": st.column_config.ProgressColumn(
                f"{sign}of its tokens",
                format="percent",
                min_value=0,
                max_value=1,
                width="small",
                help="each document's share of characters, weighted by its tokens",
            ),
        },
    )
    if st.button("Filter on it", key="dup_lines_filter", help=f"Add a rule on {column} on the Filters page"):
        rules.add(column)
        go("filters")


@st.cache_resource(max_entries=8, show_spinner=False)
def _shares(key: tuple[Any, ...], _corpus: Corpus, column: str) -> tuple[pl.DataFrame, bool]:
    """Boilerplate by source, most first; documents that are null or blank have none and count as having none."""
    values, tokens, groups = _corpus.columns.numbers(column), _corpus.columns.tokens(), _corpus.columns.groups("source", 50)
    some = np.nan_to_num(values.astype(np.float64))
    k = len(groups.labels)
    documents, weight = np.bincount(groups.codes, minlength=k), np.bincount(groups.codes, tokens.values, minlength=k)
    parts = [np.bincount(groups.codes, w, minlength=k) for w in (some > 0, some >= 0.5, some * tokens.values)]
    frame = pl.DataFrame(
        {
            "source": pl.Series(list(groups.labels), dtype=pl.String),
            "documents": documents.astype(np.int64)[:k],
            "share": np.where(weight > 0, parts[2] / np.where(weight > 0, weight, 1), np.nan)[:k],
            "touched": (parts[0] / np.maximum(documents, 1))[:k],
            "mostly": (parts[1] / np.maximum(documents, 1))[:k],
        }
    )
    return frame.with_columns(pl.col("share").fill_nan(None)).sort("share", descending=True, nulls_last=True), tokens.estimated


def _example(corpus: Corpus, found: dict[str, Any]) -> None:
    """The chosen line where it first stands, and the way to every document that has it."""
    line, row = str(found["line"]), int(found["row"])
    if row >= len(corpus):
        st.caption("The files have changed since the search: its first document is no longer there.")
        return
    text = corpus.documents([row], [corpus.roles.text])[corpus.roles.text][0] or ""
    at = text.find(line)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        heading("Where it stands", f"row {exact(row)}, the first of {exact(found['documents'])} documents that have it")
        if st.button("Read all of them in Documents", key="dup_lines_read", type="tertiary"):
            cut = len(line.encode()) >= LONGEST_SHOWN
            where = f"contains({quote(corpus.roles.text)}, {literal(line[:-1] if cut else line)})"
            state.look_at(f"with the line “{line[:40]}{'…' if len(line) > 40 else ''}”", where=where)
            go("documents")
    if at < 0:
        st.caption("The line holds bytes that are no text; it cannot be shown in place.")
        return
    start, end = max(0, at - AROUND), min(len(text), at + len(line) + AROUND)
    inside = text_html(text, [Span(at, at + len(line), "repeat")], start, end - start)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    st.html(
        f'<div class="line-example" role="region" aria-label="The line in its document" tabindex="0" dir="auto">{before}{inside}{after}</div>'
    )
    st.caption(f"{short(len(line))} characters; it takes {share(len(line), max(1, len(text)))} of this document.")
