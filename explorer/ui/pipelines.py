"""The current filters as configurations of the pipelines that will run them at scale."""

from __future__ import annotations

import streamlit as st

from explorer.selection.filters import Filters
from explorer.selection.pipelines import PIPELINES, to_pipeline
from explorer.ui.errors import plain


def pipeline_config(filters: Filters) -> None:
    """Choose a pipeline, read and download its configuration, and see what it cannot express."""
    if not filters:
        st.caption("There is nothing to write: no rule is set.")
        return
    name = st.segmented_control(
        "Pipeline", list(PIPELINES), default=next(iter(PIPELINES)), label_visibility="collapsed", key="pipeline"
    ) or next(iter(PIPELINES))
    config = to_pipeline(filters, name)
    for lost in config.lost:
        st.warning(plain(lost), icon=":material/report:")
    st.code(config.text, language=config.language)
    st.download_button(f"Download {config.filename}", config.text, config.filename)
