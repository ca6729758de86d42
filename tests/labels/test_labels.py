"""Labels: one call is one step of undo, and a document keeps its label wherever its text goes."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
import threading

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.corpus.corpus import open_corpus
from explorer.errors import ColumnNotFoundError, CorpusError, WorkspaceError
from explorer.labels import FEW, Labels, checked_label, identities, text_hash


def said(labels, corpus):
    return dict(labels.of(corpus).select("row", "label").iter_rows())


def test_a_label_is_set_changed_and_taken_away(tiny_corpus):
    labels = Labels(tiny_corpus.workspace)
    assert labels.of(tiny_corpus).height == 0
    assert labels.undo() is None
    step = labels.set(tiny_corpus, [3, 40, 3], "good", note="clear")
    assert (step.documents, step.changed) == (2, 2)
    assert said(labels, tiny_corpus) == {3: "good", 40: "good"}
    labels.set(tiny_corpus, [40], "bad")
    frame = labels.of(tiny_corpus)
    assert frame.row(1, named=True)["note"] == "clear", "a label without a note keeps the one that is there"
    assert frame["id"].to_list() == ["d003", "d040"]
    labels.set(tiny_corpus, [3], None)
    assert said(labels, tiny_corpus) == {40: "bad"}
    assert labels.counts() == labels.counts(tiny_corpus) == {"bad": 1}


def test_hash_is_blake2b_of_the_text(tiny_corpus):
    Labels(tiny_corpus.workspace).set(tiny_corpus, [0], "good")
    text = tiny_corpus.documents([0])["text"][0]
    assert Labels(tiny_corpus.workspace).of(tiny_corpus)["text_hash"][0] == text_hash(text).hex()
    assert text_hash("") == bytes.fromhex("cae66941d9efbd404e4d88758ea67670")  # published: BLAKE2b-128 of nothing


def test_undo_and_redo_walk_back_and_forth_and_survive_the_process(tiny_corpus):
    labels = Labels(tiny_corpus.workspace)
    labels.set(tiny_corpus, [1, 2], "good")
    labels.set(tiny_corpus, [2, 3], "bad", note="n")
    labels.set(tiny_corpus, [1], None)
    states = [{2: "bad", 3: "bad"}, {1: "good", 2: "bad", 3: "bad"}, {1: "good", 2: "good"}, {}]
    assert said(labels, tiny_corpus) == states[0]
    for state in states[1:]:
        assert Labels(tiny_corpus.workspace).undo() is not None
        assert said(labels, tiny_corpus) == state
    assert labels.undo() is None
    for state in reversed(states[:-1]):
        assert Labels(tiny_corpus.workspace).redo() is not None
        assert said(labels, tiny_corpus) == state
    assert labels.redo() is None
    labels.undo()
    assert labels.next_redo() is not None
    labels.set(tiny_corpus, [5], "good")
    assert labels.next_redo() is None, "a new step ends what could be done again"


def test_a_call_that_changes_nothing_is_no_step(tiny_corpus):
    labels = Labels(tiny_corpus.workspace)
    labels.set(tiny_corpus, [1], "good")
    assert labels.set(tiny_corpus, [1], "good").changed == 0
    labels.undo()
    assert said(labels, tiny_corpus) == {}


def test_undo_is_the_annotators_own_and_leaves_what_others_changed_since(tiny_corpus):
    ann, bob = Labels(tiny_corpus.workspace, "ann"), Labels(tiny_corpus.workspace, "bob")
    ann.set(tiny_corpus, [1, 2], "good")
    bob.set(tiny_corpus, [2], "bad")
    step = ann.undo()
    assert (step.changed, step.left) == (1, 1)
    assert said(ann, tiny_corpus) == {2: "bad"}
    assert ann.of(tiny_corpus)["annotator"].to_list() == ["bob"]
    bob.undo()
    assert said(ann, tiny_corpus) == {2: "good"}


def test_the_stamp_changes_with_every_change(tiny_corpus):
    labels = Labels(tiny_corpus.workspace)
    stamps = [labels.stamp()]
    for change in (lambda: labels.set(tiny_corpus, [1], "good"), lambda: labels.set(tiny_corpus, [1], "bad"), labels.undo, labels.redo):
        change()
        stamps.append(labels.stamp())
    assert all(a != b for a, b in itertools.pairwise(stamps))


def test_documents_without_text_are_counted_not_labelled(write_parquet, tmp_path):
    path = write_parquet("a.parquet", {"text": ["one", None, "", "caf\u00e9"]})
    corpus = open_corpus(path, workspace=tmp_path / "ws")
    step = Labels(corpus.workspace).set(corpus, [0, 1, 2], "good")
    assert (step.documents, step.changed, step.without_text) == (2, 2, 1)
    with pytest.raises(CorpusError, match="Document 9 does not exist"):
        Labels(corpus.workspace).set(corpus, [9], "good")


@pytest.mark.parametrize("bad", ["", "  ", "x" * 61, "a\nb", "a\u202eb"])
def test_an_unfit_label_is_refused(bad):
    with pytest.raises(WorkspaceError, match="cannot be a label"):
        checked_label(bad)


def test_the_quick_and_the_slow_way_know_documents_alike(write_parquet, tmp_path):
    texts = [f"text {i} é" for i in range(3 * FEW)]
    raw = [t.encode() for t in texts]
    raw[5] = b"caf\xe9 is not UTF-8"
    table = pa.table({"text": pa.array(raw, pa.binary()).view(pa.string()), "id": list(range(3 * FEW))})
    corpus = open_corpus(write_parquet("a.parquet", table, row_group_size=50), workspace=tmp_path / "ws")
    quick = pl.concat([identities(corpus, [i, i + 1]) for i in range(0, 3 * FEW, 2)])
    slow = identities(corpus, range(3 * FEW))
    assert quick.equals(slow)
    assert slow["text"][5] == text_hash(raw[5]), "the hash is of the bytes in the file, not of what is shown in their place"
    assert slow["size"].to_list() == [len(t) for t in raw]


def resharded(corpus, folder, **columns):
    """The same documents in another order and in other files."""
    frame = corpus.documents(range(len(corpus))).drop("_row").sample(fraction=1.0, shuffle=True, seed=3).with_columns(**columns)
    folder.mkdir()
    for i in range(3):
        pq.write_table(frame[i::3].to_arrow(), folder / f"part-{i}.parquet", row_group_size=7)
    return open_corpus(folder, workspace=corpus.workspace)


@pytest.mark.parametrize("with_ids", [True, False])
def test_labels_are_found_again_in_other_shards(tiny_corpus, tmp_path, with_ids):
    rows = [0, 7, 31, 59]
    labels = Labels(tiny_corpus.workspace)
    labels.set(tiny_corpus, rows, "good", note="kept")
    other = resharded(tiny_corpus, tmp_path / "other", **({} if with_ids else {"id": pl.lit(None, pl.String)}))
    frame = labels.of(other)
    assert sorted(other.documents(frame["row"])["text"]) == sorted(tiny_corpus.documents(rows)["text"])
    assert set(frame["note"]) == {"kept"}
    labels.set(other, frame["row"][:1], "bad")
    if with_ids:
        assert sorted(said(labels, tiny_corpus).values()) == ["bad", "good", "good", "good"], "it is the same document"
    again = labels.find(other)
    assert (again.placed, again.found, again.unsearched) == (4, 0, 0)


def test_of_copies_the_one_with_the_same_id_is_meant(write_parquet, tmp_path):
    first = open_corpus(write_parquet("a/a.parquet", {"id": ["x", "y"], "text": ["same text", "other"]}), workspace=tmp_path / "ws")
    labels = Labels(first.workspace)
    labels.set(first, [0], "good")
    second = write_parquet("b/b.parquet", {"id": ["p", "x", "q"], "text": ["same text"] * 3})
    assert said(labels, open_corpus(second, workspace=tmp_path / "ws")) == {1: "good"}
    third = write_parquet("c/c.parquet", {"id": ["p", "q"], "text": ["same text"] * 2})
    assert said(labels, open_corpus(third, workspace=tmp_path / "ws")) == {0: "good"}, "else the first with this text"


def test_what_is_not_found_is_counted_with_its_reason(write_parquet, tmp_path):
    first = open_corpus(write_parquet("a/a.parquet", {"id": ["x", "y", "z"], "text": ["one", "two", "three"]}), workspace=tmp_path / "ws")
    labels = Labels(first.workspace)
    labels.set(first, [0, 1, 2], "good")
    second = open_corpus(write_parquet("b/b.parquet", {"id": ["x", "y"], "text": ["one", "two, edited"]}), workspace=tmp_path / "ws")
    assert labels.of(second, look=False).height == 0
    before = labels.found(second)
    assert (before.placed, before.unsearched) == (0, 3)
    found = labels.find(second)
    assert (found.placed, found.found, found.changed, found.absent, found.unsearched) == (1, 1, 1, 1, 0)
    assert "another text than was labelled" in str(found)


def test_a_search_that_is_stopped_remembers_nothing(tiny_corpus, tmp_path):
    labels = Labels(tiny_corpus.workspace)
    labels.set(tiny_corpus, [1], "good")
    other = resharded(tiny_corpus, tmp_path / "other")
    stop = threading.Event()
    stop.set()
    assert labels.find(other, cancel=stop).unsearched == 1
    assert labels.find(other).placed == 1


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("by", ["id", "row", "text_hash"])
def test_labels_travel_by_file(tiny_corpus, tiny_files, tmp_path, ending, by):
    labels = Labels(tiny_corpus.workspace)
    labels.set(tiny_corpus, [2, 33], "good", note='a, "quoted"\nnote')
    labels.set(tiny_corpus, [4], "bad")
    file = tmp_path / f"labels{ending}"
    assert labels.export(file, tiny_corpus) == 3
    frame = pl.read_csv(file) if ending == ".csv" else pl.read_parquet(file)
    keep = frame.select(by, "label", "note")
    keep.write_csv(file) if ending == ".csv" else keep.write_parquet(file)
    fresh = open_corpus(tiny_files, workspace=tmp_path / "fresh")
    other = Labels(fresh.workspace)
    step, unknown = other.load(file, fresh)
    assert (step.documents, step.changed, unknown) == (3, 3, ())
    assert said(other, fresh) == {2: "good", 33: "good", 4: "bad"}
    assert other.of(fresh)["note"].to_list() == ['a, "quoted"\nnote', "", 'a, "quoted"\nnote']
    other.undo()
    assert said(other, fresh) == {}, "an import is one step"


def test_import_says_what_is_unknown_and_what_is_missing(tiny_corpus, tmp_path):
    labels = Labels(tiny_corpus.workspace)
    pl.DataFrame({"id": ["d001", "nobody"], "label": ["good", "bad"]}).write_csv(tmp_path / "a.csv")
    step, unknown = labels.load(tmp_path / "a.csv", tiny_corpus)
    assert (step.changed, unknown) == (1, ("nobody",))
    pl.DataFrame({"id": ["d001"], "verdict": ["good"]}).write_csv(tmp_path / "b.csv")
    with pytest.raises(ColumnNotFoundError, match="'label' is not in"):
        labels.load(tmp_path / "b.csv", tiny_corpus)
    with pytest.raises(WorkspaceError, match="does not say which documents"):
        labels.load(tmp_path / "a.csv")
    pl.DataFrame({"text_hash": ["zz"], "label": ["good"]}).write_csv(tmp_path / "c.csv")
    with pytest.raises(WorkspaceError, match="no text hash"):
        labels.load(tmp_path / "c.csv")
    with pytest.raises(WorkspaceError, match=r"neither \.csv nor \.parquet"):
        labels.export(tmp_path / "d.json")


WRITER = """
import sys
from explorer.corpus.corpus import open_corpus
from explorer.labels import Labels
corpus = open_corpus(sys.argv[1], workspace=sys.argv[2])
labels = Labels(corpus.workspace, sys.argv[3])
for row in range(int(sys.argv[4]), 60, 2):
    labels.set(corpus, [row], sys.argv[3])
"""


def test_two_processes_and_threads_write_at_once(tiny_corpus, tiny_files):
    line = [sys.executable, "-c", WRITER, str(tiny_files), str(tiny_corpus.workspace.path)]
    running = [subprocess.Popen([*line, name, str(start)], stderr=subprocess.PIPE) for name, start in (("even", 0), ("odd", 1))]
    labels = Labels(tiny_corpus.workspace, "thread")
    failed = []

    def write(n):
        try:
            for _ in range(10):
                labels.set(tiny_corpus, [n], f"t{n}")
                labels.undo()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in running:
        assert process.wait(120) == 0, process.stderr.read().decode()
        process.stderr.close()
    assert failed == []
    frame = labels.of(tiny_corpus)
    done = {row: label for row, label in frame.select("row", "label").iter_rows() if row > 1}
    assert done == {row: ("odd" if row % 2 else "even") for row in range(2, 60)}
    with sqlite3.connect(labels.path) as held:
        assert held.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    held.close()


def test_ten_thousand_labels_are_one_step(write_parquet, tmp_path):
    path = write_parquet("a.parquet", {"text": [f"document {i}" for i in range(10_000)]}, row_group_size=3000)
    corpus = open_corpus(path, workspace=tmp_path / "ws")
    labels = Labels(corpus.workspace)
    assert labels.set(corpus, range(10_000), "good").changed == 10_000
    assert labels.of(corpus)["row"].to_list() == list(range(10_000))
    labels.undo()
    assert labels.counts() == {}


def test_a_damaged_file_is_one_clear_message(tiny_corpus):
    labels = Labels(tiny_corpus.workspace)
    labels.set(tiny_corpus, [1], "good")
    for ending in ("", "-wal", "-shm"):
        path = labels.path.with_name(labels.path.name + ending)
        path.unlink(missing_ok=True)
    labels.path.write_bytes(b"this is no database, whatever it says" * 100)
    with pytest.raises(WorkspaceError, match="cannot be used"):
        labels.of(tiny_corpus)
