"""Overview: figures that are right, problems that can be looked at, and every state of a corpus."""

from __future__ import annotations

from pages.conftest import html

from explorer.registry import families


def test_problems_are_counted(app, small_corpus):
    at = app(small_corpus).run()
    assert not at.exception
    assert not at.error
    said = html(at)
    assert "1 document without text (null)" in said
    assert "1 document with a text of no character" in said
    assert "1 document with nothing but white space" in said
    assert "1 document repeats the id" in said
    assert "1 document repeats the text" in said
    assert "37.5" in said  # 3 of 8 without text


def test_see_them_opens_those_documents(app, small_corpus):
    at = app(small_corpus).run()
    see = next(b for b in at.button if str(b.key).endswith("null text"))
    see.click().run()
    assert not at.exception
    assert at.session_state.focus.title == "null text documents"
    assert at.session_state.documents_row == 3


def test_duplicates_can_be_seen(app, small_corpus):
    at = app(small_corpus).run()
    next(b for b in at.button if str(b.key).endswith("duplicate texts")).click().run()
    assert at.session_state.focus.rows == (1, 5)


def test_an_empty_corpus_says_so(app, empty_corpus):
    at = app(empty_corpus).run()
    assert not at.exception
    assert not at.error
    assert "no rows" in at.info[0].value
    assert at.button(key="score_heuristics").disabled
    assert at.button(key="read_random").disabled


def test_a_corpus_with_nothing_but_text(app, bare_corpus):
    at = app(bare_corpus).run()
    assert not at.exception
    assert not at.error
    assert html(at).count("No column says it") == 2  # languages and years; the file's name stands in for a source


def test_twenty_random_documents(app, small_corpus):
    at = app(small_corpus).run()
    at.button(key="read_random").click().run()
    assert not at.exception
    assert sorted(at.session_state.focus.rows) == list(range(8))


def test_the_heuristics_start_a_job(app, small_corpus, monkeypatch):
    started = []
    monkeypatch.setattr("explorer.jobs.start", lambda workspace, command, label: started.append((command, label)))
    at = app(small_corpus).run()
    at.button(key="score_heuristics").click().run()
    assert not at.exception
    command, _ = started[0]
    assert command[:3] == ["score", str(small_corpus), "-s"]
    chosen = command[3].split(",")
    assert "gopher_quality" in chosen
    assert [name for name in chosen if families()[name].learned] == [], "what needs a model's weights can fail at the first click"
