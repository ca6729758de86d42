"""Sentences, syllables, common words and reading ease, counted by hand; and the tables of groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import explorer as ex
from explorer.engine.local import score_texts
from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.rewrites.methods.common_words import common_words, load, save
from explorer.rewrites.methods.complexity import BUNDLED, common_share, counts, flesch, flesch_of, sentence_words
from explorer.rewrites.methods.complexity_table import Vocabulary, complexity_table, rank_frequency
from explorer.rewrites.pairs import Pairs, open_pairs
from explorer.sample import sample_corpus_files, sample_rewrites_file

SYLLABLES = {
    "the": 1, "mill": 1, "water": 2, "banana": 3, "rhythm": 1, "queue": 1, "happy": 2, "yes": 1, "tsk": 1, "e": 1, "1984": 1,
    "bake": 1, "made": 1, "table": 2, "little": 2, "mile": 1, "simile": 2, "be": 1, "see": 1,
    "baked": 1, "wanted": 2, "needed": 2, "settled": 2, "ruled": 1, "agreed": 2,
    "makes": 1, "boxes": 2, "churches": 2, "tables": 2, "miles": 1, "heroes": 2,
    "café": 2, "cafe\u0301": 2, "être": 1, "façade": 2,
}  # fmt: skip


@pytest.mark.parametrize(("word", "syllables"), SYLLABLES.items())
def test_syllables_by_the_rule(word: str, syllables: int) -> None:
    assert counts(Batch.of([word, word.upper()])).syllables.tolist() == [syllables, syllables]


@pytest.mark.parametrize(
    ("text", "words", "sentences"),
    [
        ("The mill stands. It is old!", 6, 2),
        ("Dr. Smith came, e.g. in May.", 7, 1),
        ("A title\n\nOne sentence. Another one.", 6, 3),  # a paragraph ends a sentence
        ("One sentence\nover two lines.", 5, 1),  # a line does not
        ("a\n\n \n\n\nb\r\n\r\nc", 3, 3),
        ("...\n\n!!!", 0, 0),
        ("\n\n\n", 0, 0),
        ("", 0, 0),
        (None, 0, 0),
        ("我们。 他们。", 4, 2),  # marks end a sentence where white space follows
    ],
)
def test_words_and_sentences(text: str | None, words: int, sentences: int) -> None:
    found = counts(Batch.of([text]))
    assert (found.words.tolist(), found.sentences.tolist()) == ([words], [sentences])
    mean = sentence_words(Batch.of([text]))
    assert mean.tolist() == [words / sentences] if words else np.isnan(mean).all()


def test_reading_ease_is_fleschs_formula() -> None:
    # 6 words, 2 sentences, syllables: the 1 mill 1 stands 1 it 1 is 1 old 1
    assert flesch_of(Batch.of(["The mill stands. It is old!"])).tolist() == [pytest.approx(206.835 - 1.015 * 3 - 84.6)]
    assert flesch(np.array([100]), np.array([5]), np.array([140])).tolist() == [pytest.approx(68.095)]
    undefined = flesch_of(Batch.of(["", None, "我们 是 朋友", "Быстрая лиса прыгает"]))
    assert np.isnan(undefined).all(), "no words, or no Latin ones"
    assert not np.isnan(flesch_of(Batch.of(["two words 我们"]))).any()


def test_the_share_of_common_words(tmp_path: Path) -> None:
    path = save(["the", "mill", "écluse"], tmp_path / "common.txt", "about this\nlist")
    assert load(path) == ["the", "mill", "écluse"]
    batch = Batch.of(["The MILL stands", "Écluse!", "x y", "", None, "..."])
    found = common_share(batch, str(path))
    assert found[:3].tolist() == pytest.approx([2 / 3, 1, 0])
    assert np.isnan(found[3:]).all()
    save(["stands"], path)
    assert common_share(batch, str(path))[0] == pytest.approx(1 / 3), "a list that changes is read again"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("# nothing\n\n", "holds no word"),
        ("fine\ntwo words\n", "'two words' of .* is not one word"),
        ("...\n", "is not one word"),
    ],
)
def test_a_bad_list_is_refused(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SignalError, match=said):
        common_share(Batch.of(["a"]), str(path))


def test_the_bundled_list_is_made_from_the_sample(tmp_path: Path) -> None:
    corpus = ex.open_corpus(sample_corpus_files(), workspace=tmp_path)
    told = corpus.documents(np.arange(len(corpus)), ["source", "language"])
    prose = ["books", "speeches", "encyclopedia", "news", "forum", "recipes", "science_notes", "web"]
    english = told.select(pl.col("source").is_in(prose) & (pl.col("language") == "en")).to_series().fill_null(False).to_numpy()
    words = load(BUNDLED)
    assert len(words) == len(set(words)) == 2000
    assert common_words(corpus, only=english, sources=2) == words
    assert {"the", "water", "people"} <= set(words)
    assert not {"sherlock", "watson", "holmes"} & set(words)


def test_common_words_are_counted_by_documents(tmp_path: Path) -> None:
    texts = ["mill mill mill mill", "The river", "the bank 7", "river 7 7", None, ""]
    pq.write_table(pa.table({"text": texts, "source": ["a", "a", "b", "b", "b", "b"]}), tmp_path / "c.parquet", row_group_size=2)
    corpus = ex.open_corpus(tmp_path, workspace=tmp_path / "w")
    assert common_words(corpus) == ["river", "the", "mill", "bank"], "two documents, then times, then the alphabet; numbers left out"
    assert common_words(corpus, 1) == ["river"]
    assert common_words(corpus, sources=2) == ["river", "the"]
    assert common_words(corpus, only=np.array([True] + [False] * 5)) == ["mill"]
    assert common_words(corpus, only=np.zeros(6, bool)) == []


def test_vocabulary_is_counted_in_full_blocks() -> None:
    found = Vocabulary(block=4)
    found.add(np.array([1, 1, 2], np.uint64))
    assert found.per_block is None
    found.add(np.array([3, 5, 5, 5, 5, 9], np.uint64))
    assert found.per_block == 2.0  # {1, 2, 3} and {5}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    return open_pairs(sample_corpus_files(), sample_rewrites_file(), on="id", workspace=tmp_path_factory.mktemp("w"))


def test_the_table_of_groups(tmp_path: Path) -> None:
    rows = {"original": ["The old mill stands.", "It is here. It is old."], "rewrite": ["The mill.", None], "style": ["easy", "easy"]}
    pq.write_table(pa.table(rows), tmp_path / "p.parquet")
    table = complexity_table(open_pairs(tmp_path / "p.parquet", workspace=tmp_path / "w"), block=2)
    assert table.select("group", "side", "texts", "words", "vocabulary", "sentence_words").rows() == [
        ("easy", "original", 1, 4, 2.0, 4.0),
        ("easy", "rewrite", 1, 2, 2.0, 2.0),
    ]
    assert rank_frequency(open_pairs(tmp_path / "p.parquet", workspace=tmp_path / "w"), points=2).row(0) == ("original", 1, 0.2, 0.2)


def test_leaner_on_the_sample(sample: Pairs) -> None:
    sample.score("leaner")
    by = sample.sql(
        "SELECT method, style, avg(leaner_flesch_gain) AS gain FROM corpus WHERE method = 'hand' AND style IS NOT NULL GROUP BY ALL"
    )
    gain = dict(by.select("style", "gain").iter_rows())
    assert gain["easy"] > 5 > gain["medium"] > gain["terse"], "written by hand in these styles"
    table = complexity_table(sample, block=1000)
    assert table["texts"].sum() == 2 * 238
    easy = {side: row for side, row in zip(table["side"], table.rows(named=True), strict=True) if row["group"] == "easy"}
    assert easy["rewrite"]["vocabulary"] < easy["original"]["vocabulary"]
    assert complexity_table(sample, "method")["group"].n_unique() == 6


def test_leaner_columns(tmp_path: Path) -> None:
    row = score_texts(["The mill.", "x", "", None], ["leaner"], originals=["The ancient mill stands here.", None, "a", "a"]).to_pylist()
    assert row[0]["leaner_sentence_words_before"] == 5
    assert row[0]["leaner_sentence_words_after"] == 2
    assert row[0]["leaner_flesch_gain"] == pytest.approx(row[0]["leaner_flesch_after"] - row[0]["leaner_flesch_before"], abs=1e-4)
    assert set(row[1].values()) == set(row[3].values()) == {None}
    assert (row[2]["leaner_flesch_after"], row[2]["leaner_flesch_gain"], row[2]["leaner_sentence_words_before"]) == (None, None, 1)
