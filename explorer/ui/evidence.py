"""The documents and tables beneath the cut panel: what lies near a cut, what is dropped and why, and who loses."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from explorer.registry import find_signal
from explorer.selection.compare import compare, kept_by_length
from explorer.selection.needs import needs
from explorer.selection.recipes import recipes
from explorer.selection.selection import Selection
from explorer.selection.threshold import Threshold
from explorer.selection.tuning import Tuned
from explorer.ui.format import about, exact, number, share, short
from explorer.ui.reader import glyph, text_html
from explorer.ui.state import current_corpus, current_filters

SNIPPET = 420  # characters of a document on a card


def near_the_cut(selection: Selection, threshold: Threshold, n: int = 5) -> None:
    """Documents just dropped beside documents just kept by one cut, every other rule passed."""
    sides = [side for side in ("minimum", "maximum") if getattr(threshold, side) is not None and np.isfinite(getattr(threshold, side))]
    if not sides:
        st.caption(f"{threshold.signal} has no cut. Drag one of its handles to set it.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        side = sides[0]
        if len(sides) > 1:
            labels = {s: f"{s} {number(getattr(threshold, s))}" for s in sides}
            side = (
                st.segmented_control(
                    "Cut", sides, default=sides[0], format_func=labels.__getitem__, label_visibility="collapsed", key="near_side"
                )
                or sides[0]
            )
        seed = st.session_state.setdefault("near_seed", 0)
        if st.button("Draw others", key="near_draw", help="Another seeded draw among the documents nearest to the cut"):
            st.session_state.near_seed = seed = seed + 1
    dropped, kept = selection.near_cut(threshold, n, side=side, seed=seed)
    below = "below" if side == "minimum" else "above"
    left, right = st.columns(2, gap="medium")
    bound = number(getattr(threshold, side))
    with left:
        _heading(f"Just {below} {bound}: dropped by this rule alone", "dropped")
        cards(selection, dropped, threshold.signal, empty="No document fails only this rule on this side.")
    with right:
        _heading(f"Just inside {bound}: kept", "kept")
        cards(selection, kept, threshold.signal, empty="No document is kept.")


def by_reason(selection: Selection, tuned: Tuned, n: int = 6) -> None:
    """A seeded draw of what is dropped first by one rule, beside what is kept."""
    reasons = selection.summary().reasons
    if reasons.is_empty():
        st.caption("Nothing is dropped: there is no rule yet.")
        return
    counts = dict(zip(reasons["reason"], reasons["first_documents"], strict=True))
    reasons_here = [r for r in counts if r != "sample"]
    left, right = st.columns(2, gap="medium")
    with left:
        reason = st.selectbox(
            "Dropped first by", reasons_here, format_func=lambda r: f"{r} · {short(counts[r])} documents", key="reason_shown"
        )
        rows = _draw(selection.dropped(reason), n)
        signal = next((t.signal for t in selection.filters.filters if t.id == reason), None)
        cards(selection, rows, signal, empty=f"No document is dropped first by {reason}: an earlier rule takes them all.", reasons=True)
    with right:
        st.selectbox("Kept", ["a random draw of what passes every rule"], disabled=True, key="kept_shown")
        cards(selection, _draw(selection.rows(), n), signal, empty="No document is kept.")


def funnel(selection: Selection) -> None:
    """What each rule drops: alone, only it, and first in order."""
    summary = selection.summary()
    if summary.reasons.is_empty():
        st.caption("No rule, no loss. Add a rule or start from a recipe.")
        return
    frame = summary.reasons
    left = summary.documents - np.cumsum(frame["first_documents"].to_numpy())
    shown = frame.select(
        pl.col("reason"),
        pl.col("rule"),
        left=pl.Series(left / max(1, summary.documents)),
        first=pl.col("first_documents"),
        alone=pl.col("alone_documents") / max(1, summary.documents),
        only=pl.col("only_this_documents") / max(1, summary.documents),
        only_tokens=pl.col("only_this_tokens"),
        undefined=pl.col("null_documents"),
        unscored=pl.col("unscored_documents"),
    )
    percent = st.column_config.NumberColumn
    st.dataframe(
        shown,
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * shown.height, 700),
        column_config={
            "reason": "Reason",
            "rule": "Rule",
            "left": st.column_config.ProgressColumn(
                "Left after it", format="percent", min_value=0, max_value=1, help="Documents that pass this rule and all above it"
            ),
            "first": percent("Dropped here", format="localized", help="Documents whose first failing rule this is"),
            "alone": percent("Alone", format="percent", help="Share of all documents that fail it, whatever else they fail"),
            "only": percent(
                "Only this", format="percent", help="Share of all documents that fail nothing but it: what switching it off brings back"
            ),
            "only_tokens": percent(f"Only this, {'≈ ' if summary.estimated else ''}tokens", format="compact"),
            "undefined": percent("Undefined", format="localized", help="Documents without a value (null)"),
            "unscored": percent("Not computed", format="localized"),
        },
    )


def who_loses(selection: Selection) -> None:
    """Kept share against the whole by source, language, year and length: whom a filter removes without meaning to."""
    overall = selection.summary().kept_documents / max(1, len(selection.corpus))
    panels = []
    for by in ("source", "language", "year"):
        try:
            frame = selection.summary(by).sources
        except ValueError:
            continue  # the corpus has no such column: there is nothing to compare
        if frame.height > 1:
            panels.append((f"by {by}", frame[by].cast(pl.String).to_list(), frame["kept_share"].to_list(), frame["documents"].to_list()))
    lengths = kept_by_length(selection)
    labels = [f"{short(a)}–{short(b)}" for a, b in zip(lengths["tokens_from"], lengths["tokens_to"], strict=True)]
    panels.append(("by length in tokens, tenths of the documents", labels, lengths["kept_share"].to_list(), lengths["documents"].to_list()))
    columns = st.columns(2, gap="medium")
    for i, (title, names, shares, documents) in enumerate(panels):
        with columns[i % 2]:
            st.plotly_chart(
                _shares(title, names, shares, documents, overall), width="stretch", key=f"bias_{i}", config={"displayModeBar": False}
            )
    st.caption(f"The dashed line is the share kept of all documents, {share(overall)}. A group far from it is treated unlike the rest.")


def compare_recipes() -> None:
    """What each recipe would keep here, beside the current selection."""
    corpus = current_corpus()
    ready = {name: recipes[name] for name in recipes if not needs(corpus, recipes[name])}
    lacking = [name for name in recipes if name not in ready]
    current = current_filters()
    filters = ({"current": current} if current else {}) | ready
    if filters:
        frame = compare(corpus, filters)
        percent = {
            name: st.column_config.NumberColumn(format="percent")
            for name in frame.columns
            if name.startswith("also in") or name.endswith("share")
        }
        st.dataframe(
            frame,
            hide_index=True,
            width="stretch",
            column_config=percent | {n: st.column_config.NumberColumn(format="compact") for n in ("documents", "tokens")},
        )
        st.caption(
            "“also in X” is the share of a row's documents that X keeps too; two filters that know nothing of each other overlap by X's own share."
        )
    if lacking:
        st.caption(f"Not computed here yet: {', '.join(lacking)}. Use one of them above to see what it needs.")


def cards(selection: Selection, rows: np.ndarray | Sequence[int], signal: str | None, *, empty: str, reasons: bool = False) -> None:
    """Documents as short cards: their value, source and first lines, as inert text."""
    if not len(rows):
        st.caption(empty)
        return
    corpus = selection.corpus
    roles = corpus.roles
    wanted = [c for c in (roles.text, roles.id, roles.source) if c]
    frame = corpus.documents(rows, wanted)
    values = corpus.columns.numbers(signal)[np.asarray(rows)] if signal else None
    known = find_signal(signal) if signal else None
    parts = []
    for i, row in enumerate(frame.iter_rows(named=True)):
        value = (
            f'<b title="{escape(known.unit if known else "", quote=True)}">{number(None if np.isnan(values[i]) else float(values[i]))}</b>'
            if values is not None
            else ""
        )
        label = " · ".join(text_html(str(row[c])) for c in (roles.source, roles.id) if c and row[c] is not None)
        why = f'<span class="why">{escape(", ".join(selection.reasons_of(int(row["_row"]))))}</span>' if reasons else ""
        text = row[roles.text]
        body = (
            '<i class="quiet">no text (null)</i>'
            if text is None
            else f'<p dir="auto">{text_html(text, length=SNIPPET)}{"…" if len(text) > SNIPPET else ""}</p>'
        )
        link = f'<a href="documents?row={row["_row"]}" target="_self" title="Read it whole on the Documents page">read</a>'
        parts.append(f"<article><header>{value} <span>{label}</span> {why} {link}</header>{body}</article>")
    st.html(f'<div class="cards-list">{"".join(parts)}</div>')


def visible(text: str) -> str:
    """Text for charts and tables, with a sign for what cannot be seen."""
    return "".join(glyph(c) or c for c in text)


def _draw(rows: np.ndarray, n: int) -> np.ndarray:
    rng = np.random.default_rng(st.session_state.get("near_seed", 0))
    return rows if len(rows) <= n else np.sort(rng.choice(rows, n, replace=False))


def _heading(text: str, kind: str) -> None:
    st.html(f'<h3 class="side {kind}">{escape(text)}</h3>')


def _shares(title: str, names: list[str], shares: list[float | None], documents: list[int], overall: float) -> go.Figure:
    figure = go.Figure(
        go.Bar(
            y=[visible(n) for n in names],
            x=[None if s is None else s for s in shares],
            orientation="h",
            marker_color="#0b6e99",
            customdata=[exact(d) for d in documents],
            hovertemplate="%{y}: %{x:.1%} kept of %{customdata} documents<extra></extra>",
        )
    )
    figure.add_vline(x=overall, line_dash="dash", line_width=1.5, line_color="#888")
    figure.update_layout(
        title={"text": f"Share of documents kept, {title}", "font": {"size": 14}},
        height=90 + 24 * len(names),
        margin={"l": 0, "r": 12, "t": 34, "b": 0},
        xaxis={"range": [0, 1], "tickformat": ".0%"},
        yaxis={"autorange": "reversed", "type": "category"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def totals_line(tuned: Tuned) -> str:
    """The page's answer: what is kept, in documents and tokens."""
    documents, total = int(tuned.curves.kept_documents.sum()), len(tuned.tokens.values)
    tokens, all_tokens = float(tuned.curves.kept_tokens.sum()), float(tuned.tokens.values.sum())
    return (
        f'<b title="{exact(documents)}">{short(documents)}</b> of {short(total)} documents kept, '
        f"<b>{about(short(tokens), tuned.tokens.estimated)}</b> of {short(all_tokens)} tokens ({share(tokens, all_tokens)}; {escape(tuned.tokens.label)})"
    )
