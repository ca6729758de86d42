import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_english import SETS

from explorer.primitives.batch import Batch
from explorer.primitives.lines import lines

TERMINAL = re.compile(f"[{SETS['terminal']}]\\Z")
PARTS = ["a", "line", "Same line.", "…", ".", "..", "...", "#", "##", "-", "•", "* ", "é", "日本。", "x" * 29, "x" * 31, "\n", "\n\n", "\r\n", "\r", "\t", " ", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\xa0", "\x00", "\x1f", "\x7f", "“", '"']  # fmt: skip
texts = st.lists(st.sampled_from(PARTS), max_size=16).map("".join) | st.text(max_size=40)


def size(item):
    """Code points, an ill-formed sequence being one; as a surrogate-escaped string it still has its bytes."""
    return len(item.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def repeats(items):
    seen, count, chars = set(), 0, 0
    for item in items:
        count, chars = (count + 1, chars + size(item)) if item in seen else (count, chars)
        seen.add(item)
    return count, chars


def twin(text):
    """What datatrove's filters and str's own methods answer."""
    segments = re.split("\n+", text)
    filled = [s for s in text.split("\n") if s.strip() != ""]
    paragraphs = re.split("\n{2,}", text.strip())
    rows = text.splitlines()
    segment, paragraph = repeats(segments), repeats(paragraphs)
    blank = [s.strip() == "" for s in text.split("\n")]
    return {
        "newlines": text.count("\n"),
        "segments": len(segments),
        "segment_repeats": segment[0],
        "segment_repeat_chars": segment[1],
        "filled": len(filled),
        "filled_chars": sum(map(size, filled)),
        "filled_terminal": sum(bool(TERMINAL.search(s)) for s in filled),
        "filled_short": sum(size(s) <= 30 for s in filled),
        "filled_repeat_chars": repeats(filled)[1],
        "lines": len(rows),
        "bullet_lines": sum(s.lstrip().startswith(("•", "-")) for s in rows),
        "ellipsis_lines": sum(s.rstrip().endswith(("...", "…")) for s in rows),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "paragraphs": len(paragraphs),
        "paragraph_repeats": paragraph[0],
        "paragraph_repeat_chars": paragraph[1],
        "blocks": sum(not b and (k == 0 or blank[k - 1]) for k, b in enumerate(blank)),
    }


def check(documents):
    found = lines(Batch.of(documents))
    for d, raw in enumerate(documents):
        for name, expected in twin((raw or b"").decode("utf-8", "surrogateescape")).items():
            assert getattr(found, name)[d] == expected, (name, raw)


@settings(deadline=None, max_examples=1500)
@given(st.lists(st.none() | texts.map(lambda t: t.encode("utf-8", "replace")), max_size=4))
@example(
    [
        b"\n",
        b"\n\n",
        b"a\n",
        b"\na",
        b"\n\na\n\n",
        b"\r\n",
        b"a\r",
        b"\r\r\n",
        b"a\x85\n",
        b"...\n...",
        b"",
        b"  \n \n",
        b"a\n\n\nb\n\na\n\n",
    ]
)
def test_counts_are_those_of_plain_python(documents):
    check(documents)


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=50))
@example(b"\x80\n\x81")  # different bytes are different lines, though both are read as U+FFFD
def test_any_bytes(raw):
    check([raw, b"x" * 7 + raw, raw + b"\n"])


@pytest.mark.parametrize("seed", range(3))
def test_long_documents(seed):
    rng = np.random.default_rng(seed)
    check(["".join(rng.choice(PARTS, 3000)).encode(), b"same\n" * 5000, b"x" * 5000, ("é..." * 999).encode()])


def test_a_million_lines_in_one_document():
    found = lines(Batch.of(["ab\n" * 1_000_000, "\n" * 1_000_000, "".join(f"{k}\n" for k in range(200_000))]))
    assert found.segment_repeats.tolist() == [999_999, 1, 0]
    assert found.filled.tolist() == [1_000_000, 0, 200_000]
    assert found.lines.tolist() == [1_000_000, 1_000_000, 200_000]
