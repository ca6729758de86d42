"""One document in the reader: what it is, what it says, what was measured, and what the filters make of it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.search import Search, hits
from explorer.corpus.sidecars import Coverage
from explorer.embeddings.meaning import like
from explorer.embeddings.store import stored
from explorer.engine.local import score_texts
from explorer.errors import ExplorerError
from explorer.registry import families, find_signal, fitting
from explorer.selection.selection import Selection
from explorer.selection.threshold import Threshold
from explorer.ui import state
from explorer.ui.errors import guarded
from explorer.ui.format import about, counted, exact, number, share, short, size
from explorer.ui.frame import go, heading
from explorer.ui.ranks import Rank, rank
from explorer.ui.reader import WINDOW, Span, count_invisible, repeated_lines, text_html

MOST_TO_DIFF = 400_000  # characters
MOST_LINES = 4000  # of an edited document
MOST_TO_MARK = 2_000_000  # characters searched for addresses and repeated lines


def read_document(corpus: Corpus, selection: Selection, row: int, what: Search) -> None:
    """Draw the reader for one document."""
    record = corpus.documents([row]).row(0, named=True)
    text = record.get(corpus.roles.text)
    with guarded("drawing the document's head"):
        _head(corpus, row, record, text)
    with guarded("judging the document"):
        _verdict(corpus, selection, row)
    with guarded("offering similar documents"):
        _more_like_this(corpus, row)
    views = ["Text", "Signals", "Metadata"] + (["As C4 edits it"] if "c4" in families() else [])
    view = (
        st.segmented_control("View", views, default="Text", key="reader_view", label_visibility="collapsed", persist_state="session")
        or "Text"
    )
    with guarded(f"drawing the view {view}"):
        if view == "Text":
            _text(row, text, what)
        elif view == "Signals":
            signals(corpus, selection, row, record)
        elif view == "Metadata":
            _metadata(corpus, row, record)
        else:
            _as_c4_edits(text)


def _head(corpus: Corpus, row: int, record: dict[str, Any], text: str | None) -> None:
    said = []
    for role in ("source", "language", "date", "id"):
        column = getattr(corpus.roles, role)
        if column and record.get(column) is not None:
            said.append(f'<span title="{role}: column {escape(column, quote=True)}">{escape(str(record[column])[:120])}</span>')
    said.append(f'<span title="number of the document in the corpus, from 0">row {exact(row)}</span>')
    if text is not None:
        n_bytes = len(text.encode("utf-8", "replace"))
        said.append(
            f'<span title="{exact(len(text))} characters, {exact(n_bytes)} bytes">{short(len(text))} characters · {size(n_bytes)}</span>'
        )
    st.html(f'<div class="document-head">{" · ".join(said)}</div>')


def _more_like_this(corpus: Corpus, row: int) -> None:
    if not stored(corpus):
        return

    def find() -> None:
        with guarded("finding similar documents"):
            found = like(corpus, row, 100)
            state.look_at(f"row {exact(row)} and the 100 documents most like it", rows=[row, *(int(r) for r in found.rows)])
            st.session_state.documents_row = row

    if st.button(
        "More like this", key="reader_like", type="tertiary", icon=":material/hub:", on_click=find, help="By meaning, nearest first"
    ):
        go("documents")


def _verdict(corpus: Corpus, selection: Selection, row: int) -> None:
    if not selection.filters:
        return
    reasons = selection.reasons_of(row)
    if not reasons and not (selection.filters.sample and not selection.mask()[row]):
        st.html('<div class="verdict kept"><b>Kept</b> by the current filters</div>')
        return
    if not reasons:
        st.html('<div class="verdict dropped"><b>Dropped</b> · passes every rule, but the sampler did not choose it</div>')
        return
    rules = {t.id: t for t in selection.filters.filters}
    said = []
    for reason in reasons:
        threshold = rules.get(reason)
        if threshold is None:
            said.append(f"fails <code>{escape(selection.filters.where)}</code>")
        else:
            value = float(corpus.columns.numbers(threshold.signal)[row])
            note = f" ({escape(threshold.reason)})" if threshold.reason else ""
            said.append(f"{escape(threshold.signal)} is <b>{_value(value)}</b>, must be {escape(_bounds(threshold))}{note}")
    st.html(f'<div class="verdict dropped"><b>Dropped</b> · {" · ".join(said)}</div>')


def _value(value: float) -> str:
    return "not defined" if np.isnan(value) else number(value)


def _bounds(threshold: Threshold) -> str:
    low, high = (">", "<") if threshold.exclusive else ("≥", "≤")
    parts = [f"{low} {number(threshold.minimum)}"] if threshold.minimum is not None else []
    parts += [f"{high} {number(threshold.maximum)}"] if threshold.maximum is not None else []
    return " and ".join(parts)


# --- text ------------------------------------------------------------------------------------------------------------------


def _text(row: int, text: str | None, what: Search) -> None:
    if not text:
        st.html(
            f'<p class="quiet">{"This document has no text: its value is null." if text is None else "This document is empty: its text has no character."}</p>'
        )
        return
    spans = [Span(a, b, "hit") for a, b in hits(text, what)]
    marked = len(text) <= MOST_TO_MARK
    if marked:
        spans += repeated_lines(text) + _addresses(text)
    start = _window(row, text, spans)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        counts = {kind: sum(s.kind == kind for s in spans) for kind in ("hit", "email", "ip", "repeat")}
        names = {"hit": "search hit", "email": "e-mail address", "ip": "IP address", "repeat": "repeated line"}
        legend = [
            f'<mark class="{kind}">{counted(n, names[kind], names[kind] + ("es" if "address" in names[kind] else "s"))}</mark>'
            for kind, n in counts.items()
            if n
        ]
        invisible = count_invisible(text)
        legend += [f'<span class="glyph">{counted(invisible, "invisible character")}</span>'] if invisible else []
        legend += [] if marked else [f"spans are looked for up to {short(MOST_TO_MARK)} characters"]
        keys = '<span class="quiet">N / P: next, previous mark</span>' if any(counts.values()) else ""
        st.html(f'<div class="legend">{" ".join(legend) or "<span class=quiet>nothing marked</span>"} {keys}</div>', width="stretch")
        code = st.toggle("Monospace", key="reader_mono", persist_state="session")
        signs = (
            st.toggle(
                "Invisible signs",
                value=True,
                key="reader_signs",
                persist_state="session",
                help="Draw zero-width and other invisible characters; controls that change the direction of text are always drawn",
            )
            if invisible
            else True
        )
    body = text_html(text, spans, start, WINDOW, signs=signs)
    st.html(
        f'<div class="reader {"mono" if code else ""}" role="region" aria-label="Text of the document" tabindex="0" dir="auto">{body}</div>'
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _addresses(text: str) -> list[Span]:
    from explorer.signals.pii import pii_spans

    return [Span(a, b, kind) for a, b, kind in pii_spans(text)]


def _window(row: int, text: str, spans: Sequence[Span]) -> int:
    """First character shown; controls to move when the document is longer than the window."""
    if len(text) <= WINDOW:
        return 0
    key = f"reader_from_{row}"
    first = next((s.start for s in sorted(spans, key=lambda s: s.start) if s.kind == "hit"), 0)
    st.session_state.setdefault(key, max(0, first - WINDOW // 10))
    at = min(max(0, int(st.session_state[key])), len(text) - 1)

    def move(to: int) -> None:
        st.session_state[key] = min(max(0, to), max(0, len(text) - WINDOW // 2))

    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button("◀ Before", key="reader_before", disabled=at == 0, on_click=move, args=(at - WINDOW,), type="tertiary")
        st.button("After ▶", key="reader_after", disabled=at + WINDOW >= len(text), on_click=move, args=(at + WINDOW,), type="tertiary")
        st.html(f'<span class="quiet">showing {exact(min(WINDOW, len(text) - at))} of {short(len(text))} characters, from</span>')
        st.number_input("From character", 0, len(text) - 1, key=key, step=WINDOW, label_visibility="collapsed", width=140)
        later = [s.start for s in spans if s.start >= at + WINDOW]
        if later:
            st.button("Next mark further on", key="reader_next_mark", on_click=move, args=(min(later) - WINDOW // 10,), type="tertiary")
    return at


# --- signals ---------------------------------------------------------------------------------------------------------------


def signals(corpus: Corpus, selection: Selection, row: int, record: dict[str, Any]) -> None:
    """Everything that is measured of one document, each value with its rank in the corpus and the rule on it."""
    coverage, key, text = corpus.coverage(), state.corpus_key(corpus), record.get(corpus.roles.text)
    computed = _computed(corpus, coverage, row)
    spot = st.toggle(
        "Score what is missing on the spot",
        key="reader_spot",
        persist_state="session",
        help="Computes every heuristic for this document alone; nothing is stored",
    )
    fresh = _on_the_spot(text) if spot and text is not None else {}
    rules = {t.signal: t for t in selection.filters.filters}
    drawn = 0
    for family in fitting(corpus).values():
        lines = []
        for signal in family.signals:
            stored = signal.dtype != "string" and coverage.of(signal.name) is not None
            value = computed.get(signal.name) if stored else None
            if (value is None or np.isnan(value)) and signal.name in fresh:
                value = fresh[signal.name]
            if value is None:
                continue
            place = rank(corpus, key, signal.name, float(value)) if stored and not isinstance(value, str) else None
            lines.append(_signal_line(signal.name, value, place, signal.about, signal.unit, *_rule(corpus, rules.get(signal.name), stored)))
        if lines:
            heading(family.name, family.about)
            st.html("".join(lines))
            drawn += len(lines)
    own = [n for n in corpus.columns.numeric() if find_signal(n) is None]
    lines = []
    for name in own:
        held = computed.get(name, record.get(name))
        value = float("nan") if held is None else float(held)
        place = rank(corpus, key, name, value)
        lines.append(_signal_line(name, value, place, f"column {name} of the corpus", "", *_rule(corpus, rules.get(name), True)))
    if lines:
        heading("columns of the corpus")
        st.html("".join(lines))
    if not drawn:
        st.html(
            '<p class="quiet">No signal is computed for this corpus yet. Switch on the line above to see this document\'s, or score the corpus from the Overview.</p>'
        )


def _computed(corpus: Corpus, coverage: Coverage, row: int) -> dict[str, float]:
    """What is computed for one document: one row group of each family's file is read, and no column is loaded whole."""
    shard = next(s for s in corpus.shards if s.first_row <= row < s.first_row + s.rows)
    found: dict[str, float] = {}
    for side in coverage.sidecars:
        names = [name for name in side.columns if coverage.of(name) is side]
        if (place := side.place(shard, row - shard.first_row)) is None:
            continue
        path, at = place
        file = pq.ParquetFile(path)
        group = 0
        while at >= (rows := file.metadata.row_group(group).num_rows):
            at, group = at - rows, group + 1
        values = file.read_row_group(group, columns=names).slice(at, 1).to_pylist()[0]
        found |= {name: float("nan") if value is None else value for name, value in values.items()}
    return found


def _rule(corpus: Corpus, threshold: Threshold | None, stored: bool) -> tuple[Threshold | None, type]:
    """A rule and the precision it is compared in: its column's, which the selection has loaded already."""
    kind = corpus.columns.numbers(threshold.signal).dtype.type if threshold is not None and stored else np.float32
    return threshold, kind


@st.cache_data(max_entries=64, show_spinner="Scoring this document …")
def _on_the_spot(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, family in families().items():
        if family.learned or family.scope != "document":
            continue  # models are run when they are asked for
        try:
            table = score_texts([text], [name])
        except (ExplorerError, ImportError):
            continue  # a family that needs a model or a parameter is scored as a job, where its message is shown
        for column in table.column_names:
            value = table[column][0].as_py()
            found[column] = float("nan") if value is None else value
    return found


def _signal_line(
    name: str, value: Any, place: Rank | None, tip: str, unit: str, threshold: Threshold | None, kind: type = np.float32
) -> str:
    shown = escape(value) if isinstance(value, str) else _value(float(value))
    bar, said = "<span></span>", ""
    if place is not None:
        bar = f'<span class="rank" aria-hidden="true"><i style="left:{100 * place.middle:.1f}%"></i></span>'
        low, high, same = place.below, 1 - place.at_or_below, place.at_or_below - place.below
        side = f"the same as {share(same)}" if same > 0.5 else f"lower than {share(high)}" if high > low else f"higher than {share(low)}"
        said = about(side, place.estimated)
    rule = ""
    if threshold is not None and not isinstance(value, str):
        ok = threshold.passes(np.array([value], kind))[0]
        rule = f'<span class="{"kept" if ok else "dropped"}">{"✓" if ok else "✕"} {escape(_bounds(threshold))}</span>'
    return (
        f'<div class="signal" title="{escape(tip, quote=True)}"><span class="name">{escape(name)}</span><b title="{escape(unit, quote=True)}">{shown}</b>'
        f'{bar}<span class="quiet">{said}</span>{rule}</div>'
    )


# --- metadata and edits ----------------------------------------------------------------------------------------------------


def _metadata(corpus: Corpus, row: int, record: dict[str, Any]) -> None:
    roles = {column: role for role, column in corpus.roles.assigned().items()}
    shard = next(s for s in corpus.shards if s.first_row <= row < s.first_row + s.rows)
    lines = [("file", shard.path, ""), ("row in the file", exact(row - shard.first_row), "")]
    lines += [
        (name, str(value) if value is not None else "null", roles.get(name, ""))
        for name, value in record.items()
        if name not in ("_row", corpus.roles.text)
    ]
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{text_html(value[:2000])}</td><td class="quiet">{escape(role)}</td></tr>'
        for name, value, role in lines
    )
    st.html(f'<table class="metadata">{body}</table>')


def _as_c4_edits(text: str | None) -> None:
    from explorer.signals.c4 import c4_edit

    if not text or len(text) > MOST_TO_DIFF:
        st.html(
            f'<p class="quiet">{"There is no text to edit." if not text else f"Documents beyond {short(MOST_TO_DIFF)} characters are not shown as edits."}</p>'
        )
        return
    edited, reason = c4_edit(text)
    before = text.splitlines()
    after = [] if edited is None else edited.splitlines()
    body: list[str] = []
    kept = 0
    for line in before:
        stays = kept < len(after) and _is_part(after[kept], line.strip())
        kept += stays
        if len(body) < MOST_LINES:
            tag = "span" if stays else "del"
            body.append(f"<{tag}>{text_html(line, length=5000)}</{tag}>")
    why = f"C4 drops the whole page: {escape(str(reason))}." if edited is None else f"C4 keeps {exact(kept)} of {exact(len(before))} lines."
    st.html(
        f'<p class="quiet">{why} Struck lines are removed; citation marks inside kept lines too.</p><div class="reader edits" tabindex="0" dir="auto">{chr(10).join(body)}</div>'
    )


def _is_part(edited: str, line: str) -> bool:
    """Whether a surviving line comes from this one: the same, or the same without its citation marks."""
    if edited == line:
        return True
    if "[" not in line or len(edited) > len(line):
        return False
    rest = iter(line)
    return all(character in rest for character in edited)
