"""A tiny app around the cut panel: synthetic, skewed signals through the real kernels. Run with streamlit; tests drive it.

Query parameters: ``rows``, ``rules`` (how many), ``delay`` (seconds a refresh takes longer, to see what is shown meanwhile),
``hostile`` (names that are markup), ``odd`` (columns that are all null, constant or infinite).
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from cuts_data import CHOICES, PUBLISHED, SIGNALS, START, corpus  # noqa: E402

from explorer.selection.curves import choose_edges, histogram, leave_one_out, quantise  # noqa: E402
from explorer.ui.cuts import CutEvent, Groups, PublishedCut, Rule, Totals, cut_panel  # noqa: E402

st.set_page_config(layout="wide", page_title="Cut panel")
ROWS, RULES, DELAY = (float(st.query_params.get(name, default)) for name, default in (("rows", 20_000), ("rules", 12), ("delay", 0)))


@st.cache_resource(max_entries=2)
def load(rows: int) -> dict:
    data = corpus(rows)
    half = np.arange(rows) % 2 == 0
    data["signals"] |= {
        "all_null": np.full(rows, np.nan, "f4"),
        "constant": np.full(rows, 3.5, "f4"),
        "half_infinite": np.where(half, np.inf, -np.inf).astype("f4"),
        "zero_or_huge": np.where(half, 0, 3e38).astype("f4"),
    }
    return data


@st.cache_resource(max_entries=64)
def codes_of(rows: int, signal: str, edges: bytes, by: str) -> tuple:
    data = load(rows)
    values = data["signals"][signal]
    codes = quantise(values, np.frombuffer(edges, values.dtype))
    return codes, histogram(codes, data["groups"][by][0], data["tokens"], len(data["groups"][by][1]))


@st.cache_resource(max_entries=64)
def edges_of(rows: int, signal: str, keep: tuple) -> np.ndarray:
    return choose_edges(load(rows)["signals"][signal], keep)


state = st.session_state
if "rules" not in state and "odd" in st.query_params:
    state.by, state.focus = "source", None
    state.rules = [
        Rule(name, np.zeros(0, "f4"), null_passes=name == "all_null") for name in ("all_null", "constant", "half_infinite", "zero_or_huge")
    ]
elif "rules" not in state:
    state.by = "source"
    state.focus = None
    state.rules = [
        Rule(
            name,
            np.zeros(0, "f4"),
            *START.get(name, (None, None)),
            unit=SIGNALS[name][0],
            about=SIGNALS[name][1],
            direction=SIGNALS[name][2],
            published=tuple(PublishedCut(*p) for p in PUBLISHED.get(name, ())),
        )
        for name in list(SIGNALS)[: int(RULES)]
    ]


def apply(event: CutEvent) -> None:
    rules = list(state.rules)
    for k, (minimum, maximum) in event.cuts.items():
        rules[k] = replace(rules[k], minimum=minimum, maximum=maximum)
    for k, on in event.enabled.items():
        rules[k] = replace(rules[k], enabled=on)
    if event.kind == "group":
        state.by = event.group
    if event.kind == "focus":
        state.focus = rules[event.rule].signal
    if event.kind == "remove":
        del rules[event.rule]
    state.rules = rules


rows = int(ROWS)
data = load(rows)
group, names = data["groups"][state.by]
ready: list[Rule] = []
for rule in state.rules:
    keep = tuple(sorted({p.value for p in rule.published} | {v for v in (rule.minimum, rule.maximum) if v is not None}))
    ready.append(replace(rule, edges=edges_of(rows, rule.signal, keep)))
columns = [codes_of(rows, r.signal, r.edges.tobytes(), state.by) for r in ready]
low, high, null_passes = zip(*(r.codes() for r in ready), strict=True) if ready else ((), (), ())
started = time.perf_counter()
curves = leave_one_out(
    [c for c, _ in columns], low, high, group, data["tokens"], len(names), null_passes=null_passes, unconditioned=[h for _, h in columns]
)
took = time.perf_counter() - started
time.sleep(DELAY)
hostile = "<img src=x onerror=alert(1)>"
if "hostile" in st.query_params:
    names = [hostile, *names[1:]]
    ready[0] = replace(
        ready[0],
        signal=hostile,
        unit=hostile,
        about=hostile,
        published=tuple(replace(p, label=hostile, source=hostile) for p in ready[0].published),
    )
event = cut_panel(
    curves,
    ready,
    Groups(names, state.by, CHOICES),
    totals=Totals(rows, float(data["tokens"].sum(dtype="f8")), "tokens"),
    key="cuts",
    on_change=apply,
)
st.caption(f"refresh {took * 1e3:.0f} ms · focus {state.focus} · event {event.kind if event else None}")
st.json(
    {"cuts": [[r.minimum, r.maximum] for r in ready], "enabled": [r.enabled for r in ready], "kept": int(curves.kept_documents.sum())},
    expanded=False,
)
st.html(
    f"<span id='answer' data-kept='{int(curves.kept_documents.sum())}' data-tokens='{float(curves.kept_tokens.sum())}' data-focus='{state.focus}' data-rules='{len(ready)}' data-by='{state.by}'></span>"
)
