"""Filters as a file: written and read equal, unknown parts refused by name; what ``|`` merges."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import SelectionError
from explorer.selection.filters import Filters, as_filters
from explorer.selection.recipes import recipes
from explorer.selection.samplers import Sample
from explorer.selection.threshold import Threshold

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
numbers = st.one_of(st.integers(-(10**12), 10**12), st.floats(allow_nan=False))
thresholds = st.builds(
    lambda signal, low, width, exclusive, nulls, reason, source: Threshold(
        signal, low, None if width is None else low + width, exclusive and width != 0, nulls, reason, source
    ),
    words.filter(bool),
    st.integers(-1000, 1000) | st.floats(-1e6, 1e6),
    st.none() | st.integers(0, 100),
    st.booleans(),
    st.sampled_from(["drop", "keep"]),
    words,
    words,
)
samples = st.one_of(
    st.none(),
    st.builds(Sample, st.just("token_budget"), by=st.none() | words, tokens=st.floats(1, 1e13), seed=st.integers(0, 2**40)),
    st.builds(Sample, st.just("nested_subset"), fraction=st.floats(0.001, 1), per=st.none() | words, descending=st.booleans()),
    st.builds(Sample, st.just("gumbel_topk"), by=words, documents=st.integers(1, 10**9), temperature=st.floats(0.01, 100)),
)


@given(st.builds(Filters, st.lists(thresholds, max_size=6).map(tuple), words, samples, words, words, words))
@settings(max_examples=200, deadline=None)
def test_yaml_and_back(filters: Filters) -> None:
    assert Filters.from_yaml(filters.to_yaml()) == filters


def test_the_file_in_the_guide() -> None:
    text = """
name: fineweb-strict
filters:
  - {signal: gopher_n_words, minimum: 50, maximum: 100000}
  - {signal: edu_score, minimum: 2.5, reason: not educational}
where: "language = 'en'"
sample: {method: token_budget, by: edu_score, tokens: 2e9, per: source, seed: 1}
"""
    filters = Filters.from_yaml(text)
    assert filters.filters[0] == Threshold("gopher_n_words", 50, 100_000)
    assert filters.sample == Sample("token_budget", by="edu_score", tokens=2e9, per="source", seed=1)
    assert filters.signals == ("gopher_n_words", "edu_score")
    assert list(yaml.safe_load(filters.to_yaml())) == ["name", "filters", "where", "sample"]


def test_save_and_load(tmp_path: Path) -> None:
    filters = Filters((Threshold("x", 1),), where="a = 'é'", name="n")
    assert Filters.load(filters.save(tmp_path / "f.yaml")) == filters
    with pytest.raises(SelectionError, match="cannot be read"):
        Filters.load(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SelectionError, match="cannot be read"):
        Filters.load(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "thresholds: []",
            "Unknown key 'thresholds' in the filters. Keys: name, about, source, filters, where, sample. Remove or rename it.",
        ),
        ("filters: [{signal: x, min: 3}]", "The filter on 'x' has an unknown key 'min'."),
        ("filters: [{signal: x, minimum: 3, op: '>'}]", "unknown key 'op'"),
        ("filters: {signal: x}", "It must be a list of thresholds"),
        ("filters: 5", "It must be a list of thresholds"),
        ("filters: [x]", "A filter is 'x'. It must be a mapping"),
        ("- signal: x", "A filters file holds list."),
        ("hello", "A filters file holds str."),
        ("where: true", "'where' of the filters is True. It must be text."),
        ("name: 5", "'name' of the filters is 5. It must be text."),
        ("filters: [", "The filters are not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']", "The filters are not valid YAML"),
        ("sample: {method: token_budget}", "Sampler 'token_budget' lacks 'tokens'."),
        ("sample: {method: best}", "Sampler 'best' is not known."),
        ("sample: {method: token_budget, tokens: 5, budget: 3}", "The sample has an unknown key 'budget'."),
        ("sample: {method: token_budget, tokens: lots}", "The sampler's tokens is 'lots'. It must be a number."),
        ("sample: token_budget", "It must be a mapping with 'method'"),
    ],
)
def test_messages(text: str, said: str) -> None:
    with pytest.raises(SelectionError) as raised:
        Filters.from_yaml(text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_empty_file_keeps_everything() -> None:
    assert Filters.from_yaml("") == Filters()
    assert not Filters()


def test_or_moves_a_limit_and_keeps_its_place_and_reason() -> None:
    merged = recipes["gopher"] | Threshold("gopher_n_words", minimum=100)
    names = [t.signal for t in recipes["gopher"].filters]
    assert [t.signal for t in merged.filters] == names
    moved = merged.filters[names.index("gopher_n_words")]
    assert moved == Threshold("gopher_n_words", minimum=100, reason="gopher_short_doc / gopher_long_doc")


def test_or_adds_what_is_new_and_what_has_another_reason() -> None:
    a, b = Threshold("x", 1, reason="a"), Threshold("x", maximum=9, reason="b")
    assert (Filters((a,)) | b).filters == (a, b)
    assert (Filters((a, b)) | Threshold("x", 2)).filters == (Threshold("x", 2, reason="a"),)
    assert (Filters((a, b)) | Threshold("x", 2, reason="b")).filters == (a, Threshold("x", 2, reason="b"))
    assert (Filters((a,)) | Threshold("y", 1)).filters == (a, Threshold("y", 1))


def test_or_joins_predicates_names_and_samplers() -> None:
    left = Filters(where="a = 1 OR b = 2", name="left", sample=Sample("nested_subset", fraction=0.5))
    right = Filters(where="c = 3 -- note", name="right", sample=Sample("nested_subset", fraction=0.1))
    merged = left | right
    assert merged.where == "(a = 1 OR b = 2) AND (c = 3 -- note\n)"
    assert merged.name == "left + right"
    assert merged.sample == right.sample
    assert (left | Filters()).sample == left.sample
    assert (left | Filters()).where == left.where
    assert (Filters() | [Threshold("x", 1)]).filters == (Threshold("x", 1),)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (None, Filters()),
        ("a > 1", Filters(where="a > 1")),
        (Threshold("x", 1), Filters((Threshold("x", 1),))),
        ([Threshold("x", 1)], Filters((Threshold("x", 1),))),
        (Filters(name="n"), Filters(name="n")),
    ],
)
def test_as_filters(what: object, expected: Filters) -> None:
    assert as_filters(what) == expected  # type: ignore[arg-type]
