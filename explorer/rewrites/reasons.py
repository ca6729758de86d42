"""Why a rewrite is suspect, in a few words: what its checks found, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from explorer.engine.local import score_texts
from explorer.registry import find
from explorer.rewrites.findings import Finding, findings

SHORT = 48  # characters of a fact that is named
FLAGS = {
    "flag_empty": "empty",
    "flag_refusal": "refusal",
    "flag_copy": "a copy",
    "flag_preamble": "preamble",
    "flag_postscript": "postscript",
    "flag_reasoning": "leaked reasoning",
    "flag_prompt_echo": "prompt echoed",
    "flag_truncated": "cut off",
    "flag_looping": "goes round in circles",
}
WORDS = {
    "changed": "changed",
    "exchanged": "exchanged",
    "flip": "turned round",
    "added": "invented",
    "lost": "lost",
}  # of what became of a fact, worst first


def reasons(original: str | None, rewrite: str | None) -> list[str]:
    """Everything that the checks without a model hold against one rewrite, worst first; empty where they found nothing.

    Args:
        original: what was rewritten.
        rewrite: what became of it.

    """
    if original is None or rewrite is None:
        return ["no original" if original is None else "no rewrite"]
    table = score_texts([rewrite], [find("flags").name], originals=[original])
    said = [words for flag, words in FLAGS.items() if table[flag][0].as_py()]
    return said + summed(findings(original, rewrite))


def summed(found: Sequence[Finding]) -> list[str]:
    """Findings in a few words: one of a kind is named, several are counted."""
    counts = Counter((f.verdict, f.kind) for f in found)
    said = []
    for verdict, became in WORDS.items():
        for (of, kind), n in counts.items():
            if of != verdict:
                continue
            first = next(f for f in found if (f.verdict, f.kind) == (of, kind))
            said.append(_named(first) if n == 1 else f"{n} {'modalities' if kind == 'modality' else f'{kind}s'} {became}")
    return said


def _named(finding: Finding) -> str:
    return finding.said if len(finding.said) <= 2 * SHORT else f"{finding.said[: 2 * SHORT - 1]}…"
