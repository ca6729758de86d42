"""Manifests of several stages, put together from manifests of one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.corpus.corpus import open_corpus
from explorer.manifest.model import FILE, Manifest, Totals, digest, read_manifest
from explorer.manifest.write import mix


def staged_mix(folder: Path, sources: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]], **common: Any) -> Manifest:
    """A manifest whose stages are the one-stage mixes with these arguments, which lie beside it as ``<folder>-<stage>``."""
    folder.mkdir(parents=True)
    made, parts = [], []
    for stage, arguments in stages.items():
        beside = folder.with_name(f"{folder.name}-{stage}")
        one = mix(sources, **{**common, **arguments}, out=beside)
        components = []
        for component in one.stages[0].components:
            path = f"selection-{stage}-{component.source}.parquet"
            (folder / path).write_bytes((beside / component.selection.path).read_bytes())
            components.append(replace(component, selection=replace(component.selection, path=path)))
        made.append(one)
        parts.append(replace(one.stages[0], name=stage, components=tuple(components)))
    total = sum(one.totals.tokens for one in made)
    summed = [sum(getattr(one.totals, field) for one in made) for field in Totals.__dataclass_fields__]
    manifest = replace(made[0], stages=tuple(replace(part, share=part.tokens / total) for part in parts), totals=Totals(*summed))
    manifest = replace(manifest, hash=digest(manifest.to_dict()))
    (folder / FILE).write_text(manifest.to_json(), encoding="utf-8")
    return read_manifest(folder)


@pytest.fixture
def staged(tmp_path: Path) -> Callable[..., Manifest]:
    """``staged(corpora, {"stable": {...}, "anneal": {...}})``: `staged_mix` in the test's folder ``m``."""

    def make(sources: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]], **common: Any) -> Manifest:
        return staged_mix(tmp_path / "m", sources, stages, **common)

    return make


WORDS = ["[UNK]", "<|endoftext|>", "web", "code", "text", "number", "é", *"0123456789"]


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tokenizer.json whose ids can be read off: one a word or digit, its place in `WORDS`; <|endoftext|> is 1."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)])
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return str(path)


@pytest.fixture(scope="session")
def mixes(tmp_path_factory: pytest.TempPathFactory, tokenizer: str) -> Path:
    """Manifests that tests only read: ``one`` (web 2.4 times, shuffled; code half, by q), ``two`` (two stages), ``plain`` (tokens estimated)."""
    place = tmp_path_factory.mktemp("mixes")
    for name, n in (("web", 60), ("code", 30)):
        for file in range(2):
            numbers = range(file * n // 2, (file + 1) * n // 2)
            columns = {
                "id": [f"{name}-{i}" for i in numbers],
                "text": [f"{name} text number {i} é" for i in numbers],
                "q": [float(i) for i in numbers],
            }
            (place / "data" / name).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), place / "data" / name / f"{file}.parquet", row_group_size=7)
    sources = {name: open_corpus(place / "data" / name, workspace=place / "ws") for name in ("web", "code")}
    amounts = {"epochs": {"web": 2.4, "code": 0.5}, "order": {"web": "shuffled", "code": "descending q"}, "sequence_length": 8}
    mix(sources, **amounts, tokenizer=tokenizer, out=place / "one")
    uncounted = {name: open_corpus(place / "data" / name, workspace=place / "empty") for name in sources}
    mix(uncounted, weights={"web": 0.75, "code": 0.25}, budget_tokens=600, sequence_length=8, out=place / "plain")
    stages = {"stable": {"epochs": 3}, "anneal": {"epochs": {"web": 0.5, "code": 1.5}, "order": "shuffled"}}
    staged_mix(place / "two", sources, stages, order="descending q", tokenizer=tokenizer, sequence_length=8)
    return place


@pytest.fixture
def ids_of() -> Callable[..., list[list[int]]]:
    """``ids_of(manifest folder, source, stage=None)``: ids that each emitted document has, its end included, from its id (web-12) alone."""
    import polars as pl

    def read(folder: Path, source: str, stage: str | None = None, end: int | None = 1) -> list[list[int]]:
        name = f"selection-{stage}-{source}.parquet" if stage else f"selection-{source}.parquet"
        table = pl.read_parquet(folder / name, glob=False).sort("rank")
        emitted = [i for p in range(int(table["repeat"].max())) for i in table.filter(pl.col("repeat") > p)["id"].to_list()]
        ends = [] if end is None else [end]
        return [[WORDS.index(source), 4, 5, *(7 + int(d) for d in i.split("-")[1]), 6, *ends] for i in emitted]

    return read
