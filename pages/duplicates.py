"""What is repeated? Copies, near copies, lines that stand everywhere, and what keeping one of each saves."""

import streamlit as st

from explorer.ui import duplicate_groups, duplicate_keepers, duplicate_searches, duplicates
from explorer.ui.errors import guarded
from explorer.ui.frame import question
from explorer.ui.repeated_lines import repeated_lines
from explorer.ui.state import current_corpus

corpus = current_corpus()
duplicates.style()
answer = question("What is repeated?")
if not len(corpus):
    answer("The files hold no rows: there is nothing to compare yet.")
    st.stop()
name = duplicates.choose(corpus)
found = None
with guarded("looking for what was searched"):
    found = duplicate_searches.pick(corpus, name)
if found is None:
    answer(duplicates.answer_line(corpus, name, None))
    st.stop()
alias, side = found
if name == "lines":
    answer(duplicates.answer_line(corpus, name, None))
    with guarded("drawing the repeated lines"):
        repeated_lines(corpus, side)
    st.stop()
if not duplicate_searches.found_in(name, side)[0]:
    answer(duplicates.answer_line(corpus, name, None))
    st.stop()  # the search has said why there is none
chosen = None
with guarded("choosing which one stays"):
    chosen = duplicate_keepers.keeper_panel(corpus, name, alias, side)
answer(duplicates.answer_line(corpus, name, chosen))
if chosen is None:
    st.stop()
rule, kept = chosen
sort, among, wanted = duplicate_groups.toolbar(name)
with st.container(key="dup_split"):
    left, right = st.columns([4, 7], gap="medium")
    group = None
    with left, guarded("listing the groups"):
        group = duplicate_groups.listing(corpus, name, alias, rule, kept, sort, among, wanted)
    if group is not None:
        with right, guarded("reading a group"):
            duplicate_groups.read(corpus, name, alias, side, group, rule, kept)
with guarded("counting what is saved"):
    duplicate_keepers.savings_tables(corpus, name, alias, kept)
