"""Encoders give what sentence-transformers itself gives, whatever stands beside a text and however its batches are cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("sentence_transformers")

import sentence_transformers as st
from models.tiny import TEXTS, model
from sentence_transformers.sentence_transformer import modules as parts

from explorer.embeddings import encoders, sentence, static
from explorer.embeddings.encoders import load
from explorer.embeddings.sentence import SentenceEncoder
from explorer.errors import ModelError
from explorer.models import device as devices
from explorer.models.hub import MINILM, resolve

LONG = ["The doctor gave the patient a vaccine. " * 200, "word " * 5_000, "x" * 20_000, "文" * 2_000, "def f(x):\n    return x\n" * 300]
MANY = [*TEXTS, *LONG, *(f"{text} {i} more words" for i, text in enumerate(TEXTS * 2))]


@pytest.fixture(autouse=True)
def _on_the_cpu_without_a_hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    import huggingface_hub

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with devices.using("cpu"):
        yield


@pytest.fixture(scope="module")
def minilm() -> Any:
    return st.SentenceTransformer(str(resolve(MINILM).path), device="cpu")


def save(folder: Path, kind: str, modules: list[Any], prompts: dict[str, str] | None = None) -> Path:
    """A sentence-transformers folder around a tiny transformer, the same one for every folder below ``folder.parent``."""
    base = folder.parent / f"base-{kind}"
    first = parts.Transformer(str(base if base.exists() else model(base, kind, head="base")))
    made = st.SentenceTransformer(modules=[first, *modules], device="cpu", prompts=prompts)
    made.save(str(folder / "model"), create_model_card=False)
    return folder / "model"


def plain(folder: Path, texts: list[str], **how: Any) -> np.ndarray:
    peer = st.SentenceTransformer(str(folder), device="cpu")
    if getattr(peer.tokenizer, "pad_token", "") is None:
        peer.tokenizer.pad_token = peer.tokenizer.eos_token  # it refuses a tokenizer without one
    return peer.encode(texts, normalize_embeddings=True, show_progress_bar=False, **how)


def test_the_bundled_model_as_its_own_encode(minilm: Any) -> None:
    expected = minilm.encode(MANY, show_progress_bar=False)
    encoder = load(dtype="float32")
    got = encoder.encode(MANY)
    assert (got.dtype, got.shape, encoder.dimension) == (np.float32, (len(MANY), 384), 384)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_query("illness"), minilm.encode("illness", show_progress_bar=False), atol=1e-5)
    assert encoder.about["max_length"] == 256
    assert encoder.revision == resolve(MINILM).revision
    assert encoder.encode([]).shape == (0, 384)


def test_a_text_alone_or_among_others_in_windows_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load(dtype="float32")
    together = encoder.encode(MANY)
    np.testing.assert_allclose(encoder.encode(MANY[::-1])[::-1], together, atol=1e-5)
    for i in (0, 5, 12, 30):
        np.testing.assert_allclose(encoder.encode([MANY[i]])[0], together[i], atol=1e-5)
    monkeypatch.setattr(sentence, "FIRST_WINDOW", 3)
    monkeypatch.setattr(sentence, "WINDOW", 7)
    np.testing.assert_allclose(encoder.encode(MANY), together, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [
        *((kind, pooling) for kind in ("bert", "roberta", "modernbert", "albert") for pooling in ("mean", "cls")),
        *((kind, pooling) for kind in ("modernbert", "llama") for pooling in ("lasttoken", "max")),
    ],
)
def test_architectures_and_poolings(kind: str, pooling: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "made", kind, [parts.Pooling(32, pooling_mode=pooling)])
    texts = [t for t in MANY if t]
    expected = plain(folder, texts, batch_size=1)  # one at a time: no padding whatever
    assert np.std(expected, axis=0).min() > 1e-3  # the texts can be told apart, or nothing would be shown
    encoder = load(str(folder))
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-5)
    assert encoder.about["pooling"] == [pooling]


def test_pooling_in_place_of_the_models_own(tmp_path: Path) -> None:
    own = save(tmp_path / "a", "bert", [parts.Pooling(32, pooling_mode="mean")])
    cls = save(tmp_path / "b", "bert", [parts.Pooling(32, pooling_mode="cls")])
    expected = plain(cls, TEXTS)
    assert np.abs(plain(own, TEXTS) - expected).max() > 0.1
    np.testing.assert_allclose(load(str(own), pooling="cls").encode(TEXTS), expected, atol=1e-5)
    with pytest.raises(ModelError, match=r"Pooling 'first' is unknown\. Known: mean, cls, lasttoken, max"):
        load(str(own), pooling="first")


def test_dense_layers_and_normalisation_are_the_models_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = save(tmp_path / "made", "bert", [parts.Pooling(32), parts.Dense(32, 12), parts.Normalize()])
    encoder = load(str(folder))
    assert encoder.dimension == 12
    np.testing.assert_allclose(encoder.encode(TEXTS), plain(folder, TEXTS), atol=1e-5)


def test_a_bare_transformer_is_mean_pooled(tmp_path: Path) -> None:
    folder = model(tmp_path / "bare", "modernbert", head="base")
    np.testing.assert_allclose(load(str(folder)).encode(TEXTS), plain(folder, TEXTS), atol=1e-5)


def test_a_model_that_makes_its_own_tokens(tmp_path: Path) -> None:
    """A first module that is no transformer of text: the model's own way, with our batches."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model(tmp_path / "bert", "bert", head="base") / "tokenizer.json"))
    torch.manual_seed(0)
    made = st.SentenceTransformer(modules=[parts.StaticEmbedding(tokenizer, embedding_dim=16)], device="cpu")
    made.save(str(tmp_path / "model"), create_model_card=False)
    encoder = load(str(tmp_path / "model"))
    np.testing.assert_allclose(encoder.encode(TEXTS), plain(tmp_path / "model", TEXTS), atol=1e-5)
    with pytest.raises(ModelError, match="cuts its texts itself"):
        load(str(tmp_path / "model"), max_length=8)


def test_prompts_of_the_model_and_the_users_own(tmp_path: Path) -> None:
    prompts = {"query": "search for this: ", "passage": "this is a document: "}
    folder = save(tmp_path / "made", "bert", [parts.Pooling(32)], prompts)
    peer = st.SentenceTransformer(str(folder), device="cpu")
    encoder = load(str(folder))
    how: dict[str, Any] = {"normalize_embeddings": True, "show_progress_bar": False}
    np.testing.assert_allclose(encoder.encode(TEXTS), peer.encode(TEXTS, prompt_name="passage", **how), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_query(TEXTS[0]), peer.encode_query(TEXTS[0], **how), atol=1e-5)
    assert np.abs(encoder.encode(TEXTS[:1])[0] - encoder.encode_query(TEXTS[0])).max() > 0.01
    own = load(str(folder), prefix="about: ", query_prefix="")
    np.testing.assert_allclose(own.encode(TEXTS), peer.encode([f"about: {t}" for t in TEXTS], prompt="", **how), atol=1e-5)
    np.testing.assert_allclose(own.encode_query("river"), peer.encode("river", prompt="", **how), atol=1e-5)
    assert (encoder.about["prefix"], own.about["query_prefix"]) == ("this is a document: ", "")


def test_a_prompt_that_the_model_leaves_out_of_its_pooling(tmp_path: Path) -> None:
    folder = save(tmp_path / "made", "bert", [parts.Pooling(32, include_prompt=False)], {"document": "this is a document: "})
    peer = st.SentenceTransformer(str(folder), device="cpu")
    expected = peer.encode_document(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(load(str(folder)).encode(TEXTS), expected, atol=1e-5)


def test_maximum_length(minilm: Any) -> None:
    peer = st.SentenceTransformer(str(resolve(MINILM).path), device="cpu")
    for length in (16, 512):
        peer.max_seq_length = length
        encoder = load(max_length=length)
        np.testing.assert_allclose(encoder.encode(LONG), peer.encode(LONG, show_progress_bar=False), atol=1e-5)
        assert encoder.about["max_length"] == length
    with pytest.raises(
        ModelError, match=r"cannot read 513 tokens at once\. It takes at least 3 and at most 512, special tokens among them"
    ):
        load(max_length=513)
    with pytest.raises(ModelError, match=r"cannot read 2 tokens at once"):
        load(max_length=2)


def test_fewer_dimensions_have_unit_length_again(minilm: Any) -> None:
    whole = load().encode(TEXTS)
    short = load(dimension=64)
    expected = whole[:, :64] / np.linalg.norm(whole[:, :64], axis=1, keepdims=True)
    np.testing.assert_allclose(short.encode(TEXTS), expected, atol=1e-6)
    assert short.dimension == 64
    with pytest.raises(ModelError, match=r"dimension is 500, and model 'all-MiniLM-L6-v2' gives vectors of 384 numbers"):
        load(dimension=500)
    with pytest.raises(ModelError, match="dimension is 0"):
        load(dimension=0)


def test_half_precision_keeps_the_direction_and_pools_in_full() -> None:
    whole, half = load(dtype="float32").encode(TEXTS), load(dtype="bfloat16")
    assert half.about["dtype"] == "bfloat16"
    assert next(half.model[0].parameters()).dtype == torch.bfloat16
    got = half.encode(TEXTS)
    assert got.dtype == np.float32
    cosines = (got * whole).sum(axis=1)
    assert 0.999 < cosines.min() < 1 - 1e-7  # it was indeed computed in less
    with pytest.raises(ModelError, match="dtype 'int8' is unknown"):
        load(dtype="int8")


def test_hostile_texts() -> None:
    encoder = load()
    texts = ["", " ", "\x00", "\ud800 lone surrogate", "[SEP] [CLS]", "\u202eright to left", "a" * 300_000]
    got = encoder.encode(texts)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got[3], encoder.encode(["? lone surrogate"])[0], atol=1e-5)


def test_memory_that_does_not_suffice_gives_the_same_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = SentenceEncoder(str(resolve(MINILM).path), MINILM, "", devices.pick("cpu"))
    expected = encoder.encode(MANY)
    encoder.budget = 4096
    own, refused = SentenceEncoder._features, []

    def features(self: SentenceEncoder, pieces: Any) -> Any:
        if sum(p.shape[1] for p in pieces) > 300:
            refused.append(len(pieces))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return own(self, pieces)

    monkeypatch.setattr(SentenceEncoder, "_features", features)
    np.testing.assert_allclose(encoder.encode(MANY), expected, atol=1e-5)
    assert refused


def test_models_that_are_not_here_or_are_no_encoders(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Model '.*nowhere' does not exist\. It is a folder or file, or a hub id"):
        load(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"Model 'nobody/nothing' is not on this machine and the hub could not give it"):
        load("nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="cannot be loaded as an encoder"):
        load(str(tmp_path / "empty"))
    with pytest.raises(ModelError, match=r"cannot be loaded as an encoder .*safetensors"):
        load(str(model(tmp_path / "pickled", "bert", head="base", pickled=True)))


def test_loaded_once_a_process_and_set_of_options() -> None:
    assert load() is load()
    assert load(dimension=64) is not load()


@pytest.fixture(scope="module")
def tiny_static(tmp_path_factory: pytest.TempPathFactory) -> tuple[SentenceEncoder, Path]:
    pytest.importorskip("model2vec")
    folder = tmp_path_factory.mktemp("static")
    source = SentenceEncoder(str(model(folder / "source", "bert", head="base")), "tiny", "1", devices.pick("cpu"))
    return source, static.distil(source, folder / "made", dimension=16)


def test_static_vectors_are_the_weighted_principal_components_of_the_models_own(tiny_static: tuple[SentenceEncoder, Path]) -> None:
    from safetensors.numpy import load_file

    source, folder = tiny_static
    tokenizer, own = source.vocabulary()
    assert own.shape == (tokenizer.get_vocab_size(), 32)
    word = next(w for w, i in sorted(tokenizer.get_vocab().items()) if w.isalpha() and len(w) > 1)
    np.testing.assert_allclose(encoders.unit(own[[tokenizer.token_to_id(word)]]), source.encode([word]), atol=1e-5)
    kept = load_file(folder / "model.safetensors")["embeddings"].astype(np.float64)
    centred = own - own.mean(axis=0)
    variance = np.sort(np.linalg.eigvalsh(np.cov(centred.T)))[::-1][:16]
    shares = 1 / (np.arange(len(own)) + 2)
    unweighted = kept / (1e-4 / (1e-4 + shares / shares.sum()))[:, None]
    np.testing.assert_allclose(unweighted.var(axis=0, ddof=1), variance, rtol=2e-2)


def test_static_encoder_as_model2vec_itself(tiny_static: tuple[SentenceEncoder, Path]) -> None:
    from model2vec import StaticModel

    _, folder = tiny_static
    encoder = load(str(folder))
    texts = [t for t in MANY if len(t) < 400]
    expected = StaticModel.from_pretrained(folder).encode(texts, max_length=None)
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=3e-3)  # it averages and keeps in half precision
    assert encoder.dimension == 16
    assert encoder.about["modules"] == ["StaticModel"]
    assert encoder.about["dtype"] == "float32"
    np.testing.assert_array_equal(encoder.encode([""]), np.zeros((1, 16), np.float32))
    np.testing.assert_allclose(load(str(folder), dimension=4).encode(texts), encoders.unit(encoder.encode(texts), 4), atol=1e-6)
    with pytest.raises(ModelError, match="static vectors, which are averaged"):
        load(str(folder), pooling="cls")


def test_static_vectors_are_made_once_when_first_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("model2vec")
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    source = model(tmp_path / "little", "bert", head="base")
    said: list[str] = []
    first = encoders.resolved(f"static:{source}", tell=said.append)
    assert said == [f"making static vectors of {source} (once, about a minute)"]
    assert encoders.resolved(f"static:{source}", tell=said.append) == first
    assert len(said) == 1
    assert not list(first.path.parent.glob(".*"))
    assert json.loads((first.path / "config.json").read_text())["model_type"] == "model2vec"
    encoder = load(f"static:{source}")
    assert (encoder.name, encoder.revision) == (f"static:{source}", first.revision)
    assert np.isfinite(encoder.encode(TEXTS)).all()
