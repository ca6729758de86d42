"""The map in a real browser: what is seen, pointed at, drawn around and pressed, by hand and by keyboard, with and without WebGL."""

from __future__ import annotations

import io
import math
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need the package playwright")
CHROMIUM = "/usr/bin/chromium"
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
POINTS = 6000


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = [f"--server.port={port}", "--server.headless=true", "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]
    app = Path(__file__).with_name("scatter_app.py")
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(app), *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
                    if answer.read() == b"ok":
                        break
            except OSError:
                time.sleep(0.25)
        else:
            pytest.fail("the app did not start")
        yield url
    finally:
        process.terminate()
        process.wait(10)


class Map:
    """A page with a map, what came over the wire, and every request it made."""

    def __init__(self, browser: playwright.Browser, url: str, before: str = "", **context: object) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 860}, **context})
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.received = 0
        self.page.on(
            "request", lambda r: None if re.match(r"(http|ws)://127\.0\.0\.1:\d+/|data:|blob:", r.url) else self.outside.append(r.url)
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", lambda ws: ws.on("framereceived", self._frame))
        if before:
            self.page.add_init_script(before)
        self.page.goto(url)
        self.ready()

    def _frame(self, data: str | bytes) -> None:
        self.received += len(data)

    def ready(self) -> None:
        self.page.wait_for_selector('#scatter[data-ready="1"][data-grid="1"][data-settled="1"]', timeout=60_000)
        self.page.wait_for_selector(IDLE)

    def value(self, name: str) -> str:
        return self.page.locator("#scatter[data-ready]").get_attribute(f"data-{name}") or ""

    def answer(self, name: str) -> str:
        return self.page.locator("#answer").get_attribute(f"data-{name}") or ""

    def answered(self, name: str, value: str) -> None:
        self.page.wait_for_selector(f'#answer[data-{name}="{value}"]', state="attached")

    @property
    def stage(self) -> dict[str, float]:
        box = self.page.locator("#scatter .stage").bounding_box()
        assert box
        return box

    def middle(self) -> tuple[float, float]:
        box = self.stage
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def settle(self) -> None:
        self.page.wait_for_selector('#scatter[data-settled="1"]')
        self.page.wait_for_timeout(150)

    def picture(self) -> np.ndarray:
        """The drawn points, float [h, w, 3], without titles, legend and tools."""
        self.settle()
        self.page.evaluate("""() => { const s = [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('#scatter .frame')).find(Boolean);
            for (const q of ['.over', '.tools', '.legend', '.chip', '.note', '.card']) s.querySelector(q).style.visibility = 'hidden'; }""")
        shot = Image.open(io.BytesIO(self.page.locator("#scatter .stage").screenshot())).convert("RGB")
        self.page.evaluate("""() => { const s = [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('#scatter .frame')).find(Boolean);
            for (const q of ['.over', '.tools', '.legend', '.chip', '.note', '.card']) s.querySelector(q).style.visibility = ''; }""")
        return np.asarray(shot, float)

    def circle(self, radius: float, shift: bool = True, at: tuple[float, float] | None = None) -> None:
        x, y = at or self.middle()
        if shift:
            self.page.keyboard.down("Shift")
        self.page.mouse.move(x + radius, y)
        self.page.mouse.down()
        for k in range(1, 41):
            self.page.mouse.move(x + radius * math.cos(k / 40 * 2 * math.pi), y + radius * math.sin(k / 40 * 2 * math.pi))
        self.page.mouse.up()
        if shift:
            self.page.keyboard.up("Shift")

    def close(self) -> None:
        self.context.close()
        assert self.outside == []
        assert self.errors == []


@pytest.fixture(params=["webgl2", "plane"])
def drawn(request: pytest.FixtureRequest, chromium: playwright.Browser, server: str) -> Iterator[Map]:
    """The map drawn by either painter."""
    shown = Map(chromium, f"{server}/?points={POINTS}&painter={request.param}")
    assert shown.value("painter") == request.param
    yield shown
    shown.close()


@pytest.fixture
def shown(chromium: playwright.Browser, server: str) -> Iterator[Map]:
    """The map as it comes."""
    found = Map(chromium, f"{server}/?points={POINTS}")
    yield found
    found.close()


def coloured(picture: np.ndarray) -> np.ndarray:
    """Bool [h, w]: pixels with a colour, neither paper nor grey."""
    return picture.max(2) - picture.min(2) > 30


@pytest.mark.thorough
def test_every_point_is_drawn_in_the_colours_of_its_class(drawn: Map) -> None:
    assert drawn.value("drawn") == drawn.value("points") == str(POINTS)
    picture = drawn.picture()
    there = coloured(picture)
    assert 0.01 < there.mean() < 0.6
    assert not there[:8].any()  # the edge of the map is paper
    reds, blues = picture[there][:, 0], picture[there][:, 2]
    assert (reds > blues + 40).any()  # the vermilion class
    assert (blues > reds + 40).any()  # and the blue one


@pytest.mark.thorough
def test_both_painters_draw_the_same_picture(chromium: playwright.Browser, server: str) -> None:
    pictures = []
    for painter in ("webgl2", "plane"):
        seen = Map(chromium, f"{server}/?points={POINTS}&painter={painter}")
        pictures.append(seen.picture())
        seen.close()
    one, other = (
        p[: p.shape[0] // 8 * 8, : p.shape[1] // 8 * 8].reshape(p.shape[0] // 8, 8, p.shape[1] // 8, 8, 3).mean((1, 3)) for p in pictures
    )
    assert np.abs(one - other).mean() < 2
    assert np.quantile(np.abs(one - other), 0.999) < 45  # the smallest points cover whole pixels without a GPU, parts of them with one


@pytest.mark.thorough
def test_the_wheel_zooms_about_the_pointer_and_a_double_click_shows_all(drawn: Map) -> None:
    before = drawn.picture()
    x, y = drawn.middle()
    drawn.page.mouse.move(x + 60, y - 40)
    for _ in range(6):
        drawn.page.mouse.wheel(0, -240)
    drawn.page.wait_for_function(
        "() => [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('#scatter[data-ready]')).find(Boolean)?.dataset.zoom > 5"
    )
    near = drawn.picture()
    assert np.abs(near - before).mean() > 2
    drawn.answered("kind", "view")  # Python hears of it when the map has come to rest
    drawn.page.mouse.dblclick(x, y)
    drawn.page.wait_for_selector('#scatter[data-zoom="1.0000"]')
    assert np.abs(drawn.picture() - before).mean() < 0.5
    drawn.page.wait_for_timeout(500)
    assert drawn.answer("kind") == "view"  # a double click opens no document


def test_points_far_out_are_left_out_of_the_first_look_and_counted(chromium: playwright.Browser, server: str) -> None:
    drawn = Map(chromium, f"{server}/?points={POINTS}&far=12")
    note, whole = drawn.page.locator("#scatter .note"), drawn.page.get_by_role("button", name="Show the whole map")
    playwright.expect(note).to_have_text("12 lie farther out: press Whole map")
    spread = coloured(drawn.picture()).sum()
    whole.click()
    playwright.expect(note).to_be_hidden()
    assert coloured(drawn.picture()).sum() < 0.2 * spread, "all are in view, and most of them are a dot"
    whole.click()
    playwright.expect(note).to_have_text("12 lie farther out: press Whole map")
    assert abs(int(coloured(drawn.picture()).sum()) - int(spread)) < 0.01 * spread
    drawn.close()


@pytest.mark.thorough
def test_dragging_moves_the_map(drawn: Map) -> None:
    before = drawn.picture()
    x, y = drawn.middle()
    drawn.page.mouse.move(x, y)
    drawn.page.mouse.down()
    drawn.page.mouse.move(x + 40, y + 24, steps=4)
    drawn.page.mouse.up()
    after = drawn.picture()
    assert np.abs(after[24:, 40:] - before[:-24, :-40]).mean() < 1


@pytest.mark.thorough
def test_a_lasso_is_the_same_in_the_browser_and_in_python(drawn: Map) -> None:
    drawn.circle(130)
    drawn.answered("kind", "region")
    assert 0 < int(drawn.value("inside")) < POINTS
    assert drawn.value("inside") == drawn.answer("inside") == drawn.answer("shown")
    assert 8 <= int(drawn.answer("vertices")) <= 48
    there = coloured(drawn.picture())
    y, x = np.nonzero(there)
    away = np.hypot(x - there.shape[1] / 2, y - there.shape[0] / 2)
    assert away.max() < 140  # what lies outside is grey
    drawn.page.locator("#scatter .chip").click()
    drawn.answered("kind", "clear")
    assert drawn.value("inside") == ""
    assert coloured(drawn.picture()).sum() > 2 * there.sum()


@pytest.mark.thorough
def test_the_box_tool_and_what_python_takes_away(shown: Map) -> None:
    shown.page.locator('.tools [data-tool="box"]').click()
    x, y = shown.middle()
    shown.page.mouse.move(x - 120, y - 80)
    shown.page.mouse.down()
    shown.page.mouse.move(x + 90, y + 70, steps=5)
    shown.page.mouse.up()
    shown.answered("kind", "region")
    assert shown.answer("vertices") == "4"
    assert 0 < int(shown.value("inside")) == int(shown.answer("inside"))
    shown.page.get_by_role("button", name="Clear in Python").click()
    shown.page.wait_for_selector('#scatter[data-inside=""]')
    shown.page.locator('.tools [data-tool="pan"]').click()
    shown.circle(60, shift=True)  # and one can draw again
    shown.page.wait_for_selector('#scatter[data-inside]:not([data-inside=""])')


@pytest.mark.thorough
def test_the_legend_hides_shows_and_isolates(drawn: Map) -> None:
    before = coloured(drawn.picture()).sum()
    first = drawn.page.locator('#scatter .legend [data-code="0"]')
    assert first.get_attribute("aria-pressed") == "true"
    first.click()
    assert first.get_attribute("aria-pressed") == "false"
    hidden = coloured(drawn.picture()).sum()
    assert 0.5 * before < hidden < before
    drawn.page.wait_for_timeout(600)
    first.dblclick()
    assert first.get_attribute("aria-pressed") == "true"
    assert drawn.page.locator('#scatter .legend [aria-pressed="false"]').count() == 7
    assert coloured(drawn.picture()).sum() < 0.5 * before
    drawn.page.get_by_role("button", name="Show all").click()
    assert abs(int(coloured(drawn.picture()).sum()) - int(before)) < 0.01 * before


@pytest.mark.thorough
def test_pointing_shows_the_document_and_asks_once_for_those_around(shown: Map) -> None:
    x, y = shown.middle()
    for _ in range(5):
        shown.page.mouse.move(x, y)
        shown.page.mouse.wheel(0, -200)
    shown.settle()
    at = _a_point(shown)
    shown.page.mouse.move(*at)
    shown.page.wait_for_selector("#scatter .card:not([hidden])")
    assert "the quick brown fox" in shown.page.locator("#scatter .card .text").inner_text()
    times = int(shown.page.locator("#asked").get_attribute("data-times") or 0)
    for step in range(20):  # to and fro over what is known already
        shown.page.mouse.move(at[0] + step % 3, at[1])
    shown.page.wait_for_timeout(500)
    assert int(shown.page.locator("#asked").get_attribute("data-times") or 0) <= times + 1
    assert shown.answer("kind") in ("", "view")
    shown.page.mouse.click(*at)
    shown.answered("kind", "open")
    row = shown.answer("row")
    assert f"row {int(row):,}" in shown.page.locator("#scatter .card .head").inner_text()


def _a_point(shown: Map) -> tuple[float, float]:
    """Somewhere near the middle where a document is under the pointer."""
    x, y = shown.middle()
    for r in range(0, 260, 12):
        for k in range(8):
            at = (x + r * math.cos(k * math.pi / 4), y + r * math.sin(k * math.pi / 4))
            shown.page.mouse.move(*at)
            shown.page.wait_for_timeout(40)
            if shown.value("hover"):
                return at
    pytest.fail("no point was found near the middle")


@pytest.mark.thorough
def test_hostile_names_and_texts_are_shown_as_text(chromium: playwright.Browser, server: str) -> None:
    shown = Map(chromium, f"{server}/?points={POINTS}&hostile=1")
    at = _a_point(shown)
    shown.page.mouse.move(*at)
    shown.page.wait_for_selector("#scatter .card:not([hidden])")
    assert "<script>window.pwned=1</script>" in shown.page.locator("#scatter .card .text").inner_text()
    assert "<b>bold</b>" in shown.page.locator("#scatter .legend").inner_text()
    assert shown.page.evaluate("window.pwned") is None
    assert shown.page.locator("#scatter img, #scatter .card b, #scatter script").count() == 0
    shown.close()


@pytest.mark.thorough
def test_the_keyboard_does_it_all(shown: Map) -> None:
    shown.page.locator("#scatter .stage").focus()
    before = shown.picture()
    for key in ("+", "+", "+", "ArrowLeft", "ArrowUp"):
        shown.page.keyboard.press(key)
    assert float(shown.value("zoom")) == pytest.approx(1.35**3, rel=1e-3)
    assert np.abs(shown.picture() - before).mean() > 1
    shown.page.keyboard.press("Enter")
    shown.answered("kind", "open")
    assert shown.answer("row").isdigit()
    shown.page.keyboard.press("0")
    shown.page.wait_for_selector('#scatter[data-zoom="1.0000"]')
    shown.page.keyboard.press("l")
    assert shown.page.locator('.tools [data-tool="lasso"]').get_attribute("aria-pressed") == "true"
    shown.circle(80, shift=False)
    shown.answered("kind", "region")
    shown.page.locator("#scatter .stage").focus()
    shown.page.keyboard.press("Escape")
    shown.answered("kind", "clear")
    label = shown.page.locator("#scatter .stage").get_attribute("aria-label") or ""
    assert f"{POINTS:,} points" in label


@pytest.mark.parametrize(
    "without",
    [
        "HTMLCanvasElement.prototype.getContext = new Proxy(HTMLCanvasElement.prototype.getContext, { apply: (f, me, [kind, ...more]) => kind === 'webgl2' ? null : Reflect.apply(f, me, [kind, ...more]) });",
        "WebGL2RenderingContext.prototype.getExtension = new Proxy(WebGL2RenderingContext.prototype.getExtension, { apply: (f, me, [name]) => /float/.test(name) ? null : Reflect.apply(f, me, [name]) });",
    ],
    ids=["no WebGL2", "no float targets"],
)
@pytest.mark.thorough
def test_without_webgl_the_map_is_drawn_all_the_same(chromium: playwright.Browser, server: str, without: str) -> None:
    shown = Map(chromium, f"{server}/?points={POINTS}&painter=webgl2", before=without)
    assert shown.value("painter") == "plane"
    assert coloured(shown.picture()).mean() > 0.01
    shown.circle(120)
    shown.answered("kind", "region")
    assert shown.value("inside") == shown.answer("inside") != "0"
    shown.close()


@pytest.mark.thorough
def test_a_lost_context_is_replaced(chromium: playwright.Browser, server: str) -> None:
    keep = "const get = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = function (...a) { const c = get.apply(this, a); if (a[0] === 'webgl2' && c) window.lastGl = c; return c; };"
    shown = Map(chromium, f"{server}/?points={POINTS}&painter=webgl2", before=keep)
    before = shown.picture()
    shown.page.evaluate("window.lastGl.getExtension('WEBGL_lose_context').loseContext()")
    shown.page.wait_for_selector('#scatter[data-painter="plane"]')
    shown.settle()
    assert np.abs(shown.picture() - before).mean() < 3
    shown.close()


@pytest.mark.thorough
def test_light_and_dark(chromium: playwright.Browser, server: str) -> None:
    means = {}
    for scheme in ("light", "dark"):
        shown = Map(chromium, f"{server}/?points={POINTS}", color_scheme=scheme)
        assert shown.value("theme") == scheme
        picture = shown.picture()
        means[scheme] = picture[~coloured(picture)].mean()
        assert coloured(picture).mean() > 0.01
        shown.close()
    assert means["light"] > 200 > 80 > means["dark"]


@pytest.mark.thorough
def test_values_and_dropped_points(chromium: playwright.Browser, server: str) -> None:
    shown = Map(chromium, f"{server}/?points={POINTS}&by=value")
    assert shown.page.locator("#scatter .legend .ends").inner_text().split() == ["0.1", "2.5", "4.9"]
    all_of_them = coloured(shown.picture()).sum()
    shown.close()
    half = Map(chromium, f"{server}/?points={POINTS}&by=value&kept=0.3")
    assert coloured(half.picture()).sum() < 0.7 * all_of_them
    half.close()


@pytest.mark.thorough
def test_positions_are_sent_once_and_a_run_costs_little(chromium: playwright.Browser, server: str) -> None:
    shown = Map(chromium, f"{server}/?points=200000")
    assert 9 * 200_000 < shown.received < 9 * 200_000 + 700_000
    before = shown.received
    runs = shown.page.locator("#runs").get_attribute("data-runs") or ""
    shown.page.get_by_role("button", name="Run again").click()
    shown.page.wait_for_selector(f'#runs:not([data-runs="{runs}"])', state="attached")
    shown.page.wait_for_selector(IDLE)
    shown.circle(90)
    shown.answered("kind", "region")
    shown.page.wait_for_timeout(300)
    assert shown.received - before < 150_000  # two runs of the page and of a fragment, without the 1.8 MB
    shown.close()


@pytest.mark.thorough
def test_a_sample_says_so(chromium: playwright.Browser, server: str) -> None:
    shown = Map(chromium, f"{server}/?points=30000&most=10000")
    assert shown.value("points") == "10000"
    assert shown.page.locator("#scatter .note").inner_text().startswith("showing 10,000 of 30,000")
    shown.circle(150)
    shown.answered("kind", "region")
    inside, seen = int(shown.answer("inside")), int(shown.answer("shown"))
    assert str(seen) == shown.value("inside")
    assert 2.5 * seen < inside < 3.5 * seen  # Python counts all, not only what is drawn
    shown.close()


# --- the page --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def themed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two thousand documents in four themes, with places and clusters as columns of the file."""
    rng = np.random.default_rng(2)
    theme = rng.integers(0, 4, 2000)
    centres = np.array([(-4, -3), (4, -3), (-4, 3), (4, 3)])
    xy = (centres[theme] + rng.normal(0, 0.6, (2000, 2))).astype("f4")
    words = ["rivers and lakes", "engines", "<img src=x onerror=window.pwned=1> markup", "songs"]
    table = pa.table(
        {
            "text": [f"Document {i} about {words[t]}. " * 8 for i, t in enumerate(theme)],
            "source": [["web", "books"][i % 2] for i in range(2000)],
            "map_x": xy[:, 0],
            "map_y": xy[:, 1],
            "cluster": theme,
        }
    )
    path = tmp_path_factory.mktemp("themed") / "themed.parquet"
    pq.write_table(table, path, row_group_size=500)
    return path


def test_a_lasso_becomes_the_selection(tab: playwright.Page, serve, themed: Path) -> None:
    tab.goto(f"{serve(themed)}/map")
    tab.wait_for_selector('#scatter[data-ready="1"][data-grid="1"]', timeout=60_000)
    tab.wait_for_selector(IDLE)
    expect = playwright.expect
    expect(tab.locator("p.answer")).to_contain_text("4 themes")
    box = tab.locator("#scatter .stage").bounding_box()
    tab.keyboard.down("Shift")
    x, y = box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5
    corner = [(2, 2), (2, box["height"] / 2 - 2), (box["width"] / 2 - 2, box["height"] / 2 - 2), (box["width"] / 2 - 2, 2), (2, 2)]
    tab.mouse.move(x + corner[0][0], y + corner[0][1])
    tab.mouse.down()
    for dx, dy in corner:
        tab.mouse.move(x + dx, y + dy, steps=6)
    tab.mouse.up()
    tab.keyboard.up("Shift")
    expect(tab.locator(".inside .head")).to_contain_text("documents inside")
    inside = int(tab.locator("#scatter[data-ready]").get_attribute("data-inside") or 0)
    table = pq.read_table(themed)
    quarter = (np.asarray(table["map_x"]) > 0) & (np.asarray(table["map_y"]) < 0)
    assert abs(inside - int(quarter.sum())) < 25
    tab.get_by_role("button", name="Keep only these").click()
    expect(tab.locator(".bar")).to_contain_text(f"{inside} of 2.00")
    assert "map_x" in tab.url
    tab.get_by_role("button", name="Undo").click()
    expect(tab.locator(".bar")).to_contain_text("everything is kept")


@pytest.mark.thorough
def test_under_a_large_map_the_table_of_themes_follows_and_the_rest_is_as_under_a_small_one(
    tab: playwright.Page, serve, tmp_path: Path
) -> None:
    n = 110_000
    rng = np.random.default_rng(3)
    places = {name: pa.array(rng.normal(0, 1, n), pa.float32()) for name in ("map_x", "map_y")}
    pq.write_table(pa.table({"text": ["a text"] * n, "cluster": np.arange(n) % 5, **places}), tmp_path / "large.parquet")
    expect, table = playwright.expect, tab.locator("[data-testid=stDataFrame]")
    tab.goto(f"{serve(tmp_path / 'large.parquet')}/map")
    expect(table).to_be_visible(timeout=60_000)
    assert tab.locator("#scatter[data-ready]").get_attribute("data-drawn") == str(n)
    expect(tab.get_by_role("button", name="Save")).to_be_visible()  # the bar and the controls were held back for the points
    expect(tab.get_by_role("combobox", name="Colour by")).to_be_visible()
    box = tab.locator("#scatter .stage").bounding_box()
    x, y = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5
    tab.keyboard.down("Shift")
    tab.mouse.move(x, y)
    tab.mouse.down()
    for dx, dy in ((80, 0), (80, 80), (0, 80), (0, 0)):
        tab.mouse.move(x + dx, y + dy, steps=4)
    tab.mouse.up()
    tab.keyboard.up("Shift")
    tab.get_by_role("button", name="Keep only these").click()
    expect(tab.locator(".bar")).to_contain_text("of 110 k documents".replace(" k", "\u202fk"))
    expect(table).to_be_visible()
    tab.wait_for_selector(IDLE)
    tab.get_by_role("link", name="Filters").click()
    expect(tab.locator("h1.question")).not_to_contain_text("themes")
    tab.get_by_role("link", name="Map").click()
    expect(table).to_be_visible(timeout=60_000)  # another visit of the page waits for its map too


def test_a_click_opens_the_document_and_its_markup_is_text(tab: playwright.Page, serve, themed: Path) -> None:
    tab.goto(f"{serve(themed)}/map")
    tab.wait_for_selector('#scatter[data-ready="1"][data-grid="1"]', timeout=60_000)
    tab.wait_for_selector(IDLE)
    tab.locator("#scatter .stage").focus()
    tab.keyboard.press("Enter")
    playwright.expect(tab.locator(".st-key-map_reader .reader")).to_contain_text("Document", timeout=20_000)
    tab.locator(".st-key-map_listing #list .line").nth(3).click()
    playwright.expect(tab.locator(".st-key-map_listing #list .line.open")).to_have_count(1)
    assert tab.evaluate("window.pwned") is None
