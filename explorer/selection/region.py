"""A region drawn on the map as a condition on two columns: the same answer from SQL, which a selection saves, and from numpy.

    region = lasso(points, view=12.0)
    corpus.select(region.sql())            # a selection like any other: shared, saved, exported
    region.contains(x, y)                  # the same documents, at once

A point lies inside a polygon when a ray from it to the right crosses the polygon's edges an odd number of times; where a lasso
crosses itself, what it encloses twice is outside. Both forms do the same float64 operations in the same order on the same decimal
numbers, so they agree on every document. A document without a position is outside.

Source: Douglas and Peucker 1973, "Algorithms for the reduction of the number of points required to represent a digitized line".
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from explorer.corpus.database import quote
from explorer.errors import SelectionError

MOST_VERTICES = 48
DEVIATION = 0.0015  # of the view's size: how far a simplified lasso may lie from the drawn one
GRID = 1e-4  # of the view's size: vertices are written with as many decimals as tell this apart


@dataclass(frozen=True)
class Box:
    """A rectangle, its sides included.

    Attributes:
        left, right, bottom, top: in the units of the map.
        x, y: the columns that hold the positions.
    """

    left: float
    right: float
    bottom: float
    top: float
    x: str = "map_x"
    y: str = "map_y"

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Bool [n]: which positions (float [n], NaN for none) lie inside."""
        return _between(x, self.left, self.right) & _between(y, self.bottom, self.top)

    def sql(self) -> str:
        """The same as an SQL predicate; null where a document has no position."""
        x, y = quote_short(self.x), quote_short(self.y)
        return f"{x} BETWEEN {_double(self.left)} AND {_double(self.right)} AND {y} BETWEEN {_double(self.bottom)} AND {_double(self.top)}"

    def outline(self) -> tuple[tuple[float, float], ...]:
        """Its corners, in order."""
        return ((self.left, self.bottom), (self.right, self.bottom), (self.right, self.top), (self.left, self.top))


@dataclass(frozen=True)
class Polygon:
    """A closed polygon that may cross itself, by the even-odd rule.

    Attributes:
        vertices: (x, y) in order; the last is joined to the first.
        x, y: the columns that hold the positions.
    """

    vertices: tuple[tuple[float, float], ...]
    x: str = "map_x"
    y: str = "map_y"

    @cached_property
    def bounds(self) -> Box:
        """The smallest rectangle around it."""
        xs, ys = zip(*self.vertices, strict=True)
        return Box(min(xs), max(xs), min(ys), max(ys), self.x, self.y)

    @cached_property
    def edges(self) -> tuple[tuple[float, float, float, float], ...]:
        """(x1, y1, y2, dx/dy) of every edge that a horizontal ray can cross; the slope has ten digits, as it is written."""
        ends = zip(self.vertices, self.vertices[1:] + self.vertices[:1], strict=True)
        return tuple((x1, y1, y2, float(f"{(x2 - x1) / (y2 - y1):.9e}")) for (x1, y1), (x2, y2) in ends if y1 != y2)

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Bool [n]: which positions (float [n], NaN for none) lie inside."""
        found = self.bounds.contains(x, y)
        near = np.flatnonzero(found)
        px, py = x[near].astype(np.float64), y[near].astype(np.float64)
        odd = np.zeros(len(near), bool)
        for x1, y1, y2, slope in self.edges:
            at = np.flatnonzero((py < y1) != (py < y2))
            odd[at] ^= px[at] < x1 + (py[at] - y1) * slope
        found[near] = odd
        return found

    def sql(self) -> str:
        """The same as an SQL predicate: inside the bounds, and an odd number of edges crossed; null where a document has no position."""
        x, y = quote_short(self.x), quote_short(self.y)
        crossed = "+".join(
            f"(({y}<{_double(y1)})<>({y}<{_double(y2)}) AND {x}<{_double(x1)}+({y}{_minus(y1)})*{_double(slope)})::INT"
            for x1, y1, y2, slope in self.edges
        )
        return f"{self.bounds.sql()} AND ({crossed or '0'})%2=1"

    def outline(self) -> tuple[tuple[float, float], ...]:
        """Its vertices, in order."""
        return self.vertices


Region = Box | Polygon


def lasso(points: Sequence[Sequence[float]], view: float, *, x: str = "map_x", y: str = "map_y") -> Polygon:
    """A drawn line as a polygon of at most 48 vertices.

    Args:
        points: where the pointer was, in the units of the map.
        view: size of what was seen, in the same units: the longer side of the screen.
        x: the column of horizontal positions.
        y: the column of vertical positions.

    Returns:
        The polygon. It lies within 0.15 % of the view's size of what was drawn, further off only where 48 vertices cannot follow it.

    Raises:
        SelectionError: fewer than three different points, or one that is no finite number.

    """
    drawn = np.array(points, np.float64).reshape(-1, 2) if len(points) else np.zeros((0, 2))
    if not np.isfinite(drawn).all() or not (math.isfinite(view) and view > 0):
        raise SelectionError("The lasso has a point that is no finite number. Every point is an x and a y on the map. Draw it again.")
    decimals = max(0, -math.floor(math.log10(view * GRID)))
    ring = _distinct(np.round(drawn, decimals) + 0.0)  # no -0.0: it would be written with two dashes
    chosen = simplify(ring, DEVIATION * view, MOST_VERTICES)
    if len(chosen) < 3:
        raise SelectionError(
            f"The lasso encloses nothing: it has {len(chosen)} different points. It needs three or more. Draw around an area."
        )
    return Polygon(tuple((float(a), float(b)) for a, b in chosen), x, y)


def box(left: float, bottom: float, right: float, top: float, view: float, *, x: str = "map_x", y: str = "map_y") -> Box:
    """A drawn rectangle, from any corner to the opposite one, on the same grid as a `lasso`.

    Raises:
        SelectionError: a side is no finite number.

    """
    if not all(map(math.isfinite, (left, bottom, right, top, view))) or view <= 0:
        raise SelectionError("The box has a side that is no finite number. Every side is a place on the map. Draw it again.")
    decimals = max(0, -math.floor(math.log10(view * GRID)))
    a, b, c, d = (round(float(v), decimals) + 0.0 for v in (left, right, bottom, top))
    return Box(min(a, b), max(a, b), min(c, d), max(c, d), x, y)


def simplify(ring: np.ndarray, tolerance: float, most: int) -> np.ndarray:
    """Douglas and Peucker's choice of the vertices of a closed ring, the one that is furthest off first.

    Args:
        ring: float64 [n, 2], the last joined to the first.
        tolerance: what is dropped lies within it of what is left, unless ``most`` is reached before.
        most: vertices chosen, three or more.

    Returns:
        float64 [m, 2], in the order of the ring.

    """
    n = len(ring)
    if n < 4:
        return ring
    closed = np.vstack([ring, ring[:1]])
    keep = np.zeros(n + 1, bool)
    keep[[0, n]] = True
    waiting: list[tuple[float, int, int, int]] = []  # (minus the distance, first, furthest, last) of every stretch between two choices

    def measure(first: int, last: int) -> None:
        if last - first > 1:
            distances = _distance(closed[first + 1 : last], closed[first], closed[last])
            worst = int(np.argmax(distances))
            heapq.heappush(waiting, (-float(distances[worst]), first, first + 1 + worst, last))

    measure(0, n)
    chosen = 1
    while waiting and chosen < most:
        off, first, middle, last = heapq.heappop(waiting)
        if -off <= tolerance and chosen >= 3:
            break
        keep[middle] = True
        chosen += 1
        measure(first, middle)
        measure(middle, last)
    return ring[keep[:n]]


def _distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance [n] of points to the segment from a to b."""
    along = b - a
    length = float(along @ along)
    part = np.clip((points - a) @ along / length, 0, 1) if length else np.zeros(len(points))
    return np.sqrt(((points - a - part[:, None] * along) ** 2).sum(1))


def _distinct(ring: np.ndarray) -> np.ndarray:
    """The ring without points that repeat the one before them, the last joined to the first."""
    return ring[(ring != np.roll(ring, 1, axis=0)).any(1)] if len(ring) > 1 else ring


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Bool [n]; compared as float64, whatever the column's own precision: DuckDB widens the column to a DOUBLE literal."""
    values = values.astype(np.float64)
    return (values >= low) & (values <= high)


def quote_short(name: str) -> str:
    """A column's name in SQL, in quotes only where it needs them."""
    return name if name.isidentifier() and name.isascii() and name.islower() else quote(name)


def _double(value: float) -> str:
    """A number as a DOUBLE literal; without the exponent DuckDB takes it for a decimal. The shortest text that gives it back."""
    said = repr(float(value))
    return said if "e" in said else f"{said}e0"


def _minus(value: float) -> str:
    """``- value``, without the two dashes that would begin a comment."""
    return f"+{_double(-value)}" if value < 0 else f"-{_double(value)}"
