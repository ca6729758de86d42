"""Around the mixture: its name, budget and settings, files of the workspace, published starting points, and the manifest."""

from __future__ import annotations

import shlex
from dataclasses import replace

import streamlit as st
import yaml

from explorer import jobs
from explorer.errors import ManifestError
from explorer.jobs import ENDED
from explorer.manifest.model import FILE
from explorer.mixture.model import Mixture, load_mixture
from explorer.mixture.presets import PRESETS
from explorer.mixture.tokens import WORDS
from explorer.ui import exporting, mixing, state
from explorer.ui import mixing_edits as edits
from explorer.ui.errors import guarded, plain
from explorer.ui.format import counted, share, short
from explorer.ui.frame import go
from explorer.ui.mixing import attempt, on_change, tried
from explorer.ui.mixing_sources import adding
from explorer.ui.mixing_stages import whole

OWN = "the corpus' own count, or an estimate"
NONE = "(not here)"


def tools(mixture: Mixture) -> None:
    """Everything that is asked of the whole mixture, in one line."""

    def put(key: str, value: object) -> str:
        st.session_state[key] = value
        return key

    with st.container(horizontal=True, vertical_alignment="bottom", key="mix_tools", gap="small"):
        st.text_input("Name", width=130, **on_change(_rename, put("mix_name", mixture.name)))
        st.text_input(
            "Budget, tokens", width=115, placeholder="20B", help="Tokens of the whole run, repeats counted: 20B, 1.5e9, 500M. Empty: what the amounts come to",
            **on_change(lambda m, text: replace(m, budget_tokens=edits.amount_of(text)), put("mix_budget", edits.said_amount(mixture.budget_tokens))),
        )  # fmt: skip
        st.text_input(
            "Sequence length", width=115, placeholder="4096", help="Noted for exporters",
            **on_change(lambda m, text: replace(m, sequence_length=whole(text)), put("mix_length", "" if mixture.sequence_length is None else str(mixture.sequence_length))),
        )  # fmt: skip
        known = [OWN, WORDS, *([mixture.tokenizer] if mixture.tokenizer not in (None, WORDS) else [])]
        st.selectbox(
            "Tokens by", known, width=190, accept_new_options=True,
            help="A tokenizer's hub name or file may be typed: the documents are then counted with it, which takes a while the first time. words: white space",
            **on_change(lambda m, name: replace(m, tokenizer=None if name in (OWN, None) else str(name)), put("mix_tokenizer", mixture.tokenizer or OWN)),
        )  # fmt: skip
        st.number_input(
            "Seed", 0, 2**31, width=85, help="Of the passes, shuffles and partial passes",
            **on_change(lambda m, seed: replace(m, seed=int(seed)), put("mix_seed", mixture.seed)),
        )  # fmt: skip
        with st.popover("Add a source", key="mix_adding", on_change="rerun", icon=":material/add:") as opened, guarded("adding a source"):
            if opened.open:
                adding(mixture)
        with st.popover("Open", key="mix_open", on_change="rerun", help="Mixtures saved in the workspace") as opened:
            if opened.open:
                _open()
        with st.popover("Start from", key="mix_presets", on_change="rerun", help="Published mixtures as starting points") as opened:
            if opened.open:
                _presets(mixture)
        st.button("Save", key="mix_save", on_click=tried, args=(_save,), help="Write mixtures/NAME.yaml in the workspace")
        st.button("Undo", key="mix_undo", on_click=mixing.undo, disabled=not st.session_state.get("mixture_undo"), type="tertiary")
    if problem := st.session_state.pop("mixture_problem", None):
        st.error(f"Nothing was changed. {plain(problem)}", icon=":material/error:")
    if said := st.session_state.pop("mixture_said", None):
        st.toast(plain(said), icon=":material/check:")


def _rename(mixture: Mixture, name: str) -> Mixture:
    return replace(mixture, name=edits.check_name(name.strip(), (), "mixture"))


def _save() -> None:
    path = mixing.save(mixing.current())
    st.session_state.mixture_said = f"Saved as {path}"


def _open() -> None:
    names = mixing.saved()
    if not names:
        st.caption("Nothing is saved in this workspace yet. What you save, and every manifest you write, appears here.")
    for name in names:
        st.button(plain(name), key=f"mix_open_{name}", on_click=tried, args=(lambda n=name: mixing.open_saved(n),), width="stretch")  # fmt: skip
    st.button("Start anew from what is open", key="mix_anew", on_click=mixing.begin, type="tertiary")


def _presets(mixture: Mixture) -> None:
    name = st.selectbox(
        "A published mixture", list(PRESETS), key="mix_preset", format_func=lambda n: f"{n} · {counted(len(PRESETS[n].stages), 'stage')}"
    )
    preset = PRESETS[name or next(iter(PRESETS))]
    st.caption(f"**{plain(preset.about)}** {short(preset.amount)} {preset.unit}. {plain(preset.source)}")
    st.caption(
        f"Its corpora do not ship: say which of your sources stands for each. What has no stand-in is left out and the rest grow in proportion; your budget stays. {plain(preset.misleads)}"
    )
    chosen: dict[str, str] = {}
    ours = [s.name for s in mixture.sources]
    columns = st.columns(2, gap="small")
    for place, source in enumerate(dict.fromkeys(s.name for stage in preset.stages for s in stage.sources)):
        parts = [
            share(stage.weights[source]) + (f" of {stage.name}" if len(preset.stages) > 1 else "")
            for stage in preset.stages
            if source in stage.weights
        ]
        with columns[place % 2]:
            stand_in = st.selectbox(f"{plain(source)}: {plain(', '.join(parts))}", [NONE, *ours], key=f"mix_stand_{preset.name}_{source}")
        if stand_in and stand_in != NONE:
            chosen[source] = stand_in
    st.button(
        "Use these proportions", key="mix_preset_use", type="primary", disabled=not chosen,
        on_click=attempt, args=(lambda m: edits.from_preset(m, preset, chosen),),
        help="Your sources that stand for nothing are taken out; Undo brings them back",
    )  # fmt: skip


def write(mixture: Mixture, ready: bool) -> None:
    """Write the manifest as a job, and go on to Export."""
    corpus = state.current_corpus()
    place = corpus.workspace.path / "manifests" / mixture.name
    with st.container(horizontal=True, vertical_alignment="center", key="mix_write"):
        going = any(j.command[:1] == ("mix",) and j.state not in ENDED for j in jobs.jobs(corpus.workspace))
        if st.button("Write the manifest", type="primary", key="mix_go", disabled=not ready or going, help=f"To {place}: which documents, how often, in which order, in which stage"):  # fmt: skip
            with guarded("writing the manifest"):
                file = mixing.save(mixture)
                exporting.start(
                    corpus, ["mix", str(file), "--out", str(place), "--workspace", str(corpus.workspace.path)], f"manifest {mixture.name}"
                )
                st.session_state.export_manifest = mixture.name
                st.rerun()
        if (place / FILE).exists() and not going and st.button("Go to Export", key="mix_export", icon=":material/arrow_forward:"):
            st.session_state.export_manifest = mixture.name
            go("export")
        if not (place / FILE).exists():
            st.caption("One file that says which documents, how often and in which order; Export writes a trainer's files from it.")
        elif not going:
            st.caption(_same(mixture))
    exporting.running(corpus)


def _same(mixture: Mixture) -> str:
    """Whether the manifest of this name was written from this mixture."""
    try:
        written = load_mixture(mixing.folder() / f"{mixture.name}.yaml").to_dict() == mixture.to_dict()
    except ManifestError:
        written = False
    return (
        "A manifest of this name is written."
        if written
        else "A manifest of this name is written; the mixture was changed since, or it came from elsewhere."
    )


def recipe(mixture: Mixture) -> None:
    """The mixture as text, and the command that writes its manifest."""
    st.code(yaml.safe_dump(mixture.to_dict(), sort_keys=False, allow_unicode=True, width=110), language="yaml", wrap_lines=True)
    place = mixing.folder() / f"{mixture.name}.yaml"
    st.caption("The same without a browser, once it is saved:")
    st.code(
        f"explorer mix {shlex.quote(str(place))} --preview --workspace {shlex.quote(str(place.parents[1]))}",
        language="bash",
        wrap_lines=True,
    )
