"""Groups of duplicates: a page of them, and one read side by side. Texts of one page and of one group are in memory, no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.database import literal, quote
from explorer.corpus.sidecars import Sidecar
from explorer.duplicates import groups
from explorer.duplicates.minhash import jaccard, shingle_sets
from explorer.duplicates.tokens import tokens
from explorer.errors import EmbeddingError
from explorer.primitives.batch import Batch
from explorer.selection.filters import as_filters
from explorer.selection.selection import Selection
from explorer.ui import diff, link, state
from explorer.ui.duplicate_keepers import Kept
from explorer.ui.duplicate_searches import WAYS, first_page, kind_of, report
from explorer.ui.errors import guarded, plain
from explorer.ui.format import counted, short
from explorer.ui.format import exact as digits
from explorer.ui.frame import go
from explorer.ui.reader import snippet, text_html
from explorer.ui.state import corpus_key
from explorer.ui.table import Column, Line, document_list

PAGE = 25  # groups of a page
MEMBERS = 60  # documents of a group that are listed
MOST_TO_COMPARE = 20_000_000  # characters of a group's texts whose similarity with the kept one is computed
MOST_TO_READ = 2_000  # documents of a group that the Documents page is asked to show
UNLIKE = 0.5  # similarity below which a document is hardly a copy
SORTS = {"size": "most documents", "savings": "most tokens saved", "similarity": "least alike first"}


def toolbar(name: str) -> tuple[str, str, str]:
    """How groups are sorted, among which documents, and the document whose group is wanted."""
    compared = name in ("near", "meaning")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        orders = [s for s in SORTS if compared or s != "similarity"]
        if st.session_state.get("dup_sort") not in orders:
            st.session_state.dup_sort = "size"
        sort = st.segmented_control(
            "Sort groups by",
            orders,
            format_func=SORTS.__getitem__,
            key="dup_sort",
            label_visibility="collapsed",
            persist_state="session",
            on_change=first_page,
        )
        among = st.segmented_control(
            "Among",
            ["all", "kept"],
            default="all",
            key="dup_among",
            label_visibility="collapsed",
            disabled=not state.current_filters(),
            on_change=first_page,
            format_func={"all": "all documents", "kept": "kept by the selection"}.__getitem__,
        )
        wanted = st.text_input(
            "Find the group of a document",
            placeholder="id of a document, or its row number",
            key="dup_find",
            label_visibility="collapsed",
            width=260,
            on_change=first_page,
        )
    return sort or "size", among if among and state.current_filters() else "all", wanted.strip()


def find_rows(corpus: Corpus, wanted: str) -> np.ndarray:
    """Numbers of the documents with this id; where no document has it, a plain number is one's place in the corpus."""
    column = corpus.roles.id
    if column is not None:
        rows = corpus.database.matching_rows(f"CAST({quote(column)} AS VARCHAR) = {literal(wanted)}").to_numpy()
        if len(rows):
            return rows
    digits_only = wanted.removeprefix("row").strip().replace(",", "")
    if digits_only.isascii() and digits_only.isdigit() and int(digits_only) < len(corpus):
        return np.array([int(digits_only)])
    return np.zeros(0, np.int64)


def listing(corpus: Corpus, name: str, alias: str, rule: str, kept: Kept, sort: str, among: str, wanted: str) -> int | None:
    """Draw a page of groups; the group to read, None where there is none."""
    kind = kind_of(name, alias)
    selection = state.current_selection()
    found = groups.grouping(corpus, kind)
    within, said = None, ""
    if wanted:
        rows = find_rows(corpus, wanted)
        names = np.unique(found.group[rows])
        names = names[np.isin(names, found.names)]
        if not len(names):
            if not len(rows):
                st.info(f"No document has the id or row {plain(repr(wanted))}.", icon=":material/search_off:")
            else:
                st.info(f"{plain(repr(wanted))} has no duplicate of this kind: it is alone in its group.", icon=":material/check_circle:")
            return None
        within = np.isin(found.group, names)
        said = f"find {wanted}"
    if among == "kept":
        inside = selection.mask()
        within = inside if within is None else within & inside
        said += link.encode(selection.filters)
    base = (corpus_key(corpus), kind, rule, said)
    total = _count(base, corpus, kind, within)
    if not total:
        if among == "kept":
            st.info("No group has two documents left among those that the selection keeps.", icon=":material/check_circle:")
        else:
            st.info("No group of two documents or more.", icon=":material/check_circle:")
        return None
    pages = -(-total // PAGE)
    page = min(max(1, int(st.session_state.get("dup_page", 1))), pages)
    frame = _groups((*base, sort, page), corpus, kind, sort, page, within, kept.keep)
    numbers = frame["group"].to_list()
    now = st.session_state.get("dup_group")
    if now not in numbers:
        now = numbers[-1] if st.session_state.pop("dup_from_end", False) else numbers[0]
        st.session_state.dup_group = now

    def open_it() -> None:
        if (row := st.session_state.dup_list.opened) is not None:
            st.session_state.dup_group = int(row)
            st.session_state.pop("dup_pair", None)

    def turn() -> None:
        if step := st.session_state.dup_list.page:
            st.session_state.dup_page = page + (1 if step > 0 else -1)
            st.session_state.dup_from_end = step < 0
            st.session_state.pop("dup_group", None)

    compared = name in ("near", "meaning")
    tokens = corpus.columns.tokens()
    heads = [Column("docs", "documents in the group")]
    heads += [Column("alike", "lowest similarity among its compared pairs")] if compared else []
    heads += [Column("saves", f"{'≈ ' if tokens.estimated else ''}tokens of the documents that go")]
    shown = []
    for line in frame.iter_rows(named=True):
        sources = ", ".join(f"{s['source']} {s['documents']}" for s in line["sources"])
        cells = [short(line["documents"])]
        cells += ["–" if line["lowest"] is None or np.isnan(line["lowest"]) else f"{line['lowest']:.2f}"] if compared else []
        cells += [short(line["tokens_saved"])]
        shown.append(Line(line["group"], sources, f"{sources} · {', '.join(line['ids'])}", line["begins"], cells))
    first = (page - 1) * PAGE
    document_list(
        shown,
        heads,
        key="dup_list",
        opened=now,
        page=page,
        pages=pages,
        group="sources",
        title=f"{digits(first + 1)}–{digits(first + len(shown))} of {digits(total)}",
        on_open=open_it,
        on_page=turn,
    )
    if pages > 1:
        pager = f"dup_pager_{page}_{pages}"

        def to_page() -> None:
            st.session_state.dup_page = st.session_state[pager]
            st.session_state.pop("dup_group", None)

        st.pagination(pages, default=page, key=pager, max_visible_pages=5, on_change=to_page)
    return now


@st.cache_resource(max_entries=64, show_spinner=False)
def _count(key: tuple[Any, ...], _corpus: Corpus, kind: str, _within: np.ndarray | None) -> int:
    return groups.count(_corpus, kind, _within)


@st.cache_resource(max_entries=64, show_spinner=False)
def _groups(
    key: tuple[Any, ...], _corpus: Corpus, kind: str, sort: str, page: int, _within: np.ndarray | None, _keep: np.ndarray
) -> pl.DataFrame:
    """A page of groups, with the first words of each."""
    frame = groups.groups(_corpus, kind, PAGE, (page - 1) * PAGE, sort, within=_within, keep=_keep)
    texts = _corpus.documents(frame["group"].to_list(), [_corpus.roles.text])[_corpus.roles.text]
    return frame.with_columns(pl.Series("begins", [snippet(t, length=140) for t in texts], dtype=pl.Object))


# --- one group ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Opened:
    """One group with its texts.

    Attributes:
        members: `groups.members`, the one that stays first.
        total: documents of the group, listed or not.
        texts: theirs.
        dates: theirs, empty where there is none.
        values: of the signal that the keeper rule reads.
        alike: float64, similarity with the one that stays; NaN where it is undefined or was not computed.
        same: what kinds without a similarity say instead; None where there is one.
        unsaid: why no similarity was computed; empty where it was.

    """

    members: pl.DataFrame
    total: int
    texts: list[str | None]
    dates: list[str]
    values: list[str]
    alike: np.ndarray
    same: list[str] | None
    unsaid: str

    @property
    def unlike(self) -> int:
        """How many of those listed are less like what stays than `UNLIKE`: they are here because others link them."""
        return int((self.alike < UNLIKE).sum())

    def similar(self, i: int) -> str:
        """What the table says of a document's likeness to the one that stays; empty where it is not known."""
        if self.same is not None:
            return self.same[i]
        return "" if np.isnan(self.alike[i]) else f"{self.alike[i]:.3f}"

    @property
    def kept(self) -> int:
        """Place of the document that stays."""
        return next((i for i, stays in enumerate(self.members["keep"]) if stays), 0)


@st.cache_resource(max_entries=24, show_spinner=False)
def _opened(
    key: tuple[Any, ...], _corpus: Corpus, name: str, kind: str, group: int, rule: str, _keep: np.ndarray, _side: Sidecar
) -> Opened:
    found = groups.grouping(_corpus, kind)
    at = int(np.searchsorted(found.names, group))
    total = int(found.starts[at + 1] - found.starts[at])
    members = groups.members(_corpus, kind, group, MEMBERS, keep=_keep, kept_first=True)
    rows = members["row"].to_numpy()
    roles = _corpus.roles
    frame = _corpus.documents(rows, list(dict.fromkeys(c for c in (roles.text, roles.date) if c)))
    texts = frame[roles.text].to_list()
    dates = [str(d)[:19] if d is not None else "" for d in frame[roles.date].to_list()] if roles.date else [""] * len(rows)
    head, _, column = rule.partition(":")
    values = [""] * len(rows)
    if head in ("highest", "lowest") and column:
        values = ["not defined" if np.isnan(v) else f"{v:.4g}" for v in _corpus.columns.numbers(column)[rows].tolist()]
    kept = next((i for i, stays in enumerate(members["keep"]) if stays), 0)
    if name in ("exact", "normalised"):
        same = ["same bytes" if name == "exact" or t == texts[kept] else "same words" for t in texts]
        return Opened(members, total, texts, dates, values, np.full(len(rows), np.nan), same, "")
    return Opened(members, total, texts, dates, values, *_alike(_corpus, name, _side, rows, texts, kept))


def _alike(
    corpus: Corpus, name: str, side: Sidecar, rows: np.ndarray, texts: Sequence[str | None], kept: int
) -> tuple[np.ndarray, None, str]:
    """The last three fields of `Opened`, computed anew from the texts or vectors: what a search compared need not be with this one."""
    unknown = np.full(len(rows), np.nan)
    if name == "near":
        if sum(len(t or "") for t in texts) > MOST_TO_COMPARE:
            return unknown, None, "These texts are too long to be compared here with the one that stays."
        return jaccard_with(texts, kept, report(side).get("parameters", {}).get("ngram", 5)), None, ""
    try:
        vectors = corpus.embeddings(str(side.parameters.get("embeddings") or "") or None).of(rows)
    except EmbeddingError:
        return unknown, None, "The vectors that were compared are gone."
    return np.asarray(vectors @ vectors[kept], np.float64), None, ""


def jaccard_with(texts: Sequence[str | None], one: int, ngram: int) -> np.ndarray:
    """Exact Jaccard similarity of each text with one of them, float64 [n]; each is read once, and no other pair is compared."""
    batch = Batch.of(texts)
    places = np.arange(len(batch))
    sets = shingle_sets(batch, ngram, places, np.maximum(np.diff(tokens(batch).offsets) - ngram + 1, 0))
    return jaccard(np.full(len(batch), one), places, *sets)


def read(corpus: Corpus, name: str, alias: str, side: Sidecar, group: int, rule: str, kept: Kept) -> None:
    """Draw one group: its documents, what is done with it, and two of them side by side."""
    selection, kind = state.current_selection(), kind_of(name, alias)
    key = (corpus_key(corpus), name, kind, group, rule)
    opened = _opened(key, corpus, name, kind, group, rule, kept.keep, side)
    members = opened.members
    labels = [str(i)[:120] for i in members["id"]]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        more = f", {digits(members.height)} of them listed" if opened.total > members.height else ""
        st.html(f'<h2 class="heading">{counted(opened.total, "document")} that are alike{more}</h2>', width="stretch")
        if st.button(
            "Read in Documents",
            key="dup_read",
            type="tertiary",
            help="Open these documents on the Documents page, to read, filter and compare",
        ):
            found = groups.grouping(corpus, kind)
            at = int(np.searchsorted(found.names, group))
            rows = found.rows[found.starts[at] : found.starts[at + 1]][:MOST_TO_READ]
            state.look_at(f"{WAYS[name].label.lower()} duplicates of {labels[0]}", rows=[int(r) for r in rows])
            go("documents")
        column = groups.grouping(corpus, kind).columns.group
        st.button(
            "Drop this group",
            key="dup_drop",
            type="tertiary",
            on_click=_drop,
            args=(column, group, labels[0]),
            help="Adds a condition to the selection that leaves out every document of the group",
        )
    st.html(_members_html(corpus, selection, opened, name, rule))
    _compare(opened, labels, (group, rule))


def _drop(column: str, group: int, label: str) -> None:
    with guarded("dropping a group"):
        predicate = f"({quote(column)} = {int(group)}) IS NOT TRUE"
        state.set_filters(state.current_filters() | as_filters(predicate), f"drop the group of {label}")


def _members_html(corpus: Corpus, selection: Selection, opened: Opened, name: str, rule: str) -> str:
    """The documents of a group as a table of inert text."""
    head = rule.partition(":")
    why = {
        "highest": f"highest {head[2]}",
        "lowest": f"lowest {head[2]}",
        "source": "most wanted source",
        "first": "first in the corpus",
    }.get(head[0], head[0])
    mask = selection.mask() if selection.filters else None
    dated, valued = any(opened.dates), any(opened.values)
    names = ["", "id", "source", "characters", *(["date"] if dated else []), *([head[2]] if valued else []), _similar_name(name)]
    names += ["selection"] if mask is not None else []
    lines = []
    for i, member in enumerate(opened.members.iter_rows(named=True)):
        text = opened.texts[i]
        mark = f'<b class="kept" title="{escape(why, quote=True)}">stays</b>' if member["keep"] else '<span class="quiet">goes</span>'
        cells = [
            f"<td>{mark}</td>",
            f'<td class="id" title="row {digits(member["row"])} of the corpus">{text_html(str(member["id"])[:200])}</td>',
            f"<td>{text_html(str(member['source'])[:80])}</td>",
            f'<td class="n">{digits(len(text)) if text is not None else "null"}</td>',
        ]
        cells += [f"<td>{text_html(opened.dates[i])}</td>"] if dated else []
        cells += [f'<td class="n">{escape(opened.values[i])}</td>'] if valued else []
        cells += [f'<td class="n">{"—" if i == opened.kept else escape(opened.similar(i))}</td>']
        cells += [f"<td>{'kept' if mask[member['row']] else 'dropped'}</td>"] if mask is not None else []
        lines.append(f"<tr class={'stays' if member['keep'] else 'goes'}>{''.join(cells)}</tr>")
    heads = "".join(f'<th scope="col">{escape(n)}</th>' for n in names)
    said = " ".join(filter(None, (f"Which stays: {escape(why)}.", opened.unsaid)))
    if opened.unlike:
        said += (
            f" {digits(opened.unlike)} of the {digits(len(opened.texts))} listed {'is' if opened.unlike == 1 else 'are'} less than {UNLIKE:g} like it: groups chain, A like B and B like C. "
            "“Search otherwise” can ask every pair to be verified."
        )
    return (
        f'<div class="members" role="region" aria-label="Documents of the group" tabindex="0"><table><thead><tr>{heads}</tr></thead>'
        f'<tbody>{"".join(lines)}</tbody></table></div><p class="quiet dup-why">{said}</p>'
    )


def _similar_name(name: str) -> str:
    return {"near": "Jaccard with what stays", "meaning": "cosine with what stays"}.get(name, "as what stays")


def _compare(opened: Opened, labels: Sequence[str], of: tuple[int, str]) -> None:
    """Two documents of a group under a keeper rule side by side; the one that stays beside the next by default."""
    n = len(labels)
    kept = opened.kept
    other = next((i for i in range(n) if i != kept), kept)
    pair = st.session_state.get("dup_pair")
    if pair is None or pair[0] != of:
        pair = (of, kept, other)
        st.session_state.dup_pair = pair
        st.session_state.pop("dup_part", None)
    st.session_state.dup_left, st.session_state.dup_right = min(pair[1], n - 1), min(pair[2], n - 1)

    def chosen() -> None:
        st.session_state.dup_pair = (of, st.session_state.dup_left, st.session_state.dup_right)
        st.session_state.pop("dup_part", None)

    def step(by: int) -> None:
        right = (st.session_state.dup_pair[2] + by) % n
        if right == st.session_state.dup_pair[1] and n > 2:
            right = (right + by) % n
        st.session_state.dup_pair = (of, st.session_state.dup_pair[1], right)
        st.session_state.pop("dup_part", None)

    def named(i: int) -> str:
        return f"{diff.inert(labels[i])}{' (stays)' if opened.members['keep'][i] else ''}"

    pick: dict[str, Any] = {"format_func": named, "on_change": chosen, "width": 195, "label_visibility": "collapsed"}
    step_by: dict[str, Any] = {"on_click": step, "type": "tertiary", "disabled": n < 3}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        a = st.selectbox("Compare", range(n), key="dup_left", **pick)
        st.html('<span class="quiet">beside</span>')
        b = st.selectbox("with", range(n), key="dup_right", **pick)
        st.button("◀", key="dup_before", args=(-1,), help="The document before in the group", **step_by)
        st.button("▶", key="dup_after", args=(1,), help="The next document of the group", **step_by)
        fold = st.toggle("Only around changes", value=True, key="dup_fold", persist_state="session")
    diff.draw(opened.texts[a], opened.texts[b], (labels[a], labels[b]), fold=fold, key="dup_part")
