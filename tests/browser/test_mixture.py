"""The way from two open sides to a trainer's files in a real browser: mixed in two stages, written, exported, verified."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser.conftest import IDLE, ROOT

from explorer.exporters import recounted
from explorer.manifest.model import read_manifest

pytestmark = pytest.mark.browser


def idle(tab) -> None:
    tab.wait_for_timeout(300)
    tab.wait_for_selector(IDLE)


def fill(field, value: str) -> None:
    field.fill(value)
    field.press("Enter")


def test_from_a_corpus_and_its_rewrites_to_verified_files(tab, serve, tmp_path):
    sample = ROOT / "sample_data"
    tab.goto(serve(sample / "rewrites.parquet", "--originals", sample / "corpus") + "/mixture")
    answer = tab.locator("p.answer")
    answer.get_by_text("of 2 sources").wait_for()
    idle(tab)
    fill(tab.get_by_role("textbox", name="Budget, tokens"), "1M")
    tab.locator("p.answer", has_text="1.00\u202fM").wait_for()
    idle(tab)

    # two stages; the last one reads mostly rewrites, set by its slider from the keyboard
    tab.get_by_role("button", name="Divide into stages").click()
    tab.locator("p.answer", has_text="in 2 stages").wait_for()
    idle(tab)
    tab.locator(".st-key-mix_at").get_by_text("anneal").click()
    idle(tab)
    number = tab.get_by_label("weight of rewrites, exact")
    fill(number, "0.6")
    idle(tab)
    slider = tab.locator(".st-key-mix_slide_rewrites_weight_1_False").get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    tab.wait_for_function("() => document.querySelector('[aria-label=\"weight of rewrites, exact\"]')?.value === '0.605'")
    idle(tab)
    tab.get_by_role("button", name="Make them add up to 1").click()
    tab.get_by_text("The weights add up to").wait_for(state="detached")
    tab.locator(".wear.worn", has_text="▲").wait_for()
    tab.locator(".st-key-mix_lanes .main-svg").first.wait_for()
    tab.locator(".st-key-mix_flow .sankey").first.wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")

    # the manifest, and on to Export
    tab.get_by_role("button", name="Write the manifest").click()
    tab.get_by_role("button", name="Go to Export").click()
    tab.locator("h1", has_text="How do I train on exactly this?").wait_for()
    idle(tab)
    tab.get_by_text("What the files would keep of the manifest").wait_for()
    folder = tab.get_by_role("textbox", name="Folder", exact=True)
    out = tmp_path / "files"
    fill(folder, str(out))
    idle(tab)
    tab.get_by_role("button", name="Write the files").click()
    tab.get_by_role("button", name="Verify the files").wait_for()
    idle(tab)
    tab.get_by_role("button", name="Verify the files").click()
    tab.get_by_text("checks hold").wait_for()
    place = tab.get_by_text(re.compile("explorer verify .*manifests")).inner_text().split()[-1]

    manifest = read_manifest(Path(place))
    assert [s.name for s in manifest.stages] == ["main", "anneal"]
    assert manifest.totals.tokens == pytest.approx(1e6, rel=0.01)
    rewrites = next(c for c in manifest.stages[1].components if c.source == "rewrites")
    assert rewrites.resolved.weight == pytest.approx(0.605 / (0.605 + 0.9269), abs=0.01)
    assert {c.status for c in recounted(out)} == {"ok"}
