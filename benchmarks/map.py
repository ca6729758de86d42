"""The Map page in a real browser at a million documents and at five: until it can be used, moved, drawn around, and selected from.

Run: python benchmarks/map.py [DOCUMENTS…]

A headless Chromium without a GPU opens the page of a server that was started for it: first on a corpus that nobody has looked at, then
in a second browser with nothing cached. Each is a window that was there before: drawing its frame and address bar takes this machine a
second of both processors, which is not the page's. Synthetic themes with short texts; drawing, columns and SQL are real.
"""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
READY = '#scatter[data-ready="1"]'
BUDGET, LASSO_BUDGET = 4.0, 2.0  # seconds at a million points, until all are drawn and one answers the pointer
THEMES = 400
SETTLE = 3000  # milliseconds that a new window is left alone

# Bytes that came over the socket, counted in the page: a listener outside of it would be sent them all a second time.
COUNT = """window.received_ = 0; const Plain = WebSocket;
  window.WebSocket = class extends Plain { constructor(...given) { super(...given);
    this.addEventListener("message", ({ data }) => { window.received_ += data.size ?? data.byteLength ?? data.length; }); } };"""
# Milliseconds from the address until every point was drawn, a document answered the pointer, and its text was there: asked for in the page, since a
# question from outside waits for whatever the page is doing.
WATCH = """window.at_ = {}; setInterval(() => { const map = [...(globalThis.__corpusExplorerScatter?.values() ?? [])][0], root = map?.scatter?.root;
  const note = (name, when) => { if (when) window.at_[name] ??= performance.now(); };
  note("open", root?.dataset.ready === "1"); note("pointed", root?.dataset.hover); note("text", map?.cards.size); }, 10);"""
FRAMES = """() => { window.frames_ = []; let last = performance.now(), until = last + 1500;
  const tick = (now) => { window.frames_.push(now - last); last = now; if (now < until) requestAnimationFrame(tick); }; requestAnimationFrame(tick); }"""


def write_corpus(path: Path, n: int) -> None:
    """Documents of one line each, with a place and a theme."""
    rng = np.random.default_rng(0)
    theme = rng.integers(0, THEMES, n)
    centres, spread = rng.normal(0, 8, (THEMES, 2)), rng.uniform(0.1, 0.8, THEMES)
    xy = (centres[theme] + rng.standard_t(6, (n, 2)) * spread[theme, None]).astype("f4")
    words = np.array([f"theme {t} of many, one line of text that stands for a document" for t in range(THEMES)], object)
    schema = pa.schema(
        [("text", pa.string()), ("source", pa.string()), ("map_x", pa.float32()), ("map_y", pa.float32()), ("cluster", pa.int32())]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for at in range(0, n, 100_000):
            part = slice(at, min(n, at + 100_000))
            sources = np.array(["web", "books", "code", "news"], object)[theme[part] % 4]
            file.write_table(pa.table([words[theme[part]], sources, xy[part, 0], xy[part, 1], theme[part].astype("i4")], schema=schema))


@contextmanager
def server(corpus: Path, folder: Path) -> Iterator[str]:
    """The app on a free port; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), f"--server.port={port}", "--server.headless=true"]
    line += ["--server.address=127.0.0.1", "--browser.gatherUsageStats=false", "--", str(corpus), "--workspace", str(folder / "workspace")]
    process = subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def processor_seconds() -> float:
    """What this process' descendants (the server, the browser) have used of the processors so far."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def look(browser, address: str) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """One visit: seconds, megabytes and frames."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(180_000)
    page.add_init_script(COUNT + WATCH)
    page.wait_for_timeout(SETTLE)
    found: dict[str, float] = {}
    used = processor_seconds()
    page.goto(f"{address}/map")
    stage = page.locator("#scatter .stage")
    stage.wait_for()
    box = stage.bounding_box()
    x, y = box["x"] + 0.4 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(x, y)  # and it rests there while the map comes
    page.wait_for_selector(READY)
    found["open cpu"] = processor_seconds() - used
    found["MB"] = page.evaluate("window.received_") / 1e6
    found["points"] = float(page.locator(READY).get_attribute("data-points"))
    page.locator("#scatter .card").wait_for()
    page.wait_for_selector(f'{READY}[data-grid="1"]')
    found |= {name: value / 1e3 for name, value in page.evaluate("window.at_").items()}
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(FRAMES)
    for k in range(60):
        page.mouse.move(x + 60 * math.sin(k / 6), y + 40 * math.cos(k / 6))
    page.mouse.up()
    found["frame"] = float(np.median(page.evaluate("window.frames_.slice(1)"))) / 1e3
    page.wait_for_selector(f'{READY}[data-settled="1"]')
    page.wait_for_timeout(2500)  # the list of what is in view has followed
    page.keyboard.down("Shift")
    page.mouse.move(x + 90, y)
    page.mouse.down()
    for k in range(1, 41):
        page.mouse.move(x + 90 * math.cos(k * math.pi / 20), y + 90 * math.sin(k * math.pi / 20))
    before = page.evaluate("window.received_")
    started, used = time.perf_counter(), processor_seconds()
    page.mouse.up()
    page.keyboard.up("Shift")
    page.get_by_text("documents inside").wait_for()
    found["lasso"], found["lasso cpu"] = time.perf_counter() - started, processor_seconds() - used
    started = time.perf_counter()
    page.get_by_role("button", name="Keep only these").click()
    page.locator(".bar b.n").wait_for()
    found["keep"] = time.perf_counter() - started
    page.wait_for_timeout(1500)
    found["MB after"] = (page.evaluate("window.received_") - before) / 1e6
    context.close()
    return found


def main(sizes: list[int]) -> None:
    from playwright.sync_api import sync_playwright

    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        "Seconds. `open`: from the address to every point drawn; `pointer answers`, `its text`: until the document under the pointer is marked, and until its "
        "first lines are there; `frame`: median between two frames while the map is dragged; CPU: what server and "
        f"browser together used meanwhile, which a busy machine does not change. {os.cpu_count()} cores, load average before the run {load}.\n"
    )
    columns = [
        "documents",
        "browser",
        "points drawn",
        "open",
        "CPU",
        "pointer answers",
        "its text",
        "frame",
        "lasso to figures",
        "CPU",
        "keep to selection",
        "MB sent",
        "MB after",
    ]
    print(f"| {' | '.join(columns)} |\n|{'---:|' * len(columns)}")
    failed = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for n in sizes:
            path = Path(folder) / f"{n}.parquet"
            write_corpus(path, n)
            with server(path, Path(folder)) as address:
                for who in ("first", "second"):
                    f = look(browser, address)
                    print(
                        f"| {n:,} | {who} | {f['points']:,.0f} | {f['open']:.2f} | {f['open cpu']:.2f} | {f['pointed']:.2f} | {f['text']:.2f} | {f['frame']:.3f} | {f['lasso']:.2f} | {f['lasso cpu']:.2f} | {f['keep']:.2f} | {f['MB']:.1f} | {f['MB after']:.2f} |",
                        flush=True,
                    )
                    if n <= 1_000_000 and (max(f["open"], f["pointed"]) > BUDGET or f["lasso"] > LASSO_BUDGET):
                        failed.append(
                            f"{n:,} documents, {who} browser: drawn at {f['open']:.2f} s, pointer answers at {f['pointed']:.2f} s (budget {BUDGET}), lasso {f['lasso']:.2f} s (budget {LASSO_BUDGET})"
                        )
            path.unlink()
        browser.close()
    if failed:
        print("\n".join(failed), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main([int(float(a)) for a in sys.argv[1:]] or [1_000_000, 5_000_000])
