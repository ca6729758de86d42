"""Megatron-Core: indexed datasets byte for byte, blends in three forms, and indices over tokens that are there already."""

import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from explorer.errors import ExportError, ManifestError
from explorer.exporters import export, recounted
from explorer.exporters.megatron import read_index, write_index
from explorer.manifest.verify import verify

# What IndexedDatasetBuilder of megatron-core 0.16.1 writes for the documents [5, 6, 7], [8], [9, 10, 11, 12] as int32 and as uint16.
REFERENCE = {
    4: "4d4d494449445800000100000000000000040300000000000000040000000000000003000000010000000400000000000000000000000c0000000000000010000000000000000000000000000000010000000000000002000000000000000300000000000000",
    8: "4d4d4944494458000001000000000000000803000000000000000400000000000000030000000100000004000000000000000000000006000000000000000800000000000000"
    "0000000000000000010000000000000002000000000000000300000000000000",
}


def documents(stem: Path) -> list[list[int]]:
    """Documents of an indexed dataset, read by the format's description alone."""
    index = read_index(stem.with_name(stem.name + ".idx"))
    data = np.fromfile(stem.with_name(stem.name + ".bin"), np.uint16)
    sequences = [data[p // 2 : p // 2 + n].tolist() for p, n in zip(index.pointers, index.lengths, strict=True)]
    cuts = index.documents.tolist()
    return [[i for s in sequences[a:b] for i in s] for a, b in pairwise(cuts)]


@pytest.mark.parametrize("code", REFERENCE)
def test_an_index_is_byte_for_byte_what_megatron_writes(tmp_path, code) -> None:
    width = {4: 4, 8: 2}[code]
    pieces = [([3, 1], [0, 3 * width]), ([4], [4 * width])]
    chunks = [(np.array(n), np.array(p), np.ones(len(n), np.int64)) for n, p in pieces]
    assert write_index(tmp_path / "x.idx", code, iter(chunks)) == (3, 8)
    assert (tmp_path / "x.idx").read_bytes().hex() == REFERENCE[code]
    assert os.listdir(tmp_path) == ["x.idx"]


def test_documents_are_stored_once_and_named_as_often_as_they_are_emitted(mixes, ids_of, tmp_path) -> None:
    export(mixes / "one", to="megatron", out=tmp_path / "e")
    for source, unique in (("web", 60), ("code", 15)):
        stem = tmp_path / "e" / f"{source}_text_document"
        assert documents(stem) == ids_of(mixes / "one", source)
        assert len(np.fromfile(f"{stem}.bin", np.uint16)) == sum(map(len, {tuple(d) for d in ids_of(mixes / "one", source)}))
        assert len({tuple(d) for d in documents(stem)}) == unique


def test_the_three_forms_of_a_blend_agree_and_have_a_stage_each(mixes, ids_of, tmp_path) -> None:
    export(mixes / "two", to="megatron", out=tmp_path / "e", at="/data/run/")
    for stage in ("stable", "anneal"):
        place = tmp_path / "e" / stage
        words = (place / "blend.txt").read_text().split()
        assert len(words) % 2 == 0
        assert words[1::2] == [f"/data/run/{stage}/{s}_text_document" for s in ("web", "code")]
        tokens = [sum(map(len, ids_of(mixes / "two", s, stage))) for s in ("web", "code")]
        assert [float(w) for w in words[::2]] == pytest.approx([t / sum(tokens) for t in tokens], rel=1e-12)
        assert (place / "data_path.txt").read_text().split() == ["--data-path", *words, "--split", "100,0,0"]
        assert json.loads((place / "per_split.json").read_text()) == {"train": words, "valid": None, "test": None}
        assert documents(place / "web_text_document") == ids_of(mixes / "two", "web", stage)
    one, other = (tmp_path / "e" / s / "web_text_document.bin" for s in ("stable", "anneal"))
    assert one.samefile(other)  # the ids are on disk once
    readme = (tmp_path / "e" / "README.txt").read_text()
    assert "--data-args-path /data/run/stable/blend.txt" in readme


@pytest.fixture
def held(mixes, tokenizer, tmp_path) -> dict[str, str]:
    """Every document of web and code in the order of the files, as a Megatron user has them already."""
    from tokenizers import Tokenizer

    encode = Tokenizer.from_file(tokenizer).encode
    for source, n in (("web", 60), ("code", 30)):
        ids = [[*encode(f"{source} text number {i} é").ids, 1] for i in range(n)]
        np.array([i for d in ids for i in d], np.uint16).tofile(tmp_path / f"{source}_mine.bin")
        # every document in two sequences, as sentence splitting leaves them
        lengths = np.array([k for d in ids for k in (2, len(d) - 2)])
        write_index(tmp_path / f"{source}_mine.idx", 8, [(lengths, 2 * (np.cumsum(lengths) - lengths), np.full(n, 2))])
    return {s: str(tmp_path / f"{s}_mine") for s in ("web", "code")}


def test_an_index_selects_documents_of_tokens_that_are_there(mixes, held, ids_of, tmp_path) -> None:
    report = export(mixes / "one", to="megatron", out=tmp_path / "e", tokens=held)
    for source in ("web", "code"):
        stem = tmp_path / "e" / f"{source}_text_document"
        assert documents(stem) == ids_of(mixes / "one", source)
        assert os.path.realpath(f"{stem}.bin") == f"{held[source]}.bin"
    for field in ("selection", "repeat", "epochs", "tokenizer"):
        assert report.loss.of(field).how == "exact"
    assert verify(tmp_path / "e").ok
    assert [c.status for c in recounted(tmp_path / "e")] == ["ok"] * 4
    export(mixes / "one", to="megatron", out=tmp_path / "e", tokens=held)  # an earlier export is replaced, the tokens are left
    Path(f"{held['web']}.bin").write_bytes(b"xx")
    assert {c.status for c in recounted(tmp_path / "e")} == {"ok", "failed"}


def test_some_sources_are_encoded_and_some_are_there(mixes, held, ids_of, tmp_path) -> None:
    export(mixes / "one", to="megatron", out=tmp_path / "e", tokens={"code": held["code"]})
    for source in ("web", "code"):
        assert documents(tmp_path / "e" / f"{source}_text_document") == ids_of(mixes / "one", source)


def test_tokens_that_are_not_the_documents_are_refused(mixes, held, tmp_path) -> None:
    def refused(match: str, **options: object) -> None:
        with pytest.raises((ExportError, ManifestError), match=match):
            export(mixes / "one", to="megatron", out=tmp_path / "e", **options)
        assert not (tmp_path / "e").exists()

    refused("holds 30 documents, the source 'web' 60", tokens={"web": held["code"]})
    refused("does not exist", tokens={"web": "/nowhere/web"})
    refused("no source 'wub'", tokens={"wub": held["web"]})
    refused("gives a prefix for each source", tokens="web")
    refused("splits its lists of paths at white space", at="/my data")
    index = read_index(Path(held["web"] + ".idx"))
    lengths = np.array(index.lengths)
    lengths[[4, 5, 44, 45]] = lengths[[44, 45, 4, 5]]  # web-2 and web-22 change places
    write_index(Path(held["web"] + ".idx"), 8, [(lengths, 2 * (np.cumsum(lengths) - lengths), np.full(60, 2))])
    refused("Either the documents stand in another order there", tokens=held)
    Path(held["web"] + ".idx").write_bytes(Path(held["web"] + ".idx").read_bytes()[:-1])
    refused("is cut off", tokens=held)
    with pytest.raises(ExportError, match="names no prefix for 'web'"):
        export(mixes / "plain", to="megatron", out=tmp_path / "e", tokens={"code": held["code"]})


def test_an_order_that_could_not_be_compared_is_said(mixes, held, tmp_path) -> None:
    report = export(mixes / "plain", to="megatron", out=tmp_path / "e", tokens=held)
    assert "taken on trust" in report.loss.of("selection").reason
