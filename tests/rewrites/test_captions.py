"""Fused captions against the two they were made of, counted by hand; ALIP's weights against its trainer's."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.errors import ColumnNotFoundError, SignalError
from explorer.primitives.batch import Batch
from explorer.rewrites.methods.alip import Means, gates, means, running
from explorer.rewrites.methods.caption_diversity import structure_diversity
from explorer.rewrites.methods.captions import COLUMNS, caption_columns
from explorer.rewrites.pairs import open_pairs

# deepglint/ALIP train.py on three items
S = (np.array([0.9, 0.5, 0.2]), np.array([0.30, 0.25, 0.10]), np.array([0.35, 0.20, 0.30]))
AT_THE_START = {
    "means": [0.9953333333333333, 0.9921666666666666, 0.9928333333333333],
    "lcg": [0.826408, 0.371329, 0.20379],
    "dcg_text": [0.250491, 0.226653, 0.167909],
    "dcg_caption": [0.276466, 0.204811, 0.250157],
}
AT_THE_MEAN = {
    "means": [0.5333333333333333, 0.21666666666666667, 0.2833333333333334],
    "lcg": [1.0, 0.935507, 0.513417],
    "dcg_text": [1.0, 1.068939, 0.79189],
    "dcg_caption": [1.0, 0.846482, 1.033895],
}


@pytest.mark.parametrize(("about", "expected"), [(running(Means(1, 1, 1), *S), AT_THE_START), (means(*S), AT_THE_MEAN)])
def test_alip_as_its_trainer(about: Means, expected: dict[str, list[float]]) -> None:
    assert list(about) == pytest.approx(expected["means"], abs=1e-12)
    found = gates(*S, about)
    for name in ("lcg", "dcg_text", "dcg_caption"):
        assert getattr(found, name).tolist() == pytest.approx(expected[name], abs=1e-6)


def test_alip_leaves_the_undefined_undefined() -> None:
    nan = np.nan
    found = gates(np.array([nan, 0.9, 0.1]), np.array([0.3, nan, 0.3]), np.array([0.3, 0.3, nan]), Means(0.5, 0.3, 0.3))
    assert np.isnan(found.lcg).tolist() == [True, False, False]
    assert np.isnan(found.dcg_text).tolist() == [True, True, False]
    assert np.isnan(found.dcg_caption).tolist() == [True, False, True]
    assert np.isnan(means(*(np.full(2, nan),) * 3)).all()
    assert running(Means(1, 1, 1), np.array([nan, 0.5]), *S[:2])[0] == pytest.approx(0.995)


def columns(raw: str | bytes | None, synthetic: str | bytes | None, fused: str | bytes | None) -> dict[str, float]:
    found = caption_columns(Batch.of([raw]), Batch.of([synthetic]), Batch.of([fused]))
    return {name.removeprefix("caps_"): float(values[0]) for name, values in found.items()}


@pytest.mark.thorough
def test_a_fused_caption() -> None:
    raw = "Christ before Pilate, Mihály Munkácsy, 1881 (from here)"
    synthetic = "The painting depicts Jesus standing in front of an audience."
    fused = 'The painting "Christ before Pilate" by Mihály Munkácsy, created in 1881, portrays Jesus standing in front of an audience.'
    assert columns(raw, synthetic, fused) == {
        "number_recall": 1.0,
        "entity_recall": 1.0,  # Pilate, Mihály, Munkácsy, 1881; Christ stands first, with one capital
        "entity_in_synthetic": 0.0,
        "raw_copied": pytest.approx(6 / 8),
        "synthetic_copied": pytest.approx(9 / 10),  # all but depicts
        "unseen_frac": pytest.approx(2 / 12),  # created, portrays
        "len_ratio": pytest.approx(19 / 18),
        "concat_like": 0.0,
        "well_formed": 1.0,
    }


@pytest.mark.parametrize(
    ("raw", "fused", "recall"),
    [
        ("1,000 m in 3.5 h", "In 3.5 h: 1000 m", 1.0),
        ("35 h", "3.5 h", 0.0),
        ("12V 5", "12V", 0.0),  # 12V is a word of a name, no number
        ("12a34b 7", "7", 1.0),
        ("1.2.3 4", "1.2.3", 0.5),
        ("no number", "1", np.nan),
        ("３ 7", "7", 1.0),
        ("7,", "7.", 1.0),
    ],
)
def test_numbers(raw: str, fused: str, recall: float) -> None:
    np.testing.assert_equal(columns(raw, "x", fused)["number_recall"], recall)


@pytest.mark.parametrize(
    ("raw", "fused", "recall"),
    [
        ("VW T-ROC wheel", "the vw wheel", 1 / 3),  # VW, T, ROC
        ("Sunset in Bali", "bali", 1.0),  # the first word may have its capital from the sentence
        ("The Old Mill", "the mill", 0.5),
        ("GAS SHOCK PAIR SX4", "sx4", 1.0),  # capitals alone tell nothing, digits do
        ("a wheel", "a wheel", np.nan),
        ("McDonald stands", "mcdonald", 1.0),
        ("Über Alles", "alles", 1.0),
    ],
)
def test_entity_words(raw: str, fused: str, recall: float) -> None:
    np.testing.assert_allclose(columns(raw, "x", fused)["entity_recall"], recall)


def test_two_captions_in_a_row_are_no_fusion() -> None:
    raw, synthetic = "VW T-ROC alloy wheel teaser", "The wheel of a car is shown."
    assert columns(raw, synthetic, f"{raw}. {synthetic}")["concat_like"] == 1
    assert columns(raw, synthetic, "The T-ROC's alloy wheel is shown in a teaser of VW.")["concat_like"] == 0
    assert columns(raw, synthetic, raw)["concat_like"] == 0


@pytest.mark.parametrize(
    ("fused", "whole"),
    [("A wheel is shown.", 1), ("“A wheel is shown.”", 1), ("a wheel is shown.", 0), ("A wheel is shown", 0), ("A wheel.", 0), ("32 wheels are shown!", 1),
     ("一个轮子在这里。", 1), ("", np.nan), ("...", np.nan), ("--------- A wheel is shown.", 0)],
)  # fmt: skip
def test_well_formed(fused: str, whole: float) -> None:
    np.testing.assert_equal(columns("x", "y", fused)["well_formed"], whole)


def test_what_is_missing_leaves_only_its_own_figures_undefined() -> None:
    undefined = {name for name, value in columns("Raw 1 Bali", None, "Bali is here now.").items() if np.isnan(value)}
    assert undefined == {"entity_in_synthetic", "synthetic_copied", "unseen_frac", "len_ratio", "concat_like"}
    assert all(np.isnan(v) for v in columns(None, None, None).values())
    assert all(np.isnan(v) for v in columns("", "", "").values())
    assert columns(b"\xff 7 \xe2\x82", b"\xff", b"7 \xf0\x9f")["number_recall"] == 1


def test_enormous_captions() -> None:
    started = time.monotonic()
    words = " ".join(map(str, range(100_000)))
    found = columns(words, "1a" * 300_000, words)
    assert (found["number_recall"], found["raw_copied"]) == (1, 1)
    assert time.monotonic() - started < 30


def test_how_alike_captions_are() -> None:
    frame = pl.DataFrame(
        {
            "made": ["A photo of a dog.", "A photo of a cat.", "A photo of the sea", None],
            "found": ["Rex, 2019", "Sale! Cat food", "", "Sea of Japan 12"],
            "none": [None, "", "...", None],
        }
    )
    rows = {row["column"]: row for row in structure_diversity(frame, ["made", "found", "none"]).rows(named=True)}
    made = rows["made"]
    assert (made["captions"], made["words"], made["commonest_opening"], made["commonest_share"]) == (3, 5.0, "a photo of a", 2 / 3)
    assert (made["openings"], made["templates"]) == (2 / 3, 2 / 3)  # a _ of a _, a _ of the _
    assert made["opening_bits"] == pytest.approx(0.9182958)
    assert rows["found"]["openings"] == 1
    assert rows["none"] == {"column": "none", "captions": 0, **dict.fromkeys(list(made)[2:])}


def test_as_signals(tmp_path: Path) -> None:
    rows = {
        "laion_2b": ["Bali 7", "x", None],
        "laion_coco": ["a beach", None, "y"],
        "capsfusion": ["A beach of Bali 7.", "X is here today.", "z"],
        "cos_text_caption": [0.9, 0.5, 0.2],
        "cos_image_text": [0.30, 0.25, 0.10],
        "cos_image_caption": [0.35, 0.20, 0.30],
    }
    pq.write_table(pa.table(rows), tmp_path / "c.parquet")
    pairs = open_pairs(tmp_path / "c.parquet", original="laion_2b", rewrite="capsfusion", workspace=tmp_path / "w")
    pairs.score(["capsfusion", "alip"])
    assert pairs.columns.numbers("caps_number_recall")[0] == 1
    assert np.isnan(pairs.columns.numbers("caps_number_recall")[1:]).all()
    assert pairs.columns.numbers("alip_lcg").tolist() == pytest.approx(AT_THE_MEAN["lcg"], abs=1e-6)
    assert set(COLUMNS) <= set(pairs.coverage().columns())
    with pytest.raises(ColumnNotFoundError, match="Column 'blip' is not in the rewrites"):
        pairs.score("capsfusion", parameters={"capsfusion": {"synthetic": "blip"}})
    with pytest.raises((SignalError, ColumnNotFoundError), match="no_such"):
        pairs.score("alip", parameters={"alip": {"image_text": "no_such"}})
