"""Slow figures off the page's path: computed once in a thread, shared by all browsers, shown when they are there.

The work sees no Streamlit; a page asks again on its next run and meanwhile shows what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, TypeVar

import streamlit as st

Found = TypeVar("Found")

POLL = 0.7  # seconds between two looks at unfinished work


@st.cache_resource(max_entries=1, show_spinner=False)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="page")


@st.cache_resource(max_entries=48, show_spinner=False)
def _submitted(key: Hashable, _work: Callable[[], Any]) -> Future[Any]:
    return _pool().submit(_work)


def later(key: Hashable, work: Callable[[], Found], wait: float = 0.0) -> Future[Found]:
    """Start ``work`` unless it was started under this key, and give it ``wait`` seconds to finish now.

    Args:
        key: everything that changes the answer (the corpus' fingerprint among it).
        work: a function without arguments that touches no Streamlit object.
        wait: seconds to wait for it; small work is then on the first paint.

    Returns:
        The future; failed work is forgotten, so that the next run tries again.

    """
    future: Future[Found] = _submitted(key, work)
    try:
        future.exception(timeout=wait)
    except NotYet:
        return future
    if future.exception() is not None:
        _submitted.clear(key, work)
    return future


def watch(*pending: Future[Any], caption: str | Callable[[], str] = "") -> None:
    """Run the page again when one of these is there; the caption says what is still coming, or how far it is."""
    waiting = [f for f in pending if not f.done()]
    if not waiting:
        return

    @st.fragment(run_every=POLL)
    def look() -> None:
        if any(f.done() for f in waiting):
            st.rerun()
        said = caption if isinstance(caption, str) else caption()
        if said:
            st.caption(f":material/hourglass_top: {said}")

    look()
