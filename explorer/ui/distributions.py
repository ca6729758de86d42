"""Plots of one signal and of two: histograms by group, documents along the range, agreement."""

from __future__ import annotations

from html import escape
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from explorer.corpus.columns import Groups
from explorer.corpus.corpus import Corpus
from explorer.corpus.distribution import agreement, bin_edges, histogram_by, is_skewed, spread, telling
from explorer.registry import Signal
from explorer.selection.selection import Selection
from explorer.selection.tuning import published
from explorer.ui.evidence import cards, visible
from explorer.ui.format import about, counted, exact, number, share, short

# Okabe and Ito's colours and four more, told apart with any kind of colour vision on paper and in the dark.
SOURCES = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#b8a800",
    "#7a7a7a",
    "#8c6bb1",
    "#41ab5d",
    "#a6611a",
    "#dd3497",
    "#999999",
)
QUIET = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}
NO_BAR = {"displayModeBar": False}
MOST_DRAWN = 2_000_000  # documents a heat map is counted from; more are drawn from evenly


def definition(signal: Signal | None, name: str) -> None:
    """What a signal says of itself."""
    if signal is None:
        st.html(f'<p class="answer"><b>{escape(name)}</b> is a column of the corpus; it came with the files.</p>')
        return
    low, high = (
        ("−∞" if signal.range[0] is None else number(signal.range[0])),
        ("∞" if signal.range[1] is None else number(signal.range[1])),
    )
    facts = [
        ("unit", signal.unit),
        ("range", f"{low} … {high}"),
        ("direction", signal.direction.replace("_", " ")),
        ("family", f"{signal.family}, version {signal.version}"),
        ("source", signal.source),
        (
            "published cuts",
            "; ".join(f"{'≥' if p.side == 'minimum' else '≤'} {number(p.value)} ({p.recipe})" for p in published(name)) or "none found",
        ),
    ]
    rows = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts)
    caution = f'<p class="misleads"><b>Where it misleads.</b> {escape(signal.misleads)}</p>' if signal.misleads else ""
    st.html(f'<p class="definition">{escape(signal.about)}</p>{caution}<dl class="facts">{rows}</dl>')


def one_signal(corpus: Corpus, name: str, by: str, *, key: str) -> None:
    """Figures and the histogram of a column, split by group."""
    values = corpus.columns.numbers(name)
    figures = spread(values)
    if figures.mean is None:
        st.info(f"No document has a value: all {exact(figures.documents)} are undefined (null).")
        return
    scored = corpus.coverage().scored_rows(name) if corpus.coverage().of(name) else len(corpus)
    missing = f" · {counted(len(corpus) - scored, 'document')} not computed yet" if scored < len(corpus) else ""
    undefined = figures.nulls - (len(corpus) - scored)
    q = figures.quantiles
    st.html(
        f'<p class="answer">median <b>{number(q[0.5])}</b> · middle half {number(q[0.25])} to {number(q[0.75])} · '
        f"1 % below {number(q[0.01])}, 1 % above {number(q[0.99])} · mean {number(figures.mean)} · range {number(figures.minimum)} to {number(figures.maximum)} · "
        f"{share(figures.zeros, figures.documents)} exactly 0 · {exact(undefined)} undefined{missing}</p>"
    )
    groups = corpus.columns.groups(by)
    log = is_skewed(values)
    edges = bin_edges(values, log=log)
    st.plotly_chart(
        _histograms(name, edges, histogram_by(values, groups, edges), groups, log), width="stretch", config=NO_BAR, key=f"{key}_histogram"
    )
    shown = np.linspace(0, len(groups.labels) - 1, len(groups.labels)).astype(int)
    st.plotly_chart(_boxes(name, values, groups, shown, log), width="stretch", config=NO_BAR, key=f"{key}_boxes")


def along(selection: Selection, name: str) -> None:
    """The lowest, the middling and the highest documents, side by side."""
    found = telling(selection.corpus.columns.numbers(name))
    for column, (label, rows) in zip(st.columns(3, gap="medium"), found.items(), strict=True):
        with column:
            st.html(f'<h3 class="side">{len(rows)} {label}</h3>')
            cards(selection, rows, name, empty="No document has a value.")


def two_signals(selection: Selection, first: str, second: str) -> None:
    """Where two columns agree, and the documents they disagree on most."""
    corpus = selection.corpus
    a, b = corpus.columns.numbers(first), corpus.columns.numbers(second)
    found = agreement(a, b)
    if found.spearman is None:
        st.info(f"The two cannot be compared: {exact(found.documents)} documents have both values, or one of them is the same everywhere.")
        return
    overlap = share(found.top_overlap or 0.0)
    st.html(
        f'<p class="answer">Rank correlation (Spearman) <b>{found.spearman:+.3f}</b> over {exact(found.documents)} documents · '
        f"the highest {share(found.top)} of both share <b>{overlap}</b>; by chance {share(found.top)}</p>"
    )
    st.plotly_chart(_heat(first, second, a, b), width="stretch", config=NO_BAR, key="two_heat")
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(f'<h3 class="side">High in {escape(first)}, low in {escape(second)}</h3>')
        cards(selection, found.higher_in_first, first, empty="None.")
    with right:
        st.html(f'<h3 class="side">High in {escape(second)}, low in {escape(first)}</h3>')
        cards(selection, found.higher_in_second, second, empty="None.")


def sample_histograms(values: dict[str, np.ndarray], n: int, total: int) -> None:
    """Histograms from a sample, marked as such."""
    st.caption(f"{about('', True)}from a seeded sample of {exact(n)} of {short(total)} documents; nothing was stored.")
    columns = st.columns(3, gap="medium")
    for i, (name, column) in enumerate(values.items()):
        figures = spread(column)
        with columns[i % 3]:
            if figures.mean is None:
                st.caption(f"{name}: undefined for all {exact(n)} documents")
                continue
            log = is_skewed(column)
            edges = bin_edges(column, 30, log=log)
            one = Groups("all", np.zeros(len(column), np.uint8), ("all",))
            figure = _histograms(name, edges, histogram_by(column, one, edges), one, log)
            figure.update_layout(height=150, title={"font": {"size": 12}})
            st.plotly_chart(figure, width="stretch", config=NO_BAR, key=f"try_{name}")


def _histograms(name: str, edges: np.ndarray, counts: np.ndarray, groups: Groups, log: bool) -> go.Figure:
    figure = go.Figure()
    for i, label in enumerate(groups.labels):
        figure.add_bar(
            marker_color=SOURCES[i % len(SOURCES)],
            x=list(range(len(edges) - 1)),
            y=counts[i],
            name=visible(label),
            customdata=[f"{number(float(a))} to {number(float(b))}" for a, b in pairwise(edges)],
            hovertemplate="%{customdata}: %{y:,} documents<extra>" + escape(visible(label)) + "</extra>",
        )
    whole = bool(len(edges) > 1 and edges[1] - edges[0] == 1 and edges[0] % 1 == 0.5)  # a bin a whole number: named in its middle
    ticks = np.unique(np.linspace(0, len(edges) - (2 if whole else 1), 9).astype(int))
    centre = [float(t) - (0 if whole else 0.5) for t in ticks]
    names = [number(float(edges[t] + 0.5)) if whole else number(float(f"{edges[t]:.3g}")) for t in ticks]
    figure.update_layout(
        barmode="stack",
        bargap=0,
        height=260,
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        title={"text": f"Documents by {visible(name)}{', logarithmic bins' if log else ''}", "font": {"size": 14}},
        xaxis={"tickvals": centre, "ticktext": names},
        yaxis={"title": "documents"},
        showlegend=len(groups.labels) > 1,
        legend={"orientation": "v"},
        **QUIET,
    )
    for cut in published(name):
        at = float(np.interp(cut.value, edges, np.arange(len(edges)))) - 0.5
        if edges[0] <= cut.value <= edges[-1]:
            figure.add_vline(x=at, line_dash="dash", line_width=1, line_color="#888", annotation_text=cut.recipe, annotation_font_size=10)
    return figure


def _boxes(name: str, values: np.ndarray, groups: Groups, shown: np.ndarray, log: bool) -> go.Figure:
    """Quantiles by group as a box each, computed here: no document travels to the browser."""
    figure = go.Figure()
    for i in shown:
        figures = spread(values[groups.codes == i])
        if figures.mean is None:
            continue
        q = figures.quantiles
        floor = 1e-9 if log else -np.inf
        low, q1, middle, q3, high = (max(q[p], floor) for p in (0.05, 0.25, 0.5, 0.75, 0.95))
        figure.add_box(
            line_color=SOURCES[i % len(SOURCES)],
            y=[visible(groups.labels[i])],
            lowerfence=[low],
            q1=[q1],
            median=[middle],
            q3=[q3],
            upperfence=[high],
            orientation="h",
            name=visible(groups.labels[i]),
            showlegend=False,
        )
    figure.update_layout(
        height=70 + 24 * len(shown),
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        title={"text": f"{visible(name)} by {groups.by}: middle half, and 5 % to 95 %", "font": {"size": 14}},
        xaxis={"type": "linear"},
        yaxis={"autorange": "reversed", "type": "category"},
        **QUIET,
    )
    return figure


def _heat(first: str, second: str, a: np.ndarray, b: np.ndarray) -> go.Figure:
    both = np.flatnonzero(~np.isnan(a) & ~np.isnan(b))
    if len(both) > MOST_DRAWN:
        both = both[:: len(both) // MOST_DRAWN + 1]
    ex, ey = (bin_edges(v[both], 50, log=is_skewed(v[both])) for v in (a, b))
    counts, _, _ = np.histogram2d(np.clip(a[both], ex[0], ex[-1]), np.clip(b[both], ey[0], ey[-1]), bins=(ex, ey))
    with np.errstate(divide="ignore"):
        shade = np.where(counts > 0, np.log10(counts), np.nan).T
    figure = go.Figure(
        go.Heatmap(
            z=shade,
            customdata=counts.T,
            colorscale=[[0, "rgba(11,110,153,0.12)"], [1, "#0b6e99"]],
            showscale=False,
            hovertemplate=f"{escape(first)} bin %{{x}}, {escape(second)} bin %{{y}}: %{{customdata:,}} documents<extra></extra>",
        )
    )
    tx, ty = (np.unique(np.linspace(0, len(e) - 2, 7).astype(int)) for e in (ex, ey))
    figure.update_layout(
        height=380,
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        title={"text": f"Documents by {visible(first)} and {visible(second)}, darker is more (logarithmic)", "font": {"size": 14}},
        xaxis={"title": visible(first), "tickvals": list(tx), "ticktext": [number(float(f"{ex[t]:.3g}")) for t in tx]},
        yaxis={"title": visible(second), "tickvals": list(ty), "ticktext": [number(float(f"{ey[t]:.3g}")) for t in ty]},
        **QUIET,
    )
    return figure
