"""Dolma's documents, attributes and mixer configuration, applied here as its mixer applies them."""

import gzip
import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import explorer as ex
from explorer.errors import ExportError
from explorer.exporters import export
from explorer.manifest.write import mix


def lines(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def mixed(folder: Path, name: str = "mixer.yaml") -> list[str]:
    """Ids that the streams of a configuration let through: documents whose attribute reaches the stream's number."""
    found = []
    for stream in yaml.safe_load((folder / name).read_text())["streams"]:
        ((kind,), (rule,)) = stream["attributes"], stream["filter"]["include"]
        path, least = rule.split(" >= ")
        assert path == ".attributes.mix__copies[0][2]"
        for pattern in stream["documents"]:
            for file in sorted(folder.glob(pattern)):
                attributes = lines(Path(str(file).replace("/documents/", f"/attributes/{kind}/")))
                documents = lines(file)
                assert [a["id"] for a in attributes] == [d["id"] for d in documents]
                for document, attribute in zip(documents, attributes, strict=True):
                    begin, end, copies = attribute["attributes"]["mix__copies"][0]
                    assert (begin, end) == (0, len(document["text"]))
                    found += [document["id"]] * (copies >= float(least))
    return found


def chosen(folder: Path, selection: str) -> list[str]:
    table = pl.read_parquet(folder / f"selection-{selection}.parquet", glob=False)
    return [i for p in range(int(table["repeat"].max())) for i in table.filter(pl.col("repeat") > p)["id"].to_list()]


def test_the_mixer_lets_through_exactly_the_chosen_documents_pass_by_pass(corpora, tmp_path) -> None:
    mix({"web": corpora["web"].select("q >= 0.5"), "code": corpora["code"]}, epochs={"web": 1, "code": 2.4}, out=tmp_path / "m")
    report = export(tmp_path / "m", to="dolma", out=tmp_path / "e")
    found = mixed(tmp_path / "e")
    for source in ("web", "code"):
        assert [i for i in found if i.startswith(source)] == chosen(tmp_path / "m", source)
    assert len(yaml.safe_load((tmp_path / "e" / "mixer.yaml").read_text())["streams"]) == 3
    every = [d["id"] for p in sorted((tmp_path / "e" / "corpus" / "documents" / "web").iterdir()) for d in lines(p)]
    assert every == [f"web-{i}" for i in range(60)]  # left out, not left away
    assert [report.loss.of(field).how for field in ("selection", "repeat", "order")] == ["exact"] * 3


def test_a_stage_has_attributes_and_a_configuration_of_its_own(corpora, staged, tmp_path) -> None:
    staged(corpora, {"stable": {"epochs": {"web": 1, "code": 0.5}}, "anneal": {"epochs": {"web": 0.1, "code": 2}}})
    report = export(tmp_path / "m", to="dolma", out=tmp_path / "e")
    for stage in ("stable", "anneal"):
        found = mixed(tmp_path / "e", f"mixer-{stage}.yaml")
        assert sorted(found) == sorted(chosen(tmp_path / "m", f"{stage}-web") + chosen(tmp_path / "m", f"{stage}-code"))
    outputs = [s["output"]["path"] for p in (tmp_path / "e").glob("mixer-*.yaml") for s in yaml.safe_load(p.read_text())["streams"]]
    assert len(outputs) == len(set(outputs)) == 3
    assert "2 configurations" in report.loss.of("stages").reason


def test_file_names_of_two_sources_differ_below_documents(corpora, tmp_path) -> None:
    """The mixer names its output by what follows /documents/: equal names would overwrite each other."""
    mix(corpora, out=tmp_path / "m")
    export(tmp_path / "m", to="dolma", out=tmp_path / "e")
    names = [p.as_posix().split("/documents/", 1)[1] for p in (tmp_path / "e").rglob("*.jsonl.gz") if "/documents/" in p.as_posix()]
    assert len(names) == len(set(names)) == 4
    for stream in yaml.safe_load((tmp_path / "e" / "mixer.yaml").read_text())["streams"]:
        assert all("/documents/" in pattern for pattern in stream["documents"])


def test_texts_are_whole_whatever_they_hold(edge_documents, write_parquet, tmp_path) -> None:
    ids = [f"d{i}" for i in range(len(edge_documents))]
    path = write_parquet("x.parquet", {"id": ids, "text": edge_documents}, row_group_size=3)
    mix({"x": ex.open_corpus(path, workspace=tmp_path / "ws")}, out=tmp_path / "m")
    export(tmp_path / "m", to="dolma", out=tmp_path / "e")
    found = lines(tmp_path / "e" / "corpus" / "documents" / "x" / "00000.jsonl.gz")
    assert [(d["id"], d["text"], d["source"]) for d in found] == [(i, t or "", "x") for i, t in zip(ids, edge_documents, strict=True)]


def test_documents_without_an_id_column_are_named_by_their_text(tmp_path) -> None:
    raw = [b"fine", b"caf\xe9"]
    text = pa.Array.from_buffers(pa.string(), 2, pa.array(raw, pa.binary()).buffers())
    pq.write_table(pa.table({"text": text}), tmp_path / "x.parquet")
    mix({"x": ex.open_corpus(tmp_path / "x.parquet", workspace=tmp_path / "ws")}, out=tmp_path / "m")
    report = export(tmp_path / "m", to="dolma", out=tmp_path / "e")
    assert sorted(mixed(tmp_path / "e")) == sorted(chosen(tmp_path / "m", "x"))
    loss = report.loss.of("selection")
    assert (loss.how, loss.number) == ("approximated", 1)


def test_an_order_is_said_to_be_lost_and_too_many_passes_are_refused(corpora, tmp_path) -> None:
    mix(corpora, order={"web": "natural", "code": "descending q"}, out=tmp_path / "m")
    loss = export(tmp_path / "m", to="dolma", out=tmp_path / "e").loss.of("order")
    assert loss.how == "dropped"
    assert "code asks for another" in loss.reason
    mix(corpora, epochs={"web": 1, "code": 65}, out=tmp_path / "many")
    with pytest.raises(ExportError, match=r"'code' is emitted 65 times.*64 passes are the most"):
        export(tmp_path / "many", to="dolma", out=tmp_path / "e2")
