"""Live thresholds: every figure equals numpy's count, and nothing is computed twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from explorer.errors import ColumnNotFoundError
from explorer.selection import tuning
from explorer.selection.filters import Filters
from explorer.selection.selection import Selection
from explorer.selection.threshold import Threshold
from explorer.selection.tuning import Tuning, published


@pytest.fixture
def stars(tiny_corpus):
    return tiny_corpus.columns.numbers("stars")


def test_totals_are_those_of_the_selection(tiny_corpus):
    rules = [Threshold("stars", minimum=1), Threshold("stars", maximum=3, reason="too many")]
    tuned = Tuning(tiny_corpus).tuned(rules)
    summary = Selection(tiny_corpus, Filters(tuple(rules))).summary()
    assert tuned.curves.kept_documents.sum() == summary.kept_documents
    assert tuned.curves.kept_tokens.sum() == pytest.approx(summary.kept_tokens)
    assert tuned.all_tokens == pytest.approx(summary.tokens)
    assert tuned.curves.only_this[0].tolist() == summary.reasons["only_this_documents"].to_list()
    assert tuned.curves.alone[0].tolist() == summary.reasons["alone_documents"].to_list()


def test_a_curve_says_what_every_cut_would_keep(tiny_corpus, stars):
    tuned = Tuning(tiny_corpus).tuned([Threshold("stars", minimum=1)])
    for value in range(5):
        low = int(np.searchsorted(tuned.edges[0], np.float32(value), side="right"))
        assert tuned.curves.documents[0, low:255].sum() == np.count_nonzero(stars >= value)


def test_a_predicate_counts_as_in_the_summary(tiny_corpus, stars):
    rule, where = Threshold("stars", minimum=2), "source = 'web'"
    tuned = Tuning(tiny_corpus).tuned([rule], where=where)
    summary = Selection(tiny_corpus, Filters((rule,), where)).summary()
    assert tuned.curves.kept_documents.sum() == np.count_nonzero(stars[:30] >= 2) == summary.kept_documents
    assert tuned.curves.total_documents.sum() == 60
    assert tuned.curves.alone[0].tolist() == summary.reasons["alone_documents"].to_list()[:1]
    assert tuned.curves.only_this[0].tolist() == summary.reasons["only_this_documents"].to_list()[:1]


def test_a_rule_that_is_off_drops_nothing_and_keeps_its_histogram(tiny_corpus, stars):
    tuned = Tuning(tiny_corpus).tuned([Threshold("stars", minimum=99)], disabled=frozenset({0}))
    assert tuned.curves.kept_documents.sum() == 60
    assert tuned.curves.nulls.tolist() == [np.count_nonzero(np.isnan(stars))]


def test_what_was_asked_before_is_answered_from_memory(tiny_corpus, monkeypatch):
    passes = []
    original = tuning.leave_one_out
    monkeypatch.setattr(tuning, "leave_one_out", lambda *a, **k: passes.append(1) or original(*a, **k))
    live, rules = Tuning(tiny_corpus), [Threshold("stars", minimum=2)]
    first = live.tuned(rules)
    assert live.tuned(rules) is first
    live.tuned([Threshold("stars", minimum=3)])
    assert live.tuned(rules) is first
    assert len(passes) == 2


def test_a_cut_at_a_position_of_the_handle_codes_nothing_again(tiny_corpus, monkeypatch):
    coded = []
    original = tuning.quantise
    monkeypatch.setattr(tuning, "quantise", lambda *a, **k: coded.append(1) or original(*a, **k))
    live = Tuning(tiny_corpus)
    live.tuned([Threshold("stars", minimum=2)])
    live.tuned([Threshold("stars", minimum=3)])  # a value of the column is a position
    assert len(coded) == 1
    tuned = live.tuned([Threshold("stars", minimum=2.37)])  # typed: no position yet
    assert len(coded) == 2
    assert tuned.curves.kept_documents.sum() == np.count_nonzero(tiny_corpus.columns.numbers("stars") >= 3)


def test_many_typed_cuts_stay_exact(tiny_corpus):
    live, values = Tuning(tiny_corpus), tiny_corpus.columns.numbers("stars")
    for cut in np.linspace(0, 4, 150):
        kept = live.tuned([Threshold("stars", minimum=float(cut))]).curves.kept_documents.sum()
        assert kept == np.count_nonzero(values >= np.float32(cut))


def test_two_rules_on_one_signal_with_different_cuts(tiny_corpus, stars):
    rules = [Threshold("stars", minimum=1.5, reason="few"), Threshold("stars", maximum=3.5, reason="many")]
    live = Tuning(tiny_corpus)
    for _ in range(2):
        assert live.tuned(rules).curves.kept_documents.sum() == np.count_nonzero((stars >= 1.5) & (stars <= 3.5))


def test_new_scores_are_seen(tiny_corpus):
    live = Tuning(tiny_corpus)
    tiny_corpus.score("length", limit=10, on_progress=lambda _: None)
    rule = [Threshold("n_chars", minimum=1)]
    before = live.tuned(rule).curves.kept_documents.sum()
    tiny_corpus.score("length", on_progress=lambda _: None)
    assert (before, live.tuned(rule).curves.kept_documents.sum()) == (10, 60)


def test_no_rule_keeps_everything(tiny_corpus):
    tuned = Tuning(tiny_corpus).tuned([])
    assert tuned.curves.kept_documents.sum() == 60


def test_an_unknown_column_is_named(tiny_corpus):
    with pytest.raises(ColumnNotFoundError, match="'starz'"):
        Tuning(tiny_corpus).tuned([Threshold("starz", minimum=1)])


def test_published_cuts_name_their_recipes():
    found = {(p.value, p.side): p for p in published("gopher_n_words")}
    assert "gopher" in found[50, "minimum"].recipe
    assert "Rae" in found[50, "minimum"].source or "datatrove" in found[50, "minimum"].source
    assert published("nobody cuts here") == ()


def test_a_slow_predicate_holds_nobody_up(tiny_corpus, monkeypatch):
    live, rules = Tuning(tiny_corpus), [Threshold("stars", minimum=2)]
    first, begun, finish = live.tuned(rules), threading.Event(), threading.Event()
    original = tiny_corpus.database.matching_rows

    def slow(where):
        begun.set()
        assert finish.wait(30)
        return original(where)

    monkeypatch.setattr(tiny_corpus.database, "matching_rows", slow)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(live.tuned, rules, where="source = 'web'")
        try:
            assert begun.wait(30)
            assert pool.submit(live.tuned, rules).result(timeout=20) is first
        finally:
            finish.set()
        assert waiting.result().curves.kept_documents.sum() == np.count_nonzero(tiny_corpus.columns.numbers("stars")[:30] >= 2)
