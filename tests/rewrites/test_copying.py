"""Copying and novelty: equal to rouge_score's answers, and to plain Python on any texts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.engine.local import score_texts
from explorer.primitives.batch import Batch
from explorer.primitives.plain_words import plain_words
from explorer.rewrites.copying import LONG, REACH, copying

ORIGINAL = "The old stone mill was built in 1702 and it still stands beside the bridge in Ashford. Tickets cost 5 euro."
REWRITE = "Built in 1702, the stone mill beside the Ashford bridge is still standing. Entry is 5 euro."

texts = st.text(alphabet="ab Ñß.é9\u0301京か\n-", max_size=60) | st.text(max_size=40)


def values(original: str | None, rewrite: str | None) -> dict[str, float | None]:
    return score_texts([rewrite], ["copying"], originals=[original]).to_pylist()[0]


def test_equals_rouge_score():
    """Precision, recall by rouge_score 0.1.2 without stemming."""
    found = values(ORIGINAL, REWRITE)
    expected = {
        "rouge1_precision": 0.764706, "rouge1_recall": 0.619048, "rouge2_precision": 0.3125, "rouge2_recall": 0.25,
        "rouge_l_precision": 0.470588, "rouge_l_recall": 0.380952,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert found["novel_word_frac"] == pytest.approx(4 / 17)  # is, standing, entry, is
    assert found["longest_copied_frac"] == pytest.approx(3 / 17)  # built in 1702


def test_a_copy_and_a_stranger():
    copy = values(ORIGINAL, ORIGINAL)
    assert {name: value for name, value in copy.items() if value != 1.0} == {"novel_word_frac": 0.0, "scrambled_frac": 0.0}
    other = values(ORIGINAL, "Completely different words fill this other sentence, none shared, not even one small word here.")
    assert {name for name, value in other.items() if value} == {"novel_word_frac"}
    assert other["novel_word_frac"] == 1.0


def test_undefined_without_words():
    assert set(values("", "").values()) == {None}
    one = values("word", "word")
    assert (one["rouge1_recall"], one["rouge2_recall"], one["kept_8gram_frac"]) == (1.0, None, None)
    assert set(values(None, "word").values()) == {None}
    assert values("", "word")["novel_word_frac"] == 1.0


def test_scripts_without_blanks_are_counted_by_character():
    found = values("東京は日本の首都です。", "日本の首都は東京です。")
    assert found["rouge1_recall"] == 1.0
    assert found["longest_copied_frac"] == pytest.approx(5 / 10)  # 日本の首都


def test_words_are_lower_cased_with_their_marks():
    batch = Batch.of(["Cafe\u0301 CAFÉ café, STRASSE İ", b"caf\xe9 caf"])
    found = plain_words(batch)
    first = found.hash[: found.offsets[1]].tolist()
    assert first[0] == first[1] == first[2]
    second = [batch.data[a:b].tobytes() for a, b in zip(found.start, found.end, strict=True)][found.offsets[1] :]
    assert second == [b"caf", b"caf"]  # a broken byte divides words


def twin_words(text: str) -> list[str]:
    """The words of a text, in plain Python."""
    import unicodedata

    from explorer.primitives.plain_words import MARK, SINGLE, WORD, word_table

    table, found, open_ = word_table(), [], ""
    for character in text:
        kind = table[ord(character)]
        if kind == WORD or (kind == MARK and open_):
            open_ += character
            continue
        if kind == MARK:
            continue
        if open_:
            found.append(open_)
        open_ = ""
        if kind == SINGLE:
            found.append(character)
    if open_:
        found.append(open_)
    return [unicodedata.normalize("NFD", "".join(c.lower() for c in word)) for word in found]


def subsequence(a: list[str], b: list[str]) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        before = 0
        for j, y in enumerate(b):
            before, row[j + 1] = row[j + 1], before + 1 if x == y else max(row[j], row[j + 1])
    return row[-1]


def grams(words: list[str], k: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + k]) for i in range(len(words) - k + 1)]


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=3))
def test_equals_plain_python(pairs: list[tuple[str, str]]):
    batch = Batch.of([b for _, b in pairs], [a for a, _ in pairs])
    found = copying(batch.original, batch)
    for d, (original, rewrite) in enumerate(pairs):
        a, b = (twin_words(t.encode("utf-8", "surrogatepass").decode("utf-8", "replace")) for t in (original, rewrite))
        assert (found.original[d], found.rewrite[d]) == (len(a), len(b))
        assert found.shared1[d] == sum((Counter(a) & Counter(b)).values())
        assert found.shared2[d] == sum((Counter(grams(a, 2)) & Counter(grams(b, 2))).values())
        assert found.common[d] == subsequence(a, b)
        assert found.novel[d] == sum(w not in a for w in b)
        assert found.copied[d] == sum(g in grams(a, LONG) for g in grams(b, LONG))
        assert found.kept[d] == sum(g in grams(b, LONG) for g in grams(a, LONG))
        longest = max((k for k in range(1, min(len(a), len(b)) + 1) if set(grams(a, k)) & set(grams(b, k))), default=0)
        assert found.longest[d] == longest
        ordered = {(x, y) for i, x in enumerate(a) for y in a[i + 1 : i + 1 + REACH]}
        assert found.scrambled[d] == sum(x in a and y in a and (x, y) not in ordered for x, y in pairwise(b))


def test_the_subsequence_of_long_texts_crosses_machine_words():
    random = np.random.default_rng(0)
    a, b = ([str(w) for w in random.integers(0, 30, n)] for n in (701, 643))
    batch = Batch.of([" ".join(b)], [" ".join(a)])
    assert copying(batch.original, batch).common[0] == subsequence(a, b)
