"""Teach it my taste, in a real browser: forty labels by key, undo, train, see the AUC, score the corpus, filter by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser.conftest import IDLE

pytestmark = pytest.mark.browser

HEAD = ".document-head"
SAMPLE = Path(__file__).parents[2] / "sample_data" / "corpus"


def idle(tab) -> None:
    tab.wait_for_timeout(250)
    tab.wait_for_selector(IDLE)
    tab.wait_for_timeout(100)


def progress(tab) -> int:
    """Labels that count, as the page says them."""
    return int(tab.get_by_role("progressbar", name="labels").get_attribute("aria-valuenow"))


def pressed(tab, key: str, n: int) -> None:
    """Press a key, after which there are n labels."""
    tab.keyboard.press(key)
    tab.wait_for_function(
        "n => document.querySelector('[role=progressbar][aria-label=labels]')?.getAttribute('aria-valuenow') === String(n)", arg=n
    )
    idle(tab)


def read(tab) -> str:
    return tab.locator(HEAD).first.inner_text()


def test_forty_labels_by_key_make_a_scorer_that_filters(tab, serve):
    tab.goto(serve(SAMPLE))
    tab.get_by_role("link", name="Labels", exact=True).click()
    tab.wait_for_selector(HEAD)
    idle(tab)
    n = 0
    while n < 40:
        before = read(tab)
        n += 1
        pressed(tab, "1" if before.startswith("books") else "2", n)
        assert read(tab) != before, "the next document is open"

    # Undo brings the count back; the list keeps its place; J moves without labelling.
    pressed(tab, "u", 39)
    before = read(tab)
    tab.keyboard.press("j")
    tab.wait_for_function("b => document.querySelector('.document-head').innerText !== b", arg=before)
    idle(tab)
    assert progress(tab) == 39
    tab.keyboard.press("3")
    idle(tab)
    tab.get_by_text("1 unsure").wait_for()
    assert progress(tab) == 39, "unsure teaches nothing"
    tab.keyboard.press("k")
    idle(tab)
    tab.keyboard.press("1" if read(tab).startswith("books") else "2")
    idle(tab)

    tab.get_by_text("Train and judge", exact=True).click()
    tab.get_by_text("No scorer is trained yet").wait_for()
    idle(tab)
    tab.get_by_role("button", name="Train", exact=True).click()
    answer = tab.locator(".answer", has_text="AUC")
    answer.wait_for(timeout=240_000)
    area, low, high = map(float, re.search(r"AUC ([\d.]+) \(95 % ([\d.]+) to ([\d.]+)\)", answer.inner_text()).groups())
    assert 0.5 < low <= area <= high <= 1, "books and other texts are told apart by their words"
    tab.get_by_text("What does it go by?").wait_for()
    tab.get_by_text("Where was it most wrong?").wait_for()
    idle(tab)

    tab.get_by_role("button", name="Score 894 documents with it").click()
    filter_it = tab.get_by_role("button", name="Choose a cut")
    filter_it.wait_for(timeout=240_000)
    idle(tab)
    filter_it.click()
    tab.locator(".rule", has_text="scorer_mine").wait_for(timeout=60_000)
