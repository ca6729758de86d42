"""The cut panel in a real browser: what it shows while a handle moves is what numpy counts, and nothing is asked of Python."""

import json
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
import pytest
from cuts_data import SIGNALS, START, corpus

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need the package playwright")
CHROMIUM = "/usr/bin/chromium"
ROWS = 20_000
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = Path(__file__).with_name("cuts_app.py")
    flags = [
        "--server.headless=true",
        f"--server.port={port}",
        "--server.address=127.0.0.1",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
    ]
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


class Panel:
    """A page with the panel, the messages it sent, and every request it made."""

    def __init__(self, chromium: "playwright.Browser", url: str, query: str = "", **context: object) -> None:
        self.context = chromium.new_context(**{"viewport": {"width": 1440, "height": 1000}, **context})
        self.page = self.context.new_page()
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.sent = 0
        self.page.on("request", self._request)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", lambda socket: socket.on("framesent", self._frame))
        self.page.goto(f"{url}/?rows={ROWS}{query}")
        self.page.wait_for_selector('#cut-panel[data-ready="1"]', timeout=60_000)
        self.idle()

    def _request(self, request: "playwright.Request") -> None:
        if not re.match(r"(http|ws)://127\.0\.0\.1:\d+/|data:|blob:", request.url):
            self.outside.append(request.url)

    def _frame(self, _: object) -> None:
        self.sent += 1

    def idle(self) -> None:
        self.page.wait_for_selector(IDLE)

    def value(self, name: str) -> str:
        return self.page.locator("#cut-panel").get_attribute(f"data-{name}") or ""

    @property
    def kept(self) -> int:
        return int(float(self.value("kept")))

    def answer(self, name: str = "kept") -> str:
        return self.page.locator("#answer").get_attribute(f"data-{name}") or ""

    def settled(self, kept: int | None = None) -> None:
        """Wait until Python has answered the last message and both sides agree."""
        self.page.wait_for_function(
            "() => { const p = [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('#cut-panel')).find(Boolean); return p && !p.dataset.undecided && (!p.dataset.sent || p.dataset.sent === p.dataset.sequence) && !p.classList.contains('waiting'); }"
        )
        self.idle()
        assert self.kept == int(self.answer())
        if kept is not None:
            assert self.kept == kept

    def handle(self, rule: int, side: str) -> "playwright.Locator":
        return self.page.locator(f'[data-rule="{rule}"] .handle[data-side="{side}"]')

    def number(self, rule: int, side: str) -> "playwright.Locator":
        return self.page.locator(f'[data-rule="{rule}"] input[data-input="{side}"]')

    def centre(self, rule: int, side: str) -> tuple[float, float]:
        box = self.handle(rule, side).bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def close(self) -> None:
        self.context.close()
        assert self.outside == []
        assert self.errors == []


@pytest.fixture
def panel(chromium: "playwright.Browser", server: str) -> Iterator[Panel]:
    panel = Panel(chromium, server)
    yield panel
    panel.close()


def count(**moved: tuple[float | None, float | None]) -> tuple[int, float]:
    """Documents and tokens that plain numpy keeps, with some bounds changed."""
    data = corpus(ROWS)
    kept = np.ones(ROWS, bool)
    for name in SIGNALS:
        minimum, maximum = moved.get(name, START.get(name, (None, None)))
        values = data["signals"][name]
        kept &= ~np.isnan(values)
        if minimum is not None:
            kept &= values >= np.float32(minimum)
        if maximum is not None:
            kept &= values <= np.float32(maximum)
    return int(kept.sum()), float(data["tokens"][kept].sum(dtype="f8"))


def number(text: str) -> float | None:
    return float(text.replace(",", "")) if text else None


def test_first_paint_equals_numpy(panel: Panel) -> None:
    documents, tokens = count()
    assert panel.kept == documents
    assert float(panel.value("tokens")) == tokens
    assert panel.page.locator(".answer b").first.get_attribute("title") == f"{documents:,} documents"


@pytest.mark.parametrize(
    ("rule", "name", "side", "by"),
    [
        (2, "gopher_alpha_word_fraction", "minimum", -60),
        (3, "gopher_dup_5gram_char_fraction", "maximum", 90),
        (0, "gopher_n_words", "maximum", -220),
    ],
)
@pytest.mark.thorough
def test_numbers_move_with_the_handle_without_a_round_trip(panel: Panel, rule: int, name: str, side: str, by: int) -> None:
    before, sent = panel.kept, panel.sent
    x, y = panel.centre(rule, side)
    panel.page.mouse.move(x, y)
    panel.page.mouse.down()
    seen, cost = [], []
    for step in range(1, 13):
        panel.page.mouse.move(x + by * step / 12, y)
        bounds = list(START[name])
        bounds[0 if side == "minimum" else 1] = number(panel.number(rule, side).input_value())
        assert (panel.kept, float(panel.value("tokens"))) == count(**{name: tuple(bounds)})
        seen.append(panel.kept)
        cost.append(float(panel.value("ms")))
    assert panel.sent == sent  # not one frame left the browser
    assert len(set(seen)) > 5
    assert seen[-1] != before
    assert np.median(cost) < 5
    panel.page.mouse.up()
    panel.settled(seen[-1])


@pytest.mark.thorough
def test_escape_takes_a_drag_back(panel: Panel) -> None:
    before, sent = panel.kept, panel.sent
    x, y = panel.centre(2, "minimum")
    panel.page.mouse.move(x, y)
    panel.page.mouse.down()
    panel.page.mouse.move(x - 50, y, steps=4)
    assert panel.kept != before
    panel.page.keyboard.press("Escape")
    panel.page.mouse.up()
    assert (panel.kept, panel.sent) == (before, sent)


@pytest.mark.thorough
def test_arrow_keys_move_a_cut_and_are_sent_once(panel: Panel) -> None:
    handle = panel.handle(2, "minimum")
    handle.focus()
    before = float(handle.get_attribute("aria-valuenow") or "nan")
    sent = panel.sent
    for _ in range(3):
        panel.page.keyboard.press("ArrowRight")
    after = float(handle.get_attribute("aria-valuenow") or "nan")
    assert before == 0.8 < after
    assert handle.get_attribute("role") == "slider"
    assert handle.get_attribute("aria-valuetext") == f"at least {after:g} fraction of words"
    expected = count(gopher_alpha_word_fraction=(after, None))[0]
    assert panel.kept == expected
    panel.settled(expected)
    assert panel.sent == sent + 1
    for _ in range(3):
        panel.page.keyboard.press("ArrowLeft")
    assert panel.kept == count()[0]
    panel.page.keyboard.press("Home")
    assert handle.get_attribute("aria-valuetext") == "no cut"
    panel.settled(count(gopher_alpha_word_fraction=(None, None))[0])


@pytest.mark.thorough
def test_a_typed_value_is_exact(panel: Panel) -> None:
    box = panel.number(2, "minimum")
    box.fill("0.7654321")  # no bin has an edge there
    box.press("Enter")
    expected = count(gopher_alpha_word_fraction=(0.7654321, None))[0]
    panel.page.wait_for_function(f"() => document.querySelector('#answer').dataset.kept === '{expected}'")
    panel.settled(expected)
    assert box.input_value() == "0.7654321"
    box.fill("nonsense")
    box.press("Enter")
    assert box.get_attribute("aria-invalid") == "true"
    box.blur()
    assert box.input_value() == "0.7654321"
    words = panel.number(0, "maximum")
    words.fill("2k")
    words.press("Enter")
    panel.settled(count(gopher_alpha_word_fraction=(0.7654321, None), gopher_n_words=(50, 2000))[0])
    assert words.input_value() == "2000"


@pytest.mark.thorough
def test_a_finger_drags_a_handle(chromium: "playwright.Browser", server: str) -> None:
    panel = Panel(chromium, server, has_touch=True)
    before = panel.kept
    x, y = panel.centre(2, "minimum")
    fire = """([rule, side, type, x, y]) => {
        const root = [...document.querySelectorAll('*')].map(e => e.shadowRoot).find(s => s?.querySelector('#cut-panel'));
        root.querySelector(`[data-rule="${rule}"] .handle[data-side="${side}"]`).dispatchEvent(
            new PointerEvent(type, {pointerId: 7, pointerType: 'touch', isPrimary: true, clientX: x, clientY: y, bubbles: true, composed: true, cancelable: true}));
    }"""
    panel.page.evaluate(fire, [2, "minimum", "pointerdown", x, y])
    panel.page.evaluate(fire, [2, "minimum", "pointermove", x - 70, y])
    moved = number(panel.number(2, "minimum").input_value())
    expected = count(gopher_alpha_word_fraction=(moved, None))[0]
    assert panel.kept == expected != before
    panel.page.evaluate(fire, [2, "minimum", "pointerup", x - 70, y])
    panel.settled(expected)
    panel.close()


@pytest.mark.thorough
def test_a_published_cut_is_one_click_away(panel: Panel) -> None:
    line = panel.page.locator('[data-rule="8"] .published')
    assert line.get_attribute("aria-label") == "Cut at FineWeb-Edu ≥ 3"
    line.hover()
    assert panel.page.get_by_text("FineWeb-Edu ≥ 3 · Penedo et al. 2024").is_visible()
    line.click()
    assert panel.number(8, "minimum").input_value() == "3"
    panel.settled(count(edu_score=(3.0, None))[0])


@pytest.mark.thorough
def test_a_rule_switched_off_removed_and_focused(panel: Panel) -> None:
    panel.page.locator('[data-rule="2"] .near').click()
    panel.page.wait_for_function("() => document.querySelector('#answer').dataset.focus === 'gopher_alpha_word_fraction'")
    panel.page.locator('[data-rule="2"] input[type="checkbox"]').uncheck()
    without = count(gopher_alpha_word_fraction=(None, None))[0]
    assert panel.kept == without  # at once, before Python has answered
    panel.settled(without)
    panel.page.locator('[data-rule="2"] .remove').click()
    panel.page.wait_for_function("() => document.querySelector('#answer').dataset.rules === '11'")
    panel.settled(without)
    assert panel.page.locator(".rule").count() == 11


@pytest.mark.thorough
def test_groups_can_be_switched(panel: Panel) -> None:
    kept = panel.kept
    assert panel.page.locator(".group").count() == 10
    panel.page.locator('.segments button[data-value="language"]').click()
    panel.page.wait_for_function("() => document.querySelector('#answer').dataset.by === 'language'")
    panel.settled(kept)
    assert panel.page.locator(".group .name").all_inner_texts() == ["en", "de", "fr", "zh", "es", "other"]


def test_what_is_shown_stays_right_until_python_has_answered(chromium: "playwright.Browser", server: str) -> None:
    """A second rule moved while the first is being counted: no wrong number in between, and neither move is lost."""
    panel = Panel(chromium, server, "&delay=1.5")
    for rule, side, by in ((2, "minimum", -40), (8, "minimum", 50)):
        x, y = panel.centre(rule, side)
        panel.page.mouse.move(x, y)
        panel.page.mouse.down()
        panel.page.mouse.move(x + by, y, steps=3)
        panel.page.mouse.up()
        if rule == 2:
            first = panel.kept
            alpha = number(panel.number(2, "minimum").input_value())
            assert first == count(gopher_alpha_word_fraction=(alpha, None))[0]
    assert panel.kept == first  # the last number that is right stays, marked
    assert panel.page.locator("#cut-panel.waiting").count() == 1
    edu = number(panel.number(8, "minimum").input_value())
    panel.settled(count(gopher_alpha_word_fraction=(alpha, None), edu_score=(edu, None))[0])
    assert number(panel.number(2, "minimum").input_value()) == alpha
    panel.close()


@pytest.mark.thorough
def test_only_this_and_alone_equal_numpy(panel: Panel) -> None:
    data, name = corpus(ROWS), "gopher_alpha_word_fraction"
    fails = data["signals"][name] < np.float32(0.8)
    only = count(**{name: (None, None)})[0] - count()[0]
    title = panel.page.locator('[data-rule="2"] .only').get_attribute("title") or ""
    assert f": {only:,} documents, " in title
    assert f": {int(fails.sum()):,} documents, " in (panel.page.locator('[data-rule="2"] .alone').get_attribute("title") or "")
    assert panel.page.locator('[data-rule="2"] .alone span').inner_text() == f"−{100 * fails.mean():.1f} %"


@pytest.mark.thorough
def test_dark_theme_and_narrow_window(chromium: "playwright.Browser", server: str) -> None:
    panel = Panel(chromium, server, color_scheme="dark", viewport={"width": 1000, "height": 900})
    assert panel.value("theme") == "dark"
    row = panel.page.locator('[data-rule="0"]')
    plot, what = row.locator(".plot").bounding_box(), row.locator(".what").bounding_box()
    assert plot
    assert what
    assert plot["y"] >= what["y"] + what["height"]  # the histogram has a line of its own
    assert panel.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    panel.close()


@pytest.mark.parametrize("rules", [0, 1])
@pytest.mark.thorough
def test_no_rule_and_one_rule(chromium: "playwright.Browser", server: str, rules: int) -> None:
    panel = Panel(chromium, server, f"&rules={rules}")
    assert panel.page.locator(".rule").count() == rules
    assert panel.page.get_by_text("No rule yet: everything is kept").is_visible() == (rules == 0)
    assert panel.kept == int(panel.answer())
    panel.close()


@pytest.mark.thorough
def test_odd_columns_draw_and_cut(chromium: "playwright.Browser", server: str) -> None:
    panel = Panel(chromium, server, "&odd=1")
    assert panel.kept == ROWS
    assert panel.page.locator('[data-rule="0"] .nulls').inner_text() == f"{ROWS / 1000:.1f} k undefined: kept"
    for rule, side, value, kept in (
        (1, "minimum", "3.5", ROWS),
        (1, "minimum", "3.6", 0),
        (1, "minimum", "", ROWS),
        (2, "minimum", "0", ROWS // 2),
        (3, "maximum", "1e30", ROWS // 2),
        (3, "minimum", "1e30", 0),
    ):
        box = panel.number(rule, side)
        box.fill(value)
        box.press("Enter")
        panel.page.wait_for_function(f"() => document.querySelector('#answer').dataset.kept === '{kept}'")
        panel.settled(kept)
    panel.close()


@pytest.mark.thorough
def test_hostile_names_stay_text(chromium: "playwright.Browser", server: str) -> None:
    panel = Panel(chromium, server, "&hostile=1")
    for place in ('[data-rule="0"] .name', '[data-rule="0"] .unit', ".group .name"):
        assert panel.page.locator(place).first.inner_text() == "<img src=x onerror=alert(1)>"
    assert panel.page.locator("#cut-panel img").count() == 0
    panel.close()


@pytest.mark.thorough
def test_browser_messages_are_not_trusted() -> None:
    from explorer.ui.cuts import Groups, Rule, decode

    rules = [Rule("a", np.zeros(0, "f4"), minimum=1.0), Rule("b", np.zeros(0, "f4"))]
    groups = Groups(["x"])
    message = {
        "sequence": 5,
        "kind": "cuts",
        "rule": 0,
        "group": None,
        "signals": ["a", "b"],
        "cuts": [[2, None], [None, float("inf")]],
        "enabled": [True, False],
    }
    event = decode(message, rules, groups)
    assert event
    assert (event.kind, event.rule, dict(event.cuts), dict(event.enabled), event.sequence) == ("cuts", 0, {0: (2.0, None)}, {1: False}, 5)
    for broken in (
        {"signals": ["a"]},
        {"kind": "drop table"},
        {"rule": 2},
        {"rule": "0"},
        {"kind": "group", "group": "password"},
        {"cuts": [[1]]},
        {"enabled": [True]},
        {"cuts": [["1", None], [None, None]], "sequence": "x"},
    ):
        assert decode(json.loads(json.dumps({**message, "cuts": [[2, None], [None, None]], **broken})), rules, groups) is None
    assert decode(None, rules, groups) is None


@pytest.mark.thorough
def test_curves_of_other_cuts_are_refused() -> None:
    from explorer.errors import SelectionError
    from explorer.selection.curves import choose_edges, leave_one_out, quantise
    from explorer.ui.cuts import Groups, Rule, Totals, encode

    values = np.linspace(0, 1, 1_000, dtype="f4")
    edges = choose_edges(values, [0.25, 0.5])
    rule = Rule("score", edges, minimum=0.5)
    low, high, null_passes = rule.codes()
    curves = leave_one_out(
        [quantise(values, edges)], [low], [high], np.zeros(1_000, "u1"), np.ones(1_000, "f4"), 1, null_passes=[null_passes]
    )
    groups, totals = Groups(["all"]), Totals(1_000, 1_000.0)
    assert len(encode(curves, [rule], groups, totals)) > 256 * 8 * 4
    with pytest.raises(SelectionError, match="curve of 'score' was made for another cut"):
        encode(curves, [Rule("score", edges, minimum=0.25)], groups, totals)
    with pytest.raises(SelectionError, match="1 rules and 2 groups do not match"):
        encode(curves, [rule], Groups(["a", "b"]), totals)


@pytest.mark.thorough
def test_the_app_runs_without_a_browser() -> None:
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(Path(__file__).with_name("cuts_app.py")), default_timeout=60)
    app.query_params["rows"] = "2000"
    app.run()
    assert not app.exception
