"""Verification names what changed: a byte of a source, a selection, a missing file, an edited manifest, another choice."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import explorer as ex
from explorer.errors import ManifestError
from explorer.exporters import export
from explorer.manifest.model import FILE, digest
from explorer.manifest.verify import VerifyReport, verify
from explorer.manifest.write import mix


@pytest.fixture
def mixed(corpora, tmp_path) -> Path:
    mix({"web": corpora["web"].select("q >= 0.25"), "code": corpora["code"]}, epochs=1.5, order="shuffled", out=tmp_path / "m")
    return tmp_path / "m"


def failed(report: VerifyReport) -> list[str]:
    return [c.name for c in report.failures]


def test_an_untouched_manifest_holds_and_nothing_is_skipped(mixed, tmp_path) -> None:
    report = verify(mixed, workspace=tmp_path / "ws")
    assert report.ok
    assert {c.status for c in report.checks} == {"ok"}
    assert report.checks[-1].name == "choice"
    assert json.loads(json.dumps(report.to_dict()))["ok"] is True


def test_a_changed_source_byte(mixed, tmp_path) -> None:
    path = tmp_path / "data" / "web" / "part-1.parquet"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    report = verify(mixed, workspace=tmp_path / "ws")
    assert "web: files" in failed(report)
    assert "../data/web/part-1.parquet changed" in str(report)
    assert "its footer is as it was" in str(report)


def test_a_source_rewritten_with_other_documents_names_the_first(mixed, tmp_path) -> None:
    path = tmp_path / "data" / "code" / "part-0.parquet"
    table = pq.read_table(path)
    ids = ["other" if i == "code-4" else i for i in table["id"].to_pylist()]
    pq.write_table(table.set_column(0, "id", pa.array(ids)), path)
    report = verify(mixed, workspace=tmp_path / "ws")
    assert {"code: files", "code: ids"} <= set(failed(report))
    assert "1 of 30 documents are others than those chosen; first: ../data/code/part-0.parquet row 4 is 'other', was 'code-4'" in str(
        report
    )


def test_a_missing_source(mixed, tmp_path) -> None:
    (tmp_path / "data" / "web" / "part-0.parquet").unlink()
    report = verify(mixed, workspace=tmp_path / "ws")
    assert failed(report) == ["web: files"]
    assert "part-0.parquet is missing; say where it is now: --root DIR" in str(report)
    assert {c.name for c in report.checks if c.status == "skipped"} == {"web: ids", "choice"}


def test_sources_that_moved_are_found_below_root(mixed, tmp_path) -> None:
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    assert not verify(mixed).ok
    report = verify(mixed, root=tmp_path / "elsewhere", workspace=tmp_path / "ws")
    assert {c.status for c in report.checks} == {"ok"}


def test_a_folder_moved_with_its_sources_holds(mixed, tmp_path) -> None:
    target = tmp_path / "deep" / "er"
    target.mkdir(parents=True)
    shutil.move(tmp_path / "data", target / "data")
    shutil.move(mixed, target / "m")
    assert verify(target / "m", workspace=tmp_path / "ws").ok


def test_a_changed_and_a_missing_selection(mixed, tmp_path) -> None:
    path = mixed / "selection-web.parquet"
    table = pq.read_table(path)
    repeat = pa.array([5, *table["repeat"].to_pylist()[1:]], pa.int32())
    pq.write_table(table.set_column(3, table.schema.field("repeat"), repeat), path)
    (mixed / "selection-code.parquet").unlink()
    report = verify(mixed)
    assert failed(report) == ["web: selection", "web: counts", "code: selection"]
    assert "selection-code.parquet is missing" in str(report)


def test_an_edited_manifest(mixed) -> None:
    said = json.loads((mixed / FILE).read_text())
    said["seed"] = 8
    (mixed / FILE).write_text(json.dumps(said))
    assert "manifest" in failed(verify(mixed))


@pytest.mark.parametrize(
    ("edit", "check"),
    [
        (lambda said: said["stages"][0]["components"][0]["resolved"].update(documents=3), "web: counts"),
        (lambda said: said["totals"].update(tokens=3.0), "totals"),
        (lambda said: said.update(seed=8), "choice"),
        (lambda said: said["sources"][0].update(where="q >= 0.5"), "choice"),
    ],
)
def test_an_edited_manifest_with_its_hash_mended(mixed, tmp_path, edit, check) -> None:
    said = json.loads((mixed / FILE).read_text())
    edit(said)
    said["hash"] = digest(said)
    (mixed / FILE).write_text(json.dumps(said))
    assert check in failed(verify(mixed, workspace=tmp_path / "ws"))


def test_a_broken_manifest_fails_and_an_absent_one_is_an_error(mixed, tmp_path) -> None:
    (mixed / FILE).write_text("{")
    assert failed(verify(mixed)) == ["manifest"]
    with pytest.raises(ManifestError, match="neither a manifest nor an export"):
        verify(tmp_path / "data")


def test_the_choice_is_skipped_when_signals_are_not_there(corpora, tmp_path) -> None:
    corpora["web"].score("zlib_ratio")
    mix({"web": corpora["web"].select(ex.Threshold("zlib_ratio", minimum=0))}, out=tmp_path / "m")
    assert {c.status for c in verify(tmp_path / "m", workspace=tmp_path / "ws").checks} == {"ok"}
    report = verify(tmp_path / "m", workspace=tmp_path / "other")
    assert report.ok
    assert [c.name for c in report.checks if c.status == "skipped"] == ["choice"]
    assert "signal zlib_ratio of web is not computed" in report.checks[-1].message


def test_an_export_is_checked_file_by_file(mixed, tmp_path) -> None:
    export(mixed, to="parquet", out=tmp_path / "e")
    assert verify(tmp_path / "e").ok
    with open(tmp_path / "e" / "web-00000.parquet", "r+b") as file:
        file.seek(100)
        file.write(b"\x00\x01\x02")
    (tmp_path / "e" / "code-00000.parquet").unlink()
    (tmp_path / "e" / "more.parquet").write_bytes(b"x")
    said = str(verify(tmp_path / "e"))
    assert "code-00000.parquet is missing" in said
    assert "web-00000.parquet changed" in said
    assert "more.parquet is not part of the export" in said
