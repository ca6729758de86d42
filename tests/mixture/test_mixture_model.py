"""Mixtures as values: recipe ⇄ mixture, transforms, budgets in words, and documents that sources share."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import explorer as ex
from explorer.errors import ManifestError
from explorer.manifest.recipe import mix_recipe
from explorer.manifest.verify import verify
from explorer.manifest.write import mix
from explorer.mixture.amounts import AMOUNTS, Given, wear
from explorer.mixture.counted import count_sources
from explorer.mixture.model import Mixture, SourcePlan, StagePlan, load_mixture, mixture_of
from explorer.mixture.overlaps import overlaps
from explorer.mixture.preview import count_mixture, preview
from explorer.mixture.sources import tokenizer_of
from explorer.mixture.transforms import KNOWN, Transform, transform

RECIPE = """
name: run-a
seed: 7
budget_tokens: 1_200
sequence_length: 64
sources:
  web: {corpus: data/web/*.parquet, filters: half.yaml, weight: 0.7}
  code: {corpus: [data/code], where: "q < 0.9", weight: 0.3, max_epochs: 40, transform: {name: fim, rate: 0.9}}
stages:
  - {name: stable, share: 0.75, order: shuffled}
  - name: anneal
    share: 0.25
    schedule: cosine
    steps: 3
    weights: {web: 0.7, code: 0.3}
    to_weights: {code: 1}
    order: {code: folded q 2}
    sequence_length: 128
    transform: {code: fim}
"""


@pytest.fixture
def recipe(corpora, tmp_path) -> Path:
    (tmp_path / "half.yaml").write_text("name: half\nfilters:\n  - {signal: q, minimum: 0.5}\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path / "recipe.yaml"


def test_a_recipe_with_stages_is_mixed_proven_and_saved(recipe, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir("/")
    mixture = load_mixture(recipe)
    assert [s.name for s in mixture.stages] == ["stable", "anneal"]
    manifest = mix_recipe(recipe, tmp_path / "a", workspace=tmp_path / "ws")
    assert [s.name for s in manifest.stages] == ["stable", "anneal-1", "anneal-2", "anneal-3"]
    assert [s.sequence_length for s in manifest.stages] == [None, 128, 128, 128]
    code = [next(c for c in s.components if c.source == "code") for s in manifest.stages]
    assert [c.transform_parameters["rate"] for c in code] == [0.9, 0.5, 0.5, 0.5]
    assert [c.order for c in code] == ["shuffled", *["folded q 2"] * 3]
    assert verify(tmp_path / "a", workspace=tmp_path / "ws").ok
    saved = mixture.save(tmp_path / "elsewhere" / "again.yaml")
    again = load_mixture(saved)
    assert again == replace(mixture, sources=again.sources)
    assert preview(again, count_mixture(again, workspace=tmp_path / "ws")).documents == manifest.totals.documents


def test_a_recipe_is_previewed_without_writing(recipe, tmp_path) -> None:
    mixture = load_mixture(recipe)
    counted = count_mixture(mixture, workspace=tmp_path / "ws")
    before = sorted(tmp_path.rglob("*"))
    shown = preview(mixture, counted)
    assert shown.tokens == pytest.approx(1200, abs=12)
    assert [s.verdict for s in shown.sources] == ["fine", "fine"]
    assert "anneal-3" in shown._repr_html_()
    assert sorted(tmp_path.rglob("*")) == before


names = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
positive = st.floats(0.001, 1e9)
givens = st.builds(
    lambda amount, value: Given(**{amount: int(value) + 1 if amount == "documents" else value}), st.sampled_from(AMOUNTS), positive
)
transforms = st.sampled_from(sorted(KNOWN)).map(lambda name: transform(name, "x"))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_mixture_is_read_as_it_was_written(tmp_path_factory, data) -> None:
    sources = data.draw(st.lists(names, min_size=1, max_size=3, unique=True))
    picked = lambda values: st.dictionaries(st.sampled_from(sources), values, max_size=3)  # noqa: E731
    source = st.builds(
        SourcePlan, name=names, data=st.just({"corpus": "x/*.parquet"}), given=givens | st.just(Given()), max_epochs=st.none() | positive,
        order=st.sampled_from(["natural", "folded a b 3"]), transform=transforms,
    )  # fmt: skip
    stage = st.builds(
        StagePlan, name=names, share=st.none() | positive, budget_tokens=st.none() | positive, given=picked(givens),
        order=st.none() | st.just("shuffled"), transforms=picked(transforms), sequence_length=st.none() | st.integers(1, 9),
    )  # fmt: skip
    ramp = st.builds(StagePlan, name=names, given=picked(positive.map(lambda w: Given(weight=w))), schedule=st.just("linear"), to_weights=picked(positive), steps=st.integers(2, 9))  # fmt: skip
    mixture = Mixture(
        data.draw(names),
        tuple(replace(data.draw(source), name=name) for name in sources),
        tuple(data.draw(st.lists(stage | ramp, max_size=3))),
        data.draw(st.integers(0, 99)),
        data.draw(st.none() | positive),
        data.draw(st.none() | st.integers(1, 9999)),
        data.draw(st.none() | st.just("words")),
    )
    assert mixture_of(mixture.to_dict()) == mixture
    assert load_mixture(mixture.save(tmp_path_factory.getbasetemp() / "m.yaml")) == mixture


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("rot13", "Transforms: none, fim, thinking, chunk-shuffle"),
        ({"name": "fim", "rat": 1}, "no parameter 'rat'. Parameters: rate, spm_rate"),
        ({"name": "fim", "rate": 2}, "number from 0 to 1. Its default is 0.5"),
        ({"name": "fim", "rate": True}, "number from 0 to 1"),
        ({"name": "chunk-shuffle", "parts": 2.5}, "whole number from 2 to 64"),
        ({"name": "thinking", "column": 3}, "must be a text"),
        (["fim"], "Transforms: none"),
    ],
)
def test_transforms_that_are_not_understood_are_refused(said, message) -> None:
    with pytest.raises(ManifestError, match=message):
        transform(said, "Source 'code'")
    assert transform({"name": "fim", "rate": 1}, "x") == Transform("fim", {"rate": 1.0, "spm_rate": 0.5})


def test_a_budget_in_words_counts_words(write_parquet, tmp_path) -> None:
    texts = ["one two three", "four\u00a0five\n", "", "  six  seven\teight nine ", None]
    path = write_parquet("data/a.parquet", {"id": list("abcde"), "text": texts, "tokens": [100] * 5})
    corpus = ex.open_corpus(path, workspace=tmp_path / "ws")
    manifest = mix({"a": corpus}, tokenizer="words", tokens={"a": 8}, out=tmp_path / "m")
    assert manifest.source("a").tokens == sum(len((t or "").split()) for t in texts) == 9
    assert (manifest.tokenizer.label, manifest.tokenizer.estimated) == ("words", False)
    assert abs(manifest.totals.tokens - 8) <= 2
    assert [s.name for s in manifest.source("a").signals] == ["n_words"]
    assert {c.status for c in verify(tmp_path / "m", workspace=tmp_path / "ws").checks} == {"ok"}


def test_a_tokenizer_beside_the_recipe_is_before_one_in_the_current_folder(tmp_path, monkeypatch) -> None:
    for folder, name in (("recipe", "a.json"), ("here", "a.json"), ("here", "b.json"), ("recipe", "words")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    said = Mixture("m", (SourcePlan("a"),), base=tmp_path / "recipe")
    named = {name: tokenizer_of(replace(said, tokenizer=name)) for name in ("a.json", "b.json", "words", "gpt2")}
    assert named == {"a.json": str(tmp_path / "recipe/a.json"), "b.json": str(tmp_path / "here/b.json"), "words": "words", "gpt2": "gpt2"}


def test_documents_that_sources_share_are_found_by_id_and_by_text(write_parquet, tmp_path) -> None:
    columns = {"id": [f"w{i}" for i in range(6)], "text": [f"text {i}" for i in range(5)] + [""], "tokens": [10] * 6}
    write_parquet("a.parquet", columns)
    # the same text under other ids (0, 1), the same id with another text (2), both (3), an empty text on both sides (5)
    write_parquet(
        "b.parquet", {"id": ["x0", "x1", "w2", "w3", "x5"], "text": ["text 0", "text 1", "new", "text 3", ""], "tokens": [10] * 5}
    )
    a, b = (ex.open_corpus(tmp_path / f"{n}.parquet", workspace=tmp_path / "ws") for n in "ab")
    (found,) = overlaps(count_sources({"a": a, "b": b}))
    assert (found.same_id, found.same_text, found.documents, found.tokens) == (2, 3, 4, 40.0)
    stages = [{"name": "s", "epochs": {"a": 1}}, {"name": "t", "epochs": {"b": 1}}]
    manifest = mix({"a": a, "b": b}, stages=stages, out=tmp_path / "m")
    assert (
        "4 documents of a (40 tokens) are in b too: 3 have the same text; 2 have the same id. They are seen more often than the epochs say."
        in manifest.warnings
    )
    (other,) = overlaps(count_sources({"a": a.select("id = 'w2'"), "b": b}))
    assert other.message.startswith("1 documents of a have an id that b has too, with another text (10 tokens).")
    assert overlaps(count_sources({"a": a.select("id = 'w4'"), "b": b})) == ()


def test_documents_that_no_stage_emits_do_not_overlap(corpora, tmp_path) -> None:
    web = corpora["web"]
    manifest = mix({"a": web.select("q < 0.5"), "b": web}, documents={"a": 1, "b": 1}, out=tmp_path / "m")
    assert not any("are in b too" in w for w in manifest.warnings)
    table = pq.read_table(tmp_path / "m" / "selection-a.parquet")
    assert table.num_rows == 1


@pytest.mark.parametrize(
    ("epochs", "verdict", "worth"),  # worth: huggingface/datablations' fit
    [(0.5, "fine", 0.5), (4, "fine", 3.725673), (5, "worn", 4.522373), (16, "worn", None), (20, "spent", 11.911333)],
)
def test_how_worn_a_source_is(epochs, verdict, worth) -> None:
    worn = wear(epochs * 1e9, 1e9)
    assert (worn.epochs, worn.verdict) == (epochs, verdict)
    if worth is not None:
        assert worn.effective_tokens / 1e9 == pytest.approx(worth, abs=1e-5)
    assert wear(0.0, 0.0).verdict is None


def test_the_command_previews_and_mixes_stages(recipe, tmp_path, capfd) -> None:
    from explorer.cli import run

    common = [str(recipe), "--workspace", str(tmp_path / "ws")]
    assert run(["mix", *common, "--preview", "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert run(["mix", *common, "--out", str(tmp_path / "m"), "--json"]) == 0
    written = json.loads(capfd.readouterr().out)
    assert [s["documents"] for s in shown["stages"]] == [s["documents"] for s in written["stages"]]
    assert run(["mix", *common, "--preview"]) == 0
    said = capfd.readouterr()
    assert "anneal-3" in said.out
    assert "Nothing was written." in said.err
    assert run(["mix", *common]) == 2
    assert "Give either --out DIR" in capfd.readouterr().err
