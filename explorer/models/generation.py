"""Text that a local causal language model writes: greedy, or drawn with a temperature and a seed.

What a text becomes depends on its prompt, the settings and the seed, and not on what is written beside it: prompts of a batch are padded
on the left and masked, and each draws from a random stream of its own. What is left is rounding: a batch of another shape adds the same
numbers in another order, which decides where two tokens are as probable as each other to the last digits.
"""

from __future__ import annotations

import hashlib
import inspect
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from explorer.errors import ModelError
from explorer.models import batching
from explorer.models.causal import LOGIT_BYTES, Causal, _ends
from explorer.models.streams import streams

if TYPE_CHECKING:
    from torch import Tensor

Message = Mapping[str, str]
OnText = Callable[[int, str], None]

# Tokens of a batch, prompts and answers, for which keys and values are kept: some 50 kB each in a model of 135 million parameters,
# 130 kB in one of 7 billion. A step reads all weights whatever the number of rows, so that rows are nearly free up to these many.
BUDGET = {"cpu": 16_384, "cuda": 131_072, "mps": 32_768}
ROWS = {"cpu": 16, "cuda": 128, "mps": 32}
EVERY = 0.1  # seconds between two looks at a text that is being written
LEAVE = 0.75  # rows that are finished leave a batch when so many of it are left: they would be computed to the end of the longest
STOP, LENGTH, CANCELLED, NO_ROOM = "stop", "length", "cancelled", "no room"


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; with the prompt and the model, all that decides an answer.

    Attributes:
        temperature: what logits are divided by; 0 takes the most probable token each time.
        top_p: only the most probable tokens that together have at least this probability are drawn from.
        max_new_tokens: most tokens of an answer.
        seed: of the draws.

    Raises:
        ModelError: a value out of range.

    """

    temperature: float = 0.7
    top_p: float = 0.9
    max_new_tokens: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for name, ok, allowed in (
            (
                "temperature",
                0 <= self.temperature <= 2,
                "It is from 0 (always the most probable token) to 2. Published rewrites use 0.7 to 1.",
            ),
            ("top_p", 0 < self.top_p <= 1, "It is above 0 and at most 1, which draws from all tokens. Published rewrites use 0.9."),
            ("max_new_tokens", self.max_new_tokens >= 1, "It is a number of tokens from 1. Try twice what a chunk has."),
            ("seed", 0 <= self.seed < 2**63, "It is a whole number from 0 to 2^63 - 1. Choose one."),
        ):
            if not ok:
                raise ModelError(f"{name} {getattr(self, name)} does not fit. {allowed}")


class Generation(NamedTuple):
    """What became of one prompt.

    Attributes:
        text: the answer, special tokens left out; what came so far where it was cancelled.
        finish: "stop" (the model or a stop text ended it), "length" (cut at ``max_new_tokens``, or at the longest text that the model was
            made for), "cancelled", or "no room" (the prompt alone is that long).
        prompt_tokens, completion_tokens: tokens of the prompt, and of the answer with the one that ended it.
        seconds: from the begin of its batch until it was finished.

    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float


def generate(
    lm: Causal,
    conversations: Sequence[Sequence[Message]],
    sampling: Sampling,
    *,
    stop: Sequence[str] = (),
    on_text: OnText | None = None,
    on_done: Callable[[int, Generation], None] = lambda place, found: None,
    cancel: threading.Event | None = None,
) -> list[Generation]:
    """An answer to each conversation, in their order.

    Args:
        lm: the model (`explorer.models.causal.load`).
        conversations: messages of each (`role` and `content`); special tokens that they spell out are text. They are put into the
            tokenizer's chat template; where it has none, what they say is continued as it stands.
        sampling: how tokens are chosen.
        stop: texts that end an answer, which does not hold them.
        on_text: called with (place, text so far) while answers are written, some ten times a second, from this thread.
        on_done: called with (place, answer) once for each, as soon as it is finished.
        cancel: when set, writing stops after the token in hand; what is not finished is "cancelled".

    Raises:
        ModelError: a conversation that the model cannot be given, or no memory for a single one.

    """
    prompts = [encoded(lm, messages) for messages in conversations]
    room = [min(sampling.max_new_tokens, lm.positions - len(p)) if lm.positions else sampling.max_new_tokens for p in prompts]
    done = {place: Generation("", NO_ROOM, len(p), 0, 0.0) for place, p in enumerate(prompts) if room[place] < 1}
    for place, found in done.items():
        on_done(place, found)
    todo = [place for place in range(len(prompts)) if place not in done]
    said: queue.SimpleQueue[tuple[int, str | Generation]] = queue.SimpleQueue()
    abandoned = threading.Event()  # set when this thread leaves, whatever the reason
    pool, n = streams() if lm.device.kind == "cpu" else (_alone(), 1)

    def begin(batch: np.ndarray) -> tuple[int, Future[None]]:
        places = [p for p in (todo[k] for k in batch.tolist()) if p not in done]  # a batch is begun again where memory ended in it
        writer = _Writer(lm, [prompts[p] for p in places], [room[p] for p in places], sampling, stop)
        return len(batch), pool.submit(
            writer.run,
            lambda row, what: said.put((places[row], what)),
            lambda: abandoned.is_set() or (cancel is not None and cancel.is_set()),
        )

    def listen() -> None:
        with suppress(queue.Empty):
            while True:
                place, what = said.get_nowait()
                text = what if isinstance(what, str) else what.text
                if on_text is not None:
                    on_text(place, text)
                if isinstance(what, Generation):
                    done[place] = what
                    on_done(place, what)

    def finish(begun: tuple[int, Future[None]]) -> np.ndarray:
        size, future = begun
        while not future.done():
            wait([future], timeout=EVERY / 2)
            listen()
        future.result()
        listen()
        return np.zeros(size)

    try:
        lengths = [len(prompts[p]) + room[p] for p in todo]
        batching.run(lengths, begin, _budget(lm), most_rows=min(_rows(lm), -(-len(todo) // n) or 1), finish=finish, ahead=n - 1)
    finally:
        abandoned.set()
    return [done[place] for place in range(len(prompts))]


@lru_cache(maxsize=1)
def _alone() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "generate")


def encoded(lm: Causal, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation, up to where the answer begins.

    Raises:
        ModelError: the chat template refuses it or leaves a part of it out, or there is nothing in it.

    """
    if not any(m["content"] for m in messages):
        raise ModelError("A prompt is empty. A model needs at least one token to go on from. Put text into the prompt.")
    if not getattr(lm._tokenizer, "chat_template", None):
        return [*lm.beginning("auto"), *lm.encode("\n\n".join(m["content"] for m in messages if m["content"]))]
    try:
        return _templated(lm, messages)
    except ModelError:
        if messages[0]["role"] != "system" or len(messages) < 2:
            raise
    # several templates know no system message, and refuse it or leave it out: what it says is then said by the user
    first = {"role": messages[1]["role"], "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return _templated(lm, [first, *messages[2:]])


def _templated(lm: Causal, messages: Sequence[Message]) -> list[int]:
    # a mark stands for each message, which is put in as tokens of its own: a document cannot end its message and begin another
    marks = [f"\u241e{k}\u241e" for k in range(len(messages))]
    shown = [{"role": m["role"], "content": mark} for m, mark in zip(messages, marks, strict=True)]
    try:
        rest = lm._tokenizer.apply_chat_template(shown, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # templates are programs: Jinja's errors, and whatever a template raises
        raise ModelError(f"The chat template of {lm.name!r} does not take this conversation: {error}. Choose another model.") from error
    ids: list[int] = []
    for message, mark in zip(messages, marks, strict=True):
        before, found, rest = rest.partition(mark)
        if not found:
            raise ModelError(f"The chat template of {lm.name!r} leaves the {message['role']}'s message out. Choose another model.")
        ids += lm.encode_template(before) + lm.encode(message["content"])
    return ids + lm.encode_template(rest)


def _budget(lm: Causal) -> int:
    budget = BUDGET[lm.device.kind]
    # a model whose logits cannot be had for the last token alone makes them for every token of the prompts
    return budget if lm._has_head or _keeps_last(lm) else min(budget, LOGIT_BYTES[lm.device.kind] // (4 * lm.vocabulary))


def _rows(lm: Causal) -> int:
    return max(1, min(ROWS[lm.device.kind], LOGIT_BYTES[lm.device.kind] // (4 * lm.vocabulary)))


def _takes(function: Any, name: str) -> bool:
    return name in inspect.signature(function).parameters


def _keeps_last(lm: Causal) -> bool:
    return _takes(lm._model.forward, "logits_to_keep")


class _Writer:
    """One batch of prompts that are written on together, in one thread."""

    def __init__(self, lm: Causal, prompts: Sequence[list[int]], room: Sequence[int], sampling: Sampling, stop: Sequence[str]) -> None:
        self._lm, self._prompts, self._room, self._sampling = lm, prompts, room, sampling
        self._stop = [s for s in stop if s]
        own = lm._tokenizer.eos_token_id
        self._ends = {*_ends(lm._model), *([] if own is None else [int(own)])}
        self._written: list[list[int]] = [[] for _ in prompts]
        self._draws = [_draws(sampling.seed, prompt) for prompt in prompts]

    def run(self, say: Callable[[int, str | Generation], None], halted: Callable[[], bool]) -> None:
        """Say (row, text so far) now and then, and (row, answer) once for each row."""
        from explorer.models.extra import torch

        started = shown = time.monotonic()
        device = self._lm.device.name
        longest = max(map(len, self._prompts), default=0)
        ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in self._prompts], device=device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in self._prompts], device=device)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        past: Any = None
        rows = list(range(len(self._prompts)))  # those in the batch
        unfinished = set(rows)
        with torch.inference_mode():
            while unfinished:
                if halted():
                    finish = dict.fromkeys(unfinished, CANCELLED)
                else:
                    logits, past = self._logits(ids, mask, positions, past)
                    chosen = self._chosen(logits, rows)
                    finish = self._append(rows, chosen.tolist(), unfinished)
                    ids, mask, positions = chosen[:, None], torch.cat([mask, torch.ones_like(mask[:, :1])], 1), positions[:, -1:] + 1
                now = time.monotonic()
                for row, why in finish.items():
                    unfinished.discard(row)
                    say(row, Generation(self._text(row), why, len(self._prompts[row]), len(self._written[row]), now - started))
                if now - shown >= EVERY:
                    shown = now
                    for row in sorted(unfinished):
                        say(row, self._text(row).rstrip("\ufffd"))  # a character of several tokens is shown when it is whole
                if finish and 0 < len(unfinished) <= LEAVE * len(rows) and _can_leave(past):
                    stay = torch.tensor([k for k, row in enumerate(rows) if row in unfinished], device=device)
                    past.batch_select_indices(stay)
                    ids, mask, positions = ids[stay], mask[stay], positions[stay]
                    rows = [row for row in rows if row in unfinished]

    def _append(self, rows: Sequence[int], chosen: Sequence[int], unfinished: set[int]) -> dict[int, str]:
        """Put one more token to each row; why rows are finished by it."""
        finish = {}
        for row, token in zip(rows, chosen, strict=True):
            if row not in unfinished:
                continue
            self._written[row].append(token)
            if token in self._ends or self._stops(row):
                finish[row] = STOP
            elif len(self._written[row]) >= self._room[row]:
                finish[row] = LENGTH
        return finish

    def _logits(self, ids: Tensor, mask: Tensor, positions: Tensor, past: Any) -> tuple[Tensor, Any]:
        """float32 logits [rows, vocabulary] of what follows the last token, and the keys and values so far."""
        model = self._lm._model
        part = model.base_model if self._lm._has_head else model
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": True}
        if past is not None:
            given["past_key_values"] = past
        if _takes(part.forward, "position_ids"):
            given["position_ids"] = positions
        if not self._lm._has_head and _keeps_last(self._lm):
            given["logits_to_keep"] = 1
        out = part(**given)
        if getattr(out, "past_key_values", None) is None:
            raise ModelError(
                f"Model {self._lm.name!r} keeps no keys and values of the tokens before, so that it cannot be run here token by token. "
                "Models with attention work. Serve it, and name the endpoint instead."
            )
        last = model.get_output_embeddings()(out.last_hidden_state[:, -1]) if self._lm._has_head else out.logits[:, -1]
        return last.float(), out.past_key_values

    def _chosen(self, logits: Tensor, rows: Sequence[int]) -> Tensor:
        """The next token of each row: the most probable one, or one drawn from the nucleus."""
        from explorer.models.extra import torch

        if self._sampling.temperature == 0:
            return logits.argmax(-1)
        probabilities, tokens = (logits / self._sampling.temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
        # a token is in the nucleus where those before it do not reach top_p; the first always is
        inside = (probabilities.cumsum(-1) - probabilities) < self._sampling.top_p
        mass = (probabilities * inside).cumsum(-1)
        draws = torch.tensor([[self._draws[row].random()] for row in rows], dtype=mass.dtype, device=mass.device)
        place = torch.searchsorted(mass, draws * mass[:, -1:], right=True)
        return tokens.gather(-1, torch.minimum(place, inside.sum(-1, keepdim=True) - 1))[:, 0]

    def _stops(self, row: int) -> bool:
        """Whether a stop text has just come: it ends in the last token, and began at most as many tokens ago as it has bytes."""
        longest = max((len(s.encode()) for s in self._stop), default=0)
        return longest > 0 and any(s in self._decoded(self._written[row][-longest - 1 :]) for s in self._stop)

    def _text(self, row: int) -> str:
        text = self._decoded(self._written[row])
        return text[: min((at for s in self._stop if (at := text.find(s)) >= 0), default=len(text))]

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self._lm._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _can_leave(past: Any) -> bool:
    """Whether rows can be taken out of what is kept of the tokens before; states of linear attention have no way to."""
    return all(hasattr(part, "batch_select_indices") for part in (past, *getattr(past, "layers", ())))


def _draws(seed: int, prompt: Sequence[int]) -> np.random.Generator:
    """The random stream of a prompt: the same for the same tokens and seed, wherever they stand."""
    words = np.frombuffer(hashlib.blake2b(np.array(prompt, "<i8").tobytes(), digest_size=16).digest(), "<u4")
    return np.random.default_rng([seed, *words.tolist()])
