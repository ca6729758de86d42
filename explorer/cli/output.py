"""What commands print: JSON or tables on stdout, everything else on stderr, nothing from the data that could steer a terminal."""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click


class No(click.ClickException):
    """The answer is "no": nothing matched, something changed."""


class Stopped(click.ClickException):
    """Stopped from outside before the end; what was finished is kept."""


def plain(value: object) -> str:
    """A value as one line of visible characters: control, bidi and other invisible characters are written as escapes."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
    return "".join(c if unicodedata.category(c)[0] not in "C" and c not in "\u2028\u2029" else _escape(c) for c in str(value))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def note(message: str) -> None:
    """One line for people, on stderr."""
    click.echo(plain(message), err=True)


def print_json(value: Any) -> None:
    """Machine-readable output; undefined numbers are null."""
    click.echo(json.dumps(_jsonable(value), ensure_ascii=False, indent=1, allow_nan=False))


def _jsonable(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(v) for v in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # a lone surrogate cannot be written
    return str(value) if isinstance(value, Path) else value


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table: drawn on a terminal, tab-separated with a header when piped. Names ending in "share" are shown as percentages."""
    shares = [name.endswith("share") for name in columns]
    cells = [[_cell(value, share) for value, share in zip(row, shares, strict=True)] for row in rows]
    if not sys.stdout.isatty():
        for line in ([plain(name) for name in columns], *cells):
            click.echo("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(plain(title)), title_justify="left", header_style="bold")
    numeric = (
        [all(not c or c[0] in "-≈0123456789" for c in column) for column in zip(*cells, strict=True)] if cells else [False] * len(columns)
    )
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(Text(plain(name)), justify="right" if right else "left", overflow="fold")
    for line in cells:
        table.add_row(*map(Text, line))
    Console().print(table)


def _cell(value: object, share: bool) -> str:
    return f"{value:.1%}" if share and isinstance(value, float) and not math.isnan(value) else plain(value)
