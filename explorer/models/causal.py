"""Causal language models: the exact loss of every token of a text, and what a model would answer next.

The loss of a token is minus the natural logarithm of the probability that the model gives it after the tokens before it. A text is
cut into windows where it is longer than one; every token is scored once. Nothing here samples.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from explorer.errors import ModelError
from explorer.models import batching
from explorer.models import device as devices
from explorer.models.device import Device
from explorer.models.hub import SMOLLM, resolve

DEFAULT = SMOLLM
DTYPES = ("auto", "float32", "bfloat16", "float16")
# Padded tokens run at once: a CPU gains nothing from more (only padding), a GPU is full by then.
BUDGET = {"cpu": 1024, "cuda": 32_768, "mps": 8192}
# Bytes of float32 logits at once. A vocabulary of 150,000 is 0.6 MB a token, more than all else the token needs.
LOGIT_BYTES = {"cpu": 64 * 1024**2, "cuda": 1024**3, "mps": 256 * 1024**2}
CHUNK_CHARS = 1_000_000  # of text tokenised in one call


class Losses(NamedTuple):
    """Losses of texts, one value each.

    Attributes:
        sum_nll: float64, nats, summed over the tokens that were scored; 0 where none was.
        n_tokens: int64, how many tokens were scored.
        n_chars: int64, characters that these tokens spell; one that ``max_tokens`` cuts in two counts whole.
        n_bytes: int64, bytes of these characters in UTF-8.
        truncated: bool, whether tokens past ``max_tokens`` were left out.

    """

    sum_nll: np.ndarray
    n_tokens: np.ndarray
    n_chars: np.ndarray
    n_bytes: np.ndarray
    truncated: np.ndarray


class Window(NamedTuple):
    """Tokens ``begin:end`` of a sequence, run together; those from ``first`` on are scored."""

    text: int
    begin: int
    first: int
    end: int


def windows(length: int, max_length: int, stride: int, text: int = 0) -> list[Window]:
    """Cut a sequence so that each token but the first is scored once, with as much before it as fits.

    Windows begin every ``stride`` tokens and hold ``max_length``. A token is scored in the first window that holds it: those of the
    first window after all that precede them, later ones after at least ``max_length - stride`` and at most ``max_length - 1`` tokens.
    """
    found: list[Window] = []
    begin, first = 0, 1
    while first < length:
        end = min(begin + max_length, length)
        found.append(Window(text, begin, first, end))
        first, begin = end, begin + stride
    return found


@dataclass(frozen=True, eq=False)
class Causal:
    """A causal language model on a device, with its tokenizer.

    Attributes:
        name, revision: what it was loaded as.
        device, dtype: what it runs on and computes in.
        positions: longest sequence it was made for; 0 where its configuration does not say.

    """

    name: str
    revision: str
    device: Device
    dtype: str
    positions: int
    vocabulary: int
    _model: Any
    _tokenizer: Any
    _plain: Any  # the tokenizer's core, in which special tokens that are spelt out in a text are text
    _has_head: bool  # whether logits are the last hidden states times the output embedding, and nothing else

    def losses(
        self, texts: Sequence[str | None], *, max_length: int = 1024, stride: int = 512, max_tokens: int | None = None, bos: str = "auto"
    ) -> Losses:
        """Loss of each text, in nats, summed over its tokens.

        Special tokens that a text spells out ("<|endoftext|>") are read as text.

        Args:
            texts: any number; a null text has no tokens.
            max_length: tokens that the model sees at once.
            stride: tokens by which a window is moved on where a text is longer (see `windows`); less means more context and more work.
            max_tokens: score no more than the first so many tokens; None for all.
            bos: what stands before the text. "auto": the token that the tokenizer itself puts there, if it does; "none": nothing, and
                the first token of the text, which then has nothing before it, is not scored; else a token such as "<|endoftext|>".

        Raises:
            ModelError: a parameter that does not fit the model.

        """
        self._check(max_length, stride, max_tokens)
        start = self.beginning(bos)
        sequences: list[np.ndarray] = []
        chars, nbytes = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
        truncated = np.zeros(len(texts), bool)
        for i, (text, (ids, offsets)) in enumerate(zip(texts, self._encoded(texts), strict=True)):
            kept = len(ids) if max_tokens is None else min(len(ids), max_tokens)
            truncated[i] = kept < len(ids)
            sequences.append(np.array([*start, *ids[:kept]], np.int64))
            scored_from = 0 if start else 1
            if text and kept > scored_from:
                first = offsets[scored_from - 1][1] if scored_from else 0
                part = text[first : offsets[kept - 1][1] if truncated[i] else len(text)]
                chars[i], nbytes[i] = len(part), len(part.encode("utf-8", "replace"))
        cut = [w for i, ids in enumerate(sequences) for w in windows(len(ids), max_length, stride, i)]
        sums = np.zeros(len(texts))
        counts = np.zeros(len(texts), np.int64)
        if cut:
            owner = np.array([w.text for w in cut])
            # The last token of a window is only predicted: it need not be run.
            lengths = np.array([w.end - w.begin - 1 for w in cut])
            found = batching.run(
                lengths, lambda places: self._window_losses([(sequences[cut[p].text], cut[p]) for p in places]), self._budget
            )
            np.add.at(sums, owner, found)
            np.add.at(counts, owner, [w.end - w.first for w in cut])
        return Losses(sums, counts, chars, nbytes, truncated)

    def one_after_another(
        self, firsts: Sequence[str], seconds: Sequence[str], *, before: str, between: str, most: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Losses of two texts that are read in one sequence: ``before``, the first, ``between``, the second.

        Args:
            firsts: n texts.
            seconds: n texts.
            before: template, in which special tokens that are spelt out are meant.
            between: the same.
            most: tokens read of each text.

        Returns:
            Nats summed over the tokens of the first text, given the template, and of the second, given all before it: float64 [n, 2]; and
            how many tokens those are, int64 [n, 2].

        Raises:
            ModelError: two texts of so many tokens do not fit the model.

        """
        head, middle = self.encode_template(before) or self.beginning("auto"), self.encode_template(between)
        room = len(head) + len(middle) + 2 * most
        if self.positions and room > self.positions:
            raise ModelError(
                f"Two texts of {most:,} tokens take {room:,} with what stands around them; {self.name!r} takes {self.positions:,}. Lower max_tokens to {(self.positions - len(head) - len(middle)) // 2:,}."
            )
        parts: list[tuple[np.ndarray, list[tuple[int, int]]]] = []
        for (a, _), (b, _) in zip(self._encoded(firsts), self._encoded(seconds), strict=True):
            a, b = a[:most], b[:most]
            at = max(1, len(head))  # a first token with nothing before it is not scored
            one, two = (at, len(head) + len(a)), (len(head) + len(a) + len(middle), len(head) + len(a) + len(middle) + len(b))
            parts.append((np.array([*head, *a, *middle, *b], np.int64), [(one[0], max(one)), (max(1, two[0]), max(two))]))
        if not parts:
            return np.zeros((0, 2)), np.zeros((0, 2), np.int64)
        sums = batching.run([len(ids) for ids, _ in parts], lambda places: self._spans([parts[p] for p in places]), self._budget)
        return sums, np.array([[end - first for first, end in of] for _, of in parts], np.int64)

    def complete(
        self, prompts: Sequence[Sequence[int]], most: int, options: Sequence[str], stop: Sequence[int] = ()
    ) -> tuple[list[list[int]], np.ndarray]:
        """The most probable continuation, token by token (greedy), and what the options had been worth at each step.

        Args:
            prompts: token ids, at least one each.
            most: tokens of an answer.
            options: strings that are one token each.
            stop: tokens that end an answer, besides the model's own; the answer does not hold it.

        Returns:
            The answers' token ids, and ln p(option | prompt and answer so far), float64 [prompts, most, options], NaN after the end.

        """
        from explorer.models.extra import torch, transformers

        wanted = self.token_ids(options)
        self._check_prompts(prompts, most)
        ends = sorted({*stop, *_ends(self._model), *([self._tokenizer.eos_token_id] if self._tokenizer.eos_token_id is not None else [])})
        if not len(prompts):
            return [], np.zeros((0, most, len(options)))
        settings = transformers.GenerationConfig(max_new_tokens=most, do_sample=False, eos_token_id=ends or None, pad_token_id=0)

        def forward(places: np.ndarray) -> np.ndarray:
            rows = [list(prompts[p]) for p in places]
            longest = max(map(len, rows))
            # generation goes on at the right end, so that padding has to be on the left, masked
            ids = torch.tensor([[0] * (longest - len(r)) + r for r in rows], device=self.device.name)
            mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows], device=self.device.name)
            seen: list[np.ndarray] = []

            def watch(input_ids: Any, scores: Any) -> Any:
                seen.append(scores.float().log_softmax(-1)[:, wanted].cpu().numpy().astype(np.float64))
                return scores

            with torch.inference_mode():
                answer = self._model.generate(
                    ids, attention_mask=mask, generation_config=settings, logits_processor=transformers.LogitsProcessorList([watch])
                )[:, longest:]
            out = np.full((len(rows), most, len(options) + 1), np.nan)
            steps = answer.shape[1]
            out[:, :steps, :-1] = np.stack(seen[:steps], axis=1)
            out[:, :steps, -1] = answer.cpu().numpy()
            return out

        found = batching.run([len(p) + most for p in prompts], forward, self._budget, most_rows=self._most_rows())
        answers: list[list[int]] = []
        for row in found:
            ids = [int(t) for t in row[:, -1] if not np.isnan(t)]
            length = next((k for k, t in enumerate(ids) if t in ends), len(ids))
            answers.append(ids[:length])
            row[length + 1 :, :-1] = np.nan  # the padding after the end; the end itself was chosen among all
        return answers, found[:, :, :-1]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, nothing put before it; special tokens that it spells out are text."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def encode_template(self, text: str) -> list[int]:
        """Token ids of a template, in which special tokens that are spelt out are meant."""
        return list(self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def chat(self, system: str) -> tuple[str, str]:
        """The model's chat template around one user message, up to where the answer begins: (before the message, after it).

        Raises:
            ModelError: the tokenizer has no chat template.

        """
        mark = "\u241e"  # stands for the message, which is put in as tokens of its own
        if not getattr(self._tokenizer, "chat_template", None):
            raise ModelError(
                f"The tokenizer of {self.name!r} has no chat template. A model that answers prompts comes with one. Choose another model."
            )
        messages = [{"role": "system", "content": system}, {"role": "user", "content": mark}]
        before, found, after = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True).partition(mark)
        if not found:
            raise ModelError(f"The chat template of {self.name!r} leaves the user's message out. Choose another model.")
        return before, after

    def token_ids(self, options: Sequence[str]) -> list[int]:
        """The one token of each string.

        Raises:
            ModelError: one of them is several tokens, or none.

        """
        found = []
        for option in options:
            ids = self.encode(option)
            whole = self._plain.token_to_id(option)
            if len(ids) == 1:
                found.append(ids[0])
            elif whole is not None:  # sentencepiece puts a mark of the word's beginning before it when it stands alone
                found.append(whole)
            else:
                raise ModelError(
                    f"{option!r} is no token of {self.name!r}. An answer that is compared has to be one token. Choose another model."
                )
        return found

    def beginning(self, bos: str) -> list[int]:
        """Token ids that are put before a text."""
        if bos == "none":
            return []
        if bos == "auto":
            token = self._tokenizer.bos_token_id
            ids = self._tokenizer("a")["input_ids"]
            return [int(ids[0])] if token is not None and len(ids) and ids[0] == token else []
        token = self._plain.token_to_id(bos)
        if token is None:
            raise ModelError(
                f"bos {bos!r} is no token of {self.name!r}. It is 'auto', 'none', or a token of the vocabulary. "
                f"The tokenizer's own are: {', '.join(map(repr, self._tokenizer.all_special_tokens)) or 'none'}."
            )
        return [int(token)]

    @property
    def _budget(self) -> int:
        budget = BUDGET[self.device.kind]
        return budget if self._has_head else min(budget, LOGIT_BYTES[self.device.kind] // (4 * self.vocabulary))

    def _most_rows(self) -> int:
        return max(1, min(256, LOGIT_BYTES[self.device.kind] // (4 * self.vocabulary)))

    def _check(self, max_length: int, stride: int, max_tokens: int | None) -> None:
        if max_length < 2 or (self.positions and max_length > self.positions):
            limit = f"at most {self.positions:,}, what {self.name!r} was made for" if self.positions else "at least 2"
            raise ModelError(f"max_length {max_length} does not fit. It is a number of tokens from 2, {limit}. Choose one in that range.")
        if not 1 <= stride < max_length:
            raise ModelError(
                f"stride {stride} does not fit max_length {max_length}. It is at least 1 and less than max_length, so that each token has one before it. Try {max_length // 2}."
            )
        if max_tokens is not None and max_tokens < 2:
            raise ModelError(
                f"max_tokens {max_tokens} leaves nothing to score. It is at least 2, or none for all tokens. Choose such a number."
            )

    def _check_prompts(self, prompts: Sequence[Sequence[int]], more: int = 0) -> None:
        longest = max((len(p) for p in prompts), default=0) + more
        if self.positions and longest > self.positions:
            raise ModelError(
                f"A prompt of {longest:,} tokens does not fit {self.name!r}, which takes {self.positions:,}. Shorten the text in the prompt."
            )
        if any(not len(p) for p in prompts):
            raise ModelError("A prompt is empty. A model needs at least one token to go on from. Put text into the prompt.")

    def _encoded(self, texts: Sequence[str | None]) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
        """Token ids and the characters (begin, end) of each; tokenised a million characters at a time."""
        first = 0
        while first < len(texts):
            stop, size = first, 0
            while stop < len(texts) and (stop == first or size + len(texts[stop] or "") <= CHUNK_CHARS):
                size += len(texts[stop] or "")
                stop += 1
            for encoding in self._plain.encode_batch([t or "" for t in texts[first:stop]], add_special_tokens=False):
                ids = encoding.ids
                if ids and max(ids) >= self.vocabulary:
                    raise ModelError(
                        f"The tokenizer of {self.name!r} has tokens that its model does not know ({max(ids):,} of {self.vocabulary:,}). They do not belong together. Check the folder."
                    )
                yield ids, encoding.offsets
            first = stop

    def _window_losses(self, parts: Sequence[tuple[np.ndarray, Window]]) -> np.ndarray:
        """Summed loss of each window's scored tokens, float64."""
        return self._spans([(ids[w.begin : w.end], [(w.first - w.begin, w.end - w.begin)]) for ids, w in parts])[:, 0]

    def _spans(self, parts: Sequence[tuple[np.ndarray, Sequence[tuple[int, int]]]]) -> np.ndarray:
        """Summed loss of some spans of each sequence, float64 [sequences, spans]; as many spans of each, none of its first token."""
        from explorer.models.extra import torch

        spans = len(parts[0][1])
        # the last token of a sequence is only predicted: it need not be run; position p predicts token p + 1
        rows = [ids[: max(1, max(end for _, end in of) - 1)] for ids, of in parts]
        at = [np.arange(first, end) for _, of in parts for first, end in of]
        group = np.repeat(np.arange(len(at)), [len(a) for a in at])
        row, column = group // spans, np.concatenate(at) - 1
        target = np.concatenate([ids[first:end] for ids, of in parts for first, end in of])
        sums = np.zeros(len(at))
        size = max(1, LOGIT_BYTES[self.device.kind] // (4 * self.vocabulary))
        with torch.inference_mode():
            states = self._states(rows)
            for k in range(0, len(row), size):
                logits = self._head(states, row[k : k + size], column[k : k + size])
                chosen = torch.from_numpy(target[k : k + size]).to(logits.device)
                nll = torch.logsumexp(logits, -1) - logits.gather(-1, chosen[:, None])[:, 0]
                np.add.at(sums, group[k : k + size], nll.cpu().numpy().astype(np.float64))
        return sums.reshape(len(parts), spans)

    def _states(self, rows: Sequence[np.ndarray]) -> Any:
        """Last hidden states [rows, longest, width]; the model's own logits where these do not decide them alone.

        Rows are padded on the right. A causal model never looks to the right, so that padding changes no state of a text, and leaving
        the mask out lets attention take its fastest way.
        """
        from explorer.models.extra import torch

        ids = torch.zeros((len(rows), max(map(len, rows))), dtype=torch.long)
        for k, r in enumerate(rows):
            ids[k, : len(r)] = torch.from_numpy(np.ascontiguousarray(r))
        ids = ids.to(self.device.name)
        if self._has_head:
            return self._model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        return self._model(input_ids=ids, use_cache=False).logits

    def _head(self, states: Any, row: np.ndarray, column: np.ndarray) -> Any:
        """float32 logits [k, vocabulary] at some places; never those of all tokens at once."""
        from explorer.models.extra import torch

        place = torch.from_numpy(row).to(states.device), torch.from_numpy(column).to(states.device)
        picked = states[place]
        return (self._model.get_output_embeddings()(picked) if self._has_head else picked).float()


def load(model: str = DEFAULT, revision: str | None = None, *, dtype: str = "auto", pickled: bool = False) -> Causal:
    """A causal language model on the current device; the last two stay in memory.

    Args:
        model: a folder of safetensors, a ``.gguf`` file, a bundled name, or a hub id.
        revision: of a hub id.
        dtype: what it computes in. "auto": bfloat16 on a GPU that has it, else float32.
        pickled: whether weights that are not safetensors may be loaded; they can run code.

    Raises:
        ModelError: it is not here, or is no causal language model.
        MissingExtraError: torch or transformers is not installed.

    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown. Types: {', '.join(DTYPES)}. Choose one of them.")
    found = resolve(model, revision, pickled=pickled)
    device = devices.current()
    if dtype == "auto":
        # float16 has not the range that most language models were trained with: only who asks gets it
        dtype = "bfloat16" if device.kind != "cpu" and device.fast == "bfloat16" else "float32"
    with _lock:
        return _loaded(str(found.path), found.revision, found.name, device, dtype, pickled)


_lock = threading.Lock()


@lru_cache(maxsize=2)
def _loaded(path: str, revision: str, name: str, device: Device, dtype: str, pickled: bool) -> Causal:
    from explorer.models.extra import torch, transformers
    from explorer.models.gguf import converted, quiet

    folder = converted(path) if path.endswith(".gguf") else Path(path)
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        with quiet(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=getattr(torch, dtype), use_safetensors=None if pickled else True, **options
            )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"Model {name!r} cannot be loaded as a causal language model: {line}. It is a folder with config.json, a tokenizer and "
            "safetensors, of an architecture that transformers itself knows. Where the weights are pickled and you trust them, set pickled=true."
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"The tokenizer of {name!r} has no tokenizer.json, which tells where each token lies. Convert it with transformers."
        )
    from tokenizers import Tokenizer

    plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    plain.encode_special_tokens = True
    model = model.eval().to(device.name)
    positions = int(getattr(model.config.get_text_config(), "max_position_embeddings", 0) or 0)
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    return Causal(name, revision, device, dtype, positions, vocabulary, model, tokenizer, plain, _probe(model, name, vocabulary))


def _probe(model: Any, name: str, vocabulary: int) -> bool:
    """Whether logits are the hidden states times the output embedding, found by running eight tokens.

    Some architectures scale or cap their logits afterwards; theirs are then taken from the model itself, which needs more memory.

    Raises:
        ModelError: a token's logits depend on the tokens after it.

    """
    from explorer.models.extra import torch

    ids = torch.arange(8)[None] % vocabulary
    other = ids.clone()
    other[0, -1] = vocabulary - 1
    with torch.inference_mode():
        device = model.get_input_embeddings().weight.device
        logits = model(input_ids=ids.to(device), use_cache=False).logits[0].float()
        if not torch.allclose(logits[:-1], model(input_ids=other.to(device), use_cache=False).logits[0, :-1].float(), rtol=0.05, atol=0.05):
            raise ModelError(
                f"Model {name!r} is not causal: it looks at the tokens after the one it predicts. Perplexity needs a causal model."
            )
        head = model.get_output_embeddings()
        if head is None or model.base_model is model:
            return False
        try:
            states = model.base_model(input_ids=ids.to(device), use_cache=False).last_hidden_state
            own = head(states)[0].float()
        except (AttributeError, RuntimeError, TypeError):
            return False
    return own.shape == logits.shape and torch.allclose(own, logits, rtol=1e-3, atol=1e-3)


def _ends(model: Any) -> list[int]:
    ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [] if ends is None else list(ends) if isinstance(ends, list | tuple) else [int(ends)]
