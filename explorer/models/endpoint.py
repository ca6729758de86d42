"""A chat model behind an OpenAI-compatible endpoint: vLLM, llama.cpp, SGLang, Ollama, or a provider.

Requests run side by side; what is busy or broken for a moment is asked again, later and later; what cannot be had is a counted reason,
not the end of the run, unless the endpoint answers nobody. The key is read from an environment variable when it is needed and kept
nowhere. Texts that are sent leave this machine when the endpoint is elsewhere.

Protocol: POST {base_url}/chat/completions as OpenAI documents it.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from explorer.errors import ModelError

Message = Mapping[str, str]
Check = Callable[[Any], str]  # what is wrong with an answer's JSON; empty when it is as wanted

AGAIN = {408, 425, 429, 500, 502, 503, 504, 529}  # worth asking again
REFUSED = {400, 413, 422}  # this document, such as one that is too long, and it will be refused again
NEVER = {401, 403, 404}  # the same for every document: a key, a right, a model's name or an address is wrong
LONGEST_WAIT = 60.0  # seconds before one more try, whatever the endpoint wishes
REPAIR = "That was not the JSON object that was asked for ({problem}). Answer with that one JSON object and nothing else."


@dataclass(frozen=True)
class Limits:
    """How an endpoint is used; none of it changes an answer, so none of it is part of a score's identity.

    Attributes:
        concurrency: requests at a time.
        timeout: seconds for one answer.
        tries: of one request, the first included.
        hopeless: failures in a row, of the kind that hits every document, after which the run ends.

    """

    concurrency: int = 8
    timeout: float = 120.0
    tries: int = 5
    hopeless: int = 8


_limits: ContextVar[Limits | None] = ContextVar("limits", default=None)


@contextmanager
def limited(**changes: float) -> Iterator[Limits]:
    """Other limits inside a with-block; the names are those of `Limits`."""
    limits = replace(current_limits(), **changes)  # type: ignore[arg-type]
    token = _limits.set(limits)
    try:
        yield limits
    finally:
        _limits.reset(token)


def current_limits() -> Limits:
    """Those of the block we are in; outside of any, EXPLORER_ENDPOINT_CONCURRENCY and EXPLORER_ENDPOINT_TIMEOUT where they are set."""
    if (inside := _limits.get()) is not None:
        return inside
    try:
        concurrency = int(os.environ.get("EXPLORER_ENDPOINT_CONCURRENCY") or Limits.concurrency)
        timeout = float(os.environ.get("EXPLORER_ENDPOINT_TIMEOUT") or Limits.timeout)
    except ValueError as error:
        raise ModelError(
            f"EXPLORER_ENDPOINT_CONCURRENCY or EXPLORER_ENDPOINT_TIMEOUT is no number ({error}). Both are numbers. Set them anew."
        ) from error
    return Limits(concurrency=max(1, concurrency), timeout=timeout)


@dataclass
class Usage:
    """What an endpoint was asked for and what it counted; shared by all runs of a process on it.

    Attributes:
        requests: sent, repetitions included.
        retries: requests that were sent again.
        prompt_tokens, completion_tokens: as the endpoint reports them; answers without a report are in `uncounted`.
        uncounted: answers whose tokens the endpoint did not report.
        problems: documents without an answer, by reason.
        seconds: during which requests were under way.

    """

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **amounts: float) -> None:
        """Add to some of the counts."""
        with self._lock:
            for name, amount in amounts.items():
                setattr(self, name, getattr(self, name) + amount)

    def cost(self, prompt_price: float, completion_price: float) -> float:
        """Price of all tokens so far, from prices per million tokens of the prompt and of the answer."""
        return (self.prompt_tokens * prompt_price + self.completion_tokens * completion_price) / 1e6

    @property
    def rate(self) -> float:
        """Requests a second while any was under way; 0 before the first."""
        return self.requests / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Answer:
    """What became of one question.

    Attributes:
        text: the answer; empty where there is none.
        value: its JSON, where one was asked for and it is as wanted.
        problem: why there is none; empty when all is well.
        prompt_tokens, completion_tokens: of all requests it took; None where the endpoint does not count.
        unanswered: whether the request itself failed, so that another time may bring an answer; not where the endpoint refuses this
            document, nor where it gave an answer of no use.

    """

    text: str = ""
    value: Any = None
    problem: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    unanswered: bool = False


@dataclass(frozen=True)
class _Run:
    """What all requests of one call share."""

    client: Any
    limits: Limits
    most_tokens: int
    check: Check | None = None
    schema: Mapping[str, Any] | None = None
    stop: threading.Event = field(default_factory=threading.Event)


class _Failure(Exception):
    """One request came to nothing; ``common`` when others may end the same way, ``certain`` when they will, ``final`` when this one always will."""

    def __init__(self, problem: str, common: bool = False, certain: bool = False, final: bool = False) -> None:
        super().__init__(problem)
        self.problem, self.common, self.certain, self.final = problem, common or certain, certain, final


@dataclass(eq=False)
class Endpoint:
    """A served model. Made by `connect`; safe to use from several threads."""

    model: str
    base_url: str
    key_variable: str
    usage: Usage = field(default_factory=Usage)
    _plain: bool = False  # whether the endpoint refuses to be told that the answer is JSON
    _in_a_row: int = 0  # failures that others may share, since the last answer

    def ask(self, prompt: str, *, system: str = "", most_tokens: int = 512) -> str:
        """One answer in words.

        Raises:
            ModelError: the endpoint gave none.

        """
        messages = [{"role": "system", "content": system}] if system else []
        limits = current_limits()
        with _client(limits) as client:
            answer = self._answer([*messages, {"role": "user", "content": prompt}], _Run(client, limits, most_tokens))
        if isinstance(answer, _Failure) or answer.problem:
            raise ModelError(self.said(answer.problem))
        return answer.text

    def ask_each(
        self,
        conversations: Sequence[Sequence[Message] | None],
        *,
        check: Check | None = None,
        schema: Mapping[str, Any] | None = None,
        most_tokens: int = 512,
        cancel: threading.Event | None = None,
        on_answer: Callable[[int, Answer], None] = lambda place, answer: None,
    ) -> list[Answer]:
        """An answer to each conversation, several at a time, in their order.

        Args:
            conversations: messages of each; None is not asked.
            check: wants JSON answers: what is wrong with one, empty when nothing is. A wrong one is shown to the model once, to mend it.
            schema: JSON schema of the answer, given to the endpoint where it takes one.
            most_tokens: of an answer.
            cancel: when set, nothing more is sent; the rest has the problem "cancelled".
            on_answer: called with (place, answer) as answers come, from this thread.

        Raises:
            ModelError: the endpoint cannot be reached, refuses the key, or does not know the model; or nothing but failures of this kind
                came for a while.

        """
        limits, stop = current_limits(), cancel or threading.Event()
        answers: list[Answer] = [Answer(problem="cancelled", unanswered=True)] * len(conversations)
        for place, conversation in enumerate(conversations):
            if conversation is None:
                answers[place] = Answer()
        waiting = iter([(p, c) for p, c in enumerate(conversations) if c is not None])
        total = sum(c is not None for c in conversations)
        enough = threading.Event()  # ends what is waiting for its next try, ours or the user's
        started, finish = time.monotonic(), True
        running: dict[Future[Answer | _Failure], int] = {}
        client = _client(limits)
        run = _Run(client, limits, most_tokens, check, schema, enough)
        pool = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="endpoint")
        try:
            while True:
                while len(running) < limits.concurrency and not stop.is_set() and (item := next(waiting, None)) is not None:
                    running[pool.submit(self._answer, item[1], run)] = item[0]
                if not running:
                    break
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                if stop.is_set():
                    enough.set()
                for future in done:
                    place, found = running.pop(future), future.result()
                    answer = Answer(problem=found.problem, unanswered=not found.final) if isinstance(found, _Failure) else found
                    answers[place] = answer
                    on_answer(place, answer)
                    if answer.problem == "cancelled":
                        continue
                    if answer.problem:
                        with self.usage._lock:
                            self.usage.problems[answer.problem.partition(" (")[0].partition(": ")[0]] += 1
                    if not isinstance(found, _Failure):
                        self._in_a_row = 0
                    elif found.common:
                        self._in_a_row += 1
                        # a wrong key is wrong for one document as for a thousand; a server that is busy may be so for one alone
                        if self._in_a_row >= (min(limits.hopeless, total) if found.certain else limits.hopeless):
                            failures, self._in_a_row = self._in_a_row, 0
                            finish = False
                            raise ModelError(self.said(answer.problem, failures))
        finally:
            enough.set()
            # after a cancel, what is under way is waited for: it is paid for; after a failure its connections are closed behind it
            pool.shutdown(wait=finish, cancel_futures=True)
            if finish:
                client.close()
            else:
                threading.Thread(target=_close_behind, args=(pool, client), daemon=True).start()
            self.usage.add(seconds=time.monotonic() - started)
        return answers

    def _answer(self, messages: Sequence[Message], run: _Run) -> Answer | _Failure:
        """Ask once, and once more where the answer is not as wanted."""
        talk = list(messages)
        tokens: list[int | None] = [None, None]
        problem = ""
        for _ in range(2 if run.check else 1):
            try:
                text, used, cut = self._chat(talk, run)
            except _Failure as failure:
                # what was counted before is not lost
                return Answer("", None, failure.problem, tokens[0], tokens[1], not failure.final) if problem else failure
            for k, n in enumerate(used):
                tokens[k] = n if tokens[k] is None else tokens[k] if n is None else (tokens[k] or 0) + n
            if run.check is None:
                return Answer(text, None, "" if text.strip() else "the answer is empty", tokens[0], tokens[1])
            try:
                value = parse_json(text)
                problem = run.check(value)
            except ValueError as error:
                problem = f"cut off after {run.most_tokens} tokens" if cut else str(error)
            if not problem:
                return Answer(text, value, "", tokens[0], tokens[1])
            talk = [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": REPAIR.format(problem=problem)}]
        return Answer(text, None, f"not the JSON that was asked for: {problem}", tokens[0], tokens[1])

    def _chat(self, messages: Sequence[Message], run: _Run) -> tuple[str, tuple[int | None, int | None], bool]:
        """One answer's text, its tokens (prompt, answer), and whether it was cut off; tried again while that may help."""
        body: dict[str, Any] = {"model": self.model, "messages": list(messages), "temperature": 0, "max_tokens": run.most_tokens}
        last = _Failure("cancelled")
        attempt = 0
        structured = run.schema is not None and not self._plain
        while attempt < run.limits.tries and not run.stop.is_set():
            if structured:
                body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": run.schema, "strict": True}}
            else:
                body.pop("response_format", None)
            wanted_wait: float | None = None
            try:
                status, headers, content = self._post(body, run)
            except _Failure as failure:
                last = failure
            else:
                if status == 200:
                    try:
                        read = self._read(content)
                        self._plain = self._plain or (run.schema is not None and not structured)
                        return read
                    except _Failure as failure:
                        last = failure
                elif structured and status in (400, 415, 422, 501):
                    structured = False  # not every server takes a schema; the answer is checked anyway
                    continue
                else:
                    last = _Failure(f"HTTP {status}{_reason(content)}", status in AGAIN, status in NEVER, status in REFUSED)
                    if status not in AGAIN:
                        raise last
                    wanted_wait = _retry_after(headers)
            attempt += 1
            if attempt < run.limits.tries:
                self.usage.add(retries=1)
                # twice as long each time, and not all at once
                delay = wanted_wait if wanted_wait is not None else random.uniform(0.5, 1.0) * 2 ** (attempt - 1)
                run.stop.wait(min(delay, LONGEST_WAIT))
        raise _Failure("cancelled") if run.stop.is_set() else last

    def _post(self, body: Mapping[str, Any], run: _Run) -> tuple[int, Mapping[str, str], bytes]:
        from explorer.models.extra import httpx

        key = os.environ.get(self.key_variable, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.usage.add(requests=1)
        try:
            # a lone surrogate cannot be sent; ASCII escapes carry everything else
            content = json.dumps(body, ensure_ascii=True).encode("ascii")
            response = run.client.post(f"{self.base_url}/chat/completions", content=content, headers=headers)
        except httpx.TimeoutException as error:
            raise _Failure(f"no answer within {run.limits.timeout:g} s ({type(error).__name__})", common=True) from error
        except httpx.HTTPError as error:
            unreachable = isinstance(error, httpx.ConnectError)
            raise _Failure(f"{type(error).__name__}: {error}".removesuffix(": "), common=True, certain=unreachable) from error
        return response.status_code, response.headers, response.content

    def _read(self, content: bytes) -> tuple[str, tuple[int | None, int | None], bool]:
        try:
            answer = json.loads(content)
            choice = answer["choices"][0]
            text = choice["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise _Failure("the endpoint's reply is not a chat completion") from error
        usage = answer.get("usage")
        used = [usage.get(n) if isinstance(usage, dict) else None for n in ("prompt_tokens", "completion_tokens")]
        prompt, completion = (n if isinstance(n, int) and not isinstance(n, bool) else None for n in used)
        if prompt is None or completion is None:
            self.usage.add(uncounted=1)
        self.usage.add(prompt_tokens=prompt or 0, completion_tokens=completion or 0)
        return text if isinstance(text, str) else "", (prompt, completion), choice.get("finish_reason") == "length"

    def said(self, problem: str, times: int = 1) -> str:
        """That requests failed, why, and what to look at: the text of an error."""
        key = f"Its key is taken from the environment variable {self.key_variable}, which is {'set' if os.environ.get(self.key_variable) else 'not set'}."
        hint = {"HTTP 401": key, "HTTP 403": key, "HTTP 404": "Its model or its address is another: addresses end in /v1."}
        advice = next(
            (text for start, text in hint.items() if problem.startswith(start)), "Look whether the server runs and is reached from here."
        )
        count = f"{times} requests in a row failed" if times > 1 else "The request failed"
        return f"{count} at {self.base_url} for model {self.model!r}: {problem}. What was scored before is kept. {advice}"


def _close_behind(pool: ThreadPoolExecutor, client: Any) -> None:
    pool.shutdown()
    client.close()


def _client(limits: Limits) -> Any:
    """Connections of one call. No redirects: a key is sent to the address that the user named, and to no other."""
    from explorer.models.extra import httpx

    return httpx.Client(
        timeout=httpx.Timeout(limits.timeout, connect=min(10.0, limits.timeout)),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=limits.concurrency),
        headers={"Content-Type": "application/json"},
        follow_redirects=False,
    )


@lru_cache(maxsize=16)
def _connected(model: str, base_url: str, key_variable: str) -> Endpoint:
    return Endpoint(model, base_url, key_variable)


def connect(model: str, base_url: str, *, key_variable: str = "OPENAI_API_KEY") -> Endpoint:
    """A served model; the same one (and the same `Usage`) for the same arguments.

    Args:
        model: the name under which it is served.
        base_url: such as ``http://localhost:8000/v1``.
        key_variable: name of the environment variable that holds the key; unset for servers that need none.

    Raises:
        ModelError: an argument is missing or no address.

    """
    address = (base_url or "").strip().rstrip("/")
    if not model:
        raise ModelError("No model was named for the endpoint. Set model to the name under which it is served, as its /v1/models lists it.")
    if not address:
        raise ModelError(
            "No endpoint was named. Texts are sent to an OpenAI-compatible address such as http://localhost:8000/v1. "
            "Set base_url to it, or the environment variable OPENAI_BASE_URL before a corpus is scored."
        )
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - an impossible port is found when it is asked for
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise ModelError(
            f"Endpoint {address!r} is no address. It begins with http:// or https:// and usually ends in /v1. Correct base_url."
        )
    if parts.username or parts.password or parts.query:
        raise ModelError(
            "The endpoint's address holds a name, password or query. Addresses are stored with the scores, secrets must not be. "
            f"Put the key into an environment variable and name it in key_variable (now {key_variable})."
        )
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key_variable):
        raise ModelError(
            "key_variable is no name of an environment variable. It names the variable that holds the key, it is not the key. Try OPENAI_API_KEY."
        )
    return _connected(model, address, key_variable)


def parse_json(text: str) -> Any:
    """The one JSON value of an answer; what a model thinks aloud before it, and a fence around it, are left out.

    Raises:
        ValueError: there is none, or something else beside it.

    """
    body = re.sub(r"\A\s*<think>.*?</think>", "", text, flags=re.S).strip()
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", body, flags=re.S)
    if fenced:
        body = fenced.group(1)
    if not body:
        raise ValueError("the answer is empty")
    try:
        return json.loads(body, parse_constant=_no_constant)
    except ValueError as error:
        raise ValueError(f"no JSON ({error})") from error
    except RecursionError as error:
        raise ValueError("no JSON (nested too deep)") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait, given as seconds or as a date."""
    value = headers.get("retry-after")
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date - datetime.now(UTC if date.tzinfo else None)).total_seconds())


def _reason(content: bytes) -> str:
    """The endpoint's own words about an error, short and on one line."""
    try:
        found = json.loads(content)
        error = found.get("error", found) if isinstance(found, dict) else found
        words = error.get("message", "") if isinstance(error, dict) else error
    except ValueError:
        words = ""
    line = " ".join(str(words).split())[:200]
    return f" ({line})" if line else ""
