"""Search by meaning as the page, the command and the notebook do it, with a real encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.cli import run
from explorer.corpus.corpus import Corpus, open_corpus
from explorer.errors import EmbeddingError, SelectionError

THEMES = {
    "medicine": [
        "The doctor gave the patient a vaccine against measles.",
        "Antibiotics cure infections of the lungs.",
        "A nurse took his blood pressure.",
    ],
    "cooking": [
        "Boil the pasta and stir in the tomato sauce.",
        "Bake the bread for forty minutes.",
        "Add salt, pepper and butter to the soup.",
    ],
    "space": [
        "The rocket carried a satellite into orbit.",
        "Astronomers found a planet around a distant star.",
        "The probe landed on the moon.",
    ],
}


@pytest.fixture(scope="module")
def themes(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("themes")
    rows = [(f"{theme}-{i}", text, theme) for theme, texts in THEMES.items() for i, text in enumerate(texts)]
    rows += [("empty", "", "none"), ("null", None, "none")]
    ids, texts, sources = zip(*rows, strict=True)
    pq.write_table(pa.table({"id": ids, "text": pa.array(texts, pa.string()), "source": sources}), folder / "c.parquet")
    corpus = open_corpus(folder / "c.parquet", workspace=folder / "w")
    with pytest.raises(EmbeddingError, match=r"0 of 11 documents are embedded.*explorer embed PATH"):
        corpus.search("illness", mode="meaning")
    report = corpus.embed(on_progress=lambda _: None)
    assert (report.computed, report.nulls["embedding"]) == (11, 2)
    return corpus


@pytest.mark.parametrize(
    ("query", "theme"), [("illness and hospitals", "medicine"), ("how to prepare dinner", "cooking"), ("the universe", "space")]
)
def test_a_query_finds_its_theme(themes: Corpus, query: str, theme: str) -> None:
    found = themes.search(query, mode="meaning", n=3)
    assert set(found["source"]) == {theme}
    assert found["score"].is_sorted(descending=True)
    assert len(themes.search(query, mode="meaning", n=50)) == 9  # those that have words


def test_more_like_this_leaves_itself_out_and_keeps_to_the_selection(themes: Corpus) -> None:
    found = themes.similar(0, n=2)
    assert set(found["source"]) == {"medicine"}
    assert 0 not in found["_row"]
    among = themes.select("source <> 'medicine'")
    assert set(themes.similar(0, n=20, within=among)["source"]) == {"cooking", "space"}
    with pytest.raises(EmbeddingError, match="has a vector"):
        themes.search("anything", mode="meaning", within=np.array([9, 10]))
    with pytest.raises(SelectionError, match="query is empty"):
        themes.search("  ", mode="meaning")


def test_the_command_says_the_same(themes: Corpus, capfd: pytest.CaptureFixture[str]) -> None:
    place = [*themes.paths, "--workspace", str(themes.workspace.path)]
    assert run(["search", "the universe", *place, "--mode", "meaning", "-n", "3", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    expected = themes.search("the universe", mode="meaning", n=3)
    assert [line["row"] for line in said] == expected["_row"].to_list()
    assert [line["score"] for line in said] == pytest.approx(expected["score"].to_list(), abs=1e-5)
    assert run(["search", "PASTA", *place]) == 0
    assert "row 3  cooking  Boil the pasta" in capfd.readouterr().out
    assert run(["search", "PASTA", *place, "--case"]) == 1
    assert "0 of 11 documents match 'PASTA'" in capfd.readouterr().err
    assert run(["search", "", *place, "--like", "6", "-n", "1"]) == 0
    assert "space" in capfd.readouterr().out


def test_files_moved_into_other_shards_are_not_run_again(themes: Corpus, tmp_path: Path) -> None:
    table = pq.read_table(themes.shards[0].path)
    pq.write_table(table.slice(4), tmp_path / "b.parquet")
    pq.write_table(table.slice(0, 4), tmp_path / "a.parquet")
    other = open_corpus(tmp_path, workspace=themes.workspace)
    report = other.embed(on_progress=lambda _: None)
    assert (report.computed, report.same) == (11, 10)  # one is null
    np.testing.assert_array_equal(other.embeddings().matrix, themes.embeddings().matrix)
