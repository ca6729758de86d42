"""Corpus Explorer in the browser: ``streamlit run app.py -- PATH… [--workspace DIR]``; without a path, the sample corpus."""

from pathlib import Path

from explorer.ui.frame import run

run(Path(__file__))
