"""Prompts: what a model is told, and how its answer is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import ExplorerError
from explorer.rewrites.checks.wrap import STYLES, style_of
from explorer.rewrites.prompting.prompts import IMPROVED, THINKING, Prompt, find, own, prompts


def test_the_published_prompts_are_there() -> None:
    assert list(prompts) == ["wrap-easy", "wrap-medium", "wrap-hard", "wrap-qa", "rewire", "repro"]
    assert [style_of(p.style) for p in prompts.values() if p.name.startswith("wrap")] == ["easy", "medium", "hard", "qa"]
    assert set(STYLES) == {"easy", "medium", "hard", "qa"}
    assert all(p.source and p.chunk_tokens == 300 for p in prompts.values() if p.name.startswith("wrap"))
    assert prompts["wrap-medium"].messages("A page.") == [
        {
            "role": "user",
            "content": "For the following website, give me a diverse paraphrase of it in high quality English language, as in sentences on Wikipedia.\n\n## Website\nA page.",
        }
    ]
    rewire = prompts["rewire"]
    assert all(mark in rewire.user for mark in (*THINKING, *IMPROVED))
    assert (rewire.temperature, rewire.top_p, rewire.max_new_tokens, rewire.chunk_tokens) == (1.0, 0.9, 8192, None)
    repro = prompts["repro"]
    assert (repro.temperature, repro.top_p, repro.max_new_tokens, repro.chunk_tokens) == (1.0, 0.9, 2048, 2048)
    assert repro.messages("x")[0] == {"role": "system", "content": "You rephrase texts faithfully and clearly. /no_think"}


def test_braces_are_themselves_and_a_document_is_put_in_as_it_is() -> None:
    prompt = own('Answer {"as": "JSON"} {0} {{}}: {text}')
    assert prompt.messages("{text} {x} \\1")[0]["content"] == 'Answer {"as": "JSON"} {0} {{}}: {text} {x} \\1'


@pytest.mark.parametrize(
    ("user", "system", "said"),
    [
        ("Rewrite this.", "", "has {text} 0 times. It stands once"),
        ("{text} and {text}", "", "has {text} 2 times"),
        (" {text}\n", "", "is {text} alone"),
        ("Rewrite {text}", "About {text}", "The system message of prompt 'own' has {text}"),
    ],
)
def test_a_prompt_that_is_none(user: str, system: str, said: str) -> None:
    with pytest.raises(ExplorerError, match=said.replace("{", r"\{")):
        own(user, system=system)


def test_the_id_changes_with_the_wording_alone() -> None:
    prompt = own("Rewrite {text}", name="mine")
    assert prompt.id.startswith("mine@")
    assert prompt.id == own("Rewrite {text}", name="mine", temperature=0.1, source="elsewhere").id
    assert len({prompt.id, own("Rewrite: {text}", name="mine").id, own("Rewrite {text}", name="mine", system="Hm.").id}) == 3
    assert all(Prompt.from_dict(p.to_dict()) == p for p in prompts.values())


@pytest.mark.parametrize(
    ("name", "answer", "read"),
    [
        ("wrap-easy", "  A cat sat. \n", "A cat sat."),
        ("wrap-easy", "Sure, here it is:\nA cat sat.", "Sure, here it is:\nA cat sat."),  # checks are to find it
        ("wrap-easy", "<think>\nHm, a cat.\n</think>\n\nA cat sat.", "A cat sat."),
        ("repro", "here is a paraphrased version:\n A cat.", "A cat."),
        ("repro", "A cat.", "A cat."),
        ("rewire", "<thinking starts>Hm.<thinking ends> <improved response starts>\nA cat.\n<Improved Response Ends>", "A cat."),
        ("rewire", "<improved response starts> A cat. <improved response ends> bye", "A cat."),
    ],
)
def test_the_rewrite_is_taken_out_of_the_answer(name: str, answer: str, read: str) -> None:
    assert prompts[name].read(answer) == (read, "")


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("wrap-easy", " \n", "the answer is empty"),
        ("wrap-easy", "<think>Hm, and then", "the reasoning was not finished: </think> is missing"),
        ("repro", "Here is a paraphrased version: ", "the answer is empty"),
        ("rewire", "A better text.", "the marks <improved response starts> and <improved response ends> are not there, once each"),
        ("rewire", "<improved response starts> cut off", "are not there, once each"),
        ("rewire", "<improved response ends> x <improved response starts>", "are not there, once each"),
        ("rewire", "<improved response starts>a<improved response ends><improved response starts>b<improved response ends>", "once each"),
        ("rewire", "<improved response starts> <improved response ends>", "the answer is empty"),
    ],
)
def test_an_answer_that_is_no_rewrite(name: str, answer: str, said: str) -> None:
    text, problem = prompts[name].read(answer)
    assert text is None
    assert problem.endswith(said)


def test_a_prompt_in_a_file(tmp_path: Path) -> None:
    plain = tmp_path / "shorter.txt"
    plain.write_text("\ufeffMake this shorter:\n{text}\n", encoding="utf-8")
    found = find(str(plain))
    assert (found.name, found.style, found.user) == ("shorter", "shorter", "Make this shorter:\n{text}")
    full = tmp_path / "mine.yaml"
    full.write_text("user: 'Rewrite {text}'\nsystem: Be kind.\nname: kind\nbetween: ['<a>', '</a>']\ntemperature: 1\nchunk_tokens: null\n")
    found = find(str(full))
    assert (found.name, found.system, found.between, found.temperature, found.chunk_tokens) == (
        "kind",
        "Be kind.",
        ("<a>", "</a>"),
        1,
        None,
    )
    assert found.read("<a>x</a>") == ("x", "")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.txt", None, "is unknown, and no such file exists. Prompts: wrap-easy, wrap-medium"),
        ("bytes.txt", b"\xff\xfe\x00{text}", "cannot be read"),
        ("list.yaml", b"- user", "cannot be used. It maps fields to values, user among them: name, user, system"),
        ("more.yaml", b"user: 'x {text}'\ntemprature: 1", "cannot be used"),
        ("kind.yaml", b"user: 'x {text}'\ntemperature: warm", "has a value of the wrong kind for temperature"),
        ("kind.yaml", b"user: 'x {text}'\nbetween: '<a>'", "has a value of the wrong kind for between"),
        ("broken.yaml", b"user: [", "is no YAML"),
    ],
)
def test_a_file_that_is_no_prompt(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ExplorerError, match=said):
        find(str(tmp_path / name))
