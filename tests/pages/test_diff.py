"""Two texts side by side: the words put together are the text, what is equal is equal, and nothing of a text becomes markup."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.ui import diff as d

HOSTILE = "<script>window.__pwn=1</script> <img src=x onerror=alert(1)> [l](javascript:1) \u202egnp\u202c &amp; \u200b \x07 ' \""


def ops(left, right, **how):
    return [(e.op, left[slice(*e.left)], right[slice(*e.right)]) for e in d.diff(left, right, **how).edits]


def test_a_changed_word_is_the_only_change():
    assert ops("The fox is quick today.", "The fox is slow today.") == [
        ("equal", "The fox is ", "The fox is "),
        ("replace", "quick ", "slow "),
        ("equal", "today.", "today."),
    ]


def test_what_only_one_side_has_is_deleted_or_inserted():
    assert ops("a b c", "a c") == [("equal", "a ", "a "), ("delete", "b ", ""), ("equal", "c", "c")]
    assert ops("a c", "a b c") == [("equal", "a ", "a "), ("insert", "", "b "), ("equal", "c", "c")]


def test_the_empty_text_and_the_same_text():
    assert ops("", "") == []
    assert ops("", "x") == [("insert", "", "x")]
    assert ops("x y", "x y") == [("equal", "x y", "x y")]
    assert d.diff("", "").common is None
    assert d.diff("x", "").common == 0
    assert d.diff("x", "x").common == 1


def test_numbers_and_contractions_are_one_word_and_signs_their_own():
    assert d.words("It's 4.2, not 1,000.5 — or e-mail...") == ["It's ", "4.2", ", ", "not ", "1,000.5 ", "— ", "or ", "e-mail", "..."]
    assert ("replace", "4.2 ", "42 ") in ops("holds 4.2 million", "holds 42 million")


def test_scripts_without_blanks_are_compared_by_character():
    assert ops("私は猫です", "私は犬です") == [("equal", "私は", "私は"), ("replace", "猫", "犬"), ("equal", "です", "です")]


def test_marks_stay_with_their_letter():
    assert "".join(d.words("e\u0301te\u0301 की")) == "e\u0301te\u0301 की"
    assert d.words("की हाल") == ["की ", "हाल"]


def test_short_equal_stretches_between_long_changes_are_changes():
    left, right = "alpha bravo, charlie delta end", "golf hotel, india juliett end"
    assert [op for op, *_ in ops(left, right)] == ["replace", "equal"]
    assert [op for op, *_ in ops(left, right, smooth=False)] == ["replace", "equal", "replace", "equal"]
    # the words that carry the meaning are not swallowed
    assert ("delete", "not ", "") in ops("it is not open to all of us", "it is open to all of us")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80), st.booleans(), st.sampled_from([1, 3, 20_000]))
def test_edits_cover_both_texts_and_equal_is_equal(left, right, smooth, most):
    assert "".join(d.words(left)) == left
    found = d.diff(left, right, smooth=smooth, most=most)
    x = y = 0
    previous = None
    for e in found.edits:
        assert (e.left[0], e.right[0]) == (x, y)
        x, y = e.left[1], e.right[1]
        n, m = x - e.left[0], y - e.right[0]
        assert {"equal": n == m > 0, "delete": n > 0 == m, "insert": m > 0 == n, "replace": n > 0 and m > 0}[e.op]
        if e.op == "equal":
            assert left[slice(*e.left)] == right[slice(*e.right)]
        assert previous is None or (previous == "equal") != (e.op == "equal")
        previous = e.op
    assert (x, y) == (len(left), len(right))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab \n.", max_size=120), st.text(alphabet="ab \n.", max_size=120), st.booleans(), st.integers(20, 200))
def test_every_character_is_drawn_once_on_its_side_unless_folded(left, right, fold, window):
    drawn = [row for part in d.parts(d.rows(left, right, d.diff(left, right), fold=fold), window) for row in part]
    for text, side in ((left, 0), (right, 1)):
        pieces = [(a, b) for row in drawn for _, a, b in row[side]]
        folded = sum(row.folded for row in drawn)
        assert sum(b - a for a, b in pieces) + folded == len(text)
        if not folded:
            assert "".join(text[a:b] for a, b in pieces) == text


def test_longest_common_subsequence_is_exact():
    left, right = "a b c d e f g h", "b d x f a h"
    common = sum(len(a.split()) for op, a, _ in ops(left, right, smooth=False) if op == "equal")
    assert common == 4  # b d f h


def test_texts_too_long_to_compare_at_once_are_aligned_by_lines():
    lines = [f"line {i} says {i * 7} things about {i % 13}.\n" for i in range(400)]
    changed = [line.replace("things", "words") if i % 50 == 7 else line for i, line in enumerate(lines)]
    left, right = "".join(lines), "".join(changed[:200] + changed[210:])
    found = d.diff(left, right, most=500)
    assert found.aligned
    assert not found.unresolved
    assert found.common == pytest.approx(d.diff(left, right).common, abs=0.001)  # lines that stand once may not be the longest way


def test_what_cannot_be_aligned_is_said_to_be_unresolved():
    left, right = " ".join(["a"] * 50 + ["x"]), " ".join(["b"] * 50 + ["y"])
    found = d.diff(left, right, most=10)
    assert found.unresolved == len(left) + len(right)
    assert [e.op for e in found.edits] == ["replace"]


def test_long_unchanged_stretches_are_folded_and_counted():
    left = "start " + "same " * 1000 + "end"
    html = d.side_by_side(left, left.replace("end", "END"))
    assert re.search(r'class="fold">[\d,]+ characters are the same in both', html)
    assert "<del>end</del>" in html
    assert "<ins>END</ins>" in html
    assert 'class="fold"' not in d.side_by_side(left, left.replace("end", "END"), fold=False)


def test_texts_that_are_the_same_are_drawn_and_not_folded_away():
    html = d.side_by_side("same " * 1000, "same " * 1000)
    assert "fold" not in html
    assert html.count("same ") == 2000


def test_long_comparisons_come_in_parts():
    left = "\n".join(f"line {i}" for i in range(20_000))
    found = d.diff(left, left.replace("9", "8"))
    windows = d.parts(d.rows(left, left.replace("9", "8"), found, fold=False))
    assert len(windows) > 5
    first, last = (d.side_by_side(left, left.replace("9", "8"), found=found, fold=False, part=p) for p in (0, len(windows) - 1))
    assert "line 0\n" in first
    assert "line 19999" not in first
    assert len(first) < 400_000
    assert "9999" in last


def test_hostile_text_is_inert():
    html = d.side_by_side(HOSTILE, "harmless " + HOSTILE, names=(HOSTILE, "<b>"))
    tags = set(re.findall(r"<([a-z0-9]+)", html))
    assert tags <= {"div", "h4", "p", "del", "ins", "span", "i"}
    assert "\u202e" not in html
    assert "\x07" not in html
    assert 'tabindex="0"' in html
    assert 'role="region"' in html


def test_a_null_text_is_said():
    assert "no text (null)" in d.side_by_side(None, "x")


def test_five_thousand_words_are_fast():
    import random

    draw = random.Random(0)
    left = [f"w{draw.randrange(3000)} " for _ in range(5000)]
    right = [w if draw.random() > 0.2 else "changed " for w in left]
    started = time.process_time()
    d.side_by_side("".join(left), "".join(right))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("text", ["مرحبا بالعالم", "שלום עולם", "hello"])
def test_each_line_takes_its_own_direction(text):
    assert d.side_by_side(text, text + " x").count('dir="auto"') == 2
