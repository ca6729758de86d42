"""What the audit says of many rewrites: by method and length, gain against faithfulness, rules against verdicts, and what to do with it."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from explorer.corpus.database import quote
from explorer.labels import VERDICTS
from explorer.registry import find_signal
from explorer.rewrites.decisions import Decisions, decide
from explorer.rewrites.figures import breakdown, faults, possible, rules
from explorer.rewrites.pairs import Pairs
from explorer.rewrites.place import Place
from explorer.selection.filters import as_filters
from explorer.selection.selection import Selection
from explorer.selection.threshold import Threshold
from explorer.ui import link, state
from explorer.ui.cards import chart_text
from explorer.ui.errors import guarded, plain
from explorer.ui.format import counted, exact, share, short
from explorer.ui.frame import go as go_to
from explorer.ui.frame import heading
from explorer.ui.labels import labelled
from explorer.ui.pairs import FAITHFUL, MARK
from explorer.ui.scoring import score_command, start

BY, PLANE, RULES, DECIDE, PROMPT = "By group", "Gain and faithfulness", "Rules and verdicts", "Decide", "Try a prompt"
CELLS = 40
NO_BAR = {"displayModeBar": False}


def figures(pairs: Pairs, selection: Selection) -> None:
    """Draw what was chosen under the reader."""
    heading("All pairs", "what was found, how sure it is, and what becomes of each document")
    views = [BY, PLANE, RULES, DECIDE, PROMPT]
    view = (
        st.segmented_control("Figures", views, default=BY, key="pairs_figures", label_visibility="collapsed", persist_state="session") or BY
    )
    with guarded(f"drawing {view}"):
        if view == BY:
            _by_group(pairs, selection)
        elif view == PLANE:
            _plane(pairs)
        elif view == RULES:
            _rules(pairs)
        elif view == DECIDE:
            _decide(pairs, selection)
        else:
            from explorer.ui.prompt import try_a_prompt

            try_a_prompt(pairs)


# --- by group --------------------------------------------------------------------------------------------------------------


def _by_group(pairs: Pairs, selection: Selection) -> None:
    choices = possible(pairs)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        by = (
            st.segmented_control("By", choices, default=choices[0], key="pairs_by", label_visibility="collapsed", required=True)
            or choices[0]
        )
        kept = bool(selection.filters) and st.toggle("Only what the filters keep", key="pairs_by_kept")
    key = (state.corpus_key(pairs), by, link.encode(selection.filters) if kept else "")
    table = _broken_down(key, pairs, by, selection.mask() if kept else None)
    if not table.height:
        st.info("0 pairs are left to group.", icon=":material/search_off:")
        return
    column = st.column_config
    config: dict[str, Any] = {
        "group": column.TextColumn(by, pinned=True),
        "pairs": column.NumberColumn("pairs", format="localized"),
        "scored": None,
        "mean": column.NumberColumn("mean", format="%.2f", help=f"Mean {FAITHFUL}"),
        "p25": column.NumberColumn("25 %", format="%.2f"),
        "median": column.NumberColumn("median", format="%.2f"),
        "p75": column.NumberColumn("75 %", format="%.2f"),
        "below": column.ProgressColumn(
            f"below {MARK:g}", format="percent", min_value=0, max_value=1, help=f"Share of pairs with {FAITHFUL} below {MARK:g}"
        ),
        "histogram": column.BarChartColumn(FAITHFUL, help="From 0, left, to 1 in ten steps"),
    }
    known = [s for s in faults(pairs) if s.name in table.columns]
    some = [s for s in known if (table[s.name].drop_nulls() > 0).any()]
    for s in known:
        config[s.name] = (
            column.NumberColumn(s.name.removeprefix("flag_").replace("_", " "), format="percent", help=f"Share of pairs: {plain(s.about)}")
            if s in some
            else None
        )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height=min(420, 38 + 35 * table.height),
        column_config=config,
        alt=f"Pairs by {by} with faithfulness and the share of each fault",
    )
    quiet = [s.name for s in known if s not in some]
    if quiet:
        st.caption(f"Found nowhere: {plain(', '.join(quiet))}.")


@st.cache_data(max_entries=16, show_spinner="Counting …")
def _broken_down(key: object, _pairs: Pairs, by: str, _among: np.ndarray | None) -> pl.DataFrame:
    return breakdown(_pairs, by, among=_among)


# --- gain against faithfulness ---------------------------------------------------------------------------------------------


def _plane(pairs: Pairs) -> None:
    numeric = pairs.columns.numeric()
    if FAITHFUL not in numeric:
        st.info("Faithfulness is not computed yet: audit the pairs first.", icon=":material/functions:")
        return
    gains = [n for n in numeric if n == "quality_gain" or n.startswith("quality_gain_")]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        others = [*gains, *(n for n in numeric if n not in gains and n != FAITHFUL)]
        across = st.selectbox("Across", others, key="plane_across", width=260, help="What a rewrite gained, or any other figure")
        scorers = sorted(
            {n for n in numeric if (s := find_signal(n)) is None or not s.family.startswith(("faithfulness", "size"))}
            & set(pairs.originals.columns.numeric())
            | {"gopher_alpha_word_frac", "zlib_ratio"}
        )
        by = st.selectbox(
            "Quality by",
            scorers,
            index=None,
            placeholder="a scorer",
            key="plane_scorer",
            width=220,
            help="Scores both sides where that has not been done",
        )
        if st.button("Compute the gain", key="plane_gain", disabled=by is None):
            name = f"gain:{by}" if str(by).isidentifier() else "gain"
            start(pairs, score_command(pairs, [name], "-p", f"{name}.by={by}"), f"gain by {by}")
    if across is None:
        return
    x, y = pairs.columns.numbers(across).astype(np.float64), pairs.columns.numbers(FAITHFUL).astype(np.float64)
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        st.info(f"0 of {counted(len(pairs), 'pair')} have both values.", icon=":material/search_off:")
        return
    low, high = np.quantile(x[there], [0.005, 0.995])
    high = high if high > low else low + 1
    ex, ey = np.linspace(low, high, CELLS + 1), np.linspace(0, 1, CELLS + 1)
    counts, _, _ = np.histogram2d(np.clip(x[there], low, high), np.clip(y[there], 0, 1), (ex, ey))
    picked = st.plotly_chart(
        _density(across, ex, ey, counts), width="stretch", config=NO_BAR, key="plane", on_select="rerun", selection_mode="box"
    )
    box = picked.selection.box[0] if picked and picked.selection.box else None
    if not box:
        st.caption(
            "Draw a box to choose pairs. Rewrites that gained much and are little faithful are where a scorer is bought with inventions: look at the lower right."
        )
        return
    # the outermost cells hold what lies beyond them too
    (x0, x1), (y0, y1) = (sorted(float(v) for v in box[axis]) for axis in ("x", "y"))
    bounds = [
        (across, ">=", x0, x, x0 > ex[1]),
        (across, "<=", x1, x, x1 < ex[-2]),
        (FAITHFUL, ">=", y0, y, True),
        (FAITHFUL, "<=", y1, y, True),
    ]
    used = [(name, sign, v, values) for name, sign, v, values, wanted in bounds if wanted]
    predicate = " AND ".join([f"{quote(name)} {sign} {v!r}" for name, sign, v, _ in used] + [f"{quote(across)} IS NOT NULL"])
    inside = there.copy()
    for _, sign, v, values in used:
        inside &= values >= v if sign == ">=" else values <= v
    n = int(inside.sum())
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<span class="quiet"><b>{exact(n)}</b> pairs inside</span>')
        keep = st.button("Keep only these", type="primary", key="plane_keep", disabled=not n)
        drop = st.button("Drop these", key="plane_drop", disabled=not n)
    if keep or drop:
        state.set_filters(
            state.current_filters() | as_filters(predicate if keep else f"({predicate}) IS NOT TRUE"),
            f"{'keep' if keep else 'drop'} a part of the plane",
        )
        st.rerun()


def _density(across: str, ex: np.ndarray, ey: np.ndarray, counts: np.ndarray) -> go.Figure:
    i, j = np.nonzero(counts)
    n = counts[i, j]
    figure = go.Figure(
        go.Scattergl(
            x=(ex[i] + ex[i + 1]) / 2, y=(ey[j] + ey[j + 1]) / 2, mode="markers", customdata=n, hovertemplate="%{customdata:,} pairs<extra></extra>",
            marker={"symbol": "square", "size": 9, "color": np.log10(n), "colorscale": [[0, "rgba(11,110,153,0.18)"], [1, "#0b6e99"]]},
        )
    )  # fmt: skip
    figure.add_hline(y=MARK, line_dash="dash", line_width=1, line_color="#888")
    figure.update_layout(
        height=360, margin={"l": 0, "r": 0, "t": 30, "b": 0}, dragmode="select",
        title={"text": f"Pairs by {chart_text(across)} and faithfulness, stronger is more (logarithmic)", "font": {"size": 14}},
        xaxis={"title": chart_text(across)}, yaxis={"title": FAITHFUL, "range": [-0.03, 1.03]},
    )  # fmt: skip
    return figure


# --- rules against verdicts ------------------------------------------------------------------------------------------------


def _rules(pairs: Pairs) -> None:
    verdicts = labelled(pairs).filter(pl.col("label").is_in(VERDICTS))
    counts = dict(verdicts["label"].value_counts().iter_rows())
    said = ", ".join(f"{counts.get(label, 0)} {label}" for label in VERDICTS)
    if not (counts.get("accept") or counts.get("reject")):
        st.info(
            "Judge some pairs first, with A (accept), X (reject) and S (not sure) above: then every check shows how often people agree with it.",
            icon=":material/rule:",
        )
        return
    st.caption(
        f"Verdicts: {said}. Of the pairs that a rule holds something against, how many people rejected (precision), and how many of the rejected it finds (recall); intervals at 95 %."
    )
    found = rules(pairs, verdicts.select("row", "label"))
    if not found:
        st.info("No check holds anything against a pair that was judged.", icon=":material/rule:")
        return
    table = pl.DataFrame(
        {
            "rule": [r.rule for r in found],
            "against": [r.up for r in found],
            "rejected": [r.rejected for r in found],
            "precision": [r.precision[0] for r in found],
            "95 %": [f"{share(r.precision[1])} to {share(r.precision[2])}" for r in found],
            "recall": [None if np.isnan(r.recall[0]) else r.recall[0] for r in found],
        }
    )
    column = st.column_config
    picked = st.dataframe(
        table, hide_index=True, width="stretch", on_select="rerun", selection_mode="single-row", key="pairs_rules", alt="Rules with their precision and recall against verdicts",
        column_config={
            "against": column.NumberColumn("holds against", help="judged pairs"),
            "precision": column.ProgressColumn("people agree", format="percent", min_value=0, max_value=1),
            "recall": column.ProgressColumn("of the rejected", format="percent", min_value=0, max_value=1),
        },
    )  # fmt: skip
    rows = picked.selection.rows
    chosen = found[rows[0]].rule if rows and rows[0] < len(found) else None
    if st.button(f"Drop pairs with {chosen}" if chosen else "Drop pairs by a rule", key="pairs_rule_drop", disabled=chosen is None):
        assert chosen is not None
        name, sign, value = chosen.split(" ")
        rule = Threshold(name, maximum=float(value), nulls="keep") if sign == ">" else Threshold(name, minimum=float(value), nulls="keep")
        state.set_filters(state.current_filters() | rule, f"without {chosen}")
        go_to("filters")


# --- decide ----------------------------------------------------------------------------------------------------------------


def _decide(pairs: Pairs, selection: Selection) -> None:
    st.caption(
        "A rewrite is accepted where you accepted it, rejected where you rejected it, and else where the filters keep it. What becomes of each document follows."
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        accepted = st.selectbox(
            "With an accepted rewrite",
            ["rewrite", "both"],
            key="decide_accepted",
            width=230,
            format_func=lambda v: "the rewrite replaces it" if v == "rewrite" else "keep both",
        )
        rejected = st.selectbox(
            "Without one",
            ["original", "drop"],
            key="decide_rejected",
            width=230,
            format_func=lambda v: "keep the original" if v == "original" else "drop the document",
        )
        choices = [
            None,
            *([FAITHFUL] if FAITHFUL in pairs.columns.numeric() else []),
            *(n for n in pairs.columns.numeric() if n != FAITHFUL),
        ]
        best = st.selectbox(
            "Of several accepted",
            choices,
            key="decide_best",
            width=260,
            format_func=lambda v: "keep all" if v is None else f"the one highest in {v}",
        )
        name = st.text_input(
            "Name", value="decided", key="decide_name", width=150, help="Of the folder in the workspace, and of the signal"
        )
    verdicts = labelled(pairs).select("row", "label")
    how: dict[str, Any] = {"accepted": accepted, "rejected": rejected, "best": best}
    stamp = (state.corpus_key(pairs), link.encode(selection.filters), str(verdicts.hash_rows().sum()), accepted, rejected, best)
    found = _decided(stamp, pairs, selection, verdicts, how)
    total = len(pairs.originals)
    bars = "".join(
        f"<div><span>{escape({'original': 'original kept', 'rewrite': 'rewrite instead', 'both': 'both kept', 'drop': 'dropped'}[d])}</span><b>{short(n)}</b><small>{share(n, total)}</small></div>"
        for d, n in found.counts.items()
    )
    st.html(f'<div class="cards">{bars}</div>')
    if not selection.filters:
        st.warning(
            "No filter is set: every rewrite that nobody rejected counts as accepted. Cut by faithfulness or the faults first, on Filters.",
            icon=":material/filter_alt_off:",
        )
    taken = int(found.pairs["accepted"].sum())
    st.caption(f"{exact(taken)} of {counted(len(pairs), 'rewrite')} accepted.")
    if st.button(
        "Write the decisions",
        type="primary",
        key="decide_write",
        disabled=not name.isidentifier(),
        help="Two Parquet tables in the workspace, and a signal on both sides, ready to filter and mix",
    ):
        folder = pairs.workspace.path / "decisions" / name
        originals, rewrites = found.save(folder)
        signal = f"imported:{name}"
        for corpus, table in ((pairs.originals, originals), (pairs, rewrites)):
            corpus.score(signal, parameters={signal: {"table": str(table), "column": "keep", "on": "row"}}, on_progress=lambda _: None)
        st.session_state.decided = (str(folder), f"imported_{name}")
        st.rerun()
    if "decided" in st.session_state:
        folder, column = st.session_state.decided
        st.success(
            f"Written to {plain(folder)}: originals.parquet and rewrites.parquet (id, keep, decision, reason). On both sides the signal {plain(column)} is 1 for what is kept.",
            icon=":material/check:",
        )
        st.code(_recipe(pairs, column), language="yaml")


@st.cache_resource(max_entries=2, show_spinner="Deciding …")
def _decided(key: object, _pairs: Pairs, _selection: Selection, _verdicts: pl.DataFrame, _how: dict[str, Any]) -> Decisions:
    return decide(_pairs, _selection.mask(), _verdicts, **_how)


def _recipe(pairs: Pairs, column: str) -> str:
    """A mix of what was decided, as YAML."""
    import yaml

    together = pairs.on is None  # both texts in a row
    opened = (
        {"pairs": pairs.paths[0]} if together else {"pairs": [list(pairs.originals.paths), list(pairs.paths)], "on": list(pairs.on or ())}
    )
    sides = {"organic": ({"corpus": list(pairs.originals.paths)}, pairs.originals), "recycled": (opened, pairs)}
    said = {
        "sources": {
            name: {**files, "roles": {role: c or None for role, c in Place.of(side).roles}, "where": f"{column} = 1"}
            for name, (files, side) in sides.items()
        }
    }
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=1000)
