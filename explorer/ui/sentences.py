"""A rewrite sentence by sentence: beside each what the original says of it, in whatever order it is told, and what is left untold."""

from __future__ import annotations

from html import escape

import streamlit as st

from explorer.primitives.batch import Batch
from explorer.primitives.terms import sentences
from explorer.rewrites.align import ALIKE, alignments
from explorer.ui import diff
from explorer.ui.format import counted, share

MOST = 400  # sentences that are shown


def sentence_table(original: str, rewrite: str) -> None:
    """Draw the rewrite's sentences with their nearest of the original, then the original's that the rewrite does not tell."""
    a, b = Batch.of([original]), Batch.of([rewrite])
    ours, theirs, aligned = _texts(a), _texts(b), alignments(a, b)
    told = set()
    body = []
    for i, text in enumerate(theirs):
        near, much = int(aligned.rewrite.sentence[i, 0]), float(aligned.rewrite.share[i, 0])
        there = near >= 0 and much >= ALIKE
        told |= {int(s) for s, m in zip(aligned.rewrite.sentence[i], aligned.rewrite.share[i], strict=True) if s >= 0 and m >= ALIKE}
        if i < MOST:
            left = _sentence(ours[near]) if there else '<span class="quiet">nothing like it in the original</span>'
            kind = "" if there else " invented"
            body.append(
                f'<div>{left}</div><div class="told{kind}">{_sentence(text)}</div><div class="quiet">{share(much) if there else ""}</div>'
            )
    untold = [
        i
        for i in range(len(ours))
        if i not in told and not (aligned.original.sentence[i, 0] >= 0 and aligned.original.share[i, 0] >= ALIKE)
    ]
    for i in untold[:MOST]:
        body.append(
            f'<div class="told lost">{_sentence(ours[i])}</div><div><span class="quiet">not told in the rewrite</span></div><div></div>'
        )
    new = sum(not (aligned.rewrite.sentence[i, 0] >= 0 and aligned.rewrite.share[i, 0] >= ALIKE) for i in range(len(theirs)))
    said = f"{counted(len(theirs), 'sentence')} of the rewrite: {new} without anything like it in the original; {len(untold)} of the original's {len(ours)} not told."
    more = f" Shown are the first {MOST}." if max(len(theirs), len(untold)) > MOST else ""
    head = '<div class="name">nearest of the original</div><div class="name">rewrite</div><div class="name" title="weight of its content words found there">shared</div>'
    st.html(f'<p class="quiet">{escape(said + more)}</p><div class="sentences">{head}{"".join(body)}</div>')


def _texts(batch: Batch) -> list[str]:
    found = sentences(batch)
    return [batch.data[a:e].tobytes().decode("utf-8", "replace") for a, e in zip(found.start.tolist(), found.end.tolist(), strict=True)]


def _sentence(text: str) -> str:
    return f'<span dir="auto">{escape(diff.inert(" ".join(text.split())))}</span>'
