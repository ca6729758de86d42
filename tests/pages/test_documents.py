"""Documents: what is found, what is read, and that nothing of a text is ever believed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from pages.conftest import html


@pytest.fixture
def documents(app):
    def start(*arguments, link: str = ""):
        at = app(*arguments)
        if link:
            at.query_params["f"] = link
        return at.run().switch_page("pages/documents.py").run()

    return start


def test_the_first_document_is_open(documents, small_corpus):
    at = documents(small_corpus)
    assert not at.exception
    assert not at.error
    assert at.session_state.documents_row == 0
    assert "The king of Spain." in html(at)
    assert '<mark class="repeat">' in html(at)


def test_contains_search_counts_and_marks(documents, small_corpus):
    at = documents(small_corpus)
    at.text_input(key="documents_search").set_value("king").run()
    assert not at.exception
    assert '<b title="2">2</b> of 8 documents match' in html(at)
    assert '<mark class="hit repeat">king</mark>' in html(at)
    at.toggle(key="documents_case").set_value(True)
    at.text_input(key="documents_search").set_value("KING").run()
    assert '<b title="1">1</b> of 8' in html(at)
    assert at.session_state.documents_row == 7


def test_regex_search_and_a_broken_expression(documents, small_corpus):
    at = documents(small_corpus)
    at.segmented_control(key="documents_mode").set_value("regex")
    at.text_input(key="documents_search").set_value(r"king@\w+").run()
    assert '<b title="1">1</b> of 8' in html(at)
    at.text_input(key="documents_search").set_value("(").run()
    assert not at.exception
    assert "The search could not be run." in html(at)
    assert at.error


def test_nothing_found_says_what_to_do(documents, small_corpus):
    at = documents(small_corpus)
    at.text_input(key="documents_search").set_value("zebra").run()
    assert "No document matches" in at.info[0].value


def test_hostile_text_is_shown_and_never_run(documents, small_corpus):
    at = documents(small_corpus)
    at.session_state.documents_row = 6
    at.run()
    said = html(at)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in said
    assert "<script>" not in said
    assert "[RLO]" in said
    assert "\u202e" not in said
    assert "![x](http://evil.example/x.png)" in said  # as text, inside HTML that Markdown never sees


def test_addresses_are_marked(documents, small_corpus):
    at = documents(small_corpus)
    at.session_state.documents_row = 7
    at.run()
    assert '<mark class="email">king@example.org</mark>' in html(at)


def test_null_and_empty_documents_can_be_read(documents, small_corpus):
    at = documents(small_corpus)
    for row, said in ((2, "no character"), (3, "its value is null")):
        at.session_state.documents_row = row
        at.run()
        assert not at.exception
        assert said in html(at)


def test_among_dropped_shows_every_reason(documents, small_corpus):
    at = documents(small_corpus, link="score:0.75..;where=source = 'books'")
    at.segmented_control(key="documents_within").set_value("dropped").run()
    assert not at.exception
    assert '<b title="7">7</b> of 8 documents among the dropped' in html(at)
    assert "score is <b>0.1</b>, must be ≥ 0.75" in html(at)
    assert "fails <code>source = &#x27;books&#x27;</code>" in html(at)


def test_sorting_by_a_column(documents, small_corpus):
    at = documents(small_corpus)
    at.selectbox(key="documents_sort").set_value("score").run()
    assert at.session_state.documents_row == 0  # 0.9
    at.toggle(key="documents_up").set_value(True).run()
    assert at.session_state.documents_row == 1  # 0.1
    at.selectbox(key="documents_sort").set_value("date").run()
    assert not at.exception
    assert at.session_state.documents_row == 0  # 2019-01-01, the first of two


@pytest.mark.parametrize("view", ["Text", "Signals", "Metadata", "As C4 edits it"])
def test_every_view_of_a_document(documents, small_corpus, view):
    at = documents(small_corpus)
    at.segmented_control(key="reader_view").set_value(view).run()
    assert not at.exception
    assert not at.error


def test_scoring_one_document_on_the_spot(documents, small_corpus):
    at = documents(small_corpus)
    at.segmented_control(key="reader_view").set_value("Signals").run()
    at.toggle(key="reader_spot").set_value(True).run(timeout=300)
    assert not at.exception
    assert "gopher_n_words" in html(at)
    assert 'name">n_words</span><b title="words">11</b>' in html(at)


def test_sql_answers_and_errors_are_one_line(documents, small_corpus):
    from explorer.corpus.corpus import open_corpus
    from explorer.ui.documents import examples

    corpus = open_corpus(small_corpus)
    for query in examples(corpus).values():
        assert corpus.database.ask(query).rows.height
    at = documents(small_corpus)
    assert not at.exception


def test_a_corpus_with_nothing_but_text(documents, bare_corpus):
    at = documents(bare_corpus)
    assert not at.exception
    assert not at.error
    assert "one two three" in html(at)


def test_an_empty_corpus(documents, empty_corpus):
    at = documents(empty_corpus)
    assert not at.exception
    assert "nothing to read" in html(at)


@pytest.mark.parametrize(
    ("link", "row", "rule"),
    [
        ("score:0.9..", 0, '<span class="kept">✓ ≥ 0.9</span>'),  # float32(0.9) lies below 0.9
        ("score:0.9..,exclusive", 0, '<span class="dropped">✕ &gt; 0.9</span>'),
        ("score:0.5..,nulls=keep", 2, '<span class="kept">✓ ≥ 0.5</span>'),
        ("score:0.5..", 2, '<span class="dropped">✕ ≥ 0.5</span>'),
    ],
)
def test_a_signal_passes_its_rule_as_the_selection_has_it(documents, small_corpus, link, row, rule):
    at = documents(small_corpus, link=link)
    at.session_state.documents_row = row
    at.run()
    at.segmented_control(key="reader_view").set_value("Signals").run()
    assert not at.exception
    assert rule in html(at)


@pytest.mark.parametrize("limit", [10, None])
def test_the_values_of_one_document_are_read_without_their_columns(tiny_corpus, limit):
    from explorer.ui.document import _computed

    tiny_corpus.score(["length", "gopher_quality"], limit=limit, on_progress=lambda _: None)
    coverage = tiny_corpus.coverage()
    read = [_computed(tiny_corpus, coverage, row) for row in range(60)]
    assert not tiny_corpus.columns._numbers
    names = [name for name in coverage.columns() if name in tiny_corpus.columns.numeric()]
    assert "gopher_n_words" in names
    for name in names:
        np.testing.assert_array_equal([found.get(name, np.nan) for found in read], tiny_corpus.columns.numbers(name))


def test_equal_files_elsewhere_are_another_place(tiny_files, tmp_path):
    from explorer.corpus.corpus import open_corpus
    from explorer.ui.state import corpus_key, place_key

    shutil.copytree(tiny_files, tmp_path / "copy")
    here, there, again = (open_corpus(p, workspace=tmp_path / "w") for p in (tiny_files, tmp_path / "copy", tiny_files))
    assert here.fingerprint == there.fingerprint
    assert place_key(here) == place_key(again) != place_key(there)
    assert corpus_key(here) == corpus_key(again) != corpus_key(there)
