"""Materialised Parquet, read back by itself and by Hugging Face ``datasets``."""

import importlib.util
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import explorer as ex
from explorer.errors import ExportError, ManifestError
from explorer.exporters import base, export
from explorer.manifest.model import digest
from explorer.manifest.verify import verify
from explorer.manifest.write import mix


def emitted(folder: Path, source: str, column: str = "id") -> list[str]:
    """Ids in the order and number that a selection file promises."""
    table = pl.read_parquet(folder / f"selection-{source}.parquet", glob=False).sort("rank")
    passes = range(int(table["repeat"].max()))
    return [i for p in passes for i in table.filter(pl.col("repeat") > p)[column].to_list()]


def exported(folder: Path, source: str) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(p, glob=False) for p in sorted(folder.glob(f"{source}-*.parquet"))])


def loader(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("load_mix", folder / "load_mix.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("order", ["natural", "shuffled", "descending q"])
@pytest.mark.parametrize("rows_per_file", [None, 1, 8, 1000])
def test_the_files_hold_exactly_the_chosen_documents_in_order(corpora, tmp_path, order, rows_per_file) -> None:
    mix({"web": corpora["web"].select("q >= 0.1")}, epochs=2.4, order=order, out=tmp_path / "m")
    export(tmp_path / "m", to="parquet", out=tmp_path / "e", rows_per_file=rows_per_file)
    found = exported(tmp_path / "e", "web")
    assert found["id"].to_list() == emitted(tmp_path / "m", "web")
    assert found.columns == ["id", "text", "tokens", "q"]
    source = pl.concat([pl.read_parquet(p) for p in sorted((tmp_path / "data" / "web").glob("*.parquet"))])
    assert found.unique("id").sort("id").equals(source.filter(pl.col("q") >= 0.1).sort("id"))
    if rows_per_file:
        sizes = [pq.read_metadata(p).num_rows for p in sorted((tmp_path / "e").glob("*.parquet"))]
        assert all(n == rows_per_file for n in sizes[:-1])


def test_text_only_carries_the_stable_id_and_the_source(corpora, tmp_path) -> None:
    mix(corpora, order="shuffled", out=tmp_path / "m")
    export(tmp_path / "m", to="parquet", out=tmp_path / "e", columns="text")
    found = exported(tmp_path / "e", "code")
    assert found.columns == ["id", "text", "source"]
    assert found["id"].to_list() == emitted(tmp_path / "m", "code")
    assert found["text"].to_list() == [f"code text number {i.removeprefix('code-')} é" for i in found["id"]]
    assert set(found["source"]) == {"code"}


@pytest.mark.parametrize("order", ["natural", "shuffled"])
def test_the_same_manifest_gives_the_same_bytes(corpora, tmp_path, order) -> None:
    mix(corpora, epochs=1.7, order=order, out=tmp_path / "m")
    for name in ("a", "b"):
        export(tmp_path / "m", to="parquet", out=tmp_path / name, rows_per_file=20)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(names) > 6
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.trainer
def test_datasets_loads_ids_order_and_counts(corpora, tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    manifest = mix(corpora, epochs={"web": 1, "code": 2.5}, order="shuffled", out=tmp_path / "m")
    export(manifest, to="parquet", out=tmp_path / "e", rows_per_file=25)
    wanted = emitted(tmp_path / "m", "web") + emitted(tmp_path / "m", "code")
    cache = {"cache_dir": str(tmp_path / "hf")}

    files = sorted(str(p) for p in (tmp_path / "e").glob("web-*.parquet"))
    plain = datasets.load_dataset("parquet", data_files={"train": files}, split="train", **cache)
    assert list(plain["id"]) == emitted(tmp_path / "m", "web")

    load_mix = loader(tmp_path / "e").load_mix
    exact = load_mix(**cache)
    assert list(exact["id"]) == wanted
    assert len(exact) == manifest.totals.documents == 135
    assert [row["id"] for row in load_mix(streaming=True)] == wanted

    drawn = list(load_mix(interleaved=True, **cache)["id"])
    assert Counter(drawn) == Counter(wanted)
    for source in ("web", "code"):
        assert [i for i in drawn if i.startswith(source)] == emitted(tmp_path / "m", source)
    assert drawn != wanted


def test_probabilities_add_up_as_strictly_as_datasets_asks(corpora, tmp_path) -> None:
    mix(corpora, epochs={"web": 0.37, "code": 1}, out=tmp_path / "m")
    export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    said = json.loads((tmp_path / "e" / "mix.json").read_text())
    (stage,) = said["stages"]
    assert sum(stage["probabilities"]) == pytest.approx(1, abs=1e-12)
    assert [s["documents"] for s in stage["sources"]] == [22, 30]


@pytest.mark.trainer
def test_stages_lie_in_a_folder_each_and_follow_each_other(corpora, staged, tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    stages = {"stable": {"epochs": {"web": 1.5, "code": 0.5}}, "anneal": {"epochs": {"web": 0.1, "code": 2}, "order": "descending q"}}
    staged(corpora, stages)
    report = export(tmp_path / "m", to="parquet", out=tmp_path / "e", rows_per_file=50)
    assert [f.relative_to(tmp_path / "e").as_posix() for f in report.files if f.suffix == ".parquet"] == [
        "anneal/code-00000.parquet",
        "anneal/code-00001.parquet",
        "anneal/web-00000.parquet",
        "stable/code-00000.parquet",
        "stable/web-00000.parquet",
        "stable/web-00001.parquet",
    ]
    assert "2 stages" in report.loss.of("stages").reason
    wanted = {stage: [i for s in ("web", "code") for i in emitted(tmp_path / f"m-{stage}", s)] for stage in stages}
    load_mix = loader(tmp_path / "e").load_mix
    cache = {"cache_dir": str(tmp_path / "hf")}
    assert list(load_mix(**cache)["id"]) == wanted["stable"] + wanted["anneal"]
    assert list(load_mix(stages=["anneal"], **cache)["id"]) == wanted["anneal"]
    drawn = list(load_mix(interleaved=True, **cache)["id"])
    assert Counter(drawn[: len(wanted["stable"])]) == Counter(wanted["stable"])
    with pytest.raises(ValueError, match="Stages: stable, anneal"):
        load_mix(stages=["warm"])
    assert verify(tmp_path / "e").ok


def test_a_transform_is_not_passed_over(corpora, tmp_path) -> None:
    manifest = mix({"web": corpora["web"]}, out=tmp_path / "m")
    stage = manifest.stages[0]
    changed = replace(manifest, stages=(replace(stage, components=(replace(stage.components[0], transform="fim"),)),))
    with pytest.raises(ExportError, match="has the transform 'fim'"):
        export(changed, to="parquet", out=tmp_path / "e")


def test_invalid_utf8_is_mended_and_counted(tmp_path) -> None:
    raw = [b"fine", b"caf\xe9", None, b"\xff\xfe", "Ünï".encode()]
    text = pa.Array.from_buffers(pa.string(), 5, pa.array(raw, pa.binary()).buffers())
    pq.write_table(pa.table({"id": [f"d{i}" for i in range(5)], "text": text}), tmp_path / "x.parquet")
    mix({"x": ex.open_corpus(tmp_path / "x.parquet", workspace=tmp_path / "ws")}, out=tmp_path / "m")
    report = export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    assert exported(tmp_path / "e", "x")["text"].to_list() == ["fine", "caf\ufffd", None, "\ufffd\ufffd", "Ünï"]
    loss = report.loss.of("selection")
    assert (loss.how, loss.number) == ("approximated", 2)
    assert "2 of x" in loss.reason


def test_sources_with_other_columns_share_one_schema(write_parquet, tmp_path) -> None:
    a = write_parquet("a/a.parquet", {"id": ["a1", "a2"], "text": ["x", "y"], "n": pa.array([1, 2], pa.int32())})
    b = write_parquet("b/b.parquet", {"id": ["b1"], "content": pa.array(["z"]).dictionary_encode(), "n": pa.array([2**40], pa.int64())})
    mix({n: ex.open_corpus(p, workspace=tmp_path / "ws") for n, p in (("a", a), ("b", b))}, out=tmp_path / "m")
    export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    schemas = {pq.read_schema(p) for p in (tmp_path / "e").glob("*.parquet")}
    assert len(schemas) == 1
    assert exported(tmp_path / "e", "b").to_dicts() == [{"id": "b1", "text": "z", "n": 2**40}]


def test_types_that_cannot_be_one_are_refused_with_a_way_out(write_parquet, tmp_path) -> None:
    a = write_parquet("a/a.parquet", {"text": ["x"], "meta": ["s"]})
    b = write_parquet("b/b.parquet", {"text": ["y"], "meta": [1]})
    mix({n: ex.open_corpus(p, workspace=tmp_path / "ws") for n, p in (("a", a), ("b", b))}, out=tmp_path / "m")
    with pytest.raises(ExportError, match="Export the text alone: columns=text"):
        export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    assert not (tmp_path / "e").exists()
    export(tmp_path / "m", to="parquet", out=tmp_path / "e", columns="text")
    assert exported(tmp_path / "e", "b")["text"].to_list() == ["y"]


def test_a_source_that_is_not_the_one_mixed_is_refused(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    path = tmp_path / "data" / "code" / "part-0.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    for checked in (True, False):
        with pytest.raises(ExportError, match="is not the file that was mixed"):
            export(tmp_path / "m", to="parquet", out=tmp_path / "e", check_sources=checked)
    path.unlink()
    with pytest.raises(ExportError, match="--root DIR"):
        export(tmp_path / "m", to="parquet", out=tmp_path / "e")


def test_a_source_edited_behind_an_unchanged_footer_is_refused(tmp_path) -> None:
    path = tmp_path / "x.parquet"
    columns = {"id": ["1", "2"], "text": ["a first", "write joe@example.com"]}
    pq.write_table(pa.table(columns), path, compression="none", use_dictionary=False, write_statistics=False)
    mix({"x": ex.open_corpus(path, workspace=tmp_path / "ws")}, out=tmp_path / "m")
    assert path.read_bytes().count(b"joe@example") == 1
    path.write_bytes(path.read_bytes().replace(b"joe@example", b"eve@example"))
    with pytest.raises(ExportError, match=r"x\.parquet' is not the file that was mixed: its sha256 was .*explorer verify"):
        export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    assert not (tmp_path / "e").exists()
    unchecked = export(tmp_path / "m", to="parquet", out=tmp_path / "e", check_sources=False)
    assert "sources were not hashed" in unchecked.loss.of("selection").reason
    assert "sources were not hashed" in (tmp_path / "e" / "parquet.provenance.json").read_text()


@pytest.mark.parametrize("folder", ["id=7/m", "weight=2/m[1]", "row=3/m*"])
@pytest.mark.parametrize("order", ["natural", "shuffled"])
def test_folder_names_add_no_column_and_are_no_pattern(corpora, tmp_path, folder, order) -> None:
    mix(corpora, order=order, out=tmp_path / folder)
    assert verify(tmp_path / folder, workspace=tmp_path / "ws").ok
    report = export(tmp_path / folder, to="parquet", out=tmp_path / "id=9" / "e[1]", columns="text")
    assert exported(tmp_path / "id=9" / "e[1]", "web")["id"].to_list() == emitted(tmp_path / folder, "web")
    assert report.loss.of("loss_weight").how == "exact"


def test_a_manifest_cannot_name_a_file_elsewhere(corpora, tmp_path) -> None:
    manifest = mix({"web": corpora["web"]}, out=tmp_path / "m")
    victim = tmp_path / "victim" / "web-00000.parquet"
    victim.parent.mkdir()
    victim.write_text("precious")
    said = json.loads(manifest.to_json().replace('"name": "web"', '"name": "../victim/web"').replace(': "web"', ': "../victim/web"'))
    said["hash"] = digest(said)
    (tmp_path / "m" / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(ManifestError, match=r"has the source '\.\./victim/web'"):
        export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    by_hand = replace(manifest, sources=(replace(manifest.sources[0], name="../victim/web"),))
    with pytest.raises(ManifestError, match=r"has the source '\.\./victim/web'"):
        export(by_hand, to="parquet", out=tmp_path / "e")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/tmp/x", "", "."])
def test_an_exporter_writes_inside_its_folder_alone(tmp_path, name) -> None:
    (tmp_path / "e").mkdir()
    assert base.inside(tmp_path / "e", "a/b") == tmp_path / "e" / "a" / "b"
    with pytest.raises(ExportError, match="lie in its own folder"):
        base.inside(tmp_path / "e", name)


def test_a_changed_selection_or_manifest_is_refused(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    with open(tmp_path / "m" / "selection-web.parquet", "ab") as file:
        file.write(b"x")
    with pytest.raises(ExportError, match="was changed"):
        export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    said = (tmp_path / "m" / "manifest.json").read_text()
    (tmp_path / "m" / "manifest.json").write_text(said.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ManifestError, match="was edited"):
        export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_sources_foreign_folders_and_the_manifest_are_never_written_over(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*.parquet"))}
    for out in (tmp_path / "data" / "web", tmp_path / "data", tmp_path / "m", tmp_path):
        with pytest.raises(ExportError):
            export(tmp_path / "m", to="parquet", out=out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(ExportError, match="is not empty and is not an export"):
        export(tmp_path / "m", to="parquet", out=tmp_path / "mine")
    assert {p: p.read_bytes() for p in sorted(tmp_path.rglob("*.parquet"))} == before
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_an_export_that_is_itself_a_source_is_not_replaced(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    mix({"again": ex.open_corpus(tmp_path / "e", workspace=tmp_path / "ws")}, out=tmp_path / "m2")
    with pytest.raises(ExportError, match="holds the source file"):
        export(tmp_path / "m2", to="parquet", out=tmp_path / "e")
    assert verify(tmp_path / "e").ok


def test_an_earlier_export_is_replaced_as_a_whole(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    export(tmp_path / "m", to="parquet", out=tmp_path / "e", rows_per_file=5)
    export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    assert sorted(p.name for p in (tmp_path / "e").glob("*.parquet")) == ["code-00000.parquet", "web-00000.parquet"]


def test_a_full_disk_leaves_no_half_export(corpora, tmp_path, monkeypatch) -> None:
    mix(corpora, out=tmp_path / "m")
    export(tmp_path / "m", to="parquet", out=tmp_path / "old")
    before = {p.name: p.read_bytes() for p in (tmp_path / "old").iterdir()}
    write_table = pq.ParquetWriter.write_table
    written = []

    def full(self: pq.ParquetWriter, *args: object, **options: object) -> None:
        written.append(1)
        if len(written) % 3 == 0:
            raise OSError(28, "No space left on device")
        write_table(self, *args, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    for out in ("old", "new"):
        with pytest.raises(ExportError, match="The disk is full"):
            export(tmp_path / "m", to="parquet", out=tmp_path / out, rows_per_file=10)
    assert {p.name: p.read_bytes() for p in (tmp_path / "old").iterdir()} == before
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*partial"))


def test_damage_in_a_source_is_named(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    path = tmp_path / "data" / "web" / "part-0.parquet"
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)
    path.write_bytes(data)
    with pytest.raises(ExportError, match=r"part-0\.parquet.* cannot be read"):
        export(tmp_path / "m", to="parquet", out=tmp_path / "e", check_sources=False)
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "torch"}, "no exporter 'torch'. Exporters: .*parquet"),
        ({"to": "parquet", "colums": "text"}, "no option 'colums'. Options: columns, rows_per_file"),
        ({"to": "parquet", "columns": "some"}, "It is 'all' or 'text'"),
        ({"to": "parquet", "rows_per_file": 0}, "whole number above 0"),
    ],
)
def test_mistakes_are_named(corpora, tmp_path, options, message) -> None:
    mix(corpora, out=tmp_path / "m")
    with pytest.raises(ExportError, match=message):
        export(tmp_path / "m", out=tmp_path / "e", **options)
    assert not (tmp_path / "e").exists()


def test_a_killed_export_is_never_taken_for_a_finished_one(corpora, tmp_path, monkeypatch) -> None:
    mix(corpora, out=tmp_path / "m")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "_sign", killed)
    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "m", to="parquet", out=tmp_path / "e")
    assert not (tmp_path / "e").exists()
