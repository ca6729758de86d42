"""Signals: what is computed is drawn, what is not is offered, and samples say so."""

from __future__ import annotations

import numpy as np
import pytest
from pages.conftest import APP, html
from pages.corpora import hostile_corpus

from explorer.corpus import distribution
from explorer.corpus.corpus import open_corpus

SAMPLE = APP.parent / "sample_data" / "corpus"


@pytest.fixture
def signals(app):
    def start(*arguments, **options):
        return app(*arguments, **options).run().switch_page("pages/signals.py").run()

    return start


def fine(at):
    assert not at.exception
    assert not at.error, [e.value for e in at.error]
    return at


def test_own_columns_are_drawn_before_anything_is_scored(signals):
    at = fine(signals(SAMPLE))
    table = at.dataframe[0].value
    assert table["signal"].tolist()[:2] == ["edu_rating", "edu_score"]
    values = open_corpus(SAMPLE).columns.numbers("edu_rating")
    assert np.sum(table["distribution"][0]) == np.count_nonzero(~np.isnan(values))
    assert table["computed"].tolist()[2] == 0
    assert f"median <b>{np.nanmedian(values):g}</b>" in html(at)
    assert html(at).count("<article>") == 30


def test_a_computed_signal_says_how_it_is_defined(signals, tmp_path):
    open_corpus(SAMPLE, workspace=tmp_path / "workspace").score(["c4", "length"], on_progress=lambda _: None)
    at = fine(signals(SAMPLE))
    at.text_input(key="sig_find").set_value("c4_reason").run()
    fine(at)
    assert "Pick values" in " ".join(c.value for c in at.caption)  # a text signal: bars of its values
    at.text_input(key="sig_find").set_value("c4_n_lines").run()
    assert "Agrees with datatrove" in html(fine(at))
    assert any("whole definition of c4" in e.label for e in at.expander)


def test_the_redundant_ones_are_named(signals, tmp_path):
    corpus = open_corpus(SAMPLE, workspace=tmp_path / "workspace")
    corpus.score("length", on_progress=lambda _: None)
    at = fine(signals(SAMPLE))
    at.toggle(key="sig_redundant").set_value(True).run()
    fine(at)
    pairs = at.dataframe[0].value
    assert ("n_bytes", "n_chars") in {tuple(sorted(p)) for p in zip(pairs["one"], pairs["the other"], strict=True)}
    rho = distribution.agreement(corpus.columns.numbers("n_bytes"), corpus.columns.numbers("n_chars")).spearman
    shown = pairs[pairs["one"].isin(["n_bytes", "n_chars"]) & pairs["the other"].isin(["n_bytes", "n_chars"])]
    assert shown["rank correlation"].iloc[0] == pytest.approx(rho)
    assert any("all 894 documents" in c.value for c in at.caption)


def test_a_sample_is_marked(signals, monkeypatch):
    monkeypatch.setattr("explorer.ui.distributions.MOST_DRAWN", 100)
    monkeypatch.setattr("explorer.ui.distributions.MOST_CORRELATED", 100)
    at = fine(signals(SAMPLE))
    at.toggle(key="sig_redundant").set_value(True).run()
    assert any("≈" in c.value and "seeded sample of 100 of 894" in c.value for c in fine(at).caption)
    at.selectbox(key="sig_other").set_value("edu_score").run()
    fine(at)
    both = np.count_nonzero(~np.isnan(open_corpus(SAMPLE).columns.numbers("edu_rating")))
    assert f"a seeded sample of 100 of {both} documents" in html(at)
    assert "≈" in html(at).split("Rank correlation (Spearman)")[1][:20]


def test_trying_computes_once_and_stores_nothing(signals, tmp_path, monkeypatch):
    from explorer.engine import local

    ran = []
    original = local.score_texts
    monkeypatch.setattr(local, "score_texts", lambda *a, **k: ran.append(1) or original(*a, **k))
    at = fine(signals(SAMPLE))
    at.multiselect(key="sig_families").set_value(["length"])
    at.toggle(key="sig_try").set_value(True).run()
    assert any("seeded sample of 200 of 894" in c.value for c in fine(at).caption)
    fine(at.run())
    assert len(ran) == 1
    assert not open_corpus(SAMPLE, workspace=tmp_path / "workspace").coverage().columns()


def test_two_columns_are_compared_and_one_becomes_a_rule(signals):
    at = fine(signals(SAMPLE))
    at.selectbox(key="sig_other").set_value("edu_score").run()
    assert "Rank correlation (Spearman)" in html(fine(at))
    at.button(key="sig_filter").click().run()
    fine(at)
    assert [line.signal for line in at.session_state.panel_lines] == ["edu_rating"]


def test_a_corpus_without_rows(signals, empty_corpus):
    at = fine(signals(empty_corpus))
    assert at.button(key="sig_score").disabled


def test_a_corpus_with_one_column(signals, bare_corpus):
    at = fine(signals(bare_corpus, "--text", "prose"))
    assert "Nothing is computed yet" in at.info[0].value


def test_hostile_names_are_text(signals, tmp_path):
    at = fine(signals(hostile_corpus(tmp_path)))
    assert "<img" not in html(at)
    assert "<script" not in html(at)
    at.toggle(key="sig_redundant").set_value(True).run()
    fine(at)


def test_nothing_found(signals):
    at = fine(signals(SAMPLE))
    at.text_input(key="sig_find").set_value("![x](http://evil.example)").run()
    assert "No signal matches" in fine(at).info[0].value
    assert "![x](" not in at.info[0].value
