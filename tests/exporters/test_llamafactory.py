"""LLaMA-Factory's dataset_info.json and configurations."""

import json
import math

import polars as pl
import yaml

from explorer.exporters import export
from explorer.manifest.write import mix

WEIGHTS = {"web": 0.5, "code": 0.5}


def test_joined_files_hold_every_document_once_and_need_no_weights(corpora, staged, tmp_path) -> None:
    manifest = staged(corpora, {"stable": {"epochs": {"web": 1, "code": 0.5}}, "anneal": {"epochs": 2}}, sequence_length=32)
    report = export(manifest, to="llamafactory", out=tmp_path / "e", rows_per_file=50)
    info = json.loads((tmp_path / "e" / "dataset_info.json").read_text())
    for stage, counts in (("stable", {"web": 60, "code": 15}), ("anneal", {"web": 120, "code": 60})):
        said = yaml.safe_load((tmp_path / "e" / f"llamafactory-{stage}.yaml").read_text())
        assert (said["stage"], said["mix_strategy"], said["num_train_epochs"]) == ("pt", "concat", 1.0)
        assert said["cutoff_len"] == 33  # LLaMA-Factory takes one off where it packs
        assert "interleave_probs" not in said
        parts = [pl.read_parquet(tmp_path / "e" / info[name]["file_name"], glob=False) for name in said["dataset"].split(",")]
        assert dict(pl.concat(parts).group_by("source").len().iter_rows()) == counts
        assert {info[name]["columns"]["prompt"] for name in said["dataset"].split(",")} == {"text"}
    weight = report.loss.of("weight")
    assert (weight.how, report.loss.of("order").how) == ("approximated", "dropped")
    assert 0.005 < weight.number < 0.05, weight.reason  # half of code: whole documents only


def test_probabilities_are_those_of_documents(tmp_path, corpora) -> None:
    # equal tokens, but code has 20 tokens a document where web has 10 + {0, 1, 2}
    manifest = mix(corpora, weights=WEIGHTS, budget_tokens=400, out=tmp_path / "m")
    report = export(manifest, to="llamafactory", out=tmp_path / "e", mix_strategy="interleave_under")
    said = yaml.safe_load((tmp_path / "e" / "llamafactory.yaml").read_text())
    probabilities = [float(p) for p in said["interleave_probs"].split(",")]
    parts = manifest.stages[0].components
    rates = [WEIGHTS[p.source] / (p.resolved.tokens / p.resolved.documents) for p in parts]
    assert abs(sum(probabilities) - 1) < 1e-12
    for found, rate in zip(probabilities, rates, strict=True):
        assert math.isclose(found, rate / sum(rates), abs_tol=0.01)
    assert report.loss.of("weight").how == "approximated"
    assert report.loss.of("epochs").how == "dropped"


def test_without_shuffling_one_mixed_sequence_is_read_in_order(corpora, tmp_path) -> None:
    mix(corpora, order="descending q", out=tmp_path / "m")
    report = export(tmp_path / "m", to="llamafactory", out=tmp_path / "e", shuffle=False)
    said = yaml.safe_load((tmp_path / "e" / "llamafactory.yaml").read_text())
    assert (said["dataset"], said["disable_shuffling"]) == ("mix-00000", True)
    assert report.loss.of("order").how == "exact"
    found = pl.read_parquet(tmp_path / "e" / "mix-00000.parquet")
    assert found.filter(pl.col("source") == "web")["id"].to_list() == [f"web-{i}" for i in reversed(range(60))]
