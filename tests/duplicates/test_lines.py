"""Lines that stand in many documents, against plain Python."""

from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.corpus.corpus import open_corpus
from explorer.duplicates import lines as lines_module
from explorer.duplicates.lines import explain, repeated_lines
from explorer.errors import SignalError


def twin(texts, more_than, shortest=1):
    split = [[] if t is None else [s.strip() for s in t.decode("utf-8", "replace").split("\n") if s.strip()] for t in texts]
    documents = Counter(line for lines in split for line in set(lines) if len(line.encode()) >= shortest)
    rows = []
    for lines in split:
        chars = sum(map(len, lines))
        boilerplate = sum(len(s) for s in lines if documents[s] > more_than)
        shared = [documents[s] - 1 for s in lines if documents[s] > 1]
        rows.append((len(lines), len(shared), max(shared, default=0), boilerplate / chars) if lines else (-1, -1, -1, None))
    return rows, documents


def found_in(corpus, **parameters):
    found = repeated_lines(corpus, **parameters)
    c = found.columns
    return found, [
        (int(a), int(b), int(w), None if np.isnan(f) else float(f))
        for a, b, w, f in zip(c["lines"], c["shared"], c["widest"], c["boilerplate"], strict=True)
    ]


HEADER = "All rights reserved. Unauthorised copying is prohibited."
TEXTS = [f"{HEADER}\nDocument {i} says this.\n\n  {'Menu' if i % 2 else 'menu'}  \n{HEADER}" for i in range(9)] + [
    None,
    "",
    " \n\t\n",
    "alone",
]


def test_planted_lines(write_parquet, tmp_path):
    write_parquet("d/a.parquet", {"text": TEXTS}, row_group_size=4)
    corpus = open_corpus(tmp_path / "d", workspace=tmp_path / "ws")
    found, rows = found_in(corpus, more_than=6)
    expected, _ = twin([None if t is None else t.encode() for t in TEXTS], 6)
    for mine, theirs in zip(rows, expected, strict=True):
        assert mine[:3] == theirs[:3]
        assert mine[3] == (None if theirs[3] is None else pytest.approx(theirs[3], abs=1e-7))
    assert rows[0][:3] == (4, 3, 8)
    top = pq.read_table(found.folder / "lines.parquet").to_pylist()
    assert top[0] == {"line": HEADER, "documents": 9, "occurrences": 18, "characters": 18 * len(HEADER), "row": 0}
    assert [(t["line"], t["documents"], t["row"]) for t in top[1:]] == [("menu", 5, 0), ("Menu", 4, 1)]
    assert explain(found.report).startswith("1 lines stand in more than 6 documents; they make")
    none, _ = found_in(corpus, more_than=9)
    assert "the most repeated stands in 9, and boilerplate is what stands in more than 9" in explain(none.report)
    _, rows = found_in(corpus, more_than=6, shortest=5)
    assert rows[0][:3] == (4, 2, 8)
    with pytest.raises(SignalError, match="more_than=0, shortest=1 is out of range"):
        repeated_lines(corpus, more_than=0)


PIECES = ["a", "b", " a", "a ", "é", "\u2003a\u2003", "\xa0", "日本", "", " ", "\t", "x" * 40, "\r", "\x85", "\x00"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | st.lists(st.sampled_from(PIECES), max_size=8).map("\n".join), min_size=1, max_size=8), st.integers(1, 3))
def test_measures_are_those_of_plain_python(tmp_path_factory, documents, more_than):
    import pyarrow as pa

    folder = tmp_path_factory.mktemp("lines")
    pq.write_table(pa.table({"text": pa.array(documents, pa.string())}), folder / "a.parquet", row_group_size=3)
    _, rows = found_in(open_corpus(folder, workspace=folder / "ws"), more_than=more_than)
    expected, _ = twin([None if t is None else t.encode() for t in documents], more_than)
    for mine, theirs in zip(rows, expected, strict=True):
        assert mine[:3] == theirs[:3]
        assert mine[3] == (None if theirs[3] is None else pytest.approx(theirs[3], abs=1e-6))


def test_files_and_threads_give_the_same(write_parquet, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    texts = ["\n".join(f"line {k}" for k in rng.zipf(1.3, 40) % 500) for _ in range(200)]
    write_parquet("d/a.parquet", {"text": texts}, row_group_size=16)
    answers = []
    for workers, held in ((1, 1 << 25), (4, 1 << 25), (2, 64)):
        monkeypatch.setattr(lines_module, "HELD", held)
        found = repeated_lines(open_corpus(tmp_path / "d", workspace=tmp_path / f"ws{workers}-{held}"), workers=workers)
        answers.append((found.columns, pq.read_table(found.folder / "lines.parquet"), found.report))
    assert answers[0][2]["boilerplate_lines"] > 50
    for columns, top, report in answers[1:]:
        assert all(np.array_equal(columns[name], answers[0][0][name], equal_nan=True) for name in columns)
        assert top.equals(answers[0][1])
        assert report == answers[0][2]


def test_a_very_long_line_and_broken_bytes(write_parquet, tmp_path):
    import pyarrow as pa

    long = b"x" * 5_000_000
    raw = pa.array([long, long, b"\xff\xfe\n\x80", b"\xff\xfe\n\x81", b"\n" * 1000], pa.binary())
    write_parquet("d/a.parquet", pa.table({"text": pa.Array.from_buffers(pa.string(), 5, raw.buffers())}))
    _, rows = found_in(open_corpus(tmp_path / "d", workspace=tmp_path / "ws"), more_than=1)
    assert [r[:3] for r in rows] == [(1, 1, 1), (1, 1, 1), (2, 1, 1), (2, 1, 1), (-1, -1, -1)]
