from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_english import tokenise

from explorer.primitives.batch import Batch
from explorer.primitives.ngrams import DUPLICATED, TOP, ngrams

documents = st.lists(st.lists(st.sampled_from(["a", "bb", "ccc", "é", "dd"]), max_size=60).map(" ".join), max_size=4) | st.lists(
    st.lists(st.sampled_from(["a", "bb"]), max_size=80).map(" ".join), max_size=3
)


def top(tokens, n):
    """datatrove's find_top_duplicate over its get_n_grams."""
    grams = [" ".join(tokens[k : k + n]) for k in range(len(tokens) - n + 1)]
    if not grams:
        return 0
    gram, count = Counter(grams).most_common(1)[0]
    return len(gram) * count


def duplicated(tokens, n):
    """datatrove's find_all_duplicate, on tuples: it joins tokens without a space, which can confuse 'ab c' with 'a bc'."""
    seen, covered, k = set(), 0, 0
    while k < len(tokens) - n + 1:
        gram = tuple(tokens[k : k + n])
        if gram in seen:
            covered += sum(map(len, gram))
            k += n
        else:
            seen.add(gram)
            k += 1
    return covered


def check(texts):
    found = ngrams(Batch.of(texts))
    for d, text in enumerate(texts):
        tokens = tokenise(text)
        assert found.top[d].tolist() == [top(tokens, n) for n in TOP]
        assert found.duplicated[d].tolist() == [duplicated(tokens, n) for n in DUPLICATED]


@settings(deadline=None, max_examples=600)
@given(documents)
def test_pruned_levels_find_what_counting_everything_finds(texts):
    check(texts)


def test_long_documents_with_planted_repeats():
    rng = np.random.default_rng(7)
    vocabulary = np.array([f"w{k}x" for k in range(400)])
    for share in (0.0, 0.1, 0.6):
        parts = [" ".join(rng.choice(vocabulary, rng.integers(3, 30))) for _ in range(200)]
        check([" ".join(parts[0] if rng.random() < share else p for p in parts)])


def test_the_first_of_equally_frequent_ngrams_counts():
    assert ngrams(Batch.of(["aaaa b x c d y aaaa b z c d"])).top[0, 0] == 2 * len("aaaa b")
    assert ngrams(Batch.of(["c d x aaaa b y aaaa b z c d"])).top[0, 0] == 2 * len("c d")


def test_a_document_without_tokens_or_with_one():
    found = ngrams(Batch.of(["", None, "one", "one two"]))
    assert found.top.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [7, 0, 0]]
    assert found.duplicated.sum() == 0
