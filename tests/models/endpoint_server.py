"""A server in a thread that speaks the OpenAI chat protocol and answers, or fails, as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """What came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What goes out: a status, a body (JSON unless it is bytes), headers, after a delay in seconds."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


def answer(text: str, prompt_tokens: int = 10, completion_tokens: int = 5, finish: str = "stop") -> Reply:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": prompt_tokens + completion_tokens}
    return Reply(200, {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})


class ChatServer:
    """Answers by ``reply``, or by the replies of ``script``, one a request; remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.reply: Callable[[Request], Reply] = lambda request: self._scripted.pop(0)
        self.most_at_once = 0
        self._scripted: list[Reply] = []
        self._now = 0
        self._lock = threading.Lock()
        self.url = ""

    def script(self, *replies: Reply) -> None:
        """Give these replies, in this order."""
        self._scripted = list(replies)

    def handle(self, request: Request) -> Reply:
        """One request."""
        with self._lock:
            self.requests.append(request)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            reply = self.reply(request)
        time.sleep(reply.delay)
        with self._lock:
            self._now -= 1
        return reply


@contextmanager
def serve() -> Iterator[ChatServer]:
    """A server on a free port of this machine, until the block ends."""
    chat = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = chat.handle(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # the client would not wait

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is no failure of the test."""

    server = Server(("127.0.0.1", 0), Handler)
    chat.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
