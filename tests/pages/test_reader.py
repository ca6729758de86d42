"""What the reader makes of a text: nothing is believed, nothing is hidden."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.ui.errors import plain
from explorer.ui.reader import Span, count_invisible, glyph, repeated_lines, snippet, text_html

TAGS = re.compile(r"</?(mark|span)( [^<>]*)?>")


@given(st.text(max_size=200), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=6))
def test_only_our_own_tags_come_out_and_the_text_is_all_there(text, pairs):
    spans = [Span(min(p), max(p), "hit") for p in pairs]
    html = text_html(text, spans)
    assert "<" not in TAGS.sub("", html)
    assert unescape(TAGS.sub("", html)) == "".join(glyph(c) or c for c in text)


@pytest.mark.parametrize(
    "character", ["\u202e", "\u2066", "\u200b", "\ufeff", "\x00", "\x1b", "\x7f", "\x85", "\u00ad", "\U000e0041", "\ud800", "\r"]
)
def test_what_cannot_be_seen_is_drawn(character):
    html = text_html(f"a{character}b")
    assert character not in html
    assert 'class="glyph"' in html
    assert count_invisible(f"a{character}b") == 1


@pytest.mark.parametrize("text", ["plain\ttext\n", "naïve ☃ 日本", "é"])
def test_what_can_be_seen_is_left_alone(text):
    assert text_html(text) == text
    assert count_invisible(text) == 0


def test_direction_changes_are_drawn_even_when_signs_are_off():
    assert "RLO" in text_html("a\u202eb", signs=False)
    assert text_html("a\u200db", signs=False) == "a\u200db"


def test_overlapping_spans_carry_both_kinds():
    html = text_html("abcdef", [Span(0, 4, "hit"), Span(2, 6, "email")])
    assert html == '<mark class="hit">ab</mark><mark class="email hit">cd</mark><mark class="email">ef</mark>'


def test_a_window_shows_its_part_with_its_spans():
    assert text_html("0123456789", [Span(3, 8, "hit")], start=5, length=4) == '<mark class="hit">567</mark>8'


def test_repeated_lines():
    text = "a\nb\n a \n\n\nb"
    assert [text[s.start : s.end] for s in repeated_lines(text)] == [" a ", "b"]


def test_snippets():
    assert snippet(None) == [("no text (null)", False)]
    assert snippet("  ") == [("no visible text", False)]
    assert snippet("a  b\nc") == [("a b c", False)]
    pieces = snippet("x " * 100 + "hit there", (200, 203))
    assert [p for p in pieces if p[1]] == [("hit", True)]
    assert pieces[-1] == (" there", False)


def test_a_message_is_never_markup():
    said = plain("![x](http://evil.example/x.png) **bold** `code` :red[x] $x$ <b>")
    assert not re.search(r"(?<!\\)[`*_\[\]<>$!]", said)
