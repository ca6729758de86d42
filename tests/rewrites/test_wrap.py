"""WRAP's styles: what each must show, on hand-made pairs and on the sample's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.engine.local import score_texts
from explorer.primitives.batch import Batch
from explorer.registry import find
from explorer.rewrites.checks.wrap import style_of, style_ok, turns
from explorer.rewrites.methods.common_words import save
from explorer.rewrites.pairs import open_pairs
from explorer.sample import sample_corpus_files, sample_rewrites_file


@pytest.mark.parametrize(
    ("declared", "style"),
    [
        ("easy", "easy"),
        ("WRAP-Medium", "medium"),
        ("terse", "hard"),
        ("Q&A", "qa"),
        ("wikipedia_style", "medium"),
        ("guided", None),
        ("", None),
        (None, None),
    ],
)
def test_declared_styles(declared: str | None, style: str | None) -> None:
    assert style_of(declared) == style


@pytest.mark.parametrize(
    ("text", "pairs", "some", "alternate"),
    [
        ("Question: Who built it?\nAnswer: The miller.", 1, True, True),
        ("**Q1:** Who?\n**A1:** He.\n\n**Q2**: When?\n**A2**: In 1702.", 2, True, True),
        ("Question: Who built it? Answer: The miller. Question: When?", 1, True, False),
        ("question : who\nQUESTION #2: x", 0, True, False),
        ("Q: x\nplain\nA: y", 1, True, True),
        ("Question： 谁\nAnswer： 他", 1, True, True),
        ("A: y\nQ: x", 0, True, False),
        ("Answer: y", 0, True, False),
        ("There is no question about the answer. See Q: 3; plan A: go.", 0, False, False),
        ("Questions: 3\nanswerer: x\nUnanswer: y\nA. First\nB: Second", 0, False, False),
        ("::: \u009a \uff1a", 0, False, False),
        ("", 0, False, False),
        (None, 0, False, False),
        (b"\xef\xbc\x9a\x9aQ:\xff\nA:", 0, True, False),
    ],
)
def test_turns_are_found_by_their_labels(text: str | bytes | None, pairs: int, some: bool, alternate: bool) -> None:
    found = turns(Batch.of([text, "Question: a", text]))
    assert [found.pairs[0], found.any[0], found.alternate[0]] == [pairs, some, alternate]
    assert [found.pairs[2], found.any[2], found.alternate[2]] == [pairs, some, alternate]


def test_rules() -> None:
    nan = np.nan
    cases = [
        # style, words a sentence before and after, gain in common words, turns, ok
        ("easy", 20, 10, 0.1, "", 1),
        ("easy", 20, 25, 0.1, "", 0),
        ("easy", 20, 10, -0.1, "", 0),
        ("easy", nan, 10, 0.1, "", nan),
        ("hard", 20, 10, -0.1, "", 1),
        ("hard", 20, 10, 0.0, "", 0),
        ("qa", nan, nan, nan, "qaqa", 1),
        ("qa", 20, 10, 0.0, "qaq", 0),
        ("qa", 20, 10, 0.0, "aq", 0),
        ("qa", 20, 10, 0.0, "", 0),
        ("medium", 20, 20, 0.0, "", 1),
        ("medium", 20, 60, 0.0, "", 0),
        ("medium", 20, 20, 0.0, "qa", 0),
        ("medium", 20, nan, 0.0, "", nan),
        (None, 20, 20, 0.0, "", nan),
    ]
    styles, before, after, gain, said, expected = zip(*cases, strict=True)
    marks = {"q": "Question: x\n", "a": "Answer: y\n"}
    found = style_ok(
        styles,
        np.array(before, float),
        np.array(after, float),
        np.array(gain, float),
        turns(Batch.of(["".join(marks[c] for c in t) for t in said])),
    )
    np.testing.assert_array_equal(found, np.array(expected, float))


def test_columns(tmp_path: Path) -> None:
    common = str(save(["the", "mill", "old"], tmp_path / "common.txt"))
    texts: list[str | bytes | None] = ["The mill. The old mill.", b"\xff\xfe \xe2\x82", "", None, "\u202eword"]
    rows = score_texts(texts, ["wrap"], {"wrap": {"common": common}}, originals=["The ancient mill stands."] * 5).to_pylist()  # type: ignore[list-item]
    assert rows[0] == {
        "wrap_sentence_ratio": pytest.approx(2.5 / 4),
        "wrap_word_len_ratio": pytest.approx((17 / 5) / (20 / 4)),
        "wrap_common_gain": pytest.approx(1 - 2 / 4),
        "wrap_qa_turns": 0,
        "wrap_style": None,
        "wrap_style_ok": None,
    }
    assert [r["wrap_sentence_ratio"] for r in rows[1:4]] == [None, None, None]
    assert rows[3]["wrap_qa_turns"] is None


def test_the_style_is_read_from_its_column(tmp_path: Path) -> None:
    answered = "Question: What stands here? Answer: The mill."
    rows = {
        "original": ["The archaic gristmill subsists hereabouts unaltered."] * 4,
        "rewrite": ["The mill is here.", answered, answered, "The mill is here."],
        "style": pa.array(["easy", "qa", "medium", None]).dictionary_encode(),
    }
    pq.write_table(pa.table(rows), tmp_path / "p.parquet")
    pairs = open_pairs(tmp_path / "p.parquet", workspace=tmp_path / "w")
    pairs.score("wrap")
    found = pairs.sql("SELECT wrap_style, wrap_style_ok, wrap_qa_turns FROM corpus ORDER BY _row")
    assert found["wrap_style"].to_list() == ["easy", "qa", "medium", None]
    assert found["wrap_style_ok"].to_list() == [1, 1, 0, None]
    assert found["wrap_qa_turns"].to_list() == [0, 1, 1, 0]


def test_on_the_sample(tmp_path: Path) -> None:
    pairs = open_pairs(sample_corpus_files(), sample_rewrites_file(), on="id", workspace=tmp_path)
    pairs.score("wrap")
    told = pairs.sql("SELECT method, wrap_style, avg(wrap_style_ok) AS ok FROM corpus WHERE wrap_style IS NOT NULL GROUP BY ALL")
    ok = {(method, style): share for method, style, share in told.iter_rows()}
    assert min(ok["hand", s] for s in ("easy", "medium", "hard", "qa")) >= 0.9, "paraphrases written by hand have their style"
    assert ok["wrap-easy", "easy"] < 0.5, "a very small model asked for easy words does not"
    assert not find("wrap").audit
