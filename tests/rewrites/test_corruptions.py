import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.rewrites.corruptions import KINDS, corrupt, names, sentence_spans

MILL = (
    "The old mill near Arvika burned down on 14 May 1911, and nobody was hurt. It had ground 300 kg of rye every day. "
    "Mr. Nilsson sold the land to Anna Berg.\n\nThe town did not rebuild it. The new mill was larger and may have cost 2,500 crowns."
)
OTHER = "A comet passed the village of Torsby in the winter. Its tail could be seen for eleven nights over Lake Fryken."
ONCE = {  # text, kind, and every text that may come of it
    (
        "She was born in March.",
        "date",
    ): "She was born in (January|February|April|May|June|July|August|September|October|November|December).",
    ("They did not come.", "negation_dropped"): "They did come.",
    ("They don't know.", "negation_dropped"): "They do know.",
    ("It works without water.", "negation_dropped"): "It works with water.",
    ("He was late.", "negation_inserted"): "He was not late.",
    ("All birds fly.", "quantifier"): "Some birds fly.",
    ("It costs at least a euro.", "quantifier"): "It costs at most a euro.",
    ("It may rain.", "modality"): "It will rain.",
    ("Prices increased.", "claim_reversed"): "Prices decreased.",
    ("So Anna Berg sold it to Karl Dahl today.", "role_swap"): "So Karl Dahl sold it to Anna Berg today.",
    ("A car of 5 km length.", "unit"): "A car of 5 (mm|cm|m) length.",
    ("It was 20 °C.", "unit"): "It was 20 °F.",
    ("A fee of $40.", "unit"): "A fee of [€£]40.",
    ("One. Two.", "reordered"): "Two. One.",
    ("The rain fell all day. We stayed at home then.", "sentence_deleted"): "(We stayed at home then.|The rain fell all day.)",
    ("We saw it near Oslo then.", "name"): "We saw it near [A-Z][a-z]+ then.",
}


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("text", "kind"), ONCE)
def test_plants_what_its_name_says(text, kind, seed):
    broken = corrupt(text, kind, rng(seed))
    assert broken is not None
    assert broken.kind == kind
    assert re.fullmatch(ONCE[text, kind], broken.text)
    assert broken.text != text


@pytest.mark.parametrize("kind", KINDS)
def test_the_spans_are_what_differs(kind):
    for seed in range(20):
        broken = corrupt(MILL, kind, rng(seed), [OTHER])
        assert broken is not None
        assert broken.text != MILL
        assert len(broken.before) == len(broken.after)
        rest, at = [], 0
        for begin, end in broken.before:
            rest.append(MILL[at:begin])
            at = end
        rest.append(MILL[at:])
        again, at = [], 0
        for begin, end in broken.after:
            again.append(broken.text[at:begin])
            at = end
        again.append(broken.text[at:])
        assert rest == again  # outside the spans nothing was touched
        assert broken == corrupt(MILL, kind, rng(seed), [OTHER])  # the same chance, the same error


def test_numbers_keep_their_form():
    for seed in range(30):
        (broken,) = [corrupt("It sold 12,500 books.", "number", rng(seed))]
        assert re.fullmatch(r"It sold \d\d,\d{3} books\.", broken.text)
        assert corrupt("It weighs 3.5 tons.", "number", rng(seed)).text != "It weighs 3.5 tons."
        year = corrupt("In 1911 it had 30 rooms.", "number", rng(seed)).text
        assert year.startswith("In 1911 it had ")  # a year is a date


def test_invented_sentences_come_from_another_text():
    broken = corrupt(MILL, "sentence_invented", rng(3), [OTHER])
    ((begin, end),) = broken.after
    assert broken.text[begin:end].strip() in OTHER
    assert corrupt(MILL, "sentence_invented", rng(3)) is None


def test_only_reordering_is_harmless():
    severities = {kind: corrupt(MILL, kind, rng(1), [OTHER]).severity for kind in KINDS}
    assert [kind for kind, severity in severities.items() if severity == "harmless"] == ["reordered"]
    assert {kind for kind, severity in severities.items() if severity == "mild"} == {"quantifier", "modality"}


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("sentence_invented", "word_shuffle")])
def test_a_text_that_offers_nothing_gives_none(kind):
    assert corrupt("Snow came.", kind, rng()) is None
    assert corrupt("", kind, rng()) is None


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match=r"'spelling' is unknown\. Kinds: number, name"):
        corrupt(MILL, "spelling", rng())


def test_sentences_end_at_marks_and_lines_but_not_at_abbreviations():
    text = "Mr. Holm met J. R. Vik, i.e. his rival. “Why?” he asked.\nA list\n- one\n今日は雨です。明日は晴れ。"
    assert [text[b:e] for b, e in sentence_spans(text)] == [
        "Mr. Holm met J. R. Vik, i.e. his rival.",
        "“Why?”",
        "he asked.",
        "A list",
        "- one",
        "今日は雨です。",
        "明日は晴れ。",
    ]


def test_names_are_runs_of_capitals_but_not_beginnings():
    text = "The mill in New York burned. Nobody saw Karl. In May the Berlin Museum of Art closed."
    assert [text[b:e] for b, e in names(text)] == ["New York", "Karl", "Berlin Museum", "Art"]


def test_works_without_spaces_between_sentences():
    text = "今日は雨です。明日は晴れます。明後日は雪でしょう。"
    assert len(corrupt(text, "sentence_deleted", rng()).text) < len(text)
    assert sorted(corrupt(text, "reordered", rng()).text) == sorted(text)


@given(st.text(max_size=200), st.sampled_from(KINDS), st.integers(0, 99))
def test_survives_any_text(text, kind, seed):
    broken = corrupt(text, kind, rng(seed), [OTHER, text])
    assert broken is None or broken.text != text
