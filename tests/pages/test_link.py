"""A selection survives its way through a link, whatever names and values it holds."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import SelectionError
from explorer.selection.filters import Filters
from explorer.selection.recipes import recipes
from explorer.selection.samplers import Sample
from explorer.selection.threshold import Threshold
from explorer.ui.link import decode, encode

words = st.text(min_size=1, max_size=20)
numbers = st.one_of(st.integers(-(10**12), 10**12), st.floats(allow_nan=False))


@st.composite
def thresholds(draw):
    low, high = sorted((draw(numbers), draw(numbers)))
    sides = draw(st.sampled_from(["low", "high", "both"]))
    return Threshold(
        draw(words),
        minimum=low if sides != "high" else None,
        maximum=high if sides != "low" else None,
        exclusive=draw(st.booleans()) and (sides != "both" or low < high),
        nulls=draw(st.sampled_from(["drop", "keep"])),
        reason=draw(st.one_of(st.just(""), words)),
        source=draw(st.one_of(st.just(""), words)),
    )


samples = st.one_of(
    st.none(),
    st.builds(
        lambda by, tokens, seed: Sample("token_budget", by=by, tokens=tokens, seed=seed), words, st.floats(1, 1e15), st.integers(0, 99)
    ),
)


@given(st.lists(thresholds(), max_size=4), st.text(max_size=40), samples, st.text(max_size=10))
def test_every_selection_comes_back(rules, where, sample, name):
    filters = Filters(tuple(rules), where=where, sample=sample, name=name)
    said = encode(filters)
    assert decode(said) == filters
    # surrogates cannot be in an address and do not come from one
    assert decode(parse_qs(urlencode({"f": said}, errors="surrogatepass"), errors="surrogatepass").get("f", [""])[0]) == filters


@pytest.mark.parametrize("name", list(recipes))
def test_a_recipe_is_one_word(name):
    assert encode(recipes[name]) == f"recipe={name}"
    assert decode(f"recipe={name}") == recipes[name]
    more = recipes[name] | Threshold("edu_score", minimum=3)
    assert decode(encode(more)) == more
    assert encode(more).startswith(f"recipe={name};")


def test_only_what_was_changed_in_a_recipe_is_spelled_out():
    gopher = recipes["gopher"]
    first, *others = gopher.filters
    moved = replace(others[0], maximum=0.123)
    changed = replace(gopher, filters=(moved, *others[1:]), where="language = 'en'")
    said = encode(changed)
    assert said.startswith(f"recipe=gopher;drop={first.signal}")
    assert f";{moved.signal}:..0.123" in said
    assert said.endswith(";where=language = 'en'")
    assert said.count(";") == 3
    assert decode(said) == changed
    backwards = replace(gopher, filters=gopher.filters[::-1])
    assert decode(encode(backwards)) == backwards
    without = replace(recipes["fineweb"], where="")
    assert decode(encode(without)) == without


def test_it_reads_as_it_was_meant():
    filters = Filters((Threshold("gopher_n_words", minimum=50, maximum=100000),), where="language = 'en'")
    assert encode(filters) == "gopher_n_words:50..100000;where=language = 'en'"
    assert encode(Filters()) == ""
    assert decode("") == Filters()


@pytest.mark.parametrize(
    "bad", ["x", "x:", "x:1", "x:a..b", "x:2..1", "x:nan..", "recipe=unknown", "x:1..,colour=red", "sample=", "sample=method:none"]
)
def test_what_is_no_link_is_refused(bad):
    with pytest.raises(SelectionError):
        decode(bad)
