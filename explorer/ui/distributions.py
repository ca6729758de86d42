"""Plots of one signal, of two and of all: histograms by group, documents along the range, agreement, redundancy.

What is drawn is computed once for the same scores and then shared by all browsers; what comes from a sample says so with ≈ and n.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from explorer.corpus.columns import Groups
from explorer.corpus.corpus import Corpus
from explorer.corpus.distribution import (
    Agreement,
    Spread,
    agreement,
    bin_edges,
    drawn,
    histogram_by,
    is_skewed,
    neighbours,
    rank_correlations,
    spread,
    telling,
)
from explorer.registry import Signal, families
from explorer.selection.selection import Selection
from explorer.selection.tuning import published
from explorer.ui.background import later, watch
from explorer.ui.cards import cards, chart_labels, chart_text
from explorer.ui.format import about, counted, exact, number, share, short
from explorer.ui.state import corpus_key

# Okabe and Ito's colours and five more, told apart with any kind of colour vision on paper and in the dark.
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
NO_BAR = {"displayModeBar": False}
MOST_DRAWN = 500_000  # documents of a heat map of two signals and of quantiles by group; of more, a seeded sample
MOST_CORRELATED = 20_000  # documents that all signals are correlated on
REDUNDANT = 0.9  # rank correlation from which two signals say the same to a filter
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Picture:
    """One column by group.

    Attributes:
        figures: of all documents.
        edges, counts: the histogram of all documents, [groups, bins].
        log: whether the bins are equal by ratio.
        groups: names.
        boxes: figures of each group, from ``drawn`` documents.
        drawn: how many documents the boxes are made from.
    """

    figures: Spread
    edges: np.ndarray
    counts: np.ndarray
    log: bool
    groups: Groups
    boxes: tuple[Spread, ...]
    drawn: int


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
    said = inspect.getdoc(families()[signal.family].compute) or ""
    if "\n" in said:
        with st.expander(f"The whole definition of {signal.family}: what is counted, and how far it agrees with its source"):
            st.html(f'<p class="docstring">{escape(said)}</p>')


def one_signal(corpus: Corpus, name: str, by: str, *, key: str) -> None:
    """Figures and the histogram of a column, split by group."""
    seen = _picture((corpus_key(corpus), name, by), corpus, name, by)
    figures = seen.figures
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
    st.plotly_chart(
        _histograms(name, seen.edges, seen.counts, seen.groups, seen.log), width="stretch", config=NO_BAR, key=f"{key}_histogram"
    )
    st.plotly_chart(_boxes(name, seen), width="stretch", config=NO_BAR, key=f"{key}_boxes")


@st.cache_resource(max_entries=64, show_spinner="Drawing the distribution …")
def _picture(key: Key, _corpus: Corpus, name: str, by: str) -> Picture:
    values, groups = _corpus.columns.numbers(name), _corpus.columns.groups(by)
    figures = spread(values)
    log = is_skewed(figures)
    edges = bin_edges(values, log=log)
    rows = drawn(len(values), MOST_DRAWN)
    some, codes = values[rows], groups.codes[rows]
    boxes = tuple(spread(some[codes == i]) for i in range(len(groups.labels)))
    return Picture(figures, edges, histogram_by(values, groups, edges), log, groups, boxes, len(rows))


def text_signal(corpus: Corpus, name: str) -> None:
    """The values of a text signal, as bars of documents."""
    groups = corpus.columns.groups(name, 30)
    if not len(groups.codes):
        st.info("No document has a value.")
        return
    counts = np.bincount(groups.codes, minlength=len(groups.labels))
    tokens = corpus.columns.tokens()
    weights = np.bincount(groups.codes, weights=tokens.values, minlength=len(groups.labels))
    labels = ["(none)" if label == "" else label for label in groups.labels]
    figure = go.Figure(
        go.Bar(
            y=chart_labels(labels),
            x=counts,
            orientation="h",
            marker_color="#0b6e99",
            text=[f"{short(int(c))} · {share(int(c), len(groups.codes))}" for c in counts],
            textposition="auto",
            customdata=[
                f"{exact(int(c))} documents, {about(short(w), tokens.estimated)} tokens" for c, w in zip(counts, weights, strict=True)
            ],
            hovertemplate="%{y}: %{customdata}<extra></extra>",
        )
    )
    figure.update_layout(
        title={"text": f"Documents by {chart_text(name)}", "font": {"size": 14}},
        height=80 + 24 * len(labels),
        margin={"l": 0, "r": 12, "t": 34, "b": 0},
        xaxis={"title": "documents"},
        yaxis={"autorange": "reversed", "type": "category"},
    )
    st.plotly_chart(figure, width="stretch", config=NO_BAR, key="sig_values")
    st.caption("A text signal groups documents. Cut on it with “Pick values” on the Filters page.")


def along(selection: Selection, name: str) -> None:
    """The lowest, the middling and the highest documents, side by side."""
    found = _telling((corpus_key(selection.corpus), name), selection.corpus, name)
    for column, (label, rows) in zip(st.columns(3, gap="medium"), found.items(), strict=True):
        with column:
            st.html(f'<h3 class="side">{len(rows)} {label}</h3>')
            cards(selection, rows, name, key=label.split()[0], title=f"{label} by {name}", empty="No document has a value.")


@st.cache_resource(max_entries=64, show_spinner=False)
def _telling(key: Key, _corpus: Corpus, name: str) -> dict[str, np.ndarray]:
    return telling(_corpus.columns.numbers(name))


def two_signals(selection: Selection, first: str, second: str) -> None:
    """Where two columns agree, and the documents they disagree on most."""
    corpus = selection.corpus
    found, figure = _two((corpus_key(corpus), first, second), corpus, first, second)
    if found.spearman is None:
        st.info(f"The two cannot be compared: {exact(found.documents)} documents have both values, or one of them is the same everywhere.")
        return
    sampled = found.compared < found.documents
    over = f"a seeded sample of {exact(found.compared)} of {short(found.documents)}" if sampled else exact(found.documents)
    st.html(
        f'<p class="answer">Rank correlation (Spearman) <b>{about(f"{found.spearman:+.3f}", sampled)}</b> over {over} documents · the highest '
        f"{share(found.top)} of both share <b>{about(share(found.top_overlap or 0.0), sampled)}</b>; by chance {share(found.top)}</p>"
    )
    st.plotly_chart(figure, width="stretch", config=NO_BAR, key="two_heat")
    left, right = st.columns(2, gap="medium")
    for column, high, low, rows, key in (
        (left, first, second, found.higher_in_first, "first"),
        (right, second, first, found.higher_in_second, "second"),
    ):
        with column:
            st.html(f'<h3 class="side">High in {escape(high)}, low in {escape(low)}</h3>')
            cards(selection, rows, high, key=key, title=f"high in {high}, low in {low}", empty="None.")


@st.cache_resource(max_entries=24, show_spinner="Ranking both …")
def _two(key: Key, _corpus: Corpus, first: str, second: str) -> tuple[Agreement, go.Figure | None]:
    a, b = _corpus.columns.numbers(first), _corpus.columns.numbers(second)
    found = agreement(a, b, most=MOST_DRAWN)
    return found, _heat(first, second, a, b) if found.spearman is not None else None


def redundancy(corpus: Corpus, names: Sequence[str]) -> None:
    """Rank correlations of all computed signals as a heat map, and the pairs that say the same."""
    if len(names) < 2 or len(corpus) < 3:
        st.caption("Two signals and three documents are needed to compare signals.")
        return
    rows = drawn(len(corpus), MOST_CORRELATED)

    def correlate() -> np.ndarray:
        return rank_correlations([corpus.columns.numbers(name)[rows] for name in names])

    future = later(("redundancy", corpus_key(corpus), tuple(names)), correlate, 2.0)
    if not future.done():
        watch(future, caption=f"Ranking {len(names)} signals on {exact(len(rows))} documents …")
        return
    sampled, found = len(rows) < len(corpus), future.result()
    order = neighbours(found)
    upper = [(abs(found[i, j]), i, j) for i in range(len(names)) for j in range(i) if abs(found[i, j]) >= REDUNDANT]
    pairs = [(names[j], names[i], float(found[i, j])) for _, i, j in sorted(upper, key=lambda p: -p[0])]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.plotly_chart(
            _correlations([names[i] for i in order], found[np.ix_(order, order)]), width="stretch", config=NO_BAR, key="sig_all"
        )
    with right:
        over = (
            f"a seeded sample of {exact(len(rows))} of {short(len(corpus))} documents" if sampled else f"all {exact(len(rows))} documents"
        )
        st.caption(
            f"{about('', sampled)}Spearman's rank correlation over {over}; like signals stand together. From ±{REDUNDANT:g} on, two signals order "
            f"documents alike, and a cut on one does the work of a cut on the other: {counted(len(pairs), 'pair')}."
        )
        st.dataframe(
            pl.DataFrame(pairs, schema={"one": pl.String, "the other": pl.String, "rank correlation": pl.Float64}, orient="row"),
            hide_index=True,
            width="stretch",
            column_config={"rank correlation": st.column_config.NumberColumn("≈ rank correlation" if sampled else None, format="%+.3f")},
        )


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
            log = is_skewed(figures)
            edges = bin_edges(column, 30, log=log)
            one = Groups("all", np.zeros(len(column), np.uint8), ("all",))
            figure = _histograms(name, edges, histogram_by(column, one, edges), one, log)
            figure.update_layout(
                height=150, title={"text": f"≈ {chart_text(name)}, n = {exact(n)}", "font": {"size": 12}}, yaxis={"title": None}
            )
            st.plotly_chart(figure, width="stretch", config=NO_BAR, key=f"try_{name}")


def small_histograms(corpus: Corpus, names: Sequence[str]) -> dict[str, list[int]] | None:
    """Histograms of columns for a table, the same for all browsers; None while they are being made."""

    def draw() -> dict[str, list[int]]:
        found = {}
        for name in names:
            values = corpus.columns.glimpse(name)
            edges = bin_edges(values, 24, log=is_skewed(spread(values)))
            found[name] = np.histogram(values[~np.isnan(values)].clip(edges[0], edges[-1]), edges)[0].tolist()
        return found

    future = later(("small histograms", corpus_key(corpus), tuple(names)), draw, 1.0)
    watch(future)
    return future.result() if future.done() else None


def _histograms(name: str, edges: np.ndarray, counts: np.ndarray, groups: Groups, log: bool) -> go.Figure:
    figure = go.Figure()
    for i, label in enumerate(groups.labels):
        figure.add_bar(
            marker_color=SOURCES[i % len(SOURCES)],
            x=list(range(len(edges) - 1)),
            y=counts[i],
            name=chart_text(label),
            customdata=[f"{number(float(a))} to {number(float(b))}" for a, b in pairwise(edges)],
            hovertemplate="%{customdata}: %{y:,} documents<extra>%{fullData.name}</extra>",
        )
    whole = bool(len(edges) > 1 and edges[1] - edges[0] == 1 and edges[0] % 1 == 0.5)  # a bin a whole number: named in its middle
    ticks = np.unique(np.linspace(0, len(edges) - (2 if whole else 1), 9).astype(int))
    centre = [float(t) - (0 if whole else 0.5) for t in ticks]
    names = [number(float(edges[t] + 0.5)) if whole else number(float(f"{edges[t]:.3g}")) for t in ticks]
    figure.update_layout(
        barmode="stack",
        bargap=0,
        height=max(260, 70 + 19 * len(groups.labels)),
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        title={"text": f"Documents by {chart_text(name)}{', logarithmic bins' if log else ''}", "font": {"size": 14}},
        xaxis={"tickvals": centre, "ticktext": names},
        yaxis={"title": "documents"},
        showlegend=len(groups.labels) > 1,
        legend={"orientation": "v"},
    )
    for cut in published(name):
        at = float(np.interp(cut.value, edges, np.arange(len(edges)))) - 0.5
        if edges[0] <= cut.value <= edges[-1]:
            figure.add_vline(x=at, line_dash="dash", line_width=1, line_color="#888", annotation_text=cut.recipe, annotation_font_size=10)
    return figure


def _boxes(name: str, seen: Picture) -> go.Figure:
    """Quantiles by group as a box each, computed here: no document travels to the browser."""
    figure = go.Figure()
    labels = chart_labels(seen.groups.labels)
    for i, figures in enumerate(seen.boxes):
        if figures.mean is None:
            continue
        q = figures.quantiles
        figure.add_box(
            line_color=SOURCES[i % len(SOURCES)],
            y=[labels[i]],
            lowerfence=[q[0.05]],
            q1=[q[0.25]],
            median=[q[0.5]],
            q3=[q[0.75]],
            upperfence=[q[0.95]],
            orientation="h",
            name=labels[i],
            showlegend=False,
        )
    whole = seen.figures.documents
    note = f", ≈ from {exact(seen.drawn)} of {short(whole)} documents" if seen.drawn < whole else ""
    figure.update_layout(
        height=70 + 24 * len(labels),
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        title={"text": f"{chart_text(name)} by {seen.groups.by}: middle half, and 5 % to 95 %{note}", "font": {"size": 14}},
        xaxis={"type": "linear"},
        yaxis={"autorange": "reversed", "type": "category"},
    )
    return figure


def _heat(first: str, second: str, a: np.ndarray, b: np.ndarray) -> go.Figure:
    both = np.flatnonzero(~np.isnan(a) & ~np.isnan(b))
    whole = len(both)
    both = both[drawn(whole, MOST_DRAWN)]
    ex, ey = (bin_edges(v[both], 50, log=is_skewed(spread(v[both]))) for v in (a, b))
    counts, _, _ = np.histogram2d(np.clip(a[both], ex[0], ex[-1]), np.clip(b[both], ey[0], ey[-1]), bins=(ex, ey))
    with np.errstate(divide="ignore"):
        shade = np.where(counts > 0, np.log10(counts), np.nan).T
    figure = go.Figure(
        go.Heatmap(
            z=shade,
            customdata=counts.T,
            colorscale=[[0, "rgba(11,110,153,0.12)"], [1, "#0b6e99"]],
            showscale=False,
            hovertemplate="%{customdata:,} documents<extra></extra>",
        )
    )
    note = f", ≈ from {exact(len(both))} of {short(whole)} documents" if len(both) < whole else ""
    tx, ty = (np.unique(np.linspace(0, len(e) - 2, 7).astype(int)) for e in (ex, ey))
    figure.update_layout(
        height=380,
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        title={
            "text": f"Documents by {chart_text(first)} and {chart_text(second)}, stronger is more (logarithmic){note}",
            "font": {"size": 14},
        },
        xaxis={"title": chart_text(first), "tickvals": list(tx), "ticktext": [number(float(f"{ex[t]:.3g}")) for t in tx]},
        yaxis={"title": chart_text(second), "tickvals": list(ty), "ticktext": [number(float(f"{ey[t]:.3g}")) for t in ty]},
    )
    return figure


def _correlations(names: Sequence[str], found: np.ndarray) -> go.Figure:
    shown = np.array([["" if np.isnan(v) else f"{v:+.3f}" for v in row] for row in found])
    figure = go.Figure(
        go.Heatmap(
            x=[chart_text(n) for n in names],
            y=[chart_text(n) for n in names],
            z=found,
            zmin=-1,
            zmax=1,
            customdata=shown,
            colorscale=[[0, "#b5651d"], [0.5, "rgba(128,128,128,0.06)"], [1, "#0b6e99"]],
            colorbar={"thickness": 10, "title": {"text": "ρ"}},
            hovertemplate="%{y} and %{x}: %{customdata}<extra></extra>",
        )
    )
    side = max(320, 90 + 11 * len(names))
    many = len(names) > 45
    figure.update_layout(
        title={"text": "How alike signals order the documents", "font": {"size": 14}},
        height=side,
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        yaxis={"autorange": "reversed", "showgrid": False, "tickfont": {"size": 9 if many else 11}, "dtick": 1},
        xaxis={"showgrid": False, "tickfont": {"size": 9 if many else 11}, "tickangle": -60, "dtick": 1},
    )
    return figure
