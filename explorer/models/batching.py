"""Batches by tokens, not rows: texts of like length together, halved when the device has no memory for one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from explorer.errors import ModelError


def token_batches(lengths: Sequence[int] | np.ndarray, budget: int, most_rows: int = 1024, multiple: int = 1) -> list[np.ndarray]:
    """Places of texts, longest first, cut so that rows x longest of a batch stays within the budget (one text may exceed it).

    Longest first: what does not fit into memory is known at once, not at the end. Lengths count as rounded up to ``multiple``, to
    which a GPU's batches are padded.
    """
    lengths = np.asarray(lengths, np.int64)
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        longest = -(-max(1, int(lengths[order[start]])) // multiple) * multiple
        stop = start + max(1, min(budget // longest, most_rows))
        batches.append(order[start:stop])
        start = stop
    return batches


def run(
    lengths: Sequence[int] | np.ndarray,
    forward: Callable[[np.ndarray], Any],
    budget: int,
    most_rows: int = 1024,
    *,
    finish: Callable[[Any], np.ndarray] | None = None,
    ahead: int = 1,
    multiple: int = 1,
) -> np.ndarray:
    """``forward(places)`` over all batches, its rows put back in order; a batch the device has no memory for is halved.

    Args:
        lengths: tokens of each text [n].
        forward: float array [k, ...] for k places; or, with ``finish``, what has been begun for them.
        budget: padded tokens of a batch.
        most_rows: texts of a batch.
        finish: waits for what ``forward`` began and gives its array, so that a GPU computes while the next batch is put together.
        ahead: batches begun beside the one that is waited for.
        multiple: of tokens that a batch is padded to.

    Returns:
        Array [n, ...] in the order of ``lengths``; of no rows and one axis where there are no texts.

    Raises:
        ModelError: a single text does not fit.

    """
    lengths = np.asarray(lengths, np.int64)
    pending = token_batches(lengths, budget, most_rows, multiple)[::-1]
    begun: deque[tuple[np.ndarray, Any]] = deque()
    most = 1 if finish is None else 1 + ahead
    result: Any = None
    crowded = False  # whether a text did not fit beside others, and waits until they are done
    while pending or begun:
        begin = bool(pending) and len(begun) < most and not (crowded and begun)
        places, handle = (pending.pop(), None) if begin else begun.popleft()
        failure: BaseException | None = None
        try:
            if begin:
                begun.append((places, forward(places)))
            else:
                values: Any = handle if finish is None else finish(handle)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            failure = error.with_traceback(None)  # whose frames hold the tensors of the pass that failed
        if failure is not None:
            del handle
            release()
            if len(places) > 1:
                half = len(places) // 2
                # what did not fit will not fit again: cut what is left as small
                pending = [part for batch in pending for part in _halves(batch, len(places))] + [places[half:], places[:half]]
            elif begun:
                pending.append(places)
                crowded = True
            else:
                raise _too_long(int(lengths[places[0]]), failure) from failure
        elif begin:
            crowded = False
        else:
            if result is None:
                result = np.empty((len(lengths), *values.shape[1:]), values.dtype)
            result[places] = values
    return np.zeros((0,)) if result is None else result


def _halves(batch: np.ndarray, too_many: int) -> list[np.ndarray]:
    return [batch[len(batch) // 2 :], batch[: len(batch) // 2]] if len(batch) >= too_many > 1 else [batch]


def _too_long(tokens: int, error: BaseException) -> ModelError:
    return ModelError(
        f"The device has no memory for one text of {tokens:,} tokens ({error.args[0] if error.args else error}). "
        "What was scored before is kept. Lower max_length, close what else uses the device, or use --device cpu."
    )


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
