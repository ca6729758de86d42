"""The parts of the Documents page: what to look for, the list, and SQL."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.search import Found, Search, hits, search, sortable
from explorer.embeddings.meaning import by_meaning
from explorer.errors import ExplorerError
from explorer.registry import find_signal
from explorer.selection.filters import as_filters
from explorer.ui import errors, link, state
from explorer.ui.background import later, watch
from explorer.ui.format import duration, exact, number, short
from explorer.ui.reader import snippet
from explorer.ui.table import Column, Line, document_list

PAGE = 50
MOST_COLUMNS = 6
WAIT = 1.0  # seconds a search may take before the page is shown without its result
ROWS = 1000  # of an SQL answer
ORDER = "corpus order"


def toolbar(corpus: Corpus) -> tuple[Search, str, list[str]]:
    """The search box and its settings: what to look for, among which documents, and the signals shown beside each."""
    for key in ("search", "mode", "case", "within", "sort", "up", "columns"):
        st.session_state.setdefault(
            f"documents_{key}",
            {"mode": "contains", "within": "all", "sort": ORDER, "case": False, "up": False, "columns": [], "search": ""}[key],
        )
    columns = sortable(corpus)
    if st.session_state.documents_sort not in (ORDER, *columns):
        st.session_state.documents_sort = ORDER
    numeric = corpus.columns.numeric()
    st.session_state.documents_columns = [c for c in st.session_state.documents_columns if c in numeric]
    shared: dict[str, Any] = {"persist_state": "session", "on_change": first_page}
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="documents_toolbar"):
        text = st.text_input(
            "Search the texts",
            placeholder="Search the texts   /",
            width=180,
            key="documents_search",
            label_visibility="collapsed",
            **shared,
        )
        mode = st.segmented_control(
            "Search as", ["contains", "regex", "meaning"], key="documents_mode", label_visibility="collapsed", **shared
        )
        case = st.toggle("Aa", key="documents_case", help="Capitals count", disabled=mode == "meaning", **shared)
        within = st.segmented_control(
            "Among",
            ["all", "kept", "dropped"],
            key="documents_within",
            label_visibility="collapsed",
            disabled=not state.current_filters(),
            **shared,
        )
        sort = st.selectbox(
            "Sort by",
            [ORDER, *columns],
            key="documents_sort",
            label_visibility="collapsed",
            width=150,
            disabled=mode == "meaning",  # nearest first
            format_func=lambda c: ("nearest first" if mode == "meaning" else c) if c == ORDER else f"by {c}",
            **shared,
        )
        up = st.toggle("↑", key="documents_up", disabled=sort == ORDER or mode == "meaning", help="Lowest first", **shared)
        chosen = st.multiselect(
            "Figures beside the text",
            numeric,
            key="documents_columns",
            label_visibility="collapsed",
            persist_state="session",
            max_selections=MOST_COLUMNS,
            width=160,
            placeholder="Figures beside the text",
        )
    shown = list(dict.fromkeys([*chosen, *([sort] if sort in numeric else [])]))[:MOST_COLUMNS]
    return Search(text, mode or "contains", case, sort=None if sort == ORDER else sort, descending=not up), within or "all", shown


def first_page() -> None:
    """Another question starts at its first document."""
    for key in ("documents_page", "documents_row"):
        st.session_state.pop(key, None)


def results(corpus: Corpus, what: Search, within: str) -> Future[Found]:
    """The documents asked for; the search runs on when the page does not wait for it."""
    focus, selection = state.current_focus(), state.current_selection()
    if focus is not None and focus.where:
        what = replace(what, where=focus.where)
    among = within if selection.filters else "all"
    key = ("search", state.corpus_key(corpus), what, among, link.encode(selection.filters) if among != "all" else "", focus)

    def find() -> Found:
        rows = None if among == "all" else np.sort(selection.rows()) if among == "kept" else selection.dropped()
        if focus is not None and focus.rows is not None:
            asked = np.array(focus.rows, np.int64)
            asked = asked[(asked >= 0) & (asked < len(corpus))]
            rows = asked if rows is None else asked[np.isin(asked, rows)]
        if what.mode != "meaning" or not what.text:
            return search(corpus, what, rows)
        if what.where:
            rows = np.asarray(search(corpus, replace(what, sort=None), rows).rows, np.int64)
        return by_meaning(corpus, what.text, within=rows)

    return later(key, find, WAIT)


def answer(corpus: Corpus, found: Found, what: Search, within: str) -> str:
    """The sentence under the title, in HTML without anything from the data."""
    n, total = len(found.rows), len(corpus)
    among = {"kept": " among the kept", "dropped": " among the dropped"}.get(within, "") if state.current_filters() else ""
    if found.scores is not None:
        of = short(found.searched) if found.searched == total else f"{short(found.searched)} embedded of {short(total)}"
        coarse = ", a static model: fast, and coarser than the one it was made from" if found.model.startswith("static:") else ""
        by = f'<span class="quiet">By {escape(found.model.rsplit("/", 1)[-1])}{coarse}; copies are left out.</span>'
        return f"The <b>{short(n)}</b> documents nearest in meaning among {of}{among}, best first, found in {duration(found.seconds)}. {by}"
    if what.text:
        return f'<b title="{exact(n)}">{short(n)}</b> of {short(total)} documents match{among}, found in {duration(found.seconds)}.'
    if n == total:
        return (
            f'<b title="{exact(n)}">{short(n)}</b> documents. Search, sort, or read on: J and K go through them, N and P through the marks.'
        )
    return f'<b title="{exact(n)}">{short(n)}</b> of {short(total)} documents{among}.'


def focus_line() -> None:
    """What another page asked to see, with a way back to everything."""
    focus = state.current_focus()
    if focus is None:
        return

    def forget() -> None:
        st.session_state.pop("focus", None)
        first_page()

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(f"Showing: {errors.plain(focus.title)}", icon=":material/filter_center_focus:", color="blue")
        st.button("Show all documents", key="documents_unfocus", on_click=forget, type="tertiary")
        if focus.where:
            st.button("Keep only these", key="documents_keep_focus", on_click=_keep, args=(focus.where, focus.title), type="tertiary")
            st.button(
                "Drop these",
                key="documents_drop_focus",
                on_click=_keep,
                args=(f"({focus.where}) IS NOT TRUE", f"without {focus.title}"),
                type="tertiary",
            )


def _keep(predicate: str, note: str) -> None:
    state.set_filters(state.current_filters() | as_filters(predicate), note)


def current_page(found: Found) -> tuple[int, int, list[int]]:
    """Number of the page shown, how many there are, and the documents on it."""
    pages = max(1, -(-len(found.rows) // PAGE))
    page = min(max(1, int(st.session_state.get("documents_page", 1))), pages)
    st.session_state.documents_page = page
    rows = [int(r) for r in found.rows[(page - 1) * PAGE : page * PAGE]]
    return page, pages, rows


def opened(rows: list[int]) -> int | None:
    """The document in the reader: the one that was opened, while it is on the page, else the page's first."""
    row = st.session_state.get("documents_row")
    if row not in rows:
        row = rows[-1] if st.session_state.pop("documents_from_end", False) and rows else (rows[0] if rows else None)
        st.session_state.documents_row = row
    return row


def listing(corpus: Corpus, found: Found, page: int, pages: int, what: Search, columns: list[str]) -> int | None:
    """Draw one page of the list; the document to read."""
    begin = (page - 1) * PAGE
    rows = [int(r) for r in found.rows[begin : begin + PAGE]]
    scores = None if found.scores is None else found.scores[begin : begin + PAGE]
    now = opened(rows)
    selection = state.current_selection()
    kept = selection.mask() if selection.filters else None
    lines = []
    numbers = {c: corpus.columns.numbers(c) for c in columns}
    for at, (row, group, text) in enumerate(_texts(state.corpus_key(corpus), tuple(rows), what, corpus)):
        cells = [number(float(numbers[c][row])) for c in columns]
        cells = cells if scores is None else [f"{scores[at]:.2f}", *cells]
        lines.append(Line(row, group, f"row {exact(row)}", text, cells, None if kept is None else bool(kept[row])))

    def open_it() -> None:
        row = st.session_state.documents_list.opened
        if row is not None:
            st.session_state.documents_row = int(row)

    def turn() -> None:
        step = st.session_state.documents_list.page
        if step:
            st.session_state.documents_page = page + (1 if step > 0 else -1)
            st.session_state.documents_from_end = step < 0
            st.session_state.pop("documents_row", None)

    heads = [Column(c, s.about if (s := find_signal(c)) else f"column {c}") for c in columns]
    if scores is not None:
        heads.insert(0, Column("similarity", "cosine with the query, 1 is the same direction"))
    group = corpus.roles.source or "row"
    title = f"{exact((page - 1) * PAGE + 1)} to {exact((page - 1) * PAGE + len(rows))}"
    document_list(
        lines, heads, key="documents_list", opened=now, page=page, pages=pages, group=group, title=title, on_open=open_it, on_page=turn
    )
    if pages > 1:
        # a key a page: the widget takes its page from here, where the keys of the list turn pages too
        pager = f"documents_pager_{page}_{pages}"
        st.pagination(pages, default=page, key=pager, max_visible_pages=5, on_change=_to_page, args=(pager,))
    return now


def _to_page(pager: str) -> None:
    st.session_state.documents_page = st.session_state[pager]
    st.session_state.pop("documents_row", None)


@st.cache_data(max_entries=32, show_spinner=False)
def _texts(key: tuple[Any, ...], rows: tuple[int, ...], what: Search, _corpus: Corpus) -> list[tuple[int, str, list[tuple[str, bool]]]]:
    """(row, group, snippet) of each document on the page; whole texts are let go at once."""
    source, text = _corpus.roles.source, _corpus.roles.text
    frame = _corpus.documents(rows, [text, *([source] if source else [])])
    found = []
    for record in frame.iter_rows(named=True):
        said = record[text]
        first = next(iter(hits(said, what, 1)), None) if said else None
        group = str(record[source]) if source and record[source] is not None else f"row {exact(record['_row'])}"
        found.append((record["_row"], group, snippet(said, first)))
    return found


# --- SQL -------------------------------------------------------------------------------------------------------------------


def examples(corpus: Corpus) -> dict[str, str]:
    """Queries that work on this corpus."""
    roles = corpus.roles
    text = _quoted(roles.text)
    found = {"Count everything": "SELECT count(*) AS documents FROM corpus"}
    if roles.source:
        source = _quoted(roles.source)
        found["Documents and text by source"] = (
            f"SELECT {source}, count(*) AS documents, sum(strlen({text})) AS bytes\nFROM corpus GROUP BY {source} ORDER BY documents DESC"
        )
    found["The longest documents"] = (
        f"SELECT _row, length({text}) AS characters, {text}[:80] AS begins\nFROM corpus ORDER BY characters DESC LIMIT 20"
    )
    found["Texts that repeat"] = (
        f"SELECT min(_row) AS _row, count(*) AS copies, any_value({text}[:80]) AS begins\nFROM corpus GROUP BY hash({text}) HAVING copies > 1 ORDER BY copies DESC LIMIT 50"
    )
    numeric = corpus.columns.numeric()
    if numeric:
        column = _quoted(numeric[0])
        found[f"Quantiles of {numeric[0]}"] = (
            f"SELECT quantile_cont({column}, [0.01, 0.1, 0.5, 0.9, 0.99]) AS quantiles, count({column}) AS documents FROM corpus"
        )
    return found


def sql_drawer(corpus: Corpus) -> None:
    """Ask with SQL: examples, history, the answer as table or chart, and its documents to read or to keep."""
    with st.expander("Ask with SQL", icon=":material/database:", on_change="rerun", key="documents_sql") as drawer:
        if not drawer.open:
            return
        known = examples(corpus)
        history: list[str] = st.session_state.setdefault("sql_history", [])
        st.session_state.setdefault("sql_text", next(iter(known.values())))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            picked = st.menu_button("Examples", list(known), key="sql_example")
            earlier = (
                st.menu_button(
                    "History", list(reversed(history)), key="sql_earlier", disabled=not history, format_func=lambda q: errors.plain(q)[:90]
                )
                if history
                else None
            )
            with st.popover("Columns", key="sql_columns", on_change="rerun") as columns:
                if columns.open:
                    _columns(corpus)
            st.caption("One SELECT over the table corpus: the files' columns, _row and every computed signal.")
        if picked or earlier:
            st.session_state.sql_text = known.get(picked or "", earlier or "")
        st.text_area("SQL", key="sql_text", height=110, label_visibility="collapsed", help="Ctrl+Enter, then Run")
        if st.button("Run", type="primary", key="sql_run"):
            _ask(corpus, st.session_state.sql_text, history)
        _sql_answer(corpus)


def _columns(corpus: Corpus) -> None:
    row = "_row" if "_row" not in corpus.schema.names else "_row_"
    known = [(f.name, str(f.type), "") for f in corpus.schema] + [(row, "int64", "number of the document in the corpus")]
    for name in corpus.coverage().columns():
        signal = find_signal(name)
        known.append((name, signal.dtype if signal else "", signal.about if signal else ""))
    frame = pl.DataFrame(known, schema=["column", "type", "what it says"], orient="row")
    st.dataframe(frame, hide_index=True, height=360, width=720, alt="Columns of the table corpus")


def _ask(corpus: Corpus, text: str, history: list[str]) -> None:
    import time

    started = time.monotonic()
    st.session_state.pop("sql_answer", None)
    try:
        with st.spinner("Asking; stopped after 30 s …"):
            found = corpus.database.ask(text, limit=ROWS)
    except ExplorerError as error:
        errors.show(error)
        return
    if text in history:
        history.remove(text)
    history.append(text)
    del history[:-30]
    st.session_state.sql_answer = (text, found, time.monotonic() - started, state.corpus_key(corpus))


def _sql_answer(corpus: Corpus) -> None:
    if "sql_answer" not in st.session_state:
        return
    text, found, seconds, key = st.session_state.sql_answer
    rows = found.rows
    more = f", the first {exact(found.limit)} of more" if found.truncated else ""
    stale = " · asked before files or scores changed" if key != state.corpus_key(corpus) else ""
    st.caption(f"{exact(rows.height)} rows in {duration(seconds)}{more}{stale}")
    st.dataframe(rows, hide_index=True, height=min(400, 38 + 30 * max(1, rows.height)), row_height=30, alt="Answer of the query")
    numeric = [c for c, kind in rows.schema.items() if kind.is_numeric() and c != "_row"]
    with st.container(horizontal=True, gap="small"):
        if "_row" in rows.columns and rows["_row"].dtype.is_integer() and rows.height:
            if st.button("Read these documents", key="sql_read"):
                state.look_at("the answer of a query", rows=[int(r) for r in rows["_row"].drop_nulls().to_list()])
                st.rerun()
            predicate = f"_row IN (SELECT _row FROM (\n{text.strip().rstrip(';')}\n))"
            st.button(
                "Keep only these",
                key="sql_keep",
                on_click=_keep,
                args=(predicate, "the answer of a query"),
                help="Add them to the filters as a predicate",
            )
        plot = st.toggle("Chart", key="sql_chart") if numeric and rows.width > 1 and rows.height > 1 else False
    if plot:
        labels = [c for c in rows.columns if c not in numeric and c != "_row"]
        x = st.selectbox("Across", [*labels, *numeric], key="sql_x", width=240)
        y = st.selectbox("Up", [c for c in numeric if c != x], key="sql_y", width=240)
        if y:
            st.bar_chart(rows.select(x, y), x=x, y=y, height=260)


def searching(future: Future[Found], what: Search) -> None:
    """What is shown while a search runs on."""
    doing = "Loading the vectors and the model that made them, once" if what.mode == "meaning" else "Searching every text"
    st.html(f'<p class="quiet">{doing}. The list appears by itself; change the search at any time.</p>')
    watch(future, caption="searching …")


def _quoted(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'
