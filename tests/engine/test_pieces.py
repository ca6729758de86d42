"""Scoring chosen rows in pieces: nothing is run twice, nothing finished is lost, and what is read back is what was computed."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer import registry
from explorer.corpus.corpus import Corpus, open_corpus
from explorer.corpus.sidecars import MANY_PIECES, join_pieces, sidecar, write_piece
from explorer.engine import pieces
from explorer.engine.local import score, score_texts
from explorer.engine.progress import Progress
from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, families, find, find_signal


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A learned family whose "model" is the text's length; every text it is given is listed."""
    families()
    monkeypatch.setattr(registry, "_families", dict(registry._families))
    seen: list[str] = []

    @registry.family(
        version=1, source="tests", signals=[Signal("rated", "points", "Length."), Signal("rated_word", "", "First.", dtype="string")]
    )
    def rated(batch: Batch, *, model: str = "length", factor: float = 1.0) -> Columns:
        """Length of the text."""
        texts = batch.texts()
        seen.extend(t for t in texts if t is not None)
        if any(t == "explode" for t in texts):
            raise RuntimeError("boom")
        lengths = np.array([np.nan if not t else factor * len(t) for t in texts], np.float32)
        return {"rated": lengths, "rated_word": pa.array([t.split()[0] if t and t.split() else None for t in texts], pa.string())}

    return seen


def corpus_of(folder: Path, texts: list[str | None], *, files: int = 2, group: int = 7) -> Corpus:
    folder.mkdir(parents=True, exist_ok=True)
    for i, part in enumerate(np.array_split(np.array(texts, object), files)):
        pq.write_table(pa.table({"text": pa.array(list(part), pa.string())}), folder / f"{i}.parquet", row_group_size=group)
    return open_corpus(folder, workspace=folder.parent / "w")


TEXTS: list[str | None] = [f"text {'x' * i}" for i in range(40)] + [None, "", "text x", "text x"]


def expected(corpus: Corpus) -> np.ndarray:
    texts = corpus.documents(range(len(corpus)), ["text"])["text"].to_list()
    return np.array([np.nan if not t else len(t) for t in texts], np.float32)


def test_chosen_rows_then_all_run_each_text_once(tmp_path: Path, runs: list[str]) -> None:
    corpus = corpus_of(tmp_path / "c", TEXTS)
    first = score(corpus, ["rated"], rows=[3, 30, 5])
    assert (first.rows, first.computed, first.reused) == (3, 3, 0)
    values = corpus.columns.numbers("rated")
    assert np.flatnonzero(~np.isnan(values)).tolist() == [3, 5, 30]
    assert corpus.coverage().scored_rows("rated") == 3
    assert corpus.sql("SELECT _row, rated, rated_word FROM corpus WHERE rated IS NOT NULL ORDER BY _row").rows() == [
        (3, len(TEXTS[3] or ""), "text"),
        (5, len(TEXTS[5] or ""), "text"),
        (30, len(TEXTS[30] or ""), "text"),
    ]
    second = score(corpus, ["rated"])
    assert (second.computed, second.reused, second.rows) == (len(TEXTS) - 3, 3, len(TEXTS))
    assert second.nulls["rated"] == 2  # the null and the empty document
    assert second.same == 2  # "text x" stands three times
    assert sorted(runs) == sorted({t for t in TEXTS if t is not None})
    np.testing.assert_array_equal(corpus.columns.numbers("rated"), expected(corpus))
    side = corpus.coverage().of("rated")
    assert side is not None
    assert all(side.finished(s) for s in corpus.shards)
    assert sorted(p.suffix for p in side.folder.iterdir()) == [".json", ".parquet", ".parquet"]
    third = score(corpus, ["rated"])
    assert (third.computed, third.reused) == (0, len(TEXTS))


def test_a_text_is_known_again_in_another_file(tmp_path: Path, runs: list[str]) -> None:
    score(corpus_of(tmp_path / "c", TEXTS), ["rated"])
    before = len(runs)
    shuffled = [*reversed(TEXTS), "a new one"]
    other = corpus_of(tmp_path / "d", shuffled, files=3)
    report = score(other, ["rated"])
    assert runs[before:] == ["a new one"]
    assert report.same == len(shuffled) - 2  # all but the new one and the null
    np.testing.assert_array_equal(other.columns.numbers("rated"), expected(other))


def test_stopping_keeps_every_piece_and_the_next_run_carries_on(tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "FIRST_PIECE", 4)
    monkeypatch.setattr(pieces, "MOST_ROWS", 4)
    corpus, stop = corpus_of(tmp_path / "c", [f"{i}" for i in range(40)], files=1), threading.Event()

    def show(progress: Progress) -> None:
        if progress.done_rows >= 12:
            stop.set()

    report = score(corpus, ["rated"], on_progress=show, cancel=stop)
    assert report.cancelled
    assert 12 <= report.computed < 40
    assert corpus.coverage().scored_rows("rated") == report.computed
    rest = score(corpus, ["rated"])
    assert rest.reused == report.computed
    assert sorted(runs) == sorted(f"{i}" for i in range(40))


def test_a_failure_keeps_what_came_before(tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "FIRST_PIECE", 4)
    corpus = corpus_of(tmp_path / "c", ["a", "bb", "ccc", "dddd", "explode"], files=1)
    with pytest.raises(SignalError, match=r"'rated' failed on .*RuntimeError: boom\. What was scored before is kept"):
        score(corpus, ["rated"])
    assert corpus.coverage().scored_rows("rated") == 4


def test_many_small_pieces_become_one(tmp_path: Path, runs: list[str]) -> None:
    corpus = corpus_of(tmp_path / "c", [f"{i}" for i in range(80)], files=1)
    for i in range(MANY_PIECES + 1):
        score(corpus, ["rated"], rows=[2 * i])
    side = corpus.coverage().of("rated")
    assert side is not None
    assert len(side.pieces(corpus.shards[0])) == 2
    assert corpus.coverage().scored_rows("rated") == MANY_PIECES + 1
    np.testing.assert_array_equal(np.flatnonzero(side.there(corpus.shards[0])), 2 * np.arange(MANY_PIECES + 1))
    assert side.place(corpus.shards[0], 1) is None
    path, at = side.place(corpus.shards[0], 8) or (Path(), -1)
    assert pq.read_table(path)["rated"][at].as_py() == 1.0


def test_two_processes_that_computed_the_same_row_count_it_once(tmp_path: Path, runs: list[str]) -> None:
    corpus = corpus_of(tmp_path / "c", ["a", "bb", "ccc"], files=1)
    score(corpus, ["rated"], rows=[1])
    side = sidecar(corpus.workspace, find("rated"), "text", {})
    (piece,) = side.pieces(corpus.shards[0])
    piece.with_name("000000001-000001-00000000.parquet").write_bytes(piece.read_bytes())
    assert corpus.coverage().scored_rows("rated") == 1
    assert corpus.sql("SELECT count(*) AS n, count(rated) AS there FROM corpus").row(0) == (3, 1)
    score(corpus, ["rated"])
    np.testing.assert_array_equal(corpus.columns.numbers("rated"), [1, 2, 3])


def test_heuristics_on_chosen_rows_are_those_of_the_whole_run(tiny_corpus: Corpus) -> None:
    rows = np.array([0, 7, 31, 59])
    score(tiny_corpus, ["length"], rows=rows)
    some = tiny_corpus.columns.numbers("n_bytes").copy()
    assert np.flatnonzero(~np.isnan(some)).tolist() == rows.tolist()
    score(tiny_corpus, ["length"])
    np.testing.assert_array_equal(tiny_corpus.columns.numbers("n_bytes")[rows], some[rows])
    with pytest.raises(SignalError, match=r"Document 60 does not exist"):
        score(tiny_corpus, ["length"], rows=[60])


def test_an_alias_stands_beside_the_family(tmp_path: Path, runs: list[str]) -> None:
    corpus = corpus_of(tmp_path / "c", ["a", "bb"], files=1)
    score(corpus, ["rated", "rated:twice"], parameters={"rated:twice": {"factor": 2.0}})
    assert corpus.columns.numbers("rated").tolist() == [1, 2]
    assert corpus.columns.numbers("rated_twice").tolist() == [2, 4]
    signal = find_signal("rated_twice")
    assert signal is not None
    assert (signal.family, signal.unit) == ("rated:twice", "points")
    assert score_texts(["abc"], ["rated:x"])["rated_x"].to_pylist() == [3]
    with pytest.raises(SignalError, match="Alias 'a b' cannot end a column's name"):
        find("rated:a b")


def test_other_parameters_are_other_values(tmp_path: Path, runs: list[str]) -> None:
    corpus = corpus_of(tmp_path / "c", ["a", "bb"], files=1)
    score(corpus, ["rated"])
    score(corpus, ["rated"], parameters={"rated": {"factor": 3.0}})
    assert runs.count("bb") == 2
    assert replace(find("rated"), version=2).key() != find("rated").key()


def test_again_for_some_rows_keeps_the_others(tmp_path: Path, runs: list[str]) -> None:
    corpus = corpus_of(tmp_path / "c", [f"text {i}" for i in range(30)])
    score(corpus, ["rated", "length"])
    report = score(corpus, ["rated", "length"], rows=[5, 20], again=True)
    assert (report.computed, report.rows) == (2, 2)
    assert corpus.coverage().scored_rows("rated") == corpus.coverage().scored_rows("n_bytes") == 30
    np.testing.assert_array_equal(corpus.columns.numbers("rated"), expected(corpus))
    assert sorted(runs) == sorted([*(f"text {i}" for i in range(30)), "text 5", "text 20"])
    score(corpus, ["rated"], limit=3, again=True)
    assert corpus.coverage().scored_rows("rated") == 30
    other = corpus_of(tmp_path / "d", ["text 0", "text 1"], files=1)
    before = len(runs)
    score(other, ["rated"], again=True)  # anew means that nothing of another file is taken over
    assert sorted(runs[before:]) == ["text 0", "text 1"]


def test_rows_without_an_answer_are_asked_again(tmp_path: Path, runs: list[str]) -> None:
    down = {"now": True}

    @registry.family(version=1, source="tests", signals=[Signal("asked", "points", "Length, of a server that may be down.")])
    def asked(batch: Batch, *, model: str = "server") -> Columns:
        """Length of the text."""
        silent = np.array([down["now"] and "no" in (t or "") for t in batch.texts()])
        return {"asked": np.array([len(t or "") for t in batch.texts()], np.float32), registry.UNANSWERED: silent}

    corpus = corpus_of(tmp_path / "c", ["yes", "no", "yes", "no no", None], files=1)
    first = score(corpus, ["asked"])
    assert (first.computed, first.unanswered) == (3, 2)
    assert "2 could not be asked" in str(first)
    assert corpus.coverage().scored_rows("asked") == 3
    down["now"] = False
    second = score(corpus, ["asked"])
    assert (second.computed, second.reused, second.unanswered) == (2, 3, 0)
    np.testing.assert_array_equal(corpus.columns.numbers("asked"), [3, 2, 3, 5, np.nan])
    assert score_texts(["abc"], ["asked:x"])["asked_x"].to_pylist() == [3]


def test_joining_twice_and_writing_late_do_no_harm(tmp_path: Path, runs: list[str]) -> None:
    corpus = corpus_of(tmp_path / "c", ["a", "bb", "ccc"], files=1)
    shard = corpus.shards[0]
    side = sidecar(corpus.workspace, find("rated"), "text", {})
    score(corpus, ["rated"], rows=[0, 2])
    late = pa.table({"rated": pa.array([2.0], pa.float32()), "rated_word": ["bb"], "_text": pa.array([b"x" * 16])})
    join_pieces(side, shard)  # rows are missing: nothing happens
    assert not side.finished(shard)
    score(corpus, ["rated"])
    join_pieces(side, shard)
    assert write_piece(side, shard, np.array([1]), late) is None
    np.testing.assert_array_equal(corpus.columns.numbers("rated"), [1, 2, 3])


def test_many_pieces_are_merged_while_a_run_goes_on(tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "FIRST_PIECE", 1)
    monkeypatch.setattr(pieces, "MOST_ROWS", 1)
    monkeypatch.setattr(pieces, "_next_size", lambda rows, seconds: 1)
    corpus, most = corpus_of(tmp_path / "c", [f"{i}" for i in range(3 * MANY_PIECES)], files=1), 0
    side = sidecar(corpus.workspace, find("rated"), "text", {})

    def show(progress: Progress) -> None:
        nonlocal most
        most = max(most, len(side.pieces(corpus.shards[0])))

    score(corpus, ["rated"], on_progress=show)
    assert most <= MANY_PIECES + 2
    np.testing.assert_array_equal(corpus.columns.numbers("rated"), expected(corpus))
