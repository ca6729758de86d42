"""Millions of points in the page: drawn with WebGL2 in the browser, and what the reader does to them comes back as a `ScatterEvent`.

    scatter(points, colours, kept=mask[points.rows], titles=titles, key="map", title="Map of 1.2 M documents")
    @st.fragment
    def beside() -> None:
        wire(points, key="map", on_event=note, opened=row, drawn=drawn)        # runs again alone when something happens
    @st.fragment
    def pointed_at() -> None:
        cards(points, describe, key="map")                                     # first lines of the documents under the pointer

A map is several messages, so that each is sent only when it changes: Streamlit sends an element again as a reference to what the
browser has already. Positions, colours and kept flags travel as raw bytes, 9 bytes and a bit a point; a JSON list would be five times
that. Layers: uint32 length of the JSON that follows, the JSON, then the bytes (float32 x and y by turns; uint8 codes; packed bits).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st

from explorer.errors import SelectionError
from explorer.selection.region import Region, box, lasso

NONE = 255  # code of a point without a class or value
MOST_CLASSES = 254
MOST_POINTS = 2_000_000
MOST_ASKED = 24  # documents that one look at the pointer's surroundings may ask for
MOST_DRAWN = 4096  # points of a line that the browser may send

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "corpus_explorer_scatter",
    html='<div id="scatter"></div>',
    js=(_HERE / "scatter.js").read_text(encoding="utf-8"),
    css=(_HERE / "scatter.css").read_text(encoding="utf-8"),
)
# The script of a component travels with each of its elements: that of the parts is short.
_part = st.components.v2.component("corpus_explorer_scatter_part", js=(_HERE / "scatter_parts.js").read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class Points:
    """What is drawn.

    Attributes:
        rows: int64 [n], document numbers in drawing order: any first part of them is a fair sample.
        x, y: float32 [n], finite.
        of: documents that have a position; more than n where a sample is drawn.
        stamp: changes with the points.
    """

    rows: np.ndarray
    x: np.ndarray
    y: np.ndarray
    of: int
    stamp: str

    def __len__(self) -> int:
        return len(self.rows)

    def xy(self) -> np.ndarray:
        """float32 [n, 2]."""
        return np.ascontiguousarray(np.stack([self.x, self.y], 1), "<f4")


@dataclass(frozen=True)
class LegendItem:
    """A class: its code, its name, the documents in it, and its colour.

    ``tone`` is "kept", "dropped" or "rest" (grey) where the colour has a meaning; else ``colour`` counts through the theme's colours.
    """

    code: int
    label: str
    n: int
    colour: int | None = None
    tone: str = ""


@dataclass(frozen=True, eq=False)
class Colours:
    """A code a point, and what the codes say.

    Attributes:
        codes: uint8 [n]: a class, or the rank of a value from 0 (lowest) to 254 (highest); 255 for none.
        name: what is coloured by.
        about: one sentence on it, shown on hover.
        items: the classes; empty for values.
        ends: for values, texts along the ramp: lowest, middle ones, highest.
        foot: a remark under the ramp.
        dims: whether dropped points are grey; not where the colours say what is kept.
    """

    codes: np.ndarray
    name: str
    about: str = ""
    items: tuple[LegendItem, ...] = ()
    ends: tuple[str, ...] = ()
    foot: str = ""
    dims: bool = True

    def legend(self) -> dict[str, Any]:
        """As ``scatter.js`` reads it."""
        said: dict[str, Any] = {"name": self.name, "about": self.about}
        if self.items:
            return said | {"kind": "classes", "items": [vars(item) for item in self.items]}
        return said | ({"kind": "values", "ends": list(self.ends), "foot": self.foot} if self.ends else {"kind": "none"})


@dataclass(frozen=True)
class Title:
    """Words on the map: where, how far their points reach (units of the map), and 0 for a coarse theme, 1 for a finer one."""

    x: float
    y: float
    reach: float
    text: str
    level: int = 0


@dataclass(frozen=True)
class Card:
    """What is shown of a document under the pointer: a line about it and its beginning, both plain text."""

    head: str
    text: str


@dataclass(frozen=True)
class ScatterEvent:
    """What the reader did.

    Attributes:
        kind: "region" drawn, "clear" of the region, "open" a document, "view" moved.
        region: what was drawn, or for "view" what is seen.
        point: position among the points of the document to open.
        sequence: rises with every event.
    """

    kind: Literal["region", "clear", "open", "view"]
    region: Region | None = None
    point: int | None = None
    sequence: int = 0


@dataclass(frozen=True)
class Drawn:
    """A region as the reader drew it, and the event it came with; ``region`` None when it was removed."""

    region: Region | None = None
    kind: str = "lasso"
    sequence: int = 0

    def removed(self) -> Drawn:
        """Without the region, and newer than what the browser knows of."""
        return replace(self, region=None, sequence=self.sequence + 1)


def draw_order(x: np.ndarray, y: np.ndarray, strata: np.ndarray | None = None, *, most: int = MOST_POINTS, seed: int = 0) -> Points:
    """Documents with a position in random order; of more than ``most``, a sample that holds every stratum in proportion.

    Args:
        x: positions, float [documents], NaN for none.
        y: the same upwards.
        strata: int codes [documents], such as the source of each; None draws from all alike.
        most: points drawn at most.
        seed: of the order; the same seed gives the same points.

    """
    there = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    of = len(there)
    rng = np.random.default_rng(seed)
    rows = there[rng.permutation(of)]
    if of > most and strata is not None:
        codes = strata[rows]
        # The k-th document of a stratum of m in the random order comes at (k + ½) / m: cut anywhere, every stratum is there in proportion.
        by_stratum = np.argsort(codes, kind="stable")
        sizes = np.unique(codes, return_counts=True)[1]
        starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        place = np.empty(of)
        place[by_stratum] = (np.arange(of) - starts + 0.5) / np.repeat(sizes, sizes)
        rows = rows[np.sort(np.argpartition(place, most)[:most])]
    rows = rows[:most]
    px, py = x[rows].astype(np.float32), y[rows].astype(np.float32)
    return Points(rows, px, py, of, _stamp(rows, px, py))


def scatter(
    points: Points,
    colours: Colours,
    *,
    key: str,
    title: str,
    kept: np.ndarray | None = None,
    titles: Sequence[Title] = (),
    hits: Sequence[tuple[float, float]] = (),
    note: str = "",
    height: str = "620px",
    painter: Literal["auto", "webgl2", "plane"] = "auto",
) -> None:
    """Draw the map.

    Args:
        points: from `draw_order`.
        colours: of the points.
        key: names the map; `wire` and `cards` are given the same.
        title: what it shows, for those who do not see it.
        kept: bool [n], False is drawn grey; None for all kept.
        titles: words on the map, the most important first.
        hits: places to ring.
        note: a remark in its corner, such as how many are shown of how many.
        height: a CSS length.
        painter: "plane" draws without a GPU; "auto" does so where WebGL2 is missing or only played by the processor.

    """
    with st.container(key=f"{key}_layers", gap=None):
        for layer, array in (
            ("points", points.xy()),
            ("codes", np.ascontiguousarray(colours.codes, np.uint8)),
            ("kept", np.zeros(0, np.uint8) if kept is None or kept.all() else np.packbits(kept, bitorder="little")),
        ):
            _part(data=encode(key, layer, array, points.stamp), key=f"{key}_{layer}")
    _component(
        key=f"{key}_map",
        data={
            "role": "map",
            "map": key,
            "title": title,
            "note": note,
            "height": height,
            "painter": painter,
            "legend": colours.legend(),
            "dims": colours.dims,
            "titles": [{"x": float(t.x), "y": float(t.y), "r": float(t.reach), "text": t.text[:80], "level": t.level} for t in titles],
            "hits": [[float(a), float(b)] for a, b in hits],
        },
    )


def wire(
    points: Points, *, key: str, drawn: Drawn, on_event: Callable[[ScatterEvent], None], opened: tuple[float, float] | None = None
) -> None:
    """Receive what the reader does to the map; inside a fragment, so that only the fragment runs again.

    Args:
        points: what is drawn.
        key: the map's.
        drawn: the region that stands, for a map that is drawn anew.
        on_event: called with each event before the fragment runs again.
        opened: the place of the document in the reader, ringed.

    """

    def changed() -> None:
        event = decode(st.session_state[f"{key}_wire"].get("event"), points)
        if event is not None:
            on_event(event)

    region = {"kind": drawn.kind, "points": [list(p) for p in drawn.region.outline()]} if drawn.region else None
    with st.container(key=f"{key}_wiring", gap=None):
        _part(
            key=f"{key}_wire",
            data={"role": "wire", "map": key, "region": region, "sequence": drawn.sequence, "opened": list(opened) if opened else None},
            on_event_change=changed,
        )


def cards(points: Points, describe: Callable[[np.ndarray], Sequence[Card]], *, key: str) -> None:
    """Answer what the pointer asks for; inside a fragment of its own.

    Args:
        points: what is drawn.
        describe: the cards of documents, given their numbers.
        key: the map's.

    """
    waiting = f"{key}_asked"

    def asked() -> None:
        raw = st.session_state[f"{key}_cards"].get("asked")
        st.session_state[waiting] = decode_asked(raw, points)

    wanted: list[int] = [i for i in st.session_state.get(waiting, []) if i < len(points)]
    found = describe(points.rows[wanted]) if wanted else []
    with st.container(key=f"{key}_carding", gap=None):
        _part(
            key=f"{key}_cards",
            data={
                "role": "cards",
                "map": key,
                "stamp": points.stamp,
                "cards": {str(i): vars(c) for i, c in zip(wanted, found, strict=True)},
            },
            on_asked_change=asked,
        )


def has_drawn(points: Points, *, key: str) -> bool:
    """Whether the browser has drawn the points, or has been long about it; the page runs again when it has.

    Args:
        points: what is drawn.
        key: the map's.

    """
    name = f"{key}_whole"
    known = st.session_state.get(name, {}).get("drawn") == points.stamp
    with st.container(key=f"{key}_waiting", gap=None):
        _part(key=name, data={"role": "drawn", "map": key, "stamp": points.stamp, "known": known}, on_drawn_change=lambda: None)
    return known


def encode(key: str, layer: str, array: np.ndarray, points: str) -> bytes:
    """A layer as ``scatter.js`` reads it; ``points`` is the stamp of the points it belongs to."""
    stamp = points if layer == "points" else f"{points}-{_stamp(array)}"
    head = json.dumps({"map": key, "layer": layer, "stamp": stamp, "points": points}).encode()
    return struct.pack("<I", len(head)) + head + array.tobytes()


def decode(raw: Any, points: Points) -> ScatterEvent | None:
    """The browser's message as an event; None for one about other points, or malformed: browser input is not trusted."""
    if not isinstance(raw, Mapping) or raw.get("stamp") != points.stamp or not _is_number(raw.get("sequence")):
        return None
    kind, sequence = raw.get("kind"), int(raw["sequence"])
    try:
        if kind == "clear":
            return ScatterEvent("clear", sequence=sequence)
        if kind == "open":
            point = raw.get("point")
            return ScatterEvent("open", point=point, sequence=sequence) if _is_point(point, points) else None
        if kind == "view":
            left, bottom, right, top = map(float, raw["box"])
            return ScatterEvent("view", box(left, bottom, right, top, max(abs(right - left), abs(top - bottom))), sequence=sequence)
        if kind == "region":
            drawn = [(float(x), float(y)) for x, y in raw["points"][:MOST_DRAWN]]
            view = float(raw["view"])
            if raw.get("shape") == "box":
                xs, ys = zip(*drawn, strict=True)
                return ScatterEvent("region", box(min(xs), min(ys), max(xs), max(ys), view), sequence=sequence)
            return ScatterEvent("region", lasso(drawn, view), sequence=sequence)
    except (SelectionError, KeyError, TypeError, ValueError, OverflowError):
        return None
    return None


def decode_asked(raw: Any, points: Points) -> list[int]:
    """Points whose cards are asked for; none when the message is malformed or about other points."""
    if not isinstance(raw, Mapping) or raw.get("stamp") != points.stamp or not isinstance(raw.get("points"), list):
        return []
    return [i for i in raw["points"][:MOST_ASKED] if _is_point(i, points)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _is_point(value: Any, points: Points) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(points)


def _stamp(*arrays: np.ndarray) -> str:
    """Changes with the bytes; short and quick, it guards no secret."""
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array).tobytes(), crc)
    return f"{len(arrays[0]):x}-{crc:08x}"
