"""How long a document is, in every unit a filter or a budget may use."""

from __future__ import annotations

import numpy as np

from explorer.primitives.batch import Batch
from explorer.primitives.characters import characters
from explorer.primitives.lines import lines
from explorer.primitives.ratios import ratio
from explorer.registry import Columns, Signal, family

BYTES_PER_TOKEN = 4.0


@family(
    version=1,
    source="definitions of this product; whitespace words as str.split()",
    signals=[
        Signal("n_bytes", "bytes", "Bytes of the UTF-8 text.", "two_sided", (0, None), "int64"),
        Signal("n_chars", "code points", "Unicode code points of the text.", "two_sided", (0, None), "int64"),
        Signal(
            "n_words", "words", "Runs of characters between white space, punctuation included.", "two_sided", (0, None), "int64",
            "Chinese, Japanese, Thai and others write without spaces: a page may be one word.",
        ),
        Signal("n_lines", "lines", "Lines ended by a newline, and the last one if it is not empty.", "two_sided", (0, None), "int64"),
        Signal("n_paragraphs", "paragraphs", "Runs of lines that are not blank, separated by blank lines.", "two_sided", (0, None), "int64"),
        Signal(
            "mean_line_chars", "code points per line", "Mean length of the lines that are not blank.", "descriptive", (0, None), "float32",
            "Hard-wrapped text is about 70 whatever it says; one paragraph a line is several hundred.",
        ),
        Signal(
            "tokens_estimate", "tokens (estimated)", "Estimate of the tokens: UTF-8 bytes / 4. No tokenizer is run.", "two_sided", (0, None), "float32",
            "Fits English prose within some tenths; code, numbers and other scripts differ by a factor of up to three.",
        ),
        Signal(
            "n_invalid_utf8", "sequences", "Byte sequences that are not UTF-8; each is read as one U+FFFD.", "lower_is_better", (0, None), "int64",
            "A U+FFFD that an earlier tool wrote into the text is valid and is not counted.",
        ),
    ],
)  # fmt: skip
def length(batch: Batch) -> Columns:
    """Bytes, characters, words, lines and paragraphs of a document."""
    counted, line = characters(batch), lines(batch)
    n_bytes = np.diff(batch.offsets)
    ends_open = np.zeros(len(batch), np.int64)
    filled = n_bytes > 0
    ends_open[filled] = batch.data[batch.offsets[1:][filled] - 1] != ord("\n")
    return {
        "n_bytes": n_bytes,
        "n_chars": counted.code_points,
        "n_words": counted.words,
        "n_lines": line.newlines + ends_open,
        "n_paragraphs": line.blocks,
        "mean_line_chars": ratio(line.filled_chars, line.filled),
        "tokens_estimate": (n_bytes / BYTES_PER_TOKEN).astype(np.float32),
        "n_invalid_utf8": counted.ill_formed,
    }
