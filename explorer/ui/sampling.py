"""What comes after the rules: choose among the documents that pass, by a published operator."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any, get_args

import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.roles import is_text
from explorer.errors import SelectionError
from explorer.selection import samplers
from explorer.selection.samplers import Method, Sample
from explorer.selection.selection import Selection
from explorer.ui.errors import plain, show
from explorer.ui.format import about, exact, share, short
from explorer.ui.state import current_filters, set_filters

TITLES: dict[str, str] = {
    "top_fraction_docs": "the best share of documents",
    "top_fraction_size": "the best share of tokens",
    "token_budget": "the best documents up to a token budget",
    "stratified_budget": "a token budget, divided among groups",
    "gumbel_topk": "at random, better ones more often",
    "nested_subset": "a random share of every group",
}
RANKED = ("top_fraction_docs", "top_fraction_size")
BUDGETED = ("token_budget", "stratified_budget")


def sampler(corpus: Corpus) -> None:
    """A form for the sampler of the current filters."""
    now = current_filters().sample
    methods = list(get_args(Method))
    method = st.selectbox(
        "Choose among what passes the rules",
        methods,
        index=methods.index(now.method) if now else methods.index("nested_subset"),
        format_func=TITLES.__getitem__,
        key="sample_method",
    )
    st.caption(plain(" ".join((inspect.getdoc(getattr(samplers, method)) or "").split("\n\n")[0].replace("`", "").split())))
    with st.form("sampler", border=False):
        given = _fields(corpus, method, now if now and now.method == method else None)
        left, right = st.columns(2)
        apply = left.form_submit_button("Sample", type="primary", width="stretch")
        remove = right.form_submit_button("Keep all that pass", disabled=now is None, width="stretch")
    if remove:
        set_filters(replace(current_filters(), sample=None), "no sampler")
        st.rerun()
    if apply:
        try:
            chosen = Sample(method, **given)
        except SelectionError as error:
            show(error)
        else:
            set_filters(replace(current_filters(), sample=chosen), f"sample: {TITLES[method]}")
            st.rerun()


def effect(selection: Selection) -> str:
    """What the sampler does, in one line of Markdown; nothing without one."""
    sample = selection.filters.sample
    if sample is None:
        return ""
    passing = int((selection.failures == 0).sum())
    tokens = selection.corpus.columns.tokens()
    chosen = selection.rows()
    settings = ", ".join(f"{k} {v}" for k, v in sample.to_dict().items() if k != "method")
    kept = about(short(float(tokens.values[chosen].sum())), tokens.estimated)
    return (
        f"**Then sampled**: {TITLES[sample.method]} ({plain(settings)}) takes **{short(len(chosen))}** of the {short(passing)} documents "
        f"that pass the rules ({share(len(chosen), passing)}), {kept} tokens. The panel above counts before it, the bar at the top after it."
    )


def _fields(corpus: Corpus, method: str, now: Sample | None) -> dict[str, Any]:
    """Widgets for the settings that a method has; their values."""
    given: dict[str, Any] = {}
    numeric = corpus.columns.numeric()
    if method != "nested_subset":
        options = [*([] if method in RANKED else [None]), *numeric]
        index = options.index(now.by) if now and now.by in options else 0
        given["by"] = st.selectbox(
            "Score",
            options,
            index=index if options else None,
            format_func=lambda n: "none: at random" if n is None else n,
            key=f"sample_by_{method}",
        )
        given["descending"] = not st.toggle(
            "Lower is better", value=bool(now and not now.descending), key=f"sample_low_{method}", help="A loss or a perplexity"
        )
    if method in RANKED or method == "nested_subset":
        value = 100 * now.fraction if now and now.fraction else 10.0
        percent = st.number_input("Share in %", 0.0001, 100.0, value, key=f"sample_fraction_{method}", format="%g")
        given["fraction"] = percent / 100
    if method in BUDGETED:
        given["tokens"] = st.number_input(
            "Tokens", 1.0, 1e15, float(now.tokens or 1e6) if now else 1e6, format="%.0f", key=f"sample_tokens_{method}"
        )
    if method == "gumbel_topk":
        given["documents"] = st.number_input("Documents", 1, 10**12, int(now.documents or 1000) if now else 1000, key="sample_documents")
        given["temperature"] = st.number_input(
            "Temperature",
            0.0001,
            1000.0,
            now.temperature if now else 1.0,
            format="%g",
            key="sample_temperature",
            help="Higher: closer to a uniform draw",
        )
    if method in ("stratified_budget", "nested_subset"):
        groups = _groups(corpus)
        strata: list[str | None] = [*([] if method == "stratified_budget" else [None]), *groups]
        index = strata.index(now.per) if now and now.per in strata else 0
        given["per"] = st.selectbox(
            "Group by", strata, index=index, format_func=lambda n: "no groups" if n is None else n, key=f"sample_per_{method}"
        )
    if method == "stratified_budget":
        given["shares"] = (
            st.segmented_control(
                "Divide the budget",
                ["corpus", "equal"],
                default=now.shares if now else "corpus",
                key="sample_shares",
                help="As in the corpus, or equally",
            )
            or "corpus"
        )
    given["seed"] = st.number_input(
        "Seed", 0, 2**31, now.seed if now else 0, key=f"sample_seed_{method}", help=f"Ties and random choices; {exact(2**31)} at most"
    )
    return given


def _groups(corpus: Corpus) -> list[str]:
    roles = corpus.roles
    known = ["source", *(["language"] if roles.language or corpus.coverage().of("lang") else []), *(["year"] if roles.date else [])]
    taken = {roles.text, roles.id, roles.url, roles.source, roles.language, roles.date}
    return known + [f.name for f in corpus.schema if is_text(f.type) and f.name not in taken]
