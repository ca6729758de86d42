"""Near-duplicates from text to groups: planted groups, chains, order, threads, hostile texts, and reasons for nothing."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from planted import BASE, DOCUMENTS, NEAR, changed, passage

from explorer.corpus.corpus import open_corpus
from explorer.duplicates import candidates as candidates_module
from explorer.duplicates import scratch as scratch_module
from explorer.duplicates import store
from explorer.duplicates.candidates import candidates
from explorer.duplicates.minhash import SCHEMES, Scheme, similarities
from explorer.duplicates.near import explain, group_batch, near_duplicates
from explorer.errors import SignalError
from explorer.primitives.batch import Batch

FINEWEB = SCHEMES["fineweb"]


def groups_of(group):
    found = {}
    for i, g in enumerate(group):
        if g >= 0:
            found.setdefault(int(g), set()).add(i)
    return {frozenset(v) for v in found.values()}


@pytest.mark.parametrize("reference", [False, True])
def test_planted_groups(make_corpus, reference):
    corpus = make_corpus()
    found = near_duplicates(corpus, FINEWEB, reference=reference)
    assert [None if g < 0 else int(g) for g in found.columns["group"]] == NEAR
    similarity = found.columns["similarity"]
    assert similarity[0] == similarity[3] == similarity[13] == similarity[4] == 1
    assert similarity[1] == pytest.approx(similarities([BASE, changed(BASE, 60)])[0, 1])
    assert np.isnan(similarity[[2, 6, 8, 9, 12]]).all()
    assert (found.report["short"], found.report["null"], found.report["groups"], found.report["in_groups"]) == (5, 1, 2, 6)
    pairs = pq.read_table(found.folder / "pairs.parquet").to_pylist()
    assert [(p["group"], p["row_a"], p["row_b"]) for p in pairs] == [(0, 0, 1), (0, 0, 3), (0, 0, 13), (4, 4, 5)]
    assert "2 groups hold 6 of 14 documents; the largest has 4" in explain(found.report, FINEWEB)
    assert "5 have fewer than 5 words and 1 are null" in explain(found.report, FINEWEB)


def test_the_same_in_memory_and_in_every_order(make_corpus):
    texts = [d[1] for d in DOCUMENTS]
    expected = groups_of(group_batch(Batch.of(texts), FINEWEB).group)
    assert expected == groups_of([-1 if g is None else g for g in NEAR])
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(texts))
        found = group_batch(Batch.of([texts[i] for i in order]), FINEWEB)
        assert {frozenset(int(order[i]) for i in g) for g in groups_of(found.group)} == expected
        assert all(min(g) == found.group[next(iter(g))] for g in groups_of(found.group))


def test_the_same_however_many_threads(make_corpus):
    rng = np.random.default_rng(0)
    documents = [(str(i), changed(passage(int(rng.integers(60))), int(rng.integers(120))), "s", None, None) for i in range(300)]
    answers = []
    for workers in (1, 2, 7):
        found = near_duplicates(make_corpus(documents, f"threads{workers}", 40), FINEWEB, workers=workers)
        answers.append(
            (found.columns, pq.read_table(found.folder / "pairs.parquet"), {k: v for k, v in found.report.items() if k != "parameters"})
        )
    assert answers[0][2]["groups"] >= 50
    for columns, pairs, report in answers[1:]:
        np.testing.assert_array_equal(columns["group"], answers[0][0]["group"])
        np.testing.assert_array_equal(columns["similarity"], answers[0][0]["similarity"])
        assert pairs.equals(answers[0][1])
        assert report == answers[0][2]


def chain(steps, length=400, each=12):
    """Texts that each differ from the next in a stretch of words of their own: neighbours are alike, the ends are not."""
    words = passage(9, length).split()
    made = [" ".join(words)]
    for k in range(steps):
        words = list(words)
        words[k * each : (k + 1) * each] = passage(100 + k, each).split()
        made.append(" ".join(words))
    return made


def test_groups_chain_and_verify_cuts_the_chain():
    texts = chain(24)
    exact = similarities(texts)
    assert exact[0, -1] < 0.4 < 0.85 < np.diag(exact, 1).min()
    loose = group_batch(Batch.of(texts), FINEWEB)
    assert (loose.group == 0).all()  # as FineWeb: connected is enough
    limit = 0.999
    strict = group_batch(Batch.of(texts), FINEWEB, verify=limit)
    assert len(set(strict.group)) == len(texts)
    assert strict.report["refused"] > 0
    assert strict.report["closest_refused"] == pytest.approx(max(exact[i, j] for i, j in zip(loose.a, loose.b, strict=True)))
    assert "the closest has Jaccard similarity 0.9" in explain(strict.report, FINEWEB)


def test_every_compared_pair_has_its_exact_similarity():
    texts = [changed(passage(k % 7), *range(0, 3 * (k // 7), 3)) for k in range(42)]
    found = group_batch(Batch.of(texts), FINEWEB)
    exact = similarities(texts)
    assert len(found.a) > 20
    np.testing.assert_allclose(found.jaccard, exact[found.a, found.b])
    for i in range(len(texts)):
        mine = found.jaccard[(found.a == i) | (found.b == i)]
        assert np.isnan(found.similarity[i]) if not len(mine) else found.similarity[i] == pytest.approx(mine.max())


def test_many_documents_in_one_band_are_thinned_and_stay_one_group(monkeypatch):
    texts = [changed(BASE, k) for k in range(100)]
    whole = group_batch(Batch.of(texts), Scheme(5, 14, 2))
    assert whole.report["thinned"] > 0
    assert (whole.group == 0).all()
    keys = np.zeros(200, np.uint64)
    found = candidates(lambda band: keys, 2)
    pairs = set(zip(found.a.tolist(), found.b.tolist(), strict=True))
    assert pairs == {(0, k) for k in range(1, 200)} | {(k, k + 1) for k in range(199)}
    assert found.thinned == 2
    keys = np.arange(candidates_module.WHOLE, dtype=np.uint64) // np.uint64(candidates_module.WHOLE)
    assert len(candidates(lambda band: keys, 1).a) == 64 * 63 // 2


def test_hostile_texts():
    line = "lorem ipsum dolor sit amet consectetur " * 130_000  # 5 MB without a newline
    texts = [
        line,
        line + "x",
        b"\xff\xfe broken \x80 bytes in a row here",
        b"\xff\xfe broken \x80 bytes in a row here",
        "x" * 5_000_000,
        "",
        None,
        "日本語 " * 20,
    ]
    found = group_batch(Batch.of(texts), FINEWEB)
    assert groups_of(found.group) == {frozenset({0, 1}), frozenset({2, 3}), frozenset({7})}
    assert found.group.tolist() == [0, 0, 2, 2, -1, -1, -1, 7]


def test_nothing_is_explained(make_corpus):
    alone = near_duplicates(make_corpus([DOCUMENTS[2], DOCUMENTS[12]], "alone"), FINEWEB)
    assert explain(alone.report, FINEWEB).startswith("0 near-duplicates among 2 documents: no two share any of the 14 bands.")
    assert "0.8 would with probability 92.4%" in explain(alone.report, FINEWEB)
    short = near_duplicates(make_corpus([DOCUMENTS[6], DOCUMENTS[8]], "short"), FINEWEB)
    assert "fewer than two can be compared" in explain(short.report, FINEWEB)
    assert "1 have fewer than 5 words and 1 are null" in explain(short.report, FINEWEB)
    with pytest.raises(SignalError, match=r"verify=1\.5 is no Jaccard similarity"):
        near_duplicates(make_corpus(), FINEWEB, verify=1.5)


def test_an_empty_corpus(write_parquet, tmp_path):
    import pyarrow as pa

    write_parquet("none/a.parquet", pa.table({"text": pa.array([], pa.string())}))
    corpus = open_corpus(tmp_path / "none", workspace=tmp_path / "ws")
    found = near_duplicates(corpus, FINEWEB)
    assert len(found.columns["group"]) == 0
    assert "0 near-duplicates among 0 documents" in explain(found.report, FINEWEB)


def test_a_second_run_reads_what_the_first_found(make_corpus, monkeypatch):
    corpus = make_corpus()
    first = near_duplicates(corpus, FINEWEB)

    def no_reading(*arguments, **named):
        raise AssertionError("texts were read again")

    monkeypatch.setattr("explorer.duplicates.near.each_batch", no_reading)
    again = near_duplicates(corpus, FINEWEB)
    np.testing.assert_array_equal(again.columns["group"], first.columns["group"])
    np.testing.assert_array_equal(again.columns["similarity"], first.columns["similarity"])
    with pytest.raises(AssertionError, match="read again"):
        near_duplicates(corpus, SCHEMES["redpajama-0.8"])
    (store.folder_of(corpus, "minhash", dict(first.report["parameters"])) / "report.json").unlink()  # half a result is none
    with pytest.raises(AssertionError, match="read again"):
        near_duplicates(corpus, FINEWEB)


def test_large_arrays_lie_in_a_file_and_give_the_same(make_corpus, monkeypatch, tmp_path):
    expected = near_duplicates(make_corpus(), FINEWEB).columns["group"]
    monkeypatch.setattr(scratch_module.scratch, "__defaults__", (None, 0))
    assert isinstance(scratch_module.scratch((2, 3), np.uint64, tmp_path), np.memmap)
    found = near_duplicates(make_corpus(name="mapped"), FINEWEB).columns["group"]
    np.testing.assert_array_equal(found, expected)
    assert not [p for p in (tmp_path / "mapped-ws" / "duplicates").iterdir() if p.is_file()]


def test_a_run_can_be_stopped(make_corpus):
    class Stop(Exception):
        pass

    def step(done, total, doing):
        if doing.startswith("grouping"):
            raise Stop

    corpus = make_corpus()
    with pytest.raises(Stop):
        near_duplicates(corpus, FINEWEB, step=step)
    assert store.load(corpus, "minhash", {"ngram": 5, "bands": 14, "rows": 8, "reference": False, "verify": 0.0}) is None
