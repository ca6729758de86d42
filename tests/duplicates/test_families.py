"""The families as signals, and groups, keepers and savings read back from their columns."""

import numpy as np
import pytest
from planted import BASE, DOCUMENTS, EXACT, NEAR, NORMALISED, changed, numbers

from explorer.duplicates import groups as g
from explorer.duplicates.keepers import RULES, keepers, worth
from explorer.duplicates.minhash import similarities
from explorer.duplicates.savings import TOTAL, savings, shared_sources
from explorer.errors import ColumnNotFoundError, SignalError
from explorer.registry import families

FAMILIES = ("exact_duplicates", "minhash", "repeated_lines")


@pytest.fixture
def scored(make_corpus):
    corpus = make_corpus()
    corpus.score(FAMILIES, on_progress=lambda progress: None)
    return corpus


def keep_of(group):
    """The lowest number of each group."""
    return [None if v is None else int(v == i) for i, v in enumerate(group)]


def test_columns(scored):
    column = scored.columns.numbers
    for expected, names in (
        (EXACT, ("exact_group", "exact_group_size", "exact_keep")),
        (NORMALISED, ("normalised_group", "normalised_group_size", "normalised_keep")),
        (NEAR, ("minhash_cluster_id", "minhash_cluster_size", "minhash_keep")),
    ):
        assert numbers(column(names[0])) == expected
        assert numbers(column(names[1])) == [None if v is None else expected.count(v) for v in expected]
        assert numbers(column(names[2])) == keep_of(expected)
    assert column("minhash_max_jaccard")[1] == pytest.approx(similarities([BASE, changed(BASE, 60)])[0, 1])
    assert numbers(column("shared_lines"))[:6] == [1, 0, 0, 0, 1, 1]
    assert scored.sql("SELECT count(*) AS n FROM corpus WHERE minhash_keep = 1")["n"][0] == 4


def test_families_are_documented_and_defaults_are_stated():
    for name in (*FAMILIES, "semantic_duplicates"):
        family = families()[name]
        assert family.scope == "corpus"
        assert family.about
        assert family.source
        assert all(s.about.endswith(".") and s.misleads for s in family.signals)
    assert families()["minhash"].defaults == {"preset": "fineweb", "keeper": "first", "verify": 0.0, "reference": False}


def test_another_keeper_reads_no_text(scored, monkeypatch):
    monkeypatch.setattr("explorer.corpus.reading.each_batch", None)
    monkeypatch.setattr("explorer.duplicates.near.each_batch", None)
    scored.score("minhash", parameters={"minhash": {"keeper": "source:wiki"}}, on_progress=lambda progress: None)
    assert numbers(scored.columns.numbers("minhash_keep")) == [0, 0, 1, 1, 1, 0, None, None, None, None, None, None, 1, 0]


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("first", {0, 4}),
        ("last", {13, 5}),
        ("longest", {1, 4}),  # "altered" is longer than the word it replaced; of equals the lowest number
        ("newest", {1, 5}),
        ("oldest", {13, 5}),  # a document without a date loses
        ("highest:stars", {1, 5}),
        ("lowest:stars", {0, 5}),
        ("source:wiki", {3, 4}),
        ("source:books, web", {1, 5}),
    ],
)
def test_keeper_rules(scored, rule, kept):
    group = g.grouping(scored, "minhash").group
    keep = keepers(group, worth(scored, rule))
    assert set(np.flatnonzero(keep)) == kept | {2, 12}
    assert not keep[group < 0].any()
    assert any(rule.partition(":")[0] == name.partition(":")[0] for name in RULES)


def test_keeper_rules_that_cannot_be_applied(scored, write_parquet, tmp_path):
    from explorer.corpus.corpus import open_corpus

    with pytest.raises(SignalError, match=r"No keeper rule is called 'tallest'. Rules: first, last, longest"):
        worth(scored, "tallest")
    with pytest.raises(SignalError, match="No keeper rule is called 'highest:'"):
        worth(scored, "highest:")
    with pytest.raises(SignalError, match=r"No document comes from source 'arxiv'. Sources: 'web'"):
        worth(scored, "source:arxiv")
    with pytest.raises(ColumnNotFoundError, match="'moons'"):
        worth(scored, "highest:moons")
    write_parquet("bare/a.parquet", {"text": ["a"]})
    with pytest.raises(SignalError, match="needs a date, and no column of the corpus is one"):
        worth(open_corpus(tmp_path / "bare", workspace=tmp_path / "bare-ws"), "newest")


def test_keepers_by_hand():
    group = np.array([0, 0, -1, 3, 0, 3])
    assert keepers(group).tolist() == [True, False, False, True, False, False]
    assert keepers(group, np.array([1, np.nan, 9, 2, 1, 2.0])).tolist() == [True, False, False, True, False, False]
    assert keepers(group, np.array([1, 5, 9, 2, 1, 3.0])).tolist() == [False, True, False, False, False, True]
    assert keepers(np.zeros(0, np.int64)).tolist() == []


def test_groups_are_read_back(scored):
    frame = g.groups(scored, "minhash")
    assert frame["group"].to_list() == [0, 4]
    assert frame["documents"].to_list() == [4, 2]
    assert frame["kept"].to_list() == [0, 4]
    assert frame["ids"].to_list() == [["a0", "a1", "a2", "a3"], ["c0", "c1"]]
    assert frame["sources"].to_list()[0] == [
        {"source": "web", "documents": 2},
        {"source": "books", "documents": 1},
        {"source": "wiki", "documents": 1},
    ]
    tokens = scored.columns.tokens().values
    assert frame["tokens"][0] == pytest.approx(tokens[[0, 1, 3, 13]].sum())
    assert frame["tokens_saved"][0] == pytest.approx(tokens[[1, 3, 13]].sum())
    assert frame["lowest"][0] == pytest.approx(similarities([BASE, changed(BASE, 60)])[0, 1])
    assert frame["highest"].to_list() == [1, 1]
    assert g.groups(scored, "minhash", limit=1, offset=1)["group"].to_list() == [4]
    assert g.groups(scored, "minhash", sort="similarity")["group"].to_list() == [0, 4]
    assert g.groups(scored, "minhash", sort="savings")["group"].to_list() == [0, 4]
    assert g.count(scored, "exact") == 3
    assert g.count(scored, "normalised") == 3


def test_groups_within_a_selection_and_with_another_keeper(scored):
    within = np.isin(np.arange(len(scored)), [1, 3, 4])
    frame = g.groups(scored, "minhash", within=within)
    assert (frame["group"].to_list(), frame["documents"].to_list(), frame["ids"].to_list()) == ([0], [2], [["a1", "a2"]])
    assert frame["kept"].to_list() == [None]  # the one that stays is not in the selection
    keep = keepers(g.grouping(scored, "minhash").group, worth(scored, "newest"))
    assert g.groups(scored, "minhash", keep=keep)["kept"].to_list() == [1, 5]
    assert g.count(scored, "minhash", within) == 1
    assert g.groups(scored, "minhash", within=np.zeros(len(scored), bool)).is_empty()


def test_members_and_pairs(scored):
    frame = g.members(scored, "minhash", 0)
    assert frame["row"].to_list() == [0, 1, 3, 13]
    assert frame["id"].to_list() == ["a0", "a1", "a2", "a3"]
    assert frame["source"].to_list() == ["web", "books", "wiki", "web"]
    assert frame["keep"].to_list() == [True, False, False, False]
    near = similarities([BASE, changed(BASE, 60)])[0, 1]
    assert frame["similarity"].to_list() == pytest.approx([1, near, 1, 1])
    compared = g.pairs(scored, "minhash", 0)
    assert compared.select("id_a", "id_b").rows() == [("a0", "a1"), ("a0", "a2"), ("a0", "a3")]
    assert compared["similarity"].to_list() == pytest.approx([near, 1, 1])
    assert g.pairs(scored, "exact", 9).rows() == [(9, "empty", 10, "empty2", 1.0)]
    with pytest.raises(SignalError, match="No group of 'minhash' duplicates is called 2"):
        g.members(scored, "minhash", 2)
    assert g.report(scored, "minhash")["groups"] == 2


def test_what_has_not_been_computed(make_corpus):
    corpus = make_corpus(name="bare")
    with pytest.raises(SignalError, match=r"'minhash' have not been searched \(0 of 14 documents\).*explorer score PATH -s minhash"):
        g.groups(corpus, "minhash")
    with pytest.raises(SignalError, match=r"No kind of duplicates is called .fuzzy.\. Kinds: exact, normalised, minhash, semantic"):
        g.groups(corpus, "fuzzy")


def test_savings(scored):
    keep = g.grouping(scored, "minhash").keep
    frame = savings(scored, keep)
    total = frame.filter(frame["source"] == TOTAL).row(0, named=True)
    assert (total["documents"], total["documents_saved"]) == (14, 4)
    for column in ("documents", "documents_saved", "tokens", "tokens_saved", "bytes", "bytes_saved"):
        assert frame.filter(frame["source"] != TOTAL)[column].sum() == pytest.approx(total[column])
    sizes = [0 if d[1] is None else len(d[1].encode()) for d in DOCUMENTS]
    assert total["bytes"] == sum(sizes)
    assert total["bytes_saved"] == sum(sizes[i] for i in (1, 3, 5, 13))
    by_name = {row["source"]: row for row in frame.iter_rows(named=True)}
    assert {name: by_name[name]["documents_saved"] for name in ("web", "books", "wiki")} == {"web": 1, "books": 2, "wiki": 1}
    assert total["tokens_saved_fraction"] == pytest.approx(total["tokens_saved"] / total["tokens"])
    few = savings(scored, keep, within=np.arange(14) < 2)
    assert few.row(-1, named=True)["documents_saved"] == 1
    shared = shared_sources(scored, g.grouping(scored, "minhash").group)
    assert shared.rows() == [("books", "web", 2), ("books", "wiki", 1), ("web", "wiki", 1)]


def test_groups_when_there_are_none(make_corpus):
    corpus = make_corpus([DOCUMENTS[2], DOCUMENTS[12]], "alone")
    corpus.score("minhash", on_progress=lambda progress: None)
    assert g.groups(corpus, "minhash").is_empty()
    assert g.count(corpus, "minhash") == 0
    assert savings(corpus, g.grouping(corpus, "minhash").keep).row(-1, named=True)["documents_saved"] == 0
    assert shared_sources(corpus, g.grouping(corpus, "minhash").group).is_empty()
