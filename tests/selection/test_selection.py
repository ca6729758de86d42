"""A selection against a naive twin in Python and against DuckDB, on a small scored corpus."""

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explorer.corpus import identity as identity_module
from explorer.corpus.corpus import Corpus, open_corpus
from explorer.corpus.identity import identity, keys
from explorer.errors import ColumnNotFoundError, SelectionError, SignalError
from explorer.registry import find
from explorer.selection.filters import Filters
from explorer.selection.recipes import recipes
from explorer.selection.samplers import Sample
from explorer.selection.selection import any_of
from explorer.selection.threshold import Threshold

N = 400
WORDS = ["the", "of", "and", "river", "stone", "with", "have", "that", "light", "water", "be", "to", "#", "...", "morning"]


def table() -> pa.Table:
    rng = np.random.default_rng(11)
    texts: list[str | None] = [
        "\n".join(" ".join(rng.choice(WORDS, rng.integers(2, 14))) + rng.choice([".", "", "..."]) for _ in range(rng.integers(1, 14)))
        for _ in range(N)
    ]
    for i in (3, 77):
        texts[i] = None
    texts[8], texts[9] = "", "   "
    stars = [None if i % 17 == 0 else int(i % 6) for i in range(N)]
    edu = [float(np.float32(rng.integers(0, 51) / 10)) if i % 13 else None for i in range(N)]
    return pa.table(
        {
            "id": [f"d{i:04d}" for i in range(N)],
            "text": texts,
            "source": [["web", "books", None, "code"][int(rng.integers(0, 4))] for _ in range(N)],
            "tokens": pa.array(rng.integers(1, 900, N), pa.int32()),
            "stars": pa.array(stars, pa.int8()),
            "edu_score": pa.array(edu, pa.float32()),
            "flag": [i % 3 == 0 for i in range(N)],
        }
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    rows = table()
    for number, (start, end) in enumerate([(0, 150), (150, 151), (151, N)]):
        pq.write_table(rows.slice(start, end - start), folder / f"{number}.parquet", row_group_size=60)
    opened = open_corpus(folder, workspace=folder / "w")
    opened.score(["length"], on_progress=lambda _: None)
    return opened


FILTERS = Filters(
    (
        Threshold("n_words", 10, 70),
        Threshold("mean_line_chars", maximum=34.5, reason="long lines"),
        Threshold("edu_score", minimum=0.5, exclusive=True),
        Threshold("stars", minimum=1, nulls="keep"),
        Threshold("flag", maximum=0.5),
    ),
    where="source <> 'code' OR length(text) > 300",
)


def twin(corpus: Corpus, filters: Filters) -> list[list[int]]:
    """For every document the rules it fails, computed value by value in Python from the files."""
    columns = {name: corpus.columns.numbers(name).tolist() for name in {t.signal for t in filters.filters} if corpus.coverage().of(name)}
    rows = pa.concat_tables([pq.read_table(s.path) for s in corpus.shards])
    columns |= {t.signal: rows[t.signal].to_pylist() for t in filters.filters if t.signal in rows.column_names}
    failed = []
    for i in range(len(corpus)):
        bad = []
        for number, t in enumerate(filters.filters):
            value = columns[t.signal][i]
            if value is None or value != value:
                passes = t.nulls == "keep"
            else:
                value = np.float32(value)
                low = t.minimum is None or (value > np.float32(t.minimum) if t.exclusive else value >= np.float32(t.minimum))
                high = t.maximum is None or (value < np.float32(t.maximum) if t.exclusive else value <= np.float32(t.maximum))
                passes = bool(low and high)
            if not passes:
                bad.append(number)
        if filters.where:
            source, text = rows["source"][i].as_py(), rows["text"][i].as_py()
            if not ((source is not None and source != "code") or (text is not None and len(text) > 300)):
                bad.append(len(filters.filters))
        failed.append(bad)
    return failed


def test_every_failure_and_the_first_one_equal_the_twins(corpus: Corpus) -> None:
    kept, failed = corpus.select(FILTERS), twin(corpus, FILTERS)
    assert [[b for b in range(6) if int(bits) >> b & 1] for bits in kept.failures] == failed
    assert kept.first_failure().tolist() == [bad[0] if bad else -1 for bad in failed]
    assert kept.rows().tolist() == [i for i, bad in enumerate(failed) if not bad]
    assert 0 < len(kept) < N
    assert np.array_equal(np.flatnonzero(kept.mask()), kept.rows())
    ids = ["n_words", "long lines", "edu_score", "stars", "flag", "where"]
    assert all(kept.reasons_of(i) == [ids[b] for b in failed[i]] for i in range(N))
    for number, reason in enumerate(ids):
        assert kept.dropped(reason).tolist() == [i for i, bad in enumerate(failed) if bad[:1] == [number]]
    assert kept.dropped().tolist() == [i for i, bad in enumerate(failed) if bad]


def test_reasons_count_alone_only_and_first_as_the_twin_does(corpus: Corpus) -> None:
    failed, tokens = twin(corpus, FILTERS), corpus.columns.tokens().values
    for number, row in enumerate(corpus.select(FILTERS).summary().reasons.to_dicts()):
        for name, rows in (
            ("alone", [i for i, bad in enumerate(failed) if number in bad]),
            ("only_this", [i for i, bad in enumerate(failed) if bad == [number]]),
            ("first", [i for i, bad in enumerate(failed) if bad[:1] == [number]]),
        ):
            assert row[f"{name}_documents"] == len(rows), (row["reason"], name)
            assert row[f"{name}_tokens"] == tokens[rows].sum(), (row["reason"], name)
            assert number != 0 or name != "only_this" or rows
        signal = row["signal"]
        nulls = int(np.isnan(corpus.columns.numbers(signal)).sum()) if signal else 0
        assert (row["null_documents"], row["unscored_documents"]) == (nulls, 0)


def test_every_drop_has_one_first_reason(corpus: Corpus) -> None:
    summary = corpus.select(FILTERS).summary()
    assert summary.reasons["first_documents"].sum() == summary.documents - summary.kept_documents
    assert summary.reasons["first_tokens"].sum() == summary.tokens - summary.kept_tokens


def test_its_own_sql_keeps_the_same_documents(corpus: Corpus) -> None:
    for filters in (FILTERS, Filters(), Filters((Threshold("stars", 2, 4, exclusive=True, nulls="keep"),))):
        kept = corpus.select(filters)
        found = corpus.sql(kept.sql().replace("SELECT *", "SELECT _row", 1), limit=N)
        assert sorted(found["_row"].to_list()) == kept.rows().tolist()


MIXED = {
    "mixed": (pa.array([0.1, 0.2, None], pa.float32()), pa.array([0.1, 0.2, 0.3], pa.float64())),
    "whole": (pa.array([1, 2, 3], pa.int8()), pa.array([1, 2, None], pa.int64())),
    "large": (pa.array([1, 2, 2**40], pa.int64()), pa.array([1, 2, 2**40 + 1], pa.int64())),
    "part": (pa.array([1, 2, 3], pa.int32()), pa.array([0.1, np.nan, 0.3], pa.float32())),
    "exact": (pa.array([Decimal("0.1"), Decimal("1.5"), None]), pa.array([Decimal("0.2"), Decimal("2.0"), Decimal("3.0")])),
    "half": (pa.array(np.array([0.1, 2, 3], np.float16)), pa.array(np.array([1, 0.2, 3], np.float16))),
    "yes": (pa.array([True, False, None]), pa.array([False, True, True])),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Two files in which a column's type differs, and types that numbers are not held in."""
    folder = tmp_path_factory.mktemp("mixed")
    for part in (0, 1):
        columns = {name: pieces[part] for name, pieces in MIXED.items()}
        pq.write_table(pa.table({"text": ["one two", "three", "four five six"]} | columns), folder / f"{part}.parquet")
    opened = open_corpus(folder, workspace=folder / "w")
    opened.score(["length"], on_progress=lambda _: None)
    return opened


@pytest.mark.parametrize("signal", [*MIXED, "n_words"])
@pytest.mark.parametrize(
    "bounds",
    [
        {"minimum": 0.1},
        {"minimum": 0.1, "nulls": "keep"},
        {"maximum": 0.2},
        {"minimum": 2.00000001},
        {"maximum": 1.99999999, "nulls": "keep"},
        {"minimum": 0.99999999, "exclusive": True},
        {"minimum": 2**40 + 1},
    ],
    ids=str,
)
def test_its_own_sql_compares_in_the_precision_of_the_column(mixed: Corpus, signal: str, bounds: dict) -> None:
    kept = mixed.select(Threshold(signal, **bounds))
    found = mixed.sql(kept.sql().replace("SELECT *", "SELECT _row", 1))
    assert sorted(found["_row"].to_list()) == kept.rows().tolist()


@pytest.mark.parametrize("where", ["stars > 3 -- a comment", "stars > 3;", "stars > 3 /* ( */"])
def test_its_own_sql_holds_any_predicate(corpus: Corpus, where: str) -> None:
    kept = corpus.select(Filters((Threshold("edu_score", 1),), where=where))
    found = corpus.sql(kept.sql().replace("SELECT *", "SELECT _row", 1), limit=N)
    assert sorted(found["_row"].to_list()) == kept.rows().tolist()


@pytest.mark.parametrize("by", ["source", "stars"])
def test_summary_by_group_equals_duckdbs_group_by(corpus: Corpus, by: str) -> None:
    kept = corpus.select(FILTERS)
    summary = kept.summary(by=by)
    rows = pa.concat_tables([pq.read_table(s.path) for s in corpus.shards]).append_column("kept", pa.array(kept.mask()))
    expected = {
        group: rest
        for group, *rest in duckdb.connect()
        .register("rows", rows)
        .sql(
            f"SELECT coalesce(CAST({by} AS VARCHAR), '(none)'), count(*), count(*) FILTER (kept), sum(tokens), coalesce(sum(tokens) FILTER (kept), 0) FROM rows GROUP BY ALL"
        )
        .fetchall()
    }
    found = {r[by]: [r["documents"], r["kept_documents"], r["tokens"], r["kept_tokens"]] for r in summary.sources.to_dicts()}
    assert found == expected
    assert summary.documents == N
    assert summary.kept_documents == len(kept)
    assert summary.kept_tokens == sum(v[3] for v in expected.values())
    assert not summary.estimated
    shares = {r[by]: (r["kept_share"], r["kept_token_share"]) for r in summary.sources.to_dicts()}
    assert all(shares[g] == (v[1] / v[0], v[3] / v[2]) for g, v in expected.items())


def test_ties_on_float32_bounds_are_kept(corpus: Corpus) -> None:
    values = corpus.columns.numbers("edu_score")
    at = np.flatnonzero(values == np.float32(0.8))
    assert len(at)
    assert set(at) <= set(corpus.select(Threshold("edu_score", minimum=0.8)).rows())
    assert set(at) <= set(corpus.select(Threshold("edu_score", maximum=0.8)).rows())
    assert not set(at) & set(corpus.select(Threshold("edu_score", minimum=0.8, exclusive=True)).rows())


@pytest.mark.parametrize(
    ("threshold", "side"), [(FILTERS.filters[0], "minimum"), (FILTERS.filters[0], "maximum"), (FILTERS.filters[2], "minimum")]
)
def test_near_cut_honours_the_sides_and_the_other_rules(corpus: Corpus, threshold: Threshold, side: str) -> None:
    kept = corpus.select(FILTERS)
    values, number, bound = corpus.columns.numbers(threshold.signal), FILTERS.filters.index(threshold), getattr(threshold, side)
    failed = twin(corpus, FILTERS)
    dropped, passed = kept.near_cut(threshold, 4, side=side, draw=1)
    assert len(dropped)
    assert len(passed) == 4
    assert all(failed[i] == [number] for i in dropped)
    assert all(not failed[i] for i in passed)
    assert all(values[i] <= bound if side == "minimum" else values[i] >= bound for i in dropped)
    assert [abs(values[i] - bound) for i in dropped] == sorted(abs(values[i] - bound) for i in dropped)
    again = kept.near_cut(threshold, 4, side=side, draw=1)
    assert [a.tolist() for a in again] == [dropped.tolist(), passed.tolist()]
    # The first draw is the nearest ones exactly.
    _, nearest = kept.near_cut(threshold, 3, side=side)
    distances = sorted(abs(values[i] - bound) for i, bad in enumerate(failed) if not bad and values[i] == values[i])
    assert [abs(values[i] - bound) for i in nearest] == distances[:3]


def test_near_cut_takes_a_signal_and_a_rule_that_a_recipe_gave_a_reason(corpus: Corpus) -> None:
    kept = corpus.select(FILTERS)
    rule = FILTERS.filters[0]
    plain = Threshold(rule.signal, rule.minimum, rule.maximum, rule.exclusive, rule.nulls)
    expected = [a.tolist() for a in kept.near_cut(rule)]
    assert [a.tolist() for a in kept.near_cut(plain)] == expected
    assert [a.tolist() for a in kept.near_cut(rule.signal)] == expected


def test_near_cut_refuses_what_is_not_there(corpus: Corpus) -> None:
    kept = corpus.select(FILTERS)
    with pytest.raises(SelectionError, match="is not a rule of this selection"):
        kept.near_cut(Threshold("stars", 2))
    with pytest.raises(SelectionError, match="has no maximum"):
        kept.near_cut(FILTERS.filters[2], side="maximum")


def test_dropped_by_an_unknown_reason_is_refused(corpus: Corpus) -> None:
    with pytest.raises(SelectionError, match=r"'nonsense' is no rule of this selection\. Rules: n_words, long lines"):
        corpus.select(FILTERS).dropped("nonsense")


def test_two_rules_with_one_reason_are_one_reason(corpus: Corpus) -> None:
    filters = Filters(
        (Threshold("stars", minimum=2, reason="stars"), Threshold("edu_score", minimum=2), Threshold("n_chars", 50, reason="stars"))
    )
    kept = corpus.select(filters)
    first = kept.first_failure()
    assert kept.dropped("stars").tolist() == np.flatnonzero((first == 0) | (first == 2)).tolist()


def test_selecting_by_a_string_is_the_predicate(corpus: Corpus) -> None:
    kept = corpus.select("stars >= 3 AND " + any_of("source", ["web", "books"]))
    rows = pa.concat_tables([pq.read_table(s.path) for s in corpus.shards])
    expected = [i for i in range(N) if (rows["stars"][i].as_py() or 0) >= 3 and rows["source"][i].as_py() in ("web", "books")]
    assert kept.rows().tolist() == expected
    assert kept.rules == ["where stars >= 3 AND \"source\" IN ('web', 'books')"]


def test_a_signal_that_was_not_computed_says_how_to(corpus: Corpus) -> None:
    with pytest.raises(SignalError, match="has not been computed"):
        corpus.select(recipes["fineweb"])
    with pytest.raises(ColumnNotFoundError, match="'edu' is not in the corpus"):
        corpus.select(Threshold("edu", 1))


def test_nothing_kept_says_which_rule(corpus: Corpus) -> None:
    summary = corpus.select(Filters((Threshold("stars", 1), Threshold("n_chars", 10**9)))).summary()
    assert summary.kept_documents == 0
    assert any("0 of 400 documents match" in w and "n_chars" in w for w in summary.warnings)


def test_a_part_scored_is_counted_as_unscored(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet", row_group_size=100)
    corpus = open_corpus(tmp_path / "a.parquet", workspace=tmp_path / "w")
    corpus.score("length", limit=100, on_progress=lambda _: None)
    summary = corpus.select(Threshold("mean_line_chars", 10)).summary()
    row = summary.reasons.to_dicts()[0]
    assert row["unscored_documents"] == 300
    assert row["null_documents"] == int(np.isnan(corpus.columns.numbers("mean_line_chars")[:100]).sum())
    assert any("computed for 100 of 400 documents" in w for w in summary.warnings)


@pytest.mark.parametrize("where", ["n_bytes > 0", "N_BYTES > 0", "text = 'n_bytes' OR \"n_bytes\" > 0"])
def test_a_part_scored_is_told_when_only_the_predicate_reads_it(tmp_path: Path, where: str) -> None:
    pq.write_table(table(), tmp_path / "a.parquet", row_group_size=100)
    corpus = open_corpus(tmp_path / "a.parquet", workspace=tmp_path / "w")
    corpus.score("length", limit=100, on_progress=lambda _: None)
    assert any("n_bytes is computed for 100 of 400" in w for w in corpus.select(where).summary().warnings)
    assert not corpus.select("text <> 'n_bytes' -- n_bytes").summary().warnings


def test_every_stratum_is_sampled_however_many_there_are(tmp_path: Path) -> None:
    n = 1200
    rows = {"text": [f"document {i}" for i in range(n)], "domain": [f"d{i % 600:03d}" for i in range(n)]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    corpus = open_corpus(tmp_path / "a.parquet", workspace=tmp_path / "w")
    kept = corpus.select(Filters(sample=Sample("nested_subset", fraction=0.5, per="source")))
    assert corpus.documents(kept.rows())["domain"].n_unique() == len(kept) == 600
    equal = corpus.select(Filters(sample=Sample("stratified_budget", tokens=600, per="domain", shares="equal")))
    assert corpus.documents(equal.rows())["domain"].n_unique() == len(equal) == 600  # about 3 tokens a document, 1 a stratum


def test_too_many_rules_are_refused(corpus: Corpus) -> None:
    rules = tuple(Threshold("stars", minimum=0, reason=str(i)) for i in range(64))
    with pytest.raises(SelectionError, match="64 thresholds are too many"):
        corpus.select(Filters(rules)).rows()
    assert len(corpus.select(Filters(rules[:62], where="true"))) == int((~np.isnan(corpus.columns.numbers("stars"))).sum())


SAMPLES = [
    Sample("nested_subset", fraction=0.3, per="source", seed=5),
    Sample("token_budget", by="edu_score", tokens=20_000, seed=5),
    Sample("token_budget", tokens=20_000, seed=5),
    Sample("stratified_budget", by="edu_score", tokens=20_000, per="source", seed=5),
    Sample("gumbel_topk", by="edu_score", documents=50, seed=5),
    Sample("top_fraction_docs", by="edu_score", fraction=0.25, seed=5),
    Sample("top_fraction_size", by="edu_score", fraction=0.25, seed=5),
]


@pytest.fixture(scope="module")
def resharded(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The same documents, shuffled, in other files and row groups, ids as they were."""
    folder = tmp_path_factory.mktemp("again")
    rows = table().take(np.random.default_rng(2).permutation(N))
    for number in range(5):
        pq.write_table(rows.slice(number * 80, 80), folder / f"{number:03d}.parquet", row_group_size=7)
    return open_corpus(folder, workspace=folder / "w")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.method}-{s.by}")
def test_the_same_documents_are_chosen_when_the_corpus_is_resharded(corpus: Corpus, resharded: Corpus, sample: Sample) -> None:
    filters = Filters((Threshold("stars", minimum=1),), sample=sample)
    chosen = [c.documents(c.select(filters).rows(), ["id"])["id"].to_list() for c in (corpus, resharded)]
    assert chosen[0] == chosen[1]
    assert 0 < len(chosen[0]) < 330
    other = corpus.select(Filters((Threshold("stars", minimum=1),), sample=Sample(**{**sample.__dict__, "seed": 6})))
    assert sample.by or sorted(other.rows()) != sorted(corpus.select(filters).rows())


def test_a_sampler_is_the_last_reason(corpus: Corpus) -> None:
    kept = corpus.select(Filters((Threshold("stars", minimum=1),), sample=SAMPLES[1]))
    summary = kept.summary()
    last = summary.reasons.to_dicts()[-1]
    assert last["reason"] == "sample"
    assert kept.dropped("sample").tolist() == [i for i in np.flatnonzero(kept.failures == 0) if not kept.mask()[i]]
    assert last["first_documents"] == len(kept.dropped("sample"))
    assert summary.reasons["first_documents"].sum() == N - len(kept)
    assert "then sampled" in kept.sql()
    assert summary.kept_tokens >= 20_000


def test_keys_are_the_first_64_bits_of_the_hash_of_seed_and_id(corpus: Corpus) -> None:
    expected = [int(hashlib.sha256(f"3:d{i:04d}".encode()).hexdigest()[:16], 16) for i in range(N)]
    assert keys(corpus, 3).tolist() == expected
    assert identity(corpus).column == "id"


def test_keys_are_hashed_once_a_seed(tiny_corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    original = identity_module._hashed
    monkeypatch.setattr(identity_module, "_hashed", lambda corpus, seed: hashed.append(seed) or original(corpus, seed))
    first = keys(tiny_corpus, 0)
    assert keys(tiny_corpus, 0) is first
    for seed in (1, 2, 0, 3, 0):
        keys(tiny_corpus, seed)
    assert hashed == [0, 1, 2, 3]
    keys(tiny_corpus, 1)  # the one used least recently was let go
    assert hashed == [0, 1, 2, 3, 1]
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_without_unique_ids_the_text_names_a_document(write_parquet: Callable[..., Path], tmp_path: Path) -> None:
    path = write_parquet("a.parquet", {"id": ["x", "x", "y"], "text": ["one", "two", None]})
    corpus = open_corpus(path, workspace=tmp_path / "w")
    assert identity(corpus).column is None
    assert "2 different values in 3 documents" in identity(corpus).why
    names = [hashlib.sha256(text.encode()).hexdigest() for text in ("one", "two", "")]
    assert keys(corpus, 0).tolist() == [int(hashlib.sha256(f"0:{name}".encode()).hexdigest()[:16], 16) for name in names]


def test_text_that_is_not_utf8_cannot_name_a_document(tmp_path: Path) -> None:
    array = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], "i4")), pa.py_buffer(b"\xff\xfe")])
    pq.write_table(pa.table({"text": array}), tmp_path / "a.parquet")
    corpus = open_corpus(tmp_path / "a.parquet", workspace=tmp_path / "w")
    with pytest.raises(SelectionError, match=r"(?i)utf-8.*Name a unique id column"):
        keys(corpus, 0)


@pytest.mark.parametrize(
    "where",
    [
        "COPY (SELECT 1) TO '/tmp/evil.parquet'",
        "EXISTS (SELECT * FROM read_text('/etc/passwd'))",
        "true) OR (true",
        "true; DROP VIEW corpus",
        "nothing_like_this > 3",
        "stars >",
    ],
)
def test_an_evil_or_broken_where_is_refused(corpus: Corpus, where: str) -> None:
    with pytest.raises(SelectionError) as raised:
        corpus.select(Filters(where=where)).rows()
    assert "\n" not in str(raised.value)


def test_python_and_command_say_the_same_selection(corpus: Corpus, tmp_path: Path) -> None:
    kept = corpus.select(FILTERS)
    room: dict[str, object] = {}
    exec(kept.python().replace("\nkept.summary()", ""), room)
    assert room["kept"].rows().tolist() == kept.rows().tolist()  # type: ignore[attr-defined]
    ours = f'explorer() {{ "{sys.executable}" -m explorer "$@"; }}\n'
    done = subprocess.run(
        ["sh", "-c", ours + kept.command("my filters.yaml") + " --json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["kept_documents"] == len(kept)


@pytest.mark.parametrize("given", [{"text": "body", "source": None}, {"tokens": None, "id": "text"}])
def test_python_and_command_keep_the_roles(write_parquet: Callable[..., Path], tmp_path: Path, given: dict) -> None:
    from explorer.cli.options import ROLES

    rows = {"text": ["a", "b"], "body": ["a long one", "b"], "source": ["x", "y"], "tokens": [7, 8]}
    corpus = open_corpus(write_parquet("a.parquet", rows), workspace=tmp_path / "w", **given)
    kept = corpus.select("true")
    room: dict[str, object] = {}
    exec(kept.python().replace("\nkept.summary()", ""), room)
    assert room["corpus"].roles == corpus.roles  # type: ignore[attr-defined]
    words = dict(word.removeprefix("--").split("=", 1) for word in shlex.split(kept.command()) if word.startswith("--") and "=" in word)
    said = {role: words[role] or None for role in ROLES if role in words}
    assert open_corpus(corpus.paths, workspace=tmp_path / "w", **said).roles == corpus.roles


def test_representations(corpus: Corpus) -> None:
    kept = corpus.select(FILTERS) | Threshold("n_chars", 5)
    assert "5 ≤ n_chars" in repr(kept)
    assert "documents kept" in kept._repr_html_()
    assert "<script>" not in corpus.select("source <> '<script>'")._repr_html_()
    assert find("n_chars").name == "length"
    assert kept.documents(3).height == 3
