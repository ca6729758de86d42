"""One registry of what can be measured; adding a signal is one file in ``explorer/signals/`` and one test.

A *family* is what is computed together (Gopher's eight figures share one tokenisation); it is one sidecar file a shard.
A *signal* is one column of a family: a name, a unit, a range, a direction and a definition. The pages draw axes, sliders and
help from these alone.

Kinds of families differ in what their function is given: most take a batch of texts; *learned* ones (they have a ``model``)
take one too, but are run on any set of rows and never twice on a text; those of *corpus* scope (duplicates, clusters) take it all.
A *check* compares a rewrite with its original and is given both batches (scope *pair*), or all pairs at once (*pairs*).
``perplexity:small`` is the family ``perplexity`` with parameters of its own and columns ending in ``_small``.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import pkgutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from explorer.errors import SignalError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from explorer.corpus.corpus import Corpus
    from explorer.primitives.batch import Batch

Direction = Literal["higher_is_better", "lower_is_better", "two_sided", "descriptive"]
Dtype = Literal["float32", "int64", "string", "vector"]  # a vector is kept among the embeddings, never a column of the corpus
Scope = Literal["document", "corpus", "pair", "pairs"]
UNANSWERED = "_unanswered"  # bool [n] beside a family's columns: rows that could not be asked, not kept and asked again next time
Columns = Mapping[str, "np.ndarray | pa.Array"]


@dataclass(frozen=True)
class Signal:
    """One measured column.

    Attributes:
        name: the column's name, in the field's own words (``gopher_n_words``).
        unit: what a value counts or divides ("words", "fraction of lines").
        about: one sentence that defines it precisely enough to read a histogram by.
        direction: how a filter uses it; ``descriptive`` when nobody cuts on it.
        range: lowest and highest possible value; None where unbounded.
        dtype: how it is stored. Undefined is null in every dtype.
        misleads: where it misleads (poetry, code, short texts); shown beside the histogram.
        family, source, version: filled in by the family that computes it.

    """

    name: str
    unit: str
    about: str
    direction: Direction = "descriptive"
    range: tuple[float | None, float | None] = (None, None)
    dtype: Dtype = "float32"
    misleads: str = ""
    family: str = ""
    source: str = ""
    version: int = 0


@dataclass(frozen=True)
class Family:
    """Signals computed together by one function over a batch of documents; ``audit``: whether every pair is given this check unasked."""

    name: str
    version: int
    source: str
    signals: tuple[Signal, ...]
    compute: Callable[..., Columns]
    reads: tuple[str, ...] = ("text",)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    scope: Scope = "document"
    alias: str = ""
    audit: bool = False

    @property
    def learned(self) -> bool:
        """Whether a model is run: on any set of rows, never twice on the same text. Its ``model`` is then a name or path, "" if there is no default."""
        return not self.whole and isinstance(self.defaults.get("model"), str)

    @property
    def whole(self) -> bool:
        """Whether it is computed for all documents (or pairs) at once."""
        return self.scope in ("corpus", "pairs")

    @property
    def of_pairs(self) -> bool:
        """Whether it compares rewrites with their originals."""
        return self.scope in ("pair", "pairs")

    def run(self, batch: Batch, **parameters: Any) -> Columns:
        """The columns for a batch; a check is given the originals with it."""
        return self.compute(batch.original, batch, **parameters) if self.of_pairs else self.compute(batch, **parameters)

    def defined(self, batch: Batch) -> np.ndarray:
        """Bool [n]: which documents of a batch have all the texts that are read."""
        return batch.valid & batch.original.valid if self.of_pairs else batch.valid

    @property
    def title(self) -> str:
        """What the user calls it: ``perplexity``, or ``perplexity:small`` under an alias."""
        return f"{self.name}:{self.alias}" if self.alias else self.name

    def called(self, alias: str) -> Family:
        """The same family beside itself: its columns end in ``_<alias>``, so that two models can be compared."""
        if not alias.isidentifier():
            raise SignalError(f"Alias {alias!r} cannot end a column's name. Letters, digits and _ are allowed. Write: {self.name}:small")
        columns = tuple(replace(s, name=f"{s.name}_{alias}", family=f"{self.name}:{alias}") for s in self.signals)
        own = {s.name: renamed.name for s, renamed in zip(self.signals, columns, strict=True)}
        plain = self.compute

        def compute(*args: Any, **parameters: Any) -> Columns:
            return {own.get(name, name): values for name, values in plain(*args, **parameters).items()}

        compute.__doc__, compute.__module__ = plain.__doc__, plain.__module__
        return replace(self, signals=columns, compute=compute, alias=alias)

    @property
    def about(self) -> str:
        """The first line of the computing function's docstring."""
        return (inspect.getdoc(self.compute) or "").split("\n", 1)[0]

    def parameters(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All parameters, defaults filled in; unknown names are refused."""
        unknown = set(given or {}) - set(self.defaults)
        if unknown:
            allowed = ", ".join(sorted(self.defaults)) or "none"
            raise SignalError(
                f"{self.name!r} has no parameter {sorted(unknown)[0]!r}. Parameters: {allowed}. See: explorer signals {self.name}"
            )
        return {**self.defaults, **(given or {})}

    def key(self, given: Mapping[str, Any] | None = None, text: str = "text", corpus: str = "") -> str:
        """Name of the sidecar folder: everything that changes the answer is in it, a file's content among it.

        Args:
            given: parameters that differ from the defaults.
            text: column that holds the text.
            corpus: what else decides the answer: the fingerprint of the corpus where all of it is read, that of the originals for a check.

        """
        parameters = {name: (value, content(value)) if isinstance(value, str) else value for name, value in self.parameters(given).items()}
        identity: dict[str, Any] = {"parameters": parameters, "text": text}
        if self.scope != "document":
            identity["corpus"] = corpus
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:8]
        return f"{self.name}{f'.{self.alias}' if self.alias else ''}@{self.version}-{digest}"


def content(parameter: str) -> str:
    """Hash of the file that a parameter names, or of the files in the folder it names; empty when it names neither."""
    path = Path(parameter).expanduser()
    try:
        if not parameter or not path.exists():
            return ""
    except OSError:  # a text too long to be a path, such as a rubric
        return ""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest.update(_file_hash(str(file), status.st_size, status.st_mtime_ns).encode())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=256)
def _file_hash(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class CorpusRun:
    """What a family of corpus scope is given.

    Attributes:
        corpus: all of it.
        folder: of the family's sidecars; what else is found (pairs, titles) may be written there, atomically.
        tell: called with (done, total, what is being done).
        cancel: set when the user wants it to stop; raise `Cancelled` then.

    """

    corpus: Corpus
    folder: Path
    tell: Callable[[int, int, str], None] = lambda done, total, doing: None
    cancel: threading.Event = field(default_factory=threading.Event)

    def step(self, done: int, total: int, doing: str) -> None:
        """Say how far it is; ends the run if that is wanted."""
        self.tell(done, total, doing)
        if self.cancel.is_set():
            raise Cancelled


class Cancelled(Exception):
    """A run over the whole corpus was stopped because the user asked for it."""


_families: dict[str, Family] = {}


def corpus_family(*, version: int, source: str, signals: list[Signal]) -> Callable[[Callable[..., Columns]], Callable[..., Columns]]:
    """Register a function ``(run: CorpusRun, *, parameters) -> {signal name: values}`` that needs all documents at once.

    It returns one array of ``len(run.corpus)`` values a signal, NaN (or an Arrow null) where undefined.
    """
    return family(version=version, source=source, signals=signals, scope="corpus")


def check(
    *, version: int, source: str, signals: list[Signal], audit: bool = True, scope: Scope = "pair"
) -> Callable[[Callable[..., Columns]], Callable[..., Columns]]:
    """Register a function ``(original: Batch, rewrite: Batch, *, parameters) -> {signal name: values}``: what a rewrite did to its original.

    As `family` otherwise; a pair that lacks one of its texts is blanked by the caller. One of scope "pairs" is given a `CorpusRun`.
    """
    return family(version=version, source=source, signals=signals, reads=("text", "original"), scope=scope, audit=audit)


def family(
    *,
    version: int,
    source: str,
    signals: list[Signal],
    reads: tuple[str, ...] = ("text",),
    scope: Scope = "document",
    audit: bool = False,
) -> Callable[[Callable[..., Columns]], Callable[..., Columns]]:
    """Register a function ``(batch, *, parameters) -> {signal name: values}`` as a family.

    The function's name is the family's; its keyword-only arguments are the parameters. It returns one array of ``len(batch)``
    values a signal, in the batch's order, NaN (or an Arrow null) where undefined; documents that are null are blanked by the
    caller. The answer for a document must not depend on the other documents of the batch.
    """

    def register(compute: Callable[..., Columns]) -> Callable[..., Columns]:
        name = compute.__name__
        known = _families.get(name)
        if known is not None and known.compute.__module__ != compute.__module__:
            raise SignalError(
                f"Family {name!r} is already registered by {known.compute.__module__}. Rename the function in {compute.__module__}."
            )
        defaults = {p.name: p.default for p in inspect.signature(compute).parameters.values() if p.kind is p.KEYWORD_ONLY}
        columns = tuple(replace(s, family=name, source=s.source or source, version=version) for s in signals)
        for column in columns:
            owner = next((f.name for f in _families.values() if f.name != name and any(s.name == column.name for s in f.signals)), None)
            if owner:
                raise SignalError(f"Signal {column.name!r} is already computed by {owner!r}. Choose another name in {name!r}.")
        _families[name] = Family(name, version, source, columns, compute, reads, defaults, scope, audit=audit)
        return compute

    return register


def signal(
    *,
    version: int,
    unit: str,
    source: str,
    direction: Direction = "descriptive",
    range: tuple[float | None, float | None] = (None, None),
    dtype: Dtype = "float32",
    misleads: str = "",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function ``(batch, *, parameters) -> values`` as a family of one signal with the function's name."""

    def register(compute: Callable[..., Any]) -> Callable[..., Any]:
        about = (inspect.getdoc(compute) or "").split("\n", 1)[0]
        column = Signal(compute.__name__, unit, about, direction, range, dtype, misleads)

        def columns(batch: Batch, **parameters: Any) -> Columns:
            return {compute.__name__: compute(batch, **parameters)}

        columns.__name__, columns.__doc__, columns.__module__ = compute.__name__, compute.__doc__, compute.__module__
        columns.__signature__ = inspect.signature(compute)  # type: ignore[attr-defined]
        family(version=version, source=source, signals=[column])(columns)
        return compute

    return register


@cache
def _discover() -> None:
    """Import every module of ``explorer.signals`` and ``explorer.rewrites.checks``; there is no list to forget."""
    for package in ("explorer.signals", "explorer.rewrites.checks"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")


def families() -> dict[str, Family]:
    """All registered families by name."""
    _discover()
    return dict(sorted(_families.items()))


def fitting(corpus: Corpus) -> dict[str, Family]:
    """The families that can be computed for a corpus: checks only where its documents are rewrites with originals."""
    return {name: f for name, f in families().items() if corpus.pairing or not f.of_pairs}


def find(name: str) -> Family:
    """The family with this name, or the one that computes the signal with this name; ``family:alias`` is one beside itself."""
    known = families()
    if name in known:
        return known[name]
    head, colon, alias = name.partition(":")
    if colon and head in known:
        return known[head].called(alias)
    for candidate in known.values():
        if any(s.name == name for s in candidate.signals):
            return candidate
    import difflib

    names = [*known, *(s.name for f in known.values() for s in f.signals)]
    close = difflib.get_close_matches(name, names, n=3)
    hint = f"Did you mean {', '.join(map(repr, close))}?" if close else f"Families: {', '.join(known)}."
    raise SignalError(f"No signal or family is called {name!r}. {hint} List them with: explorer signals")


def find_signal(name: str) -> Signal | None:
    """The signal with this name, or None (a corpus' own numeric column is not in the registry)."""
    every = [s for f in families().values() for s in f.signals]
    exact = next((s for s in every if s.name == name), None)
    if exact is not None:
        return exact
    # perplexity_small is perplexity's column under an alias; the longest name that fits is meant
    stems = [s for s in every if name.startswith(f"{s.name}_") and name[len(s.name) + 1 :].isidentifier() and _can_be_called(s.family)]
    stem = max(stems, key=lambda s: len(s.name), default=None)
    return replace(stem, name=name, family=f"{stem.family}:{name[len(stem.name) + 1 :]}") if stem else None


def _can_be_called(family: str) -> bool:
    return _families[family].learned or _families[family].whole
