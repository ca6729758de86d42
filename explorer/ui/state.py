"""What every page shares: the open corpus and ONE selection, which lives in the session and in the page's address.

    corpus = current_corpus()
    selection = current_selection()          # evaluated when a figure is asked for, kept for all pages and browsers
    set_filters(selection.filters | Threshold("edu_score", minimum=3), "edu_score ≥ 3")

Change filters in a widget's callback, or call ``st.rerun()`` after ``set_filters``: the bar at the top was drawn before the page.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.errors import ExplorerError, SelectionError
from explorer.rewrites.place import Place
from explorer.selection.filters import Filters
from explorer.selection.selection import Selection
from explorer.ui import link
from explorer.ui.arguments import Sides, read, sides_of
from explorer.ui.background import later

PARAMETER, SIDE = "f", "at"
OF_A_SIDE = (
    "filters",
    "undo",
    "address",
    "address_before",
    "focus",
    "documents_row",
    "documents_page",
)  # kept apart for documents and rewrites
MOST_UNDO = 100
LATE = 2.0  # seconds
TEXT_TO_COUNT = 512 * 1024**2  # bytes of text that may be read to count tokens that nobody has counted yet


@dataclass(frozen=True)
class Counts:
    """What the selection bar says; tokens are None while unknown."""

    documents: int
    kept_documents: int
    tokens: float | None
    kept_tokens: float | None
    tokens_label: str
    estimated: bool


# --- the corpus ------------------------------------------------------------------------------------------------------------


def start(app: Path) -> None:
    """Note what the app was started with, and which side of it a link shows; later runs of a session keep what was opened since."""
    if "sides" not in st.session_state:
        st.session_state.sides = started_with(app)
        turn_to(st.query_params.get(SIDE, ""))


def started_with(app: Path) -> Sides:
    """What the command that started the app named."""
    ours = bool(sys.argv) and Path(sys.argv[0]).absolute() == app.absolute()
    return read(sys.argv[1:] if ours else [], app)


def open_ahead(app: Path) -> Corpus | None:
    """What the first browser will look at, opened before it asks; None where the files lie elsewhere and are not read unasked."""
    place = started_with(app).documents
    if place is None or any("://" in path for path in place.paths):
        return None
    return _open(place)[0]


def current_sides() -> Sides:
    """The documents and the rewrites that are open, and which of them is looked at."""
    return st.session_state.sides


def current_place() -> Place:
    """What is looked at: paths, workspace and roles given by hand."""
    sides = current_sides()
    place = sides.rewrites if sides.at == "rewrites" else sides.documents
    assert place is not None  # the side looked at is always there
    return place


def turn_to(side: str) -> bool:
    """Look at the documents or at the rewrites, each with a selection of its own; whether that is another side than before."""
    sides: Sides = st.session_state.sides
    if side not in ("documents", "rewrites") or side == sides.at or getattr(sides, side) is None:
        return False
    now = st.session_state
    kept: dict[str, dict[str, Any]] = now.setdefault("of_sides", {})
    kept[sides.at] = {name: now.pop(name) for name in OF_A_SIDE if name in now}
    now.update(kept.pop(side, {}))
    now.sides = replace(sides, at=side)
    return True


def open_rewrites(rewrites: Place) -> Corpus:
    """Open rewrites of the documents that are looked at and turn to them.

    Raises:
        CorpusError: they cannot be opened, or belong to other documents.

    """
    corpus, _ = _open(rewrites)
    st.session_state.sides = replace(current_sides(), rewrites=rewrites)
    turn_to("rewrites")
    write_address()  # the documents' filters are no filters of the rewrites
    return corpus


def current_corpus() -> Corpus:
    """The open corpus, shared by all browsers that look at the same files.

    Raises:
        CorpusError: it cannot be opened; the frame then shows the message in place of the page.

    """
    place = current_place()
    corpus, stamp = _open(place)
    if files_stamp(corpus) != stamp:
        # A file was replaced while it was open: row numbers and footers no longer hold, so everything is read anew.
        _open.clear(place)
        corpus, _ = _open(place)
    if corpus.pairing and current_sides().rewrites is None:
        st.session_state.sides = sides_of(_said(place, corpus))
    return corpus


def corpus_of(side: str) -> Corpus | None:
    """The documents or the rewrites, whichever of them is looked at; None where they are not open."""
    if side == current_sides().at:
        return current_corpus()
    place = getattr(current_sides(), side)
    return None if place is None else _open(place)[0]


def filters_of(side: str) -> Filters:
    """The filters of the documents or of the rewrites, whichever of them is looked at."""
    if side == current_sides().at:
        return current_filters()
    found: Filters = st.session_state.get("of_sides", {}).get(side, {}).get("filters", Filters())
    return found


def open_place(place: Place) -> Corpus:
    """Open another corpus for this session; the one that is open stays when this one cannot be opened.

    Filters are those of the corpus they were made for: another one starts without, and Undo brings them.
    """
    corpus, _ = _open(place)
    sides, now = current_sides(), current_place()
    if (now.paths, now.originals, now.workspace) != (place.paths, place.originals, place.workspace):
        st.session_state.sides = sides_of(_said(place, corpus))
        set_filters(Filters(), "opening another corpus")
        for name in ("of_sides", "focus", "documents_row", "documents_page", "documents_search"):
            st.session_state.pop(name, None)
    elif sides.at == "rewrites":
        st.session_state.sides = replace(sides, rewrites=place)
    else:
        st.session_state.sides = replace(sides, documents=place)
    return corpus


def _said(place: Place, corpus: Corpus) -> Place:
    """A place that says which column holds the originals, where the files were seen to hold both texts."""
    if not corpus.pairing or place.originals or "original" in dict(place.roles):
        return place
    return replace(place, roles=(*place.roles, ("original", corpus.roles.original or "")))


def reopen() -> None:
    """Read the footers again: files may have been added or replaced."""
    _open.clear(current_place())


def set_roles(**roles: str) -> None:
    """Say which column plays a role ("" takes the role away)."""
    place = current_place()
    open_place(replace(place, roles=tuple(sorted((dict(place.roles) | roles).items()))))


@st.cache_resource(max_entries=4, show_spinner="Reading the footers of the Parquet files …")
def _open(place: Place) -> tuple[Corpus, int]:
    corpus = place.open()
    return corpus, files_stamp(corpus)


def files_stamp(corpus: Corpus) -> int:
    """Changes when a local file does; as cheap as one look at each directory entry."""
    seen = []
    for shard in corpus.shards:
        if not shard.remote:
            try:
                entry = os.stat(shard.path)
                seen.append((shard.path, entry.st_size, entry.st_mtime_ns))
            except OSError:
                seen.append((shard.path, -1, -1))
    return hash(tuple(seen))


# --- the selection ---------------------------------------------------------------------------------------------------------


def current_filters() -> Filters:
    """The filters of the session; on its first run, those of the page's address."""
    return st.session_state.get("filters", Filters())


def set_filters(filters: Filters, note: str = "") -> None:
    """Replace the filters and keep the old ones for Undo.

    Args:
        filters: the new filters; a value, never changed in place.
        note: what was done, as Undo will name it ("language = 'en'").

    """
    before = current_filters()
    if filters == before:
        return
    undo: list[tuple[Filters, str]] = st.session_state.setdefault("undo", [])
    undo.append((before, note))
    del undo[:-MOST_UNDO]
    st.session_state.filters = filters
    write_address()


def undo() -> str | None:
    """Take the last change back; returns its note, None when there was none."""
    steps: list[tuple[Filters, str]] = st.session_state.get("undo", [])
    if not steps:
        return None
    st.session_state.filters, note = steps.pop()
    write_address()
    return note


def next_undo() -> str | None:
    """The note of the change that Undo would take back."""
    steps = st.session_state.get("undo", [])
    return steps[-1][1] if steps else None


def current_selection() -> Selection:
    """The open corpus under the current filters. What was computed for it is kept until filters, files or scores change."""
    return selection_of(current_filters())


def selection_of(filters: Filters) -> Selection:
    """The same for other filters (a recipe to compare with, a cut being tried)."""
    corpus = current_corpus()
    return _select(corpus_key(corpus), link.encode(filters), corpus, filters)


def place_key(corpus: Corpus) -> tuple[Any, ...]:
    """Changes whenever the files, where they lie or their roles do; equal files elsewhere are another place, with sources of its own."""
    roles = tuple(corpus.roles.assigned().items())
    return corpus.fingerprint, hash(tuple(s.path for s in corpus.shards)), str(corpus.workspace.path), roles


def corpus_key(corpus: Corpus) -> tuple[Any, ...]:
    """As `place_key`, and changes with what is computed about the files too: the key for whatever is cached."""
    return *place_key(corpus), corpus.coverage().stamp()


@st.cache_resource(max_entries=6, show_spinner=False)
def _select(key: tuple[Any, ...], said: str, _corpus: Corpus, _filters: Filters) -> Selection:
    return _corpus.select(_filters)


def counts(wait: float = 1.5) -> Counts | None:
    """Documents and tokens kept, None while they are being counted.

    Without filters nothing is computed: documents come from the footers, and tokens are shown when they cost no reading.

    Raises:
        ExplorerError: the filters cannot be applied to this corpus.

    """
    corpus, filters = current_corpus(), current_filters()
    cheap = tokens_are_cheap(corpus)
    if not filters and not cheap:
        n, size = len(corpus), corpus.text_size / 4
        return Counts(n, n, size, size, "text bytes in the footers / 4", True)
    selection = current_selection()
    key = ("counts", corpus_key(corpus), link.encode(filters))
    future = later(key, lambda: _count(selection, cheap), wait)
    return future.result() if future.done() else None


def counting() -> Any:
    """The unfinished count, for `background.watch`."""
    corpus, filters, selection = current_corpus(), current_filters(), current_selection()
    return later(("counts", corpus_key(corpus), link.encode(filters)), lambda: _count(selection, tokens_are_cheap(corpus)))


def tokens_are_cheap(corpus: Corpus) -> bool:
    """Whether tokens a document are counted already, or the texts are few enough to read for an estimate."""
    coverage, n = corpus.coverage(), len(corpus)
    counted = corpus.roles.tokens or coverage.scored_rows("n_tokens") == n or coverage.scored_rows("n_bytes") == n
    return bool(counted) or corpus.text_size <= TEXT_TO_COUNT


def _count(selection: Selection, with_tokens: bool) -> Counts:
    corpus = selection.corpus
    n = len(corpus)
    everything = not selection.filters
    kept = n if everything else len(selection)
    if not with_tokens:
        return Counts(n, kept, None, None, "", True)
    tokens = corpus.columns.tokens()
    total = float(tokens.values.sum())
    kept_tokens = total if everything else float(tokens.values[selection.rows()].sum())
    return Counts(n, kept, total, kept_tokens, tokens.label, tokens.estimated)


# --- what to read ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Focus:
    """Documents that another page asked the Documents page to show: rows in this order, or those that match a predicate."""

    title: str
    where: str = ""
    rows: tuple[int, ...] | None = None


def look_at(title: str, *, where: str = "", rows: Sequence[int] | None = None) -> None:
    """Ask the Documents page to show some documents; then open it with ``frame.go("documents")``."""
    st.session_state.focus = Focus(title, where, None if rows is None else tuple(int(r) for r in rows))
    for key in ("documents_row", "documents_page", "documents_search"):
        st.session_state.pop(key, None)


def current_focus() -> Focus | None:
    """What the Documents page was asked to show, None for everything."""
    return st.session_state.get("focus")


# --- saved selections ------------------------------------------------------------------------------------------------------


def saved_selections(corpus: Corpus) -> list[str]:
    """Names of the selections saved in the workspace."""
    return sorted(p.stem for p in (corpus.workspace.path / "selections").glob("*.yaml"))


def save_selection(name: str) -> Path:
    """Write the current filters to the workspace under a name.

    Raises:
        ExplorerError: the name cannot be a file's, or the workspace cannot be written.

    """
    corpus = current_corpus()
    return replace(current_filters(), name=name).save(selection_path(corpus, name))


def load_selection(name: str) -> Filters:
    """The filters saved under a name."""
    return Filters.load(selection_path(current_corpus(), name))


def selection_path(corpus: Corpus, name: str) -> Path:
    """The file of a saved selection.

    Raises:
        SelectionError: the name cannot be a file's.

    """
    if not name or name.startswith(".") or any(c in name for c in '/\\:*?"<>|') or not name.isprintable() or len(name.encode()) > 200:
        raise SelectionError(f"{name!r} cannot name a saved selection. Use letters, digits, spaces, '-' and '_'. Example: fineweb-strict")
    return corpus.workspace.path / "selections" / f"{name}.yaml"


# --- the address -----------------------------------------------------------------------------------------------------------


def read_address() -> ExplorerError | None:
    """Take filters from the address: a link that was opened, or the browser's back and forward.

    Returns:
        What is wrong with the link; the filters then stay as they are and the address is put right.

    """
    there = st.query_params.get(PARAMETER)
    if there is None or there == st.session_state.get("address") or _is_late(there):
        write_address()
        return None
    try:
        filters = link.decode(there)
    except ExplorerError as error:
        write_address()
        return error
    if "address" not in st.session_state:
        st.session_state.filters = filters
    else:
        set_filters(filters, "the browser's back or forward")
    write_address()
    return None


def write_address() -> None:
    """Put the filters into the address; changing pages empties it."""
    said = link.encode(current_filters())
    if said != st.session_state.get("address"):
        st.session_state.address_before = (st.session_state.get("address"), time.monotonic())
    st.session_state.address = said
    side = current_sides().at if current_sides().documents and current_sides().rewrites else ""
    if side and st.query_params.get(SIDE) != side:
        st.query_params[SIDE] = side
    if said:
        if st.query_params.get(PARAMETER) != said:
            st.query_params[PARAMETER] = said
    elif PARAMETER in st.query_params:
        del st.query_params[PARAMETER]


def _is_late(there: str) -> bool:
    """Whether this is the address that we replaced a moment ago: a click can be on its way while the browser learns of the new one."""
    before, when = st.session_state.get("address_before", (None, 0.0))
    return there == before and time.monotonic() - when < LATE


def address() -> str:
    """The whole address of this page with the current filters, to share with whoever can reach this server."""
    from urllib.parse import quote

    base = (st.context.url or "").split("?")[0]
    sides, said = current_sides(), link.encode(current_filters())
    words = [f"{SIDE}={sides.at}"] if sides.documents and sides.rewrites else []
    words += [f"{PARAMETER}={quote(said, safe=':;,.=/')}"] if said else []
    return f"{base}?{'&'.join(words)}" if words else base
