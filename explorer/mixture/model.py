"""A mixture as frozen values, and its one spelling as YAML: the recipe that ``explorer mix`` reads and a page saves."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from explorer.corpus.workspace import write_text
from explorer.errors import ManifestError
from explorer.mixture.amounts import AMOUNTS, Given
from explorer.mixture.tokens import WORDS
from explorer.mixture.transforms import Transform, transform

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # names become part of file names
KEYS = ("name", "seed", "budget_tokens", "sequence_length", "tokenizer", "sources", "stages")
DATA_KEYS = ("corpus", "pairs", "on", "filters", "where", "roles")
SOURCE_KEYS = (*DATA_KEYS, *AMOUNTS, "max_epochs", "order", "transform")
PLURAL = {"weight": "weights", "epochs": "epochs", "tokens": "tokens", "documents": "documents"}
STAGE_KEYS = (
    "name",
    "share",
    "budget_tokens",
    *PLURAL.values(),
    "order",
    "transform",
    "sequence_length",
    "schedule",
    "to_weights",
    "steps",
)
SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True)
class SourcePlan:
    """One source of a mixture.

    Attributes:
        name: its name.
        data: how it is opened, as a recipe says it: ``corpus``, or ``pairs`` and ``on``; ``filters``, ``where``, ``roles``. Empty where
            a selection is handed over instead.
        given: the amount asked for; what a stage takes that says nothing itself.
        max_epochs: passes allowed at most over the whole run.
        order: of its documents inside a stage.
        transform: what is done to a document's text.

    """

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    given: Given = field(default_factory=Given)
    max_epochs: float | None = None
    order: str = "natural"
    transform: Transform = field(default_factory=Transform)


@dataclass(frozen=True)
class StagePlan:
    """One stage of a mixture, or a ramp of several.

    Attributes:
        name: its name; a ramp's stages are called ``NAME-1`` … ``NAME-k``.
        share: its part of the budget that stages with ``budget_tokens`` leave.
        budget_tokens: tokens it holds, instead of a share.
        given: amounts by source; a source that is not named is not in the stage. Empty: the sources' own amounts.
        order: of all its sources, or by source; None: the sources' own.
        transforms: by source, where they differ from the sources' own.
        sequence_length: None for the mixture's.
        schedule: ``constant``, or a ramp from the weights to ``to_weights``, ``linear`` or ``cosine``.
        to_weights: weights of the last step of a ramp.
        steps: equal stages that a ramp is cut into.

    """

    name: str
    share: float | None = None
    budget_tokens: float | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    order: str | Mapping[str, str] | None = None
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    sequence_length: int | None = None
    schedule: str = "constant"
    to_weights: Mapping[str, float] = field(default_factory=dict)
    steps: int = 1


@dataclass(frozen=True)
class Mixture:
    """Sources, amounts, stages and a seed: everything that is asked of a mix; `explorer.mixture.preview` says what it comes to.

    Attributes:
        base: folder that the sources' relative paths start from; not part of the mixture.

    """

    name: str
    sources: tuple[SourcePlan, ...]
    stages: tuple[StagePlan, ...] = ()
    seed: int = 0
    budget_tokens: float | None = None
    sequence_length: int | None = None
    tokenizer: str | None = None
    base: Path | None = field(default=None, compare=False, repr=False)

    def source(self, name: str) -> SourcePlan:
        """The source with this name."""
        found = next((s for s in self.sources if s.name == name), None)
        if found is None:
            raise ManifestError(
                f"The mixture has no source {name!r}. Sources: {', '.join(s.name for s in self.sources)}. Name one of them."
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """As a recipe says it; what is not given is left out."""
        said: dict[str, Any] = {"name": self.name, "seed": self.seed}
        said |= _there(budget_tokens=self.budget_tokens, sequence_length=self.sequence_length, tokenizer=self.tokenizer)
        said["sources"] = {source.name: _said_source(source) for source in self.sources}
        return said | ({"stages": [said_stage(stage) for stage in self.stages]} if self.stages else {})

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it as a recipe; relative paths of sources are written so that they hold from there."""
        target = Path(path).expanduser()
        said = self.to_dict()
        if self.base is not None and self.base.absolute() != target.parent.absolute():
            for item in said["sources"].values():
                item |= {key: _absolute(value, self.base) for key, value in item.items() if key in ("corpus", "pairs")}
                if isinstance(item.get("filters"), str) and item["filters"].endswith((".yaml", ".yml")):
                    item["filters"] = _absolute(item["filters"], self.base)
            if self.tokenizer not in (None, WORDS) and (self.base / self.tokenizer).exists():
                said["tokenizer"] = _absolute(self.tokenizer, self.base)
        write_text(target, yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=140))
        return target


class _Loader(yaml.SafeLoader):
    """YAML in which a key comes once; PyYAML keeps the last of several without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.composer.ComposerError(None, None, f"the key {key.value!r} comes twice, again in line {line}")
            seen.add(key.value)
        return node


def load_mixture(path: str | os.PathLike[str]) -> Mixture:
    """Read a recipe; its sources are not opened.

    Raises:
        ManifestError: the file cannot be read, or is not understood.

    """
    file = Path(path).expanduser()
    try:
        said = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ManifestError(
            f"Recipe {str(file)!r} cannot be read: {str(error).splitlines()[0]}. Mend it, or name another YAML file. See: explorer mix --help"
        ) from error
    return mixture_of(said, name=file.stem, where=f"Recipe {str(file)!r}", base=file.absolute().parent)


def mixture_of(said: Any, *, name: str = "mix", where: str = "The mixture", base: Path | None = None) -> Mixture:
    """A mixture from plain data as a recipe says it.

    Args:
        said: the recipe.
        name: of the mixture, where the recipe has none.
        where: what messages call it.
        base: folder that relative paths start from.

    Raises:
        ManifestError: a key is unknown, or a value is not what it must be.

    """
    keys(said, KEYS, where)
    listed = said.get("sources")
    if not isinstance(listed, dict) or not listed:
        raise ManifestError(f"{where} has no sources. It needs 'sources', a mapping from names to what is read. See: explorer mix --help")
    stages = said.get("stages")
    if stages is not None and not (isinstance(stages, list) and all(isinstance(s, Mapping) for s in stages)):
        raise ManifestError(
            f"stages is {stages!r}. It must be a list of stages such as {{name: all, share: 1}}. Correct it or leave it out."
        )
    tokenizer = said.get("tokenizer")
    return Mixture(
        name=str(said.get("name") or name),
        sources=tuple(_source(str(n), item) for n, item in listed.items()),
        stages=tuple(stage_of(stage, number) for number, stage in enumerate(stages or (), 1)),
        seed=said.get("seed", 0),
        budget_tokens=number(said.get("budget_tokens"), "budget_tokens"),
        sequence_length=said.get("sequence_length"),
        tokenizer=None if tokenizer is None else str(tokenizer),
        base=base,
    )


def _source(name: str, item: Any) -> SourcePlan:
    if isinstance(item, dict):
        item = {"on" if key is True else key: value for key, value in item.items()}  # YAML 1.1 reads a bare on as true
    keys(item, SOURCE_KEYS, f"Source {name!r}")
    return SourcePlan(
        name,
        {key: item[key] for key in DATA_KEYS if key in item},
        Given(**{amount: number(item.get(amount), f"{name}: {amount}") for amount in AMOUNTS}),
        number(item.get("max_epochs"), f"{name}: max_epochs"),
        str(item.get("order") or "natural"),
        transform(item.get("transform"), f"Source {name!r}"),
    )


def stage_of(said: Any, place: int = 1) -> StagePlan:
    """A stage from plain data as a recipe says it; ``place`` names one that has no name.

    Raises:
        ManifestError: a key is unknown, or a value is not what it must be.

    """
    if isinstance(said, StagePlan):
        return said
    keys(said, STAGE_KEYS, f"Stage {place}")
    name = str(said.get("name") or (f"stage-{place}"))
    where = f"Stage {name!r}"
    given: dict[str, dict[str, Any]] = {}
    for amount, plural in PLURAL.items():
        for source, value in _by_source(said.get(plural), f"{where}: {plural}").items():
            given.setdefault(source, {})[amount] = number(value, f"{where}: {plural}: {source}")
    order, transforms = said.get("order"), said.get("transform")
    return StagePlan(
        name,
        number(said.get("share"), f"{where}: share"),
        number(said.get("budget_tokens"), f"{where}: budget_tokens"),
        {source: Given(**amounts) for source, amounts in given.items()},
        {str(n): str(o) for n, o in order.items()} if isinstance(order, Mapping) else None if order is None else str(order),
        {source: transform(t, f"{where}: {source}") for source, t in _by_source(transforms, f"{where}: transform").items()},
        said.get("sequence_length"),
        str(said.get("schedule") or "constant"),
        {s: number(w, f"{where}: to_weights: {s}") for s, w in _by_source(said.get("to_weights"), f"{where}: to_weights").items()},
        said.get("steps", 1),
    )


def said_stage(stage: StagePlan) -> dict[str, Any]:
    """A stage as a recipe says it; what is not given is left out."""
    said: dict[str, Any] = {"name": stage.name, **_there(share=stage.share, budget_tokens=stage.budget_tokens)}
    for amount, plural in PLURAL.items():
        values = {source: getattr(g, amount) for source, g in stage.given.items() if getattr(g, amount) is not None}
        said |= {plural: values} if values else {}
    order = dict(stage.order) if isinstance(stage.order, Mapping) else stage.order
    said |= _there(order=order, sequence_length=stage.sequence_length)
    said |= {"transform": {s: t.to_plain() for s, t in stage.transforms.items()}} if stage.transforms else {}
    if stage.schedule != "constant":
        said |= {"schedule": stage.schedule, "to_weights": dict(stage.to_weights), "steps": stage.steps}
    return said


def _said_source(source: SourcePlan) -> dict[str, Any]:
    said = {key: value for key, value in source.data.items() if value is not None}
    said |= _there(**{amount: getattr(source.given, amount) for amount in AMOUNTS}, max_epochs=source.max_epochs)
    said |= {"order": source.order} if source.order != "natural" else {}
    return said | ({"transform": source.transform.to_plain()} if source.transform.name != "none" else {})


def _there(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _by_source(said: Any, where: str) -> dict[str, Any]:
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        hint = " A stage's own tokens are budget_tokens." if where.endswith(": tokens") else ""
        raise ManifestError(f"{where} is {said!r}. It must be a mapping from sources to values.{hint} Correct it.")
    return {str(source): value for source, value in said.items()}


def keys(said: Any, known: tuple[str, ...], where: str) -> None:
    """Refuse what is no mapping, or has a key that is not known."""
    if not isinstance(said, Mapping):
        raise ManifestError(f"{where} is {said!r}. It must be a mapping with the keys {', '.join(known)}. See: explorer mix --help")
    unknown = sorted(str(k) for k in said if k not in known)
    if unknown:
        raise ManifestError(f"{where} has an unknown key {unknown[0]!r}. Keys: {', '.join(known)}. Remove or rename it.")


def number(said: Any, where: str) -> Any:
    """YAML 1.1 reads ``2e9`` as text; numbers written so are meant as numbers. Anything else is left for the arithmetic to refuse."""
    if isinstance(said, str):
        try:
            return float(said.replace("_", ""))
        except ValueError as error:
            raise ManifestError(f"{where} is {said!r}. It must be a number. Correct it.") from error
    return said


def _absolute(said: Any, base: Path) -> Any:
    if isinstance(said, list):
        return [_absolute(item, base) for item in said]
    if not isinstance(said, str) or "://" in said or os.path.isabs(os.path.expanduser(said)):
        return said
    return str(base.absolute() / said)
