"""Start scoring from a page: as a job of its own, the same command a user would type."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import streamlit as st

from explorer import jobs
from explorer.corpus.corpus import Corpus
from explorer.corpus.workspace import write_text
from explorer.jobs import ENDED, Job
from explorer.models.hub import MINILM
from explorer.registry import Family, find
from explorer.selection.needs import Needs
from explorer.ui.errors import guarded, plain
from explorer.ui.format import counted, duration, short
from explorer.ui.state import current_filters, current_place

SELECTION, SAMPLE, ALL = "selection", "sample", "all"
DEVICES = ("auto", "cpu", "cuda", "mps")


def command(corpus: Corpus, name: str, *options: str) -> list[str]:
    """A command over the open corpus: ``explorer NAME PATH… OPTIONS``."""
    place = replace(current_place(), workspace=str(corpus.workspace.path))
    words = place.arguments()
    return [name, *words[: len(place.paths)], *options, *words[len(place.paths) :]]


def score_command(corpus: Corpus, families: Sequence[str], *options: str) -> list[str]:
    """The command that computes families for the open corpus."""
    return command(corpus, "score", "-s", ",".join(families), *options)


def start(corpus: Corpus, line: Sequence[str], label: str) -> None:
    """Start a command as a job, or find the one that already runs; the tray shows it."""
    with guarded("starting the job"):
        jobs.start(corpus.workspace, list(line), label)
        st.toast("It has started. The tray in the sidebar shows how far it is.", icon=":material/play_arrow:")


def scope_options(corpus: Corpus, scope: str, n: int) -> list[str]:
    """Options that limit a command to the current selection or to a sample of it."""
    options: list[str] = []
    if scope in (SELECTION, SAMPLE) and current_filters():
        text = current_filters().to_yaml()
        file = corpus.workspace.path / "scopes" / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.yaml"
        write_text(file, text)
        options += ["--filters", str(file)]
    return [*options, "--sample", str(n)] if scope == SAMPLE else options


def score_panel(corpus: Corpus, known: Mapping[str, Family], default: Sequence[str]) -> list[str]:
    """Choose families, on which documents and on what device, and start; the families chosen."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="score_panel"):
        chosen = st.multiselect(
            "Families to score", list(known), key="sig_families", placeholder=f"all {len(default)} that need no model", width=330
        )
        targets = chosen or list(default)
        families = [known[name] for name in targets]
        of_corpus = any(f.whole for f in families)
        scopes = [SELECTION, SAMPLE, ALL] if current_filters() else [SAMPLE, ALL]
        scope = ALL
        if not of_corpus:
            scope = st.segmented_control("On which documents", scopes, default=ALL, key="sig_scope") or ALL
        n = 0
        if scope == SAMPLE:
            n = int(st.number_input("Documents", 10, max(10, len(corpus)), min(1000, max(10, len(corpus))), key="sig_n", width=130))
        device = "auto"
        if any(f.learned for f in families):
            device = st.selectbox("Device", DEVICES, key="sig_device", width=95, help="auto takes a GPU where there is one") or "auto"
        given: dict[str, dict[str, str]] = {}
        settable = [f for f in families if f.learned or f.whole or f in [known[c] for c in chosen]]
        settable = [f for f in settable if f.defaults]
        if chosen and settable:
            with st.popover("Settings", key="sig_settings", on_change="rerun") as settings:
                given = _settings(settable) if settings.open else st.session_state.get("sig_given", {})
            st.session_state.sig_given = given
        what = {SELECTION: "the selection", SAMPLE: counted(n, "document"), ALL: f"all {counted(len(corpus), 'document')}"}[scope]

        def go() -> None:
            with guarded("starting the job"):
                names = [_title(f, given) for f in families]
                options = scope_options(corpus, scope, n)
                options += ["--device", device] if device != "auto" else []
                for name, values in ((_title(f, given), given.get(f.name, {})) for f in families):
                    options += [part for key, value in values.items() if key != "as" for part in ("-p", f"{name}.{key}={value}")]
                start(corpus, score_command(corpus, names, *options), f"score {', '.join(names)}")

        st.button(
            f"Score {what}",
            type="primary",
            key="sig_score",
            disabled=not len(corpus),
            on_click=go,
            help=f"Starts a job: {', '.join(targets)}. What is computed already is not computed again.",
        )
    for family in (f for f in families if f.learned):
        st.caption(f"**{plain(family.name)}**: {plain(family.about)} {plain(family.signals[0].misleads)}")
    return targets


def embed_panel(corpus: Corpus, key: str = "embed") -> None:
    """Offer to compute embeddings: which model, for which documents, on what device."""
    n = len(corpus)
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"{key}_panel"):
        about = "A sentence-transformers or model2vec model: a bundled name, a folder, or a hub id. static:NAME is some 50 times faster and coarser."
        st.text_input("Model", value=MINILM, key=f"{key}_model", help=about, width=300)
        scopes = [SELECTION, SAMPLE, ALL] if current_filters() else [SAMPLE, ALL]
        scope = st.segmented_control("Embed", scopes, default=ALL, key=f"{key}_scope") or ALL
        sample = 0
        if scope == SAMPLE:
            sample = int(st.number_input("Documents", 10, max(10, n), min(5000, max(10, n)), key=f"{key}_n", width=130))
        device = st.selectbox("Device", DEVICES, key=f"{key}_device", width=95, help="auto takes a GPU where there is one") or "auto"

        def go() -> None:
            now = st.session_state  # what was typed just before the click has not been drawn yet
            with guarded("starting the job"):
                model = now[f"{key}_model"].strip() or MINILM
                options = ["--model", model, *scope_options(corpus, scope, int(now.get(f"{key}_n", sample)))]
                options += ["--device", device] if device != "auto" else []
                start(corpus, command(corpus, "embed", *options), f"embed with {model}")

        what = {SELECTION: "the selection", SAMPLE: counted(sample, "document"), ALL: f"all {counted(n, 'document')}"}[scope]
        st.button(f"Embed {what}", type="primary", key=f"{key}_go", on_click=go, disabled=not n)


def _title(family: Family, given: Mapping[str, Mapping[str, str]]) -> str:
    alias = given.get(family.name, {}).get("as", "")
    return find(f"{family.name}:{alias}").title if alias else family.name


def _settings(families: Sequence[Family]) -> dict[str, dict[str, str]]:
    """A field a parameter; what differs from the default is returned, by family."""
    given: dict[str, dict[str, str]] = {}
    for family in families:
        st.markdown(f"**{plain(family.name)}**")
        fields = {"as": ""} if family.learned else {}
        for key, value in (fields | dict(family.defaults)).items():
            shown = "" if value is None else str(value)
            label = "call it (columns end in this name)" if key == "as" else key
            said = st.text_input(label, value=shown, key=f"sig_{family.name}_{key}")
            if said.strip() and said != shown:
                given.setdefault(family.name, {})[key] = said.strip()
    return given


def running(corpus: Corpus, *families: str) -> Job | None:
    """The job that computes one of these families for the open corpus; "embed" stands for its embeddings."""
    place = set(command(corpus, "score")[1:])  # a workspace may hold the jobs of other corpora

    def computes(line: Sequence[str]) -> set[str]:
        if line[0] != "score":
            return {line[0]}
        return {name.partition(":")[0] for name in line[line.index("-s") + 1].split(",")} if "-s" in line else set()

    active = (job for job in jobs.jobs(corpus.workspace) if job.state not in ENDED and place <= set(job.command))
    return next((job for job in active if computes(job.command) & set(families)), None)


def progress(job: Job, corpus: Corpus | None = None) -> None:
    """How far a job is; the page is drawn anew when it has ended and, given the corpus, when something that it computed has landed."""
    before = None if corpus is None else corpus.coverage().stamp()

    @st.fragment(run_every=0.7)
    def look() -> None:
        if job.state in ENDED or (corpus is not None and corpus.coverage().stamp() != before):
            st.rerun()
        now = job.progress
        said = [f"{short(now.done)} of {short(now.total)} documents"] if now.total else []
        said += [now.doing] if now.doing else []
        said += [f"{short(now.rate)} a second"] if now.rate else []
        said += [f"{duration(now.remaining)} left"] if now.remaining else []
        said += [f"on {now.device}"] if now.device else []
        text = plain(f"{job.label}: {' · '.join(said or ['starting …'])}")
        st.progress(min(1.0, now.done / now.total) if now.total else 0.0, text=text)

    look()


def grow(corpus: Corpus) -> None:
    """Draw the page again while a job adds to what it shows: results are seen as they land."""
    if not any(j.state not in ENDED for j in jobs.jobs(corpus.workspace)):
        return
    seen = corpus.coverage().stamp()

    @st.fragment(run_every=4.0)
    def look() -> None:
        if corpus.coverage().stamp() != seen:
            st.rerun()

    look()


def start_scoring(corpus: Corpus, families: Sequence[str], label: str = "") -> None:
    """Start the job, or find the one that already runs; the tray shows it."""
    start(corpus, score_command(corpus, families), label or f"score {', '.join(families)}")


def offer_to_score(corpus: Corpus, lacking: Needs) -> None:
    """Say what is not computed and offer to compute it, or show how far that is."""
    if lacking.unknown:
        st.warning(
            f"The corpus has no column {plain(', '.join(lacking.unknown))}. Remove that rule, open a corpus that has it, or compute it: a name such as minhash_keep_longest is a family's with settings of its own.",
            icon=":material/help:",
        )
    if not lacking.families:
        return
    said = f"{counted(len(lacking.signals), 'signal')} of these rules are not computed here yet: {plain(', '.join(lacking.families))}."
    st.info(said, icon=":material/functions:")
    job = running(corpus, *lacking.families)
    if job is not None:
        progress(job)
        return
    label = f"Score {counted(len(corpus), 'document')} now"
    st.button(label, type="primary", key="score_lacking", on_click=start_scoring, args=(corpus, lacking.families))
