"""The server: what it has done before it answers, and Streamlit's own files from memory."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.server.app_discovery import discover_asgi_app

from explorer.ui.server import FromMemory, prepared, send_at_once

APP = Path(__file__).parents[2] / "app.py"


def alone(work: Coroutine[Any, Any, Any]) -> None:
    """Run it in a thread: a browser of other tests may have left an event loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def test_streamlit_finds_the_server_in_the_script():
    assert discover_asgi_app(APP).import_string == "app:app"


def test_before_the_first_answer_the_pages_are_ours_and_their_modules_loaded(monkeypatch):
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)

    async def life() -> None:
        async with prepared(SimpleNamespace(script_path=APP)):
            assert PagesManager.uses_pages_directory is False
            assert {"pandas", "explorer.ui.map", "explorer.ui.overview"} <= sys.modules.keys()
            assert gc.get_freeze_count() > 10_000
        assert gc.get_freeze_count() == 0

    alone(life())


def test_connections_send_without_waiting():
    with socket.socket() as listening, socket.socket() as plain:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        send_at_once()
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_library_alone_needs_no_server():
    code = "import explorer.corpus.corpus, sys; assert not {'streamlit', 'starlette'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("path", "method", "ours"),
    [
        ("/static/js/{script}", "GET", True),
        ("/static/js/{script}", "POST", False),
        ("/static/../index.html", "GET", False),
        ("/static/js/none.js", "GET", False),
        ("/map", "GET", False),
    ],
)
def test_files_that_are_streamlits_come_from_memory_and_nothing_else(path, method, ours):
    passed = []

    async def streamlit(scope, receive, send) -> None:
        passed.append(scope["path"])

    files = FromMemory(streamlit)
    name = next(name for name in files.files if name.endswith(".js"))
    sent = []

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path.format(script=name.rsplit("/", 1)[1])}
    for _ in range(2):
        alone(files(scope, None, send))
    assert bool(passed) != ours
    if ours:
        headers = dict(sent[0]["headers"])
        assert headers[b"content-type"].startswith(b"text/javascript")
        assert b"immutable" in headers[b"cache-control"]
        assert sent[1]["body"] == sent[3]["body"] == files.files[name].read_bytes()
