"""Choose among the documents that pass: the published operators, one pure function each.

Every function takes arrays over the passing documents and returns positions into them in the order of choice. Ties are broken by
``key``, a hash of the seed and the document's id, so a choice survives re-sharding. A document without a score (NaN) is never
chosen by score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from explorer.errors import SelectionError

Method = Literal["top_fraction_docs", "top_fraction_size", "token_budget", "stratified_budget", "gumbel_topk", "nested_subset"]


@dataclass(frozen=True)
class Sample:
    """A sampler and its settings.

    Attributes:
        method: the operator; each is described at its function in this module.
        by: score column, higher is better; None ranks by the seeded key (a uniform random choice).
        fraction: share kept, of documents or of tokens, for the ``top_fraction_*`` and ``nested_subset`` methods.
        tokens: budget of ``token_budget``, ``stratified_budget`` and ``gumbel_topk``.
        documents: number of documents for ``gumbel_topk``.
        per: column of the strata (``stratified_budget``, ``nested_subset``): "source", "language", "year" or a column.
        shares: how ``stratified_budget`` divides the budget: as in the corpus, or equally.
        temperature: of ``gumbel_topk``; scores are divided by it.
        descending: False keeps the lowest scores instead (a loss or perplexity).
        seed: of every random choice.

    """

    method: Method
    by: str | None = None
    fraction: float | None = None
    tokens: float | None = None
    documents: int | None = None
    per: str | None = None
    shares: Literal["corpus", "equal"] = "corpus"
    temperature: float = 1.0
    descending: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise SelectionError(f"Sampler {self.method!r} is not known. Samplers: {', '.join(get_args(Method))}. Choose one.")
        for name, whole in (("fraction", False), ("tokens", False), ("temperature", False), ("documents", True), ("seed", True)):
            object.__setattr__(self, name, _number(name, getattr(self, name), whole))
        if self.shares not in ("corpus", "equal"):
            raise SelectionError(f"The sampler's shares are {self.shares!r}. They are 'corpus' or 'equal'. Choose one.")
        if not isinstance(self.descending, bool):
            raise SelectionError(f"The sampler's descending is {self.descending!r}. It must be true or false. Choose one.")
        for name in ("by", "per"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise SelectionError(f"The sampler's {name} is {value!r}. It must be the name of a column. Write it as text.")
        needs = {
            "top_fraction_docs": "fraction",
            "top_fraction_size": "fraction",
            "nested_subset": "fraction",
            "token_budget": "tokens",
            "stratified_budget": "tokens",
        }
        need = needs.get(self.method)
        if need and getattr(self, need) is None:
            raise SelectionError(f"Sampler {self.method!r} lacks {need!r}. Give {need}=… in the sample.")
        if self.method == "gumbel_topk" and (self.tokens is None) == (self.documents is None):
            raise SelectionError("Sampler 'gumbel_topk' takes exactly one of tokens and documents. Give one of them.")
        if self.method.startswith("top_fraction") and self.by is None:
            raise SelectionError(
                f"Sampler {self.method!r} lacks 'by', the score to rank by. Name a signal or a numeric column; for a random share use nested_subset."
            )
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise SelectionError(f"The sampler's fraction is {self.fraction!r}. It must be above 0 and at most 1. Write 10 % as 0.1.")
        for name in ("tokens", "documents"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SelectionError(f"The sampler's {name} is {value!r}. It must be above 0. Give a positive number.")
        if self.temperature is None or not self.temperature > 0:
            raise SelectionError(f"The sampler's temperature is {self.temperature!r}. It must be above 0. QuRating uses 1 or 2, MATES 0.5.")
        if self.method == "stratified_budget" and not self.per:
            raise SelectionError(
                "Sampler 'stratified_budget' lacks 'per', the column of its strata. Give per=source, language, year or a column."
            )

    def to_dict(self) -> dict[str, Any]:
        """Fields that are not at their default."""
        default = Sample.__dataclass_fields__
        return {name: value for name, value in self.__dict__.items() if name == "method" or value != default[name].default}

    @classmethod
    def from_dict(cls, given: Any) -> Sample:
        """A sampler from a filters file; unknown keys are refused by name."""
        if not isinstance(given, dict) or "method" not in given:
            raise SelectionError(
                f"The sample is {given!r}. It must be a mapping with 'method'. Example: {{method: token_budget, by: edu_score, tokens: 2e9}}"
            )
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown:
            raise SelectionError(
                f"The sample has an unknown key {unknown[0]!r}. Keys: {', '.join(cls.__dataclass_fields__)}. Remove or rename it."
            )
        return cls(**given)


def _number(name: str, value: Any, whole: bool) -> float | int | None:
    """A setting as a plain Python number; YAML reads 2e9 as text, so text that is a number counts."""
    if value is None:
        return None
    try:
        number = float(value)
        if not isinstance(value, bool) and math.isfinite(number) and (not whole or number == int(number)):
            return int(value) if whole and not isinstance(value, str) else int(number) if whole else number
    except (TypeError, ValueError, OverflowError):
        pass
    raise SelectionError(f"The sampler's {name} is {value!r}. It must be a {'whole ' if whole else ''}number. Write it as one.")


def ranked(score: np.ndarray, key: np.ndarray, *, descending: bool = True) -> np.ndarray:
    """Positions from best to worst, ties by ``key``; NaN left out."""
    order = np.lexsort((key, -score if descending else score))
    return order[~np.isnan(score[order])]


def top_fraction_docs(score: np.ndarray, key: np.ndarray, fraction: float, *, descending: bool = True) -> np.ndarray:
    """The best ``floor(fraction * n)`` of all n documents (MiniPLM, POINTS)."""
    return ranked(score, key, descending=descending)[: math.floor(fraction * len(score) + 1e-9)]


def top_fraction_size(score: np.ndarray, key: np.ndarray, size: np.ndarray, fraction: float, *, descending: bool = True) -> np.ndarray:
    """The best documents until their sizes first exceed ``fraction`` of the total; the crossing document is kept (PreSelect)."""
    order = ranked(score, key, descending=descending)
    running = np.cumsum(size[order])
    crossing = int(np.searchsorted(running, fraction * size.sum(), side="right"))
    return order[: crossing + 1]


def token_budget(score: np.ndarray, key: np.ndarray, tokens: np.ndarray, budget: float, *, descending: bool = True) -> np.ndarray:
    """The best documents until their tokens reach ``budget``; the crossing document is kept (QuRating, Meta-rater, DataMan)."""
    order = ranked(score, key, descending=descending)
    crossing = int(np.searchsorted(np.cumsum(tokens[order]), budget, side="left"))
    return order[: crossing + 1]


def stratified_budget(
    score: np.ndarray,
    key: np.ndarray,
    tokens: np.ndarray,
    strata: np.ndarray,
    budget: float,
    *,
    shares: str = "corpus",
    descending: bool = True,
) -> np.ndarray:
    """`token_budget` inside each stratum; the budget is divided by the strata's tokens ("corpus") or equally ("equal")."""
    parts = _by_stratum(key, strata)
    total = tokens.sum()
    chosen = []
    for here in parts:
        part = budget / len(parts) if shares == "equal" else budget * tokens[here].sum() / total if total else 0.0
        if part > 0:
            chosen.append(here[token_budget(score[here], key[here], tokens[here], part, descending=descending)])
    return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)


def gumbel_keys(score: np.ndarray, temperature: float, noise: np.ndarray) -> np.ndarray:
    """``score / temperature + Gumbel(0, 1)``; ``noise`` is uniform on (0, 1), one value a document."""
    return score / temperature - np.log(-np.log(noise))


def gumbel_topk(score: np.ndarray, key: np.ndarray, temperature: float, noise: np.ndarray, k: int) -> np.ndarray:
    """K documents without replacement, with weights ``exp(score / temperature)``: the k largest Gumbel keys (QuRating, MATES)."""
    return ranked(gumbel_keys(score, temperature, noise), key)[:k]


def nested_subset(key: np.ndarray, strata: np.ndarray, fraction: float) -> np.ndarray:
    """``ceil(fraction * n)`` documents of each stratum by ascending key: smaller fractions are contained in larger ones."""
    chosen = [here[: math.ceil(fraction * len(here) - 1e-9)] for here in _by_stratum(key, strata)]
    return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)


def _by_stratum(key: np.ndarray, strata: np.ndarray) -> list[np.ndarray]:
    """Positions of each stratum by ascending key; strata by their smallest key, since their codes may change when files do."""
    if not len(strata):
        return []
    order = np.lexsort((key, strata))
    parts = np.split(order, np.flatnonzero(np.diff(strata[order])) + 1)
    return [parts[i] for i in np.argsort([key[part[0]] for part in parts], kind="stable")]


def draw(sample: Sample, *, score: np.ndarray | None, key: np.ndarray, tokens: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Apply a sampler to the passing documents; positions in the order of choice."""
    uniform = (key.astype(np.float64) + 0.5) / 2.0**64
    ranking = score if score is not None else uniform
    match sample.method:
        case "top_fraction_docs":
            return top_fraction_docs(ranking, key, sample.fraction or 0, descending=sample.descending)
        case "top_fraction_size":
            return top_fraction_size(ranking, key, tokens, sample.fraction or 0, descending=sample.descending)
        case "token_budget":
            return token_budget(ranking, key, tokens, sample.tokens or 0, descending=sample.descending)
        case "stratified_budget":
            return stratified_budget(ranking, key, tokens, strata, sample.tokens or 0, shares=sample.shares, descending=sample.descending)
        case "gumbel_topk":
            signed = np.zeros(len(key)) if score is None else score if sample.descending else -score
            noise = np.clip(uniform, 1e-300, 1 - 1e-16)
            if sample.documents is not None:
                return gumbel_topk(signed, key, sample.temperature, noise, sample.documents)
            return token_budget(gumbel_keys(signed, sample.temperature, noise), key, tokens, sample.tokens or 0)
        case "nested_subset":
            return nested_subset(key, strata, sample.fraction or 0)
