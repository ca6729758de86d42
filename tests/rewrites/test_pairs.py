"""Rewrites joined with their originals: what belongs together, what does not and why, and that a pair is scored like a document."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import explorer as ex
from explorer.engine.local import score_texts
from explorer.errors import ColumnNotFoundError, CorpusError, SignalError
from explorer.registry import find
from explorer.rewrites.pairs import Pairs, open_pairs
from explorer.rewrites.place import Place

ORIGINALS = {
    "id": ["a", "b", "c", "b", None],
    "text": ["The first document.", "The second one.", "A third, longer document.", "A second with the same id.", "No id."],
}
REWRITES = {
    "original_id": ["b", "a", "zzz", None, "a", "c"],
    "rewrite": ["Second.", "First document!", "Of nothing.", "Without id.", "The first document, again.", None],
    "method": ["wrap", "wrap", "wrap", "repro", "repro", "repro"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "originals").mkdir()
    pq.write_table(pa.table(ORIGINALS).slice(0, 2), tmp_path / "originals" / "0.parquet")
    pq.write_table(pa.table(ORIGINALS).slice(2), tmp_path / "originals" / "1.parquet", row_group_size=1)
    pq.write_table(pa.table(REWRITES), tmp_path / "rewrites.parquet", row_group_size=4)
    return tmp_path


def opened(folder: Path, **how: object) -> Pairs:
    return open_pairs(folder / "originals", folder / "rewrites.parquet", workspace=folder / "w", **how)  # type: ignore[arg-type]


def test_sides_that_are_exchanged_are_asked_about(folder: Path) -> None:
    swapped = open_pairs(
        folder / "rewrites.parquet",
        folder / "originals" / "0.parquet",
        workspace=folder / "w",
        on=("original_id", "id"),
        original="rewrite",
    )
    assert "are both sides exchanged?" in swapped.match.report.said()
    assert "exchanged" not in opened(folder).match.report.said()


def test_rewrites_find_their_originals(folder: Path) -> None:
    pairs = opened(folder)
    assert pairs.on == ("id", "original_id")
    assert pairs.match.rows.tolist() == [1, 0, -1, -1, 0, 2]
    assert pairs.texts(range(6)) == [
        ("The second one.", "Second."),
        ("The first document.", "First document!"),
        (None, "Of nothing."),
        (None, "Without id."),
        ("The first document.", "The first document, again."),
        ("A third, longer document.", None),
    ]
    said = pairs.match.report.said()
    assert said == (
        "4 of 6 rewrites have an original; 1 have no id; 1 have an id that no original has ('zzz'); "
        "1 originals repeat an id; the first of each was taken; 2 of 5 originals were not rewritten; up to 2 rewrites an original"
    )


def test_the_match_is_kept_and_made_anew_when_the_originals_change(folder: Path) -> None:
    first = opened(folder)
    kept = list((folder / "w" / "pairs").glob("*.parquet"))
    assert len(kept) == 1
    kept[0].touch()
    again = opened(folder)
    assert again.match.rows.tolist() == first.match.rows.tolist()
    assert again.match.report == first.match.report
    kept[0].write_bytes(b"half")
    assert opened(folder).match.report == first.match.report
    pq.write_table(pa.table({"id": ["zzz"], "text": ["Now there."]}), folder / "originals" / "2.parquet")
    changed = opened(folder)
    assert changed.match.rows.tolist() == [1, 0, 5, -1, 0, 2]
    assert changed.pairing != first.pairing


def test_a_check_is_null_where_a_text_is_missing_and_stays_with_its_originals(folder: Path) -> None:
    pairs = opened(folder)
    report = pairs.score("size")
    assert report.computed == 6
    values = pairs.columns.numbers("len_ratio_bytes")
    expected = [7 / 15, 15 / 19, np.nan, np.nan, 26 / 19, np.nan]
    assert values == pytest.approx(expected, rel=1e-6, nan_ok=True)
    assert opened(folder).score("size").reused == 6
    pq.write_table(pa.table({"id": ["zzz"], "text": ["Now there."]}), folder / "originals" / "2.parquet")
    changed = opened(folder)
    assert "len_ratio_bytes" not in changed.coverage().columns(), "scores against other originals are not these pairs' scores"
    assert changed.score("size").computed == 6
    assert changed.columns.numbers("len_ratio_bytes")[2] == pytest.approx(11 / 10)


def test_chosen_pairs_are_scored_alone(folder: Path) -> None:
    pairs = opened(folder)
    assert pairs.score("size", rows=[4, 1]).computed == 2
    assert np.flatnonzero(~np.isnan(pairs.columns.numbers("len_ratio_bytes"))).tolist() == [1, 4]
    pairs.score("size")
    assert np.flatnonzero(~np.isnan(pairs.columns.numbers("len_ratio_bytes"))).tolist() == [0, 1, 4]


def test_selections_and_sql_see_pairs_as_documents(folder: Path) -> None:
    pairs = opened(folder)
    pairs.score("size")
    kept = pairs.select("len_ratio_bytes > 0.5")
    assert kept.rows().tolist() == [1, 4]
    assert set(kept.summary().sources["source"]) == {"wrap", "repro"}, "methods are the sources of rewrites"
    assert pairs.sql("SELECT count(len_ratio_bytes) AS n FROM corpus")["n"][0] == 3


def test_both_texts_in_a_row(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"raw_text": ["one two", None], "rephrased": ["two", "x"], "model": ["m", "m"]}), path)
    pairs = open_pairs(path, workspace=tmp_path / "w")
    assert (pairs.roles.text, pairs.roles.original, pairs.roles.source) == ("rephrased", "raw_text", "model")
    assert pairs.texts([0, 1]) == [("one two", "two"), (None, "x")]
    pairs.score("size")
    assert pairs.columns.numbers("len_ratio_bytes").tolist() == pytest.approx([3 / 7, np.nan], nan_ok=True)
    assert isinstance(Place((str(path),)).open(), Pairs), "a file with both texts is opened as pairs"


def test_texts_of_unknown_names_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"left": ["one two"], "right": ["two"]}), path)
    with pytest.raises(ColumnNotFoundError, match=r"Name it: original=COLUMN \(command: --original COLUMN\)"):
        open_pairs(path, workspace=tmp_path / "w")
    pairs = open_pairs(path, original="left", rewrite="right", workspace=tmp_path / "w")
    assert pairs.texts([0]) == [("one two", "two")]


def test_columns_called_otherwise(folder: Path) -> None:
    rewrites = pa.table({"of": ["a"], "said": ["First."]})
    pq.write_table(rewrites, folder / "other.parquet")
    with pytest.raises(ColumnNotFoundError, match=r"Column 'id' is not in the rewrites. Columns: 'of', 'said'"):
        open_pairs(folder / "originals", folder / "other.parquet", workspace=folder / "w")
    pairs = open_pairs(folder / "originals", folder / "other.parquet", on=("id", "of"), rewrite="said", workspace=folder / "w")
    assert pairs.texts([0]) == [("The first document.", "First.")]
    with pytest.raises(ColumnNotFoundError, match="Column 'nowhere' is not in the originals"):
        opened(folder, on=("nowhere", "original_id"))


def test_nothing_matches(folder: Path) -> None:
    pq.write_table(pa.table({"id": ["q", "r"], "rewrite": ["x", "y"]}), folder / "others.parquet")
    with pytest.raises(CorpusError, match=r"0 of 2 rewrites have an original: .* have an id that no original has \('q', 'r'\)"):
        open_pairs(folder / "originals", folder / "others.parquet", workspace=folder / "w")


def test_ids_of_other_types_are_compared_as_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": pa.array([1, 2], pa.int64()), "text": ["one", "two"]}), tmp_path / "o.parquet")
    pq.write_table(pa.table({"id": ["2", "1"], "rewrite": ["zwei", "eins"]}), tmp_path / "r.parquet")
    assert open_pairs(tmp_path / "o.parquet", tmp_path / "r.parquet", workspace=tmp_path / "w").match.rows.tolist() == [1, 0]


def test_checks_need_originals(folder: Path) -> None:
    corpus = ex.open_corpus(folder / "originals", workspace=folder / "w")
    with pytest.raises(CorpusError, match="Open it as pairs"):
        corpus.score("size")
    with pytest.raises(SignalError, match="Give them too"):
        score_texts(["a"], ["size"])
    assert score_texts(["ab", None], ["size"], originals=["a", "b"])["len_ratio_bytes"].to_pylist() == [2.0, None]


@pytest.mark.parametrize("given", [{}, {"rewrite": "rewrite", "method": None}, {"id": "original_id"}])
def test_a_place_opens_the_same_pairs(folder: Path, given: dict[str, str | None]) -> None:
    pairs = opened(folder, **given)
    place = Place.of(pairs)
    again = place.open()
    assert (again.roles, again.fingerprint) == (pairs.roles, pairs.fingerprint)
    room: dict[str, object] = {"ex": ex}
    assert eval(place.python(), room).fingerprint == pairs.fingerprint  # type: ignore[attr-defined]


def test_by_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from explorer.cli import run

    words = [
        str(folder / "rewrites.parquet"),
        "--originals",
        str(folder / "originals"),
        "--on",
        "id=original_id",
        "--workspace",
        str(folder / "w"),
    ]
    assert run(["score", *words, "-s", "audit"]) == 0
    assert "4 of 6 rewrites have an original" in capsys.readouterr().err
    assert opened(folder).coverage().scored_rows("len_ratio_bytes") == 6


def test_the_audit_is_the_default_of_pairs(folder: Path) -> None:
    assert find("size").audit
    assert {"size", "flags", "copying"} <= set(opened(folder).score().families)
