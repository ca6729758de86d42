"""The mixture of the session: one value that every control of the page changes, and its sources counted once, in the background."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from threading import Lock
from typing import Any

import streamlit as st

from explorer.corpus.corpus import Corpus
from explorer.corpus.workspace import Workspace
from explorer.engine.progress import Progress
from explorer.errors import ExplorerError
from explorer.manifest.propose import source_of
from explorer.mixture.counted import Counted, count_sources
from explorer.mixture.model import Mixture, load_mixture
from explorer.mixture.preview import Preview, preview
from explorer.mixture.sources import open_sources, tokenizer_of
from explorer.selection.filters import Filters
from explorer.selection.selection import Selection, select
from explorer.ui import mixing_edits as edits
from explorer.ui import state
from explorer.ui.background import later, watch
from explorer.ui.errors import plain
from explorer.ui.format import about, exact, short
from explorer.ui.format import counted as how_many

MOST_DOCUMENTS = 60_000_000  # kept documents whose counts stay in memory, 16 bytes each
MOST_UNDO = 100

_doing: dict[Hashable, Progress] = {}  # of the counts that are running, told by their threads


# --- the value -------------------------------------------------------------------------------------------------------------


def current() -> Mixture:
    """The session's mixture; at first, what is open: the documents, and the rewrites of them."""
    if "mixture" not in st.session_state:
        begin()
    mixture: Mixture = st.session_state.mixture
    return mixture


def begin() -> None:
    """Start anew from what is open."""
    now = st.session_state
    now.mixture, now.mixture_follows, now.mixture_undo = Mixture("mix", ()), {}, []
    now.mixture_sides = state.current_sides()
    for side in ("documents", "rewrites"):
        corpus = state.corpus_of(side)
        if corpus is not None:
            _add(corpus, follows=side)
    now.mixture_undo = []


def change(mixture: Mixture) -> None:
    """Put another mixture in its place, and keep the old one for Undo."""
    now = st.session_state
    if mixture == now.mixture and mixture.base == now.mixture.base:
        return
    now.setdefault("mixture_undo", []).append((now.mixture, dict(now.mixture_follows)))
    del now.mixture_undo[:-MOST_UNDO]
    now.mixture = mixture
    names = {s.name for s in mixture.sources}
    now.mixture_follows = {n: side for n, side in now.mixture_follows.items() if n in names}


def undo() -> None:
    """Take the last change back."""
    if st.session_state.get("mixture_undo"):
        st.session_state.mixture, st.session_state.mixture_follows = st.session_state.mixture_undo.pop()


def attempt(do: Callable[[Mixture], Mixture]) -> None:
    """Change the mixture from a widget's callback; why that is refused is shown on the page."""
    tried(lambda: change(do(current())))


def tried(do: Callable[[], object]) -> None:
    """Do something from a widget's callback; why it fails is shown on the page."""
    try:
        do()
    except ExplorerError as error:
        st.session_state.mixture_problem = str(error)


def on_change(do: Callable[[Mixture, Any], Mixture], key: str) -> Any:
    """Arguments of a widget that changes the mixture by its value."""
    return {"key": key, "on_change": lambda: attempt(lambda mixture: do(mixture, st.session_state[key]))}


def follows() -> dict[str, str]:
    """Sources that hold the selection of what is open, and of which side."""
    found: dict[str, str] = st.session_state.get("mixture_follows", {})
    return found


def rename(name: str, to: str) -> None:
    """Call a source something else; it goes on following what it followed.

    Raises:
        ManifestError: the name cannot be a source's, or another has it.

    """
    side = follows().get(name)
    change(edits.rename_source(current(), name, to))
    if side:
        st.session_state.mixture_follows[to] = side


def hold(name: str) -> None:
    """Keep a source's filters as they are, whatever the selection becomes."""
    st.session_state.mixture_follows.pop(name, None)


def refresh() -> None:
    """Give the sources that follow a selection the filters and roles it has now; those of a corpus that was left stay as they are."""
    mixture = current()
    now, then = state.current_sides(), st.session_state.mixture_sides
    for name, side in list(follows().items()):
        place, before, data = getattr(now, side), getattr(then, side), dict(mixture.source(name).data)
        corpus = state.corpus_of(side)
        if corpus is None or place is None or before is None or place.paths != before.paths:
            hold(name)
            continue
        if place != before:
            data |= source_of(corpus)
        data.pop("filters", None)
        filters = state.filters_of(side)
        mixture = edits.with_source(mixture, name, data=data | ({"filters": filters.to_dict()} if filters else {}))
    st.session_state.mixture, st.session_state.mixture_sides = mixture, now


# --- adding sources --------------------------------------------------------------------------------------------------------


def add_open(side: str) -> None:
    """Add the documents or the rewrites that are open; the source follows their selection."""
    corpus = state.corpus_of(side)
    if corpus is not None:
        _add(corpus, follows=side)


def add_saved(name: str) -> None:
    """Add the open corpus under a saved selection, whose filters are copied."""
    corpus = state.current_corpus()
    _add(corpus, data={"filters": Filters.load(state.selection_path(corpus, name)).to_dict()}, name=name)


def add_path(paths: list[str], name: str = "") -> None:
    """Add a corpus by its files.

    Raises:
        CorpusError: it cannot be opened.

    """
    from explorer.corpus.corpus import open_corpus

    _add(open_corpus(paths, workspace=state.current_corpus().workspace), name=name)


def divide(name: str, parts: Mapping[str, tuple[str, float]]) -> None:
    """Put a source for each of its corpus' own sources in the place of one.

    Args:
        name: of the source.
        parts: a condition in SQL, and the share of the source's tokens that fulfil it, by label.

    """
    mixture, side = current(), follows().get(name)
    data, taken = mixture.source(name).data, [s.name for s in mixture.sources if s.name != name]
    found: dict[str, tuple[dict[str, Any], float]] = {}
    for label, (where, part) in parts.items():
        new = edits.free_name(label, [*taken, *found])
        both = f"({data['where']}) AND ({where})" if data.get("where") else where
        found[new] = ({**data, "where": both}, part)
    change(edits.divide_source(mixture, name, found))
    if side:
        st.session_state.mixture_follows |= dict.fromkeys(found, side)


def _add(corpus: Corpus, *, follows: str = "", data: Mapping[str, Any] | None = None, name: str = "") -> None:
    mixture = current()
    last = corpus.paths[0].rstrip("/").split("/")[-1].removesuffix(".parquet")
    new = edits.free_name(name or last, (s.name for s in mixture.sources))
    said = source_of(corpus) | dict(data or {})
    change(edits.add_source(mixture, new, said))
    if follows:
        st.session_state.mixture_follows[new] = follows
        refresh()


# --- counting --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """A source counted.

    Attributes:
        documents, tokens: of its whole corpus.
        corpus: what tells it from another corpus.
        stamp: changes when its files, or scores that its selection reads, do.

    """

    counted: Counted
    documents: int
    tokens: float
    corpus: tuple[str, ...]
    stamp: tuple[Any, ...]


class _Shelf:
    """Counts that were started, the last used kept: as many as hold `MOST_DOCUMENTS`."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="count")
        self.futures: OrderedDict[Any, Future[Ready]] = OrderedDict()
        self.lock = Lock()

    def get(self, key: Any, work: Callable[[], Ready], used: Collection[Any]) -> Future[Ready]:
        """The count under a key, started unless it is there and still holds; those that are ``used`` stay."""
        with self.lock:
            future = self.futures.get(key)
            stale = future is not None and future.done() and (future.exception() is not None or not _holds(future.result()))
            if future is None or stale:
                future = self.futures[key] = self.pool.submit(work)
            self.futures.move_to_end(key)
            held = 0
            for old in reversed(list(self.futures)):
                done = self.futures[old]
                held += len(done.result().counted.kept) if done.done() and done.exception() is None else 0
                if held > MOST_DOCUMENTS and old not in used:
                    del self.futures[old]
            return future


@st.cache_resource(max_entries=1, show_spinner=False)
def _shelf() -> _Shelf:
    return _Shelf()


def counting(mixture: Mixture) -> dict[str, tuple[Any, Future[Ready]]]:
    """A key and the count of every source, started where it is not there yet."""
    space = state.current_corpus().workspace
    known = {name: selected for name in (s.name for s in mixture.sources) if (selected := _followed(name, mixture)) is not None}
    keys = {}
    for source in mixture.sources:
        said = json.dumps(dict(source.data), sort_keys=True, default=str)
        place = state.place_key(known[source.name].corpus) if source.name in known else None
        keys[source.name] = (source.name, said, mixture.tokenizer, str(mixture.base), str(space.path), place)
    shelf, used = _shelf(), set(keys.values())
    return {
        name: (
            key,
            shelf.get(
                key, _work(key, replace(mixture, sources=(mixture.source(name),), stages=()), known.get(name), space, shelf.pool), used
            ),
        )
        for name, key in keys.items()
    }


def _followed(name: str, mixture: Mixture) -> Selection | None:
    """The selection of what is open, for a source of the page's own mixture that follows it: opened and scanned already."""
    side = follows().get(name) if mixture is st.session_state.get("mixture") else None
    corpus = state.corpus_of(side) if side else None
    if corpus is None or side is None:
        return None
    where = mixture.source(name).data.get("where")
    filters = state.filters_of(side)
    if where:
        return select(corpus, filters | Filters(where=str(where)))
    return state.current_selection() if side == state.current_sides().at else select(corpus, filters)


def how_far(counts: Mapping[str, tuple[Any, Future[Ready]]]) -> str:
    """What is being counted with a tokenizer now, and how far it is."""
    doing = {name: told for name, (key, _) in counts.items() if (told := _doing.get(key)) is not None}
    return " · ".join(
        f"{plain(name)}: " + (plain(now.doing) or f"{exact(now.done_rows)} of {exact(now.total_rows)} documents")
        for name, now in doing.items()
    )


def _work(key: Hashable, only: Mixture, selection: Selection | None, space: Workspace, pool: ThreadPoolExecutor) -> Callable[[], Ready]:
    """What counts the only source of a mixture; touches no Streamlit."""
    name, tokenizer = only.sources[0].name, tokenizer_of(only)

    def work() -> Ready:
        chosen = selection if selection is not None else open_sources(only, workspace=space)[name]
        try:
            counted = count_sources({name: chosen}, tokenizer, lambda now: _doing.update({key: now}))[name]
        finally:
            _doing.pop(key, None)
        if len(counted.kept):  # the seeded order, which the first partial pass needs, comes after the first figures
            pool.submit(lambda: counted.draw(only.seed).tokens_at(len(counted.kept) + 1))
        corpus = chosen.corpus
        return Ready(
            counted, len(corpus), float(counted.counted.values.sum()), tuple(sorted(s.path for s in corpus.shards)), _stamp(chosen)
        )

    return work


def _stamp(selection: Selection) -> tuple[Any, ...]:
    coverage, filters = selection.corpus.coverage(), selection.filters
    words = set(re.findall(r"\w+", filters.where))
    names = [*filters.signals, *(c for c in coverage.columns() if c in words), "n_tokens", "n_bytes", "n_words"]
    return state.files_stamp(selection.corpus), *(coverage.stamp_of(name) for name in names)


def _holds(ready: Ready) -> bool:
    return _stamp(ready.counted.selection) == ready.stamp


def settle(mixture: Mixture, tokens: Mapping[str, float]) -> Mixture:
    """The first amounts: weights that take everything once, where all sources have tokens; the session's mixture then has them."""
    if all(t > 0 for t in tokens.values()):
        st.session_state.mixture = mixture = edits.by_weights(mixture, tokens)
    return mixture


def outcome(mixture: Mixture, counts: Mapping[str, tuple[Any, Future[Ready]]]) -> tuple[Preview | None, ExplorerError | None]:
    """What the mixture comes to, or why it comes to nothing; neither while that is worked out."""
    try:
        future = previewing(mixture, counts)
        if future.done():
            return future.result(), None
    except ExplorerError as error:
        return None, error
    watch(future, caption="putting the documents in their order …")
    return None, None


def answer(found: Preview) -> str:
    """The page's answer, in HTML."""
    estimated = any(s.estimated for s in found.sources)
    tokens, worth = about(short(found.tokens), estimated), about(short(found.effective_tokens), estimated)
    repeated = [s for s in found.sources if s.verdict in ("worn", "spent")]
    labels = ", ".join(sorted({escape(s) for s in _labels(found)}))
    text = f"<b>{tokens}</b> tokens of {how_many(len(found.sources), 'source')}"
    text += f" in {how_many(len(found.stages), 'stage')}" if len(found.stages) > 1 else ""
    text += f": {short(found.documents)} documents, {short(found.unique_documents)} different ones, worth {worth} fresh tokens"
    text += f" · <b>{how_many(len(repeated), 'source')}</b> repeated beyond 4 epochs" if repeated else ""
    return text + (f" · tokens ≈ {labels}" if labels else "")


def _labels(found: Preview) -> list[str]:
    """How tokens of the estimated sources were estimated, from what the preview warns of."""
    names = {s.name for s in found.sources if s.estimated}
    return [m[1] for w in found.warnings if (m := re.search(r"are an estimate \((.*)\)\.$", w)) and names]


def previewing(mixture: Mixture, counts: Mapping[str, tuple[Any, Future[Ready]]], wait: float = 2.0) -> Future[Preview]:
    """What a mixture comes to, once all its sources are counted; the key is the mixture's value and its counts'."""
    ready = {name: future.result() for name, (_, future) in counts.items()}
    said = json.dumps(mixture.to_dict(), sort_keys=True, default=str)
    key = ("mixture preview", said, tuple((k, ready[n].stamp) for n, (k, _) in counts.items()))
    return later(key, lambda: preview(mixture, {n: r.counted for n, r in ready.items()}), wait)


# --- files -----------------------------------------------------------------------------------------------------------------


def folder() -> Path:
    """Where the workspace keeps mixtures."""
    return state.current_corpus().workspace.path / "mixtures"


def saved() -> list[str]:
    """Names of the mixtures in the workspace."""
    return sorted(p.stem for p in folder().glob("*.yaml"))


def open_saved(name: str) -> None:
    """Put a saved mixture in the place of the session's; its sources hold what they were saved with.

    Raises:
        ManifestError: it cannot be read.

    """
    change(load_mixture(folder() / f"{name}.yaml"))
    st.session_state.mixture_follows = {}


def save(mixture: Mixture) -> Path:
    """Write a mixture to the workspace under its name.

    Raises:
        ManifestError: the name cannot be a file's.
        ExplorerError: the workspace cannot be written.

    """
    edits.check_name(mixture.name, (), "mixture")
    return mixture.save(folder() / f"{mixture.name}.yaml")


def blank(mixture: Mixture) -> bool:
    """Whether no source says how much it gives yet."""
    return not mixture.stages and all(edits.kind_of(s.given) == "" for s in mixture.sources)
