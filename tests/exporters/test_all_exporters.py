"""What every exporter owes, whichever trainer it serves."""

import inspect
from pathlib import Path

import pytest

from explorer.exporters import base, export, exporters
from explorer.manifest.verify import verify
from explorer.manifest.write import mix

ALL = sorted(exporters())


@pytest.mark.parametrize("name", ALL)
def test_it_says_what_it_is(name) -> None:
    found = exporters()[name]
    assert found.name == name
    assert len(found.about) > 20
    assert inspect.getdoc(found.write)


@pytest.mark.parametrize("name", ALL)
def test_every_neutral_field_is_reported_once_with_a_reason(corpora, tmp_path, name) -> None:
    mix(corpora, epochs=1.5, out=tmp_path / "m")
    report = export(tmp_path / "m", to=name, out=tmp_path / "e")
    assert sorted(item.field for item in report.loss.items) == sorted(base.NEUTRAL)
    for item in report.loss.items:
        assert item.how in ("exact", "approximated", "dropped")
        assert item.reason
        assert item.how != "approximated" or item.number is not None


@pytest.mark.parametrize("name", ALL)
def test_files_are_listed_signed_the_same_twice_and_free_of_this_machine(corpora, tmp_path, name) -> None:
    manifest = mix(corpora, epochs=1.5, out=tmp_path / "m")
    for folder in ("a", "b"):
        report = export(manifest, to=name, out=tmp_path / folder)
        assert sorted(report.files) == sorted(p for p in (tmp_path / folder).rglob("*") if p.is_file())
        assert report.files[-1].name == f"{name}.provenance.json"
        assert verify(tmp_path / folder).ok
    for path in (p for p in (tmp_path / "a").rglob("*") if p.is_file()):
        data = path.read_bytes()
        assert data == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
        assert str(tmp_path).encode() not in data


@pytest.mark.parametrize("name", ALL)
def test_it_reads_the_sources_and_writes_nothing_but_its_folder(corpora, tmp_path, name) -> None:
    def state() -> dict[Path, bytes]:
        return {p: p.read_bytes() for part in ("data", "m") for p in (tmp_path / part).rglob("*") if p.is_file()}

    mix(corpora, out=tmp_path / "m")
    before = state()
    export(tmp_path / "m", to=name, out=tmp_path / "e")
    assert state() == before
    assert not list(tmp_path.glob(".*partial"))
