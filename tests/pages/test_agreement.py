"""Agreement on the Signals page: the figures are the library's, what low is good in is turned, hostile names are text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pages.conftest import APP, html
from pages.corpora import HOSTILE, hostile_corpus

from explorer.corpus.corpus import open_corpus
from explorer.selection import agreement

SAMPLE = APP.parent / "sample_data" / "corpus"


@pytest.fixture
def section(app):
    def start(*arguments, **options):
        at = app(*arguments, **options).run().switch_page("pages/signals.py").run()
        at.toggle(key="sig_agree").set_value(True)
        return at.run()

    return start


def fine(at):
    assert not at.exception
    assert not at.error, [e.value for e in at.error]
    return at


def choose(at, first, second):
    at.selectbox(key="agree_first").set_value(first)
    at.selectbox(key="agree_second").set_value(second)
    return fine(at.run())


def table(at, column):
    return next(d.value for d in at.dataframe if column in d.value)


def test_figures_are_those_of_the_library(section, tmp_path):
    corpus = open_corpus(SAMPLE, workspace=tmp_path / "workspace")
    corpus.score("gopher_quality", on_progress=lambda _: None)
    at = choose(section(SAMPLE), "edu_rating", "gopher_alpha_word_frac")
    pair = agreement.ranked(corpus.columns.numbers("edu_rating"), corpus.columns.numbers("gopher_alpha_word_frac"))
    rho = agreement.spearman(pair)
    said = html(at)
    assert f"{rho.value:+.3f}" in said
    assert f"({rho.low:+.3f} to {rho.high:+.3f})" in said
    assert f"over {pair.documents} documents" in said
    assert f"{pair.only_second} have only gopher_alpha_word_frac" in said
    shared = [o.share.value for o in agreement.overlaps(pair)]
    assert table(at, "shared")["shared"].tolist() == pytest.approx(shared)
    inside = agreement.by_group(pair, corpus.columns.groups("source"))
    shown = table(at, "difference").set_index("group")["spearman"]
    for name, value in inside.select("group", "spearman").iter_rows():
        assert shown[name] == pytest.approx(value, nan_ok=True) if value is not None else np.isnan(shown[name])
    bias = agreement.bias(corpus.columns.numbers("edu_rating"), corpus.columns.groups("source", 24))
    assert table(at, "share_0")["share_0"].tolist() == pytest.approx(bias["kept_share"].to_list())


def test_the_most_disagreed_are_read_side_by_side(section, tmp_path):
    corpus = open_corpus(SAMPLE, workspace=tmp_path / "workspace")
    at = choose(section(SAMPLE), "edu_rating", "edu_score")
    pair = agreement.ranked(corpus.columns.numbers("edu_rating"), corpus.columns.numbers("edu_score"))
    one, other = agreement.disagreements(pair, 6)
    said = html(at)
    for row in (*one, *other):
        assert f"row {row:,}<" in said
    # among one source alone
    within = at.selectbox(key="agree_within")
    code = corpus.columns.groups("source").labels.index("speeches")
    within.set_value(code + 1).run()
    rows, _ = agreement.disagreements(pair, 6, among=corpus.columns.groups("source").codes[pair.rows] == code)
    assert all(f"row {row:,}<" in html(fine(at)) for row in rows)


def test_low_is_good_is_turned_round_and_said(section, tmp_path):
    corpus = open_corpus(SAMPLE, workspace=tmp_path / "workspace")
    corpus.score("gopher_repetition", on_progress=lambda _: None)
    at = choose(section(SAMPLE), "rep_dup_line_frac", "rep_dup_line_char_frac")
    assert "Low is good in rep_dup_line_frac and in rep_dup_line_char_frac" in html(at)
    at = choose(at, "edu_rating", "rep_dup_line_frac")
    pair = agreement.ranked(*(corpus.columns.numbers(c) for c in ("edu_rating", "rep_dup_line_frac")), turned=(False, True))
    assert f"{agreement.spearman(pair).value:+.3f}" in html(at)


def test_group_numbers_are_no_scorers(section, tmp_path):
    corpus = open_corpus(SAMPLE, workspace=tmp_path / "workspace")
    corpus.score("exact_duplicates", on_progress=lambda _: None)
    at = fine(section(SAMPLE))
    assert "exact_group" not in at.selectbox(key="agree_first").options
    assert at.selectbox(key="agree_first").value == "edu_rating"


def test_the_same_one_twice_and_too_few(section, bare_corpus):
    at = section(SAMPLE)
    assert "Choose two different ones" in " ".join(c.value for c in choose(at, "edu_rating", "edu_rating").caption)
    assert "Two computed signals" in " ".join(c.value for c in fine(section(bare_corpus, "--text", "prose")).caption)


def test_a_constant_column_cannot_be_compared_and_hostile_names_are_text(section, tmp_path):
    at = choose(section(hostile_corpus(tmp_path)), "constant", HOSTILE)
    assert "cannot be compared" in at.info[0].value
    path = tmp_path / "two.parquet"
    rng = np.random.default_rng(0)
    columns = {
        HOSTILE: rng.random(40),
        "b": rng.random(40),
        "source": [HOSTILE, "'; DROP"] * 20,
        "text": [f"<u>{i}</u>" for i in range(40)],
    }
    pq.write_table(pa.table(columns), path)
    at = choose(section(path), HOSTILE, "b")
    said = html(at)
    assert "<img" not in said
    assert "<u>" not in said
