"""Requests for elsewhere, and what came back: nothing is lost, invented or passed over in silence."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.errors import CorpusError, ModelError
from explorer.rewrites.pairs import open_pairs
from explorer.rewrites.prompting import requests as module
from explorer.rewrites.prompting.answer_lines import read_line
from explorer.rewrites.prompting.chunks import Counter
from explorer.rewrites.prompting.prompts import own, prompts
from explorer.rewrites.prompting.requests import read_answers, write_requests
from explorer.rewrites.prompting.written import Piece, Settings, settings_of

WORDS = Counter("words", lambda texts: [len(t.split()) for t in texts])
SHOUT = own("Shout: {text}", name="shout", system="Be loud.")
TEXTS = [
    "The sea is wide.",
    "One two three. Four five six.\n\nSeven eight nine. Ten.",
    None,
    " \n",
    "The sea is wide.",
    "\ud800".encode("utf-8", "replace").decode() + " é日本",
]


@pytest.fixture
def corpus(write_parquet: Callable[..., Path], tmp_path: Path) -> Corpus:
    path = write_parquet("docs/a.parquet", {"id": list(range(10, 16)), "text": TEXTS, "source": ["x"] * 6}, row_group_size=4)
    return open_corpus(path, workspace=tmp_path / "ws")


def written(corpus: Corpus, folder: Path, **how: Any) -> list[dict[str, Any]]:
    """Requests for all documents, in pieces of 4 words."""
    how = {"model_name": "m", "chunk_tokens": 4, "counter": WORDS, "seed": 5, **how}
    assert write_requests(corpus, None, SHOUT, folder, **how) is not None
    return [json.loads(line) for path in sorted(folder.glob("requests-*.jsonl")) for line in path.read_text().splitlines()]


def asked(request: dict[str, Any]) -> str:
    return str(request["body"]["messages"][-1]["content"]).removeprefix("Shout: ")


def batch(name: str, text: str, finish: str = "stop") -> dict[str, Any]:
    """A line of a batch service's output."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = {"model": "m-2025", "choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    return {"id": "x", "custom_id": name, "response": {"status_code": 200, "request_id": "r", "body": body}, "error": None}


def save(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_requests_are_what_a_batch_service_takes(corpus: Corpus, tmp_path: Path) -> None:
    lines = written(corpus, tmp_path / "asked", temperature=0.9, top_p=0.8, max_new_tokens=64)
    assert [asked(r) for r in lines] == [
        "The sea is wide.", "One two three.", "Four five six.", "Seven eight nine. Ten.", "The sea is wide.", "? é日本",
    ]  # fmt: skip
    first = lines[0]
    assert (first["method"], first["url"]) == ("POST", "/v1/chat/completions")
    assert first["body"] == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be loud."}, {"role": "user", "content": "Shout: The sea is wide."}],
        "temperature": 0.9,
        "top_p": 0.8,
        "max_tokens": 64,
        "seed": 5,
    }
    names = [r["custom_id"] for r in lines]
    assert len(set(names)) == 6
    assert all(len(name) <= 64 for name in names)
    assert [name.split("-")[1:] for name in names] == [["0", "0"], ["1", "0"], ["1", "1"], ["1", "2"], ["4", "0"], ["5", "0"]]
    assert [r["custom_id"] for r in written(corpus, tmp_path / "again", temperature=0.9, top_p=0.8, max_new_tokens=64)] == names
    assert [r["custom_id"] for r in written(corpus, tmp_path / "other", temperature=0.8, top_p=0.8, max_new_tokens=64)] != names


def test_parts_hold_so_many_lines_and_bytes(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(corpus, tmp_path / "lines", lines=4)
    assert [len(p.read_text().splitlines()) for p in sorted((tmp_path / "lines").glob("*.jsonl"))] == [4, 2]
    monkeypatch.setattr(module, "PART_BYTES", 600)
    written(corpus, tmp_path / "bytes")
    assert all(p.stat().st_size <= 600 for p in (tmp_path / "bytes").glob("*.jsonl"))
    made = write_requests(corpus, [0, 3], prompts["wrap-qa"], tmp_path / "few", model_name="m")
    assert made is not None
    assert (made.documents, made.requests, made.files, made.blank, made.estimated) == (2, 1, 1, 1, True)
    assert str(made) == "1 requests for 2 documents in 1 files, about 6 tokens of text; 1 documents have no text"
    assert made.settings.sampling.temperature == prompts["wrap-qa"].temperature


def test_answers_are_joined_in_any_order_and_open_with_their_originals(corpus: Corpus, tmp_path: Path) -> None:
    lines = written(corpus, tmp_path / "asked")
    answers = [batch(r["custom_id"], asked(r).upper()) for r in lines]
    report = read_answers(
        tmp_path / "asked",
        [save(tmp_path / "b.jsonl", answers[3:][::-1]), save(tmp_path / "a.jsonl", answers[:3])],
        tmp_path / "out" / "made.parquet",
    )
    assert (report.documents, report.rewritten, report.requests, report.answered, report.missing) == (6, 4, 6, 6, 0)
    assert report.models == {"m-2025": 6}
    assert str(report) == "4 of 6 documents have a rewrite; 6 of 6 requests were answered"
    table = pq.read_table(report.path)
    assert table["id"].to_pylist() == list(range(10, 16))
    assert table["rewrite"].to_pylist() == [
        "THE SEA IS WIDE.", "ONE TWO THREE. FOUR FIVE SIX.\n\nSEVEN EIGHT NINE. TEN.", None, None, "THE SEA IS WIDE.", "? É日本",
    ]  # fmt: skip
    assert table["error"].to_pylist()[2:4] == ["the document has no text"] * 2
    assert table["chunks"].to_pylist() == [1, 3, 0, 0, 1, 1]
    assert table["completion_tokens"].to_pylist() == [3, 9, None, None, 3, 3]
    assert len(set(table["pair_id"].to_pylist())) == 6
    assert settings_of(report.path) == Settings.from_dict(json.loads((tmp_path / "asked" / "requests.json").read_text())["settings"])
    assert open_pairs(corpus, report.path, on="id").match.report.matched == 6
    assert list((tmp_path / "out").iterdir()) == [report.path]  # nothing is left lying about


def test_whatever_came_back_is_accounted_for(corpus: Corpus, tmp_path: Path) -> None:
    lines = written(corpus, tmp_path / "asked")
    n0, n1, n2, n3, n4, n5 = (r["custom_id"] for r in lines)
    answers = [
        {"custom_id": n0, "response": None, "error": {"code": "batch_expired", "message": "too late"}},
        {"custom_id": n1, "text": "EINS.", "finish_reason": "stop"},
        batch(n2, "ZWEI", "length"),
        {"custom_id": n3, "response": {"status_code": 429, "body": {"error": {"message": "slow  down"}}}, "error": None},
        batch(n0, "MEER."),  # a later answer is better than an earlier failure
        batch(n0, "MEER!"),  # and the first of two answers counts
        {"custom_id": n5, "text": ""},
        {"custom_id": "0" * 16 + "-0-0", "text": "not asked"},
        {"custom_id": n1[:-1] + "7", "text": "no such piece"},
        {"custom_id": "their-own", "text": "not asked"},
        "{broken",
        json.dumps(["list"]),
        json.dumps({"custom_id": n4}),
        "",
    ]
    report = read_answers(
        tmp_path / "asked", save(tmp_path / "a.jsonl", answers), tmp_path / "made.parquet", again=tmp_path / "again.jsonl"
    )
    assert report.answered + report.failed + report.missing == report.requests == 6
    assert (report.answered, report.truncated, report.unusable, report.failed, report.missing) == (4, 1, 1, 1, 1)
    assert (report.duplicated, report.unknown, report.unreadable) == (1, 3, 3)
    assert report.reasons == {"HTTP 429 (slow down)": 1}
    assert report.examples["missing"] == (n4,)
    assert report.examples["duplicated"] == (n0,)
    assert report.examples["unknown"] == ("0" * 16 + "-0-0", n1[:-1] + "7", "their-own")
    assert [e.partition(":")[0] for e in report.examples["unreadable"]] == ["a.jsonl line 11", "a.jsonl line 12", "a.jsonl line 13"]
    assert "1 answered more than once" in str(report)
    rows = pq.read_table(report.path).to_pylist()
    assert [r["rewrite"] for r in rows] == ["MEER.", None, None, None, None, None]
    assert rows[1]["error"] == "piece 3 of 3: HTTP 429 (slow down)"
    assert rows[1]["answer"] == "EINS. ZWEI"
    assert rows[1]["finish"] == "length"
    assert rows[4]["error"] == "no answer came"
    assert rows[5]["error"] == "the answer is empty"
    once_more = [json.loads(line) for line in (tmp_path / "again.jsonl").read_text().splitlines()]
    assert once_more == [lines[3], lines[4]]
    late = save(tmp_path / "late.jsonl", [batch(r["custom_id"], asked(r)) for r in once_more])
    report = read_answers(tmp_path / "asked", [tmp_path / "a.jsonl", late], tmp_path / "whole.parquet")
    assert (report.failed, report.missing, report.answered) == (0, 0, 6)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_counts_always_add_up(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("requests")
    lines = written(corpus, folder / "asked")
    names = [r["custom_id"] for r in lines]
    one = st.sampled_from([*names, "nothing", "f" * 16 + "-2-0"])
    kind = st.sampled_from(["good", "empty", "cut", "failed", "broken"])
    came = data.draw(st.lists(st.tuples(one, kind), max_size=20))
    made = {
        "good": lambda n: batch(n, "X"),
        "empty": lambda n: batch(n, ""),
        "cut": lambda n: batch(n, "X", "length"),
        "failed": lambda n: {"custom_id": n, "error": "no"},
        "broken": lambda n: "{",
    }
    report = read_answers(folder / "asked", save(folder / "a.jsonl", [made[k](n) for n, k in came]), folder / "made.parquet")
    readable = [(n, k) for n, k in came if k != "broken"]
    assert report.unreadable == len(came) - len(readable)
    assert report.unknown == sum(n not in names for n, _ in readable)
    assert report.duplicated == sum(sum(m == n for m, _ in readable) > 1 for n in names)
    best = {n: {k for m, k in readable if m == n} for n in names}
    assert report.missing == sum(not kinds for kinds in best.values())
    assert report.failed == sum(
        bool(kinds) and kinds <= {"failed", "empty"} and "failed" in kinds and _first(readable, n) == "failed" for n, kinds in best.items()
    )
    assert report.answered + report.failed + report.missing == 6
    rows = pq.read_table(report.path).to_pylist()
    assert len(rows) == 6
    assert report.rewritten == sum(r["rewrite"] is not None for r in rows)
    assert all((r["rewrite"] is None) == (r["error"] is not None) for r in rows)


def _first(came: list[tuple[str, str]], name: str) -> str:
    return next(k for n, k in came if n == name)


def test_without_ids_the_original_stands_beside_its_rewrite(write_parquet: Callable[..., Path], tmp_path: Path) -> None:
    corpus = open_corpus(write_parquet("bare.parquet", {"text": ["One.", "Two."]}), workspace=tmp_path / "ws")
    lines = written(corpus, tmp_path / "asked")
    answers = save(tmp_path / "a.jsonl", [{"custom_id": r["custom_id"], "text": asked(r).lower()} for r in lines])
    report = read_answers(tmp_path / "asked", answers, tmp_path / "made.parquet")
    assert open_pairs(report.path, workspace=tmp_path / "ws").texts([0, 1]) == [("One.", "one."), ("Two.", "two.")]


def test_many_documents_are_joined_in_their_order(write_parquet: Callable[..., Path], tmp_path: Path) -> None:
    n = 10_000
    corpus = open_corpus(
        write_parquet("many.parquet", {"id": [f"d{i}" for i in range(n)], "text": [f"text {i}" for i in range(n)]}, row_group_size=900)
    )
    lines = written(corpus, tmp_path / "asked", lines=3000)
    assert len(list((tmp_path / "asked").glob("*.jsonl"))) == 4
    answers = save(tmp_path / "a.jsonl", [{"custom_id": r["custom_id"], "text": asked(r).upper()} for r in lines[::-1]])
    seen: list[Any] = []
    report = read_answers(tmp_path / "asked", answers, tmp_path / "made.parquet", on_progress=seen.append)
    assert report.rewritten == n
    assert (seen[-1].state, seen[-1].done_rows) == ("done", n)
    assert pq.read_table(report.path)["rewrite"].to_pylist() == [f"TEXT {i}" for i in range(n)]


@pytest.mark.parametrize(
    ("line", "name", "piece"),
    [
        ({"custom_id": "a", "text": "x"}, "a", Piece("x")),
        ({"custom_id": "a", "text": "x", "finish_reason": "length"}, "a", Piece("x", "length")),
        ({"custom_id": "a", "text": 3}, "a", Piece(None, "", "the answer is no text")),
        ({"custom_id": "a", "text": "x", "error": "late"}, "a", Piece(None, "", "late")),
        (batch("a", "x", "length"), "a", Piece("x", "length", "", 7, 3)),
        ({"custom_id": "a", "response": {"status_code": 200, "body": {"choices": []}}}, "a", Piece(None, "", "the response is no chat completion")),
        ({"custom_id": "a", "response": {"status_code": 200, "body": {"choices": [{"message": {"content": None}}]}}}, "a", Piece("")),
        ({"custom_id": "a", "response": {"status_code": 500, "body": None}}, "a", Piece(None, "", "HTTP 500")),
        ({"custom_id": "a", "response": None}, "a", Piece(None, "", "the response is no chat completion")),
        ({"custom_id": "a", "response": {"status_code": 200, "body": {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "7", "completion_tokens": True}}}}, "a", Piece("x")),
    ],
)  # fmt: skip
def test_lines_of_answers(line: dict[str, Any], name: str, piece: Piece) -> None:
    assert read_line(json.dumps(line))[:2] == (name, piece)


def test_what_cannot_be_done(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No model was named"):
        write_requests(corpus, None, SHOUT, tmp_path / "asked", model_name="")
    with pytest.raises(ModelError, match="lines 0 does not fit"):
        written(corpus, tmp_path / "asked", lines=0)
    assert not (tmp_path / "asked").exists()
    written(corpus, tmp_path / "asked")
    with pytest.raises(CorpusError, match="holds requests already, whose answers could not be read without it"):
        written(corpus, tmp_path / "asked")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(CorpusError, match="is not empty"):
        written(corpus, tmp_path / "full")
    with pytest.raises(CorpusError, match=r"holds no requests: requests\.json and documents\.parquet"):
        read_answers(tmp_path / "full", "x", tmp_path / "made.parquet")
    with pytest.raises(CorpusError, match=r"nowhere\.jsonl' is no file of answers"):
        read_answers(tmp_path / "asked", tmp_path / "nowhere.jsonl", tmp_path / "made.parquet")
    (tmp_path / "made.parquet").touch()
    with pytest.raises(CorpusError, match=r"made\.parquet' exists\. It was left as it is"):
        read_answers(tmp_path / "asked", save(tmp_path / "a.jsonl", []), tmp_path / "made.parquet")
    cancel = threading.Event()
    cancel.set()
    assert write_requests(corpus, None, SHOUT, tmp_path / "none", model_name="m", cancel=cancel) is None
    assert not (tmp_path / "none").exists()
    assert not list(tmp_path.glob(".none*"))
