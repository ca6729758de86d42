"""ReWire's delimiters and the table of raw against rewritten, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import explorer as ex
from explorer.engine.local import score_texts
from explorer.errors import SelectionError
from explorer.primitives.batch import Batch
from explorer.rewrites.checks.rewire import parsed, rewire_text
from explorer.rewrites.methods.rewire_table import rescue_table
from explorer.rewrites.pairs import Pairs, open_pairs
from explorer.sample import sample_corpus_files, sample_rewrites_file

THINKS, THOUGHT = "<thinking starts>", "<thinking ends>"
BEGINS, ENDS = "<improved response starts>", "<improved response ends>"
WHOLE = f"{THINKS} Why é? {THOUGHT}\n{BEGINS}\nThe mill.\n{ENDS}"


@pytest.mark.parametrize(
    ("text", "delimiters", "ok", "thinking", "improved", "strict", "lenient"),
    [
        (WHOLE, 4, 1, 6, 9, "The mill.", "The mill."),
        (WHOLE.upper(), 4, 1, 6, 9, "THE MILL.", "THE MILL."),
        ("The mill.", 0, None, None, None, "The mill.", "The mill."),
        ("", 0, None, None, None, "", ""),
        (f"{BEGINS}The mill.{ENDS}", 2, 0, None, 9, None, "The mill."),
        (f"{BEGINS}The mill.{ENDS}{THINKS}x{THOUGHT}", 4, 0, 1, 9, None, "The mill."),  # all there, not in order
        (f"{THINKS}x{THOUGHT}{BEGINS}The mi", 3, 0, 1, None, None, None),  # cut at its last token
        (f"{WHOLE}{WHOLE}", 8, 0, None, None, None, None),
        (f"{THINKS}x{THOUGHT}{BEGINS} {ENDS}", 4, 1, 1, 0, "", ""),
        (f"{THOUGHT}x{THINKS}", 2, 0, None, None, None, None),
        ("<thinking  starts> < <", 0, None, None, None, "<thinking  starts> < <", "<thinking  starts> < <"),
        (f"<<{THINKS}>\u202e{THOUGHT}", 2, 0, 2, None, None, None),
        (None, None, None, None, None, None, None),
    ],
)
def test_a_generation_is_taken_apart(text, delimiters, ok, thinking, improved, strict, lenient) -> None:  # type: ignore[no-untyped-def]
    row = score_texts([text], ["rewire"], originals=["The old mill."]).to_pylist()[0]
    assert [row[f"rewire_{name}"] for name in ("delimiters", "parse_ok", "thinking_chars", "text_chars")] == [
        delimiters,
        ok,
        thinking,
        improved,
    ]
    assert row["rewire_len_ratio"] == (None if improved is None else pytest.approx(improved / 13))
    for how, wanted in ((True, strict), (False, lenient)):
        assert rewire_text(Batch.of([text]), strict=how).to_pylist() == [None if wanted is None else wanted.encode()]


def test_a_delimiter_does_not_reach_into_the_next_document() -> None:
    batch = Batch.of(["<thinking ", "starts>", WHOLE, None, b"\xff" + WHOLE.encode() + b"\xe2\x82"])
    assert parsed(batch).delimiters.tolist() == [0, 0, 4, 0, 4]
    assert rewire_text(batch).to_pylist()[2:] == [b"The mill.", None, b"The mill."]
    assert rewire_text(Batch.of([])).to_pylist() == []
    sliced = Batch(pa.array([b"before", WHOLE.encode(), b"after"], pa.large_binary()).slice(1, 1))
    assert rewire_text(sliced).to_pylist() == [b"The mill."]


def test_without_an_original_word_there_is_no_ratio() -> None:
    assert score_texts([WHOLE], ["rewire"], originals=[""])["rewire_len_ratio"].to_pylist() == [None]


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    originals = {"id": list("abcd"), "text": ["t"] * 4, "score": [0.9, 0.8, 0.1, 0.2], "n_tokens": [100, 200, 300, 400]}
    rewrites = {
        "original_id": ["a", "b", "c", "c", "d", "zz", "c"],
        "rewrite": ["t"] * 7,
        "made_score": [0.9, 0.1, 0.9, 0.8, 0.1, 0.9, 0.2],
        "n_tokens": [10, 20, 30, 40, 50, 60, 70],
        "method": ["x", "x", "x", "y", "y", "y", "y"],
    }
    pq.write_table(pa.table(originals), tmp_path / "o.parquet")
    pq.write_table(pa.table(rewrites), tmp_path / "r.parquet")
    return open_pairs(tmp_path / "o.parquet", tmp_path / "r.parquet", workspace=tmp_path / "w")


def test_rescued_rewrites_are_counted(pairs: Pairs) -> None:
    found = rescue_table(pairs, ex.Threshold("score", minimum=0.5), "made_score >= 0.5")
    assert found.table.rows() == [
        ("kept", "kept", 1, 10.0, 1, 100.0),  # a
        ("kept", "dropped", 1, 20.0, 1, 200.0),  # b
        ("dropped", "kept", 2, 70.0, 1, 300.0),  # c twice, one original
        ("dropped", "dropped", 2, 120.0, 2, 700.0),  # d, and c's third rewrite
        ("no original", "kept", 1, 60.0, 0, 0.0),
        ("no original", "dropped", 0, 0.0, 0, 0.0),
    ]
    assert found.rescued_share == pytest.approx(2 / 3)
    assert found.rescued_token_share == pytest.approx(70 / 80)
    assert (found.raw_kept_documents, found.raw_kept_tokens, found.most) == (2, 300.0, 3)
    assert found.synthetic_share == pytest.approx(140 / 440)
    assert str(found) == ("66.7% of 3 kept rewrites come from originals that 0.5 ≤ score drops (87.5% of their tokens)")
    page = found._repr_html_()
    assert "0.5 ≤ score" in page
    assert "Up to 3 rewrites an original" in page


def test_of_one_method(pairs: Pairs) -> None:
    of_x = np.array([True, True, True, False, False, False, False])
    found = rescue_table(pairs, "score >= 0.5", ex.Filters(where="made_score >= 0.5"), counted=of_x)
    assert found.rescued_share == 0.5
    assert found.raw == "where score >= 0.5"
    with pytest.raises(SelectionError, match="must be a bool for each of 7 rewrites"):
        rescue_table(pairs, "score > 0", "made_score > 0", counted=np.arange(3))


def test_nothing_kept_is_undefined_not_zero(pairs: Pairs) -> None:
    found = rescue_table(pairs, "score > 5", "made_score > 5")
    assert (found.rescued_share, found.rescued_token_share, found.synthetic_share) == (None, None, None)
    assert str(found).startswith("No rewrite that has an original is kept")
    assert "<script>" not in rescue_table(pairs, "score > 5 OR '<script>' = ''", "made_score > 0")._repr_html_()


def test_on_the_sample(tmp_path: Path) -> None:
    pairs = open_pairs(sample_corpus_files(), sample_rewrites_file(), on="id", workspace=tmp_path)
    pairs.score("rewire")
    assert np.nansum(pairs.columns.numbers("rewire_delimiters")) >= 0
    found = rescue_table(pairs, "edu_score >= 3", "rewire_delimiters = 0")
    assert found.table["rewrites"].sum() == 239
    assert found.rescued_share is not None
    assert 0 < found.rescued_share < 1
