"""Perplexity, bits per character and bits per byte under any causal language model."""

from __future__ import annotations

import numpy as np

from explorer.models.hub import SMOLLM
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family

_LOW = (
    "Low is not good: boilerplate, repetition and lists have the lowest values; look at it against length and compression. High can be "
    "another language, code, or a table."
)
_TOKENIZER = "Comparable only between models with one tokenizer; use bpb across tokenizers. " + _LOW

MOST_NATS = 88.0  # exp of it is the largest perplexity that float32 holds


@family(
    version=1,
    source="mean token loss of a causal language model; columns as in lm-evaluation-harness (bits per byte) and CCNet, arXiv:1911.00359",
    signals=[
        Signal("nll", "nats per token", "Mean over the scored tokens of -ln p(token | tokens before it).", "two_sided", (0, None), misleads=_TOKENIZER),
        Signal("ppl", "perplexity", "exp(nll): how many equally likely tokens the model chooses among, on average.", "two_sided", (1, None), misleads=_TOKENIZER),
        Signal("bpc", "bits per character", "Summed loss / (characters of the scored tokens x ln 2).", "two_sided", (0, None), misleads=_LOW),
        Signal("bpb", "bits per byte", "Summed loss / (UTF-8 bytes of the scored tokens x ln 2); comparable across tokenizers.", "two_sided", (0, None), misleads=_LOW),
        Signal("nll_tokens", "tokens", "Number of tokens that were scored; at most max_tokens.", "descriptive", (0, None), "int64",
               "Below some 50 tokens the other columns are noise."),
    ],
)  # fmt: skip
def perplexity(
    batch: Batch,
    *,
    model: str = SMOLLM,
    revision: str | None = None,
    max_length: int = 1024,
    stride: int = 512,
    max_tokens: int | None = 8192,
    bos: str = "auto",
    dtype: str = "auto",
    pickled: bool = False,
) -> Columns:
    """How surprising a text is to a causal language model: mean token loss, perplexity, bits per character and per byte.

    A text longer than ``max_length`` tokens is cut into windows that begin every ``stride`` tokens; every token is scored once, in the
    first window that holds it, after at least ``max_length - stride`` tokens of context (in the first window: after all before it).
    Special tokens that a text spells out are read as text. Null where fewer than two tokens can be scored.

    The default model is small (135 million parameters), English, tuned for chat, and comes quantised to four bits in a package, so that
    its losses are not those of the released weights; it tells fluent text from noise. For a figure to publish, name the model that it
    is about.

    Args:
        batch: documents.
        model: a folder of safetensors, a .gguf file, the bundled SmolLM2-135M-Instruct, or a hub id such as "HuggingFaceTB/SmolLM2-135M".
        revision: commit, branch or tag of a hub id.
        max_length: tokens that the model sees at once; more context lowers the loss of long texts.
        stride: tokens by which the window moves on; max_length / stride is how often a long text is run.
        max_tokens: only the first so many tokens of a document are scored, and the columns are about these; none for all.
        bos: what stands before the text. "auto": the token that the model's tokenizer puts there itself, if it does; "none": nothing, so
            that the first token, with nothing before it, is not scored; else a token, such as "<|endoftext|>".
        dtype: "auto" is bfloat16 on a GPU that has it (a mean loss then moves by some thousandths), else float32; or "float32",
            "bfloat16", "float16".
        pickled: whether weights that are not safetensors may be loaded; loading them can run code.

    Raises:
        ModelError: the model is not here or no causal language model, or a parameter does not fit it.

    """
    from explorer.models.causal import load

    texts = batch.texts()
    if not any(texts):  # no model is loaded for nothing
        return figures(*np.zeros((4, len(texts))))
    rater = load(model, revision, dtype=dtype, pickled=pickled)
    found = rater.losses(texts, max_length=max_length, stride=stride, max_tokens=max_tokens, bos=bos)
    return figures(found.sum_nll, found.n_tokens, found.n_chars, found.n_bytes)


def figures(sum_nll: np.ndarray, n_tokens: np.ndarray, n_chars: np.ndarray, n_bytes: np.ndarray) -> dict[str, np.ndarray]:
    """The family's columns from summed losses (nats) and what was scored; NaN where fewer than two tokens were."""
    sums = np.where((n_tokens >= 2) & np.isfinite(sum_nll), sum_nll, np.nan)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        nll = sums / n_tokens
        return {
            "nll": nll,
            "ppl": np.where(nll < MOST_NATS, np.exp(nll), np.nan),
            "bpc": np.where(n_chars > 0, sums / (n_chars * np.log(2)), np.nan),
            "bpb": np.where(n_bytes > 0, sums / (n_bytes * np.log(2)), np.nan),
            "nll_tokens": n_tokens.astype(np.int64),
        }
