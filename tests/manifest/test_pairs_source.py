"""Rewrites as a source of a mixture, the recipe that recycles, and the proof of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import explorer as ex
from explorer.errors import ManifestError, SelectionError
from explorer.manifest.recycle import recycle
from explorer.rewrites.pairs import Pairs, open_pairs

N = 40


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    random = np.random.default_rng(0)
    scores = np.round(random.random(N), 3)
    originals = {"id": [f"o{i}" for i in range(N)], "text": [f"original {i} " * (i % 5 + 1) for i in range(N)], "edu": scores}
    rewrites = {
        "pair_id": [f"p{i}" for i in range(N)],
        "id": [f"o{i}" for i in range(N - 1)] + ["gone"],
        "rewrite": [f"rewrite {i} " * 3 for i in range(N)],
        "edu": np.round(random.random(N), 3),
        "trust": random.random(N),
    }
    pq.write_table(pa.table(originals), tmp_path / "o.parquet")
    pq.write_table(pa.table(rewrites), tmp_path / "r.parquet")
    return open_pairs(tmp_path / "o.parquet", tmp_path / "r.parquet", on="id", workspace=tmp_path / "w")


def test_a_selection_of_pairs_is_mixed_exported_and_proven(pairs: Pairs, tmp_path: Path) -> None:
    pairs.score("size")
    kept = pairs.select("len_ratio_words < 1.2")
    manifest = ex.mix({"web": pairs.originals, "recycled": kept}, out=tmp_path / "mix")
    source = manifest.source("recycled")
    assert source.originals is not None
    assert [f.path for f in source.originals.files] == ["../o.parquet"]
    assert source.originals.on == ("id", "id")
    report = ex.verify(tmp_path / "mix", workspace=tmp_path / "w")
    assert report.ok
    assert {c.name: c.status for c in report.checks}["choice"] == "ok", report.messages
    ex.export(manifest, to="parquet", out=tmp_path / "out")
    texts = pq.read_table(tmp_path / "out" / "recycled-00000.parquet")["text"].to_pylist()
    assert texts == pairs.documents(np.sort(kept.rows()), ["rewrite"])["rewrite"].to_list()


def test_a_changed_original_is_named(pairs: Pairs, tmp_path: Path) -> None:
    ex.mix({"recycled": pairs}, out=tmp_path / "mix")
    table = pq.read_table(tmp_path / "o.parquet")
    pq.write_table(table.set_column(1, "text", pa.array(["x"] * N)), tmp_path / "o.parquet")
    failed = ex.verify(tmp_path / "mix", workspace=tmp_path / "w").failures
    assert [c.name for c in failed] == ["recycled: originals"]
    assert "o.parquet changed" in failed[0].message


def test_recipe_of_pairs(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / "mix.yaml").write_text("sources: {recycled: {pairs: [o.parquet, r.parquet], on: id, where: trust > 0.5}}")
    manifest = ex.mix_recipe(tmp_path / "mix.yaml", tmp_path / "mix", workspace=tmp_path / "w")
    assert manifest.totals.documents == len(pairs.select("trust > 0.5"))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"pairs": ["o.parquet"]}, r"It is \[ORIGINALS, REWRITES\]"),
        ({"pairs": ["o.parquet", "r.parquet"], "corpus": "o.parquet"}, "both 'corpus' and 'pairs'"),
        ({"corpus": "o.parquet", "on": "id"}, "It needs 'pairs"),
        ({"pairs": ["o.parquet", "r.parquet"], "on": ["a", "b", "c"]}, r"\[ORIGINALS' COLUMN, REWRITES' COLUMN\]"),
        ({}, "has no corpus"),
    ],
)
def test_what_is_wrong_with_a_source_of_pairs_is_said(pairs: Pairs, tmp_path: Path, item: dict, said: str) -> None:
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump({"sources": {"recycled": item}}))
    with pytest.raises(ManifestError, match=said):
        ex.mix_recipe(tmp_path / "mix.yaml", tmp_path / "mix", workspace=tmp_path / "w")


def test_repro_fills_the_budget_of_the_originals(pairs: Pairs, tmp_path: Path) -> None:
    found = recycle(pairs, "edu", minimum=0.6, trust="trust > 0.2")
    theirs, ours = pairs.originals.columns, pairs.columns
    good = theirs.numbers("edu") >= np.float32(0.6)
    assert found.organic == (int(good.sum()), float(theirs.tokens().values[good].sum()))
    may = ours.numbers("trust") > 0.2
    order = np.flatnonzero(may)[np.argsort(-ours.numbers("edu")[may], kind="stable")]
    held = np.cumsum(ours.tokens().values[order])
    count = min(len(order), int((held < found.organic[1]).sum()) + 1)
    assert found.recycled == (count, float(held[count - 1]))
    match = pairs.match.rows[order[:count]]
    assert found.rescued == int((~good[match[match >= 0]]).sum())
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump(found.recipe))
    manifest = ex.mix_recipe(tmp_path / "mix.yaml", tmp_path / "mix", workspace=tmp_path / "w")
    documents = {c.source: c.resolved.documents for c in manifest.stages[0].components}
    assert documents == {"organic": found.organic[0], "recycled": count}


def test_rewire_takes_the_same_share_of_both_in_equal_weights(pairs: Pairs, tmp_path: Path) -> None:
    found = recycle(pairs, "edu", fraction=0.25, trust="", weights=(0.5, 0.5), budget_tokens=60)
    assert (found.organic[0], found.recycled[0]) == (10, 10)
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump(found.recipe))
    manifest = ex.mix_recipe(tmp_path / "mix.yaml", tmp_path / "mix", workspace=tmp_path / "w")
    assert [round(c.resolved.weight or 0, 1) for c in manifest.stages[0].components] == [0.5, 0.5]


def test_only_rescued_rewrites(pairs: Pairs, tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="Compute it beside the rewrites"):
        recycle(pairs, "edu", minimum=0.6, trust="", only_rescued=True)
    pairs.score("gain", parameters={"gain": {"by": "edu"}})
    found = recycle(pairs, "edu", minimum=0.6, trust="", only_rescued=True)
    assert found.rescued == found.recycled[0]
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump(found.recipe))
    manifest = ex.mix_recipe(tmp_path / "mix.yaml", tmp_path / "mix", workspace=tmp_path / "w")
    assert {c.source: c.resolved.documents for c in manifest.stages[0].components}["recycled"] == found.recycled[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [({}, "needs one cut"), ({"minimum": 1, "fraction": 0.1}, "needs one cut"), ({"fraction": 2}, "above 0 and at most 1"), ({"minimum": 5}, "0 originals pass"), ({"minimum": 0.5, "trust": "trust > 2"}, "0 rewrites pass")],
)  # fmt: skip
def test_recycling_that_cannot_be(pairs: Pairs, given: dict, said: str) -> None:
    with pytest.raises(SelectionError, match=said):
        recycle(pairs, "edu", **{"trust": "", **given})
