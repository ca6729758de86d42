"""Write → read gives the same manifest, whatever it holds."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.errors import ManifestError
from explorer.manifest import model
from explorer.manifest.model import (
    FILE,
    Component,
    Manifest,
    Provenance,
    Resolved,
    SelectionFile,
    SignalUsed,
    Source,
    SourceFile,
    Stage,
    Tokenizer,
    Totals,
    digest,
    read_manifest,
)
from explorer.manifest.write import mix
from explorer.mixture.amounts import Given
from explorer.mixture.model import NAME

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
name = st.from_regex(NAME, fullmatch=True)
number = st.floats(allow_nan=False, allow_infinity=False, width=64)
whole = st.integers(0, 2**53)
plain = st.dictionaries(text, st.one_of(text, number, whole, st.booleans(), st.none()), max_size=3)
files = st.builds(SourceFile, text, text, text, whole, whole)
signals = st.builds(SignalUsed, text, text, whole, plain)
several = lambda what, **options: st.lists(what, max_size=3, **options).map(tuple)  # noqa: E731
sources = st.builds(
    Source, name, several(files), st.dictionaries(text, text, max_size=3), st.none() | text, whole, number, whole, number, text,
    st.booleans(), text, several(plain), text, st.none() | plain, several(signals),
)  # fmt: skip
givens = st.builds(Given, st.none() | number, st.none() | number, st.none() | number, st.none() | whole)
resolved = st.builds(Resolved, number, whole, number, st.none() | number, st.none() | number, number)
selections = st.builds(SelectionFile, name, text, whole)
components = st.builds(Component, name, givens, resolved, selections, st.none() | number, text, text, plain)
stages = st.builds(
    Stage, name, number, number, whole, several(components, unique_by=lambda c: c.source.lower()), st.none() | number, st.none() | whole
)
manifests = st.builds(
    Manifest, name, whole, st.builds(Tokenizer, st.none() | text, text, st.booleans()), st.none() | whole, st.none() | number,
    several(sources, unique_by=lambda s: s.name.lower()), several(stages, unique_by=lambda s: s.name.lower()), st.builds(Totals, whole, number, whole, number, number), several(text),
    st.builds(Provenance, text, text),
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(manifests)
def test_what_is_written_is_read(tmp_path: Path, manifest: Manifest) -> None:
    signed = model.from_dict({**manifest.to_dict(), "hash": digest(manifest.to_dict())})
    (tmp_path / FILE).write_text(signed.to_json(), encoding="utf-8")
    read = read_manifest(tmp_path)
    assert read == signed
    assert read.to_json() == signed.to_json()
    assert read.folder == tmp_path


def test_the_hash_is_that_of_the_documented_canonical_json(corpora, tmp_path) -> None:
    import hashlib

    manifest = mix(corpora, out=tmp_path / "m")
    said = json.loads((tmp_path / "m" / FILE).read_text())
    stated = said.pop("hash")
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == stated == manifest.hash


def test_the_schema_in_the_docs_describes_it(corpora, tmp_path) -> None:
    import jsonschema

    schema = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    said = mix({"web": corpora["web"].select("q > 0.1"), "code": corpora["code"]}, epochs=1.5, out=tmp_path / "m").to_dict()
    check.validate(said)
    for breakage in ({"seed": "seven"}, {"hash": "x"}, {"schema": "other"}, {"surprise": 1}):
        assert not check.is_valid({**said, **breakage})
    assert not check.is_valid({k: v for k, v in said.items() if k != "totals"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda said: said.update(seed=8), "was edited"),
        (lambda said: said.update(extra=1), "unknown field 'extra'"),
        (lambda said: said.pop("seed"), "lacks the field 'seed'"),
        (lambda said: said.update(seed="8"), "seed is '8'. It must be a whole number"),
        (lambda said: said.update(schema="corpus-explorer/manifest/9"), "schema 'corpus-explorer/manifest/9'"),
    ],
)
def test_an_edited_manifest_is_not_read(corpora, tmp_path, change, message) -> None:
    mix(corpora, out=tmp_path / "m")
    said = json.loads((tmp_path / "m" / FILE).read_text())
    change(said)
    (tmp_path / "m" / FILE).write_text(json.dumps(said))
    with pytest.raises(ManifestError, match=message):
        read_manifest(tmp_path / "m")


@pytest.mark.parametrize(
    ("place", "what"),
    [
        (lambda said: (said, "name"), "name"),
        (lambda said: (said["sources"][0], "name"), "source"),
        (lambda said: (said["stages"][0], "name"), "stage"),
        (lambda said: (said["stages"][0]["components"][0], "source"), "component"),
        (lambda said: (said["stages"][0]["components"][0]["selection"], "path"), "selection file"),
    ],
)
def test_names_that_could_lead_out_of_a_folder_are_refused(corpora, tmp_path, place, what) -> None:
    import jsonschema

    schema = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text())
    said = mix({"web": corpora["web"]}, out=tmp_path / "m").to_dict()
    holder, key = place(said)
    for bad in ("../web", "a/b", "/etc/x", "..", ".hidden", "a\\b", "", "a\nb", "C:x"):
        holder[key] = bad
        said["hash"] = digest(said)
        (tmp_path / "m" / FILE).write_text(json.dumps(said))
        with pytest.raises(ManifestError, match=f"has the {what} "):
            read_manifest(tmp_path / "m")
        assert not jsonschema.Draft202012Validator(schema).is_valid(said)


def test_two_sources_of_one_name_are_refused(corpora, tmp_path) -> None:
    said = mix(corpora, out=tmp_path / "m").to_dict()
    said["sources"][1]["name"] = "WEB"
    with pytest.raises(ManifestError, match="the source 'web' twice"):
        model.from_dict(said)


def test_a_missing_or_broken_manifest_says_what_to_do(tmp_path) -> None:
    with pytest.raises(ManifestError, match="explorer mix RECIPE"):
        read_manifest(tmp_path / "nowhere")
    (tmp_path / FILE).write_text('{"schema": ')
    with pytest.raises(ManifestError, match="cannot be read as JSON"):
        read_manifest(tmp_path)
