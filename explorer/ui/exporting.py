"""The steps of the Export page: a manifest of the selection, a trainer's files, the proof, and how to start."""

from __future__ import annotations

import html
import json
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from explorer import jobs
from explorer.corpus.corpus import Corpus
from explorer.errors import ExplorerError
from explorer.exporters import exporters, is_export, recounted
from explorer.exporters.start import START
from explorer.jobs import ENDED, Job
from explorer.manifest.breakdown import by_group
from explorer.manifest.model import FILE, Manifest, read_manifest
from explorer.manifest.propose import propose_recipe, write_recipe
from explorer.manifest.verify import VerifyReport, verify
from explorer.selection.recipes import recipes
from explorer.selection.selection import Selection
from explorer.ui.cards import chart_text
from explorer.ui.errors import guarded, plain
from explorer.ui.evidence import summary_of
from explorer.ui.export_options import loss_table, options_form, preview_loss
from explorer.ui.format import about, counted, duration, exact, number, share, short, size
from explorer.ui.frame import heading
from explorer.ui.mixing_edits import kind_of
from explorer.ui.starting import starts
from explorer.ui.state import corpus_key

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
MOST_WARNINGS = 6  # that stand on the page unasked
FIRST = "parquet"  # the exporter that nearly every trainer reads
AMOUNTS = {"once": "every kept document once", "epochs": "passes (epochs)", "tokens": "a token budget"}


def manifests(corpus: Corpus) -> list[str]:
    """Names of the manifests in the workspace, newest first."""
    found = [p.parent for p in (corpus.workspace.path / "manifests").glob(f"*/{FILE}")]
    return [p.name for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]


def manifest_form(selection: Selection) -> None:
    """Ask what the manifest should hold and start writing it."""
    corpus = selection.corpus
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            "Name", value=re.sub(r"[^A-Za-z0-9._-]+", "-", _name(selection)).strip("-.") or "selection", key="export_name", width=220
        )
        amount = st.selectbox("Take", list(AMOUNTS), format_func=AMOUNTS.__getitem__, key="export_amount", width=230)
        epochs = (
            st.number_input("Epochs", 0.01, 100.0, 2.0, key="export_epochs", width=130, help="2.5 means two passes and a seeded half")
            if amount == "epochs"
            else None
        )
        budget = st.number_input("Tokens", 1.0, 1e15, 1e6, format="%.0f", key="export_tokens", width=180) if amount == "tokens" else None
        order = st.selectbox(
            "Order",
            ["natural", "shuffled", *(["sampled"] if selection.filters.sample else []), *_curricula(corpus)],
            key="export_order",
            width=260,
            help="natural: as in the files. ascending and descending: a curriculum by a signal",
        )
        seed = st.number_input("Seed", 0, 2**31, 0, key="export_seed", width=110)
        go = st.button("Write the manifest", type="primary", key="export_write", disabled=not len(selection))
    if not len(selection):
        st.warning(
            "0 documents are kept, so there is nothing to write. Loosen a rule on the Filters page.", icon=":material/filter_alt_off:"
        )
    if not NAME.fullmatch(name):
        st.error(
            f"{plain(repr(name))} cannot name a manifest. Use letters, digits, '.', '-' and '_'. Example: fineweb-strict",
            icon=":material/error:",
        )
    elif go:
        with guarded("writing the manifest"):
            recipe = propose_recipe(selection, name=name, epochs=epochs, tokens=budget, order=order, seed=int(seed))
            file = write_recipe(recipe, corpus.workspace.path / "mixtures" / f"{name}.yaml")
            start(
                corpus,
                ["mix", str(file), "--out", str(corpus.workspace.path / "manifests" / name), "--workspace", str(corpus.workspace.path)],
                f"manifest {name}",
            )
            st.session_state.export_manifest = name
            st.rerun()


def manifest_card(manifest: Manifest) -> None:
    """What a manifest holds."""
    total, estimated = manifest.totals, manifest.tokenizer.estimated
    cards = [
        ("documents", short(total.documents), exact(total.documents)),
        ("different ones", short(total.unique_documents), exact(total.unique_documents)),
        ("tokens", about(short(total.tokens), estimated), f"{exact(round(total.tokens))} ({manifest.tokenizer.label})"),
        (
            "effective tokens",
            about(short(total.effective_tokens), estimated),
            "what repeated tokens are worth as fresh ones (Muennighoff et al. 2023)",
        ),
        _epochs(manifest),
        ("hash", manifest.hash[:10], manifest.hash),
    ]
    st.html(
        '<div class="cards">'
        + "".join(f'<div title="{escape(tip, quote=True)}"><span>{k}</span><b>{escape(v)}</b></div>' for k, v, tip in cards)
        + "</div>"
    )
    told = _together(manifest.warnings)
    said = "  \n".join(plain(warning) for warning in told)
    if len(told) > MOST_WARNINGS:
        with st.expander(f"{len(told)} remarks on this manifest", icon=":material/info:"):
            st.markdown(said)
    elif told:
        st.warning(said, icon=":material/info:")


def _together(warnings: Sequence[str]) -> list[str]:
    """Remarks, those that say the same estimate of several sources as one."""
    told: list[str] = []
    estimates: dict[str, list[str]] = {}
    for warning in warnings:
        found = re.fullmatch(r"Tokens of (.+) are an estimate \((.*)\)\.", warning)
        if found:
            estimates.setdefault(found[2], []).append(found[1])
        else:
            told.append(warning)
    return [*(f"Tokens of {', '.join(names)} are an estimate ({how})." for how, names in estimates.items()), *told]


def _epochs(manifest: Manifest) -> tuple[str, str, str]:
    """Passes where there is one source; else how many sources and stages."""
    if len(manifest.sources) == 1 == len(manifest.stages):
        return "epochs", number(manifest.stages[0].components[0].resolved.epochs), "tokens emitted a unique token"
    return "sources × stages", f"{len(manifest.sources)} × {len(manifest.stages)}", ", ".join(s.name for s in manifest.stages)


def made_from_others(selection: Selection, manifest: Manifest) -> None:
    """Say when a manifest holds another selection than the one at the top of the page."""
    if len(manifest.sources) != 1:
        return
    source, now = manifest.sources[0], selection.filters
    then = (list(map(dict, source.filters)), source.where, dict(source.sample) if source.sample else None)
    if then != ([t.to_dict() for t in now.filters], now.where, now.sample.to_dict() if now.sample else None):
        st.info(
            f"The manifest {plain(manifest.name)} was made from other rules than the selection at the top. Write it again to hold the selection.",
            icon=":material/difference:",
        )


def manifest_table(corpus: Corpus, manifest: Manifest) -> None:
    """Documents and tokens: by the corpus' own sources where the manifest has one source, else by stage and source."""
    estimated, whole = manifest.tokenizer.estimated, manifest.totals.tokens
    several = len(manifest.sources) > 1 or len(manifest.stages) > 1
    frame = None if several else _by_source((corpus_key(corpus), str(manifest.folder), manifest.hash), corpus, manifest)
    if frame is None:
        rows = [
            {
                "stage": stage.name,
                "group": c.source,
                "documents": c.resolved.documents,
                "tokens": c.resolved.tokens,
                "share": c.resolved.tokens / (stage.tokens if several else whole) if whole and stage.tokens else None,
                "epochs": c.resolved.epochs,
                "asked": f"{kind} {amount:g}" if (kind := kind_of(c.given)) and (amount := getattr(c.given, kind)) else "",
            }
            for stage in manifest.stages
            for c in stage.components
        ]
        frame = pl.DataFrame(rows, infer_schema_length=None)
        frame = frame if len(manifest.stages) > 1 else frame.drop("stage")
    else:
        if (frame["documents"] == frame["unique_documents"]).all():
            frame = frame.drop("unique_documents")
        frame = frame.filter(pl.col("documents") > 0).sort("tokens", descending=True)
    if frame.is_empty():
        return
    st.dataframe(
        frame.with_columns(pl.col("group").map_elements(lambda name: html.unescape(chart_text(name)), return_dtype=pl.String)),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * frame.height, 330),
        column_config={
            "stage": st.column_config.TextColumn("Stage"),
            "group": st.column_config.TextColumn("Source", width="medium"),
            "documents": st.column_config.NumberColumn("Documents", format="localized", help="Every repeat counted"),
            "unique_documents": st.column_config.NumberColumn("Different ones", format="localized"),
            "tokens": st.column_config.NumberColumn("≈ tokens" if estimated else "Tokens", format="compact", help=manifest.tokenizer.label),
            "share": st.column_config.ProgressColumn(
                "of the stage's tokens" if several else "of the tokens", format="percent", min_value=0, max_value=1
            ),
            "epochs": st.column_config.NumberColumn("Epochs", format="%.2f", help="Passes of this stage"),
            "asked": st.column_config.TextColumn("Asked for"),
        },
    )


@st.cache_resource(max_entries=8, show_spinner="Counting the manifest by source …")
def _by_source(key: tuple[Any, ...], _corpus: Corpus, _manifest: Manifest) -> pl.DataFrame | None:
    return by_group(_manifest, _corpus)


def trainer_form(corpus: Corpus, manifest: Manifest) -> None:
    """Choose a trainer, set its options, see what it can say, and write its files."""
    known = exporters()
    names = [FIRST, *(n for n in known if n != FIRST)]
    to = st.segmented_control("Trainer", names, default=FIRST, key="export_to", required=True) or FIRST
    st.caption(plain(known[to].about))
    given = options_form(known[to])
    out = st.text_input(
        "Folder", value=str(corpus.workspace.path / "exports" / f"{manifest.name}-{to}"), key=f"export_out_{manifest.name}_{to}"
    )
    folder = Path(out).expanduser().absolute()
    command = ["export", str(manifest.folder), "--to", to, "--out", str(folder), *(word for o in given for word in ("-o", o))]
    with st.container(horizontal=True, vertical_alignment="center"):
        waits = bool(_writing(corpus))  # for a manifest that is being replaced, or for files that are
        if st.button(
            "Write the files", type="primary", key="export_go", disabled=waits, help="What is being written ends first" if waits else None
        ):
            with guarded("writing the files"):
                start(corpus, command, f"export {manifest.name} to {to}")
                st.rerun()
        st.caption(f"By command: {plain(shlex.join(['explorer', *command]))}")
    if list(folder.glob("*.provenance.json")):
        exported(folder, manifest)
        return
    with guarded("trying the export"):
        preview_loss(manifest, to, given)


def exported(folder: Path, manifest: Manifest) -> None:
    """An export: its files, what was lost, the proof, and how to load it."""
    heading(f"Written to {folder}")
    record = json.loads(next(iter(folder.glob("*.provenance.json"))).read_text(encoding="utf-8"))
    if record["manifest"]["hash"] != manifest.hash:
        st.warning("These files were made from an earlier manifest of this name. Write them again.", icon=":material/history:")
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.html(f'<h3 class="side">What the files keep of the manifest</h3>{loss_table(record.get("loss", []))}')
    with right:
        total = sum(p.stat().st_size for p in files)
        st.html(f'<h3 class="side">{counted(len(files), "file")}, {size(total)}</h3>')
        st.code(
            "\n".join(f"{p.relative_to(folder)}  {size(p.stat().st_size)}" for p in files[:12])
            + (f"\n… {len(files) - 12} more" if len(files) > 12 else ""),
            language=None,
        )
    prove(folder, "the files")
    if record["exporter"] == FIRST:
        how_to_start(folder, manifest)
    elif (folder / START).is_file():
        heading("3 · Start training", "in the folder of the files, as its README.txt says")
        st.code((folder / START).read_text(encoding="utf-8"), language=None, wrap_lines=True)


def how_to_start(folder: Path, manifest: Manifest) -> None:
    """What to copy into each trainer's configuration."""
    heading("3 · Start training", "the same files, named as each trainer wants them")
    found = starts(folder, json.loads((folder / "mix.json").read_text(encoding="utf-8")), tokenizer=manifest.tokenizer.model)
    for tab, start in zip(st.tabs([s.trainer for s in found]), found, strict=True):
        with tab:
            st.code(start.text, language=start.language, wrap_lines=True)
            st.caption(f"{plain(start.checked)} {plain(start.beware)}")


def prove(path: Path, what: str) -> None:
    """Verify on request and show every check."""
    key = f"verified_{path}"
    if st.button(f"Verify {what}", key=f"verify_{path}", help="Hash and count again everything that was written"):
        with st.spinner(f"Hashing and counting {what} again …"), guarded("verifying"):
            report = verify(path)
            st.session_state[key] = replace(report, checks=(*report.checks, *recounted(path))) if is_export(path) else report
    found: VerifyReport | None = st.session_state.get(key)
    if found is None:
        st.caption(f"By command: explorer verify {plain(shlex.quote(str(path)))}")
        return
    failed, skipped = found.failures, [c for c in found.checks if c.status == "skipped"]
    if failed:
        st.error("  \n".join(plain(f"{c.name}: {c.message}") for c in failed), icon=":material/error:")
    else:
        note = f"; {len(skipped)} could not be looked at here" if skipped else ""
        st.success(f"All {len(found.checks) - len(skipped)} checks hold{note}.", icon=":material/verified:")
    with st.expander("Every check"):
        st.dataframe([{"status": c.status, "check": c.name, "finding": c.message} for c in found.checks], hide_index=True, width="stretch")


def running(corpus: Corpus) -> None:
    """The writing jobs of this workspace while they run, and why the last one failed."""
    ours = _jobs(corpus)
    active = [j for j in ours if j.state not in ENDED]

    @st.fragment(run_every=0.7)
    def look() -> None:
        if any(j.state in ENDED for j in active):
            st.rerun()
        for job in active:
            st.info(_how_far(job), icon=":material/hourglass_top:")

    if active:
        look()
    elif ours and ours[0].state in ("failed", "died"):
        st.error(
            plain(f"{ours[0].label}: {ours[0].error or f'it stopped without a word. See its log in {ours[0].folder}'}"),
            icon=":material/error:",
        )


def _jobs(corpus: Corpus) -> list[Job]:
    """Jobs of this workspace that write manifests and files, the latest first."""
    return [j for j in jobs.jobs(corpus.workspace) if j.command[:1] in (("mix",), ("export",))]


def _writing(corpus: Corpus) -> list[Job]:
    return [j for j in _jobs(corpus) if j.state not in ENDED]


def _how_far(job: Job) -> str:
    """A running job in a line of Markdown: what it does, how far, for how long."""
    now = job.progress
    said = [f"**{plain(job.label)}** is being written"]
    said += [plain(now.doing)] if now.doing else []
    said += [f"{short(now.done)} of {short(now.total)} documents"] if now.total else []
    said += [f"for {duration(max(0.0, time.time() - job.started))}"]
    said += [f"{duration(now.remaining)} left"] if now.remaining else []
    return f"{' · '.join(said)}. It goes on when this page is closed."


def load(corpus: Corpus, name: str) -> Manifest | None:
    """A manifest of the workspace; None, with the message shown, when it cannot be read."""
    try:
        return read_manifest(corpus.workspace.path / "manifests" / name)
    except ExplorerError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def kept_line(selection: Selection) -> str:
    """The page's answer: what the selection holds."""
    summary = summary_of(selection)
    tokens = about(short(summary.kept_tokens), summary.estimated)
    return (
        f'<b title="{exact(summary.kept_documents)}">{short(summary.kept_documents)}</b> documents, <b>{tokens}</b> tokens '
        f"({share(summary.kept_tokens, summary.tokens)} of the corpus; {escape(summary.tokens_label)}) are in this selection."
    )


def _name(selection: Selection) -> str:
    """The filters' name; a recipe that was changed must not lend its name to a run."""
    name = selection.filters.name
    known = recipes[name].filters if name in recipes else selection.filters.filters
    return name if selection.filters.filters == known else f"{name}-changed"


def _curricula(corpus: Corpus) -> Sequence[str]:
    return [f"{way} {name}" for name in corpus.columns.numeric() for way in ("ascending", "descending")]


def start(corpus: Corpus, command: list[str], label: str) -> None:
    """Start a job of this workspace."""
    jobs.start(corpus.workspace, command, label)
