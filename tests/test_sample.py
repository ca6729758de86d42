"""The shipped sample is what its sources say, its planted truth is true, and the larger Python corpus keeps its promises."""

from __future__ import annotations

import importlib.util
import json
import random
import re
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from explorer import sample
from explorer.errors import CorpusError

FOLDER = Path(__file__).resolve().parents[1] / "sample_data"


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build_sample", FOLDER / "source" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus() -> pl.DataFrame:
    return pl.read_parquet(sample.sample_corpus_files())


@pytest.fixture(scope="module")
def texts(corpus) -> dict[str, str | None]:
    return dict(zip(corpus["id"], corpus["text"], strict=True))


@pytest.fixture(scope="module")
def planted() -> dict[str, dict]:
    return json.loads((FOLDER / "planted.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pairs() -> pl.DataFrame:
    return pl.read_parquet(sample.sample_rewrites_file())


@pytest.fixture(scope="module")
def truth() -> dict[str, dict]:
    return json.loads((FOLDER / "planted_rewrites.json").read_text(encoding="utf-8"))


# --- the committed files -------------------------------------------------------------------------------------------------------------


def test_committed_files_are_what_the_sources_give(build, tmp_path):
    build.build(tmp_path)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert names == [
        "corpus/books.parquet",
        "corpus/code.parquet",
        "corpus/reference.parquet",
        "corpus/web.parquet",
        "planted.json",
        "planted_rewrites.json",
        "rewrites.parquet",
    ]
    for name in names:
        if name.endswith(".json"):
            assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name
        else:
            made, committed = pq.ParquetFile(tmp_path / name), pq.ParquetFile(FOLDER / name)
            assert made.read().equals(committed.read()), name
            # Another pyarrow may encode otherwise; the same one gives the same bytes.
            if made.metadata.created_by == committed.metadata.created_by:
                assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_schema_size_and_layout(corpus):
    assert corpus.schema == {
        "id": pl.String,
        "text": pl.String,
        "source": pl.String,
        "language": pl.String,
        "date": pl.Date,
        "url": pl.String,
        "edu_rating": pl.Int8,
        "edu_score": pl.Float32,
    }
    assert 600 <= corpus.height <= 1500
    assert corpus["id"].n_unique() == corpus.height
    assert corpus["source"].n_unique() == 11
    assert corpus["language"].n_unique() >= 8
    assert corpus["date"].min() >= date(2013, 1, 1)
    assert corpus["date"].max() <= date(2025, 9, 30)
    assert corpus["date"].dt.year().n_unique() == 13
    assert corpus["url"].str.contains(r"^https://[a-z-]+\.example/\d{4}/[0-9a-f]{6}$").all()
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts) < 3_000_000
    for path in sample.sample_corpus_files():
        metadata = pq.ParquetFile(path).metadata
        assert metadata.num_row_groups >= 2
        assert all(metadata.row_group(i).column(0).has_column_index for i in range(metadata.num_row_groups))


def test_scores_are_null_exactly_where_there_is_no_text(corpus):
    blank = corpus["text"].is_null() | (corpus["text"].str.strip_chars() == "")
    assert corpus["edu_score"].is_null().to_list() == blank.to_list()
    assert corpus["edu_score"].is_between(0, 5).sum() == corpus.height - blank.sum()
    rated = corpus.filter(pl.col("edu_rating").is_not_null())
    assert rated.height >= 200
    assert rated["edu_rating"].is_between(0, 5).all()
    # The score was fitted to the ratings; a shuffled or misjoined column would not follow them.
    assert rated.select(pl.corr("edu_rating", "edu_score", method="spearman")).item() > 0.6


# --- planted defects -----------------------------------------------------------------------------------------------------------------


def test_every_planted_id_is_in_the_corpus(planted, texts):
    assert set(planted) <= set(texts)
    assert {fact["of"] for fact in planted.values() if "of" in fact} <= set(texts)
    assert {fact["kind"] for fact in planted.values()} == {
        "all_caps",
        "boilerplate",
        "code_in_text",
        "empty_text",
        "exact_duplicate",
        "gibberish",
        "hostile_markup",
        "invisible_characters",
        "list_only",
        "lorem_ipsum",
        "mixed_language",
        "mojibake",
        "near_duplicate",
        "null_text",
        "ocr_noise",
        "pii",
        "repetition",
        "template_page",
        "truncated",
        "very_long",
        "very_short",
        "wrong_language",
    }


def test_exact_duplicates_are_all_listed(planted, texts):
    copies = {id_ for id_, fact in planted.items() if fact["kind"] == "exact_duplicate"}
    assert all(texts[id_] == texts[planted[id_]["of"]] for id_ in copies)
    by_text: dict[str, list[str]] = {}
    for id_, text in texts.items():
        if text:
            by_text.setdefault(text, []).append(id_)
    groups = [ids for ids in by_text.values() if len(ids) > 1]
    assert {id_ for ids in groups for id_ in ids} == copies | {planted[id_]["of"] for id_ in copies}
    assert sorted(map(len, groups)) == [2] * 8 + [3] * 2


def test_near_duplicates_differ_by_the_words_they_say(planted, texts):
    near = {id_: fact for id_, fact in planted.items() if fact["kind"] == "near_duplicate"}
    assert len(near) >= 18
    for id_, fact in near.items():
        words, original = texts[id_].split(), texts[fact["of"]].split()
        differ = sum(a != b for a, b in zip(words, original, strict=True))
        share, count = re.match(r"(\d+) % of the words replaced \((\d+)\)", fact["note"]).groups()
        assert differ == int(count)
        assert differ == max(1, round(int(share) / 100 * len(words)))


@pytest.mark.parametrize(
    ("kind", "holds"),
    [
        ("null_text", lambda text: text is None),
        ("empty_text", lambda text: not text.strip()),
        ("very_short", lambda text: len(text) <= 10),
        ("very_long", lambda text: 90_000 < len(text) < 110_000),
        ("all_caps", lambda text: text == text.upper() != text.lower()),
        ("lorem_ipsum", lambda text: "lorem ipsum dolor" in text.lower()),
        ("code_in_text", lambda text: "{" in text and "}" in text),
        ("mojibake", lambda text: re.search("[ÃÂ]|â€", text)),
        ("repetition", lambda text: len(set(text.split())) * 2 < len(text.split()) or len(text) > 3 * len(set(text)) ** 1.2),
    ],
)
def test_defect_is_what_its_kind_says(kind, holds, planted, texts):
    ids = [id_ for id_, fact in planted.items() if fact["kind"] == kind]
    assert ids
    for id_ in ids:
        assert holds(texts[id_]), (id_, texts[id_])


def test_addresses_named_in_the_notes_are_in_the_text(planted, texts):
    found = 0
    for id_, fact in planted.items():
        if fact["kind"] == "pii":
            for address in re.findall(r"[\w.+]+@[\w.]+\w|\b\d+\.\d+\.\d+\.\d+\b", fact["note"]):
                assert address in texts[id_]
                found += 1
    assert found >= 14


def test_wrong_language_labels_say_the_claim(planted, corpus):
    claimed = dict(zip(corpus["id"], corpus["language"], strict=True))
    wrong = {id_: fact["note"] for id_, fact in planted.items() if fact["kind"] == "wrong_language"}
    assert len(wrong) >= 9
    for id_, note in wrong.items():
        claim, true = re.match(r"claimed '(\w+)', written in '(\w+)'", note).groups()
        assert claimed[id_] == claim != true


def test_hostile_and_invisible_texts_are_stored_untouched(planted, texts):
    hostile = "\n".join(texts[id_] for id_, fact in planted.items() if fact["kind"] == "hostile_markup")
    for part in ("<script>", "onerror=", "javascript:", "](http://example.invalid", "\u202e", "<svg onload="):
        assert part in hostile
    invisible = "\n".join(texts[id_] for id_, fact in planted.items() if fact["kind"] == "invisible_characters")
    for character in "\u200b\ufeff\u00ad\u00a0\u2028\x00\x1b\U000e0073":
        assert character in invisible


# --- rewrites ------------------------------------------------------------------------------------------------------------------------


def test_pairs_join_the_corpus_and_all_have_a_label(pairs, truth, texts):
    assert pairs.schema == {
        "pair_id": pl.String,
        "id": pl.String,
        "rewrite": pl.String,
        "method": pl.String,
        "style": pl.String,
        "prompt_id": pl.String,
        "generator_model": pl.String,
        "seed": pl.Int64,
    }
    assert 150 <= pairs.height <= 250
    assert pairs["pair_id"].n_unique() == pairs.height
    assert set(pairs["pair_id"]) == set(truth)
    assert set(pairs["id"]) <= set(texts)
    assert {fact["label"] for fact in truth.values()} == {"faithful", "partial", "unfaithful"}
    assert set(pairs["method"]) == {"hand", "wrap-easy", "wrap-medium", "wrap-qa", "rewire", "repro"}
    generated = pairs.filter(pl.col("method") != "hand")
    assert generated.height >= 60
    assert generated.select(pl.col("prompt_id", "generator_model", "seed").is_not_null().all()).row(0) == (True, True, True)
    assert pairs.filter(pl.col("method") == "hand")["generator_model"].null_count() == pairs.height - generated.height


def test_planted_spans_separate_a_rewrite_from_its_twin(pairs, truth):
    rewrites = {row["pair_id"]: row for row in pairs.iter_rows(named=True)}
    faithful = {truth[p]["id"]: row["rewrite"] for p, row in rewrites.items() if truth[p]["label"] == "faithful" and "kind" not in truth[p]}
    twins = {p: fact for p, fact in truth.items() if "spans" in fact}
    assert len(twins) >= 55
    for pair_id, fact in twins.items():
        undone = rewrites[pair_id]["rewrite"]
        for span in reversed(fact["spans"]):
            # A dropped sentence leaves nothing to find: there the span is proved from the other side.
            assert span["planted"] in undone
            undone = undone.replace(span["planted"], span["faithful"], 1) if span["planted"] else None
        original = faithful[fact["id"]]
        if undone is None:
            assert original.replace(fact["spans"][0]["faithful"], "") == rewrites[pair_id]["rewrite"]
        else:
            assert undone == original


def test_flagged_pairs_are_what_they_say(pairs, truth, texts):
    rewrites = dict(zip(pairs["pair_id"], pairs["rewrite"], strict=True))
    kinds = {fact.get("kind") for fact in truth.values()}
    assert {"refusal", "preamble", "leaked_thinking", "truncated", "verbatim_copy", "language_switch", "invented_page"} <= kinds
    for pair_id, fact in truth.items():
        if fact.get("kind") == "verbatim_copy":
            assert rewrites[pair_id] == texts[fact["id"]]
        if fact.get("kind") == "truncated":
            assert rewrites[pair_id][-1] not in ".!?"
        if fact.get("kind") == "empty_rewrite":
            assert not rewrites[pair_id]


# --- writing -------------------------------------------------------------------------------------------------------------------------


def test_write_sample_copies_every_byte(tmp_path, capsys):
    written = sample.write_sample(tmp_path / "new" / "folder")
    assert capsys.readouterr() == ("", "")
    names = [path.relative_to(tmp_path / "new" / "folder").as_posix() for path in written]
    assert names[:5] == [
        "corpus/books.parquet",
        "corpus/code.parquet",
        "corpus/reference.parquet",
        "corpus/web.parquet",
        "rewrites.parquet",
    ]
    assert {"README.md", "PSF-LICENSE.txt", "planted.json", "planted_rewrites.json"} <= set(names)
    assert all(path.read_bytes() == (FOLDER / name).read_bytes() for path, name in zip(written, names, strict=True))
    assert sample.write_sample(tmp_path / "new" / "folder") == written


def test_write_sample_says_why_it_cannot_write(tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(CorpusError, match=r"taken.* cannot be written: .*\. The sample needs 1 MB\. Name another folder\."):
        sample.write_sample(tmp_path / "taken")


@pytest.fixture
def small_sources(monkeypatch, tmp_path):
    """Sources that a test can count: the real walk over a small tree."""
    root = tmp_path / "tree"
    (root / "deep").mkdir(parents=True)
    for i in range(20):
        (root / "deep" / f"m{i:02}.py").write_text(
            f'"""Module {i} does one thing and does it well."""\n\nvalue = {i} + 1  # a comment of some words\n'
        )
    (root / "latin.py").write_bytes("x = 'é'\n".encode("latin-1"))
    (root / "empty.py").write_text(" \n")
    (root / "LICENSE").write_text("Permission is hereby granted to everyone who reads these lines in full.\n")
    (root / "short.py").write_text("x = 1\n")
    monkeypatch.setattr(
        sample,
        "_sources",
        lambda: {
            "files": sample._files([root], (".py",)),
            "docs": sample._docstrings([root]),
            "licences": sample._files([root], names=("LICENSE",)),
        },
    )


def test_python_corpus_counts_and_skips(small_sources, tmp_path, capsys):
    paths = sample.write_python_corpus(tmp_path / "out")
    assert capsys.readouterr() == ("", "")
    assert [path.name for path in paths] == ["python-00000.parquet"]
    frame = pl.read_parquet(paths)
    counts = json.loads((tmp_path / "out" / "counts.json").read_text())
    assert frame["id"].n_unique() == frame.height == 42
    assert {name: fact["documents"] for name, fact in counts["sources"].items()} == {"docs": 20, "files": 21, "licences": 1}
    assert sum(fact["text_bytes"] for fact in counts["sources"].values()) == frame["text"].str.len_bytes().sum()
    assert counts["skipped"] == [
        {"source": "files", "reason": "blank", "documents": 1},
        {"source": "files", "reason": "not UTF-8 text", "documents": 1},
    ]
    # The sources take turns, so the only licence is not at the end ("files" begins with a blank one and one in Latin-1).
    assert frame["source"].to_list()[:4] == ["docs", "licences", "docs", "files"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["counts.json", "python-00000.parquet"]


def test_python_corpus_is_the_same_each_time(small_sources, tmp_path):
    first = sample.write_python_corpus(tmp_path / "a", copies=3)
    second = sample.write_python_corpus(tmp_path / "b", copies=3)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_copies_are_near_duplicates_and_never_pure_copies(small_sources, tmp_path):
    frame = pl.read_parquet(sample.write_python_corpus(tmp_path / "out", copies=3))
    originals = dict(frame.filter(pl.col("variant_of").is_null()).select("id", "text").iter_rows())
    variants = frame.filter(pl.col("variant_of").is_not_null())
    assert variants.height == 2 * 41  # all 42 but short.py, which has too few words
    for row in variants.iter_rows(named=True):
        before, after = originals[row["variant_of"]].split(), row["text"].split()
        changed = sum(a != b for a, b in zip(before, after, strict=True))
        assert 1 <= changed <= max(1, len(before) // 16)
    assert {s["reason"] for s in json.loads((tmp_path / "out" / "counts.json").read_text())["skipped"]} >= {"fewer than 8 words to vary"}


def test_max_bytes_stops_after_the_document_that_reaches_it(small_sources, tmp_path):
    frame = pl.read_parquet(sample.write_python_corpus(tmp_path / "out", max_bytes=500))
    sizes = frame["text"].str.len_bytes()
    assert sizes.sum() >= 500 > sizes.sum() - sizes[-1]


def test_shards_and_row_groups_are_bounded(small_sources, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "ROWS_A_GROUP", 4)
    monkeypatch.setattr(sample, "BYTES_A_GROUP", 300)
    monkeypatch.setattr(sample, "BYTES_A_SHARD", 1000)
    paths = sample.write_python_corpus(tmp_path / "out")
    assert len(paths) > 2
    groups = [pq.ParquetFile(path).metadata.row_group(i) for path in paths for i in range(pq.ParquetFile(path).metadata.num_row_groups)]
    assert all(group.num_rows <= 4 for group in groups)
    assert sum(group.num_rows for group in groups) == 42
    tables = [pq.ParquetFile(path).read_row_group(i) for path in paths for i in range(pq.ParquetFile(path).metadata.num_row_groups)]
    assert all(sum(len(t.encode()) for t in table["text"].to_pylist()) <= 300 for table in tables)


def test_this_machine_gives_a_mixed_corpus(tmp_path):
    frame = pl.read_parquet(sample.write_python_corpus(tmp_path / "out", max_bytes=2_000_000))
    assert {"python_docs", "stdlib", "packages", "docstrings", "package_descriptions"} <= set(frame["source"])
    assert frame["id"].n_unique() == frame.height


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"copies": 0}, r"copies is 0\. It counts the versions of a document, the original included\. Give 1 or more\."),
        ({"max_bytes": -5}, r"max_bytes is -5\. It counts bytes of text\. Give 1 or more, or leave it out for all there is\."),
    ],
)
def test_options_out_of_range(options, message, tmp_path):
    with pytest.raises(CorpusError, match=message):
        sample.write_python_corpus(tmp_path, **options)


def test_a_folder_with_shards_is_refused(small_sources, tmp_path):
    sample.write_python_corpus(tmp_path / "out")
    with pytest.raises(CorpusError, match=r"holds python-\*\.parquet already\. Old and new shards would mix\. Name an empty folder\."):
        sample.write_python_corpus(tmp_path / "out")


def test_vary_keeps_lines_and_refuses_short_texts():
    text = "one two three four\n\tfive six seven eight nine ten\n"
    varied = sample.vary(text, ["word"], random.Random(1))
    assert varied != text
    assert varied.count("\n") == 2
    assert "\n\t" in varied
    assert sample.vary("only four words here", ["word"], random.Random(1)) is None
    assert sample.vary("same " * 12, ["same"], random.Random(1)) is None
