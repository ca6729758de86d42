"""Recipes: the YAML that ``explorer mix`` reads."""

import polars as pl
import pytest

import explorer as ex
from explorer.errors import ManifestError
from explorer.manifest.recipe import mix_recipe
from explorer.manifest.write import mix

RECIPE = """
name: run-a
seed: 7
budget_tokens: 1_000
sequence_length: 64
sources:
  web: {corpus: data/web/*.parquet, filters: half.yaml, weight: 0.7}
  code: {corpus: [data/code], where: "q < 0.9", weight: 0.3, max_epochs: 4}
stages:
  - {name: all, share: 1, order: shuffled}
"""


def test_a_recipe_is_the_same_mix_as_in_python(corpora, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "half.yaml").write_text("name: half\nfilters:\n  - {signal: q, minimum: 0.5}\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    by_recipe = mix_recipe(tmp_path / "recipe.yaml", tmp_path / "a", workspace=tmp_path / "ws")
    half = ex.Filters.load(tmp_path / "half.yaml")
    by_hand = mix(
        {"web": corpora["web"].select(half), "code": corpora["code"].select("q < 0.9")},
        weights={"web": 0.7, "code": 0.3}, max_epochs={"code": 4}, budget_tokens=1000, sequence_length=64, seed=7, order="shuffled",
        name="run-a", out=tmp_path / "b",
    )  # fmt: skip
    assert by_recipe == by_hand
    assert by_recipe.source("web").recipe == "half"
    for name in ("manifest.json", "selection-web.parquet", "selection-code.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_shortest_recipe_takes_everything_once(corpora, tmp_path) -> None:
    (tmp_path / "all.yaml").write_text("sources: {web: {corpus: data/web}}")
    manifest = mix_recipe(tmp_path / "all.yaml", tmp_path / "m", workspace=tmp_path / "ws")
    assert manifest.name == "all"
    assert pl.read_parquet(tmp_path / "m" / "selection-web.parquet")["repeat"].to_list() == [1] * 60


def test_numbers_may_be_written_with_an_exponent(corpora, tmp_path) -> None:
    (tmp_path / "r.yaml").write_text("budget_tokens: 1e3\nsources: {web: {corpus: data/web, weight: 1}}")
    assert mix_recipe(tmp_path / "r.yaml", tmp_path / "m", workspace=tmp_path / "ws").budget_tokens == 1000.0


@pytest.mark.parametrize("away", ["null", "''"])
def test_a_role_can_be_taken_away(corpora, tmp_path, away) -> None:
    (tmp_path / "r.yaml").write_text(f"sources: {{web: {{corpus: data/web, roles: {{id: {away}}}}}}}")
    assert mix_recipe(tmp_path / "r.yaml", tmp_path / "m", workspace=tmp_path / "ws").sources[0].id_column is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources: {}", "has no sources"),
        ("[1]", "must be a mapping"),
        ("sources: {web: {corpus: data/web}}\nsede: 1", "unknown key 'sede'"),
        ("sources: {web: {corpus: data/web, wieght: 1}}", "unknown key 'wieght'"),
        ("sources: {web: {filters: x.yaml}}", "has no corpus"),
        (
            "sources: {re: {pairs: [a], on: id, weight: 1}}",
            r"It is \[ORIGINALS, REWRITES\]",
        ),
        ("sources: {web: {corpus: data/web}}\nstages: [{name: a}, {name: b}]", "Stage 'a' has no size"),
        ("sources: {web: {corpus: data/web}}\nstages: [{name: a, share: 0.5}]", "takes the whole budget"),
        ("sources: {web: {corpus: data/web, weight: heavy}}", "web: weight is 'heavy'"),
        ("sources: {web: {corpus: data/web, weight: 1, epochs: 2}}", "weight and epochs"),
        ("sources: {web: {corpus: data/web, documents: 1.5}}", "whole number"),
        ("sources: {web: {corpus: data/web, roles: {workspace: x}}}", "has the role 'workspace'. Roles: text, id"),
        ("sources: {web: {corpus: data/web, roles: {id: 3}}}", "They must be a mapping"),
        ("sources: [", "cannot be read"),
        ("sources:\n  web: {corpus: a}\n  web: {corpus: b}", "the key 'web' comes twice, again in line 3. Mend it"),
        ("sources: {web: {corpus: a, weight: 1, weight: 2}}", "the key 'weight' comes twice"),
    ],
)
def test_mistakes_in_a_recipe_are_named(corpora, tmp_path, text, message) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(ManifestError, match=message):
        mix_recipe(tmp_path / "r.yaml", tmp_path / "m", workspace=tmp_path / "ws")
    assert not (tmp_path / "m").exists()
