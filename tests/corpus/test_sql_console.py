"""Attacks on the SQL console and on the free predicate: nothing is written, nothing but the corpus is read, the message is one line."""

import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.errors import SelectionError

SECRET = "correct horse battery staple"


@pytest.fixture
def house(write_parquet: Callable[..., Path], tmp_path: Path) -> Corpus:
    """A corpus with secrets all around it: above it, beside it in its own folder, behind a link in it, in its workspace."""
    write_parquet("data/a.parquet", {"id": ["x", "y", "z"], "text": ["one", "two two", "three"], "n": [1, 2, 3]})
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "secret.csv").write_text(f"a\n{SECRET}\n")
    (tmp_path / "data" / "beside.csv").write_text(f"a\n{SECRET}\n")
    (tmp_path / "data" / "link.csv").symlink_to(tmp_path / "secret.csv")
    write_parquet("other/secret.parquet", {"a": [SECRET]})
    workspace = tmp_path / "workspace"
    (workspace / "signals").mkdir(parents=True)
    (workspace / "signals" / "notes.csv").write_text(f"a\n{SECRET}\n")
    return open_corpus(tmp_path / "data", workspace=workspace)


ATTACKS = {
    "copy to": "COPY (SELECT 1) TO '{root}/evil.parquet'",
    "copy over the corpus": "COPY (SELECT 1) TO '{root}/data/a.parquet'",
    "copy in the corpus' folder": "COPY (SELECT 1) TO '{root}/data/evil.parquet'",
    "copy in a cte": "WITH x AS (COPY (SELECT 1) TO '{root}/data/evil.parquet') SELECT * FROM x",
    "copy in a cte, elsewhere": "WITH x AS (COPY (SELECT 1) TO '{root}/evil.csv') SELECT * FROM corpus",
    "explain analyze copy": "EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/data/evil.parquet'",
    "read_csv": "SELECT * FROM read_csv('/etc/passwd')",
    "read_csv, secret": "SELECT * FROM read_csv('{root}/secret.csv')",
    "read_text": "SELECT * FROM read_text('{root}/secret.txt')",
    "read_blob": "SELECT * FROM read_blob('{root}/secret.txt')",
    "read_json": "SELECT * FROM read_json('{root}/secret.txt')",
    "read_parquet": "SELECT * FROM read_parquet('{root}/other/secret.parquet')",
    "a file as a table": "SELECT * FROM '{root}/other/secret.parquet'",
    "parquet_metadata": "SELECT * FROM parquet_metadata('{root}/other/secret.parquet')",
    "sniff_csv": "SELECT * FROM sniff_csv('{root}/secret.csv')",
    "glob": "SELECT * FROM glob('{root}/*')",
    "glob of the corpus' folder": "SELECT * FROM glob('{root}/data/*.csv')",
    "traversal": "SELECT * FROM read_text('{root}/data/../secret.txt')",
    "traversal past the file": "SELECT * FROM read_text('{root}/data/a.parquet/../../secret.txt')",
    "symlink inside the root": "SELECT * FROM read_csv('{root}/data/link.csv')",
    "beside the corpus": "SELECT * FROM read_csv('{root}/data/beside.csv')",
    "in the workspace": "SELECT * FROM read_csv('{root}/workspace/signals/notes.csv')",
    "http": "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "attach": "ATTACH '{root}/evil.duckdb' AS evil",
    "attach, sqlite": "ATTACH '{root}/evil.sqlite' (TYPE sqlite)",
    "install": "INSTALL httpfs",
    "load": "LOAD '{root}/evil.duckdb_extension'",
    "set": "SET enable_external_access = true",
    "reset": "RESET lock_configuration",
    "set variable": "SET VARIABLE x = 1",
    "pragma": "PRAGMA database_list",
    "call": "CALL pragma_version()",
    "export": "EXPORT DATABASE '{root}/evil'",
    "import": "IMPORT DATABASE '{root}/other'",
    "create table": "CREATE TABLE evil AS SELECT 1",
    "create macro": "CREATE MACRO evil() AS 1",
    "create secret": "CREATE SECRET (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "drop": "DROP VIEW corpus",
    "insert": "INSERT INTO corpus VALUES (1)",
    "update": "UPDATE corpus SET text = ''",
    "delete": "DELETE FROM corpus",
    "multiple statements": "SELECT 1; COPY (SELECT 1) TO '{root}/evil.parquet'",
    "multiple selects": "SELECT 1; SELECT 2",
    "paren escape": "SELECT 1) ; COPY (SELECT 1) TO '{root}/evil.parquet' --",
    "quote escape": "SELECT 1') ; COPY (SELECT 1) TO '{root}/evil.parquet' --",
    "dollar escape": "SELECT $$x$$ ; COPY (SELECT 1) TO '{root}/evil.parquet' --$$",
    "comment": "SELECT 1 /* ",
    "query in a query": "SELECT * FROM query('COPY (SELECT 1) TO ''{root}/data/evil.parquet''')",
    "query_table": "SELECT * FROM query_table('{root}/other/secret.parquet')",
    "getenv": "SELECT getenv('HOME')",
    "explain": "EXPLAIN SELECT * FROM corpus",
    "nothing": " ; ",
}
ALLOWED_TO_RUN = {"glob", "glob of the corpus' folder"}  # an empty list of files tells nothing


def state(root: Path) -> dict[str, tuple[int, int] | str]:
    """Every file below a folder with its time and content."""
    return {str(p.relative_to(root)): (p.stat().st_mtime_ns, hash(p.read_bytes())) for p in root.rglob("*") if p.is_file()}


def one_line(error: SelectionError) -> str:
    """The message, checked to be one that a page can show."""
    message = str(error)
    assert message.strip()
    assert "\n" not in message
    assert "Traceback" not in message
    assert SECRET not in message
    assert len(message) < 1500
    return message


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(name: str, house: Corpus, tmp_path: Path) -> None:
    before = state(tmp_path)
    sql = ATTACKS[name].format(root=tmp_path)
    try:
        rows = house.sql(sql)
    except SelectionError as error:
        one_line(error)
    else:
        assert name in ALLOWED_TO_RUN, rows
        assert SECRET not in str(rows.rows())
        assert rows.height == 0
    assert state(tmp_path) == before
    assert house.sql("SELECT count(*) AS n FROM corpus").item() == 3


@pytest.mark.parametrize("name", [n for n in ATTACKS if n != "nothing"])
def test_an_attack_in_a_predicate_is_refused(name: str, house: Corpus, tmp_path: Path) -> None:
    """As the whole predicate, in a subquery of it, and after leaving its brackets."""
    before = state(tmp_path)
    sql = ATTACKS[name].format(root=tmp_path)
    for predicate in (sql, f"n IN ({sql})", f"EXISTS ({sql})", f"true) OR EXISTS ({sql}", f"true); {sql} --"):
        try:
            rows = house.database.matching_rows(predicate)
        except SelectionError as error:
            one_line(error)
        else:
            assert name in ALLOWED_TO_RUN, predicate
            assert rows.to_list() in ([], [0, 1, 2])
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    "predicate",
    [
        "true) OR (true",
        "true) UNION ALL SELECT 99 WHERE (true",
        "true UNION ALL SELECT 99",
        "true FROM corpus",
        "true; SELECT 1",
        "true /*",
        "true) --",
        "n = 1, n = 2",
        "SELECT 1",
        "",
        "--",
    ],
)
def test_a_predicate_is_one_expression(predicate: str, house: Corpus) -> None:
    with pytest.raises(SelectionError) as raised:
        house.database.matching_rows(predicate)
    assert "predicate" in one_line(raised.value)


@pytest.mark.parametrize(
    ("predicate", "rows"),
    [
        ("n > 1", [1, 2]),
        ("n > 1;", [1, 2]),
        ("n > 1 -- a comment", [1, 2]),
        ("/* a */ n > 1", [1, 2]),
        ("n > (SELECT avg(n) FROM corpus)", [2]),
        ("NULL", []),
        ("text = ')'", []),
        ("text LIKE '%o%' AND length(text) < 4", [0]),
    ],
)
def test_an_honest_predicate_works(predicate: str, rows: list[int], house: Corpus) -> None:
    assert house.database.matching_rows(predicate).to_list() == rows


@pytest.mark.parametrize(
    ("predicate", "what"),
    [
        ("random() < 0.5", "random()"),
        ("n > 1 AND list_transform([1], x -> x + RANDOM())[1] > 0", "random()"),
        ("now() > TIMESTAMP '2020-01-01'", "now()"),
        ("current_date > DATE '2020-01-01'", "current_date"),
        ("age(TIMESTAMP '2020-01-01') > INTERVAL 1 YEAR", "age()"),
        ("uuid() > '8'", "uuid()"),
        ("n IN (SELECT n FROM corpus USING SAMPLE 50%)", "a sample without a seed"),
    ],
)
def test_a_predicate_that_answers_otherwise_each_time_is_refused(predicate: str, what: str, house: Corpus) -> None:
    with pytest.raises(SelectionError, match="seeded sampler") as raised:
        house.database.matching_rows(predicate)
    assert f"uses {what}," in one_line(raised.value)


@pytest.mark.parametrize(
    ("predicate", "rows"),
    [
        ("text <> 'random() < now()' -- current_date", [0, 1, 2]),
        ("age(TIMESTAMP '2024-01-01', TIMESTAMP '2020-01-01') > INTERVAL 1 YEAR AND n = 1", [0]),
        (" OR ".join(f"n = {i}" for i in range(2, 2000)), [1, 2]),
    ],
)
def test_a_predicate_that_only_looks_unsteady_works(predicate: str, rows: list[int], house: Corpus) -> None:
    assert house.database.matching_rows(predicate).to_list() == rows


def test_a_column_may_have_the_name_of_a_clock(write_parquet: Callable[..., Path], tmp_path: Path) -> None:
    path = write_parquet("a.parquet", {"text": ["old", "new"], "current_date": ["1999", "2024"], "now": [1, 2]})
    corpus = open_corpus(path, workspace=tmp_path / "w")
    assert corpus.database.matching_rows("current_date > '2000' AND now = 2").to_list() == [1]


def test_local_data_frames_are_not_found(house: Corpus) -> None:
    evil = pl.DataFrame({"a": [SECRET]})
    with pytest.raises(SelectionError, match="evil") as raised:
        house.sql("SELECT * FROM evil")
    one_line(raised.value)
    assert evil.height == 1


def test_an_endless_query_is_stopped(house: Corpus) -> None:
    started = time.monotonic()
    with pytest.raises(SelectionError, match="stopped after 1 s") as raised:
        house.database.ask("WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t) SELECT max(a) FROM t", seconds=1)
    one_line(raised.value)
    assert time.monotonic() - started < 6


def test_an_endless_predicate_is_stopped(house: Corpus) -> None:
    with pytest.raises(SelectionError, match="stopped after 1 s"):
        house.database.matching_rows("(SELECT count(*) FROM range(100000000) a, range(100000000) b) > 0", seconds=1)


@pytest.mark.parametrize(
    "sql", ["SELECT " + " + ".join(["1"] * 30_000), "SELECT " + "(" * 20_000 + "1" + ")" * 20_000, "SELECT '" + "x" * 3_000_000]
)
def test_a_very_long_query_is_answered_or_refused(sql: str, house: Corpus) -> None:
    try:
        answer = house.sql(sql)
    except SelectionError as error:
        one_line(error)
    else:
        assert answer.height == 1
    assert house.sql("SELECT count(*) FROM corpus").item() == len(house)  # and the next query is answered as ever


def test_a_large_answer_is_cut_and_says_so(house: Corpus) -> None:
    result = house.database.ask("SELECT * FROM range(5000)", limit=100)
    assert (result.rows.height, result.truncated, result.limit) == (100, True, 100)
    result = house.database.ask("SELECT text FROM corpus", limit=3)
    assert (result.rows.height, result.truncated) == (3, False)


def test_a_query_that_hoards_memory_is_stopped(house: Corpus) -> None:
    with pytest.raises(SelectionError) as raised:
        house.database.ask("SELECT list(a.range * b.range) FROM range(60000) a, range(60000) b", seconds=1)
    one_line(raised.value)


def test_an_honest_query_works(house: Corpus) -> None:
    rows = house.sql("WITH t AS (SELECT id, n FROM corpus) SELECT id FROM t WHERE n > 1 ORDER BY n DESC;")
    assert rows["id"].to_list() == ["z", "y"]


def test_files_whose_names_are_patterns_are_reachable(write_parquet: Callable[..., Path], tmp_path: Path) -> None:
    write_parquet("odd/a[1].parquet", {"text": ["brackets"]})
    write_parquet("odd/it's *.parquet", {"text": ["quote and star"]})
    corpus = open_corpus(tmp_path / "odd", workspace=tmp_path / "w")
    assert corpus.sql("SELECT text FROM corpus ORDER BY 1")["text"].to_list() == ["brackets", "quote and star"]
    assert corpus.database.matching_rows("text LIKE 'b%'").len() == 1
