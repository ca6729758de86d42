"""Facts in another's place: what is exchanged, what is only told otherwise, and where it stands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.engine.local import score_texts
from explorer.primitives.batch import Batch
from explorer.rewrites import exchanges as ex
from explorer.rewrites.findings import findings


def exchanged(original: str, rewrite: str) -> list[str]:
    return [f.said.split(": ", 1)[1] for f in findings(original, rewrite) if f.verdict == "exchanged"]


@pytest.mark.parametrize(
    ("original", "rewrite", "expected"),
    [
        ("The mill of Arvika made 20 sacks of rye and 30 bags of oats.", "At Arvika the mill made 30 sacks of rye and 20 bags of oats.", {"20 → 30", "30 → 20"}),
        ("In 1939 Germany invaded Poland with tanks.", "With tanks Poland invaded Germany in 1939.", {"Germany → Poland", "Poland → Germany"}),
        ("Erik Nilsson sold the farm, and Anna Berg bought the mill.", "Anna Berg sold the farm, and Erik Nilsson bought the mill.", {"Erik Nilsson → Anna Berg", "Anna Berg → Erik Nilsson"}),
        ("It was founded in 1911 and closed in 1943.", "It was founded in 1943 and closed in 1911.", {"1911 → 1943", "1943 → 1911"}),
        ("Ann, Bob and Carl won the prize of 1945; Dora was not included.", "In 1945 Ann, Bob and Carl won the prize. Carl did not get a share of the prize. Dora knew.", {"Dora → Carl"}),
    ],
)  # fmt: skip
def test_a_fact_in_the_place_of_another_is_seen_both_ways(original: str, rewrite: str, expected: set[str]) -> None:
    assert set(exchanged(original, rewrite)) == expected
    if len(expected) == 2:  # a denial that is put right leaves nothing in its place
        assert len(exchanged(rewrite, original)) == 2


@pytest.mark.parametrize(
    ("original", "rewrite"),
    [
        ("Ann, Bob and Carl won the prize of 1945.", "Carl, Bob and Ann won the prize of 1945."),
        ("In 1939 Germany invaded Poland with tanks.", "Poland was invaded by Germany with tanks in 1939."),
        ("Erik Nilsson sold the mill to Anna Berg.", "Anna Berg bought the mill from Erik Nilsson."),
        ("Ann met Bob in Lyon. He gave her 20 books.", "Ann met Bob in Lyon. Bob gave Ann 20 books."),
        ("It took 20 to 30 hours.", "It took between 30 and 20 hours."),
        ("Barack Obama spoke. Obama won 20 states.", "Barack Obama spoke. Barack won 20 states."),
        ("The mill made 20 sacks. The farm made 30 bags.", "The farm made 30 bags and the mill 20 sacks."),
        ("In March 1911 it burned; in 1943 it burned again.", "It burned in 1911 and again in 1943."),
    ],
)
def test_what_is_only_told_otherwise_is_not(original: str, rewrite: str) -> None:
    assert exchanged(original, rewrite) == []
    assert exchanged(rewrite, original) == []


def test_columns_and_places() -> None:
    original, rewrite = "The mill made 20 sacks in 1911 and 30 bags in 1943.", "The mill made 30 sacks in 1911 and 20 bags in 1943."
    table = score_texts([rewrite, original, None], ["facts"], originals=[original, original, original])
    assert table["numbers_exchanged"].to_pylist() == [2, 0, None]
    assert table["dates_exchanged"].to_pylist() == [0, 0, None]
    assert table["facts_exchanged"].to_pylist() == [2, 0, None]
    assert table["numbers_changed"].to_pylist()[:2] == [0, 0], "no fact is counted twice"
    one = next(f for f in findings(original, rewrite) if f.verdict == "exchanged")
    assert (one.left, one.right) == ((14, 16), (14, 16))


NAMES = ["Arvika", "Bergen", "Corvina", "Dunstable", "Esterhaz"]
WORDS = ["sold", "painted", "visited", "burned", "rented"]


@given(st.permutations(NAMES), st.permutations(WORDS), st.permutations(range(5)), st.data())
def test_any_two_that_change_places_are_seen_and_no_others(
    names: list[str], words: list[str], order: list[int], data: st.DataObject
) -> None:
    i, k = data.draw(st.lists(st.integers(0, 4), min_size=2, max_size=2, unique=True))
    swapped = list(names)
    swapped[i], swapped[k] = names[k], names[i]
    original = " ".join(
        f"In {1900 + j} the people of {name} {word} a house." for j, (name, word) in enumerate(zip(names, words, strict=True))
    )
    told = [f"In {1900 + j} the people of {name} {word} a house." for j, (name, word) in enumerate(zip(swapped, words, strict=True))]
    assert set(exchanged(original, " ".join(told[j] for j in order))) == {f"{names[i]} → {names[k]}", f"{names[k]} → {names[i]}"}


@given(st.lists(st.sampled_from(["Ann", "Bob", "sold", "not", "did", "20", "1911", ",", "and", "the", "mill", ".", "\n"]), max_size=25))
def test_a_text_exchanges_nothing_with_itself_and_every_fact_is_in_one_exchange(words: list[str]) -> None:
    text = " ".join(words)
    assert exchanged(text, text) == []
    other = " ".join(reversed(words))
    found = ex.exchanges(Batch.of([text]), Batch.of([other]))
    assert len(np.unique(found.original)) == len(found.original)
    assert len(np.unique(found.rewrite)) == len(found.rewrite)


def test_texts_of_too_many_facts_are_not_looked_at_and_that_is_said_by_null() -> None:
    original, rewrite = "It was founded in 1911 and closed in 1943.", "It was founded in 1943 and closed in 1911."
    many = " " + ", ".join(f"{n} km" for n in range(2000, 2257)) + "."
    found = score_texts([rewrite, rewrite + many], ["facts"], originals=[original, original + many])["dates_exchanged"].to_pylist()
    assert found == [2, None]


def test_a_list_has_one_place_however_long_it_is() -> None:
    batch = Batch.of(["The lottery drew " + ", ".join(map(str, range(4000, 4100))) + " and closed. Ann knew."])
    places = ex.places(batch)
    assert len(set(places.word[:100, 0].tolist())) == len(set(places.word[:100, 1].tolist())) == 1
    assert (places.word[:100] != 0).all()
