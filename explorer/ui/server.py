"""The server around the pages: what it does once before it answers, and how it hands out Streamlit's own files."""

from __future__ import annotations

import gc
import inspect
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from mimetypes import guess_type
from pathlib import Path
from pkgutil import iter_modules
from threading import Thread

import streamlit as st
from PIL import Image
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from explorer.selection.recipes import recipes
from explorer.ui.navigation import own_the_pages

FOLDER = Path(st.__file__).parent / "static"
FOREVER = "public, immutable, max-age=31536000"  # as Streamlit says of files that are named by what is in them


@asynccontextmanager
async def prepared(app: st.App) -> AsyncIterator[None]:
    """Do before the first answer what the first page would wait for."""
    own_the_pages()
    send_at_once()
    for module in ("pandas", *(f"explorer.ui.{found.name}" for found in iter_modules([str(Path(__file__).parent)]))):
        with suppress(Exception):  # a page that cannot be loaded says so when it is opened
            import_module(module)
    list(recipes)  # every page's address is compared with them
    Image.preinit()  # Streamlit reads the icon of the browser's tab with it
    inspect.stack()  # Streamlit asks for it at its first element, and the first answer looks at the source of every module
    gc.freeze()  # Streamlit collects garbage after every run: not among all that the modules hold, which takes a third of a second
    Thread(target=look_ahead, args=(app.script_path,), daemon=True, name="look-ahead").start()
    yield
    gc.unfreeze()


def look_ahead(app: Path) -> None:
    """Place the points of a map that is there already, while the browser is still on its way."""
    from explorer.ui import map as themes_map
    from explorer.ui import state

    spinner = logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context")
    with suppress(Exception):  # what cannot be opened is said on the page
        spinner.disabled = True  # that there is no page for it to turn on
        try:
            corpus = state.open_ahead(app)
        finally:
            spinner.disabled = False
        if corpus is not None and len(corpus):
            themes_map.prepare(corpus)


def send_at_once() -> None:
    """Have every answer leave as soon as it is written.

    asyncio sees to that only for sockets opened with the protocol's number, which Streamlit's is not: whatever came in two pieces (the
    head and the body of each file, one message after another) waited some 40 ms for the browser's receipt of the first. A connection takes
    the setting over from the socket that listens, which is bound before the server is prepared.
    """
    for held in gc.get_objects():
        if type(held) is socket.socket and held.fileno() >= 0 and held.family in (socket.AF_INET, socket.AF_INET6):
            with suppress(OSError):
                if held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class FromMemory:
    """Streamlit's scripts, styles and fonts, read once: a new browser asks for a hundred, and each took several threads to read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.files = {f"/{path.relative_to(FOLDER).as_posix()}": path for path in (FOLDER / "static").rglob("*") if path.is_file()}
        self.answers: dict[str, Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for a file that is known, else leave it to Streamlit."""
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] != "GET" or path not in self.files:
            await self.app(scope, receive, send)
            return
        if path not in self.answers:
            kind = guess_type(path)[0]
            self.answers[path] = Response(self.files[path].read_bytes(), media_type=kind, headers={"Cache-Control": FOREVER})
        await self.answers[path](scope, receive, send)


middleware = [Middleware(FromMemory)]
