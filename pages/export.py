"""How do I train on exactly this?"""

import streamlit as st

from explorer.selection.needs import needs
from explorer.ui import exporting
from explorer.ui.errors import guarded
from explorer.ui.frame import heading, question
from explorer.ui.scoring import offer_to_score
from explorer.ui.state import current_corpus, current_filters, current_selection

corpus = current_corpus()
answer = question("How do I train on exactly this?")
lacking = needs(corpus, current_filters())
if lacking:
    answer("The selection waits for signals that are not computed yet.")
    offer_to_score(corpus, lacking)
    st.stop()

selection = current_selection()
with guarded("counting the selection"):
    answer(exporting.kept_line(selection))
heading("1 · Manifest", "one file that says which documents, how often and in which order; the same inputs give the same bytes")
exporting.manifest_form(selection)
st.caption(
    "Of this selection alone. Several sources, weights and stages are mixed on the Mixture page, which writes its manifest here too."
)
exporting.running(corpus)

names = exporting.manifests(corpus)
if not names:
    st.info("No manifest is in this workspace yet. Write one above; then choose a trainer here.", icon=":material/description:")
    st.stop()
with st.container(horizontal=True, vertical_alignment="bottom"):
    if st.session_state.get("export_manifest") not in names:
        st.session_state.export_manifest = names[0]
    name = st.selectbox("Manifest", names, key="export_manifest", width=260)
manifest = exporting.load(corpus, name)
if manifest is None:
    st.stop()
with guarded("showing the manifest"):
    exporting.made_from_others(selection, manifest)
    exporting.manifest_card(manifest)
    exporting.manifest_table(corpus, manifest)
    exporting.prove(corpus.workspace.path / "manifests" / name, "the manifest")
heading("2 · Trainer files", "written from the manifest alone")
with guarded("exporting"):
    exporting.trainer_form(corpus, manifest)
