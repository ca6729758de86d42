"""Original, rewrite, both or neither; gain; and what the audit says of groups and of rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.errors import CorpusError, SignalError
from explorer.rewrites.decisions import decide
from explorer.rewrites.figures import breakdown, groups, possible, rules
from explorer.rewrites.pairs import Pairs, open_pairs


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    originals = {
        "id": ["a", "b", "c", "d"],
        "text": ["one two three", "four", "five six", "seven"],
        "source": ["x", "x", "y", "y"],
        "edu": [1.0, 2.0, 3.0, 4.0],
    }
    rewrites = {
        "pair_id": ["p0", "p1", "p2", "p3", "p4"],
        "id": ["a", "a", "b", "c", "zz"],
        "rewrite": ["one two", "I'm sorry, but I can't help.", "", "five six", "x"],
        "method": ["m", "n", "m", "n", "m"],
        "edu": [2.0, None, 2.5, 3.0, 9.0],
    }
    pq.write_table(pa.table(originals), tmp_path / "o.parquet")
    pq.write_table(pa.table(rewrites), tmp_path / "r.parquet")
    return open_pairs(tmp_path / "o.parquet", tmp_path / "r.parquet", on="id", workspace=tmp_path / "w")


PASSING = np.array([True, True, False, False, True])


def test_the_selection_decides_where_nobody_has(pairs: Pairs) -> None:
    found = decide(pairs, PASSING)
    assert found.pairs["accepted"].to_list() == [1, 1, 0, 0, 0]
    assert found.pairs["original"].to_list() == ["a", "a", "b", "c", None]
    assert found.pairs["reason"][4] == "has no original"
    assert found.documents.select("id", "decision", "rewrites", "reason").rows() == [
        ("a", "rewrite", 2, "a rewrite is accepted"),
        ("b", "original", 0, "no rewrite is accepted"),
        ("c", "original", 0, "no rewrite is accepted"),
        ("d", "original", 0, "was not rewritten"),
    ]
    assert found.counts == {"original": 3, "rewrite": 1, "both": 0, "drop": 0}


def test_a_verdict_goes_before_the_selection(pairs: Pairs) -> None:
    verdicts = pl.DataFrame({"row": [1, 3, 2], "label": ["reject", "accept", "not sure"]})
    found = decide(pairs, PASSING, verdicts, accepted="both", rejected="drop", best="edu")
    assert found.pairs["accepted"].to_list() == [1, 0, 0, 1, 0]
    assert found.pairs["reason"].to_list()[:2] == ["passes the filters", "rejected by a person"]
    assert found.documents["decision"].to_list() == ["both", "drop", "both", "drop"]


def test_of_several_the_best_stays(pairs: Pairs) -> None:
    found = decide(pairs, PASSING, best="edu")
    assert found.pairs["accepted"].to_list() == [1, 0, 0, 0, 0], "an undefined score is the lowest"
    assert found.pairs["reason"][1] == "another rewrite has a higher edu"


def test_decisions_become_signals_of_both_sides(pairs: Pairs, tmp_path: Path) -> None:
    originals, rewrites = decide(pairs, PASSING).save(tmp_path / "decided")
    name = "imported:kept"
    pairs.score(name, parameters={name: {"table": str(rewrites)}})
    pairs.originals.score(name, parameters={name: {"table": str(originals)}})
    assert pairs.select("imported_kept = 1").rows().tolist() == [0, 1]
    assert pairs.originals.select("imported_kept = 1").rows().tolist() == [1, 2, 3]


def test_equal_texts_of_different_documents_are_decided_apart(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["one", "two"]}), tmp_path / "o.parquet")
    pq.write_table(pa.table({"id": ["a", "b", "b"], "rewrite": ["Sorry.", "Sorry.", "two \xe9"]}), tmp_path / "r.parquet")
    pairs = open_pairs(tmp_path / "o.parquet", tmp_path / "r.parquet", on="id", workspace=tmp_path / "w")
    found = decide(pairs, np.array([True, True, False]), pl.DataFrame({"row": [0], "label": ["reject"]}))
    originals, rewrites = found.save(tmp_path / "decided")
    for corpus, table in ((pairs, rewrites), (pairs.originals, originals)):
        corpus.score("imported:kept", parameters={"imported:kept": {"table": str(table), "column": "keep", "on": "row"}})
    assert pairs.select("imported_kept = 1").rows().tolist() == [1]
    assert pairs.originals.select("imported_kept = 1").rows().tolist() == [0]


def test_checks_are_never_written_over_a_source(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(CorpusError, match="Sources are never written to"):
        pairs.write_checks(tmp_path / "sub" / ".." / "r.parquet")
    pairs.score("size")
    pairs.write_checks(tmp_path / "checks.parquet")
    table = pl.read_parquet(tmp_path / "checks.parquet")
    assert table["_row"].to_list() == [0, 1, 2, 3, 4]
    assert "rewrite" not in table.columns
    assert table["len_ratio_bytes"].null_count() == 1


def test_a_selection_of_other_pairs_is_refused(pairs: Pairs) -> None:
    with pytest.raises(CorpusError, match="of 2 pairs, these are 5"):
        decide(pairs, np.ones(2, bool))


def test_gain_by_a_column_of_both_files(pairs: Pairs) -> None:
    pairs.score("gain", parameters={"gain": {"by": "edu"}})
    assert pairs.columns.numbers("quality_gain").tolist() == pytest.approx([1.0, np.nan, 0.5, 0.0, np.nan], nan_ok=True)
    assert pairs.columns.numbers("quality_original").tolist() == pytest.approx([1, 1, 2, 3, np.nan], nan_ok=True)


def test_gain_by_a_signal_scores_both_sides(pairs: Pairs) -> None:
    pairs.score("gain:size", parameters={"gain:size": {"by": "n_chars"}})
    assert pairs.columns.numbers("quality_gain_size").tolist() == pytest.approx([-6, 15, -4, 0, np.nan], nan_ok=True)
    assert pairs.originals.coverage().scored_rows("n_chars") == 4
    with pytest.raises(SignalError, match="No scorer is named"):
        pairs.score("gain")


def test_groups_and_their_faults(pairs: Pairs) -> None:
    pairs.score(["size", "flags", "copying"])
    assert possible(pairs) == ["method", "original source", "length"]
    codes, labels = groups(pairs, "original source")
    assert [labels[c] if c >= 0 else None for c in codes] == ["x", "x", "x", "y", None]
    found = breakdown(pairs, "method", signal="rouge1_recall")
    assert found["group"].to_list() == ["m", "n"]
    assert found["pairs"].to_list() == [3, 2]
    assert found["flag_refusal"].to_list() == [0.0, 0.5]
    assert found["flag_empty"].to_list() == [0.5, 0.0], "the pair without an original was not looked at"
    assert found["scored"].to_list() == [2, 2]
    assert found["mean"].to_list() == pytest.approx([(2 / 3 + 0) / 2, 0.5])
    assert breakdown(pairs, "length")["group"].to_list() == ["up to 50 words"]


def test_rules_are_measured_on_verdicts(pairs: Pairs) -> None:
    pairs.score(["flags"])
    verdicts = pl.DataFrame({"row": [0, 1, 2, 3], "label": ["accept", "reject", "reject", "accept"]})
    found = {r.rule: r for r in rules(pairs, verdicts)}
    refusal, copy = found["flag_refusal > 0"], found["flag_copy > 0"]
    assert (refusal.judged, refusal.up, refusal.rejected, refusal.all_rejected) == (4, 1, 1, 2)
    assert refusal.precision == pytest.approx((1.0, 0.2065, 1.0), abs=1e-3)
    assert refusal.recall[0] == 0.5
    assert copy.precision[0] == 0.0
    assert "flag_looping > 0" not in found
