"""Small charts that answer at a glance and can be picked from: bars of groups, columns of a histogram."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import streamlit as st

from explorer.corpus.profile import Breakdown, Lengths
from explorer.ui.format import about, exact, share, short, size

_HERE = Path(__file__).parent
_bars = st.components.v2.component(
    "corpus_explorer_bars",
    html='<div id="bars"></div><div id="axis"></div>',
    js=(_HERE / "bars.js").read_text(encoding="utf-8"),
    css=(_HERE / "bars.css").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Bar:
    """One bar: its label, length, the figure beside it, and what a click picks (None: nothing)."""

    label: str
    value: float
    figure: str
    tip: str
    pick: str | None = None
    second: float | None = None
    figure2: str = ""


def bars(
    items: Sequence[Bar],
    *,
    key: str,
    title: str,
    layout: Literal["rows", "columns"] = "rows",
    axis: str = "",
    unit: str = "",
    on_pick: Callable[[], None] | None = None,
) -> str | None:
    """Draw bars; the picked one's ``pick`` on the run after a click, else None.

    In ``on_pick`` it is ``st.session_state[key].picked``.
    """
    result = _bars(
        key=key,
        data={"items": [asdict(i) for i in items], "layout": layout, "axis": axis, "unit": unit, "title": title},
        on_picked_change=on_pick or (lambda: None),
    )
    return result.picked


def breakdown_bars(found: Breakdown, pickable: Callable[[str], bool], *, most: int = 14) -> list[Bar]:
    """A bar a group: documents, and tokens beneath when they are known."""
    total = int(found.documents.sum())
    all_tokens = float(found.tokens.sum()) if found.tokens is not None else 0.0
    items = []
    for i, label in enumerate(found.labels[:most]):
        n = int(found.documents[i])
        tokens = float(found.tokens[i]) if found.tokens is not None else None
        said = f"{label}: {exact(n)} documents ({share(n, total)})"
        if tokens is not None:
            said += f", {about(exact(round(tokens)), found.estimated)} tokens ({share(tokens, all_tokens)})"
        figure2 = f"{about(short(tokens), found.estimated)} tokens" if tokens is not None else ""
        items.append(Bar(label, n, short(n), said, label if pickable(label) else None, tokens, figure2))
    return items


def length_bars(lengths: Lengths, estimated: bool) -> tuple[list[Bar], str]:
    """The histogram of lengths on a logarithmic axis from the shortest to the longest that occurs, and its caption."""
    there = np.flatnonzero(lengths.documents)
    if not len(there):
        return [], "no document has text"
    first, last = int(there[0]), int(there[-1])
    items = []
    for i in range(first, last + 1):
        low, high = lengths.edges[i], lengths.edges[i + 1]
        n = float(lengths.documents[i])
        decade = abs(np.log10(low) - round(np.log10(low))) < 1e-9
        items.append(
            Bar(size(low) if decade else "", n, short(n), f"{size(low)} to {size(high)}: {about(exact(round(n)), estimated)} documents")
        )
    said = f"median {size(lengths.median)}, longest {size(lengths.longest)}" if lengths.median is not None else ""
    return items, said
