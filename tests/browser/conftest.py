"""The app in a real browser: one server and one browser a session, and no request that leaves this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
ROOT = Path(__file__).parents[2]


# What somebody in front of the page would have seen: its state, where the keyboard is, its text.
SEEN = """() => [
    "script: " + document.querySelector("[data-testid=stApp]")?.dataset.testScriptState,
    "keyboard: " + document.activeElement?.outerHTML.slice(0, 200),
    document.body.innerText].join("\\n")"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report the page as it stood when a test failed."""
    report = yield
    if report.when == "call" and report.failed and (page := item.funcargs.get("tab")):  # type: ignore[attr-defined]
        report.sections.append(("page", f"{page.url}\n{page.evaluate(SEEN)}"))
    return report


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A browser, or a reason why there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need the package playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: install chromium to run the browser tests")
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start the app on a free port with arguments after ``--``; its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        workspace = tmp_path_factory.mktemp("workspace")
        line = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), f"--server.port={port}", "--server.headless=true"]
        line += [
            "--server.address=127.0.0.1",
            "--browser.gatherUsageStats=false",
            "--",
            *map(str, arguments),
            "--workspace",
            str(workspace),
        ]
        with open(workspace / "server.log", "wb") as log:
            running.append(subprocess.Popen(line, cwd=workspace, stdout=log, stderr=log))
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
                    if answer.read() == b"ok":
                        return f"http://127.0.0.1:{port}"
            except OSError:
                time.sleep(0.25)
        pytest.fail(f"the app did not start: {(workspace / 'server.log').read_text(errors='replace')[-2000:]}")

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def app_address(serve: Callable[..., str]) -> str:
    """The app on the sample corpus."""
    return serve()


@pytest.fixture
def tab(chromium: object) -> Iterator[object]:
    """A fresh browser tab of 1,440 × 900; the test fails when the page asked anything of another host or raised an error."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})  # type: ignore[attr-defined]
    page = context.new_page()
    page.set_default_timeout(30_000)
    outside: list[str] = []
    raised: list[str] = []
    page.on("request", lambda r: outside.append(r.url) if urlsplit(r.url).hostname not in ("127.0.0.1", None) else None)
    page.on("pageerror", lambda error: raised.append(str(error)))
    yield page
    context.close()
    assert outside == [], "the page asked something of another host"
    assert raised == [], "the page raised an error"
