"""ObscuraCoder: whether obfuscated code is its original with other names, and nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, family
from explorer.rewrites.methods.code_tokens import KEYWORD, LITERAL, NAME, guess, read
from explorer.rewrites.methods.code_tokens import language as named

_LEXER = (
    "Tokens are told by their looks, not by a parser: built-in names count as names, and scopes are not known. Read are C, C++, Go, Java, "
    "Python, Rust, TypeScript and JavaScript; other languages are null. One to two megabytes of code a second and core, some 700 pairs."
)
_FLAG = (0.0, 1.0)
_COLUMNS = (
    "ident_renamed_frac",
    "skeleton_equal",
    "renaming_consistent",
    "keywords_equal",
    "literals_equal",
    "line_count_equal",
    "comment_removed",
)


def _equal(name: str, about: str, misleads: str = "") -> Signal:
    return Signal(f"obscura_{name}", "0 or 1", about, "higher_is_better", _FLAG, misleads=f"{misleads} {_LEXER}".strip())


@family(
    version=1,
    source="Paul et al. 2025 (ObscuraCoder), arXiv:2504.00019: pairs of source and obfuscated code; the tests are ours",
    scope="pair",
    reads=("text", "original", "language"),
    audit=False,
    signals=[
        Signal("obscura_ident_renamed_frac", "fraction of names", "Different names of the original that do not stand in the rewrite.", "descriptive", _FLAG, misleads=f"Names of the language's library count; two names that change places count as kept. {_LEXER}"),
        _equal("skeleton_equal", "1 where both texts have the same tokens once every name is masked alike, comments and white space aside (indentation counts where it tells blocks).", "Whether each name always became the same one is renaming_consistent."),
        _equal("renaming_consistent", "1 where both texts have the same tokens once each name is replaced by the place at which it first stood among the names: one name became one other, and no two became the same.", "A tool that renames by scope may give one name two others, and be right."),
        _equal("keywords_equal", "1 where both texts have the same keywords in the same order."),
        _equal("literals_equal", "1 where both texts have the same numbers and strings in the same order, documentation strings aside."),
        _equal("line_count_equal", "1 where both texts have as many lines, blank ones at the end aside.", "Lines of removed comments count."),
        Signal("obscura_comment_removed", "0 or 1", "1 where the original has comments or documentation strings and the rewrite has none; null where the original has none.", "descriptive", _FLAG, misleads=_LEXER),
        Signal("obscura_language", "language", "The language that both texts were read as.", dtype="string", misleads="Guessed by a few marks where no column names it: short snippets may be taken for another of the seven languages, or for none."),
    ],
)  # fmt: skip
def obscura(original: Batch, rewrite: Batch, *, language: str = "") -> Columns:
    """What stayed and what was renamed between source code and its obfuscated form.

    Args:
        original: source code.
        rewrite: its obfuscated form; where a column plays the role of the language, it names the pair's.
        language: the language of all pairs ("python", "c++"). Else that of the column, else a guess.

    Raises:
        SignalError: a language that is not read.

    """
    if language and named(language) is None:
        raise SignalError(
            f"Language {language!r} is not read. Languages: c, c++, go, java, python, rust, typescript, javascript. Choose one."
        )
    declared = _text(rewrite.columns.get("language"), len(rewrite))
    found = np.full((len(rewrite), len(_COLUMNS)), np.nan)
    languages: list[str | None] = [None] * len(rewrite)
    for i, (before, after) in enumerate(zip(original.texts(), rewrite.texts(), strict=True)):
        if before is not None and after is not None:
            languages[i] = _language(before, language, declared[i])
            values = compared(before, after, languages[i])
            found[i] = np.nan if values is None else values
    return {f"obscura_{name}": found[:, k] for k, name in enumerate(_COLUMNS)} | {"obscura_language": pa.array(languages, pa.string())}


def compared(before: str, after: str, language: str | None) -> tuple[float, ...] | None:
    """The figures of one pair in the order of the columns, NaN where undefined; None where it cannot be read."""
    old, new = (read(text, language) if language else None for text in (before, after))
    if old is None or new is None or not (old.tokens or new.tokens):
        return None
    names, left = set(old.of(NAME)), set(new.of(NAME))
    return (
        len(names - left) / len(names) if names else np.nan,
        old.skeleton() == new.skeleton(),
        old.skeleton(numbered=True) == new.skeleton(numbered=True),
        old.of(KEYWORD) == new.of(KEYWORD),
        old.of(LITERAL) == new.of(LITERAL),
        old.lines == new.lines,
        not new.comments if old.comments else np.nan,
    )


def _language(text: str, given: str, declared: str | None) -> str | None:
    return named(given) or named(declared) or guess(text)


def _text(column: pa.Array | None, n: int) -> list[str | None]:
    if column is None:
        return [None] * n
    column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return column.cast(pa.string()).to_pylist()
