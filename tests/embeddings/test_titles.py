"""Titles say what a cluster's documents say and the others do not, in their own language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.embeddings.store import Embeddings
from explorer.embeddings.titles import (
    Title,
    ask_for_titles,
    clean_title,
    count_words,
    name_clusters,
    prompt_for,
    retitle,
    summary,
    telling_words,
    titles_of,
)
from explorer.engine.whole import score_whole
from explorer.errors import EmbeddingError, ModelError
from explorer.registry import find

THEMES = [
    "volcano lava crater eruption magma",
    "violin orchestra symphony conductor concert",
    "goalkeeper penalty stadium striker referee",
    "enzyme protein molecule catalyst membrane",
]
GENERAL = "The people of the town said that it was there and they were not sure about this one 2019 because of the weather."


def text_of(theme: int, i: int) -> str:
    words = THEMES[theme].split()
    rng = np.random.default_rng(1_000 * theme + i)
    return f"<p class='x'>{GENERAL}</p> The {' and the '.join(rng.choice(words, 4))} &nbsp; https://example.org/{i}"


def titles(texts: list[str | None], clusters: list[int], parents: dict[int, int] | None = None) -> dict[int, str]:
    read = {int(c): int(n) for c, n in zip(*np.unique(clusters, return_counts=True), strict=True)}
    return name_clusters(telling_words(count_words(texts, clusters), read, parents), sorted(read), parents)


def test_titles_are_two_to_four_of_the_planted_words() -> None:
    texts = [text_of(t, i) for t in range(4) for i in range(30)]
    found = titles(texts, [t for t in range(4) for _ in range(30)])
    for theme, title in found.items():
        words = title.split(", ")
        assert 2 <= len(words) <= 4
        assert set(words) <= set(THEMES[theme].split())


def test_weights_are_ctfidf() -> None:
    counts = count_words(["apple pear", "apple plum", "plum stone"], [0, 0, 1])
    words = telling_words(counts, {0: 2, 1: 1}).filter(pl.col("cluster") == 0)
    weight = dict(zip(words["word"], words["weight"], strict=True))
    # shares: apple 1 and 0; pear 1/2 and 0; plum 1/2 and 1; stone 0 and 1. Different words a document: 2 in both clusters.
    assert weight["apple"] == pytest.approx(1.0 * np.log(1 + 2 / 1.0))
    assert "pear" not in weight  # one document is too few
    counts = count_words(["apple pear", "apple pear", "plum stone"], [0, 0, 1])
    words = telling_words(counts, {0: 2, 1: 1})
    assert dict(zip(words["word"], words["telling"], strict=True))["pear"] == pytest.approx(np.log(3))


def test_a_word_counts_once_a_document_and_shows_its_usual_spelling() -> None:
    counts = count_words(["Python python Python's", "Python", "PYTHON", None, ""], [0, 0, 0, 0, 0])
    assert counts.rows() == [(0, "python", "Python", 3)]


def test_markup_addresses_numbers_and_blobs_are_no_words() -> None:
    junk = "<div class=head>body</div> &amp; https://host.org/path www.site.org 0x1f 12345 3rd deadbeef99 x " + "q" * 30
    assert count_words([junk + " meaning"], [0])["word"].sort().to_list() == ["body", "meaning"]


def test_what_all_of_a_group_say_titles_none_of_its_clusters() -> None:
    groups = [("kernel", ["socket", "packet"], ["inode", "mount"]), ("recipe", ["flour", "oven"], ["salad", "lettuce"])]
    texts, clusters, parents = [], [], {}
    for g, (shared, *own) in enumerate(groups):
        for c, words in enumerate(own):
            number = 2 * g + c
            parents[number] = g
            texts += [f"{shared} {words[0]} {words[1]} word{'abcdefghij'[i]}" for i in range(10)]
            clusters += [number] * 10
    found = titles(texts, clusters, parents)
    assert [set(t.split(", ")) for t in found.values()] == [set(own) for _, *pair in groups for own in pair]
    top = titles(texts, [parents[c] for c in clusters])
    assert top[0].split(", ")[0] == "kernel"
    assert top[1].split(", ")[0] == "recipe"


def test_forms_of_a_word_stand_once_and_twins_get_different_titles() -> None:
    texts = ["library libraries librarian shelf"] * 5 + ["river boat"] * 5 + ["river boat"] * 5
    found = titles(texts, [0] * 5 + [1] * 5 + [2] * 5)
    assert len({t.casefold() for t in found.values()}) == 3
    assert sum(w.startswith("librar") for w in found[0].split(", ")) == 1
    assert "shelf" in found[0]


def test_a_cluster_without_words_is_called_by_its_number() -> None:
    assert titles(["", None, "12 34", "river boat", "river boat"], [0, 0, 0, 1, 1])[0] == "cluster 0"


def test_other_languages_lose_their_own_stop_words_and_only_those() -> None:
    german = ["Die Regierung und der Minister haben nicht mit dem Parlament über die Steuer gesprochen"] * 8
    english = ["The soldiers of the war die because war and die are words of the battle"] * 8
    russian = ["Это было не так, потому что космический корабль и ракета были на орбите"] * 8
    chinese = ["我们 可以 人工智能 研究 人工智能"] * 8
    counts = count_words(german + english + russian + chinese, np.repeat(np.arange(4), 8))
    words = telling_words(counts, dict.fromkeys(range(4), 8))
    said = {c: set(words.filter(pl.col("cluster") == c)["word"]) for c in range(4)}
    assert said[0] == {"regierung", "minister", "parlament", "steuer", "gesprochen"}
    assert {"war", "die", "soldiers", "battle"} <= said[1]
    assert said[2] >= {"космический", "корабль", "ракета", "орбите"}
    assert not said[2] & {"это", "не", "так", "потому", "что", "и", "на"}
    assert {"人工", "工智", "智能", "研究"} <= said[3]
    assert not said[3] & {"我们", "可以"}


# --- a language model --------------------------------------------------------------------------------------------------------


def plain(cluster: int, title: str) -> Title:
    return Title(cluster, 0, title, ((title.split(", ")[0], 1.0),), 9, (cluster,))


def test_a_model_titles_clusters_and_what_it_fails_on_keeps_its_own() -> None:
    def ask(prompt: str) -> str:
        if "lava" in prompt:
            return '<think>hm</think>\n**Title: "Volcanoes"**\nbecause …'
        if "violin" in prompt:
            raise ModelError("The endpoint is gone. It was at http://localhost. Start it.")
        return "x" * 500

    found, problems = ask_for_titles([plain(0, "lava, crater"), plain(1, "violin"), plain(2, "enzyme")], {0: "about lava"}, ask)
    assert [(t.title, t.by) for t in found] == [("Volcanoes", "llm"), ("violin", "words"), ("enzyme", "words")]
    assert len(problems) == 2
    assert "Cluster 1" in problems[0]
    assert "endpoint is gone" in problems[0]


def test_two_that_a_model_calls_the_same_are_told_apart() -> None:
    found, problems = ask_for_titles([plain(0, "lava"), plain(1, "magma")], {}, lambda prompt: "Volcanoes")
    assert [t.title for t in found] == ["Volcanoes", "Volcanoes: magma"]
    assert problems == []


def test_the_prompt_holds_words_and_shortened_documents() -> None:
    said = prompt_for(plain(0, "lava, crater"), ["long " * 1_000])
    assert "lava" in said
    assert len(said) < 1_200


@pytest.mark.parametrize(
    ("answer", "title"), [("  ", None), ("«Карты»", "Карты"), ("12", None), ("Title: *Maps*.", "Maps"), ("a" * 61, None)]
)
def test_answers_are_cleaned(answer: str, title: str | None) -> None:
    assert clean_title(answer) == title


# --- of a corpus -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def themed(write_parquet: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """240 documents of four themes in two files, three without a vector, clustered and mapped."""
    rng = np.random.default_rng(0)
    theme = rng.integers(0, 4, 240)
    for f in range(2):
        part = range(120 * f, 120 * f + 120)
        columns = {
            "text": [text_of(int(theme[i]), i) for i in part],
            "source": [("web", "books")[int(theme[i]) % 2] for i in part],
            "tokens": [10 + i % 5 for i in part],
        }
        write_parquet(f"data/{f}.parquet", columns)
    rows = np.setdiff1d(np.arange(240), [7, 100, 239])
    matrix = np.eye(4)[theme[rows]] + rng.normal(0, 0.05, (len(rows), 4))
    matrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float16)
    vectors = Embeddings(rows, matrix, "planted", "1", {}, 240, ("planted", len(rows)))
    monkeypatch.setattr(Corpus, "embeddings", lambda self, model=None: vectors)
    corpus = open_corpus(tmp_path / "data", workspace=tmp_path / "ws")
    for name, parameters in (("map", None), ("clusters", {"fine": 4, "top": 2})):
        report = score_whole(corpus, find(name), parameters)
        assert set(report.nulls.values()) == {3}
    return open_corpus(tmp_path / "data", workspace=tmp_path / "ws")


def test_clusters_and_map_are_columns_and_titles_lie_beside_them(themed: Corpus) -> None:
    fine, top = (themed.columns.numbers(c) for c in ("cluster", "cluster_top"))
    assert np.flatnonzero(np.isnan(fine)).tolist() == [7, 100, 239] == np.flatnonzero(np.isnan(top)).tolist()
    assert np.isfinite(np.delete(themed.columns.numbers("map_x"), [7, 100, 239])).all()
    found = titles_of(themed)
    assert [t.cluster for t in found["cluster"]] == [0, 1, 2, 3]
    assert sum(t.size for t in found["cluster"]) == sum(t.size for t in found["cluster_top"]) == 237
    for title in found["cluster"]:
        theme = next(t for t in THEMES if title.words[0][0] in t)
        assert set(title.title.split(", ")) <= set(theme.split())
        assert len(title.central) == 5
        assert {int(fine[r]) for r in title.central} == {title.cluster}
        assert {int(top[r]) for r in title.central} == {title.parent}
    made = themed.workspace.read_json("signals", themed.coverage().of("cluster").folder.name, "embeddings.json")  # type: ignore[union-attr]
    assert (made["model"], made["documents"], made["with_vector"]) == ("planted", 240, 237)


def test_the_summary_adds_up(themed: Corpus) -> None:
    kept = np.arange(240) % 3 == 0
    frame = summary(themed, kept)
    tokens = 10 + np.arange(240) % 5
    assert frame["level"].to_list() == ["group"] * 2 + ["cluster"] * 4 + ["none"]
    for levels in (["group", "none"], ["cluster", "none"]):
        part = frame.filter(pl.col("level").is_in(levels))
        assert part["documents"].sum() == 240
        assert part["tokens"].sum() == tokens.sum()
        assert part["kept"].sum() == kept.sum()
        assert part["kept_tokens"].sum() == tokens[kept].sum()
        assert part["share"].sum() == pytest.approx(1)
        assert part["token_share"].sum() == pytest.approx(1)
    last = frame.row(-1, named=True)
    assert (last["cluster"], last["title"], last["documents"]) == (None, "no embedding", 3)
    fine = themed.columns.numbers("cluster")
    row = frame.filter((pl.col("level") == "cluster") & (pl.col("cluster") == 2)).row(0, named=True)
    assert row["kept_share"] == pytest.approx(kept[fine == 2].mean())
    assert sorted(row["shares"].values()) == [0, 1]  # each theme comes from one source
    assert summary(themed)["kept"].null_count() == 7


def test_a_model_can_title_them_anew(themed: Corpus) -> None:
    before = titles_of(themed)
    problems = retitle(themed, lambda prompt: "Volcanoes" if "lava" in prompt.split("Documents from")[0] else "")
    after = titles_of(themed)
    assert [t.title for t in after["cluster"] if t.by == "llm"] == ["Volcanoes"]
    assert [t.title for t in after["cluster"] if t.by == "words"] == [t.title for t in before["cluster"] if "lava" not in dict(t.words)]
    assert len(problems) == 6 - sum(t.by == "llm" for of in after.values() for t in of)


def test_without_clusters_the_reason_is_said(tiny_corpus: Corpus) -> None:
    with pytest.raises(EmbeddingError, match=r"0 of 60 documents are in clusters 'cluster'.*explorer score PATH -s clusters"):
        summary(tiny_corpus)
