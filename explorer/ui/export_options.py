"""An exporter's options as fields, and what its files would keep of a manifest before they are written."""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st
import yaml

from explorer.errors import ExplorerError, ExportError
from explorer.exporters.base import Exporter, Loss, export
from explorer.manifest.model import Manifest
from explorer.ui.background import later, watch
from explorer.ui.errors import plain
from explorer.ui.format import counted, size

SIGNS = {"exact": "●", "approximated": "◐", "dropped": "○"}
MOST_DOCUMENTS = 50_000  # of all sources, and bytes of their files, up to which an export is tried unasked
MOST_BYTES = 64 << 20


def options_form(exporter: Exporter) -> list[str]:
    """A field an option, from the exporter's signature.

    Returns:
        ``KEY=VALUE`` for each that differs from its default, as ``explorer export -o`` reads them.

    """
    if not exporter.options:
        return []
    said = about_options(exporter)
    kinds = {p.name: str(p.annotation) for p in inspect.signature(exporter.write).parameters.values()}
    given = []
    columns = st.columns(4, gap="small")
    for place, (name, default) in enumerate(exporter.options.items()):
        key, label, help_ = f"export_option_{exporter.name}_{name}", name.replace("_", " "), said.get(name)
        with columns[place % 4]:
            if kinds.get(name) == "bool":
                chosen = st.selectbox(
                    label, [True, False], index=0 if default else 1, format_func=lambda v: "yes" if v else "no", key=key, help=help_
                )
                given += [] if chosen == default else [f"{name}={'true' if chosen else 'false'}"]
                continue
            shown = "" if default is None else str(default)
            typed = st.text_input(label, value=shown, key=key, help=help_, placeholder=_placeholder(kinds.get(name, ""))).strip()
        given += [] if typed == shown else [f"{name}={typed or ('null' if default is None else repr(''))}"]
    return given


def _placeholder(kind: str) -> str:
    return (
        "{source: prefix}" if "Mapping" in kind else "a number" if kind.startswith("int") else "a folder or name" if "None" in kind else ""
    )


def about_options(exporter: Exporter) -> dict[str, str]:
    """What the exporter's docstring says of each option."""
    text = inspect.getdoc(exporter.write) or ""
    arguments = re.search(r"^Args:\n((?:(?: {4,}.*)?\n?)+)", text, re.MULTILINE)
    found: dict[str, str] = {}
    name = ""
    for line in arguments[1].splitlines() if arguments else ():
        start = re.match(r" {4}(\w+): (.*)", line)
        if start:
            name, found[start[1]] = start[1], start[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return {n: s[:1].upper() + s[1:] for n, s in found.items() if n in exporter.options}


def loss_table(loss: Iterable[Mapping[str, Any]]) -> str:
    """What became of each thing the manifest says, in HTML; the worst first."""
    order = ["dropped", "approximated", "exact"]
    rows = "".join(
        f'<tr><td>{SIGNS.get(i["how"], "")} {escape(i["how"])}</td><td>{escape(i["field"])}</td><td class="quiet">{escape(i["reason"])}</td></tr>'
        for i in sorted(loss, key=lambda i: order.index(i["how"]) if i["how"] in order else 0)
    )
    return f'<table class="loss">{rows}</table>'


def preview_loss(manifest: Manifest, to: str, given: Sequence[str]) -> None:
    """Say what the files would keep, by writing them to a folder that is thrown away; only where that takes a moment."""
    files = {f.path: f.bytes for source in manifest.sources for f in source.files}
    documents, total = sum(s.documents for s in manifest.sources), sum(files.values())
    if max(documents, manifest.totals.documents) > MOST_DOCUMENTS or total > MOST_BYTES:
        st.caption(
            f"What the files keep of the manifest, exactly or nearly, is said when they are written: with {counted(documents, 'document')} in {size(total)} trying it takes as long."
        )
        return
    future = later(("export trial", str(manifest.folder), manifest.hash, to, tuple(given)), lambda: tried(manifest, to, given), 3.0)
    if not future.done():
        watch(future, caption=f"trying {plain(to)}: what would its files keep? …")
        return
    try:
        loss = future.result()
    except ExplorerError as error:
        st.warning(f"With these options the files cannot be written. {plain(str(error))}", icon=":material/info:")
        return
    if any(item.reason.startswith("recipe only") for item in loss):
        st.warning(
            "No tokenizer is named, so no token files would be written: a recipe only. Name one in the options (a folder, a tokenizer.json or a hub id), or put files of these documents where the recipe expects them.",
            icon=":material/info:",
        )
    st.html(f'<h3 class="side">What the files would keep of the manifest</h3>{loss_table([dict(i.__dict__) for i in loss])}')


def tried(manifest: Manifest, to: str, given: Sequence[str]) -> tuple[Loss, ...]:
    """The losses of an export to a folder that is then removed.

    Raises:
        ExportError: it cannot be written with these options.

    """
    options = {}
    for item in given:
        name, _, value = item.partition("=")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ExportError(
                f"{name} is {value!r}, which cannot be read. Write it as in YAML, such as 2048 or gpt2. Correct it."
            ) from error
    with tempfile.TemporaryDirectory(prefix="explorer-trial-") as scratch:
        return export(manifest, to=to, out=Path(scratch) / "out", **options).loss.items
