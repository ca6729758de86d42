"""A selection as a recipe and back: the manifest holds exactly the selection."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import explorer as ex
from explorer.errors import ManifestError
from explorer.manifest.breakdown import by_group
from explorer.manifest.propose import propose_recipe, write_recipe
from explorer.manifest.recipe import mix_recipe
from explorer.selection.samplers import Sample


def made(selection, tmp_path, **asked):
    file = write_recipe(propose_recipe(selection, name="run", **asked), tmp_path / "mixtures" / "run.yaml")
    return mix_recipe(file, tmp_path / "manifest", workspace=tmp_path / "ws")


def ids(manifest):
    component = manifest.stages[0].components[0]
    return pl.read_parquet(manifest.folder / component.selection.path)


def test_the_manifest_holds_the_selection_once(corpora, tmp_path):
    web = corpora["web"]
    selection = web.select(ex.Filters((ex.Threshold("q", minimum=0.25),), where="id != 'web-59'"))
    manifest = made(selection, tmp_path)
    found = ids(manifest)
    assert found["id"].to_list() == [f"web-{i}" for i in range(15, 59)]
    assert found["repeat"].to_list() == [1] * 44
    assert (manifest.totals.documents, manifest.totals.tokens) == (44, web.columns.tokens().values[selection.rows()].sum())


def test_paths_of_another_folder_are_found_again(corpora, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "data")
    relative = ex.open_corpus("code", workspace=tmp_path / "ws")
    recipe = write_recipe(propose_recipe(relative.select(), name="run"), tmp_path / "elsewhere" / "run.yaml")
    monkeypatch.chdir("/")
    assert mix_recipe(recipe, tmp_path / "manifest", workspace=tmp_path / "ws").totals.documents == 30


def test_epochs_tokens_order_and_sampler(corpora, tmp_path):
    web = corpora["web"]
    assert made(web.select(), tmp_path / "a", epochs=2.5, seed=3).totals.documents == 150
    assert made(web.select(), tmp_path / "b", tokens=110).totals.tokens == pytest.approx(110, abs=12)
    falling = ids(made(web.select(), tmp_path / "c", order="descending q"))
    assert falling["id"].to_list() == [f"web-{i}" for i in reversed(range(60))]
    sampled = web.select(ex.Filters(sample=Sample("top_fraction_docs", by="q", fraction=0.1)))
    assert set(ids(made(sampled, tmp_path / "d"))["id"]) == {f"web-{i}" for i in range(54, 60)}


def test_roles_given_and_taken_away_come_back(write_parquet, tmp_path):
    columns = {"id": ["1", "2"], "text": ["a", "b"], "url": ["u", "v"], "body": ["c", "d"], "tokens": [1, 2]}
    corpus = ex.open_corpus(write_parquet("x.parquet", columns), workspace=tmp_path / "ws", text="body", id=None, tokens=None)
    said = propose_recipe(corpus.select(), name="run")["sources"]["corpus"]["roles"]
    assert said == {"text": "body", "url": "url", "id": None, "tokens": None}
    source = made(corpus.select(), tmp_path).sources[0]
    assert dict(source.roles) == {"text": "body", "url": "url"}
    assert source.id_column is None
    assert source.estimated


def test_two_amounts_are_refused(corpora):
    with pytest.raises(ManifestError, match="Both epochs and tokens"):
        propose_recipe(corpora["web"].select(), name="x", epochs=1, tokens=1)


def test_a_manifest_by_group_counts_repeats(corpora, tmp_path):
    web = corpora["web"]
    manifest = made(web.select(ex.Threshold("q", minimum=0.5)), tmp_path, epochs=3)
    frame = by_group(manifest, web, "source")
    assert frame["documents"].sum() == manifest.totals.documents == 90
    assert frame["unique_documents"].sum() == 30
    assert frame["tokens"].sum() == pytest.approx(manifest.totals.tokens)
    assert frame["share"].sum() == pytest.approx(1)
    here = np.bincount(web.columns.groups("source").codes[30:], minlength=frame.height)
    assert frame["unique_documents"].to_list() == here.tolist()


def test_a_manifest_of_other_files_has_no_groups_here(corpora, tmp_path):
    assert by_group(made(corpora["web"].select(), tmp_path), corpora["code"]) is None
