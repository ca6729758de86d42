"""The arithmetic of mixtures, against published and hand-computed values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import ManifestError
from explorer.mixture.amounts import Given, Taken, Target, Unique, effective_tokens, targets
from explorer.mixture.draw import Draw


def copies(target: Target, tokens: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Copies of one stage over the whole source."""
    draw = Draw(tokens, lambda: drawn)
    return draw.copies(draw.advance(0, Taken(), target)[0])


U = {"web": Unique(600, 6000.0), "code": Unique(300, 3000.0)}


@pytest.mark.parametrize(
    ("epochs", "share"),  # huggingface/datablations' fit, run on its own code: U = 1e9
    [(1, 1.0), (2, 0.9841), (3, 0.958493), (4, 0.931418), (5, 0.904475), (8, 0.828015)],
)
def test_effective_tokens_are_the_published_ones(epochs: int, share: float) -> None:
    assert effective_tokens(epochs * 1e9, 1e9) / (epochs * 1e9) == pytest.approx(share, abs=1e-6 if epochs > 2 else 5e-5)


def test_effective_tokens_below_one_epoch_count_in_full_and_never_pass_their_ceiling() -> None:
    assert effective_tokens(0.4e9, 1e9) == 0.4e9
    assert effective_tokens(1e14, 1e9) == pytest.approx(16.387756e9)
    assert effective_tokens(5.0, 0.0) == 5.0


def test_weights_divide_the_budget() -> None:
    found, warnings = targets(U, {"web": Given(weight=7), "code": Given(weight=3)}, budget_tokens=5000)
    assert {n: t.tokens for n, t in found.items()} == {"web": 3500.0, "code": 1500.0}
    assert warnings == ["The weights add up to 10; they were divided by it."]


def test_weights_share_what_fixed_amounts_leave() -> None:
    found, warnings = targets(U, {"web": Given(weight=1), "code": Given(epochs=0.5)}, budget_tokens=5000)
    assert found["code"] == Target(Given(epochs=0.5), 1500.0, 150)
    assert found["web"].tokens == 3500.0
    assert warnings == []


def test_weights_without_a_budget_stop_at_the_first_source_seen_once() -> None:
    found, warnings = targets(U, {"web": Given(weight=0.5), "code": Given(weight=0.5)})
    assert {n: t.tokens for n, t in found.items()} == {"web": 3000.0, "code": 3000.0}
    assert "6,000 tokens" in warnings[0]


def test_nothing_given_is_every_document_once_or_equal_epochs_of_a_budget() -> None:
    found, _ = targets(U, {})
    assert {n: t.documents for n, t in found.items()} == {"web": 600, "code": 300}
    found, _ = targets(U, {}, budget_tokens=18_000)
    assert {n: t.tokens for n, t in found.items()} == {"web": 12_000.0, "code": 6000.0}


def test_max_epochs_cuts_a_weight_and_says_so() -> None:
    found, warnings = targets(U, {"web": Given(weight=0.2), "code": Given(weight=0.8)}, budget_tokens=20_000, max_epochs={"code": 4})
    assert found["code"].tokens == 12_000.0
    assert found["web"].tokens == 4000.0
    assert "max_epochs 4 leaves 12,000" in warnings[0]


@pytest.mark.parametrize(
    ("given_", "options", "message"),
    [
        ({"web": Given(weight=1, epochs=2), "code": Given(weight=1)}, {}, "weight and epochs"),
        ({"web": Given(weight=1)}, {}, "'code' has no amount"),
        ({"web": Given(epochs=0), "code": Given(epochs=1)}, {}, "above 0"),
        ({"web": Given(epochs=float("nan")), "code": Given(epochs=1)}, {}, "above 0"),
        ({"web": Given(documents=1.5), "code": Given(epochs=1)}, {}, "whole number"),  # type: ignore[arg-type]
        ({"web": Given(epochs=5), "code": Given(epochs=1)}, {"max_epochs": {"web": 4}}, "max_epochs is 4"),
        ({"web": Given(tokens=6000), "code": Given(weight=1)}, {"budget_tokens": 5000}, "Nothing is left of the budget"),
    ],
)
def test_amounts_that_cannot_be_met_are_refused(given_: dict, options: dict, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        targets(U, given_, **options)


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(ManifestError, match="'web' keeps no document"):
        targets({"web": Unique(0, 0.0)}, {})


def test_copies_of_two_and_a_half_epochs() -> None:
    drawn = np.array([3, 1, 0, 2])
    assert copies(Target(Given(), 0.0, 10), np.ones(4), drawn).tolist() == [2, 3, 2, 3]


def test_copies_for_tokens_take_the_nearer_side_of_the_target() -> None:
    tokens, drawn = np.array([10.0, 20.0, 30.0]), np.array([2, 1, 0])
    assert copies(Target(Given(), 44.0), tokens, drawn).tolist() == [0, 1, 1]  # 30 is 14 short, 50 is 6 over
    assert copies(Target(Given(), 36.0), tokens, drawn).tolist() == [0, 0, 1]  # 30 is 6 short, 50 is 14 over
    assert copies(Target(Given(), 120.0), tokens, drawn).tolist() == [2, 2, 2]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(lambda values: sum(values) > 0),
    st.floats(0.01, 20),
    st.randoms(use_true_random=False),
)
def test_copies_are_as_near_to_the_tokens_as_the_draw_allows(sizes: list[int], epochs: float, random) -> None:
    tokens = np.array(sizes, float)
    drawn = np.arange(len(sizes))
    random.shuffle(drawn)
    target = epochs * tokens.sum()
    times = copies(Target(Given(), target), tokens, drawn)
    assert times.max() - times.min() <= 1
    reachable = int(epochs + 1e-9) * tokens.sum() + np.concatenate([[0.0], np.cumsum(tokens[drawn])])
    assert abs((tokens * times).sum() - target) == pytest.approx(np.abs(reachable - target).min(), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 50), st.integers(1, 500))
def test_copies_for_documents_are_exact(n: int, documents: int) -> None:
    assert copies(Target(Given(), 0.0, documents), np.ones(n), np.arange(n)).sum() == documents


@pytest.mark.parametrize("max_epochs", [None, {"empty": 2.0}])
def test_a_source_without_tokens_cannot_share_a_budget(max_epochs) -> None:
    with pytest.raises(ManifestError, match="Source 'empty' cannot share a token budget"):
        targets({**U, "empty": Unique(3, 0.0)}, {}, budget_tokens=500, max_epochs=max_epochs)
    found, _ = targets({**U, "empty": Unique(3, 0.0)}, {})
    assert copies(found["empty"], np.zeros(3), np.arange(3)).tolist() == [1, 1, 1]
