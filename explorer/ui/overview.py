"""The parts of the Overview page."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from html import escape
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.problems import Problem
from explorer.corpus.profile import EXACT_TEXT, Breakdown, Estimate, Profile, Repeats, breakdown, group_sql, profile, repeated_rows, repeats
from explorer.corpus.roles import is_text
from explorer.errors import ExplorerError
from explorer.registry import families
from explorer.selection.filters import as_filters
from explorer.selection.recipes import recipes
from explorer.ui import errors, state
from explorer.ui.arguments import OF_PAIRS, ROLES
from explorer.ui.background import later, watch
from explorer.ui.charts import bars, breakdown_bars, length_bars
from explorer.ui.errors import guarded
from explorer.ui.format import about, counted, exact, share, short, size
from explorer.ui.frame import go, has_page, heading
from explorer.ui.scoring import start_scoring

RANDOM = 20
SOON = 0.8  # seconds that the page waits for figures before it is shown without them


def footer_cards(corpus: Corpus, answer: Callable[[str], None]) -> None:
    """What the footers say, and the sentence under the title."""
    groups = [g for s in corpus.shards for g in s.row_groups]
    counts = state.counts(wait=0)
    cards = [
        ("documents", short(len(corpus)), f"{exact(len(corpus))} rows", ""),
        ("files", short(len(corpus.shards)), f"{exact(corpus.size)} bytes on disk", size(corpus.size)),
        (
            "text",
            size(corpus.text_size),
            f"{exact(corpus.text_size)} bytes of column {corpus.roles.text} before compression",
            "uncompressed",
        ),
        (
            "row groups",
            short(len(groups)),
            "What is read, scored and resumed as one piece",
            f"{short(len(corpus) / len(groups))} rows each" if groups else "",
        ),
        ("columns", short(len(corpus.schema)), ", ".join(corpus.schema.names), f"{len(corpus.roles.assigned())} with a role"),
    ]
    if counts is not None and counts.tokens is not None:
        cards.insert(
            1,
            (
                "tokens",
                about(short(counts.tokens), counts.estimated),
                f"{exact(round(counts.tokens))} ({counts.tokens_label})",
                counts.tokens_label,
            ),
        )
    st.html('<div class="cards">' + "".join(_card(*card) for card in cards) + "</div>")
    answer(_sentence(corpus, None, counts))
    if not len(corpus):
        st.info("These files hold no rows. When documents are added, open the corpus again and they appear here.", icon=":material/inbox:")


def what_next(corpus: Corpus) -> None:
    """Three ways on."""
    names = heuristics()
    lacking = [n for n in names if _covered(corpus, n) < len(corpus)]
    with st.container(horizontal=True, vertical_alignment="center"):
        done = not lacking
        label = "Heuristics are scored" if done else f"Score the heuristics ({counted(len(lacking), 'family', 'families')})"
        tip = f"{', '.join(lacking or names)}: computed for every document in the background, kept in the workspace"
        if st.button(
            label, icon=":material/calculate:", type="primary", disabled=done or not len(corpus), help=tip, key="score_heuristics"
        ):
            start_scoring(corpus, lacking)
            st.rerun()
        if has_page("filters") and st.button(
            "Choose filters", icon=":material/tune:", key="open_filters", help="Set thresholds and watch what they keep"
        ):
            go("filters")
        n = min(RANDOM, len(corpus))
        if st.button(
            f"Read {n} random documents", icon=":material/casino:", disabled=not n, key="read_random", help="A new draw each time"
        ):
            rows = np.random.default_rng().choice(len(corpus), n, replace=False)
            state.look_at(f"{n} random documents", rows=[int(r) for r in rows])
            go("documents")


def heuristics() -> list[str]:
    """Families without a model that the shipped recipes read, and those that need no more than counting: what to score first."""
    wanted = {s for name in recipes for s in recipes[name].signals}
    known = {name: family for name, family in families().items() if not family.learned}
    chosen = [name for name, family in known.items() if any(s.name in wanted for s in family.signals)]
    return chosen + [name for name in ("length", "compression", "pii") if name in known and name not in chosen]


def figures(corpus: Corpus, answer: Callable[[str], None]) -> None:
    """What needs the documents themselves: shown as far as it is there, the rest follows."""
    if not len(corpus):
        return
    key = (corpus.fingerprint, tuple(corpus.roles.assigned().items()))
    small = corpus.text_size <= EXACT_TEXT
    tokens = state.tokens_are_cheap(corpus)
    stamp = corpus.coverage().stamp()
    groups = {by: _breakdown(corpus, (key, stamp), by, tokens) for by in ("source", "language", "year")}
    texts = later(("profile", key), lambda: profile(corpus))
    ids = later(("repeated ids", key), lambda: repeats(corpus, "id"))
    copies: Future[Repeats | None] | None = later(("repeated texts", key), lambda: repeats(corpus, "text")) if small else None
    pending: list[Future[Any]] = [*groups.values(), texts, ids, *([copies] if copies else [])]
    _wait(pending, SOON)
    found = _result(texts)
    if found is not None:
        answer(_sentence(corpus, found, state.counts(wait=0)))
    left, right = st.columns(2, gap="large")
    with left:
        with guarded("drawing the sources"):
            _group_chart(corpus, groups["source"], "source", "Sources", "the files' folders stand in for a source column")
        with guarded("drawing the lengths"):
            _lengths(texts)
    with right:
        with guarded("drawing the languages"):
            _group_chart(corpus, groups["language"], "language", "Languages", "")
        with guarded("drawing the years"):
            _group_chart(corpus, groups["year"], "year", "Years", "")
    left, right = st.columns(2, gap="large")
    with left, guarded("listing problems"):
        _problems(corpus, texts, ids, copies)
    with right, guarded("drawing what is computed"):
        _computed(corpus)
    done = sum(f.done() for f in pending)
    watch(*pending, caption=f"Reading the documents: {done} of {len(pending)} figures are there, the others follow by themselves.")


def schema_and_roles(corpus: Corpus) -> None:
    """Every column with its type, nulls and role, and a way to change the roles."""
    with st.expander("Columns and roles", icon=":material/view_column:", on_change="rerun", key="overview_roles") as opened:
        if not opened.open:
            return
        by_column = {column: role for role, column in corpus.roles.assigned().items()}
        groups = [g for s in corpus.shards for g in s.row_groups]
        total = sum(sum(g.sizes.values()) for g in groups) or 1
        rows = []
        for item in corpus.schema:
            nulls = [g.nulls.get(item.name) for s in corpus.shards for g in s.row_groups if item.name in s.schema.names]
            known = None if any(n is None for n in nulls) else sum(n or 0 for n in nulls)
            there = sum(g.sizes.get(item.name, 0) for g in groups)
            files = sum(item.name in s.schema.names for s in corpus.shards)
            rows.append((item.name, by_column.get(item.name, ""), str(item.type), known, there / total, f"{files} of {len(corpus.shards)}"))
        frame = pl.DataFrame(rows, schema=["column", "role", "type", "nulls", "share of bytes", "files"], orient="row")
        st.dataframe(
            frame,
            hide_index=True,
            height="content",
            alt="Columns of the corpus with their type, nulls and role",
            column_config={
                "share of bytes": st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent"),
                "nulls": st.column_config.NumberColumn(format="localized", help="As the footers say; empty where they do not"),
            },
        )
        _role_form(corpus)


def _role_form(corpus: Corpus) -> None:
    with st.form("roles", border=False):
        st.caption(
            "A role tells the app what a column is. Detected by name and type; change it here, or start the app with --text COLUMN and so on."
        )
        chosen = {}
        roles = ROLES if corpus.pairing else [role for role in ROLES if role not in OF_PAIRS]
        places = st.columns(len(roles))
        for place, role in zip(places, roles, strict=True):
            options = [f.name for f in corpus.schema if role != "text" or is_text(f.type)]
            options = options if role == "text" else ["", *options]
            now = getattr(corpus.roles, role) or ""
            index = options.index(now) if now in options else 0
            chosen[role] = place.selectbox(
                role, options, index=index, format_func=lambda name: name or "none", key=f"role_{role}_{corpus.fingerprint}"
            )
        if st.form_submit_button("Use these roles"):
            changed = {role: column for role, column in chosen.items() if (getattr(corpus.roles, role) or "") != column}
            try:
                state.set_roles(**changed)
            except ExplorerError as error:
                errors.show(error)
            else:
                st.rerun()


# --- parts -----------------------------------------------------------------------------------------------------------------


def _card(name: str, value: str, tip: str, note: str) -> str:
    remark = f" <small>{escape(note)}</small>" if note else ""
    return f'<div title="{escape(tip, quote=True)}"><span>{escape(name)}</span><b>{escape(value)}</b>{remark}</div>'


def _sentence(corpus: Corpus, found: Profile | None, counts: state.Counts | None) -> str:
    said = [
        f'<b title="{exact(len(corpus))}">{short(len(corpus))}</b> {"document" if len(corpus) == 1 else "documents"} in {counted(len(corpus.shards), "file")}'
    ]
    if counts is not None and counts.tokens is not None:
        said.append(f"<b>{about(short(counts.tokens), counts.estimated)}</b> tokens ({escape(counts.tokens_label)})")
    if found is not None and found.rows:
        bad = found.null.count + found.empty.count + found.blank.count
        said.append(f"<b>{about(share(bad, found.rows), found.sampled)}</b> of them without text" if bad else "every one of them with text")
    bad_files = len(corpus.unreadable)
    said += [f"<b>{counted(bad_files, 'file')}</b> could not be read"] if bad_files else []
    return "; ".join([", ".join(said[:2]), *said[2:]]) + "."


def _breakdown(corpus: Corpus, key: Hashable, by: str, tokens: bool) -> Future[Breakdown | None]:
    return later(("breakdown", key, by, tokens), lambda: breakdown(corpus, by, most=40 if by == "year" else 10, with_tokens=tokens))


def _wait(pending: list[Future[Any]], seconds: float) -> None:
    from concurrent.futures import wait

    wait(pending, timeout=seconds)


def _result(future: Future[Any] | None) -> Any:
    """The result if it is there; an error inside is shown where the figure would be."""
    return future.result() if future is not None and future.done() and future.exception() is None else None


def _coming(what: str) -> None:
    st.html(f'<p class="quiet">{escape(what)} …</p>')


def _group_chart(corpus: Corpus, future: Future[Breakdown | None], by: str, title: str, without: str) -> None:
    if not future.done():
        heading(title)
        _coming(f"Counting documents by {by}")
        return
    found = future.result()
    if found is None:
        heading(title)
        role = "date" if by == "year" else by
        st.html(
            f'<p class="quiet">No column says it. Name one below under Columns and roles ({escape(role)}){" or score the language" if by == "language" else ""}.</p>'
        )
        return
    n = len([label for label in found.labels if label not in ("other", "(all other)", "(none)")])
    note = f"column {found.column}" if found.column else without
    heading(
        f"{title}: {n}" if not {"other", "(all other)"} & set(found.labels) else f"{title}: {n} largest",
        f"{note} · a click keeps only that one" if found.column else note,
    )

    def pick() -> None:
        label = st.session_state[f"overview_{by}"].picked
        predicate = group_sql(corpus, by, label) if label else None
        if predicate:
            add_predicate(predicate, f"{by} {label}")

    items = breakdown_bars(found, lambda label: group_sql(corpus, by, label) is not None, most=40)
    layout = "columns" if by == "year" and n > 4 else "rows"
    legend = "upper bar documents, lower bar tokens" if layout == "rows" and found.tokens is not None else "documents"
    bars(items, key=f"overview_{by}", title=title, layout=layout, axis=legend, on_pick=pick)  # type: ignore[arg-type]


def add_predicate(predicate: str, note: str) -> None:
    """Narrow the selection by a predicate, unless it says so already."""
    filters = state.current_filters()
    if predicate not in filters.where:
        state.set_filters(filters | as_filters(predicate), note)


def _lengths(future: Future[Profile]) -> None:
    if not future.done():
        heading("Lengths")
        _coming("Measuring texts")
        return
    found = future.result()
    items, said = length_bars(found.lengths, found.sampled)
    heading("Lengths", said)
    if not items:
        _coming("No document has text")
        return
    seen = (
        f"from {short(found.read_rows)} of {short(found.rows)} documents, drawn by row groups" if found.sampled else "every document read"
    )
    bars(
        items,
        key="overview_lengths",
        title="Documents by length",
        layout="columns",
        axis="documents by bytes of text (UTF-8), logarithmic",
        unit=seen,
    )


def _covered(corpus: Corpus, family: str) -> int:
    coverage = corpus.coverage()
    known = families()[family].signals
    return min((coverage.scored_rows(s.name) for s in known), default=0)


def _computed(corpus: Corpus) -> None:
    coverage = corpus.coverage()
    heading("Computed signals", f"in {corpus.workspace.path.name}")
    if not coverage.sidecars:
        st.html('<p class="quiet">Nothing is scored yet. What is scored appears here with how much of the corpus it covers.</p>')
        return
    lines = []
    for side in {s.family: s for s in coverage.sidecars}.values():
        scored = sum(side.scored_rows(s) for s in corpus.shards)
        part = scored / len(corpus)
        lines.append(
            f'<div class="coverage" title="{escape(", ".join(side.columns), quote=True)}"><span>{escape(side.family)}</span>'
            f'<span class="track"><i style="width:{100 * part:.1f}%"></i></span><span>{share(part)}</span>'
            f'<span class="quiet">{counted(len(side.columns), "signal")}</span></div>'
        )
    st.html("".join(lines))


# --- problems --------------------------------------------------------------------------------------------------------------

_SEVERITY = {"error": 0, "warning": 1, "note": 2}


def _problems(corpus: Corpus, texts: Future[Profile], ids: Future[Repeats | None], copies: Future[Repeats | None] | None) -> None:
    found: list[tuple[Problem, Callable[[], None] | None]] = [(p, None) for p in corpus.problems if p.kind != "null text"]
    read = _result(texts)
    text = '"' + corpus.roles.text.replace('"', '""') + '"'
    if read is not None:
        for kind, said, estimate, where in (
            (
                "null text",
                "without text (null). Signals are null there, and every threshold drops it.",
                read.null,
                f"{text} IS NULL",
            ),
            ("empty text", "with a text of no character. Most rules drop it.", read.empty, f"{text} = ''"),
            ("blank text", "with nothing but white space.", read.blank, f"regexp_full_match({text}, '[\\s\\p{{Z}}]+')"),
        ):
            if estimate.count:
                found.append(
                    (
                        Problem(
                            kind,
                            "warning",
                            round(estimate.count),
                            f"{_said(estimate)} {'document' if round(estimate.count) == 1 else 'documents'} {said}",
                        ),
                        _see(f"{kind} documents", where),
                    )
                )
    for future, what, label in ((ids, "id", "duplicate ids"), (copies, "text", "duplicate texts")):
        repeated = _result(future)
        if repeated is not None and repeated.documents:
            consequence = (
                "They are then known by a hash of their text; name another id column if there is one."
                if what == "id"
                else "Training sees them that often more. The same text, character for character; near-duplicates are not counted here."
            )
            message = f"{exact(repeated.documents)} {'document repeats' if repeated.documents == 1 else 'documents repeat'} {'the id' if what == 'id' else 'the text'} of an earlier one ({exact(repeated.values)} different values). {consequence}"
            found.append((Problem(label, "warning", repeated.documents, message), _see_repeats(corpus, what, label)))
    unfinished = not (texts.done() and ids.done() and (copies is None or copies.done()))
    heading(f"Problems: {len(found)}" + (" so far" if unfinished else ""), "what footers and texts show; nothing was changed")
    if copies is None:
        st.caption(
            f"Repeated texts are not counted: that reads all {size(corpus.text_size)} of text. Ask with SQL on the Documents page where you need it."
        )
    if not found and not unfinished:
        st.html('<p class="quiet">None found: every file reads, ids and texts are unique, no document is empty.</p>')
    for number, (problem, see) in enumerate(sorted(found, key=lambda item: _SEVERITY[item[0].severity])):
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            where = "\n".join(problem.where)
            st.html(
                f'<div class="problem {problem.severity}" title="{escape(where, quote=True)}"><span class="severity">{problem.severity}</span>'
                f"<span>{escape(problem.message)}</span></div>",
                width="stretch",
            )
            if see is not None and st.button("See them", key=f"problem_{number}_{problem.kind}", type="tertiary"):
                see()
                go("documents")


def _said(estimate: Estimate) -> str:
    if estimate.exact:
        return exact(estimate.count)
    return f"{about(short(estimate.count))} ({short(estimate.low)} to {short(estimate.high)})"


def _see(title: str, where: str) -> Callable[[], None]:
    return lambda: state.look_at(title, where=where)


def _see_repeats(corpus: Corpus, what: Any, title: str) -> Callable[[], None]:
    return lambda: state.look_at(title, rows=repeated_rows(corpus, what).to_list())
