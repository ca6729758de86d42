"""Prompts that rewrite a document: published ones, and one's own with ``{text}`` where the document stands.

    prompts["wrap-medium"]      easy, medium, hard and qa of WRAP, rewire, repro
    find("my-prompt.txt")       the text of a file, or a YAML file with user, system, name and the like
    own("Rewrite this: {text}")

A prompt carries what its paper sampled with, so that a first try is done as published: length of a chunk, temperature, top-p, tokens.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from explorer.errors import ExplorerError

TEXT = "{text}"
AS_PUBLISHED = -1  # chunk_tokens: the prompt's own
THINKING = ("<thinking starts>", "<thinking ends>")
IMPROVED = ("<improved response starts>", "<improved response ends>")
OPENING = "Here is a paraphrased version:"
_REASONING = re.compile(r"\A\s*<think>(.*?)</think>", re.S)


@dataclass(frozen=True)
class Prompt:
    """What a model is told, and how its answer is read.

    Attributes:
        name: what the prompt is called; rewrites carry it as their method.
        user: the message, ``{text}`` once in it for the document; other braces are themselves.
        system: the system message; empty for none.
        source: where it comes from.
        style: the style it asks for; rewrites carry it.
        begins: phrase that answers begin with and that is taken off; an answer without it stays as it is.
        between: marks between which the text stands in an answer; one that lacks them is no rewrite.
        chunk_tokens: longest piece of a document that is rewritten at once, None for whole documents.
        temperature, top_p, max_new_tokens: what it was published with, else a common choice.

    Raises:
        ExplorerError: ``{text}`` is not there once, or there is nothing else.

    """

    name: str
    user: str
    system: str = ""
    source: str = ""
    style: str = ""
    begins: str = ""
    between: tuple[str, str] | None = None
    chunk_tokens: int | None = 300
    temperature: float = 0.7
    top_p: float = 0.9
    max_new_tokens: int = 512

    def __post_init__(self) -> None:
        times = self.user.count(TEXT)
        if times != 1:
            raise ExplorerError(
                f"Prompt {self.name!r} has {TEXT} {times} times. It stands once, where the document is to be put. "
                f"Correct the prompt; other braces may stand in it as they are."
            )
        if TEXT in self.system:
            raise ExplorerError(
                f"The system message of prompt {self.name!r} has {TEXT}. The document is put into the user's message only. Move it there."
            )
        if not self.user.replace(TEXT, "").strip() and not self.system.strip():
            raise ExplorerError(f"Prompt {self.name!r} is {TEXT} alone. It says what is to be done with the document. Write that.")

    @property
    def id(self) -> str:
        """Name and a hash of what the model is told and how its answer is read: another wording is another prompt."""
        told = [self.system, self.user, self.begins, self.between]
        return f"{self.name}@{hashlib.sha256(json.dumps(told, ensure_ascii=True).encode()).hexdigest()[:8]}"

    def messages(self, text: str) -> list[dict[str, str]]:
        """The conversation that asks for a rewrite of a text."""
        before, _, after = self.user.partition(TEXT)
        asked = {"role": "user", "content": f"{before}{text}{after}"}
        return [{"role": "system", "content": self.system}, asked] if self.system else [asked]

    def read(self, answer: str) -> tuple[str | None, str]:
        """(the rewrite in an answer, ""), or (None, what is wrong with it).

        Reasoning between <think> and </think> before the answer is left out, and so is what the prompt itself had the model add. What a
        model says beside that ("Sure, here it is") stays: checks find it.
        """
        text = _REASONING.sub("", answer, count=1)
        if re.match(r"\s*<think>", text):
            return None, "the reasoning was not finished: </think> is missing"
        if self.between is not None:
            parts = re.split("|".join(re.escape(mark) for mark in self.between), text, flags=re.I)
            inside = re.search("(.*?)".join(re.escape(mark) for mark in self.between), text, re.I | re.S)
            if inside is None or len(parts) != 3:
                return None, f"the marks {self.between[0]} and {self.between[1]} are not there, once each"
            text = inside[1]
        text = text.strip()
        if self.begins and text[: len(self.begins)].lower() == self.begins.lower():
            text = text[len(self.begins) :].strip()
        return (text, "") if text else (None, "the answer is empty")

    def to_dict(self) -> dict[str, Any]:
        """All that it is, for a record."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"between": list(self.between) if self.between else None}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Prompt:
        """A prompt from its record."""
        between = said.get("between")
        return cls(**{**said, "between": (between[0], between[1]) if between else None})


_WRAP = "Maini et al. 2024 (WRAP), arXiv:2401.16380; wording for websites of ryoungj/BoLT, configs/gen/wrap_baseline.yaml"
_WEBSITE = f"\n\n## Website\n{TEXT}"


def _wrap(style: str, told: str) -> Prompt:
    return Prompt(f"wrap-{style}", f"{told}{_WEBSITE}", source=_WRAP, style=style, top_p=1.0)


prompts: dict[str, Prompt] = {
    p.name: p
    for p in (
        _wrap(
            "easy",
            "For the following website, give me a paraphrase of it using a very small vocabulary and extremely simple sentences that a toddler will understand.",
        ),
        _wrap(
            "medium",
            "For the following website, give me a diverse paraphrase of it in high quality English language, as in sentences on Wikipedia.",
        ),
        _wrap(
            "hard",
            "For the following website, give me a paraphrase of it using very terse and abstruse language that only an erudite scholar will understand. "
            "Replace simple words and phrases with rare and complex ones.",
        ),
        _wrap(
            "qa",
            "Convert the following website into a conversational format with multiple tags of 'Question:' followed by 'Answer:'.",
        ),
        Prompt(
            "rewire",
            f"""Below is a draft. Somebody wrote it for a purpose: to explain, to answer a question, to tell, to instruct.

First think, in words: what is the purpose, who is the reader, and what would an expert do to meet it? Go through the draft step by step: what is right and useful in it, what is missing, unclear or out of place?

Then write the improved text. Take over every detail of the draft that is useful; it must not be shorter than the draft. It should be better formatted and easier to read, with sound and thorough reasoning, and without noise and digressions. Write as the expert for this subject would.

Begin at once with the thinking, and write nothing but these two parts: the thinking between {THINKING[0]} and {THINKING[1]}, and the improved text between {IMPROVED[0]} and {IMPROVED[1]}.

Draft:
{TEXT}""",
            source="Nguyen et al. 2025 (ReWire), arXiv:2506.04689, appendix B: its steps and delimiters, in our words",
            style="guided",
            between=IMPROVED,
            chunk_tokens=None,
            temperature=1.0,
            max_new_tokens=8192,
        ),
        Prompt(
            "repro",
            f"""Rephrase the text below in clear, high-quality English, faithfully.

- Leave out what is no content: headers, menus, footers, links that have nothing to do with the subject, decoration. Of a sentence that is partly so, leave out that part alone.
- Keep all that informs: terms, facts, names, numbers, dates, reasons and examples, also what belongs to the subject only loosely.
- Keep the structure of the text, its order and its depth.
- Add nothing: no explanation, note, assumption or claim that the text does not have.

Text:
{TEXT}

Begin your answer with "{OPENING}" and write the rephrased text after it.""",
            system="You rephrase texts faithfully and clearly. /no_think",
            source="after Yu and Xiong 2025 (RePro), arXiv:2510.10681, in our words; its rephraser was trained on the wording of its model card",
            style="faithful",
            begins=OPENING,
            chunk_tokens=2048,
            temperature=1.0,
            max_new_tokens=2048,
        ),
    )
}


def own(user: str, *, system: str = "", name: str = "own", **more: Any) -> Prompt:
    """One's own prompt; ``more`` are other fields of `Prompt`.

    Raises:
        ExplorerError: ``{text}`` is not in it once.

    """
    return Prompt(name, user, system, **{"source": "own", "style": name, **more})


def find(name: str) -> Prompt:
    """A prompt that ships, or the one in a file: its text, or a YAML file with the fields of `Prompt`.

    Raises:
        ExplorerError: there is no such prompt or file, or it is no prompt.

    """
    if name in prompts:
        return prompts[name]
    path = Path(name).expanduser()
    if not path.is_file():
        raise ExplorerError(
            f"Prompt {name!r} is unknown, and no such file exists. Prompts: {', '.join(prompts)}. "
            f"Name one of them, or a text file that holds {TEXT} where the document is to be put."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ExplorerError(f"Prompt file {name!r} cannot be read ({error}). It is a text file in UTF-8. Check the path.") from error
    if path.suffix in (".yaml", ".yml"):
        return _from_yaml(text, path)
    return own(text.strip(), name=path.stem)


def _from_yaml(text: str, path: Path) -> Prompt:
    import yaml

    allowed = [f.name for f in fields(Prompt)]
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ExplorerError(f"Prompt file {str(path)!r} is no YAML ({' '.join(str(error).split())}). Correct it.") from error
    if not isinstance(said, dict) or not isinstance(said.get("user"), str) or not set(said) <= set(allowed):
        raise ExplorerError(
            f"Prompt file {str(path)!r} cannot be used. It maps fields to values, user among them: {', '.join(allowed)}. Correct it."
        )
    base = own(TEXT + " ", name=path.stem, system="-")
    wrong = [k for k, v in said.items() if not _fits(k, v, getattr(base, k))]
    if wrong:
        raise ExplorerError(
            f"Prompt file {str(path)!r} has a value of the wrong kind for {', '.join(wrong)}. Texts are texts, numbers are numbers, "
            "and between is a list of two marks. Correct it."
        )
    between = said.pop("between", None)
    return replace(own(said.pop("user"), **{"name": path.stem, **said}), between=tuple(between) if between else None)


def _fits(field: str, value: Any, like: Any) -> bool:
    if field == "between":
        return value is None or (isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) and v for v in value))
    if field == "chunk_tokens":
        return value is None or (type(value) is int and value > 0)
    if isinstance(like, str):
        return isinstance(value, str)
    return type(value) is int or (type(value) is float and isinstance(like, float))
