"""Regions of the map: SQL and numpy keep the same documents, and a simplified lasso stays where it was drawn."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.corpus.corpus import open_corpus
from explorer.errors import SelectionError
from explorer.selection.filters import Filters, as_filters
from explorer.selection.region import MOST_VERTICES, Polygon, box, lasso, simplify
from explorer.ui import link

coordinate = st.floats(-9, 9, allow_nan=False).map(lambda v: round(v, 3))
drawings = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=60)


def by_sql(x, y, predicate):
    """Which rows DuckDB keeps."""
    table = pa.table({"map_x": pa.array(x, from_pandas=True), "map_y": pa.array(y, from_pandas=True)})
    with duckdb.connect() as connection:
        connection.register("points", table)
        return connection.execute(f"SELECT coalesce({predicate}, false) AS kept FROM points").fetchnumpy()["kept"].astype(bool)


def inside_by_hand(x, y, vertices):
    """The even-odd rule, one point and one edge at a time, in exact fractions."""
    from fractions import Fraction as F

    found = []
    for px, py in zip(x.tolist(), y.tolist(), strict=True):
        odd = False
        for (x1, y1), (x2, y2) in zip(vertices, vertices[1:] + vertices[:1], strict=True):
            if (py < y1) != (py < y2):
                odd ^= F(px) < F(x1) + (F(py) - F(y1)) * (F(x2) - F(x1)) / (F(y2) - F(y1))
        found.append(odd)
    return np.array(found)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawings, st.integers(0, 2**32 - 1), st.sampled_from(["f4", "f8"]))
def test_sql_and_numpy_agree_on_any_polygon(points, seed, kind):
    try:
        region = lasso(points, view=18.0)
    except SelectionError:
        return  # fewer than three different points
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-10, 10, (2, 400)).astype(kind)
    vertices = np.array(region.vertices)
    x[: len(vertices)], y[: len(vertices)] = vertices.T  # on the corners
    y[60:120] = rng.choice(vertices[:, 1], 60)  # level with a corner, where rays meet two edges
    x[120:130], y[125:135] = np.nan, np.nan
    kept = region.contains(x, y)
    assert kept.tolist() == by_sql(x, y, region.sql()).tolist()
    assert not kept[120:135].any()
    clear = np.r_[135:400]
    by_hand = inside_by_hand(x[clear].astype("f8"), y[clear].astype("f8"), region.vertices)
    assert (kept[clear] == by_hand).mean() > 0.995  # slopes are written with ten digits: a point may lie within 1e-9 of an edge


@settings(max_examples=40, deadline=None)
@given(st.tuples(coordinate, coordinate, coordinate, coordinate), st.integers(0, 2**32 - 1))
def test_a_box_is_the_same_in_both_and_holds_its_sides(sides, seed):
    region = box(*sides, view=18.0)
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-10, 10, (2, 200)).astype("f4")
    x[:4], y[:4] = np.array(region.outline(), "f8").T
    x[10] = np.nan
    kept = region.contains(x, y)
    assert kept.tolist() == by_sql(x, y, region.sql()).tolist()
    x8, y8 = np.array(region.outline(), "f8").T
    assert region.contains(x8, y8).all()
    assert by_sql(x8, y8, region.sql()).all()


def test_what_a_lasso_encloses_twice_is_outside():
    angles = np.arange(5) * 4 * np.pi / 5  # a five-pointed star in one stroke
    star = lasso(np.c_[np.cos(angles), np.sin(angles)].tolist(), view=2.0)
    middle, arm, away = star.contains(np.array([0.0, 0.6, 0.9]), np.array([0.0, 0.0, 0.9]))
    assert (middle, arm, away) == (False, True, False)


@pytest.mark.parametrize("view", [0.02, 1.0, 18.0, 4000.0])
def test_a_hand_drawn_line_is_followed_closely_with_few_vertices(view):
    angles = np.linspace(0, 2 * np.pi, 700, endpoint=False)
    wobble = 0.3 + 0.04 * np.sin(3 * angles) + 0.01 * np.sin(11 * angles)
    drawn = view * np.c_[5 + wobble * np.cos(angles), -3 + wobble * np.sin(angles)]
    region = lasso(drawn.tolist(), view)
    assert 8 < len(region.vertices) <= MOST_VERTICES
    assert _furthest(drawn, np.array(region.vertices)) < 0.005 * view
    assert len(region.sql()) < 6000


def test_a_scribble_never_has_more_than_48_vertices():
    rng = np.random.default_rng(0)
    region = lasso(rng.uniform(0, 1, (4000, 2)).tolist(), view=1.0)
    assert len(region.vertices) == MOST_VERTICES
    assert len(region.sql()) < 6000


def _furthest(drawn, vertices):
    """The largest distance of a drawn point to the polygon's outline."""
    ends = np.roll(vertices, -1, axis=0)
    along = ends - vertices
    part = np.clip(((drawn[:, None] - vertices) * along).sum(2) / (along**2).sum(1), 0, 1)
    return np.sqrt(((drawn[:, None] - vertices - part[..., None] * along) ** 2).sum(2)).min(1).max()


def test_simplifying_keeps_corners_and_drops_what_lies_on_a_side():
    side = np.linspace(0, 1, 21)[:-1]
    square = np.r_[np.c_[side, 0 * side], np.c_[0 * side + 1, side], np.c_[1 - side, 0 * side + 1], np.c_[0 * side, 1 - side]]
    assert simplify(square, 0.01, 48).tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


@pytest.mark.parametrize("points", [[], [(0, 0)], [(0, 0), (0, 0), (0, 0)], [(0, 0), (1, 1)]])
def test_what_encloses_nothing_is_refused(points):
    with pytest.raises(SelectionError, match=r"encloses nothing.*Draw around an area"):
        lasso(points, view=1.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(SelectionError, match="no finite number"):
        lasso([(0, 0), (1, bad), (1, 0)], view=1.0)
    with pytest.raises(SelectionError, match="no finite number"):
        box(0, 0, bad, 1, view=1.0)
    with pytest.raises(SelectionError, match="no finite number"):
        lasso([(0, 0), (1, 1), (1, 0)], view=bad)


def test_a_column_may_have_any_name():
    region = Polygon(((0.0, 0.0), (2.0, 0.0), (1.0, 2.0)), "Über x", 'a"b')
    assert '"Über x" BETWEEN 0.0e0 AND 2.0e0' in region.sql()
    assert '"a""b"<2.0e0' in region.sql()


def test_a_lasso_is_a_selection_like_any_other(tmp_path):
    rng = np.random.default_rng(3)
    x, y = rng.normal(0, 3, (2, 5000)).astype("f4")
    x[17] = np.nan
    path = tmp_path / "points.parquet"
    pq.write_table(pa.table({"text": ["a"] * 5000, "map_x": pa.array(x, from_pandas=True), "map_y": y}), path, row_group_size=700)
    corpus = open_corpus(path, workspace=tmp_path / "w")
    angles = np.linspace(0, 2 * np.pi, 40)
    region = lasso(np.c_[1 + 2 * np.cos(angles), np.sin(angles) * 3].tolist(), view=12.0)
    expected = region.contains(corpus.columns.numbers("map_x"), corpus.columns.numbers("map_y"))
    inside = Filters() | as_filters(region.sql())
    outside = Filters() | as_filters(f"({region.sql()}) IS NOT TRUE")
    assert 0 < expected.sum() < 5000
    assert corpus.select(inside).mask().tolist() == expected.tolist()
    assert corpus.select(outside).mask().tolist() == (~expected).tolist()
    assert link.decode(link.encode(inside)) == inside
    assert Filters.from_yaml(inside.to_yaml()) == inside
