"""Rewrites in a real browser: open them beside their documents, see the worst first, judge by key, decide; hostile text does nothing."""

from __future__ import annotations

import re

import polars as pl
import pytest
from browser.conftest import IDLE

pytestmark = pytest.mark.browser

EVIL = "<script>document.body.dataset.owned = 1</script><img src=x onerror=\"document.body.dataset.owned = 1\">"  # fmt: skip
PAIRS = {
    "faithful": ("The mill burned down on 14 May 1911. It had ground 300 kg of rye.", "On 14 May 1911 the mill burned down. It had ground 300 kilograms of rye."),
    "wrong": ("The mill burned down on 14 May 1911. Nobody was hurt.", "The mill burned down on 15 May 1911. People were hurt."),
    "hostile": (f"Nothing here is true. {EVIL}", f"Nothing here is true, says {EVIL}"),
}  # fmt: skip


def idle(tab) -> None:
    tab.wait_for_timeout(250)
    tab.wait_for_selector(IDLE)


def test_from_documents_to_decisions(tab, serve, tmp_path):
    originals, rewrites = tmp_path / "originals.parquet", tmp_path / "rewrites.parquet"
    pl.DataFrame({"id": list(PAIRS), "text": [o for o, _ in PAIRS.values()]}).write_parquet(originals)
    pl.DataFrame({"doc_id": list(PAIRS), "rewrite": [r for _, r in PAIRS.values()], "method": ["one", "two", EVIL]}).write_parquet(rewrites)
    tab.goto(serve(originals) + "/rewrites")
    tab.get_by_text("No rewrites of these documents are open yet.").wait_for()
    tab.get_by_label("Rewrites: files, folders or globs, one a line").fill(str(rewrites))
    tab.get_by_role("textbox", name="Column that says which original a rewrite is of").fill("id=doc_id")
    tab.get_by_role("button", name="Open the rewrites").click()

    # a few pairs are audited unasked; the page goes on by itself when the job has ended
    tab.locator("p.answer", has_text="below 0.8 in faithfulness").wait_for(timeout=240_000)
    tab.locator("#frame[data-ready='1'] .line").first.wait_for()
    idle(tab)
    assert "3 rewrites of 3 originals" in tab.locator("p.answer").inner_text()
    first = tab.locator("#frame .line").first.inner_text()
    assert "date changed: 14 May 1911 → 15 May 1911" in first
    assert tab.locator("mark.fact.flip").count() > 0
    assert "line-through" not in tab.locator("mark.fact.changed").first.evaluate("e => getComputedStyle(e).textDecorationLine")

    # X rejects it and opens the next
    tab.keyboard.press("x")
    tab.locator("#frame .line", has_text=re.compile("X ·")).wait_for()
    idle(tab)
    for _ in range(2):
        tab.keyboard.press("k")
        idle(tab)
    tab.get_by_text("By sentence", exact=True).click()
    tab.locator(".sentences .told").first.wait_for()

    # what becomes of each document
    tab.locator("[data-testid=stMain]").get_by_text("Decide", exact=True).click()
    tab.get_by_role("button", name="Write the decisions").click()
    tab.get_by_text("On both sides the signal imported_decided is 1").wait_for(timeout=60_000)
    idle(tab)
    assert "imported_decided = 1" in tab.locator("[data-testid=stCode]").last.inner_text()
    assert tab.evaluate("document.body.dataset.owned") is None
