"""Filters: right numbers on every kind of corpus, and nothing computed twice in a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pages.conftest import APP, html
from pages.corpora import HOSTILE, hostile_corpus

from explorer.corpus.corpus import open_corpus
from explorer.selection import selection as selections
from explorer.selection import tuning
from explorer.selection.filters import Filters
from explorer.selection.samplers import Sample
from explorer.selection.threshold import Threshold
from explorer.ui import link, rules
from explorer.ui.cuts import CutEvent
from explorer.ui.predicate import picked_sql

SAMPLE = APP.parent / "sample_data" / "corpus"
TABS = ("Near the cut", "Dropped and kept", "Funnel", "Who loses?", "Compare recipes", "As pipeline config")


@pytest.fixture
def filters(app):
    def start(*arguments, given: Filters | None = None, tab: str = "", **options):
        at = app(*arguments, **options)
        if given is not None:
            at.query_params["f"] = link.encode(given)
        at.run()
        if tab:
            at.session_state.evidence = tab
        return at.switch_page("pages/filters.py").run()

    return start


def fine(at):
    assert not at.exception
    assert not at.error, [e.value for e in at.error]
    return at


def test_without_a_rule_everything_is_kept(filters):
    at = fine(filters(SAMPLE))
    assert "Every document is kept" in html(at)
    assert "Start from a published recipe" in at.info[0].value
    assert "edu_score" in at.selectbox(key="new_rule").options[0] + at.selectbox(key="new_rule").options[1]


def test_a_recipe_whose_signals_are_missing_offers_to_compute_them(filters):
    at = fine(filters(SAMPLE))
    at.selectbox(key="recipe").set_value("gopher").run()
    at.button(key="recipe_use").click().run()
    fine(at)
    assert "wait for signals" in html(at)
    assert "gopher\\_quality" in at.info[0].value
    assert at.button(key="score_lacking")


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_on_the_sample_corpus(filters, tab):
    given = Filters((Threshold("edu_score", minimum=1.5), Threshold("edu_rating", maximum=3)), where="language = 'en'")
    at = fine(filters(SAMPLE, given=given, tab=tab))
    corpus = open_corpus(SAMPLE)
    chosen = corpus.select(given)
    assert "<b>2 rules</b>" in html(at)
    if tab == "Funnel":
        shown = next(d.value for d in at.dataframe if "first" in d.value.columns)
        assert shown["first"].tolist() == chosen.summary().reasons["first_documents"].to_list()
    if tab == "Near the cut":
        assert html(at).count("<article>") == 10
    if tab == "Compare recipes":
        assert next(d.value for d in at.dataframe if "share" in d.value.columns)["documents"].tolist()[0] == len(chosen)


@pytest.mark.parametrize("tab", TABS)
def test_a_corpus_without_rows(filters, empty_corpus, tab):
    fine(filters(empty_corpus, tab=tab))


@pytest.mark.parametrize("tab", TABS)
def test_a_corpus_with_one_column(filters, bare_corpus, tab):
    fine(filters(bare_corpus, "--text", "prose", tab=tab))


@pytest.mark.parametrize("tab", TABS)
def test_hostile_names_are_text(filters, tmp_path, tab):
    given = Filters((Threshold(HOSTILE, minimum=1.5), Threshold("all null", minimum=0, nulls="keep"), Threshold("constant", maximum=3)))
    at = fine(filters(hostile_corpus(tmp_path), given=given, tab=tab))
    assert "<img" not in html(at)
    assert "<script" not in html(at)


def test_one_pass_and_one_evaluation_a_run(filters, monkeypatch):
    passes, failing = [], []
    original, judge = tuning.leave_one_out, selections._fail
    monkeypatch.setattr(tuning, "leave_one_out", lambda *a, **k: passes.append(1) or original(*a, **k))
    monkeypatch.setattr(selections, "_fail", lambda *a: failing.append(1) or judge(*a))
    given = Filters((Threshold("edu_score", minimum=1.5), Threshold("edu_rating", maximum=3)))
    at = fine(filters(SAMPLE, given=given))
    assert (len(passes), len(failing)) == (1, 2)  # one failure pass a rule
    for tab in TABS[:4]:
        at.session_state.evidence = tab
        fine(at.run())
    assert (len(passes), len(failing)) == (1, 2)
    at.session_state.filters = replace(given, filters=given.filters[:1])
    fine(at.run())
    assert (len(passes), len(failing)) == (2, 3)


def test_a_sampler_shows_what_it_takes(filters):
    given = Filters((Threshold("edu_score", minimum=1.5),), sample=Sample("top_fraction_docs", by="edu_score", fraction=0.5))
    at = fine(filters(SAMPLE, given=given))
    passing = np.count_nonzero(open_corpus(SAMPLE).columns.numbers("edu_score") >= 1.5)
    said = next(m.value for m in at.markdown if "Then sampled" in m.value)
    assert f"**{passing // 2}** of the {passing} documents" in said


def test_a_predicate_that_cannot_be_run_leaves_the_tools(filters):
    at = filters(SAMPLE)
    at.text_input(key="where_sql").set_value("this is not SQL").run()
    assert not at.exception
    assert at.error
    at.text_input(key="where_sql").set_value("language = 'en'").run()
    fine(at)
    assert at.session_state.filters.where == "language = 'en'"


def test_what_undo_takes_back_leaves_the_predicate_field(filters):
    at = fine(filters(SAMPLE))
    at.text_input(key="where_sql").set_value("language = 'en'").run()
    at.button(key="bar_undo").click().run()
    assert at.text_input(key="where_sql").value == ""


def test_the_predicate_field_is_filled_again_when_its_page_is_come_back_to(filters):
    at = fine(filters(SAMPLE))
    at.text_input(key="where_sql").set_value("language = 'en'").run()
    at.switch_page("pages/labels.py").run()
    at.switch_page("pages/filters.py").run()
    assert fine(at).text_input(key="where_sql").value == "language = 'en'"


def test_picked_values_are_a_condition_that_counts_the_same(tmp_path):
    corpus = open_corpus(hostile_corpus(tmp_path), workspace=tmp_path / "w")
    groups = corpus.columns.groups("source", 200)
    for size in range(1, len(groups.labels) + 1):
        picked = list(range(size))
        kept = np.isin(groups.codes, picked)
        assert corpus.select(picked_sql("source", groups, picked, True)).mask().tolist() == kept.tolist()
        assert corpus.select(picked_sql("source", groups, picked, False)).mask().tolist() == (~kept).tolist()


def test_a_moved_cut_loses_its_publication_and_finds_it_again(monkeypatch):
    state: dict[str, object] = {}

    class Session(dict):
        __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__

    session = Session(state)
    monkeypatch.setattr(rules.st, "session_state", session)
    from explorer.selection.recipes import recipes

    now = {"filters": recipes["gopher"]}
    monkeypatch.setattr(rules, "current_filters", lambda: now["filters"])
    monkeypatch.setattr(rules, "set_filters", lambda f, note="": now.update(filters=f))
    at = next(i for i, t in enumerate(recipes["gopher"].filters) if t.signal == "gopher_n_words")
    rules.apply(CutEvent("cuts", at, {at: (60.0, 100_000.0)}))
    assert now["filters"].filters[at].minimum == 60
    assert now["filters"].filters[at].source == ""
    rules.apply(CutEvent("cuts", at, {at: (50.0, 100_000.0)}))
    assert now["filters"].filters[at] == recipes["gopher"].filters[at]
    rules.apply(CutEvent("cuts", at, {at: (9.0, 3.0)}))  # crossed: refused, said, and the old cut stands
    assert now["filters"].filters[at] == recipes["gopher"].filters[at]
    assert "keeps nothing" in str(session["panel_problem"])
