"""Labels on the pages: the buttons and keys beside a document, the queue of documents to label, training and its results.

Any page that shows a document may draw `label_buttons(row)`: it labels the document, says what it carries, and takes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from explorer import jobs
from explorer.corpus.corpus import Corpus
from explorer.corpus.search import Search, search
from explorer.embeddings.meaning import by_meaning
from explorer.embeddings.store import stored
from explorer.errors import ExplorerError, SelectionError
from explorer.jobs import ENDED
from explorer.labels import DEFAULTS, LOOK, VERDICTS, Labels, checked_label, shares
from explorer.scorers import Scorer, export, load, names
from explorer.ui import state
from explorer.ui.errors import guarded, plain
from explorer.ui.format import counted, exact, number, share
from explorer.ui.reader import snippet
from explorer.ui.scoring import command, start
from explorer.ui.table import Column, Line, document_list

QUEUE = 120  # documents drawn at a time
AIM = 40  # labels that are a good start
POOL = 200_000  # documents that a queue is chosen from
NONE = Search("")
CHOICES = dict(zip(DEFAULTS, "123", strict=True))
PAIR_CHOICES = dict(zip(VERDICTS, "AXS", strict=True))  # R is the browser's
RANDOM, UNCERTAIN, CUT, TWO, HITS, LIKE, ENDS, WRONG, DONE = (
    "at random",
    "least certain",
    "near a cut",
    "where two disagree",
    "search hits",
    "near a meaning",
    "highest and lowest",
    "mistakes",
    "labelled already",
)
ABOUT = {
    RANDOM: "drawn evenly from the selection: the only queue whose shares speak for the corpus",
    UNCERTAIN: "where a scorer's probability is nearest to one half: a label there teaches it most",
    CUT: "on both sides of the first rule's bound",
    TWO: "ranked high by one signal and low by another",
    HITS: "documents that contain some words",
    LIKE: "documents that are about what you write, the nearest first",
    ENDS: "the best and the worst by a scorer or signal, in turn",
    WRONG: "held-out documents on which a scorer was most wrong",
    DONE: "to look through, or to change",
}


# --- what is labelled ------------------------------------------------------------------------------------------------------


def current_labels() -> Labels:
    """The labels of the open workspace, as this session's annotator sees them."""
    return Labels(state.current_corpus().workspace, str(st.session_state.get("labels_annotator", "")).strip())


def labelled(corpus: Corpus) -> pl.DataFrame:
    """The labelled documents of the corpus; looked up anew when a label changes."""
    known = Labels(corpus.workspace)
    return _labelled((state.place_key(corpus), known.stamp()), corpus)


@st.cache_resource(max_entries=4, show_spinner=False)
def _labelled(key: object, _corpus: Corpus) -> pl.DataFrame:
    return Labels(_corpus.workspace).of(_corpus, look=_corpus.text_size <= LOOK)


def label_buttons(
    row: int,
    *,
    key: str = "label",
    keys: bool = True,
    after: Callable[[], None] | None = None,
    note: bool = True,
    choices: Mapping[str, str] = CHOICES,
) -> str | None:
    """Draw the buttons that label a document, with their keys and U (undo).

    Args:
        row: number of the document.
        key: prefix of the widgets' keys, where a page shows several documents.
        keys: answer to the keyboard; one set of buttons on a page at most.
        after: called once a label is given (to go to the next document).
        note: offer a remark and labels of one's own.
        choices: labels with the key of each.

    Returns:
        The label that the document carries.

    """
    corpus, known = state.current_corpus(), current_labels()
    frame = labelled(corpus)
    mine = frame.filter(pl.col("row") == row)
    now = mine["label"][0] if mine.height else None
    remark = mine["note"][0] if mine.height else ""

    # What a callback has to say is kept for the next drawing: callbacks inside a fragment may not draw.
    def give(label: str | None) -> None:
        try:
            step = known.set(corpus, [row], label)
        except ExplorerError as error:
            st.session_state.labels_problem = str(error)
            return
        if step.without_text:
            st.session_state.labels_said = "This document has no text, so there is nothing to label."
        elif after is not None and label is not None:
            after()

    def take_back() -> None:
        try:
            step = known.undo()
        except ExplorerError as error:
            st.session_state.labels_problem = str(error)
            return
        if step is not None:
            left = f"; {step.left:,} were changed since and stay" if step.left else ""
            st.session_state.labels_said = f"Taken back: {step.what}{left}"

    if said := st.session_state.pop("labels_said", None):
        st.toast(plain(said), icon=":material/label:")
    if problem := st.session_state.pop("labels_problem", None):
        st.error(plain(problem), icon=":material/error:")
    others = {*CHOICES, *PAIR_CHOICES, *choices}
    own = [label for label in frame["label"].value_counts(sort=True)["label"].to_list() if label not in others][:3]
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"{key}_buttons"):
        for label in [*choices, *own]:
            st.button(
                plain(label),
                key=f"{key}_{label}",
                shortcut=choices.get(label) if keys else None,
                type="primary" if label == now else "secondary",
                on_click=give,
                args=(None if label == now else label,),
                help="Take this label away" if label == now else f"Label this document {plain(label)}",
            )
        last = (
            known.next_undo() if frame.height else None
        )  # steps are the workspace's: where nothing is labelled the last one was elsewhere
        st.button(
            "Undo",
            key=f"{key}_undo",
            shortcut="U" if keys else None,
            on_click=take_back,
            disabled=last is None,
            type="tertiary",
            help=f"Take back: {plain(last)}" if last else "Nothing to take back",
        )
        if note:
            with st.popover("Note", key=f"{key}_more", type="tertiary", on_change="rerun") as more:
                if more.open:
                    _note(corpus, known, row, now, remark, key)
    return now


def _note(corpus: Corpus, known: Labels, row: int, now: str | None, remark: str, key: str) -> None:
    with st.form(f"{key}_note_{row}", border=False):
        label = st.text_input("Label", value=now or "", placeholder="a word of your own")
        text = st.text_area("Note", value=remark, height=90)
        if st.form_submit_button("Save", type="primary"):
            with guarded("saving a note"):
                known.set(corpus, [row], checked_label(label), note=text)
                st.rerun()


# --- the queue -------------------------------------------------------------------------------------------------------------


def toolbar(corpus: Corpus) -> tuple[str, tuple[Any, ...]]:
    """What to label from: the way, and its settings."""
    scored = [c for c in corpus.coverage().columns() if c.startswith("scorer_")]
    numeric = corpus.columns.numeric()
    trained = names(corpus.workspace)
    cuts = [t for t in state.current_filters().filters if t.signal in numeric]
    ways = [RANDOM, HITS]
    ways += [LIKE] if stored(corpus) else []
    ways += [UNCERTAIN] if scored else []
    ways += [CUT] if cuts else []
    ways += [TWO] if len(numeric) > 1 else []
    ways += [ENDS] if numeric else []
    ways += [WRONG] if trained else []
    ways += [DONE] if labelled(corpus).height else []
    if st.session_state.get("labels_way") not in ways:
        st.session_state.labels_way = RANDOM
    settings: tuple[Any, ...] = ()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="labels_toolbar"):
        way = st.selectbox(
            "Label from", ways, key="labels_way", width=185, label_visibility="collapsed", format_func=lambda w: f"Label {w}"
        )
        if way == UNCERTAIN:
            settings = (st.selectbox("Scorer", scored, key="labels_scorer", width=190, label_visibility="collapsed"),)
        elif way == TWO:
            first = st.selectbox(
                "High by",
                [*scored, *(n for n in numeric if n not in scored)],
                format_func=lambda c: f"high {c}",
                key="labels_high",
                width=190,
                label_visibility="collapsed",
            )
            settings = (
                first,
                st.selectbox(
                    "low by",
                    [n for n in numeric if n != first],
                    format_func=lambda c: f"low {c}",
                    key="labels_low",
                    width=190,
                    label_visibility="collapsed",
                ),
            )
        elif way == ENDS:
            settings = (
                st.selectbox(
                    "By", [*scored, *(n for n in numeric if n not in scored)], key="labels_by", width=190, label_visibility="collapsed"
                ),
            )
        elif way == HITS:
            settings = (
                st.text_input("Containing", key="labels_words", placeholder="words to contain", width=220, label_visibility="collapsed"),
            )
        elif way == LIKE:
            settings = (
                st.text_input("About", key="labels_meaning", placeholder="what they are about", width=220, label_visibility="collapsed"),
            )
        elif way == CUT:
            settings = (str(cuts[0]),)
            st.html(f'<span class="quiet">{escape(str(cuts[0]))}</span>')
        elif way == WRONG:
            settings = (st.selectbox("Of", trained, key="labels_wrong", width=190, label_visibility="collapsed"),)
        elif way == DONE:
            every = labelled(corpus)["label"].value_counts(sort=True)["label"].to_list()
            settings = (st.selectbox("Label", ["any", *every], key="labels_only", width=150, label_visibility="collapsed"),)
        st.button("Draw others", key="labels_again", on_click=_again, help="Another draw, without what is labelled by now")
        with st.popover("Label many", key="labels_many", on_change="rerun", type="tertiary") as many:
            if many.open:
                _label_many(corpus)
        with st.popover(
            "Who", key="labels_who", on_change="rerun", type="tertiary", help="Whose labels these are, and whose Undo takes back"
        ) as who:
            if who.open:
                st.text_input("Annotator", key="labels_annotator", placeholder="your name", persist_state="session", max_chars=60)
        st.html(f'<span class="quiet">{escape(ABOUT[way])}</span>')
    return way or RANDOM, settings


def _again() -> None:
    st.session_state.labels_draw = st.session_state.get("labels_draw", 0) + 1
    st.session_state.pop("labels_row", None)


def _label_many(corpus: Corpus) -> None:
    selection = state.current_selection()
    n = len(selection) if selection.filters else len(corpus)
    which = "documents that the filters keep" if selection.filters else "documents of the corpus"
    label = st.text_input("Label", value="", placeholder="good, bad, …", key="labels_many_name")
    st.caption(f"It is given to all {exact(n)} {which}, in one step that Undo takes back.")
    if st.button(f"Label {counted(n, 'document')}", key="labels_many_go", type="primary", disabled=not label.strip() or not n):
        with guarded("labelling the selection"), st.spinner("Labelling …"):
            rows = selection.rows() if selection.filters else np.arange(n)
            step = current_labels().set(corpus, rows, label)
            st.toast(f"{exact(step.changed)} documents are labelled {plain(label.strip())}", icon=":material/check:")
            st.rerun()


def queue(corpus: Corpus, way: str, settings: tuple[Any, ...]) -> np.ndarray:
    """Numbers of the documents to label, in their order; the same until something else is asked for.

    Raises:
        ExplorerError: the search or the filters cannot be applied.

    """
    from explorer.ui import link

    filters = link.encode(state.current_filters())
    asked = (way, settings, filters, st.session_state.get("labels_draw", 0), state.place_key(corpus))
    known = st.session_state.get("labels_queue")
    if known is None or known[0] != asked:
        rows = _drawn(corpus, way, settings, st.session_state.get("labels_draw", 0))
        texts = corpus.documents(rows, [corpus.roles.text])[corpus.roles.text].to_list()
        there = [bool(text and text.strip()) for text in texts]  # there is nothing to judge in an empty document
        st.session_state.labels_queue = known = (asked, rows[np.array(there, bool)])
        st.session_state.labels_row = st.session_state.pop("labels_open", None)
    return known[1]


def _drawn(corpus: Corpus, way: str, settings: tuple[Any, ...], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    frame = labelled(corpus)
    done = frame["row"].to_numpy()
    if way == DONE:
        only = frame if settings[0] == "any" else frame.filter(pl.col("label") == settings[0])
        return only.sort("created", descending=True)["row"].to_numpy()[: 5 * QUEUE]
    if way == WRONG:
        scorer = load(settings[0], corpus.workspace)
        # the numbers of another corpus's documents mean nothing here
        wrong = scorer.mistakes if scorer.corpus == corpus.fingerprint else []
        return np.array([m["row"] for m in wrong], np.int64)
    selection = state.current_selection()
    pool = np.sort(selection.rows()) if selection.filters and way != CUT else np.arange(len(corpus))
    if way == HITS:
        if not settings[0]:
            return np.zeros(0, np.int64)
        pool = np.asarray(search(corpus, Search(settings[0]), pool if selection.filters else None).rows, np.int64)
    pool = pool[~np.isin(pool, done)]
    if way == LIKE:
        if not settings[0].strip() or not len(pool):
            return np.zeros(0, np.int64)
        with st.spinner("Looking for the nearest documents …"):
            return np.asarray(by_meaning(corpus, settings[0], QUEUE, within=pool).rows, np.int64)
    if way in (RANDOM, HITS):
        return random.choice(pool, min(QUEUE, len(pool)), replace=False) if len(pool) else pool
    if len(pool) > POOL:
        pool = np.sort(random.choice(pool, POOL, replace=False))
    first = corpus.columns.numbers(settings[0])[pool] if way != CUT else np.zeros(0)
    if way == UNCERTAIN:
        middle = 0.5 if np.nanmin(first, initial=0.5) >= 0 and np.nanmax(first, initial=0.5) <= 1 else float(np.nanmedian(first))
        return _nearest(pool, np.abs(first - middle), random)
    if way == CUT:
        rule = next((t for t in state.current_filters().filters if str(t) == settings[0]), None)
        if rule is None:
            raise SelectionError("The rule is no longer there. Choose another way to label from, or set a cut on the Filters page.")
        values = corpus.columns.numbers(rule.signal)[pool].astype(np.float64)
        bounds = [b for b in (rule.minimum, rule.maximum) if b is not None]
        spread = float(np.nanstd(values)) or 1.0
        return _nearest(pool, np.min([np.abs(values - b) for b in bounds], axis=0) / spread, random)
    if way == ENDS:
        there = np.flatnonzero(np.isfinite(first))
        order = there[np.argsort(-first[there], kind="stable")]
        half = min(QUEUE // 2, len(order) // 2)
        ends = np.column_stack([order[:half], order[::-1][:half]]).ravel()
        return pool[ends]
    from scipy.stats import rankdata

    second = corpus.columns.numbers(settings[1])[pool]
    there = np.flatnonzero(np.isfinite(first) & np.isfinite(second))
    gap = rankdata(first[there]) - rankdata(second[there])
    return pool[there[np.argsort(-gap, kind="stable")[:QUEUE]]]


def why_empty(corpus: Corpus, way: str, settings: tuple[Any, ...]) -> str:
    """Why a queue holds nothing, and what to do."""
    if way == HITS and not settings[0]:
        return "Write what the documents must contain, and they appear here."
    if way == LIKE and not settings[0].strip():
        return "Write what the documents should be about, and the nearest appear here."
    if way == HITS:
        return f"No document without a label contains {plain(settings[0])}. Write other words, or clear the filters."
    if way in (RANDOM, LIKE) and state.current_filters() and not len(state.current_selection()):
        return "The filters keep no document. Loosen or clear them in the bar above."
    if way in (RANDOM, LIKE):
        return "Every document of the selection is labelled. Clear the filters, or train a scorer."
    if way == WRONG:
        return "This scorer was trained on another corpus, or made no mistake to show."
    return "No document without a label has a value here. Score the corpus first, or choose another way."


def _nearest(pool: np.ndarray, distance: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The documents with the least distance, ties in random order."""
    there = random.permutation(np.flatnonzero(np.isfinite(distance)))
    return pool[there[np.argsort(distance[there], kind="stable")[:QUEUE]]]


def listing(corpus: Corpus, rows: np.ndarray, columns: Sequence[str]) -> int | None:
    """Draw the queue beside the reader; the document to read."""
    now = st.session_state.get("labels_row")
    if now not in rows:
        now = st.session_state.labels_row = _next_unlabelled(corpus, rows, -1)
    said = dict(zip(*(labelled(corpus)[c].to_list() for c in ("row", "label")), strict=True))
    numbers = {c: corpus.columns.numbers(c) for c in columns}
    lines = [
        Line(row, said.get(row, "·"), f"row {exact(row)}", words, [number(float(numbers[c][row])) for c in columns])
        for row, words in _snippets(state.place_key(corpus), tuple(int(r) for r in rows), corpus)
    ]

    def open_it() -> None:
        row = st.session_state.labels_list.opened
        if row is not None:
            st.session_state.labels_row = int(row)

    document_list(
        lines,
        [Column(c, f"column {c}") for c in columns],
        key="labels_list",
        opened=now,
        page=1,
        pages=1,
        group="label",
        title=f"{counted(len(rows), 'document')} to label",
        on_open=open_it,
        on_page=lambda: None,
    )
    return now


@st.cache_data(max_entries=16, show_spinner=False)
def _snippets(key: object, rows: tuple[int, ...], _corpus: Corpus) -> list[tuple[int, list[tuple[str, bool]]]]:
    text = _corpus.roles.text
    return [(record["_row"], snippet(record[text])) for record in _corpus.documents(rows, [text]).iter_rows(named=True)]


def _next_unlabelled(corpus: Corpus, rows: np.ndarray, at: int) -> int | None:
    """The first document after a place in the queue that has no label yet; else the next one; None in an empty queue."""
    if not len(rows):
        return None
    done = set(labelled(corpus)["row"].to_list())
    later = [int(r) for r in rows[at + 1 :]]
    return next((r for r in later if r not in done), later[0] if later else int(rows[max(0, at)]))


def go_on(corpus: Corpus, rows: np.ndarray) -> None:
    """Open the next document of the queue that has no label."""
    at = int(np.flatnonzero(rows == st.session_state.get("labels_row"))[0]) if st.session_state.get("labels_row") in rows else -1
    st.session_state.labels_row = _next_unlabelled(corpus, rows, at)


def progress(corpus: Corpus) -> dict[str, int]:
    """Draw how many documents are labelled, and how far it is to a first scorer; the counts."""
    frame = labelled(corpus)
    counts = dict(frame["label"].value_counts(sort=True).iter_rows())
    used = sum(n for label, n in counts.items() if label != "unsure")
    chips = " ".join(f'<span class="chip"><b>{exact(n)}</b> {escape(label)}</span>' for label, n in counts.items())
    if used < AIM:
        aim = (
            f"{AIM - used} more to a first scorer" if used else f"{AIM} labels are a good start for a scorer; 5 of each kind are the least"
        )
    else:
        aim = "enough for a scorer; more make it surer"
    width = 100 * min(1.0, used / AIM)
    st.html(
        f'<div class="bar" style="gap:.6rem"><span class="track" style="width:9rem" role="progressbar" aria-valuenow="{min(used, AIM)}" aria-valuemax="{AIM}" aria-label="labels"><i style="width:{width:.0f}%"></i></span>'
        f'<span class="n">{used} of {AIM}</span>{chips}<span class="quiet">{aim}</span></div>'
    )
    return counts


def elsewhere(corpus: Corpus) -> None:
    """Say which labels of the workspace are not of this corpus, and offer to look for them."""
    found = _found((state.place_key(corpus), Labels(corpus.workspace).stamp()), corpus)
    if found.unsearched:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(
                f"{counted(found.unsearched, 'label')} of this workspace {'is' if found.unsearched == 1 else 'are'} of other files. The same texts may be here."
            )
            st.button("Look for them by text", key="labels_find", type="tertiary", help="Reads every text once")
        if st.session_state.get("labels_find"):
            with guarded("looking for labels"), st.spinner("Reading every text once …"):
                Labels(corpus.workspace).find(corpus)
                st.rerun()
    elif found.changed or found.absent:
        parts = [f"{exact(found.changed)} of documents whose text has changed since"] if found.changed else []
        parts += [f"{exact(found.absent)} of documents that are not in this corpus"] if found.absent else []
        st.caption(f"Also in this workspace: labels {' and '.join(parts)}.")


@st.cache_resource(max_entries=4, show_spinner=False)
def _found(key: object, _corpus: Corpus) -> Any:
    return Labels(_corpus.workspace).found(_corpus)


# --- all labels ------------------------------------------------------------------------------------------------------------


def table(corpus: Corpus) -> None:
    """Every label of the corpus; a click opens the document; files to take them along."""
    frame = labelled(corpus).sort("created", descending=True)
    if not frame.height:
        st.info("No document is labelled yet. Read some on the left tab and press 1, 2 or 3.", icon=":material/label:")
        return
    shown = frame.head(2000).select("label", "row", "id", "note", "annotator", "created")
    picked = st.dataframe(
        shown, key="labels_table", hide_index=True, height=min(420, 38 + 35 * shown.height), on_select="rerun", selection_mode="single-row"
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if picked.selection.rows:
            st.button("Read this document", key="labels_read", on_click=_open, args=(int(shown["row"][picked.selection.rows[0]]),))
        st.download_button("Labels as CSV", lambda: _file(corpus, ".csv"), "labels.csv", key="labels_csv", on_click="ignore")
        st.download_button(
            "Labels as Parquet", lambda: _file(corpus, ".parquet"), "labels.parquet", key="labels_parquet", on_click="ignore"
        )
        st.caption(f"{shares(dict(frame['label'].value_counts(sort=True).iter_rows()))}. Command: explorer labels export labels.csv PATH")


def _open(row: int) -> None:
    """Show a labelled document in the reader."""
    st.session_state.labels_view, st.session_state.labels_way, st.session_state.labels_only = "Label", DONE, "any"
    st.session_state.labels_open = row
    st.session_state.pop("labels_queue", None)


def _file(corpus: Corpus, ending: str) -> bytes:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"labels{ending}"
        Labels(corpus.workspace).export(path, corpus)
        return path.read_bytes()


# --- training --------------------------------------------------------------------------------------------------------------


def training(corpus: Corpus, counts: dict[str, int]) -> None:
    """The form that trains a scorer, as a job of its own."""
    from explorer.embeddings.store import stored

    numeric = corpus.columns.numeric()
    encoders = list(dict.fromkeys(s.model for s in reversed(stored(corpus))))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="labels_train"):
        name = st.text_input("Name of the scorer", value="mine", key="train_name", width=150, help="Its column will be scorer_NAME")
        source = st.selectbox(
            "Learn from",
            ["labels", *corpus.schema.names, *[c for c in numeric if c not in corpus.schema.names]],
            key="train_source",
            width=190,
        )
        of_labels = source == "labels"
        options = ["logistic", "fasttext"] if of_labels else ["what fits", "logistic", "ridge", "fasttext"]
        kind = st.selectbox(
            "Kind",
            options,
            key="train_kind",
            width=120,
            help="logistic: two classes. ridge: a number. fastText: two classes, a .bin for pipelines",
        )
        reads = "words"
        if kind != "fasttext":
            reads = (
                st.selectbox(
                    "Reads",
                    [*encoders, "words"],
                    key="train_reads",
                    width=210,
                    help="Embeddings tell topics apart, words often style and tone; try both. Words need nothing computed first",
                )
                or "words"
            )
        positive = ""
        if of_labels:
            there = [label for label in counts if label != "unsure"]
            if there:
                positive = (
                    st.selectbox("Counts as 1", there, index=there.index("good") if "good" in there else 0, key="train_positive", width=130)
                    or ""
                )
        else:
            positive = st.text_input(
                "Counts as 1", key="train_value", width=110, placeholder="1", help="For classes; leave empty for a number"
            )
        line = [
            *(["--column", source] if not of_labels else []),
            *(["--kind", kind] if kind != "what fits" else []),
            *(["--positive", positive] if positive else []),
        ]
        line += ["--model", reads] if kind != "fasttext" else []
        used = {label: n for label, n in counts.items() if label != "unsure"}
        lacking = of_labels and (positive not in used or min(used[positive], sum(used.values()) - used[positive]) < 5)
        st.button(
            "Train",
            type="primary",
            key="train_go",
            disabled=lacking or not name.strip(),
            on_click=start,
            args=(corpus, command(corpus, "train", "--name", name.strip(), *line), f"train {name.strip()}"),
            help="Label at least 5 documents of each kind first" if lacking else "Starts a job; the result appears below",
        )
    if lacking:
        st.caption(
            f"Labelled so far: {shares(counts)}. A scorer needs at least 5 documents of each of two labels; {AIM} in all are a good start."
        )
    running = next((j for j in jobs.jobs(corpus.workspace) if j.command[:1] in (("train",), ("scorers",)) and j.state not in ENDED), None)
    if running is not None:

        @st.fragment(run_every=0.5)
        def watch() -> None:
            if running.state in ENDED:
                st.rerun()
            at = running.progress
            st.progress(min(1.0, at.done / at.total) if at.total else 0.0, text=f"{plain(running.label)} · {plain(at.doing) or 'starting'}")

        watch()


def results(corpus: Corpus) -> None:
    """How good a scorer is, what it goes by, and what to do with it."""
    trained = names(corpus.workspace)
    if not trained:
        st.info("No scorer is trained yet. Its quality, its telling words and its mistakes will be here.", icon=":material/school:")
        return
    if st.session_state.get("result_name") not in trained:
        st.session_state.result_name = trained[0]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox("Scorer", trained, key="result_name", width=200)
        try:
            scorer = load(name, corpus.workspace)
        except ExplorerError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        done = corpus.coverage().scored_rows(scorer.column) if corpus.coverage().of(scorer.column) else 0
        st.button(
            f"Score {counted(len(corpus), 'document')} with it",
            key="result_apply",
            type="secondary" if done else "primary",
            on_click=start,
            args=(corpus, _apply_line(corpus, name), f"score with {name}"),
            help=f"Fills the column {scorer.column}",
        )
        if done and st.button("Choose a cut", key="result_filter", help="On the Filters page"):
            from explorer.ui import rules
            from explorer.ui.frame import go

            rules.add(scorer.column)
            go("filters")
        _download(scorer)
    _figures(scorer)
    left, right = st.columns([1, 1], gap="medium")
    with left, guarded("drawing the calibration"):
        _calibration(scorer)
    with right, guarded("showing telling words"):
        _telling(scorer)
    with guarded("listing mistakes"):
        _mistakes(corpus, scorer)
    if done:
        from explorer.ui import distributions
        from explorer.ui.frame import heading

        heading(scorer.column, "over the corpus")
        distributions.one_signal(corpus, scorer.column, "source", key="result")


def _apply_line(corpus: Corpus, name: str) -> list[str]:
    line = command(corpus, "apply")
    return ["scorers", "apply", name, *line[1:]]


def _download(scorer: Scorer) -> None:
    import io
    import tempfile
    import zipfile
    from pathlib import Path

    def packed() -> bytes:
        held = io.BytesIO()
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in export(scorer, Path(folder) / scorer.name):
                archive.write(path, path.name)
        return held.getvalue()

    what = "the .bin that fastText, datatrove and DCLM load" if scorer.kind == "fasttext" else "weights (.npz) and formula (.json)"
    st.download_button("Export", packed, f"{scorer.name}.zip", key="result_export", on_click="ignore", help=f"A zip with {what}")


def _figures(scorer: Scorer) -> None:
    m = scorer.metrics
    if scorer.positive:
        worth = "no better than chance can be ruled out" if m["auc_low"] is None or m["auc_low"] <= 0.5 else ""
        said = (
            f'<span title="Probability that a {escape(scorer.positive, quote=True)} document is ranked above another">AUC <b>{m["auc"]:.3f}</b></span> '
            f'<span class="quiet">(95 % {m["auc_low"]:.3f} to {m["auc_high"]:.3f})</span> · average precision <b>{m["average_precision"]:.3f}</b> '
            f'<span class="quiet">where {share(m["base_rate"])} are {escape(scorer.positive)}</span> · '
            f'<span title="Mean squared error of the probability; below: always saying the base rate">Brier <b>{m["brier"]:.3f}</b></span> <span class="quiet">(base rate alone {m["brier_base"]:.3f})</span>'
        )
        said += f' · <b class="dropped">{worth}</b>' if worth else ""
    else:
        rho = m["spearman"]
        said = (
            f'Spearman <b>{"–" if rho is None else f"{rho:.3f}"}</b> <span class="quiet">(95 % {number(m["spearman_low"])} to {number(m["spearman_high"])})</span> · Pearson <b>{number(m["pearson"])}</b> · '
            f'mean error <b>{m["mae"]:.3f}</b> spreads <span class="quiet">(the median alone {m["mae_base"]:.3f})</span>'
        )
    classes = f" · {escape(shares(dict(scorer.classes)))}" if scorer.classes else ""
    st.html(
        f'<p class="answer">{said}</p><p class="quiet">{escape(scorer.kind)} on {escape(scorer.reads)} · learned from {exact(scorer.n)} documents ({escape(scorer.source)}){classes} · '
        f"{escape(m['how'])}: every figure is of documents that the model had not seen</p>"
    )
    if scorer.notes:
        st.caption(" · ".join(plain(n) for n in scorer.notes))


def _calibration(scorer: Scorer) -> None:
    import plotly.graph_objects as go

    from explorer.ui.frame import heading

    if not scorer.positive:
        return
    heading("Are its probabilities right?", "held-out documents in groups of equal size, 95 % intervals")
    rows = scorer.metrics["reliability"]
    x, y = [r["predicted"] for r in rows], [r["observed"] for r in rows]
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "width": 1, "color": "gray"}, hoverinfo="skip", showlegend=False
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"size": 9, "color": "#0b6e99"},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [r["observed_high"] - r["observed"] for r in rows],
            "arrayminus": [r["observed"] - r["observed_low"] for r in rows],
            "thickness": 1.2,
            "color": "#0b6e99",
        },
        customdata=[r["n"] for r in rows],
        hovertemplate="predicted %{x:.2f}, so %{y:.2f} of %{customdata} documents<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(
        height=260,
        margin={"l": 50, "r": 10, "t": 8, "b": 42},
        xaxis={"title": "predicted probability", "range": [0, 1]},
        yaxis={"title": f"share that is {scorer.positive}"[:60], "range": [0, 1]},
    )
    st.plotly_chart(figure, width="stretch", config={"displayModeBar": False}, key="result_calibration")


def _telling(scorer: Scorer) -> None:
    from explorer.ui.frame import heading

    heading("What does it go by?", str(scorer.telling.get("how", "")))
    for title, key in (("speaks for", "for"), ("speaks against", "against")):
        words = scorer.telling.get(key, ())
        chips = " · ".join(f'<span title="weight {weight:.3g}">{escape(word[:60])}</span>' for word, weight in words[:24])
        st.html(f'<p><span class="quiet">{title}</span> {chips or "nothing that stands out"}</p>')


def _mistakes(corpus: Corpus, scorer: Scorer) -> None:
    from explorer.ui.frame import heading

    if scorer.corpus != corpus.fingerprint or not scorer.mistakes:
        return
    heading("Where was it most wrong?", "held-out documents; a wrong label shows here first")
    rows = [int(m["row"]) for m in scorer.mistakes]
    texts = {row: "".join(part for part, _ in words) for row, words in _snippets(state.place_key(corpus), tuple(rows), corpus)}
    shown = pl.DataFrame(
        {
            "row": rows,
            "label": [scorer.positive if m["target"] == 1 else f"not {scorer.positive}" for m in scorer.mistakes]
            if scorer.positive
            else [f"{m['target']:.2f}" for m in scorer.mistakes],
            "scored": [float(m["score"]) for m in scorer.mistakes],
            "text": [texts.get(row, "") for row in rows],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        height=38 + 35 * min(6, shown.height),
        key="result_mistakes",
        column_config={"scored": st.column_config.NumberColumn(format="%.3f"), "text": st.column_config.TextColumn(width="large")},
    )

    def look() -> None:
        st.session_state.labels_way, st.session_state.labels_wrong, st.session_state.labels_view = WRONG, scorer.name, "Label"

    st.button("Read them, and mend labels", key="result_read", on_click=look, type="tertiary")


def short_answer(corpus: Corpus) -> str:
    """The sentence under the page's title, as HTML."""
    trained = names(corpus.workspace)
    said = "Read, and press <b>1</b> for good, <b>2</b> for bad, <b>3</b> for unsure; <b>U</b> takes back, <b>J</b> and <b>K</b> move."
    return f"{said} {counted(len(trained), 'scorer')} trained so far." if trained else said
