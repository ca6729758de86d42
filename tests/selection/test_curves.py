"""The kernels against plain numpy and DuckDB: equal to the last document, on every kind of column."""

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.errors import SelectionError
from explorer.selection.curves import (
    NULL,
    choose_edges,
    code_range,
    decimals,
    histogram,
    leave_one_out,
    passes,
    positions,
    quantise,
)

RNG = np.random.default_rng(7)
COLUMNS = {
    "zero-heavy": np.where(RNG.random(5_000) < 0.9, 0, RNG.beta(1, 6, 5_000)).astype("f4"),
    "constant": np.full(5_000, 3.5, "f4"),
    "all null": np.full(5_000, np.nan, "f4"),
    "empty": np.zeros(0, "f4"),
    "one value": np.array([2.0], "f4"),
    "mostly null": np.where(np.arange(5_000) == 4_321, 0.25, np.nan).astype("f4"),
    "integers": RNG.integers(0, 90, 5_000).astype("f4"),
    "int64": RNG.integers(-5, 100_000, 5_000),
    "heavy tail": RNG.pareto(0.6, 5_000).astype("f4"),
    "infinite": np.concatenate([RNG.normal(size=4_000), [np.inf, -np.inf] * 500]).astype("f4"),
    "only infinite": np.array([np.inf, -np.inf, np.nan] * 100, "f4"),
    "negative zero": np.array([-0.0, 0.0, 1.0, -1.0] * 100, "f4"),
    "float64": RNG.normal(size=5_000),
    "ties at decimals": np.round(RNG.random(5_000), 1).astype("f4"),
}


def test_codes_are_the_number_of_edges_at_or_below() -> None:
    edges = np.array([0.0, 1.0, 2.0], "f4")
    values = np.array([-1, 0, 0.5, 1, 1.5, 2, 9, np.nan, np.inf, -np.inf], "f4")
    assert quantise(values, edges).tolist() == [0, 1, 1, 2, 2, 3, 3, NULL, 3, 0]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("side", ["minimum", "maximum", "both"])
def test_edges_hold_every_kept_value_and_codes_equal_searchsorted(name: str, side: str) -> None:
    values = COLUMNS[name]
    keep = [0.1, 0.8, 0.0, 50, -3.25, 100_000]
    edges = choose_edges(values, keep, side=side)
    exact = values if values.dtype.kind == "f" else values.astype("f8")
    assert len(edges) <= 253
    assert (np.diff(edges) > 0).all()
    codes = quantise(values, edges)
    expected = np.where(np.isnan(exact), NULL, np.searchsorted(edges, exact, side="right"))
    assert np.array_equal(codes, expected)
    for t in keep:
        as_stored = exact.dtype.type(t)
        for exclusive in (False, True):
            low, high = code_range(edges, t, None, exclusive=exclusive)
            assert np.array_equal((codes >= low) & (codes <= high), exact > as_stored if exclusive else exact >= as_stored)
            low, high = code_range(edges, None, t, exclusive=exclusive)
            assert np.array_equal((codes >= low) & (codes <= high), exact < as_stored if exclusive else exact <= as_stored)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("exclusive", [False, True])
def test_every_position_of_a_handle_means_the_value_it_shows(name: str, exclusive: bool) -> None:
    values = COLUMNS[name]
    exact = values if values.dtype.kind == "f" else values.astype("f8")
    edges = choose_edges(values, [0.8, 0.1])
    codes = quantise(values, edges)
    for side in ("minimum", "maximum"):
        shown, at = positions(edges, side, exclusive=exclusive)
        assert len(shown)
        assert 0.8 in shown
        assert 0.1 in shown
        assert (np.diff(shown) > 0).all()
        for t, code in zip(shown, at, strict=True):
            stored = exact.dtype.type(t)
            if side == "minimum":
                assert np.array_equal((codes >= code) & (codes != NULL), exact > stored if exclusive else exact >= stored)
            else:
                assert np.array_equal(codes <= code, exact < stored if exclusive else exact <= stored)


def test_a_handle_has_enough_readable_positions() -> None:
    values = np.random.default_rng(0).lognormal(6, 1.5, 300_000).astype("f4")
    shown, _ = positions(choose_edges(values, [50, 100_000]), "minimum")
    assert len(shown) > 100
    assert sum(len(f"{v:g}") <= 5 and float(f"{v:g}") == v for v in shown) > 90  # 3 digits, not 9
    assert np.abs(np.diff([(values >= np.float32(v)).mean() for v in shown])).max() < 0.02  # no step moves more than 2 %
    one_sided, _ = positions(choose_edges(values, [50], side="minimum"), "minimum")
    assert len(one_sided) > 200


def test_shortest_decimals() -> None:
    assert decimals(np.array([0.1, 0.8, 1e6], "f4")).tolist() == [0.1, 0.8, 1e6]


def test_a_cut_that_is_no_edge_is_refused() -> None:
    edges = choose_edges(np.arange(10_000).astype("f4"), [50])
    with pytest.raises(SelectionError, match=r"A cut at 50\.25 is not an edge .* Pass it to choose_edges in `keep`\."):
        code_range(edges, 50.25)
    with pytest.raises(SelectionError, match="NaN keeps nothing"):
        choose_edges(np.arange(10.0), [float("nan")])
    with pytest.raises(SelectionError, match="200 exact cuts do not fit 254 bins"):
        choose_edges(np.arange(1000.0), list(range(200)))


def test_bounds_at_infinity_are_no_bounds() -> None:
    values = np.array([-np.inf, 0, np.inf, np.nan], "f4")
    edges = choose_edges(values, [0])
    codes = quantise(values, edges)
    low, high = code_range(edges, -np.inf, np.inf)
    assert passes([codes], [low], [high], 4).tolist() == [True, True, True, False]


def test_mismatched_rows_are_refused() -> None:
    codes, group, tokens = [np.zeros(3, "u1")], np.zeros(3, "u1"), np.ones(3, "f4")
    with pytest.raises(SelectionError, match="do not match"):
        leave_one_out(codes, [0], [254], group, tokens[:2], 1)
    with pytest.raises(SelectionError, match="4 rows of uint8 are needed"):
        leave_one_out(codes, [0], [254], np.zeros(4, "u1"), np.ones(4, "f4"), 1)
    with pytest.raises(SelectionError, match="do not fit 1 names"):
        leave_one_out(codes, [0], [254], np.array([0, 0, 1], "u1"), tokens, 1)
    with pytest.raises(SelectionError, match="out of range"):
        leave_one_out(codes, [0], [255], group, tokens, 1)


# --- against numpy ---------------------------------------------------------------------------------------------------------


@st.composite
def tables(draw: st.DrawFn) -> dict:
    """Random columns full of ties and nulls, thresholds that sit on values, and a base."""
    rows, cuts, groups = draw(st.integers(0, 200)), draw(st.integers(0, 5)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pool = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9, 1.0, 0.0, -2.5, 1e6, np.nan, np.inf, -np.inf, 1 / 3], "f8")
    columns = [rng.choice(pool, rows).astype(rng.choice(["f4", "f8"])) for _ in range(cuts)]
    bound = st.one_of(st.none(), st.sampled_from([0.1, 0.3, 0.8, 0.9, 1.0, 0.0, -2.5, 1e6, 0.5]))
    return {
        "columns": columns,
        "bounds": [(draw(bound), draw(bound)) for _ in range(cuts)],
        "exclusive": [draw(st.booleans()) for _ in range(cuts)],
        "null_passes": np.array([draw(st.booleans()) for _ in range(cuts)], bool),
        "group": rng.integers(0, groups, rows).astype(draw(st.sampled_from(["u1", "u2"]))),
        "tokens": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 1000, rows)).astype(draw(st.sampled_from(["f4", "f8"]))),
        "groups": groups,
        "base": draw(st.sampled_from([None, rng.random(rows) < 0.7])),
    }


def plain_failures(table: dict) -> np.ndarray:
    """Bool [cuts, rows], row by row as a person would write it."""
    fails = []
    for column, (minimum, maximum), exclusive, null_passes in zip(
        table["columns"], table["bounds"], table["exclusive"], table["null_passes"], strict=True
    ):
        kind = column.dtype.type
        bad = np.zeros(len(column), bool)
        if minimum is not None:
            bad |= ~(column > kind(minimum) if exclusive else column >= kind(minimum))
        if maximum is not None:
            bad |= ~(column < kind(maximum) if exclusive else column <= kind(maximum))
        fails.append(np.where(np.isnan(column), not null_passes, bad))
    return np.array(fails, bool).reshape(len(fails), len(table["group"]))


@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from([1, 2, 3]))
@pytest.mark.thorough
def test_curves_funnel_and_mask_equal_plain_numpy(table: dict, threads: int) -> None:
    keep = [[t for t in bounds if t is not None] for bounds in table["bounds"]]
    edges = [choose_edges(c, k) for c, k in zip(table["columns"], keep, strict=True)]
    codes = [quantise(c, e) for c, e in zip(table["columns"], edges, strict=True)]
    ranges = [code_range(e, lo, hi, exclusive=x) for e, (lo, hi), x in zip(edges, table["bounds"], table["exclusive"], strict=True)]
    low, high = [r[0] for r in ranges], [r[1] for r in ranges]
    group, tokens, groups, base = table["group"], table["tokens"], table["groups"], table["base"]
    common = {"base": base, "null_passes": table["null_passes"], "threads": threads}

    fails = plain_failures(table)
    admitted = np.ones(len(group), bool) if base is None else base
    weight = np.where(np.isnan(tokens), 0, tokens).astype("f8")
    kept = admitted & ~fails.any(0)

    assert np.array_equal(passes(codes, low, high, len(group), **common), kept)

    curves = leave_one_out(codes, low, high, group, tokens, groups, **common)
    for s in range(groups):
        assert curves.kept_documents[s] == (kept & (group == s)).sum()
        assert curves.kept_tokens[s] == weight[kept & (group == s)].sum()
        assert curves.total_documents[s] == (admitted & (group == s)).sum()
        assert curves.total_tokens[s] == weight[admitted & (group == s)].sum()
    for k in range(len(codes)):
        others = admitted & ~np.delete(fails, k, axis=0).any(0)
        for code in np.unique(codes[k]):
            for s in range(groups):
                here = (codes[k] == code) & (group == s)
                assert curves.documents[k, code, s] == (here & others).sum()
                assert curves.tokens[k, code, s] == weight[here & others].sum()
                assert curves.unconditioned[k].documents[code, s] == (here & admitted).sum()
        assert curves.documents[k].sum() == others.sum()
        assert curves.only_this[0][k] == (others & fails[k]).sum()
        assert curves.only_this[1][k] == weight[others & fails[k]].sum()
        assert curves.alone[0][k] == (admitted & fails[k]).sum()
        assert curves.alone[1][k] == weight[admitted & fails[k]].sum()
        assert curves.nulls[k] == (admitted & np.isnan(table["columns"][k])).sum()


@settings(max_examples=20, deadline=None)
@given(tables())
def test_a_curve_predicts_every_position_it_can_be_dragged_to(table: dict) -> None:
    """What the page shows while a handle moves is what a new pass with that cut counts."""
    columns = table["columns"]
    edges = [choose_edges(c, [0.3, 0.8]) for c in columns]
    codes = [quantise(c, e) for c, e in zip(columns, edges, strict=True)]
    low = [code_range(e, 0.3)[0] for e in edges]
    high = [code_range(e, None, 0.8)[1] for e in edges]
    group, tokens, groups = table["group"], table["tokens"], table["groups"]
    curves = leave_one_out(codes, low, high, group, tokens, groups)
    for k in range(len(codes)):
        for _, code in zip(*positions(edges[k], "minimum"), strict=True):
            moved = list(low)
            moved[k] = int(code)
            after = leave_one_out(codes, moved, high, group, tokens, groups, unconditioned=curves.unconditioned)
            assert np.array_equal(after.kept_documents, curves.documents[k, code : high[k] + 1].sum(0))
            assert np.array_equal(after.kept_tokens, curves.tokens[k, code : high[k] + 1].sum(0))


# --- against DuckDB --------------------------------------------------------------------------------------------------------


def test_counts_equal_duckdb_over_many_chunks() -> None:
    rows, groups = 300_001, 7
    rng = np.random.default_rng(3)
    words = np.round(rng.lognormal(5, 1.5, rows)).astype("f4")
    alpha = np.where(rng.random(rows) < 0.02, np.nan, np.round(rng.beta(8, 2, rows), 2)).astype("f4")
    dup = np.where(rng.random(rows) < 0.6, 0, rng.beta(1, 6, rows)).astype("f4")
    source, tokens = rng.integers(0, groups, rows).astype("u1"), np.round(rng.lognormal(5.5, 1.2, rows)).astype("f4")
    table = {"words": words, "alpha": alpha, "dup": dup, "source": source, "tokens": tokens}
    con = duckdb.connect()
    con.register("frame", table)
    con.execute("create table t as select words, case when isnan(alpha) then null else alpha end alpha, dup, source, tokens from frame")
    bounds = {"words": (50, 100_000), "alpha": (0.8, None), "dup": (None, 0.1)}
    sql = {"words": "words between 50::float and 100000::float", "alpha": "alpha >= 0.8::float", "dup": "dup <= 0.1::float"}
    edges = {n: choose_edges(table[n], [b for b in bounds[n] if b is not None]) for n in bounds}
    codes = [quantise(table[n], edges[n]) for n in bounds]
    low, high = zip(*(code_range(edges[n], *bounds[n]) for n in bounds), strict=True)
    curves = leave_one_out(codes, low, high, source, tokens, groups)

    def ask(where: str) -> list[tuple]:
        return con.execute(f"select source, count(*), sum(tokens::double) from t where {where} group by 1 order by 1").fetchall()

    assert [(s, int(curves.kept_documents[s]), float(curves.kept_tokens[s])) for s in range(groups)] == ask(" and ".join(sql.values()))
    for k, name in enumerate(bounds):
        others = " and ".join(v for n, v in sql.items() if n != name)
        fails = f"({sql[name]}) is not true"
        assert curves.only_this[0][k] == sum(r[1] for r in ask(f"{others} and {fails}"))
        assert curves.alone[1][k] == sum(r[2] for r in ask(fails))


def test_token_sums_are_exact_beyond_float32() -> None:
    tokens = np.full(200_000, 16_777_215, "f4")
    sums = histogram(np.zeros(200_000, "u1"), np.zeros(200_000, "u1"), tokens, 1)
    assert sums.tokens[0, 0] == 200_000 * 16_777_215


def test_many_threads_at_once_agree() -> None:
    """Sessions of an app refresh at the same time; numba's own threading layer would abort the process here."""
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(1)
    codes = [rng.integers(0, 255, 200_000).astype("u1") for _ in range(3)]
    group, tokens = rng.integers(0, 3, 200_000).astype("u1"), np.ones(200_000, "f4")

    def once(_: int) -> int:
        return int(leave_one_out(codes, [20] * 3, [200] * 3, group, tokens, 3, threads=2).kept_documents.sum())

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(once, range(24)))) == 1
