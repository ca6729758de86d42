"""The live cut panel of the Filters page: drag a cut and every number follows in the browser, without a round trip.

`cut_panel` ships the leave-one-out curves of `explorer.selection.curves` to a browser component (``cuts.js``, ``cuts.css``) as raw
bytes and hands back what the reader did as a `CutEvent`. It computes no count of its own.

Payload: uint32 length of the JSON that follows, the JSON, then float64 arrays: documents and tokens [rules, 256, groups] with
the other rules applied, documents and tokens [rules, 256] with none applied. Slot 255 is "not scored".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import streamlit as st

from explorer.errors import SelectionError
from explorer.registry import Direction
from explorer.selection.curves import NULL, Curves, code_range, positions

EventKind = Literal["cuts", "enabled", "remove", "focus", "group"]

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "corpus_explorer_cuts",
    html='<div id="cut-panel"></div>',
    js=(_HERE / "cuts.js").read_text(encoding="utf-8"),
    css=(_HERE / "cuts.css").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class PublishedCut:
    """A cut somebody published, drawn as a dashed line that the handle can be snapped to.

    Attributes:
        value: the threshold; must be among the rule's edges (``keep`` of `choose_edges`).
        side: which handle it sets.
        label: short name ("Gopher").
        source: where it stands ("Rae et al. 2021, Table A1").
    """

    value: float
    side: Literal["minimum", "maximum"]
    label: str
    source: str = ""


@dataclass(frozen=True)
class Rule:
    """One line of the panel.

    Attributes:
        signal: the column's name.
        edges: what its codes were quantised with.
        minimum: lower bound, None for none.
        maximum: upper bound, None for none.
        exclusive: the bounds themselves are dropped.
        enabled: whether the rule takes part; one that does not keeps its line and its cut.
        null_passes: whether documents without a score are kept.
        unit: what the value counts.
        about: one sentence that defines it, shown on hover.
        direction: decides which handles are offered.
        published: cuts found in papers and recipes.
        log: logarithmic axis; None to decide from the distribution.
    """

    signal: str
    edges: np.ndarray
    minimum: float | None = None
    maximum: float | None = None
    exclusive: bool = False
    enabled: bool = True
    null_passes: bool = False
    unit: str = ""
    about: str = ""
    direction: Direction = "two_sided"
    published: tuple[PublishedCut, ...] = ()
    log: bool | None = None

    def codes(self) -> tuple[int, int, bool]:
        """Low, high and null_passes for `leave_one_out`; everything passes where the rule is switched off."""
        if not self.enabled:
            return 0, NULL - 1, True
        return *code_range(self.edges, self.minimum, self.maximum, exclusive=self.exclusive), self.null_passes


@dataclass(frozen=True)
class Groups:
    """What the bars at the top stand for.

    Attributes:
        names: one a group, in the order of the group codes; up to a dozen and "other" read well.
        by: the column they come from ("source").
        choices: columns one can switch to.
    """

    names: Sequence[str]
    by: str = "source"
    choices: Sequence[str] = ("source",)


@dataclass(frozen=True)
class Totals:
    """The corpus before any rule and predicate.

    Attributes:
        documents: how many there are.
        tokens: how many they hold.
        tokens_label: whose tokens: "tokens (GPT-NeoX)", or "≈ tokens" when they are estimated.
    """

    documents: int
    tokens: float
    tokens_label: str = "tokens"


@dataclass(frozen=True)
class CutEvent:
    """What the reader did.

    Attributes:
        kind: "cuts" moved or typed, "enabled" switched, "remove" or "focus" a rule, "group" switched.
        rule: the rule it happened to; None for "group".
        cuts: bounds of every rule that differ from what the panel was given, (minimum, maximum), None for no bound. Filled
            in whatever the kind, so that a second gesture never loses the first.
        enabled: the same for switched rules.
        group: the column to group by; None unless the kind is "group".
        sequence: rises with every event of a page.
    """

    kind: EventKind
    rule: int | None = None
    cuts: Mapping[int, tuple[float | None, float | None]] = field(default_factory=dict)
    enabled: Mapping[int, bool] = field(default_factory=dict)
    group: str | None = None
    sequence: int = 0


def cut_panel(
    curves: Curves,
    rules: Sequence[Rule],
    groups: Groups,
    *,
    totals: Totals,
    key: str,
    height: int | None = None,
    on_change: Callable[[CutEvent], None] | None = None,
) -> CutEvent | None:
    """Draw the panel; return what the reader did since the last run, once.

    With `on_change` the event reaches the caller before the script runs again, so that one run both applies it and draws the
    new curves; without it the returned event must be applied and followed by ``st.rerun()``.

    Args:
        curves: from `leave_one_out`, made with each rule's `Rule.codes`.
        rules: in the order of the curves.
        groups: names of the curves' groups.
        totals: the corpus before any rule and predicate.
        key: names the panel; one a page.
        height: pixels, scrolling inside; None for as tall as its rules.
        on_change: called with each event.

    Returns:
        The event, or None when nothing happened.

    Raises:
        SelectionError: the curves were made for other rules or groups.
    """
    payload = encode(curves, rules, groups, totals, sequence=st.session_state.get(f"{key}:sequence", 0))

    def changed() -> None:
        raw = st.session_state[key].get("event") or {}
        # Also for a message that is refused: the panel then goes back to what Python says.
        st.session_state[f"{key}:sequence"] = raw.get("sequence", 0)
        event = decode(raw, rules, groups)
        if event is not None:
            if on_change is not None:
                on_change(event)
            st.session_state[f"{key}:event"] = event

    _component(data=payload, key=key, height="content" if height is None else height, on_event_change=changed)
    event: CutEvent | None = st.session_state.pop(f"{key}:event", None)
    return event


def encode(curves: Curves, rules: Sequence[Rule], groups: Groups, totals: Totals, *, sequence: int = 0) -> bytes:
    """The bytes that ``cuts.js`` reads; `sequence` is the last event that they take into account."""
    if len(rules) != len(curves.low) or len(groups.names) != len(curves.total_documents):
        raise SelectionError(
            f"{len(rules)} rules and {len(groups.names)} groups do not match curves of {len(curves.low)} and {len(curves.total_documents)}. "
            "One curve a rule is needed. Run leave_one_out again."
        )
    lines = []
    for k, rule in enumerate(rules):
        if rule.codes() != (int(curves.low[k]), int(curves.high[k]), bool(curves.null_passes[k])):
            raise SelectionError(
                f"The curve of {rule.signal!r} was made for another cut. Rules and curves must agree. Run leave_one_out again."
            )
        lines.append(_line(rule, int(curves.nulls[k])))
    meta = {
        "sequence": sequence,
        "rules": lines,
        "groups": {"by": groups.by, "choices": list(groups.choices), "names": [str(name) for name in groups.names]},
        "totals": {"documents": int(totals.documents), "tokens": float(totals.tokens), "label": totals.tokens_label},
        "kept": {"documents": curves.kept_documents.tolist(), "tokens": curves.kept_tokens.tolist()},
        "base": {"documents": curves.total_documents.tolist(), "tokens": curves.total_tokens.tolist()},
    }
    head = json.dumps(meta, allow_nan=False).encode()
    arrays = [
        curves.documents,
        curves.tokens,
        np.array([h.documents.sum(1) for h in curves.unconditioned]),
        np.array([h.tokens.sum(1) for h in curves.unconditioned]),
    ]
    return struct.pack("<I", len(head)) + head + b"".join(np.ascontiguousarray(a, "<f8").tobytes() for a in arrays)


def decode(raw: Mapping[str, Any] | None, rules: Sequence[Rule], groups: Groups) -> CutEvent | None:
    """The browser's message as an event; None when it is about rules that are no longer there.

    Browser input is not trusted: kinds, names and numbers are checked, and a malformed message is none.
    """
    if not isinstance(raw, Mapping) or raw.get("signals") != [rule.signal for rule in rules]:
        return None
    kind: Any = raw.get("kind")
    rule, group, sequence = raw.get("rule"), raw.get("group"), raw.get("sequence")
    if kind not in get_args(EventKind) or not isinstance(sequence, int | float):
        return None
    if kind == "group":
        rule = None
        if group not in groups.choices:
            return None
    elif not (isinstance(rule, int) and 0 <= rule < len(rules)):
        return None
    bounds, switches = raw.get("cuts"), raw.get("enabled")
    if not isinstance(bounds, list) or not isinstance(switches, list) or not len(bounds) == len(switches) == len(rules):
        return None
    if any(not isinstance(pair, list) or len(pair) != 2 for pair in bounds):
        return None
    cuts = {k: (_bound(low), _bound(high)) for k, (low, high) in enumerate(bounds)}
    return CutEvent(
        kind,
        rule,
        {k: pair for k, pair in cuts.items() if pair != (_bound(rules[k].minimum), _bound(rules[k].maximum))},
        {k: bool(on) for k, on in enumerate(switches) if bool(on) != rules[k].enabled},
        group if kind == "group" else None,
        int(sequence),
    )


def _bound(value: float | None) -> float | None:
    """A bound as a finite float; anything else is no bound."""
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _line(rule: Rule, nulls: int) -> dict[str, Any]:
    low, high = code_range(rule.edges, rule.minimum, rule.maximum, exclusive=rule.exclusive)
    at_least, at_least_codes = positions(rule.edges, "minimum", exclusive=rule.exclusive)
    at_most, at_most_codes = positions(rule.edges, "maximum", exclusive=rule.exclusive)
    finite_low, finite_high = np.isfinite(at_least), np.isfinite(at_most)
    return {
        "signal": rule.signal,
        "unit": rule.unit,
        "about": rule.about,
        "direction": rule.direction,
        "exclusive": rule.exclusive,
        "enabled": rule.enabled,
        "nullPasses": rule.null_passes,
        "nulls": nulls,
        "log": rule.log,
        "minimum": _bound(rule.minimum),
        "maximum": _bound(rule.maximum),
        "low": low,
        "high": high,
        "atLeast": {"values": at_least[finite_low].tolist(), "codes": at_least_codes[finite_low].tolist()},
        "atMost": {"values": at_most[finite_high].tolist(), "codes": at_most_codes[finite_high].tolist()},
        "published": [{"value": float(p.value), "side": p.side, "label": p.label, "source": p.source} for p in rule.published],
    }
