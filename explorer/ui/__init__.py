"""The app: one frame, one selection, thin pages. Only this package, pages/ and app.py import Streamlit."""
