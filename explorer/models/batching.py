"""Batches by tokens, not rows: texts of like length together, halved when the device has no memory for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from explorer.errors import ModelError


def token_batches(lengths: Sequence[int] | np.ndarray, budget: int, most_rows: int = 1024) -> list[np.ndarray]:
    """Places of texts, longest first, cut so that rows x longest of a batch stays within the budget (one text may exceed it).

    Longest first: what does not fit into memory is known at once, not at the end.
    """
    lengths = np.asarray(lengths, np.int64)
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        stop = start + max(1, min(budget // longest, most_rows))
        batches.append(order[start:stop])
        start = stop
    return batches


def run(lengths: Sequence[int] | np.ndarray, forward: Callable[[np.ndarray], np.ndarray], budget: int, most_rows: int = 1024) -> np.ndarray:
    """``forward(places)`` over all batches, its rows put back in order; a batch the device has no memory for is halved.

    Args:
        lengths: tokens of each text [n].
        forward: float array [k, ...] for k places.
        budget: padded tokens of a batch.
        most_rows: texts of a batch.

    Returns:
        Array [n, ...] in the order of ``lengths``.

    Raises:
        ModelError: a single text does not fit.

    """
    pending = token_batches(lengths, budget, most_rows)[::-1]
    result: np.ndarray | None = None
    while pending:
        places = pending.pop()
        try:
            values = forward(places)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            release()
            if len(places) == 1:
                raise ModelError(
                    f"The device has no memory for one text of {int(np.asarray(lengths)[places[0]]):,} tokens ({error.args[0] if error.args else error}). "
                    "What was scored before is kept. Lower max_length, close what else uses the device, or use --device cpu."
                ) from error
            half = len(places) // 2
            # what did not fit will not fit again: cut what is left as small
            pending = [part for batch in pending for part in _halves(batch, len(places))] + [places[half:], places[:half]]
            continue
        if result is None:
            result = np.empty((len(lengths), *values.shape[1:]), values.dtype)
        result[places] = values
    return np.zeros((0,)) if result is None else result


def _halves(batch: np.ndarray, too_many: int) -> list[np.ndarray]:
    return [batch[len(batch) // 2 :], batch[: len(batch) // 2]] if len(batch) >= too_many > 1 else [batch]


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory is full."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "can't allocate memory" in said or "not enough memory" in said


def release() -> None:
    """Give unused memory of the GPU back."""
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
