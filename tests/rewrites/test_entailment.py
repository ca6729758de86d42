"""Entailment by a model of one's own: the tiny model's answers as transformers gives them, label order, windows, cuts, refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

import torch
import transformers
from models.tiny import model
from tokenizers import Tokenizer, processors

from explorer.engine.local import score_texts
from explorer.errors import ModelError
from explorer.models import sequence

ORIGINAL = "The river rises in spring, when the snow melts. A prime number has exactly two divisors. No."
REWRITE = "In spring the snow melts and the river rises. Buy cheap shoes online today! Jane keeps a boat ready in May."


def judge(folder: Path, labels: tuple[str, ...] = ("CONTRADICTION", "entailment", "Neutral"), longest: int = 64, **options: Any) -> Path:
    """A tiny model whose tokenizer frames pairs as BERT's does."""
    path = model(folder, "bert", labels=labels, longest=longest, **options)
    tokens = Tokenizer.from_file(str(path / "tokenizer.json"))
    special = [(name, tokens.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    pair = "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
    tokens.post_processor = processors.TemplateProcessing(single="[CLS]:0 $A:0 [SEP]:0", pair=pair, special_tokens=special)
    tokens.save(str(path / "tokenizer.json"))
    return path


def plain(folder: Path, premise: str, hypothesis: str) -> np.ndarray:
    """Probabilities by transformers alone, of the labels in the order of the config."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return network(**tokenizer(premise, hypothesis, return_tensors="pt")).logits[0].softmax(0).numpy()


def score(folder: Path, pairs: list[tuple[str | None, str | None]], **parameters: Any) -> dict[str, list[float | None]]:
    table = score_texts(
        [r for _, r in pairs],
        ["entailment"],
        originals=[o for o, _ in pairs],
        parameters={"entailment": {"model": str(folder), **parameters}},
    )
    return {name: table[name].to_pylist() for name in table.column_names}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judge(tmp_path_factory.mktemp("nli") / "judge", longest=128)


def test_the_weakest_sentence_as_transformers_judges_it_whatever_stands_beside(folder: Path) -> None:
    ours, theirs = (text.replace("! ", ". ").split(". ") for text in (ORIGINAL, REWRITE))
    ours = [f"{s}." for s in ours[:2]]  # "No." has fewer than three words
    theirs = [f"{theirs[0]}.", "Buy cheap shoes online today!", theirs[2]]
    ahead = np.array([plain(folder, ORIGINAL, sentence) for sentence in theirs])
    back = np.array([plain(folder, REWRITE, sentence) for sentence in ours])
    assert ahead.std(0).min() > 0.005
    company = [("The river rises.", "no"), (ORIGINAL, REWRITE), (REWRITE, "word " * 30)]
    for found, row in ((score(folder, company), 1), (score(folder, [(ORIGINAL, REWRITE)]), 0)):
        assert found["entailed"][row] == pytest.approx(ahead[:, 1].min(), abs=1e-5)
        assert found["entailed_back"][row] == pytest.approx(back[:, 1].min(), abs=1e-5)
        assert found["contradicted"][row] == pytest.approx(ahead[:, 0].max(), abs=1e-5)
        assert found["entailment_truncated"][row] == 0


def test_labels_are_read_by_name_and_others_refused(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")  # the same weights with other names
    config = json.loads((other / "config.json").read_text())
    config["id2label"] = {"0": "entailment", "1": "neutral", "2": "contradiction"}
    (other / "config.json").write_text(json.dumps(config | {"label2id": {v: int(k) for k, v in config["id2label"].items()}}))
    one, two = (score(path, [(ORIGINAL, "Buy cheap shoes online.")]) for path in (folder, other))
    p = plain(folder, ORIGINAL, "Buy cheap shoes online.")
    assert (one["entailed"][0], one["contradicted"][0]) == pytest.approx((p[1], p[0]), abs=1e-5)
    assert (two["entailed"][0], two["contradicted"][0]) == pytest.approx((p[0], p[2]), abs=1e-5)
    for labels in (("yes", "no", "maybe"), ("entailment", "not_entailment"), ("entailment", "neutral", "contradiction", "other")):
        with pytest.raises(ModelError, match=r"has the labels .* exactly entailment, neutral, contradiction .*config.json"):
            score(judge(tmp_path / "-".join(labels), labels), [(ORIGINAL, REWRITE)])
    with pytest.raises(ModelError, match=r"No model was named for 'entailment'.*hf download"):
        score(Path(), [(ORIGINAL, REWRITE)], model="")


def test_a_long_premise_is_read_in_windows_and_a_long_sentence_is_said_to_be_cut(folder: Path) -> None:
    parts = [f"The river rises in spring number {i} when snow melts." for i in range(12)]
    sizes = sequence.load(str(folder)).sizes(parts)
    assert sum(sizes) > 2 * 24
    windows, size = [[]], 0
    for part, n in zip(parts, sizes, strict=True):
        if size + n > 24:
            windows.append([])
            size = 0
        windows[-1].append(part)
        size += n
    hypothesis = "Snow melts."
    likely = np.array([plain(folder, " ".join(w), hypothesis) for w in windows])
    found = score(folder, [(" ".join(parts), hypothesis), (ORIGINAL, "river " * 60)], max_length=48)
    assert found["entailed"][0] == pytest.approx(likely[:, 1].max(), abs=1e-5)
    assert found["contradicted"][0] == pytest.approx(likely[:, 0].max(), abs=1e-5)
    assert found["entailment_truncated"] == [0, 1]
    fits = " ".join(parts[:3])  # more than half of a sequence, and whole beside a short hypothesis
    assert 24 < sum(sizes[:3]) < 40
    whole = score(folder, [(fits, hypothesis)], max_length=48)["entailed"]
    assert whole[0] == pytest.approx(plain(folder, fits, hypothesis)[1], abs=1e-5)
    with pytest.raises(ModelError, match=r"cannot read 500 tokens at once"):
        score(folder, [(ORIGINAL, REWRITE)], max_length=500)
    with pytest.raises(ModelError, match=r"cannot read two texts in 4 tokens. 3 special ones frame a pair. Choose 5 or more"):
        score(folder, [(ORIGINAL, REWRITE)], max_length=4)
    assert score(folder, [(ORIGINAL, REWRITE)], max_length=5)["entailment_truncated"] == [1]


def test_what_has_no_word_is_undefined(folder: Path) -> None:
    found = score(folder, [("", REWRITE), (ORIGINAL, " \n"), (None, REWRITE), ("...", "!!"), ("...", REWRITE), (ORIGINAL, "Yes.")])
    for name, column in found.items():
        assert column[:5] == [None] * 5, name
        assert column[5] is not None, name
