"""Duplicates in a real browser: search, find a planted copy, see what differs, keep the longest, undo; hostile text does nothing."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser.conftest import IDLE, ROOT

pytestmark = pytest.mark.browser

LONG = "The harbour master wrote every evening how many boats had come in, what they carried, and who had paid the toll at the gate. "


def idle(tab) -> None:
    tab.wait_for_timeout(250)
    tab.wait_for_selector(IDLE)


def kept(tab) -> int:
    """Documents kept, as the bar at the top says them exactly; all of them without a rule."""
    tab.wait_for_function("() => document.querySelector('.bar .n')")
    said = tab.locator(".bar span[title]").first.get_attribute("title")
    return int(said.split()[0].replace(",", ""))


def test_a_planted_copy_is_found_read_and_dropped(tab, serve):
    planted = json.loads((ROOT / "sample_data" / "planted.json").read_text(encoding="utf-8"))
    tab.goto(serve() + "/duplicates")
    tab.get_by_text("Nothing has been searched yet").wait_for()
    tab.get_by_role("button", name=re.compile("^Search 894 documents")).click()
    tab.locator("[data-testid=stSegmentedControl], [data-testid=stButtonGroup]").first.wait_for()
    tab.locator("#frame[data-ready='1'] .line").first.wait_for(timeout=120_000)  # the page goes on by itself when the job has ended
    idle(tab)
    assert "near" in tab.locator("p.answer").first.inner_text()

    # the copy is found by its own id and stands beside its original
    copy = next(k for k, v in planted.items() if v["kind"] == "near_duplicate" and k.startswith("speeches"))
    box = tab.get_by_placeholder("id of a document, or its row number")
    box.fill(copy)
    box.press("Enter")
    tab.locator(".members td.id", has_text=copy).wait_for()
    idle(tab)
    assert tab.locator(".members td.id", has_text=planted[copy]["of"]).count() == 1
    assert tab.locator(".diff del").count() > 0
    assert tab.locator(".diff ins").count() > 0
    region = tab.locator(".diff")
    assert (region.get_attribute("role"), region.get_attribute("tabindex")) == ("region", "0")
    # what was changed is marked by a line, not by its colour alone
    assert "line-through" in tab.locator(".diff del").first.evaluate("e => getComputedStyle(e).textDecorationLine")
    assert "underline" in tab.locator(".diff ins").first.evaluate("e => getComputedStyle(e).textDecorationLine")
    box.fill("")
    box.press("Enter")
    idle(tab)

    # J goes to the next group
    tab.locator("#frame .line").nth(2).wait_for()
    before = tab.locator(".members tbody").inner_text()
    tab.locator("#frame").focus()
    tab.keyboard.press("j")
    tab.wait_for_function("said => document.querySelector('.members tbody').innerText !== said", arg=before)
    idle(tab)
    before = tab.locator(".members tbody").inner_text()
    tab.locator("#frame .line").nth(3).click()
    tab.wait_for_function("said => document.querySelector('.members tbody').innerText !== said", arg=before)
    idle(tab)

    # keep the longest: the figure beside the button is what the bar then says
    tab.get_by_role("combobox", name=re.compile("Of each group keep")).click()
    tab.get_by_role("option", name="the longest").click()
    idle(tab)
    gone = int(tab.locator(".st-key-dup_keeper .answer b").first.get_attribute("title").replace(",", ""))
    assert gone > 30
    assert kept(tab) == 894
    tab.get_by_role("button", name="Keep one of each group").click()
    tab.get_by_text("minhash_keep_longest").first.wait_for()
    idle(tab)
    tab.wait_for_function("n => document.querySelector('.bar span[title]')?.title.startsWith(`${n} of`)", arg=894 - gone)

    tab.get_by_role("button", name="Undo").click()
    tab.get_by_text("everything is kept").wait_for()
    assert kept(tab) == 894


@pytest.mark.thorough
def test_hostile_copies_do_nothing(tab, serve, tmp_path):
    text = f"<script>window.__pwn=1</script><img src=x onerror='window.__pwn=2'> [l](javascript:window.__pwn=3) \u202egnp {LONG}"
    table = pa.table({"id": ["<img src=x onerror='window.__pwn=4'>", "b"], "text": [text, text + "<svg onload=window.__pwn=5>"]})
    pq.write_table(table, tmp_path / "hostile.parquet")
    tab.goto(serve(tmp_path / "hostile.parquet") + "/duplicates")
    tab.get_by_role("button", name=re.compile("^Search 2 documents")).click()
    tab.locator(".diff ins").first.wait_for(timeout=120_000)
    idle(tab)
    assert "window.__pwn=5" in tab.locator(".diff").inner_text()
    assert tab.evaluate("window.__pwn") is None
    assert tab.locator(".diff img, .diff script, .diff svg, .members img").count() == 0
