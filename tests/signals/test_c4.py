"""C4's filter against datatrove's verdicts, and the kernel against its readable twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.primitives.batch import Batch
from explorer.primitives.sentences import sentence_count
from explorer.signals.c4 import c4, c4_edit

GOOD = "The river begins as a thin stream. Farmers use its water. The mill stands. In spring the snow melts. It is open on most days."
CODE = "function add(a, b) {\n  return a + b; // javascript helper\n}\nlorem ipsum dolor sit amet.\nThis line ends with a period and has enough words."
LIST = "\n".join(f"- item number {k} is here..." for k in range(1, 31))


# datatrove 0.10.1's C4QualityFilter on these texts, with and without the terminal-punctuation rule.
@pytest.mark.parametrize(
    ("text", "with_rule", "without_rule"),
    [
        (GOOD, None, None),
        ("Home\nAbout\nTerms of use\nPrivacy policy\nCopyright 2020\nRead more...\nRead more...", "too_few_sentences", "too_few_sentences"),
        (LIST, "too_few_sentences", None),
        (CODE, "lorem_ipsum", "curly_bracket"),
    ],
)
def test_verdicts_of_the_reference(text: str, with_rule: str | None, without_rule: str | None) -> None:
    result = c4(Batch.of([text]))
    assert result["c4_reason"][0].as_py() == with_rule
    assert result["c4nt_reason"][0].as_py() == without_rule
    assert result["c4_keep"][0] == (with_rule is None)
    assert result["c4nt_keep"][0] == (without_rule is None)
    assert c4_edit(text)[1] == with_rule
    assert c4_edit(text, terminal_punctuation=False)[1] == without_rule


@pytest.mark.parametrize(
    ("line", "counter"),
    [
        ("This line is quite fine.", None),
        ("He said: this is fine!\u00a0 ", None),
        ("Ends in an ellipsis, so it goes...", "no_terminal_punct"),
        ("Ends in a real ellipsis, so it goes…", "no_terminal_punct"),
        ("No full stop here at all", "no_terminal_punct"),
        ("Cited at the end. [12]", "no_terminal_punct"),  # what is left ends in a space
        ("Cited at the end.[12]", None),
        ("Two words.", "too_few_words"),
        ("Please enable JavaScript in your browser.", "javascript"),
        ("Read our Privacy Policy for more.", "policy"),
        ("By the TERMS OF USE you agree.", "policy"),
        ("This site uses cookies to work.", "policy"),
        ("privacypolicy is one word here.", None),
        ("a" * 1001 + " is too long.", "too_long_word"),
        ("a" * 1000 + " is not too long.", None),
        ("é" * 1000 + " is not too long.", None),
        ("", "no_terminal_punct"),
    ],
)
def test_one_line_at_a_time(line: str, counter: str | None) -> None:
    result = c4(Batch.of([f"{line}\n{GOOD}"]))
    dropped = {name.removeprefix("c4_n_lines_dropped_") for name in result if name.startswith("c4_n_lines_dropped_") and result[name][0]}
    assert dropped == ({counter} if counter else set())
    assert result["c4_n_lines"][0] == 2


def test_page_rules_need_a_line_that_survives() -> None:
    hidden = "no full stop { here\nlorem ipsum without a stop\n" + GOOD
    assert c4(Batch.of([hidden]))["c4_reason"][0].as_py() is None
    assert c4(Batch.of([hidden]))["c4nt_reason"][0].as_py() == "curly_bracket"


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four.", 4),
        ("Mr. Smith met Dr. Jones, e.g. at 5 p.m. in St. Louis.", 1),
        ("It ended.Then it began.", 2),
        ("See example.com or http://a.b/c.D now.", 1),
        ('He said "No." Then he left.', 2),
        ("(It rained.) We stayed.", 2),
        ("The U.S. is large. It is.", 2),
        ("Wait... what? Yes.", 2),
        ("Version 3.5 is out. Get it.", 2),
        ("and/Mr. Smith", 1),
        ("no mark at all", 1),
        ("", 1),
        ("What?! Really.", 2),
        ("First.  Second after two spaces.", 2),
        ("第一章。 第二章。", 2),
    ],
)
def test_sentences_as_spacy_counts_them(text: str, sentences: int) -> None:
    assert sentence_count(text) == sentences


pieces = st.sampled_from(
    [
        "word ", "Word ", "a ", "end. ", "end.", "Why? ", "stop!\n", "\n", "\r\n", "\x85", "\u2028", "{", "lorem ipsum ", "Lorem Ipsum. ",
        "javascript ", "use of cookies ", "Privacy Policy. ", "[12]", "[edit] ", "[citation needed]", "[x]", "[", '"', "'", "...", "\u00a0",
        "e.g. ", "Mr. ", "é ", "語。", "x" * 999, "x" * 1001 + " ",
    ]
)  # fmt: skip


@given(st.lists(pieces, max_size=60).map("".join))
@settings(max_examples=300, deadline=None)
def test_equals_the_twin(text: str) -> None:
    result = c4(Batch.of([text]))
    assert result["c4_n_lines"][0] == len(text.splitlines())
    for prefix, terminal in (("c4", True), ("c4nt", False)):
        kept, reason = c4_edit(text, terminal)
        assert result[f"{prefix}_reason"][0].as_py() == reason
        assert result[f"{prefix}_keep"][0] == (reason is None)
        if kept is not None:
            # The edited page is stripped once more; what a citation leaves at its two ends is not counted.
            assert len(text) * (1 - result[f"{prefix}_char_removed_frac"][0]) == pytest.approx(len(kept), abs=4)


def test_removed_fraction() -> None:
    text = "drop me now\n" + GOOD
    result = c4(Batch.of([text, GOOD, "", "x"]))
    np.testing.assert_allclose(result["c4_char_removed_frac"], [12 / len(text), 0, np.nan, 1])
    assert result["c4nt_char_removed_frac"][0] == 0


def test_counts_go_on_past_the_line_that_drops_the_page() -> None:
    result = c4(Batch.of([f"A brace {{ is here.\n{GOOD}"]))
    assert result["c4_reason"][0].as_py() == "curly_bracket"
    assert result["c4_n_sentences"][0] == 5
