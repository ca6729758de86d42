"""What is repeated? The sentence under the title, the choice of a kind, and the page's style."""

from __future__ import annotations

from html import escape
from pathlib import Path

import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.ui import diff
from explorer.ui.duplicate_keepers import Kept, in_words
from explorer.ui.duplicate_searches import WAYS, first_page, found_in, variants, whole
from explorer.ui.format import about, counted, share, short
from explorer.ui.format import exact as digits

STYLE = Path(__file__).with_suffix(".css")


def answer_line(corpus: Corpus, name: str, chosen: tuple[str, Kept] | None) -> str:
    """The sentence under the title: what was found of each kind, and what the keeper rule in sight saves.

    Args:
        corpus: whose.
        name: the kind looked at.
        chosen: its keeper rule and what that keeps (`keeper_panel`); None says nothing of savings.

    """
    said: list[str] = []
    for kind, way in WAYS.items():
        side = next((side for alias, side in variants(corpus, kind) if whole(corpus, kind, alias)), None)
        if side is not None:
            n, documents = found_in(kind, side)
            what = counted(n, "line" if kind == "lines" else "group")
            said.append(f'{way.label.lower()}: <b title="{digits(documents)}">{short(documents)}</b> documents in {what}')
    if not said:
        return "Nothing has been searched yet. Choose a kind of repetition: each says what it would show."
    line = f"Of {short(len(corpus))} documents · {' · '.join(said)}"
    if chosen is not None:
        rule, total = chosen[0], chosen[1].total
        tokens = about(short(total["tokens_saved"]), corpus.columns.tokens().estimated)
        line += (
            f". Keeping {escape(in_words(rule))} of each group ({WAYS[name].label.lower()}) drops <b>{short(total['documents_saved'])}</b> documents, "
            f"<b>{tokens}</b> tokens ({share(total['tokens_saved'], total['tokens'])})"
        )
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
