"""RedPajama-v2's signals: the reference's own answers, and a plain Python twin of every definition."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.primitives.normalised import normalise
from explorer.primitives.rps_scan import english_stop_words, word_set
from explorer.signals.redpajama import line_signals, redpajama

TEXTS = {
    "good_prose": (
        "The river begins as a thin stream in the hills above the town. Farmers have used its water for more than three"
        " hundred years, and the old stone mill still stands beside the bridge. In spring the snow melts and the level "
        "rises by almost two metres. People who live near the bank keep boats ready at that time of year. By summer the"
        " water is low again, and children walk across the stones to reach the orchard on the other side. A small museu"
        "m explains how the mill worked and why it closed. It is open on most days, but you should call before you go. "
        "The guide speaks slowly and answers every question with care."
    ),
    "nav_boilerplate": (
        "Home\nAbout\nContact\nHome\nAbout\nContact\nLogin\nRegister\nHome\nAbout\nContact\nTerms of use\nPrivacy policy\nCopyright "
        "2020\nRead more...\nRead more...\nRead more..."
    ),
    "repeated_ngrams": " ".join(["buy cheap shoes online today from our store"] * 20),
    "hash_symbols": "#one #two #three #four the and of to that have with be " * 8,
    "bullets_ellipsis": "\n".join(f"- item number {k} is here..." for k in range(1, 31)),
    "code_braces": (
        "function add(a, b) {\n  return a + b; // javascript helper\n}\nlorem ipsum dolor sit amet.\nThis line ends with a "
        "period and has enough words."
    ),
    "mixed_ok_with_dup_line": (
        "This is the first paragraph of a short article about gardens and the people who keep them.\nThis is the second "
        "line, which talks about soil and water and light.\nThis is the second line, which talks about soil and water an"
        "d light.\nIt ends with a list of plants that grow well in the shade of old trees.\nReaders have written to us wi"
        "th questions that we try to answer below.\nYou can be sure that the advice is based on many years of work with "
        "the soil."
    ),
}

# Answers of togethercomputer/RedPajama-Data's rp_v2 code, run unchanged. A document signal a column, a text a row, in TEXTS' order.
KNOWN = {
    "rps_doc_frac_all_caps_words": [0.0078125, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    "rps_doc_frac_lines_end_with_ellipsis": [0.0, 0.17647059, 0.0, 0.0, 1.0, 0.0, 0.0],
    "rps_doc_frac_no_alph_words": [0.0859375, 0.14814815, 0.0, 0.25, 0.42857143, 0.29411765, 0.08247423],
    "rps_doc_frac_unique_words": [0.77777778, 0.58333333, 0.05, 0.125, 0.22666667, 0.91304348, 0.61797753],
    "rps_doc_mean_word_length": [4.13675214, 5.04166667, 4.5, 3.25, 3.54, 4.30434783, 3.96629213],
    "rps_doc_num_sentences": [8.0, 3.0, 1.0, 1.0, 30.0, 2.0, 6.0],
    "rps_doc_symbol_to_word_ratio": [0.0, 0.11111111, 0.0, 0.25, 0.14285714, 0.0, 0.0],
    "rps_doc_unigram_entropy": [4.27097187, 2.49142115, 2.07944154, 2.48490665, 2.28967739, 3.01494688, 3.81078856],
    "rps_doc_word_count": [117, 24, 160, 96, 150, 23, 89],
    "rps_doc_frac_chars_dupe_10grams": [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.30594901],
    "rps_doc_frac_chars_dupe_5grams": [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.30594901],
    "rps_doc_frac_chars_dupe_6grams": [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.30594901],
    "rps_doc_frac_chars_dupe_7grams": [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.30594901],
    "rps_doc_frac_chars_dupe_8grams": [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.30594901],
    "rps_doc_frac_chars_dupe_9grams": [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.30594901],
    "rps_doc_frac_chars_top_2gram": [0.02479339, 0.2231405, 0.22222222, 0.15384615, 0.56497175, 0.0, 0.0509915],
    "rps_doc_frac_chars_top_3gram": [0.0, 0.39669421, 0.36111111, 0.28205128, 0.54613936, 0.0, 0.07648725],
    "rps_doc_frac_chars_top_4gram": [0.0, 0.26446281, 0.52777778, 0.38461538, 0.87382298, 0.0, 0.08498584],
}

# The line signals that are not 0 on every line: (text, signal) -> the values, line by line.
KNOWN_LINES = {
    ("good_prose", "rps_lines_ending_with_terminal_punctution_mark"): [1.0],
    ("good_prose", "rps_lines_num_words"): [117],
    ("good_prose", "rps_lines_uppercase_letter_fraction"): [0.01309329],
    ("nav_boilerplate", "rps_lines_ending_with_terminal_punctution_mark"): [
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        1.0,
        1.0,
        1.0,
    ],
    ("nav_boilerplate", "rps_lines_num_words"): [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 2, 2, 2, 2, 2],
    ("nav_boilerplate", "rps_lines_numerical_chars_fraction"): [
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.28571429,
        0.0,
        0.0,
        0.0,
    ],
    ("nav_boilerplate", "rps_lines_uppercase_letter_fraction"): [
        0.2,
        0.16666667,
        0.125,
        0.2,
        0.16666667,
        0.125,
        0.16666667,
        0.11111111,
        0.2,
        0.16666667,
        0.125,
        0.07692308,
        0.06666667,
        0.06666667,
        0.07692308,
        0.07692308,
        0.08333333,
    ],
    ("code_braces", "rps_lines_ending_with_terminal_punctution_mark"): [0.0, 0.0, 0.0, 1.0, 1.0],
    ("code_braces", "rps_lines_javascript_counts"): [0.0, 1.0, 0.0, 0.0, 0.0],
    ("code_braces", "rps_lines_num_words"): [3, 5, 0, 5, 10],
    ("code_braces", "rps_lines_uppercase_letter_fraction"): [0.0, 0.0, 0.0, 0.0, 0.02],
    ("mixed_ok_with_dup_line", "rps_lines_ending_with_terminal_punctution_mark"): [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    ("mixed_ok_with_dup_line", "rps_lines_num_words"): [17, 13, 13, 16, 13, 17],
    ("mixed_ok_with_dup_line", "rps_lines_uppercase_letter_fraction"): [
        0.01098901,
        0.01449275,
        0.01449275,
        0.01388889,
        0.01408451,
        0.01298701,
    ],
}


def twin(text: str, blocked: frozenset[str] = frozenset()) -> dict[str, float | None]:
    """The document signals from their definitions, one Python string at a time; None where ours is null."""
    raw = re.findall(r"\w+|[^\w\s]+", text)
    words = normalise(text).split()
    lines = re.findall(r"[^\n]*\n|[^\n]+$", text)
    chars = sum(map(len, words))
    result: dict[str, float | None] = {
        "rps_doc_word_count": len(words),
        "rps_doc_num_sentences": len(re.findall(r"\b[^.!?]+[.!?]*", text)),
        "rps_doc_mean_word_length": chars / len(words) if words else None,
        "rps_doc_symbol_to_word_ratio": sum(map(text.count, ("#", "...", "…"))) / len(raw) if raw else None,
        "rps_doc_frac_lines_end_with_ellipsis": sum(x.rstrip().endswith(("...", "…")) for x in lines) / len(lines) if lines else None,
        "rps_doc_frac_no_alph_words": sum(not re.search("[a-zA-Z]", w) for w in raw) / len(raw) if raw else None,
        "rps_doc_frac_all_caps_words": sum(map(str.isupper, raw)) / len(raw) if raw else None,
        "rps_doc_stop_word_fraction": sum(w in english_stop_words() for w in raw) / len(raw) if words else None,
        "rps_doc_frac_unique_words": len(set(words)) / len(words) if words else None,
        "rps_doc_unigram_entropy": -sum(c / len(words) * math.log(c / len(words)) for c in Counter(words).values()) if words else None,
        "rps_doc_curly_bracket": (text.count("{") + text.count("}")) / len(text) if text else None,
        "rps_doc_lorem_ipsum": normalise(text).count("lorem ipsum") / len(normalise(text)) if words else None,
        "rps_doc_ldnoobw_words": sum(
            " ".join(words[k : k + n]) in blocked for n in {1 + b.count(" ") for b in blocked} for k in range(len(words) - n + 1)
        ),
    }
    for n in range(2, 11):
        grams = list(zip(*(words[k:] for k in range(n)), strict=False))
        counts = Counter(grams)
        if n <= 4:
            top, count = counts.most_common(1)[0] if counts else ((), 0)
            result[f"rps_doc_frac_chars_top_{n}gram"] = (sum(map(len, top)) * count / chars if count > 1 else 0.0) if words else None
        else:
            covered = {k + m for k, gram in enumerate(grams) if counts[gram] > 1 for m in range(n)}
            result[f"rps_doc_frac_chars_dupe_{n}grams"] = sum(len(words[k]) for k in covered) / chars if words else None
    for name, values in line_signals(text).items():
        result[f"{name}_mean"] = float(np.mean([v for *_, v in values])) if values else None
        result[f"{name}_char_mean"] = sum((b - a) * v for a, b, v in values) / len(text) if values else None
    return result


def check(texts: list[str], blocked: Path | None = None) -> None:
    result = redpajama(Batch.of(texts), block_list=str(blocked) if blocked else None)
    phrases = frozenset(blocked.read_text(encoding="utf-8").split("\n")) - {""} if blocked else frozenset()
    for row, text in enumerate(texts):
        for name, expected in twin(text, phrases).items():
            if blocked is None and name == "rps_doc_ldnoobw_words":
                expected = None
            got = result[name][row]
            if expected is None:
                assert np.isnan(got), (name, text)
            else:
                assert got == pytest.approx(expected, abs=1e-7, rel=1e-7), (name, text)


def test_equals_the_reference() -> None:
    result = redpajama(Batch.of(TEXTS.values()))
    for name, expected in KNOWN.items():
        np.testing.assert_allclose(result[name], expected, rtol=0, atol=1e-6, err_msg=name)


def test_line_signals_equal_the_reference() -> None:
    for (text, name), expected in KNOWN_LINES.items():
        lines = line_signals(TEXTS[text])[name]
        assert [value for *_, value in lines] == expected
        assert [TEXTS[text][a:b] for a, b, _ in lines] == re.findall(r"[^\n]*\n|[^\n]+$", TEXTS[text])
        result = redpajama(Batch.of([TEXTS[text]]))
        assert result[f"{name}_mean"][0] == pytest.approx(sum(expected) / len(expected), abs=1e-6)


def test_texts_that_break_naive_kernels(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked.txt"
    blocked.write_text("river\nof the\nx y z\ncafe\n", encoding="utf-8")
    check(
        [
            *TEXTS.values(),
            "",
            " \n \n",
            "…",
            "• a\n‣ b\n – c\n\u00a0▶d\n-e",
            "a a a a a a a a a a a a a a",
            "Lorem-Ipsum lor.em ipsum LOREM\nIPSUM dolorem ipsumque lorem\u00a0ipsum xlorem ipsum",
            "JavaScript javascript java-script\njavascript.",
            "end”\nend…\nend...\nend.\t\n. . .\n....\n",
            "ΣΟΦΟΣ ΣΑΣ σοφος ΟΔΟΣ. 3Σ Σ Α' ΟΣ'Α ΟΣ́ ΟΣ",
            "İstanbul ǅ ǅ Ⓐ Ⓐ① ⓐ ½ x² ﬁ Ⅷ ⅷ K Å ẞ ß",
            "e\u0323\u0302 e\u0302\u0323 \u1ec7 \u1e09\u0327 c\u0327\u0301 한국어 각",
            "_foo_ __ foo_bar a_1 _ a__ __init__",
            "\0 a\x01b \x1c\x85 \u2028 x\u00a0y \x7f\x1f",
            "x y z x y z of the river of the",
            "one. two! three? 1.5 e.g. ?? !! ..a",
            "fi\u200dne \ufeff \U0001f469\u200d\U0001f467 \u200b",
            "accordingly nevertheless The the THE unfortunately",
        ],
        blocked,
    )


ALPHABET = "ab Ab.!?,-_#{}\n\n  \t\0 1é É…”•Σσς\u0301\u0323한語½ǅⒶ\u00a0\u2028"
words_and_gaps = st.lists(
    st.sampled_from(["the ", "of ", "river ", "x y ", "lorem ", "ipsum ", "javascript\n", "A. ", *ALPHABET]), max_size=60
).map("".join)


@given(words_and_gaps)
@settings(max_examples=200, deadline=None)
def test_equals_the_twin_on_any_mixture(text: str) -> None:
    check([text])


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_normalised_words_of_any_text(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    result = redpajama(Batch.of([text]))
    words = normalise(text).split()
    assert result["rps_doc_word_count"][0] == len(words)
    if words:
        assert result["rps_doc_mean_word_length"][0] == pytest.approx(sum(map(len, words)) / len(words))
        assert result["rps_doc_frac_unique_words"][0] == pytest.approx(len(set(words)) / len(words))


def test_long_documents_outgrow_the_scratch_space() -> None:
    rng = np.random.default_rng(0)
    text = " ".join(f"w{k}" for k in rng.integers(0, 3000, 20_000))
    check(["short one", text, "short two"])


def test_a_stop_word_list_of_another_language(tmp_path: Path) -> None:
    path = tmp_path / "de.txt"
    path.write_text("# stop words\nder\nund\nfür\nErnst\nauseinandersetzung\n", encoding="utf-8")
    text = "Der Ernst und der Fluss für die auseinandersetzung auseinandersetzunx"
    assert redpajama(Batch.of([text]), stop_words=str(path))["rps_doc_stop_word_fraction"][0] == pytest.approx(5 / 9)
    path.write_text("Fluss\n")
    assert redpajama(Batch.of([text]), stop_words=str(path))["rps_doc_stop_word_fraction"][0] == pytest.approx(1 / 9)
    assert redpajama(Batch.of([""]), stop_words=str(path))["rps_doc_word_count"][0] == 0


def test_the_empty_stop_word_list(tmp_path: Path) -> None:
    path = tmp_path / "none.txt"
    path.write_text("")
    assert redpajama(Batch.of(["the river"]), stop_words=str(path))["rps_doc_stop_word_fraction"][0] == 0
    assert len(word_set(frozenset()).marks) == 0


def test_says_which_list_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SignalError, match=r"stop_words '/no/list' cannot be read"):
        redpajama(Batch.of(["a"]), stop_words="/no/list")
    binary = tmp_path / "list.bin"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SignalError, match=r"block_list .* one word or phrase a line"):
        redpajama(Batch.of(["a"]), block_list=str(binary))
