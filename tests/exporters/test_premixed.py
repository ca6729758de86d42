"""One mixed sequence of several sources, and the exporters that are made of it."""

import gzip
import importlib.util
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import explorer as ex
from explorer.errors import ExportError
from explorer.exporters import export
from explorer.exporters.premixed import turns
from explorer.manifest.write import mix

STAGES = {"stable": {"epochs": {"web": 1, "code": 0.5}}, "anneal": {"epochs": {"web": 0.1, "code": 2.4}, "order": "descending q"}}
MIXED = ["axolotl", "litdata", "maxtext", "torchtitan"]


def emitted(folder: Path, selection: str) -> list[str]:
    table = pl.read_parquet(folder / f"selection-{selection}.parquet", glob=False).sort("rank")
    return [i for p in range(int(table["repeat"].max())) for i in table.filter(pl.col("repeat") > p)["id"].to_list()]


def rows(folder: Path, pattern: str = "mix-*.parquet") -> pl.DataFrame:
    return pl.concat([pl.read_parquet(p, glob=False) for p in sorted(folder.glob(pattern))])


def test_turns_by_hand() -> None:
    # middles of the tokens: a 1/8, 3/8, 5/8, 7/8; b 1/4, 3/4
    assert turns([np.ones(4), np.full(2, 100.0)]).tolist() == [0, 1, 0, 0, 1, 0]
    assert turns([np.zeros(2), np.zeros(0), np.ones(1)]).tolist() == [0, 2, 0]
    assert turns([]).tolist() == []


@given(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=60), min_size=1, max_size=4))
def test_any_stretch_holds_the_shares_but_for_one_document_a_source(lengths) -> None:
    tokens = [np.array(of, float) for of in lengths]
    whose = turns(tokens)
    total, largest = sum(of.sum() for of in tokens), sum(of.max() for of in tokens)
    given_out = np.zeros(len(tokens))
    at = [0] * len(tokens)
    for source in whose:
        given_out[source] += tokens[source][at[source]]
        at[source] += 1
        for number, of in enumerate(tokens):
            assert abs(given_out[number] - of.sum() / total * given_out.sum()) <= largest
    assert at == [len(of) for of in tokens]


@pytest.mark.parametrize("name", MIXED)
def test_stages_hold_what_was_chosen_in_each_sources_order(corpora, staged, tmp_path, name) -> None:
    staged(corpora, STAGES)
    report = export(tmp_path / "m", to=name, out=tmp_path / "e", rows_per_file=13)
    for stage in STAGES:
        found = rows(tmp_path / "e" / stage)
        assert found.columns == ["id", "text", "source"]
        for source in corpora:
            assert found.filter(pl.col("source") == source)["id"].to_list() == emitted(tmp_path / "m", f"{stage}-{source}")
        sizes = [pq.read_metadata(p).num_rows for p in sorted((tmp_path / "e" / stage).glob("*.parquet"))]
        assert all(n == 13 for n in sizes[:-1])
        half = found.head(len(found) // 2)["source"].value_counts(normalize=True).sort("source")["proportion"].to_list()
        whole = found["source"].value_counts(normalize=True).sort("source")["proportion"].to_list()
        assert half == pytest.approx(whole, abs=0.05)
    assert (report.loss.of("stages").how, report.loss.of("order").how) == ("exact", "exact")
    assert "in order" in report.loss.of("stages").reason
    start = (tmp_path / "e" / "README.txt").read_text()
    assert all(stage in start for stage in STAGES) or name in ("litdata", "torchtitan")


def test_axolotl_is_given_all_files_once_and_told_to_keep_the_order(corpora, tmp_path) -> None:
    mix(corpora, sequence_length=8, out=tmp_path / "m")
    report = export(tmp_path / "m", to="axolotl", out=tmp_path / "e", rows_per_file=50)
    said = yaml.safe_load((tmp_path / "e" / "axolotl.yaml").read_text())
    assert [d["data_files"] for d in said["datasets"]] == [["mix-00000.parquet", "mix-00001.parquet"]]
    assert (said["shuffle_merged_datasets"], said["curriculum_sampling"], said["sequence_len"]) == (False, True, 8)
    assert report.loss.of("selection").how == "exact"
    streaming = export(tmp_path / "m", to="axolotl", out=tmp_path / "s", streaming=True, sequence_length=13)
    said = yaml.safe_load((tmp_path / "s" / "axolotl.yaml").read_text())
    assert said["pretraining_dataset"][0]["data_files"] == "mix-00000.parquet"
    loss = streaming.loss.of("selection")  # a third of 90 documents has 12 tokens, one more than 13 - 2
    assert (loss.how, loss.number) == ("approximated", 30)


def test_maxtext_reads_one_file_after_another(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    export(tmp_path / "m", to="maxtext", out=tmp_path / "e", sequence_length=64)
    said = yaml.safe_load((tmp_path / "e" / "maxtext.yml").read_text())
    assert said["grain_train_files"] == "mix-*.parquet"
    assert (said["grain_num_threads"], said["enable_data_shuffling"], said["max_target_length"]) == (1, False, 64)
    assert "grain_train_mixture_config_path" not in said  # honoured for ArrayRecord alone


def test_litdata_index_names_the_files_in_order(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    export(tmp_path / "m", to="litdata", out=tmp_path / "e", rows_per_file=40)
    said = json.loads((tmp_path / "e" / "index.json").read_text())
    assert [(c["filename"], c["chunk_size"]) for c in said["chunks"]] == [(f"mix-0000{i}.parquet", n) for i, n in enumerate((40, 40, 10))]
    assert [c["chunk_bytes"] for c in said["chunks"]] == [p.stat().st_size for p in sorted((tmp_path / "e").glob("*.parquet"))]
    assert said["config"]["data_format"] == ["string", "large_string", "string"]


def test_a_document_without_text_is_the_empty_text(write_parquet, tmp_path) -> None:
    path = write_parquet("x.parquet", {"id": ["a", "b"], "text": ["x", None]})
    mix({"x": ex.open_corpus(path, workspace=tmp_path / "ws")}, out=tmp_path / "m")
    for name, file in (("maxtext", "mix-00000.parquet"), ("llamafactory", "x-00000.parquet"), ("levanter", "x-00000.parquet")):
        export(tmp_path / "m", to=name, out=tmp_path / name)
        assert pl.read_parquet(tmp_path / name / file)["text"].to_list() == ["x", ""]


def samples(path: Path) -> list[tuple[str, list[int]]]:
    with tarfile.open(path) as shard:
        return [(item.name, json.loads(gzip.decompress(shard.extractfile(item).read()))) for item in shard]


def test_open_lm_shards_hold_the_mixed_ids(corpora, staged, tokenizer, ids_of, tmp_path) -> None:
    staged(corpora, STAGES, sequence_length=16)
    report = export(tmp_path / "m", to="open-lm", out=tmp_path / "e", tokenizer=tokenizer, sequences_per_shard=5)
    for stage in STAGES:
        lines = (tmp_path / "e" / stage / "manifest.jsonl").read_text()
        assert lines.endswith("\n")  # without it open_lm loses the last shard
        listed = [json.loads(line) for line in lines.splitlines()]
        held = [samples(tmp_path / "e" / stage / f"{item['shard']}.tar") for item in listed]
        assert [len(of) for of in held] == [item["num_sequences"] for item in listed]
        assert all(item["num_sequences"] == 5 for item in listed[:-1])
        ids = [sample for of in held for _, sample in of]
        assert {len(sample) for sample in ids} == {17}
        documents = {source: ids_of(tmp_path / "m", source, stage) for source in corpora}
        found = [i for sample in ids for i in sample]
        assert [found.count(i) for i in (2, 3)] == pytest.approx([len(documents[s]) for s in ("web", "code")], abs=2)
        first = [i for i in found[: found.index(1) + 1]]
        assert first in (documents["web"][0], documents["code"][0])
    assert report.loss.of("tokenizer").how == "exact"
    assert "order" in report.loss.of("order").field
    left = report.loss.of("epochs").number
    assert left is not None
    assert 0 <= left < 2 * 17


def test_open_lm_without_a_tokenizer_writes_texts_for_its_script(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    report = export(tmp_path / "m", to="open-lm", out=tmp_path / "e")
    with gzip.open(tmp_path / "e" / "text" / "mix-00000.jsonl.gz", "rt") as lines:
        found = [json.loads(line) for line in lines]
    assert [d["id"] for d in found if d["source"] == "web"] == emitted(tmp_path / "m", "web")
    assert report.loss.of("tokenizer").how == "dropped"
    assert "tokenize_shuffle" in (tmp_path / "e" / "README.txt").read_text()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("axolotl", {"streaming": True}, "the manifest has none. Give sequence_length"),
        ("axolotl", {"sequence_length": 0}, "whole number above 0"),
        ("maxtext", {"rows_per_file": True}, "whole number above 0"),
        ("open-lm", {"sequences_per_shard": -1}, "whole number above 0"),
        ("llamafactory", {"mix_strategy": "weights"}, "Strategies: concat"),
        ("llamafactory", {"mix_strategy": "interleave_over", "shuffle": False}, "Leave out one of them"),
    ],
)
def test_mistakes_are_named(corpora, tmp_path, name, options, message) -> None:
    mix(corpora, out=tmp_path / "m")
    with pytest.raises(ExportError, match=message):
        export(tmp_path / "m", to=name, out=tmp_path / "e", **options)
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("name", ["litdata_mix", "torchtitan_mix"])
def test_modules_are_plain_python_that_needs_its_trainer(corpora, tmp_path, name) -> None:
    mix(corpora, out=tmp_path / "m")
    export(tmp_path / "m", to=name.removesuffix("_mix"), out=tmp_path / "e")
    path = tmp_path / "e" / f"{name}.py"
    compile(path.read_text(), str(path), "exec")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    if importlib.util.find_spec(name.removesuffix("_mix")) is None:
        with pytest.raises(ModuleNotFoundError, match=name.removesuffix("_mix")):
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert name not in sys.modules
