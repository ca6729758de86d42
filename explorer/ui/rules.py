"""The lines of the cut panel: the thresholds of the selection, and beside them those switched off or without a cut yet.

The selection holds what takes part; a line that is switched off, or has no bound yet, is kept here in the session so that it can
come back where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from explorer.errors import SelectionError
from explorer.selection.filters import Filters
from explorer.selection.recipes import recipes
from explorer.selection.threshold import Threshold
from explorer.ui import cuts
from explorer.ui.cuts import CutEvent
from explorer.ui.state import current_filters, set_filters

Key = tuple[str, str]


@dataclass(frozen=True)
class Line:
    """One line: its threshold (None while it has no bound) and whether it takes part."""

    signal: str
    reason: str
    threshold: Threshold | None
    enabled: bool

    @property
    def key(self) -> Key:
        """What tells two lines on one signal apart."""
        return self.signal, self.reason

    @property
    def active(self) -> bool:
        """Whether the line decides about documents."""
        return self.enabled and self.threshold is not None

    def for_tuning(self) -> Threshold:
        """A threshold to count with; without bounds everything passes."""
        return self.threshold or Threshold(self.signal, minimum=-np.inf, nulls="keep", reason=self.reason)


def lines() -> list[Line]:
    """The panel's lines, brought up to date with the selection."""
    filters = current_filters()
    active = {(t.signal, t.reason): t for t in filters.filters}
    known: list[Line] = st.session_state.get("panel_lines", [])
    kept: list[Line] = []
    for line in known:
        if line.key in active:
            kept.append(Line(line.signal, line.reason, active.pop(line.key), True))
        elif not line.active:
            kept.append(line)
    kept += [Line(t.signal, t.reason, t, True) for t in active.values()]
    st.session_state.panel_lines = kept
    return kept


def add(signal: str) -> None:
    """A line for a signal without a cut."""
    if all(line.signal != signal for line in lines()):
        st.session_state.panel_lines = [*lines(), Line(signal, "", None, True)]


def apply(event: CutEvent) -> None:
    """Change the selection as the panel says."""
    now = lines()
    focus = now[event.rule].key if event.rule is not None and event.rule < len(now) else None
    if event.kind == "group":
        st.session_state.panel_by = event.group
        return
    for index, (minimum, maximum) in event.cuts.items():
        try:
            now[index] = _moved(now[index], minimum, maximum)
        except SelectionError as error:  # a minimum typed above the maximum: the old cut stands, and the page says why
            st.session_state.panel_problem = str(error)
    for index, enabled in event.enabled.items():
        now[index] = replace(now[index], enabled=enabled)
    if event.kind == "remove" and event.rule is not None:
        del now[event.rule]
    if event.kind in ("focus", "cuts") and focus is not None:
        st.session_state.panel_focus = focus
    st.session_state.panel_lines = now
    thresholds = tuple(line.threshold for line in now if line.active and line.threshold is not None)
    set_filters(replace(current_filters(), filters=thresholds), _note(event, now, focus))


def use(filters: Filters, note: str) -> None:
    """Start from other filters: the panel's lines are theirs alone."""
    st.session_state.panel_lines = []
    st.session_state.pop("panel_focus", None)
    set_filters(filters, note)


def focused(now: list[Line], only_this: np.ndarray) -> Line | None:
    """The line whose documents are shown near the cut: the one last touched, else the one that drops most by itself.

    Args:
        now: the lines.
        only_this: documents [lines] that fail nothing but each.
    """
    wanted = st.session_state.get("panel_focus")
    active = [i for i, line in enumerate(now) if line.active]
    touched = next((now[i] for i in active if now[i].key == wanted), None)
    return touched or (now[max(active, key=lambda i: int(only_this[i]))] if active else None)


def panel_rules(now: list[Line], edges: tuple[np.ndarray, ...]) -> list[cuts.Rule]:
    """What the component draws."""
    from explorer.registry import find_signal
    from explorer.selection.tuning import published

    rules = []
    for line, positions in zip(now, edges, strict=True):
        known, threshold = find_signal(line.signal), line.threshold
        rules.append(
            cuts.Rule(
                signal=line.signal,
                edges=positions,
                minimum=threshold.minimum if threshold else None,
                maximum=threshold.maximum if threshold else None,
                exclusive=bool(threshold and threshold.exclusive),
                enabled=line.enabled,
                null_passes=threshold is None or threshold.nulls == "keep",
                unit=known.unit if known else "",
                about=known.about if known else "a column of the corpus",
                direction=known.direction if known else "two_sided",
                published=tuple(cuts.PublishedCut(p.value, p.side, p.recipe, p.source) for p in published(line.signal)),
            )
        )
    return rules


def _moved(line: Line, minimum: float | None, maximum: float | None) -> Line:
    if minimum is None and maximum is None:
        return replace(line, threshold=None)
    known = line.threshold or Threshold(line.signal, minimum=0.0, reason=line.reason)
    moved = replace(known, minimum=minimum, maximum=maximum, source="")  # a cut that was moved is nobody's publication
    return replace(line, threshold=_as_published(moved), enabled=True)


def _as_published(threshold: Threshold) -> Threshold:
    """The same threshold with its source, when a shipped recipe has just this one."""
    same = (t for name in recipes for t in recipes[name].filters if replace(t, source="") == threshold)
    return next(same, threshold)


def _note(event: CutEvent, now: list[Line], focus: Key | None) -> str:
    line = next((x for x in now if x.key == focus), None)
    name = focus[0] if focus else "the rules"
    if event.kind == "remove":
        return f"remove {name}"
    if event.kind == "enabled":
        return f"switch {name} {'on' if line and line.enabled else 'off'}"
    return str(line.threshold) if line and line.threshold else f"no cut on {name}"
