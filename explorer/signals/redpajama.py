"""RedPajama-v2's quality signals (``rps_…``), as togethercomputer's rp_v2 code defines them."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from explorer.errors import SignalError
from explorer.primitives import rps_repetition as r
from explorer.primitives import rps_scan as s
from explorer.primitives.batch import Batch
from explorer.primitives.normalised import normal_tables, normalise
from explorer.registry import Columns, Direction, Signal, family

SOURCE = "Weber et al. 2024 (RedPajama-V2, arXiv:2411.12372); togethercomputer/RedPajama-Data, branch main, app/src/core/quality_signals"

_NO_WORDS = "Null for a text without words, where the reference writes 0."
_NON_ENGLISH = "Only the letters a-z count as alphabetic: text in other scripts scores near 1."
_LINES_TEXT = "Text that an extractor wrapped at a fixed width has other lines than the page."

# Line signals in the kernel's order: the reference's name, unit, what one line's value is, range, direction, misleads.
_LINE_SIGNALS: tuple[tuple[str, str, str, tuple[float, float | None], Direction, str], ...] = (
    (
        "rps_lines_ending_with_terminal_punctution_mark",  # the reference's spelling
        "fraction of lines",
        "1 where a line ends in . ! ? or \u201d",
        (0.0, 1.0),
        "higher_is_better",
        'A straight double quote does not count (C4 counts it). "..." does.',
    ),
    ("rps_lines_javascript_counts", "occurrences a line", 'number of words "javascript" in a line', (0.0, None), "lower_is_better", ""),
    ("rps_lines_num_words", "words a line", "number of normalised words of a line", (0.0, None), "descriptive", _LINES_TEXT),
    (
        "rps_lines_numerical_chars_fraction",
        "fraction of characters",
        "share of numeric characters in a normalised line",
        (0.0, 1.0),
        "lower_is_better",
        "Han numerals are numeric characters, so Chinese and Japanese prose is never at 0.",
    ),
    (
        "rps_lines_uppercase_letter_fraction",
        "fraction of characters",
        "share of upper-case letters in a line",
        (0.0, 1.0),
        "lower_is_better",
        "Short title lines are a third capitals; scripts without case are at 0.",
    ),
    (
        "rps_lines_start_with_bulletpoint",
        "fraction of lines",
        "1 where a line starts with a bullet (\u2022 \u2023 \u25b6 \u25c0 \u25e6 \u25a0 \u25a1 \u25aa \u25ab \u2013)",
        (0.0, 1.0),
        "lower_is_better",
        'Lists marked with "-" or "*" are not seen.',
    ),
)


def _fraction(name: str, unit: str, about: str, direction: Direction, misleads: str = "") -> Signal:
    return Signal(name, unit, about, direction, (0.0, 1.0), "float32", misleads)


_SIGNALS = [
    Signal(
        "rps_doc_word_count",
        "words",
        "Number of words of the normalised text.",
        "two_sided",
        (0, None),
        "int64",
        "Text without spaces (Chinese) is one word a line.",
    ),
    Signal(
        "rps_doc_mean_word_length",
        "characters",
        "Mean length of the normalised words, accents counted as characters of their own (NFD).",
        "two_sided",
        (0.0, None),
        misleads="Grows with accents and Hangul, which NFD takes apart.",
    ),
    Signal(
        "rps_doc_num_sentences",
        "sentences",
        r"Number of matches of the regular expression \b[^.!?]+[.!?]* in the text.",
        "higher_is_better",
        (0, None),
        "int64",
        'Every full stop counts: "1.5" and "e.g." end sentences; Chinese full stops do not.',
    ),
    Signal(
        "rps_doc_symbol_to_word_ratio",
        "symbols a word",
        'Occurrences of "#", "..." and "\u2026" over the number of raw words (runs of letters and digits, runs of punctuation).',
        "lower_is_better",
        (0.0, None),
        misleads="Headings in Markdown and comments in code are hashes.",
    ),
    _fraction(
        "rps_doc_frac_lines_end_with_ellipsis", "fraction of lines", 'Share of lines that end in "..." or "\u2026".', "lower_is_better"
    ),
    _fraction(
        "rps_doc_frac_no_alph_words",
        "fraction of words",
        "Share of raw words, punctuation included, without a letter a-z.",
        "lower_is_better",
        _NON_ENGLISH,
    ),
    _fraction(
        "rps_doc_frac_unique_words",
        "fraction of words",
        "Different normalised words over all normalised words.",
        "two_sided",
        "Falls with length by itself: compare texts of like length.",
    ),
    Signal(
        "rps_doc_unigram_entropy",
        "nats",
        "Entropy of the distribution of normalised words.",
        "higher_is_better",
        (0.0, None),
        misleads="Grows with length by itself: at most the logarithm of the word count.",
    ),
    _fraction(
        "rps_doc_frac_all_caps_words",
        "fraction of words",
        "Share of raw words whose cased characters are all upper-case.",
        "lower_is_better",
        '"I" and "A" count; so do acronyms.',
    ),
    _fraction(
        "rps_doc_stop_word_fraction",
        "fraction of words",
        "Share of raw words, punctuation included, in the stop-word list (as written: a capitalised word is none).",
        "higher_is_better",
        "The shipped list is English; give `stop_words` for another language. " + _NO_WORDS,
    ),
    _fraction(
        "rps_doc_curly_bracket",
        "fraction of characters",
        "Share of characters that are { or }.",
        "lower_is_better",
        "Code and LaTeX. Null for the empty text, where the reference writes 0.",
    ),
    _fraction(
        "rps_doc_lorem_ipsum",
        "occurrences a character",
        'Occurrences of "lorem ipsum" in the normalised text over its characters.',
        "lower_is_better",
        _NO_WORDS,
    ),
    Signal(
        "rps_doc_ldnoobw_words",
        "words and phrases",
        "Number of words and phrases of the normalised text that are in the block list; null without a list.",
        "lower_is_better",
        (0.0, None),
        misleads="No list is shipped (give `block_list`): such lists also hit medicine, sex education and dialect.",
    ),
    *(
        _fraction(
            f"rps_doc_frac_chars_top_{n}gram",
            "fraction of characters",
            f"Characters of the most frequent normalised word {n}-gram, all copies, over the characters of all words; 0 where none repeats.",
            "lower_is_better",
            "Other than Gopher's signal of that name: copies overlap and spaces do not count. Can pass 1 for overlapping copies. "
            + _NO_WORDS,
        )
        for n in (2, 3, 4)
    ),
    *(
        _fraction(
            f"rps_doc_frac_chars_dupe_{n}grams",
            "fraction of characters",
            f"Share of the words' characters covered by normalised word {n}-grams that occur more than once, each character once.",
            "lower_is_better",
            "All copies count, also the first (Gopher's leaves it out). " + _NO_WORDS,
        )
        for n in range(5, 11)
    ),
    *(
        Signal(f"{name}_{how}", unit, f"{kind} of: {about}.", direction, range_, "float32", misleads)
        for name, unit, about, range_, direction, misleads in _LINE_SIGNALS
        for how, kind in (("mean", "Mean over the lines"), ("char_mean", "Mean over the lines, weighted by their characters"))
    ),
]
# A top n-gram whose copies overlap ("a a a a") can cover more characters than there are.
_SIGNALS = [Signal(x.name, x.unit, x.about, x.direction, (0.0, None), x.dtype, x.misleads) if "_top_" in x.name else x for x in _SIGNALS]


@lru_cache(maxsize=32)
def _words_of(path: str, modified: int) -> frozenset[str]:
    return s.read_words(Path(path))


def _read_list(path: str, parameter: str) -> frozenset[str]:
    """The words of a list file, read again when it has changed."""
    file = Path(path).expanduser()
    try:
        return _words_of(str(file), file.stat().st_mtime_ns)
    except (OSError, UnicodeDecodeError) as error:
        raise SignalError(
            f"{parameter} {path!r} cannot be read ({error}). It has to be a UTF-8 text file with one word or phrase a line. Check the path."
        ) from error


@lru_cache(maxsize=8)
def _stop_set(words: frozenset[str]) -> s.WordSet:
    return s.word_set(words)


@lru_cache(maxsize=8)
def _block_set(phrases: frozenset[str]) -> s.PhraseSet:
    return s.phrase_set(phrases)


@family(version=1, source=SOURCE, signals=_SIGNALS)
def redpajama(batch: Batch, *, stop_words: str | None = None, block_list: str | None = None) -> Columns:
    """RedPajama-v2's document signals, and its line signals as means over a document's lines.

    Equal to the reference's own code (to its eight decimals, on 1,096 documents in 400 languages) except that a share of nothing
    is null here and 0 there. Raw words are those of NLTK before 3.10, which the released data was made with; NLTK 3.10 changed
    what a word is (combining marks belong to it).
    Left out are the signals that need a URL list (ut1_blacklist) or a model (perplexity, importance, classifiers).
    Line signals are stored twice: the plain mean over lines, and weighted by the characters of each line;
    ``line_signals`` gives the lines' own values for one document.

    Args:
        batch: documents.
        stop_words: path of a list, one word a line, for ``rps_doc_stop_word_fraction``; None: the reference's English list.
        block_list: path of a list such as LDNOOBW's, one word or phrase a line, for ``rps_doc_ldnoobw_words``; None: null. No
            list is shipped: what belongs on one depends on the use.

    Raises:
        SignalError: a list cannot be read.
    """
    stop = _stop_set(s.english_stop_words() if stop_words is None else _read_list(stop_words, "stop_words"))
    block = _block_set(frozenset() if block_list is None else _read_list(block_list, "block_list"))
    tables = normal_tables()
    n = len(batch)
    doc = np.zeros((n, s.N_DOC))
    repeats = np.zeros((n, r.N_REPETITION))
    line_sum, line_weighted = np.zeros((n, s.N_LINE)), np.zeros((n, s.N_LINE))
    s.scan(batch.data, batch.offsets, tables, stop, block, s.scratch(batch.offsets), doc, line_sum, line_weighted, repeats)

    def over(column: np.ndarray, total: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(total > 0, column / total, np.nan)

    raw, words, chars, lines = doc[:, s.RAW_WORDS], doc[:, s.WORDS], doc[:, s.WORD_CHARS], doc[:, s.LINES]
    columns: dict[str, np.ndarray] = {
        "rps_doc_word_count": words.astype(np.int64),
        "rps_doc_mean_word_length": over(chars, words),
        "rps_doc_num_sentences": doc[:, s.SENTENCES].astype(np.int64),
        "rps_doc_symbol_to_word_ratio": over(doc[:, s.SYMBOLS], raw),
        "rps_doc_frac_lines_end_with_ellipsis": over(doc[:, s.ELLIPSIS_LINES], lines),
        "rps_doc_frac_no_alph_words": over(doc[:, s.NO_ALPHA_WORDS], raw),
        "rps_doc_frac_unique_words": over(repeats[:, r.UNIQUE], words),
        "rps_doc_unigram_entropy": np.where(words > 0, repeats[:, r.ENTROPY], np.nan),
        "rps_doc_frac_all_caps_words": over(doc[:, s.CAPS_WORDS], raw),
        "rps_doc_stop_word_fraction": np.where(words > 0, over(doc[:, s.STOP_WORDS], raw), np.nan),
        "rps_doc_curly_bracket": over(doc[:, s.CURLY], doc[:, s.CHARS]),
        "rps_doc_lorem_ipsum": over(doc[:, s.LOREM], np.where(words > 0, chars + words - 1, 0)),
        "rps_doc_ldnoobw_words": doc[:, s.BLOCKED] if block_list is not None else np.full(n, np.nan),
    }
    for g in (2, 3, 4):
        columns[f"rps_doc_frac_chars_top_{g}gram"] = over(repeats[:, r.TOP2 + g - 2], chars)
    for g in range(5, r.MAX_N + 1):
        columns[f"rps_doc_frac_chars_dupe_{g}grams"] = over(repeats[:, r.DUPE5 + g - 5], chars)
    for k, (name, *_) in enumerate(_LINE_SIGNALS):
        columns[f"{name}_mean"] = over(line_sum[:, k], lines)
        columns[f"{name}_char_mean"] = over(line_weighted[:, k], doc[:, s.CHARS])
    return columns


_LINE = re.compile(r"[^\n]*\n|[^\n]+$")


def line_signals(text: str) -> dict[str, list[tuple[int, int, float]]]:
    """The line signals of one text as RedPajama-v2 stores them, for highlighting lines.

    Args:
        text: one document.

    Returns:
        By signal name, (first character, character after the last, value) of every line, newline included, values as the
        reference rounds them (8 decimals).
    """
    names = [name for name, *_ in _LINE_SIGNALS]
    result: dict[str, list[tuple[int, int, float]]] = {name: [] for name in names}
    bullets = tuple("\u2022\u2023\u25b6\u25c0\u25e6\u25a0\u25a1\u25aa\u25ab\u2013")
    for match in _LINE.finditer(text):
        line = match.group()
        normal = normalise(line)
        words = normal.split()
        values = (
            float(line.rstrip().endswith((".", "!", "?", "\u201d"))),
            float(words.count("javascript")),
            float(len(words)),
            round(sum(map(str.isnumeric, normal)) / len(normal), 8) if normal else 0.0,
            round(sum(map(str.isupper, line)) / len(line), 8),
            float(line.lstrip().startswith(bullets)),
        )
        for name, value in zip(names, values, strict=True):
            result[name].append((match.start(), match.end(), value))
    return result
