"""Mixture: amounts, stages and budgets as a value that the page changes; what it shows is what the library says, and what is written."""

from __future__ import annotations

import time
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pages.conftest import APP, html
from pages.corpora import hostile_corpus

from explorer import jobs
from explorer.corpus.workspace import Workspace
from explorer.engine.progress import Progress
from explorer.errors import ManifestError
from explorer.jobs import ENDED
from explorer.manifest.model import read_manifest
from explorer.mixture.amounts import Given
from explorer.mixture.model import Mixture, SourcePlan, StagePlan, load_mixture, mixture_of
from explorer.mixture.presets import preset
from explorer.mixture.preview import count_mixture, preview
from explorer.selection.filters import Filters
from explorer.ui import mixing
from explorer.ui import mixing_edits as edits
from explorer.ui.export_options import about_options
from explorer.ui.format import short
from explorer.ui.mixing_compare import compared
from explorer.ui.mixing_edits import At

SAMPLE = APP.parent / "sample_data"
PAIRS = (SAMPLE / "rewrites.parquet", "--originals", SAMPLE / "corpus")


@pytest.fixture
def page(app):
    """The page once everything is counted."""

    def start(*arguments, **options):
        at = app(*arguments, **options).run().switch_page("pages/mixture.py").run()
        return settled(at)

    return start


def settled(at):
    for _ in range(100):
        if "Counting" not in html(at) and "putting the documents" not in " ".join(c.value for c in at.caption):
            return at
        time.sleep(0.1)
        at.run()
    pytest.fail("the sources were not counted")


def fine(at):
    assert not at.exception
    assert not at.error, [e.value for e in at.error]
    return at


def two(**settings) -> Mixture:
    return Mixture("m", (SourcePlan("web", given=Given(weight=0.6)), SourcePlan("code", given=Given(weight=0.4))), **settings)


# --- the page --------------------------------------------------------------------------------------------------------------


def test_from_what_is_open_to_a_manifest_with_two_stages(page, tmp_path):
    at = fine(page(*PAIRS))
    mixture = at.session_state.mixture
    assert [s.name for s in mixture.sources] == ["corpus", "rewrites"]
    assert sum(s.given.weight for s in mixture.sources) == pytest.approx(1, abs=1e-3)  # everything once, said as weights
    at.text_input(key="mix_budget").set_value("1M").run()
    at.button(key="mix_add_stage").click().run()
    at.segmented_control(key="mix_at").set_value("anneal").run()
    at.number_input(key="mix_number_rewrites_weight_1_False").set_value(0.6).run()
    fine(at)
    assert at.slider(key="mix_slide_rewrites_weight_1_False").value == 0.6
    mixture = at.session_state.mixture
    assert (mixture.budget_tokens, [s.share for s in mixture.stages]) == (1e6, [0.8, 0.2])
    assert mixture.stages[1].given["rewrites"] == Given(weight=0.6)
    assert mixture.stages[0].given["rewrites"] != Given(weight=0.6)

    counted = count_mixture(mixture, workspace=tmp_path / "workspace")
    expected = preview(mixture, counted)
    shown = html(at)
    assert f"<b>≈\u202f{short(expected.tokens)}</b> tokens of 2 sources in 2 stages" in shown
    anneal = next(p for p in expected.stages[1].parts if p.source == "rewrites")
    assert f">{short(anneal.documents)}</span>" in shown
    assert '<span class="wear worn">▲' in shown  # a colour never stands alone
    assert "The weights add up to" in " ".join(c.value for c in at.caption)

    at.button(key="mix_go").click().run()
    for _ in range(600):
        if all(job.state in ENDED for job in jobs.jobs(Workspace(tmp_path / "workspace"))):
            break
        time.sleep(0.1)
    fine(at.run())
    manifest = read_manifest(tmp_path / "workspace" / "manifests" / "mix")
    assert [(s.name, s.documents, s.tokens) for s in manifest.stages] == [(s.name, s.documents, s.tokens) for s in expected.stages]
    assert load_mixture(tmp_path / "workspace" / "mixtures" / "mix.yaml") == mixture
    at.button(key="mix_undo").click().run()
    assert at.session_state.mixture.stages[1].given["rewrites"] != Given(weight=0.6)


def test_a_source_follows_the_selection_and_a_saved_mixture_does_not(page, small_corpus):
    at = fine(page(small_corpus))
    at.session_state.filters = Filters(where="source = 'books'")
    settled(at.run())
    assert at.session_state.mixture.sources[0].data["filters"]["where"] == "source = 'books'"
    assert "1 documents" in html(at)
    at.session_state.mix_more_0 = True
    at.run().text_input(key="mix_rename_0").set_value("reading").run()
    assert at.session_state.mixture_follows == {"reading": "documents"}
    at.button(key="mix_save").click().run()
    saved = fine(at).session_state.mixture
    at.session_state.filters = Filters(where="source = 'nowhere'")
    settled(at.run())
    assert "keeps no document" in at.error[0].value
    assert at.button(key="mix_go").disabled
    at.session_state.mix_open = True
    at.run().button(key="mix_open_mix").click().run()
    fine(settled(at))
    assert at.session_state.mixture == saved


def test_what_cannot_be_is_refused_and_changes_nothing(page, small_corpus):
    at = fine(page(small_corpus))
    before = at.session_state.mixture
    for key, typed, said in (
        ("mix_budget", "many", "20B, 1.5e9"),
        ("mix_name", "../../etc", "cannot name a mixture"),
        ("mix_length", "2.5", "whole number"),
    ):
        at.text_input(key=key).set_value(typed).run()
        assert said in at.error[0].value.replace("\\", "")
        assert at.session_state.mixture == before
    at.text_input(key="mix_budget").set_value("").run()
    fine(at)


def test_hostile_names_are_text(page, tmp_path):
    at = fine(page(hostile_corpus(tmp_path)))
    at.button(key="mix_add_stage").click().run()
    assert "<img" not in html(fine(at))


@pytest.mark.parametrize("kind", ["empty", "bare"])
def test_corpora_without_rows_or_roles(page, kind, empty_corpus, bare_corpus):
    at = page(empty_corpus) if kind == "empty" else page(bare_corpus, "--text", "prose")
    assert not at.exception
    assert at.button(key="mix_go").disabled == (kind == "empty")
    assert bool(at.error) == (kind == "empty")


# --- the value -------------------------------------------------------------------------------------------------------------


@given(some.integers(1, 10**15))
def test_amounts_are_read_back_as_they_are_said(value):
    assert edits.amount_of(edits.said_amount(float(value))) == value


@pytest.mark.parametrize(("typed", "value"), [("20B", 2e10), ("1.5e9", 1.5e9), ("500 M tokens", 5e8), ("1,000", 1e3), (".5k", 500.0), (" ", None)])  # fmt: skip
def test_amounts_as_one_writes_them(typed, value):
    assert edits.amount_of(typed) == value


@pytest.mark.parametrize("typed", ["0", "-3", "1e400x", "ten", "1.2.3", "NaN"])
def test_other_amounts_are_refused(typed):
    with pytest.raises(ManifestError, match="such as 20B"):
        edits.amount_of(typed)


@given(some.lists(some.tuples(some.integers(0, 5), some.floats(0.01, 0.99)), max_size=12))
def test_shares_of_stages_always_add_up_to_one(steps):
    mixture = edits.add_stage(two(), {"web": 60.0, "code": 40.0})
    for number, share in steps:
        if number < len(mixture.stages):
            mixture = edits.set_share(mixture, number, share)
        elif len(mixture.stages) < 5:
            mixture = edits.add_stage(mixture, {})
        elif len(mixture.stages) > 2:
            mixture = edits.remove_stage(mixture, 0)
        assert sum(s.share for s in mixture.stages) == pytest.approx(1, abs=1e-9)
        assert all(s.share > 0 for s in mixture.stages)


def test_stages_come_and_go_without_changing_the_amounts():
    mixture = edits.add_stage(two(budget_tokens=100.0), {"web": 60.0, "code": 40.0})
    assert mixture.stages[0].given == mixture.stages[1].given == {"web": Given(weight=0.6), "code": Given(weight=0.4)}
    assert edits.remove_stage(mixture, 1) == two(budget_tokens=100.0)
    ramp = edits.set_schedule(mixture, 0, "linear")
    assert ramp.stages[0].to_weights == {"web": 0.6, "code": 0.4}  # to where the next stage begins
    assert edits.set_schedule(ramp, 0, "constant") == mixture


def test_a_source_is_renamed_divided_and_removed_in_every_stage():
    mixture = edits.set_schedule(edits.add_stage(two(), {"web": 60.0, "code": 40.0}), 1, "cosine")
    renamed = edits.rename_source(mixture, "web", "pages")
    assert edits.rename_source(renamed, "pages", "web") == mixture
    with pytest.raises(ManifestError, match="already"):
        edits.rename_source(mixture, "web", "CODE")
    parts = {"a": ({"corpus": "x", "where": "1"}, 0.75), "b": ({"corpus": "x", "where": "2"}, 0.25)}
    divided = edits.divide_source(mixture, "web", parts)
    assert [s.name for s in divided.sources] == ["a", "b", "code"]
    assert divided.stages[0].given["a"].weight == pytest.approx(0.45)
    assert divided.stages[1].to_weights["a"] + divided.stages[1].to_weights["b"] == pytest.approx(mixture.stages[1].to_weights["web"])
    removed = edits.remove_source(mixture, "web")
    assert all("web" not in stage.given and "web" not in stage.to_weights for stage in removed.stages)
    assert mixture_of(divided.to_dict()) == divided  # and it is still a recipe


def test_a_preset_gives_its_proportions_to_our_sources():
    mixture = edits.from_preset(two(budget_tokens=5.0), preset("crystal"), {
        "slimpajama_first_half": "web", "slimpajama_second_half": "web", "starcoder": "code", "starcoder_python_html_css_js": "code",
    })  # fmt: skip
    assert [s.name for s in mixture.stages] == ["1", "2", "3"]
    assert mixture.stages[0].share == pytest.approx(345 / 1382)
    assert mixture.stages[1].given["code"].weight == pytest.approx(582 / 927)
    assert mixture.stages[2].given == {"code": Given(weight=1.0)}
    assert mixture.budget_tokens == 5.0
    with pytest.raises(ManifestError, match="would hold nothing"):
        edits.from_preset(two(), preset("crystal"), {"starcoder": "code"})


def test_a_count_says_how_far_it_is(monkeypatch):
    counts = {"web": ("web's key", None), "code": ("code's key", None)}
    monkeypatch.setitem(mixing._doing, "web's key", Progress("running", 1000, 4302, 0, 0, 2.0))
    assert mixing.how_far(counts) == "web: 1,000 of 4,302 documents"


def test_two_mixtures_are_compared_by_stage_and_source(tmp_path):
    for name, n in (("web", 6), ("code", 4)):
        pq.write_table(
            pa.table({"id": [f"{name}{i}" for i in range(n)], "text": ["a"] * n, "tokens": [10] * n}), tmp_path / f"{name}.parquet"
        )
    data = {name: {"corpus": str(tmp_path / f"{name}.parquet")} for name in ("web", "code")}
    one = mixture_of({"name": "m", "budget_tokens": 100, "sources": {n: {**d, "weight": 0.5} for n, d in data.items()}})
    other = replace(one, sources=one.sources[:1], budget_tokens=30.0)
    counted = count_mixture(one, workspace=tmp_path / "ws")
    table = compared(preview(one, counted), preview(other, counted)).sort("source", descending=True)
    web, code = table.rows(named=True)
    assert (web["tokens_1"], web["tokens_2"], web["tokens_change"], web["share_change"]) == (50, 30, 20, -0.5)
    assert (code["tokens_2"], code["tokens_change"], code["epochs_1"]) == (None, 40 if code["tokens_1"] == 40 else 50, 1.25)


def test_every_option_of_every_exporter_is_explained():
    from explorer.exporters import exporters

    for exporter in exporters().values():
        assert set(about_options(exporter)) == set(exporter.options), exporter.name


def test_without_a_stage_an_amount_is_edited_in_the_source():
    mixture = edits.with_given(two(), At(), "web", Given(epochs=2.0))
    assert mixture.source("web").given == Given(epochs=2.0)
    staged = replace(two(), stages=(StagePlan("one", 1.0),))
    left_out = edits.with_given(staged, At(0), "web", None)
    assert left_out.stages[0].given == {"code": Given(weight=0.4)}
    assert left_out.sources == two().sources
