"""Answers of a served model that are drawn: what is sent, and how an answer ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from models.endpoint_server import ChatServer, Reply, answer, serve

from explorer.models import endpoint
from explorer.models.endpoint import Answer, connect, limited
from explorer.models.generation import Sampling
from explorer.models.sampled import SampledAnswer, finish_of, sampled


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    endpoint._connected.cache_clear()
    monkeypatch.setattr(endpoint.random, "uniform", lambda low, high: 0.0)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serve() as chat, limited(concurrency=4, timeout=10, tries=2, hopeless=4):
        yield chat


def asked(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": text}] for text in texts]


def test_each_answer_says_how_it_ended_whatever_runs_beside_it(server: ChatServer) -> None:
    ends = {"a": "stop", "b": "length", "c": "content_filter", "d": "stop"}
    server.reply = lambda r: answer(r.body["messages"][0]["content"], finish=ends[r.body["messages"][0]["content"]])
    place: dict[int, Answer] = {}
    found = sampled(connect("m", server.url), asked(*ends), Sampling(0.5, 0.9, 32, seed=7), on_answer=place.__setitem__)
    assert [(a.text, a.finish) for a in found if isinstance(a, SampledAnswer)] == list(ends.items())
    assert [place[k] for k in range(4)] == found
    assert all(a.seconds > 0 for a in found if isinstance(a, SampledAnswer))
    body = server.requests[0].body
    assert (body["temperature"], body["top_p"], body["seed"], body["max_tokens"]) == (0.5, 0.9, 7, 32)


def test_what_the_endpoint_counts_is_counted_once_for_all_who_use_it(server: ChatServer) -> None:
    server.reply = lambda r: answer("x", 10, 5)
    served = connect("m", server.url)
    sampled(served, asked("a", "b"), Sampling())
    assert (served.usage.requests, served.usage.prompt_tokens, served.usage.completion_tokens) == (2, 20, 10)
    served.ask("c")
    assert server.requests[-1].body["temperature"] == 0  # the endpoint itself still asks for the most probable answer
    assert "seed" not in server.requests[-1].body


def test_an_empty_answer_and_a_refusal(server: ChatServer) -> None:
    server.reply = lambda r: answer(" ") if r.body["messages"][0]["content"] == "a" else Reply(400, {"error": {"message": "too long"}})
    empty, refused = sampled(connect("m", server.url), asked("a", "b"), Sampling())
    assert (empty.problem, isinstance(empty, SampledAnswer)) == ("the answer is empty", True)
    assert (refused.problem, refused.unanswered) == ("HTTP 400 (too long)", False)


@pytest.mark.parametrize(("choice", "said"), [({"finish_reason": "stop"}, "stop"), ({"finish_reason": None}, ""), ({}, ""), ("x", "")])
def test_how_a_choice_says_that_it_ended(choice: object, said: str) -> None:
    assert finish_of(choice) == said
