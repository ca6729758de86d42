"""The documents and tables beneath the cut panel: what lies near a cut, what is dropped and why, and who loses.

Each figure is computed when its tab is open, once for the same filters and scores, and then shared by all browsers.
"""

from __future__ import annotations

import itertools
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from explorer.corpus.columns import Groups
from explorer.corpus.corpus import Corpus
from explorer.errors import ColumnNotFoundError
from explorer.selection.compare import Comparison, compare, kept_by, length_groups
from explorer.selection.filters import Filters
from explorer.selection.needs import needs
from explorer.selection.recipes import recipes
from explorer.selection.selection import SAMPLE, Selection, Summary
from explorer.selection.threshold import Threshold
from explorer.selection.tuning import Tuned
from explorer.ui import link
from explorer.ui.cards import cards, chart_labels, chart_text, ink
from explorer.ui.errors import plain
from explorer.ui.format import about, counted, exact, number, share, short
from explorer.ui.state import corpus_key, current_corpus, current_filters

NEAR = 5  # documents a side of a cut
MOST_GROUPS = 24  # bars of a chart
PLAIN = {"displayModeBar": False}


def summary_of(selection: Selection) -> Summary:
    """The selection's summary, made once."""
    return _summary((corpus_key(selection.corpus), link.encode(selection.filters)), selection)


@st.cache_resource(max_entries=12, show_spinner="Counting every reason …")
def _summary(key: tuple[Any, ...], _selection: Selection) -> Summary:
    return _selection.summary()


def verdict(tuned: Tuned, active: list[int]) -> str:
    """The page's answer in HTML: which rule costs most by itself, and how many could go without changing anything.

    Args:
        tuned: the curves.
        active: positions of the rules that take part.
    """
    if not active:
        return "No rule takes part: every document that the predicate admits is kept."
    only = tuned.curves.only_this[0]
    worst = max(active, key=lambda i: int(only[i]))
    idle = sum(int(only[i]) == 0 for i in active)
    said = f"<b>{counted(len(active), 'rule')}</b>"
    if only[worst]:
        part = share(int(only[worst]), len(tuned.groups.codes))
        said += (
            f' · most is lost to <b title="{escape(tuned.thresholds[worst].id, quote=True)}">{escape(tuned.thresholds[worst].signal)}</b> alone: '
            f'<span title="{exact(int(only[worst]))} documents">{part}</span> of all documents fail it and nothing else'
        )
    if idle:
        said += f" · {idle} of them {'drops' if idle == 1 else 'drop'} nothing that the others would keep"
    return said


def near_the_cut(selection: Selection, threshold: Threshold) -> None:
    """Documents just dropped beside documents just kept by one cut, every other rule passed."""
    sides = [side for side in ("minimum", "maximum") if (b := getattr(threshold, side)) is not None and np.isfinite(b)]
    if not sides:
        st.caption("This rule has no cut. Drag one of its handles to set it.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{plain(str(threshold))}. Touch another rule above to see its documents.", width="content")
        side = sides[0]
        if len(sides) > 1:
            labels = {s: f"{s} {number(getattr(threshold, s))}" for s in sides}
            chosen = st.segmented_control(
                "Cut", sides, default=sides[0], format_func=labels.__getitem__, label_visibility="collapsed", key="near_side"
            )
            side = chosen or sides[0]
        seed = int(st.session_state.setdefault("near_seed", 0))
        if st.button("Draw others", key="near_draw", type="tertiary", help="Another seeded draw among the documents nearest to the cut"):
            st.session_state.near_seed = seed = seed + 1
    dropped, kept = selection.near_cut(threshold, NEAR, side=side, draw=seed)
    bound, beyond = number(getattr(threshold, side)), "below" if side == "minimum" else "above"
    left, right = st.columns(2, gap="medium")
    with left:
        _heading(f"Just {beyond} {bound}: dropped, by this rule alone", "dropped")
        cards(
            selection,
            dropped,
            threshold.signal,
            key="dropped",
            title=f"dropped near {threshold}",
            empty="No document fails only this rule here.",
        )
    with right:
        _heading(f"Just inside {bound}: kept", "kept")
        cards(selection, kept, threshold.signal, key="kept", title=f"kept near {threshold}", empty="No document is kept.")


def by_reason(selection: Selection, n: int = 6) -> None:
    """A seeded draw of what is dropped first by one rule, beside what is kept."""
    reasons = summary_of(selection).reasons
    counts = dict(reasons.group_by("reason", maintain_order=True).agg(pl.col("first_documents").sum()).iter_rows())
    left, right = st.columns(2, gap="medium")
    signal = None
    with left:
        if counts:
            reason = st.selectbox(
                "Dropped first by", list(counts), format_func=lambda r: f"{r} · {counted(counts[r], 'document')}", key="reason_shown"
            )
            rows = _draw(selection.dropped(reason), n)
            signal = next((t.signal for t in selection.filters.filters if t.id == reason), None)
            empty = (
                "The sampler leaves nothing out."
                if reason == SAMPLE
                else "No document is dropped first by it: earlier rules take them all."
            )
            cards(selection, rows, signal, key="reason", title=f"dropped first by {reason}", empty=empty, reasons=True)
        else:
            st.caption("Nothing is dropped: there is no rule yet.")
    with right:
        _heading("Kept: a seeded draw of what passes every rule", "kept")
        cards(selection, _draw(selection.rows(), n), signal, key="passed", title="kept, a random draw", empty="No document is kept.")


def funnel(selection: Selection) -> None:
    """What each rule drops: alone, only it, and first in order."""
    summary = summary_of(selection)
    if summary.reasons.is_empty():
        st.caption("No rule, no loss. Add a rule or start from a recipe.")
        return
    frame, documents = summary.reasons, max(1, summary.documents)
    shown = frame.select(
        "reason",
        "rule",
        left=pl.Series((summary.documents - np.cumsum(frame["first_documents"].to_numpy())) / documents),
        first=pl.col("first_documents"),
        first_tokens=pl.col("first_tokens"),
        alone=pl.col("alone_documents") / documents,
        only=pl.col("only_this_documents") / documents,
        only_tokens=pl.col("only_this_tokens"),
        undefined=pl.col("null_documents"),
        unscored=pl.col("unscored_documents"),
    )
    if not shown["unscored"].sum():
        shown = shown.drop("unscored")
    column, sign = st.column_config.NumberColumn, "≈ " if summary.estimated else ""
    st.dataframe(
        shown,
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * shown.height, 700),
        column_config={
            "reason": st.column_config.TextColumn(
                "Reason", pinned=True, help="In this order; a document counts for the first rule it fails"
            ),
            "rule": "Rule",
            "left": st.column_config.ProgressColumn(
                "Left after it", format="percent", min_value=0, max_value=1, help="Documents that pass this rule and all above it"
            ),
            "first": column("Dropped here", format="localized", help="Documents whose first failing rule this is"),
            "first_tokens": column(f"{sign}tokens here", format="compact", help=summary.tokens_label),
            "alone": column("Alone", format="percent", help="Share of all documents that fail it, whatever else they fail"),
            "only": column("Only this", format="percent", help="Share that fails nothing but it: what switching it off brings back"),
            "only_tokens": column(f"{sign}tokens, only this", format="compact", help=summary.tokens_label),
            "undefined": column("Undefined", format="localized", help="Documents without a value (null)"),
            "unscored": column("Not computed", format="localized", help="Documents that the signal has not been computed for"),
        },
    )


def who_loses(selection: Selection) -> None:
    """Kept share against the whole by source, language, year and length: whom a filter removes without meaning to."""
    corpus = selection.corpus
    if not len(corpus):
        st.caption("The files hold no rows.")
        return
    key = corpus_key(corpus)
    panels = []
    for by in ("source", "language", "year"):
        try:
            groups = corpus.columns.groups(by, MOST_GROUPS)
        except ColumnNotFoundError:
            continue  # the corpus has no such column: there is nothing to compare
        if len(groups.labels) > 1:
            panels.append((f"by {by}", groups))
    tokens = corpus.columns.tokens()
    panels.append((f"by length ({about('tokens', tokens.estimated)}), a tenth each", _lengths(key, corpus)))
    frames = [(title, _kept_by((key, link.encode(selection.filters), g.by), selection, g)) for title, g in panels]
    whole = frames[-1][1]
    documents = share(int(whole["kept_documents"].sum()), int(whole["documents"].sum()))
    kept_tokens = share(float(whole["kept_tokens"].sum()), float(whole["tokens"].sum()))
    st.caption(
        f"Of all documents {documents} are kept (the line), of all tokens {about(kept_tokens, tokens.estimated)}. "
        "A group far from the line is treated unlike the rest."
    )
    columns = st.columns(2, gap="medium")
    for i, (title, frame) in enumerate(frames):
        with columns[i % 2]:
            st.plotly_chart(_shares(title, frame, tokens.estimated), width="stretch", key=f"bias_{i}", config=PLAIN)


@st.cache_resource(max_entries=4, show_spinner=False)
def _lengths(key: tuple[Any, ...], _corpus: Corpus) -> Groups:
    groups, edges = length_groups(_corpus)
    names = tuple(f"{short(round(a))} to {short(round(b))}" for a, b in itertools.pairwise(edges))
    return Groups(groups.by, groups.codes, names)


@st.cache_resource(max_entries=48, show_spinner="Counting by group …")
def _kept_by(key: tuple[Any, ...], _selection: Selection, _groups: Groups) -> pl.DataFrame:
    return kept_by(_selection, _groups)


def compare_recipes() -> None:
    """What each recipe would keep here beside the current selection, and how much they agree."""
    corpus, current = current_corpus(), current_filters()
    ready = {name: recipes[name] for name in recipes if not needs(corpus, recipes[name])}
    lacking = [name for name in recipes if name not in ready]
    filters = ({"current selection": current} if current else {}) | ready
    if filters:
        found = _compared((corpus_key(corpus), link.encode(current)), corpus, filters)
        left, right = st.columns([5, 6], gap="medium")
        percent = st.column_config.ProgressColumn
        with left:
            st.dataframe(
                found.kept,
                hide_index=True,
                width="stretch",
                column_config={
                    "filters": st.column_config.TextColumn("Filters", pinned=True),
                    "documents": st.column_config.NumberColumn("Documents", format="compact"),
                    "share": percent("of documents", format="percent", min_value=0, max_value=1, width="small"),
                    "tokens": st.column_config.NumberColumn("≈ tokens" if found.estimated else "Tokens", format="compact"),
                    "token_share": percent("of tokens", format="percent", min_value=0, max_value=1, width="small"),
                },
            )
        with right:
            if len(filters) > 1:
                st.plotly_chart(_agreement(found), width="stretch", key="recipes_overlap", config=PLAIN)
                st.caption(
                    "Two filters that know nothing of each other overlap by the column's own share of the documents, on its diagonal."
                )
    if lacking:
        st.caption(f"Not computed here yet: {', '.join(lacking)}. Use one of them above to see what it needs.")


@st.cache_resource(max_entries=6, show_spinner="Applying every recipe …")
def _compared(key: tuple[Any, ...], _corpus: Corpus, _filters: dict[str, Filters]) -> Comparison:
    return compare(_corpus, _filters)


def _agreement(found: Comparison) -> go.Figure:
    """Overlaps as a heat map; the diagonal holds each filter's own share of the corpus."""
    names = found.kept["filters"].to_list()
    shares = found.overlap.copy()
    np.fill_diagonal(shares, [np.nan if s is None else s for s in found.kept["share"]])
    said = [["" if np.isnan(v) else share(float(v)) for v in row] for row in shares]
    figure = go.Figure(
        go.Heatmap(
            x=names,
            y=names,
            z=shares,
            zmin=0,
            zmax=1,
            text=said,
            texttemplate="%{text}",
            colorscale=[[0, "rgba(11,130,180,0.04)"], [1, "rgba(11,130,180,0.5)"]],
            textfont={"color": ink()},
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="of what %{y} keeps, %{x} keeps %{text}<extra></extra>",
        )
    )
    figure.update_layout(
        title={"text": "Of what the row keeps, how much the column keeps too", "font": {"size": 14}},
        height=100 + 32 * len(names),
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        yaxis={"autorange": "reversed", "showgrid": False},
        xaxis={"showgrid": False, "side": "bottom"},
    )
    return figure


def _draw(rows: np.ndarray, n: int) -> np.ndarray:
    rng = np.random.default_rng(st.session_state.get("near_seed", 0))
    return np.sort(rows) if len(rows) <= n else np.sort(rng.choice(rows, n, replace=False))


def _heading(text: str, kind: str) -> None:
    st.html(f'<h3 class="side {kind}">{escape(text)}</h3>')


def _shares(title: str, frame: pl.DataFrame, estimated: bool) -> go.Figure:
    """Share of documents kept a group as bars, of tokens as diamonds."""
    names = chart_labels(frame["group"].to_list())
    documents, kept = int(frame["documents"].sum()), int(frame["kept_documents"].sum())
    figure = go.Figure()
    figure.add_bar(
        y=names,
        x=frame["kept_share"].to_list(),
        orientation="h",
        marker_color="#0b6e99",
        name="documents",
        customdata=[[exact(k), exact(d)] for k, d in frame.select("kept_documents", "documents").iter_rows()],
        hovertemplate="%{y}: %{x:.1%} of documents kept, %{customdata[0]} of %{customdata[1]}<extra></extra>",
    )
    figure.add_scatter(
        y=names,
        x=frame["kept_token_share"].to_list(),
        mode="markers",
        cliponaxis=False,
        marker={"symbol": "diamond", "size": 8, "color": "#d55e00"},
        name=about("tokens", estimated),
        customdata=[[short(k), short(d)] for k, d in frame.select("kept_tokens", "tokens").iter_rows()],
        hovertemplate="%{y}: %{x:.1%} of tokens kept, %{customdata[0]} of %{customdata[1]}<extra></extra>",
    )
    figure.add_vline(x=kept / documents if documents else 0, line_dash="dash", line_width=1.5, line_color="#888")
    figure.update_layout(
        title={"text": f"Share kept {chart_text(title)}", "font": {"size": 14}},
        height=110 + 22 * len(names),
        margin={"l": 0, "r": 12, "t": 34, "b": 0},
        xaxis={"range": [0, 1.02], "tickformat": ".0%"},
        yaxis={"autorange": "reversed", "type": "category"},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
    )
    return figure
