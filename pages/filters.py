"""Where do I cut?"""

from dataclasses import replace

import streamlit as st

from explorer.registry import find_signal
from explorer.selection.needs import needs
from explorer.selection.recipes import recipes
from explorer.selection.tuning import Tuning
from explorer.ui import evidence, rules
from explorer.ui.cuts import Groups, Totals, cut_panel
from explorer.ui.errors import guarded, plain
from explorer.ui.frame import question
from explorer.ui.scoring import offer_to_score
from explorer.ui.state import current_corpus, current_filters, current_selection, set_filters

corpus = current_corpus()
answer = question("Where do I cut?")


@st.cache_resource(max_entries=4, show_spinner=False)
def tuning(fingerprint: str, workspace: str) -> Tuning:
    return Tuning(corpus)


def use_recipe(add: bool) -> None:
    name = st.session_state.recipe
    if name:
        rules.use(current_filters() | recipes[name] if add else recipes[name], f"{'add' if add else 'use'} recipe {name}")


def add_rule() -> None:
    if st.session_state.new_rule:
        rules.add(st.session_state.new_rule)
        st.session_state.new_rule = None


def set_where() -> None:
    set_filters(replace(current_filters(), where=st.session_state.where_sql.strip()), "where")


lines = rules.lines()
with st.container(horizontal=True, vertical_alignment="bottom", key="filters_tools"):
    st.selectbox(
        "Start from a published recipe",
        list(recipes),
        index=None,
        placeholder="recipe",
        key="recipe",
        width=230,
        format_func=lambda n: f"{n} · {len(recipes[n].filters)} rules",
    )
    chosen = st.session_state.get("recipe")
    st.button("Use", on_click=use_recipe, args=(False,), disabled=not chosen, help="Replace the rules by the recipe's", key="recipe_use")
    st.button("Add", on_click=use_recipe, args=(True,), disabled=not chosen, help="Keep the rules and add the recipe's", key="recipe_add")
    taken = {line.signal for line in lines}
    free = [c for c in corpus.columns.numeric() if c not in taken]
    st.selectbox(
        "Add a rule",
        free,
        index=None,
        placeholder="signal or number column",
        key="new_rule",
        on_change=add_rule,
        width=260,
        help="Every computed signal and every number column of the corpus",
        format_func=lambda n: f"{n} · {s.unit}" if (s := find_signal(n)) else f"{n} · column",
    )
    st.session_state.setdefault("where_sql", current_filters().where)
    if st.session_state.where_sql != current_filters().where and st.session_state.get("where_seen") != current_filters().where:
        st.session_state.where_sql = current_filters().where
    st.session_state.where_seen = current_filters().where
    st.text_input(
        "And where (SQL)",
        key="where_sql",
        on_change=set_where,
        placeholder="language = 'en' AND length(text) > 200",
        help="Any condition over the corpus' columns and computed signals",
    )
if chosen:
    st.caption(f"{plain(recipes[chosen].about)} — {plain(recipes[chosen].source)}")

lacking = needs(corpus, current_filters())
if lacking:
    answer("Some rules wait for signals that are not computed yet.")
    offer_to_score(corpus, lacking)
    st.stop()

by_choices = [c for c in ("source", "language", "year") if getattr(corpus.roles, "date" if c == "year" else c) or c == "source"]
by = st.session_state.get("panel_by", "source")
filters = current_filters()
tuned = tuning(corpus.fingerprint, str(corpus.workspace.path)).tuned(
    [line.for_tuning() for line in lines],
    where=filters.where,
    by=by if by in by_choices else "source",
    disabled=frozenset(i for i, line in enumerate(lines) if not line.active),
)
answer(evidence.totals_line(tuned))
if not lines:
    st.info(
        "There is no rule yet: every document is kept. Start from a published recipe, or add a rule on any signal or number column above.",
        icon=":material/filter_alt:",
    )
else:
    cut_panel(
        tuned.curves,
        rules.panel_rules(lines, tuned.edges),
        Groups(tuned.groups.labels, tuned.groups.by, by_choices),
        totals=Totals(
            len(corpus),
            float(tuned.tokens.values.sum()),
            f"≈ tokens ({tuned.tokens.label})" if tuned.tokens.estimated else f"tokens ({tuned.tokens.label})",
        ),
        key="cuts",
        height=600 if len(lines) > 6 else None,  # the documents beneath stay in reach
        on_change=rules.apply,
    )

near, reasons, order, bias, versus, config = st.tabs(
    ["Near the cut", "Dropped and kept", "Funnel", "Who loses?", "Compare recipes", "As pipeline config"], on_change="rerun", key="evidence"
)
selection = current_selection()
if near.open:
    with near, guarded("drawing the documents near the cut"):
        line = rules.focused(lines)
        if line is None or line.threshold is None:
            st.caption("Set a cut, and the documents on both sides of it appear here.")
        else:
            st.caption(f"{plain(str(line.threshold))}. Touch another rule above to see its documents.")
            evidence.near_the_cut(selection, line.threshold)
if reasons.open:
    with reasons, guarded("drawing what is dropped"):
        evidence.by_reason(selection, tuned)
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
