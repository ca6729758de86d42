"""What a selection lacks before it can be applied."""

from __future__ import annotations

import pytest

from explorer.selection.filters import Filters
from explorer.selection.needs import needs
from explorer.selection.recipes import recipes
from explorer.selection.samplers import Sample
from explorer.selection.threshold import Threshold


def test_a_recipe_needs_its_families_until_they_are_computed(tiny_corpus):
    found = needs(tiny_corpus, recipes["gopher"])
    assert set(found.families) == {"gopher_quality", "gopher_repetition"}
    assert found
    tiny_corpus.score(found.families, on_progress=lambda _: None)
    assert not needs(tiny_corpus, recipes["gopher"])


def test_own_columns_are_there_and_unknown_ones_are_told_apart(tiny_corpus):
    filters = Filters((Threshold("stars", minimum=1), Threshold("moons", minimum=1), Threshold("zlib_ratio", maximum=3)))
    found = needs(tiny_corpus, filters)
    assert (found.families, found.signals, found.unknown) == (("compression",), ("zlib_ratio",), ("moons",))


@pytest.mark.parametrize(
    ("where", "families"),
    [
        ("lang = 'en'", ("language",)),
        ("text LIKE '%lang%'", ()),
        ("source = 'it''s lang' -- lang\n", ()),
        ("/* lang */ stars > 1", ()),
        ("n_chars > 5 AND stars > 1", ("length",)),
        ("N_Chars > 5 AND \"LANG\" = 'en'", ("language", "length")),
    ],
)
def test_names_in_the_predicate_count_but_not_its_texts(tiny_corpus, where, families):
    assert needs(tiny_corpus, Filters(where=where)).families == families


def test_the_sampler_is_read_too(tiny_corpus):
    sample = Sample("stratified_budget", by="zlib_ratio", tokens=10, per="lang")
    assert set(needs(tiny_corpus, Filters(sample=sample)).families) == {"compression", "language"}
    assert not needs(tiny_corpus, Filters(sample=Sample("nested_subset", fraction=0.5, per="source")))
    assert needs(tiny_corpus, Filters(sample=Sample("nested_subset", fraction=0.5, per="language"))).families == ("language",)
