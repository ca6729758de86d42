"""Duplicates: empty says what it would show, ready shows groups and what keeping one saves, partial says so, hostile text is text."""

from __future__ import annotations

import json
import re
from itertools import product

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pages.conftest import APP, html
from pages.corpora import HOSTILE

from explorer.corpus.corpus import open_corpus
from explorer.duplicates.groups import grouping, groups
from explorer.duplicates.keepers import keepers, worth
from explorer.duplicates.minhash import similarities
from explorer.duplicates.savings import savings
from explorer.engine.whole import write_columns
from explorer.registry import find
from explorer.selection.threshold import Threshold
from explorer.ui.duplicate_groups import jaccard_with
from explorer.ui.duplicate_keepers import keep_column

SAMPLE = APP.parent / "sample_data"
CORPUS = SAMPLE / "corpus"
LONG = "The harbour master wrote every evening how many boats had come in, what they carried, and who had paid the toll at the gate. "


@pytest.fixture
def page(app):
    def start(*arguments, **options):
        return app(*arguments, **options).run().switch_page("pages/duplicates.py").run()

    return start


@pytest.fixture
def scored(tmp_path):
    """The sample corpus, searched for every kind that needs no model, in the workspace the app will open."""
    corpus = open_corpus(CORPUS, workspace=tmp_path / "workspace")
    corpus.score(["exact_duplicates", "minhash", "repeated_lines"], on_progress=lambda _: None)
    return corpus


def fine(at):
    assert not at.exception
    assert not at.error, [e.value for e in at.error]
    return at


def near(name="near"):
    return next(k for k, v in json.loads((SAMPLE / "planted.json").read_text()).items() if v["kind"] == f"{name}_duplicate")


def corpus_of(folder, texts, **columns):
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": [f"d{i}" for i in range(len(texts))], "text": texts, **columns}), folder / "part.parquet")
    return folder


def test_before_a_search_every_kind_says_what_it_would_show(page):
    at = fine(page(CORPUS))
    assert "Nothing has been searched yet" in html(at)
    for kind, said in (("exact", "byte for byte"), ("normalised", "case, punctuation"), ("near", "MinHash"), ("lines", "licence headers")):
        at.segmented_control(key="dup_kind").set_value(kind).run()
        assert said in fine(at).info[0].value
        assert at.button(key=f"dup_search_{kind}").label == "Search 894 documents"
    at.segmented_control(key="dup_kind").set_value("meaning").run()
    assert "Make them first" in " ".join(c.value for c in fine(at).caption)  # it needs embeddings, and offers them
    assert not [b for b in at.button if b.key == "dup_search_meaning"]


def test_a_corpus_without_rows(page, empty_corpus):
    assert "nothing to compare" in html(fine(page(empty_corpus)))


@pytest.mark.thorough
def test_the_answer_has_the_figures_of_the_library(page, scored):
    at = fine(page(CORPUS))
    found = grouping(scored, "minhash")
    said = html(at)
    assert f'near: <b title="{len(found.rows)}">{len(found.rows)}</b> documents in {len(found.names)} groups' in said
    table = savings(scored, found.keep)
    assert f"Keeping the first of each group (near) drops <b>{table['documents_saved'][-1]}</b> documents" in said
    shown = next(d.value for d in at.dataframe if "dropped" in d.value)
    assert shown["dropped"].tolist() == table["documents_saved"].to_list()
    assert shown["tokens"].tolist() == pytest.approx(table["tokens_saved"].to_list())


@pytest.mark.parametrize("kind", ["exact", "normalised", "near", "lines"])
def test_every_kind_is_drawn(page, scored, kind):
    at = page(CORPUS)
    at.segmented_control(key="dup_kind").set_value(kind).run()
    fine(at)
    if kind == "lines":
        top = pl.read_parquet(scored.coverage().of("repeated_line_char_frac").folder / "lines.parquet")
        assert at.dataframe[0].value["line"].tolist() == top["line"].to_list()
        assert 'class="repeat"' in html(at)
    else:
        assert "stays" in html(at)


def test_a_planted_copy_is_found_by_its_id_and_shown_beside_the_original(page, scored):
    planted = json.loads((SAMPLE / "planted.json").read_text())
    for copy in (k for k, v in planted.items() if v["kind"] == "near_duplicate"):
        ids = scored.documents(np.arange(len(scored)), ["id"])["id"].to_list()
        rows = ids.index(copy), ids.index(planted[copy]["of"])
        group = grouping(scored, "minhash").group[list(rows)]
        if group[0] == group[1]:
            break
    at = page(CORPUS)
    at.text_input(key="dup_find").set_value(copy).run()
    said = html(fine(at))
    assert copy in said
    assert planted[copy]["of"] in said
    assert "<del>" in said
    assert "<ins>" in said
    assert at.session_state.dup_group == group[0]


def test_an_id_without_a_copy_and_one_that_is_not_there(page, scored):
    at = page(CORPUS)
    alone = int(np.flatnonzero(scored.columns.numbers("minhash_cluster_size") == 1)[0])
    at.text_input(key="dup_find").set_value(f"row {alone}").run()
    assert "alone in its group" in fine(at).info[0].value
    at.text_input(key="dup_find").set_value("![x](http://evil.example)' OR 1=1 --").run()
    assert "No document has the id" in fine(at).info[0].value
    assert "![x](" not in at.info[0].value


def test_keeping_one_changes_the_selection_and_undo_takes_it_back(page, scored, tmp_path):
    at = fine(page(CORPUS))
    at.button(key="dup_keep").click().run()
    (rule,) = fine(at).session_state.filters.filters
    assert rule == Threshold("minhash_keep", minimum=1, nulls="keep")
    found = grouping(scored, "minhash")
    assert len(open_corpus(CORPUS, workspace=tmp_path / "workspace").select(rule)) == len(scored) - (~found.keep).sum()
    at.button(key="bar_undo").click().run()
    assert not fine(at).session_state.filters


def test_the_longest_stays_where_that_is_the_rule(page, scored, tmp_path):
    at = page(CORPUS)
    at.selectbox(key="dup_rule").set_value("longest").run()
    keep = keepers(grouping(scored, "minhash").group, worth(scored, "longest"))
    expected = savings(scored, keep | (grouping(scored, "minhash").group < 0))
    shown = next(d.value for d in fine(at).dataframe if "dropped" in d.value)
    assert shown["tokens"].tolist() == pytest.approx(expected["tokens_saved"].to_list())
    at.button(key="dup_keep").click().run()
    (rule,) = fine(at).session_state.filters.filters
    assert rule.signal == "minhash_keep_longest"
    kept = open_corpus(CORPUS, workspace=tmp_path / "workspace").select(rule).mask()
    assert kept.tolist() == (keep | np.isnan(scored.columns.numbers("minhash_keep"))).tolist()
    # another rule takes its place, and the first search stays what is looked at
    at.selectbox(key="dup_rule").set_value("newest").run()
    at.button(key="dup_keep").click().run()
    assert [t.signal for t in fine(at).session_state.filters.filters] == ["minhash_keep_newest"]
    assert not [s for s in at.selectbox if s.key == "dup_variant_near"]
    at.button(key="bar_undo").click().run()
    assert [t.signal for t in fine(at).session_state.filters.filters] == ["minhash_keep_longest"]


@pytest.fixture
def chain(tmp_path):
    """70 documents of one group: each begins the next, so that the Jaccard similarity of two is the share of their 5-grams."""
    words = ["".join(w) for w in product("bdfgklm", "aeiou", "nprst", "aeo")]
    texts = [" ".join(words[:length]) for length in range(100, 380, 4)]
    folder = corpus_of(tmp_path / "chain", texts)
    corpus = open_corpus(folder, workspace=tmp_path / "workspace")
    corpus.score("minhash", on_progress=lambda _: None)
    assert grouping(corpus, "minhash").rows.tolist() == list(range(70))
    return folder, corpus


def listed(at):
    """(mark, id, similarity) of each document of the opened group's table."""
    rows = re.findall(r"<tr class=(?:stays|goes)>(.*?)</tr>", html(at))
    cells = [[re.sub("<[^>]*>", "", c) for c in re.findall(r"<td.*?</td>", row)] for row in rows]
    return [(c[0], c[1], c[-1]) for c in cells]


def test_what_stays_under_the_rule_is_listed_first_and_all_are_compared_with_it(page, chain):
    folder, _ = chain
    at = fine(page(folder))
    assert listed(at)[:2] == [("stays", "d0", "—"), ("goes", "d1", f"{96 / 100:.3f}")]
    at.selectbox(key="dup_left").set_value(3).run()
    at.selectbox(key="dup_rule").set_value("longest").run()
    shown = listed(fine(at))
    assert shown[0] == ("stays", "d69", "—")  # beyond the 60 that come first by number
    assert shown[1:] == [("goes", f"d{i}", f"{(96 + 4 * i) / 372:.3f}") for i in range(59)]
    unlike = sum((96 + 4 * i) / 372 < 0.5 for i in range(59))
    assert f"{unlike} of the 60 listed are less than 0.5 like it" in html(at)
    assert (at.selectbox(key="dup_left").value, at.selectbox(key="dup_right").value) == (0, 1)
    assert at.selectbox(key="dup_left").options[:2] == ["d69 (stays)", "d0"]


def test_texts_too_long_to_compare_have_no_figure(page, chain, monkeypatch):
    monkeypatch.setattr("explorer.ui.duplicate_groups.MOST_TO_COMPARE", 10)
    at = fine(page(chain[0]))
    assert {similar for _, _, similar in listed(at)} == {"—", ""}
    assert "too long to be compared" in html(at)
    assert "of the 60 listed" not in html(at)


def test_similarity_with_one_is_that_of_its_pairs():
    texts = [LONG, LONG + "And who had not.", None, "too short", LONG.upper()]
    for one in (0, 1):
        np.testing.assert_array_equal(jaccard_with(texts, one, 5), similarities(texts, 5)[one])


def test_groups_that_chain_are_warned_of_until_pairs_are_verified(page, chain):
    folder, corpus = chain
    lowest = groups(corpus, "minhash", 1)["lowest"][0]
    assert lowest < 0.7
    at = page(folder)
    (said,) = (w.value for w in fine(at).warning)
    assert said.startswith("Groups chain: 1 group holds pairs below the threshold of fineweb (Jaccard 0.72)")
    assert f"as little as {lowest:.2f} alike" in said
    assert "Search otherwise" in said
    corpus.score("minhash:verified80", parameters={"minhash:verified80": {"verify": 0.8}}, on_progress=lambda _: None)
    at = page(folder)
    at.selectbox(key="dup_variant_near").set_value("verified80").run()
    assert not fine(at).warning


def test_the_title_and_the_panel_say_one_figure_for_the_rule(page, scored):
    at = page(CORPUS)
    at.selectbox(key="dup_rule").set_value("longest").run()
    found = grouping(scored, "minhash")
    total = savings(scored, keepers(found.group, worth(scored, "longest")) | (found.group < 0)).row(-1, named=True)
    title, panel = re.findall(r"drops <b.*?</p>", html(fine(at)))
    assert f"Keeping the longest of each group (near) drops <b>{total['documents_saved']}</b>" in html(at)
    percent = [re.search(r"tokens \(([^)]+)\)", said)[1] for said in (title, panel)]
    assert percent[0] == percent[1]
    at.segmented_control(key="dup_kind").set_value("lines").run()
    assert "drops <b" not in html(fine(at))  # no rule is in sight, so none is counted


def test_the_best_by_a_signal_and_the_most_wanted_source(page, tmp_path):
    folder = corpus_of(
        tmp_path / "c",
        [LONG, LONG, "Something else altogether, in several more words."],
        source=["web", "books", "web"],
        good=[0.2, 0.1, 0.5],
    )
    corpus = open_corpus(folder, workspace=tmp_path / "workspace")
    corpus.score("exact_duplicates", on_progress=lambda _: None)
    at = page(folder)
    at.selectbox(key="dup_rule").set_value("lowest").run()
    fine(at).selectbox(key="dup_signal").set_value("good").run()
    assert "lowest good" in html(fine(at))
    at.button(key="dup_keep").click().run()
    assert fine(at).session_state.filters.filters[0].signal == "exact_keep_lowest_good"
    at.selectbox(key="dup_rule").set_value("source").run()
    fine(at).multiselect(key="dup_sources").set_value(["books"]).run()
    at.button(key="dup_keep").click().run()
    assert fine(at).session_state.filters.filters[0].signal == "exact_keep_source_books"
    assert open_corpus(folder, workspace=tmp_path / "workspace").select(at.session_state.filters).rows().tolist() == [1, 2]


def test_a_keeper_by_a_signal_follows_its_new_values(tmp_path):
    corpus = open_corpus(corpus_of(tmp_path / "c", [LONG, LONG, "Something else."]), workspace=tmp_path / "workspace")
    corpus.score(["exact_duplicates", "n_bytes"], on_progress=lambda _: None)
    side, bytes_ = corpus.coverage().of("exact_group"), corpus.coverage().of("n_bytes")

    def kept(values):
        write_columns(corpus, find(bytes_.family), bytes_, {name: np.array(values) for name in bytes_.columns})
        column = keep_column(corpus, "exact", side, "highest:n_bytes")
        assert column == "exact_keep_highest_n_bytes"
        return corpus.columns.numbers(column).tolist()

    assert kept([9, 1, 0]) == [1, 0, 1]
    assert kept([1, 9, 0]) == [0, 1, 1]
    folders = sorted((tmp_path / "workspace" / "signals").glob("exact_duplicates.highest*"))
    written = [f.stat().st_mtime_ns for f in folders[0].glob("*.parquet")]
    keep_column(corpus, "exact", side, "highest:n_bytes")  # nothing is new: nothing is computed
    assert sorted((tmp_path / "workspace" / "signals").glob("exact_duplicates.highest*")) == folders
    assert [f.stat().st_mtime_ns for f in folders[0].glob("*.parquet")] == written


def test_a_group_that_other_rules_lose_is_warned_of(page, tmp_path):
    folder = corpus_of(tmp_path / "c", [LONG, LONG, "Something else altogether."], good=[0.2, 0.9, 0.5])
    open_corpus(folder, workspace=tmp_path / "workspace").score("exact_duplicates", on_progress=lambda _: None)
    at = page(folder)
    at.session_state.filters = open_corpus(folder).select(Threshold("good", minimum=0.3)).filters
    at.button(key="dup_keep").click().run()
    assert "1 group loses every document" in fine(at).warning[0].value
    at.selectbox(key="dup_rule").set_value("highest").run()
    at.selectbox(key="dup_signal").set_value("good").run()
    at.button(key="dup_keep").click().run()
    assert not fine(at).warning


def test_a_group_is_dropped_by_a_condition(page, scored, tmp_path):
    at = page(CORPUS)
    first = groups(scored, "minhash", 1).row(0, named=True)
    at.button(key="dup_drop").click().run()
    where = fine(at).session_state.filters.where
    kept = open_corpus(CORPUS, workspace=tmp_path / "workspace").select(where)
    assert len(kept) == len(scored) - first["documents"]
    at.segmented_control(key="dup_among").set_value("kept").run()
    assert fine(at).session_state.dup_group != first["group"]


def test_the_group_is_read_on_the_documents_page(page, scored):
    at = page(CORPUS)
    first = groups(scored, "minhash", 1).row(0, named=True)
    at.button(key="dup_read").click().run()
    fine(at)
    assert len(at.session_state.focus.rows) == first["documents"]
    assert f'<b title="{first["documents"]}">' in html(at)


def test_groups_have_pages_and_orders(page, scored):
    at = fine(page(CORPUS))
    total = len(grouping(scored, "minhash").names)
    assert total > 25
    at.session_state.dup_page = 2
    at.run()
    assert fine(at).session_state.dup_group == groups(scored, "minhash", 25, 25)["group"][0]
    at.segmented_control(key="dup_sort").set_value("similarity").run()
    assert fine(at).session_state.dup_group == groups(scored, "minhash", 1, sort="similarity")["group"][0]


def test_nothing_found_says_why(page, tmp_path):
    folder = corpus_of(tmp_path / "c", ["Wind turned the weather vane all night long.", "A clerk counted seventeen green bottles of ink."])
    open_corpus(folder, workspace=tmp_path / "workspace").score(
        ["exact_duplicates", "minhash", "repeated_lines"], on_progress=lambda _: None
    )
    at = page(folder)
    for kind, said in (("near", "no two share any of the 14 bands"), ("exact", "0 duplicates among 2"), ("lines", "0 boilerplate lines")):
        at.segmented_control(key="dup_kind").set_value(kind).run()
        assert said in html(fine(at))
        assert not [b for b in at.button if b.key == "dup_keep"]


def test_files_that_came_after_the_search_make_it_outdated(page, tmp_path):
    folder = corpus_of(tmp_path / "c", [LONG, LONG])
    open_corpus(folder, workspace=tmp_path / "workspace").score("exact_duplicates", on_progress=lambda _: None)
    pq.write_table(pa.table({"id": ["late"], "text": [LONG]}), folder / "late.parquet")
    at = page(folder)
    at.segmented_control(key="dup_kind").set_value("exact").run()
    assert "An earlier search saw 2 documents of other files" in fine(at).warning[0].value
    assert at.button(key="dup_search_exact").label == "Search 3 documents"


def test_a_search_that_is_not_whole_is_partial(page, tmp_path):
    folder = corpus_of(tmp_path / "c", [LONG, LONG])
    pq.write_table(pa.table({"id": ["second"], "text": [LONG]}), folder / "second.parquet")
    corpus = open_corpus(folder, workspace=tmp_path / "workspace")
    corpus.score("exact_duplicates", on_progress=lambda _: None)
    side = corpus.coverage().of("exact_group")
    side.shard_path(corpus.shards[1]).unlink()
    at = page(folder)
    at.segmented_control(key="dup_kind").set_value("exact").run()
    assert "Partial: what this search found is there for 2 of 3 documents" in fine(at).warning[0].value
    assert at.button(key="dup_search_exact").label == "Search 3 documents"
    assert "Nothing has been searched yet" in html(at)


def test_another_preset_stands_beside_the_first(page, scored):
    scored.score("minhash:redpajama08", parameters={"minhash:redpajama08": {"preset": "redpajama-0.8"}}, on_progress=lambda _: None)
    at = page(CORPUS)
    variant = fine(at).selectbox(key="dup_variant_near")
    assert variant.options == ["fineweb", "redpajama-0.8"]
    variant.set_value("redpajama08").run()
    assert fine(at).session_state.dup_group == groups(scored, "minhash:redpajama08", 1)["group"][0]
    at.button(key="dup_keep").click().run()
    assert fine(at).session_state.filters.filters[0].signal == "minhash_keep_redpajama08"
    at.selectbox(key="dup_rule").set_value("longest").run()
    at.button(key="dup_keep").click().run()
    assert fine(at).session_state.filters.filters[0].signal == "minhash_keep_redpajama08_longest"


def test_the_search_button_starts_the_command_with_its_settings(page, monkeypatch):
    started = []
    monkeypatch.setattr("explorer.jobs.start", lambda workspace, line, label: started.append(line))
    at = page(CORPUS)
    at.selectbox(key="dup_preset").set_value("redpajama-0.7").run()
    at.selectbox(key="dup_verify").set_value(0.8).run()
    at.button(key="dup_search_near").click().run()
    assert started[0][0] == "score"
    assert started[0][started[0].index("-s") + 1] == "minhash:redpajama07verified80"
    assert [started[0][i + 1] for i, word in enumerate(started[0]) if word == "-p"] == [
        "minhash:redpajama07verified80.preset=redpajama-0.7",
        "minhash:redpajama07verified80.verify=0.8",
    ]


def test_hostile_documents_are_text(page, tmp_path):
    text = f"{HOSTILE} <script>window.__pwn = 1</script> \u202egnp {LONG}"
    folder = corpus_of(tmp_path / "c", [text, text + "<b>bold</b>", text, None, ""], source=[HOSTILE, "'; DROP", HOSTILE, None, None])
    pq.write_table(
        pq.read_table(folder / "part.parquet").set_column(0, "id", pa.array([HOSTILE, "<i>", "\u202ex", None, "e"])),
        folder / "part.parquet",
    )
    corpus = open_corpus(folder, workspace=tmp_path / "workspace")
    corpus.score(["exact_duplicates", "minhash", "repeated_lines"], on_progress=lambda _: None)
    at = page(folder)
    for kind in ("near", "exact", "normalised", "lines"):
        at.segmented_control(key="dup_kind").set_value(kind).run()
        said = html(fine(at))
        assert "<img" not in said
        assert "<script" not in said
        assert "<b>bold" not in said
        assert "\u202e" not in said
    at.segmented_control(key="dup_kind").set_value("near").run()
    at.button(key="dup_drop").click().run()
    at.selectbox(key="dup_rule").set_value("source").run()
    fine(at)


def test_documents_without_ids_are_called_by_their_numbers(page, tmp_path):
    path = tmp_path / "bare.parquet"
    pq.write_table(pa.table({"text": [LONG, LONG, "x"]}), path)
    open_corpus(path, workspace=tmp_path / "workspace").score("exact_duplicates", on_progress=lambda _: None)
    at = page(path)
    assert "stays" in html(fine(at))
    at.text_input(key="dup_find").set_value("1").run()
    assert fine(at).session_state.dup_group == 0
