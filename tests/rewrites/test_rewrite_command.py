"""The command ``explorer rewrite``: a model here, an endpoint, requests and their answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from models.endpoint_server import ChatServer, Reply, answer, serve
from models.tiny import model

from explorer.cli import run
from explorer.models import endpoint
from explorer.models.endpoint import limited

Said = Callable[..., tuple[int, str, str]]
KEY = "sk-secret-for-tests"


@pytest.fixture
def explorer(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Run the command; (exit code, stdout, stderr)."""
    monkeypatch.setenv("EXPLORER_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("THE_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    endpoint._connected.cache_clear()
    monkeypatch.setattr(endpoint.random, "uniform", lambda low, high: 0.0)
    with serve() as chat, limited(concurrency=4, timeout=10, tries=2, hopeless=4):
        chat.reply = lambda request: answer(str(request.body["messages"][-1]["content"])[-20:].upper())
        yield chat


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    path = tmp_path / "loud.txt"
    path.write_text("Shout:\n{text}")
    return path


def test_an_endpoint_writes_a_file_that_the_audit_opens(
    explorer: Said, server: ChatServer, tiny_files: Path, prompt: Path, tmp_path: Path
) -> None:
    out = tmp_path / "made.parquet"
    served = ["--endpoint", server.url, "--endpoint-model", "m", "--key-variable", "THE_KEY"]
    code, said, err = explorer("rewrite", tiny_files, "--prompt", prompt, "--sample", 6, "--seed", 3, "--out", out, *served, "--json")
    assert code == 0, err
    found = json.loads(said)
    assert {k: found[k] for k in ("documents", "rewritten", "reused", "cut", "errors", "model", "revision", "seed")} == {
        "documents": 6, "rewritten": 6, "reused": 0, "cut": 0, "errors": {}, "model": "m", "revision": None, "seed": 3,
    }  # fmt: skip
    assert found["prompt"].startswith("loud@")
    assert found["parameters"]["counted_by"] == "estimate"
    assert found["completion_tokens"] == 5 * len(server.requests)
    assert (len(server.requests), server.requests[0].headers["authorization"]) == (6, f"Bearer {KEY}")
    assert KEY not in said + err
    assert f"Audit it: explorer score {out} --originals {tiny_files} --on id -s audit" in err
    code, _, err = explorer("score", out, "--originals", tiny_files, "--on", "id", "-s", "size")
    assert code == 0, err
    code, said, err = explorer("rewrite", tiny_files, "--prompt", prompt, "--sample", 6, "--seed", 3, "--out", out, *served)
    assert code == 0
    assert "(6 had been before)" in said
    assert "  original of d" in said
    assert len(server.requests) == 6


def test_a_model_here(explorer: Said, tiny_files: Path, prompt: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "gpt2", "gpt2", head="causal", longest=256)
    out = tmp_path / "made.parquet"
    how = ["--model", folder, "--device", "cpu", "--max-new-tokens", 4, "--chunk-tokens", 0, "--temperature", 0]
    filters = tmp_path / "filters.yaml"
    filters.write_text("where: source = 'web' and stars = 1\n")
    code, said, err = explorer("rewrite", tiny_files, "--prompt", prompt, "--filters", filters, "--out", out, *how, "--json")
    assert code == 0, err
    found = json.loads(said)
    assert found["documents"] == found["rewritten"] + sum(found["errors"].values()) == 5
    assert (found["parameters"]["chunk_tokens"], found["parameters"]["max_new_tokens"], found["parameters"]["dtype"]) == (
        None,
        4,
        "float32",
    )
    assert found["tokens_a_second"] > 0
    assert "rewriting: 5 of 5 documents" in err


def test_requests_are_written_and_their_answers_read(explorer: Said, tiny_files: Path, prompt: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "asked", tmp_path / "made.parquet"
    code, said, err = explorer("rewrite", tiny_files, "--prompt", prompt, "--requests", folder, "--endpoint-model", "m", "--json")
    assert code == 0, err
    found = json.loads(said)
    assert {k: found[k] for k in ("documents", "requests", "files", "blank", "estimated")} == {
        "documents": 60, "requests": 60, "files": 1, "blank": 0, "estimated": True,
    }  # fmt: skip
    lines = [json.loads(line) for line in (folder / "requests-00000.jsonl").read_text().splitlines()]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"custom_id": r["custom_id"], "text": "loud"}) + "\n" for r in lines[:50]))
    again = tmp_path / "again.jsonl"
    code, said, err = explorer("rewrite", tiny_files, "--requests", folder, "--answers", answers, "--out", out, "--again", again)
    assert code == 0, err
    assert said.startswith("50 of 60 documents have a rewrite; 50 of 60 requests were answered; 10 missing (")
    assert len(again.read_text().splitlines()) == 10
    assert pq.read_table(out)["rewrite"].null_count == 10
    code, said, err = explorer(
        "rewrite", tiny_files, "--requests", folder, "--answers", again, "--out", tmp_path / "none.parquet", "--json"
    )
    assert code == 1
    assert json.loads(said)["unreadable"] == 10
    assert err.endswith("No document has a rewrite.\n")


def test_a_job_writes_its_progress(server: ChatServer, explorer: Said, tiny_files: Path, prompt: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    served = ["--endpoint", server.url, "--endpoint-model", "m"]
    code, _, err = explorer("--job", folder, "rewrite", tiny_files, "--prompt", prompt, "--out", tmp_path / "made.parquet", *served)
    assert code == 0, err
    said = json.loads((folder / "progress.json").read_text())
    assert (said["state"], said["done"], said["total"]) == ("done", 60, 60)


def test_nothing_rewritten_is_a_no_and_an_endpoint_that_refuses_an_error(
    explorer: Said, server: ChatServer, tiny_files: Path, prompt: Path, tmp_path: Path
) -> None:
    served = ["--endpoint", server.url, "--endpoint-model", "m", "--sample", 2]
    server.reply = lambda request: answer(" ")
    code, said, err = explorer("rewrite", tiny_files, "--prompt", prompt, "--out", tmp_path / "a.parquet", *served)
    assert (code, "no rewrite: 2 the answer is empty" in err, err.endswith("No document was rewritten.\n")) == (1, True, True)
    assert said.startswith("0 of 2 documents rewritten")
    server.reply = lambda request: Reply(401, {"error": {"message": "who are you"}})
    code, said, err = explorer("rewrite", tiny_files, "--prompt", prompt, "--out", tmp_path / "b.parquet", *served)
    assert (code, said) == (2, "")
    assert "HTTP 401 (who are you)" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name one of --out FILE (rewrite now) and --requests DIR (write requests)."),
        (["--out", "x.parquet", "--requests", "y"], "Name one of --out FILE"),
        (["--answers", "a.jsonl", "--out", "x.parquet"], "--requests DIR --answers FILE --out FILE"),
        (["--out", "x.parquet", "--prompt", "wrap-huge"], "Prompt 'wrap-huge' is unknown, and no such file exists. Prompts: wrap-easy"),
        (["--out", "x.parquet", "--endpoint-model", "m"], "No endpoint was named."),
        (["--out", "x.parquet", "--endpoint", "http://localhost:9/v1"], "No model was named for the endpoint."),
        (
            ["--out", "x.parquet", "--endpoint", "http://localhost:9/v1", "--model", "m"],
            "Name one of --model (on this machine) and --endpoint",
        ),
        (["--requests", "y"], "No model was named. Requests carry the name"),
        (["--out", "x.parquet", "--model", "./nowhere"], "Model './nowhere' does not exist."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(explorer: Said, tiny_files: Path, arguments: list[Any], said: str) -> None:
    code, out, err = explorer("rewrite", tiny_files, *arguments)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
