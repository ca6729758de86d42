"""A batch of documents as Arrow's own buffers, and the memo that computes each primitive once a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import TypeVar

import numpy as np
import pyarrow as pa

Result = TypeVar("Result")


class Batch:
    """Documents in the form that kernels read: no Python string is made unless somebody asks.

    Attributes:
        data: uint8, the UTF-8 bytes of all documents one after another (may hold invalid UTF-8: kernels must survive it).
        offsets: int64 [n + 1]; document d is ``data[offsets[d]:offsets[d + 1]]``.
        valid: bool [n]; False where the document is null (its byte range is then empty).
        columns: other columns a family reads, by role, as Arrow arrays; ``original`` is the text that each was rewritten from.
    """

    def __init__(self, text: pa.Array | pa.ChunkedArray, columns: Mapping[str, pa.Array] | None = None) -> None:
        if isinstance(text, pa.ChunkedArray):
            text = (
                pa.concat_arrays([c.cast(pa.large_binary()) for c in text.chunks]) if text.num_chunks else pa.array([], pa.large_binary())
            )
        array = text.cast(pa.large_binary())
        validity, offsets, data = array.buffers()
        raw = np.frombuffer(offsets, np.int64) if offsets is not None and offsets.size else np.zeros(1, np.int64)
        offsets_ = raw[array.offset : array.offset + len(array) + 1]
        self.data = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
        self.offsets = np.ascontiguousarray(offsets_)
        self.valid = np.ones(len(array), bool) if validity is None else np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
        self.columns = dict(columns or {})
        self._array = array
        self._memo: dict[object, object] = {}

    @classmethod
    def of(cls, texts: Iterable[str | bytes | None], originals: Iterable[str | bytes | None] | None = None) -> Batch:
        """A batch from Python strings (tests, notebooks, the documents on a page), and what they were rewritten from where that is given."""
        return cls(_encoded(texts), None if originals is None else {"original": _encoded(originals)})

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def original(self) -> Batch:
        """The texts that these were rewritten from."""
        if "original" not in self._memo:
            self._memo["original"] = Batch(self.columns["original"])
        return self._memo["original"]  # type: ignore[return-value]

    @property
    def array(self) -> pa.Array:
        """The documents as large_binary [n]."""
        return self._array

    def take(self, chosen: np.ndarray) -> Batch:
        """Some of the documents, by place, in the order asked for."""
        return Batch(self._array.take(pa.array(chosen)), {role: column.take(pa.array(chosen)) for role, column in self.columns.items()})

    def texts(self) -> list[str | None]:
        """Decoded documents; invalid UTF-8 becomes U+FFFD. For signals that cannot avoid Python strings."""
        return [None if v is None else v.decode("utf-8", "replace") for v in self._array.to_pylist()]


def _encoded(texts: Iterable[str | bytes | None]) -> pa.Array:
    return pa.array([t.encode("utf-8", "surrogatepass") if isinstance(t, str) else t for t in texts], pa.large_binary())


def pair_primitive(compute: Callable[[Batch, Batch], Result]) -> Callable[[Batch, Batch], Result]:
    """Compute ``compute(original, rewrite)`` once a pair of batches and share it between all checks that ask."""

    @wraps(compute)
    def memoised(original: Batch, rewrite: Batch) -> Result:
        key = (compute, id(original))  # the rewrites' batch holds its originals, so the id stays taken
        if key not in rewrite._memo:
            rewrite._memo[key] = compute(original, rewrite)
        return rewrite._memo[key]  # type: ignore[return-value]

    return memoised


def primitive(compute: Callable[[Batch], Result]) -> Callable[[Batch], Result]:
    """Compute ``compute(batch)`` once a batch and share it between all signals that ask."""

    @wraps(compute)
    def memoised(batch: Batch) -> Result:
        if compute not in batch._memo:
            batch._memo[compute] = compute(batch)
        return batch._memo[compute]  # type: ignore[return-value]

    return memoised
