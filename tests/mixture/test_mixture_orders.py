"""Orders: folded and in buckets, undefined values last, and the same inside a part of a source."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import ManifestError
from explorer.manifest.verify import verify
from explorer.manifest.write import mix
from explorer.mixture.orders import Order, arrange, parse_order

NAN = float("nan")


def reversed_positions(n: int):
    return lambda: np.arange(n)[::-1]


@pytest.mark.parametrize(
    ("said", "order"),
    [
        ("natural", Order("natural")),
        ("ascending edu score", Order("ascending", "edu score")),
        ("folded edu score 4", Order("folded", "edu score", 4)),
        ("buckets q 10", Order("buckets", "q", 10)),
    ],
)
def test_orders_are_parsed(said: str, order: Order) -> None:
    assert parse_order(said, "web") == order


@pytest.mark.parametrize(
    "said", ["", "random", "ascending", "folded q", "folded 3", "folded q 1", "buckets q x", "natural q", "buckets q -2"]
)
def test_other_orders_are_refused(said: str) -> None:
    with pytest.raises(ManifestError, match=r"Source 'web' has the order .* 'buckets NAME K', with K 2 or more"):
        parse_order(said, "web")


def test_folded_is_k_ascending_passes_over_every_kth_document() -> None:
    values = np.array([5.0, NAN, 1.0, 4.0, 2.0, 3.0, 0.0, NAN])
    assert values[arrange(Order("folded", "q", 3), values, reversed_positions(8))].tolist()[:6] == [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    assert arrange(Order("folded", "q", 3), values, reversed_positions(8))[6:].tolist() == [1, 7]


def test_buckets_ascend_and_are_shuffled_inside() -> None:
    values = np.array([5.0, NAN, 1.0, 4.0, 2.0, 3.0, 0.0, NAN])
    placed = arrange(Order("buckets", "q", 2), values, reversed_positions(8))
    assert placed.tolist() == [6, 4, 2, 5, 3, 0, 7, 1]  # the random order is that of the files reversed


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.integers(-5, 5).map(float), st.just(NAN)), min_size=1, max_size=40),
    st.integers(2, 7),
    st.sampled_from(["folded", "buckets"]),
)
def test_each_pass_and_bucket_holds_what_it_should(values: list[float], parts: int, how: str) -> None:
    array = np.array(values)
    placed = arrange(Order(how, "q", parts), array, reversed_positions(len(array)))
    assert sorted(placed.tolist()) == list(range(len(array)))
    defined = int((~np.isnan(array)).sum())
    ordered = array[placed][:defined]
    assert not np.isnan(ordered).any()
    if how == "folded":
        sizes = [len(range(start, defined, parts)) for start in range(parts)]
        pieces = np.split(ordered, np.cumsum(sizes)[:-1])
        assert all((np.diff(piece) >= 0).all() for piece in pieces)
        assert max(sizes) - min(sizes) <= 1
    else:
        edges = [i for i in range(1, defined) if i * parts // defined != (i - 1) * parts // defined]
        pieces = [piece for piece in np.split(ordered, edges) if len(piece)]
        assert all(a.max() <= b.min() for a, b in pairwise(pieces))


@pytest.mark.parametrize("order", ["folded q 4", "buckets q 5"])
def test_a_part_of_a_source_is_ordered_among_itself(corpora, tmp_path, order) -> None:
    mix({"web": corpora["web"]}, documents=21, order=order, seed=2, out=tmp_path / "m")
    numbers = pl.read_parquet(tmp_path / "m" / "selection-web.parquet")["id"].str.strip_prefix("web-").cast(int).to_numpy()
    ranked = np.sort(numbers)
    if order == "folded q 4":
        assert numbers.tolist() == [int(i) for start in range(4) for i in ranked[start::4]]
    else:
        bucket = np.searchsorted(ranked, numbers) * 5 // 21
        assert (np.diff(bucket) >= 0).all()
        assert numbers.tolist() != ranked.tolist()
    assert verify(tmp_path / "m", workspace=tmp_path / "ws").ok
