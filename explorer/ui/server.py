"""The server around the pages: what it does once before it answers, and how it hands out Streamlit's own files."""

from __future__ import annotations

import gc
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from mimetypes import guess_type
from pathlib import Path
from pkgutil import iter_modules

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
async def prepared(app: object) -> AsyncIterator[None]:
    """Do before the first answer what the first page would wait for."""
    own_the_pages()
    for module in ("pandas", *(f"explorer.ui.{found.name}" for found in iter_modules([str(Path(__file__).parent)]))):
        with suppress(Exception):  # a page that cannot be loaded says so when it is opened
            import_module(module)
    list(recipes)  # every page's address is compared with them
    Image.preinit()  # Streamlit reads the icon of the browser's tab with it
    inspect.stack()  # Streamlit asks for it at its first element, and the first answer looks at the source of every module
    gc.freeze()  # Streamlit collects garbage after every run: not among all that the modules hold, which takes a third of a second
    yield
    gc.unfreeze()


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
