"""Filters side by side and by group, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.corpus.corpus import open_corpus
from explorer.selection.compare import compare, kept_by, length_groups
from explorer.selection.filters import Filters
from explorer.selection.threshold import Threshold


def test_shares_and_overlaps(tiny_corpus):
    values = tiny_corpus.columns.numbers("stars")
    filters = {
        "some": Filters((Threshold("stars", minimum=2),)),
        "few": Filters((Threshold("stars", minimum=4),)),
        "none": Filters((Threshold("stars", minimum=9),)),
    }
    found = compare(tiny_corpus, filters)
    some, few = np.count_nonzero(values >= 2), np.count_nonzero(values >= 4)
    assert found.kept["documents"].to_list() == [some, few, 0]
    assert found.kept["share"].to_list() == [some / 60, few / 60, 0]
    tokens = tiny_corpus.columns.tokens().values
    assert found.kept["token_share"][0] == pytest.approx(tokens[values >= 2].sum() / tokens.sum())
    assert found.overlap[0].tolist() == [1, few / some, 0]
    assert found.overlap[1].tolist() == [1, 1, 0]
    assert np.isnan(found.overlap[2]).all()  # a share of nothing is undefined, not 0
    assert found.estimated


def test_kept_by_group(tiny_corpus):
    selection = tiny_corpus.select(Threshold("stars", minimum=2))
    frame = kept_by(selection, tiny_corpus.columns.groups("source"))
    values, tokens = tiny_corpus.columns.numbers("stars"), tiny_corpus.columns.tokens().values
    for row in frame.iter_rows(named=True):
        here = np.arange(60) < 30 if row["group"] == "web" else np.arange(60) >= 30
        assert row["documents"] == 30
        assert row["kept_documents"] == np.count_nonzero(here & (values >= 2))
        assert row["kept_tokens"] == pytest.approx(tokens[here & (values >= 2)].sum())
        assert row["kept_token_share"] == pytest.approx(tokens[here & (values >= 2)].sum() / tokens[here].sum())
    assert kept_by(selection, tiny_corpus.columns.groups("source")).drop("group").sum().row(0)[:2] == (60, np.count_nonzero(values >= 2))


def test_groups_of_length_hold_every_document_once(tiny_corpus):
    groups, edges = length_groups(tiny_corpus)
    tokens = tiny_corpus.columns.tokens().values
    assert len(groups.labels) == len(edges) - 1
    for code in range(len(groups.labels)):
        here = tokens[groups.codes == code]
        assert edges[code] <= here.min()
        assert here.max() <= edges[code + 1]
    assert np.bincount(groups.codes).sum() == 60


def test_documents_of_one_length_are_one_group(write_parquet, tmp_path):
    corpus = open_corpus(write_parquet("same.parquet", {"text": ["abcd"] * 7}), workspace=tmp_path / "w")
    groups, _ = length_groups(corpus)
    assert len(groups.labels) == 1
    assert (groups.codes == 0).all()


def test_a_corpus_without_documents_has_no_shares(write_parquet, tmp_path):
    import pyarrow as pa

    corpus = open_corpus(write_parquet("none.parquet", pa.table({"text": pa.array([], pa.string())})), workspace=tmp_path / "w")
    found = compare(corpus, {"all": Filters()})
    assert found.kept.row(0) == ("all", 0, None, 0.0, None)
    assert np.isnan(found.overlap).all()
    assert kept_by(corpus.select(), corpus.columns.groups("source")).is_empty()
    assert length_groups(corpus)[0].labels == ()
