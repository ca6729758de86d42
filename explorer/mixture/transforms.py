"""What is done to a document's text on its way to the model: declared in a mixture, applied by exporters that can."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from explorer.errors import ManifestError

# name -> parameter -> (default, lowest, highest); a parameter whose default is a text or a truth takes no range.
KNOWN: dict[str, dict[str, tuple[Any, float | None, float | None]]] = {
    "none": {},
    "fim": {"rate": (0.5, 0.0, 1.0), "spm_rate": (0.5, 0.0, 1.0)},
    "thinking": {"column": ("thinking", None, None), "separator": ("\n\n", None, None)},
    "chunk-shuffle": {"rate": (0.3, 0.0, 1.0), "parts": (3, 2, 64), "keep_order": (False, None, None)},
}
ABOUT = {
    "none": "the text as it is",
    "fim": "fill in the middle: a document is cut twice and its middle moved to the end, with probability rate; spm_rate of these begin with the suffix (Bavarian et al. 2022, arXiv:2207.14255)",
    "thinking": "the document, then the separator, then what a model thought about it, a column of the same file (thinking-augmented pre-training)",
    "chunk-shuffle": "Untie the Knots: a share rate of packed sequences have their documents cut into parts and all parts shuffled (explorer.mixture.knots); with keep_order a document's parts stay in order",
}


@dataclass(frozen=True)
class Transform:
    """A declared transform: its name and every parameter, defaults filled in."""

    name: str = "none"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_plain(self) -> str | dict[str, Any]:
        """As a recipe writes it: the bare name, or a mapping with ``name``."""
        return {"name": self.name, **self.parameters} if self.parameters else self.name


def transform(said: Any, where: str) -> Transform:
    """Read a transform as a recipe writes it: a name, or a mapping with ``name`` and parameters.

    Raises:
        ManifestError: an unknown name or parameter, or a value out of range.

    """
    if isinstance(said, Transform):
        said = {"name": said.name, **said.parameters}
    said = {"name": "none"} if said is None else {"name": said} if isinstance(said, str) else said
    if not isinstance(said, Mapping) or said.get("name") not in KNOWN:
        what = said.get("name") if isinstance(said, Mapping) else said
        raise ManifestError(
            f"{where} has the transform {what!r}. Transforms: {', '.join(KNOWN)}. Name one, or give {{name: NAME, PARAMETER: VALUE}}."
        )
    name, known = str(said["name"]), KNOWN[said["name"]]
    unknown = next((key for key in said if key != "name" and key not in known), None)
    if unknown is not None:
        raise ManifestError(f"{where}: transform {name} has no parameter {unknown!r}. Parameters: {', '.join(known) or 'none'}. Remove it.")
    return Transform(name, {key: _value(said.get(key, known[key][0]), known[key], f"{where}: {name}: {key}") for key in known})


def _value(value: Any, known: tuple[Any, float | None, float | None], where: str) -> Any:
    default, low, high = known
    if low is None or high is None:
        if type(value) is not type(default):
            kind = "true or false" if isinstance(default, bool) else "a text"
            raise ManifestError(f"{where} is {value!r}. It must be {kind}. Its default is {default!r}.")
        return value
    whole = isinstance(default, int)
    fits = isinstance(value, int) if whole else isinstance(value, int | float)
    if isinstance(value, bool) or not fits or not math.isfinite(value) or not low <= value <= high:
        raise ManifestError(
            f"{where} is {value!r}. It must be a {'whole ' if whole else ''}number from {low:g} to {high:g}. Its default is {default!r}."
        )
    return value if whole else float(value)
