"""One place where an error becomes something to read: what was wrong, what is allowed, the next step; never a traceback."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from explorer.errors import ExplorerError, MissingExtraError

log = logging.getLogger("explorer.ui")


@contextmanager
def guarded(doing: str = "") -> Iterator[None]:
    """Show what fails inside as one message and carry on after it.

    Args:
        doing: what was being done ("drawing the sources"), for the log and the card of a bug.

    """
    try:
        yield
    except (ExplorerError, MissingExtraError) as error:
        show(error)
    except MemoryError:
        st.error(
            "This needs more memory than the machine has left. Close other programs, look at fewer columns, or work on a sample.",
            icon=":material/memory:",
        )
    except Exception:
        number = uuid.uuid4().hex[:8]
        log.exception("bug %s while %s", number, doing or "drawing a page")
        st.error(
            f"This part of the page failed while {doing or 'drawing it'}. Nothing was changed and your data is untouched. "
            f"It is a bug: please report it with the lines marked `{number}` of the log in the terminal.",
            icon=":material/bug_report:",
        )


def show(error: Exception) -> None:
    """One clear message; the text may hold names from the data, so it is drawn as plain text."""
    st.error(plain(str(error)), icon=":material/error:")


def plain(text: str) -> str:
    """Text that Markdown shows as it is written: no image, link, colour or formula comes from data."""
    shown = text.replace("\\", "\\\\")
    for mark in "`*_{}[]()<>#+-!|$~:^&":
        shown = shown.replace(mark, "\\" + mark)
    return " ".join(shown.split())
