"""What are the themes? Every document as a point, those about the same thing side by side."""

import streamlit as st

from explorer.ui import map as themes_map
from explorer.ui.errors import guarded
from explorer.ui.frame import question
from explorer.ui.state import current_corpus, current_selection

corpus, selection = current_corpus(), current_selection()
themes_map.style()
answer = question("What are the themes?")
if not len(corpus):
    answer("The files hold no rows: there is nothing to place yet.")
    st.stop()
place = themes_map.placed(corpus)
with guarded("offering to make the map"):
    said = themes_map.offer(corpus, place)
    if place is None:
        answer(said)
if place is None:
    st.stop()
levels = themes_map.themes(corpus)
answer(themes_map.answer_line(corpus, place, levels))
themes_map.forget_others(place)
held = themes_map.waits(place)
by, query = themes_map.toolbar(corpus, selection, held=held)
with st.container(key="map_search", gap=None):  # a place of its own: what moves in the order of elements is drawn anew, the map too
    hits = themes_map.found_by(corpus, query)
with st.container(key="map_split"):
    left, right = st.columns([5, 3], gap="medium")
    with left, guarded("drawing the map"):
        themes_map.draw_map(corpus, selection, place, by, hits)
    if not held:
        with right:
            themes_map.beside(corpus, selection, place, hits, query)
themes_map.pointed_at(corpus, place)
if levels and not held:
    themes_map.below(corpus, selection, levels)
