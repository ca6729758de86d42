"""What every exporter owes, whichever trainer it serves."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from explorer.exporters import base, export, exporters, is_export, recounted
from explorer.manifest.verify import verify

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
