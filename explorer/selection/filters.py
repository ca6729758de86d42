"""Filters: thresholds in order, a free SQL predicate and a sampler, as one value that is saved, shared and put in manifests."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from explorer.corpus.workspace import write_text
from explorer.errors import SelectionError
from explorer.selection.samplers import Sample
from explorer.selection.threshold import Threshold

KEYS = ("name", "about", "source", "filters", "where", "sample")


@dataclass(frozen=True)
class Filters:
    """What a document must be to be kept.

    Attributes:
        filters: thresholds, in the order in which the first failing one is a document's reason.
        where: SQL predicate over the corpus' columns and signals, checked after the thresholds; empty for none.
        sample: how to choose among what passes; None keeps all.
        name, about, source: for people; a recipe's source is its publication.

    """

    filters: tuple[Threshold, ...] = ()
    where: str = ""
    sample: Sample | None = None
    name: str = ""
    about: str = ""
    source: str = ""

    def __or__(self, other: Filters | Threshold | Iterable[Threshold]) -> Filters:
        """Both. A threshold of the right side takes the place of the left side's on the same signal, unless both give reasons that differ.

        A replacement without a reason of its own keeps the one it replaces, so that a recipe's limit can be moved:
        ``recipes["gopher"] | Threshold("gopher_n_words", minimum=100)``.
        """
        right = as_filters(other)
        merged = list(self.filters)
        for new in right.filters:
            same = [i for i, old in enumerate(merged) if old.signal == new.signal and new.reason in ("", old.reason)]
            if same:
                merged[same[0]] = replace(new, reason=new.reason or merged[same[0]].reason)
                merged = [t for i, t in enumerate(merged) if i not in same[1:]]
            else:
                merged.append(new)
        where = (
            " AND ".join(f"({_closed(w)})" for w in (self.where, right.where)) if self.where and right.where else self.where or right.where
        )
        names = [n for n in (self.name, right.name) if n]
        return replace(self, filters=tuple(merged), where=where, sample=right.sample or self.sample, name=" + ".join(names))

    def __bool__(self) -> bool:
        return bool(self.filters or self.where or self.sample)

    @property
    def signals(self) -> tuple[str, ...]:
        """Columns the thresholds and the sampler read."""
        names = [t.signal for t in self.filters]
        if self.sample and self.sample.by:
            names.append(self.sample.by)
        return tuple(dict.fromkeys(names))

    def to_dict(self) -> dict[str, Any]:
        """The filters file as plain data; empty parts are left out."""
        said: dict[str, Any] = {key: getattr(self, key) for key in ("name", "about", "source") if getattr(self, key)}
        said["filters"] = [t.to_dict() for t in self.filters]
        if self.where:
            said["where"] = self.where
        if self.sample:
            said["sample"] = self.sample.to_dict()
        return said

    def to_yaml(self) -> str:
        """The filters file as text."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=140)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the filters file."""
        target = Path(path)
        write_text(target, self.to_yaml())
        return target

    @classmethod
    def from_dict(cls, given: Any) -> Filters:
        """Filters from plain data; unknown keys are refused by name."""
        if not isinstance(given, dict):
            raise SelectionError(
                f"A filters file holds {type(given).__name__}. It must be a mapping with 'filters', 'where' or 'sample'. See: explorer select --help"
            )
        unknown = sorted(set(given) - set(KEYS))
        if unknown:
            raise SelectionError(f"Unknown key {unknown[0]!r} in the filters. Keys: {', '.join(KEYS)}. Remove or rename it.")
        rules = given.get("filters") or []
        if not isinstance(rules, list | tuple):
            raise SelectionError(
                f"'filters' is {rules!r}. It must be a list of thresholds. Example: filters: [{{signal: gopher_n_words, minimum: 50}}]"
            )
        for key in ("name", "about", "source", "where"):
            if not isinstance(given.get(key) or "", str):
                raise SelectionError(f"{key!r} of the filters is {given[key]!r}. It must be text. Put it in quotes.")
        sample = Sample.from_dict(given["sample"]) if given.get("sample") else None
        texts = {key: given.get(key) or "" for key in ("where", "name", "about", "source")}
        return cls(tuple(Threshold.from_dict(item) for item in rules), sample=sample, **texts)

    @classmethod
    def from_yaml(cls, text: str) -> Filters:
        """Filters from a file's text."""
        try:
            return cls.from_dict(yaml.safe_load(text) or {})
        except yaml.YAMLError as error:
            raise SelectionError(
                f"The filters are not valid YAML: {str(error).splitlines()[0]}. Compare with a recipe: explorer select --help"
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Filters:
        """Read a filters file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SelectionError(
                f"Filters file {os.fspath(path)!r} cannot be read: {error}. Name a YAML file or a recipe. List recipes with: explorer recipes"
            ) from error
        return cls.from_yaml(text)


def as_filters(what: Filters | Threshold | Iterable[Threshold] | str | None) -> Filters:
    """Filters from whatever a caller has at hand; a string is an SQL predicate."""
    if what is None:
        return Filters()
    if isinstance(what, Filters):
        return what
    if isinstance(what, Threshold):
        return Filters((what,))
    if isinstance(what, str):
        return Filters(where=what)
    return Filters(tuple(what))


def _closed(where: str) -> str:
    """A predicate that a bracket can follow: a line comment at its end must not swallow it."""
    return f"{where}\n" if "--" in where else where
