"""Answers of a served model that are drawn, not the most probable ones: temperature, top-p and a seed, and how each answer ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from explorer.models.endpoint import Answer, Endpoint, Message, _Failure, _Run
from explorer.models.generation import Sampling


@dataclass(frozen=True)
class SampledAnswer(Answer):
    """An answer, and how it ended.

    Attributes:
        finish: what the endpoint says: "stop", "length" (cut at the most tokens), "content_filter" or another; empty where it is silent.
        seconds: from the first try to the answer.

    """

    finish: str = ""
    seconds: float = 0.0


@dataclass(eq=False)
class _Sampled(Endpoint):
    """An endpoint that is asked to draw; it counts in the other's `Usage`."""

    sampling: Sampling = field(default_factory=Sampling)
    _own: threading.local = field(default_factory=threading.local, repr=False)  # a request is sent and read in one thread

    def _post(self, body: Any, run: _Run) -> Any:
        drawn: dict[str, Any] = {**body, "temperature": self.sampling.temperature, "seed": self.sampling.seed}
        if self.sampling.top_p < 1:  # several providers take one of the two only
            drawn["top_p"] = self.sampling.top_p
        return super()._post(drawn, run)

    def _read(self, content: bytes) -> tuple[str, tuple[int | None, int | None], bool]:
        found = super()._read(content)
        self._own.finish = finish_of(json.loads(content)["choices"][0])
        return found

    def _answer(self, messages: Sequence[Message], run: _Run) -> Answer | _Failure:
        started = time.monotonic()
        try:
            text, used, _ = self._chat(messages, run)
        except _Failure as failure:
            return failure
        problem = "" if text.strip() else "the answer is empty"
        return SampledAnswer(text, None, problem, *used, finish=self._own.finish, seconds=time.monotonic() - started)


def finish_of(choice: Any) -> str:
    """How a choice of a chat completion says that it ended; empty where it says nothing."""
    said = choice.get("finish_reason") if isinstance(choice, dict) else None
    return said if isinstance(said, str) else ""


def sampled(
    endpoint: Endpoint,
    conversations: Sequence[Sequence[Message]],
    sampling: Sampling,
    *,
    cancel: threading.Event | None = None,
    on_answer: Callable[[int, Answer], None] = lambda place, answer: None,
) -> list[Answer]:
    """An answer to each conversation, several at a time, as `Endpoint.ask_each` gives them; a `SampledAnswer` where one came.

    Raises:
        ModelError: as `Endpoint.ask_each`.

    """
    drawing = _Sampled(endpoint.model, endpoint.base_url, endpoint.key_variable, endpoint.usage, sampling=sampling)
    return drawing.ask_each(conversations, most_tokens=sampling.max_new_tokens, cancel=cancel, on_answer=on_answer)
