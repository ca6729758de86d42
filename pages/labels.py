"""Teach it my taste: label documents, train a scorer, see how good it is, score the corpus with it."""

import streamlit as st

from explorer.ui import labels
from explorer.ui.document import read_document
from explorer.ui.errors import guarded
from explorer.ui.frame import question
from explorer.ui.state import current_corpus, current_selection

LABEL, EVERY, TRAIN = "Label", "All labels", "Train and judge"

corpus = current_corpus()
answer = question("Teach it my taste.")
if not len(corpus):
    answer("The files hold no rows: there is nothing to label.")
    st.stop()
view = st.segmented_control("View", [LABEL, EVERY, TRAIN], default=LABEL, key="labels_view", label_visibility="collapsed") or LABEL
answer(labels.short_answer(corpus))


@st.fragment
def label() -> None:
    """Queue and reader run by themselves, so that a key is answered without drawing the rest of the page anew."""
    with guarded("drawing the queue"):
        labels.progress(corpus)
        way, settings = labels.toolbar(corpus)
        rows = labels.queue(corpus, way, settings)
        if not len(rows):
            st.info(labels.why_empty(corpus, way, settings), icon=":material/search_off:")
            return
        with st.container(key="labels_split"):
            left, right = st.columns([5, 8], gap="medium")
            with left:
                row = labels.listing(corpus, rows, [c for c in settings if c in corpus.columns.numeric()])
            with right:
                if row is not None:
                    labels.label_buttons(row, key="labels", after=lambda: labels.go_on(corpus, rows))
                    with guarded("reading a document"):
                        read_document(corpus, current_selection(), row, labels.NONE)


if view == LABEL:
    label()
elif view == EVERY:
    labels.progress(corpus)
    labels.elsewhere(corpus)
    labels.table(corpus)
else:
    counts = labels.progress(corpus)
    with guarded("drawing the form"):
        labels.training(corpus, counts)
    with guarded("drawing the results"):
        labels.results(corpus)
