"""Start scoring from a page: as a job of its own, the same command a user would type."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from explorer import jobs
from explorer.corpus.corpus import Corpus
from explorer.jobs import ENDED
from explorer.selection.needs import Needs
from explorer.ui.errors import guarded, plain
from explorer.ui.format import counted, duration, short
from explorer.ui.state import current_place


def score_command(corpus: Corpus, families: Sequence[str]) -> list[str]:
    """The command that computes families for the open corpus."""
    place = current_place()
    roles = [part for role, column in place.roles for part in (f"--{role}", column)]
    return ["score", *place.paths, "-s", ",".join(families), "--workspace", str(corpus.workspace.path), *roles]


def start_scoring(corpus: Corpus, families: Sequence[str], label: str = "") -> None:
    """Start the job, or find the one that already runs; the tray shows it."""
    with guarded("starting the job"):
        jobs.start(corpus.workspace, score_command(corpus, families), label or f"score {', '.join(families)}")
        st.toast("Scoring has started. The tray in the sidebar shows how far it is.", icon=":material/play_arrow:")


def offer_to_score(corpus: Corpus, lacking: Needs) -> None:
    """Say what is not computed and offer to compute it, or show how far that is."""
    if lacking.unknown:
        st.warning(
            f"The corpus has no column {plain(', '.join(lacking.unknown))}. Remove that rule, or open a corpus that has it.",
            icon=":material/help:",
        )
    if not lacking.families:
        return
    said = f"{counted(len(lacking.signals), 'signal')} of these rules are not computed here yet: {plain(', '.join(lacking.families))}."
    st.info(said, icon=":material/functions:")
    running = next((j for j in jobs.jobs(corpus.workspace) if j.command[:1] == ("score",) and j.state not in ENDED), None)
    if running is None:
        label = f"Score {counted(len(corpus), 'document')} now"
        st.button(label, type="primary", key="score_lacking", on_click=start_scoring, args=(corpus, lacking.families))
        return

    @st.fragment(run_every=0.5)
    def progress() -> None:
        now = running.progress
        if running.state in ENDED:
            st.rerun()
        rate = f" · {short(now.rate)} a second" if now.rate else ""
        left = f" · {duration(now.remaining)} left" if now.remaining else ""
        st.progress(
            min(1.0, now.done / now.total) if now.total else 0.0,
            text=f"{short(now.done)} of {short(len(corpus))} documents scored{rate}{left}",
        )

    progress()
