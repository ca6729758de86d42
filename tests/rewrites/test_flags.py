"""What generators leave in a rewrite: phrases that are taken for it, and phrases that are not."""

from __future__ import annotations

import pytest

from explorer.engine.local import score_texts

PROSE = "The mill was built in 1702 beside the old bridge, and it has ground the corn of three villages ever since that year."

UP = {
    "flag_empty": ["", " \n"],
    "flag_copy": [PROSE, PROSE.upper()],
    "flag_refusal": [
        "I'm sorry, but I can't help with that.",
        "I cannot rewrite this passage because it concerns a private person.",
        "As an AI language model, I do not have opinions about mills.",
        "Unfortunately, I am unable to comply with this request.",
    ],
    "flag_preamble": [
        f"Here is the rewritten text:\n\n{PROSE}",
        f"Sure! Here's a simpler version:\n{PROSE}",
        f"**Rewritten version:** {PROSE}",
        f"Paraphrase: {PROSE}",
        f"Certainly, I can do that. {PROSE}",
    ],
    "flag_postscript": [
        f"{PROSE}\n\nLet me know if you would like another version!",
        f"{PROSE}\n\nNote: I have kept the original meaning and changed the words.",
        f"{PROSE} I hope this helps!",
    ],
    "flag_reasoning": [
        f"<think>The user wants a paraphrase.</think>\n{PROSE}",
        f"Okay, so I need to rewrite this passage in simple words. {PROSE}",
        f"{PROSE} </think>",
    ],
    "flag_prompt_echo": [
        f"[INST] Say it in other words [/INST] {PROSE}",
        f"Paraphrase the following text. {PROSE}",
        f"Original text: {PROSE}\nNew text: {PROSE}",
    ],
    "flag_truncated": ["The mill was built in 1702 beside the old bridge, and it has ground the corn of three"],
    "flag_looping": ["The mill has ground the corn of three villages ever since that year. " * 6],
}
DOWN = {
    "flag_refusal": ["I'm sorry to hear that the mill burnt down.", "He said: I cannot come.", "The guidelines say what a mill may grind."],
    "flag_preamble": ["Here is where the mill stood.", "Sure enough, the mill burnt.", "This is the story of a mill.", "Answer the bell!"],
    "flag_postscript": ["The miller said that he would let me know when the corn comes, and he went back to his work beside the bridge and its wheel."],
    "flag_reasoning": ["First, the corn is ground. So the mill works.", "I think that the mill is old."],
    "flag_prompt_echo": ["They had to rewrite the contract.", "The instruction was clear: grind the corn."],
    "flag_truncated": ["# The mill of the three villages beside the old bridge and its long and well known history", "A list of what it ground in the old days beside the bridge:\n- corn\n- oats\n- wheat", "Short title"],
    "flag_looping": [PROSE],
}  # fmt: skip


@pytest.mark.parametrize(("flag", "rewrite"), [(flag, text) for flag, texts in UP.items() for text in texts])
def test_flag_is_up(flag: str, rewrite: str):
    found = score_texts([rewrite], ["flags"], originals=[PROSE]).to_pylist()[0]
    assert found[flag] == 1.0
    assert found["flags"] >= 1


@pytest.mark.parametrize(("flag", "rewrite"), [(flag, text) for flag, texts in DOWN.items() for text in texts])
def test_flag_is_down(flag: str, rewrite: str):
    assert score_texts([rewrite], ["flags"], originals=[PROSE])[flag].to_pylist() == [0.0]


@pytest.mark.parametrize("flag", ["flag_refusal", "flag_preamble", "flag_prompt_echo", "flag_reasoning"])
def test_what_the_original_says_itself_is_no_flag(flag: str):
    text = UP[flag][0]
    assert score_texts([text + " And more."], ["flags"], originals=[text])[flag].to_pylist() == [0.0]


def test_a_clean_paraphrase_has_none():
    rewrite = "Since 1702 the mill next to the old bridge has ground corn for three villages."
    assert set(score_texts([rewrite, None], ["flags"], originals=[PROSE, PROSE]).to_pylist()[0].values()) == {0.0}


def test_broken_bytes_and_nothing():
    found = score_texts([b"caf\xff", "", "x"], ["flags"], originals=[b"\xff\xfe", "", ""]).to_pylist()  # type: ignore[list-item]
    assert [row["flag_empty"] for row in found] == [0.0, 0.0, 0.0]
