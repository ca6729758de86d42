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
        """Both: a threshold of the right side replaces the left side's on the same signal and reason."""
        right = as_filters(other)
        merged = {(t.signal, t.reason): t for t in (*self.filters, *right.filters)}
        where = " AND ".join(f"({w})" for w in (self.where, right.where) if w) if self.where and right.where else self.where or right.where
        names = [n for n in (self.name, right.name) if n]
        return replace(self, filters=tuple(merged.values()), where=where, sample=right.sample or self.sample, name=" + ".join(names))

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
        thresholds = tuple(Threshold.from_dict(item) for item in given.get("filters") or [])
        sample = Sample.from_dict(given["sample"]) if given.get("sample") else None
        return cls(
            thresholds, given.get("where") or "", sample, given.get("name") or "", given.get("about") or "", given.get("source") or ""
        )

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
