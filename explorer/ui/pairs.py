"""The list of the Rewrites page: which pairs, in which order, and why each stands where it does."""

from __future__ import annotations

import importlib.util
from concurrent.futures import Future
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from explorer import jobs
from explorer.corpus.corpus import Corpus
from explorer.corpus.database import literal, quote
from explorer.corpus.search import Found, Search, search
from explorer.engine.local import AUDIT, audit
from explorer.errors import ExplorerError
from explorer.jobs import ENDED
from explorer.labels import VERDICTS
from explorer.models.hub import MINILM, PACKAGED
from explorer.registry import find, find_signal, fitting
from explorer.rewrites.figures import faults
from explorer.rewrites.pairs import Pairs
from explorer.rewrites.place import Place
from explorer.rewrites.reasons import reasons
from explorer.ui import errors, link, state
from explorer.ui.background import later, watch
from explorer.ui.errors import plain
from explorer.ui.format import counted, duration, exact, number, share, short
from explorer.ui.labels import labelled
from explorer.ui.scoring import score_command, start
from explorer.ui.table import Column, Line, document_list

PAGE = 25
MOST_TO_CHECK = 400_000  # characters of both texts that are searched for facts as a pair is listed or opened
WAIT = 1.5  # seconds a search may take before the page is shown without its result
AT_ONCE = 2_000  # pairs that are audited unasked when the page is first opened
FAITHFUL = "faithfulness"
MARK = 0.8  # of faithfulness: below it a reader should look
ORDER = "in the files' order"
ANY = "any"
MARKS = {"accept": "A · ", "reject": "X · ", "not sure": "S · "}  # the keys that say so
STYLE = Path(__file__).with_name("pairs.css")


# --- what there is ---------------------------------------------------------------------------------------------------------


def open_form(corpus: Corpus) -> None:
    """Ask for the rewrites of the documents that are open."""
    st.info(
        "Rewrites are opened beside their originals: Parquet files with the rewritten text and the id of the document that it was made from. "
        "Every pair is then checked: what was lost, what was invented, what was turned around.",
        icon=":material/compare_arrows:",
    )
    place = state.current_place()
    with st.form("open_rewrites", border=False):
        paths = st.text_area("Rewrites: files, folders or globs, one a line", height=80, key="rewrites_paths")
        left, right = st.columns(2)
        on = left.text_input(
            "Column that says which original a rewrite is of",
            placeholder="found by itself: original_id, doc_id, id …",
            key="rewrites_on",
            help="ORIGINALS=REWRITES where its names differ",
        )
        text = right.text_input(
            "Column of the rewritten text", placeholder="found by itself: rewrite, rephrased, text …", key="rewrites_text"
        )
        if st.form_submit_button("Open the rewrites", type="primary"):
            given = tuple(line.strip() for line in paths.splitlines() if line.strip())
            roles = (*((("text", text.strip()),) if text.strip() else ()), ("original", corpus.roles.text))
            try:
                columns = tuple(part.strip() for part in on.split("=", 1) if part.strip())
                state.open_rewrites(Place(given, place.workspace, roles, place.paths, columns))
            except ExplorerError as error:
                errors.show(error)
            else:
                st.rerun()
    st.caption(
        "One file with both texts in a row is opened like any corpus, in the sidebar or with: explorer app pairs.parquet --original COLUMN --text COLUMN"
    )


def answer(pairs: Pairs) -> str:
    """The sentence under the title, in HTML with everything from the data escaped."""
    groups = pairs.columns.groups("source", 6)
    counts = np.bincount(groups.codes, minlength=len(groups.labels))
    methods = (
        " · ".join(f"{escape(name)} {short(int(n))}" for name, n in zip(groups.labels, counts, strict=True) if n)
        if len(groups.labels) > 1
        else ""
    )
    said = f'<b title="{exact(len(pairs))}">{short(len(pairs))}</b> rewrites of {short(pairs.match.report.rewritten)} originals'
    said += f" · {methods}" if methods else ""
    if FAITHFUL in pairs.coverage().columns():
        values = pairs.columns.numbers(FAITHFUL)
        known = int(np.isfinite(values).sum())
        low = int((values < MARK).sum())
        said += f" · <b>{share(low, known)}</b> below {MARK:g} in faithfulness" if known else ""
        said += f" (of the {short(known)} that have a number)" if known < len(pairs) else ""
    report = pairs.match.report
    missing = report.pairs - report.matched
    if missing:
        said += f' · <span title="{escape(report.said(), quote=True)}">{short(missing)} have no original</span>'
    return said


def audit_panel(pairs: Pairs) -> None:
    """Start the audit, or show how far it is; a small set is audited unasked."""
    wanted = [AUDIT, FAITHFUL]
    lines = [score_command(pairs, wanted), score_command(pairs, [AUDIT]), score_command(pairs, wanted, "--sample", str(AT_ONCE))]
    job = next((j for j in jobs.jobs(pairs.workspace) if j.state not in ENDED and list(j.command) in lines), None)
    if job is not None:
        _progress(pairs, job)
        return
    coverage = pairs.coverage()
    lacking = [f for f in (*audit(), find(FAITHFUL)) if coverage.scored_rows(f.signals[0].name) < len(pairs)]
    if not lacking:
        return
    if len(pairs) <= AT_ONCE and st.session_state.get("pairs_audited") != pairs.fingerprint:
        st.session_state.pairs_audited = pairs.fingerprint  # once: what fails is not tried again unasked
        start(pairs, score_command(pairs, wanted if _encoder_is_here() else [AUDIT]), f"audit {counted(len(pairs), 'pair')}")
        st.rerun()
    names = ", ".join(f.name for f in lacking)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            f"Audit {counted(len(pairs), 'pair')}",
            type="primary",
            key="pairs_audit",
            help=f"Starts a job: {names}. It may be stopped at any time and carries on where it was.",
        ):
            start(pairs, score_command(pairs, wanted), f"audit {counted(len(pairs), 'pair')}")
            st.rerun()
        if len(pairs) > AT_ONCE and st.button(
            f"A sample of {exact(AT_ONCE)}", key="pairs_audit_sample", help="Drawn from every method in proportion"
        ):
            start(pairs, score_command(pairs, wanted, "--sample", str(AT_ONCE)), f"audit a sample of {exact(AT_ONCE)} pairs")
            st.rerun()
        st.caption(
            f"Not computed for every pair yet: {plain(names)}. What the list says of a pair is computed as it is shown.", width="stretch"
        )


def _encoder_is_here() -> bool:
    """Whether faithfulness can be computed without fetching a model."""
    return importlib.util.find_spec(PACKAGED[MINILM][0]) is not None


def _progress(pairs: Pairs, job: jobs.Job) -> None:
    before = pairs.coverage().stamp()

    @st.fragment(run_every=0.8)
    def look() -> None:
        now = job.progress
        if job.state in ENDED or pairs.coverage().stamp() != before:
            st.rerun()
        said = [now.doing or f"{short(now.done)} of {short(now.total or len(pairs))} pairs"]
        said += [f"{short(now.rate)} a second"] if now.rate else []
        said += [f"{duration(now.remaining)} left"] if now.remaining else []
        st.progress(min(1.0, now.done / now.total) if now.total else 0.0, text=plain(f"{job.label}: {' · '.join(said)}"))

    look()


# --- which pairs -----------------------------------------------------------------------------------------------------------


def toolbar(pairs: Pairs) -> tuple[Search, str]:
    """Order, method, style, fault, label and selection: what is listed, and among which pairs."""
    numeric = pairs.columns.numeric()
    of_pairs = {s.name for f in fitting(pairs).values() if f.of_pairs for s in f.signals}
    checks = [n for n in numeric if n in of_pairs]
    orders = [*([FAITHFUL] if FAITHFUL in checks else []), *(n for n in checks if n != FAITHFUL), ORDER]
    if FAITHFUL in checks and not st.session_state.get("pairs_worst_first"):  # once, as soon as it is there; then the order is the user's
        st.session_state.pairs_worst_first, st.session_state.pairs_sort = True, FAITHFUL
        st.session_state.pop("pairs_row", None)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="pairs_toolbar"):
        sort = st.selectbox(
            "Order", orders, key="pairs_sort", label_visibility="collapsed", width=215, format_func=_order, persist_state="session"
        )
        where = []
        for role in ("method", "style"):
            column = getattr(pairs.roles, role)
            if column:
                groups = pairs.columns.groups(column, 50)
                labels = [label for label in groups.labels if label != groups.rest]
                if len(labels) > 1:
                    chosen = st.selectbox(
                        role,
                        [ANY, *labels],
                        key=f"pairs_{role}",
                        label_visibility="collapsed",
                        width=130,
                        format_func=lambda v, role=role: f"{role}: {v}" if v == ANY else v,
                    )
                    where += (
                        []
                        if chosen in (ANY, None)
                        else [f"{quote(column)} IS NULL" if chosen == "(none)" else f"CAST({quote(column)} AS VARCHAR) = {literal(chosen)}"]
                    )
        known = faults(pairs)
        if known:
            names = {s.name: s for s in known}
            fault = st.selectbox(
                "fault",
                [ANY, *names],
                key="pairs_fault",
                label_visibility="collapsed",
                width=180,
                format_func=lambda v: "fault: any" if v == ANY else v.replace("_", " "),
            )
            if fault and fault != ANY:
                least = names[fault].range[0] or 0.0
                where.append(f"{quote(fault)} > {least:g}")
        label = st.selectbox(
            "label",
            [ANY, "unlabelled", *VERDICTS],
            key="pairs_label",
            label_visibility="collapsed",
            width=130,
            format_func=lambda v: "label: any" if v == ANY else v,
        )
        choices = ["all", "kept", "dropped"] if state.current_filters() else ["all"]
        within = "all"
        if len(choices) > 1:
            within = (
                st.segmented_control("Among", choices, default="all", key="pairs_within", label_visibility="collapsed", required=True)
                or "all"
            )
    st.session_state.pairs_label_now = label or ANY
    signal = find_signal(sort) if sort and sort != ORDER else None
    up = signal is None or signal.direction != "lower_is_better"
    ties = "meaning_kept" if sort == FAITHFUL and "meaning_kept" in pairs.columns.numeric() else None  # as the command lists them
    return Search(where=" AND ".join(where), sort=None if sort in (ORDER, None) else sort, descending=not up, ties=ties), within


def _order(name: str) -> str:
    if name == ORDER:
        return ORDER
    signal = find_signal(name)
    worst = "most" if signal is not None and signal.direction == "lower_is_better" else "lowest"
    return f"worst first: {name}" if name == FAITHFUL else f"{worst} {name}"


def results(pairs: Pairs, what: Search, within: str) -> Found | None:
    """The pairs asked for, None while they are looked for or when that fails (which is then said)."""
    selection = state.current_selection()
    label = st.session_state.get("pairs_label_now", ANY)
    marked = labelled(pairs) if label != ANY else None
    stamp = "" if marked is None else str(marked.select("row", "label").hash_rows().sum())
    key = ("pairs", state.corpus_key(pairs), what, within, label, stamp, link.encode(selection.filters) if within != "all" else "")

    def find() -> Found:
        rows = None if within == "all" else np.sort(selection.rows()) if within == "kept" else selection.dropped()
        if marked is not None:
            every = np.arange(len(pairs)) if rows is None else rows
            done = marked["row"].to_numpy() if label == "unlabelled" else marked.filter(pl.col("label") == label)["row"].to_numpy()
            rows = every[np.isin(every, done, invert=label == "unlabelled")]
        return search(pairs, what, rows)

    future: Future[Found] = later(key, find, WAIT)
    if not future.done():
        watch(future, caption="looking for the pairs …")
        return None
    error = future.exception()
    if isinstance(error, ExplorerError):
        errors.show(error)
        return None
    return future.result()


def why_empty(pairs: Pairs) -> str:
    """What is said where no pair is listed."""
    return f"0 of {counted(len(pairs), 'pair')} match. Choose another method, style, fault or label above, or clear the filters."


# --- the list --------------------------------------------------------------------------------------------------------------


def listing(pairs: Pairs, found: Found, sort: str | None) -> int:
    """Draw one page of the list; the pair to read."""
    now = st.session_state
    pages = max(1, -(-len(found.rows) // PAGE))
    page = min(max(1, int(now.get("pairs_page", 1))), pages)
    rows = [int(r) for r in found.rows[(page - 1) * PAGE : page * PAGE]]
    row = now.get("pairs_row")
    if row not in rows:
        row = rows[-1] if now.pop("pairs_from_end", False) else rows[0]
    now.pairs_row, now.pairs_page = row, page
    computed = pairs.columns.numeric()
    columns = list(dict.fromkeys([c for c in (FAITHFUL, sort) if c and c in computed]))
    kept = state.current_selection().mask() if state.current_filters() else None
    verdicts = dict(labelled(pairs).select("row", "label").iter_rows())
    lines = []
    for r, group, tip, words in _said(state.place_key(pairs), tuple(rows), pairs):
        cells = [number(round(float(pairs.columns.numbers(c)[r]), 2)) for c in columns]
        mark = MARKS.get(verdicts.get(r, ""), "")
        lines.append(Line(r, mark + group, tip, words, cells, None if kept is None else bool(kept[r])))

    def opened() -> None:
        chosen = now["pairs_list"].opened
        if chosen is not None:
            now.pairs_row = int(chosen)

    def turn() -> None:
        step = now["pairs_list"].page
        if step:
            now.pairs_page, now.pairs_from_end = page + (1 if step > 0 else -1), step < 0
            now.pop("pairs_row", None)

    heads = [Column(c, s.about if (s := find_signal(c)) else c) for c in columns]
    title = f"{exact((page - 1) * PAGE + 1)} to {exact((page - 1) * PAGE + len(rows))} of {exact(len(found.rows))}: what the checks say"
    document_list(
        lines,
        heads,
        key="pairs_list",
        opened=row,
        page=page,
        pages=pages,
        group=pairs.roles.method or "pair",
        title=title,
        on_open=opened,
        on_page=turn,
    )
    if pages > 1:
        pager = f"pairs_pager_{page}_{pages}"
        st.pagination(pages, default=page, key=pager, max_visible_pages=5, on_change=_to_page, args=(pager,))
    return row


def _to_page(pager: str) -> None:
    st.session_state.pairs_page = st.session_state[pager]
    st.session_state.pop("pairs_row", None)


def go_on(found: Found) -> None:
    """Open the pair after the one that was just judged."""
    now = st.session_state
    at = np.flatnonzero(np.asarray(found.rows) == now.get("pairs_row"))
    if len(at) and at[0] + 1 < len(found.rows):
        now.pairs_row = int(found.rows[at[0] + 1])
        now.pairs_page = (int(at[0]) + 1) // PAGE + 1


@st.cache_data(max_entries=64, show_spinner=False)
def _said(key: tuple[Any, ...], rows: tuple[int, ...], _pairs: Pairs) -> list[tuple[int, str, str, list[tuple[str, bool]]]]:
    """(row, method, id, what the checks say) of each pair on the page; whole texts are let go at once."""
    roles = _pairs.roles
    wanted = [c for c in (roles.id, roles.method, roles.style) if c]
    frame = _pairs.documents(rows, list(dict.fromkeys(wanted)))
    found = []
    for record, (original, rewrite) in zip(frame.iter_rows(named=True), _pairs.texts(rows), strict=True):
        much = len(original or "") + len(rewrite or "") > MOST_TO_CHECK
        words = [f"more than {short(MOST_TO_CHECK)} characters: not checked here"] if much else reasons(original, rewrite)
        group = next(
            (str(record[c]) for c in (roles.method, roles.style, roles.id) if c and record[c] is not None), f"row {exact(record['_row'])}"
        )
        tip = " · ".join(str(record[c]) for c in dict.fromkeys(wanted) if record[c] is not None)
        said: list[tuple[str, bool]] = [(" · ".join(words), False)] if words else [("nothing found", False)]
        found.append((int(record["_row"]), group, tip, said))
    return found
