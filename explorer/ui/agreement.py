"""Do two scorers agree? Ranks against each other, overlap of the best against chance, what they disagree on, and whom each favours."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from explorer.corpus.columns import Groups
from explorer.corpus.corpus import Corpus
from explorer.registry import find_signal
from explorer.selection import agreement
from explorer.selection.agreement import Interval, Overlap, Ranked
from explorer.selection.selection import Selection
from explorer.ui.background import later, watch
from explorer.ui.cards import cards, chart_text
from explorer.ui.format import about, exact, number, share, short
from explorer.ui.frame import heading
from explorer.ui.state import corpus_key

BINS = 40  # of each rank; fewer where that many cells would be nearly empty
SHOWN = 6  # documents each way
TOP = (0.01, 0.05, 0.1, 0.2, 0.5)
ALL = "all sources"
NO_BAR = {"displayModeBar": False}


@dataclass(frozen=True, eq=False)
class Compared:
    """Two columns compared.

    Attributes:
        pair: their ranks.
        spearman: rank correlation, None where undefined.
        overlaps: of several highest shares.
        density: documents by both ranks, [bins, bins].
        sources: `agreement.by_group` over sources.
        length: rank correlation of each with length.

    """

    pair: Ranked
    spearman: Interval | None
    overlaps: list[Overlap]
    density: np.ndarray
    sources: pl.DataFrame
    length: tuple[Interval | None, Interval | None]


def section(selection: Selection, numeric: list[str]) -> None:
    """Choose two columns and draw how far they agree."""
    corpus = selection.corpus
    heading(
        "Do two agree?", "by ranks among the documents that have both values; the best are the highest, or the lowest where low is good"
    )
    coverage = corpus.coverage()
    scorers = sorted((n for n in numeric if _scores_something(n)), key=lambda n: _judges(n) if coverage.of(n) else 0)
    if len(scorers) < 2:
        st.caption("Two computed signals or number columns are needed. Score another one above.")
        return
    for key, default in (("agree_first", scorers[0]), ("agree_second", scorers[1])):
        if st.session_state.get(key) not in scorers:
            st.session_state[key] = default
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.selectbox("One scorer", scorers, key="agree_first", persist_state="session", width=280)
        second = st.selectbox("The other", scorers, key="agree_second", persist_state="session", width=280)
        p = st.selectbox("The best", TOP, index=2, format_func=share, key="agree_p", persist_state="session", width=110)
    if first == second:
        st.caption("Choose two different ones.")
        return
    turned = (_low_is_good(first), _low_is_good(second))
    future = later(("agreement", corpus_key(corpus), first, second, turned, p), lambda: compare(corpus, first, second, turned, p), 3.0)
    if not future.done():
        watch(future, caption=f"Ranking {short(len(corpus))} documents twice …")
        return
    found = future.result()
    _figures(corpus, found, first, second, turned)
    if found.spearman is None:
        return
    left, right = st.columns([1, 1], gap="medium")
    with left:
        st.plotly_chart(_heat(first, second, found, turned), width="stretch", config=NO_BAR, key="agree_heat")
    with right:
        _overlap_table(found)
        _source_table(found, first, second, p)
    _disagreements(selection, found, first, second, turned)
    _bias(corpus, first, second, turned, p)


def compare(corpus: Corpus, first: str, second: str, turned: tuple[bool, bool], p: float) -> Compared:
    """All figures of two columns; sees no Streamlit."""
    a, b = corpus.columns.numbers(first), corpus.columns.numbers(second)
    pair = agreement.ranked(a, b, turned=turned)
    sources = agreement.by_group(pair, corpus.columns.groups("source"), p)
    length = (agreement.with_length(corpus, a, turned=turned[0]), agreement.with_length(corpus, b, turned=turned[1]))
    return Compared(
        pair, agreement.spearman(pair), agreement.overlaps(pair, TOP), agreement.density(pair, _bins(len(pair.rows))), sources, length
    )


def _bins(documents: int) -> int:
    """Bins of each rank so that a cell holds ten documents by chance, 5 to `BINS`."""
    return int(np.clip(np.sqrt(documents / 10), 5, BINS))


def _scores_something(name: str) -> bool:
    """Whether a column's order means something: a group's number does not."""
    signal = find_signal(name)
    return signal is None or signal.unit != "document number"


def _judges(name: str) -> int:
    """The place of a computed signal in the list: what judges quality first, descriptions last."""
    signal = find_signal(name)
    if signal is None:
        return 4
    return {"higher_is_better": 1, "lower_is_better": 2}.get(signal.direction, 3) + 3 * (signal.dtype == "int64")


def _low_is_good(name: str) -> bool:
    signal = find_signal(name)
    return signal is not None and signal.direction == "lower_is_better"


def _figures(corpus: Corpus, found: Compared, first: str, second: str, turned: tuple[bool, bool]) -> None:
    pair, rho = found.pair, found.spearman
    missing = [f"{exact(n)} have only {escape(name)}" for n, name in ((pair.only_first, first), (pair.only_second, second)) if n]
    missing += [f"{exact(pair.neither)} have neither"] if pair.neither else []
    left_out = f" ({', '.join(missing)})" if missing else ""
    if rho is None:
        st.info(
            f"The two cannot be compared: {exact(pair.documents)} of {exact(len(corpus))} documents have both values, or one of them is the same everywhere.",
            icon=":material/compare_arrows:",
        )
        return
    over = (
        f"a seeded sample of {exact(len(pair.rows))} of {short(pair.documents)}" if pair.sampled else f"{exact(pair.documents)} documents"
    )
    lows = [escape(name) for name, turn in zip((first, second), turned, strict=True) if turn]
    said = f" Low is good in {' and in '.join(lows)}: turned round here." if lows else ""
    lengths = " · ".join(
        f"{escape(name)} with length <b>{r.value:+.2f}</b>" for name, r in zip((first, second), found.length, strict=True) if r is not None
    )
    st.html(
        f'<p class="answer">Rank correlation (Spearman) <b>{about(f"{rho.value:+.3f}", pair.sampled)}</b> '
        f'<span title="95 % interval, if these documents are a random sample">({rho.low:+.3f} to {rho.high:+.3f})</span> over {over}{left_out}.{said} {lengths}</p>'
    )


def _heat(first: str, second: str, found: Compared, turned: tuple[bool, bool]) -> go.Figure:
    """Density of the ranks: even where the two know nothing of each other, a diagonal where they agree."""
    counts = found.density
    bins = len(counts)
    even = len(found.pair.rows) / bins**2
    ratio = counts / even
    dark = st.context.theme.type == "dark"
    edges = (np.arange(bins) + 0.5) / bins
    with np.errstate(divide="ignore"):
        shade = np.clip(np.log2(ratio), -3, 3)
    figure = go.Figure(
        go.Heatmap(
            x=edges,
            y=edges,
            z=shade,
            zmin=-3,
            zmax=3,
            colorscale=[[0, "#6d3b1c"], [0.25, "#a8703f"], [0.5, "#24221e"], [0.75, "#2f7fa8"], [1, "#a5dcf5"]]
            if dark
            else [[0, "#a1642d"], [0.25, "#dcb48c"], [0.5, "#f6f3ec"], [0.75, "#7fb6d1"], [1, "#0b4f70"]],
            customdata=np.dstack([counts, ratio]),
            hovertemplate="%{customdata[0]:,} documents, %{customdata[1]:.2f} × as many as by chance<extra></extra>",
            colorbar={
                "title": {"text": "× chance", "font": {"size": 11}},
                "tickvals": [-3, -2, -1, 0, 1, 2, 3],
                "ticktext": ["⅛ or less", "¼", "½", "1", "2", "4", "8 or more"],
                "thickness": 10,
                "outlinewidth": 0,
            },
        )
    )
    names = [f"{chart_text(n)}{', turned' if t else ''}" for n, t in zip((first, second), turned, strict=True)]
    figure.update_layout(
        title={"text": "Documents by both ranks, against chance", "font": {"size": 14}},
        height=430,
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        xaxis={"title": f"rank by {names[1]}", "tickformat": ".0%", "range": [0, 1], "showgrid": False, "constrain": "domain"},
        yaxis={
            "title": f"rank by {names[0]}",
            "tickformat": ".0%",
            "range": [0, 1],
            "showgrid": False,
            "scaleanchor": "x",
            "constrain": "domain",
        },
    )
    return figure


def _overlap_table(found: Compared) -> None:
    heading("Do they choose the same?", "of the best of one, how many are among the best of the other")
    rows = []
    for o in found.overlaps:
        verdict = "chance" if not o.beyond_chance else f"{o.share.value / o.chance.value:.1f} × chance"
        bounds = f"{share(o.share.low)} – {share(o.share.high)}"
        rows.append((share(o.p), o.k, o.share.value, bounds, f"{share(o.chance.low)} – {share(o.chance.high)}", verdict))
    frame = pl.DataFrame(
        rows,
        schema={"best": pl.String, "k": pl.Int64, "shared": pl.Float64, "interval": pl.String, "chance": pl.String, "verdict": pl.String},
        orient="row",
    )
    if frame.is_empty():
        st.caption("Too few documents for the best 50 % to hold five.")
        return
    st.dataframe(
        frame,
        key="agree_overlap",
        hide_index=True,
        width="stretch",
        height=34 + 31 * frame.height,
        column_config={
            "best": "Best",
            "k": st.column_config.NumberColumn("documents", format="localized"),
            "shared": st.column_config.ProgressColumn(
                "shared", format="percent", min_value=0, max_value=1, help="Ties at the cut count fractionally"
            ),
            "interval": st.column_config.TextColumn("95 %", help="Wilson interval of the share"),
            "chance": st.column_config.TextColumn("by chance", help="95 % of shuffles of one column lie here"),
            "verdict": "",
        },
    )


def _source_table(found: Compared, first: str, second: str, p: float) -> None:
    heading("Inside each source", "ranked among its own documents")
    frame = found.sources.sort("documents", descending=True)
    number_column = st.column_config.NumberColumn
    st.dataframe(
        frame,
        key="agree_sources",
        hide_index=True,
        width="stretch",
        height=min(34 + 31 * frame.height, 215),
        column_config={
            "group": st.column_config.TextColumn("Source", pinned=True),
            "documents": number_column("Documents", format="compact"),
            "spearman": number_column("Spearman", format="%+.3f"),
            "low": number_column("95 % from", format="%+.2f"),
            "high": number_column("to", format="%+.2f"),
            "overlap": number_column(f"shared of best {share(p)}", format="percent"),
            "difference": number_column(
                "favours",
                format="%+.3f",
                help=f"Mean rank by {first} minus by {second}, as a share of all documents: above 0, {first} likes the source better",
            ),
        },
    )


def _disagreements(selection: Selection, found: Compared, first: str, second: str, turned: tuple[bool, bool]) -> None:
    corpus = selection.corpus
    groups = corpus.columns.groups("source")
    with st.container(horizontal=True, vertical_alignment="center"):
        heading("What they disagree on most", "largest difference of ranks")
        labels = [ALL, *groups.labels]
        within = st.selectbox(
            "Among", range(len(labels)), format_func=labels.__getitem__, key="agree_within", label_visibility="collapsed", width=230
        )
    among = None if not within else groups.codes[found.pair.rows] == within - 1
    ways = agreement.disagreements(found.pair, SHOWN, among=among)
    high = [f"{'low' if turn else 'high'}" for turn in turned]
    low = [f"{'high' if turn else 'low'}" for turn in turned]
    lists = (
        (f"{first} likes, {second} does not", f"{high[0]} in {first}, {low[1]} in {second}", ways[0], "agree_one"),
        (f"{second} likes, {first} does not", f"{high[1]} in {second}, {low[0]} in {first}", ways[1], "agree_other"),
    )
    for column, (title, note, rows, key) in zip(st.columns(2, gap="medium"), lists, strict=True):
        with column:
            st.html(f'<h3 class="side">{escape(title)}</h3><p class="quiet">{escape(note)}</p>')
            if len(rows):
                st.html(_scores(corpus, found.pair, rows, first, second))
            cards(
                selection,
                rows,
                first if key == "agree_one" else second,
                key=key,
                title=note,
                empty="None: nothing is ranked higher that way.",
            )


def _scores(corpus: Corpus, pair: Ranked, rows: np.ndarray, first: str, second: str) -> str:
    """Both values and both ranks of a few documents, as a table of inert text."""
    at, m = np.searchsorted(pair.rows, rows), max(1, len(pair.rows))
    lines = []
    for i, row in zip(at, rows, strict=True):
        cells = "".join(
            f'<td class="n">{escape(number(float(corpus.columns.numbers(name)[row])))}</td><td class="n quiet">{share(float((ranks[i] - 0.5) / m))}</td>'
            for name, ranks in ((first, pair.first), (second, pair.second))
        )
        lines.append(f'<tr><th scope="row">row {exact(int(row))}</th>{cells}</tr>')
    heads = "".join(f'<th scope="col">{escape(name)}</th><th scope="col">better than</th>' for name in (first, second))
    return f'<table class="metadata"><thead><tr><th></th>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def _bias(corpus: Corpus, first: str, second: str, turned: tuple[bool, bool], p: float) -> None:
    heading("Whom does each favour?", f"of every group, the share that the best {share(p)} keep; the pool keeps {share(p)}")
    key = (corpus_key(corpus), first, second, turned, p)
    future = later(("bias", *key), lambda: biases(corpus, (first, second), turned, p), 3.0)
    if not future.done():
        watch(future, caption="Counting by group …")
        return
    tables = future.result()
    if not tables:
        st.caption("Nothing tells groups of documents apart here.")
        return
    for column, (by, frame) in zip([c for _ in range(2) for c in st.columns(2, gap="medium")], tables.items(), strict=False):
        with column:
            st.dataframe(
                frame,
                key=f"agree_bias_{by}",
                hide_index=True,
                width="stretch",
                height=min(34 + 31 * frame.height, 390),
                column_config=_bias_columns(by, first, second),
            )


def biases(corpus: Corpus, names: tuple[str, str], turned: tuple[bool, bool], p: float) -> dict[str, pl.DataFrame]:
    """By source, language, year and length: kept share and ratio to the pool under each of two columns."""
    found = {}
    for groups in agreement.pools(corpus):
        one, other = (
            agreement.bias(corpus.columns.numbers(name), _short_names(groups), p, turned=turn)
            for name, turn in zip(names, turned, strict=True)
        )
        picked = [
            f.select("group", pl.col("kept_share").alias(f"share_{i}"), pl.Series(f"ratio_{i}", _ratios(f, p)))
            for i, f in enumerate((one, other))
        ]
        found[groups.by] = pl.concat([picked[0], picked[1].drop("group")], how="horizontal").insert_column(
            1, pl.Series("documents", np.bincount(groups.codes, minlength=len(groups.labels)))
        )
    return found


def _ratios(frame: pl.DataFrame, p: float) -> list[str]:
    """Kept share over the pool's, marked where the pool's lies inside the interval."""
    lines = frame.select("ratio", "low", "high").iter_rows()
    return ["–" if ratio is None else f"{'~' if low <= p <= high else ''}{ratio:.2f}" for ratio, low, high in lines]


def _short_names(groups: Groups) -> Groups:
    if groups.by != "length":
        return groups
    names = tuple(" to ".join(short(round(float(v))) for v in label.split(" to ")) for label in groups.labels)
    return Groups(groups.by, groups.codes, names)


def _bias_columns(by: str, first: str, second: str) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "group": st.column_config.TextColumn(f"by {by}" if by != "length" else "by length (tokens)", pinned=True),
        "documents": st.column_config.NumberColumn(
            "Documents", format="compact", width="small", help="All of the group; shares are of those that have a value"
        ),
    }
    for i, name in enumerate((first, second)):
        columns[f"share_{i}"] = st.column_config.ProgressColumn(
            name,
            format="percent",
            min_value=0,
            max_value=1,
            width="small",
            help=f"Share of the group among the best by {name}; ties at the cut count fractionally",
        )
        columns[f"ratio_{i}"] = st.column_config.TextColumn(
            "× pool", help="1: treated like all documents; ~: the difference is within what chance gives (95 %)", width="small"
        )
    return columns
