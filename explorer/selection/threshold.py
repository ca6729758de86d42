"""A threshold as data: one signal, its bounds, and what becomes of documents that have no value."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

from explorer.corpus.database import quote
from explorer.errors import SelectionError

FIELDS = ("signal", "minimum", "maximum", "exclusive", "nulls", "reason", "source")


@dataclass(frozen=True)
class Threshold:
    """Keep a document when ``minimum <= value <= maximum`` (strictly so when ``exclusive``).

    Attributes:
        signal: a computed signal or a numeric column of the corpus.
        minimum, maximum: bounds; None where open. At least one is given.
        exclusive: bounds themselves fail (language id keeps a score *above* 0.65).
        nulls: "drop" or "keep" documents whose value is undefined; never decided silently, always counted.
        reason: what a dropped document is told; the signal's name unless given.
        source: where the cut was published.

    """

    signal: str
    minimum: float | None = None
    maximum: float | None = None
    exclusive: bool = False
    nulls: Literal["drop", "keep"] = "drop"
    reason: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.signal, str) or not self.signal:
            raise SelectionError(f"A threshold's signal is {self.signal!r}. It must be the name of a signal or column. Give its name.")
        for name, value in (("minimum", self.minimum), ("maximum", self.maximum)):
            object.__setattr__(self, name, _number(value, f"The {name} of {self.signal!r}"))
        for name, kind in (("exclusive", bool), ("reason", str), ("source", str)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                kinds = "true or false" if kind is bool else "text"
                raise SelectionError(f"{name}={value!r} on {self.signal!r} is not {kinds}. It must be {kinds}. Write it so.")
        if self.minimum is None and self.maximum is None:
            raise SelectionError(f"The threshold on {self.signal!r} has no bound. It needs a minimum, a maximum or both. Add one.")
        if self.minimum is not None and self.maximum is not None:
            if self.minimum > self.maximum:
                raise SelectionError(
                    f"The threshold on {self.signal!r} keeps nothing: its minimum {self.minimum:g} is above its maximum {self.maximum:g}. Swap them."
                )
            if self.exclusive and self.minimum == self.maximum:
                raise SelectionError(
                    f"The threshold on {self.signal!r} keeps nothing: nothing lies strictly between {self.minimum:g} and itself. Make it inclusive."
                )
        if self.nulls not in ("drop", "keep"):
            raise SelectionError(f"nulls={self.nulls!r} on {self.signal!r} is not known. It is 'drop' or 'keep'. Choose one.")

    @property
    def id(self) -> str:
        """The drop reason shown, counted and saved."""
        return self.reason or self.signal

    def __str__(self) -> str:
        low, high = ("<", "<") if self.exclusive else ("≤", "≤")
        left = f"{self.minimum:g} {low} " if self.minimum is not None else ""
        right = f" {high} {self.maximum:g}" if self.maximum is not None else ""
        return f"{left}{self.signal}{right}"

    def passes(self, values: np.ndarray) -> np.ndarray:
        """Bool [n]: which values are kept. Bounds are compared in the column's own precision, as DuckDB does with ``sql``."""
        kind = values.dtype.type
        kept = np.isnan(values) if self.nulls == "keep" else np.zeros(len(values), bool)
        inside = np.ones(len(values), bool)
        with np.errstate(invalid="ignore", over="ignore"):
            if self.minimum is not None:
                bound = kind(self.minimum)
                inside &= values > bound if self.exclusive else values >= bound
            if self.maximum is not None:
                bound = kind(self.maximum)
                inside &= values < bound if self.exclusive else values <= bound
        return (inside & ~np.isnan(values)) | kept

    def sql(self, kind: str = "FLOAT", *, nan: bool = True) -> str:
        """The same rule as an SQL predicate.

        Args:
            kind: type of the column: FLOAT, DOUBLE or BOOLEAN.
            nan: whether the column may hold NaN, which DuckDB takes for more than any number (a computed signal never holds it).
                Where a Parquet file has both NaN and statistics, which leave NaN out, DuckDB may keep it all the same.

        """
        column = quote(self.signal)
        if kind == "BOOLEAN":
            column, kind, nan = f"CAST({column} AS TINYINT)", "FLOAT", False
        low, high = (">", "<") if self.exclusive else (">=", "<=")
        parts = [f"{column} {low} {_literal(self.minimum, kind)}"] if self.minimum is not None else []
        parts += [f"{column} {high} {_literal(self.maximum, kind)}"] if self.maximum is not None else []
        if self.nulls == "keep":
            undefined = f"{column} IS NULL OR isnan({column})" if nan else f"{column} IS NULL"
            return f"({' AND '.join(parts)} OR {undefined})"
        parts += [f"NOT isnan({column})"] if nan and self.maximum is None else []
        return " AND ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Fields that are not at their default, in a fixed order."""
        default = {"minimum": None, "maximum": None, "exclusive": False, "nulls": "drop", "reason": "", "source": ""}
        return {name: getattr(self, name) for name in FIELDS if name == "signal" or getattr(self, name) != default[name]}

    @classmethod
    def from_dict(cls, given: Any) -> Threshold:
        """A threshold from a filters file; unknown keys are refused by name."""
        if not isinstance(given, dict) or "signal" not in given:
            raise SelectionError(
                f"A filter is {given!r}. It must be a mapping with 'signal' and 'minimum' or 'maximum'. Example: {{signal: gopher_n_words, minimum: 50}}"
            )
        unknown = sorted(set(given) - set(FIELDS))
        if unknown:
            raise SelectionError(
                f"The filter on {given['signal']!r} has an unknown key {unknown[0]!r}. Keys: {', '.join(FIELDS)}. Remove or rename it."
            )
        return cls(**given)


def _number(value: Any, what: str) -> float | int | None:
    """A bound as a plain Python number; YAML reads 1e5 as text, so text that is a number counts."""
    try:
        number = float(value) if isinstance(value, str) else value
        if number is None:
            return None
        if isinstance(number, Real) and not isinstance(number, bool) and float(number) == float(number):
            return int(number) if isinstance(number, Integral) else float(number)
    except (ValueError, OverflowError):
        pass
    raise SelectionError(f"{what} is {value!r}. It must be a number. Give a number or leave it out.")


def _literal(bound: float, kind: str) -> str:
    """A bound as SQL in the column's precision; text, because DuckDB reads a bare 0.1 as a decimal."""
    with np.errstate(over="ignore"):
        value = np.float32(bound) if kind == "FLOAT" else np.float64(bound)
    said = str(int(bound)) if float(bound).is_integer() and abs(bound) < 1e15 else f"'{value!s}'"
    return f"CAST({said} AS {kind})"
