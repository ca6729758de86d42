"""Documents as short cards, drawn as inert text, each with a button that opens it in the reader."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from explorer.registry import find_signal
from explorer.selection.selection import Selection
from explorer.ui.format import number
from explorer.ui.frame import go
from explorer.ui.reader import glyph, text_html
from explorer.ui.state import look_at

SNIPPET = 420  # characters of a document on a card


def cards(
    selection: Selection, rows: np.ndarray | Sequence[int], signal: str | None, *, key: str, title: str, empty: str, reasons: bool = False
) -> None:
    """Draw documents as cards: value with its unit, source, id and first lines.

    Args:
        selection: the corpus, and the rules for ``reasons``.
        rows: numbers of the documents, in this order.
        signal: column whose value stands on each card; None for none.
        key: tells this list from others on the page.
        title: what the Documents page calls the list when one of it is read there.
        empty: said when there is none.
        reasons: name every rule that a document fails.

    """
    if not len(rows):
        st.caption(empty)
        return
    chosen = [int(r) for r in rows]
    corpus, roles = selection.corpus, selection.corpus.roles
    frame = corpus.documents(chosen, [c for c in (roles.text, roles.id, roles.source) if c])
    values = corpus.columns.numbers(signal)[chosen].tolist() if signal else [None] * len(chosen)
    for row, value, document in zip(chosen, values, frame.iter_rows(named=True), strict=True):
        with st.container(key=f"card_{key}_{row}", gap=None):
            st.html(
                f"<article>{_head(selection, row, value, signal, [document[c] for c in (roles.source, roles.id) if c], reasons)}{_body(document[roles.text])}</article>"
            )
            if st.button("Read", key=f"read_{key}_{row}", type="tertiary", help="Open these documents in the reader, this one first"):
                look_at(title, rows=chosen)
                st.session_state.documents_row = row
                st.session_state.documents_within = "all"
                go("documents")


def chart_text(text: str) -> str:
    """Text for a chart as it is written: signs for what cannot be seen, and no markup, which Plotly would take for its own."""
    return escape("".join(glyph(c) or c for c in text), quote=False)


def chart_labels(names: Sequence[str]) -> list[str]:
    """Labels of a chart's category axis: at most 40 characters, each different."""
    shown = [name if len(name) <= 40 else f"{name[:38]}…" for name in names]
    seen: dict[str, int] = {}
    for i, name in enumerate(shown):
        seen[name] = seen.get(name, 0) + 1
        shown[i] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return [chart_text(name) for name in shown]


def ink() -> str:
    """Colour of text that stands on a chart's own colours, for the reader's theme."""
    return "#e8e5dd" if st.context.theme.type == "dark" else "#22211e"


def _head(selection: Selection, row: int, value: float | None, signal: str | None, names: Sequence[object], reasons: bool) -> str:
    known = find_signal(signal) if signal else None
    said = ""
    if signal:
        shown = number(None if value is None or np.isnan(value) else value)
        said = f"<b>{shown}</b><small>{escape(known.unit if known else signal)}</small>"
    label = " · ".join(text_html(str(name)) for name in names if name is not None) or f"row {row:,}"
    why = f'<span class="why">{escape(", ".join(selection.reasons_of(row)))}</span>' if reasons else ""
    return f"<header>{said}<span>{label}</span>{why}</header>"


def _body(text: str | None) -> str:
    if text is None:
        return '<i class="quiet">no text (null)</i>'
    if not text.strip():
        return '<i class="quiet">an empty text</i>' if not text else '<i class="quiet">nothing but white space</i>'
    return f'<p dir="auto">{text_html(text, length=SNIPPET)}{"…" if len(text) > SNIPPET else ""}</p>'
