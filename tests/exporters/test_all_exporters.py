"""What every exporter owes, whichever trainer it serves."""

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from explorer.exporters import base, export, exporters, is_export, recounted
from explorer.manifest.model import read_manifest
from explorer.manifest.verify import verify
from explorer.manifest.write import mix

ALL = sorted(exporters())
# What a trainer's files cannot be written without, beside the manifest.
NEEDS: dict[str, dict[str, Any]] = {"nanotron": {"batch_size": 2}}


@pytest.mark.parametrize("name", ALL)
def test_it_says_what_it_is(name) -> None:
    found = exporters()[name]
    assert found.name == name
    assert len(found.about) > 20
    assert inspect.getdoc(found.write)


@pytest.mark.parametrize("name", ALL)
def test_it_is_reported_listed_signed_the_same_twice_and_free_of_this_machine(mixes, tmp_path, name) -> None:
    def state() -> dict[Path, bytes]:
        return {p: p.read_bytes() for part in ("data", "one") for p in (mixes / part).rglob("*") if p.is_file()}

    before = state()
    for folder in ("a", "b"):
        report = export(mixes / "one", to=name, out=tmp_path / folder, **NEEDS.get(name, {}))
    assert state() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]  # nothing but its folder

    assert sorted(item.field for item in report.loss.items) == sorted(base.NEUTRAL)
    for item in report.loss.items:
        assert item.how in ("exact", "approximated", "dropped")
        assert item.reason
        assert item.how != "approximated" or item.number is not None

    assert sorted(report.files) == sorted(p for p in (tmp_path / "b").rglob("*") if p.is_file())
    assert report.files[-1].name == f"{name}.provenance.json"
    assert is_export(tmp_path / "b")
    assert verify(tmp_path / "b").ok
    assert all(check.status == "ok" for check in recounted(tmp_path / "b"))
    for path in (p for p in (tmp_path / "a").rglob("*") if p.is_file()):
        data = path.read_bytes()
        assert data == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
        assert not any(str(place).encode() in data for place in (tmp_path, mixes))


@pytest.mark.parametrize("name", ALL)
def test_stages_are_written_or_refused_but_never_dropped_in_silence(mixes, tmp_path, name) -> None:
    refused = ""
    try:
        report = export(mixes / "two", to=name, out=tmp_path / "e", **NEEDS.get(name, {}))
    except base.ExportError as error:
        refused = str(error)
    if refused:
        assert "stage" in refused
        return
    assert verify(tmp_path / "e").ok
    loss = report.loss.of("stages")
    assert loss.reason != "one stage"
    if loss.how == "exact":
        for stage in ("stable", "anneal"):
            assert any(stage in str(p.relative_to(tmp_path)) or stage.encode() in p.read_bytes() for p in report.files[:-1])


@pytest.mark.parametrize("name", ["levanter", "megatron", "mosaicml", "open-lm"])
def test_words_are_no_tokenizer_to_load(corpora, tmp_path, name) -> None:
    mix(corpora, tokenizer="words", sequence_length=8, out=tmp_path / "m")
    report = export(tmp_path / "m", to=name, out=tmp_path / "e")
    assert report.loss.of("tokenizer").how == "dropped"
    assert not any(b"tokenizer: words" in p.read_bytes() for p in report.files)


def test_a_stage_of_no_document_is_refused(mixes, tmp_path) -> None:
    manifest = read_manifest(mixes / "two")
    last = manifest.stages[1]
    none = replace(last, components=tuple(replace(c, resolved=replace(c.resolved, documents=0)) for c in last.components))
    with pytest.raises(base.ExportError, match="Stage 'anneal' of the manifest comes to 0 documents"):
        export(replace(manifest, stages=(manifest.stages[0], none)), to="litdata", out=tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_a_source_that_the_files_lack_is_found_out(mixes, tmp_path, monkeypatch) -> None:
    found = exporters()["parquet"]
    monkeypatch.setitem(base._exporters, "parquet", replace(found, recount=lambda folder: list(found.recount(folder))[:1]))
    with pytest.raises(base.ExportError, match="hold nothing of 'code' in stage 'all'"):
        export(mixes / "one", to="parquet", out=tmp_path / "e")
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("edit", [{"counts": [{"stage": "all", "sauce": "web"}]}, {"counts": 3}, {"links": ["web.bin"]}])
def test_an_edited_record_is_named(mixes, tmp_path, edit) -> None:
    export(mixes / "one", to="parquet", out=tmp_path / "e")
    record = tmp_path / "e" / "parquet.provenance.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | edit))
    (check,) = recounted(tmp_path / "e")
    assert check.status == "failed"
    assert "was edited" in check.message
