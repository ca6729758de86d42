"""What a search finds, in which order, and what it marks."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.corpus.corpus import open_corpus
from explorer.corpus.search import Search, hits, search, sortable
from explorer.errors import ExplorerError

TEXTS = ["The King's men", "a queen", "KING KONG", None, "it's 100% 'quoted' \\d", "kingdom\nking"]
SCORES = [0.5, None, 0.1, 0.9, 0.5, 0.3]
NAMES = ["b", "a", None, "d", "c", "a"]


@pytest.fixture
def corpus(write_parquet, tmp_path):
    path = write_parquet("docs.parquet", {"text": TEXTS, "score": SCORES, "name": NAMES}, row_group_size=2)
    return open_corpus(path, workspace=tmp_path / "w")


def rows(corpus, *arguments, within=None, **settings):
    return list(search(corpus, Search(*arguments, **settings), within).rows)


def test_everything_is_found_without_reading(corpus):
    assert search(corpus, Search()).rows == range(6)


def test_contains_ignores_case_unless_told(corpus):
    assert rows(corpus, "king") == [0, 2, 5]
    assert rows(corpus, "KING", match_case=True) == [2]


@pytest.mark.parametrize("text", ["100%", "'quoted'", "\\d", "it's"])
def test_contains_takes_every_character_as_it_is(corpus, text):
    assert rows(corpus, text) == [4]


def test_regex_and_predicate_and_within(corpus):
    assert rows(corpus, r"^king", "regex") == [2, 5]
    assert rows(corpus, r"^king", "regex", True) == [5]
    assert rows(corpus, r"\bking\b", "regex") == [0, 2, 5]
    assert rows(corpus, "king", where="score >= 0.3") == [0, 5]
    assert rows(corpus, "king", within=np.array([5, 2, 1])) == [5, 2]


def test_sorting_puts_undefined_last_and_keeps_ties_in_order(corpus):
    assert rows(corpus, sort="score") == [3, 0, 4, 5, 2, 1]
    assert rows(corpus, sort="score", descending=False) == [2, 5, 0, 4, 3, 1]
    assert rows(corpus, sort="name", descending=False) == [1, 5, 0, 4, 3, 2]
    assert rows(corpus, sort="name", within=np.array([0, 1, 2])) == [0, 1, 2]
    assert set(sortable(corpus)) == {"score", "name"}


def test_equal_numbers_are_ordered_by_another(write_parquet, tmp_path):
    path = write_parquet("ties.parquet", {"text": ["t"] * 4, "a": [1.0, 1.0, 0.0, 1.0], "b": [3.0, 1.0, 0.0, 2.0]})
    ties = open_corpus(path, workspace=tmp_path / "w")
    assert rows(ties, sort="a", ties="b") == [1, 3, 0, 2]
    assert rows(ties, sort="a", descending=False, ties="b") == [2, 1, 3, 0]


@pytest.mark.parametrize("what", [Search("(", "regex"), Search(where="nonsense ("), Search(sort="nothing")])
def test_what_cannot_be_run_is_one_clear_error(corpus, what):
    with pytest.raises(ExplorerError):
        search(corpus, what)


def test_hits_are_where_the_text_is(corpus):
    assert [TEXTS[0][a:b] for a, b in hits(TEXTS[0], Search("king"))] == ["King"]
    assert [TEXTS[5][a:b] for a, b in hits(TEXTS[5], Search(r"\bking\b", "regex"))] == ["king"]
    assert hits(TEXTS[5], Search(r"\bking\b", "regex")) == [(8, 12)]
    assert hits(TEXTS[0], Search("(", "regex")) == []
    assert hits("ab12, 3é4", Search(r"\d", "regex")) == [(2, 3), (3, 4), (6, 7), (8, 9)]
    assert hits("ab", Search("x*", "regex")) == []
    assert hits("aaa", Search("a", "regex"), most=2) == [(0, 1), (1, 2)]
    assert hits("aaa", Search("a"), most=2) == [(0, 1), (1, 2)]


def test_a_regex_that_explodes_elsewhere_is_quick(corpus):
    import time

    started = time.monotonic()
    hits("a" * 50_000 + "b", Search("(a+)+c", "regex"))
    assert time.monotonic() - started < 5
