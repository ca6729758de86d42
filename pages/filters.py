"""Where do I cut?"""

import streamlit as st

from explorer.registry import find_signal
from explorer.selection.needs import needs
from explorer.selection.recipes import recipes
from explorer.selection.tuning import Tuning
from explorer.ui import evidence, predicate, rules, sampling
from explorer.ui.cuts import Groups, Totals, cut_panel
from explorer.ui.errors import guarded, plain
from explorer.ui.format import exact
from explorer.ui.frame import question
from explorer.ui.scoring import offer_to_score, start_scoring
from explorer.ui.state import current_corpus, current_filters, current_selection, place_key

FEW_LINES = 6  # rules that stand on the page whole; more scroll inside the panel, and the documents beneath stay in reach
PANEL_HEIGHT = 600

corpus = current_corpus()
answer = question("Where do I cut?")


@st.cache_resource(max_entries=4, show_spinner=False)
def tuning(key: tuple) -> Tuning:
    return Tuning(corpus)


def use_recipe(add: bool) -> None:
    name = st.session_state.recipe
    if name:
        rules.use(current_filters() | recipes[name] if add else recipes[name], f"{'add' if add else 'use'} recipe {name}")


def add_rule() -> None:
    if st.session_state.new_rule:
        rules.add(st.session_state.new_rule)
        st.session_state.new_rule = None


lines = rules.lines()
with st.container(horizontal=True, vertical_alignment="bottom", key="filters_tools"):
    chosen = st.selectbox(
        "Start from a published recipe",
        list(recipes),
        index=None,
        placeholder="recipe",
        key="recipe",
        width=200,
        format_func=lambda n: f"{n} · {len(recipes[n].filters)} {'rule' if len(recipes[n].filters) == 1 else 'rules'}",
    )
    st.button("Use", on_click=use_recipe, args=(False,), disabled=not chosen, help="Replace the rules by the recipe's", key="recipe_use")
    st.button("Add", on_click=use_recipe, args=(True,), disabled=not chosen, help="Keep the rules and add the recipe's", key="recipe_add")
    taken = {line.signal for line in lines}
    st.selectbox(
        "Add a rule",
        [c for c in corpus.columns.numeric() if c not in taken],
        index=None,
        placeholder="signal or number column",
        key="new_rule",
        on_change=add_rule,
        width=230,
        help="Every computed signal and every number column of the corpus",
        format_func=lambda n: f"{n} · {s.unit}" if (s := find_signal(n)) else f"{n} · column",
    )
    predicate.where_input()
    with (
        st.popover("Pick values", help="Keep or leave out some languages, sources, …", key="pick_values", on_change="rerun") as picking,
        guarded("listing values"),
    ):
        if picking.open:
            predicate.value_picker(corpus)
    with (
        st.popover("Then sample", help="After the rules: choose among what passes", key="then_sample", on_change="rerun") as sample,
        guarded("drawing the sampler"),
    ):
        if sample.open:
            sampling.sampler(corpus)
if refused := st.session_state.get("where_problem"):
    st.error(f"The condition was not used. {plain(refused)}", icon=":material/error:")
named = dict.fromkeys(n for n in [chosen, *current_filters().name.split(" + ")] if n in list(recipes))
for name in named:
    st.caption(f"**{plain(name)}**  {plain(recipes[name].about)} *{plain(recipes[name].source)}*")

coverage = corpus.coverage()
lacking = needs(corpus, current_filters())
if lacking:
    answer("Some rules wait for signals that are not computed yet.")
    offer_to_score(corpus, lacking)
    st.stop()
if problem := st.session_state.pop("panel_problem", None):
    st.warning(plain(problem), icon=":material/undo:")
partly = {s: n for line in lines if coverage.of(s := line.signal) and (n := coverage.scored_rows(s)) < len(corpus)}
if partly:
    least = min(partly, key=partly.__getitem__)
    st.warning(
        f"{len(partly)} of the rules read signals that are computed for part of the corpus ({plain(least)}: {exact(partly[least])} of {exact(len(corpus))} documents). The others count as undefined.",
        icon=":material/functions:",
    )
    unfinished = sorted({s.family for name in partly if (s := find_signal(name))})
    st.button("Score the rest", on_click=start_scoring, args=(corpus, unfinished), key="score_rest")

by_choices = [
    c
    for c in ("source", "language", "year")
    if c == "source" or getattr(corpus.roles, "date" if c == "year" else c) or (c == "language" and coverage.of("lang"))
]
by = st.session_state.get("panel_by", "source")
filters = current_filters()
with st.spinner("Reading the rules' columns …"):
    tuned = tuning(place_key(corpus)).tuned(
        [line.for_tuning() for line in lines],
        where=filters.where,
        by=by if by in by_choices else "source",
        disabled=frozenset(i for i, line in enumerate(lines) if not line.active),
    )
if not lines:
    answer("Every document is kept: there is no rule yet." if not filters.where else "No rule yet; the predicate alone decides.")
    st.info(
        "Start from a published recipe, or add a rule on any signal or number column above; its distribution and cut appear here."
        + ("" if len(corpus) else " The files hold no rows, so nothing can be cut yet."),
        icon=":material/filter_alt:",
    )
else:
    if len(corpus) and not tuned.curves.kept_documents.sum():
        st.warning(plain(" ".join(current_selection().summary().warnings)), icon=":material/filter_alt_off:")
    answer(evidence.verdict(tuned, [i for i, line in enumerate(lines) if line.active]))
    cut_panel(
        tuned.curves,
        rules.panel_rules(lines, tuned.edges),
        Groups(tuned.groups.labels or ("no document",), tuned.groups.by, by_choices),
        totals=Totals(
            len(corpus),
            tuned.all_tokens,
            f"≈ tokens ({tuned.tokens.label})" if tuned.tokens.estimated else f"tokens ({tuned.tokens.label})",
        ),
        key="cuts",
        height=PANEL_HEIGHT if len(lines) > FEW_LINES else None,
        on_change=rules.apply,
    )

selection = current_selection()
with guarded("applying the sampler"):
    if said := sampling.effect(selection):
        st.markdown(said)
near, reasons, order, bias, versus, config = st.tabs(
    ["Near the cut", "Dropped and kept", "Funnel", "Who loses?", "Compare recipes", "As pipeline config"], on_change="rerun", key="evidence"
)
if near.open:
    with near, guarded("drawing the documents near the cut"):
        line = rules.focused(lines, tuned.curves.only_this[0])
        if line is None or line.threshold is None:
            st.caption("Set a cut, and the documents on both sides of it appear here.")
        else:
            evidence.near_the_cut(selection, line.threshold)
if reasons.open:
    with reasons, guarded("drawing what is dropped"):
        evidence.by_reason(selection)
if order.open:
    with order, guarded("drawing the funnel"):
        evidence.funnel(selection)
if bias.open:
    with bias, guarded("comparing the groups"):
        evidence.who_loses(selection)
if versus.open:
    with versus, guarded("comparing recipes"):
        evidence.compare_recipes()
if config.open:
    with config, guarded("writing the configuration"):
        from explorer.ui.pipelines import pipeline_config

        pipeline_config(filters)
