"""The frame around every page: navigation, the open corpus, running jobs, and the selection bar that is always in sight.

A page is a script that may rely on an open corpus:

    corpus, selection = current_corpus(), current_selection()
    answer = question("Where do I cut?")
    answer(f"<b>{short(n)}</b> documents kept")        # escaped HTML, again whenever more is known
    with guarded("drawing the funnel"):
        ...
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from html import escape
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner_utils.exceptions import StopException

from explorer.corpus.corpus import Corpus
from explorer.errors import ExplorerError
from explorer.rewrites.place import Place
from explorer.selection.filters import Filters
from explorer.selection.recipes import recipes
from explorer.ui import errors, state
from explorer.ui.background import watch
from explorer.ui.errors import guarded
from explorer.ui.format import about, counted, exact, share, short, size
from explorer.ui.navigation import go, has_page, navigate
from explorer.ui.tray import tray

_HERE = Path(__file__).parent
MANY = 100_000  # documents whose tokens are not counted in a moment
LONG = 160  # characters of a condition that the bar shows
FAVICON = _HERE / "static" / "favicon.png"


def run(app: Path) -> None:
    """Build the navigation, then the frame, then the page; whatever fails after the first line is shown inside the frame."""
    page = navigate()
    st.set_page_config(page_title=f"{page.title} · Corpus Explorer", page_icon=str(FAVICON), layout="wide")
    _style()
    corpus = None
    with guarded("opening the corpus"):
        state.start(app)
        if page.url_path == "rewrites":
            state.turn_to("rewrites")
        corpus = state.current_corpus()
    with st.sidebar, guarded("drawing the sidebar"):
        _sidebar(corpus, page.url_path)
    if corpus is None:
        question("Nothing is open.")("Open a corpus in the sidebar: a file, a folder or a glob of Parquet files.")
        return
    with guarded("reading the address"):
        problem = state.read_address()
        if problem is not None:
            st.warning(f"The link's filters were not used. {errors.plain(str(problem))}", icon=":material/link_off:")
    complete = None
    st.session_state.unfinished = False
    with guarded("drawing the selection bar"):
        complete = _selection_bar(corpus, page.url_path == "map" and "bar_save" not in st.session_state)
    with suppress(StopException), guarded(f"drawing {page.title}"):
        page.run()
    # A page may stop itself. Where it was Streamlit that stopped it, because another page is asked for, it stops this run here
    # again: one that came to its end would take away that page's fragments, and no button or key of theirs would answer.
    unfinished = st.session_state.unfinished
    if complete is not None and not unfinished:
        with guarded("completing the selection bar"):
            complete()


def _style() -> None:
    """The app's own style, with the page's colours taken from the theme so that they are said once."""
    colours = "".join(
        f"--{name}: light-dark({st.get_option(f'theme.light.{option}')}, {st.get_option(f'theme.dark.{option}')});"
        for name, option in (
            ("page", "backgroundColor"),
            ("ink", "textColor"),
            ("panel", "secondaryBackgroundColor"),
            ("rule", "borderColor"),
        )
    )
    st.html(f"<style>.stApp {{ {colours} }}\n{(_HERE / 'theme.css').read_text(encoding='utf-8')}</style>")


def question(text: str) -> Callable[[str], None]:
    """The page's title, a reader's question.

    Returns:
        A function that shows the answer beneath it; it takes HTML whose data the caller has escaped.

    """
    st.html(f'<h1 class="question">{escape(text)}</h1>')
    slot = st.empty()
    slot.html('<p class="answer">…</p>')

    def answer(said: str) -> None:
        slot.html(f'<p class="answer">{said}</p>')

    return answer


def heading(text: str, note: str = "") -> None:
    """A small heading inside a page, with a quiet remark beside it; both are plain text."""
    remark = f"<small>{escape(note)}</small>" if note else ""
    st.html(f'<h2 class="heading">{escape(text)}{remark}</h2>')


# --- sidebar ---------------------------------------------------------------------------------------------------------------


def _sidebar(corpus: Corpus | None, page: str) -> None:
    if corpus is not None:
        _sides(page)
        files = counted(len(corpus.shards), "file")
        st.html(
            f'<div class="corpus-card"><b title="{escape(chr(10).join(corpus.paths), quote=True)}">{escape(corpus_name(corpus.paths))}</b>'
            f'<div title="{exact(len(corpus))} {noun(corpus)}s, {exact(corpus.size)} bytes">{short(len(corpus))} {noun(corpus)}s · {size(corpus.size)} · {files}</div>'
            f'<div title="{escape(str(corpus.workspace.path), quote=True)}">workspace {escape(_tail(corpus.workspace.path))}</div></div>'
        )
    with st.expander(
        "Open another corpus", icon=":material/folder_open:", expanded=corpus is None, key="open_another", on_change="rerun"
    ) as opening:
        if opening.open:
            _open_form()
    if corpus is not None:
        with guarded("showing jobs"):
            tray(corpus)


def _sides(page: str) -> None:
    """Documents or their rewrites: all pages show the one that is looked at."""
    sides = state.current_sides()
    if sides.documents is None or sides.rewrites is None:
        return
    key = f"side_{sides.at}"  # the widget follows what a link or a page turned to
    chosen = st.segmented_control("Look at", ["documents", "rewrites"], default=sides.at, key=key, required=True, label_visibility="collapsed", width="stretch", help="All pages show the documents, or the rewrites made of them; each has a selection of its own")  # fmt: skip
    if chosen and state.turn_to(chosen):
        st.session_state.pop(key, None)
        state.write_address()
        if page == "rewrites":
            go("documents")  # that page is of rewrites alone
        st.rerun()


def _open_form() -> None:
    place = state.current_place() if "sides" in st.session_state else Place(())
    with st.form("open", border=False):
        paths = st.text_area(
            "Files, folders or globs, one a line",
            value="\n".join(place.paths),
            height=80,
            help="Parquet files are read where they are and never changed. Also s3://, gs:// and hf:// addresses.",
        )
        workspace = st.text_input(
            "Workspace", value=place.workspace or "", placeholder=".explorer", help="Folder for scores, selections and jobs."
        )
        if st.form_submit_button("Open", type="primary"):
            given = tuple(line.strip() for line in paths.splitlines() if line.strip())
            try:
                same = given == place.paths
                if same:
                    state.reopen()
                state.open_place(Place(given, workspace.strip() or None, place.roles if same else ()))
            except ExplorerError as error:
                errors.show(error)
            else:
                st.rerun()


def noun(corpus: Corpus) -> str:
    """What one of them is called: a document, or a rewrite."""
    return "rewrite" if corpus.pairing else "document"


def corpus_name(paths: tuple[str, ...]) -> str:
    """A short name for what is open: the folder or pattern, and how many more."""
    first = paths[0].rstrip("/")
    tail = "/".join(first.split("/")[-2:])
    return tail if len(paths) == 1 else f"{tail} + {len(paths) - 1} more"


def _tail(path: Path) -> str:
    return "/".join(path.parts[-2:])


# --- selection bar ---------------------------------------------------------------------------------------------------------


def _selection_bar(corpus: Corpus, hold: bool) -> Callable[[], None] | None:
    """Draw the bar; what completes it when the page has been drawn, None where it is complete.

    ``hold`` leaves out its buttons until then: a new browser takes half a second to draw them, and the map may be what it should draw first.
    """
    filters = state.current_filters()
    late = not filters and len(corpus) > MANY  # the page has no use for what is counted then, and need not wait for it
    bar = st.container(horizontal=True, vertical_alignment="center", key="selection_bar", gap="xsmall")
    with bar:
        slot = st.container(width="stretch")
        line = slot.empty()

        def say(wait: float) -> bool:
            """Draw the line with what is known after some seconds; whether that is all."""
            try:
                found = state.counts(wait)
            except ExplorerError as error:
                said = escape(str(error), quote=True)
                line.html(_bar_line(f'<span class="n">Cannot be applied here</span><span class="rules" title="{said}">{said}</span>'))
                return True
            line.html(_bar_line(_said(found, filters, len(corpus), f"{noun(corpus)}s")))
            return found is not None

        def count() -> None:
            if not say(0.4):
                with slot:
                    watch(state.counting())

        if late:
            late = not say(0)
        else:
            count()
        if not hold:
            _bar_buttons(corpus, filters)

    def complete() -> None:
        if hold:
            with bar:
                _bar_buttons(corpus, filters)
        if late:
            count()

    return complete if late or hold else None


def _bar_buttons(corpus: Corpus, filters: Filters) -> None:
    last = state.next_undo()
    # both are always there, so that no button moves, or is drawn anew, under the hand that clicks it
    st.button(
        "Clear",
        key="bar_clear",
        on_click=state.set_filters,
        args=(Filters(), "Clear"),
        disabled=not filters,
        help="Keep every document again",
        type="tertiary",
    )
    st.button(
        "Undo",
        key="bar_undo",
        on_click=_undo,
        disabled=last is None,
        help="Nothing to take back" if last is None else f"Take back: {errors.plain(last or 'the last change')}",
        type="tertiary",
    )
    with st.popover("Save", type="tertiary", help="Save the selection by name, or load one", key="bar_save", on_change="rerun") as saving:
        if saving.open:
            _save_and_load(corpus)
    with st.popover(
        "Copy as", type="tertiary", help="The same selection as SQL, Python, command or link", key="bar_copy", on_change="rerun"
    ) as copying:
        if copying.open:
            _copy_as()
    if has_page("export") and st.button("Export", key="bar_export", type="primary", help="Write the selection for a trainer"):
        go("export")


def _undo() -> None:
    state.undo()


def _bar_line(inside: str) -> str:
    return f'<div class="bar" role="status" aria-label="Selection"><span class="dot" aria-hidden="true">●</span>{inside}</div>'


def _said(found: state.Counts | None, filters: Filters, n: int, what: str = "documents") -> str:
    rules = describe(filters)
    said = f'<span class="rules" title="{escape(chr(10).join(rule_lines(filters)), quote=True)}">{escape(rules)}</span>'
    if not filters:
        documents = f'<span class="n" title="{exact(n)}">{short(n)} {what}</span>'
        said = '<span class="rules">everything is kept</span>'
    elif found is None:
        return f'<span class="quiet">counting … of {short(n)} {what}</span>{said}'
    else:
        documents = (
            f'<span title="{exact(found.kept_documents)} of {exact(n)}"><b class="n">{short(found.kept_documents)}</b> of {short(n)} {what} '
            f'<span class="quiet">({share(found.kept_documents, n)})</span></span>'
        )
    tokens = ""
    if found is not None and found.tokens is not None and found.kept_tokens is not None:
        part = f" ({share(found.kept_tokens, found.tokens)})" if filters else ""
        tip = f"{exact(round(found.kept_tokens))} tokens ({found.tokens_label})"
        tokens = f'<span title="{escape(tip, quote=True)}">{about(short(found.kept_tokens), found.estimated)} tokens{part}</span>'
    elif filters and found is not None:
        tip = "The texts have to be read once to count: score the family length (or tokens) on the Signals page."
        tokens = f'<span class="quiet" title="{tip}">tokens not counted yet</span>'
    width = 100 * (found.kept_documents if found else n) / n if n else 0
    track = f'<span class="track" aria-hidden="true"><i style="width:{width:.1f}%"></i></span>'
    return f"{track}{documents}{tokens}{said}"


def describe(filters: Filters) -> str:
    """The selection in a few words: "fineweb + 1 rule · where language = 'en' · sampled"."""
    if not filters:
        return "everything"
    known = {t for name in recipes if name in filters.name.split(" + ") for t in recipes[name].filters}
    extra = sum(t not in known for t in filters.filters)
    rules = [str(t) for t in filters.filters if t not in known]
    said = filters.name
    if extra:
        own = " · ".join(rules) if extra <= 2 else counted(extra, "rule")
        said = f"{said} + {own}" if said else own
    parts = [said] if said else []
    if filters.where:
        parts.append(f"where {_condition(filters.where)}")
    if filters.sample:
        parts.append(f"sampled: {filters.sample.method}")
    return " · ".join(parts)


def _condition(where: str) -> str:
    """An SQL condition in a line; a lasso is some kilobytes of it."""
    line = " ".join(where.split())
    if len(line) > LONG and "map_x" in line and "map_y" in line:
        return "a lasso on the map"
    return line if len(line) <= LONG else f"{line[:LONG]}…"


def rule_lines(filters: Filters) -> list[str]:
    """Every rule on a line of its own, for a tooltip."""
    lines = [str(t) for t in filters.filters]
    lines += [f"where {filters.where}"] if filters.where else []
    return lines + ([f"sample {filters.sample.to_dict()}"] if filters.sample else [])


def _save_and_load(corpus: Corpus) -> None:
    with st.form("save_selection", border=False):
        name = st.text_input(
            "Save the current filters as", value=state.current_filters().name, placeholder="fineweb-strict", key="save_name"
        )
        if st.form_submit_button("Save", disabled=not state.current_filters()):
            with guarded("saving the selection"):
                path = state.save_selection(name.strip())
                st.toast(f"Saved as {errors.plain(path.name)} in the workspace", icon=":material/check:")
    names = state.saved_selections(corpus)
    if not names:
        st.caption("Nothing is saved in this workspace yet. What you save appears here.")
    for name in names:
        if st.button(errors.plain(name), key=f"load_{name}", width="stretch", help="Use these filters"):
            with guarded("loading a selection"):
                state.set_filters(state.load_selection(name), f"load {name}")
                st.rerun()


def _copy_as() -> None:
    selection = state.current_selection()
    for label, text, language in (
        ("SQL", selection.sql(), "sql"),
        ("Python", selection.python(), "python"),
        ("Command", selection.command(), "bash"),
        ("filters.yaml", selection.filters.to_yaml(), "yaml"),
        ("Link", state.address(), None),
    ):
        st.caption(label)
        st.code(text, language=language, wrap_lines=True, height=110 if text.count("\n") > 5 else "content")
