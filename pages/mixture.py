"""What will the model see?"""

from html import escape

import streamlit as st

from explorer.ui import errors, mixing, mixing_files, mixing_sources, mixing_stages
from explorer.ui.background import watch
from explorer.ui.errors import guarded
from explorer.ui.frame import question
from explorer.ui.mixing_figures import NO_BAR, budget_bars, flow

FLOW, COMPARE, SHARED, ADVICE, RECIPE = "Where every token comes from", "Compare", "In several sources", "Advice", "As a recipe"


def body() -> None:
    answer = question("What will the model see?")
    mixing.refresh()
    mixture = mixing.current()
    counts = mixing.counting(mixture)
    pending = [future for _, future in counts.values() if not future.done()]
    ready = {n: f.result() for n, (_, f) in counts.items() if f.done() and f.exception() is None}
    known = len(ready) == len(mixture.sources) > 0
    if known and mixing.blank(mixture):
        mixture = mixing.settle(mixture, {n: r.counted.unique.tokens for n, r in ready.items()})
    found, problem = mixing.outcome(mixture, counts) if known else (None, None)
    if not mixture.sources:
        answer("Nothing: no source is chosen yet.")
    elif pending:
        answer(f"Counting {', '.join(escape(n) for n in counts if n not in ready)} …")
        watch(*pending, caption=lambda: mixing.how_far(counts))
    elif found is not None:
        answer(mixing.answer(found))
    else:
        answer("The mixture cannot be worked out as it stands." if problem else "…")
    st.html(f"<style>{mixing_sources.STYLE.read_text(encoding='utf-8')}</style>")
    mixing_files.tools(mixture)
    if problem is not None:
        errors.show(problem)
    by, others = mixing_sources.of_source(found, mixture)
    if found is not None:
        st.html(budget_bars(mixture, found))
    for warning in others:
        st.warning(errors.plain(warning), icon=":material/info:")
    if mixture.sources:
        at = mixing_sources.which_stage(mixture)
        mixing_sources.head(mixture, at)
        for place, source in enumerate(mixture.sources):
            with guarded(f"drawing {source.name}"):
                mixing_sources.row(mixture, at, place, counts, found, by[source.name])
        mixing_sources.foot(mixture, at)
    tokens = {s.name: s.tokens for s in found.sources} if found is not None else None
    with guarded("drawing the stages"):
        mixing_stages.stages(mixture, found, tokens)
    with guarded("offering the manifest"):
        mixing_files.write(mixture, found is not None)
    views = st.tabs([FLOW, COMPARE, SHARED, ADVICE, RECIPE], on_change="rerun", key="mix_views")
    if views[0].open:
        with views[0], guarded("drawing the flow of tokens"):
            if found is not None and found.tokens > 0:
                st.plotly_chart(flow(mixture, found, ready), width="stretch", theme=None, config=NO_BAR, key="mix_flow")
            else:
                st.caption("Here every token's way is drawn, from the corpora through the filters to the stages, once there are any.")
    if views[1].open:
        with views[1], guarded("comparing mixtures"):
            from explorer.ui.mixing_compare import compare

            compare(mixture)
    if views[2].open:
        with views[2], guarded("looking for shared documents"):
            from explorer.ui.mixing_compare import shared

            shared(ready)
    if views[3].open:
        with views[3], guarded("giving advice"):
            from explorer.ui.mixing_advice import advice

            advice(mixture, ready)
    if views[4].open:
        with views[4], guarded("writing the recipe"):
            mixing_files.recipe(mixture)


st.fragment(body)()
