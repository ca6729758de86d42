"""Show me: search, sort and read single documents; ask with SQL."""

import streamlit as st

from explorer.errors import EmbeddingError, ExplorerError, ModelError
from explorer.ui import documents
from explorer.ui.document import read_document
from explorer.ui.errors import guarded, show
from explorer.ui.frame import question
from explorer.ui.scoring import embed_panel, progress, running
from explorer.ui.state import current_corpus, current_selection

corpus = current_corpus()
answer = question("Show me.")
if not len(corpus):
    answer("The files hold no rows: there is nothing to read yet.")
    st.stop()
documents.focus_line()
what, within, columns = documents.toolbar(corpus)
with guarded("asking with SQL"):
    documents.sql_drawer(corpus)
with guarded("finding documents"):
    future = documents.results(corpus, what, within)
    if not future.done():
        answer("Searching …")
        documents.searching(future, what)
    elif isinstance(error := future.exception(), ExplorerError):
        answer("The search could not be run.")
        show(error)
        if isinstance(error, EmbeddingError | ModelError):
            job = running(corpus, "embed")
            if job is not None:
                progress(job)
            else:
                embed_panel(corpus)
    else:
        found = future.result()
        answer(documents.answer(corpus, found, what, within))
        page, pages, rows = documents.current_page(found)
        if rows:
            with st.container(key="documents_split"):
                left, right = st.columns([6, 7], gap="medium")
                with left:
                    row = documents.listing(corpus, found, page, pages, what, columns)
                with right, guarded("reading a document"):
                    read_document(corpus, current_selection(), row, what)
        else:
            st.info("No document matches. Loosen the search, look among all documents, or clear the filters.", icon=":material/search_off:")
