"""Token ids of exactly the emitted documents: encoded once, in any order, and resumed where a run was stopped."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import explorer as ex
from explorer.errors import ExportError, SignalError
from explorer.exporters import export, recounted, tokenised
from explorer.exporters.encoding import Encoder
from explorer.exporters.tokenised import Tokens, stream
from explorer.manifest.model import read_manifest
from explorer.manifest.verify import verify
from explorer.manifest.write import mix


def flat(documents: list[list[int]]) -> list[int]:
    return [i for document in documents for i in document]


def raw(path: Path) -> list[int]:
    return np.fromfile(path, np.uint16).tolist()


def test_ids_are_those_of_the_emitted_documents_in_order(mixes, ids_of, tmp_path) -> None:
    export(mixes / "one", to="olmo-core", out=tmp_path / "e")
    for source in ("web", "code"):
        assert raw(tmp_path / "e" / f"{source}.npy") == flat(ids_of(mixes / "one", source))


def test_a_document_in_many_passes_and_stages_is_encoded_once(mixes, ids_of, tmp_path, monkeypatch) -> None:
    seen: list[str] = []
    encode = Encoder.encode

    def counting(self: Encoder, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        seen.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(Encoder, "encode", counting)
    export(mixes / "two", to="olmo-core", out=tmp_path / "e")
    assert len(seen) == len(set(seen)) == 90
    for stage in ("stable", "anneal"):
        for source in ("web", "code"):
            assert raw(tmp_path / "e" / stage / f"{source}.npy") == flat(ids_of(mixes / "two", source, stage))


@pytest.mark.parametrize(("eos", "end"), [("auto", 1), ("none", None), (None, None), (5, 5), ("é", 6)])
def test_the_end_of_a_document_is_as_asked_and_recorded(mixes, ids_of, tmp_path, eos, end) -> None:
    report = export(mixes / "one", to="olmo-core", out=tmp_path / "e", eos=eos)
    assert raw(tmp_path / "e" / "code.npy") == flat(ids_of(mixes / "one", "code", end=end))
    said = json.loads((tmp_path / "e" / "tokens.json").read_text())["eos"]
    assert (said or {}).get("id") == end
    assert ("none is appended" if end is None else f"id {end} ends") in report.loss.of("tokenizer").reason


def test_the_end_that_a_tokenizer_is_configured_with_is_used(mixes, tokenizer, ids_of, tmp_path) -> None:
    shutil.copy(tokenizer, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "number"}}')
    export(mixes / "one", to="olmo-core", out=tmp_path / "e", tokenizer=str(tmp_path))
    assert raw(tmp_path / "e" / "code.npy") == flat(ids_of(mixes / "one", "code", end=5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eos": "</s>"}, "has no such token. Give one of its tokens"),
        ({"eos": 99}, "has no such id"),
        ({"tokenizer": "/nowhere/tokenizer.json"}, "does not exist"),
        ({"sequence_length": 0}, "whole number above 0"),
        ({"cache": "/dev/null/x"}, "cannot be written"),
    ],
)
def test_mistakes_are_named(mixes, tmp_path, options, message) -> None:
    with pytest.raises((ExportError, SignalError), match=message):
        export(mixes / "one", to="olmo-core", out=tmp_path / "e", **options)
    assert not (tmp_path / "e").exists()


def test_what_is_missing_is_asked_for(corpora, mixes, tmp_path) -> None:
    mix(corpora, out=tmp_path / "m")
    with pytest.raises(ExportError, match=r"sequence_length is None.*Set it: -o sequence_length=NUMBER"):
        export(tmp_path / "m", to="olmo-core", out=tmp_path / "e")
    with pytest.raises(ExportError, match="Without one nothing is encoded"):
        export(mixes / "plain", to="olmo-core", out=tmp_path / "e", cache=str(tmp_path / "cache"))


def test_a_tokenizer_that_names_no_end_is_refused_with_a_way_out(mixes, tokenizer, tmp_path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(Path(tokenizer).read_text().replace("<|endoftext|>", "<|fin|>"))
    with pytest.raises(ExportError, match=r"-o eos=TOKEN or -o eos=none"):
        export(mixes / "one", to="olmo-core", out=tmp_path / "e", tokenizer=str(path))


def test_a_stopped_export_leaves_nothing_finished_and_goes_on_from_its_cache(mixes, tmp_path, monkeypatch) -> None:
    options = {"to": "olmo-core", "cache": str(tmp_path / "cache")}
    monkeypatch.setattr(tokenised, "PART_BYTES", 1)  # a part a document or so
    encode, calls = Encoder.encode, []

    def stopping(self: Encoder, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        calls.append(len(texts))
        if len(calls) == 40:
            raise KeyboardInterrupt
        return encode(self, texts)

    monkeypatch.setattr(Encoder, "encode", stopping)
    with pytest.raises(KeyboardInterrupt):
        export(mixes / "one", out=tmp_path / "e", **options)
    assert not (tmp_path / "e").exists()
    assert not list(tmp_path.glob(".*partial"))
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 39
    calls.clear()
    calls.extend([0] * 100)
    damaged = min((tmp_path / "cache").glob("*.npz"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    export(mixes / "one", out=tmp_path / "e", **options)
    assert sum(calls) == 60 + 15 - 38
    export(mixes / "one", out=tmp_path / "f", **{**options, "cache": None})
    for name in ("web.npy", "code.npy", "mix.yaml"):
        assert (tmp_path / "e" / name).read_bytes() == (tmp_path / "f" / name).read_bytes()
    assert not list((tmp_path / "e").rglob("*.npz"))


def test_null_empty_and_broken_texts_have_their_end_alone_or_are_mended(tokenizer, tmp_path) -> None:
    texts = [b"web", None, b"", b"caf\xe9", b"text"]
    text = pa.Array.from_buffers(pa.string(), 5, pa.array(texts, pa.binary()).buffers())
    pq.write_table(pa.table({"id": list("abcde"), "text": text}), tmp_path / "x.parquet")
    mix({"x": ex.open_corpus(tmp_path / "x.parquet", workspace=tmp_path / "ws")}, out=tmp_path / "m")
    report = export(tmp_path / "m", to="olmo-core", out=tmp_path / "e", tokenizer=tokenizer, sequence_length=2)
    assert raw(tmp_path / "e" / "x.npy") == [2, 1, 1, 1, 0, 0, 1, 4, 1]
    loss = report.loss.of("selection")
    assert (loss.how, loss.number) == ("approximated", 1)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.lists(st.integers(0, 29), max_size=60), st.integers(1, 12))
def test_any_order_of_documents_is_gathered_whole(tmp_path_factory, lengths, wanted, most) -> None:
    path = tmp_path_factory.mktemp("ids") / "x.tokens"
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.arange(starts[-1], dtype=np.uint16)
    ids.tofile(path)
    number = np.arange(len(lengths)) * 3 + 1
    places = [w % len(lengths) for w in wanted]
    held = Tokens(path, ids.dtype, number, starts, 0)
    before, tokenised.GATHER = tokenised.GATHER, most
    try:
        found = list(stream(held, [number[places[:7]], number[places[7:]]]))
    finally:
        tokenised.GATHER = before
    assert [i for some, _ in found for i in some.tolist()] == [i for p in places for i in range(starts[p], starts[p + 1])]
    assert [n for _, some in found for n in some.tolist()] == [lengths[p] for p in places]


def test_ids_take_four_bytes_where_two_are_too_few() -> None:
    for vocabulary, width in ((1 << 16, 2), ((1 << 16) + 1, 4)):
        assert Encoder("x", None, 0, "", vocabulary, "").dtype.itemsize == width  # type: ignore[arg-type]


TRAINERS = {"megatron": {}, "olmo-core": {}, "mosaicml": {}, "nanotron": {"batch_size": 2}}


@pytest.mark.parametrize("name", TRAINERS)
def test_exports_are_counted_again_and_found_out_when_changed(mixes, tmp_path, name) -> None:
    report = export(mixes / "one", to=name, out=tmp_path / "a", **TRAINERS[name])
    assert report.loss.of("tokenizer").how == "exact"  # the manifest counts the same tokens
    assert verify(tmp_path / "a").ok
    checks = recounted(tmp_path / "a")
    assert [c.status for c in checks] == ["ok", "ok"]
    data = (p for p in report.files if p.suffix in (".bin", ".npy", ".mds", ".ds"))
    largest = max(data, key=lambda p: p.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-2])
    assert "failed" in [c.status for c in recounted(tmp_path / "a")]


@pytest.mark.parametrize("name", TRAINERS)
def test_a_transform_is_refused_even_where_nothing_is_encoded(mixes, tmp_path, name) -> None:
    for folder in ("one", "plain"):
        manifest = read_manifest(mixes / folder)
        stage = manifest.stages[0]
        changed = replace(manifest, stages=(replace(stage, components=(replace(stage.components[0], transform="fim"),)),))
        with pytest.raises(ExportError, match="has the transform 'fim'"):
            export(changed, to=name, out=tmp_path / "e", **TRAINERS[name])


@pytest.mark.parametrize("name", TRAINERS)
def test_without_a_tokenizer_there_is_a_recipe_that_says_so(mixes, tmp_path, name) -> None:
    report = export(mixes / "plain", to=name, out=tmp_path / "e", **TRAINERS[name])
    for field in ("selection", "repeat", "order", "epochs", "tokenizer", "weight"):
        assert report.loss.of(field).how == "dropped"  # the weights too: the tokens are an estimate
    assert "recipe only" in report.loss.of("selection").reason
    said = json.loads((tmp_path / "e" / "tokens.json").read_text())
    assert said["recipe_only"] is True
    assert [p["share"] for p in said["parts"]] == pytest.approx([0.75, 0.25], abs=0.02)
    assert sum(p.stat().st_size for p in report.files) < 20_000
    assert recounted(tmp_path / "e") == []
