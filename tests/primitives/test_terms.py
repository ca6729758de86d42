"""Terms and sentences: hand-cut texts, a twin in plain Python, and bytes that are no text."""

from __future__ import annotations

import numpy as np
import plain_terms as plain
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from explorer.primitives import terms as tm
from explorer.primitives.batch import Batch
from explorer.primitives.folded import folded_hash
from explorer.primitives.terms import Terms, sentences, terms


def cut(text: str | bytes) -> tuple[Terms, list[str]]:
    batch = Batch.of([text])
    found, raw = terms(batch), bytes(batch.data)
    return found, [raw[s : s + n].decode("utf-8", "replace") for s, n in zip(found.start, found.size, strict=True)]


def cut_sentences(text: str) -> list[str]:
    batch = Batch.of([text])
    found, raw = sentences(batch), bytes(batch.data)
    return [raw[a:b].decode() for a, b in zip(found.start, found.end, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He didn't co-operate.", "He|didn't|co-operate|."),
        ("In the U.S. Army, e.g. here", "In|the|U.S.|Army|,|e.g.|here"),
        ("It cost $1,234.50 in 3rd, 5km", "It|cost|$|1,234.50|in|3|rd|,|5|km"),
        ("H2O and foo_bar() at 10:30", "H2O|and|foo_bar|(|)|at|10|:|30"),
        (
            "See https://example.org/a_(b)?x=1. Or www.x.com, example.com!",
            "See|https://example.org/a_(b)?x=1|.|Or|www.x.com|,|example.com|!",
        ),
        ("Mail jane.doe+x@mail.example.org.", "Mail|jane.doe+x@mail.example.org|."),
        ("end.Next etc.in", "end|.|Next|etc|.|in"),
        ("我们的 data", "我|们|的|data"),
        ("10⁻³⁴ and −5 °C", "10|⁻³⁴|and|−|5|°|C"),
        ("wait... no!! ## 'quoted'", "wait|...|no|!!|##|'|quoted|'"),
        ("naïve Jean‑François’s", "naïve|Jean‑François’s"),
        ("", ""),
        (" \t\n", ""),
    ],
)
def test_where_terms_are(text: str, expected: str) -> None:
    assert "|".join(cut(text)[1]) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("don't", "Don’t"),
        ("usa", "U.S.A."),
        ("full", "ＦＵＬＬ"),
        ("café", "CAFE\u0301"),
        ("co-operate", "Co‐operate"),
        ("fine", "ﬁne"),
        ("hyphen", "hy\u00adphen"),
        ("strasse", "Straße"),
        ("σοφός", "ΣΟΦΌΣ"),
        ("123", "١٢٣"),
    ],
)
def test_words_written_otherwise_are_equal(one: str, other: str) -> None:
    assert cut(one)[0].hash.tolist() == cut(other)[0].hash.tolist() == [folded_hash(one.replace("ό", "ο\u0301").replace("ς", "σ"))]


@pytest.mark.parametrize(
    "words", ["stop stops stopped stopping", "Gatún Gatun", "city cities", "Reye Reye's", "make makes making", "wait waited waits"]
)
def test_forms_of_a_word_share_a_stem(words: str) -> None:
    assert len(set(cut(words)[0].stem.tolist())) == 1


def test_flags() -> None:
    found, said = cut("Dr. Smith's NASA\n\n- item H2O foo_bar U.K. 5km")
    flags = {s: int(f) for s, f in zip(said, found.flags, strict=True)}
    assert flags["Dr"] & (tm.START | tm.CAPITAL | tm.PARAGRAPH) == tm.START | tm.CAPITAL | tm.PARAGRAPH
    assert flags["Smith's"] & tm.POSSESSIVE
    assert flags["Smith's"] & tm.CAPITAL
    assert not flags["Smith's"] & tm.START
    assert flags["NASA"] & tm.CAPITALS
    assert flags["-"] & tm.PARAGRAPH
    assert flags["item"] & tm.START
    assert flags["H2O"] & tm.DIGITS
    assert flags["H2O"] & tm.WORD
    assert flags["foo_bar"] & tm.SNAKE
    assert flags["U.K."] & tm.DOTTED
    assert flags["km"] & tm.GLUED
    assert not flags["5"] & tm.GLUED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith came. He left.", ["Dr. Smith came.", "He left."]),
        ("It is 3.5 m. Then e.g. this… and more.", ["It is 3.5 m.", "Then e.g. this… and more."]),
        ("“Why?” he asked. “Go!” She went.", ["“Why?” he asked.", "“Go!”", "She went."]),
        ("Am 15. August kam er. Es war 5. Dann ging er.", ["Am 15. August kam er.", "Es war 5.", "Dann ging er."]),
        ("He was 15. Then he left.", ["He was 15.", "Then he left."]),
        ("J. R. R. Tolkien wrote. In the U.S. Army. In the U.S. The end.", ["J. R. R. Tolkien wrote.", "In the U.S. Army.", "In the U.S.", "The end."]),
        ("第一章。第二章！“好。”", ["第一章。", "第二章！", "“好。”"]),
        ("1. The cat\n2. A dog\n- an item\n# Head", ["1. The cat", "2. A dog", "- an item", "# Head"]),
        ("a line that is long enough to have been wrapped by Thomas\nHales at sixty", ["a line that is long enough to have been wrapped by Thomas\nHales at sixty"]),
        ("First part\n\nsecond part", ["First part", "second part"]),
        ("See fig. 3 and No. 5 vs. Jones. The end", ["See fig. 3 and No. 5 vs. Jones.", "The end"]),
        ("at about 55 °C. Trapped gas", ["at about 55 °C.", "Trapped gas"]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert cut_sentences(text) == expected


ALPHABET = st.sampled_from(
    [*"abcsedginlyABCU.SÉéßﬁσςΩжД０٣१1234509", *" \n\t\r", "  ", "\n\n", *".,!?…。！:;'’\"“”()-–—_*#|>•", "\u0301", "\u00ad", "\u200b", "😀",
     "我", "日", "か", "ก", "ั", "한", "²", "⁻", "°", "€", "½", " The ", " Dr. ", " e.g. ", "ing ", "ed ", "'s ", "15. August ", "\x00", "\x85"]
)  # fmt: skip


@given(st.lists(ALPHABET, max_size=60).map("".join))
@example("A.B. c")
@example("é.a.")
@example("Mr.\nX")
def test_as_plain_python_does(text: str) -> None:
    if any(mark in text for mark in ("://", "@")):
        return
    found, said = cut(text)
    expected = plain.terms(text)
    assert said == [text[a:b] for a, b, *_ in expected]
    # the capital of a possessive or of all letters is told apart by hand above
    mask = 0xFFFF & ~(tm.CAPITALS | tm.POSSESSIVE)
    assert (found.flags & mask).tolist() == [flags & mask for _, _, flags, _, _ in expected]
    for term, (a, b, _, folded, stem) in enumerate(expected):
        if len(folded.encode()) <= 250:
            assert int(found.hash[term]) == raw_hash(folded), text[a:b]
            assert int(found.stem[term]) == raw_hash(stem), (text[a:b], stem)
    starts = [t for t, (_, _, flags, _, _) in enumerate(expected) if flags >> 20]
    assert found.sentence_terms[:-1].tolist() == starts
    assert found.sentence.tolist() == (np.searchsorted(starts, np.arange(len(expected)), side="right") - 1).tolist()


def raw_hash(text: str) -> int:
    from explorer.primitives.swar import hash_bytes

    raw = np.frombuffer(text.encode(), np.uint8)
    return int(hash_bytes(raw, 0, len(raw)))


HOSTILE = [
    b"", b" \n", b"a\0b\0", b"caf\xe9 \xff\xfe ok \xe2\x82", "a" * 300_000, "é" * 200_000, "👩‍👩‍👧‍👦 🇫🇷 ❤️", "\u202eabc\u202c \u2067x\u2069", "!?" * 50_000, "a-" * 50_000,
    "1." * 20_000, "@" * 1000, "a@b" * 1000, "https://" * 500, "我们" * 10_000, ". " * 10_000, "A.B." * 5000, "'" * 999, "\n" * 9999, "x@y.zz" * 300,
]  # fmt: skip


def test_survives_any_bytes() -> None:
    batch = Batch.of(HOSTILE)
    found = terms(batch)
    for d in range(len(batch)):
        a, b = found.offsets[d], found.offsets[d + 1]
        begin, end = found.start[a:b], found.start[a:b] + found.size[a:b]
        assert (begin >= batch.offsets[d]).all()
        assert (end <= batch.offsets[d + 1]).all()
        assert (end[:-1] <= begin[1:]).all()
        assert (begin < end).all()
    kinds = found.flags & tm.KIND
    assert np.isin(kinds, [tm.WORD, tm.NUMBER, tm.SIGN, tm.UNSPACED, tm.LINK]).all()
    assert (np.diff(found.sentence_terms) > 0).all()
    assert found.sentence_terms[found.sentence_offsets].tolist() == found.offsets.tolist()


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_a_document_does_not_depend_on_its_batch(texts: list[bytes]) -> None:
    together = terms(Batch.of(texts))
    for d, text in enumerate(texts):
        alone = terms(Batch.of([text]))
        part = slice(together.offsets[d], together.offsets[d + 1])
        assert together.hash[part].tolist() == alone.hash.tolist()
        assert together.flags[part].tolist() == alone.flags.tolist()
        first = together.sentence_offsets[d]
        own = together.sentence_terms[first : together.sentence_offsets[d + 1]] - together.offsets[d]
        assert own.tolist() == alone.sentence_terms[:-1].tolist()


def test_an_empty_batch() -> None:
    assert len(terms(Batch.of([])).start) == 0
    assert sentences(Batch.of([None, ""])).offsets.tolist() == [0, 0, 0]
