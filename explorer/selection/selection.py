"""Apply filters to a corpus: which documents are kept, and for the others every reason."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numba as nb
import numpy as np
import polars as pl
import pyarrow as pa

from explorer.corpus.columns import Groups, Tokens
from explorer.corpus.corpus import Corpus
from explorer.corpus.database import literal, quote
from explorer.corpus.identity import keys
from explorer.errors import SelectionError
from explorer.rewrites.place import Place
from explorer.selection.filters import Filters, as_filters
from explorer.selection.needs import signals_read
from explorer.selection.samplers import draw
from explorer.selection.threshold import Threshold

MOST_RULES = 63
WHERE = "where"
SAMPLE = "sample"


@dataclass(frozen=True)
class Summary:
    """What a selection keeps and why it drops the rest.

    Attributes:
        documents, kept_documents, tokens, kept_tokens: totals; ``tokens_label`` says whose tokens, ``estimated`` whether they are ≈.
        sources: a row a group: documents, kept_documents, kept_share, tokens, kept_tokens, kept_token_share.
        reasons: a row a rule, in order: ``alone_*`` fail it whatever else, ``only_this_*`` fail nothing but it, ``first_*`` fail it
            before any other, ``null_documents`` have no value, ``unscored_documents`` were not computed. The sampler is the last row.
        warnings: what a reader must know to trust the numbers.

    """

    documents: int
    kept_documents: int
    tokens: float
    kept_tokens: float
    tokens_label: str
    estimated: bool
    sources: pl.DataFrame
    reasons: pl.DataFrame
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        about = "≈ " if self.estimated else ""
        share = self.kept_tokens / self.tokens if self.tokens else 0.0
        return f"{self.kept_documents:,} of {self.documents:,} documents kept, {about}{self.kept_tokens:,.0f} tokens ({share:.1%}; {self.tokens_label})"

    def _repr_html_(self) -> str:
        from html import escape

        warnings = "".join(f"<li>{escape(w)}</li>" for w in self.warnings)
        return f"<b>{escape(str(self))}</b><ul>{warnings}</ul>{self.sources._repr_html_()}{self.reasons._repr_html_()}"


@dataclass(frozen=True, eq=False)
class Selection:
    """The documents of a corpus that pass some filters. Nothing is copied; it is evaluated when a figure is asked for."""

    corpus: Corpus
    filters: Filters

    def __repr__(self) -> str:
        rules = "; ".join(self.rules) or "everything"
        return f"Selection({rules} of {self.corpus!r})"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def __len__(self) -> int:
        return len(self.rows())

    def __or__(self, more: Filters | Threshold | Iterable[Threshold]) -> Selection:
        """The same corpus with further filters."""
        return Selection(self.corpus, self.filters | more)

    @property
    def rules(self) -> list[str]:
        """Every rule as a reader would write it."""
        rules = [str(t) for t in self.filters.filters]
        return rules + ([f"where {self.filters.where}"] if self.filters.where else [])

    @cached_property
    def failures(self) -> np.ndarray:
        """uint64 [n]: bit i is set where a document fails rule i (the predicate is the last rule); 0 means it passes them all."""
        thresholds = self.filters.filters
        if len(thresholds) + bool(self.filters.where) > MOST_RULES:
            raise SelectionError(
                f"{len(thresholds)} thresholds are too many. At most {MOST_RULES - 1} and a predicate are allowed. Put some into the predicate."
            )
        bits = np.zeros(len(self.corpus), np.uint64)
        for i, threshold in enumerate(thresholds):
            _fail(self.corpus.columns.numbers(threshold.signal), *_bounds(threshold, self.corpus), np.uint64(1 << i), bits)
        if self.filters.where:
            passing = np.zeros(len(self.corpus), bool)
            passing[self.corpus.database.matching_rows(self.filters.where).to_numpy()] = True
            bits |= np.where(passing, np.uint64(0), np.uint64(1 << len(thresholds)))
        return bits

    @cached_property
    def _rows(self) -> np.ndarray:
        passing = np.flatnonzero(self.failures == 0)
        sample = self.filters.sample
        if sample is None:
            return passing
        score = self.corpus.columns.numbers(sample.by)[passing].astype(np.float64) if sample.by else None
        strata = self.corpus.columns.strata(sample.per)[passing] if sample.per else np.zeros(len(passing), np.int32)
        chosen = draw(
            sample,
            score=score,
            key=keys(self.corpus, sample.seed)[passing],
            tokens=self.corpus.columns.tokens().values[passing],
            strata=strata,
        )
        return passing[chosen]

    def rows(self) -> np.ndarray:
        """int64: numbers of the kept documents; ascending, or in a sampler's order of choice."""
        return self._rows

    def mask(self) -> np.ndarray:
        """Bool [n]: which documents are kept."""
        kept = np.zeros(len(self.corpus), bool)
        kept[self._rows] = True
        return kept

    def dropped(self, reason: str | None = None) -> np.ndarray:
        """Numbers of the dropped documents, ascending; with a reason, those that fail it first ("sample": left out by the sampler)."""
        if reason is None:
            return np.flatnonzero(~self.mask())
        ids = [*(t.id for t in self.filters.filters), *([WHERE] if self.filters.where else [])]
        if reason in ids:
            return np.flatnonzero(np.isin(self.first_failure(), [i for i, name in enumerate(ids) if name == reason]))
        if reason == SAMPLE and self.filters.sample:
            return np.flatnonzero((self.failures == 0) & ~self.mask())
        ids += [SAMPLE] if self.filters.sample else []
        raise SelectionError(f"{reason!r} is no rule of this selection. Rules: {', '.join(ids) or 'none'}. Name one of them.")

    def first_failure(self) -> np.ndarray:
        """int8 [n]: the first rule that a document fails, -1 where it passes them all."""
        return _lowest_bit(self.failures)

    def reasons_of(self, row: int) -> list[str]:
        """Every rule that one document fails."""
        bits = int(self.failures[row])
        ids = [*(t.id for t in self.filters.filters), WHERE]
        return [name for i, name in enumerate(ids) if bits >> i & 1]

    def summary(self, by: str = "source", most: int = 50) -> Summary:
        """Documents and tokens kept per group and dropped per reason.

        Args:
            by: "source", "language", "year" or a column.
            most: groups told apart.

        """
        tokens, groups = self.corpus.columns.tokens(), self.corpus.columns.groups(by, most)
        kept = self.mask()
        sources = _by_group(groups, tokens, kept)
        return Summary(
            documents=len(kept),
            kept_documents=int(kept.sum()),
            tokens=float(sources["tokens"].sum()),
            kept_tokens=float(sources["kept_tokens"].sum()),
            tokens_label=tokens.label,
            estimated=tokens.estimated,
            sources=sources,
            reasons=self._reasons(tokens, kept),
            warnings=tuple(self._warnings(int(kept.sum()))),
        )

    def documents(self, limit: int | None = None) -> pl.DataFrame:
        """The kept documents themselves, the first ``limit`` of them."""
        return self.corpus.documents(self._rows[:limit])

    def near_cut(
        self, threshold: Threshold | str, n: int = 5, *, side: str | None = None, draw: int = 0, pool: int = 50
    ) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of documents on both sides of one cut that pass every other rule: (just dropped, just kept), nearest first.

        Args:
            threshold: a rule of this selection, or the signal it reads.
            n: documents a side.
            side: "minimum" or "maximum"; the bound that the rule has, the minimum when it has both.
            draw: 0 gives the n nearest; any other number a seeded draw of n among the ``pool`` nearest.
            pool: see ``draw``.
        """
        threshold = self._rule(threshold)
        rules = self.filters.filters
        side = side or ("minimum" if threshold.minimum is not None else "maximum")
        bound = getattr(threshold, side)
        if bound is None:
            raise SelectionError(f"{threshold} has no {side}. Ask for the other side.")
        bit = np.uint64(1 << rules.index(threshold))
        values = self.corpus.columns.numbers(threshold.signal)
        others = (self.failures & ~bit) == 0
        failed = (self.failures & bit) != 0
        with np.errstate(invalid="ignore"):
            right_side = values <= values.dtype.type(bound) if side == "minimum" else values >= values.dtype.type(bound)
        return (
            _nearest(np.flatnonzero(others & failed & right_side), values, bound, n, draw, pool),
            _nearest(np.flatnonzero(others & ~failed & ~np.isnan(values)), values, bound, n, draw, pool),
        )

    def _rule(self, wanted: Threshold | str) -> Threshold:
        """The rule that is meant: itself, one with its signal and bounds (a recipe's carries a reason), or the one on a signal."""
        rules = self.filters.filters
        if isinstance(wanted, str):
            found = [t for t in rules if t.signal == wanted]
        else:
            found = [t for t in rules if t == wanted] or [t for t in rules if str(t) == str(wanted) and t.nulls == wanted.nulls]
        if not found:
            raise SelectionError(f"{wanted} is not a rule of this selection. Rules: {'; '.join(self.rules) or 'none'}. Add it first.")
        return found[0]

    def sql(self) -> str:
        """The rules as one SELECT over the view ``corpus``; a sampler cannot be said in it and is named in a comment."""
        parts = [t.sql(kind, nan=nan) for t in self.filters.filters for kind, nan in [_sql_type(self.corpus, t.signal)]]
        parts += [f"(\n{self.filters.where.strip().rstrip(';')}\n)"] if self.filters.where else []  # it may end in a line comment
        comment = f"\n-- then sampled: {self.filters.sample.to_dict()}" if self.filters.sample else ""
        return "SELECT *\nFROM corpus" + ("\nWHERE " + "\n  AND ".join(parts) if parts else "") + comment

    def python(self) -> str:
        """The same selection as Python."""
        return f"import explorer as ex\n\ncorpus = {Place.of(self.corpus).python()}\nkept = corpus.select(ex.Filters.from_yaml({_block(self.filters.to_yaml())}))\nkept.summary()"

    def command(self, filters_file: str = "filters.yaml") -> str:
        """The same selection as a command that can be pasted: it writes the filters file first."""
        file = shlex.quote(filters_file)
        write = f"cat > {file} <<'END_OF_FILTERS'\n{self.filters.to_yaml()}END_OF_FILTERS\n"
        return f"{write}explorer select {Place.of(self.corpus).command()} --filters {file}"

    def _reasons(self, tokens: Tokens, kept: np.ndarray) -> pl.DataFrame:
        rules = [(t.id, t.signal, str(t)) for t in self.filters.filters]
        rules += [(WHERE, "", self.filters.where)] if self.filters.where else []
        documents, weights = _tally(self.failures, tokens.values, len(rules))
        coverage = self.corpus.coverage()
        frame = pl.DataFrame(rules, schema=["reason", "signal", "rule"], orient="row").cast(pl.String)
        for k, kind in enumerate(("alone", "only_this", "first")):
            frame = frame.with_columns(pl.Series(f"{kind}_documents", documents[k]), pl.Series(f"{kind}_tokens", weights[k]))
        unscored = [len(self.corpus) - coverage.scored_rows(s) if coverage.of(s) else 0 for _, s, _ in rules]
        undefined = [_nulls(self.corpus.columns.numbers(s)) if s else 0 for _, s, _ in rules]
        frame = frame.with_columns(
            pl.Series("null_documents", [n - u for n, u in zip(undefined, unscored, strict=True)], pl.Int64),
            pl.Series("unscored_documents", unscored, pl.Int64),
        )
        sample = self.filters.sample
        if sample is None:
            return frame
        left = (self.failures == 0) & ~kept
        size = (int(left.sum()), float(tokens.values[left].sum()))
        row = ["sample", sample.by or "", str(sample.to_dict()), *size, *size, *size, 0, 0]
        return pl.concat([frame, pl.DataFrame([row], schema=frame.schema, orient="row")])

    def _warnings(self, kept: int) -> Iterable[str]:
        coverage, n = self.corpus.coverage(), len(self.corpus)
        for signal in signals_read(self.corpus, self.filters):
            if coverage.of(signal) and coverage.scored_rows(signal) < n:
                yield f"{signal} is computed for {coverage.scored_rows(signal):,} of {n:,} documents; it is undefined for the others. Score the rest for final numbers."
        if n and not kept:
            first = np.bincount(self.first_failure() + 1, minlength=2)
            rules = self.rules
            worst = int(np.argmax(first[1:]))
            reason = rules[worst] if worst < len(rules) and first[1:].any() else "the sampler chose none"
            yield f"0 of {n:,} documents match. Most are dropped first by: {reason}."


def select(corpus: Corpus, what: str | Filters | Threshold | Iterable[Threshold] | None = None) -> Selection:
    """The documents of a corpus that pass filters; a string is an SQL predicate.

    Raises:
        SignalError, ColumnNotFoundError: a threshold reads what has not been computed or does not exist.

    """
    filters = as_filters(what)
    for name in filters.signals:
        corpus.columns.numbers(name)
    return Selection(corpus, filters)


def _sql_type(corpus: Corpus, signal: str) -> tuple[str, bool]:
    """FLOAT, DOUBLE or BOOLEAN: how SQL must treat a column to compare as `Threshold.passes` does; and whether it may hold NaN."""
    kind = "FLOAT" if corpus.columns.numbers(signal).dtype == np.float32 else "DOUBLE"
    if corpus.coverage().of(signal):
        return kind, False
    stored = [s.schema.field(signal).type for s in corpus.shards if signal in s.schema.names]
    if stored and all(map(pa.types.is_boolean, stored)):
        return "BOOLEAN", False
    return kind, not stored or any(map(pa.types.is_floating, stored))


def _bounds(threshold: Threshold, corpus: Corpus) -> tuple[float, float, bool]:
    """Inclusive bounds in the column's precision, and whether nulls pass."""
    kind = corpus.columns.numbers(threshold.signal).dtype.type
    with np.errstate(over="ignore"):
        low = kind(-np.inf) if threshold.minimum is None else kind(threshold.minimum)
        high = kind(np.inf) if threshold.maximum is None else kind(threshold.maximum)
        if threshold.exclusive and (
            (low == np.inf and threshold.minimum is not None) or (high == -np.inf and threshold.maximum is not None)
        ):
            low, high = kind(np.inf), kind(-np.inf)  # nothing lies beyond infinity
        elif threshold.exclusive:
            low = low if threshold.minimum is None else np.nextafter(low, kind(np.inf))
            high = high if threshold.maximum is None else np.nextafter(high, kind(-np.inf))
    return low, high, threshold.nulls == "keep"


@nb.njit(nogil=True, cache=True)
def _fail(values, low, high, null_passes, bit, bits):  # type: ignore[no-untyped-def]
    """Set ``bit`` where a value lies outside [low, high]; NaN fails unless nulls pass."""
    for i in range(len(values)):
        v = values[i]
        if v != v:
            if not null_passes:
                bits[i] |= bit
        elif v < low or v > high:
            bits[i] |= bit


@nb.njit(nogil=True, cache=True)
def _lowest_bit(bits):  # type: ignore[no-untyped-def]
    found = np.empty(len(bits), np.int8)
    for i in range(len(bits)):
        b, k = bits[i], -1
        if b:
            k = 0
            while not b & np.uint64(1):
                b >>= np.uint64(1)
                k += 1
        found[i] = k
    return found


@nb.njit(nogil=True, cache=True)
def _tally(failures, tokens, n_rules):  # type: ignore[no-untyped-def]
    """Documents and tokens [3, rules] that fail a rule whatever else, fail nothing but it, and fail it before any other."""
    documents, weights = np.zeros((3, n_rules), np.int64), np.zeros((3, n_rules))
    for i in range(len(failures)):
        bits = failures[i]
        if not bits:
            continue
        single = not bits & (bits - np.uint64(1))
        first, rule = True, 0
        while bits:
            if bits & np.uint64(1):
                documents[0, rule] += 1
                weights[0, rule] += tokens[i]
                if single:
                    documents[1, rule] += 1
                    weights[1, rule] += tokens[i]
                if first:
                    documents[2, rule] += 1
                    weights[2, rule] += tokens[i]
                    first = False
            bits >>= np.uint64(1)
            rule += 1
    return documents, weights


@nb.njit(nogil=True, cache=True)
def _nulls(values):  # type: ignore[no-untyped-def]
    count = 0
    for v in values:
        count += v != v
    return count


@nb.njit(nogil=True, cache=True)
def by_code(codes, tokens, kept, n):  # type: ignore[no-untyped-def]
    """[4, n]: documents, kept documents, tokens and kept tokens of each code."""
    sums = np.zeros((4, n))
    for i in range(len(codes)):
        c = codes[i]
        sums[0, c] += 1
        sums[2, c] += tokens[i]
        if kept[i]:
            sums[1, c] += 1
            sums[3, c] += tokens[i]
    return sums


def _by_group(groups: Groups, tokens: Tokens, kept: np.ndarray) -> pl.DataFrame:
    documents, kept_documents, all_tokens, kept_tokens = by_code(groups.codes, tokens.values, kept, len(groups.labels))
    return pl.DataFrame(
        {
            groups.by: list(groups.labels),
            "documents": documents.astype(np.int64),
            "kept_documents": kept_documents.astype(np.int64),
            "tokens": all_tokens,
            "kept_tokens": kept_tokens,
        }
    ).with_columns(
        kept_share=pl.when(pl.col("documents") > 0).then(pl.col("kept_documents") / pl.col("documents")),
        kept_token_share=pl.when(pl.col("tokens") > 0).then(pl.col("kept_tokens") / pl.col("tokens")),
    )


def _block(text: str) -> str:
    """A text as a Python literal over several lines where that is safe."""
    return f'"""\n{text}"""' if "\\" not in text and '"""' not in text and text.isprintable() is False else repr(text)


def _nearest(rows: np.ndarray, values: np.ndarray, bound: float, n: int, draw: int, pool: int) -> np.ndarray:
    if not len(rows):
        return rows
    distance = np.abs(values[rows].astype(np.float64) - bound)
    near = min(len(rows), max(n, pool))
    nearest = np.argpartition(distance, near - 1)[:near] if near < len(rows) else np.arange(len(rows))
    nearest = nearest[np.lexsort((rows[nearest], distance[nearest]))]
    drawn = np.sort(np.random.default_rng(draw).choice(near, min(n, near), replace=False)) if draw else np.arange(min(n, near))
    return rows[nearest[drawn]]


def any_of(column: str, values: Sequence[str]) -> str:
    """SQL predicate: the column is one of these texts."""
    return f"{quote(column)} IN ({', '.join(literal(v) for v in values)})"
