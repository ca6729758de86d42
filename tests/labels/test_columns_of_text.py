"""A file may be opened with one of several text columns; a label belongs to the text that was seen, in the column where it was."""

from __future__ import annotations

import sqlite3

import pytest

from explorer.corpus.corpus import open_corpus
from explorer.labels import Labels


@pytest.fixture
def columns(tmp_path, write_parquet):
    """One file, opened by its column ``text`` and by its column ``title``; only row 2 says the same in both."""
    path = write_parquet("two.parquet", {"text": ["a", "b", "same"], "title": ["ta", "tb", "same"]})
    return [open_corpus(path, workspace=tmp_path / "ws", text=name) for name in ("text", "title")]


def said(labels, corpus):
    return dict(labels.of(corpus).select("row", "label").iter_rows())


def test_a_label_is_seen_in_its_own_column_alone(columns):
    text, title = columns
    labels = Labels(text.workspace)
    labels.set(text, [0], "good")
    assert said(labels, title) == {}
    assert labels.found(title).absent == 1
    labels.set(title, [0], "bad")
    assert said(labels, text) == {0: "good"}, "the same row by another column is another document"
    assert said(labels, title) == {0: "bad"}
    assert (labels.find(text).placed, labels.find(title).placed) == (1, 1)
    assert labels.counts(text) == {"good": 1}


def test_a_text_that_both_columns_hold_is_one_document(columns):
    text, title = columns
    labels = Labels(text.workspace)
    labels.set(text, [2], "good")
    assert said(labels, title) == {2: "good"}, "found by its text"
    labels.set(title, [2], "bad")
    assert said(labels, text) == {2: "bad"}


def test_labels_of_the_first_format_are_found_again_by_their_text(columns):
    text, title = columns
    labels = Labels(text.workspace)
    labels.set(text, [0, 1], "good")
    with sqlite3.connect(labels.path) as connection:  # as format 1 kept them
        kept = connection.execute("SELECT shard, row, document FROM places").fetchall()
        connection.execute("DROP TABLE places")
        connection.execute("CREATE TABLE places (shard TEXT, row INTEGER, document INTEGER, PRIMARY KEY (shard, row)) WITHOUT ROWID")
        connection.executemany("INSERT INTO places VALUES (?, ?, ?)", kept)
        connection.execute("INSERT OR REPLACE INTO searched VALUES (?, 'text', 9)", (kept[0][0],))
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert said(labels, title) == {}
    assert said(labels, text) == {0: "good", 1: "good"}
    assert labels.undo() is not None
    assert said(labels, text) == {}
