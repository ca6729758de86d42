"""Which document of a group stays, what that saves, and the rule that says so in the selection."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.sidecars import Sidecar
from explorer.duplicates import groups
from explorer.duplicates.keepers import keepers, worth
from explorer.duplicates.minhash import SCHEMES
from explorer.duplicates.savings import TOTAL, savings, shared_sources
from explorer.engine.whole import identity
from explorer.errors import ExplorerError
from explorer.registry import find
from explorer.selection.filters import Filters
from explorer.selection.threshold import Threshold
from explorer.ui import errors, link, state
from explorer.ui.background import later, watch
from explorer.ui.duplicate_searches import WAYS, kind_of
from explorer.ui.errors import guarded
from explorer.ui.format import about, counted, share, short
from explorer.ui.format import exact as digits
from explorer.ui.frame import heading
from explorer.ui.state import corpus_key

RULES = {
    "first": "the first in the corpus",
    "longest": "the longest",
    "newest": "the newest",
    "oldest": "the oldest",
    "highest": "the highest in …",
    "lowest": "the lowest in …",
    "source": "by source, in order …",
}


@dataclass(frozen=True, eq=False)
class Kept:
    """One document a group under a keeper rule.

    Attributes:
        keep: bool [n], False for those that go.
        by_source: the table of `savings`.
        total: its last line.

    """

    keep: np.ndarray
    by_source: pl.DataFrame
    total: dict[str, Any]


def kept_of(corpus: Corpus, kind: str, rule: str, wait: float = 2.0) -> Future[Kept]:
    """Which documents stay under a rule, and what that saves; computed off the page."""

    def work() -> Kept:
        found = groups.grouping(corpus, kind)
        keep = keepers(found.group, worth(corpus, rule)) | (found.group < 0)
        table = savings(corpus, keep)
        return Kept(keep, table, table.row(-1, named=True))

    return later(("keepers", corpus_key(corpus), kind, rule), work, wait)


def rule_form(corpus: Corpus) -> str:
    """Choose which document of each group stays; the rule as the library writes it."""
    numeric = [c for c in corpus.columns.numeric() if not _is_ours(c)]
    dated = corpus.roles.date is not None
    options = [r for r in RULES if (r not in ("newest", "oldest") or dated) and (r not in ("highest", "lowest") or numeric)]
    if st.session_state.get("dup_rule") not in options:
        st.session_state.dup_rule = "first"
    rule = (
        st.selectbox("Of each group keep", options, format_func=RULES.__getitem__, key="dup_rule", persist_state="session", width=210)
        or "first"
    )
    if rule in ("highest", "lowest"):
        if st.session_state.get("dup_signal") not in numeric:
            st.session_state.dup_signal = numeric[0]
        return f"{rule}:{st.selectbox('Signal', numeric, key='dup_signal', persist_state='session', width=210)}"
    if rule == "source":
        names = [n for n in corpus.columns.groups("source", most=200).labels if "," not in n and n == n.strip()]
        wanted = st.multiselect(
            "Sources, most wanted first", names, key="dup_sources", persist_state="session", width=330, placeholder="any"
        )
        return f"source:{','.join(wanted)}" if wanted else "first"
    return rule


def in_words(rule: str) -> str:
    """The document that a rule keeps, as a sentence names it: "the longest"."""
    head, _, column = rule.partition(":")
    return {
        "first": "the first",
        "highest": f"the highest in {column}",
        "lowest": f"the lowest in {column}",
        "source": "the one of the most wanted source",
    }.get(head, f"the {head}")


def _is_ours(column: str) -> bool:
    return any(column == c or column.startswith(f"{c}_") for k in groups.KINDS.values() for c in (k.group, k.size, k.keep))


def keep_column(corpus: Corpus, name: str, side: Sidecar, rule: str) -> str:
    """The column that is 1 for what stays under a rule; computed under an alias where no search has made it yet.

    A column that was made by other values of the rule's signal than the corpus has now does not count: it is made anew, from the groups
    that are known.

    Raises:
        ExplorerError: the rule cannot be applied, or the workspace cannot be written.

    """
    wanted = {**side.parameters, "keeper": rule}
    keep = groups.KINDS[WAYS[name].kind].keep
    coverage = corpus.coverage()
    for known in coverage.sidecars:
        family, _, alias = known.family.partition(":")
        column = f"{keep}_{alias}" if alias else keep
        if (
            family == WAYS[name].family
            and dict(known.parameters) == wanted
            and coverage.of(column) is known
            and known.folder.name == _folder_now(corpus, known, wanted)
            and all(map(known.finished, corpus.shards))
        ):
            return column
    own = side.family.partition(":")[2]
    alias = "_".join(filter(None, (own, _slug(rule))))
    title = f"{WAYS[name].family}:{alias}"
    corpus.score([title], parameters={title: wanted}, on_progress=lambda _: None)
    return f"{keep}_{alias}"


def _folder_now(corpus: Corpus, side: Sidecar, parameters: dict[str, Any]) -> str:
    """The folder in which these columns would be computed now; another one than theirs when what decides them has changed since."""
    family = find(side.family)
    return family.key(parameters, corpus.roles.text, identity(corpus, family, parameters))


def _slug(rule: str) -> str:
    """A rule as the end of a column's name: what cannot stand there is left out, and a hash says that it was."""
    slug = re.sub(r"\W+", "_", rule, flags=re.ASCII).strip("_")
    return slug if len(slug) <= 40 and rule.replace(":", "_") == slug else f"{slug[:32]}_{hashlib.sha256(rule.encode()).hexdigest()[:6]}"


def without_keeper(filters: Filters, name: str) -> Filters:
    """The filters without a rule that keeps one of each group of this kind."""
    keep = groups.KINDS[WAYS[name].kind].keep
    return replace(filters, filters=tuple(t for t in filters.filters if t.signal != keep and not t.signal.startswith(f"{keep}_")))


def keep_one(corpus: Corpus, name: str, side: Sidecar, rule: str) -> None:
    """Add the rule to the selection, in place of another keeper of the same kind; documents without a group stay."""
    with guarded("keeping one of each group"), st.spinner("Choosing one document of each group …"):
        column = keep_column(corpus, name, side, rule)
        rest = without_keeper(state.current_filters(), name)
        one = Threshold(column, minimum=1, nulls="keep")
        state.set_filters(rest | one, f"keep one of each {WAYS[name].label.lower()} group ({rule})")


def keeper_panel(corpus: Corpus, name: str, alias: str, side: Sidecar) -> tuple[str, Kept] | None:
    """Choose the rule, see what it saves, and put it into the selection; None while that is being worked out."""
    kind = kind_of(name, alias)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="dup_keeper"):
        rule = rule_form(corpus)
        future = kept_of(corpus, kind, rule)
        if not future.done():
            watch(future, caption="Choosing one document of each group …")
            return None
        if isinstance(error := future.exception(), ExplorerError):
            errors.show(error)
            return None
        kept = future.result()
        total, tokens = kept.total, corpus.columns.tokens()
        st.button(
            "Keep one of each group",
            key="dup_keep",
            type="primary",
            disabled=not total["documents_saved"],
            on_click=keep_one,
            args=(corpus, name, side, rule),
            help="Adds it to the selection as a rule; Undo takes it back. Documents that were not compared stay.",
        )
        st.html(
            f'<p class="answer">drops <b title="{digits(total["documents_saved"])}">{short(total["documents_saved"])}</b> of {short(total["documents"])} documents and '
            f"<b>{about(short(total['tokens_saved']), tokens.estimated)}</b> tokens ({share(total['tokens_saved'], total['tokens'])})</p>"
        )
    _chained(corpus, name, kind, side)
    _lost_groups(corpus, name, kind)
    return rule, kept


def _chained(corpus: Corpus, name: str, kind: str, side: Sidecar) -> None:
    """Warn where groups hold pairs that the scheme is not meant to find: candidates by chance that nothing has refused."""
    if name != "near" or side.parameters.get("verify"):
        return
    scheme = side.parameters.get("preset", "fineweb")
    threshold = SCHEMES[scheme].midpoint
    lowest, _ = groups.grouping(corpus, kind).similarity
    if n := int((lowest < threshold).sum()):
        st.warning(
            f"Groups chain: {counted(n, 'group')} {'holds' if n == 1 else 'hold'} pairs below the threshold of {scheme} (Jaccard {threshold:.2f}). "
            f"Documents as little as {np.nanmin(lowest):.2f} alike, or less, would go. "
            "Verify pairs first: “Search otherwise” above, with “Verified” at the similarity that you want.",
            icon=":material/warning:",
        )


def _lost_groups(corpus: Corpus, name: str, kind: str) -> None:
    """Warn where other rules drop the one document that a keeper rule has left of a group."""
    filters = state.current_filters()
    rest = without_keeper(filters, name)
    if rest == filters or not rest:
        return
    selection, before = state.current_selection(), state.selection_of(rest)

    def count() -> int:
        found = groups.grouping(corpus, kind)
        starts = found.starts[:-1]
        if not len(starts):
            return 0
        had, has = (np.logical_or.reduceat(s.mask()[found.rows], starts) for s in (before, selection))
        return int((had & ~has).sum())

    future = later(("lost groups", corpus_key(corpus), kind, link.encode(filters)), count, 1.0)
    if future.done() and future.exception() is None and (lost := future.result()):
        st.warning(
            f"{counted(lost, 'group')} {'loses' if lost == 1 else 'lose'} every document: the one that stays is dropped by another rule, and its copies by this one. "
            "Keep the highest in the signal that the other rule reads, or leave that rule out.",
            icon=":material/warning:",
        )


def savings_tables(corpus: Corpus, name: str, alias: str, kept: Kept) -> None:
    """What keeping one of each group saves by source, and which sources repeat each other."""
    estimated = corpus.columns.tokens().estimated
    sign = "≈ " if estimated else ""
    frame = kept.by_source.select(
        "source",
        "documents",
        dropped=pl.col("documents_saved"),
        dropped_share=pl.when(pl.col("documents") > 0).then(pl.col("documents_saved") / pl.col("documents")),
        tokens=pl.col("tokens_saved"),
        tokens_share=pl.col("tokens_saved_fraction"),
        bytes=pl.col("bytes_saved"),
    )
    left, right = st.columns([3, 2], gap="medium")
    number, bar = st.column_config.NumberColumn, st.column_config.ProgressColumn
    with left:
        heading("What it saves, by source", "documents that go, and what they hold")
        st.dataframe(
            frame,
            key="dup_savings",
            hide_index=True,
            width="stretch",
            height=min(34 + 31 * frame.height, 420),
            column_config={
                "source": st.column_config.TextColumn("Source", pinned=True, help=f"{TOTAL}: all documents"),
                "documents": number("Documents", format="localized"),
                "dropped": number("Go", format="localized"),
                "dropped_share": bar("of its documents", format="percent", min_value=0, max_value=1, width="small"),
                "tokens": number(f"{sign}tokens", format="compact", help=corpus.columns.tokens().label),
                "tokens_share": bar("of its tokens", format="percent", min_value=0, max_value=1, width="small"),
                "bytes": number("Bytes", format="bytes", help="UTF-8 bytes of the documents that go"),
            },
        )
    with right:
        _across(corpus, kind_of(name, alias))


def _across(corpus: Corpus, kind: str) -> None:
    """Which sources repeat each other."""

    def count() -> pl.DataFrame:
        found = groups.grouping(corpus, kind)
        inside = np.full(len(corpus), -1, np.int64)
        inside[found.rows] = found.group[found.rows]
        return shared_sources(corpus, inside)

    future = later(("shared sources", corpus_key(corpus), kind), count, 1.0)
    if not future.done():
        heading("Sources that repeat each other")
        watch(future, caption="Looking for groups over several sources …")
        return
    across = future.result()
    heading("Sources that repeat each other", f"{counted(across.height, 'pair')} of sources share a group")
    if across.is_empty():
        st.caption("No group reaches over two sources.")
        return
    st.dataframe(
        across,
        hide_index=True,
        width="stretch",
        height=min(34 + 31 * across.height, 420),
        column_config={
            "source_a": "One",
            "source_b": "The other",
            "groups": st.column_config.NumberColumn("Groups of both", format="localized"),
        },
    )
