"""ProX programs executed on the originals: what each keeps, drops, and gets wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa

from explorer.registry import Columns, CorpusRun, Signal, check

if TYPE_CHECKING:
    from explorer.rewrites.methods.prox_executor import ProxResult
    from explorer.rewrites.pairs import Pairs

_ODD = (
    "ProX's executor is lenient: a comma or a bracket inside a string spoils a call without an error, and unknown calls are no errors; "
    "see prox_ignored. Some 25,000 short documents a second, one after the other: a program is text that has to be read."
)


@check(
    version=1,
    source="Zhou et al. 2024 (ProX), arXiv:2409.17115; GAIR-NLP/ProX utils/chunk_utils.py and doc_utils.py, whose answers it gives",
    scope="pairs",
    audit=False,
    signals=[
        Signal(
            "prox_outcome", "outcome",
            "What the program makes of the original: unchanged, edited, dropped_doc (by the document's program), dropped_ratio (at most 5 % of the words stay), dropped_short (at most ten words stay), reverted_errors (two errors or more: the program is ignored).",
            dtype="string", misleads="Every document of ten words or fewer is dropped_short, by keep_all() too. Null for a blank original, on which ProX's script fails. " + _ODD,
        ),
        Signal("prox_errors", "errors", "Calls that cannot be read, and intervals that reach beyond the last line.", "lower_is_better", (0, None), "int64", _ODD),
        Signal(
            "prox_ignored", "lines of the program",
            "Lines that asked for something and got nothing, without an error: unknown calls, normalize with a comma in its string, strings that are not in the text.",
            "lower_is_better", (0, None), "int64", "Ours: ProX does not count them.",
        ),
        Signal(
            "prox_removed_word_frac", "fraction of words",
            "1 - words that stay / words of the original; 0 where the program is ignored, 1 where the document is dropped.",
            "descriptive", (None, 1.0), "float32", "Negative where normalize puts in more words than lines take out.",
        ),
        Signal(
            "prox_as_given", "0 or 1", "1 where the rewrite in the file is the text that the program makes, byte for byte.",
            "higher_is_better", (0, 1), "int64", "Null where the rewrite is the program itself. White space counts.",
        ),
    ],
)  # fmt: skip
def prox(run: CorpusRun, *, program: str = "chunk_program", document_program: str = "") -> Columns:
    """What the ProX program of each pair makes of its original, and whether that is the rewrite in the file.

    Args:
        run: the pairs.
        program: column of the rewrites' files that holds the joined programs of a document's chunks; it may be the rewrite itself.
        document_program: column that holds the document's program (keep or drop); none unless named.

    Raises:
        ColumnNotFoundError: a column is not there.

    """
    pairs = cast("Pairs", run.corpus)
    n = len(pairs)
    outcome = np.full(n, None, object)
    errors, ignored, fraction, as_given = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    itself = program == pairs.roles.text
    for row, result, rewrite in _results(run, pairs, program, document_program):
        if result.outcome == "undefined":
            continue
        outcome[row], errors[row], ignored[row] = result.outcome, result.errors, len(result.ignored)
        fraction[row] = np.nan if result.removed_word_fraction is None else result.removed_word_fraction
        if not itself and rewrite is not None:
            as_given[row] = result.text == rewrite
    return {
        "prox_outcome": pa.array(list(outcome), pa.string()),
        "prox_errors": errors,
        "prox_ignored": ignored,
        "prox_removed_word_frac": fraction,
        "prox_as_given": as_given,
    }


def _results(run: CorpusRun, pairs: Pairs, program: str, document_program: str) -> Iterator[tuple[int, ProxResult, str | None]]:
    """(pair, what its program does, the rewrite in the file) where there is a text and a program."""
    from explorer.rewrites.methods.prox_executor import execute_document
    from explorer.rewrites.walk import each_piece, need, texts_of

    wanted = [c for c in (program, document_program) if c]
    for column in wanted:
        need(pairs, column)
    for piece in each_piece(pairs, wanted):
        run.step(piece.first, len(pairs), "executing programs")
        programs = texts_of(piece.columns[program])
        documents = texts_of(piece.columns[document_program]) if document_program else [None] * len(programs)
        for i, (original, rewrite) in enumerate(piece.texts()):
            if original is not None and (programs[i] is not None or documents[i] is not None):
                yield piece.first + i, execute_document(original, documents[i], programs[i]), rewrite
