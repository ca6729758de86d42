"""The Labels page: queue, buttons, undo, all labels, training and its results, without a browser."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pages.conftest import html

from explorer import scorers
from explorer.corpus.corpus import open_corpus
from explorer.embeddings.meaning import by_meaning
from explorer.labels import Labels

SAMPLE = Path(__file__).parents[2] / "sample_data" / "corpus"


def opened(app, path, workspace):
    at = app(path, workspace=workspace)
    at.run()
    at.switch_page("pages/labels.py")
    return at.run()


def button(at, key):
    return next(b for b in at.button if b.key == key)


def labels_of(path, workspace):
    corpus = open_corpus(path, workspace=workspace)
    return Labels(corpus.workspace).of(corpus)


def test_buttons_label_go_on_and_take_back(app, small_corpus, tmp_path):
    at = opened(app, small_corpus, tmp_path / "ws")
    assert not at.exception
    assert "Teach it my taste" in html(at)
    first = at.session_state.labels_row
    button(at, "labels_good").click().run()
    assert not at.exception
    frame = labels_of(small_corpus, tmp_path / "ws")
    assert frame.select("row", "label").rows() == [(first, "good")]
    assert at.session_state.labels_row != first, "the next document is open"
    assert "1 of 40" in html(at)
    button(at, "labels_undo").click().run()
    assert labels_of(small_corpus, tmp_path / "ws").height == 0
    assert button(at, "labels_undo").disabled


def test_documents_without_text_are_not_asked_about(app, small_corpus, tmp_path):
    at = opened(app, small_corpus, tmp_path / "ws")
    assert sorted(at.session_state.labels_queue[1]) == [0, 1, 5, 6, 7], "2 is empty, 3 null, 4 blank"


def test_queues_follow_what_is_there(app, small_corpus, tmp_path):
    at = opened(app, small_corpus, tmp_path / "ws")
    way = next(s for s in at.selectbox if s.key == "labels_way")
    assert list(way.options) == ["Label at random", "Label search hits", "Label highest and lowest"]
    way.select("search hits").run()
    assert any("Write what the documents must contain" in i.value for i in at.info)
    next(t for t in at.text_input if t.key == "labels_words").set_value("king").run()
    assert sorted(at.session_state.labels_queue[1]) == [0, 7]
    next(s for s in at.selectbox if s.key == "labels_way").select("highest and lowest").run()
    assert not at.exception
    assert list(at.session_state.labels_queue[1][:2]) == [0, 1], "the highest, then the lowest"


def test_the_nearest_to_a_meaning_are_labelled_where_documents_are_embedded(app, small_corpus, tmp_path):
    corpus = open_corpus(small_corpus, workspace=tmp_path / "ws")
    corpus.embed(on_progress=lambda _: None)
    at = opened(app, small_corpus, tmp_path / "ws")
    next(s for s in at.selectbox if s.key == "labels_way").select("near a meaning").run()
    assert any("Write what the documents should be about" in i.value for i in at.info)
    next(t for t in at.text_input if t.key == "labels_meaning").set_value("a king and his crown").run()
    assert not at.exception
    assert at.session_state.labels_queue[1][0] == by_meaning(corpus, "a king and his crown").rows[0]


@pytest.mark.parametrize("view", ["Label", "All labels", "Train and judge"])
@pytest.mark.parametrize("kind", ["empty_corpus", "bare_corpus"])
def test_poor_corpora_are_answered(app, request, tmp_path, view, kind):
    at = opened(app, request.getfixturevalue(kind), tmp_path / "ws")
    if kind == "bare_corpus":
        at.session_state.labels_view = view
        at.run()
    assert not at.exception
    assert not at.error
    said = html(at) + " ".join(i.value for i in at.info)
    assert {"Label": "at random", "All labels": "No document is labelled yet", "Train and judge": "No scorer is trained yet"}[
        view
    ] in said or ("nothing to label" in said or view == "Label")


@pytest.mark.thorough
def test_a_trained_scorer_is_shown_with_its_interval_words_and_mistakes(app, tmp_path):
    corpus = open_corpus(SAMPLE, workspace=tmp_path / "ws")
    truth = corpus.documents(range(len(corpus)), ["source"])["source"].to_numpy() == "books"
    rows = np.random.default_rng(0).choice(len(corpus), 60, replace=False)
    frame = pl.DataFrame({"row": rows, "label": ["good" if truth[r] else "bad" for r in rows]})
    for label in ("good", "bad"):
        Labels(corpus.workspace).set(corpus, frame.filter(pl.col("label") == label)["row"].to_numpy(), label)
    made = scorers.train(corpus, "mine")
    at = opened(app, SAMPLE, tmp_path / "ws")
    at.session_state.labels_view = "Train and judge"
    at.run()
    assert not at.exception
    assert not at.error
    said = html(at)
    assert re.search(rf"AUC <b>{made.metrics['auc']:.3f}</b>", said)
    assert f"{made.metrics['auc_low']:.3f} to {made.metrics['auc_high']:.3f}" in said
    assert made.telling["for"][0][0] in said
    assert not button(at, "train_go").disabled
    assert button(at, "result_apply").label == "Score 894 documents with it"
    button(at, "result_read").click().run()
    assert at.session_state.labels_way == "mistakes"
    assert list(at.session_state.labels_queue[1]) == [m["row"] for m in made.mistakes]
    scorers.apply(corpus, "mine")
    at.session_state.labels_view = "Train and judge"
    at.run()
    assert not at.exception
    assert any(b.key == "result_filter" for b in at.button)
    button(at, "result_filter").click().run()
    assert not at.exception
    assert any(line.signal == "scorer_mine" for line in at.session_state.panel_lines)


def test_a_label_in_the_table_opens_its_document(app, small_corpus, tmp_path):
    corpus = open_corpus(small_corpus, workspace=tmp_path / "ws")
    Labels(corpus.workspace).set(corpus, [0, 1, 7], "bad", note="why")
    at = opened(app, small_corpus, tmp_path / "ws")
    at.session_state.labels_view = "All labels"
    at.run()
    assert at.dataframe[0].value["row"].to_list() == [0, 1, 7]
    at.session_state.labels_table = {"selection": {"rows": [1], "columns": [], "cells": []}}
    at.run()
    button(at, "labels_read").click().run()
    assert at.session_state.labels_row == 1
