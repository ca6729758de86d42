"""The parts of the Map page: what is drawn and in which colours, what lies inside a region, and the themes as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.search import Search
from explorer.errors import ExplorerError
from explorer.registry import find_signal
from explorer.selection.filters import Filters, as_filters
from explorer.selection.region import Region, quote_short
from explorer.selection.selection import Selection
from explorer.ui import errors, link, state
from explorer.ui.background import later, watch
from explorer.ui.document import read_document
from explorer.ui.errors import guarded
from explorer.ui.format import about, counted, exact, number, share, short
from explorer.ui.frame import go, heading
from explorer.ui.reader import glyph, snippet
from explorer.ui.scatter import (
    MOST_POINTS,
    NONE,
    Card,
    Colours,
    Drawn,
    LegendItem,
    Points,
    ScatterEvent,
    Title,
    cards,
    draw_order,
    has_drawn,
    scatter,
    wire,
)
from explorer.ui.scoring import embed_panel, progress, running, score_command, start
from explorer.ui.table import Line, document_list

KEY = "map"
POSITIONS = (("map_x", "map_y"), ("map_x_pca", "map_y_pca"))  # the refined map first, then the one that is there at once
THEMES = (("cluster_top", "theme"), ("cluster", "finer theme"))
PAGE = 20  # documents listed at once
HITS = 50  # of a search by meaning
WAIT = 1.5  # seconds a search may take before the page is shown without its result
MOST_SOURCES = 24  # told apart by colour
MOST_NAMED = 200  # themes with a colour of their own; the smaller ones are grey
MOST_MEASURED = 250_000  # points that titles are placed by: any first part is a fair sample
MANY = 100_000  # points that take a browser a while to draw
MOST_BARS = 8  # sources of a theme shown as bars
HEIGHT = "clamp(420px, calc(100vh - 232px), 1000px)"
GOLDEN = 618_033_989  # a billionth of it is the golden ratio's fraction: its multiples fill [0, 1) evenly
WHOLE = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Placed:
    """Where the documents lie.

    Attributes:
        columns: the columns of the positions.
        x, y: float [documents], NaN for none.
        points: what is drawn of them.
    """

    columns: tuple[str, str]
    x: np.ndarray
    y: np.ndarray
    points: Points

    @property
    def refined(self) -> bool:
        """Whether this is the map that keeps neighbours together."""
        return self.columns == POSITIONS[0]


@dataclass(frozen=True, eq=False)
class Themes:
    """One level of clusters.

    Attributes:
        column: the column of the cluster numbers.
        name: what one of them is called.
        codes: int64 [documents], -1 for none.
        counts: int64 [k], documents of each.
        titles: [k], in words.
    """

    column: str
    name: str
    codes: np.ndarray
    counts: np.ndarray
    titles: tuple[str, ...]


# --- what there is ---------------------------------------------------------------------------------------------------------


def placed(corpus: Corpus) -> Placed | None:
    """The positions of the documents, None while there are none."""
    numeric = set(corpus.columns.numeric())
    columns = next((pair for pair in POSITIONS if set(pair) <= numeric), None)
    if columns is None:
        return None
    found = _placed((state.corpus_key(corpus), columns), corpus, columns)
    return found if found.points.of else None


@st.cache_resource(max_entries=3, show_spinner=False)
def _placed(key: object, _corpus: Corpus, columns: tuple[str, str]) -> Placed:
    x, y = (_corpus.columns.numbers(c) for c in columns)
    return Placed(columns, x, y, draw_order(x, y, _corpus.columns.strata("source") if len(x) > MOST_POINTS else None))


def themes(corpus: Corpus) -> list[Themes]:
    """The levels of clusters that are computed, the coarse one first."""
    numeric = set(corpus.columns.numeric())
    columns = tuple(pair for pair in THEMES if pair[0] in numeric)
    columns = columns if len(columns) > 1 else tuple((column, "theme") for column, _ in columns)
    return _themes((state.corpus_key(corpus), columns), corpus, columns) if columns else []


@st.cache_resource(max_entries=3, show_spinner=False)
def _themes(key: object, _corpus: Corpus, columns: tuple[tuple[str, str], ...]) -> list[Themes]:
    found = []
    for column, name in columns:
        values = _corpus.columns.numbers(column)
        codes = np.where(np.isfinite(values) & (values >= 0), values, -1).astype(np.int64)
        counts = np.bincount(codes[codes >= 0])
        words = _words(_corpus, column)
        titles = tuple(words.get(i) or f"{name} {i}" for i in range(len(counts)))
        found.append(Themes(column, name, codes, counts, titles))
    return found


def _words(corpus: Corpus, column: str) -> dict[int, str]:
    """Titles of a column's clusters, made from their own words; none for a column that came with the files."""
    side = corpus.coverage().of(column)
    if side is None:
        return {}
    from explorer.corpus.workspace import Workspace

    said = Workspace(side.folder).read_json("titles.json")
    known = said.get(column) if isinstance(said, dict) else None
    if not isinstance(known, dict):
        return {}
    return {int(k): _visible(str(v["title"] if isinstance(v, dict) else v)) for k, v in known.items() if str(k).lstrip("-").isdigit()}


def _visible(text: str) -> str:
    """Words from documents for a label: one line, invisible characters as signs."""
    return "".join(glyph(c) or c for c in " ".join(text.split()))[:80]


def prepare(corpus: Corpus) -> None:
    """Compute, outside of any page, what the first look at the map would wait for."""
    place = placed(corpus)
    if place is None:
        return
    levels = themes(corpus)
    _titles(_titles_key(corpus, place), place, levels)
    by = colour_choices(corpus, corpus.select(Filters()))[0]
    _colours(_colours_key(corpus, place, by), corpus, by, place, None, levels)


# --- the map ---------------------------------------------------------------------------------------------------------------


def colour_choices(corpus: Corpus, selection: Selection) -> list[str]:
    """What the points can be coloured by: groups first, then every number."""
    numeric = corpus.columns.numeric()
    groups = [column for column, _ in THEMES if column in numeric] + ["source"]
    groups += ["language"] if corpus.roles.language or corpus.coverage().of("lang") else []
    groups += ["kept"] if selection.filters else []
    hidden = {name for pair in POSITIONS for name in pair} | {column for column, _ in THEMES}
    return groups + [name for name in numeric if name not in hidden]


def choice_label(choice: str, choices: Sequence[str]) -> str:
    """How one of the `colour_choices` reads."""
    return {"cluster_top": "theme", "cluster": "finer theme" if "cluster_top" in choices else "theme", "kept": "kept or dropped"}.get(
        choice, choice
    )


def draw_map(corpus: Corpus, selection: Selection, place: Placed, by: str, hits: np.ndarray | None) -> None:
    """Draw the points in the colours of ``by``; documents in ``hits`` are ringed."""
    points = place.points
    kept = selection.mask()[points.rows] if selection.filters else None
    levels = themes(corpus)
    ringed = [] if hits is None else hits[np.isfinite(place.x[hits]) & np.isfinite(place.y[hits])]
    note = f"showing {short(len(points))} of {short(points.of)}, a sample of every source in proportion" if len(points) < points.of else ""
    scatter(
        points,
        _colours(_colours_key(corpus, place, by, link.encode(selection.filters) if by == "kept" else ""), corpus, by, place, kept, levels),
        key=KEY,
        title=f"Map of {exact(len(points))} documents; documents about the same thing lie side by side. The list beside it holds what is in view.",
        kept=kept,
        titles=_titles(_titles_key(corpus, place), place, levels),
        hits=[(float(place.x[r]), float(place.y[r])) for r in ringed],
        note=note,
        height=HEIGHT,
    )


def _colours_key(corpus: Corpus, place: Placed, by: str, filters: str = "") -> tuple[Any, ...]:
    return state.corpus_key(corpus), place.columns, by, filters


def _titles_key(corpus: Corpus, place: Placed) -> tuple[Any, ...]:
    return state.corpus_key(corpus), place.columns


@st.cache_resource(max_entries=8, show_spinner=False)
def _colours(key: object, _corpus: Corpus, by: str, _place: Placed, _kept: np.ndarray | None, _levels: Sequence[Themes]) -> Colours:
    rows, there = _place.points.rows, np.isfinite(_place.x) & np.isfinite(_place.y)
    if by == "kept" and _kept is not None:
        n = int(_kept.sum())
        items = (LegendItem(0, "kept", n, tone="kept"), LegendItem(1, "dropped", len(_kept) - n, tone="dropped"))
        return Colours((~_kept).astype(np.uint8), "kept or dropped", "what the current filters keep", items=items, dims=False)
    level = next((t for t in _levels if t.column == by), None)
    if level is not None:
        return _by_theme(level, rows, there)
    if by in ("source", "language"):
        return _by_group(_corpus, by, rows, there)
    return _by_value(_corpus, by, rows)


def _by_theme(level: Themes, rows: np.ndarray, there: np.ndarray) -> Colours:
    counts = np.bincount(level.codes[there & (level.codes >= 0)], minlength=len(level.counts))
    named = min(len(level.counts), MOST_NAMED)
    items = [LegendItem(i, level.titles[i], int(counts[i]), i) for i in range(named) if counts[i]]
    if len(counts) > named:
        items.append(LegendItem(named, f"{len(counts) - named} smaller ones", int(counts[named:].sum()), tone="rest"))
    coded = np.append(np.minimum(np.arange(len(level.counts)), named), NONE).astype(np.uint8)[level.codes]  # -1 is the last, NONE
    return Colours(coded[rows], level.name, "clusters of the documents' vectors, titled by their own words", items=tuple(items))


def _by_group(corpus: Corpus, by: str, rows: np.ndarray, there: np.ndarray) -> Colours:
    groups = corpus.columns.groups(by, MOST_SOURCES)
    counts = np.bincount(groups.codes[there], minlength=len(groups.labels))
    rest = (groups.rest, "(none)")
    items = tuple(
        LegendItem(i, _visible(label), int(counts[i]), i, "rest" if label in rest else "") for i, label in enumerate(groups.labels)
    )
    return Colours(groups.codes.astype(np.uint8)[rows], by, items=items)


def _by_value(corpus: Corpus, by: str, rows: np.ndarray) -> Colours:
    """Every value by its rank: the colours are spread over the documents, not over the numbers, so that an outlier takes none of them."""
    values = corpus.columns.numbers(by)[rows]
    known = np.isfinite(values)
    signal = find_signal(by)
    if not known.any():
        return Colours(np.full(len(rows), NONE, np.uint8), by, ends=("–", "–"), foot="0 of the documents shown have a value")
    distinct = np.unique(values[known][:200_000])
    if len(distinct) > NONE:
        distinct = np.unique(np.quantile(values[known], np.linspace(0, 1, NONE)).astype(values.dtype))
    rank = np.searchsorted(distinct, values, side="right") - 1
    codes = np.clip(rank, 0, None) * (NONE - 1) // max(1, len(distinct) - 1)
    ends = np.quantile(values[known], [0, 0.5, 1])
    lacking = len(rows) - int(known.sum())
    foot = f"lowest, median and highest{f'; {share(lacking, len(rows))} have no value' if lacking else ''}"
    coded = np.where(known, np.minimum(codes, NONE - 1), NONE).astype(np.uint8)
    said = f"{signal.about} ({signal.unit})" if signal else f"column {by} of the corpus"
    return Colours(coded, by, said, ends=tuple(number(float(v)) for v in ends), foot=foot)


@st.cache_resource(max_entries=3, show_spinner=False)
def _titles(key: object, _place: Placed, _levels: Sequence[Themes]) -> list[Title]:
    """Where each theme is written: where its points lie closest, and how far half of them lie from there."""
    found = []
    x_all, y_all, rows = (a[:MOST_MEASURED] for a in (_place.points.x, _place.points.y, _place.points.rows))
    for depth, level in enumerate(_levels):
        codes = level.codes[rows]
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(level.counts) + 1))
        for i in np.argsort(-level.counts, kind="stable"):
            mine = order[starts[i] : starts[i + 1]]
            if len(mine):
                xs, ys = x_all[mine], y_all[mine]
                x, y = _densest(xs, ys)
                reach = _middle(np.hypot(xs - x, ys - y))
                found.append(Title(x, y, reach, level.titles[i], depth))
    return found


def _densest(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The middle of the densest part of some points; the mean of islands would lie in the sea between them."""
    cells = max(1, min(24, int(np.sqrt(len(x) / 4))))
    i, j = _cell(x, cells), _cell(y, cells)
    counts = np.zeros((cells + 2, cells + 2))
    counts[1:-1, 1:-1] = np.bincount(i * cells + j, minlength=cells * cells).reshape(cells, cells)
    rows = counts[:-2] + counts[1:-1] + counts[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    at = divmod(int(np.argmax(around)), cells)
    inside = (np.abs(i - at[0]) <= 1) & (np.abs(j - at[1]) <= 1)
    return _middle(x[inside]), _middle(y[inside])


def _middle(values: np.ndarray) -> float:
    """The middle one of some values, several times as fast as a median that averages two and looks for NaN."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2])


def _cell(values: np.ndarray, cells: int) -> np.ndarray:
    """Which of some equal parts of their range each value lies in."""
    low, high = float(values.min()), float(values.max())
    return np.minimum((values - low) * (cells / max(high - low, 1e-30)), cells - 1).astype(np.int64)


# --- beside the map --------------------------------------------------------------------------------------------------------


def forget_others(place: Placed) -> None:
    """What was drawn and opened belongs to one map: another corpus, or a refined map, begins anew."""
    if st.session_state.get("map_of") != place.points.stamp:
        st.session_state.map_of = place.points.stamp
        for name in ("map_drawn", "map_view", "map_row", "map_page", "map_asked"):
            st.session_state.pop(name, None)


def happened(event: ScatterEvent) -> None:
    """Take over what the reader did to the map."""
    now = st.session_state
    drawn: Drawn = now.get("map_drawn", Drawn())
    if event.kind in ("region", "clear"):
        kind = "box" if event.region is not None and not hasattr(event.region, "vertices") else "lasso"
        now.map_drawn = Drawn(event.region, kind, event.sequence)
        now.map_shown = "region" if event.region else "view"
    else:
        now.map_drawn = replace(drawn, sequence=max(drawn.sequence, event.sequence))
    if event.kind == "view":
        now.map_view = event.region
    if event.kind == "open":
        now.map_point = event.point
    else:
        now.map_page = 1


def waits(place: Placed) -> bool:
    """Whether the rest of the page is held back: under many points it comes when they are drawn, for it takes a browser as long as they do."""
    held = len(place.points) >= MANY and not has_drawn(place.points, key=KEY)
    st.session_state.unfinished = held
    return held


def beside(corpus: Corpus, selection: Selection, place: Placed, hits: np.ndarray | None, query: str) -> None:
    """Receive what happens on the map, list what is inside, and read a document; drawn again by itself when something happens."""

    @st.fragment
    def draw() -> None:
        now, points = st.session_state, place.points
        point = now.pop("map_point", None)
        if point is not None and point < len(points):
            now.map_row = int(points.rows[point])
        drawn: Drawn = now.get("map_drawn", Drawn())
        row: int | None = now.get("map_row")
        at = None if row is None or not np.isfinite(place.x[row]) else (float(place.x[row]), float(place.y[row]))
        wire(points, key=KEY, drawn=drawn, on_event=happened, opened=at)
        with guarded("listing what is inside"):
            rows = _shown(corpus, selection, place, drawn, hits, query)
            if rows is not None:
                _listing(corpus, selection, rows, row)
        if row is not None:
            with st.container(key="map_reader"), guarded("reading a document"):
                st.button("Close", key="map_close", type="tertiary", on_click=lambda: st.session_state.pop("map_row", None))
                read_document(corpus, selection, row, Search())

    draw()


def pointed_at(corpus: Corpus, place: Placed) -> None:
    """Answer the pointer with the first lines of the documents under it."""
    level = next(iter(themes(corpus)), None)

    def describe(rows: np.ndarray) -> list[Card]:
        roles = corpus.roles
        frame = corpus.documents(rows, [c for c in (roles.text, roles.source) if c])
        found = []
        for row, record in zip(rows.tolist(), frame.iter_rows(named=True), strict=True):
            said = [str(record[roles.source])] if roles.source and record[roles.source] is not None else []
            said += [level.titles[level.codes[row]]] if level is not None and level.codes[row] >= 0 else []
            text = "".join(piece for piece, _ in snippet(record[roles.text], length=200))
            found.append(Card(_visible(" · ".join([*said, f"row {exact(row)}"])), text))
        return found

    @st.fragment
    def answer() -> None:
        with guarded("showing the document under the pointer"):
            cards(place.points, describe, key=KEY)

    answer()


def _shown(corpus: Corpus, selection: Selection, place: Placed, drawn: Drawn, hits: np.ndarray | None, query: str) -> np.ndarray | None:
    """Numbers of the documents that the list is of, said in its head with what can be done with them; None while they are looked for."""
    now = st.session_state
    choices = (["hits"] if query else []) + (["region"] if drawn.region else []) + ["view"]
    if now.get("map_shown") not in choices:
        now.map_shown = choices[0]
    if len(choices) > 1:
        labels = {"hits": "found", "region": "inside", "view": "in view"}
        st.segmented_control("List", choices, format_func=labels.__getitem__, key="map_shown", label_visibility="collapsed", required=True)
    if now.map_shown == "hits":
        found = "Looking for the documents" if hits is None else f"<b>{exact(len(hits))}</b>"
        st.html(
            f'<p class="inside"><span class="head">{found} nearest to “{escape(_visible(query))}”{" …" if hits is None else ""}</span></p>'
        )
        return hits
    region: Region | None = drawn.region if now.map_shown == "region" else now.get("map_view")
    if region is not None:
        region = replace(region, x=place.columns[0], y=place.columns[1])
    rows = _inside((place.points.stamp, region), place, region)
    where = "on the map" if region is None else "inside" if now.map_shown == "region" else "in view"
    st.html(_head(corpus, selection, rows, place.points.of, where))
    if region is not None:
        _actions(region, len(rows), now.map_shown, drawn)
    else:
        st.caption("Shift-drag on the map to draw around a theme. Click a point to read it; move and zoom to list what is in view.")
    return rows


@st.cache_resource(max_entries=4, show_spinner=False)
def _inside(key: object, _place: Placed, _region: Region | None) -> np.ndarray:
    """Numbers of all documents inside, in random order, so that the first page is a fair sample."""
    points = _place.points
    if _region is None and len(points) == points.of:
        return points.rows
    there = np.isfinite(_place.x) & np.isfinite(_place.y) if _region is None else _region.contains(_place.x, _place.y)
    return np.random.default_rng(0).permutation(np.flatnonzero(there))


def _head(corpus: Corpus, selection: Selection, rows: np.ndarray, of: int, where: str) -> str:
    """How many documents, whose tokens, from which sources; nothing in it is markup from the data."""
    said = f'<b title="{exact(len(rows))}">{short(len(rows))}</b> documents {where} ({share(len(rows), of)} of the map)'
    if state.tokens_are_cheap(corpus):
        tokens = corpus.columns.tokens()
        said += f", {about(short(float(tokens.values[rows].sum())), tokens.estimated)} tokens"
    if selection.filters:
        said += f", {share(int(selection.mask()[rows].sum()), len(rows)) if len(rows) else '–'} kept"
    groups = corpus.columns.groups("source", MOST_SOURCES)
    counts = np.bincount(groups.codes[rows], minlength=len(groups.labels))
    bars = [
        f'<div class="by"><span class="name" title="{escape(groups.labels[i], quote=True)}">{escape(_visible(groups.labels[i]))}</span>'
        f'<span class="track" aria-hidden="true"><i style="width:{100 * counts[i] / len(rows):.1f}%"></i></span><span title="{exact(int(counts[i]))}">{share(int(counts[i]), len(rows))}</span></div>'
        for i in np.argsort(-counts, kind="stable")[:3]
        if counts[i]
    ]
    return f'<div class="inside"><div class="head">{said}</div>{"".join(bars) if len(groups.labels) > 1 else ""}</div>'


def _actions(region: Region, n: int, shown: str, drawn: Drawn) -> None:
    """Keep, drop or read what is inside; the selection and its bar follow."""
    name = drawn.kind if shown == "region" else "part of the map"
    with st.container(horizontal=True, gap="xsmall"):
        keep = st.button(
            "Keep only these", key="map_keep", type="primary", disabled=not n, help="Adds the region to the filters; Undo takes it back"
        )
        drop = st.button("Drop these", key="map_drop", disabled=not n, help="Keeps what is outside, and what has no place on the map")
        look = st.button("Read them", key="map_look", disabled=not n, help="Open them on the Documents page")
    predicate = region.sql()
    if keep or drop:
        said = predicate if keep else f"({predicate}) IS NOT TRUE"
        state.set_filters(state.current_filters() | as_filters(said), f"{'keep' if keep else 'drop'} a {name}")
        st.session_state.map_drawn = drawn.removed()
        st.rerun()
    if look:
        state.look_at(f"a {name}: {counted(n, 'document')}", where=predicate)
        go("documents")


def _listing(corpus: Corpus, selection: Selection, rows: np.ndarray, row: int | None) -> None:
    """A page of the documents, to walk through with the keys."""
    if not len(rows):
        st.caption("No document is here. Move or zoom out, or draw another region.")
        return
    now = st.session_state
    pages = -(-len(rows) // PAGE)
    page = min(max(1, int(now.get("map_page", 1))), pages)
    here = [int(r) for r in rows[(page - 1) * PAGE : page * PAGE]]
    kept = selection.mask() if selection.filters else None
    lines = [
        Line(r, group, f"row {exact(r)}", text, (), None if kept is None else bool(kept[r]))
        for r, group, text in _texts(state.corpus_key(corpus), tuple(here), corpus)
    ]

    def opened() -> None:
        chosen = now[f"{KEY}_list"].opened
        if chosen is not None:
            now.map_row = int(chosen)

    def turn() -> None:
        step = now[f"{KEY}_list"].page
        if step:
            now.map_page = page + (1 if step > 0 else -1)

    with st.container(height=300 if row is not None else 430, border=False, key="map_listing"):
        document_list(
            lines, [], key=f"{KEY}_list", opened=row, page=page, pages=pages, group="source", title="best first" if now.map_shown == "hits" else "a random draw" if len(rows) > PAGE else "text",
            on_open=opened, on_page=turn,
        )  # fmt: skip
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.button("◀", key="map_before", disabled=page == 1, type="tertiary", on_click=_turn, args=(page - 1,), help="Before")
            st.caption(f"{exact(page)} of {exact(pages)}", width="content")
            st.button("▶", key="map_after", disabled=page == pages, type="tertiary", on_click=_turn, args=(page + 1,), help="More")


def _turn(page: int) -> None:
    st.session_state.map_page = page


@st.cache_data(max_entries=64, show_spinner=False)
def _texts(key: tuple[Any, ...], rows: tuple[int, ...], _corpus: Corpus) -> list[tuple[int, str, list[tuple[str, bool]]]]:
    """(row, source, snippet) of each document; whole texts are let go at once."""
    roles = _corpus.roles
    frame = _corpus.documents(rows, [c for c in (roles.text, roles.source) if c])
    found = []
    for row, record in zip(rows, frame.iter_rows(named=True), strict=True):
        source = record[roles.source] if roles.source else None
        found.append((row, f"row {exact(row)}" if source is None else str(source), snippet(record[roles.text])))
    return found


# --- search by meaning -----------------------------------------------------------------------------------------------------


def found_by(corpus: Corpus, query: str) -> np.ndarray | None:
    """Numbers of the documents nearest to a query, best first; None while they are looked for, none with the reason shown when that fails."""
    nothing = np.zeros(0, np.int64)
    if not query.strip():
        return nothing
    from explorer.embeddings.meaning import by_meaning

    future = later(("map search", state.corpus_key(corpus), _embedded(corpus), query), lambda: by_meaning(corpus, query, HITS), WAIT)
    if not future.done():
        watch(future)
        return None
    error = future.exception()
    if isinstance(error, ExplorerError | ImportError):
        errors.show(error)
        return nothing
    return np.asarray(future.result().rows, np.int64)


def _embedded(corpus: Corpus) -> int:
    """Documents that were embedded with the model used last."""
    from explorer.embeddings.store import stored

    there = stored(corpus)
    return there[-1].rows if there else 0


@st.cache_data(max_entries=8, show_spinner=False)
def _blank(key: object, _corpus: Corpus) -> int:
    """Documents among these that have no vector, since they hold no text."""
    from explorer.embeddings.store import blank, stored

    return blank(_corpus, stored(_corpus)[-1])


# --- themes ----------------------------------------------------------------------------------------------------------------


def below(corpus: Corpus, selection: Selection, levels: Sequence[Themes]) -> None:
    """The themes as a table, drawn again by itself."""

    @st.fragment
    def draw() -> None:
        with guarded("drawing the themes"):
            theme_table(corpus, selection, levels)

    draw()


def theme_table(corpus: Corpus, selection: Selection, levels: Sequence[Themes]) -> None:
    """The themes with what they hold; rows that are picked can be kept, dropped or thinned out."""
    heading("Themes", "pick some to keep, drop or thin them out as a whole")
    by_name = {t.name: t for t in levels}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = levels[0].name
        if len(levels) > 1:
            chosen = st.segmented_control(
                "Level", list(by_name), default=chosen, key="map_level", label_visibility="collapsed", required=True
            )
        level = by_name[chosen]
        slot = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    frame, ids = _theme_frame((state.corpus_key(corpus), level.column, link.encode(selection.filters)), corpus, selection, level)
    groups = corpus.columns.groups("source", MOST_BARS)
    column, widest = st.column_config, max([0.01, *frame["share"].to_list()])
    picked = st.dataframe(
        frame,
        key=f"map_themes_{level.column}",
        hide_index=True,
        width="stretch",
        height=min(420, 38 + 30 * max(1, frame.height)),
        row_height=30,
        on_select="rerun",
        selection_mode="multi-row",
        alt="Themes with their documents, tokens, sources and kept share",
        column_config={
            "theme": column.TextColumn(level.name, width="large", pinned=True, help="Its most telling words"),
            "documents": column.NumberColumn("documents", format="localized"),
            "share": column.ProgressColumn("share of all", format="percent", min_value=0, max_value=widest),
            "tokens": column.NumberColumn("tokens", format="compact", help="≈ where they are estimated"),
            "sources": column.BarChartColumn(
                "sources", y_min=0, y_max=1, help="Share of each source, left to right: " + errors.plain(", ".join(groups.labels))
            ),
            "main source": column.TextColumn("mostly", width="small"),
            "kept": column.ProgressColumn("kept", format="percent", min_value=0, max_value=1, help="Share that the current filters keep"),
        },
    )
    chosen_ids = [ids[i] for i in picked.selection.rows if i < len(ids)]
    with slot:
        _theme_actions(corpus, level, chosen_ids)


@st.cache_resource(max_entries=8, show_spinner=False)
def _theme_frame(key: object, _corpus: Corpus, _selection: Selection, _level: Themes) -> tuple[pl.DataFrame, list[int]]:
    there = _level.codes >= 0
    codes, k = _level.codes[there], len(_level.counts)
    groups = _corpus.columns.groups("source", MOST_BARS)
    sources = len(groups.labels)
    by_source = np.bincount(codes * sources + groups.codes[there], minlength=k * sources).reshape(k, sources)
    ids = [int(i) for i in np.argsort(-_level.counts, kind="stable") if _level.counts[i]]
    counts = _level.counts[ids]
    shares = by_source[ids] / counts[:, None]
    columns: dict[str, Any] = {
        "theme": [_level.titles[i] for i in ids],
        "documents": counts,
        "share": counts / max(1, len(_corpus)),
    }
    if state.tokens_are_cheap(_corpus):
        columns["tokens"] = np.bincount(codes, _corpus.columns.tokens().values[there], k)[ids]
    if len(groups.labels) > 1:
        columns["sources"] = shares.round(3).tolist()
        columns["main source"] = [f"{_visible(groups.labels[int(s.argmax())])} {share(float(s.max()))}" for s in shares]
    if _selection.filters:
        columns["kept"] = np.bincount(codes, _selection.mask()[there], k)[ids] / counts
    return pl.DataFrame(columns), ids


def _theme_actions(corpus: Corpus, level: Themes, ids: list[int]) -> None:
    n = int(level.counts[ids].sum()) if ids else 0
    what = counted(len(ids), level.name) if ids else level.name
    keep = st.button("Keep only", key="map_theme_keep", type="primary", disabled=not ids)
    drop = st.button("Drop", key="map_theme_drop", disabled=not ids)
    percent = st.number_input("Leave, in %", 0.1, 99.9, 10.0, key="map_theme_percent", format="%g", width=120)
    thin = st.button("Thin out", key="map_theme_thin", disabled=not ids, help="Leaves this share of the picked themes, evenly spread over the files, always the same documents; everything else stays as it is")  # fmt: skip
    st.caption(f"{what}, {counted(n, 'document')}" if ids else "Pick rows of the table.", width="content")
    if keep or drop or thin:
        predicate = (
            keep_themes(level.column, ids)
            if keep
            else drop_themes(level.column, ids)
            if drop
            else thin_themes(corpus, level.column, ids, percent / 100)
        )
        said = "keep only" if keep else "drop" if drop else f"leave {percent:g} % of"
        state.set_filters(state.current_filters() | as_filters(predicate), f"{said} {what}")
        st.rerun()


def keep_themes(column: str, ids: Sequence[int]) -> str:
    """The condition that keeps these clusters alone."""
    return f"{quote_short(column)} IN ({', '.join(map(str, sorted(ids)))})"


def drop_themes(column: str, ids: Sequence[int]) -> str:
    """The condition that leaves these clusters out; documents in no cluster stay."""
    return f"({keep_themes(column, ids)}) IS NOT TRUE"


def thin_themes(corpus: Corpus, column: str, ids: Sequence[int], part: float) -> str:
    """The condition that leaves a share of these clusters and all of the others.

    A document's number times the golden ratio, less its whole part, is spread evenly over [0, 1): those below the share stay. The same
    documents each time, a larger share holds those of a smaller one, and any stretch of a file gives its share.
    """
    row = "_row" if "_row" not in corpus.schema.names else "_row_"
    return f"{drop_themes(column, ids)} OR {row} * {GOLDEN} % {WHOLE} < {round(part * WHOLE)}"


# --- what is missing -------------------------------------------------------------------------------------------------------


def offer(corpus: Corpus, place: Placed | None) -> str:
    """Say what the map still lacks, with the button that makes it; the answer line of a page without a map, in HTML."""
    n, vectors = len(corpus), _embedded(corpus)
    job = running(corpus, "embed", "map", "clusters")
    if job is not None:
        progress(job, corpus)
        if job.command[0] == "embed":
            return "The documents are being embedded. What is embedded by then can be drawn when it has ended; you can go on elsewhere meanwhile."
        return "The map is being made. It appears here by itself; you can go on elsewhere meanwhile."
    if place is None and not vectors:
        st.info(
            "A map puts documents about the same thing side by side. It needs an embedding of each document, which a small language model computes on this machine: "
            "nothing leaves it. Then the documents are placed and grouped, and every theme gets a title from its own words.",
            icon=":material/bubble_chart:",
        )
        embed_panel(corpus, "map_embed")
        return f"0 of {counted(n, 'document')} are embedded, so there is no map yet."
    if place is None:
        st.info(
            f"{exact(vectors)} of {exact(n)} documents are embedded. A first map is there within seconds; one that keeps neighbours together follows, then themes with their titles.",
            icon=":material/bubble_chart:",
        )
        st.button("Draw the map", key="map_draw", type="primary", on_click=_start_map, args=(corpus,))
        _more_vectors(corpus, vectors)
        return f"<b>{short(vectors)}</b> of {counted(n, 'document')} are embedded; the map is not drawn yet."
    if not vectors:
        return ""  # places that came with the files
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if not place.refined or not themes(corpus):
            st.button("Go on with the map", key="map_draw", type="primary", on_click=_start_map, args=(corpus,), help="Neighbours kept together, themes and their titles")  # fmt: skip
        elif place.points.of < vectors and (since := vectors - _blank(state.corpus_key(corpus), corpus) - place.points.of) > 0:
            st.button("Draw it anew", key="map_draw", type="primary", on_click=_start_map, args=(corpus, True))
            st.caption(f"{counted(since, 'document')} {'was' if since == 1 else 'were'} embedded since it was drawn.", width="content")
        _more_vectors(corpus, vectors)
    return ""


def _more_vectors(corpus: Corpus, vectors: int) -> None:
    n = len(corpus)
    if vectors < n:
        st.caption(f"{exact(vectors)} of {exact(n)} documents are embedded.", width="content")
        with st.popover("Embed more", key="map_more", on_change="rerun") as more:
            if more.open:
                embed_panel(corpus, "map_embed")


def _start_map(corpus: Corpus, again: bool = False) -> None:
    """Start the job: a first map by principal components, the refined one, then the themes."""
    options = ["-p", "map:pca.method=pca", *(["--again"] if again else [])]
    start(corpus, score_command(corpus, ["map:pca", "map", "clusters"], *options), "draw the map")


def answer_line(corpus: Corpus, place: Placed, levels: Sequence[Themes]) -> str:
    """The page's answer in HTML: how many themes, the largest, and what share of the corpus the map holds."""
    n, of = len(corpus), place.points.of
    on_map = f'<b title="{exact(of)}">{short(of)}</b> documents'
    lacking = f" {counted(n - of, 'document')} ({share(n - of, n)}) {'has' if n - of == 1 else 'have'} no place." if of < n else ""
    kind = lacking + ("" if place.refined else " This is a first map; the refined one follows.")
    if not levels:
        return f"{on_map}.{kind}"
    level = levels[0]
    largest = int(np.argmax(level.counts))
    finer = f", {len(levels[1].counts)} finer ones" if len(levels) > 1 else ""
    return (
        f"<b>{counted(int((level.counts > 0).sum()), level.name)}</b>{finer} in {on_map}; the largest is <b>{escape(level.titles[largest])}</b> "
        f"with {share(int(level.counts[largest]), of)}.{kind}"
    )


def style() -> None:
    """The page's own style."""
    st.html(f"<style>{(Path(__file__).parent / 'map.css').read_text(encoding='utf-8')}</style>")


Toolbar = tuple[str, str]


def toolbar(corpus: Corpus, selection: Selection, *, held: bool = False) -> Toolbar:
    """What to colour by, and what to look for by meaning; while it is held back, its place and what is chosen already."""
    choices = colour_choices(corpus, selection)
    if st.session_state.get("map_by") not in choices:
        st.session_state.map_by = choices[0]
    place = st.container(horizontal=True, vertical_alignment="center", gap="small", key="map_controls")
    if held:
        return str(st.session_state.map_by), ""
    vectors = _embedded(corpus)

    def searched() -> None:
        st.session_state.map_shown = "hits" if st.session_state.map_query.strip() else "view"
        st.session_state.map_page = 1

    with place:
        by = st.selectbox("Colour by", choices, key="map_by", format_func=lambda c: f"coloured by {choice_label(c, choices)}", label_visibility="collapsed", width=260, persist_state="session")  # fmt: skip
        query = st.text_input(
            "Search by meaning", key="map_query", placeholder="Search by meaning" if vectors else "Search by meaning needs embeddings", width=320,
            label_visibility="collapsed", disabled=not vectors, on_change=searched, persist_state="session",
            help="The nearest documents are ringed on the map and listed beside it",
        )  # fmt: skip
    return str(by), query if vectors else ""
