"""A tiny app around the map component: synthetic themes through the real code. Run with streamlit; tests and the benchmark drive it.

Query parameters: ``points``, ``most`` (drawn at most), ``by`` (class, value or kept), ``hostile`` (names and texts that are markup),
``kept`` (share of points kept), ``far`` (points that lie far from all others), ``painter``.
"""

import sys
import time
from pathlib import Path

import numpy as np
import streamlit as st

sys.path[:0] = [str(Path(__file__).parents[2])]

from explorer.ui.scatter import Card, Colours, Drawn, LegendItem, ScatterEvent, Title, cards, draw_order, scatter, wire  # noqa: E402

st.set_page_config(layout="wide", page_title="Scatter")
st.html("<style>.st-key-map_layers, .st-key-map_wiring, .st-key-map_carding { display: none }</style>")
N = int(float(st.query_params.get("points", 20_000)))
MOST = int(float(st.query_params.get("most", 2_000_000)))
BY = st.query_params.get("by", "class")
KEPT = float(st.query_params.get("kept", 1))
HOSTILE = "<img src=x onerror=window.pwned=1><b>bold</b>"
THEMES = 40


@st.cache_resource(max_entries=2)
def themes(n: int, most: int, far: int) -> dict:
    rng = np.random.default_rng(5)
    centres = rng.normal(0, 5, (THEMES, 2))
    theme = np.sort(rng.integers(0, THEMES, n) * rng.integers(1, 3, n) % THEMES)
    spread = rng.uniform(0.15, 0.9, (THEMES, 2))
    angle = rng.uniform(0, 2 * np.pi, THEMES)
    at = rng.standard_t(5, (n, 2)).astype("f4") * spread[theme]
    turned = np.c_[
        at[:, 0] * np.cos(angle[theme]) - at[:, 1] * np.sin(angle[theme]), at[:, 0] * np.sin(angle[theme]) + at[:, 1] * np.cos(angle[theme])
    ]
    xy = (centres[theme] + turned).astype("f4")
    xy[:far] += 500
    return {
        "points": draw_order(xy[:, 0], xy[:, 1], theme, most=most),
        "theme": theme,
        "centres": centres,
        "spread": spread,
        "x": xy[:, 0],
        "y": xy[:, 1],
    }


data = themes(N, MOST, int(st.query_params.get("far", 0)))
points, theme = data["points"], data["theme"]
mine = theme[points.rows] // 5
names = [f"Theme {'ABCDEFGH'[i]}" for i in range(8)]
if "hostile" in st.query_params:
    names[0] = HOSTILE
if BY == "value":
    rank = np.argsort(np.argsort(points.x))
    colours = Colours((rank * 255 // len(points)).astype("u1"), "quality", ends=("0.1", "2.5", "4.9"), foot="a fifth has no value")
else:
    counts = np.bincount(mine, minlength=8)
    colours = Colours(mine.astype("u1"), "theme", items=tuple(LegendItem(i, names[i], int(counts[i])) for i in range(8)))
kept = None if KEPT >= 1 else np.random.default_rng(1).random(len(points)) < KEPT
titles = [Title(*data["centres"][5 * i], 2.0, names[i], 0) for i in range(8)]
titles += [Title(*data["centres"][i], float(data["spread"][i].max()), f"finer theme {i}", 1) for i in range(THEMES)]
note = f"showing {len(points):,} of {points.of:,}" if points.of > len(points) else ""
scatter(
    points,
    colours,
    key="map",
    title=f"Map of {len(points):,} points",
    kept=kept,
    titles=titles,
    note=note,
    painter=st.query_params.get("painter", "auto"),
)


def note_event(event: ScatterEvent) -> None:
    st.session_state.last = event
    st.session_state.events = st.session_state.get("events", 0) + 1
    if event.kind in ("region", "clear"):
        st.session_state.drawn = Drawn(event.region, "lasso", event.sequence)


@st.fragment
def beside() -> None:
    started = time.perf_counter()
    drawn: Drawn = st.session_state.get("drawn", Drawn())
    last: ScatterEvent | None = st.session_state.get("last")
    opened = None if last is None or last.point is None else (float(points.x[last.point]), float(points.y[last.point]))
    wire(points, key="map", drawn=drawn, on_event=note_event, opened=opened)
    inside = int(drawn.region.contains(data["x"], data["y"]).sum()) if drawn.region else -1
    shown = int(drawn.region.contains(points.x, points.y).sum()) if drawn.region else -1
    if st.button("Clear in Python"):
        st.session_state.drawn = drawn.removed()
        st.rerun(scope="fragment")
    vertices = len(drawn.region.outline()) if drawn.region else 0
    st.html(
        f"<span id='answer' data-kind='{last.kind if last else ''}' data-events='{st.session_state.get('events', 0)}' data-inside='{inside}' data-shown='{shown}' "
        f"data-vertices='{vertices}' data-row='{points.rows[last.point] if last and last.point is not None else ''}' data-ms='{(time.perf_counter() - started) * 1e3:.0f}'></span>"
    )


def describe(rows: np.ndarray) -> list[Card]:
    st.session_state.asked = st.session_state.get("asked", 0) + 1
    if "hostile" in st.query_params:
        return [Card(HOSTILE, HOSTILE + "<script>window.pwned=1</script>") for _ in rows]
    return [Card(f"theme {theme[r]} · row {r:,}", f"Document {r}: the quick brown fox jumps over the lazy dog. " * 4) for r in rows]


@st.fragment
def pointed_at() -> None:
    cards(points, describe, key="map")
    st.html(f"<span id='asked' data-times='{st.session_state.get('asked', 0)}'></span>")


beside()
pointed_at()
st.button("Run again")
st.html(f"<span id='runs' data-runs='{st.session_state.setdefault('runs', 0)}'></span>")
st.session_state.runs += 1
