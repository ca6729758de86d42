"""Names that mean one thing, groups that do not merge, dates and tokens that are not invented, lookups that are reused."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.corpus.profile import group_sql
from explorer.engine.local import score
from explorer.errors import CorpusError

Write = Callable[..., Path]


def texts(n: int) -> list[str]:
    return [f"Document number {i} has some words in it." for i in range(n)]


@pytest.mark.parametrize("name", ["file_row_number", "file_index", "FILE_Row_Number"])
def test_a_column_that_hides_row_numbers_is_refused(write_parquet: Write, tmp_path: Path, name: str) -> None:
    path = write_parquet("a.parquet", {"text": texts(4), name: [3, 2, 1, 0]})
    with pytest.raises(CorpusError, match=f"{name!r}.*Rename"):
        open_corpus(path, workspace=tmp_path / "w")


def test_columns_that_differ_in_capitals_are_refused_in_one_file_and_reported_across(write_parquet: Write, tmp_path: Path) -> None:
    path = write_parquet("a/both.parquet", {"Text": texts(2), "text": texts(2)})
    with pytest.raises(CorpusError, match="'Text' and 'text'"):
        open_corpus(path, workspace=tmp_path / "w")
    write_parquet("b/0.parquet", {"text": texts(2), "Stars": [1, 2]})
    write_parquet("b/1.parquet", {"text": texts(2), "stars": [1, 2]})
    problem = next(p for p in open_corpus(tmp_path / "b", workspace=tmp_path / "w").problems if p.kind == "names differ in capitals")
    assert problem.severity == "error"
    assert "'Stars' and 'stars'" in problem.message


@pytest.mark.parametrize("name", ["n_bytes", "N_Bytes"])
def test_a_column_called_like_a_signal_means_one_thing_everywhere(write_parquet: Write, tmp_path: Path, name: str) -> None:
    corpus = open_corpus(write_parquet("a.parquet", {"text": texts(3), name: [7.0, 8.0, 9.0]}), workspace=tmp_path / "w")
    assert corpus.columns.numbers(name).tolist() == [7, 8, 9]
    score(corpus, ["length"])
    n_bytes, own = [len(t) for t in texts(3)], f"{name}_column"
    for asked in ("n_bytes", name):
        assert corpus.columns.numbers(asked).tolist() == n_bytes
        assert corpus.sql(f"SELECT {asked} AS v FROM corpus")["v"].to_list() == n_bytes
        assert set(corpus.columns.groups(asked).labels) == {str(n) for n in n_bytes}
        assert len(corpus.select(f"{asked} < 10")) == 0
    assert corpus.columns.numbers(own).tolist() == [7, 8, 9]
    assert corpus.sql(f"SELECT {own} AS v FROM corpus")["v"].to_list() == [7, 8, 9]
    assert corpus.documents([2, 0], [own])[own].to_list() == [9, 7]
    for asked, label, rows in ((own, "8.0", [1]), ("n_bytes", str(n_bytes[0]), [0, 1, 2])):
        predicate = group_sql(corpus, asked, label)
        assert predicate is not None
        assert corpus.select(predicate).rows().tolist() == rows
    assert own in corpus.columns.numeric()
    assert corpus.columns.numeric().count("n_bytes") == 1
    problem = next(p for p in corpus.problems if p.kind == "name of a signal")
    assert name in problem.message
    assert own in problem.message


def test_a_role_is_a_column_of_the_files_even_beside_a_signal(write_parquet: Write, tmp_path: Path) -> None:
    columns = {"text": texts(3), "n_bytes": [7, 8, 9], "kind": ["x", "y", "x"]}
    corpus = open_corpus(write_parquet("a.parquet", columns), workspace=tmp_path / "w", tokens="n_bytes", source="n_bytes")
    score(corpus, ["length"])
    assert corpus.columns.tokens().values.tolist() == [7, 8, 9]
    assert set(corpus.columns.groups("source").labels) == {"7", "8", "9"}
    predicate = group_sql(corpus, "source", "8")
    assert predicate is not None
    assert corpus.select(predicate).rows().tolist() == [1]


def test_no_stratum_is_merged_and_many_groups_keep_their_own_code(write_parquet: Write, tmp_path: Path) -> None:
    n = 900
    source = [f"d{i % 300:03d}" if i % 7 else None for i in range(n)]
    corpus = open_corpus(write_parquet("a.parquet", {"text": texts(n), "source": source}, row_group_size=100), workspace=tmp_path / "w")
    strata = corpus.columns.strata("source")
    assert strata.dtype == np.int32
    assert len({(c, s) for c, s in zip(strata.tolist(), source, strict=True)}) == len(set(strata.tolist())) == len(set(source))
    for most in (255, 256, 300, 301):
        groups = corpus.columns.groups("source", most=most)
        assert len(groups.labels) == min(most + 1, 301)
        assert groups.codes.max() == len(groups.labels) - 1
        kept = {i: label for i, label in enumerate(groups.labels) if label != groups.rest}
        assert all(kept[c] == (s or "(none)") for c, s in zip(groups.codes.tolist(), source, strict=True) if c in kept)


def test_a_source_called_other_is_not_the_rest(write_parquet: Write, tmp_path: Path) -> None:
    source = ["other"] * 5 + [f"s{i}" for i in range(15)]
    corpus = open_corpus(write_parquet("a.parquet", {"text": texts(20), "source": source}), workspace=tmp_path / "w")
    groups = corpus.columns.groups("source", most=3)
    assert len(set(groups.labels)) == 4
    assert np.bincount(groups.codes)[groups.labels.index("other")] == 5
    assert groups.rest == groups.labels[-1] != "other"


def test_folders_of_one_name_are_told_apart(write_parquet: Write, tmp_path: Path) -> None:
    for kind in ("wiki", "books"):
        write_parquet(f"data/{kind}/train/0.parquet", {"text": texts(2)})
    corpus = open_corpus(tmp_path / "data", workspace=tmp_path / "w")
    assert set(corpus.columns.groups("source").labels) == {"wiki/train", "books/train"}


@pytest.mark.parametrize(
    ("value", "year"),
    [
        (2024, "2024"),
        (20240131, "2024"),
        (1_700_000_000, "2023"),
        (1_700_000_000_000, "2023"),
        (1_700_000_000_000_000, "2023"),
        (1_700_000_000_000_000_000, "2023"),
        (17, "(none)"),
        (12_345, "(none)"),
        (20249931, "(none)"),
        (None, "(none)"),
        ("2024-01-31T00:00:00Z", "2024"),
        ("1850", "1850"),
        ("20240131", "2024"),
        ("1700000000", "2023"),
        ("17000 BC", "(none)"),
    ],
)
def test_years_are_read_not_invented(write_parquet: Write, tmp_path: Path, value: Any, year: str) -> None:
    columns = {"text": texts(1), "date": pa.array([value], pa.string() if isinstance(value, str) else pa.int64())}
    corpus = open_corpus(write_parquet("a.parquet", columns), workspace=tmp_path / "w")
    assert corpus.columns.groups("year").labels == (year,)
    predicate = group_sql(corpus, "year", year)
    assert predicate is not None
    assert len(corpus.select(predicate)) == 1


def test_a_missing_token_count_is_estimated_and_said(write_parquet: Write, tmp_path: Path) -> None:
    columns = {"text": ["x" * 40, "y" * 80, None], "token_count": [11, None, None]}
    tokens = open_corpus(write_parquet("a.parquet", columns), workspace=tmp_path / "w").columns.tokens()
    assert tokens.values.tolist() == [11, 20, 0]
    assert tokens.estimated
    assert "2 documents" in tokens.label


def test_another_set_of_parameters_is_seen_only_when_it_is_as_complete(write_parquet: Write, tmp_path: Path) -> None:
    corpus = open_corpus(write_parquet("a.parquet", {"text": texts(30)}, row_group_size=10), workspace=tmp_path / "w")
    score(corpus, ["compression"])
    before = corpus.columns.numbers("zlib_ratio")
    score(corpus, ["compression"], parameters={"compression": {"level": 1}}, limit=10)
    assert corpus.coverage().scored_rows("zlib_ratio") == 30
    assert np.array_equal(corpus.columns.numbers("zlib_ratio"), before)
    score(corpus, ["compression"], parameters={"compression": {"level": 1}})
    side = corpus.coverage().of("zlib_ratio")
    assert side is not None
    assert side.parameters["level"] == 1


def test_tokens_follow_the_tokenizer(write_parquet: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = open_corpus(write_parquet("a.parquet", {"text": texts(3)}), workspace=tmp_path / "w")
    score(corpus, ["length"])
    assert corpus.columns.tokens().estimated
    from explorer.corpus.sidecars import declare, sidecar, write_part
    from explorer.registry import families

    family = next(f for f in families().values() if any(s.name == "n_tokens" for s in f.signals))
    for number, name in enumerate(("a", "b")):
        folder = sidecar(corpus.workspace, family, "text", {}).folder.with_name(f"{family.name}@1-{name}")
        side = type(corpus.coverage().sidecars[0])(folder, family.name, 1, {"tokenizer": name}, ("n_tokens",))
        declare(side, "text")
        os.utime(folder / "family.json", (number, number))
        write_part(side, corpus.shards[0], 0, pa.table({"n_tokens": pa.array([number + 5] * 3, pa.int64())}))
        tokens = corpus.columns.tokens()
        assert (tokens.values.tolist(), tokens.label) == ([number + 5] * 3, f"tokenizer {name}")


def test_a_lookup_is_reused_until_the_workspace_changes(tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    score(tiny_corpus, ["pii"])
    for folder in (tiny_corpus.workspace.path / "signals").glob("**/"):
        os.utime(folder, (1_700_000_000, 1_700_000_000))  # changed in the second before the lookup it would be looked up again
    first = tiny_corpus.coverage()
    assert tiny_corpus.coverage() is first
    score(tiny_corpus, ["compression"])
    assert "zlib_ratio" in tiny_corpus.coverage().columns()


def test_scored_again_in_one_process_is_read_again(tiny_corpus: Corpus) -> None:
    score(tiny_corpus, ["compression"])
    before = tiny_corpus.columns.numbers("zlib_ratio")
    report = score(tiny_corpus, ["compression"], again=True)
    assert (report.computed, report.reused) == (60, 0)
    after = tiny_corpus.columns.numbers("zlib_ratio")
    assert after is not before
    assert np.array_equal(after, before)


def test_cached_groups_and_tokens_do_not_grow_while_scoring(tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    real = tiny_corpus.columns._bytes
    monkeypatch.setattr(tiny_corpus.columns, "_bytes", lambda: (measured.append(1), real())[1])
    for limit in (10, 20, 40):
        score(tiny_corpus, ["length"], limit=limit)
        tiny_corpus.columns.tokens()
        tiny_corpus.columns.groups("n_words")
    assert len(measured) == 1
    assert len(tiny_corpus.columns._cache) == 2


def test_what_takes_long_is_made_once_and_keeps_no_other_column_waiting(
    write_parquet: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = open_corpus(write_parquet("x.parquet", {"text": ["a", "bb"], "x": [1.0, 2.0]}), workspace=tmp_path / "w").columns
    begun, go_on, estimate = threading.Event(), threading.Event(), columns._estimated_tokens
    made: list[int] = []

    def slow() -> Any:
        made.append(1)
        begun.set()
        assert go_on.wait(20)
        return estimate()

    monkeypatch.setattr(columns, "_estimated_tokens", slow)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(columns.tokens) for _ in range(2)]
        assert begun.wait(20)
        assert columns.numbers("x").tolist() == [1.0, 2.0]
        go_on.set()
        assert asked[0].result() is asked[1].result()
    assert made == [1]
