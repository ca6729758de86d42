"""The pages of the app and the way into them, which always leads through app.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

PAGES = {
    "Look": (
        ("overview", "Overview", "What is in here? Size, sources, lengths, problems, and what to do next."),
        ("documents", "Documents", "Search, sort and read single documents; ask with SQL."),
        ("map", "Map", "What are the themes? Documents about the same thing side by side."),
        ("duplicates", "Duplicates", "What is repeated? Copies, near copies and boilerplate, side by side, and what keeping one saves."),
        ("signals", "Signals", "What can be measured, and how it is distributed."),
    ),
    "Decide": (
        ("filters", "Filters", "Where do I cut? Every threshold with what it keeps and drops, live."),
        (
            "rewrites",
            "Rewrites",
            "Can I trust the rewrites? Worst first, beside their originals, with what was lost and what was invented.",
        ),
        ("labels", "Labels", "Teach it my taste: mark documents, train a scorer, and see what it would keep."),
        ("mixture", "Mixture", "What will the model see? Sources, budget, epochs and stages, with what they come to as you drag."),
        ("export", "Export", "Write the selection so that a trainer loads it."),
    ),
}


def navigate() -> Any:
    """Set up the navigation over the pages that are there; the page that was asked for."""
    # No icons: the browser would fetch those of the current page from fonts.gstatic.com to put them on its tab.
    return st.navigation(
        {
            group: [
                st.Page(_path(name), title=title, icon="", help=about_it, url_path=name, default=name == "overview")
                for name, title, about_it in pages
                if has_page(name)
            ]
            for group, pages in PAGES.items()
        }
    )


def has_page(page: str) -> bool:
    """Whether a page is there."""
    return _path(page).exists()


def go(page: str) -> None:
    """Open another page by its name ("filters"); call it in the page's body, not in a callback."""
    st.switch_page(_path(page))


def own_the_pages() -> None:
    """Have the files of pages/ run through app.py alone.

    A folder of that name makes Streamlit run them by themselves until st.navigation has been called once in the process: a link to
    /documents that is opened first after a start would show the page without navigation, selection or theme.
    """
    from streamlit.runtime.pages_manager import PagesManager

    PagesManager.uses_pages_directory = False


def _path(page: str) -> Path:
    """A page's file: beside the package in a checkout, inside it once installed."""
    package = Path(__file__).parents[1]
    packaged = package / "_app"
    return (packaged if packaged.is_dir() else package.parent) / "pages" / f"{page}.py"
