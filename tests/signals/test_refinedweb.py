"""RefinedWeb's line edits: the kernel against its readable twin, and hand-counted pages."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.primitives.batch import Batch
from explorer.signals.refinedweb import _edit_line, count_words, refinedweb, refinedweb_edit

STOP = {"the", "be", "to", "of", "and", "that", "have", "with"}


def twin(text: str) -> dict[str, float | None]:
    """Every column from its definition; None where ours is null."""
    words = text.split()
    lines = [stripped for line in text.split("\n") if (stripped := line.strip())]
    n = count_words(text)
    edits = [_edit_line(line) for line in re.sub(r"\n{3,}", "\n\n", text).strip().split("\n")]
    result: dict[str, float | None] = {
        "rw_n_words": n,
        "rw_mean_word_length": sum(map(len, words)) / len(words) if words else None,
        "rw_symbol_word_ratio": sum(map(text.count, ("#", "...", ". . .", "…"))) / len(words) if words else None,
        "rw_bullet_line_frac": sum(line.startswith(("●", "•", "*", "-")) for line in lines) / len(lines) if lines else None,
        "rw_ellipsis_line_frac": sum(line.endswith(("...", ". . .", "…")) for line in lines) / len(lines) if lines else None,
        "rw_non_alpha_word_frac": sum(not any(map(str.isalpha, w)) for w in words) / len(words) if words else None,
        "rw_n_stop_words": sum(w.lower() in STOP for w in words),
        "rw_word_removal_ratio": (n - count_words(refinedweb_edit(text))) / n if n else None,
    }
    for rule in ("uppercase", "numeric", "counter", "short", "boilerplate"):
        result[f"rw_n_lines_dropped_{rule}"] = sum(reason == rule for _, reason in edits)
    return result


def check(text: str) -> None:
    result = refinedweb(Batch.of([text]))
    for name, expected in twin(text).items():
        got = result[name][0]
        assert np.isnan(got) if expected is None else got == pytest.approx(expected), (name, text)


@pytest.mark.parametrize(
    ("line", "edited", "rule"),
    [
        ("A plain line stays.", "A plain line stays.", None),
        ("ALL CAPS HERE", None, "uppercase"),
        ("12345", None, "numeric"),
        ("3 likes", None, "counter"),
        (" ~ 1,200.5K  Views! ", None, "counter"),
        ("3 likes and more", "3 likes and more", None),
        ("Menu", None, "short"),
        ("   ", None, "short"),
        ("Sign-in to your account", "to your account", None),
        ("SIGN-IN HERE", None, "uppercase"),
        ("3 Items in cart", "3", None),
        ("items in cart", None, "boilerplate"),
        ("All about rivers Read more...", "All about rivers", None),
        ("All about rivers read more>>>", "All about rivers", None),  # the recipe's full stops are wildcards
        ("All about rivers. Read more", "All about rivers. Read more", None),
        ("one two three four five six seven eight items in cart", "one two three four five six seven eight items in cart", None),
        ("", "", None),
    ],
)
def test_one_line_at_a_time(line: str, edited: str | None, rule: str | None) -> None:
    assert _edit_line(line) == (edited, rule)
    check(f"First line of words here.\n{line}\nLast line of words here.")


def test_the_removal_ratio() -> None:
    page = "Home\nThe river begins as a thin stream in the hills above.\n3 likes\n2020"
    # 1 + 11 + 2 + 1 words, of which "Home", "3 likes" and "2020" go.
    result = refinedweb(Batch.of([page]))
    assert result["rw_n_words"][0] == 15
    assert result["rw_word_removal_ratio"][0] == pytest.approx(4 / 15)
    assert refinedweb_edit(page) == "The river begins as a thin stream in the hills above."


pieces = st.sampled_from(
    [
        "word ", "The ", "BE ", "of, ", "A", "b", "1", "12 ", "likes", " views\n", "3 comments", "k ", ",", "Sign-in ", "sign-in", "items in cart",
        " Items In Cart ", "Read more...", " read more…!!", "\n", "\n\n\n", " ", "\u00a0", "\t", "\0", "...", ". . .", ".", " . ", "…", "#", "• ", "-", "é", "É", "語",
        "²", "_", "\x1c", "\u2028",
    ]
)  # fmt: skip


@given(st.lists(pieces, max_size=40).map("".join))
@settings(max_examples=400, deadline=None)
def test_equals_the_twin(text: str) -> None:
    check(text)


def test_nothing_to_divide_by_is_null() -> None:
    result = refinedweb(Batch.of(["", " \n ", "..."]))
    assert np.isnan(result["rw_word_removal_ratio"]).all()
    assert np.isnan(result["rw_bullet_line_frac"][:2]).all()
    assert result["rw_bullet_line_frac"][2] == 0
    assert result["rw_n_words"].tolist() == [0, 0, 0]
