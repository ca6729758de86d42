"""Signal columns in memory, as filters and histograms read them: a float array a column, a small code a group."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from explorer.corpus.files import Shard
from explorer.corpus.roles import is_number
from explorer.corpus.sidecars import Sidecar
from explorer.errors import ColumnNotFoundError, SignalError

if TYPE_CHECKING:
    from explorer.corpus.corpus import Corpus

EXACT_IN_FLOAT32 = 2**24
BYTES_A_TOKEN = 4  # estimate only; shown as ≈
TEXT_TO_MEASURE = 4 * 1024**3  # bytes of text that are read to estimate tokens; beyond it the footers' means serve
EPOCH_END = 4_133_980_800  # seconds from 1970 to 2101
FILES_AS_SOURCES = 12  # files of one folder that are taken for sources of their own; more are pieces of one corpus
SHARE_OF_MEMORY = 0.4  # of the machine's, for columns kept; those used least recently go first

T = TypeVar("T")


@dataclass(frozen=True)
class Groups:
    """A group a document, such as its source: ``codes`` [n] (uint8, or uint16 above 256 groups) index ``labels``.

    ``rest`` is the label of the group that holds all smaller ones, None where there is none: a real group may be called "other" too.
    """

    by: str
    codes: np.ndarray
    labels: tuple[str, ...]
    rest: str | None = None


@dataclass(frozen=True)
class Tokens:
    """Tokens a document, float64 [n], whose they are, and whether they are an estimate."""

    values: np.ndarray
    label: str
    estimated: bool


@dataclass(frozen=True)
class _Grouping:
    side: Sidecar | None
    column: str | None
    stamp: object


class Columns:
    """Columns of one corpus, loaded when first asked for and again when more of them has been computed."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._cache: dict[object, tuple[object, object]] = {}
        self._numbers: OrderedDict[tuple[str, str, int], np.ndarray] = OrderedDict()
        self._lock = threading.RLock()  # of these dictionaries
        self._making: dict[object, threading.RLock] = {}  # one a column or grouping: none waits for another that takes long

    def numeric(self) -> list[str]:
        """Columns that can be thresholded: computed signals first, then the corpus' own numbers."""
        from explorer.registry import find_signal

        coverage = self._corpus.coverage()
        computed = [c for c in coverage.columns() if (s := find_signal(c)) is None or s.dtype != "string"]
        own = [coverage.renamed.get(f.name, f.name) for f in self._corpus.schema if is_number(f.type)]
        return computed + own

    def numbers(self, name: str) -> np.ndarray:
        """A numeric column, [n], NaN where null or not computed.

        float32 where that is exact or how it is stored, else float64: thresholds are compared in this precision.

        Raises:
            SignalError: a registered signal that has not been computed for any document.
            ColumnNotFoundError: neither a signal nor a column of the corpus.

        """
        coverage = self._corpus.coverage()
        side, column = coverage.meant(name)
        return self._array(side, column, coverage.stamp_of(column) if side else ("", 0))

    def _array(self, side: Sidecar | None, column: str, stamp: tuple[str, int] = ("", 0)) -> np.ndarray:
        key = (column, *stamp)
        with self._alone(("numbers", column)):
            with self._lock:
                if key in self._numbers:
                    self._numbers.move_to_end(key)
                    return self._numbers[key]
            made = _joined([_to_numpy(p) for p in self._pieces(side, column)])
            with self._lock:
                for stale in [k for k in self._numbers if k[0] == column and bool(k[1]) == (side is not None)]:
                    del self._numbers[stale]
                self._numbers[key] = made
                self._forget_least_used()
            return made

    def glimpse(self, name: str, most: int = 200_000) -> np.ndarray:
        """A numeric column for a small picture: all of it, or about ``most`` values from evenly spaced shards."""
        shards = self._corpus.shards
        if len(self._corpus) <= most:
            return self.numbers(name)
        few = [shards[i] for i in sorted(set(np.linspace(0, len(shards) - 1, 3).astype(int)))]
        column = _joined([_to_numpy(p) for p in self._pieces(*self._corpus.coverage().meant(name), shards=few)])
        return column[:: max(1, len(column) // most)]

    def groups(self, by: str = "source", most: int = 12) -> Groups:
        """Which group each document is in; the largest ``most`` by documents, the rest as "other", nulls as "(none)".

        Args:
            by: a role ("source", "language"), "year" (of the date role), or a column of the corpus or a text signal.
            most: groups kept apart.

        """
        return self._kept(("groups", by, most), self._grouping(by).stamp, lambda: _largest(by, *self._coded(by), most))

    def strata(self, by: str = "source") -> np.ndarray:
        """Exact group codes, int32 [n]: every group has its own, however many there are, and documents without one share one.

        Codes run from 0 in no particular order; they are the same whenever the corpus and its signals are.

        Args:
            by: as in `groups`.

        """
        return self._kept(("strata",), (by, self._grouping(by).stamp), lambda: self._coded(by)[0])

    def tokens(self) -> Tokens:
        """Tokens of each document: the corpus' own count, else the `tokens` signal, else UTF-8 bytes / 4 as an estimate."""
        role, n = self._corpus.roles.tokens, len(self._corpus)
        coverage = self._corpus.coverage()
        for signal in () if role else ("n_tokens", "n_bytes"):
            side = coverage.of(signal)
            if side is not None and coverage.scored_rows(signal) == n:
                return self._kept("tokens", (signal, coverage.stamp_of(signal)), lambda s=signal, f=side: self._computed_tokens(s, f))  # type: ignore[misc]
        return self._kept("tokens", role, lambda: self._own_tokens(role) if role else self._estimated_tokens())

    def _computed_tokens(self, signal: str, side: Sidecar) -> Tokens:
        values = np.nan_to_num(self.numbers(signal).astype(np.float64))  # null where there is no text: no tokens
        if signal == "n_tokens":
            return Tokens(values, f"tokenizer {side.parameters.get('tokenizer')}", False)
        return Tokens(values / BYTES_A_TOKEN, "bytes / 4", True)

    def _own_tokens(self, role: str) -> Tokens:
        """The corpus' own counts; a document that lacks one is estimated like a corpus that has none."""
        values = self._array(None, role).astype(np.float64)
        missing = np.isnan(values)
        if not missing.any():
            return Tokens(values, f"column {role}", False)
        values[missing] = self._estimated_tokens().values[missing]
        return Tokens(values, f"column {role}; {int(missing.sum()):,} documents lack it and are estimated from bytes / 4", True)

    def _kept(self, key: object, stamp: object, make: Callable[[], T]) -> T:
        """What was made for this key, made anew when its stamp is another: one entry a key, however often it changes."""
        with self._alone(("kept", key)):
            known = self._cache.get(key)
            if known is None or known[0] != stamp:
                known = self._cache[key] = (stamp, make())
            return cast("T", known[1])

    def _alone(self, key: object) -> threading.RLock:
        """The lock under which one thing is made: two threads do not make it twice, and neither keeps a third from another."""
        with self._lock:
            return self._making.setdefault(key, threading.RLock())

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

    def _pieces(
        self, side: Sidecar | None, name: str, *, dictionary: bool = False, shards: Sequence[Shard] | None = None
    ) -> list[pa.ChunkedArray]:
        """A column shard by shard: a signal out of its sidecar, or a column of the files."""
        corpus = self._corpus
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

    def _grouping(self, by: str) -> _Grouping:
        """The column that tells the groups apart, None for the files' folders, and what it is read from."""
        corpus = self._corpus
        coverage = corpus.coverage()
        roles = {"source": corpus.roles.source, "language": corpus.roles.language, "year": corpus.roles.date}
        if column := roles.get(by):
            return _Grouping(None, column, None)
        if by == "source":
            return _Grouping(None, None, None)
        if by in roles and not (by == "language" and coverage.of("lang")):
            raise ColumnNotFoundError(
                f"The corpus has no column for {by!r}. Columns: {', '.join(corpus.schema.names)}. Name one when opening it: {by if by != 'year' else 'date'}=COLUMN."
            )
        side, column = coverage.meant("lang" if by in roles else by)
        return _Grouping(side, column, (side is None, column, coverage.stamp_of(column)))

    def _coded(self, by: str) -> tuple[np.ndarray, list[str]]:
        """Codes int32 [n] and what each stands for, nulls as "(none)"."""
        grouping = self._grouping(by)
        if grouping.column is None:
            return _by_folder(self._corpus.shards)
        pieces = self._pieces(grouping.side, grouping.column, dictionary=by != "year")
        if by == "year":
            pieces = [_years(p) for p in pieces]
        encoded = pa.chunked_array(
            [_encoded(c) for p in pieces for c in p.chunks], pa.dictionary(pa.int32(), pa.string())
        ).unify_dictionaries()
        if encoded.num_chunks == 0:
            return np.zeros(0, np.int32), []
        names = [str(v) for v in encoded.chunk(0).dictionary.to_pylist()] + ["(none)"]
        return np.concatenate([pc.fill_null(c.indices, len(names) - 1).to_numpy() for c in encoded.chunks]), names


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
    """The year of each date as text, null where it has none that can be told."""
    kind = column.type
    if pa.types.is_temporal(kind):
        return pc.year(column)
    if pa.types.is_integer(kind):
        return _years_of_numbers(column)
    text = column.cast(pa.string())
    none = pa.scalar(None, pa.string())
    number = pc.if_else(pc.match_substring_regex(text, r"^\d{5,18}$"), text, none).cast(pa.int64())
    said = pc.if_else(pc.match_substring_regex(text, r"^\d{4}($|\D|\d{4}\D)"), pc.utf8_slice_codeunits(text, 0, 4), none)
    return pc.coalesce(said, _years_of_numbers(number))


def _years_of_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """2024, 20240131, or seconds, milliseconds, microseconds or nanoseconds since 1970; anything else has no year."""
    value = pc.fill_null(column.cast(pa.int64(), safe=False), 0).to_numpy()
    day, month = value % 100, value // 100 % 100
    years = np.where((value > 9_999_999) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31), value // 10_000, value)
    scale = np.select([value < EPOCH_END, value < EPOCH_END * 10**3, value < EPOCH_END * 10**6], [1, 10**3, 10**6], 10**9)
    since = (value // scale).astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    years = np.where(value > 99_999_999, since, years)
    return pa.chunked_array([pa.array(years, mask=(years < 1900) | (years > 2100)).cast(pa.string())])


def _largest(by: str, codes: np.ndarray, names: list[str], most: int) -> Groups:
    counts = np.bincount(codes, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    kept = [int(i) for i in order[:most] if counts[i]]
    if by == "year":
        kept.sort(key=lambda i: names[i])
    labels = [names[i] for i in kept]
    rest = None
    if any(counts[i] for i in order[most:]):
        rest = "other" if "other" not in labels else "(all other)"
        labels.append(rest)
    target = np.full(len(names), len(kept), np.min_scalar_type(max(len(kept), 1)))
    target[kept] = np.arange(len(kept))
    return Groups(by, target[codes], tuple(labels), rest)


def _by_folder(shards: Sequence[Shard]) -> tuple[np.ndarray, list[str]]:
    """Without a source column the folder of a file is its source, or the file's own name when a few share one folder."""
    folders = [s.path.split("/")[:-1] for s in shards]
    different = len({tuple(f) for f in folders})
    if different > 1:
        depths = range(1, max(map(len, folders)) + 1)
        tails = (["/".join(f[-depth:]) for f in folders] for depth in depths)
        names = next(t for t in tails if len(set(t)) == different)  # wiki/train and books/train are two sources, not one "train"
    elif len(shards) <= FILES_AS_SOURCES:
        names = [s.name.removesuffix(".parquet") for s in shards]
    else:
        names = ["corpus"] * len(shards)
    known = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.repeat(np.array([known[n] for n in names], np.int32), [s.rows for s in shards]), list(known)
