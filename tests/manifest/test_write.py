"""Mixing: which documents, how often, in which order; the same bytes twice; nothing half finished."""

import json
import os
import socket
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import explorer as ex
from explorer.errors import ManifestError
from explorer.manifest import folders, write
from explorer.manifest.model import read_manifest
from explorer.manifest.verify import verify
from explorer.manifest.write import mix


def rows(folder: Path, source: str) -> pl.DataFrame:
    return pl.read_parquet(folder / f"selection-{source}.parquet")


def building(out: Path, *, ours: bool = False) -> AbstractContextManager[Path]:
    return folders.new_folder(out, what="a result", ours=lambda _: ours, error=ManifestError)


def test_by_default_every_kept_document_comes_once_in_file_order(corpora, tmp_path) -> None:
    manifest = mix({"web": corpora["web"].select("q >= 0.5"), "code": corpora["code"]}, out=tmp_path / "m")
    web = rows(tmp_path / "m", "web")
    assert web["id"].to_list() == [f"web-{i}" for i in range(30, 60)]
    assert web["file"].to_list() == [1] * 30
    assert web["row"].to_list() == list(range(30))
    assert web["rank"].to_list() == list(range(30))
    assert set(web["repeat"]) == set(web["weight"]) == {1}
    assert web["tokens"].to_list() == [10 + i % 3 for i in range(30, 60)]
    part = manifest.stages[0].components[0]
    assert (part.resolved.documents, part.resolved.tokens, part.resolved.epochs) == (30, 330.0, 1.0)
    assert manifest.totals.documents == 60
    assert manifest.totals.tokens == 660.0
    assert manifest.tokenizer.label == "column tokens"
    assert not manifest.tokenizer.estimated
    assert manifest.source("web").where == "q >= 0.5"
    assert manifest.source("web").documents == 60
    assert manifest.warnings == ()


def test_weights_and_a_budget_resolve_into_copies(corpora, tmp_path) -> None:
    manifest = mix(corpora, weights={"web": 0.5, "code": 0.5}, budget_tokens=1320, out=tmp_path / "m", seed=1)
    web, code = (c.resolved for c in manifest.stages[0].components)
    assert (web.tokens, web.epochs, web.weight) == (660.0, 1.0, 0.5)
    assert (code.tokens, code.epochs) == (660.0, 2.0)
    assert set(rows(tmp_path / "m", "code")["repeat"]) == {2}


def test_a_fractional_epoch_is_a_seeded_partial_pass(corpora, tmp_path) -> None:
    def drawn(seed: int) -> set[str]:
        mix({"web": corpora["web"]}, epochs=2.5, out=tmp_path / "m", seed=seed)
        table = rows(tmp_path / "m", "web")
        assert sorted(Counter(table["repeat"]).items()) == [(2, 30), (3, 30)]
        return set(table.filter(pl.col("repeat") == 3)["id"])

    assert drawn(1) == drawn(1) != drawn(2)


def test_less_than_an_epoch_leaves_documents_out(corpora, tmp_path) -> None:
    manifest = mix({"web": corpora["web"]}, documents=7, out=tmp_path / "m")
    assert rows(tmp_path / "m", "web").height == manifest.totals.documents == manifest.totals.unique_documents == 7
    assert manifest.source("web").unique_documents == 60


@pytest.mark.parametrize("order", ["shuffled", "ascending q", "descending q"])
def test_orders(corpora, tmp_path, order) -> None:
    mix({"web": corpora["web"]}, order=order, out=tmp_path / "m", seed=4)
    table = rows(tmp_path / "m", "web")
    numbers = [int(i.removeprefix("web-")) for i in table["id"]]
    assert table["rank"].to_list() == list(range(60))
    assert sorted(numbers) == list(range(60))
    if order == "shuffled":
        assert numbers != sorted(numbers)
    else:
        assert numbers == sorted(numbers, reverse=order == "descending q")


def test_the_order_of_a_sampler(corpora, tmp_path) -> None:
    best = ex.Filters(sample=ex.Sample("top_fraction_docs", by="q", fraction=0.1))
    mix({"web": corpora["web"].select(best)}, order="sampled", out=tmp_path / "m")
    assert rows(tmp_path / "m", "web")["id"].to_list() == [f"web-{i}" for i in (59, 58, 57, 56, 55, 54)]


def test_the_same_inputs_and_seed_give_the_same_bytes(corpora, tmp_path) -> None:
    for folder in ("a", "b"):
        mix(corpora, epochs={"web": 1.3, "code": 2}, order="shuffled", seed=9, out=tmp_path / folder)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["manifest.json", "selection-code.parquet", "selection-web.parquet"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_nothing_about_the_machine_is_written(corpora, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    said = (tmp_path / "m" / "manifest.json").read_text()
    assert str(tmp_path) not in said
    assert [f["path"] for f in json.loads(said)["sources"][0]["files"]] == ["../data/web/part-0.parquet", "../data/web/part-1.parquet"]


def test_without_out_the_manifest_goes_to_the_workspace(corpora, tmp_path) -> None:
    manifest = mix(corpora, name="run-a")
    assert manifest.folder == tmp_path / "ws" / "manifests" / "run-a"
    assert read_manifest(manifest.folder) == manifest


def test_documents_without_ids_are_named_by_their_text(tmp_path) -> None:
    import hashlib

    import pyarrow as pa

    raw = [b"one", b"caf\xe9 is latin-1", None, b"four"]
    text = pa.Array.from_buffers(pa.string(), 4, pa.array(raw, pa.binary()).buffers())
    pq.write_table(pa.table({"text": text}), tmp_path / "x.parquet")
    mix({"x": ex.open_corpus(tmp_path / "x.parquet", workspace=tmp_path / "ws")}, out=tmp_path / "m")
    assert rows(tmp_path / "m", "x")["id"].to_list() == [hashlib.sha256(r or b"").hexdigest() for r in raw]


def test_text_identity_agrees_with_the_samplers(corpora, tmp_path) -> None:
    from explorer.corpus.identity import identity_sql

    nameless = ex.open_corpus(tmp_path / "data" / "web", workspace=tmp_path / "ws", id=None)
    mix({"web": nameless}, out=tmp_path / "m")
    expected = nameless.database.frame(f"SELECT {identity_sql(nameless)} AS id FROM {nameless.database.source()}")["id"]
    assert rows(tmp_path / "m", "web")["id"].to_list() == expected.to_list()


def test_ids_that_two_sources_share_are_told(corpora, tmp_path) -> None:
    web = corpora["web"]
    manifest = mix({"a": web.select("q < 0.5"), "b": web.select("q >= 0.25")}, out=tmp_path / "m")
    assert any(w.startswith("15 documents of a (165 tokens) are in b too: 15 have the same text.") for w in manifest.warnings)


def test_ids_come_from_the_file_itself_whatever_it_is_called(write_parquet, tmp_path) -> None:
    pattern = write_parquet("data/a[1].parquet", {"id": ["right-0", "right-1"], "text": ["x", "y"]})
    write_parquet("data/a1.parquet", {"id": ["wrong-0", "wrong-1"], "text": ["u", "v"]})
    hive = write_parquet("data/id=7/b.parquet", {"id": ["h0", "h1"], "text": ["x", "y"]})
    mix({n: ex.open_corpus(p, workspace=tmp_path / "ws") for n, p in (("p", pattern), ("h", hive))}, out=tmp_path / "m")
    assert (rows(tmp_path / "m", "p")["id"].to_list(), rows(tmp_path / "m", "h")["id"].to_list()) == (["right-0", "right-1"], ["h0", "h1"])
    assert verify(tmp_path / "m", workspace=tmp_path / "ws").ok


def test_partly_computed_signals_are_told_in_the_manifest(corpora, tmp_path) -> None:
    corpora["web"].score("length", limit=14)
    manifest = mix({"web": corpora["web"].select(ex.Threshold("n_bytes", minimum=1))}, out=tmp_path / "m")
    assert manifest.totals.documents == 14
    assert any(w.startswith("web: n_bytes is computed for 14 of 60 documents") for w in manifest.warnings)


def test_a_foreign_folder_is_left_alone(corpora, tmp_path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.txt").write_text("mine")
    with pytest.raises(ManifestError, match=r"is not empty and is not a manifest: it holds thesis\.txt"):
        mix(corpora, out=tmp_path / "m")
    assert (tmp_path / "m" / "thesis.txt").read_text() == "mine"


def test_a_write_that_dies_leaves_the_old_manifest(corpora, tmp_path, monkeypatch) -> None:
    before = mix(corpora, out=tmp_path / "m")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write.rows, "write_selection", full)
    with pytest.raises(ManifestError, match="The disk is full"):
        mix(corpora, epochs=2, out=tmp_path / "m")
    with pytest.raises(ManifestError, match="The disk is full"):
        mix(corpora, epochs=2, out=tmp_path / "new")
    assert read_manifest(tmp_path / "m") == before
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*partial"))


def test_leftovers_of_a_killed_process_are_removed(corpora, tmp_path) -> None:
    dead = tmp_path / f".m.{socket.gethostname().split('.')[0]}-999999999.partial"
    dead.mkdir()
    mix(corpora, out=tmp_path / "m")
    assert not dead.exists()


def test_what_appears_in_out_meanwhile_is_left_alone(tmp_path) -> None:
    out = tmp_path / "m"

    def meanwhile(temporary: Path) -> None:
        (temporary / "a").write_text("1")
        out.mkdir()
        (out / "precious.txt").write_text("mine")

    with pytest.raises(ManifestError, match=r"it holds precious\.txt"), building(out) as temporary:
        meanwhile(temporary)
    assert [p.name for p in out.iterdir()] == ["precious.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_what_appears_between_the_look_and_the_swap_is_put_back(tmp_path, monkeypatch) -> None:
    out = tmp_path / "m"
    out.mkdir()
    swap = os.replace

    def late(source: Path, target: Path) -> None:
        if Path(source) == out:
            (out / "precious.txt").write_text("mine")
        swap(source, target)

    monkeypatch.setattr(folders.os, "replace", late)
    with pytest.raises(ManifestError, match=r"it holds precious\.txt"), building(out) as temporary:
        (temporary / "a").write_text("1")
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == ["m", "m/precious.txt"]


def test_two_threads_that_build_one_folder_do_not_remove_each_others_work(tmp_path) -> None:
    out = tmp_path / "m"
    with building(out, ours=True) as first:
        (first / "a").write_text("first")
        with building(out, ours=True) as second:
            (second / "a").write_text("second")
        assert (out / "a").read_text() == "second"
        assert (first / "a").read_text() == "first"
    assert (out / "a").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("process", ["999999999", str(os.getpid())], ids=["gone", "this"])
def test_a_result_that_a_killed_process_moved_aside_is_put_back(tmp_path, process) -> None:
    host = socket.gethostname().split(".")[0] or "host"
    aside = tmp_path / f".m.{host}-{process}-{'0' * 32}.replaced.partial"
    aside.mkdir()
    (aside / "a").write_text("earlier")
    with pytest.raises(RuntimeError), building(tmp_path / "m", ours=True):
        raise RuntimeError
    assert (tmp_path / "m" / "a").read_text() == "earlier"
    aside.mkdir()
    with building(tmp_path / "m", ours=True) as temporary:
        (temporary / "a").write_text("new")
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == ["m", "m/a"]


def test_another_hosts_folder_is_not_a_leftover_of_this_one(tmp_path) -> None:
    host = socket.gethostname().split(".")[0] or "host"
    other = tmp_path / f".m.{host}-999999998-999999999-{'0' * 32}.partial"
    other.mkdir()
    with building(tmp_path / "m"):
        pass
    assert other.exists()


def test_a_source_that_changed_since_it_was_opened_is_refused(corpora, tmp_path) -> None:
    path = tmp_path / "data" / "web" / "part-1.parquet"
    pq.write_table(pq.read_table(path).slice(0, 30).select(["id", "text", "tokens"]), path)
    corpora["web"].columns.tokens()
    with pytest.raises(ManifestError, match="changed since the corpus was opened"):
        mix(corpora, out=tmp_path / "m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"wbe": 1}}, "names the source 'wbe'. Sources: web, code"),
        ({"order": "random"}, "Orders: natural, shuffled"),
        ({"seed": 1.5}, "It must be a whole number"),
        ({"budget_tokens": -1}, "must be a number above 0"),
        ({"name": "a/b"}, "cannot name a folder"),
    ],
)
def test_mistakes_are_named(corpora, tmp_path, options, message) -> None:
    with pytest.raises(ManifestError, match=message):
        mix(corpora, out=tmp_path / "m", **options)
    assert not (tmp_path / "m").exists()


def test_repeats_and_ranks_count_what_the_manifest_says(corpora, tmp_path) -> None:
    manifest = mix(corpora, weights={"web": 0.9, "code": 0.1}, budget_tokens=5000, order="shuffled", out=tmp_path / "m")
    for part in manifest.stages[0].components:
        table = rows(tmp_path / "m", part.source)
        assert int(table["repeat"].sum()) == part.resolved.documents
        assert float((table["repeat"] * table["tokens"]).sum()) == part.resolved.tokens
        assert np.isclose(part.resolved.tokens, part.resolved.target_tokens, atol=12)
