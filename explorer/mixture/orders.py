"""Orders of documents inside a source and stage: parsed from their names, and made from a column, a random order, or a sampler's.

A curriculum sorts by a score. Sorted once, what is alike in another way (a source, a length) can gather at one end; *folded* orders
(k ascending passes over every k-th document) and *buckets* (ascending in steps, shuffled inside) keep the trend and break that up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from explorer.errors import ManifestError

ORDERS = "natural, shuffled, sampled, 'ascending NAME', 'descending NAME', 'folded NAME K', 'buckets NAME K'"
PLAIN, SORTED, DIVIDED = ("natural", "shuffled", "sampled"), ("ascending", "descending"), ("folded", "buckets")


@dataclass(frozen=True)
class Order:
    """A parsed order: ``how``, the ``column`` it sorts by ("" for none), and into how many ``parts``."""

    how: str
    column: str = ""
    parts: int = 1


def parse_order(said: str, name: str) -> Order:
    """An order from its name.

    Args:
        said: such as ``natural`` or ``folded quality 4``; a column's name may hold spaces.
        name: of the source, for messages.

    Raises:
        ManifestError: no order is called so.

    """
    how, _, rest = said.partition(" ")
    if said in PLAIN:
        return Order(said)
    if how in SORTED and rest:
        return Order(how, rest)
    column, _, parts = rest.rpartition(" ")
    if how in DIVIDED and column and parts.isascii() and parts.isdigit() and int(parts) >= 2:
        return Order(how, column, int(parts))
    raise ManifestError(f"Source {name!r} has the order {said!r}. Orders: {ORDERS}, with K 2 or more. Choose one.")


def arrange(order: Order, values: np.ndarray, shuffled: Callable[[], np.ndarray]) -> np.ndarray:
    """Positions in an order that sorts by a column; undefined values come last, ties as in the files.

    Args:
        order: ascending, descending, folded or buckets.
        values: float64 [n], NaN where undefined.
        shuffled: gives int64 [n], the positions in a seeded random order; called for buckets alone.

    Returns:
        int64 [n], a permutation.

    """
    ranked = np.argsort(-values if order.how == "descending" else values, kind="stable")
    defined = len(values) - int(np.isnan(values).sum())
    if order.how == "folded":
        return np.concatenate([*(ranked[start : defined : order.parts] for start in range(order.parts)), ranked[defined:]])
    if order.how == "buckets":
        bucket, random = np.empty(len(values), np.int64), np.empty(len(values), np.int64)
        bucket[ranked[:defined]] = np.arange(defined) * order.parts // max(1, defined)
        bucket[ranked[defined:]] = order.parts
        random[shuffled()] = np.arange(len(values))
        return np.lexsort((random, bucket))
    return ranked
