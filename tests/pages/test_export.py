"""Export: from the selection to files that verify, every step found again after a reload, every failure said."""

from __future__ import annotations

import json
import time
from html import escape
from pathlib import Path

import pytest
import yaml
from pages.conftest import APP, html
from pages.corpora import HOSTILE, hostile_corpus

from explorer import jobs
from explorer.corpus.corpus import open_corpus
from explorer.corpus.workspace import Workspace
from explorer.jobs import ENDED
from explorer.manifest.model import read_manifest
from explorer.manifest.write import mix
from explorer.selection.filters import Filters
from explorer.selection.threshold import Threshold
from explorer.ui import exporting, link
from explorer.ui.starting import starts

SAMPLE = APP.parent / "sample_data" / "corpus"
EDU = Filters((Threshold("edu_score", minimum=2.5),))


@pytest.fixture
def export(app):
    def start(*arguments, given: Filters | None = None, **options):
        at = app(*arguments, **options)
        if given is not None:
            at.query_params["f"] = link.encode(given)
        return at.run().switch_page("pages/export.py").run()

    return start


def fine(at):
    assert not at.exception
    assert not at.error, [e.value for e in at.error]
    return at


def finished(workspace: Path) -> None:
    for _ in range(600):
        if all(job.state in ENDED for job in jobs.jobs(Workspace(workspace))):
            return
        time.sleep(0.1)
    pytest.fail("a job did not end")


def test_from_selection_to_verified_files(export, tmp_path, monkeypatch):
    workspace = tmp_path / "workspace"
    at = fine(export(SAMPLE, given=EDU))
    kept = len(open_corpus(SAMPLE).select(EDU))
    assert f'<b title="{kept}">{kept}</b> documents' in html(at)
    at.text_input(key="export_name").set_value("edu")
    at.button(key="export_write").click().run()
    finished(workspace)
    fine(at.run())
    assert read_manifest(workspace / "manifests" / "edu").totals.documents == kept
    table = at.dataframe[0].value
    assert table["documents"].sum() == kept
    assert table["share"].sum() == pytest.approx(1)
    with monkeypatch.context() as patch:  # while the manifest is being replaced no files are made of it
        patch.setattr(exporting, "_writing", lambda corpus: jobs.jobs(corpus.workspace))
        assert at.run().button(key="export_go").disabled
    at.run()
    at.button(key="export_go").click().run()
    finished(workspace)
    fine(at.run())
    folder = workspace / "exports" / "edu-parquet"
    next(b for b in at.button if b.key == f"verify_{folder}").click().run()
    assert "checks hold" in fine(at).success[0].value
    assert [t.label for t in at.tabs] == ["HF datasets, TRL", "axolotl", "LLaMA-Factory", "levanter"]

    again = fine(export(SAMPLE, given=EDU))  # a reload: the state is in the files
    assert again.selectbox(key="export_manifest").value == "edu"
    assert f"Written to {folder}" in html(again)
    assert not again.info
    other = fine(export(SAMPLE, given=Filters((Threshold("edu_score", minimum=1),))))
    assert "made from other rules" in other.info[0].value


def test_snippets_name_the_files_that_are_there(tmp_path):
    sources = [{"name": "a", "files": ["a-0.parquet", "a-1.parquet"], "documents": 3}]
    mix = {"text": "body", "stages": [{"name": "all", "sources": sources}]}
    by = {s.trainer: s for s in starts(tmp_path, mix)}
    files = [str(tmp_path / f"a-{i}.parquet") for i in (0, 1)]
    levanter = yaml.safe_load(by["levanter"].text)["data"]["components"]["a"]["source"]
    assert levanter == {"type": "url", "train_urls": files, "format": {"type": "text", "text_key": "body"}}
    axolotl = yaml.safe_load(by["axolotl"].text)["pretraining_dataset"]
    assert axolotl == [{"path": "parquet", "data_files": str(tmp_path / "*.parquet"), "text_column": "body", "type": "pretrain"}]
    head, tail = by["LLaMA-Factory"].text.split("\n\n# train.yaml\n")
    assert json.loads(head.removeprefix("# dataset_info.json\n"))["a-1"] == {"file_name": "a-1.parquet", "columns": {"prompt": "body"}}
    assert yaml.safe_load(tail)["dataset"] == "a-0,a-1"
    compile(by["HF datasets, TRL"].text, "snippet", "exec")
    assert all(s.checked for s in by.values())


def test_a_folder_that_holds_something_else_is_refused_and_left(export, tmp_path):
    workspace = tmp_path / "workspace"
    at = fine(export(SAMPLE, given=EDU))
    at.button(key="export_write").click().run()
    finished(workspace)
    at.run()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    next(t for t in at.text_input if t.label == "Folder").set_value(str(taken))
    at.button(key="export_go").click().run()
    finished(workspace)
    at.run()
    assert not at.exception
    assert "is not empty" in at.error[0].value
    assert [p.name for p in taken.iterdir()] == ["thesis.txt"]


def test_options_and_losses_are_shown_before_the_files_are_written(export, tmp_path):
    workspace = tmp_path / "workspace"
    mix({"corpus": open_corpus(SAMPLE, workspace=workspace).select(EDU)}, name="edu", out=workspace / "manifests" / "edu")
    at = fine(export(SAMPLE, given=EDU))
    at.segmented_control(key="export_to").set_value("olmo-core").run()
    assert "sequence_length is None" in at.warning[-1].value.replace("\\", "")  # it cannot be written so, said before it is tried
    assert at.text_input(key="export_option_olmo-core_sequence_length").help.startswith("Tokens of an instance")
    at.text_input(key="export_option_olmo-core_sequence_length").set_value("128").run()
    before = html(fine(at))
    assert "What the files would keep of the manifest" in before
    at.button(key="export_go").click().run()
    finished(workspace)
    after = html(fine(at.run()))
    record = json.loads((workspace / "exports" / "edu-olmo-core" / "olmo-core.provenance.json").read_text())
    assert record["options"]["sequence_length"] == 128
    for item in record["loss"]:
        assert f'<td class="quiet">{escape(item["reason"])}</td>' in before
        assert f'<td class="quiet">{escape(item["reason"])}</td>' in after
    assert "SourceMixtureList.from_yaml" in at.code[-1].value
    assert not list((workspace / "exports").glob(".*"))


def test_a_damaged_manifest_is_said(export, tmp_path):
    workspace = tmp_path / "workspace"
    at = fine(export(SAMPLE, given=EDU))
    at.text_input(key="export_name").set_value("edu")
    at.button(key="export_write").click().run()
    finished(workspace)
    file = workspace / "manifests" / "edu" / "manifest.json"
    file.write_text(file.read_text().replace('"seed"', '"sead"', 1))
    at.run()
    assert not at.exception
    assert at.error


def test_nothing_kept_cannot_be_written(export):
    at = export(SAMPLE, given=Filters((Threshold("edu_score", minimum=99),)))
    assert not at.exception
    assert at.button(key="export_write").disabled
    assert "0 documents are kept" in at.warning[0].value


def test_a_name_that_no_folder_can_have_is_refused(export):
    at = fine(export(SAMPLE, given=EDU))
    at.text_input(key="export_name").set_value("../../etc")
    at.button(key="export_write").click().run()
    assert "cannot name a manifest" in at.error[0].value
    assert not jobs.jobs(Workspace(Path(at.session_state.sides.documents.workspace)))


def test_missing_signals_are_offered(export):
    at = fine(export(SAMPLE, given=Filters((Threshold("zlib_ratio", maximum=3),))))
    assert "waits for signals" in html(at)
    assert at.button(key="score_lacking")


def test_a_corpus_without_rows(export, empty_corpus):
    at = export(empty_corpus)
    assert not at.exception
    assert at.button(key="export_write").disabled


def test_a_corpus_with_one_column(export, bare_corpus):
    at = fine(export(bare_corpus, "--text", "prose"))
    assert '<b title="3">3</b> documents' in html(at)


def test_hostile_names_are_text(export, tmp_path):
    at = fine(export(hostile_corpus(tmp_path), given=Filters((Threshold(HOSTILE, minimum=0),))))
    at.button(key="export_write").click().run()
    finished(tmp_path / "workspace")
    fine(at.run())
    assert "<img" not in html(at)
    assert any(HOSTILE in group for group in at.dataframe[0].value["group"])
