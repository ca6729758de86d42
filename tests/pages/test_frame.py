"""The frame: opening, the one selection, its link, undo, saved selections, and errors that are shown instead of raised."""

from __future__ import annotations

import pytest
import streamlit as st
from pages.conftest import html
from streamlit.runtime.fragment import MemoryFragmentStorage
from streamlit.runtime.scriptrunner import get_script_run_ctx

from explorer.errors import SelectionError
from explorer.selection.filters import Filters
from explorer.selection.threshold import Threshold
from explorer.ui import overview


def test_opens_the_sample_corpus_without_arguments(app):
    at = app().run()
    assert not at.exception
    assert not at.error
    assert "What is in here?" in html(at)
    assert "everything is kept" in html(at)


def test_a_page_that_is_left_while_it_is_drawn_ends_there(app, monkeypatch):
    cleared = []
    monkeypatch.setattr(MemoryFragmentStorage, "clear", lambda self, **kept: cleared.append(kept))
    app().run()
    assert len(cleared) == 1, "a run that comes to its end takes away the fragments of others"

    def left(_):  # Streamlit tells the run of a page that is left to stop, and it does at its next element
        get_script_run_ctx().session_state._yield_callback.__self__.request_stop()
        st.write("drawn no more")

    monkeypatch.setattr(overview, "schema_and_roles", left)
    at = app().run()
    assert not at.exception
    assert "drawn no more" not in [m.value for m in at.markdown]
    assert len(cleared) == 1, "another page's fragments may be there by now"


def test_a_path_that_does_not_exist_is_one_message_and_a_way_on(app):
    at = app("/nowhere/at/all.parquet").run()
    assert not at.exception
    assert len(at.error) == 1
    assert "does not exist" in at.error[0].value
    assert "Nothing is open." in html(at)
    assert at.text_area[0].label.startswith("Files, folders")


def test_an_unknown_argument_is_named(app, small_corpus):
    at = app(small_corpus, "--colour", "blue").run()
    assert "--colour" in at.error[0].value.replace("\\", "")


def test_opening_another_corpus_from_the_sidebar(app, small_corpus, bare_corpus):
    at = app(small_corpus)
    at.query_params["f"] = "score:0.5.."
    at.run()
    at.session_state["open_another"] = True
    at.run()
    at.text_area[0].set_value(str(bare_corpus))
    at.button(key="FormSubmitter:open-Open").click()
    at.run()
    assert not at.exception
    assert not at.error
    assert "3 documents" in html(at)
    assert "everything is kept" in html(at), "a filter is of the corpus it was made for"
    assert "f" not in at.query_params
    assert at.button(key="bar_undo").help == "Take back: opening another corpus"


def test_a_corpus_that_cannot_be_opened_leaves_the_open_one(app, small_corpus):
    at = app(small_corpus)
    at.session_state["open_another"] = True
    at.run()
    at.text_area[0].set_value("/nowhere/*.parquet")
    at.button(key="FormSubmitter:open-Open").click()
    at.run()
    assert "matches no file" in at.error[0].value.replace("\\", "")
    assert "8 documents" in html(at)


def test_the_link_restores_the_selection_and_the_bar_counts_it(app, small_corpus):
    at = app(small_corpus)
    at.query_params["f"] = "score:0.5..;where=language = 'en'"
    at.run()
    assert not at.exception
    # 0.9 0.5 0.6 0.7 pass in English; 0.8 is German, null fails
    assert '<b class="n">4</b> of 8 documents' in html(at)
    assert "where language = &#x27;en&#x27;" in html(at)
    assert at.session_state.filters == Filters((Threshold("score", minimum=0.5),), where="language = 'en'")


@pytest.mark.parametrize("bad", ["score", "score:abc..", "score:1..0", "recipe=nothing", "score:0..,colour=red", "sample=method:magic"])
def test_a_broken_link_is_said_and_not_raised(app, small_corpus, bad):
    at = app(small_corpus)
    at.query_params["f"] = bad
    at.run()
    assert not at.exception
    assert "link's filters were not used" in at.warning[0].value
    assert "everything is kept" in html(at)


def test_a_filter_that_cannot_be_applied_is_said_in_the_bar_and_can_be_cleared(app, small_corpus):
    at = app(small_corpus)
    at.query_params["f"] = "no_such_signal:1.."
    at.run()
    assert not at.exception
    assert "Cannot be applied here" in html(at)
    at.button(key="bar_clear").click().run()
    assert "everything is kept" in html(at)


def test_a_predicate_that_is_no_sql_is_one_line(app, small_corpus):
    at = app(small_corpus)
    at.query_params["f"] = "where=this is (not sql"
    at.run()
    assert not at.exception
    assert "Cannot be applied here" in html(at)


def test_clear_then_undo_gives_the_selection_back(app, small_corpus):
    at = app(small_corpus)
    at.query_params["f"] = "score:0.5.."
    at.run()
    at.button(key="bar_clear").click().run()
    assert "everything is kept" in html(at)
    at.button(key="bar_undo").click().run()
    assert at.session_state.filters == Filters((Threshold("score", minimum=0.5),))
    assert '<b class="n">5</b> of 8 documents' in html(at)


def test_the_selection_stays_when_the_page_changes(app, small_corpus):
    at = app(small_corpus)
    at.query_params["f"] = "score:0.5.."
    at.run()
    at.switch_page("pages/documents.py").run()
    assert not at.exception
    assert '<b class="n">5</b> of 8 documents' in html(at)
    assert at.query_params["f"] in ("score:0.5..", ["score:0.5.."])


def test_saved_selections_are_listed_and_names_that_are_no_file_are_refused(small_corpus, tmp_path):
    from explorer.corpus.corpus import open_corpus
    from explorer.ui import state

    corpus = open_corpus(small_corpus, workspace=tmp_path / "workspace")
    assert state.saved_selections(corpus) == []
    Filters((Threshold("score", minimum=0.7),)).save(state.selection_path(corpus, "best of all"))
    assert state.saved_selections(corpus) == ["best of all"]
    for name in ("", "../up", "a/b", ".hidden", "a\x00b", "x" * 300):
        with pytest.raises(SelectionError, match="cannot name a saved selection"):
            state.selection_path(corpus, name)


def test_the_page_of_a_large_corpus_is_drawn_before_its_tokens_are_waited_for(app, small_corpus, monkeypatch):
    from explorer.ui import frame, state

    monkeypatch.setattr(frame, "MANY", 1)
    waits, counts = [], state.counts
    monkeypatch.setattr(state, "counts", lambda wait=1.5: waits.append(wait) or (counts(wait) if wait else None))
    at = app(small_corpus).run()
    assert not at.exception
    assert (waits[0], waits[-1]) == (0, 0.4)
    assert "tokens</span>" in html(at)


def test_a_file_that_changes_under_the_app_is_read_anew(app, small_corpus):
    import pyarrow as pa
    import pyarrow.parquet as pq

    at = app(small_corpus).run()
    pq.write_table(pa.table({"text": ["only one now"]}), small_corpus)
    at.run()
    assert not at.exception
    assert "1 document" in html(at)


def test_roles_can_be_given(app, small_corpus):
    at = app(small_corpus, "--source", "language", "--id", "").run()
    assert not at.exception
    assert not at.error


def test_a_bug_on_a_page_is_a_card_without_its_insides(app, small_corpus, monkeypatch):
    from explorer.ui import overview

    def broken(*_: object) -> None:
        raise RuntimeError("secret insides")

    monkeypatch.setattr(overview, "footer_cards", broken)
    at = app(small_corpus).run()
    assert not at.exception
    said = " ".join(e.value for e in at.error)
    assert "It is a bug" in said
    assert "secret insides" not in said
