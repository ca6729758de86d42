"""What can I measure, and how is it distributed?"""

import numpy as np
import polars as pl
import streamlit as st

from explorer.engine.local import score_sample
from explorer.registry import find_signal, fitting
from explorer.ui import agreement, distributions, rules
from explorer.ui.errors import guarded, plain
from explorer.ui.format import counted, exact
from explorer.ui.frame import go, heading, question
from explorer.ui.scoring import grow, score_panel
from explorer.ui.state import corpus_key, current_corpus, current_selection

corpus, selection = current_corpus(), current_selection()
answer = question("What can I measure, and how is it distributed?")
coverage = corpus.coverage()
known = fitting(corpus)
numeric = corpus.columns.numeric()
own = [name for name in numeric if coverage.of(name) is None]  # columns of the files, one named like a signal that is not computed too
signals = [s for f in known.values() for s in f.signals]
computed = [s for s in signals if coverage.of(s.name)]
answer(
    f"<b>{len(signals)}</b> signals in {len(known)} families; <b>{len(computed)}</b> computed here, and {counted(len(own), 'number column')} came with the corpus."
)


small = distributions.small_histograms(corpus, numeric) if len(corpus) else {}


@st.cache_data(max_entries=16, show_spinner="Computing 200 documents …")
def tried(key: object, targets: tuple[str, ...]) -> tuple[dict[str, np.ndarray], int]:
    n, table = score_sample(corpus, targets, 200, seed=0)
    numbers = [name for name in table.column_names if (s := find_signal(name)) and s.dtype != "string"]
    return {name: table[name].to_numpy().astype(np.float64) for name in numbers}, n


def row(name: str) -> dict[str, object]:
    signal = None if name in own else find_signal(name)
    scored = coverage.scored_rows(name) if signal else len(corpus)
    return {
        "signal": name,
        "what it says": signal.about if signal else "a column of the corpus",
        "unit": signal.unit if signal else "",
        "computed": scored / max(1, len(corpus)),
        "distribution": (small or {}).get(name),
        "family": signal.family if signal else "(column)",
        "source": signal.source if signal else "",
    }


with guarded("offering to score"):
    targets = score_panel(
        corpus, known, [f.name for f in known.values() if f.scope == "document" and not f.learned and "tokenizer" not in f.defaults]
    )
    grow(corpus)
with st.container(horizontal=True, vertical_alignment="bottom"):
    wanted = st.text_input("Find a signal", placeholder="name, unit, paper …", key="sig_find", width=260)
    only = st.segmented_control("Show", ["all", "computed"], default="all", key="sig_show")
    st.toggle(
        "Try on 200 documents",
        key="sig_try",
        help="Compute now for a seeded sample, nothing stored: see what a signal says before scoring everything",
    )
    st.toggle(
        "Which say the same?",
        key="sig_redundant",
        help="Rank correlation of everything computed: signals that order documents alike need only one cut",
    )
    st.toggle(
        "Do two agree?",
        key="sig_agree",
        help="Two scorers against each other: overlap against chance, documents they disagree on, and whom each favours",
    )

names = [
    n
    for n in dict.fromkeys([*own, *coverage.columns(), *(s.name for s in signals if only != "computed")])
    if not wanted
    or wanted.lower()
    in f"{n} {getattr(find_signal(n), 'about', '')} {getattr(find_signal(n), 'source', '')} {getattr(find_signal(n), 'unit', '')}".lower()
]
names.sort(key=lambda n: not (coverage.of(n) or n in own))
if st.session_state.get("sig_redundant"):
    with guarded("comparing all signals"):
        distributions.redundancy(corpus, numeric)
if st.session_state.get("sig_agree"):
    with guarded("comparing two scorers"):
        agreement.section(selection, numeric)
if st.session_state.get("sig_try"):
    with guarded("trying the signals"):
        distributions.sample_histograms(
            *tried(corpus_key(corpus), tuple(t for t in targets if known[t].scope == "document" and not known[t].learned)), len(corpus)
        )
if not names:
    st.info(f"No signal matches {plain(repr(wanted))}." if wanted else "Nothing is computed yet.", icon=":material/search_off:")
    st.stop()
rows = pl.DataFrame(
    [row(n) for n in names],
    schema={
        "signal": pl.String,
        "what it says": pl.String,
        "unit": pl.String,
        "computed": pl.Float64,
        "distribution": pl.List(pl.Int64),
        "family": pl.String,
        "source": pl.String,
    },
)
picked = st.dataframe(
    rows,
    key="sig_table",
    hide_index=True,
    height=330,
    width="stretch",
    on_select="rerun",
    selection_mode="single-row",
    column_config={
        "signal": st.column_config.TextColumn(width="medium", pinned=True),
        "what it says": st.column_config.TextColumn(width="large"),
        "computed": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1, width="small"),
        "distribution": st.column_config.BarChartColumn(
            "distribution", width="small", help="Low values left; from about 200,000 documents when there are more"
        ),
    },
)
at = picked.selection.rows
there = [n for n in names if n in own or coverage.of(n)]
scored = [n for n in there if coverage.of(n)]
name = names[at[0]] if at and at[0] < len(names) else next((n for n in [*scored, *there] if n in numeric), next(iter(scored), None))
if name is None:
    st.info("Nothing is computed yet. Score all documents, or try the signals on 200 of them.", icon=":material/functions:")
    st.stop()

heading(name)
with guarded("showing the signal"):
    distributions.definition(find_signal(name), name)
    if name not in numeric:
        if coverage.of(name):
            distributions.text_signal(corpus, name)
        else:
            st.info("Not computed yet for this corpus. Score it above, or try it on 200 documents.", icon=":material/functions:")
        st.stop()
    choices = [
        c
        for c in ("source", "language", "year")
        if c == "source" or getattr(corpus.roles, "date" if c == "year" else c) or (c == "language" and coverage.of("lang"))
    ]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = st.segmented_control("Split by", choices, default="source", key="sig_by") or "source"
        other = st.selectbox(
            "Compare with", [n for n in numeric if n != name], index=None, placeholder="another signal", key="sig_other", width=280
        )
        if st.button("Filter on it", key="sig_filter", help="Add a rule on the Filters page"):
            rules.add(name)
            go("filters")
    if other:
        distributions.two_signals(selection, name, other)
    else:
        distributions.one_signal(corpus, name, by, key="sig")
        heading("Documents along the range", f"lowest, middling and highest of {exact(len(corpus))}")
        distributions.along(selection, name)
