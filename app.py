"""Corpus Explorer in the browser: ``streamlit run app.py -- PATH… [--workspace DIR]``; without a path, the sample corpus."""

from pathlib import Path

import streamlit as st

if __name__ == "__main__":  # a page is drawn
    from explorer.ui.frame import run

    run(Path(__file__))
else:  # the server starts
    from explorer.ui.server import middleware, prepared

    app = st.App(__file__, lifespan=prepared, middleware=middleware)
