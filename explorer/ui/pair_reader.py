"""One rewrite beside its original: differences by word, lost facts marked left, invented facts marked right, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from explorer.primitives.batch import Batch
from explorer.primitives.structure import KINDS, structure
from explorer.registry import find_signal
from explorer.rewrites.findings import Finding, findings
from explorer.rewrites.pairs import Pairs
from explorer.rewrites.reasons import FLAGS, WORDS
from explorer.selection.selection import Selection
from explorer.ui import diff, state
from explorer.ui.document import signals
from explorer.ui.errors import guarded
from explorer.ui.format import counted, exact, number, short
from explorer.ui.labels import PAIR_CHOICES, label_buttons
from explorer.ui.pairs import MOST_TO_CHECK
from explorer.ui.ranks import rank
from explorer.ui.reader import Span
from explorer.ui.sentences import sentence_table

STYLE = Path(__file__).with_name("pairs.css")
LISTED = 40  # findings that are listed
VIEWS = SIDES, SENTENCES, FIGURES = ("Side by side", "By sentence", "Every figure")
PARTS = ("faithfulness", "meaning_kept", "meaning_supported", "facts_kept_frac", "novel_word_frac", "rouge_l_recall", "len_ratio_bytes", "structure_similarity", "quality_gain")  # fmt: skip
KINDS_OF_FORM = ("headings", "list_items", "code_blocks", "table_rows", "quotes", "paragraphs")


def read_pair(pairs: Pairs, selection: Selection, row: int, *, after: Callable[[], None]) -> None:
    """Draw the reader for one pair."""
    st.html(f"<style>{diff.STYLE.read_text(encoding='utf-8')}{STYLE.read_text(encoding='utf-8')}</style>")
    record, original, rewrite = _record(state.place_key(pairs), row, pairs)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pair_top"):
        with st.container(width="stretch"), guarded("drawing the pair's head"):
            st.html(_head(pairs, row, record))
        with guarded("offering labels"):
            label_buttons(row, key="pair", after=after, choices=PAIR_CHOICES)
    with guarded("drawing the figures of the pair"):
        _parts(pairs, row)
    found = (
        _found(original, rewrite) if original is not None and rewrite is not None and len(original) + len(rewrite) <= MOST_TO_CHECK else []
    )
    with guarded("saying what was found"):
        _said(original, rewrite, found, _flags(pairs, row))
    view = (
        st.segmented_control("View", VIEWS, default=VIEWS[0], key="pair_view", label_visibility="collapsed", persist_state="session")
        or VIEWS[0]
    )
    if view == FIGURES:
        with guarded("drawing the signals"):
            signals(pairs, selection, row, {**record, pairs.roles.text: rewrite})
        return
    if view == SENTENCES and original is not None and rewrite is not None:
        with guarded("aligning the sentences"):
            if len(original) + len(rewrite) > MOST_TO_CHECK:
                st.info(f"Texts of more than {short(MOST_TO_CHECK)} characters are not aligned here.", icon=":material/article:")
            else:
                sentence_table(original, rewrite)
        return
    with guarded("comparing the texts"):
        names = (f"original{_words(original)}", f"rewrite{_words(rewrite)}")
        diff.draw(original, rewrite, names, fold=False, key=f"pair_part_{row}", marks=marks(found))
    with guarded("comparing the form"):
        _form(original, rewrite)
    with guarded("listing what was found"):
        _list(original, rewrite, found)


@st.cache_data(max_entries=64, show_spinner=False)
def _record(key: object, row: int, _pairs: Pairs) -> tuple[dict[str, Any], str | None, str | None]:
    ((original, rewrite),) = _pairs.texts([row])
    return _pairs.documents([row]).row(0, named=True), original, rewrite


@st.cache_data(max_entries=64, show_spinner=False)
def _found(original: str, rewrite: str) -> list[Finding]:
    return findings(original, rewrite)


def marks(found: Sequence[Finding]) -> tuple[list[Span], list[Span]]:
    """What is marked in the original and in the rewrite."""
    left = [Span(f.left[0], f.left[1], f"fact {f.verdict}") for f in found if f.left and f.verdict != "added"]
    right = [Span(f.right[0], f.right[1], f"fact {f.verdict}") for f in found if f.right and f.verdict != "lost"]
    return left, right


def _head(pairs: Pairs, row: int, record: dict[str, Any]) -> str:
    said = []
    for role in ("method", "style", "id"):
        column = getattr(pairs.roles, role)
        if column and record.get(column) is not None:
            said.append(f'<span title="{role}: column {escape(column, quote=True)}">{escape(str(record[column])[:120])}</span>')
    if pairs.on and record.get(pairs.on[1]) is not None:
        said.append(
            f'<span title="the original: column {escape(pairs.on[1], quote=True)}">of {escape(str(record[pairs.on[1]])[:120])}</span>'
        )
    said.append(f'<span title="number of the rewrite, from 0">row {exact(row)}</span>')
    return f'<div class="document-head">{" · ".join(said)}</div>'


def _words(text: str | None) -> str:
    return f" · {counted(len(text.split()), 'word')}" if text is not None else ""


def _parts(pairs: Pairs, row: int) -> None:
    """The figures that say how far a rewrite can be trusted, each with its place among all pairs."""
    computed, key = set(pairs.columns.numeric()), state.corpus_key(pairs)
    cells = []
    for name in PARTS:
        if name not in computed:
            continue
        value = float(pairs.columns.numbers(name)[row])
        signal = find_signal(name)
        place = rank(pairs, key, name, value) if np.isfinite(value) else None
        bar = f'<i style="left:{100 * place.middle:.0f}%"></i>' if place is not None else ""
        about = escape(signal.about if signal else name, quote=True)
        cells.append(
            f'<div title="{about}"><span>{escape(name.replace("_frac", "").replace("_", " "))}</span><b>{number(round(value, 2))}</b><span class="rank" aria-hidden="true">{bar}</span></div>'
        )
    if cells:
        st.html(f'<div class="parts">{"".join(cells)}</div>')


def _flags(pairs: Pairs, row: int) -> list[str]:
    computed = set(pairs.columns.numeric())
    return [words for flag, words in FLAGS.items() if flag in computed and pairs.columns.numbers(flag)[row] == 1]


def _said(original: str | None, rewrite: str | None, found: Sequence[Finding], flags: Sequence[str]) -> None:
    """One line: what is wrong with this rewrite, the worst first."""
    if original is None or rewrite is None:
        st.html(f'<p class="quiet">{"No original was found for this rewrite." if original is None else "The rewrite is null."}</p>')
        return
    parts = [f'<span class="flag">{escape(flag)}</span>' for flag in flags]
    for verdict, words in WORDS.items():
        n = sum(f.verdict == verdict for f in found)
        if n:
            parts.append(f'<mark class="fact {verdict}">{n} {words}</mark>')
    if len(original) + len(rewrite) > MOST_TO_CHECK:
        parts.append(f'<span class="quiet">facts are not marked in texts of more than {short(MOST_TO_CHECK)} characters</span>')
    elif not found:
        parts.append('<span class="quiet">no fact was lost, added, changed or exchanged as far as the checks see</span>')
    keys = (
        '<span class="quiet">J / K: next, previous pair · N / P: next, previous mark · A, X, S: accept, reject, not sure · U: undo</span>'
    )
    st.html(f'<div class="legend pair-said">{" ".join(parts)} {keys}</div>')


def _form(original: str | None, rewrite: str | None) -> None:
    """Blocks of both texts where they differ."""
    if original is None or rewrite is None:
        return
    before, after = (dict(zip(KINDS, structure(Batch.of([t])).counts[0].tolist(), strict=True)) for t in (original, rewrite))
    said = [f"{kind.replace('_', ' ')} {before[kind]} → {after[kind]}" for kind in KINDS_OF_FORM if before[kind] != after[kind]]
    st.html(f'<p class="quiet">Form: {escape(", ".join(said)) if said else "the same blocks in both"}</p>')


def _list(original: str | None, rewrite: str | None, found: Sequence[Finding]) -> None:
    """What was found, in words."""
    if not found:
        return
    order = list(WORDS)
    lines = []
    for f in sorted(found, key=lambda f: order.index(f.verdict))[:LISTED]:
        lines.append(f'<li><mark class="fact {f.verdict}">{WORDS[f.verdict]}</mark> {escape(diff.inert(f.said))}</li>')
    more = f'<li class="quiet">and {len(found) - LISTED} more</li>' if len(found) > LISTED else ""
    st.html(f'<ul class="findings">{"".join(lines)}{more}</ul>')
