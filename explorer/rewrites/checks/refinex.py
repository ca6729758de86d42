"""RefineX: what a refined text deletes from its original, and what it puts in instead."""

from __future__ import annotations

import numpy as np

from explorer.errors import SignalError
from explorer.primitives.batch import Batch
from explorer.registry import Columns, Signal, check

LONGEST_CHANGE, SHORTEST_DELETION = 40, 2
_SCRIPT = (
    "A shortest edit script is not unique, and white space inside lines is not compared. Some 3,000 pairs of short documents a second and "
    "core. Null where the product of both texts' words passes 2 billion."
)


@check(
    version=1,
    source="Bi et al. 2025 (RefineX), arXiv:2507.03253: deletions of the shortest edit script; over words instead of characters, which is ours",
    audit=False,
    signals=[
        Signal("refinex_deleted_frac", "fraction of the original's characters", "Characters that the shortest edit script deletes, whole words with their blanks and whole lines, of all of the original.", "descriptive", (0, 1), misleads=_SCRIPT),
        Signal("refinex_inserted_chars", "characters", "Characters of words that the script puts in where nothing was.", "lower_is_better", (0, None), "int64", _SCRIPT),
        Signal("refinex_replaced_chars", "characters", "Characters of words that the script puts in the place of others.", "lower_is_better", (0, None), "int64", f"A corrected spelling counts as a replaced word. {_SCRIPT}"),
        Signal("refinex_insertion_share", "fraction of the rewrite's characters", "Characters put in or in the place of others, of all characters of the rewrite's words: how much of a clean-up is new text.", "lower_is_better", (0, 1), misleads=_SCRIPT),
        Signal("refinex_lost_chars", "characters", "Deleted characters that no call of a deletion program can say, because the words stand more than once in their line.", "lower_is_better", (0, None), "int64", _SCRIPT),
        Signal("refinex_calls", "calls", "remove_lines and remove_str calls of the deletion program; 0 is keep_all().", "descriptive", (0, None), "int64", _SCRIPT),
        Signal("refinex_pair_usable", "0 or 1", f"1 where the pair can teach a deletion program: no stretch of more than {LONGEST_CHANGE} characters put in or replaced, and no deletion of fewer than {SHORTEST_DELETION}.", "higher_is_better", (0, 1), misleads=f"The paper discards long insertions and replacements and very short deletions, and gives no limits: these are ours. {_SCRIPT}"),
    ],
)  # fmt: skip
def refinex(
    original: Batch,
    rewrite: Batch,
    *,
    level: str = "words",
    longest_change: int = LONGEST_CHANGE,
    shortest_deletion: int = SHORTEST_DELETION,
) -> Columns:
    """The shortest edit script from each original to its rewrite, sorted into deletions, insertions and replacements.

    The program itself: `explorer.rewrites.methods.refinex_program.program`.

    Args:
        original: the originals.
        rewrite: the refined texts.
        level: "words" and line ends, or "characters" as in the paper.
        longest_change: characters of the longest insertion or replacement of a pair that is usable.
        shortest_deletion: characters of the shortest deletion of a pair that is usable.

    Raises:
        SignalError: an unknown level.

    """
    from explorer.rewrites.methods.edit_script import align
    from explorer.rewrites.methods.refinex_program import as_program

    if level not in ("words", "characters"):
        raise SignalError(f"level is {level!r}. Levels: words, characters. Choose one.")
    names = ("deleted_frac", "inserted_chars", "replaced_chars", "insertion_share", "lost_chars", "calls", "pair_usable")
    found = np.full((len(rewrite), len(names)), np.nan)
    for i, (before, after) in enumerate(zip(original.texts(), rewrite.texts(), strict=True)):
        script = None if before is None or after is None else align(before, after, level=level)  # type: ignore[arg-type]
        if script is None or before is None:
            continue
        program = as_program(before, script.deleted)
        sizes = [end - begin for begin, end in script.deleted]
        n_before, n_after = script.lengths
        found[i] = (
            sum(sizes) / n_before if n_before else np.nan,
            script.inserted,
            script.replaced,
            (script.inserted + script.replaced) / n_after if n_after else np.nan,
            program.lost,
            len(program.operations),
            script.longest_change <= longest_change and min(sizes, default=shortest_deletion) >= shortest_deletion,
        )
    return {f"refinex_{name}": found[:, k] for k, name in enumerate(names)}
