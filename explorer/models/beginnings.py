"""The first tokens of texts, without encoding the rest: a document of five megabytes costs no more than a page.

A text is cut before white space and encoded up to there. Every pre-tokenizer in use divides at white space, so that tokens before a
cut do not depend on what follows it; where one joins marks across it, that reaches a few tokens back at most, and the last `SLACK`
tokens are not trusted. Where too few are left, four times as much of the text is encoded, in the end all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

CHARS_A_TOKEN = 5  # encoded first for each token wanted: what measures fastest; English has about 4.5, code 3
SLACK = 32  # tokens before a cut that are not trusted
CHARS_AT_ONCE = 1_000_000  # encoded in one call: enough for every core, little enough that the encodings fit anywhere

_WORD_END = re.compile(r"(?<=\S)(?=\s)")


def first_tokens(tokenizer: Tokenizer, texts: Sequence[str], length: int | None, *, special_tokens: bool = True) -> list[Encoding]:
    """What ``tokenizer`` with truncation to ``length`` on the right gives for each text.

    Args:
        tokenizer: with neither truncation nor padding switched on.
        texts: n texts.
        length: tokens wanted, special ones among them; None for all.
        special_tokens: whether a text is framed as the tokenizer does by default ([CLS] … [SEP], <s> …).

    Returns:
        n encodings of at most ``length`` tokens.

    """
    room = None if length is None else max(0, length - (tokenizer.num_special_tokens_to_add(False) if special_tokens else 0))
    found: dict[int, Encoding] = {}
    waiting: list[int] = list(range(len(texts)))
    most = None if room is None else CHARS_A_TOKEN * (room + SLACK)
    while waiting:
        parts = {i: beginning(texts[i], most) for i in waiting}
        short = []
        for group in groups(waiting, parts):
            for i, encoding in zip(group, tokenizer.encode_batch_fast([parts[i] for i in group], add_special_tokens=False), strict=True):
                if room is not None and len(parts[i]) < len(texts[i]) and len(encoding) < room + SLACK:
                    short.append(i)
                    continue
                if room is not None and len(encoding) > room:
                    encoding.truncate(room)
                found[i] = tokenizer.post_process(encoding, add_special_tokens=special_tokens)
        waiting, most = short, most and 4 * most
    return [found[i] for i in range(len(texts))]


def beginning(text: str, most: int | None) -> str:
    """At least ``most`` characters of a text, up to the end of a word; all of it when None."""
    if most is None or len(text) <= most:
        return text
    end = _WORD_END.search(text, most)
    return text if end is None else text[: end.start()]


def groups(order: Sequence[int], parts: dict[int, str]) -> Iterator[list[int]]:
    """Texts of together about a million characters."""
    group: list[int] = []
    size = 0
    for i in order:
        group.append(i)
        size += len(parts[i])
        if size >= CHARS_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group
