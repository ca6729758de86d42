"""A threshold decides as DuckDB does on the same Parquet, ties and infinities included, and says what is wrong with it."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.errors import SelectionError
from explorer.selection.threshold import Threshold

TIES = [0.0, -0.0, 0.1, 0.8, 0.65, 0.018112, 0.3, 1.0, 2.5, -1.5, 50.0, 100_000.0]
edges = st.one_of(st.sampled_from([*TIES, np.inf, -np.inf, 1e300, -1e300, 1e-50]), st.floats(allow_nan=False), st.integers(-(2**60), 2**60))
values = st.lists(st.one_of(st.none(), st.just(float("nan")), st.sampled_from(TIES), st.floats(width=32)), max_size=30)


@st.composite
def thresholds(draw: st.DrawFn) -> Threshold:
    low, high = draw(st.one_of(st.none(), edges)), draw(st.one_of(st.none(), edges))
    if low is None and high is None:
        low = draw(edges)
    if low is not None and high is not None and low > high:
        low, high = high, low
    exclusive = draw(st.booleans()) and low != high
    return Threshold('odd "name', low, high, exclusive, draw(st.sampled_from(["drop", "keep"])))


@given(threshold=thresholds(), column=values, kind=st.sampled_from(["FLOAT", "DOUBLE"]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_passes_equals_duckdb_on_the_same_parquet(threshold: Threshold, column: list[float | None], kind: str, tmp_path: Path) -> None:
    # Statistics leave NaN out and mislead DuckDB about it, so files with NaN have none here.
    statistics = not any(v is not None and v != v for v in column)
    array = pa.array(column, pa.float32() if kind == "FLOAT" else pa.float64())
    pq.write_table(pa.table({'odd "name': array}), tmp_path / "x.parquet", write_statistics=statistics)
    sql = f"SELECT file_row_number FROM read_parquet('{tmp_path}/x.parquet') WHERE {threshold.sql(kind)} ORDER BY 1"
    said = [r for (r,) in duckdb.sql(sql).fetchall()]
    numbers = array.to_numpy(zero_copy_only=False)
    assert np.flatnonzero(threshold.passes(numbers)).tolist() == said


@pytest.mark.parametrize("bound", [0.1, 0.8, 0.65, 0.3, 0.018112])
def test_a_float32_equal_to_its_bound_is_on_the_bound(bound: float) -> None:
    values = np.array([np.nextafter(np.float32(bound), np.float32(0)), bound, np.nextafter(np.float32(bound), np.float32(1))], "f4")
    assert Threshold("x", minimum=bound).passes(values).tolist() == [False, True, True]
    assert Threshold("x", maximum=bound).passes(values).tolist() == [True, True, False]
    assert Threshold("x", minimum=bound, exclusive=True).passes(values).tolist() == [False, False, True]
    assert Threshold("x", maximum=bound, exclusive=True).passes(values).tolist() == [True, False, False]


def test_the_three_ways_with_a_range() -> None:
    values = np.array([1, 2, 3, 4, np.nan], "f4")
    assert Threshold("x", 2, 3).passes(values).tolist() == [False, True, True, False, False]
    assert Threshold("x", 2, 4, exclusive=True).passes(values).tolist() == [False, False, True, False, False]
    assert Threshold("x", 2, 3, nulls="keep").passes(values).tolist() == [False, True, True, False, True]


def test_booleans_compare_in_sql(tmp_path: Path) -> None:
    pq.write_table(pa.table({"flag": [True, False, None]}), tmp_path / "x.parquet")
    for threshold, rows in ((Threshold("flag", minimum=1), [0]), (Threshold("flag", maximum=0, nulls="keep"), [1, 2])):
        sql = f"SELECT file_row_number FROM read_parquet('{tmp_path}/x.parquet') WHERE {threshold.sql('BOOLEAN')} ORDER BY 1"
        assert [r for (r,) in duckdb.sql(sql).fetchall()] == rows


@pytest.mark.parametrize(
    ("threshold", "text"),
    [
        (Threshold("words", 50, 100_000), "50 ≤ words ≤ 100000"),
        (Threshold("score", minimum=0.65, exclusive=True), "0.65 < score"),
        (Threshold("ratio", maximum=0.1), "ratio ≤ 0.1"),
    ],
)
def test_it_reads_as_a_reader_would_write_it(threshold: Threshold, text: str) -> None:
    assert str(threshold) == text


def test_id_is_the_reason_or_the_signal() -> None:
    assert Threshold("words", 50).id == "words"
    assert Threshold("words", 50, reason="too short").id == "too short"


@given(thresholds())
def test_to_dict_and_back(threshold: Threshold) -> None:
    assert Threshold.from_dict(threshold.to_dict()) == threshold


def test_numpy_numbers_and_text_numbers_become_plain_ones() -> None:
    threshold = Threshold("x", np.float32(0.5), np.int64(7))  # type: ignore[arg-type]
    assert (type(threshold.minimum), type(threshold.maximum)) == (float, int)
    assert Threshold.from_dict({"signal": "x", "maximum": "1e5"}).maximum == 100_000


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Threshold("x"), "The threshold on 'x' has no bound. It needs a minimum, a maximum or both. Add one."),
        (lambda: Threshold("x", 3, 2), "its minimum 3 is above its maximum 2. Swap them."),
        (lambda: Threshold("x", 2, 2, exclusive=True), "nothing lies strictly between 2 and itself"),
        (lambda: Threshold("x", float("nan")), "The minimum of 'x' is nan. It must be a number."),
        (lambda: Threshold("x", maximum=True), "The maximum of 'x' is True. It must be a number."),
        (lambda: Threshold("x", "many"), "The minimum of 'x' is 'many'. It must be a number."),  # type: ignore[arg-type]
        (lambda: Threshold("x", 10**400), "It must be a number."),
        (lambda: Threshold("x", 1, nulls="skip"), "nulls='skip' on 'x' is not known. It is 'drop' or 'keep'."),  # type: ignore[arg-type]
        (lambda: Threshold("x", 1, exclusive="no"), "exclusive='no' on 'x' is not true or false."),  # type: ignore[arg-type]
        (lambda: Threshold("x", 1, reason=5), "reason=5 on 'x' is not text."),  # type: ignore[arg-type]
        (lambda: Threshold("", 1), "A threshold's signal is ''."),
        (lambda: Threshold.from_dict({"signal": 5, "minimum": 1}), "A threshold's signal is 5."),
        (lambda: Threshold.from_dict({"minimum": 1}), "It must be a mapping with 'signal'"),
        (lambda: Threshold.from_dict("gopher_n_words"), "It must be a mapping with 'signal'"),
        (
            lambda: Threshold.from_dict({"signal": "x", "min": 1}),
            "The filter on 'x' has an unknown key 'min'. Keys: signal, minimum, maximum",
        ),
    ],
)
def test_messages(build: Callable[[], Threshold], said: str) -> None:
    with pytest.raises(SelectionError) as raised:
        build()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
