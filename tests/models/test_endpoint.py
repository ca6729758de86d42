"""The client against a real server in a thread that speaks the protocol, and fails as servers do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

pytest.importorskip("httpx")

from models.endpoint_server import ChatServer, Reply, answer, serve

from explorer.errors import ModelError
from explorer.models import endpoint
from explorer.models.endpoint import Answer, Usage, connect, limited, parse_json


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits long for one more try."""
    monkeypatch.setattr(endpoint.random, "uniform", lambda low, high: 0.01)
    endpoint._connected.cache_clear()  # a port may come again
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "EXPLORER_ENDPOINT_CONCURRENCY", "EXPLORER_ENDPOINT_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


def talk(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def is_score(value: Any) -> str:
    return "" if isinstance(value, dict) and isinstance(value.get("score"), int) else "no score"


def test_one_question(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    served = connect("m", server.url, key_variable="MY_KEY")
    server.script(answer("Rivers", 12, 3))
    assert served.ask("A title?", system="Be brief.") == "Rivers"
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-secret"
    assert request.body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A title?"}]
    assert (request.body["model"], request.body["temperature"], request.body["max_tokens"]) == ("m", 0, 512)
    assert "response_format" not in request.body
    assert (served.usage.prompt_tokens, served.usage.completion_tokens, served.usage.requests) == (12, 3, 1)
    assert served.usage.cost(2.0, 10.0) == pytest.approx((12 * 2 + 3 * 10) / 1e6)
    assert "sk-secret" not in repr(served)


def test_no_key_no_header(server: ChatServer) -> None:
    server.script(answer("x"))
    connect("m", server.url).ask("?")
    assert "authorization" not in server.requests[0].headers


def test_answers_keep_their_order_and_run_side_by_side(server: ChatServer) -> None:
    server.reply = lambda request: Reply(200, answer(request.body["messages"][-1]["content"].upper(), 5, 1).body, delay=0.05)
    served = connect("m", server.url)
    seen: list[int] = []
    with limited(concurrency=6):
        found = served.ask_each([talk(f"t{i}") if i != 3 else None for i in range(24)], on_answer=lambda place, a: seen.append(place))
    assert [a.text for a in found] == [f"T{i}" if i != 3 else "" for i in range(24)]
    assert found[3] == Answer()
    assert sorted(seen) == [i for i in range(24) if i != 3]
    assert 2 <= server.most_at_once <= 6
    assert (served.usage.requests, served.usage.prompt_tokens) == (23, 115)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_is_busy_is_asked_again(server: ChatServer, status: int) -> None:
    server.script(Reply(status, {"error": {"message": "busy"}}), Reply(status, b"<html>"), answer("done"))
    served = connect("m", server.url)
    assert served.ask("?") == "done"
    assert (served.usage.requests, served.usage.retries) == (3, 2)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_heeded(server: ChatServer, form: str) -> None:
    value = "0.6" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    server.script(Reply(429, {}, headers={"Retry-After": value}), answer("done"))
    started = time.monotonic()
    assert connect("m", server.url).ask("?") == "done"
    assert time.monotonic() - started >= 0.55


def test_a_wait_without_end_is_cut(monkeypatch: pytest.MonkeyPatch, server: ChatServer) -> None:
    monkeypatch.setattr(endpoint, "LONGEST_WAIT", 0.05)
    server.script(Reply(429, {}, headers={"Retry-After": "86400"}), answer("done"))
    assert connect("m", server.url).ask("?") == "done"


def test_a_slow_answer_is_a_failure_of_its_own(server: ChatServer) -> None:
    server.reply = lambda request: Reply(200, answer("ok").body, delay=1.5 if request.body["messages"][0]["content"] == "slow" else 0)
    with limited(timeout=0.5, tries=1):
        found = connect("m", server.url).ask_each([talk("a"), talk("slow"), talk("b")])
    assert [a.text for a in found] == ["ok", "", "ok"]
    assert found[1].problem.startswith("no answer within 0.5 s")
    assert [a.unanswered for a in found] == [False, True, False]


def test_one_document_that_fails_is_not_the_end(server: ChatServer) -> None:
    def reply(request: Any) -> Reply:
        text = request.body["messages"][0]["content"]
        return Reply(400, {"error": {"message": "context\nlength is 4096"}}) if text == "long" else answer(text)

    server.reply = reply
    served = connect("m", server.url)
    found = served.ask_each([talk("a"), talk("long"), talk("long"), talk("b")])
    assert [a.problem for a in found] == ["", *["HTTP 400 (context length is 4096)"] * 2, ""]
    assert served.usage.problems == {"HTTP 400": 2}
    assert not any(a.unanswered for a in found)  # it would be refused again


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"HTTP 401 \(bad key\)\. .* environment variable OPENAI_API_KEY, which is not set"),
        (404, r"HTTP 404 \(bad key\)\. .* addresses end in /v1"),
    ],
)
def test_a_refusal_that_meets_everybody_ends_the_run_early(server: ChatServer, status: int, said: str) -> None:
    server.reply = lambda request: Reply(status, {"error": {"message": "bad key"}})
    served = connect("m", server.url)
    with limited(concurrency=4), pytest.raises(ModelError, match=said):
        served.ask_each([talk(str(i)) for i in range(1000)])
    assert served.usage.requests <= 12
    with pytest.raises(ModelError, match=f"HTTP {status}"):
        served.ask_each([talk("one")])


def test_a_server_that_dies_on_the_way_ends_the_run_and_one_bad_moment_does_not(server: ChatServer) -> None:
    count = iter(range(10_000))

    def reply(request: Any) -> Reply:
        k = next(count)
        return Reply(500, {}) if 5 <= k < 9 or k >= 40 else answer("ok")

    server.reply = reply
    served = connect("m", server.url)
    places: list[int] = []
    with limited(concurrency=1, tries=1), pytest.raises(ModelError, match=r"8 requests in a row failed at .* HTTP 500"):
        served.ask_each([talk(str(i)) for i in range(1000)], on_answer=lambda place, a: places.append(place))
    assert len(places) == 48
    assert served.usage.problems["HTTP 500"] == 12


def test_nobody_there() -> None:
    with (
        limited(tries=2),
        pytest.raises(ModelError, match=r"The request failed at http://127\.0\.0\.1:9/v1 .* Look whether the server runs"),
    ):
        connect("m", "http://127.0.0.1:9/v1").ask_each([talk("a")])


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"choices": []}', b'{"choices": [{"message": {}}]}', b"[1]"])
def test_a_reply_of_another_kind_is_tried_again_and_then_reported(server: ChatServer, body: bytes) -> None:
    server.reply = lambda request: Reply(200, body)
    served = connect("m", server.url)
    with limited(tries=2):
        (found,) = served.ask_each([talk("a")])
    assert found.problem == "the endpoint's reply is not a chat completion"
    assert served.usage.requests == 2


def test_json_is_checked_and_mended_once(server: ChatServer) -> None:
    server.script(answer("I would say 3", 10, 4), answer('{"score": 3}', 20, 5))
    served = connect("m", server.url)
    (found,) = served.ask_each([talk("rate")], check=is_score)
    assert (found.value, found.problem) == ({"score": 3}, "")
    assert (found.prompt_tokens, found.completion_tokens) == (30, 9)
    mend = server.requests[1].body["messages"]
    assert mend[1] == {"role": "assistant", "content": "I would say 3"}
    assert mend[2]["role"] == "user"
    assert mend[2]["content"].startswith("That was not the JSON object")
    server.script(answer('{"points": 3}'), answer("never"))
    (found,) = served.ask_each([talk("rate")], check=is_score)
    assert found.value is None
    assert found.problem.startswith("not the JSON that was asked for: no JSON")
    assert not found.unanswered
    assert len(server.requests) == 4
    server.script(answer("I would say 3", 10, 4), Reply(402, {}))
    (found,) = served.ask_each([talk("rate")], check=is_score)
    assert found == Answer("", None, "HTTP 402", 10, 4, unanswered=True)  # the repair failed, and may not the next time


def test_an_answer_that_was_cut_off_says_so(server: ChatServer) -> None:
    server.reply = lambda request: answer('{"reason": "it is', finish="length")
    (found,) = connect("m", server.url).ask_each([talk("rate")], check=is_score, most_tokens=9)
    assert found.problem == "not the JSON that was asked for: cut off after 9 tokens"


def test_a_server_that_takes_no_schema_gets_none(server: ChatServer) -> None:
    def reply(request: Any) -> Reply:
        if "response_format" in request.body:
            return Reply(400, {"error": "response_format is not supported"})
        return answer('{"score": 1}')

    server.reply = reply
    served = connect("m", server.url)
    schema = {"type": "object"}
    with limited(concurrency=1):
        found = served.ask_each([talk("a"), talk("b"), talk("c")], check=is_score, schema=schema)
    assert [a.value for a in found] == [{"score": 1}] * 3
    assert [("response_format" in r.body) for r in server.requests] == [True, False, False, False]
    assert server.requests[0].body["response_format"]["json_schema"]["schema"] == schema


def test_one_bad_document_does_not_take_the_schema_from_the_others(server: ChatServer) -> None:
    server.reply = lambda request: Reply(400, {}) if request.body["messages"][0]["content"] == "bad" else answer('{"score": 1}')
    served = connect("m", server.url)
    with limited(concurrency=1):
        served.ask_each([talk("bad"), talk("good")], check=is_score, schema={"type": "object"})
    assert "response_format" in server.requests[-1].body


def test_cancelling_keeps_what_came(server: ChatServer) -> None:
    server.reply = lambda request: Reply(200, answer("ok").body, delay=0.02)
    stop, places = threading.Event(), []

    def on_answer(place: int, found: Answer) -> None:
        places.append(place)
        if len(places) == 5:
            stop.set()

    with limited(concurrency=2):
        found = connect("m", server.url).ask_each([talk(str(i)) for i in range(200)], cancel=stop, on_answer=on_answer)
    kept = [a for a in found if a.text]
    assert 5 <= len(kept) <= 8
    assert all(a.problem == "cancelled" for a in found if not a.text)
    assert len(server.requests) <= 8


def test_cancelling_ends_a_long_wait(server: ChatServer) -> None:
    server.reply = lambda request: Reply(429, {}, headers={"Retry-After": "30"})
    stop = threading.Event()
    threading.Timer(0.4, stop.set).start()
    started = time.monotonic()
    (found,) = connect("m", server.url).ask_each([talk("a")], cancel=stop)
    assert found.problem == "cancelled"
    assert time.monotonic() - started < 10


def test_tokens_that_are_not_reported_are_not_made_up(server: ChatServer) -> None:
    server.script(Reply(200, {"choices": [{"message": {"content": "x"}}]}))
    served = connect("m", server.url)
    (found,) = served.ask_each([talk("a")])
    assert (found.text, found.prompt_tokens, found.completion_tokens) == ("x", None, None)
    assert (served.usage.uncounted, served.usage.prompt_tokens) == (1, 0)


def test_a_redirect_is_not_followed_with_the_key(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.script(Reply(307, {}, headers={"Location": server.url.replace("/v1", "/elsewhere")}))
    with limited(tries=1):
        (found,) = connect("m", server.url).ask_each([talk("a")])
    assert found.problem == "HTTP 307"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('  \n```json\n{"a": 1}\n```\n', {"a": 1}),
        ('<think>{"a": 2}? no</think>\n{"a": 1}', {"a": 1}),
        ('```\n{"a": "```"}\n```', {"a": "```"}),
    ],
)
def test_json_is_found(text: str, value: Any) -> None:
    assert parse_json(text) == value


@pytest.mark.parametrize(
    "text", ["", "  ", "3 {", 'Sure: {"a": 1}', '{"a": 1} {"a": 2}', '{"a": NaN}', '{"a": Infinity}', "[" * 100_000, "<think>{}"]
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no JSON|empty|no number"):
        parse_json(text)


@pytest.mark.parametrize(
    ("model", "url", "said"),
    [
        ("", "http://h/v1", "No model was named"),
        ("m", "", r"No endpoint was named\. .* Set base_url"),
        ("m", "localhost:8000", "'localhost:8000' is no address"),
        ("m", "file:///etc/passwd", "is no address"),
        ("m", "http://h:99999/v1", "is no address"),
        ("m", "https://user:pw@h/v1", "holds a name, password or query"),
        ("m", "https://h/v1?key=abc", "holds a name, password or query"),
    ],
)
def test_arguments_that_cannot_be_used(model: str, url: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as error:
        connect(model, url)
    assert "pw" not in str(error.value)
    assert "abc" not in str(error.value)


def test_a_key_in_place_of_its_name_is_not_repeated() -> None:
    with pytest.raises(ModelError, match="key_variable is no name") as error:
        connect("m", "http://h/v1", key_variable="sk-123-secret")
    assert "secret" not in str(error.value)


def test_the_same_address_is_the_same_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connect("m", "http://h:8000/v1/").base_url == "http://h:8000/v1"
    assert connect("m", "http://h:8000/v1/") is connect("m", "http://h:8000/v1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://other:8000/v1")  # not part of a score's identity when it is read this late
    with pytest.raises(ModelError, match="No endpoint was named"):
        connect("m", "")


def test_the_environment_sets_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_ENDPOINT_CONCURRENCY", "32")
    monkeypatch.setenv("EXPLORER_ENDPOINT_TIMEOUT", "7.5")
    assert (endpoint.current_limits().concurrency, endpoint.current_limits().timeout) == (32, 7.5)
    monkeypatch.setenv("EXPLORER_ENDPOINT_CONCURRENCY", "many")
    with pytest.raises(ModelError, match="is no number"):
        endpoint.current_limits()


def test_usage_starts_at_nothing() -> None:
    assert (Usage().rate, Usage().cost(1, 1)) == (0.0, 0.0)


def test_what_is_under_way_when_a_run_fails_still_has_its_connection_closed(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    make = endpoint._client
    monkeypatch.setattr(endpoint, "_client", lambda limits: opened.append(make(limits)) or opened[-1])
    server.reply = lambda request: answer("late") if "slow" in str(request.body) else Reply(401, {})
    waiting, handle = threading.Event(), server.handle

    def handled(request: Any) -> Reply:
        reply = handle(request)
        if reply.status == 200:
            waiting.wait(30)
        return reply

    monkeypatch.setattr(server, "handle", handled)
    with limited(tries=1, concurrency=2, hopeless=2), pytest.raises(ModelError, match="HTTP 401"):
        connect("m", server.url).ask_each([talk("slow"), *(talk(str(i)) for i in range(4))])
    assert not opened[0].is_closed, "a connection that is opened in a closed client is closed by nobody"
    waiting.set()
    until = time.monotonic() + 30
    while not opened[0].is_closed and time.monotonic() < until:
        time.sleep(0.01)
    assert opened[0].is_closed
