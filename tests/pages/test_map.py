"""The Map page: what it says and offers without embeddings, without a map, with a part of it, and with all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pages.conftest import html
from pages.corpora import HOSTILE, hostile_corpus

from explorer import jobs
from explorer.corpus.corpus import open_corpus
from explorer.selection.filters import Filters
from explorer.selection.region import box, lasso
from explorer.ui import link
from explorer.ui import map as themes_map
from explorer.ui.scatter import NONE, Colours, Drawn, ScatterEvent, decode, decode_asked, draw_order, encode

N = 400


def write_map(folder: Path, *, without: int = 0, names: tuple[str, ...] = ("web", "books"), columns: str = "xyct") -> Path:
    """Documents of four themes in two groups; the last ``without`` of them have no place."""
    rng = np.random.default_rng(1)
    theme = np.arange(N) % 4
    xy = (np.array([(-4, -3), (4, -3), (-4, 3), (4, 3)])[theme] + rng.normal(0, 0.5, (N, 2))).astype("f4")
    lacking = np.arange(N) >= N - without
    data = {
        "text": [f"Document {i} of theme {t}." for i, t in enumerate(theme)],
        "source": [names[i // 4 % len(names)] for i in range(N)],
        "quality": pa.array(rng.normal(0, 1, N), mask=np.arange(N) % 10 == 0),
    }
    for key, name, values in (
        ("x", "map_x", xy[:, 0]),
        ("y", "map_y", xy[:, 1]),
        ("c", "cluster", theme),
        ("t", "cluster_top", theme // 2),
    ):
        if key in columns:
            data[name] = pa.array(values, mask=lacking)
    path = folder / "map.parquet"
    pq.write_table(pa.table(data), path, row_group_size=90)
    return path


@pytest.fixture
def page(app):
    def start(*arguments, given: Filters | None = None, **options):
        at = app(*arguments, **options)
        if given is not None:
            at.query_params["f"] = link.encode(given)
        at.run()
        return at.switch_page("pages/map.py").run()

    return start


def fine(at):
    assert not at.exception
    assert not at.error, [e.value for e in at.error]
    return at


def test_a_corpus_without_rows(page, empty_corpus):
    assert "hold no rows" in html(fine(page(empty_corpus)))


def test_without_embeddings_it_says_what_would_be_here_and_offers_to_make_them(page, small_corpus, monkeypatch):
    started = []
    monkeypatch.setattr(jobs, "start", lambda workspace, line, label: started.append(list(line)))
    at = fine(page(small_corpus))
    assert "0 of 8 documents are embedded" in html(at)
    assert "nothing leaves it" in at.info[0].value
    at.text_input(key="map_embed_model").set_value("static:mine")  # and clicked before the page was drawn again
    at.button(key="map_embed_go").click().run()
    assert started[0][:4] == ["embed", str(small_corpus), "--model", "static:mine"]


def test_the_job_of_another_corpus_of_the_workspace_is_not_this_ones(page, small_corpus, monkeypatch, tmp_path):
    def job(path):
        command = ("embed", str(path), "--model", "m", "--workspace", str(tmp_path / "workspace"))
        return jobs.Job(tmp_path / "workspace" / "jobs" / "1", command, "embed", 0.0, "")

    monkeypatch.setattr(jobs.Job, "state", "running")
    monkeypatch.setattr(jobs, "jobs", lambda workspace: [job("/other/corpus")])
    at = fine(page(small_corpus))
    assert at.button(key="map_embed_go")
    monkeypatch.setattr(jobs, "jobs", lambda workspace: [job(small_corpus)])
    assert not [b for b in at.run().button if b.key == "map_embed_go"]


@pytest.mark.thorough
def test_from_embeddings_to_a_map_with_real_jobs(page, tmp_path):
    """The whole way with a real encoder: embed, draw, search by meaning, and what is embedded later."""
    texts = [f"The doctor vaccinated patient {i} against measles." for i in range(20)]
    texts += [f"The rocket number {i} carried a satellite into orbit." for i in range(20)]
    texts[3] = ""  # embedded, and without a vector
    path, space = tmp_path / "two.parquet", tmp_path / "workspace"
    pq.write_table(pa.table({"text": texts}), path)
    corpus = open_corpus(path, workspace=space)
    corpus.embed(rows=np.arange(30), on_progress=lambda _: None)
    at = fine(page(path, workspace=space))
    assert "<b>30</b> of 40 documents are embedded; the map is not drawn yet" in html(at)
    at.button(key="map_draw").click().run()
    fine(at)
    (job,) = jobs.jobs(corpus.workspace)
    assert job.wait(120) == "done", job.log_tail()
    fine(at.run())
    assert '<b title="29">29</b> documents' in html(at)
    assert "11 documents (27.5\u202f%) have no place" in html(at)
    assert not [b for b in at.button if b.key == "map_draw"]
    titles = [t for level in themes_map.themes(corpus) for t in level.titles]
    assert any("rocket" in t.lower() or "satellite" in t.lower() or "orbit" in t.lower() for t in titles)
    at.text_input(key="map_query").set_value("illness and hospitals").run()
    for _ in range(60):
        if "nearest to" in html(at):
            break
        at.run()
    assert "<b>29</b> nearest to “illness and hospitals”" in html(fine(at))
    corpus.embed(on_progress=lambda _: None)
    fine(at.run())
    assert at.button(key="map_draw").label == "Draw it anew"


@pytest.mark.parametrize("by", ["cluster_top", "cluster", "source", "quality"])
def test_a_map_in_every_colour(page, tmp_path, by):
    at = fine(page(write_map(tmp_path)))
    at.selectbox(key="map_by").set_value(by).run()
    fine(at)
    said = html(at)
    assert '<b>2 themes</b>, 4 finer ones in <b title="400">400</b> documents' in said
    assert "have no place" not in said
    assert '<b title="400">400</b> documents on the map (100\u202f% of the map)' in said


def test_a_part_of_the_corpus_has_a_place(page, tmp_path):
    at = fine(page(write_map(tmp_path, without=60)))
    assert "in <b>340</b> documents" in html(at).replace(' title="340"', "")
    assert "60 documents (15.0\u202f%) have no place" in html(at)


@pytest.mark.parametrize("columns", ["xy", "xyc", "xyt"])
def test_without_clusters_there_is_a_map_all_the_same(page, tmp_path, columns):
    at = fine(page(write_map(tmp_path, columns=columns)))
    themes = {"xy": 0, "xyc": 4, "xyt": 2}[columns]
    assert (f"<b>{themes} themes</b> in" in html(at)) == bool(themes)


def test_a_first_map_is_shown_until_the_refined_one_is_there(page, tmp_path):
    table = pq.read_table(write_map(tmp_path))
    first = table.rename_columns({"map_x": "map_x_pca", "map_y": "map_y_pca"})
    pq.write_table(first, tmp_path / "first.parquet")
    assert "This is a first map" in html(fine(page(tmp_path / "first.parquet")))
    both = first.append_column("map_x", table["map_x"]).append_column("map_y", table["map_y"])
    pq.write_table(both, tmp_path / "both.parquet")
    place = themes_map.Placed(("map_x", "map_y"), np.zeros(1), np.zeros(1), draw_order(np.zeros(1), np.zeros(1)))
    assert place.refined
    assert "This is a first map" not in html(fine(page(tmp_path / "both.parquet")))


def test_keeping_dropping_and_reading_what_is_inside(page, tmp_path):
    path = write_map(tmp_path, without=60)
    at = fine(page(path))
    region = lasso([(0, -6), (6, -6), (6, 0), (0, 0)], view=12)
    corpus = open_corpus(path, workspace=tmp_path / "w")
    inside = region.contains(corpus.columns.numbers("map_x"), corpus.columns.numbers("map_y"))
    assert inside.sum() == 85
    for button, kept in (("map_keep", inside), ("map_drop", ~inside)):
        at.session_state.map_drawn = Drawn(region, "lasso", 5)
        at.session_state.map_shown = "region"
        fine(at.run())
        assert '<b title="85">85</b> documents inside (25.0\u202f% of the map)' in html(at)
        at.button(key=button).click().run()
        fine(at)
        assert corpus.select(at.session_state.filters).mask().tolist() == kept.tolist()
        assert f'<b class="n">{kept.sum()}</b> of 400' in html(at)
        at.button(key="bar_undo").click().run()
        assert not fine(at).session_state.filters
    at.session_state.map_drawn = Drawn(region, "lasso", 9)
    at.session_state.map_shown = "region"
    fine(at.run())
    at.button(key="map_look").click().run()
    assert "Show me." in html(fine(at))
    assert at.session_state.focus.where == region.sql()


def test_a_selection_is_told_apart_on_the_map(page, tmp_path):
    path = write_map(tmp_path)
    given = Filters(where="cluster = 1")
    at = fine(page(path, given=given))
    assert "kept" in at.selectbox(key="map_by").options[-2] or any("kept" in o for o in at.selectbox(key="map_by").options)
    assert "25.0\u202f% kept" in html(at)
    at.selectbox(key="map_by").set_value("kept").run()
    fine(at)
    table = next(d.value for d in at.dataframe if "kept" in d.value.columns)
    assert table["kept"].tolist() == [0.5, 0.0]
    at.button(key="bar_clear").click().run()  # what it is coloured by goes with the filters
    assert fine(at).selectbox(key="map_by").value == "cluster_top"


def test_the_table_of_themes_counts_what_numpy_counts(page, tmp_path):
    path = write_map(tmp_path, without=60)
    at = fine(page(path, given=Filters(where="quality > 0")))
    table = next(d.value for d in at.dataframe if "theme" in d.value.columns)
    quality = np.asarray(pq.read_table(path)["quality"].to_numpy(), float)
    group = np.where(np.arange(N) < N - 60, np.arange(N) % 4 // 2, -1)
    assert table["documents"].tolist() == [170, 170]
    kept = [float(((quality > 0) & (group == g)).sum() / 170) for g in (0, 1)]
    assert table["kept"].tolist() == pytest.approx(kept)
    assert table["share"].tolist() == [170 / 400] * 2
    assert all(sum(s) == pytest.approx(1, abs=0.01) for s in table["sources"])


def test_conditions_on_whole_themes(tmp_path):
    corpus = open_corpus(write_map(tmp_path, without=60), workspace=tmp_path / "w")
    codes = corpus.columns.numbers("cluster")
    picked = np.isin(codes, [1, 3])
    keep, drop = themes_map.keep_themes("cluster", [3, 1]), themes_map.drop_themes("cluster", [3, 1])
    assert keep == "cluster IN (1, 3)"
    assert corpus.select(keep).mask().tolist() == picked.tolist()
    assert corpus.select(drop).mask().tolist() == (~picked).tolist()  # documents without a theme stay
    before = np.zeros(N, bool)
    for part in (0.001, 0.1, 0.25, 0.9):
        mask = corpus.select(themes_map.thin_themes(corpus, "cluster", [1, 3], part)).mask()
        assert mask[~picked].all()
        assert mask[picked].mean() == pytest.approx(part, abs=0.02)
        assert not (before & ~mask).any()  # a larger share holds those of a smaller one
        before = mask & picked


def test_thinning_gives_its_share_of_any_stretch(tmp_path):
    n = 200_000
    pq.write_table(pa.table({"text": ["a"] * n, "cluster": np.zeros(n, "i4")}), tmp_path / "many.parquet", row_group_size=n)
    corpus = open_corpus(tmp_path / "many.parquet", workspace=tmp_path / "w")
    mask = corpus.select(themes_map.thin_themes(corpus, "cluster", [0], 0.03)).mask()
    assert mask.mean() == pytest.approx(0.03, abs=1e-4)
    assert np.abs(mask.reshape(-1, 1000).mean(1) - 0.03).max() < 0.005


def test_a_corpus_of_hostile_names(page, tmp_path):
    table = pq.read_table(hostile_corpus(tmp_path))
    places = {"map_x": [0.0, 1.0, 2.0, None, 4.0], "map_y": [0.0, 1.0, 0.5, 2.0, float("inf")], "cluster": [0, 1, 1, None, 0]}
    for name, values in places.items():
        table = table.append_column(name, pa.array(values))
    path = tmp_path / "placed.parquet"
    pq.write_table(table, path)
    at = fine(page(path))
    assert "<img" not in html(at)
    assert "<script" not in html(at)
    assert "3</b> documents" in html(at)  # no place without both numbers
    at.selectbox(key="map_by").set_value(HOSTILE).run()
    fine(at)
    at.session_state.map_row = 1
    fine(at.run())
    assert "&lt;script&gt;" in html(at)
    assert "<script" not in html(at)


# --- what the browser is sent, and what it may say -------------------------------------------------------------------------


def test_any_first_part_is_a_fair_sample_and_a_sample_holds_every_stratum_in_proportion():
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1, 2], [9000, 900, 100])
    x, y = rng.normal(0, 1, (2, 10_000)).astype("f4")
    x[::50] = np.nan
    everything = draw_order(x, y, strata)
    assert sorted(everything.rows.tolist()) == np.flatnonzero(~np.isnan(x)).tolist()
    assert (everything.x == x[everything.rows]).all()
    assert (np.bincount(strata[everything.rows[:2000]], minlength=3) / 2000).tolist() == pytest.approx([0.9, 0.09, 0.01], abs=0.02)
    few = draw_order(x, y, strata, most=1000)
    assert (few.of, len(few)) == (9800, 1000)
    assert np.bincount(strata[few.rows]).tolist() == pytest.approx([900, 90, 10], abs=1)
    again = draw_order(x, y, strata, most=1000)
    assert again.stamp == few.stamp
    assert (again.rows == few.rows).all()
    assert draw_order(x, y, strata, most=1000, seed=1).stamp != few.stamp


def test_layers_are_bytes_and_stamped():
    points = draw_order(np.array([0.5, 1.5, np.nan]), np.array([2.0, 3.0, 1.0]))
    raw = encode("map", "points", points.xy(), points.stamp)
    size = int.from_bytes(raw[:4], "little")
    assert np.frombuffer(raw[4 + size :], "<f4").reshape(-1, 2).tolist() == points.xy().tolist()
    codes = [encode("map", "codes", np.array(c, np.uint8), points.stamp) for c in ([0, 1], [0, 2], [0, 1])]
    assert codes[0] == codes[2] != codes[1]


def test_values_are_coloured_by_rank(tmp_path):
    table = pa.table({"text": ["a"] * 1000, "v": pa.array([*range(998), 1e30, None], pa.float64()), "few": [0.0, 1.0, 2.0, 5.0] * 250})
    pq.write_table(table, tmp_path / "v.parquet")
    corpus = open_corpus(tmp_path / "v.parquet", workspace=tmp_path / "w")
    colours: Colours = themes_map._by_value(corpus, "v", np.arange(1000))
    assert colours.codes[999] == NONE
    assert (colours.codes[0], colours.codes[998]) == (0, 254)
    assert abs(int(colours.codes[499]) - 127) <= 1  # an outlier takes no colours away
    assert (np.diff(colours.codes[:999].astype(int)) >= 0).all()
    assert colours.ends[0] == "0"
    assert "0.10\u202f% have no value" in colours.foot
    assert set(themes_map._by_value(corpus, "few", np.arange(1000)).codes) == {0, 84, 169, 254}


def test_a_title_stands_where_its_points_lie_closest():
    rng = np.random.default_rng(0)
    two = np.r_[rng.normal(0, 0.3, (700, 2)), rng.normal(9, 0.3, (500, 2))]
    x, y = themes_map._densest(two[:, 0], two[:, 1])
    assert abs(x) < 0.5
    assert abs(y) < 0.5
    assert themes_map._densest(np.array([3.0]), np.array([4.0])) == (3.0, 4.0)


@pytest.fixture
def points():
    return draw_order(np.arange(5.0), np.arange(5.0))


def test_events_of_the_browser(points):
    said = {"sequence": 7, "stamp": points.stamp}
    drawn = decode({**said, "kind": "region", "shape": "lasso", "points": [[0, 0], [2, 0], [1, 2]], "view": 5}, points)
    assert drawn == ScatterEvent("region", lasso([(0, 0), (2, 0), (1, 2)], 5), sequence=7)
    square = decode({**said, "kind": "region", "shape": "box", "points": [[0, 0], [2, 0], [2, 1], [0, 1]], "view": 5}, points)
    assert square.region == box(0, 0, 2, 1, 5)
    assert decode({**said, "kind": "view", "box": [0, 1, 4, 3]}, points).region == box(0, 1, 4, 3, 4)
    assert decode({**said, "kind": "open", "point": 3}, points).point == 3
    assert decode({**said, "kind": "clear"}, points) == ScatterEvent("clear", sequence=7)
    assert decode_asked({"stamp": points.stamp, "points": [0, 4, 5, -1, "1", True, 2.0]}, points) == [0, 4]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        "region",
        {"kind": "region", "shape": "lasso", "points": [[0, 0], [1, 1]], "view": 5},
        {"kind": "region", "shape": "lasso", "points": [[0, 0], [1, float("nan")], [1, 0]], "view": 5},
        {"kind": "region", "shape": "lasso", "points": [[0, 0], [1], [1, 0]], "view": 5},
        {"kind": "region", "shape": "lasso", "points": {"a": 1}, "view": 5},
        {"kind": "region", "shape": "box", "points": [], "view": 5},
        {"kind": "region", "shape": "lasso", "points": [[0, 0], [2, 0], [1, 2]], "view": 0},
        {"kind": "view", "box": [0, 1]},
        {"kind": "view", "box": [0, 0, 0, 0]},
        {"kind": "open", "point": 5},
        {"kind": "open", "point": -1},
        {"kind": "open", "point": "1"},
        {"kind": "drop table"},
        {"kind": "clear", "stamp": "of other points"},
        {"kind": "clear", "sequence": "seven"},
    ],
)
def test_what_the_browser_may_not_say(points, bad):
    raw = {"sequence": 7, "stamp": points.stamp, **bad} if isinstance(bad, dict) else bad
    assert decode(raw, points) is None
    assert decode_asked(raw, points) == []
