"""What is repeated? The sentence under the title, the choice of a kind, and the page's style."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.ui import diff
from explorer.ui.background import watch
from explorer.ui.duplicate_keepers import kept_of
from explorer.ui.duplicate_searches import WAYS, first_page, found_in, variants, whole
from explorer.ui.format import about, counted, share, short
from explorer.ui.format import exact as digits

STYLE = Path(__file__).with_suffix(".css")


def answer_line(corpus: Corpus) -> str:
    """The sentence under the title: what was found of each kind, and what keeping one of each near or exact group would save."""
    said: list[str] = []
    saved: dict[str, str] = {}
    for name, way in WAYS.items():
        there = [(alias, side) for alias, side in variants(corpus, name) if whole(corpus, name, alias)]
        if not there:
            continue
        n, documents = found_in(name, there[0][1])
        what = "line" if name == "lines" else "group"
        said.append(f'{way.label.lower()}: <b title="{digits(documents)}">{short(documents)}</b> documents in {counted(n, what)}')
        if way.kind and documents:
            alias = there[0][0]
            saved[name] = way.kind + (f":{alias}" if alias else "")
    if not said:
        return "Nothing has been searched yet. Choose a kind of repetition: each says what it would show."
    line = f"Of {short(len(corpus))} documents · {' · '.join(said)}"
    widest = next((name for name in ("near", "normalised", "exact", "meaning") if name in saved), None)
    if widest is not None:
        future = kept_of(corpus, saved[widest], "first", 0.5)
        if future.done() and future.exception() is None:
            total = future.result().total
            tokens = about(short(total["tokens_saved"]), corpus.columns.tokens().estimated)
            line += f". Keeping one of each group ({WAYS[widest].label.lower()}) drops <b>{short(total['documents_saved'])}</b> documents, <b>{tokens}</b> tokens ({share(total['tokens_saved'], total['tokens'])})"
        else:
            watch(future)
    return line + "."


def choose(corpus: Corpus) -> str:
    """The segments; the kind of repetition to look at."""

    def label(name: str) -> str:
        there = variants(corpus, name)
        return f"{WAYS[name].label} · {short(found_in(name, there[0][1])[0])}" if there else WAYS[name].label

    first = next((name for name in ("near", "exact", "normalised", "meaning", "lines") if variants(corpus, name)), "near")
    st.session_state.setdefault("dup_kind", first)
    chosen = st.segmented_control(
        "Kind of repetition",
        list(WAYS),
        format_func=label,
        key="dup_kind",
        label_visibility="collapsed",
        persist_state="session",
        on_change=first_page,
    )
    return chosen or first


def style() -> None:
    """The page's own style."""
    st.html(f"<style>{diff.STYLE.read_text(encoding='utf-8')}\n{STYLE.read_text(encoding='utf-8')}</style>")
