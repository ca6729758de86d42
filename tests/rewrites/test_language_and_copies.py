"""A rewrite in another language, and one answer given to many documents."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from explorer.engine.local import score_texts
from explorer.rewrites.pairs import open_pairs

ENGLISH = "The old stone mill was built beside the bridge, and it has ground the corn of three villages since then."
GERMAN = "Die alte Mühle aus Stein wurde neben der Brücke gebaut und mahlt seither das Korn von drei Dörfern."


def test_a_switch_of_language():
    found = score_texts([GERMAN, ENGLISH, "?!", "x"], ["language_switch"], originals=[ENGLISH, ENGLISH, ENGLISH, ""]).to_pylist()
    assert [(row["original_lang"], row["rewrite_lang"], row["language_switched"]) for row in found[:2]] == [
        ("en", "de", 1.0),
        ("en", "en", 0.0),
    ]
    assert found[2]["language_switched"] in (0.0, None)
    assert (found[3]["original_lang"], found[3]["language_switched"]) == (None, None)


def test_confidence_is_a_parameter():
    sure = score_texts([GERMAN], ["language_switch"], {"language_switch": {"confidence": 1.0}}, originals=[ENGLISH])
    assert sure["language_switched"].to_pylist() == [0.0]


def test_one_answer_to_many(tmp_path: Path):
    pq.write_table(pa.table({"id": ["a", "b", "c"], "text": ["A.", "B.", "C."]}), tmp_path / "o.parquet")
    rewrites = {"id": ["a", "b", "b", "c", "zz", "a"], "rewrite": ["Same.", "Same.", "Same.", "Own.", "Same.", None]}
    pq.write_table(pa.table(rewrites), tmp_path / "r.parquet")
    pairs = open_pairs(tmp_path / "o.parquet", tmp_path / "r.parquet", workspace=tmp_path / "w")
    pairs.score("rewrite_copies")
    table = pairs.sql("SELECT rewrite_copies, rewritten_alike FROM corpus ORDER BY _row")
    assert table["rewrite_copies"].to_list() == [3, 3, 3, 1, None, None]
    assert table["rewritten_alike"].to_list() == [2, 2, 2, 1, None, None]
