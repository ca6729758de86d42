"""What small runs and published laws say about a mixture: tables are read where they are, and nothing is changed until it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from explorer.errors import MixtureError
from explorer.mixture.amounts import Given
from explorer.mixture.cmr import critical_ratio
from explorer.mixture.data_constrained import repeats
from explorer.mixture.data_efficiency import data_efficiency
from explorer.mixture.model import Mixture
from explorer.mixture.proxy_runs import propose_runs, read_runs
from explorer.mixture.regmix import Advice, Method, best_mixture, fit
from explorer.mixture.tables import read_table
from explorer.ui import mixing_edits as edits
from explorer.ui.background import later, watch
from explorer.ui.errors import plain
from explorer.ui.mixing import Ready, attempt
from explorer.ui.mixing_figures import NO_BAR, colour

KINDS = {
    "regmix": "Weights from proxy runs (RegMix)",
    "runs": "Which proxy runs to train",
    "repeats": "What repeats are worth",
    "cmr": "How much domain data (CMR)",
    "efficiency": "Data efficiency of two sets of runs",
}


def advice(mixture: Mixture, ready: Mapping[str, Ready]) -> None:
    """Draw what was chosen."""
    kind = st.segmented_control("Ask", list(KINDS), default="regmix", format_func=KINDS.__getitem__, key="mix_advice", label_visibility="collapsed") or "regmix"  # fmt: skip
    if kind == "regmix":
        _regmix(mixture, ready)
    elif kind == "runs":
        _runs(ready)
    elif kind == "repeats":
        _repeats(mixture, ready)
    elif kind == "cmr":
        _cmr()
    else:
        _efficiency()


def _table(label: str, key: str, help_: str) -> pl.DataFrame | None:
    said = st.text_input(label, key=key, help=f"{help_} A .parquet file, or a .csv file with a header.", placeholder="runs.csv").strip()
    if not said:
        return None
    file = Path(said).expanduser()
    if not file.is_file():
        raise MixtureError(f"{said!r} is no file. A .parquet file or a .csv file with a header is read. Correct the path.")
    return _read(str(file), file.stat().st_mtime_ns)


@st.cache_data(max_entries=8, show_spinner=False)
def _read(path: str, stamp: int) -> pl.DataFrame:
    return read_table(Path(path))


def _regmix(mixture: Mixture, ready: Mapping[str, Ready]) -> None:
    table = _table("Table of proxy runs", "mix_runs", "A row a run: a column of weights for each domain, and losses.")
    if table is None:
        st.caption(
            "Small models trained on different mixtures say which one a large model would like: a regression from weights to loss, and the mean of the best of many drawn mixtures (Liu et al. 2024). Weights of domains called like your sources can be used at once."
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        numeric = [n for n, kind in table.schema.items() if kind.is_numeric()]
        target = st.selectbox("Loss", numeric, index=len(numeric) - 1 if numeric else None, key="mix_target", width=240)
        methods: list[Method] = ["trees", "linear"]
        method = st.segmented_control("Regression", methods, default="trees", key="mix_method", help="linear for few runs")
        higher = st.toggle("Higher is better", key="mix_higher")
    if not target:
        raise MixtureError("The table has no column of numbers. A row a run has weights and a loss. Name another file.")
    runs = read_runs(table, target, higher_is_better=higher)
    named = {n: r.counted.unique.tokens for n, r in ready.items()}
    known = named if set(runs.domains) <= set(named) else None

    def work() -> Advice:
        budget = mixture.budget_tokens if known else None
        return best_mixture(fit(runs, method=method or "trees"), available_tokens=known, budget_tokens=budget)

    key = ("regmix", table.hash_rows().sum(), table.columns, target, method, higher, str(known), mixture.budget_tokens)
    future = later(repr(key), work, 1.0)
    if not future.done():
        watch(future, caption=f"fitting {len(runs):,} runs and trying mixtures …")
        return
    found = future.result()
    st.markdown(f"**{plain(str(found))}**")
    shown = [n for n in found.table.columns if found.table[n].null_count() < found.table.height]
    st.dataframe(found.table.select(shown), hide_index=True, width="stretch", alt="Advised weights")
    for warning in found.warnings:
        st.caption(f"▲ {plain(warning)}")
    ours = [d for d in runs.domains if d in named]
    st.button(
        "Use these weights", key="mix_use_regmix", disabled=not ours, on_click=attempt, args=(lambda m: _used(m, found.weights),),
        help="For the sources of the same name" if ours else f"None of {', '.join(runs.domains[:6])} is a source here: rename the sources to match",
    )  # fmt: skip


def _used(mixture: Mixture, weights: Mapping[str, float]) -> Mixture:
    at = edits.At(0 if mixture.stages else None)
    for source in mixture.sources:
        if source.name in weights:
            given = Given(weight=round(weights[source.name], 4)) if weights[source.name] >= 1e-4 else None
            if given is None and at.stage is None:
                mixture = edits.remove_source(mixture, source.name)
            else:
                mixture = edits.with_given(mixture, at, source.name, given)
    return mixture


def _runs(ready: Mapping[str, Ready]) -> None:
    tokens = {n: r.counted.unique.tokens for n, r in ready.items()}
    if len(tokens) < 2:
        st.caption("Proxy runs differ in their mixture: add a second source.")
        return
    count = int(st.number_input("Runs", 2, 2000, 64, key="mix_run_count", width=130, help="RegMix trained 512 models of 1 M parameters"))
    table = propose_runs(tokens, count)
    st.dataframe(table, hide_index=True, width="stretch", height=240, alt="Weights of proxy runs")
    st.download_button("Save as CSV", table.write_csv(), "proxy_runs.csv", "text/csv", key="mix_runs_csv")


def _repeats(mixture: Mixture, ready: Mapping[str, Ready]) -> None:
    figure = go.Figure()
    shown = {n: r.counted.unique.tokens for n, r in ready.items() if r.counted.unique.tokens > 0}
    if not shown:
        st.caption("No source has tokens.")
        return
    for place, source in enumerate(mixture.sources):
        if source.name in shown:
            table = repeats(shown[source.name]).table
            figure.add_scatter(
                x=table["epochs"], y=table["effective_tokens"], name=source.name, mode="lines+markers", line={"color": colour(place)},
                hovertemplate="%{x:g} epochs are worth %{y:.3s} fresh tokens<extra>%{fullData.name}</extra>",
            )  # fmt: skip
    for cut in (4, 16):
        figure.add_vline(x=cut, line={"dash": "dash", "width": 1})
    figure.update_layout(
        height=280, margin={"l": 8, "r": 8, "t": 8, "b": 8}, xaxis={"title": "epochs", "type": "log"},
        yaxis={"title": "effective tokens", "type": "log", "tickformat": "~s"},
    )  # fmt: skip
    st.plotly_chart(figure, width="stretch", config=NO_BAR, key="mix_repeats")
    st.caption(
        "The published law of repeated data (Muennighoff et al. 2023), fitted to web text and models up to 9 B parameters: however often a source is repeated, it is worth at most 16.4 times its tokens. Dashed: where this product calls it worn and spent."
    )


def _cmr() -> None:
    table = _table(
        "Table of losses", "mix_losses", "Columns ratio, tokens, general_loss and domain_loss; a row at 0 tokens for each ratio."
    )
    if table is None:
        st.caption("Continual pretraining: the largest share of domain data that raises the general loss by no more than you put up with (Gu et al. 2024).")  # fmt: skip
        return
    epsilon = st.number_input("Rise of the general loss put up with", 0.0, 10.0, 0.05, step=0.01, key="mix_epsilon", width=220)
    _show(critical_ratio(table, epsilon=epsilon))


def _efficiency() -> None:
    left, right = st.columns(2)
    with left:
        baseline = _table("Baseline's runs", "mix_baseline", "Columns tokens and loss.")
    with right:
        method = _table("Other runs", "mix_other", "Columns tokens and loss.")
    if baseline is None or method is None:
        st.caption("How many times the data the baseline would need to reach the same loss.")
        return
    _show(data_efficiency(baseline, method))


def _show(found: Any) -> None:
    st.markdown(f"**{plain(str(found))}**")
    st.dataframe(found.table, hide_index=True, width="stretch", alt="What was found")
    for warning in found.warnings:
        st.caption(f"▲ {plain(warning)}")
