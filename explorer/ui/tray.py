"""The job tray: what is being computed, how far it is, how to stop it, and why it ended when it did not end well."""

from __future__ import annotations

from html import escape

import streamlit as st

from explorer import jobs
from explorer.corpus.corpus import Corpus
from explorer.jobs import ENDED, Job
from explorer.ui import errors
from explorer.ui.errors import guarded
from explorer.ui.format import duration, exact, share, short, size

LOOK_EVERY = 1.0  # seconds
MOST_ENDED = 3


def tray(corpus: Corpus) -> None:
    """Draw the jobs of the corpus' workspace: those that run, and the last few that ended badly or were stopped."""
    known = jobs.jobs(corpus.workspace)
    running = [job.id for job in known if job.state not in ENDED]
    if not known:
        return
    st.html('<h2 class="heading">Jobs</h2>')

    @st.fragment(run_every=LOOK_EVERY if running else None)
    def look() -> None:
        now = jobs.jobs(corpus.workspace)
        states = {job.id: job.state for job in now}
        if any(states.get(id, "done") in ENDED for id in running):
            st.rerun()  # once: the next run of the page sees what was computed, and this one no longer runs
        for job in [job for job in now if states[job.id] not in ENDED]:
            _running(job)
        for job in [job for job in now if states[job.id] in ENDED][:MOST_ENDED]:
            _ended(job)

    look()


def _running(job: Job) -> None:
    progress = job.progress
    part = min(1.0, progress.done / progress.total) if progress.total else 0.0
    said = [f"{short(progress.done)} of {short(progress.total)}" if progress.total else "starting …"]
    said += [progress.doing] if progress.doing else []
    said += [f"{short(progress.rate)}/s"] if progress.rate else []
    said += [f"{duration(progress.remaining)} left"] if progress.remaining else []
    said += [progress.device] if progress.device else []
    said += [f"{size(progress.memory)} held"] if progress.memory and progress.device else []
    st.html(
        f'<div class="job"><b>{escape(job.label)}</b><span class="quiet">{share(part) if progress.total else ""}</span>'
        f'<div class="track" role="progressbar" aria-valuenow="{100 * part:.0f}" aria-label="{escape(job.label, quote=True)}"><i style="width:{100 * part:.1f}%"></i></div>'
        f'<div class="quiet" title="{exact(progress.done)} of {exact(progress.total)} documents">{escape(" · ".join(said))}</div></div>'
    )
    if (job.folder / "cancel").exists():
        st.caption("Stopping: what is in flight is finished and kept.")
    elif st.button("Cancel", key=f"cancel_{job.id}", type="tertiary", help="Stop; what is finished is kept"):
        with guarded("stopping a job"):
            job.cancel()
            st.rerun(scope="fragment")


def _ended(job: Job) -> None:
    progress, how = job.progress, job.state
    mark = {"done": "✓", "cancelled": "◦"}.get(how, "✗")
    said = (
        (f"{short(progress.done)} documents" if progress.total else "finished")
        if how == "done"
        else f"{how}, {short(progress.done)} of {short(progress.total)} kept"
    )
    st.html(f'<div class="job"><b><span aria-hidden="true">{mark}</span> {escape(job.label)}</b><div class="quiet">{said}</div></div>')
    if job.error:
        st.caption(errors.plain(job.error))
    with st.container(horizontal=True, gap="xsmall"):
        if how != "done" and st.button("Resume", key=f"resume_{job.id}", type="tertiary", help="Carry on from what is there"):
            with guarded("resuming a job"):
                jobs.resume(job)
                st.rerun()
        if st.button("Dismiss", key=f"forget_{job.id}", type="tertiary", help="Remove it from this list; what it computed stays"):
            with guarded("removing a job's record"):
                jobs.forget(job)
                st.rerun()
