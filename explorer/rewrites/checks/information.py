"""How much of a text a language model can foretell once it has read the other: what was retained, and what is grounded."""

from __future__ import annotations

import numpy as np

from explorer.models.hub import SMOLLM
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check

BEFORE, BETWEEN = "<|endoftext|>Original text:\n", "\n\nFaithful paraphrase:\n"
COPY = "A copied sentence is foretold best, so copies score higher than paraphrases that say the same; compare rewrites of one style."


@check(
    version=1,
    source="ours, after BARTScore (Yuan et al. 2021, arXiv:2106.11520): likelihood of one text given the other, here as a share of its own",
    signals=[
        Signal("information_retained", "share of the original's loss", "1 - NLL(original | rewrite) / NLL(original): how much of the original's surprise reading the rewrite first takes away.", "higher_is_better", (None, 1.0), misleads=COPY),
        Signal("information_grounded", "share of the rewrite's loss", "1 - NLL(rewrite | original) / NLL(rewrite): low where the rewrite says what the original does not foretell.", "higher_is_better", (None, 1.0), misleads=COPY),
    ],
    audit=False,
)  # fmt: skip
def information(
    original: Batch,
    rewrite: Batch,
    *,
    model: str = SMOLLM,
    revision: str | None = None,
    max_tokens: int = 900,
    before: str = BEFORE,
    between: str = BETWEEN,
    dtype: str = "auto",
    pickled: bool = False,
) -> Columns:
    """The share of each text's negative log-likelihood that reading the other text first removes, under a causal language model.

    Two sequences a pair are run, original before rewrite and rewrite before original, in one template; each gives the loss of its first
    text by itself and of its second after the first. Undefined where a text has no token. A model on a CPU reads some 200 tokens a second and
    core: score a sample, or use a GPU.

    Args:
        original: what was rewritten.
        rewrite: what became of it.
        model: a folder of safetensors, a .gguf file, the bundled SmolLM2-135M-Instruct, or a hub id.
        revision: commit, branch or tag of a hub id.
        max_tokens: read of each text; both and the template must fit the model.
        before: template before the first text; special tokens spelt out in it are meant.
        between: template between both texts.
        dtype: "auto" is bfloat16 on a GPU that has it, else float32.
        pickled: whether weights that are not safetensors may be loaded; loading them can run code.

    Raises:
        ModelError: the model is not here or no causal language model, or max_tokens does not fit it.

    """
    from explorer.models.causal import load

    there = np.flatnonzero(original.valid & rewrite.valid)
    columns = np.full((2, len(rewrite)), np.nan)
    if len(there):
        reader = load(model, revision, dtype=dtype, pickled=pickled)
        a, b = ([texts[i] or "" for i in there.tolist()] for texts in (original.texts(), rewrite.texts()))
        how = {"before": before, "between": between, "most": max_tokens}
        ahead, n_ahead = reader.one_after_another(a, b, **how)  # type: ignore[arg-type]
        back, n_back = reader.one_after_another(b, a, **how)  # type: ignore[arg-type]
        tokens = np.minimum(n_ahead.min(1), n_back.min(1))
        columns[0, there] = removed(back[:, 1], ahead[:, 0], tokens)
        columns[1, there] = removed(ahead[:, 1], back[:, 0], tokens)
    return {"information_retained": columns[0], "information_grounded": columns[1]}


def removed(given: np.ndarray, alone: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Share of a loss that is gone once something else was read, 1 - given / alone; NaN where nothing was scored."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((tokens > 0) & (alone > 0), 1 - given / alone, np.nan)
