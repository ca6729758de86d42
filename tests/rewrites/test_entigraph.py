"""EntiGraph's counts, and which entities and how much new its texts hold, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.errors import CorpusError, SignalError
from explorer.rewrites.methods.entigraph import coverage, coverage_table, diversity_curve, relations, released
from explorer.rewrites.pairs import Pairs, open_pairs
from explorer.sample import sample_corpus_files, sample_rewrites_file

# published counts: entities -> pairs, triples
KNOWN = {3: (3, 1), 5: (10, 10), 10: (45, 120), 20: (190, 1140), 30: (435, 4060)}


@pytest.mark.parametrize(("entities", "counts"), KNOWN.items())
def test_published_counts(entities: int, counts: tuple[int, int]) -> None:
    assert relations(entities)[1:] == counts


def test_few_entities_have_no_relations() -> None:
    assert [relations(n)[1:] for n in (0, 1, 2)] == [(0, 0), (0, 0), (1, 0)]


def test_the_first_item_of_a_released_file_is_no_text() -> None:
    assert released([["Ashford", "the mill"], "A summary.", "A text.", ""]) == (["Ashford", "the mill"], ["A summary.", "A text."])
    for odd in ([], ["text"], [["a"], ["b"]]):
        with pytest.raises(CorpusError, match="a list of entities, then texts"):
            released(odd)


def test_coverage_of_entities_and_pairs() -> None:
    entities = ["The Old Mill", "Ashford", "river", "the old mill", "Ash", "--"]
    found = coverage(entities, ["The old mill stands by the RIVER.", "Ashford has a river!", None, ""])
    assert (found.entities, found.mentioned, found.pairs, found.paired, found.texts) == (4, 3, 6, 2, 3)
    assert found.mentions == {"The Old Mill": 1, "Ashford": 1, "river": 2, "Ash": 0}, "whole words: Ash is not Ashford"
    assert (found.entity_coverage, found.pair_coverage, found.words) == (0.75, pytest.approx(2 / 6), 11)


def test_without_entities_or_texts_nothing_is_covered_nor_uncovered() -> None:
    assert (coverage([], ["x"]).entity_coverage, coverage([], ["x"]).pair_coverage) == (None, None)
    assert coverage(["x"], []).entity_coverage == 0
    assert coverage(["x"], ["x"]).pair_coverage is None
    many = coverage([f"e{i}" for i in range(3000)], ["e1 e2 \u202e e3"])
    assert (many.mentioned, many.pairs, many.pair_coverage) == (3, None, None)
    assert coverage(["我们"], ["我们的"]).entity_coverage == 0, "no blanks divide these words"


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    pq.write_table(pa.table({"id": ["s", "t", "u"], "text": ["x", "y", "z"]}), tmp_path / "o.parquet")
    one, two = "the old mill stands by the river", "the old mill stands by the bridge"
    rows = {
        "id": ["s", "t", "s", "s", None, "t", "s"],
        "rewrite": [one, "one two three four five six", two, one, one, "seven", None],
    }
    pq.write_table(pa.table(rows), tmp_path / "r.parquet", row_group_size=2)
    return open_pairs(tmp_path / "o.parquet", tmp_path / "r.parquet", workspace=tmp_path / "w")


def test_what_each_text_adds(pairs: Pairs) -> None:
    pairs.score("generations")
    found = pairs.sql("SELECT generation, generations, novel_gram_frac FROM corpus ORDER BY _row")
    assert found["generation"].to_list() == [1, 1, 2, 3, None, 2, 4]
    assert found["generations"].to_list() == [4, 2, 4, 4, None, 2, 4]
    # seven words are three 5-grams; the second text has one new one
    assert found["novel_gram_frac"].round(4).to_list() == [1, 1, pytest.approx(1 / 3, abs=1e-3), 0, None, None, None]


def test_the_diversity_curve(pairs: Pairs) -> None:
    with pytest.raises(SignalError, match="has not been computed"):
        diversity_curve(pairs)
    pairs.score("generations")
    curve = diversity_curve(pairs)
    assert curve.select("generation", "sources", "near_duplicates").rows() == [(1, 2, None), (2, 1, 0.0), (3, 1, 1.0)]
    assert curve["novel"].to_list() == pytest.approx([1, 1 / 3, 0])


def test_coverage_of_all_sources(pairs: Pairs) -> None:
    table = coverage_table(pairs, {"s": ["mill", "river", "bridge"], "u": ["z"], "unknown": ["a", "b"]})
    assert table.select("id", "entities", "texts", "entity_coverage", "texts_per_pair").rows() == [
        ("s", 3, 3, 1.0, 1.0),
        ("u", 1, 0, None, None),
        ("unknown", 2, 0, None, 0.0),
    ]
    assert table["pair_coverage"][0] == pytest.approx(2 / 3)


def test_on_the_sample(tmp_path: Path) -> None:
    sample = open_pairs(sample_corpus_files(), sample_rewrites_file(), on="id", workspace=tmp_path)
    sample.score("generations")
    novel, number = sample.columns.numbers("novel_gram_frac"), sample.columns.numbers("generation")
    assert set(novel[(number == 1) & ~np.isnan(novel)].tolist()) == {1.0}
    curve = diversity_curve(sample)
    assert curve["novel"][1] < 0.8, "twins with one planted error repeat their paraphrase"
