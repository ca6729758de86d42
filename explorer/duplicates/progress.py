"""How a long run says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Step = Callable[[int, int, str], None]  # (done, total, what is being done); what it raises ends the run


def silent(done: int, total: int, doing: str) -> None:
    """Say nothing."""
