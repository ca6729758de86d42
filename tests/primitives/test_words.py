import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_english import EXCEPTIONS, SETS, tokenise

from explorer.primitives import english
from explorer.primitives.batch import Batch
from explorer.primitives.swar import hash_bytes
from explorer.primitives.words import HAS_LETTER, NOT_SYMBOL, STOP_SHIFT, word_spans, words

GOLDEN = json.loads((Path(__file__).parent / "spacy_tokens.json").read_text("ascii"))

# Pieces that meet the tokenizer's rules, so that random joins of them do too.
PARTS = [
    "a", "I", "the", "word", "Word", "USA", "don't", "dont", "can't've", "'s", "’s", "S", "s", "Mr.", "a.m.", "10", "5km", "km", "m/s", "°C", "$", "US$", "€",
    ".", "..", "...", "…", ",", ";", ":", "!", "?", "-", "--", "---", "–", "—", "~", "'", "\"", "“", "”", "(", ")", "[", "]", "<", ">", "/", "=", "+", "*", "^", "#", "@",
    "_", "%", "&", "|", "\\", "http://", "www.", ".com", ":80", "/x?y", "1.2.3.4", "10.0.0.1", "é", "É", "日本", "。", "я", "Я.", "😀", "©", "\ufffd", "o_O", "D", "3", "x",
    " ", "  ", "\n", "\t", "\xa0", "\u2003", "\u3000", "\x1c", "\x00",
]  # fmt: skip
texts = st.lists(st.sampled_from(PARTS), max_size=14).map("".join) | st.text(max_size=40)


def tokens_of(text: str | bytes) -> list[str]:
    batch = Batch.of([text])
    found = word_spans(batch)
    raw = batch.data.tobytes()
    return [raw[s : s + n].decode("utf-8", "replace") for s, n in zip(found.start, found.size, strict=True)]


@pytest.mark.parametrize("text", [g[0] for g in GOLDEN], ids=range(len(GOLDEN)))
def test_tokens_are_those_of_spacy(text):
    expected = next(g[1] for g in GOLDEN if g[0] == text)
    assert tokens_of(text) == expected
    assert tokenise(text) == expected


@pytest.mark.parametrize("exception", sorted(EXCEPTIONS))
@pytest.mark.thorough
def test_every_exception_is_cut_as_it_is_stored(exception):
    assert tokens_of(exception) == EXCEPTIONS[exception]


@settings(deadline=None, max_examples=1500)
@given(texts)
@example("x" * 70 + ".com")
@example("." * 40 + "a" + ")" * 40)
def test_kernel_cuts_where_the_plain_tokenizer_cuts(text):
    text = text.encode("utf-8", "replace").decode()
    assert tokens_of(text) == tokenise(text)


@settings(deadline=None, max_examples=300)
@given(texts)
def test_sizes_hashes_and_flags_describe_the_tokens(text):
    text = text.encode("utf-8", "replace").decode()
    batch = Batch.of([text])
    found, spans = words(batch), word_spans(batch)
    symbols = {chr(c) for r in english_ranges("gopher_punctuation") for c in r}
    for k, token in enumerate(tokens_of(text)):
        raw = np.frombuffer(token.encode(), np.uint8)
        assert spans.size[k] == len(raw)
        assert found.chars[k] == len(token)
        assert found.hash[k] == hash_bytes(raw, 0, len(raw))
        assert bool(found.flags[k] & HAS_LETTER) == any(c.isalpha() for c in token)
        assert bool(found.flags[k] & NOT_SYMBOL) == any(c not in symbols for c in token)
        number = int(found.flags[k]) >> STOP_SHIFT
        assert (english.STOP_WORDS[number - 1] if number else None) == (token if token in english.STOP_WORDS else None)


def english_ranges(name):
    for part in json.loads(Path(english.__file__).with_name("english.json").read_text("ascii"))["classes"][name].split():
        first, _, last = part.partition("-")
        yield range(int(first, 16), int(last or first, 16) + 1)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.none() | st.binary(max_size=30) | texts.map(lambda t: t.encode("utf-8", "replace")), max_size=8))
def test_a_document_alone_and_in_a_batch_has_the_same_tokens(documents):
    found = words(Batch.of(documents))
    assert found.offsets[-1] == len(found.hash)
    for d, document in enumerate(documents):
        alone = words(Batch.of([document]))
        here = slice(found.offsets[d], found.offsets[d + 1])
        np.testing.assert_array_equal(found.hash[here], alone.hash)
        np.testing.assert_array_equal(found.chars[here], alone.chars)
        np.testing.assert_array_equal(found.flags[here], alone.flags)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60))
def test_tokens_of_any_bytes_tile_what_is_not_white_space(raw):
    assert "".join(tokens_of(raw)) == "".join(raw.decode("utf-8", "replace").split())


def test_enormous_pieces_and_many_documents():
    rng = random.Random(5)
    long_piece = "".join(rng.choice("ab.,-é_") for _ in range(200_000))
    documents = [long_piece, "a " * 200_000, "", "x", "=" * 100_000, "\x00" * 1000]
    found = words(Batch.of(documents))
    counts = np.diff(found.offsets).tolist()
    assert counts[1:] == [200_000, 0, 1, 100_000, 1]
    assert "".join(tokens_of(long_piece)) == long_piece
    assert counts[0] > 10_000


def test_a_blob_without_white_space_is_one_token():
    blob = "aé(" * 400_000
    found = words(Batch.of([f"x {blob} y, {blob}"]))
    assert found.chars.tolist() == [1, len(blob), 1, 1, len(blob)]
    assert found.flags[1] == HAS_LETTER | NOT_SYMBOL
    assert found.hash[1] == found.hash[4]


def test_the_tables_are_those_of_the_installed_spacy():
    spacy = pytest.importorskip("spacy")
    rules = {text for text in spacy.blank("en").tokenizer.rules if not any(c.isspace() for c in text)}
    assert rules == set(EXCEPTIONS)
    assert SETS
