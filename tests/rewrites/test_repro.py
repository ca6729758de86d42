"""RePro's reward: the published examples, what is undefined, and that the family reads what was scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.engine.local import score_texts
from explorer.rewrites.checks.repro import of_originals, raw_threshold, repro_reward
from explorer.rewrites.pairs import Pairs, open_pairs
from explorer.sample import sample_corpus_files, sample_rewrites_file

# DataMan of original and rewrite, BERTScore, same structure, tokens of original and rewrite -> reward
KNOWN = [
    ((3, 5, 0.8, 1, 100, 110), 9),
    ((3, 5, 0.6, 1, 100, 110), 8),
    ((3, 5, 0.8, 0, 100, 126), 7),
    ((4, 4, 0.65, 1, 100, 125), 3),
    ((2, 5, 0.3, 0, 100, 300), 9),  # bought: all three tests failed
    ((4, 3, 0.9, 1, 100, 40), 0),
]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("given", "reward"), KNOWN)
def test_published_examples(given: tuple[float, ...], reward: float, kind: type) -> None:
    before, after, f1, same, tokens, new_tokens = (np.array([v], kind) for v in given)
    assert repro_reward(before, after, f1, same, new_tokens / tokens)["reward"].tolist() == [reward]


def test_the_parts_tell_apart_what_the_sum_does_not() -> None:
    columns = np.array([g for g, _ in KNOWN], float).T
    found = repro_reward(*columns[:4], columns[5] / columns[4])
    assert found["reward"][0] == found["reward"][4] == 9
    assert found["dataman_gain"].tolist() == [2, 2, 2, 0, 3, -1]
    assert found["bertscore_ok"].tolist() == [1, 0, 1, 1, 0, 1]
    assert found["structure_ok"].tolist() == [1, 1, 0, 1, 0, 1]
    assert found["length_ok"].tolist() == [1, 1, 0, 1, 0, 1]


def test_an_undefined_part_is_undefined_and_so_is_the_sum() -> None:
    ones, nan = np.ones(5), np.nan
    found = repro_reward(
        np.array([nan, 1, 1, 1, 1]), ones, np.array([1, nan, 1, 1, 1]), np.array([1, 1, nan, 1, 1]), np.array([1, 1, 1, nan, 1])
    )
    assert np.isnan(found["reward"]).tolist() == [True] * 4 + [False]
    assert [int(np.isnan(found[p]).sum()) for p in ("dataman_gain", "bertscore_ok", "structure_ok", "length_ok")] == [1] * 4
    assert repro_reward(*np.zeros((5, 0)))["reward"].shape == (0,)


def test_what_the_threshold_means_on_other_scales() -> None:
    assert raw_threshold(0.65, 0.83122575) == pytest.approx(0.94093, abs=1e-5)  # roberta-large, layer 17
    assert raw_threshold(0.65, 0.45173016) == pytest.approx(0.80811, abs=1e-5)  # deberta-large-mnli, layer 18
    assert raw_threshold(0.0, 0.3) == 0.3


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    originals = {"id": ["a", "b"], "text": ["one two", "three"], "dataman_overall": [3, 2]}
    rewrites = {
        "id": ["a", "b", "zz", "a"],
        "rewrite": ["x", "y", "z", None],
        "dataman_overall": [5, 4, 5, 5],
        "f1": [0.8, 0.3, 0.9, 0.9],
        "same": [1, 0, 1, 1],
        "ratio": [0.4, 3.0, 1.0, None],
    }
    pq.write_table(pa.table(originals), tmp_path / "o.parquet")
    pq.write_table(pa.table(rewrites), tmp_path / "r.parquet")
    return open_pairs(tmp_path / "o.parquet", tmp_path / "r.parquet", workspace=tmp_path / "w")


def test_the_family_reads_columns_of_both_sides(pairs: Pairs) -> None:
    pairs.score("repro", parameters={"repro": {"bertscore": "f1", "structure": "same", "length": "ratio"}})
    names = ("dataman_gain", "bertscore_ok", "structure_ok", "length_ok", "reward", "short")
    found = {name: pairs.columns.numbers(f"repro_{name}") for name in names}
    nan = np.nan
    expected = {
        "dataman_gain": [2, 2, nan, 2],
        "bertscore_ok": [1, 0, 1, 1],
        "structure_ok": [1, 0, 1, 1],
        "length_ok": [1, 0, 1, nan],
        "reward": [9, 6, nan, nan],
        "short": [1, 0, 0, nan],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], np.array(values, np.float32), err_msg=name)
    missing = pairs.sql("SELECT repro_missing AS m FROM corpus ORDER BY _row")["m"].to_list()
    assert missing == [None, None, "dataman_gain", "length_ok"]


def test_a_column_that_is_not_there_leaves_its_part_null_and_says_so(pairs: Pairs) -> None:
    said: list[str] = []
    pairs.score(
        "repro",
        parameters={"repro": {"dataman": "no_such_rating", "structure": "same", "length": "ratio"}},
        on_progress=lambda p: said.append(p.doing),
    )
    assert np.isnan(pairs.columns.numbers("repro_reward")).all()
    assert pairs.columns.numbers("repro_structure_ok").tolist() == [1, 0, 1, 1]
    assert pairs.sql("SELECT DISTINCT repro_missing AS m FROM corpus ORDER BY m")["m"].to_list() == [
        "dataman_gain, bertscore_ok",
        "dataman_gain, bertscore_ok, length_ok",
    ]
    assert any("repro_dataman_gain is null: Column 'no_such_rating' is not in" in s for s in said)
    assert any("repro_bertscore_ok is null" in s for s in said)


def test_the_rating_of_the_original_may_stand_beside_the_rewrite(pairs: Pairs) -> None:
    columns = {"dataman_original": "dataman_overall", "bertscore": "f1", "structure": "same", "length": "ratio"}
    pairs.score("repro", parameters={"repro": columns})
    assert pairs.columns.numbers("repro_dataman_gain").tolist() == [0, 0, 0, 0]
    assert of_originals(pairs, "dataman_overall").tolist()[:2] == [3, 2]


def test_the_opening_phrase() -> None:
    texts = ["Here is a paraphrased version:\nA mill.", " \n here IS a paraphrased version: A mill.", "A mill. Here is a paraphrased version:", "",
             b"Here is a paraphrased version:\xff", "\u202eHere is a paraphrased version:", None]  # fmt: skip
    found = score_texts(texts, ["repro_form"], originals=["a"] * len(texts))["repro_opening"].to_pylist()  # type: ignore[arg-type]
    assert found == [1, 1, 0, 0, 1, 0, None]


def test_the_length_is_in_characters() -> None:
    found = score_texts(["ééé", "x", "", None], ["repro_form"], originals=["éé", "", "ab", "ab"])["repro_len_ratio"].to_pylist()
    assert found == [1.5, None, 0, None]


def test_on_the_sample(tmp_path: Path) -> None:
    pairs = open_pairs(sample_corpus_files(), sample_rewrites_file(), on="id", workspace=tmp_path)
    pairs.score(["repro_form", "form"])
    pairs.score("repro")
    assert np.nanmean(pairs.columns.numbers("repro_length_ok")) > 0.8
    assert not np.isnan(pairs.columns.numbers("repro_structure_ok")).all()
    assert np.isnan(pairs.columns.numbers("repro_reward")).all(), "nobody rated these"
    assert np.nansum(pairs.columns.numbers("repro_opening")) <= 16
