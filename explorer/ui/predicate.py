"""The free predicate of a selection: typed as SQL, or made by picking values of a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from explorer.corpus.columns import Groups
from explorer.corpus.corpus import Corpus
from explorer.corpus.database import quote
from explorer.corpus.roles import is_text
from explorer.errors import ExplorerError
from explorer.registry import find_signal
from explorer.selection.filters import as_filters
from explorer.selection.needs import needs
from explorer.selection.selection import any_of
from explorer.ui.cards import chart_text
from explorer.ui.format import counted
from explorer.ui.state import current_corpus, current_filters, set_filters

MOST_VALUES = 200  # of a column that are told apart


def where_input() -> None:
    """The predicate as text; what is set elsewhere (a recipe, a link, Undo) appears in it."""
    now = current_filters().where
    if st.session_state.get("where_seen") != now or "where_sql" not in st.session_state:  # Streamlit forgets a field when its page is left
        st.session_state.where_sql = st.session_state.where_seen = now
        st.session_state.where_problem = ""
    st.text_input(
        "And where (SQL)",
        key="where_sql",
        on_change=_typed,
        placeholder=f"length({current_corpus().roles.text}) > 200",
        help="One condition over the corpus' columns and computed signals that must hold besides the rules; what a recipe brings stands here too and can be changed",
    )


def value_picker(corpus: Corpus) -> None:
    """Values of a text column with their documents; picking some adds a condition."""
    columns = text_columns(corpus)
    if not columns:
        st.caption("The corpus has no column of short texts, and no text signal is computed.")
        return
    column = st.selectbox("Column", columns, key="pick_column")
    groups = corpus.columns.groups(column, MOST_VALUES)
    counts = np.bincount(groups.codes, minlength=len(groups.labels))
    names = [i for i, label in enumerate(groups.labels) if label != groups.rest]
    picked = st.multiselect(
        "Values",
        names,
        format_func=lambda i: f"{chart_text(groups.labels[i])} · {counted(int(counts[i]), 'document')}",
        key=f"pick_values_{column}",
        placeholder="the most frequent first",
    )
    left, right = st.columns(2)
    left.button(
        "Keep only these",
        key="pick_keep",
        type="primary",
        width="stretch",
        disabled=not picked,
        on_click=_pick,
        args=(column, groups, picked, True),
    )
    right.button(
        "Leave these out", key="pick_drop", width="stretch", disabled=not picked, on_click=_pick, args=(column, groups, picked, False)
    )
    if len(names) < len(groups.labels):
        st.caption(f"The {len(names)} most frequent values are listed; name others in SQL.")


def text_columns(corpus: Corpus) -> list[str]:
    """Columns whose values can be picked: the corpus' own short texts (not text, id and address), and computed text signals."""
    roles = corpus.roles
    roled = {"source": roles.source, "language": roles.language, "year": None}  # as groups these names mean the role, whatever its column
    own = [
        f.name
        for f in corpus.schema
        if is_text(f.type) and f.name not in (roles.text, roles.id, roles.url) and roled.get(f.name, f.name) == f.name
    ]
    computed = [name for name in corpus.coverage().columns() if (s := find_signal(name)) and s.dtype == "string" and name not in own]
    return own + computed


def picked_sql(column: str, groups: Groups, picked: Sequence[int], keep: bool) -> str:
    """The condition that keeps, or leaves out, some groups of a column; "(none)" stands for documents without a value."""
    values = [groups.labels[i] for i in picked if groups.labels[i] != "(none)"]
    parts = [any_of(column, values)] if values else []
    parts += [f"{quote(column)} IS NULL"] if len(values) < len(picked) else []
    said = " OR ".join(parts)
    if keep:
        return f"({said})" if len(parts) > 1 else said
    return f"({said}) IS NOT TRUE"


def _typed() -> None:
    """Take the predicate over when it can run; else say why and leave the selection as it is."""
    wanted = replace(current_filters(), where=st.session_state.where_sql.strip())
    st.session_state.where_problem = ""
    corpus = current_corpus()
    if wanted.where and not needs(corpus, wanted).families:
        try:
            corpus.database.check(wanted.where)
        except ExplorerError as error:
            st.session_state.where_problem = str(error)
            return
    set_filters(wanted, "where")


def _pick(column: str, groups: Groups, picked: Sequence[int], keep: bool) -> None:
    set_filters(
        current_filters() | as_filters(picked_sql(column, groups, picked, keep)), f"{'keep' if keep else 'leave out'} values of {column}"
    )
    st.session_state[f"pick_values_{column}"] = []
