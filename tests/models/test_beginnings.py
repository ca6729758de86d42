"""The first tokens of a text are those that the tokenizer itself gives when it truncates, whatever follows them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from models.tiny import TEXTS, model
from tokenizers import Tokenizer

from explorer.models.beginnings import beginning, first_tokens

LONG = [
    "\n".join(TEXTS) * 5,
    "x" * 5_000,
    "文" * 900,
    " \n\t" * 2_000 + "end",
    "Hello, world!;\n" * 300,
    "aaaa " * 700 + "b",
    "a" * 150 + " b" * 500,
]


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "modernbert", "albert", "llama"])
@pytest.mark.parametrize("length", [3, 16, 64, None])
def test_as_the_tokenizer_truncates(kind: str, length: int | None, tmp_path: Path) -> None:
    saved = Tokenizer.from_file(str(model(tmp_path / kind, kind, head="base") / "tokenizer.json"))
    saved.no_padding()
    saved.no_truncation()
    whole = Tokenizer.from_str(saved.to_str())
    if length is not None:
        whole.enable_truncation(length)
    texts = ["", " ", *TEXTS, *LONG]
    expected = [(e.ids, e.type_ids) for e in whole.encode_batch(texts)]
    assert [(e.ids, e.type_ids) for e in first_tokens(saved, texts, length)] == expected
    assert [len(e) for e in first_tokens(saved, ["one two three"], 2, special_tokens=False)] == [2]


def test_a_document_of_megabytes_costs_no_more_than_its_beginning(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(model(tmp_path / "bert", "bert", head="base") / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    text = "The river rises in spring. " * 200_000
    start = time.process_time()
    found = first_tokens(tokenizer, [text], 64)[0]
    assert time.process_time() - start < 0.25
    assert len(found) == 64


def test_a_beginning_ends_before_white_space() -> None:
    assert beginning("one two three", 5) == "one two"
    assert beginning("one two three", 3) == "one"
    assert beginning("onetwothree", 3) == "onetwothree"
    assert beginning("one two", None) == "one two"
