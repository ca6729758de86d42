"""Blocks of Markdown, counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.primitives.batch import Batch
from explorer.primitives.structure import KINDS, structure

CASES = {
    "": {},
    " \n\t\n": {},
    "One line.": {"paragraphs": 1},
    "One paragraph\nin two lines.\n\nAnother.": {"paragraphs": 2},
    "# Title\nText.\n## More\n####### seven\n#hashtag": {"headings": 2, "paragraphs": 2},
    "Title\n=====\nText.": {"headings": 1, "paragraphs": 1},
    "above\n---\nbelow": {"paragraphs": 2},
    "- a\n- b\n  goes on\n\n- c\n\nText.": {"list_items": 3, "lists": 1, "paragraphs": 1},
    "1. a\n2) b\n10. c\n• d\n– e": {"list_items": 5, "lists": 1},
    "1.5 metres\n-5 degrees\n*emphasis*\n2019. A year": {"paragraphs": 1},
    "Text:\n* a\n\nText.\n* b": {"list_items": 2, "lists": 2, "paragraphs": 2},
    "```python\n# no heading\n- no item\n~~~\n```\nText.": {"code_blocks": 1, "paragraphs": 1},
    "~~~\nnever closed\n\n# still code": {"code_blocks": 1},
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n| c |": {"table_rows": 4, "tables": 2},
    "> quoted\nlazily\n\n> again": {"quotes": 2},
    "a | b\n|no": {"paragraphs": 1},
    "Windows\r\n\r\nlines\r\n": {"paragraphs": 2},
}


@pytest.mark.parametrize("text", CASES)
def test_blocks(text: str):
    found = dict(zip(KINDS, structure(Batch.of([text])).counts[0].tolist(), strict=True))
    assert {kind: n for kind, n in found.items() if n} == CASES[text]


@given(st.lists(st.text(alphabet="#-*|>`~=1. \n\tab•é", max_size=50), max_size=4))
def test_counts_are_of_each_document_alone(texts: list[str]):
    together = structure(Batch.of(texts)).counts
    assert (together >= 0).all()
    for text, counts in zip(texts, together, strict=True):
        assert structure(Batch.of([text])).counts[0].tolist() == counts.tolist()
