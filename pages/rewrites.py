"""Can I trust the rewrites?"""

import streamlit as st

from explorer.rewrites.pairs import Pairs
from explorer.ui import pair_figures, pair_reader
from explorer.ui import pairs as listing
from explorer.ui.errors import guarded
from explorer.ui.frame import question
from explorer.ui.state import current_corpus, current_selection

pairs = current_corpus()
answer = question("Can I trust the rewrites?")
if not isinstance(pairs, Pairs):
    answer("No rewrites of these documents are open yet.")
    listing.open_form(pairs)
    st.stop()
if not len(pairs):
    answer("The files hold no rows: there is no rewrite to read.")
    st.stop()
with guarded("summing up"):
    answer(listing.answer(pairs))
with guarded("offering the audit"):
    listing.audit_panel(pairs)


@st.fragment
def read() -> None:
    """List and reader run by themselves, so that a key is answered without drawing the rest of the page anew."""
    with guarded("listing the pairs"):
        what, within = listing.toolbar(pairs)
        found = listing.results(pairs, what, within)
        if found is None:
            return
        if not len(found.rows):
            st.info(listing.why_empty(pairs), icon=":material/search_off:")
            return
        with st.container(key="pairs_split"):
            left, right = st.columns([4, 9], gap="medium")
            with left:
                row = listing.listing(pairs, found, what.sort)
            with right, guarded("reading a pair"):
                pair_reader.read_pair(pairs, current_selection(), row, after=lambda: listing.go_on(found))


read()
with guarded("drawing the figures"):
    pair_figures.figures(pairs, current_selection())
