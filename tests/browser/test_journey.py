"""The main journey in a real browser: open, score, filter, look, undo, export, verify; and what was exported is what was chosen."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import polars as pl
import pytest
from browser.conftest import IDLE

from explorer.manifest.model import read_manifest

pytestmark = pytest.mark.browser

SETTLED = (
    "() => { const p = [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('#cut-panel')).find(Boolean);"
    " return p && p.dataset.ready === '1' && !p.dataset.undecided && (!p.dataset.sent || p.dataset.sent === p.dataset.sequence)"
    " && !p.classList.contains('waiting'); }"
)


def idle(tab) -> None:
    tab.wait_for_timeout(200)
    tab.wait_for_selector(IDLE)


def settled(tab) -> None:
    tab.wait_for_function(SETTLED)
    idle(tab)


def kept(tab) -> int:
    """Documents kept, as the panel says them exactly."""
    return int(tab.locator("#cut-panel").get_attribute("data-kept").split(".")[0])


def bar(tab) -> str:
    return tab.get_by_role("status", name="Selection").inner_text()


def bar_says(tab, documents: int) -> None:
    """Wait until the bar at the top counts so many kept documents (exact in its tooltip)."""
    tab.wait_for_function(
        "n => [...document.querySelectorAll('.bar span[title]')].some(e => e.title.startsWith(`${n} of `))", arg=f"{documents:,}"
    )


def test_from_opening_to_a_verified_export_that_datasets_loads(tab, serve, tmp_path):
    address = serve()
    tab.goto(address + "/filters?f=recipe=fineweb")
    tab.get_by_text("wait for signals that are not computed yet").wait_for()

    # Score what the recipe lacks; the page goes on by itself when the job has ended.
    tab.get_by_role("button", name=re.compile("^Score 894 documents now")).click()
    tab.wait_for_function(SETTLED, timeout=240_000)
    settled(tab)
    before = kept(tab)
    assert 0 < before < 894
    bar_says(tab, before)

    # Drag one cut: the number moves while the pointer does, and the server agrees after the release.
    line = tab.locator(".rule", has_text="gopher_alpha_word_frac")
    line.scroll_into_view_if_needed()
    box = line.locator('.handle[data-side="minimum"]').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    seen = []
    for step in range(1, 9):
        tab.mouse.move(x - 12 * step, y)
        seen.append(kept(tab))
    assert seen == sorted(seen)
    assert seen[-1] > before
    tab.mouse.up()
    settled(tab)
    moved = kept(tab)
    assert moved == seen[-1]
    bar_says(tab, moved)

    # The documents near the cut are of the rule that was touched: values below it on the left, from it on to the right.
    cut = float(line.locator("input[type=text], input:not([type])").first.input_value())
    tab.locator(".st-key-evidence, [data-testid='stTabs']").first.get_by_role("tab", name="Near the cut").click()
    tab.get_by_text(f"Just below {cut:g}").wait_for()
    idle(tab)
    values = [float(v) for v in tab.locator("[class*=st-key-card_kept] header b").all_inner_texts()]
    assert values
    assert min(values) >= cut - 1e-4

    # One of them is read, and back.
    tab.locator("[class*=st-key-read_kept] button").first.click()
    tab.wait_for_selector(".reader")
    assert tab.locator("h1.question").inner_text() == "Show me."
    bar_says(tab, moved)
    tab.get_by_role("link", name="Filters", exact=True).click()
    settled(tab)
    assert kept(tab) == moved

    # Undo takes the drag back; a link restores it.
    tab.get_by_role("button", name="Undo").click()
    settled(tab)
    tab.wait_for_function(
        "n => [...document.querySelectorAll('*')].some(e => e.shadowRoot?.querySelector(`#cut-panel[data-kept^='${n}']`))", arg=before
    )
    assert kept(tab) == before
    link = tab.url
    assert "f=" in link

    # Export: manifest, files, proof.
    tab.get_by_role("button", name="Export", exact=True).click()
    tab.get_by_text("are in this selection").wait_for()
    idle(tab)
    tab.get_by_role("button", name="Write the manifest").click()
    tab.get_by_role("button", name="Verify the manifest").wait_for()
    idle(tab)
    out = tmp_path / "files"
    folder = tab.get_by_label("Folder", exact=True)
    folder.fill(str(out))
    folder.press("Enter")
    idle(tab)
    tab.get_by_role("button", name="Write the files").click()
    tab.get_by_role("button", name="Verify the files").wait_for()
    idle(tab)
    tab.get_by_role("button", name="Verify the files").click()
    tab.get_by_text("checks hold").wait_for()
    place = tab.get_by_text(re.compile("explorer verify .*manifests")).inner_text().split()[-1]

    # Another browser that opens the link sees the same selection.
    other = tab.context.new_page()
    other.goto(link)
    settled(other)
    assert kept(other) == before
    assert bar(other) == bar(tab)
    other.close()

    # What a trainer loads is what the manifest says.
    pytest.importorskip("datasets")
    manifest = read_manifest(Path(place))
    assert manifest.totals.documents == before
    sys.path.insert(0, str(out))
    try:
        from load_mix import load_mix

        loaded = load_mix()
    finally:
        sys.path.remove(str(out))
        sys.modules.pop("load_mix", None)
    chosen = pl.read_parquet(manifest.folder / manifest.stages[0].components[0].selection.path)
    assert loaded["id"][:] == chosen["id"].to_list()
    assert len(loaded) == before
