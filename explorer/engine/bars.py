"""A progress bar on a terminal or in a notebook, plain lines when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from explorer.engine.progress import Progress


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows a `Progress` on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if console.is_terminal or (console.is_jupyter and find_spec("ipywidgets")):
        with Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("documents"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
        ) as bar:
            task = bar.add_task(label, total=None, rate="")
            yield lambda p: bar.update(
                task, description=p.doing or f"{label} {p.of}".strip(), total=p.total_rows, completed=p.done_rows, rate=_rate(p.rate)
            )
        return
    yield _Lines(label).show


def _rate(rate: float | None) -> str:
    return "" if not rate else f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


class _Lines:
    """A line at most every five seconds, and at the end."""

    def __init__(self, label: str) -> None:
        self._label, self._last = label, -5.0

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.doing:
            if now - self._last >= 5:
                self._last = now
                print(f"{self._label}: {progress.doing}", file=sys.stderr, flush=True)
            return
        if progress.state == "running" and now - self._last < 5:
            return
        self._last = now
        rate = f", {_rate(progress.rate)}" if progress.rate else ""
        left = f", {progress.remaining:,.0f} s left" if progress.remaining and progress.state == "running" else ""
        print(
            f"{self._label}: {progress.done_rows:,} of {progress.total_rows:,} documents{rate}{left} ({progress.state})",
            file=sys.stderr,
            flush=True,
        )
