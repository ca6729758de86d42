"""Take the pictures of docs/images again, on the sample corpus in a temporary folder: ``python docs/screenshots.py [PAGE…]``.

Needs Debian's chromium and the packages playwright and pillow. Look at the pictures before committing them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import explorer as ex
from explorer.sample import write_sample

IMAGES = Path(__file__).resolve().parent / "images"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu"]
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
LARGE = 200_000  # bytes; larger pictures get a palette
MOVED = "gopher_alpha_word_frac"
RECIPE = "?f=recipe=fineweb"
FILTERED = f"{RECIPE};{MOVED}:0.75..,reason=gopher_below_alpha_threshold"


def overview(page: Any, address: str) -> None:
    """The first page as it opens."""
    visit(page, f"{address}/{FILTERED}")


def documents(page: Any, address: str) -> None:
    """A search, and the second document found."""
    visit(page, f"{address}/documents{FILTERED}")
    page.get_by_label("Search the texts").fill("liberty")
    page.keyboard.press("Enter")
    page.wait_for_selector(".reader mark.hit")
    settle(page)
    page.locator("h1.question").click()
    page.keyboard.press("j")


def filters(page: Any, address: str) -> None:
    """FineWeb's rules, one cut dragged a little to the left."""
    visit(page, f"{address}/filters{RECIPE}")
    handle = page.locator(".rule", has_text=MOVED).locator('.handle[data-side="minimum"]')
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 23.5, y, steps=8)
    page.mouse.up()


def visit(page: Any, address: str) -> None:
    """Open a page and wait until it has drawn itself."""
    page.goto(address)
    page.wait_for_selector(".bar b.n")
    settle(page)


def settle(page: Any) -> None:
    """Wait until nothing runs any more; charts draw after that."""
    sleep(2)
    page.wait_for_selector(IDLE)
    sleep(1)


def save(page: Any, name: str) -> None:
    """Write the picture, without focus ring or pointer, as small as it can be."""
    page.mouse.move(5, 890)
    page.evaluate("document.activeElement && document.activeElement.blur()")
    settle(page)
    target = IMAGES / f"{name}.png"
    page.screenshot(path=str(target))
    picture = Image.open(target).convert("RGB")
    picture.save(target, optimize=True)
    if target.stat().st_size > LARGE:
        picture.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The app on the sample in a folder, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-m", "explorer", "app", "sample/corpus", "--port", str(port)]
    server = subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(240):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
            return server, f"http://127.0.0.1:{port}"
        sleep(0.25)
    server.terminate()
    raise RuntimeError("The app did not start within a minute.")


SHOTS = {shot.__name__: shot for shot in (overview, documents, filters)}


def main(names: list[str]) -> None:
    """Take the pictures named, or all."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as tool:
        trial = Path(folder) / "trial"
        trial.mkdir()
        os.chdir(trial)
        write_sample("sample")
        ex.open_corpus("sample/corpus").score(["heuristics", "language"])
        server, address = serve(trial)
        try:
            browser = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for name in names or list(SHOTS):
                page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
                page.set_default_timeout(60_000)
                SHOTS[name](page, address)
                save(page, name)
                page.close()
            browser.close()
        finally:
            server.terminate()
            server.wait(10)


if __name__ == "__main__":
    main(sys.argv[1:])
