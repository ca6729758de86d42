"""Every architecture gives what transformers gives for one text at a time, whatever stands beside it in the batch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

from models.tiny import TEXTS, model, plain

from explorer.errors import ModelError
from explorer.models import sequence

KINDS = ["bert", "roberta", "albert", "modernbert", "llama", "gpt2"]


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("tiny") / request.param, request.param, labels=3)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("tiny") / "bert", "bert", labels=3)


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("max_length", [None, 12])
def test_agrees_with_transformers_on_one_text_at_a_time(folder: Path, max_length: int | None) -> None:
    expected = plain(folder, TEXTS, max_length=max_length or 64)
    assert expected.std(axis=0).min() > 0.05  # the texts can be told apart, or nothing would be shown
    got = sequence.load(str(folder)).logits(TEXTS, max_length=max_length)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_text_alone_or_among_forty_others_in_any_order(folder: Path) -> None:
    rater = sequence.load(str(folder))
    many = [*TEXTS, *(f"{text} {i} more words" for i, text in enumerate(TEXTS * 3))]
    assert len(many) > 41
    together = rater.logits(many)
    np.testing.assert_allclose(rater.logits(many[::-1])[::-1], together, atol=1e-5)
    for i in (0, 5, 10, 40):
        np.testing.assert_allclose(rater.logits([many[i]])[0], together[i], atol=1e-5)


@pytest.mark.parametrize("special_tokens", [True, False])
def test_chunks_are_the_whole_text(folder: Path, special_tokens: bool) -> None:
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    frame = tokenizer("no").input_ids, tokenizer("no", add_special_tokens=False).input_ids
    at = next((i for i in range(len(frame[0])) if frame[0][i : i + len(frame[1])] == frame[1]), 0)
    before, after = (frame[0][:at], frame[0][at + len(frame[1]) :]) if special_tokens else ([], [])
    length = 10
    room = length - len(before) - len(after)
    rows = []
    for number, text in enumerate(TEXTS):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        for start in range(0, len(ids), room):
            part = ids[start : start + room]
            with torch.no_grad():
                rows.append((number, len(part), network(torch.tensor([before + part + after])).logits[0].numpy()))
    chunks = sequence.load(str(folder)).chunks(TEXTS, length=length, special_tokens=special_tokens)
    assert chunks.document.tolist() == [number for number, _, _ in rows]
    assert chunks.tokens.tolist() == [n for _, n, _ in rows]
    np.testing.assert_allclose(chunks.logits, np.stack([logits for _, _, logits in rows]), atol=1e-5)
    for number in range(len(TEXTS)):
        own = [(n, logits) for place, n, logits in rows if place == number]
        mean = np.average([x for _, x in own], axis=0, weights=[n for n, _ in own])
        np.testing.assert_allclose(chunks.mean(chunks.logits)[number], mean, atol=1e-5)
        np.testing.assert_allclose(chunks.highest(chunks.logits)[number], np.max([x for _, x in own], axis=0), atol=1e-5)


def awkward() -> list[str]:
    """Long texts whose beginning is hard to find: runs of blanks, no blanks, controls inside words, all mixed."""
    random = np.random.default_rng(3)
    pieces = [
        " ",
        "\n\n",
        "   ",
        "\t",
        "\x1c",
        "\u00a0",
        "\u3000",
        "river",
        "naïve",
        "e\u0301",
        "日本語",
        "--------",
        "x" * 150,
        "7",
        "</s>",
        "[SEP]",
        "don't",
    ]
    mixed = ["".join(random.choice(pieces, 2000)) for _ in range(12)]
    return [*mixed, "a" * 5000, " " * 5000 + "late", "the river " + " " * 5000 + "rises", "word\n" * 3000, TEXTS[0] * 100, TEXTS[6] * 100]


def test_a_long_text_is_encoded_no_further_than_needed_and_just_the_same(folder: Path) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rater = sequence.load(str(folder))
    for length in (8, 33, 64):
        for text, (piece, *rest) in zip(awkward(), rater.encode(awkward(), length), strict=True):
            assert piece.ids.tolist() == tokenizer(text, truncation=True, max_length=length).input_ids, (length, text[:40])
            assert not rest
    assert len(sequence._beginning(TEXTS[0] * 100, 500)) < 600


def test_half_precision_keeps_a_float32_head(folder: Path) -> None:
    rater = sequence.load(str(folder), dtype="bfloat16")
    got = rater.logits(TEXTS)
    assert rater.dtype == "bfloat16"
    full = plain(folder, TEXTS)
    rounded = plain(folder, TEXTS, dtype="bfloat16")
    assert np.abs(got - full).mean() <= 1.2 * np.abs(rounded - full).mean()
    np.testing.assert_allclose(got, full, atol=0.25)
    assert (rounded.view(np.uint32) & 0xFFFF == 0).all()  # plain bfloat16 knows 8 bits,
    assert (got.view(np.uint32) & 0xFFFF != 0).mean() > 0.9  # ours all of them


def test_a_batch_that_does_not_fit_is_halved(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rater = sequence.load(str(bert))
    expected = rater.logits(TEXTS)
    forward, sizes = rater.network.forward, []

    def small(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(**inputs)

    monkeypatch.setattr(rater.network, "forward", small)
    np.testing.assert_allclose(rater.logits(TEXTS), expected, atol=1e-5)
    assert max(sizes) > 2


def test_batches_hold_texts_of_like_length(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rater = sequence.load(str(bert))
    forward, padded = rater.network.forward, []

    def seen(**inputs: Any) -> Any:
        padded.append(inputs["input_ids"].numel() - int(inputs["attention_mask"].sum()))
        return forward(**inputs)

    monkeypatch.setattr(rater.network, "forward", seen)
    monkeypatch.setitem(sequence.BUDGET, rater.device.kind, 256)
    texts = [f"{'river ' * (1 + i % 40)}" for i in range(200)]
    rater.logits(texts)
    assert len(padded) > 10
    assert sum(padded) < 0.1 * sum(3 + i % 40 for i in range(200))


def test_what_has_no_tokens_or_no_finite_answer_is_undefined(bert: Path, tmp_path: Path) -> None:
    import torch

    rater = sequence.load(str(bert))
    got = rater.logits(["\x01\x02", TEXTS[0], ""])
    assert np.isnan(got[[0, 2]]).all()
    np.testing.assert_allclose(got[1], plain(bert, TEXTS[:1])[0], atol=1e-5)
    assert np.isnan(rater.logits(["\x01"])).all()
    assert rater.logits([]).shape == (0, 3)
    chunks = rater.chunks(["", TEXTS[0]], length=16)
    assert np.isnan(chunks.mean(chunks.logits)[0]).all()
    assert np.isnan(chunks.highest(chunks.logits)[0]).all()
    broken = sequence.load(str(model(tmp_path / "nan", "bert", labels=2, seed=1)))
    with torch.no_grad():
        broken.network.classifier.bias[0] = float("nan")
    assert np.isnan(broken.logits(TEXTS)[:, 0]).all()
    assert np.isfinite(broken.logits(TEXTS)[:, 1]).all()


def test_outputs_are_described_by_the_configuration(tmp_path: Path) -> None:
    rater = sequence.load(str(model(tmp_path / "a", "bert", labels=["ham", "spam"], problem="multi_label_classification")))
    assert (rater.labels, rater.problem, rater.longest) == (("ham", "spam"), "multi_label_classification", 64)
    assert sequence.load(str(model(tmp_path / "b", "roberta", labels=1))).problem == "regression"
    roberta = sequence.load(str(tmp_path / "b"))
    assert roberta.longest == 64  # its table has 66 rows, the first two for padding
    assert sequence.load(str(model(tmp_path / "c", "llama", labels=4))).longest == 64


def test_a_model_is_loaded_once_until_its_files_change(tmp_path: Path) -> None:
    path = str(model(tmp_path / "m", "bert", labels=2))
    first = sequence.load(path)
    assert sequence.load(path) is first
    assert sequence.load(path, dtype="bfloat16") is not first
    model(tmp_path / "m", "bert", labels=2, seed=9)
    second = sequence.load(path)
    assert second is not first
    assert not np.allclose(second.logits(TEXTS), first.logits(TEXTS), atol=1e-2)


def without(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).unlink()
    return path


def edited(path: Path, **fields: Any) -> Path:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | fields))
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no head": (
        lambda p: model(p, "bert", head="base"),
        r"has no trained head: weights for classifier.bias, classifier.weight .*BertModel",
    ),
    "a language model": (lambda p: model(p, "llama", head="causal"), r"has no trained head: weights for score.weight .*LlamaForCausalLM"),
    "pickled": (lambda p: model(p, "bert", pickled=True), r"only 'pytorch_model.bin'. Pickled weights can run code .*pickled=true"),
    "no weights": (lambda p: without(model(p, "bert"), "model.safetensors"), r"has no weights in .*\*\.safetensors"),
    "no tokenizer": (lambda p: model(p, "bert", tokenizer=False), r"has no tokenizer in .*tokenizer\.json"),
    "unknown architecture": (lambda p: edited(model(p, "bert"), model_type="mystery"), r"configuration of .* cannot be used"),
    "own code": (
        lambda p: edited(model(p, "bert"), model_type="mystery", auto_map={"AutoConfig": "evil.Config"}),
        r"configuration of .* cannot be used .*without code of its own",
    ),
    "other sizes": (lambda p: edited(model(p, "bert"), hidden_size=64), r"cannot be loaded as a classifier"),
    "a file": (lambda p: model(p, "bert") / "model.safetensors", r"is a file\. A model is a folder"),
    "absent": (lambda p: p / "nowhere", r"does not exist"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_with_the_next_step(tmp_path: Path, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    make, said = REFUSED[case]
    path = make(tmp_path / "m")
    capfd.readouterr()
    with pytest.raises(ModelError, match=said) as caught:
        sequence.load(str(path))
    assert str(caught.value).count(". ") >= 2
    assert "evil" not in capfd.readouterr().err


def test_a_model_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(ModelError, match=r"'org/absent' is not on this machine .*hf download org/absent"):
        sequence.load("org/absent")


def test_pickled_weights_load_when_they_are_trusted(tmp_path: Path) -> None:
    path = model(tmp_path / "m", "bert", labels=2, pickled=True)
    np.testing.assert_allclose(sequence.load(str(path), pickled=True).logits(TEXTS)[0], plain(path, TEXTS[:1])[0], atol=1e-5)


def test_lengths_and_dtypes_that_cannot_be(bert: Path) -> None:
    rater = sequence.load(str(bert))
    for length in (65, 2, 0, -1):
        with pytest.raises(ModelError, match=rf"cannot read {length} tokens at once. It takes at least 3 and at most 64"):
            rater.logits(TEXTS, max_length=length)
    assert rater.logits(TEXTS, max_length=3).shape == (len(TEXTS), 3)
    with pytest.raises(ModelError, match=r"dtype 'int8' is unknown. Known: auto, float32"):
        sequence.load(str(bert), dtype="int8")


def test_probabilities() -> None:
    logits = np.array([[0.0, 1000.0], [-1000.0, -1001.0], [np.nan, 0.0]], np.float32)
    np.testing.assert_allclose(sequence.softmax(logits)[:2], [[0, 1], [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]], rtol=1e-12)
    assert np.isnan(sequence.softmax(logits)[2]).all()
    np.testing.assert_allclose(sequence.sigmoid(np.array([[0.0, 1000.0, -1000.0, 2.0]])), [[0.5, 1, 0, 1 / (1 + np.exp(-2))]], atol=1e-12)
