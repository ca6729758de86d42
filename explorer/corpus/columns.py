"""Signal columns in memory, as filters and histograms read them: a float array a column, a small code a group."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from explorer.corpus.files import Shard
from explorer.corpus.roles import is_number
from explorer.errors import ColumnNotFoundError, SignalError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

EXACT_IN_FLOAT32 = 2**24
BYTES_A_TOKEN = 4  # estimate only; shown as ≈
TEXT_TO_MEASURE = 4 * 1024**3  # bytes of text that are read to estimate tokens; beyond it the footers' means serve
SHARE_OF_MEMORY = 0.4  # of the machine's, for columns kept; those used least recently go first


@dataclass(frozen=True)
class Groups:
    """A group a document, such as its source: ``codes`` uint8 [n] index ``labels``."""

    by: str
    codes: np.ndarray
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Tokens:
    """Tokens a document, float64 [n], whose they are, and whether they are an estimate."""

    values: np.ndarray
    label: str
    estimated: bool


class Columns:
    """Columns of one corpus, loaded when first asked for and again when more of them has been computed."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._cache: dict[object, object] = {}
        self._numbers: OrderedDict[tuple[str, str, int], np.ndarray] = OrderedDict()
        self._lock = threading.RLock()

    def numeric(self) -> list[str]:
        """Columns that can be thresholded: computed signals first, then the corpus' own numbers."""
        from explorer.registry import find_signal

        computed = [c for c in self._corpus.coverage().columns() if (s := find_signal(c)) is None or s.dtype != "string"]
        own = [f.name for f in self._corpus.schema if is_number(f.type) and f.name not in computed]
        return computed + own

    def numbers(self, name: str) -> np.ndarray:
        """A numeric column, [n], NaN where null or not computed.

        float32 where that is exact or how it is stored, else float64: thresholds are compared in this precision.

        Raises:
            SignalError: a registered signal that has not been computed for any document.
            ColumnNotFoundError: neither a signal nor a column of the corpus.

        """
        coverage = self._corpus.coverage()
        side = coverage.of(name)
        key = (name, side.folder.name if side else "", coverage.scored_rows(name))
        with self._lock:
            if key not in self._numbers:
                for stale in [k for k in self._numbers if k[0] == name]:
                    del self._numbers[stale]
                self._numbers[key] = _joined([_to_numpy(p) for p in self._pieces(name)])
                self._forget_least_used()
            self._numbers.move_to_end(key)
            return self._numbers[key]

    def glimpse(self, name: str, most: int = 200_000) -> np.ndarray:
        """A numeric column for a small picture: all of it, or about ``most`` values from evenly spaced shards."""
        shards = self._corpus.shards
        if len(self._corpus) <= most:
            return self.numbers(name)
        few = [shards[i] for i in sorted(set(np.linspace(0, len(shards) - 1, 3).astype(int)))]
        column = _joined([_to_numpy(p) for p in self._pieces(name, shards=few)])
        return column[:: max(1, len(column) // most)]

    def groups(self, by: str = "source", most: int = 12) -> Groups:
        """Which group each document is in; the largest ``most`` by documents, the rest as "other", nulls as "(none)".

        Args:
            by: a role ("source", "language"), "year" (of the date role), or a column of the corpus or a text signal.
            most: groups kept apart.

        """
        with self._lock:
            key = ("groups", by, most, self._corpus.coverage().stamp() if by not in ("source", "year") else None)
            if key not in self._cache:
                self._cache[key] = self._groups(by, most)
            return self._cache[key]  # type: ignore[return-value]

    def tokens(self) -> Tokens:
        """Tokens of each document: the corpus' own count, else the `tokens` signal, else UTF-8 bytes / 4 as an estimate."""
        coverage = self._corpus.coverage()
        n = len(self._corpus)
        with self._lock:
            key = ("tokens", coverage.of("n_tokens") and coverage.scored_rows("n_tokens"), coverage.scored_rows("tokens_estimate"))
            if key not in self._cache:
                role = self._corpus.roles.tokens
                side = coverage.of("n_tokens")
                if role:
                    found = Tokens(np.nan_to_num(self.numbers(role).astype(np.float64)), f"column {role}", False)
                elif side is not None and coverage.scored_rows("n_tokens") == n:
                    found = Tokens(
                        np.nan_to_num(self.numbers("n_tokens").astype(np.float64)), f"tokenizer {side.parameters.get('tokenizer')}", False
                    )
                elif coverage.of("n_bytes") is not None and coverage.scored_rows("n_bytes") == n:
                    found = Tokens(np.nan_to_num(self.numbers("n_bytes").astype(np.float64)) / BYTES_A_TOKEN, "bytes / 4", True)
                else:
                    found = self._estimated_tokens()
                self._cache[key] = found
            return self._cache[key]  # type: ignore[return-value]

    def _forget_least_used(self) -> None:
        limit = SHARE_OF_MEMORY * psutil.virtual_memory().total
        while len(self._numbers) > 1 and sum(a.nbytes for a in self._numbers.values()) > limit:
            self._numbers.popitem(last=False)

    def _estimated_tokens(self) -> Tokens:
        corpus = self._corpus
        if corpus.text_size <= TEXT_TO_MEASURE:
            return Tokens(self._bytes() / BYTES_A_TOKEN, "bytes / 4", True)
        text = corpus.roles.text
        groups = [g for s in corpus.shards for g in s.row_groups if g.rows]
        means = np.array([g.sizes.get(text, 0) / g.rows for g in groups])
        values = np.repeat(means / BYTES_A_TOKEN, [g.rows for g in groups])
        return Tokens(values, "mean bytes of the row group / 4; score the family length for each document's own", True)

    def _bytes(self) -> np.ndarray:
        """UTF-8 bytes of every text; reads the whole text column once."""
        text = self._corpus.roles.text

        def lengths(shard: Shard) -> np.ndarray:
            if text not in shard.schema.names:
                return np.zeros(shard.rows)
            pieces = [np.zeros(0)]
            for batch in shard.open().iter_batches(batch_size=8192, columns=[text]):
                column = batch.column(0)
                column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
                pieces.append(pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False).astype(np.float64))
            return np.concatenate(pieces)

        with ThreadPoolExecutor(4) as pool:
            return _joined(list(pool.map(lengths, self._corpus.shards)))

    def _pieces(self, name: str, *, dictionary: bool = False, shards: Sequence[Shard] | None = None) -> list[pa.ChunkedArray]:
        corpus = self._corpus
        side = corpus.coverage().of(name)
        if side is None and name not in corpus.schema.names:
            from explorer.registry import find_signal

            signal = find_signal(name)
            if signal is not None:
                raise SignalError(
                    f"Signal {name!r} has not been computed (0 of {len(corpus):,} documents). Compute it first: corpus.score({signal.family!r}), or explorer score PATH -s {signal.family}"
                )
            raise ColumnNotFoundError.named(
                name,
                "the corpus or its signals",
                [*corpus.schema.names, *corpus.coverage().columns()],
                "List signals with: explorer signals",
            )

        def read(shard: Shard) -> pa.ChunkedArray:
            if side is not None:
                return side.read(shard, [name])[name]
            if name not in shard.schema.names:
                return pa.chunked_array([pa.nulls(shard.rows, pa.float32())])
            return shard.open(dictionary=[name] if dictionary else []).read(columns=[name])[name]

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(read, corpus.shards if shards is None else shards))

    def _groups(self, by: str, most: int) -> Groups:
        corpus = self._corpus
        column = {"source": corpus.roles.source, "language": corpus.roles.language, "year": corpus.roles.date}.get(by, by)
        if column is None and by == "source":
            return _by_folder(corpus.shards, most)
        if column is None and by == "language" and corpus.coverage().of("lang"):
            column = "lang"
        if column is None:
            raise ColumnNotFoundError(
                f"The corpus has no column for {by!r}. Columns: {', '.join(corpus.schema.names)}. Name one when opening it: {by if by != 'year' else 'date'}=COLUMN."
            )
        pieces = self._pieces(column, dictionary=by != "year")
        if by == "year":
            pieces = [_years(p) for p in pieces]
        encoded = pa.chunked_array(
            [_encoded(c) for p in pieces for c in p.chunks], pa.dictionary(pa.int32(), pa.string())
        ).unify_dictionaries()
        if encoded.num_chunks == 0:
            return Groups(by, np.zeros(0, np.uint8), ())
        names = [str(v) for v in encoded.chunk(0).dictionary.to_pylist()] + ["(none)"]
        codes = np.concatenate([pc.fill_null(c.indices, len(names) - 1).to_numpy() for c in encoded.chunks])
        return _largest(by, codes, names, most, by_name=by == "year")


def _joined(pieces: Sequence[np.ndarray]) -> np.ndarray:
    if not pieces:
        return np.zeros(0, np.float32)
    return np.concatenate(pieces) if len({p.dtype for p in pieces}) == 1 else np.concatenate([p.astype(np.float64) for p in pieces])


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    kind = column.type
    if pa.types.is_float32(kind) or pa.types.is_float16(kind) or pa.types.is_null(kind):
        return column.cast(pa.float32()).to_numpy().astype(np.float32, copy=False)
    if pa.types.is_boolean(kind):
        return column.cast(pa.int8()).cast(pa.float32()).to_numpy().astype(np.float32, copy=False)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    if pa.types.is_integer(column.type):
        span = pc.min_max(column).as_py()
        if max(abs(span["min"] or 0), abs(span["max"] or 0)) < EXACT_IN_FLOAT32:
            return column.cast(pa.float32()).to_numpy().astype(np.float32, copy=False)
        return column.cast(pa.float64(), safe=False).to_numpy()
    if not pa.types.is_floating(column.type):
        raise SignalError(f"A column of type {kind} cannot be thresholded. Numbers and booleans can; use SQL for the rest.")
    return column.to_numpy().astype(np.float64, copy=False)


def _encoded(chunk: pa.Array) -> pa.DictionaryArray:
    """Text codes of a chunk; Parquet's own dictionary is kept where there is one."""
    if pa.types.is_dictionary(chunk.type):
        return pa.DictionaryArray.from_arrays(chunk.indices.cast(pa.int32()), chunk.dictionary.cast(pa.string()))
    return chunk.cast(pa.string()).dictionary_encode()


def _years(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_temporal(kind):
        return pc.year(column)
    text = column.cast(pa.string())
    return pc.if_else(pc.match_substring_regex(text, r"^\d{4}"), pc.utf8_slice_codeunits(text, 0, 4), pa.scalar(None, pa.string()))


def _largest(by: str, codes: np.ndarray, names: list[str], most: int, *, by_name: bool) -> Groups:
    counts = np.bincount(codes, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    kept = [int(i) for i in order[:most] if counts[i]]
    if by_name:
        kept.sort(key=lambda i: names[i])
    labels = [names[i] for i in kept]
    target = np.full(len(names), len(kept), np.uint8)
    target[kept] = np.arange(len(kept))
    if any(counts[i] for i in order[most:]):
        labels.append("other")
    return Groups(by, target[codes], tuple(labels))


def _by_folder(shards: Sequence[Shard], most: int) -> Groups:
    """Without a source column the folder of a file is its source, or the file's own name when all share a folder."""
    folders = [s.path.rsplit("/", 2)[-2] if s.path.count("/") > 1 else "" for s in shards]
    names = (
        folders
        if len(set(folders)) > 1
        else [s.name.removesuffix(".parquet") for s in shards]
        if len(shards) <= most
        else ["corpus"] * len(shards)
    )
    known = {name: i for i, name in enumerate(dict.fromkeys(names))}
    codes = np.concatenate([np.full(s.rows, known[n], np.int64) for s, n in zip(shards, names, strict=True)])
    return _largest("source", codes, list(known), most, by_name=False)
