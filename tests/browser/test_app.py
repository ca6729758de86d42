"""What only a browser can show: the frame that stays, keys, links that restore, text that is never run, no outside request."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.browser

IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'


def visit(tab, address: str) -> None:
    tab.goto(address)
    tab.wait_for_selector(IDLE)
    tab.wait_for_selector(".bar .n, .bar b.n")


@pytest.fixture(scope="session")
def hostile(serve, tmp_path_factory) -> str:
    texts = [
        "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'><style>body{display:none}</style>",
        "[click](javascript:window.pwned=3) ![x](http://evil.example/pixel.png) :red[not red] $x^2$",
        "right to left \u202ednettahw\u202c and \u200bhidden",
    ]
    path = tmp_path_factory.mktemp("hostile") / "hostile.parquet"
    pq.write_table(
        pa.table({"text": texts, "source": ["<b>bold</b>", "<img src=x onerror='window.pwned=4'>", "![s](http://evil.example/s.png)"]}),
        path,
    )
    return serve(path)


@pytest.mark.thorough
def test_a_link_to_a_page_is_the_first_thing_a_server_is_asked(tab, serve):
    visit(tab, serve() + "/documents?f=edu_score:0..")
    assert tab.get_by_role("link", name="Overview").is_visible()
    assert tab.locator("h1.question").inner_text() == "Show me."


def test_every_page_opens_with_the_frame_and_its_question(tab, app_address):
    visit(tab, app_address)
    for name in tab.locator('[data-testid="stSidebarNavLink"]').all_inner_texts():
        tab.get_by_role("link", name=name.strip(), exact=True).click()
        tab.wait_for_selector(IDLE)
        tab.wait_for_selector("h1.question")
        assert tab.locator(".st-key-selection_bar").is_visible()
        assert tab.locator('[data-testid="stException"]').count() == 0


@pytest.mark.thorough
def test_the_bar_stays_in_sight_and_a_link_restores_the_selection(tab, app_address):
    visit(tab, app_address + "/?f=where=language = 'en'")
    bar = tab.get_by_role("status", name="Selection")
    assert "where language = 'en'" in bar.inner_text()
    said = bar.inner_text()
    tab.locator('[data-testid="stMain"]').evaluate("main => main.scrollTo(0, 400)")
    assert tab.locator(".st-key-selection_bar").bounding_box()["y"] < 30
    tab.get_by_role("link", name="Documents", exact=True).click()
    tab.wait_for_selector(IDLE)
    tab.wait_for_function("location.search.includes('f=')")
    tab.reload()
    tab.wait_for_selector(".bar b.n")
    assert tab.get_by_role("status", name="Selection").inner_text() == said


@pytest.mark.thorough
def test_clear_undo_and_save(tab, app_address):
    visit(tab, app_address + "/?f=where=language = 'en'")
    tab.get_by_role("button", name="Clear", exact=True).click()
    tab.get_by_text("everything is kept").wait_for()
    tab.wait_for_function("!location.search.includes('f=')")
    tab.get_by_role("button", name="Undo").click()
    tab.get_by_text("where language = 'en'").wait_for()
    tab.get_by_role("button", name="Save").first.click()
    tab.get_by_label("Save the current filters as").fill("english only")
    tab.locator('[data-testid="stForm"]').get_by_role("button", name="Save").click()
    tab.get_by_text("Saved as").wait_for()
    tab.keyboard.press("Escape")
    visit(tab, app_address)
    tab.get_by_role("button", name="Save").first.click()
    tab.get_by_role("button", name="english only").click()
    tab.get_by_text("where language = 'en'").first.wait_for()


@pytest.mark.thorough
def test_keys_go_through_documents_and_marks(tab, app_address):
    visit(tab, app_address + "/documents")
    tab.wait_for_selector("#frame[data-ready]")
    first = tab.locator(".document-head").inner_text()
    tab.keyboard.press("j")
    tab.wait_for_function("said => document.querySelector('.document-head').innerText !== said", arg=first)
    assert tab.locator(".line.open").get_attribute("data-index") == "1"
    tab.wait_for_selector(IDLE)
    tab.keyboard.press("k")
    tab.wait_for_function("said => document.querySelector('.document-head').innerText === said", arg=first)
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')") == "Search the texts"
    tab.keyboard.type("the j")  # letters that are keys elsewhere are letters here
    tab.keyboard.press("Enter")
    tab.get_by_text("documents match").wait_for()
    tab.wait_for_selector(".reader mark.hit")
    tab.locator("h1.question").click()
    tab.keyboard.press("n")
    assert tab.locator(".reader mark.now").count() == 1


def test_a_source_that_is_clicked_becomes_the_selection(tab, app_address):
    visit(tab, app_address)
    bar = tab.locator(".rows button.item").first
    label = bar.locator(".label").inner_text()
    bar.click()
    tab.get_by_text(f"= '{label}'").first.wait_for()
    tab.locator(".bar b.n").wait_for()  # the counts follow when they are known


def test_hostile_texts_and_names_are_shown_and_never_run(tab, hostile):
    visit(tab, hostile + "/documents")
    tab.wait_for_selector(".reader")
    tab.wait_for_selector("#frame[data-ready]")  # its keys are there
    for document in range(3):
        if document:
            before = tab.locator(".document-head").inner_text()
            tab.keyboard.press("j")
            tab.wait_for_function("said => document.querySelector('.document-head').innerText !== said", arg=before)
            tab.wait_for_selector(IDLE)
        said = tab.locator(".reader").inner_text()
        assert tab.evaluate("window.pwned === undefined")
        assert tab.locator(".reader img, .reader script, .reader style, .reader a").count() == 0
    assert "[RLO]" in said
    assert "[ZWSP]" in said
    visit(tab, hostile)
    tab.wait_for_selector(".rows")
    assert tab.evaluate("window.pwned === undefined")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.thorough
def test_text_stands_out_from_its_page(tab, app_address, scheme):
    tab.emulate_media(color_scheme=scheme)
    visit(tab, app_address + "/documents?f=edu_score:0..")
    tab.wait_for_selector(".reader")
    ratios = tab.evaluate(
        """() => {
          const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
          const paint = (...colours) => { canvas.clearRect(0, 0, 1, 1); for (const c of colours) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1) }
            return canvas.getImageData(0, 0, 1, 1).data }
          const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
          const page = getComputedStyle(document.querySelector('.stApp')).backgroundColor
          const found = {}
          for (const name of ['.reader', '.answer', '.question', '.document-head', '.verdict b', '.bar .rules', '.corpus-card div']) {
            const element = document.querySelector(name)
            if (!element) continue
            const [a, b] = [light(paint(page, getComputedStyle(element).color)), light(paint(page))]
            found[name] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
          }
          return found
        }"""
    )
    assert len(ratios) >= 6
    assert {name: round(r, 2) for name, r in ratios.items() if r < 4.5} == {}
